/* jinja_statements: the half of the parser that knows {% %}; see jinja_syntax.h. */
#include "jinja_parser.h"

#include <stdio.h>
#include <string.h>

static struct jinja_node *parse_body(struct parser *p, const char *const *ends);

/* %} and the statements up to {% END where END is one of `ends` (NULL-terminated), which is left as current. */
static struct jinja_node *parse_block(struct parser *p, const char *const *ends)
{
    parser_skip(p, ':');
    if (!parser_expect(p, TOKEN_BLOCK_END, "%}")) return NULL;
    return parse_body(p, ends);
}

static struct jinja_node *parse_target(struct parser *p, const char *end_word)
{
    struct jinja_node *first = NULL, **tail = &first;
    bool tuple = false;
    const bool bracket = parser_skip(p, '(');
    do {
        if (first && ((end_word && parser_is_name(p, end_word)) || parser_is(p, ')') || parser_is(p, '='))) break;
        struct jinja_node *name = parser_node(p, NODE_NAME, p->tokens[p->at].text);
        parser_name(p, "a name to assign to");
        parser_append(&tail, name);
        if (parser_is(p, ',')) tuple = true;
    } while (parser_skip(p, ','));
    if (bracket) parser_expect(p, ')', ")");
    if (!tuple || p->st != PUMICE_OK) return first;
    struct jinja_node *node = parser_node(p, NODE_LIST, STR(""));
    if (!node) return NULL;
    node->op = 1;
    node->list = first;
    return node;
}

static struct jinja_node *parse_for(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"endfor", "else", NULL}, *const last[] = {"endfor", NULL};
    node->b = parse_target(p, "in");
    if (!parser_skip_name(p, "in")) return parser_fail(p, "expected 'in'");
    node->a = parse_tuple(p, false, "recursive", false);
    if (parser_skip_name(p, "if")) node->c = parse_expression(p, true);
    if (parser_is_name(p, "recursive")) return parser_fail(p, "recursive loops are not supported");
    p->loops++;
    node->list = parse_block(p, ends);
    p->loops--;
    if (parser_skip_name(p, "else")) node->other = parse_block(p, last);
    parser_skip_name(p, "endfor");
    return node;
}

static struct jinja_node *parse_if(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif", NULL};
    for (struct jinja_node *branch = node; branch;) {
        branch->a = parse_tuple(p, false, NULL, false);
        branch->list = parse_block(p, ends);
        if (parser_skip_name(p, "elif")) {
            branch->op = 1;
            branch->other = parser_node(p, NODE_IF, STR("elif"));
            branch = branch->other;
            continue;
        }
        if (parser_skip_name(p, "else")) branch->other = parse_block(p, last);
        break;
    }
    parser_skip_name(p, "endif");
    return node;
}

static struct jinja_node *parse_set(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"endset", NULL};
    if (parser_is(p, TOKEN_NAME) && parser_next_is(p, '.')) {
        node->b = parser_node(p, NODE_NAMESPACE_TARGET, p->tokens[p->at].text);
        p->at += 2;
        const struct str attribute = parser_name(p, "a name after the dot");
        if (!node->b || p->st != PUMICE_OK) return NULL;
        node->b->value = parser_string(p, attribute);
    } else {
        node->b = parse_target(p, NULL);
    }
    if (parser_skip(p, '=')) {
        node->a = parse_tuple(p, true, NULL, false);
        return node;
    }
    node->type = NODE_SET_BLOCK;
    node->a = parse_filters(p, NULL, false);
    node->list = parse_block(p, ends);
    parser_skip_name(p, "endset");
    return node;
}

static void parse_signature(struct parser *p, struct jinja_node *macro)
{
    struct jinja_node **tail = &macro->other;
    bool defaults = false;
    parser_expect(p, '(', "(");
    while (p->st == PUMICE_OK && !parser_is(p, ')')) {
        if (macro->other && !parser_expect(p, ',', "a comma or )")) return;
        struct jinja_node *parameter = parser_node(p, NODE_KEYWORD, p->tokens[p->at].text);
        parser_name(p, "a parameter's name");
        if (parser_skip(p, '=')) {
            defaults = true;
            if (parameter) parameter->a = parse_expression(p, true);
        } else if (defaults) {
            parser_fail(p, "a parameter without default after one with a default");
        }
        parser_append(&tail, parameter);
    }
    parser_expect(p, ')', ")");
}

/* The body of a macro is no part of a loop around it. */
static struct jinja_node *parse_macro_body(struct parser *p, const char *const *ends)
{
    const unsigned loops = p->loops;
    p->loops = 0;
    struct jinja_node *body = parse_block(p, ends);
    p->loops = loops;
    return body;
}

static struct jinja_node *parse_macro(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"endmacro", NULL};
    node->text = parser_name(p, "a macro's name");
    node->hash = hash_bytes(node->text.data, node->text.n, 0);
    parse_signature(p, node);
    node->list = parse_macro_body(p, ends);
    parser_skip_name(p, "endmacro");
    return node;
}

static struct jinja_node *parse_call_block(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"endcall", NULL};
    node->b = parser_node(p, NODE_MACRO, STR("caller"));
    if (!node->b) return NULL;
    if (parser_is(p, '(')) parse_signature(p, node->b);
    node->a = parse_expression(p, true);
    if (p->st == PUMICE_OK && node->a->type != NODE_CALL) return parser_fail(p, "expected a call");
    node->b->list = parse_macro_body(p, ends);
    parser_skip_name(p, "endcall");
    return node;
}

static struct jinja_node *parse_with(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"endwith", NULL};
    struct jinja_node **tail = &node->other;
    while (p->st == PUMICE_OK && !parser_is(p, TOKEN_BLOCK_END)) {
        if (node->other && !parser_expect(p, ',', "a comma")) return NULL;
        struct jinja_node *set = parser_node(p, NODE_KEYWORD, p->tokens[p->at].text);
        parser_name(p, "a name");
        parser_expect(p, '=', "=");
        if (set) set->a = parse_expression(p, true);
        parser_append(&tail, set);
    }
    node->list = parse_block(p, ends);
    parser_skip_name(p, "endwith");
    return node;
}

static struct jinja_node *parse_generation(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"endgeneration", NULL};
    node->list = parse_block(p, ends);
    parser_skip_name(p, "endgeneration");
    return node;
}

static struct jinja_node *parse_filter_block(struct parser *p, struct jinja_node *node)
{
    static const char *const ends[] = {"endfilter", NULL};
    node->a = parse_filters(p, NULL, true);
    node->list = parse_block(p, ends);
    parser_skip_name(p, "endfilter");
    return node;
}

static struct jinja_node *parse_loop_control(struct parser *p, struct jinja_node *node)
{
    return p->loops ? node : parser_fail(p, "outside of a loop");
}

static struct jinja_node *parse_print(struct parser *p, struct jinja_node *node)
{
    node->a = parse_tuple(p, true, NULL, false);
    return node;
}

/* After {%: one statement up to its last %}, which is left. */
static struct jinja_node *parse_statement(struct parser *p)
{
    static const struct {
        const char *word;
        enum jinja_node_type type;
        struct jinja_node *(*parse)(struct parser *p, struct jinja_node *node);
    } table[] = {{"for", NODE_FOR, parse_for},
                 {"if", NODE_IF, parse_if},
                 {"set", NODE_SET, parse_set},
                 {"macro", NODE_MACRO, parse_macro},
                 {"call", NODE_CALL_BLOCK, parse_call_block},
                 {"filter", NODE_FILTER_BLOCK, parse_filter_block},
                 {"with", NODE_WITH, parse_with},
                 {"generation", NODE_BLOCK, parse_generation},
                 {"print", NODE_OUTPUT, parse_print},
                 {"break", NODE_BREAK, parse_loop_control},
                 {"continue", NODE_CONTINUE, parse_loop_control}};
    static const char *const left_out[] = {"include", "import",     "from", "extends",
                                           "block",   "autoescape", "do",   "trans"};
    const struct jinja_token *t = &p->tokens[p->at];
    char shown[48], where[64];
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (!parser_is_name(p, table[i].word)) continue;
        struct jinja_node *node = parser_node(p, table[i].type, t->text);
        p->at++;
        return node ? table[i].parse(p, node) : NULL;
    }
    snprintf(where, sizeof where, "{%% %s %%}", str_escape(t->text, shown, sizeof shown));
    for (size_t i = 0; i < COUNT_OF(left_out); i++)
        if (p->st == PUMICE_OK && parser_is_name(p, left_out[i]))
            p->st = jinja_error(PUMICE_UNSUPPORTED, t->line, where, "this statement is not supported");
    if (p->st == PUMICE_OK) p->st = jinja_error(PUMICE_FORMAT, t->line, where, "unknown or misplaced statement");
    return NULL;
}

static struct jinja_node *parse_body(struct parser *p, const char *const *ends)
{
    struct jinja_node *first = NULL, **tail = &first, *node;
    const uint32_t begun = p->tokens[p->at].line;
    if (p->st != PUMICE_OK) return NULL;
    if (p->blocks++ >= JINJA_MAX_NESTING) return parser_fail(p, "blocks nested deeper than 64");
    while (p->st == PUMICE_OK) {
        const struct jinja_token *t = &p->tokens[p->at];
        if (t->type == TOKEN_EOF) break;
        if (t->type == TOKEN_DATA) {
            node = parser_node(p, NODE_TEXT, STR(""));
            if (node) node->value = parser_string(p, t->text);
            p->at++;
        } else if (t->type == TOKEN_VARIABLE_BEGIN) {
            node = parser_node(p, NODE_OUTPUT, STR(""));
            p->at++;
            if (node) node->a = parse_tuple(p, true, NULL, false);
            parser_expect(p, TOKEN_VARIABLE_END, "}}");
        } else {
            p->at++;
            for (size_t i = 0; ends && ends[i]; i++)
                if (parser_is_name(p, ends[i])) {
                    p->blocks--;
                    return first;
                }
            node = parse_statement(p);
            parser_expect(p, TOKEN_BLOCK_END, "%}");
        }
        if (p->st == PUMICE_OK) parser_append(&tail, node);
    }
    p->blocks--;
    if (ends && p->st == PUMICE_OK) {
        size_t last = 0;
        while (ends[last + 1]) last++;
        parser_fail(p, "{%% %s %%} is missing for the block begun in line %u", ends[last], (unsigned)begun);
    }
    return first;
}

enum pumice_status jinja_parse(struct str source, struct arena *arena, struct jinja_node **root)
{
    struct parser p = {.arena = arena};
    size_t n;
    *root = NULL;
    p.st = jinja_lex(source, arena, &p.tokens, &n);
    if (p.st == PUMICE_OK) *root = parse_body(&p, NULL);
    return p.st;
}

char *jinja_describe(const struct jinja_node *node, char *out, size_t out_bytes)
{
    static const struct {
        enum jinja_node_type type;
        const char *shape; /* %s stands for the text */
    } names[] = {{NODE_NAME, "variable '%s'"},    {NODE_ATTR, "attribute '%s'"},
                 {NODE_FILTER, "filter '%s'"},    {NODE_TEST, "test '%s'"},
                 {NODE_MACRO, "macro '%s'"},      {NODE_INDEX, "index [ ]"},
                 {NODE_SLICE, "slice [ : ]"},     {NODE_CALL, "call"},
                 {NODE_FOR, "{% for %}"},         {NODE_SET, "{% set %}"},
                 {NODE_SET_BLOCK, "{% set %}"},   {NODE_IF, "{% if %}"},
                 {NODE_OUTPUT, "{{ }}"},          {NODE_CONCAT, "operator ~"},
                 {NODE_COMPARE, "comparison"},    {NODE_OPERAND, "comparison"},
                 {NODE_NEGATE, "operator -"},     {NODE_PLUS, "operator +"},
                 {NODE_CALL_BLOCK, "{% call %}"}, {NODE_FILTER_BLOCK, "{% filter %}"},
                 {NODE_WITH, "{% with %}"},       {NODE_NAMESPACE_TARGET, "{% set %s. %}"},
                 {NODE_DICT, "dictionary"},       {NODE_TEXT, "text"}};
    char text[48];
    if (node->type == NODE_BINARY) {
        if (node->op == TOKEN_FLOORDIV || node->op == TOKEN_POW)
            snprintf(out, out_bytes, "operator %s", node->op == TOKEN_POW ? "**" : "//");
        else snprintf(out, out_bytes, "operator %c", (char)node->op);
        return out;
    }
    if (node->type == NODE_CALL && (node->a->type == NODE_NAME || node->a->type == NODE_ATTR)) {
        snprintf(out, out_bytes, "call of %s()", str_escape(node->a->text, text, sizeof text));
        return out;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (names[i].type != node->type) continue;
        const char *at = strstr(names[i].shape, "%s");
        if (!at) snprintf(out, out_bytes, "%s", names[i].shape);
        else
            snprintf(out, out_bytes, "%.*s%s%s", (int)(at - names[i].shape), names[i].shape,
                     str_escape(node->text, text, sizeof text), at + 2);
        return out;
    }
    snprintf(out, out_bytes, "expression");
    return out;
}
