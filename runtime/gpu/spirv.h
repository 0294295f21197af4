/* spirv: the compiled shaders, one entry for each line of shaders/kernels.txt; the build generates the table. */
#ifndef PUMICE_SPIRV_H
#define PUMICE_SPIRV_H

#include <stddef.h>
#include <stdint.h>

struct spirv_kernel {
    const char *name;
    const uint32_t *words;
    size_t bytes;
};
extern const struct spirv_kernel spirv_kernels[];
extern const size_t spirv_n_kernels;

#endif
