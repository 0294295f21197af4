/* kernels_body: see kernels.h. Not a header: each kernels_*.c includes it once, after it has defined
 *   SET       the set's name
 *   TARGET    the attribute that lets a function use the instruction set, or nothing
 *   DOT_AVX2  to multiply with AVX2 (and F16C); DOT_VNNI(sum, u8, s8) where the processor has that instruction
 *   DOT_AVX512  instead, to multiply with AVX-512 and VNNI
 *   HAS_32_REGISTERS  1 if 8 tokens at once do not spill
 * Written over vectors of LANES floats, a GCC and Clang extension that every target can lower; intrinsics only where that
 * is not enough. The order of every sum is fixed by K alone, the same for every batch size. */
#include "cpu.h"
#include "kernels.h"
#include "quant.h"

#include <float.h>
#include <math.h>
#include <string.h>

#if defined(DOT_AVX2) || defined(DOT_AVX512)
#include <immintrin.h>
#endif

#if defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECKED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECKED 1
#endif
#if !defined(__clang__)
#pragma GCC optimize("fp-contract=fast") /* -std=c11 would switch fused multiply-add off */
#endif
#if defined(CHECKED) /* loops that are unrolled and checked take a compiler minutes */
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#pragma GCC optimize("O3")
#define UNROLL _Pragma("GCC unroll 8")
#endif

#if !defined(HAS_32_REGISTERS)
#define HAS_32_REGISTERS 0
#endif

/* A compiler makes poor work of vectors wider than the processor's. */
#if defined(DOT_AVX512)
enum { LANES = 16 };
#elif defined(DOT_AVX2)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
enum { GROUP = LANES < 8 ? 8 : LANES }; /* rows of packed weights side by side */
#define VECTOR(align) __attribute__((vector_size(4 * LANES), aligned(align), may_alias))
typedef float vf VECTOR(4);
typedef int32_t vi VECTOR(4);
typedef uint32_t vu VECTOR(4);
typedef uint16_t vw VECTOR(2); /* bytes, shifted in pairs */
typedef int16_t vs VECTOR(2);
typedef uint16_t vh __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline)) TARGET
#define KERNEL static TARGET

/* --- loads ------------------------------------------------------------------------------------------------------------ */

/* *y = the halves at h; exact, with infinities and NaN. */
INLINE void halves(const void *h, vf *y)
{
#if defined(DOT_AVX512)
    *y = (vf)_mm512_cvtph_ps(_mm256_loadu_si256(h));
#elif defined(DOT_AVX2)
    *y = (vf)_mm256_cvtph_ps(_mm_loadu_si128(h));
#else
    vh bits;
    memcpy(&bits, h, sizeof bits);
    const vu w = __builtin_convertvector(bits, vu);
    const vu rest = (w & 0x7fffu) << 13, sign = (w & 0x8000u) << 16;
    const vu special = (vu)(rest >= 0x0f800000u) & 0x7f800000u;
    const vf scaled = (vf)rest * 0x1p112f;
    *y = (vf)((vu)scaled | special | sign);
#endif
}

/* *y = the signed bytes at p */
INLINE void signed_bytes(const uint8_t *p, vf *y)
{
#if defined(DOT_AVX512)
    *y = (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
#elif defined(DOT_AVX2)
    *y = (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
#else
    float wide[LANES];
    for (int i = 0; i < LANES; i++) wide[i] = (float)(int8_t)p[i];
    memcpy(y, wide, sizeof wide);
#endif
}

/* q[32] = the integers w, which a signed byte holds */
INLINE void store_bytes(const vi *w, int8_t *q)
{
#if defined(DOT_AVX512)
    for (int i = 0; i < 2; i++) _mm_storeu_si128((void *)(q + 16 * i), _mm512_cvtepi32_epi8((__m512i)w[i]));
#elif defined(DOT_AVX2)
    const __m256i low = _mm256_packs_epi32((__m256i)w[0], (__m256i)w[1]);
    const __m256i high = _mm256_packs_epi32((__m256i)w[2], (__m256i)w[3]);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packs work in halves of 128 bits */
    _mm256_storeu_si256((void *)q, _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
#else
    for (int i = 0; i < 32; i++) q[i] = (int8_t)w[i / LANES][i % LANES];
#endif
}

/* --- activations -------------------------------------------------------------------------------------------------------- */

INLINE float largest(const float *x)
{
    vu max = {0};
    for (int i = 0; i < CPU_BLOCK; i += LANES) { /* as integers, where NaN is above infinity; signed compares are cheaper */
        const vu a = *(const vu *)(const void *)(x + i) & 0x7fffffffu, more = (vu)((vi)a > (vi)max);
        max = (a & more) | (max & ~more);
    }
    uint32_t all[LANES], m = 0;
    memcpy(all, &max, sizeof all);
    for (int i = 0; i < LANES; i++) m = MAX(m, all[i]);
    float f;
    memcpy(&f, &m, sizeof f);
    return f;
}

KERNEL void round_input(const float *x, uint32_t k, uint32_t t, const struct cpu_input *out)
{
    const uint32_t n = k / CPU_BLOCK;
    int8_t *q = out->q + (uint64_t)t * k;
    float *d = out->d + (uint64_t)t * n, *s32 = out->s32 + (uint64_t)t * n, *s16 = out->s16 + 2 * (uint64_t)t * n;
    for (uint32_t b = 0; b < n; b++, x += CPU_BLOCK, q += CPU_BLOCK) {
        const float max = largest(x);
        const bool finite = max <= FLT_MAX;
        const float scale = finite && max > 1e-30f ? 127.0f / max : 0;
        vi wide[CPU_BLOCK / LANES], half[2] = {{0}};
        UNROLL for (int i = 0; i < CPU_BLOCK / LANES; i++)
        {
            vf v = {0};
            if (finite) v = *(const vf *)(x + LANES * i) * scale;
            wide[i] = __builtin_convertvector((v + 0x1.8p23f) - 0x1.8p23f, vi); /* to nearest, ties to even */
            half[i * LANES / 16] += wide[i];
        }
        int32_t sum[2] = {0, 0};
        for (int i = 0; i < LANES; i++) sum[0] += half[0][i], sum[1] += half[1][i];
        store_bytes(wide, q);
        d[b] = finite ? max / 127.0f : (float)NAN;
        if (scale == 0 && finite) d[b] = 0;
        s16[2 * b] = d[b] * (float)sum[0];
        s16[2 * b + 1] = d[b] * (float)sum[1];
        s32[b] = d[b] * (float)(sum[0] + sum[1]);
    }
}

/* --- integer products ------------------------------------------------------------------------------------------------------ */

/* What the signed bytes of 8-bit types are raised by, so that they are unsigned. */
#if defined(DOT_VNNI) || defined(DOT_AVX512)
enum { RAISED = 128 };
#else
enum { RAISED = 0 };
#endif

INLINE bool is_signed(struct cpu_form f) { return f.bits == 8 || f.iq4; }

INLINE void iq4(vw *q)
{
#if defined(DOT_AVX512)
    const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)quant_iq4));
    *q = (vw)_mm512_shuffle_epi8(table, (__m512i)*q);
#elif defined(DOT_AVX2)
    const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)quant_iq4));
    *q = (vw)_mm256_shuffle_epi8(table, (__m256i)*q);
#else
    uint8_t bytes[sizeof *q];
    memcpy(bytes, q, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)quant_iq4[bytes[i]];
    memcpy(q, bytes, sizeof bytes);
#endif
}

INLINE void load_plane(const uint8_t *w, int i, vw *plane) { *plane = *(const vw *)(const void *)(w + 4 * GROUP * i); }

/* *q |= bits of the plane, moved up (or down, where negative) and masked. */
INLINE void add_bits(const uint8_t *w, int i, int up, int mask, vw *q)
{
    vw plane;
    load_plane(w, i, &plane);
    *q |= (up >= 0 ? plane << (up & 7) : plane >> (-up & 7)) & (vw)((vw){0} + (uint16_t)mask);
}

/* q[j] = weights 4j .. 4j+3 of LANES rows, a byte each, from the planes at w (pack.c). */
INLINE void unpack(const struct cpu_form f, const uint8_t *w, vw *q)
{
    UNROLL for (int j = 0; j < 8; j++)
    {
        q[j] = (vw){0};
        if (f.bits == 8) load_plane(w, j, &q[j]);
        else if (f.bits >= 4) add_bits(w, j / 2, j % 2 * -4, 0x0f0f, &q[j]);
        else add_bits(w, j / 4, j % 4 * -2, 0x0303, &q[j]);
        if (f.bits == 6) add_bits(w, 4 + j / 4, 4 - j % 4 * 2, 0x3030, &q[j]);
        if (f.bits == 5) add_bits(w, 4, 4 - j, 0x1010, &q[j]);
        if (f.bits == 3) add_bits(w, 2, 2 - j, 0x0404, &q[j]);
        if (f.iq4) iq4(&q[j]);
        if (is_signed(f) && RAISED != 0) q[j] ^= 0x8080;
    }
}

#if !defined(DOT_AVX2) && !defined(DOT_AVX512)
INLINE int32_t two_bytes(int8_t low, int8_t high) { return (int32_t)((uint32_t)(uint16_t)low | (uint32_t)(uint16_t)high << 16); }
#endif

/* sums[g][r] = row r's sum over group g of the products of the block's weights q and activations x [32]. Exact. */
INLINE void dot_block(const struct cpu_form f, const vw *q, const int8_t *x, vi *sums)
{
    const int per_group = 8 / f.groups;
#if !defined(DOT_VNNI) && !defined(DOT_AVX512)
    /* Pairs of products are added in 16 bits: 2 * 127 * (2^bits - 1) of them as long as that holds. */
    const int chain = is_signed(f) ? 1 : f.bits == 6 ? 2 : f.bits == 5 ? 4 : per_group;
#endif
#if defined(DOT_AVX512)
    UNROLL for (int g = 0; g < f.groups; g++)
    {
        __m512i sum = _mm512_setzero_si512();
        UNROLL for (int i = 0; i < per_group; i++)
        {
            const int j = g * per_group + i;
            int32_t four;
            memcpy(&four, x + 4 * j, sizeof four);
            sum = _mm512_dpbusd_epi32(sum, (__m512i)q[j], _mm512_set1_epi32(four));
        }
        sums[g] = (vi)sum;
    }
#elif defined(DOT_AVX2)
    UNROLL for (int g = 0; g < f.groups; g++)
    {
        __m256i sum = _mm256_setzero_si256();
#if !defined(DOT_VNNI)
        __m256i pairs = _mm256_setzero_si256();
#endif
        UNROLL for (int i = 0; i < per_group; i++)
        {
            const int j = g * per_group + i;
            int32_t four;
            memcpy(&four, x + 4 * j, sizeof four);
            const __m256i a = _mm256_set1_epi32(four), w = (__m256i)q[j];
#if defined(DOT_VNNI)
            sum = DOT_VNNI(sum, w, a);
#else
            const __m256i p = is_signed(f) ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w))
                                           : _mm256_maddubs_epi16(w, a);
            pairs = i % chain ? _mm256_add_epi16(pairs, p) : p;
            if (i % chain == chain - 1)
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
        }
        sums[g] = (vi)sum;
    }
#else
    UNROLL for (int g = 0; g < f.groups; g++)
    {
        vi sum = {0};
        vs pairs = {0};
        UNROLL for (int i = 0; i < per_group; i++)
        {
            const int j = g * per_group + i;
            const vs even = (vs)((vi){0} + two_bytes(x[4 * j], x[4 * j + 2]));
            const vs odd = (vs)((vi){0} + two_bytes(x[4 * j + 1], x[4 * j + 3]));
            vs low = (vs)(q[j] & 0xff), high = (vs)(q[j] >> 8);
            if (is_signed(f)) low = (vs)(q[j] << 8) >> 8, high = (vs)q[j] >> 8;
            const vs p = low * even + high * odd;
            if (i % chain) pairs += p;
            else pairs = p;
            if (i % chain == chain - 1) sum += ((vi)((vu)pairs << 16) >> 16) + ((vi)pairs >> 16);
        }
        sums[g] = sum;
    }
#endif
}

/* scale[g], min[g]: what the sums of group g of one block are multiplied with, and what of the sums of x is added, for LANES
 * rows from `row` on; d, m: of the super-block; w: the block. */
INLINE void block_scales(const struct cpu_form f, const uint8_t *w, int row, const vf *d, const vf *m, vf *scale, vf *min)
{
    const bool small = f.blocks > 1;
    UNROLL for (int g = 0; g < f.groups; g++)
    {
        scale[g] = *d;
        if (small) {
            signed_bytes(w + GROUP * g + row, &scale[g]);
            scale[g] *= *d;
        }
        if (f.min && small) {
            signed_bytes(w + GROUP * (f.groups + g) + row, &min[g]);
            min[g] *= *m;
        } else if (f.min) min[g] = *m;
        else min[g] = scale[g] * (float)-(is_signed(f) ? RAISED : f.offset);
    }
}

/* LANES rows of the group, from `row` on, with `tile` rows of x, from t on; those past n_x repeat the last. */
INLINE void product_tile(const struct cpu_form f, const uint8_t *w, int row, const struct cpu_input *x, uint32_t t,
                         uint32_t n_x, const int tile, uint32_t k, float *out)
{
    const bool has_min = f.min || (is_signed(f) ? RAISED : f.offset) != 0;
    const int halves_bytes = 2 * GROUP * (f.min ? 2 : 1);
    const int scales_bytes = f.blocks > 1 ? GROUP * f.groups * (f.min ? 2 : 1) : 0;
    const int quants_bytes = CPU_BLOCK / 8 * GROUP * f.bits;
    const uint32_t n_blocks = k / CPU_BLOCK;
    const int8_t *xq[CPU_TILE];
    const float *xd[CPU_TILE], *xs[CPU_TILE];
    vf acc[CPU_TILE] = {{0}};
    for (int i = 0; i < tile; i++) {
        const uint64_t x_row = t + MIN((uint32_t)i, n_x - 1);
        xq[i] = x->q + x_row * k;
        xd[i] = x->d + x_row * n_blocks;
        xs[i] = f.groups == 1 ? x->s32 + x_row * n_blocks : x->s16 + x_row * n_blocks * 2;
    }
    for (uint32_t first = 0; first < n_blocks; first += f.blocks, w += halves_bytes) {
        const uint8_t *block = w + halves_bytes;
        vf d, m = {0};
        halves(w + 2 * row, &d);
        if (f.min) halves(w + 2 * (GROUP + row), &m);
        for (uint32_t b = first; b < first + f.blocks; b++, block += scales_bytes + quants_bytes) {
            vf scale[2], min[2];
            vw q[8];
            block_scales(f, block, row, &d, &m, scale, min);
            unpack(f, block + scales_bytes + 4 * row, q);
            UNROLL for (int i = 0; i < tile; i++)
            {
                vi sums[2];
                dot_block(f, q, xq[i] + CPU_BLOCK * b, sums);
                UNROLL for (int g = 0; g < f.groups; g++)
                {
                    acc[i] += __builtin_convertvector(sums[g], vf) * (scale[g] * xd[i][b]);
                    if (has_min) acc[i] += min[g] * xs[i][b * f.groups + (uint32_t)g];
                }
            }
        }
        w += f.blocks * (scales_bytes + quants_bytes);
    }
    for (int i = 0; i < tile; i++)
        if ((uint32_t)i < n_x) *(vf *)(out + i * GROUP + row) = acc[i];
}

/* A function a type, since each takes all registers; n_x 1 is decoding, where speed is that of memory. */
#define PRODUCT(type, ...)                                                                                   \
    KERNEL __attribute__((noinline)) void product_##type(const uint8_t *w, const struct cpu_input *x, uint32_t t, \
                                                         uint32_t n_x, uint32_t k, float *out)               \
    {                                                                                                        \
        const struct cpu_form f = {__VA_ARGS__};                                                             \
        for (int row = 0; row < GROUP; row += LANES) {                                                       \
            if (n_x == 1) product_tile(f, w, row, x, t, 1, 1, k, out);                                       \
            else if (n_x == 5) product_tile(f, w, row, x, t, n_x, 5, k, out);                                \
            else if (n_x == 6) product_tile(f, w, row, x, t, n_x, 6, k, out);                                \
            else if (n_x > 6 && HAS_32_REGISTERS) product_tile(f, w, row, x, t, n_x, 8, k, out);             \
            else                                                                                             \
                for (uint32_t i = 0; i < n_x; i += 4)                                                        \
                    product_tile(f, w, row, x, t + i, MIN(n_x - i, 4u), 4, k, out + i * GROUP);              \
        }                                                                                                    \
    }
CPU_FORMS(PRODUCT)

KERNEL void product(uint32_t type, const uint8_t *group, const struct cpu_input *x, uint32_t t, uint32_t n_x, uint32_t k,
                    float *out)
{
#define CASE(type, ...) case GGUF_T_##type: product_##type(group, x, t, n_x, k, out); break;
    switch (type) { CPU_FORMS(CASE) default: break; }
}

/* --- float products ------------------------------------------------------------------------------------------------------- */

INLINE uint32_t bytes_of(uint32_t type) { return type == GGUF_T_F32 ? 4 : 2; }

/* *y = weights i .. i + LANES - 1 of a row of F32, F16 or BF16, which may lie at any address. */
INLINE void row_lanes(const uint32_t type, const uint8_t *row, uint32_t i, vf *y)
{
    if (type == GGUF_T_F16) halves(row + 2 * i, y);
    else if (type == GGUF_T_BF16) {
        vh h;
        memcpy(&h, row + 2 * i, sizeof h);
        *y = (vf)(__builtin_convertvector(h, vu) << 16);
    } else memcpy(y, row + 4 * i, sizeof *y);
}

KERNEL void convert(uint32_t type, const uint8_t *row, float *y, uint32_t k)
{
    uint32_t i = 0;
    if (type == GGUF_T_F16)
        for (; i + LANES <= k; i += LANES) row_lanes(GGUF_T_F16, row, i, (vf *)(y + i));
    if (type == GGUF_T_BF16)
        for (; i + LANES <= k; i += LANES) row_lanes(GGUF_T_BF16, row, i, (vf *)(y + i));
    quant_dequantize_row(type, row + (size_t)bytes_of(type) * i, y + i, k - i);
}

INLINE float sum_lanes(const vf *v)
{
    float a[LANES];
    memcpy(a, v, sizeof a);
    for (int n = LANES / 2; n >= 4; n /= 2)
        for (int i = 0; i < n; i++) a[i] += a[i + n];
    return (a[0] + a[2]) + (a[1] + a[3]);
}

INLINE void dot_tile(const uint32_t type, const uint8_t *const *rows, const float *x, const uint32_t n_x, uint32_t k, float *out)
{
    vf acc[2][CPU_ROWS] = {{{0}}};
    uint32_t i = 0;
    for (; i + LANES <= k; i += LANES) {
        vf w[CPU_ROWS];
        if (n_x == 1 && i % (64 / bytes_of(type)) == 0) /* the next rows, into L2: short streams side by side are not foreseen */
            for (int r = 0; r < CPU_ROWS; r++)
                __builtin_prefetch(rows[r] + (size_t)bytes_of(type) * (CPU_ROWS * (size_t)k + i), 0, 2);
        for (int r = 0; r < CPU_ROWS; r++) row_lanes(type, rows[r], i, &w[r]);
        for (uint32_t t = 0; t < n_x; t++) {
            const vf a = *(const vf *)(x + (uint64_t)t * k + i);
            for (int r = 0; r < CPU_ROWS; r++) acc[t][r] += a * w[r];
        }
    }
    for (uint32_t t = 0; t < n_x; t++)
        for (int r = 0; r < CPU_ROWS; r++) {
            float sum = sum_lanes(&acc[t][r]), w;
            for (uint32_t rest = i; rest < k; rest++) {
                quant_dequantize_row(type, rows[r] + (size_t)bytes_of(type) * rest, &w, 1);
                sum += x[(uint64_t)t * k + rest] * w;
            }
            out[t * CPU_ROWS + (uint32_t)r] = sum;
        }
}

KERNEL void dot(uint32_t type, const uint8_t *const *rows, const float *x, uint32_t n_x, uint32_t k, float *out)
{
    if (n_x == 2) dot_tile(GGUF_T_F32, rows, x, 2, k, out);
    else if (type == GGUF_T_F16) dot_tile(GGUF_T_F16, rows, x, 1, k, out);
    else if (type == GGUF_T_BF16) dot_tile(GGUF_T_BF16, rows, x, 1, k, out);
    else dot_tile(GGUF_T_F32, rows, x, 1, k, out);
}

/* --- norm, rotation, activation function ------------------------------------------------------------------------------- */

/* *x = e^x, to a few units of the last place; 0 below -87, e^88 above 88, NaN stays. 2^n * e^r with |r| <= ln 2 / 2. */
INLINE void exp_lanes(vf *x)
{
    const vf magic = (vf){0} + 0x1.8p23f;
    const vi small = *x < -87.0f, large = *x > 88.0f;
    const vf v = (vf)(((vi)*x & ~large) | ((vi)((vf){0} + 88.0f) & large));
    const vf shifted = v * 1.44269504f + magic, n = shifted - magic;
    const vf r = (v - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts */
    vf p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const vi power = ((vi)shifted - (vi)magic + 127) << 23;
    *x = (vf)((vi)(p * (vf)power) & ~small);
}

/* 1 / sqrt(mean(x^2) + eps) */
INLINE float inverse_rms(const float *x, uint32_t n, float eps)
{
    vf sum[4] = {{0}};
    uint32_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        UNROLL for (uint32_t j = 0; j < 4; j++)
        {
            const vf v = *(const vf *)(x + i + j * LANES);
            sum[j] += v * v;
        }
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    float total = sum_lanes(&sum[0]);
    for (; i < n; i++) total += x[i] * x[i];
    return 1.0f / sqrtf(total / (float)n + eps);
}

KERNEL void rms_norm(const float *x, const float *w, float eps, uint32_t n, float *y)
{
    const float r = inverse_rms(x, n, eps);
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES) *(vf *)(y + i) = *(const vf *)(x + i) * r * *(const vf *)(w + i);
    for (; i < n; i++) y[i] = x[i] * r * w[i];
}

KERNEL void norm_rope(const float *x, const float *w, float eps, uint32_t n, const float *turn, float *y)
{
    const uint32_t half = n / 2;
    const float r = w ? inverse_rms(x, n, eps) : 1.0f, *cosine = turn, *sine = turn + half;
    uint32_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        const vf one = (vf){0} + 1.0f;
        const vf a = *(const vf *)(x + i) * r * (w ? *(const vf *)(w + i) : one);
        const vf b = *(const vf *)(x + half + i) * r * (w ? *(const vf *)(w + half + i) : one);
        const vf c = *(const vf *)(cosine + i), s = *(const vf *)(sine + i);
        *(vf *)(y + i) = a * c - b * s;
        *(vf *)(y + half + i) = a * s + b * c;
    }
    for (; i < half; i++) {
        const float a = x[i] * r * (w ? w[i] : 1.0f), b = x[half + i] * r * (w ? w[half + i] : 1.0f);
        y[i] = a * cosine[i] - b * sine[i];
        y[half + i] = a * sine[i] + b * cosine[i];
    }
}

INLINE void to_halves(const float *x, uint32_t n, uint8_t *y)
{
    uint32_t i = 0;
#if defined(DOT_AVX512)
    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_si256((void *)(y + 2 * i), _mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
#elif defined(DOT_AVX2)
    for (; i + LANES <= n; i += LANES)
        _mm_storeu_si128((void *)(y + 2 * i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
#endif
    for (; i < n; i++) {
        const uint16_t h = f16_of_f32(x[i]);
        memcpy(y + 2 * i, &h, sizeof h);
    }
}

KERNEL void kv_write(enum pumice_kv type, uint8_t *head, uint64_t C, uint32_t E, uint64_t p, const float *x)
{
    if (type == PUMICE_KV_F16) {
        to_halves(x, E, head + 2 * p * E);
        return;
    }
    const uint64_t scale_bytes = kv_plane_bytes(type, E, 1);
    uint8_t *q = head + p * E, *scales = head + C * E + p * scale_bytes;
    memset(scales, 0, (size_t)scale_bytes);
    for (uint32_t b = 0; b < E / KV_BLOCK; b++, x += KV_BLOCK, q += KV_BLOCK) {
        const float max = largest(x);
        const bool finite = max <= 127.0f * 65504.0f;
        const uint16_t half = f16_of_f32(finite ? max / 127.0f : (float)NAN);
        const float d = f32_of_f16(half), inverse = d > 0 ? 1.0f / d : 0;
        vi wide[KV_BLOCK / LANES];
        memcpy(scales + 2 * b, &half, sizeof half);
        UNROLL for (int i = 0; i < KV_BLOCK / LANES; i++)
        {
            vf v = {0};
            if (finite) v = *(const vf *)(x + LANES * i) * inverse;
            const vi w = __builtin_convertvector((v + 0x1.8p23f) - 0x1.8p23f, vi), over = w > 127, under = w < -127;
            wide[i] = (w & ~over & ~under) | (over & 127) | (under & -127); /* where the scale is a subnormal half */
        }
        store_bytes(wide, (int8_t *)q);
    }
}

KERNEL void swiglu(const float *gate, const float *up, float *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += LANES) {
        const uint32_t m = MIN(n - i, (uint32_t)LANES);
        float rest[3][LANES] = {{0}};
        const bool whole = m == LANES;
        if (!whole) {
            memcpy(rest[0], gate + i, m * sizeof *gate);
            memcpy(rest[1], up + i, m * sizeof *up);
        }
        const vf a = *(const vf *)(whole ? gate + i : rest[0]);
        vf e = -a;
        exp_lanes(&e);
        *(vf *)(whole ? y + i : rest[2]) = a / (1.0f + e) * *(const vf *)(whole ? up + i : rest[1]);
        if (!whole) memcpy(y + i, rest[2], m * sizeof *y);
    }
}

/* --- attention --------------------------------------------------------------------------------------------------------- */

enum { POSITIONS = 16 }; /* whose scores are turned into weights together; a block starts at a multiple of it */

/* One block of positions as floats, and what the queries have gathered before it. Rows are padded with zeros to a whole
 * number of pairs of vectors. A query without a pair computes twice, the second time into the last row. */
struct attention_state {
    float k[POSITIONS][CPU_MAX_HEAD], v[POSITIONS][CPU_MAX_HEAD];
    float q[CPU_QUERIES + 1][CPU_MAX_HEAD], acc[CPU_QUERIES + 1][CPU_MAX_HEAD];
    float max[CPU_QUERIES + 1], sum[CPU_QUERIES + 1];
};

/* y[padded] = the n halves at h, then zeros. */
INLINE void half_row(const uint8_t *h, uint32_t n, uint32_t padded, float *y)
{
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES) halves(h + 2 * i, (vf *)(y + i));
    for (; i < n; i++) {
        uint16_t half;
        memcpy(&half, h + 2 * i, sizeof half);
        y[i] = f32_of_f16(half);
    }
    for (; i < padded; i++) y[i] = 0;
}

/* Scales of a position in Q8_0: whole words. */
INLINE uint32_t scales_of(uint32_t E) { return (E + 2 * KV_BLOCK - 1) / (2 * KV_BLOCK) * 2; }

/* scales[POSITIONS][scales_of(E)] of positions p .. of a head; some may be of positions that are not there. */
INLINE void load_scales(const struct cpu_attention *a, const uint8_t *head, uint64_t p, float *scales)
{
    const uint32_t n = scales_of(a->E);
    const uint8_t *row = head + a->C * a->E + 2 * p * n;
    for (uint32_t i = 0; i < POSITIONS * n; i += LANES) halves(row + 2 * i, (vf *)(scales + i));
}

/* y[POSITIONS][CPU_MAX_HEAD] = positions p .. p + n - 1 of a head, then zeros. */
INLINE void load_block(const struct cpu_attention *a, const uint8_t *head, uint64_t p, uint32_t n, uint32_t padded,
                       float (*y)[CPU_MAX_HEAD])
{
    const uint32_t E = a->E;
    const bool is_halves = a->type == PUMICE_KV_F16;
    const uint8_t *row = head + p * (is_halves ? 2ull * E : E);
    const uint32_t n_scales = scales_of(E);
    float scales[POSITIONS * CPU_MAX_HEAD / KV_BLOCK];
    if (!is_halves) load_scales(a, head, p, scales);
    for (uint32_t j = 0; j < n; j++, row += is_halves ? 2ull * E : E) {
        for (uint32_t i = 0; i < E; i += is_halves ? 32 : 64) /* the next block: short rows are not foreseen */
            __builtin_prefetch(row + POSITIONS * (is_halves ? 2ull * E : E) + (is_halves ? 2 * i : i), 0, 3);
        if (is_halves) {
            half_row(row, E, padded, y[j]);
            continue;
        }
        for (uint32_t b = 0; b < E / KV_BLOCK; b++)
            UNROLL for (uint32_t i = b * KV_BLOCK; i < (b + 1) * KV_BLOCK; i += LANES)
            {
                vf q;
                signed_bytes(row + i, &q);
                *(vf *)(y[j] + i) = q * scales[j * n_scales + b];
            }
    }
    for (uint32_t j = n; j < POSITIONS; j++) memset(y[j], 0, padded * sizeof(float));
}

#if defined(DOT_AVX2) || defined(DOT_AVX512)
/* *sums = v in eight lanes: where there are sixteen, the halves added */
INLINE void half_sum(const vf *v, __m256 *sums)
{
#if defined(DOT_AVX512)
    *sums = _mm256_add_ps(_mm512_castps512_ps256((__m512)*v), _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)*v, 1)));
#else
    *sums = (__m256)*v;
#endif
}
#endif

/* out[8] = the sums over the lanes of each of v[8] */
INLINE void sum_eight(const vf *v, float *out)
{
#if defined(DOT_AVX2) || defined(DOT_AVX512)
    __m256 h[8];
    UNROLL for (int i = 0; i < 8; i++) half_sum(&v[i], &h[i]);
    const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(h[0], h[1]), _mm256_hadd_ps(h[2], h[3]));
    const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(h[4], h[5]), _mm256_hadd_ps(h[6], h[7]));
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)));
#else
    for (int i = 0; i < 8; i++) out[i] = sum_lanes(&v[i]);
#endif
}

/* The rows of a block where they lie in the cache: halves, or bytes with their scales. at NULL: those of load_block. */
struct cached_rows {
    const uint8_t *at;
    const float *scales; /* NULL: halves */
};

/* Vector i / LANES of row p of a block. */
INLINE void block_vector(const float (*block)[CPU_MAX_HEAD], const struct cached_rows *rows, uint32_t E, uint32_t p, uint32_t i, vf *out)
{
    if (!rows->at) *out = *(const vf *)(block[p] + i);
    else if (!rows->scales) halves(rows->at + 2 * (p * E + i), out);
    else {
        signed_bytes(rows->at + p * E + i, out);
        *out *= rows->scales[p * scales_of(E) + i / KV_BLOCK];
    }
}

/* Asks for the `bytes` of the next block: short rows are not foreseen. */
INLINE void prefetch_rows(const uint8_t *next, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i += 64) __builtin_prefetch(next + i, 0, 3);
}

/* scores[2][POSITIONS] of queries a and b with the block's keys; rows as above. */
INLINE void block_scores(const struct attention_state *s, const struct cached_rows *rows, uint32_t a, uint32_t b, uint32_t padded, float *scores)
{
    for (uint32_t p = 0; p < POSITIONS; p += 4) {
        vf acc[8] = {{0}};
        float sums[8];
        for (uint32_t i = 0; i < padded; i += LANES) {
            const vf qa = *(const vf *)(s->q[a] + i), qb = *(const vf *)(s->q[b] + i);
            UNROLL for (uint32_t j = 0; j < 4; j++)
            {
                vf k;
                block_vector(s->k, rows, padded, p + j, i, &k);
                acc[j] += qa * k;
                acc[4 + j] += qb * k;
            }
        }
        sum_eight(acc, sums);
        memcpy(scores + p, sums, 4 * sizeof *sums);
        memcpy(scores + POSITIONS + p, sums + 4, 4 * sizeof *sums);
    }
}

/* Turns query i's first n scores into weights; what was gathered is scaled down when a larger score comes. */
INLINE void block_softmax(struct attention_state *s, uint32_t i, uint32_t n, uint32_t padded, float *scores)
{
    vf w[POSITIONS / LANES], most, sum = {0};
    float lanes[LANES], max = s->max[i];
    for (uint32_t p = n; p < POSITIONS; p++) scores[p] = -INFINITY;
    most = *(const vf *)scores;
    for (uint32_t j = LANES; j < POSITIONS; j += LANES) {
        const vf next = *(const vf *)(scores + j);
        const vi more = next > most;
        most = (vf)(((vi)next & more) | ((vi)most & ~more));
    }
    memcpy(lanes, &most, sizeof lanes);
    for (int m = LANES / 2; m; m /= 2)
        for (int j = 0; j < m; j++) lanes[j] = MAX(lanes[j], lanes[j + m]);
    max = MAX(max, lanes[0]);
    UNROLL for (uint32_t j = 0; j < POSITIONS / LANES; j++)
    {
        w[j] = *(const vf *)(scores + j * LANES) - max;
        exp_lanes(&w[j]);
        *(vf *)(scores + j * LANES) = w[j];
        sum += w[j];
    }
    if (max > s->max[i]) {
        vf shrink = (vf){0} + (s->max[i] - max);
        exp_lanes(&shrink);
        s->sum[i] *= shrink[0];
        for (uint32_t j = 0; j < padded; j += LANES) *(vf *)(s->acc[i] + j) *= shrink;
        s->max[i] = max;
    }
    s->sum[i] += sum_lanes(&sum);
}

/* acc of queries a and b += weights[2][POSITIONS] . the block's first n values, n_vectors from element i on. */
INLINE void value_vectors(struct attention_state *s, const struct cached_rows *rows, uint32_t E, uint32_t a, uint32_t b, uint32_t n, uint32_t i,
                          uint32_t n_vectors, const float *weights)
{
    vf sum_a[4], sum_b[4], v;
    UNROLL for (uint32_t j = 0; j < n_vectors; j++)
    {
        sum_a[j] = *(const vf *)(s->acc[a] + i + j * LANES);
        sum_b[j] = *(const vf *)(s->acc[b] + i + j * LANES);
    }
    for (uint32_t p = 0; p < n; p++)
        UNROLL for (uint32_t j = 0; j < n_vectors; j++)
        {
            block_vector(s->v, rows, E, p, i + j * LANES, &v);
            sum_a[j] += v * weights[p];
            sum_b[j] += v * weights[POSITIONS + p];
        }
    UNROLL for (uint32_t j = 0; j < n_vectors; j++)
    {
        *(vf *)(s->acc[a] + i + j * LANES) = sum_a[j];
        *(vf *)(s->acc[b] + i + j * LANES) = sum_b[j];
    }
}

/* All of them. Eight sums at a time, so that none waits for the one before it. */
INLINE void block_values(struct attention_state *s, const struct cached_rows *rows, uint32_t a, uint32_t b, uint32_t n, uint32_t padded,
                         const float *weights)
{
    uint32_t i = 0;
    for (; i + 4 * LANES <= padded; i += 4 * LANES) value_vectors(s, rows, padded, a, b, n, i, 4, weights);
    if (i < padded) value_vectors(s, rows, padded, a, b, n, i, 2, weights);
}

/* One block of the pair of queries 0 and `two`, whose rows are not worth storing as floats. is_halves: constant, so that each
 * kind of row is code of its own. */
INLINE void attention_direct(struct attention_state *s, const struct cpu_attention *a, bool is_halves, uint32_t two, uint64_t first,
                             uint32_t n)
{
    const uint32_t E = a->E, bytes = is_halves ? 2 * E : E;
    float scales[2][POSITIONS * CPU_MAX_HEAD / KV_BLOCK], scores[2 * POSITIONS];
    const struct cached_rows k = {a->k + first * bytes, is_halves ? NULL : scales[0]};
    const struct cached_rows v = {a->v + first * bytes, is_halves ? NULL : scales[1]};
    prefetch_rows(k.at + POSITIONS * bytes, n * bytes);
    prefetch_rows(v.at + POSITIONS * bytes, n * bytes);
    if (!is_halves) {
        load_scales(a, a->k, first, scales[0]);
        load_scales(a, a->v, first, scales[1]);
    }
    block_scores(s, &k, 0, two, E, scores);
    block_softmax(s, 0, n, E, scores);
    block_softmax(s, two, n, E, scores + POSITIONS);
    block_values(s, &v, 0, two, n, E, scores);
}

KERNEL void attention(const struct cpu_attention *a)
{
    const uint32_t E = a->E, padded = (E + 2 * LANES - 1) / (2 * LANES) * (2 * LANES), n_queries = a->n_tokens * a->n_heads;
    const uint64_t n_last = MIN(a->end, a->n + a->n_tokens - 1);
    struct attention_state s;
    float scores[2 * POSITIONS];
    for (uint32_t i = 0; i <= CPU_QUERIES; i++) {
        if (i >= n_queries && i < CPU_QUERIES) continue;
        const float *q = a->q + (i / a->n_heads) * a->token_stride + i % a->n_heads * E;
        for (uint32_t j = 0; j < padded; j++) s.q[i][j] = j < E && i < n_queries ? q[j] * a->scale : 0;
        memset(s.acc[i], 0, padded * sizeof(float));
        s.max[i] = -INFINITY;
        s.sum[i] = 0;
    }
    /* one pair of queries: what it reads is not worth storing as floats. The cache has whole blocks. */
    const bool direct = n_queries <= 2 && a->n_tokens == 1 && E == padded;
    const uint32_t second = n_queries == 2 ? 1 : CPU_QUERIES;
    const struct cached_rows stored = {NULL, NULL};
    for (uint64_t first = a->begin; first < n_last; first += POSITIONS) {
        const uint32_t n_rows = (uint32_t)MIN(n_last - first, (uint64_t)POSITIONS);
        if (direct) {
            if (a->type == PUMICE_KV_F16) attention_direct(&s, a, true, second, first, n_rows);
            else attention_direct(&s, a, false, second, first, n_rows);
            continue;
        }
        load_block(a, a->k, first, n_rows, padded, s.k);
        load_block(a, a->v, first, n_rows, padded, s.v);
        for (uint32_t t = 0; t < a->n_tokens; t++) {
            if (first >= a->n + t) continue;
            const uint32_t n = (uint32_t)MIN(a->n + t - first, (uint64_t)POSITIONS);
            for (uint32_t h = 0; h < a->n_heads; h += 2) {
                const uint32_t one = t * a->n_heads + h, two = h + 1 < a->n_heads ? one + 1 : CPU_QUERIES;
                block_scores(&s, &stored, one, two, padded, scores);
                block_softmax(&s, one, n, padded, scores);
                block_softmax(&s, two, n, padded, scores + POSITIONS);
                block_values(&s, &stored, one, two, n, padded, scores);
            }
        }
    }
    for (uint32_t i = 0; i < n_queries; i++) {
        float *part = a->parts + (size_t)i * CPU_PART(E);
        memcpy(part, s.acc[i], E * sizeof *part);
        part[E] = s.max[i];
        part[E + 1] = s.sum[i];
    }
}

KERNEL void attention_merge(float *part, const float *from, uint32_t E)
{
    if (from[E + 1] == 0) return;
    const float max = MAX(part[E], from[E]);
    vf own = (vf){0} + (part[E] - max), other = (vf){0} + (from[E] - max);
    uint32_t i = 0;
    exp_lanes(&own);
    exp_lanes(&other);
    for (; i + LANES <= E; i += LANES) *(vf *)(part + i) = *(vf *)(part + i) * own + *(const vf *)(from + i) * other;
    for (; i < E; i++) part[i] = part[i] * own[0] + from[i] * other[0];
    part[E] = max;
    part[E + 1] = part[E + 1] * own[0] + from[E + 1] * other[0];
}

/* --- the set --------------------------------------------------------------------------------------------------------------- */

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define JOIN_OF(a, b) a##b
#define JOIN(a, b)    JOIN_OF(a, b)

const struct cpu_kernels JOIN(cpu_kernels_, SET) = {.name = TEXT(SET), .group = GROUP, .round_input = round_input, .product = product,
                                                    .convert = convert, .dot = dot, .rms_norm = rms_norm, .norm_rope = norm_rope,
                                                    .kv_write = kv_write, .swiglu = swiglu, .attention = attention,
                                                    .attention_merge = attention_merge};
