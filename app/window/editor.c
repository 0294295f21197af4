/* editor: every change goes through replace(), which remembers how to take it back. */
#include "app/window/editor.h"

#include <string.h>

#include "app/window/draw.h"

enum { STEPS_MAX = 500, BYTES_MAX = 1 << 20 };

static void drop_steps(struct editor *e, size_t from)
{
    for (size_t i = from; i < e->n_steps; i++) mem_free(e->steps[i].texts);
    e->n_steps = from;
    e->step_i = MIN(e->step_i, from);
}

void editor_fini(struct editor *e)
{
    drop_steps(e, 0);
    mem_free(e->steps);
    mem_free(e->text);
    mem_free(e->shown);
    mem_free(e->lines);
    memset(e, 0, sizeof *e);
}

/* Bytes only; the caret is the caller's. */
static bool replace_bytes(struct editor *e, size_t at, size_t n_old, const char *text, size_t n)
{
    if (!grow(&e->text, &e->capacity, e->n - n_old + n + 1, 1)) return false;
    memmove(e->text + at + n, e->text + at + n_old, e->n - at - n_old);
    if (n > 0) memcpy(e->text + at, text, n);
    e->n = e->n - n_old + n;
    e->text[e->n] = 0;
    e->wish_x = -1;
    return true;
}

static bool joins(const struct editor *e, size_t at, size_t n_old, const char *text, size_t n)
{
    if (e->step_i == 0 || n_old > 0 || n == 0) return false;
    const struct edit_step *last = &e->steps[e->step_i - 1];
    return last->typed && last->n_old == 0 && last->at + last->n_new == at && text[0] != ' ' && text[0] != '\n';
}

static bool remember(struct editor *e, size_t at, size_t n_old, const char *text, size_t n, bool typed)
{
    drop_steps(e, e->step_i);
    if (typed && joins(e, at, n_old, text, n)) {
        struct edit_step *last = &e->steps[e->step_i - 1];
        char *more = mem_realloc(last->texts, last->n_new + n, 1);
        if (more == NULL) return false;
        memcpy(more + last->n_new, text, n);
        last->texts = more;
        last->n_new += n;
        return true;
    }
    if (e->n_steps == STEPS_MAX) {
        mem_free(e->steps[0].texts);
        memmove(e->steps, e->steps + 1, (STEPS_MAX - 1) * sizeof *e->steps);
        e->n_steps--;
    }
    if (!grow(&e->steps, &e->steps_capacity, e->n_steps + 1, sizeof *e->steps)) return false;
    char *texts = mem_alloc(MAX(n_old + n, 1));
    if (texts == NULL) return false;
    if (n_old > 0) memcpy(texts, e->text + at, n_old);
    if (n > 0) memcpy(texts + n_old, text, n);
    e->steps[e->n_steps++] =
        (struct edit_step){.at = at, .n_old = n_old, .n_new = n, .caret = e->caret, .texts = texts, .typed = typed};
    e->step_i = e->n_steps;
    return true;
}

static void selection(const struct editor *e, size_t *begin, size_t *end)
{
    *begin = MIN(e->caret, e->anchor);
    *end = MAX(e->caret, e->anchor);
}

static bool replace(struct editor *e, size_t begin, size_t end, const char *text, size_t n, bool typed)
{
    const size_t limit = e->max_bytes > 0 ? e->max_bytes : BYTES_MAX;
    if (begin == end && n == 0) return true;
    if (e->n - (end - begin) + n > limit && n > 0) return false;
    if (!remember(e, begin, end - begin, text, n, typed) || !replace_bytes(e, begin, end - begin, text, n)) return false;
    e->caret = e->anchor = begin + n;
    return true;
}

/* A copy that is valid UTF-8 and, for a single line, without newlines. mem_alloc'ed. */
static char *clean(const struct editor *e, const char *text, size_t n, size_t *n_out)
{
    char *out = mem_alloc(n * 3 + 1);
    size_t to = 0;
    if (out == NULL) return NULL;
    for (size_t i = 0; i < n;) {
        uint32_t code = 0;
        const size_t bytes = utf8_decode(text + i, n - i, &code);
        if (bytes == 0) {
            memcpy(out + to, "\xef\xbf\xbd", 3);
            to += 3;
        } else if (code == '\n' && e->single) {
            out[to++] = ' ';
        } else if (code == '\n' || code == '\t' || (code >= 0x20 && code != 0x7f)) {
            memcpy(out + to, text + i, bytes);
            to += bytes;
        }
        i += MAX(bytes, 1);
    }
    *n_out = to;
    return out;
}

void editor_set(struct editor *e, const char *text, size_t n)
{
    size_t n_clean = 0;
    char *copy = clean(e, text, n, &n_clean);
    drop_steps(e, 0);
    e->n_preedit = 0;
    if (copy != NULL) (void)replace_bytes(e, 0, e->n, copy, n_clean);
    mem_free(copy);
    e->caret = e->anchor = e->n;
    e->scroll = 0;
}

bool editor_insert(struct editor *e, const char *text, size_t n, bool typed)
{
    size_t begin, end, n_clean = 0;
    selection(e, &begin, &end);
    char *copy = clean(e, text, n, &n_clean);
    const bool fine = copy != NULL && replace(e, begin, end, copy, n_clean, typed);
    mem_free(copy);
    return fine;
}

bool editor_undo(struct editor *e)
{
    if (e->step_i == 0) return false;
    const struct edit_step *s = &e->steps[e->step_i - 1];
    if (!replace_bytes(e, s->at, s->n_new, s->texts, s->n_old)) return false;
    e->step_i--;
    e->steps[e->step_i].typed = false;
    e->caret = e->anchor = MIN(s->caret, e->n);
    return true;
}

bool editor_redo(struct editor *e)
{
    if (e->step_i == e->n_steps) return false;
    const struct edit_step *s = &e->steps[e->step_i];
    if (!replace_bytes(e, s->at, s->n_old, s->texts + s->n_old, s->n_new)) return false;
    e->step_i++;
    e->caret = e->anchor = s->at + s->n_new;
    return true;
}

void editor_select_all(struct editor *e)
{
    editor_select(e, 0, e->n);
}

void editor_select(struct editor *e, size_t anchor, size_t caret)
{
    e->anchor = MIN(anchor, e->n);
    e->caret = MIN(caret, e->n);
    e->wish_x = -1;
}

const char *editor_selection(const struct editor *e, size_t *n)
{
    size_t begin, end;
    selection(e, &begin, &end);
    *n = end - begin;
    return e->text != NULL ? e->text + begin : "";
}

static size_t by_lines(struct editor *e, int step, const struct measure *m, struct font font)
{
    const size_t line = editor_line_of(e, e->caret);
    if (e->n_lines == 0) return e->caret;
    if (e->wish_x < 0)
        e->wish_x = text_width(m, font, e->text + e->lines[line].begin, e->caret - e->lines[line].begin);
    if (step < 0 && line == 0) return 0;
    if (step > 0 && line + 1 >= e->n_lines) return e->n;
    const struct edit_line *to = &e->lines[step < 0 ? line - 1 : line + 1];
    return to->begin + text_at(m, font, e->text + to->begin, to->end - to->begin, e->wish_x);
}

static size_t target(struct editor *e, enum edit_move move, const struct measure *m, struct font font)
{
    const size_t line = editor_line_of(e, e->caret);
    if (e->n == 0) return 0;
    switch (move) {
    case EDIT_LEFT:
        return e->caret > 0 ? text_previous(e->text, e->n, e->caret) : 0;
    case EDIT_RIGHT:
        return text_next(e->text, e->n, e->caret);
    case EDIT_WORD_LEFT:
        return text_previous_word(e->text, e->n, e->caret);
    case EDIT_WORD_RIGHT:
        return text_next_word(e->text, e->n, e->caret);
    case EDIT_UP:
        return by_lines(e, -1, m, font);
    case EDIT_DOWN:
        return by_lines(e, 1, m, font);
    case EDIT_LINE_BEGIN:
        return line < e->n_lines ? e->lines[line].begin : 0;
    case EDIT_LINE_END:
        return line < e->n_lines ? e->lines[line].end : e->n;
    case EDIT_BEGIN:
        return 0;
    case EDIT_END:
        return e->n;
    }
    return e->caret;
}

void editor_move(struct editor *e, enum edit_move move, bool select, const struct measure *m, struct font font)
{
    size_t begin, end;
    selection(e, &begin, &end);
    if (e->n_preedit > 0) return;
    if (!select && begin != end && (move == EDIT_LEFT || move == EDIT_RIGHT))
        e->caret = move == EDIT_LEFT ? begin : end;
    else
        e->caret = MIN(target(e, move, m, font), e->n);
    if (!select) e->anchor = e->caret;
    if (move != EDIT_UP && move != EDIT_DOWN) e->wish_x = -1;
    if (e->step_i > 0) e->steps[e->step_i - 1].typed = false;
}

void editor_delete(struct editor *e, enum edit_move move, const struct measure *m, struct font font)
{
    size_t begin, end;
    if (e->caret == e->anchor) e->anchor = MIN(target(e, move, m, font), e->n);
    selection(e, &begin, &end);
    (void)replace(e, begin, end, "", 0, false);
}

void editor_preedit(struct editor *e, const char *text, size_t n, size_t caret)
{
    if (n > 0 && e->caret != e->anchor) editor_delete(e, EDIT_LEFT, NULL, (struct font){0});
    n = MIN(n, sizeof e->preedit - 1);
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    uint32_t code;
    for (size_t i = 0; i < n;) {
        const size_t bytes = utf8_decode(text + i, n - i, &code);
        if (bytes == 0) n = 0; /* not UTF-8: shown as nothing */
        i += MAX(bytes, 1);
    }
    memcpy(e->preedit, text, n);
    e->n_preedit = n;
    e->preedit_caret = MIN(caret, n);
    if (n == 0) return;
    if (!grow(&e->shown, &e->shown_capacity, e->n + n + 1, 1)) {
        e->n_preedit = 0;
        return;
    }
    if (e->caret > 0) memcpy(e->shown, e->text, e->caret);
    memcpy(e->shown + e->caret, e->preedit, n);
    if (e->n > e->caret) memcpy(e->shown + e->caret + n, e->text + e->caret, e->n - e->caret);
    e->shown[e->n + n] = 0;
}

const char *editor_shown(const struct editor *e, size_t *n)
{
    *n = e->n + e->n_preedit;
    if (e->n_preedit > 0) return e->shown;
    return e->text != NULL ? e->text : "";
}

size_t editor_shown_caret(const struct editor *e)
{
    return e->caret + (e->n_preedit > 0 ? e->preedit_caret : 0);
}

static void add_line(struct editor *e, size_t begin, size_t end)
{
    if (grow(&e->lines, &e->lines_capacity, e->n_lines + 1, sizeof *e->lines))
        e->lines[e->n_lines++] = (struct edit_line){begin, end};
}

void editor_wrap(struct editor *e, const struct measure *m, struct font font, int width)
{
    size_t n = 0, begin = 0;
    const char *text = editor_shown(e, &n);
    int x = 0;
    e->n_lines = 0;
    for (size_t i = 0; i < n;) {
        size_t next = text_break(text, n, i);
        if (text[i] == '\n') {
            add_line(e, begin, i);
            begin = i = next;
            x = 0;
            continue;
        }
        const int w = text_width(m, font, text + i, next - i);
        if (!e->single && x + w > width && i > begin) {
            size_t solid = next;
            while (solid > i && text[solid - 1] == ' ') solid--;
            if (x + text_width(m, font, text + i, solid - i) > width) {
                add_line(e, begin, i);
                begin = i;
                x = 0;
            }
        }
        if (!e->single && w > width && i == begin) {
            next = i + text_fit(m, font, text + i, next - i, width);
            x = width;
        } else {
            x += w;
        }
        i = next;
    }
    add_line(e, begin, n);
}

size_t editor_line_of(const struct editor *e, size_t offset)
{
    size_t line = 0;
    while (line + 1 < e->n_lines && e->lines[line + 1].begin <= offset) line++;
    return line;
}
