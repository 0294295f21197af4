/* fast: matrix product and attention with the kernels of this processor; everything else is the reference's, which is
 * cheap beside these two. */
#include "cpu.h"
#include "kernels.h"

#include <string.h>

struct job {
    const struct cpu_backend *b;
    const struct op *op;
};

/* Rows begin..end of W, CPU_ROWS at a time: dequantised once, then multiplied with all T rows of x. */
static void matmul(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const struct cpu_kernels *kernels = j->b->kernels;
    const struct weight_part *w = op->w->parts;
    const uint32_t K = op->w->k, N = op->w->n;
    const float *x = (const float *)cpu_host(j->b, op->x) + (uint64_t)op->x_row * K;
    float *y = cpu_host(j->b, op->y), *scratch = cpu_scratch(j->b, thread);
    float out[2 * CPU_ROWS];
    for (uint64_t n = begin; n < end; n += CPU_ROWS) {
        const uint32_t n_rows = (uint32_t)MIN(end - n, (uint64_t)CPU_ROWS);
        const float *rows[CPU_ROWS];
        for (uint32_t r = 0; r < CPU_ROWS; r++) rows[r] = scratch + (r < n_rows ? (uint64_t)r * K : 0);
        for (uint32_t r = 0; r < n_rows; r++)
            kernels->dequantize(op->w->type, w->rows + (n + r) * w->row_bytes, scratch + (uint64_t)r * K, K);
        for (uint64_t t = 0; t < op->T; t += 2) {
            const uint32_t n_x = t + 1 < op->T ? 2 : 1;
            kernels->dot(rows, x + t * K, n_x, K, out);
            for (uint32_t i = 0; i < n_x; i++)
                for (uint32_t r = 0; r < n_rows; r++) {
                    float *to = &y[(t + i) * N + n + r];
                    *to = op->add ? *to + out[i * CPU_ROWS + r] : out[i * CPU_ROWS + r];
                }
        }
    }
}

/* Item t * G + g: the H/G query heads that read KV head g. */
static void attention(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const struct step *step = cpu_host(j->b, op->step);
    const uint32_t E = op->E, group = op->H / op->G;
    (void)thread;
    for (uint64_t item = begin; item < end; item++) {
        const uint64_t t = item / op->G, g = item % op->G;
        for (uint32_t h = 0; h < group; h += CPU_TILE_HEADS) {
            const uint64_t first = (t * op->H + g * group + h) * E;
            const struct cpu_attention a = {.q = (const float *)cpu_host(j->b, op->x) + first,
                                            .y = (float *)cpu_host(j->b, op->y) + first,
                                            .k = (const uint16_t *)cpu_host(j->b, op->k_cache) + g * E,
                                            .v = (const uint16_t *)cpu_host(j->b, op->v_cache) + g * E,
                                            .n = step->past + t + 1,
                                            .stride = (uint64_t)op->G * E,
                                            .n_heads = MIN(group - h, (uint32_t)CPU_TILE_HEADS),
                                            .E = E,
                                            .scale = op->scale};
            j->b->kernels->attention(&a);
        }
    }
}

void cpu_run_fast(struct cpu_backend *b, const struct op *op)
{
    struct job job = {.b = b, .op = op};
    if (b->kernels && op->kind == OP_MATMUL) pool_run(b->pool, op->w->n, 4 * CPU_ROWS, matmul, &job);
    else if (b->kernels && op->kind == OP_ATTENTION) pool_run(b->pool, (uint64_t)op->T * op->G, 1, attention, &job);
    else cpu_run_reference(b, op);
}
