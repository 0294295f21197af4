/* chat: `pumice chat`, a conversation in a terminal or through a pipe. */
#include "app/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/term.h"

void chat_fail(struct chat *chat)
{
    term_error("%s", pumice_error());
    chat->failed = true;
}

/* --- keeping ------------------------------------------------------------------------------------------------------- */

void chat_save(struct chat *chat)
{
    struct conversation *c = &chat->conversation;
    enum pumice_status st = PUMICE_OK;
    if (!chat->keep || c->version == chat->saved) return;
    if (c->n_messages > 0) {
        st = store_save(&chat->store, c);
    } else if (c->id[0] != 0) {
        st = store_delete(&chat->store, c->id);
        c->id[0] = 0;
    }
    if (st == PUMICE_OK) {
        chat->saved = c->version;
        chat->save_error[0] = 0;
    } else if (strncmp(chat->save_error, pumice_error(), sizeof chat->save_error - 1) != 0) {
        snprintf(chat->save_error, sizeof chat->save_error, "%s", pumice_error());
        chat_fail(chat);
    }
}

void chat_replace(struct chat *chat, struct conversation *next)
{
    chat_save(chat);
    conversation_fini(&chat->conversation);
    chat->conversation = *next;
    conversation_init(next);
    chat->n_answers = 0;
    chat->n_used = 0;
    chat->saved = chat->conversation.version;
}

void chat_new(struct chat *chat)
{
    struct conversation next;
    const struct conversation *c = &chat->conversation;
    const uint32_t system = c->state.system;
    conversation_init(&next);
    if (system != NO_MESSAGE &&
        conversation_set_system(&next, c->messages[system].text, c->messages[system].n_text) != PUMICE_OK) {
        chat_fail(chat);
        return;
    }
    next.n_states = next.state_i = 0; /* that is where undo ends */
    chat_replace(chat, &next);
}

/* --- showing ------------------------------------------------------------------------------------------------------- */

void chat_show(const struct chat *chat, size_t most)
{
    const struct conversation *c = &chat->conversation;
    const uint32_t begin = c->n_path > most ? c->n_path - (uint32_t)most : 0;
    bool unseen = c->first_seen != NO_MESSAGE;
    char text[96], version[32];
    if (c->state.system != NO_MESSAGE)
        term_say("  -  system      %s",
                 str_escape((struct str){c->messages[c->state.system].text, c->messages[c->state.system].n_text}, text,
                            sizeof text));
    if (begin > 0) term_say("     ... %u earlier messages (/show shows all)", begin);
    for (uint32_t i = 0; i < c->n_path; i++) {
        const struct message *m = &c->messages[c->path[i]];
        uint32_t which = 0;
        const uint32_t n = conversation_alternatives(c, i, &which);
        if (c->path[i] == c->first_seen) unseen = false;
        if (i < begin) continue;
        version[0] = 0;
        if (n > 1) snprintf(version, sizeof version, "(%u of %u) ", which + 1, n);
        term_say("%3u%c %-10s  %s%s", i + 1, unseen ? '*' : ' ', role_name(m->role), version,
                 str_escape((struct str){m->text, m->n_text}, text, sizeof text));
    }
    if (c->n_path == 0) term_say("[no message yet]");
    if (c->first_seen != NO_MESSAGE) term_say("[* the model no longer sees these: the context is full]");
}

/* Thoughts are dim. The markers are tokens of their own, so that each comes as one piece. */
static bool on_text(void *user, const char *text, size_t n)
{
    (void)user;
    const struct str piece = {text, n};
    if (str_eqz(piece, "<think>")) term_look(TERM_DIM);
    const bool ok = term_answer(text, n);
    if (str_eqz(piece, "</think>")) term_look(TERM_PLAIN);
    return ok;
}

static void note_dropped(const struct chat *chat, const struct conversation_plan *plan)
{
    if (!plan->full) return;
    term_say("[the context of %u tokens is full: the model no longer sees the oldest %zu %s of %zu; -c makes it larger]",
             pumice_session_capacity(chat->llm.session), plan->n_unseen, plan->n_unseen == 1 ? "exchange" : "exchanges",
             plan->n_turns);
}

static void note_end(const struct chat *chat, const struct answer *a)
{
    if (a->result.stop == PUMICE_STOP_CANCELLED)
        term_note("[stopped; /continue goes on]");
    else if (a->result.stop == PUMICE_STOP_LENGTH)
        term_note("[cut after %u tokens, as -n says; /continue goes on]", a->result.n_tokens);
    else if (a->result.stop == PUMICE_STOP_CONTEXT)
        term_say("[cut: the context of %u tokens is full; /continue forgets the oldest exchanges and goes on, -c makes it "
                 "larger]",
                 pumice_session_capacity(chat->llm.session));
}

/* --- answering ----------------------------------------------------------------------------------------------------- */

/* Plans, computes and prints; the result is chat->last. */
static enum pumice_status answer(struct chat *chat, bool open_ended)
{
    enum pumice_status st = PUMICE_OK;
    struct conversation_plan plan = {0};
    struct answer *a = &chat->last;
    const uint32_t capacity = pumice_session_capacity(chat->llm.session);
    struct answer_params params = {
        .sampling = chat->llm.sampling, .max_tokens = (uint32_t)chat->o->max_tokens, .on_text = on_text};
    const size_t wish = params.max_tokens > 0 ? params.max_tokens : 512;
    const struct conversation_limits limits = {.capacity = capacity,
                                               .reserve = MIN(wish, (size_t)capacity / 4),
                                               .max_history = chat->o->max_history,
                                               .open_ended = open_ended};
    params.sampling.seed += chat->n_answers;
    answer_fini(a);
    TRY(conversation_plan(&chat->conversation, &chat->llm.format, &limits, &plan));
    note_dropped(chat, &plan);
    TRY(answer_make(&chat->llm, plan.prompt.ids.data, plan.prompt.ids.n, &params, a));
    chat->n_used = plan.prompt.ids.n + a->ids.n;
    chat->n_answers++;
fail:
    term_look(TERM_PLAIN);
    conversation_plan_fini(&plan);
    return st;
}

static enum pumice_status finish(struct chat *chat)
{
    const struct answer *a = &chat->last;
    if (!term_out() || a->n_text == 0 || a->text[a->n_text - 1] != '\n') putchar('\n');
    if (fflush(stdout) != 0) {
        const enum pumice_status st = err_set(PUMICE_IO, "standard output cannot be written");
        chat_fail(chat);
        return st;
    }
    note_end(chat, a);
    if (chat->o->stats) report_stats(&chat->llm, a);
    return PUMICE_OK;
}

enum pumice_status chat_answer(struct chat *chat)
{
    struct conversation *c = &chat->conversation;
    const struct answer *a = &chat->last;
    chat_save(chat); /* the question is safe before the answer begins */
    enum pumice_status st = answer(chat, false);
    if (st == PUMICE_OK)
        st = conversation_answer(c, a->text, a->n_text, &a->ids, chat->llm.vocab.hash,
                                 answer_end_of(a->result.stop));
    if (st == PUMICE_OK) {
        chat_save(chat);
        return finish(chat);
    }
    if (st == PUMICE_CANCELLED)
        term_note("[stopped before the answer began; the message is taken back]");
    else
        chat_fail(chat);
    conversation_revert(c);
    chat_save(chat);
    return st;
}

enum pumice_status chat_continue(struct chat *chat)
{
    enum pumice_status st = PUMICE_OK;
    struct conversation *c = &chat->conversation;
    const struct answer *a = &chat->last;
    const struct message *m = c->state.head != NO_MESSAGE ? &c->messages[c->state.head] : NULL;
    if (m == NULL || m->role != ROLE_ASSISTANT || m->n_text == 0 || m->end == END_EOS)
        TRY(err_set(PUMICE_ARGUMENT, "there is no answer that was cut"));
    TRY(answer(chat, true));
    TRY(conversation_extend(c, &chat->llm.vocab, a->text, a->n_text, &a->ids, answer_end_of(a->result.stop)));
    chat_save(chat);
    return finish(chat);
fail:
    if (st == PUMICE_CANCELLED)
        term_note("[stopped before it went on]");
    else
        chat_fail(chat);
    return st;
}

/* --- the loop ------------------------------------------------------------------------------------------------------ */

static void prompt_sign(const char *sign)
{
    if (!term_in()) return;
    fputs(sign, stderr);
    fflush(stderr);
}

/* With what is left of the context once half of it is used. */
static void prompt_first(const struct chat *chat)
{
    char sign[64];
    const uint32_t capacity = pumice_session_capacity(chat->llm.session);
    if (chat->n_used > capacity / 2) {
        snprintf(sign, sizeof sign, "[%zu of %u tokens] > ", chat->n_used, capacity);
        prompt_sign(sign);
    } else {
        prompt_sign("> ");
    }
}

/* Reads a message into *text (malloc'ed), joining lines that end in a backslash on a terminal. */
static enum term_line read_message(const struct chat *chat, char **text, size_t *capacity, size_t *n)
{
    char *more = NULL;
    size_t more_capacity = 0, n_more = 0;
    prompt_first(chat);
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
        const enum term_line got = read_message(chat, &line, &capacity, &n);
        if (got == TERM_INTERRUPT) {
            term_say("\n[Ctrl-C stops an answer; /quit or Ctrl-D ends]");
            continue;
        }
        if (got == TERM_FAIL) code = command_fail(err_set(PUMICE_IO, "standard input cannot be read"));
        if (got == TERM_END) prompt_sign("\n");
        if (got != TERM_LINE) break;
        if (strspn(line, " \t") == n) continue;
        if (line[0] == '/' && !(n > 1 && line[1] == '/')) {
            going = chat_command(chat, line, n);
        } else {
            const size_t skip = line[0] == '/' ? 1 : 0;
            enum pumice_status st = conversation_add(&chat->conversation, ROLE_USER, line + skip, n - skip);
            if (st == PUMICE_OK)
                st = chat_answer(chat);
            else
                chat_fail(chat);
            if (st == PUMICE_IO) break;
        }
        if (!term_in() && term_interrupts() > 0) {
            code = EXIT_CODE_INTERRUPT;
            break;
        }
    }
    free(line);
    chat_save(chat);
    return code == EXIT_CODE_OK && chat->failed && !term_in() ? EXIT_CODE_FAILURE : code;
}

/* The store, and the conversation to go on with, before the long loading of the model. */
static enum pumice_status open_conversation(struct chat *chat)
{
    char id[sizeof chat->conversation.id];
    const struct options *o = chat->o;
    conversation_init(&chat->conversation);
    if (o->no_history && o->open != NULL)
        return err_set(PUMICE_ARGUMENT, "--open and --no-history exclude each other");
    enum pumice_status st = o->no_history ? PUMICE_OK : store_open(&chat->store);
    chat->keep = !o->no_history && st == PUMICE_OK;
    if (o->open == NULL) {
        if (st != PUMICE_OK) term_note("note: this conversation is not kept: %s", pumice_error());
    } else {
        if (st == PUMICE_OK) st = store_find(&chat->store, o->open, id, sizeof id);
        if (st == PUMICE_OK) st = store_load(&chat->store, id, &chat->conversation);
        if (st != PUMICE_OK) return st;
    }
    chat->saved = chat->conversation.version;
    return o->system != NULL ? conversation_set_system(&chat->conversation, o->system, strlen(o->system)) : PUMICE_OK;
}

int command_chat(const struct options *o)
{
    struct chat chat = {.o = o};
    int code = EXIT_CODE_OK;
    enum pumice_status st = PUMICE_OK;
    TRY(open_conversation(&chat));
    TRY(llm_open(o, LLM_VOCAB | LLM_SESSION | LLM_BANNER | LLM_FORMAT, &chat.llm));
    if (o->open != NULL) chat_show(&chat, 10);
    if (term_in())
        term_note("Type a message; /help lists the commands, Ctrl-C stops an answer, Ctrl-D ends.%s",
                  chat.keep ? " Conversations are kept (/list); --no-history keeps none." : "");
    (void)term_interrupt_soft(term_in());
    code = talk(&chat);
    if (o->perf) report_perf(&chat.llm);
fail:
    if (st != PUMICE_OK) code = command_fail(st);
    answer_fini(&chat.last);
    conversation_fini(&chat.conversation);
    store_close(&chat.store);
    llm_close(&chat.llm);
    return code;
}
