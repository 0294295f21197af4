/* screen: SDL. */
#include "app/window/screen.h"

#include <SDL.h>
#include <stdlib.h>
#include <string.h>

#include "app/window/fonts.h"
#include "app/window/shapes.h"
#include "runtime/platform.h"

struct screen {
    SDL_Window *window;
    SDL_Renderer *renderer;
    struct fonts *fonts;
    struct shapes *shapes;
    SDL_Cursor *cursors[3];
    enum ui_cursor cursor;
    bool text_input;
    SDL_Rect ime;
    int x11_percent; /* pixels a unit of SDL's on X11, which has no other; 100 elsewhere */
    int w, h, w_before, h_before; /* of the window in SDL's units, while it is neither maximized nor full screen */
    Uint32 sized_at; /* when w and h last changed, in ms */
    bool focused;
    char *text; /* SDL's, to be freed at the next event */
    char *own;  /* ours, for texts that came in long events */
};

static Uint32 wake_event = (Uint32)-1;

/* A driver that paints on the processor through OpenGL is slower to open and no faster than SDL's own software. */
static bool paints_in_software(void)
{
    typedef const unsigned char *(*get_string)(unsigned);
    union {
        void *object;
        get_string call;
    } symbol = {.object = SDL_GL_GetProcAddress("glGetString")};
    if (symbol.object == NULL || SDL_GL_GetCurrentContext() == NULL) return false;
    const unsigned char *name = symbol.call(0x1f01 /* GL_RENDERER */);
    static const char *const software[] = {"llvmpipe", "softpipe", "swrast", "SwiftShader", "Software"};
    for (size_t i = 0; name != NULL && i < COUNT_OF(software); i++)
        if (strstr((const char *)name, software[i]) != NULL) return true;
    return false;
}

static bool create_renderer(struct screen *s, bool software)
{
    if (!software) s->renderer = SDL_CreateRenderer(s->window, -1, SDL_RENDERER_ACCELERATED);
    if (s->renderer != NULL && paints_in_software()) {
        SDL_DestroyRenderer(s->renderer);
        s->renderer = NULL;
    }
    if (s->renderer == NULL) {
        SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0"); /* not through that OpenGL either */
        s->renderer = SDL_CreateRenderer(s->window, -1, SDL_RENDERER_SOFTWARE);
    }
    if (s->renderer == NULL) { /* Wayland has no other way to the screen than OpenGL, be it painted on the processor */
        SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, NULL);
        s->renderer = SDL_CreateRenderer(s->window, -1, 0);
    }
    return s->renderer != NULL;
}

static void set_hints(void)
{
    SDL_SetHint(SDL_HINT_IME_SHOW_UI, "1");
    SDL_SetHint(SDL_HINT_IME_SUPPORT_EXTENDED_TEXT, "1");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "0");
    SDL_SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "0");
#ifdef SDL_HINT_WINDOWS_DPI_SCALING
    SDL_SetHint(SDL_HINT_WINDOWS_DPI_SCALING, "1");
#endif
}

static bool set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != 0;
}

/* Without a display SDL may take the console, or paint where nobody sees it: only when it was told to. */
static bool is_seen(const char *driver)
{
    static const char *const unseen[] = {"offscreen", "dummy", "evdev", "KMSDRM"};
    for (size_t i = 0; i < COUNT_OF(unseen); i++)
        if (driver != NULL && strcmp(driver, unseen[i]) == 0) return set("SDL_VIDEODRIVER");
    return true;
}

static bool has_display(void)
{
#ifdef __linux__
    return set("DISPLAY") || set("WAYLAND_DISPLAY") || set("SDL_VIDEODRIVER");
#else
    return true;
#endif
}

/* What the desktop's settings say of the size of fonts: "Xft.dpi: 192" among the display's resources. 0: nothing. SDL 2
 * keeps its connection to itself, so this opens one of its own for a moment. */
static double x11_font_dpi(void)
{
    union {
        void *object;
        void *(*open)(const char *name);
        char *(*resources)(void *display);
        int (*close)(void *display);
    } open, resources, close;
    double dpi = 0;
    void *library = platform_library_open("libX11.so.6", NULL, 0);
    if (library == NULL) return 0;
    open.object = platform_library_symbol(library, "XOpenDisplay");
    resources.object = platform_library_symbol(library, "XResourceManagerString");
    close.object = platform_library_symbol(library, "XCloseDisplay");
    void *display = open.object != NULL && resources.object != NULL && close.object != NULL ? open.open(NULL) : NULL;
    if (display != NULL) {
        const char *text = resources.resources(display);
        const char *found = text != NULL ? strstr(text, "Xft.dpi:") : NULL;
        if (found != NULL) dpi = strtod(found + strlen("Xft.dpi:"), NULL);
        close.close(display);
    }
    platform_library_close(library);
    return dpi;
}

/* On X11 a unit of SDL's is a pixel whatever the desktop's scale: that is told by its font resolution or, where nothing
 * was set, by the size of the screen. In quarters. */
static int x11_percent(void)
{
    const char *driver = SDL_GetCurrentVideoDriver();
    if (driver == NULL || strcmp(driver, "x11") != 0) return 100;
    double dpi = x11_font_dpi();
    float of_screen = 0;
    if (!(dpi > 0) && SDL_GetDisplayDPI(0, NULL, &of_screen, NULL) == 0 && of_screen >= 130) dpi = (double)of_screen;
    if (!(dpi > 96)) return 100;
    return MIN((int)(dpi / 96 * 4 + 0.5) * 25, 400);
}

/* The size to open with, in SDL's units: what was asked for or a good one, but never larger than the screen has room. */
static void first_size(struct screen *s, const struct screen_params *params)
{
    SDL_Rect room;
    s->w = (params->w > 0 ? params->w : 1080) * s->x11_percent / 100;
    s->h = (params->h > 0 ? params->h : 760) * s->x11_percent / 100;
    if (SDL_GetDisplayUsableBounds(0, &room) == 0 && room.w > 0 && room.h > 0) {
        s->w = MIN(s->w, room.w);
        s->h = MIN(s->h, room.h);
    }
    s->w_before = s->w;
    s->h_before = s->h;
}

enum pumice_status screen_open(const struct screen_params *params, struct screen **out)
{
    enum pumice_status st = PUMICE_OK;
    *out = NULL;
    if (!has_display())
        return err_set(PUMICE_UNSUPPORTED, "there is no display (DISPLAY and WAYLAND_DISPLAY are not set); `pumice chat` "
                                           "talks in the terminal");
    struct screen *s = mem_calloc(1, sizeof *s);
    if (s == NULL) return err_memory("the window", sizeof *s);
    set_hints();
    if (SDL_Init(SDL_INIT_VIDEO) != 0 || !is_seen(SDL_GetCurrentVideoDriver())) {
        st = err_set(PUMICE_UNSUPPORTED, "no window can be opened (%s); `pumice chat` talks in the terminal",
                     SDL_GetError()[0] != 0 ? SDL_GetError() : "the display does not answer");
        SDL_Quit();
        mem_free(s);
        return st;
    }
    if (wake_event == (Uint32)-1) wake_event = SDL_RegisterEvents(1);
    const Uint32 flags = SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI | (params->maximized ? SDL_WINDOW_MAXIMIZED : 0) |
                         (params->hidden ? SDL_WINDOW_HIDDEN : 0);
    s->x11_percent = x11_percent();
    first_size(s, params);
    s->window = SDL_CreateWindow("pumice", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, s->w, s->h, flags);
    if (s->window == NULL || !create_renderer(s, params->software))
        TRY(err_set(PUMICE_UNSUPPORTED, "no window can be opened (%s); `pumice chat` talks in the terminal", SDL_GetError()));
    SDL_SetWindowMinimumSize(s->window, 640 * s->x11_percent / 100, 420 * s->x11_percent / 100);
    TRY(fonts_open(params->chinese, &s->fonts));
    s->shapes = shapes_create();
    if (s->shapes == NULL) TRY(err_memory("the window", 1));
    s->cursors[CURSOR_ARROW] = SDL_CreateSystemCursor(SDL_SYSTEM_CURSOR_ARROW);
    s->cursors[CURSOR_HAND] = SDL_CreateSystemCursor(SDL_SYSTEM_CURSOR_HAND);
    s->cursors[CURSOR_TEXT] = SDL_CreateSystemCursor(SDL_SYSTEM_CURSOR_IBEAM);
    s->focused = true;
    SDL_StopTextInput();
    SDL_EventState(SDL_DROPFILE, SDL_ENABLE);
    *out = s;
    return PUMICE_OK;
fail:
    screen_close(s);
    return st;
}

void screen_close(struct screen *s)
{
    if (s == NULL) return;
    fonts_close(s->fonts);
    shapes_destroy(s->shapes);
    for (size_t i = 0; i < COUNT_OF(s->cursors); i++) SDL_FreeCursor(s->cursors[i]);
    SDL_free(s->text);
    mem_free(s->own);
    if (s->renderer != NULL) SDL_DestroyRenderer(s->renderer);
    if (s->window != NULL) SDL_DestroyWindow(s->window);
    SDL_Quit();
    mem_free(s);
}

struct measure screen_measure(struct screen *s)
{
    return fonts_measure(s->fonts);
}

struct rect screen_size(struct screen *s, int *percent)
{
    int w = 0, h = 0, units = 0, unused = 0;
    SDL_GetRendererOutputSize(s->renderer, &w, &h);
    SDL_GetWindowSize(s->window, &units, &unused);
    *percent = units > 0 ? (w * s->x11_percent + units / 2) / units : 100;
    return (struct rect){0, 0, w, h};
}

/* Whether the size is one that a person gave it: a window manager may fill the screen without SDL's knowing. */
static bool has_own_size(const struct screen *s, int w, int h)
{
    SDL_Rect all;
    if (SDL_GetWindowFlags(s->window) & (SDL_WINDOW_MAXIMIZED | SDL_WINDOW_FULLSCREEN)) return false;
    return SDL_GetDisplayBounds(MAX(SDL_GetWindowDisplayIndex(s->window), 0), &all) != 0 || all.w != w || all.h != h;
}

void screen_window_size(struct screen *s, int *w, int *h, bool *maximized)
{
    *maximized = (SDL_GetWindowFlags(s->window) & SDL_WINDOW_MAXIMIZED) != 0;
    *w = s->w * 100 / s->x11_percent;
    *h = s->h * 100 / s->x11_percent;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static int key_of(SDL_Keycode sym)
{
    static const struct {
        SDL_Keycode sym;
        int key;
    } keys[] = {{SDLK_RETURN, KEY_ENTER},   {SDLK_KP_ENTER, KEY_ENTER}, {SDLK_ESCAPE, KEY_ESCAPE},
                {SDLK_TAB, KEY_TAB},        {SDLK_BACKSPACE, KEY_BACKSPACE}, {SDLK_DELETE, KEY_DELETE},
                {SDLK_LEFT, KEY_LEFT},      {SDLK_RIGHT, KEY_RIGHT},    {SDLK_UP, KEY_UP},
                {SDLK_DOWN, KEY_DOWN},      {SDLK_HOME, KEY_HOME},      {SDLK_END, KEY_END},
                {SDLK_PAGEUP, KEY_PAGE_UP}, {SDLK_PAGEDOWN, KEY_PAGE_DOWN}, {SDLK_F1, KEY_F1},
                {SDLK_F2, KEY_F2},          {SDLK_KP_PLUS, '+'},        {SDLK_KP_MINUS, '-'}, {SDLK_KP_0, '0'}};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (keys[i].sym == sym) return keys[i].key;
    return sym >= 32 && sym < 127 ? (int)sym : KEY_NONE;
}

static SDL_Keycode sym_of(int key)
{
    for (SDL_Keycode sym = 1; sym < 128; sym++)
        if (key_of(sym) == key) return sym;
    static const SDL_Keycode others[] = {SDLK_LEFT, SDLK_RIGHT, SDLK_UP, SDLK_DOWN, SDLK_HOME, SDLK_END,
                                         SDLK_PAGEUP, SDLK_PAGEDOWN, SDLK_F1, SDLK_F2, SDLK_DELETE};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (key_of(others[i]) == key) return others[i];
    return SDLK_UNKNOWN;
}

static int mods_of(int mod)
{
    return ((mod & KMOD_SHIFT) ? MOD_SHIFT : 0) | ((mod & (KMOD_CTRL | KMOD_GUI)) ? MOD_CTRL : 0) |
           ((mod & KMOD_ALT) ? MOD_ALT : 0);
}

/* Bytes of the first `chars` characters. */
static size_t bytes_of(const char *text, int chars)
{
    size_t i = 0, bytes = 0;
    const size_t n = strlen(text);
    for (int k = 0; k < chars && i < n; k++) {
        (void)text_code(text, n, i, &bytes);
        i += bytes;
    }
    return i;
}

static enum screen_event window_event(struct screen *s, const SDL_WindowEvent *e, struct ui_event *out)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_LEAVE:
        out->kind = UI_LEAVE;
        return SCREEN_UI;
    case SDL_WINDOWEVENT_FOCUS_GAINED:
    case SDL_WINDOWEVENT_FOCUS_LOST:
        s->focused = e->event == SDL_WINDOWEVENT_FOCUS_GAINED;
        return SCREEN_CHANGED;
    case SDL_WINDOWEVENT_SIZE_CHANGED:
        if (!has_own_size(s, e->data1, e->data2)) return SCREEN_CHANGED;
        s->w_before = s->w;
        s->h_before = s->h;
        s->w = e->data1;
        s->h = e->data2;
        s->sized_at = e->timestamp;
        return SCREEN_CHANGED;
    case SDL_WINDOWEVENT_MAXIMIZED: /* its size may have come just before, as if it were the window's own */
        if (e->timestamp - s->sized_at > 200) return SCREEN_CHANGED;
        s->w = s->w_before;
        s->h = s->h_before;
        return SCREEN_CHANGED;
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SHOWN:
    case SDL_WINDOWEVENT_RESTORED:
        return SCREEN_CHANGED;
    default:
        return SCREEN_NONE;
    }
}

static void mouse_place(struct screen *s, int x, int y, struct ui_event *out)
{
    int w = 0, h = 0, points = 1, unused = 0;
    SDL_GetRendererOutputSize(s->renderer, &w, &h);
    SDL_GetWindowSize(s->window, &points, &unused);
    out->x = x * w / MAX(points, 1);
    out->y = y * w / MAX(points, 1);
}

static enum screen_event mouse_event(struct screen *s, const SDL_Event *e, struct ui_event *out)
{
    if (e->type == SDL_MOUSEMOTION) {
        out->kind = UI_MOVE;
        mouse_place(s, e->motion.x, e->motion.y, out);
        return SCREEN_UI;
    }
    if (e->type == SDL_MOUSEWHEEL) {
        out->kind = UI_WHEEL;
        out->x = (int)(e->wheel.preciseX * 100);
        out->y = (int)(e->wheel.preciseY * 100);
        return SCREEN_UI;
    }
    if (e->button.button != SDL_BUTTON_LEFT) return SCREEN_NONE;
    out->kind = e->type == SDL_MOUSEBUTTONDOWN ? UI_DOWN : UI_UP;
    out->clicks = e->button.clicks;
    mouse_place(s, e->button.x, e->button.y, out);
    SDL_CaptureMouse(e->type == SDL_MOUSEBUTTONDOWN ? SDL_TRUE : SDL_FALSE);
    return SCREEN_UI;
}

static enum screen_event text_event(struct screen *s, SDL_Event *e, struct ui_event *out)
{
    const char *text = "";
    int caret = 0;
    const int mods = mods_of((int)SDL_GetModState()); /* X11 sends the letters of shortcuts as well; AltGr is Ctrl+Alt */
    if (e->type == SDL_TEXTINPUT && (mods & MOD_CTRL) && !(mods & MOD_ALT)) return SCREEN_NONE;
    if (e->type == SDL_TEXTEDITING_EXT) {
        s->text = e->editExt.text; /* ours to free */
        text = s->text != NULL ? s->text : "";
        caret = e->editExt.start;
    } else {
        text = e->type == SDL_TEXTEDITING ? e->edit.text : e->text.text;
        caret = e->type == SDL_TEXTEDITING ? e->edit.start : 0;
        mem_free(s->own);
        s->own = mem_strdup(text);
        if (s->own == NULL) return SCREEN_NONE;
        text = s->own;
    }
    out->kind = e->type == SDL_TEXTINPUT ? UI_TEXT : UI_PREEDIT;
    out->text = text;
    out->caret = bytes_of(text, caret);
    return SCREEN_UI;
}

static enum screen_event translate(struct screen *s, SDL_Event *e, struct ui_event *out)
{
    switch (e->type) {
    case SDL_QUIT:
        return SCREEN_QUIT;
    case SDL_WINDOWEVENT:
        return window_event(s, &e->window, out);
    case SDL_MOUSEMOTION:
    case SDL_MOUSEWHEEL:
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
        return mouse_event(s, e, out);
    case SDL_KEYDOWN:
        out->kind = UI_KEY;
        out->mods = mods_of(e->key.keysym.mod);
        out->key = key_of(e->key.keysym.sym);
        /* shortcuts are where they are on a Latin keyboard, also when the keys write other letters */
        if (out->key == KEY_NONE && (out->mods & MOD_CTRL) && e->key.keysym.scancode >= SDL_SCANCODE_A &&
            e->key.keysym.scancode <= SDL_SCANCODE_Z)
            out->key = 'a' + (int)(e->key.keysym.scancode - SDL_SCANCODE_A);
        return out->key != KEY_NONE ? SCREEN_UI : SCREEN_NONE;
    case SDL_TEXTINPUT:
    case SDL_TEXTEDITING:
    case SDL_TEXTEDITING_EXT:
        return text_event(s, e, out);
    case SDL_DROPFILE:
        s->text = e->drop.file;
        out->kind = UI_DROP;
        out->text = s->text;
        return s->text != NULL ? SCREEN_UI : SCREEN_NONE;
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET:
        fonts_drop_textures(s->fonts);
        shapes_drop_textures(s->shapes);
        return SCREEN_CHANGED;
    default:
        return e->type == wake_event ? SCREEN_WAKE : SCREEN_NONE;
    }
}

enum screen_event screen_next(struct screen *s, int ms, struct ui_event *out)
{
    SDL_Event e, next;
    memset(out, 0, sizeof *out);
    SDL_free(s->text);
    s->text = NULL;
    const int got = ms < 0 ? SDL_WaitEvent(&e) : (ms == 0 ? SDL_PollEvent(&e) : SDL_WaitEventTimeout(&e, ms));
    if (got == 0) return SCREEN_NONE;
    out->ms = SDL_GetTicks64();
    out->mods = mods_of((int)SDL_GetModState());
    /* of many small movements only the last one counts */
    while (e.type == SDL_MOUSEMOTION && SDL_PeepEvents(&next, 1, SDL_PEEKEVENT, SDL_FIRSTEVENT, SDL_LASTEVENT) == 1 &&
           next.type == SDL_MOUSEMOTION && SDL_PollEvent(&next) == 1)
        e = next;
    return translate(s, &e, out);
}

void screen_wake(void)
{
    SDL_Event e = {.type = wake_event};
    (void)SDL_PushEvent(&e);
}

bool screen_post(const struct ui_event *event)
{
    SDL_Event e;
    memset(&e, 0, sizeof e);
    switch (event->kind) {
    case UI_KEY:
        e.type = SDL_KEYDOWN;
        e.key.keysym.sym = sym_of(event->key);
        e.key.keysym.mod = (Uint16)(((event->mods & MOD_SHIFT) ? KMOD_LSHIFT : 0) | ((event->mods & MOD_CTRL) ? KMOD_LCTRL : 0));
        break;
    case UI_TEXT:
        e.type = SDL_TEXTINPUT;
        SDL_strlcpy(e.text.text, event->text, sizeof e.text.text);
        break;
    case UI_PREEDIT:
        e.type = SDL_TEXTEDITING;
        SDL_strlcpy(e.edit.text, event->text, sizeof e.edit.text);
        break;
    case UI_DOWN:
    case UI_UP:
        e.type = event->kind == UI_DOWN ? SDL_MOUSEBUTTONDOWN : SDL_MOUSEBUTTONUP;
        e.button.button = SDL_BUTTON_LEFT;
        e.button.clicks = (Uint8)MAX(event->clicks, 1);
        e.button.x = event->x;
        e.button.y = event->y;
        break;
    case UI_MOVE:
        e.type = SDL_MOUSEMOTION;
        e.motion.x = event->x;
        e.motion.y = event->y;
        break;
    case UI_WHEEL:
        e.type = SDL_MOUSEWHEEL;
        e.wheel.preciseY = (float)event->y / 100;
        break;
    case UI_DROP:
        e.type = SDL_DROPFILE;
        e.drop.file = SDL_strdup(event->text);
        break;
    default:
        return false;
    }
    return SDL_PushEvent(&e) == 1;
}

/* --- painting ----------------------------------------------------------------------------------------------------- */

static void paint(struct screen *s, const struct draw_list *d, const struct draw_command *c, bool dark)
{
    const uint32_t color = theme_color(dark, c->color);
    const SDL_Rect clip = {c->r.x, c->r.y, c->r.w, c->r.h};
    switch (c->kind) {
    case DRAW_CLIP:
        SDL_RenderSetClipRect(s->renderer, &clip);
        break;
    case DRAW_FILL:
        shapes_fill(s->shapes, s->renderer, c->r, c->radius, color);
        break;
    case DRAW_FRAME:
        shapes_frame(s->shapes, s->renderer, c->r, c->radius, c->line, color);
        break;
    case DRAW_SHADOW:
        shapes_shadow(s->shapes, s->renderer, c->r, c->radius, color);
        break;
    case DRAW_TEXT:
        fonts_paint(s->fonts, s->renderer, c->font, d->text + c->text, c->n_text, c->r.x, c->r.y, color);
        break;
    case DRAW_ICON:
        shapes_icon(s->shapes, s->renderer, c->r, c->icon, color);
        break;
    }
}

void screen_paint(struct screen *s, const struct draw_list *d, bool dark)
{
    const uint32_t back = theme_color(dark, COLOR_BACK);
    fonts_next_frame(s->fonts);
    SDL_RenderSetClipRect(s->renderer, NULL);
    SDL_SetRenderDrawColor(s->renderer, (Uint8)(back >> 24), (Uint8)(back >> 16), (Uint8)(back >> 8), 255);
    SDL_RenderClear(s->renderer);
    for (size_t i = 0; i < d->n; i++) paint(s, d, &d->commands[i], dark);
    SDL_RenderSetClipRect(s->renderer, NULL);
    SDL_RenderPresent(s->renderer);
}

void screen_follow(struct screen *s, const struct ui *ui)
{
    if (ui->cursor != s->cursor && s->cursors[ui->cursor] != NULL) {
        SDL_SetCursor(s->cursors[ui->cursor]);
        s->cursor = ui->cursor;
    }
    if (ui->wants_text != s->text_input) {
        s->text_input = ui->wants_text;
        if (s->text_input)
            SDL_StartTextInput();
        else
            SDL_StopTextInput();
    }
    if (!ui->wants_text) return;
    int w = 1, points = 1, unused = 0;
    SDL_GetRendererOutputSize(s->renderer, &w, &unused);
    SDL_GetWindowSize(s->window, &points, &unused);
    const SDL_Rect r = {ui->caret.x * points / MAX(w, 1), ui->caret.y * points / MAX(w, 1), 1,
                        ui->caret.h * points / MAX(w, 1)};
    if (SDL_RectEquals(&r, &s->ime)) return;
    s->ime = r;
    SDL_SetTextInputRect(&s->ime);
}

void screen_copy(struct screen *s, const char *text)
{
    (void)s;
    (void)SDL_SetClipboardText(text);
}

char *screen_paste(void *s)
{
    (void)s;
    char *text = SDL_GetClipboardText();
    char *copy = text != NULL ? mem_strdup(text) : NULL;
    SDL_free(text);
    return copy;
}

void screen_open_url(const char *url)
{
    (void)SDL_OpenURL(url);
}

void screen_hide(struct screen *s)
{
    SDL_HideWindow(s->window);
}

void screen_title(struct screen *s, const char *title)
{
    if (strcmp(SDL_GetWindowTitle(s->window), title) != 0) SDL_SetWindowTitle(s->window, title);
}

void screen_notice(struct screen *s)
{
    if (!s->focused) (void)SDL_FlashWindow(s->window, SDL_FLASH_UNTIL_FOCUSED);
}

const char *screen_renderer(struct screen *s)
{
    SDL_RendererInfo info;
    return SDL_GetRendererInfo(s->renderer, &info) == 0 ? info.name : "?";
}

bool screen_save(struct screen *s, const char *path)
{
    int w = 0, h = 0;
    SDL_GetRendererOutputSize(s->renderer, &w, &h);
    SDL_Surface *surface = SDL_CreateRGBSurfaceWithFormat(0, w, h, 24, SDL_PIXELFORMAT_RGB24);
    if (surface == NULL) return false;
    const bool fine =
        SDL_RenderReadPixels(s->renderer, NULL, SDL_PIXELFORMAT_RGB24, surface->pixels, surface->pitch) == 0 &&
        SDL_SaveBMP(surface, path) == 0;
    SDL_FreeSurface(surface);
    return fine;
}

static bool file_says(const char *path, const char *what)
{
    char *text = NULL;
    size_t n = 0;
    const bool says = platform_read(path, 1 << 16, &text, &n) == PUMICE_OK && strstr(text, what) != NULL;
    mem_free(text);
    return says;
}

bool screen_system_dark(void)
{
    const char *theme = getenv("GTK_THEME"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (theme != NULL) return strstr(theme, "dark") != NULL || strstr(theme, "Dark") != NULL;
    for (int version = 4; version >= 3; version--) {
        char path[1024];
        if (config != NULL && config[0] == '/')
            SDL_snprintf(path, sizeof path, "%s/gtk-%d.0/settings.ini", config, version);
        else
            SDL_snprintf(path, sizeof path, "%s/.config/gtk-%d.0/settings.ini", home != NULL ? home : "", version);
        if (file_says(path, "prefer-dark-theme=1") || file_says(path, "prefer-dark-theme=true") ||
            file_says(path, "-dark"))
            return true;
    }
    return false;
}
