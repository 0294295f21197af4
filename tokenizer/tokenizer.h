/* tokenizer: text to ids and back, for two kinds of vocabulary: byte-level BPE (GPT-2 style bytes; the splits of Qwen2,
 * Llama 3, SmolLM and GPT-2; NFC where the model wants it) and SentencePiece's BPE (scores, byte fallback).
 *
 * Equal to Hugging Face's tokenizers, or SentencePiece, on valid UTF-8.
 * Owns the vocabulary look-ups; pure afterwards: one tokenizer may be used from many threads. Text is untrusted:
 * invalid UTF-8 is taken byte for byte. Time is O(n log n) in the text for any text. */
#ifndef PUMICE_TOKENIZER_H
#define PUMICE_TOKENIZER_H

#include "../runtime/base.h"

/* What a vocabulary is made from; all pointers must stay valid while the tokenizer lives. */
struct tokenizer_vocab {
    struct str model; /* tokenizer.ggml.model: "gpt2" (byte-level) or "llama" (SentencePiece) */
    struct str pre;   /* tokenizer.ggml.pre: "qwen2", "llama-bpe", "smollm", "gpt-2", "deepseek-r1-qwen"; of byte-level ones only */
    size_t n_tokens;
    const struct str *tokens;   /* [n_tokens], in GPT-2 byte characters, or with U+2581 for spaces; added ones as they are */
    const int32_t *types;       /* [n_tokens]: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte */
    size_t n_merges;
    const struct str *merges;   /* "left right", best rank first */
    int32_t bos, eos, eot, pad; /* -1 if absent */
    bool add_bos;
    const float *scores;   /* [n_tokens], of "llama" only: the higher, the earlier it is merged */
    bool add_space_prefix; /* "llama": each run of text gets a space in front */
};

struct tokenizer;
/* Fails UNSUPPORTED for another model or pre by name, FORMAT for an inconsistent vocabulary (names the entry), MEMORY.
 * Of two equal tokens or merges the first counts. Merges join ordinary tokens only, so that no text but a match in a
 * special stretch gives an added token. */
enum pumice_status tokenizer_create(const struct tokenizer_vocab *vocab, struct tokenizer **out);
void tokenizer_destroy(struct tokenizer *t);

size_t tokenizer_n_tokens(const struct tokenizer *t);
int32_t tokenizer_find(const struct tokenizer *t, struct str text); /* an added token's id by its text, else -1 */
int32_t tokenizer_bos(const struct tokenizer *t); /* what the caller puts before a text: add_bos ? bos : -1 */

/* Growable result. Zero-initialised is empty; free with ids_fini. */
struct ids {
    int32_t *data;
    size_t n, capacity;
};
void ids_fini(struct ids *ids);

/* A stretch of text and who wrote it. Added tokens (control, unknown and user-defined) are matched only where
 * `special` is set; everything between two matched tokens is split and merged as one run, across stretches, so
 * honest text gets Hugging Face's ids whatever its stretches. A match may span stretches if all are special; the
 * longest one counts. */
struct segment {
    struct str text;
    bool special;
    int32_t origin; /* caller's mark: -1 template, else message index; not interpreted */
};
/* Appends the ids of the concatenated segments; on failure `out` holds what it held. Fails MEMORY, and ARGUMENT for
 * 1 GiB of text or more. */
enum pumice_status tokenizer_encode(const struct tokenizer *t, const struct segment *segments, size_t n,
                                    struct ids *out);
/* The same for one text. */
enum pumice_status tokenizer_encode_text(const struct tokenizer *t, struct str text, bool special, struct ids *out);

/* The bytes of one token (not NUL-terminated, may be part of a UTF-8 character); empty for ids outside the
 * vocabulary. Added tokens give their text. */
struct str tokenizer_token_bytes(const struct tokenizer *t, int32_t id);
bool tokenizer_is_control(const struct tokenizer *t, int32_t id); /* or the unknown token */

/* Streaming decoder: holds back an incomplete UTF-8 character until it is complete. Zero-initialised is fresh. */
struct decoder {
    char pending[4];
    uint8_t n_pending;
};
/* Writes to out the valid UTF-8 that is complete after `bytes`; broken sequences become U+FFFD (one for each maximal
 * invalid part, as WHATWG says). Returns its length, at most 3 * (bytes.n + 3). */
size_t decoder_feed(struct decoder *d, struct str bytes, char *out);
size_t decoder_finish(struct decoder *d, char *out); /* what is left, as one U+FFFD or nothing; at most 3 bytes */
/* The most that decoder_feed writes for one token is this + 16: every byte may become U+FFFD. */
size_t tokenizer_max_token_bytes(const struct tokenizer *t);

/* All ids as valid UTF-8, NUL-terminated, mem_alloc'ed; *bytes is its length without the NUL (the text may hold NULs
 * of its own). skip_control drops control tokens. The space that encoding has put in front of each run is dropped, so that
 * text comes back as it was; single tokens keep theirs. Fails MEMORY. */
enum pumice_status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_control,
                                    char **text, size_t *bytes);

#endif
