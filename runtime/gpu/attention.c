/* attention: the recorder of attention, and the windows in which kernels see a layer's caches. */
#include "gpu.h"

#include "../../shaders/push.h"

#include <stdio.h>

enum pumice_status gpu_kv_window(const struct gpu_backend *g, const struct op *op, struct kv_window *w)
{
    const uint64_t head_bytes = op->kv.C * kv_row_bytes(op->kv.type, op->E), most = g->device.physical.limits.max_storage_range;
    if (head_bytes > most)
        return err_set(PUMICE_UNSUPPORTED, "%s binds at most %.0f MiB, and one head of %u positions takes %.0f MiB; use a smaller "
                       "context (-c)", g->device.physical.info.name, (double)most / 1048576.0, op->kv.C,
                       (double)head_bytes / 1048576.0);
    w->n_g = (uint32_t)MIN(op->G - w->g0, most / head_bytes);
    w->k = (struct binding){.buf = op->kv.k, .at = w->g0 * head_bytes, .bytes = w->n_g * head_bytes};
    w->v = (struct binding){.buf = op->kv.v, .at = w->g0 * head_bytes, .bytes = w->n_g * head_bytes};
    return PUMICE_OK;
}

static enum pumice_status plain(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct kv_window *w)
{
    enum pumice_status st = PUMICE_OK;
    const struct attention_push push = {.H = op->H, .G = op->G, .g0 = w->g0, .C = op->kv.C, .scale = op->scale};
    const uint32_t spec[] = {g->tuning.attention_lanes, op->E};
    const uint32_t n_heads = w->n_g * (op->H / op->G);
    struct dispatch d = {.bindings = {{.buf = op->x}, w->k, w->v, {.buf = op->step}, {.buf = op->y, .write = true}},
                         .push = &push, .groups = {n_heads, op->T, 1},
                         .flops = 4.0 * n_heads * op->T * op->E * (op->kv.C / 2.0)};
    char name[64];
    snprintf(name, sizeof name, "attention_%s%s", pumice_kv_name(op->kv.type), g->tuning.shared_reduce ? "_shared" : "");
    TRY(pipeline_get(&g->pipelines, name, 5, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

enum pumice_status gpu_record_attention(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    if (op->E % 4)
        return err_set(PUMICE_UNSUPPORTED, "heads of %u dimensions: a multiple of 4 is needed on Vulkan; use --device cpu", op->E);
    for (struct kv_window w = {0}; w.g0 < op->G; w.g0 += w.n_g) {
        TRY(gpu_kv_window(g, op, &w));
        TRY(plain(g, r, op, &w));
    }
fail:
    return st;
}
