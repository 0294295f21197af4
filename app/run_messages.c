/* run_messages: `pumice run --messages FILE`, one answer for each line of a JSONL file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"

/* The messages of a line as ids. Texts stay in the JSON value. */
static enum pumice_status encode_messages(const struct llm *llm, const cJSON *list, const char *system,
                                          struct ids *out)
{
    enum pumice_status st = PUMICE_OK;
    struct arena arena = {0};
    struct segment *segments = NULL;
    size_t n_segments = 0, n = 0;
    if (!cJSON_IsArray(list) || list->child == NULL)
        return err_set(PUMICE_ARGUMENT, "\"messages\" is not an array with at least one message");
    struct chat_message *messages =
        arena_alloc(&arena, (size_t)cJSON_GetArraySize(list) + 1, sizeof *messages);
    if (messages == NULL) return err_memory("the messages", 0);
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(item, "role");
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
        if (!cJSON_IsString(role) || !cJSON_IsString(content))
            TRY(err_set(PUMICE_ARGUMENT, "message %zu needs \"role\" and \"content\", both strings", n + 1));
        const struct str r = str_of(role->valuestring);
        if (!str_eqz(r, "system") && !str_eqz(r, "user") && !str_eqz(r, "assistant"))
            TRY(err_set(PUMICE_ARGUMENT,
                        "message %zu has the role '%.40s'; it may be system, user or assistant", n + 1,
                        r.data));
        if (n == 0 && system != NULL && system[0] != 0 && !str_eqz(r, "system"))
            messages[n++] = (struct chat_message){STR("system"), str_of(system)};
        messages[n++] = (struct chat_message){r, str_of(content->valuestring)};
    }
    if (!str_eqz(messages[n - 1].role, "user"))
        TRY(err_set(PUMICE_ARGUMENT, "the last message is the %s's; it must be the user's",
                    messages[n - 1].role.data));
    TRY(llm_begin(llm, out));
    TRY(chatml_render(&arena, messages, n, true, &segments, &n_segments));
    TRY(tokenizer_encode(llm->vocab.tokenizer, segments, n_segments, out));
fail:
    arena_fini(&arena);
    return st;
}

static enum pumice_status answer_line(struct llm *llm, const struct options *o, const char *line, size_t n,
                                      struct answer *a, cJSON **out)
{
    enum pumice_status st = PUMICE_OK;
    struct ids prompt = {0};
    size_t where = 0;
    cJSON *value = json_parse(line, n, &where), *result = NULL;
    const struct answer_params params = {.sampling = llm->sampling, .max_tokens = (uint32_t)o->max_tokens};
    if (value == NULL) TRY(err_set(PUMICE_ARGUMENT, "not JSON (byte %zu)", where + 1));
    if (!cJSON_IsObject(value)) TRY(err_set(PUMICE_ARGUMENT, "not a JSON object"));
    if (json_has_nul(line, n)) TRY(err_set(PUMICE_ARGUMENT, "a message holds a NUL character, \\u0000"));
    TRY(encode_messages(llm, cJSON_GetObjectItemCaseSensitive(value, "messages"), o->system, &prompt));
    TRY(answer_make(llm, prompt.data, prompt.n, &params, a));
    result = cJSON_CreateObject();
    cJSON *id = cJSON_DetachItemFromObjectCaseSensitive(value, "id");
    cJSON_AddItemToObject(result, "id", id != NULL ? id : cJSON_CreateNull());
    if (!json_add_text(result, "text", a->text != NULL ? a->text : "", a->n_text)) {
        cJSON_Delete(result);
        TRY(err_memory("the answer", a->n_text));
    }
    cJSON_AddStringToObject(result, "stop", pumice_stop_name(a->result.stop));
    cJSON_AddNumberToObject(result, "prompt_tokens", (double)a->n_prompt);
    cJSON_AddNumberToObject(result, "completion_tokens", a->result.n_tokens);
    *out = result;
fail:
    ids_fini(&prompt);
    cJSON_Delete(value);
    return st;
}

static cJSON *error_json(size_t number)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "line", (double)number);
    (void)json_add_text(o, "error", pumice_error(), strlen(pumice_error()));
    return o;
}

static int answer_lines(struct llm *llm, const struct options *o, FILE *from)
{
    char *line = NULL;
    size_t capacity = 0, number = 0, n_bad = 0;
    ssize_t n = 0;
    enum pumice_status st = PUMICE_OK;
    while (st == PUMICE_OK && term_interrupts() == 0 && (n = getline(&line, &capacity, from)) >= 0) {
        struct answer a = {0};
        cJSON *out = NULL;
        number++;
        if (strspn(line, " \t\r\n") == (size_t)n) continue;
        st = answer_line(llm, o, line, (size_t)n, &a, &out);
        if (st == PUMICE_OK && o->stats) report_stats(llm, &a);
        answer_fini(&a);
        if (st == PUMICE_CANCELLED) break;
        if (st != PUMICE_OK) {
            out = error_json(number);
            n_bad++;
        }
        st = json_print_line(out);
    }
    const bool failed = n < 0 && ferror(from);
    free(line);
    if (st != PUMICE_OK) return command_fail(st);
    if (term_interrupts() > 0) return EXIT_CODE_INTERRUPT;
    if (failed)
        return command_fail(err_set(PUMICE_IO, "%s cannot be read: %s", o->messages, strerror(errno)));
    if (n_bad > 0) term_error("%zu of the lines failed; see the \"error\" objects in the output", n_bad);
    return n_bad > 0 ? EXIT_CODE_FAILURE : EXIT_CODE_OK;
}

int command_run_messages(const struct options *o)
{
    struct llm llm;
    FILE *from = stdin;
    if (o->prompt != NULL || o->file != NULL || o->raw)
        return command_usage("--messages does not go with -p, -f or --raw");
    if (strcmp(o->messages, "-") != 0) {
        from = fopen(o->messages, "r");
        if (from == NULL)
            return command_fail(err_set(PUMICE_IO, "%s cannot be opened: %s", o->messages, strerror(errno)));
    }
    enum pumice_status st = llm_open(o, LLM_VOCAB | LLM_SESSION | LLM_BANNER, &llm);
    const int code = st == PUMICE_OK ? answer_lines(&llm, o, from) : command_fail(st);
    if (st == PUMICE_OK && o->perf) report_perf(&llm);
    llm_close(&llm);
    if (from != stdin) fclose(from);
    return code;
}
