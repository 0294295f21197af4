/* test_decode: answers whose tokens are drawn on the device, some ahead of the host, against token by token: the same ids, the
 * same timeline, the same logits, however many are started at a time and however the answer ends. On the CPU back end, the
 * software Vulkan driver (or PUMICE_TEST_DEVICE), and the same with the kernels of a GPU. */
#include "check.h"
#include "engine.h"
#include "gpu/gpu.h"
#include "rig.h"

#include <stdlib.h>

enum { N_PROMPT = 20, N_CTX = 40, N_WANT = N_CTX - N_PROMPT };

static int32_t text[N_CTX]; /* prompt, then the answer token by token */
static uint64_t hashes[N_WANT + 1]; /* of the logits that answer token i was drawn from */
static uint64_t scratch[1024];

static const struct pumice_sampling samplings[] = {
    {.temperature = 0, .top_p = 1},
    {.temperature = 0.8f, .top_k = 20, .top_p = 0.9f, .seed = 3},
    {.temperature = 3, .top_k = 64, .top_p = 1, .min_p = 0.05f, .seed = 4},
    {.temperature = 1.5f, .top_k = 65, .top_p = 1, .seed = 5}}; /* more candidates than the device takes */

/* All of it at once, as the answers to compare have it. */
static void sync_prompt(struct rig *r)
{
    CHECK(pumice_session_rewind(r->session, 0) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_session_sync(r->session, text, N_PROMPT, NULL) == PUMICE_OK, "%s", pumice_error());
}

/* The answer by the public parts: sync one token further, sample on the host. */
static void expect(struct rig *r, const struct pumice_sampling *s)
{
    const uint32_t V = r->model->h.V;
    for (int i = 0; i < N_PROMPT; i++) text[i] = (i * 7919 + 13) % 256;
    sync_prompt(r);
    for (uint32_t i = 0; i <= N_WANT; i++) {
        CHECK(pumice_session_sync(r->session, text, N_PROMPT + i, NULL) == PUMICE_OK, "%s", pumice_error());
        hashes[i] = pumice_session_logits_hash(r->session);
        if (i < N_WANT) text[N_PROMPT + i] = pumice_sample(s, pumice_session_logits(r->session), V, i, scratch);
    }
}

struct heard {
    size_t n, stop_at; /* 0: never */
    struct pumice_session *cancel;
    bool differs;
};

static bool hear(void *user, int32_t id)
{
    struct heard *h = user;
    h->differs = h->differs || id != text[N_PROMPT + h->n];
    if (++h->n == h->stop_at && h->cancel) pumice_session_cancel(h->cancel);
    return h->n != h->stop_at || h->cancel;
}

enum ending { BY_LENGTH, BY_CONTEXT, BY_STOP_TOKEN, BY_CALLBACK, BY_CANCEL, N_ENDINGS };
static const char *const ending_names[] = {"length", "context", "stop token", "callback", "cancel"};

static void check_answer(struct rig *r, const struct pumice_sampling *s, enum ending ending, uint32_t at, const char *where)
{
    struct heard h = {.stop_at = ending == BY_CALLBACK || ending == BY_CANCEL ? at : 0,
                      .cancel = ending == BY_CANCEL ? r->session : NULL};
    uint32_t want_n = ending == BY_CONTEXT ? N_WANT : at;
    static const enum pumice_stop stops[] = {PUMICE_STOP_LENGTH, PUMICE_STOP_CONTEXT, PUMICE_STOP_EOS, PUMICE_STOP_CANCELLED,
                                             PUMICE_STOP_CANCELLED};
    const int32_t stop_token = text[N_PROMPT + at];
    struct pumice_generate_params p = {.sampling = *s, .on_token = hear, .user = &h};
    struct pumice_generate_result result;
    struct pumice_session_stats stats;
    size_t n = 0;
    if (ending == BY_LENGTH) p.max_tokens = at;
    if (ending == BY_STOP_TOKEN) p.stop_tokens = &stop_token, p.n_stop_tokens = 1;
    for (uint32_t i = 0; ending == BY_STOP_TOKEN && i < at; i++)
        if (text[N_PROMPT + i] == stop_token) want_n = MIN(want_n, i);
    sync_prompt(r);
    CHECK(pumice_session_generate(r->session, &p, &result) == PUMICE_OK, "%s: %s", where, pumice_error());
    const int32_t *tokens = pumice_session_tokens(r->session, &n);
    CHECK(!h.differs && result.n_tokens == want_n && h.n == want_n && result.stop == stops[ending], "%s: %u tokens of %u, %s%s",
          where, result.n_tokens, want_n, pumice_stop_name(result.stop), h.differs ? ", other ids" : "");
    CHECK(n == N_PROMPT + want_n && memcmp(tokens, text, n * sizeof *tokens) == 0, "%s: the timeline", where);
    pumice_session_get_stats(r->session, &stats);
    const uint32_t last = ending == BY_STOP_TOKEN ? want_n : want_n - 1; /* the draw that came last */
    CHECK(stats.decode_tokens == last, "%s: %llu steps", where, (unsigned long long)stats.decode_tokens);
    CHECK(pumice_session_logits_hash(r->session) == hashes[last], "%s: the logits of the last draw", where);
    CHECK((pumice_session_logits(r->session) != NULL) == (ending == BY_STOP_TOKEN), "%s: logits ready or not", where);
    /* the KV is that of the timeline, whatever was computed too far */
    for (uint32_t i = want_n; i <= MIN(want_n + 2, (uint32_t)N_WANT); i++) { /* one by one: the kernels of one token */
        CHECK(pumice_session_sync(r->session, text, N_PROMPT + i, NULL) == PUMICE_OK, "%s", pumice_error());
        CHECK(pumice_session_logits_hash(r->session) == hashes[i], "%s: going on from it", where);
    }
}

static void test_answers(const char *device, const char *name)
{
    static const uint32_t starts[] = {1, 2, 5, 0};
    struct rig r;
    char where[128];
    REQUIRE(rig_start(&r, GGUF_T_Q8_0, true, &(struct pumice_engine_params){.device = device, .trusted = true}, N_CTX) == PUMICE_OK, "%s",
            pumice_error());
    for (size_t s = 0; s < COUNT_OF(samplings); s++) {
        r.engine->draws_a_start = 1;
        expect(&r, &samplings[s]);
        for (size_t i = 0; i < COUNT_OF(starts); i++)
            for (int ending = 0; ending < N_ENDINGS; ending++)
                for (uint32_t at = s == 0 ? 1 : 11; at < 14; at += 10) {
                    snprintf(where, sizeof where, "%s, sampling %zu, %u at a time, %s at %u", name, s, starts[i], ending_names[ending],
                             at);
                    r.engine->draws_a_start = starts[i];
                    check_answer(&r, &samplings[s], (enum ending)ending, at, where);
                }
    }
    rig_close(&r);
}

/* --- the submissions of an answer --------------------------------------------------------------------------------------- */

static struct vk_device_calls real;
static uint32_t n_submits, n_commands, n_allocations;

static VkResult count_submit(VkQueue q, uint32_t n, const VkSubmitInfo *s, VkFence f)
{
    n_submits++;
    n_commands += s->commandBufferCount;
    return real.QueueSubmit(q, n, s, f);
}
static VkResult count_sets(VkDevice d, const VkDescriptorSetAllocateInfo *i, VkDescriptorSet *out)
{
    n_allocations++;
    return real.AllocateDescriptorSets(d, i, out);
}

static void hook_gpu(struct device *d) { d->physical.limits.software = false; }
static void hook_count(struct device *d)
{
    hook_gpu(d);
    real = d->vk;
    d->vk.QueueSubmit = count_submit;
    d->vk.AllocateDescriptorSets = count_sets;
}

static void test_submissions(const char *device)
{
    struct rig r;
    device_hook = hook_count;
    REQUIRE(rig_start(&r, GGUF_T_Q8_0, true, &(struct pumice_engine_params){.device = device, .trusted = true}, N_CTX) == PUMICE_OK, "%s",
            pumice_error());
    struct pumice_generate_params p = {.max_tokens = 17};
    for (int round = 0; round < 2; round++) { /* the first records the plans */
        r.engine->draws_a_start = 6;
        sync_prompt(&r);
        n_submits = n_commands = n_allocations = 0;
        CHECK(pumice_session_generate(r.session, &p, NULL) == PUMICE_OK, "%s", pumice_error());
    }
    /* 16 draws by sixes, each of as many command buffers, and the logits of the last */
    CHECK(n_submits == 4 && n_commands > 16 && n_commands % 16 == 1 && n_allocations == 0,
          "%u submissions, %u command buffers, %u descriptor sets", n_submits, n_commands, n_allocations);
    rig_close(&r);
    device_hook = NULL;
}

int main(void)
{
    const char *gpu = getenv("PUMICE_TEST_DEVICE") ? getenv("PUMICE_TEST_DEVICE") : "software";
    test_answers("cpu", "cpu");
    test_answers(gpu, "Vulkan");
    device_hook = hook_gpu;
    test_answers(gpu, "GPU kernels");
    test_submissions(gpu);
    return check_summary("test_decode");
}
