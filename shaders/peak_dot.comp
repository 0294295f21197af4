// y[i] = low 16 bits of the sum over j < 8 of a_j, after `rounds` times a_j += dot4(a_j, c), from a_j = bits of x[i] + j; c: the
// bytes 1, -2, 3, -4. Wrapping 32-bit integers. Recorded by the kernel benchmark alone, as peak.comp. x, y f32, n elements.
// Mapping: a lane an element.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_PEAK 1
#include "common.glsl"
#include "dot.glsl"

layout(set = 0, binding = 0, std430) readonly buffer xs { int x[]; };
layout(set = 0, binding = 1, std430) buffer ys { float y[]; };

void main()
{
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
    if (i >= p.n) return;
    const int c = 0xfc03fe01;
    ivec4 a = x[i] + ivec4(0, 1, 2, 3), b = x[i] + ivec4(4, 5, 6, 7);
    for (uint r = 0; r < p.rounds; r++) {
        a += ivec4(dot4(a.x, c), dot4(a.y, c), dot4(a.z, c), dot4(a.w, c));
        b += ivec4(dot4(b.x, c), dot4(b.y, c), dot4(b.z, c), dot4(b.w, c));
    }
    const ivec4 s = a + b;
    y[i] = float((s.x + s.y + s.z + s.w) & 0xffff);
}
