// Attention of many tokens (formula in attention.comp) by cooperative matrices: a workgroup takes BR query rows, tokens x query
// heads of one KV head, and streams tiles of BC positions of K, then of V, through shared memory as halves; tiles past the last
// position that a row sees are never read. Called from op_attention. E is a multiple of 32 and of PARTS * MN.
// Numerics: q is rounded to halves with a power of two a row (as in round_half.comp), taken back in f32 together with the scale;
// halves of the cache stay what they are, 8-bit blocks are decoded in f32 and rounded to halves (beyond +-65,504: infinite, as in
// a cache of halves). Scores, softmax and all sums are f32. Weights exp(score - top) become halves, 2^10 times as large; top is a
// row's largest score, but for what is less than LAZY above an earlier one, so that weights stay below 2^15 and what is 2^-34 of
// the largest still counts. They are divided by the sum of the rounded ones. Masked positions have weight 0.
// Where in a subgroup an element of a matrix lies is unknown, but the same for all matrices of a type: when a row's top grows,
// the sums, which stay in registers, are divided by a matrix that repeats the rows' growths (loaded with stride 0). Through
// shared memory that would be BR x E floats, and a diagonal matrix would have to be halves. LAZY makes it rare.
// Mapping: grid (block of rows, KV head of the window). Each subgroup has SM matrices of rows and one of PARTS of a tile's
// positions (scores), then of E (values). Softmax: a unit is a row's 8 neighbouring positions, always the same lane's. The next
// tile of K or V is loaded while this one is multiplied. Rows of shared memory are odd multiples of 16 bytes, as in
// matmul_matrix.comp. BC is a multiple of 8, MK, PARTS * MN.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_ATTENTION 1
#include "common.glsl"
#include "halves.glsl"
#include "matrix.glsl"

layout(constant_id = 1) const uint E = 128;
layout(constant_id = 2) const uint BR = 64;
layout(constant_id = 3) const uint BC = 32;
layout(constant_id = 4) const uint SM = 2;
layout(constant_id = 5) const uint MM = 16;
layout(constant_id = 6) const uint MN = 16;
layout(constant_id = 7) const uint MK = 16;
layout(constant_id = 8) const uint PARTS = 2;
#include "kv.glsl"

layout(set = 0, binding = 0, std430) readonly buffer qs { vec4 q[]; };
KV_READERS(k, 1)
KV_READERS(v, 2)
layout(set = 0, binding = 3, std430) readonly buffer steps { uint step_words[]; };
layout(set = 0, binding = 4, std430) writeonly buffer ys { vec4 y[]; };

const uint STRIDE = E / 8u + 1u, WEIGHT_STRIDE = BC / 8u + 1u; // uvec4 a row: of query and tile, of weights
const uint SCORE_STRIDE = BR + 4u;                             // floats a column
const uint PIECES = BC * (E / 8u), LOADS = (PIECES + WG - 1u) / WG;
const uint UNITS = BR * (BC / 8u), OWN = (UNITS + WG - 1u) / WG; // a lane's
const uint SCORE_COLS = BC / (PARTS * MN), VALUE_COLS = E / (PARTS * MN); // matrices a subgroup

#define LOWEST -3.0e38
#define LAZY 3.4 // below the logarithm of 2^5
#define WEIGHT_ONE 1024.0

shared uvec4 query[BR * STRIDE];
shared uvec4 tile[BC * STRIDE];
shared uvec4 weights[BR * WEIGHT_STRIDE];
shared uvec4 scores[BC * SCORE_STRIDE / 4u]; // floats, column after column; at the end PARTS * MN columns of the values
shared float tops[UNITS];               // of a unit: its largest score, at the end its sum of weights
shared float factors[BR];               // of a row: what undoes q's power of two, and the scale
shared uvec4 growths[BR / 4u];         // floats: of a row's top, as factors of its weights; first q's powers of two
shared uint grown;                      // whether any top has
KV_PACKED next[LOADS];
float next_scale[LOADS];

float score_at(uint column, uint r) { return uintBitsToFloat(scores[(column * SCORE_STRIDE + r) / 4u][r % 4u]); }

uint group() { return p.H / p.G; }
// Row r of this block counts through tokens, then heads; in q and y: t * H + h.
uint row_index(uint r) { return (p.block0 + gl_WorkGroupID.x) * BR + r; }
uint row_of(uint r)
{
    return row_index(r) / group() * p.H + (p.g0 + gl_WorkGroupID.y) * group() + row_index(r) % group();
}

uvec2 halves(vec4 x) { return uvec2(packFloat2x16(f16vec2(nearest_halves(x.xy))), packFloat2x16(f16vec2(nearest_halves(x.zw)))); }

#ifdef KV_Q8_0
uvec4 piece_of(uvec2 x, float d) { return uvec4(halves(d * kv_bytes_of(x.x)), halves(d * kv_bytes_of(x.y))); }
#else
uvec4 piece_of(uvec4 x, float d) { return x; }
#endif

// Positions first .. first + BC - 1 of K or V; past `end` its last one again.
#define FETCH(c, first)                                                                                        \
    [[unroll]] for (uint j = 0u; j < LOADS; j++) {                                                             \
        const uint i = min(gl_LocalInvocationIndex + j * WG, PIECES - 1u);                                     \
        const uint at = min((first) + i / (E / 8u), end - 1u);                                                 \
        next[j] = c##_packed(head, at, i % (E / 8u));                                                          \
        next_scale[j] = c##_scale(head, at, i % (E / 8u) / 4u);                                                \
    }

void put_tile()
{
    [[unroll]] for (uint j = 0u; j < LOADS; j++) {
        const uint i = gl_LocalInvocationIndex + j * WG;
        if (i < PIECES) tile[i / (E / 8u) * STRIDE + i % (E / 8u)] = piece_of(next[j], next_scale[j]);
    }
}

// Rounds n_rows rows of q into `query`, the others are 0; and their factors.
void put_query(uint n_rows)
{
    for (uint unit = gl_LocalInvocationIndex; unit < UNITS; unit += WG) {
        float top = 0.0;
        for (uint i = unit / BR; i < E / 4u && unit % BR < n_rows; i += BC / 8u) {
            const vec4 a = abs(q[row_of(unit % BR) * (E / 4u) + i]);
            top = max(top, max(max(a.x, a.y), max(a.z, a.w)));
        }
        tops[unit] = top;
    }
    barrier();
    for (uint r = gl_LocalInvocationIndex; r < BR; r += WG) {
        float top = 0.0;
        [[unroll]] for (uint c = 0u; c < BC / 8u; c++) top = max(top, tops[c * BR + r]);
        // the exponent of what brings it to 2^14 .. 2^15; of its inverse: 254 - up
        const uint up = min(268u - (floatBitsToUint(top) >> 23), 254u);
        growths[r / 4u][r % 4u] = up << 23;
        factors[r] = uintBitsToFloat((254u - up) << 23) * p.scale;
    }
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < BR * (E / 8u); i += WG) {
        const uint r = i / (E / 8u), piece = i % (E / 8u), at = row_of(r) * (E / 4u) + 2u * piece;
        uvec4 h = uvec4(0u);
        const float up = uintBitsToFloat(growths[r / 4u][r % 4u]);
        if (r < n_rows) h = uvec4(halves(q[at] * up), halves(q[at + 1u] * up));
        query[r * STRIDE + piece] = h;
    }
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, head = gl_WorkGroupID.y * p.C * KV_ROW_WORDS;
    const uint n_rows = min(BR, p.T * group() - row_index(0u)), past = STEP_PAST(step_words);
    const uint end = past + row_index(n_rows - 1u) / group() + 1u;
    const uint part = gl_SubgroupID % PARTS, sub_row = gl_SubgroupID / PARTS * (SM * MM);
    const uint sub_position = part * (BC / PARTS), sub_element = part * (E / PARTS);

    float top[OWN], sum[OWN]; // of the unit's row; of the unit
    [[unroll]] for (uint j = 0u; j < OWN; j++) top[j] = LOWEST, sum[j] = 0.0;
    MATRIX_C total[SM * VALUE_COLS];
    [[unroll]] for (uint i = 0u; i < SM * VALUE_COLS; i++) total[i] = MATRIX_C(0.0);

    FETCH(k, 0u)
    put_query(n_rows);
    for (uint first = 0u; first < end; first += BC) {
        put_tile();
        if (lane == 0u) grown = 0u;
        barrier();

        FETCH(v, first)
        MATRIX_C dots[SM * SCORE_COLS];
        [[unroll]] for (uint i = 0u; i < SM * SCORE_COLS; i++) dots[i] = MATRIX_C(0.0);
        for (uint i = 0u; i < E / MK; i++) {
            MATRIX_A rows[SM];
            [[unroll]] for (uint m = 0u; m < SM; m++)
                matrix_load_rows(rows[m], query, (sub_row + m * MM) * STRIDE + i * MK / 8u, STRIDE);
            [[unroll]] for (uint n = 0u; n < SCORE_COLS; n++) {
                MATRIX_B columns;
                matrix_load_columns(columns, tile, (sub_position + n * MN) * STRIDE + i * MK / 8u, STRIDE);
                [[unroll]] for (uint m = 0u; m < SM; m++)
                    dots[m * SCORE_COLS + n] = matrix_multiply_add(rows[m], columns, dots[m * SCORE_COLS + n]);
            }
        }
        [[unroll]] for (uint m = 0u; m < SM; m++)
            [[unroll]] for (uint n = 0u; n < SCORE_COLS; n++)
                matrix_store_columns(dots[m * SCORE_COLS + n], scores,
                                     ((sub_position + n * MN) * SCORE_STRIDE + sub_row + m * MM) / 4u, SCORE_STRIDE / 4u);
        barrier();

        put_tile();
        if (first + BC < end) {
            FETCH(k, first + BC)
        }
        float score[OWN * 8u];
        [[unroll]] for (uint j = 0u; j < OWN; j++) {
            const uint unit = min(lane + j * WG, UNITS - 1u), r = unit % BR, col = unit / BR * 8u;
            const uint seen = past + row_index(r) / group() + 1u;
            float most = LOWEST;
            [[unroll]] for (uint c = 0u; c < 8u; c++) {
                const float s = score_at(col + c, r) * factors[r];
                score[8u * j + c] = first + col + c < seen ? s : LOWEST;
                most = max(most, score[8u * j + c]);
            }
            tops[unit] = most;
        }
        barrier();

        [[unroll]] for (uint j = 0u; j < OWN; j++) {
            const uint unit = lane + j * WG, r = unit % BR;
            if (unit >= UNITS) continue;
            float most = top[j];
            [[unroll]] for (uint c = 0u; c < BC / 8u; c++) most = max(most, tops[c * BR + r]);
            if (most <= top[j] + LAZY) most = top[j];
            if (unit < BR) growths[r / 4u][r % 4u] = floatBitsToUint(exp(min(most - top[j], 80.0))); // finite
            if (unit < BR && most > top[j]) atomicOr(grown, 1u);
            sum[j] *= exp(top[j] - most);
            top[j] = most;
            uvec4 packed;
            [[unroll]] for (uint c = 0u; c < 4u; c++) {
                const vec2 s = vec2(score[8u * j + 2u * c], score[8u * j + 2u * c + 1u]);
                packed[c] = packFloat2x16(f16vec2(exp(s - most) * WEIGHT_ONE)); // LOWEST: 0
                const vec2 rounded = unpackHalf2x16(packed[c]);
                sum[j] += rounded.x + rounded.y;
            }
            weights[r * WEIGHT_STRIDE + unit / BR] = packed;
        }
        barrier();

        if (grown != 0u) {
            [[unroll]] for (uint m = 0u; m < SM; m++) {
                MATRIX_C growth;
                matrix_load_columns(growth, growths, (sub_row + m * MM) / 4u, 0u);
                [[unroll]] for (uint n = 0u; n < VALUE_COLS; n++) total[m * VALUE_COLS + n] = total[m * VALUE_COLS + n] / growth;
            }
        }
        for (uint i = 0u; i < BC / MK; i++) {
            MATRIX_A rows[SM];
            [[unroll]] for (uint m = 0u; m < SM; m++)
                matrix_load_rows(rows[m], weights, (sub_row + m * MM) * WEIGHT_STRIDE + i * MK / 8u, WEIGHT_STRIDE);
            [[unroll]] for (uint n = 0u; n < VALUE_COLS; n++) {
                MATRIX_B columns;
                matrix_load_rows(columns, tile, i * MK * STRIDE + (sub_element + n * MN) / 8u, STRIDE);
                [[unroll]] for (uint m = 0u; m < SM; m++)
                    total[m * VALUE_COLS + n] = matrix_multiply_add(rows[m], columns, total[m * VALUE_COLS + n]);
            }
        }
        barrier();
    }

    [[unroll]] for (uint j = 0u; j < OWN; j++)
        if (lane + j * WG < UNITS) tops[lane + j * WG] = sum[j];
    [[unroll]] for (uint n = 0u; n < VALUE_COLS; n++) {
        [[unroll]] for (uint m = 0u; m < SM; m++)
            matrix_store_columns(total[m * VALUE_COLS + n], scores, (part * MN * SCORE_STRIDE + sub_row + m * MM) / 4u,
                                 SCORE_STRIDE / 4u);
        barrier();
        for (uint i = lane; i < n_rows * (PARTS * MN / 4u); i += WG) {
            const uint r = i / (PARTS * MN / 4u), quad = i % (PARTS * MN / 4u), in_part = quad % (MN / 4u);
            float all = 0.0;
            [[unroll]] for (uint c = 0u; c < BC / 8u; c++) all += tops[c * BR + r];
            vec4 x;
            [[unroll]] for (uint c = 0u; c < 4u; c++) x[c] = score_at(4u * quad + c, r);
            y[row_of(r) * (E / 4u) + (quad / (MN / 4u) * (E / PARTS) + n * MN) / 4u + in_part] = x / all;
        }
        barrier();
    }
}
