/* talk: the conversation's area: messages with their actions, selection, scrolling, the empty beginning. */
#include <stdio.h>
#include <string.h>

#include "app/window/view.h"

enum action {
    ACTION_COPY,
    ACTION_EDIT,
    ACTION_REGENERATE,
    ACTION_BRANCH,
    ACTION_DELETE,
    ACTION_PREVIOUS,
    ACTION_NEXT,
    ACTION_CONTINUE,
    ACTIONS_MAX
};

static uint32_t action_id(size_t i, enum action action)
{
    return (uint32_t)(ID_ACTION + i * ACTIONS_MAX + action);
}

static void act(struct view *v, size_t i, enum action action)
{
    const struct shown_message *m = &v->bubbles.list[i].m;
    const uint32_t index = (uint32_t)i;
    struct request r = {.index = index, .configuration = v->settings->configuration};
    switch (action) {
    case ACTION_COPY:
        ui_copy(&v->ui, m->text, m->n);
        view_toast(v, view_text(v, STRING_COPIED), false, NULL);
        return;
    case ACTION_EDIT:
        view_edit(v, i);
        return;
    case ACTION_BRANCH:
        view_request(v, REQUEST_BRANCH, index, NULL, 0, NULL);
        v->ui.focus = ID_INPUT;
        return;
    case ACTION_DELETE:
        view_request(v, REQUEST_DELETE, index, NULL, 0, NULL);
        view_toast(v, view_text(v, STRING_DELETED), true, NULL);
        return;
    case ACTION_PREVIOUS:
    case ACTION_NEXT:
        r.kind = REQUEST_SWITCH;
        r.other = action == ACTION_NEXT ? m->alternative + 1 : m->alternative - 1;
        if (v->send != NULL) v->send(v->user, &r);
        return;
    case ACTION_REGENERATE:
    case ACTION_CONTINUE:
        view_request(v, action == ACTION_CONTINUE ? REQUEST_CONTINUE : REQUEST_REGENERATE, index, NULL, 0, NULL);
        v->state = STATE_PREFILL;
        v->fraction = -1;
        bubbles_scroll_to_end(&v->bubbles);
        return;
    case ACTIONS_MAX:
        break;
    }
}

/* One icon of the row; moves x. */
static void action_icon(struct view *v, size_t i, enum action action, int *x, int y, enum icon icon, enum string_id tip)
{
    const int size = ui_px(&v->ui, 26);
    if (ui_icon(&v->ui, action_id(i, action), (struct rect){*x, y, size, size}, LOOK_QUIET, icon, view_text(v, tip)))
        act(v, i, action);
    *x += size + ui_px(&v->ui, 2);
}

static void switcher(struct view *v, size_t i, int *x, int y)
{
    struct ui *ui = &v->ui;
    const struct shown_message *m = &v->bubbles.list[i].m;
    char text[32];
    if (m->n_alternatives < 2) return;
    if (m->alternative > 0)
        action_icon(v, i, ACTION_PREVIOUS, x, y, ICON_LEFT, STRING_PREVIOUS);
    snprintf(text, sizeof text, "%u / %u", m->alternative + 1, m->n_alternatives);
    const int w = text_width(ui->measure, ui_font(ui, FACE_BODY, 12), text, strlen(text)) + ui_px(ui, 8);
    ui_label(ui, (struct rect){*x, y, w, ui_px(ui, 26)}, 12, COLOR_MUTED, ALIGN_CENTER, text);
    *x += w;
    if (m->alternative + 1 < m->n_alternatives)
        action_icon(v, i, ACTION_NEXT, x, y, ICON_RIGHT, STRING_NEXT);
}

/* How an answer ended, where that is worth a word, and going on with it. */
static void ending_note(struct view *v, size_t i, int *x, int y)
{
    struct ui *ui = &v->ui;
    const struct shown_message *m = &v->bubbles.list[i].m;
    const enum ending e = m->ending;
    const bool last = i + 1 == v->bubbles.n;
    if (m->unseen || e == ENDING_LENGTH || e == ENDING_CONTEXT || e == ENDING_STOPPED) {
        const char *text = view_text(v, m->unseen            ? STRING_UNSEEN
                                        : e == ENDING_LENGTH  ? STRING_ENDED_LENGTH
                                        : e == ENDING_CONTEXT ? STRING_ENDED_CONTEXT
                                                              : STRING_ENDED_STOPPED);
        const int w = text_width(ui->measure, ui_font(ui, FACE_BODY, 12), text, strlen(text));
        *x += ui_px(ui, 6);
        ui_label(ui, (struct rect){*x, y, w, ui_px(ui, 26)}, 12, COLOR_MUTED, ALIGN_LEFT, text);
        *x += w + ui_px(ui, 8);
    }
    if (!last || v->state != STATE_IDLE || (e != ENDING_LENGTH && e != ENDING_STOPPED)) return;
    const char *label = view_text(v, STRING_CONTINUE);
    const int w = text_width(ui->measure, ui_font(ui, FACE_BODY, 14), label, strlen(label)) + ui_px(ui, 24);
    if (ui_button(ui, action_id(i, ACTION_CONTINUE), (struct rect){*x, y, w, ui_px(ui, 26)}, LOOK_PLAIN, label))
        act(v, i, ACTION_CONTINUE);
}

static void actions(struct view *v, size_t i, struct rect area)
{
    struct ui *ui = &v->ui;
    const struct shown_message *m = &v->bubbles.list[i].m;
    const struct rect box = bubbles_box(&v->bubbles, area, i);
    const int y = box.y + box.h + ui_px(ui, 2);
    const bool busy = view_busy(v), last = i + 1 == v->bubbles.n;
    const bool all = !busy && (i == v->hovered || i == v->chosen || (last && v->state == STATE_IDLE));
    int x = box.x;
    if (m->user) { /* at the right: 4 icons, and the switcher */
        const int n = 4 + (m->n_alternatives > 1 ? 3 : 0);
        x = MAX(box.x + box.w - n * ui_px(ui, 28), area.x + ui_px(ui, 24));
    }
    if (all || (busy && i == v->hovered)) action_icon(v, i, ACTION_COPY, &x, y, ICON_COPY, STRING_COPY);
    if (all) {
        action_icon(v, i, ACTION_EDIT, &x, y, ICON_EDIT, STRING_EDIT);
        if (!m->user && last) action_icon(v, i, ACTION_REGENERATE, &x, y, ICON_REDO, STRING_REGENERATE);
        if (!m->user && !last) action_icon(v, i, ACTION_BRANCH, &x, y, ICON_BRANCH, STRING_BRANCH);
        action_icon(v, i, ACTION_DELETE, &x, y, ICON_TRASH, STRING_DELETE);
        switcher(v, i, &x, y);
    }
    ending_note(v, i, &x, y);
}

/* Copy buttons on the code blocks that are visible. */
static void code_buttons(struct view *v, size_t i, struct rect area)
{
    struct ui *ui = &v->ui;
    const struct bubble *b = &v->bubbles.list[i];
    const struct rect box = bubbles_text_box(&v->bubbles, ui, area, i);
    const int size = ui_px(ui, 26);
    uint32_t k = 0;
    for (size_t s = 0; s < b->layout.n; s++)
        for (size_t d = 0; d < b->layout.segments[s].n_decos; d++) {
            const struct deco *deco = &b->layout.segments[s].decos[d];
            if (deco->kind != DECO_CODE) continue;
            const uint32_t id = (uint32_t)(ID_CODE + i % 4096 * 128 + k++ % 128);
            const struct rect r = {box.x + deco->r.x + deco->r.w - size - ui_px(ui, 4),
                                   box.y + b->layout.segments[s].y + deco->r.y + ui_px(ui, 3), size, size};
            if (r.y + r.h < area.y || r.y > area.y + area.h) continue;
            if (!ui_icon(ui, id, r, LOOK_QUIET, ICON_COPY, view_text(v, STRING_COPY_CODE))) continue;
            ui_copy(ui, b->doc.segments[s].text + deco->offset, deco->n);
            view_toast(v, view_text(v, STRING_COPIED), false, NULL);
        }
}

static void draw_empty(struct view *v, struct rect area)
{
    struct ui *ui = &v->ui;
    const int w = MIN(area.w - ui_px(ui, 64), ui_px(ui, 620)), x = area.x + (area.w - w) / 2;
    const int row = ui_px(ui, 42), gap = ui_px(ui, 10);
    const char *toy = view_text(v, STRING_GREETING_TOY), *hello = view_text(v, STRING_GREETING);
    const bool is_toy = v->has_model && v->starter;
    const int note = is_toy ? ui_paragraph(ui, (struct rect){x, 0, w, 0}, 13, COLOR_MUTED, toy, false) + 2 * gap : gap;
    int y = area.y + MAX((area.h - ui_px(ui, 44) - note - 4 * (row + gap)) / 2, gap);
    ui_text(ui, (struct rect){x, y, w, ui_px(ui, 44)}, ui_font(ui, FACE_BOLD, 26), COLOR_TEXT, ALIGN_LEFT, hello,
            strlen(hello));
    y += ui_px(ui, 48);
    if (is_toy) (void)ui_paragraph(ui, (struct rect){x, y, w, 0}, 13, COLOR_MUTED, toy, true);
    y += note;
    for (int i = 0; i < 4; i++) {
        const char *text = view_text(v, (enum string_id)((is_toy ? STRING_TOY_1 : STRING_EXAMPLE_1) + i));
        const struct rect r = {x, y, w, row};
        if (y + row > area.y + area.h) break; /* a low window shows fewer */
        draw_frame(&ui->draw, r, ui_px(ui, 10), MAX(ui_px(ui, 1), 1), COLOR_LINE);
        if (ui_row(ui, (uint32_t)(ID_EXAMPLE + i), r, false)) {
            editor_set(&v->input, text, strlen(text));
            ui->focus = ID_INPUT;
        }
        ui_label(ui, (struct rect){r.x + ui_px(ui, 14), r.y, r.w - ui_px(ui, 28), r.h}, 14, COLOR_TEXT, ALIGN_LEFT, text);
        y += row + gap;
    }
}

/* --- mouse and keys ------------------------------------------------------------------------------------------------ */

static void scroll_by(struct view *v, struct rect area, int dy)
{
    struct bubbles *b = &v->bubbles;
    const int most = MAX(b->content - area.h, 0);
    b->scroll = MAX(MIN(b->scroll + dy, most), 0);
    b->sticks = b->scroll >= most;
}

static void release(struct view *v, struct rect area)
{
    struct ui *ui = &v->ui;
    if (!v->bubbles.selected) {
        char *link = bubbles_link(&v->bubbles, ui, area, ui->mx, ui->my);
        if (link != NULL) {
            mem_free(v->link);
            v->link = link;
            v->sheet = SHEET_LINK;
            ui->focus = ID_SHEET;
        }
    }
    v->bubbles.selecting = v->dragging = false;
    ui->active = 0;
}

static void mouse(struct view *v, struct rect area)
{
    struct ui *ui = &v->ui;
    struct bubbles *b = &v->bubbles;
    if (ui->event.kind == UI_WHEEL && ui_hovers(ui, area))
        scroll_by(v, area, -ui->event.y * ui_px(ui, 72) / 100);
    if (ui->active == 0 && ui_pressed(ui, area) && b->n > 0) {
        const struct place at = bubbles_place_at(b, ui, area, ui->mx, ui->my);
        ui->active = ID_TALK;
        b->selecting = true;
        if (ui->event.mods & MOD_SHIFT)
            bubbles_select(b, b->from, at);
        else
            bubbles_select(b, at, at);
        if (ui->event.clicks == 2) bubbles_select_word(b, at);
        if (ui->event.clicks >= 3) bubbles_select_message(b, at.bubble);
    } else if (ui->active == ID_TALK && ui->event.kind == UI_UP) {
        release(v, area);
    } else if (ui->active == ID_TALK && b->selecting && (ui->event.kind == UI_MOVE || v->dragging)) {
        const int over = ui->my < area.y ? ui->my - area.y : (ui->my > area.y + area.h ? ui->my - area.y - area.h : 0);
        v->dragging = over != 0;
        if (over != 0) scroll_by(v, area, MAX(MIN(over / 4, ui_px(ui, 40)), -ui_px(ui, 40)));
        bubbles_select(b, b->from, bubbles_place_at(b, ui, area, ui->mx, ui->my));
    }
    const size_t under = ui->enabled ? bubbles_at(b, area, ui->mx, ui->my, true) : b->n;
    if (under < b->n && ui->hot == 0) {
        char *link = bubbles_link(b, ui, area, ui->mx, ui->my);
        ui->cursor = link != NULL ? CURSOR_HAND : CURSOR_TEXT;
        mem_free(link);
    }
}

static void choose(struct view *v, struct rect area, int step)
{
    struct bubbles *b = &v->bubbles;
    if (b->n == 0) return;
    if (v->chosen == SIZE_MAX)
        v->chosen = step < 0 ? b->n - 1 : 0;
    else if (step < 0 ? v->chosen > 0 : v->chosen + 1 < b->n)
        v->chosen = step < 0 ? v->chosen - 1 : v->chosen + 1;
    const struct bubble *m = &b->list[v->chosen];
    if (m->y < b->scroll) scroll_by(v, area, m->y - b->scroll);
    if (m->y + m->h > b->scroll + area.h) scroll_by(v, area, MIN(m->y + m->h - b->scroll - area.h, m->y - b->scroll));
    v->ui.focus = action_id(v->chosen, ACTION_COPY);
    v->ui.ring = true;
}

void view_talk_keys(struct view *v, struct rect area)
{
    struct ui *ui = &v->ui;
    if (!ui->enabled) return;
    if (ui_key(ui, KEY_UP, MOD_ALT)) choose(v, area, -1);
    if (ui_key(ui, KEY_DOWN, MOD_ALT)) choose(v, area, 1);
    if (ui_key(ui, KEY_PAGE_UP, 0)) scroll_by(v, area, -area.h * 7 / 8);
    if (ui_key(ui, KEY_PAGE_DOWN, 0)) scroll_by(v, area, area.h * 7 / 8);
    const bool typing = ui->focus == ID_INPUT && v->input.n > 0;
    if (!typing && ui_key(ui, KEY_HOME, MOD_CTRL)) scroll_by(v, area, -v->bubbles.content);
    if (!typing && ui_key(ui, KEY_END, MOD_CTRL)) bubbles_scroll_to_end(&v->bubbles);
}

/* What lies over the messages: seen by the mouse first, drawn last. */
static void draw_jump(struct view *v, struct rect area)
{
    struct ui *ui = &v->ui;
    const int size = ui_px(ui, 36);
    const struct rect r = {area.x + (area.w - size) / 2, area.y + area.h - size - ui_px(ui, 8), size, size};
    if (v->bubbles.sticks || v->bubbles.n == 0) return;
    draw_shadow(&ui->draw, r, size / 2);
    draw_fill(&ui->draw, r, size / 2, COLOR_FIELD);
    draw_frame(&ui->draw, r, size / 2, MAX(ui_px(ui, 1), 1), COLOR_LINE);
    if (ui_icon(ui, ID_JUMP, r, LOOK_QUIET, ICON_DOWN, view_text(v, STRING_JUMP))) bubbles_scroll_to_end(&v->bubbles);
}

void view_talk(struct view *v, struct rect area)
{
    struct ui *ui = &v->ui;
    struct bubbles *b = &v->bubbles;
    const bool growing = v->state == STATE_GENERATING || v->state == STATE_PREFILL;
    view_talk_keys(v, area);
    bubbles_place(b, ui, area);
    if (b->unlaid > 0 && ui->event.kind == UI_NONE) (void)bubbles_work(b, ui, area, 8);
    if (b->n == 0) {
        v->hovered = SIZE_MAX;
        draw_empty(v, area);
        return;
    }
    int scroll = b->scroll;
    if (ui_scrollbar(ui, ID_SCROLL, area, b->content, &scroll)) scroll_by(v, area, scroll - b->scroll);
    const size_t hovered = ui->enabled && ui->active != ID_TALK ? bubbles_at(b, area, ui->mx, ui->my, false) : b->n;
    v->hovered = hovered < b->n ? hovered : SIZE_MAX;
    const bool answering = growing && !b->list[b->n - 1].m.user;
    bubbles_draw(b, ui, area, v->hovered, answering && ui->now_ms / 500 % 2 == 0);
    draw_clip_push(&ui->draw, area);
    for (size_t i = 0; i < b->n; i++) {
        const int y = area.y + b->list[i].y - b->scroll;
        if (y + b->list[i].h < area.y || y > area.y + area.h) continue;
        code_buttons(v, i, area);
        actions(v, i, area);
    }
    draw_clip_pop(&ui->draw);
    draw_jump(v, area);
    mouse(v, area);
}
