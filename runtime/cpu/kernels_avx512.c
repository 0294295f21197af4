/* kernels for x86-64 with AVX-512 and VNNI: vectors of 512 bits, twice as many registers, and a dot product of four bytes in one
 * instruction. */
#if defined(__x86_64__)
#define SET              avx512
#define TARGET           __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")))
#define DOT_AVX512       1
#define HAS_32_REGISTERS 1
#include "kernels_body.h"
#else
typedef int nothing_here;
#endif
