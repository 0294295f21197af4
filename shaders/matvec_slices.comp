// y_i[t, n] (+)= sum_k x[t, k] * W_i[n, k], for up to three matrices of one type and k, and COLS tokens at most; GATED: of the
// first two, y_0 = silu(x W_0^T) * (x W_1^T). Decode and prefill on software drivers that load a word for all lanes at once.
// W: sliced (slices.glsl), x, y f32 row-major, all by address. Called from op_matmul, op_norm_matmuls, op_norm_gate_up.
// Numerics: f32 sums of quants times x over 16 weights, then scaled: s * sum(q x) - m * sum(x).
// NORM_NEXT, of one matrix and token: when all of y_0 is there, normed = rms(y_0) * norm (formula in rms_norm.comp).
// Mapping: a workgroup, eight lanes, owns a slab of 32 rows: a lane rows l, 8 + l, 16 + l, 24 + l. A word of weights and an x
// are the same for all lanes: one load, which a processor can do as part of the instruction that uses it; `and`, conversion and
// multiply-add then serve eight rows. Grid: groups_x slabs of all matrices a line; COLS tokens from gl_WorkGroupID.z * COLS.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#define PUSH_SLICES 1
#define WEIGHTS_BDA 1
#define ADDRESS slab_address
#define SLICED true
#include "common.glsl"
#include "slices.glsl"

uvec2 slab_address;
#define WORD slab_word // of the eight rows from `base` on, each lane its own
uint slab_word(uint base, uint w);
#include "weights.glsl"

layout(constant_id = 3) const uint COLS = 1;
layout(constant_id = 4) const bool GATED = false;
layout(constant_id = 5) const bool NORM_NEXT = false;

const uint GROUPS = 4u; // of eight rows
#ifdef PAIR_D
const bool SUPER_D = false;
#else
const bool SUPER_D = true; // d, once a super-block: it then carries slice_scale
#endif
const uint SPAN = COLS == 1u ? 16u : 4u; // weights between two turns over the groups

struct floats32 { float v[32]; };
struct words32 { uint v[32]; };
struct block { uint v[32u * SLICE_WORDS]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer x_rows { floats32 block[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer y_rows { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer norm_row { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer counter_word { uint n_done; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer slab_words { words32 word[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer slab_blocks { block at[]; };

uvec2 address_plus(uvec2 a, uint bytes)
{
    uint carry;
    const uint low = uaddCarry(a.x, bytes, carry);
    return uvec2(low, a.y + carry);
}

uvec2 x_address[COLS];
float sums[GROUPS * COLS];
block_head head[GROUPS];
uint mine[8];  // all bits where the lane is that one
float one;     // 1 in a way that the compiler cannot see: sums that are the same for all lanes it takes apart, with loads of their own
float lack[GROUPS]; // what a field lacks to a quant less CENTRE, where it stands

uint slab_word(uint base, uint w)
{
    uint all = 0u;
    [[unroll]] for (uint i = 0u; i < 8u; i++) all |= slab_words(slab_address).word[w].v[base + i] & mine[i];
    return all;
}

// Weight j of block b in the eight rows of group g, each at its place in a word.
float field(uint g, uint b, uint j)
{
    const uint row = 8u * g + gl_LocalInvocationIndex;
    uint all = 0u;
    [[unroll]] for (uint w = 0u; w < SLICE_WORDS; w++)
        if (slice_holds(g, w))
            all |= slab_blocks(slab_address).at[b].v[j * SLICE_WORDS + w] & (slice_word(row) == w ? slice_mask(row) : 0u);
    return float(int(all));
}

float x_of(uint c, uint b, uint j) { return x_rows(x_address[c]).block[b].v[j]; }

void add_block(uint b)
{
    vec2 s[GROUPS], m[GROUPS];
    [[unroll]] for (uint g = 0u; g < GROUPS; g++) scales_apart(head[g], b, s[g], m[g]);
    [[unroll]] for (uint h = 0u; h < 2u; h++) {
        float part[GROUPS * COLS];
        vec4 x_sum[COLS];
        [[unroll]] for (uint i = 0u; i < GROUPS * COLS; i++) part[i] = 0.0;
        [[unroll]] for (uint c = 0u; c < COLS; c++) x_sum[c] = vec4(0.0);
        [[unroll]] for (uint turn = 0u; turn < 16u / SPAN; turn++) {
            const uint j0 = 16u * h + turn * SPAN;
            [[unroll]] for (uint c = 0u; c < COLS; c++)
                [[unroll]] for (uint i = 0u; i < SPAN; i++) x_sum[c][i % 4u] = fma(x_of(c, b, j0 + i), one, x_sum[c][i % 4u]);
            [[unroll]] for (uint g = 0u; g < GROUPS; g++)
                [[unroll]] for (uint i = 0u; i < SPAN; i++) {
                    const float q = field(g, b, j0 + i);
                    [[unroll]] for (uint c = 0u; c < COLS; c++)
                        part[g * COLS + c] = fma(q, x_of(c, b, j0 + i), part[g * COLS + c]);
                }
        }
        [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
            const float scale = s[g][h] * (SUPER_D ? 1.0 : slice_scale(8u * g + gl_LocalInvocationIndex));
            const float less = fma(scale, lack[g], m[g][h]);
            [[unroll]] for (uint c = 0u; c < COLS; c++) {
                const float x_all = (x_sum[c].x + x_sum[c].y) + (x_sum[c].z + x_sum[c].w);
                sums[g * COLS + c] = fma(scale, part[g * COLS + c], fma(-less, x_all, sums[g * COLS + c]));
            }
        }
    }
}

#if defined(W_Q4_1) || defined(W_Q5_1)
const uint PAIR = 1u; // blocks that share words of scales
#else
const uint PAIR = 2u;
#endif

// sums = slab `slab` of matrix i times the columns.
void multiply(uint i, uint slab, uint col0)
{
    const uint k = p.k;
    slab_address = address_plus(p.weights[i], slab * 128u * p.row_words);
    [[unroll]] for (uint c = 0u; c < COLS; c++)
        x_address[c] = address_plus(p.x, min(col0 + c, p.T - 1u) * k * 4u);
    [[unroll]] for (uint r = 0u; r < GROUPS * COLS; r++) sums[r] = 0.0;
    const uint n = k / 32u;
    for (uint b = 0u; b < n; b++) {
        if (b % 4u == 0u) {
            if (b % 8u == 0u)
                [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
                    head_super(8u * g, b, k, head[g]);
                    if (SUPER_D) head[g].d.x *= slice_scale(8u * g + gl_LocalInvocationIndex);
                }
            else
                [[unroll]] for (uint g = 0u; g < GROUPS; g++) head_half(b, head[g]);
        }
        if (b % PAIR == 0u)
            [[unroll]] for (uint g = 0u; g < GROUPS; g++) head_pair(8u * g, b, k, head[g]);
        add_block(b);
    }
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
    one = slice_scale(gl_LocalInvocationIndex) * float(1u << slice_shift(gl_LocalInvocationIndex));
    [[unroll]] for (uint l = 0u; l < 8u; l++) mine[l] = l == gl_LocalInvocationIndex ? 0xffffffffu : 0u;
    [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
        const uint row = 8u * g + gl_LocalInvocationIndex;
        head[g] = block_head(vec2(0.0), uvec4(0u));
        lack[g] = (CENTRE - slice_offset(row)) / slice_scale(row);
    }
    float gate[GROUPS * COLS];
    for (uint turn = 0u; turn < (GATED ? 2u : 1u); turn++) {
        [[unroll]] for (uint r = 0u; r < GROUPS * COLS; r++) gate[r] = sums[r];
        multiply(i + turn, slab, col0);
    }
    if (GATED)
        [[unroll]] for (uint r = 0u; r < GROUPS * COLS; r++) sums[r] *= gate[r] / (1.0 + exp(-gate[r]));
    const uvec2 y_address = p.y[i];
    [[unroll]] for (uint r = 0u; r < GROUPS; r++) {
        const uint row = slab * 32u + 8u * r + gl_LocalInvocationIndex;
        [[unroll]] for (uint c = 0u; c < COLS; c++)
            if (row < p.rows[i] && col0 + c < p.T) {
                const uint at = (col0 + c) * p.n[i] + row;
                const float y = sums[r * COLS + c];
                y_rows(y_address).v[at] = p.add != 0u ? y_rows(y_address).v[at] + y : y;
            }
    }
    if (NORM_NEXT) norm_next();
}
