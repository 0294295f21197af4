/* jinja_functions: the tests (`x is name`) and the global functions; see jinja_run.h. */
#include "jinja_run.h"

#include <stdio.h>
#include <string.h>

#define TEST(name)                                                                                                   \
    static struct jinja_value name(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
#define KIND_TEST(name, condition)                                                                                   \
    TEST(name)                                                                                                       \
    {                                                                                                                \
        (void)r, (void)args;                                                                                         \
        return jinja_bool(condition);                                                                                \
    }
KIND_TEST(t_defined, self.kind != JINJA_UNDEFINED)
KIND_TEST(t_undefined, self.kind == JINJA_UNDEFINED)
KIND_TEST(t_none, self.kind == JINJA_NONE)
KIND_TEST(t_boolean, self.kind == JINJA_BOOL)
KIND_TEST(t_true, self.kind == JINJA_BOOL && self.truth)
KIND_TEST(t_false, self.kind == JINJA_BOOL && !self.truth)
KIND_TEST(t_integer, self.kind == JINJA_INT || self.kind == JINJA_BIG)
KIND_TEST(t_float, self.kind == JINJA_FLOAT)
KIND_TEST(t_number, jinja_is_number(self) || self.kind == JINJA_BIG)
KIND_TEST(t_string, self.kind == JINJA_STRING)
KIND_TEST(t_mapping, self.kind == JINJA_DICT)
KIND_TEST(t_iterable, self.kind == JINJA_STRING || self.kind == JINJA_LIST || self.kind == JINJA_DICT ||
                          self.kind == JINJA_UNDEFINED || self.kind == JINJA_LOOP)
KIND_TEST(t_sequence, self.kind == JINJA_STRING || self.kind == JINJA_DICT || self.kind == JINJA_UNDEFINED ||
                          (self.kind == JINJA_LIST && self.list->flavour <= FLAVOUR_TUPLE))
KIND_TEST(t_callable, self.kind >= JINJA_MACRO || self.kind == JINJA_UNDEFINED)
KIND_TEST(t_sameas, args->n == 1 && self.kind == args->at[0].kind &&
                        (self.kind == JINJA_LIST || self.kind == JINJA_DICT ? self.list == args->at[0].list
                                                                            : jinja_equal(r, self, args->at[0], 0)))
KIND_TEST(t_eq, jinja_equal(r, self, jinja_arg(args, 0, "other"), 0))
KIND_TEST(t_ne, !jinja_equal(r, self, jinja_arg(args, 0, "other"), 0))
KIND_TEST(t_lt, jinja_order(r, self, jinja_arg(args, 0, "other")) < 0)
KIND_TEST(t_le, jinja_order(r, self, jinja_arg(args, 0, "other")) <= 0)
KIND_TEST(t_gt, jinja_order(r, self, jinja_arg(args, 0, "other")) > 0)
KIND_TEST(t_ge, jinja_order(r, self, jinja_arg(args, 0, "other")) >= 0)
KIND_TEST(t_in, jinja_contains(r, jinja_arg(args, 0, "seq"), self))

static struct jinja_value remainder_is(struct jinja *r, struct jinja_value self, struct jinja_value by, int64_t want)
{
    const struct jinja_value rest = jinja_binary(r, '%', self, by);
    return jinja_bool(jinja_ok(r) && jinja_equal(r, rest, jinja_int(want), 0));
}
TEST(t_odd) { return (void)args, remainder_is(r, self, jinja_int(2), 1); }
TEST(t_even) { return (void)args, remainder_is(r, self, jinja_int(2), 0); }
TEST(t_divisibleby) { return remainder_is(r, self, jinja_arg(args, 0, "num"), 0); }

static struct jinja_value cased(struct jinja *r, struct jinja_value self, const char *method)
{
    self = jinja_to_string(r, self);
    const struct jinja_args none = {0};
    return jinja_ok(r) ? jinja_find_method(self, str_of(method))->call(r, self, &none) : self;
}
TEST(t_lower) { return (void)args, cased(r, self, "islower"); }
TEST(t_upper) { return (void)args, cased(r, self, "isupper"); }

static bool names(struct jinja_value v, const struct jinja_builtin *(*find)(struct str name))
{
    return v.kind == JINJA_STRING && find(jinja_bytes(v.string)) != NULL;
}
KIND_TEST(t_filter, names(self, jinja_find_filter))
KIND_TEST(t_test, names(self, jinja_find_test))

static const struct jinja_builtin tests[] = {{"defined", t_defined},
                                             {"undefined", t_undefined},
                                             {"none", t_none},
                                             {"boolean", t_boolean},
                                             {"true", t_true},
                                             {"false", t_false},
                                             {"integer", t_integer},
                                             {"float", t_float},
                                             {"number", t_number},
                                             {"string", t_string},
                                             {"mapping", t_mapping},
                                             {"iterable", t_iterable},
                                             {"sequence", t_sequence},
                                             {"callable", t_callable},
                                             {"sameas", t_sameas},
                                             {"eq", t_eq},
                                             {"==", t_eq},
                                             {"equalto", t_eq},
                                             {"ne", t_ne},
                                             {"!=", t_ne},
                                             {"lt", t_lt},
                                             {"<", t_lt},
                                             {"lessthan", t_lt},
                                             {"le", t_le},
                                             {"<=", t_le},
                                             {"gt", t_gt},
                                             {">", t_gt},
                                             {"greaterthan", t_gt},
                                             {"ge", t_ge},
                                             {">=", t_ge},
                                             {"in", t_in},
                                             {"odd", t_odd},
                                             {"even", t_even},
                                             {"divisibleby", t_divisibleby},
                                             {"lower", t_lower},
                                             {"upper", t_upper},
                                             {"filter", t_filter},
                                             {"test", t_test}};

const struct jinja_builtin *jinja_find_test(struct str name) { return jinja_find_in(tests, COUNT_OF(tests), name); }

/* --- functions ----------------------------------------------------------- */

TEST(g_raise_exception)
{
    (void)self;
    struct jinja_value words = jinja_to_string(r, jinja_arg(args, 0, "message"));
    return jinja_ok(r) ? jinja_raise(r, jinja_bytes(words.string)) : jinja_undefined();
}

TEST(g_namespace)
{
    (void)self;
    struct jinja_value out = jinja_dict_new(r, 0);
    if (!jinja_ok(r)) return out;
    if (args->n) {
        if (args->at[0].kind != JINJA_DICT)
            return jinja_fail(r, "a dictionary is needed, not %s", jinja_type_name(args->at[0]));
        for (size_t i = 0; i < args->at[0].dict->n && jinja_ok(r); i++)
            jinja_dict_set(r, out.dict, args->at[0].dict->keys[i], args->at[0].dict->values[i]);
    }
    size_t k = args->n;
    for (const struct jinja_node *named = args->named; named && jinja_ok(r); named = named->next)
        jinja_dict_set(r, out.dict, jinja_string_of(r, named->text, TEMPLATE_ORIGIN), args->at[k++]);
    out.kind = JINJA_NAMESPACE;
    return out;
}

TEST(g_dict)
{
    struct jinja_value out = g_namespace(r, self, args);
    if (jinja_ok(r)) out.kind = JINJA_DICT;
    return out;
}

TEST(g_range)
{
    (void)self;
    const int64_t first = jinja_arg_int(r, args, 0, "start", 0);
    const int64_t from = args->n > 1 ? first : 0, to = args->n > 1 ? jinja_arg_int(r, args, 1, "stop", 0) : first,
                  step = jinja_arg_int(r, args, 2, "step", 1);
    if (args->n == 0) return jinja_fail(r, "range needs a number");
    if (step == 0) return jinja_fail(r, "range's step is 0");
    const uint64_t gap = (step > 0 ? to > from : to < from)
                             ? (step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to)
                             : 0;
    const uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step, n = gap ? (gap - 1) / stride + 1 : 0;
    if (n > JINJA_MAX_RANGE) return jinja_fail(r, "a range of more than 100000 numbers");
    struct jinja_value out = jinja_list_new(r, (size_t)n, FLAVOUR_LIST);
    for (uint64_t i = 0; i < n && jinja_ok(r); i++) jinja_list_add(r, out.list, jinja_int(from + (int64_t)i * step));
    jinja_work(r, (size_t)n * 16);
    return out;
}

TEST(g_strftime_now)
{
    (void)self;
    const struct jinja_string *format = jinja_arg_string(r, args, 0, "format", NULL);
    return format ? jinja_strftime(r, format) : jinja_undefined();
}

static const struct jinja_builtin functions[] = {{"raise_exception", g_raise_exception},
                                                 {"namespace", g_namespace},
                                                 {"dict", g_dict},
                                                 {"range", g_range},
                                                 {"strftime_now", g_strftime_now}};

const struct jinja_builtin *jinja_find_function(struct str name)
{
    return jinja_find_in(functions, COUNT_OF(functions), name);
}

/* --- the date ----------------------------------------------------------- */

struct date {
    int64_t year;
    int month, day, weekday, yearday, hour, minute, second; /* month 1.., weekday 0 = Sunday, yearday 1.. */
};

/* Days to civil date. Source: H. Hinnant, chrono-compatible low-level date algorithms. */
static struct date date_of(int64_t seconds)
{
    const int64_t limit = 253402300799; /* the end of the year 9999 */
    if (seconds > limit) seconds = limit;
    if (seconds < 0) seconds = 0;
    const int64_t days = seconds / 86400 + 719468, era = days / 146097, doe = days - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
                  doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t shifted = (5 * doy + 2) / 153;
    struct date d = {.day = (int)(doy - (153 * shifted + 2) / 5 + 1),
                     .month = (int)(shifted < 10 ? shifted + 3 : shifted - 9)};
    d.year = yoe + era * 400 + (d.month <= 2);
    d.weekday = (int)((seconds / 86400 + 4) % 7);
    const bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    d.yearday = before[d.month - 1] + d.day + (leap && d.month > 2);
    d.hour = (int)(seconds % 86400 / 3600);
    d.minute = (int)(seconds % 3600 / 60);
    d.second = (int)(seconds % 60);
    return d;
}

static bool date_part(const struct date *d, char c, char out[24])
{
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
    switch (c) {
    case 'Y': snprintf(out, 24, "%d", (int)d->year); return true;
    case 'y': snprintf(out, 24, "%02d", (int)(d->year % 100)); return true;
    case 'm': snprintf(out, 24, "%02d", d->month); return true;
    case 'd': snprintf(out, 24, "%02d", d->day); return true;
    case 'e': snprintf(out, 24, "%2d", d->day); return true;
    case 'B': snprintf(out, 24, "%s", months[d->month - 1]); return true;
    case 'b':
    case 'h': snprintf(out, 24, "%.3s", months[d->month - 1]); return true;
    case 'A': snprintf(out, 24, "%s", days[d->weekday]); return true;
    case 'a': snprintf(out, 24, "%.3s", days[d->weekday]); return true;
    case 'j': snprintf(out, 24, "%03d", d->yearday); return true;
    case 'H': snprintf(out, 24, "%02d", d->hour); return true;
    case 'I': snprintf(out, 24, "%02d", d->hour % 12 ? d->hour % 12 : 12); return true;
    case 'M': snprintf(out, 24, "%02d", d->minute); return true;
    case 'S': snprintf(out, 24, "%02d", d->second); return true;
    case 'p': snprintf(out, 24, "%s", d->hour < 12 ? "AM" : "PM"); return true;
    case 'F': snprintf(out, 24, "%d-%02d-%02d", (int)d->year, d->month, d->day); return true;
    case 'T': snprintf(out, 24, "%02d:%02d:%02d", d->hour, d->minute, d->second); return true;
    case 'Z': snprintf(out, 24, "UTC"); return true;
    case '%': snprintf(out, 24, "%%"); return true;
    default: return false;
    }
}

struct jinja_value jinja_strftime(struct jinja *r, const struct jinja_string *format)
{
    const struct date d = date_of(r->now);
    struct jinja_text t = {0};
    size_t plain = 0;
    for (size_t i = 0; i + 1 < format->n && jinja_ok(r); i++) {
        if (format->data[i] != '%') continue;
        const bool unpadded = format->data[i + 1] == '-' && i + 2 < format->n;
        const size_t used = unpadded ? 3 : 2;
        char part[24];
        if (!date_part(&d, format->data[i + used - 1], part))
            return jinja_fail_unsupported(r, "unknown %% in a date's format");
        const char *text = part;
        while (unpadded && *text == '0' && text[1]) text++;
        char *copy = jinja_alloc(r, strlen(text), 1);
        if (!copy) break;
        memcpy(copy, text, strlen(text));
        jinja_put_range(r, &t, format, plain, i);
        jinja_put(r, &t, copy, strlen(text), TEMPLATE_ORIGIN);
        plain = i + used;
        i = plain - 1;
    }
    jinja_put_range(r, &t, format, plain, format->n);
    return jinja_text_value(r, &t);
}
