/* model: see model.h. Opening, hyper-parameters and shapes by architecture (MODEL.md 1 and 2), and metadata access. */
#include "model.h"

#include "quant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- texts from the file are untrusted: they are shown with their control characters replaced ------------------------ */

struct shown {
    char text[96];
};

static struct shown show(struct str s)
{
    struct shown out;
    size_t n = 0;
    for (; n < s.n && n + 4 < sizeof out.text; n++) {
        const unsigned char c = (unsigned char)s.data[n];
        out.text[n] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
    }
    memcpy(out.text + n, n < s.n ? "..." : "", n < s.n ? 4 : 1);
    return out;
}

/* --- hyper-parameters ------------------------------------------------------------------------------------------------- */

static const char damaged[] = "the file is damaged or of another model";

/* A whole number between low and high; `fallback` when the key is missing (0: it must be there). */
static enum pumice_status read_u32(const struct gguf *g, const char *key, uint32_t low, uint32_t high, uint32_t fallback,
                                   uint32_t *out)
{
    uint64_t v;
    if (!gguf_find(g, key) && fallback) v = fallback;
    else if (!gguf_u64(g, key, &v))
        return err_set(PUMICE_FORMAT, "metadata %s is %s; %s", key, gguf_find(g, key) ? "not a whole number" : "missing", damaged);
    if (v < low || v > high)
        return err_set(v > high ? PUMICE_UNSUPPORTED : PUMICE_FORMAT, "metadata %s is %llu; pumice can do %u to %u; %s", key,
                       (unsigned long long)v, low, high, damaged);
    *out = (uint32_t)v;
    return PUMICE_OK;
}

static enum pumice_status read_float(const struct gguf *g, const char *key, double low, double high, double fallback, float *out)
{
    double v;
    if (!gguf_find(g, key) && fallback > 0) v = fallback;
    else if (!gguf_f64(g, key, &v))
        return err_set(PUMICE_FORMAT, "metadata %s is %s; %s", key, gguf_find(g, key) ? "not a number" : "missing", damaged);
    if (!(v >= low && v <= high))
        return err_set(PUMICE_FORMAT, "metadata %s is %g; it must lie between %g and %g; %s", key, v, low, high, damaged);
    *out = (float)v;
    return PUMICE_OK;
}

/* What the files of an architecture are called, and how their layers differ (MODEL.md 2 and 3.3). */
static const struct arch_traits {
    const char *name; /* general.architecture, and what its keys begin with */
    bool head_norms, qkv_biases, neighbours, rope_freqs;
} archs[] = {
    [ARCH_QWEN3] = {.name = "qwen3", .head_norms = true},
    [ARCH_QWEN2] = {.name = "qwen2", .qkv_biases = true},
    [ARCH_LLAMA] = {.name = "llama", .neighbours = true, .rope_freqs = true},
};

static const struct arch_traits *traits(const struct pumice_model *m) { return &archs[m->h.arch]; }

static enum pumice_status find_arch(const struct pumice_model *m, enum arch *out)
{
    char list[128] = "";
    for (size_t i = 0, n = 0; i < COUNT_OF(archs); i++) {
        if (str_eqz(m->architecture, archs[i].name)) {
            *out = (enum arch)i;
            return PUMICE_OK;
        }
        n = str_append(list, sizeof list, n, "%s%s", i ? ", " : "", archs[i].name);
    }
    return err_set(PUMICE_UNSUPPORTED, "the architecture `%s` is not supported; pumice runs %s", show(m->architecture).text, list);
}

/* "qwen3.block_count": room for the longest key of ours. */
struct key {
    char z[64];
};
static struct key key_of(const struct pumice_model *m, const char *what)
{
    struct key k;
    snprintf(k.z, sizeof k.z, "%s.%s", traits(m)->name, what);
    return k;
}

static enum pumice_status check_lengths(const struct pumice_model *m)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t E = m->h.E;
    uint32_t n_rotated = 0, value_length = 0;
    TRY(read_u32(&m->gguf, key_of(m, "rope.dimension_count").z, 1, UINT32_MAX, E, &n_rotated));
    if (n_rotated != E)
        return err_set(PUMICE_UNSUPPORTED, "rotating %u of %u head elements is not supported (%s)", n_rotated, E,
                       key_of(m, "rope.dimension_count").z);
    TRY(read_u32(&m->gguf, key_of(m, "attention.value_length").z, 1, UINT32_MAX, E, &value_length));
    if (value_length != E)
        return err_set(PUMICE_UNSUPPORTED, "value heads of %u and key heads of %u elements: pumice wants them equal",
                       value_length, E);
fail:
    return st;
}

static enum pumice_status read_hparams(struct pumice_model *m)
{
    enum pumice_status st = PUMICE_OK;
    const struct gguf *g = &m->gguf;
    struct hparams *h = &m->h;
    const struct key key_length = key_of(m, "attention.key_length"), experts = key_of(m, "expert_count");
    uint64_t n_experts = 0;
    TRY(read_u32(g, key_of(m, "block_count").z, 1, MODEL_MAX_LAYERS, 0, &h->n_layers));
    TRY(read_u32(g, key_of(m, "context_length").z, 1, UINT32_MAX, 0, &h->n_context));
    TRY(read_u32(g, key_of(m, "embedding_length").z, 1, 1u << 17, 0, &h->D));
    TRY(read_u32(g, key_of(m, "feed_forward_length").z, 1, 1u << 20, 0, &h->F));
    TRY(read_u32(g, key_of(m, "attention.head_count").z, 1, 1024, 0, &h->H));
    TRY(read_u32(g, key_of(m, "attention.head_count_kv").z, 1, 1024, h->H, &h->G));
    if (gguf_u64(g, experts.z, &n_experts) && n_experts > 0)
        return err_set(PUMICE_UNSUPPORTED, "a mixture of %llu experts (%s) is not supported; use a dense model",
                       (unsigned long long)n_experts, experts.z);
    if (h->H % h->G)
        return err_set(PUMICE_FORMAT, "%u query heads cannot share %u KV heads evenly; %s", h->H, h->G, damaged);
    if (!gguf_find(g, key_length.z) && h->D % h->H)
        return err_set(PUMICE_FORMAT, "metadata %s is missing and %u is no multiple of %u heads; %s", key_length.z, h->D, h->H,
                       damaged);
    TRY(read_u32(g, key_length.z, 1, 1u << 16, h->D / h->H, &h->E));
    if (h->E % 2 || h->E > 256)
        return err_set(PUMICE_UNSUPPORTED, "heads of %u elements; pumice can do even numbers up to 256", h->E);
    TRY(read_float(g, key_of(m, "attention.layer_norm_rms_epsilon").z, 0, 1, 0, &h->eps));
    TRY(read_float(g, key_of(m, "rope.freq_base").z, 1, 1e12, 10000, &h->rope.base));
    h->rope.neighbours = traits(m)->neighbours;
    TRY(check_lengths(m));
fail:
    return st;
}

/* --- tensors ------------------------------------------------------------------------------------------------------------ */

static enum pumice_status err_type(const struct gguf_tensor *t, const char *supported)
{
    const struct gguf_type_traits *type = gguf_type(t->type);
    return err_set(PUMICE_UNSUPPORTED, "tensor %s has type %s; supported are %s; use a file of one of those",
                   show(t->name).text, type && type->name ? type->name : "unknown", supported);
}

static enum pumice_status check_type(const struct gguf_tensor *t, bool vector)
{
    char list[256] = "";
    if (vector) return t->type == GGUF_T_F32 || t->type == GGUF_T_F16 || t->type == GGUF_T_BF16 ? PUMICE_OK
                                                                                               : err_type(t, "F32, F16, BF16");
    if (quant_can_dequantize(t->type)) return PUMICE_OK;
    for (size_t i = 0, n = 0; i < GGUF_N_TENSOR_TYPES; i++)
        if (quant_can_dequantize((uint32_t)i))
            n = str_append(list, sizeof list, n, "%s%s", n ? ", " : "", gguf_type((uint32_t)i)->name);
    return err_type(t, list);
}

static enum pumice_status err_shape(const struct gguf_tensor *t, const char *want)
{
    char has[128] = "";
    for (size_t i = 0, n = 0; i < t->n_dims && i < GGUF_MAX_DIMS; i++)
        n = str_append(has, sizeof has, n, "%s%llu", i ? ", " : "", (unsigned long long)t->dims[i]);
    return err_set(PUMICE_FORMAT, "tensor %s: want [%s], file has [%s]; %s", show(t->name).text, want, has, damaged);
}

/* A matrix [n, k] (the file lists k first), or a vector [k] when n is 0. */
static enum pumice_status bind_tensor(const struct pumice_model *m, const char *name, uint64_t n, uint64_t k,
                                      const struct gguf_tensor **out)
{
    char want[64];
    const struct gguf_tensor *t = gguf_find_tensor(&m->gguf, name);
    if (n) snprintf(want, sizeof want, "%llu, %llu", (unsigned long long)k, (unsigned long long)n);
    else snprintf(want, sizeof want, "%llu", (unsigned long long)k);
    if (!t) return err_set(PUMICE_FORMAT, "tensor %s: want [%s], the file has none; %s", name, want, damaged);
    if (t->dims[0] != k || t->dims[1] != (n ? n : 1) || t->dims[2] != 1 || t->dims[3] != 1) return err_shape(t, want);
    const enum pumice_status st = check_type(t, n == 0);
    if (st != PUMICE_OK) return st;
    if (!quant_row_bytes(t->type, k))
        return err_set(PUMICE_FORMAT, "tensor %s: rows of %llu weights are no whole blocks of %s; %s", name,
                       (unsigned long long)k, gguf_type(t->type)->name, damaged);
    *out = t;
    return PUMICE_OK;
}

/* Pairs that turn beta times or less in the original context come from this one on. Source: MODEL.md 3.3. */
static double yarn_pair(const struct hparams *h, double context, double beta)
{
    return h->E * log(context / (beta * 6.283185307179586476925)) / (2 * log((double)h->rope.base));
}

/* What YaRN multiplies the factors by, and the scale of scores that goes with it. */
static enum pumice_status read_yarn(struct pumice_model *m, float *factors)
{
    enum pumice_status st = PUMICE_OK;
    struct hparams *h = &m->h;
    float s = 0, fast = 0, slow = 0, own = 0, mix = 0;
    uint32_t context = 0;
    TRY(read_float(&m->gguf, key_of(m, "rope.scaling.factor").z, 1, 1e6, 0, &s));
    TRY(read_u32(&m->gguf, key_of(m, "rope.scaling.original_context_length").z, 1, UINT32_MAX, h->n_context, &context));
    TRY(read_float(&m->gguf, key_of(m, "rope.scaling.yarn_beta_fast").z, 1e-6, 1e6, 32, &fast));
    TRY(read_float(&m->gguf, key_of(m, "rope.scaling.yarn_beta_slow").z, 1e-6, 1e6, 1, &slow));
    TRY(read_float(&m->gguf, key_of(m, "rope.scaling.yarn_ext_factor").z, 0, 1, 1, &mix));
    TRY(read_float(&m->gguf, key_of(m, "rope.scaling.attn_factor").z, 1e-6, 1e6, 1, &own));
    const double low = fmax(0, floor(yarn_pair(h, context, (double)fast)));
    const double high = fmin(h->E - 1, ceil(yarn_pair(h, context, (double)slow)));
    const double grown = mix > 0 ? (1 + 0.1 * log((double)s)) * (double)own : (double)own; /* q and k, both */
    for (uint32_t i = 0; i < h->E / 2; i++) {
        const double kept = (double)mix * (1 - fmin(1, fmax(0, (i - low) / fmax(0.001, high - low))));
        factors[i] = (float)(1 / ((1 - kept) / (double)s + kept));
    }
    h->attention_scale = (float)(grown * grown / sqrt(h->E));
fail:
    return st;
}

/* The factors of RoPE: those of scaling, and for llama the tensor rope_freqs.weight (Llama 3); and the scale of scores. */
static enum pumice_status read_factors(struct pumice_model *m)
{
    enum pumice_status st = PUMICE_OK;
    struct hparams *h = &m->h;
    const struct key type_key = key_of(m, "rope.scaling.type");
    struct key factor_key = key_of(m, "rope.scaling.factor");
    const uint32_t n = h->E / 2;
    struct str type = STR("linear"); /* of a file that has a factor only */
    float scale = 1;
    h->attention_scale = 1.0f / sqrtf((float)h->E);
    (void)gguf_string(&m->gguf, type_key.z, &type);
    const bool yarn = str_eqz(type, "yarn"), linear = str_eqz(type, "linear");
    if (!yarn && !linear && !str_eqz(type, "none"))
        return err_set(PUMICE_UNSUPPORTED, "RoPE scaling `%s` is not supported (%s); use a file whose scaling is none, linear or yarn",
                       show(type).text, type_key.z);
    if (!gguf_find(&m->gguf, factor_key.z)) factor_key = key_of(m, "rope.scale_linear"); /* of files from 2023 */
    if (linear && gguf_find(&m->gguf, factor_key.z)) TRY(read_float(&m->gguf, factor_key.z, 1e-6, 1e6, 0, &scale));
    const struct gguf_tensor *freqs = traits(m)->rope_freqs ? gguf_find_tensor(&m->gguf, "rope_freqs.weight") : NULL;
    if (!freqs && scale == 1 && !yarn) return PUMICE_OK;
    float *factors = arena_alloc(&m->arena, n, sizeof *factors), *more = arena_alloc(&m->arena, n, sizeof *more);
    if (!factors || !more) return err_memory("the RoPE factors", n * sizeof *factors);
    for (uint32_t i = 0; i < n; i++) factors[i] = 1, more[i] = scale;
    if (yarn) TRY(read_yarn(m, more));
    if (freqs) {
        TRY(bind_tensor(m, "rope_freqs.weight", 0, n, &freqs));
        quant_dequantize_row(freqs->type, freqs->data, factors, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!(factors[i] >= 1e-6f && factors[i] <= 1e6f))
            return err_set(PUMICE_FORMAT, "tensor rope_freqs.weight: element %u is %g; %s", i, (double)factors[i], damaged);
        factors[i] *= more[i];
    }
    h->rope.factors = factors;
fail:
    return st;
}

static enum pumice_status bind_layer(const struct pumice_model *m, uint32_t i, struct layer_tensors *l)
{
    enum pumice_status st = PUMICE_OK;
    const struct hparams *h = &m->h;
    const uint64_t D = h->D, F = h->F, HE = (uint64_t)h->H * h->E, GE = (uint64_t)h->G * h->E;
    const bool norms = traits(m)->head_norms, biases = traits(m)->qkv_biases;
    const struct {
        const char *name;
        uint64_t n, k;
        const struct gguf_tensor **out;
        bool when;
    } wanted[] = {
        {"attn_norm.weight", 0, D, &l->attn_norm, true},  {"attn_q.weight", HE, D, &l->q, true},
        {"attn_k.weight", GE, D, &l->k, true},            {"attn_v.weight", GE, D, &l->v, true},
        {"attn_q_norm.weight", 0, h->E, &l->q_norm, norms}, {"attn_k_norm.weight", 0, h->E, &l->k_norm, norms},
        {"attn_q.bias", 0, HE, &l->q_bias, biases},       {"attn_k.bias", 0, GE, &l->k_bias, biases},
        {"attn_v.bias", 0, GE, &l->v_bias, biases},       {"attn_output.weight", D, HE, &l->o, true},
        {"ffn_norm.weight", 0, D, &l->ffn_norm, true},    {"ffn_gate.weight", F, D, &l->gate, true},
        {"ffn_up.weight", F, D, &l->up, true},            {"ffn_down.weight", D, F, &l->down, true},
    };
    for (size_t j = 0; j < COUNT_OF(wanted); j++) {
        char name[64];
        if (!wanted[j].when) continue;
        snprintf(name, sizeof name, "blk.%u.%s", i, wanted[j].name);
        TRY(bind_tensor(m, name, wanted[j].n, wanted[j].k, wanted[j].out));
    }
fail:
    return st;
}

static enum pumice_status bind_ends(struct pumice_model *m)
{
    enum pumice_status st = PUMICE_OK;
    struct hparams *h = &m->h;
    const struct gguf_tensor *embed = gguf_find_tensor(&m->gguf, "token_embd.weight");
    if (!embed) return err_set(PUMICE_FORMAT, "tensor token_embd.weight is missing; %s", damaged);
    if (embed->dims[1] < 1 || embed->dims[1] > 1u << 22)
        return err_set(PUMICE_UNSUPPORTED, "a vocabulary of %llu tokens; pumice can do 1 to %u",
                       (unsigned long long)embed->dims[1], 1u << 22);
    h->V = (uint32_t)embed->dims[1];
    TRY(bind_tensor(m, "token_embd.weight", h->V, h->D, &m->embed));
    TRY(bind_tensor(m, "output_norm.weight", 0, h->D, &m->output_norm));
    m->output = m->embed;
    if (gguf_find_tensor(&m->gguf, "output.weight")) TRY(bind_tensor(m, "output.weight", h->V, h->D, &m->output));
fail:
    return st;
}

static bool ends_in(struct str s, const char *end)
{
    const size_t n = strlen(end);
    return s.n >= n && memcmp(s.data + s.n - n, end, n) == 0;
}

/* Tensors that change what a model computes must not be passed over in silence. */
static enum pumice_status check_extra(const struct pumice_model *m)
{
    const struct arch_traits *a = traits(m);
    const size_t a_layer = 9u + (a->head_norms ? 2u : 0u) + (a->qkv_biases ? 3u : 0u);
    const size_t used = (m->output == m->embed ? 2u : 3u) + a_layer * m->h.n_layers +
                        (a->rope_freqs && gguf_find_tensor(&m->gguf, "rope_freqs.weight") ? 1u : 0u);
    for (size_t i = 0; i < m->gguf.n_tensors; i++) {
        const struct str name = m->gguf.tensors[i].name;
        const bool qkv = ends_in(name, ".attn_q.bias") || ends_in(name, ".attn_k.bias") || ends_in(name, ".attn_v.bias");
        const bool freqs = str_eqz(name, "rope_freqs.weight");
        if ((ends_in(name, ".bias") && !(qkv && a->qkv_biases)) || (str_startsz(name, "rope_f") && !(freqs && a->rope_freqs)))
            return err_set(PUMICE_UNSUPPORTED, "tensor %s: the %s architecture has none; %s", show(name).text, a->name, damaged);
    }
    if (m->gguf.n_tensors > used)
        log_line(PUMICE_LOG_WARN, "the file has %zu tensors that %s does not use", m->gguf.n_tensors - used, a->name);
    return PUMICE_OK;
}

static enum pumice_status bind_all(struct pumice_model *m)
{
    enum pumice_status st = PUMICE_OK;
    struct layer_tensors *layers = NULL;
    TRY(find_arch(m, &m->h.arch));
    TRY(read_hparams(m));
    TRY(read_factors(m));
    TRY(bind_ends(m));
    layers = arena_alloc(&m->arena, m->h.n_layers, sizeof *layers);
    if (!layers) TRY(err_memory("the tensor directory", m->h.n_layers * sizeof *layers));
    for (uint32_t i = 0; i < m->h.n_layers; i++) TRY(bind_layer(m, i, &layers[i]));
    TRY(check_extra(m));
    m->layers = layers;
fail:
    return st;
}

enum pumice_status model_bind(struct pumice_model *m)
{
    if (m->layers) return PUMICE_OK;
    if (m->bind_error) return err_set(m->bind_status, "%s", m->bind_error);
    m->bind_status = bind_all(m);
    if (m->bind_status != PUMICE_OK && m->bind_status != PUMICE_MEMORY)
        m->bind_error = arena_printf(&m->arena, "%s", pumice_error());
    return m->bind_status;
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

static void sum_up(struct pumice_model *m)
{
    uint64_t elements[GGUF_N_TENSOR_TYPES] = {0};
    for (size_t i = 0; i < m->gguf.n_tensors; i++) {
        const struct gguf_tensor *t = &m->gguf.tensors[i];
        m->n_params += t->n_elements;
        m->weight_bytes += t->bytes;
        if (t->type < GGUF_N_TENSOR_TYPES) elements[t->type] += t->n_elements;
    }
    for (uint32_t i = 1; i < GGUF_N_TENSOR_TYPES; i++)
        if (elements[i] > elements[m->main_type]) m->main_type = i;
}

static enum pumice_status open_bytes(struct pumice_model *m, const void *data, uint64_t bytes)
{
    enum pumice_status st = PUMICE_OK;
    struct str name = {"", 0};
    TRY(gguf_open(data, bytes, &m->gguf));
    (void)gguf_string(&m->gguf, "general.name", &name);
    m->architecture = (struct str){"", 0};
    (void)gguf_string(&m->gguf, "general.architecture", &m->architecture);
    m->name_z = arena_strndup(&m->arena, name.data, name.n);
    m->architecture_z = arena_strndup(&m->arena, m->architecture.data, m->architecture.n);
    if (!m->name_z || !m->architecture_z) TRY(err_memory("the model's name", name.n + m->architecture.n));
    sum_up(m);
    if (model_bind(m) == PUMICE_MEMORY) return PUMICE_MEMORY; /* any other failure is engine_open's to tell */
fail:
    return st;
}

enum pumice_status pumice_model_open(const char *path, struct pumice_model **out)
{
    enum pumice_status st = PUMICE_OK;
    *out = NULL;
    struct pumice_model *m = mem_calloc(1, sizeof *m);
    if (!m) return err_memory("the model", sizeof *m);
    TRY(platform_map(path, &m->map));
    st = open_bytes(m, m->map.data, m->map.bytes);
    if (st == PUMICE_FORMAT || st == PUMICE_UNSUPPORTED) (void)err_wrap(st, "%.160s", path);
    TRY(st);
    *out = m;
    return PUMICE_OK;
fail:
    pumice_model_close(m);
    return st;
}

enum pumice_status pumice_model_open_memory(const void *data, size_t bytes, struct pumice_model **out)
{
    enum pumice_status st = PUMICE_OK;
    *out = NULL;
    struct pumice_model *m = mem_calloc(1, sizeof *m);
    if (!m) return err_memory("the model", sizeof *m);
    TRY(open_bytes(m, data, bytes));
    *out = m;
    return PUMICE_OK;
fail:
    pumice_model_close(m);
    return st;
}

void pumice_model_close(struct pumice_model *m)
{
    if (!m) return;
    gguf_close(&m->gguf);
    arena_fini(&m->arena);
    platform_unmap(&m->map);
    mem_free(m);
}

/* --- what the file says about itself --------------------------------------------------------------------------------------- */

/* Keeps *out unless the file has a finite number between low and high there. */
static void override(const struct pumice_model *m, const char *key, double low, double high, double *out)
{
    double v;
    if (gguf_f64(&m->gguf, key, &v) && v >= low && v <= high) *out = v;
}

struct pumice_sampling pumice_model_sampling(const struct pumice_model *m)
{
    double temperature = 0.7, top_k = 20, top_p = 0.8, min_p = 0;
    override(m, "general.sampling.temp", 0, 100, &temperature);
    override(m, "general.sampling.top_k", 0, 1e9, &top_k);
    override(m, "general.sampling.top_p", 0, 1, &top_p);
    override(m, "general.sampling.min_p", 0, 1, &min_p);
    return (struct pumice_sampling){.temperature = (float)temperature, .top_k = (uint32_t)top_k, .top_p = (float)top_p,
                                    .min_p = (float)min_p};
}

/* <architecture>.<what>, 0 when missing. */
static uint32_t own_u32(const struct pumice_model *m, const char *what)
{
    char key[128];
    uint64_t v = 0;
    snprintf(key, sizeof key, "%.64s.%s", m->architecture_z, what);
    return gguf_u64(&m->gguf, key, &v) && v <= UINT32_MAX ? (uint32_t)v : 0;
}

void pumice_model_get_info(const struct pumice_model *m, struct pumice_model_info *out)
{
    const struct gguf_tensor *embed = gguf_find_tensor(&m->gguf, "token_embd.weight");
    const struct gguf_type_traits *type = gguf_type(m->main_type);
    const bool tied = !gguf_find_tensor(&m->gguf, "output.weight");
    *out = (struct pumice_model_info){.name = m->name_z,
                                      .architecture = m->architecture_z,
                                      .type = type && type->name ? type->name : "",
                                      .n_params = m->n_params,
                                      .file_bytes = m->gguf.file_bytes,
                                      .weight_bytes = m->weight_bytes,
                                      .token_bytes = m->weight_bytes - (embed && !tied ? embed->bytes : 0),
                                      .n_vocab = embed && embed->dims[1] <= UINT32_MAX ? (uint32_t)embed->dims[1] : 0,
                                      .n_context = own_u32(m, "context_length"),
                                      .n_layers = own_u32(m, "block_count"),
                                      .n_embd = own_u32(m, "embedding_length")};
}

bool pumice_meta_string(const struct pumice_model *m, const char *key, const char **data, size_t *n)
{
    struct str s;
    if (!gguf_string(&m->gguf, key, &s)) return false;
    *data = s.data;
    *n = s.n;
    return true;
}

bool pumice_meta_u64(const struct pumice_model *m, const char *key, uint64_t *out)
{
    bool b;
    if (gguf_u64(&m->gguf, key, out)) return true;
    if (!gguf_bool(&m->gguf, key, &b)) return false;
    *out = b;
    return true;
}

bool pumice_meta_f64(const struct pumice_model *m, const char *key, double *out)
{
    bool b;
    if (gguf_f64(&m->gguf, key, out)) return true;
    if (!gguf_bool(&m->gguf, key, &b)) return false;
    *out = b;
    return true;
}

bool pumice_meta_bool(const struct pumice_model *m, const char *key, bool *out)
{
    uint64_t v;
    if (gguf_bool(&m->gguf, key, out)) return true;
    if (!gguf_u64(&m->gguf, key, &v)) return false;
    *out = v != 0;
    return true;
}

bool pumice_meta_array(const struct pumice_model *m, const char *key, size_t *n)
{
    struct gguf_reader r;
    return gguf_array(&m->gguf, key, &r) && size_of_u64(r.left, n);
}

bool pumice_meta_array_strings(const struct pumice_model *m, const char *key, const char **strings, size_t *lengths, size_t n)
{
    struct gguf_reader r;
    if (!gguf_array(&m->gguf, key, &r) || r.left < n) return false;
    for (size_t i = 0; i < n; i++) {
        struct str s;
        if (!gguf_next_string(&r, &s)) return false;
        strings[i] = s.data;
        lengths[i] = s.n;
    }
    return true;
}

bool pumice_meta_array_i64(const struct pumice_model *m, const char *key, int64_t *values, size_t n)
{
    struct gguf_reader r;
    if (!gguf_array(&m->gguf, key, &r) || r.left < n) return false;
    for (size_t i = 0; i < n; i++)
        if (!gguf_next_i64(&r, &values[i])) return false;
    return true;
}

bool pumice_meta_array_f64(const struct pumice_model *m, const char *key, double *values, size_t n)
{
    struct gguf_reader r;
    if (!gguf_array(&m->gguf, key, &r) || r.left < n) return false;
    for (size_t i = 0; i < n; i++)
        if (!gguf_next_f64(&r, &values[i])) return false;
    return true;
}

void layer_matrices(const struct layer_tensors *l, const struct gguf_tensor *out[LAYER_MATRICES])
{
    const struct gguf_tensor *const all[] = {l->q, l->k, l->v, l->o, l->gate, l->up, l->down};
    memcpy(out, all, sizeof all);
}
