/* ops: the operations a forward pass is made of, and the back ends that record and run them.
 *
 * A forward pass calls op_*() once, in order, on a plan; the plan can then be run again and again. What changes
 * from run to run (position, token ids) is read from the step buffer, so that nothing is recorded twice. A plan is
 * a straight list of calls, not a graph: a back end may only insert barriers.
 * Two back ends implement this: gpu/ (Vulkan) and cpu/ (the reference in double precision, also the fallback).
 *
 * Letters: T tokens in the batch, P past, D model dim, H/G query/KV heads, E head dim, F feed-forward dim,
 * V vocabulary, C cache capacity. All activations are f32, row-major, the last dimension contiguous. */
#ifndef PUMICE_OPS_H
#define PUMICE_OPS_H

#include "kv_layout.h"
#include "sample.h"

#include <stdatomic.h>

struct backend;
struct plan;

/* A range of device memory; a value. memory indexes the back end's own table. */
struct buf {
    uint64_t offset, bytes;
    uint32_t memory;
};

/* One layer's caches, laid out as kv_layout.h says; C a multiple of KV_ROUND. */
struct kv_layer {
    struct buf k, v;
    uint32_t C; /* positions */
    enum pumice_kv type;
};

/* A matrix [n, k] on the device, possibly repacked, or a vector [k] (norm weight, n = 1), always plain f32; made by
 * weight_create, read by the back end alone. */
struct weight {
    uint32_t n, k;
    uint32_t type;            /* enum gguf_tensor_type of the source */
    uint64_t bytes;           /* on the device */
    struct weight_part *parts; /* row ranges, each within the device's binding and allocation limits */
    uint32_t n_parts;
    bool in_place; /* the source's bytes are read at every run */
    const char *name;
};

/* What a plan reads anew at every run. Lives in a buffer made with MEM_STEP; little-endian, as the shader sees it. */
struct step {
    uint32_t past;     /* P: tokens in the cache before this run */
    uint32_t n_tokens; /* T, equal to what the plan was recorded for */
    uint32_t reserved[2];
    uint32_t tokens[]; /* [T] ids */
};

enum mem_use {
    MEM_WEIGHT,  /* written once at load */
    MEM_KV,      /* per session */
    MEM_SCRATCH, /* activations */
    MEM_STEP,    /* host writes it before each run */
    MEM_STAGE,   /* host writes it at random, the device copies from it */
    MEM_READBACK /* host reads it after a run */
};

/* What a device can compute with, each with a ceiling of its own. */
enum arithmetic {
    ARITHMETIC_F32,
    ARITHMETIC_F16,    /* halves, two in a word */
    ARITHMETIC_INT8,   /* dot products of four 8-bit integers in a word */
    ARITHMETIC_MATRIX, /* cooperative matrices of halves */
    ARITHMETIC_N
};

/* OP_PEAK is part of no model and has no builder; the kernel benchmark records it to measure what a device can compute in
 * op.arithmetic, for D elements. F32, F16: y[i] = sum over j < 8 of a_j after `rounds` times a_j = a_j * 0.75 + 0.25, from
 * a_j = x[i] + j. The others: at the head of shaders/peak_dot.comp, peak_matrix.comp. */
enum op_kind {
    OP_EMBED, OP_RMS_NORM, OP_MATMUL, OP_NORM_MATMULS, OP_NORM_GATE_UP, OP_QK_NORM_ROPE_KV, OP_BIAS_ROPE_KV, OP_ATTENTION,
    OP_SWIGLU, OP_COPY, OP_SAMPLE, OP_PEAK, OP_N_KINDS
};

/* Rotary positions: at position p the pair i < E/2 of a head turns by p * base^(-2i/E) / factors[i]. */
struct rope {
    float base;
    bool neighbours;      /* pair i is (a_2i, a_2i+1); else (a_i, a_i+E/2), "NeoX" order */
    const float *factors; /* [E/2] in host memory that outlives the plan; NULL: all 1 */
};

/* One recorded call. The builders below say which fields an op uses. */
struct op {
    enum op_kind kind;
    const char *label; /* "L07 attn.q"; static or in the caller's arena, lives as long as the plan */
    struct buf x, y, z, step;
    struct buf y2, y3, normed; /* further outputs; scratch for rms(x, norm) */
    struct kv_layer kv;
    const struct weight *w, *w2, *w3, *norm;
    uint32_t T, D, H, G, E, rounds;
    uint32_t x_row; /* first row of x */
    uint32_t top_k;
    bool add;       /* y += instead of y = */
    enum arithmetic arithmetic; /* OP_PEAK */
    float eps, scale;
    struct rope rope;
};

/* --- builders: record only; results are ready after plan_run. All return the back end's status. ----------------- */

/* y[T,D] = table[tokens[t], :]. table: weight [V,D], any type; ids come from step and are < V (caller checks). */
enum pumice_status op_embed(struct plan *p, const char *label, const struct weight *table, struct buf step, struct buf y,
                            uint32_t T);
/* y[t,:] = x[t,:] / sqrt(mean(x[t,:]^2) + eps) * w[:]. x, y [T,D]; y may be x. Source: MODEL.md 3.1. */
enum pumice_status op_rms_norm(struct plan *p, const char *label, struct buf x, const struct weight *w, struct buf y,
                               uint32_t T, float eps);
/* y[T,N] (+)= x[x_row .. x_row+T, K] @ W[N,K]^T. x, y f32; W any type of quant.h. add: accumulates into y.
 * y must not overlap x. */
enum pumice_status op_matmul(struct plan *p, const char *label, struct buf x, uint32_t x_row, const struct weight *w,
                             struct buf y, uint32_t T, bool add);
/* y_i[T,N_i] = rms(x, norm)[x_row .. x_row+T, K] @ W_i[N_i,K]^T for the n products (1 to 3), whose outputs do not overlap.
 * normed [x_row+T, K]: scratch, for back ends and sizes that compute the norm by itself. */
struct product {
    const struct weight *w;
    struct buf y;
};
enum pumice_status op_norm_matmuls(struct plan *p, const char *label, struct buf x, uint32_t x_row, const struct weight *norm,
                                   float eps, struct buf normed, const struct product *products, uint32_t n, uint32_t T);
/* y[T,F] = silu(n @ Wg^T) * (n @ Wu^T) of n = rms(x[T,K], norm). Scratch: normed [T,K], up [T,F]. Source: MODEL.md 3.5. */
enum pumice_status op_norm_gate_up(struct plan *p, const char *label, struct buf x, const struct weight *norm, float eps,
                                   struct buf normed, const struct weight *gate, const struct weight *up, struct buf y,
                                   struct buf up_scratch, uint32_t T);
/* q[T,H,E] in place and k[T,G,E]: RMSNorm of each head with q_norm[E] / k_norm[E], then RoPE at position P+t. Then K and
 * v[T,G,E] are written, rounded, to positions P..P+T-1 of kv. E even. Source: MODEL.md 3.3. */
enum pumice_status op_qk_norm_rope_kv(struct plan *p, const char *label, struct buf step, struct buf q, struct buf k,
                                      struct buf v, const struct weight *q_norm, const struct weight *k_norm,
                                      const struct kv_layer *kv, uint32_t T, uint32_t H, uint32_t G, uint32_t E, float eps,
                                      const struct rope *rope);
/* The same without norms: q += q_bias[H*E], k + k_bias[G*E], v + v_bias[G*E] (NULL: none) before RoPE and the caches.
 * Source: MODEL.md 3.3. */
enum pumice_status op_bias_rope_kv(struct plan *p, const char *label, struct buf step, struct buf q, struct buf k,
                                   struct buf v, const struct weight *q_bias, const struct weight *k_bias,
                                   const struct weight *v_bias, const struct kv_layer *kv, uint32_t T, uint32_t H,
                                   uint32_t G, uint32_t E, const struct rope *rope);
/* y[t,h,:] = softmax(scale * q[t,h,:] . K[0..P+t, g,:]) @ V[0..P+t, g,:], g = h / (H/G). q, y [T,H,E].
 * Source: MODEL.md 3.4. */
enum pumice_status op_attention(struct plan *p, const char *label, struct buf step, struct buf q, const struct kv_layer *kv,
                                struct buf y, uint32_t T, uint32_t H, uint32_t G, uint32_t E, float scale);
/* y[T,F] = silu(gate[T,F]) * up[T,F]; y may be gate. silu(a) = a / (1 + exp(-a)). */
enum pumice_status op_swiglu(struct plan *p, const char *label, struct buf gate, struct buf up, struct buf y, uint32_t T,
                             uint32_t F);
/* y[0..bytes) = x[0..bytes): to bring results into a MEM_READBACK buffer. bytes % 4 == 0. */
enum pumice_status op_copy(struct plan *p, const char *label, struct buf x, struct buf y, uint64_t bytes);

/* Draws a token from logits[V] as sample_draw does with top_k = k, 1 <= k <= SAMPLE_MAX_K, and the parameters in draws (struct
 * draws, MEM_STEP): with uniform[n % SAMPLE_RING] the id goes to ids[n % SAMPLE_RING] and to the step's tokens[0]; draws' n and
 * the step's past grow by one: the same plan run again computes the next token. candidates: scratch, sample_scratch_bytes(V).
 * The same id on every back end. Source: MODEL.md 5. */
enum pumice_status op_sample(struct plan *p, const char *label, struct buf logits, struct buf candidates, struct buf draws,
                             struct buf step, uint32_t V, uint32_t k);

/* Records a norm_matmuls or norm_gate_up as the rms_norm, matmul and swiglu it stands for: what a back end does that has no
 * kernel for all of it at once. */
enum pumice_status op_expand(struct plan *p, const struct op *op);

/* --- back ends --------------------------------------------------------------------------------------------- */

/* Bytes of a tensor to be put on the device: rows of type `type`, host memory (the mapped file). */
struct weight_source {
    const char *name;
    uint32_t type;
    uint32_t n, k;
    bool vector; /* [k] f32, n = 1; a matrix may have one row, too */
    bool lookup; /* only op_embed will read it */
    const void *data;
};

struct backend_memory {
    uint64_t total_bytes, free_bytes; /* free: what can be had now, as far as the device says */
    uint64_t max_buffer_bytes;        /* of one buffer */
    uint64_t max_binding_bytes;       /* of what kernels read as a whole (a head of a KV cache, activations) */
};

/* A number that changes the speed of some kernels alone. */
struct tune_knob {
    const char *name;   /* static */
    enum op_kind kind;  /* whose speed, with so many tokens */
    uint32_t T;
    uint32_t values[8]; /* [n] that the device can take; n = 0: has no effect here */
    uint32_t n, now;    /* now: in use */
};

struct backend_calls {
    void (*destroy)(struct backend *b);
    /* Contents are undefined. Fails MEMORY naming what and how much. name: for the debugger, copied. */
    enum pumice_status (*buffer_create)(struct backend *b, enum mem_use use, uint64_t bytes, const char *name,
                                        struct buf *out);
    /* Hint: of a new buffer, that range is written late or never, and then all of it is read often. NULL: of no use. */
    void (*buffer_late)(struct backend *b, struct buf buf, uint64_t at, uint64_t bytes);
    void (*buffer_destroy)(struct backend *b, struct buf *buf); /* not for MEM_WEIGHT, which live until destroy */
    enum pumice_status (*buffer_write)(struct backend *b, struct buf dst, uint64_t at, const void *src, uint64_t bytes);
    enum pumice_status (*buffer_read)(struct backend *b, struct buf src, uint64_t at, void *dst, uint64_t bytes);
    /* The host's view of a MEM_STEP or MEM_READBACK buffer. */
    void *(*buffer_host)(struct backend *b, struct buf buf);
    /* How many bytes of weights will come, by weight_bytes, for where they are put. NULL: no need to know. */
    void (*weights_expect)(struct backend *b, uint64_t bytes);
    /* Copies (and repacks) a tensor; name must live as long as the back end. Fails MEMORY, UNSUPPORTED, DEVICE. */
    enum pumice_status (*weight_create)(struct backend *b, const struct weight_source *src, struct weight *out);
    enum pumice_status (*weights_done)(struct backend *b); /* all weights have arrived on return */

    enum pumice_status (*plan_begin)(struct backend *b, const char *name, struct plan **out);
    enum pumice_status (*record)(struct plan *p, const struct op *op);
    enum pumice_status (*plan_end)(struct plan *p);
    /* Starts n runs, one after the other, without waiting; a run sees what the one before wrote, also to MEM_STEP buffers,
     * which the host must not write meanwhile. *ticket: for plan_wait. No allocation once a plan has run. A single run may
     * be waited for, and be CANCELLED as in plan_run. */
    enum pumice_status (*plan_start)(struct plan *p, uint32_t n, uint64_t *ticket);
    /* Waits until the results of that start, and of all before, are readable. */
    enum pumice_status (*plan_wait)(struct backend *b, uint64_t ticket);
    enum pumice_status (*plan_run)(struct plan *p); /* one run, waited for; CANCELLED: see struct plan */
    bool (*runs_ahead)(const struct backend *b);    /* what is started is computed beside the host; NULL: never */
    void (*plan_destroy)(struct plan *p);           /* NULL is fine */
    void (*info)(const struct backend *b, struct pumice_device_info *out);
    uint64_t (*device_bytes)(const struct backend *b);
    /* For the plan before loading. NULL: the host's memory, rows as they are in the file. */
    void (*memory)(struct backend *b, struct backend_memory *out);
    uint64_t (*weight_bytes)(const struct backend *b, const struct weight_source *src); /* data is not read */
    void (*perf)(const struct backend *b, struct pumice_perf_row *rows, size_t *n);
    uint32_t (*chunk_tokens)(const struct backend *b); /* T of a prefill step that suits the device */
    /* Other ways the back end can compute the same (kernel variants), for tests and tuning: selects number i for what is
     * created and recorded from now on and returns its name, NULL past the last. 0 is the automatic choice. */
    const char *(*variant)(struct backend *b, uint32_t i);
    /* Changes with the device, its driver and our kernels: what was found right stays right while it is the same. NULL: no
     * need to ask. */
    uint64_t (*identity)(const struct backend *b);
    /* Whether OP_PEAK can be recorded with it. NULL: F32 alone. */
    bool (*has_arithmetic)(const struct backend *b, enum arithmetic a);
    /* What the op's multiplications are made with: the ceiling that its kernel has. NULL: F32. */
    enum arithmetic (*arithmetic_of)(const struct backend *b, const struct op *op);
    /* Turns rows x[n_rows, k] into what op_matmul of T tokens multiplies with w: some kernels round it. *limit: the NMSE that
     * a row may then have, 0 = unchanged. For tests; NULL: nothing. */
    enum pumice_status (*round_input)(struct backend *b, const struct weight *w, uint32_t T, float *x, uint32_t n_rows, double *limit);
    /* Whether op_matmul of T tokens rounds decoded weights of that type to halves. For tests; NULL: never. */
    bool (*rounds_weights)(const struct backend *b, uint32_t type, uint32_t T);
    /* Knobs: number i, false past the last; a value for what is recorded from now on; keep: those in use become the automatic
     * choice on this device and driver (IO); tuned: that was done. NULL: there are none. */
    bool (*tune_knob)(const struct backend *b, uint32_t i, struct tune_knob *out);
    void (*tune_set)(struct backend *b, uint32_t i, uint32_t value);
    enum pumice_status (*tune_keep)(struct backend *b);
    bool (*tuned)(const struct backend *b);
};
/* First member of each back end's own struct. */
struct backend {
    const struct backend_calls *calls;
};
/* First member of each back end's own plan. */
struct plan {
    struct backend *backend;
    const atomic_bool *cancel; /* NULL, or: true asks a run to stop soon; it fails CANCELLED and may be run again */
};

const char *op_kind_name(enum op_kind kind); /* "matmul" */
const char *arithmetic_name(enum arithmetic a); /* "f32", "f16", "int8", "matrix" */
/* Bytes the op reads and writes when run with `past` tokens in the cache, for GB/s. */
uint64_t op_bytes(const struct op *op, uint32_t past);
/* Additions and multiplications of its formula, for GFLOP/s; 0 for ops that only move or whose functions dominate. */
double op_flops(const struct op *op, uint32_t past);

struct backend_options {
    const char *device;
    bool validate, perf;
    uint32_t n_threads;
};
/* Fails DEVICE when it can take no more work. */
enum pumice_status backend_alive(struct backend *b);
bool device_automatic(const char *wanted); /* NULL, "" or "auto" */
/* cpu/: never needs Vulkan. */
enum pumice_status cpu_backend_create(const struct backend_options *options, struct backend **out);
/* gpu/: fails UNSUPPORTED when no Vulkan device fits `device`. */
enum pumice_status gpu_backend_create(const struct backend_options *options, struct backend **out);
/* Fills the Vulkan devices, best first, `chosen` set for the one that gpu_backend_create would take. No loader: *n = 0. */
enum pumice_status gpu_devices(const char *wanted, struct pumice_device_info *out, size_t *n);
/* Chooses by `options->device` as pumice_engine_params says. */
enum pumice_status backend_create(const struct backend_options *options, struct backend **out);

/* --- kernel table (selftest.c) -------------------------------------------------------------------------------- */

/* Which rows of the table to run. */
struct kernel_filter {
    const char *only;          /* those with it in their names; NULL: all */
    uint32_t stride;           /* of variants other than the automatic one about one row in so many, in each others: n is all rows in
                                * any n neighbours; 1: all */
    uint32_t part, parts;      /* variants whose number % parts is part */
};
/* Runs the rows on `tested` against the CPU reference; see pumice_selftest. */
enum pumice_status kernel_table_run(struct backend *tested, const struct kernel_filter *filter, uint64_t seed,
                                    void (*report)(void *user, const struct pumice_selftest_row *row), void *user,
                                    size_t *n_rows, size_t *n_wrong);

/* What of the table a model needs. */
struct kernel_needs {
    bool types[64];    /* by enum gguf_tensor_type */
    enum op_kind rope; /* which of the two */
    enum pumice_kv kv;
};
/* Runs those rows once, as the back end's kernels are chosen now. *n_wrong: how many are wrong or cannot be run; name: the first of
 * them. params: whose progress is asked before each (stage "check"). */
enum pumice_status kernel_table_check(struct backend *tested, const struct kernel_needs *needs, const struct pumice_engine_params *params,
                                      size_t *n_rows, size_t *n_wrong, char *name, size_t name_bytes);

#endif
