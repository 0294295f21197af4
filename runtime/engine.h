/* engine: inside of struct pumice_engine, for engine.c and session.c. */
#ifndef PUMICE_ENGINE_H
#define PUMICE_ENGINE_H

#include "forward.h"

struct pumice_engine {
    struct pumice_model *model;
    struct backend *backend;
    struct model_weights weights;
    struct activations activations; /* for up to `chunk` tokens; sessions take turns */
    uint32_t chunk;
    uint32_t n_ctx; /* of a session that asks for none */
    bool n_ctx_cut; /* and less than it would be with more memory */
    uint64_t weight_bytes;
    char instead[16]; /* device taken where the automatic choice did not do; "": that one did */
    enum pumice_kv kv;
    uint32_t draws_a_start; /* tokens that generate has the device compute at a time; 0: as many as suit its speed */
    uint64_t load_ns;
    struct arena arena;
    char warning[512];
    char lost[512]; /* why the device failed; "" while it works */
};

/* Buffers that activations_of lists. */
struct activation {
    struct buf *out; /* in the struct activations given */
    uint64_t bytes;
    enum mem_use use;
    const char *name;
};
enum { ENGINE_MAX_ACTIVATIONS = 32 };
/* What a forward pass of up to T tokens needs: list[ENGINE_MAX_ACTIVATIONS]. Returns how many. */
size_t activations_of(const struct hparams *h, uint64_t T, struct activations *a, struct activation *list);
/* first_use.c: checks the kernels that the model needs, unless that was done on this device and driver, and chooses those
 * that are right. Fails DEVICE when none are. */
enum pumice_status engine_first_use(struct pumice_engine *e, const struct pumice_engine_params *params);
/* fit.c: tokens of a prefill step: what suits the device, or less where its buffers are small. */
uint32_t engine_chunk(const struct hparams *h, struct backend *b);
enum { FIT_DEFAULT_CONTEXT = 8192, FIT_LEAST_CONTEXT = 2048 }; /* of sessions that ask for none: aimed at; less is not chosen */
/* fit.c: the plan for a back end that is open. */
void engine_fit(const struct pumice_model *m, struct backend *b, uint32_t n_ctx, enum pumice_kv kv, struct pumice_fit *out);

/* PUMICE_OK, or PUMICE_DEVICE with the text of the failure that came first. */
enum pumice_status engine_check(const struct pumice_engine *e);
/* Fails UNSUPPORTED when the model's heads cannot be rounded that way, ARGUMENT when there is no such type. */
enum pumice_status engine_check_kv(const struct pumice_model *m, enum pumice_kv kv);
/* Fails ARGUMENT when n_ctx tokens are more than the model was made for. */
enum pumice_status engine_check_context(const struct pumice_model *m, uint32_t n_ctx);
/* Passes `st` through; remembers a PUMICE_DEVICE for every later call. */
enum pumice_status engine_note(struct pumice_engine *e, enum pumice_status st);

#endif
