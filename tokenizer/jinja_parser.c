/* jinja_parser: expressions; see jinja_syntax.h. One function a level of precedence, named as in Jinja's own parser. */
#include "jinja_parser.h"

#include <stdio.h>
#include <string.h>

static struct jinja_node *parse_unary(struct parser *p, bool with_filter);

/* --- what all of the parser stands on (jinja_parser.h) ----------------------------------------------------------- */

struct jinja_node *parser_fail(struct parser *p, const char *format, ...)
{
    char what[300], where[64], token[80];
    const struct jinja_token *t = &p->tokens[p->at];
    va_list args;
    if (p->st != PUMICE_OK) return NULL;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(where, sizeof where, "at '%s'", t->type == TOKEN_EOF ? "the end" : str_escape(t->text, token, 40));
    p->st = jinja_error(PUMICE_FORMAT, t->line, where, "%s", what);
    return NULL;
}

bool parser_is(const struct parser *p, int type) { return p->tokens[p->at].type == type; }

bool parser_is_name(const struct parser *p, const char *name)
{
    return parser_is(p, TOKEN_NAME) && str_eqz(p->tokens[p->at].text, name);
}

bool parser_next_is(const struct parser *p, int type)
{
    return !parser_is(p, TOKEN_EOF) && p->tokens[p->at + 1].type == type;
}

bool parser_skip(struct parser *p, int type)
{
    if (p->st != PUMICE_OK || !parser_is(p, type)) return false;
    p->at++;
    return true;
}

bool parser_skip_name(struct parser *p, const char *name)
{
    if (p->st != PUMICE_OK || !parser_is_name(p, name)) return false;
    p->at++;
    return true;
}

bool parser_expect(struct parser *p, int type, const char *what)
{
    if (parser_skip(p, type)) return true;
    parser_fail(p, "expected %s", what);
    return false;
}

struct str parser_name(struct parser *p, const char *what)
{
    const struct str text = p->tokens[p->at].text;
    return parser_expect(p, TOKEN_NAME, what) ? text : STR("");
}

struct jinja_node *parser_node(struct parser *p, enum jinja_node_type type, struct str text)
{
    if (p->st != PUMICE_OK) return NULL;
    struct jinja_node *node = arena_alloc(p->arena, 1, sizeof *node);
    if (!node) {
        p->st = err_memory("chat template", sizeof *node);
        return NULL;
    }
    node->type = type;
    node->line = p->tokens[p->at].line;
    node->text = text;
    node->hash = hash_bytes(text.data, text.n, 0);
    node->value = jinja_none();
    return node;
}

struct jinja_node *parser_done(struct parser *p, struct jinja_node *node)
{
    if (p->st != PUMICE_OK || !node) return NULL;
    const struct jinja_node *children[] = {node->a, node->b, node->c};
    unsigned depth = 0;
    for (size_t i = 0; i < COUNT_OF(children); i++)
        if (children[i]) depth = MAX(depth, children[i]->depth);
    for (const struct jinja_node *n = node->list; n; n = n->next) depth = MAX(depth, n->depth);
    for (const struct jinja_node *n = node->other; n; n = n->next) depth = MAX(depth, n->depth);
    node->depth = depth + 1;
    return node->depth > JINJA_MAX_TREE_DEPTH ? parser_fail(p, "an expression of too many parts") : node;
}

void parser_append(struct jinja_node ***tail, struct jinja_node *node)
{
    if (!node) return;
    **tail = node;
    *tail = &node->next;
}

/* The text as a constant that the template wrote. */
static struct jinja_node *constant(struct parser *p, struct jinja_value value)
{
    struct jinja_node *node = parser_node(p, NODE_CONST, STR(""));
    if (node) node->value = value;
    return node;
}

struct jinja_value parser_string(struct parser *p, struct str text)
{
    struct jinja_string *s = p->st == PUMICE_OK ? arena_alloc(p->arena, 1, sizeof *s + sizeof s->runs[0]) : NULL;
    if (!s) {
        if (p->st == PUMICE_OK) p->st = err_memory("chat template", text.n);
        return jinja_none();
    }
    s->data = text.data;
    s->n = text.n;
    s->n_chars = 0;
    for (size_t i = 0; i < text.n; i++) s->n_chars += (unsigned char)text.data[i] < 0x80;
    if (s->n_chars != s->n) s->n_chars = SIZE_MAX - 1; /* never cached: the tree is shared between threads */
    s->n_runs = text.n > 0;
    if (text.n) s->runs[0] = (struct jinja_run){text.n, TEMPLATE_ORIGIN};
    return (struct jinja_value){.kind = JINJA_STRING, .origin = TEMPLATE_ORIGIN, .string = s};
}

/* --- primaries ----------------------------------------------------------- */

static struct jinja_node *parse_strings(struct parser *p)
{
    size_t n = 0, end = p->at;
    for (; p->tokens[end].type == TOKEN_STRING; end++) n += p->tokens[end].text.n;
    struct str text = p->tokens[p->at].text;
    if (end - p->at > 1) {
        char *joined = arena_alloc(p->arena, n, 1);
        if (!joined) {
            p->st = err_memory("chat template", n);
            return NULL;
        }
        n = 0;
        for (size_t i = p->at; i < end; i++) {
            if (p->tokens[i].text.n) memcpy(joined + n, p->tokens[i].text.data, p->tokens[i].text.n);
            n += p->tokens[i].text.n;
        }
        text = (struct str){joined, n};
    }
    struct jinja_node *node = constant(p, parser_string(p, text));
    p->at = end;
    return node;
}

static struct jinja_node *parse_number(struct parser *p)
{
    const struct str text = p->tokens[p->at].text;
    int64_t integer = 0;
    if (parser_is(p, TOKEN_FLOAT)) {
        struct jinja_node *node = constant(p, jinja_float(json_number(text)));
        p->at++;
        return node;
    }
    for (size_t i = 0; i < text.n; i++) {
        const int digit = text.data[i] - '0';
        if (integer > (INT64_MAX - digit) / 10) return parser_fail(p, "a number of more than 64 bits");
        integer = integer * 10 + digit;
    }
    struct jinja_node *node = constant(p, jinja_int(integer));
    p->at++;
    return node;
}

static struct jinja_node *parse_list(struct parser *p)
{
    struct jinja_node *node = parser_node(p, NODE_LIST, STR("")), **tail = node ? &node->list : NULL;
    p->at++;
    while (p->st == PUMICE_OK && !parser_is(p, ']')) {
        if (node->list && !parser_expect(p, ',', "a comma or ]")) break;
        if (parser_is(p, ']')) break;
        parser_append(&tail, parse_expression(p, true));
    }
    parser_expect(p, ']', "]");
    return parser_done(p, node);
}

static struct jinja_node *parse_dict(struct parser *p)
{
    struct jinja_node *node = parser_node(p, NODE_DICT, STR("")), **tail = node ? &node->list : NULL;
    p->at++;
    while (p->st == PUMICE_OK && !parser_is(p, '}')) {
        if (node->list && !parser_expect(p, ',', "a comma or }")) break;
        if (parser_is(p, '}')) break;
        parser_append(&tail, parse_expression(p, true));
        if (!parser_expect(p, ':', "a colon")) break;
        parser_append(&tail, parse_expression(p, true));
    }
    parser_expect(p, '}', "}");
    return parser_done(p, node);
}

static struct jinja_node *parse_primary(struct parser *p)
{
    const struct jinja_token *t = &p->tokens[p->at];
    struct jinja_node *node;
    if (p->st != PUMICE_OK) return NULL;
    switch (t->type) {
    case TOKEN_NAME:
        if (str_eqz(t->text, "true") || str_eqz(t->text, "True")) node = constant(p, jinja_bool(true));
        else if (str_eqz(t->text, "false") || str_eqz(t->text, "False")) node = constant(p, jinja_bool(false));
        else if (str_eqz(t->text, "none") || str_eqz(t->text, "None")) node = constant(p, jinja_none());
        else node = parser_node(p, NODE_NAME, t->text);
        p->at++;
        return node;
    case TOKEN_STRING: return parse_strings(p);
    case TOKEN_INTEGER:
    case TOKEN_FLOAT: return parse_number(p);
    case '(':
        p->at++;
        node = parse_tuple(p, true, NULL, true);
        parser_expect(p, ')', ")");
        return node;
    case '[': return parse_list(p);
    case '{': return parse_dict(p);
    default: return parser_fail(p, "expected an expression");
    }
}

struct jinja_node *parse_tuple(struct parser *p, bool with_condition, const char *end_word, bool parenthesised)
{
    struct jinja_node *first = NULL, **tail = &first, *last = NULL;
    bool tuple = false;
    while (p->st == PUMICE_OK) {
        if (last && !parser_expect(p, ',', "a comma")) return NULL;
        if (parser_is(p, TOKEN_VARIABLE_END) || parser_is(p, TOKEN_BLOCK_END) || parser_is(p, ')') ||
            (end_word && parser_is_name(p, end_word)))
            break;
        last = parse_expression(p, with_condition);
        parser_append(&tail, last);
        if (!parser_is(p, ',')) break;
        tuple = true;
    }
    if (p->st != PUMICE_OK) return NULL;
    if (!tuple && first) return first;
    if (!first && !parenthesised) return parser_fail(p, "expected an expression");
    struct jinja_node *node = parser_node(p, NODE_LIST, STR(""));
    if (!node) return NULL;
    node->op = 1;
    node->list = first;
    return parser_done(p, node);
}

/* --- what follows a primary ----------------------------------------------------------- */

static void parse_arguments(struct parser *p, struct jinja_node *call)
{
    struct jinja_node **tail = call ? &call->list : NULL, **named = call ? &call->other : NULL;
    p->at++;
    while (p->st == PUMICE_OK && !parser_is(p, ')')) {
        if ((call->list || call->other) && !parser_expect(p, ',', "a comma or )")) return;
        if (parser_is(p, ')')) break;
        if (parser_is(p, '*') || parser_is(p, TOKEN_POW)) {
            parser_fail(p, "* and ** in a call are not supported");
            return;
        }
        if (parser_is(p, TOKEN_NAME) && parser_next_is(p, '=')) {
            struct jinja_node *keyword = parser_node(p, NODE_KEYWORD, p->tokens[p->at].text);
            p->at += 2;
            if (keyword) keyword->a = parse_expression(p, true);
            parser_append(&named, parser_done(p, keyword));
        } else {
            if (call->other) parser_fail(p, "a value after a named argument");
            parser_append(&tail, parse_expression(p, true));
        }
    }
    parser_expect(p, ')', ")");
}

static struct jinja_node *parse_call(struct parser *p, struct jinja_node *callee)
{
    struct jinja_node *node = parser_node(p, NODE_CALL, STR(""));
    if (!node) return NULL;
    node->a = callee;
    parse_arguments(p, node);
    return parser_done(p, node);
}

/* from:to:step of a slice; absent parts are none. The first part may be parsed already. */
static struct jinja_node *parse_slice(struct parser *p, struct jinja_node *first)
{
    struct jinja_node *node = parser_node(p, NODE_SLICE, STR("")), **tail;
    if (!node) return NULL;
    tail = &node->list;
    parser_append(&tail, first ? first : constant(p, jinja_none()));
    for (int part = 1; part < 3; part++) {
        const bool more = parser_skip(p, ':');
        parser_append(&tail, more && !parser_is(p, ':') && !parser_is(p, ']') ? parse_expression(p, true)
                                                                              : constant(p, jinja_none()));
    }
    return node;
}

static struct jinja_node *parse_subscript(struct parser *p, struct jinja_node *object)
{
    struct jinja_node *node;
    if (parser_skip(p, '.')) {
        if (parser_is(p, TOKEN_INTEGER)) {
            node = parser_node(p, NODE_INDEX, STR(""));
            if (node) node->b = parse_number(p);
        } else {
            node = parser_node(p, NODE_ATTR, p->tokens[p->at].text);
            parser_name(p, "a name or number after the dot");
        }
    } else {
        p->at++;
        struct jinja_node *index = parser_is(p, ':') ? NULL : parse_expression(p, true);
        if (p->st == PUMICE_OK && parser_is(p, ':')) {
            node = parse_slice(p, index);
        } else {
            node = parser_node(p, NODE_INDEX, STR(""));
            if (node) node->b = index;
        }
        parser_expect(p, ']', "]");
    }
    if (!node) return NULL;
    node->a = object;
    return parser_done(p, node);
}

static struct jinja_node *parse_postfix(struct parser *p, struct jinja_node *node)
{
    while (p->st == PUMICE_OK) {
        if (parser_is(p, '.') || parser_is(p, '[')) node = parse_subscript(p, node);
        else if (parser_is(p, '(')) node = parse_call(p, node);
        else break;
    }
    return node;
}

static struct jinja_node *parse_test(struct parser *p, struct jinja_node *object)
{
    p->at++;
    const bool negated = parser_skip_name(p, "not");
    struct jinja_node *node = parser_node(p, NODE_TEST, p->tokens[p->at].text);
    parser_name(p, "the name of a test");
    if (!node || p->st != PUMICE_OK) return NULL;
    node->a = object;
    node->builtin = jinja_find_test(node->text);
    if (parser_is(p, '(')) {
        parse_arguments(p, node);
    } else if ((parser_is(p, TOKEN_NAME) && !parser_is_name(p, "else") && !parser_is_name(p, "or") &&
                !parser_is_name(p, "and")) ||
               parser_is(p, TOKEN_STRING) || parser_is(p, TOKEN_INTEGER) || parser_is(p, TOKEN_FLOAT) ||
               parser_is(p, '[') || parser_is(p, '{')) {
        if (parser_is_name(p, "is")) return parser_fail(p, "tests cannot be chained");
        /* `x is none if y`, `x is y in z`: these words are Jinja's, not an argument */
        if (!parser_is_name(p, "if") && !parser_is_name(p, "in") && !parser_is_name(p, "not"))
            node->list = parse_postfix(p, parse_primary(p));
    }
    node = parser_done(p, node);
    if (!negated || !node) return node;
    struct jinja_node *not = parser_node(p, NODE_NOT, STR(""));
    if (!not ) return NULL;
    not ->a = node;
    return parser_done(p, not );
}

struct jinja_node *parse_filters(struct parser *p, struct jinja_node *node, bool started)
{
    while (p->st == PUMICE_OK && (started || parser_skip(p, '|'))) {
        started = false;
        struct jinja_node *filter = parser_node(p, NODE_FILTER, p->tokens[p->at].text);
        parser_name(p, "the name of a filter");
        if (!filter || p->st != PUMICE_OK) return NULL;
        filter->a = node;
        filter->builtin = jinja_find_filter(filter->text);
        if (parser_is(p, '(')) parse_arguments(p, filter);
        node = parser_done(p, filter);
    }
    return node;
}

static struct jinja_node *parse_filter_expression(struct parser *p, struct jinja_node *node)
{
    while (p->st == PUMICE_OK) {
        if (parser_is(p, '|')) node = parse_filters(p, node, false);
        else if (parser_is_name(p, "is")) node = parse_test(p, node);
        else if (parser_is(p, '(')) node = parse_call(p, node);
        else break;
    }
    return node;
}

/* --- operators ----------------------------------------------------------- */

static bool enter(struct parser *p)
{
    if (p->st != PUMICE_OK) return false;
    if (p->nesting >= 2 * JINJA_MAX_NESTING) { /* a bracket enters twice: expression, unary */
        parser_fail(p, "expressions nested deeper than 64");
        return false;
    }
    p->nesting++;
    return true;
}

static struct jinja_node *wrap(struct parser *p, enum jinja_node_type type, int op, struct jinja_node *a,
                               struct jinja_node *b)
{
    struct jinja_node *node = parser_node(p, type, STR(""));
    if (!node) return NULL;
    node->op = op;
    node->a = a;
    node->b = b;
    return parser_done(p, node);
}

static struct jinja_node *parse_unary(struct parser *p, bool with_filter)
{
    struct jinja_node *node;
    if (!enter(p)) return NULL;
    if (parser_skip(p, '-')) node = wrap(p, NODE_NEGATE, 0, parse_unary(p, false), NULL);
    else if (parser_skip(p, '+')) node = wrap(p, NODE_PLUS, 0, parse_unary(p, false), NULL);
    else node = parse_primary(p);
    node = parse_postfix(p, node);
    if (with_filter) node = parse_filter_expression(p, node);
    p->nesting--;
    return node;
}

static struct jinja_node *parse_power(struct parser *p)
{
    struct jinja_node *left = parse_unary(p, true);
    while (parser_skip(p, TOKEN_POW)) left = wrap(p, NODE_BINARY, TOKEN_POW, left, parse_unary(p, true));
    return left;
}

static struct jinja_node *parse_product(struct parser *p)
{
    struct jinja_node *left = parse_power(p);
    for (;;) {
        const int op = p->tokens[p->at].type;
        if (op != '*' && op != '/' && op != TOKEN_FLOORDIV && op != '%') return left;
        if (!parser_skip(p, op)) return NULL;
        left = wrap(p, NODE_BINARY, op, left, parse_power(p));
    }
}

static struct jinja_node *parse_concat(struct parser *p)
{
    struct jinja_node *first = parse_product(p), **tail, *node;
    if (p->st != PUMICE_OK || !parser_is(p, '~')) return first;
    node = parser_node(p, NODE_CONCAT, STR(""));
    if (!node) return NULL;
    tail = &node->list;
    parser_append(&tail, first);
    while (parser_skip(p, '~')) parser_append(&tail, parse_product(p));
    return parser_done(p, node);
}

static struct jinja_node *parse_sum(struct parser *p)
{
    struct jinja_node *left = parse_concat(p);
    for (;;) {
        const int op = p->tokens[p->at].type;
        if (op != '+' && op != '-') return left;
        if (!parser_skip(p, op)) return NULL;
        left = wrap(p, NODE_BINARY, op, left, parse_concat(p));
    }
}

static struct jinja_node *parse_compare(struct parser *p)
{
    struct jinja_node *first = parse_sum(p), *node = NULL, **tail = NULL;
    while (p->st == PUMICE_OK) {
        int op = p->tokens[p->at].type;
        if (op == TOKEN_EQ || op == TOKEN_NE || op == TOKEN_GE || op == TOKEN_LE || op == '<' || op == '>') p->at++;
        else if (parser_skip_name(p, "in")) op = OP_IN;
        else if (parser_is_name(p, "not") && p->tokens[p->at + 1].type == TOKEN_NAME &&
                 str_eqz(p->tokens[p->at + 1].text, "in")) {
            p->at += 2;
            op = OP_NOT_IN;
        } else break;
        if (!node) {
            node = parser_node(p, NODE_COMPARE, STR(""));
            if (!node) return NULL;
            node->a = first;
            tail = &node->list;
        }
        parser_append(&tail, wrap(p, NODE_OPERAND, op, parse_sum(p), NULL));
    }
    return node ? parser_done(p, node) : first;
}

static struct jinja_node *parse_not(struct parser *p)
{
    if (!parser_is_name(p, "not")) return parse_compare(p);
    if (!enter(p)) return NULL;
    p->at++;
    struct jinja_node *node = wrap(p, NODE_NOT, 0, parse_not(p), NULL);
    p->nesting--;
    return node;
}

static struct jinja_node *parse_and(struct parser *p)
{
    struct jinja_node *left = parse_not(p);
    while (parser_skip_name(p, "and")) left = wrap(p, NODE_AND, 0, left, parse_not(p));
    return left;
}

static struct jinja_node *parse_or(struct parser *p)
{
    struct jinja_node *left = parse_and(p);
    while (parser_skip_name(p, "or")) left = wrap(p, NODE_OR, 0, left, parse_and(p));
    return left;
}

struct jinja_node *parse_expression(struct parser *p, bool with_condition)
{
    if (!enter(p)) return NULL;
    struct jinja_node *node = parse_or(p);
    while (with_condition && parser_skip_name(p, "if")) {
        struct jinja_node *condition = parse_or(p);
        node = wrap(p, NODE_COND, 0, condition, node);
        if (parser_skip_name(p, "else")) {
            struct jinja_node *otherwise = parse_expression(p, true);
            if (node) node->c = otherwise;
            node = parser_done(p, node);
        }
    }
    p->nesting--;
    return node;
}
