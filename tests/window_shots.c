/* window_shots: paints the window in its states, for people to look at: `window_shots DIR` writes DIR/NAME.bmp. Needs a
 * display (Xvfb will do). */
#include <stdio.h>
#include <string.h>

#include "app/window/screen.h"
#include "window_rig.h"

static void frame(struct view *v, struct screen *s, const struct ui_event *event)
{
    int percent = 100;
    const struct rect all = screen_size(s, &percent);
    view_frame(v, event, all, percent);
}

static bool shoot(const struct rig_scene *shot, const char *dir)
{
    struct settings settings;
    struct rig_requests requests;
    struct view v;
    struct screen *s = NULL;
    char path[1024];
    const struct screen_params params = {.w = 1080 * shot->zoom / 100, .h = 760 * shot->zoom / 100,
                                         .chinese = shot->chinese, .software = true};
    if (screen_open(&params, &s) != PUMICE_OK) {
        fprintf(stderr, "%s\n", pumice_error());
        return false;
    }
    struct measure measure = screen_measure(s);
    rig_open(&v, &settings, &requests);
    v.ui.measure = &measure;
    settings.zoom = shot->zoom;
    settings.theme = shot->dark ? THEME_DARK : THEME_LIGHT;
    settings.language = shot->chinese ? LANGUAGE_CHINESE : LANGUAGE_ENGLISH;
    shot->set(&v);
    struct ui_event event = {.kind = UI_NONE, .ms = 1000};
    for (int i = 0; i < 4; i++) frame(&v, s, &event);
    event = (struct ui_event){.kind = UI_MOVE, .x = 700 * shot->zoom / 100, .y = 300 * shot->zoom / 100, .ms = 1100};
    frame(&v, s, &event);
    screen_paint(s, &v.ui.draw, view_dark(&v));
    snprintf(path, sizeof path, "%s/%s.bmp", dir, shot->name);
    const bool fine = screen_save(s, path);
    if (!fine) fprintf(stderr, "%s cannot be written\n", path);
    view_fini(&v);
    settings_fini(&settings);
    screen_close(s);
    return fine;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: window_shots DIR [NAME]\n");
        return 2;
    }
    bool fine = true;
    for (size_t i = 0; i < rig_n_scenes; i++)
        if (argc < 3 || strcmp(argv[2], rig_scenes[i].name) == 0) fine = shoot(&rig_scenes[i], argv[1]) && fine;
    return fine ? 0 : 1;
}
