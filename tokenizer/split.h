/* split: the pre-tokenisers of byte-level vocabularies, by hand. Knows nothing of tokens. Pure.
 *
 * Each rule cuts text as an expression does, alternatives in order, every match a piece of its own (Oniguruma's semantics:
 * \s is White_Space, and U+017F counts as an s in (?i:'s)). Every character falls under one alternative, so the pieces
 * cover the text.
 * SPLIT_QWEN2, SPLIT_LLAMA3 (d: \p{N} and \p{N}{1,3}):
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | d | ?[^\s\p{L}\p{N}]+[\r\n]* |
 *     \s*[\r\n]+ | \s+(?!\S) | \s+
 * SPLIT_GPT2; SPLIT_SMOLLM after it has made each \p{N} a piece, so that the text ends before it:
 *     's|'t|'re|'ve|'m|'ll|'d | ?\p{L}+ | ?\p{N}+ | ?[^\s\p{L}\p{N}]+ | \s+(?!\S) | \s+ */
#ifndef PUMICE_SPLIT_H
#define PUMICE_SPLIT_H

#include "../runtime/base.h"

enum split_rule { SPLIT_QWEN2, SPLIT_LLAMA3, SPLIT_GPT2, SPLIT_SMOLLM };

/* Length in bytes of the first piece of text; 0 only for an empty text. To cut a whole text into pieces takes O(n),
 * whatever it holds. */
size_t split_next(enum split_rule rule, struct str text);

#endif
