/* backend: the Vulkan back end behind ops.h's table of calls. */
#include "gpu.h"

#include "../trace.h"

#include <stdio.h>
#include <string.h>

static struct gpu_backend *gpu_of(struct backend *b) { return (struct gpu_backend *)b; }
static const struct gpu_backend *gpu_of_const(const struct backend *b) { return (const struct gpu_backend *)b; }

static const char *variant(struct backend *b, uint32_t i)
{
    struct gpu_backend *g = gpu_of(b);
    struct gpu_tuning t;
    if (!tuning_variant(&g->device.physical.limits, i, &t)) return NULL;
    g->tuning = t;
    g->tuned = i == 0 && tune_read(&g->device.physical, &g->tuning);
    return t.name;
}

static uint32_t chunk_tokens(const struct backend *b)
{
    const struct gpu_backend *g = gpu_of_const(b);
    return g->device.physical.limits.software ? GPU_SOFTWARE_CHUNK : g->tuning.family == MATMUL_MATRIX ? 512 : 256;
}

/* --- memory -------------------------------------------------------------------------------------------------- */

static enum pumice_status buffer_create(struct backend *b, enum mem_use use, uint64_t bytes, const char *name, struct buf *out)
{
    return memory_create(&gpu_of(b)->memory, use, bytes, name, out);
}
static void buffer_destroy(struct backend *b, struct buf *buf) { memory_destroy(&gpu_of(b)->memory, buf); }
static enum pumice_status buffer_write(struct backend *b, struct buf dst, uint64_t at, const void *src, uint64_t bytes)
{
    return memory_write(&gpu_of(b)->memory, dst, at, src, bytes);
}
static enum pumice_status buffer_read(struct backend *b, struct buf src, uint64_t at, void *dst, uint64_t bytes)
{
    return memory_read(&gpu_of(b)->memory, src, at, dst, bytes);
}
static void *buffer_host(struct backend *b, struct buf buf) { return memory_host(&gpu_of(b)->memory, buf); }
static enum pumice_status weight_create(struct backend *b, const struct weight_source *src, struct weight *out)
{
    return gpu_weight_create(gpu_of(b), src, out);
}
static void weights_expect(struct backend *b, uint64_t bytes) { memory_expect(&gpu_of(b)->memory, bytes); }
static enum pumice_status weights_done(struct backend *b) { return memory_flush(&gpu_of(b)->memory); }

/* --- plans ----------------------------------------------------------------------------------------------------- */

static void plan_destroy(struct plan *p)
{
    struct gpu_plan *plan = (struct gpu_plan *)p;
    if (!plan) return;
    recorder_fini(&plan->recorder);
    mem_free(plan->ops);
    mem_free(plan->ticks);
    mem_free(plan);
}

static enum pumice_status plan_begin(struct backend *b, const char *name, struct plan **out)
{
    enum pumice_status st = PUMICE_OK;
    struct gpu_backend *g = gpu_of(b);
    *out = NULL;
    struct gpu_plan *plan = mem_calloc(1, sizeof *plan);
    if (!plan) return err_memory("a plan", sizeof *plan);
    plan->base.backend = b;
    snprintf(plan->name, sizeof plan->name, "%s", name);
    TRY(device_check(&g->device));
    TRY(recorder_init(&plan->recorder, &g->device, &g->memory, g->perf));
    *out = &plan->base;
    return PUMICE_OK;
fail:
    plan_destroy(&plan->base);
    return st;
}

static enum pumice_status keep_op(struct gpu_plan *plan, const struct op *op)
{
    if (plan->n_ops == plan->ops_capacity) {
        const uint32_t capacity = plan->ops_capacity ? 2 * plan->ops_capacity : 256;
        struct op *grown = mem_realloc(plan->ops, capacity, sizeof *grown);
        if (!grown) return err_memory("a plan", capacity * sizeof *grown);
        plan->ops = grown;
        plan->ops_capacity = capacity;
    }
    plan->ops[plan->n_ops++] = *op;
    return PUMICE_OK;
}

static enum pumice_status record_kept(struct gpu_plan *plan)
{
    enum pumice_status st = PUMICE_OK;
    if (!plan->keeps) return PUMICE_OK;
    plan->keeps = false;
    TRY(keep_op(plan, &plan->kept));
    TRY(gpu_record(gpu_of(plan->base.backend), &plan->recorder, &plan->kept));
fail:
    return st;
}

static enum pumice_status record(struct plan *p, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    struct gpu_plan *plan = (struct gpu_plan *)p;
    struct gpu_backend *g = gpu_of(p->backend);
    if (!gpu_fuses(g, op)) return op_expand(p, op);
    if (plan->keeps && gpu_pairs(g, &plan->kept, op)) {
        plan->keeps = false;
        TRY(keep_op(plan, &plan->kept));
        TRY(keep_op(plan, op));
        TRY(gpu_record_pair(g, &plan->recorder, &plan->kept, op));
        return PUMICE_OK;
    }
    TRY(record_kept(plan));
    plan->keeps = gpu_may_pair(g, op);
    plan->kept = *op;
    if (plan->keeps) return PUMICE_OK;
    TRY(keep_op(plan, op));
    TRY(gpu_record(g, &plan->recorder, op));
fail:
    return st;
}

static enum pumice_status plan_end(struct plan *p)
{
    enum pumice_status st = PUMICE_OK;
    struct gpu_plan *plan = (struct gpu_plan *)p;
    TRY(record_kept(plan));
    TRY(recorder_finish(&plan->recorder));
    if (plan->recorder.n_queries) {
        plan->ticks = mem_calloc(plan->recorder.n_queries, sizeof *plan->ticks);
        if (!plan->ticks) st = err_memory("timestamps", plan->recorder.n_queries * sizeof *plan->ticks);
    }
    log_line(PUMICE_LOG_DEBUG, "plan %s: %u ops, %u dispatches, %u barriers, %u pieces", plan->name, plan->n_ops,
             plan->recorder.n_dispatches, plan->recorder.n_barriers, plan->recorder.n_pieces);
fail:
    return st;
}

static void add_times(struct gpu_backend *g, const struct gpu_plan *plan)
{
    const struct device_limits *l = &g->device.physical.limits;
    const uint64_t mask = l->timestamp_bits >= 64 ? UINT64_MAX : (1ull << l->timestamp_bits) - 1;
    uint32_t past = 0;
    for (uint32_t i = 0; i + 1 < plan->recorder.n_queries && i < plan->n_ops; i++) {
        const struct op *op = &plan->ops[i];
        if (op->step.bytes) memcpy(&past, memory_host(&g->memory, op->step), sizeof past);
        struct perf_sum *sum = &g->sums[op->kind];
        sum->calls++;
        sum->ns += (uint64_t)((double)((plan->ticks[i + 1] - plan->ticks[i]) & mask) * (double)l->timestamp_ns);
        sum->bytes += op_bytes(op, past);
    }
}

/* Tokens in the cache, from the step buffer of the first op that reads it. */
static uint32_t past_of(const struct gpu_plan *plan)
{
    uint32_t past = 0;
    for (uint32_t i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].step.bytes) {
            memcpy(&past, memory_host(&gpu_of(plan->base.backend)->memory, plan->ops[i].step), sizeof past);
            break;
        }
    return past;
}

/* The ops of the last run as spans. Ticks may have passed zero: distances are taken modulo their bits. */
static void trace_ops(struct gpu_backend *g, const struct gpu_plan *plan)
{
    const struct device_limits *l = &g->device.physical.limits;
    const uint64_t mask = l->timestamp_bits >= 64 ? UINT64_MAX : (1ull << l->timestamp_bits) - 1, *ticks = plan->ticks;
    const struct device_clock at = device_clock(&g->device, ticks[0], plan->recorder.begin_ns);
    const uint64_t after = (at.tick - ticks[0]) & mask; /* the calibration comes after the run, or is its start */
    const uint64_t begin_ns = at.ns - (uint64_t)((double)after * (double)l->timestamp_ns);
    for (uint32_t i = 0; i + 1 < plan->recorder.n_queries && i < plan->n_ops; i++) {
        const double begin = (double)((ticks[i] - ticks[0]) & mask), end = (double)((ticks[i + 1] - ticks[0]) & mask);
        const struct op *op = &plan->ops[i];
        trace_op(op->label ? op->label : op_kind_name(op->kind), begin_ns + (uint64_t)(begin * (double)l->timestamp_ns),
                 (uint64_t)((end - begin) * (double)l->timestamp_ns));
    }
}

/* One run in submissions that suit the device's pace, waited for. */
static enum pumice_status plan_run(struct plan *p)
{
    enum pumice_status st = PUMICE_OK;
    struct gpu_plan *plan = (struct gpu_plan *)p;
    TRY(recorder_run(&plan->recorder, past_of(plan), p->cancel, plan->ticks));
    if (plan->ticks) add_times(gpu_of(p->backend), plan);
    if (plan->ticks && trace_on()) trace_ops(gpu_of(p->backend), plan);
fail:
    return st;
}

/* A single run may take long, and timestamps are written over by the next run: those are waited for. */
static enum pumice_status plan_start(struct plan *p, uint32_t n, uint64_t *ticket)
{
    enum pumice_status st = PUMICE_OK;
    struct gpu_plan *plan = (struct gpu_plan *)p;
    if (n > 1 && !plan->ticks) return recorder_start(&plan->recorder, n, ticket);
    for (uint32_t i = 0; i < n; i++) TRY(plan_run(p));
    *ticket = gpu_of(p->backend)->device.timeline_value;
fail:
    return st;
}

static enum pumice_status plan_wait(struct backend *b, uint64_t ticket) { return queue_wait(&gpu_of(b)->device, ticket); }

static bool runs_ahead(const struct backend *b) { return !gpu_of_const(b)->device.physical.limits.software; }

static void perf(const struct backend *b, struct pumice_perf_row *rows, size_t *n)
{
    const struct gpu_backend *g = gpu_of_const(b);
    size_t used = 0;
    for (int i = 0; i < OP_N_KINDS; i++) {
        if (!g->sums[i].calls) continue;
        if (used < *n)
            rows[used] = (struct pumice_perf_row){.op = op_kind_name((enum op_kind)i), .calls = g->sums[i].calls,
                                                  .ns = g->sums[i].ns, .bytes = g->sums[i].bytes};
        used++;
    }
    *n = used;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void info(const struct backend *b, struct pumice_device_info *out) { *out = gpu_of_const(b)->device.physical.info; }

static uint64_t identity(const struct backend *b)
{
    const struct gpu_backend *g = gpu_of_const(b);
    char tuning[512];
    const uint64_t h = physical_identity(&g->device.physical);
    if (!g->tuned) return h;
    tune_describe(&g->tuning, true, tuning, sizeof tuning);
    return hash_bytes(tuning, strlen(tuning), h);
}

static bool knob(const struct backend *b, uint32_t i, struct tune_knob *out) { return tune_knob_of(gpu_of_const(b), i, out); }
static void set_knob(struct backend *b, uint32_t i, uint32_t value) { tune_set_knob(gpu_of(b), i, value); }
static enum pumice_status keep_knobs(struct backend *b) { return tune_write(gpu_of(b)); }
static bool tuned(const struct backend *b) { return gpu_of_const(b)->tuned; }

static uint64_t device_bytes(const struct backend *b) { return gpu_of_const(b)->memory.total_bytes; }

static void backend_memory(struct backend *b, struct backend_memory *out)
{
    struct gpu_backend *g = gpu_of(b);
    const struct device_limits *l = &g->device.physical.limits;
    device_memory(&g->device, g->memory.total_bytes, &out->total_bytes, &out->free_bytes);
    out->max_buffer_bytes = l->max_allocation;
    out->max_binding_bytes = l->max_storage_range;
}

static uint64_t weight_bytes(const struct backend *b, const struct weight_source *src)
{
    return gpu_weight_bytes(gpu_of_const(b), src);
}

static void destroy(struct backend *b)
{
    struct gpu_backend *g = gpu_of(b);
    if (!g) return;
    queue_fini(&g->device);
    pipelines_fini(&g->pipelines);
    memory_fini(&g->memory);
    device_close(&g->device);
    arena_fini(&g->arena);
    mem_free(g);
}

static bool has_arithmetic(const struct backend *b, enum arithmetic a)
{
    const struct device_features *f = &gpu_of_const(b)->device.physical.limits.features;
    return a == ARITHMETIC_F16 ? f->half : a == ARITHMETIC_INT8 ? f->dot : a == ARITHMETIC_MATRIX ? f->matrix.m != 0 : true;
}

static enum arithmetic arithmetic_of(const struct backend *b, const struct op *op)
{
    if (op->kind == OP_ATTENTION && gpu_attention_by_matrix(gpu_of_const(b), op->E, op->T)) return ARITHMETIC_MATRIX;
    if (op->kind != OP_MATMUL) return ARITHMETIC_F32;
    if (gpu_matvec_dots(gpu_of_const(b), op->w->type, op->T)) return ARITHMETIC_INT8;
    return matmul_family_arithmetic(matmul_family_for(gpu_of_const(b), op->w->type, op->T));
}

static enum pumice_status round_input(struct backend *b, const struct weight *w, uint32_t T, float *x, uint32_t n_rows, double *limit)
{
    return matmul_round_input(gpu_of(b), w, T, x, n_rows, limit);
}

static bool rounds_weights(const struct backend *b, uint32_t type, uint32_t T)
{
    return matmul_rounds_weights(gpu_of_const(b), type, T);
}

static const struct backend_calls calls = {
    .destroy = destroy, .buffer_create = buffer_create, .buffer_destroy = buffer_destroy, .buffer_write = buffer_write,
    .buffer_read = buffer_read, .buffer_host = buffer_host, .weight_create = weight_create, .weights_expect = weights_expect,
    .weights_done = weights_done, .plan_begin = plan_begin, .record = record, .plan_end = plan_end, .plan_start = plan_start,
    .plan_wait = plan_wait, .runs_ahead = runs_ahead, .plan_run = plan_run, .plan_destroy = plan_destroy,
    .info = info, .device_bytes = device_bytes, .perf = perf, .chunk_tokens = chunk_tokens, .variant = variant,
    .identity = identity, .memory = backend_memory, .weight_bytes = weight_bytes, .has_arithmetic = has_arithmetic,
    .arithmetic_of = arithmetic_of, .round_input = round_input,
    .rounds_weights = rounds_weights, .tune_knob = knob,
    .tune_set = set_knob, .tune_keep = keep_knobs, .tuned = tuned};

#ifdef PUMICE_VALIDATE_DEFAULT
static const enum validation default_validation = VALIDATE_IF_PRESENT;
#else
static const enum validation default_validation = VALIDATE_OFF;
#endif

enum pumice_status gpu_backend_create(const struct backend_options *options, struct backend **out)
{
    enum pumice_status st = PUMICE_OK;
    *out = NULL;
    struct gpu_backend *g = mem_calloc(1, sizeof *g);
    if (!g) return err_memory("the Vulkan back end", sizeof *g);
    g->base.calls = &calls;
    g->perf = options->perf;
    TRY(device_open(options->device, options->validate ? VALIDATE_ON : default_validation, &g->device));
    TRY(queue_init(&g->device));
    TRY(memory_init(&g->memory, &g->device));
    pipelines_init(&g->pipelines, &g->device);
    (void)variant(&g->base, 0);
    log_line(PUMICE_LOG_INFO, "%s (%s), Vulkan %s, subgroup %u, kernels: %s, prefill: %s", g->device.physical.info.name,
             g->device.physical.info.driver, g->device.physical.info.api, g->device.physical.limits.subgroup_size,
             g->tuning.name, g->tuning.matmul_from ? matmul_family_name(g->tuning.family) : "as decode");
    *out = &g->base;
    return PUMICE_OK;
fail:
    destroy(&g->base);
    return st;
}

enum pumice_status gpu_devices(const char *wanted, struct pumice_device_info *out, size_t *n)
{
    enum pumice_status st = PUMICE_OK;
    struct instance *in = mem_calloc(1, sizeof *in);
    struct physical *list = mem_calloc(DEVICE_MAX, sizeof *list);
    uint32_t n_found = 0;
    int chosen = -1;
    const size_t capacity = *n;
    *n = 0;
    if (!in || !list) {
        st = err_memory("the list of devices", DEVICE_MAX * sizeof *list);
        goto fail;
    }
    if (instance_open(in, VALIDATE_OFF) != PUMICE_OK) goto fail; /* no loader or driver: no devices */
    TRY(physical_list(in, wanted, list, &n_found, &chosen));
    for (uint32_t i = 0; i < n_found && i < capacity; i++) {
        struct gpu_tuning t;
        out[i] = list[i].info;
        if (!out[i].usable || !tuning_variant(&list[i].limits, 0, &t)) continue; /* its limits may not have been read */
        const bool measured = tune_read(&list[i], &t);
        tune_describe(&t, measured, out[i].tuning, sizeof out[i].tuning);
    }
    *n = n_found;
fail:
    if (in) instance_close(in);
    mem_free(in);
    mem_free(list);
    return st;
}
