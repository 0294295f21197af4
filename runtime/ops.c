/* ops: builders that turn a call of the forward pass into a struct op, what an op moves, and the choice of back end. */
#include "ops.h"

#include "gguf.h"

#include <stdlib.h>
#include <string.h>

const char *op_kind_name(enum op_kind kind)
{
    static const char *const names[OP_N_KINDS] = {"embed", "rms_norm", "matmul", "norm_matmuls", "norm_gate_up", "qk_norm_rope_kv",
                                                  "bias_rope_kv", "attention", "swiglu", "copy", "sample", "peak"};
    return (unsigned)kind < OP_N_KINDS ? names[kind] : "?";
}

const char *arithmetic_name(enum arithmetic a)
{
    static const char *const names[ARITHMETIC_N] = {"f32", "f16", "int8", "matrix"};
    return (unsigned)a < ARITHMETIC_N ? names[a] : "?";
}

static enum pumice_status record(struct plan *p, const struct op *op) { return p->backend->calls->record(p, op); }

enum pumice_status op_embed(struct plan *p, const char *label, const struct weight *table, struct buf step, struct buf y,
                            uint32_t T)
{
    return record(p, &(struct op){.kind = OP_EMBED, .label = label, .w = table, .step = step, .y = y, .T = T, .D = table->k});
}

enum pumice_status op_rms_norm(struct plan *p, const char *label, struct buf x, const struct weight *w, struct buf y,
                               uint32_t T, float eps)
{
    return record(p, &(struct op){.kind = OP_RMS_NORM, .label = label, .x = x, .w = w, .y = y, .T = T, .D = w->k, .eps = eps});
}

enum pumice_status op_matmul(struct plan *p, const char *label, struct buf x, uint32_t x_row, const struct weight *w,
                             struct buf y, uint32_t T, bool add)
{
    return record(p, &(struct op){.kind = OP_MATMUL, .label = label, .x = x, .x_row = x_row, .w = w, .y = y, .T = T,
                                  .D = w->k, .add = add});
}

enum pumice_status op_norm_matmuls(struct plan *p, const char *label, struct buf x, uint32_t x_row, const struct weight *norm,
                                   float eps, struct buf normed, const struct product *products, uint32_t n, uint32_t T)
{
    const struct buf none = {0};
    return record(p, &(struct op){.kind = OP_NORM_MATMULS, .label = label, .x = x, .x_row = x_row, .norm = norm, .eps = eps,
                                  .normed = normed, .w = products[0].w, .y = products[0].y, .w2 = n > 1 ? products[1].w : NULL,
                                  .y2 = n > 1 ? products[1].y : none, .w3 = n > 2 ? products[2].w : NULL,
                                  .y3 = n > 2 ? products[2].y : none, .T = T, .D = norm->k});
}

enum pumice_status op_norm_gate_up(struct plan *p, const char *label, struct buf x, const struct weight *norm, float eps,
                                   struct buf normed, const struct weight *gate, const struct weight *up, struct buf y,
                                   struct buf up_scratch, uint32_t T)
{
    return record(p, &(struct op){.kind = OP_NORM_GATE_UP, .label = label, .x = x, .norm = norm, .eps = eps, .normed = normed,
                                  .w = gate, .w2 = up, .y = y, .y2 = up_scratch, .T = T, .D = norm->k});
}

enum pumice_status op_expand(struct plan *p, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    TRY(op_rms_norm(p, op->label, op->x, op->norm, op->normed, op->x_row + op->T, op->eps));
    TRY(op_matmul(p, op->label, op->normed, op->x_row, op->w, op->y, op->T, false));
    if (op->w2) TRY(op_matmul(p, op->label, op->normed, op->x_row, op->w2, op->y2, op->T, false));
    if (op->w3) TRY(op_matmul(p, op->label, op->normed, op->x_row, op->w3, op->y3, op->T, false));
    if (op->kind == OP_NORM_GATE_UP) TRY(op_swiglu(p, op->label, op->y, op->y2, op->y, op->T, op->w->n));
fail:
    return st;
}

enum pumice_status op_qk_norm_rope_kv(struct plan *p, const char *label, struct buf step, struct buf q, struct buf k,
                                      struct buf v, const struct weight *q_norm, const struct weight *k_norm,
                                      const struct kv_layer *kv, uint32_t T, uint32_t H, uint32_t G, uint32_t E, float eps,
                                      const struct rope *rope)
{
    return record(p, &(struct op){.kind = OP_QK_NORM_ROPE_KV, .label = label, .step = step, .x = q, .y = k, .z = v,
                                  .w = q_norm, .w2 = k_norm, .kv = *kv, .T = T, .H = H, .G = G, .E = E, .eps = eps,
                                  .rope = *rope});
}

enum pumice_status op_bias_rope_kv(struct plan *p, const char *label, struct buf step, struct buf q, struct buf k,
                                   struct buf v, const struct weight *q_bias, const struct weight *k_bias,
                                   const struct weight *v_bias, const struct kv_layer *kv, uint32_t T, uint32_t H,
                                   uint32_t G, uint32_t E, const struct rope *rope)
{
    return record(p, &(struct op){.kind = OP_BIAS_ROPE_KV, .label = label, .step = step, .x = q, .y = k, .z = v,
                                  .w = q_bias, .w2 = k_bias, .w3 = v_bias, .kv = *kv, .T = T, .H = H, .G = G, .E = E,
                                  .rope = *rope});
}

enum pumice_status op_attention(struct plan *p, const char *label, struct buf step, struct buf q, const struct kv_layer *kv,
                                struct buf y, uint32_t T, uint32_t H, uint32_t G, uint32_t E, float scale)
{
    return record(p, &(struct op){.kind = OP_ATTENTION, .label = label, .step = step, .x = q, .y = y, .kv = *kv, .T = T, .H = H,
                                  .G = G, .E = E, .scale = scale});
}

enum pumice_status op_swiglu(struct plan *p, const char *label, struct buf gate, struct buf up, struct buf y, uint32_t T,
                             uint32_t F)
{
    return record(p, &(struct op){.kind = OP_SWIGLU, .label = label, .x = gate, .z = up, .y = y, .T = T, .D = F});
}

enum pumice_status op_copy(struct plan *p, const char *label, struct buf x, struct buf y, uint64_t bytes)
{
    x.bytes = y.bytes = bytes;
    return record(p, &(struct op){.kind = OP_COPY, .label = label, .x = x, .y = y});
}

enum pumice_status op_sample(struct plan *p, const char *label, struct buf logits, struct buf candidates, struct buf draws,
                             struct buf step, uint32_t V, uint32_t k)
{
    return record(p, &(struct op){.kind = OP_SAMPLE, .label = label, .x = logits, .z = candidates, .y = draws, .step = step,
                                  .T = 1, .D = V, .top_k = k});
}

static uint64_t rows_of(const struct weight *w) { return w ? w->n : 0; }

uint64_t op_bytes(const struct op *op, uint32_t past)
{
    const uint64_t T = op->T, D = op->D, heads = (uint64_t)op->H * op->E, kv = (uint64_t)op->G * op->E;
    const uint64_t kv_bytes = op->E ? 2 * op->G * kv_row_bytes(op->kv.type, op->E) : 0; /* of one position */
    switch (op->kind) {
    case OP_EMBED: return T * (op->w->bytes / op->w->n + D * 4);
    case OP_RMS_NORM: return T * D * 8 + D * 4;
    case OP_MATMUL: return op->w->bytes + T * (D + (uint64_t)op->w->n * (op->add ? 2 : 1)) * 4;
    case OP_NORM_MATMULS:
        return op->w->bytes + (op->w2 ? op->w2->bytes : 0) + (op->w3 ? op->w3->bytes : 0) + D * 4 +
               T * (D + op->w->n + rows_of(op->w2) + rows_of(op->w3)) * 4;
    case OP_NORM_GATE_UP: return op->w->bytes + op->w2->bytes + D * 4 + T * (D + op->w->n) * 4;
    case OP_QK_NORM_ROPE_KV:
    case OP_BIAS_ROPE_KV: return T * (heads * 8 + kv * 2 * 4 + kv_bytes);
    case OP_ATTENTION: return T * heads * 8 + (past + T) * kv_bytes; /* each KV row once: what must be read */
    case OP_SWIGLU: return T * D * 12;
    case OP_COPY: return op->x.bytes * 2;
    case OP_SAMPLE: return D * 4;
    case OP_PEAK: return D * 8;
    case OP_N_KINDS: break;
    }
    return 0;
}

double op_flops(const struct op *op, uint32_t past)
{
    const double T = op->T, D = op->D;
    switch (op->kind) {
    case OP_MATMUL: return 2 * T * D * op->w->n;
    case OP_NORM_MATMULS:
    case OP_NORM_GATE_UP: return 2 * T * D * (double)(op->w->n + rows_of(op->w2) + rows_of(op->w3));
    case OP_ATTENTION: return 4 * T * op->H * op->E * ((double)past + (T + 1) / 2);
    case OP_PEAK: return (op->arithmetic == ARITHMETIC_INT8 ? 64 : 16) * D * op->rounds;
    default: return 0;
    }
}

/* The CPU back end comes after the Vulkan devices in the list of pumice_devices: its index is their number. */
static bool is_cpu_index(const char *device)
{
    struct pumice_device_info none;
    size_t n = 0;
    char *end = NULL;
    const unsigned long long index = strtoull(device, &end, 10);
    return end != device && !*end && gpu_devices(NULL, &none, &n) == PUMICE_OK && index == n;
}

enum pumice_status backend_alive(struct backend *b)
{
    struct plan *plan = NULL;
    const enum pumice_status st = b->calls->plan_begin(b, "alive", &plan);
    b->calls->plan_destroy(plan);
    return st;
}

bool device_automatic(const char *wanted) { return !wanted || !wanted[0] || strcmp(wanted, "auto") == 0; }

/* The order of preference is in pumice.h at pumice_engine_params.device. */
enum pumice_status backend_create(const struct backend_options *options, struct backend **out)
{
    const char *device = options->device;
    const bool automatic = device_automatic(device);
    if (!automatic && (strcmp(device, "cpu") == 0 || strcmp(device, "reference") == 0 || is_cpu_index(device))) {
        struct backend_options cpu = *options;
        if (strcmp(device, "reference") != 0) cpu.device = "cpu";
        return cpu_backend_create(&cpu, out);
    }
    const enum pumice_status st = gpu_backend_create(options, out);
    if (st != PUMICE_UNSUPPORTED || !automatic || options->validate) return st;
    log_line(PUMICE_LOG_WARN, "no Vulkan device: %s; going on with the CPU back end", pumice_error());
    return cpu_backend_create(options, out);
}
