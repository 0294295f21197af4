/* fuzz_tokenizer: libFuzzer over encode and decode, with a small vocabulary made by hand.
 *
 * The input is text with stretches: 0xF8 switches "special" on and off and starts a new segment, so that the fuzzer can
 * place borders (that byte never occurs in UTF-8). Checked on every input: decoding gives the normalised text back when
 * the text is valid UTF-8, the stream equals the whole, no control token arises outside special stretches. */
#include <stdlib.h>
#include <string.h>

#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BORDER = 0xF8, MAX_SEGMENTS = 64, N_MERGES = 10, N_ADDED = 5 };

static void must(bool ok)
{
    if (!ok) abort();
}

static struct tokenizer *make(void)
{
    static const char *const merges[N_MERGES] = {"a a", "aa aa", "h e", "l l", "he ll", "\xC4\xA0 a", "\xC4\x8A \xC4\x8A",
                                                 "\xC3\x83 \xC2\xA9", "a b", "ab a"};
    static const char *const added[N_ADDED] = {"<|im", "<|im_end|>", "<think>", "aa", "\xC3\xA9"};
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
        memcpy(results[i], merges[i], (size_t)(space - merges[i]));
        strcat(results[i], space + 1);
        lines[i] = str_of(merges[i]);
        tokens[n] = str_of(results[i]);
        types[n] = 1;
    }
    for (size_t i = 0; i < N_ADDED; i++, n++) {
        tokens[n] = str_of(added[i]);
        types[n] = i == 2 ? 4 : 3;
    }
    const struct tokenizer_vocab vocab = {STR("gpt2"), STR("qwen2"), n, tokens, types, N_MERGES, lines, -1, -1, -1, -1, false};
    struct tokenizer *t;
    must(tokenizer_create(&vocab, &t) == PUMICE_OK);
    return t;
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
    static struct tokenizer *t;
    if (!t) t = make();
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
    bool added = false;
    for (size_t i = 0; i < ids.n; i++) added = added || ids.data[i] >= 256 + N_MERGES;
    must(any_special || !added);
    char *whole, *streamed = stream(t, &ids, &n_stream);
    must(tokenizer_decode(t, ids.data, ids.n, false, &whole, &n) == PUMICE_OK);
    must(n == n_stream && memcmp(whole, streamed, n) == 0);
    if (is_utf8(joined, n_text) && !added) {
        struct unicode_scratch scratch = {0};
        struct str nfc, again;
        must(unicode_nfc((struct str){joined, n_text}, &scratch, &nfc) == PUMICE_OK);
        must(str_eq(nfc, (struct str){whole, n}));
        must(unicode_nfc((struct str){whole, n}, &scratch, &again) == PUMICE_OK && str_eq(again, (struct str){whole, n}));
        unicode_scratch_fini(&scratch);
    }
    mem_free(whole);
    free(streamed);
    free(joined);
    ids_fini(&ids);
    return 0;
}
