/* quantize: the other half of quant.h. Round to nearest with the scale as stored (a half float), so that what is
 * rounded here is what will be read; the K types search each sub-block's scale by weighted least squares. A weight
 * that is not finite gives some finite or infinite block, never undefined behaviour. */
#include "quant.h"

#include <math.h>
#include <string.h>

/* Nearest integer in [low, high], ties to even; NaN gives low. |low|, |high| < 2^22. */
static inline int nearest(float v, float low, float high)
{
    v = v > low ? v : low;
    v = v < high ? v : high;
    const float shifted = v + 12582912.0f; /* 1.5 * 2^23: the fraction is rounded away */
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (int)(bits & 0x7fffff) - 0x400000;
}

/* 1/d, and 0 for what is too small to divide by: such a block becomes zero. */
static float inverse(float d) { return fabsf(d) > 1e-30f ? 1.0f / d : 0.0f; }

static void quantize_q8_0(const float *x, uint8_t *row)
{
    struct block_q8_0 b;
    float most = 0;
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    b.d = f16_of_f32(most / 127);
    const float id = inverse(f32_of_f16(b.d));
    for (int i = 0; i < 32; i++) b.qs[i] = (int8_t)nearest(x[i] * id, -127, 127);
    memcpy(row, &b, sizeof b);
}

/* The weight of largest magnitude is given -8: that end of the range has one step more. */
static void quantize_q4_0(const float *x, uint8_t *row)
{
    struct block_q4_0 b;
    float most = 0;
    for (int i = 0; i < 32; i++) most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    b.d = f16_of_f32(most / -8);
    const float id = inverse(f32_of_f16(b.d));
    for (int i = 0; i < 16; i++) {
        const int low = nearest(x[i] * id + 8, 0, 15), high = nearest(x[i + 16] * id + 8, 0, 15);
        b.qs[i] = (uint8_t)(low | high << 4);
    }
    memcpy(row, &b, sizeof b);
}

/* --- Q4_K and Q5_K: w = scale * q - min, q in 0..top ----------------------------------------------- */

/* How much the error of each of n weights counts: larger weights somewhat more. */
static void importance(const float *x, float *weight, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    const float rms = sqrtf(sum / (float)n);
    for (int i = 0; i < n; i++) weight[i] = rms + fabsf(x[i]);
}

struct fit {
    float scale, min; /* w = scale * q - min, min >= 0 */
};

/* Sums over a sub-block of 32 for one choice of q, and the best (scale, min) for that q. Returns the weighted error less
 * a constant: sum w (s q - m - x)^2 - sum w x^2. */
static float solve(const float *x, const float *weight, float inv, float low, float top, float sum_w, float sum_x,
                   struct fit *out)
{
    enum { LANES = 4 };
    float q1[LANES] = {0}, q2[LANES] = {0}, qx[LANES] = {0};
    for (int i = 0; i < 32; i += LANES)
        for (int l = 0; l < LANES; l++) {
            float q = (x[i + l] - low) * inv;
            q = q > 0 ? q : 0;
            q = q < top ? q : top;
            q = (q + 12582912.0f) - 12582912.0f;
            const float wq = weight[i + l] * q;
            q1[l] += wq;
            q2[l] += wq * q;
            qx[l] += wq * x[i + l];
        }
    const float sum_q = q1[0] + q1[1] + q1[2] + q1[3], sum_qq = q2[0] + q2[1] + q2[2] + q2[3];
    const float sum_qx = qx[0] + qx[1] + qx[2] + qx[3];
    const float det = sum_w * sum_qq - sum_q * sum_q;
    float s = 0, m = 0;
    if (det > 0) {
        s = (sum_w * sum_qx - sum_x * sum_q) / det;
        m = (sum_q * sum_qx - sum_qq * sum_x) / det;
    }
    if (!(det > 0) || m < 0) { /* the minimum may not be positive */
        m = 0;
        s = sum_qq > 0 ? sum_qx / sum_qq : 0;
    }
    *out = (struct fit){s, m};
    return s * s * sum_qq + m * m * sum_w - 2 * s * m * sum_q - 2 * s * sum_qx + 2 * m * sum_x;
}

static struct fit fit_scale_min(const float *x, float top)
{
    float weight[32], low = 0, high = x[0], sum_w = 0, sum_x = 0;
    struct fit best = {0, 0};
    importance(x, weight, 32);
    for (int i = 0; i < 32; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum_w += weight[i];
        sum_x += weight[i] * x[i];
    }
    const float range = high - low;
    if (!(range > 1e-30f) || !(range < 1e30f)) return best; /* all zero, or not numbers */
    float least = 0;
    for (int step = 0; step <= 10; step++) { /* up to one step short of, and half a step beyond, the whole range */
        struct fit f;
        const float e = solve(x, weight, (top - 1.0f + 0.15f * (float)step) / range, low, top, sum_w, sum_x, &f);
        if (e < least && f.scale > 0) {
            least = e;
            best = f;
        }
    }
    return best;
}

/* Scales and minima of 8 sub-blocks, and the weights' numbers 0..top. */
static void quantize_scale_min(const float *x, int top, uint16_t *d, uint16_t *dmin, uint8_t *scales, uint8_t *q)
{
    struct fit fits[8];
    uint8_t scale[8], min[8];
    float most_scale = 0, most_min = 0;
    for (int j = 0; j < 8; j++) {
        fits[j] = fit_scale_min(x + 32 * j, (float)top);
        most_scale = fmaxf(most_scale, fits[j].scale);
        most_min = fmaxf(most_min, fits[j].min);
    }
    *d = f16_of_f32(most_scale / 63);
    *dmin = f16_of_f32(most_min / 63);
    const float fd = f32_of_f16(*d), fdmin = f32_of_f16(*dmin), id = inverse(fd), idmin = inverse(fdmin);
    for (int j = 0; j < 8; j++) {
        scale[j] = (uint8_t)nearest(fits[j].scale * id, 0, 63);
        min[j] = (uint8_t)nearest(fits[j].min * idmin, 0, 63);
        const float is = inverse(fd * (float)scale[j]), m = fdmin * (float)min[j];
        for (int i = 0; i < 32; i++) q[32 * j + i] = (uint8_t)nearest((x[32 * j + i] + m) * is, 0, (float)top);
    }
    for (int j = 0; j < 4; j++) { /* see quant_scale_min_k4 */
        scales[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
        scales[j + 4] = (uint8_t)(min[j] | min[j + 4] >> 4 << 6);
        scales[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

static void quantize_q4_K(const float *x, uint8_t *row)
{
    struct block_q4_K b;
    uint8_t q[QUANT_K];
    quantize_scale_min(x, 15, &b.d, &b.dmin, b.scales, q);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 32; i++) b.qs[32 * j + i] = (uint8_t)(q[64 * j + i] | q[64 * j + 32 + i] << 4);
    memcpy(row, &b, sizeof b);
}

static void quantize_q5_K(const float *x, uint8_t *row)
{
    struct block_q5_K b;
    uint8_t q[QUANT_K];
    quantize_scale_min(x, 31, &b.d, &b.dmin, b.scales, q);
    memset(b.qh, 0, sizeof b.qh);
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 32; i++) b.qh[i] |= (uint8_t)(q[32 * j + i] >> 4 << j);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 32; i++)
            b.qs[32 * j + i] = (uint8_t)((q[64 * j + i] & 15) | (q[64 * j + 32 + i] & 15) << 4);
    memcpy(row, &b, sizeof b);
}

/* --- Q6_K: w = scale * q, q in -32..31 -------------------------------------------------------------- */

/* Scale of 16 weights. For a choice of q the best scale is sum(w q x) / sum(w q^2), and the error falls by
 * sum(w q x)^2 / sum(w q^2): the choice with the largest fall wins. */
static float fit_scale(const float *x)
{
    float weight[16], most = 0, best = 0, best_fall = 0;
    importance(x, weight, 16);
    for (int i = 0; i < 16; i++) most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    if (!(fabsf(most) > 1e-30f) || !(fabsf(most) < 1e30f)) return 0;
    for (int step = -4; step <= 4; step++) {
        const float inv = -(32.0f + 0.2f * (float)step) / most;
        float sum_qx = 0, sum_qq = 0;
        for (int i = 0; i < 16; i++) {
            float q = x[i] * inv;
            q = q > -32 ? q : -32;
            q = q < 31 ? q : 31;
            q = (q + 12582912.0f) - 12582912.0f;
            sum_qx += weight[i] * q * x[i];
            sum_qq += weight[i] * q * q;
        }
        if (sum_qq > 0 && sum_qx * sum_qx > best_fall * sum_qq) {
            best = sum_qx / sum_qq;
            best_fall = sum_qx * sum_qx / sum_qq;
        }
    }
    return best;
}

static void quantize_q6_K(const float *x, uint8_t *row)
{
    struct block_q6_K b;
    float scale[16], most = 0;
    memset(&b, 0, sizeof b);
    for (int j = 0; j < 16; j++) {
        scale[j] = fit_scale(x + 16 * j);
        most = fabsf(scale[j]) > fabsf(most) ? scale[j] : most;
    }
    b.d = f16_of_f32(most / -128); /* the largest scale is given -128 */
    const float d = f32_of_f16(b.d), id = inverse(d);
    for (int j = 0; j < 16; j++) b.scales[j] = (int8_t)nearest(scale[j] * id, -128, 127);
    for (int h = 0; h < 2; h++)
        for (int c = 0; c < 4; c++)
            for (int i = 0; i < 32; i++) {
                const float is = inverse(d * (float)b.scales[h * 8 + c * 2 + i / 16]);
                const int q = nearest(x[h * 128 + c * 32 + i] * is, -32, 31) + 32;
                b.ql[h * 64 + c % 2 * 32 + i] |= (uint8_t)((q & 15) << c / 2 * 4);
                b.qh[h * 32 + i] |= (uint8_t)(q >> 4 << 2 * c);
            }
    memcpy(row, &b, sizeof b);
}

void quant_quantize_row(uint32_t type, const float *x, void *row, uint64_t k)
{
    uint8_t *p = row;
    void (*block)(const float *, uint8_t *) = NULL;
    switch (type) {
    case GGUF_T_F32: memcpy(p, x, (size_t)(k * sizeof *x)); return;
    case GGUF_T_F16:
    case GGUF_T_BF16:
        for (uint64_t i = 0; i < k; i++) {
            const uint16_t h = type == GGUF_T_F16 ? f16_of_f32(x[i]) : bf16_of_f32(x[i]);
            memcpy(p + 2 * i, &h, sizeof h);
        }
        return;
    case GGUF_T_Q8_0: block = quantize_q8_0; break;
    case GGUF_T_Q4_0: block = quantize_q4_0; break;
    case GGUF_T_Q4_K: block = quantize_q4_K; break;
    case GGUF_T_Q5_K: block = quantize_q5_K; break;
    case GGUF_T_Q6_K: block = quantize_q6_K; break;
    default: return;
    }
    const struct gguf_type_traits *t = gguf_type(type);
    for (uint64_t i = 0; i < k / t->block_n; i++) block(x + i * t->block_n, p + i * t->block_bytes);
}
