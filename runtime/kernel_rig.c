/* kernel_rig: see kernel_rig.h. */
#include "kernel_rig.h"
#include "quant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GUARD = 256, MAX_OWN_ROWS = 257, MAX_HEAD = 256 };

/* Decoded weights as halves, rounded to the nearest by the reference: a device may cut instead, so that every other one differs by
 * 2^-10 of itself at most. */
static const double HALVES_LIMIT = 0x1p-20;

/* --- inputs --------------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    return mix_u64(*state += 0x9e3779b97f4a7c15u);
}

static float random_value(uint64_t *state)
{
    const uint64_t r = next_random(state);
    const float v = (float)((double)(r >> 11) * 0x1p-53 * 2.0 - 1.0);
    return (r & 127) == 0 ? v * 20.0f : v;
}

static const uint32_t nan_bits = 0x7fc0dead;

enum fill { FILL_RANDOM, FILL_NAN };

static enum pumice_status twin_upload(struct kernel_rig *g, struct kernel_twin *t)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t whole = t->n_bytes + 2 * GUARD;
    for (uint32_t s = 0; s < g->n_sides; s++) {
        TRY(g->side[s]->calls->buffer_create(g->side[s], MEM_SCRATCH, whole, "self-test", &t->whole[s]));
        TRY(g->side[s]->calls->buffer_write(g->side[s], t->whole[s], 0, t->bytes, whole));
        t->buf[s] = (struct buf){.memory = t->whole[s].memory, .offset = t->whole[s].offset + GUARD, .bytes = t->n_bytes};
    }
fail:
    return st;
}

static enum pumice_status twin_create(struct kernel_rig *g, uint64_t n, enum fill fill, bool output, struct kernel_twin **out)
{
    enum pumice_status st = PUMICE_OK;
    struct kernel_twin *t = &g->twins[g->n_twins++];
    *t = (struct kernel_twin){.n_bytes = n * 4, .output = output};
    const uint64_t whole = t->n_bytes + 2 * GUARD;
    t->bytes = arena_alloc(&g->arena, whole, 1);
    if (!t->bytes) return err_memory("the self-test", whole);
    for (uint64_t i = 0; i + 4 <= whole; i += 4) memcpy(t->bytes + i, &nan_bits, 4);
    for (uint64_t i = 0; i < n; i++) {
        const float v = random_value(&g->random);
        if (fill == FILL_RANDOM) memcpy(t->bytes + GUARD + i * 4, &v, 4);
    }
    TRY(twin_upload(g, t));
    *out = t;
fail:
    return st;
}

/* A K or V cache with random positions 0 .. n - 1; what no position fills are NaN. */
static enum pumice_status cache_create(struct kernel_rig *g, const struct kernel_row *row, bool output, struct kernel_twin **out)
{
    enum pumice_status st = PUMICE_OK;
    struct kernel_twin *t = &g->twins[g->n_twins++];
    const uint32_t n = row->past + row->T, C = kv_round_up(n);
    const uint64_t head = C * kv_row_bytes(row->kv, row->E);
    float x[MAX_HEAD];
    *t = (struct kernel_twin){.n_bytes = head * row->G, .output = output, .cache = {C, row->G, row->E, row->kv}};
    const uint64_t whole = t->n_bytes + 2 * GUARD;
    t->bytes = arena_alloc(&g->arena, whole, 1);
    if (!t->bytes) return err_memory("the self-test", whole);
    for (uint64_t i = 0; i + 4 <= whole; i += 4) memcpy(t->bytes + i, &nan_bits, 4);
    for (uint32_t i = 0; i < row->G; i++)
        for (uint64_t p = 0; p < n; p++) {
            for (uint32_t e = 0; e < row->E; e++) x[e] = random_value(&g->random);
            kv_row_write(row->kv, t->bytes + GUARD + i * head, C, row->E, p, x);
        }
    TRY(twin_upload(g, t));
    *out = t;
fail:
    return st;
}

/* Other contents. */
static enum pumice_status twin_put(struct kernel_rig *g, struct kernel_twin *t, const void *contents)
{
    enum pumice_status st = PUMICE_OK;
    memcpy(t->bytes + GUARD, contents, t->n_bytes);
    for (uint32_t s = 0; s < g->n_sides; s++)
        TRY(g->side[s]->calls->buffer_write(g->side[s], t->whole[s], 0, t->bytes, t->n_bytes + 2 * GUARD));
fail:
    return st;
}

/* Types that quant.h only reads get random blocks, with halves where the scales lie that are neither huge nor NaN. */
static void random_blocks(struct kernel_rig *g, uint32_t type, uint8_t *row, uint64_t bytes)
{
    static const struct {
        uint32_t type;
        int at[2]; /* -1: none */
    } scales[] = {{GGUF_T_Q4_1, {0, 2}},    {GGUF_T_Q5_0, {0, -1}},  {GGUF_T_Q5_1, {0, 2}}, {GGUF_T_IQ4_NL, {0, -1}},
                  {GGUF_T_IQ4_XS, {0, -1}}, {GGUF_T_Q2_K, {80, 82}}, {GGUF_T_Q3_K, {108, -1}}};
    const uint32_t block = gguf_type(type)->block_bytes;
    for (uint64_t i = 0; i < bytes; i++) row[i] = (uint8_t)(next_random(&g->random) >> 32);
    for (size_t t = 0; t < COUNT_OF(scales); t++)
        for (uint64_t b = 0; scales[t].type == type && b < bytes / block; b++)
            for (int i = 0; i < 2; i++) {
                const uint16_t half = f16_of_f32(0.05f * random_value(&g->random));
                if (scales[t].at[i] >= 0) memcpy(row + b * block + scales[t].at[i], &half, sizeof half);
            }
}

/* The matrix as kernels that round weights see it: each the nearest half, as f32. */
static enum pumice_status halves_of(struct kernel_rig *g, const struct weight_source *src, struct weight_source *out)
{
    float *rows = arena_alloc(&g->arena, (uint64_t)src->n * src->k, sizeof *rows);
    if (!rows) return err_memory("the self-test", (uint64_t)src->n * src->k * sizeof *rows);
    for (uint64_t r = 0; r < src->n; r++) {
        float *row = rows + r * src->k;
        quant_dequantize_row(src->type, (const uint8_t *)src->data + r * quant_row_bytes(src->type, src->k), row, src->k);
        for (uint32_t i = 0; i < src->k; i++) row[i] = f32_of_f16(f16_of_f32(row[i]));
    }
    *out = *src;
    out->type = GGUF_T_F32;
    out->data = rows;
    return PUMICE_OK;
}

/* n = 0: a vector. */
enum pumice_status kernel_weight(struct kernel_rig *g, uint32_t type, uint32_t n, uint32_t k, struct weight *out)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t row_bytes = quant_row_bytes(type, k);
    const bool vector = n == 0;
    n = MAX(n, 1u);
    const uint32_t n_own = MIN(n, (uint32_t)MAX_OWN_ROWS); /* the others repeat them: making rows is slow */
    uint8_t *rows = arena_alloc(&g->arena, n, row_bytes);
    float *x = arena_alloc(&g->arena, k, sizeof *x);
    if (!rows || !x) return err_memory("the self-test", n * row_bytes);
    for (uint32_t r = 0; r < n_own; r++) {
        for (uint32_t i = 0; i < k; i++) x[i] = random_value(&g->random);
        if (quant_can_quantize(type)) quant_quantize_row(type, x, rows + r * row_bytes, k);
        else random_blocks(g, type, rows + r * row_bytes, row_bytes);
    }
    for (uint32_t r = n_own; r < n; r++) memcpy(rows + r * row_bytes, rows + r % n_own * row_bytes, row_bytes);
    const struct weight_source src = {.name = "self-test", .type = type, .n = n, .k = k, .vector = vector, .data = rows};
    for (uint32_t s = 0; s < g->n_sides; s++) {
        struct weight_source own = src;
        if (s == 1 && g->halves) TRY(halves_of(g, &src, &own));
        TRY(g->side[s]->calls->weight_create(g->side[s], &own, &out[s]));
    }
fail:
    return st;
}

/* --- one row ----------------------------------------------------------------------------------------------- */

/* Norm weights, or biases unless the row wants none; factors 1, 2, 3 ... */
static enum pumice_status rope_inputs(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c)
{
    enum pumice_status st = PUMICE_OK;
    const bool norm = (row->before ? row->before : row->kind) == OP_QK_NORM_ROPE_KV;
    if (!row->add) {
        TRY(kernel_weight(g, GGUF_T_F32, 0, norm ? row->E : row->H * row->E, c->w));
        TRY(kernel_weight(g, GGUF_T_F32, 0, norm ? row->E : row->G * row->E, c->w2));
        if (!norm) TRY(kernel_weight(g, GGUF_T_F32, 0, row->G * row->E, c->w3));
    }
    for (uint32_t i = 0; i < row->E / 2; i++) g->factors[i] = 1.0f + (float)i;
    c->factors = row->factors ? g->factors : NULL;
fail:
    return st;
}

static enum pumice_status norm_inputs(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t T = row->T;
    const bool matmuls = row->kind == OP_NORM_MATMULS;
    const uint32_t n2 = matmuls ? row->N / 2 + 1 : row->N;
    TRY(kernel_weight(g, GGUF_T_F32, 0, row->K, c->norm));
    TRY(kernel_weight(g, row->type, row->N, row->K, c->w));
    TRY(kernel_weight(g, row->type, n2, row->K, c->w2));
    if (matmuls) TRY(kernel_weight(g, GGUF_T_F32, n2, row->K, c->w3));
    TRY(twin_create(g, (T + row->x_row) * row->K, FILL_RANDOM, row->before != 0, &c->x));
    TRY(twin_create(g, (T + row->x_row) * row->K, FILL_NAN, true, &c->normed));
    if (row->before) {
        TRY(kernel_weight(g, row->type, row->K, KERNEL_BEFORE_K, c->w_before));
        TRY(twin_create(g, KERNEL_BEFORE_K, FILL_RANDOM, false, &c->z));
    }
    TRY(twin_create(g, T * row->N, FILL_NAN, true, &c->y));
    TRY(twin_create(g, T * n2, FILL_NAN, true, &c->y2));
    if (matmuls) TRY(twin_create(g, T * n2, FILL_NAN, true, &c->y3));
    c->normed->scratch = true;
    c->y2->scratch = !matmuls;
fail:
    return st;
}

/* Logits with some NaN and infinities; ties: of few values. Parameters that leave out some candidates. */
static enum pumice_status sample_inputs(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c)
{
    enum pumice_status st = PUMICE_OK;
    const struct pumice_sampling sampling = {.temperature = 1.5f, .top_p = row->ties ? 1.0f : 0.95f, .min_p = 0.05f};
    struct draws d = {.n = SAMPLE_RING - 1}; /* goes round once */
    float *logits = arena_alloc(&g->arena, row->N, sizeof *logits);
    if (!logits) return err_memory("the self-test", row->N * sizeof *logits);
    for (uint32_t i = 0; i < row->N; i++) {
        const uint64_t special = next_random(&g->random) % 64;
        logits[i] = row->ties ? floorf(4 * random_value(&g->random)) / 2 : 4 * random_value(&g->random);
        if (special < 2) logits[i] = special ? -INFINITY : NAN;
        if (row->all_nan) logits[i] = NAN;
    }
    sample_setup(&sampling, &d);
    for (uint32_t i = 0; i < SAMPLE_RING; i++) d.uniform[i] = sample_uniform(g->random, i);
    TRY(twin_create(g, row->N, FILL_NAN, false, &c->x));
    TRY(twin_create(g, sample_scratch_bytes(row->N) / 4, FILL_NAN, false, &c->z));
    TRY(twin_create(g, sizeof d / 4, FILL_NAN, true, &c->y));
    TRY(twin_put(g, c->x, logits));
    TRY(twin_put(g, c->y, &d));
    c->z->output = c->z->scratch = c->y->exact = true;
fail:
    return st;
}

/* The op in front: its output is the input of call->op. */
static void prepare_before(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c)
{
    for (uint32_t s = 0; s < g->n_sides; s++) {
        struct op b = c->op[s];
        b.kind = row->before;
        if (b.kind == OP_MATMUL) b = (struct op){.kind = OP_MATMUL, .label = b.label, .x = c->z->buf[s], .y = b.x, .w = &c->w_before[s],
                                                 .T = 1, .D = KERNEL_BEFORE_K, .add = true};
        else b.y = c->y2->buf[s], b.z = c->y3->buf[s];
        c->before[s] = b;
    }
}

enum pumice_status kernel_prepare(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t T = row->T;
    const struct backend *tested = g->side[0];
    g->halves = row->kind == OP_MATMUL && tested->calls->rounds_weights && tested->calls->rounds_weights(tested, row->type, row->T);
    switch (row->kind) {
    case OP_EMBED:
        TRY(kernel_weight(g, row->type, row->N, row->K, c->w));
        TRY(twin_create(g, T * row->K, FILL_NAN, true, &c->y));
        break;
    case OP_RMS_NORM:
        TRY(kernel_weight(g, GGUF_T_F32, 0, row->K, c->w));
        TRY(twin_create(g, T * row->K, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, T * row->K, FILL_NAN, true, &c->y));
        break;
    case OP_MATMUL:
        TRY(kernel_weight(g, row->type, row->N, row->K, c->w));
        TRY(twin_create(g, (T + row->x_row) * row->K, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, T * row->N, row->add ? FILL_RANDOM : FILL_NAN, true, &c->y));
        break;
    case OP_NORM_MATMULS:
    case OP_NORM_GATE_UP:
        TRY(norm_inputs(g, row, c));
        break;
    case OP_QK_NORM_ROPE_KV:
    case OP_BIAS_ROPE_KV:
        TRY(rope_inputs(g, row, c));
        TRY(twin_create(g, T * row->H * row->E, FILL_RANDOM, true, &c->x));
        TRY(twin_create(g, T * row->G * row->E, FILL_RANDOM, false, &c->y));
        TRY(twin_create(g, T * row->G * row->E, FILL_RANDOM, false, &c->z));
        TRY(cache_create(g, row, true, &c->k));
        TRY(cache_create(g, row, true, &c->v));
        break;
    case OP_ATTENTION:
        TRY(twin_create(g, T * row->H * row->E, FILL_RANDOM, row->before != 0, &c->x));
        TRY(twin_create(g, T * row->H * row->E, FILL_NAN, true, &c->y));
        TRY(cache_create(g, row, row->before != 0, &c->k));
        TRY(cache_create(g, row, row->before != 0, &c->v));
        if (row->before) {
            TRY(rope_inputs(g, row, c));
            TRY(twin_create(g, T * row->G * row->E, FILL_RANDOM, false, &c->y2));
            TRY(twin_create(g, T * row->G * row->E, FILL_RANDOM, false, &c->y3));
            c->x->scratch = true; /* q may be turned in place, or not */
        }
        break;
    case OP_PEAK:
        TRY(twin_create(g, row->K, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, row->K, FILL_NAN, true, &c->y));
        break;
    case OP_SWIGLU:
        TRY(twin_create(g, T * row->K, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, T * row->K, FILL_RANDOM, false, &c->z));
        TRY(twin_create(g, T * row->K, FILL_NAN, true, &c->y));
        break;
    case OP_COPY:
        TRY(twin_create(g, row->K, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, row->K, FILL_NAN, true, &c->y));
        break;
    case OP_SAMPLE: TRY(sample_inputs(g, row, c)); break;
    case OP_N_KINDS: break;
    }
    for (uint32_t s = 0; s < g->n_sides; s++) {
        const struct buf none = {0};
        c->op[s] = (struct op){
            .kind = row->kind, .label = "self-test", .x = c->x ? c->x->buf[s] : none, .y = c->y ? c->y->buf[s] : none,
            .z = c->z ? c->z->buf[s] : none,
            .kv = {.k = c->k ? c->k->buf[s] : none, .v = c->v ? c->v->buf[s] : none, .C = c->k ? c->k->cache.C : 0, .type = row->kv},
            .w = c->w[s].k ? &c->w[s] : NULL, .w2 = c->w2[s].k ? &c->w2[s] : NULL,
            .w3 = c->w3[s].k ? &c->w3[s] : NULL, .norm = c->norm[s].k ? &c->norm[s] : NULL,
            .y2 = c->y2 ? c->y2->buf[s] : none, .y3 = c->y3 ? c->y3->buf[s] : none,
            .normed = c->normed ? c->normed->buf[s] : none, .T = row->T, .D = row->kind == OP_SAMPLE ? row->N : row->K, .top_k = row->K, .H = row->H,
            .G = row->G, .E = row->E, .rounds = row->kind == OP_PEAK ? row->past : 0, .x_row = row->x_row, .add = row->kind == OP_MATMUL && row->add,
            .eps = 1e-6f,
            .rope = {.base = 1e6f, .neighbours = row->neighbours, .factors = c->factors},
            .arithmetic = row->arithmetic, .scale = row->E ? 1.0f / sqrtf((float)row->E) : 0.0f};
    }
    if (row->before) prepare_before(g, row, c);
fail:
    return st;
}

enum pumice_status kernel_step(struct backend *b, const struct kernel_row *row, struct buf *out)
{
    enum pumice_status st = PUMICE_OK;
    uint64_t random = row->N;
    TRY(b->calls->buffer_create(b, MEM_STEP, sizeof(struct step) + 4ull * MAX(row->T, 1u), "self-test step", out));
    struct step *host = b->calls->buffer_host(b, *out);
    *host = (struct step){.past = row->past, .n_tokens = row->T};
    for (uint32_t t = 0; t < row->T && row->N; t++) host->tokens[t] = (uint32_t)(next_random(&random) % row->N);
    if (row->kind == OP_EMBED) host->tokens[0] = row->N - 1;
fail:
    return st;
}

/* Several draws, one behind the other, as decoding does it. */
static enum pumice_status run_draws(struct kernel_rig *g, const struct kernel_row *row, struct plan *plan, const struct op *op, uint32_t s)
{
    enum pumice_status st = PUMICE_OK;
    enum { N_DRAWS = 5 };
    struct backend *b = g->side[s];
    struct draws d;
    uint64_t ticket = 0;
    TRY(b->calls->plan_start(plan, N_DRAWS, &ticket));
    TRY(b->calls->plan_wait(b, ticket));
    TRY(b->calls->buffer_read(b, op->y, 0, &d, sizeof d));
    const struct step *step = b->calls->buffer_host(b, op->step);
    if (step->past != row->past + N_DRAWS || step->tokens[0] != d.ids[(d.n - 1) % SAMPLE_RING])
        snprintf(g->note, sizeof g->note, "the step has token %u at %u", step->tokens[0], step->past);
fail:
    return st;
}

static enum pumice_status run_side(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c, uint32_t s)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = g->side[s];
    struct plan *plan = NULL;
    struct buf step = {0};
    struct op op = c->op[s];
    TRY(kernel_step(b, row, &step));
    op.step = c->before[s].step = step;
    TRY(b->calls->plan_begin(b, "self-test", &plan));
    if (row->before) TRY(b->calls->record(plan, &c->before[s]));
    TRY(b->calls->record(plan, &op));
    TRY(b->calls->plan_end(plan));
    if (row->kind == OP_SAMPLE) TRY(run_draws(g, row, plan, &op, s));
    else TRY(b->calls->plan_run(plan));
fail:
    b->calls->plan_destroy(plan);
    b->calls->buffer_destroy(b, &step);
    return st;
}

static double value_at(const uint8_t *bytes, uint64_t i)
{
    float f;
    memcpy(&f, bytes + 4 * i, 4);
    return (double)f;
}

/* Gives the reference what the tested side's product makes of x. */
static enum pumice_status round_x(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *tested = g->side[0];
    struct kernel_twin *x = c->x;
    double limit = 0;
    if (row->kind != OP_MATMUL || g->n_sides < 2 || !tested->calls->round_input) return PUMICE_OK;
    float *rounded = arena_alloc(&g->arena, x->n_bytes, 1);
    if (!rounded) return err_memory("the self-test", x->n_bytes);
    memcpy(rounded, x->bytes + GUARD, x->n_bytes);
    TRY(tested->calls->round_input(tested, &c->w[0], row->T, rounded, row->T + row->x_row, &limit));
    for (uint32_t t = 0; t < row->T + row->x_row; t++) {
        const uint64_t at = (uint64_t)t * row->K;
        double error = 0, power = 0;
        for (uint32_t i = 0; i < row->K; i++) {
            const double want = value_at(x->bytes + GUARD, at + i), difference = (double)rounded[at + i] - want;
            error += difference * difference;
            power += want * want;
        }
        if (!(error <= limit * power)) snprintf(g->note, sizeof g->note, "row %u is rounded too far", t);
    }
    TRY(g->side[1]->calls->buffer_write(g->side[1], x->buf[1], 0, rounded, x->n_bytes));
fail:
    return st;
}

/* q[n, E] with each row's elements the nearest halves, after a power of two that brings its largest to 2^14 .. 2^15. */
static void round_heads(float *q, uint64_t n, uint32_t E)
{
    for (uint64_t r = 0; r < n; r++, q += E) {
        float top = 0;
        int exponent = 0;
        for (uint32_t i = 0; i < E; i++) top = fmaxf(top, fabsf(q[i]));
        (void)frexpf(top, &exponent);
        for (uint32_t i = 0; i < E; i++) q[i] = ldexpf(f32_of_f16(f16_of_f32(ldexpf(q[i], 15 - exponent))), exponent - 15);
    }
}

/* The same positions in a cache of halves, for the reference. */
static enum pumice_status halve_cache(struct kernel_rig *g, const struct kernel_row *row, const struct kernel_twin *from,
                                      struct buf *out)
{
    enum pumice_status st = PUMICE_OK;
    struct kernel_row halves = *row;
    struct kernel_twin *t = NULL;
    float x[MAX_HEAD];
    halves.kv = PUMICE_KV_F16;
    TRY(cache_create(g, &halves, false, &t));
    const uint64_t C = t->cache.C, head = C * kv_row_bytes(PUMICE_KV_F16, row->E), from_head = C * kv_row_bytes(row->kv, row->E);
    for (uint32_t i = 0; i < row->G; i++)
        for (uint64_t p = 0; p < row->past + row->T; p++) {
            kv_row_read(row->kv, from->bytes + GUARD + i * from_head, C, row->E, p, x);
            kv_row_write(PUMICE_KV_F16, t->bytes + GUARD + i * head, C, row->E, p, x);
        }
    for (uint32_t s = 0; s < g->n_sides; s++)
        TRY(g->side[s]->calls->buffer_write(g->side[s], t->whole[s], 0, t->bytes, t->n_bytes + 2 * GUARD));
    *out = t->buf[1];
fail:
    return st;
}

/* Gives the reference what attention by matrices of halves multiplies. */
static enum pumice_status round_attention(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c)
{
    enum pumice_status st = PUMICE_OK;
    const struct backend *tested = g->side[0];
    if (row->kind != OP_ATTENTION || !tested->calls->arithmetic_of) return PUMICE_OK;
    g->halves = tested->calls->arithmetic_of(tested, &c->op[0]) == ARITHMETIC_MATRIX;
    if (!g->halves || g->n_sides < 2 || row->before) return PUMICE_OK;
    float *q = arena_alloc(&g->arena, c->x->n_bytes, 1);
    if (!q) return err_memory("the self-test", c->x->n_bytes);
    memcpy(q, c->x->bytes + GUARD, c->x->n_bytes);
    round_heads(q, (uint64_t)row->T * row->H, row->E);
    TRY(g->side[1]->calls->buffer_write(g->side[1], c->x->buf[1], 0, q, c->x->n_bytes));
    if (row->kv == PUMICE_KV_F16) return PUMICE_OK;
    TRY(halve_cache(g, row, c->k, &c->op[1].kv.k));
    TRY(halve_cache(g, row, c->v, &c->op[1].kv.v));
    c->op[1].kv.type = PUMICE_KV_F16;
fail:
    return st;
}

static void compare_value(struct kernel_rig *g, uint64_t i, double a, double b)
{
    if (!isfinite(a) || !isfinite(b)) {
        if (!g->note[0]) snprintf(g->note, sizeof g->note, "element %llu is %g, want %g", (unsigned long long)i, a, b);
        return;
    }
    g->error += (a - b) * (a - b);
    g->power += b * b;
    g->max_abs = fmax(g->max_abs, fabs(a - b));
}

/* The positions that are filled; no byte of the others may have changed, which the planes' NaN show. */
static void compare_cache(struct kernel_rig *g, const struct kernel_cache *c, uint32_t n, const uint8_t *got, const uint8_t *want)
{
    const uint64_t head = c->C * kv_row_bytes(c->type, c->E);
    float a[MAX_HEAD], b[MAX_HEAD];
    for (uint32_t i = 0; i < c->G; i++, got += head, want += head) {
        for (uint32_t p = 0; p < n; p++) {
            kv_row_read(c->type, got, c->C, c->E, p, a);
            kv_row_read(c->type, want, c->C, c->E, p, b);
            for (uint32_t e = 0; e < c->E; e++)
                compare_value(g, ((uint64_t)i * n + p) * c->E + e, (double)a[e], (double)b[e]);
        }
        for (int plane = 0, at = 0; plane < 2; plane++) {
            const uint64_t row = kv_plane_bytes(c->type, c->E, plane);
            if (memcmp(got + (uint64_t)at * c->C + n * row, want + (uint64_t)at * c->C + n * row, (size_t)((c->C - n) * row)))
                snprintf(g->note, sizeof g->note, "wrote positions past the last");
            at += (int)row;
        }
    }
}

static enum pumice_status compare(struct kernel_rig *g, const struct kernel_row *row, struct kernel_twin *t)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t whole = t->n_bytes + 2 * GUARD, n = t->n_bytes / 4;
    uint8_t *got = arena_alloc(&g->arena, whole, 1), *want = arena_alloc(&g->arena, whole, 1);
    if (!got || !want) return err_memory("the self-test", whole);
    TRY(g->side[0]->calls->buffer_read(g->side[0], t->whole[0], 0, got, whole));
    TRY(g->side[1]->calls->buffer_read(g->side[1], t->whole[1], 0, want, whole));
    if (memcmp(got, t->bytes, GUARD) || memcmp(got + GUARD + t->n_bytes, t->bytes + GUARD + t->n_bytes, GUARD))
        snprintf(g->note, sizeof g->note, "wrote outside its output");
    if (!t->output) {
        if (memcmp(got, t->bytes, whole)) snprintf(g->note, sizeof g->note, "wrote to its input");
        return PUMICE_OK;
    }
    if (t->exact && memcmp(got, want, whole)) snprintf(g->note, sizeof g->note, "not the same bits");
    if (t->cache.C) compare_cache(g, &t->cache, row->past + row->T, got + GUARD, want + GUARD);
    else
        for (uint64_t i = 0; i < n && !t->scratch && !t->exact; i++)
            compare_value(g, i, value_at(got + GUARD, i), value_at(want + GUARD, i));
fail:
    return st;
}

/* Decoded weights rounded to 11 bits: each is off by 2^-12 of itself at most. */
static const double WEIGHTS_LIMIT = 0x1p-24 * 4;
/* Softmax weights as halves, divided by their own sum: each is off by 2^-11 of itself at most, also where a device cuts. */
static const double SOFTMAX_LIMIT = 0x1p-22;

/* Runs of products summed in halves, also where a device cuts: matmul_half.comp says why. Of few outputs all may be small by
 * chance, and their errors are not. */
static const double HALF_SUMS_LIMIT = 0x1p-22 * 16, HALF_SUMS_LIMIT_FEW = 0x1p-22 * 256;
enum { FEW_OUTPUTS = 64 };
/* Of q, K and V that are rounded to halves inside of two ops: the second is tested sharply in rows of its own. */
static const double ROUNDED_BEFORE_LIMIT = 1e-4;

/* What rounds inside of an op that norms and multiplies can only be held to its rounding's limit, and some
 * times that for what SwiGLU makes of two products. The parts are tested sharply in rows of their own. */
static enum pumice_status limit_of(struct kernel_rig *g, const struct kernel_row *row, const struct kernel_call *c, double *limit)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *tested = g->side[0];
    const struct op product = {.kind = OP_MATMUL, .w = &c->w[0], .T = row->T};
    const bool multiplies = row->kind == OP_MATMUL || row->kind == OP_NORM_MATMULS || row->kind == OP_NORM_GATE_UP;
    const bool half_sums = multiplies && tested->calls->arithmetic_of && tested->calls->arithmetic_of(tested, &product) == ARITHMETIC_F16;
    const double sums = !half_sums ? 0 : row->T * row->N < FEW_OUTPUTS ? HALF_SUMS_LIMIT_FEW : HALF_SUMS_LIMIT;
    double rounding = sums;
    *limit = g->halves ? fmax(row->limit, row->kind == OP_ATTENTION ? SOFTMAX_LIMIT : HALVES_LIMIT) : row->limit;
    if (g->halves && row->before) *limit = ROUNDED_BEFORE_LIMIT;
    *limit = fmax(*limit, sums);
    if (row->kind != OP_NORM_MATMULS && row->kind != OP_NORM_GATE_UP) return PUMICE_OK;
    if (tested->calls->round_input) {
        double input = 0;
        float *x = arena_alloc(&g->arena, row->K, sizeof *x);
        if (!x) return err_memory("the self-test", row->K * sizeof *x);
        TRY(tested->calls->round_input(tested, &c->w[0], row->T, x, 1, &input));
        rounding += input;
    }
    if (tested->calls->rounds_weights && tested->calls->rounds_weights(tested, row->type, row->T)) rounding += WEIGHTS_LIMIT;
    *limit = fmax(*limit, 8 * rounding);
fail:
    return st;
}

enum pumice_status kernel_run_row(struct kernel_rig *g, const struct kernel_row *row, struct pumice_selftest_row *out)
{
    enum pumice_status st = PUMICE_OK;
    struct kernel_call call = {0};
    g->error = g->power = g->max_abs = 0;
    g->note[0] = '\0';
    TRY(kernel_prepare(g, row, &call));
    TRY(round_x(g, row, &call));
    TRY(round_attention(g, row, &call));
    for (uint32_t s = 0; s < g->n_sides; s++) TRY(run_side(g, row, &call, s));
    for (uint32_t i = 0; i < g->n_twins; i++) TRY(compare(g, row, &g->twins[i]));
    out->nmse = g->power > 0 ? g->error / g->power : g->error;
    out->max_abs = g->max_abs;
    TRY(limit_of(g, row, &call, &out->nmse_limit));
    if (!g->note[0] && !(out->nmse <= out->nmse_limit)) snprintf(g->note, sizeof g->note, "differs from the reference");
    memcpy(out->note, g->note, sizeof out->note);
    out->ok = !g->note[0];
fail:
    kernel_clear(g);
    return st;
}

void kernel_clear(struct kernel_rig *g)
{
    for (uint32_t i = 0; i < g->n_twins; i++)
        for (uint32_t s = 0; s < g->n_sides; s++) g->side[s]->calls->buffer_destroy(g->side[s], &g->twins[i].whole[s]);
    g->n_twins = 0;
    arena_reset(&g->arena);
}

void kernel_name(const struct kernel_row *row, const char *variant, char *name, size_t n)
{
    const struct gguf_type_traits *type = gguf_type(row->type);
    if (row->before) {
        const int used = snprintf(name, n, "%s + ", op_kind_name(row->before));
        if (used > 0 && (size_t)used < n) name += used, n -= (size_t)used;
    }
    switch (row->kind) {
    case OP_MATMUL:
    case OP_NORM_MATMULS:
    case OP_NORM_GATE_UP:
        snprintf(name, n, "%s %s T=%u N=%u K=%u%s%s [%s]", op_kind_name(row->kind), type->name, row->T, row->N, row->K,
                 row->add ? " add" : "", row->x_row ? " offset" : "", variant);
        break;
    case OP_EMBED:
        snprintf(name, n, "embed %s T=%u N=%u K=%u [%s]", type->name, row->T, row->N, row->K, variant);
        break;
    case OP_QK_NORM_ROPE_KV:
    case OP_BIAS_ROPE_KV:
    case OP_ATTENTION:
        snprintf(name, n, "%s T=%u P=%u H=%u G=%u E=%u%s%s%s%s [%s]", op_kind_name(row->kind), row->T, row->past, row->H,
                 row->G, row->E, row->kv == PUMICE_KV_Q8_0 ? " q8_0" : "", row->add ? " no bias" : "", row->neighbours ? " neighbours" : "",
                 row->factors ? " factors" : "", variant);
        break;
    case OP_SAMPLE:
        snprintf(name, n, "sample N=%u top %u%s%s [%s]", row->N, row->K, row->ties ? " ties" : "", row->all_nan ? " NaN" : "",
                 variant);
        break;
    case OP_PEAK: snprintf(name, n, "peak %s N=%u rounds=%u [%s]", arithmetic_name(row->arithmetic), row->K, row->past, variant); break;
    default:
        snprintf(name, n, "%s T=%u K=%u [%s]", op_kind_name(row->kind), row->T, row->K, variant);
        break;
    }
}
