/* test_model: model, forward, engine and session on the CPU back ends.
 * usage: test_model VECTORS_DIR | test_model --dump NAME FILE (the model behind NAME_logits.txt, for reference.py) */
#include "check.h"
#include "engine.h"
#include "quant.h"
#include "rig.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t types[] = {GGUF_T_F32, GGUF_T_F16, GGUF_T_BF16, GGUF_T_Q4_0, GGUF_T_Q8_0, GGUF_T_Q4_K, GGUF_T_Q5_K, GGUF_T_Q6_K};

static enum pumice_kv kv; /* of the models that follow */

/* --- a model opened on a device --------------------------------------------------------------------------------------- */

static bool rig_open(struct rig *r, uint32_t type, bool tied, const char *device, uint32_t n_threads, uint32_t n_ctx)
{
    const struct pumice_engine_params params = {.device = device, .n_threads = n_threads, .kv = kv};
    if (rig_start(r, type, tied, &params, n_ctx) == PUMICE_OK) return true;
    CHECK(false, "%s: %s", device, pumice_error());
    rig_close(r);
    return false;
}

enum { N_PROMPT = 150 };
static int32_t prompt[N_PROMPT];

static void sync_n(struct rig *r, size_t n)
{
    CHECK(pumice_session_sync(r->session, prompt, n, NULL) == PUMICE_OK, "%s", pumice_error());
}

static uint64_t hash_after(struct rig *r, size_t n)
{
    sync_n(r, n);
    return pumice_session_logits_hash(r->session);
}

static double nmse(const float *a, const double *b, uint32_t n)
{
    double error = 0, power = 0;
    for (uint32_t i = 0; i < n; i++) {
        error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        power += b[i] * b[i];
    }
    return error / power;
}

/* --- against the numpy implementation --------------------------------------------------------------------------------- */

/* The place right after a length-prefixed string in the file's head. */
static uint8_t *after_string(uint8_t *data, size_t bytes, const char *name)
{
    const uint64_t n = strlen(name);
    for (size_t i = 0; i + 8 + n < bytes; i++)
        if (memcmp(data + i, &n, 8) == 0 && memcmp(data + i + 8, name, n) == 0) return data + i + 8 + n;
    CHECK(false, "%s is not in the file", name);
    return NULL;
}

/* Nothing equals anything else: H*E != D, three layers, an output head of its own. "yarn": qwen3 with that RoPE scaling. */
static enum pumice_status vector_model(const char *name, struct arena *a, const void **data, size_t *bytes)
{
    enum pumice_status st = PUMICE_OK;
    rig_arch = ARCH_QWEN3;
    for (size_t i = 0; i < COUNT_OF(rig_arch_names); i++)
        if (strcmp(name, rig_arch_names[i]) == 0) rig_arch = (enum arch)i;
    const struct hparams h = {.arch = rig_arch, .n_layers = 3, .D = 96, .H = 6, .G = 2, .E = 32, .F = 160, .V = 300, .n_context = 64,
                              .eps = 1e-5f, .rope = {.base = 5000}};
    TRY(tiny_model_make(a, GGUF_T_F32, 42, &h, false, data, bytes));
    if (strcmp(name, "yarn") == 0) {
        uint8_t *type = after_string((uint8_t *)(uintptr_t)*data, *bytes, "qwen3.rope.scaling.type");
        if (type) memcpy(type + 12, name, 4); /* after value type and length; was "none" */
    }
fail:
    return st;
}

static int dump(const char *name, const char *path)
{
    struct arena a = {0};
    const void *data;
    size_t bytes;
    enum pumice_status st = vector_model(name, &a, &data, &bytes);
    if (st == PUMICE_OK) st = platform_write_atomic(path, data, bytes);
    if (st != PUMICE_OK) fprintf(stderr, "%s\n", pumice_error());
    arena_fini(&a);
    return st != PUMICE_OK;
}

static void check_prefixes(FILE *f, struct pumice_session *s, const int32_t *ids, const char *device)
{
    static double want[300];
    unsigned prefix, n_prefixes = 0;
    while (fscanf(f, " prefix %u", &prefix) == 1) {
        n_prefixes++;
        for (int i = 0; i < 300; i++) REQUIRE(fscanf(f, "%lf", &want[i]) == 1, "the vector is cut short");
        REQUIRE(pumice_session_sync(s, ids, prefix, NULL) == PUMICE_OK, "%s", pumice_error());
        const double e = nmse(pumice_session_logits(s), want, 300);
        CHECK(e < 1e-7, "%s on %s: prefix %u: NMSE %g against numpy", rig_arch_names[rig_arch], device, prefix, e);
    }
    CHECK(n_prefixes == 4, "%u prefixes", n_prefixes);
}

static void test_vectors(const char *dir, const char *name, const char *device)
{
    struct rig r = {0};
    const void *data;
    size_t bytes;
    char path[1024], line[256];
    int n = 0;
    int32_t ids[64];
    snprintf(path, sizeof path, "%s/%s_logits.txt", dir, name);
    FILE *f = fopen(path, "r");
    REQUIRE(f, "cannot open %s", path);
    CHECK(fgets(line, sizeof line, f) && fscanf(f, "tokens %d", &n) == 1 && n > 0 && n <= 64, "bad header");
    for (int i = 0; i < n; i++) CHECK(fscanf(f, "%d", &ids[i]) == 1, "bad token");
    const struct pumice_engine_params params = {.device = device};
    if (CHECK(vector_model(name, &r.arena, &data, &bytes) == PUMICE_OK && pumice_model_open_memory(data, bytes, &r.model) == PUMICE_OK &&
                  pumice_engine_open(r.model, &params, &r.engine) == PUMICE_OK &&
                  pumice_session_open(r.engine, NULL, &r.session) == PUMICE_OK,
              "%s", pumice_error()))
        check_prefixes(f, r.session, ids, device);
    fclose(f);
    rig_close(&r);
}

/* --- files that lie ------------------------------------------------------------------------------------------------------ */

struct lie {
    enum arch arch;
    const char *name;           /* a key or a tensor */
    const char *renamed;        /* to this, of the same length */
    const uint32_t *value;      /* the key's u32 value or f32 bits */
    const uint64_t *dims;       /* the tensor's two dims */
    uint64_t dim;               /* the tensor's only one */
    const char *string;         /* the key's string value */
    enum pumice_status status;
    const char *text;           /* part of the message */
};
#define U32(v)     .value = &(const uint32_t){v}
#define DIMS(a, b) .dims = (const uint64_t[]){a, b}

static const struct lie lies[] = {
    {ARCH_QWEN3, "general.architecture", .string = "qwen9", .status = PUMICE_UNSUPPORTED, .text = "the architecture `qwen9` is not supported; pumice runs qwen3, qwen2, llama"},
    {ARCH_QWEN3, "general.architecture", .string = "\033[31m", .status = PUMICE_UNSUPPORTED, .text = "the architecture `?[31m` is not"},
    {ARCH_QWEN3, "qwen3.block_count", .renamed = "qwen3.block_cuont", .status = PUMICE_FORMAT, .text = "metadata qwen3.block_count is missing"},
    {ARCH_QWEN3, "qwen3.block_count", U32(0), .status = PUMICE_FORMAT, .text = "metadata qwen3.block_count is 0; pumice can do 1 to 512"},
    {ARCH_QWEN3, "qwen3.block_count", U32(513), .status = PUMICE_UNSUPPORTED, .text = "metadata qwen3.block_count is 513"},
    {ARCH_QWEN3, "qwen3.block_count", U32(3), .status = PUMICE_FORMAT, .text = "tensor blk.2.attn_norm.weight: want [256], the file has none"},
    {ARCH_QWEN3, "qwen3.embedding_length", U32(128), .status = PUMICE_FORMAT, .text = "tensor token_embd.weight: want [128, 300], file has [256, 300]"},
    {ARCH_QWEN3, "qwen3.feed_forward_length", U32(0xffffffff), .status = PUMICE_UNSUPPORTED, .text = "qwen3.feed_forward_length is 4294967295"},
    {ARCH_QWEN3, "qwen3.feed_forward_length", U32(256), .status = PUMICE_FORMAT, .text = "tensor blk.0.ffn_gate.weight: want [256, 256], file has [256, 512]"},
    {ARCH_QWEN3, "qwen3.attention.head_count", U32(3), .status = PUMICE_FORMAT, .text = "3 query heads cannot share 2 KV heads evenly"},
    {ARCH_QWEN3, "qwen3.attention.head_count", U32(8), .status = PUMICE_FORMAT, .text = "tensor blk.0.attn_q.weight: want [256, 512], file has [256, 256]"},
    {ARCH_QWEN3, "qwen3.attention.head_count_kv", U32(0), .status = PUMICE_FORMAT, .text = "qwen3.attention.head_count_kv is 0"},
    {ARCH_QWEN3, "qwen3.attention.key_length", U32(63), .status = PUMICE_UNSUPPORTED, .text = "heads of 63 elements"},
    {ARCH_QWEN3, "qwen3.attention.key_length", U32(258), .status = PUMICE_UNSUPPORTED, .text = "heads of 258 elements; pumice can do even numbers up to 256"},
    {ARCH_QWEN3, "qwen3.attention.layer_norm_rms_epsilon", .renamed = "qwen3.attention.layer_norm_rms_epsilom", .status = PUMICE_FORMAT, .text = "layer_norm_rms_epsilon is missing"},
    {ARCH_QWEN3, "qwen3.attention.layer_norm_rms_epsilon", U32(0x7fc00000), .status = PUMICE_FORMAT, .text = "layer_norm_rms_epsilon is"},
    {ARCH_QWEN3, "qwen3.rope.freq_base", U32(0), .status = PUMICE_FORMAT, .text = "metadata qwen3.rope.freq_base is 0; it must lie between 1"},
    {ARCH_QWEN3, "qwen3.rope.scaling.type", .string = "yarm", .status = PUMICE_UNSUPPORTED, .text = "RoPE scaling `yarm` is not supported"},
    {ARCH_QWEN3, "token_embd.weight", .renamed = "token_embx.weight", .status = PUMICE_FORMAT, .text = "tensor token_embd.weight is missing"},
    {ARCH_QWEN3, "output_norm.weight", .renamed = "output_nurm.weight", .status = PUMICE_FORMAT, .text = "tensor output_norm.weight: want [256], the file has none"},
    {ARCH_QWEN3, "blk.1.ffn_down.weight", DIMS(256, 512), .status = PUMICE_FORMAT, .text = "tensor blk.1.ffn_down.weight: want [512, 256], file has [256, 512]; the file is damaged or of another model"},
    {ARCH_QWEN3, "blk.1.attn_k.weight", DIMS(128, 256), .status = PUMICE_FORMAT, .text = "tensor blk.1.attn_k.weight: want [256, 128], file has [128, 256]"},
    {ARCH_QWEN3, "blk.1.attn_q_norm.weight", .renamed = "blk.1.attn_q_norm.weigth", .status = PUMICE_FORMAT, .text = "blk.1.attn_q_norm.weight: want [64], the file has none"},
    {ARCH_QWEN3, "output.weight", .renamed = "attnqqqq.bias", .status = PUMICE_UNSUPPORTED, .text = "tensor attnqqqq.bias: the qwen3 architecture has none"},
    {ARCH_QWEN3, "output.weight", .renamed = "rope_freqs.ab", .status = PUMICE_UNSUPPORTED, .text = "tensor rope_freqs.ab: the qwen3"},
    {ARCH_QWEN3, "general.architecture", .string = "qwen2", .status = PUMICE_FORMAT, .text = "metadata qwen2.block_count is missing"},
    {ARCH_QWEN2, "blk.1.attn_q.bias", .renamed = "blk.1.attn_q.bais", .status = PUMICE_FORMAT, .text = "tensor blk.1.attn_q.bias: want [256], the file has none"},
    {ARCH_QWEN2, "blk.0.attn_k.bias", .dim = 64, .status = PUMICE_FORMAT, .text = "tensor blk.0.attn_k.bias: want [128], file has [64]"},
    {ARCH_QWEN2, "blk.0.attn_v.bias", .renamed = "blk.0.attn_o.bias", .status = PUMICE_FORMAT, .text = "tensor blk.0.attn_v.bias: want [128], the file has none"},
    {ARCH_QWEN2, "output.weight", .renamed = "attn_out.bias", .status = PUMICE_UNSUPPORTED, .text = "tensor attn_out.bias: the qwen2"},
    {ARCH_QWEN2, "output.weight", .renamed = "rope_freqs.ab", .status = PUMICE_UNSUPPORTED, .text = "tensor rope_freqs.ab: the qwen2"},
    {ARCH_QWEN2, "qwen2.rope.scaling.type", .string = "longlo", .status = PUMICE_UNSUPPORTED, .text = "RoPE scaling `longlo` is not supported (qwen2.rope.scaling.type)"},
    {ARCH_QWEN2, "qwen2.rope.scaling.factor", U32(0), .status = PUMICE_FORMAT, .text = "metadata qwen2.rope.scaling.factor is 0"},
    {ARCH_QWEN2, "qwen2.rope.scaling.factor", U32(0x7f800000), .status = PUMICE_FORMAT, .text = "metadata qwen2.rope.scaling.factor is inf"},
    {ARCH_QWEN2, "qwen2.attention.key_length", U32(32), .status = PUMICE_FORMAT, .text = "tensor blk.0.attn_q.weight: want [256, 128]"},
    {ARCH_LLAMA, "rope_freqs.weight", .dim = 16, .status = PUMICE_FORMAT, .text = "tensor rope_freqs.weight: want [32], file has [16]"},
    {ARCH_QWEN3, "output.weight", .renamed = "x.attn_v.bias", .status = PUMICE_UNSUPPORTED, .text = "tensor x.attn_v.bias: the qwen3"},
    {ARCH_LLAMA, "output.weight", .renamed = "x.attn_q.bias", .status = PUMICE_UNSUPPORTED, .text = "tensor x.attn_q.bias: the llama"},
    {ARCH_LLAMA, "output.weight", .renamed = "attn_q_q.bias", .status = PUMICE_UNSUPPORTED, .text = "tensor attn_q_q.bias: the llama"},
    {ARCH_LLAMA, "llama.expert_count", U32(8), .status = PUMICE_UNSUPPORTED, .text = "a mixture of 8 experts (llama.expert_count)"},
    {ARCH_LLAMA, "llama.rope.scaling.type", .string = "su/x", .status = PUMICE_UNSUPPORTED, .text = "RoPE scaling `su/x`"},
};

static void apply(const struct lie *l, uint8_t *data, size_t bytes)
{
    uint8_t *at = after_string(data, bytes, l->name);
    if (!at) return;
    if (l->renamed) memcpy(at - strlen(l->name), l->renamed, strlen(l->name));
    if (l->value) memcpy(at + 4, l->value, 4);             /* after the value type */
    if (l->dims) memcpy(at + 4, l->dims, 16);              /* after n_dims */
    if (l->dim) memcpy(at + 4, &l->dim, 8);
    if (l->string) memcpy(at + 12, l->string, strlen(l->string)); /* after value type and length */
}

static void test_lies(void)
{
    struct arena a = {0};
    const void *made;
    size_t made_bytes;
    struct hparams h = tiny_model_hparams();
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        h.arch = lies[i].arch;
        REQUIRE(tiny_model_make(&a, GGUF_T_F16, 3, &h, false, &made, &made_bytes) == PUMICE_OK, "%s", pumice_error());
        struct pumice_model *m = NULL;
        struct pumice_engine *e = NULL;
        uint8_t *data = malloc(made_bytes);
        REQUIRE(data, "out of memory");
        memcpy(data, made, made_bytes);
        apply(&lies[i], data, made_bytes);
        enum pumice_status st = pumice_model_open_memory(data, made_bytes, &m);
        CHECK(st == PUMICE_OK, "%s: open: %s", lies[i].name, pumice_error());
        for (int again = 0; again < 2 && m; again++) { /* the second time tells the same */
            st = pumice_engine_open(m, &(struct pumice_engine_params){.device = "cpu"}, &e);
            CHECK(st == lies[i].status && !e, "%s: %s", lies[i].name, pumice_status_name(st));
            CHECK(strstr(pumice_error(), lies[i].text), "want `%s`, got `%s`", lies[i].text, pumice_error());
        }
        pumice_model_close(m);
        free(data);
        arena_reset(&a);
    }
    arena_fini(&a);
}

/* Elements of rope_freqs that would turn a head by nothing finite. */
static void test_bad_factors(void)
{
    static const uint32_t bad[] = {0, 0x7f800000, 0x7fc00000, 0xbf800000}; /* 0, inf, NaN, -1 */
    struct arena a = {0};
    struct hparams h = tiny_model_hparams();
    const void *made;
    size_t bytes;
    h.arch = ARCH_LLAMA;
    REQUIRE(tiny_model_make(&a, GGUF_T_F16, 3, &h, true, &made, &bytes) == PUMICE_OK, "%s", pumice_error());
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct pumice_model *m = NULL;
        struct pumice_engine *e = NULL;
        uint8_t *data = malloc(bytes);
        REQUIRE(data, "out of memory");
        memcpy(data, made, bytes);
        CHECK(pumice_model_open_memory(data, bytes, &m) == PUMICE_OK, "%s", pumice_error());
        const struct gguf_tensor *t = gguf_find_tensor(&m->gguf, "rope_freqs.weight");
        CHECK(t && m->h.rope.factors && m->h.rope.factors[2] == 3, "the factors are bound");
        if (t) memcpy(data + t->offset + 4 * 5, &bad[i], 4);
        pumice_model_close(m);
        CHECK(pumice_model_open_memory(data, bytes, &m) == PUMICE_OK, "%s", pumice_error());
        CHECK(pumice_engine_open(m, NULL, &e) == PUMICE_FORMAT && strstr(pumice_error(), "rope_freqs.weight: element 5 is"), "%s",
              pumice_error());
        pumice_model_close(m);
        free(data);
    }
    arena_fini(&a);
}

static void test_unsupported_type(void)
{
    struct arena a = {0};
    const void *made;
    size_t bytes;
    struct pumice_model *m = NULL;
    struct pumice_engine *e = NULL;
    REQUIRE(tiny_model_make(&a, GGUF_T_F16, 3, NULL, true, &made, &bytes) == PUMICE_OK, "%s", pumice_error());
    uint8_t *data = malloc(bytes);
    REQUIRE(data, "out of memory");
    const uint32_t iq2_xxs = GGUF_T_IQ2_XXS, q8_0 = GGUF_T_Q8_0;
    memcpy(data, made, bytes);
    uint8_t *at = after_string(data, bytes, "blk.0.ffn_up.weight");
    if (at) memcpy(at + 20, &iq2_xxs, 4);
    CHECK(pumice_model_open_memory(data, bytes, &m) == PUMICE_OK, "%s", pumice_error());
    CHECK(m && pumice_engine_open(m, NULL, &e) == PUMICE_UNSUPPORTED, "IQ2_XXS cannot run");
    CHECK(strstr(pumice_error(), "tensor blk.0.ffn_up.weight has type IQ2_XXS; supported are F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0"), "%s",
          pumice_error());
    pumice_model_close(m);
    m = NULL;
    memcpy(data, made, bytes);
    at = after_string(data, bytes, "blk.0.attn_norm.weight");
    if (at) memcpy(at + 12, &q8_0, 4);
    CHECK(pumice_model_open_memory(data, bytes, &m) == PUMICE_OK, "%s", pumice_error());
    CHECK(m && pumice_engine_open(m, NULL, &e) == PUMICE_UNSUPPORTED, "a norm in Q8_0 cannot run");
    CHECK(strstr(pumice_error(), "tensor blk.0.attn_norm.weight has type Q8_0; supported are F32, F16, BF16"), "%s", pumice_error());
    pumice_model_close(m);
    free(data);
    arena_fini(&a);
}

static void test_info(void)
{
    struct rig r;
    struct pumice_model_info info;
    const char *text;
    size_t n = 0;
    double f = 0;
    uint64_t u = 0;
    bool flag = true;
    int64_t kinds[300];
    static const char *strings[300];
    static size_t lengths[300];
    if (!rig_open(&r, GGUF_T_Q8_0, false, "cpu", 1, 0)) return;
    pumice_model_get_info(r.model, &info);
    CHECK(strcmp(info.name, "tiny") == 0 && strcmp(info.architecture, "qwen3") == 0 && strcmp(info.type, "Q8_0") == 0, "%s %s %s",
          info.name, info.architecture, info.type);
    CHECK(info.n_vocab == 300 && info.n_context == 512 && info.n_layers == 2 && info.n_embd == 256, "numbers");
    CHECK(info.n_params == 2 * 300 * 256 + 256 + 2 * (2 * 256 + 2 * 64 + 2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 512),
          "%llu params", (unsigned long long)info.n_params);
    CHECK(pumice_meta_string(r.model, "tokenizer.ggml.model", &text, &n) && n == 4 && memcmp(text, "gpt2", 4) == 0, "string");
    CHECK(pumice_meta_u64(r.model, "qwen3.block_count", &u) && u == 2, "u64");
    CHECK(pumice_meta_f64(r.model, "qwen3.block_count", &f) && f == 2, "an integer as f64");
    CHECK(pumice_meta_bool(r.model, "tokenizer.ggml.add_bos_token", &flag) && !flag, "bool");
    CHECK(pumice_meta_u64(r.model, "tokenizer.ggml.add_bos_token", &u) && u == 0, "a bool as u64");
    CHECK(!pumice_meta_u64(r.model, "general.name", &u) && !pumice_meta_u64(r.model, "nothing", &u), "no number");
    CHECK(pumice_meta_array(r.model, "tokenizer.ggml.tokens", &n) && n == 300, "array of %zu", n);
    CHECK(pumice_meta_array_strings(r.model, "tokenizer.ggml.tokens", strings, lengths, 300), "strings");
    CHECK(lengths[257] == 12 && memcmp(strings[257], "<|im_start|>", 12) == 0, "token 257");
    CHECK(lengths[32] == 2 && memcmp(strings[32], "\xc4\xa0", 2) == 0, "the space");
    CHECK(pumice_meta_array_i64(r.model, "tokenizer.ggml.token_type", kinds, 300) && kinds[0] == 1 && kinds[258] == 3, "types");
    CHECK(!pumice_meta_array_i64(r.model, "tokenizer.ggml.token_type", kinds, 301), "beyond the end");
    const struct pumice_sampling s = pumice_model_sampling(r.model);
    CHECK(s.temperature == 0.7f && s.top_k == 20 && s.top_p == 0.8f && s.min_p == 0 && s.seed == 0, "Qwen3-2507's defaults");
    rig_close(&r);
}

/* --- invariants ------------------------------------------------------------------------------------------------------------- */

/* Of cpu against reference. Floats: rounding. Quantised: nine times on the way to the logits activations are rounded to
 * 8 bits by blocks of 32, each time by at most 32 / 254^2 of their power. Qwen3's models here have 4e-4 in all; those whose
 * heads are not normalised have larger scores and 2.5e-3. */
static double limit_of(uint32_t type)
{
    return type == GGUF_T_F32 || type == GGUF_T_F16 || type == GGUF_T_BF16 ? 1e-7 : 9 * 32.0 / (254.0 * 254.0);
}

static void test_types(void)
{
    static double want[300];
    for (size_t i = 0; i < COUNT_OF(types); i += rig_arch == ARCH_QWEN3 ? 1 : 3)
        for (int tied = 0; tied < 2; tied++) {
            struct rig a, b;
            if (!rig_open(&a, types[i], tied, "reference", 2, 64)) continue;
            sync_n(&a, 40);
            const float *logits = pumice_session_logits(a.session);
            for (int j = 0; j < 300; j++) want[j] = (double)logits[j];
            rig_close(&a);
            if (!rig_open(&b, types[i], tied, "cpu", 2, 64)) continue;
            sync_n(&b, 40);
            const double e = nmse(pumice_session_logits(b.session), want, 300);
            CHECK(e < limit_of(types[i]), "%s%s: NMSE %g of cpu against reference", gguf_type(types[i])->name, tied ? " tied" : "", e);
            CHECK(isfinite(e) && want[0] != want[1], "logits say something");
            const uint64_t hash = pumice_session_logits_hash(b.session);
            CHECK(pumice_session_rewind(b.session, 0) == PUMICE_OK, "%s", pumice_error());
            for (size_t n = 1; n < 40; n++) sync_n(&b, n);
            CHECK(hash_after(&b, 40) == hash, "%s%s: token by token", gguf_type(types[i])->name, tied ? " tied" : "");
            rig_close(&b);
        }
}

/* 150 tokens: chunks of 64, 64 and 22; one by one; after a rewind; after another text; on 1, 2 and 5 threads: the same
 * bits. */
static void test_batches(const char *device)
{
    struct rig r;
    uint64_t want, got = 0;
    if (!rig_open(&r, GGUF_T_Q4_K, false, device, 2, 200)) return;
    want = hash_after(&r, N_PROMPT);
    CHECK(want != 0, "a hash");
    CHECK(hash_after(&r, N_PROMPT) == want, "syncing the same again");
    struct pumice_session_stats stats;
    pumice_session_get_stats(r.session, &stats);
    CHECK(stats.prefill_tokens == 0, "nothing to compute, but %llu tokens were", (unsigned long long)stats.prefill_tokens);
    CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK && !pumice_session_logits(r.session), "rewound to nothing");
    CHECK(pumice_session_logits_hash(r.session) == 0, "no logits, no hash");
    for (size_t n = 1; n <= N_PROMPT; n++) got = hash_after(&r, n);
    CHECK(got == want, "%s: token by token", device);
    for (size_t n = 149; n > 0; n /= 2) {
        CHECK(pumice_session_rewind(r.session, n) == PUMICE_OK, "%s", pumice_error());
        CHECK(hash_after(&r, N_PROMPT) == want, "%s: after a rewind to %zu", device, n);
        pumice_session_get_stats(r.session, &stats);
        CHECK(stats.prefill_tokens == N_PROMPT - n, "%llu tokens computed", (unsigned long long)stats.prefill_tokens);
    }
    CHECK(pumice_session_rewind(r.session, 151) == PUMICE_ARGUMENT, "rewinding forwards");
    hash_after(&r, 70); /* shorter: the last token's logits again */
    pumice_session_get_stats(r.session, &stats);
    CHECK(stats.prefill_tokens == 1, "%llu tokens for a shorter prefix", (unsigned long long)stats.prefill_tokens);
    prompt[60] ^= 1;
    const uint64_t other = hash_after(&r, N_PROMPT);
    prompt[60] ^= 1;
    pumice_session_get_stats(r.session, &stats);
    CHECK(other != want && stats.prefill_tokens == 90, "another token at 60");
    CHECK(hash_after(&r, N_PROMPT) == want, "%s: back to the first text", device);
    rig_close(&r);
    for (uint32_t threads = 1; threads <= 5; threads += 2) {
        if (!rig_open(&r, GGUF_T_Q4_K, false, device, threads, 200)) return;
        CHECK(hash_after(&r, N_PROMPT) == want, "%s: %u threads", device, threads);
        rig_close(&r);
    }
}

/* --- generating --------------------------------------------------------------------------------------------------------------- */

struct heard {
    int32_t ids[600];
    size_t n, stop_at;
    struct pumice_session *cancel;
};
static bool hear(void *user, int32_t id)
{
    struct heard *h = user;
    h->ids[h->n++] = id;
    if (h->n == h->stop_at && h->cancel) pumice_session_cancel(h->cancel);
    return h->n != h->stop_at || h->cancel;
}

static struct pumice_generate_result generate(struct rig *r, struct pumice_generate_params p, struct heard *h)
{
    struct pumice_generate_result result;
    p.on_token = hear;
    p.user = h;
    CHECK(pumice_session_generate(r->session, &p, &result) == PUMICE_OK, "%s", pumice_error());
    CHECK(result.n_tokens == h->n, "%u of %zu tokens", result.n_tokens, h->n);
    size_t n;
    const int32_t *tokens = pumice_session_tokens(r->session, &n);
    CHECK(n >= h->n && memcmp(tokens + n - h->n, h->ids, h->n * sizeof *tokens) == 0, "the timeline ends with the answer");
    return result;
}

static void test_generate(const char *device)
{
    static struct heard first, again, third, all;
    struct rig r;
    struct pumice_generate_result result;
    memset(&first, 0, sizeof first);
    memset(&again, 0, sizeof again);
    memset(&third, 0, sizeof third);
    memset(&all, 0, sizeof all);
    if (!rig_open(&r, GGUF_T_Q8_0, true, device, 2, 100)) return;
    CHECK(pumice_session_generate(r.session, &(struct pumice_generate_params){0}, &result) == PUMICE_ARGUMENT, "no logits yet");
    sync_n(&r, 20);
    result = generate(&r, (struct pumice_generate_params){.max_tokens = 30}, &first);
    CHECK(result.stop == PUMICE_STOP_LENGTH && first.n == 30 && result.stop_token == -1, "length");
    size_t n;
    CHECK(pumice_session_tokens(r.session, &n) && n == 50, "%zu tokens", n);
    /* the KV of the last one is not there yet: going on from it must compute it */
    int32_t longer[51];
    memcpy(longer, pumice_session_tokens(r.session, &n), 50 * sizeof *longer);
    longer[50] = 7;
    CHECK(pumice_session_sync(r.session, longer, 51, NULL) == PUMICE_OK, "%s", pumice_error());
    const uint64_t went_on = pumice_session_logits_hash(r.session);
    CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK && pumice_session_sync(r.session, longer, 51, NULL) == PUMICE_OK, "%s",
          pumice_error());
    CHECK(went_on == pumice_session_logits_hash(r.session), "going on after an answer");
    sync_n(&r, 20);
    result = generate(&r, (struct pumice_generate_params){.max_tokens = 30}, &again);
    CHECK(memcmp(first.ids, again.ids, 30 * sizeof *first.ids) == 0, "greedy gives the same again");
    /* the token that came at place 9 as a stop token; if it came earlier, it stops there */
    size_t place = 0;
    while (first.ids[place] != first.ids[9]) place++;
    sync_n(&r, 20);
    const int32_t stops[2] = {299, first.ids[9]};
    result = generate(&r, (struct pumice_generate_params){.stop_tokens = stops, .n_stop_tokens = 2}, &third);
    CHECK(result.stop == PUMICE_STOP_EOS && result.stop_token == first.ids[9] && third.n == place, "stop %s after %zu",
          pumice_stop_name(result.stop), third.n);
    CHECK(pumice_session_logits(r.session) != NULL, "at a stop token the logits stay ready");
    sync_n(&r, 20);
    result = generate(&r, (struct pumice_generate_params){0}, &all);
    CHECK(result.stop == PUMICE_STOP_CONTEXT && all.n == 80, "context full after %zu", all.n);
    /* the timeline of a generation is the timeline of a sync */
    int32_t copy[100];
    memcpy(copy, pumice_session_tokens(r.session, &n), sizeof copy);
    CHECK(pumice_session_sync(r.session, copy, 100, NULL) == PUMICE_OK, "%s", pumice_error());
    const uint64_t hash = pumice_session_logits_hash(r.session);
    CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK && pumice_session_sync(r.session, copy, 100, NULL) == PUMICE_OK, "%s",
          pumice_error());
    CHECK(hash == pumice_session_logits_hash(r.session), "decoded step by step or in one go");
    rig_close(&r);
}

static void test_sampled(void)
{
    static struct heard a, b, c;
    struct rig r;
    const struct pumice_sampling s = {.temperature = 5, .top_p = 1, .seed = 11};
    struct pumice_sampling t = s;
    t.seed = 12;
    if (!rig_open(&r, GGUF_T_Q8_0, true, "cpu", 2, 100)) return;
    sync_n(&r, 20);
    generate(&r, (struct pumice_generate_params){.sampling = s, .max_tokens = 40}, &a);
    sync_n(&r, 20);
    generate(&r, (struct pumice_generate_params){.sampling = s, .max_tokens = 40}, &b);
    sync_n(&r, 20);
    generate(&r, (struct pumice_generate_params){.sampling = t, .max_tokens = 40}, &c);
    CHECK(memcmp(a.ids, b.ids, sizeof a.ids) == 0, "the same seed");
    CHECK(memcmp(a.ids, c.ids, sizeof a.ids) != 0, "another seed");
    rig_close(&r);
}

/* --- limits and cancelling ------------------------------------------------------------------------------------------------------ */

static void test_arguments(void)
{
    struct rig r;
    struct pumice_session *s = NULL;
    const int32_t bad[] = {1, 300, 2}, negative[] = {-1};
    if (!rig_open(&r, GGUF_T_F16, true, "cpu", 1, 100)) return;
    const uint64_t hash = hash_after(&r, 10);
    CHECK(pumice_session_sync(r.session, bad, 3, NULL) == PUMICE_ARGUMENT, "id 300");
    CHECK(strstr(pumice_error(), "token 1 is 300; the vocabulary has ids 0 to 299"), "%s", pumice_error());
    CHECK(pumice_session_sync(r.session, negative, 1, NULL) == PUMICE_ARGUMENT, "id -1");
    CHECK(pumice_session_sync(r.session, prompt, 0, NULL) == PUMICE_ARGUMENT, "no tokens");
    CHECK(pumice_session_sync(r.session, prompt, 101, NULL) == PUMICE_CONTEXT, "101 tokens in 100");
    CHECK(pumice_session_logits_hash(r.session) == hash, "a refused sync changes nothing");
    CHECK(pumice_session_open(r.engine, &(struct pumice_session_params){.n_ctx = 513}, &s) == PUMICE_ARGUMENT && !s, "n_ctx 513");
    CHECK(pumice_session_open(r.engine, NULL, &s) == PUMICE_OK && pumice_session_capacity(s) == 512, "the model's context");
    /* two sessions do not disturb each other */
    CHECK(pumice_session_sync(s, prompt + 20, 30, NULL) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_session_logits_hash(r.session) == hash && pumice_session_logits_hash(s) != hash, "two sessions");
    pumice_session_close(s);
    rig_close(&r);
}

static bool stop_at_once(void *user, size_t done, size_t total)
{
    size_t *seen = user;
    seen[0] = done;
    seen[1] = total;
    return false;
}

static bool count_stages(void *user, const char *stage, float fraction)
{
    float *last = user;
    CHECK(strcmp(stage, "load") == 0 && fraction >= last[0] && fraction <= 1, "%s %g", stage, (double)fraction);
    last[0] = fraction;
    return last[1] == 0 || fraction < last[1];
}

static void test_cancel(void)
{
    struct rig r;
    static struct heard h;
    size_t seen[2] = {0}, n;
    struct pumice_generate_result result;
    if (!rig_open(&r, GGUF_T_Q8_0, true, "reference", 2, 200)) return;
    const struct pumice_sync_callbacks callbacks = {stop_at_once, seen};
    const uint64_t want = hash_after(&r, N_PROMPT);
    CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_session_sync(r.session, prompt, N_PROMPT, &callbacks) == PUMICE_CANCELLED, "the callback said stop");
    CHECK(seen[0] == 64 && seen[1] == N_PROMPT, "after %zu of %zu", seen[0], seen[1]);
    CHECK(pumice_session_tokens(r.session, &n) && n == 64, "%zu tokens are kept", n);
    CHECK(!pumice_session_logits(r.session) || n == 64, "logits of the 64th");
    pumice_session_cancel(r.session);
    CHECK(pumice_session_sync(r.session, prompt, N_PROMPT, NULL) == PUMICE_CANCELLED, "cancelled before it began");
    CHECK(hash_after(&r, N_PROMPT) == want, "the next call goes on");
    pumice_session_cancel(r.session);
    CHECK(pumice_session_generate(r.session, &(struct pumice_generate_params){.max_tokens = 5}, &result) == PUMICE_OK &&
              result.stop == PUMICE_STOP_CANCELLED && result.n_tokens == 0, "generate cancelled before it began");
    h.stop_at = 3;
    result = generate(&r, (struct pumice_generate_params){.max_tokens = 9}, &h);
    CHECK(result.stop == PUMICE_STOP_CANCELLED && h.n == 3, "the callback's false stops");
    sync_n(&r, N_PROMPT);
    memset(&h, 0, sizeof h);
    h.stop_at = 4;
    h.cancel = r.session;
    result = generate(&r, (struct pumice_generate_params){.max_tokens = 9}, &h);
    CHECK(result.stop == PUMICE_STOP_CANCELLED && h.n == 4, "cancel inside the callback stops");
    rig_close(&r);

    const void *data;
    size_t bytes;
    float progress[2] = {0, 0.5f};
    struct pumice_engine_params params = {.device = "cpu", .progress = count_stages, .user = progress};
    CHECK(tiny_model_make(&r.arena, GGUF_T_Q8_0, 1, NULL, true, &data, &bytes) == PUMICE_OK &&
              pumice_model_open_memory(data, bytes, &r.model) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_engine_open(r.model, &params, &r.engine) == PUMICE_CANCELLED && !r.engine, "loading cancelled");
    progress[0] = progress[1] = 0;
    CHECK(pumice_engine_open(r.model, &params, &r.engine) == PUMICE_OK && progress[0] == 1, "ends at %g", (double)progress[0]);
    rig_close(&r);
}

struct canceller {
    struct pumice_session *session;
    atomic_bool go;
};
static void cancel_soon(void *user)
{
    struct canceller *c = user;
    while (!atomic_load(&c->go)) {}
    pumice_session_cancel(c->session);
}
static bool let_go(void *user, int32_t id)
{
    struct canceller *c = user;
    (void)id;
    atomic_store(&c->go, true);
    return true;
}

static void test_cancel_from_thread(void)
{
    struct rig r;
    struct platform_thread *t = NULL;
    struct pumice_generate_result result = {0};
    if (!rig_open(&r, GGUF_T_Q8_0, true, "cpu", 2, 512)) return;
    sync_n(&r, 1);
    struct canceller c = {.session = r.session};
    CHECK(platform_thread_create(cancel_soon, &c, &t) == PUMICE_OK, "%s", pumice_error());
    const struct pumice_generate_params p = {.on_token = let_go, .user = &c};
    do { /* a generation that the cancel just misses: the next one gets it */
        sync_n(&r, 1);
        CHECK(pumice_session_generate(r.session, &p, &result) == PUMICE_OK, "%s", pumice_error());
    } while (result.stop == PUMICE_STOP_CONTEXT);
    CHECK(result.stop == PUMICE_STOP_CANCELLED, "%s", pumice_stop_name(result.stop));
    platform_thread_join(t);
    rig_close(&r);
}

/* --- save and restore ------------------------------------------------------------------------------------------------------------- */

static void test_save(void)
{
    struct rig r, other;
    struct pumice_session *s = NULL;
    size_t bytes = 0, small = 10, n;
    static struct heard h;
    memset(&h, 0, sizeof h);
    if (!rig_open(&r, GGUF_T_Q8_0, true, "cpu", 2, 200)) return;
    sync_n(&r, 90);
    generate(&r, (struct pumice_generate_params){.max_tokens = 10}, &h);
    const size_t rows = 99 * 2 * 2 * 2 * (kv == PUMICE_KV_Q8_0 ? 64 + 4 : 128); /* positions, layers, K and V, heads */
    CHECK(pumice_session_save(r.session, NULL, &bytes) == PUMICE_OK && bytes > rows && bytes < rows + 1000, "%zu bytes", bytes);
    uint8_t *saved = malloc(bytes);
    REQUIRE(saved, "out of memory");
    CHECK(pumice_session_save(r.session, saved, &small) == PUMICE_ARGUMENT && small == bytes, "too small a buffer");
    CHECK(pumice_session_save(r.session, saved, &bytes) == PUMICE_OK, "%s", pumice_error());
    const int32_t *tokens = pumice_session_tokens(r.session, &n);
    CHECK(n == 100 && pumice_session_sync(r.session, tokens, 100, NULL) == PUMICE_OK, "%s", pumice_error());
    const uint64_t want = pumice_session_logits_hash(r.session);

    CHECK(pumice_session_open(r.engine, &(struct pumice_session_params){.n_ctx = 150}, &s) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_session_restore(s, saved, bytes) == PUMICE_OK, "%s", pumice_error());
    const int32_t *back = pumice_session_tokens(s, &n);
    CHECK(n == 100 && memcmp(back, tokens, 400) == 0 && !pumice_session_logits(s), "the tokens are back");
    CHECK(pumice_session_sync(s, tokens, 100, NULL) == PUMICE_OK && pumice_session_logits_hash(s) == want, "restored == straight");
    struct pumice_session_stats stats;
    pumice_session_get_stats(s, &stats);
    CHECK(stats.prefill_tokens == 1, "%llu tokens computed after restoring", (unsigned long long)stats.prefill_tokens);

    for (size_t i = 0; i < bytes; i += i < 200 ? 1 : 997) { /* no changed byte gets through; the session stays as it was */
        saved[i] ^= 4;
        CHECK(pumice_session_restore(s, saved, bytes) != PUMICE_OK, "byte %zu changed", i);
        saved[i] ^= 4;
    }
    CHECK(pumice_session_logits_hash(s) == want, "a refused restore changes nothing");
    for (size_t i = 0; i < bytes; i = i * 2 + 1) CHECK(pumice_session_restore(s, saved, i) == PUMICE_FORMAT, "cut at %zu", i);
    pumice_session_close(s);
    CHECK(pumice_session_open(r.engine, &(struct pumice_session_params){.n_ctx = 99}, &s) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_session_restore(s, saved, bytes) == PUMICE_CONTEXT, "100 tokens into 99");
    pumice_session_close(s);
    if (rig_open(&other, GGUF_T_Q8_0, true, "cpu", 2, 200)) { /* the same file again, at other addresses */
        CHECK(pumice_session_restore(other.session, saved, bytes) == PUMICE_OK, "%s", pumice_error());
        CHECK(pumice_session_sync(other.session, tokens, 100, NULL) == PUMICE_OK && pumice_session_logits_hash(other.session) == want,
              "other logits after the model was opened again");
        rig_close(&other);
    }
    if (rig_open(&other, GGUF_T_F16, true, "cpu", 1, 200)) {
        CHECK(pumice_session_restore(other.session, saved, bytes) == PUMICE_FORMAT, "into another model");
        CHECK(strstr(pumice_error(), "another model"), "%s", pumice_error());
        rig_close(&other);
    }
    kv = kv == PUMICE_KV_F16 ? PUMICE_KV_Q8_0 : PUMICE_KV_F16;
    if (rig_open(&other, GGUF_T_Q8_0, true, "cpu", 1, 200)) {
        CHECK(pumice_session_restore(other.session, saved, bytes) == PUMICE_FORMAT, "into a cache of another type");
        CHECK(strstr(pumice_error(), kv == PUMICE_KV_F16 ? "with a KV cache of q8_0" : "with a KV cache of f16"), "%s", pumice_error());
        rig_close(&other);
    }
    kv = kv == PUMICE_KV_F16 ? PUMICE_KV_Q8_0 : PUMICE_KV_F16;
    free(saved);
    rig_close(&r);
}

/* A cache of q8_0 takes what the plan says, changes the logits a little and no more, and is refused where heads do not divide. */
static void test_q8_0(void)
{
    struct rig r[2];
    float logits[2][300];
    for (int i = 0; i < 2; i++) {
        struct pumice_session_stats stats;
        struct pumice_fit fit;
        kv = i ? PUMICE_KV_Q8_0 : PUMICE_KV_F16;
        if (!rig_open(&r[i], GGUF_T_F16, true, "cpu", 2, 200)) return;
        sync_n(&r[i], N_PROMPT);
        memcpy(logits[i], pumice_session_logits(r[i].session), sizeof logits[i]);
        pumice_session_get_stats(r[i].session, &stats);
        const struct pumice_engine_params params = {.device = "cpu", .n_ctx = 200, .kv = kv};
        CHECK(pumice_fit(r[i].model, &params, &fit) == PUMICE_OK && fit.kv_bytes == stats.kv_bytes, "%llu planned, %llu taken",
              (unsigned long long)fit.kv_bytes, (unsigned long long)stats.kv_bytes);
        CHECK(stats.kv_bytes == 256 * 2 * 2 * 2 * (i ? 64 + 4 : 128), "%llu bytes", (unsigned long long)stats.kv_bytes);
        rig_close(&r[i]);
    }
    double want[300];
    for (int i = 0; i < 300; i++) want[i] = (double)logits[0][i];
    const double e = nmse(logits[1], want, 300);
    CHECK(e > 1e-8 && e < 1e-3, "the logits differ by %g", e);

    struct arena a = {0};
    const void *data;
    size_t bytes;
    struct pumice_fit fit;
    const struct pumice_engine_params params = {.device = "cpu", .kv = PUMICE_KV_Q8_0}, wrong = {.device = "cpu", .kv = 7};
    struct hparams h = tiny_model_hparams();
    struct pumice_engine *engine = NULL;
    struct pumice_model *model = NULL;
    h.arch = rig_arch, h.H = 4, h.G = 2, h.E = 48;
    REQUIRE(tiny_model_make(&a, GGUF_T_F16, 1, &h, true, &data, &bytes) == PUMICE_OK, "%s", pumice_error());
    REQUIRE(pumice_model_open_memory(data, bytes, &model) == PUMICE_OK, "%s", pumice_error());
    CHECK(pumice_engine_open(model, &params, &engine) == PUMICE_UNSUPPORTED && strstr(pumice_error(), "have 48; use f16"), "%s",
          pumice_error());
    CHECK(pumice_fit(model, &params, &fit) == PUMICE_UNSUPPORTED, "%s", pumice_error());
    CHECK(pumice_engine_open(model, &wrong, &engine) == PUMICE_ARGUMENT, "%s", pumice_error());
    pumice_model_close(model);
    arena_fini(&a);
    kv = PUMICE_KV_F16;
}

/* --- memory ------------------------------------------------------------------------------------------------------------------------- */

static void test_no_allocation(void)
{
    struct rig r;
    static struct heard h;
    memset(&h, 0, sizeof h);
    if (!rig_open(&r, GGUF_T_Q4_K, true, "cpu", 2, 200)) return;
    sync_n(&r, 30);
    generate(&r, (struct pumice_generate_params){.max_tokens = 2}, &h); /* records the plans of an answer */
    memset(&h, 0, sizeof h);
    sync_n(&r, 31);
    const uint64_t before = mem_count();
    generate(&r, (struct pumice_generate_params){.max_tokens = 100}, &h);
    CHECK(mem_count() == before, "%llu allocations in 100 decode steps", (unsigned long long)(mem_count() - before));
    struct pumice_engine_info first, last;
    pumice_engine_get_info(r.engine, &first);
    for (size_t n = 1; n < 120; n++) {
        CHECK(pumice_session_rewind(r.session, 0) == PUMICE_OK, "%s", pumice_error());
        sync_n(&r, n); /* 64 batch sizes through a few plans */
    }
    pumice_engine_get_info(r.engine, &last);
    CHECK(first.device_bytes == last.device_bytes, "device memory grew");
    rig_close(&r);
}

/* Everything from opening to generating with the k-th allocation failing, for every k until it works. */
static void test_failing_allocations(void)
{
    struct arena a = {0};
    const void *data;
    size_t bytes;
    struct hparams dims = tiny_model_hparams();
    dims.arch = rig_arch;
    REQUIRE(tiny_model_make(&a, GGUF_T_Q8_0, 1, &dims, false, &data, &bytes) == PUMICE_OK, "%s", pumice_error());
    uint64_t k = 0;
    for (enum pumice_status st = PUMICE_MEMORY; st != PUMICE_OK && k < 10000;) {
        struct rig r = {0};
        static struct heard h;
        const struct pumice_engine_params params = {.device = "cpu", .n_threads = 2};
        struct pumice_generate_params p = {.max_tokens = 3, .on_token = hear, .user = &h};
        memset(&h, 0, sizeof h);
        mem_fail_at(++k);
        st = pumice_model_open_memory(data, bytes, &r.model);
        if (st == PUMICE_OK) st = pumice_engine_open(r.model, &params, &r.engine);
        if (st == PUMICE_OK) st = pumice_session_open(r.engine, NULL, &r.session);
        if (st == PUMICE_OK) st = pumice_session_sync(r.session, prompt, 70, NULL);
        if (st == PUMICE_OK) st = pumice_session_generate(r.session, &p, NULL);
        mem_fail_at(0);
        CHECK(st == PUMICE_OK || st == PUMICE_MEMORY, "allocation %llu: %s: %s", (unsigned long long)k, pumice_status_name(st),
              pumice_error());
        if (st != PUMICE_OK && r.session) { /* after a failure the session still works */
            const enum pumice_status again = pumice_session_sync(r.session, prompt, 70, NULL);
            CHECK(again == PUMICE_OK && pumice_session_generate(r.session, &p, NULL) == PUMICE_OK, "afterwards: %s", pumice_error());
        }
        rig_close(&r);
    }
    CHECK(k > 30 && k < 10000, "%llu allocations", (unsigned long long)k);
    arena_fini(&a);
}

/* --- a device that fails ---------------------------------------------------------------------------------------------------------------- */

static enum pumice_status lost_run(struct plan *p)
{
    (void)p;
    return err_set(PUMICE_DEVICE, "the device was lost (test)");
}

static void test_lost_device(void)
{
    struct rig r;
    size_t n, bytes = 0;
    struct pumice_session *s = NULL;
    if (!rig_open(&r, GGUF_T_Q8_0, true, "cpu", 1, 200)) return;
    sync_n(&r, 50);
    const struct backend_calls *calls = r.engine->backend->calls;
    struct backend_calls broken = *calls;
    broken.plan_run = lost_run;
    r.engine->backend->calls = &broken;
    CHECK(pumice_session_sync(r.session, prompt, 80, NULL) == PUMICE_DEVICE, "lost");
    CHECK(pumice_session_tokens(r.session, &n) && n == 50 && !pumice_session_logits(r.session), "50 tokens survive, not %zu", n);
    r.engine->backend->calls = calls; /* even if it seems to work again */
    CHECK(pumice_session_sync(r.session, prompt, 80, NULL) == PUMICE_DEVICE, "still lost");
    CHECK(strstr(pumice_error(), "the device failed earlier: the device was lost (test)"), "%s", pumice_error());
    CHECK(pumice_session_generate(r.session, &(struct pumice_generate_params){0}, NULL) == PUMICE_DEVICE, "generate");
    CHECK(pumice_session_save(r.session, NULL, &bytes) == PUMICE_OK, "the size is known");
    CHECK(pumice_session_restore(r.session, "x", 1) == PUMICE_DEVICE, "restore");
    CHECK(pumice_session_open(r.engine, NULL, &s) == PUMICE_DEVICE && !s, "a new session");
    CHECK(pumice_session_tokens(r.session, &n) && n == 50, "the tokens survive");
    rig_close(&r);
}

static void test_devices(void)
{
    struct pumice_device_info list[16];
    size_t n = COUNT_OF(list);
    REQUIRE(pumice_devices("cpu", list, &n) == PUMICE_OK, "%s", pumice_error());
    CHECK(n >= 1 && n <= COUNT_OF(list) && list[n - 1].kind == PUMICE_DEVICE_CPU && list[n - 1].chosen, "the CPU is last");
    for (size_t i = 0; i + 1 < n; i++) CHECK(!list[i].chosen, "only one is chosen");
    size_t none = 0;
    CHECK(pumice_devices(NULL, NULL, &none) == PUMICE_OK && none == n, "only the number: %zu", none);
}

/* What threads do; the rest they would do in the same way, and the sanitizer takes minutes for each. */
#ifdef __SANITIZE_THREAD__
enum { THREADS_ONLY = 1, N_ARCHS = 1 };
#else
enum { THREADS_ONLY = 0, N_ARCHS = COUNT_OF(rig_arch_names) };
#endif

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--dump") == 0) return dump(argv[2], argv[3]);
    uint32_t random = 1;
    for (int i = 0; i < N_PROMPT; i++) prompt[i] = (int32_t)((random = random * 1664525 + 1013904223) >> 8) % 300;
    for (int i = 0; i < N_ARCHS; i++) {
        rig_arch = (enum arch)i;
        if (argc > 1 && !THREADS_ONLY) test_vectors(argv[1], rig_arch_names[i], "reference");
        if (argc > 1) test_vectors(argv[1], rig_arch_names[i], "cpu");
        if (!THREADS_ONLY) test_types();
        for (kv = PUMICE_KV_F16; pumice_kv_name(kv); kv++) {
            if (!THREADS_ONLY) test_batches("reference");
            test_batches("cpu");
            test_save();
        }
        kv = PUMICE_KV_F16;
        test_generate("cpu");
        if (THREADS_ONLY) continue;
        test_q8_0();
        test_failing_allocations();
    }
    if (argc > 1 && !THREADS_ONLY) test_vectors(argv[1], "yarn", "reference");
    if (argc > 1) test_vectors(argv[1], "yarn", "cpu");
    rig_arch = ARCH_QWEN3;
    test_generate("reference");
    test_no_allocation();
    test_lies();
    test_bad_factors();
    test_unsupported_type();
    test_info();
    test_sampled();
    test_arguments();
    test_cancel();
    test_cancel_from_thread();
    test_lost_device();
    test_devices();
    return check_summary("test_model");
}
