/* matrix_khr: turns a SPIR-V module with SPV_NV_cooperative_matrix into one with SPV_KHR_cooperative_matrix, and writes it as
 * the C header that the build embeds. usage: matrix_khr IN.spv NAME OUT.h [OUT.spv]
 *
 * Why: shaders have to compile with the glslang of stable distributions (12, Debian 12), which knows the NV extension only,
 * while drivers of all vendors have the KHR one. The two say the same; what differs (registry: SPIRV/extensions/NV and KHR):
 *   capability             5357 -> 6022
 *   type                   5358 T, scope, rows, columns -> 4456 ..., use (0 = A, 1 = B, 2 = accumulator), read off the
 *                          multiplications in which values of the type occur; a type with two uses is refused
 *   load                   5359 P, stride, column-major (a boolean), memory operands -> 4457 P, layout (0 rows, 1 columns), stride, ...
 *   store                  5360 P, object, stride, column-major, ... -> 4458 P, object, layout, stride, ...
 *   multiply, add; length  5361, 5362 -> 4459, 4460 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x07230203, HEADER = 5, MAX_WORDS = 1 << 20, MAX_IDS = 1 << 16 };
enum {
    OP_NAME = 5, OP_MEMBER_NAME = 6, OP_EXTENSION = 10, OP_CAPABILITY = 17, OP_TYPE_INT = 21, OP_CONSTANT_TRUE = 41,
    OP_CONSTANT_FALSE = 42, OP_CONSTANT = 43, OP_DECORATE = 71, OP_MEMBER_DECORATE = 72,
    OP_TYPE_NV = 5358, OP_LOAD_NV, OP_STORE_NV, OP_MUL_ADD_NV, OP_LENGTH_NV,
    OP_TYPE_KHR = 4456, OP_LOAD_KHR, OP_STORE_KHR, OP_MUL_ADD_KHR, OP_LENGTH_KHR,
    CAPABILITY_NV = 5357, CAPABILITY_KHR = 6022
};
static const char extension_nv[] = "SPV_NV_cooperative_matrix", extension_khr[] = "SPV_KHR_cooperative_matrix";

static uint32_t in[MAX_WORDS], out[MAX_WORDS];
static size_t n_in, n_out;
static struct id {
    uint32_t type; /* of a value that is a matrix */
    bool is_type;
    int use; /* of a type; -1: not seen */
    int boolean; /* of a constant; -1: none */
} ids[MAX_IDS];
static uint32_t uint_type, number[3]; /* ids of the type and of the constants 0, 1, 2 */

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "matrix_khr: %s%s\n", what, detail);
    exit(1);
}

static void put(uint32_t word)
{
    if (n_out == MAX_WORDS) die("the module is too long", "");
    out[n_out++] = word;
}

static void put_head(uint32_t op, uint32_t n_words) { put(n_words << 16 | op); }

static void use(uint32_t value, int as)
{
    struct id *type = value < MAX_IDS ? &ids[ids[value].type] : NULL;
    if (!type || !type->is_type) die("a multiplication of what is no matrix", "");
    if (type->use >= 0 && type->use != as) die("one matrix type has two uses; give the sizes of A, B and C constants of their own", "");
    type->use = as;
}

/* What the rewriting has to know before it begins: types, values, uses, booleans. */
static void scan(void)
{
    for (size_t i = 0; i < MAX_IDS; i++) ids[i].use = ids[i].boolean = -1;
    for (size_t at = HEADER; at < n_in; at += in[at] >> 16) {
        const uint32_t op = in[at] & 0xffff, n = in[at] >> 16, *w = in + at;
        if (n == 0 || at + n > n_in) die("a damaged module", "");
        if (op == OP_NAME || op == OP_MEMBER_NAME || op == OP_DECORATE || op == OP_MEMBER_DECORATE) continue;
        if (op == OP_TYPE_NV) ids[w[1]].is_type = true;
        else if (op == OP_TYPE_INT && w[2] == 32 && w[3] == 0) uint_type = w[1];
        else if (op == OP_CONSTANT_TRUE || op == OP_CONSTANT_FALSE) ids[w[2]].boolean = op == OP_CONSTANT_TRUE;
        else if (n > 2 && w[1] < MAX_IDS && w[2] < MAX_IDS && ids[w[1]].is_type) ids[w[2]].type = w[1];
        if (op == OP_MUL_ADD_NV)
            for (int i = 0; i < 3; i++) use(w[3 + i], i);
    }
}

static void put_extension(void)
{
    const uint32_t n = (uint32_t)(sizeof extension_khr + 3) / 4;
    uint32_t text[8] = {0};
    memcpy(text, extension_khr, sizeof extension_khr);
    put_head(OP_EXTENSION, n + 1);
    for (uint32_t i = 0; i < n; i++) put(text[i]);
}

/* Constants for uses and layouts, before the first type that needs them. */
static void put_numbers(void)
{
    if (!uint_type) die("no 32-bit unsigned type before the first matrix type", "");
    for (uint32_t i = 0; i < 3; i++) {
        number[i] = in[3]++;
        put_head(OP_CONSTANT, 4);
        put(uint_type);
        put(number[i]);
        put(i);
    }
}

static uint32_t layout(uint32_t boolean)
{
    if (boolean >= MAX_IDS || ids[boolean].boolean < 0) die("a layout that is no constant", "");
    return number[ids[boolean].boolean];
}

static void rewrite(void)
{
    for (size_t i = 0; i < HEADER; i++) put(in[i]);
    for (size_t at = HEADER; at < n_in; at += in[at] >> 16) {
        const uint32_t op = in[at] & 0xffff, n = in[at] >> 16, *w = in + at;
        switch (op) {
        case OP_CAPABILITY:
            put_head(op, n);
            put(w[1] == CAPABILITY_NV ? CAPABILITY_KHR : w[1]);
            break;
        case OP_EXTENSION:
            if (strcmp((const char *)(w + 1), extension_nv) == 0) put_extension();
            else for (uint32_t i = 0; i < n; i++) put(w[i]);
            break;
        case OP_TYPE_NV:
            if (!number[0]) put_numbers();
            if (ids[w[1]].use < 0) die("a matrix type that no multiplication uses", "");
            put_head(OP_TYPE_KHR, n + 1);
            for (uint32_t i = 1; i < n; i++) put(w[i]);
            put(number[ids[w[1]].use]);
            break;
        case OP_LOAD_NV: /* head, type, result, pointer, stride, column-major */
        case OP_STORE_NV: { /* head, pointer, object, stride, column-major */
            const uint32_t stride = op == OP_LOAD_NV ? 4 : 3;
            put_head(op == OP_LOAD_NV ? OP_LOAD_KHR : OP_STORE_KHR, n);
            for (uint32_t i = 1; i < stride; i++) put(w[i]);
            put(layout(w[stride + 1]));
            put(w[stride]);
            for (uint32_t i = stride + 2; i < n; i++) put(w[i]);
            break;
        }
        case OP_MUL_ADD_NV:
        case OP_LENGTH_NV:
            put_head(op - OP_MUL_ADD_NV + OP_MUL_ADD_KHR, n);
            for (uint32_t i = 1; i < n; i++) put(w[i]);
            break;
        default:
            for (uint32_t i = 0; i < n; i++) put(w[i]);
        }
    }
    out[3] = in[3]; /* the bound, with the new constants */
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f) die("cannot open ", path);
    return f;
}

static void close_file(FILE *f, const char *path)
{
    const bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed) die("cannot write ", path);
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5) die("usage: matrix_khr IN.spv NAME OUT.h [OUT.spv]", "");
    FILE *f = open_file(argv[1], "rb");
    n_in = fread(in, 4, MAX_WORDS, f);
    fclose(f);
    if (n_in < HEADER || n_in == MAX_WORDS || in[0] != MAGIC || in[3] + 3 > MAX_IDS) die("no SPIR-V module of this machine's byte order: ", argv[1]);
    scan();
    rewrite();
    f = open_file(argv[3], "w");
    fprintf(f, "/* generated by tools/spirv/matrix_khr */\nstatic const uint32_t %s[] = {", argv[2]);
    for (size_t i = 0; i < n_out; i++) fprintf(f, "%s0x%08x,", i % 8 ? "" : "\n", out[i]);
    fprintf(f, "\n};\n");
    close_file(f, argv[3]);
    if (argc == 4) return 0;
    f = open_file(argv[4], "wb");
    fwrite(out, 4, n_out, f);
    close_file(f, argv[4]);
    return 0;
}
