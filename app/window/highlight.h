/* highlight: light colouring of code: words, strings, comments, numbers. One lexer for many languages. Pure. */
#ifndef PUMICE_WINDOW_HIGHLIGHT_H
#define PUMICE_WINDOW_HIGHLIGHT_H

#include "app/window/theme.h"

/* The token that begins at text[i]: its end and its colour. Tokens cover the text; comments and strings may hold
 * newlines. */
size_t highlight_next(struct str lang, const char *text, size_t n, size_t i, enum color *color);

#endif
