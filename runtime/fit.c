/* fit: what a model takes on a device, against what the device has to give; before anything is loaded. See pumice.h. */
#include "engine.h"

#include <string.h>

enum { CONTEXT_STEP = 256 };

static uint64_t weights(const struct pumice_model *m, struct backend *b)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < m->gguf.n_tensors; i++) {
        const struct gguf_tensor *t = &m->gguf.tensors[i];
        const struct weight_source src = {.type = t->type, .n = (uint32_t)t->dims[1], .k = (uint32_t)t->dims[0],
                                          .vector = t->n_dims == 1};
        sum += b->calls->weight_bytes ? b->calls->weight_bytes(b, &src) : t->bytes;
    }
    return sum;
}

/* Activations, the logits on the host's side, and what is left free: staging, unused ends of blocks, pipelines, and the
 * driver's own. */
static uint64_t work(const struct hparams *h, uint64_t chunk, const struct pumice_fit *fit, uint64_t total_bytes)
{
    struct activation list[ENGINE_MAX_ACTIVATIONS];
    struct activations unused;
    const size_t n = activations_of(h, chunk, &unused, list);
    const bool host = fit->device.kind == PUMICE_DEVICE_CPU || fit->device.kind == PUMICE_DEVICE_SOFTWARE;
    const uint64_t mib = 1 << 20, block = MIN(64 * mib, fit->weight_bytes + 4 * mib);
    uint64_t sum = h->V * 4ull + block + (host ? 16 * mib : 32 * mib + MIN(total_bytes / 20, 512 * mib));
    for (size_t i = 0; i < n; i++) sum += list[i].bytes;
    return sum;
}

uint32_t engine_chunk(const struct hparams *h, struct backend *b)
{
    struct backend_memory memory = {.max_binding_bytes = UINT64_MAX};
    struct activation list[ENGINE_MAX_ACTIVATIONS];
    struct activations unused;
    uint32_t chunk = MAX(1u, b->calls->chunk_tokens(b));
    if (b->calls->memory) b->calls->memory(b, &memory);
    for (; chunk > 1; chunk /= 2) {
        const size_t n = activations_of(h, chunk, &unused, list);
        uint64_t largest = 0;
        for (size_t i = 0; i < n; i++) largest = MAX(largest, list[i].bytes);
        if (largest <= memory.max_binding_bytes) break;
    }
    return chunk;
}

void engine_fit(const struct pumice_model *m, struct backend *b, uint32_t n_ctx, enum pumice_kv kv, struct pumice_fit *out)
{
    const struct hparams *h = &m->h;
    const uint64_t head_bytes = kv_row_bytes(kv, h->E), step_bytes = kv_bytes(h, KV_ROUND, kv);
    struct backend_memory memory = {.total_bytes = platform_memory_bytes(), .free_bytes = platform_memory_available(),
                                    .max_buffer_bytes = UINT64_MAX, .max_binding_bytes = UINT64_MAX};
    memset(out, 0, sizeof *out);
    b->calls->info(b, &out->device);
    if (b->calls->memory) b->calls->memory(b, &memory);
    out->weight_bytes = weights(m, b);
    out->work_bytes = work(h, engine_chunk(h, b), out, memory.total_bytes);
    out->available_bytes = memory.free_bytes;
    const uint64_t rest = out->weight_bytes + out->work_bytes;
    const uint64_t room = memory.free_bytes > rest ? (memory.free_bytes - rest) / step_bytes * KV_ROUND : 0;
    const uint64_t whole = MIN(memory.max_buffer_bytes / h->G, memory.max_binding_bytes) / head_bytes / KV_ROUND * KV_ROUND;
    const uint64_t most = MIN(MIN(room, whole), (uint64_t)h->n_context);
    out->max_ctx = (uint32_t)(most > CONTEXT_STEP ? most / CONTEXT_STEP * CONTEXT_STEP : most == h->n_context ? most : 0);
    const uint32_t wanted = MIN((uint32_t)FIT_DEFAULT_CONTEXT, h->n_context), least = MIN((uint32_t)FIT_LEAST_CONTEXT, h->n_context);
    out->n_ctx = n_ctx ? n_ctx : MAX(MIN(wanted, out->max_ctx), least);
    out->kv_bytes = kv_bytes(h, out->n_ctx, kv);
    out->fits = out->n_ctx <= most;
}

enum pumice_status pumice_fit(struct pumice_model *model, const struct pumice_engine_params *params, struct pumice_fit *out)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = NULL;
    memset(out, 0, sizeof *out);
    TRY(model_bind(model));
    TRY(engine_check_kv(model, params->kv));
    TRY(backend_create(&(struct backend_options){.device = params->device}, &b));
    engine_fit(model, b, params->n_ctx, params->kv, out);
fail:
    if (b) b->calls->destroy(b);
    return st;
}
