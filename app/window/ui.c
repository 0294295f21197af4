/* ui: widgets. */
#include "app/window/ui.h"

#include <stdlib.h>
#include <string.h>

enum { NOWHERE = -100000 };

void ui_fini(struct ui *ui)
{
    draw_fini(&ui->draw);
    mem_free(ui->copy);
    memset(ui, 0, sizeof *ui);
}

int ui_px(const struct ui *ui, int points)
{
    return (points * ui->percent + 50) / 100;
}

struct font ui_font(const struct ui *ui, enum face face, int points)
{
    const int px = ui_px(ui, points);
    return (struct font){(uint8_t)face, (uint8_t)MAX(MIN(px, 255), 6)};
}

void ui_begin(struct ui *ui, const struct ui_event *event, struct rect all)
{
    draw_begin(&ui->draw, all);
    ui->all = all;
    ui->event = *event;
    ui->now_ms = event->ms;
    if (event->kind == UI_MOVE || event->kind == UI_DOWN || event->kind == UI_UP) {
        ui->mx = event->x;
        ui->my = event->y;
    }
    if (event->kind == UI_LEAVE) ui->mx = ui->my = NOWHERE;
    if (event->kind == UI_DOWN) {
        ui->down = true;
        ui->ring = false;
        ui->focus = 0; /* who is pressed takes it again */
    }
    if (event->kind != UI_NONE && event->kind != UI_LEAVE) ui->active_ms = event->ms;
    ui->hot = 0;
    ui->n_order = 0;
    ui->enabled = true;
    ui->cursor = CURSOR_ARROW;
    ui->wants_text = ui->blinks = false;
    ui->tip = NULL;
}

static void move_focus(struct ui *ui, bool back)
{
    size_t at = ui->n_order;
    if (ui->n_order == 0) return;
    for (size_t i = 0; i < ui->n_order; i++)
        if (ui->order[i] == ui->focus) at = i;
    if (at == ui->n_order)
        at = back ? ui->n_order - 1 : 0;
    else
        at = (at + (back ? ui->n_order - 1 : 1)) % ui->n_order;
    ui->focus = ui->order[at];
    ui->ring = true;
}

static void draw_tip(struct ui *ui)
{
    const struct font font = ui_font(ui, FACE_BODY, 12);
    const size_t n = strlen(ui->tip);
    const int pad = ui_px(ui, 6), w = text_width(ui->measure, font, ui->tip, n) + 2 * pad;
    const int h = text_height(ui->measure, font) + pad;
    struct rect r = {ui->tip_at.x + ui->tip_at.w / 2 - w / 2, ui->tip_at.y + ui->tip_at.h + ui_px(ui, 4), w, h};
    if (r.y + r.h > ui->all.h) r.y = ui->tip_at.y - h - ui_px(ui, 4);
    r.x = MAX(MIN(r.x, ui->all.w - w - 2), 2);
    draw_fill(&ui->draw, r, ui_px(ui, 5), COLOR_NOTE_BACK);
    ui_text(ui, r, font, COLOR_NOTE_TEXT, ALIGN_CENTER, ui->tip, n);
}

void ui_end(struct ui *ui)
{
    if (ui->event.kind == UI_KEY && ui->event.key == KEY_TAB && !(ui->event.mods & (MOD_CTRL | MOD_ALT)))
        move_focus(ui, (ui->event.mods & MOD_SHIFT) != 0);
    if (ui->event.kind == UI_UP) {
        ui->down = false;
        ui->active = 0;
    }
    if (ui->tip != NULL && ui->active == 0) draw_tip(ui);
}

bool ui_key(struct ui *ui, int key, int mods)
{
    if (ui->event.kind != UI_KEY || ui->event.key != key || ui->event.mods != mods) return false;
    ui->event.kind = UI_NONE;
    return true;
}

bool ui_hovers(const struct ui *ui, struct rect r)
{
    return ui->enabled && rect_has(rect_and(r, ui->draw.clips[ui->draw.n_clips - 1]), ui->mx, ui->my);
}

bool ui_pressed(const struct ui *ui, struct rect r)
{
    return ui->event.kind == UI_DOWN && ui_hovers(ui, r);
}

void ui_copy(struct ui *ui, const char *text, size_t n)
{
    char *copy = mem_alloc(n + 1);
    if (copy == NULL) return;
    if (n > 0) memcpy(copy, text, n);
    copy[n] = 0;
    mem_free(ui->copy);
    ui->copy = copy;
}

void ui_text(struct ui *ui, struct rect r, struct font font, enum color color, enum ui_align align, const char *text,
             size_t n)
{
    char cut[512];
    int w = text_width(ui->measure, font, text, n);
    if (w > r.w && r.w > 0 && n > 0) {
        const int dots = text_width(ui->measure, font, "\xe2\x80\xa6", 3);
        const size_t keep = MIN(text_fit(ui->measure, font, text, n, MAX(r.w - dots, 0)), sizeof cut - 4);
        memcpy(cut, text, keep);
        memcpy(cut + keep, "\xe2\x80\xa6", 3);
        text = cut;
        n = keep + 3;
        w = text_width(ui->measure, font, text, n);
    }
    const int h = text_height(ui->measure, font);
    const int x = align == ALIGN_LEFT ? r.x : (align == ALIGN_CENTER ? r.x + (r.w - w) / 2 : r.x + r.w - w);
    draw_text(&ui->draw, (struct rect){x, r.y + (r.h - h) / 2, w, h}, font, color, text, n);
}

void ui_label(struct ui *ui, struct rect r, int points, enum color color, enum ui_align align, const char *text)
{
    ui_text(ui, r, ui_font(ui, FACE_BODY, points), color, align, text, strlen(text));
}

int ui_paragraph(struct ui *ui, struct rect r, int points, enum color color, const char *text, bool draw)
{
    const struct font font = ui_font(ui, FACE_BODY, points);
    const int step = text_height(ui->measure, font) + ui_px(ui, 3);
    struct editor e = {0};
    editor_set(&e, text, strlen(text));
    editor_wrap(&e, ui->measure, font, r.w);
    for (size_t i = 0; draw && i < e.n_lines; i++)
        ui_text(ui, (struct rect){r.x, r.y + (int)i * step, r.w, step}, font, color, ALIGN_LEFT,
                e.text != NULL ? e.text + e.lines[i].begin : "", e.lines[i].end - e.lines[i].begin);
    const int h = (int)e.n_lines * step;
    editor_fini(&e);
    return h;
}

/* --- what can be clicked and have the focus ---------------------------------------------------------------------- */

static void can_focus(struct ui *ui, uint32_t id)
{
    if (ui->enabled && ui->n_order < COUNT_OF(ui->order)) ui->order[ui->n_order++] = id;
}

static bool focused(const struct ui *ui, uint32_t id)
{
    return ui->enabled && ui->focus == id;
}

static void draw_ring(struct ui *ui, uint32_t id, struct rect r, int radius)
{
    if (focused(ui, id) && ui->ring)
        draw_frame(&ui->draw, rect_inset(r, -ui_px(ui, 2)), radius + ui_px(ui, 2), MAX(ui_px(ui, 2), 1), COLOR_RING);
}

/* Hover, press and release, Enter and Space. */
static bool clicked(struct ui *ui, uint32_t id, struct rect r)
{
    const bool over = ui_hovers(ui, r);
    can_focus(ui, id);
    if (over) {
        ui->hot = id;
        ui->cursor = CURSOR_HAND;
    }
    if (ui_pressed(ui, r)) {
        ui->active = id;
        ui->focus = id;
    }
    if (ui->event.kind == UI_UP && ui->active == id && over) return true;
    return focused(ui, id) && (ui_key(ui, KEY_ENTER, 0) || ui_key(ui, ' ', 0));
}

bool ui_button(struct ui *ui, uint32_t id, struct rect r, enum ui_look look, const char *label)
{
    const bool hit = clicked(ui, id, r), over = ui->hot == id, pressed = over && ui->active == id;
    const int radius = ui_px(ui, 8);
    if (look == LOOK_PRIMARY) {
        draw_fill(&ui->draw, r, radius, over ? COLOR_ACCENT_HOVER : COLOR_ACCENT);
    } else {
        if (look != LOOK_QUIET || over)
            draw_fill(&ui->draw, r, radius, pressed ? COLOR_PRESS : (over || look == LOOK_ON ? COLOR_HOVER : COLOR_FIELD));
        if (look == LOOK_PLAIN) draw_frame(&ui->draw, r, radius, MAX(ui_px(ui, 1), 1), COLOR_LINE);
    }
    const struct rect inner = {r.x + ui_px(ui, 8), r.y, r.w - ui_px(ui, 16), r.h};
    ui_text(ui, inner, ui_font(ui, FACE_BODY, 14), look == LOOK_PRIMARY ? COLOR_ON_ACCENT : COLOR_TEXT, ALIGN_CENTER, label,
            strlen(label));
    draw_ring(ui, id, r, radius);
    return hit;
}

bool ui_icon(struct ui *ui, uint32_t id, struct rect r, enum ui_look look, enum icon icon, const char *tip)
{
    const bool hit = clicked(ui, id, r), over = ui->hot == id;
    const int radius = look == LOOK_PRIMARY ? r.h / 2 : ui_px(ui, 7), size = MIN(r.h * 5 / 8, ui_px(ui, 20));
    enum color color = COLOR_MUTED;
    if (look == LOOK_PRIMARY) {
        draw_fill(&ui->draw, r, radius, over ? COLOR_ACCENT_HOVER : COLOR_ACCENT);
        color = COLOR_ON_ACCENT;
    } else if (over || look == LOOK_ON) {
        draw_fill(&ui->draw, r, radius, over && ui->active == id ? COLOR_PRESS : COLOR_HOVER);
        color = COLOR_TEXT;
    }
    draw_icon(&ui->draw, (struct rect){r.x + (r.w - size) / 2, r.y + (r.h - size) / 2, size, size}, icon, color);
    draw_ring(ui, id, r, radius);
    if (over || (focused(ui, id) && ui->ring)) {
        ui->tip = tip;
        ui->tip_at = r;
    }
    return hit;
}

bool ui_row(struct ui *ui, uint32_t id, struct rect r, bool chosen)
{
    const bool hit = clicked(ui, id, r);
    if (ui->hot == id || chosen) draw_fill(&ui->draw, r, ui_px(ui, 7), chosen ? COLOR_PRESS : COLOR_HOVER);
    draw_ring(ui, id, rect_inset(r, ui_px(ui, 2)), ui_px(ui, 6));
    return hit;
}

bool ui_slider(struct ui *ui, uint32_t id, struct rect r, double *value, double low, double high, double step,
               const char *name)
{
    const int knob = ui_px(ui, 16), track = ui_px(ui, 4), room = MAX(r.w - knob, 1);
    const double before = *value;
    (void)name;
    can_focus(ui, id);
    if (ui_hovers(ui, r)) ui->cursor = CURSOR_HAND;
    if (ui_pressed(ui, r)) ui->active = ui->focus = id;
    double v = *value;
    if (ui->active == id && ui->enabled) v = low + (high - low) * (ui->mx - r.x - knob / 2) / room;
    if (focused(ui, id)) {
        if (ui_key(ui, KEY_LEFT, 0) || ui_key(ui, KEY_DOWN, 0)) v -= step;
        if (ui_key(ui, KEY_RIGHT, 0) || ui_key(ui, KEY_UP, 0)) v += step;
        if (ui_key(ui, KEY_PAGE_DOWN, 0)) v -= step * 10;
        if (ui_key(ui, KEY_PAGE_UP, 0)) v += step * 10;
        if (ui_key(ui, KEY_HOME, 0)) v = low;
        if (ui_key(ui, KEY_END, 0)) v = high;
    }
    if (v != *value) {
        const long steps = (long)((v - low) / step + (v >= low ? 0.5 : -0.5));
        v = low + (double)steps * step;
        *value = v < low ? low : (v > high ? high : v);
    }
    const int x = r.x + (int)(room * (*value - low) / (high - low)), y = r.y + r.h / 2;
    draw_fill(&ui->draw, (struct rect){r.x, y - track / 2, r.w, track}, track / 2, COLOR_TRACK);
    draw_fill(&ui->draw, (struct rect){r.x, y - track / 2, x - r.x + knob / 2, track}, track / 2, COLOR_ACCENT);
    const struct rect k = {x, y - knob / 2, knob, knob};
    draw_fill(&ui->draw, k, knob / 2, ui_hovers(ui, k) || ui->active == id ? COLOR_ACCENT_HOVER : COLOR_ACCENT);
    draw_ring(ui, id, k, knob / 2);
    return *value != before;
}

bool ui_choice(struct ui *ui, uint32_t id, struct rect r, const char *const *labels, int n, int *choice)
{
    const int before = *choice, radius = ui_px(ui, 8);
    can_focus(ui, id);
    draw_fill(&ui->draw, r, radius, COLOR_HOVER);
    for (int i = 0; i < n; i++) {
        const struct rect part = {r.x + r.w * i / n, r.y, r.w * (i + 1) / n - r.w * i / n, r.h};
        if (ui_hovers(ui, part)) ui->cursor = CURSOR_HAND;
        if (ui_pressed(ui, part)) {
            *choice = i;
            ui->focus = ui->active = id;
        }
        if (i == *choice) {
            draw_fill(&ui->draw, rect_inset(part, ui_px(ui, 2)), radius - ui_px(ui, 2), COLOR_FIELD);
            draw_frame(&ui->draw, rect_inset(part, ui_px(ui, 2)), radius - ui_px(ui, 2), MAX(ui_px(ui, 1), 1), COLOR_LINE);
        }
        ui_label(ui, rect_inset(part, ui_px(ui, 3)), 13, COLOR_TEXT, ALIGN_CENTER, labels[i]);
    }
    if (focused(ui, id)) {
        if (ui_key(ui, KEY_LEFT, 0)) *choice = (*choice + n - 1) % n;
        if (ui_key(ui, KEY_RIGHT, 0)) *choice = (*choice + 1) % n;
    }
    draw_ring(ui, id, r, radius);
    return *choice != before;
}

bool ui_scrollbar(struct ui *ui, uint32_t id, struct rect r, int content, int *scroll)
{
    const int before = *scroll, most = content - r.h, width = ui_px(ui, 8);
    if (most <= 0) {
        *scroll = 0;
        return before != 0;
    }
    const struct rect bar = {r.x + r.w - width - ui_px(ui, 3), r.y, width, r.h};
    const int length = MIN(MAX((int)((int64_t)r.h * r.h / content), ui_px(ui, 32)), r.h);
    if (ui_pressed(ui, rect_inset(bar, -ui_px(ui, 3)))) {
        ui->active = id;
        ui->event.kind = UI_NONE;
        const int at = r.y + (int)((int64_t)(r.h - length) * *scroll / most);
        ui->drag_y = ui->my >= at && ui->my < at + length ? ui->my - at : length / 2;
    }
    if (ui->active == id && r.h > length)
        *scroll = (int)((int64_t)(ui->my - ui->drag_y - r.y) * most / (r.h - length));
    *scroll = MAX(MIN(*scroll, most), 0);
    const int at = r.y + (int)((int64_t)(r.h - length) * *scroll / most);
    const bool over = ui_hovers(ui, bar) || ui->active == id;
    draw_fill(&ui->draw, (struct rect){bar.x, at, width, length}, width / 2, over ? COLOR_MUTED : COLOR_TRACK);
    return *scroll != before;
}
