/* shapes: coverage computed from signed distances, nine-patch copies, stroked icons on a grid of 24. */
#include "app/window/shapes.h"

#include <SDL.h>
#include <math.h>
#include <string.h>

enum kind { KIND_FILL, KIND_FRAME, KIND_SHADOW, KIND_ICON };
enum { SHAPES_MAX = 96, SHADOW_BLUR = 2 /* times the radius */ };

struct shape {
    enum kind kind;
    int a, b; /* radius and line, or icon and size */
    SDL_Texture *texture;
    int size;
    uint64_t used;
};
struct shapes {
    struct shape shapes[SHAPES_MAX];
    uint64_t clock;
};

struct shapes *shapes_create(void)
{
    return mem_calloc(1, sizeof(struct shapes));
}

void shapes_drop_textures(struct shapes *s)
{
    for (size_t i = 0; i < SHAPES_MAX; i++)
        if (s->shapes[i].texture != NULL) SDL_DestroyTexture(s->shapes[i].texture);
    memset(s, 0, sizeof *s);
}

void shapes_destroy(struct shapes *s)
{
    if (s == NULL) return;
    shapes_drop_textures(s);
    mem_free(s);
}

/* --- coverage of a pixel's middle, 0 to 1 ------------------------------------------------------------------------ */

static float clamp01(float v)
{
    return v < 0 ? 0 : (v > 1 ? 1 : v);
}

/* Distance to a rounded square of half size h; negative inside. */
static float distance_rounded(float x, float y, float h, float radius)
{
    const float dx = fabsf(x) - h + radius, dy = fabsf(y) - h + radius;
    const float ox = dx > 0 ? dx : 0, oy = dy > 0 ? dy : 0, in = dx > dy ? dx : dy;
    return sqrtf(ox * ox + oy * oy) + (in < 0 ? in : 0) - radius;
}

/* Strokes: lines (x0 y0 x1 y1) and arcs (x y radius, from, to in degrees, clockwise from the right). */
struct stroke {
    char kind; /* 'l', 'a', 'f' = filled square from x0 y0 to x1 y1, 't' = filled triangle to the right; 0 = end */
    float v[5];
};
static const struct stroke icon_strokes[N_ICONS][10] = {
    [ICON_SEND] = {{'l', {12, 19, 12, 5}}, {'l', {12, 5, 6, 11}}, {'l', {12, 5, 18, 11}}},
    [ICON_STOP] = {{'f', {5, 5, 19, 19}}},
    [ICON_COPY] = {{'l', {9, 9, 20, 9}}, {'l', {20, 9, 20, 20}}, {'l', {20, 20, 9, 20}}, {'l', {9, 20, 9, 9}},
                   {'l', {5, 15, 4, 15}}, {'l', {4, 15, 4, 4}}, {'l', {4, 4, 15, 4}}, {'l', {15, 4, 15, 5}}},
    [ICON_REDO] = {{'a', {12, 12, 8, 20, 320}}, {'l', {18.2f, 2.5f, 18.2f, 7}}, {'l', {18.2f, 7, 13.5f, 7}}},
    [ICON_EDIT] = {{'l', {4, 20, 5, 15}}, {'l', {5, 15, 16, 4}}, {'l', {16, 4, 20, 8}}, {'l', {20, 8, 9, 19}},
                   {'l', {9, 19, 4, 20}}, {'l', {13.5f, 6.5f, 17.5f, 10.5f}}},
    [ICON_BRANCH] = {{'a', {6, 5, 2.5f, 0, 360}}, {'a', {6, 19, 2.5f, 0, 360}}, {'a', {18, 7, 2.5f, 0, 360}},
                     {'l', {6, 7.5f, 6, 16.5f}}, {'a', {12, 9.5f, 6, 0, 90}}, {'l', {12, 15.5f, 6, 15.5f}}},
    [ICON_TRASH] = {{'l', {4, 7, 20, 7}}, {'l', {9, 7, 9, 4}}, {'l', {9, 4, 15, 4}}, {'l', {15, 4, 15, 7}},
                    {'l', {6, 7, 7, 20}}, {'l', {7, 20, 17, 20}}, {'l', {17, 20, 18, 7}}, {'l', {10, 11, 10, 16}},
                    {'l', {14, 11, 14, 16}}},
    [ICON_DOWN] = {{'l', {12, 5, 12, 19}}, {'l', {12, 19, 6, 13}}, {'l', {12, 19, 18, 13}}},
    [ICON_LEFT] = {{'l', {15, 6, 9, 12}}, {'l', {9, 12, 15, 18}}},
    [ICON_RIGHT] = {{'l', {9, 6, 15, 12}}, {'l', {15, 12, 9, 18}}},
    [ICON_MORE] = {{'l', {4, 7, 20, 7}}, {'l', {4, 12, 20, 12}}, {'l', {4, 17, 20, 17}}},
    [ICON_CLOSE] = {{'l', {6, 6, 18, 18}}, {'l', {18, 6, 6, 18}}},
};

static float distance_line(float x, float y, const float *v)
{
    const float dx = v[2] - v[0], dy = v[3] - v[1], l = dx * dx + dy * dy;
    const float t = l > 0 ? clamp01(((x - v[0]) * dx + (y - v[1]) * dy) / l) : 0;
    return hypotf(x - v[0] - t * dx, y - v[1] - t * dy);
}

static float distance_arc(float x, float y, const float *v)
{
    const float to_rad = 3.14159265f / 180;
    float angle = atan2f(y - v[1], x - v[0]) / to_rad;
    if (angle < 0) angle += 360;
    if (angle >= v[3] && angle <= v[4]) return fabsf(hypotf(x - v[0], y - v[1]) - v[2]);
    const float ax = v[0] + v[2] * cosf(v[3] * to_rad), ay = v[1] + v[2] * sinf(v[3] * to_rad);
    const float bx = v[0] + v[2] * cosf(v[4] * to_rad), by = v[1] + v[2] * sinf(v[4] * to_rad);
    return fminf(hypotf(x - ax, y - ay), hypotf(x - bx, y - by));
}

static float icon_coverage(enum icon icon, float x, float y, float size)
{
    float best = 100;
    const float unit = 24 / size;
    for (const struct stroke *s = icon_strokes[icon]; s < icon_strokes[icon] + 10 && s->kind != 0; s++) {
        float d = 100;
        if (s->kind == 'l') d = distance_line(x * unit, y * unit, s->v) - 0.95f;
        if (s->kind == 'a') d = distance_arc(x * unit, y * unit, s->v) - 0.95f;
        if (s->kind == 'f')
            d = distance_rounded(x * unit - (s->v[0] + s->v[2]) / 2, y * unit - (s->v[1] + s->v[3]) / 2,
                                 (s->v[2] - s->v[0]) / 2, 2);
        best = fminf(best, d);
    }
    return clamp01(0.5f - best / unit);
}

static float coverage(const struct shape *s, int px, int py)
{
    const float half = (float)s->size / 2, x = (float)px + 0.5f - half, y = (float)py + 0.5f - half;
    switch (s->kind) {
    case KIND_FILL:
        return clamp01(0.5f - distance_rounded(x, y, half, (float)s->a));
    case KIND_FRAME: {
        const float d = distance_rounded(x, y, half, (float)s->a);
        return clamp01(0.5f - d) * clamp01(0.5f + d + (float)s->b);
    }
    case KIND_SHADOW: {
        const float blur = (float)(s->a * SHADOW_BLUR) / 2;
        const float d = distance_rounded(x, y, half - blur, (float)s->a);
        const float t = clamp01(0.5f - d / (2 * blur));
        return t * t * (3 - 2 * t);
    }
    case KIND_ICON:
        return icon_coverage((enum icon)s->a, (float)px + 0.5f, (float)py + 0.5f, (float)s->size);
    }
    return 0;
}

static bool make(struct shape *s, SDL_Renderer *r)
{
    SDL_Surface *surface = SDL_CreateRGBSurfaceWithFormat(0, s->size, s->size, 32, SDL_PIXELFORMAT_ARGB8888);
    if (surface == NULL) return false;
    for (int y = 0; y < s->size; y++) {
        uint32_t *row = (uint32_t *)((char *)surface->pixels + (size_t)y * (size_t)surface->pitch);
        for (int x = 0; x < s->size; x++)
            row[x] = (uint32_t)(coverage(s, x, y) * 255 + 0.5f) << 24 | 0xffffff;
    }
    s->texture = SDL_CreateTextureFromSurface(r, surface);
    SDL_FreeSurface(surface);
    if (s->texture == NULL) return false;
    SDL_SetTextureBlendMode(s->texture, SDL_BLENDMODE_BLEND);
    return true;
}

static struct shape *find(struct shapes *all, SDL_Renderer *r, enum kind kind, int a, int b, int size)
{
    struct shape *oldest = &all->shapes[0];
    all->clock++;
    for (size_t i = 0; i < SHAPES_MAX; i++) {
        struct shape *s = &all->shapes[i];
        if (s->texture != NULL && s->kind == kind && s->a == a && s->b == b && s->size == size) {
            s->used = all->clock;
            return s;
        }
        if (s->used < oldest->used) oldest = s;
    }
    if (oldest->texture != NULL) SDL_DestroyTexture(oldest->texture);
    *oldest = (struct shape){.kind = kind, .a = a, .b = b, .size = MAX(size, 1), .used = all->clock};
    if (make(oldest, r)) return oldest;
    memset(oldest, 0, sizeof *oldest);
    return NULL;
}

static void tint(SDL_Texture *t, uint32_t color)
{
    SDL_SetTextureColorMod(t, (uint8_t)(color >> 24), (uint8_t)(color >> 16), (uint8_t)(color >> 8));
    SDL_SetTextureAlphaMod(t, (uint8_t)color);
}

static void plain(SDL_Renderer *r, struct rect to, uint32_t color)
{
    const SDL_Rect rect = {to.x, to.y, to.w, to.h};
    SDL_SetRenderDrawBlendMode(r, (color & 255) == 255 ? SDL_BLENDMODE_NONE : SDL_BLENDMODE_BLEND);
    SDL_SetRenderDrawColor(r, (uint8_t)(color >> 24), (uint8_t)(color >> 16), (uint8_t)(color >> 8), (uint8_t)color);
    SDL_RenderFillRect(r, &rect);
}

/* The corners of the texture as they are. */
static void corners(SDL_Renderer *r, const struct shape *s, struct rect to, int c)
{
    const int x[2] = {to.x, to.x + to.w - c}, y[2] = {to.y, to.y + to.h - c}, from[2] = {0, s->size - c};
    for (int i = 0; i < 4; i++) {
        const SDL_Rect source = {from[i & 1], from[i >> 1], c, c}, target = {x[i & 1], y[i >> 1], c, c};
        SDL_RenderCopy(r, s->texture, &source, &target);
    }
}

void shapes_fill(struct shapes *all, SDL_Renderer *r, struct rect to, int radius, uint32_t color)
{
    struct shape *s = radius > 0 ? find(all, r, KIND_FILL, radius, 0, radius * 2) : NULL;
    if (s == NULL) {
        plain(r, to, color);
        return;
    }
    tint(s->texture, color);
    corners(r, s, to, radius);
    plain(r, (struct rect){to.x + radius, to.y, to.w - 2 * radius, to.h}, color);
    plain(r, (struct rect){to.x, to.y + radius, radius, to.h - 2 * radius}, color);
    plain(r, (struct rect){to.x + to.w - radius, to.y + radius, radius, to.h - 2 * radius}, color);
}

void shapes_frame(struct shapes *all, SDL_Renderer *r, struct rect to, int radius, int line, uint32_t color)
{
    const int c = MAX(radius, line);
    struct shape *s = find(all, r, KIND_FRAME, radius, line, c * 2);
    if (s == NULL) return;
    tint(s->texture, color);
    corners(r, s, to, c);
    plain(r, (struct rect){to.x + c, to.y, to.w - 2 * c, line}, color);
    plain(r, (struct rect){to.x + c, to.y + to.h - line, to.w - 2 * c, line}, color);
    plain(r, (struct rect){to.x, to.y + c, line, to.h - 2 * c}, color);
    plain(r, (struct rect){to.x + to.w - line, to.y + c, line, to.h - 2 * c}, color);
}

void shapes_shadow(struct shapes *all, SDL_Renderer *r, struct rect to, int radius, uint32_t color)
{
    const int blur = radius * SHADOW_BLUR / 2, c = radius + blur;
    const struct rect out = {to.x - blur, to.y - blur + blur / 3, to.w + 2 * blur, to.h + 2 * blur};
    struct shape *s = find(all, r, KIND_SHADOW, radius, blur, c * 2 + 2);
    if (s == NULL || out.w < 2 * c || out.h < 2 * c) return;
    tint(s->texture, color);
    corners(r, s, out, c);
    const SDL_Rect edges[4][2] = {{{c, 0, 2, c}, {out.x + c, out.y, out.w - 2 * c, c}},
                                  {{c, s->size - c, 2, c}, {out.x + c, out.y + out.h - c, out.w - 2 * c, c}},
                                  {{0, c, c, 2}, {out.x, out.y + c, c, out.h - 2 * c}},
                                  {{s->size - c, c, c, 2}, {out.x + out.w - c, out.y + c, c, out.h - 2 * c}}};
    for (int i = 0; i < 4; i++) SDL_RenderCopy(r, s->texture, &edges[i][0], &edges[i][1]);
}

void shapes_icon(struct shapes *all, SDL_Renderer *r, struct rect to, enum icon icon, uint32_t color)
{
    struct shape *s = find(all, r, KIND_ICON, (int)icon, 0, to.w);
    const SDL_Rect target = {to.x, to.y, to.w, to.w};
    if (s == NULL) return;
    tint(s->texture, color);
    SDL_RenderCopy(r, s->texture, NULL, &target);
}
