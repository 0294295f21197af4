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
    uint64_t load_ns;
    struct arena arena;
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
/* fit.c: the plan for a back end that is open. */
void engine_fit(const struct pumice_model *m, struct backend *b, uint32_t n_ctx, struct pumice_fit *out);

/* PUMICE_OK, or PUMICE_DEVICE with the text of the failure that came first. */
enum pumice_status engine_check(const struct pumice_engine *e);
/* Passes `st` through; remembers a PUMICE_DEVICE for every later call. */
enum pumice_status engine_note(struct pumice_engine *e, enum pumice_status st);

#endif
