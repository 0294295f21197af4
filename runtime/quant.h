/* quant: block layouts of the tensor types, and row (de)quantisation in C.
 *
 * Pure functions over bytes; rows are K weights, K a multiple of the type's block. The layouts are ggml's; the
 * formulas are in MODEL.md. Nothing here is clever: it is the oracle of the GPU kernels' dequantisation. */
#ifndef PUMICE_QUANT_H
#define PUMICE_QUANT_H

#include "gguf.h"

enum { QUANT_K = 256 }; /* weights in a super-block of the K types */

struct block_q4_0 { uint16_t d; uint8_t qs[16]; };             /* w = d * (q - 8); qs[i]: weights i (low), i+16 (high) */
struct block_q8_0 { uint16_t d; int8_t qs[32]; };              /* w = d * q */
struct block_q4_K { uint16_t d, dmin; uint8_t scales[12]; uint8_t qs[128]; };
struct block_q5_K { uint16_t d, dmin; uint8_t scales[12]; uint8_t qh[32]; uint8_t qs[128]; };
struct block_q6_K { uint8_t ql[128]; uint8_t qh[64]; int8_t scales[16]; uint16_t d; };
struct block_q4_1 { uint16_t d, m; uint8_t qs[16]; };          /* w = d * q + m; nibbles as in Q4_0 */
struct block_q5_0 { uint16_t d; uint8_t qh[4]; uint8_t qs[16]; }; /* w = d * (q - 16); bit i of qh: bit 4 of weight i */
struct block_q5_1 { uint16_t d, m; uint8_t qh[4]; uint8_t qs[16]; }; /* w = d * q + m */
struct block_iq4_nl { uint16_t d; uint8_t qs[16]; };           /* w = d * quant_iq4[q]; nibbles as in Q4_0 */
struct block_q2_K { uint8_t scales[16]; uint8_t qs[64]; uint16_t d, dmin; };
struct block_q3_K { uint8_t hmask[32]; uint8_t qs[64]; uint8_t scales[12]; uint16_t d; };
struct block_iq4_xs { uint16_t d, scales_h; uint8_t scales_l[4]; uint8_t qs[128]; };
_Static_assert(sizeof(struct block_q4_1) == 20, "q4_1");
_Static_assert(sizeof(struct block_q5_0) == 22, "q5_0");
_Static_assert(sizeof(struct block_q5_1) == 24, "q5_1");
_Static_assert(sizeof(struct block_iq4_nl) == 18, "iq4_nl");
_Static_assert(sizeof(struct block_q2_K) == 84, "q2_K");
_Static_assert(sizeof(struct block_q3_K) == 110, "q3_K");
_Static_assert(sizeof(struct block_iq4_xs) == 136, "iq4_xs");
_Static_assert(sizeof(struct block_q4_0) == 18, "q4_0");
_Static_assert(sizeof(struct block_q8_0) == 34, "q8_0");
_Static_assert(sizeof(struct block_q4_K) == 144, "q4_K");
_Static_assert(sizeof(struct block_q5_K) == 176, "q5_K");
_Static_assert(sizeof(struct block_q6_K) == 210, "q6_K");

bool quant_can_dequantize(uint32_t type);
bool quant_can_quantize(uint32_t type); /* fewer: the types that pumice-gguf writes */

/* Bytes of a row of k weights; 0 if k is not a multiple of the block. */
uint64_t quant_row_bytes(uint32_t type, uint64_t k);

/* y[k] f32 = the k weights at `row`. type must satisfy quant_can_dequantize, k the block size. */
void quant_dequantize_row(uint32_t type, const void *row, float *y, uint64_t k);

/* Quantises x[k] into `row` (quant_row_bytes bytes): round to nearest; the K types search scale and minimum by
 * weighted least squares per sub-block. type must satisfy quant_can_quantize. */
void quant_quantize_row(uint32_t type, const float *x, void *row, uint64_t k);

/* Unpacks sub-block j's (0..7) 6-bit scale and minimum from the 12 packed bytes of Q4_K and Q5_K. */
void quant_scale_min_k4(int j, const uint8_t *scales, uint8_t *scale, uint8_t *min);

/* Scale s (0..15) of a Q3_K block's 12 packed bytes, still 0..63: the weights use it minus 32. */
uint8_t quant_scale_q3(int s, const uint8_t *scales);

/* Scale s (0..7) of an IQ4_XS block, still 0..63: the weights use it minus 32. */
uint8_t quant_scale_iq4_xs(int s, const struct block_iq4_xs *b);

extern const int8_t quant_iq4[16]; /* what the nibbles of IQ4_NL and IQ4_XS stand for */

#endif
