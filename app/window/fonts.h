/* fonts: text measured and painted through SDL_ttf (FreeType, HarfBuzz), fonts chosen by coverage through fontconfig.
 *
 * Each stretch of text is painted with the first font that has its characters: the face's own, then the system's
 * others in fontconfig's order. Painted stretches are kept as white textures and tinted. Belongs to the window's thread. */
#ifndef PUMICE_WINDOW_FONTS_H
#define PUMICE_WINDOW_FONTS_H

#include "app/window/text.h"

struct fonts;
struct SDL_Renderer;

/* chinese: prefer Simplified Chinese forms of shared ideographs. Fails IO when no font at all is found. */
enum pumice_status fonts_open(bool chinese, struct fonts **out);
void fonts_close(struct fonts *f);
struct measure fonts_measure(struct fonts *f);
/* Paints one line with its top left corner at x, y, in 0xRRGGBBAA. */
void fonts_paint(struct fonts *f, struct SDL_Renderer *renderer, struct font font, const char *text, size_t n, int x,
                 int y, uint32_t color);
void fonts_drop_textures(struct fonts *f); /* after the renderer lost or is about to lose them */
void fonts_next_frame(struct fonts *f);    /* lets go of what was not painted for long, when there is much */

#endif
