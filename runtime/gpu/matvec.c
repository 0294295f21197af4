/* matvec: recorders of products with few tokens: matmul, and norm_matmuls and norm_gate_up as one step each.
 *
 * The matrices of one step are dispatches without a barrier between them, whatever their types; gate and up of one type are
 * one dispatch, with SwiGLU at its end. */
#include "recorders.h"

#include "../gguf.h"

bool gpu_matvec_suits(const struct gpu_backend *g, uint32_t T)
{
    return !g->tuning.matmul_from || T < g->tuning.matmul_from;
}

bool gpu_matvec_dots(const struct gpu_backend *g, uint32_t type, uint32_t T)
{
    const struct gpu_tuning *t = &g->tuning;
    const bool integers = type != GGUF_T_F32 && type != GGUF_T_F16 && type != GGUF_T_BF16;
    return t->dot_one && T == 1 && integers && gpu_matvec_suits(g, T) && !t->lane_rows && !t->by_address && !t->shared_reduce;
}

/* Columns a workgroup: as many as allowed, but evenly spread, since those past T are computed and thrown away. */
static uint32_t columns(const struct gpu_tuning *t, uint32_t T) { return groups(T, groups(T, t->max_cols)); }

/* Lanes that share the rows of a workgroup: more where the workgroups are too few to fill the device, and such that few are idle
 * in the last of their turns over the row's blocks. */
static uint32_t lanes_for(const struct gpu_backend *g, uint32_t n_groups, uint32_t k)
{
    const struct gpu_tuning *t = &g->tuning;
    const uint32_t blocks = groups(k, 32);
    uint32_t best = t->lanes;
    double least = 0;
    for (uint32_t m = 1; t->fill && m <= 4 && m * t->lanes <= g->device.physical.limits.max_lanes; m++) {
        const uint32_t lanes = m * t->lanes, turns = groups(blocks, lanes);
        const double full = MIN(1.0, (double)n_groups * m / t->fill), cost = (double)turns * lanes / full;
        if (m > 1 && cost >= least) continue;
        least = cost;
        best = lanes;
    }
    return best;
}

/* What one dispatch computes: y (+)= x @ w^T; norm: of rms(x, norm); up: silu of that times x @ up^T. */
struct matvec {
    const struct weight *w, *up, *norm; /* up, norm: NULL = none */
    struct buf x, y;
};

/* A lane a row: nothing but the product. */
static enum pumice_status rows_part(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct matvec *m,
                                    const struct weight_part *part)
{
    enum pumice_status st = PUMICE_OK;
    const struct gpu_tuning *t = &g->tuning;
    const uint32_t k = m->w->k, cols = columns(t, op->T), rows = cols > 1 ? 1 : t->rows;
    const uint32_t spec[] = {t->lanes, part->layout.rows, part->layout.vec, 0, rows, cols, k % 32 != 0};
    struct matmul_push push = matmul_push_of(g, op, m->w, part);
    struct dispatch d = {.bindings = {in(part->buf), in(m->x), out(m->y)}, .push = &push};
    char name[64];
    kernel_name(name, sizeof name, "matvec_rows", layout_suffix(m->w->type), t->by_address ? "_bda" : "");
    grid(g, groups(part->n, t->lanes * rows), &push.groups_x, &d.groups[1]);
    d.groups[0] = push.groups_x;
    d.groups[2] = groups(op->T, cols);
    TRY(pipeline_get(&g->pipelines, name, 3, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status matvec_part(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct matvec *m,
                                      uint32_t part_i)
{
    enum pumice_status st = PUMICE_OK;
    const struct gpu_tuning *t = &g->tuning;
    const struct weight_part *part = &m->w->parts[part_i], *up = m->up ? &m->up->parts[part_i] : part;
    if (t->lane_rows) return rows_part(g, r, op, m, part);
    const uint32_t k = m->w->k, cols = columns(t, op->T);
    const bool dots = gpu_matvec_dots(g, m->w->type, op->T);
    const uint32_t most = dots ? 2 * t->rows : cols > 1 ? MIN(t->rows, 2u) : t->rows; /* rounding x is shared by the rows */
    const uint32_t rows = MAX(1u, most / (m->up ? 2 : 1));
    const uint32_t lanes = lanes_for(g, groups(part->n, rows), k);
    const uint32_t spec[] = {lanes, part->layout.rows, part->layout.vec, 0, rows, cols, k % 32 != 0, m->norm != NULL,
                             m->up != NULL};
    const VkDeviceAddress second = g->memory.blocks[up->buf.memory].address + up->buf.offset;
    struct matmul_push push = matmul_push_of(g, op, m->w, part);
    struct dispatch d = {.bindings = {in(part->buf), in(m->x), out(m->y), in(m->norm ? m->norm->parts[0].buf : m->x), in(up->buf)},
                         .push = &push};
    char name[64];
    push.address2_lo = (uint32_t)second;
    push.address2_hi = (uint32_t)(second >> 32);
    kernel_name(name, sizeof name, dots ? "matvec_dot" : "matvec", layout_suffix(m->w->type),
                t->by_address ? "_bda" : t->shared_reduce ? "_shared" : "");
    grid(g, groups(part->n, rows), &push.groups_x, &d.groups[1]);
    d.groups[0] = push.groups_x;
    d.groups[2] = groups(op->T, cols);
    TRY(pipeline_get(&g->pipelines, name, 5, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status matvec(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct matvec *m)
{
    enum pumice_status st = PUMICE_OK;
    for (uint32_t i = 0; i < m->w->n_parts; i++) TRY(matvec_part(g, r, op, m, i));
fail:
    return st;
}

enum pumice_status gpu_matvec(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    return matvec(g, r, op, &(struct matvec){.w = op->w, .x = op->x, .y = op->y});
}

/* One kernel for both: they are decoded alike and split into the same rows. */
static bool twins(const struct weight *a, const struct weight *b)
{
    return a->type == b->type && a->n == b->n && a->k == b->k && a->n_parts == b->n_parts;
}

bool gpu_fuses(const struct gpu_backend *g, const struct op *op)
{
    const struct gpu_tuning *t = &g->tuning;
    if (t->lane_rows && (op->kind == OP_NORM_MATMULS || op->kind == OP_NORM_GATE_UP)) return false; /* slower there: SPEED.md */
    switch (op->kind) {
    case OP_NORM_MATMULS: return t->fold_norm && gpu_matvec_suits(g, op->T);
    case OP_NORM_GATE_UP: return t->fuse_gate && gpu_matvec_suits(g, op->T) && twins(op->w, op->w2);
    default: return true;
    }
}

enum pumice_status gpu_norm_matvecs(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const struct matvec all[] = {{.w = op->w, .norm = op->norm, .x = op->x, .y = op->y},
                                 {.w = op->w2, .norm = op->norm, .x = op->x, .y = op->y2},
                                 {.w = op->w3, .norm = op->norm, .x = op->x, .y = op->y3}};
    for (size_t i = 0; i < COUNT_OF(all) && all[i].w; i++) TRY(matvec(g, r, op, &all[i]));
fail:
    return st;
}

enum pumice_status gpu_norm_gate_up(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const bool fold = g->tuning.fold_norm;
    const struct op norm = {.w = op->norm, .x = op->x, .y = op->normed, .T = op->T, .eps = op->eps};
    if (!fold) TRY(gpu_rms_norm(g, r, &norm));
    TRY(matvec(g, r, op, &(struct matvec){.w = op->w, .up = op->w2, .norm = fold ? op->norm : NULL,
                                          .x = fold ? op->x : op->normed, .y = op->y}));
fail:
    return st;
}
