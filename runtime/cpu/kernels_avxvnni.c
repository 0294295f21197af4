/* kernels for x86-64 with AVX-VNNI: the dot product of four bytes in one instruction. */
#if defined(__x86_64__)
#define SET              avxvnni
#define TARGET           __attribute__((target("avx2,fma,f16c,avxvnni")))
#define DOT_AVX2         1
#define DOT_VNNI(s, u, x) _mm256_dpbusd_avx_epi32(s, u, x)
#include "kernels_body.h"
#else
typedef int nothing_here;
#endif
