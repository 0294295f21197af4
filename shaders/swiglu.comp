// y[i] = gate[i] / (1 + exp(-gate[i])) * up[i].   f32, n elements. Called from op_swiglu between up and down.
// Numerics: exp of the driver; large negative gates give -0 rather than NaN. Mapping: a lane an element.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_SWIGLU 1
#include "common.glsl"

layout(set = 0, binding = 0, std430) readonly buffer gates { float gate[]; };
layout(set = 0, binding = 1, std430) readonly buffer ups { float up[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

void main()
{
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
    if (i >= p.n) return;
    const float g = gate[i];
    y[i] = g / (1.0 + exp(min(-g, 80.0))) * up[i];
}
