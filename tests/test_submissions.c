/* test_submissions: long plans are cut into submissions by the device's pace, and a cancel acts between them. On the software
 * Vulkan driver (or PUMICE_TEST_DEVICE), with a few layers of the shape of Qwen3-0.6B, which take it long enough.
 * usage: test_submissions [part of a test's name] */
#include "check.h"
#include "engine.h"
#include "gpu/gpu.h"
#include "rig.h"

#include <stdlib.h>
#include <string.h>

static const char *gpu_name = "software";
enum { N_PROMPT = 128, N_CONTEXT = 256, LAYERS = 4 };
static int32_t prompt[N_PROMPT];

/* --- what the driver is given ----------------------------------------------------------------------------------------- */

static struct vk_device_calls real;
static uint32_t n_submits, n_commands, n_waits, cancel_at, n_after; /* after: submitted after the cancel */
static uint64_t begin_ns[4096], last_end, longest_ns, sum_ns;
static struct pumice_session *cancelled;

static VkResult count_submit(VkQueue q, uint32_t n, const VkSubmitInfo *s, VkFence f)
{
    begin_ns[n_submits++ % COUNT_OF(begin_ns)] = platform_now_ns();
    n_commands += s->commandBufferCount;
    n_after += cancelled && cancel_at && n_waits >= cancel_at;
    return real.QueueSubmit(q, n, s, f);
}
static VkResult count_wait(VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t t)
{
    const VkResult result = real.WaitSemaphores(d, i, t);
    const uint64_t begin = begin_ns[n_waits++ % COUNT_OF(begin_ns)], now = platform_now_ns(), ns = now - MAX(last_end, begin);
    last_end = now;
    sum_ns += ns;
    longest_ns = MAX(longest_ns, ns);
    if (cancelled && n_waits == cancel_at) pumice_session_cancel(cancelled);
    return result;
}
static void hook(struct device *d)
{
    real = d->vk;
    d->vk.QueueSubmit = count_submit;
    d->vk.WaitSemaphores = count_wait;
}
static void count_from_here(void)
{
    n_submits = n_commands = n_waits = n_after = cancel_at = 0;
    last_end = longest_ns = sum_ns = 0;
    cancelled = NULL;
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

static struct gpu_backend *gpu_of(const struct rig *r) { return (struct gpu_backend *)r->engine->backend; }

static void open_or_stop(struct rig *r)
{
    struct hparams h = tiny_model_hparams();
    h.n_layers = LAYERS, h.D = 1024, h.H = 16, h.G = 8, h.E = 128, h.F = 3072;
    const struct pumice_engine_params params = {.device = gpu_name, .trusted = true};
    const bool ok = rig_start_shape(r, &h, GGUF_T_Q8_0, true, &params, N_CONTEXT) == PUMICE_OK;
    if (!CHECK(ok, "%s", pumice_error())) exit(check_summary("test_submissions"));
    count_from_here();
}

static void sync_ok(struct rig *r, size_t n)
{
    CHECK(pumice_session_sync(r->session, prompt, n, NULL) == PUMICE_OK, "%s", pumice_error());
}

/* No submission is long, and the way the plan is cut does not change a bit. */
static void test_pace(void)
{
    struct rig r;
    open_or_stop(&r);
    const uint32_t chunk = r.engine->chunk;
    sync_ok(&r, chunk); /* the pace is learned */
    const uint64_t hash = pumice_session_logits_hash(r.session);
    count_from_here();
    sync_ok(&r, 2 * chunk);
    const double average = (double)sum_ns / n_submits;
    printf("a step of %u tokens: %.0f ms in %u submissions of %u pieces, the longest %.0f ms; pace %.3g ns an operation\n", chunk,
           (double)sum_ns / 1e6, n_submits, n_commands, (double)longest_ns / 1e6, gpu_of(&r)->device.pace);
    /* finer than this it cannot be cut, however slow other programs make it */
    CHECK(average < 200e6 || n_submits == n_commands, "%.0f ms a submission", average / 1e6);
    CHECK((double)sum_ns < PACE_SUBMISSION_NS || n_submits > 1, "nothing was cut");

    /* recorded by a pace, run by another: one piece a submission, then all pieces in one */
    const double paces[] = {1e6, 1e-9};
    for (size_t i = 0; i < COUNT_OF(paces); i++) {
        struct rig again;
        open_or_stop(&again);
        gpu_of(&again)->device.pace = 1e6; /* every op is a piece */
        sync_ok(&again, 2);
        gpu_of(&again)->device.pace = paces[i];
        CHECK(pumice_session_rewind(again.session, 0) == PUMICE_OK, "%s", pumice_error());
        count_from_here();
        sync_ok(&again, 2);
        CHECK(n_commands >= LAYERS * 6, "%u pieces", n_commands);
        CHECK(i == 0 ? n_submits > 2 : n_submits == 1, "pace %g: %u submissions", paces[i], n_submits);
        count_from_here();
        sync_ok(&again, chunk);
        CHECK(pumice_session_rewind(again.session, 0) == PUMICE_OK, "%s", pumice_error());
        sync_ok(&again, chunk);
        CHECK(pumice_session_logits_hash(again.session) == hash, "pace %g: other bits", paces[i]);
        rig_close(&again);
    }
    rig_close(&r);
}

/* Cancelled inside a step: nothing more is submitted, what was done before it is kept, and it can be done again. */
static void test_cancel(void)
{
    struct rig r;
    size_t n = 0;
    int32_t want[6];
    struct pumice_generate_result result;
    const struct pumice_generate_params greedy = {.max_tokens = COUNT_OF(want)};
    open_or_stop(&r);
    const uint32_t chunk = r.engine->chunk;
    gpu_of(&r)->device.pace = 1.0; /* pieces of one op or few */
    sync_ok(&r, 2 * chunk);
    const uint64_t hash = pumice_session_logits_hash(r.session);
    gpu_of(&r)->device.pace = 1e6; /* the plan of one token is cut into pieces, too */
    CHECK(pumice_session_generate(r.session, &greedy, &result) == PUMICE_OK, "%s", pumice_error());
    const int32_t *tokens = pumice_session_tokens(r.session, &n);
    memcpy(want, tokens + 2 * chunk, sizeof want);

    CHECK(pumice_session_rewind(r.session, chunk) == PUMICE_OK, "%s", pumice_error());
    count_from_here();
    gpu_of(&r)->device.pace = 1.0;
    cancelled = r.session;
    cancel_at = 2;
    CHECK(pumice_session_sync(r.session, prompt, 2 * chunk, NULL) == PUMICE_CANCELLED, "not cancelled: %s", pumice_error());
    CHECK(n_after == 0 && n_submits <= cancel_at + 2, "%u submissions, %u after the cancel", n_submits, n_after);
    (void)pumice_session_tokens(r.session, &n);
    CHECK(n == chunk && !pumice_session_logits(r.session), "%zu tokens are held", n);
    cancelled = NULL;
    sync_ok(&r, 2 * chunk);
    CHECK(pumice_session_logits_hash(r.session) == hash, "other bits after a cancel");

    count_from_here();
    gpu_of(&r)->device.pace = 1e6; /* one token is little work: still many submissions, until the pace is learned */
    cancelled = r.session;
    cancel_at = 1;
    CHECK(pumice_session_generate(r.session, &greedy, &result) == PUMICE_OK && result.stop == PUMICE_STOP_CANCELLED, "%s, stop %d",
          pumice_error(), (int)result.stop);
    CHECK(n_after == 0, "%u submissions after the cancel", n_after);
    cancelled = NULL;
    tokens = pumice_session_tokens(r.session, &n);
    CHECK(n > 2 * chunk && n < 2 * chunk + COUNT_OF(want) && memcmp(tokens + 2 * chunk, want, (n - 2 * chunk) * sizeof *want) == 0,
          "%zu tokens", n - 2 * chunk);
    rig_close(&r);
}

/* How soon, when another thread asks. */
static uint64_t asked_ns;

static void ask_later(void *user)
{
    struct pumice_session *s = user;
    const uint64_t begin = platform_now_ns();
    while (platform_now_ns() - begin < 150000000u) {
    }
    asked_ns = platform_now_ns();
    pumice_session_cancel(s);
}

static void test_soon(void)
{
    struct rig r;
    struct platform_thread *thread = NULL;
    open_or_stop(&r);
    sync_ok(&r, r.engine->chunk);
    CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK, "%s", pumice_error());
    count_from_here();
    REQUIRE(platform_thread_create(ask_later, r.session, &thread) == PUMICE_OK, "%s", pumice_error());
    const enum pumice_status st = pumice_session_sync(r.session, prompt, N_PROMPT, NULL);
    const uint64_t now = platform_now_ns();
    platform_thread_join(thread);
    if (st == PUMICE_CANCELLED) {
        const double ms = (double)(now - asked_ns) / 1e6;
        printf("a cancel acted after %.0f ms\n", ms);
        /* two submissions, and what other programs take meanwhile: their time is in the longest, too */
        CHECK(ms < 200 + 3 * (double)longest_ns / 1e6, "%.0f ms, the longest submission %.0f", ms, (double)longest_ns / 1e6);
    } else {
        printf("too fast to be cancelled\n");
    }
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {{"pace", test_pace}, {"cancel", test_cancel}, {"soon", test_soon}};
    if (getenv("PUMICE_TEST_DEVICE")) gpu_name = getenv("PUMICE_TEST_DEVICE");
    for (int i = 0; i < N_PROMPT; i++) prompt[i] = (i * 7919 + 13) % 256;
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        device_hook = hook;
        if (argc < 2 || strstr(tests[i].name, argv[1])) tests[i].run();
    }
    return check_summary("test_submissions");
}
