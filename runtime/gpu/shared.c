/* shared: see shared.h. */
#include "shared.h"

enum {
    SPIRV_MAGIC = 0x07230203, SPIRV_HEADER = 5, MAX_IDS = 1 << 20, NO_SPEC = UINT16_MAX,
    DECORATION_SPEC_ID = 1, STORAGE_WORKGROUP = 4
};

enum opcode {
    OP_TYPE_BOOL = 20, OP_TYPE_INT = 21, OP_TYPE_FLOAT = 22, OP_TYPE_VECTOR = 23, OP_TYPE_MATRIX = 24, OP_TYPE_ARRAY = 28,
    OP_TYPE_STRUCT = 30, OP_TYPE_POINTER = 32, OP_CONSTANT_TRUE = 41, OP_CONSTANT_FALSE = 42, OP_CONSTANT = 43,
    OP_CONSTANT_COMPOSITE = 44, OP_SPEC_TRUE = 48, OP_SPEC_FALSE = 49, OP_SPEC_CONSTANT = 50, OP_SPEC_COMPOSITE = 51,
    OP_SPEC_OP = 52, OP_VARIABLE = 59, OP_DECORATE = 71, OP_COMPOSITE_EXTRACT = 81
};

/* What an id means here: bytes of a type (of what a pointer points to), or the value of a constant. */
struct id {
    uint64_t value;
    const uint32_t *parts; /* ids of a composite constant */
    uint16_t spec;         /* SpecId, or NO_SPEC */
    bool known;
};

struct reader {
    struct id *ids; /* [bound] */
    uint32_t bound;
    const uint32_t *spec;
    uint32_t n_spec;
    uint64_t bytes;
    bool ok;
};

/* A result of its own for ids out of range, so that a damaged module is read without harm. */
static struct id *id_of(struct reader *r, uint32_t id)
{
    if (id < r->bound) return &r->ids[id];
    r->ok = false;
    return &r->ids[0];
}

static void set(struct reader *r, uint32_t id, uint64_t value)
{
    struct id *x = id_of(r, id);
    x->value = value;
    x->known = true;
}

/* OpSpecConstantOp on 32-bit integers and booleans. */
static bool compute(uint32_t opcode, uint32_t a, uint32_t b, uint32_t c, uint32_t *out)
{
    switch (opcode) {
    case 113: case 124: *out = a; return true; /* UConvert, Bitcast */
    case 128: *out = a + b; return true;
    case 130: *out = a - b; return true;
    case 132: *out = a * b; return true;
    case 134: case 135: *out = b ? a / b : 0; return b != 0;
    case 137: case 138: case 139: *out = b ? a % b : 0; return b != 0;
    case 164: case 170: *out = a == b; return true;
    case 165: case 171: *out = a != b; return true;
    case 166: *out = a || b; return true;
    case 167: *out = a && b; return true;
    case 168: *out = !a; return true;
    case 169: *out = a ? b : c; return true;
    case 172: case 173: *out = a > b; return true; /* signed comparisons, too: sizes are not negative */
    case 174: case 175: *out = a >= b; return true;
    case 176: case 177: *out = a < b; return true;
    case 178: case 179: *out = a <= b; return true;
    case 194: case 195: *out = b < 32 ? a >> b : 0; return true;
    case 196: *out = b < 32 ? a << b : 0; return true;
    case 197: *out = a | b; return true;
    case 198: *out = a ^ b; return true;
    case 199: *out = a & b; return true;
    case 200: *out = ~a; return true;
    default: return false;
    }
}

/* w: type, id, opcode, operands; n words in all. What cannot be computed stays unknown. */
static void spec_op(struct reader *r, const uint32_t *w, uint32_t n)
{
    uint32_t operands[3] = {0}, result = 0;
    if (w[2] == OP_COMPOSITE_EXTRACT && n == 5) {
        const struct id *from = id_of(r, w[3]);
        const struct id *part = from->parts && w[4] < from->value ? id_of(r, from->parts[w[4]]) : NULL;
        if (part && part->known) set(r, w[1], part->value);
        return;
    }
    for (uint32_t i = 3; i < n && i - 3 < COUNT_OF(operands); i++) {
        const struct id *x = id_of(r, w[i]);
        if (!x->known) return;
        operands[i - 3] = (uint32_t)x->value;
    }
    if (compute(w[2], operands[0], operands[1], operands[2], &result)) set(r, w[1], result);
}

static uint64_t times(struct reader *r, uint32_t type, uint64_t n)
{
    uint64_t bytes = 0;
    if (!mul_u64(id_of(r, type)->value, n, &bytes)) r->ok = false;
    return bytes;
}

/* w: the n words after the instruction's first. */
static void instruction(struct reader *r, uint32_t opcode, const uint32_t *w, uint32_t n)
{
    static const uint8_t words[] = {[OP_TYPE_BOOL] = 1, [OP_TYPE_INT] = 3, [OP_TYPE_FLOAT] = 2, [OP_TYPE_VECTOR] = 3,
                                    [OP_TYPE_MATRIX] = 3, [OP_TYPE_ARRAY] = 3, [OP_TYPE_STRUCT] = 1, [OP_TYPE_POINTER] = 3,
                                    [OP_CONSTANT_TRUE] = 2, [OP_CONSTANT_FALSE] = 2, [OP_CONSTANT] = 3,
                                    [OP_CONSTANT_COMPOSITE] = 2, [OP_SPEC_TRUE] = 2, [OP_SPEC_FALSE] = 2,
                                    [OP_SPEC_CONSTANT] = 3, [OP_SPEC_COMPOSITE] = 2, [OP_SPEC_OP] = 3, [OP_VARIABLE] = 3,
                                    [OP_DECORATE] = 2};
    if (opcode >= COUNT_OF(words) || !words[opcode]) return;
    if (n < words[opcode]) {
        r->ok = false;
        return;
    }
    switch ((enum opcode)opcode) {
    case OP_TYPE_BOOL: set(r, w[0], 4); break;
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT: set(r, w[0], w[1] / 8); break;
    case OP_TYPE_VECTOR:
    case OP_TYPE_MATRIX: set(r, w[0], times(r, w[1], w[2])); break;
    case OP_TYPE_ARRAY:
        if (id_of(r, w[2])->known) set(r, w[0], times(r, w[1], id_of(r, w[2])->value));
        break;
    case OP_TYPE_STRUCT: {
        uint64_t bytes = 0;
        for (uint32_t i = 1; i < n; i++) bytes += id_of(r, w[i])->value;
        set(r, w[0], bytes);
        break;
    }
    case OP_TYPE_POINTER:
        if (id_of(r, w[2])->known) set(r, w[0], id_of(r, w[2])->value);
        break;
    case OP_CONSTANT_TRUE:
    case OP_CONSTANT_FALSE: set(r, w[1], opcode == OP_CONSTANT_TRUE); break;
    case OP_CONSTANT: set(r, w[1], w[2]); break;
    case OP_SPEC_TRUE:
    case OP_SPEC_FALSE:
    case OP_SPEC_CONSTANT: {
        const uint16_t spec = id_of(r, w[1])->spec;
        set(r, w[1], spec < r->n_spec ? r->spec[spec] : opcode == OP_SPEC_CONSTANT ? w[2] : opcode == OP_SPEC_TRUE);
        break;
    }
    case OP_CONSTANT_COMPOSITE:
    case OP_SPEC_COMPOSITE: {
        struct id *x = id_of(r, w[1]);
        x->parts = w + 2;
        x->value = n - 2;
        break;
    }
    case OP_SPEC_OP: spec_op(r, w, n); break;
    case OP_VARIABLE:
        if (w[2] != STORAGE_WORKGROUP) break;
        if (!id_of(r, w[0])->known) r->ok = false;
        r->bytes += id_of(r, w[0])->value;
        break;
    case OP_DECORATE:
        if (w[1] == DECORATION_SPEC_ID && n > 2) id_of(r, w[0])->spec = (uint16_t)MIN(w[2], (uint32_t)NO_SPEC);
        break;
    case OP_COMPOSITE_EXTRACT: break;
    }
}

bool shared_bytes_of(const uint32_t *words, size_t n_words, const uint32_t *spec, uint32_t n_spec, uint64_t *bytes)
{
    *bytes = 0;
    if (n_words < SPIRV_HEADER || words[0] != SPIRV_MAGIC || words[3] == 0 || words[3] > MAX_IDS) return false;
    struct reader r = {.bound = words[3], .spec = spec, .n_spec = n_spec, .ok = true};
    r.ids = mem_calloc(r.bound, sizeof *r.ids);
    if (!r.ids) return false;
    for (uint32_t i = 0; i < r.bound; i++) r.ids[i].spec = NO_SPEC;
    for (size_t at = SPIRV_HEADER; at < n_words && r.ok;) {
        const uint32_t n = words[at] >> 16;
        if (n == 0 || n > n_words - at) {
            r.ok = false;
            break;
        }
        instruction(&r, words[at] & 0xffff, words + at + 1, n - 1);
        at += n;
    }
    mem_free(r.ids);
    if (r.ok) *bytes = r.bytes;
    return r.ok;
}
