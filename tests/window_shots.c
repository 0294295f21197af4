/* window_shots: paints the window in its states, for people to look at: `window_shots DIR` writes DIR/NAME.bmp. Needs a
 * display (Xvfb will do). */
#include <stdio.h>
#include <string.h>

#include "app/window/screen.h"
#include "window_rig.h"

struct shot {
    const char *name;
    int zoom; /* percent */
    bool dark, chinese;
    void (*set)(struct view *v);
};

static void set_empty(struct view *v)
{
    rig_model(v, true);
    rig_state(v, STATE_IDLE, -1);
}

static void set_talk(struct view *v)
{
    const char *const texts[] = {"Write a README for a small tool that renames photos by date", rig_markdown,
                                 "Thank you! Shorter, please.", "It renames photos by date."};
    rig_model(v, false);
    rig_state(v, STATE_IDLE, -1);
    rig_messages(v, texts, 4, ENDING_DONE);
    rig_stats(v, 1234, 8192, 512, 43.7);
}

static void set_top(struct view *v)
{
    set_talk(v);
    v->bubbles.sticks = false;
    v->bubbles.scroll = 0;
}

static void set_chinese(struct view *v)
{
    const char *const texts[] = {"帮我写个冒泡排序，并解释它的时间复杂度", rig_chinese};
    rig_model(v, false);
    rig_state(v, STATE_IDLE, -1);
    rig_messages(v, texts, 2, ENDING_LENGTH);
    rig_stats(v, 345, 8192, 265, 31.4);
}

static void set_busy(struct view *v)
{
    const char *const texts[] = {"Write a weekly report", "## This week\n\nThe window is **nearly** there, and"};
    rig_model(v, false);
    rig_messages(v, texts, 2, ENDING_NONE);
    rig_state(v, STATE_GENERATING, -1);
}

static void set_problem(struct view *v)
{
    set_talk(v);
    rig_problem(v, PUMICE_MEMORY, false,
                "the KV cache for 32768 tokens needs 4.5 GiB, and the device has 2.1 GiB left; choose a smaller context, "
                "a smaller model, or the CPU");
}

static void set_more(struct view *v)
{
    set_talk(v);
    view_open_more(v);
    rig_list(v);
}

static void set_more_end(struct view *v)
{
    set_more(v);
    v->more.scroll = 100000;
}

static void set_keys(struct view *v)
{
    set_talk(v);
    v->sheet = SHEET_KEYS;
}

static void set_link(struct view *v)
{
    set_talk(v);
    v->sheet = SHEET_LINK;
    v->link = mem_strdup("https://example.org/photo-date");
}

static const struct shot shots[] = {
    {"empty", 100, false, false, set_empty},       {"empty-dark-zh", 100, true, true, set_empty},
    {"talk", 100, false, false, set_talk},         {"talk-top", 100, false, false, set_top},
    {"talk-dark", 100, true, false, set_top},      {"talk-2x", 200, false, false, set_top},
    {"chinese", 100, false, true, set_chinese},    {"chinese-dark-2x", 200, true, true, set_chinese},
    {"busy", 100, false, false, set_busy},         {"problem", 100, false, false, set_problem},
    {"problem-dark", 100, true, false, set_problem}, {"more", 100, false, false, set_more},
    {"more-dark-zh", 100, true, true, set_more},   {"more-end", 100, false, false, set_more_end},
    {"keys", 100, false, false, set_keys},         {"link", 100, false, false, set_link},
};

static void frame(struct view *v, struct screen *s, const struct ui_event *event)
{
    int percent = 100;
    const struct rect all = screen_size(s, &percent);
    view_frame(v, event, all, percent);
}

static bool shoot(const struct shot *shot, const char *dir)
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
    for (size_t i = 0; i < COUNT_OF(shots); i++)
        if (argc < 3 || strcmp(argv[2], shots[i].name) == 0) fine = shoot(&shots[i], argv[1]) && fine;
    return fine ? 0 : 1;
}
