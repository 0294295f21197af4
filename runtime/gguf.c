/* gguf: see gguf.h. One cursor walks the bytes; every read goes through need(), every count is compared with the bytes
 * that are really left before anything is allocated for it. */
#include "gguf.h"

#include <stdio.h>
#include <string.h>

static const struct gguf_type_traits type_table[GGUF_N_TENSOR_TYPES] = {
    [GGUF_T_F32] = {"F32", 1, 4},           [GGUF_T_F16] = {"F16", 1, 2},
    [GGUF_T_Q4_0] = {"Q4_0", 32, 18},       [GGUF_T_Q4_1] = {"Q4_1", 32, 20},
    [GGUF_T_Q5_0] = {"Q5_0", 32, 22},       [GGUF_T_Q5_1] = {"Q5_1", 32, 24},
    [GGUF_T_Q8_0] = {"Q8_0", 32, 34},       [GGUF_T_Q8_1] = {"Q8_1", 32, 36},
    [GGUF_T_Q2_K] = {"Q2_K", 256, 84},      [GGUF_T_Q3_K] = {"Q3_K", 256, 110},
    [GGUF_T_Q4_K] = {"Q4_K", 256, 144},     [GGUF_T_Q5_K] = {"Q5_K", 256, 176},
    [GGUF_T_Q6_K] = {"Q6_K", 256, 210},     [GGUF_T_Q8_K] = {"Q8_K", 256, 292},
    [GGUF_T_IQ2_XXS] = {"IQ2_XXS", 256, 66}, [GGUF_T_IQ2_XS] = {"IQ2_XS", 256, 74},
    [GGUF_T_IQ3_XXS] = {"IQ3_XXS", 256, 98}, [GGUF_T_IQ1_S] = {"IQ1_S", 256, 50},
    [GGUF_T_IQ4_NL] = {"IQ4_NL", 32, 18},   [GGUF_T_IQ3_S] = {"IQ3_S", 256, 110},
    [GGUF_T_IQ2_S] = {"IQ2_S", 256, 82},    [GGUF_T_IQ4_XS] = {"IQ4_XS", 256, 136},
    [GGUF_T_I8] = {"I8", 1, 1},             [GGUF_T_I16] = {"I16", 1, 2},
    [GGUF_T_I32] = {"I32", 1, 4},           [GGUF_T_I64] = {"I64", 1, 8},
    [GGUF_T_F64] = {"F64", 1, 8},           [GGUF_T_IQ1_M] = {"IQ1_M", 256, 56},
    [GGUF_T_BF16] = {"BF16", 1, 2},         [GGUF_T_TQ1_0] = {"TQ1_0", 256, 54},
    [GGUF_T_TQ2_0] = {"TQ2_0", 256, 66},    [GGUF_T_MXFP4] = {"MXFP4", 32, 17},
};

const struct gguf_type_traits *gguf_type(uint32_t type)
{
    return type < GGUF_N_TENSOR_TYPES && type_table[type].name ? &type_table[type] : NULL;
}

/* Bytes of a value that is not a string or an array. */
static uint32_t scalar_bytes(enum gguf_value_type type)
{
    switch (type) {
    case GGUF_U8: case GGUF_I8: case GGUF_BOOL: return 1;
    case GGUF_U16: case GGUF_I16: return 2;
    case GGUF_U32: case GGUF_I32: case GGUF_F32: return 4;
    case GGUF_U64: case GGUF_I64: case GGUF_F64: return 8;
    default: return 0;
    }
}

static uint64_t load_le(const uint8_t *p, uint32_t bytes)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* --- messages ----------------------------------------------------------------------------------- */

#define AGAIN "the file is damaged, download it again"

struct cursor {
    const uint8_t *data;
    uint64_t at, bytes;
    char where[160]; /* "metadata general.name", printable */
};

static const char *commas(uint64_t v, char *out, size_t out_bytes)
{
    char digits[24];
    size_t at = 0;
    const int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    for (int i = 0; i < n && at + 3 < out_bytes; i++) {
        if (i && (n - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}
#define COMMAS(v) commas((v), (char[32]){0}, 32)

/* A shortage this large is a lying length, not a download that was cut off. */
#define PLAUSIBLE_BYTES (1ull << 40)

static enum pumice_status err_short(const struct cursor *c, uint64_t at, const char *what, uint64_t short_bytes)
{
    if (short_bytes > PLAUSIBLE_BYTES)
        return err_set(PUMICE_FORMAT, "offset %llu: %s: %s reaches %s bytes beyond the end of the file; " AGAIN,
                       (unsigned long long)at, c->where, what, COMMAS(short_bytes));
    return err_set(PUMICE_FORMAT,
                   "offset %llu: %s: %s: the file is %s %s short: the download was cut off, download it again",
                   (unsigned long long)at, c->where, what, COMMAS(short_bytes), short_bytes == 1 ? "byte" : "bytes");
}

#define ERR_AT(status, c, at, format, ...) \
    err_set((status), "offset %llu: %s: " format, (unsigned long long)(at), (c)->where, __VA_ARGS__)

/* --- reading ------------------------------------------------------------------------------------ */

static enum pumice_status need(const struct cursor *c, const char *what, uint64_t bytes)
{
    const uint64_t left = c->bytes - c->at;
    if (bytes > left) return err_short(c, c->at, what, bytes - left);
    if (c->at + bytes > GGUF_MAX_META_BYTES) /* no overflow: both lie in the file */
        return ERR_AT(PUMICE_UNSUPPORTED, c, c->at, "metadata and directory exceed %d MiB; " AGAIN, GGUF_MAX_META_BYTES >> 20);
    return PUMICE_OK;
}

static enum pumice_status read_u32(struct cursor *c, const char *what, uint32_t *out)
{
    const enum pumice_status st = need(c, what, 4);
    if (st != PUMICE_OK) return st;
    *out = (uint32_t)load_le(c->data + c->at, 4);
    c->at += 4;
    return PUMICE_OK;
}

static enum pumice_status read_u64(struct cursor *c, const char *what, uint64_t *out)
{
    const enum pumice_status st = need(c, what, 8);
    if (st != PUMICE_OK) return st;
    *out = load_le(c->data + c->at, 8);
    c->at += 8;
    return PUMICE_OK;
}

static enum pumice_status read_string(struct cursor *c, const char *what, struct str *out)
{
    enum pumice_status st;
    uint64_t n = 0;
    TRY(read_u64(c, what, &n));
    TRY(need(c, what, n));
    *out = (struct str){(const char *)c->data + c->at, 0};
    if (!size_of_u64(n, &out->n)) return err_short(c, c->at, what, n);
    c->at += n;
    return PUMICE_OK;
fail:
    return st;
}

/* A key or tensor name: 1..limit bytes of printable UTF-8. */
static enum pumice_status read_name(struct cursor *c, const char *what, uint64_t limit, struct str *out)
{
    const uint64_t at = c->at;
    char shown[96];
    enum pumice_status st = read_string(c, what, out);
    if (st != PUMICE_OK) return st;
    if (out->n == 0) return ERR_AT(PUMICE_FORMAT, c, at, "%s is empty; " AGAIN, what);
    if (out->n > limit)
        return ERR_AT(PUMICE_FORMAT, c, at, "%s has %s bytes, at most %llu are allowed; " AGAIN, what,
                      COMMAS(out->n), (unsigned long long)limit);
    if (!str_printable(*out))
        return ERR_AT(PUMICE_FORMAT, c, at, "%s \"%s\" is not printable UTF-8; " AGAIN, what,
                      str_escape(*out, shown, sizeof shown));
    return PUMICE_OK;
}

/* n elements of at least `least` bytes each must fit in what is left. */
static enum pumice_status check_count(const struct cursor *c, uint64_t at, const char *what, uint64_t n, uint64_t least)
{
    uint64_t bytes;
    if (!mul_u64(n, least, &bytes))
        return ERR_AT(PUMICE_FORMAT, c, at, "%s %s is impossible; " AGAIN, what, COMMAS(n));
    return need(c, what, bytes);
}

/* --- metadata ----------------------------------------------------------------------------------- */

enum { LEAST_VALUE_BYTES = 8 + 1 + 4 + 1, LEAST_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8, STRING_BYTES = 8, ARRAY_BYTES = 12 };

static enum pumice_status check_bools(const struct cursor *c, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (c->data[c->at + i] > 1)
            return ERR_AT(PUMICE_FORMAT, c, c->at + i, "bool is %u, must be 0 or 1; " AGAIN, c->data[c->at + i]);
    return PUMICE_OK;
}

static enum pumice_status read_array(struct cursor *c, uint32_t depth, enum gguf_value_type *element, uint64_t *n);

/* Walks n values of a type, checking everything inside them. */
static enum pumice_status skip_values(struct cursor *c, enum gguf_value_type type, uint64_t n, uint32_t depth)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t each = scalar_bytes(type);
    struct str s;
    enum gguf_value_type inner_type;
    uint64_t inner_n;
    if (each) { /* check_count has seen to it that n * each fits */
        if (type == GGUF_BOOL) st = check_bools(c, n);
        c->at += n * each;
        return st;
    }
    for (uint64_t i = 0; i < n && st == PUMICE_OK; i++)
        st = type == GGUF_STRING ? read_string(c, "string", &s) : read_array(c, depth + 1, &inner_type, &inner_n);
    return st;
}

static enum pumice_status read_array(struct cursor *c, uint32_t depth, enum gguf_value_type *element, uint64_t *n)
{
    enum pumice_status st;
    const uint64_t at = c->at;
    uint32_t type = 0;
    if (depth > GGUF_MAX_ARRAY_DEPTH)
        return ERR_AT(PUMICE_UNSUPPORTED, c, at, "arrays are nested more than %d deep; " AGAIN, GGUF_MAX_ARRAY_DEPTH);
    TRY(read_u32(c, "array type", &type));
    if (type >= GGUF_N_VALUE_TYPES)
        return ERR_AT(PUMICE_FORMAT, c, at, "array type %u is unknown; " AGAIN, type);
    TRY(read_u64(c, "array length", n));
    *element = (enum gguf_value_type)type;
    const uint32_t each = scalar_bytes(*element);
    TRY(check_count(c, at + 4, "array length", *n, each ? each : type == GGUF_STRING ? STRING_BYTES : ARRAY_BYTES));
    return skip_values(c, *element, *n, depth);
fail:
    return st;
}

static enum pumice_status read_value(struct cursor *c, size_t index, struct gguf_value *v)
{
    enum pumice_status st;
    uint32_t type = 0;
    char shown[96];
    snprintf(c->where, sizeof c->where, "metadata entry %zu", index);
    TRY(read_name(c, "key", GGUF_MAX_KEY, &v->key));
    snprintf(c->where, sizeof c->where, "metadata %s", str_escape(v->key, shown, sizeof shown));
    const uint64_t at = c->at;
    TRY(read_u32(c, "value type", &type));
    if (type >= GGUF_N_VALUE_TYPES) return ERR_AT(PUMICE_FORMAT, c, at, "value type %u is unknown; " AGAIN, type);
    v->type = v->element = (enum gguf_value_type)type;
    v->n = 1;
    if (v->type == GGUF_ARRAY) {
        const uint64_t begin = c->at + ARRAY_BYTES;
        TRY(read_array(c, 1, &v->element, &v->n));
        v->data = c->data + begin;
    } else if (v->type == GGUF_STRING) {
        struct str s = {0};
        TRY(read_string(c, "string", &s));
        v->data = (const uint8_t *)s.data;
        v->n = s.n;
    } else {
        v->data = c->data + c->at;
        TRY(need(c, "value", scalar_bytes(v->type)));
        TRY(skip_values(c, v->type, 1, 0));
    }
    v->data_bytes = (uint64_t)(c->data + c->at - v->data);
    return PUMICE_OK;
fail:
    return st;
}

/* --- order -------------------------------------------------------------------------------------- */

typedef bool (*less_fn)(const struct gguf *g, uint32_t a, uint32_t b);

static int compare_str(struct str a, struct str b)
{
    const size_t n = MIN(a.n, b.n);
    const int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static bool less_value(const struct gguf *g, uint32_t a, uint32_t b)
{
    const int c = compare_str(g->values[a].key, g->values[b].key);
    return c ? c < 0 : a < b;
}

static bool less_tensor(const struct gguf *g, uint32_t a, uint32_t b)
{
    const int c = compare_str(g->tensors[a].name, g->tensors[b].name);
    return c ? c < 0 : a < b;
}

static bool less_offset(const struct gguf *g, uint32_t a, uint32_t b)
{
    const uint64_t x = g->tensors[a].offset, y = g->tensors[b].offset;
    return x != y ? x < y : a < b;
}

static void sift(const struct gguf *g, uint32_t *order, size_t root, size_t n, less_fn less)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && less(g, order[child], order[child + 1])) child++;
        if (!less(g, order[root], order[child])) return;
        const uint32_t t = order[root];
        order[root] = order[child];
        order[child] = t;
    }
}

/* Heap sort of 0..n-1: no memory, no bad case. */
static void sort_indices(const struct gguf *g, uint32_t *order, size_t n, less_fn less)
{
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = n / 2; i-- > 0;) sift(g, order, i, n, less);
    for (size_t i = n; i-- > 1;) {
        const uint32_t t = order[0];
        order[0] = order[i];
        order[i] = t;
        sift(g, order, 0, i, less);
    }
}

static uint64_t offset_in(const struct cursor *c, const char *p) { return (uint64_t)((const uint8_t *)p - c->data); }

static enum pumice_status check_value_names(struct cursor *c, struct gguf *g)
{
    char shown[96];
    snprintf(c->where, sizeof c->where, "metadata");
    sort_indices(g, g->value_order, g->n_values, less_value);
    for (size_t i = 1; i < g->n_values; i++) {
        const struct gguf_value *v = &g->values[g->value_order[i]];
        if (str_eq(v->key, g->values[g->value_order[i - 1]].key))
            return ERR_AT(PUMICE_FORMAT, c, offset_in(c, v->key.data), "key %s occurs twice; " AGAIN,
                          str_escape(v->key, shown, sizeof shown));
    }
    return PUMICE_OK;
}

static enum pumice_status check_tensor_names(struct cursor *c, struct gguf *g)
{
    char shown[96];
    snprintf(c->where, sizeof c->where, "tensor directory");
    sort_indices(g, g->tensor_order, g->n_tensors, less_tensor);
    for (size_t i = 1; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[g->tensor_order[i]];
        if (str_eq(t->name, g->tensors[g->tensor_order[i - 1]].name))
            return ERR_AT(PUMICE_FORMAT, c, offset_in(c, t->name.data), "name %s occurs twice; " AGAIN,
                          str_escape(t->name, shown, sizeof shown));
    }
    return PUMICE_OK;
}

/* --- tensors ------------------------------------------------------------------------------------ */

/* Fills everything but the absolute offset and the data pointer. */
static enum pumice_status read_tensor(struct cursor *c, size_t index, const struct gguf *g, struct gguf_tensor *t)
{
    enum pumice_status st;
    char shown[96];
    uint64_t at;
    snprintf(c->where, sizeof c->where, "tensor %zu", index);
    TRY(read_name(c, "name", GGUF_MAX_NAME, &t->name));
    snprintf(c->where, sizeof c->where, "tensor %s", str_escape(t->name, shown, sizeof shown));
    at = c->at;
    TRY(read_u32(c, "number of dimensions", &t->n_dims));
    if (t->n_dims < 1 || t->n_dims > GGUF_MAX_DIMS)
        return ERR_AT(PUMICE_FORMAT, c, at, "%u dimensions, must be 1 to %d; " AGAIN, t->n_dims, GGUF_MAX_DIMS);
    t->n_elements = 1;
    for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) t->dims[i] = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        at = c->at;
        TRY(read_u64(c, "dimension", &t->dims[i]));
        if (t->dims[i] == 0) return ERR_AT(PUMICE_FORMAT, c, at, "dimension %u is 0; " AGAIN, i);
        if (!mul_u64(t->n_elements, t->dims[i], &t->n_elements) || t->n_elements > INT64_MAX)
            return ERR_AT(PUMICE_FORMAT, c, at, "dimension %u is %s: too many elements; " AGAIN, i, COMMAS(t->dims[i]));
    }
    at = c->at;
    TRY(read_u32(c, "type", &t->type));
    const struct gguf_type_traits *traits = gguf_type(t->type);
    if (!traits)
        return ERR_AT(PUMICE_UNSUPPORTED, c, at,
                      "type %u is unknown to this version of pumice; use a file of another type, such as Q4_K", t->type);
    if (t->dims[0] % traits->block_n)
        return ERR_AT(PUMICE_FORMAT, c, at, "rows of %s elements are no multiple of %s's block of %u; " AGAIN,
                      COMMAS(t->dims[0]), traits->name, traits->block_n);
    if (!mul_u64(t->n_elements / traits->block_n, traits->block_bytes, &t->bytes))
        return ERR_AT(PUMICE_FORMAT, c, at, "%s elements are too many; " AGAIN, COMMAS(t->n_elements));
    at = c->at;
    TRY(read_u64(c, "offset", &t->offset));
    if (t->offset % g->alignment)
        return ERR_AT(PUMICE_FORMAT, c, at, "offset %s is no multiple of the alignment %u; " AGAIN, COMMAS(t->offset),
                      g->alignment);
    return PUMICE_OK;
fail:
    return st;
}

/* Places the data: inside the file, no two tensors on the same bytes. order: scratch [n_tensors]. */
static enum pumice_status place_tensors(struct cursor *c, struct gguf *g, uint32_t *order)
{
    uint64_t end_of_all = g->data_offset;
    const struct gguf_tensor *last = NULL;
    char shown[96], other[96];
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        uint64_t end;
        snprintf(c->where, sizeof c->where, "tensor %s", str_escape(t->name, shown, sizeof shown));
        if (!add_u64(t->offset, g->data_offset, &t->offset) || !add_u64(t->offset, t->bytes, &end))
            return ERR_AT(PUMICE_FORMAT, c, offset_in(c, t->name.data), "offset %s is impossible; " AGAIN, COMMAS(t->offset));
        if (end > end_of_all || !last) {
            end_of_all = MAX(end, end_of_all);
            last = t;
        }
    }
    if (last && end_of_all > c->bytes) {
        snprintf(c->where, sizeof c->where, "tensor %s", str_escape(last->name, shown, sizeof shown));
        return err_short(c, last->offset, "data", end_of_all - c->bytes);
    }
    sort_indices(g, order, g->n_tensors, less_offset);
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[order[i]];
        t->data = c->data + t->offset;
        if (i == 0) continue;
        const struct gguf_tensor *before = &g->tensors[order[i - 1]];
        if (before->offset + before->bytes > t->offset) {
            snprintf(c->where, sizeof c->where, "tensor %s", str_escape(t->name, shown, sizeof shown));
            return ERR_AT(PUMICE_FORMAT, c, offset_in(c, t->name.data), "data at %s overlaps that of %s; " AGAIN,
                          COMMAS(t->offset), str_escape(before->name, other, sizeof other));
        }
    }
    return PUMICE_OK;
}

static enum pumice_status read_tensors(struct cursor *c, struct gguf *g)
{
    enum pumice_status st;
    g->tensors = arena_alloc(&g->arena, g->n_tensors, sizeof *g->tensors);
    g->tensor_order = arena_alloc(&g->arena, g->n_tensors, sizeof *g->tensor_order);
    uint32_t *order = arena_alloc(&g->arena, g->n_tensors, sizeof *order);
    if (!g->tensors || !g->tensor_order || !order)
        return err_memory("the tensor directory", g->n_tensors * sizeof *g->tensors);
    for (size_t i = 0; i < g->n_tensors; i++) TRY(read_tensor(c, i, g, &g->tensors[i]));
    TRY(check_tensor_names(c, g));
    if (!align_u64(c->at, g->alignment, &g->data_offset)) return err_short(c, c->at, "data", c->bytes);
    return place_tensors(c, g, order);
fail:
    return st;
}

/* --- header ------------------------------------------------------------------------------------- */

/* What the bytes are, when they are not a GGUF file at all. */
static enum pumice_status err_magic(const struct cursor *c)
{
    const struct str s = {(const char *)c->data, (size_t)MIN(c->bytes, (uint64_t)64)};
    char shown[32];
    if (str_startsz(s, "version https://git-lfs"))
        return err_set(PUMICE_FORMAT, "offset 0: magic: this is a Git LFS pointer, not the model; fetch it with git lfs pull");
    if (str_startsz(s, "<!DOCTYPE") || str_startsz(s, "<!doctype") || str_startsz(s, "<html"))
        return err_set(PUMICE_FORMAT, "offset 0: magic: this is a web page, not a model; download the file itself");
    if (str_startsz(s, "FUGG"))
        return err_set(PUMICE_UNSUPPORTED, "offset 0: magic: big-endian GGUF; convert the model again as little-endian");
    const struct str magic = {s.data, MIN(s.n, (size_t)4)};
    return err_set(PUMICE_FORMAT, "offset 0: magic is \"%s\", must be \"GGUF\": not a GGUF file; choose a .gguf file",
                   str_escape(magic, shown, sizeof shown));
}

static enum pumice_status check_version(const struct cursor *c, uint32_t version)
{
    if (version == 2 || version == 3) return PUMICE_OK;
    if (version == 1)
        return ERR_AT(PUMICE_UNSUPPORTED, c, 4, "version %u is too old (2 and 3 are read); convert the model again", version);
    if (version && (version & 0xffff) == 0)
        return ERR_AT(PUMICE_UNSUPPORTED, c, 4, "version 0x%08x: big-endian GGUF; convert the model again as little-endian",
                      version);
    if (version > 3 && version < 64)
        return ERR_AT(PUMICE_UNSUPPORTED, c, 4, "version %u is newer than this pumice (2 and 3 are read); update pumice", version);
    return ERR_AT(PUMICE_FORMAT, c, 4, "version %u is unknown; " AGAIN, version);
}

static enum pumice_status read_header(struct cursor *c, struct gguf *g)
{
    enum pumice_status st;
    uint64_t n_tensors = 0, n_values = 0;
    snprintf(c->where, sizeof c->where, "header");
    if (memcmp(c->data, "GGUF", (size_t)MIN(c->bytes, (uint64_t)4)) != 0) return err_magic(c);
    TRY(need(c, "magic", 4));
    c->at = 4;
    TRY(read_u32(c, "version", &g->version));
    TRY(check_version(c, g->version));
    TRY(read_u64(c, "tensor count", &n_tensors));
    TRY(read_u64(c, "metadata count", &n_values));
    TRY(check_count(c, 8, "tensor count", n_tensors, LEAST_TENSOR_BYTES));
    TRY(check_count(c, 16, "metadata count", n_values, LEAST_VALUE_BYTES));
    if (n_tensors > GGUF_MAX_TENSORS)
        return ERR_AT(PUMICE_UNSUPPORTED, c, 8, "tensor count is %s, at most %d; " AGAIN, COMMAS(n_tensors), GGUF_MAX_TENSORS);
    if (n_values > GGUF_MAX_VALUES)
        return ERR_AT(PUMICE_UNSUPPORTED, c, 16, "metadata count is %s, at most %d; " AGAIN, COMMAS(n_values), GGUF_MAX_VALUES);
    g->n_tensors = (size_t)n_tensors;
    g->n_values = (size_t)n_values;
    return PUMICE_OK;
fail:
    return st;
}

static enum pumice_status read_alignment(struct cursor *c, struct gguf *g)
{
    uint64_t a = 32;
    const struct gguf_value *v = gguf_find(g, "general.alignment");
    snprintf(c->where, sizeof c->where, "metadata general.alignment");
    if (v && !gguf_u64(g, "general.alignment", &a))
        return ERR_AT(PUMICE_FORMAT, c, offset_in(c, v->key.data), "%s; " AGAIN, "not a whole number");
    if (a < 8 || a > 65536 || (a & (a - 1)))
        return ERR_AT(PUMICE_FORMAT, c, v ? offset_in(c, (const char *)v->data) : 0,
                      "%s, must be a power of two from 8 to 65,536; " AGAIN, COMMAS(a));
    g->alignment = (uint32_t)a;
    return PUMICE_OK;
}

enum pumice_status gguf_open(const void *data, uint64_t bytes, struct gguf *out)
{
    enum pumice_status st;
    struct cursor c = {data, 0, bytes, "header"};
    struct gguf *g = out;
    memset(g, 0, sizeof *g);
    if (!data || !bytes) return err_set(PUMICE_FORMAT, "offset 0: header: the file is empty; download it again");
    g->file_bytes = bytes;
    TRY(read_header(&c, g));
    g->values = arena_alloc(&g->arena, g->n_values, sizeof *g->values);
    g->value_order = arena_alloc(&g->arena, g->n_values, sizeof *g->value_order);
    if (!g->values || !g->value_order) {
        st = err_memory("the metadata", g->n_values * sizeof *g->values);
        goto fail;
    }
    for (size_t i = 0; i < g->n_values; i++) TRY(read_value(&c, i, &g->values[i]));
    TRY(check_value_names(&c, g));
    TRY(read_alignment(&c, g));
    TRY(read_tensors(&c, g));
    return PUMICE_OK;
fail:
    gguf_close(g);
    return st;
}

void gguf_close(struct gguf *g)
{
    if (!g) return;
    arena_fini(&g->arena);
    memset(g, 0, sizeof *g);
}

/* --- look-up ------------------------------------------------------------------------------------ */

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
    size_t low = 0, high = g->n_values;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct gguf_value *v = &g->values[g->value_order[middle]];
        const int c = compare_str(v->key, str_of(key));
        if (c == 0) return v;
        if (c < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
    size_t low = 0, high = g->n_tensors;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct gguf_tensor *t = &g->tensors[g->tensor_order[middle]];
        const int c = compare_str(t->name, str_of(name));
        if (c == 0) return t;
        if (c < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

/* Sign and magnitude of an integer or bool; false for other types. */
static bool load_integer(enum gguf_value_type type, const uint8_t *p, uint64_t *magnitude, bool *negative)
{
    const bool is_signed = type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
    const uint32_t bytes = scalar_bytes(type);
    if (!bytes || type == GGUF_F32 || type == GGUF_F64) return false;
    uint64_t v = load_le(p, bytes);
    *negative = is_signed && (v >> (8 * bytes - 1) & 1);
    if (*negative) {
        if (bytes < 8) v |= UINT64_MAX << 8 * bytes;
        v = ~v + 1;
    }
    *magnitude = v;
    return true;
}

static bool load_f64(enum gguf_value_type type, const uint8_t *p, double *out)
{
    uint64_t magnitude;
    bool negative;
    if (type == GGUF_F32) {
        const uint32_t bits = (uint32_t)load_le(p, 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        *out = (double)f;
        return true;
    }
    if (type == GGUF_F64) {
        const uint64_t bits = load_le(p, 8);
        memcpy(out, &bits, sizeof *out);
        return true;
    }
    if (!load_integer(type, p, &magnitude, &negative)) return false;
    *out = negative ? -(double)magnitude : (double)magnitude;
    return true;
}

bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out)
{
    const struct gguf_value *v = gguf_find(g, key);
    uint64_t magnitude;
    bool negative;
    if (!v || !load_integer(v->type, v->data, &magnitude, &negative) || negative) return false;
    *out = magnitude;
    return true;
}

bool gguf_f64(const struct gguf *g, const char *key, double *out)
{
    const struct gguf_value *v = gguf_find(g, key);
    return v && load_f64(v->type, v->data, out);
}

bool gguf_bool(const struct gguf *g, const char *key, bool *out)
{
    uint64_t v;
    if (!gguf_u64(g, key, &v) || v > 1) return false;
    *out = v == 1;
    return true;
}

bool gguf_string(const struct gguf *g, const char *key, struct str *out)
{
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || v->type != GGUF_STRING) return false;
    *out = (struct str){(const char *)v->data, (size_t)v->n};
    return true;
}

bool gguf_array(const struct gguf *g, const char *key, struct gguf_reader *out)
{
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || v->type != GGUF_ARRAY) return false;
    *out = (struct gguf_reader){v->data, v->data + v->data_bytes, v->element, v->n};
    return true;
}

bool gguf_next_string(struct gguf_reader *r, struct str *out)
{
    if (!r->left || r->element != GGUF_STRING || r->end - r->at < STRING_BYTES) return false;
    const uint64_t n = load_le(r->at, STRING_BYTES);
    if (n > (uint64_t)(r->end - r->at - STRING_BYTES)) return false;
    *out = (struct str){(const char *)r->at + STRING_BYTES, (size_t)n};
    r->at += STRING_BYTES + n;
    r->left--;
    return true;
}

bool gguf_next_i64(struct gguf_reader *r, int64_t *out)
{
    uint64_t magnitude;
    bool negative;
    if (!r->left || !load_integer(r->element, r->at, &magnitude, &negative)) return false;
    if (negative ? magnitude > (uint64_t)INT64_MAX + 1 : magnitude > INT64_MAX) return false;
    *out = negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    r->at += scalar_bytes(r->element);
    r->left--;
    return true;
}

bool gguf_next_f64(struct gguf_reader *r, double *out)
{
    if (!r->left || !load_f64(r->element, r->at, out)) return false;
    r->at += scalar_bytes(r->element);
    r->left--;
    return true;
}
