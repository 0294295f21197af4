/* view: state, keys, the frame around the conversation. */
#include "app/window/view.h"

#include <stdio.h>
#include <string.h>

enum { TOAST_MS = 8000, BLINK_MS = 500 };

static void copy_text(char *out, size_t out_bytes, const char *text)
{
    snprintf(out, out_bytes, "%s", text != NULL ? text : "");
}

void view_init(struct view *v, struct settings *settings)
{
    memset(v, 0, sizeof *v);
    v->settings = settings;
    v->state = STATE_LOADING;
    v->fraction = -1;
    v->editing = v->chosen = v->hovered = SIZE_MAX;
    v->bubbles.sticks = true;
    v->ui.percent = 100;
    v->ui.focus = ID_INPUT;
    v->ui.mx = v->ui.my = -100000;
    struct editor *const singles[] = {&v->more.path, &v->more.context, &v->more.top_k, &v->more.top_p, &v->more.min_p,
                                      &v->more.seed, &v->more.history, &v->more.search, &v->more.title};
    for (size_t i = 0; i < COUNT_OF(singles); i++) singles[i]->single = true;
    v->more.title.max_bytes = 200;
    v->more.path.max_bytes = sizeof v->path - 1;
    v->more.system.max_bytes = sizeof settings->configuration.system - 1;
    copy_text(v->path, sizeof v->path, settings->model);
}

void view_fini(struct view *v)
{
    ui_fini(&v->ui);
    bubbles_fini(&v->bubbles);
    editor_fini(&v->input);
    view_more_fini(&v->more);
    mem_free(v->draft);
    mem_free(v->link);
    mem_free(v->open_url);
    memset(v, 0, sizeof *v);
}

bool view_chinese(const struct view *v)
{
    return v->settings->language == LANGUAGE_AUTO ? v->system_chinese : v->settings->language == LANGUAGE_CHINESE;
}

bool view_dark(const struct view *v)
{
    return v->settings->theme == THEME_AUTO ? v->system_dark : v->settings->theme == THEME_DARK;
}

const char *view_text(const struct view *v, enum string_id id)
{
    return strings_get(view_chinese(v), id);
}

bool view_busy(const struct view *v)
{
    return v->state == STATE_PREFILL || v->state == STATE_GENERATING || v->state == STATE_STOPPING;
}

void view_request(struct view *v, enum request_kind kind, uint32_t index, const char *text, size_t n, const char *more)
{
    char *copy = mem_alloc(n + 1);
    if (copy == NULL) return;
    if (n > 0) memcpy(copy, text, n);
    copy[n] = 0;
    const struct request r = {.kind = kind,
                              .index = index,
                              .text = copy,
                              .n_text = n,
                              .more = (char *)more,
                              .configuration = v->settings->configuration};
    if (v->send != NULL) v->send(v->user, &r);
    mem_free(copy);
}

void view_toast(struct view *v, const char *text, bool undo, const char *id)
{
    snprintf(v->toast.text, sizeof v->toast.text, "%s", text);
    snprintf(v->toast.id, sizeof v->toast.id, "%s", id != NULL ? id : "");
    v->toast.undo = undo;
    v->toast.until_ms = v->ui.now_ms + TOAST_MS;
}

/* --- the worker's events ------------------------------------------------------------------------------------------- */

static void take_messages(struct view *v, struct event *e)
{
    char id[sizeof v->conversation];
    copy_text(id, sizeof id, e->text);
    if (strcmp(id, v->conversation) != 0) {
        /* a new conversation gets its id at its first message: that is no change */
        if (v->conversation[0] != 0 || v->bubbles.n == 0) v->bubbles.sticks = true;
        memcpy(v->conversation, id, sizeof id);
        v->bubbles.selected = false;
        v->chosen = SIZE_MAX;
    }
    copy_text(v->title, sizeof v->title, e->more);
    v->can_undo = e->can_undo;
    v->can_redo = e->can_redo;
    for (size_t i = 0; i < e->n; i++)
        if (e->messages[i].text == NULL) e->messages[i].n = 0; /* memory ran out */
    const bool edited = v->editing != SIZE_MAX && v->editing < e->n && e->messages[v->editing].key == v->edited_key;
    (void)bubbles_set(&v->bubbles, e->messages, e->n);
    if (v->chosen != SIZE_MAX && v->chosen >= v->bubbles.n) v->chosen = SIZE_MAX;
    if (!edited) view_leave_edit(v); /* what stands there now is another message */
    if (e->path == NULL) return;
    copy_text(v->settings->configuration.system, sizeof v->settings->configuration.system, e->path);
    editor_set(&v->more.system, e->path, strlen(e->path));
}

static void take_list(struct view *v, struct event *e)
{
    struct more *m = &v->more;
    for (size_t i = 0; i < e->n; i++) /* memory ran out: not one of them is shown */
        if (e->conversations[i].id == NULL) return;
    struct shown_conversation *old = m->list;
    const size_t n_old = m->n_list;
    m->list = e->conversations;
    m->n_list = e->n;
    m->listed = true;
    e->conversations = old; /* freed with the event */
    e->n = n_old;
}

static void take_devices(struct view *v, const char *names)
{
    struct more *m = &v->more;
    m->n_devices = 0;
    while (*names != 0 && m->n_devices < COUNT_OF(m->devices)) {
        const size_t n = strcspn(names, "\n");
        const size_t tab = MIN(strcspn(names, "\t"), n), after = MIN(tab + 1, n);
        snprintf(m->devices[m->n_devices].value, sizeof m->devices[0].value, "%.*s", (int)tab, names);
        snprintf(m->devices[m->n_devices].label, sizeof m->devices[0].label, "%.*s", (int)(n - after), names + after);
        m->n_devices++;
        names += n + (names[n] == '\n' ? 1 : 0);
    }
}

static void send_input(struct view *v);

static void take_state(struct view *v, const struct event *e)
{
    v->state = e->state;
    v->fraction = e->fraction;
    v->checking = e->checking;
    if (v->state == STATE_IDLE && v->send_when_ready) send_input(v);
}

static void take_model(struct view *v, const struct event *e)
{
    v->has_model = true;
    copy_text(v->model, sizeof v->model, e->text);
    copy_text(v->device, sizeof v->device, e->more);
    copy_text(v->path, sizeof v->path, e->path);
    v->software = e->software;
    v->starter = e->starter;
    v->capacity = e->capacity;
    v->used = 0;
    v->prefill = v->decode = 0;
    if (v->problem.loading || v->problem.status == PUMICE_DEVICE) v->problem.shown = false;
    copy_text(v->settings->model, sizeof v->settings->model, e->path);
    settings_add_recent(v->settings, v->path);
    v->settings_changed = true;
}

static void take_problem(struct view *v, const struct event *e)
{
    v->problem.shown = true;
    v->problem.loading = e->loading;
    v->problem.status = e->status;
    v->send_when_ready = false;
    copy_text(v->problem.text, sizeof v->problem.text, e->text);
}

void view_take(struct view *v, struct event *e)
{
    char text[256];
    switch (e->kind) {
    case EVENT_STATE:
        take_state(v, e);
        break;
    case EVENT_MESSAGES:
        take_messages(v, e);
        break;
    case EVENT_TEXT:
        if (e->text != NULL) (void)bubbles_append(&v->bubbles, e->text, e->n);
        break;
    case EVENT_STATS:
        v->used = e->used;
        v->capacity = e->capacity;
        if (e->prefill > 0) v->prefill = e->prefill;
        if (e->decode > 0) v->decode = e->decode;
        break;
    case EVENT_MODEL:
        take_model(v, e);
        break;
    case EVENT_PROBLEM:
        take_problem(v, e);
        break;
    case EVENT_FORGOT:
        strings_count(view_chinese(v), COUNT_FORGOT, e->n, text, sizeof text);
        view_toast(v, text, false, NULL);
        break;
    case EVENT_LIST:
        take_list(v, e);
        break;
    case EVENT_DEVICES:
        take_devices(v, e->text != NULL ? e->text : "");
        break;
    case EVENT_QUIT:
        break;
    }
    event_free(e);
}

void event_free(struct event *e)
{
    if (e == NULL) return;
    for (size_t i = 0; e->messages != NULL && i < e->n; i++) mem_free(e->messages[i].text);
    for (size_t i = 0; e->conversations != NULL && i < e->n; i++) {
        mem_free(e->conversations[i].id);
        mem_free(e->conversations[i].title);
        mem_free(e->conversations[i].match);
    }
    mem_free(e->messages);
    mem_free(e->conversations);
    mem_free(e->text);
    mem_free(e->more);
    mem_free(e->path);
    mem_free(e);
}

/* --- what the person does ------------------------------------------------------------------------------------------ */

void view_edit(struct view *v, size_t message)
{
    if (message >= v->bubbles.n || view_busy(v)) return;
    const struct shown_message *m = &v->bubbles.list[message].m;
    if (v->editing == SIZE_MAX) {
        mem_free(v->draft);
        v->draft = mem_strdup(v->input.text != NULL ? v->input.text : "");
    }
    v->editing = message;
    v->edited_key = m->key;
    editor_set(&v->input, m->text, m->n);
    v->ui.focus = ID_INPUT;
}

void view_leave_edit(struct view *v)
{
    if (v->editing == SIZE_MAX) return;
    v->editing = SIZE_MAX;
    editor_set(&v->input, v->draft != NULL ? v->draft : "", v->draft != NULL ? strlen(v->draft) : 0);
    mem_free(v->draft);
    v->draft = NULL;
}

static bool only_spaces(const struct editor *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->text[i] != ' ' && e->text[i] != '\n' && e->text[i] != '\t') return false;
    return true;
}

static void send_input(struct view *v)
{
    v->send_when_ready = false;
    if (only_spaces(&v->input) || view_busy(v)) return;
    if (v->state == STATE_LOADING) {
        v->send_when_ready = true;
        return;
    }
    if (v->state == STATE_NO_MODEL) {
        view_open_more(v);
        return;
    }
    v->problem.shown = false;
    v->toast.text[0] = 0; /* its Undo would take this back */
    if (v->editing != SIZE_MAX) {
        view_request(v, REQUEST_EDIT, (uint32_t)v->editing, v->input.text, v->input.n, NULL);
        view_leave_edit(v);
    } else {
        view_request(v, REQUEST_SEND, 0, v->input.text, v->input.n, NULL);
        editor_set(&v->input, "", 0);
    }
    v->state = STATE_PREFILL; /* at once, not when the worker says so */
    v->fraction = -1;
    v->chosen = SIZE_MAX;
    bubbles_scroll_to_end(&v->bubbles);
}

static void stop_answer(struct view *v)
{
    if (!view_busy(v) || v->state == STATE_STOPPING) return;
    v->state = STATE_STOPPING;
    if (v->stop != NULL) v->stop(v->user);
}

static void new_conversation(struct view *v)
{
    if (v->bubbles.n == 0 || view_busy(v)) return;
    view_toast(v, view_text(v, STRING_CLEARED), v->conversation[0] != 0, v->conversation);
    view_request(v, REQUEST_NEW, 0, NULL, 0, NULL);
    v->ui.focus = ID_INPUT;
}

void view_open_model(struct view *v, const char *path)
{
    v->problem.shown = false;
    v->sheet = SHEET_NONE;
    v->ui.focus = ID_INPUT;
    view_request(v, REQUEST_MODEL, 0, path, strlen(path), NULL);
    v->state = STATE_LOADING;
    v->fraction = -1;
}

static void zoom(struct view *v, int percent)
{
    v->settings->zoom = MAX(MIN(percent, 300), 50);
    v->settings_changed = true;
}

static bool zoom_keys(struct view *v)
{
    struct ui *ui = &v->ui;
    if (ui_key(ui, '+', MOD_CTRL) || ui_key(ui, '=', MOD_CTRL) || ui_key(ui, '+', MOD_CTRL | MOD_SHIFT) ||
        ui_key(ui, '=', MOD_CTRL | MOD_SHIFT)) {
        zoom(v, v->settings->zoom + 10);
    } else if (ui_key(ui, '-', MOD_CTRL)) {
        zoom(v, v->settings->zoom - 10);
    } else if (ui_key(ui, '0', MOD_CTRL)) {
        zoom(v, 100);
    } else {
        return false;
    }
    return true;
}

/* Keys that mean the same wherever the focus is; before the widgets. */
static void early_keys(struct view *v)
{
    struct ui *ui = &v->ui;
    if (zoom_keys(v) || v->input.n_preedit > 0) return;
    if (ui_key(ui, KEY_F1, 0)) {
        v->sheet = v->sheet == SHEET_KEYS ? SHEET_NONE : SHEET_KEYS;
    } else if (ui_key(ui, ',', MOD_CTRL)) {
        if (v->sheet == SHEET_MORE)
            v->sheet = SHEET_NONE;
        else
            view_open_more(v);
    } else if (ui_key(ui, 'f', MOD_CTRL)) {
        view_open_more(v);
        ui->focus = ID_SHEET + 20;
    } else if (ui->event.kind == UI_KEY && ui->event.key == KEY_ESCAPE) {
        ui->event.kind = UI_NONE;
        if (v->sheet != SHEET_NONE) {
            v->sheet = SHEET_NONE;
            ui->focus = ID_INPUT;
        } else if (view_busy(v)) {
            stop_answer(v);
        } else if (v->editing != SIZE_MAX) {
            view_leave_edit(v);
        } else {
            v->bubbles.selected = false;
            v->chosen = SIZE_MAX;
            ui->focus = ID_INPUT;
        }
    } else if (v->sheet == SHEET_NONE && ui_key(ui, 'n', MOD_CTRL)) {
        new_conversation(v);
    } else if (v->sheet == SHEET_NONE && ui_key(ui, 'r', MOD_CTRL) && v->state == STATE_IDLE && v->bubbles.n > 0) {
        view_request(v, REQUEST_REGENERATE, 0, NULL, 0, NULL);
        v->state = STATE_PREFILL;
        bubbles_scroll_to_end(&v->bubbles);
    }
}

/* Keys that the widgets left. */
static void late_keys(struct view *v)
{
    struct ui *ui = &v->ui;
    size_t n = 0;
    if (ui->event.kind == UI_DROP) {
        stop_answer(v); /* what it has said so far stays */
        view_open_model(v, ui->event.text);
    }
    if (v->sheet != SHEET_NONE) return;
    if (ui_key(ui, 'c', MOD_CTRL)) {
        char *text = bubbles_selected_text(&v->bubbles, &n);
        if (text != NULL) ui_copy(ui, text, n);
        mem_free(text);
    }
    if (view_busy(v)) return;
    if (ui_key(ui, 'z', MOD_CTRL) && v->can_undo) view_request(v, REQUEST_UNDO, 0, NULL, 0, NULL);
    if ((ui_key(ui, 'y', MOD_CTRL) || ui_key(ui, 'z', MOD_CTRL | MOD_SHIFT)) && v->can_redo)
        view_request(v, REQUEST_REDO, 0, NULL, 0, NULL);
    if (ui_key(ui, KEY_F2, 0))
        for (size_t i = v->bubbles.n; i-- > 0;)
            if (v->bubbles.list[i].m.user) {
                view_edit(v, v->chosen != SIZE_MAX ? v->chosen : i);
                break;
            }
}

/* --- the parts of the frame ---------------------------------------------------------------------------------------- */

/* A slider with its name, value and what the value means; returns its height. */
static int labelled_slider(struct view *v, uint32_t id, struct rect r, double *value, double low, double high,
                           double step, enum string_id name, const char *format, enum string_id hint, bool *changed)
{
    struct ui *ui = &v->ui;
    char text[32];
    const int line = ui_px(ui, 22);
    snprintf(text, sizeof text, format, *value);
    ui_text(ui, (struct rect){r.x, r.y, r.w - ui_px(ui, 40), line}, ui_font(ui, FACE_BOLD, 13), COLOR_TEXT, ALIGN_LEFT,
            view_text(v, name), strlen(view_text(v, name)));
    ui_label(ui, (struct rect){r.x, r.y, r.w, line}, 13, COLOR_TEXT, ALIGN_RIGHT, text);
    *changed = ui_slider(ui, id, (struct rect){r.x, r.y + line, r.w, ui_px(ui, 26)}, value, low, high, step,
                         view_text(v, name)) ||
               *changed;
    ui_label(ui, (struct rect){r.x, r.y + line + ui_px(ui, 26), r.w, ui_px(ui, 18)}, 12, COLOR_MUTED, ALIGN_LEFT,
             view_text(v, hint));
    return line + ui_px(ui, 44);
}

static void draw_column(struct view *v, struct rect r)
{
    struct ui *ui = &v->ui;
    struct configuration *c = &v->settings->configuration;
    const int pad = ui_px(ui, 20);
    const struct rect inner = {r.x + pad, r.y, r.w - 2 * pad, r.h};
    int y = r.y;
    bool changed = false;
    draw_fill(&ui->draw, r, 0, COLOR_PANEL);
    draw_fill(&ui->draw, (struct rect){r.x + r.w - 1, r.y, 1, r.h}, 0, COLOR_LINE);
    ui_text(ui, (struct rect){inner.x, y, inner.w, ui_px(ui, 52)}, ui_font(ui, FACE_BOLD, 18), COLOR_TEXT, ALIGN_LEFT,
            "pumice", 6);
    y += ui_px(ui, 68);
    double tokens = c->max_tokens;
    y += labelled_slider(v, ID_MAX_TOKENS, (struct rect){inner.x, y, inner.w, 0}, &tokens, 128, 4096, 64,
                         STRING_MAX_LENGTH, "%.0f", STRING_MAX_LENGTH_HINT, &changed);
    c->max_tokens = (int)tokens;
    y += ui_px(ui, 20);
    const double t = c->temperature;
    const enum string_id hint = t < 0.005  ? STRING_TEMPERATURE_ZERO
                                : t < 0.5  ? STRING_TEMPERATURE_LOW
                                : t < 1.05 ? STRING_TEMPERATURE_MIDDLE
                                           : STRING_TEMPERATURE_HIGH;
    y += labelled_slider(v, ID_TEMPERATURE, (struct rect){inner.x, y, inner.w, 0}, &c->temperature, 0, 1.5, 0.05,
                         STRING_TEMPERATURE, "%.2f", hint, &changed);
    y += ui_px(ui, 24);
    if (ui_button(ui, ID_CLEAR, (struct rect){inner.x, y, inner.w, ui_px(ui, 36)}, LOOK_PLAIN,
                  view_text(v, STRING_CLEAR)))
        new_conversation(v);
    v->settings_changed = v->settings_changed || changed;
}

static void state_text(const struct view *v, char *out, size_t out_bytes)
{
    out[0] = 0;
    switch (v->state) {
    case STATE_LOADING:
        if (v->fraction >= 0)
            snprintf(out, out_bytes, view_text(v, v->checking ? STRING_CHECKING_PART : STRING_LOADING_PART), (int)(v->fraction * 100));
        else
            snprintf(out, out_bytes, "%s", view_text(v, v->checking ? STRING_CHECKING : STRING_LOADING));
        break;
    case STATE_NO_MODEL:
        snprintf(out, out_bytes, "%s", view_text(v, STRING_NO_MODEL));
        break;
    case STATE_PREFILL:
        if (v->fraction >= 0)
            snprintf(out, out_bytes, view_text(v, STRING_READING), (int)(v->fraction * 100));
        else
            snprintf(out, out_bytes, "%s", view_text(v, STRING_THINKING));
        break;
    case STATE_GENERATING:
        snprintf(out, out_bytes, "%s", view_text(v, STRING_THINKING));
        break;
    case STATE_STOPPING:
        snprintf(out, out_bytes, "%s", view_text(v, STRING_STOPPING));
        break;
    case STATE_IDLE:
        break;
    }
}

static void draw_top(struct view *v, struct rect r)
{
    struct ui *ui = &v->ui;
    char text[256];
    const int pad = ui_px(ui, 24), button = ui_px(ui, 36);
    const int room = r.w - 3 * pad - button;
    state_text(v, text, sizeof text);
    const struct font font = ui_font(ui, FACE_BODY, 13);
    const int w = text_width(ui->measure, font, text, strlen(text));
    const char *title = v->title[0] != 0 ? v->title : view_text(v, STRING_NEW_CONVERSATION);
    ui_text(ui, (struct rect){r.x + pad, r.y, MAX(room - (w > 0 ? w + pad : 0), 0), r.h}, ui_font(ui, FACE_BOLD, 15),
            COLOR_TEXT, ALIGN_LEFT, title, strlen(title));
    ui_text(ui, (struct rect){r.x + pad, r.y, room, r.h}, font, COLOR_LINK, ALIGN_RIGHT, text, strlen(text));
    if (ui_icon(ui, ID_MORE, (struct rect){r.x + r.w - pad - button + ui_px(ui, 8), r.y + (r.h - button) / 2, button, button},
                v->sheet == SHEET_MORE ? LOOK_ON : LOOK_QUIET, ICON_MORE, view_text(v, STRING_MORE)))
        view_open_more(v);
    const int line = MAX(ui_px(ui, 1), 1);
    draw_fill(&ui->draw, (struct rect){r.x, r.y + r.h - line, r.w, line}, 0, COLOR_LINE);
    if (v->fraction >= 0 && (v->state == STATE_LOADING || v->state == STATE_PREFILL))
        draw_fill(&ui->draw, (struct rect){r.x, r.y + r.h - 2 * line, (int)((float)r.w * v->fraction), 2 * line}, 0,
                  COLOR_ACCENT);
}

static void rate_text(double rate, char *out, size_t n)
{
    snprintf(out, n, rate < 10 ? "%.1f" : "%.0f", rate);
}

/* Model and device give way to the figures where there is not room for all. */
static void draw_foot(struct view *v, struct rect r)
{
    struct ui *ui = &v->ui;
    const struct font font = ui_font(ui, FACE_BODY, 12);
    char who[600], figures[400], rate[32];
    size_t n_who = 0, n = 0;
    if (!v->has_model) return;
    n_who = str_append(who, sizeof who, 0, "%s  ·  %s", v->starter ? view_text(v, STRING_BUILT_IN) : v->model, v->device);
    if (v->software) n_who = str_append(who, sizeof who, n_who, " (%s)", view_text(v, STRING_SOFTWARE));
    n = str_append(figures, sizeof figures, 0, "  ·  ");
    n = str_append(figures, sizeof figures, n, view_text(v, STRING_FOOT_TOKENS), v->used, v->capacity);
    if (v->prefill > 0) {
        rate_text(v->prefill, rate, sizeof rate);
        n = str_append(figures, sizeof figures, n, "  ·  ");
        n = str_append(figures, sizeof figures, n, view_text(v, STRING_FOOT_PREFILL), rate);
    }
    if (v->decode > 0) {
        rate_text(v->decode, rate, sizeof rate);
        n = str_append(figures, sizeof figures, n, "  ·  ");
        n = str_append(figures, sizeof figures, n, view_text(v, STRING_FOOT_DECODE), rate);
    }
    const int margin = ui_px(ui, 24), room = r.w - 2 * margin;
    const int w_figures = MIN(text_width(ui->measure, font, figures, n), room);
    const int w_who = MIN(text_width(ui->measure, font, who, n_who), room - w_figures);
    const int x = r.x + margin + (room - w_who - w_figures) / 2;
    ui_text(ui, (struct rect){x, r.y, w_who, r.h}, font, COLOR_MUTED, ALIGN_LEFT, who, n_who);
    ui_text(ui, (struct rect){x + w_who, r.y, w_figures, r.h}, font, COLOR_MUTED, ALIGN_LEFT, figures, n);
}

static void draw_input(struct view *v, struct rect r)
{
    struct ui *ui = &v->ui;
    const int button = ui_px(ui, 38);
    const bool busy = view_busy(v);
    const struct rect field = {r.x, r.y, r.w - button - ui_px(ui, 10), r.h};
    const struct rect send = {r.x + r.w - button, r.y + r.h - button, button, button};
    const char *hint = view_text(v, busy                       ? STRING_INPUT_BUSY
                                    : v->state == STATE_LOADING ? STRING_INPUT_WAIT
                                                                : STRING_INPUT_HINT);
    const enum field_result result = ui_field(ui, ID_INPUT, field, &v->input, hint, !busy);
    if (result == FIELD_CHANGED) v->send_when_ready = false;
    if (result == FIELD_ENTER) send_input(v);
    if (busy) {
        if (ui_icon(ui, ID_SEND, send, LOOK_PRIMARY, ICON_STOP, view_text(v, STRING_STOP))) stop_answer(v);
    } else if (ui_icon(ui, ID_SEND, send, LOOK_PRIMARY, ICON_SEND, view_text(v, STRING_SEND))) {
        send_input(v);
    }
}

/* The remedies that fit the problem. */
static void problem_buttons(struct view *v, struct rect r)
{
    struct ui *ui = &v->ui;
    struct configuration *c = &v->settings->configuration;
    const bool memory = v->problem.status == PUMICE_MEMORY, device = v->problem.status == PUMICE_DEVICE;
    const struct {
        bool shown;
        enum string_id label;
    } buttons[] = {{device || memory || v->problem.loading, STRING_TRY_AGAIN},
                   {memory, STRING_SMALLER_CONTEXT},
                   {(memory || device) && strcmp(c->device, "cpu") != 0, STRING_USE_CPU},
                   {memory || v->problem.loading, STRING_OTHER_MODEL},
                   {true, STRING_DISMISS}};
    int x = r.x;
    for (size_t i = 0; i < COUNT_OF(buttons); i++) {
        const char *label = view_text(v, buttons[i].label);
        const int w = text_width(ui->measure, ui_font(ui, FACE_BODY, 14), label, strlen(label)) + ui_px(ui, 24);
        if (!buttons[i].shown) continue;
        if (ui_button(ui, (uint32_t)(ID_PROBLEM + i), (struct rect){x, r.y, w, ui_px(ui, 30)}, LOOK_PLAIN, label)) {
            v->problem.shown = false;
            if (i == 1) c->context = (int)MAX(v->capacity > 0 ? v->capacity / 2 : 2048, 512);
            if (i == 2) snprintf(c->device, sizeof c->device, "cpu");
            if (i <= 2) {
                view_request(v, REQUEST_RETRY, 0, NULL, 0, NULL);
                v->state = STATE_LOADING;
                v->fraction = -1;
                v->settings_changed = true;
            }
            if (i == 3) view_open_more(v);
        }
        x += w + ui_px(ui, 8);
    }
}

static int draw_problem(struct view *v, struct rect r, bool draw)
{
    struct ui *ui = &v->ui;
    const int pad = ui_px(ui, 14), line = ui_px(ui, 24);
    const enum string_id title = v->problem.status == PUMICE_MEMORY    ? STRING_OUT_OF_MEMORY
                                 : v->problem.status == PUMICE_DEVICE ? STRING_DEVICE_LOST
                                 : v->problem.loading ? (v->has_model ? STRING_LOAD_FAILED_OLD : STRING_LOAD_FAILED)
                                                      : STRING_PROBLEM;
    const struct rect text = {r.x + pad, r.y + pad + line, r.w - 2 * pad, 0};
    const int body = ui_paragraph(ui, text, 13, COLOR_ERROR_TEXT, v->problem.text, false);
    const int h = pad + line + body + ui_px(ui, 44) + pad / 2;
    if (!draw) return h;
    draw_fill(&ui->draw, (struct rect){r.x, r.y, r.w, h}, ui_px(ui, 10), COLOR_ERROR_BACK);
    ui_text(ui, (struct rect){text.x, r.y + pad - ui_px(ui, 2), text.w, line}, ui_font(ui, FACE_BOLD, 14), COLOR_ERROR_TEXT,
            ALIGN_LEFT, view_text(v, title), strlen(view_text(v, title)));
    (void)ui_paragraph(ui, text, 13, COLOR_ERROR_TEXT, v->problem.text, true);
    problem_buttons(v, (struct rect){text.x, text.y + body + ui_px(ui, 10), text.w, 0});
    return h;
}

static void draw_toast(struct view *v, struct rect above)
{
    struct ui *ui = &v->ui;
    if (v->toast.text[0] == 0 || ui->now_ms >= v->toast.until_ms) {
        v->toast.text[0] = 0;
        return;
    }
    const struct font font = ui_font(ui, FACE_BODY, 13);
    const char *undo = view_text(v, STRING_UNDO);
    const size_t n = strlen(v->toast.text);
    const int pad = ui_px(ui, 14), h = ui_px(ui, 38);
    const int w_undo = v->toast.undo ? text_width(ui->measure, font, undo, strlen(undo)) + 2 * pad : 0;
    const int w = MIN(text_width(ui->measure, font, v->toast.text, n) + 2 * pad + w_undo, above.w);
    const struct rect r = {above.x + (above.w - w) / 2, above.y - h - ui_px(ui, 10), w, h};
    draw_shadow(&ui->draw, r, ui_px(ui, 10));
    draw_fill(&ui->draw, r, ui_px(ui, 10), COLOR_NOTE_BACK);
    ui_text(ui, (struct rect){r.x + pad, r.y, r.w - 2 * pad - w_undo, r.h}, font, COLOR_NOTE_TEXT, ALIGN_LEFT,
            v->toast.text, n);
    if (!v->toast.undo) return;
    const struct rect button = {r.x + r.w - w_undo - ui_px(ui, 4), r.y + ui_px(ui, 4), w_undo, r.h - ui_px(ui, 8)};
    if (!ui_button(ui, ID_TOAST, button, LOOK_PLAIN, undo)) return;
    if (v->toast.id[0] != 0)
        view_request(v, REQUEST_OPEN, 0, v->toast.id, strlen(v->toast.id), NULL);
    else
        view_request(v, REQUEST_UNDO, 0, NULL, 0, NULL);
    v->toast.text[0] = 0;
}

static void draw_main(struct view *v, struct rect r)
{
    struct ui *ui = &v->ui;
    const int top = ui_px(ui, 52), foot = ui_px(ui, 28), gap = ui_px(ui, 10);
    const int w = MIN(r.w - ui_px(ui, 48), ui_px(ui, 860)), x = r.x + (r.w - w) / 2;
    const int note = v->editing != SIZE_MAX ? ui_px(ui, 22) : 0;
    const int input = ui_field_height(ui, &v->input, w - ui_px(ui, 48), 8);
    const int input_y = r.y + r.h - foot - gap / 2 - input;
    const int problem = v->problem.shown ? draw_problem(v, (struct rect){x, 0, w, 0}, false) + gap : 0;
    draw_top(v, (struct rect){r.x, r.y, r.w, top});
    const struct rect area = {r.x, r.y + top, r.w, MAX(input_y - problem - note - gap - r.y - top, 1)};
    v->area = area;
    view_talk(v, area);
    if (v->problem.shown) (void)draw_problem(v, (struct rect){x, area.y + area.h + gap / 2, w, 0}, true);
    if (note > 0)
        ui_label(ui, (struct rect){x + ui_px(ui, 12), input_y - note, w, note}, 12, COLOR_LINK, ALIGN_LEFT,
                 view_text(v, STRING_EDITING));
    draw_input(v, (struct rect){x, input_y, w, input});
    if (ui->refused) view_toast(v, view_text(v, STRING_TOO_LONG), false, NULL);
    ui->refused = false;
    draw_foot(v, (struct rect){r.x, r.y + r.h - foot, r.w, foot});
    draw_toast(v, (struct rect){x, area.y + area.h, w, 0});
}

/* What is typed while a button or a slider has the focus is meant for the message. A space presses the button. */
static void text_to_input(struct view *v)
{
    const struct ui_event *e = &v->ui.event;
    if (v->sheet != SHEET_NONE || view_busy(v)) return;
    v->ui.wants_text = true;
    const bool text = e->kind == UI_TEXT && e->text != NULL && strcmp(e->text, " ") != 0;
    if (text || (e->kind == UI_PREEDIT && e->text != NULL && e->text[0] != 0)) v->ui.focus = ID_INPUT;
}

void view_frame(struct view *v, const struct ui_event *event, struct rect all, int percent)
{
    struct ui *ui = &v->ui;
    ui->percent = MAX(percent * v->settings->zoom / 100, 25);
    ui_begin(ui, event, all);
    early_keys(v);
    if (ui->focus == 0 && v->sheet == SHEET_NONE && ui->event.kind != UI_DOWN) ui->focus = ID_INPUT;
    text_to_input(v);
    const int w = MAX(MIN(ui_px(ui, 236), all.w * 3 / 10), MIN(ui_px(ui, 212), all.w / 2));
    const bool sheet = v->sheet != SHEET_NONE;
    ui->enabled = !sheet;
    draw_fill(&ui->draw, all, 0, COLOR_BACK);
    draw_column(v, (struct rect){0, 0, w, all.h});
    draw_main(v, (struct rect){w, 0, all.w - w, all.h});
    ui->enabled = true;
    if (sheet) {
        ui->n_order = 0;
        view_sheets(v, all);
    }
    late_keys(v);
    ui_end(ui);
    bool there = ui->focus == ID_INPUT;
    for (size_t i = 0; i < ui->n_order && !there; i++) there = ui->order[i] == ui->focus;
    if (!there && !sheet) ui->focus = ID_INPUT; /* what had it is gone */
}

int view_due(const struct view *v)
{
    int due = -1;
    if (v->bubbles.unlaid > 0 || v->dragging) return 0;
    if (v->ui.blinks || v->state == STATE_GENERATING || v->state == STATE_PREFILL) due = BLINK_MS;
    if (v->toast.text[0] != 0) {
        const int left = v->toast.until_ms > v->ui.now_ms ? (int)(v->toast.until_ms - v->ui.now_ms) : 0;
        due = due < 0 ? left : MIN(due, left);
    }
    return due;
}
