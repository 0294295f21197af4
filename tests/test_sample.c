/* test_sample: logits -> token: ties, edges of every parameter, broken logits, and distributions by chi-square. */
#include "check.h"
#include "platform.h"
#include "pumice.h"
#include "sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_V = 151936 };
static uint64_t scratch[MAX_V];

static const struct pumice_sampling greedy = {.temperature = 0, .top_p = 1};

static void test_greedy(void)
{
    const float ties[] = {1, 3, 3, 2, 3};
    const float nans[] = {NAN, NAN, -4, NAN, -3, NAN};
    const float all_nan[] = {NAN, NAN, NAN};
    const float low[] = {-INFINITY, -INFINITY};
    const float high[] = {NAN, 1, INFINITY, INFINITY};
    CHECK(pumice_sample(&greedy, ties, 5, 0, scratch) == 1, "the lowest id wins ties");
    CHECK(pumice_sample(&greedy, nans, 6, 0, scratch) == 4, "NaN never wins");
    CHECK(pumice_sample(&greedy, all_nan, 3, 0, scratch) == 0, "all NaN is id 0");
    CHECK(pumice_sample(&greedy, low, 2, 0, scratch) == 0, "all -infinity is id 0");
    CHECK(pumice_sample(&greedy, high, 4, 0, scratch) == 2, "infinity wins");
    int n_first = 0;
    for (int k = 0; k < 50; k++) {
        const struct pumice_sampling one = {.temperature = 0.7f, .top_k = 1, .top_p = 1, .seed = (uint64_t)k};
        CHECK(pumice_sample(&one, ties, 5, (uint64_t)k, scratch) == 1, "top_k 1 is greedy");
        const struct pumice_sampling tiny_p = {.temperature = 0.7f, .top_p = 0, .seed = (uint64_t)k};
        CHECK(pumice_sample(&tiny_p, ties, 5, (uint64_t)k, scratch) == 1, "top_p 0 keeps the first");
        const struct pumice_sampling full_min = {.temperature = 0.7f, .top_p = 1, .min_p = 1, .seed = (uint64_t)k};
        const int32_t id = pumice_sample(&full_min, ties, 5, (uint64_t)k, scratch);
        CHECK(id == 1 || id == 2 || id == 4, "min_p 1 keeps the equals of the best, not %d", (int)id);
        n_first += id == 1;
    }
    CHECK(n_first > 3 && n_first < 40, "all three equals are drawn; the first %d of 50 times", n_first);
}

static void test_broken(void)
{
    const struct pumice_sampling s = {.temperature = 1, .top_p = 1};
    const float all_nan[] = {NAN, NAN}, some[] = {NAN, 1, NAN, 1}, high[] = {1, INFINITY, 2, INFINITY};
    const float low[] = {-INFINITY, 0, -INFINITY};
    CHECK(pumice_sample(&s, all_nan, 2, 0, scratch) == 0, "all NaN is id 0");
    for (uint64_t draw = 0; draw < 200; draw++) {
        const int32_t a = pumice_sample(&s, some, 4, draw, scratch), b = pumice_sample(&s, high, 4, draw, scratch);
        CHECK(a == 1 || a == 3, "NaN is never drawn, not %d", (int)a);
        CHECK(b == 1 || b == 3, "only infinities are drawn, not %d", (int)b);
        CHECK(pumice_sample(&s, low, 3, draw, scratch) == 1, "-infinity is never drawn");
    }
}

/* The number of draws of each id against the expected shares; returns chi-square. want 0: it must not occur. */
static double chi_square(const struct pumice_sampling *s, const float *logits, uint32_t n, const double *want, int draws,
                         bool by_seed)
{
    double count[16] = {0}, chi = 0;
    for (int i = 0; i < draws; i++) {
        struct pumice_sampling p = *s;
        if (by_seed) p.seed = s->seed + (uint64_t)i;
        const int32_t id = pumice_sample(&p, logits, n, by_seed ? 0 : (uint64_t)i, scratch);
        if (!CHECK(id >= 0 && (uint32_t)id < n && want[id] > 0, "id %d must not be drawn", (int)id)) return INFINITY;
        count[id]++;
    }
    for (uint32_t i = 0; i < n; i++)
        if (want[i] > 0) chi += pow(count[i] - draws * want[i], 2) / (draws * want[i]);
    return chi;
}

static void softmax(const float *logits, uint32_t n, double temperature, const bool *kept, double *out)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += out[i] = kept[i] ? exp((double)logits[i] / temperature) : 0;
    for (uint32_t i = 0; i < n; i++) out[i] /= sum;
}

static void test_distributions(void)
{
    enum { N = 8, DRAWS = 20000 };
    /* probabilities at temperature 1: 0.30 0.05 0.20 0.10 0.15 0.08 0.07 0.05 */
    const double p[N] = {0.30, 0.05, 0.20, 0.10, 0.15, 0.08, 0.07, 0.05};
    float logits[N];
    for (int i = 0; i < N; i++) logits[i] = (float)log(p[i]);
    const struct {
        const char *name;
        struct pumice_sampling s;
        bool kept[N];
    } cases[] = {
        {"plain", {.temperature = 1, .top_p = 1}, {1, 1, 1, 1, 1, 1, 1, 1}},
        {"warm", {.temperature = 2, .top_p = 1}, {1, 1, 1, 1, 1, 1, 1, 1}},
        {"cold", {.temperature = 0.5f, .top_p = 1}, {1, 1, 1, 1, 1, 1, 1, 1}},
        {"top_k 3", {.temperature = 1, .top_k = 3, .top_p = 1}, {1, 0, 1, 0, 1, 0, 0, 0}},
        {"top_k 7: lower id of equals", {.temperature = 1, .top_k = 7, .top_p = 1}, {1, 1, 1, 1, 1, 1, 1, 0}},
        {"top_p 0.7", {.temperature = 1, .top_p = 0.7f}, {1, 0, 1, 1, 1, 0, 0, 0}},
        {"top_p 0.49", {.temperature = 1, .top_p = 0.49f}, {1, 0, 1, 0, 0, 0, 0, 0}},
        {"min_p 0.25", {.temperature = 1, .top_p = 1, .min_p = 0.25f}, {1, 0, 1, 1, 1, 1, 0, 0}},
        {"top_k 4, top_p 0.8, of what top_k left", {.temperature = 1, .top_k = 4, .top_p = 0.8f}, {1, 0, 1, 0, 1, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int by_seed = 0; by_seed < 2; by_seed++) {
            double want[N];
            softmax(logits, N, (double)cases[i].s.temperature, cases[i].kept, want);
            const double chi = chi_square(&cases[i].s, logits, N, want, DRAWS, by_seed);
            CHECK(chi < 24.32, "%s, %s: chi-square %.1f of at most 7 degrees (0.1%%)", cases[i].name, /* 24.32: p = 0.001 */
                  by_seed ? "by seed" : "by draw", chi);
        }
}

/* The integer weights are e^-(distance / temperature) of 2^30 within their rounding and that of two float operations. */
static void test_weights(void)
{
    const float temperatures[] = {0.01f, 0.3f, 0.7f, 1, 1.7f, 100};
    double worst = 0;
    for (size_t t = 0; t < COUNT_OF(temperatures); t++) {
        const struct pumice_sampling s = {.temperature = temperatures[t], .top_p = 1};
        struct draws d;
        uint32_t last = 1u << 30;
        sample_setup(&s, &d);
        for (int i = 0; i < 40000; i++) {
            const float best = 17.25f, logit = best - (float)i * 0.0007f * temperatures[t];
            const double distance = ((double)best - (double)logit) / (double)temperatures[t], want = exp(-distance) * 0x1p30;
            const uint32_t w = sample_weight(&d, best, logit);
            const double limit = 1 + want * (0x1p-26 + distance * 0x1p-23);
            CHECK(fabs((double)w - want) <= limit, "weight of %g at temperature %g: %u, want %.1f", (double)logit,
                  (double)temperatures[t], w, want);
            CHECK(w <= last + 1, "weights fall with the logit");
            worst = fmax(worst, fabs((double)w - want) / limit);
            last = w;
        }
    }
    printf("largest error of a weight: %.2f of what is allowed\n", worst);
    CHECK(worst > 0.1, "the limit says something: %.3f", worst);
    struct draws d;
    sample_setup(&(struct pumice_sampling){.temperature = 1e-45f, .top_p = 1}, &d);
    CHECK(sample_weight(&d, 1, 1) == 1u << 30 && sample_weight(&d, 1, 0.5f) == 0, "hardly any temperature is greedy");
    CHECK(sample_weight(&d, INFINITY, 0) == 0 && sample_weight(&d, 0, -INFINITY) == 0, "infinitely far");
    sample_setup(&(struct pumice_sampling){.temperature = 1, .top_p = 0.5f, .min_p = 2}, &d);
    CHECK(d.top_p == 1u << 30 && d.min_weight == 1u << 30, "fractions of 2^31 and 2^30");
    sample_setup(&(struct pumice_sampling){.temperature = 1, .top_p = NAN, .min_p = -1}, &d);
    CHECK(d.top_p == 0 && d.min_weight == 0, "what is no fraction is 0");
}

/* What a uniform number picks, against running sums in double: 256 numbers over flat, even and peaked logits. */
static void test_against_double(void)
{
    enum { N = 4096 };
    static float logits[N];
    static struct candidate c[N];
    uint64_t state = 5;
    int n_far = 0;
    for (int kind = 0; kind < 3; kind++) {
        const struct pumice_sampling s = {.temperature = 0.9f, .top_p = 1};
        struct draws d;
        double all = 0;
        for (int i = 0; i < N; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            logits[i] = kind == 0 ? 1.0f : (float)(state >> 40) * (kind == 1 ? 0x1p-23f : 0x1p-20f);
            all += exp((double)logits[i] / (double)s.temperature);
        }
        sample_setup(&s, &d);
        for (uint32_t u = 0; u < 256; u++) {
            const uint32_t id = sample_draw(&d, u << 24, logits, N, 0, c);
            double before = 0;
            for (int i = 0; i < N; i++)
                if (logits[i] > logits[id] || (logits[i] == logits[id] && i < (int)id)) before += exp((double)logits[i] / (double)s.temperature);
            const double own = exp((double)logits[id] / (double)s.temperature), at = (double)u / 256 * all;
            n_far += at < before - 1e-6 * all || at > before + own + 1e-6 * all;
        }
    }
    CHECK(n_far == 0, "%d of 768 draws are not what the double softmax says", n_far);
}

static void test_repeatable(void)
{
    const float logits[] = {0, 0, 0, 0, 0, 0, 0, 0};
    int same = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        const struct pumice_sampling a = {.temperature = 1, .top_p = 1, .seed = i}, b = {.temperature = 1, .top_p = 1, .seed = i + 1};
        const int32_t first = pumice_sample(&a, logits, 8, 5, scratch);
        CHECK(first == pumice_sample(&a, logits, 8, 5, scratch), "the same seed and draw give the same token");
        same += first == pumice_sample(&b, logits, 8, 4, scratch); /* neighbours must not be the same stream */
    }
    CHECK(same > 70 && same < 190, "%d of 1000 pairs agree; 125 expected", same);
}

static void test_large(void)
{
    float *logits = malloc(MAX_V * sizeof *logits);
    REQUIRE(logits, "out of memory");
    uint64_t state = 1;
    for (uint32_t i = 0; i < MAX_V; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        logits[i] = (float)(state >> 40) * 0x1p-20f;
    }
    const struct pumice_sampling s = {.temperature = 0.7f, .top_k = 20, .top_p = 0.8f};
    const uint64_t start = platform_now_ns();
    for (uint64_t i = 0; i < 20; i++) {
        const int32_t id = pumice_sample(&s, logits, MAX_V, i, scratch);
        uint32_t better = 0;
        for (uint32_t j = 0; j < MAX_V; j++) better += logits[j] > logits[id];
        CHECK(better < 20, "token %d is only number %u", (int)id, better);
    }
    const double ms = (double)(platform_now_ns() - start) / 20e6;
    CHECK(ms < 50, "one draw from %d logits takes %.1f ms", MAX_V, ms);
    free(logits);
}

int main(void)
{
    test_greedy();
    test_broken();
    test_weights();
    test_against_double();
    test_distributions();
    test_repeatable();
    test_large();
    return check_summary("test_sample");
}
