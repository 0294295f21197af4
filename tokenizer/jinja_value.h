/* jinja_value: what a template's expressions are made of; Python's values as far as templates see them.
 *
 * Every value is immutable but a namespace, lives in the render's arena and is passed by copy. A string knows for each
 * stretch of its bytes where they came from (its runs); a number, list or dictionary has one origin for all that is
 * printed of it. Invariant: runs cover the string, no run is empty, neighbours differ in origin.
 *
 * Failure is sticky: struct jinja remembers the first error, and every function then returns undefined at once. */
#ifndef PUMICE_JINJA_VALUE_H
#define PUMICE_JINJA_VALUE_H

#include "template.h"

struct jinja; /* a render: jinja_run.h */

enum jinja_kind {
    JINJA_UNDEFINED, JINJA_NONE, JINJA_BOOL, JINJA_INT, JINJA_BIG, JINJA_FLOAT, JINJA_STRING, JINJA_LIST, JINJA_DICT,
    JINJA_NAMESPACE, JINJA_LOOP, JINJA_MACRO, JINJA_METHOD, JINJA_FUNCTION
};
enum jinja_flavour { FLAVOUR_LIST, FLAVOUR_TUPLE, FLAVOUR_GENERATOR, FLAVOUR_VIEW };

struct jinja_run {
    size_t end; /* offset after its last byte */
    int32_t origin;
};
struct jinja_string {
    const char *data;
    size_t n;
    size_t n_chars; /* SIZE_MAX: not counted yet */
    size_t n_runs;
    struct jinja_run runs[];
};

struct jinja_value {
    uint8_t kind;
    uint8_t container; /* UNDEFINED: kind of what was asked, + 1 */
    int32_t origin;
    union {
        bool truth;
        int64_t integer;
        double number;
        struct jinja_string *string; /* STRING; BIG: its spelling */
        struct jinja_list *list;
        struct jinja_dict *dict;     /* DICT, NAMESPACE */
        struct jinja_loop *loop;
        struct jinja_macro *macro;
        struct jinja_method *method;
        const struct jinja_builtin *function;
        const struct jinja_node *missing; /* UNDEFINED: the node that found nothing, or NULL */
    };
};
struct jinja_list {
    struct jinja_value *at;
    size_t n, capacity;
    enum jinja_flavour flavour;
};
struct jinja_dict {
    struct jinja_value *keys, *values;
    size_t n, capacity;
};

/* --- making values ----------------------------------------------------------- */

static inline struct jinja_value jinja_none(void)
{
    return (struct jinja_value){.kind = JINJA_NONE, .origin = TEMPLATE_ORIGIN};
}
static inline struct jinja_value jinja_bool(bool b)
{
    return (struct jinja_value){.kind = JINJA_BOOL, .origin = TEMPLATE_ORIGIN, .truth = b};
}
static inline struct jinja_value jinja_int(int64_t i)
{
    return (struct jinja_value){.kind = JINJA_INT, .origin = TEMPLATE_ORIGIN, .integer = i};
}
static inline struct jinja_value jinja_float(double d)
{
    return (struct jinja_value){.kind = JINJA_FLOAT, .origin = TEMPLATE_ORIGIN, .number = d};
}
static inline struct jinja_value jinja_undefined(void)
{
    return (struct jinja_value){.kind = JINJA_UNDEFINED, .origin = TEMPLATE_ORIGIN};
}
/* `data` must outlive the render. */
struct jinja_value jinja_string_of(struct jinja *r, struct str data, int32_t origin);
struct jinja_value jinja_substring(struct jinja *r, const struct jinja_string *s, size_t from, size_t to); /* bytes */
struct jinja_value jinja_list_new(struct jinja *r, size_t capacity, enum jinja_flavour flavour);
void jinja_list_add(struct jinja *r, struct jinja_list *list, struct jinja_value v);
struct jinja_value jinja_dict_new(struct jinja *r, size_t capacity);
void jinja_dict_set(struct jinja *r, struct jinja_dict *dict, struct jinja_value key, struct jinja_value v);
bool jinja_dict_get(struct jinja *r, const struct jinja_dict *dict, struct str key, struct jinja_value *out);
bool jinja_dict_find(struct jinja *r, const struct jinja_dict *dict, struct jinja_value key, struct jinja_value *out);

/* --- text in the making: a list of pieces, joined once ----------------------------------------------------------- */

struct jinja_piece {
    const char *data;
    size_t n;
    int32_t origin;
};
struct jinja_text {
    struct jinja_piece *pieces;
    size_t n_pieces, capacity;
    size_t bytes;
};
/* `data` must outlive the render; fails when the text passes the output limit. */
void jinja_put(struct jinja *r, struct jinja_text *t, const char *data, size_t n, int32_t origin);
void jinja_put_string(struct jinja *r, struct jinja_text *t, const struct jinja_string *s);
void jinja_put_range(struct jinja *r, struct jinja_text *t, const struct jinja_string *s, size_t from, size_t to);
void jinja_put_value(struct jinja *r, struct jinja_text *t, struct jinja_value v); /* as str(v) in Python */
void jinja_put_repr(struct jinja *r, struct jinja_text *t, struct jinja_value v, unsigned depth);
struct jinja_value jinja_text_value(struct jinja *r, const struct jinja_text *t);

/* --- asking values ----------------------------------------------------------- */

static inline struct str jinja_bytes(const struct jinja_string *s) { return (struct str){s->data, s->n}; }
static inline bool jinja_is_number(struct jinja_value v)
{
    return v.kind == JINJA_BOOL || v.kind == JINJA_INT || v.kind == JINJA_FLOAT;
}
static inline bool jinja_is_whole(struct jinja_value v) { return v.kind == JINJA_BOOL || v.kind == JINJA_INT; }
static inline int64_t jinja_whole(struct jinja_value v) { return v.kind == JINJA_BOOL ? v.truth : v.integer; }
static inline double jinja_real(struct jinja_value v)
{
    return v.kind == JINJA_FLOAT ? v.number : (double)jinja_whole(v);
}
bool jinja_truth(struct jinja *r, struct jinja_value v);
bool jinja_equal(struct jinja *r, struct jinja_value a, struct jinja_value b, unsigned depth);
int jinja_order(struct jinja *r, struct jinja_value a, struct jinja_value b); /* <0, 0, >0; fails for unlike kinds */
bool jinja_contains(struct jinja *r, struct jinja_value container, struct jinja_value item);
const char *jinja_type_name(struct jinja_value v); /* as Python says it: "str", "NoneType" */
size_t jinja_chars(struct jinja *r, struct jinja_string *s);
size_t jinja_offset(struct jinja *r, struct jinja_string *s, size_t i_char); /* byte offset of a character */
/* First (or last) place of `needle` in s[from, to), SIZE_MAX if none. */
size_t jinja_find(struct jinja *r, struct str s, size_t from, size_t to, struct str needle);
size_t jinja_find_last(struct jinja *r, struct str s, size_t from, size_t to, struct str needle);
/* The items to loop over: a list's, a dictionary's keys, a string's characters. Fails for what has none. */
struct jinja_list *jinja_items(struct jinja *r, struct jinja_value v);
/* str(v): the value itself when it is a string. */
struct jinja_value jinja_to_string(struct jinja *r, struct jinja_value v);
int jinja_format_float(double d, char out[40]); /* as Python's repr; returns the length */
int32_t jinja_join_origin(int32_t a, int32_t b); /* of what is computed from both: the one that is not trusted */

#endif
