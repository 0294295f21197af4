/* kernels: which sets this processor can run. */
#include "kernels.h"

#include "cpu.h"

extern const struct cpu_kernels cpu_kernels_plain;

#if defined(__x86_64__)
#include <cpuid.h>

extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avxvnni, cpu_kernels_avx512;

static bool has_avxvnni(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
}

static bool has_f16c(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) && c >> 29 & 1;
}
#endif

const struct cpu_kernels *cpu_kernels_variant(uint32_t i)
{
    const struct cpu_kernels *usable[4];
    uint32_t n = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) {
        if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
            usable[n++] = &cpu_kernels_avx512;
        if (has_avxvnni()) usable[n++] = &cpu_kernels_avxvnni;
        usable[n++] = &cpu_kernels_avx2;
    }
#endif
    usable[n++] = &cpu_kernels_plain;
    return i < n ? usable[i] : NULL;
}
