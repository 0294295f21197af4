/* protocol: what the window asks of the worker, and what the worker tells it. Plain data; each side owns what it gets.
 *
 * The window shows what the last events said; it never asks and waits. */
#ifndef PUMICE_WINDOW_PROTOCOL_H
#define PUMICE_WINDOW_PROTOCOL_H

#include "runtime/base.h"

/* --- requests ------------------------------------------------------------------------------------------------------ */

enum request_kind {
    REQUEST_SEND,       /* text: the person's message */
    REQUEST_REGENERATE, /* another answer to the last question */
    REQUEST_CONTINUE,   /* the last answer, cut by its length, goes on */
    REQUEST_EDIT,       /* text replaces message `index`, in a branch of its own; a question is answered anew */
    REQUEST_BRANCH,     /* go on from message `index`; what followed stays in its branch */
    REQUEST_DELETE,     /* message `index` and what follows it leave the path */
    REQUEST_SWITCH,     /* show alternative `other` of message `index` */
    REQUEST_UNDO,
    REQUEST_REDO,
    REQUEST_NEW,           /* saves, and begins an empty conversation */
    REQUEST_OPEN,          /* text: a conversation's id */
    REQUEST_RENAME,        /* text: id, more: title */
    REQUEST_DROP,          /* text: id of a conversation to be deleted */
    REQUEST_LIST,          /* text: what to search for, or "" */
    REQUEST_MODEL,         /* text: path, or "" for the built-in model; the old one stays when it does not load */
    REQUEST_DEVICES,       /* list the devices */
    REQUEST_RETRY,         /* load the model again (after a lost device), then answer what was left unanswered */
};
struct configuration { /* sent along with every request */
    double temperature, top_p, min_p; /* top_p, min_p, top_k below 0: as the model's file says */
    int max_tokens, top_k;
    int64_t seed;  /* below 0: another one each time */
    int history;   /* turns the model sees; 0: all that fit */
    int context;   /* tokens; 0: the default */
    int kv;        /* enum pumice_kv */
    char device[128]; /* "": automatic */
    char system[4096];
};
struct request {
    enum request_kind kind;
    uint32_t index, other;
    char *text, *more; /* NUL-terminated; NULL is "" */
    size_t n_text;
    struct configuration configuration;
};

/* --- events -------------------------------------------------------------------------------------------------------- */

enum window_state {
    STATE_LOADING,
    STATE_NO_MODEL,
    STATE_IDLE,
    STATE_PREFILL,
    STATE_GENERATING,
    STATE_STOPPING
};
enum ending { ENDING_NONE, ENDING_DONE, ENDING_LENGTH, ENDING_CONTEXT, ENDING_STOPPED };

struct shown_message {
    uint64_t key; /* the same key: the same message, as long as it only grows */
    bool user;
    bool unseen;  /* too old: the model does not see it any more */
    enum ending ending;
    uint32_t n_alternatives, alternative;
    char *text;
    size_t n;
};
struct shown_conversation {
    char *id, *title, *match;
    uint32_t n_messages;
};

enum event_kind {
    EVENT_STATE,    /* state, fraction (of loading or reading the prompt; below 0: unknown) */
    EVENT_MESSAGES, /* messages[n]: the whole conversation; text: id, more: title, path: its system message if another than the
                     * view has shown, else NULL */
    EVENT_TEXT,     /* text[n]: more of the last message */
    EVENT_STATS,    /* used, capacity, prefill, decode */
    EVENT_MODEL,    /* model is there: text: its name, more: device, path; software, starter */
    EVENT_PROBLEM,  /* status, text */
    EVENT_FORGOT,   /* n turns were just dropped because the context is full */
    EVENT_LIST,     /* conversations[n] */
    EVENT_DEVICES,  /* text: a line each: what --device takes, a tab, the name */
    EVENT_QUIT      /* the worker is done */
};
struct event {
    enum event_kind kind;
    struct event *next;
    enum window_state state;
    float fraction;
    enum pumice_status status;
    bool loading;   /* PROBLEM: while loading a model; the old one, if any, goes on */
    bool checking;  /* STATE_LOADING: the device, before it */
    bool software, starter, can_undo, can_redo;
    size_t n;
    char *text, *more, *path;
    struct shown_message *messages;
    struct shown_conversation *conversations;
    uint32_t used, capacity;
    double prefill, decode; /* tokens a second; 0: not measured */
};
void event_free(struct event *e); /* with all it owns; NULL is fine */

#endif
