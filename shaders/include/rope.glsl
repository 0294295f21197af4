// Rotary positions: which elements of a head make pair i, and how far it turns.
// Numerics: the angle is kept as a fraction of a turn in 64-bit integers, so it is exact at any position; sine and cosine
// are polynomials of degree 7 and 8 on [-pi/4, pi/4] (error < 1e-7), since drivers only promise 2^-11.

uint pair_first(uint i, uint E, bool neighbours) { return neighbours ? 2u * i : i; }
uint pair_second(uint i, uint E, bool neighbours) { return neighbours ? 2u * i + 1u : i + E / 2u; }

// Cosine and sine of phase * 2 pi / 2^32. Source: minimax polynomials as in Cephes' sinf and cosf.
vec2 cos_sin(uint phase)
{
    const uint quadrant = (phase + 0x20000000u) >> 30;
    const float a = float(int(phase - (quadrant << 30))) * 1.4629180792671596e-9; // 2 pi / 2^32
    const float a2 = a * a;
    const float s = a + a * a2 * (-1.6666654611e-1 + a2 * (8.3321608736e-3 - a2 * 1.9515295891e-4));
    const float c = 1.0 - 0.5 * a2 + a2 * a2 * (4.166664568298827e-2 + a2 * (-1.388731625493765e-3 + a2 * 2.443315711809948e-5));
    switch (quadrant & 3u) {
    case 0u: return vec2(c, s);
    case 1u: return vec2(-s, c);
    case 2u: return vec2(-c, -s);
    default: return vec2(s, -c);
    }
}

// The same of position * turn turns; turn is a 64-bit fraction, high word first.
vec2 cos_sin_at(uint position, uvec2 turn)
{
    uint carry, low;
    umulExtended(position, turn.y, carry, low);
    return cos_sin(position * turn.x + carry);
}
