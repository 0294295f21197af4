/* jinja_eval: expressions, with the meaning that Python and Jinja give them; see jinja_run.h. */
#include "jinja_run.h"
#include "unicode.h"

#include <math.h>
#include <string.h>

/* --- arithmetic ----------------------------------------------------------- */

static struct jinja_value with_origin(struct jinja_value v, struct jinja_value a, struct jinja_value b)
{
    v.origin = jinja_join_origin(a.origin, b.origin);
    return v;
}

static bool add_i64(int64_t a, int64_t b, int64_t *out)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) return false;
    *out = a + b;
    return true;
}

static bool mul_i64(int64_t a, int64_t b, int64_t *out)
{
    if (a == 0 || b == 0) {
        *out = 0;
        return true;
    }
    if (a == -1 || b == -1)
        return add_i64(0, a == -1 ? (b == INT64_MIN ? 0 : -b) : (a == INT64_MIN ? 0 : -a), out) &&
               !(a == INT64_MIN || b == INT64_MIN);
    if (a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a) : (b > 0 ? a < INT64_MIN / b : a < INT64_MAX / b))
        return false;
    *out = a * b;
    return true;
}

static bool pow_i64(int64_t a, int64_t n, int64_t *out)
{
    int64_t result = 1;
    while (n > 0) {
        if ((n & 1) && !mul_i64(result, a, &result)) return false;
        n >>= 1;
        if (n && !mul_i64(a, a, &a)) return false;
    }
    *out = result;
    return true;
}

static struct jinja_value whole_numbers(struct jinja *r, int op, int64_t a, int64_t b)
{
    int64_t out = 0;
    bool fits = true;
    switch (op) {
    case '+': fits = add_i64(a, b, &out); break;
    case '-': fits = b != INT64_MIN && add_i64(a, -b, &out); break;
    case '*': fits = mul_i64(a, b, &out); break;
    case '/': return b ? jinja_float((double)a / (double)b) : jinja_fail(r, "division by zero");
    case TOKEN_POW:
        if (b < 0) return a ? jinja_float(pow((double)a, (double)b)) : jinja_fail(r, "division by zero");
        fits = pow_i64(a, b, &out);
        break;
    default:
        if (b == 0) return jinja_fail(r, "division by zero");
        fits = !(a == INT64_MIN && b == -1);
        if (!fits) break;
        out = op == '%' ? a % b : a / b;
        if (a % b != 0 && (a < 0) != (b < 0)) out += op == '%' ? b : -1;
    }
    return fits ? jinja_int(out) : jinja_fail_unsupported(r, "a number of more than 64 bits");
}

static struct jinja_value real_numbers(struct jinja *r, int op, double a, double b)
{
    const bool zero = !(b < 0) && !(b > 0) && !(b != b);
    double rest;
    switch (op) {
    case '+': return jinja_float(a + b);
    case '-': return jinja_float(a - b);
    case '*': return jinja_float(a * b);
    case TOKEN_POW: return jinja_float(pow(a, b));
    default: break;
    }
    if (zero) return jinja_fail(r, "division by zero");
    if (op == '/') return jinja_float(a / b);
    rest = fmod(a, b);
    if (!(rest < 0) && !(rest > 0)) rest = copysign(rest, b);
    else if ((rest < 0) != (b < 0)) rest += b;
    return jinja_float(op == '%' ? rest : floor((a - rest) / b + 0.5));
}

static struct jinja_value repeat(struct jinja *r, struct jinja_value v, int64_t times)
{
    if (times < 0) times = 0;
    if (v.kind == JINJA_STRING) {
        struct jinja_text t = {0};
        if (v.string->n == 0) return v;
        for (int64_t i = 0; i < times && jinja_ok(r); i++) {
            jinja_put_string(r, &t, v.string);
            jinja_work(r, 16);
        }
        return jinja_text_value(r, &t);
    }
    struct jinja_value out = jinja_list_new(r, 0, v.list->flavour);
    for (int64_t i = 0; i < times && v.list->n && jinja_ok(r); i++)
        for (size_t k = 0; k < v.list->n && jinja_ok(r); k++) jinja_list_add(r, out.list, v.list->at[k]);
    out.origin = v.origin;
    return out;
}

/* "%s and %d" % value */
static struct jinja_value format_percent(struct jinja *r, struct jinja_string *s, struct jinja_value v)
{
    struct jinja_text t = {0};
    const bool many = v.kind == JINJA_LIST && v.list->flavour == FLAVOUR_TUPLE;
    size_t used = 0, plain = 0, n = many ? v.list->n : 1;
    for (size_t i = 0; i + 1 < s->n && jinja_ok(r); i++) {
        if (s->data[i] != '%') continue;
        const char c = s->data[i + 1];
        jinja_put_range(r, &t, s, plain, i + (c == '%'));
        plain = i + 2;
        i++;
        if (c == '%') continue;
        if (c != 's' && c != 'd' && c != 'r') return jinja_fail_unsupported(r, "only %%s, %%d and %%r are supported");
        if (used == n) return jinja_fail(r, "not enough values for the format");
        const struct jinja_value item = many ? v.list->at[used] : v;
        used++;
        if (c == 'd' && !jinja_is_number(item))
            return jinja_fail(r, "%%d needs a number, not %s", jinja_type_name(item));
        if (c == 'd')
            jinja_put_value(
                r, &t,
                with_origin(jinja_int(jinja_is_whole(item) ? jinja_whole(item) : (int64_t)item.number), item, item));
        else if (c == 's') jinja_put_value(r, &t, item);
        else jinja_put_repr(r, &t, item, 0);
    }
    if (used < n && (many || (v.kind != JINJA_DICT && v.kind != JINJA_LIST && v.kind != JINJA_UNDEFINED)))
        return jinja_fail(r, "too many values for the format");
    jinja_put_range(r, &t, s, plain, s->n);
    return jinja_text_value(r, &t);
}

struct jinja_value jinja_binary(struct jinja *r, int op, struct jinja_value a, struct jinja_value b)
{
    if (!jinja_ok(r)) return jinja_undefined();
    if (a.kind == JINJA_STRING && op == '+' && b.kind == JINJA_STRING) {
        struct jinja_text t = {0};
        jinja_put_string(r, &t, a.string);
        jinja_put_string(r, &t, b.string);
        return jinja_text_value(r, &t);
    }
    if (jinja_is_whole(a) && jinja_is_whole(b))
        return with_origin(whole_numbers(r, op, jinja_whole(a), jinja_whole(b)), a, b);
    if (jinja_is_number(a) && jinja_is_number(b))
        return with_origin(real_numbers(r, op, jinja_real(a), jinja_real(b)), a, b);
    if (a.kind == JINJA_LIST && b.kind == JINJA_LIST && op == '+' && a.list->flavour == b.list->flavour &&
        a.list->flavour <= FLAVOUR_TUPLE) {
        struct jinja_value out = jinja_list_new(r, a.list->n + b.list->n, a.list->flavour);
        for (size_t i = 0; i < a.list->n && jinja_ok(r); i++) jinja_list_add(r, out.list, a.list->at[i]);
        for (size_t i = 0; i < b.list->n && jinja_ok(r); i++) jinja_list_add(r, out.list, b.list->at[i]);
        return with_origin(out, a, b);
    }
    const bool a_many = a.kind == JINJA_STRING || (a.kind == JINJA_LIST && a.list->flavour <= FLAVOUR_TUPLE),
               b_many = b.kind == JINJA_STRING || (b.kind == JINJA_LIST && b.list->flavour <= FLAVOUR_TUPLE);
    if (op == '*' && a_many && jinja_is_whole(b)) return repeat(r, a, jinja_whole(b));
    if (op == '*' && b_many && jinja_is_whole(a)) return repeat(r, b, jinja_whole(a));
    if (op == '%' && a.kind == JINJA_STRING) return format_percent(r, a.string, b);
    if (a.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, a);
    if (b.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, b);
    if (a.kind == JINJA_BIG || b.kind == JINJA_BIG) return jinja_fail_unsupported(r, "a number of more than 64 bits");
    return jinja_fail(r, "cannot combine %s and %s", jinja_type_name(a), jinja_type_name(b));
}

/* --- looking into values ----------------------------------------------------------- */

static struct jinja_value missing(const struct jinja_node *node, struct jinja_value object)
{
    struct jinja_value v = jinja_undefined();
    v.missing = node;
    v.container = (uint8_t)(object.kind + 1);
    return v;
}

static struct jinja_value loop_attribute(struct jinja *r, const struct jinja_node *node, struct jinja_value object,
                                         struct str name)
{
    const struct jinja_loop *loop = object.loop;
    const int64_t i = (int64_t)loop->i, n = (int64_t)loop->items->n;
    if (str_eqz(name, "index0")) return jinja_int(i);
    if (str_eqz(name, "index")) return jinja_int(i + 1);
    if (str_eqz(name, "first")) return jinja_bool(i == 0);
    if (str_eqz(name, "last")) return jinja_bool(i + 1 == n);
    if (str_eqz(name, "length")) return jinja_int(n);
    if (str_eqz(name, "revindex")) return jinja_int(n - i);
    if (str_eqz(name, "revindex0")) return jinja_int(n - i - 1);
    if (str_eqz(name, "depth")) return jinja_int(1); /* loops are not recursive */
    if (str_eqz(name, "depth0")) return jinja_int(0);
    if (str_eqz(name, "previtem") && i > 0 && i <= n) return loop->items->at[i - 1];
    if (str_eqz(name, "nextitem") && i + 1 < n) return loop->items->at[i + 1];
    (void)r;
    return missing(node, object);
}

static struct jinja_value method(struct jinja *r, struct jinja_value self, const struct jinja_builtin *builtin)
{
    struct jinja_method *m = jinja_alloc(r, 1, sizeof *m);
    if (!m) return jinja_undefined();
    m->self = self;
    m->builtin = builtin;
    return (struct jinja_value){.kind = JINJA_METHOD, .origin = TEMPLATE_ORIGIN, .method = m};
}

struct jinja_value jinja_attribute(struct jinja *r, const struct jinja_node *node, struct jinja_value object,
                                   struct str name)
{
    struct jinja_value v;
    if (!jinja_ok(r)) return jinja_undefined();
    if (object.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, object);
    const struct jinja_builtin *builtin = jinja_find_method(object, name);
    if (builtin) return method(r, object, builtin);
    if ((object.kind == JINJA_DICT || object.kind == JINJA_NAMESPACE) && jinja_dict_get(r, object.dict, name, &v))
        return v;
    if (object.kind == JINJA_LOOP) return loop_attribute(r, node, object, name);
    if (object.kind == JINJA_MACRO && str_eqz(name, "name"))
        return jinja_string_of(r, object.macro->node->text, TEMPLATE_ORIGIN);
    return missing(node, object);
}

struct jinja_value jinja_index(struct jinja *r, const struct jinja_node *node, struct jinja_value object,
                               struct jinja_value i)
{
    struct jinja_value v;
    if (!jinja_ok(r)) return jinja_undefined();
    if (object.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, object);
    if (object.kind == JINJA_DICT && i.kind != JINJA_DICT && i.kind != JINJA_LIST &&
        jinja_dict_find(r, object.dict, i, &v))
        return v;
    if (i.kind == JINJA_STRING && object.kind != JINJA_DICT)
        return jinja_attribute(r, node, object, jinja_bytes(i.string));
    if (i.kind == JINJA_STRING) {
        const struct jinja_builtin *builtin = jinja_find_method(object, jinja_bytes(i.string));
        return builtin ? method(r, object, builtin) : missing(node, object);
    }
    if (!jinja_is_whole(i)) return missing(node, object);
    int64_t at = jinja_whole(i);
    if (object.kind == JINJA_LIST) {
        const int64_t n = (int64_t)object.list->n;
        if (at < 0) at += n;
        if (at >= 0 && at < n) return object.list->at[at];
    } else if (object.kind == JINJA_STRING) {
        const int64_t n = (int64_t)jinja_chars(r, object.string);
        if (at < 0) at += n;
        if (at >= 0 && at < n) {
            const size_t from = jinja_offset(r, object.string, (size_t)at);
            size_t used;
            unicode_decode(object.string->data + from, object.string->n - from, &used);
            return jinja_substring(r, object.string, from, from + used);
        }
    }
    return missing(node, object);
}

/* Python's slice.indices: where to begin and end. */
static void slice_bounds(int64_t n, const struct jinja_value part[3], int64_t step, int64_t *from, int64_t *to)
{
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    *from = step < 0 ? high : low;
    *to = step < 0 ? low : high;
    for (int i = 0; i < 2; i++) {
        if (part[i].kind == JINJA_NONE) continue;
        int64_t at = jinja_whole(part[i]);
        if (at < 0) at = at < -n ? low : at + n;
        else if (at > high) at = high;
        *(i ? to : from) = at;
    }
}

struct jinja_value jinja_slice(struct jinja *r, struct jinja_value v, const struct jinja_value part[3])
{
    int64_t from, to, step = 1;
    if (!jinja_ok(r)) return jinja_undefined();
    if (v.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, v);
    for (int i = 0; i < 3; i++)
        if (part[i].kind != JINJA_NONE && !jinja_is_whole(part[i]))
            return jinja_fail(r, "a slice needs whole numbers, not %s", jinja_type_name(part[i]));
    if (v.kind != JINJA_STRING && !(v.kind == JINJA_LIST && v.list->flavour <= FLAVOUR_TUPLE))
        return jinja_fail(r, "a %s cannot be sliced", jinja_type_name(v));
    if (part[2].kind != JINJA_NONE) step = jinja_whole(part[2]);
    if (step == 0) return jinja_fail(r, "a slice's step is 0");
    const int64_t n = (int64_t)(v.kind == JINJA_STRING ? jinja_chars(r, v.string) : v.list->n);
    if (step > n + 1) step = n + 1;
    if (step < -n - 1) step = -n - 1;
    slice_bounds(n, part, step, &from, &to);
    if (v.kind == JINJA_STRING && step == 1)
        return jinja_substring(r, v.string, jinja_offset(r, v.string, (size_t)from),
                               jinja_offset(r, v.string, (size_t)MAX(to, 0)));
    struct jinja_list *items = jinja_items(r, v);
    struct jinja_value out = jinja_list_new(r, 0, v.kind == JINJA_LIST ? v.list->flavour : FLAVOUR_LIST);
    for (int64_t i = from; items && jinja_ok(r) && (step < 0 ? i > to : i < to); i += step) {
        jinja_list_add(r, out.list, items->at[i]);
        jinja_work(r, 16);
    }
    out.origin = v.origin;
    if (v.kind == JINJA_LIST || !jinja_ok(r)) return out;
    struct jinja_text t = {0};
    for (size_t i = 0; i < out.list->n; i++) jinja_put_string(r, &t, out.list->at[i].string);
    return jinja_text_value(r, &t);
}

/* --- calls ----------------------------------------------------------- */

static struct jinja_args eval_args(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_args args = {.named = node->other};
    size_t i = 0;
    for (const struct jinja_node *a = node->list; a; a = a->next) args.n++;
    for (const struct jinja_node *a = node->other; a; a = a->next) args.n_named++;
    if (args.n + args.n_named == 0) return args;
    args.at = jinja_alloc(r, args.n + args.n_named, sizeof *args.at);
    if (!args.at) return args;
    for (const struct jinja_node *a = node->list; a && jinja_ok(r); a = a->next) args.at[i++] = jinja_eval(r, a);
    for (const struct jinja_node *a = node->other; a && jinja_ok(r); a = a->next) args.at[i++] = jinja_eval(r, a->a);
    return args;
}

static void bind_parameters(struct jinja *r, const struct jinja_node *macro, const struct jinja_args *args)
{
    size_t i = 0, i_named = 0;
    for (const struct jinja_node *p = macro->other; p && jinja_ok(r); p = p->next, i++) {
        struct jinja_value v = jinja_undefined();
        bool given = i < args->n;
        if (given) v = args->at[i];
        i_named = args->n;
        for (const struct jinja_node *k = args->named; k; k = k->next, i_named++)
            if (k->hash == p->hash && str_eq(k->text, p->text)) {
                v = args->at[i_named];
                given = true;
            }
        if (!given && p->a) v = jinja_eval(r, p->a);
        jinja_set_variable(r, r->frame, p->text, p->hash, v);
    }
    for (const struct jinja_node *k = args->named; k && jinja_ok(r); k = k->next) {
        const struct jinja_node *p = macro->other;
        while (p && !(k->hash == p->hash && str_eq(k->text, p->text))) p = p->next;
        char name[48];
        if (!p) jinja_fail(r, "the macro has no parameter '%s'", str_escape(k->text, name, sizeof name));
    }
    if (args->n > i) jinja_fail(r, "%zu values for a macro of %zu parameters", args->n, i);
}

static struct jinja_value call_macro(struct jinja *r, const struct jinja_node *node, const struct jinja_macro *macro,
                                     const struct jinja_args *args)
{
    struct jinja_frame *outer = r->frame, *inner = jinja_alloc(r, 1, sizeof *inner);
    if (!inner) return jinja_undefined();
    r->at = node;
    if (r->calls >= JINJA_MAX_CALLS) return jinja_fail(r, "macros call each other deeper than 64");
    r->calls++;
    inner->outer = macro->frame;
    r->frame = inner;
    jinja_set_variable(r, inner, STR("caller"), hash_bytes("caller", 6, 0), args->caller);
    bind_parameters(r, macro->node, args);
    const struct jinja_value v = jinja_capture(r, macro->node->list);
    r->frame = outer;
    r->calls--;
    return v;
}

struct jinja_value jinja_call(struct jinja *r, const struct jinja_node *node, struct jinja_value callee,
                              const struct jinja_args *args)
{
    if (!jinja_ok(r)) return jinja_undefined();
    r->at = node;
    switch ((enum jinja_kind)callee.kind) {
    case JINJA_MACRO: return call_macro(r, node, callee.macro, args);
    case JINJA_METHOD: return callee.method->builtin->call(r, callee.method->self, args);
    case JINJA_FUNCTION: return callee.function->call(r, jinja_none(), args);
    case JINJA_UNDEFINED: return jinja_fail_undefined(r, callee);
    default: return jinja_fail(r, "a %s cannot be called", jinja_type_name(callee));
    }
}

static struct jinja_value filter_one(struct jinja *r, const struct jinja_node *node, struct jinja_value v)
{
    char name[48];
    const struct jinja_args args = eval_args(r, node);
    r->at = node;
    if (!node->builtin)
        return jinja_fail_unsupported(r, "there is no filter '%s'", str_escape(node->text, name, sizeof name));
    return jinja_ok(r) ? node->builtin->call(r, v, &args) : jinja_undefined();
}

struct jinja_value jinja_filter(struct jinja *r, const struct jinja_node *node, struct jinja_value v)
{
    if (!jinja_enter(r, node)) return jinja_undefined();
    if (node->a) v = jinja_filter(r, node->a, v);
    if (jinja_ok(r)) v = filter_one(r, node, v);
    jinja_leave(r);
    return v;
}

/* --- the expressions ----------------------------------------------------------- */

static struct jinja_value eval_collection(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_value out = node->type == NODE_DICT ? jinja_dict_new(r, 0)
                                                     : jinja_list_new(r, 0, node->op ? FLAVOUR_TUPLE : FLAVOUR_LIST);
    for (const struct jinja_node *item = node->list; item && jinja_ok(r); item = item->next) {
        const struct jinja_value v = jinja_eval(r, item);
        if (node->type == NODE_LIST) {
            jinja_list_add(r, out.list, v);
            continue;
        }
        item = item->next;
        const struct jinja_value value = jinja_eval(r, item);
        r->at = node;
        jinja_dict_set(r, out.dict, v, value);
    }
    return out;
}

static bool compare(struct jinja *r, int op, struct jinja_value a, struct jinja_value b)
{
    switch (op) {
    case TOKEN_EQ: return jinja_equal(r, a, b, 0);
    case TOKEN_NE: return !jinja_equal(r, a, b, 0);
    case OP_IN: return jinja_contains(r, b, a);
    case OP_NOT_IN: return !jinja_contains(r, b, a);
    case '<': return jinja_order(r, a, b) < 0;
    case '>': return jinja_order(r, a, b) > 0;
    case TOKEN_LE: return jinja_order(r, a, b) <= 0;
    default: return jinja_order(r, a, b) >= 0;
    }
}

static struct jinja_value eval_compare(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_value left = jinja_eval(r, node->a);
    for (const struct jinja_node *operand = node->list; operand && jinja_ok(r); operand = operand->next) {
        const struct jinja_value right = jinja_eval(r, operand->a);
        if (!jinja_ok(r)) break;
        r->at = node;
        if (!compare(r, operand->op, left, right)) return jinja_bool(false);
        left = right;
    }
    return jinja_bool(true);
}

static struct jinja_value eval_test(struct jinja *r, const struct jinja_node *node)
{
    char name[48];
    const struct jinja_value v = jinja_eval(r, node->a);
    const struct jinja_args args = eval_args(r, node);
    r->at = node;
    if (!node->builtin)
        return jinja_fail_unsupported(r, "there is no test '%s'", str_escape(node->text, name, sizeof name));
    return jinja_ok(r) ? node->builtin->call(r, v, &args) : jinja_undefined();
}

static struct jinja_value eval_sign(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_value v = jinja_eval(r, node->a);
    r->at = node;
    if (!jinja_ok(r)) return v;
    if (v.kind == JINJA_FLOAT) {
        if (node->type == NODE_NEGATE) v.number = -v.number;
        return v;
    }
    if (v.kind == JINJA_UNDEFINED) return jinja_fail_undefined(r, v);
    if (!jinja_is_whole(v)) return jinja_fail(r, "no sign for a %s", jinja_type_name(v));
    return jinja_binary(r, node->type == NODE_NEGATE ? '-' : '+', jinja_int(0), v);
}

static struct jinja_value eval_slice(struct jinja *r, const struct jinja_node *node)
{
    const struct jinja_value v = jinja_eval(r, node->a);
    struct jinja_value part[3];
    int i = 0;
    for (const struct jinja_node *p = node->list; p && i < 3; p = p->next) part[i++] = jinja_eval(r, p);
    r->at = node;
    return jinja_slice(r, v, part);
}

static struct jinja_value eval_concat(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_text t = {0};
    for (const struct jinja_node *part = node->list; part && jinja_ok(r); part = part->next) {
        const struct jinja_value v = jinja_eval(r, part);
        if (jinja_ok(r)) jinja_put_value(r, &t, v);
    }
    return jinja_text_value(r, &t);
}

static struct jinja_value eval_call(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_value caller = jinja_undefined();
    if (r->caller_of == node) {
        caller = r->caller;
        r->caller_of = NULL;
    }
    const struct jinja_value callee = jinja_eval(r, node->a);
    struct jinja_args args = eval_args(r, node);
    args.caller = caller;
    return jinja_call(r, node, callee, &args);
}

static struct jinja_value eval_inner(struct jinja *r, const struct jinja_node *node)
{
    struct jinja_value a, b;
    switch (node->type) {
    case NODE_LIST:
    case NODE_DICT: return eval_collection(r, node);
    case NODE_ATTR:
        a = jinja_eval(r, node->a);
        r->at = node;
        return jinja_attribute(r, node, a, node->text);
    case NODE_INDEX:
        a = jinja_eval(r, node->a);
        b = jinja_eval(r, node->b);
        r->at = node;
        return jinja_index(r, node, a, b);
    case NODE_SLICE: return eval_slice(r, node);
    case NODE_CALL: return eval_call(r, node);
    case NODE_FILTER: a = jinja_eval(r, node->a); return jinja_ok(r) ? filter_one(r, node, a) : a;
    case NODE_TEST: return eval_test(r, node);
    case NODE_NOT: return jinja_bool(!jinja_truth(r, jinja_eval(r, node->a)));
    case NODE_NEGATE:
    case NODE_PLUS: return eval_sign(r, node);
    case NODE_BINARY:
        a = jinja_eval(r, node->a);
        b = jinja_eval(r, node->b);
        r->at = node;
        return jinja_binary(r, node->op, a, b);
    case NODE_CONCAT: return eval_concat(r, node);
    case NODE_COMPARE: return eval_compare(r, node);
    case NODE_AND:
    case NODE_OR:
        a = jinja_eval(r, node->a);
        return jinja_truth(r, a) == (node->type == NODE_OR) || !jinja_ok(r) ? a : jinja_eval(r, node->b);
    case NODE_COND:
        if (jinja_truth(r, jinja_eval(r, node->a))) return jinja_eval(r, node->b);
        return node->c && jinja_ok(r) ? jinja_eval(r, node->c) : jinja_undefined();
    default: return jinja_fail(r, "no expression");
    }
}

struct jinja_value jinja_eval(struct jinja *r, const struct jinja_node *node)
{
    if (node->type == NODE_CONST) return node->value;
    if (node->type == NODE_NAME) return jinja_variable_get(r, node);
    if (!jinja_enter(r, node)) return jinja_undefined();
    const struct jinja_value v = eval_inner(r, node);
    jinja_leave(r);
    return v;
}
