/* settings: what the window remembers: a text file of `name = value` lines that people can edit. Lines that are not
 * ours are kept. Values from the file are checked: what makes no sense gets its default. */
#ifndef PUMICE_WINDOW_SETTINGS_H
#define PUMICE_WINDOW_SETTINGS_H

#include "app/window/protocol.h"

enum { SETTINGS_RECENT = 6 };
enum settings_language { LANGUAGE_AUTO, LANGUAGE_ENGLISH, LANGUAGE_CHINESE };
enum settings_theme { THEME_AUTO, THEME_LIGHT, THEME_DARK };

struct settings {
    int language, theme; /* the enums above */
    int zoom;            /* percent */
    int width, height;   /* of the window, in points */
    int maximized;
    struct configuration configuration;
    char model[1024];         /* "": the built-in one */
    char recent[SETTINGS_RECENT][1024];
    char conversation[64];    /* the last one's id */
    char *foreign;            /* lines that are not ours, or NULL */
};
void settings_default(struct settings *s);
void settings_fini(struct settings *s);
void settings_parse(struct settings *s, const char *text, size_t n); /* over the defaults */
char *settings_print(const struct settings *s);                      /* mem_alloc'ed; NULL: no memory */
/* The file <config>/window.conf. Reading: a missing file is fine; fails IO. Writing is atomic. */
enum pumice_status settings_load(struct settings *s);
enum pumice_status settings_save(const struct settings *s);
void settings_add_recent(struct settings *s, const char *path); /* to the front; each once */

#endif
