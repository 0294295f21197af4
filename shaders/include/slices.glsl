// Sliced weights (runtime/gpu/layout.h): the bits of one weight in eight neighbouring rows or more lie in one word.
//
// A quant is a sum of digits, each in a plane of fields of BITS: the low four (two) bits, then the high ones; of Q8_0, counted
// from -128, the halves of the byte. Rows come in slabs of 32. The 32 words that a slab has at one place of a plane are ordered
// by weight, then rows: `digit_word` says where the words of weight j of a block begin; a word holds 32 / BITS rows, the first
// in its lowest bits. Scales and the rest of a row's words are interleaved: word w of a slab's row r is at 32 w + r.
//
// Bit 31 of every word of a plane is flipped: the field in the top bits, taken where it stands and converted as a signed
// number, is then the digit less 2^(BITS - 1), and the others' are digits; so one `and` and one signed conversion take a field
// out on processors that have no unsigned one. digit_offset says what is missing.
//
// Include after weights.glsl, which reads the scales (head_pair, head_super, scales_of), with ROWS = 32 and VEC = 1.

// Digits of a quant; bits of each; words a row of k weights before the plane of the second; its weight in the sum.
#if defined(W_Q2_K)
#define DIGITS 1u
#define BITS0 2u
#define BITS1 2u
#elif defined(W_Q3_K)
#define DIGITS 2u
#define BITS0 2u
#define BITS1 1u
#elif defined(W_Q4_0) || defined(W_Q4_1) || defined(W_Q4_K)
#define DIGITS 1u
#define BITS0 4u
#define BITS1 4u
#elif defined(W_Q5_0) || defined(W_Q5_1) || defined(W_Q5_K)
#define DIGITS 2u
#define BITS0 4u
#define BITS1 1u
#elif defined(W_Q6_K)
#define DIGITS 2u
#define BITS0 4u
#define BITS1 2u
#elif defined(W_Q8_0)
#define DIGITS 2u
#define BITS0 4u
#define BITS1 4u
#endif
#ifdef W_Q8_0 // words a block of 32 weights in the plane of each digit: here one plane for both
#define WORDS0 8u
#define WORDS1 8u
#define PLANE1(k) 0u
#else
#define WORDS0 BITS0
#define WORDS1 BITS1
#define PLANE1(k) ((k) * BITS0 / 32u)
#endif
const float DIGIT1 = float(1u << BITS0);
uint digit_bits(uint d) { return d == 0u ? BITS0 : BITS1; }

// Where, in the 32 * WORDS words of a slab's block, those of weight j begin.
uint digit_word(uint d, uint j)
{
#ifdef W_Q8_0
    return j / 4u * 32u + (2u * (j % 4u) + d) * 4u;
#else
    const uint bits = digit_bits(d);
    if (bits == 4u) return j / 8u * 32u + (2u * (j % 4u) + j / 4u % 2u) * 4u;
    if (bits == 2u) return j / 16u * 32u + (4u * (j % 4u) + j % 16u / 4u) * 2u;
    return 8u * (j % 4u) + j / 4u;
#endif
}
// Row r of the slab: which of the weight's words it is in, and at which bit.
uint digit_half(uint d, uint r) { return r * digit_bits(d) / 32u; }
uint digit_shift(uint d, uint r) { return r * digit_bits(d) % 32u; }
// The field, and 2^-shift; what its signed value lacks.
uint digit_mask(uint d, uint r) { return ((1u << digit_bits(d)) - 1u) << digit_shift(d, r); }
float digit_scale(uint d, uint r) { return uintBitsToFloat((127u - digit_shift(d, r)) << 23); }
float digit_offset(uint d, uint r)
{
    return digit_shift(d, r) + digit_bits(d) == 32u ? float(1u << (digit_bits(d) - 1u)) : 0.0;
}

#ifdef W_Q8_0 // quants count from -128
void head_super(uint base, uint b, uint k, inout uvec4 head) {}
void head_pair(uint base, uint b, uint k, inout uvec4 head)
{
    head.x = WORD(base, k / 4u + b / 2u);
}
void scales_of(uvec4 head, uint b, out vec2 s, out vec2 m)
{
    s = vec2(half_of(head.x, b));
    m = 128.0 * s;
}
#endif

#ifdef SLICES_ROW // block_load of one row by one lane
// Digit d of weight j of block b in row `row`; base: of the row's slab.
float slice_digit(uint d, uint base, uint row, uint b, uint j, uint k)
{
    const uint plane = d == 0u ? b * WORDS0 : PLANE1(k) + b * WORDS1;
    const uint word = W1(base + plane * 32u + digit_word(d, j) + digit_half(d, row));
    return float(int(word & digit_mask(d, row))) * digit_scale(d, row) + digit_offset(d, row);
}

void slice_load(uint row, uint row_words, uint b, uint k, out vec4 w[8])
{
    const uint base = row / 32u * 32u * row_words, r = row % 32u;
    vec2 s, m;
    uvec4 head = uvec4(0u);
    head_super(base + r, b, k, head);
    head_pair(base + r, b, k, head);
    scales_of(head, b, s, m);
    for (uint j = 0u; j < 32u; j++) {
        float q = slice_digit(0u, base, r, b, j, k);
        if (DIGITS > 1u) q += DIGIT1 * slice_digit(1u, base, r, b, j, k);
        w[j / 4u][j % 4u] = s[j / 16u] * q - m[j / 16u];
    }
}
#endif
