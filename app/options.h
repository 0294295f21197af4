/* options: the command line of every subcommand, from one table. Pure: prints nothing, touches no file.
 *
 * Long options take `--name value` or `--name=value`, short ones `-n value`, `-nvalue` or `-n=value`. */
#ifndef PUMICE_APP_OPTIONS_H
#define PUMICE_APP_OPTIONS_H

#include <stdio.h>

#include "runtime/base.h"

enum command {
    COMMAND_CHAT,
    COMMAND_WINDOW,
    COMMAND_RUN,
    COMMAND_TEMPLATE,
    COMMAND_TOKENIZE,
    COMMAND_LOGITS,
    COMMAND_BENCH,
    COMMAND_DEVICES,
    COMMAND_FIT,
    COMMAND_SELFTEST,
    COMMAND_TUNE,
    N_COMMANDS
};

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1,    /* something went wrong while running */
    EXIT_CODE_USAGE = 2,      /* the command line makes no sense */
    EXIT_CODE_INTERRUPT = 130 /* Ctrl-C */
};

/* One bit in options.given each. */
enum option_id {
    OPTION_MODEL,
    OPTION_DEVICE,
    OPTION_CTX,
    OPTION_KV,
    OPTION_MAX_TOKENS,
    OPTION_TEMP,
    OPTION_TOP_K,
    OPTION_TOP_P,
    OPTION_MIN_P,
    OPTION_SEED,
    OPTION_SYSTEM,
    OPTION_PROMPT,
    OPTION_FILE,
    OPTION_BATCH,
    OPTION_BATCH_OUT,
    OPTION_TEMPLATE,
    OPTION_SHOW_TOKENS,
    OPTION_TRUST_SPECIAL,
    OPTION_NO_THINKING,
    OPTION_MAX_HISTORY,
    OPTION_OPEN,
    OPTION_NO_HISTORY,
    OPTION_RAW,
    OPTION_JSON,
    OPTION_JSONL,
    OPTION_OUTPUT,
    OPTION_PLAIN,
    OPTION_DECODE,
    OPTION_TOKENS,
    OPTION_GREEDY,
    OPTION_TOP,
    OPTION_ONLY,
    OPTION_N_PROMPT,
    OPTION_N_GEN,
    OPTION_N_DEPTH,
    OPTION_REPETITIONS,
    OPTION_FORM,
    OPTION_KERNELS,
    OPTION_SHAPES,
    OPTION_PLOT,
    OPTION_COMPARE,
    OPTION_THREADS,
    OPTION_VALIDATE,
    OPTION_STATS,
    OPTION_PERF,
    OPTION_TRACE,
    OPTION_NO_TUNE,
    OPTION_VERBOSE,
    OPTION_QUIET,
    OPTION_HELP,
    OPTION_VERSION
};

struct options {
    enum command command;
    bool named;     /* the command was named, not left to be chat */
    uint64_t given; /* bit option_id is set when the option was on the command line */
    const char *model, *device, *system, *prompt, *file, *batch, *batch_out, *chat_template, *open, *tokens,
        *only, *n_prompt, *n_gen, *n_depth, *shapes, *plot, *compare, *trace;
    uint64_t ctx, max_tokens, top_k, seed, greedy, top, threads, max_history, repetitions;
    double temp, top_p, min_p;
    enum pumice_kv kv;
    bool kernels, raw, json, jsonl, show_tokens, trust_special, no_thinking, no_history, no_tune, plain, decode, validate, stats, perf, verbose, quiet, help, version;
};

/* Fills *out from argv[1..argc-1]; the pointers are into argv. Fails ARGUMENT with a sentence. */
enum pumice_status options_parse(int argc, char **argv, struct options *out);
bool options_given(const struct options *o, enum option_id id);

/* Edits that turn a into b (Levenshtein), up to 31 characters of each. */
size_t edit_distance(const char *a, const char *b);

/* The help of one subcommand, or of the program. */
void options_help(FILE *to, enum command command);
void options_help_all(FILE *to);

#endif
