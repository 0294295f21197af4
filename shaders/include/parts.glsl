// Parts of attention: what a query row has gathered in one slice of the length: parts[(row * SLICES + slice) * PART_VECS + i] is
// elements 4i .. 4i + 3 of the values weighted by exp(score - top), then (top, sum of the weights, -, -). parts_join makes
// y of them, slices in order, so that the bits do not depend on who finishes first.
// Before: E, WG, SLICES; buffers parts (coherent) and y (vec4); shared vec4 heads[n_rows * SLICES].
const uint PART_VECS = E / 4u + 1u;

// The largest of no score: finite, so that differences are.
#define LOWEST -3.0e38

// n rows, whose numbers row_of(r) gives; n_slices <= SLICES have parts. All lanes call; heads are free, after a barrier.
#define PARTS_JOIN(row_of)                                                                                     \
    void parts_join(uint n, uint n_slices)                                                                     \
    {                                                                                                          \
        const uint lane = gl_LocalInvocationIndex;                                                             \
        for (uint i = lane; i < n * n_slices; i += WG)                                                         \
            heads[i].xy = parts[(row_of(i / n_slices) * SLICES + i % n_slices) * PART_VECS + E / 4u].xy;       \
        barrier();                                                                                             \
        for (uint i = lane; i < n * n_slices; i += WG) {                                                       \
            const uint first = i / n_slices * n_slices;                                                        \
            float top = LOWEST, sum = 0.0;                                                                     \
            for (uint s = 0u; s < n_slices; s++) top = max(top, heads[first + s].x);                           \
            for (uint s = 0u; s < n_slices; s++) sum += heads[first + s].y * exp(heads[first + s].x - top);    \
            heads[i].z = exp(heads[i].x - top) / sum;                                                          \
        }                                                                                                      \
        barrier();                                                                                             \
        for (uint i = lane; i < n * (E / 4u); i += WG) {                                                       \
            const uint r = i / (E / 4u), quad = i % (E / 4u), row = row_of(r);                                 \
            vec4 total = vec4(0.0);                                                                            \
            for (uint s = 0u; s < n_slices; s++)                                                               \
                total += heads[r * n_slices + s].z * parts[(row * SLICES + s) * PART_VECS + quad];             \
            y[row * (E / 4u) + quad] = total;                                                                  \
        }                                                                                                      \
    }

// Positions of a slice: the length in SLICES, rounded up to whole chunks.
uint slice_length(uint n_positions, uint chunk)
{
    return ((n_positions + SLICES - 1u) / SLICES + chunk - 1u) / chunk * chunk;
}
