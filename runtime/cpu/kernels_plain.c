/* kernels for any processor: what the compiler makes of vectors of 4 floats. */
#define SET plain
#define TARGET
#if defined(__aarch64__)
#define HAS_32_REGISTERS 1
#endif
#include "kernels_body.h"
