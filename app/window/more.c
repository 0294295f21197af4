/* more: the sheets: conversations, model, settings; the list of keys; the question before a link is opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/window/view.h"

enum {
    SHEET_CLOSE = ID_SHEET,
    SHEET_PATH,
    SHEET_OPEN,
    SHEET_CONTEXT,
    SHEET_TOP_K,
    SHEET_TOP_P,
    SHEET_MIN_P,
    SHEET_SEED,
    SHEET_HISTORY,
    SHEET_SYSTEM,
    SHEET_APPLY,
    SHEET_THEME,
    SHEET_LANGUAGE,
    SHEET_SCROLL,
    SHEET_LIST_SCROLL,
    SHEET_LINK_OPEN,
    SHEET_LINK_COPY,
    SHEET_SEARCH = ID_SHEET + 20, /* view.c focuses it */
    SHEET_TITLE
};

void view_more_fini(struct more *m)
{
    struct editor *const all[] = {&m->path,  &m->context, &m->top_k,  &m->top_p,  &m->min_p,
                                  &m->seed,  &m->history, &m->system, &m->search, &m->title};
    for (size_t i = 0; i < COUNT_OF(all); i++) editor_fini(all[i]);
    for (size_t i = 0; i < m->n_list; i++) {
        mem_free(m->list[i].id);
        mem_free(m->list[i].title);
        mem_free(m->list[i].match);
    }
    mem_free(m->list);
}

static void set_text(struct editor *e, const char *text)
{
    editor_set(e, text, strlen(text));
}

static void set_real(struct editor *e, double v)
{
    char text[32];
    snprintf(text, sizeof text, "%.3f", v);
    for (char *c = text; *c != 0; c++) /* whatever the locale */
        if (*c == ',') *c = '.';
    size_t n = strlen(text);
    while (n > 1 && text[n - 1] == '0') n--;
    if (text[n - 1] == '.') n--;
    editor_set(e, text, n);
}

static void set_whole(struct editor *e, long long v)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", v);
    set_text(e, text);
}

static void ask_list(struct view *v)
{
    const struct editor *e = &v->more.search;
    view_request(v, REQUEST_LIST, 0, e->text != NULL ? e->text : "", e->n, NULL);
}

void view_open_more(struct view *v)
{
    const struct configuration *c = &v->settings->configuration;
    struct more *m = &v->more;
    if (v->sheet == SHEET_MORE) return;
    v->sheet = SHEET_MORE;
    m->scroll = 0;
    m->renaming[0] = m->armed[0] = 0;
    set_text(&m->path, v->path);
    set_whole(&m->context, c->context);
    set_whole(&m->top_k, c->top_k);
    set_real(&m->top_p, c->top_p);
    set_real(&m->min_p, c->min_p);
    set_whole(&m->seed, c->seed);
    set_whole(&m->history, c->history);
    set_text(&m->system, c->system);
    set_text(&m->search, "");
    v->ui.focus = SHEET_SEARCH;
    ask_list(v);
    view_request(v, REQUEST_DEVICES, 0, NULL, 0, NULL);
}

/* --- pieces of the sheet; each moves *y ---------------------------------------------------------------------------- */

static void title(struct view *v, struct rect r, int *y, enum string_id id)
{
    struct ui *ui = &v->ui;
    const char *text = view_text(v, id);
    *y += ui_px(ui, 18);
    ui_text(ui, (struct rect){r.x, *y, r.w, ui_px(ui, 26)}, ui_font(ui, FACE_BOLD, 14), COLOR_TEXT, ALIGN_LEFT, text,
            strlen(text));
    *y += ui_px(ui, 32);
}

static enum field_result field(struct view *v, struct rect r, int *y, uint32_t id, struct editor *e, const char *hint,
                               int lines)
{
    const int h = ui_field_height(&v->ui, e, r.w, lines);
    const enum field_result result = ui_field(&v->ui, id, (struct rect){r.x, *y, r.w, h}, e, hint, true);
    *y += h + ui_px(&v->ui, 8);
    return result;
}

/* A number with its name at the left; true when the text in it is a number in range, and another than *value. */
static bool number(struct view *v, struct rect r, int *y, uint32_t id, struct editor *e, enum string_id name, double low,
                   double high, bool whole, double *value)
{
    struct ui *ui = &v->ui;
    const int w = ui_px(ui, 130), h = ui_field_height(ui, e, w, 1);
    ui_label(ui, (struct rect){r.x, *y, r.w - w - ui_px(ui, 10), h}, 13, COLOR_TEXT, ALIGN_LEFT, view_text(v, name));
    (void)ui_field(ui, id, (struct rect){r.x + r.w - w, *y, w, h}, e, "", true);
    char *end = NULL;
    const double n = e->n > 0 ? strtod(e->text, &end) : 0;
    const bool good = e->n > 0 && *end == 0 && n >= low && n <= high && (!whole || n == (double)(long long)n);
    if (!good)
        draw_frame(&ui->draw, (struct rect){r.x + r.w - w, *y, w, h}, ui_px(ui, 10), MAX(ui_px(ui, 2), 1),
                   COLOR_ERROR_TEXT);
    *y += h + ui_px(ui, 8);
    if (!good || n == *value) return false;
    *value = n;
    return true;
}

static void conversation_row(struct view *v, struct rect r, size_t i)
{
    struct ui *ui = &v->ui;
    struct more *m = &v->more;
    const struct shown_conversation *c = &m->list[i];
    const uint32_t id = (uint32_t)(ID_LIST + i * 4);
    const int size = ui_px(ui, 28), y = r.y + (r.h - size) / 2;
    char below[300];
    const bool current = strcmp(c->id, v->conversation) == 0, armed = strcmp(c->id, m->armed) == 0;
    if (strcmp(c->id, m->renaming) == 0) {
        if (ui_field(ui, SHEET_TITLE, (struct rect){r.x, r.y + ui_px(ui, 4), r.w, r.h - ui_px(ui, 8)}, &m->title, "", true) ==
            FIELD_ENTER) {
            view_request(v, REQUEST_RENAME, 0, c->id, strlen(c->id), m->title.text != NULL ? m->title.text : "");
            m->renaming[0] = 0;
        }
        return;
    }
    const struct rect open = {r.x, r.y, r.w - 2 * size - ui_px(ui, 8), r.h};
    if (ui_row(ui, id, open, current) && !view_busy(v)) {
        view_request(v, REQUEST_OPEN, 0, c->id, strlen(c->id), NULL);
        v->sheet = SHEET_NONE;
        ui->focus = ID_INPUT;
    }
    const char *name = c->title != NULL && c->title[0] != 0 ? c->title : view_text(v, STRING_UNTITLED);
    ui_label(ui, (struct rect){open.x + ui_px(ui, 10), r.y + ui_px(ui, 4), open.w - ui_px(ui, 20), r.h / 2 - ui_px(ui, 2)},
             14, COLOR_TEXT, ALIGN_LEFT, name);
    if (armed)
        snprintf(below, sizeof below, "%s", view_text(v, STRING_DELETE_SURE));
    else if (c->match != NULL)
        snprintf(below, sizeof below, "%s", c->match);
    else
        strings_count(view_chinese(v), COUNT_MESSAGES, c->n_messages, below, sizeof below);
    ui_label(ui, (struct rect){open.x + ui_px(ui, 10), r.y + r.h / 2, open.w - ui_px(ui, 20), r.h / 2 - ui_px(ui, 4)}, 12,
             armed ? COLOR_ERROR_TEXT : COLOR_MUTED, ALIGN_LEFT, below);
    if (ui_icon(ui, id + 1, (struct rect){r.x + r.w - 2 * size, y, size, size}, LOOK_QUIET, ICON_EDIT,
                view_text(v, STRING_RENAME))) {
        snprintf(m->renaming, sizeof m->renaming, "%s", c->id);
        set_text(&m->title, c->title != NULL ? c->title : "");
        editor_select_all(&m->title);
        ui->focus = SHEET_TITLE;
    }
    if (ui_icon(ui, id + 2, (struct rect){r.x + r.w - size, y, size, size}, armed ? LOOK_ON : LOOK_QUIET, ICON_TRASH,
                view_text(v, STRING_DELETE_CONVERSATION))) {
        if (armed) view_request(v, REQUEST_DROP, 0, c->id, strlen(c->id), NULL);
        snprintf(m->armed, sizeof m->armed, "%s", armed ? "" : c->id);
    }
}

static void conversations(struct view *v, struct rect r, int *y)
{
    struct ui *ui = &v->ui;
    struct more *m = &v->more;
    const int row = ui_px(ui, 50), most = ui_px(ui, 300);
    title(v, r, y, STRING_CONVERSATIONS);
    if (field(v, r, y, SHEET_SEARCH, &m->search, view_text(v, STRING_SEARCH), 1) == FIELD_CHANGED) {
        m->list_scroll = 0;
        ask_list(v);
    }
    if (m->n_list == 0) {
        const enum string_id id = m->search.n > 0 ? STRING_NOTHING_FOUND : STRING_NO_CONVERSATIONS;
        if (m->listed) ui_label(ui, (struct rect){r.x, *y, r.w, row}, 13, COLOR_MUTED, ALIGN_LEFT, view_text(v, id));
        *y += m->listed ? row : 0;
        return;
    }
    const int content = (int)MIN(m->n_list, 100000) * row, h = MIN(content, most);
    const struct rect list = {r.x, *y, r.w, h};
    if (ui->event.kind == UI_WHEEL && ui_hovers(ui, list) && content > h) {
        m->list_scroll -= ui->event.y * ui_px(ui, 60) / 100;
        ui->event.kind = UI_NONE;
    }
    draw_clip_push(&ui->draw, rect_inset(list, -ui_px(ui, 3)));
    (void)ui_scrollbar(ui, SHEET_LIST_SCROLL, (struct rect){list.x, list.y, list.w + ui_px(ui, 12), list.h}, content,
                       &m->list_scroll);
    for (size_t i = (size_t)(m->list_scroll / row); i < m->n_list && (int)i * row < m->list_scroll + h; i++)
        conversation_row(v, (struct rect){list.x, list.y + (int)i * row - m->list_scroll, list.w, row}, i);
    draw_clip_pop(&ui->draw);
    *y += h + ui_px(ui, 8);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void models(struct view *v, struct rect r, int *y)
{
    struct ui *ui = &v->ui;
    struct more *m = &v->more;
    const int row = ui_px(ui, 36);
    title(v, r, y, STRING_MODEL);
    for (size_t i = 0; i <= SETTINGS_RECENT; i++) {
        const char *path = i == 0 ? "" : v->settings->recent[i - 1];
        if (i > 0 && path[0] == 0) continue;
        const struct rect place = {r.x, *y, r.w, row};
        const bool chosen = v->has_model && strcmp(path, v->path) == 0;
        if (ui_row(ui, (uint32_t)(ID_RECENT + i), place, chosen) && !view_busy(v)) view_open_model(v, path);
        ui_label(ui, (struct rect){r.x + ui_px(ui, 10), *y, r.w - ui_px(ui, 20), row}, 14, COLOR_TEXT, ALIGN_LEFT,
                 i == 0 ? view_text(v, STRING_BUILT_IN_MODEL) : file_name(path));
        *y += row + ui_px(ui, 2);
    }
    *y += ui_px(ui, 6);
    const char *open = view_text(v, STRING_OPEN);
    const int w = ui_px(ui, 76), h = ui_field_height(ui, &m->path, r.w, 1);
    const enum field_result result = ui_field(ui, SHEET_PATH, (struct rect){r.x, *y, r.w - w - ui_px(ui, 8), h}, &m->path,
                                              view_text(v, STRING_MODEL_PATH), true);
    const bool pressed = ui_button(ui, SHEET_OPEN, (struct rect){r.x + r.w - w, *y, w, h}, LOOK_PLAIN, open);
    if ((pressed || result == FIELD_ENTER) && !view_busy(v)) view_open_model(v, m->path.text != NULL ? m->path.text : "");
    *y += h + ui_px(ui, 8);
}

static void devices(struct view *v, struct rect r, int *y)
{
    struct ui *ui = &v->ui;
    struct more *m = &v->more;
    struct configuration *c = &v->settings->configuration;
    const int row = ui_px(ui, 34);
    title(v, r, y, STRING_DEVICE);
    for (size_t i = 0; i <= m->n_devices; i++) {
        const char *name = i == 0 ? "" : m->devices[i - 1].value, *label = i == 0 ? view_text(v, STRING_AUTOMATIC) : m->devices[i - 1].label;
        const bool chosen = strcmp(c->device, name) == 0;
        if (ui_row(ui, (uint32_t)(ID_DEVICE + i), (struct rect){r.x, *y, r.w, row}, chosen)) {
            snprintf(c->device, sizeof c->device, "%s", name);
            v->settings_changed = true;
        }
        ui_label(ui, (struct rect){r.x + ui_px(ui, 10), *y, r.w - ui_px(ui, 20), row}, 14, COLOR_TEXT, ALIGN_LEFT,
                 label);
        *y += row + ui_px(ui, 2);
    }
    double context = c->context;
    *y += ui_px(ui, 6);
    v->settings_changed |=
        number(v, r, y, SHEET_CONTEXT, &m->context, STRING_CONTEXT, 0, 1048576, true, &context);
    c->context = (int)context;
    const int w = ui_px(ui, 100);
    if (ui_button(ui, SHEET_APPLY, (struct rect){r.x + r.w - w, *y, w, ui_px(ui, 32)}, LOOK_PLAIN,
                  view_text(v, STRING_APPLY)) &&
        !view_busy(v))
        view_open_model(v, v->path);
    *y += ui_px(ui, 40);
}

static void sampling(struct view *v, struct rect r, int *y)
{
    struct more *m = &v->more;
    struct configuration *c = &v->settings->configuration;
    double top_k = c->top_k, seed = (double)c->seed, history = c->history;
    bool changed = false;
    title(v, r, y, STRING_SETTINGS);
    changed |= number(v, r, y, SHEET_HISTORY, &m->history, STRING_HISTORY, 0, 100000, true, &history);
    changed |= number(v, r, y, SHEET_TOP_K, &m->top_k, STRING_TOP_K, -1, 1000000, true, &top_k);
    changed |= number(v, r, y, SHEET_TOP_P, &m->top_p, STRING_TOP_P, -1, 1, false, &c->top_p);
    changed |= number(v, r, y, SHEET_MIN_P, &m->min_p, STRING_MIN_P, -1, 1, false, &c->min_p);
    changed |= number(v, r, y, SHEET_SEED, &m->seed, STRING_SEED, -1, 9007199254740992.0, true, &seed);
    if (!changed) return;
    c->history = (int)history;
    c->top_k = (int)top_k;
    c->seed = (int64_t)seed;
    v->settings_changed = true;
}

static void looks(struct view *v, struct rect r, int *y)
{
    struct ui *ui = &v->ui;
    const char *const themes[] = {view_text(v, STRING_SYSTEM_THEME), view_text(v, STRING_LIGHT), view_text(v, STRING_DARK)};
    const char *const languages[] = {view_text(v, STRING_SYSTEM_THEME), "English", "简体中文"};
    const int h = ui_px(ui, 34);
    title(v, r, y, STRING_LOOKS);
    v->settings_changed |= ui_choice(ui, SHEET_THEME, (struct rect){r.x, *y, r.w, h}, themes, 3, &v->settings->theme);
    *y += h + ui_px(ui, 8);
    v->settings_changed |=
        ui_choice(ui, SHEET_LANGUAGE, (struct rect){r.x, *y, r.w, h}, languages, 3, &v->settings->language);
    *y += h + ui_px(ui, 8);
}

static void draw_more(struct view *v, struct rect r)
{
    struct ui *ui = &v->ui;
    struct more *m = &v->more;
    struct configuration *c = &v->settings->configuration;
    const int pad = ui_px(ui, 22), head = ui_px(ui, 52), button = ui_px(ui, 36);
    const char *name = view_text(v, STRING_MORE);
    ui_text(ui, (struct rect){r.x + pad, r.y, r.w, head}, ui_font(ui, FACE_BOLD, 17), COLOR_TEXT, ALIGN_LEFT, name,
            strlen(name));
    if (ui_icon(ui, SHEET_CLOSE, (struct rect){r.x + r.w - pad - button + ui_px(ui, 8), r.y + (head - button) / 2, button, button},
                LOOK_QUIET, ICON_CLOSE, view_text(v, STRING_CLOSE)))
        v->sheet = SHEET_NONE;
    const struct rect body = {r.x, r.y + head, r.w, r.h - head};
    const struct rect inner = {r.x + pad, 0, r.w - 2 * pad, 0};
    if (m->content > 0) (void)ui_scrollbar(ui, SHEET_SCROLL, body, m->content, &m->scroll);
    draw_clip_push(&ui->draw, body);
    int y = body.y - m->scroll - ui_px(ui, 14);
    conversations(v, inner, &y);
    models(v, inner, &y);
    title(v, inner, &y, STRING_SYSTEM);
    if (field(v, inner, &y, SHEET_SYSTEM, &m->system, view_text(v, STRING_SYSTEM_HINT), 6) == FIELD_CHANGED) {
        snprintf(c->system, sizeof c->system, "%s", m->system.text != NULL ? m->system.text : "");
        v->settings_changed = true;
    }
    devices(v, inner, &y);
    sampling(v, inner, &y);
    looks(v, inner, &y);
    draw_clip_pop(&ui->draw);
    m->content = y + m->scroll - body.y + pad;
    if (ui->event.kind == UI_WHEEL) m->scroll -= ui->event.y * ui_px(ui, 72) / 100;
    m->scroll = MAX(MIN(m->scroll, m->content - body.h), 0);
    /* the focus moved by Tab is to be seen: scroll towards it */
    if (ui->ring && ui->event.kind == UI_KEY && ui->wants_text) {
        if (ui->caret.y + ui->caret.h > body.y + body.h - pad) m->scroll += ui->caret.y + ui->caret.h - body.y - body.h + 2 * pad;
        if (ui->caret.y < body.y + pad) m->scroll = MAX(m->scroll - (body.y + 2 * pad - ui->caret.y), 0);
    }
}

/* A box in the middle; its inside. */
static struct rect dialog(struct view *v, struct rect all, int w, int h, enum string_id name)
{
    struct ui *ui = &v->ui;
    const int pad = ui_px(ui, 24), radius = ui_px(ui, 14);
    w = MIN(ui_px(ui, w), all.w - 2 * pad);
    h = MIN(ui_px(ui, h), all.h - 2 * pad);
    const struct rect r = {(all.w - w) / 2, (all.h - h) / 2, w, h};
    if (ui_pressed(ui, all) && !ui_pressed(ui, r)) v->sheet = SHEET_NONE;
    draw_shadow(&ui->draw, r, radius);
    draw_fill(&ui->draw, r, radius, COLOR_PANEL);
    const char *text = view_text(v, name);
    ui_text(ui, (struct rect){r.x + pad, r.y + pad / 2, w - 2 * pad, ui_px(ui, 36)}, ui_font(ui, FACE_BOLD, 17), COLOR_TEXT,
            ALIGN_LEFT, text, strlen(text));
    return (struct rect){r.x + pad, r.y + pad / 2 + ui_px(ui, 42), w - 2 * pad, h - pad - ui_px(ui, 42)};
}

static void draw_keys(struct view *v, struct rect all)
{
    struct ui *ui = &v->ui;
    const struct rect r = dialog(v, all, 640, 14 * 28 + 78, STRING_SHORTCUTS);
    const int row = MIN(ui_px(ui, 28), r.h / 14);
    for (int i = 0; i < 14; i++) {
        const char *text = view_text(v, (enum string_id)(STRING_KEYS_1 + i)), *bar = strchr(text, '|');
        const struct rect line = {r.x, r.y + i * row, r.w, row};
        const int left = r.w / 2;
        if (bar == NULL) continue;
        ui_text(ui, (struct rect){line.x, line.y, left - ui_px(ui, 10), row}, ui_font(ui, FACE_BOLD, 13), COLOR_TEXT,
                ALIGN_LEFT, text, (size_t)(bar - text));
        ui_label(ui, (struct rect){line.x + left, line.y, r.w - left, row}, 13, COLOR_TEXT, ALIGN_LEFT, bar + 1);
    }
}

static bool may_open(const char *url)
{
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0 || strncmp(url, "mailto:", 7) == 0;
}

static void draw_link(struct view *v, struct rect all)
{
    struct ui *ui = &v->ui;
    char shown[600];
    const char *url = v->link != NULL ? v->link : "";
    const bool good = may_open(url);
    const struct rect r = dialog(v, all, 560, good ? 168 : 210, STRING_LINK_TITLE);
    const int h = ui_px(ui, 34), w = ui_px(ui, 110);
    (void)str_escape(str_of(url), shown, sizeof shown);
    const int used = ui_paragraph(ui, r, 14, COLOR_LINK, shown, true);
    if (!good)
        (void)ui_paragraph(ui, (struct rect){r.x, r.y + used + ui_px(ui, 4), r.w, 0}, 13, COLOR_MUTED,
                           view_text(v, STRING_LINK_BAD), true);
    int x = r.x;
    const int y = r.y + r.h - h - ui_px(ui, 4);
    if (good && ui_button(ui, SHEET_LINK_OPEN, (struct rect){x, y, w, h}, LOOK_PRIMARY, view_text(v, STRING_OPEN))) {
        mem_free(v->open_url);
        v->open_url = mem_strdup(url);
        v->sheet = SHEET_NONE;
    }
    x += good ? w + ui_px(ui, 8) : 0;
    if (ui_button(ui, SHEET_LINK_COPY, (struct rect){x, y, w, h}, LOOK_PLAIN, view_text(v, STRING_COPY))) {
        ui_copy(ui, url, strlen(url));
        v->sheet = SHEET_NONE;
    }
    x += w + ui_px(ui, 8);
    if (ui_button(ui, SHEET_CLOSE, (struct rect){x, y, w, h}, LOOK_PLAIN, view_text(v, STRING_CANCEL)))
        v->sheet = SHEET_NONE;
}

void view_sheets(struct view *v, struct rect all)
{
    struct ui *ui = &v->ui;
    draw_fill(&ui->draw, all, 0, COLOR_SCRIM);
    if (v->sheet == SHEET_KEYS) {
        draw_keys(v, all);
    } else if (v->sheet == SHEET_LINK) {
        draw_link(v, all);
    } else if (v->sheet == SHEET_MORE) {
        const int w = MIN(ui_px(ui, 430), all.w);
        const struct rect r = {all.w - w, 0, w, all.h};
        if (ui_pressed(ui, all) && !ui_pressed(ui, r)) v->sheet = SHEET_NONE;
        draw_shadow(&ui->draw, r, ui_px(ui, 16));
        draw_fill(&ui->draw, r, 0, COLOR_PANEL);
        draw_more(v, r);
    }
}
