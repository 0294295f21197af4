/* kernels: the inner loops of the fast path, one set per instruction set (kernels_*.c); chosen once, when the back end is
 * made. Quantised weights are multiplied as integers, in the interleaved form that pack.c makes of them. */
#ifndef PUMICE_CPU_KERNELS_H
#define PUMICE_CPU_KERNELS_H

#include "gguf.h"
#include "kv_layout.h"

enum {
    CPU_MAX_GROUP = 16,  /* of cpu_kernels.group */
    CPU_TILE = 8,        /* tokens that share one unpacked block of weights */
    CPU_BLOCK = 32,      /* weights, and activations, in a block */
    CPU_ROWS = 4,        /* rows of F32, F16, BF16 that are converted and multiplied together */
    CPU_SLICE = 512,     /* positions of a cache that are gathered by themselves, then merged in order */
    CPU_QUERIES = 16,    /* heads times tokens that share one pass over a KV head */
    CPU_MAX_HEAD = 256,
};

/* How a quantised type looks when packed (pack.c): w = d * scale * (q - offset) + m * min. One d and one m serve `blocks`
 * blocks of 32 weights; scale and min are small integers of each block, or of each of its halves, and 1 where blocks is 1. */
struct cpu_form {
    uint8_t bits;   /* of q; 8: signed bytes */
    uint8_t blocks; /* 1, or 8 with small integer scales */
    uint8_t groups; /* scales in a block: 1, or 2 for 16 weights each */
    bool min;       /* there are m and min */
    uint8_t offset;
    bool iq4; /* q stands for quant_iq4[q] */
};
#define CPU_FORMS(X)                                                                                         \
    X(Q8_0, 8, 1, 1, false, 0, false)                                                                        \
    X(Q4_0, 4, 1, 1, false, 8, false)                                                                        \
    X(Q4_1, 4, 1, 1, true, 0, false)                                                                         \
    X(Q5_0, 5, 1, 1, false, 16, false)                                                                       \
    X(Q5_1, 5, 1, 1, true, 0, false)                                                                         \
    X(IQ4_NL, 4, 1, 1, false, 0, true)                                                                       \
    X(Q2_K, 2, 8, 2, true, 0, false)                                                                         \
    X(Q3_K, 3, 8, 2, false, 4, false)                                                                        \
    X(Q4_K, 4, 8, 1, true, 0, false)                                                                         \
    X(Q5_K, 5, 8, 1, true, 0, false)                                                                         \
    X(Q6_K, 6, 8, 2, false, 32, false)                                                                       \
    X(IQ4_XS, 4, 8, 1, false, 0, true)

/* Rows of activations, rounded to x = d * q by blocks of 32: |q| <= 127, d = max|x| / 127. A block with an infinity or a
 * NaN has d = NaN and q = 0. */
struct cpu_input {
    int8_t *q;   /* [T, K] */
    float *d;    /* [T, K/32] */
    float *s32;  /* [T, K/32]: d times the sum of the block's q */
    float *s16;  /* [T, K/16]: the same of its halves */
};

/* One pass of attention: n_tokens tokens, of each n_heads query heads, over positions begin .. end - 1 of one KV head, of which
 * the first token sees those below n, the second one more. What a query has gathered of them is a *part*: the largest score,
 * the sum of the weights relative to it, and the values weighted so, [E]. One that sees none of them has a sum of 0. */
struct cpu_attention {
    const float *q;        /* first token's first head, [E] each; the heads follow each other */
    const uint8_t *k, *v;  /* this KV head (kv_layout.h) */
    float *parts;          /* [n_tokens, n_heads, CPU_PART(E)] */
    uint64_t n, C, token_stride; /* from one token to the next in q */
    uint64_t begin, end;         /* begin a multiple of CPU_SLICE */
    uint32_t n_tokens, n_heads, E; /* n_tokens * n_heads <= CPU_QUERIES, E <= CPU_MAX_HEAD */
    enum pumice_kv type;
    float scale;
};
#define CPU_PART(E) ((E) + 2)

struct cpu_kernels {
    const char *name;
    uint32_t group; /* rows that are interleaved (pack.c) and multiplied side by side */
    /* Row t of *out = x[k] rounded; k a multiple of 32. */
    void (*round_input)(const float *x, uint32_t k, uint32_t t, const struct cpu_input *out);
    /* out[i * group + r] = row r of the packed group . row t + i of x, for n_x rows of x, at most CPU_TILE. Every
     * row's sum is the same whatever n_x. type: one of CPU_FORMS. */
    void (*product)(uint32_t type, const uint8_t *group, const struct cpu_input *x, uint32_t t, uint32_t n_x, uint32_t k,
                    float *out);
    /* y[k] = the k weights at `row`; F32, F16 or BF16. */
    void (*convert)(uint32_t type, const uint8_t *row, float *y, uint32_t k);
    /* out[t * CPU_ROWS + r] = rows[r] . x[t, :], for all CPU_ROWS rows and n_x rows of x [n_x, k]; n_x is 1, or 2 for F32. */
    void (*dot)(uint32_t type, const uint8_t *const *rows, const float *x, uint32_t n_x, uint32_t k, float *out);
    /* y[n] = x[n] / sqrt(mean(x^2) + eps) * w[n]; y may be x. */
    void (*rms_norm)(const float *x, const float *w, float eps, uint32_t n, float *y);
    /* The same for a head, w NULL: not normalised; then each pair (i, i + n/2) turned by the angle whose cosine is turn[i]
     * and whose sine is turn[n/2 + i]. y may be x. */
    void (*norm_rope)(const float *x, const float *w, float eps, uint32_t n, const float *turn, float *y);
    void (*kv_write)(enum pumice_kv type, uint8_t *head, uint64_t C, uint32_t E, uint64_t p, const float *x); /* kv_row_write */
    /* y[n] = silu(gate[n]) * up[n]; y may be gate. */
    void (*swiglu)(const float *gate, const float *up, float *y, uint32_t n);
    void (*attention)(const struct cpu_attention *a);
    /* part (sum > 0) = both together; from: what comes after it. */
    void (*attention_merge)(float *part, const float *from, uint32_t E);
};

#endif
