// A workgroup of one subgroup of eight lanes, the lanes of a processor's vector: for software drivers. Before: APART, whether this one
// loads as lavapipe does from Mesa 26 on (device_limits.loads_vectors): what is the same for all lanes once, what differs lane by lane.
// There a lane's number within its subgroup is a constant of the compiler's: eight loads of neighbouring places, each the same for all
// lanes, of which each lane keeps its own, become one load of a vector (EACH_LANE). Others would only take longer to compile it.
// Older ones load all lane by lane: there a lane loads one of eight neighbouring places, and a shuffle hands it to all (FOR_ALL); loads
// of the same eight places are one. The former was seen in the compiler's code, both were measured (SPEED.md).
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#define LANE gl_SubgroupInvocationID

// mine = `element`, an expression in i that is the same for all lanes, for i = LANE.
#define EACH_LANE(mine, i, element)                                                      \
    if (APART) {                                                                         \
        {                                                                                \
            const uint i = 0u;                                                           \
            mine = element;                                                              \
        }                                                                                \
        [[unroll]] for (uint i = 1u; i < 8u; i++) mine = mix(mine, element, LANE == i);  \
    } else {                                                                             \
        const uint i = LANE;                                                             \
        mine = element;                                                                  \
    }

// all = `element`, an expression in i, for i = at, the same for all lanes or within the eight places that at is in.
#define FOR_ALL(all, i, at, element)               \
    if (APART) {                                   \
        const uint i = at;                         \
        all = element;                             \
    } else {                                       \
        const uint i = (at) / 8u * 8u + LANE;      \
        all = subgroupShuffle(element, (at) % 8u); \
    }

// What is the same for all lanes is loaded even where no lane is on, and a loop that is left at its top runs once more for no lane: so
// addresses have to stay inside then, too. (Loops left at their ends were slower: what is summed is copied in each turn.)
//
// Loops that are to be unrolled count up to a number: Mesa 22.3 leaves others as loops, and ends a kernel after 65,535 turns.

float lanes_sum(float v)
{
    v += subgroupShuffle(v, LANE ^ 4u);
    v += subgroupShuffle(v, LANE ^ 2u);
    return v + subgroupShuffle(v, LANE ^ 1u);
}
