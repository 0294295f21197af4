// Joins the parts that attention_split.comp left (parts.glsl), where its workgroups do not do it themselves.
// Called from op_attention. Mapping: a workgroup a query row: x = head of the window, y = token.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_ATTENTION 1
#include "common.glsl"

layout(constant_id = 1) const uint E = 128;
layout(constant_id = 2) const uint SLICES = 32;
layout(constant_id = 3) const uint CHUNK = 64; // of attention_split

layout(set = 0, binding = 0, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 1, std430) writeonly buffer ys { vec4 y[]; };
layout(set = 0, binding = 2, std430) readonly buffer partss { vec4 parts[]; };

shared vec4 heads[SLICES];

#include "parts.glsl"

uint row_of(uint r) { return gl_WorkGroupID.y * p.H + p.g0 * (p.H / p.G) + gl_WorkGroupID.x; }
PARTS_JOIN(row_of)

void main()
{
    const uint n_positions = STEP_PAST(step_words) + p.T, length = slice_length(n_positions, CHUNK);
    const uint n_slices = (n_positions + length - 1u) / length;
    if (n_slices > 1u) parts_join(1u, n_slices);
}
