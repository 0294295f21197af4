/* pack: quantised rows in the form that the kernels multiply: rows side by side, so that a lane owns a row
 * and no sum crosses lanes. Lossless: only the order of the bits changes.
 *
 * A group of R rows (cpu_kernels.group) is a run of super-blocks of 32 * blocks weights a row:
 *   d [R] halves; m [R] halves if the type has a minimum; then for each block of 32 weights:
 *   scales [groups][R] signed bytes and, with a minimum, mins [groups][R] bytes, if blocks is 8;
 *   the quants: with Q[j][r] the word of weights 4j .. 4j+3 of row r, a byte each (j < 8, r < R), planes of words:
 *     8 bits: Q[j][r]
 *     4, 5, 6: the low four bits: P[i][r] = Q[2i][r] | Q[2i+1][r] << 4, i < 4
 *     2, 3 (low), 6 (high two): P[i][r] = sum over c < 4 of Q[4i+c][r] << 2c, i < 2
 *     3, 5 (highest): P[r] = sum over j < 8 of Q[j][r] << j */
#include "cpu.h"
#include "kernels.h"
#include "quant.h"

#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3") /* loading a model is mostly this */
#endif

#define FORM(type, ...) [GGUF_T_##type] = {__VA_ARGS__},
static const struct cpu_form forms[] = {CPU_FORMS(FORM)};

const struct cpu_form *cpu_form_find(uint32_t type) { return type < COUNT_OF(forms) && forms[type].bits ? &forms[type] : NULL; }

static uint64_t super_bytes(const struct cpu_form *f, uint32_t group)
{
    const uint64_t floats = f->min ? 2 : 1, small = f->blocks > 1 ? floats * f->groups : 0;
    return group * (2 * floats + f->blocks * (small + CPU_BLOCK / 8 * f->bits));
}

uint64_t cpu_packed_group_bytes(uint32_t type, uint32_t group, uint32_t k)
{
    return k / (CPU_BLOCK * forms[type].blocks) * super_bytes(&forms[type], group);
}

/* A block or super-block of one row as integers. */
struct ints {
    uint16_t d, m;
    int8_t scales[16];
    uint8_t mins[16];
    uint8_t q[QUANT_K];
};

/* Nibbles of 32 weights, and the fifth bits in `high`. */
static void nibbles_32(const uint8_t *qs, uint32_t high, uint8_t *q)
{
    for (int i = 0; i < 16; i++) {
        q[i] = (uint8_t)((qs[i] & 15) | (high >> i & 1) << 4);
        q[i + 16] = (uint8_t)(qs[i] >> 4 | (high >> (i + 16) & 1) << 4);
    }
}

static void ints_q45_K(const uint8_t *scales, const uint8_t *qs, const uint8_t *qh, struct ints *o)
{
    for (int j = 0; j < 8; j++) {
        uint8_t scale;
        quant_scale_min_k4(j, scales, &scale, &o->mins[j]);
        o->scales[j] = (int8_t)scale;
        for (int i = 0; i < 32; i++)
            o->q[32 * j + i] = (uint8_t)((qs[j / 2 * 32 + i] >> j % 2 * 4 & 15) | (qh ? (qh[i] >> j & 1) << 4 : 0));
    }
    o->m ^= 0x8000; /* these types subtract their minimum */
}

static void ints_q6_K(const struct block_q6_K *b, struct ints *o)
{
    o->d = b->d;
    memcpy(o->scales, b->scales, sizeof o->scales);
    for (int w = 0; w < QUANT_K; w += 32)
        for (int i = 0; i < 32; i++) {
            const int half = w / 128, quarter = w / 32 % 4;
            const int low = b->ql[half * 64 + quarter % 2 * 32 + i] >> quarter / 2 * 4 & 15;
            o->q[w + i] = (uint8_t)(low | (b->qh[half * 32 + i] >> 2 * quarter & 3) << 4);
        }
}

static void ints_q2_K(const struct block_q2_K *b, struct ints *o)
{
    o->d = b->d;
    o->m = b->dmin ^ 0x8000;
    for (int s = 0; s < 16; s++) {
        o->scales[s] = (int8_t)(b->scales[s] & 15);
        o->mins[s] = b->scales[s] >> 4;
    }
    for (int w = 0; w < QUANT_K; w++) o->q[w] = b->qs[w / 128 * 32 + w % 32] >> w / 32 % 4 * 2 & 3;
}

static void ints_q3_K(const struct block_q3_K *b, struct ints *o)
{
    o->d = b->d;
    for (int s = 0; s < 16; s++) o->scales[s] = (int8_t)(quant_scale_q3(s, b->scales) - 32);
    for (int w = 0; w < QUANT_K; w++)
        o->q[w] = (uint8_t)((b->qs[w / 128 * 32 + w % 32] >> w / 32 % 4 * 2 & 3) | (b->hmask[w % 32] >> w / 32 & 1) << 2);
}

static void ints_iq4_xs(const struct block_iq4_xs *b, struct ints *o)
{
    o->d = b->d;
    for (int s = 0; s < 8; s++) {
        o->scales[s] = (int8_t)(quant_scale_iq4_xs(s, b) - 32);
        nibbles_32(b->qs + 16 * s, 0, o->q + 32 * s);
    }
}

union block {
    struct block_q8_0 q8_0;
    struct block_q4_0 q4_0;
    struct block_q4_1 q4_1;
    struct block_q5_0 q5_0;
    struct block_q5_1 q5_1;
    struct block_iq4_nl iq4_nl;
    struct block_q2_K q2_K;
    struct block_q3_K q3_K;
    struct block_q4_K q4_K;
    struct block_q5_K q5_K;
    struct block_q6_K q6_K;
    struct block_iq4_xs iq4_xs;
};

static void ints_of(uint32_t type, const uint8_t *bytes, uint64_t block_bytes, struct ints *o)
{
    union block b;
    memcpy(&b, bytes, (size_t)block_bytes); /* a row may lie at any address */
    switch (type) {
    case GGUF_T_Q8_0: o->d = b.q8_0.d, memcpy(o->q, b.q8_0.qs, 32); break;
    case GGUF_T_Q4_0: o->d = b.q4_0.d, nibbles_32(b.q4_0.qs, 0, o->q); break;
    case GGUF_T_Q4_1: o->d = b.q4_1.d, o->m = b.q4_1.m, nibbles_32(b.q4_1.qs, 0, o->q); break;
    case GGUF_T_Q5_0: o->d = b.q5_0.d, nibbles_32(b.q5_0.qs, u32_of_le(b.q5_0.qh), o->q); break;
    case GGUF_T_Q5_1: o->d = b.q5_1.d, o->m = b.q5_1.m, nibbles_32(b.q5_1.qs, u32_of_le(b.q5_1.qh), o->q); break;
    case GGUF_T_IQ4_NL: o->d = b.iq4_nl.d, nibbles_32(b.iq4_nl.qs, 0, o->q); break;
    case GGUF_T_Q2_K: ints_q2_K(&b.q2_K, o); break;
    case GGUF_T_Q3_K: ints_q3_K(&b.q3_K, o); break;
    case GGUF_T_Q4_K: o->d = b.q4_K.d, o->m = b.q4_K.dmin, ints_q45_K(b.q4_K.scales, b.q4_K.qs, NULL, o); break;
    case GGUF_T_Q5_K: o->d = b.q5_K.d, o->m = b.q5_K.dmin, ints_q45_K(b.q5_K.scales, b.q5_K.qs, b.q5_K.qh, o); break;
    case GGUF_T_Q6_K: ints_q6_K(&b.q6_K, o); break;
    case GGUF_T_IQ4_XS: ints_iq4_xs(&b.iq4_xs, o); break;
    default: break;
    }
}

static uint8_t *put_planes(uint32_t (*plane)[CPU_MAX_GROUP], int n, uint32_t group, uint8_t *out)
{
    for (int i = 0; i < n; i++, out += 4 * group) memcpy(out, plane[i], 4 * group);
    return out;
}

/* Writes the planes of one block of 32 weights of `group` rows; q[r] are row r's. Returns the byte after. */
static uint8_t *put_quants(const struct cpu_form *f, uint32_t group, const uint8_t *const *q, uint8_t *out)
{
    uint32_t Q[8][CPU_MAX_GROUP], plane[8][CPU_MAX_GROUP];
    const int n4 = f->bits == 8 ? 8 : f->bits >= 4 ? 4 : 0, n2 = f->bits == 6 || f->bits < 4 ? 2 : 0, n1 = f->bits % 2;
    const int shift2 = f->bits == 6 ? 4 : 0, shift1 = f->bits - 1;
    for (int j = 0; j < 8; j++)
        for (uint32_t r = 0; r < group; r++) memcpy(&Q[j][r], q[r] + 4 * j, 4);
    if (n4 == 4)
        for (int j = 0; j < 4; j++)
            for (uint32_t r = 0; r < group; r++)
                plane[j][r] = (Q[2 * j][r] & 0x0f0f0f0fu) | (Q[2 * j + 1][r] & 0x0f0f0f0fu) << 4;
    out = put_planes(n4 == 8 ? Q : plane, n4, group, out);
    memset(plane, 0, sizeof plane);
    for (int j = 0; j < 4 * n2; j++)
        for (uint32_t r = 0; r < group; r++) plane[j / 4][r] |= (Q[j][r] >> shift2 & 0x03030303u) << j % 4 * 2;
    out = put_planes(plane, n2, group, out);
    memset(plane, 0, sizeof *plane);
    for (int j = 0; j < 8 * n1; j++)
        for (uint32_t r = 0; r < group; r++) plane[0][r] |= (Q[j][r] >> shift1 & 0x01010101u) << j;
    return put_planes(plane, n1, group, out);
}

void cpu_pack_group(uint32_t type, uint32_t group, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows, uint32_t k, uint8_t *out)
{
    const struct cpu_form *f = &forms[type];
    const struct gguf_type_traits *t = gguf_type(type);
    struct ints row[CPU_MAX_GROUP];
    memset(row, 0, sizeof row); /* rows past the last are zeros */
    for (uint32_t s = 0; s < k / t->block_n; s++) {
        for (uint32_t r = 0; r < n_rows; r++) ints_of(type, rows + r * row_bytes + s * t->block_bytes, t->block_bytes, &row[r]);
        for (uint32_t r = 0; r < group; r++, out += 2) memcpy(out, &row[r].d, 2);
        for (uint32_t r = 0; f->min && r < group; r++, out += 2) memcpy(out, &row[r].m, 2);
        for (uint32_t b = 0; b < f->blocks; b++) {
            const uint8_t *q[CPU_MAX_GROUP];
            for (int i = 0; f->blocks > 1 && i < f->groups; i++)
                for (uint32_t r = 0; r < group; r++) *out++ = (uint8_t)row[r].scales[b * f->groups + (uint32_t)i];
            for (int i = 0; f->blocks > 1 && f->min && i < f->groups; i++)
                for (uint32_t r = 0; r < group; r++) *out++ = row[r].mins[b * f->groups + (uint32_t)i];
            for (uint32_t r = 0; r < group; r++) q[r] = row[r].q + CPU_BLOCK * b;
            out = put_quants(f, group, q, out);
        }
    }
}
