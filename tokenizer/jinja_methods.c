/* jinja_methods: methods of strings, dictionaries and lists, as Python has them; see jinja_run.h.
 *
 * What changes a value in place is refused, as Hugging Face's sandbox refuses it. */
#include "jinja_run.h"
#include "jinja_unicode.h"
#include "unicode.h"

#include <string.h>

/* --- arguments ----------------------------------------------------------- */

bool jinja_has_arg(const struct jinja_args *args, size_t i, const char *name, struct jinja_value *out)
{
    size_t k = args->n;
    if (i < args->n) {
        *out = args->at[i];
        return true;
    }
    for (const struct jinja_node *named = args->named; named; named = named->next, k++)
        if (str_eqz(named->text, name)) {
            *out = args->at[k];
            return true;
        }
    return false;
}

struct jinja_value jinja_arg(const struct jinja_args *args, size_t i, const char *name)
{
    struct jinja_value v = jinja_undefined();
    jinja_has_arg(args, i, name, &v);
    return v;
}

int64_t jinja_arg_int(struct jinja *r, const struct jinja_args *args, size_t i, const char *name, int64_t otherwise)
{
    struct jinja_value v;
    if (!jinja_has_arg(args, i, name, &v)) return otherwise;
    if (jinja_is_whole(v)) return jinja_whole(v);
    jinja_fail(r, "%s must be a whole number, not %s", name, jinja_type_name(v));
    return otherwise;
}

bool jinja_arg_bool(struct jinja *r, const struct jinja_args *args, size_t i, const char *name, bool otherwise)
{
    struct jinja_value v;
    return jinja_has_arg(args, i, name, &v) ? jinja_truth(r, v) : otherwise;
}

struct jinja_string *jinja_arg_string(struct jinja *r, const struct jinja_args *args, size_t i, const char *name,
                                      struct jinja_string *otherwise)
{
    struct jinja_value v;
    const bool given = jinja_has_arg(args, i, name, &v);
    if (!given && otherwise) return otherwise;
    if (given && v.kind == JINJA_STRING) return v.string;
    if (given) jinja_fail(r, "%s must be a string, not %s", name, jinja_type_name(v));
    else jinja_fail(r, "a string is missing (%s)", name);
    return NULL;
}

struct jinja_args jinja_args_after(const struct jinja_args *args, size_t n)
{
    struct jinja_args rest = *args;
    n = MIN(n, args->n);
    if (n) rest.at += n;
    rest.n -= n;
    return rest;
}

const struct jinja_builtin *jinja_find_in(const struct jinja_builtin *table, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eqz(name, table[i].name)) return &table[i];
    return NULL;
}

/* --- strings: strip, case, replace ----------------------------------------------------------- */

static bool strips(const struct jinja_string *chars, const char *s, size_t n, size_t *used)
{
    const uint32_t cp = unicode_decode(s, n, used);
    size_t step;
    if (!chars) return jinja_is_space(cp);
    for (size_t i = 0; i < chars->n; i += step) {
        unicode_decode(chars->data + i, chars->n - i, &step);
        if (step == *used && memcmp(chars->data + i, s, step) == 0) return true;
    }
    return false;
}

struct jinja_value jinja_strip(struct jinja *r, const struct jinja_string *s, int sides,
                               const struct jinja_string *chars)
{
    size_t from = 0, to = s->n, used, looked = 0;
    const size_t cost = 1 + (chars ? chars->n : 0);
    if (sides & JINJA_STRIP_LEFT)
        while (from < to && jinja_ok(r) && strips(chars, s->data + from, to - from, &used)) {
            from += used;
            looked += cost;
            if (looked > 1 << 20) jinja_work(r, looked), looked = 0;
        }
    if (sides & JINJA_STRIP_RIGHT)
        while (to > from && jinja_ok(r)) {
            size_t start = to - 1;
            while (start > from && to - start < 4 && ((unsigned char)s->data[start] & 0xc0) == 0x80) start--;
            if (unicode_decode(s->data + start, to - start, &used) >= UNICODE_INVALID || start + used != to)
                start = to - 1;
            looked += cost;
            if (looked > 1 << 20) jinja_work(r, looked), looked = 0;
            if (!strips(chars, s->data + start, to - start, &used)) break;
            to = start;
        }
    jinja_work(r, looked);
    return jinja_substring(r, s, from, to);
}

static bool final_sigma(const struct jinja_string *s, size_t from, size_t at, size_t after)
{
    size_t used, i = at;
    bool before = false;
    while (i > from && at - i < 64) { /* back over what does not count, to a cased letter */
        size_t start = i - 1;
        while (start > from && i - start < 4 && ((unsigned char)s->data[start] & 0xc0) == 0x80) start--;
        const uint32_t cp = unicode_decode(s->data + start, i - start, &used);
        i = start;
        if (jinja_is_case_ignorable(cp)) continue;
        before = jinja_is_cased(cp);
        break;
    }
    for (i = after; before && i < s->n && i - after < 64; i += used) {
        const uint32_t cp = unicode_decode(s->data + i, s->n - i, &used);
        if (!jinja_is_case_ignorable(cp)) return !jinja_is_cased(cp);
    }
    return before;
}

struct jinja_value jinja_change_case(struct jinja *r, const struct jinja_string *s, int how)
{
    struct jinja_text t = {0};
    size_t used, i_run = 0, at = 0;
    if (s->n > r->max_output) return jinja_fail(r, "a string of %zu bytes is too long for this", s->n);
    char *buffer = jinja_alloc(r, s->n * 3 + 16, 1); /* no character grows to more than three times its bytes */
    if (!buffer) return jinja_undefined();
    bool start = true; /* of a word, or of the string */
    size_t word = 0;   /* the filter title lowers each word's rest by itself */
    for (size_t i = 0; i < s->n; i += used) {
        uint32_t out[3];
        const uint32_t cp = unicode_decode(s->data + i, s->n - i, &used);
        const enum jinja_case to = how == CASE_UPPER             ? JINJA_UPPER
                                   : how == CASE_LOWER || !start ? JINJA_LOWER
                                   : how == CASE_FILTER_TITLE    ? JINJA_UPPER
                                                                 : JINJA_TITLE;
        size_t n = jinja_map_case(cp, to, out), bytes = 0;
        if (cp == 0x3a3 && to == JINJA_LOWER && final_sigma(s, word, i, i + used)) out[0] = 0x3c2;
        for (size_t k = 0; k < n; k++) bytes += unicode_encode(out[k], buffer + at + bytes);
        while (s->runs[i_run].end <= i) i_run++;
        jinja_put(r, &t, buffer + at, bytes, s->runs[i_run].origin);
        at += bytes;
        if (how == CASE_FILTER_TITLE && start) word = i + used;
        if (how == CASE_TITLE) start = !jinja_is_cased(cp);
        else if (how == CASE_FILTER_TITLE)
            start = jinja_is_space(cp) || (cp < 0x80 && strchr("-({[<", (int)cp) && cp);
        else start = false;
    }
    jinja_work(r, s->n * 4);
    return jinja_text_value(r, &t);
}

struct jinja_value jinja_replace(struct jinja *r, struct jinja_string *s, struct jinja_string *old,
                                 struct jinja_string *to, int64_t count)
{
    struct jinja_text t = {0};
    size_t plain = 0;
    for (size_t at = 0; count != 0 && at <= s->n && jinja_ok(r); count--) {
        const size_t found = jinja_find(r, jinja_bytes(s), at, s->n, jinja_bytes(old));
        if (found == SIZE_MAX) break;
        jinja_put_range(r, &t, s, plain, found);
        jinja_put_string(r, &t, to);
        plain = found + old->n;
        at = plain;
        if (old->n == 0) { /* between all characters */
            size_t used = 1;
            if (found < s->n) unicode_decode(s->data + found, s->n - found, &used);
            at = found + used;
        }
        jinja_work(r, 16);
    }
    jinja_put_range(r, &t, s, plain, s->n);
    return jinja_text_value(r, &t);
}

static struct jinja_value strip_method(struct jinja *r, struct jinja_value self, const struct jinja_args *args,
                                       int sides)
{
    struct jinja_value chars = jinja_none();
    jinja_has_arg(args, 0, "chars", &chars);
    if (chars.kind != JINJA_NONE && chars.kind != JINJA_STRING)
        return jinja_fail(r, "chars must be a string, not %s", jinja_type_name(chars));
    return jinja_strip(r, self.string, sides, chars.kind == JINJA_STRING ? chars.string : NULL);
}

static struct jinja_value s_strip(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    return strip_method(r, self, args, JINJA_STRIP_LEFT | JINJA_STRIP_RIGHT);
}
static struct jinja_value s_lstrip(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    return strip_method(r, self, args, JINJA_STRIP_LEFT);
}
static struct jinja_value s_rstrip(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    return strip_method(r, self, args, JINJA_STRIP_RIGHT);
}
#define CASE_METHOD(name, how)                                                                                       \
    static struct jinja_value name(struct jinja *r, struct jinja_value self, const struct jinja_args *args)          \
    {                                                                                                                \
        (void)args;                                                                                                  \
        return jinja_change_case(r, self.string, how);                                                               \
    }
CASE_METHOD(s_lower, CASE_LOWER)
CASE_METHOD(s_upper, CASE_UPPER)
CASE_METHOD(s_title, CASE_TITLE)
CASE_METHOD(s_capitalize, CASE_CAPITALIZE)

static struct jinja_value s_replace(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    struct jinja_string *old = jinja_arg_string(r, args, 0, "old", NULL),
                        *to = jinja_arg_string(r, args, 1, "new", NULL);
    const int64_t count = jinja_arg_int(r, args, 2, "count", -1);
    return jinja_ok(r) ? jinja_replace(r, self.string, old, to, count) : jinja_undefined();
}

/* --- strings: asking ----------------------------------------------------------- */

static bool has_affix(struct jinja *r, struct jinja_value self, struct jinja_value affix, bool at_end)
{
    const struct jinja_string *s = self.string;
    if (affix.kind == JINJA_LIST && affix.list->flavour == FLAVOUR_TUPLE) {
        for (size_t i = 0; i < affix.list->n && jinja_ok(r); i++)
            if (affix.list->at[i].kind == JINJA_STRING && has_affix(r, self, affix.list->at[i], at_end)) return true;
        return false;
    }
    if (affix.kind != JINJA_STRING) {
        if (affix.kind == JINJA_UNDEFINED) jinja_fail_undefined(r, affix);
        else jinja_fail(r, "a string is needed, not %s", jinja_type_name(affix));
        return false;
    }
    const size_t n = affix.string->n;
    jinja_work(r, n);
    return n <= s->n && (n == 0 || memcmp(s->data + (at_end ? s->n - n : 0), affix.string->data, n) == 0);
}
static struct jinja_value s_startswith(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    if (args->n > 1) return jinja_fail_unsupported(r, "only one argument is supported");
    return jinja_bool(has_affix(r, self, jinja_arg(args, 0, "prefix"), false));
}
static struct jinja_value s_endswith(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    if (args->n > 1) return jinja_fail_unsupported(r, "only one argument is supported");
    return jinja_bool(has_affix(r, self, jinja_arg(args, 0, "suffix"), true));
}
static struct jinja_value s_removeprefix(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const struct jinja_value affix = jinja_arg(args, 0, "prefix");
    const bool has = has_affix(r, self, affix, false);
    return has && affix.kind == JINJA_STRING ? jinja_substring(r, self.string, affix.string->n, self.string->n)
                                             : self;
}
static struct jinja_value s_removesuffix(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const struct jinja_value affix = jinja_arg(args, 0, "suffix");
    const bool has = has_affix(r, self, affix, true);
    return has && affix.kind == JINJA_STRING ? jinja_substring(r, self.string, 0, self.string->n - affix.string->n)
                                             : self;
}

static struct jinja_value find_method(struct jinja *r, struct jinja_value self, const struct jinja_args *args,
                                      bool last, bool must)
{
    const struct jinja_string *needle = jinja_arg_string(r, args, 0, "sub", NULL);
    if (!needle) return jinja_undefined();
    if (args->n > 1) return jinja_fail_unsupported(r, "only one argument is supported");
    const struct str s = jinja_bytes(self.string);
    const size_t at = (last ? jinja_find_last : jinja_find)(r, s, 0, s.n, jinja_bytes(needle));
    if (at == SIZE_MAX) return must ? jinja_fail(r, "substring not found") : jinja_int(-1);
    size_t chars = 0, used;
    for (size_t i = 0; i < at; i += used, chars++) unicode_decode(s.data + i, s.n - i, &used);
    return jinja_int((int64_t)chars);
}
static struct jinja_value s_find(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    return find_method(r, self, args, false, false);
}
static struct jinja_value s_rfind(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    return find_method(r, self, args, true, false);
}
static struct jinja_value s_index(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    return find_method(r, self, args, false, true);
}
static struct jinja_value s_count(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const struct jinja_string *needle = jinja_arg_string(r, args, 0, "sub", NULL);
    int64_t n = 0;
    if (!needle) return jinja_undefined();
    if (needle->n == 0) return jinja_int((int64_t)jinja_chars(r, self.string) + 1);
    for (size_t at = 0; jinja_ok(r); n++, at += needle->n) {
        at = jinja_find(r, jinja_bytes(self.string), at, self.string->n, jinja_bytes(needle));
        if (at == SIZE_MAX) break;
    }
    return jinja_int(n);
}

static bool is_decimal(uint32_t cp) { return cp >= '0' && cp <= '9'; }
static bool is_letter(uint32_t cp) { return unicode_class(cp) == UNICODE_LETTER; }
static bool is_letter_or_number(uint32_t cp) { return is_letter(cp) || unicode_class(cp) == UNICODE_NUMBER; }
static struct jinja_value all_chars(struct jinja *r, const struct jinja_string *s, bool (*test)(uint32_t cp))
{
    size_t used;
    jinja_work(r, s->n);
    for (size_t i = 0; i < s->n; i += used)
        if (!test(unicode_decode(s->data + i, s->n - i, &used))) return jinja_bool(false);
    return jinja_bool(s->n > 0);
}
static struct jinja_value cased_as(struct jinja *r, const struct jinja_string *s, bool upper)
{
    bool any = false;
    size_t used;
    jinja_work(r, s->n);
    for (size_t i = 0; i < s->n; i += used) {
        const uint32_t cp = unicode_decode(s->data + i, s->n - i, &used);
        if (upper ? jinja_is_lower(cp) : jinja_is_upper(cp)) return jinja_bool(false);
        any = any || (upper ? jinja_is_upper(cp) : jinja_is_lower(cp));
    }
    return jinja_bool(any);
}
#define ASK_METHOD(name, answer)                                                                                     \
    static struct jinja_value name(struct jinja *r, struct jinja_value self, const struct jinja_args *args)          \
    {                                                                                                                \
        (void)args;                                                                                                  \
        return answer;                                                                                               \
    }
ASK_METHOD(s_isdigit, all_chars(r, self.string, is_decimal))
ASK_METHOD(s_isalpha, all_chars(r, self.string, is_letter))
ASK_METHOD(s_isalnum, all_chars(r, self.string, is_letter_or_number))
ASK_METHOD(s_isspace, all_chars(r, self.string, jinja_is_space))
ASK_METHOD(s_isupper, cased_as(r, self.string, true))
ASK_METHOD(s_islower, cased_as(r, self.string, false))

/* --- strings: split and join ----------------------------------------------------------- */

static struct jinja_value split_spaces(struct jinja *r, struct jinja_string *s, int64_t most)
{
    struct jinja_value out = jinja_list_new(r, 0, FLAVOUR_LIST);
    size_t used;
    jinja_work(r, s->n);
    for (size_t i = 0; i < s->n && jinja_ok(r);) {
        if (jinja_is_space(unicode_decode(s->data + i, s->n - i, &used))) {
            i += used;
            continue;
        }
        if (most-- == 0) { /* the rest as it is */
            jinja_list_add(r, out.list, jinja_substring(r, s, i, s->n));
            break;
        }
        size_t to = i;
        while (to < s->n && !jinja_is_space(unicode_decode(s->data + to, s->n - to, &used))) to += used;
        jinja_list_add(r, out.list, jinja_substring(r, s, i, to));
        i = to;
    }
    return out;
}

static struct jinja_value s_split(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    struct jinja_value separator = jinja_none();
    struct jinja_string *s = self.string;
    jinja_has_arg(args, 0, "sep", &separator);
    int64_t most = jinja_arg_int(r, args, 1, "maxsplit", -1);
    if (!jinja_ok(r)) return jinja_undefined();
    if (separator.kind == JINJA_NONE) return split_spaces(r, s, most);
    if (separator.kind != JINJA_STRING)
        return jinja_fail(r, "sep must be a string, not %s", jinja_type_name(separator));
    if (separator.string->n == 0) return jinja_fail(r, "empty separator");
    struct jinja_value out = jinja_list_new(r, 0, FLAVOUR_LIST);
    size_t at = 0;
    for (; most != 0 && jinja_ok(r); most--) {
        const size_t found = jinja_find(r, jinja_bytes(s), at, s->n, jinja_bytes(separator.string));
        if (found == SIZE_MAX) break;
        jinja_list_add(r, out.list, jinja_substring(r, s, at, found));
        at = found + separator.string->n;
    }
    if (jinja_ok(r)) jinja_list_add(r, out.list, jinja_substring(r, s, at, s->n));
    return out;
}

static struct jinja_value s_rsplit(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    struct jinja_value separator = jinja_none();
    struct jinja_string *s = self.string;
    jinja_has_arg(args, 0, "sep", &separator);
    int64_t most = jinja_arg_int(r, args, 1, "maxsplit", -1);
    if (!jinja_ok(r)) return jinja_undefined();
    if (separator.kind != JINJA_STRING || separator.string->n == 0)
        return jinja_fail_unsupported(r, "rsplit needs a separator");
    struct jinja_value parts = jinja_list_new(r, 0, FLAVOUR_LIST), out;
    size_t to = s->n;
    for (; most != 0 && jinja_ok(r); most--) {
        const size_t found = jinja_find_last(r, jinja_bytes(s), 0, to, jinja_bytes(separator.string));
        if (found == SIZE_MAX) break;
        jinja_list_add(r, parts.list, jinja_substring(r, s, found + separator.string->n, to));
        to = found;
    }
    if (jinja_ok(r)) jinja_list_add(r, parts.list, jinja_substring(r, s, 0, to));
    if (!jinja_ok(r)) return jinja_undefined();
    out = jinja_list_new(r, parts.list->n, FLAVOUR_LIST);
    for (size_t i = parts.list->n; i-- > 0 && jinja_ok(r);) jinja_list_add(r, out.list, parts.list->at[i]);
    return out;
}

static struct jinja_value s_splitlines(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const bool keep = jinja_arg_bool(r, args, 0, "keepends", false);
    const struct jinja_string *s = self.string;
    struct jinja_value out = jinja_list_new(r, 0, FLAVOUR_LIST);
    size_t begin = 0, used;
    jinja_work(r, s->n);
    for (size_t i = 0; i < s->n && jinja_ok(r);) {
        const uint32_t cp = unicode_decode(s->data + i, s->n - i, &used);
        const size_t end = i;
        i += used;
        if (!((cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029))
            continue;
        if (cp == '\r' && i < s->n && s->data[i] == '\n') i++;
        jinja_list_add(r, out.list, jinja_substring(r, s, begin, keep ? i : end));
        begin = i;
    }
    if (begin < s->n && jinja_ok(r)) jinja_list_add(r, out.list, jinja_substring(r, s, begin, s->n));
    return out;
}

static struct jinja_value s_join(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    struct jinja_text t = {0};
    const struct jinja_list *items = jinja_items(r, jinja_arg(args, 0, "iterable"));
    for (size_t i = 0; items && i < items->n && jinja_ok(r); i++) {
        if (items->at[i].kind != JINJA_STRING)
            return jinja_fail(r, "item %zu is no string but %s", i, jinja_type_name(items->at[i]));
        if (i) jinja_put_string(r, &t, self.string);
        jinja_put_string(r, &t, items->at[i].string);
    }
    return jinja_text_value(r, &t);
}

static struct jinja_value refuse_format(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    (void)self, (void)args;
    return jinja_fail_unsupported(r, "this method is not supported");
}

/* --- dictionaries and lists ----------------------------------------------------------- */

static struct jinja_value d_get(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    struct jinja_value v = jinja_none();
    jinja_has_arg(args, 1, "default", &v);
    jinja_dict_find(r, self.dict, jinja_arg(args, 0, "key"), &v);
    return v;
}
static struct jinja_value d_list(struct jinja *r, struct jinja_value self, bool keys, bool values)
{
    struct jinja_value out = jinja_list_new(r, self.dict->n, FLAVOUR_VIEW);
    for (size_t i = 0; i < self.dict->n && jinja_ok(r); i++) {
        struct jinja_value item = keys ? self.dict->keys[i] : self.dict->values[i];
        if (keys && values) {
            item = jinja_list_new(r, 2, FLAVOUR_TUPLE);
            if (!jinja_ok(r)) break;
            jinja_list_add(r, item.list, self.dict->keys[i]);
            jinja_list_add(r, item.list, self.dict->values[i]);
            item.origin = self.origin;
        }
        jinja_list_add(r, out.list, item);
    }
    out.origin = self.origin;
    return out;
}
ASK_METHOD(d_items, d_list(r, self, true, true))
ASK_METHOD(d_keys, d_list(r, self, true, false))
ASK_METHOD(d_values, d_list(r, self, false, true))
ASK_METHOD(copy_self, ((void)r, self))

static struct jinja_value refuse(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    (void)args;
    return jinja_fail(r, "a template may not change a %s", jinja_type_name(self));
}

static struct jinja_value l_index(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const struct jinja_value item = jinja_arg(args, 0, "value");
    for (size_t i = 0; i < self.list->n && jinja_ok(r); i++)
        if (jinja_equal(r, self.list->at[i], item, 0)) return jinja_int((int64_t)i);
    return jinja_fail(r, "the list has no such item");
}
static struct jinja_value l_count(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const struct jinja_value item = jinja_arg(args, 0, "value");
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n && jinja_ok(r); i++) n += jinja_equal(r, self.list->at[i], item, 0);
    return jinja_int(n);
}
static struct jinja_value loop_cycle(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    if (args->n == 0) return jinja_fail(r, "cycle needs values");
    return args->at[self.loop->i % args->n];
}

static const struct jinja_builtin string_methods[] = {{"strip", s_strip},
                                                      {"lstrip", s_lstrip},
                                                      {"rstrip", s_rstrip},
                                                      {"split", s_split},
                                                      {"rsplit", s_rsplit},
                                                      {"startswith", s_startswith},
                                                      {"endswith", s_endswith},
                                                      {"lower", s_lower},
                                                      {"upper", s_upper},
                                                      {"title", s_title},
                                                      {"capitalize", s_capitalize},
                                                      {"replace", s_replace},
                                                      {"find", s_find},
                                                      {"rfind", s_rfind},
                                                      {"index", s_index},
                                                      {"count", s_count},
                                                      {"join", s_join},
                                                      {"splitlines", s_splitlines},
                                                      {"removeprefix", s_removeprefix},
                                                      {"removesuffix", s_removesuffix},
                                                      {"isdigit", s_isdigit},
                                                      {"isalpha", s_isalpha},
                                                      {"isalnum", s_isalnum},
                                                      {"isspace", s_isspace},
                                                      {"isupper", s_isupper},
                                                      {"islower", s_islower},
                                                      {"format", refuse_format},
                                                      {"encode", refuse_format},
                                                      {"ljust", refuse_format},
                                                      {"rjust", refuse_format},
                                                      {"center", refuse_format},
                                                      {"zfill", refuse_format},
                                                      {"partition", refuse_format},
                                                      {"rpartition", refuse_format},
                                                      {"casefold", refuse_format},
                                                      {"swapcase", refuse_format},
                                                      {"expandtabs", refuse_format},
                                                      {"translate", refuse_format}};
static const struct jinja_builtin dict_methods[] = {{"get", d_get},         {"items", d_items},  {"keys", d_keys},
                                                    {"values", d_values},   {"copy", copy_self}, {"pop", refuse},
                                                    {"update", refuse},     {"clear", refuse},   {"popitem", refuse},
                                                    {"setdefault", refuse}, {"fromkeys", refuse}};
static const struct jinja_builtin list_methods[] = {{"index", l_index},  {"count", l_count}, {"copy", copy_self},
                                                    {"append", refuse},  {"extend", refuse}, {"insert", refuse},
                                                    {"pop", refuse},     {"remove", refuse}, {"clear", refuse},
                                                    {"reverse", refuse}, {"sort", refuse}};
static const struct jinja_builtin loop_methods[] = {{"cycle", loop_cycle}, {"changed", refuse_format}};

const struct jinja_builtin *jinja_find_method(struct jinja_value self, struct str name)
{
    switch (self.kind) {
    case JINJA_STRING: return jinja_find_in(string_methods, COUNT_OF(string_methods), name);
    case JINJA_DICT: return jinja_find_in(dict_methods, COUNT_OF(dict_methods), name);
    case JINJA_LIST:
        return self.list->flavour <= FLAVOUR_TUPLE ? jinja_find_in(list_methods, COUNT_OF(list_methods), name) : NULL;
    case JINJA_LOOP: return jinja_find_in(loop_methods, COUNT_OF(loop_methods), name);
    default: return NULL;
    }
}
