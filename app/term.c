/* term: terminal output, Ctrl-C, line input. */
#include "app/term.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/types.h>
#include <unistd.h>

#include "tokenizer/tokenizer.h"

static struct {
    bool quiet, in, out, err, progress;
    bool dumb, plain; /* no escapes at all; no looks */
    int percent, width; /* of the progress line */
} term;

enum { PASTE_US = 50000 }; /* nobody types a line so soon after another */
static volatile sig_atomic_t n_interrupts, soft;
static struct pumice_session *volatile target;

static void on_interrupt(int number)
{
    (void)number;
    struct pumice_session *session = target;
    if (n_interrupts < 100) n_interrupts++;
    if ((!soft && session == NULL) || n_interrupts > 3) _exit(130);
    if (session != NULL) pumice_session_cancel(session);
}

void term_init(bool quiet)
{
    const char *name = getenv("TERM"), *no_color = getenv("NO_COLOR");
    term.quiet = quiet;
    term.dumb = name == NULL || name[0] == 0 || strcmp(name, "dumb") == 0;
    term.plain = term.dumb || (no_color != NULL && no_color[0] != 0);
    term.in = isatty(STDIN_FILENO) == 1;
    term.out = isatty(STDOUT_FILENO) == 1;
    term.err = isatty(STDERR_FILENO) == 1;
    struct sigaction action = {0};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool term_in(void)
{
    return term.in;
}

bool term_out(void)
{
    return term.out;
}

bool term_err(void)
{
    return term.err;
}

/* Writes text whose control characters are shown as signs (U+2400 + c, or U+FFFD for C1). Whole characters
 * only. */
static void write_clean(FILE *to, const char *text, size_t n, bool one_line)
{
    size_t start = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i], next = i + 1 < n ? (unsigned char)text[i + 1] : 0;
        const bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
        if (!c1 && c != 0x7f && (c >= 0x20 || c == '\t' || (c == '\n' && !one_line))) continue;
        fwrite(text + start, 1, i - start, to);
        if (c1) {
            fputs("\xef\xbf\xbd", to);
            i++;
        } else if (c == '\n') {
            fputc(' ', to);
        } else {
            const char sign[4] = {(char)0xe2, (char)0x90, (char)(c == 0x7f ? 0xa1 : 0x80 + c), 0};
            fputs(sign, to);
        }
        start = i + 1;
    }
    fwrite(text + start, 1, n - start, to);
}

/* A line on standard error; its parts may come from a file, so that it is made valid UTF-8 first. */
static void write_line(const char *before, const char *format, va_list args, bool one_line)
{
    char text[2048], valid[64];
    struct decoder decoder = {{0}, 0};
    term_progress_end();
    fflush(stdout);
    const int n = vsnprintf(text, sizeof text, format, args);
    const size_t length = n < 0 ? 0 : MIN((size_t)n, sizeof text - 1);
    fputs(before, stderr);
    for (size_t i = 0; i < length; i++) {
        const size_t k = decoder_feed(&decoder, (struct str){text + i, 1}, valid);
        write_clean(stderr, valid, k, one_line);
    }
    fwrite(valid, 1, decoder_finish(&decoder, valid), stderr);
    fputc('\n', stderr);
    fflush(stderr);
}

void term_note(const char *format, ...)
{
    va_list args;
    if (term.quiet) return;
    va_start(args, format);
    write_line("", format, args, false);
    va_end(args);
}

void term_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line("", format, args, false);
    va_end(args);
}

void term_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line("pumice: ", format, args, true);
    va_end(args);
}

bool term_answer(const char *text, size_t n)
{
    if (term.out)
        write_clean(stdout, text, n, false);
    else
        fwrite(text, 1, n, stdout);
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

void term_look(enum term_look look)
{
    static const char *const codes[] = {"\033[0m", "\033[2m", "\033[1;35m", "\033[36m"};
    static enum term_look now = TERM_PLAIN;
    if (term.out && !term.plain && look != now) fputs(codes[look], stdout);
    now = look;
}

void term_progress(const char *what, double fraction)
{
    const int percent = (int)(fraction * 100);
    if (!term.err || term.quiet || (term.progress && percent == term.percent)) return;
    const int width = fprintf(stderr, "\r%s %3d%%", what, percent) - 1, before = term.progress ? term.width : 0;
    if (term.dumb)
        fprintf(stderr, "%*s", MAX(before - width, 0), ""); /* over what was longer */
    else
        fputs("\033[K", stderr);
    fflush(stderr);
    term.progress = true;
    term.percent = percent;
    term.width = term.dumb ? MAX(width, before) : width;
}

void term_progress_end(void)
{
    if (!term.progress) return;
    if (term.dumb)
        fprintf(stderr, "\r%*s\r", term.width, "");
    else
        fputs("\r\033[K", stderr);
    fflush(stderr);
    term.progress = false;
}

bool term_interrupt_soft(bool on)
{
    const bool before = soft != 0;
    soft = on;
    return before;
}

void term_interrupt_target(struct pumice_session *session)
{
    if (session != NULL) n_interrupts = 0;
    target = session;
}

int term_interrupts(void)
{
    return n_interrupts;
}

void term_interrupts_reset(void)
{
    n_interrupts = 0;
}

/* Waits until the terminal has a line. False: Ctrl-C came first. SIGINT only arrives while waiting, so none
 * is lost. */
static bool wait_for_line(void)
{
    sigset_t interrupt, before;
    fd_set in;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    FD_ZERO(&in);
    bool waiting = true; /* a signal other than SIGINT begins it again: what was stopped goes on */
    while (n_interrupts == 0 && waiting) {
        FD_SET(STDIN_FILENO, &in);
        waiting = pselect(STDIN_FILENO + 1, &in, NULL, NULL, NULL, &before) < 0 && errno == EINTR;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return !waiting;
}

enum term_line term_read_line(char **line, size_t *capacity, size_t *n)
{
    if (term.in && !wait_for_line()) return TERM_INTERRUPT;
    errno = 0;
    ssize_t got = getline(line, capacity, stdin);
    if (got < 0) {
        const bool memory = errno == ENOMEM, failed = memory || ferror(stdin) != 0;
        if (memory)
            (void)err_memory("a line of standard input", *capacity * 2);
        else if (failed)
            (void)err_set(PUMICE_IO, "standard input cannot be read: %s", strerror(errno));
        clearerr(stdin);
        return failed ? TERM_FAIL : TERM_END;
    }
    if (got > 0 && (*line)[got - 1] == '\n') got--;
    if (got > 0 && (*line)[got - 1] == '\r') got--;
    *n = (size_t)got;
    return TERM_LINE;
}

bool term_more(void)
{
    struct timeval soon = {.tv_usec = PASTE_US};
    fd_set in;
    FD_ZERO(&in);
    FD_SET(STDIN_FILENO, &in);
    return term.in && select(STDIN_FILENO + 1, &in, NULL, NULL, &soon) > 0;
}
