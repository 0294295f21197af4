// y[t, n] (+)= sum_k x[t, k] * W[n, k], for COLS tokens at most; decode on GPUs.
// NORM: of rms(x[t, :], norm) instead of x, so that the norm is no step of its own. GATED: y = silu(x W^T) * (x U^T).
// W, U: packed rows of this part (weights.glsl); x, y f32 row-major. Called from op_matmul, op_norm_matmuls and
// op_norm_gate_up.
// DOT, for one token: x is rounded to 8 bits by blocks of 32, as round_bytes.comp does it, in the registers of the lane that owns
// the block; a weight then costs a quarter of a packed dot product instead of a conversion and two float operations.
// Numerics: weights decoded to f32 (DOT: block sums exact in integers), f32 sums; the order depends only on the specialization constants. The norm's root mean
// square divides the sums at the end: the squares are added where x is loaded for the product anyway.
// Mapping (matvec_rows.comp is the other one): a workgroup owns NR rows and its lanes share K by blocks of 32, then reduce
// all sums at once: neighbouring lanes read neighbouring 16 bytes of weights, NR rows of them in flight. For one token x goes through shared memory, turned so that both sides of it are read side by side, and once for
// all rows. The grid is groups_x wide; COLS tokens from column gl_WorkGroupID.z * COLS.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PUSH_MATMUL 1
#define WEIGHTS_TWO 1
#include "common.glsl"

layout(constant_id = 3) const uint NR = 1;
layout(constant_id = 4) const uint COLS = 1;
layout(constant_id = 5) const bool TAIL = false; // k is not a multiple of 32: guard the last block
layout(constant_id = 6) const bool NORM = false;
layout(constant_id = 7) const bool GATED = false;

#include "weights.glsl"
#include "reduce.glsl"
#ifdef DOT
#include "dot.glsl"
#endif

layout(set = 0, binding = 1, std430) readonly buffer xs1 { float x1[]; };
layout(set = 0, binding = 1, std430) readonly buffer xs4 { vec4 x4[]; };
layout(set = 0, binding = 2, std430) buffer ys { float y[]; };
layout(set = 0, binding = 3, std430) readonly buffer norms1 { float norm1[]; };
layout(set = 0, binding = 3, std430) readonly buffer norms4 { vec4 norm4[]; };

const uint MATRICES = GATED ? 2u : 1u;
const uint SQUARES = NR * COLS * MATRICES; // sums before it: matrix, row, column; from there on: squares of the columns
const uint N_SUMS = SQUARES + (NORM ? COLS : 0u);
float sums[N_SUMS];

vec4 x_load(uint at, uint b, uint i)
{
    if (!TAIL) return x4[at / 4u + b * 8u + i];
    vec4 x;
    [[unroll]] for (uint j = 0u; j < 4u; j++) {
        const uint k = b * 32u + i * 4u + j;
        x[j] = k < p.k ? x1[at + k] : 0.0;
    }
    return x;
}

vec4 norm_load(uint b, uint i)
{
    if (!TAIL) return norm4[b * 8u + i];
    vec4 w;
    [[unroll]] for (uint j = 0u; j < 4u; j++) w[j] = norm1[min(b * 32u + i * 4u + j, p.k - 1u)]; // past k: x is 0
    return w;
}

// Adds block b's products with w to the sums from first_sum on; in the first row of a block, squares, too.
void add_block(uint b, uint col0, uint first_sum, bool first, vec4 w[8])
{
    [[unroll]] for (uint c = 0u; c < COLS; c++) {
        const uint at = p.x_at + min(col0 + c, p.T - 1u) * p.k;
        float sum = 0.0, squares = 0.0;
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            vec4 x = x_load(at, b, i);
            if (NORM) {
                if (first) squares += dot(x, x);
                x *= norm_load(b, i);
            }
            sum += dot(w[i], x);
        }
        sums[first_sum + c] += sum;
        if (NORM && first) sums[SQUARES + c] += squares;
    }
}

// NR rows of one matrix, one block.
void add_shared_rows(uint which, uint row0, uint col0, uint b, uint k_padded)
{
    matrix = which;
    [[unroll]] for (uint r = 0u; r < NR; r++) {
        vec4 w[8];
        // rows past the end (rows % NR) re-read the last one and are not stored
        block_load(row_base(min(row0 + r, p.rows - 1u), p.row_words), b, k_padded, w);
        add_block(b, col0, (which * NR + r) * COLS, which == 0u && r == 0u, w);
    }
}

// One token: x of the blocks first_block .. + WG - 1, normed, part i of block j at i * STRIDE + j.
const bool STAGED = COLS == 1u;
const uint STRIDE = WG + 1u; // no two lanes that write side by side meet in a bank
shared vec4 staged[STAGED ? 8u * STRIDE : 1u];

void stage(uint col, uint first_block, uint n_blocks)
{
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const uint at = i * WG + gl_LocalInvocationIndex, b = first_block + at / 8u;
        vec4 x = vec4(0.0);
        if (b < n_blocks) {
            x = x_load(p.x_at + col * p.k, b, at % 8u);
            if (NORM) {
                sums[SQUARES] += dot(x, x);
                x *= norm_load(b, at % 8u);
            }
        }
        staged[at % 8u * STRIDE + at / 8u] = x;
    }
}

// NR rows of one matrix, one block, with x of it.
void add_staged_rows(uint which, uint row0, uint b, uint k_padded, vec4 x[8])
{
    matrix = which;
    [[unroll]] for (uint r = 0u; r < NR; r++) {
        vec4 w[8];
        block_load(row_base(min(row0 + r, p.rows - 1u), p.row_words), b, k_padded, w);
        float sum = 0.0;
        [[unroll]] for (uint i = 0u; i < 8u; i++) sum += dot(w[i], x[i]);
        sums[which * NR + r] += sum;
    }
}

#ifdef DOT
// x = d * q in integers, four in a word; d times the sums of q over both halves.
struct rounded_block {
    ivec4 q[2];
    float d;
    vec2 sums;
};

rounded_block round_block(vec4 x[8])
{
    rounded_block block;
    float top = 0.0;
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const vec4 a = abs(x[i]);
        top = max(top, max(max(a.x, a.y), max(a.z, a.w)));
    }
    const float inverse = top > 0.0 ? 127.0 / top : 0.0;
    ivec2 sums = ivec2(0);
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        const ivec4 q = clamp(ivec4(roundEven(x[i] * inverse)), -127, 127);
        sums[i / 4u] += q.x + q.y + q.z + q.w;
        block.q[i / 4u][i % 4u] = (q.x & 255) | (q.y & 255) << 8 | (q.z & 255) << 16 | q.w << 24;
    }
    block.d = top / 127.0;
    block.sums = block.d * vec2(sums);
    return block;
}

int dot16(ivec4 a, ivec4 b) { return dot4(a.x, b.x) + dot4(a.y, b.y) + dot4(a.z, b.z) + dot4(a.w, b.w); }

// NR rows of one matrix, one block, with the rounded x of it.
void add_dot_rows(uint which, uint row0, uint b, uint k_padded, rounded_block x)
{
    matrix = which;
    [[unroll]] for (uint r = 0u; r < NR; r++) {
        ivec4 q[2];
        vec2 s, m;
        block_ints(row_base(min(row0 + r, p.rows - 1u), p.row_words), b, k_padded, q, s, m);
        const vec2 products = vec2(dot16(q[0], x.q[0]), dot16(q[1], x.q[1]));
        sums[which * NR + r] += x.d * dot(s, products) - dot(m, x.sums);
    }
}
#endif

void store(uint row, uint col, uint r, uint c)
{
    const float scale = NORM ? 1.0 / sqrt(sums[SQUARES + c] / float(p.k) + p.eps) : 1.0;
    float sum = scale * sums[r * COLS + c];
    if (GATED) sum = sum / (1.0 + exp(min(-sum, 80.0))) * (scale * sums[(NR + r) * COLS + c]);
    const uint at = p.y_at + col * p.n + row;
    y[at] = p.add != 0u ? y[at] + sum : sum;
}

#ifdef REDUCE_SHARED
void reduce_sums()
{
    [[unroll]] for (uint i = 0u; i < N_SUMS; i++) sums[i] = workgroup_sum(sums[i]);
}
#else
shared float partial[(WG + 3u) / 4u * N_SUMS]; // no subgroup has less than 4 lanes

void reduce_sums()
{
    [[unroll]] for (uint i = 0u; i < N_SUMS; i++) sums[i] = subgroupAdd(sums[i]);
    if (gl_NumSubgroups == 1u) return;
    if (subgroupElect())
        [[unroll]] for (uint i = 0u; i < N_SUMS; i++) partial[gl_SubgroupID * N_SUMS + i] = sums[i];
    barrier();
    [[unroll]] for (uint i = 0u; i < N_SUMS; i++) {
        sums[i] = partial[i];
        for (uint s = 1u; s < gl_NumSubgroups; s++) sums[i] += partial[s * N_SUMS + i];
    }
}
#endif

void main()
{
    const uint group = gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x;
    const uint col0 = gl_WorkGroupID.z * COLS;
    const uint k_padded = (p.k + 31u) & ~31u;
    const uint n_blocks = k_padded / 32u;
    const uint row0 = group * NR;
    if (row0 >= p.rows) return;

    [[unroll]] for (uint i = 0u; i < N_SUMS; i++) sums[i] = 0.0;
    for (uint first = 0u; STAGED && first < n_blocks; first += WG) {
        const uint b = first + gl_LocalInvocationIndex;
        if (first > 0u) barrier();
        stage(col0, first, n_blocks);
        barrier();
        if (b >= n_blocks) continue;
        vec4 x[8];
        [[unroll]] for (uint i = 0u; i < 8u; i++) x[i] = staged[i * STRIDE + gl_LocalInvocationIndex];
#ifdef DOT
        const rounded_block rounded = round_block(x);
        add_dot_rows(0u, row0, b, k_padded, rounded);
        if (GATED) add_dot_rows(1u, row0, b, k_padded, rounded);
#else
        add_staged_rows(0u, row0, b, k_padded, x);
        if (GATED) add_staged_rows(1u, row0, b, k_padded, x);
#endif
    }
    for (uint b = gl_LocalInvocationIndex; !STAGED && b < n_blocks; b += WG) {
        add_shared_rows(0u, row0, col0, b, k_padded);
        if (GATED) add_shared_rows(1u, row0, col0, b, k_padded);
    }
    reduce_sums();
    [[unroll]] for (uint r = 0u; r < NR; r++)
        [[unroll]] for (uint c = 0u; c < COLS; c++)
            if (gl_LocalInvocationIndex == (r * COLS + c) % WG && row0 + r < p.rows && col0 + c < p.T)
                store(row0 + r, col0 + c, r, c);
}
