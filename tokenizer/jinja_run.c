/* jinja_run: statements, scopes, errors and limits; see jinja_run.h. Expressions are jinja_eval.c's. */
#include "jinja_run.h"

#include <stdio.h>
#include <string.h>

/* --- errors and limits ----------------------------------------------------------- */

static void fail(struct jinja *r, enum pumice_status status, const char *format, va_list args)
{
    char what[400], where[80], at[40] = "";
    vsnprintf(what, sizeof what, format, args);
    if (r->message >= 0) snprintf(at, sizeof at, " (at message %d)", (int)r->message);
    if (r->at) r->st = jinja_error(status, r->at->line, jinja_describe(r->at, where, sizeof where), "%s%s", what, at);
    else r->st = jinja_error(status, 1, "start", "%s%s", what, at);
}

struct jinja_value jinja_fail(struct jinja *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (jinja_ok(r)) fail(r, PUMICE_FORMAT, format, args);
    va_end(args);
    return jinja_undefined();
}

struct jinja_value jinja_fail_unsupported(struct jinja *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (jinja_ok(r)) fail(r, PUMICE_UNSUPPORTED, format, args);
    va_end(args);
    return jinja_undefined();
}

struct jinja_value jinja_fail_undefined(struct jinja *r, struct jinja_value v)
{
    char name[64];
    if (v.kind != JINJA_UNDEFINED || !v.missing) return jinja_fail(r, "the value is undefined");
    if (v.missing->type == NODE_NAME)
        return jinja_fail(r, "'%s' is undefined", str_escape(v.missing->text, name, sizeof name));
    const struct jinja_value object = {.kind = (uint8_t)(v.container ? v.container - 1 : 0)};
    const char *kind = object.kind == JINJA_LIST ? "list" : jinja_type_name(object);
    if (v.missing->type == NODE_ATTR)
        return jinja_fail(r, "%s has no '%s'", kind, str_escape(v.missing->text, name, sizeof name));
    return jinja_fail(r, "%s has no such item", kind);
}

struct jinja_value jinja_raise(struct jinja *r, struct str words)
{
    char shown[700];
    if (!jinja_ok(r)) return jinja_undefined();
    str_escape(words, shown, sizeof shown);
    if (r->message >= 0)
        r->st = err_set(PUMICE_ARGUMENT, "the chat template says: %s (at message %d)", shown, (int)r->message);
    else r->st = err_set(PUMICE_ARGUMENT, "the chat template says: %s", shown);
    return jinja_undefined();
}

void *jinja_alloc(struct jinja *r, size_t n, size_t bytes)
{
    if (!jinja_ok(r)) return NULL;
    if ((bytes && n > r->max_memory / bytes) || r->arena->used_bytes > r->max_memory - n * bytes) {
        jinja_fail(r, "more than %zu bytes of values", r->max_memory);
        return NULL;
    }
    void *p = arena_alloc(r->arena, n, bytes);
    if (!p) r->st = err_memory("chat template", (uint64_t)n * bytes);
    return p;
}

void jinja_work(struct jinja *r, size_t n)
{
    r->work += n;
    if (r->work < 1024) return;
    r->steps += r->work / 1024;
    r->work %= 1024;
    if (r->steps > r->max_steps) jinja_fail(r, "more than %llu steps", (unsigned long long)r->max_steps);
}

bool jinja_enter(struct jinja *r, const struct jinja_node *node)
{
    if (!jinja_ok(r)) return false;
    r->at = node;
    if (++r->steps > r->max_steps) {
        jinja_fail(r, "more than %llu steps", (unsigned long long)r->max_steps);
        return false;
    }
    if (r->depth >= JINJA_MAX_DEPTH) {
        jinja_fail(r, "nested too deeply");
        return false;
    }
    r->depth++;
    return true;
}

void jinja_leave(struct jinja *r) { r->depth--; }

/* --- scopes ----------------------------------------------------------- */

void jinja_set_variable(struct jinja *r, struct jinja_frame *frame, struct str name, uint64_t hash,
                        struct jinja_value v)
{
    struct jinja_variable *variable = frame->variables;
    size_t looked = 0;
    for (; variable; variable = variable->next, looked++)
        if (variable->hash == hash && str_eq(variable->name, name)) break;
    jinja_work(r, looked * 8);
    if (!variable) {
        variable = jinja_alloc(r, 1, sizeof *variable);
        if (!variable) return;
        variable->next = frame->variables;
        variable->name = name;
        variable->hash = hash;
        frame->variables = variable;
    }
    variable->value = v;
}

struct jinja_value jinja_variable_get(struct jinja *r, const struct jinja_node *name)
{
    size_t looked = 0;
    for (const struct jinja_frame *frame = r->frame; frame; frame = frame->outer, looked++)
        for (const struct jinja_variable *v = frame->variables; v; v = v->next, looked++)
            if (v->hash == name->hash && str_eq(v->name, name->text)) {
                jinja_work(r, looked * 8);
                return v->value;
            }
    jinja_work(r, looked * 8);
    const struct jinja_builtin *function = jinja_find_function(name->text);
    if (function)
        return (struct jinja_value){.kind = JINJA_FUNCTION, .origin = TEMPLATE_ORIGIN, .function = function};
    struct jinja_value missing = jinja_undefined();
    missing.missing = name;
    return missing;
}

static struct jinja_frame *push_frame(struct jinja *r, struct jinja_frame *outer)
{
    struct jinja_frame *frame = jinja_alloc(r, 1, sizeof *frame);
    if (frame) frame->outer = outer;
    return frame;
}

static void assign(struct jinja *r, const struct jinja_node *target, struct jinja_value v)
{
    if (!jinja_ok(r)) return;
    if (target->type == NODE_NAME) {
        jinja_set_variable(r, r->frame, target->text, target->hash, v);
    } else if (target->type == NODE_NAMESPACE_TARGET) {
        struct jinja_value space = jinja_variable_get(r, target);
        r->at = target;
        if (space.kind == JINJA_NAMESPACE) jinja_dict_set(r, space.dict, target->value, v);
        else if (space.kind == JINJA_UNDEFINED) jinja_fail(r, "it is undefined");
        else jinja_fail(r, "only a namespace's attributes can be set, this is a %s", jinja_type_name(space));
    } else { /* a tuple of names */
        size_t n = 0;
        for (const struct jinja_node *name = target->list; name; name = name->next) n++;
        const struct jinja_list *items = jinja_items(r, v);
        if (!items) return;
        if (items->n != n) {
            jinja_fail(r, "%zu values for %zu names", items->n, n);
            return;
        }
        n = 0;
        for (const struct jinja_node *name = target->list; name; name = name->next) assign(r, name, items->at[n++]);
    }
}

/* --- statements ----------------------------------------------------------- */

struct jinja_value jinja_capture(struct jinja *r, const struct jinja_node *list)
{
    struct jinja_text text = {0}, *outer = r->out;
    r->out = &text;
    jinja_exec(r, list);
    r->out = outer;
    return jinja_text_value(r, &text);
}

/* The items for which `for ... if c` holds. */
static struct jinja_list *filter_items(struct jinja *r, const struct jinja_node *node, struct jinja_list *items)
{
    struct jinja_frame *outer = r->frame;
    const int32_t message = r->message;
    struct jinja_value kept = jinja_list_new(r, 0, FLAVOUR_LIST);
    for (size_t i = 0; i < items->n && jinja_ok(r); i++) {
        struct jinja_frame *frame = push_frame(r, outer);
        if (!frame) break;
        r->frame = frame;
        if (items->at[i].kind == JINJA_DICT && items->at[i].origin >= 0) r->message = items->at[i].origin;
        assign(r, node->b, items->at[i]);
        if (jinja_truth(r, jinja_eval(r, node->c)) && jinja_ok(r)) jinja_list_add(r, kept.list, items->at[i]);
    }
    r->frame = outer;
    r->message = message;
    return jinja_ok(r) ? kept.list : NULL;
}

static void exec_for(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_frame *outer = r->frame;
    const int32_t message = r->message;
    const struct jinja_value iterated = jinja_eval(r, node->a);
    r->at = node;
    struct jinja_list *items = jinja_items(r, iterated);
    if (items && node->c) items = filter_items(r, node, items);
    if (!items) return;
    static const char loop_name[] = "loop";
    const uint64_t loop_hash = hash_bytes(loop_name, 4, 0);
    struct jinja_loop *loop = jinja_alloc(r, 1, sizeof *loop);
    if (!loop) return;
    *loop = (struct jinja_loop){items, 0};
    for (; loop->i < items->n && jinja_ok(r); loop->i++) {
        const struct jinja_value item = items->at[loop->i];
        if (!(r->frame = push_frame(r, outer))) break;
        if (++r->steps > r->max_steps) jinja_work(r, 1024);
        if (item.kind == JINJA_DICT && item.origin >= 0) r->message = item.origin;
        jinja_set_variable(r, r->frame, STR("loop"), loop_hash,
                           (struct jinja_value){.kind = JINJA_LOOP, .origin = TEMPLATE_ORIGIN, .loop = loop});
        assign(r, node->b, item);
        jinja_exec(r, node->list);
        r->message = message;
        const bool leave = r->flow == FLOW_BREAK;
        r->flow = FLOW_ON;
        if (leave) break;
    }
    r->frame = outer;
    if (items->n == 0 && node->other) {
        if (!(r->frame = push_frame(r, outer))) r->frame = outer;
        jinja_exec(r, node->other);
        r->frame = outer;
    }
}

static void exec_if(struct jinja *r, const struct jinja_node *node)
{
    for (;;) {
        if (jinja_truth(r, jinja_eval(r, node->a))) {
            jinja_exec(r, node->list);
            return;
        }
        if (!node->op || !jinja_ok(r)) break;
        node = node->other;
        r->steps++;
    }
    jinja_exec(r, node->other);
}

static struct jinja_value macro_value(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_macro *macro = jinja_alloc(r, 1, sizeof *macro);
    if (!macro) return jinja_undefined();
    macro->node = node;
    macro->frame = r->frame;
    return (struct jinja_value){.kind = JINJA_MACRO, .origin = TEMPLATE_ORIGIN, .macro = macro};
}

static void exec_call_block(struct jinja *r, const struct jinja_node *node)
{
    /* the call itself is evaluated by jinja_eval, which finds its caller here */
    const struct jinja_value outer = r->caller;
    r->caller = macro_value(r, node->b);
    r->caller_of = node->a;
    const struct jinja_value v = jinja_eval(r, node->a);
    r->caller = outer;
    r->caller_of = NULL;
    if (jinja_ok(r)) jinja_put_value(r, r->out, v);
}

static void exec_with(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_frame *outer = r->frame, *inner = push_frame(r, outer);
    if (!inner) return;
    for (const struct jinja_node *set = node->other; set && jinja_ok(r); set = set->next)
        jinja_set_variable(r, inner, set->text, set->hash, jinja_eval(r, set->a));
    r->frame = inner;
    jinja_exec(r, node->list);
    r->frame = outer;
}

/* The body of {% set %} and {% filter %}: a scope of its own, its text through the filters. */
static struct jinja_value captured(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_frame *outer = r->frame;
    if (!(r->frame = push_frame(r, outer))) r->frame = outer;
    struct jinja_value v = jinja_capture(r, node->list);
    r->frame = outer;
    return node->a ? jinja_filter(r, node->a, v) : v;
}

static void exec_statement(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_value v;
    switch (node->type) {
    case NODE_TEXT: jinja_put_string(r, r->out, node->value.string); return;
    case NODE_OUTPUT:
        v = jinja_eval(r, node->a);
        if (jinja_ok(r)) jinja_put_value(r, r->out, v);
        return;
    case NODE_IF: exec_if(r, node); return;
    case NODE_FOR: exec_for(r, node); return;
    case NODE_SET:
        v = jinja_eval(r, node->a);
        r->at = node;
        assign(r, node->b, v);
        return;
    case NODE_SET_BLOCK: assign(r, node->b, captured(r, node)); return;
    case NODE_FILTER_BLOCK:
        v = captured(r, node);
        if (jinja_ok(r)) jinja_put_value(r, r->out, v);
        return;
    case NODE_MACRO:
        v = macro_value(r, node);
        jinja_set_variable(r, r->frame, node->text, node->hash, v);
        return;
    case NODE_CALL_BLOCK: exec_call_block(r, node); return;
    case NODE_WITH: exec_with(r, node); return;
    case NODE_BLOCK: jinja_exec(r, node->list); return;
    case NODE_BREAK: r->flow = FLOW_BREAK; return;
    case NODE_CONTINUE: r->flow = FLOW_CONTINUE; return;
    default: jinja_fail(r, "no statement"); return;
    }
}

void jinja_exec(struct jinja *r, const struct jinja_node *list)
{
    for (const struct jinja_node *node = list; node && jinja_ok(r) && r->flow == FLOW_ON; node = node->next) {
        if (!jinja_enter(r, node)) return;
        exec_statement(r, node);
        jinja_leave(r);
    }
}
