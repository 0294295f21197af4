// Reading packed weights: block_load(base, b, w) gives weights 32b .. 32b+31 of a row as f32.
//
// A row is `row_words` 32-bit words in planes (see runtime/gpu/layout.h, which packs them): first the quants, then
// scales. Rows are interleaved in groups of ROWS, VEC words at a time, so that lanes that own neighbouring rows read
// side by side; ROWS = 1 is plain row-major. The weight type is chosen by one define W_<TYPE>. Sliced rows: slices.glsl.
layout(constant_id = 1) const uint ROWS = 1;
layout(constant_id = 2) const uint VEC = 4;

// WEIGHTS_TWO: a second matrix of the same shape; `matrix` (0, 1) says which one the loads read. Set it to constants only, so
// that the choice is made by the compiler.
#ifdef WEIGHTS_TWO
uint matrix = 0u;
#define SECOND (GATED && matrix != 0u)
#else
#define SECOND false
#endif

#ifdef WEIGHTS_BDA
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer words1 { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer words2 { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer words4 { uvec4 v[]; };
#define ADDRESS (SECOND ? uvec2(p.address2_lo, p.address2_hi) : uvec2(p.address_lo, p.address_hi))
#define W1(i) words1(ADDRESS).v[i]
#define W2(i) words2(ADDRESS).v[i]
#define W4(i) words4(ADDRESS).v[i]
#else
layout(set = 0, binding = 0, std430) readonly buffer weights1 { uint w1[]; };
layout(set = 0, binding = 0, std430) readonly buffer weights2 { uvec2 w2[]; };
layout(set = 0, binding = 0, std430) readonly buffer weights4 { uvec4 w4[]; };
#ifdef WEIGHTS_TWO
layout(set = 0, binding = 4, std430) readonly buffer seconds1 { uint second1[]; };
layout(set = 0, binding = 4, std430) readonly buffer seconds2 { uvec2 second2[]; };
layout(set = 0, binding = 4, std430) readonly buffer seconds4 { uvec4 second4[]; };
#define W1(i) (SECOND ? second1[i] : w1[i])
#define W2(i) (SECOND ? second2[i] : w2[i])
#define W4(i) (SECOND ? second4[i] : w4[i])
#else
#define W1(i) w1[i]
#define W2(i) w2[i]
#define W4(i) w4[i]
#endif
#endif

// The word index of a row's word 0.
uint row_base(uint row, uint row_words) { return row / ROWS * (ROWS * row_words) + row % ROWS * VEC; }

// Word w of a row.
uint word_load(uint base, uint w)
{
    return ROWS == 1u ? W1(base + w) : W1(base + w / VEC * (ROWS * VEC) + w % VEC);
}
// Words w..w+3, w a multiple of 4.
uvec4 words_load4(uint base, uint w)
{
    if (ROWS == 1u) return W4((base + w) / 4u);
    if (VEC == 4u) return W4(base / 4u + w / 4u * ROWS);
    if (VEC == 2u) return uvec4(W2(base / 2u + w / 2u * ROWS), W2(base / 2u + (w / 2u + 1u) * ROWS));
    return uvec4(word_load(base, w), word_load(base, w + 1u), word_load(base, w + 2u), word_load(base, w + 3u));
}
// Words w, w+1, w even.
uvec2 words_load2(uint base, uint w)
{
    if (ROWS == 1u) return W2((base + w) / 2u);
    if (VEC == 4u) return W2((base + w / 4u * (ROWS * 4u) + w % 4u) / 2u);
    if (VEC == 2u) return W2(base / 2u + w / 2u * ROWS);
    return uvec2(word_load(base, w), word_load(base, w + 1u));
}
// Half i of an array, from the word that holds it; of an array of halves that begins at word w.
float half_of(uint word, uint i)
{
    const vec2 both = unpackHalf2x16(word);
    return (i & 1u) == 0u ? both.x : both.y;
}
float half_load(uint base, uint w, uint i) { return half_of(word_load(base, w + i / 2u), i); }

vec4 bytes_of(uint q)
{
    return vec4(q & 0xffu, (q >> 8) & 0xffu, (q >> 16) & 0xffu, q >> 24);
}
vec4 signed_bytes_of(uint q)
{
    return vec4(int(q << 24) >> 24, int(q << 16) >> 24, int(q << 8) >> 24, int(q) >> 24);
}

#if defined(W_F32)
void block_load(uint base, uint b, uint k, out vec4 w[8])
{
    [[unroll]] for (uint i = 0u; i < 8u; i++) w[i] = uintBitsToFloat(words_load4(base, b * 32u + i * 4u));
}
#elif defined(W_F16)
void block_load(uint base, uint b, uint k, out vec4 w[8])
{
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uvec4 q = words_load4(base, b * 16u + i * 4u);
        w[2u * i] = vec4(unpackHalf2x16(q.x), unpackHalf2x16(q.y));
        w[2u * i + 1u] = vec4(unpackHalf2x16(q.z), unpackHalf2x16(q.w));
    }
}
#elif defined(W_BF16)
vec4 bf16x4(uvec2 q) { return uintBitsToFloat(uvec4(q.x << 16, q.x & 0xffff0000u, q.y << 16, q.y & 0xffff0000u)); }
void block_load(uint base, uint b, uint k, out vec4 w[8])
{
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uvec4 q = words_load4(base, b * 16u + i * 4u);
        w[2u * i] = bf16x4(q.xy);
        w[2u * i + 1u] = bf16x4(q.zw);
    }
}
#elif defined(W_Q8_0)
// planes: quants k/4 words; d halves
void block_load(uint base, uint b, uint k, out vec4 w[8])
{
    const float d = half_load(base, k / 4u, b);
    [[unroll]] for (uint i = 0u; i < 2u; i++) {
        const uvec4 q = words_load4(base, b * 8u + i * 4u);
        [[unroll]] for (uint j = 0u; j < 4u; j++) w[4u * i + j] = d * signed_bytes_of(q[j]);
    }
}
void block_ints(uint base, uint b, uint k, out ivec4 q[2], out vec2 s, out vec2 m)
{
    s = vec2(half_load(base, k / 4u, b));
    m = vec2(0.0);
    [[unroll]] for (uint i = 0u; i < 2u; i++) q[i] = ivec4(words_load4(base, b * 8u + i * 4u));
}
#else
// 4-bit types: word i of a block holds weights 8i..8i+3 in the low nibbles of its bytes, 8i+4..8i+7 in the high ones.
// High bits: Q5_K one word a block, bit j of byte c = bit 4 of weight 4j + c; Q6_K two words, bits 2j.. of byte c of
// word h = bits 4, 5 of weight 16h + 4j + c.
// Q2_K, Q3_K: no low nibbles but two bits a weight, placed as Q6_K's high bits; Q3_K's third bit as Q5_K's.
// w = s * q - m, with s and m for each half of the block (IQ4: w = s * iq4[q]).
#if defined(W_IQ4_NL) || defined(W_IQ4_XS)
const float iq4[16] = float[16](-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0,
                                69.0, 89.0, 113.0);
#endif
#if defined(W_Q4_K) || defined(W_Q5_K)
#define SUPER 8u // blocks that share a head: a loop over them loads it once
#endif
// The words that scales_of needs of block b; SUPER: the same for all blocks of a super-block.
uvec4 head_of(uint base, uint b, uint k)
{
    uvec4 head = uvec4(0u);
#if defined(W_Q4_0) || defined(W_IQ4_NL)
    // planes: quants k/8 words; d halves
    head.x = word_load(base, k / 8u + b / 2u);
#elif defined(W_Q5_0)
    // planes: quants k/8 words; high bits k/32 words; d halves
    head.x = word_load(base, k / 8u + k / 32u + b / 2u);
#elif defined(W_Q4_1)
    // planes: quants k/8 words; a word a block: d and m
    head.x = word_load(base, k / 8u + b);
#elif defined(W_Q5_1)
    // planes: quants k/8 words; high bits k/32 words; a word a block: d and m
    head.x = word_load(base, k / 8u + k / 32u + b);
#elif defined(W_IQ4_XS)
    // planes: quants k/8 words; 2 words a super-block: d and the scales' high bits, their low nibbles
    head.xy = words_load2(base, k / 8u + b / 8u * 2u);
#elif defined(W_Q2_K)
    // planes: quants k/16 words; scale and minimum nibbles k/64 words; d and dmin a word a super-block
    head.xy = uvec2(word_load(base, k / 16u + b / 2u), word_load(base, k / 16u + k / 64u + b / 8u));
#elif defined(W_Q3_K)
    // planes: quants k/16 words; high bits k/32 words; 3 words of packed scales a super-block; d halves
    const uint plane = k / 16u + k / 32u, scales = plane + b / 8u * 3u;
    head.xyz = uvec3(word_load(base, scales + b % 4u / 2u), word_load(base, scales + 2u), word_load(base, plane + k / 256u * 3u + b / 16u));
#elif defined(W_Q4_K)
    // planes: quants k/8 words; 4 words a super-block: d and dmin, 12 bytes of scales
    head = words_load4(base, k / 8u + b / 8u * 4u);
#elif defined(W_Q5_K)
    // planes: quants k/8 words; high bits k/32 words; 4 words a super-block: d and dmin, 12 bytes of scales
    head = words_load4(base, k / 8u + k / 32u + b / 8u * 4u);
#elif defined(W_Q6_K)
    // planes: low nibbles k/8 words; high bits k/16 words; int8 scales k/64 words; d halves
    const uint plane = k / 8u + k / 16u;
    head.xy = uvec2(word_load(base, plane + b / 2u), word_load(base, plane + k / 64u + b / 16u));
#endif
    return head;
}
// w = s * q - m, for the halves of block b.
void scales_of(uvec4 head, uint b, out vec2 s, out vec2 m)
{
#if defined(W_Q4_0)
    s = vec2(half_of(head.x, b));
    m = 8.0 * s;
#elif defined(W_IQ4_NL)
    s = vec2(half_of(head.x, b));
    m = vec2(0.0);
#elif defined(W_Q5_0)
    s = vec2(half_of(head.x, b));
    m = 16.0 * s;
#elif defined(W_Q4_1) || defined(W_Q5_1)
    const vec2 d = unpackHalf2x16(head.x);
    s = vec2(d.x);
    m = vec2(-d.y);
#elif defined(W_IQ4_XS)
    const uint low = (head.y >> (4u * (b % 8u))) & 15u, high = (head.x >> (16u + 2u * (b % 8u))) & 3u;
    s = vec2(unpackHalf2x16(head.x).x * float(int(low | high << 4) - 32));
    m = vec2(0.0);
#elif defined(W_Q2_K)
    const uint both = head.x >> (16u * (b & 1u));
    const vec2 d = unpackHalf2x16(head.y);
    s = d.x * vec2(both & 15u, (both >> 8) & 15u);
    m = d.y * vec2((both >> 4) & 15u, (both >> 12) & 15u);
#elif defined(W_Q3_K)
    const uint i = 2u * (b % 8u); // scales i and i + 1 of 16
    const uint low = head.x >> (8u * (i & 3u) + 4u * (i / 8u)), high = head.y >> (8u * (i & 3u) + 2u * (i / 4u));
    s = half_of(head.z, b / 8u) * vec2(int((low & 15u) | (high & 3u) << 4) - 32, int(((low >> 8) & 15u) | ((high >> 8) & 3u) << 4) - 32);
    m = 4.0 * s;
#elif defined(W_Q4_K) || defined(W_Q5_K)
    const vec2 d = unpackHalf2x16(head.x);
    const uint j = b % 8u, shift = 8u * (j & 3u);
    uint scale, low;
    if (j < 4u) {
        scale = (head.y >> shift) & 63u;
        low = (head.z >> shift) & 63u;
    } else {
        const uint both = head.w >> shift;
        scale = (both & 15u) | ((head.y >> (shift + 6u)) & 3u) << 4;
        low = ((both >> 4) & 15u) | ((head.z >> (shift + 6u)) & 3u) << 4;
    }
    s = vec2(d.x * float(scale));
    m = vec2(d.y * float(low));
#elif defined(W_Q6_K)
    const uint both = head.x >> (16u * (b & 1u));
    s = half_of(head.y, b / 8u) * vec2(int(both << 24) >> 24, int(both << 16) >> 24);
    m = 32.0 * s;
#endif
}
// The words of a block's quants and of their high bits, loaded; block_bits takes them apart.
#define QUANTS 1
struct block_words {
    uvec4 q;
    uvec2 high;
};
block_words words_of_block(uint base, uint b, uint k)
{
    block_words words = block_words(uvec4(0u), uvec2(0u));
#if defined(W_Q2_K) || defined(W_Q3_K)
    words.q.xy = words_load2(base, b * 2u);
#else
    words.q = words_load4(base, b * 4u);
#endif
#if defined(W_Q5_K) || defined(W_Q5_0) || defined(W_Q5_1)
    words.high.x = word_load(base, k / 8u + b);
#elif defined(W_Q3_K)
    words.high.x = word_load(base, k / 16u + b);
#elif defined(W_Q6_K)
    words.high = words_load2(base, k / 8u + b * 2u);
#endif
    return words;
}
// What is stored of weights 4g .. 4g + 3, a byte each.
uint block_bits(block_words words, uint g)
{
#if defined(W_Q2_K) || defined(W_Q3_K)
    uint q = (words.q[g / 4u] >> (2u * (g & 3u))) & 0x03030303u;
#else
    uint q = (words.q[g / 2u] >> (4u * (g & 1u))) & 0x0f0f0f0fu;
#endif
#if defined(W_Q3_K)
    q |= ((words.high.x >> g) & 0x01010101u) << 2;
#elif defined(W_Q5_K) || defined(W_Q5_0) || defined(W_Q5_1)
    q |= ((words.high.x >> g) & 0x01010101u) << 4;
#elif defined(W_Q6_K)
    q |= ((words.high[g / 4u] >> (2u * (g & 3u))) & 0x03030303u) << 4;
#endif
    return q;
}
// q of weights 4g .. 4g + 3.
vec4 block_quants(block_words words, uint g)
{
    const uint q = block_bits(words, g);
#if defined(W_IQ4_NL) || defined(W_IQ4_XS)
    return vec4(iq4[q & 15u], iq4[(q >> 8) & 15u], iq4[(q >> 16) & 15u], iq4[q >> 24]);
#else
    return bytes_of(q);
#endif
}
void block_load(uint base, uint b, uint k, out vec4 w[8])
{
    vec2 s, m;
    scales_of(head_of(base, b, k), b, s, m);
    const block_words words = words_of_block(base, b, k);
    [[unroll]] for (uint g = 0u; g < 8u; g++) w[g] = s[g / 4u] * block_quants(words, g) - m[g / 4u];
}
// The block as integers for packed dot products: weight 4g + c = s[g / 4] * (signed byte c of q[g / 4][g % 4]) - m[g / 4].
void block_ints(uint base, uint b, uint k, out ivec4 q[2], out vec2 s, out vec2 m)
{
    scales_of(head_of(base, b, k), b, s, m);
    const block_words words = words_of_block(base, b, k);
    [[unroll]] for (uint g = 0u; g < 8u; g++) {
        const uint bits = block_bits(words, g);
#if defined(W_IQ4_NL) || defined(W_IQ4_XS)
        const ivec4 t = ivec4(iq4[bits & 15u], iq4[(bits >> 8) & 15u], iq4[(bits >> 16) & 15u], iq4[bits >> 24]);
        q[g / 4u][g % 4u] = (t.x & 255) | (t.y & 255) << 8 | (t.z & 255) << 16 | t.w << 24;
#else
        q[g / 4u][g % 4u] = int(bits);
#endif
    }
}
#endif
