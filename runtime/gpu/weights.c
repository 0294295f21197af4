/* weights: putting tensors on the device: split by rows into parts that fit the limits, packed, through staging.
 *
 * A part is at most one binding range and one allocation. Packing runs over the mapped file's pages once, on several
 * threads for large tensors. */
#include "gpu.h"

#include "../platform.h"

#include <string.h>

enum { WEIGHT_MAX_THREADS = 16, WEIGHT_MIN_BYTES_A_THREAD = 1 << 20 };

struct pack_job {
    uint32_t type;
    struct layout layout;
    const uint8_t *rows;
    uint64_t n, k;
    uint32_t *dst, *scratch;
};

static void pack_run(void *user)
{
    const struct pack_job *j = user;
    layout_pack(j->type, j->layout, j->rows, j->n, j->k, j->dst, j->scratch);
}

/* Packs n rows into dst, sharing row groups among threads; falls back to fewer threads when one cannot start. */
static enum pumice_status pack(uint32_t type, struct layout layout, const uint8_t *rows, uint64_t n, uint64_t k, uint32_t *dst)
{
    const uint64_t words = layout_row_words(type, layout, k), row_bytes = quant_row_bytes(type, k);
    const uint64_t scratch_words = layout_scratch_words(type, layout, k);
    uint64_t n_threads = MIN((uint64_t)platform_cpu_count(), (uint64_t)WEIGHT_MAX_THREADS);
    n_threads = MAX(1u, MIN(n_threads, n * words * 4 / WEIGHT_MIN_BYTES_A_THREAD));
    const uint64_t each = ((n + n_threads - 1) / n_threads + layout.rows - 1) / layout.rows * layout.rows;
    struct platform_thread *threads[WEIGHT_MAX_THREADS] = {0};
    struct pack_job jobs[WEIGHT_MAX_THREADS];
    uint32_t *scratch = mem_alloc((size_t)(n_threads * scratch_words * 4));
    if (!scratch) return err_memory("packing weights", n_threads * scratch_words * 4);
    for (uint64_t t = 0, row = 0; t < n_threads && row < n; t++, row += each) {
        jobs[t] = (struct pack_job){.type = type, .layout = layout, .rows = rows + row * row_bytes, .n = MIN(each, n - row),
                                    .k = k, .dst = dst + row * words, .scratch = scratch + t * scratch_words};
        const bool last = row + each >= n;
        if (last || platform_thread_create(pack_run, &jobs[t], &threads[t]) != PUMICE_OK) pack_run(&jobs[t]);
    }
    for (uint64_t t = 0; t < n_threads; t++) platform_thread_join(threads[t]);
    mem_free(scratch);
    return PUMICE_OK;
}

/* Rows a part: whole row groups, its bytes a multiple of the binding alignment, within range and allocation limits. */
static uint64_t rows_a_part(const struct gpu_backend *g, struct layout layout, uint64_t words)
{
    const struct device_limits *l = &g->device.physical.limits;
    uint64_t step = layout.rows;
    while (step * words * 4 % MEMORY_ALIGN) step *= 2; /* at most 4 times: words is a multiple of 4 */
    const uint64_t limit = MIN(MIN(l->max_storage_range, l->max_allocation), 1ull << 31);
    return MAX(step, limit / (words * 4) / step * step);
}

static enum pumice_status part_fill(struct gpu_backend *g, const struct weight_source *src, const struct weight_part *part)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t words = layout_row_words(src->type, part->layout, src->k), row_bytes = quant_row_bytes(src->type, src->k);
    uint64_t chunk = g->memory.stage_bytes / (words * 4) / part->layout.rows * part->layout.rows;
    if (chunk == 0)
        return err_set(PUMICE_UNSUPPORTED, "tensor %s: rows of %u weights are too long for staging", src->name, src->k);
    for (uint64_t row = 0; row < part->n; row += chunk) {
        const uint64_t n = MIN(chunk, part->n - row);
        const uint64_t padded = (n + part->layout.rows - 1) / part->layout.rows * part->layout.rows;
        uint8_t *host = NULL;
        TRY(memory_write_begin(&g->memory, part->buf, row * words * 4, padded * words * 4, &host));
        TRY(pack(src->type, part->layout, (const uint8_t *)src->data + (part->row0 + row) * row_bytes, n, src->k,
                 (uint32_t *)(void *)host));
        TRY(memory_write_end(&g->memory, part->buf, row * words * 4, padded * words * 4));
    }
fail:
    return st;
}

/* Vectors are read as they are, not through weights.glsl. */
static enum pumice_status vector_create(struct gpu_backend *g, const struct weight_source *src, struct weight *out)
{
    enum pumice_status st = PUMICE_OK;
    out->parts[0] = (struct weight_part){.n = 1, .layout = {.rows = 1, .vec = 1}};
    out->bytes = (uint64_t)src->k * 4;
    TRY(memory_create(&g->memory, MEM_WEIGHT, out->bytes, src->name, &out->parts[0].buf));
    TRY(memory_write(&g->memory, out->parts[0].buf, 0, src->data, out->bytes));
fail:
    return st;
}

static struct layout layout_of(const struct gpu_backend *g, uint32_t type)
{
    const struct layout slab = {LAYOUT_SLAB_ROWS, 1, .sliced = true};
    return g->tuning.sliced && layout_slices(type) ? slab : g->tuning.layout;
}

uint64_t gpu_weight_bytes(const struct gpu_backend *g, const struct weight_source *src)
{
    const struct layout layout = layout_of(g, src->type);
    const uint64_t rows = (src->n + layout.rows - 1) / layout.rows * layout.rows;
    const uint64_t bytes = src->vector                   ? (uint64_t)src->k * 4
                           : layout_supports(src->type) ? rows * layout_row_words(src->type, layout, src->k) * 4
                                                        : 0;
    return (bytes + MEMORY_ALIGN - 1) / MEMORY_ALIGN * MEMORY_ALIGN;
}

enum pumice_status gpu_weight_create(struct gpu_backend *g, const struct weight_source *src, struct weight *out)
{
    enum pumice_status st = PUMICE_OK;
    memset(out, 0, sizeof *out);
    if (!layout_supports(src->type))
        return err_set(PUMICE_UNSUPPORTED, "tensor %s: type %s has no Vulkan kernels; use --device cpu or another file",
                       src->name, gguf_type(src->type) ? gguf_type(src->type)->name : "?");
    const struct layout layout = layout_of(g, src->type);
    const uint64_t words = layout_row_words(src->type, layout, src->k);
    const uint64_t each = rows_a_part(g, layout, words);
    *out = (struct weight){.n = src->n, .k = src->k, .type = src->type, .name = src->name,
                           .n_parts = (uint32_t)((src->n + each - 1) / each)};
    out->parts = arena_alloc(&g->arena, out->n_parts, sizeof *out->parts);
    if (!out->parts) return err_memory(src->name, out->n_parts * sizeof *out->parts);
    if (src->vector) return vector_create(g, src, out);
    for (uint32_t i = 0; i < out->n_parts; i++) {
        struct weight_part *part = &out->parts[i];
        *part = (struct weight_part){.row0 = (uint32_t)(i * each), .n = (uint32_t)MIN(each, src->n - i * each), .layout = layout};
        const uint64_t padded = (part->n + layout.rows - 1) / layout.rows * layout.rows;
        TRY(memory_create(&g->memory, MEM_WEIGHT, padded * words * 4, src->name, &part->buf));
        TRY(part_fill(g, src, part));
        out->bytes += part->buf.bytes;
    }
fail:
    return st;
}
