/* answer: see answer.h. */
#include "app/answer.h"

#include <string.h>

struct collector {
    const struct tokenizer *tokenizer;
    const struct answer_params *params;
    struct answer *out;
    struct decoder decoder;
    char *piece; /* room for the text of one token */
    enum pumice_status status;
};

static bool add_text(struct collector *c, size_t n)
{
    struct answer *a = c->out;
    if (a->capacity - a->n_text < n + 1) {
        const size_t capacity = MAX(a->n_text + n + 1, a->capacity * 2);
        char *text = mem_realloc(a->text, capacity, 1);
        if (text == NULL) {
            c->status = err_memory("the answer", capacity);
            return false;
        }
        a->text = text;
        a->capacity = capacity;
    }
    if (n > 0) memcpy(a->text + a->n_text, c->piece, n);
    a->n_text += n;
    a->text[a->n_text] = 0;
    return n == 0 || c->params->on_text == NULL || c->params->on_text(c->params->user, c->piece, n);
}

static bool on_token(void *user, int32_t token)
{
    struct collector *c = user;
    c->status = ids_append(&c->out->ids, token);
    if (c->status != PUMICE_OK) return false;
    const bool shown = !tokenizer_is_control(c->tokenizer, token);
    const struct str bytes = tokenizer_token_bytes(c->tokenizer, token);
    const uint64_t span = pumice_trace_begin();
    const bool ok = !shown || add_text(c, decoder_feed(&c->decoder, bytes, c->piece));
    pumice_trace_end("detokenise", span);
    return ok && c->params->goes_on(c->params->user);
}

static enum pumice_status feed(struct pumice_session *session, const int32_t *prompt, size_t n,
                               const struct answer_params *params)
{
    const struct pumice_sync_callbacks callbacks = {.progress = params->on_prompt, .user = params->user};
    const enum pumice_status st = pumice_session_sync(session, prompt, n, &callbacks);
    return st == PUMICE_CANCELLED && params->goes_on(params->user) ? pumice_session_sync(session, prompt, n, &callbacks) : st;
}

enum pumice_status answer_run(struct pumice_session *session, const struct vocab *vocab, const int32_t *prompt, size_t n,
                              const struct answer_params *params, struct answer *out)
{
    enum pumice_status st = PUMICE_OK;
    const size_t piece_bytes = tokenizer_max_token_bytes(vocab->tokenizer) + 16;
    struct collector c = {.tokenizer = vocab->tokenizer, .params = params, .out = out, .piece = mem_alloc(piece_bytes)};
    const struct pumice_generate_params generate = {.sampling = params->sampling,
                                                    .max_tokens = params->max_tokens,
                                                    .stop_tokens = vocab->stop_tokens,
                                                    .n_stop_tokens = vocab->n_stop_tokens,
                                                    .on_token = on_token,
                                                    .user = &c};
    *out = (struct answer){.n_prompt = n, .seed = params->sampling.seed};
    if (c.piece == NULL || !add_text(&c, 0)) TRY(err_memory("the answer", piece_bytes));
    TRY(feed(session, prompt, n, params));
    if (!params->goes_on(params->user)) TRY(err_set(PUMICE_CANCELLED, "stopped before the answer began"));
    TRY(pumice_session_generate(session, &generate, &out->result));
    TRY(c.status);
    (void)add_text(&c, decoder_finish(&c.decoder, c.piece));
    TRY(c.status);
fail:
    mem_free(c.piece);
    pumice_session_get_stats(session, &out->stats);
    out->hash = pumice_session_logits_hash(session);
    return st;
}

void answer_fini(struct answer *a)
{
    ids_fini(&a->ids);
    mem_free(a->text);
    memset(a, 0, sizeof *a);
}
