// y[t, n] (+)= sum_k x[t, k] * W[n, k] for many tokens (prefill on GPUs), in f32.
// W: packed rows of this part (weights.glsl); x, y f32 row-major. Called from op_matmul.
// Numerics: weights decoded to f32, f32 sums in the order of k.
// Mapping: a workgroup computes BM rows x BN tokens, a lane every SIDE-th row and token of them. A block of 32 of K at a time
// goes through shared memory in loads of 16 bytes; its rows are 9 of those long, so that lanes on neighbouring rows do not meet
// in a bank.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_MATMUL 1
#include "common.glsl"
#include "weights.glsl"

layout(constant_id = 3) const uint BM = 64;
layout(constant_id = 4) const uint BN = 64;
layout(constant_id = 5) const uint SIDE = 16; // lanes along each side: SIDE * SIDE = WG
layout(constant_id = 6) const bool TAIL = false; // k is not a multiple of 32: guard the last block

layout(set = 0, binding = 1, std430) readonly buffer xs1 { float x1[]; };
layout(set = 0, binding = 1, std430) readonly buffer xs4 { vec4 x4[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

const uint RM = BM / SIDE, RN = BN / SIDE, STRIDE = 9u; // rows and tokens a lane; vec4 a row of shared memory

shared vec4 w_tile[BM * STRIDE], x_tile[BN * STRIDE];

vec4 x_load(uint col, uint at)
{
    const uint from = p.x_at + min(col, p.T - 1u) * p.k + at;
    if (!TAIL) return x4[from / 4u];
    vec4 v = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        if (at + i < p.k) v[i] = x1[from + i];
    return v;
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, lane_row = lane % SIDE, lane_col = lane / SIDE;
    const uint row0 = (gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x) * BM, col0 = gl_WorkGroupID.z * BN;
    if (row0 >= p.rows) return;
    const uint n_blocks = (p.k + 31u) / 32u;

    float sums[RM * RN];
    [[unroll]] for (uint i = 0u; i < RM * RN; i++) sums[i] = 0.0;
    for (uint b = 0u; b < n_blocks; b++) {
        for (uint unit = lane; unit < BM + BN * 8u; unit += WG) {
            if (unit < BM) {
                vec4 w[8];
                block_load(row_base(min(row0 + unit, p.rows - 1u), p.row_words), b, n_blocks * 32u, w);
                [[unroll]] for (uint i = 0u; i < 8u; i++) w_tile[unit * STRIDE + i] = w[i];
            } else {
                const uint col = (unit - BM) / 8u, part = (unit - BM) % 8u;
                x_tile[col * STRIDE + part] = x_load(col0 + col, b * 32u + part * 4u);
            }
        }
        barrier();
        [[unroll]] for (uint part = 0u; part < 8u; part++) {
            vec4 w[RM];
            [[unroll]] for (uint i = 0u; i < RM; i++) w[i] = w_tile[(lane_row + SIDE * i) * STRIDE + part];
            [[unroll]] for (uint j = 0u; j < RN; j++) {
                const vec4 x = x_tile[(lane_col + SIDE * j) * STRIDE + part];
                [[unroll]] for (uint i = 0u; i < RM; i++)
                    sums[i * RN + j] = fma(w[i].w, x.w, fma(w[i].z, x.z, fma(w[i].y, x.y, fma(w[i].x, x.x, sums[i * RN + j]))));
            }
        }
        barrier();
    }
    [[unroll]] for (uint i = 0u; i < RM; i++)
        [[unroll]] for (uint j = 0u; j < RN; j++) {
            const uint row = row0 + lane_row + SIDE * i, col = col0 + lane_col + SIDE * j;
            if (row >= p.rows || col >= p.T) continue;
            const uint at = p.y_at + col * p.n + row;
            y[at] = p.add != 0u ? y[at] + sums[i * RN + j] : sums[i * RN + j];
        }
}
