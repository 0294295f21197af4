/* vocab: tokens, types and merges for `make`, from a Hugging Face tokenizer.json or made up. */
#include "tool.h"

#include <cjson/cJSON.h>
#include <string.h>

enum { MAX_JSON_BYTES = 256 << 20, MAX_VOCAB = 1 << 22, N_BYTES = 256, DEFAULT_VOCAB = 512 };

static const char *const specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

/* Allocates tokens and types for n entries, all still NULL. */
static enum pumice_status reserve(struct vocab *v, size_t n)
{
    v->n = n;
    v->tokens = arena_alloc(&v->arena, n, sizeof *v->tokens);
    v->types = arena_alloc(&v->arena, n, sizeof *v->types);
    return v->tokens && v->types ? PUMICE_OK : err_memory("the vocabulary", n * (sizeof *v->tokens + sizeof *v->types));
}

static enum pumice_status put(struct vocab *v, uint64_t id, const char *text, enum token_type type)
{
    v->tokens[id] = arena_strndup(&v->arena, text, strlen(text));
    v->types[id] = (int32_t)type;
    return v->tokens[id] ? PUMICE_OK : err_memory("a token", strlen(text));
}

static enum pumice_status pad(struct vocab *v)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->tokens[i]) continue;
        v->tokens[i] = arena_printf(&v->arena, "[PAD%zu]", i);
        v->types[i] = TOKEN_UNUSED;
        if (!v->tokens[i]) return err_memory("a token", 16);
    }
    return PUMICE_OK;
}

static int64_t find(const struct vocab *v, const char *text)
{
    for (size_t i = v->n; i-- > 0;)
        if (strcmp(v->tokens[i], text) == 0) return (int64_t)i;
    return -1;
}

/* --- made up ------------------------------------------------------------------------------------ */

/* The character that byte-level BPE writes for a byte: itself when printable, else 256 and on. */
static void byte_text(unsigned byte, unsigned *next, char *out)
{
    const bool plain = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const unsigned c = plain ? byte : 256 + (*next)++;
    if (c < 0x80) {
        out[0] = (char)c;
        out[1] = '\0';
    } else {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        out[2] = '\0';
    }
}

/* <unk> <s> </s>, the bytes, ChatML's marks, then pieces; each scores less than the one before. */
static enum pumice_status make_up_spm(uint64_t n_vocab, struct vocab *v)
{
    static const char *const first[] = {"<unk>", "<s>", "</s>"};
    static const char *const pieces[] = {"\xe2\x96\x81t", "in", "he", "\xe2\x96\x81the", "\xe2\x96\x81\x61", "th", "er", "on", "re",
                                         "\xe2\x96\x81s", "an", "ing", "\xe2\x96\x81w", "ou", "\xe2\x96\x81", "\xe4\xb8\xad"};
    enum { LETTERS = 26, MARKS = COUNT_OF(first) + N_BYTES, PIECES = MARKS + 2, ALL = PIECES + COUNT_OF(pieces) + LETTERS };
    enum pumice_status st;
    if (n_vocab == 0) n_vocab = DEFAULT_VOCAB;
    if (n_vocab < ALL)
        return err_set(PUMICE_ARGUMENT, "a vocabulary needs at least %d entries; choose a larger --vocab-size", (int)ALL);
    TRY(reserve(v, (size_t)n_vocab));
    v->scores = arena_alloc(&v->arena, v->n, sizeof *v->scores);
    if (!v->scores) return err_memory("the scores", v->n * sizeof *v->scores);
    for (size_t i = 0; i < ALL; i++) {
        char text[8];
        if (i < COUNT_OF(first)) TRY(put(v, i, first[i], i == 0 ? TOKEN_UNKNOWN : TOKEN_CONTROL));
        else if (i < MARKS) snprintf(text, sizeof text, "<0x%02X>", (unsigned)(i - COUNT_OF(first)));
        else if (i < PIECES) TRY(put(v, i, specials[i - MARKS + 1], TOKEN_CONTROL));
        else if (i < ALL - LETTERS) TRY(put(v, i, pieces[i - PIECES], TOKEN_NORMAL));
        else snprintf(text, sizeof text, "%c", (char)('a' + (i - (ALL - LETTERS))));
        if (i >= COUNT_OF(first) && i < MARKS) TRY(put(v, i, text, TOKEN_BYTE));
        if (i >= ALL - LETTERS) TRY(put(v, i, text, TOKEN_NORMAL));
        v->scores[i] = i < PIECES ? 0 : -(float)(i - PIECES);
    }
    return pad(v);
fail:
    return st;
}

static enum pumice_status make_up(uint64_t n_vocab, struct vocab *v)
{
    enum pumice_status st;
    unsigned next = 0;
    char text[4];
    if (n_vocab == 0) n_vocab = DEFAULT_VOCAB;
    if (n_vocab < N_BYTES + COUNT_OF(specials))
        return err_set(PUMICE_ARGUMENT, "a vocabulary needs at least %zu entries; choose a larger --vocab-size",
                       N_BYTES + COUNT_OF(specials));
    TRY(reserve(v, (size_t)n_vocab));
    for (unsigned i = 0; i < N_BYTES; i++) {
        byte_text(i, &next, text);
        TRY(put(v, i, text, TOKEN_NORMAL));
    }
    for (size_t i = 0; i < COUNT_OF(specials); i++) TRY(put(v, N_BYTES + i, specials[i], TOKEN_CONTROL));
    return pad(v);
fail:
    return st;
}

/* --- tokenizer.json ----------------------------------------------------------------------------- */

static bool id_of(const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble >= MAX_VOCAB) return false;
    *out = (uint64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

static enum pumice_status err_json(const char *path, const char *what)
{
    return err_set(PUMICE_FORMAT, "%s: %s; choose a Hugging Face tokenizer.json of a byte-level BPE model", path, what);
}

static enum pumice_status count_ids(const char *path, const cJSON *vocab, const cJSON *added, uint64_t *n)
{
    const cJSON *item;
    uint64_t id, most = 0;
    cJSON_ArrayForEach(item, vocab)
    {
        if (!id_of(item, &id)) return err_json(path, "model.vocab holds an id that is no small whole number");
        most = MAX(most, id + 1);
    }
    cJSON_ArrayForEach(item, added)
    {
        if (!id_of(cJSON_GetObjectItemCaseSensitive(item, "id"), &id) ||
            !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(item, "content")))
            return err_json(path, "an entry of added_tokens lacks id or content");
        most = MAX(most, id + 1);
    }
    if (most == 0) return err_json(path, "the vocabulary is empty");
    *n = most;
    return PUMICE_OK;
}

static enum pumice_status read_tokens(const char *path, const cJSON *vocab, const cJSON *added, struct vocab *v)
{
    enum pumice_status st;
    const cJSON *item;
    uint64_t id = 0;
    cJSON_ArrayForEach(item, vocab)
    {
        (void)id_of(item, &id);
        if (v->tokens[id]) return err_json(path, "model.vocab gives an id twice");
        TRY(put(v, id, item->string, TOKEN_NORMAL));
    }
    cJSON_ArrayForEach(item, added)
    {
        (void)id_of(cJSON_GetObjectItemCaseSensitive(item, "id"), &id);
        const bool special = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "special"));
        TRY(put(v, id, cJSON_GetObjectItemCaseSensitive(item, "content")->valuestring,
                special ? TOKEN_CONTROL : TOKEN_USER_DEFINED));
    }
    return PUMICE_OK;
fail:
    return st;
}

/* Merges are "left right" or ["left", "right"]. */
static enum pumice_status read_merges(const char *path, const cJSON *merges, struct vocab *v)
{
    const cJSON *item;
    const int n = cJSON_GetArraySize(merges);
    v->merges = arena_alloc(&v->arena, (size_t)n, sizeof *v->merges);
    if (!v->merges) return err_memory("the merges", (uint64_t)n * sizeof *v->merges);
    cJSON_ArrayForEach(item, merges)
    {
        const char *left = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
        const char *right = cJSON_GetStringValue(cJSON_GetArrayItem(item, 1));
        const char *text = NULL;
        if (cJSON_IsString(item)) text = arena_strndup(&v->arena, item->valuestring, strlen(item->valuestring));
        else if (left && right) text = arena_printf(&v->arena, "%s %s", left, right);
        else return err_json(path, "an entry of model.merges is neither a string nor a pair of strings");
        if (!text) return err_memory("a merge", 64);
        v->merges[v->n_merges++] = text;
    }
    return PUMICE_OK;
}

static enum pumice_status read_json(const char *path, uint64_t n_vocab, struct vocab *v)
{
    enum pumice_status st;
    char *text = NULL;
    size_t bytes = 0;
    cJSON *root = NULL;
    uint64_t n = 0;
    TRY(platform_read(path, MAX_JSON_BYTES, &text, &bytes));
    root = cJSON_ParseWithLength(text, bytes);
    mem_free(text);
    if (!root) return err_json(path, "not a JSON file");
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(model, "merges");
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(root, "added_tokens");
    if (!cJSON_IsObject(vocab) || !cJSON_IsArray(merges)) {
        st = err_json(path, "model.vocab or model.merges is missing");
        goto fail;
    }
    TRY(count_ids(path, vocab, added, &n));
    if (n_vocab == 0) n_vocab = n;
    if (n_vocab < n) {
        st = err_set(PUMICE_ARGUMENT, "%s has %llu tokens, more than %llu; choose a larger --vocab-size", path,
                     (unsigned long long)n, (unsigned long long)n_vocab);
        goto fail;
    }
    TRY(reserve(v, (size_t)n_vocab));
    TRY(read_tokens(path, vocab, added, v));
    TRY(read_merges(path, merges, v));
    TRY(pad(v));
fail:
    cJSON_Delete(root);
    return st;
}

enum pumice_status vocab_open(const char *path, uint64_t n_vocab, bool spm, struct vocab *out)
{
    memset(out, 0, sizeof *out);
    const enum pumice_status st = path ? read_json(path, n_vocab, out) : spm ? make_up_spm(n_vocab, out) : make_up(n_vocab, out);
    if (st != PUMICE_OK) {
        vocab_close(out);
        return st;
    }
    out->bos = find(out, spm ? "<s>" : specials[0]);
    out->eos = find(out, specials[2]);
    if (out->eos < 0) out->eos = out->bos;
    return PUMICE_OK;
}

void vocab_close(struct vocab *v)
{
    arena_fini(&v->arena);
    memset(v, 0, sizeof *v);
}
