/* bubbles: keeping, placing, painting messages. */
#include "app/window/bubbles.h"

#include <stdlib.h>
#include <string.h>

enum { TOP_GAP = 14, ROW_GAP = 4, ACTIONS = 30, PAD_X = 14, PAD_Y = 10, COLUMN_MAX = 860 };

static void bubble_fini(struct bubble *b)
{
    mem_free(b->m.text);
    markdown_fini(&b->doc);
    layout_fini(&b->layout);
    memset(b, 0, sizeof *b);
}

void bubbles_fini(struct bubbles *b)
{
    for (size_t i = 0; i < b->n; i++) bubble_fini(&b->list[i]);
    mem_free(b->list);
    memset(b, 0, sizeof *b);
}

static void take(struct bubble *to, struct shown_message *m)
{
    const bool grew = to->m.key == m->key && to->m.user == m->user && to->m.text != NULL && m->text != NULL && m->n >= to->m.n &&
                      memcmp(to->m.text, m->text, to->m.n) == 0;
    if (!grew) {
        to->n_parsed = 0;
        to->doc.n_segments = 0;
    }
    if (!grew || m->n != to->m.n) to->laid = false;
    mem_free(to->m.text);
    to->m = *m;
    to->capacity = m->n + 1;
    m->text = NULL;
}

bool bubbles_set(struct bubbles *b, struct shown_message *messages, size_t n)
{
    const size_t had = b->n;
    for (size_t i = n; i < b->n; i++) bubble_fini(&b->list[i]);
    b->n = MIN(b->n, n);
    if (!grow(&b->list, &b->capacity, MAX(n, 1), sizeof *b->list)) return false;
    for (size_t i = 0; i < n; i++) {
        if (i >= b->n) memset(&b->list[i], 0, sizeof b->list[i]);
        take(&b->list[i], &messages[i]);
    }
    b->n = n;
    if (had == 0 || n < had) b->sticks = true;
    if (b->selected && (b->from.bubble >= n || b->to.bubble >= n)) b->selected = b->selecting = false;
    return true;
}

bool bubbles_append(struct bubbles *b, const char *text, size_t n)
{
    if (b->n == 0) return true;
    struct bubble *last = &b->list[b->n - 1];
    if (!grow(&last->m.text, &last->capacity, last->m.n + n + 1, 1)) return false;
    memcpy(last->m.text + last->m.n, text, n);
    last->m.n += n;
    last->m.text[last->m.n] = 0;
    last->laid = false;
    return true;
}

void bubbles_scroll_to_end(struct bubbles *b)
{
    b->sticks = true;
}

/* The column of messages in the middle of the area. */
static void column(const struct ui *ui, struct rect area, int *x, int *w)
{
    *w = MIN(area.w - ui_px(ui, 48), ui_px(ui, COLUMN_MAX));
    *x = area.x + (area.w - *w) / 2;
}

static void lay(struct bubble *b, const struct ui *ui, int width)
{
    const int pad_x = ui_px(ui, PAD_X), pad_y = ui_px(ui, PAD_Y);
    const int most = b->m.user ? width * 3 / 4 : width;
    const struct layout_style style = {.measure = ui->measure, .px = ui_font(ui, FACE_BODY, 15).px};
    if (b->n_parsed != b->m.n || b->doc.n_segments == 0) {
        if (b->m.user)
            (void)markdown_plain(&b->doc, b->m.text, b->m.n);
        else
            (void)markdown_update(&b->doc, b->m.text, b->m.n, b->n_parsed);
        b->n_parsed = b->m.n;
    }
    (void)layout_update(&b->layout, &b->doc, &style, most - 2 * pad_x);
    const int w = MIN(MAX(b->layout.w, ui_px(ui, 24)) + 2 * pad_x, most);
    b->box = (struct rect){b->m.user ? width - w : 0, ui_px(ui, ROW_GAP), w,
                           MAX(b->layout.h, style.px * 3 / 2) + 2 * pad_y};
    b->h = b->box.h + ui_px(ui, ROW_GAP + ACTIONS);
    b->laid = true;
}

/* Without measuring: so many characters a line, so many pixels each. */
static void estimate(struct bubble *b, const struct ui *ui, int width)
{
    const int per_line = MAX(width / MAX(ui_px(ui, 8), 1), 1), line = ui_px(ui, 24);
    const int lines = (int)MIN(b->m.n / (size_t)per_line + 1, 100000);
    b->box = (struct rect){0, ui_px(ui, ROW_GAP), width, lines * line + 2 * ui_px(ui, PAD_Y)};
    b->h = b->box.h + ui_px(ui, ROW_GAP + ACTIONS);
}

static void add_up(struct bubbles *b, const struct ui *ui)
{
    int y = ui_px(ui, TOP_GAP);
    b->unlaid = 0;
    for (size_t i = 0; i < b->n; i++) {
        b->list[i].y = y;
        y += b->list[i].h;
        if (!b->list[i].laid) b->unlaid++;
    }
    b->content = y;
}

static void clamp(struct bubbles *b, struct rect area)
{
    const int most = MAX(b->content - area.h, 0);
    if (b->sticks) b->scroll = most;
    b->scroll = MAX(MIN(b->scroll, most), 0);
}

/* The first message that reaches below the top of the area. */
static size_t first_visible(const struct bubbles *b)
{
    size_t low = 0, high = b->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (b->list[middle].y + b->list[middle].h <= b->scroll)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void bubbles_place(struct bubbles *b, const struct ui *ui, struct rect area)
{
    int x = 0, w = 0;
    column(ui, area, &x, &w);
    const int px = ui_font(ui, FACE_BODY, 15).px;
    const size_t anchor = b->n > 0 ? MIN(first_visible(b), b->n - 1) : 0;
    const int offset = b->n > 0 ? b->scroll - b->list[anchor].y : 0;
    if (w != b->width || px != b->px || ui->percent != b->percent) {
        for (size_t i = 0; i < b->n; i++) b->list[i].laid = false;
        b->width = w;
        b->px = px;
        b->percent = ui->percent;
    }
    for (size_t i = 0; i < b->n; i++)
        if (!b->list[i].laid && b->list[i].layout.width == 0) estimate(&b->list[i], ui, w);
    add_up(b, ui);
    if (b->n > 0 && !b->sticks) b->scroll = b->list[anchor].y + offset;
    /* laying out moves what is below; a few rounds show everything that is visible */
    for (int round = 0; round < 8; round++) {
        bool again = false;
        clamp(b, area);
        for (size_t i = first_visible(b); i < b->n && b->list[i].y < b->scroll + area.h; i++) {
            if (b->list[i].laid) continue;
            lay(&b->list[i], ui, w);
            again = true;
        }
        if (!again) break;
        add_up(b, ui);
    }
    clamp(b, area);
}

bool bubbles_work(struct bubbles *b, const struct ui *ui, struct rect area, size_t n)
{
    const size_t anchor = b->n > 0 ? MIN(first_visible(b), b->n - 1) : 0;
    const int offset = b->n > 0 ? b->scroll - b->list[anchor].y : 0;
    for (size_t i = b->n; i-- > 0 && n > 0;) {
        if (b->list[i].laid) continue;
        lay(&b->list[i], ui, b->width);
        n--;
    }
    add_up(b, ui);
    if (b->n > 0 && !b->sticks) b->scroll = b->list[anchor].y + offset;
    clamp(b, area);
    return b->unlaid > 0;
}

struct rect bubbles_box(const struct bubbles *b, struct rect area, size_t i)
{
    const struct bubble *m = &b->list[i];
    return (struct rect){area.x + (area.w - b->width) / 2 + m->box.x, area.y + m->y - b->scroll + m->box.y, m->box.w,
                         m->box.h};
}

size_t bubbles_at(const struct bubbles *b, struct rect area, int x, int y, bool in_box)
{
    if (!rect_has(area, x, y)) return b->n;
    for (size_t i = first_visible(b); i < b->n && b->list[i].y < b->scroll + area.h; i++) {
        const int top = area.y + b->list[i].y - b->scroll;
        if (in_box ? rect_has(bubbles_box(b, area, i), x, y) : (y >= top && y < top + b->list[i].h)) return i;
    }
    return b->n;
}

/* --- selection ----------------------------------------------------------------------------------------------------- */

static int place_compare(struct place a, struct place b)
{
    if (a.bubble != b.bubble) return a.bubble < b.bubble ? -1 : 1;
    return position_compare(a.at, b.at);
}

static void ordered(const struct bubbles *b, struct place *begin, struct place *end)
{
    const bool forward = place_compare(b->from, b->to) <= 0;
    *begin = forward ? b->from : b->to;
    *end = forward ? b->to : b->from;
}

struct rect bubbles_text_box(const struct bubbles *b, const struct ui *ui, struct rect area, size_t i)
{
    struct rect r = bubbles_box(b, area, i);
    r.x += ui_px(ui, PAD_X);
    r.y += ui_px(ui, PAD_Y);
    return r;
}

struct place bubbles_place_at(const struct bubbles *b, const struct ui *ui, struct rect area, int x, int y)
{
    size_t i = 0;
    while (i + 1 < b->n && area.y + b->list[i + 1].y - b->scroll <= y) i++;
    if (b->n == 0) return (struct place){0, {0, 0}};
    const struct rect box = bubbles_text_box(b, ui, area, i);
    const struct bubble *m = &b->list[i];
    return (struct place){(uint32_t)i, layout_at(&m->layout, &m->doc, ui->measure, x - box.x, y - box.y)};
}

void bubbles_select(struct bubbles *b, struct place from, struct place to)
{
    b->from = from;
    b->to = to;
    b->selected = place_compare(from, to) != 0;
}

void bubbles_select_word(struct bubbles *b, struct place at)
{
    if (at.bubble >= b->n || at.at.segment >= b->list[at.bubble].doc.n_segments) return;
    const struct segment *s = &b->list[at.bubble].doc.segments[at.at.segment];
    size_t begin = 0, end = 0;
    text_word(s->text, s->n_text, at.at.offset, &begin, &end);
    struct place from = at, to = at;
    from.at.offset = (uint32_t)begin;
    to.at.offset = (uint32_t)end;
    bubbles_select(b, from, to);
}

void bubbles_select_message(struct bubbles *b, size_t i)
{
    if (i >= b->n || b->list[i].doc.n_segments == 0) return;
    const uint32_t last = (uint32_t)b->list[i].doc.n_segments - 1;
    const uint32_t end = (uint32_t)b->list[i].doc.segments[last].n_text;
    bubbles_select(b, (struct place){(uint32_t)i, {0, 0}}, (struct place){(uint32_t)i, {last, end}});
}

/* The selected bytes of a segment; false when there are none. */
static bool selected_in(const struct bubbles *b, size_t i, size_t segment, uint32_t *begin, uint32_t *end)
{
    struct place from, to;
    if (!b->selected) return false;
    ordered(b, &from, &to);
    const struct place first = {(uint32_t)i, {(uint32_t)segment, 0}};
    const uint32_t n = (uint32_t)b->list[i].doc.segments[segment].n_text;
    const struct place last = {(uint32_t)i, {(uint32_t)segment, n}};
    if (place_compare(to, first) <= 0 || place_compare(from, last) >= 0) return false;
    *begin = place_compare(from, first) > 0 ? MIN(from.at.offset, n) : 0;
    *end = place_compare(to, last) < 0 ? MIN(to.at.offset, n) : n;
    return *begin < *end;
}

char *bubbles_selected_text(const struct bubbles *b, size_t *n)
{
    char *out = NULL;
    size_t capacity = 0;
    struct place from, to;
    *n = 0;
    if (!b->selected) return NULL;
    ordered(b, &from, &to);
    for (size_t i = from.bubble; i < b->n && i <= to.bubble; i++)
        for (size_t k = 0; k < b->list[i].doc.n_segments; k++) {
            uint32_t begin = 0, end = 0;
            if (!selected_in(b, i, k, &begin, &end)) continue;
            if (!grow(&out, &capacity, *n + (end - begin) + 3, 1)) {
                mem_free(out);
                return NULL;
            }
            if (*n > 0) {
                memcpy(out + *n, "\n\n", 2);
                *n += 2;
            }
            memcpy(out + *n, b->list[i].doc.segments[k].text + begin, end - begin);
            *n += end - begin;
            out[*n] = 0;
        }
    return out;
}

char *bubbles_link(const struct bubbles *b, const struct ui *ui, struct rect area, int x, int y)
{
    const size_t i = bubbles_at(b, area, x, y, true);
    if (i >= b->n) return NULL;
    const struct rect box = bubbles_text_box(b, ui, area, i);
    const struct bubble *m = &b->list[i];
    size_t segment = 0;
    const struct link *link = layout_link(&m->layout, &m->doc, x - box.x, y - box.y, &segment);
    if (link == NULL) return NULL;
    char *out = mem_alloc(link->n + 1);
    if (out == NULL) return NULL;
    memcpy(out, m->doc.segments[segment].link_text + link->offset, link->n);
    out[link->n] = 0;
    return out;
}

/* --- painting ------------------------------------------------------------------------------------------------------ */

static void draw_selection(struct ui *ui, const struct segment *s, const struct piece *p, struct rect r, uint32_t begin,
                           uint32_t end)
{
    const uint32_t a = MAX(begin, p->offset), z = MIN(end, p->offset + p->n);
    if (a >= z) return;
    const char *text = s->text + p->offset;
    const int x0 = a > p->offset ? text_width(ui->measure, p->font, text, a - p->offset) : 0;
    const int x1 = z < p->offset + p->n ? text_width(ui->measure, p->font, text, z - p->offset) : p->w;
    draw_fill(&ui->draw, (struct rect){r.x + x0, r.y - ui_px(ui, 1), x1 - x0, r.h + ui_px(ui, 2)}, 0, COLOR_SELECTION);
}

static void draw_piece(struct ui *ui, const struct segment *s, const struct piece *p, struct rect r)
{
    const char *text = s->text + p->offset;
    const int line = MAX(ui_px(ui, 1), 1);
    size_t n = p->n;
    draw_text(&ui->draw, r, p->font, p->color, text, n);
    while (n > 0 && text[n - 1] == ' ') n--;
    const int w = n < p->n ? text_width(ui->measure, p->font, text, n) : r.w;
    const int base = r.y + text_ascent(ui->measure, p->font);
    if (p->underline) draw_fill(&ui->draw, (struct rect){r.x, base + 2 * line, w, line}, 0, p->color);
    if (p->strike) draw_fill(&ui->draw, (struct rect){r.x, base - r.h / 4, w, line}, 0, p->color);
}

static void draw_deco(struct ui *ui, const struct segment *s, const struct deco *d, struct rect r)
{
    const int radius = ui_px(ui, 8), line = MAX(ui_px(ui, 1), 1);
    switch (d->kind) {
    case DECO_CODE:
        draw_fill(&ui->draw, r, radius, COLOR_CODE_BACK);
        ui_text(ui, (struct rect){r.x + ui_px(ui, 12), r.y + ui_px(ui, 4), r.w / 2, ui_px(ui, 24)},
                ui_font(ui, FACE_BODY, 12), COLOR_MUTED, ALIGN_LEFT, s->link_text + d->lang, d->n_lang);
        break;
    case DECO_QUOTE:
        draw_fill(&ui->draw, r, r.w / 2, COLOR_TRACK);
        break;
    case DECO_RULE:
        draw_fill(&ui->draw, (struct rect){r.x, r.y, r.w, line}, 0, COLOR_LINE);
        break;
    case DECO_HEAD:
        draw_fill(&ui->draw, r, 0, COLOR_CODE_BACK);
        break;
    case DECO_GRID:
        draw_frame(&ui->draw, r, ui_px(ui, 4), line, COLOR_LINE);
        break;
    }
}

static void draw_segment(struct bubbles *b, struct ui *ui, size_t i, size_t k, struct rect box, struct rect area)
{
    const struct bubble *m = &b->list[i];
    const struct segment_layout *l = &m->layout.segments[k];
    const struct segment *s = &m->doc.segments[k];
    uint32_t begin = 0, end = 0;
    const int y0 = box.y + l->y;
    const bool selected = selected_in(b, i, k, &begin, &end);
    for (size_t d = 0; d < l->n_decos; d++) {
        const struct rect r = l->decos[d].r;
        draw_deco(ui, s, &l->decos[d], (struct rect){box.x + r.x, y0 + r.y, r.w, r.h});
    }
    for (size_t p = 0; p < l->n_pieces; p++) {
        const struct piece *piece = &l->pieces[p];
        const struct rect r = {box.x + piece->x, y0 + piece->y, piece->w, piece->h};
        if (r.y + r.h < area.y || r.y > area.y + area.h) continue;
        if (piece->ground)
            draw_fill(&ui->draw, (struct rect){r.x - ui_px(ui, 2), r.y, r.w + ui_px(ui, 4), r.h}, ui_px(ui, 4),
                      COLOR_CODE_BACK);
        if (selected) draw_selection(ui, s, piece, r, begin, end);
        draw_piece(ui, s, piece, r);
    }
}

/* Where the text of the last message ends. */
static struct rect end_of_text(const struct bubble *m, const struct ui *ui, struct rect box)
{
    const int h = ui_px(ui, 16), w = ui_px(ui, 8);
    for (size_t k = m->layout.n; k-- > 0;) {
        const struct segment_layout *l = &m->layout.segments[k];
        if (l->n_pieces == 0) continue;
        const struct piece *p = &l->pieces[l->n_pieces - 1];
        return (struct rect){box.x + p->x + p->w + ui_px(ui, 2), box.y + l->y + p->y + (p->h - h) / 2, w, h};
    }
    return (struct rect){box.x, box.y + ui_px(ui, 3), w, h};
}

void bubbles_draw(struct bubbles *b, struct ui *ui, struct rect area, size_t hovered, bool caret)
{
    const int radius = ui_px(ui, 14);
    draw_clip_push(&ui->draw, area);
    for (size_t i = first_visible(b); i < b->n && b->list[i].y < b->scroll + area.h; i++) {
        const struct bubble *m = &b->list[i];
        const struct rect r = bubbles_box(b, area, i), box = bubbles_text_box(b, ui, area, i);
        if (i == hovered) draw_shadow(&ui->draw, r, radius);
        draw_fill(&ui->draw, r, radius, m->m.user ? COLOR_USER : COLOR_ASSISTANT);
        for (size_t k = 0; k < m->layout.n; k++) {
            const struct segment_layout *l = &m->layout.segments[k];
            if (box.y + l->y + l->h < area.y || box.y + l->y > area.y + area.h) continue;
            draw_segment(b, ui, i, k, box, area);
        }
        if (caret && i + 1 == b->n) draw_fill(&ui->draw, end_of_text(m, ui, box), ui_px(ui, 1), COLOR_ACCENT);
    }
    draw_clip_pop(&ui->draw);
}
