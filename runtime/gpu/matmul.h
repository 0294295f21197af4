/* matmul: op_matmul for many tokens, as families of kernels that multiply tiles, and activations in the form that each reads.
 *
 * A family is chosen by what the device has (backend.c), and left for a plainer one where a weight's type has no kernel of it.
 * Activations are rounded by a small dispatch of their own into a buffer that belongs to the plan, once for all matrices that
 * multiply the same x in a row (q, k, v; gate, up). */
#ifndef PUMICE_MATMUL_H
#define PUMICE_MATMUL_H

#include "memory.h"

enum matmul_family {
    MATMUL_TILED, /* f32, matmul.comp: every device, every type */
    MATMUL_HALF,  /* halves, runs of 16 summed in halves and runs in f32: all types but F32 */
    MATMUL_DOT,   /* packed dot products of 8-bit integers: the quantised types */
    MATMUL_MATRIX /* cooperative matrices of halves, f32 sums: all types but F32 */
};
const char *matmul_family_name(enum matmul_family family);
enum arithmetic matmul_family_arithmetic(enum matmul_family family);

enum { MATMUL_MAX_ROUNDED = 8, MATMUL_DOT_SIDE = 16 /* lanes along each side, matmul_dot.comp */ };

/* Rounded activations of one plan. */
struct matmul_rounded {
    struct buf bufs[MATMUL_MAX_ROUNDED]; /* the last is the one in use; those before are bound by earlier dispatches */
    uint32_t n_bufs;
    enum matmul_family family; /* what the last holds; MATMUL_TILED: nothing */
    struct buf x;
    uint32_t x_row, T, k, words, scale_at;
};

struct gpu_backend;
struct recorder;
struct op;
struct weight;

/* The family that multiplies T tokens with a matrix of that type. */
enum matmul_family matmul_family_for(const struct gpu_backend *g, uint32_t type, uint32_t T);
/* Records op_matmul of tuning.matmul_from tokens or more. */
enum pumice_status matmul_tiles_record(struct gpu_backend *g, struct recorder *r, const struct op *op);
/* To be called for every op that is recorded: forgets rounded activations that it overwrites. */
void matmul_rounded_after(struct recorder *r, const struct op *op);
void matmul_rounded_fini(struct recorder *r);
/* backend_calls.round_input and rounds_weights. */
enum pumice_status matmul_round_input(struct gpu_backend *g, const struct weight *w, uint32_t T, float *x, uint32_t n_rows,
                                      double *limit);
bool matmul_rounds_weights(const struct gpu_backend *g, uint32_t type, uint32_t T);

#endif
