/* template: renders a model's chat template (tokenizer.chat_template, a Jinja subset) over a conversation.
 *
 * The bytes are Hugging Face's apply_chat_template's (Jinja 3.1, trim_blocks, lstrip_blocks, tojson as Python's
 * json.dumps without ASCII escapes). Every output byte knows whether the template or the conversation wrote it, so
 * that control tokens are matched only in what the template wrote.
 *
 * The template is untrusted: it can read nothing but its input, and steps, nesting, memory and output are bounded.
 * A compiled template is read-only: it may render in many threads at once.
 *
 * Left out (an error that says so): include, import, extends, block, recursive loops, *args, HTML escaping, integers
 * beyond 64 bits in arithmetic. More lenient than Jinja: an unknown filter or test fails only where it is reached, a
 * generator may be read twice, a range is a list, any value may be looked for in a dictionary. */
#ifndef PUMICE_TEMPLATE_H
#define PUMICE_TEMPLATE_H

#include "tokenizer.h"

/* Origins of output bytes; message i has origin i. */
enum { TEMPLATE_ORIGIN = -1, TEMPLATE_ORIGIN_TOOLS = -2, TEMPLATE_ORIGIN_EXTRA = -3 };

struct template;
/* Copies what it needs of source. Fails FORMAT (names line and construct), UNSUPPORTED, MEMORY. */
enum pumice_status template_compile(struct str source, struct template **out);
void template_destroy(struct template *t);

struct template_input {
    struct str messages_json;       /* an array of objects */
    struct str tools_json;          /* an array; empty = no tools */
    struct str extra_json;          /* an object of further variables, {"enable_thinking": false}; may be empty */
    bool add_generation_prompt;
    struct str bos_token, eos_token; /* data NULL: undefined in the template */
    int64_t now;                     /* seconds since 1970 (UTC) for strftime_now; 0 = 26 July 2024 */
    uint64_t max_steps;              /* 0 = 1,000,000 */
    size_t max_output_bytes;         /* 0 = 64 MiB */
    size_t max_memory_bytes;         /* 0 = 512 MiB, over all values of the render */
};

/* Renders into segments in `arena`, neighbours of one origin joined; `special` is set where the template wrote.
 * Fails ARGUMENT with the template's own words when it calls raise_exception ("the chat template says: ...", with
 * "(at message 2)" inside a loop over the messages), FORMAT for a template or JSON that goes wrong or passes a limit
 * (names line and construct), UNSUPPORTED, MEMORY. The segments do not point into the input. */
enum pumice_status template_render(const struct template *t, const struct template_input *in, struct arena *arena,
                                   struct segment **segments, size_t *n_segments);

#endif
