/* sample: see sample.h and MODEL.md 5. Pure: the same logits, parameters, seed and draw give the same token on every machine.
 *
 * Order: NaN never wins (all NaN: id 0). Candidates are the top_k largest logits (by logit, then id), one at temperature 0 ->
 * weights at the temperature -> top_p (the smallest leading set that has at least p of the sum) -> min_p (of these, the
 * leading ones with at least min_p times the largest weight) -> one draw. */
#include "sample.h"

#include <math.h>

_Static_assert(sizeof(struct candidate) == 8, "pumice_sample's scratch is n_vocab * 8 bytes");

static bool before(struct candidate a, struct candidate b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); }

/* Heap whose root is the candidate that comes last. */
static void sift_down(struct candidate *heap, uint32_t n, uint32_t i)
{
    for (;;) {
        uint32_t last = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(heap[last], heap[child])) last = child;
        if (last == i) return;
        const struct candidate c = heap[i];
        heap[i] = heap[last];
        heap[last] = c;
        i = last;
    }
}

/* Fills c with the k foremost candidates in order; returns their number. One pass over the logits. */
static uint32_t foremost(const float *logits, uint32_t n, uint32_t k, struct candidate *c)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct candidate next = {logits[i], i};
        if (isnan(next.logit)) continue;
        if (used < k) {
            c[used++] = next;
            if (used == k)
                for (uint32_t j = k / 2; j-- > 0;) sift_down(c, k, j);
        } else if (before(next, c[0])) {
            c[0] = next;
            sift_down(c, k, 0);
        }
    }
    if (used < k)
        for (uint32_t j = used / 2; j-- > 0;) sift_down(c, used, j);
    for (uint32_t m = used; m-- > 1;) { /* heap sort: the last candidate goes to the end */
        const struct candidate last = c[0];
        c[0] = c[m];
        c[m] = last;
        sift_down(c, m, 0);
    }
    return used;
}

uint32_t sample_k(const struct pumice_sampling *s) { return s->temperature > 0 ? s->top_k : 1; }

/* x of 2^bits, within 0 .. 2^bits; NaN is 0. */
static uint32_t fraction(float x, int bits) { return x > 0 ? (uint32_t)ceil((double)MIN(x, 1.0f) * (double)(1u << bits)) : 0; }

void sample_setup(const struct pumice_sampling *s, struct draws *d)
{
    const double most = 1e30; /* infinity times 0 is NaN */
    d->sharpness = s->temperature > 0 ? (float)MIN(1.4426950408889634 / (double)s->temperature, most) : 1.0f;
    d->top_p = fraction(s->top_p, 31);
    d->min_weight = fraction(s->min_p, 30);
}

/* splitmix64's mixing function over (seed, draw): a counter, not a state. */
uint32_t sample_uniform(uint64_t seed, uint64_t draw)
{
    const uint64_t z = seed * 0xd1342543de82ef95u + (draw + 1) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mix_u64(mix_u64(z)) >> 32);
}

static uint32_t mul_high(uint32_t a, uint32_t b) { return (uint32_t)((uint64_t)a * b >> 32); }

/* 2^-(n + z / 2^32) by the series of 2^-z, alternating, in 32-bit fractions. */
uint32_t sample_weight(const struct draws *d, float best, float logit)
{
    static const uint32_t c[] = {/* ln(2)^i / i! of 2^32, i = 1 .. 11 */
                                 0xb17217f8, 0x3d7f7bff, 0x0e35846c, 0x0276556e, 0x00576200, 0x000a1849, 0x0000ffe6,
                                 0x0000162c, 0x000001b5, 0x0000001e, 0x00000002};
    if (logit == best) return 1u << 30;
    const float distance = best - logit, bits = distance * d->sharpness;
    if (!(bits < 31.0f)) return 0;
    const uint32_t fixed = (uint32_t)(bits * 134217728.0f), n = fixed >> 27, z = fixed << 5;
    uint32_t sum = c[10];
    for (int i = 9; i >= 0; i--) sum = c[i] - mul_high(z, sum);
    const uint32_t w = (1u << 31) - (mul_high(z, sum) >> 1);
    return n > 30 ? 0 : (uint32_t)(((uint64_t)w + (1u << n)) >> (n + 1));
}

/* n * f / 2^bits, rounded up or down; n < 2^48. */
static uint64_t scaled(uint64_t n, uint32_t f, int bits, bool up)
{
    const uint64_t low = (n & 0xffffffff) * f + (up ? (1ull << bits) - 1 : 0);
    return (((n >> 32) * f) << (32 - bits)) + (low >> bits);
}

uint32_t sample_draw(const struct draws *d, uint32_t uniform, const float *logits, uint32_t n, uint32_t k, struct candidate *c)
{
    const uint32_t m = foremost(logits, n, k ? MIN(k, n) : n, c);
    if (m == 0) return 0;
    const float best = c[0].logit;
    uint64_t all = 0, kept = 0, before = 0;
    for (uint32_t i = 0; i < m; i++) all += sample_weight(d, best, c[i].logit);
    const uint64_t enough = scaled(all, d->top_p, 31, true);
    for (uint32_t i = 0; i < m; i++) {
        const uint32_t w = sample_weight(d, best, c[i].logit);
        if (i && (kept >= enough || w < d->min_weight)) break;
        kept += w;
    }
    const uint64_t at = scaled(kept, uniform, 32, false); /* < kept */
    for (uint32_t i = 0;; i++) {
        before += sample_weight(d, best, c[i].logit);
        if (before > at) return c[i].id;
    }
}

int32_t pumice_sample(const struct pumice_sampling *s, const float *logits, uint32_t n_vocab, uint64_t draw, void *scratch)
{
    struct draws d;
    sample_setup(s, &d);
    return (int32_t)sample_draw(&d, sample_uniform(s->seed, draw), logits, n_vocab, sample_k(s), scratch);
}
