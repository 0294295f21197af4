/* kv: a session's cache: for each layer one K and one V buffer of f16 [C, G, E], row = position. Appending is the
 * forward pass's work and rewinding is only a smaller count, so this owns layout, life, saving and restoring. */
#ifndef PUMICE_KV_H
#define PUMICE_KV_H

#include "model.h"

struct kv {
    struct backend *backend;
    struct buf *k, *v; /* [n_layers] */
    uint32_t n_layers, C;
    uint64_t row_bytes; /* of one position in one buffer */
};

enum pumice_status kv_create(struct backend *b, const struct hparams *h, uint32_t C, struct kv *out);
void kv_destroy(struct kv *kv); /* zeroed or half-built is fine */
uint64_t kv_bytes(const struct kv *kv);

/* Bytes of the first n positions of all layers. */
uint64_t kv_saved_bytes(const struct kv *kv, uint64_t n);
enum pumice_status kv_save(const struct kv *kv, uint64_t n, uint8_t *out);
enum pumice_status kv_restore(const struct kv *kv, uint64_t n, const uint8_t *in);

#endif
