/* sample: what a draw is made of, in arithmetic that the host and every device compute to the bit: two float operations,
 * each correctly rounded, and integers. MODEL.md 5; shaders/sample.comp is the same once more. */
#ifndef PUMICE_SAMPLE_H
#define PUMICE_SAMPLE_H

#include "base.h"

enum {
    SAMPLE_MAX_K = 64, /* candidates that op_sample takes at most */
    SAMPLE_RING = 256  /* ids and uniform numbers between host and device */
};

struct candidate {
    float logit;
    uint32_t id;
};

/* Parameters and results of op_sample; a MEM_STEP buffer, as the shader sees it. */
struct draws {
    float sharpness;     /* log2(e) / temperature */
    uint32_t top_p;      /* of 2^31 */
    uint32_t min_weight; /* min_p of 2^30 */
    uint32_t n;          /* draws made since the host set it to 0 */
    uint32_t uniform[SAMPLE_RING]; /* of draw i at i % SAMPLE_RING: sample_uniform's */
    uint32_t ids[SAMPLE_RING];
};

/* Bytes of scratch that op_sample needs for n logits: two lists of SAMPLE_MAX_K candidates for each 1024 logits. */
static inline uint64_t sample_scratch_bytes(uint64_t n) { return (n + 1023) / 1024 * SAMPLE_MAX_K * 2 * sizeof(struct candidate); }

/* Candidates to draw from: 1 at temperature 0; 0 = all. */
uint32_t sample_k(const struct pumice_sampling *s);
/* Fills the parameters. */
void sample_setup(const struct pumice_sampling *s, struct draws *d);
/* Uniform in 0 .. 2^32-1, a function of (seed, draw) alone. */
uint32_t sample_uniform(uint64_t seed, uint64_t draw);
/* 2^30 e^-((best - logit) / temperature), rounded; 2^30 for equals. */
uint32_t sample_weight(const struct draws *d, float best, float logit);
/* The token for `uniform` among logits[n]; c[k or n]: scratch. */
uint32_t sample_draw(const struct draws *d, uint32_t uniform, const float *logits, uint32_t n, uint32_t k, struct candidate *c);

#endif
