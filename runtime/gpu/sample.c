/* sample: recorder of op_sample: passes that leave the top_k of each slice, until the last slice is drawn from. */
#include "recorders.h"

#include <assert.h>

enum pumice_status gpu_sample(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t lanes = g->tuning.sample_lanes, items = g->tuning.sample_items, slice = lanes * items;
    uint32_t n = op->D, n_slices = 0;
    struct sample_push push = {0};
    assert(op->top_k >= 1 && op->top_k <= SAMPLE_MAX_K && slice >= 1024);
    do {
        n_slices = groups(n, slice);
        push.n = n;
        push.out_at = push.in_at + (n == op->D ? 0 : n);
        const uint32_t spec[] = {lanes, op->top_k, items, n == op->D, n_slices == 1};
        struct dispatch d = {.bindings = {in(op->x), in(op->z), out(op->z), out(op->y), out(op->step)}, .push = &push,
                             .groups = {n_slices, 1, 1}};
        TRY(pipeline_get(&g->pipelines, g->tuning.shared_reduce ? "sample_shared" : "sample", 5, sizeof push, spec,
                         COUNT_OF(spec), &d.pipeline));
        TRY(recorder_dispatch(r, &d));
        push.in_at = push.out_at;
        n = n_slices * op->top_k;
    } while (n_slices > 1);
fail:
    return st;
}
