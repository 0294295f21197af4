/* layout: see layout.h. */
#include "layout.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3") /* loading a model is mostly this */
#endif

bool layout_supports(uint32_t type) { return layout_suffix(type) != NULL; }

const char *layout_suffix(uint32_t type)
{
    switch (type) {
    case GGUF_T_F32: return "f32";
    case GGUF_T_F16: return "f16";
    case GGUF_T_BF16: return "bf16";
    case GGUF_T_Q4_0: return "q4_0";
    case GGUF_T_Q8_0: return "q8_0";
    case GGUF_T_Q4_K: return "q4_k";
    case GGUF_T_Q5_K: return "q5_k";
    case GGUF_T_Q6_K: return "q6_k";
    case GGUF_T_Q4_1: return "q4_1";
    case GGUF_T_Q5_0: return "q5_0";
    case GGUF_T_Q5_1: return "q5_1";
    case GGUF_T_IQ4_NL: return "iq4_nl";
    case GGUF_T_IQ4_XS: return "iq4_xs";
    case GGUF_T_Q2_K: return "q2_k";
    case GGUF_T_Q3_K: return "q3_k";
    default: return NULL;
    }
}

/* Words of a row of k weights that is not sliced. */
static uint64_t plain_words(uint32_t type, uint64_t k)
{
    const uint64_t padded = (k + 31) / 32 * 32, halves = (padded / 32 + 1) / 2, supers = padded / QUANT_K;
    uint64_t words = 0;
    switch (type) {
    case GGUF_T_F32: words = padded; break;
    case GGUF_T_F16:
    case GGUF_T_BF16: words = padded / 2; break;
    case GGUF_T_Q8_0: words = padded / 4 + halves; break;
    case GGUF_T_Q4_0:
    case GGUF_T_IQ4_NL: words = padded / 8 + halves; break;
    case GGUF_T_Q4_1: words = padded / 8 + padded / 32; break;
    case GGUF_T_Q5_0: words = padded / 8 + padded / 32 + halves; break;
    case GGUF_T_Q5_1: words = padded / 8 + padded / 32 * 2; break;
    case GGUF_T_IQ4_XS: words = padded / 8 + supers * 2; break;
    case GGUF_T_Q2_K: words = padded / 16 + supers * 5; break;
    case GGUF_T_Q3_K: words = padded / 16 + padded / 32 + supers * 3 + (supers + 1) / 2; break;
    case GGUF_T_Q4_K: words = padded / 8 + supers * 4; break;
    case GGUF_T_Q5_K: words = padded / 8 + padded / 32 + supers * 4; break;
    case GGUF_T_Q6_K: words = padded / 8 + padded / 16 + padded / 64 + (supers + 1) / 2; break;
    default: break;
    }
    return (words + 3) / 4 * 4;
}

/* How a type's quants are stored plainly, `low` bits of each in one plane and `high` bits in another; and, sliced, how many bits of
 * how many words each has, how many blocks a unit, how many words a row has at its head, and how many words of scales begin a block:
 * see slices.glsl. */
struct slicing {
    uint8_t low, high, field, words, unit, head, codes;
};

static const struct slicing *slicing_of(uint32_t type)
{
    static const struct slicing q2_k = {2, 0, 2, 2, 8, 2, 16}, q3_k = {2, 1, 4, 4, 8, 1, 16}, q4_0 = {4, 0, 4, 4, 1, 0, 16},
                                q4_1 = {4, 0, 4, 4, 1, 0, 32}, q4_k = {4, 0, 4, 4, 8, 2, 16}, q5_0 = {4, 1, 5, 6, 1, 0, 16},
                                q5_1 = {4, 1, 5, 6, 1, 0, 32}, q5_k = {4, 1, 5, 6, 8, 2, 16}, q6_k = {4, 2, 6, 7, 8, 1, 16},
                                q8_0 = {8, 0, 8, 8, 1, 0, 16};
    switch (type) {
    case GGUF_T_Q2_K: return &q2_k;
    case GGUF_T_Q3_K: return &q3_k;
    case GGUF_T_Q4_0: return &q4_0;
    case GGUF_T_Q4_1: return &q4_1;
    case GGUF_T_Q4_K: return &q4_k;
    case GGUF_T_Q5_0: return &q5_0;
    case GGUF_T_Q5_1: return &q5_1;
    case GGUF_T_Q5_K: return &q5_k;
    case GGUF_T_Q6_K: return &q6_k;
    case GGUF_T_Q8_0: return &q8_0;
    default: return NULL;
    }
}

bool layout_slices(uint32_t type) { return slicing_of(type) != NULL; }

static uint64_t units_of(const struct slicing *s, uint64_t k) { return (k / 32 + s->unit - 1) / s->unit; }

uint64_t layout_row_words(uint32_t type, struct layout layout, uint64_t k)
{
    const struct slicing *s = layout.sliced ? slicing_of(type) : NULL;
    if (!s) return plain_words(type, k);
    const uint64_t rows = LAYOUT_SLAB_ROWS, unit = rows * s->head + s->unit * (s->codes + rows * s->words); /* words */
    return (units_of(s, k) * unit + 4 * rows - 1) / (4 * rows) * 4;
}

uint64_t layout_scratch_words(uint32_t type, struct layout layout, uint64_t k)
{
    return plain_words(type, k) * (layout.sliced ? LAYOUT_SLAB_ROWS : 1);
}

/* 32 nibbles q[i] into 4 words: byte i of word w = weight 8w+i low, 8w+4+i high. */
static void put_nibbles(const uint8_t *q, uint32_t *words)
{
    for (int w = 0; w < 4; w++) {
        uint32_t word = 0;
        for (int i = 0; i < 4; i++)
            word |= (uint32_t)(q[8 * w + i] & 15) << (8 * i) | (uint32_t)(q[8 * w + 4 + i] & 15) << (8 * i + 4);
        words[w] = word;
    }
}

static void put_half(uint32_t *words, uint64_t i, uint16_t half) { words[i / 2] |= (uint32_t)half << (16 * (i & 1)); }

/* The 16 bytes of a 32-weight block: weights 0..15 low, 16..31 high. */
static void put_split_nibbles(const uint8_t *qs, uint32_t *words)
{
    uint8_t q[32];
    for (int i = 0; i < 16; i++) q[i] = qs[i] & 15, q[i + 16] = qs[i] >> 4;
    put_nibbles(q, words);
}

/* Bit i = weight i, to bit g of byte c = weight 4g + c. */
static uint32_t high_bits(uint32_t bits)
{
    uint32_t high = 0;
    for (int i = 0; i < 32; i++) high |= (bits >> i & 1u) << (8 * (i & 3) + i / 4);
    return high;
}

static void pack_q4_0(const struct block_q4_0 *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / 32; b++) {
        put_split_nibbles(row[b].qs, w + 4 * b);
        put_half(w + k / 8, b, row[b].d);
    }
}

static void pack_q4_1(const struct block_q4_1 *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / 32; b++) {
        put_split_nibbles(row[b].qs, w + 4 * b);
        w[k / 8 + b] = (uint32_t)row[b].d | (uint32_t)row[b].m << 16;
    }
}

static void pack_q5_0(const struct block_q5_0 *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / 32; b++) {
        put_split_nibbles(row[b].qs, w + 4 * b);
        w[k / 8 + b] = high_bits(u32_of_le(row[b].qh));
        put_half(w + k / 8 + k / 32, b, row[b].d);
    }
}

static void pack_q5_1(const struct block_q5_1 *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / 32; b++) {
        put_split_nibbles(row[b].qs, w + 4 * b);
        w[k / 8 + b] = high_bits(u32_of_le(row[b].qh));
        w[k / 8 + k / 32 + b] = (uint32_t)row[b].d | (uint32_t)row[b].m << 16;
    }
}

static void pack_iq4_xs(const struct block_iq4_xs *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / QUANT_K; b++) {
        for (int s = 0; s < 8; s++) put_split_nibbles(row[b].qs + 16 * s, w + 32 * b + 4 * s);
        w[k / 8 + 2 * b] = (uint32_t)row[b].d | (uint32_t)row[b].scales_h << 16;
        w[k / 8 + 2 * b + 1] = u32_of_le(row[b].scales_l);
    }
}

/* Two bits a weight, 64 bytes a super-block, into 16 words: byte c of word h of block s, bits 2j: weight 16h + 4j + c. */
static void put_pairs(const uint8_t *qs, uint32_t *w)
{
    for (int i = 0; i < QUANT_K; i++) {
        const uint32_t bits = (uint32_t)qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3u;
        w[i / 16] |= bits << (8 * (i & 3) + 2 * (i / 4 & 3));
    }
}

static void pack_q2_K(const struct block_q2_K *row, uint64_t k, uint32_t *w)
{
    uint32_t *head = w + k / 16;
    for (uint64_t b = 0; b < k / QUANT_K; b++) {
        put_pairs(row[b].qs, w + 16 * b);
        for (int i = 0; i < 4; i++) head[4 * b + (uint64_t)i] = u32_of_le(row[b].scales + 4 * i);
        head[k / QUANT_K * 4 + b] = (uint32_t)row[b].d | (uint32_t)row[b].dmin << 16;
    }
}

static void pack_q3_K(const struct block_q3_K *row, uint64_t k, uint32_t *w)
{
    uint32_t *high = w + k / 16, *scales = high + k / 32, *d = scales + k / QUANT_K * 3;
    for (uint64_t b = 0; b < k / QUANT_K; b++) {
        put_pairs(row[b].qs, w + 16 * b);
        for (int s = 0; s < 8; s++) {
            uint32_t bits = 0;
            for (int i = 0; i < 32; i++) bits |= (uint32_t)(row[b].hmask[i] >> s & 1) << i;
            high[8 * b + (uint64_t)s] = high_bits(bits);
        }
        for (int i = 0; i < 3; i++) scales[3 * b + (uint64_t)i] = u32_of_le(row[b].scales + 4 * i);
        put_half(d, b, row[b].d);
    }
}

static void pack_q8_0(const struct block_q8_0 *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / 32; b++) {
        for (int i = 0; i < 8; i++) w[8 * b + (uint64_t)i] = u32_of_le((const uint8_t *)row[b].qs + 4 * i);
        put_half(w + k / 4, b, row[b].d);
    }
}

/* Q4_K and Q5_K: sub-block s of a super-block has its nibbles in 32 bytes shared with its neighbour. */
static void put_k_nibbles(const uint8_t *qs, uint32_t *w)
{
    for (int s = 0; s < 8; s++) {
        uint8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = (uint8_t)(qs[32 * (s / 2) + i] >> (4 * (s & 1)) & 15);
        put_nibbles(q, w + 4 * s);
    }
}

static void put_k_head(uint16_t d, uint16_t dmin, const uint8_t *scales, uint32_t *w)
{
    w[0] = (uint32_t)d | (uint32_t)dmin << 16;
    for (int i = 0; i < 3; i++) w[1 + i] = u32_of_le(scales + 4 * i);
}

static void pack_q4_K(const struct block_q4_K *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / QUANT_K; b++) {
        put_k_nibbles(row[b].qs, w + 32 * b);
        put_k_head(row[b].d, row[b].dmin, row[b].scales, w + k / 8 + 4 * b);
    }
}

static void pack_q5_K(const struct block_q5_K *row, uint64_t k, uint32_t *w)
{
    for (uint64_t b = 0; b < k / QUANT_K; b++) {
        put_k_nibbles(row[b].qs, w + 32 * b);
        for (int s = 0; s < 8; s++) {
            uint32_t bits = 0;
            for (int i = 0; i < 32; i++) bits |= (uint32_t)(row[b].qh[i] >> s & 1) << i;
            w[k / 8 + 8 * b + (uint64_t)s] = high_bits(bits);
        }
        put_k_head(row[b].d, row[b].dmin, row[b].scales, w + k / 8 + k / 32 + 4 * b);
    }
}

static void pack_q6_K(const struct block_q6_K *row, uint64_t k, uint32_t *w)
{
    uint32_t *high_plane = w + k / 8, *scale_plane = high_plane + k / 16, *d_plane = scale_plane + k / 64;
    for (uint64_t b = 0; b < k / QUANT_K; b++) {
        for (int s = 0; s < 8; s++) { /* 32 weights: half s/4, quarter s%4 of the super-block */
            const uint8_t *ql = row[b].ql + 64 * (s / 4) + 32 * (s & 1), *qh = row[b].qh + 32 * (s / 4);
            uint8_t q[32];
            uint32_t high[2] = {0, 0};
            for (int i = 0; i < 32; i++) {
                q[i] = (uint8_t)((s & 2) ? ql[i] >> 4 : ql[i] & 15);
                const uint32_t bits = qh[i] >> (2 * (s & 3)) & 3u;
                high[i / 16] |= bits << (8 * (i & 3) + 2 * (i / 4 & 3));
            }
            const uint64_t block = 8 * b + (uint64_t)s;
            put_nibbles(q, w + 4 * block);
            memcpy(high_plane + 2 * block, high, sizeof high);
        }
        for (int i = 0; i < 4; i++) scale_plane[4 * b + (uint64_t)i] = u32_of_le((const uint8_t *)row[b].scales + 4 * i);
        put_half(d_plane, b, row[b].d);
    }
}

static void pack_row(uint32_t type, const void *row, uint64_t k, uint32_t *w)
{
    switch (type) {
    case GGUF_T_F32: memcpy(w, row, (size_t)k * 4); break;
    case GGUF_T_F16:
    case GGUF_T_BF16: memcpy(w, row, (size_t)k * 2); break;
    case GGUF_T_Q4_0:
    case GGUF_T_IQ4_NL: pack_q4_0(row, k, w); break; /* the same blocks, other values */
    case GGUF_T_Q4_1: pack_q4_1(row, k, w); break;
    case GGUF_T_Q5_0: pack_q5_0(row, k, w); break;
    case GGUF_T_Q5_1: pack_q5_1(row, k, w); break;
    case GGUF_T_IQ4_XS: pack_iq4_xs(row, k, w); break;
    case GGUF_T_Q2_K: pack_q2_K(row, k, w); break;
    case GGUF_T_Q3_K: pack_q3_K(row, k, w); break;
    case GGUF_T_Q8_0: pack_q8_0(row, k, w); break;
    case GGUF_T_Q4_K: pack_q4_K(row, k, w); break;
    case GGUF_T_Q5_K: pack_q5_K(row, k, w); break;
    case GGUF_T_Q6_K: pack_q6_K(row, k, w); break;
    default: break;
    }
}

/* The quants of block b of a plain row: as block_bits of weights.glsl, four at a time. */
static void quants_of(const struct slicing *s, const uint32_t *row, uint64_t k, uint64_t b, uint8_t q[32])
{
    const uint32_t *low = row + b * s->low, *high = row + k / 32 * s->low + b * s->high;
    uint32_t fours[8];
    for (uint32_t g = 0; g < 8; g++) {
        if (s->low == 8) fours[g] = low[g] ^ 0x80808080u; /* counted from -128 */
        else if (s->low == 4) fours[g] = low[g / 2] >> (4 * (g & 1)) & 0x0f0f0f0fu;
        else fours[g] = low[g / 4] >> (2 * (g & 3)) & 0x03030303u;
        if (s->high == 2) fours[g] |= (high[g / 4] >> (2 * (g & 3)) & 0x03030303u) << s->low;
        else if (s->high == 1) fours[g] |= (high[0] >> g & 0x01010101u) << s->low;
    }
    memcpy(q, fours, sizeof fours);
}

/* In which word of a weight's and from which bit on a row of a slab has its own, where fields fill words; else 0. */
struct place {
    uint32_t word, shift;
};

/* As slices.glsl has it. */
static struct place place_of(const struct slicing *s, uint32_t r)
{
    const uint32_t rows = 32u / s->field, ways = MAX(8 / rows, 1u), group = rows * ways; /* of a word; words in turn; rows of both */
    if (32 % s->field) return (struct place){0};
    return (struct place){.word = r / group * ways + r % ways, .shift = r % group / ways * s->field};
}

static uint32_t fields(const uint8_t *q, uint32_t n, uint32_t bits)
{
    uint32_t word = 0;
    for (uint32_t i = 0; i < n; i++) word |= (uint32_t)q[i] << (i * bits);
    return word;
}

/* Fields that do not fill words lie with others of their row: row r's of a block, from its quants. As slices.glsl has it. */
static void put_row_fields(const struct slicing *s, uint32_t r, const uint8_t q[32], uint32_t *words)
{
    enum { ROWS = LAYOUT_SLAB_ROWS };
    if (s->field == 5) {
        for (uint32_t w = 0; w < 5; w++) words[w * ROWS + r] = fields(q + 6 * w, 6, 5);
        words[5 * ROWS + r] = fields(q + 30, 2, 5);
        return;
    }
    for (uint32_t w = 0; w < 6; w++) words[w * ROWS + r] = fields(q + w / 3 * 16 + w % 3 * 5, 5, 6);
    words[6 * ROWS + r] = q[15] | (uint32_t)q[31] << 6;
}

/* Fields that fill words: of all rows of a block, from their quants q, zeros where a row is missing. */
static void put_fields(const struct slicing *s, const struct place *places, uint8_t (*q)[32], uint32_t *words)
{
    uint32_t gathered[8][32] = {{0}};
    for (uint32_t r = 0; r < LAYOUT_SLAB_ROWS; r++)
        for (uint32_t j = 0; j < 32; j++) gathered[places[r].word][j] |= (uint32_t)q[r][j] << places[r].shift;
    for (uint32_t j = 0; j < 32; j++)
        for (uint32_t w = 0; w < s->words; w++) words[j * s->words + w] = gathered[w][j] ^ 0x80000000u; /* why: slices.glsl */
}

static uint32_t f32_bits(uint16_t half, uint32_t shift)
{
    const float f = ldexpf(f32_of_f16(half), -(int)shift); /* exact: halves have few bits */
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* The words of unit u of a row in GGUF's blocks, whose quants stand at bit `shift`: a super-block's d and, where there is one, dmin. */
static void head_of(uint32_t type, const void *row, uint64_t u, uint32_t shift, uint32_t words[2])
{
    uint16_t d = 0, dmin = 0;
    switch (type) {
    case GGUF_T_Q2_K: d = ((const struct block_q2_K *)row)[u].d, dmin = ((const struct block_q2_K *)row)[u].dmin; break;
    case GGUF_T_Q3_K: d = ((const struct block_q3_K *)row)[u].d; break;
    case GGUF_T_Q4_K: d = ((const struct block_q4_K *)row)[u].d, dmin = ((const struct block_q4_K *)row)[u].dmin; break;
    case GGUF_T_Q5_K: d = ((const struct block_q5_K *)row)[u].d, dmin = ((const struct block_q5_K *)row)[u].dmin; break;
    case GGUF_T_Q6_K: d = ((const struct block_q6_K *)row)[u].d; break;
    default: break;
    }
    words[0] = f32_bits(d, shift);
    words[1] = f32_bits(dmin, 0);
}

/* The scales of block b of a row in GGUF's blocks: 16 bits, or a half and its minimum. */
static uint32_t code_of(uint32_t type, const void *row, uint64_t b)
{
    const int i = (int)(b % 8);
    const uint64_t u = b / 8;
    uint8_t bytes[4] = {0};
    switch (type) {
    case GGUF_T_Q2_K: memcpy(bytes, ((const struct block_q2_K *)row)[u].scales + 2 * i, 2); break;
    case GGUF_T_Q3_K:
        for (int h = 0; h < 2; h++) bytes[h] = (uint8_t)(quant_scale_q3(2 * i + h, ((const struct block_q3_K *)row)[u].scales) - 32);
        break;
    case GGUF_T_Q4_K: quant_scale_min_k4(i, ((const struct block_q4_K *)row)[u].scales, &bytes[0], &bytes[1]); break;
    case GGUF_T_Q5_K: quant_scale_min_k4(i, ((const struct block_q5_K *)row)[u].scales, &bytes[0], &bytes[1]); break;
    case GGUF_T_Q6_K: memcpy(bytes, ((const struct block_q6_K *)row)[u].scales + 2 * i, 2); break;
    case GGUF_T_Q4_1:
    case GGUF_T_Q5_1: memcpy(bytes, (const uint8_t *)row + b * quant_row_bytes(type, 32), 4); break; /* d and m begin a block */
    default: memcpy(bytes, (const uint8_t *)row + b * quant_row_bytes(type, 32), 2); break;          /* d does */
    }
    return u32_of_le(bytes);
}

/* A slab, sliced, of n <= 32 rows; the missing ones are zeros. */
static void pack_slab(uint32_t type, struct layout layout, const uint8_t *rows, uint64_t n, uint64_t k, uint32_t *slab,
                      uint32_t *scratch)
{
    enum { ROWS = LAYOUT_SLAB_ROWS, MAX_HEAD = 2 };
    const struct slicing *s = slicing_of(type);
    const uint64_t plain = plain_words(type, k), row_bytes = quant_row_bytes(type, k);
    const bool fills = 32 % s->field == 0;
    const uint32_t *end = slab + ROWS * layout_row_words(type, layout, k);
    struct place places[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) places[r] = place_of(s, r);
    memset(scratch, 0, (size_t)(ROWS * plain * 4));
    for (uint64_t r = 0; r < n; r++) pack_row(type, rows + r * row_bytes, k, scratch + r * plain);
    for (uint64_t u = 0; u < units_of(s, k); u++) {
        uint32_t head[ROWS][MAX_HEAD] = {{0}};
        for (uint32_t r = 0; r < n && s->head; r++) head_of(type, rows + r * row_bytes, u, places[r].shift, head[r]);
        for (uint32_t w = 0; w < s->head; w++)
            for (uint32_t r = 0; r < ROWS; r++) *slab++ = head[r][w];
        for (uint64_t b = u * s->unit; b < (u + 1) * s->unit; b++) {
            uint32_t codes[ROWS] = {0};
            uint8_t q[ROWS][32] = {{0}};
            for (uint32_t r = 0; r < n && b < k / 32; r++) {
                codes[r % s->codes] |= code_of(type, rows + r * row_bytes, b) << (r / s->codes * 16);
                quants_of(s, scratch + r * plain, k, b, q[r]);
            }
            memcpy(slab, codes, s->codes * sizeof *codes);
            slab += s->codes;
            if (fills) put_fields(s, places, q, slab);
            else
                for (uint32_t r = 0; r < ROWS; r++) put_row_fields(s, r, q[r], slab);
            slab += s->words * ROWS;
        }
    }
    while (slab < end) *slab++ = 0;
}

void layout_pack(uint32_t type, struct layout layout, const void *rows, uint64_t n, uint64_t k, uint32_t *dst,
                 uint32_t *scratch)
{
    const uint64_t words = layout_row_words(type, layout, k), row_bytes = quant_row_bytes(type, k);
    if (layout.sliced) {
        for (uint64_t r = 0; r < n; r += layout.rows)
            pack_slab(type, layout, (const uint8_t *)rows + r * row_bytes, MIN(n - r, layout.rows), k, dst + r * words, scratch);
        return;
    }
    const uint64_t n_padded = (n + layout.rows - 1) / layout.rows * layout.rows;
    for (uint64_t r = 0; r < n_padded; r++) {
        memset(scratch, 0, (size_t)words * 4);
        if (r < n) pack_row(type, (const uint8_t *)rows + r * row_bytes, k, scratch);
        if (layout.rows == 1) { /* dst may be memory that is slow to read and wants to be written in a row */
            memcpy(dst + r * words, scratch, (size_t)words * 4);
            continue;
        }
        uint32_t *group = dst + r / layout.rows * layout.rows * words + r % layout.rows * layout.vec;
        for (uint64_t w = 0; w < words; w += layout.vec)
            memcpy(group + w * layout.rows, scratch + w, layout.vec * 4);
    }
}
