/* test_window_screen: the real window: pictures of its states against coarse ones that are kept (averages of 20 x 20
 * pixels, with a tolerance, so that fonts may differ), and SDL's own events through to an answer of the built-in model.
 * Skipped (77) where no window can be opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/window/screen.h"
#include "app/window/worker.h"
#include "check.h"
#include "runtime/platform.h"
#include "window_rig.h"

enum { CELL = 20, COLUMNS = 1080 / CELL, ROWS = 760 / CELL, CELLS = COLUMNS * ROWS };

static struct settings settings;
static struct rig_requests requests;
static const char *scratch;

static void frame(struct view *v, struct screen *s, const struct ui_event *event)
{
    int percent = 100;
    const struct rect all = screen_size(s, &percent);
    view_frame(v, event, all, percent);
    screen_follow(s, &v->ui);
}

/* Mean brightness and colour of each cell of the BMP that screen_save writes: 24 bits, bottom up. */
static bool read_cells(const char *path, unsigned char (*cells)[3])
{
    char *data = NULL;
    size_t n = 0;
    bool fine = platform_read(path, 1 << 24, &data, &n) == PUMICE_OK && n >= 54 + 1080 * 760 * 3;
    const size_t offset = fine ? u32_of_le((const uint8_t *)data + 10) : 0;
    fine = fine && offset + (size_t)1080 * 760 * 3 <= n;
    for (int i = 0; i < CELLS && fine; i++) {
        unsigned sum[3] = {0};
        for (int y = 0; y < CELL; y++)
            for (int x = 0; x < CELL; x++) {
                const int px = i % COLUMNS * CELL + x, py = 759 - (i / COLUMNS * CELL + y);
                const unsigned char *p = (const unsigned char *)data + offset + ((size_t)py * 1080 + (size_t)px) * 3;
                for (int c = 0; c < 3; c++) sum[c] += p[c];
            }
        for (int c = 0; c < 3; c++) cells[i][c] = (unsigned char)(sum[c] / (CELL * CELL));
    }
    mem_free(data);
    return fine;
}

static void write_cells(const char *path, unsigned char (*cells)[3])
{
    static char text[CELLS * 7 + ROWS + 1];
    size_t n = 0;
    for (int i = 0; i < CELLS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%02x%02x%02x%s", cells[i][0], cells[i][1], cells[i][2],
                              (i + 1) % COLUMNS == 0 ? "\n" : " ");
    CHECK(platform_write_atomic(path, text, n) == PUMICE_OK, "%s", pumice_error());
}

/* Cells whose colour is another by more than 28 of 255. */
static int different(const char *path, unsigned char (*cells)[3])
{
    char *text = NULL;
    size_t n = 0;
    int wrong = 0;
    if (!CHECK(platform_read(path, 1 << 20, &text, &n) == PUMICE_OK && n >= CELLS * 7, "%s", pumice_error())) {
        mem_free(text);
        return CELLS;
    }
    for (int i = 0; i < CELLS; i++) {
        const unsigned long rgb = strtoul(text + i * 7, NULL, 16);
        for (int c = 0; c < 3; c++)
            if (labs((long)(rgb >> (16 - 8 * c) & 255) - cells[i][c]) > 28) {
                wrong++;
                break;
            }
    }
    mem_free(text);
    return wrong;
}

static void test_pictures(struct screen *s, const char *dir, bool update)
{
    static const char *const names[] = {"empty", "talk-top", "talk-dark", "problem", "more"};
    static unsigned char cells[CELLS][3];
    struct measure measure = screen_measure(s);
    for (size_t i = 0; i < rig_n_scenes; i++) {
        const struct rig_scene *scene = &rig_scenes[i];
        struct view v;
        char path[1024];
        bool wanted = false;
        for (size_t k = 0; k < COUNT_OF(names); k++) wanted = wanted || strcmp(names[k], scene->name) == 0;
        if (!wanted) continue;
        rig_open(&v, &settings, &requests);
        v.ui.measure = &measure;
        settings.theme = scene->dark ? THEME_DARK : THEME_LIGHT;
        scene->set(&v);
        struct ui_event event = {.kind = UI_NONE, .ms = 1000};
        for (int k = 0; k < 4; k++) frame(&v, s, &event);
        screen_paint(s, &v.ui.draw, view_dark(&v));
        snprintf(path, sizeof path, "%s/screen.bmp", scratch);
        CHECK(screen_save(s, path) && read_cells(path, cells), "no picture of %s", scene->name);
        snprintf(path, sizeof path, "%s/%s.cells", dir, scene->name);
        if (update) write_cells(path, cells);
        const int wrong = different(path, cells);
        CHECK(wrong <= CELLS / 50, "%s: %d of %d cells are different", scene->name, wrong, CELLS);
        view_fini(&v);
        settings_fini(&settings);
    }
}

/* --- a whole conversation ------------------------------------------------------------------------------------------ */

struct live {
    struct screen *s;
    struct worker *w;
    struct view v;
};

static void on_send(void *user, const struct request *r)
{
    worker_send(((struct live *)user)->w, r);
}

static void on_stop(void *user)
{
    worker_stop(((struct live *)user)->w);
}

/* All that is there, and what comes within `ms`. */
static void run(struct live *l, int ms)
{
    struct ui_event event;
    const uint64_t end = platform_now_ns() + (uint64_t)ms * 1000000;
    for (;;) {
        const enum screen_event got = screen_next(l->s, 10, &event);
        event.ms = platform_now_ns() / 1000000;
        for (struct event *e; (e = worker_next(l->w)) != NULL;) view_take(&l->v, e);
        if (got != SCREEN_UI) event.kind = UI_NONE;
        frame(&l->v, l->s, &event);
        if (got == SCREEN_NONE && platform_now_ns() >= end) break;
    }
    screen_paint(l->s, &l->v.ui.draw, view_dark(&l->v));
}

static bool run_until(struct live *l, enum window_state state)
{
    for (int i = 0; i < 600 && l->v.state != state; i++) run(l, 50);
    return l->v.state == state;
}

static void post_key(int key, int mods)
{
    (void)screen_post(&(struct ui_event){.kind = UI_KEY, .key = key, .mods = mods});
}

static void test_conversation(struct screen *s)
{
    static struct live l;
    struct measure measure = screen_measure(s);
    l.s = s;
    rig_open(&l.v, &settings, &requests);
    settings.configuration.temperature = 0;
    snprintf(settings.configuration.device, sizeof settings.configuration.device, "cpu");
    l.v.ui.measure = &measure;
    l.v.ui.paste = screen_paste;
    l.v.ui.user = s;
    l.v.send = on_send;
    l.v.stop = on_stop;
    l.v.user = &l;
    const struct worker_params params = {
        .model = "", .conversation = "", .configuration = settings.configuration, .keep = true, .wake = screen_wake};
    CHECK(worker_start(&params, &l.w) == PUMICE_OK, "%s", pumice_error());
    CHECK(run_until(&l, STATE_IDLE), "the model did not load");
    screen_copy(s, "numbers: 7 2 9 4");
    (void)screen_post(&(struct ui_event){.kind = UI_TEXT, .text = "Sort these "});
    post_key('v', MOD_CTRL);
    run(&l, 50);
    CHECK(strcmp(l.v.input.text, "Sort these numbers: 7 2 9 4") == 0, "typed and pasted: %s", l.v.input.text);
    post_key(KEY_ENTER, 0);
    run(&l, 50);
    CHECK(run_until(&l, STATE_IDLE) && l.v.bubbles.n == 2, "%zu messages", l.v.bubbles.n);
    run(&l, 50);
    CHECK(l.v.bubbles.n == 2 && strstr(l.v.bubbles.list[1].m.text, "2, 4, 7, 9") != NULL, "the answer: %s",
          l.v.bubbles.n == 2 ? l.v.bubbles.list[1].m.text : "none");
    /* of many movements the last one counts, and what comes behind them comes once */
    for (int i = 0; i < 5; i++) (void)screen_post(&(struct ui_event){.kind = UI_MOVE, .x = 300 + i, .y = 200});
    (void)screen_post(&(struct ui_event){.kind = UI_TEXT, .text = "once"});
    run(&l, 50);
    CHECK(strcmp(l.v.input.text, "once") == 0, "typed behind a movement: %s", l.v.input.text);
    CHECK(l.v.ui.mx > 0 && l.v.ui.my > 0, "the movement was lost: %d, %d", l.v.ui.mx, l.v.ui.my);
    post_key('a', MOD_CTRL);
    post_key(KEY_BACKSPACE, 0);
    run(&l, 50);
    /* the Enter that confirms a candidate, as ibus and fcitx send it */
    (void)screen_post(&(struct ui_event){.kind = UI_TEXT, .text = "Hi "});
    (void)screen_post(&(struct ui_event){.kind = UI_PREEDIT, .text = "nihao"});
    post_key(KEY_ENTER, 0);
    (void)screen_post(&(struct ui_event){.kind = UI_PREEDIT, .text = ""});
    (void)screen_post(&(struct ui_event){.kind = UI_TEXT, .text = "你好"});
    post_key(KEY_ENTER, 0);
    run(&l, 50);
    CHECK(l.v.bubbles.n == 2 && strcmp(l.v.input.text, "Hi 你好") == 0, "the candidate was sent: %zu messages, %s",
          l.v.bubbles.n, l.v.input.text);
    (void)screen_post(&(struct ui_event){.kind = UI_DROP, .text = "/nowhere/model.gguf"});
    run(&l, 50);
    CHECK(run_until(&l, STATE_IDLE) && l.v.problem.shown && l.v.problem.loading, "a dropped file that is not there");
    /* a press on the button at the foot, by the mouse */
    const struct rect all = l.v.ui.all;
    (void)screen_post(&(struct ui_event){.kind = UI_MOVE, .x = all.w - 43, .y = all.h - 52});
    (void)screen_post(&(struct ui_event){.kind = UI_DOWN, .x = all.w - 43, .y = all.h - 52});
    (void)screen_post(&(struct ui_event){.kind = UI_UP, .x = all.w - 43, .y = all.h - 52});
    run(&l, 50);
    CHECK(run_until(&l, STATE_IDLE), "no answer");
    run(&l, 50);
    CHECK(l.v.bubbles.n == 4 && strcmp(l.v.bubbles.list[2].m.text, "Hi 你好") == 0, "sent by the mouse: %zu", l.v.bubbles.n);
    worker_finish(l.w);
    view_fini(&l.v);
    settings_fini(&settings);
}

int main(int argc, char **argv)
{
    struct screen *s = NULL;
    const struct screen_params params = {.w = 1080, .h = 760, .software = true};
    if (argc < 3) {
        fprintf(stderr, "usage: test_window_screen GOLDEN-DIR SCRATCH-DIR [--update]\n");
        return 2;
    }
    scratch = argv[2];
    (void)mkdir(scratch, 0700);
    setenv("XDG_DATA_HOME", scratch, 1);
    setenv("XDG_CACHE_HOME", scratch, 1);
    if (screen_open(&params, &s) != PUMICE_OK) {
        fprintf(stderr, "%s\n", pumice_error());
        return 77;
    }
    test_pictures(s, argv[1], argc > 3 && strcmp(argv[3], "--update") == 0);
    test_conversation(s);
    screen_close(s);
    return check_summary("test_window_screen");
}
