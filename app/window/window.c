/* window: the loop between screen, view and worker. */
#include "app/window/window.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/window/screen.h"
#include "app/window/view.h"
#include "app/window/worker.h"
#include "runtime/platform.h"

enum { FRAME_NS = 1000000000 / 60, SAVE_NS = 500000000 };

struct window {
    struct settings settings;
    struct view view;
    struct screen *screen;
    struct worker *worker;
    struct measure measure;
    uint64_t painted_ns, saved_ns;
    bool was_busy;
};

static void on_send(void *user, const struct request *r)
{
    worker_send(((struct window *)user)->worker, r);
}

static void on_stop(void *user)
{
    worker_stop(((struct window *)user)->worker);
}

static void apply_options(struct settings *s, const struct options *o)
{
    struct configuration *c = &s->configuration;
    if (options_given(o, OPTION_MODEL)) snprintf(s->model, sizeof s->model, "%s", o->model);
    if (options_given(o, OPTION_DEVICE)) snprintf(c->device, sizeof c->device, "%s", o->device);
    if (options_given(o, OPTION_CTX)) c->context = (int)MIN(o->ctx, 1048576);
    if (options_given(o, OPTION_KV)) c->kv = (int)o->kv;
    if (options_given(o, OPTION_TEMP)) c->temperature = MIN(o->temp, 1.5);
    if (options_given(o, OPTION_SYSTEM)) { /* of a new conversation: the last one has its own */
        snprintf(c->system, sizeof c->system, "%s", o->system);
        s->conversation[0] = 0;
    }
    if (options_given(o, OPTION_MAX_TOKENS)) c->max_tokens = (int)MAX(MIN(o->max_tokens, 4096), 128);
}

static void follow_view(struct window *w)
{
    struct view *v = &w->view;
    if (v->ui.copy != NULL) {
        screen_copy(w->screen, v->ui.copy);
        mem_free(v->ui.copy);
        v->ui.copy = NULL;
    }
    if (v->open_url != NULL) {
        screen_open_url(v->open_url);
        mem_free(v->open_url);
        v->open_url = NULL;
    }
    const bool busy = view_busy(v);
    if (w->was_busy && !busy) screen_notice(w->screen);
    w->was_busy = busy;
    screen_follow(w->screen, &v->ui);
}

static void frame(struct window *w, const struct ui_event *event)
{
    int percent = 100;
    const struct rect all = screen_size(w->screen, &percent);
    view_frame(&w->view, event, all, percent);
    follow_view(w);
    const uint64_t now = platform_now_ns();
    if (w->view.settings_changed && now - w->saved_ns > SAVE_NS) {
        (void)settings_save(&w->settings); /* and again when the window is closed */
        w->view.settings_changed = false;
        w->saved_ns = now;
    }
}

static void paint(struct window *w)
{
    char title[300];
    struct view *v = &w->view;
    screen_paint(w->screen, &v->ui.draw, view_dark(v));
    w->painted_ns = platform_now_ns();
    snprintf(title, sizeof title, "%s%spumice", v->title, v->title[0] != 0 ? " - " : "");
    screen_title(w->screen, title);
}

static bool take_events(struct window *w)
{
    bool any = false;
    for (struct event *e; (e = worker_next(w->worker)) != NULL; any = true) view_take(&w->view, e);
    return any;
}

/* How long to wait for the next event: what was changed is painted at most 60 times a second. */
static int wait_ms(const struct window *w, bool stale)
{
    const int due = view_due(&w->view);
    if (!stale && due != 0) return due;
    const uint64_t since = platform_now_ns() - w->painted_ns;
    return since >= FRAME_NS ? 0 : (int)((FRAME_NS - since + 999999) / 1000000);
}

/* Until the window is closed. */
static void loop(struct window *w)
{
    bool stale = true; /* the picture is older than the state */
    struct ui_event event = {.kind = UI_NONE, .ms = platform_now_ns() / 1000000};
    frame(w, &event);
    for (;;) {
        const int ms = wait_ms(w, stale);
        const enum screen_event got = screen_next(w->screen, ms, &event);
        event.ms = platform_now_ns() / 1000000;
        if (got == SCREEN_QUIT) return;
        if (got == SCREEN_UI) {
            if (event.kind == UI_KEY && event.key == 'q' && event.mods == MOD_CTRL) return;
            frame(w, &event);
            stale = true;
        } else if (got == SCREEN_WAKE) {
            stale = take_events(w) || stale;
        } else if (got == SCREEN_CHANGED) {
            stale = true;
        } else if (ms >= 0) { /* the time is up: what was changed, or what blinks, is due */
            event = (struct ui_event){.kind = UI_NONE, .ms = event.ms};
            frame(w, &event);
            paint(w);
            stale = false;
        }
        if (stale && platform_now_ns() - w->painted_ns >= 2 * FRAME_NS) { /* events come without a pause */
            event = (struct ui_event){.kind = UI_NONE, .ms = event.ms};
            frame(w, &event);
            paint(w);
            stale = false;
        }
    }
}

static void remember(struct window *w)
{
    bool maximized = false;
    struct settings *s = &w->settings;
    screen_window_size(w->screen, &s->width, &s->height, &maximized);
    s->maximized = maximized;
    snprintf(s->conversation, sizeof s->conversation, "%s", w->view.conversation);
    (void)settings_save(s); /* a window that closes cannot say that it failed */
}

static enum pumice_status open_all(struct window *w, const struct options *o)
{
    enum pumice_status st = PUMICE_OK;
    const bool chinese = strings_locale_chinese();
    (void)settings_load(&w->settings); /* what cannot be read is as if it were not there */
    apply_options(&w->settings, o);
    const struct screen_params screen = {.w = w->settings.width,
                                         .h = w->settings.height,
                                         .maximized = w->settings.maximized != 0,
                                         .chinese = w->settings.language == LANGUAGE_AUTO
                                                        ? chinese
                                                        : w->settings.language == LANGUAGE_CHINESE};
    TRY(screen_open(&screen, &w->screen));
    const struct worker_params worker = {.model = w->settings.model,
                                         .conversation = w->settings.conversation,
                                         .configuration = w->settings.configuration,
                                         .keep = true,
                                         .wake = screen_wake};
    TRY(worker_start(&worker, &w->worker));
    w->measure = screen_measure(w->screen);
    view_init(&w->view, &w->settings);
    w->view.ui.measure = &w->measure;
    w->view.ui.paste = screen_paste;
    w->view.ui.user = w->screen;
    w->view.send = on_send;
    w->view.stop = on_stop;
    w->view.user = w;
    w->view.system_chinese = chinese;
    w->view.system_dark = screen_system_dark();
fail:
    return st;
}

bool window_wanted(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    struct stat in;
    if ((x == NULL || x[0] == 0) && (wayland == NULL || wayland[0] == 0)) return false;
    if (isatty(0)) return isatty(1);
    return fstat(0, &in) == 0 && S_ISCHR(in.st_mode) && !isatty(1);
}

int command_window(const struct options *o)
{
    struct window w;
    memset(&w, 0, sizeof w);
    if (options_given(o, OPTION_SYSTEM) && strlen(o->system) >= sizeof w.settings.configuration.system)
        return command_usage("--system is longer than the %zu bytes that the window takes", sizeof w.settings.configuration.system - 1);
    (void)signal(SIGINT, SIG_DFL); /* SDL then makes it a wish to close */
    settings_default(&w.settings);
    const enum pumice_status st = open_all(&w, o);
    if (st == PUMICE_OK) {
        loop(&w);
        remember(&w);
        screen_hide(w.screen);
    }
    worker_finish(w.worker);
    if (st == PUMICE_OK) view_fini(&w.view);
    screen_close(w.screen);
    settings_fini(&w.settings);
    return st == PUMICE_OK ? EXIT_CODE_OK : command_fail(st);
}
