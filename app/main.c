/* main: which subcommand, and the exit code. */
#include <stdarg.h>
#include <stdio.h>

#include "app/commands.h"
#include "app/term.h"
#ifdef PUMICE_HAVE_WINDOW
#include "app/window/window.h"
#endif

static void on_log(void *user, enum pumice_log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)user;
    term_say("[%s] %s", names[level], line);
}

int command_fail(enum pumice_status status)
{
    term_progress_end();
    if (status == PUMICE_CANCELLED && term_interrupts() > 0) {
        term_note("interrupted");
        return EXIT_CODE_INTERRUPT;
    }
    term_error("%s", pumice_error());
    return EXIT_CODE_FAILURE;
}

int command_usage(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    term_error("%s", text);
    return EXIT_CODE_USAGE;
}

static int open_window(const struct options *o)
{
#ifdef PUMICE_HAVE_WINDOW
    return command_window(o);
#else
    (void)o;
    term_error("this pumice was built without the window (PUMICE_WINDOW=OFF); `pumice chat` talks in the terminal");
    return EXIT_CODE_FAILURE;
#endif
}

/* Plain `pumice` for a person at a display. */
static bool wants_window(int argc)
{
#ifdef PUMICE_HAVE_WINDOW
    return argc == 1 && window_wanted();
#else
    (void)argc;
    return false;
#endif
}

static int dispatch(const struct options *o)
{
    switch (o->command) {
    case COMMAND_CHAT:
        return command_chat(o);
    case COMMAND_WINDOW:
        return open_window(o);
    case COMMAND_RUN:
        return o->batch != NULL ? command_batch(o) : command_run(o);
    case COMMAND_TEMPLATE:
        return command_template(o);
    case COMMAND_TOKENIZE:
        return command_tokenize(o);
    case COMMAND_LOGITS:
        return command_logits(o);
    case COMMAND_BENCH:
        return o->kernels ? command_bench_kernels(o) : command_bench(o);
    case COMMAND_DEVICES:
        return command_devices(o);
    case COMMAND_FIT:
        return command_fit(o);
    case COMMAND_SELFTEST:
        return command_selftest(o);
    case COMMAND_TUNE:
        return command_tune(o);
    case N_COMMANDS:
        break;
    }
    return EXIT_CODE_USAGE;
}

/* The command, and its trace, also when it fails. */
static int traced(const struct options *o)
{
    if (o->trace == NULL) return dispatch(o);
    if (pumice_trace_start() != PUMICE_OK) return command_fail(PUMICE_MEMORY);
    const int code = dispatch(o);
    if (pumice_trace_write(o->trace) == PUMICE_OK) return code;
    term_error("%s", pumice_error());
    return code == EXIT_CODE_OK ? EXIT_CODE_FAILURE : code;
}

int main(int argc, char **argv)
{
    struct options o;
    int code = EXIT_CODE_OK;
    term_init(false);
    if (options_parse(argc, argv, &o) != PUMICE_OK) return command_usage("%s", pumice_error());
    term_init(o.quiet);
    if (o.verbose) pumice_log_to(on_log, NULL);
    if (o.version)
        printf("pumice %s\n", pumice_version());
    else if (o.help && !o.named)
        options_help_all(stdout);
    else if (o.help)
        options_help(stdout, o.command);
    else if (wants_window(argc))
        code = open_window(&o);
    else
        code = traced(&o);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_CODE_OK) {
        term_error("standard output cannot be written; is the disk full?");
        code = EXIT_CODE_FAILURE;
    }
    return code;
}
