/* bench: `pumice bench`, tokens a second as llama-bench counts them.
 *
 * A test is a number of prompt tokens (pp) or of generated tokens (tg), after `depth` tokens that are already in the
 * context. Each is run once to warm up, then `repetitions` times. Tokens are seeded random ids; generating is greedy and
 * counts forward passes. Beside llama-bench's figures: the time to the first token, cold (the first run, which records and
 * compiles what is not there yet) and warm, and how much of the device's measured bandwidth generating uses. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/buffer.h"
#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"
#include "runtime/platform.h"

enum { MAX_VALUES = 32, MAX_REPETITIONS = 1000 };
enum form { FORM_MD, FORM_CSV, FORM_JSON, FORM_JSONL };

struct list {
    uint32_t values[MAX_VALUES];
    size_t n;
};

struct test {
    uint32_t n_prompt, n_gen, n_depth;
    uint64_t ns[MAX_REPETITIONS]; /* [n] */
    size_t n;
    double avg_ns, stddev_ns, avg_ts, stddev_ts;
    double cold_ns, warm_ns; /* pp: to the first token, in the first run and on average in the others */
    double token_bytes;      /* tg: weights and KV cache that a token reads */
    char time[32];
};

struct bench {
    struct llm llm;
    const struct options *o;
    enum form form;
    struct list prompts, gens, depths;
    int32_t *tokens;
    struct pumice_ceilings ceilings; /* of the device; 0: not measured */
    struct buffer notes;             /* lines below the table */
    size_t n_shown;
};

/* "1,2,3" or "16-64*2" or "1-9+2", as llama-bench takes them. */
static bool parse_list(const char *text, struct list *out)
{
    out->n = 0;
    while (*text != 0) {
        char *end = NULL;
        unsigned long first = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0, last = first, by = 1;
        bool times = false;
        if (end == NULL) return false;
        if (*end == '-') last = strtoul(end + 1, &end, 10);
        if (*end == '+' || *end == '*') {
            times = *end == '*';
            by = strtoul(end + 1, &end, 10);
        }
        if ((*end != 0 && *end != ',') || last > 1 << 24 || by < (times ? 2 : 1) || (times && first == 0)) return false;
        for (; first <= last; first = times ? first * by : first + by) {
            if (out->n == MAX_VALUES) return false;
            out->values[out->n++] = (uint32_t)first;
        }
        if (*end == ',' && end[1] == 0) return false;
        text = *end == ',' ? end + 1 : end;
    }
    return out->n > 0;
}

static enum pumice_status parse_form(const char *text, enum form *out)
{
    static const char *const names[] = {"md", "csv", "json", "jsonl"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (text == NULL || strcmp(text, names[i]) == 0) {
            *out = (enum form)i;
            return PUMICE_OK;
        }
    return err_set(PUMICE_ARGUMENT, "--output is md, csv, json or jsonl, not '%s'", text);
}

/* --- measuring ------------------------------------------------------------------------------------------------------- */

/* n tokens more on top of `depth` of them; *ns: what that took, *first_ns: to the first token after a prompt. */
static enum pumice_status run_once(struct bench *b, const struct test *t, uint64_t *ns, uint64_t *first_ns)
{
    enum pumice_status st = PUMICE_OK;
    struct pumice_session *s = b->llm.session;
    const size_t depth = t->n_depth;
    const struct pumice_sampling greedy = {.temperature = 0};
    *first_ns = 0;
    if (term_interrupts() > 0) TRY(err_set(PUMICE_CANCELLED, "stopped")); /* it came between two calls of the session */
    if (depth > 0) TRY(pumice_session_sync(s, b->tokens, depth, NULL));
    TRY(pumice_session_rewind(s, depth));
    if (t->n_gen > 0) {
        const struct pumice_generate_params params = {.sampling = greedy, .max_tokens = t->n_gen + 1};
        struct pumice_generate_result result;
        struct pumice_session_stats stats;
        TRY(pumice_session_sync(s, b->tokens, depth + 1, NULL)); /* logits to begin with */
        TRY(pumice_session_generate(s, &params, &result));
        pumice_session_get_stats(s, &stats);
        if (stats.decode_tokens != t->n_gen)
            return err_set(PUMICE_CANCELLED, "generating stopped after %llu of %u tokens",
                           (unsigned long long)stats.decode_tokens, t->n_gen);
        *ns = stats.decode_ns;
    } else {
        const uint64_t begin = platform_now_ns();
        TRY(pumice_session_sync(s, b->tokens, depth + t->n_prompt, NULL));
        *ns = platform_now_ns() - begin;
        TRY(pumice_session_generate(s, &(struct pumice_generate_params){.sampling = greedy, .max_tokens = 1}, NULL));
        *first_ns = platform_now_ns() - begin;
    }
    TRY(pumice_session_rewind(s, depth));
fail:
    return st;
}

static void summarise(struct test *t)
{
    const double tokens = t->n_prompt + t->n_gen, n = (double)t->n;
    double ns2 = 0, ts2 = 0;
    t->avg_ns = t->avg_ts = 0;
    for (size_t i = 0; i < t->n; i++) {
        t->avg_ns += (double)t->ns[i] / n;
        t->avg_ts += tokens * 1e9 / (double)t->ns[i] / n;
    }
    for (size_t i = 0; i < t->n; i++) {
        const double ns = (double)t->ns[i] - t->avg_ns, ts = tokens * 1e9 / (double)t->ns[i] - t->avg_ts;
        ns2 += ns * ns;
        ts2 += ts * ts;
    }
    t->stddev_ns = n > 1 ? sqrt(ns2 / (n - 1)) : 0;
    t->stddev_ts = n > 1 ? sqrt(ts2 / (n - 1)) : 0;
}

static enum pumice_status run_test(struct bench *b, struct test *t)
{
    enum pumice_status st = PUMICE_OK;
    uint64_t ns = 0, first_ns = 0;
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    if (utc != NULL) strftime(t->time, sizeof t->time, "%Y-%m-%dT%H:%M:%SZ", utc);
    TRY(run_once(b, t, &ns, &first_ns));
    t->cold_ns = (double)first_ns;
    for (t->n = 0; t->n < b->o->repetitions; t->n++) {
        char what[64];
        snprintf(what, sizeof what, "%s%u at %u", t->n_gen > 0 ? "tg" : "pp", t->n_gen + t->n_prompt, t->n_depth);
        term_progress(what, (double)t->n / (double)b->o->repetitions);
        TRY(run_once(b, t, &t->ns[t->n], &first_ns));
        t->warm_ns += (double)first_ns / (double)b->o->repetitions;
    }
    summarise(t);
    struct pumice_session_stats stats;
    pumice_session_get_stats(b->llm.session, &stats);
    const double a_position = (double)stats.kv_bytes / pumice_session_capacity(b->llm.session);
    if (t->n_gen > 0) t->token_bytes = (double)b->llm.info.token_bytes + a_position * (t->n_depth + t->n_gen / 2.0);
fail:
    term_progress_end();
    return st;
}

/* --- printing -------------------------------------------------------------------------------------------------------- */

static const char *backend_name(const struct bench *b)
{
    return b->llm.engine_info.device.kind == PUMICE_DEVICE_CPU ? "CPU" : "Vulkan";
}

static const char *model_type(const struct bench *b, char *out, size_t n)
{
    snprintf(out, n, "%s %s", b->llm.info.architecture, b->llm.info.type);
    return out;
}

static const char *model_file(const struct bench *b)
{
    return b->o->model != NULL ? b->o->model : "(built-in)";
}

static double gb_per_s(const struct test *t)
{
    return t->token_bytes * t->avg_ts / 1e9;
}

/* Of the device's bandwidth; 0 where that is not known. */
static double bandwidth_share(const struct bench *b, const struct test *t)
{
    return b->ceilings.bytes_per_s > 0 ? gb_per_s(t) * 1e9 / b->ceilings.bytes_per_s : 0;
}

/* llama-bench's names, so that scripts for it can read this. */
static cJSON *test_json(const struct bench *b, const struct test *t)
{
    char type[96];
    struct pumice_engine_info engine;
    struct pumice_session_stats stats;
    const double tokens = t->n_prompt + t->n_gen;
    pumice_engine_get_info(b->llm.engine, &engine);
    pumice_session_get_stats(b->llm.session, &stats);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "build_commit", "pumice");
    cJSON_AddStringToObject(o, "build_number", pumice_version());
    (void)json_add_text(o, engine.device.kind == PUMICE_DEVICE_CPU ? "cpu_info" : "gpu_info", engine.device.name,
                        strlen(engine.device.name));
    (void)json_add_text(o, "driver", engine.device.driver, strlen(engine.device.driver));
    cJSON_AddStringToObject(o, "vulkan", engine.device.api);
    cJSON_AddStringToObject(o, "backends", backend_name(b));
    (void)json_add_text(o, "model_filename", model_file(b), strlen(model_file(b)));
    cJSON_AddStringToObject(o, "model_type", model_type(b, type, sizeof type));
    cJSON_AddNumberToObject(o, "model_size", (double)b->llm.info.weight_bytes);
    cJSON_AddNumberToObject(o, "model_n_params", (double)b->llm.info.n_params);
    cJSON_AddNumberToObject(o, "n_threads", b->o->threads > 0 ? (double)b->o->threads : platform_cpu_count());
    cJSON_AddStringToObject(o, "type_k", pumice_kv_name(b->o->kv));
    cJSON_AddStringToObject(o, "type_v", pumice_kv_name(b->o->kv));
    cJSON_AddNumberToObject(o, "n_prompt", t->n_prompt);
    cJSON_AddNumberToObject(o, "n_gen", t->n_gen);
    cJSON_AddNumberToObject(o, "n_depth", t->n_depth);
    cJSON_AddStringToObject(o, "test_time", t->time);
    cJSON_AddNumberToObject(o, "avg_ns", floor(t->avg_ns + 0.5));
    cJSON_AddNumberToObject(o, "stddev_ns", floor(t->stddev_ns + 0.5));
    cJSON_AddNumberToObject(o, "avg_ts", t->avg_ts);
    cJSON_AddNumberToObject(o, "stddev_ts", t->stddev_ts);
    cJSON *ns = cJSON_AddArrayToObject(o, "samples_ns"), *ts = cJSON_AddArrayToObject(o, "samples_ts");
    for (size_t i = 0; i < t->n; i++) {
        cJSON_AddItemToArray(ns, cJSON_CreateNumber((double)t->ns[i]));
        cJSON_AddItemToArray(ts, cJSON_CreateNumber(tokens * 1e9 / (double)t->ns[i]));
    }
    cJSON_AddNumberToObject(o, "load_ns", (double)engine.load_ns);
    cJSON_AddNumberToObject(o, "device_bytes", (double)engine.device_bytes);
    cJSON_AddNumberToObject(o, "kv_bytes", (double)stats.kv_bytes);
    cJSON_AddNumberToObject(o, "ttft_cold_ns", t->cold_ns);
    cJSON_AddNumberToObject(o, "ttft_warm_ns", floor(t->warm_ns + 0.5));
    cJSON_AddNumberToObject(o, "token_bytes", floor(t->token_bytes + 0.5));
    cJSON_AddNumberToObject(o, "gb_per_s", gb_per_s(t));
    cJSON_AddNumberToObject(o, "device_gb_per_s", b->ceilings.bytes_per_s / 1e9);
    cJSON_AddNumberToObject(o, "bandwidth_share", bandwidth_share(b, t));
    return o;
}

/* What the table has no column for. */
static void add_note(struct bench *b, const struct test *t, const char *name)
{
    char share[64] = "";
    if (b->ceilings.bytes_per_s > 0)
        snprintf(share, sizeof share, ", %.0f %% of the %.1f GB/s of a copy", 100 * bandwidth_share(b, t), b->ceilings.bytes_per_s / 1e9);
    if (t->n_gen > 0)
        buffer_printf(&b->notes, "%s: %.3f GB a token, %.1f GB/s%s\n", name, t->token_bytes / 1e9, gb_per_s(t), share);
    else
        buffer_printf(&b->notes, "%s: first token after %.3f s, cold %.3f s\n", name, t->warm_ns / 1e9, t->cold_ns / 1e9);
}

static void print_md(struct bench *b, const struct test *t)
{
    char size[32], name[64], depth[24] = "", type[96];
    const double params = (double)b->llm.info.n_params;
    const bool small = params < 1e9;
    report_bytes(b->llm.info.weight_bytes, size, sizeof size);
    if (b->n_shown == 0)
        printf("| %-24s | %10s | %8s | %-8s | %15s | %20s |\n| %.24s | ---------: | -------: | -------- | --------------: | "
               "-------------------: |\n",
               "model", "size", "params", "backend", "test", "t/s", "------------------------");
    if (t->n_depth > 0) snprintf(depth, sizeof depth, " @ d%u", t->n_depth);
    snprintf(name, sizeof name, "%s%u%s", t->n_gen > 0 ? "tg" : "pp", t->n_gen + t->n_prompt, depth);
    printf("| %-24s | %10s | %6.2f %s | %-8s | %15s | %11.2f ± %6.2f |\n", model_type(b, type, sizeof type), size,
           params / (small ? 1e6 : 1e9), small ? "M" : "B", backend_name(b), name, t->avg_ts, t->stddev_ts);
    add_note(b, t, name);
}

/* The fields of the JSON form, without the samples. */
static void print_csv(const struct bench *b, const struct test *t)
{
    cJSON *o = test_json(b, t);
    for (int line = b->n_shown == 0 ? 0 : 1; line < 2; line++) {
        const char *between = "";
        for (const cJSON *item = o->child; item != NULL; item = item->next) {
            if (cJSON_IsArray(item)) continue;
            if (line == 0)
                printf("%s%s", between, item->string);
            else if (cJSON_IsString(item)) {
                printf("%s\"", between);
                for (const char *c = item->valuestring; *c != 0; c++) printf(*c == '"' ? "\"\"" : "%c", *c);
                putchar('"');
            } else
                printf("%s\"%.10g\"", between, item->valuedouble);
            between = ",";
        }
        putchar('\n');
    }
    cJSON_Delete(o);
}

static enum pumice_status print_test(struct bench *b, const struct test *t)
{
    enum pumice_status st = PUMICE_OK;
    if (b->form == FORM_MD) print_md(b, t);
    if (b->form == FORM_CSV) print_csv(b, t);
    if (b->form == FORM_JSON) fputs(b->n_shown == 0 ? "[\n" : ",\n", stdout);
    if (b->form == FORM_JSONL || b->form == FORM_JSON) {
        cJSON *o = test_json(b, t);
        char *text = b->form == FORM_JSON ? cJSON_Print(o) : cJSON_PrintUnformatted(o);
        cJSON_Delete(o);
        if (text == NULL) return err_set(PUMICE_MEMORY, "out of memory while writing a result; close other programs");
        fputs(text, stdout);
        if (b->form == FORM_JSONL) putchar('\n');
        cJSON_free(text);
    }
    b->n_shown++;
    if (b->notes.failed) return err_memory("the notes", b->notes.n);
    if (fflush(stdout) != 0) st = err_set(PUMICE_IO, "standard output cannot be written");
    return st;
}

static void print_rest(const struct bench *b)
{
    struct pumice_engine_info engine;
    struct pumice_session_stats stats;
    char device[32], kv[32], day[32] = "";
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    pumice_engine_get_info(b->llm.engine, &engine);
    pumice_session_get_stats(b->llm.session, &stats);
    report_bytes(engine.device_bytes, device, sizeof device);
    report_bytes(stats.kv_bytes, kv, sizeof kv);
    if (utc != NULL) strftime(day, sizeof day, "%Y-%m-%d", utc);
    printf("\n%s, driver %s, Vulkan %s; pumice %s, %s\n", engine.device.name, engine.device.driver,
           engine.device.api[0] != 0 ? engine.device.api : "none", pumice_version(), day);
    printf("load %.2f s, device memory %s (KV %s, %s)\n", (double)engine.load_ns / 1e9, device, kv, pumice_kv_name(b->o->kv));
    fwrite(b->notes.data, 1, b->notes.n, stdout);
}

/* --- the run ----------------------------------------------------------------------------------------------------------- */

/* What was measured stands whole, also when Ctrl-C or a failure ends the run. */
static enum pumice_status run_all(struct bench *b)
{
    enum pumice_status st = PUMICE_OK;
    const bool soft = term_interrupt_soft(true);
    term_interrupt_target(b->llm.session);
    static struct test t; /* large; one bench a program */
    for (size_t d = 0; d < b->depths.n; d++)
        for (int gen = 0; gen < 2; gen++) {
            const struct list *list = gen ? &b->gens : &b->prompts;
            for (size_t i = 0; i < list->n; i++) {
                if (list->values[i] == 0) continue;
                t = (struct test){.n_depth = b->depths.values[d]};
                *(gen ? &t.n_gen : &t.n_prompt) = list->values[i];
                TRY(run_test(b, &t));
                TRY(print_test(b, &t));
            }
        }
fail:
    term_interrupt_target(NULL);
    (void)term_interrupt_soft(soft);
    if (b->form == FORM_JSON) puts(b->n_shown > 0 ? "\n]" : "[]");
    if (b->form == FORM_MD && b->n_shown > 0) print_rest(b);
    return st;
}

static uint32_t largest(const struct list *list)
{
    uint32_t most = 0;
    for (size_t i = 0; i < list->n; i++) most = MAX(most, list->values[i]);
    return most;
}

int command_bench(const struct options *given)
{
    struct options own = *given;
    struct bench b = {.o = &own};
    int code = EXIT_CODE_OK;
    enum pumice_status st = PUMICE_OK;
    if (!parse_list(own.n_prompt != NULL ? own.n_prompt : "512", &b.prompts) ||
        !parse_list(own.n_gen != NULL ? own.n_gen : "128", &b.gens) ||
        !parse_list(own.n_depth != NULL ? own.n_depth : "0", &b.depths))
        return command_usage("-p, -n and -d want numbers such as 512 or 64,128 or 16-256*2, at most %d of them", MAX_VALUES);
    if (own.repetitions == 0) own.repetitions = 5;
    if (parse_form(own.batch_out, &b.form) != PUMICE_OK) return command_usage("%s", pumice_error());
    const uint64_t need = (uint64_t)largest(&b.depths) + MAX(largest(&b.prompts), largest(&b.gens) + 2);
    own.ctx = need;
    if (largest(&b.gens) > 0) {
        const struct pumice_engine_params params = {.device = own.device, .n_threads = (uint32_t)own.threads};
        term_progress("measuring the device's bandwidth", 0);
        if (pumice_measure_ceilings(&params, &b.ceilings) != PUMICE_OK) b.ceilings = (struct pumice_ceilings){0};
        term_progress_end();
    }
    TRY(llm_open(&own, 0, &b.llm));
    if (need > b.llm.info.n_context)
        TRY(err_set(PUMICE_ARGUMENT, "depth and test make %llu tokens, but the model's context holds %u; ask for less (-p, -n, -d)",
                    (unsigned long long)need, b.llm.info.n_context));
    TRY(llm_open_session(&own, &b.llm));
    b.tokens = mem_calloc(need, sizeof *b.tokens);
    if (b.tokens == NULL) TRY(err_memory("the benchmark", need * sizeof *b.tokens));
    for (uint64_t i = 0; i < need; i++) b.tokens[i] = (int32_t)(mix_u64(i + 1) % b.llm.info.n_vocab);
    TRY(run_all(&b));
    if (own.perf) report_perf(&b.llm);
fail:
    if (st != PUMICE_OK) code = command_fail(st);
    mem_free(b.tokens);
    buffer_fini(&b.notes);
    llm_close(&b.llm);
    return code;
}
