/* conversation: messages, their ids, and what to forget when the context is full. */
#include "app/conversation.h"

#include <string.h>

static char *copy_text(const char *text, size_t n)
{
    char *copy = mem_alloc(n + 1);
    if (copy == NULL) return NULL;
    if (n > 0) memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

static void turn_fini(struct turn *turn)
{
    mem_free(turn->question);
    mem_free(turn->answer);
    ids_fini(&turn->ids);
    memset(turn, 0, sizeof *turn);
}

/* One ChatML message, which begins with a special token: its ids do not depend on what is before it. */
static enum pumice_status encode_message(const struct conversation *c, const char *role, const char *text,
                                         size_t n, bool answer_next, struct ids *out)
{
    struct arena arena = {0};
    struct segment *segments = NULL;
    size_t n_segments = 0;
    const struct chat_message message = {str_of(role), {text, n}};
    enum pumice_status st = chatml_render(&arena, &message, 1, answer_next, &segments, &n_segments);
    if (st == PUMICE_OK) st = tokenizer_encode(c->vocab->tokenizer, segments, n_segments, out);
    arena_fini(&arena);
    return st;
}

enum pumice_status conversation_init(struct conversation *c, const struct vocab *vocab)
{
    memset(c, 0, sizeof *c);
    c->vocab = vocab;
    const enum pumice_status st =
        tokenizer_encode_text(vocab->tokenizer, STR("<|im_end|>\n"), true, &c->end_ids);
    return st == PUMICE_OK ? conversation_set_system(c, NULL, 0) : st;
}

void conversation_clear(struct conversation *c)
{
    while (c->n_turns > 0) turn_fini(&c->turns[--c->n_turns]);
}

void conversation_fini(struct conversation *c)
{
    conversation_clear(c);
    mem_free(c->turns);
    mem_free(c->system);
    ids_fini(&c->system_ids);
    ids_fini(&c->end_ids);
    memset(c, 0, sizeof *c);
}

enum pumice_status conversation_set_system(struct conversation *c, const char *text, size_t n)
{
    enum pumice_status st = PUMICE_OK;
    struct ids ids = {0};
    char *copy = NULL;
    const int32_t bos = tokenizer_bos(c->vocab->tokenizer);
    if (bos >= 0) TRY(ids_append(&ids, bos));
    if (n > 0) {
        copy = copy_text(text, n);
        if (copy == NULL) TRY(err_memory("the system prompt", n));
        TRY(encode_message(c, "system", text, n, false, &ids));
    }
    ids_fini(&c->system_ids);
    mem_free(c->system);
    c->system_ids = ids;
    c->system = copy;
    c->system_bytes = n;
    return PUMICE_OK;
fail:
    ids_fini(&ids);
    mem_free(copy);
    return st;
}

enum pumice_status conversation_ask(struct conversation *c, const char *text, size_t n)
{
    enum pumice_status st = PUMICE_OK;
    struct turn turn = {0};
    if (c->n_turns == c->capacity) {
        const size_t capacity = MAX(c->capacity * 2, (size_t)16);
        struct turn *turns = mem_realloc(c->turns, capacity, sizeof *turns);
        if (turns == NULL) TRY(err_memory("the conversation", capacity * sizeof *turns));
        c->turns = turns;
        c->capacity = capacity;
    }
    turn.question = copy_text(text, n);
    if (turn.question == NULL) TRY(err_memory("a message", n));
    turn.question_bytes = n;
    TRY(encode_message(c, "user", text, n, true, &turn.ids));
    turn.n_question_ids = turn.ids.n;
    c->turns[c->n_turns++] = turn;
    return PUMICE_OK;
fail:
    turn_fini(&turn);
    return st;
}

enum pumice_status conversation_answer(struct conversation *c, const int32_t *ids, size_t n_ids,
                                       const char *text, size_t n)
{
    enum pumice_status st = PUMICE_OK;
    struct turn *turn = &c->turns[c->n_turns - 1];
    char *copy = copy_text(text, n);
    if (copy == NULL) TRY(err_memory("an answer", n));
    TRY(ids_append_all(&turn->ids, ids, n_ids));
    TRY(ids_append_all(&turn->ids, c->end_ids.data, c->end_ids.n));
    mem_free(turn->answer);
    turn->answer = copy;
    turn->answer_bytes = n;
    return PUMICE_OK;
fail:
    turn->ids.n = turn->n_question_ids;
    mem_free(copy);
    return st;
}

void conversation_undo(struct conversation *c)
{
    if (c->n_turns > 0) turn_fini(&c->turns[--c->n_turns]);
}

size_t conversation_n_ids(const struct conversation *c)
{
    size_t n = c->system_ids.n;
    for (size_t i = 0; i < c->n_turns; i++) n += c->turns[i].ids.n;
    return n;
}

enum pumice_status conversation_fit(struct conversation *c, size_t capacity, size_t reserve,
                                    size_t *n_dropped)
{
    size_t n = conversation_n_ids(c), n_drop = 0;
    *n_dropped = 0;
    if (c->n_turns == 0) return PUMICE_OK;
    const struct turn *last = &c->turns[c->n_turns - 1];
    if (c->system_ids.n + last->ids.n >= capacity)
        return err_set(
            PUMICE_CONTEXT,
            "the message is too long: %zu tokens, with %zu of the system prompt, but the context holds %zu "
            "and an answer needs some; shorten it, or start with a larger -c",
            last->ids.n, c->system_ids.n, capacity);
    while (n + reserve > capacity && n_drop + 1 < c->n_turns) n -= c->turns[n_drop++].ids.n;
    for (size_t i = 0; i < n_drop; i++) turn_fini(&c->turns[i]);
    c->n_turns -= n_drop;
    if (n_drop > 0) memmove(c->turns, c->turns + n_drop, c->n_turns * sizeof *c->turns);
    *n_dropped = n_drop;
    return PUMICE_OK;
}

enum pumice_status conversation_ids(const struct conversation *c, struct ids *out)
{
    enum pumice_status st = ids_append_all(out, c->system_ids.data, c->system_ids.n);
    for (size_t i = 0; st == PUMICE_OK && i < c->n_turns; i++)
        st = ids_append_all(out, c->turns[i].ids.data, c->turns[i].ids.n);
    return st;
}
