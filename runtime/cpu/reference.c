/* reference: every op in plain C with double accumulators, in the order the formulas are written. It is the oracle of
 * the kernel table and of the whole model. Formulas: MODEL.md. */
#include "cpu.h"
#include "quant.h"

#include <math.h>
#include <string.h>

struct job {
    struct cpu_backend *b;
    const struct op *op;
    const struct step *step; /* NULL for ops that do not read it */
};

static void embed(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const struct weight_part *w = op->w->parts;
    float *y = cpu_host(j->b, op->y);
    (void)thread;
    for (uint64_t t = begin; t < end; t++)
        quant_dequantize_row(op->w->type, w->rows + j->step->tokens[t] * w->row_bytes, y + t * op->D, op->D);
}

static const float *floats(const struct weight *w) { return (const float *)(const void *)w->parts->rows; }

static double inverse_rms(const float *x, uint32_t n, double eps)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return 1.0 / sqrt(sum / n + eps);
}

static void rms_norm(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const float *w = floats(op->w);
    (void)thread;
    for (uint64_t t = begin; t < end; t++) {
        const float *x = (const float *)cpu_host(j->b, op->x) + t * op->D;
        float *y = (float *)cpu_host(j->b, op->y) + t * op->D;
        const double r = inverse_rms(x, op->D, (double)op->eps);
        for (uint32_t i = 0; i < op->D; i++) y[i] = (float)((double)x[i] * r * (double)w[i]);
    }
}

/* Rows begin..end of W: each is dequantised once and multiplied with all T rows of x. */
static void matmul(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const uint32_t K = op->w->k, N = op->w->n;
    const float *x = (const float *)cpu_host(j->b, op->x) + (uint64_t)op->x_row * K;
    float *y = cpu_host(j->b, op->y), *row = cpu_scratch(j->b, thread);
    for (uint64_t n = begin; n < end; n++) {
        quant_dequantize_row(op->w->type, op->w->parts->rows + n * op->w->parts->row_bytes, row, K);
        for (uint64_t t = 0; t < op->T; t++) {
            double sum = 0;
            for (uint32_t i = 0; i < K; i++) sum += (double)x[t * K + i] * (double)row[i];
            float *out = &y[t * N + n];
            *out = (float)(op->add ? (double)*out + sum : sum);
        }
    }
}

/* Head number `head` as it is before the rotation: normalised with w [E], or plus its part of the bias w [heads, E]. */
static void prepare_head(const struct op *op, const float *a, const struct weight *w, uint32_t head, double *out)
{
    const uint32_t E = op->E;
    if (op->kind == OP_QK_NORM_ROPE_KV) {
        const double r = inverse_rms(a, E, (double)op->eps);
        for (uint32_t i = 0; i < E; i++) out[i] = (double)a[i] * r * (double)floats(w)[i];
    } else {
        for (uint32_t i = 0; i < E; i++) out[i] = (double)a[i] + (w ? (double)floats(w)[head * E + i] : 0.0);
    }
}

static void turn_head(const struct op *op, const double *a, const double *cosine, const double *sine, float *out)
{
    const uint32_t half = op->E / 2, apart = op->rope.neighbours ? 1 : half;
    for (uint32_t i = 0; i < half; i++) {
        const uint32_t j = op->rope.neighbours ? 2 * i : i;
        out[j] = (float)(a[j] * cosine[i] - a[j + apart] * sine[i]);
        out[j + apart] = (float)(a[j] * sine[i] + a[j + apart] * cosine[i]);
    }
}

/* qk_norm_rope_kv and bias_rope_kv, which differ in prepare_head and in the bias of v. */
static void rope_kv(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const uint32_t E = op->E;
    const uint64_t n_kv = (uint64_t)op->G * E, n_q = (uint64_t)op->H * E;
    double cosine[CPU_MAX_HEAD / 2], sine[CPU_MAX_HEAD / 2], head[CPU_MAX_HEAD];
    float turned[CPU_MAX_HEAD];
    (void)thread;
    for (uint64_t t = begin; t < end; t++) {
        const uint64_t position = j->step->past + t;
        float *q = (float *)cpu_host(j->b, op->x) + t * n_q;
        const float *k = (const float *)cpu_host(j->b, op->y) + t * n_kv, *v = (const float *)cpu_host(j->b, op->z) + t * n_kv;
        for (uint32_t i = 0; i < E / 2; i++) {
            const double angle = (double)position * pow((double)op->rope.base, -2.0 * i / E) /
                                 (op->rope.factors ? (double)op->rope.factors[i] : 1.0);
            cosine[i] = cos(angle);
            sine[i] = sin(angle);
        }
        for (uint32_t h = 0; h < op->H; h++) {
            prepare_head(op, q + h * E, op->w, h, head);
            turn_head(op, head, cosine, sine, q + h * E);
        }
        for (uint32_t g = 0; g < op->G; g++) { /* k itself is an input and stays as it is */
            prepare_head(op, k + g * E, op->w2, g, head);
            turn_head(op, head, cosine, sine, turned);
            kv_row_write(op->kv.type, cpu_kv_head(j->b, op, op->kv.k, g), op->kv.C, E, position, turned);
            for (uint32_t i = 0; i < E; i++)
                turned[i] = (float)((double)v[g * E + i] + (op->w3 ? (double)floats(op->w3)[g * E + i] : 0.0));
            kv_row_write(op->kv.type, cpu_kv_head(j->b, op, op->kv.v, g), op->kv.C, E, position, turned);
        }
    }
}

static double score(const struct op *op, const float *q, const uint8_t *head, uint64_t p)
{
    float k[CPU_MAX_HEAD];
    double sum = 0;
    kv_row_read(op->kv.type, head, op->kv.C, op->E, p, k);
    for (uint32_t i = 0; i < op->E; i++) sum += (double)q[i] * (double)k[i];
    return sum * (double)op->scale;
}

/* Item t * H + h. Scores are computed twice, once for their maximum, so that nothing grows with the past. */
static void attention(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const struct op *op = j->op;
    const uint32_t E = op->E;
    float value[CPU_MAX_HEAD];
    (void)thread;
    for (uint64_t item = begin; item < end; item++) {
        const uint64_t t = item / op->H, h = item % op->H, g = h / (op->H / op->G), n = (uint64_t)j->step->past + t + 1;
        const float *q = (const float *)cpu_host(j->b, op->x) + item * E;
        float *y = (float *)cpu_host(j->b, op->y) + item * E;
        const uint8_t *k = cpu_kv_head(j->b, op, op->kv.k, g), *v = cpu_kv_head(j->b, op, op->kv.v, g);
        double max = -INFINITY, sum = 0, acc[CPU_MAX_HEAD] = {0};
        for (uint64_t p = 0; p < n; p++) max = fmax(max, score(op, q, k, p));
        for (uint64_t p = 0; p < n; p++) {
            const double weight = exp(score(op, q, k, p) - max);
            kv_row_read(op->kv.type, v, op->kv.C, E, p, value);
            sum += weight;
            for (uint32_t i = 0; i < E; i++) acc[i] += weight * (double)value[i];
        }
        for (uint32_t i = 0; i < E; i++) y[i] = (float)(acc[i] / sum);
    }
}

static void swiglu(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const float *gate = cpu_host(j->b, j->op->x), *up = cpu_host(j->b, j->op->z);
    float *y = cpu_host(j->b, j->op->y);
    (void)thread;
    for (uint64_t i = begin; i < end; i++) {
        const double a = (double)gate[i];
        y[i] = (float)(a / (1.0 + exp(-a)) * (double)up[i]);
    }
}

/* The formulas are at ops.h and at the heads of the shaders. */
static float peak_dot(int32_t x, uint32_t rounds)
{
    static const int8_t c[4] = {1, -2, 3, -4};
    uint32_t sum = 0;
    for (uint32_t j = 0; j < 8; j++) {
        uint32_t a = (uint32_t)x + j;
        for (uint32_t r = 0; r < rounds; r++) {
            uint32_t dot = 0;
            for (int i = 0; i < 4; i++) dot += (uint32_t)((int32_t)(int8_t)(a >> 8 * i & 0xff) * c[i]);
            a += dot;
        }
        sum += a;
    }
    return (float)(sum & 0xffff);
}

static float peak_matrix(float x, uint32_t rounds)
{
    const double v = floor(fmin(fmax((double)x, -1), 1) * 64) / 64;
    return (float)(8 * (rounds * v * v) + 28);
}

static void peak(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct job *j = user;
    const float *x = cpu_host(j->b, j->op->x);
    float *y = cpu_host(j->b, j->op->y);
    (void)thread;
    for (uint64_t i = begin; i < end; i++) {
        int32_t bits;
        double sum = 0;
        memcpy(&bits, &x[i], sizeof bits);
        if (j->op->arithmetic == ARITHMETIC_INT8) y[i] = peak_dot(bits, j->op->rounds);
        if (j->op->arithmetic == ARITHMETIC_MATRIX) y[i] = peak_matrix(x[0], j->op->rounds);
        if (j->op->arithmetic != ARITHMETIC_F32 && j->op->arithmetic != ARITHMETIC_F16) continue;
        for (int c = 0; c < 8; c++) {
            double a = (double)x[i] + c;
            for (uint32_t r = 0; r < j->op->rounds; r++) a = a * 0.75 + 0.25;
            sum += a;
        }
        y[i] = (float)sum;
    }
}

/* Not shared among threads: one pass over the logits, with a heap of top_k candidates. */
static void sample(const struct cpu_backend *b, const struct op *op, struct step *step)
{
    struct draws *d = cpu_host(b, op->y);
    const uint32_t at = d->n++ % SAMPLE_RING;
    d->ids[at] = sample_draw(d, d->uniform[at], cpu_host(b, op->x), op->D, op->top_k, cpu_host(b, op->z));
    step->past++;
    step->tokens[0] = d->ids[at];
}

void cpu_run_reference(struct cpu_backend *b, const struct op *op)
{
    struct job job = {.b = b, .op = op, .step = op->step.bytes ? cpu_host(b, op->step) : NULL};
    switch (op->kind) {
    case OP_EMBED: pool_run(b->pool, op->T, 4, embed, &job); break;
    case OP_RMS_NORM: pool_run(b->pool, op->T, 4, rms_norm, &job); break;
    case OP_MATMUL: pool_run(b->pool, op->w->n, 16, matmul, &job); break;
    case OP_QK_NORM_ROPE_KV:
    case OP_BIAS_ROPE_KV: pool_run(b->pool, op->T, 2, rope_kv, &job); break;
    case OP_ATTENTION: pool_run(b->pool, (uint64_t)op->T * op->H, 1, attention, &job); break;
    case OP_SWIGLU: pool_run(b->pool, (uint64_t)op->T * op->D, 1024, swiglu, &job); break;
    case OP_PEAK: pool_run(b->pool, op->D, 16, peak, &job); break;
    case OP_COPY: memcpy(cpu_host(b, op->y), cpu_host(b, op->x), (size_t)op->x.bytes); break;
    case OP_SAMPLE: sample(b, op, cpu_host(b, op->step)); break;
    case OP_NORM_MATMULS:
    case OP_NORM_GATE_UP: /* expanded when they are recorded */
    case OP_N_KINDS: break;
    }
}
