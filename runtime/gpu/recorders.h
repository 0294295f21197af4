/* recorders: what the recorders of ops share: bindings, kernel names, grids; and those of ops that span two files. */
#ifndef PUMICE_RECORDERS_H
#define PUMICE_RECORDERS_H

#include "gpu.h"

#include "../../shaders/push.h"

#include <stdio.h>
#include <string.h>

static inline struct binding in(struct buf b) { return (struct binding){.buf = b}; }
static inline struct binding out(struct buf b) { return (struct binding){.buf = b, .write = true}; }

/* kernel[_suffix][_bda|_shared] */
static inline void kernel_name(char *name, size_t bytes, const char *kernel, const char *suffix, const char *variant)
{
    snprintf(name, bytes, "%s%s%s%s", kernel, suffix[0] ? "_" : "", suffix, variant);
}

static inline uint32_t groups(uint64_t n, uint64_t each) { return (uint32_t)((n + each - 1) / each); }

static inline VkDeviceAddress address_of(const struct gpu_backend *g, struct buf b)
{
    return g->memory.blocks[b.memory].address + b.offset;
}

/* Spreads n workgroups over x and y, since x may be limited to 65,535. */
static inline void grid(const struct gpu_backend *g, uint32_t n, uint32_t *x, uint32_t *y)
{
    *x = MIN(n, MIN(g->device.physical.limits.max_groups_x, 65535u));
    *y = groups(n, *x);
}

/* Of y = x @ W^T for a part of w, without groups_x. */
static inline struct matmul_push matmul_push_of(const struct gpu_backend *g, const struct op *op, const struct weight *w,
                                                const struct weight_part *part)
{
    const VkDeviceAddress address = address_of(g, part->buf);
    return (struct matmul_push){.rows = part->n, .k = w->k, .row_words = (uint32_t)layout_row_words(w->type, part->layout, w->k),
                                .x_at = op->x_row * w->k, .y_at = part->row0, .n = w->n, .T = op->T, .add = op->add,
                                .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .eps = op->eps};
}

enum pumice_status gpu_rms_norm(struct gpu_backend *g, struct recorder *r, const struct op *op);
/* matvec.c */
bool gpu_matvec_suits(const struct gpu_backend *g, uint32_t T); /* rather than the tiled product */
enum pumice_status gpu_matvec(struct gpu_backend *g, struct recorder *r, const struct op *op);
/* norm_matmuls, norm_gate_up. done: op->normed is there. */
enum pumice_status gpu_norm_products(struct gpu_backend *g, struct recorder *r, const struct op *op, bool done);
/* For one token, an op_matmul that also norms y for `next`, one of those. can_norm: of its weight; norms_first: whether next has its
 * norm as a step of its own. */
bool gpu_matvec_can_norm(const struct gpu_backend *g, const struct weight *w);
bool gpu_matvec_norms_first(const struct gpu_backend *g, const struct op *op);
enum pumice_status gpu_matvec_then_norm(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct op *next);
/* ops.c: the table of an op's RoPE. Makes the counters: once. */
enum pumice_status gpu_rope_table(struct gpu_backend *g, uint32_t E, const struct rope *rope, struct buf *out_buf);
enum pumice_status gpu_counters(struct gpu_backend *g);
/* attention.c: RoPE and attention of one token in one kernel; suits: the op_attention. */
bool gpu_rope_attention_suits(const struct gpu_backend *g, const struct op *op);
enum pumice_status gpu_rope_attention(struct gpu_backend *g, struct recorder *r, const struct op *rope, const struct op *op);
/* sample.c */
enum pumice_status gpu_sample(struct gpu_backend *g, struct recorder *r, const struct op *op);

#endif
