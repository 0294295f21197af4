// For each head of q [T, H, E] and k [T, G, E]: RMSNorm over E with its weight, then RoPE in NeoX order at position
// P + t; q is written back in place, k and v [T, G, E] go to the caches [C, G, E] as f16 at row P + t.
// Called from op_qk_norm_rope_kv, between the projections and attention.
// Numerics: the angle is kept as a fraction of a turn in 64-bit integers, so it is exact at any position; sine and cosine
// are polynomials of degree 7 and 8 on [-pi/4, pi/4] (error < 1e-7), since drivers only promise 2^-11.
// Mapping: a workgroup a head, heads 0..H-1 q, then G k, then G v; y of the grid = token. E <= 256.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_QK_NORM_ROPE_KV 1
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const uint E = 128;
layout(constant_id = 2) const bool NORM = true;

layout(set = 0, binding = 0, std430) buffer qs { float q[]; };
layout(set = 0, binding = 1, std430) readonly buffer ks { float k[]; };
layout(set = 0, binding = 2, std430) readonly buffer vs { float v[]; };
layout(set = 0, binding = 3, std430) readonly buffer q_norms { float q_norm[]; };
layout(set = 0, binding = 4, std430) readonly buffer k_norms { float k_norm[]; };
layout(set = 0, binding = 5, std430) buffer k_caches { uint k_cache[]; };
layout(set = 0, binding = 6, std430) buffer v_caches { uint v_cache[]; };
layout(set = 0, binding = 7, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 8, std430) readonly buffer turns { uvec2 turn[]; }; // [E/2] turns a position, 2^-64, hi lo

shared float row[E];

// Cosine and sine of phase * 2 pi / 2^32. Source: minimax polynomials as in Cephes' sinf and cosf.
vec2 cos_sin(uint phase)
{
    const uint quadrant = (phase + 0x20000000u) >> 30;
    const float a = float(int(phase - (quadrant << 30))) * 1.4629180792671596e-9; // 2 pi / 2^32
    const float a2 = a * a;
    const float s = a + a * a2 * (-1.6666654611e-1 + a2 * (8.3321608736e-3 - a2 * 1.9515295891e-4));
    const float c = 1.0 - 0.5 * a2 + a2 * a2 * (4.166664568298827e-2 + a2 * (-1.388731625493765e-3 + a2 * 2.443315711809948e-5));
    switch (quadrant & 3u) {
    case 0u: return vec2(c, s);
    case 1u: return vec2(-s, c);
    case 2u: return vec2(-c, -s);
    default: return vec2(s, -c);
    }
}

void main()
{
    const uint head = gl_WorkGroupID.x, t = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
    const uint position = STEP_PAST(step_words) + t;
    const bool is_q = head < p.H, is_v = head >= p.H + p.G;
    const uint g = is_q ? 0u : is_v ? head - p.H - p.G : head - p.H;
    const uint at = is_q ? (t * p.H + head) * E : (t * p.G + g) * E;

    float sum = 0.0;
    for (uint i = lane; i < E; i += WG) {
        const float a = is_q ? q[at + i] : is_v ? v[at + i] : k[at + i];
        row[i] = a;
        sum += a * a;
    }
    const float scale = 1.0 / sqrt(workgroup_sum(sum) / float(E) + p.eps);
    barrier();
    if (!is_v) {
        for (uint i = lane; i < E / 2u; i += WG) {
            float a = row[i], b = row[i + E / 2u];
            if (NORM) {
                a *= scale * (is_q ? q_norm[i] : k_norm[i]);
                b *= scale * (is_q ? q_norm[i + E / 2u] : k_norm[i + E / 2u]);
            }
            uint carry, low;
            umulExtended(position, turn[i].y, carry, low);
            const vec2 cs = cos_sin(position * turn[i].x + carry);
            row[i] = a * cs.x - b * cs.y;
            row[i + E / 2u] = a * cs.y + b * cs.x;
        }
    }
    barrier();
    const uint cache_at = (position * p.G + g) * (E / 2u);
    if (is_q) {
        for (uint i = lane; i < E; i += WG) q[at + i] = row[i];
    } else {
        for (uint i = lane; i < E / 2u; i += WG) {
            const uint halves = packHalf2x16(vec2(row[2u * i], row[2u * i + 1u]));
            if (is_v) v_cache[cache_at + i] = halves;
            else k_cache[cache_at + i] = halves;
        }
    }
}
