/* gguf: header, metadata and tensor directory of a GGUF file (v2, v3, little-endian) over a byte range.
 *
 * Pure: no I/O, no Vulkan; everything points into the caller's bytes, which must outlive the gguf. The bytes are
 * untrusted: every offset, count and length is checked before use, with the checked arithmetic of base.h only.
 * Invariant after gguf_open: each tensor's data lies inside the range, is aligned, and overlaps no other.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#ifndef PUMICE_GGUF_H
#define PUMICE_GGUF_H

#include "base.h"

enum { GGUF_MAX_DIMS = 4, GGUF_MAX_NAME = 64 - 1, GGUF_MAX_KEY = 65535, GGUF_MAX_ARRAY_DEPTH = 4 };
/* Far above any real model; they bound the time and memory that a hostile file can cost. */
enum { GGUF_MAX_VALUES = 16384, GGUF_MAX_TENSORS = 16384, GGUF_MAX_META_BYTES = 48 << 20 };

enum gguf_value_type {
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
    GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
    GGUF_N_VALUE_TYPES
};

/* ggml's tensor types by their number in the file; quant_can_dequantize says which can be computed with. */
enum gguf_tensor_type {
    GGUF_T_F32 = 0, GGUF_T_F16 = 1, GGUF_T_Q4_0 = 2, GGUF_T_Q4_1 = 3, GGUF_T_Q5_0 = 6, GGUF_T_Q5_1 = 7,
    GGUF_T_Q8_0 = 8, GGUF_T_Q8_1 = 9, GGUF_T_Q2_K = 10, GGUF_T_Q3_K = 11, GGUF_T_Q4_K = 12, GGUF_T_Q5_K = 13,
    GGUF_T_Q6_K = 14, GGUF_T_Q8_K = 15, GGUF_T_IQ2_XXS = 16, GGUF_T_IQ2_XS = 17, GGUF_T_IQ3_XXS = 18,
    GGUF_T_IQ1_S = 19, GGUF_T_IQ4_NL = 20, GGUF_T_IQ3_S = 21, GGUF_T_IQ2_S = 22, GGUF_T_IQ4_XS = 23,
    GGUF_T_I8 = 24, GGUF_T_I16 = 25, GGUF_T_I32 = 26, GGUF_T_I64 = 27, GGUF_T_F64 = 28, GGUF_T_IQ1_M = 29,
    GGUF_T_BF16 = 30, GGUF_T_TQ1_0 = 34, GGUF_T_TQ2_0 = 35, GGUF_T_MXFP4 = 39,
    GGUF_N_TENSOR_TYPES = 40
};

struct gguf_type_traits {
    const char *name;      /* "Q4_K"; NULL for a number that ggml does not use */
    uint32_t block_n;      /* weights a block */
    uint32_t block_bytes;  /* bytes a block */
};
const struct gguf_type_traits *gguf_type(uint32_t type); /* NULL when unknown */

/* A metadata value; `data` points at its first byte in the file. */
struct gguf_value {
    struct str key;
    enum gguf_value_type type;
    enum gguf_value_type element; /* of an array */
    uint64_t n;                   /* array: elements; string: bytes; else 1 */
    const uint8_t *data;
    uint64_t data_bytes;
};

struct gguf_tensor {
    struct str name;
    uint32_t type;                 /* enum gguf_tensor_type */
    uint32_t n_dims;
    uint64_t dims[GGUF_MAX_DIMS];  /* innermost first (dims[0] = K of a [N,K] matrix); unused ones are 1 */
    uint64_t n_elements;
    uint64_t offset;               /* from the start of the file */
    uint64_t bytes;
    const uint8_t *data;
};

struct gguf {
    uint32_t version;
    uint32_t alignment;
    uint64_t data_offset; /* where tensor data begins */
    uint64_t file_bytes;
    size_t n_values, n_tensors;
    struct gguf_value *values;   /* in file order */
    struct gguf_tensor *tensors; /* in file order */
    struct arena arena;          /* owns the four arrays */
    /* Indices sorted by name, for binary search: unlike a hash table, no choice of names makes it slow. */
    uint32_t *value_order, *tensor_order;
};

/* Parses and checks data[bytes]. Fails FORMAT, UNSUPPORTED or MEMORY; the text names offset, field and remedy.
 * On failure *out is closed. Time and memory are linear in the metadata, bounded by the file's real size. */
enum pumice_status gguf_open(const void *data, uint64_t bytes, struct gguf *out);
void gguf_close(struct gguf *g);

const struct gguf_value *gguf_find(const struct gguf *g, const char *key);           /* NULL if missing */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name);  /* NULL if missing */

/* Typed reads: false if missing or of another kind. Integers convert when the value fits. */
bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out);
bool gguf_f64(const struct gguf *g, const char *key, double *out); /* floats and integers */
bool gguf_bool(const struct gguf *g, const char *key, bool *out);
bool gguf_string(const struct gguf *g, const char *key, struct str *out);
/* Arrays: sequential readers, since elements of string arrays vary in size. */
struct gguf_reader {
    const uint8_t *at, *end;
    enum gguf_value_type element;
    uint64_t left;
};
bool gguf_array(const struct gguf *g, const char *key, struct gguf_reader *out);
bool gguf_next_string(struct gguf_reader *r, struct str *out);
bool gguf_next_i64(struct gguf_reader *r, int64_t *out); /* any integer type or bool */
bool gguf_next_f64(struct gguf_reader *r, double *out);

#endif
