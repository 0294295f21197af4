// The K foremost of n candidates (by logit, then lower id), and in the last pass one draw from them: the id goes to the step
// buffer and the ring of draws, the position advances. Called from op_sample: passes over slices of WG * ITEMS until one
// slice is left. FROM_LOGITS: the first pass, over logits f32 [n]; else over candidates [n].
// Numerics: MODEL.md 5 to the bit: a logit is compared as an integer that orders alike, NaN 0, and a place without a
// candidate, too; weights and sums are integers (runtime/sample.c).
// Mapping: a lane keeps ITEMS keys; bit by bit the workgroup finds the largest key that at least K are not below, and among
// equals of the last one the id up to which they are taken. Lanes then rank the chosen, and weigh one candidate each.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_SAMPLE 1
#define REDUCE_UINT 1
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const uint K = 1;
layout(constant_id = 2) const uint ITEMS = 8;
layout(constant_id = 3) const bool FROM_LOGITS = true;
layout(constant_id = 4) const bool DRAW = false;

const uint RING = 256u;

struct draw_parameters { float sharpness; uint top_p, min_weight, n; };
layout(set = 0, binding = 0, std430) readonly buffer logit_buffer { float logits[]; };
layout(set = 0, binding = 1, std430) readonly buffer ins { uvec2 candidates_in[]; };
layout(set = 0, binding = 2, std430) buffer outs { uvec2 candidates_out[]; };
layout(set = 0, binding = 3, std430) buffer draw_buffer { draw_parameters d; uint uniforms[RING]; uint ids[RING]; };
layout(set = 0, binding = 4, std430) buffer steps { uint step_words[]; };

shared uint n_chosen, end;
shared uvec2 chosen[K], sorted[K]; // key, id
shared uint weights[K];

uint key_of(float logit)
{
    const uint bits = floatBitsToUint(logit);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0u; // NaN
    if (bits << 1 == 0u) return 0x80000000u;           // -0 is 0
    return bits >> 31 != 0u ? ~bits : bits | 0x80000000u;
}
float logit_of(uint key) { return uintBitsToFloat(key >> 31 != 0u ? key & 0x7fffffffu : ~key); }

bool before(uvec2 a, uvec2 b) { return a.x > b.x || (a.x == b.x && a.y < b.y); }

uint id_at(uint i) { return FROM_LOGITS ? i : candidates_in[p.in_at + i].y; }

// The chosen of this slice, in order, in sorted[0 .. n_chosen).
void choose()
{
    const uint lane = gl_LocalInvocationIndex, first = gl_WorkGroupID.x * (WG * ITEMS) + lane;
    uint keys[ITEMS];
    [[unroll]] for (uint j = 0u; j < ITEMS; j++) {
        const uint i = first + j * WG;
        keys[j] = i >= p.n ? 0u : FROM_LOGITS ? key_of(logits[i]) : candidates_in[p.in_at + i].x;
    }
    uint least = 0u, ids_below = ~0u;
    if (K == 1u) {
        [[unroll]] for (uint j = 0u; j < ITEMS; j++) least = max(least, keys[j]);
        least = workgroup_max_uint(least);
    } else {
        for (uint bit = 0x80000000u; bit != 0u; bit >>= 1) {
            uint n = 0u;
            [[unroll]] for (uint j = 0u; j < ITEMS; j++) n += uint(keys[j] >= (least | bit));
            n = workgroup_sum_uint(n);
            if (n >= K) least |= bit;
            if (n == K) break;
        }
    }
    least = max(least, 1u); // what has no key is not chosen
    uint n_above = 0u, n_equal = 0u;
    [[unroll]] for (uint j = 0u; j < ITEMS; j++) {
        n_above += uint(keys[j] > least);
        n_equal += uint(keys[j] == least);
    }
    n_above = workgroup_sum_uint(n_above);
    n_equal = workgroup_sum_uint(n_equal);
    if (n_above + n_equal > K) {
        ids_below = 0u;
        for (uint bit = 0x80000000u; bit != 0u; bit >>= 1) {
            uint n = 0u;
            [[unroll]] for (uint j = 0u; j < ITEMS; j++)
                if (keys[j] == least) n += uint(id_at(first + j * WG) < (ids_below | bit));
            if (n_above + workgroup_sum_uint(n) <= K) ids_below |= bit;
        }
    }
    if (lane == 0u) n_chosen = 0u;
    barrier();
    [[unroll]] for (uint j = 0u; j < ITEMS; j++)
        if (keys[j] >= least) {
            const uint id = id_at(first + j * WG);
            if (keys[j] > least || id < ids_below) chosen[atomicAdd(n_chosen, 1u)] = uvec2(keys[j], id); // in any order
        }
    barrier();
    for (uint i = lane; i < n_chosen; i += WG) {
        uint rank = 0u;
        for (uint j = 0u; j < n_chosen; j++) rank += uint(before(chosen[j], chosen[i]));
        sorted[rank] = chosen[i];
    }
    barrier();
}

uint mul_high(uint a, uint b)
{
    uint high, low;
    umulExtended(a, b, high, low);
    return high;
}

// 64-bit numbers: y high, x low.
uvec2 add64(uvec2 a, uint b)
{
    uint carry;
    const uint low = uaddCarry(a.x, b, carry);
    return uvec2(low, a.y + carry);
}
bool less64(uvec2 a, uvec2 b) { return a.y < b.y || (a.y == b.y && a.x < b.x); }
// (n * f + plus) / 2^32, n below 2^48, the result below 2^64.
uvec2 scaled(uvec2 n, uint f, uint plus)
{
    uint high, low, carry;
    umulExtended(n.x, f, high, low);
    uaddCarry(low, plus, carry);
    uint high2, low2;
    umulExtended(n.y, f, high2, low2);
    return add64(add64(uvec2(low2, high2), high), carry);
}

// 2^30 2^-(distance / temperature), rounded: the series of 2^-z in 32-bit fractions.
uint weight_of(float best, float logit)
{
    const uint c[11] = uint[11](0xb17217f8u, 0x3d7f7bffu, 0x0e35846cu, 0x0276556eu, 0x00576200u, 0x000a1849u, 0x0000ffe6u,
                                0x0000162cu, 0x000001b5u, 0x0000001eu, 0x00000002u);
    if (logit == best) return 1u << 30;
    precise const float distance = best - logit;
    precise const float bits = distance * d.sharpness;
    if (!(bits < 31.0)) return 0u;
    const uint fixed_bits = uint(bits * 134217728.0), n = fixed_bits >> 27, z = fixed_bits << 5;
    uint sum = c[10];
    [[unroll]] for (int i = 9; i >= 0; i--) sum = c[i] - mul_high(z, sum);
    const uint w = (1u << 31) - (mul_high(z, sum) >> 1);
    return n > 30u ? 0u : ((w >> n) + 1u) >> 1;
}

void main()
{
    const uint lane = gl_LocalInvocationIndex;
    choose();
    if (!DRAW) {
        for (uint i = lane; i < K; i += WG)
            candidates_out[p.out_at + gl_WorkGroupID.x * K + i] = i < n_chosen ? sorted[i] : uvec2(0u);
        return;
    }
    for (uint i = lane; i < n_chosen; i += WG) weights[i] = weight_of(logit_of(sorted[0].x), logit_of(sorted[i].x));
    if (lane == 0u) end = n_chosen;
    barrier();
    uvec2 all = uvec2(0u), kept = uvec2(0u);
    for (uint i = 0u; i < n_chosen; i++) all = add64(all, weights[i]);
    const uvec2 enough = d.top_p >= 0x80000000u ? all : scaled(all, d.top_p << 1, ~0u); // rounded up
    for (uint i = lane; i < n_chosen; i += WG) {
        uvec2 sum = uvec2(0u);
        for (uint j = 0u; j < i; j++) sum = add64(sum, weights[j]);
        if (i > 0u && (!less64(sum, enough) || weights[i] < d.min_weight)) atomicMin(end, i);
    }
    barrier();
    for (uint i = 0u; i < end; i++) kept = add64(kept, weights[i]);
    if (lane != 0u) return;
    const uvec2 at = scaled(kept, uniforms[d.n % RING], 0u);
    uvec2 sum = uvec2(0u);
    uint id = 0u;
    for (uint i = 0u; i < end; i++) {
        sum = add64(sum, weights[i]);
        id = sorted[i].y;
        if (less64(at, sum)) break;
    }
    ids[d.n % RING] = id;
    d.n++;
    step_words[0]++; // past
    STEP_TOKEN(step_words, 0) = id;
}
