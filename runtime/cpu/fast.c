/* fast: the ops with the kernels of this processor; embedding, copying and rare forms of RoPE are the reference's. */
#include "cpu.h"
#include "kernels.h"

#include <math.h>
#include <string.h>

enum { MAX_JOINED = 3 }; /* query, key and value products read the same activations */

/* Up to MAX_JOINED products of the same x: their row groups are one loop. */
struct products {
    const struct cpu_backend *b;
    const struct op *ops;
    uint32_t n_ops;
    struct cpu_input input;
};

/* Group g of CPU_GROUP rows of one product whose rows are floats: multiplied as they are if there is one row of x, else
 * converted once and multiplied with all T. */
static void float_group(const struct cpu_backend *b, const struct op *op, uint32_t thread, uint32_t g)
{
    const struct cpu_kernels *kernels = b->kernels;
    const struct weight_part *w = op->w->parts;
    const uint32_t K = op->w->k, N = op->w->n, last = MIN((g + 1) * CPU_GROUP, N);
    const float *x = (const float *)cpu_host(b, op->x) + (uint64_t)op->x_row * K;
    float *y = cpu_host(b, op->y), *scratch = cpu_scratch(b, thread);
    float out[2 * CPU_ROWS];
    const bool in_place = op->w->type == GGUF_T_F32 || (op->T == 1 && !cpu_form_find(op->w->type));
    for (uint32_t n = g * CPU_GROUP; n < last; n += CPU_ROWS) {
        const uint32_t n_rows = MIN(last - n, (uint32_t)CPU_ROWS);
        const uint8_t *rows[CPU_ROWS];
        for (uint32_t r = 0; r < CPU_ROWS; r++) {
            const uint32_t i = r < n_rows ? r : 0; /* a row that is missing is computed, but not used */
            rows[r] = w->rows + (n + i) * w->row_bytes;
            if (in_place) continue;
            if (r == i) kernels->convert(op->w->type, rows[r], scratch + (uint64_t)r * K, K);
            rows[r] = (const uint8_t *)(scratch + (uint64_t)i * K);
        }
        for (uint64_t t = 0; t < op->T; t += 2) {
            const uint32_t n_x = t + 1 < op->T ? 2 : 1;
            kernels->dot(in_place ? op->w->type : GGUF_T_F32, rows, x + t * K, n_x, K, out);
            for (uint32_t i = 0; i < n_x; i++)
                for (uint32_t r = 0; r < n_rows; r++) {
                    float *to = &y[(t + i) * N + n + r];
                    *to = op->add ? *to + out[i * CPU_ROWS + r] : out[i * CPU_ROWS + r];
                }
        }
    }
}

/* The same for packed rows and rounded activations. */
static void packed_group(const struct products *p, const struct op *op, uint32_t g)
{
    const struct weight_part *w = op->w->parts;
    const uint32_t N = op->w->n, n_rows = MIN(N - g * CPU_GROUP, (uint32_t)CPU_GROUP);
    float out[CPU_TILE * CPU_GROUP];
    for (uint32_t t = 0; t < op->T; t += CPU_TILE) {
        const uint32_t n_x = MIN(op->T - t, (uint32_t)CPU_TILE);
        p->b->kernels->product(op->w->type, w->packed + g * w->group_bytes, &p->input, t, n_x, op->w->k, out);
        for (uint32_t i = 0; i < n_x; i++) {
            float *y = (float *)cpu_host(p->b, op->y) + (uint64_t)(t + i) * N + g * CPU_GROUP;
            for (uint32_t r = 0; r < n_rows; r++) y[r] = op->add ? y[r] + out[i * CPU_GROUP + r] : out[i * CPU_GROUP + r];
        }
    }
}

static uint32_t n_groups(const struct op *op) { return op->w->n / CPU_GROUP + (op->w->n % CPU_GROUP != 0); }

static void products(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct products *p = user;
    const struct op *op = p->ops;
    uint64_t first = 0; /* of this op's groups */
    for (uint64_t i = begin; i < end; i++) {
        while (i >= first + n_groups(op)) first += n_groups(op++);
        if (op->w->parts->packed) packed_group(p, op, (uint32_t)(i - first));
        else float_group(p->b, op, thread, (uint32_t)(i - first));
    }
}

static void round_rows(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct products *p = user;
    const struct op *op = p->ops;
    const uint32_t K = op->w->k;
    (void)thread;
    for (uint64_t t = begin; t < end; t++)
        p->b->kernels->round_input((const float *)cpu_host(p->b, op->x) + (op->x_row + t) * K, K, (uint32_t)t, &p->input);
}

static bool overlap(struct buf a, struct buf b)
{
    return a.memory == b.memory && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

/* How many of ops[n] from the first on are products of the same x into outputs of their own. */
static uint32_t count_joined(const struct op *ops, uint32_t n)
{
    uint32_t i = 1;
    for (; i < MIN(n, (uint32_t)MAX_JOINED); i++) {
        const struct op *op = &ops[i];
        if (op->kind != OP_MATMUL || op->T != ops->T || op->x_row != ops->x_row || op->w->k != ops->w->k ||
            memcmp(&op->x, &ops->x, sizeof op->x) || overlap(op->y, op->x))
            return i;
        for (uint32_t j = 0; j < i; j++)
            if (overlap(op->y, ops[j].y)) return i;
    }
    return i;
}

static uint32_t run_products(struct cpu_backend *b, const struct op *ops, uint32_t n)
{
    struct products p = {.b = b, .ops = ops, .n_ops = count_joined(ops, n)};
    uint64_t groups = 0;
    bool packed = false;
    for (uint32_t i = 0; i < p.n_ops; i++) {
        groups += n_groups(&ops[i]);
        packed = packed || ops[i].w->parts->packed;
    }
    if (packed) {
        p.input = cpu_input_of(b, ops->T, ops->w->k);
        pool_run(b->pool, ops->T, 4, round_rows, &p);
    }
    pool_run(b->pool, groups, MAX(groups / (8 * pool_size(b->pool)), 1u), products, &p);
    return p.n_ops;
}

struct job {
    struct cpu_backend *b;
    const struct op *op;
    const struct step *step; /* NULL for ops that do not read it */
};

/* Tokens that share a pass over a KV head. */
static uint32_t attention_tokens(const struct op *op) { return MAX(CPU_QUERIES / (op->H / op->G), 1u); }

/* Item i * G + g: the i-th few tokens, and the query heads that read KV head g. */
static void attention(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const uint32_t E = op->E, group = op->H / op->G, tokens = attention_tokens(op);
    (void)thread;
    for (uint64_t item = begin; item < end; item++) {
        const uint32_t t = (uint32_t)(item / op->G) * tokens, g = (uint32_t)(item % op->G);
        for (uint32_t h = 0; h < group; h += CPU_QUERIES) {
            const uint64_t first = ((uint64_t)t * op->H + g * group + h) * E;
            const struct cpu_attention a = {.q = (const float *)cpu_host(j->b, op->x) + first,
                                            .y = (float *)cpu_host(j->b, op->y) + first,
                                            .k = (const uint16_t *)cpu_host(j->b, op->k_cache) + g * E,
                                            .v = (const uint16_t *)cpu_host(j->b, op->v_cache) + g * E,
                                            .n = (uint64_t)j->step->past + t + 1,
                                            .stride = (uint64_t)op->G * E,
                                            .token_stride = (uint64_t)op->H * E,
                                            .n_tokens = MIN(op->T - t, tokens),
                                            .n_heads = MIN(group - h, (uint32_t)CPU_QUERIES),
                                            .E = E,
                                            .scale = op->scale};
            j->b->kernels->attention(&a);
        }
    }
}

/* --- the small ops ------------------------------------------------------------------------------------------------------ */

static void rms_norm(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    (void)thread;
    for (uint64_t t = begin; t < end; t++)
        j->b->kernels->rms_norm((const float *)cpu_host(j->b, op->x) + t * op->D, cpu_vector(op->w), op->eps, op->D,
                                (float *)cpu_host(j->b, op->y) + t * op->D);
}

static void turns(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const uint32_t E = j->op->E;
    (void)thread;
    for (uint64_t t = begin; t < end; t++) {
        float *turn = j->b->turns + t * E;
        for (uint32_t i = 0; i < E / 2; i++) {
            const double angle = (double)(j->step->past + t) * pow((double)j->op->rope.base, -2.0 * i / E) /
                                 (j->op->rope.factors ? (double)j->op->rope.factors[i] : 1.0);
            turn[i] = (float)cos(angle);
            turn[E / 2 + i] = (float)sin(angle);
        }
    }
}

static void qk_norm_rope_kv(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const struct cpu_kernels *kernels = j->b->kernels;
    const float *q_norm = op->w ? cpu_vector(op->w) : NULL, *k_norm = op->w2 ? cpu_vector(op->w2) : NULL;
    const uint32_t E = op->E, n_kv = op->G * E;
    (void)thread;
    for (uint64_t t = begin; t < end; t++) {
        const uint64_t row = (j->step->past + t) * n_kv;
        float *q = (float *)cpu_host(j->b, op->x) + t * op->H * E, turned[CPU_MAX_HEAD];
        const float *k = (const float *)cpu_host(j->b, op->y) + t * n_kv, *v = (const float *)cpu_host(j->b, op->z) + t * n_kv;
        const float *turn = j->b->turns + t * E;
        uint16_t *k_row = (uint16_t *)cpu_host(j->b, op->k_cache) + row;
        for (uint32_t h = 0; h < op->H; h++) kernels->norm_rope(q + h * E, q_norm, op->eps, E, turn, q + h * E);
        for (uint32_t g = 0; g < op->G; g++) { /* k itself is an input and stays as it is */
            kernels->norm_rope(k + g * E, k_norm, op->eps, E, turn, turned);
            kernels->to_halves(turned, E, k_row + g * E);
        }
        kernels->to_halves(v, n_kv, (uint16_t *)cpu_host(j->b, op->v_cache) + row);
    }
}

/* y = x + bias, turned; bias NULL: none. x and y may be the same. */
static void bias_rope(const float *x, const float *bias, const float *turn, uint32_t E, bool neighbours, float *y)
{
    const uint32_t half = E / 2, step = neighbours ? 2 : 1, apart = neighbours ? 1 : half;
    for (uint32_t i = 0; i < half; i++) {
        const uint32_t at = step * i;
        const float a = x[at] + (bias ? bias[at] : 0.0f), b = x[at + apart] + (bias ? bias[at + apart] : 0.0f);
        y[at] = a * turn[i] - b * turn[half + i];
        y[at + apart] = a * turn[half + i] + b * turn[i];
    }
}

static void bias_rope_kv(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const float *q_bias = op->w ? cpu_vector(op->w) : NULL, *k_bias = op->w2 ? cpu_vector(op->w2) : NULL,
                *v_bias = op->w3 ? cpu_vector(op->w3) : NULL;
    const uint32_t E = op->E, n_kv = op->G * E;
    (void)thread;
    for (uint64_t t = begin; t < end; t++) {
        const uint64_t row = (j->step->past + t) * n_kv;
        float *q = (float *)cpu_host(j->b, op->x) + t * op->H * E, head[CPU_MAX_HEAD];
        const float *k = (const float *)cpu_host(j->b, op->y) + t * n_kv, *v = (const float *)cpu_host(j->b, op->z) + t * n_kv;
        const float *turn = j->b->turns + t * E;
        uint16_t *k_row = (uint16_t *)cpu_host(j->b, op->k_cache) + row, *v_row = (uint16_t *)cpu_host(j->b, op->v_cache) + row;
        for (uint32_t h = 0; h < op->H; h++)
            bias_rope(q + h * E, q_bias ? q_bias + h * E : NULL, turn, E, op->rope.neighbours, q + h * E);
        for (uint32_t g = 0; g < op->G; g++) { /* k and v themselves are inputs and stay as they are */
            bias_rope(k + g * E, k_bias ? k_bias + g * E : NULL, turn, E, op->rope.neighbours, head);
            j->b->kernels->to_halves(head, E, k_row + g * E);
            for (uint32_t i = 0; i < E; i++) head[i] = v[g * E + i] + (v_bias ? v_bias[g * E + i] : 0.0f);
            j->b->kernels->to_halves(head, E, v_row + g * E);
        }
    }
}

static void run_rope(struct job *j)
{
    struct cpu_backend *b = j->b;
    const struct op *op = j->op;
    if (b->turns_of.past != j->step->past || b->turns_of.T != op->T || b->turns_of.E != op->E ||
        b->turns_of.base != op->rope.base || b->turns_of.factors != op->rope.factors) {
        pool_run(b->pool, op->T, 4, turns, j);
        b->turns_of.past = j->step->past, b->turns_of.T = op->T, b->turns_of.E = op->E, b->turns_of.base = op->rope.base;
        b->turns_of.factors = op->rope.factors;
    }
    pool_run(b->pool, op->T, 2, op->kind == OP_BIAS_ROPE_KV ? bias_rope_kv : qk_norm_rope_kv, j);
}

static void swiglu(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    (void)thread;
    j->b->kernels->swiglu((const float *)cpu_host(j->b, j->op->x) + begin, (const float *)cpu_host(j->b, j->op->z) + begin,
                          (float *)cpu_host(j->b, j->op->y) + begin, (uint32_t)(end - begin));
}

static void copy(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    (void)thread;
    memcpy((uint8_t *)cpu_host(j->b, j->op->y) + begin, (const uint8_t *)cpu_host(j->b, j->op->x) + begin, (size_t)(end - begin));
}

uint32_t cpu_run_fast(struct cpu_backend *b, const struct op *ops, uint32_t n)
{
    struct job job = {.b = b, .op = ops, .step = ops->step.bytes ? cpu_host(b, ops->step) : NULL};
    switch (ops->kind) {
    case OP_MATMUL: return run_products(b, ops, n);
    case OP_RMS_NORM: pool_run(b->pool, ops->T, 4, rms_norm, &job); break;
    case OP_QK_NORM_ROPE_KV:
        if (ops->rope.neighbours) cpu_run_reference(b, ops);
        else run_rope(&job);
        break;
    case OP_BIAS_ROPE_KV: run_rope(&job); break;
    case OP_ATTENTION:
        pool_run(b->pool, (uint64_t)(ops->T + attention_tokens(ops) - 1) / attention_tokens(ops) * ops->G, 1, attention, &job);
        break;
    case OP_SWIGLU: pool_run(b->pool, (uint64_t)ops->T * ops->D, 4096, swiglu, &job); break;
    case OP_COPY: pool_run(b->pool, ops->x.bytes, 1 << 20, copy, &job); break;
    default: cpu_run_reference(b, ops); break;
    }
    return 1;
}
