/* quant: see quant.h. Row sizes and dequantisation; quantisation is in quantize.c. */
#include "quant.h"

#include <string.h>

bool quant_can_quantize(uint32_t type)
{
    switch (type) {
    case GGUF_T_F32: case GGUF_T_F16: case GGUF_T_BF16: case GGUF_T_Q8_0: case GGUF_T_Q4_0:
    case GGUF_T_Q4_K: case GGUF_T_Q5_K: case GGUF_T_Q6_K: return true;
    default: return false;
    }
}

bool quant_can_dequantize(uint32_t type)
{
    switch (type) {
    case GGUF_T_Q4_1: case GGUF_T_Q5_0: case GGUF_T_Q5_1: case GGUF_T_Q2_K: case GGUF_T_Q3_K:
    case GGUF_T_IQ4_NL: case GGUF_T_IQ4_XS: return true;
    default: return quant_can_quantize(type);
    }
}

uint64_t quant_row_bytes(uint32_t type, uint64_t k)
{
    const struct gguf_type_traits *t = gguf_type(type);
    uint64_t bytes;
    if (!t || k % t->block_n || !mul_u64(k / t->block_n, t->block_bytes, &bytes)) return 0;
    return bytes;
}

void quant_scale_min_k4(int j, const uint8_t *scales, uint8_t *scale, uint8_t *min)
{
    if (j < 4) { /* bytes 0-3: scales 0-3 and the top bits of scales 4-7; bytes 4-7 the same of the minima */
        *scale = scales[j] & 63;
        *min = scales[j + 4] & 63;
    } else { /* bytes 8-11: the low four bits of scale j and minimum j */
        *scale = (uint8_t)((scales[j + 4] & 15) | scales[j - 4] >> 6 << 4);
        *min = (uint8_t)(scales[j + 4] >> 4 | scales[j] >> 6 << 4);
    }
}

/* The blocks are copied out first: a row may lie at any address. */

static void dequantize_q8_0(const uint8_t *row, float *y)
{
    struct block_q8_0 b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d);
    for (int i = 0; i < 32; i++) y[i] = d * (float)b.qs[i];
}

static void dequantize_q4_0(const uint8_t *row, float *y)
{
    struct block_q4_0 b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((b.qs[i] & 15) - 8);
        y[i + 16] = d * (float)((b.qs[i] >> 4) - 8);
    }
}

/* Sub-blocks 2j and 2j+1 share 32 bytes: low and high nibbles. */
static void dequantize_q4_K(const uint8_t *row, float *y)
{
    struct block_q4_K b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d), dmin = f32_of_f16(b.dmin);
    for (int j = 0; j < 8; j++) {
        uint8_t scale, min;
        quant_scale_min_k4(j, b.scales, &scale, &min);
        const float ds = d * (float)scale, dm = dmin * (float)min;
        for (int i = 0; i < 32; i++) {
            const uint8_t byte = b.qs[j / 2 * 32 + i];
            y[j * 32 + i] = ds * (float)(j & 1 ? byte >> 4 : byte & 15) - dm;
        }
    }
}

/* As Q4_K, and bit j of qh[i] is the fifth bit of weight i of sub-block j. */
static void dequantize_q5_K(const uint8_t *row, float *y)
{
    struct block_q5_K b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d), dmin = f32_of_f16(b.dmin);
    for (int j = 0; j < 8; j++) {
        uint8_t scale, min;
        quant_scale_min_k4(j, b.scales, &scale, &min);
        const float ds = d * (float)scale, dm = dmin * (float)min;
        for (int i = 0; i < 32; i++) {
            const uint8_t byte = b.qs[j / 2 * 32 + i];
            const int q = (j & 1 ? byte >> 4 : byte & 15) | (b.qh[i] >> j & 1) << 4;
            y[j * 32 + i] = ds * (float)q - dm;
        }
    }
}

/* Weight w of a half h (128 weights): quarter c = w / 32, i = w % 32. Low four bits: nibble c / 2 of
 * ql[64 h + 32 (c % 2) + i]; high two: bits 2c of qh[32 h + i]; scale: 8 h + w / 16. */
static void dequantize_q6_K(const uint8_t *row, float *y)
{
    struct block_q6_K b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d);
    for (int h = 0; h < 2; h++)
        for (int c = 0; c < 4; c++)
            for (int i = 0; i < 32; i++) {
                const int low = b.ql[h * 64 + c % 2 * 32 + i] >> c / 2 * 4 & 15;
                const int high = b.qh[h * 32 + i] >> 2 * c & 3;
                const float ds = d * (float)b.scales[h * 8 + c * 2 + i / 16];
                y[h * 128 + c * 32 + i] = ds * (float)((low | high << 4) - 32);
            }
}

/* The 32-weight types with a fifth bit and an offset share one walk: bit i of `high` is bit 4 of weight i. */
static void dequantize_32(const uint8_t *qs, uint32_t high, float d, float offset, float *y)
{
    for (int i = 0; i < 16; i++) {
        const uint32_t low_q = (uint32_t)(qs[i] & 15) | (high >> i & 1) << 4;
        const uint32_t high_q = (uint32_t)(qs[i] >> 4) | (high >> (i + 16) & 1) << 4;
        y[i] = d * (float)low_q + offset;
        y[i + 16] = d * (float)high_q + offset;
    }
}

static void dequantize_q4_1(const uint8_t *row, float *y)
{
    struct block_q4_1 b;
    memcpy(&b, row, sizeof b);
    dequantize_32(b.qs, 0, f32_of_f16(b.d), f32_of_f16(b.m), y);
}

static void dequantize_q5_0(const uint8_t *row, float *y)
{
    struct block_q5_0 b;
    memcpy(&b, row, sizeof b);
    dequantize_32(b.qs, u32_of_le(b.qh), 1, -16, y); /* exact integers, then one product */
    for (int i = 0; i < 32; i++) y[i] *= f32_of_f16(b.d);
}

static void dequantize_q5_1(const uint8_t *row, float *y)
{
    struct block_q5_1 b;
    memcpy(&b, row, sizeof b);
    dequantize_32(b.qs, u32_of_le(b.qh), f32_of_f16(b.d), f32_of_f16(b.m), y);
}

const int8_t quant_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void dequantize_iq4_nl(const uint8_t *row, float *y)
{
    struct block_iq4_nl b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)quant_iq4[b.qs[i] & 15];
        y[i + 16] = d * (float)quant_iq4[b.qs[i] >> 4];
    }
}

uint8_t quant_scale_iq4_xs(int s, const struct block_iq4_xs *b)
{
    return (uint8_t)((b->scales_l[s / 2] >> 4 * (s & 1) & 15) | (b->scales_h >> 2 * s & 3) << 4);
}

static void dequantize_iq4_xs(const uint8_t *row, float *y)
{
    struct block_iq4_xs b;
    memcpy(&b, row, sizeof b);
    for (int s = 0; s < 8; s++) {
        const float ds = f32_of_f16(b.d) * (float)(quant_scale_iq4_xs(s, &b) - 32);
        for (int i = 0; i < 16; i++) {
            y[32 * s + i] = ds * (float)quant_iq4[b.qs[16 * s + i] & 15];
            y[32 * s + 16 + i] = ds * (float)quant_iq4[b.qs[16 * s + i] >> 4];
        }
    }
}

/* Two bits: weight w of half h, quarter c = w / 32, i = w % 32: bits 2c of qs[32 h + i]; scale and minimum of 16 weights
 * in the nibbles of one byte. */
static void dequantize_q2_K(const uint8_t *row, float *y)
{
    struct block_q2_K b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d), dmin = f32_of_f16(b.dmin);
    for (int w = 0; w < QUANT_K; w++) {
        const uint8_t scale = b.scales[w / 16];
        const int q = b.qs[w / 128 * 32 + w % 32] >> w / 32 % 4 * 2 & 3;
        y[w] = d * (float)(scale & 15) * (float)q - dmin * (float)(scale >> 4);
    }
}

uint8_t quant_scale_q3(int s, const uint8_t *scales)
{
    const int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
    return (uint8_t)(low | (scales[8 + s % 4] >> s / 4 * 2 & 3) << 4);
}

/* As Q2_K, with a third bit (bit w / 32 of hmask[w % 32]) and signed scales: w = d (sc - 32) (q - 4). */
static void dequantize_q3_K(const uint8_t *row, float *y)
{
    struct block_q3_K b;
    memcpy(&b, row, sizeof b);
    const float d = f32_of_f16(b.d);
    for (int w = 0; w < QUANT_K; w++) {
        const int q = (b.qs[w / 128 * 32 + w % 32] >> w / 32 % 4 * 2 & 3) | (b.hmask[w % 32] >> w / 32 & 1) << 2;
        y[w] = d * (float)(quant_scale_q3(w / 16, b.scales) - 32) * (float)(q - 4);
    }
}

void quant_dequantize_row(uint32_t type, const void *row, float *y, uint64_t k)
{
    const uint8_t *p = row;
    void (*block)(const uint8_t *, float *) = NULL;
    switch (type) {
    case GGUF_T_F32: memcpy(y, p, (size_t)(k * sizeof *y)); return;
    case GGUF_T_F16:
    case GGUF_T_BF16:
        for (uint64_t i = 0; i < k; i++) {
            uint16_t h;
            memcpy(&h, p + 2 * i, sizeof h);
            y[i] = type == GGUF_T_F16 ? f32_of_f16(h) : f32_of_bf16(h);
        }
        return;
    case GGUF_T_Q8_0: block = dequantize_q8_0; break;
    case GGUF_T_Q4_0: block = dequantize_q4_0; break;
    case GGUF_T_Q4_K: block = dequantize_q4_K; break;
    case GGUF_T_Q5_K: block = dequantize_q5_K; break;
    case GGUF_T_Q6_K: block = dequantize_q6_K; break;
    case GGUF_T_Q4_1: block = dequantize_q4_1; break;
    case GGUF_T_Q5_0: block = dequantize_q5_0; break;
    case GGUF_T_Q5_1: block = dequantize_q5_1; break;
    case GGUF_T_IQ4_NL: block = dequantize_iq4_nl; break;
    case GGUF_T_IQ4_XS: block = dequantize_iq4_xs; break;
    case GGUF_T_Q2_K: block = dequantize_q2_K; break;
    case GGUF_T_Q3_K: block = dequantize_q3_K; break;
    default: return;
    }
    const struct gguf_type_traits *t = gguf_type(type);
    for (uint64_t i = 0; i < k / t->block_n; i++) block(p + i * t->block_bytes, y + i * t->block_n);
}
