/* conversation: the messages of one chat and their token ids.
 *
 * Invariant: ids are made once. Earlier turns keep exactly the ids that were fed and generated (nothing is
 * tokenised again), so that the timeline of the session stays a prefix of the next prompt. Owns texts and
 * ids; knows no session. */
#ifndef PUMICE_APP_CONVERSATION_H
#define PUMICE_APP_CONVERSATION_H

#include "app/vocab.h"

struct turn {
    char *question, *answer; /* UTF-8; answer NULL while there is none */
    size_t question_bytes, answer_bytes;
    struct ids ids; /* <|im_start|>user ... <|im_start|>assistant\n, the answer's ids, <|im_end|>\n */
    size_t n_question_ids;
};

struct conversation {
    const struct vocab *vocab;
    char *system; /* NULL: no system message */
    size_t system_bytes;
    struct ids system_ids; /* bos if the model wants it, and the system message */
    struct ids end_ids;    /* <|im_end|>\n */
    struct turn *turns;
    size_t n_turns, capacity;
};

enum pumice_status conversation_init(struct conversation *c, const struct vocab *vocab);
void conversation_fini(struct conversation *c);
void conversation_clear(struct conversation *c); /* forgets the turns, keeps the system message */

/* Replaces the system message; n = 0 removes it. The turns stay. On failure nothing changes. */
enum pumice_status conversation_set_system(struct conversation *c, const char *text, size_t n);

/* Adds a turn with a question, as typed: control tokens in it are not recognised. */
enum pumice_status conversation_ask(struct conversation *c, const char *text, size_t n);
/* Completes the last turn by the generated ids and their text. */
enum pumice_status conversation_answer(struct conversation *c, const int32_t *ids, size_t n_ids,
                                       const char *text, size_t n);
void conversation_undo(struct conversation *c); /* drops the last turn */

/* Drops whole oldest turns until everything and `reserve` more tokens fit into `capacity`; the system message
 * and the last turn stay. *n_dropped: how many. Fails CONTEXT when the last message alone is too long, with
 * its size. */
enum pumice_status conversation_fit(struct conversation *c, size_t capacity, size_t reserve,
                                    size_t *n_dropped);

size_t conversation_n_ids(const struct conversation *c);
/* All ids in order, appended to *out. */
enum pumice_status conversation_ids(const struct conversation *c, struct ids *out);

#endif
