/* layout: lines are filled word by word; a table's columns get what they need, or a share of what there is. */
#include "app/window/layout.h"

#include <stdlib.h>
#include <string.h>

#include "app/window/highlight.h"

/* Fills lines between x0 and x0 + width, from y down. */
struct flow {
    struct segment_layout *out;
    const struct segment *s;
    const struct measure *measure;
    struct font base; /* of empty lines */
    int x0, width, y, leading;
    int x;            /* where the next word goes */
    size_t first;     /* the line's first piece */
    int used;         /* widest line */
    bool failed;
};

struct look {
    struct font font;
    enum color color;
    bool underline, strike, ground;
    uint16_t link;
};

static void begin_flow(struct flow *f, int x0, int width, int y, int leading)
{
    f->x0 = f->x = x0;
    f->width = MAX(width, 1);
    f->y = y;
    f->leading = leading;
    f->first = f->out->n_pieces;
    f->used = 0;
}

static struct piece *last_piece(const struct flow *f)
{
    return f->out->n_pieces > f->first ? &f->out->pieces[f->out->n_pieces - 1] : NULL;
}

/* The widths of words do not quite add up to that of the piece they make: kerning, hinting. */
static void finish_piece(struct flow *f)
{
    struct piece *p = last_piece(f);
    if (p == NULL) return;
    p->w = text_width(f->measure, p->font, f->s->text + p->offset, p->n);
    f->x = p->x + p->w;
}

/* Sets the pieces of the line on one base line. */
static void end_line(struct flow *f)
{
    int ascent = 0, descent = 0;
    finish_piece(f);
    if (f->first == f->out->n_pieces) {
        ascent = text_ascent(f->measure, f->base);
        descent = text_height(f->measure, f->base) - ascent;
    }
    for (size_t i = f->first; i < f->out->n_pieces; i++) {
        const struct font font = f->out->pieces[i].font;
        const int a = text_ascent(f->measure, font);
        ascent = MAX(ascent, a);
        descent = MAX(descent, text_height(f->measure, font) - a);
    }
    for (size_t i = f->first; i < f->out->n_pieces; i++) {
        struct piece *p = &f->out->pieces[i];
        p->y = f->y + f->leading / 2 + ascent - text_ascent(f->measure, p->font);
        p->h = text_height(f->measure, p->font);
        f->used = MAX(f->used, p->x + p->w - f->x0);
    }
    f->y += ascent + descent + f->leading;
    f->x = f->x0;
    f->first = f->out->n_pieces;
}

static bool same_look(const struct piece *p, const struct look *l)
{
    return p->font.face == l->font.face && p->font.px == l->font.px && p->color == l->color && p->link == l->link &&
           p->underline == l->underline && p->strike == l->strike && p->ground == l->ground;
}

static void put(struct flow *f, const struct look *l, uint32_t offset, uint32_t n, int w)
{
    struct piece *last = last_piece(f);
    if (last != NULL && same_look(last, l) && last->offset + last->n == offset) {
        last->n += n;
        last->w += w;
    } else {
        struct segment_layout *o = f->out;
        finish_piece(f);
        if (!grow(&o->pieces, &o->pieces_capacity, o->n_pieces + 1, sizeof *o->pieces)) {
            f->failed = true;
            return;
        }
        o->pieces[o->n_pieces++] = (struct piece){.x = f->x, .y = f->y, .w = w, .h = 0, .font = l->font,
                                                  .color = l->color, .underline = l->underline, .strike = l->strike,
                                                  .ground = l->ground, .offset = offset, .n = n, .link = l->link};
    }
    f->x += w;
}

/* The end of the line's last word, which clings to what comes next, goes to the next line. */
static void carry(struct flow *f)
{
    struct piece *p = last_piece(f);
    if (p == NULL) return;
    const char *text = f->s->text + p->offset;
    size_t word = 0;
    for (size_t next = text_break(text, p->n, 0); next < p->n; next = text_break(text, p->n, next)) word = next;
    if (word == 0 && p == &f->out->pieces[f->first]) return; /* a line of one word cannot lose it */
    struct piece tail = *p;
    tail.offset += (uint32_t)word;
    tail.n -= (uint32_t)word;
    tail.w = text_width(f->measure, tail.font, text + word, tail.n);
    p->w -= tail.w;
    p->n = (uint32_t)word;
    if (word == 0) f->out->n_pieces--;
    end_line(f);
    const struct look l = {tail.font, tail.color, tail.underline, tail.strike, tail.ground, tail.link};
    put(f, &l, tail.offset, tail.n, tail.w);
}

/* May a line end before text[i]? Inside a word that changes its style it may not. */
static bool may_cut(const struct flow *f, uint32_t i)
{
    const struct piece *p = last_piece(f);
    if (p == NULL || i == 0) return true;
    size_t bytes = 0;
    size_t from = i - 1;
    while (from > 0 && ((unsigned char)f->s->text[from] & 0xc0) == 0x80) from--;
    return text_break(f->s->text + from, f->s->n_text - from, 0) + from <= i ||
           text_wide(text_code(f->s->text, f->s->n_text, from, &bytes));
}

static size_t without_spaces(const char *text, size_t n)
{
    while (n > 0 && text[n - 1] == ' ') n--;
    return n;
}

static void flow_text(struct flow *f, const struct look *l, uint32_t offset, uint32_t n)
{
    const char *text = f->s->text;
    const size_t end = (size_t)offset + n;
    bool first = true;
    for (size_t i = offset; i < end && !f->failed;) {
        const size_t next = text_break(text, end, i);
        if (text[i] == '\n') {
            end_line(f);
            i = next;
            first = false;
            continue;
        }
        const size_t solid = without_spaces(text + i, next - i);
        const int w = text_width(f->measure, l->font, text + i, next - i);
        const int w_solid = solid == next - i ? w : text_width(f->measure, l->font, text + i, solid);
        if (f->x + w_solid > f->x0 + f->width && f->x > f->x0) {
            if (first && !may_cut(f, (uint32_t)i))
                carry(f);
            else
                end_line(f);
        }
        first = false;
        const int room = f->x0 + f->width - f->x;
        if (w_solid > room && f->x > f->x0) end_line(f);
        if (w_solid > f->width) { /* one word longer than a line */
            const size_t part = text_fit(f->measure, l->font, text + i, next - i, f->width);
            put(f, l, (uint32_t)i, (uint32_t)part, text_width(f->measure, l->font, text + i, part));
            i += part;
            if (i < next) end_line(f);
            continue;
        }
        put(f, l, (uint32_t)i, (uint32_t)(next - i), w);
        i = next;
    }
}

static struct look look_of(const struct span *span, int px, bool heading)
{
    const bool bold = heading || (span->style & STYLE_BOLD) != 0, italic = (span->style & STYLE_ITALIC) != 0;
    struct look l = {.font = {.px = (uint8_t)px}, .color = COLOR_TEXT};
    l.font.face = (uint8_t)(bold ? (italic ? FACE_BOLD_ITALIC : FACE_BOLD) : (italic ? FACE_ITALIC : FACE_BODY));
    if (span->style & STYLE_CODE) {
        l.font.face = bold ? FACE_MONO_BOLD : FACE_MONO;
        l.font.px = (uint8_t)MAX(px * 15 / 16, 1);
        l.ground = true;
    }
    l.strike = (span->style & STYLE_STRIKE) != 0;
    if (span->style & STYLE_LINK) {
        l.color = COLOR_LINK;
        l.underline = true;
        l.link = (uint16_t)(span->link + 1);
    }
    return l;
}

static void flow_spans(struct flow *f, uint32_t first, uint32_t n, int px, bool heading)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct span *span = &f->s->spans[first + i];
        const struct look l = look_of(span, px, heading);
        flow_text(f, &l, span->offset, span->n);
    }
}

static struct deco *add_deco(struct flow *f, enum deco_kind kind, struct rect r)
{
    struct segment_layout *o = f->out;
    if (!grow(&o->decos, &o->decos_capacity, o->n_decos + 1, sizeof *o->decos)) {
        f->failed = true;
        return NULL;
    }
    o->decos[o->n_decos] = (struct deco){.kind = kind, .r = r};
    return &o->decos[o->n_decos++];
}

static int lay_code(struct flow *f, const struct block *b, int px, int x0, int y, int width)
{
    const struct segment *s = f->s;
    const int pad = px * 3 / 4, head = px * 2;
    const struct str lang = {s->link_text + b->lang, b->n_lang};
    const uint32_t begin = b->n_spans > 0 ? s->spans[b->span].offset : 0;
    const uint32_t n = b->n_spans > 0 ? s->spans[b->span + b->n_spans - 1].offset +
                                            s->spans[b->span + b->n_spans - 1].n - begin
                                      : 0;
    const size_t deco = f->out->n_decos;
    (void)add_deco(f, DECO_CODE, (struct rect){x0, y, width, 0});
    struct look l = {.font = {FACE_MONO, (uint8_t)MAX(px * 15 / 16, 1)}};
    f->base = l.font;
    begin_flow(f, x0 + pad, width - 2 * pad, y + head, px / 4);
    for (uint32_t i = 0; i < n;) {
        const size_t next = highlight_next(lang, s->text + begin, n, i, &l.color);
        flow_text(f, &l, begin + i, (uint32_t)next - i);
        i = (uint32_t)next;
    }
    end_line(f);
    if (!f->failed) {
        struct deco *d = &f->out->decos[deco];
        d->r.h = f->y + pad / 2 - y;
        d->offset = begin;
        d->n = n;
        d->lang = b->lang;
        d->n_lang = b->n_lang;
    }
    f->out->w = MAX(f->out->w, x0 + width);
    return f->y + pad / 2;
}

enum { COLUMNS_MAX = 32 };

/* What a cell needs: in one line, and at least. */
static void cell_needs(struct flow *f, const struct cell *c, int px, int *wish, int *least)
{
    *wish = *least = 0;
    for (uint32_t i = 0; i < c->n_spans; i++) {
        const struct span *span = &f->s->spans[c->span + i];
        const struct look l = look_of(span, px, c->head);
        const char *text = f->s->text + span->offset;
        for (size_t at = 0; at < span->n;) {
            const size_t next = text_break(text, span->n, at);
            const int w = text_width(f->measure, l.font, text + at, next - at);
            *wish += w;
            *least = MAX(*least, w);
            at = next;
        }
    }
    (*wish)++;
    *least = MIN(*least + 1, px * 12);
}

static void share_columns(struct flow *f, const struct block *b, int px, int room, int *widths)
{
    int least[COLUMNS_MAX] = {0}, all_least = 0, all_more = 0;
    const uint32_t n = MIN(b->n_columns, COLUMNS_MAX);
    memset(widths, 0, sizeof(int) * COLUMNS_MAX);
    for (uint32_t i = 0; i < b->n_cells; i++) {
        int wish = 0, small = 0;
        if (i % b->n_columns >= n) continue;
        cell_needs(f, &f->s->cells[b->cell + i], px, &wish, &small);
        widths[i % b->n_columns] = MAX(widths[i % b->n_columns], wish);
        least[i % b->n_columns] = MAX(least[i % b->n_columns], small);
    }
    int all = 0;
    for (uint32_t i = 0; i < n; i++) {
        all += widths[i];
        all_least += least[i];
        all_more += MAX(widths[i] - least[i], 0);
    }
    if (all <= room) return;
    for (uint32_t i = 0; i < n; i++) {
        if (all_least > room)
            widths[i] = (int)((int64_t)least[i] * room / MAX(all_least, 1));
        else
            widths[i] = least[i] + (int)((int64_t)MAX(widths[i] - least[i], 0) * (room - all_least) / MAX(all_more, 1));
    }
}

static void align_cell(struct flow *f, size_t first, int x, int width, enum cell_align align)
{
    for (size_t i = first; align != CELL_LEFT && i < f->out->n_pieces;) {
        size_t end = i;
        int right = 0;
        while (end < f->out->n_pieces && (end == i || f->out->pieces[end].x > f->out->pieces[end - 1].x)) {
            right = f->out->pieces[end].x + f->out->pieces[end].w;
            end++;
        }
        const int space = MAX(x + width - right, 0);
        for (; i < end; i++) f->out->pieces[i].x += align == CELL_CENTER ? space / 2 : space;
    }
}

static int lay_table(struct flow *f, const struct block *b, int px, int x0, int y, int width)
{
    const int pad = px * 5 / 8, row_pad = px * 3 / 8;
    const uint32_t columns = MIN(b->n_columns, COLUMNS_MAX);
    int widths[COLUMNS_MAX], all = 0;
    share_columns(f, b, px, MAX(width - (int)columns * 2 * pad, (int)columns), widths);
    for (uint32_t i = 0; i < columns; i++) all += widths[i] + 2 * pad;
    const int top = y;
    for (uint32_t row = 0; row * b->n_columns < b->n_cells; row++) {
        int x = x0, bottom = y;
        const size_t deco = f->out->n_decos;
        const bool head = f->s->cells[b->cell + row * b->n_columns].head;
        (void)add_deco(f, head ? DECO_HEAD : DECO_RULE, (struct rect){x0, y, all, 1});
        for (uint32_t i = 0; i < columns && row * b->n_columns + i < b->n_cells; i++) {
            const struct cell *c = &f->s->cells[b->cell + row * b->n_columns + i];
            const size_t first = f->out->n_pieces;
            begin_flow(f, x + pad, widths[i], y + row_pad, px / 4);
            flow_spans(f, c->span, c->n_spans, px, c->head);
            end_line(f);
            align_cell(f, first, x + pad, widths[i], (enum cell_align)c->align);
            bottom = MAX(bottom, f->y + row_pad);
            x += widths[i] + 2 * pad;
        }
        if (head && !f->failed) f->out->decos[deco].r.h = bottom - y;
        y = bottom;
    }
    (void)add_deco(f, DECO_GRID, (struct rect){x0, top, all, y - top});
    f->out->w = MAX(f->out->w, x0 + all);
    return y;
}

static int lay_block(struct flow *f, const struct block *b, const struct layout_style *style, int y, int width)
{
    static const int sizes[7] = {16, 24, 21, 18, 17, 16, 16}; /* of headings, in sixteenths */
    const int px = style->px;
    const int x0 = b->quote * px + b->indent * px * 3 / 2;
    width = MAX(width - x0, px * 4);
    f->base = (struct font){FACE_BODY, (uint8_t)px};
    if (b->n_marker > 0) {
        const int w = text_width(f->measure, f->base, f->s->text + b->marker, b->n_marker);
        const struct look l = {.font = f->base, .color = COLOR_MUTED};
        begin_flow(f, MAX(x0 - w - px * 3 / 8, 0), width, y, px * 3 / 8);
        put(f, &l, b->marker, b->n_marker, w);
        end_line(f);
    }
    switch (b->kind) {
    case BLOCK_RULE:
        (void)add_deco(f, DECO_RULE, (struct rect){x0, y + px / 2, width, 1});
        f->out->w = MAX(f->out->w, x0 + width);
        return y + px;
    case BLOCK_CODE:
        return lay_code(f, b, px, x0, y, width);
    case BLOCK_TABLE:
        return lay_table(f, b, px, x0, y, width);
    case BLOCK_TEXT:
    case BLOCK_HEADING:
        break;
    }
    const bool heading = b->kind == BLOCK_HEADING;
    const int size = heading ? px * sizes[MIN(b->level, 6)] / 16 : px;
    begin_flow(f, x0, width, y, px * 3 / 8);
    flow_spans(f, b->span, b->n_spans, MIN(size, 255), heading);
    end_line(f);
    f->out->w = MAX(f->out->w, x0 + f->used);
    return f->y;
}

static bool lay_segment(struct segment_layout *out, const struct segment *s, const struct layout_style *style, int width,
                        bool first)
{
    struct flow f = {.out = out, .s = s, .measure = style->measure};
    int y = 0;
    out->n_pieces = out->n_decos = 0;
    out->w = 0;
    out->version = s->version;
    for (size_t i = 0; i < s->n_blocks && !f.failed; i++) {
        const struct block *b = &s->blocks[i];
        const int gap = b->tight ? style->px / 8 : (b->kind == BLOCK_HEADING ? style->px * 7 / 8 : style->px * 5 / 8);
        if (i > 0 || !first) y += gap;
        const int top = y;
        y = lay_block(&f, b, style, y, width);
        for (int q = 0; q < b->quote; q++) {
            const int up = i > 0 && s->blocks[i - 1].quote > q ? gap : 0;
            (void)add_deco(&f, DECO_QUOTE, (struct rect){q * style->px, top - up, MAX(style->px / 5, 2), y - top + up});
        }
    }
    out->h = y;
    return !f.failed;
}

enum pumice_status layout_update(struct layout *l, const struct markdown *m, const struct layout_style *style,
                                 int width)
{
    const size_t had = l->capacity;
    bool fine = true;
    if (!grow(&l->segments, &l->capacity, MAX(m->n_segments, 1), sizeof *l->segments))
        return err_memory("a message", m->n_segments * sizeof *l->segments);
    if (l->capacity > had) memset(l->segments + had, 0, (l->capacity - had) * sizeof *l->segments);
    const bool all = l->width != width || l->px != style->px;
    l->width = width;
    l->px = style->px;
    l->n = m->n_segments;
    l->w = l->h = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct segment_layout *s = &l->segments[i];
        if (all || s->version != m->segments[i].version)
            fine = lay_segment(s, &m->segments[i], style, width, i == 0) && fine;
        s->y = l->h;
        l->h += s->h;
        l->w = MAX(l->w, s->w);
    }
    return fine ? PUMICE_OK : err_memory("a message", l->n * sizeof *l->segments);
}

void layout_fini(struct layout *l)
{
    for (size_t i = 0; i < l->capacity; i++) {
        mem_free(l->segments[i].pieces);
        mem_free(l->segments[i].decos);
    }
    mem_free(l->segments);
    memset(l, 0, sizeof *l);
}

int position_compare(struct position a, struct position b)
{
    if (a.segment != b.segment) return a.segment < b.segment ? -1 : 1;
    return a.offset < b.offset ? -1 : (a.offset > b.offset ? 1 : 0);
}

static int outside(int v, int from, int size)
{
    return v < from ? from - v : (v >= from + size ? v - from - size + 1 : 0);
}

struct position layout_at(const struct layout *l, const struct markdown *m, const struct measure *measure, int x, int y)
{
    const struct piece *best = NULL;
    size_t segment = 0;
    int64_t best_score = INT64_MAX;
    for (size_t i = 0; i < l->n; i++) {
        const struct segment_layout *s = &l->segments[i];
        if (best != NULL && (int64_t)outside(y, s->y, s->h) << 20 > best_score) continue;
        for (size_t k = 0; k < s->n_pieces; k++) {
            const struct piece *p = &s->pieces[k];
            const int64_t score = ((int64_t)outside(y, s->y + p->y, p->h) << 20) + outside(x, p->x, p->w);
            if (score < best_score) {
                best = p;
                segment = i;
                best_score = score;
            }
        }
    }
    if (best == NULL) return (struct position){0, 0};
    const char *text = m->segments[segment].text + best->offset;
    const size_t at = text_at(measure, best->font, text, best->n, x - best->x);
    return (struct position){(uint32_t)segment, best->offset + (uint32_t)at};
}

const struct link *layout_link(const struct layout *l, const struct markdown *m, int x, int y, size_t *segment)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct segment_layout *s = &l->segments[i];
        for (size_t k = 0; k < s->n_pieces; k++) {
            const struct piece *p = &s->pieces[k];
            if (p->link == 0 || !rect_has((struct rect){p->x, s->y + p->y, p->w, p->h}, x, y)) continue;
            *segment = i;
            return &m->segments[i].links[p->link - 1];
        }
    }
    return NULL;
}

