/* layout: how a weight's rows lie in device memory, and packing them from GGUF's blocks.
 *
 * A packed row is row_words 32-bit words in planes, quants first, then high bits, then scales, so that each is read in
 * wide aligned loads; no bit of the source is lost or added except padding. shaders/include/weights.glsl reads it and
 * describes the planes. Rows are interleaved in groups of `rows`, `vec` words at a time, for drivers where a lane owns
 * a row; rows = 1 is row-major. This is the seam for layouts per device class.
 *
 * Sliced: groups of 32 rows (a slab), for drivers whose lanes are the lanes of a vector: quants lie as fields of words that eight rows
 * take apart at once, with the scales of the same weights in front of them, as numbers that need little decoding
 * (shaders/include/slices.glsl describes it and reads it). Rows of some types are longer so. vec is 1 and says nothing. */
#ifndef PUMICE_LAYOUT_H
#define PUMICE_LAYOUT_H

#include "../quant.h"

struct layout {
    uint32_t rows, vec;
    bool sliced;
};

enum { LAYOUT_SLAB_ROWS = 32 };

bool layout_supports(uint32_t type);
const char *layout_suffix(uint32_t type); /* "q4_k": of kernel names; NULL if unsupported */
bool layout_slices(uint32_t type); /* whether there is a sliced form: quants that are numbers, not places in a table */
/* Words of a packed row of k weights, a multiple of 4; k is rounded up to 32 (zeros) for F32, F16, BF16. */
uint64_t layout_row_words(uint32_t type, struct layout layout, uint64_t k);
/* Words that layout_pack wants as scratch. */
uint64_t layout_scratch_words(uint32_t type, struct layout layout, uint64_t k);
/* Packs n rows of GGUF bytes into dst: n rounded up to layout.rows, the missing ones zero. */
void layout_pack(uint32_t type, struct layout layout, const void *rows, uint64_t n, uint64_t k, uint32_t *dst,
                 uint32_t *scratch);

#endif
