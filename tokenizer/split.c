/* split: see split.h. One function an alternative or two; all look forward only. */
#include "split.h"

#include "unicode.h"

struct cursor { /* the character at text[at]; at the end: used = 0, class OTHER */
    struct str text;
    size_t at, used;
    enum unicode_class class;
};

static struct cursor cursor_at(struct str text, size_t at)
{
    struct cursor c = {text, at, 0, UNICODE_OTHER};
    if (at < text.n) c.class = unicode_class(unicode_decode(text.data + at, text.n - at, &c.used));
    return c;
}

static bool is_space(enum unicode_class class) { return class == UNICODE_SPACE || class == UNICODE_NEWLINE; }

/* Where the run of characters of `class` that starts at c ends. */
static struct cursor skip(struct cursor c, enum unicode_class class)
{
    while (c.used && c.class == class) c = cursor_at(c.text, c.at + c.used);
    return c;
}

/* 's|'t|'re|'ve|'m|'ll|'d at text[0] == '\'': its length or 0. */
static size_t contraction(struct str text, bool any_case)
{
    const char *t = text.data;
    const char fold = any_case ? 0x20 : 0;
    if (text.n < 2) return 0;
    char a = (char)(t[1] | fold);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if (text.n < 3) return 0;
    if (any_case && (unsigned char)t[1] == 0xC5 && (unsigned char)t[2] == 0xBF) return 3; /* U+017F folds to s */
    char b = (char)(t[2] | fold);
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s*[\r\n]+ | \s+(?!\S) | \s+ at a space. */
static size_t spaces(struct cursor c)
{
    size_t after_newline = 0, last = 0;
    while (c.used && is_space(c.class)) {
        last = c.at;
        if (c.class == UNICODE_NEWLINE) after_newline = c.at + c.used;
        c = cursor_at(c.text, c.at + c.used);
    }
    if (after_newline) return after_newline;
    if (c.used && last > 0) return last; /* the space before a word is left to the word */
    return c.at;
}

static size_t split_qwen2(struct str text, size_t most_digits)
{
    if (text.data[0] == '\'') {
        size_t n = contraction(text, true);
        if (n) return n;
    }
    struct cursor first = cursor_at(text, 0);
    if (first.class == UNICODE_LETTER) return skip(first, UNICODE_LETTER).at;
    struct cursor second = cursor_at(text, first.used);
    if (first.class == UNICODE_NUMBER) {
        struct cursor c = second;
        while (--most_digits && c.used && c.class == UNICODE_NUMBER) c = cursor_at(text, c.at + c.used);
        return c.at;
    }
    if (second.class == UNICODE_LETTER && first.class != UNICODE_NEWLINE) return skip(second, UNICODE_LETTER).at;
    if (first.class == UNICODE_OTHER) return skip(skip(first, UNICODE_OTHER), UNICODE_NEWLINE).at;
    if (text.data[0] == ' ' && second.used && second.class == UNICODE_OTHER)
        return skip(skip(second, UNICODE_OTHER), UNICODE_NEWLINE).at;
    return spaces(first);
}

static size_t split_gpt2(struct str text, bool single_digits)
{
    if (text.data[0] == '\'') {
        size_t n = contraction(text, false);
        if (n) return n;
    }
    struct cursor first = cursor_at(text, 0), body = first;
    if (single_digits && first.class == UNICODE_NUMBER) return first.used;
    if (text.data[0] == ' ') body = cursor_at(text, first.used);
    const bool cut = single_digits && body.class == UNICODE_NUMBER; /* the space before a digit stays alone */
    if (body.used && !is_space(body.class) && !cut) return skip(body, body.class).at;
    size_t last = 0;
    struct cursor c = first;
    for (; c.used && is_space(c.class); c = cursor_at(text, c.at + c.used)) last = c.at;
    const bool end = !c.used || (single_digits && c.class == UNICODE_NUMBER);
    return !end && last > 0 ? last : c.at; /* the space before a word is left to the word */
}

size_t split_next(enum split_rule rule, struct str text)
{
    if (text.n == 0) return 0;
    switch (rule) {
    case SPLIT_LLAMA3: return split_qwen2(text, 3);
    case SPLIT_GPT2: return split_gpt2(text, false);
    case SPLIT_SMOLLM: return split_gpt2(text, true);
    case SPLIT_QWEN2: break;
    }
    return split_qwen2(text, 1);
}
