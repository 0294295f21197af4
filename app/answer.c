/* answer: feeds a prompt and collects what the model says; and the numbers about it. */
#include <stdio.h>
#include <string.h>

#include "app/llm.h"
#include "app/term.h"

struct collector {
    struct llm *llm;
    const struct answer_params *params;
    struct answer *out;
    struct decoder decoder;
    char *piece; /* room for the text of one token */
    size_t capacity;
    enum pumice_status status;
};

static bool add_text(struct collector *c, size_t n)
{
    struct answer *a = c->out;
    if (n == 0) return true;
    if (c->capacity - a->n_text < n + 1) {
        const size_t capacity = MAX(a->n_text + n + 1, c->capacity * 2);
        char *text = mem_realloc(a->text, capacity, 1);
        if (text == NULL) {
            c->status = err_memory("the answer", capacity);
            return false;
        }
        a->text = text;
        c->capacity = capacity;
    }
    memcpy(a->text + a->n_text, c->piece, n);
    a->n_text += n;
    a->text[a->n_text] = 0;
    return c->params->on_text == NULL || c->params->on_text(c->params->user, c->piece, n);
}

static bool on_token(void *user, int32_t token)
{
    struct collector *c = user;
    const struct tokenizer *t = c->llm->vocab.tokenizer;
    c->status = ids_append(&c->out->ids, token);
    if (c->status != PUMICE_OK) return false;
    if (tokenizer_is_control(t, token)) return true;
    return add_text(c, decoder_feed(&c->decoder, tokenizer_token_bytes(t, token), c->piece));
}

static bool on_prompt(void *user, size_t done, size_t total)
{
    (void)user;
    if (total > 256) term_progress("reading the prompt", (double)done / (double)total);
    return term_interrupts() == 0;
}

static enum pumice_status feed(struct llm *llm, const int32_t *prompt, size_t n)
{
    const struct pumice_sync_callbacks callbacks = {.progress = on_prompt};
    enum pumice_status st = pumice_session_sync(llm->session, prompt, n, &callbacks);
    /* a Ctrl-C that came too late for the answer before cancels this one: not meant */
    if (st == PUMICE_CANCELLED && term_interrupts() == 0)
        st = pumice_session_sync(llm->session, prompt, n, &callbacks);
    term_progress_end();
    return st;
}

enum pumice_status answer_make(struct llm *llm, const int32_t *prompt, size_t n,
                               const struct answer_params *params, struct answer *out)
{
    enum pumice_status st = PUMICE_OK;
    struct collector c = {.llm = llm, .params = params, .out = out};
    const struct pumice_generate_params generate = {.sampling = params->sampling,
                                                    .max_tokens = params->max_tokens,
                                                    .stop_tokens = llm->vocab.stop_tokens,
                                                    .n_stop_tokens = llm->vocab.n_stop_tokens,
                                                    .on_token = on_token,
                                                    .user = &c};
    memset(out, 0, sizeof *out);
    out->n_prompt = n;
    out->seed = params->sampling.seed;
    const size_t piece_bytes = tokenizer_max_token_bytes(llm->vocab.tokenizer) + 16;
    c.piece = mem_alloc(piece_bytes);
    if (c.piece == NULL) return err_memory("the answer", piece_bytes);
    const bool soft = term_interrupt_soft(true);
    term_interrupt_target(llm->session);
    TRY(feed(llm, prompt, n));
    TRY(pumice_session_generate(llm->session, &generate, &out->result));
    TRY(c.status);
    (void)add_text(&c, decoder_finish(&c.decoder, c.piece));
    TRY(c.status);
fail:
    term_interrupt_target(NULL);
    (void)term_interrupt_soft(soft);
    mem_free(c.piece);
    pumice_session_get_stats(llm->session, &out->stats);
    out->hash = pumice_session_logits_hash(llm->session);
    return st;
}

void answer_fini(struct answer *a)
{
    ids_fini(&a->ids);
    mem_free(a->text);
    memset(a, 0, sizeof *a);
}

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
    term_say("%-28s %10s %12s %7s %9s", "op", "calls", "total ms", "%", "GB/s");
    for (size_t i = 0; i < n; i++)
        term_say("%-28s %10llu %12.3f %7.2f %9.2f", rows[i].op, (unsigned long long)rows[i].calls,
                 (double)rows[i].ns / 1e6, total_ns > 0 ? 100 * (double)rows[i].ns / (double)total_ns : 0,
                 rows[i].ns > 0 ? (double)rows[i].bytes / (double)rows[i].ns : 0);
    term_say("%-28s %10s %12.3f", "all", "", (double)total_ns / 1e6);
}
