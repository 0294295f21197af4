// y[t, n] (+)= sum_k x[t, k] * W[n, k] for many tokens, by dot products of 8-bit integers (prefill on GPUs without matrix units).
// W: packed rows of this part (weights.glsl); x: integers and scales a block, as round_bytes.comp leaves them; y f32 row-major.
// Called from op_matmul.
// Numerics: exact in integers within a block (half a block where its scales differ), f32 sums of blocks in the order of k.
// Mapping: a workgroup of 256 lanes computes BM rows x BN tokens, a lane every sixteenth row and token of them. Two blocks of K
// at a time go through shared memory, whose rows are 5 x 16 bytes long, so that lanes on neighbouring rows do not meet in a bank.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_MATMUL 1
#include "common.glsl"
#include "weights.glsl"
#include "dot.glsl"

layout(constant_id = 3) const uint BM = 64;
layout(constant_id = 4) const uint BN = 64;

layout(set = 0, binding = 1, std430) readonly buffer xs { ivec4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer scales { uvec2 scale[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

const uint SIDE = 16u, RM = BM / SIDE, RN = BN / SIDE; // lanes along each side; rows and tokens a lane
const uint BLOCKS = 2u, STRIDE = BLOCKS * 2u + 1u;     // ivec4 a row of shared memory

shared ivec4 w_tile[BM * STRIDE], x_tile[BN * STRIDE];
shared vec4 w_scale[BM * BLOCKS], x_scale[BN * BLOCKS]; // s and m of both halves; d, and d times the sums of both halves

void load_weights(uint unit, uint row0, uint b0, uint n_blocks)
{
    const uint row = unit / BLOCKS, b = min(b0 + unit % BLOCKS, n_blocks - 1u); // past the last block x is zero
    ivec4 q[2];
    vec2 s, m;
    block_ints(row_base(min(row0 + row, p.rows - 1u), p.row_words), b, n_blocks * 32u, q, s, m);
    w_tile[row * STRIDE + unit % BLOCKS * 2u] = q[0];
    w_tile[row * STRIDE + unit % BLOCKS * 2u + 1u] = q[1];
    w_scale[unit] = vec4(s, m);
}

void load_x(uint unit, uint col0, uint b0)
{
    const uint col = unit / BLOCKS, b = b0 + unit % BLOCKS; // x is padded past the last block
    const uint t = min(col0 + col, p.T - 1u), n_blocks = p.x_words / 8u;
    x_tile[col * STRIDE + unit % BLOCKS * 2u] = x[(t * n_blocks + b) * 2u];
    x_tile[col * STRIDE + unit % BLOCKS * 2u + 1u] = x[(t * n_blocks + b) * 2u + 1u];
    const uvec2 both = scale[p.x_at / 2u + t * n_blocks + b];
    const float d = uintBitsToFloat(both.x);
    x_scale[unit] = vec4(d, d * float(int(both.y << 16) >> 16), d * float(int(both.y) >> 16), 0.0);
}

int dot16(ivec4 a, ivec4 b) { return dot4(a.x, b.x) + dot4(a.y, b.y) + dot4(a.z, b.z) + dot4(a.w, b.w); }

void main()
{
    const uint row0 = (gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x) * BM, col0 = gl_WorkGroupID.z * BN;
    if (row0 >= p.rows) return;
    const uint lane = gl_LocalInvocationIndex, lane_row = lane % SIDE, lane_col = lane / SIDE;
    const uint n_blocks = (p.k + 31u) / 32u;

    float sums[RM * RN];
    [[unroll]] for (uint i = 0u; i < RM * RN; i++) sums[i] = 0.0;
    for (uint b0 = 0u; b0 < n_blocks; b0 += BLOCKS) {
        for (uint unit = lane; unit < (BM + BN) * BLOCKS; unit += WG) {
            if (unit < BM * BLOCKS) load_weights(unit, row0, b0, n_blocks);
            else load_x(unit - BM * BLOCKS, col0, b0);
        }
        barrier();
        [[unroll]] for (uint b = 0u; b < BLOCKS; b++) {
            ivec4 wq[RM * 2u];
            vec4 ws[RM];
            [[unroll]] for (uint i = 0u; i < RM; i++) {
                const uint row = lane_row + SIDE * i;
                wq[2u * i] = w_tile[row * STRIDE + b * 2u];
                wq[2u * i + 1u] = w_tile[row * STRIDE + b * 2u + 1u];
                ws[i] = w_scale[row * BLOCKS + b];
            }
            [[unroll]] for (uint j = 0u; j < RN; j++) {
                const uint col = lane_col + SIDE * j;
                const ivec4 low = x_tile[col * STRIDE + b * 2u], high = x_tile[col * STRIDE + b * 2u + 1u];
                const vec4 xs = x_scale[col * BLOCKS + b];
                [[unroll]] for (uint i = 0u; i < RM; i++) {
#if defined(W_Q6_K) || defined(W_Q2_K) || defined(W_Q3_K) // scales of 16 weights
                    const vec2 dots = vec2(dot16(wq[2u * i], low), dot16(wq[2u * i + 1u], high));
                    sums[i * RN + j] += xs.x * dot(ws[i].xy, dots) - dot(ws[i].zw, xs.yz);
#else
                    const float all = float(dot16(wq[2u * i], low) + dot16(wq[2u * i + 1u], high));
                    sums[i * RN + j] += xs.x * ws[i].x * all - ws[i].z * (xs.y + xs.z);
#endif
                }
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
