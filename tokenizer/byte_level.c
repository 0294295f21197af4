/* byte_level: vocabularies whose tokens are written in GPT-2's byte characters, and their merges; see vocabulary.h. */
#include <string.h>

#include "vocabulary.h"

enum { ALPHABET = 324 }; /* GPT-2's byte characters are all below U+0144 */

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

/* Fills pieces: byte characters back to bytes; text outside that alphabet stays as it is, as Hugging Face does. */
static enum pumice_status make_pieces(struct tokenizer *t, const int16_t byte_of[ALPHABET])
{
    const struct tokenizer_vocab *v = &t->vocab;
    const enum pumice_status st = pieces_reserve(t);
    if (st != PUMICE_OK) return st;
    char *to = t->store;
    for (size_t id = 0; id < v->n_tokens; id++) {
        struct str text = v->tokens[id];
        bool alphabet = !token_is_added(v, id);
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
            ids[k] = piece_find(table, texts[k]);
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
        t->bpe.byte_id[b] = piece_find(table, (struct str){text, n});
        if (t->bpe.byte_id[b] < 0)
            return err_set(PUMICE_FORMAT, "no token for the byte 0x%02X (U+%04X): the file is damaged", (unsigned)b,
                           (unsigned)char_of[b]);
    }
    return PUMICE_OK;
}

static bool ordinary(const struct tokenizer_vocab *v, size_t id) { return !token_is_added(v, id); }

enum pumice_status byte_level_make(struct tokenizer *t, uint64_t seed)
{
    enum pumice_status st;
    uint32_t char_of[256];
    int16_t byte_of[ALPHABET];
    struct piece_table table = {0};
    make_alphabet(char_of, byte_of);
    TRY(piece_table_init(&table, &t->vocab, t->vocab.tokens, ordinary, seed));
    TRY(make_pieces(t, byte_of));
    TRY(bpe_init(&t->bpe, t->vocab.n_merges, seed));
    TRY(make_byte_ids(t, &table, char_of));
    TRY(make_merges(t, &table));
    if (t->pre.whole_words) TRY(piece_table_init(&t->words, &t->vocab, t->pieces, ordinary, seed));
fail:
    piece_table_fini(&table);
    return st;
}
