// y[t, h, :] = softmax(scale * q[t, h, :] . K[0 .. P + t, g, :]) @ V[0 .. P + t, g, :],  g = h / (H / G).
// q, y f32 [T, H, E]; K, V f16 [C, G, E]. Called from op_attention after the cache was written.
// Numerics: online softmax in f32 over tiles of WG positions; masked positions are never read.
// Mapping: a workgroup a head and token; in a tile a lane scores one position, then owns E/2 / WG pairs of the output.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_ATTENTION 1
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const uint E = 128;

layout(set = 0, binding = 0, std430) readonly buffer qs { float q[]; };
layout(set = 0, binding = 1, std430) readonly buffer k_caches { uvec2 k_cache[]; };
layout(set = 0, binding = 2, std430) readonly buffer v_caches { uint v_cache[]; };
layout(set = 0, binding = 3, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 4, std430) buffer ys { float y[]; };

const uint PAIRS = (E / 2u + WG - 1u) / WG;

shared vec4 query[E / 4u];
shared float weights[WG];

void main()
{
    const uint h = gl_WorkGroupID.x, t = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
    const uint g = h / (p.H / p.G);
    const uint n = STEP_PAST(step_words) + t + 1u;
    const uint at = (t * p.H + h) * E;
    for (uint i = lane; i < E / 4u; i += WG)
        query[i] = vec4(q[at + 4u * i], q[at + 4u * i + 1u], q[at + 4u * i + 2u], q[at + 4u * i + 3u]) * p.scale;
    barrier();

    float top = -1.0 / 0.0, sum = 0.0;
    vec2 out_pair[PAIRS];
    [[unroll]] for (uint i = 0u; i < PAIRS; i++) out_pair[i] = vec2(0.0);

    for (uint p0 = 0u; p0 < n; p0 += WG) {
        const uint n_tile = min(WG, n - p0);
        float score = -1.0 / 0.0;
        if (lane < n_tile) {
            const uint k_at = ((p0 + lane) * p.G + g) * (E / 4u);
            score = 0.0;
            for (uint i = 0u; i < E / 4u; i++) {
                const uvec2 halves = k_cache[k_at + i];
                score += dot(query[i], vec4(unpackHalf2x16(halves.x), unpackHalf2x16(halves.y)));
            }
        }
        const float tile_top = max(top, workgroup_max(score));
        const float weight = lane < n_tile ? exp(score - tile_top) : 0.0;
        const float shrink = exp(top - tile_top);
        weights[lane] = weight;
        sum = sum * shrink + workgroup_sum(weight);
        top = tile_top;
        barrier();
        [[unroll]] for (uint i = 0u; i < PAIRS; i++) {
            const uint pair = lane + i * WG;
            vec2 total = out_pair[i] * shrink;
            if (pair < E / 2u)
                for (uint j = 0u; j < n_tile; j++)
                    total += weights[j] * unpackHalf2x16(v_cache[((p0 + j) * p.G + g) * (E / 2u) + pair]);
            out_pair[i] = total;
        }
        barrier();
    }
    [[unroll]] for (uint i = 0u; i < PAIRS; i++) {
        const uint pair = lane + i * WG;
        if (pair < E / 2u) {
            y[at + 2u * pair] = out_pair[i].x / sum;
            y[at + 2u * pair + 1u] = out_pair[i].y / sum;
        }
    }
}
