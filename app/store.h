/* store: conversations as files, one JSON file each, below the data directory.
 *
 * Invariant: a file is the old or the new version, never a part, whatever happens while it is written; only its owner
 * can read it. An id is made of digits, lower-case letters and '-', so that it cannot leave the directory. A file that
 * cannot be read is never written to; nor is one that another program has open. Not thread-safe. */
#ifndef PUMICE_APP_STORE_H
#define PUMICE_APP_STORE_H

#include "app/conversation.h"

struct store {
    char dir[1024];             /* <data>/pumice/conversations; "" while it is not known */
    struct platform_lock *lock; /* of the conversation that is open here; NULL where there can be none */
    char locked[40];            /* its id, or "" */
};
/* Makes the directory (0700) and removes what killed programs left there. Fails IO, MEMORY; *out can be used all the
 * same: each function tries again, and says what is wrong. *out is to be closed in any case. */
enum pumice_status store_open(struct store *out);
void store_close(struct store *s); /* gives the lock back */

struct store_entry {
    char id[40];
    char *title; /* one line, printable */
    int64_t updated_ms;
    uint32_t n_messages; /* of its path */
    char *match; /* of a search: the text around the first place found, one line, printable; else NULL */
};
/* All conversations (search NULL or ""), or those whose title or messages, in all branches, contain the text, whatever
 * its case in ASCII; newest first. Those that other programs have open are among them. Files that cannot be read are
 * left out and counted in *n_bad. Fails IO, MEMORY. */
enum pumice_status store_list(struct store *s, const char *search, struct store_entry **out, size_t *n, size_t *n_bad);
void store_entries_free(struct store_entry *entries, size_t n);
/* The id that `word` means: "last", a number as store_list counts from 1, an id, or a beginning of one that only one
 * has. Ids also find files that store_list leaves out. Fails ARGUMENT, IO, MEMORY. */
enum pumice_status store_find(struct store *s, const char *word, char *id, size_t id_bytes);

/* Writes the conversation; the first time it gets its id. Takes the lock for it (and gives another's back). Fails IO
 * (full disk, read-only directory; another program has it open: says which, and what to do), MEMORY, and as
 * store_load does when its file cannot be read; the file, the conversation and the lock are then what they were. */
enum pumice_status store_save(struct store *s, struct conversation *c);
/* Takes the lock (and gives another's back) and reads. Fails IO (there is none, another program has it open), FORMAT
 * (damaged), UNSUPPORTED (of a newer pumice), ARGUMENT (no id), MEMORY; then *out is empty, and the file and the lock are
 * what they were. A directory that cannot be written is no failure. */
enum pumice_status store_load(struct store *s, const char *id, struct conversation *out);
/* Gives a conversation that is not open here another title ("": its first question again) and keeps its place in the
 * list; an open one is renamed by conversation_rename and saved. Fails as store_load and store_save do. */
enum pumice_status store_rename(struct store *s, const char *id, const char *title);
/* Removes the file, damaged or not, and its lock. Fails IO, ARGUMENT. */
enum pumice_status store_delete(struct store *s, const char *id);

/* --- conversations as text; pure -------------------------------------------------------------------------------- */

#define CONVERSATION_MAX_BYTES ((size_t)64 << 20) /* of text that is read */
bool conversation_id_valid(struct str id);

/* The store's own form, described in conversation_json.c: the whole tree. mem_alloc'ed. */
enum pumice_status conversation_to_json(const struct conversation *c, char **text, size_t *n);
/* Untrusted input. Fails FORMAT with what is wrong, UNSUPPORTED for a newer form, MEMORY; then *out is empty. */
enum pumice_status conversation_of_json(const char *text, size_t n, struct conversation *out);
/* The same with the caller's memory, which it resets first: for many, one after the other. */
enum pumice_status conversation_of_json_in(struct arena *arena, const char *text, size_t n, struct conversation *out);

struct buffer;
/* Appends one message in OpenAI's form, as templates want it too: role, content, and the members of `extra`, whose content
 * goes before the text. Fails FORMAT when `extra` is no JSON, MEMORY. */
enum pumice_status message_to_json(const struct message *m, struct buffer *b);

enum export_format { EXPORT_MARKDOWN, EXPORT_JSON, EXPORT_JSONL, N_EXPORTS };
/* By the path's ending: .md, .json, .jsonl, whatever its case. Fails ARGUMENT with the list. */
enum pumice_status export_format_of(const char *path, enum export_format *out);
/* System message and path: as Markdown, as {"messages": [...]} in OpenAI's form, or one message a line. What is not
 * UTF-8, and `extra` in Markdown but for a block that shows it, is lost. mem_alloc'ed. */
enum pumice_status conversation_export(const struct conversation *c, enum export_format format, char **text,
                                       size_t *n);
/* Reads {"messages": [...]}, an array of messages, a message a line, Markdown as exported, or the store's own form.
 * Further members of a message, and a content that is no string, are kept as `extra`. The conversation has no id yet.
 * Untrusted input. Fails FORMAT, UNSUPPORTED, MEMORY; then *out is empty. */
enum pumice_status conversation_import(const char *text, size_t n, struct conversation *out);

#endif
