/* tokenizer: see tokenizer.h. Vocabulary and encoding; decoding is in decode.c.
 *
 * Invariant after tokenizer_create: every byte has a token, every merge joins two ordinary tokens into a third, so
 * encoding can fail for want of memory only. */
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "bpe.h"
#include "split.h"
#include "unicode.h"

enum {
    TYPE_CONTROL = 3,
    TYPE_USER_DEFINED = 4,
    TYPE_LAST = 6,
    MAX_TOKEN_BYTES = 65535,
    MAX_ADDED_BYTES = 256, /* bounds the time of a failed match */
    ALPHABET = 324         /* GPT-2's byte characters are all below U+0144 */
};
#define MAX_TEXT_BYTES ((size_t)1 << 30)

struct added {
    struct str text;
    int32_t id;
};

struct tokenizer {
    struct tokenizer_vocab vocab;
    struct bpe bpe;
    struct str *pieces;  /* [n_tokens] each token's bytes: in `store`, or the vocabulary's own text */
    char *store;
    struct added *added; /* [n_added] sorted by text, no duplicates, none empty */
    size_t n_added;
    size_t added_from[257]; /* added[added_from[c] .. added_from[c + 1]) begin with byte c */
    size_t max_piece_bytes;
};

/* Find a token by its vocabulary text; ordinary tokens only. Lives while the tokenizer is made. */
struct piece_table {
    const struct tokenizer_vocab *vocab;
    int32_t *slots; /* -1 where unused */
    size_t n_slots; /* a power of two */
    uint64_t seed;
};

/* --- vocabulary ------------------------------------------------------------------------------------------- */

static bool is_added(const struct tokenizer_vocab *v, size_t id)
{
    return v->types[id] == TYPE_CONTROL || v->types[id] == TYPE_USER_DEFINED;
}

/* GPT-2 shows bytes as characters: the printable ones of Latin-1 as themselves, the others from U+0100 on. */
static void make_alphabet(uint32_t char_of[256], int16_t byte_of[ALPHABET])
{
    uint32_t next = 256;
    for (size_t i = 0; i < ALPHABET; i++) byte_of[i] = -1;
    for (uint32_t b = 0; b < 256; b++) {
        bool shown = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        char_of[b] = shown ? b : next++;
        byte_of[char_of[b]] = (int16_t)b;
    }
}

/* The slot that holds `text`, or the free one where it belongs. */
static size_t piece_slot(const struct piece_table *table, struct str text)
{
    size_t i = (size_t)bpe_hash(table->seed, text.data, text.n) & (table->n_slots - 1);
    while (table->slots[i] >= 0 && !str_eq(table->vocab->tokens[table->slots[i]], text))
        i = (i + 1) & (table->n_slots - 1);
    return i;
}

static enum pumice_status make_piece_table(struct piece_table *table, const struct tokenizer_vocab *v, uint64_t seed)
{
    *table = (struct piece_table){v, NULL, 16, seed};
    while (table->n_slots / 2 < v->n_tokens) table->n_slots *= 2;
    table->slots = mem_alloc(table->n_slots * sizeof *table->slots);
    if (!table->slots) return err_memory("token table", table->n_slots * sizeof *table->slots);
    for (size_t i = 0; i < table->n_slots; i++) table->slots[i] = -1;
    for (size_t id = 0; id < v->n_tokens; id++) {
        if (is_added(v, id)) continue;
        size_t slot = piece_slot(table, v->tokens[id]);
        if (table->slots[slot] < 0) table->slots[slot] = (int32_t)id;
    }
    return PUMICE_OK;
}

/* Text from the file for an error text: no more than fits, nothing a terminal might obey. */
static const char *printable(char out[64], struct str text)
{
    size_t n = MIN(text.n, 63);
    for (size_t i = 0; i < n; i++) out[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
    out[n] = '\0';
    return out;
}

static enum pumice_status check_vocab(const struct tokenizer_vocab *v)
{
    char name[64];
    if (!str_eqz(v->model, "gpt2"))
        return err_set(PUMICE_UNSUPPORTED, "tokenizer model '%s': only gpt2 is supported; use a Qwen2 or Qwen3 model",
                       printable(name, v->model));
    if (!str_eqz(v->pre, "qwen2"))
        return err_set(PUMICE_UNSUPPORTED, "pre-tokenizer '%s': only qwen2 is supported; use a Qwen2 or Qwen3 model",
                       printable(name, v->pre));
    if (v->n_tokens == 0 || v->n_tokens > INT32_MAX / 2 || v->n_merges > INT32_MAX / 2)
        return err_set(PUMICE_FORMAT, "vocabulary of %zu tokens and %zu merges: the file is damaged", v->n_tokens,
                       v->n_merges);
    for (size_t id = 0; id < v->n_tokens; id++) {
        size_t most = is_added(v, id) ? MAX_ADDED_BYTES : MAX_TOKEN_BYTES;
        if (v->types[id] < 0 || v->types[id] > TYPE_LAST)
            return err_set(PUMICE_FORMAT, "token %zu: type %d is unknown; the file is damaged", id, (int)v->types[id]);
        if (v->tokens[id].n > most)
            return err_set(PUMICE_FORMAT, "token %zu: %zu bytes, at most %zu are allowed; the file is damaged", id,
                           v->tokens[id].n, most);
    }
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

/* Fills pieces: byte characters back to bytes; text outside that alphabet stays as it is, as Hugging Face does. */
static enum pumice_status make_pieces(struct tokenizer *t, const int16_t byte_of[ALPHABET])
{
    const struct tokenizer_vocab *v = &t->vocab;
    uint64_t total = 1;
    for (size_t id = 0; id < v->n_tokens; id++)
        if (!add_u64(total, v->tokens[id].n, &total)) return err_memory("token texts", UINT64_MAX);
    t->pieces = mem_calloc(v->n_tokens, sizeof *t->pieces);
    t->store = total > SIZE_MAX ? NULL : mem_alloc((size_t)total);
    if (!t->pieces || !t->store) return err_memory("token texts", total + v->n_tokens * sizeof *t->pieces);
    char *to = t->store;
    for (size_t id = 0; id < v->n_tokens; id++) {
        struct str text = v->tokens[id];
        bool alphabet = !is_added(v, id);
        size_t n = 0;
        for (size_t i = 0, used; alphabet && i < text.n; i += used) {
            uint32_t cp = unicode_decode(text.data + i, text.n - i, &used);
            alphabet = cp < ALPHABET && byte_of[cp] >= 0;
            if (alphabet) to[n++] = (char)byte_of[cp];
        }
        t->pieces[id] = alphabet ? (struct str){to, n} : text;
        if (alphabet) to += n;
        t->max_piece_bytes = MAX(t->max_piece_bytes, t->pieces[id].n);
    }
    return PUMICE_OK;
}

static enum pumice_status make_merges(struct tokenizer *t, const struct piece_table *table)
{
    const struct tokenizer_vocab *v = &t->vocab;
    char *joined = mem_alloc(2 * MAX_TOKEN_BYTES);
    if (!joined) return err_memory("merges", 2 * MAX_TOKEN_BYTES);
    enum pumice_status st = PUMICE_OK;
    char name[64];
    for (size_t i = 0; i < v->n_merges; i++) {
        struct str merge = v->merges[i];
        const char *space = merge.n ? memchr(merge.data, ' ', merge.n) : NULL;
        size_t n_left = space ? (size_t)(space - merge.data) : 0, n_right = space ? merge.n - n_left - 1 : 0;
        if (n_left == 0 || n_right == 0 || n_left > MAX_TOKEN_BYTES || n_right > MAX_TOKEN_BYTES ||
            memchr(space + 1, ' ', n_right)) {
            st = err_set(PUMICE_FORMAT, "merge %zu: not two tokens with a space between; the file is damaged", i);
            break;
        }
        memcpy(joined, merge.data, n_left);
        memcpy(joined + n_left, space + 1, n_right);
        struct str texts[3] = {{joined, n_left}, {joined + n_left, n_right}, {joined, n_left + n_right}};
        int32_t ids[3] = {-1, -1, -1};
        for (size_t k = 0; k < 3 && st == PUMICE_OK; k++) {
            ids[k] = table->slots[piece_slot(table, texts[k])];
            if (ids[k] < 0)
                st = err_set(PUMICE_FORMAT, "merge %zu: '%s' is no ordinary token; the file is damaged", i,
                             printable(name, texts[k]));
        }
        if (st != PUMICE_OK) break;
        bpe_add(&t->bpe, ids[0], ids[1], (uint32_t)i, ids[2]);
    }
    mem_free(joined);
    return st;
}

static enum pumice_status make_byte_ids(struct tokenizer *t, const struct piece_table *table,
                                        const uint32_t char_of[256])
{
    for (size_t b = 0; b < 256; b++) {
        char text[4];
        size_t n = unicode_encode(char_of[b], text);
        t->bpe.byte_id[b] = table->slots[piece_slot(table, (struct str){text, n})];
        if (t->bpe.byte_id[b] < 0)
            return err_set(PUMICE_FORMAT, "no token for the byte 0x%02X (U+%04X): the file is damaged", (unsigned)b,
                           (unsigned)char_of[b]);
    }
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
    for (size_t id = 0; id < v->n_tokens; id++) n += is_added(v, id) && v->tokens[id].n > 0;
    t->added = mem_calloc(n + 1, sizeof *t->added);
    if (!t->added) return err_memory("added tokens", (n + 1) * sizeof *t->added);
    n = 0;
    for (size_t id = 0; id < v->n_tokens; id++)
        if (is_added(v, id) && v->tokens[id].n > 0) t->added[n++] = (struct added){v->tokens[id], (int32_t)id};
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
    uint32_t char_of[256];
    int16_t byte_of[ALPHABET];
    struct piece_table table = {0};
    *out = NULL;
    struct tokenizer *t = mem_calloc(1, sizeof *t);
    if (!t) return err_memory("tokenizer", sizeof *t);
    uint64_t seed = (uint64_t)(uintptr_t)t * 0x9E3779B97F4A7C15u; /* no result depends on it */
    t->vocab = *vocab;
    make_alphabet(char_of, byte_of);
    TRY(check_vocab(vocab));
    TRY(make_piece_table(&table, vocab, seed));
    TRY(make_pieces(t, byte_of));
    TRY(bpe_init(&t->bpe, vocab->n_merges, seed));
    TRY(make_byte_ids(t, &table, char_of));
    TRY(make_merges(t, &table));
    TRY(make_added(t));
    mem_free(table.slots);
    *out = t;
    return PUMICE_OK;
fail:
    mem_free(table.slots);
    tokenizer_destroy(t);
    return st;
}

void tokenizer_destroy(struct tokenizer *t)
{
    if (!t) return;
    bpe_fini(&t->bpe);
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
    return id >= 0 && (size_t)id < t->vocab.n_tokens && t->vocab.types[id] == TYPE_CONTROL;
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

/* One run without added tokens: NFC, split, merge. */
static enum pumice_status encode_run(struct encoder *e, struct str run)
{
    enum pumice_status st;
    TRY(unicode_nfc(run, &e->unicode, &run));
    for (size_t n; (n = split_next(run)) > 0;) {
        TRY(bpe_encode(&e->t->bpe, &e->bpe, (struct str){run.data, n}, e->out));
        run.data += n;
        run.n -= n;
    }
    return PUMICE_OK;
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
        if (!ids_reserve(e->out, 1)) return err_memory("token ids", sizeof *e->out->data);
        e->out->data[e->out->n++] = added->id;
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
