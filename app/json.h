/* json: what cJSON lacks here: texts with NUL bytes, one object a line on standard output. */
#ifndef PUMICE_APP_JSON_H
#define PUMICE_APP_JSON_H

#include <cjson/cJSON.h>

#include "runtime/base.h"

/* Adds a UTF-8 text that may hold NUL bytes. */
bool json_add_text(cJSON *object, const char *name, const char *text, size_t n);
/* A string item of such a text; NULL when memory ran out. */
cJSON *json_text(const char *text, size_t n);

/* Parses exactly one value (spaces around it are fine). NULL: *where is the offset of the fault. */
cJSON *json_parse(const char *text, size_t n, size_t *where);

/* The length in bytes of the first string in JSON text (which cJSON has accepted), NUL bytes counted. */
size_t json_string_bytes(const char *text, size_t n);
/* Whether some string in it holds the escape of a NUL byte. */
bool json_has_nul(const char *text, size_t n);

/* Prints the value as one line on standard output and deletes it. Fails MEMORY (also for NULL) and IO. */
enum pumice_status json_print_line(cJSON *value);

#endif
