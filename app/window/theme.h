/* theme: colours by role, light and dark. Pure. Every pair of text and ground has a contrast of at least 4.5 : 1. */
#ifndef PUMICE_WINDOW_THEME_H
#define PUMICE_WINDOW_THEME_H

#include "runtime/base.h"

enum color {
    COLOR_NONE,
    COLOR_BACK,
    COLOR_PANEL, /* the column at the left, sheets */
    COLOR_LINE,
    COLOR_TEXT,
    COLOR_MUTED,
    COLOR_ACCENT,
    COLOR_ACCENT_HOVER,
    COLOR_ON_ACCENT,
    COLOR_USER,      /* the person's bubbles */
    COLOR_ASSISTANT, /* the model's */
    COLOR_SHADOW,
    COLOR_CODE_BACK,
    COLOR_SELECTION,
    COLOR_HOVER,
    COLOR_PRESS,
    COLOR_FIELD,
    COLOR_FIELD_OFF, /* while the model answers */
    COLOR_RING,      /* keyboard focus */
    COLOR_TRACK,
    COLOR_ERROR_BACK,
    COLOR_ERROR_TEXT,
    COLOR_NOTE_BACK,
    COLOR_NOTE_TEXT,
    COLOR_LINK,
    COLOR_KEYWORD,
    COLOR_STRING,
    COLOR_COMMENT,
    COLOR_NUMBER,
    COLOR_SCRIM, /* over what a sheet covers */
    N_COLORS
};

const char *color_name(enum color color);
uint32_t theme_color(bool dark, enum color color); /* 0xRRGGBBAA */
double theme_contrast(uint32_t a, uint32_t b);     /* WCAG 2.1: 1 to 21; alpha ignored */

#endif
