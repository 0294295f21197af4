/* make: a qwen3, qwen2 or llama model with random weights and real shapes, streamed tensor by tensor. The weights keep activations
 * sane and spread the logits over a standard deviation of about 3: matrices have sigma 1/sqrt(K), norms lie near 1, and
 * the two matrices that write to the residual stream are scaled so that all layers together add about as much as the
 * embedding holds. Rounding errors then do not grow from layer to layer, so that two programs can be compared closely.
 * The last norm has random signs, or a tied head would always prefer the token it has just read. */
#include "tool.h"

#include "quant.h"

#include <math.h>
#include <signal.h>
#include <string.h>

enum { MAX_THREADS = 16, CHUNK_BYTES = 2 << 20, MAX_LAYERS = 512, MAX_WEIGHTS = 3 + 12 * MAX_LAYERS };
enum { MIXED_Q4_K_M = 1000 }; /* not a tensor type */
#define LOGIT_SIGMA 3.0f
#define MAX_TEMPLATE_BYTES (1u << 20)

#define SHAPES                                                                                               \
    "tiny, tiny-qwen2, tiny-llama, qwen3-0.6b, qwen3-1.7b, qwen3-4b, qwen2.5-0.5b, qwen2.5-1.5b,\n"           \
    "                     smollm2-135m, smollm2-360m or smollm2-1.7b"

static const char help_text[] =
    "usage: pumice-gguf make --shape SHAPE --type TYPE [OPTION...] -o FILE\n"
    "\n"
    "Writes a model with random weights, of the architecture that the shape's name tells. The same options give the same bytes, on any number of threads.\n"
    "\n"
    "  --shape SHAPE      " SHAPES "\n"
    "  --type TYPE        F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K, or Q4_K_M (Q4_K with some Q6_K, and\n"
    "                     Q8_0 where rows are no multiple of 256); vectors are F32\n"
    "  -o FILE            where to write; a file of that name is replaced when the new one is complete\n"
    "  --seed N           of the random weights (0)\n"
    "  --vocab FILE       a Hugging Face tokenizer.json; without it bytes and three special tokens\n"
    "  --template FILE    the chat template to embed (plain ChatML)\n"
    "  --name TEXT        general.name (the shape's)\n"
    "  --untied           a separate output.weight instead of the embedding\n"
    "  --layers N --dim N --heads N --kv-heads N --head-dim N --ffn N --vocab-size N --ctx N\n"
    "                     instead of the shape's\n"
    "  --yarn S           YaRN over the context: S times as long as the shape's\n"
    "  --alignment N      of the tensor data, a power of two (32)\n"
    "  --threads N        at most 16 (all processors)\n";

static const char chatml[] =
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}";

/* D, H, G, E, F, V as in ops.h; V 0: the vocabulary's own size. pre: tokenizer.ggml.pre; NULL: SentencePiece's kind. */
struct shape {
    const char *name, *arch, *pre;
    uint64_t layers, D, H, G, E, F, V, ctx;
    float rope_base;
};
static const struct shape shapes[] = {
    {"tiny", "qwen3", "qwen2", 2, 256, 4, 2, 64, 512, 0, 4096, 1e6f},
    {"tiny-qwen2", "qwen2", "qwen2", 2, 256, 4, 2, 64, 512, 0, 4096, 1e6f},
    {"tiny-llama", "llama", NULL, 2, 256, 4, 2, 64, 512, 0, 4096, 1e4f},
    {"qwen3-0.6b", "qwen3", "qwen2", 28, 1024, 16, 8, 128, 3072, 151936, 40960, 1e6f},
    {"qwen3-1.7b", "qwen3", "qwen2", 28, 2048, 16, 8, 128, 6144, 151936, 40960, 1e6f},
    {"qwen3-4b", "qwen3", "qwen2", 36, 2560, 32, 8, 128, 9728, 151936, 262144, 5e6f},
    {"qwen2.5-0.5b", "qwen2", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, 32768, 1e6f},
    {"qwen2.5-1.5b", "qwen2", "qwen2", 28, 1536, 12, 2, 128, 8960, 151936, 32768, 1e6f},
    {"smollm2-135m", "llama", "smollm", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e5f},
    {"smollm2-360m", "llama", "smollm", 32, 960, 15, 5, 64, 2560, 49152, 8192, 1e5f},
    {"smollm2-1.7b", "llama", "smollm", 24, 2048, 32, 32, 64, 8192, 49152, 8192, 1.3e5f},
};

/* file_type: llama.cpp's number for the whole file. */
static const struct type {
    const char *name;
    uint32_t type, file_type;
} types[] = {
    {"F32", GGUF_T_F32, 0},    {"F16", GGUF_T_F16, 1},    {"BF16", GGUF_T_BF16, 32},
    {"Q8_0", GGUF_T_Q8_0, 7},  {"Q4_0", GGUF_T_Q4_0, 2},  {"Q4_K", GGUF_T_Q4_K, 14},
    {"Q5_K", GGUF_T_Q5_K, 16}, {"Q6_K", GGUF_T_Q6_K, 18}, {"Q4_K_M", MIXED_Q4_K_M, 15},
};

struct make {
    struct shape shape;
    const struct type *type;
    const char *path, *name, *vocab_path;
    const char *chat_template;
    char *template_text; /* owned, when read from a file */
    uint64_t seed, alignment, n_threads, yarn; /* yarn: 0 = none */
    bool untied;
    struct vocab vocab;
    struct weights *weights; /* [n_weights] in file order */
    size_t n_weights;
    uint64_t n_params;
    struct arena arena;
};

static volatile sig_atomic_t interrupted;
static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* --- command line ------------------------------------------------------------------------------- */

static const struct shape *find_shape(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
    return NULL;
}

static const struct type *find_type(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}

static int check_shape(const struct make *m)
{
    const struct shape *s = &m->shape;
    const uint32_t block = gguf_type(m->type->type == MIXED_Q4_K_M ? GGUF_T_Q8_0 : m->type->type)->block_n;
    if (s->H % s->G) return usage("make: --heads must be a multiple of --kv-heads");
    if (s->E % 2) return usage("make: --head-dim must be even");
    if (s->D % block || s->F % block || s->H * s->E % block)
        return usage("make: %s needs --dim, --ffn and heads x head-dim to be multiples of %u", m->type->name, block);
    if (m->alignment & (m->alignment - 1)) return usage("make: --alignment must be a power of two");
    if (s->ctx * MAX(m->yarn, 1u) > UINT32_MAX) return usage("make: --ctx times --yarn must be less than 2^32");
    return TOOL_OK;
}

static int read_options(int argc, char **argv, struct make *m, bool *done)
{
    const char *shape = NULL, *type = NULL, *template_path = NULL;
    struct shape given = {0};
    size_t template_bytes;
    const struct option options[] = {
        {.name = "--shape", .text = &shape},
        {.name = "--type", .text = &type},
        {.name = "-o", .text = &m->path},
        {.name = "--output", .text = &m->path},
        {.name = "--vocab", .text = &m->vocab_path},
        {.name = "--template", .text = &template_path},
        {.name = "--name", .text = &m->name},
        {.name = "--untied", .flag = &m->untied},
        {.name = "--seed", .number = &m->seed, .most = UINT64_MAX},
        {.name = "--layers", .number = &given.layers, .least = 1, .most = MAX_LAYERS},
        {.name = "--dim", .number = &given.D, .least = 1, .most = 65536},
        {.name = "--heads", .number = &given.H, .least = 1, .most = 1024},
        {.name = "--kv-heads", .number = &given.G, .least = 1, .most = 1024},
        {.name = "--head-dim", .number = &given.E, .least = 2, .most = 256},
        {.name = "--ffn", .number = &given.F, .least = 1, .most = 1 << 18},
        {.name = "--vocab-size", .number = &given.V, .least = 1, .most = 1 << 22},
        {.name = "--ctx", .number = &given.ctx, .least = 1, .most = 1 << 30},
        {.name = "--yarn", .number = &m->yarn, .least = 2, .most = 64},
        {.name = "--alignment", .number = &m->alignment, .least = 8, .most = 65536},
        {.name = "--threads", .number = &m->n_threads, .least = 1, .most = MAX_THREADS},
    };
    int code = options_read(argc, argv, options, COUNT_OF(options), NULL, 0, help_text, done);
    if (code != TOOL_OK || *done) return code;
    if (!shape) return usage("make: --shape is missing; pumice-gguf make --help lists them");
    if (!type) return usage("make: --type is missing, such as Q4_K_M");
    if (!m->path) return usage("make: -o FILE is missing");
    const struct shape *found = find_shape(shape);
    m->type = find_type(type);
    if (!found) return usage("make: unknown shape %s; pumice-gguf make --help lists them", shape);
    if (!m->type) return usage("make: unknown type %s: F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K or Q4_K_M", type);
    m->shape = *found;
    const uint64_t *from[] = {&given.layers, &given.D, &given.H, &given.G, &given.E, &given.F, &given.V, &given.ctx};
    uint64_t *to[] = {&m->shape.layers, &m->shape.D, &m->shape.H, &m->shape.G,
                      &m->shape.E,      &m->shape.F, &m->shape.V, &m->shape.ctx};
    for (size_t i = 0; i < COUNT_OF(from); i++)
        if (*from[i]) *to[i] = *from[i];
    if (!m->name) m->name = m->shape.name;
    if (m->vocab_path && !m->shape.pre) return usage("make: %s has a vocabulary of its own; leave --vocab out", m->shape.name);
    code = check_shape(m);
    if (code != TOOL_OK || !template_path) return code;
    if (platform_read(template_path, MAX_TEMPLATE_BYTES, &m->template_text, &template_bytes) != PUMICE_OK) return fail();
    m->chat_template = m->template_text;
    return TOOL_OK;
}

/* --- the directory ------------------------------------------------------------------------------ */

/* llama.cpp's choice of the layers that Q4_K_M gives more bits: the first and last eighth, and every third between. */
static bool more_bits(uint64_t layer, uint64_t n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

static struct weights *add(struct make *m, const char *name, uint64_t n, uint64_t k, float sigma, bool large)
{
    struct weights *w = &m->weights[m->n_weights++];
    memset(w, 0, sizeof *w);
    snprintf(w->name, sizeof w->name, "%s", name);
    w->type = m->type->type != MIXED_Q4_K_M ? m->type->type : k % QUANT_K ? GGUF_T_Q8_0 : large ? GGUF_T_Q6_K : GGUF_T_Q4_K;
    w->n = n;
    w->k = k;
    w->sigma = sigma;
    return w;
}

/* Norms lie near 1; biases near 0, as large as what they are added to. */
static void add_vector(struct make *m, const char *name, uint64_t k)
{
    const bool bias = strstr(name, ".bias") != NULL;
    struct weights *w = add(m, name, 1, k, bias ? 1 : 0.1f, false);
    w->type = GGUF_T_F32;
    w->is_vector = true;
    w->mean = bias ? 0 : 1;
}

static void add_layer(struct make *m, uint64_t layer, float residual)
{
    const struct shape *s = &m->shape;
    const bool more = more_bits(layer, s->layers);
    const struct {
        const char *name;
        uint64_t n, k;
        bool large, writes;
        const char *arch; /* of only this one */
    } list[] = {
        {.name = "attn_norm.weight", .k = s->D},
        {.name = "attn_q.weight", .n = s->H * s->E, .k = s->D},
        {.name = "attn_k.weight", .n = s->G * s->E, .k = s->D},
        {.name = "attn_v.weight", .n = s->G * s->E, .k = s->D, .large = more},
        {.name = "attn_output.weight", .n = s->D, .k = s->H * s->E, .writes = true},
        {.name = "attn_q_norm.weight", .k = s->E, .arch = "qwen3"},
        {.name = "attn_k_norm.weight", .k = s->E, .arch = "qwen3"},
        {.name = "attn_q.bias", .k = s->H * s->E, .arch = "qwen2"},
        {.name = "attn_k.bias", .k = s->G * s->E, .arch = "qwen2"},
        {.name = "attn_v.bias", .k = s->G * s->E, .arch = "qwen2"},
        {.name = "ffn_norm.weight", .k = s->D},
        {.name = "ffn_gate.weight", .n = s->F, .k = s->D},
        {.name = "ffn_up.weight", .n = s->F, .k = s->D},
        {.name = "ffn_down.weight", .n = s->D, .k = s->F, .large = more, .writes = true},
    };
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        char name[48];
        if (list[i].arch && strcmp(list[i].arch, s->arch) != 0) continue;
        snprintf(name, sizeof name, "blk.%llu.%s", (unsigned long long)layer, list[i].name);
        if (list[i].n == 0) add_vector(m, name, list[i].k);
        else add(m, name, list[i].n, list[i].k, (list[i].writes ? residual : 1) / sqrtf((float)list[i].k), list[i].large);
    }
}

static enum pumice_status plan_weights(struct make *m)
{
    const struct shape *s = &m->shape;
    uint64_t offset = 0;
    m->weights = arena_alloc(&m->arena, MAX_WEIGHTS, sizeof *m->weights);
    if (!m->weights) return err_memory("the tensor directory", MAX_WEIGHTS * sizeof *m->weights);
    const float sigma = LOGIT_SIGMA / sqrtf((float)s->D); /* of the matrix that makes the logits */
    const float embedding = m->untied ? 1 / sqrtf((float)s->D) : sigma;
    add(m, "token_embd.weight", s->V, s->D, embedding, !m->untied);
    for (uint64_t i = 0; i < s->layers; i++) add_layer(m, i, 2 * embedding / sqrtf(2 * (float)s->layers));
    add_vector(m, "output_norm.weight", s->D);
    m->weights[m->n_weights - 1].random_sign = true;
    if (m->untied) add(m, "output.weight", s->V, s->D, sigma, true);
    for (size_t i = 0; i < m->n_weights; i++) {
        struct weights *w = &m->weights[i];
        w->bytes = w->n * quant_row_bytes(w->type, w->k);
        w->offset = offset;
        m->n_params += w->n * w->k;
        if (!align_u64(offset + w->bytes, m->alignment, &offset)) return err_set(PUMICE_ARGUMENT, "the model is too large");
    }
    return PUMICE_OK;
}

/* The key of the shape's architecture: "qwen3.block_count". */
static const char *own(const struct shape *s, const char *what)
{
    static char key[96];
    snprintf(key, sizeof key, "%s.%s", s->arch, what);
    return key;
}

static void put_metadata(const struct make *m, struct bytes *b)
{
    const struct shape *s = &m->shape;
    const struct vocab *v = &m->vocab;
    key_str(b, "general.architecture", s->arch);
    key_str(b, "general.name", m->name);
    key_u32(b, "general.file_type", m->type->file_type);
    key_u32(b, "general.quantization_version", 2);
    key_u32(b, "general.alignment", (uint32_t)m->alignment);
    key_u32(b, own(s, "block_count"), (uint32_t)s->layers);
    key_u32(b, own(s, "context_length"), (uint32_t)(s->ctx * MAX(m->yarn, 1u)));
    if (m->yarn) {
        key_str(b, own(s, "rope.scaling.type"), "yarn");
        key_f32(b, own(s, "rope.scaling.factor"), (float)m->yarn);
        key_u32(b, own(s, "rope.scaling.original_context_length"), (uint32_t)s->ctx);
    }
    key_u32(b, own(s, "embedding_length"), (uint32_t)s->D);
    key_u32(b, own(s, "feed_forward_length"), (uint32_t)s->F);
    key_u32(b, own(s, "attention.head_count"), (uint32_t)s->H);
    key_u32(b, own(s, "attention.head_count_kv"), (uint32_t)s->G);
    key_u32(b, own(s, "attention.key_length"), (uint32_t)s->E);
    key_u32(b, own(s, "attention.value_length"), (uint32_t)s->E);
    key_f32(b, own(s, "attention.layer_norm_rms_epsilon"), 1e-6f);
    key_f32(b, own(s, "rope.freq_base"), s->rope_base);
    key_str(b, "tokenizer.ggml.model", s->pre ? "gpt2" : "llama");
    key_str(b, "tokenizer.ggml.pre", s->pre ? s->pre : "default");
    key_strs(b, "tokenizer.ggml.tokens", v->tokens, v->n);
    key_i32s(b, "tokenizer.ggml.token_type", v->types, v->n);
    if (s->pre) key_strs(b, "tokenizer.ggml.merges", v->merges, v->n_merges);
    else key_f32s(b, "tokenizer.ggml.scores", v->scores, v->n);
    if (v->eos >= 0) key_u32(b, "tokenizer.ggml.eos_token_id", (uint32_t)v->eos);
    if (v->bos >= 0) key_u32(b, "tokenizer.ggml.padding_token_id", (uint32_t)v->bos);
    if (v->bos >= 0) key_u32(b, "tokenizer.ggml.bos_token_id", (uint32_t)v->bos);
    if (s->pre) key_bool(b, "tokenizer.ggml.add_bos_token", false); /* else the kind of vocabulary says that it does */
    key_str(b, "tokenizer.chat_template", m->chat_template);
}
enum { N_METADATA = 25 };

static enum pumice_status build_header(const struct make *m, struct bytes *b)
{
    static const uint8_t zeros[65536];
    const uint64_t n_values = N_METADATA - (m->vocab.eos < 0 ? 1u : 0u) - (m->vocab.bos < 0 ? 2u : 0u) - (m->shape.pre ? 0u : 1u) +
                              (m->yarn ? 3u : 0u);
    uint64_t end = 0;
    bytes_put(b, "GGUF", 4);
    bytes_u32(b, 3);
    bytes_u64(b, m->n_weights);
    bytes_u64(b, n_values);
    put_metadata(m, b);
    for (size_t i = 0; i < m->n_weights; i++) {
        const struct weights *w = &m->weights[i];
        bytes_str(b, w->name);
        bytes_u32(b, w->is_vector ? 1 : 2);
        bytes_u64(b, w->k);
        if (!w->is_vector) bytes_u64(b, w->n);
        bytes_u32(b, w->type);
        bytes_u64(b, w->offset);
    }
    if (align_u64(b->n, m->alignment, &end)) bytes_put(b, zeros, (size_t)(end - b->n));
    return b->failed ? err_memory("the metadata", b->n) : PUMICE_OK;
}

/* --- weights ------------------------------------------------------------------------------------ */

struct job {
    const struct weights *w;
    uint64_t seed, first, n_rows;
    float *row;
    uint8_t *out;
    struct platform_thread *thread;
};

static void run_job(void *user)
{
    const struct job *j = user;
    weights_fill(j->w, j->seed, j->first, j->n_rows, j->row, j->out);
}

/* One round: each job gets up to a chunk of rows, then all are written in order. Returns the rows done. */
static enum pumice_status write_round(struct platform_writer *to, struct job *jobs, size_t n_jobs, uint64_t chunk_rows,
                                      const struct weights *w, uint64_t *first)
{
    enum pumice_status st = PUMICE_OK;
    size_t n = 0;
    for (; n < n_jobs && *first < w->n; n++) {
        struct job *j = &jobs[n];
        j->w = w;
        j->first = *first;
        j->n_rows = MIN(chunk_rows, w->n - *first);
        j->thread = NULL;
        *first += j->n_rows;
    }
    for (size_t i = 1; i < n; i++)
        if (platform_thread_create(run_job, &jobs[i], &jobs[i].thread) != PUMICE_OK) run_job(&jobs[i]);
    run_job(&jobs[0]);
    for (size_t i = 1; i < n; i++) platform_thread_join(jobs[i].thread);
    const uint64_t row_bytes = quant_row_bytes(w->type, w->k);
    for (size_t i = 0; i < n && st == PUMICE_OK; i++)
        st = platform_writer_put(to, jobs[i].out, (size_t)(jobs[i].n_rows * row_bytes));
    if (st == PUMICE_OK && interrupted) st = err_set(PUMICE_CANCELLED, "interrupted; nothing was written");
    return st;
}

static enum pumice_status write_weights(struct make *m, struct platform_writer *to)
{
    static const uint8_t zeros[65536];
    enum pumice_status st = PUMICE_OK;
    struct job *jobs = arena_alloc(&m->arena, m->n_threads, sizeof *jobs);
    uint64_t longest = 0, most_bytes = CHUNK_BYTES;
    for (size_t i = 0; i < m->n_weights; i++) {
        longest = MAX(longest, m->weights[i].k);
        most_bytes = MAX(most_bytes, quant_row_bytes(m->weights[i].type, m->weights[i].k));
    }
    for (size_t i = 0; jobs && i < m->n_threads; i++) {
        jobs[i].seed = m->seed;
        jobs[i].row = arena_alloc(&m->arena, longest, sizeof(float));
        jobs[i].out = arena_alloc(&m->arena, most_bytes, 1);
        if (!jobs[i].row || !jobs[i].out) jobs = NULL;
    }
    if (!jobs) return err_memory("the weights", m->n_threads * most_bytes);
    for (size_t i = 0; i < m->n_weights; i++) {
        const struct weights *w = &m->weights[i];
        const uint64_t row_bytes = quant_row_bytes(w->type, w->k);
        for (uint64_t first = 0; first < w->n;)
            TRY(write_round(to, jobs, (size_t)m->n_threads, MAX(1, CHUNK_BYTES / row_bytes), w, &first));
        const uint64_t end = i + 1 < m->n_weights ? m->weights[i + 1].offset : w->offset + w->bytes;
        TRY(platform_writer_put(to, zeros, (size_t)(end - w->offset - w->bytes)));
    }
fail:
    return st;
}

static enum pumice_status make(struct make *m)
{
    enum pumice_status st;
    struct platform_writer *to = NULL;
    struct bytes header = {0};
    const uint64_t start = platform_now_ns();
    TRY(vocab_open(m->vocab_path, m->shape.V, m->shape.pre == NULL, &m->vocab));
    m->shape.V = m->vocab.n;
    TRY(plan_weights(m));
    TRY(build_header(m, &header));
    const struct weights *last = &m->weights[m->n_weights - 1];
    const uint64_t total = header.n + last->offset + last->bytes;
    TRY(platform_writer_create(m->path, &to));
    TRY(platform_writer_put(to, header.data, header.n));
    bytes_fini(&header);
    TRY(write_weights(m, to));
    st = platform_writer_commit(to);
    to = NULL;
    TRY(st);
    printf("%s: %s %s, %s parameters, %s, %.1f s\n", m->path, m->shape.name, m->type->name, HUMAN_COUNT(m->n_params),
           HUMAN_BYTES(total), (double)(platform_now_ns() - start) * 1e-9);
fail:
    platform_writer_abort(to);
    bytes_fini(&header);
    return st;
}

int command_make(int argc, char **argv)
{
    struct make m = {.alignment = 32, .chat_template = chatml};
    bool done = false;
    m.n_threads = MIN(platform_cpu_count(), (uint32_t)MAX_THREADS);
    int code = read_options(argc, argv, &m, &done);
    if (code == TOOL_OK && !done) {
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
        const enum pumice_status st = make(&m);
        if (st != PUMICE_OK) code = fail();
        if (st == PUMICE_ARGUMENT) code = TOOL_USAGE;
    }
    mem_free(m.template_text);
    vocab_close(&m.vocab);
    arena_fini(&m.arena);
    return code;
}
