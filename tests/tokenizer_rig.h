/* tokenizer_rig: what the tests of the tokenizer share: showing texts and ids, checking what a text gives, hostile texts,
 * and the vectors (random strings made as make_vectors.mjs makes them, natural ones in full). */
#ifndef PUMICE_TOKENIZER_RIG_H
#define PUMICE_TOKENIZER_RIG_H

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "tokenizer/split.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 20.0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWER 20.0
#endif
#endif
#ifndef SLOWER
#define SLOWER 1.0
#endif

static inline double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static inline void *must(void *p)
{
    if (!p) {
        puts("out of memory");
        exit(1);
    }
    return p;
}

/* Text as it can be read: one of a few static buffers. */
static inline const char *shown(struct str s)
{
    static char buffers[4][1024];
    static int turn;
    char *to = buffers[turn++ & 3];
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < 1000; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= ' ' && c <= '~' && c != '\\') to[n++] = (char)c;
        else n += (size_t)snprintf(to + n, 5, "\\x%02x", c);
    }
    to[n] = '\0';
    return to;
}

static inline const char *shown_ids(const int32_t *ids, size_t n)
{
    static char buffers[2][1024];
    static int turn;
    char *to = buffers[turn++ & 1];
    size_t length = 0;
    to[0] = '\0';
    for (size_t i = 0; i < n && length < 1000; i++)
        length += (size_t)snprintf(to + length, 16, "%s%d", i ? " " : "", (int)ids[i]);
    return to;
}

static inline bool is_utf8(const char *s, size_t n)
{
    bool complete;
    for (size_t i = 0; i < n;) {
        i += unicode_subpart(s + i, n - i, &complete);
        if (!complete) return false;
    }
    return true;
}

static inline void check_ids(const struct tokenizer *t, struct str text, bool special, const int32_t *want, size_t n, int line)
{
    struct ids ids = {0};
    enum pumice_status st = tokenizer_encode_text(t, text, special, &ids);
    bool same = st == PUMICE_OK && ids.n == n && (n == 0 || memcmp(ids.data, want, n * sizeof *want) == 0);
    CHECK(same, "line %d: \"%s\": want %s, got %s", line, shown(text), shown_ids(want, n), shown_ids(ids.data, ids.n));
    ids_fini(&ids);
}
#define IDS(t, text, special, ...)                                                                                     \
    check_ids(t, STR(text), special, (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4, __LINE__)

static inline void check_segments(const struct tokenizer *t, const struct segment *segments, size_t n, const int32_t *want,
                           size_t n_want, int line)
{
    struct ids ids = {0};
    enum pumice_status st = tokenizer_encode(t, segments, n, &ids);
    bool same = st == PUMICE_OK && ids.n == n_want && memcmp(ids.data, want, n_want * sizeof *want) == 0;
    CHECK(same, "line %d: want %s, got %s", line, shown_ids(want, n_want), shown_ids(ids.data, ids.n));
    ids_fini(&ids);
}
#define S(text) {STR(text), true, -1} /* written by the template */
#define U(text) {STR(text), false, 0} /* written by a person */
#define SEGMENTS(...)                                                                                                  \
    ((const struct segment[]){__VA_ARGS__}), sizeof((struct segment[]){__VA_ARGS__}) / sizeof(struct segment)
#define WANT(...) ((const int32_t[]){__VA_ARGS__}), sizeof((int32_t[]){__VA_ARGS__}) / 4, __LINE__

static inline double encode_seconds(const struct tokenizer *t, struct str text, size_t *n_ids)
{
    struct ids ids = {0};
    double start = seconds();
    enum pumice_status st = tokenizer_encode_text(t, text, true, &ids);
    double took = seconds() - start;
    CHECK(st == PUMICE_OK, "%s", pumice_error());
    *n_ids = ids.n;
    ids_fini(&ids);
    return took;
}

static inline void test_hostile_text(const struct tokenizer *t, const char *name)
{
    static const char *const units[] = {"a", " ", "\n", "\t", " \n", "'", "'s", "1", "!", "<", "<|im_en", "<|im_end|>",
                                        "\xCC\x81", "e\xCC\x81", "\xE4\xB8\xAD", "\xF0\x9F\x99\x82", "\x80",
                                        "\xE4\xB8", "\xE1\x84\x80", "ab", "\xE0\xA5\x98", "A", "aB", "=-"};
    enum { BYTES = 1 << 20 };
    char *text = must(malloc(BYTES + 8));
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        size_t unit = strlen(units[i]), n = BYTES / unit * unit, n_ids;
        for (size_t at = 0; at < n; at += unit) memcpy(text + at, units[i], unit);
        double took = encode_seconds(t, (struct str){text, n}, &n_ids);
        CHECK(took < 1.0 * SLOWER, "%s: 1 MiB of \"%s\" took %.2f s", name, shown(str_of(units[i])), took);
        if (i == 0) printf("%s: 1 MiB of one letter: %.3f s, %zu tokens\n", name, took, n_ids);
    }
    free(text);
}

static inline char *read_file(const char *directory, const char *name, size_t *n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s%s", directory, name[0] ? "/" : "", name);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *data = NULL;
    size_t capacity = 0;
    *n = 0;
    do {
        capacity = capacity ? capacity * 2 : 1 << 20;
        data = must(realloc(data, capacity + 1));
        *n += fread(data + *n, 1, capacity - *n, file);
    } while (*n == capacity);
    fclose(file);
    data[*n] = '\0';
    return data;
}

struct pools { /* pools.json, what random strings are made of */
    cJSON *json;
    const char *pieces[1024], *keys[256];
    int (*assigned)[2], (*marks)[2];
    uint32_t n_pieces, n_keys, n_assigned, n_marks;
};

static inline int (*read_ranges(const cJSON *array, uint32_t *n))[2]
{
    int(*ranges)[2] = must(calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *ranges));
    const cJSON *item;
    *n = 0;
    cJSON_ArrayForEach(item, array)
    {
        ranges[*n][0] = item->child->valueint;
        ranges[(*n)++][1] = item->child->next->valueint;
    }
    return ranges;
}

static inline bool pools_make(struct pools *p, const char *text, size_t n)
{
    const cJSON *item;
    p->json = cJSON_ParseWithLength(text, n);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(p->json, "pieces"))
        if (p->n_pieces < COUNT_OF(p->pieces)) p->pieces[p->n_pieces++] = item->valuestring;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(p->json, "keys"))
        if (p->n_keys < COUNT_OF(p->keys)) p->keys[p->n_keys++] = item->valuestring;
    p->assigned = read_ranges(cJSON_GetObjectItemCaseSensitive(p->json, "assigned"), &p->n_assigned);
    p->marks = read_ranges(cJSON_GetObjectItemCaseSensitive(p->json, "marks"), &p->n_marks);
    return p->n_pieces && p->n_keys && p->n_assigned && p->n_marks;
}

static inline uint32_t next(uint32_t *s, uint32_t n) /* the PRNG of make_vectors.mjs: xorshift32 */
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s % n;
}

static inline struct str random_string(const struct pools *p, uint32_t k, char *to) /* as in make_vectors.mjs */
{
    static const uint32_t most[] = {12, 16, 24, 16, 30, 60};
    uint32_t s = (k + 1) * 0x9E3779B1u, kind = k % 6;
    if (s == 0) s = 1;
    for (int i = 0; i < 8; i++) next(&s, 2);
    char *start = to;
    for (uint32_t n = 1 + next(&s, most[kind]); n > 0; n--) {
        const char *text = NULL;
        int cp = -1;
        uint32_t way = kind == 3 ? next(&s, 4) : kind;
        if (way == 0) text = p->pieces[next(&s, p->n_pieces)];
        else if (way == 2) text = p->keys[next(&s, p->n_keys)];
        else if (way == 1 || way == 4) {
            const int *range = way == 1 ? p->assigned[next(&s, p->n_assigned)] : p->marks[next(&s, p->n_marks)];
            cp = range[0] + (int)next(&s, (uint32_t)(range[1] - range[0] + 1));
        } else if (next(&s, 12)) cp = 32 + (int)next(&s, 95);
        else cp = 9 + (int)next(&s, 2);
        if (text) to += strlen(strcpy(to, text));
        else to += unicode_encode((uint32_t)cp, to);
    }
    return (struct str){start, (size_t)(to - start)};
}

static inline uint32_t hash_ids(uint32_t hash, const struct ids *ids)
{
    for (size_t i = 0; i <= ids->n; i++)
        for (uint32_t v = i ? (uint32_t)ids->data[i - 1] : (uint32_t)ids->n, b = 0; b < 32; b += 8)
            hash = (hash ^ (v >> b & 255)) * 0x01000193u;
    return hash;
}
#define BASIS 0x811C9DC5u

/* decode(encode(text)) == NFC(text), or == text without a scratch; as a stream, token by token, it is the same (but for the
 * space in front of SentencePiece's) and never half a character. */
static inline void check_round_trip(const struct tokenizer *t, struct str text, const struct ids *ids,
                             struct unicode_scratch *scratch)
{
    static char stream[1 << 16];
    struct str whole;
    char *decoded;
    size_t n, n_stream = 0;
    bool has_added = false, valid = true;
    struct decoder d = {0};
    CHECK(tokenizer_decode(t, ids->data, ids->n, false, &decoded, &n) == PUMICE_OK, "%s", pumice_error());
    for (size_t i = 0; i < ids->n && n_stream < sizeof stream - 1024; i++) {
        size_t length = decoder_feed(&d, tokenizer_token_bytes(t, ids->data[i]), stream + n_stream);
        valid = valid && is_utf8(stream + n_stream, length);
        n_stream += length;
        has_added = has_added || ids->data[i] >= 151643;
    }
    n_stream += decoder_finish(&d, stream + n_stream);
    CHECK(valid, "half a character in %s", shown(text));
    const size_t front = n_stream == n + 1 && stream[0] == ' ' ? 1 : 0;
    CHECK(str_eq((struct str){decoded, n}, (struct str){stream + front, n_stream - front}), "stream and whole differ for %s",
          shown(text));
    whole = text;
    if (scratch) CHECK(unicode_nfc(text, scratch, &whole) == PUMICE_OK, "%s", pumice_error());
    CHECK(has_added || str_eq(whole, (struct str){decoded, n}), "round trip of %s: %s", shown(text),
          shown((struct str){decoded, n}));
    mem_free(decoded);
}

/* Past the first line of a file of hashes; how many it holds. */
static inline const char *hashes_of(const char *data, size_t *n)
{
    const char *semicolon = strchr(data, ';'), *line = strchr(data, '\n');
    *n = 0;
    while (semicolon && line && strchr(semicolon + 1, ';') && strchr(semicolon + 1, ';') < line)
        semicolon = strchr(semicolon + 1, ';');
    if (semicolon && line) *n = strtoul(semicolon + 1, NULL, 10);
    return line ? line + 1 : data;
}

/* Strings 0 .. of random_string against a file of hashes, one for each `block` strings. */
static inline void test_random(const struct tokenizer *t, const struct pools *pools, const char *data, uint32_t block, bool nfc)
{
    size_t n, n_wrong = 0;
    const char *at = hashes_of(data, &n);
    struct ids ids = {0};
    struct unicode_scratch scratch = {0};
    static char buffer[1 << 14];
    uint32_t hash = BASIS;
    for (uint32_t k = 0; k < n * block; k++) {
        struct str text = random_string(pools, k, buffer);
        ids.n = 0;
        CHECK(tokenizer_encode_text(t, text, true, &ids) == PUMICE_OK, "%s", pumice_error());
        hash = hash_ids(hash, &ids);
        check_round_trip(t, text, &ids, nfc ? &scratch : NULL);
        if ((k + 1) % block) continue;
        char *end;
        const uint32_t want = (uint32_t)strtoul(at, &end, 16);
        const bool same = end != at && hash == want;
        CHECK(same, "random strings %u to %u (--show of the script tells the right ids), the last: %s -> %s",
              (unsigned)(k + 1 - block), (unsigned)k, shown(text), shown_ids(ids.data, ids.n));
        n_wrong += !same;
        at = end;
        hash = BASIS;
    }
    CHECK(n * block >= 20000, "%zu strings only", n * block);
    printf("%zu random strings: %zu blocks of %u mismatch\n", n * block, n_wrong, (unsigned)block);
    ids_fini(&ids);
    unicode_scratch_fini(&scratch);
}

/* Lines ["text", [ids]]. */
static inline void test_natural(const struct tokenizer *t, const char *data, const char *data_end, bool nfc)
{
    size_t n = 0, n_wrong = 0, n_bytes = 0;
    double took = 0;
    struct ids ids = {0};
    struct unicode_scratch scratch = {0};
    for (const char *line = data, *end; line < data_end; line = end + 1) {
        end = memchr(line, '\n', (size_t)(data_end - line));
        if (!end) end = data_end;
        if (*line != '[') continue;
        cJSON *json = cJSON_ParseWithLength(line, (size_t)(end - line));
        const cJSON *want = json && json->child ? json->child->next : NULL;
        CHECK(want, "line %zu", n + 2);
        if (!want) continue;
        struct str text = str_of(json->child->valuestring);
        ids.n = 0;
        double start = seconds();
        enum pumice_status st = tokenizer_encode_text(t, text, true, &ids);
        took += seconds() - start;
        int32_t *wanted = must(malloc((text.n + 2) * sizeof *wanted));
        size_t n_want = 0;
        const cJSON *id;
        cJSON_ArrayForEach(id, want)
            if (n_want <= text.n + 1) wanted[n_want++] = id->valueint;
        bool same = st == PUMICE_OK && ids.n == n_want && memcmp(ids.data, wanted, n_want * sizeof *wanted) == 0;
        CHECK(same, "\"%s\": want %s, got %s", shown(text), shown_ids(wanted, n_want), shown_ids(ids.data, ids.n));
        check_round_trip(t, text, &ids, nfc ? &scratch : NULL);
        n_wrong += !same;
        n_bytes += text.n;
        n++;
        free(wanted);
        cJSON_Delete(json);
    }
    CHECK(n >= 300, "%zu strings only", n);
    printf("%zu natural strings, %zu bytes: %zu mismatches, %.1f MB/s\n", n, n_bytes, n_wrong,
           (double)n_bytes / 1e6 / (took > 0 ? took : 1e-9));
    ids_fini(&ids);
    unicode_scratch_fini(&scratch);
}

#endif
