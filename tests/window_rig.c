/* window_rig: the pieces. */
#include "window_rig.h"

#include <string.h>

const char rig_markdown[] =
    "# photo-date\n\n"
    "Renames photos by the **date they were taken**. It reads `DateTimeOriginal` from the *EXIF* data and never "
    "overwrites a file.\n\n"
    "## Use\n\n"
    "```c\n"
    "/* bubble sort */\n"
    "static void sort(int *v, int n)\n"
    "{\n"
    "    for (int i = 0; i < n; i++)        // passes\n"
    "        for (int k = 0; k + 1 < n - i; k++)\n"
    "            if (v[k] > v[k + 1]) swap(&v[k], &v[k + 1], \"text\");\n"
    "}\n"
    "```\n\n"
    "| Option | What it does | Default |\n"
    "|:--|:--|--:|\n"
    "| `--dry-run` | shows what would be renamed, and touches nothing | off |\n"
    "| `--pattern P` | how names are built, with the fields of **strftime** | `%Y-%m-%d` |\n"
    "| `--jobs N` | photos read at the same time | 4 |\n\n"
    "1. Install it\n"
    "2. Run it on a *copy* first\n"
    "   - look at the names\n"
    "   - then at the ~~dates~~ times\n\n"
    "> A photo without a date keeps its name.\n\n"
    "- [x] tested\n"
    "- [ ] fast\n\n"
    "More at [the project's page](https://example.org/photo-date).\n";

const char rig_chinese[] =
    "## 冒泡排序\n\n"
    "冒泡排序（Bubble Sort）反复比较**相邻**的两个元素，如果顺序不对就交换，直到没有需要交换的元素为止。"
    "它的平均时间复杂度是 `O(n²)`，适合教学，不适合大数据。\n\n"
    "```python\n"
    "def bubble_sort(items):\n"
    "    # 每一轮把最大的放到最后\n"
    "    for i in range(len(items)):\n"
    "        for k in range(len(items) - i - 1):\n"
    "            if items[k] > items[k + 1]:\n"
    "                items[k], items[k + 1] = items[k + 1], items[k]\n"
    "    return items\n"
    "```\n\n"
    "| 周 | 任务 | 负责人 |\n|---|---|:-:|\n| 第一周 | 需求分析与设计评审 | 小林 |\n| 第二周 | 编码与单元测试 | 小王 |\n\n"
    "日本語のテキスト、한국어 문장、العربية، emoji 🙂🚀 も表示できます。\n";

static int on_width(void *user, struct font font, const char *text, size_t n)
{
    size_t bytes = 0;
    int twentieths = 0;
    (void)user;
    for (size_t i = 0; i < n; i += bytes) {
        const uint32_t code = text_code(text, n, i, &bytes);
        if (text_zero(code)) continue;
        const bool mono = font.face == FACE_MONO || font.face == FACE_MONO_BOLD;
        twentieths += text_wide(code) ? 20 : (mono ? 11 : 10);
    }
    return twentieths * font.px / 20;
}

static void on_metrics(void *user, struct font font, int *ascent, int *height)
{
    (void)user;
    *ascent = font.px;
    *height = font.px * 5 / 4;
}

struct measure rig_measure(void)
{
    return (struct measure){.width = on_width, .metrics = on_metrics};
}

static void on_request(void *user, const struct request *r)
{
    struct rig_requests *q = user;
    const size_t n = MIN(r->n_text, sizeof q->text - 1);
    q->n++;
    q->kind = r->kind;
    q->index = r->index;
    q->other = r->other;
    if (n > 0) memcpy(q->text, r->text, n);
    q->text[n] = 0;
}

static void on_stop(void *user)
{
    ((struct rig_requests *)user)->stops++;
}

void rig_open(struct view *v, struct settings *s, struct rig_requests *requests)
{
    static struct measure measure;
    measure = rig_measure();
    settings_default(s);
    s->language = LANGUAGE_ENGLISH;
    s->theme = THEME_LIGHT;
    memset(requests, 0, sizeof *requests);
    view_init(v, s);
    v->ui.measure = &measure;
    v->send = on_request;
    v->stop = on_stop;
    v->user = requests;
}

static struct event *make(enum event_kind kind)
{
    struct event *e = mem_calloc(1, sizeof *e);
    if (e != NULL) e->kind = kind;
    return e;
}

void rig_state(struct view *v, enum window_state state, float fraction)
{
    struct event *e = make(EVENT_STATE);
    if (e == NULL) return;
    e->state = state;
    e->fraction = fraction;
    view_take(v, e);
}

void rig_model(struct view *v, bool starter)
{
    struct event *e = make(EVENT_MODEL);
    if (e == NULL) return;
    e->text = mem_strdup("Qwen3 4B Instruct 2507");
    e->more = mem_strdup("NVIDIA GeForce RTX 3060");
    e->path = mem_strdup(starter ? "" : "/models/Qwen3-4B-Instruct-2507-Q4_K_M.gguf");
    e->starter = starter;
    e->capacity = 8192;
    view_take(v, e);
}

void rig_stats(struct view *v, uint32_t used, uint32_t capacity, double prefill, double decode)
{
    struct event *e = make(EVENT_STATS);
    if (e == NULL) return;
    e->used = used;
    e->capacity = capacity;
    e->prefill = prefill;
    e->decode = decode;
    view_take(v, e);
}

void rig_messages(struct view *v, const char *const *texts, size_t n, enum ending last)
{
    struct event *e = make(EVENT_MESSAGES);
    if (e == NULL) return;
    e->messages = mem_calloc(MAX(n, 1), sizeof *e->messages);
    e->n = e->messages != NULL ? n : 0;
    e->text = mem_strdup(n > 0 ? "20260101-000000-1" : "");
    e->more = mem_strdup(n > 0 ? "A tool that renames photos" : "");
    e->can_undo = n > 0;
    for (size_t i = 0; i < e->n; i++) {
        struct shown_message *m = &e->messages[i];
        m->key = i + 1;
        m->user = i % 2 == 0;
        m->text = mem_strdup(texts[i]);
        m->n = strlen(texts[i]);
        m->n_alternatives = 1;
        m->ending = m->user ? ENDING_NONE : (i + 1 == n ? last : ENDING_DONE);
    }
    view_take(v, e);
}

void rig_text(struct view *v, const char *text)
{
    struct event *e = make(EVENT_TEXT);
    if (e == NULL) return;
    e->text = mem_strdup(text);
    e->n = strlen(text);
    view_take(v, e);
}

void rig_problem(struct view *v, enum pumice_status status, bool loading, const char *text)
{
    struct event *e = make(EVENT_PROBLEM);
    if (e == NULL) return;
    e->status = status;
    e->loading = loading;
    e->text = mem_strdup(text);
    view_take(v, e);
}

void rig_list(struct view *v)
{
    static const char *const titles[] = {"A tool that renames photos", "冒泡排序", "Weekly report", "Translate a letter"};
    struct event *e = make(EVENT_LIST);
    if (e == NULL) return;
    e->conversations = mem_calloc(COUNT_OF(titles), sizeof *e->conversations);
    e->n = e->conversations != NULL ? COUNT_OF(titles) : 0;
    for (size_t i = 0; i < e->n; i++) {
        e->conversations[i].id = mem_strdup(i == 0 ? "20260101-000000-1" : "20260101-000000-2");
        if (e->conversations[i].id != NULL) e->conversations[i].id[16] = (char)('1' + i);
        e->conversations[i].title = mem_strdup(titles[i]);
        e->conversations[i].n_messages = (uint32_t)i * 2 + 1;
    }
    view_take(v, e);
}

/* --- scenes ---------------------------------------------------------------------------------------------- */

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

const struct rig_scene rig_scenes[] = {
    {"empty", 100, false, false, set_empty},       {"empty-dark-zh", 100, true, true, set_empty},
    {"talk", 100, false, false, set_talk},         {"talk-top", 100, false, false, set_top},
    {"talk-dark", 100, true, false, set_top},      {"talk-2x", 200, false, false, set_top},
    {"chinese", 100, false, true, set_chinese},    {"chinese-dark-2x", 200, true, true, set_chinese},
    {"busy", 100, false, false, set_busy},         {"problem", 100, false, false, set_problem},
    {"problem-dark", 100, true, false, set_problem}, {"more", 100, false, false, set_more},
    {"more-dark-zh", 100, true, true, set_more},   {"more-end", 100, false, false, set_more_end},
    {"keys", 100, false, false, set_keys},         {"link", 100, false, false, set_link},
};
const size_t rig_n_scenes = COUNT_OF(rig_scenes);
