/* jinja_run: the state of one render, and what interpreter, filters, methods and tests share. Private to jinja_*.c and
 * template.c.
 *
 * Invariant: after the first failure r->st is set, the error text is written, and nothing runs on. */
#ifndef PUMICE_JINJA_RUN_H
#define PUMICE_JINJA_RUN_H

#include "jinja_syntax.h"

enum { JINJA_MAX_DEPTH = 1500, JINJA_MAX_CALLS = 64, JINJA_MAX_RANGE = 100000 };

struct jinja_variable {
    struct jinja_variable *next;
    struct str name;
    uint64_t hash;
    struct jinja_value value;
};
struct jinja_frame { /* a scope: template, loop body, macro, with */
    struct jinja_frame *outer;
    struct jinja_variable *variables;
};

struct jinja {
    struct arena *arena;
    enum pumice_status st;
    uint64_t steps, max_steps, work;
    size_t max_output, max_memory;
    unsigned depth, calls;
    int32_t message;             /* innermost loop over messages, -1 outside */
    const struct jinja_node *at; /* for errors */
    struct jinja_frame *frame;
    struct jinja_text *out;
    struct jinja_value caller;          /* of the call block's call ... */
    const struct jinja_node *caller_of; /* ... which is this one */
    enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;
    int64_t now;
};

/* Arguments of a call, filter or test. */
struct jinja_args {
    struct jinja_value *at;
    size_t n;
    const struct jinja_node *named; /* KEYWORD nodes; their values follow the n positional ones */
    size_t n_named;
    struct jinja_value caller; /* the macro of a call block, else undefined */
};

struct jinja_builtin {
    const char *name;
    struct jinja_value (*call)(struct jinja *r, struct jinja_value self, const struct jinja_args *args);
};
struct jinja_macro {
    const struct jinja_node *node;
    struct jinja_frame *frame;
    struct jinja_value caller;
};
struct jinja_method {
    struct jinja_value self;
    const struct jinja_builtin *builtin;
};
struct jinja_loop {
    const struct jinja_list *items;
    size_t i;
};

/* --- errors and limits ----------------------------------------------------------- */

struct jinja_value jinja_fail(struct jinja *r, const char *format, ...) PRINTF_LIKE(2, 3); /* undefined */
struct jinja_value jinja_fail_unsupported(struct jinja *r, const char *format, ...) PRINTF_LIKE(2, 3);
struct jinja_value jinja_fail_undefined(struct jinja *r, struct jinja_value v); /* "'x' is undefined" */
struct jinja_value jinja_raise(struct jinja *r, struct str words); /* raise_exception */
void *jinja_alloc(struct jinja *r, size_t n, size_t bytes); /* cleared; NULL after setting the error */
void jinja_work(struct jinja *r, size_t n); /* counts n bytes or items looked at; 1024 are one step */
static inline bool jinja_ok(const struct jinja *r) { return r->st == PUMICE_OK; }

/* --- running ----------------------------------------------------------- */

void jinja_set_variable(struct jinja *r, struct jinja_frame *frame, struct str name, uint64_t hash, struct jinja_value v);
struct jinja_value jinja_variable_get(struct jinja *r, const struct jinja_node *name);
/* Runs the list into a text of its own. */
struct jinja_value jinja_capture(struct jinja *r, const struct jinja_node *list);
void jinja_exec(struct jinja *r, const struct jinja_node *list);
struct jinja_value jinja_eval(struct jinja *r, const struct jinja_node *node);
struct jinja_value jinja_call(struct jinja *r, const struct jinja_node *node, struct jinja_value callee,
                              const struct jinja_args *args);
bool jinja_enter(struct jinja *r, const struct jinja_node *node); /* a step and a level; false when too many */
void jinja_leave(struct jinja *r);
struct jinja_value jinja_filter(struct jinja *r, const struct jinja_node *node, struct jinja_value v); /* the chain */
struct jinja_value jinja_binary(struct jinja *r, int op, struct jinja_value a, struct jinja_value b);
struct jinja_value jinja_attribute(struct jinja *r, const struct jinja_node *node, struct jinja_value object,
                                   struct str name);
struct jinja_value jinja_index(struct jinja *r, const struct jinja_node *node, struct jinja_value object,
                               struct jinja_value i);
struct jinja_value jinja_slice(struct jinja *r, struct jinja_value v, const struct jinja_value part[3]);

/* --- builtins ----------------------------------------------------------- */

const struct jinja_builtin *jinja_find_filter(struct str name);
const struct jinja_builtin *jinja_find_test(struct str name);
const struct jinja_builtin *jinja_find_function(struct str name);
const struct jinja_builtin *jinja_find_method(struct jinja_value self, struct str name); /* NULL: no such method */
const struct jinja_builtin *jinja_find_in(const struct jinja_builtin *table, size_t n, struct str name);

/* Positional argument i or the one called `name`; undefined if absent. */
bool jinja_has_arg(const struct jinja_args *args, size_t i, const char *name, struct jinja_value *out);
struct jinja_value jinja_arg(const struct jinja_args *args, size_t i, const char *name);
int64_t jinja_arg_int(struct jinja *r, const struct jinja_args *args, size_t i, const char *name, int64_t otherwise);
bool jinja_arg_bool(struct jinja *r, const struct jinja_args *args, size_t i, const char *name, bool otherwise);
struct jinja_string *jinja_arg_string(struct jinja *r, const struct jinja_args *args, size_t i, const char *name,
                                      struct jinja_string *otherwise); /* NULL after failing */
struct jinja_args jinja_args_after(const struct jinja_args *args, size_t n); /* without the first n positional ones */

enum { JINJA_STRIP_LEFT = 1, JINJA_STRIP_RIGHT = 2 };
struct jinja_value jinja_strip(struct jinja *r, const struct jinja_string *s, int sides,
                               const struct jinja_string *chars);
struct jinja_value jinja_change_case(struct jinja *r, const struct jinja_string *s, int how); /* enum jinja_case_how */
struct jinja_value jinja_replace(struct jinja *r, struct jinja_string *s, struct jinja_string *old,
                                 struct jinja_string *to, int64_t count);
enum jinja_case_how { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_CAPITALIZE, CASE_FILTER_TITLE };
struct jinja_value jinja_filter_tojson(struct jinja *r, struct jinja_value self, const struct jinja_args *args);
struct jinja_value jinja_filter_sort(struct jinja *r, struct jinja_value self, const struct jinja_args *args);
struct jinja_value jinja_filter_dictsort(struct jinja *r, struct jinja_value self, const struct jinja_args *args);
struct jinja_value jinja_strftime(struct jinja *r, const struct jinja_string *format);
struct jinja_value jinja_path(struct jinja *r, struct jinja_value object, struct jinja_value path); /* "a.b.0" */

#endif
