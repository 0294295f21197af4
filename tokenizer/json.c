/* json: see json.h. */
#include "json.h"
#include "unicode.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>

enum { JSON_MAX_DEPTH = 64, JSON_FEW_KEYS = 8, JSON_MAX_DIGITS = 1000 };
#define JSON_MAX_BYTES ((size_t)256 << 20)

struct reader {
    const char *start, *at, *end;
    const char *what;
    struct arena *arena;
};

/* A stretch of items that grows by doubling in the arena. */
struct growing {
    struct json *items;
    struct str *keys;
    size_t n, capacity;
    uint32_t *table; /* open addressing: index + 1 of the key; only for many keys */
    size_t table_size;
};

static enum pumice_status bad(const struct reader *r, const char *problem)
{
    size_t line = 1, column = 1;
    for (const char *p = r->start; p < r->at; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    return err_set(PUMICE_FORMAT, "%s: %s at line %zu, column %zu; write valid JSON", r->what, problem, line, column);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static bool is_digit(const struct reader *r) { return r->at < r->end && *r->at >= '0' && *r->at <= '9'; }

double json_number(struct str text)
{
    /* strtod minds the locale's decimal point, so it gets none: 12.5e3 becomes 125e2 */
    char digits[1100];
    size_t n = 0, i = 0;
    long exponent = 0;
    bool fraction = false;
    for (; i < text.n && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
        if (text.data[i] == '.') {
            fraction = true;
            continue;
        }
        if (n < 1024) {
            digits[n++] = text.data[i];
            exponent -= fraction;
        } else if (!fraction) {
            exponent++;
        }
    }
    if (i < text.n) {
        bool negative = false;
        long e = 0;
        if (++i < text.n && (text.data[i] == '+' || text.data[i] == '-')) negative = text.data[i++] == '-';
        for (; i < text.n; i++) e = e < 1000000 ? e * 10 + (text.data[i] - '0') : e;
        exponent += negative ? -e : e;
    }
    snprintf(digits + n, sizeof digits - n, "e%ld", exponent);
    return strtod(digits, NULL);
}

static enum pumice_status parse_number(struct reader *r, struct json *out)
{
    const char *begin = r->at;
    bool is_float = false;
    if (*r->at == '-') r->at++;
    if (!is_digit(r)) return bad(r, "a digit is missing");
    if (*r->at == '0') r->at++;
    else
        while (is_digit(r)) r->at++;
    if (is_digit(r)) return bad(r, "a number begins with 0");
    if (r->at < r->end && *r->at == '.') {
        is_float = true;
        r->at++;
        if (!is_digit(r)) return bad(r, "a digit is missing");
        while (is_digit(r)) r->at++;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        is_float = true;
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
        if (!is_digit(r)) return bad(r, "a digit is missing");
        while (is_digit(r)) r->at++;
    }
    const struct str text = {begin, (size_t)(r->at - begin)};
    if (text.n > JSON_MAX_DIGITS) return bad(r, "a number has more than 1000 characters");
    if (is_float) {
        out->kind = JSON_FLOAT;
        out->number = json_number(text);
        return PUMICE_OK;
    }
    const bool negative = *begin == '-';
    uint64_t magnitude = 0, most = (uint64_t)INT64_MAX + negative;
    bool fits = true;
    for (const char *p = begin + negative; p < r->at && fits; p++) {
        const uint64_t digit = (uint64_t)(*p - '0');
        fits = magnitude <= (most - digit) / 10;
        magnitude = magnitude * 10 + digit;
    }
    out->kind = fits ? JSON_INT : JSON_BIG;
    out->text = text;
    out->integer = !fits ? 0 : negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return PUMICE_OK;
}

static bool hex4(struct reader *r, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        if (r->at >= r->end) return false;
        const char c = *r->at;
        const uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                               : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                               : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                      : 16;
        if (digit == 16) return false;
        *code = *code << 4 | digit;
    }
    return true;
}

/* After the backslash: writes the character to `to` and returns its length, 0 for a bad escape. */
static size_t parse_escape(struct reader *r, char *to)
{
    static const char from[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
    if (r->at >= r->end) return 0;
    const char c = *r->at++;
    if (c != 'u') {
        const char *p = c ? strchr(from, c) : NULL;
        if (p) *to = plain[p - from];
        return p != NULL;
    }
    uint32_t code, low;
    if (!hex4(r, &code)) return 0;
    if (code >= 0xd800 && code < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        const char *back = r->at;
        r->at += 2;
        if (!hex4(r, &low)) return 0;
        if (low >= 0xdc00 && low < 0xe000) code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else r->at = back;
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    return unicode_encode(code, to);
}

static enum pumice_status parse_string(struct reader *r, struct str *out)
{
    const char *begin = ++r->at;
    bool escaped = false;
    for (; r->at < r->end && *r->at != '"'; r->at++) {
        if ((unsigned char)*r->at < 0x20) return bad(r, "a control character inside a string");
        if (*r->at == '\\') {
            escaped = true;
            if (++r->at >= r->end) break;
        }
    }
    if (r->at >= r->end) return bad(r, "a string does not end");
    const char *end = r->at++;
    *out = (struct str){begin, (size_t)(end - begin)};
    if (!escaped) return PUMICE_OK;
    char *text = arena_alloc(r->arena, out->n, 1); /* no escape is shorter than what it stands for */
    if (!text) return err_memory("JSON text", out->n);
    size_t n = 0;
    const char *after = r->at;
    for (r->at = begin; r->at < end;) {
        if (*r->at != '\\') {
            text[n++] = *r->at++;
            continue;
        }
        r->at++;
        const size_t used = parse_escape(r, text + n);
        if (!used) return bad(r, "an unknown escape in a string");
        n += used;
    }
    r->at = after;
    *out = (struct str){text, n};
    return PUMICE_OK;
}

static bool grow(struct reader *r, struct growing *g, bool keyed)
{
    if (g->n < g->capacity) return true;
    const size_t capacity = g->capacity ? g->capacity * 2 : 4;
    struct json *items = arena_alloc(r->arena, capacity, sizeof *items);
    struct str *keys = keyed ? arena_alloc(r->arena, capacity, sizeof *keys) : NULL;
    if (!items || (keyed && !keys)) return false;
    if (g->n) memcpy(items, g->items, g->n * sizeof *items);
    if (g->n && keyed) memcpy(keys, g->keys, g->n * sizeof *keys);
    g->items = items;
    g->keys = keys;
    g->capacity = capacity;
    if (!keyed || capacity <= JSON_FEW_KEYS) return true;
    g->table_size = capacity * 2;
    g->table = arena_alloc(r->arena, g->table_size, sizeof *g->table);
    if (!g->table) return false;
    for (size_t i = 0; i < g->n; i++) {
        size_t slot = hash_bytes(keys[i].data, keys[i].n, 0) & (g->table_size - 1);
        while (g->table[slot]) slot = (slot + 1) & (g->table_size - 1);
        g->table[slot] = (uint32_t)i + 1;
    }
    return true;
}

/* The place of a key: an old one, or g->n after noting it. Room for one more is there. */
static size_t place_of(struct growing *g, struct str key)
{
    if (!g->table) {
        for (size_t i = 0; i < g->n; i++)
            if (str_eq(g->keys[i], key)) return i;
    } else {
        size_t slot = hash_bytes(key.data, key.n, 0) & (g->table_size - 1);
        for (; g->table[slot]; slot = (slot + 1) & (g->table_size - 1))
            if (str_eq(g->keys[g->table[slot] - 1], key)) return g->table[slot] - 1;
        g->table[slot] = (uint32_t)g->n + 1;
    }
    g->keys[g->n] = key;
    return g->n;
}

static enum pumice_status parse_value(struct reader *r, struct json *out, unsigned depth);

static enum pumice_status parse_container(struct reader *r, struct json *out, unsigned depth)
{
    enum pumice_status st;
    const bool keyed = *r->at == '{';
    const char close = keyed ? '}' : ']';
    struct growing g = {0};
    if (depth >= JSON_MAX_DEPTH) return bad(r, "nesting deeper than 64");
    r->at++;
    skip_space(r);
    if (r->at < r->end && *r->at == close) r->at++;
    else
        for (;;) {
            size_t i = g.n;
            if (!grow(r, &g, keyed)) return err_memory("JSON values", g.capacity * 2 * sizeof(struct json));
            if (keyed) {
                struct str key;
                skip_space(r);
                if (r->at >= r->end || *r->at != '"') return bad(r, "a key is missing");
                TRY(parse_string(r, &key));
                skip_space(r);
                if (r->at >= r->end || *r->at != ':') return bad(r, "a colon is missing");
                r->at++;
                i = place_of(&g, key);
            }
            struct json value = {0};
            TRY(parse_value(r, &value, depth + 1));
            g.items[i] = value;
            g.n += i == g.n;
            skip_space(r);
            if (r->at < r->end && *r->at == ',') r->at++;
            else if (r->at < r->end && *r->at == close) break;
            else return bad(r, keyed ? "a comma or } is missing" : "a comma or ] is missing");
        }
    if (g.capacity) r->at++;
    *out = (struct json){.kind = keyed ? JSON_OBJECT : JSON_ARRAY, .n = g.n, .keys = g.keys, .items = g.items};
    return PUMICE_OK;
fail:
    return st;
}

static bool word(struct reader *r, const char *z)
{
    const size_t n = strlen(z);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, z, n) != 0) return false;
    r->at += n;
    return true;
}

static enum pumice_status parse_value(struct reader *r, struct json *out, unsigned depth)
{
    skip_space(r);
    if (r->at >= r->end) return bad(r, "a value is missing");
    switch (*r->at) {
    case '{':
    case '[': return parse_container(r, out, depth);
    case '"': out->kind = JSON_STRING; return parse_string(r, &out->text);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return parse_number(r, out);
    default: break;
    }
    if (word(r, "null")) out->kind = JSON_NULL;
    else if (word(r, "true")) *out = (struct json){.kind = JSON_BOOL, .truth = true};
    else if (word(r, "false")) *out = (struct json){.kind = JSON_BOOL};
    else return bad(r, "a value is missing");
    return PUMICE_OK;
}

enum pumice_status json_parse(struct str text, const char *what, struct arena *arena, struct json *out)
{
    struct reader r = {text.data, text.data, text.data + text.n, what, arena};
    enum pumice_status st;
    *out = (struct json){0};
    if (text.n == 0) return err_set(PUMICE_FORMAT, "%s: no JSON text at all", what);
    if (text.n >= JSON_MAX_BYTES) return err_set(PUMICE_FORMAT, "%s: more than 256 MiB of JSON; shorten it", what);
    TRY(parse_value(&r, out, 0));
    skip_space(&r);
    return r.at == r.end ? PUMICE_OK : bad(&r, "more text after the value");
fail:
    return st;
}

const struct json *json_find(const struct json *object, const char *name)
{
    for (size_t i = 0; object->kind == JSON_OBJECT && i < object->n; i++)
        if (str_eqz(object->keys[i], name)) return &object->items[i];
    return NULL;
}
