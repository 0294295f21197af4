/* device: the Vulkan loader, instance, physical devices and their order, the logical device and its one queue.
 *
 * Owns everything up to VkDevice. What the device must have is one table in device.c: feature, why, fallback.
 * Invariant: a struct device that device_open returned has a compute queue with timeline semaphores. */
#ifndef PUMICE_DEVICE_H
#define PUMICE_DEVICE_H

#include "features.h"

enum {
    DEVICE_MAX = 32,
    DEVICE_MIN_BINDINGS = 10, /* what a kernel may bind */
    DEVICE_MAX_ALIGN = 256    /* bindings are aligned for any device */
};

/* What the rest of gpu/ asks about a device; filled once. */
struct device_limits {
    uint64_t max_storage_range;   /* bytes one binding may span */
    uint64_t max_allocation;      /* bytes one vkAllocateMemory may ask for */
    uint64_t storage_align;       /* offset alignment of bindings, a power of two */
    uint32_t subgroup_size;
    uint32_t shared_bytes;
    uint32_t max_groups_x, max_groups_yz; /* workgroups a dispatch */
    uint32_t max_lanes;           /* of a workgroup */
    uint32_t max_push_bytes, max_bindings; /* of a kernel; bindings: storage buffers */
    bool timeline;                /* timeline semaphores */
    float timestamp_ns;           /* ns a tick, 0 = no timestamps */
    uint32_t timestamp_bits;
    bool subgroup_arithmetic;     /* subgroup reductions in compute */
    bool subgroup_shuffle;        /* a lane reads another's value */
    bool buffer_address;
    bool loads_vectors;           /* a software driver that loads what is the same for all lanes once, and neighbouring loads of that kind
                                     together: see lanes.glsl */
    bool ends_loops;              /* after 65,535 turns of a kernel's loops, and says nothing: lavapipe before Mesa 26 */
    bool joins;                   /* what the others have written, the last workgroup of a dispatch sees */
    bool software;                /* a CPU driver: lane-per-row kernels, no barriers in hot loops */
    bool memory_budget;           /* VK_EXT_memory_budget: the driver says what is free */
    struct device_features features; /* beyond what pumice needs */
    bool calibrated;              /* VK_EXT_calibrated_timestamps: device and host time read at once */
    bool unified;                 /* device-local memory is host memory: weights are written in place */
};

struct instance {
    void *library;
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy_messenger;
    struct vk_instance_calls vk;
    PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT time_domains; /* NULL where unknown */
    bool debug_utils, validating;
    uint32_t layer_version;            /* Vulkan version that the validation layers know */
    uint32_t n_validation_errors;      /* atomic enough: written by the callback in our own calls */
    char first_validation_error[1024];
};

/* The Khronos validation layer: off, on where it is installed, or required (UNSUPPORTED without it). */
enum validation { VALIDATE_OFF, VALIDATE_IF_PRESENT, VALIDATE_ON };

/* Opens loader and instance. Fails UNSUPPORTED when there is no loader or driver. The instance must not move while open. */
enum pumice_status instance_open(struct instance *in, enum validation validation);
void instance_close(struct instance *in);

struct physical {
    VkPhysicalDevice handle;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory;
    struct device_limits limits;
    uint32_t queue_family;
    uint8_t uuid[16];        /* device */
    uint8_t driver_uuid[16];
    struct pumice_device_info info;
};
/* Fills list[DEVICE_MAX], best first: discrete, integrated, virtual, software; ties keep the driver's order. info.usable
 * and info.reason are set for all; `chosen` for the one that `wanted` (pumice_engine_params.device) means, *chosen its
 * index or -1. */
enum pumice_status physical_list(struct instance *in, const char *wanted, struct physical *list, uint32_t *n, int *chosen);

struct device {
    struct instance instance;
    struct physical physical;
    VkDevice handle;
    VkQueue queue;
    struct vk_device_calls vk;
    VkSemaphore timeline;    /* queue.c */
    uint64_t timeline_value; /* of the newest submission */
    double pace;             /* ns an operation, as submissions have shown: pace.h */
    bool lost;               /* sticky: every later submission fails */
};
enum pumice_status device_open(const char *wanted, enum validation validation, struct device *d);
void device_close(struct device *d);

/* Tests only: called by device_open when limits and table are filled; may replace entries (to make calls fail) and shrink
 * limits (to act as a smaller device). What the device then lacks is refused as if it had been so from the start. */
extern void (*device_hook)(struct device *d);

/* Names an object for debuggers and validation messages; nothing without VK_EXT_debug_utils. */
void device_name(struct device *d, VkObjectType type, uint64_t handle, const char *format, ...) PRINTF_LIKE(4, 5);

/* Bytes of the largest device-local heap, and how many of them can be had now: the driver's budget where it says one, else
 * the heap less `own_bytes`. For software drivers the host's memory. */
void device_memory(struct device *d, uint64_t own_bytes, uint64_t *total, uint64_t *available);

/* The host's time (platform_now_ns) of a timestamp taken in a run that began at begin_ns with the timestamp first: by
 * calibration, else as if the device had begun at once. */
struct device_clock {
    uint64_t tick, ns; /* the same moment */
};
struct device_clock device_clock(struct device *d, uint64_t first_tick, uint64_t begin_ns);

/* OK, or DEVICE when the device was lost or the validation layers have complained. */
enum pumice_status device_check(struct device *d);

#endif
