/* pipeline: see pipeline.h. */
#include "pipeline.h"

#include "../platform.h"
#include "shared.h"
#include "spirv.h"

#include <stdio.h>
#include <string.h>

/* In front of the driver's bytes in the cache file. */
struct cache_header {
    char magic[8];
    uint8_t device_uuid[16], driver_uuid[16];
    uint64_t bytes, hash;
};
static const char cache_magic[8] = "pumicePC";
enum { CACHE_MAX_BYTES = 64 << 20 };

static void cache_read(struct pipelines *ps, char **file, const void **data, size_t *bytes)
{
    const struct physical *p = &ps->device->physical;
    struct cache_header h;
    size_t n = 0;
    char dir[900];
    *data = NULL;
    *bytes = 0;
    if (platform_dir(PLATFORM_CACHE, dir, sizeof dir) != PUMICE_OK) return; /* runs without a cache */
    char id[33];
    for (int i = 0; i < 16; i++) snprintf(id + 2 * i, 3, "%02x", p->driver_uuid[i] ^ p->uuid[i]);
    snprintf(ps->cache_path, sizeof ps->cache_path, "%s/pipelines-%s.bin", dir, id);
    if (!platform_exists(ps->cache_path) || platform_read(ps->cache_path, CACHE_MAX_BYTES, file, &n) != PUMICE_OK) return;
    if (n < sizeof h) return;
    memcpy(&h, *file, sizeof h);
    const char *body = *file + sizeof h;
    if (memcmp(h.magic, cache_magic, 8) || memcmp(h.device_uuid, p->uuid, 16) || memcmp(h.driver_uuid, p->driver_uuid, 16) ||
        h.bytes != n - sizeof h || h.hash != hash_bytes(body, n - sizeof h, 0)) {
        log_line(PUMICE_LOG_INFO, "the pipeline cache %s does not fit and is ignored", ps->cache_path);
        return;
    }
    *data = body;
    *bytes = (size_t)h.bytes;
}

static void cache_write(struct pipelines *ps)
{
    struct device *d = ps->device;
    size_t bytes = 0;
    if (!ps->cache_path[0] || !ps->n_created || d->lost) return;
    if (d->vk.GetPipelineCacheData(d->handle, ps->cache, &bytes, NULL) < 0 || bytes == 0 || bytes > CACHE_MAX_BYTES) return;
    char *file = mem_alloc(sizeof(struct cache_header) + bytes);
    if (!file) return;
    if (d->vk.GetPipelineCacheData(d->handle, ps->cache, &bytes, file + sizeof(struct cache_header)) >= 0) {
        struct cache_header h = {.bytes = bytes, .hash = hash_bytes(file + sizeof h, bytes, 0)};
        memcpy(h.magic, cache_magic, 8);
        memcpy(h.device_uuid, d->physical.uuid, 16);
        memcpy(h.driver_uuid, d->physical.driver_uuid, 16);
        memcpy(file, &h, sizeof h);
        if (platform_write_atomic(ps->cache_path, file, sizeof h + bytes) != PUMICE_OK)
            log_line(PUMICE_LOG_INFO, "the pipeline cache was not written: %s", pumice_error());
    }
    mem_free(file);
}

/* Not before the first pipeline: what the check and the tuning of a first use compiled, on back ends of their own, is in the file
 * by then. */
static enum pumice_status cache_open(struct pipelines *ps)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = ps->device;
    char *file = NULL;
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    cache_read(ps, &file, &info.pInitialData, &info.initialDataSize);
    VkResult result = d->vk.CreatePipelineCache(d->handle, &info, NULL, &ps->cache);
    if (result < 0 && info.initialDataSize) { /* the driver may refuse what it wrote: start afresh */
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        result = d->vk.CreatePipelineCache(d->handle, &info, NULL, &ps->cache);
    }
    if (result < 0) st = vk_fail(result, "vk.CreatePipelineCache");
    mem_free(file);
    return st;
}

void pipelines_init(struct pipelines *ps, struct device *d) { *ps = (struct pipelines){.device = d}; }

static void destroy(struct device *d, struct pipeline *p)
{
    if (p->handle) d->vk.DestroyPipeline(d->handle, p->handle, NULL);
    if (p->layout) d->vk.DestroyPipelineLayout(d->handle, p->layout, NULL);
    if (p->set_layout) d->vk.DestroyDescriptorSetLayout(d->handle, p->set_layout, NULL);
}

void pipelines_fini(struct pipelines *ps)
{
    if (!ps->device) return;
    cache_write(ps);
    for (struct pipeline *p = ps->first; p; p = p->next) destroy(ps->device, p);
    if (ps->cache) ps->device->vk.DestroyPipelineCache(ps->device->handle, ps->cache, NULL);
    arena_fini(&ps->arena);
    memset(ps, 0, sizeof *ps);
}

static const struct spirv_kernel *find_kernel(const char *name)
{
    for (size_t i = 0; i < spirv_n_kernels; i++)
        if (strcmp(spirv_kernels[i].name, name) == 0) return &spirv_kernels[i];
    return NULL;
}

static enum pumice_status create(struct pipelines *ps, const struct spirv_kernel *kernel, struct pipeline *p)
{
    enum pumice_status st = PUMICE_OK;
    struct device *d = ps->device;
    VkShaderModule module = VK_NULL_HANDLE;
    if (!ps->cache) TRY(cache_open(ps));
    VkDescriptorSetLayoutBinding bindings[PIPELINE_MAX_BINDINGS];
    VkSpecializationMapEntry entries[PIPELINE_MAX_SPEC];
    for (uint32_t i = 0; i < p->n_bindings; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i, .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                     .descriptorCount = 1, .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    for (uint32_t i = 0; i < p->n_spec; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = i * 4, .size = 4};
    const VkDescriptorSetLayoutCreateInfo set = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                                 .bindingCount = p->n_bindings, .pBindings = bindings};
    const VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = p->push_bytes};
    VK_TRY(d->vk.CreateDescriptorSetLayout(d->handle, &set, NULL, &p->set_layout));
    const VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1,
                                               .pSetLayouts = &p->set_layout, .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &push};
    VK_TRY(d->vk.CreatePipelineLayout(d->handle, &layout, NULL, &p->layout));
    const VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = kernel->bytes,
                                           .pCode = kernel->words};
    VK_TRY(d->vk.CreateShaderModule(d->handle, &code, NULL, &module));
    const VkSpecializationInfo spec = {.mapEntryCount = p->n_spec, .pMapEntries = entries, .dataSize = p->n_spec * 4,
                                       .pData = p->spec};
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, .requiredSubgroupSize = p->subgroup};
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO, .layout = p->layout,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .pNext = p->subgroup ? &size : NULL,
                  .flags = p->subgroup ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0u, .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module, .pName = "main", .pSpecializationInfo = &spec}};
    VK_TRY(d->vk.CreateComputePipelines(d->handle, ps->cache, 1, &info, NULL, &p->handle));
    device_name(d, VK_OBJECT_TYPE_PIPELINE, (uint64_t)p->handle, "%s", kernel->name);
fail:
    if (module) d->vk.DestroyShaderModule(d->handle, module, NULL);
    return st;
}

/* What the driver need not check: lanes and shared memory of the kernel as specialised. */
static enum pumice_status check_limits(const struct device *d, const struct spirv_kernel *kernel, const uint32_t *spec, uint32_t n_spec)
{
    const struct device_limits *l = &d->physical.limits;
    uint64_t shared = 0;
    if (n_spec && spec[0] > l->max_lanes)
        return err_set(PUMICE_UNSUPPORTED, "kernel %s takes %u lanes, %s has %u a workgroup; use --device cpu", kernel->name, spec[0],
                       d->physical.info.name, l->max_lanes);
    if (!shared_bytes_of(kernel->words, kernel->bytes / 4, spec, n_spec, &shared))
        log_line(PUMICE_LOG_WARN, "the shared memory of kernel %s is not known", kernel->name);
    if (shared > l->shared_bytes)
        return err_set(PUMICE_UNSUPPORTED, "kernel %s takes %llu bytes of shared memory, %s has %u; use --device cpu",
                       kernel->name, (unsigned long long)shared, d->physical.info.name, l->shared_bytes);
    return PUMICE_OK;
}

bool pipeline_fits(const struct pipelines *ps, const char *kernel, const uint32_t *spec, uint32_t n_spec)
{
    const struct spirv_kernel *code = find_kernel(kernel);
    return code && check_limits(ps->device, code, spec, n_spec) == PUMICE_OK;
}

enum pumice_status pipeline_get(struct pipelines *ps, const char *kernel, uint32_t n_bindings, uint32_t push_bytes,
                                const uint32_t *spec, uint32_t n_spec, const struct pipeline **out)
{
    return pipeline_get_pinned(ps, kernel, n_bindings, push_bytes, spec, n_spec, 0, out);
}

enum pumice_status pipeline_get_pinned(struct pipelines *ps, const char *kernel, uint32_t n_bindings, uint32_t push_bytes,
                                       const uint32_t *spec, uint32_t n_spec, uint32_t subgroup, const struct pipeline **out)
{
    for (struct pipeline *p = ps->first; p; p = p->next)
        if (p->n_spec == n_spec && p->subgroup == subgroup && memcmp(p->spec, spec, n_spec * 4) == 0 && strcmp(p->kernel, kernel) == 0) {
            *out = p;
            return PUMICE_OK;
        }
    const struct spirv_kernel *code = find_kernel(kernel);
    if (!code) return err_set(PUMICE_UNSUPPORTED, "this build has no kernel %s; build it again from clean sources", kernel);
    struct pipeline *p = arena_alloc(&ps->arena, 1, sizeof *p);
    if (!p) return err_memory("a pipeline", sizeof *p);
    p->kernel = code->name;
    p->n_spec = n_spec;
    p->n_bindings = n_bindings;
    p->push_bytes = push_bytes;
    p->subgroup = subgroup;
    memcpy(p->spec, spec, n_spec * 4);
    enum pumice_status st = check_limits(ps->device, code, spec, n_spec);
    if (st == PUMICE_OK) st = create(ps, code, p);
    if (st != PUMICE_OK) {
        destroy(ps->device, p);
        return st;
    }
    p->next = ps->first;
    ps->first = p;
    ps->n_created++;
    *out = p;
    return PUMICE_OK;
}
