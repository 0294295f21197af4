/* bubbles: the conversation as it is shown: messages with their layouts, scroll, selection. Pure.
 *
 * Heights of messages that were not seen yet are estimates; they are laid out in slices (bubbles_work), and what is
 * on the screen stays where it is while heights above it change. */
#ifndef PUMICE_WINDOW_BUBBLES_H
#define PUMICE_WINDOW_BUBBLES_H

#include "app/window/layout.h"
#include "app/window/protocol.h"
#include "app/window/ui.h"

struct bubble {
    struct shown_message m; /* owns the text */
    size_t capacity;        /* of m.text */
    struct markdown doc;
    struct layout layout;
    size_t n_parsed; /* bytes of the text that doc shows */
    bool laid;       /* for the current width */
    int y, h;        /* of the whole row, from the conversation's top */
    struct rect box; /* the bubble in the row; y from the row's top */
};
struct place {
    uint32_t bubble;
    struct position at;
};
struct bubbles {
    struct bubble *list;
    size_t n, capacity;
    int width, px, percent; /* what the layouts are for */
    int content;     /* height of all */
    int scroll;
    bool sticks;     /* at the end, and stays there */
    size_t unlaid;   /* how many are estimates */
    struct place from, to; /* the selection: from where the mouse was pressed */
    bool selecting, selected;
};

void bubbles_fini(struct bubbles *b);
/* Takes the messages' texts over. Keeps layouts of messages that are the same. */
bool bubbles_set(struct bubbles *b, struct shown_message *messages, size_t n);
bool bubbles_append(struct bubbles *b, const char *text, size_t n); /* to the last message */
/* Places everything for an area; lays out what is visible. */
void bubbles_place(struct bubbles *b, const struct ui *ui, struct rect area);
/* Lays out up to `n` estimated messages more; false when none is left. */
bool bubbles_work(struct bubbles *b, const struct ui *ui, struct rect area, size_t n);
void bubbles_scroll_to_end(struct bubbles *b);
/* Paints what is visible. `caret`: a block at the end of the last message, for text that grows. */
void bubbles_draw(struct bubbles *b, struct ui *ui, struct rect area, size_t hovered, bool caret);
size_t bubbles_at(const struct bubbles *b, struct rect area, int x, int y, bool in_box); /* index, or n */
struct rect bubbles_box(const struct bubbles *b, struct rect area, size_t i); /* on the screen */

struct place bubbles_place_at(const struct bubbles *b, const struct ui *ui, struct rect area, int x, int y);
void bubbles_select(struct bubbles *b, struct place from, struct place to);
void bubbles_select_word(struct bubbles *b, struct place at);
void bubbles_select_message(struct bubbles *b, size_t i);
/* The selected text, mem_alloc'ed; NULL when there is none. */
char *bubbles_selected_text(const struct bubbles *b, size_t *n);
/* The address of the link at a point, mem_alloc'ed; NULL: none. */
char *bubbles_link(const struct bubbles *b, const struct ui *ui, struct rect area, int x, int y);
struct rect bubbles_text_box(const struct bubbles *b, const struct ui *ui, struct rect area, size_t i);

#endif
