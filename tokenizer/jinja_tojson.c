/* jinja_tojson: the tojson filter, equal to Python's json.dumps(ensure_ascii=False) byte for byte.
 *
 * Each character keeps the origin of the string it comes from; brackets, commas and numbers take their container's. */
#include "jinja_run.h"
#include "unicode.h"

#include <stdio.h>
#include <string.h>

enum { JSON_OUT_MAX_DEPTH = 64, JSON_MAX_INDENT = 32 };

struct writer {
    struct jinja *r;
    struct jinja_text *t;
    bool ascii, sort;
    int indent; /* -1: all in one line */
    struct jinja_string *item_separator, *key_separator;
};

static void literal(const struct writer *w, const char *z, int32_t origin)
{
    jinja_put(w->r, w->t, z, strlen(z), origin);
}

static void copy(const struct writer *w, const char *z, int32_t origin)
{
    const size_t n = strlen(z);
    char *to = jinja_alloc(w->r, n, 1);
    if (to) memcpy(to, z, n);
    if (to) jinja_put(w->r, w->t, to, n, origin);
}

static void separator(const struct writer *w, const struct jinja_string *s, int32_t origin)
{
    jinja_put(w->r, w->t, s->data, s->n, origin);
}

/* The escape of a character, "" if it stands for itself. */
static void escape_of(uint32_t cp, bool ascii, char out[16])
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *p = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;
    *out = '\0';
    if (p) snprintf(out, 16, "\\%c", to[p - from]);
    else if (cp < 0x20 || (ascii && cp >= 0x7f && cp < 0x10000)) snprintf(out, 16, "\\u%04x", (unsigned)cp);
    else if (ascii && cp >= 0x10000 && cp < UNICODE_INVALID)
        snprintf(out, 16, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (cp >> 10)), (unsigned)(0xdc00 + (cp & 0x3ff)));
}

static void put_string(const struct writer *w, const struct jinja_string *s)
{
    size_t plain = 0, used, i_run = 0;
    int32_t origin = s->n_runs ? s->runs[0].origin : TEMPLATE_ORIGIN;
    literal(w, "\"", origin);
    for (size_t i = 0; i < s->n && jinja_ok(w->r); i += used) {
        char text[16];
        const unsigned char c = (unsigned char)s->data[i];
        used = 1;
        if ((c >= 0x20 && c < 0x7f && c != '"' && c != '\\') || (c >= 0x7f && !w->ascii)) continue;
        escape_of(unicode_decode(s->data + i, s->n - i, &used), w->ascii, text);
        if (!*text) continue;
        while (s->runs[i_run].end <= i) i_run++;
        origin = s->runs[i_run].origin;
        jinja_put_range(w->r, w->t, s, plain, i);
        copy(w, text, origin);
        plain = i + used;
    }
    jinja_put_range(w->r, w->t, s, plain, s->n);
    if (s->n_runs) origin = s->runs[s->n_runs - 1].origin;
    literal(w, "\"", origin);
    jinja_work(w->r, s->n);
}

static void put_scalar(const struct writer *w, struct jinja_value v)
{
    char text[48];
    switch ((enum jinja_kind)v.kind) {
    case JINJA_NONE: literal(w, "null", v.origin); return;
    case JINJA_BOOL: literal(w, v.truth ? "true" : "false", v.origin); return;
    case JINJA_INT: snprintf(text, sizeof text, "%lld", (long long)v.integer); break;
    case JINJA_BIG: jinja_put_string(w->r, w->t, v.string); return;
    case JINJA_FLOAT:
        if (v.number != v.number) snprintf(text, sizeof text, "NaN");
        else if (jinja_format_float(v.number, text) && strstr(text, "inf"))
            snprintf(text, sizeof text, v.number < 0 ? "-Infinity" : "Infinity");
        break;
    case JINJA_UNDEFINED: jinja_fail_undefined(w->r, v); return;
    case JINJA_STRING:
    case JINJA_LIST:
    case JINJA_DICT:
    case JINJA_NAMESPACE:
    case JINJA_LOOP:
    case JINJA_MACRO:
    case JINJA_METHOD:
    case JINJA_FUNCTION: jinja_fail(w->r, "a %s has no JSON form", jinja_type_name(v)); return;
    }
    copy(w, text, v.origin);
}

static void new_line(const struct writer *w, unsigned depth, int32_t origin)
{
    static const char spaces[] = "                                ";
    if (w->indent < 0) return;
    literal(w, "\n", origin);
    for (unsigned i = 0; i < depth; i++) jinja_put(w->r, w->t, spaces, (size_t)w->indent, origin);
}

static void put_key(const struct writer *w, struct jinja_value key)
{
    if (key.kind == JINJA_STRING) {
        put_string(w, key.string);
        return;
    }
    literal(w, "\"", key.origin);
    put_scalar(w, key);
    literal(w, "\"", key.origin);
}

/* The order in which a dictionary's pairs are written; NULL for their own. */
static size_t *sorted_keys(struct jinja *r, const struct jinja_dict *dict)
{
    size_t *order = jinja_alloc(r, dict->n, sizeof *order);
    for (size_t i = 0; order && i < dict->n; i++) {
        size_t at = i;
        for (; at > 0 && jinja_ok(r) && jinja_order(r, dict->keys[order[at - 1]], dict->keys[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
        jinja_work(r, 32 * (i - at + 1));
    }
    return order;
}

static void put_value(const struct writer *w, struct jinja_value v, unsigned depth)
{
    if (!jinja_ok(w->r)) return;
    if (depth > JSON_OUT_MAX_DEPTH) {
        jinja_fail(w->r, "values nested deeper than 64");
        return;
    }
    jinja_work(w->r, 16);
    if (v.kind == JINJA_STRING) {
        put_string(w, v.string);
        return;
    }
    const bool list = v.kind == JINJA_LIST && v.list->flavour <= FLAVOUR_TUPLE;
    if (!list && v.kind != JINJA_DICT) {
        put_scalar(w, v);
        return;
    }
    const size_t n = list ? v.list->n : v.dict->n;
    const size_t *order = !list && w->sort && n ? sorted_keys(w->r, v.dict) : NULL;
    literal(w, list ? "[" : "{", v.origin);
    for (size_t i = 0; i < n && jinja_ok(w->r); i++) {
        const size_t k = order ? order[i] : i;
        if (i) separator(w, w->item_separator, v.origin);
        new_line(w, depth + 1, v.origin);
        if (!list) {
            put_key(w, v.dict->keys[k]);
            separator(w, w->key_separator, v.origin);
        }
        put_value(w, list ? v.list->at[k] : v.dict->values[k], depth + 1);
    }
    if (n) new_line(w, depth, v.origin);
    literal(w, list ? "]" : "}", v.origin);
}

struct jinja_value jinja_filter_tojson(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    struct jinja_text t = {0};
    struct jinja_value indent = jinja_none(), separators = jinja_none();
    jinja_has_arg(args, 1, "indent", &indent);
    jinja_has_arg(args, 2, "separators", &separators);
    struct writer w = {.r = r, .t = &t, .indent = -1};
    w.ascii = jinja_arg_bool(r, args, 0, "ensure_ascii", false);
    w.sort = jinja_arg_bool(r, args, 3, "sort_keys", false);
    if (jinja_is_whole(indent)) w.indent = (int)MAX(0, MIN(JSON_MAX_INDENT, jinja_whole(indent)));
    else if (indent.kind != JINJA_NONE) return jinja_fail(r, "indent must be a number");
    struct jinja_value item = jinja_string_of(r, w.indent < 0 ? STR(", ") : STR(","), TEMPLATE_ORIGIN),
                       key = jinja_string_of(r, STR(": "), TEMPLATE_ORIGIN);
    if (separators.kind != JINJA_NONE) {
        if (separators.kind != JINJA_LIST || separators.list->n != 2 || separators.list->at[0].kind != JINJA_STRING ||
            separators.list->at[1].kind != JINJA_STRING)
            return jinja_fail(r, "separators must be two strings");
        item = separators.list->at[0];
        key = separators.list->at[1];
    }
    if (!jinja_ok(r)) return jinja_undefined();
    w.item_separator = item.string;
    w.key_separator = key.string;
    put_value(&w, self, 0);
    return jinja_text_value(r, &t);
}
