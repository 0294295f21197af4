/* unicode: UTF-8 in and out, the character classes that the splits ask for, and NFC.
 *
 * Owns the Unicode tables (generated, see make_unicode_tables.py). Knows nothing of tokens. Pure.
 * Invariant: invalid UTF-8 is never repaired here; each broken byte stands as one character of no class. */
#ifndef PUMICE_UNICODE_H
#define PUMICE_UNICODE_H

#include "../runtime/base.h"

/* A byte that is part of no valid UTF-8 sequence decodes as UNICODE_INVALID + the byte. */
#define UNICODE_INVALID 0x110000u

enum unicode_class {
    UNICODE_OTHER,  /* everything else: marks, punctuation, symbols, controls, unassigned, broken bytes */
    UNICODE_LETTER, /* \p{L} */
    UNICODE_NUMBER, /* \p{N} */
    UNICODE_SPACE,  /* White_Space (\s of Oniguruma) but for the next two */
    UNICODE_NEWLINE /* U+000A and U+000D */
};

/* The character at s[0], n >= 1; *used gets its length in bytes (1 for a broken byte). */
uint32_t unicode_decode(const char *s, size_t n, size_t *used);
/* Writes a character, or the byte behind UNICODE_INVALID; returns the length in bytes. */
size_t unicode_encode(uint32_t cp, char out[4]);
/* Length of the longest prefix of s[n], n >= 1, that begins some valid UTF-8 character (its "maximal subpart"),
 * at least 1; *complete tells whether it is a whole valid character. */
size_t unicode_subpart(const char *s, size_t n, bool *complete);

enum unicode_class unicode_class(uint32_t cp);
const char *unicode_version(void); /* of the tables, "15.0.0" */

/* Growable buffers of unicode_nfc; zero-initialised is empty, reusable, free with unicode_scratch_fini. */
struct unicode_scratch {
    char *text;
    size_t n_text, text_capacity;
    struct unicode_mark *marks; /* one stretch from a starter to the next stable character */
    size_t n_marks, marks_capacity;
    struct unicode_mark *sorted;
    size_t sorted_capacity;
};
void unicode_scratch_fini(struct unicode_scratch *scratch);

/* *out = NFC of the valid parts of `text`: `text` itself where that is plain to see, else bytes in `scratch`, good
 * until its next use. O(n) for any text. Fails MEMORY only. Source: UAX 15. */
enum pumice_status unicode_nfc(struct str text, struct unicode_scratch *scratch, struct str *out);

#endif
