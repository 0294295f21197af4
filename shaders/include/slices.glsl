// Sliced weights (runtime/gpu/layout.h): the bits of one weight in many neighbouring rows lie in one word.
//
// Rows come in slabs of 32. A block of 32 weights begins with SLICE_WORDS words of its first weight, then those of the second,
// and so on; each row's quant is a field of BITS in one of them, `slice_word` from bit `slice_shift` on. Fields do not cross
// words: eight rows, a vector on a processor, are an `and` of one word, or of two (three of Q6_K) with `or`, and one conversion.
// That is why rows of five and six bits take a bit more than in a file, and three bits four. Scales and the rest of a row's words
// are interleaved: word w of a slab's row r is at 32 w + r.
//
// Bit 31 of every word is flipped: the field in the top bits, taken where it stands and converted as a signed number, is then the
// quant less 2^(BITS - 1), and the others' are quants; so that processors need no unsigned conversion. slice_offset says what is
// missing. Quants of Q8_0 count from -128.
//
// Include before weights.glsl, which reads the scales, with SLICED, ROWS = 32 and VEC = 1.
#if defined(W_Q2_K)
#define BITS 2u
#define SLICE_WORDS 2u
#elif defined(W_Q3_K) || defined(W_Q4_0) || defined(W_Q4_1) || defined(W_Q4_K)
#define BITS 4u
#define SLICE_WORDS 4u
#elif defined(W_Q5_0) || defined(W_Q5_1) || defined(W_Q5_K)
#define BITS 5u
#define SLICE_WORDS 6u
#elif defined(W_Q6_K)
#define BITS 6u
#define SLICE_WORDS 7u
#elif defined(W_Q8_0)
#define BITS 8u
#define SLICE_WORDS 8u
#endif

#ifdef BITS
// Of eight rows, fields of five bits have the first six in the group's own word, of six bits the first five; the other rows' fill
// the words behind the four groups' own. As in layout.c.
uvec2 slice_place(uint r) // word, field
{
    const uint g = r / 8u, l = r % 8u, own = 32u / BITS, rest = l - own;
    if (BITS != 5u && BITS != 6u) return uvec2(r / own, r % own);
    if (l < own) return uvec2(g, l);
    if (BITS == 5u) return uvec2(4u + g / 3u, g % 3u * 2u + rest);
    return g < 3u ? uvec2(4u + g, rest) : uvec2(4u + rest / 2u, 3u + rest % 2u);
}
uint slice_word(uint r) { return slice_place(r).x; }
uint slice_shift(uint r) { return slice_place(r).y * BITS; }
// Whether a row of group g, eight rows, is in word w.
bool slice_holds(uint g, uint w)
{
    if (BITS == 5u) return w == g || w == 4u + g / 3u;
    if (BITS == 6u) return w == g || (g < 3u ? w == 4u + g : w == 4u || w == 5u);
    return w == 8u * g * BITS / 32u || w == (8u * g + 7u) * BITS / 32u;
}
uint slice_mask(uint r) { return ((1u << BITS) - 1u) << slice_shift(r); }
float slice_scale(uint r) { return uintBitsToFloat((127u - slice_shift(r)) << 23); } // 2^-shift
float slice_offset(uint r) { return slice_shift(r) + BITS == 32u ? float(1u << (BITS - 1u)) : 0.0; }
#endif
