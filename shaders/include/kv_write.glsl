// Writing a head's row to a cache (runtime/kv_layout.h says how it is laid out): kv_write(is_v, head, n) rounds row[E] in shared
// memory to position n of the head that begins at word `head`. Before: E, p.C, row, buffers k_cache and v_cache. All lanes
// of the workgroup call, after a barrier.
// Numerics: halves to the nearest; Q8_0: d = max|x| / 127 rounded to a half, q = x / d to the nearest.
#include "halves.glsl"

void kv_store(bool is_v, uint at, uint word)
{
    if (is_v) v_cache[at] = word;
    else k_cache[at] = word;
}

#ifdef KV_Q8_0
const uint KV_SCALE_WORDS = (E + 63u) / 64u;
const uint KV_ROW_WORDS = E / 4u + KV_SCALE_WORDS;

float kv_scale_of(uint b)
{
    float top = 0.0;
    for (uint i = 32u * b; i < 32u * b + 32u; i++) top = max(top, abs(row[i]));
    return top / 127.0;
}

void kv_write(bool is_v, uint head, uint n)
{
    const uint lane = gl_LocalInvocationIndex;
    for (uint i = lane; i < E / 4u; i += WG) {
        const float d = nearest_halves(vec2(kv_scale_of(i / 8u))).x;
        const vec4 x = vec4(row[4u * i], row[4u * i + 1u], row[4u * i + 2u], row[4u * i + 3u]);
        const ivec4 q = d > 0.0 ? ivec4(clamp(roundEven(x / d), -127.0, 127.0)) : ivec4(0);
        kv_store(is_v, head + n * (E / 4u) + i,
                 uint(q.x & 0xff) | uint(q.y & 0xff) << 8 | uint(q.z & 0xff) << 16 | uint(q.w) << 24);
    }
    for (uint w = lane; w < KV_SCALE_WORDS; w += WG)
        kv_store(is_v, head + p.C * (E / 4u) + n * KV_SCALE_WORDS + w,
                 packHalf2x16(nearest_halves(vec2(kv_scale_of(2u * w), 64u * w + 32u < E ? kv_scale_of(2u * w + 1u) : 0.0))));
}
#else
const uint KV_ROW_WORDS = E / 2u;

void kv_write(bool is_v, uint head, uint n)
{
    for (uint i = gl_LocalInvocationIndex; i < E / 2u; i += WG)
        kv_store(is_v, head + n * (E / 2u) + i, packHalf2x16(nearest_halves(vec2(row[2u * i], row[2u * i + 1u]))));
}
#endif
