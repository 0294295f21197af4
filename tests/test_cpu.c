/* test_cpu: the CPU back end: the thread pool covers every index once; the reference against values worked out by hand;
 * the fast kernels of every instruction set against the reference (the kernel table); no dependence on the number of
 * threads. */
#include "check.h"
#include "cpu/cpu.h"
#include "gguf.h"
#include "platform.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* --- pool ----------------------------------------------------------------------------------------------------------- */

enum { MAX_N = 1000 };
struct seen {
    atomic_int count[MAX_N];
    atomic_int bad;
    uint64_t grain;
    uint32_t n_threads;
};

static void mark(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    struct seen *s = user;
    if (thread >= s->n_threads || begin % s->grain || end - begin > s->grain || end <= begin) atomic_fetch_add(&s->bad, 1);
    for (uint64_t i = begin; i < end; i++) atomic_fetch_add(&s->count[i], 1);
}

static void test_pool(void)
{
    static struct seen seen;
    const uint32_t threads[] = {1, 2, 3, 8};
    const uint64_t sizes[] = {0, 1, 7, 64, 999, MAX_N}, grains[] = {1, 3, 64, 5000};
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        struct pool *p = NULL;
        REQUIRE(pool_create(threads[i], &p) == PUMICE_OK, "%s", pumice_error());
        CHECK(pool_size(p) == threads[i], "%u threads", pool_size(p));
        for (int round = 0; round < 50; round++)
            for (size_t j = 0; j < COUNT_OF(sizes); j++)
                for (size_t k = 0; k < COUNT_OF(grains); k++) {
                    memset(&seen, 0, sizeof seen);
                    seen.grain = grains[k];
                    seen.n_threads = threads[i];
                    pool_run(p, sizes[j], grains[k], mark, &seen);
                    int wrong = atomic_load(&seen.bad);
                    for (uint64_t x = 0; x < MAX_N; x++) wrong += atomic_load(&seen.count[x]) != (x < sizes[j]);
                    CHECK(wrong == 0, "%u threads, n %llu, grain %llu: %d wrong", threads[i], (unsigned long long)sizes[j],
                          (unsigned long long)grains[k], wrong);
                }
        pool_destroy(p);
    }
}

/* --- one op on a back end ------------------------------------------------------------------------------------------------ */

struct bench {
    struct backend *b;
    struct plan *plan;
};

static struct buf buffer(struct backend *b, const void *data, uint64_t bytes)
{
    struct buf out = {0};
    CHECK(b->calls->buffer_create(b, MEM_SCRATCH, bytes, "test", &out) == PUMICE_OK, "%s", pumice_error());
    if (data) CHECK(b->calls->buffer_write(b, out, 0, data, bytes) == PUMICE_OK, "%s", pumice_error());
    return out;
}

static struct weight weight(struct backend *b, uint32_t n, uint32_t k, const float *data)
{
    struct weight w = {0};
    const struct weight_source src = {.name = "test", .type = GGUF_T_F32, .n = n, .k = k, .data = data};
    CHECK(b->calls->weight_create(b, &src, &w) == PUMICE_OK, "%s", pumice_error());
    return w;
}

static void run_plan(struct backend *b, struct plan *p)
{
    CHECK(b->calls->plan_end(p) == PUMICE_OK && b->calls->plan_run(p) == PUMICE_OK, "%s", pumice_error());
    b->calls->plan_destroy(p);
}

static void near_to(const char *what, const float *got, const double *want, int n, double tolerance)
{
    for (int i = 0; i < n; i++)
        CHECK(fabs((double)got[i] - want[i]) <= tolerance, "%s[%d] is %.9g, not %.9g", what, i, (double)got[i], want[i]);
}

static void test_hand_values(const char *device)
{
    struct backend *b = NULL;
    struct plan *p = NULL;
    REQUIRE(cpu_backend_create(&(struct backend_options){.device = device}, &b) == PUMICE_OK, "%s", pumice_error());
    float out[8];

    /* mean of squares of 3, 4 is 12.5 */
    const struct buf x = buffer(b, (float[]){3, 4}, 8), y = buffer(b, NULL, 8);
    const struct weight norm = weight(b, 1, 2, (float[]){1, 10});
    CHECK(b->calls->plan_begin(b, "norm", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_rms_norm(p, "n", x, &norm, y, 1, 0) == PUMICE_OK, "%s", pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, y, 0, out, 8);
    near_to("rms_norm", out, (double[]){3 / sqrt(12.5), 40 / sqrt(12.5)}, 2, 1e-6);

    /* [1 2; 3 4; 5 6] times (3, 4), then once more on top */
    const struct weight m = weight(b, 3, 2, (float[]){1, 2, 3, 4, 5, 6});
    const struct buf y3 = buffer(b, NULL, 12);
    CHECK(b->calls->plan_begin(b, "matmul", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_matmul(p, "m", x, 0, &m, y3, 1, false) == PUMICE_OK && op_matmul(p, "m", x, 0, &m, y3, 1, true) == PUMICE_OK,
          "%s", pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, y3, 0, out, 12);
    near_to("matmul", out, (double[]){22, 50, 78}, 3, 1e-5);

    /* silu(1) * 2, silu(-2) * 3 */
    const struct buf gate = buffer(b, (float[]){1, -2}, 8), up = buffer(b, (float[]){2, 3}, 8);
    CHECK(b->calls->plan_begin(b, "swiglu", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_swiglu(p, "s", gate, up, gate, 1, 2) == PUMICE_OK, "%s", pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, gate, 0, out, 8);
    near_to("swiglu", out, (double[]){1.4621171572600098, -0.7152175199318655}, 2, 1e-6);
    b->calls->destroy(b);
}

/* RoPE without norms, position 3, base 100, E 4: pairs (0, 2) by 3 rad and (1, 3) by 0.3 rad; then attention over two
 * positions whose scores differ by ln 3, so that the weights are 1/4 and 3/4. */
static void test_rope_attention(const char *device)
{
    struct backend *b = NULL;
    struct plan *p = NULL;
    REQUIRE(cpu_backend_create(&(struct backend_options){.device = device}, &b) == PUMICE_OK, "%s", pumice_error());
    const uint32_t step_words[5] = {3, 1, 0, 0, 0};
    uint16_t kv[16];
    float out[4];
    const struct buf step = buffer(b, step_words, sizeof step_words);
    const struct buf q = buffer(b, (float[]){1, 2, 3, 4}, 16), k = buffer(b, (float[]){1, 0, 0, 1}, 16),
                     v = buffer(b, (float[]){5, 6, 7, 8}, 16);
    const struct buf k_cache = buffer(b, NULL, 4 * 4 * 2), v_cache = buffer(b, NULL, 4 * 4 * 2), spare = buffer(b, NULL, 32);
    const struct kv_layer cache = {.k = k_cache, .v = v_cache, .C = 4}, unused = {.k = spare, .v = spare, .C = 4};
    CHECK(b->calls->plan_begin(b, "rope", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_bias_rope_kv(p, "r", step, q, k, v, NULL, NULL, NULL, &cache, 1, 1, 1, 4,
                          &(struct rope){.base = 100}) == PUMICE_OK, "%s", pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, q, 0, out, 16);
    near_to("rope", out,
            (double[]){cos(3) - 3 * sin(3), 2 * cos(.3) - 4 * sin(.3), sin(3) + 3 * cos(3), 2 * sin(.3) + 4 * cos(.3)}, 4, 1e-6);
    const struct weight bias = weight(b, 1, 4, (float[]){1, 2, 3, 4}); /* neighbours: (0, 1) by 3 rad, (2, 3) by 0.3 / 2 */
    b->calls->buffer_write(b, q, 0, (float[]){0, 0, 0, 0}, 16);
    CHECK(b->calls->plan_begin(b, "rope", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_bias_rope_kv(p, "r", step, q, k, v, &bias, &bias, &bias, &unused, 1, 1, 1, 4,
                          &(struct rope){.base = 100, .neighbours = true, .factors = (float[]){1, 2}}) == PUMICE_OK, "%s",
          pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, q, 0, out, 16);
    near_to("rope of neighbours", out,
            (double[]){cos(3) - 2 * sin(3), sin(3) + 2 * cos(3), 3 * cos(.15) - 4 * sin(.15), 3 * sin(.15) + 4 * cos(.15)}, 4, 1e-6);
    b->calls->buffer_read(b, k_cache, 3 * 8, kv, 8);
    for (int i = 0; i < 4; i++) out[i] = f32_of_f16(kv[i]);
    near_to("k cache", out, (double[]){cos(3), -sin(.3), sin(3), cos(.3)}, 4, 5e-4);
    b->calls->buffer_read(b, v_cache, 3 * 8, kv, 8);
    for (int i = 0; i < 4; i++) out[i] = f32_of_f16(kv[i]);
    near_to("v cache", out, (double[]){5, 6, 7, 8}, 4, 0);

    const float keys[8] = {0, 0, 0, 0, 1, 0, 0, 0}, values[8] = {4, 8, 0, 1, 8, 0, 0, 1};
    for (int i = 0; i < 8; i++) kv[i] = f16_of_f32(keys[i]);
    for (int i = 0; i < 8; i++) kv[8 + i] = f16_of_f32(values[i]);
    const uint32_t second[5] = {1, 1, 0, 0, 0};
    b->calls->buffer_write(b, step, 0, second, sizeof second);
    b->calls->buffer_write(b, k_cache, 0, kv, 16);
    b->calls->buffer_write(b, v_cache, 0, kv + 8, 16);
    b->calls->buffer_write(b, q, 0, (float[]){2, 0, 0, 0}, 16);
    const struct buf y = buffer(b, NULL, 16);
    CHECK(b->calls->plan_begin(b, "attention", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_attention(p, "a", step, q, &cache, y, 1, 1, 1, 4, (float)(log(3) / 2)) == PUMICE_OK, "%s",
          pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, y, 0, out, 16);
    near_to("attention", out, (double[]){7, 2, 0, 1}, 4, 1e-5);
    CHECK(b->calls->plan_begin(b, "large", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_attention(p, "a", step, q, &cache, y, 1, 1, 1, 258, 1) == PUMICE_UNSUPPORTED, "E 258 is refused");
    b->calls->plan_destroy(p);
    b->calls->destroy(b);
}

/* --- caches ---------------------------------------------------------------------------------------------------------- */

/* What is written and read back: halves are as they were, Q8_0 within half a step; NaN makes one block NaN; no other position
 * changes. In every set of kernels, which round as the plain code does. */
static void test_rows(enum pumice_kv type, uint32_t E)
{
    enum { C = 64, P = 5 };
    static uint8_t head[C * 2 * CPU_MAX_HEAD], other[sizeof head], before[sizeof head];
    float x[CPU_MAX_HEAD], y[CPU_MAX_HEAD];
    for (uint32_t i = 0; i < E; i++) x[i] = (float)((int)(i * 37 % 101) - 50) * (i < 32 ? 0.01f : 1000.0f);
    for (int round = 0; round < 2; round++) {
        memset(head, 0xa5, sizeof head);
        memcpy(before, head, sizeof head);
        kv_row_write(type, head, C, E, P, x);
        kv_row_read(type, head, C, E, P, y);
        for (uint32_t i = 0; i < E; i++) {
            const float step = type == PUMICE_KV_F16 ? fabsf(x[i]) / 1024 : (i < 32 ? 0.5f : 50000.0f) / 127;
            if (round == 1 && (type == PUMICE_KV_F16 ? i == 1 : i < 32)) CHECK(isnan(y[i]), "%u: %g", i, (double)y[i]);
            else CHECK(fabsf(x[i] - y[i]) <= 0.51f * step, "%u: %g became %g", i, (double)x[i], (double)y[i]);
        }
        for (uint32_t p = 0; p < C; p++) {
            const uint64_t a = kv_plane_bytes(type, E, 0), b = kv_plane_bytes(type, E, 1);
            const bool same = memcmp(head + p * a, before + p * a, a) == 0 &&
                              memcmp(head + C * a + p * b, before + C * a + p * b, b) == 0;
            CHECK(same == (p != P), "position %u", p);
        }
        for (uint32_t k = 0; cpu_kernels_variant(k); k++) {
            memcpy(other, before, sizeof other);
            cpu_kernels_variant(k)->kv_write(type, other, C, E, P, x);
            CHECK(memcmp(head, other, sizeof head) == 0, "%s rounds otherwise", cpu_kernels_variant(k)->name);
        }
        x[1] = NAN;
    }
}

/* Attention over a length of several slices: the same bits on any number of threads, shared over the heads or the length. */
static void test_slices(enum pumice_kv type, uint32_t T, uint32_t past)
{
    enum { H = 6, G = 2, E = 64, MAX_T = 3 };
    static float q[MAX_T * H * E], want[MAX_T * H * E], got[MAX_T * H * E], row[E];
    static uint8_t cache[2 * G * 2048 * 2 * E];
    const uint32_t C = kv_round_up(past + T), threads[] = {1, 2, 3, 8};
    const uint64_t bytes = C * G * kv_row_bytes(type, E);
    REQUIRE(2 * bytes <= sizeof cache && T <= MAX_T, "too long");
    for (size_t i = 0; i < COUNT_OF(q); i++) q[i] = (float)(mix_u64(i) % 1000) / 500 - 1;
    for (uint32_t i = 0; i < 2 * G; i++)
        for (uint32_t p = 0; p < C; p++) {
            for (uint32_t e = 0; e < E; e++) row[e] = (float)(mix_u64(((uint64_t)i * C + p) * E + e + 99) % 1000) / 300 - 1.5f;
            kv_row_write(type, cache + i * bytes / G, C, E, p, row);
        }
    for (size_t n = 0; n < COUNT_OF(threads); n++) {
        struct backend *b = NULL;
        struct plan *p = NULL;
        REQUIRE(cpu_backend_create(&(struct backend_options){.device = "cpu", .n_threads = threads[n]}, &b) == PUMICE_OK, "%s",
                pumice_error());
        const uint32_t words[5] = {past, T};
        const struct buf step = buffer(b, words, sizeof words), x = buffer(b, q, T * H * E * 4), y = buffer(b, NULL, T * H * E * 4);
        const struct kv_layer kv = {.k = buffer(b, cache, bytes), .v = buffer(b, cache + bytes, bytes), .C = C, .type = type};
        CHECK(b->calls->plan_begin(b, "slices", &p) == PUMICE_OK, "%s", pumice_error());
        CHECK(op_attention(p, "a", step, x, &kv, y, T, H, G, E, 0.125f) == PUMICE_OK, "%s", pumice_error());
        run_plan(b, p);
        b->calls->buffer_read(b, y, 0, n ? got : want, T * H * E * 4);
        CHECK(n == 0 || memcmp(got, want, T * H * E * 4) == 0, "%u tokens after %u: %u threads have other bits", T, past, threads[n]);
        b->calls->destroy(b);
    }
}

static void test_caches(void)
{
    for (uint32_t E = 32; E <= CPU_MAX_HEAD; E += 32) test_rows(PUMICE_KV_Q8_0, E);
    for (uint32_t E = 2; E <= CPU_MAX_HEAD; E += 42) test_rows(PUMICE_KV_F16, E);
    for (enum pumice_kv type = 0; pumice_kv_name(type); type++) {
        test_slices(type, 1, 1300);
        test_slices(type, 1, 511);
        test_slices(type, 3, 510); /* the last token sees a slice that the others do not */
        test_slices(type, 3, 2040);
    }
}

/* --- integer products ------------------------------------------------------------------------------------------------ */

static uint64_t random_state;
static uint32_t next_random(void) { return (uint32_t)(mix_u64(random_state += 0x9e3779b97f4a7c15u) >> 32); }

/* Seven rows of random bits: any eight tokens together give the bits of each alone, in every set of kernels. */
static void same_for_any_batch(const struct cpu_kernels *k, uint32_t type)
{
    enum { K = 512, ROWS = 7, T = 8 };
    static int8_t q[T * K];
    static float x[K], d[T * K / 32], s32[T * K / 32], s16[T * K / 16], alone[CPU_MAX_GROUP], together[T * CPU_MAX_GROUP];
    static uint8_t rows[ROWS * K * 2], group[CPU_MAX_GROUP * K * 2];
    const struct cpu_input in = {q, d, s32, s16};
    const uint64_t row_bytes = gguf_type(type)->block_bytes * (K / gguf_type(type)->block_n);
    REQUIRE(cpu_packed_group_bytes(type, k->group, K) <= sizeof group, "%s is larger", gguf_type(type)->name);
    for (size_t i = 0; i < ROWS * row_bytes; i++) rows[i] = (uint8_t)(next_random() & 0x3f); /* no scale is infinite */
    cpu_pack_group(type, k->group, rows, row_bytes, ROWS, K, group);
    for (uint32_t t = 0; t < T; t++) {
        for (uint32_t i = 0; i < K; i++) x[i] = (float)(int32_t)next_random() * 0x1p-31f;
        k->round_input(x, K, t, &in);
    }
    for (uint32_t n = 2; n <= T; n++) {
        k->product(type, group, &in, T - n, n, K, together);
        for (uint32_t t = 0; t < n; t++) {
            k->product(type, group, &in, T - n + t, 1, K, alone);
            CHECK(memcmp(alone, together + t * k->group, k->group * sizeof *alone) == 0, "%s %s: token %u of %u", k->name,
                  gguf_type(type)->name, t, n);
        }
    }
    CHECK(alone[0] != 0 && isfinite(alone[0]) && alone[ROWS] == 0, "%s %s: %g, and %g for a row that is missing", k->name,
          gguf_type(type)->name, (double)alone[0], (double)alone[ROWS]);
}

/* Halfway cases go to even, zeros stay zeros, and what cannot be rounded makes the block NaN and no other. */
static void rounds(const struct cpu_kernels *k)
{
    static float x[128], d[4], s32[4], s16[8];
    static int8_t q[128];
    const struct cpu_input in = {q, d, s32, s16};
    x[0] = -127, x[1] = 0.5f, x[2] = 1.5f, x[20] = 3;
    x[70] = INFINITY;
    x[100] = 1e-38f;
    k->round_input(x, 128, 0, &in);
    CHECK(q[0] == -127 && q[1] == 0 && q[2] == 2 && q[20] == 3 && d[0] == 1, "%s: %d %d %d %d, %g", k->name, q[0], q[1], q[2],
          q[20], (double)d[0]);
    CHECK(s16[0] == -125 && s16[1] == 3 && s32[0] == -122, "%s: sums %g %g %g", k->name, (double)s16[0], (double)s16[1],
          (double)s32[0]);
    CHECK(d[1] == 0 && s32[1] == 0 && q[40] == 0, "%s: a block of zeros", k->name);
    CHECK(isnan(d[2]) && isnan(s32[2]) && q[70] == 0, "%s: infinity gives %g", k->name, (double)d[2]);
    CHECK(d[3] == 0 && q[100] == 0, "%s: a block too small to scale", k->name);
    x[70] = NAN;
    k->round_input(x, 128, 0, &in);
    CHECK(isnan(d[2]) && d[0] == 1, "%s: NaN gives %g", k->name, (double)d[2]);
}

static void test_integers(void)
{
#define TYPE(type, ...) GGUF_T_##type,
    static const uint32_t types[] = {CPU_FORMS(TYPE)};
    for (uint32_t i = 0; cpu_kernels_variant(i); i++) {
        rounds(cpu_kernels_variant(i));
        for (size_t t = 0; t < COUNT_OF(types); t++) same_for_any_batch(cpu_kernels_variant(i), types[t]);
    }
    CHECK(cpu_form_find(GGUF_T_Q4_K) && !cpu_form_find(GGUF_T_F16) && !cpu_form_find(1000), "which types are packed");
}

/* --- the kernel table ---------------------------------------------------------------------------------------------------- */

static void on_row(void *user, const struct pumice_selftest_row *row)
{
    (void)user;
    CHECK(row->ok, "%s: nmse %g of at most %g, max %g %s", row->name, row->nmse, row->nmse_limit, row->max_abs, row->note);
}

static void test_table(const char *device)
{
    size_t n_rows = 0, n_wrong = 0;
    const struct pumice_engine_params params = {.device = device};
#ifdef __SANITIZE_THREAD__ /* threads share the rows of all in the same way, and the sanitizer takes minutes for them */
    const char *only = "Q4_K";
    const uint64_t n_seeds = 1;
#else
    const char *only = NULL;
    const uint64_t n_seeds = 2;
#endif
    for (uint64_t seed = 1; seed <= n_seeds; seed++) {
        CHECK(pumice_selftest(&params, only, seed, on_row, NULL, &n_rows, &n_wrong) == PUMICE_OK, "%s", pumice_error());
        CHECK(n_rows > (only ? 10 : 60) && n_wrong == 0, "%zu rows, %zu wrong", n_rows, n_wrong);
    }
}

/* Plan memory and buffers come back. */
static void test_buffers(void)
{
    struct backend *b = NULL;
    REQUIRE(cpu_backend_create(&(struct backend_options){.device = "cpu", .n_threads = 1}, &b) == PUMICE_OK, "%s",
            pumice_error());
    struct buf all[200];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(all); i++) all[i] = buffer(b, &i, sizeof i);
        CHECK(b->calls->device_bytes(b) == sizeof all[0].offset * COUNT_OF(all), "%llu bytes",
              (unsigned long long)b->calls->device_bytes(b));
        for (size_t i = 0; i < COUNT_OF(all); i++) {
            size_t back = 0;
            b->calls->buffer_read(b, all[i], 0, &back, sizeof back);
            CHECK(back == i, "buffer %zu holds %zu", i, back);
        }
        for (size_t i = 0; i < COUNT_OF(all); i++) b->calls->buffer_destroy(b, &all[i]);
        CHECK(b->calls->device_bytes(b) == 0, "everything is given back");
    }
    b->calls->destroy(b);
}

int main(void)
{
    test_pool();
    test_buffers();
    test_hand_values("reference");
    test_hand_values("cpu");
    test_rope_attention("reference");
    test_rope_attention("cpu");
    test_caches();
    test_integers();
    test_table("cpu");
    return check_summary("test_cpu");
}
