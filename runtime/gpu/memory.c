/* memory: see memory.h. */
#include "memory.h"
#include "queue.h"

#include <assert.h>
#include <string.h>

/* The memory types that the buffer may have, best first. Returns how many. */
static uint32_t find_types(const struct memory *m, enum mem_use use, uint32_t allowed, uint32_t types[VK_MAX_MEMORY_TYPES])
{
    enum {
        L = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
        H = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
        C = VK_MEMORY_PROPERTY_HOST_CACHED_BIT
    };
    enum { MAX_WISHES = 5 };
    static const VkMemoryPropertyFlags discrete[][MAX_WISHES] = {[MEM_WEIGHT] = {L}, [MEM_KV] = {L}, [MEM_SCRATCH] = {L},
        [MEM_STEP] = {L | H, H}, [MEM_STAGE] = {H | C, H}, [MEM_READBACK] = {H | C, H}};
    /* one memory for host and device: weights are written in place, and what one heap has no room for another may */
    static const VkMemoryPropertyFlags unified[][MAX_WISHES] = {[MEM_WEIGHT] = {L | H | C, L | H, L, H | C, H}, [MEM_KV] = {L, H},
        [MEM_SCRATCH] = {L, H}, [MEM_STEP] = {L | H, H}, [MEM_STAGE] = {H | C, H}, [MEM_READBACK] = {H | C, H}};
    const VkMemoryPropertyFlags *wishes = m->device->physical.limits.unified ? unified[use] : discrete[use];
    const VkPhysicalDeviceMemoryProperties *p = &m->device->physical.memory;
    uint32_t n = 0, left = allowed;
    for (size_t w = 0; w < MAX_WISHES && (wishes[w] || n == 0); w++) /* none of the wishes: any */
        for (uint32_t i = 0; i < p->memoryTypeCount; i++)
            if ((left >> i & 1) && (p->memoryTypes[i].propertyFlags & wishes[w]) == wishes[w]) {
                types[n++] = i;
                left &= ~(1u << i);
            }
    return n;
}

static void block_destroy(struct memory *m, struct memory_block *b)
{
    struct device *d = m->device;
    if (b->buffer) d->vk.DestroyBuffer(d->handle, b->buffer, NULL);
    if (b->memory) {
        d->vk.FreeMemory(d->handle, b->memory, NULL); /* unmaps */
        m->total_bytes -= b->bytes;
    }
    memset(b, 0, sizeof *b);
}

static enum pumice_status too_much(const struct memory *m, uint64_t bytes, const char *name)
{
    return err_set(PUMICE_MEMORY, "%s has no room for %.1f MiB of %s (%.1f MiB in use); use a smaller context (-c), a smaller "
                   "model, or --device cpu", m->device->physical.info.name, (double)bytes / 1048576.0, name,
                   (double)m->total_bytes / 1048576.0);
}

static enum pumice_status block_create(struct memory *m, enum mem_use use, uint64_t bytes, const char *name,
                                       struct memory_block *b)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = m->device;
    const bool addressed = d->physical.limits.buffer_address;
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes,
                                     .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                              VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                                              (addressed ? VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT : 0u)};
    memset(b, 0, sizeof *b);
    VK_TRY(d->vk.CreateBuffer(d->handle, &info, NULL, &b->buffer));
    device_name(d, VK_OBJECT_TYPE_BUFFER, (uint64_t)b->buffer, "%s", name);
    VkMemoryRequirements need;
    d->vk.GetBufferMemoryRequirements(d->handle, b->buffer, &need);
    uint32_t types[VK_MAX_MEMORY_TYPES], type = 0;
    const uint32_t n_types = find_types(m, use, need.memoryTypeBits, types);
    if (n_types == 0) {
        st = err_set(PUMICE_UNSUPPORTED, "%s has no memory for %s; use --device cpu", d->physical.info.name, name);
        goto fail;
    }
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .pNext = addressed ? &flags : NULL,
                                     .allocationSize = need.size};
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (uint32_t i = 0; i < n_types && result < 0 && need.size <= d->physical.limits.max_allocation; i++) {
        allocate.memoryTypeIndex = type = types[i];
        result = d->vk.AllocateMemory(d->handle, &allocate, NULL, &b->memory);
    }
    if (result < 0) {
        b->memory = VK_NULL_HANDLE;
        st = too_much(m, bytes, name);
        goto fail;
    }
    b->bytes = need.size;
    m->total_bytes += need.size;
    VK_TRY(d->vk.BindBufferMemory(d->handle, b->buffer, b->memory, 0));
    const VkMemoryPropertyFlags properties = d->physical.memory.memoryTypes[type].propertyFlags;
    if (properties & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) {
        const bool wanted = use == MEM_STEP || use == MEM_STAGE || use == MEM_READBACK || d->physical.limits.unified;
        b->cached = properties & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
        if (wanted) VK_TRY(d->vk.MapMemory(d->handle, b->memory, 0, VK_WHOLE_SIZE, 0, (void **)&b->host));
    }
    if (addressed) {
        const VkBufferDeviceAddressInfo address = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                                   .buffer = b->buffer};
        b->address = d->vk.GetBufferDeviceAddress(d->handle, &address);
    }
    b->use = use;
    b->live = true;
    return PUMICE_OK;
fail:
    block_destroy(m, b);
    return st;
}

enum pumice_status memory_init(struct memory *m, struct device *d)
{
    enum pumice_status st = PUMICE_OK;
    memset(m, 0, sizeof *m);
    m->device = d;
    m->stage_bytes = MIN((uint64_t)MEMORY_STAGE_BYTES, d->physical.limits.max_allocation / 4 / MEMORY_ALIGN * MEMORY_ALIGN);
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = d->physical.queue_family};
    VK_TRY(d->vk.CreateCommandPool(d->handle, &pool, NULL, &m->pool));
    const VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = m->pool, .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                  .commandBufferCount = 1};
    for (size_t i = 0; i < COUNT_OF(m->stages); i++)
        VK_TRY(d->vk.AllocateCommandBuffers(d->handle, &commands, &m->stages[i].command));
    return PUMICE_OK;
fail:
    memory_fini(m);
    return st;
}

void memory_fini(struct memory *m)
{
    if (!m->device) return;
    for (uint32_t i = m->n_blocks; i-- > 0;) block_destroy(m, &m->blocks[i]);
    mem_free(m->blocks);
    if (m->pool) m->device->vk.DestroyCommandPool(m->device->handle, m->pool, NULL);
    memset(m, 0, sizeof *m);
}

static enum pumice_status new_slot(struct memory *m, uint32_t *slot)
{
    for (uint32_t i = 0; i < m->n_blocks; i++)
        if (!m->blocks[i].live) {
            *slot = i;
            return PUMICE_OK;
        }
    if (m->n_blocks == m->capacity) {
        const uint32_t capacity = m->capacity ? 2 * m->capacity : 64;
        struct memory_block *grown = mem_realloc(m->blocks, capacity, sizeof *grown);
        if (!grown) return err_memory("the table of device memory", capacity * sizeof *grown);
        memset(grown + m->capacity, 0, (capacity - m->capacity) * sizeof *grown);
        m->blocks = grown;
        m->capacity = capacity;
    }
    *slot = m->n_blocks++;
    return PUMICE_OK;
}

void memory_expect(struct memory *m, uint64_t bytes) { m->weights_left = bytes; }

/* Large, so that little is left over at the end of each, but no larger than what is still to come. */
static uint64_t weight_block(const struct memory *m, uint64_t least)
{
    const uint64_t wanted = m->weights_left ? MIN(m->weights_left, (uint64_t)MEMORY_WEIGHT_BLOCK_MAX) : MEMORY_WEIGHT_BLOCK_MIN;
    return MAX(least, MIN(wanted, m->device->physical.limits.max_allocation / MEMORY_ALIGN * MEMORY_ALIGN));
}

enum pumice_status memory_create(struct memory *m, enum mem_use use, uint64_t bytes, const char *name, struct buf *out)
{
    enum pumice_status st = PUMICE_OK;
    uint64_t padded = 0;
    uint32_t slot = 0;
    memset(out, 0, sizeof *out);
    if (bytes == 0 || !align_u64(bytes, MEMORY_ALIGN, &padded)) return too_much(m, bytes, name);
    if (use == MEM_WEIGHT) {
        for (uint32_t i = 0; i < m->n_blocks; i++) {
            struct memory_block *b = &m->blocks[i];
            if (b->live && b->use == MEM_WEIGHT && b->bytes - b->used >= padded) {
                *out = (struct buf){.memory = i, .offset = b->used, .bytes = bytes};
                b->used += padded;
                m->weights_left -= MIN(padded, m->weights_left);
                return PUMICE_OK;
            }
        }
    }
    TRY(new_slot(m, &slot));
    uint64_t size = use == MEM_WEIGHT ? weight_block(m, padded) : padded;
    while ((st = block_create(m, use, size, name, &m->blocks[slot])) == PUMICE_MEMORY && size > padded)
        size = MAX(padded, size / 2 / MEMORY_ALIGN * MEMORY_ALIGN);
    TRY(st);
    if (use == MEM_WEIGHT) m->weights_left -= MIN(padded, m->weights_left);
    m->blocks[slot].used = padded;
    *out = (struct buf){.memory = slot, .offset = 0, .bytes = bytes};
fail:
    return st;
}

void memory_destroy(struct memory *m, struct buf *buf)
{
    if (buf->bytes && buf->memory < m->n_blocks && m->blocks[buf->memory].use != MEM_WEIGHT)
        block_destroy(m, &m->blocks[buf->memory]);
    memset(buf, 0, sizeof *buf);
}

uint8_t *memory_host(const struct memory *m, struct buf b)
{
    uint8_t *host = m->blocks[b.memory].host;
    return host ? host + b.offset : NULL;
}

enum pumice_status memory_write_begin(struct memory *m, struct buf dst, uint64_t at, uint64_t bytes, uint8_t **host)
{
    enum pumice_status st = PUMICE_OK;
    assert(at <= dst.bytes && bytes <= dst.bytes - at);
    uint8_t *visible = memory_host(m, dst);
    if (visible) {
        *host = visible + at;
        return PUMICE_OK;
    }
    struct memory_stage *stage = &m->stages[m->next_stage];
    if (!stage->buf.bytes) TRY(memory_create(m, MEM_STAGE, m->stage_bytes, "staging", &stage->buf));
    TRY(queue_wait(m->device, stage->value));
    *host = memory_host(m, stage->buf);
fail:
    return st;
}

static enum pumice_status copy(struct memory *m, struct memory_stage *stage, struct buf src, uint64_t src_at, struct buf dst,
                               uint64_t dst_at, uint64_t bytes)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = m->device;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    const VkBufferCopy region = {.srcOffset = src.offset + src_at, .dstOffset = dst.offset + dst_at, .size = bytes};
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                                                      VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT};
    VK_TRY(d->vk.BeginCommandBuffer(stage->command, &begin));
    d->vk.CmdCopyBuffer(stage->command, m->blocks[src.memory].buffer, m->blocks[dst.memory].buffer, 1, &region);
    d->vk.CmdPipelineBarrier(stage->command, VK_PIPELINE_STAGE_TRANSFER_BIT,
                             VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT |
                             VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    VK_TRY(d->vk.EndCommandBuffer(stage->command));
    TRY(queue_submit(d, 1, &stage->command, &stage->value));
fail:
    return st;
}

enum pumice_status memory_write_end(struct memory *m, struct buf dst, uint64_t at, uint64_t bytes)
{
    if (memory_host(m, dst)) return PUMICE_OK;
    struct memory_stage *stage = &m->stages[m->next_stage];
    m->next_stage = (m->next_stage + 1) % COUNT_OF(m->stages);
    return copy(m, stage, stage->buf, 0, dst, at, bytes);
}

enum pumice_status memory_flush(struct memory *m)
{
    enum pumice_status st = PUMICE_OK;
    for (size_t i = 0; i < COUNT_OF(m->stages); i++) TRY(queue_wait(m->device, m->stages[i].value));
fail:
    return st;
}

enum pumice_status memory_write(struct memory *m, struct buf dst, uint64_t at, const void *src, uint64_t bytes)
{
    enum pumice_status st = PUMICE_OK;
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t n = MIN(bytes - done, m->stage_bytes);
        uint8_t *host = NULL;
        TRY(memory_write_begin(m, dst, at + done, n, &host));
        memcpy(host, (const uint8_t *)src + done, (size_t)n);
        TRY(memory_write_end(m, dst, at + done, n));
        done += n;
    }
    TRY(memory_flush(m));
fail:
    return st;
}

enum pumice_status memory_read(struct memory *m, struct buf src, uint64_t at, void *dst, uint64_t bytes)
{
    enum pumice_status st = PUMICE_OK;
    struct buf back = {0};
    const uint8_t *visible = memory_host(m, src);
    assert(at <= src.bytes && bytes <= src.bytes - at);
    TRY(memory_flush(m));
    if (visible && (m->blocks[src.memory].cached || bytes <= MEMORY_ALIGN)) { /* else a read takes a microsecond a word */
        memcpy(dst, visible + at, (size_t)bytes);
        return PUMICE_OK;
    }
    TRY(memory_create(m, MEM_READBACK, MIN(bytes, m->stage_bytes), "readback", &back));
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t n = MIN(bytes - done, back.bytes);
        struct memory_stage *stage = &m->stages[0];
        TRY(copy(m, stage, src, at + done, back, 0, n));
        TRY(queue_wait(m->device, stage->value));
        memcpy((uint8_t *)dst + done, memory_host(m, back), (size_t)n);
        done += n;
    }
fail:
    memory_destroy(m, &back);
    return st;
}
