/* draw: a list of what to paint, in order. Pure: needs no display, and prints as text for the tests.
 *
 * Coordinates are pixels of the window, y down. Colours are roles (theme.h), so that one list suits both themes. The
 * list owns copies of all texts. When memory runs out, what did not fit is missing and `failed` is set. */
#ifndef PUMICE_WINDOW_DRAW_H
#define PUMICE_WINDOW_DRAW_H

#include "app/window/text.h"
#include "app/window/theme.h"

struct rect {
    int x, y, w, h;
};
struct rect rect_inset(struct rect r, int by);
struct rect rect_and(struct rect a, struct rect b); /* what both cover; w = h = 0 when nothing */
bool rect_has(struct rect r, int x, int y);

enum icon {
    ICON_SEND,
    ICON_STOP,
    ICON_COPY,
    ICON_REDO, /* another answer */
    ICON_EDIT,
    ICON_BRANCH,
    ICON_TRASH,
    ICON_DOWN,
    ICON_LEFT,
    ICON_RIGHT,
    ICON_MORE,
    ICON_CLOSE,
    N_ICONS
};

enum draw_kind {
    DRAW_CLIP,   /* from here on only inside r */
    DRAW_FILL,   /* rounded rectangle */
    DRAW_FRAME,  /* its outline, `line` thick */
    DRAW_SHADOW, /* soft, below a rounded rectangle r */
    DRAW_TEXT,   /* one line; r.x, r.y: left and top of the line, r.w, r.h as measured */
    DRAW_ICON    /* in the square r */
};
struct draw_command {
    enum draw_kind kind;
    enum color color;
    struct rect r;
    int radius, line;
    enum icon icon;
    struct font font;
    size_t text, n_text; /* into draw_list.text */
};
struct draw_list {
    struct draw_command *commands;
    size_t n, capacity;
    char *text;
    size_t n_text, text_capacity;
    struct rect clips[16];
    size_t n_clips;
    bool failed;
};

void draw_begin(struct draw_list *d, struct rect all); /* empties the list, keeps its memory */
void draw_fini(struct draw_list *d);
void draw_clip_push(struct draw_list *d, struct rect r); /* inside the current one; at most 15 deep */
void draw_clip_pop(struct draw_list *d);
void draw_fill(struct draw_list *d, struct rect r, int radius, enum color color);
void draw_frame(struct draw_list *d, struct rect r, int radius, int line, enum color color);
void draw_shadow(struct draw_list *d, struct rect r, int radius);
void draw_text(struct draw_list *d, struct rect r, struct font font, enum color color, const char *text, size_t n);
void draw_icon(struct draw_list *d, struct rect r, enum icon icon, enum color color);

/* One command a line, for golden files: "fill 10 20 300x40 r12 user". mem_alloc'ed; NULL when memory ran out. */
char *draw_print(const struct draw_list *d);

/* Grows *p to hold `need` items of `bytes` each; false when memory ran out (*p stays valid). */
bool grow(void *p, size_t *capacity, size_t need, size_t bytes);

#endif
