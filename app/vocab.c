/* vocab: reads the vocabulary out of a model's metadata. */
#include "app/vocab.h"

#include <string.h>

#define KEY "tokenizer.ggml."

static enum pumice_status read_strings(const struct pumice_model *model, struct arena *arena, const char *key,
                                       const struct str **out, size_t *n_out)
{
    size_t n = 0;
    if (!pumice_meta_array(model, key, &n) || n == 0)
        return err_set(PUMICE_FORMAT,
                       "the file has no %s; it is not a language model's file, or its tokenizer was left "
                       "out",
                       key);
    const char **data = mem_calloc(n, sizeof *data);
    size_t *lengths = mem_calloc(n, sizeof *lengths);
    struct str *strings = arena_alloc(arena, n, sizeof *strings);
    enum pumice_status st = PUMICE_OK;
    if (data == NULL || lengths == NULL || strings == NULL)
        st = err_memory(key, n * sizeof *strings);
    else if (!pumice_meta_array_strings(model, key, data, lengths, n))
        st = err_set(PUMICE_FORMAT, "%s is not an array of strings; the file is damaged", key);
    for (size_t i = 0; st == PUMICE_OK && i < n; i++) strings[i] = (struct str){data[i], lengths[i]};
    mem_free(data);
    mem_free(lengths);
    *out = strings;
    *n_out = n;
    return st;
}

static enum pumice_status read_types(const struct pumice_model *model, struct arena *arena,
                                     struct tokenizer_vocab *v)
{
    size_t n = 0;
    int32_t *types = arena_alloc(arena, v->n_tokens, sizeof *types);
    if (types == NULL) return err_memory(KEY "token_type", v->n_tokens * sizeof *types);
    for (size_t i = 0; i < v->n_tokens; i++) types[i] = 1;
    v->types = types;
    if (!pumice_meta_array(model, KEY "token_type", &n)) return PUMICE_OK;
    if (n != v->n_tokens)
        return err_set(PUMICE_FORMAT,
                       KEY "token_type has %zu entries, but there are %zu tokens; the file is damaged", n,
                       v->n_tokens);
    int64_t *values = mem_calloc(n, sizeof *values);
    if (values == NULL) return err_memory(KEY "token_type", n * sizeof *values);
    const bool ok = pumice_meta_array_i64(model, KEY "token_type", values, n);
    for (size_t i = 0; ok && i < n; i++) types[i] = values[i] < 0 || values[i] > 100 ? 0 : (int32_t)values[i];
    mem_free(values);
    return ok ? PUMICE_OK
              : err_set(PUMICE_FORMAT, KEY "token_type is not an array of numbers; the file is damaged");
}

static enum pumice_status read_scores(const struct pumice_model *model, struct arena *arena,
                                      struct tokenizer_vocab *v)
{
    size_t n = 0;
    if (!pumice_meta_array(model, KEY "scores", &n)) return PUMICE_OK; /* the tokenizer says who needs them */
    if (n != v->n_tokens)
        return err_set(PUMICE_FORMAT, KEY "scores has %zu entries, but there are %zu tokens; the file is damaged",
                       n, v->n_tokens);
    float *scores = arena_alloc(arena, n, sizeof *scores);
    double *values = mem_calloc(n, sizeof *values);
    const bool read = scores != NULL && values != NULL && pumice_meta_array_f64(model, KEY "scores", values, n);
    for (size_t i = 0; read && i < n; i++) scores[i] = (float)values[i];
    mem_free(values);
    if (scores == NULL || values == NULL) return err_memory(KEY "scores", n * sizeof *values);
    v->scores = scores;
    return read ? PUMICE_OK : err_set(PUMICE_FORMAT, KEY "scores is not an array of numbers; the file is damaged");
}

/* `fallback` where the file has no such key; -1 where it has no such token. */
static int32_t read_id(const struct pumice_model *model, const char *key, size_t n_tokens, int32_t fallback)
{
    uint64_t id = 0;
    if (!pumice_meta_u64(model, key, &id)) return fallback >= 0 && (size_t)fallback < n_tokens ? fallback : -1;
    return id < n_tokens && id <= INT32_MAX ? (int32_t)id : -1;
}

static void add_stop(struct vocab *out, int32_t id)
{
    for (size_t i = 0; i < out->n_stop_tokens; i++)
        if (out->stop_tokens[i] == id) return;
    if (id >= 0 && out->n_stop_tokens < COUNT_OF(out->stop_tokens))
        out->stop_tokens[out->n_stop_tokens++] = id;
}

enum pumice_status vocab_open(const struct pumice_model *model, struct vocab *out)
{
    enum pumice_status st = PUMICE_OK;
    size_t n = 0;
    memset(out, 0, sizeof *out);
    struct tokenizer_vocab *v = &out->v;
    if (!pumice_meta_string(model, KEY "model", &v->model.data, &v->model.n))
        return err_set(PUMICE_FORMAT,
                       "the file has no " KEY "model; it is not a language model's file, or its tokenizer "
                       "was left out");
    if (!pumice_meta_string(model, KEY "pre", &v->pre.data, &v->pre.n)) v->pre = STR("default");
    TRY(read_strings(model, &out->arena, KEY "tokens", &v->tokens, &v->n_tokens));
    TRY(read_types(model, &out->arena, v));
    if (pumice_meta_array(model, KEY "merges", &n) && n > 0)
        TRY(read_strings(model, &out->arena, KEY "merges", &v->merges, &v->n_merges));
    /* SentencePiece files that do not say otherwise: <s> is 1, </s> 2, and texts begin with <s> and a space */
    const bool spm = str_eqz(v->model, "llama");
    if (spm) TRY(read_scores(model, &out->arena, v));
    v->bos = read_id(model, KEY "bos_token_id", v->n_tokens, spm ? 1 : -1);
    v->eos = read_id(model, KEY "eos_token_id", v->n_tokens, spm ? 2 : -1);
    v->eot = read_id(model, KEY "eot_token_id", v->n_tokens, -1);
    v->pad = read_id(model, KEY "padding_token_id", v->n_tokens, -1);
    v->add_bos = v->bos >= 0 && (spm || str_startsz(v->pre, "llama"));
    (void)pumice_meta_bool(model, KEY "add_bos_token", &v->add_bos);
    v->add_space_prefix = spm;
    (void)pumice_meta_bool(model, KEY "add_space_prefix", &v->add_space_prefix);
    TRY(tokenizer_create(v, &out->tokenizer));
    for (size_t i = 0; i < v->n_tokens; i++)
        out->hash = mix_u64(hash_bytes(v->tokens[i].data, v->tokens[i].n, out->hash) + (uint64_t)(uint32_t)v->types[i]);
    add_stop(out, v->eos);
    add_stop(out, v->eot);
    add_stop(out, tokenizer_find(out->tokenizer, STR("<|im_end|>")));
    add_stop(out, tokenizer_find(out->tokenizer, STR("<|endoftext|>")));
    add_stop(out, tokenizer_find(out->tokenizer, STR("<|eot_id|>")));
    return PUMICE_OK;
fail:
    return st;
}

void vocab_close(struct vocab *vocab)
{
    tokenizer_destroy(vocab->tokenizer);
    arena_fini(&vocab->arena);
    memset(vocab, 0, sizeof *vocab);
}

struct str vocab_token(const struct vocab *vocab, int32_t id)
{
    return id >= 0 ? tokenizer_token_bytes(vocab->tokenizer, id) : (struct str){NULL, 0};
}

enum pumice_status ids_append_all(struct ids *ids, const int32_t *more, size_t n)
{
    if (ids->capacity - ids->n < n) {
        const size_t capacity = MAX(ids->n + n, MAX(ids->capacity * 2, (size_t)64));
        int32_t *data = mem_realloc(ids->data, capacity, sizeof *data);
        if (data == NULL) return err_memory("token ids", capacity * sizeof *data);
        ids->data = data;
        ids->capacity = capacity;
    }
    if (n > 0) memcpy(ids->data + ids->n, more, n * sizeof *more);
    ids->n += n;
    return PUMICE_OK;
}

enum pumice_status ids_append(struct ids *ids, int32_t id)
{
    return ids_append_all(ids, &id, 1);
}
