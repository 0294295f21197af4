/* sample: logits -> token. Pure and in double, so that the same logits, parameters, seed and draw give the same token on
 * every machine.
 *
 * Order: NaN never wins (all NaN: id 0). Temperature 0: the largest logit, lowest id among equals. Else: candidates are
 * the top_k largest (by logit, then id) -> softmax at the temperature -> top_p (the smallest leading set whose sum is at
 * least p) -> min_p (at least min_p times the largest probability) -> one draw. */
#include "base.h"

#include <math.h>

struct candidate {
    float logit;
    uint32_t id;
};
_Static_assert(sizeof(struct candidate) == 8, "pumice_sample's scratch is n_vocab * 8 bytes");

/* The generator: splitmix64's mixing function over (seed, draw), a counter, not a state. Uniform in [0, 1). */
static double uniform(uint64_t seed, uint64_t draw)
{
    const uint64_t z = seed * 0xd1342543de82ef95u + (draw + 1) * 0x9e3779b97f4a7c15u;
    return (double)(mix_u64(mix_u64(z)) >> 11) * 0x1p-53;
}

static bool before(struct candidate a, struct candidate b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); }

static int32_t greedy(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best] || (isnan(logits[best]) && !isnan(logits[i]))) best = i;
    return (int32_t)best;
}

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

/* exp of the distance to the best; equal infinities count as equal. */
static double weight_of(struct candidate c, struct candidate best, double temperature)
{
    return c.logit == best.logit ? 1.0 : exp(((double)c.logit - (double)best.logit) / temperature);
}

int32_t pumice_sample(const struct pumice_sampling *s, const float *logits, uint32_t n_vocab, uint64_t draw, void *scratch)
{
    struct candidate *c = scratch;
    const double temperature = (double)s->temperature, top_p = (double)s->top_p, min_p = (double)s->min_p;
    if (n_vocab == 0) return 0;
    if (!(temperature > 0)) return greedy(logits, n_vocab);
    uint32_t n = foremost(logits, n_vocab, s->top_k ? MIN(s->top_k, n_vocab) : n_vocab, c);
    if (n == 0) return 0;
    double all = 0, kept = 0;
    for (uint32_t i = 0; i < n; i++) all += weight_of(c[i], c[0], temperature);
    if (top_p < 1) {
        uint32_t m = 0;
        do kept += weight_of(c[m++], c[0], temperature);
        while (m < n && kept < top_p * all);
        n = m;
    }
    while (n > 1 && weight_of(c[n - 1], c[0], temperature) < min_p) n--;
    kept = 0;
    for (uint32_t i = 0; i < n; i++) kept += weight_of(c[i], c[0], temperature);
    double left = uniform(s->seed, draw) * kept;
    for (uint32_t i = 0; i + 1 < n; i++) {
        left -= weight_of(c[i], c[0], temperature);
        if (left < 0) return (int32_t)c[i].id;
    }
    return (int32_t)c[n - 1].id;
}
