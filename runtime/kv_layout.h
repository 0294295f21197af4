/* kv_layout: where a position's row lies in a layer's K or V cache, and how it is rounded. Pure; kv.h owns the buffers.
 *
 * A cache holds G heads one after the other, a head C positions; C is a multiple of KV_ROUND, so that a head begins where a
 * device may bind it and can be bound alone. Within a head, in planes:
 *   F16   [C, E] halves
 *   Q8_0  [C, E] signed bytes q, then [C, ceil(E/64)] words of scales: a half d for each block of 32; x = d * q,
 *         d = max|x| / 127 rounded to a half, q = x / d to the nearest. E is a multiple of 32; half a word may be unused (0).
 * A block with a NaN, an infinity or a value above 127 * 65504 becomes NaN. */
#ifndef PUMICE_KV_LAYOUT_H
#define PUMICE_KV_LAYOUT_H

#include "base.h"

enum { KV_ROUND = 64, KV_BLOCK = 32 };

static inline uint32_t kv_round_up(uint32_t n) { return (n + KV_ROUND - 1) / KV_ROUND * KV_ROUND; }

/* Bytes that one position of one head takes in one plane; the second plane is that of the scales, 0 for F16. */
uint64_t kv_plane_bytes(enum pumice_kv type, uint32_t E, int plane);
/* Of both planes. */
uint64_t kv_row_bytes(enum pumice_kv type, uint32_t E);

/* x[E] of position p; head: the first byte of a head of C positions. */
void kv_row_read(enum pumice_kv type, const uint8_t *head, uint64_t C, uint32_t E, uint64_t p, float *x);
void kv_row_write(enum pumice_kv type, uint8_t *head, uint64_t C, uint32_t E, uint64_t p, const float *x);

#endif
