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
    uint64_t load_ns;
    struct arena arena;
    char lost[512]; /* why the device failed; "" while it works */
};

/* PUMICE_OK, or PUMICE_DEVICE with the text of the failure that came first. */
enum pumice_status engine_check(const struct pumice_engine *e);
/* Passes `st` through; remembers a PUMICE_DEVICE for every later call. */
enum pumice_status engine_note(struct pumice_engine *e, enum pumice_status st);

#endif
