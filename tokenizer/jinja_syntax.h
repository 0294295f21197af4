/* jinja_syntax: tokens and syntax tree of a chat template, and how text becomes one.
 *
 * Owns the grammar (Jinja 3.1 with trim_blocks, lstrip_blocks, loop controls and {% generation %}). Knows nothing of
 * rendering. The template is untrusted: size, nesting and memory are bounded. The tree lives in the template's arena and
 * is read-only afterwards. */
#ifndef PUMICE_JINJA_SYNTAX_H
#define PUMICE_JINJA_SYNTAX_H

#include "jinja_value.h"

enum {
    JINJA_MAX_SOURCE_BYTES = 1 << 20,
    JINJA_MAX_NESTING = 64,    /* blocks in blocks, brackets in brackets */
    JINJA_MAX_TREE_DEPTH = 400 /* chains such as a + b + c ... nest to the left */
};

/* An operator's type is its character; the doubled ones are named. */
enum jinja_token_type {
    TOKEN_EOF = 256, TOKEN_DATA, TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END, TOKEN_BLOCK_BEGIN, TOKEN_BLOCK_END,
    TOKEN_NAME, TOKEN_STRING, TOKEN_INTEGER, TOKEN_FLOAT,
    TOKEN_FLOORDIV, TOKEN_POW, TOKEN_EQ, TOKEN_NE, TOKEN_GE, TOKEN_LE
};

struct jinja_token {
    int type;
    uint32_t line;
    struct str text;
};

/* Fails FORMAT (naming line and construct), MEMORY. The tokens end with EOF; their text points into arena memory. */
enum pumice_status jinja_lex(struct str source, struct arena *arena, struct jinja_token **tokens, size_t *n_tokens);

enum jinja_node_type {
    /* expressions */
    NODE_CONST,   /* value */
    NODE_NAME,    /* text, hash */
    NODE_LIST,    /* list; op = 1 for a tuple */
    NODE_DICT,    /* list: key, value, key, value ... */
    NODE_ATTR,    /* a . text */
    NODE_INDEX,   /* a [ b ] */
    NODE_SLICE,   /* a [ list: from, to, step ], absent ones are CONST none */
    NODE_CALL,    /* a ( list, other: KEYWORD nodes ) */
    NODE_FILTER,  /* a | text ( list, other ); a is NULL in filter and set blocks */
    NODE_TEST,    /* a is text ( list, other ) */
    NODE_KEYWORD, /* text = a */
    NODE_NOT, NODE_NEGATE, NODE_PLUS, /* a */
    NODE_BINARY,  /* a op b */
    NODE_CONCAT,  /* list joined by ~ */
    NODE_COMPARE, /* a, then list of OPERAND */
    NODE_OPERAND, /* op a */
    NODE_AND, NODE_OR, /* a, b */
    NODE_COND,    /* b if a else c (c may be NULL) */
    /* statements */
    NODE_TEXT,    /* value */
    NODE_OUTPUT,  /* a */
    NODE_IF,      /* a: list, else other; op = 1: other is one IF of an elif */
    NODE_FOR,     /* for b in a if c: list, else other */
    NODE_SET,     /* b = a */
    NODE_SET_BLOCK, /* b = list through the filters a (may be NULL) */
    NODE_NAMESPACE_TARGET, /* text . value(string) as a target */
    NODE_MACRO,   /* text(other: KEYWORD nodes, a NULL without default): list */
    NODE_CALL_BLOCK, /* a is the CALL, b a MACRO node with the body */
    NODE_FILTER_BLOCK, /* a: filters, list */
    NODE_BLOCK,   /* list: {% generation %} */
    NODE_WITH,    /* other: KEYWORD nodes, list */
    NODE_BREAK, NODE_CONTINUE
};

enum { OP_IN = 512, OP_NOT_IN };

struct jinja_node {
    enum jinja_node_type type;
    uint32_t line;
    int op;
    unsigned depth; /* of the expression under it */
    uint64_t hash;  /* of text */
    struct str text;
    struct jinja_value value;
    const struct jinja_builtin *builtin; /* FILTER, TEST: NULL when unknown */
    struct jinja_node *a, *b, *c, *list, *other;
    struct jinja_node *next; /* in a list */
};

/* *root is a list of statements. Fails as jinja_lex does, UNSUPPORTED for Jinja that we leave out. */
enum pumice_status jinja_parse(struct str source, struct arena *arena, struct jinja_node **root);

/* What a node is to a person: "filter 'tojson'", "{% for %}". Returns out. */
char *jinja_describe(const struct jinja_node *node, char *out, size_t out_bytes);

/* FORMAT or UNSUPPORTED error of a template: "chat template, line 3, WHERE: ...; use another template". */
enum pumice_status jinja_error(enum pumice_status status, uint32_t line, const char *where, const char *format, ...)
    PRINTF_LIKE(4, 5);

#endif
