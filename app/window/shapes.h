/* shapes: rounded rectangles, outlines, shadows and icons as textures, made once for each size. */
#ifndef PUMICE_WINDOW_SHAPES_H
#define PUMICE_WINDOW_SHAPES_H

#include "app/window/draw.h"

struct SDL_Renderer;
struct shapes;
struct shapes *shapes_create(void); /* NULL: no memory */
void shapes_destroy(struct shapes *s);
void shapes_drop_textures(struct shapes *s);
void shapes_fill(struct shapes *s, struct SDL_Renderer *r, struct rect to, int radius, uint32_t color);
void shapes_frame(struct shapes *s, struct SDL_Renderer *r, struct rect to, int radius, int line, uint32_t color);
void shapes_shadow(struct shapes *s, struct SDL_Renderer *r, struct rect to, int radius, uint32_t color);
void shapes_icon(struct shapes *s, struct SDL_Renderer *r, struct rect to, enum icon icon, uint32_t color);

#endif
