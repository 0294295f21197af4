/* test_window_worker: the window's model thread with the built-in model: answers, stops, conversations, models that do
 * not load, closing in the middle. Run with an empty directory for data. With a second argument "lost": only a device that
 * is lost while it answers. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/store.h"
#include "app/window/worker.h"
#include "check.h"
#include "runtime/gpu/device.h"
#include "runtime/platform.h"

/* sanitizers make everything slower */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const double slack = 10;
#else
static const double slack = 1;
#endif

static struct platform_mutex *mutex;
static struct platform_cond *cond;
static unsigned woken;

static void on_wake(void)
{
    platform_mutex_lock(mutex);
    woken++;
    platform_cond_broadcast(cond);
    platform_mutex_unlock(mutex);
}

/* What the window would show. */
struct seen {
    struct worker *w;
    enum window_state state;
    struct event *messages; /* the last of them */
    char text[65536];       /* what came since */
    size_t n_text, n_pieces;
    char problem[1024], model[256], id[64];
    enum pumice_status status; /* of the problem */
    bool loading_failed, can_undo;
    struct event *list;
    uint32_t used, capacity;
    float fraction;
};

static void take(struct seen *s, struct event *e)
{
    switch (e->kind) {
    case EVENT_STATE:
        s->state = e->state;
        s->fraction = e->fraction;
        break;
    case EVENT_MESSAGES:
        event_free(s->messages);
        s->messages = e;
        s->can_undo = e->can_undo;
        snprintf(s->id, sizeof s->id, "%s", e->text);
        s->n_text = 0;
        s->text[0] = 0;
        return;
    case EVENT_TEXT:
        s->n_pieces++;
        if (s->n_text + e->n < sizeof s->text) {
            memcpy(s->text + s->n_text, e->text, e->n + 1);
            s->n_text += e->n;
        }
        break;
    case EVENT_PROBLEM:
        snprintf(s->problem, sizeof s->problem, "%s", e->text);
        s->status = e->status;
        s->loading_failed = s->loading_failed || e->loading;
        break;
    case EVENT_MODEL:
        snprintf(s->model, sizeof s->model, "%s", e->text);
        break;
    case EVENT_STATS:
        s->used = e->used;
        s->capacity = e->capacity;
        break;
    case EVENT_LIST:
        event_free(s->list);
        s->list = e;
        return;
    default:
        break;
    }
    event_free(e);
}

/* Events until `done` says so; false after a minute. */
static bool wait_for(struct seen *s, bool (*done)(const struct seen *s))
{
    const uint64_t begin = platform_now_ns();
    while (platform_now_ns() - begin < 240000000000u) {
        struct event *e = worker_next(s->w);
        if (e != NULL) {
            take(s, e);
            if (done(s)) return true;
            continue;
        }
        platform_mutex_lock(mutex);
        while (woken == 0) platform_cond_wait(cond, mutex);
        woken = 0;
        platform_mutex_unlock(mutex);
    }
    return false;
}

static bool is_idle(const struct seen *s)
{
    return s->state == STATE_IDLE || s->state == STATE_NO_MODEL;
}

/* Pieces that follow each other come as one event, so that a fast answer may be one, or over. */
static bool has_text(const struct seen *s)
{
    return s->n_pieces > 0 || is_idle(s);
}

static bool has_list(const struct seen *s)
{
    return s->list != NULL;
}

static struct configuration configuration = {.temperature = 0,
                                             .top_p = -1,
                                             .min_p = -1,
                                             .max_tokens = 512,
                                             .top_k = -1,
                                             .seed = 1,
                                             .device = "cpu"};

static void ask(struct seen *s, enum request_kind kind, uint32_t index, uint32_t other, const char *text, const char *more)
{
    const struct request r = {.kind = kind,
                              .index = index,
                              .other = other,
                              .text = (char *)text,
                              .n_text = strlen(text),
                              .more = (char *)more,
                              .configuration = configuration};
    s->state = STATE_LOADING;
    s->n_pieces = 0;
    worker_send(s->w, &r);
}

static void start(struct seen *s, const char *conversation)
{
    const struct worker_params params = {
        .model = "", .conversation = conversation, .configuration = configuration, .keep = true, .wake = on_wake};
    memset(s, 0, sizeof *s);
    CHECK(worker_start(&params, &s->w) == PUMICE_OK, "%s", pumice_error());
    CHECK(wait_for(s, is_idle), "the model did not load");
}

static void finish(struct seen *s)
{
    worker_finish(s->w);
    event_free(s->messages);
    event_free(s->list);
}

static size_t n_messages(const struct seen *s)
{
    return s->messages != NULL ? s->messages->n : 0;
}

static const char *message(const struct seen *s, size_t i)
{
    return i < n_messages(s) ? s->messages->messages[i].text : "";
}

static void test_answer(struct seen *s)
{
    ask(s, REQUEST_SEND, 0, 0, "Sort these numbers: 7 2 9 4", NULL);
    CHECK(wait_for(s, is_idle), "no answer");
    CHECK(n_messages(s) == 2 && strstr(message(s, 1), "2, 4, 7, 9") != NULL, "%zu: %s", n_messages(s), message(s, 1));
    CHECK(s->messages->messages[0].user && !s->messages->messages[1].user, "roles");
    CHECK(s->messages->messages[1].ending == ENDING_DONE, "ending %d", (int)s->messages->messages[1].ending);
    CHECK(s->used > 10 && s->capacity >= 512 && s->problem[0] == 0, "%u of %u, %s", s->used, s->capacity, s->problem);
    ask(s, REQUEST_REGENERATE, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 2 && s->messages->messages[1].n_alternatives == 2, "regenerate");
    ask(s, REQUEST_SWITCH, 1, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && s->messages->messages[1].alternative == 0, "the first one again");
    ask(s, REQUEST_EDIT, 0, 0, "Sort these numbers: 5 1", NULL);
    CHECK(wait_for(s, is_idle) && strstr(message(s, 1), "1, 5") != NULL, "edited: %s", message(s, 1));
    ask(s, REQUEST_DELETE, 1, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 1 && s->can_undo, "deleted: %zu", n_messages(s));
    ask(s, REQUEST_UNDO, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 2, "and back: %zu", n_messages(s));
    ask(s, REQUEST_DELETE, 99, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 2 && s->problem[0] != 0, "a message that is not there");
    s->problem[0] = 0;
}

static void test_continue(struct seen *s)
{
    char before[4096];
    configuration.max_tokens = 6;
    ask(s, REQUEST_SEND, 0, 0, "Write bubble sort", NULL);
    CHECK(wait_for(s, is_idle), "no answer");
    const size_t last = n_messages(s) - 1;
    CHECK(s->messages->messages[last].ending == ENDING_LENGTH, "cut: %d", (int)s->messages->messages[last].ending);
    snprintf(before, sizeof before, "%s", message(s, last));
    configuration.max_tokens = 512;
    ask(s, REQUEST_CONTINUE, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == last + 1, "%zu", n_messages(s));
    CHECK(strncmp(message(s, last), before, strlen(before)) == 0 && strlen(message(s, last)) > strlen(before) &&
              strstr(message(s, last), "return items") != NULL,
          "goes on: %s", message(s, last));
}

/* From worker_stop to the state that says so. */
static void test_stop(struct seen *s)
{
    configuration.temperature = 1.5;
    configuration.max_tokens = 4096;
    double longest = 0;
    unsigned n_stopped = 0, n_late = 0;
    for (int i = 0; i < 10; i++) {
        ask(s, REQUEST_SEND, 0, 0, "Write a weekly report, and a very long one, with everything that happened", NULL);
        CHECK(wait_for(s, has_text), "no text");
        const uint64_t begin = platform_now_ns();
        worker_stop(s->w);
        if (!is_idle(s)) CHECK(wait_for(s, is_idle), "does not stop");
        const double ms = (double)(platform_now_ns() - begin) / 1e6;
        longest = ms > longest ? ms : longest;
        n_late += ms >= 150 * slack;
        n_stopped += s->messages->messages[n_messages(s) - 1].ending == ENDING_STOPPED;
        ask(s, REQUEST_UNDO, 0, 0, "", NULL);
        CHECK(wait_for(s, is_idle), "undo");
    }
    printf("stop: %u of 10 answers stopped, the slowest after %.1f ms\n", n_stopped, longest);
    CHECK(n_stopped >= 5, "%u stopped", n_stopped);
    CHECK(n_late <= 2 && longest < 1000 * slack, "%u of 10 stops took longer than 150 ms, one %.1f ms; a busy machine may "
          "delay one or two", n_late, longest);
    /* a stop right after the request is not lost, and does not stop the next one */
    ask(s, REQUEST_SEND, 0, 0, "Write a weekly report", NULL);
    worker_stop(s->w);
    CHECK(wait_for(s, is_idle), "does not stop");
    const struct shown_message *last = &s->messages->messages[n_messages(s) - 1];
    CHECK(last->user || last->ending == ENDING_STOPPED, "the stop was lost: ending %d", (int)last->ending);
    configuration.temperature = 0;
    configuration.max_tokens = 512;
    ask(s, REQUEST_SEND, 0, 0, "Sort these numbers: 3 1 2", NULL);
    CHECK(wait_for(s, is_idle) && strstr(message(s, n_messages(s) - 1), "1, 2, 3") != NULL, "the next one: %s",
          message(s, n_messages(s) - 1));
}

static void test_models(struct seen *s)
{
    ask(s, REQUEST_MODEL, 0, 0, "/nowhere/model.gguf", NULL);
    CHECK(wait_for(s, is_idle) && s->loading_failed && s->state == STATE_IDLE, "a model that is not there");
    CHECK(strstr(s->problem, "/nowhere/model.gguf") != NULL, "%s", s->problem);
    s->problem[0] = 0;
    ask(s, REQUEST_SEND, 0, 0, "Sort these numbers: 8 6", NULL);
    CHECK(wait_for(s, is_idle) && strstr(message(s, n_messages(s) - 1), "6, 8") != NULL, "the old one goes on: %s",
          message(s, n_messages(s) - 1));
    snprintf(configuration.device, sizeof configuration.device, "no such device");
    ask(s, REQUEST_RETRY, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && s->problem[0] != 0 && s->state == STATE_IDLE, "a device that is not there");
    snprintf(configuration.device, sizeof configuration.device, "cpu");
    ask(s, REQUEST_RETRY, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && s->state == STATE_IDLE, "again");
    s->problem[0] = 0;
}

static void test_conversations(struct seen *s)
{
    char first[64];
    snprintf(first, sizeof first, "%s", s->id);
    CHECK(first[0] != 0, "the conversation has a file");
    const size_t n = n_messages(s);
    ask(s, REQUEST_NEW, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 0 && s->id[0] == 0, "a new one");
    snprintf(configuration.system, sizeof configuration.system, "Answer briefly.");
    ask(s, REQUEST_SEND, 0, 0, "What is pumice?", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 2 && strcmp(s->id, first) != 0, "%zu", n_messages(s));
    configuration.temperature = 1.5;
    configuration.max_tokens = 4096;
    ask(s, REQUEST_SEND, 0, 0, "Write a weekly report, and a very long one, with everything that happened", NULL);
    ask(s, REQUEST_LIST, 0, 0, "", NULL);
    CHECK(wait_for(s, has_list) && !is_idle(s), "the list waits for the end of the answer");
    event_free(s->list);
    s->list = NULL;
    worker_stop(s->w);
    CHECK(wait_for(s, is_idle), "does not stop");
    configuration.temperature = 0;
    configuration.max_tokens = 512;
    ask(s, REQUEST_RENAME, 0, 0, first, "Numbers, sorted");
    CHECK(wait_for(s, has_list) && s->list->n == 2, "two are listed");
    event_free(s->list);
    s->list = NULL;
    ask(s, REQUEST_LIST, 0, 0, "sorted", NULL);
    CHECK(wait_for(s, has_list) && s->list->n >= 1 && strcmp(s->list->conversations[0].title, "Numbers, sorted") == 0, "%zu",
          s->list->n);
    event_free(s->list);
    s->list = NULL;
    ask(s, REQUEST_OPEN, 0, 0, first, NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == n && strcmp(s->id, first) == 0, "the first one again: %zu", n_messages(s));
    ask(s, REQUEST_OPEN, 0, 0, "../../etc/passwd", NULL);
    CHECK(wait_for(s, is_idle) && strcmp(s->id, first) == 0 && s->problem[0] != 0, "no way out of the directory");
    ask(s, REQUEST_DROP, 0, 0, first, NULL);
    CHECK(wait_for(s, has_list) && s->list->n == 1 && n_messages(s) == 0, "deleted: %zu", s->list->n);
}

/* A question without an answer gives way to the next one: two in a row are more than many templates take. */
static void test_unanswered(struct seen *s)
{
    ask(s, REQUEST_NEW, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle), "no new one");
    ask(s, REQUEST_SEND, 0, 0, "Sort these numbers: 4 2", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 2, "no answer");
    ask(s, REQUEST_DELETE, 1, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 1, "the answer is gone");
    ask(s, REQUEST_SEND, 0, 0, "Sort these numbers: 9 8 7", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 2 && strstr(message(s, 1), "7, 8, 9") != NULL, "%zu: %s", n_messages(s), message(s, 1));
    CHECK(s->messages->messages[0].n_alternatives == 2, "the first question is lost");
}

/* What cannot be saved is put away only when the person asks twice. */
static void test_unsaved(struct seen *s, const char *dir)
{
    char store[1100], aside[1200];
    snprintf(store, sizeof store, "%s/pumice/conversations", dir);
    snprintf(aside, sizeof aside, "%s.aside", store);
    ask(s, REQUEST_NEW, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle), "no new one");
    REQUIRE(rename(store, aside) == 0 && platform_write_atomic(store, "x", 1) == PUMICE_OK, "no %s", store);
    s->problem[0] = 0;
    ask(s, REQUEST_SEND, 0, 0, "Sort these numbers: 6 5", NULL);
    CHECK(wait_for(s, is_idle) && s->problem[0] != 0, "saved where no directory is");
    const size_t n = n_messages(s);
    s->problem[0] = 0;
    ask(s, REQUEST_NEW, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == n && strstr(s->problem, "nowhere but here") != NULL, "%zu messages: %s", n_messages(s), s->problem);
    ask(s, REQUEST_NEW, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 0, "asked twice, and yet %zu", n_messages(s));
    CHECK(remove(store) == 0 && rename(aside, store) == 0, "not back");
    s->problem[0] = 0;
    s->id[0] = 0;
    /* as many changes as the one that was given up had: it is another one, and kept */
    ask(s, REQUEST_SEND, 0, 0, "Sort these numbers: 6 5", NULL);
    CHECK(wait_for(s, is_idle) && s->id[0] != 0 && s->problem[0] == 0, "%s", s->problem);
    char path[1300], *kept = NULL;
    size_t n_kept = 0;
    snprintf(path, sizeof path, "%s/%s.json", store, s->id);
    CHECK(platform_read(path, 1 << 20, &kept, &n_kept) == PUMICE_OK && strstr(kept, "\"5, 6") != NULL, "its answer is not kept: %s", kept);
    mem_free(kept);
    ask(s, REQUEST_NEW, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 0, "no new one");
}

/* Closing in the middle of an answer saves question and answer so far. */
static void test_close(struct seen *s)
{
    char id[64];
    ask(s, REQUEST_SEND, 0, 0, "Write bubble sort", NULL);
    CHECK(wait_for(s, has_text), "no text");
    const uint64_t begin = platform_now_ns();
    worker_finish(s->w);
    s->w = NULL;
    CHECK(platform_now_ns() - begin < 1000000000u, "closing took %.0f ms", (double)(platform_now_ns() - begin) / 1e6);
    snprintf(id, sizeof id, "%s", s->id);
    finish(s);
    start(s, id);
    CHECK(n_messages(s) == 2 && strcmp(message(s, 0), "Write bubble sort") == 0 && message(s, 1)[0] != 0, "%zu messages: %s",
          n_messages(s), message(s, 1));
    finish(s);
    start(s, "20000101-000000-00000000"); /* one that is not there: a new one, and nothing is said */
    CHECK(n_messages(s) == 0 && s->problem[0] == 0, "%s", s->problem);
    worker_finish(s->w);
    s->w = NULL;
    finish(s);
}

/* --- a device that is lost ------------------------------------------------------------------------------------------ */

static atomic_bool losing;
static PFN_vkQueueSubmit real_submit;

static VkResult lost_submit(VkQueue q, uint32_t n, const VkSubmitInfo *s, VkFence f)
{
    return atomic_load(&losing) ? VK_ERROR_DEVICE_LOST : real_submit(q, n, s, f);
}

static void hook_losing(struct device *d)
{
    real_submit = d->vk.QueueSubmit;
    d->vk.QueueSubmit = lost_submit;
}

static int test_lost(struct seen *s)
{
    struct pumice_device_info devices[16];
    size_t n = COUNT_OF(devices);
    if (pumice_devices("software", devices, &n) != PUMICE_OK || n == 0 || devices[0].kind == PUMICE_DEVICE_CPU) {
        printf("test_window_worker lost: no Vulkan device; skipped\n");
        return 77;
    }
    device_hook = hook_losing;
    snprintf(configuration.device, sizeof configuration.device, "software");
    start(s, "");
    ask(s, REQUEST_SEND, 0, 0, "My name is Ann.", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 2 && s->status == PUMICE_OK, "%zu %s", n_messages(s), s->problem);
    atomic_store(&losing, true);
    ask(s, REQUEST_SEND, 0, 0, "What is my name?", NULL);
    CHECK(wait_for(s, is_idle) && s->status == PUMICE_DEVICE, "no problem was told: %s", s->problem);
    CHECK(n_messages(s) == 3 && strcmp(message(s, 2), "What is my name?") == 0 && s->id[0] != 0, "the question is gone");
    atomic_store(&losing, false);
    ask(s, REQUEST_RETRY, 0, 0, "", NULL);
    CHECK(wait_for(s, is_idle) && n_messages(s) == 4 && strstr(message(s, 3), "Ann") != NULL, "once more: %zu %s", n_messages(s),
          s->problem);
    finish(s);
    device_hook = NULL;
    return check_summary("test_window_worker lost");
}

int main(int argc, char **argv)
{
    static struct seen s;
    char dir[900];
    if (argc < 2) {
        fprintf(stderr, "usage: test_window_worker DIRECTORY\n");
        return 2;
    }
    snprintf(dir, sizeof dir, "%s/%llu", argv[1], (unsigned long long)platform_now_ns());
    (void)mkdir(argv[1], 0700);
    (void)mkdir(dir, 0700);
    setenv("XDG_DATA_HOME", dir, 1);
    setenv("XDG_CACHE_HOME", dir, 1);
    if (platform_mutex_create(&mutex) != PUMICE_OK || platform_cond_create(&cond) != PUMICE_OK) return 1;
    if (argc > 2 && strcmp(argv[2], "lost") == 0) return test_lost(&s);
    start(&s, "");
    test_answer(&s);
    test_continue(&s);
    test_stop(&s);
    test_models(&s);
    test_conversations(&s);
    test_unanswered(&s);
    test_unsaved(&s, dir);
    test_close(&s);
    platform_cond_destroy(cond);
    platform_mutex_destroy(mutex);
    return check_summary("test_window_worker");
}
