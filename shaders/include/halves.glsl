// Halves to the nearest, ties to even, whatever a driver's conversion does: the specification lets it cut, and some do.
// nearest_halves(x) are floats that are halves already, so that packing them changes nothing. Not a number stays that.
vec2 nearest_halves(vec2 x)
{
    const uvec2 bits = floatBitsToUint(x), size = bits & 0x7fffffffu;
    // 13 bits of the 24 go
    const vec2 normal = uintBitsToFloat((bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu);
    // below 2^-14 halves lie 2^-24 apart, as floats do from 1/2 to 1
    precise const vec2 pushed = abs(x) + 0.5;
    precise const vec2 small = pushed - 0.5;
    const vec2 near = mix(normal, uintBitsToFloat(floatBitsToUint(small) | (bits & 0x80000000u)), lessThan(size, uvec2(113u << 23)));
    return mix(near, x, greaterThanEqual(size, uvec2(255u << 23)));
}
