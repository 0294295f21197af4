/* kernel_rig: one op at given dims on a back end and on the reference, from the same seeded inputs; for the kernel table
 * (selftest.c) and the kernel benchmark (kernel_bench.c).
 *
 * Inputs have outliers of x20 so that a softmax or a scale that is wrong shows; buffers lie at non-zero offsets between
 * guard bands; outputs are filled with NaN before. Compared by normalised mean square error and largest difference.
 *
 * A back end that rounds activations is tested in two steps, so that no limit needs to be loose: the rounded row against the
 * limit that the back end states, and the product against the reference's product of the rounded rows. Where kernels
 * round weights, too, the reference gets rounded ones; so it does with q, K and V of attention by matrices of halves. */
#ifndef PUMICE_KERNEL_RIG_H
#define PUMICE_KERNEL_RIG_H

#include "ops.h"

struct kernel_row {
    enum op_kind kind;
    uint32_t type; /* of the weight */
    uint32_t T, N, K, H, G, E, past; /* norm_matmuls: [N,K], [N/2+1,K], and [N/2+1,K] of f32 */
    bool add;      /* matmul; bias_rope_kv: no biases */
    bool neighbours, factors; /* of RoPE */
    bool ties, all_nan;       /* of the logits of sample: N of them, K candidates */
    uint32_t x_row;
    enum pumice_kv kv; /* of attention and what writes the caches */
    enum arithmetic arithmetic; /* of OP_PEAK */
    enum op_kind before; /* recorded in front of it, T = 1: of attention, RoPE; of norm_*, a matmul [K,KERNEL_BEFORE_K]
                          * that adds to x */
    double limit;  /* of the NMSE */
};

/* The shape of a twin that is a K or V cache. */
struct kernel_cache {
    uint32_t C, G, E;
    enum pumice_kv type;
};

/* A buffer on both back ends with the same bytes, between guard bands. */
struct kernel_twin {
    struct buf whole[2], buf[2]; /* [0] tested, [1] reference */
    uint8_t *bytes;              /* what was written: guard, contents, guard */
    uint64_t n_bytes;
    bool output, scratch, exact; /* compared afterwards; only the guards are; every bit */
    struct kernel_cache cache;   /* of floats if C is 0 */
};

enum { KERNEL_MAX_TWINS = 6, KERNEL_BEFORE_K = 768 };

struct kernel_rig {
    struct backend *side[2]; /* [n_sides]: tested, reference */
    uint32_t n_sides;
    struct arena arena;
    float factors[128]; /* of RoPE, E <= 256 */
    uint64_t random;
    bool halves; /* this row's tested kernel rounds weights; of attention: q, K and V, weights of the softmax */
    struct kernel_twin twins[KERNEL_MAX_TWINS];
    uint32_t n_twins;
    double error, power, max_abs;
    char note[128];
};

struct kernel_call {
    struct op op[2], before[2];
    struct weight w[2], w2[2], w3[2], norm[2], w_before[2];
    const float *factors; /* of RoPE */
    struct kernel_twin *x, *y, *z, *k, *v, *y2, *y3, *normed;
};

/* Makes inputs, outputs and weights of a row on the rig's sides, and the calls. */
enum pumice_status kernel_prepare(struct kernel_rig *g, const struct kernel_row *row, struct kernel_call *c);
/* A seeded random weight [n, k] (n = 0: a vector) on each side: out[n_sides]. */
enum pumice_status kernel_weight(struct kernel_rig *g, uint32_t type, uint32_t n, uint32_t k, struct weight *out);
/* A step buffer for the row: position and token ids. */
enum pumice_status kernel_step(struct backend *b, const struct kernel_row *row, struct buf *out);
/* All of it, and the comparison: fills ok, nmse, max_abs, limit and note. */
enum pumice_status kernel_run_row(struct kernel_rig *g, const struct kernel_row *row, struct pumice_selftest_row *out);
void kernel_clear(struct kernel_rig *g); /* gives the row's buffers back */
void kernel_name(const struct kernel_row *row, const char *variant, char *name, size_t n);

#endif
