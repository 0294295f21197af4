/* plan: what the model sees of a conversation: its messages as JSON for the template, and which turns are left out
 * when the context is too small. */
#include <string.h>

#include "app/buffer.h"
#include "app/store.h"

/* Where turn t (0 ...) begins in the path: at its user's message; a turn has whatever follows it. What comes before the
 * first question belongs to turn 0. */
static uint32_t turn_begin(const struct conversation *c, size_t t)
{
    size_t n = 0;
    for (uint32_t i = 0; i < c->n_path && t > 0; i++)
        if (c->messages[c->path[i]].role == ROLE_USER && n++ == t) return i;
    return t == 0 ? 0 : c->n_path;
}

static size_t count_turns(const struct conversation *c)
{
    size_t n = 0;
    for (uint32_t i = 0; i < c->n_path; i++) n += c->messages[c->path[i]].role == ROLE_USER;
    return n;
}

/* The turn of the first message still seen. */
static size_t turns_unseen(const struct conversation *c)
{
    size_t n = 0;
    if (c->first_seen == NO_MESSAGE) return 0;
    for (uint32_t i = 0; i < c->n_path && c->path[i] != c->first_seen; i++)
        n += c->messages[c->path[i]].role == ROLE_USER;
    return n;
}

/* The prompt from turn `first` on. */
static enum pumice_status render(const struct conversation *c, const struct prompt_format *format, size_t first,
                                 bool open_ended, struct prompt *out)
{
    enum pumice_status st = PUMICE_OK;
    const uint32_t begin = turn_begin(c, first);
    const uint64_t vocab = format->vocab != NULL ? format->vocab->hash : 0;
    size_t n = 0, n_kept = 0, n_text = 0;
    char *text = NULL;
    struct buffer list = {0};
    struct prompt_kept *kept = mem_calloc(c->n_path + 1, sizeof *kept);
    buffer_addz(&list, "[");
    if (kept == NULL) TRY(err_memory("the prompt", c->n_path * sizeof *kept));
    if (c->state.system != NO_MESSAGE) {
        TRY(message_to_json(&c->messages[c->state.system], &list));
        n++;
    }
    for (uint32_t i = begin; i < c->n_path; i++, n++) {
        const struct message *m = &c->messages[c->path[i]];
        if (n > 0) buffer_addz(&list, ",");
        TRY(message_to_json(m, &list));
        if (m->ids.n > 0 && m->vocab == vocab)
            kept[n_kept++] = (struct prompt_kept){n, m->ids.data, m->ids.n};
    }
    buffer_addz(&list, "]");
    TRY(buffer_take(&list, "the prompt", &text, &n_text));
    const struct prompt_request request = {.messages_json = {text, n_text},
                                           .answer_next = !open_ended,
                                           .open_ended = open_ended,
                                           .kept = kept,
                                           .n_kept = n_kept};
    TRY(prompt_make(format, &request, out));
fail:
    mem_free(text);
    buffer_fini(&list);
    mem_free(kept);
    return st;
}

/* The smallest number of oldest turns to leave out, above `low`, that makes the prompt fit into `most` tokens; all but
 * the last if none does. */
static enum pumice_status drop(const struct conversation *c, const struct prompt_format *format, bool open_ended,
                               size_t most, size_t low, size_t n_turns, size_t *out)
{
    size_t high = n_turns - 1;
    while (low + 1 < high) { /* low does not fit */
        struct prompt prompt = {0};
        const size_t middle = low + (high - low) / 2;
        const enum pumice_status st = render(c, format, middle, open_ended, &prompt);
        const bool fits = prompt.ids.n <= most;
        prompt_fini(&prompt);
        if (st != PUMICE_OK) return st;
        if (fits)
            high = middle;
        else
            low = middle;
    }
    *out = high;
    return PUMICE_OK;
}

enum pumice_status conversation_plan(struct conversation *c, const struct prompt_format *format,
                                     const struct conversation_limits *limits, struct conversation_plan *out)
{
    enum pumice_status st = PUMICE_OK;
    const size_t room = limits->capacity - MIN(limits->reserve, limits->capacity);
    memset(out, 0, sizeof *out);
    if (c->n_path == 0) return err_set(PUMICE_ARGUMENT, "there is no message yet");
    const size_t n_turns = count_turns(c), before = turns_unseen(c), last = n_turns > 0 ? n_turns - 1 : 0;
    size_t first = before;
    if (limits->max_history > 0 && last > limits->max_history) first = MAX(first, last - limits->max_history);
    TRY(render(c, format, first, limits->open_ended, &out->prompt));
    if (out->prompt.ids.n > room && first < last) {
        out->full = true;
        /* with a quarter more, so that the next turns fit without leaving out again, which would compute all anew */
        TRY(drop(c, format, limits->open_ended, room - room / 4, first, n_turns, &first));
        prompt_fini(&out->prompt);
        TRY(render(c, format, first, limits->open_ended, &out->prompt));
    }
    if (out->prompt.ids.n >= limits->capacity)
        TRY(err_set(PUMICE_CONTEXT,
                    "the message is too long: with the system prompt it makes %zu tokens, but the context holds %zu "
                    "and an answer needs some; shorten it, or start with a larger -c",
                    out->prompt.ids.n, limits->capacity));
    out->n_turns = n_turns;
    out->n_unseen = first;
    out->n_dropped = first - before;
    c->first_seen = first > 0 ? c->path[turn_begin(c, first)] : NO_MESSAGE;
    return PUMICE_OK;
fail:
    conversation_plan_fini(out);
    return st;
}

void conversation_plan_fini(struct conversation_plan *plan)
{
    prompt_fini(&plan->prompt);
    memset(plan, 0, sizeof *plan);
}
