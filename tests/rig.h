/* rig: a tiny model of rig_arch opened on a device, with one session: what the whole-model tests drive. */
#ifndef PUMICE_TEST_RIG_H
#define PUMICE_TEST_RIG_H

#include "ops.h"
#include "pumice.h"
#include "tiny_model.h"

#include <string.h>

struct rig {
    struct arena arena;
    struct pumice_model *model;
    struct pumice_engine *engine;
    struct pumice_session *session;
};

static void rig_close(struct rig *r)
{
    pumice_session_close(r->session);
    pumice_engine_close(r->engine);
    pumice_model_close(r->model);
    arena_fini(&r->arena);
    memset(r, 0, sizeof *r);
}

/* The NMSE of logits or of a product that the arithmetic of a back end explains, for T tokens and weights of that type. */
static inline double rig_limit(const struct backend *b, uint32_t type, uint32_t T)
{
    const struct weight w = {.type = type};
    const enum arithmetic a = b->calls->arithmetic_of ? b->calls->arithmetic_of(b, &(struct op){.kind = OP_MATMUL, .w = &w, .T = T})
                                                      : ARITHMETIC_F32;
    return a == ARITHMETIC_F32 ? 1e-6 : a == ARITHMETIC_INT8 ? 5e-3 : a == ARITHMETIC_F16 ? 1e-4 : 2e-5;
}

static enum arch rig_arch; /* of the models that follow; the main programs go through all of them */
static const char *const rig_arch_names[] = {"qwen3", "qwen2", "llama"};

/* A model of shape h. On failure what was opened stays for rig_close. */
static enum pumice_status rig_start_shape(struct rig *r, const struct hparams *h, uint32_t type, bool tied,
                                          const struct pumice_engine_params *params, uint32_t n_ctx)
{
    enum pumice_status st = PUMICE_OK;
    const void *data;
    size_t bytes;
    memset(r, 0, sizeof *r);
    TRY(tiny_model_make(&r->arena, type, 7, h, tied, &data, &bytes));
    TRY(pumice_model_open_memory(data, bytes, &r->model));
    TRY(pumice_engine_open(r->model, params, &r->engine));
    TRY(pumice_session_open(r->engine, &(struct pumice_session_params){.n_ctx = n_ctx}, &r->session));
fail:
    return st;
}

/* The tiny shape. */
static inline enum pumice_status rig_start(struct rig *r, uint32_t type, bool tied, const struct pumice_engine_params *params,
                                           uint32_t n_ctx)
{
    struct hparams h = tiny_model_hparams();
    h.arch = rig_arch;
    return rig_start_shape(r, &h, type, tied, params, n_ctx);
}

#endif
