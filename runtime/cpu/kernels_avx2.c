/* kernels for x86-64 with AVX2, FMA and F16C. */
#if defined(__x86_64__)
#define SET      avx2
#define TARGET   __attribute__((target("avx2,fma,f16c")))
#define DOT_AVX2 1
#include "kernels_body.h"
#else
typedef int nothing_here;
#endif
