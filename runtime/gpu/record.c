/* record: see record.h. */
#include "record.h"

#include "../platform.h"

#include <string.h>

enum { RECORD_MAX_QUERIES = 8192, MAX_FLIGHTS = 2 };

enum pumice_status recorder_init(struct recorder *r, struct device *d, struct memory *m, bool perf)
{
    enum pumice_status st = PUMICE_OK;
    memset(r, 0, sizeof *r);
    r->device = d;
    r->memory = m;
    r->perf = perf && d->physical.limits.timestamp_ns > 0;
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = d->physical.queue_family};
    VK_TRY(d->vk.CreateCommandPool(d->handle, &pool, NULL, &r->command_pool));
    if (r->perf) {
        const VkQueryPoolCreateInfo queries = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                               .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = RECORD_MAX_QUERIES};
        VK_TRY(d->vk.CreateQueryPool(d->handle, &queries, NULL, &r->queries));
    }
    return PUMICE_OK;
fail:
    recorder_fini(r);
    return st;
}

void recorder_fini(struct recorder *r)
{
    struct device *d = r->device;
    if (!d) return;
    if (!d->lost) (void)queue_wait(d, d->timeline_value); /* what was started may not have been waited for */
    matmul_rounded_fini(r);
    for (uint32_t i = 0; i < r->n_pools; i++) d->vk.DestroyDescriptorPool(d->handle, r->pools[i], NULL);
    if (r->queries) d->vk.DestroyQueryPool(d->handle, r->queries, NULL);
    if (r->command_pool) d->vk.DestroyCommandPool(d->handle, r->command_pool, NULL); /* frees the command buffers */
    mem_free(r->commands);
    mem_free(r->works);
    memset(r, 0, sizeof *r);
}

static enum pumice_status grow(struct recorder *r)
{
    if (r->n_pieces < r->capacity) return PUMICE_OK;
    const uint32_t capacity = r->capacity ? 2 * r->capacity : 16;
    VkCommandBuffer *commands = mem_realloc(r->commands, capacity, sizeof *commands);
    if (commands) r->commands = commands;
    struct work *works = mem_realloc(r->works, capacity, sizeof *works);
    if (works) r->works = works;
    if (!commands || !works) return err_memory("a plan", capacity * (sizeof *works + sizeof *commands));
    r->capacity = capacity;
    return PUMICE_OK;
}

static enum pumice_status command_begin(struct recorder *r)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = r->device;
    if (r->open) return PUMICE_OK;
    TRY(grow(r));
    const VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = r->command_pool,
                                                  .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT};
    VK_TRY(d->vk.AllocateCommandBuffers(d->handle, &allocate, &r->commands[r->n_pieces]));
    VK_TRY(d->vk.BeginCommandBuffer(r->commands[r->n_pieces], &begin));
    r->works[r->n_pieces++] = (struct work){0};
    r->open = true;
    r->open_ns = 0;
fail:
    return st;
}

static VkCommandBuffer current(const struct recorder *r) { return r->commands[r->n_pieces - 1]; }

static enum pumice_status command_end(struct recorder *r)
{
    enum pumice_status st = PUMICE_OK;
    if (r->open) VK_TRY(r->device->vk.EndCommandBuffer(current(r)));
    r->open = false;
fail:
    return st;
}

/* --- barriers: here, but for that behind a copy from staging (memory.c) ------------------------------------ */

static bool overlaps(const struct range *list, uint32_t n, struct range with)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i].memory == with.memory && list[i].begin < with.end && with.begin < list[i].end) return true;
    return false;
}

/* Copies are named only where there is one: to some drivers the word means that more caches are to be flushed. So what shaders
 * wrote before a barrier that does not name them has yet to be ordered before a copy. */
static void barrier(struct recorder *r, bool before_copy)
{
    const VkPipelineStageFlags shader = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, transfer = VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkAccessFlags read = VK_ACCESS_SHADER_READ_BIT, write = VK_ACCESS_SHADER_WRITE_BIT;
    const VkMemoryBarrier all = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = write | (r->copied ? VK_ACCESS_TRANSFER_WRITE_BIT : 0u),
        .dstAccessMask = read | write | (before_copy ? VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT : 0u)};
    r->device->vk.CmdPipelineBarrier(current(r), shader | (r->copied ? transfer : 0u), shader | (before_copy ? transfer : 0u), 0, 1,
                                     &all, 0, NULL, 0, NULL);
    r->n_reads = r->n_writes = 0;
    r->copied = false;
    r->shaded &= !before_copy;
    r->n_barriers++;
}

/* Inserts a barrier when what comes next touches what came before, then remembers the ranges. A plan's first command
 * needs none: the barrier at the end of the run before it orders everything. */
static void order(struct recorder *r, const struct range *ranges, const bool *write, uint32_t n, bool copy, bool beside)
{
    bool conflict = r->n_reads + n > RECORD_MAX_TRACKED || r->n_writes + n > RECORD_MAX_TRACKED || (copy && r->shaded);
    for (uint32_t i = 0; i < n && !conflict && !beside; i++)
        conflict = overlaps(r->writes, r->n_writes, ranges[i]) ||
                   (write[i] && overlaps(r->reads, r->n_reads, ranges[i]));
    if (conflict) barrier(r, copy);
    r->copied |= copy;
    r->shaded |= !copy;
    for (uint32_t i = 0; i < n; i++) {
        if (write[i]) r->writes[r->n_writes++] = ranges[i];
        else if (r->memory->blocks[ranges[i].memory].use != MEM_WEIGHT) r->reads[r->n_reads++] = ranges[i];
    }
}

/* --- ops --------------------------------------------------------------------------------------------------- */

static void timestamp(struct recorder *r)
{
    if (!r->perf || r->n_queries == RECORD_MAX_QUERIES) return;
    r->device->vk.CmdWriteTimestamp(current(r), VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, r->queries, r->n_queries++);
}

/* Both ends in one command buffer: some drivers want that. */
static void label_begin(struct recorder *r, const char *label)
{
    const VkDebugUtilsLabelEXT info = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT, .pLabelName = label};
    if (r->device->vk.CmdBeginDebugUtilsLabelEXT) r->device->vk.CmdBeginDebugUtilsLabelEXT(current(r), &info);
    r->label = label;
}

static void label_end(struct recorder *r)
{
    if (r->device->vk.CmdEndDebugUtilsLabelEXT) r->device->vk.CmdEndDebugUtilsLabelEXT(current(r));
}

enum pumice_status recorder_op_begin(struct recorder *r, const char *label)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = r->device;
    TRY(command_begin(r));
    r->counted = 0;
    if (r->perf && r->n_queries == 0) {
        d->vk.CmdResetQueryPool(current(r), r->queries, 0, RECORD_MAX_QUERIES);
        timestamp(r);
    }
    label_begin(r, label);
fail:
    return st;
}

/* Adds a share of the op's work to the piece, which ends when it is long enough. */
static enum pumice_status count(struct recorder *r, const struct op *op, double share)
{
    const struct work work = work_of(op), part = {share * work.base, share * work.a_past};
    r->works[r->n_pieces - 1] = work_add(r->works[r->n_pieces - 1], part);
    r->open_ns += (part.base + part.a_past * op->kv.C / 2.0) * r->device->pace;
    r->counted += share;
    return r->open_ns > PACE_PIECE_NS ? command_end(r) : PUMICE_OK;
}

enum pumice_status recorder_op_part(struct recorder *r, const struct op *op, double share)
{
    enum pumice_status st = PUMICE_OK;
    label_end(r);
    TRY(count(r, op, share));
    TRY(command_begin(r));
    label_begin(r, r->label);
fail:
    return st;
}

enum pumice_status recorder_op_end(struct recorder *r, const struct op *op)
{
    label_end(r);
    if (r->perf) {
        barrier(r, true); /* so that an op's time is its own */
        timestamp(r);
    }
    return count(r, op, 1 - r->counted);
}

static enum pumice_status new_set(struct recorder *r, const struct pipeline *p, VkDescriptorSet *set)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = r->device;
    if (r->pool_left == 0) {
        if (r->n_pools == RECORD_MAX_POOLS)
            return err_set(PUMICE_UNSUPPORTED, "a step of this model needs more than %d dispatches; it has too many layers",
                           RECORD_MAX_POOLS * RECORD_POOL_SETS);
        const VkDescriptorPoolSize size = {.type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .descriptorCount = RECORD_POOL_SETS * PIPELINE_MAX_BINDINGS};
        const VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                                 .maxSets = RECORD_POOL_SETS, .poolSizeCount = 1, .pPoolSizes = &size};
        VK_TRY(d->vk.CreateDescriptorPool(d->handle, &pool, NULL, &r->pools[r->n_pools]));
        r->n_pools++;
        r->pool_left = RECORD_POOL_SETS;
    }
    const VkDescriptorSetAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                                  .descriptorPool = r->pools[r->n_pools - 1], .descriptorSetCount = 1,
                                                  .pSetLayouts = &p->set_layout};
    VK_TRY(d->vk.AllocateDescriptorSets(d->handle, &allocate, set));
    r->pool_left--;
fail:
    return st;
}

static enum pumice_status check_groups(const struct device *d, const struct pipeline *p, const uint32_t groups[3])
{
    const struct device_limits *l = &d->physical.limits;
    if (groups[0] <= l->max_groups_x && groups[1] <= l->max_groups_yz && groups[2] <= l->max_groups_yz) return PUMICE_OK;
    return err_set(PUMICE_UNSUPPORTED, "kernel %s wants %u x %u x %u workgroups, %s runs %u x %u x %u; use --device cpu", p->kernel,
                   groups[0], groups[1], groups[2], d->physical.info.name, l->max_groups_x, l->max_groups_yz, l->max_groups_yz);
}

enum pumice_status recorder_dispatch(struct recorder *r, const struct dispatch *x)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = r->device;
    const struct pipeline *p = x->pipeline;
    VkDescriptorBufferInfo infos[PIPELINE_MAX_BINDINGS];
    VkWriteDescriptorSet writes[PIPELINE_MAX_BINDINGS];
    struct range ranges[PIPELINE_MAX_BINDINGS];
    bool write[PIPELINE_MAX_BINDINGS];
    VkDescriptorSet set = VK_NULL_HANDLE;
    TRY(check_groups(d, p, x->groups));
    TRY(new_set(r, p, &set));
    for (uint32_t i = 0; i < p->n_bindings; i++) {
        const struct binding *b = &x->bindings[i];
        const uint64_t begin = b->buf.offset + b->at, bytes = b->bytes ? b->bytes : b->buf.bytes - b->at;
        if (bytes > d->physical.limits.max_storage_range) {
            st = err_set(PUMICE_UNSUPPORTED, "%s binds at most %.0f KiB and kernel %s needs %.0f KiB; use a smaller context (-c)",
                         d->physical.info.name, (double)d->physical.limits.max_storage_range / 1024.0, p->kernel,
                         (double)bytes / 1024.0);
            goto fail;
        }
        infos[i] = (VkDescriptorBufferInfo){.buffer = r->memory->blocks[b->buf.memory].buffer, .offset = begin,
                                            .range = (bytes + 3) / 4 * 4};
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = set, .dstBinding = i,
                                           .descriptorCount = 1, .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = &infos[i]};
        ranges[i] = (struct range){.memory = b->buf.memory, .begin = begin, .end = begin + bytes};
        write[i] = b->write;
    }
    d->vk.UpdateDescriptorSets(d->handle, p->n_bindings, writes, 0, NULL);
    order(r, ranges, write, p->n_bindings, false, x->beside);
    d->vk.CmdBindPipeline(current(r), VK_PIPELINE_BIND_POINT_COMPUTE, p->handle);
    d->vk.CmdBindDescriptorSets(current(r), VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &set, 0, NULL);
    d->vk.CmdPushConstants(current(r), p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, p->push_bytes, x->push);
    d->vk.CmdDispatch(current(r), x->groups[0], x->groups[1], x->groups[2]);
    r->n_dispatches++;
fail:
    return st;
}

enum pumice_status recorder_copy(struct recorder *r, struct buf src, struct buf dst, uint64_t bytes)
{
    const struct range ranges[2] = {{src.memory, src.offset, src.offset + bytes}, {dst.memory, dst.offset, dst.offset + bytes}};
    const bool write[2] = {false, true};
    const VkBufferCopy region = {.srcOffset = src.offset, .dstOffset = dst.offset, .size = bytes};
    order(r, ranges, write, 2, true, false);
    r->device->vk.CmdCopyBuffer(current(r), r->memory->blocks[src.memory].buffer, r->memory->blocks[dst.memory].buffer, 1,
                                &region);
    return PUMICE_OK;
}

enum pumice_status recorder_finish(struct recorder *r)
{
    enum pumice_status st = PUMICE_OK;
    const VkMemoryBarrier host = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                  .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT |
                                                   VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                                                   VK_ACCESS_TRANSFER_WRITE_BIT};
    TRY(command_begin(r));
    r->device->vk.CmdPipelineBarrier(current(r), VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                                     VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                                         VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &host, 0, NULL,
                                     0, NULL);
    TRY(command_end(r));
fail:
    return st;
}

enum pumice_status recorder_start(struct recorder *r, uint32_t n, uint64_t *value)
{
    enum pumice_status st = PUMICE_OK;
    VkCommandBuffer repeated[RECORD_MAX_REPEATS];
    uint32_t at = 0;
    if ((uint64_t)n * r->n_pieces > RECORD_MAX_REPEATS) {
        for (uint32_t i = 0; i < n; i++) TRY(queue_submit(r->device, r->n_pieces, r->commands, value));
        return PUMICE_OK;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < r->n_pieces; j++) repeated[at++] = r->commands[j];
    TRY(queue_submit(r->device, at, repeated, value));
fail:
    return st;
}

/* A submission on its way. */
struct flight {
    uint64_t value, begin_ns;
    double work;
};

/* Submits as many pieces from `first` on as the pace allows, at least one; *n: how many. */
static enum pumice_status submit(struct recorder *r, uint32_t first, uint32_t past, uint32_t *n, struct flight *f)
{
    const double limit = PACE_SUBMISSION_NS / r->device->pace;
    f->work = 0;
    for (*n = 0; first + *n < r->n_pieces; ++*n) {
        const struct work *w = &r->works[first + *n];
        const double more = w->base + w->a_past * past;
        if (*n && f->work + more > limit) break;
        f->work += more;
    }
    f->begin_ns = platform_now_ns();
    return queue_submit(r->device, *n, r->commands + first, &f->value);
}

enum pumice_status recorder_run(struct recorder *r, uint32_t past, const atomic_bool *cancel, uint64_t *ticks)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = r->device;
    struct flight flights[MAX_FLIGHTS]; /* the oldest first */
    uint32_t next = 0, n_flights = 0, n = 0;
    uint64_t free_ns = 0; /* since when the device had nothing older to do */
    bool stop = false;
    for (r->n_submissions = 0; (next < r->n_pieces && !stop) || n_flights > 0;) {
        while (next < r->n_pieces && n_flights < MAX_FLIGHTS && !stop) {
            stop = cancel && atomic_load_explicit(cancel, memory_order_relaxed);
            if (stop) break;
            TRY(submit(r, next, past, &n, &flights[n_flights]));
            if (r->n_submissions++ == 0) r->begin_ns = flights[n_flights].begin_ns;
            n_flights++;
            next += n;
        }
        if (n_flights == 0) break;
        TRY(queue_wait(d, flights[0].value));
        const uint64_t now = platform_now_ns();
        d->pace = pace_learn(d->pace, flights[0].work, now - MAX(free_ns, flights[0].begin_ns));
        free_ns = now;
        flights[0] = flights[--n_flights];
    }
    if (next < r->n_pieces) return err_set(PUMICE_CANCELLED, "cancelled inside a step");
    if (ticks && r->n_queries)
        VK_TRY(d->vk.GetQueryPoolResults(d->handle, r->queries, 0, r->n_queries, r->n_queries * sizeof *ticks, ticks,
                                         sizeof *ticks, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
    return PUMICE_OK;
fail:
    return st;
}
