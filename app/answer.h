/* answer: a prompt fed to a session, and what the model says to it, as ids and text. Knows no terminal and no window:
 * what happens meanwhile goes through callbacks. */
#ifndef PUMICE_APP_ANSWER_H
#define PUMICE_APP_ANSWER_H

#include "app/vocab.h"

/* One answer. Zero-initialised is empty; free with answer_fini. */
struct answer {
    struct ids ids; /* generated; without the stop token */
    char *text;     /* UTF-8, NUL-terminated, control tokens left out; never NULL after OK */
    size_t n_text, capacity;
    struct pumice_generate_result result;
    size_t n_prompt;
    uint64_t seed;
    struct pumice_session_stats stats;
    uint64_t hash; /* of the last logits */
};
struct answer_params {
    struct pumice_sampling sampling;
    uint32_t max_tokens; /* 0 = as many as the context holds */
    /* New tokens of the prompt computed so far; false stops. May be NULL. */
    bool (*on_prompt)(void *user, size_t done, size_t total);
    /* Each piece of text as it comes, whole characters; false stops. May be NULL. */
    bool (*on_text)(void *user, const char *text, size_t n);
    /* Whether nobody has asked to stop. A cancel that came too late for the answer before is not meant for this one. */
    bool (*goes_on)(void *user);
    void *user;
};
/* Feeds the prompt and generates. Stopped while generating: OK with result.stop CANCELLED; before: CANCELLED. *out is
 * filled as far as it came, also after a failure. */
enum pumice_status answer_run(struct pumice_session *session, const struct vocab *vocab, const int32_t *prompt, size_t n,
                              const struct answer_params *params, struct answer *out);
void answer_fini(struct answer *a);

#endif
