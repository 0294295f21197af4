/* test_base: base and platform: error text, arithmetic, half floats, escaping, arenas, failing memory, files, threads. */
#include "check.h"
#include "platform.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- errors and log ----------------------------------------------------------------------------- */

static void other_thread(void *user)
{
    const char **seen = user;
    seen[0] = strcmp(pumice_error(), "no error") == 0 ? "clean" : "dirty";
    (void)err_set(PUMICE_IO, "of the other thread");
}

static void test_append(void)
{
    char text[8] = "?";
    size_t n = str_append(text, sizeof text, 0, "%s", "ab");
    CHECK(n == 2 && strcmp(text, "ab") == 0, "%zu '%s'", n, text);
    n = str_append(text, sizeof text, n, "%d%s", 12, "345");
    CHECK(n == 7 && strcmp(text, "ab12345") == 0, "%zu '%s'", n, text);
    n = str_append(text, sizeof text, n, "more");
    CHECK(n == 7 && strcmp(text, "ab12345") == 0, "full: %zu '%s'", n, text);
    n = str_append(text, sizeof text, 5, "%s", "much more");
    CHECK(n == 7 && strcmp(text, "ab123mu") == 0, "cut: %zu '%s'", n, text);
}

static void test_errors(void)
{
    char text[3000];
    const char *seen = NULL;
    struct platform_thread *t = NULL;
    CHECK(err_set(PUMICE_FORMAT, "bad %d; fix it", 7) == PUMICE_FORMAT && strcmp(pumice_error(), "bad 7; fix it") == 0, "%s", pumice_error());
    CHECK(err_wrap(PUMICE_FORMAT, "file %s", "x") == PUMICE_FORMAT && strcmp(pumice_error(), "file x: bad 7; fix it") == 0, "%s", pumice_error());
    (void)err_set(PUMICE_IO, "again: %s", pumice_error()); /* an argument that is the text itself */
    CHECK(strcmp(pumice_error(), "again: file x: bad 7; fix it") == 0, "%s", pumice_error());
    CHECK(platform_thread_create(other_thread, &seen, &t) == PUMICE_OK, "%s", pumice_error());
    platform_thread_join(t);
    CHECK(seen && strcmp(seen, "clean") == 0 && strstr(pumice_error(), "fix it"), "the text is each thread's own");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)err_set(PUMICE_IO, "%s", text);
    CHECK(strlen(pumice_error()) == 1023, "%zu", strlen(pumice_error()));
    (void)err_wrap(PUMICE_IO, "%s", text);
    CHECK(strlen(pumice_error()) < 1024 && strstr(pumice_error(), ": x"), "%zu", strlen(pumice_error()));
    CHECK(err_memory("a thing", 3 << 20) == PUMICE_MEMORY && strstr(pumice_error(), "3.0 MiB for a thing"), "%s", pumice_error());
    CHECK(strcmp(pumice_status_name(PUMICE_OK), "ok") == 0 && strcmp(pumice_status_name(PUMICE_CANCELLED), "cancelled") == 0 &&
              strcmp(pumice_status_name((enum pumice_status)99), "unknown") == 0, "names");
}

static char logged[64];
static void on_log(void *user, enum pumice_log_level level, const char *line)
{
    snprintf(logged, sizeof logged, "%d %s%s", (int)level, line, (const char *)user);
}

static void test_log(void)
{
    log_line(PUMICE_LOG_WARN, "dropped");
    pumice_log_to(on_log, (void *)(uintptr_t)"!");
    log_line(PUMICE_LOG_WARN, "kept %d", 1);
    pumice_log_to(NULL, NULL);
    log_line(PUMICE_LOG_WARN, "dropped");
    CHECK(strcmp(logged, "1 kept 1!") == 0, "%s", logged);
}

/* --- arithmetic and strings ------------------------------------------------------------------------ */

static void test_arithmetic(void)
{
    uint64_t v = 77;
    CHECK(add_u64(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX, "add");
    v = 77;
    CHECK(!add_u64(UINT64_MAX, 1, &v) && !add_u64(1ull << 63, 1ull << 63, &v) && v == 77, "add wraps");
    CHECK(mul_u64(1ull << 32, (1ull << 32) - 1, &v) && v == ((1ull << 32) - 1) << 32, "mul");
    CHECK(mul_u64(0, UINT64_MAX, &v) && v == 0 && mul_u64(UINT64_MAX, 0, &v) && v == 0 && mul_u64(UINT64_MAX, 1, &v) && v == UINT64_MAX, "mul by 0 and 1");
    v = 77;
    CHECK(!mul_u64(1ull << 32, 1ull << 32, &v) && !mul_u64((1ull << 61) + 1, 8, &v) && !mul_u64(UINT64_MAX, 2, &v) && v == 77, "mul wraps");
    CHECK(align_u64(0, 32, &v) && v == 0 && align_u64(1, 32, &v) && v == 32 && align_u64(32, 32, &v) && v == 32, "align");
    CHECK(align_u64(UINT64_MAX - 31, 32, &v) && v == UINT64_MAX - 31 && !align_u64(UINT64_MAX - 30, 32, &v), "align at the end");
    size_t n = 0;
    CHECK(size_of_u64(123, &n) && n == 123, "size");
    CHECK(hash_bytes("", 0, 0) == 0xcbf29ce484222325u && hash_bytes("a", 1, 0) == 0xaf63dc4c8601ec8cu &&
              hash_bytes("foobar", 6, 0) == 0x85944171f73967e8u, "FNV-1a"); /* its published test values */
    CHECK(str_eq(STR("ab"), str_of("ab")) && !str_eqz(STR("ab"), "abc") && str_startsz(STR("abc"), "ab") && !str_startsz(STR("a"), "ab") &&
              str_eq(str_of(NULL), STR("")), "str");
}

static void test_escape(void)
{
    static const struct {
        const char *in, *out;
        bool printable;
    } rows[] = {{"plain text", "plain text", true},        {"caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x98\x80", true},
                {"\x1b[2J", "\\x1b[2J", false},            {"a\nb\tc\r", "a\\x0ab\\x09c\\x0d", false},
                {"\x7f", "\\x7f", false},                  {"\xc2\x9b", "\\xc2\\x9b", false},
                {"\xff\xc0\x80", "\\xff\\xc0\\x80", false}, {"\xe2\x80\xae", "\\xe2\\x80\\xae", false},
                {"\xed\xa0\x80", "\\xed\\xa0\\x80", false}, {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", false},
                {"\xe4\xbd", "\\xe4\\xbd", false},         {"\xc1\xa1", "\\xc1\\xa1", false},
                {"\xe0\x81\xa1", "\\xe0\\x81\\xa1", false}, {"\xf0\x80\x81\xa1", "\\xf0\\x80\\x81\\xa1", false},         {"", "", true}};
    char out[64];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK(strcmp(str_escape(str_of(rows[i].in), out, sizeof out), rows[i].out) == 0, "row %zu: %s", i, out);
        CHECK(str_printable(str_of(rows[i].in)) == rows[i].printable, "row %zu", i);
    }
    CHECK(strcmp(str_escape(STR("a\0b"), out, sizeof out), "a\\x00b") == 0, "NUL: %s", out);
    for (size_t n = 1; n < 40; n++) { /* cut to fit, never longer, never in the middle of a character */
        char *exact = malloc(n);
        if (!exact) return;
        (void)str_escape(STR("\xe4\xbd\xa0\x1b\xe4\xbd\xa0 and so on"), exact, n);
        CHECK(strlen(exact) < n && str_printable(str_of(exact)), "%zu bytes: %s", n, exact);
        free(exact);
    }
    CHECK(strcmp(str_escape(STR("0123456789"), out, 8), "0123...") == 0, "%s", out);
    CHECK(strcmp(str_escape(STR("0123456789"), out, 11), "0123456789") == 0, "%s", out);
}

/* All 65,536 halves against arithmetic, and rounding at every boundary between two halves. */
static void test_halves(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const int exponent = (int)(h >> 10 & 31), mantissa = (int)(h & 1023);
        const float sign = h & 0x8000 ? -1.0f : 1.0f, f = f32_of_f16((uint16_t)h);
        if (exponent == 31) {
            CHECK(mantissa ? isnan(f) : isinf(f) && f * sign > 0, "%04x is %g", h, (double)f);
            CHECK(mantissa ? isnan(f32_of_f16(f16_of_f32(f))) : f16_of_f32(f) == h, "%04x", h);
            continue;
        }
        const float want = sign * (exponent ? ldexpf(1024.0f + (float)mantissa, exponent - 25) : ldexpf((float)mantissa, -24));
        CHECK(memcmp(&f, &want, sizeof f) == 0, "%04x is %g, want %g", h, (double)f, (double)want);
        CHECK(f16_of_f32(f) == h, "%04x comes back as %04x", h, f16_of_f32(f));
        if (h & 0x8000 || h == 0x7bff) continue;
        const float next = f32_of_f16((uint16_t)(h + 1)), middle = (f + next) / 2;
        CHECK(f16_of_f32(middle) == (h & 1 ? h + 1 : h), "between %04x and the next: ties to even", h);
        CHECK(f16_of_f32(nextafterf(middle, 0)) == h && f16_of_f32(nextafterf(middle, INFINITY)) == h + 1, "beside the middle of %04x", h);
    }
    CHECK(f16_of_f32(65519.99f) == 0x7bff && f16_of_f32(65520) == 0x7c00 && f16_of_f32(-1e38f) == 0xfc00 && f16_of_f32(1e-30f) == 0, "ends");
    CHECK(bf16_of_f32(1.0f) == 0x3f80 && bf16_of_f32(1.00390625f) == 0x3f80 && bf16_of_f32(1.01171875f) == 0x3f82 &&
              bf16_of_f32(3.4e38f) == 0x7f80 && f32_of_bf16(0xc000) == -2, "bf16");
    CHECK(isnan(f32_of_bf16(bf16_of_f32(NAN))) && bf16_of_f32(INFINITY) == 0x7f80, "bf16 NaN");
}

/* --- memory --------------------------------------------------------------------------------------- */

static void test_memory(void)
{
    mem_fail_at(2);
    void *a = mem_alloc(10), *b = mem_alloc(10), *c = mem_calloc(1, 10);
    CHECK(a && !b && !c, "the second and all after it fail");
    CHECK(!mem_realloc(a, 20, 1) && !mem_strdup("x"), "realloc too, and the old block stays");
    mem_fail_at(0);
    const uint64_t before = mem_count();
    char *d = mem_realloc(a, 20, 1), *s = mem_strdup("text");
    CHECK(d && s && strcmp(s, "text") == 0 && mem_count() == before + 2, "off again");
    CHECK(!mem_calloc(SIZE_MAX / 2, 3) && !mem_realloc(NULL, SIZE_MAX / 2, 3), "overflow");
    const char *zeros = mem_calloc(4, 4);
    for (int i = 0; zeros && i < 16; i++) CHECK(zeros[i] == 0, "calloc clears");
    mem_free((void *)(uintptr_t)zeros);
    mem_free(d);
    mem_free(s);
    mem_free(NULL);
}

static void test_arena(void)
{
    struct arena a = {0};
    CHECK(!arena_alloc(&a, SIZE_MAX, 2) && !arena_alloc(&a, SIZE_MAX, 1), "overflow");
    for (int round = 0; round < 3; round++) {
        const uint64_t before = mem_count();
        for (size_t n = 1; n < 300; n++) {
            uint8_t *p = arena_alloc(&a, n, 37);
            REQUIRE(p && (uintptr_t)p % 16 == 0, "alignment");
            for (size_t i = 0; i < n * 37; i++) CHECK(p[i] == 0, "cleared");
            memset(p, 0xee, n * 37);
        }
        uint8_t *large = arena_alloc(&a, 1, 1 << 20);
        CHECK(large && large[0] == 0 && large[(1 << 20) - 1] == 0, "large");
        CHECK(round == 0 || mem_count() == before, "reset keeps the chunks");
        arena_reset(&a);
        CHECK(a.used_bytes == 0, "reset");
    }
    const char *s = arena_strndup(&a, "abcdef", 3), *t = arena_printf(&a, "%s-%d", s, 5);
    CHECK(s && strcmp(s, "abc") == 0 && t && strcmp(t, "abc-5") == 0, "strings");
    mem_fail_at(1);
    CHECK(!arena_alloc(&a, 4, 1 << 20), "no memory");
    mem_fail_at(0);
    CHECK(arena_alloc(&a, 4, 1 << 20), "and memory again");
    arena_fini(&a);
    arena_fini(&a);
    CHECK(!a.first && !a.used_bytes, "fini");
}

/* --- platform --------------------------------------------------------------------------------------- */

static char directory[] = "test_base.XXXXXX";
static const char *path_in(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void test_files(void)
{
    struct mapping m;
    char *data = NULL;
    size_t n = 0;
    struct stat s;
    CHECK(platform_map(path_in("missing"), &m) == PUMICE_IO && strstr(pumice_error(), "cannot open") && strstr(pumice_error(), "missing: No such file") && !m.data, "%s", pumice_error());
    CHECK(platform_map(directory, &m) == PUMICE_FORMAT && strstr(pumice_error(), "is a directory"), "%s", pumice_error());
    CHECK(platform_write_atomic(path_in("empty"), "", 0) == PUMICE_OK && platform_map(path_in("empty"), &m) == PUMICE_FORMAT &&
              strstr(pumice_error(), "is empty"), "%s", pumice_error());
    CHECK(mkfifo(path_in("pipe"), 0600) == 0 && platform_map(path_in("pipe"), &m) == PUMICE_FORMAT, "a pipe is refused without waiting");
    CHECK(platform_write_atomic(path_in("file"), "first", 5) == PUMICE_OK, "%s", pumice_error());
    CHECK(platform_write_atomic(path_in("file"), "second!", 7) == PUMICE_OK && platform_exists(path_in("file")), "%s", pumice_error());
    CHECK(stat(path_in("file"), &s) == 0 && (s.st_mode & 0777) == 0600, "mode %o", (unsigned)s.st_mode & 0777);
    CHECK(platform_map(path_in("file"), &m) == PUMICE_OK && m.bytes == 7 && memcmp(m.data, "second!", 7) == 0, "%s", pumice_error());
    platform_map_want(&m, 0, m.bytes);
    platform_map_drop(&m, 3, 2);
    CHECK(m.data && m.data[6] == '!', "still there after the hints");
    platform_unmap(&m);
    platform_unmap(&m);
    platform_unmap(NULL);
    CHECK(platform_read(path_in("file"), 7, &data, &n) == PUMICE_OK && n == 7 && strcmp(data, "second!") == 0, "%s", pumice_error());
    mem_free(data);
    CHECK(platform_read(path_in("file"), 6, &data, &n) == PUMICE_FORMAT && !data, "%s", pumice_error());
    CHECK(platform_read(path_in("missing"), 6, &data, &n) == PUMICE_IO && !data, "%s", pumice_error());
    CHECK(platform_write_atomic(path_in("no/such/file"), "x", 1) == PUMICE_IO, "%s", pumice_error());
    CHECK(!platform_exists(path_in("no")), "exists");
}

/* Whatever fails on the way, the old file stays and no part is left. */
static void test_writer(void)
{
    struct platform_writer *w = NULL;
    struct mapping m;
    struct stat s;
    const mode_t mask = umask(0);
    umask(mask);
    CHECK(platform_writer_create(path_in("big"), &w) == PUMICE_OK && platform_writer_put(w, "ab", 2) == PUMICE_OK &&
              platform_writer_put(w, "", 0) == PUMICE_OK && platform_writer_put(w, "c", 1) == PUMICE_OK, "%s", pumice_error());
    CHECK(!platform_exists(path_in("big")), "nothing before commit");
    CHECK(w && platform_writer_commit(w) == PUMICE_OK && platform_map(path_in("big"), &m) == PUMICE_OK && m.bytes == 3 &&
              memcmp(m.data, "abc", 3) == 0, "%s", pumice_error());
    platform_unmap(&m);
    CHECK(stat(path_in("big"), &s) == 0 && (s.st_mode & 0777) == (0666 & ~mask), "mode %o", (unsigned)s.st_mode & 0777);
    CHECK(platform_writer_create(path_in("big"), &w) == PUMICE_OK && platform_writer_put(w, "new", 3) == PUMICE_OK, "%s", pumice_error());
    platform_writer_abort(w);
    platform_writer_abort(NULL);
    CHECK(platform_map(path_in("big"), &m) == PUMICE_OK && m.bytes == 3 && m.data[0] == 'a', "abort keeps the old file");
    platform_unmap(&m);
    CHECK(platform_write_atomic("/dev/full/x", "y", 1) == PUMICE_IO, "%s", pumice_error());
    CHECK(mkdir(path_in("taken"), 0700) == 0 && platform_write_atomic(path_in("taken"), "x", 1) == PUMICE_IO, "a directory in the way");
    for (uint64_t k = 1; k < 5; k++) {
        mem_fail_at(k);
        const enum pumice_status st = platform_write_atomic(path_in("big"), "abc", 3);
        mem_fail_at(0);
        CHECK(st == PUMICE_OK || st == PUMICE_MEMORY, "allocation %d: %s", (int)k, pumice_status_name(st));
    }
}

static void test_directories(void)
{
    char out[256], want[256], cwd[128];
    struct stat s;
    REQUIRE(getcwd(cwd, sizeof cwd), "cwd");
    snprintf(want, sizeof want, "%s/%s/xdg/deep", cwd, directory);
    setenv("XDG_CACHE_HOME", want, 1);
    CHECK(platform_dir(PLATFORM_CACHE, out, sizeof out) == PUMICE_OK && strncmp(out, want, strlen(want)) == 0 &&
              strcmp(out + strlen(want), "/pumice") == 0 && stat(out, &s) == 0 && (s.st_mode & 0777) == 0700, "%s", out);
    unsetenv("XDG_DATA_HOME");
    snprintf(want, sizeof want, "%s/%s/home", cwd, directory);
    setenv("HOME", want, 1);
    CHECK(platform_dir(PLATFORM_DATA, out, sizeof out) == PUMICE_OK && strcmp(out + strlen(want), "/.local/share/pumice") == 0, "%s", out);
    setenv("XDG_CONFIG_HOME", "relative/is/ignored", 1);
    CHECK(platform_dir(PLATFORM_CONFIG, out, sizeof out) == PUMICE_OK && strcmp(out + strlen(want), "/.config/pumice") == 0, "%s", out);
    CHECK(platform_dir(PLATFORM_DATA, out, 8) != PUMICE_OK, "too small a buffer");
    setenv("XDG_CACHE_HOME", path_in("file"), 1);
    snprintf(want, sizeof want, "%s/%s/file", cwd, directory);
    setenv("XDG_CACHE_HOME", want, 1);
    CHECK(platform_dir(PLATFORM_CACHE, out, sizeof out) == PUMICE_IO, "a file in the way");
}

struct shared {
    struct platform_mutex *mutex;
    struct platform_cond *cond;
    int n, turns;
};

static void add_many(void *user)
{
    struct shared *s = user;
    for (int i = 0; i < 1000; i++) {
        platform_mutex_lock(s->mutex);
        s->n++;
        platform_mutex_unlock(s->mutex);
    }
    platform_mutex_lock(s->mutex);
    s->turns++;
    platform_cond_broadcast(s->cond);
    platform_mutex_unlock(s->mutex);
}

static void test_threads(void)
{
    struct shared s = {0};
    struct platform_thread *threads[8] = {0};
    REQUIRE(platform_mutex_create(&s.mutex) == PUMICE_OK && platform_cond_create(&s.cond) == PUMICE_OK, "%s", pumice_error());
    for (int i = 0; i < 8; i++) CHECK(platform_thread_create(add_many, &s, &threads[i]) == PUMICE_OK, "%s", pumice_error());
    platform_mutex_lock(s.mutex);
    while (s.turns < 8) platform_cond_wait(s.cond, s.mutex);
    platform_mutex_unlock(s.mutex);
    for (int i = 0; i < 8; i++) platform_thread_join(threads[i]);
    CHECK(s.n == 8000, "%d", s.n);
    platform_cond_destroy(s.cond);
    platform_mutex_destroy(s.mutex);
    platform_cond_destroy(NULL);
    platform_mutex_destroy(NULL);
    platform_thread_join(NULL);
    mem_fail_at(1);
    CHECK(platform_thread_create(add_many, &s, &threads[0]) == PUMICE_MEMORY && !threads[0], "no memory");
    mem_fail_at(0);
    const uint64_t t = platform_now_ns();
    CHECK(platform_now_ns() >= t && platform_cpu_count() >= 1 && platform_memory_bytes() > 1 << 20, "clock, processors, memory");
}

static void test_libraries(void)
{
    char why[128] = "";
    CHECK(!platform_library_open("libno-such-library.so.9", why, sizeof why) && why[0], "why: %s", why);
    CHECK(!platform_library_open("libno-such-library.so.9", NULL, 0), "without why");
    void *library = platform_library_open("libm.so.6", why, sizeof why);
    if (library) CHECK(platform_library_symbol(library, "cos") && !platform_library_symbol(library, "no_such_symbol"), "symbols");
    platform_library_close(library);
    platform_library_close(NULL);
}

static void remove_all(void)
{
    char line[64];
    snprintf(line, sizeof line, "rm -r %s", directory);
    CHECK(system(line) == 0, "clean up");
}

int main(void)
{
    if (!mkdtemp(directory)) return 1;
    test_append();
    test_errors();
    test_log();
    test_arithmetic();
    test_escape();
    test_halves();
    test_memory();
    test_arena();
    test_files();
    test_writer();
    test_directories();
    test_threads();
    test_libraries();
    CHECK(access(path_in("big"), F_OK) == 0, "the file is there");
    char line[96];
    snprintf(line, sizeof line, "ls %s | grep -q part", directory);
    CHECK(system(line) != 0, "a part of a file was left behind");
    remove_all();
    return check_summary("test_base");
}
