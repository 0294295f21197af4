/* buffer: a text that grows, and JSON written into it.
 *
 * A failed allocation is remembered: add without asking, and ask once, at the end (buffer_take). Zero-initialised is
 * empty. */
#ifndef PUMICE_APP_BUFFER_H
#define PUMICE_APP_BUFFER_H

#include "runtime/base.h"
#include "tokenizer/json.h"

struct buffer {
    char *data; /* not NUL-terminated */
    size_t n, capacity;
    bool failed;
};
void buffer_add(struct buffer *b, const char *data, size_t n);
void buffer_addz(struct buffer *b, const char *z);
void buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3); /* at most 255 bytes */
/* In quotes, with escapes; may hold NULs. What is not UTF-8 becomes U+FFFD. */
void buffer_json_text(struct buffer *b, struct str text);
void buffer_json(struct buffer *b, const struct json *value); /* without spaces */
/* The text, NUL-terminated, mem_alloc'ed, now the caller's; the buffer is empty again, also after a failure. Fails MEMORY. */
enum pumice_status buffer_take(struct buffer *b, const char *what, char **text, size_t *n);
void buffer_fini(struct buffer *b);

/* LF for each CR LF, in place; the new length. text_of_file also drops one newline at the end: an editor put it there. */
size_t text_unix(char *text, size_t n);
size_t text_of_file(char *text, size_t n);

#endif
