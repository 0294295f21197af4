/* screen: the real window: SDL's events as ui_event, the draw list as pixels, clipboard, cursor, input method.
 *
 * With shapes.c and fonts.c the only place that knows SDL. One window at a time, in the thread that opened it. */
#ifndef PUMICE_WINDOW_SCREEN_H
#define PUMICE_WINDOW_SCREEN_H

#include "app/window/ui.h"

struct screen;
struct screen_params {
    int w, h;       /* in points; 0: a good size */
    bool maximized;
    bool chinese;   /* prefer Chinese forms of ideographs */
    bool hidden;    /* for measuring: never shown */
    bool software;  /* paint without the GPU */
};
/* Fails UNSUPPORTED (no display, with SDL's reason), IO (no font). *out is NULL then. */
enum pumice_status screen_open(const struct screen_params *params, struct screen **out);
void screen_close(struct screen *s);

struct measure screen_measure(struct screen *s);
struct rect screen_size(struct screen *s, int *percent); /* in pixels; percent: pixels a point */
void screen_window_size(struct screen *s, int *w, int *h, bool *maximized); /* in points, when not maximized */

enum screen_event { SCREEN_NONE, SCREEN_UI, SCREEN_CHANGED, SCREEN_WAKE, SCREEN_QUIT };
/* The next event; waits at most `ms` (0: not at all; -1: until there is one). The texts of *out are valid until the
 * next call. CHANGED: size, scale or exposure. WAKE: screen_wake was called. */
enum screen_event screen_next(struct screen *s, int ms, struct ui_event *out);
void screen_wake(void); /* from any thread, while a screen is open */

void screen_paint(struct screen *s, const struct draw_list *d, bool dark);
void screen_follow(struct screen *s, const struct ui *ui); /* cursor, input method */
void screen_copy(struct screen *s, const char *text);
char *screen_paste(void *s); /* mem_alloc'ed, or NULL; for ui.paste */
void screen_open_url(const char *url);
void screen_hide(struct screen *s);
void screen_title(struct screen *s, const char *title);
void screen_notice(struct screen *s); /* asks for attention when the window is in the background */
const char *screen_renderer(struct screen *s); /* its name, for the benchmark */
bool screen_save(struct screen *s, const char *path); /* what was painted last, as BMP */
bool screen_system_dark(void); /* GTK's hints; false when nothing says so */
bool screen_post(const struct ui_event *event); /* puts an event into SDL's queue: for tests */

#endif
