/* ui: immediate-mode widgets. A frame is: ui_begin, calls that draw and answer at once, ui_end. Pure: input comes as
 * ui_event, output is the draw list and a few wishes (cursor, clipboard, another frame).
 *
 * One event a frame: pressing and releasing are never lost. Ids are the caller's, unique in a frame and not 0. */
#ifndef PUMICE_WINDOW_UI_H
#define PUMICE_WINDOW_UI_H

#include "app/window/draw.h"
#include "app/window/editor.h"

enum ui_key { /* other keys are their lower-case ASCII letter or digit */
    KEY_NONE = 0,
    KEY_ENTER = 256,
    KEY_ESCAPE,
    KEY_TAB,
    KEY_BACKSPACE,
    KEY_DELETE,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_HOME,
    KEY_END,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_F1,
    KEY_F2
};
enum { MOD_SHIFT = 1, MOD_CTRL = 2, MOD_ALT = 4 };

enum ui_event_kind { UI_NONE, UI_MOVE, UI_LEAVE, UI_DOWN, UI_UP, UI_WHEEL, UI_KEY, UI_TEXT, UI_PREEDIT, UI_DROP };
struct ui_event {
    enum ui_event_kind kind;
    int x, y;          /* MOVE, DOWN, UP; WHEEL: x, y = amounts in 1/100 of a notch */
    int clicks;        /* DOWN */
    int key, mods;     /* KEY; mods always */
    const char *text;  /* TEXT, PREEDIT, DROP (a path); UTF-8, NUL-terminated */
    size_t caret;      /* PREEDIT: bytes */
    uint64_t ms;       /* when */
};

enum ui_cursor { CURSOR_ARROW, CURSOR_HAND, CURSOR_TEXT };

struct ui {
    struct draw_list draw;
    const struct measure *measure;
    int percent;       /* scale: 100 = one pixel a point */
    struct rect all;
    struct ui_event event;
    int mx, my;        /* the pointer; far outside when it left */
    bool down;
    uint64_t now_ms, active_ms; /* active: when the person last did something */
    uint32_t hot, active, focus;
    bool ring;         /* focus came by keyboard: show it */
    bool enabled;      /* widgets called now react */
    uint32_t order[256];
    size_t n_order;    /* ids that can have the focus, in order */
    int drag_y;
    uint64_t commit_ms; /* when an input method gave its text */
    /* wishes */
    enum ui_cursor cursor;
    struct rect caret; /* where the input method's window belongs */
    bool refused;      /* what was to be pasted is too long */
    bool wants_text;   /* a field has the focus */
    bool blinks;       /* a caret is shown: another frame in half a second */
    char *copy;        /* mem_alloc'ed text for the clipboard, or NULL; who takes it sets NULL */
    char *(*paste)(void *user); /* the clipboard's text, mem_alloc'ed, or NULL */
    void *user;
    const char *tip;   /* of the icon under the pointer */
    struct rect tip_at;
};

void ui_fini(struct ui *ui);
void ui_begin(struct ui *ui, const struct ui_event *event, struct rect all);
void ui_end(struct ui *ui); /* moves the focus on Tab, draws the tip */
int ui_px(const struct ui *ui, int points);
struct font ui_font(const struct ui *ui, enum face face, int points);
bool ui_key(struct ui *ui, int key, int mods); /* this event is that key; it is used up then */
bool ui_hovers(const struct ui *ui, struct rect r); /* pointer in r, clip and an enabled layer */
bool ui_pressed(const struct ui *ui, struct rect r); /* this event presses in r */
void ui_copy(struct ui *ui, const char *text, size_t n);

enum ui_align { ALIGN_LEFT, ALIGN_CENTER, ALIGN_RIGHT };
/* One line in the middle of r's height, cut with an ellipsis when it is too long. */
void ui_text(struct ui *ui, struct rect r, struct font font, enum color color, enum ui_align align, const char *text,
             size_t n);
void ui_label(struct ui *ui, struct rect r, int points, enum color color, enum ui_align align, const char *text);
/* Wrapped lines from r's top; returns the height. With draw false only measures. */
int ui_paragraph(struct ui *ui, struct rect r, int points, enum color color, const char *text, bool draw);

enum ui_look { LOOK_PLAIN, LOOK_PRIMARY, LOOK_QUIET, LOOK_ON };
/* true when it was clicked, or Enter or Space was pressed on it. */
bool ui_button(struct ui *ui, uint32_t id, struct rect r, enum ui_look look, const char *label);
bool ui_icon(struct ui *ui, uint32_t id, struct rect r, enum ui_look look, enum icon icon, const char *tip);
/* A row of a list: highlighted when hovered, focused or chosen. */
bool ui_row(struct ui *ui, uint32_t id, struct rect r, bool chosen);
/* Horizontal; arrows move by `step`. true when *value changed. */
bool ui_slider(struct ui *ui, uint32_t id, struct rect r, double *value, double low, double high, double step,
               const char *name);
/* One of a few words; true when *choice changed. */
bool ui_choice(struct ui *ui, uint32_t id, struct rect r, const char *const *labels, int n, int *choice);
/* The bar at the right edge of r for `content` pixels of which r.h are shown; true when *scroll changed. */
bool ui_scrollbar(struct ui *ui, uint32_t id, struct rect r, int content, int *scroll);

/* Text field (field.c). What happened to it in this frame: */
enum field_result { FIELD_NONE, FIELD_CHANGED, FIELD_ENTER };
enum field_result ui_field(struct ui *ui, uint32_t id, struct rect r, struct editor *e, const char *hint, bool enabled);
/* The height that shows the editor's lines, between one and `most`. */
int ui_field_height(struct ui *ui, struct editor *e, int width, int most);

#endif
