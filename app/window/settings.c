/* settings: one table of names, read and written by the same rows. */
#include "app/window/settings.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/window/draw.h"
#include "runtime/platform.h"

enum type { TYPE_WORD, TYPE_INT, TYPE_SEED, TYPE_REAL, TYPE_TEXT };
struct row {
    const char *name;
    enum type type;
    size_t offset, bytes;
    double low, high, initial;
    const char *words[3];
};
#define AT(field)   offsetof(struct settings, field)
#define TEXT(field) TYPE_TEXT, AT(field), sizeof(((struct settings *)0)->field), 0, 0, 0, {NULL}

static const struct row rows[] = {
    {"language", TYPE_WORD, AT(language), 0, 0, 2, 0, {"auto", "en", "zh"}},
    {"theme", TYPE_WORD, AT(theme), 0, 0, 2, 0, {"auto", "light", "dark"}},
    {"zoom", TYPE_INT, AT(zoom), 0, 50, 300, 100, {NULL}},
    {"width", TYPE_INT, AT(width), 0, 640, 10000, 1080, {NULL}},
    {"height", TYPE_INT, AT(height), 0, 420, 10000, 760, {NULL}},
    {"maximized", TYPE_INT, AT(maximized), 0, 0, 1, 0, {NULL}},
    {"temperature", TYPE_REAL, AT(configuration.temperature), 0, 0, 1.5, 0.7, {NULL}},
    {"max_tokens", TYPE_INT, AT(configuration.max_tokens), 0, 128, 4096, 1024, {NULL}},
    {"top_k", TYPE_INT, AT(configuration.top_k), 0, -1, 1000000, -1, {NULL}},
    {"top_p", TYPE_REAL, AT(configuration.top_p), 0, -1, 1, -1, {NULL}},
    {"min_p", TYPE_REAL, AT(configuration.min_p), 0, -1, 1, -1, {NULL}},
    {"seed", TYPE_SEED, AT(configuration.seed), 0, 0, 0, -1, {NULL}},
    {"history", TYPE_INT, AT(configuration.history), 0, 0, 100000, 0, {NULL}},
    {"context", TYPE_INT, AT(configuration.context), 0, 0, 1048576, 0, {NULL}},
    {"kv", TYPE_WORD, AT(configuration.kv), 0, 0, 1, 0, {"f16", "q8_0", NULL}},
    {"device", TEXT(configuration.device)},
    {"system", TEXT(configuration.system)},
    {"model", TEXT(model)},
    {"recent1", TEXT(recent[0])},
    {"recent2", TEXT(recent[1])},
    {"recent3", TEXT(recent[2])},
    {"recent4", TEXT(recent[3])},
    {"recent5", TEXT(recent[4])},
    {"recent6", TEXT(recent[5])},
    {"conversation", TEXT(conversation)},
};

static void set_number(struct settings *s, const struct row *r, double v)
{
    void *to = (char *)s + r->offset;
    if (r->type != TYPE_SEED && !(v >= r->low && v <= r->high)) v = r->initial; /* NaN as well */
    if (r->type == TYPE_REAL)
        *(double *)to = v;
    else if (r->type == TYPE_SEED)
        *(int64_t *)to = (int64_t)v;
    else
        *(int *)to = (int)v;
}

void settings_default(struct settings *s)
{
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].type != TYPE_TEXT) set_number(s, &rows[i], rows[i].initial);
}

void settings_fini(struct settings *s)
{
    mem_free(s->foreign);
    s->foreign = NULL;
}

/* \n and \\ in values; nothing else is special. */
static void unescape(char *out, size_t out_bytes, const char *text, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n && to + 1 < out_bytes; i++) {
        if (text[i] == '\\' && i + 1 < n) {
            i++;
            out[to++] = text[i] == 'n' ? '\n' : text[i];
        } else {
            out[to++] = text[i];
        }
    }
    out[to] = 0;
    for (size_t i = 0; i < to;) { /* cut before what is no whole character */
        uint32_t code;
        const size_t bytes = utf8_decode(out + i, to - i, &code);
        if (bytes == 0) {
            out[i] = 0;
            break;
        }
        i += bytes;
    }
}

/* A decimal point whatever the locale. */
static double number_of(const char *text)
{
    double v = 0, scale = 1;
    const bool negative = *text == '-';
    bool fraction = false, any = false;
    for (text += negative ? 1 : 0; *text != 0; text++) {
        if (*text == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (*text < '0' || *text > '9') return NAN;
        v = v * 10 + (*text - '0');
        scale *= fraction ? 10 : 1;
        any = true;
    }
    return any ? (negative ? -v : v) / scale : NAN;
}

static void set_value(struct settings *s, const struct row *r, const char *value, size_t n)
{
    char text[64];
    if (r->type == TYPE_TEXT) {
        unescape((char *)s + r->offset, r->bytes, value, n);
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)MIN(n, sizeof text - 1), value);
    if (r->type == TYPE_WORD) {
        for (int i = 0; i < 3 && r->words[i] != NULL; i++)
            if (strcmp(text, r->words[i]) == 0) *(int *)((char *)s + r->offset) = i;
        return;
    }
    if (r->type == TYPE_SEED) {
        char *end = NULL;
        errno = 0;
        const long long v = strtoll(text, &end, 10);
        if (errno == 0 && end != text && *end == 0) *(int64_t *)((char *)s + r->offset) = v;
        return;
    }
    set_number(s, r, number_of(text));
}

static void keep_foreign(struct settings *s, const char *line, size_t n)
{
    const size_t had = s->foreign != NULL ? strlen(s->foreign) : 0;
    if (n == 0 || memchr(line, 0, n) != NULL || had + n > 1 << 16) return;
    char *more = mem_realloc(s->foreign, had + n + 2, 1);
    if (more == NULL) return;
    memcpy(more + had, line, n);
    more[had + n] = '\n';
    more[had + n + 1] = 0;
    s->foreign = more;
}

static void parse_line(struct settings *s, const char *line, size_t n)
{
    const char *equals = memchr(line, '=', n);
    if (equals == NULL || line[0] == '#') {
        keep_foreign(s, line, n);
        return;
    }
    size_t name = (size_t)(equals - line), from = name + 1;
    while (name > 0 && line[name - 1] == ' ') name--;
    while (from < n && line[from] == ' ') from++;
    while (n > from && (line[n - 1] == ' ' || line[n - 1] == '\r')) n--;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (str_eqz((struct str){line, name}, rows[i].name)) {
            set_value(s, &rows[i], line + from, n - from);
            return;
        }
    keep_foreign(s, line, n);
}

void settings_parse(struct settings *s, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        const char *newline = memchr(text + i, '\n', n - i);
        const size_t end = newline != NULL ? (size_t)(newline - text) : n;
        parse_line(s, text + i, end - i);
        i = end + 1;
    }
}

static bool put(char **out, size_t *n, size_t *capacity, const char *text)
{
    const size_t k = strlen(text);
    if (!grow(out, capacity, *n + k + 1, 1)) return false;
    memcpy(*out + *n, text, k + 1);
    *n += k;
    return true;
}

static void print_value(const struct settings *s, const struct row *r, char *out, size_t out_bytes)
{
    const void *from = (const char *)s + r->offset;
    size_t to = 0;
    switch (r->type) {
    case TYPE_WORD:
        snprintf(out, out_bytes, "%s", r->words[*(const int *)from]);
        break;
    case TYPE_INT:
        snprintf(out, out_bytes, "%d", *(const int *)from);
        break;
    case TYPE_SEED:
        snprintf(out, out_bytes, "%lld", (long long)*(const int64_t *)from);
        break;
    case TYPE_REAL: {
        const double v = *(const double *)from;
        const long thousandths = (long)(fabs(v) * 1000 + 0.5);
        snprintf(out, out_bytes, "%s%ld.%03ld", v < 0 ? "-" : "", thousandths / 1000, thousandths % 1000);
        break;
    }
    case TYPE_TEXT:
        for (const char *c = from; *c != 0 && to + 3 < out_bytes; c++) {
            if (*c == '\n' || *c == '\\') out[to++] = '\\';
            out[to++] = (char)(*c == '\n' ? 'n' : *c);
        }
        out[to] = 0;
        break;
    }
}

char *settings_print(const struct settings *s)
{
    char *out = NULL;
    size_t n = 0, capacity = 0;
    char value[8300];
    bool fine = s->foreign != NULL && strncmp(s->foreign, "# pumice", 8) == 0
                    ? true
                    : put(&out, &n, &capacity, "# pumice: settings of the window; written when it closes\n");
    if (fine && s->foreign != NULL) fine = put(&out, &n, &capacity, s->foreign);
    for (size_t i = 0; i < COUNT_OF(rows) && fine; i++) {
        print_value(s, &rows[i], value, sizeof value);
        if (rows[i].type == TYPE_TEXT && value[0] == 0) continue;
        fine = put(&out, &n, &capacity, rows[i].name) && put(&out, &n, &capacity, " = ") &&
               put(&out, &n, &capacity, value) && put(&out, &n, &capacity, "\n");
    }
    if (fine) return out;
    mem_free(out);
    return NULL;
}

static enum pumice_status file_path(char *out, size_t out_bytes)
{
    char dir[1000];
    const enum pumice_status st = platform_dir(PLATFORM_CONFIG, dir, sizeof dir);
    if (st == PUMICE_OK) snprintf(out, out_bytes, "%s/window.conf", dir);
    return st;
}

enum pumice_status settings_load(struct settings *s)
{
    char path[1024], *text = NULL;
    size_t n = 0;
    settings_default(s);
    enum pumice_status st = file_path(path, sizeof path);
    if (st != PUMICE_OK || !platform_exists(path)) return st;
    st = platform_read(path, 1 << 20, &text, &n);
    if (st == PUMICE_OK) settings_parse(s, text, n);
    mem_free(text);
    return st;
}

enum pumice_status settings_save(const struct settings *s)
{
    char path[1024];
    enum pumice_status st = file_path(path, sizeof path);
    if (st != PUMICE_OK) return st;
    char *text = settings_print(s);
    if (text == NULL) return err_memory("the settings", 1);
    st = platform_write_atomic(path, text, strlen(text));
    mem_free(text);
    return st;
}

void settings_add_recent(struct settings *s, const char *path)
{
    char copy[1024];
    size_t at = SETTINGS_RECENT - 1;
    if (path[0] == 0 || strlen(path) >= sizeof copy) return;
    snprintf(copy, sizeof copy, "%s", path);
    for (size_t i = 0; i < SETTINGS_RECENT; i++)
        if (strcmp(s->recent[i], copy) == 0) {
            at = i;
            break;
        }
    memmove(s->recent[1], s->recent[0], at * sizeof s->recent[0]);
    snprintf(s->recent[0], sizeof s->recent[0], "%s", copy);
}
