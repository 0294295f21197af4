// x_half[t, :] = halves of x[t, :] / scale[t], scale[t] a power of two that brings the row's largest element to 2^14 .. 2^15:
// no activation overflows, and only what is 2^28 times smaller than the largest loses precision.
// x f32 [T, k]; x_half [tokens, 2 x_words], zeros past k and past T; scale f32 [tokens] behind it, from x_at on.
// Called from op_matmul before matmul_matrix and matmul_half. NMSE <= 2^-22 (half of the last of 11 bits, at most).
// Mapping: a workgroup a token.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define PUSH_ROUND 1
#include "common.glsl"
#include "halves.glsl"
#include "reduce.glsl"

layout(set = 0, binding = 0, std430) readonly buffer xs { float x[]; };
layout(set = 0, binding = 1, std430) buffer xs_half { uint x_half[]; };
layout(set = 0, binding = 1, std430) buffer scales { float scale[]; };

void main()
{
    const uint t = gl_WorkGroupID.x, lane = gl_LocalInvocationIndex, from = p.x_at + t * p.k;
    float top = 0.0;
    for (uint i = lane; i < p.k && t < p.T; i += WG) top = max(top, abs(x[from + i]));
    top = workgroup_max(top);
    // exponents: 127 + 14 - (e - 127) to multiply with, its negative to undo; tiny rows stay below 2^14
    const uint up = min(268u - (floatBitsToUint(top) >> 23), 254u);
    const float factor = uintBitsToFloat(up << 23);
    for (uint i = lane; i < p.x_words; i += WG) {
        vec2 v = vec2(0.0);
        if (t < p.T && 2u * i < p.k) v.x = x[from + 2u * i] * factor;
        if (t < p.T && 2u * i + 1u < p.k) v.y = x[from + 2u * i + 1u] * factor;
        x_half[t * p.x_words + i] = packFloat2x16(f16vec2(nearest_halves(v)));
    }
    if (lane == 0u) scale[p.scale_at + t] = uintBitsToFloat((254u - up) << 23);
}
