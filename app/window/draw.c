/* draw: collecting and printing the list. */
#include "app/window/draw.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

bool grow(void *p, size_t *capacity, size_t need, size_t bytes)
{
    void **items = p;
    if (need <= *capacity) return true;
    const size_t more = MAX(MAX(need, *capacity * 2), 16);
    void *larger = mem_realloc(*items, more, bytes);
    if (larger == NULL) return false;
    *items = larger;
    *capacity = more;
    return true;
}

struct rect rect_inset(struct rect r, int by)
{
    return (struct rect){r.x + by, r.y + by, MAX(r.w - 2 * by, 0), MAX(r.h - 2 * by, 0)};
}

struct rect rect_and(struct rect a, struct rect b)
{
    const int x0 = MAX(a.x, b.x), y0 = MAX(a.y, b.y);
    const int x1 = MIN(a.x + a.w, b.x + b.w), y1 = MIN(a.y + a.h, b.y + b.h);
    if (x1 <= x0 || y1 <= y0) return (struct rect){x0, y0, 0, 0};
    return (struct rect){x0, y0, x1 - x0, y1 - y0};
}

bool rect_has(struct rect r, int x, int y)
{
    return x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + r.h;
}

void draw_begin(struct draw_list *d, struct rect all)
{
    d->n = d->n_text = 0;
    d->failed = false;
    d->n_clips = 1;
    d->clips[0] = all;
}

void draw_fini(struct draw_list *d)
{
    mem_free(d->commands);
    mem_free(d->text);
    memset(d, 0, sizeof *d);
}

/* NULL when it is outside the clip, or memory ran out. */
static struct draw_command *add(struct draw_list *d, enum draw_kind kind, struct rect r, enum color color)
{
    if (kind != DRAW_CLIP && rect_and(r, d->clips[d->n_clips - 1]).w == 0) return NULL;
    if (!grow(&d->commands, &d->capacity, d->n + 1, sizeof *d->commands)) {
        d->failed = true;
        return NULL;
    }
    struct draw_command *c = &d->commands[d->n++];
    *c = (struct draw_command){.kind = kind, .r = r, .color = color};
    return c;
}

void draw_clip_push(struct draw_list *d, struct rect r)
{
    assert(d->n_clips < COUNT_OF(d->clips));
    const struct rect inner = rect_and(r, d->clips[d->n_clips - 1]);
    d->clips[d->n_clips++] = inner;
    (void)add(d, DRAW_CLIP, inner, COLOR_NONE);
}

void draw_clip_pop(struct draw_list *d)
{
    d->n_clips--;
    (void)add(d, DRAW_CLIP, d->clips[d->n_clips - 1], COLOR_NONE);
}

void draw_fill(struct draw_list *d, struct rect r, int radius, enum color color)
{
    struct draw_command *c = add(d, DRAW_FILL, r, color);
    if (c != NULL) c->radius = MIN(radius, MIN(r.w, r.h) / 2);
}

void draw_frame(struct draw_list *d, struct rect r, int radius, int line, enum color color)
{
    struct draw_command *c = add(d, DRAW_FRAME, r, color);
    if (c == NULL) return;
    c->radius = MIN(radius, MIN(r.w, r.h) / 2);
    c->line = line;
}

void draw_shadow(struct draw_list *d, struct rect r, int radius)
{
    struct draw_command *c = add(d, DRAW_SHADOW, r, COLOR_SHADOW);
    if (c != NULL) c->radius = radius;
}

void draw_text(struct draw_list *d, struct rect r, struct font font, enum color color, const char *text, size_t n)
{
    if (n == 0) return;
    struct draw_command *c = add(d, DRAW_TEXT, r, color);
    if (c == NULL) return;
    if (!grow(&d->text, &d->text_capacity, d->n_text + n, 1)) {
        d->failed = true;
        d->n--;
        return;
    }
    memcpy(d->text + d->n_text, text, n);
    c->font = font;
    c->text = d->n_text;
    c->n_text = n;
    d->n_text += n;
}

void draw_icon(struct draw_list *d, struct rect r, enum icon icon, enum color color)
{
    struct draw_command *c = add(d, DRAW_ICON, r, color);
    if (c != NULL) c->icon = icon;
}

static const char *const icons[N_ICONS] = {"send",  "stop", "copy",  "redo", "edit",  "branch", "trash", "down",
                                           "left",  "right", "more", "close"};
static const char *const faces[N_FACES] = {"body", "bold", "italic", "bold-italic", "mono", "mono-bold"};

/* What differs by kind, after the rectangle. */
static void print_rest(const struct draw_list *d, const struct draw_command *c, char *out, size_t n)
{
    char text[240];
    out[0] = 0;
    switch (c->kind) {
    case DRAW_CLIP:
        break;
    case DRAW_FILL:
        snprintf(out, n, " r%d %s", c->radius, color_name(c->color));
        break;
    case DRAW_FRAME:
        snprintf(out, n, " r%d l%d %s", c->radius, c->line, color_name(c->color));
        break;
    case DRAW_SHADOW:
        snprintf(out, n, " r%d", c->radius);
        break;
    case DRAW_TEXT:
        snprintf(out, n, " %s%d %s \"%s\"", faces[c->font.face], c->font.px, color_name(c->color),
                 str_escape((struct str){d->text + c->text, c->n_text}, text, sizeof text));
        break;
    case DRAW_ICON:
        snprintf(out, n, " %s %s", icons[c->icon], color_name(c->color));
        break;
    }
}

char *draw_print(const struct draw_list *d)
{
    static const char *const kinds[] = {"clip", "fill", "frame", "shadow", "text", "icon"};
    char *out = mem_alloc(1);
    size_t n = 0, capacity = 1;
    if (out == NULL) return NULL;
    out[0] = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct draw_command *c = &d->commands[i];
        char line[400], rest[320];
        print_rest(d, c, rest, sizeof rest);
        const int k = snprintf(line, sizeof line, "%s %d %d %dx%d%s\n", kinds[c->kind], c->r.x, c->r.y, c->r.w,
                               c->r.h, rest);
        const size_t length = MIN((size_t)MAX(k, 0), sizeof line - 1);
        if (!grow(&out, &capacity, n + length + 1, 1)) {
            mem_free(out);
            return NULL;
        }
        memcpy(out + n, line, length + 1);
        n += length;
    }
    return out;
}
