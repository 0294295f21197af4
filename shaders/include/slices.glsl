// Sliced weights (runtime/gpu/layout.h): quants as fields of words that eight rows, a vector on a processor, take apart with one `and`
// and one conversion, where they stand.
//
// Rows come in slabs of 32, a slab in units: HEAD_WORDS of each row, word w of row r at 32 w + r, then UNIT blocks of 32 weights:
// CODE_WORDS of scales, then SLICE_WORDS words of quants a row. Everything is read for the first time in the order in which it lies:
// only then was a processor seen to read ahead (SPEED.md; scales of eight blocks together, read block by block, made it half as fast).
//
// Fields of 2, 4 and 8 bits: a word holds one weight's in neighbouring rows. A block begins with SLICE_WORDS words of its first
// weight, then those of the second, and so on; a row's field is in `slice_word` from bit `slice_shift` on. Eight rows of 8 bits are two
// words, which the rows take in turn: a processor loads such a pair for all lanes at once.
// Fields of 5 and 6 bits, which do not fill words (ROW_FIELDS): a word holds several weights of one row, `row_place` which; word w of
// row r is at 32 w + r of the block. That is why such rows, and those of three bits, take more than in a file.
//
// Bit 31 is flipped where it is used: the field in the top bits, taken where it stands and converted as a signed number, is then the
// quant less 2^(BITS - 1), and the others' are quants; so that processors need no unsigned conversion. slice_lack says what is
// missing. Quants of Q8_0 count from -128.
//
// w = s (f - slice_lack) - m, where f is a field's value where it stands (ROW_FIELDS: moved down): slice_scales. Scales are stored
// ready for that: of super-blocks d, times 2^-slice_shift, and dmin as f32, and 16 bits a block, a byte for each half or for scale
// and minimum: of rows r and 16 + r in one word. Other types have halves there.
#if defined(W_Q2_K)
#define BITS 2u
#define SLICE_WORDS 2u
#elif defined(W_Q3_K) || defined(W_Q4_0) || defined(W_Q4_1) || defined(W_Q4_K)
#define BITS 4u
#define SLICE_WORDS 4u
#elif defined(W_Q5_0) || defined(W_Q5_1) || defined(W_Q5_K)
#define BITS 5u
#define SLICE_WORDS 6u
#define ROW_FIELDS 6u
#elif defined(W_Q6_K)
#define BITS 6u
#define SLICE_WORDS 7u
#define ROW_FIELDS 5u
#elif defined(W_Q8_0)
#define BITS 8u
#define SLICE_WORDS 8u
#endif

#ifdef BITS
#if defined(W_Q2_K) || defined(W_Q4_K) || defined(W_Q5_K)
#define UNIT 8
#define HEAD_WORDS 2 // d, dmin
#define CODE_WORDS 16
#elif defined(W_Q3_K) || defined(W_Q6_K)
#define UNIT 8
#define HEAD_WORDS 1 // d
#define CODE_WORDS 16
#elif defined(W_Q4_1) || defined(W_Q5_1)
#define UNIT 1
#define HEAD_WORDS 0
#define CODE_WORDS 32 // d and m, halves
#else
#define UNIT 1
#define HEAD_WORDS 0
#define CODE_WORDS 16 // d, a half
#endif
#if defined(W_Q2_K) || defined(W_Q3_K) || defined(W_Q6_K)
#define HALVES 2 // of a block, with scales of their own
#else
#define HALVES 1
#endif

// What quants count from: w = s (q - CENTRE) - m.
const float SLICE_CENTRE =
#if defined(W_Q8_0)
    128.0;
#elif defined(W_Q6_K)
    32.0;
#elif defined(W_Q5_0)
    16.0;
#elif defined(W_Q4_0)
    8.0;
#elif defined(W_Q3_K)
    4.0;
#else
    0.0;
#endif

// As in layout.c.
#ifdef ROW_FIELDS
// Word and field of weight j: whole words of a half's 15 weights (Q6_K), the last ones together; no halves (Q5).
uvec2 row_place(uint j)
{
    if (BITS == 5u) return uvec2(j / 6u, j % 6u);
    return j % 16u < 15u ? uvec2(j / 16u * 3u + j % 16u / 5u, j % 16u % 5u) : uvec2(6u, j / 16u);
}
uint row_mask(uint j) { return ((1u << BITS) - 1u) << row_place(j).y * BITS; }
float row_scale(uint field) { return uintBitsToFloat((127u - field * BITS) << 23); } // moves it down
float slice_scale(uint r) { return 1.0; }
float slice_lack(uint r) { return SLICE_CENTRE; }
#else
const uint SLICE_ROWS = 32u / BITS;                             // rows in a word
const uint SLICE_WAYS = SLICE_ROWS < 8u ? 8u / SLICE_ROWS : 1u; // words that the lanes take in turn
const uint SLICE_GROUP = SLICE_ROWS * SLICE_WAYS;
uint slice_word(uint r) { return r / SLICE_GROUP * SLICE_WAYS + r % SLICE_WAYS; }
uint slice_shift(uint r) { return r % SLICE_GROUP / SLICE_WAYS * BITS; }
uint slice_mask(uint r) { return ((1u << BITS) - 1u) << slice_shift(r); }
float slice_scale(uint r) { return uintBitsToFloat((127u - slice_shift(r)) << 23); } // 2^-shift
float slice_lack(uint r)
{
    const float flipped = slice_shift(r) + BITS == 32u ? float(1u << (BITS - 1u)) : 0.0;
    return (SLICE_CENTRE - flipped) / slice_scale(r);
}
#endif

// Of the unit of block b: word w of row r's head, and word i of the block's scales; or of each lane's row r + lane and word i + lane:
// the including shader says which.
uint head_word(uint b, uint r, uint w);
uint code_word(uint b, uint i);

// s and m for the halves of block b, of row r, whose words are asked for by `base`.
void slice_scales(uint base, uint r, uint b, out vec2 s, out vec2 m)
{
    m = vec2(0.0);
#if CODE_WORDS == 16
    const uint both = code_word(b, base % 16u) >> (base / 16u * 16u);
#else
    const uint both = code_word(b, base);
#endif
#if UNIT == 8
    const float d = uintBitsToFloat(head_word(b, base, 0u));
#if HEAD_WORDS == 2
    const float d_min = uintBitsToFloat(head_word(b, base, 1u));
#if defined(W_Q2_K)
    s = d * vec2(int(both & 15u), int((both >> 8) & 15u));
    m = d_min * vec2(int((both >> 4) & 15u), int((both >> 12) & 15u));
#else
    s = vec2(d * float(int(both & 255u)));
    m = vec2(d_min * float(int((both >> 8) & 255u)));
#endif
#else
    s = d * vec2(int(both << 24) >> 24, int(both << 16) >> 24);
#endif
#else
    s = vec2(unpackHalf2x16(both).x * slice_scale(r));
#if CODE_WORDS == 32
    m = vec2(-unpackHalf2x16(both).y);
#endif
#endif
}
#endif
