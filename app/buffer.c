/* buffer: see buffer.h. */
#include "app/buffer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void buffer_add(struct buffer *b, const char *data, size_t n)
{
    if (b->failed) return;
    if (b->capacity - b->n < n) {
        const size_t capacity = MAX(b->n + n, MAX(b->capacity * 2, (size_t)256));
        char *more = capacity >= b->n ? mem_realloc(b->data, capacity, 1) : NULL;
        if (more == NULL) {
            b->failed = true;
            return;
        }
        b->data = more;
        b->capacity = capacity;
    }
    if (n > 0) memcpy(b->data + b->n, data, n);
    b->n += n;
}

void buffer_addz(struct buffer *b, const char *z)
{
    buffer_add(b, z, strlen(z));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_addz(b, text);
}

void buffer_json_text(struct buffer *b, struct str text)
{
    size_t plain = 0; /* where the bytes begin that are to be copied as they are */
    buffer_addz(b, "\"");
    for (size_t i = 0; i < text.n;) {
        uint32_t code = 0;
        const size_t n = utf8_decode(text.data + i, text.n - i, &code);
        if (n > 0 && code >= 0x20 && code != '"' && code != '\\') {
            i += n;
            continue;
        }
        buffer_add(b, text.data + plain, i - plain);
        if (n == 0)
            buffer_addz(b, "\xef\xbf\xbd");
        else if (code == '\n' || code == '\t' || code == '\r')
            buffer_addz(b, code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r");
        else if (code < 0x20)
            buffer_printf(b, "\\u%04x", (unsigned)code);
        else
            buffer_printf(b, "\\%c", (char)code);
        i += MAX(n, (size_t)1);
        plain = i;
    }
    buffer_add(b, text.data + plain, text.n - plain);
    buffer_addz(b, "\"");
}

/* The shortest of the usual spellings that is read as the same number; what is too large for a double stays
 * so. */
static void add_number(struct buffer *b, double x)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (json_number(str_of(text)) == x) break;
    }
    if (isinf(x)) snprintf(text, sizeof text, "%s1e999", x < 0 ? "-" : "");
    buffer_addz(b, text);
    if (strpbrk(text, ".e") == NULL) buffer_addz(b, ".0"); /* it was no integer before */
}

void buffer_json(struct buffer *b, const struct json *value)
{
    const bool object = value->kind == JSON_OBJECT;
    switch (value->kind) {
    case JSON_NULL:
        buffer_addz(b, "null");
        break;
    case JSON_BOOL:
        buffer_addz(b, value->truth ? "true" : "false");
        break;
    case JSON_INT:
        buffer_printf(b, "%" PRId64, value->integer);
        break;
    case JSON_BIG:
        buffer_add(b, value->text.data, value->text.n);
        break;
    case JSON_FLOAT:
        add_number(b, value->number);
        break;
    case JSON_STRING:
        buffer_json_text(b, value->text);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        buffer_addz(b, object ? "{" : "[");
        for (size_t i = 0; i < value->n && !b->failed; i++) {
            if (i > 0) buffer_addz(b, ",");
            if (object) {
                buffer_json_text(b, value->keys[i]);
                buffer_addz(b, ":");
            }
            buffer_json(b, &value->items[i]);
        }
        buffer_addz(b, object ? "}" : "]");
        break;
    }
}

enum pumice_status buffer_take(struct buffer *b, const char *what, char **text, size_t *n)
{
    buffer_add(b, "", 1);
    const bool failed = b->failed;
    const size_t bytes = b->n;
    *text = failed ? NULL : b->data;
    *n = failed ? 0 : bytes - 1;
    if (failed) mem_free(b->data);
    memset(b, 0, sizeof *b);
    return failed ? err_memory(what, bytes) : PUMICE_OK;
}

void buffer_fini(struct buffer *b)
{
    mem_free(b->data);
    memset(b, 0, sizeof *b);
}

size_t text_unix(char *text, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] != '\r' || i + 1 == n || text[i + 1] != '\n') text[to++] = text[i];
    return to;
}

size_t text_of_file(char *text, size_t n)
{
    n = text_unix(text, n);
    return n > 0 && text[n - 1] == '\n' ? n - 1 : n;
}
