/* record: plans on the GPU: command buffers recorded once and submitted again and again.
 *
 * Owns barriers (from the ranges each dispatch reads and writes), descriptor sets, timestamps and
 * the splitting of long plans: recorded as small pieces, one command buffer each, which a run submits together as far as
 * the device's pace allows (pace.h). */
#ifndef PUMICE_RECORD_H
#define PUMICE_RECORD_H

#include "matmul.h"
#include "memory.h"
#include "pace.h"
#include "pipeline.h"
#include "queue.h"

enum { RECORD_MAX_TRACKED = 64, RECORD_MAX_POOLS = 64, RECORD_POOL_SETS = 512, RECORD_MAX_REPEATS = 64 };

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
    bool beside; /* the dispatch before is of the same op and touches other elements: no barrier between the two */
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
    VkCommandBuffer *commands; /* [n_pieces] */
    struct work *works;        /* [n_pieces] */
    uint32_t n_pieces, capacity;
    bool open;         /* the last piece */
    double open_ns;    /* what it will take, with half the context in the cache */
    const char *label; /* of the current op */
    double counted;    /* of the current op's work, the part that is in works */
    VkDescriptorPool pools[RECORD_MAX_POOLS];
    uint32_t n_pools, pool_left;
    struct range reads[RECORD_MAX_TRACKED], writes[RECORD_MAX_TRACKED]; /* since the last barrier */
    uint32_t n_reads, n_writes;
    bool copied; /* there was a copy since then */
    bool shaded; /* and a dispatch since the last barrier that a copy may follow */
    uint32_t n_barriers, n_dispatches;
    uint32_t n_submissions; /* of the last run */
    uint64_t begin_ns;      /* of its first submission */
    bool perf;
    VkQueryPool queries;
    struct matmul_rounded rounded;
    uint32_t n_queries; /* one before the first op, one after each */
};

enum pumice_status recorder_init(struct recorder *r, struct device *d, struct memory *m, bool perf);
void recorder_fini(struct recorder *r);

/* Between op_begin and op_end any number of dispatches; perf measures from one op's end to the next. op_end may end the
 * piece. */
enum pumice_status recorder_op_begin(struct recorder *r, const char *label);
/* Between dispatches of an op that takes long: `share` of its work has been recorded since the last one. May end the piece. */
enum pumice_status recorder_op_part(struct recorder *r, const struct op *op, double share);
enum pumice_status recorder_op_end(struct recorder *r, const struct op *op);
enum pumice_status recorder_dispatch(struct recorder *r, const struct dispatch *d);
enum pumice_status recorder_copy(struct recorder *r, struct buf src, struct buf dst, uint64_t bytes);
enum pumice_status recorder_finish(struct recorder *r);
/* Submits everything in order and waits, with at most two submissions on their way. past: tokens in the cache. cancel (or
 * NULL) is asked before each submission: then CANCELLED, and nothing runs any more. ticks (n_queries, or NULL): the
 * timestamps. */
enum pumice_status recorder_run(struct recorder *r, uint32_t past, const atomic_bool *cancel, uint64_t *ticks);
/* Submits everything n times over and does not wait: for plans that take a few ms. *value: of the timeline when it is done. */
enum pumice_status recorder_start(struct recorder *r, uint32_t n, uint64_t *value);

#endif
