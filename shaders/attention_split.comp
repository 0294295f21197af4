// Attention of few tokens (formula in attention.comp), the length shared by SLICES workgroups: each reads its slice of K and V
// once for up to ROWS query rows, tokens x query heads of one KV head. The last of a KV head to finish joins their parts
// (JOIN), or attention_join.comp does. Called from op_attention. E % 32 == 0.
// Numerics: online softmax in f32 over chunks of positions; masked positions have weight 0.
// Mapping: grid (slice, KV head of the window, block of rows). Scores: four lanes share a position, each reads every fourth
// piece of 8 elements. Values: a lane owns a piece, E/8 lanes a position, the others further positions. WG >= E/8, WG % 16 == 0.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_memory_scope_semantics : require
#define PUSH_ATTENTION 1
#include "common.glsl"

layout(constant_id = 1) const uint E = 128;
layout(constant_id = 2) const uint ROWS = 8; // 1, 2, 4 or 8
layout(constant_id = 3) const uint SLICES = 32; // <= CHUNK
layout(constant_id = 4) const bool JOIN = true;
#include "kv.glsl"

layout(set = 0, binding = 0, std430) readonly buffer qs { vec4 q[]; };
KV_READERS(k, 1)
KV_READERS(v, 2)
layout(set = 0, binding = 3, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 4, std430) coherent buffer ys { vec4 y[]; };
layout(set = 0, binding = 5, std430) coherent buffer partss { vec4 parts[]; };
layout(set = 0, binding = 6, std430) coherent buffer counters { uint n_done[]; }; // 0 before and after

const uint STEPS = 2u;                 // positions four lanes take at once
const uint CHUNK = STEPS * WG / 4u;    // positions a workgroup takes at once
const uint PIECES = E / 8u;
const uint GROUPS = WG / PIECES;       // of lanes that own all pieces, in the value product
const uint BLOCKS = (CHUNK / 4u + GROUPS - 1u) / GROUPS; // of four positions, for each of them
const uint AT_ONCE = ROWS * STEPS > 8u ? ROWS * STEPS / 8u : 1u; // rows whose groups are added at once

shared vec4 query[ROWS * E / 4u];
const uint HEADS = ROWS * CHUNK > 2u * WG ? ROWS * CHUNK : 2u * WG;
shared vec4 heads[HEADS]; // in turn: quarters of scores, weights, sums of groups, heads of parts
shared float scores[ROWS * CHUNK];
shared float shrinks[ROWS];
shared uint last;

#include "parts.glsl"

uint group() { return p.H / p.G; }
// Row r of this block counts through tokens, then heads; in q and y: t * H + h.
uint row_index(uint r) { return gl_WorkGroupID.z * ROWS + r; }
uint row_of(uint r)
{
    return row_index(r) / group() * p.H + (p.g0 + gl_WorkGroupID.y) * group() + row_index(r) % group();
}
PARTS_JOIN(row_of)

// How many positions row r sees.
uint seen(uint r) { return row_index(r) < p.T * group() ? STEP_PAST(step_words) + row_index(r) / group() + 1u : 0u; }

// heads = for each row and position a quarter of the score in each component.
void score_chunk(uint head, uint first, uint end)
{
    const uint lane = gl_LocalInvocationIndex, quarter = lane % 4u;
    float part[STEPS][ROWS];
    [[unroll]] for (uint s = 0u; s < STEPS; s++)
        [[unroll]] for (uint r = 0u; r < ROWS; r++) part[s][r] = 0.0;
    [[unroll]] for (uint b = 0u; b < E / 32u; b++) {
        const uint piece = 4u * b + quarter;
        vec4 x[STEPS][2];
        [[unroll]] for (uint s = 0u; s < STEPS; s++) {
            const uint n = min(first + s * (WG / 4u) + lane / 4u, end - 1u);
            k_piece(head, n, piece, x[s]);
            const float d = k_scale(head, n, b);
            x[s][0] *= d;
            x[s][1] *= d;
        }
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            const vec4 q0 = query[r * (E / 4u) + 2u * piece], q1 = query[r * (E / 4u) + 2u * piece + 1u];
            [[unroll]] for (uint s = 0u; s < STEPS; s++) part[s][r] += dot(q0, x[s][0]) + dot(q1, x[s][1]);
        }
    }
    [[unroll]] for (uint s = 0u; s < STEPS; s++)
        [[unroll]] for (uint r = 0u; r < ROWS; r++) heads[r * CHUNK + s * (WG / 4u) + lane / 4u][quarter] = part[s][r];
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, head = gl_WorkGroupID.y * p.C * KV_ROW_WORDS;
    const uint n_positions = STEP_PAST(step_words) + p.T, length = slice_length(n_positions, CHUNK);
    const uint n_slices = (n_positions + length - 1u) / length, slice = gl_WorkGroupID.x;
    if (slice >= n_slices) return;
    const uint begin = slice * length, end = min(begin + length, n_positions);
    const uint n_rows = min(ROWS, p.T * group() - gl_WorkGroupID.z * ROWS);

    for (uint i = lane; i < ROWS * (E / 4u); i += WG)
        query[i] = i / (E / 4u) < n_rows ? q[row_of(i / (E / 4u)) * (E / 4u) + i % (E / 4u)] * p.scale : vec4(0.0);
    barrier();

    // of the row whose softmax this lane shares: CHUNK / 4 lanes a row, four positions each
    const uint own = lane / (CHUNK / 4u), own_at = lane % (CHUNK / 4u) * 4u, own_seen = own < ROWS ? seen(own) : 0u;
    float top = LOWEST, sum = 0.0;
    // of the value product
    const uint piece = lane % PIECES, lanes = lane / PIECES;
    vec4 total[ROWS][2];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) total[r][0] = total[r][1] = vec4(0.0);

    for (uint first = begin; first < end; first += CHUNK) {
        score_chunk(head, first, end);
        barrier();
        for (uint i = lane; i < ROWS * CHUNK; i += WG) {
            const vec4 part = heads[i];
            scores[i] = first + i % CHUNK < seen(i / CHUNK) ? part.x + part.y + part.z + part.w : LOWEST;
        }
        barrier();
        if (own < ROWS) {
            float most = top;
            for (uint i = 0u; i < CHUNK; i++) most = max(most, scores[own * CHUNK + i]);
            vec4 weight;
            [[unroll]] for (uint i = 0u; i < 4u; i++)
                weight[i] = first + own_at + i < min(own_seen, end) ? exp(scores[own * CHUNK + own_at + i] - most) : 0.0;
            const float shrink = exp(top - most);
            sum = sum * shrink + (weight.x + weight.y) + (weight.z + weight.w);
            top = most;
            heads[(own * CHUNK + own_at) / 4u] = weight;
            if (own_at == 0u) shrinks[own] = shrink;
        }
        barrier();
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            total[r][0] *= shrinks[r];
            total[r][1] *= shrinks[r];
        }
        [[unroll]] for (uint b = 0u; b < BLOCKS; b++) {
            const uint block = lanes + b * GROUPS; // lanes past the last group find no block
            if (lanes >= GROUPS || block >= CHUNK / 4u || first + 4u * block >= end) continue;
            vec4 x[4][2];
            [[unroll]] for (uint i = 0u; i < 4u; i++) {
                const uint n = min(first + 4u * block + i, end - 1u);
                v_piece(head, n, piece, x[i]);
                const float d = v_scale(head, n, piece / 4u);
                x[i][0] *= d;
                x[i][1] *= d;
            }
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                const vec4 weight = heads[r * (CHUNK / 4u) + block];
                [[unroll]] for (uint i = 0u; i < 4u; i++) {
                    total[r][0] += weight[i] * x[i][0];
                    total[r][1] += weight[i] * x[i][1];
                }
            }
        }
        barrier();
    }

    if (own < ROWS) scores[own * (CHUNK / 4u) + own_at / 4u] = sum;
    if (own < ROWS && own_at == 0u) shrinks[own] = top;
    [[unroll]] for (uint r0 = 0u; r0 < ROWS; r0 += AT_ONCE) {
        [[unroll]] for (uint r = 0u; r < AT_ONCE; r++)
            if (lanes < GROUPS) {
                heads[r * 2u * WG + 2u * lane] = total[r0 + r][0];
                heads[r * 2u * WG + 2u * lane + 1u] = total[r0 + r][1];
            }
        barrier();
        for (uint i = lane; i < AT_ONCE * (E / 4u); i += WG) {
            const uint r = i / (E / 4u), quad = i % (E / 4u);
            vec4 all = vec4(0.0);
            float weights = 0.0;
            for (uint g = 0u; g < GROUPS; g++) all += heads[r * 2u * WG + g * (E / 4u) + quad];
            for (uint j = 0u; j < CHUNK / 4u; j++) weights += scores[(r0 + r) * (CHUNK / 4u) + j];
            if (r0 + r >= n_rows) continue;
            const uint row = row_of(r0 + r), at = (row * SLICES + slice) * PART_VECS;
            if (n_slices == 1u) {
                y[row * (E / 4u) + quad] = all / weights;
            } else {
                parts[at + quad] = all;
                if (quad == 0u) parts[at + E / 4u] = vec4(shrinks[r0 + r], weights, 0.0, 0.0);
            }
        }
        barrier();
    }

    if (!JOIN || n_slices == 1u) return;
    // what all lanes wrote comes before lane 0's count, for whoever sees that
    controlBarrier(gl_ScopeWorkgroup, gl_ScopeDevice, gl_StorageSemanticsBuffer | gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);
    memoryBarrierBuffer();
    const uint counter = gl_WorkGroupID.z * p.G + p.g0 + gl_WorkGroupID.y;
    if (lane == 0u) last = atomicAdd(n_done[counter], 1u) + 1u;
    barrier();
    if (last < n_slices) return;
    memoryBarrierBuffer();
    if (lane == 0u) n_done[counter] = 0u;
    parts_join(n_rows, n_slices);
}
