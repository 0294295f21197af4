/* term: what the person sees and presses. Owns standard error's notes, the progress line, Ctrl-C and line
 * input.
 *
 * Text that comes from a model or a file never reaches a terminal with its control characters. A terminal that TERM does
 * not name, or calls dumb, gets no escapes; NO_COLOR (not empty) keeps looks away. */
#ifndef PUMICE_APP_TERM_H
#define PUMICE_APP_TERM_H

#include "runtime/base.h"

/* Once, at the start: looks at the three streams and takes over SIGINT. quiet drops notes and progress. */
void term_init(bool quiet);
bool term_in(void);  /* standard input is a terminal */
bool term_out(void); /* standard output is a terminal */
bool term_err(void); /* standard error is a terminal */

void term_note(const char *format, ...) PRINTF_LIKE(1, 2);  /* a line on standard error, unless quiet */
void term_say(const char *format, ...) PRINTF_LIKE(1, 2);   /* a line on standard error */
void term_error(const char *format, ...) PRINTF_LIKE(1, 2); /* `pumice: <text>`, always one line */

/* Text of the model to standard output, at once. On a terminal, control characters other than newline and tab
 * are shown as signs. `text` must be whole UTF-8 characters. Returns false when it cannot be written. */
bool term_answer(const char *text, size_t n);

/* How what follows on standard output looks, where that is a terminal that may show it. */
enum term_look { TERM_PLAIN, TERM_DIM, TERM_BOLD, TERM_COLOUR };
void term_look(enum term_look look);

/* One line on a terminal's standard error, drawn over itself; nothing elsewhere. */
void term_progress(const char *what, double fraction);
void term_progress_end(void);

/* Ctrl-C ends the program with code 130, unless it is soft, or a session is the target (which then is
 * cancelled): in these cases it is counted only. The fourth press without a reset ends the program in any
 * case. */
bool term_interrupt_soft(bool on);                          /* returns what it was */
void term_interrupt_target(struct pumice_session *session); /* NULL: none; resets the count if not NULL */
int term_interrupts(void);
void term_interrupts_reset(void);

enum term_line { TERM_LINE, TERM_END, TERM_INTERRUPT, TERM_FAIL };
/* Reads a line of standard input without its newline; *line is grown by realloc, the caller frees it.
 * INTERRUPT only on a terminal, and only while interrupts are soft. FAIL sets the error: IO or MEMORY. */
enum term_line term_read_line(char **line, size_t *capacity, size_t *n);

/* Whether another line of a terminal comes at once: then these are lines that are pasted. */
bool term_more(void);

#endif
