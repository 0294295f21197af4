/* forward: the decoder's forward pass, written once as a straight list of op calls (MODEL.md 3), recorded into a plan of
 * either back end. Owns the weights' and activations' structs; allocates nothing. */
#ifndef PUMICE_FORWARD_H
#define PUMICE_FORWARD_H

#include "kv.h"

struct layer_weights {
    struct weight attn_norm, q, k, v, o, ffn_norm, gate, up, down;
    struct weight q_norm, k_norm;         /* qwen3 */
    struct weight q_bias, k_bias, v_bias; /* qwen2 */
};

/* "L07 attn.q": what a debugger or a profile shows; as long-lived as the plans. */
struct layer_labels {
    const char *qkv, *rope, *attention, *o, *gate_up, *down;
};

struct model_weights {
    struct weight embed, output_norm, output;
    struct layer_weights *layers; /* [n_layers] */
    struct layer_labels *labels;  /* [n_layers] */
};

/* Buffers that one run of up to T tokens needs. */
struct activations {
    struct buf step;             /* struct step with T tokens */
    struct buf x, normed;        /* [T, D] */
    struct buf q, attention;     /* [T, H, E] */
    struct buf k, v;             /* [T, G, E] */
    struct buf gate, up;         /* [T, F] */
    struct buf logits;           /* [V] */
    struct buf candidates;       /* scratch of op_sample */
    struct buf draws;            /* struct draws */
};

/* Records T tokens at positions P.. into `p`; the logits of the last one are then in a->logits. */
enum pumice_status forward(struct plan *p, const struct hparams *h, const struct model_weights *w,
                           const struct activations *a, const struct kv *kv, uint32_t T);

#endif
