/* vocabulary: what the files of the tokenizer share: the vocabulary in the form that encoding wants. */
#ifndef PUMICE_TOKENIZER_VOCABULARY_H
#define PUMICE_TOKENIZER_VOCABULARY_H

#include "bpe.h"
#include "split.h"
#include "unicode.h"

enum token_type { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_BYTE = 6, TYPE_LAST = 6 };
enum { MAX_TOKEN_BYTES = 65535, MAX_ADDED_BYTES = 256 }; /* the latter bounds the time of a failed match */

struct added {
    struct str text;
    int32_t id;
};

/* Finds a token by its text; the first of equals. */
struct piece_table {
    const struct str *texts; /* [n_tokens] */
    int32_t *slots;          /* -1 where unused */
    size_t n_slots;          /* a power of two */
    uint64_t seed;
};

/* What tokenizer.ggml.pre stands for. */
struct pre_rule {
    const char *name;
    enum split_rule split;
    bool nfc;         /* text is normalised first */
    bool whole_words; /* a piece that is a token is that token, whatever its merges would give */
};

struct tokenizer {
    struct tokenizer_vocab vocab;
    struct pre_rule pre; /* of byte-level vocabularies */
    bool spm;            /* a SentencePiece vocabulary (spm.c) */
    struct bpe bpe;
    struct str *pieces;  /* [n_tokens] each token's bytes: in `store`, or the vocabulary's own text */
    char *store;
    struct added *added; /* [n_added] sorted by text, no duplicates, none empty */
    size_t n_added;
    size_t added_from[257]; /* added[added_from[c] .. added_from[c + 1]) begin with byte c */
    size_t max_piece_bytes;
    struct piece_table words; /* whole_words: ordinary tokens by their bytes */
    /* spm: by character (unicode_decode's): 1 + its symbol, 0: none. Symbols below n_tokens are tokens; the others are
     * characters that occur in tokens only: character loose[symbol - n_tokens]. */
    int32_t *symbol_of;
    uint32_t *loose;
    size_t n_loose;
};

/* Matched in special stretches only, and no part of any merge. */
bool token_is_added(const struct tokenizer_vocab *v, size_t id);

/* Over the tokens that `wanted` accepts. Fails MEMORY. */
enum pumice_status piece_table_init(struct piece_table *table, const struct tokenizer_vocab *v, const struct str *texts,
                                    bool (*wanted)(const struct tokenizer_vocab *v, size_t id), uint64_t seed);
void piece_table_fini(struct piece_table *table);
int32_t piece_find(const struct piece_table *table, struct str text); /* -1: no such token */

/* Room for the bytes of all tokens in t->pieces and t->store. Fails MEMORY. */
enum pumice_status pieces_reserve(struct tokenizer *t);

/* Text from the file for an error text: no more than fits, nothing a terminal might obey. */
const char *printable(char out[64], struct str text);

/* Fill pieces, merges and byte ids from a vocabulary of GPT-2's byte characters (byte_level.c) or of SentencePiece's kind
 * (spm.c). Fail FORMAT naming the entry, MEMORY. */
enum pumice_status byte_level_make(struct tokenizer *t, uint64_t seed);
enum pumice_status spm_make(struct tokenizer *t, uint64_t seed);
/* Appends the ids of one run, run.n >= 1. Fails MEMORY. */
enum pumice_status spm_encode(const struct tokenizer *t, struct bpe_scratch *scratch, struct str run, struct ids *out);

#endif
