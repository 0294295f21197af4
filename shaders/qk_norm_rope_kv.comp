// For each head of q [T, H, E] and k [T, G, E]: RMSNorm over E with its weight, then RoPE at position
// P + t; q is written back in place, k and v [T, G, E] go to position P + t of the caches,
// a window that begins with KV head g0 (kv_write.glsl).
// Called from op_qk_norm_rope_kv, between the projections and attention.
// Numerics: f32; angles in rope.glsl.
// Mapping: a workgroup a head, n_q of q, then n_g of k, then n_g of v; y of the grid = token. E <= 256.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_QK_NORM_ROPE_KV 1
#include "common.glsl"
#include "reduce.glsl"
#include "rope.glsl"

layout(constant_id = 1) const uint E = 128;
layout(constant_id = 2) const bool NEIGHBOURS = false; // pairs (2i, 2i + 1), else (i, i + E/2)

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
#include "kv_write.glsl"

void main()
{
    const uint head = gl_WorkGroupID.x, t = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
    const uint position = STEP_PAST(step_words) + t;
    const bool is_q = head < p.n_q, is_v = head >= p.n_q + p.n_g;
    const uint g = is_q ? 0u : p.g0 + head - p.n_q - (is_v ? p.n_g : 0u);
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
            const uint at0 = pair_first(i, E, NEIGHBOURS), at1 = pair_second(i, E, NEIGHBOURS);
            const float a = row[at0] * scale * (is_q ? q_norm[at0] : k_norm[at0]);
            const float b = row[at1] * scale * (is_q ? q_norm[at1] : k_norm[at1]);
            const vec2 cs = cos_sin_at(position, turn[i]);
            row[at0] = a * cs.x - b * cs.y;
            row[at1] = a * cs.y + b * cs.x;
        }
    }
    barrier();
    if (is_q) {
        for (uint i = lane; i < E; i += WG) q[at + i] = row[i];
        return;
    }
    kv_write(is_v, (g - p.g0) * p.C * KV_ROW_WORDS, position);
}
