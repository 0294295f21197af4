/* session: one timeline: tokens, KV cache, recorded plans. See pumice.h.
 *
 * Invariant: n_kv <= n_tokens <= capacity; the KV of tokens[0..n_kv) is in the cache. Only generate leaves n_kv one short
 * of n_tokens. logits_ready: the logits are those after tokens[n_tokens - 1]. */
#include "engine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PLANS = 6 }; /* of an answer: chunks of two sizes, the draw, the logits after it, the last token again */

struct session_plan {
    struct plan *plan; /* NULL: free */
    uint32_t T;
    uint32_t top_k; /* of the draw at its end; 0: the logits go to the host */
    uint64_t used_at;
};

/* Tokens that generate lets the device draw before it knows whether they are wanted. */
enum { MAX_STARTS = 2, MAX_DRAWS = 64 };
static const uint64_t start_ns = 16000000; /* of a start; with two of them a stop takes effect within 50 ms */
_Static_assert(MAX_STARTS * MAX_DRAWS <= SAMPLE_RING, "ids are not overwritten before they are taken");

/* Draws of one generate: taken <= done <= started. */
struct ahead {
    uint32_t started, done, taken;
    struct {
        uint64_t ticket, at_ns;
        uint32_t n;
    } starts[MAX_STARTS]; /* not done, oldest first */
    uint32_t n_starts;
    uint64_t done_at_ns; /* the start before */
    bool cancelled;      /* inside a draw: nothing that was computed since the last token taken counts */
};

struct pumice_session {
    struct pumice_engine *engine;
    struct kv kv;
    struct buf logits; /* [V], readable by the host */
    int32_t *tokens;   /* [capacity] */
    size_t n_tokens, n_kv;
    bool logits_ready;
    bool logits_held; /* the buffer has the logits of this timeline computed last, ready or one token old */
    struct session_plan plans[MAX_PLANS];
    uint64_t clock; /* of used_at */
    void *scratch;  /* of pumice_sample */
    struct ahead ahead;
    uint64_t token_ns; /* of a draw, measured; 0: not yet */
    struct pumice_session_stats stats;
    atomic_bool cancel;
};

/* --- life ------------------------------------------------------------------------------------------------------------- */

enum pumice_status pumice_session_open(struct pumice_engine *e, const struct pumice_session_params *params,
                                       struct pumice_session **out)
{
    enum pumice_status st = PUMICE_OK;
    const struct hparams *h = &e->model->h;
    const uint32_t C = params && params->n_ctx ? params->n_ctx : e->n_ctx;
    struct pumice_session *s = NULL;
    *out = NULL;
    TRY(engine_check(e));
    TRY(engine_check_context(e->model, C));
    s = mem_calloc(1, sizeof *s);
    if (!s) return err_memory("the session", sizeof *s);
    s->engine = e;
    s->tokens = mem_calloc(C, sizeof *s->tokens);
    s->scratch = mem_calloc(h->V, 8);
    if (!s->tokens || !s->scratch) TRY(err_memory("the session", C * sizeof *s->tokens + h->V * 8ull));
    TRY(engine_note(e, kv_create(e->backend, h, C, e->kv, &s->kv)));
    TRY(engine_note(e, e->backend->calls->buffer_create(e->backend, MEM_READBACK, h->V * 4ull, "logits out", &s->logits)));
    s->stats.kv_bytes = kv_bytes(h, C, e->kv);
    *out = s;
    return PUMICE_OK;
fail:
    pumice_session_close(s);
    return st;
}

void pumice_session_close(struct pumice_session *s)
{
    if (!s) return;
    const struct backend_calls *calls = s->engine->backend->calls;
    for (int i = 0; i < MAX_PLANS; i++) calls->plan_destroy(s->plans[i].plan);
    if (s->logits.bytes) calls->buffer_destroy(s->engine->backend, &s->logits);
    kv_destroy(&s->kv);
    mem_free(s->scratch);
    mem_free(s->tokens);
    mem_free(s);
}

uint32_t pumice_session_capacity(const struct pumice_session *s) { return s->kv.C; }

const int32_t *pumice_session_tokens(const struct pumice_session *s, size_t *n)
{
    *n = s->n_tokens;
    return s->tokens;
}

const float *pumice_session_logits(const struct pumice_session *s)
{
    if (!s->logits_ready) return NULL;
    return s->engine->backend->calls->buffer_host(s->engine->backend, s->logits);
}

uint64_t pumice_session_logits_hash(const struct pumice_session *s)
{
    if (!s->logits_held) return 0;
    const float *logits = s->engine->backend->calls->buffer_host(s->engine->backend, s->logits);
    return hash_bytes(logits, s->engine->model->h.V * sizeof *logits, 0);
}

void pumice_session_get_stats(const struct pumice_session *s, struct pumice_session_stats *out) { *out = s->stats; }
void pumice_session_cancel(struct pumice_session *s) { atomic_store(&s->cancel, true); }

/* --- one step ------------------------------------------------------------------------------------------------------------ */

/* The plan for T tokens, and for a draw from top_k candidates unless that is 0; T = 0: the logits that the device has go to the
 * host. Kept, or recorded in the place of the one not used for longest. */
static enum pumice_status plan_for(struct pumice_session *s, uint32_t T, uint32_t top_k, struct plan **out)
{
    enum pumice_status st = PUMICE_OK;
    struct pumice_engine *e = s->engine;
    const struct backend_calls *calls = e->backend->calls;
    struct session_plan *slot = &s->plans[0];
    struct plan *plan = NULL;
    char name[32];
    for (int i = 0; i < MAX_PLANS; i++) {
        struct session_plan *p = &s->plans[i];
        if (p->plan && p->T == T && p->top_k == top_k) {
            p->used_at = ++s->clock;
            *out = p->plan;
            return PUMICE_OK;
        }
        if (slot->plan && (!p->plan || p->used_at < slot->used_at)) slot = p;
    }
    calls->plan_destroy(slot->plan);
    slot->plan = NULL;
    snprintf(name, sizeof name, "forward T=%u", T);
    TRY(calls->plan_begin(e->backend, name, &plan));
    const struct activations *a = &e->activations;
    const uint32_t V = e->model->h.V;
    if (T) TRY(forward(plan, &e->model->h, &e->weights, a, &s->kv, T));
    if (top_k) TRY(op_sample(plan, "sample", a->logits, a->candidates, a->draws, a->step, V, top_k));
    else TRY(op_copy(plan, "logits", a->logits, s->logits, V * 4ull));
    TRY(calls->plan_end(plan));
    *slot = (struct session_plan){.plan = plan, .T = T, .top_k = top_k, .used_at = ++s->clock};
    *out = plan;
    return PUMICE_OK;
fail:
    calls->plan_destroy(plan);
    return engine_note(e, st);
}

static void write_step(struct pumice_session *s, uint32_t T)
{
    struct pumice_engine *e = s->engine;
    struct step *step = e->backend->calls->buffer_host(e->backend, e->activations.step);
    *step = (struct step){.past = (uint32_t)s->n_kv, .n_tokens = T};
    memcpy(step->tokens, s->tokens + s->n_kv, T * sizeof *step->tokens);
}

/* Computes T tokens, which already stand at tokens[n_kv]. Allocates nothing once its plan is recorded. cancel: NULL, or what
 * ends it half-way: CANCELLED, and none of them counts. */
static enum pumice_status run_step(struct pumice_session *s, uint32_t T, const atomic_bool *cancel)
{
    enum pumice_status st = PUMICE_OK;
    struct pumice_engine *e = s->engine;
    struct plan *plan = NULL;
    const uint64_t span = pumice_trace_begin();
    TRY(engine_check(e));
    TRY(plan_for(s, T, 0, &plan));
    pumice_trace_end("record", span);
    s->logits_held = s->logits_ready = false;
    plan->cancel = cancel;
    mem_forbid(true);
    write_step(s, T);
    st = engine_note(e, e->backend->calls->plan_run(plan));
    mem_forbid(false);
    TRY(st);
    s->n_kv += T;
    s->logits_held = true;
    s->logits_ready = s->n_kv == s->n_tokens;
fail:
    return st;
}

/* --- sync ------------------------------------------------------------------------------------------------------------------ */

static enum pumice_status check_tokens(const struct pumice_session *s, const int32_t *tokens, size_t n)
{
    const uint32_t V = s->engine->model->h.V;
    if (n == 0 || !tokens) return err_set(PUMICE_ARGUMENT, "sync needs at least one token");
    if (n > s->kv.C)
        return err_set(PUMICE_CONTEXT, "%zu tokens do not fit the context of %u; shorten the conversation or open a larger one",
                       n, s->kv.C);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= V)
            return err_set(PUMICE_ARGUMENT, "token %zu is %d; the vocabulary has ids 0 to %u", i, (int)tokens[i], V - 1);
    return PUMICE_OK;
}

/* Tokens of the next step. The last two steps share what is left: one of few tokens costs almost as much as a full one. */
static uint32_t step_tokens(size_t left, uint32_t chunk)
{
    if (left >= 2 * (size_t)chunk) return chunk;
    return (uint32_t)(left > chunk ? (left + 1) / 2 : left);
}

static enum pumice_status compute_rest(struct pumice_session *s, const int32_t *tokens, size_t n,
                                       const struct pumice_sync_callbacks *callbacks)
{
    enum pumice_status st = PUMICE_OK;
    const size_t first = s->n_kv, total = n - first;
    while (s->n_kv < n) {
        const uint32_t T = step_tokens(n - s->n_kv, s->engine->chunk);
        if (atomic_load(&s->cancel)) return err_set(PUMICE_CANCELLED, "cancelled after %zu of %zu tokens", s->n_kv - first, total);
        memcpy(s->tokens + s->n_kv, tokens + s->n_kv, T * sizeof *tokens);
        s->n_tokens = s->n_kv + T;
        st = run_step(s, T, &s->cancel);
        if (st != PUMICE_OK) s->n_tokens = s->n_kv;
        if (st == PUMICE_CANCELLED) return err_set(st, "cancelled after %zu of %zu tokens", s->n_kv - first, total);
        TRY(st);
        if (callbacks && callbacks->progress && !callbacks->progress(callbacks->user, s->n_kv - first, total))
            return err_set(PUMICE_CANCELLED, "stopped after %zu of %zu tokens", s->n_kv - first, total);
    }
fail:
    return st;
}

enum pumice_status pumice_session_sync(struct pumice_session *s, const int32_t *tokens, size_t n,
                                       const struct pumice_sync_callbacks *callbacks)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t start = platform_now_ns();
    size_t common = 0;
    s->stats.prefill_tokens = s->stats.prefill_ns = 0;
    TRY(engine_check(s->engine));
    TRY(check_tokens(s, tokens, n));
    while (common < MIN(n, s->n_kv) && tokens[common] == s->tokens[common]) common++;
    if (common == n && s->n_tokens == n && s->logits_ready) goto fail; /* nothing to do */
    if (common == n) common--;                                         /* the last one again, for its logits */
    s->n_tokens = s->n_kv = common;
    s->logits_held = s->logits_ready = false;
    const uint64_t span = pumice_trace_begin();
    st = compute_rest(s, tokens, n, callbacks);
    pumice_trace_end("sync", span);
    s->stats.prefill_tokens = s->n_kv - common;
    s->stats.prefill_ns = platform_now_ns() - start;
fail:
    atomic_store(&s->cancel, false);
    return st;
}

enum pumice_status pumice_session_rewind(struct pumice_session *s, size_t n)
{
    if (n > s->n_tokens)
        return err_set(PUMICE_ARGUMENT, "cannot rewind to %zu tokens; the session has %zu", n, s->n_tokens);
    if (n == s->n_tokens) return PUMICE_OK;
    s->n_tokens = n;
    s->n_kv = MIN(s->n_kv, n);
    s->logits_held = s->logits_ready = false;
    return PUMICE_OK;
}

/* --- generate ---------------------------------------------------------------------------------------------------------------- */

const char *pumice_stop_name(enum pumice_stop stop)
{
    static const char *const names[] = {"eos", "length", "context", "cancelled"};
    return (unsigned)stop < COUNT_OF(names) ? names[stop] : "unknown";
}

static bool is_stop(const struct pumice_generate_params *p, int32_t id)
{
    for (size_t i = 0; i < p->n_stop_tokens; i++)
        if (p->stop_tokens[i] == id) return true;
    return false;
}

/* How many draws the device gets at a time, and how many times before the first is waited for. One where the processor computes:
 * nothing is gained there, and its speed changes with what else it does. */
static uint32_t draws_a_start(const struct pumice_session *s, uint32_t *n_starts)
{
    const uint32_t forced = s->engine->draws_a_start;
    const struct backend *b = s->engine->backend;
    const bool ahead = b->calls->runs_ahead && b->calls->runs_ahead(b) && s->token_ns;
    const uint64_t n = forced ? forced : ahead ? start_ns / s->token_ns : 1;
    *n_starts = n > 1 ? MAX_STARTS : 1;
    return (uint32_t)MAX(1u, MIN(n, (uint64_t)MAX_DRAWS));
}

/* Starts n more draws behind those that are started. */
static enum pumice_status start_draws(struct pumice_session *s, const struct pumice_sampling *sampling, uint32_t n)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = s->engine->backend;
    struct ahead *a = &s->ahead;
    struct draws *d = b->calls->buffer_host(b, s->engine->activations.draws);
    struct plan *plan = NULL;
    uint64_t ticket = 0;
    TRY(plan_for(s, 1, sample_k(sampling), &plan));
    plan->cancel = &s->cancel;
    mem_forbid(true);
    if (a->started == 0) {
        write_step(s, 1);
        sample_setup(sampling, d);
        d->n = 0;
    }
    for (uint32_t i = a->started; i < a->started + n; i++) /* the answer's draw 0 was the host's */
        d->uniform[i % SAMPLE_RING] = sample_uniform(sampling->seed, i + 1ull);
    st = engine_note(s->engine, b->calls->plan_start(plan, n, &ticket));
    mem_forbid(false);
    s->logits_held = s->logits_ready = false;
    a->cancelled = st == PUMICE_CANCELLED;
    TRY(st);
    a->starts[a->n_starts].ticket = ticket;
    a->starts[a->n_starts].at_ns = platform_now_ns();
    a->starts[a->n_starts++].n = n;
    a->started += n;
fail:
    return st;
}

static enum pumice_status wait_oldest(struct pumice_session *s)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = s->engine->backend;
    struct ahead *a = &s->ahead;
    const uint32_t n = a->starts[0].n;
    const uint64_t begin = MAX(a->starts[0].at_ns, a->done_at_ns), ticket = a->starts[0].ticket;
    a->n_starts--;
    memmove(a->starts, a->starts + 1, a->n_starts * sizeof *a->starts);
    TRY(engine_note(s->engine, b->calls->plan_wait(b, ticket)));
    a->done += n;
    a->done_at_ns = platform_now_ns();
    const uint64_t token_ns = MAX((a->done_at_ns - begin) / n, (uint64_t)1);
    s->token_ns = s->token_ns ? (3 * s->token_ns + token_ns) / 4 : token_ns;
fail:
    return st;
}

/* The next token drawn by the device, at most n_wanted with this. Afterwards the KV of all tokens is there. */
static enum pumice_status device_draw(struct pumice_session *s, const struct pumice_sampling *sampling, uint32_t n_wanted, int32_t *id)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = s->engine->backend;
    struct ahead *a = &s->ahead;
    uint32_t n_starts, n = draws_a_start(s, &n_starts);
    while (a->n_starts < n_starts && a->started - a->taken < n_wanted) {
        const uint32_t left = n_wanted - (a->started - a->taken);
        if (a->started - a->taken + MIN(n, left) > SAMPLE_RING) break;
        TRY(start_draws(s, sampling, MIN(n, left)));
    }
    if (a->taken == a->done) TRY(wait_oldest(s));
    const struct draws *d = b->calls->buffer_host(b, s->engine->activations.draws);
    *id = (int32_t)d->ids[a->taken++ % SAMPLE_RING];
    s->n_kv++;
    s->stats.decode_tokens++;
fail:
    return st;
}

/* After the device drew: waits for what is still computed, and brings the logits to the host that the last token taken was
 * drawn from. When tokens after it were computed, for nothing, that token is computed once more. */
static enum pumice_status settle(struct pumice_session *s)
{
    enum pumice_status st = PUMICE_OK;
    struct ahead *a = &s->ahead;
    struct plan *plan = NULL;
    while (a->n_starts) TRY(wait_oldest(s));
    if (a->started == 0 || a->cancelled) return PUMICE_OK;
    if (a->taken != a->started) {
        s->n_kv--;
        st = run_step(s, 1, NULL);
        if (st != PUMICE_OK) s->n_kv++;
        return st;
    }
    TRY(plan_for(s, 0, 0, &plan));
    TRY(engine_note(s->engine, s->engine->backend->calls->plan_run(plan)));
    s->logits_held = true;
    s->logits_ready = s->n_kv == s->n_tokens;
fail:
    return st;
}

/* The next token of the answer. The first is drawn from the logits that are there; on the device the others are, unless there
 * are more candidates than it takes. */
static enum pumice_status draw(struct pumice_session *s, const struct pumice_generate_params *p, uint32_t n_done, int32_t *id)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t top_k = sample_k(&p->sampling), room = s->kv.C - (uint32_t)s->n_tokens;
    if (!s->logits_ready && top_k && top_k <= SAMPLE_MAX_K)
        return device_draw(s, &p->sampling, p->max_tokens ? MIN(p->max_tokens - n_done, room) : room, id);
    if (!s->logits_ready) {
        TRY(run_step(s, 1, &s->cancel));
        s->stats.decode_tokens++;
    }
    const uint64_t span = pumice_trace_begin();
    *id = pumice_sample(&p->sampling, pumice_session_logits(s), s->engine->model->h.V, n_done, s->scratch);
    pumice_trace_end("sample", span);
fail:
    return st;
}

static enum pumice_status generate(struct pumice_session *s, const struct pumice_generate_params *p,
                                   struct pumice_generate_result *r)
{
    enum pumice_status st = PUMICE_OK;
    int32_t id = -1;
    for (r->stop = PUMICE_STOP_CANCELLED; !atomic_load(&s->cancel);) {
        r->stop = PUMICE_STOP_LENGTH;
        if (p->max_tokens && r->n_tokens == p->max_tokens) break;
        r->stop = PUMICE_STOP_CONTEXT;
        if (s->n_tokens == s->kv.C) break;
        st = draw(s, p, r->n_tokens, &id);
        r->stop = PUMICE_STOP_CANCELLED;
        if (st == PUMICE_CANCELLED) return PUMICE_OK;
        TRY(st);
        r->stop = PUMICE_STOP_EOS;
        r->stop_token = id;
        if (is_stop(p, id)) break;
        r->stop_token = -1;
        s->tokens[s->n_tokens++] = id;
        s->logits_ready = false;
        r->n_tokens++;
        r->stop = PUMICE_STOP_CANCELLED;
        if (p->on_token && !p->on_token(p->user, id)) break;
    }
fail:
    return st;
}

enum pumice_status pumice_session_generate(struct pumice_session *s, const struct pumice_generate_params *params,
                                           struct pumice_generate_result *result)
{
    enum pumice_status st = PUMICE_OK;
    struct pumice_generate_result r = {.stop = PUMICE_STOP_CANCELLED, .stop_token = -1};
    const uint64_t start = platform_now_ns();
    s->stats.decode_tokens = s->stats.decode_ns = 0;
    TRY(engine_check(s->engine));
    if (!s->logits_ready) TRY(err_set(PUMICE_ARGUMENT, "there are no logits to continue from; call pumice_session_sync first"));
    s->ahead = (struct ahead){0};
    st = generate(s, params, &r);
    if (st == PUMICE_OK) st = settle(s);
    else while (s->ahead.n_starts) (void)wait_oldest(s); /* the first failure is what counts */
    r.elapsed_ns = platform_now_ns() - start;
    s->stats.decode_ns = r.elapsed_ns;
fail:
    if (result) *result = r;
    atomic_store(&s->cancel, false);
    return st;
}

/* --- save and restore ----------------------------------------------------------------------------------------------------------- */

/* header, tokens i32[n_tokens], KV rows of n_kv positions (kv.c), hash of all that u64. Little-endian, this machine's. */
struct saved {
    char magic[8];
    uint32_t version, kv; /* kv: enum pumice_kv */
    uint64_t model;
    uint64_t n_tokens, n_kv;
};
static const char magic[8] = "PUMICEKV";
enum { SAVED_VERSION = 3 };

/* What must be equal for a cache to make sense: hyper-parameters, tensor directory, and one vector of weights. */
static uint64_t fingerprint(const struct pumice_model *m)
{
    const struct hparams *h = &m->h;
    const uint32_t numbers[] = {h->arch, h->n_layers, h->D, h->H, h->G, h->E, h->F, h->V, h->n_context, h->rope.neighbours};
    const float floats[] = {h->eps, h->rope.base, h->attention_scale};
    uint64_t hash = hash_bytes(floats, sizeof floats, hash_bytes(numbers, sizeof numbers, 0));
    if (h->rope.factors) hash = hash_bytes(h->rope.factors, h->E / 2 * sizeof *h->rope.factors, hash);
    for (size_t i = 0; i < m->gguf.n_tensors; i++) {
        const struct gguf_tensor *t = &m->gguf.tensors[i];
        hash = hash_bytes(t->name.data, t->name.n, hash);
        hash = hash_bytes(&t->type, sizeof t->type, hash);
        hash = hash_bytes(t->dims, sizeof t->dims, hash);
        hash = hash_bytes(&t->offset, sizeof t->offset, hash);
    }
    return hash_bytes(m->output_norm->data, (size_t)m->output_norm->bytes, hash);
}

static uint64_t saved_bytes(const struct pumice_session *s, uint64_t n_tokens, uint64_t n_kv)
{
    return sizeof(struct saved) + n_tokens * sizeof *s->tokens + kv_saved_bytes(&s->kv, n_kv) + sizeof(uint64_t);
}

enum pumice_status pumice_session_save(struct pumice_session *s, void *data, size_t *bytes)
{
    enum pumice_status st = PUMICE_OK;
    const struct saved head = {.version = SAVED_VERSION, .kv = s->kv.type, .model = fingerprint(s->engine->model), .n_tokens = s->n_tokens,
                               .n_kv = s->n_kv};
    const size_t capacity = *bytes;
    uint8_t *out = data;
    const uint64_t whole = saved_bytes(s, s->n_tokens, s->n_kv);
    if (!size_of_u64(whole, bytes)) return err_memory("the saved session", whole);
    if (!data) return PUMICE_OK;
    if (capacity < *bytes) return err_set(PUMICE_ARGUMENT, "saving needs %zu bytes, the caller has %zu", *bytes, capacity);
    TRY(engine_check(s->engine));
    memcpy(out, &head, sizeof head);
    memcpy(out, magic, sizeof magic);
    memcpy(out + sizeof head, s->tokens, s->n_tokens * sizeof *s->tokens);
    TRY(engine_note(s->engine, kv_save(&s->kv, s->n_kv, out + sizeof head + s->n_tokens * sizeof *s->tokens)));
    const uint64_t hash = hash_bytes(out, *bytes - sizeof hash, 0);
    memcpy(out + *bytes - sizeof hash, &hash, sizeof hash);
fail:
    return st;
}

static enum pumice_status check_saved(const struct pumice_session *s, const uint8_t *data, size_t bytes, struct saved *head)
{
    static const char remedy[] = "start a new session";
    uint64_t hash;
    if (bytes < sizeof *head + sizeof hash || memcmp(data, magic, sizeof magic) != 0)
        return err_set(PUMICE_FORMAT, "this is no saved session; %s", remedy);
    memcpy(head, data, sizeof *head);
    if (head->version != SAVED_VERSION)
        return err_set(PUMICE_FORMAT, "the session was saved by another version (%u); %s", head->version, remedy);
    if (head->kv != (uint32_t)s->kv.type) {
        const char *saved = pumice_kv_name((enum pumice_kv)head->kv);
        return err_set(PUMICE_FORMAT, "the session was saved with a KV cache of %s, this one is of %s; open the model with that "
                       "(--kv), or %s", saved ? saved : "another type", pumice_kv_name(s->kv.type), remedy);
    }
    if (head->model != fingerprint(s->engine->model))
        return err_set(PUMICE_FORMAT, "the session was saved with another model; open that one, or %s", remedy);
    if (head->n_kv > head->n_tokens || head->n_tokens - head->n_kv > 1 || head->n_tokens > s->engine->model->h.n_context)
        return err_set(PUMICE_FORMAT, "the saved session is damaged; %s", remedy);
    if (head->n_tokens > s->kv.C)
        return err_set(PUMICE_CONTEXT, "the saved session has %llu tokens, this context holds %u; open a larger one",
                       (unsigned long long)head->n_tokens, s->kv.C);
    if (bytes != saved_bytes(s, head->n_tokens, head->n_kv))
        return err_set(PUMICE_FORMAT, "the saved session has %zu bytes, not the %llu it should; %s", bytes,
                       (unsigned long long)saved_bytes(s, head->n_tokens, head->n_kv), remedy);
    memcpy(&hash, data + bytes - sizeof hash, sizeof hash);
    if (hash != hash_bytes(data, bytes - sizeof hash, 0))
        return err_set(PUMICE_FORMAT, "the saved session is damaged (its checksum is wrong); %s", remedy);
    return PUMICE_OK;
}

enum pumice_status pumice_session_restore(struct pumice_session *s, const void *data, size_t bytes)
{
    enum pumice_status st = PUMICE_OK;
    struct saved head;
    const uint8_t *in = data;
    TRY(engine_check(s->engine));
    TRY(check_saved(s, in, bytes, &head));
    in += sizeof head;
    for (uint64_t i = 0; i < head.n_tokens; i++) {
        int32_t id;
        memcpy(&id, in + i * sizeof id, sizeof id);
        if (id < 0 || (uint32_t)id >= s->engine->model->h.V)
            return err_set(PUMICE_FORMAT, "the saved session has a token outside the vocabulary; start a new session");
    }
    s->n_tokens = s->n_kv = 0; /* in case the copy fails half-way */
    s->logits_held = s->logits_ready = false;
    TRY(engine_note(s->engine, kv_restore(&s->kv, head.n_kv, in + head.n_tokens * sizeof *s->tokens)));
    memcpy(s->tokens, in, (size_t)head.n_tokens * sizeof *s->tokens);
    s->n_tokens = (size_t)head.n_tokens;
    s->n_kv = (size_t)head.n_kv;
fail:
    return st;
}
