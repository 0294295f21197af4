/* kv: see kv.h. Saved order: layer 0 K rows, layer 0 V rows, layer 1 K rows, ... */
#include "kv.h"

#include <stdio.h>
#include <string.h>

enum pumice_status kv_create(struct backend *b, const struct hparams *h, uint32_t C, struct kv *out)
{
    enum pumice_status st = PUMICE_OK;
    memset(out, 0, sizeof *out);
    *out = (struct kv){.backend = b, .n_layers = h->n_layers, .C = C, .row_bytes = (uint64_t)h->G * h->E * 2};
    out->k = mem_calloc(2 * (size_t)h->n_layers, sizeof *out->k);
    if (!out->k) TRY(err_memory("the KV cache", 2 * h->n_layers * sizeof *out->k));
    out->v = out->k + h->n_layers;
    for (uint32_t i = 0; i < h->n_layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "L%02u k cache", i);
        TRY(b->calls->buffer_create(b, MEM_KV, C * out->row_bytes, name, &out->k[i]));
        snprintf(name, sizeof name, "L%02u v cache", i);
        TRY(b->calls->buffer_create(b, MEM_KV, C * out->row_bytes, name, &out->v[i]));
    }
    return PUMICE_OK;
fail:
    kv_destroy(out);
    return st;
}

void kv_destroy(struct kv *kv)
{
    for (uint32_t i = 0; kv->k && i < 2 * kv->n_layers; i++)
        if (kv->k[i].bytes) kv->backend->calls->buffer_destroy(kv->backend, &kv->k[i]);
    mem_free(kv->k);
    memset(kv, 0, sizeof *kv);
}

uint64_t kv_saved_bytes(const struct kv *kv, uint64_t n) { return 2 * kv->n_layers * n * kv->row_bytes; }
uint64_t kv_bytes(const struct kv *kv) { return kv_saved_bytes(kv, kv->C); }

enum pumice_status kv_save(const struct kv *kv, uint64_t n, uint8_t *out)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t bytes = n * kv->row_bytes;
    for (uint32_t i = 0; i < kv->n_layers; i++, out += 2 * bytes) {
        TRY(kv->backend->calls->buffer_read(kv->backend, kv->k[i], 0, out, bytes));
        TRY(kv->backend->calls->buffer_read(kv->backend, kv->v[i], 0, out + bytes, bytes));
    }
fail:
    return st;
}

enum pumice_status kv_restore(const struct kv *kv, uint64_t n, const uint8_t *in)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t bytes = n * kv->row_bytes;
    for (uint32_t i = 0; i < kv->n_layers; i++, in += 2 * bytes) {
        TRY(kv->backend->calls->buffer_write(kv->backend, kv->k[i], 0, in, bytes));
        TRY(kv->backend->calls->buffer_write(kv->backend, kv->v[i], 0, in + bytes, bytes));
    }
fail:
    return st;
}
