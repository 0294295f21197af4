/* worker: the queues, and what each request does. */
#include "app/window/worker.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "app/conversation.h"
#include "app/store.h"
#include "app/window/brain.h"
#include "app/window/draw.h"
#include "runtime/platform.h"

struct queued {
    struct queued *next;
    unsigned number; /* 1, 2, ... */
    struct request r;
};
struct worker {
    struct platform_thread *thread;
    struct platform_mutex *mutex; /* of the queues and of `session` */
    struct platform_cond *cond;
    struct queued *first, *last;
    struct event *events, *last_event;
    struct pumice_session *session; /* to be cancelled; NULL while none answers */
    unsigned n_sent;
    atomic_uint stopped; /* requests up to this number are to stop */
    atomic_bool quit;
    void (*wake)(void);
    /* the thread's own */
    struct brain *brain; /* NULL: no model */
    struct conversation conversation;
    struct store store;
    struct configuration configuration; /* of the request that is carried out */
    char system[sizeof((struct configuration *)0)->system]; /* as last seen */
    char model[1024], wanted[1024], opened[64]; /* model: the one that is there; wanted: to be loaded last */
    bool keep;
    unsigned number; /* of the request that is carried out */
    uint64_t lost; /* version of a conversation that could not be saved, which was told */
    uint64_t saved, epoch; /* epoch: another conversation is shown */
    uint64_t begin_ns, told_ns;
    uint32_t n_tokens, n_prompt;
};

/* --- events -------------------------------------------------------------------------------------------------------- */

static struct event *event_make(enum event_kind kind)
{
    struct event *e = mem_calloc(1, sizeof *e);
    if (e != NULL) e->kind = kind;
    return e;
}

/* Texts that follow each other become one event, and so do states. */
static bool join(struct event *last, struct event *e)
{
    if (last == NULL || last->kind != e->kind) return false;
    if (e->kind == EVENT_STATE) {
        last->state = e->state;
        last->fraction = e->fraction;
        last->checking = e->checking;
        return true;
    }
    if (e->kind != EVENT_TEXT) return false;
    char *more = mem_realloc(last->text, last->n + e->n + 1, 1);
    if (more == NULL) return false;
    memcpy(more + last->n, e->text, e->n + 1);
    last->text = more;
    last->n += e->n;
    return true;
}

static void post(struct worker *w, struct event *e)
{
    if (e == NULL) return;
    platform_mutex_lock(w->mutex);
    const bool first = w->events == NULL;
    const bool joined = join(w->last_event, e);
    if (!joined) {
        if (first)
            w->events = e;
        else
            w->last_event->next = e;
        w->last_event = e;
    }
    platform_mutex_unlock(w->mutex);
    if (joined) event_free(e);
    if (first && w->wake != NULL) w->wake();
}

static void post_state(struct worker *w, enum window_state state, float fraction)
{
    struct event *e = event_make(EVENT_STATE);
    if (e == NULL) return;
    e->state = state;
    e->fraction = fraction;
    post(w, e);
}

static void post_rest(struct worker *w)
{
    post_state(w, w->brain != NULL ? STATE_IDLE : STATE_NO_MODEL, -1);
}

static void post_problem(struct worker *w, enum pumice_status st, bool loading)
{
    struct event *e = event_make(EVENT_PROBLEM);
    if (e == NULL) return;
    e->status = st;
    e->loading = loading;
    e->text = mem_strdup(pumice_error());
    post(w, e);
}

static void check(struct worker *w, enum pumice_status st)
{
    if (st != PUMICE_OK) post_problem(w, st, false);
}

static enum ending ending_of(enum answer_end end)
{
    static const enum ending endings[N_ENDS] = {[END_NONE] = ENDING_NONE,
                                                [END_EOS] = ENDING_DONE,
                                                [END_LENGTH] = ENDING_LENGTH,
                                                [END_CONTEXT] = ENDING_CONTEXT,
                                                [END_STOPPED] = ENDING_STOPPED};
    return endings[end];
}

static bool show_message(struct shown_message *out, const char *text, size_t n)
{
    out->text = mem_alloc(n + 1);
    if (out->text == NULL) return false;
    if (n > 0) memcpy(out->text, text, n);
    out->text[n] = 0;
    out->n = n;
    return true;
}

/* A copy of the conversation's system message if the view has shown another; else NULL. */
static char *other_system(struct worker *w)
{
    const struct conversation *c = &w->conversation;
    char own[sizeof w->system] = "";
    if (c->state.system != NO_MESSAGE) snprintf(own, sizeof own, "%s", c->messages[c->state.system].text);
    if (strcmp(own, w->system) == 0) return NULL;
    memcpy(w->system, own, sizeof own);
    memcpy(w->configuration.system, own, sizeof own);
    return mem_strdup(own);
}

/* The path; growing: with an empty answer at its end that will grow. */
static void post_messages(struct worker *w, bool growing)
{
    const struct conversation *c = &w->conversation;
    struct event *e = event_make(EVENT_MESSAGES);
    char title[256];
    bool unseen = c->first_seen != NO_MESSAGE, fine = e != NULL;
    if (!fine) return;
    e->messages = mem_calloc((size_t)c->n_path + 1, sizeof *e->messages);
    fine = e->messages != NULL;
    for (uint32_t i = 0; i < c->n_path && fine; i++) {
        const struct message *m = &c->messages[c->path[i]];
        struct shown_message *out = &e->messages[e->n++];
        if (c->path[i] == c->first_seen) unseen = false;
        out->key = w->epoch << 32 | c->path[i];
        out->user = m->role != ROLE_ASSISTANT;
        out->unseen = unseen;
        out->ending = ending_of(m->end);
        out->n_alternatives = conversation_alternatives(c, i, &out->alternative);
        fine = show_message(out, m->text, m->n_text);
    }
    if (growing && fine) {
        struct shown_message *out = &e->messages[e->n++];
        out->key = w->epoch << 32 | UINT32_MAX;
        out->n_alternatives = 1;
        fine = show_message(out, "", 0);
    }
    conversation_title(c, title, sizeof title);
    e->text = mem_strdup(c->id);
    e->more = mem_strdup(title);
    e->can_undo = c->state_i > 0;
    e->can_redo = c->state_i < c->n_states;
    e->path = other_system(w);
    if (fine) {
        post(w, e);
        return;
    }
    event_free(e);
    post_problem(w, err_memory("the conversation", c->n_path), false);
}

static void post_stats(struct worker *w, const struct pumice_session_stats *stats, double decode)
{
    struct event *e = event_make(EVENT_STATS);
    if (e == NULL || w->brain == NULL) {
        event_free(e);
        return;
    }
    e->used = w->n_prompt + w->n_tokens;
    e->capacity = pumice_session_capacity(w->brain->session);
    if (stats != NULL && stats->prefill_ns > 0)
        e->prefill = (double)stats->prefill_tokens * 1e9 / (double)stats->prefill_ns;
    e->decode = decode;
    post(w, e);
}

static void post_model(struct worker *w)
{
    struct event *e = event_make(EVENT_MODEL);
    struct pumice_model_info info;
    struct pumice_engine_info engine;
    char name[256];
    if (e == NULL) return;
    pumice_model_get_info(w->brain->model, &info);
    pumice_engine_get_info(w->brain->engine, &engine);
    const char *slash = strrchr(w->brain->path, '/');
    const char *shown = info.name[0] != 0 ? info.name : (slash != NULL ? slash + 1 : w->brain->path);
    snprintf(name, sizeof name, "%.200s %s", shown, info.type);
    e->text = mem_strdup(name);
    e->more = mem_strdup(engine.device.name);
    e->path = mem_strdup(w->brain->path);
    e->software = engine.device.kind == PUMICE_DEVICE_SOFTWARE;
    e->starter = w->brain->path[0] == 0;
    e->capacity = pumice_session_capacity(w->brain->session);
    post(w, e);
}

/* --- conversations ------------------------------------------------------------------------------------------------- */

static void save(struct worker *w)
{
    struct conversation *c = &w->conversation;
    if (!w->keep || c->version == w->saved || !conversation_has_turn(c) || c->version == w->lost) return;
    const enum pumice_status st = store_save(&w->store, c);
    if (st == PUMICE_OK)
        w->saved = c->version;
    else
        post_problem(w, st, false);
}

/* Whether the conversation may be put away: it is saved, or the person has been told that it cannot be, and asks again. */
static bool may_go(struct worker *w)
{
    struct conversation *c = &w->conversation;
    char why[400];
    if (!w->keep || c->version == w->saved || !conversation_has_turn(c) || c->version == w->lost) return true;
    const enum pumice_status st = store_save(&w->store, c);
    if (st == PUMICE_OK) return true;
    w->lost = c->version;
    snprintf(why, sizeof why, "%s", pumice_error());
    post_problem(w, err_set(st, "%s; this conversation is nowhere but here: the same again goes on without it", why), false);
    return false;
}

/* What was shown is gone: may_go before. */
static void replace(struct worker *w, struct conversation *next)
{
    conversation_fini(&w->conversation);
    w->conversation = *next;
    w->saved = w->conversation.version;
    w->lost = 0; /* versions are counted anew in each conversation */
    w->epoch++;
    w->n_prompt = w->n_tokens = 0;
    post_messages(w, false);
    post_stats(w, NULL, 0);
}

static void begin_new(struct worker *w)
{
    struct conversation next;
    if (!may_go(w)) return;
    conversation_init(&next);
    if (w->configuration.system[0] != 0) {
        check(w, conversation_set_system(&next, w->configuration.system, strlen(w->configuration.system)));
        next.n_states = next.state_i = 0; /* that is where undo ends */
    }
    replace(w, &next);
}

static void open_conversation(struct worker *w, const char *id)
{
    struct conversation next;
    if (strcmp(id, w->conversation.id) == 0 || !may_go(w)) return;
    conversation_init(&next);
    const enum pumice_status st = store_load(&w->store, id, &next);
    if (st == PUMICE_OK)
        replace(w, &next);
    else
        post_problem(w, st, false);
}

static void list(struct worker *w, const char *search)
{
    struct store_entry *entries = NULL;
    size_t n = 0, n_bad = 0;
    if (!w->keep) return;
    const enum pumice_status st = store_list(&w->store, search, &entries, &n, &n_bad);
    struct event *e = event_make(EVENT_LIST);
    if (st == PUMICE_OK && e != NULL) e->conversations = mem_calloc(MAX(n, 1), sizeof *e->conversations);
    for (size_t i = 0; i < n && e != NULL && e->conversations != NULL; i++) {
        struct shown_conversation *c = &e->conversations[e->n++];
        c->id = mem_strdup(entries[i].id);
        c->title = mem_strdup(entries[i].title != NULL ? entries[i].title : "");
        c->match = entries[i].match != NULL ? mem_strdup(entries[i].match) : NULL;
        c->n_messages = entries[i].n_messages;
        if (c->id == NULL || c->title == NULL) e->n = 0;
    }
    store_entries_free(entries, n);
    if (st != PUMICE_OK) post_problem(w, st, false);
    post(w, e);
}

static void drop_conversation(struct worker *w, const char *id)
{
    const bool current = strcmp(id, w->conversation.id) == 0;
    const enum pumice_status st = store_delete(&w->store, id);
    check(w, st);
    if (st == PUMICE_OK && current) {
        w->saved = w->conversation.version; /* not to be written again */
        begin_new(w);
    }
    list(w, "");
}

static void rename_conversation(struct worker *w, const char *id, const char *title)
{
    if (strcmp(id, w->conversation.id) == 0) {
        check(w, conversation_rename(&w->conversation, title));
        save(w);
        post_messages(w, false);
    } else {
        check(w, store_rename(&w->store, id, title));
    }
    list(w, "");
}

/* --- the model ----------------------------------------------------------------------------------------------------- */

static void send_devices(struct worker *w);

static void request_free(struct queued *q)
{
    mem_free(q->r.text);
    mem_free(q->r.more);
    mem_free(q);
}

/* Requests that only look, first in the queue, while a model loads or answers, which may take minutes. */
static void serve_looks(struct worker *w)
{
    for (;;) {
        platform_mutex_lock(w->mutex);
        struct queued *q = w->first;
        if (q != NULL && q->r.kind != REQUEST_LIST && q->r.kind != REQUEST_DEVICES) q = NULL;
        if (q != NULL) w->first = q->next;
        if (w->first == NULL) w->last = NULL;
        platform_mutex_unlock(w->mutex);
        if (q == NULL) return;
        if (q->r.kind == REQUEST_LIST)
            list(w, q->r.text != NULL ? q->r.text : "");
        else
            send_devices(w);
        request_free(q);
    }
}

static bool goes_on(void *user)
{
    struct worker *w = user;
    serve_looks(w);
    return atomic_load(&w->stopped) < w->number && !atomic_load(&w->quit);
}

static bool on_load(void *user, const char *stage, float fraction)
{
    struct worker *w = user;
    struct event *e = event_make(EVENT_STATE);
    if (e != NULL) {
        e->state = STATE_LOADING;
        e->fraction = fraction;
        e->checking = strcmp(stage, "load") != 0;
        post(w, e);
    }
    return goes_on(w);
}

/* What there is of the model while another one is open: not enough, or less than it would be alone. */
static bool wants_more(enum pumice_status st, const struct brain *next)
{
    struct pumice_engine_info info;
    if (st != PUMICE_OK) return st == PUMICE_MEMORY;
    pumice_engine_get_info(next->engine, &info);
    return info.n_ctx_cut;
}

/* The new one is opened beside the old one, so that this stays when it fails; where memory does not hold both, the old
 * one is let go first, and fetched back. */
static enum pumice_status load(struct worker *w, const char *path)
{
    struct brain *next = NULL;
    char failed[600] = ""; /* why, where the old one was fetched back */
    enum pumice_status failure = PUMICE_OK;
    if (path != w->wanted) snprintf(w->wanted, sizeof w->wanted, "%s", path);
    post_state(w, STATE_LOADING, -1);
    enum pumice_status st = brain_open(path, &w->configuration, on_load, w, &next);
    if (w->brain != NULL && wants_more(st, next)) {
        brain_close(next);
        next = NULL;
        char before[sizeof w->brain->path];
        memcpy(before, w->brain->path, sizeof before);
        brain_close(w->brain);
        w->brain = NULL;
        st = brain_open(path, &w->configuration, on_load, w, &next);
        if (st != PUMICE_OK) {
            failure = st;
            snprintf(failed, sizeof failed, "%s", pumice_error());
            st = brain_open(before, &w->configuration, on_load, w, &next);
        }
    }
    if (st != PUMICE_OK) {
        post_problem(w, st, true);
        return st;
    }
    brain_close(w->brain);
    w->brain = next;
    w->n_prompt = w->n_tokens = 0;
    snprintf(w->model, sizeof w->model, "%s", next->path);
    post_model(w);
    struct pumice_engine_info info;
    pumice_engine_get_info(next->engine, &info);
    if (next->note[0] != 0) post_problem(w, err_set(PUMICE_UNSUPPORTED, "%s", next->note), false);
    if (info.warning[0] != 0) post_problem(w, err_set(PUMICE_UNSUPPORTED, "%s", info.warning), false);
    if (failed[0] != 0) post_problem(w, err_set(failure, "%s", failed), true); /* after the model, whose coming ends such problems */
    return PUMICE_OK;
}

static bool on_prompt(void *user, size_t done, size_t total)
{
    struct worker *w = user;
    if (total > 64) post_state(w, STATE_PREFILL, (float)done / (float)total);
    return goes_on(w);
}

static bool on_text(void *user, const char *text, size_t n)
{
    struct worker *w = user;
    const uint64_t now = platform_now_ns();
    struct event *e = event_make(EVENT_TEXT);
    if (e == NULL) return true;
    e->text = mem_alloc(n + 1);
    if (e->text == NULL) {
        event_free(e);
        return true;
    }
    if (w->n_tokens++ == 0) {
        w->begin_ns = w->told_ns = now;
        post_state(w, STATE_GENERATING, -1);
    }
    memcpy(e->text, text, n);
    e->text[n] = 0;
    e->n = n;
    post(w, e);
    if (now - w->told_ns > 300000000u) {
        w->told_ns = now;
        post_stats(w, NULL, (double)(w->n_tokens - 1) * 1e9 / (double)(now - w->begin_ns));
    }
    return goes_on(w);
}

static void set_session(struct worker *w, struct pumice_session *session)
{
    platform_mutex_lock(w->mutex);
    w->session = session;
    platform_mutex_unlock(w->mutex);
}

static enum pumice_status plan(struct worker *w, bool open_ended, struct conversation_plan *out)
{
    const struct configuration *c = &w->configuration;
    const size_t capacity = pumice_session_capacity(w->brain->session);
    const struct conversation_limits limits = {.capacity = capacity,
                                               .reserve = MIN((size_t)MAX(c->max_tokens, 1), capacity / 4),
                                               .max_history = (size_t)MAX(c->history, 0),
                                               .open_ended = open_ended};
    const enum pumice_status st = conversation_plan(&w->conversation, &w->brain->format, &limits, out);
    if (st != PUMICE_OK || !out->full) return st;
    struct event *e = event_make(EVENT_FORGOT);
    if (e != NULL) e->n = out->n_dropped;
    post(w, e);
    return st;
}

/* Answers the head, or goes on with it. A question whose answer failed stays: it can be answered again. */
static void answer(struct worker *w, bool open_ended)
{
    enum pumice_status st = PUMICE_OK;
    struct conversation_plan p = {0};
    struct answer a = {0};
    post_state(w, STATE_PREFILL, -1);
    save(w); /* the question is safe before the answer begins */
    w->n_tokens = 0;
    if (w->brain == NULL) TRY(err_set(PUMICE_ARGUMENT, "no model is loaded; open one, then answer again"));
    TRY(plan(w, open_ended, &p));
    w->n_prompt = (uint32_t)p.prompt.ids.n;
    post_messages(w, !open_ended);
    set_session(w, w->brain->session);
    struct answer_params params = brain_params(w->brain, &w->configuration);
    params.on_prompt = on_prompt;
    params.on_text = on_text;
    params.goes_on = goes_on;
    params.user = w;
    st = answer_run(w->brain->session, &w->brain->vocab, p.prompt.ids.data, p.prompt.ids.n, &params, &a);
    set_session(w, NULL);
    TRY(st);
    w->n_tokens = (uint32_t)a.ids.n;
    const enum answer_end end = answer_end_of(a.result.stop);
    if (open_ended)
        st = conversation_extend(&w->conversation, &w->brain->vocab, a.text, a.n_text, &a.ids, end);
    else
        st = conversation_answer(&w->conversation, a.text, a.n_text, &a.ids, w->brain->vocab.hash, end);
fail:
    if (st != PUMICE_OK && st != PUMICE_CANCELLED) post_problem(w, st, false);
    if (st == PUMICE_OK)
        post_stats(w, &a.stats,
                   a.stats.decode_ns > 0 ? (double)a.stats.decode_tokens * 1e9 / (double)a.stats.decode_ns : 0);
    conversation_plan_fini(&p);
    answer_fini(&a);
    save(w);
    post_messages(w, false);
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

static void send_devices(struct worker *w)
{
    struct pumice_device_info devices[16];
    size_t n = COUNT_OF(devices), to = 0;
    char names[16 * 260] = "";
    if (pumice_devices(NULL, devices, &n) != PUMICE_OK) return;
    for (size_t i = 0; i < MIN(n, COUNT_OF(devices)); i++) {
        const struct pumice_device_info *d = &devices[i];
        const char *value = d->kind == PUMICE_DEVICE_CPU ? "cpu" : d->name;
        char label[128];
        unsigned twin = 1; /* of those with one name, the others are chosen by UUID */
        for (size_t j = 0; j < i; j++) twin += strcmp(devices[j].name, d->name) == 0;
        if (!d->usable || to + 260 > sizeof names) continue;
        snprintf(label, sizeof label, twin > 1 ? "%.100s (%u)" : "%.100s", value, twin);
        to = str_append(names, sizeof names, to, "%.120s\t%s\n", twin > 1 ? d->uuid : value, label);
    }
    struct event *e = event_make(EVENT_DEVICES);
    if (e != NULL) e->text = mem_strdup(names);
    post(w, e);
}

static bool head_is_question(const struct conversation *c)
{
    return c->state.head != NO_MESSAGE && c->messages[c->state.head].role == ROLE_USER;
}

static void edit(struct worker *w, const struct request *r)
{
    struct conversation *c = &w->conversation;
    if (r->index >= c->n_path) return;
    const bool question = c->messages[c->path[r->index]].role == ROLE_USER;
    const enum pumice_status st = conversation_edit(c, r->index, r->text, r->n_text);
    if (st != PUMICE_OK)
        post_problem(w, st, false);
    else if (question)
        answer(w, false);
}

/* What moves the head and needs no model. */
static enum pumice_status move(struct worker *w, const struct request *r)
{
    struct conversation *c = &w->conversation;
    switch (r->kind) {
    case REQUEST_BRANCH:
        return conversation_branch(c, r->index);
    case REQUEST_DELETE:
        return conversation_branch(c, r->index > 0 ? r->index - 1 : UINT32_MAX);
    case REQUEST_SWITCH:
        return conversation_switch(c, r->index, r->other);
    case REQUEST_UNDO:
        (void)conversation_undo(c);
        return PUMICE_OK;
    case REQUEST_REDO:
        (void)conversation_redo(c);
        return PUMICE_OK;
    default:
        return PUMICE_OK;
    }
}

static void configure(struct worker *w, const struct configuration *next)
{
    struct conversation *c = &w->conversation;
    w->configuration = *next;
    if (strcmp(next->system, w->system) == 0) return;
    snprintf(w->system, sizeof w->system, "%s", next->system);
    check(w, conversation_set_system(c, next->system, strlen(next->system)));
}

static void carry_out(struct worker *w, const struct request *r)
{
    struct conversation *c = &w->conversation;
    const char *text = r->text != NULL ? r->text : "";
    enum pumice_status st = PUMICE_OK;
    switch (r->kind) {
    case REQUEST_SEND: /* many templates want questions and answers in turn: beside a question without one, not after it */
        st = head_is_question(c) ? conversation_edit(c, c->n_path - 1, text, r->n_text)
                                 : conversation_add(c, ROLE_USER, text, r->n_text);
        if (st == PUMICE_OK) post_messages(w, false);
        if (st == PUMICE_OK) answer(w, false);
        break;
    case REQUEST_REGENERATE:
        st = conversation_regenerate(c);
        if (st == PUMICE_OK) answer(w, false);
        break;
    case REQUEST_CONTINUE:
        if (c->state.head != NO_MESSAGE && !head_is_question(c)) answer(w, true);
        break;
    case REQUEST_EDIT:
        edit(w, r);
        break;
    case REQUEST_NEW:
        begin_new(w);
        break;
    case REQUEST_OPEN:
        open_conversation(w, text);
        break;
    case REQUEST_RENAME:
        rename_conversation(w, text, r->more != NULL ? r->more : "");
        return;
    case REQUEST_DROP:
        drop_conversation(w, text);
        return;
    case REQUEST_LIST:
        list(w, text);
        return;
    case REQUEST_DEVICES:
        send_devices(w);
        return;
    case REQUEST_MODEL:
    case REQUEST_RETRY:
        st = load(w, r->kind == REQUEST_RETRY ? w->wanted : text);
        if (st == PUMICE_OK && r->kind == REQUEST_RETRY && head_is_question(c)) answer(w, false);
        post_rest(w);
        return;
    default:
        st = move(w, r);
        break;
    }
    if (st != PUMICE_OK) post_problem(w, st, false);
    save(w);
    post_messages(w, false);
    post_rest(w);
}

static struct queued *take(struct worker *w)
{
    platform_mutex_lock(w->mutex);
    while (w->first == NULL && !atomic_load(&w->quit)) platform_cond_wait(w->cond, w->mutex);
    struct queued *q = w->first;
    if (q != NULL) w->first = q->next;
    if (w->first == NULL) w->last = NULL;
    platform_mutex_unlock(w->mutex);
    return q;
}

static void begin(struct worker *w)
{
    if (w->keep) {
        const enum pumice_status st = store_open(&w->store);
        if (st != PUMICE_OK) {
            w->keep = false;
            post_problem(w, st, false);
        }
    }
    if (w->keep && w->opened[0] != 0) {
        struct conversation last;
        conversation_init(&last);
        if (store_load(&w->store, w->opened, &last) == PUMICE_OK)
            replace(w, &last);
        else
            w->opened[0] = 0; /* deleted, or open in another window: a new one */
    }
    if (w->conversation.n_messages == 0) begin_new(w);
    (void)load(w, w->model);
    post_rest(w);
}

static void run(void *user)
{
    struct worker *w = user;
    w->number = 1; /* loading is the first */
    begin(w);
    for (struct queued *q; !atomic_load(&w->quit) && (q = take(w)) != NULL; request_free(q)) {
        configure(w, &q->r.configuration);
        w->number = q->number;
        carry_out(w, &q->r);
    }
    w->lost = 0; /* once more: there may be room by now */
    save(w);
    brain_close(w->brain);
    conversation_fini(&w->conversation);
    if (w->keep) store_close(&w->store);
    post(w, event_make(EVENT_QUIT));
}

enum pumice_status worker_start(const struct worker_params *params, struct worker **out)
{
    enum pumice_status st = PUMICE_OK;
    struct worker *w = mem_calloc(1, sizeof *w);
    *out = NULL;
    if (w == NULL) return err_memory("the worker", sizeof *w);
    w->wake = params->wake;
    w->n_sent = 1;
    w->keep = params->keep;
    w->configuration = params->configuration;
    snprintf(w->system, sizeof w->system, "%s", params->configuration.system);
    snprintf(w->model, sizeof w->model, "%s", params->model != NULL ? params->model : "");
    snprintf(w->opened, sizeof w->opened, "%s", params->conversation != NULL ? params->conversation : "");
    conversation_init(&w->conversation);
    TRY(platform_mutex_create(&w->mutex));
    TRY(platform_cond_create(&w->cond));
    TRY(platform_thread_create(run, w, &w->thread));
    *out = w;
    return PUMICE_OK;
fail:
    worker_finish(w);
    return st;
}

void worker_send(struct worker *w, const struct request *r)
{
    struct queued *q = mem_calloc(1, sizeof *q);
    if (q == NULL) return;
    q->r = *r;
    q->r.text = mem_alloc(r->n_text + 1);
    q->r.more = r->more != NULL ? mem_strdup(r->more) : NULL;
    if (q->r.text == NULL) {
        request_free(q);
        return;
    }
    if (r->n_text > 0) memcpy(q->r.text, r->text, r->n_text);
    q->r.text[r->n_text] = 0;
    platform_mutex_lock(w->mutex);
    q->number = ++w->n_sent;
    if (w->last != NULL)
        w->last->next = q;
    else
        w->first = q;
    w->last = q;
    platform_cond_broadcast(w->cond);
    platform_mutex_unlock(w->mutex);
}

void worker_stop(struct worker *w)
{
    platform_mutex_lock(w->mutex);
    atomic_store(&w->stopped, w->n_sent);
    if (w->session != NULL) pumice_session_cancel(w->session);
    platform_mutex_unlock(w->mutex);
}

struct event *worker_next(struct worker *w)
{
    platform_mutex_lock(w->mutex);
    struct event *e = w->events;
    if (e != NULL) w->events = e->next;
    if (w->events == NULL) w->last_event = NULL;
    platform_mutex_unlock(w->mutex);
    if (e != NULL) e->next = NULL;
    return e;
}

void worker_finish(struct worker *w)
{
    if (w == NULL) return;
    if (w->thread != NULL) {
        atomic_store(&w->quit, true);
        worker_stop(w);
        platform_mutex_lock(w->mutex);
        platform_cond_broadcast(w->cond);
        platform_mutex_unlock(w->mutex);
        platform_thread_join(w->thread);
    }
    while (w->first != NULL) {
        struct queued *q = w->first;
        w->first = q->next;
        request_free(q);
    }
    for (struct event *e; w->mutex != NULL && (e = worker_next(w)) != NULL;) event_free(e);
    platform_cond_destroy(w->cond);
    platform_mutex_destroy(w->mutex);
    mem_free(w);
}
