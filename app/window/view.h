/* view: the whole window: what it shows and how it reacts, from ui_events and the worker's events to a draw list and
 * requests. Pure: the tests drive it without a display and without a model.
 *
 * view.c: state, keys, frame; talk.c: the conversation; more.c: what is behind "More", other sheets. */
#ifndef PUMICE_WINDOW_VIEW_H
#define PUMICE_WINDOW_VIEW_H

#include "app/window/bubbles.h"
#include "app/window/settings.h"
#include "app/window/strings.h"
#include "app/window/ui.h"

enum sheet { SHEET_NONE, SHEET_MORE, SHEET_KEYS, SHEET_LINK };

enum {
    ID_INPUT = 1,
    ID_SEND,
    ID_MAX_TOKENS,
    ID_TEMPERATURE,
    ID_CLEAR,
    ID_MORE,
    ID_JUMP,
    ID_SCROLL,
    ID_TOAST,
    ID_TALK,
    ID_PROBLEM = 20, /* and the nine after it: one a button */
    ID_EXAMPLE = 30,
    ID_SHEET = 40,   /* and the 59 after it */
    ID_RECENT = 100,
    ID_DEVICE = 120,
    ID_LIST = 200,   /* four a conversation */
    ID_CODE = 100000,
    ID_ACTION = 1000000 /* ACTIONS_MAX a message */
};

struct more { /* what the sheet behind "More" edits */
    struct editor path, context, top_k, top_p, min_p, seed, history, system, search, title;
    struct shown_conversation *list;
    size_t n_list;
    char renaming[64], armed[64]; /* ids of conversations: being renamed, about to be deleted */
    struct {
        char value[128], label[128]; /* of --device; as shown */
    } devices[16];
    size_t n_devices;
    int scroll, content, list_scroll;
    bool listed;
};

struct view {
    struct ui ui;
    struct settings *settings;
    bool system_dark, system_chinese;
    struct bubbles bubbles;
    enum window_state state;
    float fraction;
    bool checking; /* of STATE_LOADING: what goes on is the first check of a device */
    bool has_model, software, starter, can_undo, can_redo;
    char model[256], device[256], path[1024];
    uint32_t used, capacity;
    double prefill, decode;
    char conversation[64], title[256];
    struct editor input;
    bool send_when_ready;
    size_t editing, chosen, hovered; /* messages, or SIZE_MAX */
    uint64_t edited_key;             /* of the message that is edited */
    char *draft;                     /* what stood in the input before editing began */
    enum sheet sheet;
    char *link;
    struct more more;
    struct {
        bool shown, loading;
        enum pumice_status status;
        char text[1024];
    } problem;
    struct {
        char text[256];
        bool undo;
        char id[64]; /* the conversation that undo opens; "": undo in this one */
        uint64_t until_ms;
    } toast;
    struct rect area; /* of the conversation, in the last frame */
    bool dragging;
    /* wishes */
    void (*send)(void *user, const struct request *r); /* r and its texts are valid during the call only */
    void (*stop)(void *user);
    void *user;
    char *open_url; /* mem_alloc'ed, or NULL; who takes it sets NULL */
    bool settings_changed;
};

/* `ui.measure`, `send`, `stop`, `user`, `system_dark` and `system_chinese` are the caller's to set after this. */
void view_init(struct view *v, struct settings *settings);
void view_fini(struct view *v);
void view_take(struct view *v, struct event *e); /* frees it */
/* One frame for one event; the draw list is v->ui.draw. */
void view_frame(struct view *v, const struct ui_event *event, struct rect all, int percent);
/* After how many milliseconds a frame is due without any event; -1: never. */
int view_due(const struct view *v);
bool view_dark(const struct view *v);

/* --- between the files of the view --------------------------------------------------------------------------------- */

const char *view_text(const struct view *v, enum string_id id);
bool view_chinese(const struct view *v);
bool view_busy(const struct view *v); /* reading, answering or stopping */
void view_request(struct view *v, enum request_kind kind, uint32_t index, const char *text, size_t n, const char *more);
void view_toast(struct view *v, const char *text, bool undo, const char *id);
void view_edit(struct view *v, size_t message); /* puts a message into the input */
void view_leave_edit(struct view *v);
void view_open_model(struct view *v, const char *path);
void view_talk(struct view *v, struct rect area);   /* draws the conversation */
void view_talk_keys(struct view *v, struct rect area);
void view_sheets(struct view *v, struct rect all);  /* draws the open sheet */
void view_open_more(struct view *v);
void view_more_fini(struct more *m);

#endif
