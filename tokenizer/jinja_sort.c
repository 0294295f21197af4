/* jinja_sort: the filters sort and dictsort: stable, without regard to case unless asked. See jinja_run.h. */
#include "jinja_run.h"

#include <string.h>

struct item {
    struct jinja_value key, value;
};

static struct jinja_value folded(struct jinja *r, struct jinja_value v, bool case_sensitive)
{
    return v.kind == JINJA_STRING && !case_sensitive && jinja_ok(r) ? jinja_change_case(r, v.string, CASE_LOWER) : v;
}

/* Merge sort from the bottom up; `other` is as large as `items`. Returns the sorted one of the two. */
static struct item *sort_items(struct jinja *r, struct item *items, struct item *other, size_t n, bool reverse)
{
    for (size_t width = 1; width < n && jinja_ok(r); width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            const size_t middle = MIN(from + width, n), to = MIN(from + 2 * width, n);
            size_t a = from, b = middle;
            for (size_t at = from; at < to; at++) {
                bool left = a < middle;
                if (left && b < to) {
                    const int order = jinja_order(r, items[a].key, items[b].key);
                    left = reverse ? order >= 0 : order <= 0;
                }
                other[at] = left ? items[a++] : items[b++];
            }
        }
        jinja_work(r, n * 16);
        struct item *swap = items;
        items = other;
        other = swap;
    }
    return items;
}

static struct jinja_value sorted(struct jinja *r, struct item *items, size_t n, bool reverse)
{
    struct jinja_value out = jinja_list_new(r, n, FLAVOUR_LIST);
    struct item *other = jinja_alloc(r, n, sizeof *other);
    if (!other) return jinja_undefined();
    items = sort_items(r, items, other, n, reverse);
    for (size_t i = 0; i < n && jinja_ok(r); i++) jinja_list_add(r, out.list, items[i].value);
    return out;
}

struct jinja_value jinja_filter_sort(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const bool reverse = jinja_arg_bool(r, args, 0, "reverse", false),
               exact = jinja_arg_bool(r, args, 1, "case_sensitive", false);
    struct jinja_value attribute = jinja_none();
    jinja_has_arg(args, 2, "attribute", &attribute);
    const struct jinja_list *list = jinja_items(r, self);
    struct item *items = list ? jinja_alloc(r, list->n, sizeof *items) : NULL;
    if (!items) return jinja_undefined();
    for (size_t i = 0; i < list->n && jinja_ok(r); i++) {
        items[i].value = list->at[i];
        items[i].key =
            folded(r, attribute.kind == JINJA_NONE ? list->at[i] : jinja_path(r, list->at[i], attribute), exact);
    }
    return jinja_ok(r) ? sorted(r, items, list->n, reverse) : jinja_undefined();
}

struct jinja_value jinja_filter_dictsort(struct jinja *r, struct jinja_value self, const struct jinja_args *args)
{
    const bool exact = jinja_arg_bool(r, args, 0, "case_sensitive", false),
               reverse = jinja_arg_bool(r, args, 2, "reverse", false);
    struct jinja_value by = jinja_undefined();
    jinja_has_arg(args, 1, "by", &by);
    if (self.kind != JINJA_DICT) return jinja_fail(r, "a dictionary is needed, not %s", jinja_type_name(self));
    const bool by_value = by.kind == JINJA_STRING && str_eqz(jinja_bytes(by.string), "value");
    const struct jinja_args none = {0};
    const struct jinja_value pairs = jinja_find_method(self, STR("items"))->call(r, self, &none);
    struct item *items = jinja_alloc(r, self.dict->n, sizeof *items);
    if (!items) return jinja_undefined();
    for (size_t i = 0; i < self.dict->n && jinja_ok(r); i++) {
        items[i].value = pairs.list->at[i];
        items[i].key = folded(r, by_value ? self.dict->values[i] : self.dict->keys[i], exact);
    }
    return jinja_ok(r) ? sorted(r, items, self.dict->n, reverse) : jinja_undefined();
}
