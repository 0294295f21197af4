// Attention of many tokens (formula in attention.comp): a workgroup takes BR query rows, tokens x query heads of one KV head, and
// streams tiles of BC positions through shared memory; tiles past the last position that a row sees are never read.
// Called from op_attention. E % 32 == 0.
// Numerics: online softmax over tiles, all in f32; masked positions have weight 0.
// Mapping: grid (block of rows, KV head of the window). Scores: COLS lanes across a tile, the others further rows. Softmax: WG / BR
// lanes a row. Values: a lane owns a quad of the output, E/4 lanes a row, the others further rows. WG >= E/4, BR divides WG.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_ATTENTION 1
#include "common.glsl"

layout(constant_id = 1) const uint E = 128;
layout(constant_id = 2) const uint BR = 16;
layout(constant_id = 3) const uint BC = 16; // a multiple of 4
#include "kv.glsl"

layout(set = 0, binding = 0, std430) readonly buffer qs { vec4 q[]; };
KV_READERS(k, 1)
KV_READERS(v, 2)
layout(set = 0, binding = 3, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 4, std430) writeonly buffer ys { vec4 y[]; };

const uint COLS = BC < 16u ? BC : 16u;
const uint SCORE_GROUPS = WG / COLS;
const uint SCORE_ROWS = (BR + SCORE_GROUPS - 1u) / SCORE_GROUPS; // a lane
const uint SCORE_COLS = BC / COLS;
const uint SHARING = WG / BR; // lanes that share a row's softmax
const uint VALUE_GROUPS = WG / (E / 4u);
const uint VALUE_ROWS = (BR + VALUE_GROUPS - 1u) / VALUE_GROUPS; // a lane
const uint STRIDE = E / 4u + 1u; // of a tile's rows: lanes that read one column each touch different banks

#define LOWEST -3.0e38

shared vec4 query[BR * E / 4u];
shared vec4 tile[BC * STRIDE];
shared float scores[BR * BC];
shared vec4 weights[BR * BC / 4u];
shared float shrinks[BR];
shared float sums[WG]; // of the weights, SHARING a row

uint group() { return p.H / p.G; }
// Row r of this block counts through tokens, then heads; in q and y: t * H + h.
uint row_index(uint r) { return (p.block0 + gl_WorkGroupID.x) * BR + r; }
uint row_of(uint r)
{
    return row_index(r) / group() * p.H + (p.g0 + gl_WorkGroupID.y) * group() + row_index(r) % group();
}

// Positions first .. first + BC - 1 of K or V; past `end` its last one again.
#define TILE_LOAD(c)                                                                                           \
    for (uint i = gl_LocalInvocationIndex; i < BC * (E / 8u); i += WG) {                                       \
        const uint n = i / (E / 8u), piece = i % (E / 8u), at = min(first + n, end - 1u);                      \
        vec4 x[2];                                                                                             \
        c##_piece(head, at, piece, x);                                                                         \
        const float d = c##_scale(head, at, piece / 4u);                                                       \
        tile[n * STRIDE + 2u * piece] = d * x[0];                                                              \
        tile[n * STRIDE + 2u * piece + 1u] = d * x[1];                                                         \
    }

// Row r's score of a position that it does not see is LOWEST.
void score_tile(uint first)
{
    const uint col = gl_LocalInvocationIndex % COLS, row = gl_LocalInvocationIndex / COLS;
    float sum[SCORE_ROWS][SCORE_COLS];
    [[unroll]] for (uint r = 0u; r < SCORE_ROWS; r++)
        [[unroll]] for (uint c = 0u; c < SCORE_COLS; c++) sum[r][c] = 0.0;
    for (uint i = 0u; i < E / 4u; i++) {
        vec4 x[SCORE_COLS];
        [[unroll]] for (uint c = 0u; c < SCORE_COLS; c++) x[c] = tile[(col + c * COLS) * STRIDE + i];
        [[unroll]] for (uint r = 0u; r < SCORE_ROWS; r++) {
            const vec4 a = query[min(row + r * SCORE_GROUPS, BR - 1u) * (E / 4u) + i];
            [[unroll]] for (uint c = 0u; c < SCORE_COLS; c++) sum[r][c] += dot(a, x[c]);
        }
    }
    [[unroll]] for (uint r = 0u; r < SCORE_ROWS; r++) {
        const uint at = row + r * SCORE_GROUPS;
        const uint seen = STEP_PAST(step_words) + row_index(at) / group() + 1u;
        [[unroll]] for (uint c = 0u; c < SCORE_COLS; c++)
            if (at < BR) scores[at * BC + col + c * COLS] = first + col + c * COLS < seen ? sum[r][c] : LOWEST;
    }
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, head = gl_WorkGroupID.y * p.C * KV_ROW_WORDS;
    const uint n_rows = min(BR, p.T * group() - row_index(0u));
    const uint end = STEP_PAST(step_words) + row_index(n_rows - 1u) / group() + 1u;

    for (uint i = lane; i < BR * (E / 4u); i += WG)
        query[i] = i / (E / 4u) < n_rows ? q[row_of(i / (E / 4u)) * (E / 4u) + i % (E / 4u)] * p.scale : vec4(0.0);

    const uint own = lane / SHARING, own_col = lane % SHARING; // of the softmax
    float top = LOWEST, sum = 0.0;
    const uint quad = lane % (E / 4u), own_row = lane / (E / 4u); // of the output
    vec4 total[VALUE_ROWS];
    [[unroll]] for (uint r = 0u; r < VALUE_ROWS; r++) total[r] = vec4(0.0);

    for (uint first = 0u; first < end; first += BC) {
        TILE_LOAD(k)
        barrier();
        score_tile(first);
        barrier();
        if (own < BR) {
            float most = top;
            for (uint c = 0u; c < BC; c++) most = max(most, scores[own * BC + c]);
            const float shrink = exp(top - most);
            sum *= shrink;
            for (uint c = own_col; c < BC; c += SHARING) {
                const float score = scores[own * BC + c], weight = score > LOWEST ? exp(score - most) : 0.0;
                weights[(own * BC + c) / 4u][c % 4u] = weight;
                sum += weight;
            }
            top = most;
            if (own_col == 0u) shrinks[own] = shrink;
        }
        TILE_LOAD(v)
        barrier();
        [[unroll]] for (uint r = 0u; r < VALUE_ROWS; r++) total[r] *= shrinks[min(own_row + r * VALUE_GROUPS, BR - 1u)];
        for (uint c = 0u; c < BC / 4u; c++) {
            vec4 x[4];
            [[unroll]] for (uint i = 0u; i < 4u; i++) x[i] = tile[(4u * c + i) * STRIDE + quad];
            [[unroll]] for (uint r = 0u; r < VALUE_ROWS; r++) {
                const vec4 weight = weights[min(own_row + r * VALUE_GROUPS, BR - 1u) * (BC / 4u) + c];
                total[r] += weight.x * x[0] + weight.y * x[1] + weight.z * x[2] + weight.w * x[3];
            }
        }
        barrier();
    }

    sums[lane] = sum;
    barrier();
    [[unroll]] for (uint r = 0u; r < VALUE_ROWS; r++) {
        const uint at = own_row + r * VALUE_GROUPS;
        if (own_row >= VALUE_GROUPS || at >= n_rows) continue;
        float all = 0.0;
        for (uint i = 0u; i < SHARING; i++) all += sums[at * SHARING + i];
        y[row_of(at) * (E / 4u) + quad] = total[r] / all;
    }
}
