/* llm: opening a model on a device, with notes for the person. */
#include "app/llm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/buffer.h"
#include "app/embedded.h"
#include "app/term.h"
#include "runtime/platform.h"

#define TEXT_MAX_BYTES ((uint64_t)256 << 20)

static bool on_progress(void *user, const char *stage, float fraction)
{
    (void)user;
    const bool check = strcmp(stage, "check") == 0;
    const bool tune = strcmp(stage, "tune") == 0;
    term_progress(check ? "checking the device, once" : tune ? "tuning the kernels, once" : "loading the model", (double)fraction);
    return term_interrupts() == 0;
}

static void apply_options(struct llm *llm, const struct options *o)
{
    struct pumice_sampling *s = &llm->sampling;
    *s = pumice_model_sampling(llm->model);
    if (options_given(o, OPTION_TEMP)) s->temperature = (float)o->temp;
    if (options_given(o, OPTION_TOP_K)) s->top_k = (uint32_t)o->top_k;
    if (options_given(o, OPTION_TOP_P)) s->top_p = (float)o->top_p;
    if (options_given(o, OPTION_MIN_P)) s->min_p = (float)o->min_p;
    s->seed = 0;
    if (options_given(o, OPTION_SEED))
        s->seed = o->seed;
    else if (o->batch == NULL)
        s->seed = platform_random() >> 32; /* short enough to be typed again */
}

static void note_model(const struct llm *llm)
{
    if (llm->starter)
        term_note("pumice %s with its built-in model, a toy of %.1f million parameters; for real answers: "
                  "pumice -m "
                  "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
                  pumice_version(), (double)llm->info.n_params / 1e6);
}

static enum pumice_status open_format(const struct options *o, struct llm *llm)
{
    const enum pumice_status st = prompt_format_open(llm->model, &llm->vocab, o->chat_template, &llm->format);
    if (st != PUMICE_OK) return st;
    llm->format.trust_special = o->trust_special;
    llm->format.no_thinking = o->no_thinking;
    if (llm->format.missing) term_note("note: the model file has no chat template; the official ChatML is used");
    if (llm->format.missing && tokenizer_find(llm->vocab.tokenizer, STR("<|im_start|>")) < 0)
        term_note("note: its vocabulary has no <|im_start|>; it may not know that form");
    return PUMICE_OK;
}

static void note_device(const struct pumice_device_info *d, bool chosen_by_name)
{
    char memory[32];
    report_bytes(d->memory_bytes, memory, sizeof memory);
    if (d->kind == PUMICE_DEVICE_SOFTWARE)
        term_note("device %u: %s, %s", d->index, d->name,
                  chosen_by_name
                      ? "a software driver on the processor"
                      : "as no GPU was found: going on with this software driver, on the processor (--device cpu is faster there)");
    else if (d->kind == PUMICE_DEVICE_CPU)
        term_note("device cpu: %s, %s", d->name,
                  chosen_by_name ? "pumice's own processor back end"
                                 : "as there is no GPU that can be used: going on with the processor");
    else
        term_note("device %u: %s, %s", d->index, d->name, memory);
}

enum pumice_status llm_open_session(const struct options *o, struct llm *out)
{
    enum pumice_status st = PUMICE_OK;
    const struct pumice_engine_params engine = {.n_ctx = (uint32_t)o->ctx,
                                                .device = o->device,
                                                .validate = o->validate,
                                                .perf = o->perf || o->trace != NULL,
                                                .no_tune = o->no_tune,
                                                .n_threads = (uint32_t)o->threads,
                                                .kv = o->kv,
                                                .progress = on_progress};
    const struct pumice_session_params session = {.n_ctx = (uint32_t)o->ctx};
    const bool soft = term_interrupt_soft(true);
    TRY(pumice_engine_open(out->model, &engine, &out->engine));
    TRY(pumice_session_open(out->engine, &session, &out->session));
    pumice_engine_get_info(out->engine, &out->engine_info);
    if (term_interrupts() > 0) TRY(PUMICE_CANCELLED);
fail:
    (void)term_interrupt_soft(soft);
    term_progress_end();
    if (st == PUMICE_OK && out->engine_info.warning[0] != 0) term_say("warning: %s", out->engine_info.warning);
    if (st == PUMICE_OK) note_device(&out->engine_info.device, o->device != NULL && strcmp(o->device, "auto") != 0);
    if (st == PUMICE_CANCELLED) (void)err_set(st, "stopped while the model was loading");
    return st;
}

enum pumice_status llm_open(const struct options *o, unsigned needs, struct llm *out)
{
    enum pumice_status st = PUMICE_OK;
    memset(out, 0, sizeof *out);
    out->starter = o->model == NULL;
    if (out->starter) {
        const void *data = NULL;
        size_t n = 0;
        starter_get(&data, &n);
        TRY(pumice_model_open_memory(data, n, &out->model));
    } else {
        TRY(pumice_model_open(o->model, &out->model));
    }
    pumice_model_get_info(out->model, &out->info);
    apply_options(out, o);
    if (needs & LLM_VOCAB) TRY(vocab_open(out->model, &out->vocab));
    if (needs & LLM_BANNER) note_model(out);
    if (needs & LLM_FORMAT) TRY(open_format(o, out));
    if (needs & LLM_SESSION) TRY(llm_open_session(o, out));
fail:
    return st;
}

void llm_close(struct llm *llm)
{
    pumice_session_close(llm->session);
    pumice_engine_close(llm->engine);
    prompt_format_close(&llm->format);
    vocab_close(&llm->vocab);
    pumice_model_close(llm->model);
    memset(llm, 0, sizeof *llm);
}

/* To the end; pipes and devices as well as files. */
static enum pumice_status read_stream(FILE *from, const char *name, char **text, size_t *n)
{
    size_t capacity = 0;
    *text = NULL;
    *n = 0;
    for (;;) {
        if (capacity - *n < 65536) {
            capacity = capacity * 2 + 131072;
            char *more = mem_realloc(*text, capacity, 1);
            if (more == NULL) return err_memory(name, capacity);
            *text = more;
        }
        const size_t got = fread(*text + *n, 1, capacity - *n - 1, from);
        *n += got;
        if (got == 0) break;
        if (*n > TEXT_MAX_BYTES) return err_set(PUMICE_ARGUMENT, "%s is longer than 256 MiB", name);
    }
    if (ferror(from)) return err_set(PUMICE_IO, "%s cannot be read: %s", name, strerror(errno));
    (*text)[*n] = 0;
    return PUMICE_OK;
}

enum pumice_status llm_read_text(const struct options *o, char **text, size_t *n)
{
    *text = NULL;
    *n = 0;
    if (o->prompt != NULL) {
        *n = strlen(o->prompt);
        *text = mem_strdup(o->prompt);
        return *text != NULL ? PUMICE_OK : err_memory("the text", *n);
    }
    if (strcmp(o->file, "-") == 0) return read_stream(stdin, "standard input", text, n);
    FILE *from = fopen(o->file, "rb");
    if (from == NULL) return err_set(PUMICE_IO, "cannot open %s: %s; check the path", o->file, strerror(errno));
    const enum pumice_status st = read_stream(from, o->file, text, n);
    fclose(from);
    return st;
}

enum pumice_status llm_messages_json(const struct options *o, const char *text, size_t n, char **json)
{
    struct buffer b = {0};
    size_t n_json = 0;
    buffer_addz(&b, "[");
    if (o->system != NULL && o->system[0] != 0) {
        buffer_addz(&b, "{\"role\":\"system\",\"content\":");
        buffer_json_text(&b, str_of(o->system));
        buffer_addz(&b, "},");
    }
    buffer_addz(&b, "{\"role\":\"user\",\"content\":");
    buffer_json_text(&b, (struct str){text, n});
    buffer_addz(&b, "}]");
    return buffer_take(&b, "the message", json, &n_json);
}

enum pumice_status llm_encode_raw(const struct llm *llm, const char *text, size_t n, struct ids *out)
{
    const int32_t bos = tokenizer_bos(llm->vocab.tokenizer);
    const enum pumice_status st = bos >= 0 ? ids_append(out, bos) : PUMICE_OK;
    if (st != PUMICE_OK) return st;
    const uint64_t span = pumice_trace_begin();
    const enum pumice_status encoded = tokenizer_encode_text(llm->vocab.tokenizer, (struct str){text, n}, true, out);
    pumice_trace_end("tokenise", span);
    return encoded;
}

static bool on_prompt(void *user, size_t done, size_t total)
{
    (void)user;
    if (total > 256) term_progress("reading the prompt", (double)done / (double)total);
    if (done == total) term_progress_end(); /* the answer comes next */
    return term_interrupts() == 0;
}

static bool goes_on(void *user)
{
    (void)user;
    return term_interrupts() == 0;
}

enum pumice_status answer_make(struct llm *llm, const int32_t *prompt, size_t n, const struct answer_params *params,
                               struct answer *out)
{
    struct answer_params all = *params;
    all.on_prompt = on_prompt;
    all.goes_on = goes_on;
    const bool soft = term_interrupt_soft(true);
    term_interrupt_target(llm->session);
    const enum pumice_status st = answer_run(llm->session, &llm->vocab, prompt, n, &all, out);
    term_progress_end();
    term_interrupt_target(NULL);
    (void)term_interrupt_soft(soft);
    return st;
}
