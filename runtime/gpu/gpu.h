/* gpu: the Vulkan back end of ops.h: glue between device, memory, pipelines and recorders. */
#ifndef PUMICE_GPU_H
#define PUMICE_GPU_H

#include "layout.h"
#include "record.h"

enum { TILE_LARGEST = 1 << 30, SLICES_LANES = 8 /* of lanes.glsl */ };

/* How kernels map to the device; chosen in tuning.c by device class. */
struct gpu_tuning {
    const char *name;
    struct layout layout;   /* of weights */
    bool lane_rows;         /* matvec: a lane owns a row */
    bool sliced;            /* weights of types that can be are sliced: their products are matvec_slices */
    uint32_t lanes;         /* matvec: lanes a workgroup, or a multiple of it, where rows are too few to fill the device */
    uint32_t rows;          /* matvec: rows a workgroup, when lanes share them; else rows a lane, for one token */
    uint32_t fill;          /* matvec: so many times `lanes` fill the device; 0 = no multiples */
    uint32_t max_cols;      /* matvec: tokens at once */
    uint32_t matmul_from;   /* tokens from which on the tiled matmul is used; 0 = never */
    enum matmul_family family; /* of the tiled matmul, where the weight's type has a kernel of it */
    uint32_t max_rows;      /* of a tile; 0 = as suits the device's cores, TILE_LARGEST = as many as fit */
    bool by_address;        /* weights by address rather than by binding */
    uint32_t dot_one;       /* 0 or 1; matvec: one token by packed dot products, its activations rounded to 8 bits */
    bool fold_norm;         /* matvec: RMSNorm inside, not a step of its own */
    bool fuse_gate;         /* matvec: gate, up and SwiGLU in one kernel */
    bool pairs;             /* one token: neighbouring ops together, where pairs.c has a way */
    bool shared_reduce;     /* reductions through shared memory */
    uint32_t norm_lanes, head_lanes, attention_lanes;
    uint32_t split_slices;  /* attention of few tokens: workgroups that share the length; 0 = never shared */
    uint32_t split_lanes;   /* a multiple of 16, a power of two; more where heads are wider */
    bool split_join;        /* the last of them joins the parts, not a dispatch of its own */
    uint32_t tile_from;     /* tokens from which on attention is tiled; 0 = never */
    uint32_t tile_lanes;    /* the same, from 32 */
    uint32_t tile_shared_bytes; /* shared memory it may take */
    uint32_t attention_matrix; /* 0 or 1; its tiles by cooperative matrices, where heads and shared memory allow */
    uint32_t sample_lanes, sample_items; /* a slice of the logits: their product, at least 1024 */
};

/* The tuning of number i (tuning.c), within the device's limits; false past the last. 0 is the automatic choice; the others force
 * each side of every choice, so that all are tested on any device that can, and are what first_use falls back to. */
bool tuning_variant(const struct device_limits *l, uint32_t i, struct gpu_tuning *t);

/* Whether the device has what kernels of that family are made of. */
bool tuning_family_suits(const struct device_limits *l, enum matmul_family family);

/* Rows row0 .. row0 + n - 1 of a weight, packed in one range. */
struct weight_part {
    struct buf buf;
    uint32_t row0, n;
    struct layout layout;
};

/* Turns a position of RoPE for one (E, base, factors): [E/2] pairs of words. */
struct rope_table {
    uint32_t E;
    float base;
    uint64_t factors; /* their hash; 0: none */
    struct buf buf;
};

/* Counters: KV heads times blocks of rows: at most 1024 + 8 * 1024 / 4. */
enum { GPU_MAX_ROPE = 16, GPU_MAX_PARTS = 16, GPU_SPLIT_TOKENS = 8, GPU_SOFTWARE_CHUNK = 32, GPU_COUNTERS = 4096 };

struct gpu_backend {
    struct backend base;
    struct device device;
    struct memory memory;
    struct pipelines pipelines;
    struct gpu_tuning tuning;
    bool tuned; /* the automatic choice was measured on this device (tune.c) */
    struct rope_table ropes[GPU_MAX_ROPE];
    uint32_t n_ropes;
    struct buf parts[GPU_MAX_PARTS]; /* of split attention */
    struct buf counters;             /* [GPU_COUNTERS] words of workgroups that have finished; 0 between dispatches */
    uint32_t n_parts;
    struct arena arena;
    bool perf;
    struct perf_sum sums[OP_N_KINDS];
};

struct gpu_plan {
    struct plan base;
    struct recorder recorder;
    char name[32];
    struct op *ops; /* kept for perf: kind and bytes */
    uint32_t n_ops, ops_capacity;
    struct op kept; /* not recorded yet: the next may go with it */
    bool keeps;
    uint64_t *ticks;
};

/* One recorder an op (ops.c): dispatches for one call that gpu_fuses. */
enum pumice_status gpu_record(struct gpu_backend *g, struct recorder *r, const struct op *op);
/* pairs.c: whether op may be the first of two that are recorded together; whether a and b, behind each other, are. */
bool gpu_may_pair(const struct gpu_backend *g, const struct op *op);
bool gpu_pairs(const struct gpu_backend *g, const struct op *a, const struct op *b);
enum pumice_status gpu_record_pair(struct gpu_backend *g, struct recorder *r, const struct op *a, const struct op *b);
/* KV heads g0 .. g0 + n_g - 1 of an op's caches, as many as a binding holds (attention.c). Set g0 before. Fails UNSUPPORTED
 * when it does not hold one. */
struct kv_window {
    uint32_t g0, n_g;
    struct binding k, v; /* read-only */
};
enum pumice_status gpu_kv_window(const struct gpu_backend *g, const struct op *op, struct kv_window *w);
enum pumice_status gpu_record_attention(struct gpu_backend *g, struct recorder *r, const struct op *op);
/* Whether op_attention of T tokens multiplies halves by cooperative matrices (attention.c). */
bool gpu_attention_by_matrix(const struct gpu_backend *g, uint32_t E, uint32_t T);
/* Whether op_matmul of T tokens multiplies 8-bit integers in the matrix-vector kernel (matvec.c). */
bool gpu_matvec_dots(const struct gpu_backend *g, uint32_t type, uint32_t T);
/* Whether there are kernels for the op as a whole, as tuned; otherwise op_expand is the way. */
bool gpu_fuses(const struct gpu_backend *g, const struct op *op);
/* Uploads (and packs) a tensor in parts (weights.c). */
enum pumice_status gpu_weight_create(struct gpu_backend *g, const struct weight_source *src, struct weight *out);
/* tune.c. knob_of: number i, false past the last. write: the numbers in use, for this device and driver; fails IO. read:
 * changes *t to what was written, or returns false. describe: "tuned: lanes 64, rows 2". */
bool tune_knob_of(const struct gpu_backend *g, uint32_t i, struct tune_knob *out);
void tune_set_knob(struct gpu_backend *g, uint32_t i, uint32_t value);
enum pumice_status tune_write(const struct gpu_backend *g);
bool tune_read(const struct physical *p, struct gpu_tuning *t);
void tune_describe(const struct gpu_tuning *t, bool tuned, char *out, size_t n);
uint64_t physical_identity(const struct physical *p); /* changes with device, driver and our kernels */
/* What that will take on the device. */
uint64_t gpu_weight_bytes(const struct gpu_backend *g, const struct weight_source *src);

#endif
