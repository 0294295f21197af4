/* split: the Qwen2 pre-tokeniser, by hand. Knows nothing of tokens. Pure.
 *
 * Cuts text as this expression does, alternatives in order, every match a piece of its own (Oniguruma's semantics:
 * \s is White_Space, and U+017F counts as an s in 's):
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N} | ?[^\s\p{L}\p{N}]+[\r\n]* |
 *     \s*[\r\n]+ | \s+(?!\S) | \s+
 * Every character falls under one of them, so the pieces cover the text. */
#ifndef PUMICE_SPLIT_H
#define PUMICE_SPLIT_H

#include "../runtime/base.h"

/* Length in bytes of the first piece of text; 0 only for an empty text. To cut a whole text into pieces takes O(n),
 * whatever it holds. */
size_t split_next(struct str text);

#endif
