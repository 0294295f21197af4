/* tiny_model: see tiny_model.h. */
#include "tiny_model.h"

#include "quant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 32, MAX_LAYERS = 64, MAX_TENSORS = 4 + 14 * MAX_LAYERS, N_BYTES = 256, N_SPECIALS = 3 };

static const char *const arch_names[] = {[ARCH_QWEN3] = "qwen3", [ARCH_QWEN2] = "qwen2", [ARCH_LLAMA] = "llama"};

#define ROPE_FREQS "rope_freqs.weight"

struct tensor {
    char name[48];
    uint32_t type;
    uint64_t n, k; /* n 0: a vector */
    uint64_t bytes, offset;
};

struct writer {
    uint8_t *at; /* NULL: only counts */
    uint64_t n;
};

static void put(struct writer *w, const void *data, size_t n)
{
    if (w->at) memcpy(w->at + w->n, data, n);
    w->n += n;
}
static void put_u32(struct writer *w, uint32_t v) { put(w, &v, sizeof v); }
static void put_u64(struct writer *w, uint64_t v) { put(w, &v, sizeof v); }
static void put_str(struct writer *w, const char *s)
{
    put_u64(w, strlen(s));
    put(w, s, strlen(s));
}
/* The key of this architecture: "qwen3.block_count". */
static const char *own(const struct hparams *h, const char *what)
{
    static char key[96];
    snprintf(key, sizeof key, "%s.%s", arch_names[h->arch], what);
    return key;
}
static void key_u32(struct writer *w, const char *key, uint32_t v)
{
    put_str(w, key);
    put_u32(w, GGUF_U32);
    put_u32(w, v);
}
static void key_f32(struct writer *w, const char *key, float v)
{
    put_str(w, key);
    put_u32(w, GGUF_F32);
    put(w, &v, sizeof v);
}
static void key_str(struct writer *w, const char *key, const char *v)
{
    put_str(w, key);
    put_u32(w, GGUF_STRING);
    put_str(w, v);
}
static void key_array(struct writer *w, const char *key, enum gguf_value_type element, uint64_t n)
{
    put_str(w, key);
    put_u32(w, GGUF_ARRAY);
    put_u32(w, element);
    put_u64(w, n);
}

/* The printable stand-in of a byte in byte-level vocabularies, as UTF-8. */
static void byte_token(uint32_t byte, char out[8])
{
    uint32_t c = byte, moved = 0;
    for (uint32_t b = 0; b <= byte; b++) {
        const bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (!plain && b == byte) c = 256 + moved;
        moved += !plain;
    }
    if (c < 128) snprintf(out, 8, "%c", (char)c);
    else snprintf(out, 8, "%c%c", (char)(0xc0 | c >> 6), (char)(0x80 | (c & 63)));
}

/* Text of SentencePiece's kind: <unk> <s> </s>, the bytes, then a space, the small letters and a few pieces. */
static void put_spm_vocabulary(struct writer *w, uint32_t V)
{
    static const char *const first[N_SPECIALS] = {"<unk>", "<s>", "</s>"};
    static const char *const pieces[] = {"\xe2\x96\x81", "th", "the", "\xe2\x96\x81the", "\xe2\x96\x81th", "he", "ll", "hell"};
    const uint32_t letters = N_SPECIALS + N_BYTES + COUNT_OF(pieces), end = letters + 26;
    key_str(w, "tokenizer.ggml.model", "llama");
    key_array(w, "tokenizer.ggml.tokens", GGUF_STRING, V);
    for (uint32_t i = 0; i < V; i++) {
        char text[24];
        if (i < N_SPECIALS) snprintf(text, sizeof text, "%s", first[i]);
        else if (i < N_SPECIALS + N_BYTES) snprintf(text, sizeof text, "<0x%02X>", i - N_SPECIALS);
        else if (i < letters) snprintf(text, sizeof text, "%s", pieces[i - N_SPECIALS - N_BYTES]);
        else if (i < end) snprintf(text, sizeof text, "%c", (char)('a' + i - letters));
        else snprintf(text, sizeof text, "[PAD%u]", i);
        put_str(w, text);
    }
    key_array(w, "tokenizer.ggml.scores", GGUF_F32, V);
    for (uint32_t i = 0; i < V; i++) {
        const float score = i < N_SPECIALS + N_BYTES ? 0 : -(float)i;
        put(w, &score, sizeof score);
    }
    key_array(w, "tokenizer.ggml.token_type", GGUF_I32, V);
    for (uint32_t i = 0; i < V; i++)
        put_u32(w, i == 0 ? 2 : i < N_SPECIALS ? 3 : i < N_SPECIALS + N_BYTES ? 6 : i < end ? 1 : 5);
    key_u32(w, "tokenizer.ggml.bos_token_id", 1);
    key_u32(w, "tokenizer.ggml.eos_token_id", 2);
    put_str(w, "tokenizer.ggml.add_bos_token");
    put_u32(w, GGUF_BOOL);
    put(w, "\1", 1);
}

static void put_vocabulary(struct writer *w, uint32_t V)
{
    static const char *const specials[N_SPECIALS] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    key_str(w, "tokenizer.ggml.model", "gpt2");
    key_str(w, "tokenizer.ggml.pre", "qwen2");
    key_array(w, "tokenizer.ggml.tokens", GGUF_STRING, V);
    for (uint32_t i = 0; i < V; i++) {
        char text[24];
        if (i < N_BYTES) byte_token(i, text);
        else if (i < N_BYTES + N_SPECIALS) snprintf(text, sizeof text, "%s", specials[i - N_BYTES]);
        else snprintf(text, sizeof text, "[PAD%u]", i);
        put_str(w, text);
    }
    key_array(w, "tokenizer.ggml.token_type", GGUF_I32, V);
    for (uint32_t i = 0; i < V; i++) put_u32(w, i < N_BYTES ? 1 : i < N_BYTES + N_SPECIALS ? 3 : 5);
    key_array(w, "tokenizer.ggml.merges", GGUF_STRING, 0);
    key_u32(w, "tokenizer.ggml.eos_token_id", TINY_EOS);
    put_str(w, "tokenizer.ggml.add_bos_token");
    put_u32(w, GGUF_BOOL);
    put(w, "", 1);
}

static void put_head(struct writer *w, const struct hparams *h, const struct tensor *t, uint32_t n)
{
    put(w, "GGUF", 4);
    put_u32(w, 3);
    put_u64(w, n);
    put_u64(w, 23);
    key_str(w, "general.architecture", arch_names[h->arch]);
    key_str(w, "general.name", "tiny");
    key_u32(w, "general.alignment", ALIGNMENT);
    key_u32(w, own(h, "block_count"), h->n_layers);
    key_u32(w, own(h, "context_length"), h->n_context);
    key_u32(w, own(h, "embedding_length"), h->D);
    key_u32(w, own(h, "feed_forward_length"), h->F);
    key_u32(w, own(h, "attention.head_count"), h->H);
    key_u32(w, own(h, "attention.head_count_kv"), h->G);
    key_u32(w, own(h, "attention.key_length"), h->E);
    key_f32(w, own(h, "attention.layer_norm_rms_epsilon"), h->eps);
    key_f32(w, own(h, "rope.freq_base"), h->rope.base);
    key_str(w, own(h, "rope.scaling.type"), h->arch == ARCH_QWEN2 ? "linear" : "none");
    key_f32(w, own(h, "rope.scaling.factor"), TINY_LINEAR); /* counts where the type is linear or yarn */
    key_u32(w, own(h, "rope.scaling.original_context_length"), TINY_YARN_CONTEXT); /* counts where the type is yarn */
    key_u32(w, own(h, "expert_count"), 0);
    if (h->arch == ARCH_LLAMA) put_spm_vocabulary(w, h->V);
    else put_vocabulary(w, h->V);
    for (uint32_t i = 0; i < n; i++) {
        put_str(w, t[i].name);
        put_u32(w, t[i].n ? 2 : 1);
        put_u64(w, t[i].k);
        if (t[i].n) put_u64(w, t[i].n);
        put_u32(w, t[i].type);
        put_u64(w, t[i].offset);
    }
    while (w->n % ALIGNMENT) put(w, "", 1);
}

static uint32_t list_tensors(const struct hparams *h, uint32_t type, bool tied, struct tensor *t)
{
    const uint64_t D = h->D, F = h->F, HE = (uint64_t)h->H * h->E, GE = (uint64_t)h->G * h->E;
    const struct {
        const char *name;
        uint64_t n, k;
        int arch; /* of only this one, -1: of all */
    } each[] = {{"attn_norm.weight", 0, D, -1},
                {"attn_q.weight", HE, D, -1},
                {"attn_k.weight", GE, D, -1},
                {"attn_v.weight", GE, D, -1},
                {"attn_q_norm.weight", 0, h->E, ARCH_QWEN3},
                {"attn_k_norm.weight", 0, h->E, ARCH_QWEN3},
                {"attn_q.bias", 0, HE, ARCH_QWEN2},
                {"attn_k.bias", 0, GE, ARCH_QWEN2},
                {"attn_v.bias", 0, GE, ARCH_QWEN2},
                {"attn_output.weight", D, HE, -1},
                {"ffn_norm.weight", 0, D, -1},
                {"ffn_gate.weight", F, D, -1},
                {"ffn_up.weight", F, D, -1},
                {"ffn_down.weight", D, F, -1}};
    uint32_t n = 0;
    uint64_t offset = 0;
    t[n++] = (struct tensor){.name = "token_embd.weight", .type = type, .n = h->V, .k = D};
    for (uint32_t l = 0; l < h->n_layers; l++)
        for (size_t i = 0; i < COUNT_OF(each); i++) {
            if (each[i].arch >= 0 && each[i].arch != (int)h->arch) continue;
            t[n] = (struct tensor){.type = each[i].n ? type : GGUF_T_F32, .n = each[i].n, .k = each[i].k};
            snprintf(t[n].name, sizeof t[n].name, "blk.%u.%s", l, each[i].name);
            n++;
        }
    t[n++] = (struct tensor){.name = "output_norm.weight", .type = GGUF_T_F32, .k = D};
    if (h->arch == ARCH_LLAMA) t[n++] = (struct tensor){.name = ROPE_FREQS, .type = GGUF_T_F32, .k = h->E / 2};
    if (!tied) t[n++] = (struct tensor){.name = "output.weight", .type = type, .n = h->V, .k = D};
    for (uint32_t i = 0; i < n; i++) {
        t[i].bytes = quant_row_bytes(t[i].type, t[i].k) * MAX(t[i].n, (uint64_t)1);
        t[i].offset = offset;
        offset += (t[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return n;
}

/* Uniform in [-1, 1), splitmix64. */
static double next_value(uint64_t *state)
{
    const uint64_t z = mix_u64(*state += 0x9e3779b97f4a7c15u);
    return (double)((int64_t)(z >> 11) - ((int64_t)1 << 52)) * 0x1p-52;
}

/* Norms lie around 1, biases around 0, RoPE's factors are 1, 2, 3, 1, 2 ...; matrices are scaled so that activations keep their size. */
static void fill(const struct tensor *t, uint64_t *random, float *x, uint8_t *out)
{
    const double spread = t->n ? 3.0 / sqrt((double)t->k) : 0.25, mean = t->n || strstr(t->name, ".bias") ? 0 : 1;
    const bool factors = strcmp(t->name, ROPE_FREQS) == 0;
    for (uint64_t r = 0; r < MAX(t->n, (uint64_t)1); r++) {
        for (uint64_t i = 0; i < t->k; i++) {
            const double v = next_value(random) * spread;
            x[i] = factors ? (float)(1 + i % 3) : (float)(mean + v);
        }
        quant_quantize_row(t->type, x, out + r * quant_row_bytes(t->type, t->k), t->k);
    }
}

struct hparams tiny_model_hparams(void)
{
    return (struct hparams){.n_layers = 2, .D = 256, .H = 4, .G = 2, .E = 64, .F = 512, .V = 300, .n_context = 512,
                            .eps = 1e-6f, .rope = {.base = 1e6f}};
}

enum pumice_status tiny_model_make(struct arena *a, uint32_t type, uint64_t seed, const struct hparams *h, bool tied,
                                   const void **data, size_t *bytes)
{
    const struct hparams defaults = tiny_model_hparams();
    if (!h) h = &defaults;
    if (h->n_layers > MAX_LAYERS || h->V < N_BYTES + N_SPECIALS || !quant_can_quantize(type) || !quant_row_bytes(type, h->D) ||
        !quant_row_bytes(type, h->F) || !quant_row_bytes(type, (uint64_t)h->H * h->E))
        return err_set(PUMICE_ARGUMENT, "a tiny model of these dims cannot be made");
    struct tensor *t = arena_alloc(a, MAX_TENSORS, sizeof *t);
    float *x = arena_alloc(a, MAX(MAX(h->D, h->F), h->H * h->E), sizeof *x);
    if (!t || !x) return err_memory("the tiny model", sizeof *t * MAX_TENSORS);
    const uint32_t n = list_tensors(h, type, tied, t);
    struct writer w = {0};
    put_head(&w, h, t, n);
    const uint64_t head = w.n, total = head + t[n - 1].offset + (t[n - 1].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    w = (struct writer){.at = arena_alloc(a, (size_t)total, 1)};
    if (!w.at) return err_memory("the tiny model", total);
    put_head(&w, h, t, n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t random = seed * 1000003 + i;
        fill(&t[i], &random, x, w.at + head + t[i].offset);
    }
    *data = w.at;
    *bytes = (size_t)total;
    return PUMICE_OK;
}
