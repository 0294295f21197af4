/* logits: `pumice logits`, natural-log probabilities along a greedy continuation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/ids_text.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"

struct entry {
    int32_t id;
    double logprob;
};
struct position {
    struct entry *top; /* best first; lower id first among equals */
    size_t n, capacity;
};

static bool better(const struct entry *a, const struct entry *b)
{
    return a->logprob > b->logprob || (a->logprob == b->logprob && a->id < b->id);
}

static int compare(const void *a, const void *b)
{
    return better(a, b) ? -1 : 1;
}

/* Puts top[at] where it belongs in a heap with the worst entry first. */
static void sink(struct entry *top, size_t n, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && better(&top[child], &top[child + 1])) child++;
        if (better(&top[child], &top[at])) break;
        const struct entry e = top[at];
        top[at] = top[child];
        top[child] = e;
    }
}

/* log-softmax in double; keeps the best p->capacity (at most n_vocab). The first of them is the greedy
 * choice. */
static enum pumice_status rank(const float *logits, uint32_t n_vocab, struct position *p)
{
    double max = -INFINITY, sum = 0;
    p->n = p->capacity;
    for (uint32_t i = 0; i < n_vocab; i++) {
        const struct entry e = {(int32_t)i, (double)logits[i]};
        if (isnan(e.logprob) || e.logprob == INFINITY)
            return err_set(PUMICE_DEVICE,
                           "the logits are not numbers (token %u); run pumice selftest on this device, or "
                           "try --device cpu",
                           i);
        max = MAX(max, e.logprob);
        if (i < p->n) {
            p->top[i] = e;
            for (size_t k = p->n / 2; i + 1 == p->n && k-- > 0;) sink(p->top, p->n, k);
        } else if (better(&e, &p->top[0])) {
            p->top[0] = e;
            sink(p->top, p->n, 0);
        }
    }
    qsort(p->top, p->n, sizeof *p->top, compare);
    for (uint32_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - max);
    const double shift = max + log(sum);
    for (size_t i = 0; i < p->n; i++) p->top[i].logprob -= shift;
    return PUMICE_OK;
}

static cJSON *position_json(const struct position *p)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "id", p->top[0].id);
    cJSON_AddNumberToObject(o, "logprob", p->top[0].logprob);
    cJSON *top = cJSON_AddArrayToObject(o, "top");
    for (size_t i = 0; i < p->n; i++) {
        cJSON *pair = cJSON_CreateArray();
        cJSON_AddItemToArray(pair, cJSON_CreateNumber(p->top[i].id));
        cJSON_AddItemToArray(pair, cJSON_CreateNumber(p->top[i].logprob));
        cJSON_AddItemToArray(top, pair);
    }
    return o;
}

static void print_token(const struct llm *llm, const struct entry *e)
{
    const struct tokenizer *t = llm->vocab.tokenizer;
    const struct str bytes = t != NULL ? tokenizer_token_bytes(t, e->id) : (struct str){"", 0};
    char *text = t != NULL ? mem_alloc(3 * bytes.n + 16) : NULL;
    printf("%10d %12.6f  ", e->id, e->logprob);
    if (text != NULL) {
        struct decoder d = {0};
        size_t n = decoder_feed(&d, bytes, text);
        n += decoder_finish(&d, text + n);
        cJSON *item = json_text(text, n);
        char *shown = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
        if (shown != NULL) (void)term_answer(shown, strlen(shown));
        cJSON_free(shown);
        cJSON_Delete(item);
        mem_free(text);
    }
    putchar('\n');
}

static enum pumice_status steps(struct llm *llm, const struct options *o, struct ids *ids, struct position *p,
                                cJSON *positions)
{
    enum pumice_status st = PUMICE_OK;
    for (uint64_t i = 0; i < o->greedy; i++) {
        TRY(pumice_session_sync(llm->session, ids->data, ids->n, NULL));
        const float *logits = pumice_session_logits(llm->session);
        if (logits == NULL) TRY(err_set(PUMICE_DEVICE, "the device gave no logits"));
        TRY(rank(logits, llm->info.n_vocab, p));
        if (positions != NULL) {
            cJSON_AddItemToArray(positions, position_json(p));
        } else {
            printf("position %zu\n", ids->n);
            for (size_t k = 0; k < p->n; k++) print_token(llm, &p->top[k]);
        }
        TRY(ids_append(ids, p->top[0].id));
    }
fail:
    return st;
}

static enum pumice_status read_prompt(const struct llm *llm, const struct options *o, struct ids *ids)
{
    char *text = NULL;
    size_t n = 0;
    if (o->tokens != NULL) return ids_of_text(o->tokens, ids);
    enum pumice_status st = llm_read_text(o, &text, &n);
    if (st == PUMICE_OK) st = llm_encode_raw(llm, text, n, ids);
    if (st == PUMICE_OK && ids->n == 0) st = err_set(PUMICE_ARGUMENT, "the text is empty");
    mem_free(text);
    return st;
}

int command_logits(const struct options *o)
{
    struct llm llm;
    struct ids ids = {0};
    struct position p = {0};
    cJSON *all = NULL;
    int code = EXIT_CODE_OK;
    const int n_texts = (o->prompt != NULL) + (o->file != NULL) + (o->tokens != NULL);
    if (n_texts != 1)
        return command_usage("logits wants %s of --tokens 1,2,3, -p TEXT and -f FILE",
                             n_texts == 0 ? "one" : "only one");
    /* ids on the command line need no tokenizer, so that files with none can be looked at */
    enum pumice_status st = llm_open(o, LLM_SESSION | (o->tokens != NULL && o->json ? 0 : LLM_VOCAB), &llm);
    if (st != PUMICE_OK) goto fail;
    TRY(read_prompt(&llm, o, &ids));
    p.capacity = (size_t)MIN(o->top, (uint64_t)llm.info.n_vocab);
    p.top = mem_calloc(p.capacity, sizeof *p.top);
    if (p.top == NULL) TRY(err_memory("the list of tokens", p.capacity * sizeof *p.top));
    if (o->json) all = cJSON_CreateObject();
    term_interrupt_target(llm.session);
    TRY(steps(&llm, o, &ids, &p, o->json ? cJSON_AddArrayToObject(all, "positions") : NULL));
    if (o->json) {
        st = json_print_line(all);
        all = NULL;
    }
    if (o->perf) report_perf(&llm);
fail:
    if (st != PUMICE_OK) code = command_fail(st);
    term_interrupt_target(NULL);
    cJSON_Delete(all);
    mem_free(p.top);
    ids_fini(&ids);
    llm_close(&llm);
    return code;
}
