/* text: fonts by face and size, how wide a piece of text is, and where it may be cut. Pure: who measures is a table
 * of functions, of SDL_ttf in the window (fonts.c), of simple rules in the tests.
 *
 * All positions are byte offsets into UTF-8. Bytes that are no UTF-8 count as one character each. */
#ifndef PUMICE_WINDOW_TEXT_H
#define PUMICE_WINDOW_TEXT_H

#include "runtime/base.h"

enum face { FACE_BODY, FACE_BOLD, FACE_ITALIC, FACE_BOLD_ITALIC, FACE_MONO, FACE_MONO_BOLD, N_FACES };
struct font {
    uint8_t face; /* enum face */
    uint8_t px;   /* height of an em in pixels */
};

struct measure {
    int (*width)(void *user, struct font font, const char *text, size_t n); /* of one line, in pixels */
    void (*metrics)(void *user, struct font font, int *ascent, int *height);
    void *user;
};
int text_width(const struct measure *m, struct font font, const char *text, size_t n);
int text_height(const struct measure *m, struct font font);
int text_ascent(const struct measure *m, struct font font);

/* The offset in text[0..n] whose left edge is nearest to x, at a character's boundary. */
size_t text_at(const struct measure *m, struct font font, const char *text, size_t n, int x);
/* The longest beginning that is at most `width` wide; whole characters, and one of them in any case. */
size_t text_fit(const struct measure *m, struct font font, const char *text, size_t n, int width);

/* Characters as people see them: a letter with its marks, a flag, a family of emoji. */
size_t text_next(const char *text, size_t n, size_t i);
size_t text_previous(const char *text, size_t n, size_t i);
/* Ends and beginnings of words, for Ctrl+Left and Ctrl+Right, and of the word around i. */
size_t text_next_word(const char *text, size_t n, size_t i);
size_t text_previous_word(const char *text, size_t n, size_t i);
void text_word(const char *text, size_t n, size_t i, size_t *begin, size_t *end);

/* The end of the piece that starts at i and must not be cut: a word with the spaces after it; a Chinese, Japanese or
 * Korean character with the punctuation that clings to it; a newline alone. Words are cut, too, where they are so long that
 * no line holds them: to measure all of one for each of its lines would take for ever. */
enum { TEXT_PIECE_BYTES = 512 };
size_t text_break(const char *text, size_t n, size_t i);

uint32_t text_code(const char *text, size_t n, size_t i, size_t *bytes); /* U+FFFD and 1 byte for what is no UTF-8 */
bool text_wide(uint32_t code); /* ideographs, kana, hangul, full-width forms, emoji */
bool text_zero(uint32_t code); /* marks, joiners, selectors: no width of their own */

/* Widths by text: a table in front of slow measuring. *cache is caller-owned and zero-initialised. */
struct width_cache {
    uint64_t *keys;
    int *widths;
};
bool width_cache_find(struct width_cache *c, struct font font, const char *text, size_t n, uint64_t *key, int *width);
void width_cache_put(struct width_cache *c, uint64_t key, int width);
void width_cache_fini(struct width_cache *c);

#endif
