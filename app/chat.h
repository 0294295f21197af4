/* chat: what `pumice chat` and its commands share. */
#ifndef PUMICE_APP_CHAT_H
#define PUMICE_APP_CHAT_H

#include "app/llm.h"
#include "app/store.h"

struct chat {
    struct llm llm;
    struct conversation conversation;
    struct store store;
    const struct options *o;
    struct answer last; /* for /stats */
    uint64_t n_answers; /* in this conversation: each has a seed of its own */
    uint64_t saved;     /* the version of the conversation that its file has */
    size_t n_used;      /* tokens of the context after the last answer */
    bool keep;          /* there is a store to keep it in */
    bool failed;        /* an answer or command went wrong */
    char save_error[256];
    uint64_t exported, held; /* the versions that were exported, and that held the end once; NO_VERSION: none */
};
#define NO_VERSION UINT64_MAX

/* Puts the question after the head and answers it. Fails as chat_answer does, and MEMORY; has said so. */
enum pumice_status chat_ask(struct chat *chat, const char *text, size_t n);

/* Answers the head of the conversation, a question, and prints the answer; when nothing comes of it, the operation
 * that asked is taken back. IO: standard output cannot be written. */
enum pumice_status chat_answer(struct chat *chat);
/* Goes on with the head, an answer that was cut. */
enum pumice_status chat_continue(struct chat *chat);
/* Writes the conversation if it changed; says once when it cannot. */
void chat_save(struct chat *chat);
/* Saves it before another takes its place. False, having said why: that failed, and it is not exported either. */
bool chat_leave(struct chat *chat);
/* Whether the program may end: on a terminal, what chat_leave holds back holds the end as well, once. */
bool chat_may_end(struct chat *chat);
/* Another conversation takes the place of this one, which chat_leave let go; *next is empty afterwards. */
void chat_replace(struct chat *chat, struct conversation *next);
/* An empty one with the same system message. False: memory ran out, and it stays. */
bool chat_new(struct chat *chat);
/* Prints the path: a line a message, the last `most` of them. */
void chat_show(const struct chat *chat, size_t most);
void chat_fail(struct chat *chat); /* prints this thread's error and remembers that something failed */

/* Carries out a line that begins with '/'. False: the program is to end. */
bool chat_command(struct chat *chat, const char *line, size_t n);

#endif
