/* render: `pumice template`, what the model sees. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/buffer.h"
#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"

static void print_text(const struct prompt *p)
{
    for (size_t i = 0; i < p->n_segments; i++) {
        const struct segment *s = &p->segments[i];
        term_look(s->origin == TEMPLATE_ORIGIN ? TERM_COLOUR : TERM_PLAIN);
        (void)term_answer(s->text.data, s->text.n);
    }
    term_look(TERM_PLAIN);
}

static const char *writer_name(int32_t origin, char *out, size_t n)
{
    if (origin >= 0)
        snprintf(out, n, "message %d", origin + 1);
    else
        snprintf(out, n, "%s", origin == TEMPLATE_ORIGIN ? "template" : origin == TEMPLATE_ORIGIN_TOOLS ? "tools" : "extra");
    return out;
}

/* Where a token's text stands in the segments. Normalisation may change the length of a text; the next control token sets
 * that right. */
struct place {
    size_t i, offset;
};

static void step(const struct prompt *p, struct place *at, size_t n)
{
    while (at->i < p->n_segments && n >= p->segments[at->i].text.n - at->offset) {
        n -= p->segments[at->i].text.n - at->offset;
        *at = (struct place){at->i + 1, 0};
    }
    if (at->i < p->n_segments) at->offset += n;
}

/* Goes on to where `text` stands, if it stands in the template's part from here on. */
static void seek(const struct prompt *p, struct place *at, struct str text)
{
    for (struct place to = *at; to.i < p->n_segments; to = (struct place){to.i + 1, 0}) {
        const struct segment *s = &p->segments[to.i];
        for (; s->special && to.offset + text.n <= s->text.n; to.offset++)
            if (memcmp(s->text.data + to.offset, text.data, text.n) == 0) {
                *at = to;
                return;
            }
    }
}

static void print_tokens(const struct llm *llm, const struct prompt *p)
{
    const struct tokenizer *t = llm->vocab.tokenizer;
    struct place at = {0, 0};
    char who[32], shown[128];
    for (size_t i = 0; i < p->ids.n; i++) {
        const struct str text = tokenizer_token_bytes(t, p->ids.data[i]);
        const bool control = tokenizer_is_control(t, p->ids.data[i]);
        if (control) seek(p, &at, text);
        while (at.i + 1 < p->n_segments && at.offset == p->segments[at.i].text.n) at = (struct place){at.i + 1, 0};
        const int32_t origin = at.i < p->n_segments ? p->segments[at.i].origin : TEMPLATE_ORIGIN;
        term_look(control ? TERM_BOLD : origin == TEMPLATE_ORIGIN ? TERM_COLOUR : TERM_PLAIN);
        printf("%7d  %-10s  %s\n", p->ids.data[i], writer_name(origin, who, sizeof who),
               str_escape(text, shown, sizeof shown));
        step(p, &at, text.n);
    }
    term_look(TERM_PLAIN);
    term_note("%zu tokens; template: %s", p->ids.n, llm->format.name);
}

static enum pumice_status one(const struct llm *llm, const struct options *o)
{
    enum pumice_status st = PUMICE_OK;
    struct prompt prompt = {0};
    char *text = NULL, *messages = NULL;
    size_t n = 0;
    TRY(llm_read_text(o, &text, &n));
    if (o->file != NULL) n = text_of_file(text, n);
    TRY(llm_messages_json(o, text, n, &messages));
    const struct prompt_request request = {.messages_json = str_of(messages), .answer_next = true};
    TRY(prompt_make(&llm->format, &request, &prompt));
    if (o->show_tokens)
        print_tokens(llm, &prompt);
    else
        print_text(&prompt);
fail:
    mem_free(text);
    mem_free(messages);
    prompt_fini(&prompt);
    return st;
}

/* {"name": value} of all members but those that have a place of their own; "" if there is none. mem_alloc'ed. */
static enum pumice_status other_members(const cJSON *value, const char *line, size_t n, char **out, size_t *n_out)
{
    struct buffer b = {0};
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        struct str raw = {NULL, 0};
        if (strcmp(item->string, "messages") == 0 || strcmp(item->string, "tools") == 0 ||
            strcmp(item->string, "add_generation_prompt") == 0 || strpbrk(item->string, "\"\\") != NULL ||
            !json_member(line, n, item->string, &raw))
            continue;
        buffer_addz(&b, b.n > 0 ? "," : "{");
        buffer_json_text(&b, str_of(item->string));
        buffer_addz(&b, ":");
        buffer_add(&b, raw.data, raw.n);
    }
    if (b.n > 0) buffer_addz(&b, "}");
    return buffer_take(&b, "a line", out, n_out);
}

static enum pumice_status line_json(const struct llm *llm, const struct options *o, const char *line, size_t n, cJSON **out)
{
    enum pumice_status st = PUMICE_OK;
    struct prompt prompt = {0};
    struct prompt_request request = {.any_order = true};
    struct buffer all = {0};
    char *others = NULL, *rendered = NULL;
    size_t where = 0, bytes = 0;
    cJSON *value = json_read(line, n, &where), *text = NULL;
    if (value == NULL) TRY(err_set(PUMICE_ARGUMENT, "not JSON (byte %zu)", where + 1));
    if (!cJSON_IsObject(value)) TRY(err_set(PUMICE_ARGUMENT, "not a JSON object"));
    if (!json_member(line, n, "messages", &request.messages_json))
        TRY(err_set(PUMICE_ARGUMENT, "there is no \"messages\""));
    if (json_member(line, n, "tools", &request.tools_json) && str_eqz(request.tools_json, "null"))
        request.tools_json = (struct str){NULL, 0};
    request.answer_next = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(value, "add_generation_prompt"));
    TRY(other_members(value, line, n, &others, &request.extra_json.n));
    request.extra_json.data = others;
    TRY(prompt_make(&llm->format, &request, &prompt));
    for (size_t i = 0; i < prompt.n_segments; i++) buffer_add(&all, prompt.segments[i].text.data, prompt.segments[i].text.n);
    TRY(buffer_take(&all, "a text", &rendered, &bytes));
    text = json_text(rendered, bytes);
    if (o->show_tokens && text != NULL) {
        cJSON *object = cJSON_CreateObject();
        cJSON *ids = cJSON_CreateIntArray(prompt.ids.n > 0 ? prompt.ids.data : &(int){0}, (int)prompt.ids.n);
        cJSON_AddItemToObject(object, "text", text);
        cJSON_AddItemToObject(object, "ids", ids);
        text = object;
    }
    if (text == NULL) TRY(err_memory("a text", bytes));
    *out = text;
fail:
    prompt_fini(&prompt);
    mem_free(others);
    mem_free(rendered);
    cJSON_Delete(value);
    return st;
}

static int jsonl(const struct llm *llm, const struct options *o)
{
    FILE *in = o->file != NULL && strcmp(o->file, "-") != 0 ? fopen(o->file, "r") : stdin;
    char *line = NULL;
    size_t capacity = 0, number = 0, n_bad = 0;
    ssize_t n = 0;
    enum pumice_status st = PUMICE_OK;
    if (in == NULL) return command_fail(err_set(PUMICE_IO, "%s cannot be opened: %s", o->file, strerror(errno)));
    while (st == PUMICE_OK && (n = getline(&line, &capacity, in)) >= 0) {
        cJSON *out = NULL;
        number++;
        if (strspn(line, " \t\r\n") == (size_t)n) continue;
        st = line_json(llm, o, line, (size_t)n, &out);
        if (st != PUMICE_OK) {
            out = json_line_error(number);
            n_bad++;
        }
        st = json_print_line(out);
    }
    if (st == PUMICE_OK && ferror(in)) st = err_set(PUMICE_IO, "the input cannot be read: %s", strerror(errno));
    free(line);
    if (in != stdin) fclose(in);
    if (st != PUMICE_OK) return command_fail(st);
    if (n_bad > 0) term_error("%zu of %zu lines are bad; see the \"error\" objects in the output", n_bad, number);
    return n_bad > 0 ? EXIT_CODE_FAILURE : EXIT_CODE_OK;
}

int command_template(const struct options *given)
{
    struct llm llm;
    struct options own = *given;
    int code = EXIT_CODE_OK;
    if (own.prompt != NULL && (own.file != NULL || own.jsonl))
        return command_usage("template wants only one of -p TEXT, -f FILE and --jsonl");
    if (own.jsonl && own.system != NULL) return command_usage("--system does not go with --jsonl; the lines have their own");
    if (own.prompt == NULL && own.file == NULL) own.file = "-";
    enum pumice_status st = llm_open(&own, LLM_VOCAB | LLM_FORMAT, &llm);
    if (st == PUMICE_OK && own.jsonl)
        code = jsonl(&llm, &own);
    else if (st == PUMICE_OK)
        st = one(&llm, &own);
    if (st != PUMICE_OK) code = command_fail(st);
    llm_close(&llm);
    return code;
}
