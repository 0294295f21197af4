/* text: characters, words, places to cut. Rules reduced from UAX 14 and UAX 29 to what a chat needs. */
#include "app/window/text.h"

#include <stdlib.h>
#include <string.h>

struct range {
    uint32_t first, last;
};

static bool in_ranges(const struct range *r, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= r[i].first && code <= r[i].last) return true;
    return false;
}

bool text_wide(uint32_t code)
{
    static const struct range wide[] = {{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf},
                                        {0x4e00, 0x9fff}, {0xa000, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
                                        {0xfe30, 0xfe4f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff},
                                        {0x20000, 0x3fffd}};
    return code >= 0x1100 && in_ranges(wide, COUNT_OF(wide), code);
}

bool text_zero(uint32_t code)
{
    static const struct range zero[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
                                        {0x64b, 0x65f},   {0x6d6, 0x6dc},   {0x900, 0x902},   {0x93a, 0x93c},
                                        {0x93e, 0x94f},   {0xe31, 0xe31},   {0xe34, 0xe3a},   {0xe47, 0xe4e},
                                        {0x1ab0, 0x1aff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064},
                                        {0x20d0, 0x20ff}, {0x302a, 0x302f}, {0x3099, 0x309a}, {0xfe00, 0xfe0f},
                                        {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff}, {0xe0100, 0xe01ef}};
    return code >= 0x300 && in_ranges(zero, COUNT_OF(zero), code);
}

uint32_t text_code(const char *text, size_t n, size_t i, size_t *bytes)
{
    uint32_t code = 0;
    *bytes = i < n ? utf8_decode(text + i, n - i, &code) : 0;
    if (*bytes > 0) return code;
    *bytes = i < n ? 1 : 0;
    return 0xfffd;
}

int text_width(const struct measure *m, struct font font, const char *text, size_t n)
{
    return n > 0 ? m->width(m->user, font, text, n) : 0;
}

int text_height(const struct measure *m, struct font font)
{
    int ascent = 0, height = 0;
    m->metrics(m->user, font, &ascent, &height);
    return height;
}

int text_ascent(const struct measure *m, struct font font)
{
    int ascent = 0, height = 0;
    m->metrics(m->user, font, &ascent, &height);
    return ascent;
}

static bool regional(uint32_t code)
{
    return code >= 0x1f1e6 && code <= 0x1f1ff;
}

size_t text_next(const char *text, size_t n, size_t i)
{
    size_t bytes = 0;
    uint32_t last = text_code(text, n, i, &bytes);
    const bool flag = regional(last);
    i += bytes;
    for (bool second = flag; i < n;) {
        const uint32_t code = text_code(text, n, i, &bytes);
        const bool joins = text_zero(code) || last == 0x200d || (second && regional(code)) ||
                           (last == '\r' && code == '\n');
        if (!joins) break;
        if (regional(code)) second = false;
        last = code;
        i += bytes;
    }
    return i;
}

size_t text_previous(const char *text, size_t n, size_t i)
{
    /* from a safe place before: a line's begin, or an ASCII letter */
    size_t from = i, steps = 0;
    while (from > 0 && steps++ < 64) {
        from--;
        if ((unsigned char)text[from] < 0x80 && from + 1 < i && text[from] != '\r') break;
    }
    while (from > 0 && ((unsigned char)text[from] & 0xc0) == 0x80) from--;
    for (;;) {
        const size_t next = text_next(text, n, from);
        if (next >= i) return from;
        from = next;
    }
}

enum kind { KIND_SPACE, KIND_LINE, KIND_WORD, KIND_WIDE, KIND_OTHER };

static enum kind kind_of(uint32_t code)
{
    if (code == '\n') return KIND_LINE;
    if (code == ' ' || code == '\t' || code == '\r' || code == 0x3000) return KIND_SPACE;
    if (text_wide(code)) return code >= 0x3001 && code <= 0x3020 ? KIND_OTHER : KIND_WIDE;
    if (code < 0x80)
        return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z') ||
                       code == '_'
                   ? KIND_WORD
                   : KIND_OTHER;
    return KIND_WORD;
}

size_t text_next_word(const char *text, size_t n, size_t i)
{
    size_t bytes = 0;
    while (i < n && kind_of(text_code(text, n, i, &bytes)) <= KIND_LINE) i += bytes;
    if (i >= n) return n;
    const enum kind kind = kind_of(text_code(text, n, i, &bytes));
    if (kind == KIND_WIDE) return text_next(text, n, i);
    while (i < n && kind_of(text_code(text, n, i, &bytes)) == kind) i += bytes;
    return i;
}

size_t text_previous_word(const char *text, size_t n, size_t i)
{
    size_t bytes = 0;
    while (i > 0) {
        const size_t before = text_previous(text, n, i);
        if (kind_of(text_code(text, n, before, &bytes)) > KIND_LINE) break;
        i = before;
    }
    if (i == 0) return 0;
    size_t at = text_previous(text, n, i);
    const enum kind kind = kind_of(text_code(text, n, at, &bytes));
    if (kind == KIND_WIDE) return at;
    while (at > 0) {
        const size_t before = text_previous(text, n, at);
        if (kind_of(text_code(text, n, before, &bytes)) != kind) break;
        at = before;
    }
    return at;
}

void text_word(const char *text, size_t n, size_t i, size_t *begin, size_t *end)
{
    size_t bytes = 0;
    *begin = *end = i;
    if (i >= n) {
        if (n == 0) return;
        i = text_previous(text, n, n);
    }
    const enum kind kind = kind_of(text_code(text, n, i, &bytes));
    *begin = i;
    *end = text_next(text, n, i);
    if (kind == KIND_LINE) return;
    while (*end < n && kind_of(text_code(text, n, *end, &bytes)) == kind) *end += bytes;
    while (*begin > 0) {
        const size_t before = text_previous(text, n, *begin);
        if (kind_of(text_code(text, n, before, &bytes)) != kind) break;
        *begin = before;
    }
}

/* What may not begin a line, and what may not end one (kinsoku). */
static bool clings_left(uint32_t code)
{
    static const uint32_t codes[] = {0x3001, 0x3002, 0x3005, 0x3009, 0x300b, 0x300d, 0x300f, 0x3011, 0x3015, 0x3017,
                                     0x301e, 0x30fb, 0x30fc, 0xff01, 0xff09, 0xff0c, 0xff0e, 0xff1a, 0xff1b, 0xff1f,
                                     0xff3d, 0xff5d, 0x2026, 0x2019, 0x201d, 0x2014, '.',    ',',    '!',    '?',
                                     ':',    ';',    ')',    ']',    '}',    '%'};
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i] == code) return true;
    return false;
}

static bool clings_right(uint32_t code)
{
    static const uint32_t codes[] = {0x3008, 0x300a, 0x300c, 0x300e, 0x3010, 0x3014, 0x3016,
                                     0x301d, 0xff08, 0xff3b, 0xff5b, 0x2018, 0x201c, '(',    '[',    '{'};
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i] == code) return true;
    return false;
}

size_t text_break(const char *text, size_t n, size_t i)
{
    size_t bytes = 0;
    if (i >= n) return n;
    uint32_t last = text_code(text, n, i, &bytes);
    if (last == '\n') return i + 1;
    const size_t most = i + TEXT_PIECE_BYTES;
    for (i = text_next(text, n, i); i < n && i < most;) {
        const uint32_t code = text_code(text, n, i, &bytes);
        if (code == '\n') return i;
        const bool space = code == ' ' || code == '\t' || code == 0x3000;
        const bool after_space = last == ' ' || last == '\t' || last == 0x3000;
        if (!space) {
            const bool clings = clings_left(code) || clings_right(last);
            if (after_space) return i;
            if ((text_wide(code) || text_wide(last)) && !clings) return i;
            if (last == '-' && kind_of(code) == KIND_WORD && code > '9') return i;
        }
        last = code;
        i = text_next(text, n, i);
    }
    return i;
}

/* Offsets of characters are tried by halving: the width grows with the length, but for ligatures. */
static size_t fit_below(const struct measure *m, struct font font, const char *text, size_t n, int width)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        while (middle < high && ((unsigned char)text[middle] & 0xc0) == 0x80) middle++;
        if (text_width(m, font, text, middle) <= width) {
            low = middle;
        } else {
            size_t down = low + (high - low + 1) / 2;
            do down--;
            while (down > low && ((unsigned char)text[down] & 0xc0) == 0x80);
            high = down;
        }
    }
    return low;
}

size_t text_fit(const struct measure *m, struct font font, const char *text, size_t n, int width)
{
    const size_t end = fit_below(m, font, text, n, width);
    if (end >= n) return n;
    const size_t back = text_previous(text, n, end + 1);
    const size_t whole = end > 0 && text_next(text, n, text_previous(text, n, end)) == end ? end : back;
    return whole > 0 ? whole : text_next(text, n, 0);
}

size_t text_at(const struct measure *m, struct font font, const char *text, size_t n, int x)
{
    if (x <= 0 || n == 0) return 0;
    size_t i = fit_below(m, font, text, n, x);
    if (i >= n) return n;
    if (i > 0 && text_next(text, n, text_previous(text, n, i)) != i) i = text_previous(text, n, i);
    const size_t next = text_next(text, n, i);
    const int left = text_width(m, font, text, i), right = text_width(m, font, text, next);
    return x - left < right - x ? i : next;
}

enum { WIDTH_SLOTS = 1 << 16 };

bool width_cache_find(struct width_cache *c, struct font font, const char *text, size_t n, uint64_t *key, int *width)
{
    *key = hash_bytes(text, n, mix_u64((uint64_t)font.face << 8 | font.px) | 1);
    if (c->keys == NULL) {
        c->keys = mem_calloc(WIDTH_SLOTS, sizeof *c->keys);
        c->widths = mem_calloc(WIDTH_SLOTS, sizeof *c->widths);
    }
    if (c->keys == NULL || c->widths == NULL || c->keys[*key % WIDTH_SLOTS] != *key) return false;
    *width = c->widths[*key % WIDTH_SLOTS];
    return true;
}

void width_cache_put(struct width_cache *c, uint64_t key, int width)
{
    if (c->keys == NULL || c->widths == NULL) return;
    c->keys[key % WIDTH_SLOTS] = key;
    c->widths[key % WIDTH_SLOTS] = width;
}

void width_cache_fini(struct width_cache *c)
{
    mem_free(c->keys);
    mem_free(c->widths);
    memset(c, 0, sizeof *c);
}
