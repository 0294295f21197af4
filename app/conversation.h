/* conversation: the messages of one chat as a tree, and what the model sees of it.
 *
 * Messages never change once they are there (other than by conversation_extend); every operation moves the head, so
 * that undo, redo, editing, regenerating and branching lose nothing. The path is the way from the first message to
 * the head: what the person sees. Owns its texts and ids; knows no session, no file, no terminal. */
#ifndef PUMICE_APP_CONVERSATION_H
#define PUMICE_APP_CONVERSATION_H

#include "app/prompt.h"

enum role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, N_ROLES };
const char *role_name(enum role role); /* "system", "user", ... */
bool role_find(struct str name, enum role *out);

/* Why an answer ended; NONE for other messages and for imported ones. */
enum answer_end { END_NONE, END_EOS, END_LENGTH, END_CONTEXT, END_STOPPED, N_ENDS };
enum answer_end answer_end_of(enum pumice_stop stop);
const char *answer_end_name(enum answer_end end); /* "none", "eos", "length", "context", "stopped" */

#define NO_MESSAGE UINT32_MAX

struct message {
    enum role role;
    enum answer_end end;
    uint32_t parent; /* the message before it, or NO_MESSAGE; always a smaller index */
    char *text;      /* valid UTF-8, NUL-terminated, may hold NULs of its own */
    size_t n_text;
    char *extra;       /* further members of the message as a JSON object ({"tool_calls": ...}), or NULL */
    struct ids ids;    /* what was generated for the text; empty: it is tokenised */
    uint64_t vocab;    /* hash (vocab.h) of the vocabulary of `ids` */
    int64_t time_ms;   /* since 1970 */
};

struct conversation_state {
    uint32_t head;   /* the last message of the path, or NO_MESSAGE */
    uint32_t system; /* the system message, or NO_MESSAGE */
    uint32_t n_then; /* of a kept state: how many messages there were; for conversation_revert */
};

struct conversation {
    char id[40]; /* the store's; "" while it was never saved */
    char *title; /* NULL: conversation_title makes one */
    int64_t created_ms, updated_ms; /* since 1970 */
    struct message *messages;
    uint32_t n_messages, capacity;
    struct conversation_state state;
    uint32_t *path; /* [n_path], first message first; the system message is not among them */
    uint32_t n_path;
    uint32_t first_seen; /* the first message of the path that still fits; NO_MESSAGE: all do */
    struct conversation_state *states; /* for undo and redo */
    size_t n_states, state_i, states_capacity;
    uint32_t n_before; /* messages before the operation that is going on */
    uint64_t version; /* grows with every change: what was saved, or laid out, is old when it differs */
};

/* Zero-initialised is not enough: state.head and state.system are NO_MESSAGE in an empty one. */
void conversation_init(struct conversation *c);
void conversation_fini(struct conversation *c);
/* A conversation begins with a message: one of a system prompt alone is not worth a file, which `--open last` would find. */
bool conversation_has_turn(const struct conversation *c);

/* The title, or the first line of the first question, cut to 60 characters; "" if there is neither. Printable. */
void conversation_title(const struct conversation *c, char *out, size_t out_bytes);
enum pumice_status conversation_rename(struct conversation *c, const char *title); /* "": none again */

/* --- operations: each one step for undo; on failure nothing changes (MEMORY, ARGUMENT) ------------------------- */

/* Adds a person's or a tool's message after the head and makes it the head. Invalid UTF-8 becomes U+FFFD. */
enum pumice_status conversation_add(struct conversation *c, enum role role, const char *text, size_t n);
/* The assistant's answer with its ids, after the head. No step: it belongs to that of its question. */
enum pumice_status conversation_answer(struct conversation *c, const char *text, size_t n, const struct ids *ids,
                                       uint64_t vocab, enum answer_end end);
/* Adds what was generated after the head, an assistant's message, to it (continue). Where all ids are known its text is
 * made of them, so that a character that was cut comes out whole. No step. */
enum pumice_status conversation_extend(struct conversation *c, const struct vocab *vocab, const char *text, size_t n,
                                       const struct ids *ids, enum answer_end end);
/* Sets (n = 0: removes) the system message; the turns stay. */
enum pumice_status conversation_set_system(struct conversation *c, const char *text, size_t n);
/* Moves the head to the question of the last answer, so that another answer can be made beside it. ARGUMENT when the
 * path has no answer at its end, nor an unanswered question. */
enum pumice_status conversation_regenerate(struct conversation *c);
/* Puts another text beside message path[i] and makes it the head; what followed stays in its branch. */
enum pumice_status conversation_edit(struct conversation *c, uint32_t path_i, const char *text, size_t n);
/* Makes path[i] the head (what followed stays in its branch); path_i = UINT32_MAX: the empty beginning. */
enum pumice_status conversation_branch(struct conversation *c, uint32_t path_i);
/* Shows alternative `k` (0 ...) of path[i] instead, with the newest messages after it. */
enum pumice_status conversation_switch(struct conversation *c, uint32_t path_i, uint32_t k);
/* How many alternatives message path[i] has (1: none but itself), and which one it is. */
uint32_t conversation_alternatives(const struct conversation *c, uint32_t path_i, uint32_t *which);

bool conversation_undo(struct conversation *c); /* false: nothing to undo */
bool conversation_redo(struct conversation *c);
/* Takes the last operation back for good, with the messages that it put there: it came to nothing. */
void conversation_revert(struct conversation *c);

/* --- what the model sees ---------------------------------------------------------------------------------------- */

struct conversation_limits {
    size_t capacity;    /* of the context, in tokens */
    size_t reserve;     /* tokens to keep free for the answer where that is possible */
    size_t max_history; /* at most so many turns before the last one; 0 = all */
    bool open_ended;    /* continue the head, an answer, instead of answering it */
};
struct conversation_plan {
    struct prompt prompt;
    size_t n_turns, n_unseen; /* turns of the path, and how many of them, oldest first, the model does not see */
    size_t n_dropped;         /* of those: dropped just now */
    bool full;                /* some of them because the context is full, not because of max_history */
};
/* Renders system message and path. When it does not fit, whole oldest turns are left out, then enough of them for the
 * next turns to fit as well, and stay out (c->first_seen). Fails CONTEXT when the last turn alone is too long (with
 * its size), and as prompt_make does. Free with conversation_plan_fini. */
enum pumice_status conversation_plan(struct conversation *c, const struct prompt_format *format,
                                     const struct conversation_limits *limits, struct conversation_plan *out);
void conversation_plan_fini(struct conversation_plan *plan);

/* --- for the store and for import ------------------------------------------------------------------------------- */

/* Appends a message with any earlier parent; moves nothing. *index: which it became. */
enum pumice_status conversation_put(struct conversation *c, const struct message *message, uint32_t *index);
/* Makes `state` current, without undo. FORMAT when it does not fit the messages. */
enum pumice_status conversation_set_state(struct conversation *c, struct conversation_state state);

#endif
