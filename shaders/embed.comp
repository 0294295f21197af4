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
uint slab; // its first word
uint unit_at(uint b) { return slab + b / UNIT * (32u * HEAD_WORDS + UNIT * (CODE_WORDS + 32u * SLICE_WORDS)); }
uint block_at(uint b) { return unit_at(b) + 32u * HEAD_WORDS + b % UNIT * (CODE_WORDS + 32u * SLICE_WORDS); }
uint head_word(uint b, uint r, uint w) { return W1(unit_at(b) + 32u * w + r); }
uint code_word(uint b, uint i) { return W1(block_at(b) + i); }
void slice_load(uint row, uint b, out vec4 w[8])
{
    const uint r = row % 32u;
    slab = row / 32u * 32u * p.row_words;
    const uint quants = block_at(b) + CODE_WORDS;
    vec2 s, m;
    slice_scales(r, r, b, s, m);
    for (uint j = 0u; j < 32u; j++) {
#ifdef ROW_FIELDS
        const float f = float(int(W1(quants + row_place(j).x * 32u + r) & row_mask(j))) * row_scale(row_place(j).y);
#else
        const float f = float(int(W1(quants + j * SLICE_WORDS + slice_word(r)) & slice_mask(r)));
#endif
        w[j / 4u][j % 4u] = s[j / 16u] * (f - slice_lack(r)) - m[j / 16u];
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
    if (SLICED) slice_load(row, b, w);
    else
#endif
        block_load(row_base(row, p.row_words), b, k, w);
    for (uint i = 0u; i < 32u && b * 32u + i < p.k; i++) y[t * p.k + b * 32u + i] = w[i / 4u][i % 4u];
}
