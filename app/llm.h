/* llm: a model ready to use from a terminal: file, vocabulary, device, one session; and answering with it. */
#ifndef PUMICE_APP_LLM_H
#define PUMICE_APP_LLM_H

#include "app/answer.h"
#include "app/options.h"
#include "app/prompt.h"

struct llm {
    struct pumice_model *model;
    struct pumice_engine *engine;
    struct pumice_session *session;
    struct vocab vocab;
    struct prompt_format format;
    struct pumice_sampling sampling; /* the file's, changed by the options */
    struct pumice_model_info info;
    struct pumice_engine_info engine_info;
    bool starter; /* the built-in toy */
};

enum { LLM_VOCAB = 1, LLM_SESSION = 2, LLM_BANNER = 4, LLM_FORMAT = 8 /* the chat template; needs LLM_VOCAB */ };
/* Opens what `needs` asks for and notes device (and, with LLM_BANNER, the toy) on standard error. *out is to
 * be llm_close'd in any case. CANCELLED after Ctrl-C. */
enum pumice_status llm_open(const struct options *o, unsigned needs, struct llm *out);
/* The second half: device and session for a model that is open without. */
enum pumice_status llm_open_session(const struct options *o, struct llm *llm);
void llm_close(struct llm *llm);

/* The options' -p text, or the contents of -f FILE ("-": standard input), mem_alloc'ed. */
enum pumice_status llm_read_text(const struct options *o, char **text, size_t *n);
/* One message of the person, with the system message of the options if there is one, for prompt_make. mem_alloc'ed. */
enum pumice_status llm_messages_json(const struct options *o, const char *text, size_t n, char **json);
/* The ids of a text taken as it is, special tokens recognised, with bos where the model wants it. */
enum pumice_status llm_encode_raw(const struct llm *llm, const char *text, size_t n, struct ids *out);

/* answer_run at a terminal: params' sampling, max_tokens, on_text and user; long prompts show progress, Ctrl-C stops. */
enum pumice_status answer_make(struct llm *llm, const int32_t *prompt, size_t n, const struct answer_params *params,
                               struct answer *out);

/* Numbers for --stats and --perf, on standard error. */
void report_stats(const struct llm *llm, const struct answer *a);
void report_perf(const struct llm *llm);
double report_rate(uint64_t n, uint64_t ns);            /* a second; 0 if nothing was measured */
void report_bytes(uint64_t bytes, char *out, size_t n); /* "1.5 GiB" */
const char *report_kind(enum pumice_device_kind kind);

#endif
