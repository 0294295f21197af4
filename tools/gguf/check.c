/* check: the whole file once: structure (gguf_open) and that no weight, or scale of a block, is NaN or infinite. */
#include "tool.h"

#include "quant.h"

#include <string.h>

static const char help_text[] =
    "usage: pumice-gguf check FILE\n"
    "\n"
    "Reads the whole file: header, metadata, tensor directory, and every weight or block scale, which must be finite.\n"
    "One line for each tensor that is damaged; exit code 1 when there is any.\n";

enum { MAX_SCALES = 2 };

/* Where the half-float scales of a block lie. */
static size_t scales_of(uint32_t type, size_t at[MAX_SCALES])
{
    switch (type) {
    case GGUF_T_Q8_0:
    case GGUF_T_Q4_0:
    case GGUF_T_Q5_0:
    case GGUF_T_IQ4_NL:
    case GGUF_T_IQ4_XS: at[0] = 0; return 1;
    case GGUF_T_Q4_1:
    case GGUF_T_Q5_1:
        at[0] = 0;
        at[1] = offsetof(struct block_q4_1, m);
        return 2;
    case GGUF_T_Q2_K:
        at[0] = offsetof(struct block_q2_K, d);
        at[1] = offsetof(struct block_q2_K, dmin);
        return 2;
    case GGUF_T_Q3_K: at[0] = offsetof(struct block_q3_K, d); return 1;
    case GGUF_T_Q6_K: at[0] = offsetof(struct block_q6_K, d); return 1;
    case GGUF_T_Q4_K:
        at[0] = offsetof(struct block_q4_K, d);
        at[1] = offsetof(struct block_q4_K, dmin);
        return 2;
    case GGUF_T_Q5_K:
        at[0] = offsetof(struct block_q5_K, d);
        at[1] = offsetof(struct block_q5_K, dmin);
        return 2;
    case GGUF_T_F16: at[0] = 0; return 1;
    default: return 0;
    }
}

static uint64_t load(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* Exponent all ones: NaN or infinite. */
static bool block_finite(const struct gguf_tensor *t, const uint8_t *block)
{
    size_t at[MAX_SCALES];
    if (t->type == GGUF_T_F32) return (load(block, 4) & 0x7f800000u) != 0x7f800000u;
    if (t->type == GGUF_T_BF16) return (load(block, 2) & 0x7f80u) != 0x7f80u;
    const size_t n = scales_of(t->type, at);
    for (size_t i = 0; i < n; i++)
        if ((load(block + at[i], 2) & 0x7c00u) == 0x7c00u) return false;
    return true;
}

/* Blocks that are not finite; *first is the element at which the first one begins. */
static uint64_t count_bad(const struct gguf_tensor *t, uint64_t *first)
{
    const struct gguf_type_traits *traits = gguf_type(t->type);
    const uint64_t n = t->bytes / traits->block_bytes;
    uint64_t bad = 0;
    for (uint64_t i = 0; i < n; i++)
        if (!block_finite(t, t->data + i * traits->block_bytes) && bad++ == 0) *first = i * traits->block_n;
    return bad;
}

static int check_tensors(const char *path, const struct mapping *map, const struct gguf *g)
{
    uint64_t n_bad = 0, n_skipped = 0;
    char shown[128];
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        uint64_t first = 0;
        if (!quant_can_dequantize(t->type)) {
            n_skipped++;
            continue;
        }
        platform_map_want(map, t->offset, t->bytes);
        const uint64_t bad = count_bad(t, &first);
        platform_map_drop(map, t->offset, t->bytes);
        if (!bad) continue;
        n_bad++;
        fprintf(stderr, "pumice-gguf: tensor %s: %llu %s not finite, the first at element %llu (offset %llu)\n",
                str_escape(t->name, shown, sizeof shown), (unsigned long long)bad,
                gguf_type(t->type)->block_n > 1 ? "block scales are" : "weights are", (unsigned long long)first,
                (unsigned long long)(t->offset + first / gguf_type(t->type)->block_n * gguf_type(t->type)->block_bytes));
    }
    if (n_bad) {
        fprintf(stderr, "pumice-gguf: %s: %llu of %zu tensors are damaged; download the file again\n", path,
                (unsigned long long)n_bad, g->n_tensors);
        return TOOL_FAILURE;
    }
    printf("%s: ok, %zu metadata entries, %zu tensors, %s", path, g->n_values, g->n_tensors, HUMAN_BYTES(g->file_bytes));
    if (n_skipped) printf("; the values of %llu tensors are of types not looked into", (unsigned long long)n_skipped);
    printf("\n");
    return TOOL_OK;
}

int command_check(int argc, char **argv)
{
    const char *path = NULL;
    bool done = false;
    struct mapping map = {0};
    struct gguf g;
    int code = options_read(argc, argv, NULL, 0, &path, 1, help_text, &done);
    if (code != TOOL_OK || done) return code;
    if (!path) return usage("check: a file is missing");
    if (platform_map(path, &map) != PUMICE_OK) return fail();
    if (gguf_open(map.data, map.bytes, &g) != PUMICE_OK) {
        (void)err_wrap(PUMICE_FORMAT, "%s", path);
        code = fail();
    } else {
        code = check_tensors(path, &map, &g);
        gguf_close(&g);
    }
    platform_unmap(&map);
    return code;
}
