/* brain: a model on a device with one session, for the worker's thread, opened with progress. Unlike llm.h it knows no
 * terminal. */
#ifndef PUMICE_WINDOW_BRAIN_H
#define PUMICE_WINDOW_BRAIN_H

#include "app/answer.h"
#include "app/prompt.h"
#include "app/window/protocol.h"

struct brain {
    struct pumice_model *model;
    struct pumice_engine *engine;
    struct pumice_session *session;
    struct vocab vocab;
    struct prompt_format format;
    char path[1024]; /* "": the built-in model */
    char note[512];  /* what the person should know of its template, or "" */
};
/* progress: stage and fraction as in pumice_engine_params; false stops (then CANCELLED). *out is NULL after a failure. */
enum pumice_status brain_open(const char *path, const struct configuration *c,
                              bool (*progress)(void *user, const char *stage, float fraction), void *user,
                              struct brain **out);
void brain_close(struct brain *b); /* NULL is fine */

/* Sampling and length of an answer as the person set them, over the file's; the callbacks are the caller's to add. */
struct answer_params brain_params(const struct brain *b, const struct configuration *c);

#endif
