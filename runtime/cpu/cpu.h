/* cpu: what the files of the CPU back end share: buffers, weights, the thread pool, and the ops on host memory.
 *
 * Invariant: every output element is computed by one thread in one fixed order, whatever the number of threads and
 * whatever T, so results do not depend on either. */
#ifndef PUMICE_CPU_H
#define PUMICE_CPU_H

#include "kernels.h"
#include "ops.h"

enum { CPU_MAX_THREADS = 256 };

/* --- pool.c: threads that share one loop ------------------------------------------------------------------------ */

struct pool;
/* n_threads includes the caller; 0 = all processors. */
enum pumice_status pool_create(uint32_t n_threads, struct pool **out);
void pool_destroy(struct pool *p);
uint32_t pool_size(const struct pool *p);
/* Calls run(user, thread, begin, end) on disjoint ranges that cover 0..n, each at most `grain` long and starting at a
 * multiple of it; returns when all are done. thread < pool_size. Allocates nothing. */
void pool_run(struct pool *p, uint64_t n, uint64_t grain,
              void (*run)(void *user, uint32_t thread, uint64_t begin, uint64_t end), void *user);

/* --- backend.c ---------------------------------------------------------------------------------------------------- */

struct weight_part {
    const uint8_t *rows; /* in the source's bytes, or in the back end's arena for a vector */
    uint64_t row_bytes;
    uint8_t *packed; /* groups of rows (pack.c); NULL: computed from `rows` */
    uint64_t group_bytes;
};

struct cpu_buffer {
    uint8_t *bytes; /* NULL: the slot is free */
    uint64_t n;
};

struct cpu_perf {
    uint64_t calls, ns, bytes;
};

struct cpu_backend {
    struct backend base;
    struct pool *pool;
    struct cpu_buffer *buffers;
    uint32_t n_buffers;
    float *scratch; /* [threads][scratch_n]: rows as floats */
    uint64_t scratch_n;
    uint8_t *input; /* activations rounded for the integer kernels */
    uint64_t input_n;
    float *turns; /* [T][E/2] cosines, [E/2] sines of the positions computed last; the same in every layer */
    uint64_t turns_n;
    struct {
        uint32_t past, T, E;
        float base;
        const float *factors;
    } turns_of;
    float *partials; /* of attention that is shared over the length */
    uint64_t partials_n;
    void **packed; /* what weights were packed into */
    uint32_t n_packed;
    uint64_t total_bytes;
    bool reference; /* double accumulators everywhere */
    bool perf;
    const struct cpu_kernels *kernels; /* of the fast path */
    struct cpu_perf sums[OP_N_KINDS];
    struct arena arena;
};

static inline const float *cpu_vector(const struct weight *w) { return (const float *)(const void *)w->parts->rows; }
void *cpu_host(const struct cpu_backend *b, struct buf buf); /* first byte of the range */
float *cpu_scratch(const struct cpu_backend *b, uint32_t thread);
/* First byte of KV head g in one of the op's caches. */
static inline uint8_t *cpu_kv_head(const struct cpu_backend *b, const struct op *op, struct buf cache, uint64_t g)
{
    return (uint8_t *)cpu_host(b, cache) + g * op->kv.C * kv_row_bytes(op->kv.type, op->E);
}
/* Where T rows of K activations are put when they are rounded; record() has made room. */
struct cpu_input cpu_input_of(const struct cpu_backend *b, uint32_t T, uint32_t K);

/* --- reference.c: every op in plain C with double accumulators ------------------------------------------------------ */

void cpu_run_reference(struct cpu_backend *b, const struct op *op);

/* --- pack.c: quantised rows in the form that the kernels multiply ---------------------------------------------------- */

/* NULL for F32, F16 and BF16, which are multiplied as they are. */
const struct cpu_form *cpu_form_find(uint32_t type);
uint64_t cpu_packed_group_bytes(uint32_t type, uint32_t group, uint32_t k); /* of `group` rows */
/* Packs n_rows <= group <= CPU_MAX_GROUP rows into one group; rows that are missing become zeros. */
void cpu_pack_group(uint32_t type, uint32_t group, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows, uint32_t k, uint8_t *out);

/* --- fast.c: the ops with the kernels of this processor -------------------------------------------------------------- */

/* Runs the first op of ops[n], or the first few as one; returns how many. */
uint32_t cpu_run_fast(struct cpu_backend *b, const struct op *ops, uint32_t n);
/* Floats that an attention op wants in `partials`. */
uint64_t cpu_partials(const struct cpu_backend *b, const struct op *op);

/* --- kernels.c ------------------------------------------------------------------------------------------------------- */

/* Number i of the sets of kernels that this processor can run, best first, NULL past the last. */
const struct cpu_kernels *cpu_kernels_variant(uint32_t i);

#endif
