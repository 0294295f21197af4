/* pipeline: compute pipelines by kernel name and specialization constants, made once, and the cache on disk.
 *
 * All kernels bind storage buffers 0..n-1 of set 0 and one push-constant block. The disk cache is a hint: keyed by
 * device and driver UUID, checked by a hash, ignored when it does not fit. */
#ifndef PUMICE_PIPELINE_H
#define PUMICE_PIPELINE_H

#include "device.h"

enum { PIPELINE_MAX_SPEC = 12, PIPELINE_MAX_BINDINGS = DEVICE_MIN_BINDINGS };

struct pipeline {
    const char *kernel;
    uint32_t spec[PIPELINE_MAX_SPEC], n_spec;
    uint32_t n_bindings, push_bytes;
    uint32_t subgroup; /* lanes a subgroup must have; 0: the driver chooses */
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline handle;
    struct pipeline *next;
};

struct pipelines {
    struct device *device;
    struct pipeline *first;
    VkPipelineCache cache;
    char cache_path[1024]; /* "" = none */
    uint32_t n_created;    /* since the cache was read */
    struct arena arena;
};

void pipelines_init(struct pipelines *ps, struct device *d);
void pipelines_fini(struct pipelines *ps); /* writes the disk cache when pipelines were created */

/* Whether the device has the lanes and the shared memory that the kernel takes as specialised. */
bool pipeline_fits(const struct pipelines *ps, const char *kernel, const uint32_t *spec, uint32_t n_spec);
/* spec[i] becomes specialization constant i (0 = lanes a workgroup). Fails UNSUPPORTED for an unknown kernel, and for one that
 * takes more lanes or shared memory than the device has. */
enum pumice_status pipeline_get(struct pipelines *ps, const char *kernel, uint32_t n_bindings, uint32_t push_bytes,
                                const uint32_t *spec, uint32_t n_spec, const struct pipeline **out);
/* The same with subgroups of exactly that many lanes, all full: features.subgroup_pinned, which spec[0] is a multiple of. */
enum pumice_status pipeline_get_pinned(struct pipelines *ps, const char *kernel, uint32_t n_bindings, uint32_t push_bytes,
                                       const uint32_t *spec, uint32_t n_spec, uint32_t subgroup, const struct pipeline **out);

#endif
