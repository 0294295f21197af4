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
    CHECK(b->calls->plan_begin(b, "rope", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_bias_rope_kv(p, "r", step, q, k, v, NULL, NULL, NULL, k_cache, v_cache, 1, 1, 1, 4, 4,
                          &(struct rope){.base = 100}) == PUMICE_OK, "%s", pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, q, 0, out, 16);
    near_to("rope", out,
            (double[]){cos(3) - 3 * sin(3), 2 * cos(.3) - 4 * sin(.3), sin(3) + 3 * cos(3), 2 * sin(.3) + 4 * cos(.3)}, 4, 1e-6);
    const struct weight bias = weight(b, 1, 4, (float[]){1, 2, 3, 4}); /* neighbours: (0, 1) by 3 rad, (2, 3) by 0.3 / 2 */
    b->calls->buffer_write(b, q, 0, (float[]){0, 0, 0, 0}, 16);
    CHECK(b->calls->plan_begin(b, "rope", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_bias_rope_kv(p, "r", step, q, k, v, &bias, &bias, &bias, spare, spare, 1, 1, 1, 4, 4,
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
    CHECK(op_attention(p, "a", step, q, k_cache, v_cache, y, 1, 1, 1, 4, 4, (float)(log(3) / 2)) == PUMICE_OK, "%s",
          pumice_error());
    run_plan(b, p);
    b->calls->buffer_read(b, y, 0, out, 16);
    near_to("attention", out, (double[]){7, 2, 0, 1}, 4, 1e-5);
    CHECK(b->calls->plan_begin(b, "large", &p) == PUMICE_OK, "%s", pumice_error());
    CHECK(op_attention(p, "a", step, q, k_cache, v_cache, y, 1, 1, 1, 258, 4, 1) == PUMICE_UNSUPPORTED, "E 258 is refused");
    b->calls->plan_destroy(p);
    b->calls->destroy(b);
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
    for (uint64_t seed = 1; seed <= 2; seed++) {
        CHECK(pumice_selftest(&params, NULL, seed, on_row, NULL, &n_rows, &n_wrong) == PUMICE_OK, "%s", pumice_error());
        CHECK(n_rows > 60 && n_wrong == 0, "%zu rows, %zu wrong", n_rows, n_wrong);
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
    test_table("cpu");
    return check_summary("test_cpu");
}
