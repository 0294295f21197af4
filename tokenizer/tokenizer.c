/* tokenizer: see tokenizer.h. Vocabulary and encoding; decoding is in decode.c, the two kinds of vocabulary in byte_level.c
 * and spm.c.
 *
 * Invariant after tokenizer_create: every byte has a token, every merge joins two ordinary tokens into a third, so
 * encoding can fail for want of memory only. */
#include "tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vocabulary.h"

#define MAX_TEXT_BYTES ((size_t)1 << 30)

static const struct pre_rule pre_rules[] = {
    {"qwen2", SPLIT_QWEN2, true, false},     {"llama-bpe", SPLIT_LLAMA3, false, true}, {"llama3", SPLIT_LLAMA3, false, true},
    {"llama-v3", SPLIT_LLAMA3, false, true}, {"smollm", SPLIT_SMOLLM, false, false},   {"gpt-2", SPLIT_GPT2, false, false},
    {"deepseek-r1-qwen", SPLIT_QWEN2, true, false}, /* the distilled ones: Qwen2's vocabulary with other control tokens */
};

/* --- vocabulary ------------------------------------------------------------------------------------------- */

bool token_is_added(const struct tokenizer_vocab *v, size_t id)
{
    const int32_t type = v->types[id];
    return type == TYPE_CONTROL || type == TYPE_USER_DEFINED || type == TYPE_UNKNOWN;
}

/* The slot that holds `text`, or the free one where it belongs. */
static size_t piece_slot(const struct piece_table *table, struct str text)
{
    size_t i = (size_t)bpe_hash(table->seed, text.data, text.n) & (table->n_slots - 1);
    while (table->slots[i] >= 0 && !str_eq(table->texts[table->slots[i]], text)) i = (i + 1) & (table->n_slots - 1);
    return i;
}

int32_t piece_find(const struct piece_table *table, struct str text) { return table->slots[piece_slot(table, text)]; }

enum pumice_status piece_table_init(struct piece_table *table, const struct tokenizer_vocab *v, const struct str *texts,
                                    bool (*wanted)(const struct tokenizer_vocab *v, size_t id), uint64_t seed)
{
    *table = (struct piece_table){texts, NULL, 16, seed};
    while (table->n_slots / 2 < v->n_tokens) table->n_slots *= 2;
    table->slots = mem_alloc(table->n_slots * sizeof *table->slots);
    if (!table->slots) return err_memory("token table", table->n_slots * sizeof *table->slots);
    for (size_t i = 0; i < table->n_slots; i++) table->slots[i] = -1;
    for (size_t id = 0; id < v->n_tokens; id++) {
        if (!wanted(v, id)) continue;
        size_t slot = piece_slot(table, texts[id]);
        if (table->slots[slot] < 0) table->slots[slot] = (int32_t)id;
    }
    return PUMICE_OK;
}

void piece_table_fini(struct piece_table *table)
{
    mem_free(table->slots);
    table->slots = NULL;
}

enum pumice_status pieces_reserve(struct tokenizer *t)
{
    const struct tokenizer_vocab *v = &t->vocab;
    uint64_t total = 1;
    for (size_t id = 0; id < v->n_tokens; id++)
        if (!add_u64(total, v->tokens[id].n, &total)) return err_memory("token texts", UINT64_MAX);
    t->pieces = mem_calloc(v->n_tokens, sizeof *t->pieces);
    t->store = total > SIZE_MAX ? NULL : mem_alloc((size_t)total);
    if (!t->pieces || !t->store) return err_memory("token texts", total + v->n_tokens * sizeof *t->pieces);
    return PUMICE_OK;
}

const char *printable(char out[64], struct str text)
{
    size_t n = MIN(text.n, 63);
    for (size_t i = 0; i < n; i++) out[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
    out[n] = '\0';
    return out;
}

/* Which kind of vocabulary it is and how its text is cut. */
static enum pumice_status choose_rules(struct tokenizer *t)
{
    const struct tokenizer_vocab *v = &t->vocab;
    char name[64], list[128] = "";
    t->spm = str_eqz(v->model, "llama");
    if (!t->spm && !str_eqz(v->model, "gpt2"))
        return err_set(PUMICE_UNSUPPORTED, "tokenizer model '%s': only gpt2 and llama are supported; use another model",
                       printable(name, v->model));
    if (t->spm) return PUMICE_OK;
    for (size_t i = 0, n = 0; i < COUNT_OF(pre_rules); i++) {
        if (str_eqz(v->pre, pre_rules[i].name)) {
            t->pre = pre_rules[i];
            return PUMICE_OK;
        }
        n = str_append(list, sizeof list, n, "%s%s", i ? ", " : "", pre_rules[i].name);
    }
    return err_set(PUMICE_UNSUPPORTED, "pre-tokenizer '%s': only %s are supported; use another model", printable(name, v->pre),
                   list);
}

static enum pumice_status check_tokens(const struct tokenizer *t)
{
    const struct tokenizer_vocab *v = &t->vocab;
    if (v->n_tokens == 0 || v->n_tokens > INT32_MAX / 2 || v->n_merges > INT32_MAX / 2)
        return err_set(PUMICE_FORMAT, "vocabulary of %zu tokens and %zu merges: the file is damaged", v->n_tokens,
                       v->n_merges);
    if (t->spm && !v->scores)
        return err_set(PUMICE_FORMAT, "a vocabulary of model llama without tokenizer.ggml.scores: the file is damaged");
    for (size_t id = 0; id < v->n_tokens; id++) {
        size_t most = t->spm || token_is_added(v, id) ? MAX_ADDED_BYTES : MAX_TOKEN_BYTES;
        if (v->types[id] < 0 || v->types[id] > TYPE_LAST)
            return err_set(PUMICE_FORMAT, "token %zu: type %d is unknown; the file is damaged", id, (int)v->types[id]);
        if (v->tokens[id].n > most)
            return err_set(PUMICE_FORMAT, "token %zu: %zu bytes, at most %zu are allowed; the file is damaged", id,
                           v->tokens[id].n, most);
        if (t->spm && !isfinite(v->scores[id]))
            return err_set(PUMICE_FORMAT, "token %zu: its score is %g; the file is damaged", id, (double)v->scores[id]);
    }
    return PUMICE_OK;
}

static enum pumice_status check_marks(const struct tokenizer_vocab *v)
{
    const struct {
        const char *name;
        int32_t id;
    } marks[] = {{"bos", v->bos}, {"eos", v->eos}, {"eot", v->eot}, {"padding", v->pad}};
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (marks[i].id < -1 || (marks[i].id >= 0 && (size_t)marks[i].id >= v->n_tokens))
            return err_set(PUMICE_FORMAT, "%s token %d: the vocabulary has %zu tokens; the file is damaged",
                           marks[i].name, (int)marks[i].id, v->n_tokens);
    if (v->add_bos && v->bos < 0)
        return err_set(PUMICE_FORMAT, "add_bos_token without a bos token: the file is damaged");
    return PUMICE_OK;
}

static int compare_added(const void *a, const void *b)
{
    const struct added *x = a, *y = b;
    int order = memcmp(x->text.data, y->text.data, MIN(x->text.n, y->text.n));
    if (order) return order;
    if (x->text.n != y->text.n) return x->text.n < y->text.n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum pumice_status make_added(struct tokenizer *t)
{
    const struct tokenizer_vocab *v = &t->vocab;
    size_t n = 0;
    for (size_t id = 0; id < v->n_tokens; id++) n += token_is_added(v, id) && v->tokens[id].n > 0;
    t->added = mem_calloc(n + 1, sizeof *t->added);
    if (!t->added) return err_memory("added tokens", (n + 1) * sizeof *t->added);
    n = 0;
    for (size_t id = 0; id < v->n_tokens; id++)
        if (token_is_added(v, id) && v->tokens[id].n > 0) t->added[n++] = (struct added){v->tokens[id], (int32_t)id};
    if (n) qsort(t->added, n, sizeof *t->added, compare_added);
    for (size_t i = 0; i < n; i++)
        if (t->n_added == 0 || !str_eq(t->added[t->n_added - 1].text, t->added[i].text))
            t->added[t->n_added++] = t->added[i];
    for (size_t c = 0, i = 0; c <= 256; c++) {
        while (i < t->n_added && (unsigned char)t->added[i].text.data[0] < c) i++;
        t->added_from[c] = i;
    }
    return PUMICE_OK;
}

enum pumice_status tokenizer_create(const struct tokenizer_vocab *vocab, struct tokenizer **out)
{
    enum pumice_status st;
    *out = NULL;
    struct tokenizer *t = mem_calloc(1, sizeof *t);
    if (!t) return err_memory("tokenizer", sizeof *t);
    uint64_t seed = (uint64_t)(uintptr_t)t * 0x9E3779B97F4A7C15u; /* no result depends on it */
    t->vocab = *vocab;
    TRY(choose_rules(t));
    TRY(check_tokens(t));
    TRY(check_marks(vocab));
    TRY(t->spm ? spm_make(t, seed) : byte_level_make(t, seed));
    TRY(make_added(t));
    *out = t;
    return PUMICE_OK;
fail:
    tokenizer_destroy(t);
    return st;
}

void tokenizer_destroy(struct tokenizer *t)
{
    if (!t) return;
    bpe_fini(&t->bpe);
    piece_table_fini(&t->words);
    mem_free(t->symbol_of);
    mem_free(t->loose);
    mem_free(t->pieces);
    mem_free(t->store);
    mem_free(t->added);
    mem_free(t);
}

size_t tokenizer_n_tokens(const struct tokenizer *t) { return t->vocab.n_tokens; }
int32_t tokenizer_bos(const struct tokenizer *t) { return t->vocab.add_bos ? t->vocab.bos : -1; }
size_t tokenizer_max_token_bytes(const struct tokenizer *t) { return 3 * t->max_piece_bytes; }

struct str tokenizer_token_bytes(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocab.n_tokens ? t->pieces[id] : (struct str){"", 0};
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || (size_t)id >= t->vocab.n_tokens) return false;
    return t->vocab.types[id] == TYPE_CONTROL || t->vocab.types[id] == TYPE_UNKNOWN;
}

/* --- encoding --------------------------------------------------------------------------------------------- */

void ids_fini(struct ids *ids)
{
    mem_free(ids->data);
    *ids = (struct ids){0};
}

struct encoder { /* what one call of tokenizer_encode works with */
    const struct tokenizer *t;
    struct unicode_scratch unicode;
    struct bpe_scratch bpe;
    struct ids *out;
};

/* First of added[low .. high), all longer than `depth`, whose byte there is >= c. */
static size_t added_bound(const struct tokenizer *t, size_t low, size_t high, size_t depth, unsigned c)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((unsigned char)t->added[middle].text.data[depth] < c) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The longest added token that text[n], n >= 1, begins with, or NULL. */
static const struct added *match_added(const struct tokenizer *t, const char *text, size_t n)
{
    const struct added *best = NULL;
    unsigned char c = (unsigned char)text[0];
    size_t low = t->added_from[c], high = t->added_from[c + 1];
    for (size_t depth = 1; low < high; depth++) { /* added[low .. high) share the first `depth` bytes with the text */
        if (t->added[low].text.n == depth) best = &t->added[low++];
        if (depth == n) break;
        c = (unsigned char)text[depth];
        low = added_bound(t, low, high, depth, c);
        high = added_bound(t, low, high, depth, c + 1u);
    }
    return best;
}

int32_t tokenizer_find(const struct tokenizer *t, struct str text)
{
    const struct added *found = text.n ? match_added(t, text.data, text.n) : NULL;
    return found && found->text.n == text.n ? found->id : -1;
}

/* One run without added tokens: normalise, split, merge. */
static enum pumice_status encode_run(struct encoder *e, struct str run)
{
    enum pumice_status st = PUMICE_OK;
    const struct tokenizer *t = e->t;
    if (run.n && t->spm) return spm_encode(t, &e->bpe, run, e->out);
    if (t->pre.nfc) TRY(unicode_nfc(run, &e->unicode, &run));
    for (size_t n; (n = split_next(t->pre.split, run)) > 0;) {
        const struct str piece = {run.data, n};
        const int32_t word = t->pre.whole_words ? piece_find(&t->words, piece) : -1;
        TRY(word >= 0 ? ids_push(e->out, word) : bpe_encode(&t->bpe, &e->bpe, piece, e->out));
        run.data += n;
        run.n -= n;
    }
fail:
    return st;
}

/* Takes the added tokens out of text[from .. to), a special stretch; *run is where the run before it starts. */
static enum pumice_status encode_special(struct encoder *e, const char *text, size_t from, size_t to, size_t *run)
{
    enum pumice_status st;
    for (size_t at = from; at < to;) {
        const struct added *added = match_added(e->t, text + at, to - at);
        if (!added) {
            at++;
            continue;
        }
        TRY(encode_run(e, (struct str){text + *run, at - *run}));
        TRY(ids_push(e->out, added->id));
        at += added->text.n;
        *run = at;
    }
    return PUMICE_OK;
fail:
    return st;
}

enum pumice_status tokenizer_encode(const struct tokenizer *t, const struct segment *segments, size_t n,
                                    struct ids *out)
{
    enum pumice_status st;
    struct encoder e = {.t = t, .out = out};
    char *joined = NULL;
    size_t total = 0, run = 0, n_before = out->n;
    for (size_t i = 0; i < n; i++) {
        if (segments[i].text.n >= MAX_TEXT_BYTES - total)
            return err_set(PUMICE_ARGUMENT, "text of 1 GiB or more: no model reads so much; shorten it");
        total += segments[i].text.n;
    }
    if (total == 0) return PUMICE_OK;
    if (n > 1) {
        joined = mem_alloc(total);
        if (!joined) return err_memory("joined text", total);
    }
    for (size_t i = 0, at = 0; joined && i < n; at += segments[i++].text.n)
        if (segments[i].text.n) memcpy(joined + at, segments[i].text.data, segments[i].text.n);
    const char *text = joined ? joined : segments[0].text.data;
    for (size_t i = 0, at = 0; i < n;) { /* neighbours that are special (or empty) are one stretch */
        size_t from = at;
        for (; i < n && (segments[i].special || segments[i].text.n == 0); i++) at += segments[i].text.n;
        TRY(encode_special(&e, text, from, at, &run));
        for (; i < n && !segments[i].special; i++) at += segments[i].text.n;
    }
    TRY(encode_run(&e, (struct str){text + run, total - run}));
    st = PUMICE_OK;
fail:
    if (st != PUMICE_OK) out->n = n_before;
    mem_free(joined);
    unicode_scratch_fini(&e.unicode);
    bpe_scratch_fini(&e.bpe);
    return st;
}

enum pumice_status tokenizer_encode_text(const struct tokenizer *t, struct str text, bool special, struct ids *out)
{
    return tokenizer_encode(t, &(struct segment){text, special, -1}, 1, out);
}
