/* kv_layout: see kv_layout.h. */
#include "kv_layout.h"

#include <math.h>
#include <string.h>

const char *pumice_kv_name(enum pumice_kv type)
{
    static const char *const names[] = {"f16", "q8_0"};
    return (unsigned)type < COUNT_OF(names) ? names[type] : NULL;
}

uint64_t kv_plane_bytes(enum pumice_kv type, uint32_t E, int plane)
{
    if (type == PUMICE_KV_F16) return plane == 0 ? 2ull * E : 0;
    return plane == 0 ? E : (E + 2ull * KV_BLOCK - 1) / (2 * KV_BLOCK) * 4;
}

uint64_t kv_row_bytes(enum pumice_kv type, uint32_t E) { return kv_plane_bytes(type, E, 0) + kv_plane_bytes(type, E, 1); }

static uint64_t scales_at(enum pumice_kv type, uint64_t C, uint32_t E, uint64_t p)
{
    return C * kv_plane_bytes(type, E, 0) + p * kv_plane_bytes(type, E, 1);
}

void kv_row_read(enum pumice_kv type, const uint8_t *head, uint64_t C, uint32_t E, uint64_t p, float *x)
{
    const uint8_t *row = head + p * kv_plane_bytes(type, E, 0), *scales = head + scales_at(type, C, E, p);
    for (uint32_t i = 0; i < E; i++) {
        uint16_t h;
        memcpy(&h, type == PUMICE_KV_F16 ? row + 2ull * i : scales + i / KV_BLOCK * 2, sizeof h);
        x[i] = type == PUMICE_KV_F16 ? f32_of_f16(h) : f32_of_f16(h) * (float)(int8_t)row[i];
    }
}

/* Q8_0's scale of a block: NaN where the block cannot be rounded. */
static uint16_t scale_of(const float *x)
{
    double max = 0;
    for (int i = 0; i < KV_BLOCK; i++) {
        if (isnan(x[i])) return f16_of_f32(NAN);
        max = fmax(max, fabs((double)x[i]));
    }
    return max <= 127.0 * 65504.0 ? f16_of_f32((float)(max / 127)) : f16_of_f32(NAN);
}

void kv_row_write(enum pumice_kv type, uint8_t *head, uint64_t C, uint32_t E, uint64_t p, const float *x)
{
    uint8_t *row = head + p * kv_plane_bytes(type, E, 0), *scales = head + scales_at(type, C, E, p);
    if (type == PUMICE_KV_F16) {
        for (uint32_t i = 0; i < E; i++) {
            const uint16_t h = f16_of_f32(x[i]);
            memcpy(row + 2ull * i, &h, sizeof h);
        }
        return;
    }
    memset(scales, 0, (size_t)kv_plane_bytes(type, E, 1));
    for (uint32_t b = 0; b < E / KV_BLOCK; b++, x += KV_BLOCK, row += KV_BLOCK) {
        const uint16_t half = scale_of(x);
        const double d = (double)f32_of_f16(half);
        memcpy(scales + 2ull * b, &half, sizeof half);
        for (int i = 0; i < KV_BLOCK; i++) row[i] = (uint8_t)(int8_t)(d > 0 ? fmax(-127, fmin(127, rint((double)x[i] / d))) : 0);
    }
}
