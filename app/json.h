/* json: what cJSON lacks here: texts with NUL bytes, one object a line on standard output. */
#ifndef PUMICE_APP_JSON_H
#define PUMICE_APP_JSON_H

#include <cjson/cJSON.h>

#include "runtime/base.h"

/* Adds a text that may hold NUL bytes; what is not UTF-8 becomes U+FFFD. */
bool json_add_text(cJSON *object, const char *name, const char *text, size_t n);
/* A string item of such a text; NULL when memory ran out. */
cJSON *json_text(const char *text, size_t n);

/* Parses exactly one value (spaces around it are fine). NULL: *where is the offset of the fault. */
cJSON *json_read(const char *text, size_t n, size_t *where);

/* The length in bytes of the first string in JSON text (which cJSON has accepted), NUL bytes counted. */
size_t json_string_bytes(const char *text, size_t n);
/* The value of a member, as it is written in the text of a JSON object that cJSON has accepted: numbers keep their digits,
 * strings their escapes. The last one counts. False: there is none. */
bool json_member(const char *text, size_t n, const char *name, struct str *value);

/* A copy that is valid UTF-8 (U+FFFD for what is not), with a NUL after it; mem_alloc'ed, NULL when memory ran out. */
char *utf8_copy(const char *text, size_t n, size_t *n_out);

/* What stands in the output for a line of input that failed: {"line": number, "error": this thread's error text}. NULL when
 * memory ran out. */
cJSON *json_line_error(size_t number);

/* Prints the value as one line on standard output and deletes it. Fails MEMORY (also for NULL) and IO. */
enum pumice_status json_print_line(cJSON *value);

#endif
