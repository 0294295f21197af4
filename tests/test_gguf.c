/* test_gguf: a corpus of hostile files made in memory. Every file must either be refused, with one printable line that
 * names offset and field, quickly and without taking memory, or be well-formed: then everything in it is walked.
 *     test_gguf [PUMICE_GGUF]    the program is tried on a few files on disk */
#include "check.h"
#include "gguf.h"
#include "platform.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { LIMIT_MS = SANITIZED ? 1000 : 250, /* 62 ms when nothing else runs */ LIMIT_RSS_MIB = 64, LEAST_MALFORMED = 2000 };

/* --- building files ----------------------------------------------------------------------------- */

enum { MAX_BYTES = 16384, MAX_FIELDS = 512 };

struct field {
    size_t at;
    uint32_t bytes;
    const char *name;
};

struct file {
    uint8_t data[MAX_BYTES];
    size_t n;
    struct field fields[MAX_FIELDS];
    size_t n_fields;
};

static void put_le(uint8_t *at, uint64_t v, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) at[i] = (uint8_t)(v >> 8 * i);
}

static void put(struct file *f, const char *name, uint64_t v, uint32_t bytes)
{
    if (f->n_fields < MAX_FIELDS) f->fields[f->n_fields++] = (struct field){f->n, bytes, name};
    if (f->n + bytes <= MAX_BYTES) put_le(f->data + f->n, v, bytes), f->n += bytes;
}

static void put_bytes(struct file *f, const char *data, size_t n)
{
    if (f->n + n <= MAX_BYTES) memcpy(f->data + f->n, data, n), f->n += n;
}

static void put_string(struct file *f, const char *name, const char *s)
{
    put(f, name, strlen(s), 8);
    put_bytes(f, s, strlen(s));
}

static void put_key(struct file *f, const char *key, uint32_t type)
{
    put_string(f, "key length", key);
    put(f, "value type", type, 4);
}

static void put_array(struct file *f, const char *key, uint32_t element, uint64_t n)
{
    put_key(f, key, GGUF_ARRAY);
    put(f, "array type", element, 4);
    put(f, "array length", n, 8);
}

static void put_header(struct file *f, uint32_t version, uint64_t n_tensors, uint64_t n_values)
{
    f->n = f->n_fields = 0;
    put(f, "magic", 0x46554747, 4);
    put(f, "version", version, 4);
    put(f, "tensor count", n_tensors, 8);
    put(f, "metadata count", n_values, 8);
}

static void put_tensor(struct file *f, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset)
{
    put_string(f, "name length", name);
    put(f, "n_dims", n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++) put(f, "dim", dims[i], 8);
    put(f, "type", type, 4);
    put(f, "offset", offset, 8);
}

static void put_data(struct file *f, size_t alignment, size_t bytes)
{
    while (f->n % alignment && f->n < MAX_BYTES) f->data[f->n++] = 0;
    for (size_t i = 0; i < bytes && f->n < MAX_BYTES; i++) f->data[f->n++] = (uint8_t)(i * 7);
}

static const uint64_t dims_4x3[] = {4, 3}, dims_256[] = {256}, dims_32x2[] = {32, 2}, dims_1[] = {1, 1, 1, 1};

/* Every value type, arrays, nested arrays, tensors of several types; about 1,300 bytes of header, all checked. */
static void build_valid(struct file *f, uint32_t version)
{
    static const struct {
        const char *key;
        uint32_t type, bytes;
        uint64_t v;
    } scalars[] = {{"a.u8", GGUF_U8, 1, 200},     {"a.i8", GGUF_I8, 1, 0xfe},
                   {"a.u16", GGUF_U16, 2, 60000}, {"a.i16", GGUF_I16, 2, 0x8000},
                   {"a.u32", GGUF_U32, 4, 4000000000u}, {"a.i32", GGUF_I32, 4, 0xffffffff},
                   {"a.f32", GGUF_F32, 4, 0x3fc00000}, {"a.bool", GGUF_BOOL, 1, 1},
                   {"a.u64", GGUF_U64, 8, UINT64_MAX}, {"a.i64", GGUF_I64, 8, 0x8000000000000000u},
                   {"a.f64", GGUF_F64, 8, 0x4004000000000000u}};
    put_header(f, version, 5, COUNT_OF(scalars) + 10);
    put_key(f, "general.alignment", GGUF_U32);
    put(f, "alignment", 32, 4);
    put_key(f, "general.architecture", GGUF_STRING);
    put_string(f, "string length", "qwen3");
    for (size_t i = 0; i < COUNT_OF(scalars); i++) {
        put_key(f, scalars[i].key, scalars[i].type);
        put(f, "scalar", scalars[i].v, scalars[i].bytes);
    }
    put_key(f, "a.empty", GGUF_STRING);
    put_string(f, "string length", "");
    put_array(f, "b.strings", GGUF_STRING, 3);
    put_string(f, "element length", "one");
    put_string(f, "element length", "");
    put_string(f, "element length", "three\n\x1b[2J");
    put_array(f, "b.i32", GGUF_I32, 3);
    for (uint32_t i = 0; i < 3; i++) put(f, "element", i - 1u, 4);
    put_array(f, "b.f32", GGUF_F32, 2);
    for (uint32_t i = 0; i < 2; i++) put(f, "element", 0x3f800000, 4);
    put_array(f, "b.bool", GGUF_BOOL, 2);
    for (uint32_t i = 0; i < 2; i++) put(f, "element", i, 1);
    put_array(f, "b.u64", GGUF_U64, 1);
    put(f, "element", UINT64_MAX, 8);
    put_array(f, "b.none", GGUF_U8, 0);
    put_array(f, "b.nested", GGUF_ARRAY, 2);
    put(f, "array type", GGUF_U8, 4);
    put(f, "array length", 3, 8);
    put_bytes(f, "abc", 3);
    put(f, "array type", GGUF_ARRAY, 4);
    put(f, "array length", 1, 8);
    put(f, "array type", GGUF_STRING, 4);
    put(f, "array length", 1, 8);
    put_string(f, "element length", "deep");
    put_tensor(f, "token_embd.weight", 2, dims_4x3, GGUF_T_F32, 0);        /* 48 bytes */
    put_tensor(f, "blk.0.attn_q.weight", 1, dims_256, GGUF_T_Q4_K, 64);    /* 144 */
    put_tensor(f, "blk.0.attn_k.weight", 2, dims_32x2, GGUF_T_Q8_0, 224);  /* 68 */
    put_tensor(f, "d4", 4, dims_1, GGUF_T_F16, 320);                       /* 2 */
    put_tensor(f, "output_norm.weight", 1, dims_32x2, GGUF_T_F32, 352);    /* 128 */
    put_data(f, 32, 352 + 128);
}

/* --- the verdict -------------------------------------------------------------------------------- */

static unsigned long n_files, n_refused;
static double slowest_ms;
static char slowest_text[256];

static bool one_printable_line(const char *s) { return s[0] && str_printable(str_of(s)) && strlen(s) < 1000; }

static uint64_t walked;

/* Touches every byte that a well-formed file promises. */
static void walk(const struct gguf *g)
{
    for (size_t i = 0; i < g->n_values; i++) {
        const struct gguf_value *v = &g->values[i];
        struct gguf_reader r = {v->data, v->data + v->data_bytes, v->element, v->n};
        struct str s;
        double d;
        walked += hash_bytes(v->key.data, v->key.n, 0) + hash_bytes(v->data, v->data_bytes, 0);
        if (v->type != GGUF_ARRAY) continue;
        while (gguf_next_string(&r, &s)) walked += hash_bytes(s.data, s.n, 0);
        while (gguf_next_f64(&r, &d)) walked += d > 0;
        CHECK(r.left == 0 || v->element == GGUF_ARRAY, "%llu elements left", (unsigned long long)r.left);
    }
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        CHECK(t->offset >= g->data_offset && t->offset + t->bytes <= g->file_bytes && t->offset % g->alignment == g->data_offset % g->alignment,
              "tensor %zu lies outside", i);
        walked += hash_bytes(t->data, t->bytes, 0);
        for (size_t j = 0; j < i && g->n_tensors < 100; j++) {
            const struct gguf_tensor *o = &g->tensors[j];
            CHECK(o->offset + o->bytes <= t->offset || t->offset + t->bytes <= o->offset, "tensors %zu and %zu overlap", i, j);
        }
    }
}

/* Opens a copy that ends where the file ends, so that the sanitizer sees a read beyond it. */
static enum pumice_status judge(const uint8_t *data, size_t n, const char *what)
{
    struct gguf g;
    enum pumice_status st = PUMICE_OK;
    double ms = LIMIT_MS;
    for (int turn = 0; turn < 3 && ms >= LIMIT_MS; turn++) { /* a processor that others share may be slow for a moment */
        if (turn && st == PUMICE_OK) gguf_close(&g);
        const clock_t start = clock(); /* processor time: other programs do not count */
        st = gguf_open(data, n, &g);
        ms = (double)(clock() - start) * 1e3 / CLOCKS_PER_SEC;
    }
    n_files++;
    if (ms > slowest_ms) {
        slowest_ms = ms;
        snprintf(slowest_text, sizeof slowest_text, "%s", what);
    }
    CHECK(ms < LIMIT_MS, "%s: %.1f ms", what, ms);
    if (st == PUMICE_OK) {
        walk(&g);
        gguf_close(&g);
        return st;
    }
    n_refused++;
    CHECK(st == PUMICE_FORMAT || st == PUMICE_UNSUPPORTED, "%s: status %s", what, pumice_status_name(st));
    CHECK(one_printable_line(pumice_error()), "%s: message \"%s\"", what, pumice_error());
    CHECK(strncmp(pumice_error(), "offset ", 7) == 0, "%s: no offset in \"%s\"", what, pumice_error());
    CHECK(strstr(pumice_error(), "again") || strstr(pumice_error(), "; "), "%s: no remedy in \"%s\"", what, pumice_error());
    CHECK(g.values == NULL && g.tensors == NULL && g.arena.first == NULL, "%s: not closed after the failure", what);
    return st;
}

static enum pumice_status judge_copy(const uint8_t *data, size_t n, const char *what)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) return PUMICE_MEMORY;
    memcpy(copy, data, n);
    const enum pumice_status st = judge(copy, n, what);
    free(copy);
    return st;
}

static void expect(const struct file *f, enum pumice_status status, const char *text, const char *what)
{
    const enum pumice_status st = judge_copy(f->data, f->n, what);
    CHECK(st == status, "%s: status %s, want %s (%s)", what, pumice_status_name(st), pumice_status_name(status),
          st == PUMICE_OK ? "accepted" : pumice_error());
    if (st != PUMICE_OK) CHECK(strstr(pumice_error(), text), "%s: \"%s\" lacks \"%s\"", what, pumice_error(), text);
}

/* --- well-formed files -------------------------------------------------------------------------- */

static void check_scalars(const struct gguf *g)
{
    uint64_t u = 0;
    double d = 0;
    bool b = false;
    struct str s = {0};
    CHECK(gguf_u64(g, "a.u8", &u) && u == 200, "u8 %llu", (unsigned long long)u);
    CHECK(!gguf_u64(g, "a.i8", &u), "a negative number is no u64");
    CHECK(gguf_f64(g, "a.i8", &d) && d == -2, "i8 %g", d);
    CHECK(gguf_u64(g, "a.u16", &u) && u == 60000, "u16 %llu", (unsigned long long)u);
    CHECK(gguf_f64(g, "a.i16", &d) && d == -32768, "i16 %g", d);
    CHECK(gguf_u64(g, "a.u32", &u) && u == 4000000000u, "u32 %llu", (unsigned long long)u);
    CHECK(gguf_f64(g, "a.i32", &d) && d == -1, "i32 %g", d);
    CHECK(gguf_f64(g, "a.f32", &d) && d == 1.5, "f32 %g", d);
    CHECK(gguf_f64(g, "a.f64", &d) && d == 2.5, "f64 %g", d);
    CHECK(gguf_u64(g, "a.u64", &u) && u == UINT64_MAX, "u64 %llu", (unsigned long long)u);
    CHECK(gguf_f64(g, "a.i64", &d) && d == -0x1p63, "i64 %g", d);
    CHECK(gguf_bool(g, "a.bool", &b) && b, "bool");
    CHECK(!gguf_bool(g, "a.u8", &b) && !gguf_u64(g, "a.f32", &u) && !gguf_u64(g, "a.empty", &u), "kinds");
    CHECK(gguf_string(g, "general.architecture", &s) && str_eqz(s, "qwen3"), "string");
    CHECK(gguf_string(g, "a.empty", &s) && s.n == 0, "empty string");
    CHECK(!gguf_find(g, "a.") && !gguf_find(g, "") && !gguf_find(g, "zzz"), "missing keys");
}

static void test_valid(void)
{
    static struct file f;
    struct gguf g;
    struct gguf_reader r;
    struct str s = {0};
    int64_t i = 0;
    for (uint32_t version = 2; version <= 3; version++) {
        build_valid(&f, version);
        REQUIRE(f.n < MAX_BYTES && gguf_open(f.data, f.n, &g) == PUMICE_OK, "version %u: %s", version, pumice_error());
        CHECK(g.version == version && g.alignment == 32 && g.n_tensors == 5 && g.file_bytes == f.n, "header");
        check_scalars(&g);
        CHECK(gguf_array(&g, "b.strings", &r) && r.left == 3 && gguf_next_string(&r, &s) && str_eqz(s, "one") &&
                  gguf_next_string(&r, &s) && s.n == 0 && gguf_next_string(&r, &s) && !gguf_next_string(&r, &s), "strings");
        CHECK(gguf_array(&g, "b.i32", &r) && gguf_next_i64(&r, &i) && i == -1 && gguf_next_i64(&r, &i) && i == 0 &&
                  gguf_next_i64(&r, &i) && i == 1 && !gguf_next_i64(&r, &i), "i32s");
        CHECK(gguf_array(&g, "b.u64", &r) && !gguf_next_i64(&r, &i), "2^64-1 is no i64");
        CHECK(!gguf_array(&g, "a.u8", &r), "a scalar is no array");
        const struct gguf_tensor *t = gguf_find_tensor(&g, "token_embd.weight");
        CHECK(t && t->n_dims == 2 && t->dims[0] == 4 && t->dims[1] == 3 && t->dims[2] == 1 && t->n_elements == 12 &&
                  t->bytes == 48 && t->data == f.data + g.data_offset, "tensor");
        for (size_t k = 0; k < g.n_tensors; k++) {
            char name[GGUF_MAX_NAME + 1];
            snprintf(name, sizeof name, "%.*s", (int)g.tensors[k].name.n, g.tensors[k].name.data);
            CHECK(gguf_find_tensor(&g, name) == &g.tensors[k], "find %s", name);
        }
        CHECK(!gguf_find_tensor(&g, "blk.0"), "missing tensor");
        walk(&g);
        gguf_close(&g);
        gguf_close(&g); /* twice is fine */
    }
    put_header(&f, 3, 0, 0);
    expect(&f, PUMICE_OK, "", "an empty file");
    put_header(&f, 3, 0, 1);
    put_key(&f, "general.architecture", GGUF_STRING);
    put_string(&f, "string length", "vocabulary only");
    expect(&f, PUMICE_OK, "", "no tensors");
}

/* --- truncation and fields ---------------------------------------------------------------------- */

static void test_truncation(void)
{
    static struct file f;
    build_valid(&f, 3);
    for (size_t n = 0; n < f.n; n++) {
        char what[64];
        snprintf(what, sizeof what, "the first %zu of %zu bytes", n, f.n);
        const enum pumice_status st = judge_copy(f.data, n, what);
        CHECK(st == PUMICE_FORMAT, "%s: %s", what, pumice_status_name(st));
        if (n > 0) CHECK(strstr(pumice_error(), "short: the download was cut off"), "%s: %s", what, pumice_error());
    }
    /* in the data the shortage is known to the byte */
    (void)judge_copy(f.data, f.n - 1, "one byte short");
    CHECK(strstr(pumice_error(), "output_norm.weight: data: the file is 1 byte short"), "%s", pumice_error());
    build_valid(&f, 3);
}

static void test_fields(void)
{
    static struct file f, changed;
    static const uint64_t values[] = {0, 1, 2, 3, 5, 7, 8, 9, 12, 13, 31, 33, 40, 63, 64, 127, 128, 255, 256, 65535, 65536,
                                      INT32_MAX, 1ull << 31, UINT32_MAX, 1ull << 32, (1ull << 32) + 1, 1ull << 40, 1ull << 60,
                                      (1ull << 61) + 1, INT64_MAX - 31, INT64_MAX, 1ull << 63, (1ull << 63) + 1, UINT64_MAX - 31,
                                      UINT64_MAX - 7, UINT64_MAX - 1, UINT64_MAX};
    build_valid(&f, 3);
    for (size_t i = 0; i < f.n_fields; i++) {
        const struct field *field = &f.fields[i];
        uint64_t was = 0;
        for (uint32_t b = 0; b < field->bytes; b++) was |= (uint64_t)f.data[field->at + b] << 8 * b;
        const uint64_t nearby[] = {was + 1, was - 1, was * 2, ~was};
        for (size_t k = 0; k < COUNT_OF(values) + COUNT_OF(nearby); k++) {
            const uint64_t v = k < COUNT_OF(values) ? values[k] : nearby[k - COUNT_OF(values)];
            char what[128];
            memcpy(changed.data, f.data, f.n);
            put_le(changed.data + field->at, v, field->bytes);
            snprintf(what, sizeof what, "%s at %zu = %llu", field->name, field->at, (unsigned long long)v);
            const enum pumice_status st = judge_copy(changed.data, f.n, what);
            /* a length beyond the file can never be right */
            const bool is_length = strstr(field->name, "length") || strstr(field->name, "count");
            if (is_length && field->bytes == 8 && v > f.n) CHECK(st != PUMICE_OK, "%s was accepted", what);
        }
    }
}

static uint64_t random_state = 7;
static uint64_t next_random(void)
{
    return mix_u64(random_state += 0x9e3779b97f4a7c15u);
}

static void test_random_damage(void)
{
    static struct file f, changed;
    build_valid(&f, 3);
    for (int round = 0; round < 20000; round++) {
        memcpy(changed.data, f.data, f.n);
        const int n = 1 + (int)(next_random() % 4);
        for (int i = 0; i < n; i++) {
            const uint64_t r = next_random();
            changed.data[4 + r % (f.n - 4)] = (uint8_t)(r >> 32 & 1 ? r >> 40 : changed.data[4 + r % (f.n - 4)] ^ 1u << (r >> 40 & 7));
        }
        char what[64];
        snprintf(what, sizeof what, "random damage %d", round);
        (void)judge_copy(changed.data, f.n, what);
    }
}

/* --- each refusal by name ----------------------------------------------------------------------- */

static void test_header(void)
{
    static struct file f;
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", html[] = "<!DOCTYPE html><html>";
    f.n = 0;
    put_bytes(&f, lfs, sizeof lfs - 1);
    expect(&f, PUMICE_FORMAT, "Git LFS pointer", "LFS pointer");
    f.n = 0;
    put_bytes(&f, html, sizeof html - 1);
    expect(&f, PUMICE_FORMAT, "web page", "HTML");
    f.n = 0;
    put_bytes(&f, "PK\x03\x04 and so on", 14);
    expect(&f, PUMICE_FORMAT, "magic is \"PK\\x03\\x04\"", "a zip file");
    f.n = 0;
    put_bytes(&f, "FUGG\0\0\0\3", 8);
    expect(&f, PUMICE_UNSUPPORTED, "big-endian", "swapped magic");
    put_header(&f, 0x03000000, 0, 0);
    expect(&f, PUMICE_UNSUPPORTED, "big-endian", "big-endian");
    put_header(&f, 1, 0, 0);
    expect(&f, PUMICE_UNSUPPORTED, "version 1", "version 1");
    put_header(&f, 4, 0, 0);
    expect(&f, PUMICE_UNSUPPORTED, "version 4", "version 4");
    put_header(&f, 0, 0, 0);
    expect(&f, PUMICE_FORMAT, "version 0", "version 0");
    put_header(&f, 3, UINT64_MAX, 0);
    expect(&f, PUMICE_FORMAT, "tensor count", "2^64-1 tensors");
    put_header(&f, 3, 0, UINT64_MAX);
    expect(&f, PUMICE_FORMAT, "metadata count", "2^64-1 values");
    put_header(&f, 3, UINT64_MAX / 37 + 2, 0); /* wraps to a small product */
    expect(&f, PUMICE_FORMAT, "tensor count", "a count that wraps");
}

static void one_value(struct file *f, uint32_t type)
{
    put_header(f, 3, 0, 1);
    put_key(f, "some.key", type);
}

static void test_metadata(void)
{
    static struct file f;
    one_value(&f, GGUF_N_VALUE_TYPES);
    put(&f, "v", 0, 8);
    expect(&f, PUMICE_FORMAT, "metadata some.key: value type 13 is unknown", "value type 13");
    one_value(&f, GGUF_BOOL);
    put(&f, "v", 2, 1);
    expect(&f, PUMICE_FORMAT, "bool is 2", "bool 2");
    one_value(&f, GGUF_ARRAY);
    put(&f, "t", GGUF_BOOL, 4);
    put(&f, "n", 2, 8);
    put(&f, "v", 0x0301, 2);
    expect(&f, PUMICE_FORMAT, "offset 57: metadata some.key: bool is 3", "an array's bool 3");
    static const uint64_t lengths[] = {1ull << 32, 1ull << 60, (1ull << 61) + 1, 1ull << 62, 1ull << 63, UINT64_MAX};
    for (uint32_t type = 0; type < GGUF_N_VALUE_TYPES; type++)
        for (size_t i = 0; i < COUNT_OF(lengths); i++) {
            one_value(&f, GGUF_ARRAY);
            put(&f, "t", type, 4);
            put(&f, "n", lengths[i], 8);
            put_data(&f, 1, 64);
            expect(&f, PUMICE_FORMAT, "some.key: array length", "array length");
        }
    one_value(&f, GGUF_ARRAY);
    for (int depth = 1; depth < GGUF_MAX_ARRAY_DEPTH; depth++) put(&f, "t", GGUF_ARRAY, 4), put(&f, "n", 1, 8);
    put(&f, "t", GGUF_U8, 4), put(&f, "n", 1, 8), put(&f, "v", 9, 1);
    expect(&f, PUMICE_OK, "", "arrays as deep as allowed");
    one_value(&f, GGUF_ARRAY);
    for (int depth = 1; depth < 300; depth++) put(&f, "t", GGUF_ARRAY, 4), put(&f, "n", 1, 8);
    expect(&f, PUMICE_UNSUPPORTED, "nested more than 4 deep", "arrays 300 deep");
    put_header(&f, 3, 0, 2);
    for (int i = 0; i < 2; i++) put_key(&f, "twice", GGUF_U8), put(&f, "v", 0, 1);
    expect(&f, PUMICE_FORMAT, "key twice occurs twice", "duplicate key");
    static const char *const bad_keys[] = {"", "a\x1b[31mred", "line\nfeed", "\xff\xfe", "bidi\xe2\x80\xae", "\xc0\x80", "\xc2\x9b"};
    for (size_t i = 0; i < COUNT_OF(bad_keys); i++) {
        put_header(&f, 3, 0, 1);
        put_key(&f, bad_keys[i], GGUF_U32);
        put(&f, "v", 0, 4);
        expect(&f, PUMICE_FORMAT, "metadata entry 0: key", "a bad key");
    }
}

static void test_alignment(void)
{
    static struct file f;
    static const struct {
        uint32_t type, bytes;
        uint64_t v;
        bool good;
    } rows[] = {{GGUF_U32, 4, 8, true},      {GGUF_U32, 4, 65536, true}, {GGUF_U64, 8, 64, true},   {GGUF_U32, 4, 0, false},
                {GGUF_U32, 4, 1, false},     {GGUF_U32, 4, 4, false},    {GGUF_U32, 4, 24, false},  {GGUF_U32, 4, 33, false},
                {GGUF_U32, 4, 131072, false}, {GGUF_U32, 4, 0x80000000, false}, {GGUF_U32, 4, UINT32_MAX, false},
                {GGUF_U64, 8, 1ull << 63, false}, {GGUF_I32, 4, 0xffffffe0, false}, {GGUF_F32, 4, 0x42000000, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put_header(&f, 3, 0, 1);
        put_key(&f, "general.alignment", rows[i].type);
        put(&f, "v", rows[i].v, rows[i].bytes);
        expect(&f, rows[i].good ? PUMICE_OK : PUMICE_FORMAT, "metadata general.alignment", "alignment");
    }
}

/* One tensor "t" and `bytes` of data. */
static void one_tensor(struct file *f, uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset, size_t bytes)
{
    put_header(f, 3, 1, 0);
    put_tensor(f, "t", n_dims, dims, type, offset);
    put_data(f, 32, bytes);
}

static void test_tensors(void)
{
    static struct file f;
    const uint64_t zero[] = {4, 0}, huge[] = {1ull << 32, 1ull << 32}, wrap[] = {1ull << 62, 4, 1ull << 20, 16}, five[] = {1, 1, 1, 1, 1};
    const uint64_t wrap_bytes[] = {1ull << 62}, k33[] = {33}, k255[] = {255}, negative[] = {UINT64_MAX}, wrap_to_4[] = {(1ull << 63) + 2, 2};
    one_tensor(&f, 2, zero, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "dimension 1 is 0", "a dimension of 0");
    one_tensor(&f, 0, zero, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "0 dimensions", "no dimensions");
    one_tensor(&f, 5, five, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "5 dimensions", "five dimensions");
    one_tensor(&f, 2, huge, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "too many elements", "2^64 elements");
    one_tensor(&f, 4, wrap, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "too many elements", "elements that wrap to 0");
    one_tensor(&f, 2, wrap_to_4, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "too many elements", "elements that wrap to 4");
    one_tensor(&f, 1, negative, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "too many elements", "-1 elements");
    one_tensor(&f, 1, wrap_bytes, GGUF_T_F32, 0, 64);
    expect(&f, PUMICE_FORMAT, "too many", "bytes that wrap to 0");
    one_tensor(&f, 1, k33, GGUF_T_Q8_0, 0, 64);
    expect(&f, PUMICE_FORMAT, "Q8_0's block of 32", "33 weights of Q8_0");
    one_tensor(&f, 1, k255, GGUF_T_Q4_K, 0, 200);
    expect(&f, PUMICE_FORMAT, "Q4_K's block of 256", "255 weights of Q4_K");
    static const uint32_t unknown[] = {4, 5, 31, 32, 33, 36, 37, 38, 40, 41, 255, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        one_tensor(&f, 1, dims_256, unknown[i], 0, 1024);
        expect(&f, PUMICE_UNSUPPORTED, "tensor t: type ", "an unknown type");
    }
    one_tensor(&f, 1, dims_1, GGUF_T_F32, 4, 64);
    expect(&f, PUMICE_FORMAT, "no multiple of the alignment", "a misaligned tensor");
    one_tensor(&f, 1, dims_256, GGUF_T_F32, 0, 1023);
    expect(&f, PUMICE_FORMAT, "the file is 1 byte short", "one byte short");
    one_tensor(&f, 1, dims_256, GGUF_T_F32, 1024, 1024 - 234);
    expect(&f, PUMICE_FORMAT, "the file is 1,258 bytes short: the download was cut off, download it again", "1,258 bytes short");
    static const uint64_t offsets[] = {1ull << 32, 1ull << 62, INT64_MAX - 31, 1ull << 63, UINT64_MAX - 31, UINT64_MAX - 63, UINT64_MAX - 1055};
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        one_tensor(&f, 1, dims_256, GGUF_T_F32, offsets[i], 1024);
        expect(&f, PUMICE_FORMAT, "tensor t", "an offset beyond the file");
    }
}

static void test_tensor_names(void)
{
    static struct file f;
    static char name[80];
    const uint64_t k16[] = {16};
    for (size_t n = 62; n <= 66; n++) {
        memset(name, 'n', n);
        name[n] = '\0';
        put_header(&f, 3, 1, 0);
        put_tensor(&f, name, 1, dims_1, GGUF_T_F32, 0);
        put_data(&f, 32, 64);
        expect(&f, n <= GGUF_MAX_NAME ? PUMICE_OK : PUMICE_FORMAT, "at most 63 are allowed", "a long name");
    }
    put_header(&f, 3, 1, 0);
    put_tensor(&f, "\x1b]0;title\x07", 1, dims_1, GGUF_T_F32, 0);
    put_data(&f, 32, 64);
    expect(&f, PUMICE_FORMAT, "\\x1b]0;title\\x07", "a name with escapes");
    put_header(&f, 3, 2, 0);
    for (uint64_t i = 0; i < 2; i++) put_tensor(&f, "same", 1, dims_1, GGUF_T_F32, 32 * i);
    put_data(&f, 32, 64);
    expect(&f, PUMICE_FORMAT, "name same occurs twice", "duplicate names");
    put_header(&f, 3, 2, 0);
    put_tensor(&f, "one", 1, k16, GGUF_T_F32, 32);
    put_tensor(&f, "two", 1, k16, GGUF_T_F32, 0);
    put_data(&f, 32, 128);
    expect(&f, PUMICE_FORMAT, "tensor one: data at 128 overlaps that of two", "overlap");
    put_header(&f, 3, 2, 0);
    put_tensor(&f, "one", 1, k16, GGUF_T_F32, 0);
    put_tensor(&f, "two", 1, k16, GGUF_T_F32, 0);
    put_data(&f, 32, 128);
    expect(&f, PUMICE_FORMAT, "overlaps", "the same bytes twice");
}

/* --- large files -------------------------------------------------------------------------------- */

static size_t add_le(uint8_t *p, size_t at, uint64_t v, uint32_t bytes)
{
    put_le(p + at, v, bytes);
    return at + bytes;
}

/* As much work as a file may ask for: many names with a long common start, the fault at the very end. */
static void test_many(uint8_t *data, size_t capacity)
{
    char name[GGUF_MAX_NAME + 1];
    size_t at = add_le(data, 0, 0x46554747, 4);
    at = add_le(data, at, 3, 4);
    at = add_le(data, at, GGUF_MAX_TENSORS, 8);
    at = add_le(data, at, 0, 8);
    for (uint32_t i = 0; i < GGUF_MAX_TENSORS; i++) {
        const uint32_t k = i == GGUF_MAX_TENSORS - 1 ? 0u : i; /* the last has the first one's name */
        snprintf(name, sizeof name, "blk.a.long.name.that.all.tensors.share.from.the.start.%07u", (k * 10007u) % GGUF_MAX_TENSORS);
        at = add_le(data, at, strlen(name), 8);
        memcpy(data + at, name, strlen(name));
        at += strlen(name);
        at = add_le(data, at, 1, 4);
        at = add_le(data, at, 1, 8);
        at = add_le(data, at, GGUF_T_F32, 4);
        at = add_le(data, at, (uint64_t)(GGUF_MAX_TENSORS - 1 - i) * 32, 8);
    }
    at = (at + 31) / 32 * 32 + 32 * (size_t)GGUF_MAX_TENSORS;
    REQUIRE(at <= capacity, "%zu bytes", at);
    CHECK(judge(data, at, "as many tensors as allowed, the last a duplicate") == PUMICE_FORMAT && strstr(pumice_error(), "occurs twice"),
          "%s", pumice_error());
    put_le(data + 8, GGUF_MAX_TENSORS + 1, 8);
    CHECK(judge(data, at, "one tensor too many") == PUMICE_UNSUPPORTED, "%s", pumice_error());
    memset(data, 0, at);
}

/* Counts that the bytes could just hold, were they not absurd. */
static void test_large(void)
{
    const size_t bytes = 96u << 20;
    uint8_t *data = calloc(bytes, 1); /* pages are not taken until they are touched */
    REQUIRE(data, "memory");
    test_many(data, bytes);
    size_t at = add_le(data, 0, 0x46554747, 4);
    at = add_le(data, at, 3, 4);
    (void)add_le(data, at, 2u << 20, 8);
    CHECK(judge(data, bytes, "2 million tensors") == PUMICE_UNSUPPORTED, "%s", pumice_error());
    (void)add_le(data, at, 0, 8);
    (void)add_le(data, at + 8, 6u << 20, 8);
    CHECK(judge(data, bytes, "6 million values") == PUMICE_UNSUPPORTED, "%s", pumice_error());
    (void)add_le(data, at + 8, GGUF_MAX_VALUES + 1, 8);
    CHECK(judge(data, bytes, "one value too many") == PUMICE_UNSUPPORTED, "%s", pumice_error());
    at = add_le(data, at + 8, 1, 8);
    at = add_le(data, at, 1, 8);
    data[at++] = 'k';
    at = add_le(data, at, GGUF_ARRAY, 4);
    (void)add_le(data, at, GGUF_STRING, 4);
    (void)add_le(data, at + 4, (bytes - at - 12) / 8, 8);
    CHECK(judge(data, bytes, "12 million empty strings") == PUMICE_UNSUPPORTED, "%s", pumice_error());
    (void)add_le(data, at + 4, ((uint64_t)GGUF_MAX_META_BYTES - at - 12) / 8, 8);
    CHECK(judge(data, bytes, "6 million empty strings") == PUMICE_OK, "%s", pumice_error());
    (void)add_le(data, at, GGUF_ARRAY, 4);
    (void)add_le(data, at + 4, ((uint64_t)GGUF_MAX_META_BYTES - at - 12) / 12, 8);
    CHECK(judge(data, bytes, "4 million empty arrays") == PUMICE_OK, "%s", pumice_error());
    (void)add_le(data, at, GGUF_BOOL, 4);
    (void)add_le(data, at + 4, bytes - at - 12, 8);
    CHECK(judge(data, bytes, "100 million bools") == PUMICE_UNSUPPORTED, "%s", pumice_error());
    free(data);
}

/* --- memory failures and files on disk ------------------------------------------------------------ */

static void test_memory_failures(void)
{
    static struct file f;
    struct gguf g;
    build_valid(&f, 3);
    int k = 1;
    for (; k < 100; k++) {
        mem_fail_at((uint64_t)k);
        const enum pumice_status st = gguf_open(f.data, f.n, &g);
        mem_fail_at(0);
        if (st == PUMICE_OK) break;
        CHECK(st == PUMICE_MEMORY && strstr(pumice_error(), "out of memory"), "allocation %d: %s", k, pumice_error());
        CHECK(g.arena.first == NULL, "allocation %d: not closed", k);
    }
    CHECK(k > 1 && k < 100, "%d allocations", k);
    gguf_close(&g);
}

/* Writes the bytes and runs `TOOL COMMAND file`; returns the exit code. */
static int run_tool(const char *tool, const char *command, const uint8_t *data, size_t n)
{
    static const char path[] = "test_gguf.tmp.gguf";
    char line[1024];
    if (platform_write_atomic(path, data, n) != PUMICE_OK) return -1;
    snprintf(line, sizeof line, "'%s' %s %s >/dev/null 2>&1", tool, command, path);
    const int status = system(line);
    (void)remove(path);
    return status < 0 ? -1 : status >> 8 & 255;
}

static void test_tool(const char *tool)
{
    static struct file f;
    build_valid(&f, 3);
    memset(f.data + f.n - 480, 0, 480);
    CHECK(run_tool(tool, "check", f.data, f.n) == 0, "check of a good file");
    CHECK(run_tool(tool, "info", f.data, f.n) == 0 && run_tool(tool, "info --tensors -o json", f.data, f.n) == 0, "info of a good file");
    CHECK(run_tool(tool, "check", f.data, f.n - 5) == 1 && run_tool(tool, "info", f.data, f.n - 5) == 1, "a short file");
    put_le(f.data + f.n - 4, 0x7fc00000, 4);
    CHECK(run_tool(tool, "check", f.data, f.n) == 1, "NaN in a norm");
    put_le(f.data + f.n - 4, 0, 4);
    put_le(f.data + f.n - 480 + 64, 0x7c00, 2);
    CHECK(run_tool(tool, "check", f.data, f.n) == 1, "an infinite block scale");
    CHECK(run_tool(tool, "check --nonsense", f.data, f.n) == 2 && run_tool(tool, "fly", f.data, f.n) == 2, "usage errors");
    CHECK(run_tool(tool, "check --help", f.data, f.n) == 0, "help");
}

static long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

int main(int argc, char **argv)
{
    test_valid();
    const long before = peak_kib();
    test_truncation();
    test_fields();
    test_random_damage();
    test_header();
    test_metadata();
    test_alignment();
    test_tensors();
    test_tensor_names();
    const long small = peak_kib() - before;
    test_large();
    const long large = peak_kib() - before; /* the large files' own pages count too */
    test_memory_failures();
    if (argc > 1) test_tool(argv[1]);
    printf("  %lu files, %lu refused; slowest %.2f ms (%s); peak memory +%.1f MiB, with the large files +%.1f MiB\n", n_files,
           n_refused, slowest_ms, slowest_text, (double)small / 1024, (double)large / 1024);
    CHECK(n_refused >= LEAST_MALFORMED, "%lu malformed files", n_refused);
    if (!SANITIZED) CHECK(small < 8 * 1024, "%.1f MiB for small files", (double)small / 1024);
    if (!SANITIZED) CHECK(large < LIMIT_RSS_MIB * 1024, "%.1f MiB with the large files", (double)large / 1024);
    return check_summary("test_gguf");
}
