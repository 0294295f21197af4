// y[t, n] (+)= sum_k x[t, k] * W[n, k] for many tokens, in halves, two at once (prefill on GPUs without matrix units and fast
// dot products).
// W: packed rows of this part (weights.glsl); x: halves and a scale a token, as round_half.comp leaves them; y f32 row-major.
// Called from op_matmul.
// Numerics: weights are decoded in f32, divided by a power of two a block that brings its largest to 2^-5 .. 2^-4, and rounded to
// halves. A run of 16 products is summed in halves, in two chains of 8 (even, odd k) and then their sum; runs are scaled and
// added in f32, in the order of k. |x| <= 2^15, so that no run exceeds 16 * 2^15 * 2^-4 = 2^15, whatever the weights, and no half
// overflows. Chains and their sum round by 2^-11 of what is summed so far, as much as 5.5 roundings of the run's sum: NMSE
// 5.5 * 2^-22 at most where a device rounds to nearest, 16 * 2^-22 where it cuts (those errors add up). Products below 2^-14, at
// least 2^24 times smaller than the largest, may be lost.
// Mapping: a workgroup computes BM rows x BN tokens, a lane every SIDE-th row and token of them. Two blocks of K at a time go
// through shared memory, whose rows are 9 x 16 bytes long, so that lanes on neighbouring rows do not meet in a bank.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define PUSH_MATMUL 1
#include "common.glsl"
#include "weights.glsl"

layout(constant_id = 3) const uint BM = 64;
layout(constant_id = 4) const uint BN = 64;
layout(constant_id = 5) const uint SIDE = 16; // lanes along each side: SIDE * SIDE = WG

layout(set = 0, binding = 1, std430) readonly buffer xs { uvec4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer scales { float scale[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

const uint RM = BM / SIDE, RN = BN / SIDE;         // rows and tokens a lane
const uint BLOCKS = 2u, STRIDE = BLOCKS * 4u + 1u; // uvec4 a row of shared memory

shared uvec4 w_tile[BM * STRIDE], x_tile[BN * STRIDE];
shared float w_scale[BM * BLOCKS];

uint halves(vec2 v) { return packFloat2x16(f16vec2(v)); }

void load_weights(uint unit, uint row0, uint b0, uint n_blocks)
{
    const uint row = unit / BLOCKS, b = min(b0 + unit % BLOCKS, n_blocks - 1u); // past the last block x is zero
    vec4 w[8], most = vec4(0.0);
    block_load(row_base(min(row0 + row, p.rows - 1u), p.row_words), b, n_blocks * 32u, w);
    [[unroll]] for (uint i = 0u; i < 8u; i++) most = max(most, abs(w[i]));
    // exponents: 127 - 5 - (e - 127) to multiply with, its negative to undo
    const uint up = 249u - min(floatBitsToUint(max(max(most.x, most.y), max(most.z, most.w))) >> 23, 248u);
    const float factor = uintBitsToFloat(up << 23);
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const vec4 a = w[2u * i] * factor, c = w[2u * i + 1u] * factor;
        w_tile[row * STRIDE + unit % BLOCKS * 4u + i] = uvec4(halves(a.xy), halves(a.zw), halves(c.xy), halves(c.zw));
    }
    w_scale[unit] = uintBitsToFloat((254u - up) << 23);
}

void load_x(uint unit, uint col0, uint b0)
{
    const uint col = unit / (BLOCKS * 4u), part = unit % (BLOCKS * 4u); // x is padded past the last block
    x_tile[col * STRIDE + part] = x[min(col0 + col, p.x_tokens - 1u) * (p.x_words / 4u) + b0 * 4u + part];
}

// Two chains of four more products.
f16vec2 chains(uvec4 a, uvec4 b, f16vec2 sum)
{
    [[unroll]] for (uint i = 0u; i < 4u; i++) sum = fma(unpackFloat2x16(a[i]), unpackFloat2x16(b[i]), sum);
    return sum;
}

void main()
{
    const uint row0 = (gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x) * BM, col0 = gl_WorkGroupID.z * BN;
    if (row0 >= p.rows) return;
    const uint lane = gl_LocalInvocationIndex, lane_row = lane % SIDE, lane_col = lane / SIDE;
    const uint n_blocks = (p.k + 31u) / 32u;

    float sums[RM * RN];
    [[unroll]] for (uint i = 0u; i < RM * RN; i++) sums[i] = 0.0;
    for (uint b0 = 0u; b0 < n_blocks; b0 += BLOCKS) {
        for (uint unit = lane; unit < BM * BLOCKS + BN * BLOCKS * 4u; unit += WG) {
            if (unit < BM * BLOCKS) load_weights(unit, row0, b0, n_blocks);
            else load_x(unit - BM * BLOCKS, col0, b0);
        }
        barrier();
        [[unroll]] for (uint run = 0u; run < 2u * BLOCKS; run++) {
            uvec4 w[2u * RM];
            float s[RM];
            [[unroll]] for (uint i = 0u; i < RM; i++) {
                const uint row = lane_row + SIDE * i;
                w[2u * i] = w_tile[row * STRIDE + 2u * run];
                w[2u * i + 1u] = w_tile[row * STRIDE + 2u * run + 1u];
                s[i] = w_scale[row * BLOCKS + run / 2u];
            }
            [[unroll]] for (uint j = 0u; j < RN; j++) {
                const uint at = (lane_col + SIDE * j) * STRIDE + 2u * run;
                const uvec4 low = x_tile[at], high = x_tile[at + 1u];
                [[unroll]] for (uint i = 0u; i < RM; i++) {
                    const f16vec2 sum = chains(w[2u * i + 1u], high, chains(w[2u * i], low, f16vec2(0.0)));
                    sums[i * RN + j] = fma(s[i], float(sum.x + sum.y), sums[i * RN + j]);
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
            const float sum = sums[i * RN + j] * scale[p.x_at + col];
            y[at] = p.add != 0u ? y[at] + sum : sum;
        }
}
