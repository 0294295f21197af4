/* brain: loading and answering. */
#include "app/window/brain.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/embedded.h"
#include "app/window/draw.h"
#include "runtime/platform.h"

struct opening {
    bool (*progress)(void *user, float fraction);
    void *user;
};

static bool on_progress(void *user, const char *stage, float fraction)
{
    const struct opening *o = user;
    (void)stage;
    return o->progress(o->user, fraction);
}

enum pumice_status brain_open(const char *path, const struct configuration *c,
                              bool (*progress)(void *user, float fraction), void *user, struct brain **out)
{
    enum pumice_status st = PUMICE_OK;
    struct opening opening = {progress, user};
    const struct pumice_engine_params engine = {.n_ctx = (uint32_t)MAX(c->context, 0),
                                                .device = c->device[0] != 0 ? c->device : NULL,
                                                .progress = on_progress,
                                                .user = &opening};
    const struct pumice_session_params session = {.n_ctx = (uint32_t)MAX(c->context, 0)};
    *out = NULL;
    if (strlen(path) >= sizeof(*out)->path) return err_set(PUMICE_ARGUMENT, "the path of the model is too long");
    struct brain *b = mem_calloc(1, sizeof *b);
    if (b == NULL) return err_memory("the model", sizeof *b);
    snprintf(b->path, sizeof b->path, "%s", path);
    if (path[0] == 0) {
        const void *data = NULL;
        size_t n = 0;
        starter_get(&data, &n);
        TRY(pumice_model_open_memory(data, n, &b->model));
    } else {
        TRY(pumice_model_open(path, &b->model));
    }
    TRY(vocab_open(b->model, &b->vocab));
    TRY(prompt_format_open(b->model, &b->vocab, NULL, &b->format));
    TRY(pumice_engine_open(b->model, &engine, &b->engine));
    TRY(pumice_session_open(b->engine, &session, &b->session));
    *out = b;
    return PUMICE_OK;
fail:
    brain_close(b);
    return st;
}

void brain_close(struct brain *b)
{
    if (b == NULL) return;
    pumice_session_close(b->session);
    pumice_engine_close(b->engine);
    prompt_format_close(&b->format);
    vocab_close(&b->vocab);
    pumice_model_close(b->model);
    mem_free(b);
}

struct answering {
    struct brain *brain;
    const struct brain_call *call;
    struct brain_answer *out;
    struct decoder decoder;
    char *piece;
    enum pumice_status status;
};

static bool add_text(struct answering *a, size_t n)
{
    struct brain_answer *out = a->out;
    if (!grow(&out->text, &out->capacity, out->n_text + n + 1, 1)) {
        a->status = err_memory("the answer", out->n_text + n);
        return false;
    }
    if (n > 0) memcpy(out->text + out->n_text, a->piece, n);
    out->n_text += n;
    out->text[out->n_text] = 0;
    return n == 0 || a->call->on_text(a->call->user, a->piece, n);
}

static bool on_token(void *user, int32_t token)
{
    struct answering *a = user;
    const struct tokenizer *t = a->brain->vocab.tokenizer;
    a->status = ids_append(&a->out->ids, token);
    if (a->status != PUMICE_OK) return false;
    if (tokenizer_is_control(t, token)) return a->call->goes_on(a->call->user);
    return add_text(a, decoder_feed(&a->decoder, tokenizer_token_bytes(t, token), a->piece)) &&
           a->call->goes_on(a->call->user);
}

static struct pumice_sampling sampling_of(const struct brain *b, const struct configuration *c)
{
    struct pumice_sampling s = pumice_model_sampling(b->model);
    s.temperature = (float)c->temperature;
    if (c->top_k >= 0) s.top_k = (uint32_t)c->top_k;
    if (c->top_p >= 0) s.top_p = (float)c->top_p;
    if (c->min_p >= 0) s.min_p = (float)c->min_p;
    s.seed = c->seed >= 0 ? (uint64_t)c->seed : mix_u64(platform_now_ns() ^ (uint64_t)time(NULL) << 20);
    return s;
}

/* A stop that came too late for the answer before cancels this one: not meant, so once more. */
static enum pumice_status feed(struct brain *b, const struct ids *prompt, const struct brain_call *call)
{
    const struct pumice_sync_callbacks callbacks = {.progress = call->on_prompt, .user = call->user};
    enum pumice_status st = pumice_session_sync(b->session, prompt->data, prompt->n, &callbacks);
    if (st == PUMICE_CANCELLED && call->goes_on(call->user))
        st = pumice_session_sync(b->session, prompt->data, prompt->n, &callbacks);
    return st;
}

enum pumice_status brain_answer(struct brain *b, const struct ids *prompt, const struct configuration *c,
                                const struct brain_call *call, struct brain_answer *out)
{
    enum pumice_status st = PUMICE_OK;
    struct answering a = {.brain = b, .call = call, .out = out};
    const struct pumice_generate_params params = {.sampling = sampling_of(b, c),
                                                  .max_tokens = (uint32_t)MAX(c->max_tokens, 1),
                                                  .stop_tokens = b->vocab.stop_tokens,
                                                  .n_stop_tokens = b->vocab.n_stop_tokens,
                                                  .on_token = on_token,
                                                  .user = &a};
    const size_t piece_bytes = tokenizer_max_token_bytes(b->vocab.tokenizer) + 16;
    a.piece = mem_alloc(piece_bytes);
    if (a.piece == NULL || !add_text(&a, 0)) {
        mem_free(a.piece);
        return err_memory("the answer", piece_bytes);
    }
    TRY(feed(b, prompt, call));
    if (!call->goes_on(call->user)) TRY(err_set(PUMICE_CANCELLED, "stopped before the answer began"));
    TRY(pumice_session_generate(b->session, &params, &out->result));
    TRY(a.status);
    (void)add_text(&a, decoder_finish(&a.decoder, a.piece));
    TRY(a.status);
fail:
    mem_free(a.piece);
    pumice_session_get_stats(b->session, &out->stats);
    return st;
}

void brain_answer_fini(struct brain_answer *a)
{
    ids_fini(&a->ids);
    mem_free(a->text);
    memset(a, 0, sizeof *a);
}
