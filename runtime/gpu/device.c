/* device: see device.h. Source of the ranking and the requirements: ARCHITECTURE.md, "Devices". */
#include "device.h"

#include "../ops.h"
#include "../platform.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What pumice needs of a device, why, and what happens without it: the table in ARCHITECTURE.md, "Devices". */

enum { API_FLOOR = VK_API_VERSION_1_2, LOADS_VECTORS_MESA = 26 /* the oldest that was seen to */ };

const char *vk_result_name(VkResult result)
{
    switch (result) {
    case VK_SUCCESS: return "success";
    case VK_NOT_READY: return "not ready";
    case VK_TIMEOUT: return "timeout";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "out of device memory";
    case VK_ERROR_INITIALIZATION_FAILED: return "initialization failed";
    case VK_ERROR_DEVICE_LOST: return "device lost";
    case VK_ERROR_MEMORY_MAP_FAILED: return "memory map failed";
    case VK_ERROR_LAYER_NOT_PRESENT: return "layer not present";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "extension not present";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "feature not present";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "incompatible driver";
    case VK_ERROR_TOO_MANY_OBJECTS: return "too many objects";
    case VK_ERROR_FRAGMENTED_POOL: return "fragmented pool";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "out of pool memory";
    default: return "unknown error";
    }
}

enum pumice_status vk_fail(VkResult result, const char *call)
{
    /* `call` is the text of the expression: keep the function's name only */
    const char *name = strstr(call, "vk.");
    name = name ? name + 3 : call;
    const int n = (int)strcspn(name, "(");
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return err_set(PUMICE_MEMORY, "vk%.*s: %s; use a smaller context (-c), a smaller model, or --device cpu", n, name,
                       vk_result_name(result));
    if (result == VK_ERROR_DEVICE_LOST)
        return err_set(PUMICE_DEVICE, "vk%.*s: the device was lost (driver reset or watchdog); start again, or use "
                       "another --device", n, name);
    return err_set(PUMICE_DEVICE, "vk%.*s failed: %s (%d); try another --device, or update the driver", n, name,
                   vk_result_name(result), (int)result);
}

/* --- instance --------------------------------------------------------------------------------------- */

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT type,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    struct instance *in = user;
    (void)type;
    if (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) {
        if (in->n_validation_errors++ == 0)
            snprintf(in->first_validation_error, sizeof in->first_validation_error, "%s", data->pMessage);
        log_line(PUMICE_LOG_ERROR, "validation: %s", data->pMessage);
    } else {
        log_line(PUMICE_LOG_WARN, "validation: %s", data->pMessage);
    }
    return VK_FALSE;
}

/* The Vulkan version the layer knows, 0 without it. */
static uint32_t has_layer(PFN_vkGetInstanceProcAddr get, const char *name)
{
    PFN_vkEnumerateInstanceLayerProperties enumerate =
        (PFN_vkEnumerateInstanceLayerProperties)(void *)get(NULL, "vkEnumerateInstanceLayerProperties");
    uint32_t n = 0, version = 0;
    if (!enumerate || enumerate(&n, NULL) < 0 || n == 0) return 0;
    VkLayerProperties *list = mem_calloc(n, sizeof *list);
    if (list && enumerate(&n, list) >= 0)
        for (uint32_t i = 0; i < n; i++)
            if (strcmp(list[i].layerName, name) == 0) version = list[i].specVersion;
    mem_free(list);
    return version;
}

static bool has_instance_extension(PFN_vkGetInstanceProcAddr get, const char *layer, const char *name)
{
    PFN_vkEnumerateInstanceExtensionProperties enumerate =
        (PFN_vkEnumerateInstanceExtensionProperties)(void *)get(NULL, "vkEnumerateInstanceExtensionProperties");
    uint32_t n = 0;
    bool found = false;
    if (!enumerate || enumerate(layer, &n, NULL) < 0 || n == 0) return false;
    VkExtensionProperties *list = mem_calloc(n, sizeof *list);
    if (list && enumerate(layer, &n, list) >= 0)
        for (uint32_t i = 0; i < n; i++) found |= strcmp(list[i].extensionName, name) == 0;
    mem_free(list);
    return found;
}

static PFN_vkGetInstanceProcAddr open_loader(struct instance *in)
{
    static const char *const names[] = {"libvulkan.so.1", "libvulkan.so", "vulkan-1.dll", "libvulkan.1.dylib",
                                        "libMoltenVK.dylib"};
    for (size_t i = 0; i < COUNT_OF(names) && !in->library; i++)
        in->library = platform_library_open(names[i], NULL, 0);
    if (!in->library) return NULL;
    PFN_vkGetInstanceProcAddr get;
    void *symbol = platform_library_symbol(in->library, "vkGetInstanceProcAddr");
    memcpy(&get, &symbol, sizeof get);
    return get;
}

enum pumice_status instance_open(struct instance *in, enum validation validation)
{
    static const char layer[] = "VK_LAYER_KHRONOS_validation";
    enum pumice_status st = PUMICE_OK;
    memset(in, 0, sizeof *in);
    PFN_vkGetInstanceProcAddr get = open_loader(in);
    if (!get) {
        st = err_set(PUMICE_UNSUPPORTED, "no Vulkan loader on this machine; install libvulkan1 and a driver, or use "
                                         "--device cpu");
        goto fail;
    }
    if (validation != VALIDATE_OFF) in->layer_version = has_layer(get, layer);
    const bool validate = in->layer_version != 0;
    if (validation == VALIDATE_ON && !validate) {
        st = err_set(PUMICE_UNSUPPORTED, "the Vulkan validation layers are not installed; install "
                                         "vulkan-validationlayers or switch validation off");
        goto fail;
    }
    in->debug_utils = has_instance_extension(get, NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) ||
                      (validate && has_instance_extension(get, layer, VK_EXT_DEBUG_UTILS_EXTENSION_NAME));
    in->debug_utils = in->debug_utils && validate; /* names cost time at record: only where someone looks */
    const bool portability = has_instance_extension(get, NULL, "VK_KHR_portability_enumeration");
    const char *extensions[2];
    uint32_t n_extensions = 0;
    if (in->debug_utils) extensions[n_extensions++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    if (portability) extensions[n_extensions++] = "VK_KHR_portability_enumeration";
    const char *layers[] = {layer};

    PFN_vkCreateInstance create = (PFN_vkCreateInstance)(void *)get(NULL, "vkCreateInstance");
    const VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "pumice",
                                   .pEngineName = "pumice", .apiVersion = VK_API_VERSION_1_3};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app,
                                       .flags = portability ? 1u /* enumerate portability */ : 0u,
                                       .enabledLayerCount = validate ? 1u : 0u, .ppEnabledLayerNames = layers,
                                       .enabledExtensionCount = n_extensions, .ppEnabledExtensionNames = extensions};
    const VkResult result = create ? create(&info, NULL, &in->handle) : VK_ERROR_INITIALIZATION_FAILED;
    if (result < 0) {
        st = err_set(PUMICE_UNSUPPORTED, "no usable Vulkan driver (%s); install one (software: mesa-vulkan-drivers), or "
                                         "use --device cpu", vk_result_name(result));
        in->handle = VK_NULL_HANDLE;
        goto fail;
    }
#define LOAD(name)                                                                                           \
    in->vk.name = (PFN_vk##name)(void *)get(in->handle, "vk" #name);                                         \
    if (!in->vk.name) {                                                                                      \
        st = err_set(PUMICE_UNSUPPORTED, "the Vulkan driver lacks vk" #name "; update it, or use --device cpu");       \
        goto fail;                                                                                           \
    }
    VK_INSTANCE_CALLS(LOAD)
#undef LOAD
#define LOAD(name) in->vk.name = (PFN_vk##name)(void *)get(in->handle, "vk" #name);
    VK_INSTANCE_EXTRA_CALLS(LOAD)
#undef LOAD
    in->time_domains = (PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT)(void *)
        get(in->handle, "vkGetPhysicalDeviceCalibrateableTimeDomainsEXT");
    in->validating = validate;
    if (validate && in->debug_utils) {
        PFN_vkCreateDebugUtilsMessengerEXT create_messenger =
            (PFN_vkCreateDebugUtilsMessengerEXT)(void *)get(in->handle, "vkCreateDebugUtilsMessengerEXT");
        in->destroy_messenger =
            (PFN_vkDestroyDebugUtilsMessengerEXT)(void *)get(in->handle, "vkDestroyDebugUtilsMessengerEXT");
        const VkDebugUtilsMessengerCreateInfoEXT m = {
            .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
            .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                               VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
            .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
            .pfnUserCallback = on_message, .pUserData = in};
        if (create_messenger) VK_TRY(create_messenger(in->handle, &m, NULL, &in->messenger));
    }
    return PUMICE_OK;
fail:
    instance_close(in);
    return st;
}

void instance_close(struct instance *in)
{
    if (in->messenger && in->destroy_messenger) in->destroy_messenger(in->handle, in->messenger, NULL);
    if (in->handle && in->vk.DestroyInstance) in->vk.DestroyInstance(in->handle, NULL);
    if (in->library) platform_library_close(in->library);
    memset(in, 0, sizeof *in);
}

/* --- physical devices -------------------------------------------------------------------------------- */

static bool find_queue(struct instance *in, VkPhysicalDevice handle, uint32_t *family, uint32_t *timestamp_bits)
{
    VkQueueFamilyProperties families[16];
    uint32_t n = COUNT_OF(families);
    int best = -1;
    in->vk.GetPhysicalDeviceQueueFamilyProperties(handle, &n, families);
    for (uint32_t i = 0; i < n; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
        /* one queue for everything: a family without graphics, so that the desktop is drawn beside our long submissions */
        if (best < 0 || ((families[best].queueFlags & VK_QUEUE_GRAPHICS_BIT) && !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT)))
            best = (int)i;
    }
    if (best < 0) return false;
    *family = (uint32_t)best;
    *timestamp_bits = families[best].timestampValidBits;
    return true;
}

static enum pumice_device_kind kind_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return PUMICE_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return PUMICE_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return PUMICE_DEVICE_SOFTWARE;
    default: return PUMICE_DEVICE_VIRTUAL;
    }
}

static uint64_t local_memory(const VkPhysicalDeviceMemoryProperties *m)
{
    uint64_t best = 0;
    for (uint32_t i = 0; i < m->memoryHeapCount; i++)
        if (m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) best = MAX(best, m->memoryHeaps[i].size);
    return best;
}

/* The floor of the table above: writes what the device has too little of, or returns false. */
static bool lacks(const struct device_limits *l, char *reason, size_t n)
{
    const struct {
        const char *what;
        uint64_t has, floor;
    } all[] = {{"lanes in a workgroup", l->max_lanes, 128},
               {"bytes of shared memory", l->shared_bytes, 16384},
               {"bytes of push constants", l->max_push_bytes, 128},
               {"storage buffers in a kernel", l->max_bindings, DEVICE_MIN_BINDINGS}};
    if (!l->timeline) {
        snprintf(reason, n, "has no timeline semaphores: update the driver");
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i].has < all[i].floor) {
            snprintf(reason, n, "has %llu %s, pumice needs %llu", (unsigned long long)all[i].has, all[i].what,
                     (unsigned long long)all[i].floor);
            return true;
        }
    if (l->storage_align > DEVICE_MAX_ALIGN) {
        snprintf(reason, n, "binds buffers at multiples of %llu bytes, pumice at %d", (unsigned long long)l->storage_align,
                 DEVICE_MAX_ALIGN);
        return true;
    }
    return false;
}

static void describe(struct instance *in, VkPhysicalDevice handle, struct physical *p)
{
    memset(p, 0, sizeof *p);
    p->handle = handle;
    in->vk.GetPhysicalDeviceProperties(handle, &p->properties);
    in->vk.GetPhysicalDeviceMemoryProperties(handle, &p->memory);
    struct pumice_device_info *info = &p->info;
    const uint32_t api = p->properties.apiVersion;
    snprintf(info->name, sizeof info->name, "%s", p->properties.deviceName);
    snprintf(info->api, sizeof info->api, "%u.%u.%u", VK_API_VERSION_MAJOR(api), VK_API_VERSION_MINOR(api),
             VK_API_VERSION_PATCH(api));
    info->kind = kind_of(p->properties.deviceType);
    info->memory_bytes = local_memory(&p->memory);
    if (api < API_FLOOR) {
        snprintf(info->reason, sizeof info->reason, "has Vulkan %s, pumice needs 1.2: update the driver", info->api);
        return;
    }
    VkPhysicalDeviceVulkan11Properties p11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    VkPhysicalDeviceVulkan12Properties p12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                              .pNext = &p11};
    VkPhysicalDeviceProperties2 p2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &p12};
    in->vk.GetPhysicalDeviceProperties2(handle, &p2);
    VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 f2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f12};
    in->vk.GetPhysicalDeviceFeatures2(handle, &f2);

    const VkPhysicalDeviceLimits *l = &p->properties.limits;
    const uint32_t *groups = l->maxComputeWorkGroupCount;
    const bool vectors = p12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE &&
                         VK_API_VERSION_MAJOR(p->properties.driverVersion) >= LOADS_VECTORS_MESA;
    const VkSubgroupFeatureFlags wanted = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    struct device_limits *d = &p->limits;
    *d = (struct device_limits){
        .max_storage_range = l->maxStorageBufferRange, .max_allocation = p11.maxMemoryAllocationSize,
        .storage_align = MAX(l->minStorageBufferOffsetAlignment, 16), .subgroup_size = p11.subgroupSize,
        .shared_bytes = l->maxComputeSharedMemorySize, .max_groups_x = groups[0], .max_groups_yz = MIN(groups[1], groups[2]),
        .max_lanes = MIN(l->maxComputeWorkGroupInvocations, l->maxComputeWorkGroupSize[0]),
        .max_push_bytes = l->maxPushConstantsSize,
        .max_bindings = MIN(l->maxPerStageDescriptorStorageBuffers, l->maxDescriptorSetStorageBuffers),
        .timeline = f12.timelineSemaphore == VK_TRUE,
        .timestamp_ns = l->timestampPeriod,
        .subgroup_shuffle = p11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT &&
                            p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT,
        .subgroup_arithmetic = (p11.subgroupSupportedOperations & wanted) == wanted &&
                               (p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT),
        .buffer_address = f12.bufferDeviceAddress == VK_TRUE,
        .loads_vectors = vectors, .ends_loops = info->kind == PUMICE_DEVICE_SOFTWARE && !vectors,
        .joins = p12.driverID != VK_DRIVER_ID_MOLTENVK, /* whose memory barriers stop at the workgroup */
        .software = info->kind == PUMICE_DEVICE_SOFTWARE,
        .unified = info->kind == PUMICE_DEVICE_SOFTWARE || info->kind == PUMICE_DEVICE_INTEGRATED};
    memcpy(p->uuid, p11.deviceUUID, 16);
    memcpy(p->driver_uuid, p11.driverUUID, 16);
    for (int i = 0; i < 16; i++) snprintf(info->uuid + 2 * i, 3, "%02x", p11.deviceUUID[i]);
    snprintf(info->driver, sizeof info->driver, "%.120s %.120s", p12.driverName, p12.driverInfo);
    info->max_allocation_bytes = d->max_allocation;
    info->max_storage_range_bytes = d->max_storage_range;
    info->subgroup_size = d->subgroup_size;
    info->shared_memory_bytes = d->shared_bytes;
    if (!find_queue(in, handle, &p->queue_family, &d->timestamp_bits))
        snprintf(info->reason, sizeof info->reason, "has no compute queue");
    else
        info->usable = !lacks(d, info->reason, sizeof info->reason);
    if (d->timestamp_bits == 0) d->timestamp_ns = 0;
    struct extension_list extensions;
    extensions_read(&in->vk, handle, &extensions);
    features_find(&in->vk, handle, &extensions, &p->properties, &d->features);
    extensions_free(&extensions);
    if (in->validating && in->layer_version < VK_MAKE_API_VERSION(0, 1, 3, 255)) /* the layers would take them for errors */
        memset(&d->features.matrix, 0, sizeof d->features.matrix);
    if (p12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE && d->subgroup_size > 8) /* its compiler ends the program (26.2) */
        memset(&d->features.matrix, 0, sizeof d->features.matrix);
    features_text(&d->features, info->features, sizeof info->features);
}

static bool contains(const char *text, const char *part)
{
    const size_t n = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
        if (i == n) return true;
    }
    return n == 0;
}

static bool matches(const struct physical *p, const char *wanted)
{
    char *end = NULL;
    const unsigned long index = strtoul(wanted, &end, 10);
    if (end != wanted && *end == '\0') return index == p->info.index;
    if (strcmp(wanted, "software") == 0) return p->info.kind == PUMICE_DEVICE_SOFTWARE;
    return contains(p->info.name, wanted) || (strlen(wanted) == 32 && contains(p->info.uuid, wanted));
}

static int choose(struct physical *list, uint32_t n, const char *wanted)
{
    const bool automatic = device_automatic(wanted);
    int chosen = -1;
    for (uint32_t i = 0; i < n; i++) {
        struct pumice_device_info *info = &list[i].info;
        if (!info->usable) continue;
        if (chosen >= 0) {
            snprintf(info->reason, sizeof info->reason, "%s", automatic ? info->kind == PUMICE_DEVICE_SOFTWARE
                     ? "software: never chosen while a GPU exists" : "a better device comes first" : "not asked for");
        } else if (automatic || matches(&list[i], wanted)) {
            chosen = (int)i;
            info->chosen = true;
            snprintf(info->reason, sizeof info->reason, "%s", !automatic ? "asked for" :
                     info->kind == PUMICE_DEVICE_SOFTWARE ? "no GPU found: software driver" : "best GPU");
        } else {
            snprintf(info->reason, sizeof info->reason, "not asked for");
        }
    }
    return chosen;
}

enum pumice_status physical_list(struct instance *in, const char *wanted, struct physical *list, uint32_t *n, int *chosen)
{
    enum pumice_status st = PUMICE_OK;
    VkPhysicalDevice handles[DEVICE_MAX];
    uint32_t n_handles = DEVICE_MAX;
    *n = 0;
    *chosen = -1;
    const VkResult result = in->vk.EnumeratePhysicalDevices(in->handle, &n_handles, handles);
    if (result == VK_ERROR_INITIALIZATION_FAILED) return PUMICE_OK; /* what loaders say where drivers find no device of theirs */
    VK_TRY(result);
    for (int kind = PUMICE_DEVICE_DISCRETE; kind <= PUMICE_DEVICE_SOFTWARE; kind++) {
        for (uint32_t i = 0; i < n_handles; i++) {
            VkPhysicalDeviceProperties properties;
            in->vk.GetPhysicalDeviceProperties(handles[i], &properties);
            if ((int)kind_of(properties.deviceType) != kind) continue;
            describe(in, handles[i], &list[*n]);
            list[*n].info.index = *n;
            (*n)++;
        }
    }
    *chosen = choose(list, *n, wanted);
fail:
    return st;
}

/* --- logical device ----------------------------------------------------------------------------------- */

/* Whether device and host clock (CLOCK_MONOTONIC, as platform_now_ns reads) can be read together. */
static bool has_clock(struct device *d, const struct extension_list *have)
{
    VkTimeDomainEXT domains[8];
    uint32_t n = COUNT_OF(domains);
    bool device = false, host = false;
    if (!d->instance.time_domains || !extensions_have(have, VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME)) return false;
    if (d->instance.time_domains(d->physical.handle, &n, domains) < 0) return false;
    for (uint32_t i = 0; i < n; i++) {
        device |= domains[i] == VK_TIME_DOMAIN_DEVICE_EXT;
        host |= domains[i] == VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT;
    }
    return device && host;
}

static enum pumice_status pick(struct device *d, const char *wanted)
{
    enum pumice_status st = PUMICE_OK;
    uint32_t n = 0;
    int chosen = -1;
    struct physical *list = mem_calloc(DEVICE_MAX, sizeof *list);
    if (!list) return err_memory("the list of devices", DEVICE_MAX * sizeof *list);
    TRY(physical_list(&d->instance, wanted, list, &n, &chosen));
    if (chosen < 0) {
        if (n == 0)
            st = err_set(PUMICE_UNSUPPORTED, "no Vulkan device found; install a driver (software: mesa-vulkan-drivers), or "
                                             "use --device cpu");
        else if (!device_automatic(wanted))
            st = err_set(PUMICE_UNSUPPORTED, "no usable Vulkan device matches '%s'; `pumice devices` lists what there is",
                         wanted);
        else
            st = err_set(PUMICE_UNSUPPORTED, "no usable Vulkan device: %s %s; use --device cpu", list[0].info.name,
                         list[0].info.reason);
        goto fail;
    }
    d->physical = list[chosen];
fail:
    mem_free(list);
    return st;
}

void (*device_hook)(struct device *d);

enum pumice_status device_open(const char *wanted, enum validation validation, struct device *d)
{
    enum pumice_status st = PUMICE_OK;
    struct extension_list have = {0};
    struct feature_chain chain;
    memset(d, 0, sizeof *d);
    TRY(instance_open(&d->instance, validation));
    TRY(pick(d, wanted));
    extensions_read(&d->instance.vk, d->physical.handle, &have);
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = d->physical.queue_family, .queueCount = 1,
                                           .pQueuePriorities = &priority};
    const char *extensions[3 + FEATURES_MAX_EXTENSIONS];
    uint32_t n_extensions = 0;
    d->physical.limits.calibrated = has_clock(d, &have);
    if (d->physical.limits.calibrated) extensions[n_extensions++] = VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME;
    d->physical.limits.memory_budget = extensions_have(&have, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (d->physical.limits.memory_budget) extensions[n_extensions++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    if (extensions_have(&have, "VK_KHR_portability_subset")) extensions[n_extensions++] = "VK_KHR_portability_subset";
    features_enable(&d->physical.limits.features, &have, &chain, extensions, &n_extensions);
    chain.v12.timelineSemaphore = VK_TRUE;
    chain.v12.bufferDeviceAddress = d->physical.limits.buffer_address;
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &chain.v12,
                                     .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
                                     .enabledExtensionCount = n_extensions, .ppEnabledExtensionNames = extensions};
    VK_TRY(d->instance.vk.CreateDevice(d->physical.handle, &info, NULL, &d->handle));
#define LOAD(name)                                                                                           \
    d->vk.name = (PFN_vk##name)(void *)d->instance.vk.GetDeviceProcAddr(d->handle, "vk" #name);              \
    if (!d->vk.name) {                                                                                       \
        st = err_set(PUMICE_UNSUPPORTED, "the Vulkan driver lacks vk" #name "; update it, or use --device cpu");       \
        goto fail;                                                                                           \
    }
    VK_DEVICE_CALLS(LOAD)
#undef LOAD
#define LOAD(name) d->vk.name = (PFN_vk##name)(void *)d->instance.vk.GetDeviceProcAddr(d->handle, "vk" #name);
    if (d->instance.debug_utils) {
        VK_DEBUG_CALLS(LOAD)
    }
    if (d->physical.limits.calibrated) {
        VK_CLOCK_CALLS(LOAD)
    }
#undef LOAD
    d->vk.GetDeviceQueue(d->handle, d->physical.queue_family, 0, &d->queue);
    if (device_hook) device_hook(d);
    if (lacks(&d->physical.limits, d->physical.info.reason, sizeof d->physical.info.reason))
        TRY(err_set(PUMICE_UNSUPPORTED, "%s %s; choose another --device, or --device cpu", d->physical.info.name,
                    d->physical.info.reason));
    extensions_free(&have);
    return PUMICE_OK;
fail:
    extensions_free(&have);
    device_close(d);
    return st;
}

void device_close(struct device *d)
{
    if (d->handle && d->vk.DestroyDevice) d->vk.DestroyDevice(d->handle, NULL);
    instance_close(&d->instance);
    memset(d, 0, sizeof *d);
}

void device_name(struct device *d, VkObjectType type, uint64_t handle, const char *format, ...)
{
    if (!d->vk.SetDebugUtilsObjectNameEXT) return;
    char name[128];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    const VkDebugUtilsObjectNameInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
                                                .objectType = type, .objectHandle = handle, .pObjectName = name};
    d->vk.SetDebugUtilsObjectNameEXT(d->handle, &info);
}

void device_memory(struct device *d, uint64_t own_bytes, uint64_t *total, uint64_t *available)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                           .pNext = d->physical.limits.memory_budget ? &budget : NULL};
    d->instance.vk.GetPhysicalDeviceMemoryProperties2(d->physical.handle, &p);
    const VkPhysicalDeviceMemoryProperties *m = &p.memoryProperties;
    uint64_t largest = 0, room = 0, used = 0;
    *total = *available = 0;
    for (uint32_t i = 0; i < m->memoryHeapCount; i++) { /* the largest local heap, or all of a unified device's: see memory.c */
        const bool local = m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT, all = d->physical.limits.unified;
        if (!all && (!local || m->memoryHeaps[i].size <= largest)) continue;
        largest = m->memoryHeaps[i].size;
        room = d->physical.limits.memory_budget ? MIN(budget.heapBudget[i], largest) : largest;
        used = d->physical.limits.memory_budget ? budget.heapUsage[i] : 0;
        *total = (all ? *total : 0) + largest;
        *available = (all ? *available : 0) + room - MIN(used, room);
    }
    if (!d->physical.limits.memory_budget) *available -= MIN(own_bytes, *available);
    if (!d->physical.limits.software) return;
    *total = platform_memory_bytes(); /* lavapipe's heap is the host's memory, whatever it calls its size */
    *available = platform_memory_available();
}

struct device_clock device_clock(struct device *d, uint64_t first_tick, uint64_t begin_ns)
{
    const VkCalibratedTimestampInfoEXT infos[2] = {
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_DEVICE_EXT},
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
    uint64_t now[2], deviation = 0;
    if (d->physical.limits.calibrated && d->vk.GetCalibratedTimestampsEXT &&
        d->vk.GetCalibratedTimestampsEXT(d->handle, 2, infos, now, &deviation) == VK_SUCCESS)
        return (struct device_clock){now[0], now[1]};
    return (struct device_clock){first_tick, begin_ns};
}

enum pumice_status device_check(struct device *d)
{
    if (d->lost)
        return err_set(PUMICE_DEVICE, "%s was lost earlier (driver reset or watchdog); open the model again, or use another "
                       "--device", d->physical.info.name);
    if (d->instance.n_validation_errors)
        return err_set(PUMICE_DEVICE, "the Vulkan validation layers report %u error(s); the first: %.600s",
                       d->instance.n_validation_errors, d->instance.first_validation_error);
    return PUMICE_OK;
}
