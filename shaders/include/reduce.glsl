// workgroup_sum / workgroup_max (REDUCE_UINT: _uint, too): every lane gets the reduction over the workgroup. All lanes must call.
// With subgroup arithmetic: reduce in the subgroup, then over subgroups through shared memory.
// REDUCE_SHARED: a tree in shared memory, for devices without it. Correct for any subgroup size.
#ifndef REDUCE_SHARED
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

shared float reduce_scratch[WG];
#ifdef REDUCE_UINT
shared uint reduce_scratch_uint[WG];
#endif

#ifdef REDUCE_SHARED
#define REDUCE(type, scratch, name, op)                                                        \
    type name(type v)                                                                          \
    {                                                                                          \
        const uint lane = gl_LocalInvocationIndex;                                             \
        scratch[lane] = v;                                                                     \
        barrier();                                                                             \
        for (uint n = WG; n > 1u;) {                                                           \
            const uint half_n = (n + 1u) / 2u;                                                 \
            if (lane + half_n < n) scratch[lane] = op(scratch[lane], scratch[lane + half_n]);  \
            n = half_n;                                                                        \
            barrier();                                                                         \
        }                                                                                      \
        const type all = scratch[0];                                                           \
        barrier();                                                                             \
        return all;                                                                            \
    }
#define ADD(a, b) ((a) + (b))
REDUCE(float, reduce_scratch, workgroup_sum, ADD)
REDUCE(float, reduce_scratch, workgroup_max, max)
#ifdef REDUCE_UINT
REDUCE(uint, reduce_scratch_uint, workgroup_sum_uint, ADD)
REDUCE(uint, reduce_scratch_uint, workgroup_max_uint, max)
#endif
#else
#define REDUCE(type, scratch, name, subgroup_op, op)                                           \
    type name(type v)                                                                          \
    {                                                                                          \
        v = subgroup_op(v);                                                                    \
        if (gl_NumSubgroups == 1u) return v;                                                   \
        if (subgroupElect()) scratch[gl_SubgroupID] = v;                                       \
        barrier();                                                                             \
        type all = scratch[0];                                                                 \
        for (uint i = 1u; i < gl_NumSubgroups; i++) all = op(all, scratch[i]);                 \
        barrier();                                                                             \
        return all;                                                                            \
    }
#define ADD(a, b) ((a) + (b))
REDUCE(float, reduce_scratch, workgroup_sum, subgroupAdd, ADD)
REDUCE(float, reduce_scratch, workgroup_max, subgroupMax, max)
#ifdef REDUCE_UINT
REDUCE(uint, reduce_scratch_uint, workgroup_sum_uint, subgroupAdd, ADD)
REDUCE(uint, reduce_scratch_uint, workgroup_max_uint, subgroupMax, max)
#endif
#endif
