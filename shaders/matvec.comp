// y[t, n] (+)= sum_k x[t, k] * W[n, k], for COLS tokens at most; decode, and prefill on software drivers.
// W: packed rows of this part (weights.glsl); x, y f32 row-major. Called from op_matmul.
// Numerics: weights decoded to f32, f32 sums; the order depends only on the specialization constants.
// Mapping: LANE_ROWS: a lane owns a row, no barriers (CPU drivers). Else a workgroup owns NR rows and its lanes share K
// by blocks of 32, then reduce. The grid is groups_x wide; COLS tokens from column gl_WorkGroupID.z * COLS.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_MATMUL 1
#include "common.glsl"
#include "weights.glsl"
#include "reduce.glsl"

layout(constant_id = 3) const bool LANE_ROWS = false;
layout(constant_id = 4) const uint NR = 1;
layout(constant_id = 5) const uint COLS = 1;
layout(constant_id = 6) const bool TAIL = false; // k is not a multiple of 32: guard the last block

layout(set = 0, binding = 1, std430) readonly buffer xs1 { float x1[]; };
layout(set = 0, binding = 1, std430) readonly buffer xs4 { vec4 x4[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

void x_load(uint at, uint b, out vec4 x[8])
{
    if (TAIL) {
        [[unroll]] for (uint i = 0u; i < 8u; i++)
            [[unroll]] for (uint j = 0u; j < 4u; j++) {
                const uint k = b * 32u + i * 4u + j;
                x[i][j] = k < p.k ? x1[at + k] : 0.0;
            }
    } else {
        [[unroll]] for (uint i = 0u; i < 8u; i++) x[i] = x4[at / 4u + b * 8u + i];
    }
}

void y_store(uint col, uint row, float sum)
{
    const uint at = p.y_at + col * p.n + row;
    y[at] = p.add != 0u ? y[at] + sum : sum;
}

float sums[NR * COLS];

void add_block(uint b, uint col0, uint first_sum, vec4 w[8])
{
    [[unroll]] for (uint c = 0u; c < COLS; c++) {
        vec4 x[8];
        x_load(p.x_at + min(col0 + c, p.T - 1u) * p.k, b, x);
        float sum = 0.0;
        [[unroll]] for (uint i = 0u; i < 8u; i++) sum += dot(w[i], x[i]);
        sums[first_sum + c] += sum;
    }
}

void main()
{
    const uint group = gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x;
    const uint col0 = gl_WorkGroupID.z * COLS;
    const uint k_padded = (p.k + 31u) & ~31u;
    const uint n_blocks = k_padded / 32u;
    const uint first = LANE_ROWS ? 0u : gl_LocalInvocationIndex;
    const uint stride = LANE_ROWS ? 1u : WG;
    const uint n_rows = LANE_ROWS ? 1u : NR;
    const uint row0 = LANE_ROWS ? group * WG + gl_LocalInvocationIndex : group * NR;
    if (row0 >= p.rows) return;

    [[unroll]] for (uint i = 0u; i < NR * COLS; i++) sums[i] = 0.0;
#ifdef SUPER
    if (LANE_ROWS && COLS == 1u) { // with more columns the weights are a smaller part, and the longer code costs more
        const uint base = row_base(row0, p.row_words);
        for (uint s = 0u; s < n_blocks / SUPER; s++) {
            const uvec4 head = head_load(base, s, k_padded);
            for (uint j = 0u; j < SUPER; j++) {
                vec4 w[8];
                block_load_of(head, base, s * SUPER + j, k_padded, w);
                add_block(s * SUPER + j, col0, 0u, w);
            }
        }
    } else
#endif
    for (uint b = first; b < n_blocks; b += stride) {
        [[unroll]] for (uint r = 0u; r < n_rows; r++) {
            vec4 w[8];
            // rows past the end (rows % NR) re-read the last one and are not stored
            block_load(row_base(min(row0 + r, p.rows - 1u), p.row_words), b, k_padded, w);
            add_block(b, col0, r * COLS, w);
        }
    }
    [[unroll]] for (uint r = 0u; r < n_rows; r++)
        [[unroll]] for (uint c = 0u; c < COLS; c++) {
            float sum = sums[r * COLS + c];
            if (!LANE_ROWS) sum = workgroup_sum(sum);
            if (row0 + r < p.rows && col0 + c < p.T && (LANE_ROWS || gl_LocalInvocationIndex == 0u))
                y_store(col0 + c, row0 + r, sum);
        }
}
