/* model: hyper-parameters of an architecture and its tensors bound with their expected shapes.
 *
 * Owns the opened file. Binding checks every tensor's presence, dims and type against the hyper-parameters, so that
 * nothing after it needs to look at the file's numbers again: a lying file cannot reach a shader. */
#ifndef PUMICE_MODEL_H
#define PUMICE_MODEL_H

#include "gguf.h"
#include "ops.h"
#include "platform.h"

enum { MODEL_MAX_LAYERS = 512 };

enum arch { ARCH_QWEN3, ARCH_QWEN2, ARCH_LLAMA };

struct hparams {
    enum arch arch;
    uint32_t n_layers, D, H, G, E, F, V, n_context;
    float eps;
    struct rope rope;      /* its factors are the model's */
    float attention_scale; /* of scores */
};

struct layer_tensors {
    const struct gguf_tensor *attn_norm;              /* [D] f32 */
    const struct gguf_tensor *q, *k, *v;              /* [H*E, D], [G*E, D], [G*E, D] */
    const struct gguf_tensor *q_norm, *k_norm;        /* qwen3: [E] f32; else NULL */
    const struct gguf_tensor *q_bias, *k_bias, *v_bias; /* qwen2: [H*E], [G*E], [G*E] f32; else NULL */
    const struct gguf_tensor *o;                      /* [D, H*E] */
    const struct gguf_tensor *ffn_norm;               /* [D] f32 */
    const struct gguf_tensor *gate, *up, *down;       /* [F, D], [F, D], [D, F] */
};

enum { LAYER_MATRICES = 7 };
/* q, k, v, o, gate, up, down. */
void layer_matrices(const struct layer_tensors *l, const struct gguf_tensor *out[LAYER_MATRICES]);

struct pumice_model {
    struct mapping map; /* zero when over memory */
    struct gguf gguf;
    struct str architecture;
    struct hparams h;                          /* after model_bind */
    const struct gguf_tensor *embed;           /* [V, D] */
    const struct gguf_tensor *output;          /* [V, D]; the embedding when tied */
    const struct gguf_tensor *output_norm;     /* [D] f32 */
    struct layer_tensors *layers;              /* [n_layers] */
    struct arena arena;
    char *name_z, *architecture_z;
    enum pumice_status bind_status; /* of model_bind, which pumice_model_open calls: models are read-only afterwards */
    char *bind_error;
    uint64_t n_params, weight_bytes;
    uint32_t main_type; /* the type most weights have */
};

/* Reads hyper-parameters and binds tensors; the first call does it, later ones return the same status and text. Fails FORMAT naming tensor, wanted and found shape;
 * UNSUPPORTED for another architecture or a tensor type that cannot run, by name, with what is supported. */
enum pumice_status model_bind(struct pumice_model *m);

#endif
