/* kernels: see kernels.h. Written once over vectors of 8 floats (a GCC and Clang extension that every target can
 * lower), compiled for several instruction sets. Sums run in 8 interleaved partial sums, added at the end in a fixed
 * order: the same for every batch size. */
#include "kernels.h"

#include "cpu.h"
#include "quant.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__)

#if !defined(__clang__)
#pragma GCC optimize("O3,fp-contract=fast") /* -std=c11 would switch fused multiply-add off */
#endif

enum { LANES = 8 };
typedef float vf __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t vu __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t vh __attribute__((vector_size(16), aligned(2), may_alias));
typedef uint8_t vb __attribute__((vector_size(8), aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* f32_of_f16 without a call: exact, with infinities and NaN. */
INLINE float load_half(const uint16_t *p)
{
    const uint32_t rest = (*p & 0x7fffu) << 13, sign = (*p & 0x8000u) << 16;
    float f;
    memcpy(&f, &rest, sizeof f);
    f *= 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bits |= (rest >= 0x0f800000u ? 0x7f800000u : 0) | sign;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* --- dequantisation; the layouts are quant.h's ----------------------------------------------------------------------- */

/* y[8] = the halves at h; exact, with infinities and NaN. */
INLINE void halves(const uint16_t *h, float *y)
{
    const vu w = __builtin_convertvector(*(const vh *)(const void *)h, vu);
    const vu rest = (w & 0x7fffu) << 13, sign = (w & 0x8000u) << 16;
    const vu special = (vu)(rest >= 0x0f800000u) & 0x7f800000u;
    const vf scaled = (vf)rest * 0x1p112f;
    *(vu *)(void *)y = (vu)scaled | special | sign;
}

INLINE void bf16s(const uint16_t *h, float *y)
{
    *(vu *)(void *)y = __builtin_convertvector(*(const vh *)(const void *)h, vu) << 16;
}

/* *out = the 8 bytes at p */
INLINE void bytes(const uint8_t *p, vi *out)
{
#if defined(__clang__)
    *out = __builtin_convertvector(*(const vb *)(const void *)p, vi);
#else /* GCC 12 makes a poor job of converting vectors of 8 bytes */
    int32_t wide[LANES];
    for (int i = 0; i < LANES; i++) wide[i] = p[i];
    memcpy(out, wide, sizeof wide);
#endif
}

/* y[8] = q[8] * d - m */
INLINE void affine(const vi *q, float d, float m, float *y) { *(vf *)y = __builtin_convertvector(*q, vf) * d - m; }

INLINE void q8_0(const uint8_t *row, float *y, uint32_t k)
{
    const struct block_q8_0 *b = (const struct block_q8_0 *)(const void *)row;
    for (uint32_t i = 0; i < k / 32; i++, b++) {
        const float d = load_half(&b->d);
        for (int j = 0; j < 32; j++) *y++ = (float)b->qs[j] * d;
    }
}

INLINE void q4_0(const uint8_t *row, float *y, uint32_t k)
{
    const struct block_q4_0 *b = (const struct block_q4_0 *)(const void *)row;
    for (uint32_t i = 0; i < k / 32; i++, b++, y += 32) {
        const float d = load_half(&b->d);
        for (int part = 0; part < 2; part++) {
            vi q;
            bytes(b->qs + LANES * part, &q);
            const vi low = q & 15, high = q >> 4;
            affine(&low, d, 8 * d, y + LANES * part);
            affine(&high, d, 8 * d, y + 16 + LANES * part);
        }
    }
}

/* quant_scale_min_k4 without a call */
INLINE void scale_min(int j, const uint8_t *s, int *scale, int *min)
{
    *scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

/* Q4_K and Q5_K differ in the fifth bit only; qh NULL for Q4_K. */
INLINE void q45_K(float d, float dmin, const uint8_t *scales, const uint8_t *qh, const uint8_t *qs, float *y)
{
    for (int j = 0; j < 8; j++) { /* sub-blocks of 32: low nibbles of 32 bytes, then their high nibbles */
        int s, m;
        scale_min(j, scales, &s, &m);
        for (int part = 0; part < 4; part++, y += LANES) {
            vi q, fifth;
            bytes(qs + 32 * (j / 2) + LANES * part, &q);
            q = q >> (j % 2 * 4) & 15;
            if (qh) {
                bytes(qh + LANES * part, &fifth);
                q |= (fifth >> j & 1) << 4;
            }
            affine(&q, d * (float)s, dmin * (float)m, y);
        }
    }
}

INLINE void q4_K(const uint8_t *row, float *y, uint32_t k)
{
    const struct block_q4_K *b = (const struct block_q4_K *)(const void *)row;
    for (uint32_t i = 0; i < k / QUANT_K; i++, b++, y += QUANT_K)
        q45_K(load_half(&b->d), load_half(&b->dmin), b->scales, NULL, b->qs, y);
}

INLINE void q5_K(const uint8_t *row, float *y, uint32_t k)
{
    const struct block_q5_K *b = (const struct block_q5_K *)(const void *)row;
    for (uint32_t i = 0; i < k / QUANT_K; i++, b++, y += QUANT_K)
        q45_K(load_half(&b->d), load_half(&b->dmin), b->scales, b->qh, b->qs, y);
}

INLINE void q6_K(const uint8_t *row, float *y, uint32_t k)
{
    const struct block_q6_K *b = (const struct block_q6_K *)(const void *)row;
    for (uint32_t i = 0; i < k / QUANT_K; i++, b++) {
        const float all = load_half(&b->d);
        for (int part = 0; part < QUANT_K / LANES; part++, y += LANES) { /* two parts share a scale */
            const int half = part / 16, quarter = part % 16 / 4, at = LANES * (part % 4);
            vi low, high;
            bytes(b->ql + 64 * half + 32 * (quarter % 2) + at, &low);
            bytes(b->qh + 32 * half + at, &high);
            const vi q = (low >> (quarter / 2 * 4) & 15) | (high >> (2 * quarter) & 3) << 4;
            const float d = all * (float)b->scales[part / 2];
            affine(&q, d, 32 * d, y);
        }
    }
}

INLINE void dequantize(uint32_t type, const uint8_t *row, float *y, uint32_t k)
{
    const uint16_t *h = (const uint16_t *)(const void *)row;
    if (type == GGUF_T_Q8_0) q8_0(row, y, k);
    else if (type == GGUF_T_Q4_K) q4_K(row, y, k);
    else if (type == GGUF_T_Q6_K) q6_K(row, y, k);
    else if (type == GGUF_T_Q5_K) q5_K(row, y, k);
    else if (type == GGUF_T_Q4_0) q4_0(row, y, k);
    else if (type == GGUF_T_F16 && k % LANES == 0)
        for (uint32_t i = 0; i < k; i += LANES) halves(h + i, y + i);
    else if (type == GGUF_T_BF16 && k % LANES == 0)
        for (uint32_t i = 0; i < k; i += LANES) bf16s(h + i, y + i);
    else quant_dequantize_row(type, row, y, k);
}

/* --- dot products ---------------------------------------------------------------------------------------------------- */

INLINE float sum_lanes(const vf *v)
{
    float a[LANES];
    memcpy(a, v, sizeof a);
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

INLINE void dot_tile(const float *const *rows, const float *x, uint32_t n_x, uint32_t k, float *out)
{
    vf acc[2][CPU_ROWS];
    memset(acc, 0, sizeof acc);
    uint32_t i = 0;
    for (; i + LANES <= k; i += LANES)
        for (uint32_t t = 0; t < n_x; t++) {
            const vf a = *(const vf *)(x + (uint64_t)t * k + i);
            for (int r = 0; r < CPU_ROWS; r++) acc[t][r] += a * *(const vf *)(rows[r] + i);
        }
    for (uint32_t t = 0; t < n_x; t++)
        for (int r = 0; r < CPU_ROWS; r++) {
            float sum = sum_lanes(&acc[t][r]);
            for (uint32_t rest = i; rest < k; rest++) sum += x[(uint64_t)t * k + rest] * rows[r][rest];
            out[t * CPU_ROWS + (uint32_t)r] = sum;
        }
}

INLINE void dot(const float *const *rows, const float *x, uint32_t n_x, uint32_t k, float *out)
{
    if (n_x == 2) dot_tile(rows, x, 2, k, out);
    else dot_tile(rows, x, 1, k, out);
}

/* --- attention --------------------------------------------------------------------------------------------------------- */

INLINE void half_row(const uint16_t *h, uint32_t n, float *y)
{
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES) halves(h + i, y + i);
    for (; i < n; i++) y[i] = f32_of_f16(h[i]);
}

/* Softmax on the run: when a larger score comes, what was gathered is scaled down. Rows are padded with zeros to whole
 * vectors. */
INLINE void attention(const struct cpu_attention *a)
{
    const uint32_t E = a->E, n_v = (E + LANES - 1) / LANES;
    float q[CPU_TILE_HEADS][CPU_MAX_HEAD], acc[CPU_TILE_HEADS][CPU_MAX_HEAD], k[CPU_MAX_HEAD], v[CPU_MAX_HEAD];
    float max[CPU_TILE_HEADS];
    double sum[CPU_TILE_HEADS];
    memset(k + (n_v - 1) * LANES, 0, LANES * sizeof *k);
    memset(v + (n_v - 1) * LANES, 0, LANES * sizeof *v);
    for (uint32_t h = 0; h < a->n_heads; h++) {
        memset(acc[h], 0, n_v * LANES * sizeof(float));
        memset(q[h] + (n_v - 1) * LANES, 0, LANES * sizeof(float));
        for (uint32_t i = 0; i < E; i++) q[h][i] = a->q[h * E + i] * a->scale;
        max[h] = -INFINITY;
        sum[h] = 0;
    }
    for (uint64_t p = 0; p < a->n; p++) {
        half_row(a->k + p * a->stride, E, k);
        half_row(a->v + p * a->stride, E, v);
        for (uint32_t h = 0; h < a->n_heads; h++) {
            vf s = {0};
            for (uint32_t i = 0; i < n_v; i++) s += *(const vf *)(q[h] + i * LANES) * *(const vf *)(k + i * LANES);
            const float score = sum_lanes(&s);
            if (score > max[h]) {
                const float shrink = expf(max[h] - score);
                for (uint32_t i = 0; i < n_v; i++) *(vf *)(acc[h] + i * LANES) *= shrink;
                sum[h] *= (double)shrink;
                max[h] = score;
            }
            const float weight = expf(score - max[h]);
            for (uint32_t i = 0; i < n_v; i++) *(vf *)(acc[h] + i * LANES) += *(const vf *)(v + i * LANES) * weight;
            sum[h] += (double)weight;
        }
    }
    for (uint32_t h = 0; h < a->n_heads; h++)
        for (uint32_t i = 0; i < E; i++) a->y[h * E + i] = (float)((double)acc[h][i] / sum[h]);
}

/* --- one set an instruction set ------------------------------------------------------------------------------------------ */

#define KERNELS(set, attribute)                                                                              \
    attribute static void dequantize_##set(uint32_t type, const uint8_t *row, float *y, uint32_t k)          \
    {                                                                                                        \
        dequantize(type, row, y, k);                                                                         \
    }                                                                                                        \
    attribute static void dot_##set(const float *const *rows, const float *x, uint32_t n_x, uint32_t k, float *out) \
    {                                                                                                        \
        dot(rows, x, n_x, k, out);                                                                           \
    }                                                                                                        \
    attribute static void attention_##set(const struct cpu_attention *a) { attention(a); }                   \
    static const struct cpu_kernels kernels_##set = {#set, dequantize_##set, dot_##set, attention_##set};

KERNELS(plain, )
#if defined(__x86_64__)
KERNELS(avx2, __attribute__((target("avx2,fma"))))
#endif

const struct cpu_kernels *cpu_kernels_variant(uint32_t i)
{
    const struct cpu_kernels *usable[2];
    uint32_t n = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) usable[n++] = &kernels_avx2;
#endif
    usable[n++] = &kernels_plain;
    return i < n ? usable[i] : NULL;
}

#else /* a compiler without vector extensions: the reference does all */

const struct cpu_kernels *cpu_kernels_variant(uint32_t i)
{
    (void)i;
    return NULL;
}

#endif

const struct cpu_kernels *cpu_kernels_choose(void) { return cpu_kernels_variant(0); }
const char *cpu_kernels_name(const struct cpu_kernels *k) { return k ? k->name : "reference"; }
