/* push: the push constants of every shader, one struct an op, read by C and GLSL alike so that they cannot drift.
 * In GLSL define PUSH_<OP> before including; the members are then reached as `p.member`. Sizes are in elements. */
#ifndef PUMICE_PUSH_H
#define PUMICE_PUSH_H

#ifdef PUMICE_GLSL
#define PUSH_BEGIN(name) layout(push_constant, std430) uniform name##_push {
#define PUSH_END } p;
#define U32 uint
#define F32 float
#define ADDRESS64 uvec2
#define WANT(op) defined(op)
#else
#include <stdint.h>
#define PUSH_BEGIN(name) struct name##_push {
#define PUSH_END };
#define U32 uint32_t
#define F32 float
#define ADDRESS64 uint64_t
#define PUSH_EMBED 1
#define PUSH_RMS_NORM 1
#define PUSH_MATMUL 1
#define PUSH_SLICES 1
#define PUSH_ROUND 1
#define PUSH_QK_NORM_ROPE_KV 1
#define PUSH_BIAS_ROPE_KV 1
#define PUSH_ATTENTION 1
#define PUSH_ROPE_ATTENTION 1
#define PUSH_SWIGLU 1
#define PUSH_PEAK 1
#define PUSH_SAMPLE 1
#endif

#ifdef PUSH_EMBED
PUSH_BEGIN(embed)
    U32 row0, n_rows; /* the rows of this part of the table */
    U32 k, row_words;
PUSH_END
#endif

#ifdef PUSH_RMS_NORM
PUSH_BEGIN(rms_norm)
    U32 D;
    F32 eps;
PUSH_END
#endif

#ifdef PUSH_MATMUL
PUSH_BEGIN(matmul)
    U32 rows;      /* rows of W in this part */
    U32 k;         /* row length; x's stride */
    U32 row_words; /* 32-bit words of a packed row */
    U32 x_at;      /* first float of x */
    U32 y_at;      /* float of y where column 0, row 0 of this part goes */
    U32 n;         /* y's stride */
    U32 T;         /* tokens */
    U32 groups_x;  /* workgroups a line of the grid */
    U32 add;       /* 1: y += */
    U32 address_lo, address_hi;   /* of the part, where weights are reached by address */
    U32 address2_lo, address2_hi; /* of the second matrix's */
    F32 eps;                      /* of the norm */
    U32 x_words, x_tokens; /* of rounded x: words a token, tokens (round_*.comp); x_at is then where its scales begin */
PUSH_END
#endif

#ifdef PUSH_SLICES
PUSH_BEGIN(slices)
    ADDRESS64 x;                       /* its first row */
    ADDRESS64 weights[3], y[3];        /* of each matrix: this part of it; the part's first row in y's first line */
    ADDRESS64 norm, normed, counter;   /* where y is normed, too: weights [n[0]]; output; a word that is 0 */
    U32 k, row_words, T, add, groups_x; /* as above */
    U32 rows[3], n[3];                 /* of each matrix: rows of this part; its y's stride. No matrix: 0 rows */
    F32 eps;
PUSH_END
#endif

#ifdef PUSH_ROUND
PUSH_BEGIN(round)
    U32 k, T;     /* of x */
    U32 x_at;     /* first float of x */
    U32 x_words;  /* words a rounded token */
    U32 scale_at; /* word of the first scale, behind the rounded tokens */
PUSH_END
#endif

#ifdef PUSH_QK_NORM_ROPE_KV
PUSH_BEGIN(qk_norm_rope_kv)
    U32 H, G;
    U32 n_q, g0, n_g; /* heads of this dispatch: n_q of q, KV heads g0 .. g0 + n_g - 1 */
    U32 C;            /* positions a head of the caches */
    F32 eps;
PUSH_END
#endif

#ifdef PUSH_BIAS_ROPE_KV
PUSH_BEGIN(bias_rope_kv)
    U32 H, G;
    U32 n_q, g0, n_g, C; /* as above */
PUSH_END
#endif

#ifdef PUSH_ATTENTION
PUSH_BEGIN(attention)
    U32 H, G;
    U32 T;  /* tokens */
    U32 g0; /* KV head at which the caches' window begins */
    U32 C;  /* positions a head of the caches */
    F32 scale;
    U32 block0; /* first block of rows of this dispatch, where there may be several */
PUSH_END
#endif

#ifdef PUSH_ROPE_ATTENTION
PUSH_BEGIN(rope_attention)
    ADDRESS64 q, k, v, q_weight, k_weight, v_weight; /* norm weights or biases */
    ADDRESS64 turns, keys, values, y;
    U32 C;          /* positions a head of the caches */
    F32 eps, scale; /* of the norm; of scores */
PUSH_END
#endif

#ifdef PUSH_SWIGLU
PUSH_BEGIN(swiglu)
    U32 n;
PUSH_END
#endif

#ifdef PUSH_SAMPLE
PUSH_BEGIN(sample)
    U32 n;             /* logits or candidates of this pass */
    U32 in_at, out_at; /* candidates of scratch where it reads and writes */
PUSH_END
#endif

#ifdef PUSH_PEAK
PUSH_BEGIN(peak)
    U32 n, rounds;
PUSH_END
#endif

#endif
