/* selftest: the kernel table: every op at awkward shapes on a back end, against the CPU reference.
 *
 * A row is op, dims, types and a tolerance; kernel_rig.h says how it is run. A kernel without a row here is untested: add
 * one. */
#include "gguf.h"
#include "kernel_rig.h"

#include <string.h>

#define MATMULS(t)                                                                                           \
    {.kind = OP_MATMUL, .type = t, .T = 8, .N = 1, .K = 256, .limit = 1e-10},                                \
    {.kind = OP_MATMUL, .type = t, .T = 1, .N = 2, .K = 256, .limit = 1e-10},                                \
    {.kind = OP_MATMUL, .type = t, .T = 1, .N = 97, .K = 512, .add = true, .limit = 1e-10},                  \
    {.kind = OP_MATMUL, .type = t, .T = 1, .N = 64, .K = 2304, .x_row = 3, .limit = 1e-10},                  \
    {.kind = OP_MATMUL, .type = t, .T = 3, .N = 65, .K = 768, .limit = 1e-10},                               \
    {.kind = OP_MATMUL, .type = t, .T = 9, .N = 31, .K = 256, .x_row = 1, .add = true, .limit = 1e-10},      \
    {.kind = OP_MATMUL, .type = t, .T = 67, .N = 131, .K = 512, .limit = 1e-10},                             \
    {.kind = OP_NORM_MATMULS, .type = t, .T = 1, .N = 67, .K = 1280, .limit = 1e-10},                        \
    {.kind = OP_NORM_MATMULS, .type = t, .T = 3, .N = 34, .K = 256, .x_row = 2, .limit = 1e-10},             \
    {.kind = OP_NORM_GATE_UP, .type = t, .T = 1, .N = 97, .K = 512, .limit = 1e-10},                         \
    {.kind = OP_NORM_GATE_UP, .type = t, .T = 5, .N = 33, .K = 256, .limit = 1e-10},                         \
    {.kind = OP_NORM_MATMULS, .before = OP_MATMUL, .type = t, .T = 1, .N = 37, .K = 1024, .limit = 1e-10},   \
    {.kind = OP_EMBED, .type = t, .T = 5, .N = 101, .K = 256, .limit = 1e-12},                               \
    {.kind = OP_EMBED, .type = t, .T = 1, .N = 3, .K = 2304, .limit = 1e-12}

static const struct kernel_row table[] = {
    MATMULS(GGUF_T_F32), MATMULS(GGUF_T_F16), MATMULS(GGUF_T_BF16), MATMULS(GGUF_T_Q4_0), MATMULS(GGUF_T_Q8_0),
    MATMULS(GGUF_T_Q4_K), MATMULS(GGUF_T_Q5_K), MATMULS(GGUF_T_Q6_K), MATMULS(GGUF_T_Q4_1), MATMULS(GGUF_T_Q5_0),
    MATMULS(GGUF_T_Q5_1), MATMULS(GGUF_T_IQ4_NL), MATMULS(GGUF_T_IQ4_XS), MATMULS(GGUF_T_Q2_K), MATMULS(GGUF_T_Q3_K),
    /* K that is a multiple of the block only, or of nothing */
    {.kind = OP_MATMUL, .type = GGUF_T_Q8_0, .T = 2, .N = 33, .K = 96, .limit = 1e-10},
    {.kind = OP_MATMUL, .type = GGUF_T_Q4_0, .T = 11, .N = 33, .K = 160, .limit = 1e-10},
    {.kind = OP_MATMUL, .type = GGUF_T_F32, .T = 1, .N = 7, .K = 172, .limit = 1e-10},
    {.kind = OP_MATMUL, .type = GGUF_T_F16, .T = 13, .N = 67, .K = 60, .limit = 1e-10},
    {.kind = OP_NORM_MATMULS, .type = GGUF_T_F16, .T = 2, .N = 9, .K = 60, .limit = 1e-10},
    {.kind = OP_NORM_GATE_UP, .type = GGUF_T_F32, .T = 1, .N = 5, .K = 172, .limit = 1e-10},
    {.kind = OP_NORM_GATE_UP, .before = OP_MATMUL, .type = GGUF_T_Q4_K, .T = 1, .N = 65, .K = 2304, .limit = 1e-10},
    {.kind = OP_NORM_MATMULS, .type = GGUF_T_Q8_0, .T = 12, .N = 40, .K = 96, .limit = 1e-10},
    {.kind = OP_EMBED, .type = GGUF_T_F32, .T = 3, .N = 17, .K = 172, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 1, .K = 1, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 3, .K = 127, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 1, .K = 2560, .limit = 1e-12},
    {.kind = OP_RMS_NORM, .T = 17, .K = 64, .limit = 1e-12},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 1, .H = 4, .G = 2, .E = 64, .past = 0, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 3, .H = 32, .G = 8, .E = 128, .past = 37, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 2, .H = 3, .G = 1, .E = 96, .past = 262, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 1, .H = 2, .G = 2, .E = 256, .past = 5, .neighbours = true, .limit = 1e-8},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 5, .H = 6, .G = 2, .E = 32, .past = 40000, .factors = true, .limit = 1e-8},
    /* where two back ends fall to different sides of a half, a scale differs by 2^-11 or an element by d */
    {.kind = OP_QK_NORM_ROPE_KV, .T = 1, .H = 4, .G = 2, .E = 64, .past = 0, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 3, .H = 32, .G = 8, .E = 128, .past = 37, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 2, .H = 3, .G = 1, .E = 96, .past = 262, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_QK_NORM_ROPE_KV, .T = 1, .H = 2, .G = 2, .E = 256, .past = 5, .neighbours = true, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_BIAS_ROPE_KV, .T = 3, .H = 14, .G = 2, .E = 64, .past = 37, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_BIAS_ROPE_KV, .T = 5, .H = 3, .G = 3, .E = 32, .past = 100, .add = true, .neighbours = true, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_BIAS_ROPE_KV, .T = 1, .H = 1, .G = 1, .E = 2, .past = 3, .limit = 1e-8},
    {.kind = OP_BIAS_ROPE_KV, .T = 3, .H = 14, .G = 2, .E = 64, .past = 37, .limit = 1e-8},
    {.kind = OP_BIAS_ROPE_KV, .T = 2, .H = 9, .G = 3, .E = 64, .past = 262, .add = true, .neighbours = true, .limit = 1e-8},
    {.kind = OP_BIAS_ROPE_KV, .T = 5, .H = 3, .G = 1, .E = 96, .past = 40000, .neighbours = true, .factors = true, .limit = 1e-8},
    {.kind = OP_BIAS_ROPE_KV, .T = 1, .H = 2, .G = 2, .E = 256, .past = 5, .add = true, .factors = true, .limit = 1e-8},
    {.kind = OP_ATTENTION, .T = 1, .H = 4, .G = 2, .E = 64, .past = 0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 3, .H = 40, .G = 2, .E = 64, .past = 1100, .limit = 1e-9}, /* slices; a group of 20 */
    {.kind = OP_ATTENTION, .T = 1, .H = 7, .G = 1, .E = 80, .past = 40, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 1, .H = 32, .G = 8, .E = 128, .past = 300, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 7, .H = 6, .G = 2, .E = 32, .past = 61, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 33, .H = 3, .G = 3, .E = 96, .past = 31, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 2, .H = 8, .G = 1, .E = 256, .past = 127, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 1, .H = 4, .G = 2, .E = 64, .past = 0, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 1, .H = 32, .G = 8, .E = 128, .past = 300, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 7, .H = 6, .G = 2, .E = 32, .past = 61, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 33, .H = 3, .G = 3, .E = 96, .past = 31, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 2, .H = 8, .G = 1, .E = 256, .past = 127, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 1, .H = 4, .G = 2, .E = 128, .past = 4200, .limit = 1e-9}, /* more than one chunk a slice */
    {.kind = OP_ATTENTION, .T = 8, .H = 10, .G = 2, .E = 64, .past = 2100, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 5, .H = 3, .G = 3, .E = 96, .past = 63, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 70, .H = 4, .G = 2, .E = 128, .past = 33, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 19, .H = 14, .G = 2, .E = 64, .past = 0, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 11, .H = 2, .G = 2, .E = 256, .past = 150, .limit = 1e-9},
    /* around the edges of tiles: 16, 32 and 64 query rows, 32 positions; groups of 1, 2, 4, 8 heads */
    {.kind = OP_ATTENTION, .T = 64, .H = 2, .G = 2, .E = 64, .past = 0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 17, .H = 16, .G = 2, .E = 128, .past = 15, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 33, .H = 4, .G = 1, .E = 64, .past = 200, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 16, .H = 8, .G = 2, .E = 96, .past = 16, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 31, .H = 2, .G = 1, .E = 256, .past = 34, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 65, .H = 1, .G = 1, .E = 128, .past = 95, .kv = PUMICE_KV_Q8_0, .limit = 1e-9},
    {.kind = OP_ATTENTION, .T = 10, .H = 8, .G = 1, .E = 96, .past = 1000, .limit = 1e-9},
    {.kind = OP_ATTENTION, .before = OP_QK_NORM_ROPE_KV, .T = 1, .H = 16, .G = 8, .E = 128, .past = 0, .limit = 1e-8},
    {.kind = OP_ATTENTION, .before = OP_QK_NORM_ROPE_KV, .T = 1, .H = 16, .G = 8, .E = 128, .past = 517, .limit = 1e-8},
    {.kind = OP_ATTENTION, .before = OP_QK_NORM_ROPE_KV, .T = 1, .H = 8, .G = 1, .E = 128, .past = 63, .factors = true, .limit = 1e-8},
    {.kind = OP_ATTENTION, .before = OP_QK_NORM_ROPE_KV, .T = 1, .H = 3, .G = 3, .E = 256, .past = 70, .neighbours = true, .limit = 1e-8},
    {.kind = OP_ATTENTION, .before = OP_QK_NORM_ROPE_KV, .T = 1, .H = 16, .G = 8, .E = 128, .past = 517, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_ATTENTION, .before = OP_BIAS_ROPE_KV, .T = 1, .H = 14, .G = 2, .E = 64, .past = 129, .limit = 1e-8},
    {.kind = OP_ATTENTION, .before = OP_BIAS_ROPE_KV, .T = 1, .H = 9, .G = 3, .E = 96, .past = 30, .add = true, .neighbours = true, .limit = 1e-8},
    {.kind = OP_ATTENTION, .before = OP_BIAS_ROPE_KV, .T = 1, .H = 14, .G = 2, .E = 64, .past = 300, .kv = PUMICE_KV_Q8_0, .limit = 2e-6},
    {.kind = OP_SWIGLU, .T = 1, .K = 1, .limit = 1e-12},
    {.kind = OP_SWIGLU, .T = 3, .K = 3071, .limit = 1e-12},
    {.kind = OP_SAMPLE, .T = 1, .N = 1, .K = 1, .past = 3},
    {.kind = OP_SAMPLE, .T = 1, .N = 700, .K = 20, .past = 3, .all_nan = true},
    {.kind = OP_SAMPLE, .T = 1, .N = 1025, .K = 64, .past = 3, .ties = true},
    {.kind = OP_SAMPLE, .T = 1, .N = 5003, .K = 1, .past = 3},
    {.kind = OP_SAMPLE, .T = 1, .N = 5003, .K = 1, .past = 3, .ties = true},
    {.kind = OP_SAMPLE, .T = 1, .N = 5003, .K = 64, .past = 3},
    {.kind = OP_SAMPLE, .T = 1, .N = 70001, .K = 20, .past = 3},
    {.kind = OP_SAMPLE, .T = 1, .N = 70001, .K = 64, .past = 3, .ties = true},
    {.kind = OP_PEAK, .K = 1000, .past = 5, .limit = 1e-12},
    {.kind = OP_PEAK, .arithmetic = ARITHMETIC_F16, .K = 1000, .past = 5, .limit = 1e-6},
    {.kind = OP_PEAK, .arithmetic = ARITHMETIC_INT8, .K = 1000, .past = 5, .limit = 0},
    {.kind = OP_PEAK, .arithmetic = ARITHMETIC_MATRIX, .K = 1024, .past = 64, .limit = 1e-10},
    {.kind = OP_COPY, .K = 1001, .limit = 0},
};

/* Rows of arithmetic that the device lacks are not. */
static bool can_run(const struct backend *b, const struct kernel_row *row)
{
    return row->arithmetic == ARITHMETIC_F32 || (b->calls->has_arithmetic && b->calls->has_arithmetic(b, row->arithmetic));
}

enum pumice_status kernel_table_run(struct backend *tested, const struct kernel_filter *filter, uint64_t seed,
                                    void (*report)(void *user, const struct pumice_selftest_row *row), void *user,
                                    size_t *n_rows, size_t *n_wrong)
{
    enum pumice_status st = PUMICE_OK;
    struct kernel_rig rig = {.side = {tested, NULL}, .n_sides = 2};
    const struct backend_options reference = {.device = "reference"};
    *n_rows = *n_wrong = 0;
    TRY(cpu_backend_create(&reference, &rig.side[1]));
    for (uint32_t v = 0;; v++) {
        const char *variant = tested->calls->variant ? tested->calls->variant(tested, v) : v == 0 ? "plain" : NULL;
        if (!variant) break;
        if (v % filter->parts != filter->part) continue;
        for (size_t i = 0; i < COUNT_OF(table); i++) {
            struct pumice_selftest_row row = {0};
            if (v > 0 && (mix_u64(i) + v) % filter->stride != 0) continue; /* mixed: rows repeat with the types */
            kernel_name(&table[i], variant, row.name, sizeof row.name);
            if ((filter->only && !strstr(row.name, filter->only)) || !can_run(tested, &table[i])) continue;
            rig.random = seed + i * 1000003;
            TRY(kernel_run_row(&rig, &table[i], &row));
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

static bool needed(const struct kernel_row *row, const struct kernel_needs *needs)
{
    switch (row->kind) {
    case OP_MATMUL:
    case OP_NORM_MATMULS:
    case OP_NORM_GATE_UP:
    case OP_EMBED: return row->type < COUNT_OF(needs->types) && needs->types[row->type];
    case OP_QK_NORM_ROPE_KV:
    case OP_BIAS_ROPE_KV: return row->kind == needs->rope && row->kv == needs->kv;
    case OP_ATTENTION: return row->kv == needs->kv && (!row->before || row->before == needs->rope);
    case OP_PEAK: return false;
    default: return true;
    }
}

enum pumice_status kernel_table_check(struct backend *tested, const struct kernel_needs *needs, const struct pumice_engine_params *params,
                                      size_t *n_rows, size_t *n_wrong, char *name, size_t name_bytes)
{
    enum pumice_status st = PUMICE_OK;
    struct kernel_rig rig = {.side = {tested, NULL}, .n_sides = 2};
    const struct backend_options reference = {.device = "reference"};
    *n_rows = *n_wrong = 0;
    TRY(cpu_backend_create(&reference, &rig.side[1]));
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct pumice_selftest_row row = {0};
        if (!needed(&table[i], needs)) continue;
        if (params->progress && !params->progress(params->user, "check", (float)i / (float)COUNT_OF(table)))
            TRY(err_set(PUMICE_CANCELLED, "checking the device was cancelled"));
        rig.random = 1 + i * 1000003;
        st = kernel_run_row(&rig, &table[i], &row);
        if (st == PUMICE_UNSUPPORTED || st == PUMICE_DEVICE) { /* as when the driver's compiler fails: as bad as a wrong result */
            log_line(PUMICE_LOG_INFO, "self-test: %s", pumice_error());
            st = backend_alive(tested);
            row.ok = false;
        }
        TRY(st);
        ++*n_rows;
        if (row.ok || ++*n_wrong > 1) continue;
        kernel_name(&table[i], "", name, name_bytes);
    }
fail:
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
                                            .validate = params && params->validate, .n_threads = params ? params->n_threads : 0};
    *n_rows = *n_wrong = 0;
    TRY(backend_create(&options, &tested));
    TRY(kernel_table_run(tested, &(struct kernel_filter){only, 1, 0, 1}, seed, report, user, n_rows, n_wrong));
fail:
    if (tested) tested->calls->destroy(tested);
    return st;
}
