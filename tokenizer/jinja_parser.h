/* jinja_parser: what the two halves of the parser, expressions and statements, share. Private to them.
 *
 * Failure is sticky: p->st is the first error, and every function returns NULL from then on. */
#ifndef PUMICE_JINJA_PARSER_H
#define PUMICE_JINJA_PARSER_H

#include "jinja_run.h"
#include "json.h"

struct parser {
    struct arena *arena;
    struct jinja_token *tokens; /* the last one is EOF and never passed */
    size_t at;
    unsigned nesting, blocks, loops;
    enum pumice_status st;
};

struct jinja_node *parser_fail(struct parser *p, const char *format, ...) PRINTF_LIKE(2, 3); /* NULL */
bool parser_is(const struct parser *p, int type);
bool parser_is_name(const struct parser *p, const char *name);
bool parser_next_is(const struct parser *p, int type);
bool parser_skip(struct parser *p, int type); /* false after a failure, so that loops end */
bool parser_skip_name(struct parser *p, const char *name);
bool parser_expect(struct parser *p, int type, const char *what);
struct str parser_name(struct parser *p, const char *what);
struct jinja_node *parser_node(struct parser *p, enum jinja_node_type type, struct str text);
struct jinja_node *parser_done(struct parser *p, struct jinja_node *node); /* measures the depth, fails when too deep */
void parser_append(struct jinja_node ***tail, struct jinja_node *node);
struct jinja_value parser_string(struct parser *p, struct str text);

struct jinja_node *parse_expression(struct parser *p, bool with_condition);
/* One expression, or several with commas as a tuple; ends before end_word too (may be NULL). */
struct jinja_node *parse_tuple(struct parser *p, bool with_condition, const char *end_word, bool parenthesised);
/* | name(...) | ... onto node; started: the first name comes without its bar. */
struct jinja_node *parse_filters(struct parser *p, struct jinja_node *node, bool started);

#endif
