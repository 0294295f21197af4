/* jinja_filters: the filters, `value | name(...)`, with Jinja's meaning; see jinja_run.h. Sorting and tojson have rooms
 * of their own. */
#include "jinja_run.h"
#include "json.h"
#include "unicode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FILTER(name)                                                                                                 \
    static struct jinja_value name(struct jinja *r, struct jinja_value self, const struct jinja_args *args)

FILTER(f_length)
{
    (void)args;
    switch (self.kind) {
    case JINJA_STRING: return jinja_int((int64_t)jinja_chars(r, self.string));
    case JINJA_DICT: return jinja_int((int64_t)self.dict->n);
    case JINJA_UNDEFINED: return jinja_int(0);
    case JINJA_LIST:
        if (self.list->flavour != FLAVOUR_GENERATOR) return jinja_int((int64_t)self.list->n);
        break;
    default: break;
    }
    return jinja_fail(r, "a %s has no length", jinja_type_name(self));
}

FILTER(f_trim)
{
    struct jinja_value chars = jinja_none();
    jinja_has_arg(args, 0, "chars", &chars);
    self = jinja_to_string(r, self);
    if (!jinja_ok(r)) return self;
    return jinja_strip(r, self.string, JINJA_STRIP_LEFT | JINJA_STRIP_RIGHT,
                       chars.kind == JINJA_STRING ? chars.string : NULL);
}

static struct jinja_value case_filter(struct jinja *r, struct jinja_value self, int how)
{
    self = jinja_to_string(r, self);
    return jinja_ok(r) ? jinja_change_case(r, self.string, how) : self;
}
FILTER(f_lower) { return (void)args, case_filter(r, self, CASE_LOWER); }
FILTER(f_upper) { return (void)args, case_filter(r, self, CASE_UPPER); }
FILTER(f_title) { return (void)args, case_filter(r, self, CASE_FILTER_TITLE); }
FILTER(f_capitalize) { return (void)args, case_filter(r, self, CASE_CAPITALIZE); }

FILTER(f_default)
{
    struct jinja_value otherwise = jinja_string_of(r, STR(""), TEMPLATE_ORIGIN);
    jinja_has_arg(args, 0, "default_value", &otherwise);
    const bool falsy_too = jinja_arg_bool(r, args, 1, "boolean", false);
    return self.kind == JINJA_UNDEFINED || (falsy_too && !jinja_truth(r, self)) ? otherwise : self;
}

/* obj.a.b.0 as Jinja's attribute arguments have it */
struct jinja_value jinja_path(struct jinja *r, struct jinja_value object, struct jinja_value path)
{
    if (path.kind != JINJA_STRING) return jinja_index(r, r->at, object, path);
    const struct jinja_string *s = path.string;
    for (size_t from = 0; from <= s->n && jinja_ok(r);) {
        size_t to = from;
        while (to < s->n && s->data[to] != '.') to++;
        bool digits = to > from && to - from < 10;
        int64_t number = 0;
        for (size_t i = from; i < to && digits; i++) {
            digits = s->data[i] >= '0' && s->data[i] <= '9';
            number = number * 10 + (s->data[i] - '0');
        }
        const struct jinja_value key = digits ? jinja_int(number) : jinja_substring(r, s, from, to);
        if (jinja_ok(r)) object = jinja_index(r, NULL, object, key);
        from = to + 1;
    }
    return object;
}

FILTER(f_join)
{
    struct jinja_text t = {0};
    struct jinja_value separator = jinja_undefined(), attribute = jinja_none();
    jinja_has_arg(args, 0, "d", &separator);
    jinja_has_arg(args, 1, "attribute", &attribute);
    const struct jinja_list *items = jinja_items(r, self);
    for (size_t i = 0; items && i < items->n && jinja_ok(r); i++) {
        if (i) jinja_put_value(r, &t, separator);
        const struct jinja_value v =
            attribute.kind == JINJA_NONE ? items->at[i] : jinja_path(r, items->at[i], attribute);
        if (jinja_ok(r)) jinja_put_value(r, &t, v);
    }
    return jinja_text_value(r, &t);
}

FILTER(f_replace)
{
    self = jinja_to_string(r, self);
    struct jinja_value old = jinja_arg(args, 0, "old"), to = jinja_arg(args, 1, "new"), count = jinja_none();
    jinja_has_arg(args, 2, "count", &count);
    old = jinja_to_string(r, old);
    to = jinja_to_string(r, to);
    if (!jinja_ok(r)) return jinja_undefined();
    return jinja_replace(r, self.string, old.string, to.string, jinja_is_whole(count) ? jinja_whole(count) : -1);
}

FILTER(f_list)
{
    (void)args;
    const struct jinja_list *items = jinja_items(r, self);
    struct jinja_value out = jinja_list_new(r, items ? items->n : 0, FLAVOUR_LIST);
    for (size_t i = 0; items && i < items->n && jinja_ok(r); i++) jinja_list_add(r, out.list, items->at[i]);
    out.origin = self.origin;
    return out;
}

FILTER(f_string) { return (void)args, jinja_to_string(r, self); }
FILTER(f_safe) { return (void)args, (void)r, self; }

FILTER(f_first)
{
    (void)args;
    if (self.kind == JINJA_STRING || self.kind == JINJA_LIST) return jinja_index(r, r->at, self, jinja_int(0));
    const struct jinja_list *items = jinja_items(r, self);
    return items && items->n ? items->at[0] : jinja_undefined();
}
FILTER(f_last)
{
    (void)args;
    if (self.kind == JINJA_STRING || self.kind == JINJA_LIST) return jinja_index(r, r->at, self, jinja_int(-1));
    const struct jinja_list *items = jinja_items(r, self);
    return items && items->n ? items->at[items->n - 1] : jinja_undefined();
}

FILTER(f_reverse)
{
    (void)args;
    const struct jinja_value backwards[3] = {jinja_none(), jinja_none(), jinja_int(-1)};
    if (self.kind == JINJA_STRING) return jinja_slice(r, self, backwards);
    const struct jinja_list *items = jinja_items(r, self);
    struct jinja_value out = jinja_list_new(r, items ? items->n : 0, FLAVOUR_GENERATOR);
    for (size_t i = items ? items->n : 0; i-- > 0 && jinja_ok(r);) jinja_list_add(r, out.list, items->at[i]);
    return out;
}

FILTER(f_items)
{
    (void)args;
    if (self.kind == JINJA_UNDEFINED) return jinja_list_new(r, 0, FLAVOUR_GENERATOR);
    if (self.kind != JINJA_DICT) return jinja_fail(r, "a mapping is needed, not %s", jinja_type_name(self));
    const struct jinja_args none = {0};
    struct jinja_value out = jinja_find_method(self, STR("items"))->call(r, self, &none);
    if (jinja_ok(r)) out.list->flavour = FLAVOUR_GENERATOR;
    return out;
}

/* --- map, select, reject ----------------------------------------------------------- */

/* As in Jinja, what is false has no items, whatever it is. */
static const struct jinja_list *items_or_none(struct jinja *r, struct jinja_value v)
{
    return jinja_items(r, jinja_truth(r, v) ? v : jinja_undefined());
}

FILTER(f_map)
{
    struct jinja_value attribute = jinja_undefined(), otherwise = jinja_undefined();
    const struct jinja_list *items = items_or_none(r, self);
    const struct jinja_builtin *filter = NULL;
    const struct jinja_args rest = jinja_args_after(args, 1);
    if (!items) return jinja_undefined();
    const bool by_attribute = args->n == 0 && jinja_has_arg(args, SIZE_MAX, "attribute", &attribute);
    jinja_has_arg(args, SIZE_MAX, "default", &otherwise);
    if (!by_attribute) {
        const struct jinja_string *name = jinja_arg_string(r, args, 0, "filter", NULL);
        if (!name) return jinja_undefined();
        filter = jinja_find_filter(jinja_bytes(name));
        if (!filter) return jinja_fail_unsupported(r, "there is no filter of that name");
    }
    struct jinja_value out = jinja_list_new(r, items->n, FLAVOUR_GENERATOR);
    for (size_t i = 0; i < items->n && jinja_ok(r); i++) {
        struct jinja_value v =
            by_attribute ? jinja_path(r, items->at[i], attribute) : filter->call(r, items->at[i], &rest);
        if (by_attribute && v.kind == JINJA_UNDEFINED) v = otherwise;
        jinja_work(r, 256);
        if (jinja_ok(r)) jinja_list_add(r, out.list, v);
    }
    return out;
}

static struct jinja_value choose(struct jinja *r, struct jinja_value self, const struct jinja_args *args,
                                 bool by_attribute, bool keep)
{
    const struct jinja_list *items = items_or_none(r, self);
    const size_t first = by_attribute ? 1 : 0;
    const struct jinja_builtin *test = NULL;
    const struct jinja_args rest = jinja_args_after(args, first + 1);
    if (!items) return jinja_undefined();
    if (by_attribute && args->n == 0) return jinja_fail(r, "the attribute's name is missing");
    if (args->n > first) {
        const struct jinja_string *name = jinja_arg_string(r, args, first, "test", NULL);
        if (!name) return jinja_undefined();
        test = jinja_find_test(jinja_bytes(name));
        if (!test) return jinja_fail_unsupported(r, "there is no test of that name");
    }
    struct jinja_value out = jinja_list_new(r, 0, FLAVOUR_GENERATOR);
    for (size_t i = 0; i < items->n && jinja_ok(r); i++) {
        struct jinja_value v = by_attribute ? jinja_path(r, items->at[i], args->at[0]) : items->at[i];
        if (test && jinja_ok(r)) v = test->call(r, v, &rest);
        jinja_work(r, 256);
        if (jinja_ok(r) && jinja_truth(r, v) == keep) jinja_list_add(r, out.list, items->at[i]);
    }
    return out;
}
FILTER(f_select) { return choose(r, self, args, false, true); }
FILTER(f_reject) { return choose(r, self, args, false, false); }
FILTER(f_selectattr) { return choose(r, self, args, true, true); }
FILTER(f_rejectattr) { return choose(r, self, args, true, false); }

FILTER(f_attr)
{
    const struct jinja_string *name = jinja_arg_string(r, args, 0, "name", NULL);
    if (!name) return jinja_undefined();
    if (self.kind == JINJA_DICT) return jinja_undefined(); /* attributes only, not items */
    return jinja_attribute(r, NULL, self, jinja_bytes(name));
}

FILTER(f_unique)
{
    (void)args;
    const struct jinja_list *items = jinja_items(r, self);
    struct jinja_value out = jinja_list_new(r, 0, FLAVOUR_GENERATOR);
    for (size_t i = 0; items && i < items->n && jinja_ok(r); i++) {
        bool seen = false;
        for (size_t k = 0; k < out.list->n && !seen && jinja_ok(r); k++) {
            struct jinja_value a = items->at[i], b = out.list->at[k];
            if (a.kind == JINJA_STRING && b.kind == JINJA_STRING) {
                a = jinja_change_case(r, a.string, CASE_LOWER);
                b = jinja_change_case(r, b.string, CASE_LOWER);
            }
            seen = jinja_equal(r, a, b, 0);
        }
        if (!seen) jinja_list_add(r, out.list, items->at[i]);
    }
    return out;
}

/* --- numbers ----------------------------------------------------------- */

/* The number that a string spells: digits with one sign, a fraction and an exponent. */
static bool read_number(const struct jinja_string *s, double *out)
{
    size_t from = 0, to = s->n, n_digits = 0;
    bool negative = false;
    while (from < to && (s->data[from] == ' ' || s->data[from] == '\n')) from++;
    while (to > from && (s->data[to - 1] == ' ' || s->data[to - 1] == '\n')) to--;
    if (from < to && (s->data[from] == '-' || s->data[from] == '+')) negative = s->data[from++] == '-';
    size_t i = from;
    while (i < to && s->data[i] >= '0' && s->data[i] <= '9') i++, n_digits++;
    if (i < to && s->data[i] == '.')
        for (i++; i < to && s->data[i] >= '0' && s->data[i] <= '9'; i++) n_digits++;
    if (n_digits && i < to && (s->data[i] == 'e' || s->data[i] == 'E')) {
        i++;
        if (i < to && (s->data[i] == '-' || s->data[i] == '+')) i++;
        const size_t exponent = i;
        while (i < to && s->data[i] >= '0' && s->data[i] <= '9') i++;
        if (i == exponent) return false;
    }
    if (i != to || !n_digits) return false;
    *out = json_number((struct str){s->data + from, to - from});
    if (negative) *out = -*out;
    return true;
}

FILTER(f_int)
{
    struct jinja_value otherwise = jinja_int(0);
    double d = 0;
    jinja_has_arg(args, 0, "default", &otherwise);
    if (jinja_arg_int(r, args, 1, "base", 10) != 10) return jinja_fail_unsupported(r, "only base 10 is supported");
    if (self.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, self);
    if (self.kind == JINJA_INT) return self;
    if (self.kind == JINJA_BOOL) return jinja_int(self.truth);
    if (self.kind == JINJA_BIG) return self;
    if (self.kind == JINJA_FLOAT) d = self.number;
    else if (self.kind != JINJA_STRING || !read_number(self.string, &d)) return otherwise;
    if (self.kind == JINJA_STRING && fabs(d) >= 9007199254740992.0)
        return jinja_fail_unsupported(r, "a number of more than 53 bits");
    if (d != d || fabs(d) > 1.7976931348623157e308) return otherwise;
    if (!(fabs(d) < 9223372036854775808.0)) return jinja_fail_unsupported(r, "a number of more than 64 bits");
    struct jinja_value v = jinja_int((int64_t)d);
    v.origin = self.origin;
    return v;
}

FILTER(f_float)
{
    if (self.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, self);
    struct jinja_value otherwise = jinja_float(0), v;
    double d = 0;
    jinja_has_arg(args, 0, "default", &otherwise);
    if (jinja_is_number(self)) d = jinja_real(self);
    else if (self.kind != JINJA_STRING || !read_number(self.string, &d)) return otherwise;
    v = jinja_float(d);
    v.origin = self.origin;
    return v;
}

FILTER(f_abs)
{
    (void)args;
    if (self.kind == JINJA_FLOAT) {
        self.number = fabs(self.number);
        return self;
    }
    if (!jinja_is_whole(self)) return jinja_fail(r, "a number is needed, not %s", jinja_type_name(self));
    return jinja_binary(r, jinja_whole(self) < 0 ? '-' : '+', jinja_int(0), self);
}

FILTER(f_round)
{
    const int64_t digits = jinja_arg_int(r, args, 0, "precision", 0);
    struct jinja_string *how = NULL;
    struct jinja_value method;
    if (jinja_has_arg(args, 1, "method", &method)) how = jinja_arg_string(r, args, 1, "method", NULL);
    if (!jinja_is_number(self)) return jinja_fail(r, "a number is needed, not %s", jinja_type_name(self));
    if (digits < 0 || digits > 15) return jinja_fail_unsupported(r, "precision must be 0 to 15");
    if (jinja_is_whole(self) && (!how || str_eqz(jinja_bytes(how), "common")))
        return jinja_binary(r, '+', self, jinja_int(0));
    const double scale = pow(10, (double)digits);
    if (how && str_eqz(jinja_bytes(how), "ceil")) return jinja_float(ceil(jinja_real(self) * scale) / scale);
    if (how && str_eqz(jinja_bytes(how), "floor")) return jinja_float(floor(jinja_real(self) * scale) / scale);
    char text[400];
    const int n = snprintf(text, sizeof text, "%.*f", (int)digits, jinja_real(self)); /* correct to the last digit */
    for (int i = 0; i < n; i++)
        if (text[i] != '-' && (text[i] < '0' || text[i] > '9')) text[i] = '.';
    return jinja_float(n > 0 && n < (int)sizeof text && fabs(jinja_real(self)) < 1e300
                           ? json_number((struct str){text, (size_t)n})
                           : jinja_real(self));
}

FILTER(f_sum)
{
    struct jinja_value attribute = jinja_none(), sum = jinja_int(0);
    jinja_has_arg(args, 0, "attribute", &attribute);
    jinja_has_arg(args, 1, "start", &sum);
    const struct jinja_list *items = jinja_items(r, self);
    for (size_t i = 0; items && i < items->n && jinja_ok(r); i++)
        sum = jinja_binary(r, '+', sum,
                           attribute.kind == JINJA_NONE ? items->at[i] : jinja_path(r, items->at[i], attribute));
    return sum;
}

static struct jinja_value extreme(struct jinja *r, struct jinja_value self, const struct jinja_args *args, int sign)
{
    const bool exact = jinja_arg_bool(r, args, 0, "case_sensitive", false);
    struct jinja_value attribute = jinja_none(), best = jinja_undefined(), best_key = jinja_undefined();
    jinja_has_arg(args, 1, "attribute", &attribute);
    const struct jinja_list *items = jinja_items(r, self);
    for (size_t i = 0; items && i < items->n && jinja_ok(r); i++) {
        struct jinja_value key = attribute.kind == JINJA_NONE ? items->at[i] : jinja_path(r, items->at[i], attribute);
        if (key.kind == JINJA_STRING && !exact && jinja_ok(r)) key = jinja_change_case(r, key.string, CASE_LOWER);
        if (i && sign * jinja_order(r, key, best_key) <= 0) continue;
        best = items->at[i];
        best_key = key;
    }
    return best;
}
FILTER(f_max) { return extreme(r, self, args, 1); }
FILTER(f_min) { return extreme(r, self, args, -1); }

FILTER(f_indent)
{
    struct jinja_value width = jinja_int(4);
    struct jinja_text t = {0};
    jinja_has_arg(args, 0, "width", &width);
    const bool first = jinja_arg_bool(r, args, 1, "first", false), blank = jinja_arg_bool(r, args, 2, "blank", false);
    if (self.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, self);
    if (self.kind != JINJA_STRING) return jinja_fail(r, "a string is needed, not %s", jinja_type_name(self));
    if (jinja_is_whole(width)) width = jinja_binary(r, '*', jinja_string_of(r, STR(" "), TEMPLATE_ORIGIN), width);
    if (!jinja_ok(r) || width.kind != JINJA_STRING) return jinja_fail(r, "width must be a number or a string");
    const struct jinja_args none = {0};
    const int32_t origin = self.origin;
    const struct jinja_value lines = jinja_find_method(self, STR("splitlines"))->call(r, self, &none);
    if (!jinja_ok(r)) return lines;
    const size_t n = self.string->n;
    const bool more = n == 0 || self.string->data[n - 1] == '\n'; /* the text counts as having one more line then */
    for (size_t i = 0; i < lines.list->n + more && jinja_ok(r); i++) {
        const struct jinja_string *line = i < lines.list->n ? lines.list->at[i].string : NULL;
        if (i) jinja_put(r, &t, "\n", 1, origin);
        if (i ? (line && line->n) || blank : first) jinja_put_string(r, &t, width.string);
        if (line) jinja_put_string(r, &t, line);
    }
    return jinja_text_value(r, &t);
}

static const struct jinja_builtin filters[] = {{"length", f_length},
                                               {"count", f_length},
                                               {"tojson", jinja_filter_tojson},
                                               {"trim", f_trim},
                                               {"lower", f_lower},
                                               {"upper", f_upper},
                                               {"title", f_title},
                                               {"capitalize", f_capitalize},
                                               {"default", f_default},
                                               {"d", f_default},
                                               {"join", f_join},
                                               {"replace", f_replace},
                                               {"list", f_list},
                                               {"string", f_string},
                                               {"safe", f_safe},
                                               {"first", f_first},
                                               {"last", f_last},
                                               {"reverse", f_reverse},
                                               {"items", f_items},
                                               {"map", f_map},
                                               {"select", f_select},
                                               {"reject", f_reject},
                                               {"selectattr", f_selectattr},
                                               {"rejectattr", f_rejectattr},
                                               {"attr", f_attr},
                                               {"unique", f_unique},
                                               {"int", f_int},
                                               {"float", f_float},
                                               {"abs", f_abs},
                                               {"round", f_round},
                                               {"sum", f_sum},
                                               {"max", f_max},
                                               {"min", f_min},
                                               {"indent", f_indent},
                                               {"sort", jinja_filter_sort},
                                               {"dictsort", jinja_filter_dictsort}};

const struct jinja_builtin *jinja_find_filter(struct str name)
{
    return jinja_find_in(filters, COUNT_OF(filters), name);
}
