/* store: see store.h. */
#include "app/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/platform.h"

#define FILE_ENDING ".json"
#define LOCK_ENDING ".lock"
#define PART_ENDING ".part" /* what platform_write_atomic leaves when it is killed */
enum { PATH_BYTES = 1400, SHOWN_BEFORE = 30, SHOWN_AFTER = 60, SHOWN_MATCH = 80 };
enum { WAIT_MS = 50 }; /* for who holds a lock only to clean up */

static bool ends_with(struct str s, const char *ending)
{
    const size_t n = strlen(ending);
    return s.n >= n && memcmp(s.data + s.n - n, ending, n) == 0;
}

static void path_of(const struct store *s, const char *name, const char *ending, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%s%s", s->dir, name, ending);
}

/* --- locks
 * -------------------------------------------------------------------------------------------------------- */

/* *out is NULL when the conversation is open here already. *busy: another program has it. */
static enum pumice_status take_within(const struct store *s, const char *id, uint32_t wait_ms,
                                      struct platform_lock **out, bool *busy)
{
    char path[PATH_BYTES], whom[40] = "";
    long holder = -1;
    *out = NULL;
    *busy = false;
    if (s->lock != NULL && strcmp(s->locked, id) == 0) return PUMICE_OK;
    path_of(s, id, LOCK_ENDING, path);
    const enum pumice_status st = platform_lock_take(path, wait_ms, out, &holder);
    if (st == PUMICE_OK || holder < 0) return st;
    *busy = true;
    if (holder > 0) (void)snprintf(whom, sizeof whom, " (process %ld)", holder);
    return err_set(PUMICE_IO, "conversation %s is open in another program%s; close it there, then try again",
                   id, whom);
}

static enum pumice_status take(const struct store *s, const char *id, struct platform_lock **out, bool *busy)
{
    return take_within(s, id, WAIT_MS, out, busy);
}

/* The conversation is open here from now on. */
static void keep(struct store *s, const char *id, struct platform_lock *lock)
{
    if (s->lock != NULL && strcmp(s->locked, id) == 0) return;
    platform_lock_give(s->lock);
    s->lock = lock;
    (void)snprintf(s->locked, sizeof s->locked, "%s", id);
}

/* --- the directory
 * ------------------------------------------------------------------------------------------------ */

/* Removes temporary files and locks whose program was killed: those whose conversation nobody has open. */
static void clean(const struct store *s)
{
    struct arena arena = {0};
    const char **names = NULL;
    size_t n = 0;
    if (platform_list_dir(s->dir, &arena, &names, &n) != PUMICE_OK) n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct str name = str_of(names[i]);
        const struct str id = {name.data, strcspn(name.data, ".")};
        char text[40], path[PATH_BYTES];
        struct platform_lock *lock = NULL;
        bool busy = false;
        if (!conversation_id_valid(id) || (!ends_with(name, PART_ENDING) && !ends_with(name, LOCK_ENDING)))
            continue;
        (void)snprintf(text, sizeof text, "%.*s", (int)id.n, id.data);
        if (take_within(s, text, 0, &lock, &busy) != PUMICE_OK) continue;
        path_of(s, names[i], "", path);
        if (ends_with(name, PART_ENDING)) (void)platform_remove(path);
        platform_lock_give(lock); /* removes the other kind */
    }
    arena_fini(&arena);
}

static enum pumice_status find_dir(struct store *s)
{
    char data[sizeof s->dir - 32];
    enum pumice_status st = PUMICE_OK;
    if (s->dir[0] == 0) {
        TRY(platform_dir(PLATFORM_DATA, data, sizeof data));
        (void)snprintf(s->dir, sizeof s->dir, "%s/conversations", data);
    }
    TRY(platform_make_dir(s->dir));
    return PUMICE_OK;
fail:
    return err_wrap(st, "there is no place for conversations");
}

enum pumice_status store_open(struct store *out)
{
    memset(out, 0, sizeof *out);
    const enum pumice_status st = find_dir(out);
    if (st == PUMICE_OK) clean(out);
    return st;
}

void store_close(struct store *s)
{
    platform_lock_give(s->lock);
    memset(s, 0, sizeof *s);
}

static enum pumice_status read_file_in(struct arena *arena, const struct store *s, const char *id,
                                       struct conversation *out)
{
    char path[PATH_BYTES], *text = NULL;
    size_t n = 0;
    path_of(s, id, FILE_ENDING, path);
    conversation_init(out);
    enum pumice_status st = platform_read_own(path, CONVERSATION_MAX_BYTES, &text, &n);
    if (st == PUMICE_OK) st = conversation_of_json_in(arena, text, n, out);
    if (st == PUMICE_OK) (void)snprintf(out->id, sizeof out->id, "%s", id); /* the file's name counts */
    mem_free(text);
    return st;
}

static enum pumice_status read_file(const struct store *s, const char *id, struct conversation *out)
{
    struct arena arena = {0};
    const enum pumice_status st = read_file_in(&arena, s, id, out);
    arena_fini(&arena);
    return st;
}

static enum pumice_status check_id(const char *id)
{
    char shown[80];
    if (conversation_id_valid(str_of(id))) return PUMICE_OK;
    return err_set(PUMICE_ARGUMENT,
                   "'%s' is not the id of a conversation; ids look like 20261124-093015-1b2c3d4e",
                   str_escape(str_of(id), shown, sizeof shown));
}

static enum pumice_status check_there(const struct store *s, const char *id)
{
    char path[PATH_BYTES];
    path_of(s, id, FILE_ENDING, path);
    if (platform_exists(path)) return PUMICE_OK;
    return err_set(PUMICE_IO, "there is no conversation %s; list them to see which there are", id);
}

/* --- listing and searching
 * ---------------------------------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static size_t find_text(struct str text, struct str search)
{
    for (size_t i = 0; i + search.n <= text.n; i++) {
        size_t k = 0;
        while (k < search.n && lower(text.data[i + k]) == lower(search.data[k])) k++;
        if (k == search.n) return i;
    }
    return SIZE_MAX;
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* The text around [at, at + n) as one printable line; NULL when memory ran out. */
static char *excerpt(struct str text, size_t at, size_t n)
{
    char part[SHOWN_BEFORE + SHOWN_MATCH + SHOWN_AFTER + 8], shown[sizeof part * 4], line[sizeof shown + 8];
    size_t begin = at > SHOWN_BEFORE ? at - SHOWN_BEFORE : 0;
    size_t end = MIN(at + MIN(n, (size_t)SHOWN_MATCH) + SHOWN_AFTER, text.n);
    while (begin < at && !begins_character(text.data[begin])) begin++;
    while (end > at && end < text.n && !begins_character(text.data[end])) end--;
    memcpy(part, text.data + begin, end - begin);
    for (size_t i = 0; i < end - begin; i++)
        if (part[i] == '\n' || part[i] == '\t' || part[i] == '\r') part[i] = ' ';
    (void)snprintf(line, sizeof line, "%s%s%s", begin > 0 ? "..." : "",
                   str_escape((struct str){part, end - begin}, shown, sizeof shown),
                   end < text.n ? "..." : "");
    return mem_strdup(line);
}

/* Whether the conversation is among those searched for; *match: where. */
static enum pumice_status matches(const struct conversation *c, const char *title, struct str search,
                                  bool *found, char **match)
{
    struct str text = str_of(c->title != NULL ? c->title : title);
    size_t at = search.n == 0 ? 0 : find_text(text, search);
    *match = NULL;
    *found = search.n == 0;
    if (*found) return PUMICE_OK;
    for (uint32_t i = 0; at == SIZE_MAX && i < c->n_messages; i++) {
        text = (struct str){c->messages[i].text, c->messages[i].n_text};
        at = find_text(text, search);
    }
    *found = at != SIZE_MAX;
    if (!*found) return PUMICE_OK;
    *match = excerpt(text, at, search.n);
    return *match != NULL ? PUMICE_OK : err_memory("the list of conversations", SHOWN_BEFORE + SHOWN_AFTER);
}

/* Adds the conversation to the list if it is searched for. Fails MEMORY; *bad: it cannot be read. */
static enum pumice_status add_entry(const struct store *s, struct arena *arena, const char *id,
                                    struct str search, struct store_entry *e, bool *found, bool *bad)
{
    struct conversation c;
    char title[256];
    enum pumice_status st = read_file_in(arena, s, id, &c);
    *found = false;
    *bad = st != PUMICE_OK && st != PUMICE_MEMORY;
    if (*bad) return PUMICE_OK;
    memset(e, 0, sizeof *e);
    TRY(st);
    conversation_title(&c, title, sizeof title);
    TRY(matches(&c, title, search, found, &e->match));
    (void)snprintf(e->id, sizeof e->id, "%s", id);
    e->updated_ms = c.updated_ms;
    e->n_messages = c.n_path;
    e->title = *found ? mem_strdup(title) : NULL;
    if (*found && e->title == NULL) TRY(err_memory("the list of conversations", sizeof title));
    conversation_fini(&c);
    return PUMICE_OK;
fail:
    mem_free(e->match);
    *found = false;
    conversation_fini(&c);
    return st;
}

static int newest_first(const void *a, const void *b)
{
    const struct store_entry *x = a, *y = b;
    return x->updated_ms != y->updated_ms ? (x->updated_ms < y->updated_ms) - (x->updated_ms > y->updated_ms)
                                    : strcmp(y->id, x->id);
}

/* The id that a file's name stands for. */
static bool id_of_name(const char *name, char id[40])
{
    const struct str s = str_of(name);
    if (!ends_with(s, FILE_ENDING)) return false;
    if (!conversation_id_valid((struct str){name, s.n - strlen(FILE_ENDING)})) return false;
    (void)snprintf(id, 40, "%.*s", (int)(s.n - strlen(FILE_ENDING)), name);
    return true;
}

enum pumice_status store_list(struct store *s, const char *search, struct store_entry **out, size_t *n,
                              size_t *n_bad)
{
    enum pumice_status st = PUMICE_OK;
    struct arena arena = {0}, scratch = {0}; /* scratch: of one file at a time */
    const char **names = NULL;
    size_t n_names = 0;
    *out = NULL;
    *n = *n_bad = 0;
    TRY(find_dir(s));
    TRY(platform_list_dir(s->dir, &arena, &names, &n_names));
    *out = mem_calloc(n_names + 1, sizeof **out);
    if (*out == NULL) TRY(err_memory("the list of conversations", n_names * sizeof **out));
    for (size_t i = 0; i < n_names; i++) {
        bool found = false, bad = true;
        char id[40];
        if (!ends_with(str_of(names[i]), FILE_ENDING)) continue;
        if (id_of_name(names[i], id))
            TRY(add_entry(s, &scratch, id, str_of(search), &(*out)[*n], &found, &bad));
        *n += found;
        *n_bad += bad;
    }
    qsort(*out, *n, sizeof **out, newest_first);
    arena_fini(&arena);
    arena_fini(&scratch);
    return PUMICE_OK;
fail:
    store_entries_free(*out, *n);
    *out = NULL;
    *n = 0;
    arena_fini(&arena);
    arena_fini(&scratch);
    return st;
}

void store_entries_free(struct store_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(entries[i].title);
        mem_free(entries[i].match);
    }
    mem_free(entries);
}

/* "last" or a number. *found: it was one, and there is that conversation. */
static enum pumice_status find_by_number(struct store *s, const char *word, char *id, size_t id_bytes,
                                         bool *found)
{
    struct store_entry *entries = NULL;
    size_t n = 0, n_bad = 0;
    const bool last = strcmp(word, "last") == 0,
               number = word[0] != 0 && word[strspn(word, "0123456789")] == 0;
    const unsigned long long k = last ? 1 : number && strlen(word) < 10 ? strtoull(word, NULL, 10) : 0;
    *found = false;
    if (k == 0) return PUMICE_OK;
    const enum pumice_status st = store_list(s, NULL, &entries, &n, &n_bad);
    if (st != PUMICE_OK) return st;
    *found = k <= n;
    if (*found) (void)snprintf(id, id_bytes, "%s", entries[k - 1].id);
    store_entries_free(entries, n);
    if (last && !*found) return err_set(PUMICE_ARGUMENT, "there is no conversation yet");
    return PUMICE_OK;
}

enum pumice_status store_find(struct store *s, const char *word, char *id, size_t id_bytes)
{
    enum pumice_status st = PUMICE_OK;
    struct arena arena = {0};
    const char **names = NULL;
    size_t n_names = 0, n = 0;
    bool found = false;
    char shown[80];
    TRY(find_dir(s));
    TRY(find_by_number(s, word, id, id_bytes, &found));
    if (!found) TRY(platform_list_dir(s->dir, &arena, &names, &n_names));
    for (size_t i = 0; i < n_names && !found; i++) {
        char one[40];
        if (!id_of_name(names[i], one) || !str_startsz(str_of(one), word) || word[0] == 0) continue;
        found = strcmp(one, word) == 0;
        n++;
        (void)snprintf(id, id_bytes, "%s", one);
    }
    (void)str_escape(str_of(word), shown, sizeof shown);
    if (!found && n > 1)
        TRY(err_set(PUMICE_ARGUMENT, "%zu conversations have an id that begins with '%s'; give more of it", n,
                    shown));
    if (!found && n == 0)
        TRY(err_set(PUMICE_ARGUMENT,
                    "there is no conversation '%s'; give a number or an id from the list, or last", shown));
fail:
    arena_fini(&arena);
    return st;
}

/* --- saving, loading
 * ---------------------------------------------------------------------------------------------- */

/* An id that no other conversation has, and its lock. Two programs cannot get the same one: each looks for
 * the file while it holds the lock. */
static enum pumice_status new_id(const struct store *s, char id[40], struct platform_lock **lock)
{
    enum { TRIES = 100 };
    const time_t now = time(NULL);
    struct tm t = {0};
    (void)localtime_r(&now, &t);
    for (int i = 0; i < TRIES; i++) {
        char path[PATH_BYTES];
        bool busy = false;
        const size_t n = strftime(id, 40, "%Y%m%d-%H%M%S", &t);
        (void)snprintf(id + n, 40 - n, "-%08x", (unsigned)(platform_random() & 0xffffffffu));
        path_of(s, id, FILE_ENDING, path);
        const enum pumice_status st = take(s, id, lock, &busy);
        if (st == PUMICE_OK && !platform_exists(path)) return PUMICE_OK;
        platform_lock_give(*lock);
        *lock = NULL;
        if (st != PUMICE_OK && !busy) return st;
    }
    return err_set(PUMICE_IO, "no id is free for the conversation in %s; look what fills it", s->dir);
}

static enum pumice_status write_file(const struct store *s, const struct conversation *c)
{
    char path[PATH_BYTES], *text = NULL;
    size_t n = 0;
    enum pumice_status st = conversation_to_json(c, &text, &n);
    path_of(s, c->id, FILE_ENDING, path);
    if (st == PUMICE_OK && n > CONVERSATION_MAX_BYTES)
        st = err_set(PUMICE_IO, "it is larger than %d MiB; export it and begin a new one",
                     (int)(CONVERSATION_MAX_BYTES >> 20));
    if (st == PUMICE_OK) st = platform_write_atomic(path, text, n);
    mem_free(text);
    return st;
}

/* Refuses to write over what this program could not have loaded. */
static enum pumice_status check_old(const struct store *s, const char *id)
{
    struct conversation old;
    char path[PATH_BYTES];
    path_of(s, id, FILE_ENDING, path);
    if (!platform_exists(path)) return PUMICE_OK;
    const enum pumice_status st = read_file(s, id, &old);
    conversation_fini(&old);
    return st == PUMICE_OK ? st : err_wrap(st, "conversation %s is there already, and is left as it is", id);
}

enum pumice_status store_save(struct store *s, struct conversation *c)
{
    enum pumice_status st = PUMICE_OK;
    struct platform_lock *lock = NULL;
    const bool first = c->id[0] == 0;
    bool busy = false;
    TRY(find_dir(s));
    TRY(first ? new_id(s, c->id, &lock) : take(s, c->id, &lock, &busy));
    if (!first && lock != NULL) TRY(check_old(s, c->id)); /* it was not open here */
    TRY(write_file(s, c));
    keep(s, c->id, lock);
    return PUMICE_OK;
fail:
    platform_lock_give(lock);
    if (first) c->id[0] = 0;
    return err_wrap(st, "the conversation is not saved; it stays here as long as the program runs");
}

enum pumice_status store_load(struct store *s, const char *id, struct conversation *out)
{
    enum pumice_status st = PUMICE_OK;
    struct platform_lock *lock = NULL;
    bool busy = false;
    conversation_init(out);
    TRY(check_id(id));
    TRY(find_dir(s));
    TRY(check_there(s, id));
    st = take(s, id, &lock, &busy);
    if (busy) return st;
    if (st != PUMICE_OK) log_line(PUMICE_LOG_WARN, "%s", pumice_error()); /* nor can it be written then */
    st = read_file(s, id, out);
    if (st == PUMICE_OK) {
        keep(s, id, lock);
        return PUMICE_OK;
    }
    err_wrap(st, "conversation %s cannot be read, and is left as it is", id);
fail:
    platform_lock_give(lock);
    return st;
}

enum pumice_status store_rename(struct store *s, const char *id, const char *title)
{
    enum pumice_status st = PUMICE_OK;
    struct platform_lock *lock = NULL;
    struct conversation c;
    bool busy = false;
    conversation_init(&c);
    TRY(check_id(id));
    TRY(find_dir(s));
    TRY(check_there(s, id));
    TRY(take(s, id, &lock, &busy));
    TRY(read_file(s, id, &c));
    const int64_t updated = c.updated_ms;
    TRY(conversation_rename(&c, title));
    if (title[0] == 0) {
        mem_free(c.title);
        c.title = NULL;
    }
    c.updated_ms = updated;
    TRY(write_file(s, &c));
fail:
    conversation_fini(&c);
    platform_lock_give(lock);
    return st == PUMICE_OK ? st : err_wrap(st, "conversation %s keeps its title", id);
}

enum pumice_status store_delete(struct store *s, const char *id)
{
    enum pumice_status st = PUMICE_OK;
    struct platform_lock *lock = NULL;
    char path[PATH_BYTES];
    bool busy = false;
    TRY(check_id(id));
    TRY(find_dir(s));
    TRY(check_there(s, id));
    TRY(take(s, id, &lock, &busy));
    path_of(s, id, FILE_ENDING, path);
    TRY(platform_remove(path));
    if (lock == NULL) keep(s, "", NULL); /* it was open here */
fail:
    platform_lock_give(lock);
    return st;
}
