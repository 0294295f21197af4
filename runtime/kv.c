/* kv: see kv.h. Saved order: layer 0 K, layer 0 V, layer 1 K, ...; in each the heads, in each head its planes' first rows. */
#include "kv.h"

#include <stdio.h>
#include <string.h>

/* Of each stretch of a cache the positions after the first ones: a processor reads them faster from large pages, which a short
 * conversation must not pay for, though: it would take one for every head. */
enum { KV_EARLY_BYTES = 2 << 20 };

static void late_stretches(const struct kv *kv, struct buf buf)
{
    uint64_t at = 0;
    for (uint32_t g = 0; g < kv->G; g++)
        for (int plane = 0; plane < 2; plane++) {
            const uint64_t bytes = kv_round_up(kv->C) * kv_plane_bytes(kv->type, kv->E, plane);
            if (bytes > KV_EARLY_BYTES) kv->backend->calls->buffer_late(kv->backend, buf, at + KV_EARLY_BYTES, bytes - KV_EARLY_BYTES);
            at += bytes;
        }
}

enum pumice_status kv_create(struct backend *b, const struct hparams *h, uint32_t C, enum pumice_kv type, struct kv *out)
{
    enum pumice_status st = PUMICE_OK;
    memset(out, 0, sizeof *out);
    *out = (struct kv){.backend = b, .n_layers = h->n_layers, .C = C, .G = h->G, .E = h->E, .type = type};
    out->layers = mem_calloc(h->n_layers, sizeof *out->layers);
    if (!out->layers) TRY(err_memory("the KV cache", h->n_layers * sizeof *out->layers));
    const uint64_t bytes = (uint64_t)kv_round_up(C) * h->G * kv_row_bytes(type, h->E);
    for (uint32_t i = 0; i < h->n_layers; i++) {
        struct kv_layer *l = &out->layers[i];
        char name[32];
        l->C = kv_round_up(C);
        l->type = type;
        snprintf(name, sizeof name, "L%02u k cache", i);
        TRY(b->calls->buffer_create(b, MEM_KV, bytes, name, &l->k));
        snprintf(name, sizeof name, "L%02u v cache", i);
        TRY(b->calls->buffer_create(b, MEM_KV, bytes, name, &l->v));
        if (!b->calls->buffer_late) continue;
        late_stretches(out, l->k);
        late_stretches(out, l->v);
    }
    return PUMICE_OK;
fail:
    kv_destroy(out);
    return st;
}

void kv_destroy(struct kv *kv)
{
    for (uint32_t i = 0; kv->layers && i < kv->n_layers; i++) {
        if (kv->layers[i].k.bytes) kv->backend->calls->buffer_destroy(kv->backend, &kv->layers[i].k);
        if (kv->layers[i].v.bytes) kv->backend->calls->buffer_destroy(kv->backend, &kv->layers[i].v);
    }
    mem_free(kv->layers);
    memset(kv, 0, sizeof *kv);
}

static uint64_t rows_bytes(uint32_t n_layers, uint32_t G, uint32_t E, enum pumice_kv type, uint64_t n)
{
    return 2 * (uint64_t)n_layers * n * G * kv_row_bytes(type, E);
}

uint64_t kv_bytes(const struct hparams *h, uint32_t C, enum pumice_kv type)
{
    return rows_bytes(h->n_layers, h->G, h->E, type, kv_round_up(C));
}

uint64_t kv_saved_bytes(const struct kv *kv, uint64_t n) { return rows_bytes(kv->n_layers, kv->G, kv->E, kv->type, n); }

/* Goes through the stretches of a cache that hold its first n positions: each is a range of the buffer, saved one after the
 * other. save: out of the buffer, else into it. */
static enum pumice_status each_stretch(const struct kv *kv, struct buf buf, uint64_t n, bool save, uint8_t **saved)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t C = kv_round_up(kv->C);
    uint64_t at = 0;
    for (uint32_t g = 0; g < kv->G; g++)
        for (int plane = 0; plane < 2; plane++) {
            const uint64_t row = kv_plane_bytes(kv->type, kv->E, plane);
            if (n * row == 0) continue;
            if (save) TRY(kv->backend->calls->buffer_read(kv->backend, buf, at, *saved, n * row));
            else TRY(kv->backend->calls->buffer_write(kv->backend, buf, at, *saved, n * row));
            *saved += n * row;
            at += C * row;
        }
fail:
    return st;
}

static enum pumice_status each_layer(const struct kv *kv, uint64_t n, bool save, uint8_t *saved)
{
    enum pumice_status st = PUMICE_OK;
    for (uint32_t i = 0; i < kv->n_layers; i++) {
        TRY(each_stretch(kv, kv->layers[i].k, n, save, &saved));
        TRY(each_stretch(kv, kv->layers[i].v, n, save, &saved));
    }
fail:
    return st;
}

enum pumice_status kv_save(const struct kv *kv, uint64_t n, uint8_t *out) { return each_layer(kv, n, true, out); }

enum pumice_status kv_restore(const struct kv *kv, uint64_t n, const uint8_t *in)
{
    return each_layer(kv, n, false, (uint8_t *)(uintptr_t)in); /* only read */
}
