/* tiny_model: a small GGUF of any architecture made in memory, for tests: seeded weights and a vocabulary: byte-level (256
 * bytes, then <|endoftext|> <|im_start|> <|im_end|>, then unused ids) or, for llama, of SentencePiece's kind. qwen2 has
 * linear RoPE scaling, llama the tensor rope_freqs. The same arguments give the same bytes everywhere. */
#ifndef PUMICE_TINY_MODEL_H
#define PUMICE_TINY_MODEL_H

#include "model.h"

enum { TINY_EOS = 258 };
#define TINY_LINEAR 4.0f
enum { TINY_YARN_CONTEXT = 64 };

/* The default: qwen3, 2 layers, D 256, H 4, G 2, E 64, F 512, V 300, context 512, eps 1e-6, rope base 1e6. */
struct hparams tiny_model_hparams(void);

/* Matrices of `type`, norms F32, bytes in the arena. h NULL: the default. Fails MEMORY, ARGUMENT. */
enum pumice_status tiny_model_make(struct arena *a, uint32_t type, uint64_t seed, const struct hparams *h, bool tied,
                                   const void **data, size_t *bytes);

#endif
