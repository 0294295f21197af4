/* kv: a session's cache: for each layer one K and one V buffer, laid out as kv_layout.h says. Appending is the forward
 * pass's work and rewinding is only a smaller count, so this owns the buffers, saving and restoring. */
#ifndef PUMICE_KV_H
#define PUMICE_KV_H

#include "model.h"

struct kv {
    struct backend *backend;
    struct kv_layer *layers; /* [n_layers] */
    uint32_t n_layers, C;    /* C: tokens that were asked for; the buffers have room for kv_round_up(C) */
    uint32_t G, E;
    enum pumice_kv type;
};

enum pumice_status kv_create(struct backend *b, const struct hparams *h, uint32_t C, enum pumice_kv type, struct kv *out);
void kv_destroy(struct kv *kv); /* zeroed or half-built is fine */
/* What a cache of C tokens takes. */
uint64_t kv_bytes(const struct hparams *h, uint32_t C, enum pumice_kv type);

/* Bytes of the first n positions of all layers. */
uint64_t kv_saved_bytes(const struct kv *kv, uint64_t n);
enum pumice_status kv_save(const struct kv *kv, uint64_t n, uint8_t *out);
enum pumice_status kv_restore(const struct kv *kv, uint64_t n, const uint8_t *in);

#endif
