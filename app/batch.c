/* batch: `pumice run --jsonl FILE`, one answer for each line of requests. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/buffer.h"
#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/reply.h"
#include "app/term.h"
#include "runtime/platform.h"

struct batch {
    struct llm llm;
    const struct options *o;
    FILE *in, *out;
    size_t number;  /* of the line, from 1 */
    size_t n_lines; /* requests in the file; 0 when that is not known beforehand */
    size_t n_done;  /* requests answered, in this run and in earlier ones */
    size_t n_bad;   /* of these: failed */
    uint64_t noted_ns;
};

/* --- a request ----------------------------------------------------------------------------------------------------- */

enum member_kind { MEMBER_OTHER, MEMBER_REAL, MEMBER_UINT };
static const struct member {
    const char *name;
    enum member_kind kind;
    double max;
} members[] = {{"id", MEMBER_OTHER, 0},           {"prompt", MEMBER_OTHER, 0},
               {"messages", MEMBER_OTHER, 0},     {"system", MEMBER_OTHER, 0},
               {"tools", MEMBER_OTHER, 0},        {"enable_thinking", MEMBER_OTHER, 0},
               {"max_tokens", MEMBER_UINT, 1e7},  {"temperature", MEMBER_REAL, 100},
               {"top_k", MEMBER_UINT, 1e7},       {"top_p", MEMBER_REAL, 1},
               {"min_p", MEMBER_REAL, 1},         {"seed", MEMBER_UINT, 9007199254740992.0}};

/* Numbers in range; a name that is nearly a known one is a slip. */
static enum pumice_status check_members(const cJSON *value)
{
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        const struct member *known = NULL, *near = NULL;
        for (size_t i = 0; i < COUNT_OF(members); i++) {
            if (strcmp(item->string, members[i].name) == 0) known = &members[i];
            if (strlen(item->string) > 3 && edit_distance(item->string, members[i].name) <= 2) near = &members[i];
        }
        if (known == NULL && near != NULL)
            return err_set(PUMICE_ARGUMENT, "\"%.40s\" is unknown; did you mean \"%s\"?", item->string, near->name);
        if (known == NULL || known->kind == MEMBER_OTHER) continue;
        const double x = item->valuedouble;
        if (!cJSON_IsNumber(item) || !(x >= 0 && x <= known->max))
            return err_set(PUMICE_ARGUMENT, "\"%s\" wants a number from 0 to %.0f", known->name, known->max);
        if (known->kind == MEMBER_UINT && x != (double)(uint64_t)x)
            return err_set(PUMICE_ARGUMENT, "\"%s\" wants a whole number", known->name);
    }
    return PUMICE_OK;
}

static double number(const cJSON *value, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(value, name);
    return item != NULL ? item->valuedouble : otherwise;
}

static struct answer_params answer_params_of(const struct batch *b, const cJSON *value)
{
    struct answer_params p = {.sampling = b->llm.sampling};
    p.max_tokens = (uint32_t)number(value, "max_tokens", (double)b->o->max_tokens);
    p.sampling.temperature = (float)number(value, "temperature", (double)p.sampling.temperature);
    p.sampling.top_k = (uint32_t)number(value, "top_k", p.sampling.top_k);
    p.sampling.top_p = (float)number(value, "top_p", (double)p.sampling.top_p);
    p.sampling.min_p = (float)number(value, "min_p", (double)p.sampling.min_p);
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(value, "seed");
    if (seed != NULL) p.sampling.seed = (uint64_t)seed->valuedouble;
    return p;
}

/* The messages as JSON text, mem_alloc'ed: the line's own, byte for byte, or its "prompt" as one message; with the
 * system message of the line or of the command line in front if they have none. */
static enum pumice_status messages_of(const struct batch *batch, const cJSON *value, const char *line, size_t n, char **out)
{
    struct buffer b = {0};
    struct str messages = {NULL, 0}, prompt = {NULL, 0}, system = {NULL, 0};
    const char *given = batch->o->system;
    size_t n_out = 0;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(value, "messages");
    const bool has_messages = json_member(line, n, "messages", &messages), has_prompt = json_member(line, n, "prompt", &prompt);
    const bool has_system = json_member(line, n, "system", &system);
    if (has_messages == has_prompt)
        return err_set(PUMICE_ARGUMENT, has_prompt ? "there are both \"prompt\" and \"messages\"; keep one"
                                                   : "there is neither \"prompt\" nor \"messages\"");
    if (has_messages && (!cJSON_IsArray(list) || list->child == NULL))
        return err_set(PUMICE_ARGUMENT, "\"messages\" is not an array with at least one message");
    if (has_prompt && !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(value, "prompt")))
        return err_set(PUMICE_ARGUMENT, "\"prompt\" is not a string");
    if (has_system && !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(value, "system")))
        return err_set(PUMICE_ARGUMENT, "\"system\" is not a string");
    const cJSON *first = has_messages ? cJSON_GetObjectItemCaseSensitive(list->child, "role") : NULL;
    const bool own = cJSON_IsString(first) && strcmp(first->valuestring, "system") == 0;
    buffer_addz(&b, "[");
    if (!own && (has_system || (given != NULL && given[0] != 0))) {
        buffer_addz(&b, "{\"role\":\"system\",\"content\":");
        if (has_system)
            buffer_add(&b, system.data, system.n);
        else
            buffer_json_text(&b, str_of(given));
        buffer_addz(&b, "},");
    }
    if (has_messages) {
        buffer_add(&b, messages.data + 1, messages.n - 1); /* after its bracket */
    } else {
        buffer_addz(&b, "{\"role\":\"user\",\"content\":");
        buffer_add(&b, prompt.data, prompt.n);
        buffer_addz(&b, "}]");
    }
    return buffer_take(&b, "the messages", out, &n_out);
}

/* The id of a request (null: it has none), byte for byte: a double would change large numbers. */
static enum pumice_status id_of(const char *line, size_t n, cJSON **out)
{
    enum pumice_status st = PUMICE_OK;
    struct arena arena = {0};
    struct buffer b = {0};
    struct json value;
    struct str id = STR("null");
    char *text = NULL;
    size_t n_text = 0;
    (void)json_member(line, n, "id", &id);
    TRY(json_parse(id, "\"id\"", &arena, &value)); /* cJSON takes more than JSON, such as 01 */
    buffer_add(&b, id.data, id.n);
    TRY(buffer_take(&b, "an id", &text, &n_text));
    *out = cJSON_CreateRaw(text);
    if (*out == NULL) TRY(err_memory("an id", n_text));
fail:
    mem_free(text);
    arena_fini(&arena);
    return st;
}

static enum pumice_status add_answer(cJSON *o, const struct answer *a)
{
    const struct str text = {a->text, a->n_text};
    cJSON *usage = NULL;
    if (!json_add_text(o, "text", text.data, text.n) || !reply_add_json(o, text) ||
        cJSON_AddStringToObject(o, "stop", pumice_stop_name(a->result.stop)) == NULL ||
        (usage = cJSON_AddObjectToObject(o, "usage")) == NULL)
        return err_memory("the answer", a->n_text);
    cJSON_AddNumberToObject(usage, "prompt_tokens", (double)a->n_prompt);
    cJSON_AddNumberToObject(usage, "completion_tokens", a->result.n_tokens);
    cJSON_AddNumberToObject(usage, "cached_tokens", (double)(a->n_prompt - MIN(a->stats.prefill_tokens, a->n_prompt)));
    return PUMICE_OK;
}

static enum pumice_status answer_line(struct batch *b, const char *line, size_t n, cJSON **out)
{
    enum pumice_status st = PUMICE_OK;
    struct prompt prompt = {0};
    struct answer a = {0};
    size_t where = 0;
    char *messages = NULL;
    cJSON *value = json_read(line, n, &where), *result = NULL, *id = NULL;
    if (value == NULL) TRY(err_set(PUMICE_ARGUMENT, "not JSON (byte %zu)", where + 1));
    if (!cJSON_IsObject(value)) TRY(err_set(PUMICE_ARGUMENT, "not a JSON object"));
    TRY(check_members(value));
    TRY(id_of(line, n, &id));
    TRY(messages_of(b, value, line, n, &messages));
    struct prompt_request request = {.messages_json = str_of(messages), .answer_next = true};
    (void)json_member(line, n, "tools", &request.tools_json);
    const cJSON *thinking = cJSON_GetObjectItemCaseSensitive(value, "enable_thinking");
    if (thinking != NULL)
        request.extra_json = cJSON_IsTrue(thinking) ? STR("{\"enable_thinking\":true}") : STR("{\"enable_thinking\":false}");
    TRY(prompt_make(&b->llm.format, &request, &prompt));
    const struct answer_params params = answer_params_of(b, value);
    TRY(answer_make(&b->llm, prompt.ids.data, prompt.ids.n, &params, &a));
    if (a.result.stop == PUMICE_STOP_CANCELLED && b->o->batch_out != NULL) TRY(PUMICE_CANCELLED); /* it comes again */
    if (b->o->stats) report_stats(&b->llm, &a);
    result = cJSON_CreateObject();
    if (result == NULL || !cJSON_AddItemToObject(result, "id", id)) TRY(err_memory("the answer", a.n_text));
    id = NULL;
    TRY(add_answer(result, &a));
    *out = result;
    result = NULL;
fail:
    cJSON_Delete(result);
    cJSON_Delete(id);
    answer_fini(&a);
    prompt_fini(&prompt);
    mem_free(messages);
    cJSON_Delete(value);
    return st;
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

static bool blank(const char *line, size_t n)
{
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", line[i]) != NULL && line[i] != 0) i++;
    return i == n;
}

/* The next request; false at the end. */
static bool next_line(struct batch *b, char **line, size_t *capacity, size_t *n)
{
    ssize_t got = 0;
    do {
        got = getline(line, capacity, b->in);
        b->number++;
    } while (got >= 0 && blank(*line, (size_t)got));
    *n = got >= 0 ? (size_t)got : 0;
    return got >= 0;
}

/* How many requests a plain file has, for the progress line. */
static void count_lines(struct batch *b)
{
    char *line = NULL;
    size_t capacity = 0, n = 0;
    if (b->in == stdin || fseek(b->in, 0, SEEK_SET) != 0) return;
    while (next_line(b, &line, &capacity, &n)) b->n_lines++;
    free(line);
    rewind(b->in);
    b->number = 0;
}

/* Written alike, or of the same value (other programs space and escape otherwise), where a double keeps it. */
static bool same_id(const char *request, size_t n_request, const cJSON *id, const char *answer, size_t n_answer, const cJSON *old_id)
{
    struct str a = {NULL, 0}, b = {NULL, 0};
    if (!json_member(answer, n_answer, "id", &b)) return false;
    if (!json_member(request, n_request, "id", &a)) return cJSON_IsNull(old_id);
    if (a.n == b.n && memcmp(a.data, b.data, a.n) == 0) return true;
    return cJSON_IsNumber(id) && cJSON_IsNumber(old_id)
               ? id->valuedouble == old_id->valuedouble && fabs(id->valuedouble) < 9007199254740992.0
               : cJSON_Compare(id, old_id, true);
}

/* One line of an earlier output belongs to the next request: the same id, or an error for its line (*failed). */
static enum pumice_status check_answered(const struct batch *b, const char *request, size_t n_request, const char *answer,
                                         size_t n_answer, bool *failed)
{
    size_t where = 0;
    cJSON *old = json_read(answer, n_answer, &where), *value = json_read(request, n_request, &where);
    const cJSON *line = cJSON_GetObjectItemCaseSensitive(old, "line");
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(value, "id"), *old_id = cJSON_GetObjectItemCaseSensitive(old, "id");
    const bool same = cJSON_IsObject(old) &&
                      (line != NULL ? cJSON_IsNumber(line) && line->valuedouble == (double)b->number
                                    : same_id(request, n_request, id, answer, n_answer, old_id));
    *failed = line != NULL;
    cJSON_Delete(old);
    cJSON_Delete(value);
    return same ? PUMICE_OK
                : err_set(PUMICE_ARGUMENT, "%s does not begin with the answers to %s (they differ at line %zu of the requests); "
                                           "delete it or name another file", b->o->batch_out, b->o->batch, b->number);
}

/* Skips the requests that the output has answers for, and cuts off a last line that was not written whole. What failed is
 * not tried again, as the answers are in the order of the requests: it counts as failed in this run, too. */
static enum pumice_status resume(struct batch *b)
{
    enum pumice_status st = PUMICE_OK;
    char *answer = NULL, *request = NULL;
    size_t answer_capacity = 0, request_capacity = 0, n_request = 0;
    ssize_t n = 0;
    off_t whole = 0;
    struct stat in, out;
    if (fstat(fileno(b->in), &in) == 0 && fstat(fileno(b->out), &out) == 0 && in.st_dev == out.st_dev &&
        in.st_ino == out.st_ino)
        return err_set(PUMICE_ARGUMENT, "--output is the file of the requests; name another");
    while ((n = getline(&answer, &answer_capacity, b->out)) > 0 && answer[n - 1] == '\n') {
        if (!next_line(b, &request, &request_capacity, &n_request))
            TRY(err_set(PUMICE_ARGUMENT, "%s has more lines than %s; delete it or name another file", b->o->batch_out,
                        b->o->batch));
        bool failed = false;
        TRY(check_answered(b, request, n_request, answer, (size_t)n, &failed));
        whole += n;
        b->n_done++;
        b->n_bad += failed;
    }
    if (ferror(b->out) || fflush(b->out) != 0 || ftruncate(fileno(b->out), whole) != 0 || fseek(b->out, 0, SEEK_END) != 0)
        TRY(err_set(PUMICE_IO, "%s cannot be continued: %s", b->o->batch_out, strerror(errno)));
    if (b->n_bad > 0)
        term_note("%s has %zu answers, %zu of them errors; going on after them (cut it before an error to try from there again)",
                  b->o->batch_out, b->n_done, b->n_bad);
    else if (b->n_done > 0)
        term_note("%s has %zu answers; going on after them", b->o->batch_out, b->n_done);
fail:
    free(answer);
    free(request);
    return st;
}

static enum pumice_status open_files(struct batch *b)
{
    b->in = stdin;
    b->out = stdout;
    if (strcmp(b->o->batch, "-") != 0) {
        b->in = fopen(b->o->batch, "r");
        if (b->in == NULL)
            return err_set(PUMICE_IO, "%s cannot be opened: %s; check the path", b->o->batch, strerror(errno));
        count_lines(b);
    }
    if (b->o->batch_out == NULL) return PUMICE_OK;
    b->out = fopen(b->o->batch_out, "a+");
    if (b->out == NULL)
        return err_set(PUMICE_IO, "%s cannot be written: %s; name another file", b->o->batch_out, strerror(errno));
    rewind(b->out);
    return resume(b);
}

/* --- the run --------------------------------------------------------------------------------------------------------- */

static void show_progress(struct batch *b)
{
    const uint64_t now = platform_now_ns();
    if (term_err()) {
        char what[96];
        snprintf(what, sizeof what, "request %zu", b->n_done + 1);
        if (b->n_lines > 0) term_progress(what, (double)b->n_done / (double)b->n_lines);
    } else if (now - b->noted_ns > 10000000000u) {
        if (b->n_lines > 0) term_note("%zu of %zu requests answered", b->n_done, b->n_lines);
        else term_note("%zu requests answered", b->n_done); /* standard input does not say how many there are */
        b->noted_ns = now;
    }
}

static enum pumice_status write_line(struct batch *b, cJSON *value)
{
    if (b->out == stdout) return json_print_line(value);
    char *line = value != NULL ? cJSON_PrintUnformatted(value) : NULL;
    cJSON_Delete(value);
    if (line == NULL) return err_set(PUMICE_MEMORY, "out of memory while writing an answer; close other programs");
    const bool ok = fputs(line, b->out) >= 0 && fputc('\n', b->out) != EOF && fflush(b->out) == 0;
    cJSON_free(line);
    return ok ? PUMICE_OK
              : err_set(PUMICE_IO, "%s cannot be written: %s; the same command goes on from there", b->o->batch_out,
                        strerror(errno));
}

static enum pumice_status answer_lines(struct batch *b)
{
    char *line = NULL;
    size_t capacity = 0, n = 0;
    enum pumice_status st = PUMICE_OK;
    while (st == PUMICE_OK && term_interrupts() == 0 && next_line(b, &line, &capacity, &n)) {
        cJSON *out = NULL;
        show_progress(b);
        st = answer_line(b, line, n, &out);
        if (st == PUMICE_CANCELLED || st == PUMICE_DEVICE) break; /* the line stays to be answered */
        if (st != PUMICE_OK) {
            out = json_line_error(b->number);
            b->n_bad++;
        }
        st = write_line(b, out);
        b->n_done++;
    }
    term_progress_end();
    free(line);
    if (st == PUMICE_OK && ferror(b->in)) st = err_set(PUMICE_IO, "%s cannot be read: %s", b->o->batch, strerror(errno));
    return st;
}

int command_batch(const struct options *o)
{
    struct batch b = {.o = o, .noted_ns = platform_now_ns()};
    int code = EXIT_CODE_OK;
    enum pumice_status st = PUMICE_OK;
    if (o->prompt != NULL || o->file != NULL || o->raw)
        return command_usage("--jsonl does not go with -p, -f or --raw");
    TRY(open_files(&b));
    TRY(llm_open(o, LLM_VOCAB | LLM_SESSION | LLM_BANNER | LLM_FORMAT, &b.llm));
    TRY(answer_lines(&b));
    if (b.n_bad > 0) term_error("%zu of the lines failed; see the \"error\" objects in the output", b.n_bad);
    if (o->perf) report_perf(&b.llm);
    code = term_interrupts() > 0 ? EXIT_CODE_INTERRUPT : b.n_bad > 0 ? EXIT_CODE_FAILURE : EXIT_CODE_OK;
fail:
    if (st != PUMICE_OK) code = command_fail(st);
    llm_close(&b.llm);
    if (b.in != NULL && b.in != stdin) fclose(b.in);
    if (b.out != NULL && b.out != stdout && fclose(b.out) != 0 && code == EXIT_CODE_OK)
        code = command_fail(err_set(PUMICE_IO, "%s cannot be written; the same command goes on from there", o->batch_out));
    return code;
}
