/* window_bench: how long the window takes to open, and how many frames a second it paints while an answer grows in a
 * conversation of 500 messages and 200,000 characters. `window_bench [--gpu]`; needs a display (Xvfb will do). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/window/screen.h"
#include "runtime/platform.h"
#include "window_rig.h"

enum { MESSAGES = 500, CHARACTERS = 200000, FRAMES = 600 };

static double ms_since(uint64_t begin)
{
    return (double)(platform_now_ns() - begin) / 1e6;
}

static void frame(struct view *v, struct screen *s)
{
    int percent = 100;
    const struct rect all = screen_size(s, &percent);
    const struct ui_event event = {.kind = UI_NONE, .ms = platform_now_ns() / 1000000};
    view_frame(v, &event, all, percent);
    screen_paint(s, &v->ui.draw, view_dark(v));
}

/* Messages of about equal length, the answers with every kind of block. */
static bool fill(struct view *v, size_t *n_bytes)
{
    const char *texts[MESSAGES];
    char *owned[MESSAGES] = {0};
    const size_t each = CHARACTERS / MESSAGES;
    bool fine = true;
    *n_bytes = 0;
    for (size_t i = 0; i < MESSAGES; i++) {
        const char *from = i % 2 == 0 ? "A question with some words in it, as people ask them. " : rig_markdown;
        const size_t n_from = strlen(from);
        owned[i] = mem_alloc(each + 1);
        fine = fine && owned[i] != NULL;
        if (!fine) break;
        for (size_t k = 0; k < each; k++) owned[i][k] = from[(k + (i % 2 == 1 ? i * 7 : 0)) % n_from];
        owned[i][each] = 0;
        texts[i] = owned[i];
        *n_bytes += each;
    }
    if (fine) rig_messages(v, texts, MESSAGES, ENDING_NONE);
    for (size_t i = 0; i < MESSAGES; i++) mem_free(owned[i]);
    return fine;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void generate(struct view *v, struct screen *s)
{
    static double times[FRAMES];
    double all = 0;
    rig_state(v, STATE_GENERATING, -1);
    for (size_t i = 0; i < FRAMES; i++) {
        char piece[8] = {0};
        memcpy(piece, rig_markdown + i * 4 % (strlen(rig_markdown) - 4), 4);
        const uint64_t begin = platform_now_ns();
        rig_text(v, piece);
        frame(v, s);
        times[i] = ms_since(begin);
        all += times[i];
    }
    qsort(times, FRAMES, sizeof times[0], compare);
    printf("frames while an answer grows: %.0f a second; median %.2f ms, 99 %% %.2f ms, longest %.2f ms\n",
           FRAMES * 1000.0 / all, times[FRAMES / 2], times[FRAMES * 99 / 100], times[FRAMES - 1]);
}

int main(int argc, char **argv)
{
    const uint64_t start = platform_now_ns();
    struct settings settings;
    struct rig_requests requests;
    struct screen *s = NULL;
    struct view v;
    size_t n_bytes = 0;
    const bool gpu = argc > 1 && strcmp(argv[1], "--gpu") == 0;
    const struct screen_params params = {.software = !gpu};
    if (screen_open(&params, &s) != PUMICE_OK) {
        fprintf(stderr, "%s\n", pumice_error());
        return 1;
    }
    struct measure measure = screen_measure(s);
    rig_open(&v, &settings, &requests);
    v.ui.measure = &measure;
    frame(&v, s);
    printf("open to first picture: %.0f ms (renderer %s)\n", ms_since(start), screen_renderer(s));
    rig_model(&v, false);
    if (!fill(&v, &n_bytes)) return 1;
    uint64_t begin = platform_now_ns();
    frame(&v, s);
    printf("first picture of %d messages, %zu characters: %.1f ms\n", MESSAGES, n_bytes, ms_since(begin));
    int slices = 0;
    double longest = 0;
    begin = platform_now_ns();
    for (; view_due(&v) == 0; slices++) {
        const uint64_t slice = platform_now_ns();
        frame(&v, s);
        longest = ms_since(slice) > longest ? ms_since(slice) : longest;
    }
    printf("all of it laid out: %.0f ms in %d slices, the longest %.1f ms\n", ms_since(begin), slices, longest);
    generate(&v, s);
    begin = platform_now_ns();
    v.bubbles.sticks = false;
    for (int i = 0; i < 200; i++) {
        v.bubbles.scroll = v.bubbles.content / 200 * i;
        frame(&v, s);
    }
    printf("scrolling through it: %.0f frames a second\n", 200 * 1000.0 / ms_since(begin));
    view_fini(&v);
    settings_fini(&settings);
    screen_close(s);
    return 0;
}
