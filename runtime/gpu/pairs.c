/* pairs: two ops, one behind the other, that take fewer dispatches together. For software drivers, where a dispatch costs as
 * much as the work of one token's smaller ops.
 *
 *   product into x, norm of x and products   the last workgroup of the first norms x for those of the second
 *   RoPE, attention                          one kernel, in which q, k and v are only read
 *
 * A plan keeps an op that may be the first of a pair until it sees the next. */
#include "recorders.h"

static bool is_rope(const struct op *op) { return op->kind == OP_QK_NORM_ROPE_KV || op->kind == OP_BIAS_ROPE_KV; }

bool gpu_may_pair(const struct gpu_backend *g, const struct op *op)
{
    return g->tuning.pairs && op->T == 1 && (is_rope(op) || (op->kind == OP_MATMUL && op->add && gpu_matvec_can_norm(g, op->w)));
}

static bool same(struct buf a, struct buf b) { return a.memory == b.memory && a.offset == b.offset; }

static bool norms_product(const struct gpu_backend *g, const struct op *a, const struct op *b)
{
    return a->kind == OP_MATMUL && (b->kind == OP_NORM_MATMULS || b->kind == OP_NORM_GATE_UP) && b->T == 1 && b->x_row == 0 &&
           same(a->y, b->x) && b->norm->k == a->w->n && gpu_fuses(g, b) && gpu_matvec_norms_first(g, b);
}

static bool turns_query(const struct gpu_backend *g, const struct op *a, const struct op *b)
{
    return is_rope(a) && b->kind == OP_ATTENTION && b->T == 1 && same(a->x, b->x) && same(a->kv.k, b->kv.k) &&
           gpu_rope_attention_suits(g, b);
}

bool gpu_pairs(const struct gpu_backend *g, const struct op *a, const struct op *b)
{
    return norms_product(g, a, b) || turns_query(g, a, b);
}

/* In a plan that is timed, a kernel for both counts as the second. */
enum pumice_status gpu_record_pair(struct gpu_backend *g, struct recorder *r, const struct op *a, const struct op *b)
{
    enum pumice_status st = PUMICE_OK;
    TRY(recorder_op_begin(r, a->label ? a->label : op_kind_name(a->kind)));
    if (a->kind == OP_MATMUL) TRY(gpu_matvec_then_norm(g, r, a, b));
    TRY(recorder_op_end(r, a));
    TRY(recorder_op_begin(r, b->label ? b->label : op_kind_name(b->kind)));
    if (b->kind == OP_ATTENTION) TRY(gpu_rope_attention(g, r, a, b));
    else TRY(gpu_norm_products(g, r, b, true));
    TRY(recorder_op_end(r, b));
fail:
    return st;
}
