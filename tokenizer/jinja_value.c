/* jinja_value: making and asking values; see jinja_value.h. Turning them into text is jinja_text.c's. */
#include "jinja_run.h"
#include "unicode.h"

#include <string.h>

enum { VALUE_MAX_DEPTH = 64 };

/* --- making ----------------------------------------------------------- */

int32_t jinja_join_origin(int32_t a, int32_t b) { return a == TEMPLATE_ORIGIN ? b : a; }

static struct jinja_string *new_string(struct jinja *r, const char *data, size_t n, size_t n_runs)
{
    struct jinja_string *s = jinja_alloc(r, 1, sizeof *s + n_runs * sizeof s->runs[0]);
    if (!s) return NULL;
    s->data = data;
    s->n = n;
    s->n_chars = SIZE_MAX;
    s->n_runs = n_runs;
    return s;
}

static struct jinja_value string_value(struct jinja_string *s)
{
    if (!s) return jinja_undefined();
    return (struct jinja_value){
        .kind = JINJA_STRING, .origin = s->n_runs ? s->runs[0].origin : TEMPLATE_ORIGIN, .string = s};
}

struct jinja_value jinja_string_of(struct jinja *r, struct str data, int32_t origin)
{
    struct jinja_string *s = new_string(r, data.data, data.n, data.n > 0);
    if (s && data.n) s->runs[0] = (struct jinja_run){data.n, origin};
    return string_value(s);
}

/* The run that holds byte `at`. */
static size_t run_at(const struct jinja_string *s, size_t at)
{
    size_t low = 0, high = s->n_runs;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->runs[middle].end <= at) low = middle + 1;
        else high = middle;
    }
    return low;
}

struct jinja_value jinja_substring(struct jinja *r, const struct jinja_string *s, size_t from, size_t to)
{
    if (to > s->n) to = s->n;
    if (from >= to) return jinja_string_of(r, STR(""), TEMPLATE_ORIGIN);
    const size_t first = run_at(s, from), last = run_at(s, to - 1);
    struct jinja_string *part = new_string(r, s->data + from, to - from, last - first + 1);
    for (size_t i = first; part && i <= last; i++)
        part->runs[i - first] = (struct jinja_run){MIN(s->runs[i].end, to) - from, s->runs[i].origin};
    return string_value(part);
}

struct jinja_value jinja_list_new(struct jinja *r, size_t capacity, enum jinja_flavour flavour)
{
    struct jinja_list *list = jinja_alloc(r, 1, sizeof *list);
    struct jinja_value *at = list && capacity ? jinja_alloc(r, capacity, sizeof *at) : NULL;
    if (!list || (capacity && !at)) return jinja_undefined();
    *list = (struct jinja_list){at, 0, capacity, flavour};
    return (struct jinja_value){.kind = JINJA_LIST, .origin = TEMPLATE_ORIGIN, .list = list};
}

void jinja_list_add(struct jinja *r, struct jinja_list *list, struct jinja_value v)
{
    if (!jinja_ok(r)) return;
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct jinja_value *at = jinja_alloc(r, capacity, sizeof *at);
        if (!at) return;
        if (list->n) memcpy(at, list->at, list->n * sizeof *at);
        list->at = at;
        list->capacity = capacity;
    }
    list->at[list->n++] = v;
}

struct jinja_value jinja_dict_new(struct jinja *r, size_t capacity)
{
    struct jinja_dict *dict = jinja_alloc(r, 1, sizeof *dict);
    if (!dict) return jinja_undefined();
    dict->keys = capacity ? jinja_alloc(r, capacity, sizeof *dict->keys) : NULL;
    dict->values = capacity ? jinja_alloc(r, capacity, sizeof *dict->values) : NULL;
    if (capacity && (!dict->keys || !dict->values)) return jinja_undefined();
    dict->capacity = capacity;
    return (struct jinja_value){.kind = JINJA_DICT, .origin = TEMPLATE_ORIGIN, .dict = dict};
}

static size_t dict_place(struct jinja *r, const struct jinja_dict *dict, struct jinja_value key)
{
    jinja_work(r, dict->n * 16);
    for (size_t i = 0; i < dict->n; i++)
        if (jinja_equal(r, dict->keys[i], key, 0)) return i;
    return SIZE_MAX;
}

void jinja_dict_set(struct jinja *r, struct jinja_dict *dict, struct jinja_value key, struct jinja_value v)
{
    if (!jinja_ok(r)) return;
    if (key.kind == JINJA_DICT || (key.kind == JINJA_LIST && key.list->flavour != FLAVOUR_TUPLE)) {
        jinja_fail(r, "a %s cannot be a dictionary's key", jinja_type_name(key));
        return;
    }
    const size_t old = dict_place(r, dict, key);
    if (!jinja_ok(r)) return;
    if (old != SIZE_MAX) {
        dict->values[old] = v;
        return;
    }
    if (dict->n == dict->capacity) {
        const size_t capacity = dict->capacity ? dict->capacity * 2 : 4;
        struct jinja_value *keys = jinja_alloc(r, capacity, sizeof *keys),
                           *values = jinja_alloc(r, capacity, sizeof *values);
        if (!keys || !values) return;
        if (dict->n) {
            memcpy(keys, dict->keys, dict->n * sizeof *keys);
            memcpy(values, dict->values, dict->n * sizeof *values);
        }
        dict->keys = keys;
        dict->values = values;
        dict->capacity = capacity;
    }
    dict->keys[dict->n] = key;
    dict->values[dict->n++] = v;
}

bool jinja_dict_get(struct jinja *r, const struct jinja_dict *dict, struct str key, struct jinja_value *out)
{
    jinja_work(r, dict->n * 16);
    for (size_t i = 0; i < dict->n; i++)
        if (dict->keys[i].kind == JINJA_STRING && str_eq(jinja_bytes(dict->keys[i].string), key)) {
            *out = dict->values[i];
            return true;
        }
    return false;
}

bool jinja_dict_find(struct jinja *r, const struct jinja_dict *dict, struct jinja_value key, struct jinja_value *out)
{
    const size_t i = dict_place(r, dict, key);
    if (i == SIZE_MAX) return false;
    *out = dict->values[i];
    return true;
}

/* --- asking ----------------------------------------------------------- */

const char *jinja_type_name(struct jinja_value v)
{
    static const char *const flavours[] = {"list", "tuple", "generator", "dict view"};
    switch ((enum jinja_kind)v.kind) {
    case JINJA_UNDEFINED: return "undefined";
    case JINJA_NONE: return "NoneType";
    case JINJA_BOOL: return "bool";
    case JINJA_INT:
    case JINJA_BIG: return "int";
    case JINJA_FLOAT: return "float";
    case JINJA_STRING: return "str";
    case JINJA_LIST: return flavours[v.list->flavour];
    case JINJA_DICT: return "dict";
    case JINJA_NAMESPACE: return "namespace";
    case JINJA_LOOP: return "loop";
    case JINJA_MACRO: return "macro";
    case JINJA_METHOD: return "method";
    case JINJA_FUNCTION: return "function";
    }
    return "value";
}

bool jinja_truth(struct jinja *r, struct jinja_value v)
{
    (void)r;
    switch ((enum jinja_kind)v.kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE: return false;
    case JINJA_BOOL: return v.truth;
    case JINJA_INT: return v.integer != 0;
    case JINJA_FLOAT: return v.number != 0;
    case JINJA_STRING: return v.string->n != 0;
    case JINJA_LIST: return v.list->n != 0 || v.list->flavour == FLAVOUR_GENERATOR;
    case JINJA_DICT: return v.dict->n != 0;
    case JINJA_BIG:
    case JINJA_NAMESPACE:
    case JINJA_LOOP:
    case JINJA_MACRO:
    case JINJA_METHOD:
    case JINJA_FUNCTION: return true;
    }
    return false;
}

static bool equal_lists(struct jinja *r, const struct jinja_list *a, const struct jinja_list *b, unsigned depth)
{
    if (a == b) return true;
    if (a->n != b->n || a->flavour != b->flavour) return false;
    for (size_t i = 0; i < a->n && jinja_ok(r); i++)
        if (!jinja_equal(r, a->at[i], b->at[i], depth + 1)) return false;
    return true;
}

static bool equal_dicts(struct jinja *r, const struct jinja_dict *a, const struct jinja_dict *b, unsigned depth)
{
    struct jinja_value other;
    if (a == b) return true;
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n && jinja_ok(r); i++)
        if (!jinja_dict_find(r, b, a->keys[i], &other) || !jinja_equal(r, a->values[i], other, depth + 1))
            return false;
    return true;
}

bool jinja_equal(struct jinja *r, struct jinja_value a, struct jinja_value b, unsigned depth)
{
    if (!jinja_ok(r)) return false;
    if (depth > VALUE_MAX_DEPTH) {
        jinja_fail(r, "values nested deeper than 64");
        return false;
    }
    jinja_work(r, 16);
    if (jinja_is_whole(a) && jinja_is_whole(b)) return jinja_whole(a) == jinja_whole(b);
    if (jinja_is_number(a) && jinja_is_number(b)) return jinja_real(a) == jinja_real(b);
    if (a.kind != b.kind) return false;
    switch ((enum jinja_kind)a.kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE: return true;
    case JINJA_STRING:
    case JINJA_BIG:
        jinja_work(r, MIN(a.string->n, b.string->n));
        return str_eq(jinja_bytes(a.string), jinja_bytes(b.string));
    case JINJA_LIST: return equal_lists(r, a.list, b.list, depth);
    case JINJA_DICT: return equal_dicts(r, a.dict, b.dict, depth);
    case JINJA_NAMESPACE: return a.dict == b.dict;
    case JINJA_LOOP: return a.loop == b.loop;
    case JINJA_MACRO: return a.macro == b.macro;
    case JINJA_METHOD: return a.method == b.method;
    case JINJA_FUNCTION: return a.function == b.function;
    case JINJA_BOOL:
    case JINJA_INT:
    case JINJA_FLOAT: break;
    }
    return false;
}

int jinja_order(struct jinja *r, struct jinja_value a, struct jinja_value b)
{
    if (!jinja_ok(r)) return 0;
    if (jinja_is_whole(a) && jinja_is_whole(b))
        return (jinja_whole(a) > jinja_whole(b)) - (jinja_whole(a) < jinja_whole(b));
    if (jinja_is_number(a) && jinja_is_number(b))
        return (jinja_real(a) > jinja_real(b)) - (jinja_real(a) < jinja_real(b));
    if (a.kind == JINJA_STRING && b.kind == JINJA_STRING) {
        const size_t n = MIN(a.string->n, b.string->n);
        jinja_work(r, n);
        const int c = n ? memcmp(a.string->data, b.string->data, n) : 0; /* UTF-8 sorts as its code points do */
        return c ? c : (a.string->n > b.string->n) - (a.string->n < b.string->n);
    }
    if (a.kind == JINJA_LIST && b.kind == JINJA_LIST && a.list->flavour == b.list->flavour &&
        a.list->flavour <= FLAVOUR_TUPLE) {
        size_t i = 0; /* jinja_equal limits the depth */
        while (i < a.list->n && i < b.list->n && jinja_equal(r, a.list->at[i], b.list->at[i], 0)) i++;
        if (i < a.list->n && i < b.list->n) return jinja_order(r, a.list->at[i], b.list->at[i]);
        return (a.list->n > b.list->n) - (a.list->n < b.list->n);
    }
    if (a.kind == JINJA_UNDEFINED || b.kind == JINJA_UNDEFINED)
        jinja_fail_undefined(r, a.kind == JINJA_UNDEFINED ? a : b);
    else jinja_fail(r, "cannot order %s and %s", jinja_type_name(a), jinja_type_name(b));
    return 0;
}

bool jinja_contains(struct jinja *r, struct jinja_value container, struct jinja_value item)
{
    struct jinja_value found;
    switch ((enum jinja_kind)container.kind) {
    case JINJA_UNDEFINED: return false;
    case JINJA_STRING:
        if (item.kind != JINJA_STRING) {
            if (item.kind == JINJA_UNDEFINED) jinja_fail_undefined(r, item);
            else jinja_fail(r, "'in' a string requires a string, not %s", jinja_type_name(item));
            return false;
        }
        return jinja_find(r, jinja_bytes(container.string), 0, container.string->n, jinja_bytes(item.string)) !=
               SIZE_MAX;
    case JINJA_LIST:
        for (size_t i = 0; i < container.list->n && jinja_ok(r); i++)
            if (jinja_equal(r, container.list->at[i], item, 0)) return true;
        return false;
    case JINJA_DICT: return jinja_dict_find(r, container.dict, item, &found);
    case JINJA_NONE:
    case JINJA_BOOL:
    case JINJA_INT:
    case JINJA_BIG:
    case JINJA_FLOAT:
    case JINJA_NAMESPACE:
    case JINJA_LOOP:
    case JINJA_MACRO:
    case JINJA_METHOD:
    case JINJA_FUNCTION: break;
    }
    jinja_fail(r, "'in' does not work with %s", jinja_type_name(container));
    return false;
}

struct jinja_list *jinja_items(struct jinja *r, struct jinja_value v)
{
    struct jinja_value list;
    size_t used;
    if (!jinja_ok(r)) return NULL;
    switch ((enum jinja_kind)v.kind) {
    case JINJA_LIST: return v.list;
    case JINJA_UNDEFINED: list = jinja_list_new(r, 0, FLAVOUR_LIST); return jinja_ok(r) ? list.list : NULL;
    case JINJA_DICT:
        list = jinja_list_new(r, v.dict->n, FLAVOUR_VIEW);
        for (size_t i = 0; i < v.dict->n && jinja_ok(r); i++) jinja_list_add(r, list.list, v.dict->keys[i]);
        return jinja_ok(r) ? list.list : NULL;
    case JINJA_STRING:
        list = jinja_list_new(r, jinja_chars(r, v.string), FLAVOUR_LIST);
        for (size_t i = 0; i < v.string->n && jinja_ok(r); i += used) {
            unicode_decode(v.string->data + i, v.string->n - i, &used);
            jinja_list_add(r, list.list, jinja_substring(r, v.string, i, i + used));
        }
        return jinja_ok(r) ? list.list : NULL;
    case JINJA_NONE:
    case JINJA_BOOL:
    case JINJA_INT:
    case JINJA_BIG:
    case JINJA_FLOAT:
    case JINJA_NAMESPACE:
    case JINJA_LOOP:
    case JINJA_MACRO:
    case JINJA_METHOD:
    case JINJA_FUNCTION: break;
    }
    jinja_fail(r, "a %s cannot be looped over", jinja_type_name(v));
    return NULL;
}

/* --- strings ----------------------------------------------------------- */

size_t jinja_chars(struct jinja *r, struct jinja_string *s)
{
    size_t n = 0, used;
    if (s->n_chars < SIZE_MAX - 1) return s->n_chars;
    jinja_work(r, s->n);
    for (size_t i = 0; i < s->n; i += used, n++) unicode_decode(s->data + i, s->n - i, &used);
    if (s->n_chars == SIZE_MAX) s->n_chars = n; /* SIZE_MAX - 1 is a constant of the shared tree */
    return n;
}

size_t jinja_offset(struct jinja *r, struct jinja_string *s, size_t i_char)
{
    size_t at = 0, used;
    const size_t n = jinja_chars(r, s);
    if (i_char >= n) return s->n;
    if (n == s->n) return i_char;
    for (size_t i = 0; i < i_char; i++, at += used) unicode_decode(s->data + at, s->n - at, &used);
    jinja_work(r, at);
    return at;
}

size_t jinja_find(struct jinja *r, struct str s, size_t from, size_t to, struct str needle)
{
    if (needle.n == 0) return from <= to ? from : SIZE_MAX;
    size_t looked = 0, found = SIZE_MAX;
    for (size_t at = from; at + needle.n <= to;) {
        const char *p = memchr(s.data + at, needle.data[0], to - needle.n - at + 1);
        if (!p) {
            looked += to - at;
            break;
        }
        const size_t place = (size_t)(p - s.data);
        size_t same = 1;
        while (same < needle.n && p[same] == needle.data[same]) same++;
        looked += place - at + same;
        if (same == needle.n) {
            found = place;
            break;
        }
        at = place + 1;
        if (looked > 1 << 20) {
            jinja_work(r, looked);
            looked = 0;
            if (!jinja_ok(r)) return SIZE_MAX;
        }
    }
    jinja_work(r, looked);
    return found;
}

size_t jinja_find_last(struct jinja *r, struct str s, size_t from, size_t to, struct str needle)
{
    if (to < from || to - from < needle.n) return SIZE_MAX;
    if (needle.n == 0) return to;
    size_t looked = 0;
    for (size_t at = to - needle.n + 1; at-- > from && jinja_ok(r);) {
        size_t same = 0;
        while (same < needle.n && s.data[at + same] == needle.data[same]) same++;
        looked += same + 1;
        if (same == needle.n) {
            jinja_work(r, looked);
            return at;
        }
        if (looked > 1 << 20) {
            jinja_work(r, looked);
            looked = 0;
        }
    }
    jinja_work(r, looked);
    return SIZE_MAX;
}
