/* commands: one function a subcommand. Each returns the program's exit code and has printed its error. */
#ifndef PUMICE_APP_COMMANDS_H
#define PUMICE_APP_COMMANDS_H

#include "app/options.h"

int command_chat(const struct options *o);
int command_run(const struct options *o);
int command_batch(const struct options *o); /* run --jsonl FILE */
int command_template(const struct options *o);
int command_tokenize(const struct options *o);
int command_logits(const struct options *o);
int command_bench(const struct options *o);
int command_bench_kernels(const struct options *o); /* bench --kernels */
int command_devices(const struct options *o);
int command_fit(const struct options *o);
int command_selftest(const struct options *o);
int command_tune(const struct options *o);

/* Prints this thread's error and gives the exit code that belongs to the status. */
int command_fail(enum pumice_status status);
/* The same for a command line that makes no sense. */
int command_usage(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
