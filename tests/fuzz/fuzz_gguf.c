/* fuzz_gguf: any bytes as a GGUF file; what is accepted is walked to its last byte and dequantised. */
#include "gguf.h"
#include "quant.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

static void read_value(const struct gguf *g, const struct gguf_value *v)
{
    struct gguf_reader r = {v->data, v->data + v->data_bytes, v->element, v->n};
    struct str s;
    int64_t i;
    double d;
    char text[64];
    sink += hash_bytes(v->data, v->data_bytes, 0) + (uint64_t)str_escape(v->key, text, sizeof text)[0];
    if (v->type == GGUF_STRING) sink += (uint64_t)str_escape((struct str){(const char *)v->data, v->n}, text, sizeof text)[0];
    if (v->type != GGUF_ARRAY) return;
    while (gguf_next_string(&r, &s)) sink += hash_bytes(s.data, s.n, 0);
    while (gguf_next_i64(&r, &i)) sink += (uint64_t)i;
    while (gguf_next_f64(&r, &d)) sink += d > 0;
    (void)g;
}

static void read_tensor(const struct gguf_tensor *t)
{
    sink += hash_bytes(t->data, t->bytes, 0);
    if (!quant_can_dequantize(t->type) || t->dims[0] > 1 << 16) return;
    float *row = malloc(t->dims[0] * sizeof *row);
    if (!row) return;
    const uint64_t row_bytes = quant_row_bytes(t->type, t->dims[0]);
    for (uint64_t at = 0; at < t->bytes; at += row_bytes) quant_dequantize_row(t->type, t->data + at, row, t->dims[0]);
    sink += row[0] > 0;
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf g;
    uint64_t u;
    double d;
    bool b;
    struct str s;
    if (gguf_open(data, size, &g) != PUMICE_OK) {
        if (!str_printable(str_of(pumice_error()))) abort(); /* one printable line, whatever the bytes */
        return 0;
    }
    for (size_t i = 0; i < g.n_values; i++) {
        if (gguf_find(&g, "general.alignment")) sink += gguf_u64(&g, "general.alignment", &u);
        read_value(&g, &g.values[i]);
    }
    sink += gguf_f64(&g, "a", &d) + gguf_bool(&g, "a", &b) + gguf_string(&g, "a", &s);
    for (size_t i = 0; i < g.n_tensors; i++) read_tensor(&g.tensors[i]);
    gguf_close(&g);
    return 0;
}
