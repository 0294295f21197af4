// y_i[t, n] (+)= sum_k x[t, k] * W_i[n, k], for up to three matrices of one type and k, and COLS tokens at most; GATED: of the
// first two, y_0 = silu(x W_0^T) * (x W_1^T). Decode and prefill on software drivers.
// W: sliced (slices.glsl), x, y f32 row-major, all by address. Called from op_matmul, op_norm_matmuls, op_norm_gate_up.
// Numerics: f32 sums of quants times x over 16 or 32 weights, then scaled: s * sum(q x) - m * sum(x).
// NORM_NEXT, of one matrix and token: when all of y_0 is there, normed = rms(y_0) * norm (formula in rms_norm.comp).
// Mapping: a workgroup, eight lanes (lanes.glsl), owns a slab of 32 rows: a lane rows l, 8 + l, 16 + l, 24 + l. A word of weights and
// an x are the same for all lanes: one load, which a processor can do as part of the instruction that uses it, or a shuffle; `and`,
// conversion and multiply-add then serve eight rows. The loop has no branch: one costs a software driver more than the loads that it saves.
// Grid: groups_x slabs of all matrices a line; COLS tokens from gl_WorkGroupID.z * COLS.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#define PUSH_SLICES 1
#include "common.glsl"
#include "slices.glsl"

layout(constant_id = 1) const uint COLS = 1;
layout(constant_id = 2) const bool GATED = false;
layout(constant_id = 3) const bool NORM_NEXT = false;
layout(constant_id = 4) const bool APART = true;
#include "lanes.glsl"

const uint GROUPS = 4u; // of eight rows
const uint SPAN = COLS == 1u ? 8u : 4u; // weights between two turns over the groups

struct floats32 { float v[32]; };
struct words32 { uint v[32]; };
struct slab_block {
    uint code[CODE_WORDS];
    uint quant[32u * SLICE_WORDS];
};
struct slab_unit {
#if HEAD_WORDS != 0
    words32 head[HEAD_WORDS];
#endif
    slab_block block[UNIT];
};
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer x_rows { floats32 block[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer y_rows { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer norm_row { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer counter_word { uint n_done; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer slab_units { slab_unit unit[]; };

uvec2 address_plus(uvec2 a, uint bytes)
{
    uint carry;
    const uint low = uaddCarry(a.x, bytes, carry);
    return uvec2(low, a.y + carry);
}

uvec2 slab_address, x_address[COLS];
float sums[GROUPS * COLS];

#define UNIT_OF(b) slab_units(slab_address).unit[(b) / UNIT]
#define BLOCK_OF(b) UNIT_OF(b).block[(b) % UNIT]

#if HEAD_WORDS != 0
uint head_word(uint b, uint row, uint w)
{
    uint mine;
    EACH_LANE(mine, i, UNIT_OF(b).head[w].v[row + i])
    return mine;
}
#endif
uint code_word(uint b, uint first)
{
    uint mine;
    EACH_LANE(mine, i, BLOCK_OF(b).code[first + i])
    return mine;
}

// Weight j of block b in the eight rows of group g, where it stands in a word.
float field(uint g, uint b, uint j)
{
#ifdef ROW_FIELDS
    const uint at = row_place(j).x * 32u + 8u * g;
    uint all;
    EACH_LANE(all, i, BLOCK_OF(b).quant[at + i])
    return float(int(all & row_mask(j)));
#else
    const uint at = j * SLICE_WORDS + slice_word(8u * g);
    uint all;
    if (APART && SLICE_WAYS > 1u) EACH_LANE(all, i, BLOCK_OF(b).quant[at + i % SLICE_WAYS])
    else FOR_ALL(all, i, at + LANE % SLICE_WAYS, BLOCK_OF(b).quant[i])
    return float(int(all & slice_mask(8u * g + LANE)));
#endif
}

float x_of(uint c, uint b, uint j)
{
    float x;
    FOR_ALL(x, i, j, x_rows(x_address[c]).block[b].v[i])
    return x;
}

// The sum of half h of a block of x.
float x_sum(uint c, uint b, uint h)
{
    const uint pieces = 4u / HALVES;
    float sum = 0.0, mine;
    [[unroll]] for (uint n = 0u; n < pieces; n++) {
        EACH_LANE(mine, i, x_rows(x_address[c]).block[b].v[8u * (h * pieces + n) + i])
        sum += mine;
    }
    return lanes_sum(sum);
}

// Sums over a half block in the making: fields of their own where they stand, for one token; else two, for shorter chains of sums.
#ifdef ROW_FIELDS
const uint PARTS = COLS == 1u ? ROW_FIELDS : 1u;
uint part_of(uint j) { return row_place(j).y % PARTS; }
float scale_of_field(uint j) { return COLS == 1u ? 1.0 : row_scale(row_place(j).y); }
float scale_of_part(uint i) { return COLS == 1u ? row_scale(i) : 1.0; }
#else
const uint PARTS = COLS == 1u ? 2u : 1u;
uint part_of(uint j) { return j % PARTS; }
float scale_of_field(uint j) { return 1.0; }
float scale_of_part(uint i) { return 1.0; }
#endif

void add_block(uint b)
{
    vec2 s[GROUPS], m[GROUPS];
    [[unroll]] for (uint g = 0u; g < GROUPS; g++) slice_scales(8u * g, 8u * g + LANE, b, s[g], m[g]);
    [[unroll]] for (uint h = 0u; h < HALVES; h++) {
        float part[GROUPS * COLS * PARTS];
        [[unroll]] for (uint i = 0u; i < GROUPS * COLS * PARTS; i++) part[i] = 0.0;
        [[unroll]] for (uint turn = 0u; turn < 32u / HALVES / SPAN; turn++)
            [[unroll]] for (uint g = 0u; g < GROUPS; g++)
                [[unroll]] for (uint i = 0u; i < SPAN; i++) {
                    const uint j = 32u / HALVES * h + turn * SPAN + i;
                    const float q = field(g, b, j) * scale_of_field(j);
                    [[unroll]] for (uint c = 0u; c < COLS; c++) {
                        const uint at = (g * COLS + c) * PARTS + part_of(j);
                        part[at] = fma(q, x_of(c, b, j), part[at]);
                    }
                }
        [[unroll]] for (uint c = 0u; c < COLS; c++) {
            const float x_all = x_sum(c, b, h);
            [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
                float sum = part[(g * COLS + c) * PARTS];
                [[unroll]] for (uint i = 1u; i < PARTS; i++) sum = fma(part[(g * COLS + c) * PARTS + i], scale_of_part(i), sum);
                const float less = fma(s[g][h], slice_lack(8u * g + LANE), m[g][h]);
                sums[g * COLS + c] = fma(s[g][h], sum, fma(-less, x_all, sums[g * COLS + c]));
            }
        }
    }
}

// sums = slab `slab` of matrix i times the columns.
void multiply(uint i, uint slab, uint col0)
{
    slab_address = address_plus(p.weights[i], slab * 128u * p.row_words);
    [[unroll]] for (uint c = 0u; c < COLS; c++)
        x_address[c] = address_plus(p.x, min(col0 + c, p.T - 1u) * p.k * 4u);
    [[unroll]] for (uint r = 0u; r < GROUPS * COLS; r++) sums[r] = 0.0;
    const uint n = p.k / 32u;
    for (uint b = 0u; b < n; b++) add_block(min(b, n - 1u)); // lanes.glsl: one turn more, for no lane
}

uint slabs_of(uint i) { return (p.rows[i] + 31u) / 32u; }

// All lanes of a subgroup call. The last subgroup norms y_0.
void norm_next()
{
    const uint lanes = subgroupAdd(1u), first = subgroupExclusiveAdd(1u), n = p.n[0];
    memoryBarrierBuffer();
    const uint done = subgroupMax(atomicAdd(counter_word(p.counter).n_done, 1u)) + 1u;
    if (done < slabs_of(0u) * WG) return;
    memoryBarrierBuffer();
    float sum = 0.0;
    for (uint i = first; i < n; i += lanes) sum += y_rows(p.y[0]).v[i] * y_rows(p.y[0]).v[i];
    const float scale = 1.0 / sqrt(subgroupAdd(sum) / float(n) + p.eps);
    for (uint i = first; i < n; i += lanes) y_rows(p.normed).v[i] = y_rows(p.y[0]).v[i] * scale * norm_row(p.norm).v[i];
    counter_word(p.counter).n_done = 0u;
}

void main()
{
    uint slab = gl_WorkGroupID.y * p.groups_x + gl_WorkGroupID.x, i = 0u;
    const uint col0 = gl_WorkGroupID.z * COLS;
    if (!GATED)
        for (; i < 2u && slab >= slabs_of(i); i++) slab -= slabs_of(i);
    if (slab >= slabs_of(i)) return;
    float gate[GROUPS * COLS];
    [[unroll]] for (uint turn = 0u; turn < (GATED ? 2u : 1u); turn++) { // unrolled: there is no matrix for a turn more
        [[unroll]] for (uint r = 0u; r < GROUPS * COLS; r++) gate[r] = sums[r];
        multiply(i + turn, slab, col0);
    }
    if (GATED)
        [[unroll]] for (uint r = 0u; r < GROUPS * COLS; r++) sums[r] *= gate[r] / (1.0 + exp(-gate[r]));
    const uvec2 y_address = p.y[i];
    [[unroll]] for (uint r = 0u; r < GROUPS; r++) {
        const uint row = slab * 32u + 8u * r + LANE;
        [[unroll]] for (uint c = 0u; c < COLS; c++)
            if (row < p.rows[i] && col0 + c < p.T) {
                const uint at = (col0 + c) * p.n[i] + row;
                const float y = sums[r * COLS + c];
                y_rows(y_address).v[at] = p.add != 0u ? y_rows(y_address).v[at] + y : y;
            }
    }
    if (NORM_NEXT) norm_next();
}
