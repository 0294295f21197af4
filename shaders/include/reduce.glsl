// workgroup_sum / workgroup_max: every lane gets the reduction over the workgroup. All lanes must call.
// With subgroup arithmetic: reduce in the subgroup, then over subgroups through shared memory.
// REDUCE_SHARED: a tree in shared memory, for devices without it. Correct for any subgroup size.
#ifndef REDUCE_SHARED
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

shared float reduce_scratch[WG];

#ifdef REDUCE_SHARED
#define REDUCE(name, op)                                                                       \
    float name(float v)                                                                        \
    {                                                                                          \
        const uint lane = gl_LocalInvocationIndex;                                             \
        reduce_scratch[lane] = v;                                                              \
        barrier();                                                                             \
        for (uint n = WG; n > 1u;) {                                                           \
            const uint half_n = (n + 1u) / 2u;                                                 \
            if (lane + half_n < n) reduce_scratch[lane] = op(reduce_scratch[lane], reduce_scratch[lane + half_n]); \
            n = half_n;                                                                        \
            barrier();                                                                         \
        }                                                                                      \
        const float all = reduce_scratch[0];                                                   \
        barrier();                                                                             \
        return all;                                                                            \
    }
#define ADD(a, b) ((a) + (b))
REDUCE(workgroup_sum, ADD)
REDUCE(workgroup_max, max)
#else
#define REDUCE(name, subgroup_op, op)                                                          \
    float name(float v)                                                                        \
    {                                                                                          \
        v = subgroup_op(v);                                                                    \
        if (gl_NumSubgroups == 1u) return v;                                                   \
        if (subgroupElect()) reduce_scratch[gl_SubgroupID] = v;                                \
        barrier();                                                                             \
        float all = reduce_scratch[0];                                                         \
        for (uint i = 1u; i < gl_NumSubgroups; i++) all = op(all, reduce_scratch[i]);          \
        barrier();                                                                             \
        return all;                                                                            \
    }
#define ADD(a, b) ((a) + (b))
REDUCE(workgroup_sum, subgroupAdd, ADD)
REDUCE(workgroup_max, subgroupMax, max)
#endif
