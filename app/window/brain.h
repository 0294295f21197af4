/* brain: a model on a device with one session, for the worker's thread: opened with progress, answering with progress,
 * stoppable from another thread. Unlike llm.h it knows no terminal. */
#ifndef PUMICE_WINDOW_BRAIN_H
#define PUMICE_WINDOW_BRAIN_H

#include "app/prompt.h"
#include "app/window/protocol.h"

struct brain {
    struct pumice_model *model;
    struct pumice_engine *engine;
    struct pumice_session *session;
    struct vocab vocab;
    struct prompt_format format;
    char path[1024]; /* "": the built-in model */
};
/* progress: of reading the weights, 0 to 1; false stops (then CANCELLED). *out is NULL after a failure. */
enum pumice_status brain_open(const char *path, const struct configuration *c,
                              bool (*progress)(void *user, float fraction), void *user, struct brain **out);
void brain_close(struct brain *b); /* NULL is fine */

struct brain_call {
    bool (*on_prompt)(void *user, size_t done, size_t total); /* each may return false: stop */
    bool (*on_text)(void *user, const char *text, size_t n);  /* whole characters */
    bool (*goes_on)(void *user); /* asked when the session says that it was cancelled: false = that was meant */
    void *user;
};
struct brain_answer {
    struct ids ids;
    char *text; /* NUL-terminated, never NULL after OK */
    size_t n_text, capacity;
    struct pumice_generate_result result;
    struct pumice_session_stats stats;
};
/* Zero-initialised *out; free with brain_answer_fini. CANCELLED when it was stopped before the first token; later
 * stops are OK with result.stop. */
enum pumice_status brain_answer(struct brain *b, const struct ids *prompt, const struct configuration *c,
                                const struct brain_call *call, struct brain_answer *out);
void brain_answer_fini(struct brain_answer *a);

#endif
