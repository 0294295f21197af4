// y[t, :] = W[token[t], :], the embedding row; tokens outside this part of the table are another dispatch's.
// W: packed rows (weights.glsl); y f32 [T, k]. Called from op_embed, first in the forward pass.
// Numerics: exact decoding. Mapping: a lane decodes one block of 32 weights of one token; y of the grid = token.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_EMBED 1
#include "common.glsl"
#include "weights.glsl"
#if (defined(QUANTS) || defined(W_Q8_0)) && !defined(W_IQ4_NL) && !defined(W_IQ4_XS)
#define SLICES_ROW
#include "slices.glsl"
#endif
layout(constant_id = 3) const bool SLICED = false;

layout(set = 0, binding = 1, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

void main()
{
    const uint b = gl_GlobalInvocationID.x, t = gl_GlobalInvocationID.y;
    const uint row = STEP_TOKEN(step_words, t) - p.row0; // wraps past n_rows when the token lies before this part
    if (b * 32u >= p.k || row >= p.n_rows) return;
    vec4 w[8];
    const uint k = (p.k + 31u) & ~31u;
#ifdef DIGITS
    if (SLICED) slice_load(row, p.row_words, b, k, w);
    else
#endif
        block_load(row_base(row, p.row_words), b, k, w);
    for (uint i = 0u; i < 32u && b * 32u + i < p.k; i++) y[t * p.k + b * 32u + i] = w[i / 4u][i % 4u];
}
