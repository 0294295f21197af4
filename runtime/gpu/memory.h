/* memory: device memory in blocks, and the staging that fills it.
 *
 * A block is one VkDeviceMemory with one VkBuffer over all of it, no larger than the device's limits. Weights are put
 * one after another into large blocks that live as long as the device; every other buffer has a block of its own, so that
 * closing a session gives all of it back. A struct buf is {block index, offset, bytes}, offsets aligned for binding.
 * Where device memory is host memory (integrated and software devices) it is written in place, without staging. */
#ifndef PUMICE_MEMORY_H
#define PUMICE_MEMORY_H

#include "../ops.h"
#include "device.h"

enum { MEMORY_ALIGN = DEVICE_MAX_ALIGN, MEMORY_WEIGHT_BLOCK_MIN = 4 << 20, MEMORY_WEIGHT_BLOCK_MAX = 512 << 20,
       MEMORY_STAGE_BYTES = 16 << 20 };

struct memory_block {
    VkDeviceMemory memory;
    VkBuffer buffer;
    VkDeviceAddress address; /* 0 without buffer device address */
    uint64_t bytes, used;
    uint8_t *host;           /* NULL when the host cannot see it */
    enum mem_use use;
    bool live, cached; /* cached: what the host reads of it, it reads at full speed */
};

/* One staging buffer and the copy that empties it. */
struct memory_stage {
    struct buf buf;
    VkCommandBuffer command;
    uint64_t value; /* of the timeline when the copy is done */
};

struct memory {
    struct device *device;
    struct memory_block *blocks;
    uint32_t n_blocks, capacity;
    uint64_t total_bytes;
    uint64_t weights_left; /* bytes of weights that are still to come, as far as was said */
    VkCommandPool pool;
    struct memory_stage stages[2];
    uint32_t next_stage;
    uint64_t stage_bytes; /* MEMORY_STAGE_BYTES, or less where allocations are small */
};

enum pumice_status memory_init(struct memory *m, struct device *d);
void memory_fini(struct memory *m);

void memory_expect(struct memory *m, uint64_t bytes); /* of weights, all together: for the size of their blocks */
enum pumice_status memory_create(struct memory *m, enum mem_use use, uint64_t bytes, const char *name, struct buf *out);
void memory_destroy(struct memory *m, struct buf *buf);

uint8_t *memory_host(const struct memory *m, struct buf b); /* NULL when not visible */

/* Host memory to write `bytes` (<= stage_bytes) that belong at dst + at: the place itself, or staging. */
enum pumice_status memory_write_begin(struct memory *m, struct buf dst, uint64_t at, uint64_t bytes, uint8_t **host);
/* Starts the copy from staging; nothing to do when it was in place. */
enum pumice_status memory_write_end(struct memory *m, struct buf dst, uint64_t at, uint64_t bytes);
enum pumice_status memory_flush(struct memory *m); /* waits for the copies */

enum pumice_status memory_write(struct memory *m, struct buf dst, uint64_t at, const void *src, uint64_t bytes);
enum pumice_status memory_read(struct memory *m, struct buf src, uint64_t at, void *dst, uint64_t bytes);

#endif
