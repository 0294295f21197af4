// y[t, :] = x[t, :] / sqrt(mean(x[t, :]^2) + eps) * w[:].   x, y f32 [T, D]; w f32 [D].
// Called from op_rms_norm, before attention, before the feed-forward and before the output head.
// Numerics: f32 sum of squares, reduced over the workgroup. Mapping: a workgroup a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_RMS_NORM 1
#include "common.glsl"
#include "reduce.glsl"

layout(set = 0, binding = 0, std430) readonly buffer ws { float w[]; };
layout(set = 0, binding = 1, std430) readonly buffer xs { float x[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };

void main()
{
    const uint at = gl_WorkGroupID.x * p.D;
    float sum = 0.0;
    for (uint i = gl_LocalInvocationIndex; i < p.D; i += WG) sum += x[at + i] * x[at + i];
    const float scale = 1.0 / sqrt(workgroup_sum(sum) / float(p.D) + p.eps);
    for (uint i = gl_LocalInvocationIndex; i < p.D; i += WG) y[at + i] = x[at + i] * scale * w[i];
}
