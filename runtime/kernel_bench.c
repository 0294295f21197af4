/* kernel_bench: every kernel at the shapes of a model: time, bytes and operations a second, share of what the device can,
 * and the error against the reference. See pumice_bench_kernels.
 *
 * An op is recorded many times into one plan, over as many copies of its weight as no cache holds, and the plan is run
 * until the times are steady. Where the device has timestamps they are used, else the clock around the plan. */
#include "gguf.h"
#include "kernel_rig.h"
#include "model.h"
#include "quant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_COPIES = 64,
    MAX_OPS = 256, /* in a plan */
    N_SAMPLES = 15,
    PEAK_N = 1 << 20,
    PEAK_ROUNDS = 256,
    PEAK_ROUNDS_MATRIX = 8192 /* so that a matrix unit is busy for longer than it takes to start */
};
#define COLD_BYTES        ((uint64_t)256 << 20) /* more than last-level caches have */
#define COLD_BYTES_HOST   ((uint64_t)96 << 20)
#define SAMPLE_NS         2000000.0   /* a plan takes at least this */
#define ROW_NS            1500000000u /* a row takes about this at most */
#define REFERENCE_MULTIPLIES 3e8      /* more would keep the double-precision reference busy too long */

struct matrix {
    uint32_t type, n, k;
};

struct shapes {
    const char *name;
    uint32_t D, H, G, E, F;
    struct matrix matrices[16];
    uint32_t n_matrices;
    struct matrix embed, gate;
    bool bias; /* BIAS_ROPE_KV in the place of QK_NORM_ROPE_KV */
};

/* Q4_K_M files of these models: half of the value and down matrices, and the output, are Q6_K. */
#define QWEN3(name_, D_, H_, G_, F_)                                                                                      \
    {.name = name_, .D = D_, .H = H_, .G = G_, .E = 128, .F = F_, .n_matrices = 7,                                         \
     .matrices = {{GGUF_T_Q4_K, (H_)*128, D_}, {GGUF_T_Q4_K, (G_)*128, D_}, {GGUF_T_Q6_K, (G_)*128, D_}, {GGUF_T_Q4_K, D_, (H_)*128},  \
                  {GGUF_T_Q4_K, F_, D_}, {GGUF_T_Q6_K, D_, F_}, {GGUF_T_Q6_K, 151936, D_}},                                \
     .embed = {GGUF_T_Q6_K, 151936, D_}, .gate = {GGUF_T_Q4_K, F_, D_}}
static const struct shapes named[] = {QWEN3("qwen3-4b", 2560, 32, 8, 9728), QWEN3("qwen3-0.6b", 1024, 16, 8, 3072)};

struct bench {
    struct backend_options options;
    struct kernel_rig rig; /* [0] measured */
    enum pumice_kv kv;
    struct arena weights;  /* bytes that a back end may use in place */
    struct pumice_ceilings ceilings;
    const char *only;
    void (*report)(void *user, const struct pumice_kernel_row *row);
    void *user;
    bool host; /* the processor's memory and caches */
};

/* --- time ------------------------------------------------------------------------------------------------------------ */

static uint64_t device_ns(struct backend *b, enum op_kind kind)
{
    struct pumice_perf_row rows[OP_N_KINDS];
    size_t n = COUNT_OF(rows);
    b->calls->perf(b, rows, &n);
    for (size_t i = 0; i < MIN(n, COUNT_OF(rows)); i++)
        if (strcmp(rows[i].op, op_kind_name(kind)) == 0) return rows[i].ns;
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What is measured: ops[i % n_copies] again and again, each behind `before` (NULL: nothing). */
struct timed {
    const struct op *ops, *before;
    uint32_t n_copies;
};

static enum pumice_status make_plan(struct backend *b, const struct timed *t, uint32_t n_ops, struct plan **out)
{
    enum pumice_status st = PUMICE_OK;
    TRY(b->calls->plan_begin(b, "kernel bench", out));
    for (uint32_t i = 0; i < n_ops; i++) {
        if (t->before) TRY(b->calls->record(*out, t->before));
        TRY(b->calls->record(*out, &t->ops[i % t->n_copies]));
    }
    TRY(b->calls->plan_end(*out));
fail:
    return st;
}

static uint64_t timed_ns(struct backend *b, const struct timed *t)
{
    return device_ns(b, t->ops->kind) + (t->before ? device_ns(b, t->before->kind) : 0);
}

/* One run of the plan: ns an op. */
static enum pumice_status time_plan(struct backend *b, struct plan *p, const struct timed *t, uint32_t n_ops, double *ns)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t before = timed_ns(b, t), begin = platform_now_ns();
    TRY(b->calls->plan_run(p));
    const uint64_t wall = platform_now_ns() - begin, own = timed_ns(b, t) - before;
    *ns = (double)(own ? own : wall) / n_ops;
fail:
    return st;
}

/* Median and half the distance between the quartiles, ns an op. */
static enum pumice_status measure(struct backend *b, const struct timed *t, double *median, double *spread)
{
    enum pumice_status st = PUMICE_OK;
    struct plan *p = NULL;
    double samples[N_SAMPLES], first = 0;
    uint32_t n = 0;
    TRY(make_plan(b, t, t->n_copies, &p));
    TRY(time_plan(b, p, t, t->n_copies, &first)); /* warms up: pipelines, pages */
    TRY(time_plan(b, p, t, t->n_copies, &first));
    const double wanted = SAMPLE_NS / MAX(first, 1.0);
    uint32_t n_ops = wanted < MAX_OPS ? (uint32_t)wanted : (uint32_t)MAX_OPS;
    n_ops = MAX(n_ops, t->n_copies);
    if (n_ops != t->n_copies) {
        b->calls->plan_destroy(p);
        p = NULL;
        TRY(make_plan(b, t, n_ops, &p));
        TRY(time_plan(b, p, t, n_ops, &first));
    }
    const uint64_t end = platform_now_ns() + ROW_NS;
    while (n < N_SAMPLES && (n < 3 || platform_now_ns() < end)) TRY(time_plan(b, p, t, n_ops, &samples[n++]));
    qsort(samples, n, sizeof *samples, compare_doubles);
    *median = n % 2 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
    *spread = (samples[n - 1 - n / 4] - samples[n / 4]) / 2;
fail:
    b->calls->plan_destroy(p);
    return st;
}

/* --- rows -------------------------------------------------------------------------------------------------------------- */

static double *ceiling(struct pumice_ceilings *c, enum arithmetic a)
{
    return a == ARITHMETIC_F16 ? &c->f16_flops_per_s : a == ARITHMETIC_INT8 ? &c->int8_ops_per_s
           : a == ARITHMETIC_MATRIX ? &c->matrix_flops_per_s : &c->f32_flops_per_s;
}

/* The error at this shape, of fewer rows of the matrix or a shorter past where the reference would take too long. */
static enum pumice_status error_of(struct bench *b, struct kernel_row row, double *nmse)
{
    enum pumice_status st = PUMICE_OK;
    struct pumice_selftest_row result = {0};
    const struct backend_options reference = {.device = "reference"};
    const double a_row = (double)row.T * row.K, a_position = 2.0 * row.T * row.H * row.E;
    const bool product = row.kind == OP_MATMUL || row.kind == OP_NORM_GATE_UP;
    if (product && a_row * row.N > REFERENCE_MULTIPLIES) row.N = MAX(64u, (uint32_t)(REFERENCE_MULTIPLIES / a_row));
    if (row.kind == OP_ATTENTION && a_position * row.past > REFERENCE_MULTIPLIES) row.past = (uint32_t)(REFERENCE_MULTIPLIES / a_position);
    if (row.kind == OP_EMBED) row.N = MIN(row.N, 4096u);
    row.limit = 1;
    if (!b->rig.side[1]) TRY(cpu_backend_create(&reference, &b->rig.side[1]));
    b->rig.n_sides = 2;
    TRY(kernel_run_row(&b->rig, &row, &result));
    *nmse = result.ok ? result.nmse : NAN;
fail:
    b->rig.n_sides = 1;
    return st;
}

/* Time on the device with `copies` of the weight, already there. out (or NULL): gets bytes and flops. */
static enum pumice_status time_row(struct bench *b, const struct kernel_row *row, const struct weight *copies, uint32_t n_copies,
                                   double *median, double *spread, struct pumice_kernel_row *out,
                                   enum arithmetic *arithmetic)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *device = b->rig.side[0];
    struct kernel_call call = {0};
    struct op ops[MAX_COPIES];
    struct buf step = {0}, y[2] = {0}; /* outputs for all rows */
    struct kernel_row bare = *row;
    const uint32_t n_outputs = row->kind == OP_MATMUL ? 1 : row->kind == OP_NORM_GATE_UP ? 2 : 0;
    if (n_copies) bare.N = 1; /* its weights are not used */
    TRY(kernel_step(device, row, &step));
    TRY(kernel_prepare(&b->rig, &bare, &call));
    for (uint32_t i = 0; i < n_outputs; i++)
        TRY(device->calls->buffer_create(device, MEM_SCRATCH, (uint64_t)row->T * row->N * 4, "bench y", &y[i]));
    if (n_outputs > 0) call.op[0].y = y[0];
    if (n_outputs > 1) call.op[0].y2 = y[1];
    for (uint32_t i = 0; i < MAX(n_copies, 1u); i++) {
        ops[i] = call.op[0];
        ops[i].step = step;
        if (n_copies) ops[i].w = &copies[i];
        if (n_copies && n_outputs == 2) ops[i].w2 = &copies[(i + 1) % n_copies]; /* of the same shape: gate and up */
    }
    call.before[0].step = step;
    const struct timed timed = {ops, row->before ? &call.before[0] : NULL, MAX(n_copies, 1u)};
    TRY(measure(device, &timed, median, spread));
    if (out) {
        out->bytes = op_bytes(&ops[0], row->past) + (timed.before ? op_bytes(timed.before, row->past) : 0);
        out->flops = op_flops(&ops[0], row->past);
        *arithmetic = device->calls->arithmetic_of ? device->calls->arithmetic_of(device, &ops[0]) : ARITHMETIC_F32;
    }
fail:
    for (uint32_t i = 0; i < n_outputs; i++)
        if (y[i].bytes) device->calls->buffer_destroy(device, &y[i]);
    if (step.bytes) device->calls->buffer_destroy(device, &step);
    kernel_clear(&b->rig);
    return st;
}

/* One row, reported. */
static enum pumice_status bench_row(struct bench *b, const struct kernel_row *row, const struct weight *copies, uint32_t n_copies)
{
    enum pumice_status st = PUMICE_OK;
    struct pumice_kernel_row out = {.n_tokens = row->T, .n_past = row->past};
    enum arithmetic arithmetic = ARITHMETIC_F32;
    kernel_name(row, "", out.name, sizeof out.name);
    out.name[strlen(out.name) - 3] = 0; /* the variant's brackets */
    out.op = op_kind_name(row->kind);
    out.type = row->kind == OP_MATMUL || row->kind == OP_EMBED || row->kind == OP_NORM_GATE_UP ? gguf_type(row->type)->name : "";
    if (b->only && !strstr(out.name, b->only)) return PUMICE_OK;
    TRY(time_row(b, row, copies, n_copies, &out.median_ns, &out.spread_ns, &out, &arithmetic));
    const double memory_ns = b->ceilings.bytes_per_s > 0 ? (double)out.bytes * 1e9 / b->ceilings.bytes_per_s : 0;
    const double rate = *ceiling(&b->ceilings, arithmetic), compute_ns = rate > 0 ? out.flops * 1e9 / rate : 0;
    out.bound = memory_ns >= compute_ns ? "memory" : arithmetic_name(arithmetic);
    out.share = MAX(memory_ns, compute_ns) / out.median_ns;
    TRY(error_of(b, *row, &out.nmse));
    b->report(b->user, &out);
fail:
    return st;
}

static bool is_host(const struct pumice_device_info *d)
{
    return d->kind == PUMICE_DEVICE_CPU || d->kind == PUMICE_DEVICE_SOFTWARE;
}

static enum pumice_status open_device(struct bench *b)
{
    const enum pumice_status st = backend_create(&b->options, &b->rig.side[0]);
    if (st == PUMICE_OK) b->rig.side[0]->calls->info(b->rig.side[0], &b->ceilings.device);
    return st;
}

static void close_device(struct bench *b)
{
    if (b->rig.side[0]) b->rig.side[0]->calls->destroy(b->rig.side[0]);
    b->rig.side[0] = NULL;
}

/* All rows of one matrix. Weights live as long as their back end, so that it is opened anew for each. */
static enum pumice_status bench_matrix(struct bench *b, const struct matrix *m, enum op_kind kind, const uint32_t *Ts, size_t n_Ts)
{
    enum pumice_status st = PUMICE_OK;
    struct weight copies[MAX_COPIES];
    const uint64_t bytes = (uint64_t)m->n * quant_row_bytes(m->type, m->k);
    const uint64_t cold = b->host ? COLD_BYTES_HOST : COLD_BYTES;
    const uint32_t n_copies = kind == OP_EMBED ? 1 : (uint32_t)MAX(1u, MIN(cold / bytes + 1, (uint64_t)MAX_COPIES));
    char name[96];
    bool wanted = !b->only;
    for (size_t i = 0; i < n_Ts && !wanted; i++) {
        kernel_name(&(struct kernel_row){.kind = kind, .type = m->type, .T = Ts[i], .N = m->n, .K = m->k}, "", name, sizeof name);
        wanted = strstr(name, b->only) != NULL;
    }
    if (!wanted) return PUMICE_OK;
    TRY(open_device(b));
    for (uint32_t i = 0; i < n_copies; i++) {
        const struct arena keep = b->rig.arena;
        b->rig.arena = b->weights;
        st = kernel_weight(&b->rig, m->type, m->n, m->k, &copies[i]);
        b->weights = b->rig.arena;
        b->rig.arena = keep;
        TRY(st);
    }
    TRY(b->rig.side[0]->calls->weights_done(b->rig.side[0]));
    for (size_t i = 0; i < n_Ts; i++) {
        const struct kernel_row row = {.kind = kind, .type = m->type, .T = Ts[i], .N = m->n, .K = m->k};
        TRY(bench_row(b, &row, copies, n_copies));
    }
fail:
    close_device(b);
    arena_fini(&b->weights);
    return st;
}

static enum pumice_status bench_rest(struct bench *b, const struct shapes *s, const uint32_t *Ts, size_t n_Ts)
{
    enum pumice_status st = PUMICE_OK;
    static const uint32_t pasts[] = {0, 1024, 8192};
    const enum op_kind rope = s->bias ? OP_BIAS_ROPE_KV : OP_QK_NORM_ROPE_KV;
    TRY(open_device(b));
    for (size_t i = 0; i < n_Ts; i++) {
        const uint32_t T = Ts[i];
        TRY(bench_row(b, &(struct kernel_row){.kind = OP_RMS_NORM, .T = T, .K = s->D}, NULL, 0));
        TRY(bench_row(b, &(struct kernel_row){.kind = OP_SWIGLU, .T = T, .K = s->F}, NULL, 0));
        TRY(bench_row(b, &(struct kernel_row){.kind = rope, .T = T, .H = s->H, .G = s->G, .E = s->E, .past = 100, .kv = b->kv}, NULL, 0));
        for (size_t p = 0; p < COUNT_OF(pasts); p++)
            TRY(bench_row(b, &(struct kernel_row){.kind = OP_ATTENTION, .T = T, .H = s->H, .G = s->G, .E = s->E, .past = pasts[p],
                                                  .kv = b->kv}, NULL, 0));
    }
    /* both as a plan has them: one kernel, where there is one */
    for (size_t p = 0; p < COUNT_OF(pasts); p++)
        TRY(bench_row(b, &(struct kernel_row){.kind = OP_ATTENTION, .before = rope, .T = 1, .H = s->H, .G = s->G, .E = s->E,
                                              .past = pasts[p], .kv = b->kv}, NULL, 0));
fail:
    close_device(b);
    return st;
}

/* --- ceilings and shapes ------------------------------------------------------------------------------------------------- */

static enum pumice_status measure_ceilings(struct bench *b)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *d = b->rig.side[0];
    struct buf x = {0}, y = {0};
    double ns = 0, spread = 0;
    const uint64_t bytes = b->host ? COLD_BYTES_HOST : COLD_BYTES;
    TRY(d->calls->buffer_create(d, MEM_SCRATCH, bytes / 2, "ceiling x", &x));
    TRY(d->calls->buffer_create(d, MEM_SCRATCH, bytes / 2, "ceiling y", &y));
    const struct op copy = {.kind = OP_COPY, .label = "copy", .x = x, .y = y};
    TRY(measure(d, &(struct timed){.ops = &copy, .n_copies = 1}, &ns, &spread));
    b->ceilings.bytes_per_s = (double)op_bytes(&copy, 0) * 1e9 / ns;
    if (b->ceilings.device.kind == PUMICE_DEVICE_CPU) goto fail; /* its own kernels are not made of such loops */
    for (enum arithmetic a = 0; a < ARITHMETIC_N; a++) {
        if (a != ARITHMETIC_F32 && !(d->calls->has_arithmetic && d->calls->has_arithmetic(d, a))) continue;
        const struct op peak = {.kind = OP_PEAK, .label = "peak", .arithmetic = a, .x = x, .y = y, .D = b->host ? PEAK_N / 64 : PEAK_N,
                                .rounds = b->host || a != ARITHMETIC_MATRIX ? PEAK_ROUNDS : PEAK_ROUNDS_MATRIX};
        TRY(measure(d, &(struct timed){.ops = &peak, .n_copies = 1}, &ns, &spread));
        *ceiling(&b->ceilings, a) = op_flops(&peak, 0) * 1e9 / ns;
    }
fail:
    d->calls->buffer_destroy(d, &x);
    d->calls->buffer_destroy(d, &y);
    return st;
}

static void add_matrix(struct shapes *s, const struct gguf_tensor *t)
{
    const struct matrix m = {.type = t->type, .n = (uint32_t)t->dims[1], .k = (uint32_t)t->dims[0]};
    for (uint32_t i = 0; i < s->n_matrices; i++)
        if (memcmp(&s->matrices[i], &m, sizeof m) == 0) return;
    if (s->n_matrices < COUNT_OF(s->matrices)) s->matrices[s->n_matrices++] = m;
}

/* The distinct matrices of a file. */
static enum pumice_status shapes_of(struct pumice_model *m, struct shapes *s)
{
    enum pumice_status st = PUMICE_OK;
    TRY(model_bind(m));
    *s = (struct shapes){.name = "file", .D = m->h.D, .H = m->h.H, .G = m->h.G, .E = m->h.E, .F = m->h.F};
    for (uint32_t i = 0; i < m->h.n_layers; i++) {
        const struct gguf_tensor *all[LAYER_MATRICES];
        layer_matrices(&m->layers[i], all);
        for (size_t j = 0; j < COUNT_OF(all); j++) add_matrix(s, all[j]);
    }
    add_matrix(s, m->output);
    s->bias = m->layers[0].q_norm == NULL;
    s->gate = (struct matrix){m->layers[0].gate->type, m->h.F, m->h.D};
    s->embed = (struct matrix){m->embed->type, (uint32_t)m->embed->dims[1], (uint32_t)m->embed->dims[0]};
fail:
    return st;
}

/* --- tuning ----------------------------------------------------------------------------------------------------------- */

enum { TUNE_MATRICES = 3 };
#define TUNE_COLD_BYTES ((uint64_t)64 << 20)

struct tuner {
    struct bench b;
    struct shapes shapes;
    struct matrix matrices[TUNE_MATRICES]; /* the largest of each type that is not huge */
    struct weight weights[TUNE_MATRICES][8];
    uint32_t n_matrices, n_copies[TUNE_MATRICES];
};

static enum pumice_status tuner_weights(struct tuner *t)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t cold = t->b.host ? TUNE_COLD_BYTES / 8 : TUNE_COLD_BYTES;
    for (uint32_t i = 0; i < t->shapes.n_matrices; i++) {
        const struct matrix m = t->shapes.matrices[i];
        uint32_t j = 0;
        if ((uint64_t)m.n * quant_row_bytes(m.type, m.k) > TUNE_COLD_BYTES) continue;
        while (j < t->n_matrices && t->matrices[j].type != m.type) j++;
        if (j == TUNE_MATRICES) continue;
        if (j == t->n_matrices) t->matrices[t->n_matrices++] = m;
        if ((uint64_t)m.n * m.k > (uint64_t)t->matrices[j].n * t->matrices[j].k) t->matrices[j] = m;
    }
    for (uint32_t j = 0; j < t->n_matrices; j++) {
        const struct matrix *m = &t->matrices[j];
        const uint64_t bytes = (uint64_t)m->n * quant_row_bytes(m->type, m->k);
        t->n_copies[j] = (uint32_t)MIN(cold / bytes + 1, (uint64_t)COUNT_OF(t->weights[j]));
        for (uint32_t i = 0; i < t->n_copies[j]; i++) TRY(kernel_weight(&t->b.rig, m->type, m->n, m->k, &t->weights[j][i]));
    }
    TRY(t->b.rig.side[0]->calls->weights_done(t->b.rig.side[0]));
fail:
    return st;
}

/* What the kernels of a knob take with the values in use. */
static enum pumice_status tuner_sum(struct tuner *t, const struct tune_knob *k, double *ns)
{
    enum pumice_status st = PUMICE_OK;
    const struct shapes *s = &t->shapes;
    const uint32_t T = t->b.host ? MIN(k->T, 32u) : k->T;
    double spread = 0, one = 0;
    *ns = 0;
    if (k->kind != OP_MATMUL) {
        const enum op_kind kind = k->kind == OP_QK_NORM_ROPE_KV && s->bias ? OP_BIAS_ROPE_KV : k->kind;
        const struct kernel_row row = {.kind = kind, .T = T, .K = s->D, .H = s->H, .G = s->G, .E = s->E, .past = 1024};
        return time_row(&t->b, &row, NULL, 0, ns, &spread, NULL, NULL);
    }
    for (uint32_t j = 0; j < t->n_matrices; j++) {
        const struct matrix *m = &t->matrices[j];
        const struct kernel_row row = {.kind = OP_MATMUL, .type = m->type, .T = T, .N = m->n, .K = m->k};
        TRY(time_row(&t->b, &row, t->weights[j], t->n_copies[j], &one, &spread, NULL, NULL));
        *ns += one;
    }
fail:
    return st;
}

/* The same; infinity where they cannot be built, or take more than the device has. */
static enum pumice_status tuner_time(struct tuner *t, const struct tune_knob *k, double *ns)
{
    const enum pumice_status st = tuner_sum(t, k, ns);
    if (st != PUMICE_UNSUPPORTED && st != PUMICE_DEVICE) return st;
    log_line(PUMICE_LOG_INFO, "tuning %s: %s", k->name, pumice_error());
    *ns = INFINITY;
    return backend_alive(t->b.rig.side[0]);
}

static enum pumice_status tuner_knob(struct tuner *t, uint32_t i, const struct tune_knob *k,
                                     bool (*report)(void *user, const struct pumice_tune_row *row), void *user)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *device = t->b.rig.side[0];
    double ns[COUNT_OF(k->values)], before = 0;
    uint32_t best = k->n;
    TRY(tuner_time(t, k, &before));
    double least = before / 1.05;
    for (uint32_t j = 0; j < k->n; j++) {
        device->calls->tune_set(device, i, k->values[j]);
        ns[j] = before;
        if (k->values[j] != k->now) TRY(tuner_time(t, k, &ns[j]));
        if (ns[j] < least) least = ns[j], best = j;
    }
    if (best < k->n) { /* once more, in turns, against a machine that was busy by chance */
        double again = 0, once = 0;
        TRY(tuner_time(t, k, &again)); /* with the last value: warms up */
        device->calls->tune_set(device, i, k->now);
        TRY(tuner_time(t, k, &again));
        device->calls->tune_set(device, i, k->values[best]);
        TRY(tuner_time(t, k, &once));
        if (MIN(once, ns[best]) > MIN(again, before) / 1.05) best = k->n;
    }
    device->calls->tune_set(device, i, best < k->n ? k->values[best] : k->now);
    for (uint32_t j = 0; j < k->n; j++) {
        const bool chosen = best < k->n ? j == best : k->values[j] == k->now;
        if (isinf(ns[j])) continue;
        if (!report(user, &(struct pumice_tune_row){.knob = k->name, .value = k->values[j], .ns = ns[j], .chosen = chosen}))
            return err_set(PUMICE_CANCELLED, "tuning was cancelled; nothing is kept");
    }
fail:
    return st;
}

enum pumice_status pumice_tune(const struct pumice_engine_params *params, struct pumice_model *model,
                               bool (*report)(void *user, const struct pumice_tune_row *row), void *user)
{
    enum pumice_status st = PUMICE_OK;
    struct tune_knob k;
    struct tuner *t = mem_calloc(1, sizeof *t);
    if (!t) return err_memory("tuning", sizeof *t);
    t->b = (struct bench){.options = {.device = params ? params->device : NULL, .perf = true}, .rig = {.n_sides = 1, .random = 1}};
    TRY(open_device(&t->b));
    struct backend *device = t->b.rig.side[0];
    if (!device->calls->tune_knob)
        TRY(err_set(PUMICE_UNSUPPORTED, "%s has nothing to tune; name a GPU with --device", t->b.ceilings.device.name));
    t->b.host = is_host(&t->b.ceilings.device);
    t->shapes = named[t->b.host ? 1 : 0];
    if (model) TRY(shapes_of(model, &t->shapes));
    TRY(tuner_weights(t));
    for (uint32_t i = 0; device->calls->tune_knob(device, i, &k); i++)
        if (k.n > 1) TRY(tuner_knob(t, i, &k, report, user));
    TRY(device->calls->tune_keep(device));
fail:
    close_device(&t->b);
    arena_fini(&t->b.rig.arena);
    mem_free(t);
    return st;
}

enum pumice_status pumice_measure_ceilings(const struct pumice_engine_params *params, struct pumice_ceilings *out)
{
    enum pumice_status st = PUMICE_OK;
    struct bench b = {.options = {.device = params ? params->device : NULL, .perf = true,
                                  .n_threads = params ? params->n_threads : 0}, .rig = {.n_sides = 1}};
    memset(out, 0, sizeof *out);
    TRY(open_device(&b));
    b.host = is_host(&b.ceilings.device);
    TRY(measure_ceilings(&b));
    *out = b.ceilings;
fail:
    close_device(&b);
    return st;
}

enum pumice_status pumice_bench_kernels(const struct pumice_engine_params *params, struct pumice_model *model, const char *shapes,
                                        const char *only, void (*report)(void *user, const struct pumice_kernel_row *row),
                                        void *user, struct pumice_ceilings *ceilings)
{
    enum pumice_status st = PUMICE_OK;
    struct bench b = {.options = {.device = params ? params->device : NULL, .validate = params && params->validate, .perf = true,
                                  .n_threads = params ? params->n_threads : 0},
                      .rig = {.n_sides = 1, .random = 1}, .only = only, .report = report, .user = user,
                      .kv = params ? params->kv : PUMICE_KV_F16};
    struct shapes s = named[0];
    uint32_t Ts[4] = {1, 4, 16};
    memset(ceilings, 0, sizeof *ceilings);
    TRY(open_device(&b));
    b.host = is_host(&b.ceilings.device);
    Ts[3] = MAX(17u, b.rig.side[0]->calls->chunk_tokens(b.rig.side[0]));
    TRY(measure_ceilings(&b));
    close_device(&b);
    *ceilings = b.ceilings;
    if (model) {
        TRY(shapes_of(model, &s));
    } else {
        const char *wanted = shapes ? shapes : b.host ? "qwen3-0.6b" : "qwen3-4b";
        size_t i = 0;
        while (i < COUNT_OF(named) && strcmp(named[i].name, wanted) != 0) i++;
        if (i == COUNT_OF(named)) TRY(err_set(PUMICE_ARGUMENT, "there are no shapes '%s'; there are qwen3-4b and qwen3-0.6b", wanted));
        s = named[i];
    }
    for (uint32_t i = 0; i < s.n_matrices; i++) TRY(bench_matrix(&b, &s.matrices[i], OP_MATMUL, Ts, COUNT_OF(Ts)));
    TRY(bench_matrix(&b, &s.gate, OP_NORM_GATE_UP, (const uint32_t[]){1, 4}, 2));
    TRY(bench_matrix(&b, &s.embed, OP_EMBED, (const uint32_t[]){1, Ts[3]}, 2));
    TRY(bench_rest(&b, &s, (const uint32_t[]){1, Ts[3]}, 2));
fail:
    close_device(&b);
    if (b.rig.side[1]) b.rig.side[1]->calls->destroy(b.rig.side[1]);
    arena_fini(&b.rig.arena);
    return st;
}
