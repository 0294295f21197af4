// y[i] = sum over j < 8 of a_j after `rounds` times a_j = a_j * 0.75 + 0.25, from a_j = x[i] + j.   f32, n elements.
// Recorded by the kernel benchmark alone: what this device can compute when memory is no matter.
// Mapping: a lane an element; eight chains, so that the latency of one is hidden by the others.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_PEAK 1
#include "common.glsl"

layout(set = 0, binding = 0, std430) readonly buffer xs { float x[]; };
layout(set = 0, binding = 1, std430) buffer ys { float y[]; };

void main()
{
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
    if (i >= p.n) return;
    vec4 a = x[i] + vec4(0, 1, 2, 3), b = x[i] + vec4(4, 5, 6, 7);
    for (uint r = 0; r < p.rounds; r++) {
        a = a * 0.75 + 0.25;
        b = b * 0.75 + 0.25;
    }
    const vec4 s = a + b;
    y[i] = s.x + s.y + s.z + s.w;
}
