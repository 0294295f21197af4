/* jinja_text: values as text, with origins: pieces, Python's str() and repr(). See jinja_value.h. */
#include "jinja_run.h"
#include "jinja_unicode.h"
#include "json.h"
#include "unicode.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX_DEPTH = 64 };

void jinja_put(struct jinja *r, struct jinja_text *t, const char *data, size_t n, int32_t origin)
{
    if (!n || !jinja_ok(r)) return;
    if (n > r->max_output - MIN(t->bytes, r->max_output)) {
        jinja_fail(r, "more than %zu bytes of text", r->max_output);
        return;
    }
    t->bytes += n;
    struct jinja_piece *last = t->n_pieces ? &t->pieces[t->n_pieces - 1] : NULL;
    if (last && last->origin == origin && last->data + last->n == data) {
        last->n += n;
        return;
    }
    if (t->n_pieces == t->capacity) {
        const size_t capacity = t->capacity ? t->capacity * 2 : 8;
        struct jinja_piece *pieces = jinja_alloc(r, capacity, sizeof *pieces);
        if (!pieces) return;
        if (t->n_pieces) memcpy(pieces, t->pieces, t->n_pieces * sizeof *pieces);
        t->pieces = pieces;
        t->capacity = capacity;
    }
    t->pieces[t->n_pieces++] = (struct jinja_piece){data, n, origin};
}

void jinja_put_range(struct jinja *r, struct jinja_text *t, const struct jinja_string *s, size_t from, size_t to)
{
    size_t low = 0, high = s->n_runs;
    while (low < high) { /* the first run that ends after `from` */
        const size_t middle = low + (high - low) / 2;
        if (s->runs[middle].end <= from) low = middle + 1;
        else high = middle;
    }
    for (; from < to && low < s->n_runs && jinja_ok(r); low++) {
        const size_t end = MIN(s->runs[low].end, to);
        jinja_put(r, t, s->data + from, end - from, s->runs[low].origin);
        from = end;
    }
}

void jinja_put_string(struct jinja *r, struct jinja_text *t, const struct jinja_string *s)
{
    size_t from = 0;
    for (size_t i = 0; i < s->n_runs; i++) {
        jinja_put(r, t, s->data + from, s->runs[i].end - from, s->runs[i].origin);
        from = s->runs[i].end;
    }
}

struct jinja_value jinja_text_value(struct jinja *r, const struct jinja_text *t)
{
    if (!jinja_ok(r)) return jinja_undefined();
    if (t->n_pieces == 0) return jinja_string_of(r, STR(""), TEMPLATE_ORIGIN);
    if (t->n_pieces == 1)
        return jinja_string_of(r, (struct str){t->pieces[0].data, t->pieces[0].n}, t->pieces[0].origin);
    size_t n_runs = 1;
    for (size_t i = 1; i < t->n_pieces; i++) n_runs += t->pieces[i].origin != t->pieces[i - 1].origin;
    char *data = jinja_alloc(r, t->bytes, 1);
    struct jinja_string *s = data ? jinja_alloc(r, 1, sizeof *s + n_runs * sizeof s->runs[0]) : NULL;
    if (!s) return jinja_undefined();
    jinja_work(r, t->bytes);
    *s = (struct jinja_string){.data = data, .n = t->bytes, .n_chars = SIZE_MAX, .n_runs = n_runs};
    size_t at = 0, i_run = 0;
    for (size_t i = 0; i < t->n_pieces; i++) {
        memcpy(data + at, t->pieces[i].data, t->pieces[i].n);
        at += t->pieces[i].n;
        i_run += i && t->pieces[i].origin != t->pieces[i - 1].origin;
        s->runs[i_run] = (struct jinja_run){at, t->pieces[i].origin};
    }
    return (struct jinja_value){.kind = JINJA_STRING, .origin = s->runs[0].origin, .string = s};
}

struct jinja_value jinja_to_string(struct jinja *r, struct jinja_value v)
{
    struct jinja_text t = {0};
    if (v.kind == JINJA_STRING) return v;
    jinja_put_value(r, &t, v);
    return jinja_text_value(r, &t);
}

/* --- numbers ----------------------------------------------------------- */

/* Digits and exponent of the shortest decimal that reads back as d (finite, not 0). */
static int shortest(double d, char digits[20], int *exponent)
{
    char text[40];
    int n = 0;
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, d);
        const char *e = strchr(text, 'e');
        n = 0;
        for (const char *p = text; p < e; p++) /* skips the sign and the locale's decimal point */
            if (*p >= '0' && *p <= '9') digits[n++] = *p;
        digits[n] = '\0';
        *exponent = 0;
        for (const char *p = e + 2; *p; p++) *exponent = *exponent * 10 + (*p - '0');
        if (e[1] == '-') *exponent = -*exponent;
        char plain[48];
        const int length = snprintf(plain, sizeof plain, "%s%se%d", d < 0 ? "-" : "", digits, *exponent - (n - 1));
        const double back = json_number((struct str){plain, (size_t)length});
        if (!(back < d) && !(back > d)) break;
    }
    while (n > 1 && digits[n - 1] == '0') digits[--n] = '\0';
    return n;
}

int jinja_format_float(double d, char out[40])
{
    if (d != d) return snprintf(out, 40, "nan");
    if (d > 1.7976931348623157e308) return snprintf(out, 40, "inf");
    if (d < -1.7976931348623157e308) return snprintf(out, 40, "-inf");
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    const char *sign = bits >> 63 ? "-" : "";
    if (!(d < 0) && !(d > 0)) return snprintf(out, 40, "%s0.0", sign);
    char digits[20];
    int exponent, n = shortest(d, digits, &exponent);
    if (exponent < -4 || exponent >= 16)
        return snprintf(out, 40, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                        exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
    if (exponent < 0) return snprintf(out, 40, "%s0.%.*s%s", sign, -exponent - 1, "0000", digits);
    if (n <= exponent + 1) return snprintf(out, 40, "%s%s%.*s.0", sign, digits, exponent + 1 - n, "0000000000000000");
    return snprintf(out, 40, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

/* --- str and repr ----------------------------------------------------------- */

static void put_copy(struct jinja *r, struct jinja_text *t, const char *z, int32_t origin)
{
    const size_t n = strlen(z);
    char *copy = jinja_alloc(r, n, 1);
    if (copy) memcpy(copy, z, n);
    if (copy) jinja_put(r, t, copy, n, origin);
}

static void put_literal(struct jinja *r, struct jinja_text *t, const char *z, int32_t origin)
{
    jinja_put(r, t, z, strlen(z), origin);
}

static void put_repr_string(struct jinja *r, struct jinja_text *t, const struct jinja_string *s)
{
    const bool double_quote = s->n && memchr(s->data, '\'', s->n) && !memchr(s->data, '"', s->n);
    const char quote = double_quote ? '"' : '\'';
    size_t plain = 0, used, i_run = 0;
    int32_t origin = s->n_runs ? s->runs[0].origin : TEMPLATE_ORIGIN;
    put_literal(r, t, double_quote ? "\"" : "'", origin);
    for (size_t i = 0; i < s->n && jinja_ok(r); i += used) {
        char text[16];
        const uint32_t cp = unicode_decode(s->data + i, s->n - i, &used);
        while (s->runs[i_run].end <= i) i_run++;
        origin = s->runs[i_run].origin;
        if (cp == (uint32_t)quote || cp == '\\') snprintf(text, sizeof text, "\\%c", (char)cp);
        else if (cp == '\n' || cp == '\r' || cp == '\t')
            snprintf(text, sizeof text, "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
        else if (cp >= UNICODE_INVALID || jinja_is_printable(cp)) continue;
        else snprintf(text, sizeof text, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)cp);
        jinja_put_range(r, t, s, plain, i);
        put_copy(r, t, text, origin);
        plain = i + used;
    }
    jinja_put_range(r, t, s, plain, s->n);
    if (s->n_runs) origin = s->runs[s->n_runs - 1].origin;
    put_literal(r, t, double_quote ? "\"" : "'", origin);
    jinja_work(r, s->n);
}

static void put_container(struct jinja *r, struct jinja_text *t, struct jinja_value v, unsigned depth)
{
    if (v.kind == JINJA_DICT) {
        put_literal(r, t, "{", v.origin);
        for (size_t i = 0; i < v.dict->n && jinja_ok(r); i++) {
            if (i) put_literal(r, t, ", ", v.origin);
            jinja_put_repr(r, t, v.dict->keys[i], depth + 1);
            put_literal(r, t, ": ", v.origin);
            jinja_put_repr(r, t, v.dict->values[i], depth + 1);
        }
        put_literal(r, t, "}", v.origin);
        return;
    }
    const bool tuple = v.list->flavour == FLAVOUR_TUPLE;
    put_literal(r, t, tuple ? "(" : "[", v.origin);
    for (size_t i = 0; i < v.list->n && jinja_ok(r); i++) {
        if (i) put_literal(r, t, ", ", v.origin);
        jinja_put_repr(r, t, v.list->at[i], depth + 1);
    }
    put_literal(r, t, tuple ? (v.list->n == 1 ? ",)" : ")") : "]", v.origin);
}

void jinja_put_repr(struct jinja *r, struct jinja_text *t, struct jinja_value v, unsigned depth)
{
    char text[48];
    if (!jinja_ok(r)) return;
    if (depth > TEXT_MAX_DEPTH) {
        jinja_fail(r, "values nested deeper than 64");
        return;
    }
    jinja_work(r, 16);
    switch ((enum jinja_kind)v.kind) {
    case JINJA_UNDEFINED: put_literal(r, t, "Undefined", v.origin); return;
    case JINJA_NONE: put_literal(r, t, "None", v.origin); return;
    case JINJA_BOOL: put_literal(r, t, v.truth ? "True" : "False", v.origin); return;
    case JINJA_INT:
        snprintf(text, sizeof text, "%lld", (long long)v.integer);
        put_copy(r, t, text, v.origin);
        return;
    case JINJA_FLOAT:
        jinja_format_float(v.number, text);
        put_copy(r, t, text, v.origin);
        return;
    case JINJA_BIG: jinja_put_string(r, t, v.string); return;
    case JINJA_STRING: put_repr_string(r, t, v.string); return;
    case JINJA_LIST:
    case JINJA_DICT: put_container(r, t, v, depth); return;
    case JINJA_NAMESPACE: put_literal(r, t, "<Namespace>", v.origin); return;
    case JINJA_LOOP:
    case JINJA_MACRO:
    case JINJA_METHOD:
    case JINJA_FUNCTION: break;
    }
    put_literal(r, t, "<", v.origin);
    put_literal(r, t, jinja_type_name(v), v.origin);
    put_literal(r, t, ">", v.origin);
}

void jinja_put_value(struct jinja *r, struct jinja_text *t, struct jinja_value v)
{
    if (v.kind == JINJA_STRING) jinja_put_string(r, t, v.string);
    else if (v.kind != JINJA_UNDEFINED) jinja_put_repr(r, t, v, 0);
}
