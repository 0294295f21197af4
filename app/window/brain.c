/* brain: see brain.h. */
#include "app/window/brain.h"

#include <stdio.h>
#include <string.h>

#include "app/embedded.h"
#include "runtime/platform.h"

/* The file's template; or the official one where there is none, or it is beyond ours: a model that talks is worth more. */
static enum pumice_status open_template(struct brain *b)
{
    enum pumice_status st = prompt_format_open(b->model, &b->vocab, NULL, &b->format);
    if (st == PUMICE_OK && b->format.missing)
        snprintf(b->note, sizeof b->note, "the model file has no chat template; the official ChatML is used");
    if (st != PUMICE_FORMAT && st != PUMICE_UNSUPPORTED && st != PUMICE_ARGUMENT) return st;
    snprintf(b->note, sizeof b->note, "the official ChatML is used instead of the model's own template: %.300s", pumice_error());
    prompt_format_close(&b->format);
    return prompt_format_open(b->model, &b->vocab, "official", &b->format);
}

enum pumice_status brain_open(const char *path, const struct configuration *c,
                              bool (*progress)(void *user, const char *stage, float fraction), void *user,
                              struct brain **out)
{
    enum pumice_status st = PUMICE_OK;
    const struct pumice_engine_params engine = {.n_ctx = (uint32_t)MAX(c->context, 0),
                                                .device = c->device[0] != 0 ? c->device : NULL,
                                                .kv = (enum pumice_kv)c->kv,
                                                .progress = progress,
                                                .user = user};
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
    TRY(open_template(b));
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

struct answer_params brain_params(const struct brain *b, const struct configuration *c)
{
    struct answer_params p = {.sampling = pumice_model_sampling(b->model), .max_tokens = (uint32_t)MAX(c->max_tokens, 1)};
    p.sampling.temperature = (float)c->temperature;
    if (c->top_k >= 0) p.sampling.top_k = (uint32_t)c->top_k;
    if (c->top_p >= 0) p.sampling.top_p = (float)c->top_p;
    if (c->min_p >= 0) p.sampling.min_p = (float)c->min_p;
    p.sampling.seed = c->seed >= 0 ? (uint64_t)c->seed : platform_random();
    return p;
}
