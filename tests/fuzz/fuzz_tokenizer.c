/* fuzz_tokenizer: libFuzzer over encode and decode, with small vocabularies made by hand.
 *
 * The first byte chooses the vocabulary: byte-level with one of the splits, or SentencePiece's kind with or without a space in
 * front. The rest is text with stretches: 0xF8 switches "special" on and off and starts a new segment, so that the fuzzer can
 * place borders (that byte never occurs in UTF-8). Checked on every input: decoding gives the (normalised) text back when
 * the text is valid UTF-8, the stream equals the whole, no added token arises outside special stretches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BORDER = 0xF8, MAX_SEGMENTS = 64, N_MERGES = 10, N_ADDED = 5, N_PIECES = 12 };
static const char *const pres[] = {"qwen2", "llama-bpe", "smollm", "gpt-2"};
enum { N_PRES = sizeof pres / sizeof pres[0], N_KINDS = N_PRES + 2 };
static const char *const added[N_ADDED] = {"<|im", "<|im_end|>", "<think>", "aa", "\xC3\xA9"};

static void must(bool ok)
{
    if (!ok) abort();
}

static struct tokenizer *make_byte_level(const char *pre)
{
    static const char *const merges[N_MERGES] = {"a a", "aa aa", "h e", "l l", "he ll", "\xC4\xA0 a", "\xC4\x8A \xC4\x8A",
                                                 "\xC3\x83 \xC2\xA9", "a b", "ab a"};
    static struct str tokens[256 + N_MERGES + N_ADDED], lines[N_MERGES];
    static int32_t types[256 + N_MERGES + N_ADDED];
    static char bytes[256][4], results[N_MERGES][16];
    uint32_t next = 256;
    size_t n = 0;
    for (uint32_t b = 0; b < 256; b++, n++) {
        bool plain = (b > 32 && b < 127) || (b > 160 && b != 173);
        tokens[n] = (struct str){bytes[b], unicode_encode(plain ? b : next++, bytes[b])};
        types[n] = 1;
    }
    for (size_t i = 0; i < N_MERGES; i++, n++) {
        const char *space = strchr(merges[i], ' ');
        snprintf(results[i], sizeof results[i], "%.*s%s", (int)(space - merges[i]), merges[i], space + 1);
        lines[i] = str_of(merges[i]);
        tokens[n] = str_of(results[i]);
        types[n] = 1;
    }
    for (size_t i = 0; i < N_ADDED; i++, n++) {
        tokens[n] = str_of(added[i]);
        types[n] = i == 2 ? 4 : 3;
    }
    const struct tokenizer_vocab vocab = {STR("gpt2"), str_of(pre), n, tokens, types, N_MERGES, lines, -1, -1, -1, -1, false, NULL, false};
    struct tokenizer *t;
    must(tokenizer_create(&vocab, &t) == PUMICE_OK);
    return t;
}

static struct tokenizer *make_spm(bool prefix)
{
    static const char *const pieces[N_PIECES] = {"\xE2\x96\x81", "a", "b", "ab", "ba", "abab", "\xE2\x96\x81\x61", "qx", "h", "he",
                                                 "\xC3\xA9", "\xE4\xB8\xAD\x61"};
    static struct str tokens[256 + N_PIECES + N_ADDED];
    static int32_t types[256 + N_PIECES + N_ADDED];
    static float scores[256 + N_PIECES + N_ADDED];
    static char bytes[256][8];
    size_t n = 0;
    for (; n < 256; n++) {
        snprintf(bytes[n], sizeof bytes[n], "<0x%02X>", (unsigned)n);
        tokens[n] = str_of(bytes[n]);
        types[n] = 6;
    }
    for (size_t i = 0; i < N_PIECES; i++, n++) {
        tokens[n] = str_of(pieces[i]);
        types[n] = 1;
        scores[n] = -(float)(i / 2);
    }
    for (size_t i = 0; i < N_ADDED; i++, n++) {
        tokens[n] = str_of(added[i]);
        types[n] = 2 + (int32_t)i % 3;
    }
    const struct tokenizer_vocab vocab = {.model = STR("llama"), .n_tokens = n, .tokens = tokens, .types = types, .bos = -1,
                                          .eos = -1, .eot = -1, .pad = -1, .scores = scores, .add_space_prefix = prefix};
    struct tokenizer *t;
    must(tokenizer_create(&vocab, &t) == PUMICE_OK);
    return t;
}

/* Marks of spaces (U+2581) as spaces, in place. */
static size_t unmark(char *s, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; to++) {
        const bool mark = n - i >= 3 && memcmp(s + i, "\xE2\x96\x81", 3) == 0;
        s[to] = mark ? ' ' : s[i];
        i += mark ? 3 : 1;
    }
    return to;
}

static bool is_utf8(const char *s, size_t n)
{
    bool complete = true;
    for (size_t i = 0; i < n && complete;) i += unicode_subpart(s + i, n - i, &complete);
    return complete;
}

/* Decodes as a stream; the caller frees. */
static char *stream(const struct tokenizer *t, const struct ids *ids, size_t *n)
{
    char *out = malloc(ids->n * (tokenizer_max_token_bytes(t) + 16) + 16);
    struct decoder d = {0};
    must(out != NULL);
    *n = 0;
    for (size_t i = 0; i < ids->n; i++) {
        size_t length = decoder_feed(&d, tokenizer_token_bytes(t, ids->data[i]), out + *n);
        must(is_utf8(out + *n, length));
        *n += length;
    }
    *n += decoder_finish(&d, out + *n);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *all[N_KINDS];
    const size_t kind = size ? data[0] % N_KINDS : 0;
    const bool spm = kind >= N_PRES;
    if (!all[kind]) all[kind] = spm ? make_spm(kind == N_PRES) : make_byte_level(pres[kind]);
    struct tokenizer *t = all[kind];
    if (size) data++, size--;
    struct segment segments[MAX_SEGMENTS];
    size_t n_segments = 0, n_text = 0, n, n_stream;
    bool special = false, any_special = false;
    char *joined = malloc(size + 1);
    must(joined != NULL);
    for (size_t i = 0; i <= size && n_segments < MAX_SEGMENTS;) {
        const uint8_t *border = i < size ? memchr(data + i, BORDER, size - i) : NULL;
        size_t end = border ? (size_t)(border - data) : size;
        segments[n_segments++] = (struct segment){{(const char *)data + i, end - i}, special, 0};
        if (end > i) memcpy(joined + n_text, data + i, end - i);
        n_text += end - i;
        any_special = any_special || special;
        special = !special;
        i = end + 1;
    }
    struct ids ids = {0};
    must(tokenizer_encode(t, segments, n_segments, &ids) == PUMICE_OK);
    bool any_added = false;
    for (size_t i = 0; i < ids.n; i++) any_added = any_added || ids.data[i] >= 256 + (spm ? N_PIECES : N_MERGES);
    must(any_special || !any_added);
    char *whole, *streamed = stream(t, &ids, &n_stream);
    must(tokenizer_decode(t, ids.data, ids.n, false, &whole, &n) == PUMICE_OK);
    const size_t front = kind == N_PRES && n_stream == n + 1 ? 1 : 0; /* the space that encoding has put there */
    must(any_added || (n == n_stream - front && memcmp(whole, streamed + front, n) == 0));
    if (is_utf8(joined, n_text) && !any_added) {
        struct unicode_scratch scratch = {0};
        struct str want = {joined, spm ? unmark(joined, n_text) : n_text};
        if (kind == 0) must(unicode_nfc(want, &scratch, &want) == PUMICE_OK);
        must(str_eq(want, (struct str){whole, n}));
        unicode_scratch_fini(&scratch);
    }
    mem_free(whole);
    free(streamed);
    free(joined);
    ids_fini(&ids);
    return 0;
}
