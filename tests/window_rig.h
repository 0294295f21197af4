/* window_rig: what tests of the window share: a view without display or model, and conversations to look at. */
#ifndef PUMICE_WINDOW_RIG_H
#define PUMICE_WINDOW_RIG_H

#include "app/window/view.h"

/* Text measured by simple rules, so that golden files do not depend on fonts: half an em a character, a whole one for
 * wide ones, nothing for marks; 11/20 of an em for mono. */
struct measure rig_measure(void);

/* Takes requests: the last one's kind, index and text, and how many there were. */
struct rig_requests {
    size_t n;
    enum request_kind kind;
    uint32_t index, other;
    char text[4096];
    unsigned stops;
};
void rig_open(struct view *v, struct settings *s, struct rig_requests *requests); /* a view of 1080x760, light, English */
void rig_state(struct view *v, enum window_state state, float fraction);
void rig_model(struct view *v, bool starter);
void rig_stats(struct view *v, uint32_t used, uint32_t capacity, double prefill, double decode);
/* texts[i], the person's first, then in turn; all answers complete. */
void rig_messages(struct view *v, const char *const *texts, size_t n, enum ending last);
void rig_text(struct view *v, const char *text); /* more of the last message */
void rig_problem(struct view *v, enum pumice_status status, bool loading, const char *text);
void rig_list(struct view *v);

extern const char rig_markdown[]; /* a message with everything: headings, lists, table, code, quote, link */
extern const char rig_chinese[];

/* States to look at and to compare. The view is rig_open'ed before; language and theme are set. */
struct rig_scene {
    const char *name;
    int zoom; /* percent */
    bool dark, chinese;
    void (*set)(struct view *v);
};
extern const struct rig_scene rig_scenes[];
extern const size_t rig_n_scenes;

#endif
