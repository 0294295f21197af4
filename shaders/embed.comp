// y[t, :] = W[token[t], :], the embedding row; tokens outside this part of the table are another dispatch's.
// W: packed rows (weights.glsl); y f32 [T, k]. Called from op_embed, first in the forward pass.
// Numerics: exact decoding. Mapping: a lane decodes one block of 32 weights of one token; y of the grid = token.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_EMBED 1
#include "common.glsl"
layout(constant_id = 3) const bool SLICED = false;
#include "slices.glsl"
#include "weights.glsl"

layout(set = 0, binding = 1, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

#ifdef BITS
void slice_load(uint row, uint b, uint k, out vec4 w[8])
{
    const uint slab = row / 32u * 32u * p.row_words, r = row % 32u;
    block_head head = block_head(vec2(0.0), uvec4(0u));
    vec2 s, m;
    head_super(slab + r, b, k, head);
    head_half(b, head);
    head_pair(slab + r, b, k, head);
    scales_apart(head, b, s, m);
    for (uint j = 0u; j < 32u; j++) {
        const uint word = W1(slab + (b * 32u + j) * SLICE_WORDS + slice_word(r));
        const float q = float(int(word & slice_mask(r))) * slice_scale(r) + slice_offset(r);
        w[j / 4u][j % 4u] = s[j / 16u] * (q - CENTRE) - m[j / 16u];
    }
}
#endif

void main()
{
    const uint b = gl_GlobalInvocationID.x, t = gl_GlobalInvocationID.y;
    const uint row = STEP_TOKEN(step_words, t) - p.row0; // wraps past n_rows when the token lies before this part
    if (b * 32u >= p.k || row >= p.n_rows) return;
    vec4 w[8];
    const uint k = (p.k + 31u) & ~31u;
#ifdef BITS
    if (SLICED) slice_load(row, b, k, w);
    else
#endif
        block_load(row_base(row, p.row_words), b, k, w);
    for (uint i = 0u; i < 32u && b * 32u + i < p.k; i++) y[t * p.k + b * 32u + i] = w[i / 4u][i % 4u];
}
