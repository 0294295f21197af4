/* test_store: conversations as files: what is kept, found, locked, and what happens when writing fails or is killed. */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/store.h"
#include "runtime/platform.h"

static char scratch[512], dir[600]; /* XDG_DATA_HOME, and where the conversations are */

static const char *path_in(const char *name)
{
    static char path[4][1000];
    static int i;
    snprintf(path[i = (i + 1) % 4], sizeof path[0], "%s/%s", dir, name);
    return path[i];
}

static const char *path_of(const char *id, const char *ending)
{
    char name[100];
    snprintf(name, sizeof name, "%s%s", id, ending);
    return path_in(name);
}

static void write_plain(const char *name, const char *text)
{
    FILE *f = fopen(path_in(name), "w");
    if (!CHECK(f != NULL, "%s: %s", name, strerror(errno))) return;
    fputs(text, f);
    fclose(f);
}

static bool holds(const char *name, const char *text)
{
    char *data = NULL;
    size_t n = 0;
    const bool same = platform_read(path_in(name), 1 << 20, &data, &n) == PUMICE_OK && strcmp(data, text) == 0;
    mem_free(data);
    return same;
}

/* How many names in the directory end so. */
static size_t count(const char *ending)
{
    struct arena arena = {0};
    const char **names = NULL;
    size_t n = 0, k = 0;
    CHECK(platform_list_dir(dir, &arena, &names, &n) == PUMICE_OK, "%s", pumice_error());
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(names[i]);
        k += length >= strlen(ending) && strcmp(names[i] + length - strlen(ending), ending) == 0;
    }
    arena_fini(&arena);
    return k;
}

static void empty_directory(void)
{
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'/*", scratch);
    CHECK(system(command) == 0, "%s", command);
}

static void add(struct conversation *c, enum role role, const char *text)
{
    CHECK(conversation_add(c, role, text, strlen(text)) == PUMICE_OK, "%s", pumice_error());
}

/* A conversation in the store that nobody has open; its id. */
static void make(const char *question, int64_t updated, char id[40])
{
    struct store s;
    struct conversation c;
    conversation_init(&c);
    add(&c, ROLE_USER, question);
    c.updated_ms = updated;
    CHECK(store_open(&s) == PUMICE_OK && store_save(&s, &c) == PUMICE_OK, "%s", pumice_error());
    snprintf(id, 40, "%s", c.id);
    store_close(&s);
    conversation_fini(&c);
}

static mode_t mode_of(const char *path)
{
    struct stat s;
    return CHECK(lstat(path, &s) == 0, "%s: %s", path, strerror(errno)) ? s.st_mode & 07777 : 0;
}

/* --- what is kept --------------------------------------------------------------------------------------------------- */

static void test_save_and_load(void)
{
    struct store s;
    struct conversation c, d;
    char id[40];
    conversation_init(&c);
    add(&c, ROLE_USER, "Hello");
    REQUIRE(store_open(&s) == PUMICE_OK, "%s", pumice_error());
    CHECK(store_save(&s, &c) == PUMICE_OK && strlen(c.id) == 24 && conversation_id_valid(str_of(c.id)), "%s", pumice_error());
    CHECK(strcmp(s.locked, c.id) == 0 && platform_exists(path_of(c.id, ".lock")), "not locked");
    snprintf(id, sizeof id, "%s", c.id);
    add(&c, ROLE_USER, "More");
    CHECK(store_save(&s, &c) == PUMICE_OK && strcmp(id, c.id) == 0, "%s", pumice_error());
    CHECK(store_load(&s, id, &d) == PUMICE_OK && d.n_messages == 2 && strcmp(d.id, id) == 0 && d.updated_ms == c.updated_ms, "%s", pumice_error());
    conversation_fini(&d);
    c.id[0] = 0; /* another one: the first is given back */
    CHECK(store_save(&s, &c) == PUMICE_OK && strcmp(id, c.id) != 0 && !platform_exists(path_of(id, ".lock")), "%s", pumice_error());
    CHECK(store_load(&s, id, &d) == PUMICE_OK && strcmp(s.locked, id) == 0 && !platform_exists(path_of(c.id, ".lock")), "%s", pumice_error());
    conversation_fini(&d);
    CHECK(store_load(&s, "no-such", &d) == PUMICE_IO && strstr(pumice_error(), "there is no conversation no-such"), "%s", pumice_error());
    CHECK(store_load(&s, "../x", &d) == PUMICE_ARGUMENT && store_delete(&s, "") == PUMICE_ARGUMENT &&
              store_rename(&s, "A", "x") == PUMICE_ARGUMENT, "%s", pumice_error());
    CHECK(strcmp(s.locked, id) == 0, "a failed load keeps the lock");
    CHECK(store_delete(&s, c.id) == PUMICE_OK && strcmp(s.locked, id) == 0 && !platform_exists(path_of(c.id, ".json")), "%s", pumice_error());
    CHECK(store_delete(&s, id) == PUMICE_OK && s.lock == NULL && count("") == 0, "%s", pumice_error());
    CHECK(store_delete(&s, id) == PUMICE_IO, "deleted twice");
    store_close(&s);
    conversation_fini(&c);
}

static void test_rename(void)
{
    struct store s;
    struct conversation c;
    struct store_entry *e = NULL;
    size_t n = 0, n_bad = 0;
    char id[40];
    make("Hello", 1234, id);
    REQUIRE(store_open(&s) == PUMICE_OK, "%s", pumice_error());
    CHECK(store_rename(&s, id, "A new\n\x1b title") == PUMICE_OK, "%s", pumice_error());
    CHECK(store_list(&s, NULL, &e, &n, &n_bad) == PUMICE_OK && n == 1 && e[0].updated_ms == 1234 && strcmp(e[0].title, "A new") == 0, "%s", pumice_error());
    store_entries_free(e, n);
    CHECK(store_rename(&s, id, "") == PUMICE_OK && store_load(&s, id, &c) == PUMICE_OK && c.title == NULL, "%s", pumice_error());
    conversation_fini(&c);
    CHECK(store_delete(&s, id) == PUMICE_OK && store_rename(&s, id, "x") == PUMICE_IO && count("") == 0, "%s", pumice_error());
    store_close(&s);
}

static void check_search(struct store *s, const char *search, const char *want)
{
    struct store_entry *e = NULL;
    size_t n = 0, n_bad = 0;
    char got[1000] = "";
    CHECK(store_list(s, search, &e, &n, &n_bad) == PUMICE_OK && n_bad == 0, "%s", pumice_error());
    for (size_t i = 0; i < n; i++) {
        const size_t at = strlen(got);
        snprintf(got + at, sizeof got - at, "%s[%s]", e[i].title, e[i].match ? e[i].match : "-");
    }
    CHECK(strcmp(got, want) == 0, "'%s' finds %s", search ? search : "NULL", got);
    store_entries_free(e, n);
}

static void check_find(struct store *s, const char *word, const char *want, const char *why)
{
    char id[40] = "";
    const enum pumice_status st = store_find(s, word, id, sizeof id);
    if (want != NULL) CHECK(st == PUMICE_OK && strcmp(id, want) == 0, "%s: %s", word, pumice_error());
    else CHECK(st == PUMICE_ARGUMENT && strstr(pumice_error(), why), "%s: %s", word, pumice_error());
}

static void test_list_and_find(void)
{
    struct store s;
    struct conversation c;
    char first[40], second[40], third[40], beginning[40];
    REQUIRE(store_open(&s) == PUMICE_OK, "%s", pumice_error());
    check_search(&s, NULL, "");
    check_find(&s, "last", NULL, "no conversation yet");
    make("The volcano\nerupts: na\xc3\xafve\x1b[31m", 300, first);
    make("Dogs", 100, second);
    make("Cats", 200, third);
    check_search(&s, NULL, "The volcano[-]Cats[-]Dogs[-]");
    check_search(&s, "", "The volcano[-]Cats[-]Dogs[-]");
    check_search(&s, "aT", "Cats[Cats]");
    check_search(&s, "ERUPTS", "The volcano[The volcano erupts: na\xc3\xafve\\x1b[31m]");
    check_search(&s, "na\xc3\x8fve", "");
    check_search(&s, "zebra", "");
    CHECK(store_load(&s, second, &c) == PUMICE_OK && conversation_branch(&c, UINT32_MAX) == PUMICE_OK, "%s", pumice_error());
    add(&c, ROLE_USER, "01\xf0\x9f\xa6\x80" "23456789012345678901234567 Zebra 123456789 123456789 123456789 123456789 123456789 12345678\xc3\xa9.");
    add(&c, ROLE_USER, "x");
    CHECK(conversation_branch(&c, UINT32_MAX) == PUMICE_OK, "%s", pumice_error());
    c.updated_ms = 400;
    CHECK(store_save(&s, &c) == PUMICE_OK, "%s", pumice_error());
    conversation_fini(&c);
    check_search(&s, "zebra", "Dogs[...23456789012345678901234567 Zebra 123456789 123456789 123456789 123456789 123456789 12345678...]");
    CHECK(store_rename(&s, first, "Pumice") == PUMICE_OK, "%s", pumice_error());
    check_search(&s, "pumi", "Pumice[Pumice]");
    check_find(&s, "last", second, NULL);
    check_find(&s, "1", second, NULL);
    check_find(&s, "003", third, NULL);
    check_find(&s, "4", NULL, "no conversation '4'");
    check_find(&s, "0", NULL, "no conversation");
    check_find(&s, "", NULL, "no conversation ''");
    check_find(&s, "\x1b", NULL, "'\\x1b'");
    check_find(&s, "99999999999999999999", NULL, "no conversation");
    check_find(&s, first, first, NULL);
    snprintf(beginning, sizeof beginning, "%.22s", first);
    check_find(&s, beginning, first, NULL);
    snprintf(beginning, sizeof beginning, "%.8s", first);
    check_find(&s, beginning, NULL, "3 conversations");
    store_close(&s);
}

static void test_modes(void)
{
    static const mode_t masks[] = {0, 022, 0777};
    for (size_t i = 0; i < COUNT_OF(masks); i++) {
        struct store s;
        char id[40];
        empty_directory();
        const mode_t before = umask(masks[i]);
        make("Hello", 1, id);
        struct conversation c;
        CHECK(store_open(&s) == PUMICE_OK && store_load(&s, id, &c) == PUMICE_OK, "%s", pumice_error());
        umask(before);
        CHECK(mode_of(dir) == 0700, "umask %o: directory %o", (unsigned)masks[i], (unsigned)mode_of(dir));
        CHECK(mode_of(path_of(id, ".json")) == 0600, "umask %o: file %o", (unsigned)masks[i], (unsigned)mode_of(path_of(id, ".json")));
        CHECK(mode_of(path_of(id, ".lock")) == 0600, "umask %o: lock %o", (unsigned)masks[i], (unsigned)mode_of(path_of(id, ".lock")));
        conversation_fini(&c);
        store_close(&s);
    }
}

/* --- what cannot be read ----------------------------------------------------------------------------------------- */

static void test_bad_files(void)
{
    static const char newer[] = "{\"pumice\":2,\"tree\":[]}";
    static const char *const ids[] = {"damaged", "newer", "empty", "link", "dangling", "directory", "pipe"};
    struct store s;
    struct store_entry *e = NULL;
    size_t n = 0, n_bad = 0;
    char id[40], found[40];
    make("Hello", 1, id);
    write_plain("damaged.json", "{\"pumice\":1,");
    write_plain("newer.json", newer);
    write_plain("empty.json", "");
    write_plain("Upper.json", "{}");
    write_plain("notes.txt", "mine");
    CHECK(symlink(path_of(id, ".json"), path_in("link.json")) == 0 && symlink("nowhere", path_in("dangling.json")) == 0 &&
              mkdir(path_in("directory.json"), 0700) == 0 && mkfifo(path_in("pipe.json"), 0600) == 0, "%s", strerror(errno));
    REQUIRE(store_open(&s) == PUMICE_OK, "%s", pumice_error());
    CHECK(store_list(&s, NULL, &e, &n, &n_bad) == PUMICE_OK && n == 1 && n_bad == 8, "%zu, %zu bad", n, n_bad);
    store_entries_free(e, n);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct conversation c;
        const enum pumice_status st = store_load(&s, ids[i], &c);
        CHECK(st != PUMICE_OK && c.n_messages == 0 && s.lock == NULL, "%s can be loaded", ids[i]);
        if (i != 4) CHECK(strstr(pumice_error(), "cannot be read, and is left as it is"), "%s", pumice_error());
        if (i == 0) CHECK(st == PUMICE_FORMAT && strstr(pumice_error(), "line 1"), "%s", pumice_error());
        if (i == 1) CHECK(st == PUMICE_UNSUPPORTED && strstr(pumice_error(), "newer pumice"), "%s", pumice_error());
        if (i == 3) CHECK(st == PUMICE_IO && strstr(pumice_error(), "symbolic link"), "%s", pumice_error());
        if (i != 4) { /* nor is it written over by one of that id */
            snprintf(c.id, sizeof c.id, "%s", ids[i]);
            CHECK(store_save(&s, &c) == st && strcmp(c.id, ids[i]) == 0 && s.lock == NULL, "%s: %s", ids[i], pumice_error());
            conversation_fini(&c);
        }
        CHECK(store_rename(&s, ids[i], "x") == st, "%s: %s", ids[i], pumice_error());
        CHECK(store_find(&s, ids[i], found, sizeof found) == PUMICE_OK && strcmp(found, ids[i]) == 0, "%s", pumice_error());
    }
    CHECK(holds("damaged.json", "{\"pumice\":1,") && holds("newer.json", newer) && holds("notes.txt", "mine"), "changed");
    CHECK(count(".lock") == 0 && count("") == 10, "%zu files", count(""));
    CHECK(store_delete(&s, "link") == PUMICE_OK && platform_exists(path_of(id, ".json")), "the link's target is deleted");
    CHECK(store_delete(&s, "damaged") == PUMICE_OK && store_delete(&s, "directory") == PUMICE_IO, "%s", pumice_error());
    store_close(&s);
}

static void test_link_in_place(void)
{
    struct store s;
    struct conversation c;
    char id[40];
    make("Hello", 1, id);
    REQUIRE(store_open(&s) == PUMICE_OK && store_load(&s, id, &c) == PUMICE_OK, "%s", pumice_error());
    write_plain("victim", "precious");
    CHECK(unlink(path_of(id, ".json")) == 0 && symlink("victim", path_of(id, ".json")) == 0, "%s", strerror(errno));
    char part[100];
    snprintf(part, sizeof part, "%s.json.%ld-0.part", id, (long)getpid());
    CHECK(symlink("victim", path_in(part)) == 0, "%s", strerror(errno));
    CHECK(store_save(&s, &c) == PUMICE_OK && holds("victim", "precious"), "%s", pumice_error());
    store_close(&s);
    CHECK(symlink("made", path_of(id, ".lock")) == 0, "%s", strerror(errno));
    CHECK(store_open(&s) == PUMICE_OK && store_save(&s, &c) == PUMICE_IO && !platform_exists(path_in("made")), "%s", pumice_error());
    store_close(&s);
    conversation_fini(&c);
}

/* --- several programs -------------------------------------------------------------------------------------------- */

/* A program that has the conversation open until it is killed. */
static pid_t open_elsewhere(const char *id)
{
    int ready[2];
    char byte = 0;
    if (!CHECK(pipe(ready) == 0, "pipe")) return -1;
    const pid_t pid = fork();
    if (pid == 0) {
        struct store s;
        struct conversation c;
        if (store_open(&s) != PUMICE_OK || store_load(&s, id, &c) != PUMICE_OK) _exit(1);
        (void)!write(ready[1], "x", 1);
        for (;;) pause();
    }
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1, "the other program could not open it");
    close(ready[0]);
    return pid;
}

static void kill_and_wait(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid, "%s", strerror(errno));
}

static void test_lock(void)
{
    struct store s, t;
    struct conversation c, d;
    struct store_entry *e = NULL;
    size_t n = 0, n_bad = 0;
    char id[40], whom[40], part[100];
    make("Hello", 1, id);
    const pid_t pid = open_elsewhere(id);
    snprintf(whom, sizeof whom, "(process %ld); close it there", (long)pid);
    snprintf(part, sizeof part, "%s.json.1-0.part", id);
    write_plain(part, "it writes just now");
    REQUIRE(store_open(&s) == PUMICE_OK, "%s", pumice_error());
    CHECK(platform_exists(path_in(part)), "another program's temporary file is gone");
    CHECK(store_load(&s, id, &c) == PUMICE_IO && strstr(pumice_error(), whom), "%s", pumice_error());
    conversation_init(&c);
    add(&c, ROLE_USER, "Mine");
    snprintf(c.id, sizeof c.id, "%s", id);
    CHECK(store_save(&s, &c) == PUMICE_IO && strstr(pumice_error(), whom) && strstr(pumice_error(), "not saved"), "%s", pumice_error());
    CHECK(strcmp(c.id, id) == 0 && c.n_messages == 1, "the conversation is another one");
    CHECK(store_rename(&s, id, "x") == PUMICE_IO && strstr(pumice_error(), whom), "%s", pumice_error());
    CHECK(store_delete(&s, id) == PUMICE_IO && strstr(pumice_error(), whom), "%s", pumice_error());
    CHECK(store_list(&s, "hello", &e, &n, &n_bad) == PUMICE_OK && n == 1 && n_bad == 0, "%s", pumice_error());
    store_entries_free(e, n);
    conversation_fini(&c);
    kill_and_wait(pid);
    CHECK(platform_exists(path_of(id, ".lock")), "nobody could remove it");
    CHECK(store_load(&s, id, &c) == PUMICE_OK && c.n_messages == 1, "%s", pumice_error());
    CHECK(store_open(&t) == PUMICE_OK && platform_exists(path_in(part)), "%s", pumice_error());
    CHECK(store_load(&t, id, &d) == PUMICE_IO, "opened twice in one program");
    store_close(&t);
    store_close(&s);
    CHECK(store_open(&t) == PUMICE_OK && count(".part") == 0 && count(".lock") == 0, "what was left is still there");
    store_close(&t);
    conversation_fini(&c);
}

static void test_ids_differ(void)
{
    enum { PROGRAMS = 4, EACH = 40 };
    pid_t pids[PROGRAMS];
    for (int i = 0; i < PROGRAMS; i++) {
        pids[i] = fork();
        if (pids[i] != 0) continue;
        check_n_failed = 0;
        for (int k = 0; k < EACH; k++) {
            char id[40];
            make("Hello", 1, id);
        }
        _exit(check_n_failed != 0);
    }
    for (int i = 0; i < PROGRAMS; i++) {
        int status = 1;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0, "program %d: %d", i, status);
    }
    CHECK(count(".json") == PROGRAMS * EACH && count("") == PROGRAMS * EACH, "%zu files", count(""));
}

/* Saves a growing conversation for ever; message i says what message i says. */
static void save_for_ever(const char *id)
{
    struct store s;
    struct conversation c;
    if (store_open(&s) != PUMICE_OK || store_load(&s, id, &c) != PUMICE_OK) _exit(1);
    for (;;) {
        char text[4000];
        if (c.n_messages == 40) {
            conversation_fini(&c);
            snprintf(c.id, sizeof c.id, "%s", id);
        }
        memset(text, 'a' + (int)(c.n_messages % 26), sizeof text);
        if (conversation_add(&c, ROLE_USER, text, 100 * (size_t)c.n_messages) != PUMICE_OK || store_save(&s, &c) != PUMICE_OK) _exit(1);
    }
}

static bool is_a_version(const struct conversation *c)
{
    bool ok = c->n_messages >= 1 && c->n_messages <= 40 && c->n_path == c->n_messages;
    for (uint32_t i = 0; ok && i < c->n_messages; i++) {
        ok = c->messages[i].n_text == 100 * (size_t)i;
        for (size_t k = 0; ok && k < c->messages[i].n_text; k++) ok = c->messages[i].text[k] == 'a' + (char)(i % 26);
    }
    return ok;
}

static void test_killed(unsigned n_times)
{
    char id[40];
    uint64_t rng = 1;
    unsigned n_parts = 0, n_changed = 0;
    uint32_t before = 0;
    uint64_t most_us = 12000; /* lived by a program; follows the machine, so that about every other one gets to a new version */
    make("", 1, id);
    for (unsigned i = 0; i < n_times && check_n_failed == 0; i++) {
        struct store s;
        struct conversation c;
        const pid_t pid = fork();
        if (pid == 0) save_for_ever(id);
        rng = mix_u64(rng + i);
        usleep((useconds_t)(rng % most_us));
        kill_and_wait(pid);
        n_parts += count(".part") > 0;
        REQUIRE(store_open(&s) == PUMICE_OK, "%s", pumice_error());
        CHECK(count("") == 1, "round %u: %zu files", i, count(""));
        CHECK(store_load(&s, id, &c) == PUMICE_OK && is_a_version(&c), "round %u: %s", i, pumice_error());
        const bool changed = c.n_messages != before;
        n_changed += changed;
        most_us = changed ? MAX(most_us * 7 / 8, (uint64_t)2000) : MIN(most_us * 9 / 8, (uint64_t)500000);
        before = c.n_messages;
        conversation_fini(&c);
        store_close(&s);
    }
    printf("killed %u times: %u in the middle of writing, %u after a new version\n", n_times, n_parts, n_changed);
    CHECK(n_parts > n_times / 100 && n_changed > n_times / 20, "the kills miss what they are for");
}

/* --- when writing fails ------------------------------------------------------------------------------------------ */

static void test_full_disk(void)
{
    static char large[100000];
    struct store s;
    struct conversation c, d, fresh;
    struct rlimit before, small;
    char id[40];
    make("Hello", 1, id);
    REQUIRE(store_open(&s) == PUMICE_OK && store_load(&s, id, &c) == PUMICE_OK, "%s", pumice_error());
    memset(large, 'x', sizeof large - 1);
    add(&c, ROLE_USER, large);
    conversation_init(&fresh);
    add(&fresh, ROLE_USER, large);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0, "getrlimit");
    small = before;
    small.rlim_cur = 20000;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0, "setrlimit");
    const enum pumice_status st = store_save(&s, &c);
    const bool says = strstr(pumice_error(), "is not saved") && strstr(pumice_error(), "free some space");
    const enum pumice_status st_fresh = store_save(&s, &fresh);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0, "setrlimit");
    CHECK(st == PUMICE_IO && says && st_fresh == PUMICE_IO, "%s", pumice_error());
    CHECK(fresh.id[0] == 0 && fresh.n_messages == 1 && c.n_messages == 2 && strcmp(s.locked, id) == 0, "changed");
    CHECK(count(".part") == 0 && count("") == 2, "%zu files", count(""));
    CHECK(store_load(&s, id, &d) == PUMICE_OK && d.n_messages == 1, "the old version is gone");
    conversation_fini(&d);
    CHECK(store_save(&s, &c) == PUMICE_OK && store_save(&s, &fresh) == PUMICE_OK && count(".json") == 2, "%s", pumice_error());
    store_close(&s);
    conversation_fini(&c);
    conversation_fini(&fresh);
}

/* In a program of its own, which gives up what root may do. */
static int in_read_only_directory(const char *id)
{
    struct store s;
    struct conversation c;
    check_n_failed = 0;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 77;
    CHECK(store_open(&s) == PUMICE_OK && store_load(&s, id, &c) == PUMICE_OK, "reading: %s", pumice_error());
    add(&c, ROLE_USER, "More");
    CHECK(store_save(&s, &c) == PUMICE_IO && strstr(pumice_error(), "is not saved") && strstr(pumice_error(), "Permission denied"), "%s", pumice_error());
    CHECK(c.n_messages == 2, "the conversation is gone");
    c.id[0] = 0;
    CHECK(store_save(&s, &c) == PUMICE_IO && c.id[0] == 0, "%s", pumice_error());
    CHECK(store_rename(&s, id, "x") == PUMICE_IO && store_delete(&s, id) == PUMICE_IO, "%s", pumice_error());
    conversation_fini(&c);
    store_close(&s);
    return check_n_failed != 0;
}

static void test_read_only(void)
{
    char id[40];
    int status = 1;
    make("Hello", 1, id);
    CHECK(chmod(path_of(id, ".json"), 0444) == 0 && chmod(dir, 0555) == 0, "%s", strerror(errno));
    if (geteuid() == 0) { /* the other user must get there */
        char above[600];
        snprintf(above, sizeof above, "%s/pumice", scratch);
        CHECK(chmod(above, 0755) == 0 && chmod(scratch, 0755) == 0, "%s", strerror(errno));
    }
    const pid_t pid = fork();
    if (pid == 0) _exit(in_read_only_directory(id));
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "%d", status);
    if (WEXITSTATUS(status) == 77) printf("read-only directory: skipped, the user cannot be changed here\n");
    else CHECK(status == 0, "see above");
    CHECK(chmod(dir, 0700) == 0 && chmod(scratch, 0700) == 0 && count("") == 1, "%zu files", count(""));
}

static void test_no_place(void)
{
    struct store s;
    struct conversation c, d;
    struct store_entry *e = NULL;
    size_t n = 0, n_bad = 0;
    char id[40], home[200], file[700];
    snprintf(home, sizeof home, "%s", getenv("HOME") ? getenv("HOME") : "/");
    unsetenv("HOME");
    unsetenv("XDG_DATA_HOME");
    CHECK(store_open(&s) == PUMICE_IO && strstr(pumice_error(), "HOME") && strstr(pumice_error(), "conversations"), "%s", pumice_error());
    conversation_init(&c);
    add(&c, ROLE_USER, "Hello");
    CHECK(store_save(&s, &c) == PUMICE_IO && strstr(pumice_error(), "HOME") && strstr(pumice_error(), "is not saved"), "%s", pumice_error());
    CHECK(c.n_messages == 1 && c.id[0] == 0, "changed");
    CHECK(store_list(&s, NULL, &e, &n, &n_bad) == PUMICE_IO && e == NULL && store_find(&s, "1", id, sizeof id) == PUMICE_IO &&
              store_load(&s, "a", &d) == PUMICE_IO && store_delete(&s, "a") == PUMICE_IO, "%s", pumice_error());
    empty_directory();
    snprintf(file, sizeof file, "%s/pumice", scratch);
    FILE *f = fopen(file, "w");
    CHECK(f != NULL && fclose(f) == 0, "%s", file);
    setenv("XDG_DATA_HOME", scratch, 1);
    setenv("HOME", home, 1);
    CHECK(store_save(&s, &c) == PUMICE_IO && strstr(pumice_error(), "there is a file of that name"), "%s", pumice_error());
    CHECK(unlink(file) == 0 && store_save(&s, &c) == PUMICE_OK && count("") == 2, "%s", pumice_error());
    store_close(&s);
    conversation_fini(&c);
}

/* Everything with the k-th allocation failing; true when none failed. */
static bool fails_well(uint64_t k, const char *id)
{
    struct store s, other;
    struct conversation c, d;
    struct store_entry *e = NULL;
    size_t n = 0, n_bad = 0;
    char found[40];
    enum pumice_status st[6];
    CHECK(store_open(&s) == PUMICE_OK, "%s", pumice_error());
    conversation_init(&c);
    add(&c, ROLE_USER, "Hello");
    mem_fail_at(k);
    st[0] = store_open(&other);
    st[1] = store_load(&s, id, &d);
    st[2] = store_list(&s, "l", &e, &n, &n_bad);
    st[3] = store_find(&s, "1", found, sizeof found);
    st[4] = store_rename(&s, id, "x");
    st[5] = store_save(&s, &c);
    mem_fail_at(0);
    bool all = true;
    for (size_t i = 0; i < COUNT_OF(st); i++) {
        CHECK(st[i] == PUMICE_OK || st[i] == PUMICE_MEMORY, "allocation %d, call %zu: %d", (int)k, i, (int)st[i]);
        all = all && st[i] == PUMICE_OK;
    }
    CHECK(st[2] == PUMICE_OK ? n >= 1 && n_bad == 0 : e == NULL && n == 0, "allocation %d: the list", (int)k);
    CHECK(st[5] == PUMICE_OK || c.id[0] == 0, "allocation %d: an id", (int)k);
    CHECK(st[1] == PUMICE_OK || d.n_messages == 0, "allocation %d: not empty", (int)k);
    store_entries_free(e, n);
    conversation_fini(&c);
    conversation_fini(&d);
    store_close(&other);
    store_close(&s);
    return all;
}

static void test_memory(void)
{
    char id[40];
    uint64_t k = 1;
    make("Hello", 1, id);
    while (k < 1000 && !fails_well(k, id)) k++;
    CHECK(k > 50 && k < 1000, "%d allocations", (int)k - 1);
    CHECK(count(".part") == 0 && count(".lock") == 0 && count(".json") >= 2, "%zu files", count(""));
}

int main(void)
{
    static void (*const tests[])(void) = {test_save_and_load, test_rename, test_list_and_find, test_modes, test_bad_files,
                                          test_link_in_place, test_lock, test_ids_differ, test_full_disk, test_read_only,
                                          test_no_place, test_memory};
    const char *tmp = getenv("TMPDIR"), *times = getenv("PUMICE_TEST_KILLS");
    snprintf(scratch, sizeof scratch, "%s/pumice-store-XXXXXX", tmp ? tmp : "/tmp");
    if (mkdtemp(scratch) == NULL) return 1;
    snprintf(dir, sizeof dir, "%s/pumice/conversations", scratch);
    setenv("XDG_DATA_HOME", scratch, 1);
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        empty_directory();
        tests[i]();
    }
    empty_directory();
    test_killed(times ? (unsigned)atoi(times) : 1000);
    empty_directory();
    rmdir(scratch);
    return check_summary("test_store");
}
