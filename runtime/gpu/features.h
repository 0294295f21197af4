/* features: what a device has beyond what pumice needs, which kernels of op_matmul use where it exists; and switching it on.
 *
 * ARCHITECTURE.md, "Devices", says what each is for and what happens without it. */
#ifndef PUMICE_FEATURES_H
#define PUMICE_FEATURES_H

#include "vk.h"

struct vk_instance_calls;

/* All false or 0: not there. */
struct device_features {
    bool half;               /* arithmetic of 16-bit floats */
    bool dot;                /* dot products of four 8-bit integers packed in a word ... */
    bool dot_accelerated;    /* ... which the device says are faster than the same in 32 bits */
    struct {
        uint32_t m, n, k;    /* [m, k] x [k, n], halves, sums in f32, a subgroup each */
    } matrix;
    uint32_t subgroup_pinned; /* the size that kernels with cooperative matrices ask for; 0: cannot be chosen */
    uint32_t n_cores;         /* shader processors (SM, compute unit); a guess where the driver does not tell */
};

/* Names of device extensions, as the driver lists them. */
struct extension_list {
    VkExtensionProperties *list;
    uint32_t n;
};
void extensions_read(const struct vk_instance_calls *vk, VkPhysicalDevice handle, struct extension_list *out); /* empty on failure */
void extensions_free(struct extension_list *e);
bool extensions_have(const struct extension_list *e, const char *name);

/* Fills f for a device of at least Vulkan 1.2. */
void features_find(const struct vk_instance_calls *vk, VkPhysicalDevice handle, const struct extension_list *extensions,
                   const VkPhysicalDeviceProperties *properties, struct device_features *f);
/* "16-bit floats, 8-bit dot products (accelerated), cooperative matrices 16x16x16", or "". */
void features_text(const struct device_features *f, char *out, size_t bytes);

/* What vkCreateDevice has to be told. `extensions` has room for FEATURES_MAX_EXTENSIONS more names. */
enum { FEATURES_MAX_EXTENSIONS = 3 };
struct feature_chain {
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceSubgroupSizeControlFeatures size_control;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
};
/* Sets up the chain that begins with chain->v12 (whose other members the caller may set) and adds names of extensions. */
void features_enable(const struct device_features *f, const struct extension_list *have, struct feature_chain *chain,
                     const char **extensions, uint32_t *n_extensions);

#endif
