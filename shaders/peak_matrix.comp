// y[i] = sum over j < 8 of j + rounds * v^2, v = x[0] within -1 .. 1, cut to 1/64: eight products of matrices filled with v, added up
// for `rounds` of K (a multiple of MK). f32 sums; n elements, a multiple of MM * MN. Recorded by the kernel benchmark alone.
// A driver that computes matrices on the processor may see that the factors stay the same; a matrix unit does not.
// Mapping: a subgroup a matrix [MM, MN] of y; eight sums, so that the latency of one is hidden by the others.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_PEAK 1
#include "common.glsl"
#include "matrix.glsl"

layout(constant_id = 5) const uint MM = 16;
layout(constant_id = 6) const uint MN = 16;
layout(constant_id = 7) const uint MK = 16;

layout(set = 0, binding = 0, std430) readonly buffer xs { float x[]; };
layout(set = 0, binding = 1, std430) buffer ys { float y[]; };

void main()
{
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint at = (group * gl_NumSubgroups + gl_SubgroupID) * MM * MN;
    if (at >= p.n) return;
    const float16_t v = float16_t(floor(clamp(x[0], -1.0, 1.0) * 64.0) / 64.0);
    MATRIX_A a = MATRIX_A(v);
    MATRIX_B b = MATRIX_B(v);
    MATRIX_C sums[8];
    [[unroll]] for (uint j = 0u; j < 8u; j++) sums[j] = MATRIX_C(float(j));
    for (uint k = 0u; k < p.rounds; k += MK) {
        [[unroll]] for (uint j = 0u; j < 8u; j++) sums[j] = matrix_multiply_add(a, b, sums[j]);
    }
    MATRIX_C all = sums[0];
    [[unroll]] for (uint j = 1u; j < 8u; j++) all = all + sums[j];
    matrix_store_columns(all, y, at, MM);
}
