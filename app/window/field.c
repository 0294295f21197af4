/* field: the widget around an editor: keys, mouse, clipboard, preedit, caret. */
#include <string.h>

#include "app/window/ui.h"

enum { COMMIT_MS = 80, BLINK_MS = 500, BLINKS_FOR_MS = 8000 };

static struct font field_font(const struct ui *ui)
{
    return ui_font(ui, FACE_BODY, 15);
}

static int line_step(struct ui *ui)
{
    return text_height(ui->measure, field_font(ui)) + ui_px(ui, 4);
}

static int pad_x(const struct ui *ui)
{
    return ui_px(ui, 12);
}

int ui_field_height(struct ui *ui, struct editor *e, int width, int most)
{
    editor_wrap(e, ui->measure, field_font(ui), width - 2 * pad_x(ui));
    return (int)MIN(MAX(e->n_lines, 1), (size_t)most) * line_step(ui) + ui_px(ui, 16);
}

static bool move_key(struct ui *ui, struct editor *e)
{
    static const struct {
        int key;
        enum edit_move plain, ctrl;
    } moves[] = {{KEY_LEFT, EDIT_LEFT, EDIT_WORD_LEFT},   {KEY_RIGHT, EDIT_RIGHT, EDIT_WORD_RIGHT},
                 {KEY_UP, EDIT_UP, EDIT_UP},              {KEY_DOWN, EDIT_DOWN, EDIT_DOWN},
                 {KEY_HOME, EDIT_LINE_BEGIN, EDIT_BEGIN}, {KEY_END, EDIT_LINE_END, EDIT_END}};
    const int mods = ui->event.mods;
    if (mods & MOD_ALT) return false;
    for (size_t i = 0; i < COUNT_OF(moves); i++) {
        if (ui->event.key != moves[i].key) continue;
        if (e->single && (moves[i].key == KEY_UP || moves[i].key == KEY_DOWN)) return false;
        editor_move(e, mods & MOD_CTRL ? moves[i].ctrl : moves[i].plain, (mods & MOD_SHIFT) != 0, ui->measure,
                    field_font(ui));
        return true;
    }
    return false;
}

static bool clipboard_key(struct ui *ui, struct editor *e, enum field_result *result)
{
    size_t n = 0;
    const char *selected = editor_selection(e, &n);
    const int key = ui->event.key;
    if (key == 'c' || key == 'x') {
        if (n == 0) return key == 'x'; /* Ctrl+C without a selection here is for the conversation's */
        ui_copy(ui, selected, n);
        if (key == 'x') {
            editor_delete(e, EDIT_LEFT, ui->measure, field_font(ui));
            *result = FIELD_CHANGED;
        }
        return true;
    }
    if (key != 'v') return false;
    char *text = ui->paste != NULL ? ui->paste(ui->user) : NULL;
    if (text != NULL && editor_insert(e, text, strlen(text), false)) *result = FIELD_CHANGED;
    else ui->refused = text != NULL;
    mem_free(text);
    return true;
}

/* Returns whether the key belonged to the field. */
static bool edit_key(struct ui *ui, struct editor *e, enum field_result *result)
{
    const int key = ui->event.key, mods = ui->event.mods;
    const bool word = (mods & MOD_CTRL) != 0;
    if (key == KEY_BACKSPACE || key == KEY_DELETE) {
        const enum edit_move move = key == KEY_DELETE ? (word ? EDIT_WORD_RIGHT : EDIT_RIGHT)
                                                      : (word ? EDIT_WORD_LEFT : EDIT_LEFT);
        editor_delete(e, move, ui->measure, field_font(ui));
        *result = FIELD_CHANGED;
        return true;
    }
    if (key == KEY_ENTER) {
        if (e->single || mods == 0) {
            if (mods != 0) return false;
            *result = FIELD_ENTER;
        } else if (mods & (MOD_SHIFT | MOD_CTRL)) {
            (void)editor_insert(e, "\n", 1, true);
            *result = FIELD_CHANGED;
        }
        return true;
    }
    if (mods == MOD_CTRL && key == 'a') {
        editor_select_all(e);
        return true;
    }
    if (mods == MOD_CTRL && key == 'z') {
        if (!editor_undo(e)) return false; /* nothing here: the conversation's undo */
        *result = FIELD_CHANGED;
        return true;
    }
    if ((mods == MOD_CTRL && key == 'y') || (mods == (MOD_CTRL | MOD_SHIFT) && key == 'z')) {
        if (!editor_redo(e)) return false;
        *result = FIELD_CHANGED;
        return true;
    }
    if (mods == MOD_CTRL && clipboard_key(ui, e, result)) return true;
    return move_key(ui, e);
}

/* While an input method shows its preedit, keys are its own; so is the Enter that ends it, which some systems deliver
 * right after the text. */
static bool belongs_to_input_method(struct ui *ui, const struct editor *e)
{
    if (e->n_preedit > 0) return true;
    if (ui->event.key != KEY_ENTER || ui->commit_ms == 0 || ui->now_ms - ui->commit_ms > COMMIT_MS) return false;
    ui->commit_ms = 0;
    return true;
}

static enum field_result feed(struct ui *ui, struct editor *e)
{
    enum field_result result = FIELD_NONE;
    const struct ui_event *event = &ui->event;
    if (event->kind == UI_PREEDIT) {
        if (event->text[0] == 0 && e->n_preedit > 0) ui->commit_ms = ui->now_ms;
        editor_preedit(e, event->text, strlen(event->text), event->caret);
    } else if (event->kind == UI_TEXT) {
        if (e->n_preedit > 0) ui->commit_ms = ui->now_ms;
        editor_preedit(e, "", 0, 0);
        if (editor_insert(e, event->text, strlen(event->text), true)) result = FIELD_CHANGED;
    } else if (event->kind == UI_KEY) {
        if (belongs_to_input_method(ui, e) || edit_key(ui, e, &result)) ui->event.kind = UI_NONE;
    }
    return result;
}

static size_t offset_at(struct ui *ui, const struct editor *e, struct rect inner)
{
    const int step = line_step(ui);
    size_t n = 0;
    const char *text = editor_shown(e, &n);
    if (e->n_lines == 0) return 0;
    const int line = MAX(MIN((ui->my - inner.y + e->scroll * (e->single ? 0 : 1)) / step, (int)e->n_lines - 1), 0);
    const struct edit_line *l = &e->lines[line];
    const int x = ui->mx - inner.x + (e->single ? e->scroll : 0);
    return l->begin + text_at(ui->measure, field_font(ui), text + l->begin, l->end - l->begin, x);
}

static void mouse(struct ui *ui, uint32_t id, struct rect r, struct rect inner, struct editor *e)
{
    if (ui_hovers(ui, r)) ui->cursor = CURSOR_TEXT;
    if (ui_pressed(ui, r)) {
        const size_t at = offset_at(ui, e, inner);
        ui->focus = ui->active = id;
        if (ui->event.clicks == 2 && e->n > 0) {
            size_t begin, end;
            text_word(e->text, e->n, at, &begin, &end);
            editor_select(e, begin, end);
        } else if (ui->event.clicks >= 3) {
            editor_select_all(e);
        } else {
            editor_select(e, ui->event.mods & MOD_SHIFT ? e->anchor : at, at);
        }
    } else if (ui->active == id && ui->event.kind == UI_MOVE && e->n_preedit == 0) {
        editor_select(e, e->anchor, offset_at(ui, e, inner));
    }
}

/* Scrolls so that the caret is seen; gives its place. */
static struct rect caret_rect(struct ui *ui, struct editor *e, struct rect inner)
{
    const int step = line_step(ui);
    size_t n = 0;
    const char *text = editor_shown(e, &n);
    const size_t caret = editor_shown_caret(e), line = editor_line_of(e, caret);
    const size_t begin = e->n_lines > 0 ? e->lines[line].begin : 0;
    const int x = text_width(ui->measure, field_font(ui), text + begin, caret - begin), y = (int)line * step;
    if (e->single) {
        e->scroll = MAX(MIN(e->scroll, x), x - inner.w + ui_px(ui, 2));
        e->scroll = MAX(e->scroll, 0);
        return (struct rect){inner.x + x - e->scroll, inner.y, MAX(ui_px(ui, 1), 1), step};
    }
    e->scroll = MIN(e->scroll, y);
    e->scroll = MAX(e->scroll, y + step - inner.h);
    e->scroll = MAX(MIN(e->scroll, (int)e->n_lines * step - inner.h), 0);
    return (struct rect){inner.x + x, inner.y + y - e->scroll, MAX(ui_px(ui, 1), 1), step};
}

static void draw_lines(struct ui *ui, const struct editor *e, struct rect inner, bool focus, bool enabled)
{
    const int step = line_step(ui);
    const struct font font = field_font(ui);
    size_t n = 0;
    const char *text = editor_shown(e, &n);
    const size_t from = MIN(e->caret, e->anchor), to = MAX(e->caret, e->anchor);
    for (size_t i = 0; i < e->n_lines; i++) {
        const struct edit_line *l = &e->lines[i];
        const int x = inner.x - (e->single ? e->scroll : 0), y = inner.y + (int)i * step - (e->single ? 0 : e->scroll);
        if (y + step < inner.y || y > inner.y + inner.h) continue;
        const size_t a = MAX(from, l->begin), b = MIN(to, l->end);
        if (focus && e->n_preedit == 0 && from < to && a <= b && to > l->begin && from <= l->end) {
            const int x0 = text_width(ui->measure, font, text + l->begin, a - l->begin);
            const int x1 = text_width(ui->measure, font, text + l->begin, b - l->begin);
            const int tail = to > l->end && i + 1 < e->n_lines ? ui_px(ui, 5) : 0;
            draw_fill(&ui->draw, (struct rect){x + x0, y, x1 - x0 + tail, step}, 0, COLOR_SELECTION);
        }
        const int w = text_width(ui->measure, font, text + l->begin, l->end - l->begin);
        draw_text(&ui->draw, (struct rect){x, y + ui_px(ui, 2), w, step - ui_px(ui, 4)}, font,
                  enabled ? COLOR_TEXT : COLOR_MUTED, text + l->begin, l->end - l->begin);
        const size_t p0 = MAX(e->caret, l->begin), p1 = MIN(e->caret + e->n_preedit, l->end);
        if (e->n_preedit > 0 && p0 < p1) {
            const int x0 = text_width(ui->measure, font, text + l->begin, p0 - l->begin);
            const int x1 = text_width(ui->measure, font, text + l->begin, p1 - l->begin);
            draw_fill(&ui->draw, (struct rect){x + x0, y + step - ui_px(ui, 3), x1 - x0, MAX(ui_px(ui, 1), 1)}, 0,
                      COLOR_TEXT);
        }
    }
}

enum field_result ui_field(struct ui *ui, uint32_t id, struct rect r, struct editor *e, const char *hint, bool enabled)
{
    const int radius = ui_px(ui, 10);
    const struct rect inner = {r.x + pad_x(ui), r.y + ui_px(ui, 8), r.w - 2 * pad_x(ui), r.h - ui_px(ui, 16)};
    enum field_result result = FIELD_NONE;
    const bool live = enabled && ui->enabled;
    editor_wrap(e, ui->measure, field_font(ui), inner.w);
    if (live) {
        if (ui->n_order < COUNT_OF(ui->order)) ui->order[ui->n_order++] = id;
        mouse(ui, id, r, inner, e);
        if (ui->focus == id) result = feed(ui, e);
        editor_wrap(e, ui->measure, field_font(ui), inner.w);
    }
    const bool focus = live && ui->focus == id;
    draw_fill(&ui->draw, r, radius, enabled ? COLOR_FIELD : COLOR_FIELD_OFF);
    draw_frame(&ui->draw, r, radius, MAX(ui_px(ui, focus ? 2 : 1), 1), focus ? COLOR_RING : COLOR_LINE);
    draw_clip_push(&ui->draw, (struct rect){inner.x - 1, r.y + ui_px(ui, 3), inner.w + 2, r.h - ui_px(ui, 6)});
    const struct rect caret = caret_rect(ui, e, inner);
    if (e->n == 0 && e->n_preedit == 0)
        ui_text(ui, (struct rect){inner.x + ui_px(ui, 3), inner.y, inner.w, line_step(ui)}, field_font(ui), COLOR_MUTED, ALIGN_LEFT, hint,
                strlen(hint));
    draw_lines(ui, e, inner, focus, enabled);
    if (focus) {
        const uint64_t since = ui->now_ms - ui->active_ms;
        ui->blinks = since < BLINKS_FOR_MS;
        if (!ui->blinks || since / BLINK_MS % 2 == 0) draw_fill(&ui->draw, caret, 0, COLOR_TEXT);
        ui->caret = caret;
        ui->wants_text = true;
    }
    draw_clip_pop(&ui->draw);
    return result;
}
