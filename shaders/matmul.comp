// y[t, n] (+)= sum_k x[t, k] * W[n, k] for many tokens (prefill on GPUs).
// W: packed rows of this part (weights.glsl); x, y f32 row-major. Called from op_matmul.
// Numerics: weights decoded to f32, f32 sums in the order of k.
// Mapping: a workgroup of 128 lanes computes a tile of 64 rows x 32 tokens, 4 x 4 a lane; 32 of K at a time go through
// shared memory (12.4 KiB): lanes 0..63 decode one row's block each, lanes 64..127 fetch the tokens'.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_MATMUL 1
#include "common.glsl"
#include "weights.glsl"

layout(constant_id = 6) const bool TAIL = false;

const uint BM = 64u, BN = 32u;

layout(set = 0, binding = 1, std430) readonly buffer xs { float x[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

shared float w_tile[32][BM + 1u];
shared float x_tile[32][BN + 1u];

void main()
{
    const uint lane = gl_LocalInvocationIndex;
    const uint row0 = (gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x) * BM, col0 = gl_WorkGroupID.z * BN;
    if (row0 >= p.rows) return;
    const uint k_padded = (p.k + 31u) & ~31u;
    const uint lane_row = lane % 16u, lane_col = lane / 16u; // rows lane_row + 16 i, tokens lane_col + 8 j

    float sums[4][4];
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        [[unroll]] for (uint j = 0u; j < 4u; j++) sums[i][j] = 0.0;

    for (uint b = 0u; b < k_padded / 32u; b++) {
        if (lane < BM) {
            vec4 w[8];
            block_load(row_base(min(row0 + lane, p.rows - 1u), p.row_words), b, k_padded, w);
            [[unroll]] for (uint i = 0u; i < 32u; i++) w_tile[i][lane] = w[i / 4u][i % 4u];
        } else {
            const uint k = lane % 32u, half_col = (lane - BM) / 32u;
            [[unroll]] for (uint j = 0u; j < 16u; j++) {
                const uint col = half_col * 16u + j;
                const uint at = p.x_at + min(col0 + col, p.T - 1u) * p.k + b * 32u + k;
                x_tile[k][col] = !TAIL || b * 32u + k < p.k ? x[at] : 0.0;
            }
        }
        barrier();
        [[unroll]] for (uint k = 0u; k < 32u; k++) {
            float wk[4], xk[4];
            [[unroll]] for (uint i = 0u; i < 4u; i++) wk[i] = w_tile[k][lane_row + 16u * i];
            [[unroll]] for (uint j = 0u; j < 4u; j++) xk[j] = x_tile[k][lane_col + 8u * j];
            [[unroll]] for (uint i = 0u; i < 4u; i++)
                [[unroll]] for (uint j = 0u; j < 4u; j++) sums[i][j] = fma(wk[i], xk[j], sums[i][j]);
        }
        barrier();
    }
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        [[unroll]] for (uint j = 0u; j < 4u; j++) {
            const uint row = row0 + lane_row + 16u * i, col = col0 + lane_col + 8u * j;
            if (row < p.rows && col < p.T) {
                const uint at = p.y_at + col * p.n + row;
                y[at] = p.add != 0u ? y[at] + sums[i][j] : sums[i][j];
            }
        }
}
