/* chat: `pumice chat`, a conversation in a terminal or through a pipe. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/conversation.h"
#include "app/llm.h"
#include "app/term.h"

struct chat {
    struct llm llm;
    struct conversation conversation;
    const struct options *o;
    struct answer last; /* for /stats */
    uint64_t n_answers;
    bool failed; /* an answer or command went wrong */
};

static const char help[] = "/clear          forget the conversation (the system prompt stays)\n"
                           "/system TEXT    set the system prompt; alone: show it; /system - removes it\n"
                           "/stats          numbers of the last answer\n"
                           "/quit           end (Ctrl-D does as well)\n"
                           "//TEXT          send /TEXT\n"
                           "A line that ends in \\ goes on in the next one. Ctrl-C stops an answer.";

static bool on_text(void *user, const char *text, size_t n)
{
    (void)user;
    return term_answer(text, n);
}

/* What the answer had to do with: tell about dropped turns, cut answers. */
static void note_dropped(const struct chat *chat, size_t n_dropped)
{
    if (n_dropped > 0)
        term_say("[the context of %u tokens is full: forgot the oldest %zu %s; -c makes it larger]",
                 pumice_session_capacity(chat->llm.session), n_dropped,
                 n_dropped == 1 ? "exchange" : "exchanges");
}

static void note_stop(const struct chat *chat, const struct answer *a)
{
    if (a->result.stop == PUMICE_STOP_CANCELLED)
        term_note("[stopped]");
    else if (a->result.stop == PUMICE_STOP_LENGTH)
        term_note("[cut after %u tokens, as -n says]", a->result.n_tokens);
    else if (a->result.stop == PUMICE_STOP_CONTEXT)
        term_say("[cut: the context of %u tokens is full; -c makes it larger]",
                 pumice_session_capacity(chat->llm.session));
}

/* The question is the conversation's last turn; without an answer it is taken back. */
static enum pumice_status answer_turn(struct chat *chat)
{
    struct conversation *c = &chat->conversation;
    struct ids prompt = {0};
    struct answer *a = &chat->last;
    size_t n_dropped = 0;
    enum pumice_status st = PUMICE_OK;
    const uint32_t capacity = pumice_session_capacity(chat->llm.session);
    struct answer_params params = {
        .sampling = chat->llm.sampling, .max_tokens = (uint32_t)chat->o->max_tokens, .on_text = on_text};
    const size_t wish = params.max_tokens > 0 ? params.max_tokens : 512;
    TRY(conversation_fit(c, capacity, MIN(wish, (size_t)capacity / 4) + c->end_ids.n, &n_dropped));
    note_dropped(chat, n_dropped);
    TRY(conversation_ids(c, &prompt));
    params.sampling.seed += chat->n_answers;
    answer_fini(a);
    TRY(answer_make(&chat->llm, prompt.data, prompt.n, &params, a));
    TRY(conversation_answer(c, a->ids.data, a->ids.n, a->text, a->n_text));
    chat->n_answers++;
    if (!term_out() || a->n_text == 0 || a->text[a->n_text - 1] != '\n') putchar('\n');
    if (fflush(stdout) != 0) TRY(err_set(PUMICE_IO, "standard output cannot be written"));
    note_stop(chat, a);
    if (chat->o->stats) report_stats(&chat->llm, a);
fail:
    ids_fini(&prompt);
    if (st != PUMICE_OK) {
        conversation_undo(c);
        if (st == PUMICE_CANCELLED)
            term_note("[stopped before the answer began; the message is taken back]");
        else
            term_error("%s", pumice_error());
        chat->failed = chat->failed || st != PUMICE_CANCELLED;
    }
    return st;
}

static void set_system(struct chat *chat, const char *text, size_t n)
{
    struct conversation *c = &chat->conversation;
    if (n == 0) {
        if (c->system != NULL)
            term_say("[system prompt: %s]", c->system);
        else
            term_say("[no system prompt]");
        return;
    }
    if (n == 1 && text[0] == '-') n = 0;
    if (conversation_set_system(c, text, n) != PUMICE_OK) {
        term_error("%s", pumice_error());
        chat->failed = true;
        return;
    }
    term_note("[%s]", n > 0 ? "system prompt set" : "system prompt removed");
}

static void show_stats(const struct chat *chat)
{
    if (chat->n_answers == 0)
        term_say("[no answer yet]");
    else
        report_stats(&chat->llm, &chat->last);
}

/* Returns false to end the program. */
static bool command(struct chat *chat, const char *line, size_t n)
{
    const size_t word = strcspn(line, " \t");
    const size_t gap = strspn(line + word, " \t");
    const struct str name = {line, word};
    const bool alone = word + gap >= n;
    if (str_eqz(name, "/system"))
        set_system(chat, line + MIN(word + gap, n), n - MIN(word + gap, n));
    else if (alone && (str_eqz(name, "/quit") || str_eqz(name, "/exit")))
        return false;
    else if (alone && str_eqz(name, "/clear")) {
        conversation_clear(&chat->conversation);
        term_note("[cleared]");
    } else if (alone && str_eqz(name, "/stats"))
        show_stats(chat);
    else if (alone && str_eqz(name, "/help"))
        term_say("%s", help);
    else {
        term_error("there is no command %.*s; /help lists them, //%.*s sends it as text",
                   (int)MIN(word, (size_t)40), line, (int)MIN(word - 1, (size_t)40), line + 1);
        chat->failed = true;
    }
    return true;
}

static void prompt_sign(const char *sign)
{
    if (!term_in()) return;
    fputs(sign, stderr);
    fflush(stderr);
}

/* Reads a message into *text (malloc'ed), joining lines that end in a backslash on a terminal. */
static enum term_line read_message(char **text, size_t *capacity, size_t *n)
{
    char *more = NULL;
    size_t more_capacity = 0, n_more = 0;
    prompt_sign("> ");
    enum term_line got = term_read_line(text, capacity, n);
    while (got == TERM_LINE && term_in() && *n > 0 && (*text)[*n - 1] == '\\') {
        (*text)[*n - 1] = '\n';
        prompt_sign(". ");
        got = term_read_line(&more, &more_capacity, &n_more);
        if (got != TERM_LINE) break;
        if (*capacity < *n + n_more + 1) {
            char *larger = realloc(*text, *n + n_more + 1);
            if (larger == NULL) {
                got = TERM_FAIL;
                break;
            }
            *text = larger;
            *capacity = *n + n_more + 1;
        }
        memcpy(*text + *n, more, n_more);
        *n += n_more;
        (*text)[*n] = 0;
    }
    free(more);
    if (got == TERM_LINE) (*text)[*n] = 0;
    return got;
}

static int talk(struct chat *chat)
{
    char *line = NULL;
    size_t capacity = 0, n = 0;
    int code = EXIT_CODE_OK;
    for (bool going = true; going;) {
        term_interrupts_reset();
        const enum term_line got = read_message(&line, &capacity, &n);
        if (got == TERM_INTERRUPT) {
            term_say("\n[Ctrl-C stops an answer; /quit or Ctrl-D ends]");
            continue;
        }
        if (got == TERM_FAIL) code = command_fail(err_set(PUMICE_IO, "standard input cannot be read"));
        if (got == TERM_END) prompt_sign("\n");
        if (got != TERM_LINE) break;
        if (strspn(line, " \t") == n) continue;
        if (line[0] == '/' && !(n > 1 && line[1] == '/')) {
            going = command(chat, line, n);
            continue;
        }
        const size_t skip = line[0] == '/' ? 1 : 0;
        enum pumice_status st = conversation_ask(&chat->conversation, line + skip, n - skip);
        if (st == PUMICE_OK) {
            st = answer_turn(chat);
        } else {
            term_error("%s", pumice_error());
            chat->failed = true;
        }
        if (st == PUMICE_IO) break;
        if (!term_in() && term_interrupts() > 0) {
            code = EXIT_CODE_INTERRUPT;
            break;
        }
    }
    free(line);
    return code == EXIT_CODE_OK && chat->failed && !term_in() ? EXIT_CODE_FAILURE : code;
}

int command_chat(const struct options *o)
{
    struct chat chat = {.o = o};
    int code = EXIT_CODE_OK;
    enum pumice_status st = llm_open(o, LLM_VOCAB | LLM_SESSION | LLM_BANNER, &chat.llm);
    if (st != PUMICE_OK) goto fail;
    TRY(conversation_init(&chat.conversation, &chat.llm.vocab));
    if (o->system != NULL) TRY(conversation_set_system(&chat.conversation, o->system, strlen(o->system)));
    if (term_in())
        term_note("Type a message; /help lists the commands, Ctrl-C stops an answer, Ctrl-D ends.");
    (void)term_interrupt_soft(term_in());
    code = talk(&chat);
    if (o->perf) report_perf(&chat.llm);
fail:
    if (st != PUMICE_OK) code = command_fail(st);
    answer_fini(&chat.last);
    conversation_fini(&chat.conversation);
    llm_close(&chat.llm);
    return code;
}
