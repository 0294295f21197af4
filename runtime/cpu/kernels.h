/* kernels: the inner loops of the fast path, one set per instruction set; chosen once, when the back end is made. */
#ifndef PUMICE_CPU_KERNELS_H
#define PUMICE_CPU_KERNELS_H

#include <stdint.h>

enum { CPU_TILE_HEADS = 8 }; /* query heads that share one pass over a KV head */

/* One pass of attention: n_heads query heads over n positions of one KV head. */
struct cpu_attention {
    const float *q;           /* [n_heads, E] */
    const uint16_t *k, *v;    /* first position's row of this KV head, f16 */
    float *y;                 /* [n_heads, E] */
    uint64_t n, stride;       /* positions; halves from one position to the next */
    uint32_t n_heads, E;      /* n_heads <= CPU_TILE_HEADS, E <= CPU_MAX_HEAD */
    float scale;
};

struct cpu_kernels {
    const char *name;
    /* y[k] = the k weights at `row`; any type of quant.h. */
    void (*dequantize)(uint32_t type, const uint8_t *row, float *y, uint32_t k);
    /* out[t * CPU_ROWS + r] = rows[r] . x[t, :], for all CPU_ROWS rows and n_x rows of x [n_x, k], n_x 1 or 2. */
    void (*dot)(const float *const *rows, const float *x, uint32_t n_x, uint32_t k, float *out);
    void (*attention)(const struct cpu_attention *a);
};

#endif
