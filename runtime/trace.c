/* trace: see trace.h. Source of the format: "Trace Event Format", complete events (ph X), times in microseconds. */
#include "trace.h"

#include "platform.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum track { TRACK_HOST = 1, TRACK_DEVICE = 2 };

struct span {
    uint64_t begin_ns, ns;
    char name[28];
    uint32_t track; /* 0: not filled in yet */
};

static _Atomic(struct span *) spans; /* [TRACE_MAX_SPANS]; NULL: no trace */
static atomic_uint n_spans;
static uint64_t start_ns;

static void add(enum track track, const char *name, uint64_t begin_ns, uint64_t ns)
{
    struct span *all = atomic_load_explicit(&spans, memory_order_acquire);
    if (!all) return;
    if (atomic_load_explicit(&n_spans, memory_order_relaxed) > UINT32_MAX / 2) return; /* the count stays right enough */
    const uint32_t i = atomic_fetch_add_explicit(&n_spans, 1, memory_order_relaxed);
    if (i >= TRACE_MAX_SPANS) return;
    all[i].begin_ns = begin_ns;
    all[i].ns = ns;
    snprintf(all[i].name, sizeof all[i].name, "%s", name);
    all[i].track = track;
}

bool trace_on(void) { return atomic_load_explicit(&spans, memory_order_relaxed) != NULL; }
void trace_op(const char *name, uint64_t begin_ns, uint64_t ns) { add(TRACK_DEVICE, name, begin_ns, ns); }

enum pumice_status pumice_trace_start(void)
{
    if (trace_on()) return err_set(PUMICE_ARGUMENT, "a trace is being recorded already; write it first");
    struct span *all = mem_calloc(TRACE_MAX_SPANS, sizeof *all);
    if (!all) return err_memory("the trace", TRACE_MAX_SPANS * sizeof *all);
    atomic_store(&n_spans, 0);
    start_ns = platform_now_ns();
    atomic_store_explicit(&spans, all, memory_order_release);
    return PUMICE_OK;
}

uint64_t pumice_trace_begin(void) { return trace_on() ? platform_now_ns() : 0; }

void pumice_trace_end(const char *name, uint64_t begin_ns)
{
    if (begin_ns) add(TRACK_HOST, name, begin_ns, platform_now_ns() - begin_ns);
}

/* Names are our own words and labels; whatever else gets into one does not break the JSON. */
static void clean(char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < 0x20 || (unsigned char)*name > 0x7e || *name == '"' || *name == '\\') *name = '_';
}

static enum pumice_status put_all(struct platform_writer *w, struct span *all)
{
    enum pumice_status st = PUMICE_OK;
    char lines[16384];
    const uint32_t total = atomic_load(&n_spans), n = MIN(total, (uint32_t)TRACE_MAX_SPANS);
    size_t used = str_append(lines, sizeof lines, 0,
                             "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"program\":\"pumice %s\",\"dropped\":%u},\"traceEvents\":[\n"
                             "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":1,\"args\":{\"name\":\"host\"}},\n"
                             "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":2,\"args\":{\"name\":\"device\"}}",
                             pumice_version(), total - n);
    for (uint32_t i = 0; i < n; i++) {
        struct span *s = &all[i];
        if (!s->track) continue;
        clean(s->name);
        const double begin_us = ((double)s->begin_ns - (double)start_ns) / 1e3;
        used = str_append(lines, sizeof lines, used,
                          ",\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f}", s->name, s->track,
                          begin_us, (double)s->ns / 1e3);
        if (used < sizeof lines - 256) continue;
        TRY(platform_writer_put(w, lines, used));
        used = 0;
    }
    used = str_append(lines, sizeof lines, used, "\n]}\n");
    TRY(platform_writer_put(w, lines, used));
fail:
    return st;
}

enum pumice_status pumice_trace_write(const char *path)
{
    enum pumice_status st = PUMICE_OK;
    struct platform_writer *w = NULL;
    struct span *all = atomic_exchange(&spans, NULL);
    if (!all) return err_set(PUMICE_ARGUMENT, "no trace was started");
    TRY(platform_writer_create(path, &w));
    TRY(put_all(w, all));
    st = platform_writer_commit(w);
    w = NULL;
fail:
    platform_writer_abort(w);
    mem_free(all);
    return st;
}
