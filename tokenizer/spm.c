/* spm: vocabularies of SentencePiece's BPE kind (tokenizer.ggml.model "llama"); see vocabulary.h.
 *
 * Of all neighbours whose texts together are a token, those of the best score merge first, leftmost among equals. That is
 * BPE once each way to cut a token in two is a merge whose rank is the token's: no text is looked up while encoding. A
 * space is written U+2581 in the vocabulary and counts as that character in a text; here both are a space. What no token
 * covers becomes byte tokens (<0x00> to <0xFF>). Only tokens of type normal are merged, so no text gives another. */
#include <stdlib.h>
#include <string.h>

#include "vocabulary.h"

enum { N_CHARACTERS = UNICODE_INVALID + 256, SPACE_MARK = 0x2581, MAX_PAIRS = 1 << 22 };
#define SPACE_MARK_TEXT "\xE2\x96\x81"

/* A text never holds a space of its own after SentencePiece has marked them, so a token that does is never met. */
static bool ordinary(const struct tokenizer_vocab *v, size_t id)
{
    const struct str text = v->tokens[id];
    return v->types[id] == TYPE_NORMAL && text.n && !memchr(text.data, ' ', text.n);
}

/* The byte of "<0x2E>", or -1. */
static int byte_of(struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    if (text.n != 6 || memcmp(text.data, "<0x", 3) != 0 || text.data[5] != '>') return -1;
    const char *high = memchr(digits, text.data[3], 16), *low = memchr(digits, text.data[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

/* Marks of spaces back to spaces; returns the length. */
static size_t unmark(struct str text, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        const bool mark = text.n - i >= 3 && memcmp(text.data + i, SPACE_MARK_TEXT, 3) == 0;
        out[n++] = mark ? ' ' : text.data[i];
        i += mark ? 3 : 1;
    }
    return n;
}

static enum pumice_status make_pieces(struct tokenizer *t)
{
    const struct tokenizer_vocab *v = &t->vocab;
    const enum pumice_status st = pieces_reserve(t);
    if (st != PUMICE_OK) return st;
    char *to = t->store;
    for (size_t b = 0; b < 256; b++) t->bpe.byte_id[b] = -1;
    for (size_t id = 0; id < v->n_tokens; id++) {
        const int byte = v->types[id] == TYPE_BYTE ? byte_of(v->tokens[id]) : -1;
        struct str piece = v->tokens[id];
        if (byte >= 0) {
            *to = (char)byte;
            piece = (struct str){to, 1};
            if (t->bpe.byte_id[byte] < 0) t->bpe.byte_id[byte] = (int32_t)id;
        } else if (!token_is_added(v, id)) {
            piece = (struct str){to, unmark(v->tokens[id], to)};
        }
        if (piece.data == to) to += piece.n;
        t->pieces[id] = piece;
        t->max_piece_bytes = MAX(t->max_piece_bytes, piece.n);
    }
    for (size_t b = 0; b < 256; b++)
        if (t->bpe.byte_id[b] < 0)
            return err_set(PUMICE_FORMAT, "no token for the byte 0x%02X (<0x%02X>): the file is damaged", (unsigned)b, (unsigned)b);
    return PUMICE_OK;
}

/* Every character of an ordinary token gets a symbol: the token that it is, or a number past the tokens. */
static enum pumice_status make_symbols(struct tokenizer *t, const struct piece_table *table)
{
    const struct tokenizer_vocab *v = &t->vocab;
    size_t capacity = 0;
    t->symbol_of = mem_calloc(N_CHARACTERS, sizeof *t->symbol_of);
    if (!t->symbol_of) return err_memory("characters", N_CHARACTERS * sizeof *t->symbol_of);
    for (size_t id = 0; id < v->n_tokens; id++) {
        const struct str piece = t->pieces[id];
        if (!ordinary(v, id)) continue;
        for (size_t at = 0, used; at < piece.n; at += used) {
            const uint32_t cp = unicode_decode(piece.data + at, piece.n - at, &used);
            if (t->symbol_of[cp]) continue;
            const int32_t token = piece_find(table, (struct str){piece.data + at, used});
            if (token < 0 && t->n_loose == capacity) {
                capacity = capacity ? 2 * capacity : 64;
                uint32_t *grown = mem_realloc(t->loose, capacity, sizeof *grown);
                if (!grown) return err_memory("characters", capacity * sizeof *grown);
                t->loose = grown;
            }
            if (token < 0) t->loose[t->n_loose++] = cp;
            t->symbol_of[cp] = 1 + (token >= 0 ? token : (int32_t)(v->n_tokens + t->n_loose - 1));
        }
    }
    return PUMICE_OK;
}

struct scored {
    float score;
    int32_t id;
};

static int compare_scored(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : x->id < y->id ? -1 : x->id > y->id;
}

/* rank_of[id]: how many different scores are better than that of the token. */
static enum pumice_status make_ranks(const struct tokenizer_vocab *v, uint32_t *rank_of)
{
    struct scored *order = mem_calloc(v->n_tokens, sizeof *order);
    if (!order) return err_memory("scores", v->n_tokens * sizeof *order);
    for (size_t id = 0; id < v->n_tokens; id++) order[id] = (struct scored){v->scores[id], (int32_t)id};
    qsort(order, v->n_tokens, sizeof *order, compare_scored);
    for (size_t i = 0, rank = 0; i < v->n_tokens; i++) {
        if (i && order[i].score < order[i - 1].score) rank++;
        rank_of[order[i].id] = (uint32_t)rank;
    }
    mem_free(order);
    return PUMICE_OK;
}

/* The symbol of a part of a token: a character's, or the token of that text; -1: none. */
static int32_t symbol(const struct tokenizer *t, const struct piece_table *table, struct str part)
{
    size_t used;
    const uint32_t cp = unicode_decode(part.data, part.n, &used);
    return used == part.n ? t->symbol_of[cp] - 1 : piece_find(table, part);
}

/* Each way to cut an ordinary token in two symbols; adds them as merges if ranks are given (of equals the
 * first counts). Returns their number. */
static size_t each_pair(struct tokenizer *t, const struct piece_table *table, const uint32_t *rank_of)
{
    const struct tokenizer_vocab *v = &t->vocab;
    size_t n = 0;
    for (size_t id = 0; id < v->n_tokens; id++) {
        const struct str piece = t->pieces[id];
        if (!ordinary(v, id)) continue;
        for (size_t at = 0, used; at < piece.n; at += used) {
            (void)unicode_decode(piece.data + at, piece.n - at, &used);
            if (at == 0) continue;
            const int32_t left = symbol(t, table, (struct str){piece.data, at});
            const int32_t right = symbol(t, table, (struct str){piece.data + at, piece.n - at});
            if (left < 0 || right < 0) continue;
            if (rank_of) bpe_add(&t->bpe, left, right, rank_of[id], (int32_t)id);
            n++;
        }
    }
    return n;
}

enum pumice_status spm_make(struct tokenizer *t, uint64_t seed)
{
    enum pumice_status st;
    struct piece_table table = {0};
    uint32_t *rank_of = NULL;
    TRY(make_pieces(t));
    TRY(piece_table_init(&table, &t->vocab, t->pieces, ordinary, seed));
    TRY(make_symbols(t, &table));
    rank_of = mem_calloc(t->vocab.n_tokens, sizeof *rank_of);
    if (!rank_of) TRY(err_memory("scores", t->vocab.n_tokens * sizeof *rank_of));
    TRY(make_ranks(&t->vocab, rank_of));
    const size_t n_pairs = each_pair(t, &table, NULL);
    if (n_pairs > MAX_PAIRS)
        TRY(err_set(PUMICE_FORMAT, "%zu ways to merge the tokens, at most %d are allowed; the file is damaged", n_pairs, MAX_PAIRS));
    TRY(bpe_init(&t->bpe, n_pairs, seed));
    (void)each_pair(t, &table, rank_of);
fail:
    mem_free(rank_of);
    piece_table_fini(&table);
    return st;
}

static void put_character(const struct tokenizer *t, uint32_t cp, struct ids *out)
{
    char bytes[4];
    if (t->symbol_of[cp]) {
        out->data[out->n++] = t->symbol_of[cp] - 1;
        return;
    }
    const size_t n = unicode_encode(cp, bytes);
    for (size_t i = 0; i < n; i++) out->data[out->n++] = t->bpe.byte_id[(unsigned char)bytes[i]];
}

/* Characters that found no partner become their bytes; from the end on, since the list grows. */
static enum pumice_status spell_loose(const struct tokenizer *t, struct ids *out, size_t from)
{
    const int32_t n_tokens = (int32_t)t->vocab.n_tokens;
    char bytes[4];
    size_t more = 0;
    for (size_t i = from; i < out->n; i++)
        if (out->data[i] >= n_tokens) more += unicode_encode(t->loose[out->data[i] - n_tokens], bytes) - 1;
    if (!ids_reserve(out, more)) return err_memory("token ids", more * sizeof *out->data);
    size_t i = out->n, to = out->n + more;
    out->n = to;
    while (i-- > from) {
        const int32_t id = out->data[i];
        size_t n = id < n_tokens ? 0 : unicode_encode(t->loose[id - n_tokens], bytes);
        if (n == 0) out->data[--to] = id;
        while (n) out->data[--to] = t->bpe.byte_id[(unsigned char)bytes[--n]];
    }
    return PUMICE_OK;
}

enum pumice_status spm_encode(const struct tokenizer *t, struct bpe_scratch *scratch, struct str run, struct ids *out)
{
    enum pumice_status st;
    const size_t from = out->n;
    if (!ids_reserve(out, run.n + 1)) return err_memory("token ids", (uint64_t)run.n * sizeof *out->data);
    if (t->vocab.add_space_prefix) put_character(t, ' ', out);
    for (size_t at = 0, used; at < run.n; at += used) {
        const uint32_t cp = unicode_decode(run.data + at, run.n - at, &used);
        put_character(t, cp == SPACE_MARK ? ' ' : cp, out);
    }
    TRY(bpe_merge(&t->bpe, scratch, out, from));
    TRY(spell_loose(t, out, from));
fail:
    return st;
}
