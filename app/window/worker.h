/* worker: the model's own thread: requests in, events out. It owns model, conversation and store; the window owns
 * nothing of them and never waits for them.
 *
 * Requests are carried out in order; worker_stop overtakes them. All calls are the window's thread's. */
#ifndef PUMICE_WINDOW_WORKER_H
#define PUMICE_WINDOW_WORKER_H

#include "app/window/protocol.h"

struct worker;
struct worker_params {
    const char *model;        /* path; "": the built-in one */
    const char *conversation; /* id to go on with; "": a new one */
    struct configuration configuration;
    bool keep;                /* conversations are saved */
    void (*wake)(void);       /* called from the worker's thread when there are events */
};
/* Fails MEMORY, IO (no thread). The model loads in the background. */
enum pumice_status worker_start(const struct worker_params *params, struct worker **out);
void worker_send(struct worker *w, const struct request *r); /* copies */
void worker_stop(struct worker *w);          /* the answer that is being made, or the model being loaded */
struct event *worker_next(struct worker *w); /* the oldest event, the caller's to free; NULL: none */
/* Stops what is going on, saves, and waits for the thread. NULL is fine. */
void worker_finish(struct worker *w);

#endif
