/* selftest: the kernel table: every op at awkward shapes on a back end, against the CPU reference.
 *
 * A row is op, dims, types and a tolerance. Inputs are seeded, with outliers of x20 so that a softmax or a scale that is
 * wrong shows; buffers lie at non-zero offsets between guard bands; outputs are filled with NaN before. Compared by
 * normalised mean square error and largest difference. A kernel without a row here is untested: add one.
 *
 * A back end that rounds activations is tested in two steps, so that no limit needs to be loose: the rounded row against
 * ROUNDING_LIMIT, and the product against the reference's product of the rounded rows. */
#include "ops.h"
#include "quant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GUARD = 256, MAX_WEIGHTS = 2 };

/* NMSE of a row rounded to 8 bits by blocks of 32: each error is at most half a step, max / 254, and 32 max^2 is at most 32
 * times the block's sum of squares. Typical rows have a tenth of it. */
static const double ROUNDING_LIMIT = 32.0 / (254.0 * 254.0) * 1.001;

struct row {
    enum op_kind kind;
    uint32_t type; /* of the weight */
    uint32_t T, N, K, H, G, E, past;
    bool add;      /* matmul; qk_norm_rope_kv: no norm weights */
    uint32_t x_row;
    double limit;  /* of the NMSE */
};

#define MATMULS(t)                                                                                           \
    {.kind = OP_MATMUL, .type = t, .T = 8, .N = 1, .K = 256, .limit = 1e-10},                                \
    {.kind = OP_MATMUL, .type = t, .T = 1, .N = 2, .K = 256, .limit = 1e-10},                                \
    {.kind = OP_MATMUL, .type = t, .T = 1, .N = 97, .K = 512, .add = true, .limit = 1e-10},                  \
    {.kind = OP_MATMUL, .type = t, .T = 1, .N = 64, .K = 2304, .x_row = 3, .limit = 1e-10},                  \
    {.kind = OP_MATMUL, .type = t, .T = 3, .N = 65, .K = 768, .limit = 1e-10},                               \
    {.kind = OP_MATMUL, .type = t, .T = 9, .N = 31, .K = 256, .x_row = 1, .add = true, .limit = 1e-10},      \
    {.kind = OP_MATMUL, .type = t, .T = 67, .N = 131, .K = 512, .limit = 1e-10},                             \
    {.kind = OP_EMBED, .type = t, .T = 5, .N = 101, .K = 256, .limit = 1e-12},                               \
    {.kind = OP_EMBED, .type = t, .T = 1, .N = 3, .K = 2304, .limit = 1e-12}

static const struct row table[] = {
    MATMULS(GGUF_T_F32), MATMULS(GGUF_T_F16), MATMULS(GGUF_T_BF16), MATMULS(GGUF_T_Q4_0), MATMULS(GGUF_T_Q8_0),
    MATMULS(GGUF_T_Q4_K), MATMULS(GGUF_T_Q5_K), MATMULS(GGUF_T_Q6_K), MATMULS(GGUF_T_Q4_1), MATMULS(GGUF_T_Q5_0),
    MATMULS(GGUF_T_Q5_1), MATMULS(GGUF_T_IQ4_NL), MATMULS(GGUF_T_IQ4_XS), MATMULS(GGUF_T_Q2_K), MATMULS(GGUF_T_Q3_K),
    /* K that is a multiple of the block only, or of nothing */
    {.kind = OP_MATMUL, .type = GGUF_T_Q8_0, .T = 2, .N = 33, .K = 96, .limit = 1e-10},
    {.kind = OP_MATMUL, .type = GGUF_T_Q4_0, .T = 11, .N = 33, .K = 160, .limit = 1e-10},
    {.kind = OP_MATMUL, .type = GGUF_T_F32, .T = 1, .N = 7, .K = 172, .limit = 1e-10},
    {.kind = OP_MATMUL, .type = GGUF_T_F16, .T = 13, .N = 67, .K = 60, .limit = 1e-10},
    {.kind = OP_EMBED, .type = GGUF_T_F32, .T = 3, .N = 17, .K = 172, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 1, .K = 1, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 3, .K = 127, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 1, .K = 2560, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 17, .K = 64, .limit = 1e-12},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 1, .H = 4, .G = 2, .E = 64, .past = 0, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 3, .H = 32, .G = 8, .E = 128, .past = 37, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 2, .H = 3, .G = 1, .E = 96, .past = 262, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 1, .H = 2, .G = 2, .E = 256, .past = 5, .add = true, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 5, .H = 6, .G = 2, .E = 32, .past = 40000, .limit = 1e-8},
    {.kind = OP_ATTENTION, .T = 1, .H = 4, .G = 2, .E = 64, .past = 0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 1, .H = 32, .G = 8, .E = 128, .past = 300, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 7, .H = 6, .G = 2, .E = 32, .past = 61, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 33, .H = 3, .G = 3, .E = 96, .past = 31, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 2, .H = 8, .G = 1, .E = 256, .past = 127, .limit = 1e-9},
    {.kind = OP_SWIGLU, .T = 1, .K = 1, .limit = 1e-12},
    {.kind = OP_SWIGLU, .T = 3, .K = 3071, .limit = 1e-12},
    {.kind = OP_COPY, .K = 1001, .limit = 0},
};

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

/* A buffer on both back ends with the same bytes, between guard bands. */
struct twin {
    struct buf whole[2], buf[2]; /* [0] tested, [1] reference */
    uint8_t *bytes;              /* what was written: guard, contents, guard */
    uint64_t n_bytes;
    bool output, half; /* compared afterwards; as f16 */
};

enum { MAX_TWINS = 6 };

struct rig {
    struct backend *side[2];
    struct arena arena;
    uint64_t random;
    struct twin twins[MAX_TWINS];
    uint32_t n_twins;
    double error, power, max_abs;
    char note[128];
};

static const uint32_t nan_bits = 0x7fc0dead;

enum fill { FILL_RANDOM, FILL_NAN, FILL_HALVES };

static enum pumice_status twin_create(struct rig *g, uint64_t n, enum fill fill, bool output, struct twin **out)
{
    enum pumice_status st = PUMICE_OK;
    struct twin *t = &g->twins[g->n_twins++];
    const uint64_t each = fill == FILL_HALVES ? 2 : 4;
    *t = (struct twin){.n_bytes = (n * each + 3) / 4 * 4, .output = output, .half = fill == FILL_HALVES};
    const uint64_t whole = t->n_bytes + 2 * GUARD;
    t->bytes = arena_alloc(&g->arena, whole, 1);
    if (!t->bytes) return err_memory("the self-test", whole);
    for (uint64_t i = 0; i + 4 <= whole; i += 4) memcpy(t->bytes + i, &nan_bits, 4);
    for (uint64_t i = 0; i < n; i++) {
        const float v = random_value(&g->random);
        const uint16_t h = f16_of_f32(v);
        if (fill == FILL_RANDOM) memcpy(t->bytes + GUARD + i * 4, &v, 4);
        if (fill == FILL_HALVES) memcpy(t->bytes + GUARD + i * 2, &h, 2);
    }
    for (int s = 0; s < 2; s++) {
        TRY(g->side[s]->calls->buffer_create(g->side[s], MEM_SCRATCH, whole, "self-test", &t->whole[s]));
        TRY(g->side[s]->calls->buffer_write(g->side[s], t->whole[s], 0, t->bytes, whole));
        t->buf[s] = (struct buf){.memory = t->whole[s].memory, .offset = t->whole[s].offset + GUARD, .bytes = t->n_bytes};
    }
    *out = t;
fail:
    return st;
}

/* Types that quant.h only reads get random blocks, with halves where the scales lie that are neither huge nor NaN. */
static void random_blocks(struct rig *g, uint32_t type, uint8_t *row, uint64_t bytes)
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

/* n = 0: a vector. */
static enum pumice_status random_weight(struct rig *g, uint32_t type, uint32_t n, uint32_t k, struct weight *out)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t row_bytes = quant_row_bytes(type, k);
    const bool vector = n == 0;
    n = MAX(n, 1u);
    uint8_t *rows = arena_alloc(&g->arena, n, row_bytes);
    float *x = arena_alloc(&g->arena, k, sizeof *x);
    if (!rows || !x) return err_memory("the self-test", n * row_bytes);
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t i = 0; i < k; i++) x[i] = random_value(&g->random);
        if (quant_can_quantize(type)) quant_quantize_row(type, x, rows + r * row_bytes, k);
        else random_blocks(g, type, rows + r * row_bytes, row_bytes);
    }
    const struct weight_source src = {.name = "self-test", .type = type, .n = n, .k = k, .vector = vector, .data = rows};
    for (int s = 0; s < 2; s++) TRY(g->side[s]->calls->weight_create(g->side[s], &src, &out[s]));
fail:
    return st;
}

/* --- one row ----------------------------------------------------------------------------------------------- */

struct call {
    struct op op[2];
    struct weight w[2], w2[2];
    struct twin *x, *y, *z, *k, *v;
};

static enum pumice_status prepare(struct rig *g, const struct row *row, struct call *c)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t T = row->T, C = row->past + row->T;
    switch (row->kind) {
    case OP_EMBED:
        TRY(random_weight(g, row->type, row->N, row->K, c->w));
        TRY(twin_create(g, T * row->K, FILL_NAN, true, &c->y));
        break;
    case OP_RMS_NORM:
        TRY(random_weight(g, GGUF_T_F32, 0, row->K, c->w));
        TRY(twin_create(g, T * row->K, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, T * row->K, FILL_NAN, true, &c->y));
        break;
    case OP_MATMUL:
        TRY(random_weight(g, row->type, row->N, row->K, c->w));
        TRY(twin_create(g, (T + row->x_row) * row->K, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, T * row->N, row->add ? FILL_RANDOM : FILL_NAN, true, &c->y));
        break;
    case OP_QK_NORM_ROPE_KV:
        if (!row->add) {
            TRY(random_weight(g, GGUF_T_F32, 0, row->E, c->w));
            TRY(random_weight(g, GGUF_T_F32, 0, row->E, c->w2));
        }
        TRY(twin_create(g, T * row->H * row->E, FILL_RANDOM, true, &c->x));
        TRY(twin_create(g, T * row->G * row->E, FILL_RANDOM, false, &c->y));
        TRY(twin_create(g, T * row->G * row->E, FILL_RANDOM, false, &c->z));
        TRY(twin_create(g, C * row->G * row->E, FILL_HALVES, true, &c->k));
        TRY(twin_create(g, C * row->G * row->E, FILL_HALVES, true, &c->v));
        break;
    case OP_ATTENTION:
        TRY(twin_create(g, T * row->H * row->E, FILL_RANDOM, false, &c->x));
        TRY(twin_create(g, T * row->H * row->E, FILL_NAN, true, &c->y));
        TRY(twin_create(g, C * row->G * row->E, FILL_HALVES, false, &c->k));
        TRY(twin_create(g, C * row->G * row->E, FILL_HALVES, false, &c->v));
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
    case OP_N_KINDS: break;
    }
    for (int s = 0; s < 2; s++) {
        const struct buf none = {0};
        c->op[s] = (struct op){
            .kind = row->kind, .label = "self-test", .x = c->x ? c->x->buf[s] : none, .y = c->y ? c->y->buf[s] : none,
            .z = c->z ? c->z->buf[s] : none, .k_cache = c->k ? c->k->buf[s] : none, .v_cache = c->v ? c->v->buf[s] : none,
            .w = c->w[s].k ? &c->w[s] : NULL, .w2 = c->w2[s].k ? &c->w2[s] : NULL, .T = row->T, .D = row->K, .H = row->H,
            .G = row->G, .E = row->E, .C = (uint32_t)C, .x_row = row->x_row, .add = row->kind == OP_MATMUL && row->add,
            .eps = 1e-6f, .rope_base = 1e6f, .scale = row->E ? 1.0f / sqrtf((float)row->E) : 0.0f};
    }
fail:
    return st;
}

static enum pumice_status run_side(struct rig *g, const struct row *row, struct op op, int s)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = g->side[s];
    struct plan *plan = NULL;
    struct buf step = {0};
    uint64_t random = row->N;
    TRY(b->calls->buffer_create(b, MEM_STEP, sizeof(struct step) + 4ull * MAX(row->T, 1u), "self-test step", &step));
    struct step *host = b->calls->buffer_host(b, step);
    *host = (struct step){.past = row->past, .n_tokens = row->T};
    for (uint32_t t = 0; t < row->T && row->N; t++) host->tokens[t] = (uint32_t)(next_random(&random) % row->N);
    if (row->kind == OP_EMBED) host->tokens[0] = row->N - 1;
    op.step = step;
    TRY(b->calls->plan_begin(b, "self-test", &plan));
    TRY(b->calls->record(plan, &op));
    TRY(b->calls->plan_end(plan));
    TRY(b->calls->plan_run(plan));
fail:
    b->calls->plan_destroy(plan);
    b->calls->buffer_destroy(b, &step);
    return st;
}

static double value_at(const uint8_t *bytes, bool half, uint64_t i)
{
    uint16_t h;
    float f;
    if (half) {
        memcpy(&h, bytes + 2 * i, 2);
        return (double)f32_of_f16(h);
    }
    memcpy(&f, bytes + 4 * i, 4);
    return (double)f;
}

/* Gives the reference what the tested side's product makes of x. */
static enum pumice_status round_x(struct rig *g, const struct row *row, struct call *c)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *tested = g->side[0];
    struct twin *x = c->x;
    if (row->kind != OP_MATMUL || !tested->calls->round_input) return PUMICE_OK;
    float *rounded = arena_alloc(&g->arena, x->n_bytes, 1);
    if (!rounded) return err_memory("the self-test", x->n_bytes);
    memcpy(rounded, x->bytes + GUARD, x->n_bytes);
    for (uint32_t t = 0; t < row->T + row->x_row; t++) {
        const uint64_t at = (uint64_t)t * row->K;
        double error = 0, power = 0;
        TRY(tested->calls->round_input(tested, &c->w[0], rounded + at));
        for (uint32_t i = 0; i < row->K; i++) {
            const double want = value_at(x->bytes + GUARD, false, at + i), difference = (double)rounded[at + i] - want;
            error += difference * difference;
            power += want * want;
        }
        if (!(error <= ROUNDING_LIMIT * power)) snprintf(g->note, sizeof g->note, "row %u is rounded too far", t);
    }
    TRY(g->side[1]->calls->buffer_write(g->side[1], x->buf[1], 0, rounded, x->n_bytes));
fail:
    return st;
}

static enum pumice_status compare(struct rig *g, struct twin *t)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t whole = t->n_bytes + 2 * GUARD, n = t->n_bytes / (t->half ? 2 : 4);
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
    for (uint64_t i = 0; i < n; i++) {
        const double a = value_at(got + GUARD, t->half, i), b = value_at(want + GUARD, t->half, i);
        if (!isfinite(a) || !isfinite(b)) {
            if (!g->note[0])
                snprintf(g->note, sizeof g->note, "element %llu is %g, want %g", (unsigned long long)i, a, b);
            continue;
        }
        g->error += (a - b) * (a - b);
        g->power += b * b;
        g->max_abs = fmax(g->max_abs, fabs(a - b));
    }
fail:
    return st;
}

static enum pumice_status run_row(struct rig *g, const struct row *row, struct pumice_selftest_row *out)
{
    enum pumice_status st = PUMICE_OK;
    struct call call = {0};
    g->n_twins = 0;
    g->error = g->power = g->max_abs = 0;
    g->note[0] = '\0';
    TRY(prepare(g, row, &call));
    TRY(round_x(g, row, &call));
    for (int s = 0; s < 2; s++) TRY(run_side(g, row, call.op[s], s));
    for (uint32_t i = 0; i < g->n_twins; i++) TRY(compare(g, &g->twins[i]));
    out->nmse = g->power > 0 ? g->error / g->power : g->error;
    out->max_abs = g->max_abs;
    out->nmse_limit = row->limit;
    if (!g->note[0] && !(out->nmse <= row->limit)) snprintf(g->note, sizeof g->note, "differs from the reference");
    memcpy(out->note, g->note, sizeof out->note);
    out->ok = !g->note[0];
fail:
    for (uint32_t i = 0; i < g->n_twins; i++)
        for (int s = 0; s < 2; s++) g->side[s]->calls->buffer_destroy(g->side[s], &g->twins[i].whole[s]);
    arena_reset(&g->arena);
    return st;
}

static void name_row(const struct row *row, const char *variant, char *name, size_t n)
{
    const struct gguf_type_traits *type = gguf_type(row->type);
    switch (row->kind) {
    case OP_MATMUL:
        snprintf(name, n, "matmul %s T=%u N=%u K=%u%s%s [%s]", type->name, row->T, row->N, row->K, row->add ? " add" : "",
                 row->x_row ? " offset" : "", variant);
        break;
    case OP_EMBED:
        snprintf(name, n, "embed %s T=%u N=%u K=%u [%s]", type->name, row->T, row->N, row->K, variant);
        break;
    case OP_QK_NORM_ROPE_KV:
    case OP_ATTENTION:
        snprintf(name, n, "%s T=%u P=%u H=%u G=%u E=%u%s [%s]", op_kind_name(row->kind), row->T, row->past, row->H, row->G,
                 row->E, row->add ? " no norm" : "", variant);
        break;
    default:
        snprintf(name, n, "%s T=%u K=%u [%s]", op_kind_name(row->kind), row->T, row->K, variant);
        break;
    }
}

enum pumice_status kernel_table_run(struct backend *tested, const char *only, uint64_t seed,
                                    void (*report)(void *user, const struct pumice_selftest_row *row), void *user,
                                    size_t *n_rows, size_t *n_wrong)
{
    enum pumice_status st = PUMICE_OK;
    struct rig rig = {.side = {tested, NULL}};
    const struct backend_options reference = {.device = "reference"};
    *n_rows = *n_wrong = 0;
    TRY(cpu_backend_create(&reference, &rig.side[1]));
    for (uint32_t v = 0;; v++) {
        const char *variant = tested->calls->variant ? tested->calls->variant(tested, v) : v == 0 ? "plain" : NULL;
        if (!variant) break;
        for (size_t i = 0; i < COUNT_OF(table); i++) {
            struct pumice_selftest_row row = {0};
            name_row(&table[i], variant, row.name, sizeof row.name);
            if (only && !strstr(row.name, only)) continue;
            rig.random = seed + i * 1000003;
            TRY(run_row(&rig, &table[i], &row));
            (*n_rows)++;
            *n_wrong += !row.ok;
            if (report) report(user, &row);
        }
    }
fail:
    if (tested->calls->variant) tested->calls->variant(tested, 0);
    if (rig.side[1]) rig.side[1]->calls->destroy(rig.side[1]);
    arena_fini(&rig.arena);
    return st;
}

enum pumice_status pumice_selftest(const struct pumice_engine_params *params, const char *only, uint64_t seed,
                                   void (*report)(void *user, const struct pumice_selftest_row *row), void *user,
                                   size_t *n_rows, size_t *n_wrong)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *tested = NULL;
    const struct backend_options options = {.device = params ? params->device : NULL,
                                            .validate = params && params->validate};
    *n_rows = *n_wrong = 0;
    TRY(backend_create(&options, &tested));
    TRY(kernel_table_run(tested, only, seed, report, user, n_rows, n_wrong));
fail:
    if (tested) tested->calls->destroy(tested);
    return st;
}
