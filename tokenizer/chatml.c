/* chatml: the plain ChatML form of a conversation; see tokenizer.h. The model's own template is template.c's work. */
#include "tokenizer.h"

enum { SEGMENTS_PER_MESSAGE = 5 };

enum pumice_status chatml_render(struct arena *arena, const struct chat_message *messages, size_t n,
                                 bool add_generation_prompt, struct segment **segments, size_t *n_segments)
{
    const struct segment open = {STR("<|im_start|>"), true, -1}, newline = {STR("\n"), true, -1},
                         close = {STR("<|im_end|>\n"), true, -1},
                         prompt = {STR("<|im_start|>assistant\n"), true, -1};
    *segments = NULL;
    *n_segments = 0;
    for (size_t i = 0; i < n; i++)
        if (!str_eqz(messages[i].role, "system") && !str_eqz(messages[i].role, "user") &&
            !str_eqz(messages[i].role, "assistant"))
            return err_set(PUMICE_ARGUMENT, "message %zu: unknown role; use system, user or assistant", i);
    size_t most = n < SIZE_MAX / SEGMENTS_PER_MESSAGE ? n * SEGMENTS_PER_MESSAGE + 1 : SIZE_MAX;
    struct segment *out = arena_alloc(arena, most, sizeof *out), *to = out;
    if (!out) return err_memory("rendered conversation", (uint64_t)n * SEGMENTS_PER_MESSAGE * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        *to++ = open;
        *to++ = (struct segment){messages[i].role, false, (int32_t)i};
        *to++ = newline;
        *to++ = (struct segment){messages[i].content, false, (int32_t)i};
        *to++ = close;
    }
    if (add_generation_prompt) *to++ = prompt;
    *segments = out;
    *n_segments = (size_t)(to - out);
    return PUMICE_OK;
}
