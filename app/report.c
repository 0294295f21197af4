/* report: numbers for people, on standard error. See llm.h. */
#include <stdio.h>

#include "app/llm.h"
#include "app/term.h"

double report_rate(uint64_t n, uint64_t ns)
{
    return ns > 0 ? (double)n * 1e9 / (double)ns : 0;
}

void report_bytes(uint64_t bytes, char *out, size_t n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)bytes;
    size_t unit = 0;
    while (x >= 1024 && unit + 1 < COUNT_OF(units)) {
        x /= 1024;
        unit++;
    }
    snprintf(out, n, unit == 0 ? "%.0f %s" : "%.1f %s", x, units[unit]);
}

const char *report_kind(enum pumice_device_kind kind)
{
    switch (kind) {
    case PUMICE_DEVICE_DISCRETE:
        return "discrete";
    case PUMICE_DEVICE_INTEGRATED:
        return "integrated";
    case PUMICE_DEVICE_VIRTUAL:
        return "virtual";
    case PUMICE_DEVICE_SOFTWARE:
        return "software";
    case PUMICE_DEVICE_CPU:
        return "cpu";
    }
    return "?";
}

void report_stats(const struct llm *llm, const struct answer *a)
{
    struct pumice_engine_info info;
    char device[32];
    pumice_engine_get_info(llm->engine, &info);
    report_bytes(info.device_bytes, device, sizeof device);
    term_say("[prefill %llu tokens, %.1f tok/s | decode %llu tokens, %.1f tok/s | %zu + %u of %u tokens | "
             "device %s "
             "(%llu bytes) | logits %016llx | seed %llu]",
             (unsigned long long)a->stats.prefill_tokens,
             report_rate(a->stats.prefill_tokens, a->stats.prefill_ns),
             (unsigned long long)a->stats.decode_tokens,
             report_rate(a->stats.decode_tokens, a->stats.decode_ns), a->n_prompt, a->result.n_tokens,
             pumice_session_capacity(llm->session), device, (unsigned long long)info.device_bytes,
             (unsigned long long)a->hash, (unsigned long long)a->seed);
}

void report_perf(const struct llm *llm)
{
    struct pumice_perf_row rows[64];
    size_t n = COUNT_OF(rows);
    uint64_t total_ns = 0;
    pumice_engine_perf(llm->engine, rows, &n);
    n = MIN(n, COUNT_OF(rows));
    for (size_t i = 0; i < n; i++) total_ns += rows[i].ns;
    term_say("%-28s %10s %12s %10s %7s %9s", "op", "calls", "total ms", "us a call", "%", "GB/s");
    for (size_t i = 0; i < n; i++)
        term_say("%-28s %10llu %12.3f %10.1f %7.2f %9.2f", rows[i].op, (unsigned long long)rows[i].calls,
                 (double)rows[i].ns / 1e6, (double)rows[i].ns / 1e3 / (double)MAX(rows[i].calls, (uint64_t)1), total_ns > 0 ? 100 * (double)rows[i].ns / (double)total_ns : 0,
                 rows[i].ns > 0 ? (double)rows[i].bytes / (double)rows[i].ns : 0);
    term_say("%-28s %10s %12.3f", "all", "", (double)total_ns / 1e6);
}
