/* record: plans on the GPU: command buffers recorded once and submitted again and again.
 *
 * Owns barriers (from the ranges each dispatch reads and writes, here and nowhere else), descriptor sets, timestamps and
 * the splitting of long plans into several submissions. */
#ifndef PUMICE_RECORD_H
#define PUMICE_RECORD_H

#include "memory.h"
#include "pipeline.h"
#include "queue.h"

enum { RECORD_MAX_TRACKED = 64, RECORD_MAX_POOLS = 64, RECORD_POOL_SETS = 512, RECORD_MAX_COMMANDS = 256,
       RECORD_MAX_REPEATS = 64 };

struct binding {
    struct buf buf;
    uint64_t at;    /* within buf, aligned for binding */
    uint64_t bytes; /* 0 = to the end */
    bool write;     /* written (and perhaps read); else only read */
};

struct dispatch {
    const struct pipeline *pipeline;
    struct binding bindings[PIPELINE_MAX_BINDINGS];
    const void *push;
    uint32_t groups[3];
    double flops; /* for splitting submissions */
};

struct perf_sum {
    uint64_t calls, ns, bytes;
};

struct range {
    uint32_t memory;
    uint64_t begin, end;
};

struct recorder {
    struct device *device;
    struct memory *memory;
    VkCommandPool command_pool;
    VkCommandBuffer commands[RECORD_MAX_COMMANDS];
    uint32_t n_commands;
    bool open;
    double flops; /* in the open command buffer */
    VkDescriptorPool pools[RECORD_MAX_POOLS];
    uint32_t n_pools, pool_left;
    struct range reads[RECORD_MAX_TRACKED], writes[RECORD_MAX_TRACKED]; /* since the last barrier */
    uint32_t n_reads, n_writes;
    uint32_t n_barriers, n_dispatches;
    bool perf;
    VkQueryPool queries;
    uint32_t n_queries; /* one before the first op, one after each */
};

enum pumice_status recorder_init(struct recorder *r, struct device *d, struct memory *m, bool perf);
void recorder_fini(struct recorder *r);

/* Between op_begin and op_end any number of dispatches; perf measures from one op's end to the next. */
enum pumice_status recorder_op_begin(struct recorder *r, const char *label);
enum pumice_status recorder_op_end(struct recorder *r);
enum pumice_status recorder_dispatch(struct recorder *r, const struct dispatch *d);
enum pumice_status recorder_copy(struct recorder *r, struct buf src, struct buf dst, uint64_t bytes);
enum pumice_status recorder_finish(struct recorder *r);
/* Submits everything in order, n times over. *value: of the timeline when it is done. */
enum pumice_status recorder_submit(struct recorder *r, uint32_t n, uint64_t *value);
/* The timestamps [n_queries] of a run that is done. */
enum pumice_status recorder_ticks(struct recorder *r, uint64_t *ticks);

#endif
