/* vocab: the tokenizer of a model file, from its tokenizer.ggml.* metadata. Owns the arrays the tokenizer
 * refers to. */
#ifndef PUMICE_APP_VOCAB_H
#define PUMICE_APP_VOCAB_H

#include "tokenizer/tokenizer.h"

struct vocab {
    struct tokenizer_vocab v;
    struct tokenizer *tokenizer;
    struct arena arena;
    int32_t stop_tokens[8]; /* what ends an answer: eos, eot, <|im_end|>, <|endoftext|>, <|eot_id|> */
    size_t n_stop_tokens;
    uint64_t hash; /* of all tokens: ids mean the same where it is equal */
};
/* Fails FORMAT when the metadata is missing or inconsistent, UNSUPPORTED for another tokenizer, MEMORY. The
 * model must outlive *out, which is to be vocab_close'd in any case. */
enum pumice_status vocab_open(const struct pumice_model *model, struct vocab *out);
void vocab_close(struct vocab *vocab);

/* The text of a token; data NULL for an id outside the vocabulary (-1: a token that the file does not name). */
struct str vocab_token(const struct vocab *vocab, int32_t id);

/* Appends one id. Fails MEMORY. */
enum pumice_status ids_append(struct ids *ids, int32_t id);
enum pumice_status ids_append_all(struct ids *ids, const int32_t *more, size_t n);

#endif
