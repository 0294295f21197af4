/* fonts: itemising by coverage, sizes, the texture cache. */
#include "app/window/fonts.h"

#include <SDL.h>
#include <SDL_ttf.h>
#include <fontconfig/fontconfig.h>
#include <stdlib.h>
#include <string.h>

#include "app/window/draw.h"

enum {
    FILES_MAX = 64,        /* fonts in use, of a face's own and fallbacks */
    CODES = 0x30000,       /* code points whose font is remembered */
    SLOTS = 8192,          /* of the texture cache */
    PIXELS_MAX = 12 << 20, /* painted pixels kept */
    RUN_MAX = 1024         /* bytes painted at once */
};

struct font_file {
    char *path;
    int index;
};
struct sized { /* a file at a size */
    uint8_t file, px;
    bool bold, italic; /* made by SDL_ttf, where the family has no such file */
    TTF_Font *font;
    bool bitmap; /* colour pictures of one size, scaled when painted */
};
struct painted {
    uint64_t key;
    SDL_Texture *texture;
    int w, h;
    uint64_t frame;
    bool color;
};
struct fonts {
    struct font_file files[FILES_MAX];
    size_t n_files;
    uint8_t own[N_FACES]; /* file of the face */
    FcFontSet *others[N_FACES];
    uint8_t *by_code[N_FACES]; /* [CODES] file + 1, 0 = not asked yet */
    struct sized *sizes;
    size_t n_sizes, sizes_capacity;
    struct width_cache widths;
    struct painted *painted; /* [SLOTS], open addressing by key */
    size_t n_painted;
    int64_t pixels;
    uint64_t frame;
    bool chinese;
    SDL_Renderer *renderer;
};

static FcPattern *face_pattern(const struct fonts *f, enum face face)
{
    const bool mono = face == FACE_MONO || face == FACE_MONO_BOLD;
    FcPattern *p = FcPatternCreate();
    if (p == NULL) return NULL;
    FcPatternAddString(p, FC_FAMILY, (const FcChar8 *)(mono ? "monospace" : "sans-serif"));
    FcPatternAddInteger(p, FC_WEIGHT, face == FACE_BOLD || face == FACE_BOLD_ITALIC || face == FACE_MONO_BOLD
                                          ? FC_WEIGHT_BOLD
                                          : FC_WEIGHT_REGULAR);
    FcPatternAddInteger(p, FC_SLANT, face == FACE_ITALIC || face == FACE_BOLD_ITALIC ? FC_SLANT_ITALIC : FC_SLANT_ROMAN);
    FcPatternAddBool(p, FC_SCALABLE, FcTrue);
    FcPatternAddString(p, FC_LANG, (const FcChar8 *)"en");
    if (f->chinese) FcPatternAddString(p, FC_LANG, (const FcChar8 *)"zh-cn");
    FcConfigSubstitute(NULL, p, FcMatchPattern);
    FcDefaultSubstitute(p);
    return p;
}

/* The number of a font file; FILES_MAX when there is no room. */
static size_t add_file(struct fonts *f, const char *path, int index)
{
    for (size_t i = 0; i < f->n_files; i++)
        if (f->files[i].index == index && strcmp(f->files[i].path, path) == 0) return i;
    if (f->n_files == FILES_MAX) return FILES_MAX;
    char *copy = mem_strdup(path);
    if (copy == NULL) return FILES_MAX;
    f->files[f->n_files] = (struct font_file){copy, index};
    return f->n_files++;
}

static size_t add_pattern(struct fonts *f, FcPattern *p)
{
    FcChar8 *path = NULL;
    int index = 0;
    if (p == NULL || FcPatternGetString(p, FC_FILE, 0, &path) != FcResultMatch) return FILES_MAX;
    (void)FcPatternGetInteger(p, FC_INDEX, 0, &index);
    return add_file(f, (const char *)path, index & 0xffff);
}

static struct sized *size_of(struct fonts *f, size_t file, struct font font)
{
    for (size_t i = 0; i < f->n_sizes; i++)
        if (f->sizes[i].file == file && f->sizes[i].px == font.px) return &f->sizes[i];
    if (!grow(&f->sizes, &f->sizes_capacity, f->n_sizes + 1, sizeof *f->sizes)) return NULL;
    TTF_Font *opened = TTF_OpenFontIndex(f->files[file].path, font.px, f->files[file].index);
    if (opened == NULL) return NULL;
    TTF_SetFontHinting(opened, TTF_HINTING_LIGHT);
    f->sizes[f->n_sizes] = (struct sized){.file = (uint8_t)file, .px = font.px, .font = opened,
                                          .bitmap = TTF_FontHeight(opened) > font.px * 2 + 8};
    return &f->sizes[f->n_sizes++];
}

static bool has(struct fonts *f, size_t file, struct font font, uint32_t code)
{
    const struct sized *s = size_of(f, file, font);
    return s != NULL && TTF_GlyphIsProvided32(s->font, code);
}

/* The system's other fonts are asked in fontconfig's order. */
static size_t find_other(struct fonts *f, struct font font, uint32_t code)
{
    if (f->others[font.face] == NULL) {
        FcResult result = FcResultNoMatch;
        FcPattern *p = face_pattern(f, (enum face)font.face);
        if (p == NULL) return FILES_MAX;
        f->others[font.face] = FcFontSort(NULL, p, FcTrue, NULL, &result);
        FcPatternDestroy(p);
    }
    const FcFontSet *set = f->others[font.face];
    for (int i = 0; set != NULL && i < set->nfont; i++) {
        FcCharSet *codes = NULL;
        if (FcPatternGetCharSet(set->fonts[i], FC_CHARSET, 0, &codes) != FcResultMatch) continue;
        if (!FcCharSetHasChar(codes, code)) continue;
        const size_t file = add_pattern(f, set->fonts[i]);
        if (file < FILES_MAX && has(f, file, font, code)) return file;
    }
    return FILES_MAX;
}

static size_t file_of(struct fonts *f, struct font font, uint32_t code)
{
    const size_t own = f->own[font.face];
    uint8_t *map = f->by_code[font.face];
    if (map == NULL) map = f->by_code[font.face] = mem_calloc(CODES, 1);
    if (code < CODES && map != NULL && map[code] != 0) return map[code] - 1u;
    size_t file = own;
    if (!has(f, own, font, code)) {
        const size_t other = find_other(f, font, code);
        if (other < FILES_MAX) file = other;
    }
    if (code < CODES && map != NULL) map[code] = (uint8_t)(file + 1);
    return file;
}

static bool right_to_left(uint32_t code)
{
    return (code >= 0x590 && code <= 0x8ff) || (code >= 0xfb1d && code <= 0xfdff) || (code >= 0xfe70 && code <= 0xfeff);
}

/* Within a stretch of Arabic or Hebrew HarfBuzz orders the letters; stretches themselves stand from left to right. */
static TTF_Font *directed(const struct sized *s, const char *run, size_t n)
{
    size_t bytes = 0;
    const uint32_t code = text_code(run, n, 0, &bytes);
    const bool rtl = right_to_left(code);
    TTF_SetFontDirection(s->font, rtl ? TTF_DIRECTION_RTL : TTF_DIRECTION_LTR);
    TTF_SetFontScriptName(s->font, rtl ? (code < 0x600 || (code >= 0xfb1d && code < 0xfb50) ? "Hebr" : "Arab") : "Zyyy");
    return s->font;
}

/* The end of the stretch at i that one font paints, in one direction. */
static size_t run_end(struct fonts *f, struct font font, const char *text, size_t n, size_t i, size_t *file)
{
    size_t bytes = 0;
    const uint32_t first = text_code(text, n, i, &bytes);
    *file = file_of(f, font, first);
    const struct sized *s = size_of(f, *file, font);
    const bool emoji = s != NULL && s->bitmap; /* its space is as wide as its pictures */
    size_t end = text_next(text, n, i), solid = end;
    while (end < n && end - i < RUN_MAX - 64) {
        const uint32_t code = text_code(text, n, end, &bytes);
        if ((code != ' ' || emoji) && (file_of(f, font, code) != *file || right_to_left(code) != right_to_left(first))) break;
        end = text_next(text, n, end);
        if (code != ' ') solid = end;
    }
    if (right_to_left(first)) end = solid; /* spaces after it stand at its right */
    return MIN(end, i + RUN_MAX - 1);
}

static int scaled(const struct sized *s, int v)
{
    return s->bitmap ? v * s->px * 5 / 4 / MAX(TTF_FontHeight(s->font), 1) : v;
}

static int on_width(void *user, struct font font, const char *text, size_t n)
{
    struct fonts *f = user;
    uint64_t key = 0;
    int width = 0;
    if (width_cache_find(&f->widths, font, text, n, &key, &width)) return width;
    for (size_t i = 0; i < n;) {
        char run[RUN_MAX];
        size_t file = 0;
        const size_t end = run_end(f, font, text, n, i, &file);
        const struct sized *s = size_of(f, file, font);
        int w = 0, h = 0;
        memcpy(run, text + i, end - i);
        run[end - i] = 0;
        if (s != NULL && TTF_SizeUTF8(directed(s, run, end - i), run, &w, &h) == 0) width += scaled(s, w);
        i = end;
    }
    width_cache_put(&f->widths, key, width);
    return width;
}

static void on_metrics(void *user, struct font font, int *ascent, int *height)
{
    struct fonts *f = user;
    const struct sized *s = size_of(f, f->own[font.face], font);
    *ascent = s != NULL ? TTF_FontAscent(s->font) : font.px;
    *height = s != NULL ? TTF_FontHeight(s->font) : font.px * 5 / 4;
}

struct measure fonts_measure(struct fonts *f)
{
    return (struct measure){.width = on_width, .metrics = on_metrics, .user = f};
}

enum pumice_status fonts_open(bool chinese, struct fonts **out)
{
    struct fonts *f = mem_calloc(1, sizeof *f);
    *out = NULL;
    if (f == NULL) return err_memory("the fonts", sizeof *f);
    f->chinese = chinese;
    f->painted = mem_calloc(SLOTS, sizeof *f->painted);
    if (f->painted == NULL || TTF_Init() != 0 || !FcInit()) {
        mem_free(f->painted);
        mem_free(f);
        return err_set(PUMICE_MEMORY, "the font libraries could not be started: %s", TTF_GetError());
    }
    *out = f;
    for (int face = 0; face < N_FACES; face++) {
        FcResult result = FcResultNoMatch;
        FcPattern *p = face_pattern(f, (enum face)face);
        FcPattern *match = p != NULL ? FcFontMatch(NULL, p, &result) : NULL;
        const size_t file = add_pattern(f, match);
        if (match != NULL) FcPatternDestroy(match);
        if (p != NULL) FcPatternDestroy(p);
        if (file < FILES_MAX && size_of(f, file, (struct font){0, 14}) != NULL)
            f->own[face] = (uint8_t)file;
        else if (f->n_files == 0)
            return err_set(PUMICE_IO, "no font was found; install one, such as the package fonts-dejavu-core");
    }
    return PUMICE_OK;
}

void fonts_drop_textures(struct fonts *f)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (f->painted[i].texture != NULL) SDL_DestroyTexture(f->painted[i].texture);
    memset(f->painted, 0, SLOTS * sizeof *f->painted);
    f->n_painted = 0;
    f->pixels = 0;
}

void fonts_close(struct fonts *f)
{
    if (f == NULL) return;
    fonts_drop_textures(f);
    for (size_t i = 0; i < f->n_sizes; i++) TTF_CloseFont(f->sizes[i].font);
    for (size_t i = 0; i < f->n_files; i++) mem_free(f->files[i].path);
    for (int i = 0; i < N_FACES; i++) {
        mem_free(f->by_code[i]);
        if (f->others[i] != NULL) FcFontSetDestroy(f->others[i]);
    }
    width_cache_fini(&f->widths);
    mem_free(f->painted);
    mem_free(f->sizes);
    mem_free(f);
    TTF_Quit();
    FcFini();
}

void fonts_next_frame(struct fonts *f)
{
    f->frame++;
    if (f->pixels < PIXELS_MAX && f->n_painted < SLOTS / 2) return;
    /* rarely: keep only what the last frames painted. Open addressing wants the rest put in anew. */
    struct painted *kept = mem_calloc(SLOTS, sizeof *kept);
    if (kept == NULL) {
        fonts_drop_textures(f);
        return;
    }
    f->n_painted = 0;
    f->pixels = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        struct painted *p = &f->painted[i];
        if (p->texture == NULL) continue;
        if (p->frame + 2 < f->frame || f->n_painted > SLOTS / 4 || f->pixels > PIXELS_MAX / 2) {
            SDL_DestroyTexture(p->texture);
            continue;
        }
        size_t slot = p->key % SLOTS;
        while (kept[slot].texture != NULL) slot = (slot + 1) % SLOTS;
        kept[slot] = *p;
        f->n_painted++;
        f->pixels += (int64_t)p->w * p->h;
    }
    mem_free(f->painted);
    f->painted = kept;
}

static struct painted *paint_run(struct fonts *f, struct sized *s, const char *run, size_t n)
{
    const uint64_t key = hash_bytes(run, n, mix_u64((uint64_t)s->file << 8 | s->px) | 1);
    size_t slot = key % SLOTS;
    while (f->painted[slot].texture != NULL && f->painted[slot].key != key) slot = (slot + 1) % SLOTS;
    struct painted *p = &f->painted[slot];
    if (p->texture != NULL) return p;
    if (f->n_painted >= SLOTS - 1) return NULL;
    SDL_Surface *surface = TTF_RenderUTF8_Blended(directed(s, run, n), run, (SDL_Color){255, 255, 255, 255});
    if (surface == NULL) return NULL;
    p->texture = SDL_CreateTextureFromSurface(f->renderer, surface);
    p->w = surface->w;
    p->h = surface->h;
    p->key = key;
    p->color = s->bitmap;
    SDL_FreeSurface(surface);
    if (p->texture == NULL) return NULL;
    SDL_SetTextureBlendMode(p->texture, SDL_BLENDMODE_BLEND);
    if (p->color) SDL_SetTextureScaleMode(p->texture, SDL_ScaleModeLinear);
    f->n_painted++;
    f->pixels += (int64_t)p->w * p->h;
    return p;
}

void fonts_paint(struct fonts *f, SDL_Renderer *renderer, struct font font, const char *text, size_t n, int x, int y,
                 uint32_t color)
{
    int ascent = 0, height = 0;
    f->renderer = renderer;
    on_metrics(f, font, &ascent, &height);
    for (size_t i = 0; i < n;) {
        char run[RUN_MAX];
        size_t file = 0;
        const size_t end = run_end(f, font, text, n, i, &file);
        struct sized *s = size_of(f, file, font);
        memcpy(run, text + i, end - i);
        run[end - i] = 0;
        struct painted *p = s != NULL ? paint_run(f, s, run, end - i) : NULL;
        if (p != NULL) {
            const int w = scaled(s, p->w), h = scaled(s, p->h);
            const SDL_Rect to = {x, y + ascent - scaled(s, TTF_FontAscent(s->font)), w, h};
            p->frame = f->frame;
            if (!p->color)
                SDL_SetTextureColorMod(p->texture, (uint8_t)(color >> 24), (uint8_t)(color >> 16), (uint8_t)(color >> 8));
            SDL_RenderCopy(renderer, p->texture, NULL, &to);
            x += w;
        }
        i = end;
    }
}
