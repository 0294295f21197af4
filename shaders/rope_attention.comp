// One token between its projections and the output projection, a KV head a workgroup: its query heads and key are normed (NORM)
// or get their biases (BIAS), and RoPE; key and value go to position P of the caches; then attention. The formulas are those of
// qk_norm_rope_kv.comp, bias_rope_kv.comp and attention.comp; q, k and v are only read.
// Called for op_qk_norm_rope_kv or op_bias_rope_kv and the op_attention behind it (T = 1), on software drivers: a dispatch there costs
// as much as the work. Everything but the step is reached by address.
// Numerics: f32; online softmax over chunks of positions. Angles in rope.glsl, caches in kv_layout.h.
// Mapping: eight lanes (lanes.glsl) share the words of a position, neighbours next to each other, of keys and of values. E % 32 == 0.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#define PUSH_ROPE_ATTENTION 1
#include "common.glsl"
#include "reduce.glsl"
#include "rope.glsl"

layout(constant_id = 1) const uint E = 128;
layout(constant_id = 2) const uint QUERIES = 2; // query heads a KV head
layout(constant_id = 3) const bool NEIGHBOURS = false; // pairs (2i, 2i + 1), else (i, i + E/2)
layout(constant_id = 4) const bool NORM = true;
layout(constant_id = 5) const bool BIAS = false;
layout(constant_id = 6) const bool APART = true;
#include "lanes.glsl"

layout(set = 0, binding = 0, std430) readonly buffer steps { uint step_words[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer floats_in { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) writeonly buffer floats_out { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer cache_words { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer turns_in { uvec2 v[]; };

const uint CHUNK = 8u * WG; // positions between two looks at the largest score
const uint STEPS = 4u;      // positions of values at once

shared float row[E];
shared vec2 cos_sins[E / 2u];
shared float query[QUERIES * E];
shared float scores[QUERIES * CHUNK + STEPS]; // read once more for no lane (lanes.glsl)

#define k_cache cache_words(p.keys).v
#define v_cache cache_words(p.values).v
#include "kv_write.glsl"

// A word of a cache, and the elements in it over their scale.
#ifdef KV_Q8_0
const uint WORD = 4u;
vec4 elements(uint w) { return vec4(int(w << 24) >> 24, int(w << 16) >> 24, int(w << 8) >> 24, int(w) >> 24); }
float scale_of(uint word, uint block) { return unpackHalf2x16(word >> (16u * (block & 1u))).x; }
#define SCALE(cache, head, n, block) scale_of(cache[head + p.C * (E / 4u) + (n) * KV_SCALE_WORDS + (block) / 2u], block)
#else
const uint WORD = 2u;
vec4 elements(uint w) { return vec4(unpackHalf2x16(w), 0.0, 0.0); }
#define SCALE(cache, head, n, block) 1.0
#endif
const uint ROW = E / WORD;        // words of a position
const uint OWN = ROW / WG;        // of them a lane's
const uint BLOCK = 32u / WORD;    // words that share a scale
const uint SUMS = OWN * WORD;     // elements of the output that a lane sums, for each query

// row = the head at `x`, with bias or norm.
void load_head(uvec2 x, uint head, uvec2 w, bool norm)
{
    float sum = 0.0;
    [[unroll]] for (uint j = 0u; j < E / WG; j++) {
        const uint i = j * WG + LANE;
        float a = floats_in(x).v[head * E + i];
        if (BIAS) a += floats_in(w).v[head * E + i];
        row[i] = a;
        sum += a * a;
    }
    const float scale = NORM && norm ? 1.0 / sqrt(workgroup_sum(sum) / float(E) + p.eps) : 1.0;
    if (NORM && norm)
        [[unroll]] for (uint j = 0u; j < E / WG; j++) {
            const uint i = j * WG + LANE;
            row[i] *= scale * floats_in(w).v[i];
        }
    barrier();
}

// Turned, pair by pair: to row, or as a query times the scale of scores.
void turn_head(bool is_query, uint r)
{
    [[unroll]] for (uint j = 0u; j < E / 2u / WG; j++) {
        const uint i = j * WG + LANE;
        const uint at0 = pair_first(i, E, NEIGHBOURS), at1 = pair_second(i, E, NEIGHBOURS);
        const vec2 cs = cos_sins[i];
        const float a = row[at0], b = row[at1];
        const vec2 turned = vec2(a * cs.x - b * cs.y, a * cs.y + b * cs.x);
        if (is_query) {
            query[r * E + at0] = turned.x * p.scale;
            query[r * E + at1] = turned.y * p.scale;
        } else {
            row[at0] = turned.x;
            row[at1] = turned.y;
        }
    }
    barrier();
}

// A lane's elements of the queries, which lie as those of a position's words do.
float own_query[QUERIES * SUMS];

#define LANES_OF(cache, word, at) EACH_LANE(word, i, cache[(at) + i])

// The products of the queries with the key at position n.
void score_position(uint head, uint n, out float score[QUERIES])
{
    [[unroll]] for (uint r = 0u; r < QUERIES; r++) score[r] = 0.0;
    [[unroll]] for (uint j = 0u; j < OWN; j++) {
        uint word;
        LANES_OF(k_cache, word, head + n * ROW + j * WG)
        const vec4 x = elements(word);
        const float d = SCALE(k_cache, head, n, j * WG / BLOCK);
        [[unroll]] for (uint r = 0u; r < QUERIES; r++) {
            float part = 0.0;
            [[unroll]] for (uint c = 0u; c < WORD; c++) part = fma(own_query[r * SUMS + j * WORD + c], x[c], part);
            score[r] = fma(part, d, score[r]);
        }
    }
    [[unroll]] for (uint r = 0u; r < QUERIES; r++) score[r] = lanes_sum(score[r]);
}

// scores[r * CHUNK + i] of positions first + i for each query; the largest of this lane's. Past `end`: LOWEST.
#define LOWEST -3.0e38
void score_chunk(uint head, uint first, uint end, out float most[QUERIES])
{
    [[unroll]] for (uint r = 0u; r < QUERIES; r++) most[r] = LOWEST;
    for (uint at = 0u; first + at < end; at += WG) {
        float mine[QUERIES], score[QUERIES];
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            score_position(head, min(first + at + i, end - 1u), score);
            [[unroll]] for (uint r = 0u; r < QUERIES; r++) mine[r] = i == 0u ? score[r] : mix(mine[r], score[r], LANE == i);
        }
        [[unroll]] for (uint r = 0u; r < QUERIES; r++) {
            if (first + at + LANE >= end) mine[r] = LOWEST;
            scores[r * CHUNK + at + LANE] = mine[r];
            most[r] = max(most[r], mine[r]);
        }
    }
}

void main()
{
    const uint lane = LANE, g = gl_WorkGroupID.x, head = g * p.C * KV_ROW_WORDS;
    const uint position = STEP_PAST(step_words), n_positions = position + 1u;
    [[unroll]] for (uint j = 0u; j < E / 2u / WG; j++) {
        const uint i = j * WG + lane;
        cos_sins[i] = cos_sin_at(position, turns_in(p.turns).v[i]);
    }
    load_head(p.v, g, p.v_weight, false);
    kv_write(true, head, position);
    barrier();
    load_head(p.k, g, p.k_weight, true);
    turn_head(false, 0u);
    kv_write(false, head, position);
    barrier();
    for (uint r = 0u; r < QUERIES; r++) {
        load_head(p.q, g * QUERIES + r, p.q_weight, true);
        turn_head(true, r);
    }
    memoryBarrierBuffer();
    barrier();
    [[unroll]] for (uint r = 0u; r < QUERIES; r++)
        [[unroll]] for (uint i = 0u; i < SUMS; i++) own_query[r * SUMS + i] = query[r * E + (i / WORD * WG + lane) * WORD + i % WORD];

    float top[QUERIES], sum[QUERIES], total[QUERIES * SUMS], most[QUERIES];
    [[unroll]] for (uint r = 0u; r < QUERIES; r++) top[r] = LOWEST, sum[r] = 0.0;
    [[unroll]] for (uint i = 0u; i < QUERIES * SUMS; i++) total[i] = 0.0;
    for (uint first = 0u; first < n_positions; first += CHUNK) {
        const uint end = min(first + CHUNK, n_positions), n = end - first;
        score_chunk(head, first, end, most);
        [[unroll]] for (uint r = 0u; r < QUERIES; r++) {
            const float higher = max(top[r], workgroup_max(most[r])), shrink = exp(top[r] - higher);
            top[r] = higher;
            sum[r] *= shrink;
            [[unroll]] for (uint i = 0u; i < SUMS; i++) total[r * SUMS + i] *= shrink;
            for (uint at = 0u; at < n; at += WG) {
                const float weight = exp(scores[r * CHUNK + at + lane] - higher);
                scores[r * CHUNK + at + lane] = weight;
                sum[r] += weight;
            }
        }
        barrier();
        for (uint at = 0u; at < n; at += STEPS) // weights past the end are 0
            [[unroll]] for (uint s = 0u; s < STEPS; s++) {
                const uint own = min(first + at + s, end - 1u);
                [[unroll]] for (uint j = 0u; j < OWN; j++) {
                    uint word;
                    LANES_OF(v_cache, word, head + own * ROW + j * WG)
                    const vec4 x = elements(word) * SCALE(v_cache, head, own, j * WG / BLOCK);
                    [[unroll]] for (uint r = 0u; r < QUERIES; r++)
                        [[unroll]] for (uint c = 0u; c < WORD; c++)
                            total[r * SUMS + j * WORD + c] = fma(scores[r * CHUNK + at + s], x[c], total[r * SUMS + j * WORD + c]);
                }
            }
        barrier();
    }
    [[unroll]] for (uint r = 0u; r < QUERIES; r++) {
        const float scale = 1.0 / workgroup_sum(sum[r]);
        [[unroll]] for (uint i = 0u; i < SUMS; i++)
            floats_out(p.y).v[(g * QUERIES + r) * E + (i / WORD * WG + lane) * WORD + i % WORD] = total[r * SUMS + i] * scale;
    }
}
