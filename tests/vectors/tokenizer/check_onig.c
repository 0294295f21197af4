/* check_onig: the Qwen2 splitter against the expression itself in Oniguruma, which is what Hugging Face runs.
 *
 *     cc -std=c11 -O2 -I. tests/vectors/tokenizer/check_onig.c tokenizer/split.c tokenizer/unicode.c runtime/base.c
 *        -lonig -lm -o build/check_onig && build/check_onig [ROUNDS]
 *
 * A developer's check (needs libonig-dev), not part of the test suite: every code point in many contexts, then ROUNDS
 * random strings (default 1,000,000). Prints the code points on which the two differ; only such as Oniguruma's older
 * Unicode tables do not know are expected. */
#include <oniguruma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

static const char pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                              "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static regex_t *regex;
static OnigRegion *region;

static bool same(const char *text, size_t n)
{
    const UChar *start = (const UChar *)text, *end = start + n;
    for (size_t at = 0; at < n;) {
        int found = onig_search(regex, start, end, start + at, end, region, ONIG_OPTION_NONE);
        size_t ours = split_next(SPLIT_QWEN2, (struct str){text + at, n - at});
        if (found != (int)at || ours != (size_t)region->end[0] - at) return false;
        at += ours;
    }
    return true;
}

static bool same_around(const char *before, uint32_t cp, const char *between, bool twice, const char *after)
{
    char text[64];
    size_t n = strlen(strcpy(text, before));
    n += unicode_encode(cp, text + n);
    n += strlen(strcpy(text + n, between));
    if (twice) n += unicode_encode(cp, text + n);
    n += strlen(strcpy(text + n, after));
    return same(text, n);
}

int main(int argc, char **argv)
{
    OnigErrorInfo info;
    OnigEncoding utf8 = ONIG_ENCODING_UTF8;
    onig_initialize(&utf8, 1);
    if (onig_new(&regex, (const UChar *)pattern, (const UChar *)pattern + strlen(pattern), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                 ONIG_SYNTAX_DEFAULT, &info) != ONIG_NORMAL)
        return 1;
    region = onig_region_new();
    size_t n_differ = 0, n_strings = 0;
    uint32_t first = 0, last = 0;
    static const struct {
        const char *before, *between, *after;
        bool twice;
    } contexts[] = {{"", "", "", false}, {"a", "", "b", false}, {" ", "", "1", false}, {"'", " ", "\nx", true}, {"'", "", "e", false},
                    {"'r", "", "", false}, {"'l", "", "", false}, {"'", "", "l", false}, {"  ", "\n", "  a", true}, {"!", "", "\r\n!", true},
                    {"\n", "", "\n", true}, {"\t", "a", " !", true}};
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        if (cp >= 0xD800 && cp < 0xE000) continue;
        bool ok = true;
        for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++, n_strings++)
            ok = same_around(contexts[i].before, cp, contexts[i].between, contexts[i].twice, contexts[i].after) && ok;
        if (ok) continue;
        if (n_differ == 0 || cp != last + 1) {
            if (n_differ) printf("differs: U+%04X..U+%04X\n", (unsigned)first, (unsigned)last);
            first = cp;
        }
        last = cp;
        n_differ++;
    }
    if (n_differ) printf("differs: U+%04X..U+%04X\n", (unsigned)first, (unsigned)last);
    printf("Oniguruma %s, our tables Unicode %s: %zu strings, %zu code points differ\n", onig_version(), unicode_version(),
           n_strings, n_differ);
    static const char *const keys[] = {"'", "'", "s", "S", "t", "r", "e", "v", "l", "L", "m", "d", " ", " ", "\t", "\n", "\r", "\xC2\x85",
                                       "\xC2\xA0", "\xE3\x80\x80", "\xEF\xBB\xBF", "\xC5\xBF", "\xE2\x84\xAA", "\xC3\x9F", "\xEF\xAC\x86",
                                       "a", "\xE4\xB8\xAD", "\xCC\x81", "1", "\xC2\xBD", "!", "-", "\xF0\x9F\x99\x82", "\x1C", "\xE1\xA0\x8E"};
    uint32_t s = 1;
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000, wrong = 0;
    for (unsigned long k = 0; k < rounds; k++) {
        char text[256];
        size_t n = 0;
        s ^= s << 13, s ^= s >> 17, s ^= s << 5;
        for (uint32_t i = 1 + s % 20; i > 0; i--) {
            s ^= s << 13, s ^= s >> 17, s ^= s << 5;
            n += strlen(strcpy(text + n, keys[s % (sizeof keys / sizeof *keys)]));
        }
        if (!same(text, n) && wrong++ < 20) printf("differs: %s\n", text);
    }
    printf("%lu random strings, %lu differ\n", rounds, wrong);
    return wrong != 0;
}
