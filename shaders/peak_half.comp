// y[i] = sum over j < 8 of a_j after `rounds` times a_j = a_j * 0.75 + 0.25, from a_j = x[i] + j: in halves, two at once.
// Recorded by the kernel benchmark alone, as peak.comp. x, y f32, n elements.
// Mapping: a lane an element; four chains of two.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define PUSH_PEAK 1
#include "common.glsl"

layout(set = 0, binding = 0, std430) readonly buffer xs { float x[]; };
layout(set = 0, binding = 1, std430) buffer ys { float y[]; };

void main()
{
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
    if (i >= p.n) return;
    const f16vec2 scale = f16vec2(0.75), step = f16vec2(0.25);
    f16vec2 a = f16vec2(x[i] + vec2(0, 1)), b = f16vec2(x[i] + vec2(2, 3)), c = f16vec2(x[i] + vec2(4, 5)), d = f16vec2(x[i] + vec2(6, 7));
    for (uint r = 0; r < p.rounds; r++) {
        a = fma(a, scale, step);
        b = fma(b, scale, step);
        c = fma(c, scale, step);
        d = fma(d, scale, step);
    }
    const vec2 s = vec2(a) + vec2(b) + vec2(c) + vec2(d);
    y[i] = s.x + s.y;
}
