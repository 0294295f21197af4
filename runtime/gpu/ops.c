/* ops: one recorder an op: kernel, specialization constants, bindings, push constants, grid.
 *
 * Formulas and shapes are in ops.h; mapping and numerics at the head of each shader. */
#include "gpu.h"

#include "../../shaders/push.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct binding in(struct buf b) { return (struct binding){.buf = b}; }
static struct binding out(struct buf b) { return (struct binding){.buf = b, .write = true}; }

/* kernel[_suffix][_bda|_shared] */
static void kernel_name(char *name, size_t bytes, const char *kernel, const char *suffix, const char *variant)
{
    snprintf(name, bytes, "%s%s%s%s", kernel, suffix[0] ? "_" : "", suffix, variant);
}

static uint32_t groups(uint64_t n, uint64_t each) { return (uint32_t)((n + each - 1) / each); }

/* Spreads n workgroups over x and y, since x may be limited to 65,535. */
static void grid(const struct gpu_backend *g, uint32_t n, uint32_t *x, uint32_t *y)
{
    *x = MIN(n, MIN(g->device.physical.limits.max_groups_x, 65535u));
    *y = groups(n, *x);
}

static enum pumice_status embed(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t lanes = g->tuning.norm_lanes < 64 ? g->tuning.norm_lanes : 64;
    char name[64];
    kernel_name(name, sizeof name, "embed", layout_suffix(op->w->type), "");
    for (uint32_t i = 0; i < op->w->n_parts; i++) {
        const struct weight_part *part = &op->w->parts[i];
        const struct embed_push push = {.row0 = part->row0, .n_rows = part->n, .k = op->w->k,
                                        .row_words = (uint32_t)layout_row_words(op->w->type, op->w->k)};
        const uint32_t spec[] = {lanes, part->layout.rows, part->layout.vec};
        struct dispatch d = {.bindings = {in(part->buf), in(op->step), out(op->y)}, .push = &push,
                             .groups = {groups(op->w->k, 32ull * lanes), op->T, 1}};
        TRY(pipeline_get(&g->pipelines, name, 3, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
        TRY(recorder_dispatch(r, &d));
    }
fail:
    return st;
}

static enum pumice_status rms_norm(struct gpu_backend *g, struct recorder *r, const struct op *op)
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

/* Columns a workgroup: as many as allowed, but evenly spread, since those past T are computed and thrown away. */
static uint32_t columns(const struct gpu_tuning *t, uint32_t T)
{
    return groups(T, groups(T, t->max_cols));
}

/* For few tokens. */
static enum pumice_status matvec_part(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct weight_part *part)
{
    enum pumice_status st = PUMICE_OK;
    const struct gpu_tuning *t = &g->tuning;
    const uint32_t k = op->w->k, cols = columns(t, op->T);
    const uint32_t spec[] = {t->lanes, part->layout.rows, part->layout.vec, t->lane_rows, t->lane_rows ? 1 : t->rows, cols, k % 32 != 0};
    const VkDeviceAddress address = g->memory.blocks[part->buf.memory].address + part->buf.offset;
    struct matmul_push push = {.rows = part->n, .k = k, .row_words = (uint32_t)layout_row_words(op->w->type, k),
                               .x_at = op->x_row * k, .y_at = part->row0, .n = op->w->n, .T = op->T, .add = op->add,
                               .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32)};
    struct dispatch d = {.bindings = {in(part->buf), in(op->x), out(op->y)}, .push = &push,
                         .flops = 2.0 * part->n * k * op->T};
    char name[64];
    kernel_name(name, sizeof name, "matvec", layout_suffix(op->w->type), t->by_address ? "_bda" : t->shared_reduce ? "_shared" : "");
    grid(g, groups(part->n, t->lane_rows ? t->lanes : t->rows), &push.groups_x, &d.groups[1]);
    d.groups[0] = push.groups_x;
    d.groups[2] = groups(op->T, cols);
    TRY(pipeline_get(&g->pipelines, name, 3, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status matmul(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    if (g->tuning.matmul_from && op->T >= g->tuning.matmul_from) return matmul_tiles_record(g, r, op);
    for (uint32_t i = 0; i < op->w->n_parts; i++) TRY(matvec_part(g, r, op, &op->w->parts[i]));
fail:
    return st;
}

/* base^(-2i/E) / factors[i] / 2 pi turns a position, as 64-bit fractions, high word first. */
static enum pumice_status rope_table(struct gpu_backend *g, uint32_t E, const struct rope *rope, struct buf *out_buf)
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

static enum pumice_status qk_norm_rope_kv(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    struct buf turns = {0};
    TRY(rope_table(g, op->E, &op->rope, &turns));
    const struct qk_norm_rope_kv_push push = {.H = op->H, .G = op->G, .eps = op->eps};
    const uint32_t spec[] = {g->tuning.head_lanes, op->E, op->rope.neighbours};
    struct dispatch d = {.bindings = {out(op->x), in(op->y), in(op->z), in(op->w->parts[0].buf), in(op->w2->parts[0].buf),
                                      out(op->k_cache), out(op->v_cache), in(op->step), in(turns)},
                         .push = &push, .groups = {op->H + 2 * op->G, op->T, 1}};
    TRY(pipeline_get(&g->pipelines, g->tuning.shared_reduce ? "qk_norm_rope_kv_shared" : "qk_norm_rope_kv", 9, sizeof push,
                     spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status bias_rope_kv(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    struct buf turns = {0};
    TRY(rope_table(g, op->E, &op->rope, &turns));
    const struct bias_rope_kv_push push = {.H = op->H, .G = op->G};
    const bool bias = op->w && op->w2 && op->w3;
    const uint32_t spec[] = {g->tuning.head_lanes, op->E, op->rope.neighbours, bias};
    struct dispatch d = {.bindings = {out(op->x), in(op->y), in(op->z), in(bias ? op->w->parts[0].buf : turns),
                                      in(bias ? op->w2->parts[0].buf : turns), in(bias ? op->w3->parts[0].buf : turns),
                                      out(op->k_cache), out(op->v_cache), in(op->step), in(turns)},
                         .push = &push, .groups = {op->H + 2 * op->G, op->T, 1}};
    TRY(pipeline_get(&g->pipelines, "bias_rope_kv", 10, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status attention(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    if (op->E % 4)
        return err_set(PUMICE_UNSUPPORTED, "heads of %u dimensions: a multiple of 4 is needed on Vulkan; use --device cpu", op->E);
    const struct attention_push push = {.H = op->H, .G = op->G, .scale = op->scale};
    const uint32_t spec[] = {g->tuning.attention_lanes, op->E};
    struct dispatch d = {.bindings = {in(op->x), in(op->k_cache), in(op->v_cache), in(op->step), out(op->y)}, .push = &push,
                         .groups = {op->H, op->T, 1}, .flops = 4.0 * op->H * op->T * op->E * (op->C / 2.0)};
    TRY(pipeline_get(&g->pipelines, g->tuning.shared_reduce ? "attention_shared" : "attention", 5, sizeof push, spec,
                     COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
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
    const struct peak_push push = {.n = op->D, .rounds = op->C};
    const uint32_t spec[] = {lanes, 0, 0, 0, 0, f->matrix.m, f->matrix.n, f->matrix.k};
    struct dispatch d = {.bindings = {in(op->x), out(op->y)}, .push = &push, .groups = {0, 0, 1}, .flops = op_flops(op, 0)};
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
    case OP_RMS_NORM: TRY(rms_norm(g, r, op)); break;
    case OP_MATMUL: TRY(matmul(g, r, op)); break;
    case OP_QK_NORM_ROPE_KV: TRY(qk_norm_rope_kv(g, r, op)); break;
    case OP_BIAS_ROPE_KV: TRY(bias_rope_kv(g, r, op)); break;
    case OP_ATTENTION: TRY(attention(g, r, op)); break;
    case OP_SWIGLU: TRY(swiglu(g, r, op)); break;
    case OP_PEAK: TRY(peak(g, r, op)); break;
    case OP_COPY: TRY(recorder_copy(r, op->x, op->y, op->x.bytes)); break;
    case OP_N_KINDS: break;
    }
    matmul_rounded_after(r, op);
    TRY(recorder_op_end(r));
fail:
    return st;
}
