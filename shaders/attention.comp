// y[t, h, :] = softmax(scale * q[t, h, :] . K[0 .. P + t, g, :]) @ V[0 .. P + t, g, :],  g = h / (H / G).
// q, y f32 [T, H, E]; K, V: window of a layer's caches that begins with KV head g0 (kv.glsl). Called from op_attention.
// The plain kernel: any E that 4 divides; what software devices run, where barriers cost more than reading twice.
// Numerics: online softmax in f32 over tiles of WG positions; masked positions are never read.
// Mapping: a workgroup a head and token; in a tile a lane scores one position, then owns E/4 / WG quads of the output.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_ATTENTION 1
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const uint E = 128;
#include "kv.glsl"

layout(set = 0, binding = 0, std430) readonly buffer qs { float q[]; };
KV_READERS(k, 1)
KV_READERS(v, 2)
layout(set = 0, binding = 3, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 4, std430) buffer ys { float y[]; };

const uint QUADS = (E / 4u + WG - 1u) / WG;

shared vec4 query[E / 4u];
shared float weights[WG];

void main()
{
    const uint group = p.H / p.G, h = p.g0 * group + gl_WorkGroupID.x, t = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
    const uint head = gl_WorkGroupID.x / group * p.C * KV_ROW_WORDS;
    const uint n = STEP_PAST(step_words) + t + 1u;
    const uint at = (t * p.H + h) * E;
    for (uint i = lane; i < E / 4u; i += WG)
        query[i] = vec4(q[at + 4u * i], q[at + 4u * i + 1u], q[at + 4u * i + 2u], q[at + 4u * i + 3u]) * p.scale;
    barrier();

    float top = -1.0 / 0.0, sum = 0.0;
    vec4 out_quad[QUADS];
    [[unroll]] for (uint i = 0u; i < QUADS; i++) out_quad[i] = vec4(0.0);

    for (uint p0 = 0u; p0 < n; p0 += WG) {
        const uint n_tile = min(WG, n - p0);
        float score = -1.0 / 0.0;
        if (lane < n_tile) {
            score = 0.0;
            for (uint b = 0u; b < (E + 31u) / 32u; b++) {
                float part = 0.0;
                for (uint i = 8u * b; i < min(8u * b + 8u, E / 4u); i++) part += dot(query[i], k_quad(head, p0 + lane, i));
                score += part * k_scale(head, p0 + lane, b);
            }
        }
        const float tile_top = max(top, workgroup_max(score));
        const float weight = lane < n_tile ? exp(score - tile_top) : 0.0;
        const float shrink = exp(top - tile_top);
        weights[lane] = weight;
        sum = sum * shrink + workgroup_sum(weight);
        top = tile_top;
        barrier();
        [[unroll]] for (uint i = 0u; i < QUADS; i++) {
            const uint quad = lane + i * WG;
            vec4 total = out_quad[i] * shrink;
            if (quad < E / 4u)
                for (uint j = 0u; j < n_tile; j++)
                    total += weights[j] * v_scale(head, p0 + j, quad / 8u) * v_quad(head, p0 + j, quad);
            out_quad[i] = total;
        }
        barrier();
    }
    [[unroll]] for (uint i = 0u; i < QUADS; i++) {
        const uint quad = lane + i * WG;
        if (quad < E / 4u)
            [[unroll]] for (uint j = 0u; j < 4u; j++) y[at + 4u * quad + j] = out_quad[i][j] / sum;
    }
}
