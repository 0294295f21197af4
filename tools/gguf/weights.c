/* weights: seeded random weights. Each weight depends on (seed, tensor name, index) alone, by a counter-based
 * generator, so that rows can be made in any order and on any number of threads. */
#include "tool.h"

#include "quant.h"

#include <string.h>

/* splitmix64's output function: a bijection that scatters a counter. Source: Steele, Lea, Flood 2014. */
static uint64_t scatter(uint64_t v)
{
    return mix_u64(v + 0x9e3779b97f4a7c15u);
}

/* Near enough to a normal distribution: the sum of four uniform 16-bit numbers, mean 0 and variance 1. */
static float normal_of(uint64_t v)
{
    const int32_t sum = (int32_t)(v & 0xffff) + (int32_t)(v >> 16 & 0xffff) + (int32_t)(v >> 32 & 0xffff) + (int32_t)(v >> 48);
    return (float)(sum - 2 * 65535) * (1.0f / 37837.2f); /* sqrt(4 * (65536^2 - 1) / 12) */
}

void weights_fill(const struct weights *w, uint64_t seed, uint64_t first, uint64_t n_rows, float *row, uint8_t *out)
{
    const uint64_t key = scatter(hash_bytes(w->name, strlen(w->name), 0) ^ scatter(seed));
    const uint64_t row_bytes = quant_row_bytes(w->type, w->k);
    for (uint64_t r = 0; r < n_rows; r++) {
        const uint64_t at = (first + r) * w->k;
        for (uint64_t i = 0; i < w->k; i++) row[i] = w->mean + w->sigma * normal_of(scatter(key + at + i));
        for (uint64_t i = 0; w->random_sign && i < w->k; i++)
            if (scatter(~(key + at + i)) & 1) row[i] = -row[i];
        quant_quantize_row(w->type, row, out + r * row_bytes, w->k);
    }
}
