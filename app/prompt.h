/* prompt: from messages to the ids that the model sees, by the chat template of its file.
 *
 * Control tokens are recognised only in what the template wrote, never in the text of a message (unless
 * trust_special says so). Answers keep the ids that were generated. Knows no session and no conversation. */
#ifndef PUMICE_APP_PROMPT_H
#define PUMICE_APP_PROMPT_H

#include "app/vocab.h"
#include "tokenizer/template.h"

struct prompt_format {
    struct template *compiled;
    const struct vocab *vocab;
    char *name;         /* for notes and errors: "the model's own", "official", or a path */
    bool missing;       /* the file has no template, so that this is the official one */
    bool trust_special; /* control tokens are recognised everywhere, as Hugging Face does */
    bool no_thinking;   /* enable_thinking = false for templates that know it */
};
/* `choice`: NULL or "gguf": the file's, or the official ChatML if it has none; "official"; else the path of a
 * file. model may be NULL (then there is no file's); vocab may be NULL (then no ids, only text). Fails IO, and
 * as template_compile does. *out is to be closed in any case. */
enum pumice_status prompt_format_open(const struct pumice_model *model, const struct vocab *vocab,
                                      const char *choice, struct prompt_format *out);
void prompt_format_close(struct prompt_format *f);

/* Ids that a model generated for the content of message `message` (0 = the first of messages_json). */
struct prompt_kept {
    size_t message;
    const int32_t *ids;
    size_t n;
};
struct prompt_request {
    struct str messages_json; /* an array of objects with "role" and "content" */
    struct str tools_json;    /* an array, or empty */
    struct str extra_json;    /* further variables for the template, an object, or empty */
    bool answer_next;         /* ends where the answer begins: the last message must be the user's or a tool's */
    bool any_order;           /* the template alone judges the messages, also whose the last one is */
    bool open_ended;          /* ends right after the last message's content, for it to be continued */
    const struct prompt_kept *kept; /* by rising message */
    size_t n_kept;
};
/* Zero-initialised is empty; free with prompt_fini. */
struct prompt {
    struct ids ids;           /* with bos where the model wants it; empty without a vocabulary */
    struct segment *segments; /* the text, in `arena`; origin as in template.h */
    size_t n_segments;
    struct arena arena;
};
/* Fails ARGUMENT (messages of the wrong shape, the template's own words), FORMAT (the template goes wrong: line and
 * construct), UNSUPPORTED, MEMORY; then *out is empty. */
enum pumice_status prompt_make(const struct prompt_format *f, const struct prompt_request *request,
                               struct prompt *out);
void prompt_fini(struct prompt *p);

#endif
