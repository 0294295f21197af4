/* backend: the CPU back end behind ops.h's table of calls: host buffers, weights in place, plans as lists of ops. */
#include "cpu.h"
#include "platform.h"
#include "quant.h"

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

/* --- weights: the rows stay where they are; vectors are copied, since a file's bytes need not be aligned ------------- */

static enum pumice_status reserve_scratch(struct cpu_backend *b, uint64_t n)
{
    const uint64_t padded = (n + 63) / 64 * 64;
    if (padded <= b->scratch_n) return PUMICE_OK;
    float *grown = mem_realloc(b->scratch, pool_size(b->pool) * (size_t)padded, sizeof *grown);
    if (!grown) return err_memory("dequantised rows", pool_size(b->pool) * padded * sizeof *grown);
    b->scratch = grown;
    b->scratch_n = padded;
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
    if (src->vector) { /* the caller's copy may not live as long */
        uint8_t *copy = arena_alloc(&b->arena, src->k, sizeof(float));
        if (!copy) return err_memory(src->name, row_bytes);
        memcpy(copy, src->data, (size_t)row_bytes);
        part->rows = copy;
    }
    *out = (struct weight){.n = src->n, .k = src->k, .type = src->type, .bytes = row_bytes * src->n, .parts = part,
                           .n_parts = 1, .name = src->name};
    return reserve_scratch(b, (uint64_t)src->k * CPU_ROWS);
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

static enum pumice_status record(struct plan *base, const struct op *op)
{
    struct cpu_plan *p = (struct cpu_plan *)base;
    if ((op->kind == OP_ATTENTION || op->kind == OP_QK_NORM_ROPE_KV || op->kind == OP_BIAS_ROPE_KV) &&
        (op->E > CPU_MAX_HEAD || op->E % 2 || !op->E))
        return err_set(PUMICE_UNSUPPORTED, "heads of %u elements; pumice can do even numbers up to %d", op->E, CPU_MAX_HEAD);
    if (p->n == p->capacity) {
        const uint32_t capacity = p->capacity ? 2 * p->capacity : 64;
        struct op *grown = mem_realloc(p->ops, capacity, sizeof *grown);
        if (!grown) return err_memory("a plan", capacity * sizeof *grown);
        p->ops = grown;
        p->capacity = capacity;
    }
    p->ops[p->n++] = *op;
    return PUMICE_OK;
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
    for (uint32_t i = 0; i < p->n; i++) {
        const uint64_t start = b->perf ? platform_now_ns() : 0;
        if (b->reference) cpu_run_reference(b, &p->ops[i]);
        else cpu_run_fast(b, &p->ops[i]);
        if (b->perf) add_time(b, &p->ops[i], platform_now_ns() - start);
    }
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
             b->reference ? "reference" : cpu_kernels_name(b->kernels), pool_size(b->pool), pool_size(b->pool) == 1 ? "" : "s");
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
    const struct cpu_kernels *k = i == 0 ? cpu_kernels_choose() : cpu_kernels_variant(i - 1);
    if (i > 0 && !k) return NULL;
    b->kernels = k;
    return cpu_kernels_name(k);
}

static void destroy(struct backend *base)
{
    struct cpu_backend *b = cpu_of(base);
    if (!b) return;
    pool_destroy(b->pool);
    for (uint32_t i = 0; i < b->n_buffers; i++) mem_free(b->buffers[i].bytes);
    mem_free(b->buffers);
    mem_free(b->scratch);
    arena_fini(&b->arena);
    mem_free(b);
}

static const struct backend_calls calls = {
    .destroy = destroy, .buffer_create = buffer_create, .buffer_destroy = buffer_destroy, .buffer_write = buffer_write,
    .buffer_read = buffer_read, .buffer_host = buffer_host, .weight_create = weight_create, .weights_done = weights_done,
    .plan_begin = plan_begin, .record = record, .plan_end = plan_end, .plan_run = plan_run, .plan_destroy = plan_destroy,
    .info = info, .device_bytes = device_bytes, .perf = perf, .chunk_tokens = chunk_tokens,
    .variant = variant};

enum pumice_status cpu_backend_create(const struct backend_options *options, struct backend **out)
{
    enum pumice_status st = PUMICE_OK;
    *out = NULL;
    struct cpu_backend *b = mem_calloc(1, sizeof *b);
    if (!b) return err_memory("the CPU back end", sizeof *b);
    b->base.calls = &calls;
    b->perf = options->perf;
    b->reference = options->device && strcmp(options->device, "reference") == 0;
    b->kernels = cpu_kernels_choose();
    TRY(pool_create(options->n_threads, &b->pool));
    *out = &b->base;
    return PUMICE_OK;
fail:
    destroy(&b->base);
    return st;
}
