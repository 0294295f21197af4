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
_Static_assert(sizeof(struct block_q4_0) == 18, "q4_0");
_Static_assert(sizeof(struct block_q8_0) == 34, "q8_0");
_Static_assert(sizeof(struct block_q4_K) == 144, "q4_K");
_Static_assert(sizeof(struct block_q5_K) == 176, "q5_K");
_Static_assert(sizeof(struct block_q6_K) == 210, "q6_K");

bool quant_can_dequantize(uint32_t type);
bool quant_can_quantize(uint32_t type);

/* Bytes of a row of k weights; 0 if k is not a multiple of the block. */
uint64_t quant_row_bytes(uint32_t type, uint64_t k);

/* y[k] f32 = the k weights at `row`. type must satisfy quant_can_dequantize, k the block size. */
void quant_dequantize_row(uint32_t type, const void *row, float *y, uint64_t k);

/* Quantises x[k] into `row` (quant_row_bytes bytes): round to nearest; the K types search scale and minimum by
 * weighted least squares per sub-block. type must satisfy quant_can_quantize. */
void quant_quantize_row(uint32_t type, const float *x, void *row, uint64_t k);

/* Unpacks sub-block j's (0..7) 6-bit scale and minimum from the 12 packed bytes of Q4_K and Q5_K. */
void quant_scale_min_k4(int j, const uint8_t *scales, uint8_t *scale, uint8_t *min);

#endif
