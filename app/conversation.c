/* conversation: the tree of messages and the operations on it; what the model sees is plan.c's work. */
#include "app/conversation.h"

#include <string.h>
#include <time.h>

#include "app/json.h"

const char *role_name(enum role role)
{
    static const char *const names[N_ROLES] = {"system", "user", "assistant", "tool"};
    return role < N_ROLES ? names[role] : "?";
}

bool role_find(struct str name, enum role *out)
{
    for (enum role r = ROLE_SYSTEM; r < N_ROLES; r++)
        if (str_eqz(name, role_name(r))) {
            *out = r;
            return true;
        }
    return false;
}

enum answer_end answer_end_of(enum pumice_stop stop)
{
    static const enum answer_end ends[] = {[PUMICE_STOP_EOS] = END_EOS,
                                           [PUMICE_STOP_LENGTH] = END_LENGTH,
                                           [PUMICE_STOP_CONTEXT] = END_CONTEXT,
                                           [PUMICE_STOP_CANCELLED] = END_STOPPED};
    return ends[stop];
}

const char *answer_end_name(enum answer_end end)
{
    static const char *const names[N_ENDS] = {"none", "eos", "length", "context", "stopped"};
    return end < N_ENDS ? names[end] : "?";
}

/* --- building blocks -------------------------------------------------------------------------------------------- */

static enum pumice_status copy_text(const char *text, size_t n, char **out, size_t *n_out)
{
    *out = utf8_copy(text, n, n_out);
    return *out != NULL ? PUMICE_OK : err_memory("a message", n);
}

static void message_fini(struct message *m)
{
    mem_free(m->text);
    mem_free(m->extra);
    ids_fini(&m->ids);
    memset(m, 0, sizeof *m);
}

static int64_t now_ms(void)
{
    struct timespec now = {0};
    (void)timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void changed(struct conversation *c)
{
    c->version++;
    c->updated_ms = now_ms();
}

void conversation_init(struct conversation *c)
{
    memset(c, 0, sizeof *c);
    c->state = (struct conversation_state){NO_MESSAGE, NO_MESSAGE, 0};
    c->first_seen = NO_MESSAGE;
    c->created_ms = c->updated_ms = now_ms();
}

void conversation_fini(struct conversation *c)
{
    for (uint32_t i = 0; i < c->n_messages; i++) message_fini(&c->messages[i]);
    mem_free(c->messages);
    mem_free(c->path);
    mem_free(c->states);
    mem_free(c->title);
    conversation_init(c);
}

/* Room for one more message, one more step and a path through all messages, so that what follows cannot fail. */
static enum pumice_status reserve(struct conversation *c)
{
    if (c->n_messages == c->capacity) {
        const uint32_t capacity = MAX(c->capacity * 2, 16u);
        if (capacity <= c->capacity) return err_set(PUMICE_ARGUMENT, "the conversation has too many messages");
        struct message *messages = mem_realloc(c->messages, capacity, sizeof *messages);
        if (messages == NULL) return err_memory("the conversation", capacity * sizeof *messages);
        c->messages = messages;
        uint32_t *path = mem_realloc(c->path, capacity, sizeof *path);
        if (path == NULL) return err_memory("the conversation", capacity * sizeof *path);
        c->path = path;
        c->capacity = capacity;
    }
    if (c->state_i + 1 >= c->states_capacity) {
        const size_t capacity = MAX(c->states_capacity * 2, (size_t)16);
        struct conversation_state *states = mem_realloc(c->states, capacity, sizeof *states);
        if (states == NULL) return err_memory("the conversation", capacity * sizeof *states);
        c->states = states;
        c->states_capacity = capacity;
    }
    c->n_before = c->n_messages;
    return PUMICE_OK;
}

/* Path and what is seen of it, after the state changed. */
static void follow(struct conversation *c)
{
    uint32_t n = 0;
    bool seen = false;
    for (uint32_t i = c->state.head; i != NO_MESSAGE; i = c->messages[i].parent) n++;
    c->n_path = n;
    for (uint32_t i = c->state.head; i != NO_MESSAGE; i = c->messages[i].parent) {
        c->path[--n] = i;
        seen = seen || i == c->first_seen;
    }
    if (!seen) c->first_seen = NO_MESSAGE;
    changed(c);
}

/* A new step for undo. Needs room (reserve). */
static void move(struct conversation *c, uint32_t head, uint32_t system)
{
    c->state.n_then = c->n_before;
    c->states[c->state_i++] = c->state;
    c->n_states = c->state_i;
    c->state = (struct conversation_state){head, system, 0};
    follow(c);
}

static enum pumice_status put(struct conversation *c, enum role role, uint32_t parent, const char *text, size_t n,
                              const struct ids *ids, uint64_t vocab, enum answer_end end, uint32_t *index)
{
    enum pumice_status st = PUMICE_OK;
    struct message m = {.role = role, .end = end, .parent = parent, .vocab = vocab, .time_ms = now_ms()};
    TRY(reserve(c));
    TRY(copy_text(text, n, &m.text, &m.n_text));
    if (ids != NULL) TRY(ids_append_all(&m.ids, ids->data, ids->n));
    *index = c->n_messages;
    c->messages[c->n_messages++] = m;
    return PUMICE_OK;
fail:
    message_fini(&m);
    return st;
}

/* --- operations -------------------------------------------------------------------------------------------------- */

enum pumice_status conversation_add(struct conversation *c, enum role role, const char *text, size_t n)
{
    uint32_t i = 0;
    const enum pumice_status st = put(c, role, c->state.head, text, n, NULL, 0, END_NONE, &i);
    if (st == PUMICE_OK) move(c, i, c->state.system);
    return st;
}

enum pumice_status conversation_answer(struct conversation *c, const char *text, size_t n, const struct ids *ids,
                                       uint64_t vocab, enum answer_end end)
{
    uint32_t i = 0;
    const enum pumice_status st = put(c, ROLE_ASSISTANT, c->state.head, text, n, ids, vocab, end, &i);
    if (st != PUMICE_OK) return st;
    c->state.head = i;
    follow(c);
    return PUMICE_OK;
}

static enum pumice_status no_answer(void)
{
    return err_set(PUMICE_ARGUMENT, "there is no answer yet; ask something first");
}

enum pumice_status conversation_extend(struct conversation *c, const struct vocab *vocab, const char *text, size_t n,
                                       const struct ids *ids, enum answer_end end)
{
    enum pumice_status st = PUMICE_OK;
    struct message *m = c->state.head != NO_MESSAGE ? &c->messages[c->state.head] : NULL;
    struct message longer = {0};
    if (m == NULL || m->role != ROLE_ASSISTANT) return no_answer();
    if (m->ids.n > 0 && m->vocab == vocab->hash) {
        TRY(ids_append_all(&longer.ids, m->ids.data, m->ids.n));
        TRY(ids_append_all(&longer.ids, ids->data, ids->n));
        TRY(tokenizer_decode(vocab->tokenizer, longer.ids.data, longer.ids.n, true, &longer.text, &longer.n_text));
    } else {
        longer.n_text = m->n_text + n;
        longer.text = mem_alloc(longer.n_text + 1);
        if (longer.text == NULL) TRY(err_memory("the answer", longer.n_text));
        memcpy(longer.text, m->text, m->n_text);
        memcpy(longer.text + m->n_text, text, n + 1);
    }
    mem_free(m->text);
    ids_fini(&m->ids);
    m->text = longer.text;
    m->n_text = longer.n_text;
    m->ids = longer.ids;
    m->vocab = vocab->hash;
    m->end = end;
    changed(c);
    return PUMICE_OK;
fail:
    message_fini(&longer);
    return st;
}

enum pumice_status conversation_set_system(struct conversation *c, const char *text, size_t n)
{
    uint32_t i = NO_MESSAGE;
    enum pumice_status st = reserve(c);
    if (st == PUMICE_OK && n > 0) st = put(c, ROLE_SYSTEM, NO_MESSAGE, text, n, NULL, 0, END_NONE, &i);
    if (st == PUMICE_OK) move(c, c->state.head, i);
    return st;
}

enum pumice_status conversation_regenerate(struct conversation *c)
{
    uint32_t head = c->state.head;
    while (head != NO_MESSAGE && c->messages[head].role == ROLE_ASSISTANT) head = c->messages[head].parent;
    if (head == NO_MESSAGE) return no_answer();
    const enum pumice_status st = reserve(c);
    if (st == PUMICE_OK) move(c, head, c->state.system);
    return st;
}

static enum pumice_status check_place(const struct conversation *c, uint32_t path_i)
{
    if (path_i < c->n_path) return PUMICE_OK;
    if (c->n_path == 0) return err_set(PUMICE_ARGUMENT, "there is no message yet");
    return err_set(PUMICE_ARGUMENT, "there is no message %u; they are numbered 1 to %u", path_i + 1, c->n_path);
}

enum pumice_status conversation_edit(struct conversation *c, uint32_t path_i, const char *text, size_t n)
{
    uint32_t i = 0;
    enum pumice_status st = check_place(c, path_i);
    if (st != PUMICE_OK) return st;
    const struct message old = c->messages[c->path[path_i]];
    st = put(c, old.role, old.parent, text, n, NULL, 0, END_NONE, &i);
    if (st == PUMICE_OK) move(c, i, c->state.system);
    return st;
}

enum pumice_status conversation_branch(struct conversation *c, uint32_t path_i)
{
    enum pumice_status st = path_i == UINT32_MAX ? PUMICE_OK : check_place(c, path_i);
    if (st == PUMICE_OK) st = reserve(c);
    if (st == PUMICE_OK) move(c, path_i == UINT32_MAX ? NO_MESSAGE : c->path[path_i], c->state.system);
    return st;
}

uint32_t conversation_alternatives(const struct conversation *c, uint32_t path_i, uint32_t *which)
{
    const uint32_t at = c->path[path_i], parent = c->messages[at].parent;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_messages; i++) {
        if (c->messages[i].parent != parent || c->messages[i].role == ROLE_SYSTEM) continue;
        if (i == at) *which = n;
        n++;
    }
    return n;
}

/* The newest message below `from`: each step goes to the youngest child. */
static uint32_t newest_below(const struct conversation *c, uint32_t from)
{
    for (uint32_t i = c->n_messages; i-- > from + 1;) /* a child's index is larger than its parent's */
        for (uint32_t at = i; at != NO_MESSAGE && at >= from; at = c->messages[at].parent)
            if (at == from) return i;
    return from;
}

enum pumice_status conversation_switch(struct conversation *c, uint32_t path_i, uint32_t k)
{
    uint32_t which = 0;
    enum pumice_status st = check_place(c, path_i);
    if (st != PUMICE_OK) return st;
    const uint32_t n = conversation_alternatives(c, path_i, &which), parent = c->messages[c->path[path_i]].parent;
    if (k >= n)
        return err_set(PUMICE_ARGUMENT, "message %u has %u %s; there is no number %u", path_i + 1, n,
                       n == 1 ? "version" : "versions", k + 1);
    st = reserve(c);
    if (st != PUMICE_OK) return st;
    for (uint32_t i = 0; i < c->n_messages; i++)
        if (c->messages[i].parent == parent && c->messages[i].role != ROLE_SYSTEM && k-- == 0) {
            move(c, newest_below(c, i), c->state.system);
            break;
        }
    return PUMICE_OK;
}

/* Swaps the state and the kept one at `i`. */
static void swap(struct conversation *c, size_t i)
{
    const struct conversation_state now = {c->state.head, c->state.system, c->states[i].n_then};
    c->state = c->states[i];
    c->states[i] = now;
    follow(c);
}

bool conversation_undo(struct conversation *c)
{
    if (c->state_i == 0) return false;
    swap(c, --c->state_i); /* the place of the step keeps what redo brings back */
    return true;
}

bool conversation_redo(struct conversation *c)
{
    if (c->state_i == c->n_states) return false;
    swap(c, c->state_i++);
    return true;
}

void conversation_revert(struct conversation *c)
{
    if (!conversation_undo(c)) return;
    c->n_states = c->state_i;
    while (c->n_messages > c->states[c->state_i].n_then) message_fini(&c->messages[--c->n_messages]);
}

/* --- title ------------------------------------------------------------------------------------------------------- */

bool conversation_has_turn(const struct conversation *c)
{
    uint32_t i = 0;
    while (i < c->n_messages && c->messages[i].role == ROLE_SYSTEM) i++;
    return i < c->n_messages;
}

void conversation_title(const struct conversation *c, char *out, size_t out_bytes)
{
    enum { MAX_CHARACTERS = 60 };
    struct str text = c->title != NULL ? str_of(c->title) : (struct str){"", 0};
    for (uint32_t i = 0; c->title == NULL && i < c->n_messages; i++)
        if (c->messages[i].role == ROLE_USER) {
            text = (struct str){c->messages[i].text, c->messages[i].n_text};
            break;
        }
    while (text.n > 0 && (unsigned char)text.data[0] <= ' ') text.data++, text.n--;
    size_t n = 0, n_characters = 0;
    while (n < text.n && text.data[n] != '\n' && n_characters < MAX_CHARACTERS) {
        uint32_t code = 0;
        n += MAX(utf8_decode(text.data + n, text.n - n, &code), (size_t)1);
        n_characters++;
    }
    (void)str_escape((struct str){text.data, n}, out, out_bytes);
}

enum pumice_status conversation_rename(struct conversation *c, const char *title)
{
    char *copy = NULL;
    size_t n = 0;
    const enum pumice_status st = title[0] != 0 ? copy_text(title, strlen(title), &copy, &n) : PUMICE_OK;
    if (st != PUMICE_OK) return st;
    mem_free(c->title);
    c->title = copy;
    changed(c);
    return PUMICE_OK;
}

/* --- for the store and for import -------------------------------------------------------------------------------- */

enum pumice_status conversation_put(struct conversation *c, const struct message *message, uint32_t *index)
{
    if (message->parent != NO_MESSAGE && message->parent >= c->n_messages)
        return err_set(PUMICE_FORMAT, "message %u comes after message %u, which is not there", c->n_messages,
                       message->parent);
    char *extra = message->extra != NULL ? mem_strdup(message->extra) : NULL;
    if (message->extra != NULL && extra == NULL) return err_memory("a message", strlen(message->extra));
    const enum pumice_status st = put(c, message->role, message->parent, message->text, message->n_text,
                                      &message->ids, message->vocab, message->end, index);
    if (st != PUMICE_OK) {
        mem_free(extra);
        return st;
    }
    c->messages[*index].extra = extra;
    c->messages[*index].time_ms = message->time_ms;
    return PUMICE_OK;
}

enum pumice_status conversation_set_state(struct conversation *c, struct conversation_state state)
{
    const bool head_ok = state.head == NO_MESSAGE ||
                         (state.head < c->n_messages && c->messages[state.head].role != ROLE_SYSTEM);
    const bool system_ok = state.system == NO_MESSAGE ||
                           (state.system < c->n_messages && c->messages[state.system].role == ROLE_SYSTEM);
    if (!head_ok || !system_ok)
        return err_set(PUMICE_FORMAT, "the conversation's %s is not one of its messages",
                       head_ok ? "system message" : "last message");
    c->state = state;
    c->first_seen = NO_MESSAGE;
    follow(c);
    return PUMICE_OK;
}
