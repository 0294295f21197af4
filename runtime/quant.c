/* quant: see quant.h. Row sizes and dequantisation; quantisation is in quantize.c. */
#include "quant.h"

#include <string.h>

bool quant_can_dequantize(uint32_t type)
{
    switch (type) {
    case GGUF_T_F32: case GGUF_T_F16: case GGUF_T_BF16: case GGUF_T_Q8_0: case GGUF_T_Q4_0:
    case GGUF_T_Q4_K: case GGUF_T_Q5_K: case GGUF_T_Q6_K: return true;
    default: return false;
    }
}

bool quant_can_quantize(uint32_t type) { return quant_can_dequantize(type); }

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
    default: return;
    }
    const struct gguf_type_traits *t = gguf_type(type);
    for (uint64_t i = 0; i < k / t->block_n; i++) block(p + i * t->block_bytes, y + i * t->block_n);
}
