/* test_window: the window without a display: scripts of events against draw lists (golden files) and requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "runtime/platform.h"
#include "window_rig.h"

static struct settings settings;
static struct rig_requests requests;
static uint64_t now = 1000;

static void frame_at(struct view *v, const struct ui_event *event)
{
    struct ui_event e = *event;
    now += 10;
    e.ms = now;
    const int zoom = v->settings->zoom;
    view_frame(v, &e, (struct rect){0, 0, 1080 * MAX(zoom, 100) / 100, 760 * MAX(zoom, 100) / 100}, 100);
}

static void tick(struct view *v)
{
    frame_at(v, &(struct ui_event){.kind = UI_NONE});
}

static void key(struct view *v, int k, int mods)
{
    frame_at(v, &(struct ui_event){.kind = UI_KEY, .key = k, .mods = mods});
}

static void type(struct view *v, const char *text)
{
    frame_at(v, &(struct ui_event){.kind = UI_TEXT, .text = text});
}

static void mouse(struct view *v, enum ui_event_kind kind, int x, int y, int clicks)
{
    frame_at(v, &(struct ui_event){.kind = kind, .x = x, .y = y, .clicks = clicks});
}

static void click(struct view *v, int x, int y)
{
    mouse(v, UI_MOVE, x, y, 0);
    mouse(v, UI_DOWN, x, y, 1);
    mouse(v, UI_UP, x, y, 1);
}

/* The middle of what the last frame drew as this text; false when it did not. */
static bool find_text(const struct view *v, const char *text, int *x, int *y)
{
    const struct draw_list *d = &v->ui.draw;
    for (size_t i = 0; i < d->n; i++) {
        const struct draw_command *c = &d->commands[i];
        if (c->kind != DRAW_TEXT || c->n_text != strlen(text) || memcmp(d->text + c->text, text, c->n_text) != 0) continue;
        *x = c->r.x + c->r.w / 2;
        *y = c->r.y + c->r.h / 2;
        return true;
    }
    return false;
}

static bool shows(const struct view *v, const char *text)
{
    int x = 0, y = 0;
    return find_text(v, text, &x, &y);
}

static bool click_text(struct view *v, const char *text)
{
    int x = 0, y = 0;
    if (!find_text(v, text, &x, &y)) return false;
    click(v, x, y);
    return true;
}

static bool find_icon(const struct view *v, enum icon icon, int *x, int *y)
{
    const struct draw_list *d = &v->ui.draw;
    for (size_t i = d->n; i-- > 0;)
        if (d->commands[i].kind == DRAW_ICON && d->commands[i].icon == icon) {
            *x = d->commands[i].r.x + d->commands[i].r.w / 2;
            *y = d->commands[i].r.y + d->commands[i].r.h / 2;
            return true;
        }
    return false;
}

static bool click_icon(struct view *v, enum icon icon)
{
    int x = 0, y = 0;
    if (!find_icon(v, icon, &x, &y)) return false;
    click(v, x, y);
    return true;
}

static void open_idle(struct view *v, bool talk)
{
    static const char *const texts[] = {"Hello there", "A first answer with **bold** words.", "And more?",
                                        "See [the page](https://example.org/x) for more."};
    rig_open(v, &settings, &requests);
    rig_model(v, false);
    rig_state(v, STATE_IDLE, -1);
    if (talk) rig_messages(v, texts, 4, ENDING_DONE);
    tick(v);
    tick(v);
}

static void close_view(struct view *v)
{
    view_fini(v);
    settings_fini(&settings);
}

/* --- golden draw lists ---------------------------------------------------------------------------------------------- */

static void test_golden(const char *dir, bool update)
{
    for (size_t i = 0; i < rig_n_scenes; i++) {
        const struct rig_scene *scene = &rig_scenes[i];
        struct view v;
        char path[1024], *want = NULL;
        size_t n = 0;
        rig_open(&v, &settings, &requests);
        settings.zoom = scene->zoom;
        settings.language = scene->chinese ? LANGUAGE_CHINESE : LANGUAGE_ENGLISH;
        scene->set(&v);
        now = 1000;
        for (int k = 0; k < 4; k++) tick(&v);
        mouse(&v, UI_MOVE, 700 * scene->zoom / 100, 300 * scene->zoom / 100, 0);
        char *got = draw_print(&v.ui.draw);
        snprintf(path, sizeof path, "%s/%s.txt", dir, scene->name);
        if (update && got != NULL) (void)platform_write_atomic(path, got, strlen(got));
        if (CHECK(platform_read(path, 1 << 20, &want, &n) == PUMICE_OK, "%s", pumice_error()) && got != NULL) {
            size_t at = 0;
            while (got[at] != 0 && got[at] == want[at]) at++;
            while (at > 0 && got[at - 1] != '\n') at--;
            CHECK(strcmp(got, want) == 0, "%s differs (--update writes it anew):\nwant %.80s\ngot  %.80s", path, want + at,
                  got + at);
        }
        mem_free(want);
        mem_free(got);
        close_view(&v);
    }
}

/* --- typing and sending --------------------------------------------------------------------------------------------- */

static void test_send(void)
{
    struct view v;
    open_idle(&v, false);
    key(&v, KEY_ENTER, 0);
    CHECK(requests.n == 0, "nothing was typed, and %zu requests", requests.n);
    type(&v, "Hello");
    key(&v, KEY_ENTER, MOD_SHIFT);
    type(&v, "you");
    key(&v, KEY_ENTER, 0);
    CHECK(requests.n == 1 && requests.kind == REQUEST_SEND && strcmp(requests.text, "Hello\nyou") == 0, "%zu, %s",
          requests.n, requests.text);
    CHECK(v.input.n == 0 && view_busy(&v), "input %zu, state %d", v.input.n, (int)v.state);
    type(&v, "while it answers");
    CHECK(v.input.n == 0, "the input takes text while it is grey");
    key(&v, KEY_ESCAPE, 0);
    key(&v, KEY_ESCAPE, 0);
    CHECK(requests.stops == 1, "%u stops", requests.stops);
    rig_state(&v, STATE_IDLE, -1);
    tick(&v);
    type(&v, "again");
    CHECK(click_icon(&v, ICON_SEND) && requests.n == 2 && strcmp(requests.text, "again") == 0, "by the icon: %s",
          requests.text);
    close_view(&v);
}

static void test_send_while_loading(void)
{
    struct view v;
    rig_open(&v, &settings, &requests);
    tick(&v);
    type(&v, "early");
    key(&v, KEY_ENTER, 0);
    CHECK(requests.n == 0 && v.input.n == 5, "sent before the model was there");
    rig_model(&v, false);
    rig_state(&v, STATE_IDLE, -1);
    CHECK(requests.n == 1 && strcmp(requests.text, "early") == 0, "%zu requests", requests.n);
    close_view(&v);
}

/* The Enter that confirms a candidate: before the text, with the text, right after it. */
static void test_input_method(void)
{
    struct view v;
    open_idle(&v, false);
    type(&v, "Hi "); /* so that there is something that could be sent, or deleted */
    frame_at(&v, &(struct ui_event){.kind = UI_PREEDIT, .text = "ni'hao", .caret = 6});
    char *list = draw_print(&v.ui.draw);
    CHECK(list != NULL && strstr(list, "\"Hi ni'hao\"") != NULL, "the preedit is not drawn");
    mem_free(list);
    key(&v, KEY_ENTER, 0);
    key(&v, KEY_BACKSPACE, 0);
    CHECK(requests.n == 0 && v.input.n_preedit == 6 && v.input.n == 3, "keys of the input method reached the window");
    frame_at(&v, &(struct ui_event){.kind = UI_PREEDIT, .text = ""});
    type(&v, "你好");
    key(&v, KEY_ENTER, 0);
    CHECK(requests.n == 0 && v.input.n == 9, "the Enter of the candidate sent the message");
    now += 500;
    key(&v, KEY_ENTER, 0);
    CHECK(requests.n == 1 && strcmp(requests.text, "Hi 你好") == 0, "%zu %s", requests.n, requests.text);
    close_view(&v);
}

static void test_editor(void)
{
    const struct measure m = rig_measure();
    const struct font font = {FACE_BODY, 16};
    struct editor e = {0};
    editor_insert(&e, "one two 三四 e\xcc\x81", 18, true);
    editor_wrap(&e, &m, font, 1000);
    editor_move(&e, EDIT_LEFT, false, &m, font);
    CHECK(e.caret == 15, "a letter with its accent is one step: %zu", e.caret);
    editor_move(&e, EDIT_WORD_LEFT, false, &m, font);
    CHECK(e.caret == 11, "%zu", e.caret);
    editor_move(&e, EDIT_BEGIN, false, &m, font);
    editor_move(&e, EDIT_WORD_RIGHT, true, &m, font);
    editor_delete(&e, EDIT_LEFT, &m, font);
    CHECK(strncmp(e.text, " two", 4) == 0, "%s", e.text);
    CHECK(editor_undo(&e) && strncmp(e.text, "one two", 7) == 0, "%s", e.text);
    CHECK(editor_undo(&e) && e.n == 0, "typing is one step: %zu", e.n);
    CHECK(editor_redo(&e) && editor_redo(&e) && !editor_redo(&e), "redo");
    editor_set(&e, "ab\xff\ncd", 6);
    CHECK(strcmp(e.text, "ab\xef\xbf\xbd\ncd") == 0, "invalid UTF-8 is replaced");
    editor_wrap(&e, &m, font, 1000);
    editor_move(&e, EDIT_UP, false, &m, font);
    CHECK(e.caret == 2, "up keeps the column: %zu", e.caret);
    editor_set(&e, "aaaa bbbb cccccccccccccccccccc", 30);
    editor_wrap(&e, &m, font, 80);
    for (size_t i = 0; i < e.n_lines; i++)
        CHECK(text_width(&m, font, e.text + e.lines[i].begin, e.lines[i].end - e.lines[i].begin) <= 88, "line %zu is too wide",
              i);
    CHECK(e.n_lines == 3 || e.n_lines == 4, "%zu lines", e.n_lines);
    e.max_bytes = 31;
    CHECK(!editor_insert(&e, "xy", 2, true) && e.n == 30, "the limit holds");
    editor_fini(&e);
}

static size_t measured_bytes;
static struct measure plain_measure;

static int counted_width(void *user, struct font font, const char *text, size_t n)
{
    (void)user;
    measured_bytes += n;
    return plain_measure.width(plain_measure.user, font, text, n);
}

/* A text without a space, as base64 is, is laid out in a time that grows with its length, not with its square. */
static void test_long_word(void)
{
    struct view v;
    enum { LONG = 200000 };
    char *text = mem_alloc(LONG + 1);
    plain_measure = rig_measure();
    struct measure m = plain_measure;
    m.width = counted_width;
    REQUIRE(text != NULL, "no memory");
    for (int i = 0; i < LONG; i++) text[i] = (char)('A' + i * 7 % 26);
    text[LONG] = 0;
    const struct font font = {FACE_BODY, 16};
    struct editor e = {0};
    editor_set(&e, text, LONG);
    measured_bytes = 0;
    editor_wrap(&e, &m, font, 700);
    CHECK(e.n == LONG && e.n_lines > LONG / 100 && measured_bytes < 100u * LONG, "%zu lines, %zu bytes measured", e.n_lines, measured_bytes);
    for (size_t i = 0; i < e.n_lines; i++)
        CHECK(text_width(&plain_measure, font, e.text + e.lines[i].begin, e.lines[i].end - e.lines[i].begin) <= 700, "line %zu", i);
    editor_fini(&e);
    rig_open(&v, &settings, &requests);
    v.ui.measure = &m;
    measured_bytes = 0;
    rig_messages(&v, (const char *const[]){text, "ok"}, 2, ENDING_DONE);
    tick(&v);
    CHECK(measured_bytes < 200u * LONG, "%zu bytes measured for a bubble", measured_bytes);
    close_view(&v);
    mem_free(text);
}

/* Editing ends where what stood there is another message, and what is too long to be pasted is not lost without a word. */
static char *paste_much(void *user)
{
    (void)user;
    char *text = mem_alloc((2 << 20) + 1);
    if (text == NULL) return NULL;
    memset(text, 'x', 2 << 20);
    text[2 << 20] = 0;
    return text;
}

static void test_edit_elsewhere(void)
{
    struct view v;
    const char *const first[] = {"What is RoPE?", "A rotation."}, *const other[] = {"Buy milk", "Done."};
    rig_open(&v, &settings, &requests);
    rig_model(&v, true);
    rig_state(&v, STATE_IDLE, -1);
    rig_messages(&v, first, 2, ENDING_DONE);
    editor_set(&v.input, "a draft", 7);
    view_edit(&v, 0);
    CHECK(v.editing == 0 && strcmp(v.input.text, first[0]) == 0, "%s", v.input.text);
    rig_messages(&v, first, 2, ENDING_DONE);
    CHECK(v.editing == 0, "the same messages end the editing");
    struct event *e = mem_calloc(1, sizeof *e);
    REQUIRE(e != NULL, "no memory");
    e->kind = EVENT_MESSAGES;
    e->text = mem_strdup("20260101-000000-2");
    e->path = mem_strdup("Be short.");
    e->messages = mem_calloc(2, sizeof *e->messages);
    e->n = e->messages != NULL ? 2 : 0;
    for (size_t i = 0; i < e->n; i++)
        e->messages[i] = (struct shown_message){.key = 1000 + i, .user = i == 0, .text = mem_strdup(other[i]), .n = strlen(other[i]), .n_alternatives = 1};
    view_take(&v, e);
    CHECK(v.editing == SIZE_MAX && strcmp(v.input.text, "a draft") == 0, "still editing, in another conversation: %s", v.input.text);
    CHECK(strcmp(settings.configuration.system, "Be short.") == 0 && strcmp(v.more.system.text, "Be short.") == 0, "its system message: %s",
          settings.configuration.system);
    v.ui.paste = paste_much;
    key(&v, 'v', MOD_CTRL);
    tick(&v);
    CHECK(strcmp(v.input.text, "a draft") == 0 && v.toast.text[0] != 0, "nothing is said of what was not pasted");
    close_view(&v);
}

/* --- scrolling, selecting, links ------------------------------------------------------------------------------------ */

static void test_scroll(void)
{
    struct view v;
    const char *const texts[] = {"Tell me", rig_markdown, "More", rig_markdown};
    open_idle(&v, false);
    rig_messages(&v, texts, 4, ENDING_NONE);
    rig_state(&v, STATE_GENERATING, -1);
    tick(&v);
    CHECK(v.bubbles.sticks && v.bubbles.scroll == v.bubbles.content - v.area.h, "begins at the end");
    rig_text(&v, "\n\nOne more paragraph, and one more line of it.");
    tick(&v);
    CHECK(v.bubbles.scroll == v.bubbles.content - v.area.h, "stays at the end while the text grows");
    mouse(&v, UI_MOVE, 700, 300, 0);
    frame_at(&v, &(struct ui_event){.kind = UI_WHEEL, .y = 300});
    const int scroll = v.bubbles.scroll;
    rig_text(&v, "\n\nAnd another paragraph.");
    tick(&v);
    CHECK(!v.bubbles.sticks && v.bubbles.scroll == scroll, "stays where the person scrolled: %d, was %d", v.bubbles.scroll,
          scroll);
    CHECK(click_icon(&v, ICON_DOWN), "there is a button to the end");
    tick(&v);
    CHECK(v.bubbles.sticks && v.bubbles.scroll == v.bubbles.content - v.area.h, "the button leads to the end");
    close_view(&v);
}

static void test_select(void)
{
    struct view v;
    int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
    open_idle(&v, true);
    CHECK(find_text(&v, "A first answer with ", &x0, &y0) && find_text(&v, "And more?", &x1, &y1), "texts are shown");
    mouse(&v, UI_DOWN, x0 - 1000, y0, 1);
    mouse(&v, UI_MOVE, x1 + 500, y1, 0);
    mouse(&v, UI_UP, x1 + 500, y1, 1);
    CHECK(!v.bubbles.selected, "a press outside the area selects nothing");
    mouse(&v, UI_DOWN, x0 - 75, y0, 1);
    mouse(&v, UI_MOVE, x1 + 500, y1, 0);
    mouse(&v, UI_UP, x1 + 500, y1, 1);
    key(&v, 'c', MOD_CTRL);
    CHECK(v.ui.copy != NULL && strcmp(v.ui.copy, "A first answer with bold words.\n\nAnd more?") == 0, "copied: %s",
          v.ui.copy != NULL ? v.ui.copy : "nothing");
    mouse(&v, UI_DOWN, x0 - 30, y0, 2);
    mouse(&v, UI_UP, x0 - 30, y0, 2);
    key(&v, 'c', MOD_CTRL);
    CHECK(v.ui.copy != NULL && strcmp(v.ui.copy, "first") == 0, "a word: %s", v.ui.copy);
    close_view(&v);
}

static void test_link(void)
{
    struct view v;
    open_idle(&v, true);
    CHECK(click_text(&v, "the page") && v.sheet == SHEET_LINK && v.open_url == NULL, "a link asks first");
    tick(&v);
    CHECK(shows(&v, "https://example.org/x"), "the address is shown");
    CHECK(click_text(&v, "Open") && v.open_url != NULL && strcmp(v.open_url, "https://example.org/x") == 0, "then it opens");
    v.sheet = SHEET_LINK;
    mem_free(v.link);
    v.link = mem_strdup("file:///etc/passwd");
    tick(&v);
    CHECK(!shows(&v, "Open") && shows(&v, "Copy"), "only web and mail are opened");
    key(&v, KEY_ESCAPE, 0);
    CHECK(v.sheet == SHEET_NONE, "Escape closes");
    close_view(&v);
}

/* --- actions -------------------------------------------------------------------------------------------------------- */

static void test_actions(void)
{
    struct view v;
    open_idle(&v, true);
    key(&v, 'r', MOD_CTRL);
    CHECK(requests.kind == REQUEST_REGENERATE && view_busy(&v), "Ctrl+R");
    rig_state(&v, STATE_IDLE, -1);
    tick(&v);
    CHECK(click_icon(&v, ICON_TRASH) && requests.kind == REQUEST_DELETE && requests.index == 3, "delete: %d %u",
          (int)requests.kind, requests.index);
    tick(&v);
    CHECK(click_text(&v, "Undo") && requests.kind == REQUEST_UNDO, "delete can be undone");
    v.can_redo = true;
    key(&v, 'z', MOD_CTRL);
    CHECK(requests.kind == REQUEST_UNDO, "Ctrl+Z with nothing typed is the conversation's");
    key(&v, 'y', MOD_CTRL);
    CHECK(requests.kind == REQUEST_REDO, "and so is Ctrl+Y");
    key(&v, 'x', 0);
    type(&v, "x");
    key(&v, 'z', MOD_CTRL);
    key(&v, 'y', MOD_CTRL);
    CHECK(requests.kind == REQUEST_REDO && strcmp(v.input.text, "x") == 0, "what was typed comes first: '%s'", v.input.text);
    key(&v, KEY_BACKSPACE, 0);
    key(&v, KEY_F2, 0);
    CHECK(v.editing == 2 && strcmp(v.input.text, "And more?") == 0, "F2 edits the last question");
    type(&v, " Please.");
    key(&v, KEY_ENTER, 0);
    CHECK(requests.kind == REQUEST_EDIT && requests.index == 2 && strcmp(requests.text, "And more? Please.") == 0, "%s",
          requests.text);
    rig_state(&v, STATE_IDLE, -1);
    key(&v, KEY_UP, MOD_ALT);
    key(&v, KEY_UP, MOD_ALT);
    key(&v, KEY_UP, MOD_ALT);
    key(&v, KEY_ENTER, 0);
    CHECK(v.chosen == 1 && v.ui.copy != NULL && strncmp(v.ui.copy, "A first answer with **bold**", 28) == 0,
          "Alt+Up chooses, Enter copies: %s", v.ui.copy);
    key(&v, KEY_TAB, 0);
    key(&v, KEY_TAB, 0);
    key(&v, KEY_ENTER, 0);
    CHECK(requests.kind == REQUEST_BRANCH && requests.index == 1, "%d %u", (int)requests.kind, requests.index);
    key(&v, 'n', MOD_CTRL);
    CHECK(requests.kind == REQUEST_NEW && v.toast.undo, "a new conversation");
    tick(&v);
    CHECK(click_text(&v, "Undo") && requests.kind == REQUEST_OPEN && strcmp(requests.text, "20260101-000000-1") == 0,
          "leads back: %s", requests.text);
    close_view(&v);
}

static void test_problem(void)
{
    struct view v;
    open_idle(&v, true);
    rig_problem(&v, PUMICE_DEVICE, false, "the device was lost");
    tick(&v);
    CHECK(shows(&v, "the device was lost") && shows(&v, "And more?"), "the bar says so, the conversation stays");
    CHECK(click_text(&v, "Try again") && requests.kind == REQUEST_RETRY && v.state == STATE_LOADING, "tries again");
    rig_problem(&v, PUMICE_MEMORY, false, "4.5 GiB do not fit");
    rig_state(&v, STATE_IDLE, -1);
    tick(&v);
    CHECK(click_text(&v, "Smaller context") && settings.configuration.context == 4096, "context %d",
          settings.configuration.context);
    rig_problem(&v, PUMICE_MEMORY, false, "4.5 GiB do not fit");
    tick(&v);
    CHECK(click_text(&v, "Use the CPU") && strcmp(settings.configuration.device, "cpu") == 0, "%s",
          settings.configuration.device);
    rig_problem(&v, PUMICE_FORMAT, true, "the file is damaged");
    rig_state(&v, STATE_IDLE, -1);
    tick(&v);
    CHECK(shows(&v, "The model did not load; the one before goes on"), "the old model stays");
    CHECK(click_text(&v, "Another model") && v.sheet == SHEET_MORE, "leads to the models");
    close_view(&v);
}

static void test_controls(void)
{
    struct view v;
    open_idle(&v, true);
    uint32_t seen[64];
    size_t n = 0;
    do {
        key(&v, KEY_TAB, 0);
        if (n < COUNT_OF(seen)) seen[n++] = v.ui.focus;
    } while (v.ui.focus != ID_INPUT && n < COUNT_OF(seen));
    CHECK(v.ui.focus == ID_INPUT && n >= 10, "Tab goes round: %zu stops", n);
    const uint32_t all[] = {ID_MAX_TOKENS, ID_TEMPERATURE, ID_CLEAR, ID_MORE, ID_SEND};
    for (size_t k = 0; k < COUNT_OF(all); k++) {
        bool found = false;
        for (size_t i = 0; i < n; i++) found = found || seen[i] == all[k];
        CHECK(found, "control %u cannot be reached", all[k]);
    }
    v.ui.focus = ID_TEMPERATURE;
    v.ui.ring = true;
    tick(&v);
    char *list = draw_print(&v.ui.draw);
    CHECK(list != NULL && strstr(list, " ring\n") != NULL, "the focus is seen");
    mem_free(list);
    for (int i = 0; i < 40; i++) key(&v, KEY_LEFT, 0);
    tick(&v);
    CHECK(settings.configuration.temperature == 0 && shows(&v, "the same answer every time"), "temperature %f",
          settings.configuration.temperature);
    key(&v, KEY_END, 0);
    CHECK(settings.configuration.temperature == 1.5, "%f", settings.configuration.temperature);
    v.ui.focus = ID_MAX_TOKENS;
    key(&v, KEY_END, 0);
    CHECK(settings.configuration.max_tokens == 4096, "%d", settings.configuration.max_tokens);
    key(&v, KEY_HOME, 0);
    CHECK(settings.configuration.max_tokens == 128, "%d", settings.configuration.max_tokens);
    frame_at(&v, &(struct ui_event){.kind = UI_DROP, .text = "/tmp/other.gguf"});
    CHECK(requests.kind == REQUEST_MODEL && strcmp(requests.text, "/tmp/other.gguf") == 0, "a dropped file is opened");
    rig_state(&v, STATE_GENERATING, -1);
    const size_t before = requests.n;
    frame_at(&v, &(struct ui_event){.kind = UI_DROP, .text = "/tmp/third.gguf"});
    CHECK(requests.stops == 1 && requests.n == before + 1 && strcmp(requests.text, "/tmp/third.gguf") == 0,
          "a file dropped during an answer stops it and is opened");
    rig_state(&v, STATE_IDLE, -1);
    v.ui.focus = ID_TEMPERATURE;
    type(&v, " ");
    CHECK(v.ui.focus == ID_TEMPERATURE && v.input.n == 0, "a space is for the button");
    type(&v, "W");
    type(&v, "hy");
    CHECK(v.ui.focus == ID_INPUT && v.input.n == 3 && memcmp(v.input.text, "Why", 3) == 0, "what is typed goes to the message");
    key(&v, '=', MOD_CTRL);
    CHECK(settings.zoom == 110, "%d", settings.zoom);
    key(&v, '0', MOD_CTRL);
    key(&v, KEY_F1, 0);
    CHECK(settings.zoom == 100 && v.sheet == SHEET_KEYS, "F1");
    close_view(&v);
}

static void test_more(void)
{
    struct view v;
    open_idle(&v, true);
    key(&v, ',', MOD_CTRL);
    CHECK(v.sheet == SHEET_MORE && requests.kind == REQUEST_DEVICES, "opens");
    rig_list(&v);
    tick(&v);
    type(&v, "report");
    CHECK(requests.kind == REQUEST_LIST && strcmp(requests.text, "report") == 0, "search: %s", requests.text);
    CHECK(click_text(&v, "Weekly report") && requests.kind == REQUEST_OPEN && v.sheet == SHEET_NONE &&
              strcmp(requests.text, "20260101-000000-3") == 0,
          "a conversation opens: %s", requests.text);
    key(&v, ',', MOD_CTRL);
    rig_list(&v);
    tick(&v);
    v.ui.focus = ID_LIST + 3 * 4 + 2;
    key(&v, KEY_ENTER, 0);
    CHECK(requests.kind != REQUEST_DROP, "asks before it deletes");
    key(&v, KEY_ENTER, 0);
    CHECK(requests.kind == REQUEST_DROP && strcmp(requests.text, "20260101-000000-4") == 0, "%d", (int)requests.kind);
    close_view(&v);
}

/* --- Markdown and layout ---------------------------------------------------------------------------------------------- */

static uint64_t hash_document(const struct markdown *m)
{
    uint64_t h = m->n_segments;
    for (size_t i = 0; i < m->n_segments; i++) {
        const struct segment *s = &m->segments[i];
        h = hash_bytes(s->text, s->n_text, h | 1);
        for (size_t k = 0; k < s->n_blocks; k++)
            h = mix_u64(h ^ (uint64_t)s->blocks[k].kind << 40 ^ (uint64_t)s->blocks[k].indent << 32 ^ s->blocks[k].n_cells << 8 ^
                        s->blocks[k].tight);
        for (size_t k = 0; k < s->n_spans; k++)
            h = mix_u64(h ^ s->spans[k].offset ^ (uint64_t)s->spans[k].n << 24 ^ (uint64_t)s->spans[k].style << 48);
    }
    return h;
}

static void test_markdown_grows(void)
{
    struct markdown grown = {0};
    const size_t n = strlen(rig_markdown);
    size_t parsed_segments = 0;
    for (size_t i = 1; i <= n; i++) {
        struct markdown whole = {0};
        uint64_t before = grown.version;
        CHECK(markdown_update(&grown, rig_markdown, i, i - 1) == PUMICE_OK, "%s", pumice_error());
        CHECK(markdown_update(&whole, rig_markdown, i, 0) == PUMICE_OK, "%s", pumice_error());
        parsed_segments += grown.version - before;
        if (!CHECK(hash_document(&grown) == hash_document(&whole), "after %zu bytes grown and whole differ", i)) i = n;
        markdown_fini(&whole);
    }
    CHECK(grown.n_segments > 6, "%zu segments", grown.n_segments);
    CHECK(parsed_segments < 2 * n, "%zu segments were parsed for %zu bytes", parsed_segments, n);
    markdown_fini(&grown);
}

static void test_markdown_hostile(void)
{
    struct markdown m = {0};
    struct layout l = {0};
    const struct measure measure = rig_measure();
    const struct layout_style style = {&measure, 15};
    static const char marks[] = "*_`#>-|[]()!\\\n\n  1.~<&;x:\t\x01\x7f\xe2\x80\xae\xf0\xff\xc3";
    char text[600];
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t r = seed;
        for (size_t i = 0; i < sizeof text; i++) {
            r = mix_u64(r + 0x9e3779b97f4a7c15u);
            text[i] = marks[r % (sizeof marks - 1)];
        }
        CHECK(markdown_update(&m, text, sizeof text, 0) == PUMICE_OK, "%s", pumice_error());
        CHECK(layout_update(&l, &m, &style, 300) == PUMICE_OK, "%s", pumice_error());
        for (size_t i = 0; i < m.n_segments; i++)
            for (size_t k = 0; k < m.segments[i].n_text;) {
                uint32_t code = 0;
                const size_t bytes = utf8_decode(m.segments[i].text + k, m.segments[i].n_text - k, &code);
                const bool control = code < 0x20 && code != '\n' && code != '\t';
                if (!CHECK(bytes > 0 && !control && code != 0x202e, "seed %llu: byte %zu", (unsigned long long)seed, k)) return;
                k += bytes;
            }
        (void)layout_at(&l, &m, &measure, (int)(r % 400) - 50, (int)(r % 4000) - 50);
    }
    layout_fini(&l);
    markdown_fini(&m);
}

static void test_layout(void)
{
    struct markdown m = {0};
    struct layout l = {0};
    const struct measure measure = rig_measure();
    const struct layout_style style = {&measure, 15};
    CHECK(markdown_update(&m, rig_markdown, strlen(rig_markdown), 0) == PUMICE_OK, "%s", pumice_error());
    for (int width = 120; width <= 900; width += 60) {
        CHECK(layout_update(&l, &m, &style, width) == PUMICE_OK, "%s", pumice_error());
        for (size_t i = 0; i < l.n; i++)
            for (size_t k = 0; k < l.segments[i].n_pieces; k++) {
                const struct piece *p = &l.segments[i].pieces[k];
                size_t solid = p->n;
                while (solid > 0 && m.segments[i].text[p->offset + solid - 1] == ' ') solid--;
                const int w = text_width(&measure, p->font, m.segments[i].text + p->offset, solid);
                CHECK(p->x >= 0 && p->x + w <= width + 15, "width %d: \"%.20s\" ends at %d", width,
                      m.segments[i].text + p->offset, p->x + w);
                const struct position at = layout_at(&l, &m, &measure, p->x + 1, l.segments[i].y + p->y + p->h / 2);
                CHECK(at.segment == i && at.offset >= p->offset && at.offset <= p->offset + p->n, "a place leads elsewhere");
            }
    }
    const uint64_t version = m.segments[0].version;
    CHECK(markdown_update(&m, rig_markdown, strlen(rig_markdown), strlen(rig_markdown)) == PUMICE_OK, "%s", pumice_error());
    CHECK(m.segments[0].version == version, "what did not change is not parsed again");
    CHECK(text_break("你好。吗", 12, 0) == 3 && text_break("你好。吗", 12, 3) == 9, "a full stop clings to its character");
    CHECK(text_next("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb!", 12, 0) == 11, "an emoji with a joiner is one");
    layout_fini(&l);
    markdown_fini(&m);
}

/* --- settings, theme, words ------------------------------------------------------------------------------------------- */

static void test_settings(void)
{
    struct settings a, b;
    static const char text[] = "# mine\ntemperature = 0.25\nmax_tokens = 99999\nzoom = 1e9\ntheme = dark\nlanguage = fr\n"
                               "system = Be brief.\\nAnd kind \\\\.\nsomething = else\nseed = 7\nmodel = /a b/c.gguf\n";
    settings_default(&a);
    settings_parse(&a, text, sizeof text - 1);
    CHECK(a.configuration.temperature == 0.25 && a.configuration.max_tokens == 1024 && a.zoom == 100, "%f %d %d",
          a.configuration.temperature, a.configuration.max_tokens, a.zoom);
    CHECK(a.theme == THEME_DARK && a.language == LANGUAGE_AUTO && a.configuration.seed == 7, "words");
    CHECK(strcmp(a.configuration.system, "Be brief.\nAnd kind \\.") == 0 && strcmp(a.model, "/a b/c.gguf") == 0, "%s",
          a.configuration.system);
    char *out = settings_print(&a);
    settings_default(&b);
    settings_parse(&b, out, strlen(out));
    CHECK(strstr(out, "# mine\n") != NULL && strstr(out, "something = else\n") != NULL, "foreign lines are kept");
    CHECK(memcmp(&a, &b, offsetof(struct settings, foreign)) == 0, "what was written reads as it was");
    mem_free(out);
    settings_add_recent(&a, "/1");
    settings_add_recent(&a, "/2");
    settings_add_recent(&a, "/1");
    CHECK(strcmp(a.recent[0], "/1") == 0 && strcmp(a.recent[1], "/2") == 0 && a.recent[2][0] == 0, "recent files");
    settings_fini(&a);
    settings_fini(&b);
}

static void test_contrast(void)
{
    static const enum color pairs[][2] = {
        {COLOR_TEXT, COLOR_BACK},        {COLOR_TEXT, COLOR_PANEL},      {COLOR_TEXT, COLOR_USER},
        {COLOR_TEXT, COLOR_ASSISTANT},   {COLOR_TEXT, COLOR_CODE_BACK},  {COLOR_TEXT, COLOR_FIELD},
        {COLOR_TEXT, COLOR_SELECTION},   {COLOR_TEXT, COLOR_HOVER},      {COLOR_TEXT, COLOR_PRESS},
        {COLOR_MUTED, COLOR_BACK},       {COLOR_MUTED, COLOR_PANEL},     {COLOR_MUTED, COLOR_FIELD},
        {COLOR_MUTED, COLOR_FIELD_OFF},  {COLOR_MUTED, COLOR_CODE_BACK}, {COLOR_MUTED, COLOR_ASSISTANT},
        {COLOR_ON_ACCENT, COLOR_ACCENT}, {COLOR_ON_ACCENT, COLOR_ACCENT_HOVER}, {COLOR_LINK, COLOR_ASSISTANT},
        {COLOR_LINK, COLOR_BACK},        {COLOR_ERROR_TEXT, COLOR_ERROR_BACK}, {COLOR_ERROR_TEXT, COLOR_PANEL},
        {COLOR_NOTE_TEXT, COLOR_NOTE_BACK}, {COLOR_KEYWORD, COLOR_CODE_BACK}, {COLOR_STRING, COLOR_CODE_BACK},
        {COLOR_COMMENT, COLOR_CODE_BACK}, {COLOR_NUMBER, COLOR_CODE_BACK}};
    for (int dark = 0; dark < 2; dark++)
        for (size_t i = 0; i < COUNT_OF(pairs); i++) {
            const double c = theme_contrast(theme_color(dark, pairs[i][0]), theme_color(dark, pairs[i][1]));
            CHECK(c >= 4.5, "%s: %s on %s has a contrast of %.2f", dark ? "dark" : "light", color_name(pairs[i][0]),
                  color_name(pairs[i][1]), c);
        }
    CHECK(theme_contrast(0xffffffff, 0x000000ff) > 20.9, "white on black");
}

static size_t count_of(const char *text, char c)
{
    size_t n = 0;
    for (; *text != 0; text++) n += *text == c;
    return n;
}

static void test_strings(void)
{
    char text[128];
    for (int i = 0; i < N_STRINGS; i++) {
        const char *en = strings_get(false, (enum string_id)i), *zh = strings_get(true, (enum string_id)i);
        CHECK(en[0] != 0 && zh[0] != 0 && count_of(en, '%') == count_of(zh, '%') && count_of(en, '|') == count_of(zh, '|'),
              "%s / %s", en, zh);
    }
    strings_count(false, COUNT_MESSAGES, 1, text, sizeof text);
    CHECK(strcmp(text, "1 message") == 0, "%s", text);
    strings_count(false, COUNT_MESSAGES, 0, text, sizeof text);
    CHECK(strcmp(text, "0 messages") == 0, "%s", text);
    strings_count(true, COUNT_MESSAGES, 1, text, sizeof text);
    CHECK(strcmp(text, "1 条消息") == 0, "%s", text);
}

/* Every allocation of a session fails once: nothing crashes. */
static void test_no_memory(void)
{
    for (uint64_t k = 1; k < 400; k += k < 60 ? 1 : 13) {
        struct view v;
        mem_fail_at(k);
        open_idle(&v, true);
        type(&v, "Hello");
        frame_at(&v, &(struct ui_event){.kind = UI_PREEDIT, .text = "x"});
        key(&v, KEY_ESCAPE, 0);
        rig_text(&v, "more **text**\n\n| a | b |\n|---|---|\n| c | d |");
        key(&v, ',', MOD_CTRL);
        rig_list(&v);
        tick(&v);
        mem_fail_at(0);
        tick(&v);
        CHECK(!v.ui.draw.failed, "the next frame with memory is whole");
        close_view(&v);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: test_window GOLDEN-DIR [--update]\n");
        return 2;
    }
    test_golden(argv[1], argc > 2 && strcmp(argv[2], "--update") == 0);
    test_send();
    test_send_while_loading();
    test_input_method();
    test_editor();
    test_long_word();
    test_edit_elsewhere();
    test_scroll();
    test_select();
    test_link();
    test_actions();
    test_problem();
    test_controls();
    test_more();
    test_markdown_grows();
    test_markdown_hostile();
    test_layout();
    test_settings();
    test_contrast();
    test_strings();
    test_no_memory();
    return check_summary("test_window");
}
