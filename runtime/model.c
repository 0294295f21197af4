/* model: see model.h. Opening, the hyper-parameters and shapes of `qwen3` (MODEL.md 1 and 2), and metadata access. */
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

static enum pumice_status check_rope(const struct gguf *g, const struct hparams *h)
{
    enum pumice_status st = PUMICE_OK;
    struct str scaling;
    uint32_t n_rotated = 0, value_length = 0;
    if (gguf_string(g, "qwen3.rope.scaling.type", &scaling) && !str_eqz(scaling, "none"))
        return err_set(PUMICE_UNSUPPORTED, "RoPE scaling `%s` is not supported; use a file without qwen3.rope.scaling.type",
                       show(scaling).text);
    TRY(read_u32(g, "qwen3.rope.dimension_count", 1, UINT32_MAX, h->E, &n_rotated));
    if (n_rotated != h->E)
        return err_set(PUMICE_UNSUPPORTED, "rotating %u of %u head elements is not supported (qwen3.rope.dimension_count)",
                       n_rotated, h->E);
    TRY(read_u32(g, "qwen3.attention.value_length", 1, UINT32_MAX, h->E, &value_length));
    if (value_length != h->E)
        return err_set(PUMICE_UNSUPPORTED, "value heads of %u and key heads of %u elements: pumice wants them equal",
                       value_length, h->E);
fail:
    return st;
}

static enum pumice_status read_hparams(const struct pumice_model *m, struct hparams *h)
{
    enum pumice_status st = PUMICE_OK;
    const struct gguf *g = &m->gguf;
    TRY(read_u32(g, "qwen3.block_count", 1, MODEL_MAX_LAYERS, 0, &h->n_layers));
    TRY(read_u32(g, "qwen3.context_length", 1, UINT32_MAX, 0, &h->n_context));
    TRY(read_u32(g, "qwen3.embedding_length", 1, 1u << 17, 0, &h->D));
    TRY(read_u32(g, "qwen3.feed_forward_length", 1, 1u << 20, 0, &h->F));
    TRY(read_u32(g, "qwen3.attention.head_count", 1, 1024, 0, &h->H));
    TRY(read_u32(g, "qwen3.attention.head_count_kv", 1, 1024, h->H, &h->G));
    if (h->H % h->G)
        return err_set(PUMICE_FORMAT, "%u query heads cannot share %u KV heads evenly; %s", h->H, h->G, damaged);
    if (!gguf_find(g, "qwen3.attention.key_length") && h->D % h->H)
        return err_set(PUMICE_FORMAT, "metadata qwen3.attention.key_length is missing and %u is no multiple of %u heads; %s",
                       h->D, h->H, damaged);
    TRY(read_u32(g, "qwen3.attention.key_length", 1, 1u << 16, h->D / h->H, &h->E));
    if (h->E % 2 || h->E > 256)
        return err_set(PUMICE_UNSUPPORTED, "heads of %u elements; pumice can do even numbers up to 256", h->E);
    TRY(read_float(g, "qwen3.attention.layer_norm_rms_epsilon", 0, 1, 0, &h->eps));
    TRY(read_float(g, "qwen3.rope.freq_base", 1, 1e12, 10000, &h->rope_base));
    TRY(check_rope(g, h));
fail:
    return st;
}

/* --- tensors ------------------------------------------------------------------------------------------------------------ */

static enum pumice_status err_type(const struct gguf_tensor *t, const char *supported)
{
    const struct gguf_type_traits *type = gguf_type(t->type);
    return err_set(PUMICE_UNSUPPORTED, "tensor %s has type %s; supported are %s; convert it with pumice-gguf quantize",
                   show(t->name).text, type && type->name ? type->name : "unknown", supported);
}

static enum pumice_status check_type(const struct gguf_tensor *t, bool vector)
{
    char list[256] = "";
    if (vector) return t->type == GGUF_T_F32 || t->type == GGUF_T_F16 || t->type == GGUF_T_BF16 ? PUMICE_OK
                                                                                               : err_type(t, "F32, F16, BF16");
    if (quant_can_dequantize(t->type)) return PUMICE_OK;
    for (uint32_t i = 0, n = 0; i < GGUF_N_TENSOR_TYPES && n < sizeof list; i++)
        if (quant_can_dequantize(i))
            n += (uint32_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", gguf_type(i)->name);
    return err_type(t, list);
}

static enum pumice_status err_shape(const struct gguf_tensor *t, const char *want)
{
    char has[128] = "";
    for (uint32_t i = 0, n = 0; i < t->n_dims && i < GGUF_MAX_DIMS && n < sizeof has; i++)
        n += (uint32_t)snprintf(has + n, sizeof has - n, "%s%llu", i ? ", " : "", (unsigned long long)t->dims[i]);
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

static enum pumice_status bind_layer(const struct pumice_model *m, uint32_t i, struct layer_tensors *l)
{
    enum pumice_status st = PUMICE_OK;
    const struct hparams *h = &m->h;
    const uint64_t D = h->D, F = h->F, HE = (uint64_t)h->H * h->E, GE = (uint64_t)h->G * h->E;
    const struct {
        const char *name;
        uint64_t n, k;
        const struct gguf_tensor **out;
    } wanted[] = {
        {"attn_norm", 0, D, &l->attn_norm},  {"attn_q", HE, D, &l->q},  {"attn_k", GE, D, &l->k},
        {"attn_v", GE, D, &l->v},            {"attn_q_norm", 0, h->E, &l->q_norm},
        {"attn_k_norm", 0, h->E, &l->k_norm}, {"attn_output", D, HE, &l->o},
        {"ffn_norm", 0, D, &l->ffn_norm},    {"ffn_gate", F, D, &l->gate}, {"ffn_up", F, D, &l->up},
        {"ffn_down", D, F, &l->down},
    };
    for (size_t j = 0; j < COUNT_OF(wanted); j++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", i, wanted[j].name);
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

/* Tensors that change what a model computes must not be passed over in silence. */
static enum pumice_status check_extra(const struct pumice_model *m)
{
    const size_t used = (m->output == m->embed ? 2u : 3u) + 11 * (size_t)m->h.n_layers;
    for (size_t i = 0; i < m->gguf.n_tensors; i++) {
        const struct str name = m->gguf.tensors[i].name;
        const bool bias = name.n > 5 && memcmp(name.data + name.n - 5, ".bias", 5) == 0;
        if (bias || str_startsz(name, "rope_freqs"))
            return err_set(PUMICE_UNSUPPORTED, "tensor %s: the qwen3 architecture has none; %s", show(name).text, damaged);
    }
    if (m->gguf.n_tensors > used)
        log_line(PUMICE_LOG_WARN, "the file has %zu tensors that qwen3 does not use", m->gguf.n_tensors - used);
    return PUMICE_OK;
}

static enum pumice_status bind_all(struct pumice_model *m)
{
    enum pumice_status st = PUMICE_OK;
    struct layer_tensors *layers = NULL;
    if (!str_eqz(m->architecture, "qwen3"))
        return err_set(PUMICE_UNSUPPORTED, "the architecture `%s` is not supported; pumice runs qwen3",
                       show(m->architecture).text);
    TRY(read_hparams(m, &m->h));
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
    *out = (struct pumice_model_info){.name = m->name_z,
                                      .architecture = m->architecture_z,
                                      .type = type && type->name ? type->name : "",
                                      .n_params = m->n_params,
                                      .file_bytes = m->gguf.file_bytes,
                                      .weight_bytes = m->weight_bytes,
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
