// y[t, n] (+)= sum_k x[t, k] * W[n, k] for many tokens, by cooperative matrices (prefill on GPUs that have them).
// W: packed rows of this part (weights.glsl); x: halves and a scale a token, as round_half.comp leaves them; y f32 row-major.
// Called from op_matmul.
// Numerics: weights are decoded in f32 and rounded to halves; products and sums in f32. A weight beyond +-65,504, which no
// trained model has, becomes infinite (bf16: is clamped).
// Mapping: a workgroup computes BM rows x BN tokens; BLOCKS x 32 of K at a time go through shared memory, decoded once for all
// BN tokens; the next ones are loaded while these are multiplied. Each subgroup has SM x SN matrices; for few tokens, where
// there would be too few subgroups to keep memory busy, SLICES of them share these and take a part of each step's K. Rows of
// shared memory are 4 BLOCKS + 1 times 16 bytes long, so that neither 16-byte stores nor matrix loads of eight rows meet in
// a bank.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_MATMUL 1
#include "common.glsl"
#include "weights.glsl"
#include "matrix.glsl"

layout(constant_id = 3) const uint BM = 64;
layout(constant_id = 4) const uint BN = 64;
layout(constant_id = 5) const uint MM = 16;
layout(constant_id = 6) const uint MN = 16;
layout(constant_id = 7) const uint MK = 16;
layout(constant_id = 8) const uint SM = 2;
layout(constant_id = 9) const uint SN = 2;
layout(constant_id = 10) const uint BLOCKS = 2;
layout(constant_id = 11) const uint SLICES = 1;

layout(set = 0, binding = 1, std430) readonly buffer xs { uvec4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer scales { float scale[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

const uint STRIDE = BLOCKS * 4u + 1u;       // uvec4 a row of shared memory
const uint PLACES = BM / (SM * MM) * (BN / (SN * MN)); // subgroups side by side; times SLICES: all
const uint SLICE_K = BLOCKS * 32u / SLICES;
const uint W_UNITS = (BM * BLOCKS + WG - 1u) / WG, X_UNITS = (BN * BLOCKS * 4u + WG - 1u) / WG;

shared uvec4 tile[(BM + BN) * STRIDE]; // rows of W, then tokens; at the end each subgroup's part of y
uvec4 w_next[W_UNITS * 4u], x_next[X_UNITS];

uint halves(vec2 v)
{
#ifdef W_BF16
    v = clamp(v, -65504.0, 65504.0);
#endif
    return packFloat2x16(f16vec2(v));
}

void fetch(uint row0, uint col0, uint b0, uint n_blocks)
{
    [[unroll]] for (uint i = 0u; i < X_UNITS; i++) {
        const uint unit = gl_LocalInvocationIndex + i * WG, part = unit % (BLOCKS * 4u);
        const uint col = min(col0 + unit / (BLOCKS * 4u), p.x_tokens - 1u);
        x_next[i] = x[col * p.x_words / 4u + b0 * 4u + part];
    }
    [[unroll]] for (uint i = 0u; i < W_UNITS; i++) {
        const uint unit = gl_LocalInvocationIndex + i * WG;
        const uint b = min(b0 + unit % BLOCKS, n_blocks - 1u); // past the last block x is zero
        const uint row = min(row0 + unit / BLOCKS, p.rows - 1u);
        vec4 w[8];
        block_load(row_base(row, p.row_words), b, n_blocks * 32u, w);
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            w_next[4u * i + j] = uvec4(halves(w[2u * j].xy), halves(w[2u * j].zw), halves(w[2u * j + 1u].xy), halves(w[2u * j + 1u].zw));
    }
}

void main()
{
    const uint row0 = (gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x) * BM, col0 = gl_WorkGroupID.z * BN;
    if (row0 >= p.rows) return;
    const uint n_blocks = (p.k + 31u) / 32u;
    const uint place = gl_SubgroupID % PLACES, slice = gl_SubgroupID / PLACES;
    const uint sub_row = place % (BM / (SM * MM)) * (SM * MM), sub_col = place / (BM / (SM * MM)) * (SN * MN);

    MATRIX_C sums[SM * SN];
    [[unroll]] for (uint i = 0u; i < SM * SN; i++) sums[i] = MATRIX_C(0.0);

    fetch(row0, col0, 0u, n_blocks);
    for (uint b = 0u; b < n_blocks; b += BLOCKS) {
        [[unroll]] for (uint i = 0u; i < W_UNITS; i++) {
            const uint unit = gl_LocalInvocationIndex + i * WG;
            if (unit < BM * BLOCKS)
                [[unroll]] for (uint j = 0u; j < 4u; j++)
                    tile[unit / BLOCKS * STRIDE + unit % BLOCKS * 4u + j] = w_next[4u * i + j];
        }
        [[unroll]] for (uint i = 0u; i < X_UNITS; i++) {
            const uint unit = gl_LocalInvocationIndex + i * WG;
            if (unit < BN * BLOCKS * 4u) tile[(BM + unit / (BLOCKS * 4u)) * STRIDE + unit % (BLOCKS * 4u)] = x_next[i];
        }
        barrier();
        if (b + BLOCKS < n_blocks) fetch(row0, col0, b + BLOCKS, n_blocks);
        [[unroll]] for (uint i = 0u; i < SLICE_K / MK; i++) {
            const uint k = slice * SLICE_K + i * MK;
            MATRIX_A rows[SM];
            [[unroll]] for (uint m = 0u; m < SM; m++) matrix_load_rows(rows[m], tile, (sub_row + m * MM) * STRIDE + k / 8u, STRIDE);
            [[unroll]] for (uint j = 0u; j < SN; j++) {
                MATRIX_B columns;
                matrix_load_columns(columns, tile, (BM + sub_col + j * MN) * STRIDE + k / 8u, STRIDE);
                [[unroll]] for (uint m = 0u; m < SM; m++)
                    sums[m * SN + j] = matrix_multiply_add(rows[m], columns, sums[m * SN + j]);
            }
        }
        barrier();
    }
    // a matrix of each subgroup at a time through its own part of shared memory, column after column
    const uint part = MM * MN / 4u;
    [[unroll]] for (uint i = 0u; i < SM; i++)
        [[unroll]] for (uint j = 0u; j < SN; j++) {
            matrix_store_columns(sums[i * SN + j], tile, gl_SubgroupID * part, MM / 4u);
            barrier();
            for (uint e = gl_LocalInvocationIndex; e < PLACES * MM * MN; e += WG) {
                const uint at_place = e / (MM * MN), in_part = e % (MM * MN);
                const uint row = row0 + at_place % (BM / (SM * MM)) * (SM * MM) + i * MM + in_part % MM;
                const uint col = col0 + at_place / (BM / (SM * MM)) * (SN * MN) + j * MN + in_part / MM;
                if (row >= p.rows || col >= p.T) continue;
                float sum = 0.0;
                [[unroll]] for (uint s = 0u; s < SLICES; s++)
                    sum += uintBitsToFloat(tile[(s * PLACES + at_place) * part + in_part / 4u][in_part % 4u]);
                const uint at = p.y_at + col * p.n + row;
                sum *= scale[p.x_at + col];
                y[at] = p.add != 0u ? y[at] + sum : sum;
            }
            barrier();
        }
}
