/* json: small helpers around cJSON. */
#include "app/json.h"

#include <stdio.h>
#include <string.h>

cJSON *json_text(const char *text, size_t n)
{
    static const char escape[] = "\\u0000";
    char *plain = mem_alloc(n + 1);
    cJSON *item = NULL;
    if (plain == NULL) return NULL;
    if (n > 0) memcpy(plain, text, n);
    plain[n] = 0;
    size_t n_nul = 0;
    for (size_t i = 0; i < n; i++) n_nul += plain[i] == 0;
    if (n_nul == 0) {
        item = cJSON_CreateString(plain);
        mem_free(plain);
        return item;
    }
    /* print each part between NUL bytes by cJSON, and join them inside one pair of quotes */
    char *raw = mem_alloc(n * 6 + 3), *out = raw;
    for (size_t start = 0; raw != NULL && start <= n;) {
        const size_t part = strlen(plain + start);
        cJSON *one = cJSON_CreateString(plain + start);
        char *printed = one != NULL ? cJSON_PrintUnformatted(one) : NULL;
        cJSON_Delete(one);
        if (printed == NULL) break;
        const size_t k = strlen(printed);
        if (start == 0) *out++ = '"';
        memcpy(out, printed + 1, k - 2);
        out += k - 2;
        cJSON_free(printed);
        start += part + 1;
        memcpy(out, start <= n ? escape : "\"", start <= n ? 6 : 2);
        out += start <= n ? 6 : 1;
        if (start > n) item = cJSON_CreateRaw(raw);
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

cJSON *json_parse(const char *text, size_t n, size_t *where)
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

bool json_has_nul(const char *text, size_t n)
{
    for (size_t i = 0; i + 5 < n; i++) {
        if (text[i] != '\\') continue;
        if (memcmp(text + i, "\\u0000", 6) == 0) return true;
        i++;
    }
    return false;
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
