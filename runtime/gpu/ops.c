/* ops: one recorder an op: kernel, specialization constants, bindings, push constants, grid.
 *
 * Formulas and shapes are in ops.h; mapping and numerics at the head of each shader. */
#include "recorders.h"

#include <math.h>

static enum pumice_status embed(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t lanes = g->tuning.norm_lanes < 64 ? g->tuning.norm_lanes : 64;
    char name[64];
    kernel_name(name, sizeof name, "embed", layout_suffix(op->w->type), "");
    for (uint32_t i = 0; i < op->w->n_parts; i++) {
        const struct weight_part *part = &op->w->parts[i];
        const struct embed_push push = {.row0 = part->row0, .n_rows = part->n, .k = op->w->k,
                                        .row_words = (uint32_t)layout_row_words(op->w->type, part->layout, op->w->k)};
        const uint32_t spec[] = {lanes, part->layout.rows, part->layout.vec, part->layout.sliced};
        struct dispatch d = {.bindings = {in(part->buf), in(op->step), out(op->y)}, .push = &push,
                             .groups = {groups(op->w->k, 32ull * lanes), op->T, 1}};
        TRY(pipeline_get(&g->pipelines, name, 3, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
        TRY(recorder_dispatch(r, &d));
    }
fail:
    return st;
}

enum pumice_status gpu_rms_norm(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const struct rms_norm_push push = {.D = op->w->k, .eps = op->eps};
    const uint32_t spec[] = {g->tuning.norm_lanes};
    struct dispatch d = {.bindings = {in(op->w->parts[0].buf), in(op->x), out(op->y)}, .push = &push, .groups = {op->T, 1, 1}};
    TRY(pipeline_get(&g->pipelines, g->tuning.shared_reduce ? "rms_norm_shared" : "rms_norm", 3, sizeof push, spec,
                     COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status matmul(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    if (gpu_matvec_suits(g, op->T)) return gpu_matvec(g, r, op);
    return matmul_tiles_record(g, r, op);
}

/* base^(-2i/E) / factors[i] / 2 pi turns a position, as 64-bit fractions, high word first. */
enum pumice_status gpu_rope_table(struct gpu_backend *g, uint32_t E, const struct rope *rope, struct buf *out_buf)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t factors = rope->factors ? hash_bytes(rope->factors, E / 2 * sizeof *rope->factors, 0) : 0;
    for (uint32_t i = 0; i < g->n_ropes; i++)
        if (g->ropes[i].E == E && g->ropes[i].base == rope->base && g->ropes[i].factors == factors) {
            *out_buf = g->ropes[i].buf;
            return PUMICE_OK;
        }
    uint32_t table[256];
    struct rope_table *t = &g->ropes[g->n_ropes];
    if (g->n_ropes == GPU_MAX_ROPE || E > 256)
        return err_set(PUMICE_UNSUPPORTED, "too many RoPE tables, or heads of %u > 256 dimensions; this model cannot run on "
                       "Vulkan yet, use --device cpu", E);
    for (uint32_t i = 0; i < E / 2; i++) {
        const double factor = rope->factors ? (double)rope->factors[i] : 1.0;
        const double turns = pow((double)rope->base, -2.0 * i / E) / factor / 6.283185307179586476925;
        const double fraction = turns - floor(turns);
        const double high = floor(fraction * 4294967296.0);
        table[2 * i] = (uint32_t)high;
        table[2 * i + 1] = (uint32_t)((fraction * 4294967296.0 - high) * 4294967296.0);
    }
    *t = (struct rope_table){.E = E, .base = rope->base, .factors = factors};
    TRY(memory_create(&g->memory, MEM_SCRATCH, E * 4ull, "rope table", &t->buf));
    TRY(memory_write(&g->memory, t->buf, 0, table, E * 4ull));
    g->n_ropes++;
    *out_buf = t->buf;
fail:
    return st;
}

enum pumice_status gpu_counters(struct gpu_backend *g)
{
    enum pumice_status st = PUMICE_OK;
    static const uint32_t zeros[GPU_COUNTERS];
    if (g->counters.bytes) return PUMICE_OK;
    TRY(memory_create(&g->memory, MEM_SCRATCH, sizeof zeros, "counters", &g->counters));
    TRY(memory_write(&g->memory, g->counters, 0, zeros, sizeof zeros));
fail:
    return st;
}

static enum pumice_status qk_norm_rope_kv(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    struct buf turns = {0};
    TRY(gpu_rope_table(g, op->E, &op->rope, &turns));
    const uint32_t spec[] = {g->tuning.head_lanes, op->E, op->rope.neighbours};
    char name[64];
    kernel_name(name, sizeof name, "qk_norm_rope_kv", pumice_kv_name(op->kv.type), g->tuning.shared_reduce ? "_shared" : "");
    for (struct kv_window w = {0}; w.g0 < op->G; w.g0 += w.n_g) {
        TRY(gpu_kv_window(g, op, &w));
        const struct qk_norm_rope_kv_push push = {.H = op->H, .G = op->G, .n_q = w.g0 ? 0 : op->H, .g0 = w.g0, .n_g = w.n_g,
                                                  .C = op->kv.C, .eps = op->eps};
        struct dispatch d = {.bindings = {out(op->x), in(op->y), in(op->z), in(op->w->parts[0].buf), in(op->w2->parts[0].buf),
                                          w.k, w.v, in(op->step), in(turns)},
                             .push = &push, .groups = {push.n_q + 2 * w.n_g, op->T, 1}};
        d.bindings[5].write = d.bindings[6].write = true;
        TRY(pipeline_get(&g->pipelines, name, 9, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
        TRY(recorder_dispatch(r, &d));
    }
fail:
    return st;
}

static enum pumice_status bias_rope_kv(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    struct buf turns = {0};
    TRY(gpu_rope_table(g, op->E, &op->rope, &turns));
    const bool bias = op->w && op->w2 && op->w3;
    const uint32_t spec[] = {g->tuning.head_lanes, op->E, op->rope.neighbours, bias};
    char name[64];
    kernel_name(name, sizeof name, "bias_rope_kv", pumice_kv_name(op->kv.type), "");
    for (struct kv_window w = {0}; w.g0 < op->G; w.g0 += w.n_g) {
        TRY(gpu_kv_window(g, op, &w));
        const struct bias_rope_kv_push push = {.H = op->H, .G = op->G, .n_q = w.g0 ? 0 : op->H, .g0 = w.g0, .n_g = w.n_g,
                                               .C = op->kv.C};
        struct dispatch d = {.bindings = {out(op->x), in(op->y), in(op->z), in(bias ? op->w->parts[0].buf : turns),
                                          in(bias ? op->w2->parts[0].buf : turns), in(bias ? op->w3->parts[0].buf : turns),
                                          w.k, w.v, in(op->step), in(turns)},
                             .push = &push, .groups = {push.n_q + 2 * w.n_g, op->T, 1}};
        d.bindings[6].write = d.bindings[7].write = true;
        TRY(pipeline_get(&g->pipelines, name, 10, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
        TRY(recorder_dispatch(r, &d));
    }
fail:
    return st;
}

static enum pumice_status swiglu(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t lanes = g->tuning.norm_lanes;
    const struct swiglu_push push = {.n = op->T * op->D};
    const uint32_t spec[] = {lanes};
    struct dispatch d = {.bindings = {in(op->x), in(op->z), out(op->y)}, .push = &push, .groups = {0, 0, 1}};
    grid(g, groups(push.n, lanes), &d.groups[0], &d.groups[1]);
    TRY(pipeline_get(&g->pipelines, "swiglu", 3, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status peak(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    static const char *const kernels[ARITHMETIC_N] = {"peak", "peak_half", "peak_dot", "peak_matrix"};
    const struct device_features *f = &g->device.physical.limits.features;
    const bool matrix = op->arithmetic == ARITHMETIC_MATRIX;
    const uint32_t subgroup = matrix ? f->subgroup_pinned : 0, lanes = matrix ? 4 * subgroup : g->tuning.norm_lanes;
    const struct peak_push push = {.n = op->D, .rounds = op->rounds};
    const uint32_t spec[] = {lanes, 0, 0, 0, 0, f->matrix.m, f->matrix.n, f->matrix.k};
    struct dispatch d = {.bindings = {in(op->x), out(op->y)}, .push = &push, .groups = {0, 0, 1}};
    grid(g, groups(push.n, matrix ? 4 * f->matrix.m * f->matrix.n : lanes), &d.groups[0], &d.groups[1]);
    TRY(pipeline_get_pinned(&g->pipelines, kernels[op->arithmetic], 2, sizeof push, spec, matrix ? COUNT_OF(spec) : 1, subgroup,
                            &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

enum pumice_status gpu_record(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    TRY(recorder_op_begin(r, op->label ? op->label : op_kind_name(op->kind)));
    switch (op->kind) {
    case OP_EMBED: TRY(embed(g, r, op)); break;
    case OP_RMS_NORM: TRY(gpu_rms_norm(g, r, op)); break;
    case OP_MATMUL: TRY(matmul(g, r, op)); break;
    case OP_NORM_MATMULS:
    case OP_NORM_GATE_UP: TRY(gpu_norm_products(g, r, op, false)); break;
    case OP_QK_NORM_ROPE_KV: TRY(qk_norm_rope_kv(g, r, op)); break;
    case OP_BIAS_ROPE_KV: TRY(bias_rope_kv(g, r, op)); break;
    case OP_ATTENTION: TRY(gpu_record_attention(g, r, op)); break;
    case OP_SWIGLU: TRY(swiglu(g, r, op)); break;
    case OP_SAMPLE: TRY(gpu_sample(g, r, op)); break;
    case OP_PEAK: TRY(peak(g, r, op)); break;
    case OP_COPY: TRY(recorder_copy(r, op->x, op->y, op->x.bytes)); break;
    case OP_N_KINDS: break;
    }
    matmul_rounded_after(r, op);
    TRY(recorder_op_end(r, op));
fail:
    return st;
}
