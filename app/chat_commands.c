/* chat_commands: what a line that begins with '/' does in `pumice chat`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/buffer.h"
#include "app/chat.h"
#include "app/term.h"
#include "runtime/platform.h"

#define IMPORT_MAX_BYTES ((uint64_t)256 << 20)
#define FILE_MAX_BYTES   ((uint64_t)16 << 20)

/* Each gets what stands after its name, without spaces in front: text[n], with a NUL after it. */
typedef void command_run(struct chat *chat, const char *text, size_t n);

static void check(struct chat *chat, enum pumice_status st)
{
    if (st != PUMICE_OK) chat_fail(chat);
}

/* A number from 1 at the start of *text; moves *text behind it. 0: none. */
static uint32_t number(const char **text)
{
    char *end = NULL;
    const unsigned long x = **text >= '0' && **text <= '9' ? strtoul(*text, &end, 10) : 0;
    if (end == NULL || (*end != 0 && *end != ' ' && *end != '\t') || x > 1000000000) return 0;
    *text = end + strspn(end, " \t");
    return (uint32_t)x;
}

static void usage(struct chat *chat, const char *text)
{
    (void)err_set(PUMICE_ARGUMENT, "%s", text);
    chat_fail(chat);
}

static void run_new(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    if (!chat_leave(chat)) return;
    const bool kept = chat->conversation.id[0] != 0 && chat->saved == chat->conversation.version;
    if (!chat_new(chat)) return;
    term_note("[cleared%s]", kept ? "; the conversation is kept, /list shows it" : "");
}

static void step(struct chat *chat, bool moved, const char *otherwise)
{
    if (moved)
        chat_show(chat, 4);
    else
        usage(chat, otherwise);
    chat_save(chat);
}

static void run_undo(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    step(chat, conversation_undo(&chat->conversation), "there is nothing to undo");
}

static void run_redo(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    step(chat, conversation_redo(&chat->conversation), "there is nothing to redo");
}

static void run_regenerate(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    const enum pumice_status st = conversation_regenerate(&chat->conversation);
    check(chat, st);
    if (st == PUMICE_OK) (void)chat_answer(chat);
}

static void run_edit(struct chat *chat, const char *text, size_t n)
{
    struct conversation *c = &chat->conversation;
    const char *rest = text;
    const uint32_t i = number(&rest);
    if (i == 0 || *rest == 0) {
        usage(chat, "/edit wants the number of a message (/show) and its new text");
        return;
    }
    const enum pumice_status st = conversation_edit(c, i - 1, rest, n - (size_t)(rest - text));
    check(chat, st);
    if (st == PUMICE_OK && c->messages[c->state.head].role != ROLE_ASSISTANT)
        (void)chat_answer(chat);
    else
        chat_save(chat);
}

static void run_branch(struct chat *chat, const char *text, size_t n)
{
    (void)n;
    const uint32_t i = number(&text);
    if (i == 0) {
        usage(chat, "/branch wants the number of the message to go on from (/show)");
        return;
    }
    const enum pumice_status st = conversation_branch(&chat->conversation, i - 1);
    check(chat, st);
    if (st != PUMICE_OK) return;
    chat_show(chat, 4);
    chat_save(chat);
}

static void run_switch(struct chat *chat, const char *text, size_t n)
{
    (void)n;
    const uint32_t i = number(&text), k = number(&text);
    if (i == 0 || k == 0) {
        usage(chat, "/switch wants the number of a message and of its version, as /show counts them: /switch 2 1");
        return;
    }
    const enum pumice_status st = conversation_switch(&chat->conversation, i - 1, k - 1);
    check(chat, st);
    if (st != PUMICE_OK) return;
    chat_show(chat, 4);
    chat_save(chat);
}

static void run_continue(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    (void)chat_continue(chat);
}

/* The longest beginning of text[n] that ends at a blank and is there as a file; else the first word. */
static size_t file_name(char *text, size_t n)
{
    for (size_t end = n; end > 0;) {
        const char kept = text[end];
        text[end] = 0;
        const bool found = platform_exists(text);
        text[end] = kept;
        if (found) return end;
        while (end > 0 && text[end - 1] != ' ' && text[end - 1] != '\t') end--;
        while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) end--;
    }
    return strcspn(text, " \t");
}

/* The file's text is the message, and what stands after its name goes below it. */
static void run_file(struct chat *chat, const char *text, size_t n)
{
    enum pumice_status st = PUMICE_OK;
    struct buffer b = {0};
    char *name = NULL, *in = NULL, *message = NULL;
    size_t n_in = 0, n_message = 0;
    if (n == 0) TRY(err_set(PUMICE_ARGUMENT, "/file wants the name of a file, and may have a question after it"));
    name = mem_strdup(text);
    if (name == NULL) TRY(err_memory("a command", n));
    const size_t n_name = file_name(name, strlen(name));
    const char *question = text + n_name + strspn(text + n_name, " \t");
    name[n_name] = 0;
    TRY(platform_read(name, FILE_MAX_BYTES, &in, &n_in));
    n_in = text_of_file(in, n_in);
    if (n_in == 0) TRY(err_set(PUMICE_ARGUMENT, "%s has no text in it", name));
    buffer_add(&b, in, n_in);
    if (question[0] != 0) buffer_addz(&b, "\n\n");
    buffer_addz(&b, question);
    TRY(buffer_take(&b, "a message", &message, &n_message));
    (void)chat_ask(chat, message, n_message);
fail:
    mem_free(message);
    mem_free(in);
    mem_free(name);
    check(chat, st);
}

static void run_system(struct chat *chat, const char *text, size_t n)
{
    struct conversation *c = &chat->conversation;
    if (n == 0) {
        if (c->state.system == NO_MESSAGE)
            term_say("[no system prompt]");
        else
            term_say("[system prompt: %s]", c->messages[c->state.system].text);
        return;
    }
    if (n == 1 && text[0] == '-') n = 0;
    const enum pumice_status st = conversation_set_system(c, text, n);
    check(chat, st);
    if (st == PUMICE_OK) term_note("[%s]", n > 0 ? "system prompt set" : "system prompt removed");
    if (c->n_path > 0) chat_save(chat);
}

static void run_show(struct chat *chat, const char *text, size_t n)
{
    const struct conversation *c = &chat->conversation;
    const uint32_t i = number(&text);
    if (n == 0)
        chat_show(chat, SIZE_MAX);
    else if (i == 0 || i > c->n_path)
        usage(chat, "/show wants the number of a message, or nothing");
    else {
        const struct message *m = &c->messages[c->path[i - 1]];
        (void)term_answer(m->text, m->n_text);
        putchar('\n');
    }
}

/* What the next question would be appended to. */
static void run_context(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    const struct conversation *c = &chat->conversation;
    uint32_t n_seen = 0, n_all = 0;
    bool seen = c->first_seen == NO_MESSAGE;
    for (uint32_t i = 0; i < c->n_path; i++) {
        seen = seen || c->path[i] == c->first_seen;
        n_all += c->messages[c->path[i]].role == ROLE_USER;
        n_seen += seen && c->messages[c->path[i]].role == ROLE_USER;
    }
    term_say("[%zu of %u tokens used; the model sees %u of %u %s]", chat->n_used,
             pumice_session_capacity(chat->llm.session), n_seen, n_all, n_all == 1 ? "exchange" : "exchanges");
}

static void run_prompt(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    struct conversation *c = &chat->conversation;
    const uint32_t first_seen = c->first_seen;
    struct conversation_plan plan;
    const bool answered = c->n_path > 0 && c->messages[c->state.head].role == ROLE_ASSISTANT;
    const struct conversation_limits limits = {.capacity = SIZE_MAX, .max_history = chat->o->max_history, .open_ended = answered};
    const enum pumice_status st = conversation_plan(c, &chat->llm.format, &limits, &plan);
    check(chat, st);
    for (size_t i = 0; st == PUMICE_OK && i < plan.prompt.n_segments; i++) {
        term_look(plan.prompt.segments[i].origin == TEMPLATE_ORIGIN ? TERM_COLOUR : TERM_PLAIN);
        (void)term_answer(plan.prompt.segments[i].text.data, plan.prompt.segments[i].text.n);
    }
    term_look(TERM_PLAIN);
    if (st == PUMICE_OK) putchar('\n');
    conversation_plan_fini(&plan);
    c->first_seen = first_seen;
}

static void run_stats(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    if (chat->last.n_prompt == 0)
        term_say("[no answer yet]");
    else
        report_stats(&chat->llm, &chat->last);
}

/* --- kept conversations -------------------------------------------------------------------------------------------- */

static bool has_store(struct chat *chat)
{
    if (chat->keep) return true;
    usage(chat, chat->o->no_history ? "nothing is kept: the program was started with --no-history"
                                    : "there is no place to keep conversations in");
    return false;
}

static void list(struct chat *chat, const char *search)
{
    struct store_entry *entries = NULL;
    size_t n = 0, n_bad = 0;
    chat_save(chat);
    if (!has_store(chat)) return;
    const enum pumice_status st = store_list(&chat->store, search, &entries, &n, &n_bad);
    check(chat, st);
    if (st != PUMICE_OK) return;
    for (size_t i = 0; i < n; i++) {
        char day[32] = "?", title[96], number[24];
        const time_t at = (time_t)(entries[i].updated_ms / 1000);
        const struct tm *t = localtime(&at);
        if (t != NULL) strftime(day, sizeof day, "%Y-%m-%d %H:%M", t);
        const char here = strcmp(entries[i].id, chat->conversation.id) == 0 ? '>' : ' ';
        snprintf(number, sizeof number, "%3zu", i + 1); /* of /list: what /open takes; a search gives ids */
        term_say("%s%c %s  %3" PRIu32 " messages  %s", search != NULL ? entries[i].id : number, here, day, entries[i].n_messages,
                 str_escape(str_of(entries[i].title), title, sizeof title));
        if (entries[i].match != NULL) term_say("        %s", entries[i].match);
    }
    if (n == 0) term_say(search != NULL ? "[nothing found]" : "[no conversation is kept yet]");
    if (n_bad > 0) term_say("[%zu files in %s cannot be read]", n_bad, chat->store.dir);
    store_entries_free(entries, n);
}

static void run_list(struct chat *chat, const char *text, size_t n)
{
    (void)text;
    (void)n;
    list(chat, NULL);
}

static void run_search(struct chat *chat, const char *text, size_t n)
{
    if (n == 0)
        usage(chat, "/search wants a text");
    else
        list(chat, text);
}

static void run_open(struct chat *chat, const char *text, size_t n)
{
    struct conversation next;
    char id[sizeof next.id];
    conversation_init(&next);
    if (n == 0) {
        usage(chat, "/open wants a number of /list, \"last\", or an id");
        return;
    }
    chat_save(chat);
    if (!has_store(chat)) return;
    enum pumice_status st = store_find(&chat->store, text, id, sizeof id);
    if (st == PUMICE_OK && strcmp(id, chat->conversation.id) == 0) {
        chat_show(chat, 10);
        return;
    }
    if (st == PUMICE_OK && !chat_leave(chat)) return;
    if (st == PUMICE_OK) st = store_load(&chat->store, id, &next);
    check(chat, st);
    if (st != PUMICE_OK) return;
    chat_replace(chat, &next);
    chat_show(chat, 10);
}

static void run_rename(struct chat *chat, const char *text, size_t n)
{
    if (n == 0) {
        usage(chat, "/rename wants a title");
        return;
    }
    check(chat, conversation_rename(&chat->conversation, text));
    if (chat->conversation.n_messages > 0) chat_save(chat);
}

static void run_delete(struct chat *chat, const char *text, size_t n)
{
    struct conversation next;
    char id[sizeof chat->conversation.id];
    if (!has_store(chat)) return;
    snprintf(id, sizeof id, "%s", chat->conversation.id);
    enum pumice_status st = n > 0 ? store_find(&chat->store, text, id, sizeof id) : PUMICE_OK;
    const bool current = strcmp(id, chat->conversation.id) == 0;
    if (st == PUMICE_OK && id[0] != 0) st = store_delete(&chat->store, id);
    check(chat, st);
    if (st != PUMICE_OK) return;
    if (current) {
        conversation_init(&next);
        chat_replace(chat, &next);
    }
    term_note("[deleted]");
}

static void run_export(struct chat *chat, const char *text, size_t n)
{
    enum pumice_status st = PUMICE_OK;
    enum export_format format = EXPORT_MARKDOWN;
    char *out = NULL;
    size_t n_out = 0;
    if (n == 0) TRY(err_set(PUMICE_ARGUMENT, "/export wants the name of a file that ends in .md, .json or .jsonl"));
    TRY(export_format_of(text, &format));
    if (platform_exists(text)) TRY(err_set(PUMICE_ARGUMENT, "%s exists; name another file", text));
    TRY(conversation_export(&chat->conversation, format, &out, &n_out));
    TRY(platform_write_atomic(text, out, n_out));
    chat->exported = chat->conversation.version;
    term_note("[written to %s]", text);
fail:
    mem_free(out);
    check(chat, st);
}

static void run_import(struct chat *chat, const char *text, size_t n)
{
    enum pumice_status st = PUMICE_OK;
    struct conversation next;
    char *in = NULL;
    size_t n_in = 0;
    conversation_init(&next);
    if (n == 0) TRY(err_set(PUMICE_ARGUMENT, "/import wants the name of a file (.json, .jsonl or .md)"));
    TRY(platform_read(text, IMPORT_MAX_BYTES, &in, &n_in));
    TRY(conversation_import(in, n_in, &next));
    if (!chat_leave(chat)) goto fail;
    chat_replace(chat, &next);
    chat->saved = chat->conversation.version - 1;
    chat_save(chat);
    chat_show(chat, 10);
fail:
    conversation_fini(&next);
    mem_free(in);
    check(chat, st);
}

/* --- the table ------------------------------------------------------------------------------------------------------- */

static command_run run_help;
static const struct row {
    const char *name, *other, *value, *help;
    command_run *run;
} rows[] = {
    {"new", "clear", "", "begin another conversation (the system prompt stays)", run_new},
    {"show", "history", "[N]", "the messages, numbered; or message N whole", run_show},
    {"undo", NULL, "", "take back the last step, whatever it was", run_undo},
    {"redo", NULL, "", "and do it again", run_redo},
    {"regenerate", "retry", "", "answer the last question anew", run_regenerate},
    {"edit", NULL, "N TEXT", "another text for message N, and an answer to it", run_edit},
    {"branch", NULL, "N", "go on from message N; what followed is kept", run_branch},
    {"switch", NULL, "N K", "show version K of message N", run_switch},
    {"continue", NULL, "", "go on with an answer that was cut", run_continue},
    {"file", NULL, "PATH [TEXT]", "send the text of a file, and TEXT below it", run_file},
    {"system", NULL, "[TEXT]", "show or set the system prompt; - removes it", run_system},
    {"context", NULL, "", "how much of the context is used", run_context},
    {"prompt", NULL, "", "what the model sees", run_prompt},
    {"stats", NULL, "", "numbers of the last answer", run_stats},
    {"list", NULL, "", "the conversations that are kept", run_list},
    {"search", NULL, "TEXT", "those that contain TEXT", run_search},
    {"open", NULL, "WHICH", "go on with one: a number of /list, last, or an id", run_open},
    {"rename", NULL, "TITLE", "give this one a title", run_rename},
    {"delete", NULL, "[WHICH]", "delete this one, or another", run_delete},
    {"export", NULL, "FILE", "write it to FILE: .md, .json or .jsonl", run_export},
    {"import", NULL, "FILE", "read a conversation from FILE: .json, .jsonl or .md", run_import},
    {"help", NULL, "", "this list", run_help},
    {"quit", "exit", "", "end (Ctrl-D does as well)", NULL},
};

static void run_help(struct chat *chat, const char *text, size_t n)
{
    (void)chat;
    (void)text;
    (void)n;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char left[64];
        snprintf(left, sizeof left, "/%s%s%s %s", rows[i].name, rows[i].other != NULL ? ", /" : "",
                 rows[i].other != NULL ? rows[i].other : "", rows[i].value);
        term_say("%-22s %s", left, rows[i].help);
    }
    term_say("%-22s %s", "//TEXT", "send /TEXT");
    term_say("A line that ends in \\ goes on in the next one; what is pasted is one message, with the rest of its line. Ctrl-C "
             "stops an answer.");
}

bool chat_command(struct chat *chat, const char *line, size_t n)
{
    const size_t word = strcspn(line, " \t");
    const struct str name = {line + 1, MIN(word, n) - 1};
    size_t begin = word + strspn(line + word, " \t"), end = n;
    begin = MIN(begin, n);
    while (end > begin && (line[end - 1] == ' ' || line[end - 1] == '\t')) end--;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        if (!str_eqz(name, r->name) && (r->other == NULL || !str_eqz(name, r->other))) continue;
        if (r->value[0] == 0 && end > begin) {
            (void)err_set(PUMICE_ARGUMENT, "/%s takes nothing after it; /help lists the commands", r->name);
            chat_fail(chat);
            return true;
        }
        if (r->run == NULL) return !chat_may_end(chat);
        char *text = mem_alloc(end - begin + 1);
        if (text == NULL) {
            check(chat, err_memory("a command", end - begin));
            return true;
        }
        memcpy(text, line + begin, end - begin);
        text[end - begin] = 0;
        r->run(chat, text, end - begin);
        mem_free(text);
        return true;
    }
    const int shown = (int)MIN(word, (size_t)40);
    (void)err_set(PUMICE_ARGUMENT, "there is no command %.*s; /help lists them, /%.*s sends it as text", shown, line, shown,
                  line);
    chat_fail(chat);
    return true;
}
