#define _XOPEN_SOURCE 700 /* setenv */
/* test_gpu: the whole model on the software Vulkan driver (or PUMICE_TEST_DEVICE) against the CPU reference; determinism,
 * rewind, save and restore; failing Vulkan calls; a device with small limits. usage: test_gpu [part of a test's name] */
#include "check.h"
#include "engine.h"
#include "gpu/gpu.h"
#include "gpu/spirv.h"
#include "quant.h"
#include "rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint32_t types[] = {GGUF_T_F32, GGUF_T_F16, GGUF_T_BF16, GGUF_T_Q4_0, GGUF_T_Q8_0, GGUF_T_Q4_K, GGUF_T_Q5_K,
                                 GGUF_T_Q6_K};
static const char *gpu_name = "software";
static enum pumice_kv kv_type; /* of the models that follow */

static enum pumice_status rig_open(struct rig *r, uint32_t type, const char *device)
{
    return rig_start(r, type, true, &(struct pumice_engine_params){.device = device, .trusted = true, .kv = kv_type}, 256);
}

enum { N_PROMPT = 90 };
static int32_t prompt[N_PROMPT];

static double nmse(const float *a, const float *b, uint64_t n)
{
    double error = 0, power = 0;
    for (uint64_t i = 0; i < n; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        power += (double)b[i] * (double)b[i];
    }
    return power > 0 ? error / power : error;
}

/* --- op by op: what forward() records is captured and run one op at a time on both sides ---------------------------------- */

struct capture {
    struct backend base;
    struct plan plan;
    struct op ops[256];
    uint32_t n;
};

static enum pumice_status capture_op(struct plan *p, const struct op *op)
{
    struct capture *c = (struct capture *)p->backend;
    if (c->n == COUNT_OF(c->ops)) return err_set(PUMICE_ARGUMENT, "too many ops");
    c->ops[c->n++] = *op;
    return PUMICE_OK;
}

static const struct backend_calls capture_calls = {.record = capture_op};

static enum pumice_status capture(struct rig *r, uint32_t T, struct kv *kv, struct capture *c)
{
    c->base.calls = &capture_calls;
    c->plan.backend = &c->base;
    c->n = 0;
    return forward(&c->plan, &r->engine->model->h, &r->engine->weights, &r->engine->activations, kv, T);
}

static enum pumice_status run_one(struct backend *b, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    struct plan *p = NULL;
    TRY(b->calls->plan_begin(b, "one op", &p));
    TRY(b->calls->record(p, op));
    TRY(b->calls->plan_end(p));
    TRY(b->calls->plan_run(p));
fail:
    b->calls->plan_destroy(p);
    return st;
}

struct output {
    struct buf buf;
    uint64_t n; /* floats */
};

/* What an op writes that is a result; returns how many. */
static size_t outputs_of(const struct op *op, struct output *out)
{
    const uint64_t T = MAX(op->T, 1u);
    switch (op->kind) {
    case OP_NORM_MATMULS:
        out[0] = (struct output){op->y, T * op->w->n};
        if (op->w2) out[1] = (struct output){op->y2, T * op->w2->n};
        if (op->w3) out[2] = (struct output){op->y3, T * op->w3->n};
        return op->w3 ? 3 : op->w2 ? 2 : 1;
    case OP_MATMUL:
    case OP_NORM_GATE_UP: out[0] = (struct output){op->y, T * op->w->n}; return 1;
    case OP_QK_NORM_ROPE_KV:
    case OP_BIAS_ROPE_KV: out[0] = (struct output){op->x, T * op->H * op->E}; return 1;
    case OP_ATTENTION: out[0] = (struct output){op->y, T * op->H * op->E}; return 1;
    case OP_COPY: out[0] = (struct output){op->y, op->x.bytes / 4}; return 1;
    default: out[0] = (struct output){op->y, T * op->D}; return 1;
    }
}

static double compare_outputs(struct rig *r, const struct op *mine, const struct op *want)
{
    struct output out[2][3];
    double worst = 0;
    const size_t n_outputs = outputs_of(mine, out[0]);
    outputs_of(want, out[1]);
    for (size_t i = 0; i < n_outputs; i++) {
        const uint64_t n = out[0][i].n;
        float *values[2] = {mem_calloc(n, 4), mem_calloc(n, 4)};
        for (int s = 0; s < 2; s++) {
            struct backend *b = r[s].engine->backend;
            CHECK(b->calls->buffer_read(b, out[s][i].buf, 0, values[s], n * 4) == PUMICE_OK, "%s", pumice_error());
        }
        worst = MAX(worst, nmse(values[0], values[1], n));
        mem_free(values[0]);
        mem_free(values[1]);
    }
    return worst;
}

static void test_layers_of(uint32_t type, uint32_t T)
{
    struct rig r[2];
    static struct capture c[2];
    struct kv kv[2] = {0};
    const char *devices[2] = {gpu_name, "reference"};
    double worst = 0, last = 0;
    const char *where = "";
    bool ok = true;
    memset(r, 0, sizeof r);
    for (int s = 0; s < 2 && ok; s++) {
        ok = rig_open(&r[s], type, devices[s]) == PUMICE_OK;
        struct backend *b = ok ? r[s].engine->backend : NULL;
        ok = ok && kv_create(b, &r[s].model->h, 64, kv_type, &kv[s]) == PUMICE_OK;
        ok = ok && capture(&r[s], T, &kv[s], &c[s]) == PUMICE_OK;
        if (!CHECK(ok, "%s", pumice_error())) break;
        struct step *step = b->calls->buffer_host(b, r[s].engine->activations.step);
        *step = (struct step){.n_tokens = T};
        for (uint32_t t = 0; t < T; t++) step->tokens[t] = (uint32_t)prompt[t];
    }
    ok = ok && CHECK(c[0].n == c[1].n, "the two sides record different ops");
    for (uint32_t i = 0; ok && i < c[0].n; i++) {
        const struct op *op = &c[0].ops[i];
        for (int s = 0; s < 2 && ok; s++)
            ok = CHECK(run_one(r[s].engine->backend, &c[s].ops[i]) == PUMICE_OK, "%s: %s", op->label, pumice_error());
        if (ok) {
            last = compare_outputs(r, op, &c[1].ops[i]);
            CHECK(last < rig_limit(r[0].engine->backend, type, T), "%s %s T=%u: %s differs by %.3g", rig_arch_names[rig_arch], gguf_type(type)->name, T, op->label, last);
            if (!(last <= worst)) worst = last, where = op->label;
        }
    }
    printf("%s %-5s T=%-3u largest nmse after an op %.2g (%s), of the logits %.2g\n", rig_arch_names[rig_arch],
           gguf_type(type)->name, T, worst, where, last);
    for (int s = 0; s < 2; s++) {
        kv_destroy(&kv[s]);
        rig_close(&r[s]);
    }
}

static void test_layers(void)
{
    for (size_t i = 0; i < COUNT_OF(types); i++) test_layers_of(types[i], i % 2 ? 1 : 13);
    test_layers_of(GGUF_T_Q4_K, 1);
    test_layers_of(GGUF_T_Q8_0, 32);
    kv_type = PUMICE_KV_Q8_0;
    test_layers_of(GGUF_T_Q8_0, 1);
    test_layers_of(GGUF_T_Q4_K, 13);
    kv_type = PUMICE_KV_F16;
}

/* --- a GPU's kernels: this driver with the tuning of a GPU -------------------------------------------------------------- */

static void hook_gpu(struct device *d) { d->physical.limits.software = false; }

static void hook_gpu_f32(struct device *d)
{
    hook_gpu(d);
    d->physical.limits.features.half = false;
}

static void test_gpu_layers(void)
{
    device_hook = hook_gpu;
    for (size_t i = 0; i < COUNT_OF(types); i++) test_layers_of(types[i], 1 + (uint32_t)i % 4);
    test_layers_of(GGUF_T_Q4_K, 40);
    device_hook = hook_gpu_f32;
    test_layers_of(GGUF_T_Q4_K, 40);
    device_hook = NULL;
}

/* One token takes six steps a layer that wait for each other; the output head comes after. */
static void test_barriers(void)
{
    struct rig r;
    struct kv kv = {0};
    struct plan *p = NULL;
    device_hook = hook_gpu;
    REQUIRE(rig_open(&r, GGUF_T_Q4_K, gpu_name) == PUMICE_OK, "%s", pumice_error());
    struct backend *b = r.engine->backend;
    const struct hparams *h = &r.model->h;
    bool ok = kv_create(b, h, 64, kv_type, &kv) == PUMICE_OK;
    ok = ok && b->calls->plan_begin(b, "barriers", &p) == PUMICE_OK;
    ok = ok && forward(p, h, &r.engine->weights, &r.engine->activations, &kv, 1) == PUMICE_OK;
    ok = ok && b->calls->plan_end(p) == PUMICE_OK;
    if (CHECK(ok, "%s", pumice_error())) {
        const uint32_t n = ((struct gpu_plan *)p)->recorder.n_barriers;
        CHECK(n <= 6 * h->n_layers + 1, "%u barriers for one token and %u layers", n, h->n_layers);
        printf("%s: %u barriers for one token and %u layers\n", rig_arch_names[rig_arch], n, h->n_layers);
    }
    b->calls->plan_destroy(p);
    kv_destroy(&kv);
    rig_close(&r);
    device_hook = NULL;
}

/* --- one session ------------------------------------------------------------------------------------------------------------- */

static void sync_ok(struct rig *r, size_t n)
{
    CHECK(pumice_session_sync(r->session, prompt, n, NULL) == PUMICE_OK, "%s", pumice_error());
}

static void copy_logits(struct rig *r, float *out)
{
    const float *logits = pumice_session_logits(r->session);
    if (CHECK(logits != NULL, "no logits")) memcpy(out, logits, r->model->h.V * sizeof *out);
}

static void test_session(void)
{
    for (size_t i = 3; i < COUNT_OF(types); i++) {
        kv_type = i % 2 ? PUMICE_KV_Q8_0 : PUMICE_KV_F16;
        struct rig r, again;
        float batched[512], stepped[512], rewound[512];
        REQUIRE(rig_open(&r, types[i], gpu_name) == PUMICE_OK, "%s", pumice_error());
        sync_ok(&r, N_PROMPT);
        copy_logits(&r, batched);
        const uint64_t hash = pumice_session_logits_hash(r.session);
        const double limit = kv_type == PUMICE_KV_F16 ? 4e-7 : rig_limit(r.engine->backend, types[i], N_PROMPT); /* bytes round otherwise */
        CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK, "%s", pumice_error());
        for (size_t n = 1; n <= N_PROMPT; n++) sync_ok(&r, n);
        copy_logits(&r, stepped);
        CHECK(nmse(stepped, batched, r.model->h.V) < limit, "token by token differs: %g", nmse(stepped, batched, r.model->h.V));
        CHECK(pumice_session_rewind(r.session, 40) == PUMICE_OK, "%s", pumice_error());
        sync_ok(&r, N_PROMPT);
        copy_logits(&r, rewound);
        CHECK(nmse(rewound, batched, r.model->h.V) < limit, "after a rewind: %g", nmse(rewound, batched, r.model->h.V));
        CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK, "%s", pumice_error());
        sync_ok(&r, N_PROMPT);
        CHECK(pumice_session_logits_hash(r.session) == hash, "the second run of one session has other bits");
        if (CHECK(rig_open(&again, types[i], gpu_name) == PUMICE_OK, "%s", pumice_error())) {
            sync_ok(&again, N_PROMPT);
            CHECK(pumice_session_logits_hash(again.session) == hash, "another engine has other bits");
        }
        rig_close(&again);
        rig_close(&r);
    }
    kv_type = PUMICE_KV_F16;
}

static void test_save_of(enum pumice_kv type)
{
    struct rig r;
    size_t bytes = 0;
    kv_type = type;
    REQUIRE(rig_open(&r, GGUF_T_Q8_0, gpu_name) == PUMICE_OK, "%s", pumice_error());
    sync_ok(&r, 50);
    CHECK(pumice_session_save(r.session, NULL, &bytes) == PUMICE_OK, "%s", pumice_error());
    void *saved = mem_alloc(bytes);
    CHECK(pumice_session_save(r.session, saved, &bytes) == PUMICE_OK, "%s", pumice_error());
    sync_ok(&r, 51);
    const uint64_t hash = pumice_session_logits_hash(r.session);
    CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_session_restore(r.session, saved, bytes) == PUMICE_OK, "%s", pumice_error());
    sync_ok(&r, 51);
    struct pumice_session_stats stats;
    pumice_session_get_stats(r.session, &stats);
    CHECK(stats.prefill_tokens == 1, "computed %llu tokens after restoring", (unsigned long long)stats.prefill_tokens);
    CHECK(pumice_session_logits_hash(r.session) == hash, "restored KV gives other bits");
    mem_free(saved);
    rig_close(&r);
    kv_type = PUMICE_KV_F16;
}

static void test_save(void)
{
    for (enum pumice_kv type = 0; pumice_kv_name(type); type++) test_save_of(type);
}

static uint64_t device_bytes(const struct rig *r)
{
    struct pumice_engine_info info;
    pumice_engine_get_info(r->engine, &info);
    return info.device_bytes;
}

static void check_memory(const struct rig *r, uint64_t before)
{
    CHECK(device_bytes(r) == before, "device memory grew from %llu to %llu bytes", (unsigned long long)before,
          (unsigned long long)device_bytes(r));
}

static void test_memory(void)
{
    struct rig r;
    REQUIRE(rig_open(&r, GGUF_T_Q8_0, gpu_name) == PUMICE_OK, "%s", pumice_error());
    sync_ok(&r, 20);
    const uint64_t before = device_bytes(&r);
    for (size_t i = 0; i < 100; i++) {
        CHECK(pumice_session_rewind(r.session, i % 10) == PUMICE_OK, "%s", pumice_error());
        sync_ok(&r, 20 + i % 60);
    }
    check_memory(&r, before);
    rig_close(&r);
}

/* A past so long that kernels go through it in more turns than software drivers allow a loop: computed on the processor, restored here. */
static void test_deep(void)
{
    enum { PAST = 24000, MORE = 32, N = PAST + MORE };
    struct hparams h = tiny_model_hparams();
    h.arch = rig_arch, h.n_layers = 1, h.D = 128, h.H = 2, h.G = 1, h.E = 128, h.F = 128, h.n_context = 32768;
    int32_t *tokens = mem_alloc(N * sizeof *tokens);
    float got[512], want[512];
    struct rig r[3];
    size_t bytes = 0;
    void *saved = NULL;
    REQUIRE(tokens, "no memory");
    for (int i = 0; i < N; i++) tokens[i] = (int32_t)(mix_u64((uint64_t)i) % 200);
    const char *devices[3] = {"cpu", gpu_name, "reference"};
    for (int d = 0; d < 3; d++) {
        const struct pumice_engine_params params = {.device = devices[d], .trusted = true};
        REQUIRE(rig_start_shape(&r[d], &h, GGUF_T_F16, true, &params, h.n_context) == PUMICE_OK, "%s", pumice_error());
        if (d == 0) {
            CHECK(pumice_session_sync(r[0].session, tokens, PAST, NULL) == PUMICE_OK, "%s", pumice_error());
            CHECK(pumice_session_save(r[0].session, NULL, &bytes) == PUMICE_OK, "%s", pumice_error());
            saved = mem_alloc(bytes);
            REQUIRE(saved && pumice_session_save(r[0].session, saved, &bytes) == PUMICE_OK, "%s", pumice_error());
            continue;
        }
        CHECK(pumice_session_restore(r[d].session, saved, bytes) == PUMICE_OK, "%s", pumice_error());
        CHECK(pumice_session_sync(r[d].session, tokens, PAST + 9, NULL) == PUMICE_OK, "%s", pumice_error());
        const uint64_t before = device_bytes(&r[d]); /* of a plan of 9 tokens; one of more takes no more */
        CHECK(pumice_session_sync(r[d].session, tokens, N, NULL) == PUMICE_OK, "%s", pumice_error());
        check_memory(&r[d], before);
        memcpy(d == 1 ? got : want, pumice_session_logits(r[d].session), h.V * sizeof *got);
    }
    CHECK(nmse(got, want, h.V) < rig_limit(r[1].engine->backend, GGUF_T_F16, MORE), "after %d tokens: nmse %g", N, nmse(got, want, h.V));
    for (int d = 0; d < 3; d++) rig_close(&r[d]);
    mem_free(saved);
    mem_free(tokens);
}

/* --- failing calls and small devices ---------------------------------------------------------------------------------------- */

static struct vk_device_calls real;
static uint64_t n_calls, fail_call; /* the fail_call-th wrapped call fails; 0 = none */
static bool fails(void) { return ++n_calls == fail_call; }
static bool running;           /* a call failed, and nobody has waited for what runs since */
static uint32_t n_freed_early; /* memory and command pools while it was */

static VkResult fail_allocate(VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *a, VkDeviceMemory *out)
{
    return fails() ? VK_ERROR_OUT_OF_DEVICE_MEMORY : real.AllocateMemory(d, i, a, out);
}
static VkResult fail_buffer(VkDevice d, const VkBufferCreateInfo *i, const VkAllocationCallbacks *a, VkBuffer *out)
{
    return fails() ? VK_ERROR_OUT_OF_HOST_MEMORY : real.CreateBuffer(d, i, a, out);
}
static VkResult fail_map(VkDevice d, VkDeviceMemory m, VkDeviceSize o, VkDeviceSize n, VkMemoryMapFlags f, void **out)
{
    return fails() ? VK_ERROR_MEMORY_MAP_FAILED : real.MapMemory(d, m, o, n, f, out);
}
static VkResult fail_sets(VkDevice d, const VkDescriptorSetAllocateInfo *i, VkDescriptorSet *out)
{
    return fails() ? VK_ERROR_OUT_OF_POOL_MEMORY : real.AllocateDescriptorSets(d, i, out);
}
static VkResult fail_pipeline(VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *i,
                              const VkAllocationCallbacks *a, VkPipeline *out)
{
    return fails() ? VK_ERROR_OUT_OF_HOST_MEMORY : real.CreateComputePipelines(d, c, n, i, a, out);
}
static VkResult fail_submit(VkQueue q, uint32_t n, const VkSubmitInfo *s, VkFence f)
{
    running |= n_calls + 1 == fail_call;
    return fails() ? VK_ERROR_DEVICE_LOST : real.QueueSubmit(q, n, s, f);
}
static VkResult fail_wait(VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t t)
{
    running |= n_calls + 1 == fail_call;
    return fails() ? VK_ERROR_DEVICE_LOST : real.WaitSemaphores(d, i, t);
}
static VkResult wait_idle(VkDevice d)
{
    running = false;
    return real.DeviceWaitIdle(d);
}
static void free_memory(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a)
{
    n_freed_early += running;
    real.FreeMemory(d, m, a);
}
static void destroy_pool(VkDevice d, VkCommandPool p, const VkAllocationCallbacks *a)
{
    n_freed_early += running;
    real.DestroyCommandPool(d, p, a);
}

static void hook_failures(struct device *d)
{
    real = d->vk;
    d->vk.AllocateMemory = fail_allocate;
    d->vk.CreateBuffer = fail_buffer;
    d->vk.MapMemory = fail_map;
    d->vk.AllocateDescriptorSets = fail_sets;
    d->vk.CreateComputePipelines = fail_pipeline;
    d->vk.QueueSubmit = fail_submit;
    d->vk.WaitSemaphores = fail_wait;
    d->vk.DeviceWaitIdle = wait_idle;
    d->vk.FreeMemory = free_memory;
    d->vk.DestroyCommandPool = destroy_pool;
    running = false;
}

static void test_failures(void)
{
    uint64_t total = 0, hash = 0, n_survived = 0;
    device_hook = hook_failures;
    for (uint64_t k = 0; k <= total; k += k < 40 || k + 24 > total ? 1 : 17) { /* the last ones submit and wait */
        struct rig r;
        n_calls = 0;
        fail_call = k;
        enum pumice_status st = rig_open(&r, GGUF_T_Q4_K, gpu_name);
        if (st == PUMICE_OK) st = pumice_session_sync(r.session, prompt, 9, NULL);
        if (st == PUMICE_OK) st = pumice_session_sync(r.session, prompt, 10, NULL);
        if (k == 0) total = n_calls, hash = pumice_session_logits_hash(r.session);
        if (k && st == PUMICE_OK) { /* memory for weights is asked for in smaller blocks */
            n_survived += n_calls >= k; /* a quicker run submits less often: call k may never come */
            CHECK(pumice_session_logits_hash(r.session) == hash, "call %llu failed, and other bits came", (unsigned long long)k);
        }
        CHECK(k || st == PUMICE_OK, "%s", pumice_error());
        CHECK(st == PUMICE_OK || strlen(pumice_error()) > 20, "call %llu: no text", (unsigned long long)k);
        rig_close(&r);
    }
    CHECK(n_freed_early == 0, "%u times something was freed that might be in use", n_freed_early);
    CHECK(n_survived <= 2, "%llu failing calls were not noticed", (unsigned long long)n_survived);
    printf("failing calls: %llu places\n", (unsigned long long)total);
    device_hook = NULL;
    fail_call = 0;
}

static void test_lost(void)
{
    struct rig r;
    size_t n = 0;
    device_hook = hook_failures;
    n_calls = fail_call = 0;
    REQUIRE(rig_open(&r, GGUF_T_Q8_0, gpu_name) == PUMICE_OK, "%s", pumice_error());
    sync_ok(&r, 20);
    fail_call = n_calls + 1;
    CHECK(pumice_session_sync(r.session, prompt, 21, NULL) == PUMICE_DEVICE, "not a device failure: %s", pumice_error());
    CHECK(pumice_session_sync(r.session, prompt, 21, NULL) == PUMICE_DEVICE, "the loss was forgotten: %s", pumice_error());
    const int32_t *tokens = pumice_session_tokens(r.session, &n);
    CHECK(n == 20 && memcmp(tokens, prompt, 20 * sizeof *tokens) == 0, "the session's %zu tokens did not survive", n);
    rig_close(&r);
    device_hook = NULL;
    fail_call = 0;
}

static void hook_small(struct device *d)
{
    d->physical.limits.max_storage_range = 66 << 10; /* matrices in parts, caches of 512 tokens head by head */
    d->physical.limits.max_allocation = 1 << 20;
    d->physical.limits.unified = false; /* through staging */
    d->physical.limits.subgroup_arithmetic = false;
}

static void test_small_device(void)
{
    struct rig small, reference;
    float logits[512], want[512];
    device_hook = hook_small;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        kv_type = i % 2 ? PUMICE_KV_Q8_0 : PUMICE_KV_F16;
        const struct pumice_engine_params params = {.device = gpu_name, .trusted = true, .kv = kv_type};
        REQUIRE(rig_start(&small, types[i], true, &params, 512) == PUMICE_OK, "%s", pumice_error());
        CHECK(types[i] != GGUF_T_F32 || small.engine->weights.embed.n_parts > 1, "nothing was split");
        REQUIRE(rig_open(&reference, types[i], "reference") == PUMICE_OK, "%s", pumice_error());
        sync_ok(&small, 40);
        sync_ok(&reference, 40);
        copy_logits(&small, logits);
        copy_logits(&reference, want);
        CHECK(nmse(logits, want, small.model->h.V) < rig_limit(small.engine->backend, types[i], 40), "%s on a small device: nmse %g", gguf_type(types[i])->name,
              nmse(logits, want, small.model->h.V));
        rig_close(&small);
        rig_close(&reference);
    }
    kv_type = PUMICE_KV_F16;
    device_hook = NULL;
}

static void hook_not_sliced(struct device *d) { d->physical.limits.subgroup_shuffle = false; }

/* A whole prompt with each way to compute that the device has: rounded activations are those of the right op, in the right
 * place, whatever comes between. Weights keep the layout of the first, one that all kernels read. */
static void test_variants(void)
{
    struct rig r, reference;
    float logits[512], want[512];
    const char *name = "";
    REQUIRE(rig_open(&reference, GGUF_T_Q4_K, "reference") == PUMICE_OK, "%s", pumice_error());
    sync_ok(&reference, 40);
    copy_logits(&reference, want);
    device_hook = hook_not_sliced;
    for (uint32_t v = 0; name; v++) {
        REQUIRE(rig_open(&r, GGUF_T_Q4_K, gpu_name) == PUMICE_OK, "%s", pumice_error());
        struct backend *b = r.engine->backend;
        name = b->calls->variant(b, v);
        if (name) {
            sync_ok(&r, 40);
            copy_logits(&r, logits);
            const double error = nmse(logits, want, r.model->h.V), limit = rig_limit(b, GGUF_T_Q4_K, 40);
            CHECK(error < limit, "%s: nmse %g", name, error);
            printf("%s: nmse %.1e\n", name, error);
        }
        rig_close(&r);
    }
    rig_close(&reference);
    device_hook = NULL;
}

/* A device that calls itself a GPU gets the family that its features allow. */
static struct device_features seen, allowed;
static void hook_features(struct device *d)
{
    struct device_features *f = &d->physical.limits.features;
    seen = *f;
    d->physical.limits.software = false;
    f->half &= allowed.half;
    f->dot &= allowed.dot;
    f->dot_accelerated = allowed.dot_accelerated;
    if (!allowed.matrix.m) memset(&f->matrix, 0, sizeof f->matrix);
}

static void test_families(void)
{
    static const struct {
        struct device_features allowed;
        enum matmul_family family;
    } cases[] = {{{.half = false}, MATMUL_TILED},
                 {{.dot = true}, MATMUL_TILED},
                 {{.half = true}, MATMUL_HALF},
                 {{.half = true, .dot = true}, MATMUL_HALF},
                 {{.half = true, .dot = true, .dot_accelerated = true}, MATMUL_DOT},
                 {{.half = true, .dot = true, .dot_accelerated = true, .matrix = {1, 1, 1}}, MATMUL_MATRIX}};
    struct rig r, reference;
    float logits[512], want[512];
    REQUIRE(rig_open(&reference, GGUF_T_Q6_K, "reference") == PUMICE_OK, "%s", pumice_error());
    sync_ok(&reference, 40);
    copy_logits(&reference, want);
    device_hook = hook_features;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        allowed = cases[i].allowed;
        REQUIRE(rig_open(&r, GGUF_T_Q6_K, gpu_name) == PUMICE_OK, "%s", pumice_error());
        const bool lacking = (allowed.matrix.m && !seen.matrix.m) || (allowed.dot && !seen.dot) || (allowed.half && !seen.half);
        const struct gpu_backend *g = (const struct gpu_backend *)r.engine->backend;
        if (lacking) {
            printf("families: skipped %s, which this device lacks\n", matmul_family_name(cases[i].family));
        } else {
            CHECK(g->tuning.family == cases[i].family, "case %zu: %s", i, matmul_family_name(g->tuning.family));
            CHECK(matmul_family_for(g, GGUF_T_F32, 40) == MATMUL_TILED && matmul_family_for(g, GGUF_T_Q6_K, 1) == MATMUL_TILED,
                  "case %zu: rounds what it should not", i);
            CHECK(gpu_attention_by_matrix(g, 64, 40) == (allowed.matrix.m != 0) && !gpu_attention_by_matrix(g, 64, 1),
                  "case %zu: attention", i);
            sync_ok(&r, 40);
            copy_logits(&r, logits);
            CHECK(nmse(logits, want, r.model->h.V) < 5e-3, "case %zu: nmse %g", i, nmse(logits, want, r.model->h.V));
        }
        rig_close(&r);
    }
    device_hook = NULL;
    rig_close(&reference);
}

/* The pipeline cache: written, read back, and ignored when it is damaged. */
static void test_cache(void)
{
    char here[512], dir[600], cache[1024], path[2048];
    struct rig r;
    char *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    REQUIRE(getcwd(here, sizeof here), "no working directory"); /* the build's: the driver leaves files of its own there */
    snprintf(dir, sizeof dir, "%s/test_gpu.cache", here);
    REQUIRE(setenv("XDG_CACHE_HOME", dir, 1) == 0, "cannot set XDG_CACHE_HOME");
    CHECK(platform_dir(PLATFORM_CACHE, cache, sizeof cache) == PUMICE_OK, "%s", pumice_error());
    path[0] = '\0';
    for (int round = 0; round < 4; round++) {
        if (CHECK(rig_open(&r, GGUF_T_Q8_0, gpu_name) == PUMICE_OK, "%s", pumice_error())) {
            struct gpu_backend *g = (struct gpu_backend *)r.engine->backend;
            sync_ok(&r, 3);
            snprintf(path, sizeof path, "%s", g->pipelines.cache_path);
        }
        rig_close(&r);
        REQUIRE(path[0] && platform_exists(path), "round %d: no cache at %s", round, path);
        REQUIRE(platform_read(path, 64 << 20, &second, &n_second) == PUMICE_OK, "%s", pumice_error());
        CHECK(n_second > 64 && memcmp(second, "pumicePC", 8) == 0, "round %d: the cache was not mended", round);
        if (round == 0) first = second, n_first = n_second;
        else mem_free(second);
        const size_t n = round == 0 ? n_first / 2 : n_first; /* cut off, then garbage, then empty */
        if (round == 1) memset(first, 0xa5, n_first);
        if (round < 3) CHECK(platform_write_atomic(path, first, round == 2 ? 1 : n) == PUMICE_OK, "%s", pumice_error());
    }
    mem_free(first);
}

static void on_log(void *user, enum pumice_log_level level, const char *line)
{
    (void)user;
    if (level <= PUMICE_LOG_ERROR) printf("%s\n", line);
}

/* The plan before loading is never less than what is then taken, and not much more; a device with less refuses. */
static void VKAPI_CALL little_memory(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *p)
{
    (void)device;
    p->memoryProperties = (VkPhysicalDeviceMemoryProperties){.memoryHeapCount = 1};
    p->memoryProperties.memoryHeaps[0] = (VkMemoryHeap){.size = 90 << 20, .flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
}

static void hook_little(struct device *d)
{
    d->instance.vk.GetPhysicalDeviceMemoryProperties2 = little_memory;
    d->physical.limits.memory_budget = false;
    d->physical.limits.software = false; /* whose memory would be the host's */
}

static void test_fit(void)
{
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        kv_type = i % 2 ? PUMICE_KV_Q8_0 : PUMICE_KV_F16;
        struct rig r;
        struct pumice_fit fit;
        struct pumice_engine_info info;
        REQUIRE(rig_open(&r, types[i], gpu_name) == PUMICE_OK, "%s", pumice_error());
        CHECK(pumice_fit(r.model, &(struct pumice_engine_params){.device = gpu_name, .n_ctx = pumice_session_capacity(r.session), .kv = kv_type}, &fit) == PUMICE_OK, "%s", pumice_error());
        sync_ok(&r, 40);
        pumice_engine_get_info(r.engine, &info);
        const uint64_t sum = fit.weight_bytes + fit.kv_bytes + fit.work_bytes;
        CHECK(fit.fits && sum >= info.device_bytes && sum - info.device_bytes < (32u << 20), "%s: planned %llu, taken %llu",
              gguf_type(types[i])->name, (unsigned long long)sum, (unsigned long long)info.device_bytes);
        rig_close(&r);
    }
    kv_type = PUMICE_KV_F16;
    struct rig r;
    struct pumice_fit fit;
    const struct pumice_engine_params params = {.device = gpu_name, .n_ctx = 1 << 20};
    device_hook = hook_little;
    CHECK(rig_start(&r, GGUF_T_F32, false, &params, 1 << 20) == PUMICE_ARGUMENT, "more than the model's: %s", pumice_error());
    CHECK(pumice_fit(r.model, &(struct pumice_engine_params){.device = gpu_name}, &fit) == PUMICE_OK && fit.available_bytes == 90 << 20, "%s", pumice_error());
    r.model->h.n_context = 1 << 20; /* as if it were a long one */
    CHECK(pumice_fit(r.model, &params, &fit) == PUMICE_OK && !fit.fits && fit.max_ctx > 0, "%s", pumice_error());
    CHECK(pumice_engine_open(r.model, &params, &r.engine) == PUMICE_MEMORY && strstr(pumice_error(), "fits)") != NULL &&
              strstr(pumice_error(), "a smaller model") != NULL, "%s", pumice_error());
    const struct pumice_engine_params smaller = {.device = gpu_name, .n_ctx = fit.max_ctx};
    CHECK(pumice_engine_open(r.model, &smaller, &r.engine) == PUMICE_OK, "what the text advises: %s", pumice_error());
    pumice_engine_close(r.engine);
    r.engine = NULL;
    CHECK(pumice_engine_open(r.model, &(struct pumice_engine_params){.device = gpu_name}, &r.engine) == PUMICE_OK &&
              pumice_session_open(r.engine, NULL, &r.session) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_session_capacity(r.session) == MIN(8192u, fit.max_ctx), "%u tokens chosen", pumice_session_capacity(r.session));
    rig_close(&r);
    device_hook = NULL;
}

/* A driver that has wrong code for one kernel, or cannot compile it: the first pipeline made on a device, or the first that asks for a subgroup
 * size, or the first of a kernel, does nothing. */
static VkPipeline bad_pipeline, bound_pipeline;
static bool plant, plant_pinned, plant_fails, module_matches;
static const char *plant_kernel;

static VkResult plant_module(VkDevice d, const VkShaderModuleCreateInfo *i, const VkAllocationCallbacks *a, VkShaderModule *out)
{
    module_matches = !plant_kernel;
    for (size_t k = 0; k < spirv_n_kernels && plant_kernel; k++)
        module_matches |= spirv_kernels[k].words == i->pCode && strcmp(spirv_kernels[k].name, plant_kernel) == 0;
    return real.CreateShaderModule(d, i, a, out);
}
static VkResult plant_pipeline(VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *i,
                               const VkAllocationCallbacks *a, VkPipeline *out)
{
    const bool planted = plant && (i->stage.pNext || !plant_pinned) && module_matches;
    plant &= !planted;
    if (planted && plant_fails) return VK_ERROR_UNKNOWN;
    const VkResult result = real.CreateComputePipelines(d, c, n, i, a, out);
    if (planted && result == VK_SUCCESS) bad_pipeline = *out;
    return result;
}
static void plant_bind(VkCommandBuffer b, VkPipelineBindPoint point, VkPipeline p)
{
    bound_pipeline = p;
    real.CmdBindPipeline(b, point, p);
}
static void plant_dispatch(VkCommandBuffer b, uint32_t x, uint32_t y, uint32_t z)
{
    if (bound_pipeline != bad_pipeline || !bad_pipeline) real.CmdDispatch(b, x, y, z);
}
static size_t cache_bytes; /* what the last pipeline cache began with */
static VkResult plant_cache(VkDevice d, const VkPipelineCacheCreateInfo *i, const VkAllocationCallbacks *a, VkPipelineCache *out)
{
    cache_bytes = i->initialDataSize;
    return real.CreatePipelineCache(d, i, a, out);
}
static void hook_plant(struct device *d)
{
    real = d->vk;
    d->vk.CreatePipelineCache = plant_cache;
    d->vk.CreateShaderModule = plant_module;
    d->vk.CreateComputePipelines = plant_pipeline;
    d->vk.CmdBindPipeline = plant_bind;
    d->vk.CmdDispatch = plant_dispatch;
}

/* A cache directory of this run's own, so that what is kept is not that of another. */
static bool own_cache(const char *name)
{
    char dir[640], here[512];
    if (!CHECK(getcwd(here, sizeof here) != NULL, "no working directory")) return false;
    snprintf(dir, sizeof dir, "%s/test_gpu.cache/%s-%d", here, name, (int)getpid());
    return CHECK(setenv("XDG_CACHE_HOME", dir, 1) == 0, "no cache directory");
}

/* The logits after 40 tokens of a tiny model of that type are the reference's. */
static void check_logits(uint32_t type, const float *got, double limit, const char *otherwise)
{
    struct rig reference;
    float want[1024];
    REQUIRE(rig_open(&reference, type, "reference") == PUMICE_OK, "%s", pumice_error());
    sync_ok(&reference, 40);
    copy_logits(&reference, want);
    CHECK(nmse(got, want, reference.model->h.V) < limit, "%s", otherwise);
    rig_close(&reference);
}

/* It is noticed, gone around, said, and remembered; a right driver is checked once. */
static void test_first_use(void)
{
    struct rig r;
    struct pumice_engine_info info;
    float got[1024];
    double limit = 0;
    const struct pumice_engine_params params = {.device = gpu_name};
    if (!own_cache("first")) return;
    device_hook = hook_plant;
    for (int run = 0; run < 2; run++) { /* the second reads what the first found */
        plant = run == 0;
        cache_bytes = 0;
        bad_pipeline = NULL;
        REQUIRE(rig_start(&r, GGUF_T_Q8_0, true, &params, 256) == PUMICE_OK, "%s", pumice_error());
        pumice_engine_get_info(r.engine, &info);
        CHECK(strstr(info.warning, "matmul Q8_0") != NULL && strstr(info.warning, "other kernels") != NULL, "run %d: '%s'", run,
              info.warning);
        bad_pipeline = NULL;
        sync_ok(&r, 40);
        CHECK(cache_bytes > 0, "run %d: what the check compiled is compiled again", run);
        copy_logits(&r, got);
        limit = rig_limit(r.engine->backend, GGUF_T_Q8_0, 40);
        rig_close(&r);
    }
    device_hook = NULL;
    check_logits(GGUF_T_Q8_0, got, limit, "the other kernels are wrong, too");
    const uint64_t begin = platform_now_ns();
    for (int run = 0; run < 2; run++) {
        REQUIRE(rig_start(&r, GGUF_T_F16, true, &params, 256) == PUMICE_OK, "%s", pumice_error());
        pumice_engine_get_info(r.engine, &info);
        CHECK(info.warning[0] == 0, "%s", info.warning);
        printf("first use, run %d: %.0f ms\n", run, (double)(platform_now_ns() - begin) / 1e6);
        rig_close(&r);
    }
}

/* Opens the rig on a device whose driver has wrong code for that kernel (NULL: the first; pinned: that asks for a subgroup size),
 * first seen now; false: it could not be opened. What was told of it is in *info. */
static bool open_planted(struct rig *r, void (*hook)(struct device *d), const char *kernel, bool pinned, uint32_t type,
                         struct pumice_engine_info *info)
{
    const struct pumice_engine_params params = {.device = gpu_name, .no_tune = true};
    device_hook = hook;
    plant = true;
    plant_pinned = pinned;
    plant_kernel = kernel;
    bad_pipeline = NULL;
    if (!CHECK(rig_start(r, type, true, &params, 256) == PUMICE_OK, "%s", pumice_error())) return false;
    pumice_engine_get_info(r->engine, info);
    return true;
}

/* Its logits after 40 tokens, and the end of the planted driver. */
static void close_planted(struct rig *r, float *logits)
{
    sync_ok(r, 40);
    copy_logits(r, logits);
    rig_close(r);
    device_hook = NULL;
    plant = plant_pinned = false;
    plant_kernel = NULL;
    bad_pipeline = NULL;
}

static void hook_plant_gpu(struct device *d)
{
    hook_plant(d);
    d->physical.limits.software = false;
}

/* Attention by cooperative matrices that is wrong costs that kernel alone. Those of this model's products, which are f32, do
 * not ask for a subgroup size. */
static void test_first_use_matrix(void)
{
    struct rig r;
    struct pumice_engine_info info;
    float got[1024];
    if (!own_cache("matrix")) return;
    REQUIRE(rig_open(&r, GGUF_T_F32, gpu_name) == PUMICE_OK, "%s", pumice_error());
    const bool lacking = !((const struct gpu_backend *)r.engine->backend)->device.physical.limits.features.matrix.m;
    rig_close(&r);
    if (lacking) {
        printf("first use: skipped attention by cooperative matrices, which this device lacks\n");
        return;
    }
    REQUIRE(open_planted(&r, hook_plant_gpu, NULL, true, GGUF_T_F32, &info), "no engine");
    const struct gpu_tuning *t = &((const struct gpu_backend *)r.engine->backend)->tuning;
    CHECK(!plant, "no kernel asked for a subgroup size");
    CHECK(strstr(info.warning, "attention T=") && strstr(info.warning, "(attention tiles)"), "'%s'", info.warning);
    CHECK(!t->attention_matrix && t->family == MATMUL_MATRIX && t->fold_norm, "gave up more than attention: %s", t->name);
    const double limit = rig_limit(r.engine->backend, GGUF_T_F32, 40);
    close_planted(&r, got);
    check_logits(GGUF_T_F32, got, limit, "the tiles are wrong, too");
}

static void hook_plant_half(struct device *d)
{
    hook_plant_gpu(d);
    d->physical.limits.features.dot_accelerated = false;
    d->physical.limits.features.matrix.m = 0;
}

/* Products in halves that are wrong cost those alone: prompts are multiplied in f32 tiles. */
static void test_first_use_half(void)
{
    struct rig r;
    struct pumice_engine_info info;
    float got[1024];
    if (!own_cache("half")) return;
    REQUIRE(open_planted(&r, hook_plant_half, "matmul_half_q8_0", false, GGUF_T_Q8_0, &info), "no engine");
    const struct gpu_backend *g = (const struct gpu_backend *)r.engine->backend;
    if (!g->device.physical.limits.features.half) printf("first use: skipped halves, which this device lacks\n");
    else {
        CHECK(!plant, "no kernel multiplied halves");
        CHECK(strstr(info.warning, "matmul Q8_0 T=") && strstr(info.warning, "(f32 tiles)"), "'%s'", info.warning);
        CHECK(g->tuning.family == MATMUL_TILED && g->tuning.matmul_from == 9 && g->tuning.fold_norm, "gave up more: %s", g->tuning.name);
    }
    close_planted(&r, got);
    check_logits(GGUF_T_Q8_0, got, 1e-6, "the tiles are wrong, too");
}

static void hook_plant_pair(struct device *d)
{
    hook_plant(d);
    d->physical.limits.loads_vectors = true;
    d->physical.limits.subgroup_size = SLICES_LANES;
}

/* Two ops that are wrong as one, or whose kernel cannot be compiled, are recorded one by one. */
static void test_first_use_pair_that(const char *name, bool fails)
{
    struct rig r;
    struct pumice_engine_info info;
    float got[1024];
    if (!own_cache(name)) return;
    plant_fails = fails;
    REQUIRE(open_planted(&r, hook_plant_pair, "rope_attention_f16", false, GGUF_T_Q4_K, &info), "no engine");
    const struct gpu_backend *g = (const struct gpu_backend *)r.engine->backend;
    CHECK(!plant, "no pair was recorded");
    CHECK(strstr(info.warning, "qk_norm_rope_kv + attention") && strstr(info.warning, "(single ops)"), "'%s'", info.warning);
    CHECK(!g->tuning.pairs && g->tuning.sliced, "gave up more: %s", g->tuning.name);
    for (size_t i = 1; i <= 40; i++) sync_ok(&r, i);
    close_planted(&r, got);
    plant_fails = false;
    check_logits(GGUF_T_Q4_K, got, 1e-6, "the single ops are wrong, too");
}

static void test_first_use_pair(void)
{
    test_first_use_pair_that("pair", false);
    test_first_use_pair_that("unbuilt pair", true);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
        bool every_arch;
    } tests[] = {{"layers", test_layers, true},  {"gpu layers", test_gpu_layers, true},
                 {"barriers", test_barriers, true}, {"session", test_session, true},    {"save", test_save, true},
                 {"small", test_small_device, true}, {"variants", test_variants, true},
                 {"families", test_families, false}, {"memory", test_memory, false}, {"lost", test_lost, false},
                 {"failures", test_failures, false}, {"cache", test_cache, false},
                 {"fit", test_fit, false}, {"deep", test_deep, false},            {"first", test_first_use, false},
                 {"matrix first", test_first_use_matrix, false}, {"half first", test_first_use_half, false},
                 {"pair first", test_first_use_pair, false}};
    if (getenv("PUMICE_TEST_DEVICE")) gpu_name = getenv("PUMICE_TEST_DEVICE");
    pumice_log_to(on_log, NULL);
    for (int i = 0; i < N_PROMPT; i++) prompt[i] = (i * 7919 + 13) % 256;
    for (size_t a = 0; a < COUNT_OF(rig_arch_names); a++)
        for (size_t i = 0; i < COUNT_OF(tests); i++) {
            rig_arch = (enum arch)a;
            if ((a == 0 || tests[i].every_arch) && (argc < 2 || strstr(tests[i].name, argv[1]))) tests[i].run();
        }
    return check_summary("test_gpu");
}
