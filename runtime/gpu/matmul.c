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
    static const char *const names[] = {"f32 tiles", "16-bit tiles", "8-bit dot products", "cooperative matrices"};
    return names[family];
}

enum arithmetic matmul_family_arithmetic(enum matmul_family family)
{
    static const enum arithmetic of[] = {ARITHMETIC_F32, ARITHMETIC_F16, ARITHMETIC_INT8, ARITHMETIC_MATRIX};
    return of[family];
}

enum matmul_family matmul_family_for(const struct gpu_backend *g, uint32_t type, uint32_t T)
{
    const struct gpu_tuning *t = &g->tuning;
    if (!t->matmul_from || T < t->matmul_from || t->by_address || type == GGUF_T_F32) return MATMUL_TILED;
    if (t->family == MATMUL_DOT && (type == GGUF_T_F16 || type == GGUF_T_BF16)) return MATMUL_TILED;
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
    const bool bytes = family == MATMUL_DOT;
    const uint32_t padded = groups(k, K_STEP) * K_STEP, words = bytes ? padded / 4 : padded / 2, lanes = g->tuning.norm_lanes;
    const uint32_t scale_words = bytes ? padded / 32 * 2 : 1;
    TRY(reserve(r, (uint64_t)T * (words + scale_words) * 4));
    const struct round_push push = {.k = k, .T = T, .x_at = x_row * k, .x_words = words, .scale_at = T * words};
    const uint32_t spec[] = {lanes};
    struct dispatch d = {.bindings = {{.buf = x}, {.buf = m->bufs[m->n_bufs - 1], .write = true}}, .push = &push, .groups = {T, 1, 1}};
    if (bytes) d.groups[0] = groups(padded / 32, lanes), d.groups[1] = T;
    TRY(pipeline_get(&g->pipelines, bytes ? "round_bytes" : g->tuning.shared_reduce ? "round_half_shared" : "round_half", 2, sizeof push, spec, COUNT_OF(spec),
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

/* Element i of rounded token t, out of the buffer's words. */
static float rounded_value(const struct matmul_rounded *m, const uint32_t *words, uint32_t t, uint32_t i)
{
    const uint32_t *token = words + (uint64_t)t * m->words;
    float scale;
    if (m->family == MATMUL_DOT) {
        memcpy(&scale, &words[m->scale_at + (t * (m->words / 8) + i / 32) * 2], 4);
        return scale * (float)(int8_t)(token[i / 4] >> (8 * (i & 3)) & 0xff);
    }
    memcpy(&scale, &words[m->scale_at + t], 4);
    return scale * f32_of_f16((uint16_t)(token[i / 2] >> (16 * (i & 1))));
}

enum pumice_status matmul_round_input(struct gpu_backend *g, const struct weight *w, uint32_t T, float *x, uint32_t n_rows,
                                      double *limit)
{
    enum pumice_status st = PUMICE_OK;
    const enum matmul_family family = gpu_matvec_dots(g, w->type, T) ? MATMUL_DOT : matmul_family_for(g, w->type, T);
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
    TRY(recorder_op_end(&r, &(struct op){.kind = OP_COPY, .label = "round", .x = from, .y = from}));
    TRY(recorder_finish(&r));
    TRY(recorder_run(&r, 0, NULL, NULL));
    const struct buf to = r.rounded.bufs[0];
    words = mem_alloc((size_t)to.bytes);
    if (!words) TRY(err_memory("rounded activations", to.bytes));
    TRY(memory_read(&g->memory, to, 0, words, to.bytes));
    for (uint32_t t = 0; t < n_rows; t++)
        for (uint32_t i = 0; i < w->k; i++) x[(uint64_t)t * w->k + i] = rounded_value(&r.rounded, words, t, i);
    /* half of the last of 11 bits; half a step of max / 127, where 32 max^2 is at most 32 times a block's sum of squares */
    *limit = family == MATMUL_DOT ? 32.0 / (254.0 * 254.0) * 1.001 : ldexp(1.0, -22);
fail:
    mem_free(words);
    recorder_fini(&r);
    memory_destroy(&g->memory, &from);
    return st;
}

bool matmul_rounds_weights(const struct gpu_backend *g, uint32_t type, uint32_t T)
{
    const enum matmul_family family = matmul_family_for(g, type, T);
    return (family == MATMUL_MATRIX || family == MATMUL_HALF) && type != GGUF_T_F16;
}

/* --- cooperative matrices ------------------------------------------------------------------------------------------------- */

/* What a workgroup does; sub_* to blocks for cooperative matrices alone. */
struct shape {
    uint32_t rows, cols, sub_rows, sub_cols, slices, blocks, lanes;
};

/* Whether tiles of that many rows leave cores of the device without a workgroup (or the tuning wants smaller ones). */
static bool too_tall(const struct gpu_backend *g, uint32_t rows, uint32_t cols, uint32_t n_rows, uint32_t T)
{
    if (g->tuning.max_rows) return rows > g->tuning.max_rows;
    return (uint64_t)groups(n_rows, rows) * groups(T, cols) < g->device.physical.limits.features.n_cores;
}

static uint64_t shape_shared_bytes(const struct shape *s) { return (uint64_t)(s->rows + s->cols) * (4 * s->blocks + 1) * 16; }

/* As many tokens a workgroup as there are, up to 128; as many rows as leave each core of the device a workgroup. Then the tile
 * is cut for the subgroups, down to 2 x 2 matrices each; what subgroups are left take slices of K. */
static struct shape matrix_shape(const struct gpu_backend *g, uint32_t n_rows, uint32_t T)
{
    const struct device_limits *l = &g->device.physical.limits;
    const uint32_t subgroup = l->features.subgroup_pinned, n_sub = MAX(1u, MIN((uint32_t)LANES, l->max_lanes) / subgroup);
    const uint32_t m = l->features.matrix.m, n = l->features.matrix.n, k = l->features.matrix.k;
    struct shape s = {.rows = 128, .cols = T > 64 ? 128 : T > 32 ? 64 : 32, .slices = 1};
    for (;;) {
        s.blocks = s.rows + s.cols <= 96 ? 4 : 2;
        if (s.rows <= 16 || (shape_shared_bytes(&s) <= l->shared_bytes && !too_tall(g, s.rows, s.cols, n_rows, T))) break;
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

/* --- all families --------------------------------------------------------------------------------------------------------- */

/* For matmul.comp, matmul_half.comp and matmul_dot.comp, where side x side lanes have up to 4 x 4 sums each. */
static struct shape lanes_shape(const struct gpu_backend *g, uint32_t n_rows, uint32_t T, uint32_t side, uint32_t row_bytes)
{
    const struct device_limits *l = &g->device.physical.limits;
    struct shape s = {.rows = 4 * side, .cols = T > 2 * side ? 4 * side : T > side ? 2 * side : side, .lanes = side * side};
    while (s.rows > side && ((s.rows + s.cols) * row_bytes > l->shared_bytes || too_tall(g, s.rows, s.cols, n_rows, T))) s.rows /= 2;
    return s;
}

/* Kernel, shape and specialization constants (from 3 on) of the family for n_rows x T. */
static const char *choose(const struct gpu_backend *g, enum matmul_family family, uint32_t n_rows, uint32_t k, uint32_t T, struct shape *s,
                          uint32_t *spec, uint32_t *n_spec)
{
    const uint32_t side = g->device.physical.limits.max_lanes >= 256 ? 16 : 8;
    uint32_t n = 0;
    *s = family == MATMUL_MATRIX ? matrix_shape(g, n_rows, T)
         : family == MATMUL_DOT  ? lanes_shape(g, n_rows, T, MATMUL_DOT_SIDE, 112)
         : family == MATMUL_HALF ? lanes_shape(g, n_rows, T, side, 152)
                                 : lanes_shape(g, n_rows, T, side, 144);
    spec[n++] = s->rows;
    spec[n++] = s->cols;
    if (family == MATMUL_TILED || family == MATMUL_HALF) spec[n++] = side;
    if (family == MATMUL_TILED) spec[n++] = k % 32 != 0;
    if (family == MATMUL_MATRIX) {
        const struct device_features *f = &g->device.physical.limits.features;
        const uint32_t rest[] = {f->matrix.m, f->matrix.n, f->matrix.k, s->sub_rows / f->matrix.m, s->sub_cols / f->matrix.n, s->blocks,
                                 s->slices};
        memcpy(spec + n, rest, sizeof rest);
        n += COUNT_OF(rest);
    }
    *n_spec = n;
    static const char *const kernels[] = {"matmul", "matmul_half", "matmul_dot", "matmul_matrix"};
    return kernels[family];
}

static enum pumice_status part_record(struct gpu_backend *g, struct recorder *r, const struct op *op, enum matmul_family family,
                                      const struct weight_part *part)
{
    enum pumice_status st = PUMICE_OK;
    const struct device_limits *l = &g->device.physical.limits;
    const struct matmul_rounded *rounded = &r->rounded;
    const bool plain = family == MATMUL_TILED;
    const uint32_t k = op->w->k;
    const VkDeviceAddress address = g->memory.blocks[part->buf.memory].address + part->buf.offset;
    struct shape s;
    uint32_t spec[PIPELINE_MAX_SPEC], n_spec;
    const char *kernel = choose(g, family, part->n, k, op->T, &s, spec + 3, &n_spec);
    spec[0] = s.lanes;
    spec[1] = part->layout.rows;
    spec[2] = part->layout.vec;
    const uint32_t n_groups = groups(part->n, s.rows), groups_x = MIN(n_groups, MIN(l->max_groups_x, 65535u));
    const struct matmul_push push = {.rows = part->n, .k = k, .row_words = (uint32_t)layout_row_words(op->w->type, part->layout, k),
                                     .x_at = plain ? op->x_row * k : rounded->scale_at, .y_at = part->row0, .n = op->w->n, .T = op->T,
                                     .groups_x = groups_x, .add = op->add, .address_lo = (uint32_t)address,
                                     .address_hi = (uint32_t)(address >> 32), .x_words = rounded->words, .x_tokens = op->T};
    struct dispatch d = {.bindings = {{.buf = part->buf}, {.buf = plain ? op->x : rounded->bufs[rounded->n_bufs - 1]},
                                      {.buf = op->y, .write = true}},
                         .push = &push, .groups = {groups_x, groups(n_groups, groups_x), groups(op->T, s.cols)}};
    char name[64];
    snprintf(name, sizeof name, "%s_%s%s", kernel, layout_suffix(op->w->type), g->tuning.by_address ? "_bda" : "");
    TRY(pipeline_get_pinned(&g->pipelines, name, 3, sizeof push, spec, 3 + n_spec, family == MATMUL_MATRIX ? l->features.subgroup_pinned : 0,
                            &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

enum pumice_status matmul_tiles_record(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const enum matmul_family family = matmul_family_for(g, op->w->type, op->T);
    if (family != MATMUL_TILED) TRY(round_rows(g, r, family, op->x, op->x_row, op->T, op->w->k));
    for (uint32_t i = 0; i < op->w->n_parts; i++) TRY(part_record(g, r, op, family, &op->w->parts[i]));
fail:
    return st;
}
