/* editor: a text being typed: caret, selection, undo, input-method preedit, lines for a width. Pure.
 *
 * The text is always valid UTF-8 (what is not becomes U+FFFD); caret and anchor stand at characters' boundaries. */
#ifndef PUMICE_WINDOW_EDITOR_H
#define PUMICE_WINDOW_EDITOR_H

#include "app/window/text.h"

struct edit_line {
    size_t begin, end; /* into the shown text; without its newline */
};
struct edit_step { /* one undo step: at `at`, n_old bytes were replaced by n_new; both follow in `texts` */
    size_t at, n_old, n_new, caret;
    char *texts;
    bool typed; /* may grow by further typing */
};
struct editor {
    char *text; /* NUL-terminated, or NULL when empty */
    size_t n, capacity;
    size_t caret, anchor; /* the selection lies between them */
    bool single;          /* newlines become spaces */
    size_t max_bytes;     /* 0: 1 MiB */
    char preedit[256];    /* what the input method shows at the caret; not yet text */
    size_t n_preedit, preedit_caret;
    struct edit_step *steps;
    size_t n_steps, step_i, steps_capacity; /* steps[step_i ...] can be redone */
    char *shown; /* text with preedit; only while there is one */
    size_t shown_capacity;
    struct edit_line *lines;
    size_t n_lines, lines_capacity;
    int wish_x; /* where up and down want to be; -1: where the caret is */
    int scroll; /* of the field that shows it */
};

void editor_fini(struct editor *e);
void editor_set(struct editor *e, const char *text, size_t n); /* forgets undo; the caret at the end */
/* Replaces the selection; false when memory or max_bytes is at its end. typed: joins the step before. */
bool editor_insert(struct editor *e, const char *text, size_t n, bool typed);
bool editor_undo(struct editor *e);
bool editor_redo(struct editor *e);
void editor_select_all(struct editor *e);
void editor_select(struct editor *e, size_t anchor, size_t caret);
const char *editor_selection(const struct editor *e, size_t *n); /* n = 0: nothing is selected */

enum edit_move {
    EDIT_LEFT,
    EDIT_RIGHT,
    EDIT_WORD_LEFT,
    EDIT_WORD_RIGHT,
    EDIT_UP,
    EDIT_DOWN,
    EDIT_LINE_BEGIN,
    EDIT_LINE_END,
    EDIT_BEGIN,
    EDIT_END
};
/* Moves the caret; keeps the anchor with `select`. Up, down and the ends of lines go by the lines of editor_wrap. */
void editor_move(struct editor *e, enum edit_move move, bool select, const struct measure *m, struct font font);
/* Removes the selection, or what lies between the caret and where `move` leads. */
void editor_delete(struct editor *e, enum edit_move move, const struct measure *m, struct font font);
/* The input method's text; n = 0 ends it. caret: bytes into it. */
void editor_preedit(struct editor *e, const char *text, size_t n, size_t caret);

/* The text with the preedit in its place; the caret in it is editor_shown_caret. */
const char *editor_shown(const struct editor *e, size_t *n);
size_t editor_shown_caret(const struct editor *e);
void editor_wrap(struct editor *e, const struct measure *m, struct font font, int width);
size_t editor_line_of(const struct editor *e, size_t offset); /* the line that shows an offset */

#endif
