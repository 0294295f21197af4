/* json: a strict reader of JSON text (RFC 8259) into a tree.
 *
 * Owns nothing: the tree lives in the caller's arena, strings without escapes point into the text. Text is untrusted:
 * depth, items and size are bounded. Differences from the RFC: bytes that are no UTF-8 are kept as they are, and an
 * escaped half of a surrogate pair becomes U+FFFD. Objects keep their key order; of two equal keys the last one's
 * value counts, at the place of the first, as in Python. */
#ifndef PUMICE_JSON_H
#define PUMICE_JSON_H

#include "../runtime/base.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_INT, JSON_BIG, JSON_FLOAT, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    bool truth;         /* BOOL */
    int64_t integer;    /* INT: no fraction, no exponent, fits */
    double number;      /* FLOAT */
    struct str text;    /* STRING: decoded; BIG: an integer beyond 64 bits, as Python prints it */
    size_t n;           /* ARRAY, OBJECT */
    struct str *keys;   /* [n], OBJECT */
    struct json *items; /* [n] */
};

/* Parses one value and nothing after it; `what` names the text in errors. Fails FORMAT (naming line and column) and
 * MEMORY; nesting deeper than 64 or text of 256 MiB is FORMAT. */
enum pumice_status json_parse(struct str text, const char *what, struct arena *arena, struct json *out);

/* The member of that name; NULL if there is none, or if it is no object. */
const struct json *json_find(const struct json *object, const char *name);

/* The double nearest to a decimal number "-12.5e3", whatever the C locale; text must be well-formed and < 1 KiB, else
 * it is cut. */
double json_number(struct str text);

#endif
