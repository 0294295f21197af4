#define _XOPEN_SOURCE 700 /* setenv */
/* test_devices: a table of simulated devices, made of the software Vulkan driver (or PUMICE_TEST_DEVICE) by taking things
 * away through device_hook. On each the whole model gives the tokens of the double-precision reference, or the device is
 * refused with the name of what it lacks. Those that choose kernels of a weight's type run models of all types.
 * usage: test_devices [part of a device's name]
 *
 * LP_NATIVE_VECTOR_WIDTH=128, 256, 512 give lavapipe subgroups of 4, 8, 16; the build runs this program with each, and with
 * PUMICE_TEST_WIDTH only the devices that another subgroup can matter to. */
#include "check.h"
#include "engine.h"
#include "gpu/gpu.h"
#include "gpu/shared.h"
#include "gpu/spirv.h"
#include "quant.h"
#include "rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *gpu_name = "software";
static const uint32_t types[] = {GGUF_T_Q4_K, GGUF_T_F16, GGUF_T_Q6_K};
enum { N_PROMPT = 45, N_ANSWER = 8, N_CONTEXT = 256, VOCAB = 512 };
static int32_t prompt[N_PROMPT];

/* --- what is taken away --------------------------------------------------------------------------------------------- */

/* A GPU: not software, so that it gets a GPU's kernels, and its memory is not the host's; without halves, so that its prompts
 * are multiplied in f32 unless the driver has better. */
static void gpu(struct device_limits *l) { l->software = l->unified = l->features.half = false; }

static void as_it_is(struct device_limits *l) { (void)l; }
static void integrated(struct device_limits *l) { gpu(l), l->unified = true; }
static void no_arithmetic(struct device_limits *l) { gpu(l), l->subgroup_arithmetic = false; }
static void no_arithmetic_software(struct device_limits *l) { l->subgroup_arithmetic = false; }
static void no_address(struct device_limits *l) { gpu(l), l->buffer_address = false; }
static void no_timestamps(struct device_limits *l) { gpu(l), l->timestamp_ns = 0, l->timestamp_bits = 0; }
static void short_timestamps(struct device_limits *l) { gpu(l), l->timestamp_bits = 36; }
static void no_budget(struct device_limits *l) { gpu(l), l->memory_budget = false; }
static void small_range(struct device_limits *l) { gpu(l), l->max_storage_range = 64 << 10; }
static void small_range_software(struct device_limits *l) { l->max_storage_range = 64 << 10; }
static void allocation_64(struct device_limits *l) { gpu(l), l->max_allocation = 64 << 20; }
static void allocation_1(struct device_limits *l) { gpu(l), l->max_allocation = 1 << 20; }
static void shared_16(struct device_limits *l) { gpu(l), l->shared_bytes = 16 << 10; }
static void lanes_128(struct device_limits *l) { gpu(l), l->max_lanes = 128; }
static void few_groups(struct device_limits *l) { gpu(l), l->max_groups_x = l->max_groups_yz = 64; }
static void subgroup_4(struct device_limits *l) { gpu(l), l->subgroup_size = 4; }
static void subgroup_16(struct device_limits *l) { gpu(l), l->subgroup_size = 16; }
static void subgroup_32(struct device_limits *l) { gpu(l), l->subgroup_size = 32; }
static void subgroup_64(struct device_limits *l) { gpu(l), l->subgroup_size = 64; }
static void subgroup_128(struct device_limits *l) { gpu(l), l->subgroup_size = 128; }
static void software_4(struct device_limits *l) { l->subgroup_size = 4; }
static void no_shuffle(struct device_limits *l) { l->subgroup_shuffle = false; }
static void no_address_software(struct device_limits *l) { l->buffer_address = false; }
static void vectors(struct device_limits *l) { l->loads_vectors = true, l->subgroup_size = MIN(l->subgroup_size, 8u), l->max_storage_range = 64 << 10; }
static void software_16(struct device_limits *l) { l->subgroup_size = 16; }

static void all_at_once(struct device_limits *l)
{
    no_arithmetic(l), no_address(l), no_timestamps(l), no_budget(l), small_range(l), allocation_1(l), shared_16(l), lanes_128(l),
        few_groups(l);
    l->max_push_bytes = 128;
    l->max_bindings = DEVICE_MIN_BINDINGS;
    l->storage_align = DEVICE_MAX_ALIGN;
}

static void no_halves(struct device_limits *l) { gpu(l), l->features.dot_accelerated = false, l->features.matrix.m = 0; }
static void halves(struct device_limits *l)
{
    const bool half = l->features.half;
    no_halves(l), l->features.half = half;
}
static void halves_128(struct device_limits *l) { halves(l), l->max_lanes = 128, l->shared_bytes = 16 << 10; }

static void no_timeline(struct device_limits *l) { l->timeline = false; }
static void lanes_64(struct device_limits *l) { l->max_lanes = 64; }
static void shared_8(struct device_limits *l) { l->shared_bytes = 8 << 10; }
static void push_64(struct device_limits *l) { l->max_push_bytes = 64; }
static void bindings_4(struct device_limits *l) { l->max_bindings = 4; }
static void align_1024(struct device_limits *l) { l->storage_align = 1024; }
static void groups_4(struct device_limits *l) { gpu(l), l->max_groups_yz = 4; }
static void range_8(struct device_limits *l) { gpu(l), l->max_storage_range = 8 << 10; }
static void allocation_4(struct device_limits *l) { gpu(l), l->max_allocation = 4 << 10; }
static void little_memory(struct device_limits *l) { gpu(l), l->memory_budget = false; }

static const struct simulated {
    const char *name;
    void (*take)(struct device_limits *l);
    const char *refusal; /* a part of its text, or NULL: it works */
    enum { TYPES = 1, WIDTH = 2 } also; /* models of all types, not the first alone; run with other subgroups of the driver */
} table[] = {
    {"as it is", as_it_is, NULL, TYPES | WIDTH},
    {"discrete", gpu, NULL, TYPES | WIDTH},
    {"discrete, separate memory", gpu, NULL, 0},
    {"integrated", integrated, NULL, 0},
    {"integrated, a small heap of its own", integrated, NULL, 0},
    {"no subgroup arithmetic", no_arithmetic, NULL, TYPES | WIDTH},
    {"no subgroup arithmetic, software", no_arithmetic_software, NULL, TYPES},
    {"no buffer address", no_address, NULL, 0},
    {"no timestamps", no_timestamps, NULL, 0},
    {"timestamps of 36 bits", short_timestamps, NULL, 0},
    {"no memory budget", no_budget, NULL, 0},
    {"bindings of 64 KiB", small_range, NULL, TYPES},
    {"bindings of 64 KiB, software", small_range_software, NULL, 0},
    {"allocations of 64 MiB", allocation_64, NULL, 0},
    {"allocations of 1 MiB", allocation_1, NULL, 0},
    {"16 KiB of shared memory", shared_16, NULL, 0},
    {"128 lanes", lanes_128, NULL, WIDTH},
    {"64 groups", few_groups, NULL, 0},
    {"subgroup 4", subgroup_4, NULL, WIDTH},
    {"subgroup 16", subgroup_16, NULL, WIDTH},
    {"subgroup 32", subgroup_32, NULL, WIDTH},
    {"subgroup 64", subgroup_64, NULL, TYPES},
    {"subgroup 128", subgroup_128, NULL, 0},
    {"software, subgroup 4", software_4, NULL, TYPES | WIDTH},
    {"software, subgroup 16", software_16, NULL, WIDTH},
    {"software, no shuffles", no_shuffle, NULL, TYPES | WIDTH},
    {"software, no buffer address", no_address_software, NULL, 0},
    {"software that loads vectors, bindings of 64 KiB", vectors, NULL, 0},
    {"all at once, separate memory", all_at_once, NULL, TYPES | WIDTH},
    {"no dot, no matrix", halves, NULL, TYPES | WIDTH},
    {"no dot, no matrix, 128 lanes", halves_128, NULL, WIDTH},
    {"no dot, no matrix, no halves", no_halves, NULL, 0},
    {"no timeline", no_timeline, "timeline semaphores", 0},
    {"64 lanes", lanes_64, "64 lanes in a workgroup", 0},
    {"8 KiB of shared memory", shared_8, "8192 bytes of shared memory", 0},
    {"64 bytes of push constants", push_64, "64 bytes of push constants", 0},
    {"4 bindings", bindings_4, "4 storage buffers", 0},
    {"alignment of 1024", align_1024, "multiples of 1024 bytes", 0},
    {"4 groups", groups_4, "workgroups", 0},
    {"bindings of 8 KiB", range_8, "in one buffer", 0},
    {"allocations of 4 KiB", allocation_4, "in one buffer", 0},
    {"little memory", little_memory, "GiB free", 0},
};
static const struct simulated *now;
static bool has_eight_lanes; /* in a subgroup, which sliced weights need */

/* --- memory that the host cannot see: type 0 is the device's, type 1 the host's; both are the driver's type 0 ---------- */

static struct vk_device_calls real;
static VkDeviceMemory hidden[256];
static uint32_t n_hidden, n_wrong_maps, n_full;
static uint64_t small_heap, used_bytes; /* of type 0; 0: as large as the driver's */

static void separate_requirements(VkDevice d, VkBuffer b, VkMemoryRequirements *out)
{
    real.GetBufferMemoryRequirements(d, b, out);
    out->memoryTypeBits = 3;
}
static VkResult separate_allocate(VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *a, VkDeviceMemory *out)
{
    VkMemoryAllocateInfo info = *i;
    info.memoryTypeIndex = 0;
    if (small_heap && i->memoryTypeIndex == 0) {
        if (used_bytes + i->allocationSize > small_heap) return n_full++, VK_ERROR_OUT_OF_DEVICE_MEMORY;
        used_bytes += i->allocationSize;
    }
    const VkResult result = real.AllocateMemory(d, &info, a, out);
    if (result == VK_SUCCESS && i->memoryTypeIndex == 0 && n_hidden < COUNT_OF(hidden)) hidden[n_hidden++] = *out;
    return result;
}
static void separate_free(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a)
{
    for (uint32_t i = 0; i < n_hidden; i++)
        if (hidden[i] == m) hidden[i--] = hidden[--n_hidden];
    real.FreeMemory(d, m, a);
}
static VkResult separate_map(VkDevice d, VkDeviceMemory m, VkDeviceSize o, VkDeviceSize n, VkMemoryMapFlags f, void **out)
{
    for (uint32_t i = 0; i < n_hidden; i++)
        if (hidden[i] == m) return n_wrong_maps++, VK_ERROR_MEMORY_MAP_FAILED;
    return real.MapMemory(d, m, o, n, f, out);
}

static void separate_memory(struct device *d)
{
    VkPhysicalDeviceMemoryProperties *m = &d->physical.memory;
    real = d->vk;
    n_hidden = 0;
    m->memoryTypeCount = 2;
    m->memoryTypes[0].propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    m->memoryTypes[1] = m->memoryTypes[0];
    m->memoryTypes[1].propertyFlags = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                      VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    d->vk.GetBufferMemoryRequirements = separate_requirements;
    d->vk.AllocateMemory = separate_allocate;
    d->vk.FreeMemory = separate_free;
    d->vk.MapMemory = separate_map;
}

static void VKAPI_CALL little_heap(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *p)
{
    (void)device;
    p->memoryProperties = (VkPhysicalDeviceMemoryProperties){.memoryHeapCount = 1};
    p->memoryProperties.memoryHeaps[0] = (VkMemoryHeap){.size = 1 << 20, .flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
}

static void hook(struct device *d)
{
    now->take(&d->physical.limits);
    has_eight_lanes = d->physical.limits.subgroup_size >= 8;
    small_heap = strstr(now->name, "small heap") ? 300 << 10 : 0;
    used_bytes = n_full = 0;
    if (strstr(now->name, "separate memory") || small_heap) separate_memory(d);
    if (now->take == little_memory) d->instance.vk.GetPhysicalDeviceMemoryProperties2 = little_heap;
}

/* --- the whole model -------------------------------------------------------------------------------------------------- */

struct run {
    float logits[VOCAB]; /* after the prompt */
    int32_t answer[N_ANSWER];
    double lead[N_ANSWER];     /* of the reference: the square of the best logit's lead, of their mean square */
    enum matmul_family family; /* of a device: these for its prompts */
    bool half;                 /* it has them */
    double limit;              /* of the logits' NMSE */
};

static double lead_of(const float *logits, uint32_t V)
{
    double first = -INFINITY, second = -INFINITY, power = 0;
    for (uint32_t i = 0; i < V; i++) {
        const double v = (double)logits[i];
        second = fmax(second, fmin(first, v));
        first = fmax(first, v);
        power += v * v / V;
    }
    return (first - second) * (first - second) / power;
}

static enum pumice_status run(uint32_t type, const char *device, struct run *out)
{
    enum pumice_status st = PUMICE_OK;
    struct rig r;
    size_t n = 0;
    const int32_t *tokens = NULL;
    const struct pumice_engine_params params = {.device = device, .trusted = true, .perf = true, .n_ctx = N_CONTEXT};
    const struct pumice_generate_params greedy = {.max_tokens = now ? N_ANSWER : 1};
    struct pumice_generate_result result;
    memset(out, 0, sizeof *out);
    TRY(rig_start(&r, type, true, &params, N_CONTEXT));
    if (now && (now->take == vectors || now->take == no_shuffle))
        CHECK(r.engine->weights.embed.parts[0].layout.sliced == (layout_slices(type) && has_eight_lanes && now->take == vectors),
              "%s: sliced or not", now->name);
    if (now) {
        const struct gpu_backend *g = (const struct gpu_backend *)r.engine->backend;
        out->family = g->tuning.family;
        out->half = g->device.physical.limits.features.half;
        out->limit = rig_limit(r.engine->backend, type, N_PROMPT);
    }
    TRY(pumice_session_sync(r.session, prompt, N_PROMPT, NULL));
    memcpy(out->logits, pumice_session_logits(r.session), r.model->h.V * sizeof *out->logits);
    for (int i = 0; i < (now ? 1 : N_ANSWER); i++) {
        tokens = pumice_session_tokens(r.session, &n);
        if (i) TRY(pumice_session_sync(r.session, tokens, n, NULL));
        if (!now) out->lead[i] = lead_of(pumice_session_logits(r.session), r.model->h.V);
        TRY(pumice_session_generate(r.session, &greedy, &result));
    }
    tokens = pumice_session_tokens(r.session, &n);
    if (CHECK(n == N_PROMPT + N_ANSWER, "%zu tokens", n)) memcpy(out->answer, tokens + N_PROMPT, sizeof out->answer);
    struct pumice_perf_row rows[32];
    size_t n_rows = COUNT_OF(rows);
    pumice_engine_perf(r.engine, rows, &n_rows);
    const bool timed = !now || (now->take != no_timestamps && now->take != all_at_once);
    CHECK((n_rows > 0) == timed, "%zu ops were timed", n_rows);
fail:
    rig_close(&r);
    return st;
}

static double nmse(const float *a, const float *b)
{
    double error = 0, power = 0;
    for (size_t i = 0; i < VOCAB; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        power += (double)b[i] * (double)b[i];
    }
    return error / power;
}

/* The tokens that are the reference's. With kernels that round they may stop to be where its lead is four times the errors of two
 * logits at most: models with random weights often hesitate. */
static int tokens_right(const struct run *got, const struct run *want, bool *same)
{
    int n = 0;
    while (n < N_ANSWER && got->answer[n] == want->answer[n]) n++;
    *same = n == N_ANSWER || (got->family != MATMUL_TILED && want->lead[n] < 4 * 4 * 2 * got->limit);
    return n;
}

static void test_device(const struct simulated *s, const struct run *want, size_t n_types)
{
    const uint64_t begin = platform_now_ns();
    double worst = 0;
    bool same = true;
    int n_right = 0, n_tokens = 0;
    now = s;
    device_hook = hook;
    for (size_t i = 0; i < (s->refusal ? 1 : n_types); i++) {
        struct run got;
        const enum pumice_status st = run(types[i], gpu_name, &got);
        if (s->refusal) {
            CHECK(st == PUMICE_UNSUPPORTED || st == PUMICE_MEMORY, "%s: %s", s->name, pumice_status_name(st));
            CHECK(st != PUMICE_OK && strstr(pumice_error(), s->refusal), "%s: '%s'", s->name, pumice_error());
            CHECK(strstr(pumice_error(), "use ") || strstr(pumice_error(), "--device"), "%s: no advice", pumice_error());
            printf("%-44s refused: %.90s\n", s->name, pumice_error());
            continue;
        }
        if (!CHECK(st == PUMICE_OK, "%s, %s: %s", s->name, gguf_type(types[i])->name, pumice_error())) continue;
        const double error = nmse(got.logits, want[i].logits);
        n_right += tokens_right(&got, &want[i], &same);
        n_tokens += N_ANSWER;
        worst = error > worst ? error : worst;
        const bool by_halves = s->take == halves || s->take == halves_128;
        CHECK(error < got.limit, "%s, %s: nmse %g", s->name, gguf_type(types[i])->name, error);
        if (by_halves || s->take == no_halves)
            CHECK(got.family == (by_halves && got.half ? MATMUL_HALF : MATMUL_TILED), "%s: %s", s->name, matmul_family_name(got.family));
        CHECK(same, "%s, %s: other tokens", s->name, gguf_type(types[i])->name);
    }
    CHECK(!strstr(s->name, "small heap") || n_full > 0, "%s: it was never full", s->name);
    CHECK(n_wrong_maps == 0, "%s: memory of the device was mapped", s->name);
    if (!s->refusal)
        printf("%-44s %d of %d tokens, nmse %.1e, %.1f s\n", s->name, n_right, n_tokens, worst, (double)(platform_now_ns() - begin) / 1e9);
    device_hook = NULL;
    now = NULL;
}

static void test_models(const char *only)
{
    static struct run want[COUNT_OF(types)];
    for (size_t i = 0; i < COUNT_OF(types); i++)
        REQUIRE(run(types[i], "reference", &want[i]) == PUMICE_OK, "%s", pumice_error());
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (only ? strstr(table[i].name, only) != NULL : (table[i].also & WIDTH) || !getenv("PUMICE_TEST_WIDTH"))
            test_device(&table[i], want, rig_arch == ARCH_QWEN3 && (table[i].also & TYPES) ? COUNT_OF(types) : 1);
}

/* --- what a kernel takes of shared memory ----------------------------------------------------------------------------- */

static const struct spirv_kernel *kernel(const char *name)
{
    for (size_t i = 0; i < spirv_n_kernels; i++)
        if (strcmp(spirv_kernels[i].name, name) == 0) return &spirv_kernels[i];
    return NULL;
}

static void test_shared_bytes(void)
{
    const uint32_t lanes[] = {32}, spec[] = {64, 128};
    uint64_t bytes = 0;
    for (size_t i = 0; i < spirv_n_kernels; i++)
        CHECK(shared_bytes_of(spirv_kernels[i].words, spirv_kernels[i].bytes / 4, spec, 1, &bytes), "%s is not understood",
              spirv_kernels[i].name);
    const struct spirv_kernel *norm = kernel("rms_norm"), *plain = kernel("swiglu"), *attention = kernel("attention_f16");
    REQUIRE(norm && plain && attention, "kernels have other names now");
    CHECK(shared_bytes_of(norm->words, norm->bytes / 4, spec, 1, &bytes) && bytes >= 64 * 4, "%llu", (unsigned long long)bytes);
    const uint64_t wide = bytes;
    CHECK(shared_bytes_of(norm->words, norm->bytes / 4, lanes, 1, &bytes) && bytes < wide, "does not follow the lanes");
    CHECK(shared_bytes_of(plain->words, plain->bytes / 4, spec, 1, &bytes) && bytes == 0, "%llu", (unsigned long long)bytes);
    CHECK(shared_bytes_of(attention->words, attention->bytes / 4, spec, 2, &bytes) && bytes >= 128 * 4, "%llu",
          (unsigned long long)bytes);
    /* a damaged module is refused or read, never followed out of its bounds */
    uint32_t *copy = mem_alloc(attention->bytes);
    REQUIRE(copy, "no memory");
    for (uint32_t seed = 1; seed < 400; seed++) {
        memcpy(copy, attention->words, attention->bytes);
        for (uint32_t j = 0; j < 8; j++) {
            const uint64_t x = mix_u64(seed * 100ull + j);
            copy[x % (attention->bytes / 4)] = (uint32_t)(x >> 32);
        }
        (void)shared_bytes_of(copy, attention->bytes / 4 - seed % 7, spec, 2, &bytes);
    }
    copy[0] = 0;
    CHECK(!shared_bytes_of(copy, attention->bytes / 4, spec, 2, &bytes) && bytes == 0, "no magic number, and yet");
    mem_free(copy);
}

/* --- the automatic choice ----------------------------------------------------------------------------------------------- */

static VkResult no_semaphore(VkDevice d, const VkSemaphoreCreateInfo *i, const VkAllocationCallbacks *a, VkSemaphore *out)
{
    (void)d, (void)i, (void)a, (void)out;
    return VK_ERROR_UNKNOWN;
}
static void hook_broken(struct device *d) { d->vk.CreateSemaphore = no_semaphore; }
static void hook_little(struct device *d)
{
    little_memory(&d->physical.limits);
    d->instance.vk.GetPhysicalDeviceMemoryProperties2 = little_heap;
}
static void hook_lacking(struct device *d) { d->physical.limits.max_lanes = 64; }

/* A device that fails, lacks something or is too small is passed over, and the person told; by its name it is an error. */
static void test_automatic(void)
{
    const struct {
        const char *name;
        void (*hook)(struct device *d);
        enum pumice_status by_name;
        const char *told;
    } all[] = {{"broken", hook_broken, PUMICE_DEVICE, "vkCreateSemaphore"},
               {"little memory", hook_little, PUMICE_MEMORY, "GiB free"},
               {"lacking", hook_lacking, PUMICE_UNSUPPORTED, NULL}};
    rig_arch = ARCH_QWEN3;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct rig r;
        struct pumice_engine_info info;
        device_hook = all[i].hook;
        const struct pumice_engine_params named = {.device = gpu_name, .trusted = true}, automatic = {.trusted = true};
        const enum pumice_status st = rig_start(&r, types[0], true, &named, N_CONTEXT);
        CHECK(st == all[i].by_name, "%s by name: %s, %s", all[i].name, pumice_status_name(st), pumice_error());
        rig_close(&r);
        if (!CHECK(rig_start(&r, types[0], true, &automatic, N_CONTEXT) == PUMICE_OK, "%s: %s", all[i].name, pumice_error())) continue;
        pumice_engine_get_info(r.engine, &info);
        CHECK(info.device.kind == PUMICE_DEVICE_CPU, "%s: on %s", all[i].name, info.device.name);
        CHECK(!all[i].told || strstr(info.warning, all[i].told), "%s: '%s'", all[i].name, info.warning);
        CHECK(pumice_session_sync(r.session, prompt, N_PROMPT, NULL) == PUMICE_OK, "%s", pumice_error());
        printf("automatic, %s: %.120s\n", all[i].name, info.warning);
        rig_close(&r);
    }
    device_hook = NULL;
}

/* --- tuning ----------------------------------------------------------------------------------------------------------- */

static uint32_t n_failed;

/* A compiler that fails at what it is asked for only when tuning: a norm of 32 lanes. */
static VkResult fail_small(VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *i,
                          const VkAllocationCallbacks *a, VkPipeline *out)
{
    const VkSpecializationInfo *spec = i->stage.pSpecializationInfo;
    if (spec->mapEntryCount == 1 && *(const uint32_t *)spec->pData == 32) return n_failed++, VK_ERROR_UNKNOWN;
    return real.CreateComputePipelines(d, c, n, i, a, out);
}

static void hook_gpu(struct device *d)
{
    real = d->vk;
    d->vk.CreateComputePipelines = fail_small;
    gpu(&d->physical.limits);
    d->physical.limits.max_lanes = 128, d->physical.limits.subgroup_size = 32; /* fewer values, fewer kernels to compile */
    d->physical.info.kind = PUMICE_DEVICE_INTEGRATED;
}

static uint32_t n_tuned;
static bool on_progress(void *user, const char *stage, float fraction)
{
    (void)user;
    (void)fraction;
    n_tuned += strcmp(stage, "tune") == 0;
    return true;
}

/* The check of the kernels, which comes after, takes long. */
static bool until_check(void *user, const char *stage, float fraction)
{
    return on_progress(user, stage, fraction) && strcmp(stage, "check") != 0;
}

static void open_tuned(struct rig *r, bool no_tune, bool tuned, char *text, size_t n)
{
    const struct pumice_engine_params params = {.device = gpu_name, .trusted = no_tune, .progress = on_progress, .n_ctx = N_CONTEXT};
    n_tuned = 0;
    REQUIRE(rig_start(r, types[0], true, &params, N_CONTEXT) == PUMICE_OK, "%s", pumice_error());
    const struct gpu_backend *g = (const struct gpu_backend *)r->engine->backend;
    CHECK(g->tuned == tuned, "tuned: %d", g->tuned);
    tune_describe(&g->tuning, g->tuned, text, n);
}

static void write_file(const char *path, const char *bytes)
{
    CHECK(platform_write_atomic(path, bytes, strlen(bytes)) == PUMICE_OK, "%s", pumice_error());
}

/* A GPU is tuned at its first use, once; what is kept computes right, and is ignored when it is damaged. */
static void test_tuning(void)
{
    struct rig r;
    struct run want;
    float got[VOCAB] = {0};
    char here[512], dir[700], cache[1024], built[512], first[512], second[512], path[1200];
    REQUIRE(getcwd(here, sizeof here), "no working directory");
    snprintf(dir, sizeof dir, "%s/test_devices.cache/%d", here, (int)getpid());
    REQUIRE(setenv("XDG_CACHE_HOME", dir, 1) == 0 && platform_dir(PLATFORM_CACHE, cache, sizeof cache) == PUMICE_OK, "no cache");
    rig_arch = ARCH_QWEN3;
    REQUIRE(run(types[0], "reference", &want) == PUMICE_OK, "%s", pumice_error());
    device_hook = hook_gpu;
    const struct pumice_engine_params no_tune = {.device = gpu_name, .no_tune = true, .progress = until_check, .n_ctx = N_CONTEXT};
    CHECK(rig_start(&r, types[0], true, &no_tune, N_CONTEXT) == PUMICE_CANCELLED && n_tuned == 0, "%u values were tried, and yet not wanted: %s",
          n_tuned, pumice_error());
    rig_close(&r);
    open_tuned(&r, true, false, built, sizeof built);
    rig_close(&r);
    open_tuned(&r, false, true, first, sizeof first);
    CHECK(n_tuned > 5 && n_failed > 0, "%u values were tried, %u failed", n_tuned, n_failed);
    CHECK(pumice_session_sync(r.session, prompt, N_PROMPT, NULL) == PUMICE_OK, "%s", pumice_error());
    memcpy(got, pumice_session_logits(r.session), r.model->h.V * sizeof *got);
    /* the last token alone goes through the output head, perhaps by dot products */
    const double limit = fmax(rig_limit(r.engine->backend, types[0], N_PROMPT), rig_limit(r.engine->backend, types[0], 1));
    CHECK(nmse(got, want.logits) < limit, "tuned kernels compute wrong: %g, %s", nmse(got, want.logits), first);
    snprintf(path, sizeof path, "%s/tuned-%016llx.txt", cache,
             (unsigned long long)physical_identity(&((struct gpu_backend *)r.engine->backend)->device.physical));
    rig_close(&r);
    open_tuned(&r, false, true, second, sizeof second);
    CHECK(n_tuned == 0 && strcmp(first, second) == 0, "tuned again: %s, then %s", first, second);
    rig_close(&r);
    char wild[100] = "pumice tuning 1\nlanes 4096\n"; /* whole, but no such value is offered */
    const uint64_t hash = hash_bytes(wild, strlen(wild), 0);
    snprintf(wild + strlen(wild), sizeof wild - strlen(wild), "hash %016llx\n", (unsigned long long)hash);
    const char *const damaged[] = {"", "pumice tuning 1\nlanes 64\nhash 0123456789abcdef\n", "x\n", wild};
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        write_file(path, damaged[i]);
        open_tuned(&r, true, false, second, sizeof second);
        CHECK(strcmp(built, second) == 0, "damaged file %zu: %s", i, second);
        rig_close(&r);
    }
    printf("%s\n%s\n", built, first);
    device_hook = NULL;
}

static void on_log(void *user, enum pumice_log_level level, const char *line)
{
    (void)user;
    if (level <= PUMICE_LOG_ERROR) printf("%s\n", line);
}

int main(int argc, char **argv)
{
    if (getenv("PUMICE_TEST_DEVICE")) gpu_name = getenv("PUMICE_TEST_DEVICE");
    pumice_log_to(on_log, NULL);
    for (int i = 0; i < N_PROMPT; i++) prompt[i] = (i * 7919 + 13) % 256;
    test_shared_bytes();
    if (argc < 2 ? !getenv("PUMICE_TEST_DEVICE") : strcmp(argv[1], "automatic") == 0) test_automatic();
    const bool width = getenv("PUMICE_TEST_WIDTH") != NULL; /* one architecture will do */
    if (argc < 2 ? !width : strcmp(argv[1], "tuning") == 0) test_tuning();
    for (size_t a = 0; a < (width ? 1 : COUNT_OF(rig_arch_names)); a++) {
        rig_arch = (enum arch)a;
        printf("--- %s\n", rig_arch_names[a]);
        test_models(argc > 1 ? argv[1] : NULL);
    }
    return check_summary("test_devices");
}
