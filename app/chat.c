/* chat: `pumice chat`, a conversation in a terminal or through a pipe. */
#include "app/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/buffer.h"
#include "app/commands.h"
#include "app/term.h"

void chat_fail(struct chat *chat)
{
    term_error("%s", pumice_error());
    chat->failed = true;
}

/* --- keeping ------------------------------------------------------------------------------------------------------- */

static enum pumice_status save(struct chat *chat)
{
    struct conversation *c = &chat->conversation;
    enum pumice_status st = PUMICE_OK;
    if (!chat->keep || c->version == chat->saved) return PUMICE_OK;
    if (conversation_has_turn(c)) {
        st = store_save(&chat->store, c);
    } else if (c->id[0] != 0) {
        st = store_delete(&chat->store, c->id);
        c->id[0] = 0;
    }
    if (st != PUMICE_OK) return st;
    chat->saved = c->version;
    chat->save_error[0] = 0;
    return PUMICE_OK;
}

void chat_save(struct chat *chat)
{
    if (save(chat) == PUMICE_OK || strncmp(chat->save_error, pumice_error(), sizeof chat->save_error - 1) == 0) return;
    snprintf(chat->save_error, sizeof chat->save_error, "%s", pumice_error());
    chat_fail(chat);
}

bool chat_leave(struct chat *chat)
{
    const enum pumice_status st = save(chat);
    if (st == PUMICE_OK || !conversation_has_turn(&chat->conversation) || chat->exported == chat->conversation.version) return true;
    (void)err_set(st, "%.700s; or keep it elsewhere with /export FILE, then say it again", pumice_error());
    chat_fail(chat);
    return false;
}

bool chat_may_end(struct chat *chat)
{
    if (!term_in() || chat->held == chat->conversation.version || chat_leave(chat)) return true;
    chat->held = chat->conversation.version;
    term_say("[/quit or Ctrl-D once more ends without it]");
    return false;
}

void chat_replace(struct chat *chat, struct conversation *next)
{
    conversation_fini(&chat->conversation);
    chat->conversation = *next;
    conversation_init(next);
    chat->n_answers = 0;
    chat->n_used = 0;
    chat->saved = chat->conversation.version;
    chat->exported = chat->held = NO_VERSION;
}

bool chat_new(struct chat *chat)
{
    struct conversation next;
    const struct conversation *c = &chat->conversation;
    const uint32_t system = c->state.system;
    conversation_init(&next);
    if (system != NO_MESSAGE &&
        conversation_set_system(&next, c->messages[system].text, c->messages[system].n_text) != PUMICE_OK) {
        chat_fail(chat);
        return false;
    }
    next.n_states = next.state_i = 0; /* that is where undo ends */
    chat_replace(chat, &next);
    return true;
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

enum pumice_status chat_ask(struct chat *chat, const char *text, size_t n)
{
    const enum pumice_status st = conversation_add(&chat->conversation, ROLE_USER, text, n);
    if (st == PUMICE_OK) return chat_answer(chat);
    chat_fail(chat);
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

/* Reads a message into *text (mem_alloc'ed): a line; on a terminal also the lines after one that ends in a backslash, and all
 * that is pasted: lines that come at once, and what is typed behind the last of them, to an Enter. *verbatim: it was pasted
 * from its beginning on, and is no command whatever it begins with. */
static enum term_line read_message(const struct chat *chat, char **text, size_t *n, bool *verbatim)
{
    char *line = NULL;
    size_t capacity = 0, n_line = 0;
    struct buffer b = {0};
    bool pasted = false; /* the line that comes now, and perhaps those before it */
    enum term_line got = TERM_LINE;
    *verbatim = false;
    prompt_first(chat);
    for (bool more = true; more && (got = term_read_line(&line, &capacity, &n_line)) == TERM_LINE;) {
        const bool first = b.n == 0, joined = term_in() && n_line > 0 && line[n_line - 1] == '\\', soon = term_more();
        const bool typed = joined && !soon && !pasted; /* a backslash that is pasted stays */
        *verbatim = *verbatim || (first && soon);
        buffer_add(&b, line, n_line - typed);
        more = typed || soon || pasted;
        if (more) buffer_addz(&b, "\n");
        if (more && !soon) prompt_sign(". ");
        pasted = soon;
    }
    free(line);
    if (got == TERM_END && b.n > 0) got = TERM_LINE; /* Ctrl-D ends it, too */
    while (*verbatim && b.n > 0 && b.data[b.n - 1] == '\n') b.n--;
    if (got == TERM_LINE && buffer_take(&b, "a message", text, n) != PUMICE_OK) got = TERM_FAIL;
    buffer_fini(&b);
    return got;
}

/* False: the program is to end. */
static bool take_message(struct chat *chat, const char *text, size_t n, bool verbatim)
{
    const bool slash = !verbatim && text[0] == '/', twice = slash && n > 1 && text[1] == '/';
    if (strspn(text, " \t\n") == n) return true;
    if (slash && !twice) return chat_command(chat, text, n);
    return chat_ask(chat, text + twice, n - twice) != PUMICE_IO;
}

static int talk(struct chat *chat)
{
    int code = EXIT_CODE_OK;
    for (bool going = true; going;) {
        char *text = NULL;
        size_t n = 0;
        bool verbatim = false;
        term_interrupts_reset();
        const enum term_line got = read_message(chat, &text, &n, &verbatim);
        if (got == TERM_INTERRUPT) term_say("\n[Ctrl-C stops an answer; /quit or Ctrl-D ends]");
        if (got == TERM_FAIL) code = command_fail(PUMICE_IO);
        if (got == TERM_END) prompt_sign("\n");
        if (got == TERM_FAIL || (got == TERM_END && chat_may_end(chat))) break;
        if (got == TERM_LINE) going = take_message(chat, text, n, verbatim);
        mem_free(text);
        if (!term_in() && term_interrupts() > 0) {
            code = EXIT_CODE_INTERRUPT;
            break;
        }
    }
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
    struct chat chat = {.o = o, .exported = NO_VERSION, .held = NO_VERSION};
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
