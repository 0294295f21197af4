/* matmul: see matmul.h. Formulas, mapping and numerics are at the head of each shader. */
#include "gpu.h"

#include "../../shaders/push.h"
#include "../gguf.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* K is padded to whole steps of the kernels: 4 blocks of 32 at most. */
enum { K_STEP = 128, LANES = 256 };

const char *matmul_family_name(enum matmul_family family)
{
    static const char *const names[] = {"f32 tiles", "cooperative matrices"};
    return names[family];
}

enum arithmetic matmul_family_arithmetic(enum matmul_family family)
{
    return family == MATMUL_MATRIX ? ARITHMETIC_MATRIX : ARITHMETIC_F32;
}

enum matmul_family matmul_family_for(const struct gpu_backend *g, uint32_t type, uint32_t T)
{
    const struct gpu_tuning *t = &g->tuning;
    if (!t->matmul_from || T < t->matmul_from || t->by_address || type == GGUF_T_F32) return MATMUL_TILED;
    return t->family;
}

static uint32_t groups(uint64_t n, uint64_t each) { return (uint32_t)((n + each - 1) / each); }

/* --- rounded activations ------------------------------------------------------------------------------------------------ */

static bool same(struct buf a, struct buf b) { return a.memory == b.memory && a.offset == b.offset && a.bytes == b.bytes; }

/* A buffer of at least that many bytes that lives as long as the recorder. */
static enum pumice_status reserve(struct recorder *r, uint64_t bytes)
{
    struct matmul_rounded *m = &r->rounded;
    if (m->n_bufs && m->bufs[m->n_bufs - 1].bytes >= bytes) return PUMICE_OK;
    if (m->n_bufs == MATMUL_MAX_ROUNDED)
        return err_set(PUMICE_UNSUPPORTED, "a step of this model rounds activations of too many sizes; use --device cpu");
    const enum pumice_status st = memory_create(r->memory, MEM_SCRATCH, bytes, "rounded activations", &m->bufs[m->n_bufs]);
    if (st == PUMICE_OK) m->n_bufs++;
    return st;
}

void matmul_rounded_fini(struct recorder *r)
{
    for (uint32_t i = 0; i < r->rounded.n_bufs; i++) memory_destroy(r->memory, &r->rounded.bufs[i]);
    r->rounded.n_bufs = 0;
}

void matmul_rounded_after(struct recorder *r, const struct op *op)
{
    const struct buf x = r->rounded.x, y = op->y;
    const bool apart = op->kind == OP_MATMUL && (x.memory != y.memory || x.offset + x.bytes <= y.offset || y.offset + y.bytes <= x.offset);
    if (!apart) r->rounded.family = MATMUL_TILED;
}

/* Rows x_row .. x_row + T of x as the family reads them, in the last of r->rounded.bufs. */
static enum pumice_status round_rows(struct gpu_backend *g, struct recorder *r, enum matmul_family family, struct buf x, uint32_t x_row,
                                     uint32_t T, uint32_t k)
{
    enum pumice_status st = PUMICE_OK;
    struct matmul_rounded *m = &r->rounded;
    if (m->family == family && same(m->x, x) && m->x_row == x_row && m->T == T && m->k == k) return PUMICE_OK;
    m->family = MATMUL_TILED;
    const uint32_t padded = groups(k, K_STEP) * K_STEP, words = padded / 2;
    TRY(reserve(r, ((uint64_t)T * words + T) * 4));
    const struct round_push push = {.k = k, .T = T, .x_at = x_row * k, .x_words = words, .scale_at = T * words};
    const uint32_t spec[] = {g->tuning.norm_lanes};
    struct dispatch d = {.bindings = {{.buf = x}, {.buf = m->bufs[m->n_bufs - 1], .write = true}}, .push = &push, .groups = {T, 1, 1}};
    TRY(pipeline_get(&g->pipelines, g->tuning.shared_reduce ? "round_half_shared" : "round_half", 2, sizeof push, spec, COUNT_OF(spec),
                     &d.pipeline));
    TRY(recorder_dispatch(r, &d));
    m->family = family;
    m->x = x;
    m->x_row = x_row;
    m->T = T;
    m->k = k;
    m->words = words;
    m->scale_at = push.scale_at;
fail:
    return st;
}

enum pumice_status matmul_round_input(struct gpu_backend *g, const struct weight *w, uint32_t T, float *x, uint32_t n_rows,
                                      double *limit)
{
    enum pumice_status st = PUMICE_OK;
    const enum matmul_family family = matmul_family_for(g, w->type, T);
    const uint64_t bytes = (uint64_t)n_rows * w->k * 4;
    struct recorder r = {0};
    struct buf from = {0};
    uint32_t *words = NULL;
    *limit = 0;
    if (family == MATMUL_TILED) return PUMICE_OK;
    TRY(memory_create(&g->memory, MEM_SCRATCH, bytes, "activations to round", &from));
    TRY(memory_write(&g->memory, from, 0, x, bytes));
    TRY(recorder_init(&r, &g->device, &g->memory, false));
    TRY(recorder_op_begin(&r, "round"));
    TRY(round_rows(g, &r, family, from, 0, n_rows, w->k));
    TRY(recorder_op_end(&r));
    TRY(recorder_finish(&r));
    TRY(recorder_run(&r, NULL));
    const struct buf to = r.rounded.bufs[0];
    words = mem_alloc((size_t)to.bytes);
    if (!words) TRY(err_memory("rounded activations", to.bytes));
    TRY(memory_read(&g->memory, to, 0, words, to.bytes));
    for (uint32_t t = 0; t < n_rows; t++) {
        float scale;
        memcpy(&scale, &words[r.rounded.scale_at + t], 4);
        for (uint32_t i = 0; i < w->k; i++)
            x[(uint64_t)t * w->k + i] = scale * f32_of_f16((uint16_t)(words[t * r.rounded.words + i / 2] >> (16 * (i & 1))));
    }
    *limit = ldexp(1.0, -22);
fail:
    mem_free(words);
    recorder_fini(&r);
    memory_destroy(&g->memory, &from);
    return st;
}

bool matmul_rounds_weights(const struct gpu_backend *g, uint32_t type, uint32_t T)
{
    return matmul_family_for(g, type, T) == MATMUL_MATRIX && type != GGUF_T_F16;
}

/* --- cooperative matrices ------------------------------------------------------------------------------------------------- */

/* Specialization constants 3.. of matmul_matrix.comp. */
struct shape {
    uint32_t rows, cols, sub_rows, sub_cols, slices, blocks, lanes;
};

static uint64_t shape_shared_bytes(const struct shape *s) { return (uint64_t)(s->rows + s->cols) * (4 * s->blocks + 1) * 16; }

/* As many tokens a workgroup as there are, up to 128; as many rows as leave each core of the device a workgroup. Then the tile
 * is cut for the subgroups, down to 2 x 2 matrices each; what subgroups are left take slices of K. */
static struct shape shape_for(const struct gpu_backend *g, uint32_t n_rows, uint32_t T)
{
    const struct device_limits *l = &g->device.physical.limits;
    const uint32_t subgroup = l->features.subgroup_pinned, n_sub = MAX(1u, MIN((uint32_t)LANES, l->max_lanes) / subgroup);
    const uint32_t m = l->features.matrix.m, n = l->features.matrix.n, k = l->features.matrix.k, most = g->tuning.max_rows;
    struct shape s = {.rows = 128, .cols = T > 64 ? 128 : T > 32 ? 64 : 32, .slices = 1};
    for (;;) {
        s.blocks = s.rows + s.cols <= 96 ? 4 : 2;
        const bool few = (uint64_t)groups(n_rows, s.rows) * groups(T, s.cols) < l->features.n_cores;
        if (s.rows <= 16 || (shape_shared_bytes(&s) <= l->shared_bytes && !few && (!most || s.rows <= most))) break;
        s.rows /= 2;
    }
    while (s.cols > 32 && shape_shared_bytes(&s) > l->shared_bytes) s.cols /= 2;
    uint32_t places = 1;
    s.sub_rows = s.rows;
    s.sub_cols = s.cols;
    while (2 * places <= n_sub && s.sub_rows * s.sub_cols > 4 * m * n) {
        const bool halve_cols = s.sub_cols >= s.sub_rows;
        if (halve_cols && s.sub_cols > n) s.sub_cols /= 2;
        else if (s.sub_rows > m) s.sub_rows /= 2;
        else break;
        places *= 2;
    }
    while (2 * s.slices * places <= n_sub && s.blocks * 32 / (2 * s.slices) >= MAX(k, 16u)) s.slices *= 2;
    /* each subgroup leaves a matrix of sums in shared memory at the end */
    while (s.slices > 1 && (uint64_t)s.slices * places * m * n * 4 > shape_shared_bytes(&s)) s.slices /= 2;
    s.lanes = places * s.slices * subgroup;
    return s;
}

static enum pumice_status matrix_part(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct weight_part *part)
{
    enum pumice_status st = PUMICE_OK;
    const struct device_limits *l = &g->device.physical.limits;
    const struct matmul_rounded *x = &r->rounded;
    const uint32_t k = op->w->k, m = l->features.matrix.m, n = l->features.matrix.n;
    const struct shape s = shape_for(g, part->n, op->T);
    const uint32_t spec[] = {s.lanes, part->layout.rows, part->layout.vec, s.rows, s.cols, m, n, l->features.matrix.k, s.sub_rows / m,
                             s.sub_cols / n, s.blocks, s.slices};
    const uint32_t n_groups = groups(part->n, s.rows), groups_x = MIN(n_groups, MIN(l->max_groups_x, 65535u));
    const struct matmul_push push = {.rows = part->n, .k = k, .row_words = (uint32_t)layout_row_words(op->w->type, k), .x_at = x->scale_at,
                                     .y_at = part->row0, .n = op->w->n, .T = op->T, .groups_x = groups_x, .add = op->add,
                                     .x_words = x->words, .x_tokens = op->T};
    struct dispatch d = {.bindings = {{.buf = part->buf}, {.buf = x->bufs[x->n_bufs - 1]}, {.buf = op->y, .write = true}}, .push = &push,
                         .groups = {groups_x, groups(n_groups, groups_x), groups(op->T, s.cols)}, .flops = 2.0 * part->n * k * op->T};
    char name[64];
    snprintf(name, sizeof name, "matmul_matrix_%s", layout_suffix(op->w->type));
    TRY(pipeline_get_pinned(&g->pipelines, name, 3, sizeof push, spec, COUNT_OF(spec), l->features.subgroup_pinned, &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

enum pumice_status matmul_rounded_record(struct gpu_backend *g, struct recorder *r, const struct op *op, enum matmul_family family)
{
    enum pumice_status st = PUMICE_OK;
    TRY(round_rows(g, r, family, op->x, op->x_row, op->T, op->w->k));
    for (uint32_t i = 0; i < op->w->n_parts; i++) TRY(matrix_part(g, r, op, &op->w->parts[i]));
fail:
    return st;
}
