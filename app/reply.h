/* reply: the markers in a model's answer: what it thought (<think>), and the tools it calls (<tool_call>). */
#ifndef PUMICE_APP_REPLY_H
#define PUMICE_APP_REPLY_H

#include "app/json.h"

/* The parts point into the answer. */
struct reply {
    struct str reasoning; /* data NULL: none */
    struct str content;   /* the rest, without tool calls at its end */
    struct str calls;     /* from the first <tool_call> on; data NULL: none */
};
/* Qwen3's form: [<think>] reasoning </think> content <tool_call>{"name", "arguments"}</tool_call> ... A <think> without
 * its end makes all of the rest reasoning. */
struct reply reply_split(struct str answer);

/* Adds "reasoning_content" and "tool_calls" (OpenAI's form) to an object where the answer has them. A call that is not
 * JSON with a name is left out: it stands in the text. False when memory ran out. */
bool reply_add_json(cJSON *object, struct str answer);

#endif
