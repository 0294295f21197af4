/* bpe: merges by rank over the symbols (bytes, mostly) of one piece of text.
 *
 * Owns the table of merges. Knows nothing of text classes or added tokens. Pure once filled.
 * Equal to Hugging Face's BPE: of all neighbouring pairs the one of lowest rank, leftmost first, is merged, again and
 * again, until no pair has a rank. */
#ifndef PUMICE_BPE_H
#define PUMICE_BPE_H

#include "tokenizer.h"

struct bpe {
    int32_t byte_id[256];    /* the caller's to fill */
    struct bpe_slot *slots;  /* open addressing over pairs of ids */
    size_t n_slots;          /* a power of two, at least twice the merges */
    uint64_t seed;           /* so that no file can choose its collisions */
};
/* Room for n_merges. Fails MEMORY. */
enum pumice_status bpe_init(struct bpe *b, size_t n_merges, uint64_t seed);
void bpe_fini(struct bpe *b);
/* left + right = result, rank 0 is best; a pair that is there already keeps its rank (so the best one wins). */
void bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t result);

/* Reusable buffers of bpe_encode; zero-initialised is empty. */
struct bpe_scratch {
    struct bpe_node *nodes;
    size_t nodes_capacity;
    uint64_t *heap;
    size_t heap_capacity, n_heap;
};
void bpe_scratch_fini(struct bpe_scratch *scratch);

/* Appends the ids of one piece (piece.n < 2^31), whose symbols are its bytes. O(n log n). Fails MEMORY. */
enum pumice_status bpe_encode(const struct bpe *b, struct bpe_scratch *scratch, struct str piece, struct ids *out);
/* Merges the symbols from ids->data[from] on, in place. Among pairs of equal rank the leftmost goes first. */
enum pumice_status bpe_merge(const struct bpe *b, struct bpe_scratch *scratch, struct ids *ids, size_t from);

bool ids_reserve(struct ids *ids, size_t more); /* room for `more` further ids; false: out of memory */
enum pumice_status ids_push(struct ids *ids, int32_t id); /* fails MEMORY */

/* A well-mixed hash of n bytes, of which a file's author cannot choose collisions without the seed. */
uint64_t bpe_hash(uint64_t seed, const char *bytes, size_t n);

#endif
