/* kernels for any processor: what the compiler makes of vectors of 4 floats. */
#define SET plain
#define TARGET
#include "kernels_body.h"
