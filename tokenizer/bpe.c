/* bpe: see bpe.h. Short pieces are scanned for their best pair; long ones use a heap of (rank, position). */
#include "bpe.h"

#include <string.h>

enum { SHORT_PIECE = 48 }; /* symbols; below this scanning beats the heap */
#define NO_RANK UINT32_MAX

struct bpe_slot {
    uint64_t pair; /* left id << 32 | right id; EMPTY where unused */
    uint32_t rank;
    int32_t result;
};
#define EMPTY UINT64_MAX

struct bpe_node { /* one symbol of a long piece, in a list linked by index */
    int32_t id, result;   /* result of merging with the next */
    uint32_t rank;        /* of that merge, or NO_RANK */
    uint32_t before, after; /* NONE at the ends */
};
#define NONE UINT32_MAX

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

uint64_t bpe_hash(uint64_t seed, const char *bytes, size_t n)
{
    uint64_t h = mix(seed ^ n);
    for (; n >= 8; n -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        h = mix(h ^ word) + seed;
    }
    uint64_t word = 0;
    if (n) memcpy(&word, bytes, n);
    return mix(h ^ word);
}

enum pumice_status bpe_init(struct bpe *b, size_t n_merges, uint64_t seed)
{
    b->n_slots = 16;
    while (b->n_slots / 2 < n_merges && b->n_slots <= SIZE_MAX / 4 / sizeof *b->slots) b->n_slots *= 2;
    b->seed = seed;
    b->slots = b->n_slots / 2 < n_merges ? NULL : mem_alloc(b->n_slots * sizeof *b->slots);
    if (!b->slots) return err_memory("merge table", (uint64_t)n_merges * 2 * sizeof *b->slots);
    for (size_t i = 0; i < b->n_slots; i++) b->slots[i] = (struct bpe_slot){EMPTY, NO_RANK, -1};
    return PUMICE_OK;
}

void bpe_fini(struct bpe *b)
{
    mem_free(b->slots);
    b->slots = NULL;
}

static struct bpe_slot *find_slot(const struct bpe *b, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = (size_t)mix(pair ^ b->seed) & (b->n_slots - 1);
    while (b->slots[i].pair != pair && b->slots[i].pair != EMPTY) i = (i + 1) & (b->n_slots - 1);
    return &b->slots[i];
}

void bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t result)
{
    struct bpe_slot *slot = find_slot(b, left, right);
    if (slot->pair != EMPTY) return;
    *slot = (struct bpe_slot){(uint64_t)(uint32_t)left << 32 | (uint32_t)right, rank, result};
}

bool ids_reserve(struct ids *ids, size_t more)
{
    if (more <= ids->capacity - ids->n) return true;
    size_t wanted = MAX(ids->n + more, ids->capacity * 2);
    int32_t *grown = wanted < ids->n ? NULL : mem_realloc(ids->data, wanted, sizeof *ids->data);
    if (!grown) return false;
    ids->data = grown;
    ids->capacity = wanted;
    return true;
}

enum pumice_status ids_push(struct ids *ids, int32_t id)
{
    if (!ids_reserve(ids, 1)) return err_memory("token ids", sizeof *ids->data);
    ids->data[ids->n++] = id;
    return PUMICE_OK;
}

void bpe_scratch_fini(struct bpe_scratch *scratch)
{
    mem_free(scratch->nodes);
    mem_free(scratch->heap);
    *scratch = (struct bpe_scratch){0};
}

/* Merges ids[n], n <= SHORT_PIECE; returns how many are left. */
static size_t merge_short(const struct bpe *b, int32_t *ids, size_t n)
{
    struct bpe_slot *pairs[SHORT_PIECE]; /* pairs[i]: of ids[i] and ids[i + 1] */
    for (size_t i = 0; i + 1 < n; i++) pairs[i] = find_slot(b, ids[i], ids[i + 1]);
    for (;;) {
        size_t best = 0;
        uint32_t rank = NO_RANK;
        for (size_t i = 0; i + 1 < n; i++)
            if (pairs[i]->rank < rank) {
                rank = pairs[i]->rank;
                best = i;
            }
        if (rank == NO_RANK) break;
        ids[best] = pairs[best]->result;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            pairs[i - 1] = pairs[i];
        }
        if (best > 0) pairs[best - 1] = find_slot(b, ids[best - 1], ids[best]);
        if (best + 1 < n) pairs[best] = find_slot(b, ids[best], ids[best + 1]);
    }
    return n;
}

static void heap_push(struct bpe_scratch *s, uint64_t key)
{
    size_t i = s->n_heap++;
    while (i > 0 && s->heap[(i - 1) / 2] > key) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = key;
}

static uint64_t heap_pop(struct bpe_scratch *s)
{
    uint64_t top = s->heap[0], key = s->heap[--s->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
        if (child + 1 < s->n_heap && s->heap[child + 1] < s->heap[child]) child++;
        if (s->heap[child] >= key) break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = key;
    return top;
}

/* Looks up the merge of nodes[i] with the next and queues it. */
static void queue_pair(const struct bpe *b, struct bpe_scratch *s, uint32_t i)
{
    struct bpe_node *node = &s->nodes[i];
    node->rank = NO_RANK;
    if (node->after == NONE) return;
    const struct bpe_slot *slot = find_slot(b, node->id, s->nodes[node->after].id);
    node->rank = slot->rank;
    node->result = slot->result;
    if (slot->rank != NO_RANK) heap_push(s, (uint64_t)slot->rank << 32 | i);
}

static bool reserve_long(struct bpe_scratch *s, size_t n)
{
    if (n > s->nodes_capacity) {
        struct bpe_node *nodes = mem_realloc(s->nodes, n, sizeof *nodes);
        if (!nodes) return false;
        s->nodes = nodes;
        s->nodes_capacity = n;
    }
    if (n > s->heap_capacity / 3) { /* n - 1 pairs at first, and each merge takes one and adds at most two */
        if (n > SIZE_MAX / 3) return false;
        uint64_t *heap = mem_realloc(s->heap, 3 * n, sizeof *heap);
        if (!heap) return false;
        s->heap = heap;
        s->heap_capacity = 3 * n;
    }
    return true;
}

static enum pumice_status merge_long(const struct bpe *b, struct bpe_scratch *s, struct ids *out, size_t from)
{
    uint32_t n = (uint32_t)(out->n - from);
    if (!reserve_long(s, n)) return err_memory("merging", (uint64_t)n * (sizeof *s->nodes + 3 * sizeof *s->heap));
    for (uint32_t i = 0; i < n; i++)
        s->nodes[i] = (struct bpe_node){out->data[from + i], -1, NO_RANK, i ? i - 1 : NONE, i + 1 < n ? i + 1 : NONE};
    s->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) queue_pair(b, s, i);
    while (s->n_heap) {
        uint64_t key = heap_pop(s);
        uint32_t i = (uint32_t)key, rank = (uint32_t)(key >> 32);
        struct bpe_node *node = &s->nodes[i];
        if (node->rank != rank) continue; /* the pair of this entry is gone */
        struct bpe_node *right = &s->nodes[node->after];
        node->id = node->result;
        node->after = right->after;
        right->rank = NO_RANK;
        if (node->after != NONE) s->nodes[node->after].before = i;
        queue_pair(b, s, i);
        if (node->before != NONE) queue_pair(b, s, node->before);
    }
    out->n = from;
    for (uint32_t i = 0; i != NONE; i = s->nodes[i].after) out->data[out->n++] = s->nodes[i].id;
    return PUMICE_OK;
}

enum pumice_status bpe_merge(const struct bpe *b, struct bpe_scratch *scratch, struct ids *ids, size_t from)
{
    if (ids->n - from > SHORT_PIECE) return merge_long(b, scratch, ids, from);
    ids->n = from + merge_short(b, ids->data + from, ids->n - from);
    return PUMICE_OK;
}

enum pumice_status bpe_encode(const struct bpe *b, struct bpe_scratch *scratch, struct str piece, struct ids *out)
{
    const size_t from = out->n;
    if (!ids_reserve(out, piece.n)) return err_memory("token ids", (uint64_t)piece.n * sizeof *out->data);
    for (size_t i = 0; i < piece.n; i++) out->data[out->n++] = b->byte_id[(unsigned char)piece.data[i]];
    return bpe_merge(b, scratch, out, from);
}
