// y[t, n] (+)= sum_k x[t, k] * W[n, k], for COLS tokens at most; decode and prefill on software drivers.
// W: packed rows of this part (weights.glsl); x, y f32 row-major. Called from op_matmul.
// Numerics: f32 sums. One column: quants are summed as they are, and scaled a half block at a time; more: weights decoded.
// Mapping: a lane owns NR rows, WG apart; nothing is shared and there is no barrier. On a processor each load of a lane is a
// load of its own and what follows it waits for memory: so the loads of all rows come first, and sums go in several chains.
// The grid is groups_x wide; COLS tokens from column gl_WorkGroupID.z * COLS.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_MATMUL 1
#include "common.glsl"
#include "weights.glsl"

layout(constant_id = 3) const uint NR = 1;
layout(constant_id = 4) const uint COLS = 1;
layout(constant_id = 5) const bool TAIL = false; // k is not a multiple of 32: guard the last block

layout(set = 0, binding = 1, std430) readonly buffer xs1 { float x1[]; };
layout(set = 0, binding = 1, std430) readonly buffer xs4 { vec4 x4[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

// x[at + k .. at + k + 3], k a multiple of 4.
vec4 x_load(uint at, uint k)
{
    if (!TAIL) return x4[(at + k) / 4u];
    vec4 x = vec4(0.0);
    [[unroll]] for (uint j = 0u; j < 4u; j++)
        if (k + j < p.k) x[j] = x1[at + k + j];
    return x;
}

void y_store(uint col, uint row, float sum)
{
    const uint at = p.y_at + col * p.n + row;
    y[at] = p.add != 0u ? y[at] + sum : sum;
}

float sum_of(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

float sums[NR * COLS];

#ifdef QUANTS
// One column, NR rows: s * sum(q x) - m * sum(x).
void add_block(uint b, uint at, uint k_padded, uint base[NR]
#ifdef SUPER
               , uvec4 head[NR]
#endif
               )
{
    block_words words[NR];
    [[unroll]] for (uint r = 0u; r < NR; r++) words[r] = words_of_block(base[r], b, k_padded);
    [[unroll]] for (uint h = 0u; h < 2u; h++) {
        vec4 part[NR], x_sum = vec4(0.0);
        [[unroll]] for (uint r = 0u; r < NR; r++) part[r] = vec4(0.0);
        [[unroll]] for (uint g = 4u * h; g < 4u * h + 4u; g++) {
            const vec4 x = x_load(at, b * 32u + g * 4u);
            x_sum += x;
            [[unroll]] for (uint r = 0u; r < NR; r++) part[r] = fma(block_quants(words[r], g), x, part[r]);
        }
        const float x_all = sum_of(x_sum);
        [[unroll]] for (uint r = 0u; r < NR; r++) {
            vec2 s, m;
#ifdef SUPER
            scales_of(head[r], b, s, m);
#else
            scales_of(head_of(base[r], b, k_padded), b, s, m);
#endif
            sums[r] = fma(s[h], sum_of(part[r]), fma(-m[h], x_all, sums[r]));
        }
    }
}
#endif

void add_decoded(uint b, uint col0, uint first_sum, vec4 w[8])
{
    [[unroll]] for (uint c = 0u; c < COLS; c++) {
        const uint at = p.x_at + min(col0 + c, p.T - 1u) * p.k;
        vec4 part = vec4(0.0);
        [[unroll]] for (uint g = 0u; g < 8u; g++) part = fma(w[g], x_load(at, b * 32u + g * 4u), part);
        sums[first_sum + c] += sum_of(part);
    }
}

void main()
{
    const uint row0 = (gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x) * (WG * NR) + gl_LocalInvocationIndex;
    const uint col0 = gl_WorkGroupID.z * COLS;
    const uint k_padded = (p.k + 31u) & ~31u;
    const uint n_blocks = k_padded / 32u;
    if (row0 >= p.rows) return;

    uint base[NR]; // rows past the end re-read the last one and are not stored
    [[unroll]] for (uint r = 0u; r < NR; r++) base[r] = row_base(min(row0 + r * WG, p.rows - 1u), p.row_words);
    [[unroll]] for (uint i = 0u; i < NR * COLS; i++) sums[i] = 0.0;
#ifdef QUANTS
    if (COLS == 1u) {
        const uint at = p.x_at + col0 * p.k;
#ifdef SUPER
        for (uint s = 0u; s < n_blocks / SUPER; s++) {
            uvec4 head[NR];
            [[unroll]] for (uint r = 0u; r < NR; r++) head[r] = head_of(base[r], s * SUPER, k_padded);
            for (uint j = 0u; j < SUPER; j++) add_block(s * SUPER + j, at, k_padded, base, head);
        }
#else
        for (uint b = 0u; b < n_blocks; b++) add_block(b, at, k_padded, base);
#endif
    } else
#endif
    for (uint b = 0u; b < n_blocks; b++)
        [[unroll]] for (uint r = 0u; r < NR; r++) {
            vec4 w[8];
            block_load(base[r], b, k_padded, w);
            add_decoded(b, col0, r * COLS, w);
        }
    [[unroll]] for (uint r = 0u; r < NR; r++)
        [[unroll]] for (uint c = 0u; c < COLS; c++)
            if (row0 + r * WG < p.rows && col0 + c < p.T) y_store(col0 + c, row0 + r * WG, sums[r * COLS + c]);
}
