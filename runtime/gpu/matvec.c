/* matvec: recorders of products with few tokens: matmul, and norm_matmuls and norm_gate_up as one step each.
 *
 * The matrices of one step are dispatches without a barrier between them, whatever their types; gate and up of one type are
 * one dispatch, with SwiGLU at its end. Sliced matrices of one type are one dispatch, too. */
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
 * in the last of their turns over the row's blocks. Writes them to spec[0]. */
static void choose_lanes(const struct gpu_backend *g, const char *kernel, uint32_t *spec, uint32_t n_spec, uint32_t n_groups, uint32_t k)
{
    const struct gpu_tuning *t = &g->tuning;
    const uint32_t blocks = groups(k, 32);
    uint32_t best = t->lanes;
    double least = 0;
    for (uint32_t m = 1; t->fill && m <= 4; m++) {
        const uint32_t lanes = m * t->lanes, turns = groups(blocks, lanes);
        const double full = MIN(1.0, (double)n_groups * m / t->fill), cost = (double)turns * lanes / full;
        spec[0] = lanes;
        if (m > 1 && (cost >= least || !pipeline_fits(&g->pipelines, kernel, spec, n_spec))) continue;
        least = cost;
        best = lanes;
    }
    spec[0] = best;
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
    const uint32_t spec[] = {t->lanes, part->layout.rows, part->layout.vec, rows, cols, k % 32 != 0};
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

/* --- sliced weights ---------------------------------------------------------------------------------------------------------- */

static bool sliced(const struct weight *w) { return w->parts[0].layout.sliced; }

enum { SLICES_PIECES = 3 }; /* parts of matrices that a dispatch takes */

/* Rows of y that one part of a matrix gives. */
struct piece {
    const struct weight *w;
    const struct weight_part *part;
    struct buf y;
};

/* gated: pieces are gate and up. next: NULL, or the op whose norm is made of y, which the only piece gives as a whole. */
static enum pumice_status slices_dispatch(struct gpu_backend *g, struct recorder *r, const struct op *op, struct buf x,
                                          const struct piece *pieces, uint32_t n, bool gated, const struct op *next)
{
    enum pumice_status st = PUMICE_OK;
    const struct weight *w = pieces[0].w;
    const uint32_t cols = columns(&g->tuning, op->T);
    const uint32_t spec[] = {SLICES_LANES, cols, gated, next != NULL, g->device.physical.limits.loads_vectors};
    struct slices_push push = {.x = address_of(g, x) + 4ull * op->x_row * w->k, .k = w->k,
                               .row_words = (uint32_t)layout_row_words(w->type, w->parts[0].layout, w->k), .T = op->T, .add = op->add};
    struct dispatch d = {.bindings = {in(x)}, .push = &push};
    uint32_t slabs = 0;
    char name[64];
    for (uint32_t i = 0; i < n; i++) {
        const struct weight_part *part = pieces[i].part;
        push.rows[i] = part->n;
        push.n[i] = pieces[i].w->n;
        push.weights[i] = address_of(g, part->buf);
        push.y[i] = address_of(g, pieces[i].y) + 4ull * part->row0;
        if (i == 0 || !gated) slabs += groups(part->n, LAYOUT_SLAB_ROWS);
        d.bindings[1 + 2 * i] = in(part->buf); /* for the barriers; the kernel has their addresses */
        d.bindings[2 + 2 * i] = out(pieces[i].y);
    }
    for (uint32_t i = 1 + 2 * n; i < 1 + 2 * SLICES_PIECES; i++) d.bindings[i] = in(x); /* one pipeline for any number of pieces */
    if (next) {
        TRY(gpu_counters(g));
        push.norm = address_of(g, next->norm->parts[0].buf);
        push.normed = address_of(g, next->normed);
        push.counter = address_of(g, g->counters);
        push.eps = next->eps;
        d.bindings[3] = out(next->normed);
        d.bindings[4] = out(g->counters);
    }
    kernel_name(name, sizeof name, "matvec_slices", layout_suffix(w->type), "");
    grid(g, slabs, &push.groups_x, &d.groups[1]);
    d.groups[0] = push.groups_x;
    d.groups[2] = groups(op->T, cols);
    TRY(pipeline_get(&g->pipelines, name, 1 + 2 * SLICES_PIECES, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

/* y_i = x @ w_i^T of sliced matrices, as few dispatches as their types and parts allow. */
static enum pumice_status slices(struct gpu_backend *g, struct recorder *r, const struct op *op, struct buf x,
                                 const struct matvec *all, uint32_t n)
{
    enum pumice_status st = PUMICE_OK;
    struct piece pieces[SLICES_PIECES];
    uint32_t n_pieces = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < all[i].w->n_parts; j++) {
            if (n_pieces == SLICES_PIECES || (n_pieces && pieces[0].w->type != all[i].w->type)) {
                TRY(slices_dispatch(g, r, op, x, pieces, n_pieces, false, NULL));
                n_pieces = 0;
            }
            pieces[n_pieces++] = (struct piece){all[i].w, &all[i].w->parts[j], all[i].y};
        }
    if (n_pieces) TRY(slices_dispatch(g, r, op, x, pieces, n_pieces, false, NULL));
fail:
    return st;
}

static enum pumice_status slices_gated(struct gpu_backend *g, struct recorder *r, const struct op *op, struct buf x)
{
    enum pumice_status st = PUMICE_OK;
    for (uint32_t i = 0; i < op->w->n_parts; i++) {
        const struct piece pieces[] = {{op->w, &op->w->parts[i], op->y}, {op->w2, &op->w2->parts[i], op->y}};
        TRY(slices_dispatch(g, r, op, x, pieces, 2, true, NULL));
    }
fail:
    return st;
}

/* --- others ------------------------------------------------------------------------------------------------------------------ */

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
    uint32_t spec[] = {t->lanes, part->layout.rows, part->layout.vec, rows, cols, k % 32 != 0, m->norm != NULL, m->up != NULL};
    const VkDeviceAddress second = address_of(g, up->buf);
    struct matmul_push push = matmul_push_of(g, op, m->w, part);
    struct dispatch d = {.bindings = {in(part->buf), in(m->x), out(m->y), in(m->norm ? m->norm->parts[0].buf : m->x), in(up->buf)},
                         .push = &push};
    char name[64];
    push.address2_lo = (uint32_t)second;
    push.address2_hi = (uint32_t)(second >> 32);
    kernel_name(name, sizeof name, dots ? "matvec_dot" : "matvec", layout_suffix(m->w->type),
                t->by_address ? "_bda" : t->shared_reduce ? "_shared" : "");
    choose_lanes(g, name, spec, COUNT_OF(spec), groups(part->n, rows), k);
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
    if (sliced(m->w)) return slices(g, r, op, m->x, m, 1);
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
    const bool matmuls = op->kind == OP_NORM_MATMULS, gate = op->kind == OP_NORM_GATE_UP;
    if (!matmuls && !gate) return true;
    if (!gpu_matvec_suits(g, op->T)) return false;
    if (sliced(op->w)) return matmuls || (sliced(op->w2) && twins(op->w, op->w2));
    if (t->lane_rows) return false; /* slower there: SPEED.md */
    return matmuls ? t->fold_norm : t->fuse_gate && twins(op->w, op->w2);
}

static enum pumice_status norm_first(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    const struct op norm = {.w = op->norm, .x = op->x, .y = op->normed, .T = op->x_row + op->T, .eps = op->eps};
    return gpu_rms_norm(g, r, &norm);
}

bool gpu_matvec_norms_first(const struct gpu_backend *g, const struct op *op) { return !g->tuning.fold_norm || sliced(op->w); }

/* done: normed is there. */
static enum pumice_status norm_matvecs(struct gpu_backend *g, struct recorder *r, const struct op *op, bool done)
{
    enum pumice_status st = PUMICE_OK;
    const bool fold = !gpu_matvec_norms_first(g, op);
    const struct buf x = fold ? op->x : op->normed;
    const struct weight *norm = fold ? op->norm : NULL;
    const struct matvec all[] = {{.w = op->w, .norm = norm, .x = x, .y = op->y},
                                 {.w = op->w2, .norm = norm, .x = x, .y = op->y2},
                                 {.w = op->w3, .norm = norm, .x = x, .y = op->y3}};
    uint32_t n = 0, n_sliced = 0;
    while (n < COUNT_OF(all) && all[n].w) n_sliced += sliced(all[n++].w);
    if (!fold && !done) TRY(norm_first(g, r, op));
    if (n_sliced == n) return slices(g, r, op, x, all, n);
    for (uint32_t i = 0; i < n; i++) TRY(matvec(g, r, op, &all[i]));
fail:
    return st;
}

static enum pumice_status norm_gate_up(struct gpu_backend *g, struct recorder *r, const struct op *op, bool done)
{
    enum pumice_status st = PUMICE_OK;
    const bool fold = !gpu_matvec_norms_first(g, op);
    if (!fold && !done) TRY(norm_first(g, r, op));
    if (sliced(op->w)) return slices_gated(g, r, op, op->normed);
    TRY(matvec(g, r, op, &(struct matvec){.w = op->w, .up = op->w2, .norm = fold ? op->norm : NULL,
                                          .x = fold ? op->x : op->normed, .y = op->y}));
fail:
    return st;
}

enum pumice_status gpu_norm_products(struct gpu_backend *g, struct recorder *r, const struct op *op, bool done)
{
    return op->kind == OP_NORM_GATE_UP ? norm_gate_up(g, r, op, done) : norm_matvecs(g, r, op, done);
}

bool gpu_matvec_can_norm(const struct gpu_backend *g, const struct weight *w)
{
    return sliced(w) && w->n_parts == 1 && gpu_matvec_suits(g, 1);
}

enum pumice_status gpu_matvec_then_norm(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct op *next)
{
    const struct piece all = {op->w, &op->w->parts[0], op->y};
    return slices_dispatch(g, r, op, op->x, &all, 1, false, next);
}
