/* json: small helpers around cJSON. */
#include "app/json.h"

#include <stdio.h>
#include <string.h>

#include "app/buffer.h"
#include "tokenizer/tokenizer.h"

static bool valid_utf8(const char *text, size_t n)
{
    uint32_t code = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i += k)
        if ((k = utf8_decode(text + i, n - i, &code)) == 0) return false;
    return true;
}

char *utf8_copy(const char *text, size_t n, size_t *n_out)
{
    const bool valid = valid_utf8(text, n);
    char *copy = n < SIZE_MAX / 4 ? mem_alloc(valid ? n + 1 : n * 3 + 16) : NULL;
    if (copy == NULL) return NULL;
    *n_out = n;
    if (valid) {
        if (n > 0) memcpy(copy, text, n);
    } else {
        struct decoder decoder = {{0}, 0};
        *n_out = decoder_feed(&decoder, (struct str){text, n}, copy);
        *n_out += decoder_finish(&decoder, copy + *n_out);
    }
    copy[*n_out] = 0;
    return copy;
}

cJSON *json_text(const char *text, size_t n)
{
    struct buffer b = {0};
    char *plain = utf8_copy(text, n, &n), *raw = NULL;
    cJSON *item = NULL;
    size_t n_raw = 0;
    if (plain == NULL) return NULL;
    if (memchr(plain, 0, n) == NULL) {
        item = cJSON_CreateString(plain);
    } else { /* which cJSON's strings cannot hold */
        buffer_json_text(&b, (struct str){plain, n});
        if (buffer_take(&b, "a text", &raw, &n_raw) == PUMICE_OK) item = cJSON_CreateRaw(raw);
    }
    mem_free(raw);
    mem_free(plain);
    return item;
}

bool json_add_text(cJSON *object, const char *name, const char *text, size_t n)
{
    cJSON *item = json_text(text, n);
    if (item != NULL && cJSON_AddItemToObject(object, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

cJSON *json_read(const char *text, size_t n, size_t *where)
{
    const char *end = NULL;
    cJSON *value = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    *where = end != NULL ? (size_t)(end - text) : 0;
    while (value != NULL && *where < n && strchr(" \t\r\n", text[*where]) != NULL && text[*where] != 0)
        (*where)++;
    if (value == NULL || *where == n) return value;
    cJSON_Delete(value);
    return NULL;
}

static unsigned hex4(const char *digits)
{
    unsigned x = 0;
    for (int i = 0; i < 4; i++) {
        const char c = digits[i];
        x = x * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return x;
}

size_t json_string_bytes(const char *text, size_t n)
{
    size_t i = 0, bytes = 0;
    while (i < n && text[i] != '"') i++;
    for (i++; i < n && text[i] != '"'; i++) {
        size_t more = 1;
        if (text[i] == '\\' && i + 5 < n && text[i + 1] == 'u') {
            const unsigned code = hex4(text + i + 2);
            const bool pair = code >= 0xd800 && code < 0xdc00;
            more = code < 0x80 ? 1 : code < 0x800 ? 2 : pair ? 4 : 3;
            i += pair ? 11 : 5;
        } else if (text[i] == '\\') {
            i++;
        }
        bytes += more;
    }
    return bytes;
}

/* Past the value at i: a string, or all up to a comma or bracket of this level. */
static size_t skip_value(const char *text, size_t n, size_t i)
{
    size_t depth = 0;
    for (; i < n; i++) {
        const char c = text[i];
        if (c == '"')
            for (i++; i < n && text[i] != '"'; i++) i += text[i] == '\\';
        else if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}' || c == ',') {
            if (depth == 0) break;
            depth -= c != ',';
        }
    }
    return MIN(i, n);
}

static size_t skip_space(const char *text, size_t n, size_t i)
{
    while (i < n && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n')) i++;
    return i;
}

bool json_member(const char *text, size_t n, const char *name, struct str *value)
{
    bool found = false;
    size_t i = 0;
    while (i < n && text[i] != '{') i++;
    for (i++; i < n; i++) {
        i = skip_space(text, n, i);
        if (i >= n || text[i] != '"') break;
        const size_t begin = i + 1;
        for (i++; i < n && text[i] != '"'; i++) i += text[i] == '\\';
        const struct str key = {text + begin, MIN(i, n) - begin};
        i = skip_space(text, n, i + 1);
        const size_t from = skip_space(text, n, i + 1);
        i = skip_value(text, n, from);
        size_t end = i;
        while (end > from && strchr(" \t\r\n", text[end - 1]) != NULL) end--;
        if (!str_eqz(key, name)) continue;
        *value = (struct str){text + from, end - from};
        found = true;
    }
    return found;
}

cJSON *json_line_error(size_t number)
{
    cJSON *o = cJSON_CreateObject();
    if (cJSON_AddNumberToObject(o, "line", (double)number) != NULL && json_add_text(o, "error", pumice_error(), strlen(pumice_error())))
        return o;
    cJSON_Delete(o);
    return NULL;
}

enum pumice_status json_print_line(cJSON *value)
{
    char *line = value != NULL ? cJSON_PrintUnformatted(value) : NULL;
    cJSON_Delete(value);
    if (line == NULL) return err_set(PUMICE_MEMORY, "out of memory while writing JSON");
    fputs(line, stdout);
    fputc('\n', stdout);
    cJSON_free(line);
    if (fflush(stdout) != 0 || ferror(stdout)) return err_set(PUMICE_IO, "standard output cannot be written");
    return PUMICE_OK;
}
