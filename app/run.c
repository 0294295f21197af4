/* run: `pumice run`, one answer to one text. */
#include <stdio.h>
#include <string.h>

#include "app/buffer.h"
#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"
#include "runtime/platform.h"

static bool on_text(void *user, const char *text, size_t n)
{
    (void)user;
    return term_answer(text, n);
}

static enum pumice_status make_prompt(const struct llm *llm, const struct options *o, struct ids *out)
{
    enum pumice_status st = PUMICE_OK;
    struct prompt prompt = {0};
    size_t n = 0;
    char *text = NULL, *messages = NULL;
    TRY(llm_read_text(o, &text, &n));
    if (o->raw) {
        TRY(llm_encode_raw(llm, text, n, out));
        if (out->n == 0) TRY(err_set(PUMICE_ARGUMENT, "the text is empty"));
    } else {
        if (o->file != NULL) n = text_of_file(text, n);
        TRY(llm_messages_json(o, text, n, &messages));
        const struct prompt_request request = {.messages_json = str_of(messages), .answer_next = true};
        TRY(prompt_make(&llm->format, &request, &prompt));
        *out = prompt.ids;
        prompt.ids = (struct ids){0};
    }
fail:
    mem_free(text);
    mem_free(messages);
    prompt_fini(&prompt);
    return st;
}

static enum pumice_status print_json(const struct llm *llm, const struct answer *a)
{
    char hash[20], seed[24];
    struct pumice_engine_info info;
    const struct pumice_session_stats *s = &a->stats;
    cJSON *o = cJSON_CreateObject();
    pumice_engine_get_info(llm->engine, &info);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)a->hash);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)a->seed); /* a double would round it */
    if (!json_add_text(o, "text", a->text, a->n_text)) {
        cJSON_Delete(o);
        return err_memory("the answer", a->n_text);
    }
    cJSON_AddStringToObject(o, "stop", pumice_stop_name(a->result.stop));
    cJSON *usage = cJSON_AddObjectToObject(o, "usage");
    cJSON_AddNumberToObject(usage, "prompt_tokens", (double)a->n_prompt);
    cJSON_AddNumberToObject(usage, "completion_tokens", a->result.n_tokens);
    cJSON *timings = cJSON_AddObjectToObject(o, "timings");
    cJSON_AddNumberToObject(timings, "load_ms", (double)info.load_ns / 1e6);
    cJSON_AddNumberToObject(timings, "prefill_ms", (double)s->prefill_ns / 1e6);
    cJSON_AddNumberToObject(timings, "prefill_tokens_per_s", report_rate(s->prefill_tokens, s->prefill_ns));
    cJSON_AddNumberToObject(timings, "decode_ms", (double)s->decode_ns / 1e6);
    cJSON_AddNumberToObject(timings, "decode_tokens_per_s", report_rate(s->decode_tokens, s->decode_ns));
    cJSON_AddStringToObject(o, "hash", hash);
    cJSON_AddRawToObject(o, "seed", seed);
    (void)json_add_text(o, "device", info.device.name, strlen(info.device.name));
    cJSON_AddNumberToObject(o, "device_bytes", (double)info.device_bytes);
    return json_print_line(o);
}

int command_run(const struct options *o)
{
    struct llm llm;
    struct ids prompt = {0};
    struct answer a = {0};
    int code = EXIT_CODE_OK;
    const int n_texts = (o->prompt != NULL) + (o->file != NULL);
    if (n_texts != 1)
        return command_usage("run wants %s of -p TEXT, -f FILE and --jsonl FILE",
                             n_texts == 0 ? "one" : "only one");
    if (o->batch_out != NULL && strcmp(o->batch_out, "json") != 0 && strcmp(o->batch_out, "text") != 0)
        return command_usage("--output is text or json here (a file only with --jsonl), not '%s'", o->batch_out);
    const bool json = o->json || (o->batch_out != NULL && strcmp(o->batch_out, "json") == 0);
    if (o->raw && (o->chat_template != NULL || o->trust_special || o->no_thinking))
        return command_usage("--template, --trust-special and --no-thinking have no place with --raw");
    if (o->raw && o->system != NULL)
        return command_usage("--system has no place in --raw text; write it into the text");
    enum pumice_status st = llm_open(o, LLM_VOCAB | LLM_SESSION | LLM_BANNER | (o->raw ? 0 : LLM_FORMAT), &llm);
    if (st != PUMICE_OK) goto fail;
    TRY(make_prompt(&llm, o, &prompt));
    const struct answer_params params = {
        .sampling = llm.sampling, .max_tokens = (uint32_t)o->max_tokens, .on_text = json ? NULL : on_text};
    TRY(answer_make(&llm, prompt.data, prompt.n, &params, &a));
    if (json)
        TRY(print_json(&llm, &a));
    else if (a.n_text == 0 || a.text[a.n_text - 1] != '\n')
        putchar('\n');
    if (a.result.stop == PUMICE_STOP_CONTEXT)
        term_note("the answer was cut: the context of %u tokens is full (-c makes it larger)",
                  pumice_session_capacity(llm.session));
    if (o->stats) report_stats(&llm, &a);
    if (o->perf) report_perf(&llm);
    if (a.result.stop == PUMICE_STOP_CANCELLED && term_interrupts() > 0) code = EXIT_CODE_INTERRUPT;
fail:
    if (st != PUMICE_OK) code = command_fail(st);
    answer_fini(&a);
    ids_fini(&prompt);
    llm_close(&llm);
    return code;
}
