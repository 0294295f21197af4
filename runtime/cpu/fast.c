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

/* Group g of rows of one product whose rows are floats: multiplied as they are if there is one row of x, else
 * converted once and multiplied with all T. */
static void float_group(const struct cpu_backend *b, const struct op *op, uint32_t thread, uint32_t g)
{
    const struct cpu_kernels *kernels = b->kernels;
    const struct weight_part *w = op->w->parts;
    const uint32_t K = op->w->k, N = op->w->n, last = MIN((g + 1) * kernels->group, N);
    const float *x = (const float *)cpu_host(b, op->x) + (uint64_t)op->x_row * K;
    float *y = cpu_host(b, op->y), *scratch = cpu_scratch(b, thread);
    float out[2 * CPU_ROWS];
    const bool in_place = op->w->type == GGUF_T_F32 || (op->T == 1 && !cpu_form_find(op->w->type));
    for (uint32_t n = g * kernels->group; n < last; n += CPU_ROWS) {
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
    const uint32_t N = op->w->n, group = p->b->kernels->group, n_rows = MIN(N - g * group, group);
    float out[CPU_TILE * CPU_MAX_GROUP];
    for (uint32_t t = 0; t < op->T; t += CPU_TILE) {
        const uint32_t n_x = MIN(op->T - t, (uint32_t)CPU_TILE);
        p->b->kernels->product(op->w->type, w->packed + g * w->group_bytes, &p->input, t, n_x, op->w->k, out);
        for (uint32_t i = 0; i < n_x; i++) {
            float *y = (float *)cpu_host(p->b, op->y) + (uint64_t)(t + i) * N + g * group;
            for (uint32_t r = 0; r < n_rows; r++) y[r] = op->add ? y[r] + out[i * group + r] : out[i * group + r];
        }
    }
}

static uint32_t n_groups(const struct cpu_backend *b, const struct op *op)
{
    return op->w->n / b->kernels->group + (op->w->n % b->kernels->group != 0);
}

static void products(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct products *p = user;
    const struct op *op = p->ops;
    uint64_t first = 0; /* of this op's groups */
    for (uint64_t i = begin; i < end; i++) {
        while (i >= first + n_groups(p->b, op)) first += n_groups(p->b, op++);
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
        groups += n_groups(b, &ops[i]);
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
    uint32_t n_slices;       /* of the length, shared among threads; 1: not shared */
};

/* --- attention: a pass takes a few queries of one KV head over one slice of the length. Slices begin at multiples of
 * CPU_SLICE and are merged in order, by whichever thread, so that the bits are the same however the work is shared. ----- */

/* Tokens that share a pass over a KV head. */
static uint32_t attention_tokens(const struct op *op) { return MAX(CPU_QUERIES / (op->H / op->G), 1u); }

/* Query heads that do. */
static uint32_t attention_heads(const struct op *op) { return MIN(op->H / op->G, (uint32_t)CPU_QUERIES); }

static struct cpu_attention attention_pass(const struct job *j, uint32_t t, uint32_t g, uint32_t h)
{
    const struct op *op = j->op;
    const uint32_t group = op->H / op->G;
    return (struct cpu_attention){.q = (const float *)cpu_host(j->b, op->x) + ((uint64_t)t * op->H + g * group + h) * op->E,
                                  .k = cpu_kv_head(j->b, op, op->kv.k, g),
                                  .v = cpu_kv_head(j->b, op, op->kv.v, g),
                                  .n = (uint64_t)j->step->past + t + 1,
                                  .C = op->kv.C,
                                  .token_stride = (uint64_t)op->H * op->E,
                                  .n_tokens = MIN(op->T - t, attention_tokens(op)),
                                  .n_heads = MIN(group - h, attention_heads(op)),
                                  .E = op->E,
                                  .type = op->kv.type,
                                  .scale = op->scale};
}

static void finish(const float *part, uint32_t E, float *y)
{
    for (uint32_t i = 0; i < E; i++) y[i] = part[i] / part[E + 1];
}

/* Item i * G + g: the i-th few tokens, and the query heads that read KV head g; all slices one after the other. */
static void attention(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const uint32_t E = op->E, group = op->H / op->G;
    float all[CPU_QUERIES * CPU_PART(CPU_MAX_HEAD)], parts[CPU_QUERIES * CPU_PART(CPU_MAX_HEAD)];
    (void)thread;
    for (uint64_t item = begin; item < end; item++) {
        const uint32_t t = (uint32_t)(item / op->G) * attention_tokens(op), g = (uint32_t)(item % op->G);
        for (uint32_t h = 0; h < group; h += CPU_QUERIES) {
            struct cpu_attention a = attention_pass(j, t, g, h);
            const uint32_t n_queries = a.n_tokens * a.n_heads;
            for (; a.begin < a.n + a.n_tokens - 1; a.begin += CPU_SLICE) {
                a.end = a.begin + CPU_SLICE;
                a.parts = a.begin ? parts : all;
                j->b->kernels->attention(&a);
                for (uint32_t i = 0; a.begin && i < n_queries; i++)
                    j->b->kernels->attention_merge(all + i * CPU_PART(E), parts + i * CPU_PART(E), E);
            }
            for (uint32_t i = 0; i < n_queries; i++)
                finish(all + i * CPU_PART(E), E, (float *)cpu_host(j->b, op->y) +
                       ((uint64_t)(t + i / a.n_heads) * op->H + g * group + h + i % a.n_heads) * E);
        }
    }
}

/* The same shared over the length, where the KV heads do not go round: the parts of slice `slice`, first those of the pass that
 * begins with query head h of KV head g. */
static float *partials_of(const struct job *j, uint64_t slice, uint32_t g, uint32_t h)
{
    const struct op *op = j->op;
    return j->b->partials + ((slice * op->H + g * (op->H / op->G) + h) * op->T) * CPU_PART(op->E);
}

/* Item g * n_slices + s: slice s of KV head g. */
static void attention_slice(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    (void)thread;
    for (uint64_t item = begin; item < end; item++) {
        const uint64_t slice = item % j->n_slices;
        const uint32_t g = (uint32_t)(item / j->n_slices);
        for (uint32_t h = 0; h < op->H / op->G; h += CPU_QUERIES) {
            struct cpu_attention a = attention_pass(j, 0, g, h);
            a.begin = slice * CPU_SLICE;
            a.end = a.begin + CPU_SLICE;
            a.parts = partials_of(j, slice, g, h);
            j->b->kernels->attention(&a);
        }
    }
}

/* Item t * H + head. */
static void attention_join(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const uint32_t group = op->H / op->G;
    (void)thread;
    for (uint64_t item = begin; item < end; item++) {
        const uint32_t t = (uint32_t)(item / op->H), head = (uint32_t)(item % op->H), g = head / group;
        const uint32_t h = head % group / CPU_QUERIES * CPU_QUERIES, n_heads = MIN(group - h, attention_heads(op));
        const uint64_t at = (uint64_t)(t * n_heads + head % group - h) * CPU_PART(op->E);
        float *all = partials_of(j, 0, g, h) + at;
        for (uint64_t slice = 1; slice < j->n_slices; slice++)
            j->b->kernels->attention_merge(all, partials_of(j, slice, g, h) + at, op->E);
        finish(all, op->E, (float *)cpu_host(j->b, op->y) + item * op->E);
    }
}

uint64_t cpu_partials(const struct cpu_backend *b, const struct op *op)
{
    if (op->T > attention_tokens(op) || op->G >= pool_size(b->pool)) return 0;
    return (uint64_t)op->T * op->H * CPU_PART(op->E) * ((op->kv.C + CPU_SLICE - 1) / CPU_SLICE);
}

static void run_attention(struct job *j)
{
    const struct op *op = j->op;
    struct pool *pool = j->b->pool;
    if (cpu_partials(j->b, op)) j->n_slices = (j->step->past + op->T + CPU_SLICE - 1) / CPU_SLICE;
    if (j->n_slices <= 1) {
        pool_run(pool, (uint64_t)(op->T + attention_tokens(op) - 1) / attention_tokens(op) * op->G, 1, attention, j);
        return;
    }
    pool_run(pool, (uint64_t)op->G * j->n_slices, 1, attention_slice, j);
    pool_run(pool, (uint64_t)op->T * op->H, 1, attention_join, j);
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
        const uint64_t position = j->step->past + t;
        float *q = (float *)cpu_host(j->b, op->x) + t * op->H * E, turned[CPU_MAX_HEAD];
        const float *k = (const float *)cpu_host(j->b, op->y) + t * n_kv, *v = (const float *)cpu_host(j->b, op->z) + t * n_kv;
        const float *turn = j->b->turns + t * E;
        for (uint32_t h = 0; h < op->H; h++) kernels->norm_rope(q + h * E, q_norm, op->eps, E, turn, q + h * E);
        for (uint32_t g = 0; g < op->G; g++) { /* k itself is an input and stays as it is */
            kernels->norm_rope(k + g * E, k_norm, op->eps, E, turn, turned);
            kernels->kv_write(op->kv.type, cpu_kv_head(j->b, op, op->kv.k, g), op->kv.C, E, position, turned);
            kernels->kv_write(op->kv.type, cpu_kv_head(j->b, op, op->kv.v, g), op->kv.C, E, position, v + g * E);
        }
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
        const uint64_t position = j->step->past + t;
        float *q = (float *)cpu_host(j->b, op->x) + t * op->H * E, head[CPU_MAX_HEAD];
        const float *k = (const float *)cpu_host(j->b, op->y) + t * n_kv, *v = (const float *)cpu_host(j->b, op->z) + t * n_kv;
        const float *turn = j->b->turns + t * E;
        for (uint32_t h = 0; h < op->H; h++)
            bias_rope(q + h * E, q_bias ? q_bias + h * E : NULL, turn, E, op->rope.neighbours, q + h * E);
        for (uint32_t g = 0; g < op->G; g++) { /* k and v themselves are inputs and stay as they are */
            bias_rope(k + g * E, k_bias ? k_bias + g * E : NULL, turn, E, op->rope.neighbours, head);
            j->b->kernels->kv_write(op->kv.type, cpu_kv_head(j->b, op, op->kv.k, g), op->kv.C, E, position, head);
            for (uint32_t i = 0; i < E; i++) head[i] = v[g * E + i] + (v_bias ? v_bias[g * E + i] : 0.0f);
            j->b->kernels->kv_write(op->kv.type, cpu_kv_head(j->b, op, op->kv.v, g), op->kv.C, E, position, head);
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
    case OP_ATTENTION: run_attention(&job); break;
    case OP_SWIGLU: pool_run(b->pool, (uint64_t)ops->T * ops->D, 4096, swiglu, &job); break;
    case OP_COPY: pool_run(b->pool, ops->x.bytes, 1 << 20, copy, &job); break;
    default: cpu_run_reference(b, ops); break;
    }
    return 1;
}
