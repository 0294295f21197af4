/* trace: spans of time on the host and on the device, kept in memory and written as a Chrome trace, which Perfetto and
 * chrome://tracing open. pumice.h has start, begin, end and write; this is the device's side.
 *
 * One trace a process, of at most TRACE_MAX_SPANS spans in memory allocated at the start: recording allocates nothing, may
 * happen on any thread, and later spans are counted and dropped. Without a trace every call is one load. */
#ifndef PUMICE_TRACE_H
#define PUMICE_TRACE_H

#include "base.h"

enum { TRACE_MAX_SPANS = 1 << 19 }; /* 24 MiB; Qwen3-0.6B records 345 spans a token */

bool trace_on(void);
/* An op on the device (or the CPU back end), in platform_now_ns's time. The name is copied, up to 27 bytes. */
void trace_op(const char *name, uint64_t begin_ns, uint64_t ns);

#endif
