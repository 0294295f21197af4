// Reading a layer's caches (runtime/kv_layout.h says how they are laid out). Before: E, and p.C positions a head.
// KV_READERS(k, 1) binds a cache at binding 1 and makes k_quad, k_piece and k_scale. `head` is the word where a head begins;
// values are those of the cache divided by the block's scale, which for halves is 1.
#ifdef KV_Q8_0
const uint KV_SCALE_WORDS = (E + 63u) / 64u;
const uint KV_ROW_WORDS = E / 4u + KV_SCALE_WORDS;

vec4 kv_bytes_of(uint q) { return vec4(int(q << 24) >> 24, int(q << 16) >> 24, int(q << 8) >> 24, int(q) >> 24); }

// c_quad: elements 4i .. 4i + 3 of position n. c_piece: 8i .. 8i + 7; c_packed: as they lie there. c_scale: of elements
// 32b .. 32b + 31.
#define KV_PACKED uvec2
#define KV_READERS(c, at)                                                                                      \
    layout(set = 0, binding = at, std430) readonly buffer c##_words1 { uint c##1[]; };                         \
    layout(set = 0, binding = at, std430) readonly buffer c##_words2 { uvec2 c##2[]; };                        \
    vec4 c##_quad(uint head, uint n, uint i) { return kv_bytes_of(c##1[head + n * (E / 4u) + i]); }            \
    uvec2 c##_packed(uint head, uint n, uint i) { return c##2[head / 2u + n * (E / 8u) + i]; }                 \
    void c##_piece(uint head, uint n, uint i, out vec4 x[2])                                                   \
    {                                                                                                          \
        const uvec2 q = c##_packed(head, n, i);                                                                \
        x[0] = kv_bytes_of(q.x);                                                                               \
        x[1] = kv_bytes_of(q.y);                                                                               \
    }                                                                                                          \
    float c##_scale(uint head, uint n, uint b)                                                                 \
    {                                                                                                          \
        const vec2 d = unpackHalf2x16(c##1[head + p.C * (E / 4u) + n * KV_SCALE_WORDS + b / 2u]);              \
        return (b & 1u) == 0u ? d.x : d.y;                                                                     \
    }
#else
const uint KV_ROW_WORDS = E / 2u;
#define KV_PACKED uvec4

vec4 kv_halves_of(uvec2 h) { return vec4(unpackHalf2x16(h.x), unpackHalf2x16(h.y)); }

#define KV_READERS(c, at)                                                                                      \
    layout(set = 0, binding = at, std430) readonly buffer c##_words2 { uvec2 c##2[]; };                        \
    layout(set = 0, binding = at, std430) readonly buffer c##_words4 { uvec4 c##4[]; };                        \
    vec4 c##_quad(uint head, uint n, uint i) { return kv_halves_of(c##2[head / 2u + n * (E / 4u) + i]); }      \
    uvec4 c##_packed(uint head, uint n, uint i) { return c##4[head / 4u + n * (E / 8u) + i]; }                 \
    void c##_piece(uint head, uint n, uint i, out vec4 x[2])                                                   \
    {                                                                                                          \
        const uvec4 h = c##_packed(head, n, i);                                                                \
        x[0] = kv_halves_of(h.xy);                                                                             \
        x[1] = kv_halves_of(h.zw);                                                                             \
    }                                                                                                          \
    float c##_scale(uint head, uint n, uint b) { return 1.0; }
#endif
