/* backend: the CPU back end behind ops.h's table of calls: host buffers, weights in place, plans as lists of ops. */
#include "cpu.h"
#include "platform.h"
#include "quant.h"
#include "trace.h"

#include <stdio.h>
#include <string.h>

static struct cpu_backend *cpu_of(struct backend *b) { return (struct cpu_backend *)b; }

/* --- buffers -------------------------------------------------------------------------------------------------------- */

void *cpu_host(const struct cpu_backend *b, struct buf buf) { return b->buffers[buf.memory].bytes + buf.offset; }
float *cpu_scratch(const struct cpu_backend *b, uint32_t thread) { return b->scratch + thread * b->scratch_n; }

static enum pumice_status buffer_create(struct backend *base, enum mem_use use, uint64_t bytes, const char *name,
                                        struct buf *out)
{
    (void)use;
    struct cpu_backend *b = cpu_of(base);
    uint32_t i = 0;
    size_t size;
    memset(out, 0, sizeof *out);
    while (i < b->n_buffers && b->buffers[i].bytes) i++;
    if (i == b->n_buffers) {
        const uint32_t n = b->n_buffers ? 2 * b->n_buffers : 64;
        struct cpu_buffer *grown = mem_realloc(b->buffers, n, sizeof *grown);
        if (!grown) return err_memory("the list of buffers", n * sizeof *grown);
        memset(grown + b->n_buffers, 0, (n - b->n_buffers) * sizeof *grown);
        b->buffers = grown;
        b->n_buffers = n;
    }
    if (!size_of_u64(bytes, &size)) return err_memory(name, bytes);
    b->buffers[i].bytes = mem_alloc(size);
    if (!b->buffers[i].bytes) return err_memory(name, bytes);
    b->buffers[i].n = bytes;
    b->total_bytes += bytes;
    *out = (struct buf){.memory = i, .bytes = bytes};
    return PUMICE_OK;
}

static void buffer_late(struct backend *base, struct buf buf, uint64_t at, uint64_t bytes)
{
    platform_large_pages((uint8_t *)cpu_of(base)->buffers[buf.memory].bytes + buf.offset + at, bytes);
}

static void buffer_destroy(struct backend *base, struct buf *buf)
{
    struct cpu_backend *b = cpu_of(base);
    if (!buf->bytes) return; /* never created */
    b->total_bytes -= b->buffers[buf->memory].n;
    mem_free(b->buffers[buf->memory].bytes);
    b->buffers[buf->memory] = (struct cpu_buffer){0};
    memset(buf, 0, sizeof *buf);
}

static enum pumice_status buffer_write(struct backend *b, struct buf dst, uint64_t at, const void *src, uint64_t bytes)
{
    if (bytes) memcpy((uint8_t *)cpu_host(cpu_of(b), dst) + at, src, (size_t)bytes);
    return PUMICE_OK;
}

static enum pumice_status buffer_read(struct backend *b, struct buf src, uint64_t at, void *dst, uint64_t bytes)
{
    if (bytes) memcpy(dst, (uint8_t *)cpu_host(cpu_of(b), src) + at, (size_t)bytes);
    return PUMICE_OK;
}

static void *buffer_host(struct backend *b, struct buf buf) { return cpu_host(cpu_of(b), buf); }

/* --- weights: quantised matrices are packed; others stay where they are; vectors are copied, since a file's bytes need
 * not be aligned ---------------------------------------------------------------------------------------------------- */

static enum pumice_status reserve_scratch(struct cpu_backend *b, uint64_t n)
{
    const uint64_t padded = (n + 63) / 64 * 64;
    if (padded <= b->scratch_n) return PUMICE_OK;
    float *grown = mem_realloc(b->scratch, pool_size(b->pool) * (size_t)padded, sizeof *grown);
    if (!grown) return err_memory("rows as floats", pool_size(b->pool) * padded * sizeof *grown);
    b->scratch = grown;
    b->scratch_n = padded;
    return PUMICE_OK;
}

struct packing {
    const struct weight_source *src;
    const struct weight_part *part;
    uint32_t group;
};

static void pack_groups(void *user, uint32_t thread, uint64_t begin, uint64_t end)
{
    const struct packing *p = user;
    const struct weight_part *part = p->part;
    const uint32_t group = p->group;
    (void)thread;
    for (uint64_t g = begin; g < end; g++)
        cpu_pack_group(p->src->type, group, part->rows + g * group * part->row_bytes, part->row_bytes,
                       (uint32_t)MIN(p->src->n - g * group, (uint64_t)group), p->src->k,
                       part->packed + g * part->group_bytes);
}

enum { PACKED_ALIGN = 64 };

static enum pumice_status pack(struct cpu_backend *b, const struct weight_source *src, struct weight_part *part)
{
    const uint32_t group = b->kernels->group;
    const uint64_t groups = (src->n + (uint64_t)group - 1) / group;
    uint64_t bytes;
    size_t size;
    part->group_bytes = cpu_packed_group_bytes(src->type, group, src->k);
    if (!mul_u64(groups, part->group_bytes, &bytes) || !add_u64(bytes, PACKED_ALIGN, &bytes) || !size_of_u64(bytes, &size))
        return err_memory(src->name, UINT64_MAX);
    void **list = mem_realloc(b->packed, b->n_packed + 1, sizeof *list);
    if (!list) return err_memory("the list of weights", (b->n_packed + 1) * sizeof *list);
    b->packed = list;
    uint8_t *memory = mem_alloc(size);
    if (!memory) return err_memory(src->name, bytes);
    b->packed[b->n_packed++] = memory;
    b->total_bytes += bytes;
    part->packed = memory + (PACKED_ALIGN - (uintptr_t)memory % PACKED_ALIGN);
    struct packing p = {src, part, group};
    pool_run(b->pool, groups, 16, pack_groups, &p);
    return PUMICE_OK;
}

static enum pumice_status weight_create(struct backend *base, const struct weight_source *src, struct weight *out)
{
    struct cpu_backend *b = cpu_of(base);
    const uint64_t row_bytes = quant_can_dequantize(src->type) ? quant_row_bytes(src->type, src->k) : 0;
    const struct gguf_type_traits *type = gguf_type(src->type);
    memset(out, 0, sizeof *out);
    if (!row_bytes)
        return err_set(PUMICE_UNSUPPORTED, "tensor %s: rows of %u weights of type %s cannot be used", src->name, src->k,
                       type && type->name ? type->name : "unknown");
    struct weight_part *part = arena_alloc(&b->arena, 1, sizeof *part);
    if (!part) return err_memory(src->name, sizeof *part);
    *part = (struct weight_part){.rows = src->data, .row_bytes = row_bytes};
    *out = (struct weight){.n = src->n, .k = src->k, .type = src->type, .bytes = row_bytes * src->n, .parts = part,
                           .n_parts = 1, .name = src->name, .in_place = true};
    if (src->vector) { /* the caller's copy may not live as long */
        uint8_t *copy = arena_alloc(&b->arena, src->k, sizeof(float));
        if (!copy) return err_memory(src->name, row_bytes);
        memcpy(copy, src->data, (size_t)row_bytes);
        part->rows = copy;
        return PUMICE_OK;
    }
    if (b->reference || src->lookup || !cpu_form_find(src->type)) return reserve_scratch(b, (uint64_t)src->k * CPU_ROWS);
    out->in_place = false; /* op_embed still reads rows of the source, one by one */
    return pack(b, src, part);
}

static uint64_t weight_bytes(const struct backend *base, const struct weight_source *src)
{
    const struct cpu_backend *b = (const struct cpu_backend *)base;
    if (b->reference || src->vector || src->lookup || !cpu_form_find(src->type)) return quant_row_bytes(src->type, src->k) * src->n;
    const uint32_t group = b->kernels->group;
    return (src->n + (uint64_t)group - 1) / group * cpu_packed_group_bytes(src->type, group, src->k);
}

static enum pumice_status weights_done(struct backend *b)
{
    (void)b;
    return PUMICE_OK;
}

/* --- plans ------------------------------------------------------------------------------------------------------------ */

struct cpu_plan {
    struct plan base;
    struct op *ops;
    uint32_t n, capacity;
};

static enum pumice_status plan_begin(struct backend *b, const char *name, struct plan **out)
{
    (void)name;
    struct cpu_plan *p = mem_calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return err_memory("a plan", sizeof *p);
    p->base.backend = b;
    *out = &p->base;
    return PUMICE_OK;
}

/* q, d, s32, s16 of struct cpu_input, one after the other. */
static uint64_t input_bytes(uint64_t T, uint64_t K) { return T * (K + K / CPU_BLOCK * 4 * sizeof(float)); }

struct cpu_input cpu_input_of(const struct cpu_backend *b, uint32_t T, uint32_t K)
{
    const uint64_t n = (uint64_t)T * K, n_blocks = n / CPU_BLOCK;
    float *floats = (float *)(void *)(b->input + n);
    return (struct cpu_input){.q = (int8_t *)b->input, .d = floats, .s32 = floats + n_blocks, .s16 = floats + 2 * n_blocks};
}

static enum pumice_status reserve_input(struct cpu_backend *b, uint32_t T, uint32_t K)
{
    const uint64_t bytes = input_bytes(T, K);
    if (bytes <= b->input_n) return PUMICE_OK;
    uint8_t *grown = mem_realloc(b->input, (size_t)bytes, 1);
    if (!grown) return err_memory("rounded activations", bytes);
    b->input = grown;
    b->input_n = bytes;
    return PUMICE_OK;
}

/* Room for n floats in *floats, which has *capacity. */
static enum pumice_status reserve_floats(float **floats, uint64_t *capacity, uint64_t n, const char *what)
{
    if (n <= *capacity) return PUMICE_OK;
    float *grown = mem_realloc(*floats, (size_t)n, sizeof *grown);
    if (!grown) return err_memory(what, n * sizeof *grown);
    *floats = grown;
    *capacity = n;
    return PUMICE_OK;
}

/* NMSE of a row rounded to 8 bits by blocks of 32: each error is at most half a step, max / 254, and 32 max^2 is at most 32
 * times the block's sum of squares. Typical rows have a tenth of it. */
static const double rounding_limit = 32.0 / (254.0 * 254.0) * 1.001;

static enum pumice_status round_input(struct backend *base, const struct weight *w, uint32_t T, float *x, uint32_t n_rows, double *limit)
{
    enum pumice_status st = PUMICE_OK;
    struct cpu_backend *b = cpu_of(base);
    (void)T;
    *limit = 0;
    if (!w->parts->packed) return PUMICE_OK;
    *limit = rounding_limit;
    TRY(reserve_input(b, 1, w->k));
    const struct cpu_input in = cpu_input_of(b, 1, w->k);
    for (uint32_t r = 0; r < n_rows; r++, x += w->k) {
        b->kernels->round_input(x, w->k, 0, &in);
        for (uint32_t i = 0; i < w->k; i++) x[i] = in.d[i / CPU_BLOCK] * (float)in.q[i];
    }
fail:
    return st;
}

static enum pumice_status record(struct plan *base, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    struct cpu_plan *p = (struct cpu_plan *)base;
    struct cpu_backend *b = cpu_of(base->backend);
    if (op->kind == OP_NORM_MATMULS || op->kind == OP_NORM_GATE_UP) return op_expand(base, op);
    if ((op->kind == OP_ATTENTION || op->kind == OP_QK_NORM_ROPE_KV || op->kind == OP_BIAS_ROPE_KV) &&
        (op->E > CPU_MAX_HEAD || op->E % 2 || !op->E))
        return err_set(PUMICE_UNSUPPORTED, "heads of %u elements; pumice can do even numbers up to %d", op->E, CPU_MAX_HEAD);
    if (op->kind == OP_MATMUL && op->w->parts->packed) TRY(reserve_input(b, op->T, op->w->k));
    if (op->kind == OP_QK_NORM_ROPE_KV || op->kind == OP_BIAS_ROPE_KV)
        TRY(reserve_floats(&b->turns, &b->turns_n, (uint64_t)op->T * op->E, "cosines and sines"));
    if (op->kind == OP_ATTENTION && !b->reference)
        TRY(reserve_floats(&b->partials, &b->partials_n, cpu_partials(b, op), "parts of attention"));
    if (p->n == p->capacity) {
        const uint32_t capacity = p->capacity ? 2 * p->capacity : 64;
        struct op *grown = mem_realloc(p->ops, capacity, sizeof *grown);
        if (!grown) return err_memory("a plan", capacity * sizeof *grown);
        p->ops = grown;
        p->capacity = capacity;
    }
    p->ops[p->n++] = *op;
fail:
    return st;
}

static enum pumice_status plan_end(struct plan *p)
{
    (void)p;
    return PUMICE_OK;
}

static void add_time(struct cpu_backend *b, const struct op *op, uint64_t ns)
{
    uint32_t past = 0;
    if (op->step.bytes) memcpy(&past, cpu_host(b, op->step), sizeof past);
    b->sums[op->kind].calls++;
    b->sums[op->kind].ns += ns;
    b->sums[op->kind].bytes += op_bytes(op, past);
}

static enum pumice_status plan_run(struct plan *base)
{
    const struct cpu_plan *p = (const struct cpu_plan *)base;
    struct cpu_backend *b = cpu_of(base->backend);
    for (uint32_t i = 0, n = 1; i < p->n; i += n) {
        if (base->cancel && atomic_load_explicit(base->cancel, memory_order_relaxed))
            return err_set(PUMICE_CANCELLED, "cancelled inside a step");
        const uint64_t start = b->perf ? platform_now_ns() : 0;
        if (b->reference) cpu_run_reference(b, &p->ops[i]);
        else n = cpu_run_fast(b, &p->ops[i], p->n - i);
        const uint64_t ns = b->perf ? platform_now_ns() - start : 0;
        for (uint32_t j = 0; b->perf && j < n; j++) {
            const struct op *op = &p->ops[i + j];
            add_time(b, op, ns / n);
            if (trace_on()) trace_op(op->label ? op->label : op_kind_name(op->kind), start + j * (ns / n), ns / n);
        }
    }
    return PUMICE_OK;
}

static enum pumice_status plan_start(struct plan *p, uint32_t n, uint64_t *ticket)
{
    enum pumice_status st = PUMICE_OK;
    *ticket = 0;
    for (uint32_t i = 0; i < n; i++) TRY(plan_run(p));
fail:
    return st;
}

static enum pumice_status plan_wait(struct backend *b, uint64_t ticket)
{
    (void)b;
    (void)ticket;
    return PUMICE_OK;
}

static void plan_destroy(struct plan *base)
{
    struct cpu_plan *p = (struct cpu_plan *)base;
    if (!p) return;
    mem_free(p->ops);
    mem_free(p);
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static void info(const struct backend *base, struct pumice_device_info *out)
{
    const struct cpu_backend *b = (const struct cpu_backend *)base;
    *out = (struct pumice_device_info){.kind = PUMICE_DEVICE_CPU, .usable = true, .subgroup_size = 1,
                                       .memory_bytes = platform_memory_bytes(), .max_allocation_bytes = SIZE_MAX,
                                       .max_storage_range_bytes = SIZE_MAX};
    snprintf(out->name, sizeof out->name, "processor (%s, %u thread%s)",
             b->reference ? "reference" : b->kernels->name, pool_size(b->pool), pool_size(b->pool) == 1 ? "" : "s");
    snprintf(out->driver, sizeof out->driver, "pumice %s", pumice_version());
    snprintf(out->uuid, sizeof out->uuid, "%s", b->reference ? "reference" : "cpu");
}

static uint64_t device_bytes(const struct backend *b) { return ((const struct cpu_backend *)b)->total_bytes; }

static void perf(const struct backend *base, struct pumice_perf_row *rows, size_t *n)
{
    const struct cpu_backend *b = (const struct cpu_backend *)base;
    size_t used = 0;
    for (int i = 0; i < OP_N_KINDS; i++) {
        if (!b->sums[i].calls) continue;
        if (used < *n)
            rows[used] = (struct pumice_perf_row){.op = op_kind_name((enum op_kind)i), .calls = b->sums[i].calls,
                                                  .ns = b->sums[i].ns, .bytes = b->sums[i].bytes};
        used++;
    }
    *n = used;
}

enum { CHUNK_TOKENS = 64 }; /* each dequantised row serves that many tokens */
static uint32_t chunk_tokens(const struct backend *b)
{
    (void)b;
    return CHUNK_TOKENS;
}

/* 0 is the best set of kernels, then each set that this processor can run. */
static const char *variant(struct backend *base, uint32_t i)
{
    struct cpu_backend *b = cpu_of(base);
    if (b->reference) return i == 0 ? "reference" : NULL;
    const struct cpu_kernels *k = cpu_kernels_variant(i == 0 ? 0 : i - 1);
    if (!k) return NULL;
    b->kernels = k;
    return k->name;
}

static void destroy(struct backend *base)
{
    struct cpu_backend *b = cpu_of(base);
    if (!b) return;
    pool_destroy(b->pool);
    for (uint32_t i = 0; i < b->n_buffers; i++) mem_free(b->buffers[i].bytes);
    mem_free(b->buffers);
    for (uint32_t i = 0; i < b->n_packed; i++) mem_free(b->packed[i]);
    mem_free(b->packed);
    mem_free(b->scratch);
    mem_free(b->input);
    mem_free(b->turns);
    mem_free(b->partials);
    arena_fini(&b->arena);
    mem_free(b);
}

static bool has_arithmetic(const struct backend *b, enum arithmetic a)
{
    return a == ARITHMETIC_F32 || ((const struct cpu_backend *)b)->reference; /* which knows every formula */
}

static const struct backend_calls calls = {
    .destroy = destroy, .buffer_create = buffer_create, .buffer_late = buffer_late, .buffer_destroy = buffer_destroy, .buffer_write = buffer_write,
    .buffer_read = buffer_read, .buffer_host = buffer_host, .weight_create = weight_create, .weights_done = weights_done,
    .plan_begin = plan_begin, .record = record, .plan_end = plan_end, .plan_start = plan_start, .plan_wait = plan_wait, .plan_run = plan_run, .plan_destroy = plan_destroy,
    .info = info, .device_bytes = device_bytes, .perf = perf, .chunk_tokens = chunk_tokens,
    .variant = variant, .has_arithmetic = has_arithmetic, .round_input = round_input,
    .weight_bytes = weight_bytes};

enum pumice_status cpu_backend_create(const struct backend_options *options, struct backend **out)
{
    enum pumice_status st = PUMICE_OK;
    *out = NULL;
    struct cpu_backend *b = mem_calloc(1, sizeof *b);
    if (!b) return err_memory("the CPU back end", sizeof *b);
    b->base.calls = &calls;
    b->perf = options->perf;
    b->reference = options->device && strcmp(options->device, "reference") == 0;
    b->kernels = cpu_kernels_variant(0);
    TRY(pool_create(options->n_threads, &b->pool));
    *out = &b->base;
    return PUMICE_OK;
fail:
    destroy(&b->base);
    return st;
}
