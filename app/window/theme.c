/* theme: the two palettes. */
#include "app/window/theme.h"

#include <math.h>

static const struct {
    const char *name;
    uint32_t light, dark;
} colors[N_COLORS] = {
    [COLOR_NONE] = {"none", 0, 0},
    [COLOR_BACK] = {"back", 0xffffffff, 0x17191dff},
    [COLOR_PANEL] = {"panel", 0xf6f7f9ff, 0x1e2126ff},
    [COLOR_LINE] = {"line", 0xdfe2e7ff, 0x363a42ff},
    [COLOR_TEXT] = {"text", 0x1d2127ff, 0xe6e8ebff},
    [COLOR_MUTED] = {"muted", 0x5a626eff, 0xa3abb6ff},
    [COLOR_ACCENT] = {"accent", 0x1f63c6ff, 0x2f6fd0ff},
    [COLOR_ACCENT_HOVER] = {"accent-hover", 0x1853abff, 0x2762bdff},
    [COLOR_ON_ACCENT] = {"on-accent", 0xffffffff, 0xffffffff},
    [COLOR_USER] = {"user", 0xd9eafdff, 0x1f3a5cff},
    [COLOR_ASSISTANT] = {"assistant", 0xf3f4f6ff, 0x24272dff},
    [COLOR_SHADOW] = {"shadow", 0x1a243638, 0x00000090},
    [COLOR_CODE_BACK] = {"code-back", 0xe7e9edff, 0x131519ff},
    [COLOR_SELECTION] = {"selection", 0xa9cdf9ff, 0x2d5486ff},
    [COLOR_HOVER] = {"hover", 0xe6e9eeff, 0x30343cff},
    [COLOR_PRESS] = {"press", 0xd6dae1ff, 0x3b404aff},
    [COLOR_FIELD] = {"field", 0xffffffff, 0x24272dff},
    [COLOR_FIELD_OFF] = {"field-off", 0xeceef1ff, 0x1d2025ff},
    [COLOR_RING] = {"ring", 0x1f63c6ff, 0x7db1f7ff},
    [COLOR_TRACK] = {"track", 0xcdd3dbff, 0x444a55ff},
    [COLOR_ERROR_BACK] = {"error-back", 0xfde8e6ff, 0x4a2322ff},
    [COLOR_ERROR_TEXT] = {"error-text", 0x8c1d18ff, 0xffd3cfff},
    [COLOR_NOTE_BACK] = {"note-back", 0x2b3038ff, 0xe6e8ebff},
    [COLOR_NOTE_TEXT] = {"note-text", 0xffffffff, 0x17191dff},
    [COLOR_LINK] = {"link", 0x0b57b8ff, 0x8ab8f8ff},
    [COLOR_KEYWORD] = {"keyword", 0x7b2ea8ff, 0xcf9cf0ff},
    [COLOR_STRING] = {"string", 0x1c6a2bff, 0x9ad29cff},
    [COLOR_COMMENT] = {"comment", 0x58616dff, 0x99a2adff},
    [COLOR_NUMBER] = {"number", 0x9a4a00ff, 0xf0b67cff},
    [COLOR_SCRIM] = {"scrim", 0x11151b50, 0x00000080},
};

const char *color_name(enum color color)
{
    return colors[color].name;
}

uint32_t theme_color(bool dark, enum color color)
{
    return dark ? colors[color].dark : colors[color].light;
}

static double luminance(uint32_t c)
{
    static const double weights[3] = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        const double v = (double)(c >> (24 - 8 * i) & 255) / 255;
        sum += weights[i] * (v <= 0.03928 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
}

double theme_contrast(uint32_t a, uint32_t b)
{
    const double la = luminance(a), lb = luminance(b);
    return (fmax(la, lb) + 0.05) / (fmin(la, lb) + 0.05);
}
