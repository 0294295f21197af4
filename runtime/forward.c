/* forward: MODEL.md 3 in the same order and with the same letters. The architectures differ in one line, 3.3. */
#include "forward.h"

/* 3.3: what happens to q, k and v between their projections and attention. */
static enum pumice_status rope(struct plan *p, const struct hparams *h, const struct layer_weights *w, const char *label,
                               const struct activations *a, const struct kv_layer *kv, uint32_t T)
{
    switch (h->arch) {
    case ARCH_QWEN3:
        return op_qk_norm_rope_kv(p, label, a->step, a->q, a->k, a->v, &w->q_norm, &w->k_norm, kv, T, h->H, h->G, h->E, h->eps,
                                  &h->rope);
    case ARCH_QWEN2:
        return op_bias_rope_kv(p, label, a->step, a->q, a->k, a->v, &w->q_bias, &w->k_bias, &w->v_bias, kv, T, h->H, h->G,
                               h->E, &h->rope);
    case ARCH_LLAMA:
        return op_bias_rope_kv(p, label, a->step, a->q, a->k, a->v, NULL, NULL, NULL, kv, T, h->H, h->G, h->E, &h->rope);
    }
    return err_set(PUMICE_UNSUPPORTED, "no forward pass for architecture %d", (int)h->arch);
}

static enum pumice_status layer(struct plan *p, const struct hparams *h, const struct layer_weights *w,
                                const struct layer_labels *l, const struct activations *a, const struct kv_layer *kv,
                                uint32_t T)
{
    enum pumice_status st = PUMICE_OK;
    const struct product qkv[] = {{&w->q, a->q}, {&w->k, a->k}, {&w->v, a->v}};

    TRY(op_norm_matmuls(p, l->qkv, a->x, 0, &w->attn_norm, h->eps, a->normed, qkv, 3, T));
    TRY(rope(p, h, w, l->rope, a, kv, T));
    TRY(op_attention(p, l->attention, a->step, a->q, kv, a->attention, T, h->H, h->G, h->E, h->attention_scale));
    TRY(op_matmul(p, l->o, a->attention, 0, &w->o, a->x, T, true));
    TRY(op_norm_gate_up(p, l->gate_up, a->x, &w->ffn_norm, h->eps, a->normed, &w->gate, &w->up, a->gate, a->up, T));
    TRY(op_matmul(p, l->down, a->gate, 0, &w->down, a->x, T, true));
fail:
    return st;
}

enum pumice_status forward(struct plan *p, const struct hparams *h, const struct model_weights *w,
                           const struct activations *a, const struct kv *kv, uint32_t T)
{
    enum pumice_status st = PUMICE_OK;
    const struct product output = {&w->output, a->logits};

    TRY(op_embed(p, "embed", &w->embed, a->step, a->x, T));
    for (uint32_t i = 0; i < h->n_layers; i++)
        TRY(layer(p, h, &w->layers[i], &w->labels[i], a, &kv->layers[i], T));
    TRY(op_norm_matmuls(p, "output", a->x, T - 1, &w->output_norm, h->eps, a->normed, &output, 1, 1));
fail:
    return st;
}
