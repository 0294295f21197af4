/* base: see base.h. */
#include "base.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- errors ------------------------------------------------------------------------------------- */

static _Thread_local char error_text[1024];

const char *pumice_error(void) { return error_text[0] ? error_text : "no error"; }

const char *pumice_status_name(enum pumice_status status)
{
    static const char *const names[] = {"ok", "argument", "io", "format", "unsupported", "memory", "device", "context",
                                        "cancelled"};
    return (unsigned)status < COUNT_OF(names) ? names[status] : "unknown";
}

#ifndef PUMICE_VERSION
#define PUMICE_VERSION "unknown"
#endif
const char *pumice_version(void) { return PUMICE_VERSION; }

enum pumice_status err_set(enum pumice_status status, const char *format, ...)
{
    char text[sizeof error_text]; /* arguments may point into error_text */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(error_text, text, sizeof text);
    return status;
}

enum pumice_status err_wrap(enum pumice_status status, const char *format, ...)
{
    char front[256], text[sizeof error_text];
    va_list args;
    va_start(args, format);
    vsnprintf(front, sizeof front, format, args);
    va_end(args);
    memcpy(text, error_text, sizeof text);
    snprintf(error_text, sizeof error_text, "%s: %.700s", front, text);
    return status;
}

enum pumice_status err_memory(const char *what, uint64_t bytes)
{
    char size[32] = "no room"; /* 0: how much is not known */
    if (bytes >= 1 << 20) snprintf(size, sizeof size, "%.1f MiB", (double)bytes / 1048576.0);
    else if (bytes) snprintf(size, sizeof size, "%llu bytes", (unsigned long long)bytes);
    return err_set(PUMICE_MEMORY, "out of memory: %s for %s; close other programs or use a smaller context or model", size, what);
}

/* --- log ---------------------------------------------------------------------------------------- */

static void (*log_callback)(void *user, enum pumice_log_level level, const char *line);
static void *log_user;

void pumice_log_to(void (*callback)(void *user, enum pumice_log_level level, const char *line), void *user)
{
    log_callback = callback;
    log_user = user;
}

void log_line(enum pumice_log_level level, const char *format, ...)
{
    char line[2048];
    va_list args;
    if (!log_callback) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_callback(log_user, level, line);
}

/* --- host memory -------------------------------------------------------------------------------- */

static atomic_uint_least64_t allocations; /* since the start */
static atomic_uint_least64_t fail_from;   /* the allocation number from which on all fail; 0 = off */
static _Thread_local bool forbidden;

void mem_fail_at(uint64_t k) { atomic_store(&fail_from, k ? atomic_load(&allocations) + k : 0); }
uint64_t mem_count(void) { return atomic_load(&allocations); }
void mem_forbid(bool f) { forbidden = f; }

static bool may_allocate(void)
{
#ifdef PUMICE_DEBUG
    assert(!forbidden);
#endif
    const uint64_t k = atomic_fetch_add(&allocations, 1) + 1, from = atomic_load(&fail_from);
    return from == 0 || k < from;
}

void *mem_alloc(size_t bytes) { return may_allocate() ? malloc(bytes ? bytes : 1) : NULL; }

void *mem_calloc(size_t n, size_t bytes)
{
    if (bytes && n > SIZE_MAX / bytes) return NULL;
    return may_allocate() ? calloc(n ? n : 1, bytes ? bytes : 1) : NULL;
}

void *mem_realloc(void *old, size_t n, size_t bytes)
{
    if (bytes && n > SIZE_MAX / bytes) return NULL;
    return may_allocate() ? realloc(old, n && bytes ? n * bytes : 1) : NULL;
}

void mem_free(void *p) { free(p); }

char *mem_strdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = mem_alloc(n);
    if (copy) memcpy(copy, s, n);
    return copy;
}

/* --- arenas ------------------------------------------------------------------------------------- */

enum { ARENA_CHUNK_BYTES = 64 * 1024, ARENA_ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity, used;
    _Alignas(ARENA_ALIGN) unsigned char bytes[];
};

void *arena_alloc(struct arena *a, size_t n, size_t bytes)
{
    if (bytes && n > (SIZE_MAX - 2 * ARENA_ALIGN - sizeof(struct arena_chunk)) / bytes) return NULL;
    const size_t size = (n * bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    while (a->current && a->current->capacity - a->current->used < size && a->current->next) {
        a->current = a->current->next;
        a->current->used = 0;
    }
    if (!a->current || a->current->capacity - a->current->used < size) {
        const size_t capacity = MAX(size, (size_t)ARENA_CHUNK_BYTES);
        struct arena_chunk *chunk = mem_alloc(sizeof *chunk + capacity);
        if (!chunk) return NULL;
        chunk->next = NULL;
        chunk->capacity = capacity;
        chunk->used = 0;
        if (a->current) a->current->next = chunk;
        else a->first = chunk;
        a->current = chunk;
    }
    void *p = a->current->bytes + a->current->used;
    a->current->used += size;
    a->used_bytes += size;
    memset(p, 0, size);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1, 1) : NULL;
    if (copy && n) memcpy(copy, s, n);
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    char *text = n >= 0 ? arena_alloc(a, (size_t)n + 1, 1) : NULL;
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void arena_reset(struct arena *a)
{
    a->current = a->first;
    if (a->first) a->first->used = 0;
    a->used_bytes = 0;
}

void arena_fini(struct arena *a)
{
    for (struct arena_chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    memset(a, 0, sizeof *a);
}

/* --- strings and checked arithmetic --------------------------------------------------------------- */

struct str str_of(const char *z) { return (struct str){z, z ? strlen(z) : 0}; }
bool str_eq(struct str a, struct str b) { return a.n == b.n && (a.n == 0 || memcmp(a.data, b.data, a.n) == 0); }
bool str_eqz(struct str a, const char *z) { return str_eq(a, str_of(z)); }
bool str_startsz(struct str a, const char *z)
{
    const size_t n = strlen(z);
    return a.n >= n && memcmp(a.data, z, n) == 0;
}

size_t utf8_decode(const char *s, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (n == 0) return 0;
    const unsigned char first = (unsigned char)s[0];
    const size_t bytes = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    if (bytes == 0 || bytes > n) return 0;
    uint32_t c = bytes == 1 ? first : first & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | ((unsigned char)s[i] & 0x3fu);
    }
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || (bytes > 1 && c < least[bytes])) return 0;
    *code = c;
    return bytes;
}

/* Moves neither the cursor of a terminal nor the order of what is shown. */
static bool harmless(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;                       /* C0, DEL, C1 */
    if (c == 0xad || c == 0x61c || c == 0xfeff) return false;                    /* soft hyphen, Arabic mark, BOM */
    if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e)) return false; /* zero width, lines, bidi */
    if ((c >= 0x2060 && c <= 0x206f) || (c >= 0xfff0 && c <= 0xfffb)) return false; /* isolates, specials */
    return c < 0xe0000 || c > 0xe0fff;                                           /* tags */
}

char *str_escape(struct str s, char *out, size_t out_bytes)
{
    size_t at = 0, cut = 0; /* cut: the last place where dots would still fit */
    if (out_bytes == 0) return out;
    for (size_t i = 0; i < s.n;) {
        uint32_t c = 0;
        size_t n = utf8_decode(s.data + i, s.n - i, &c);
        const bool plain = n && harmless(c);
        if (!plain) n = 1;
        const size_t need = plain ? n : 4;
        if (at + 3 < out_bytes) cut = at;
        if (at + need >= out_bytes) {
            for (at = cut; at < cut + 3 && at + 1 < out_bytes; at++) out[at] = '.';
            break;
        }
        if (plain) memcpy(out + at, s.data + i, n);
        else snprintf(out + at, 5, "\\x%02x", (unsigned)(unsigned char)s.data[i]);
        at += need;
        i += n;
    }
    out[at] = '\0';
    return out;
}

size_t str_append(char *text, size_t size, size_t n, const char *format, ...)
{
    va_list args;
    assert(n < size);
    va_start(args, format);
    const int written = vsnprintf(text + n, size - n, format, args);
    va_end(args);
    return written < 0 ? n : MIN(n + (size_t)written, size - 1);
}

bool str_printable(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t c = 0;
        const size_t n = utf8_decode(s.data + i, s.n - i, &c);
        if (!n || !harmless(c)) return false;
        i += n;
    }
    return true;
}

uint64_t hash_bytes(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ? seed : 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

uint64_t mix_u64(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t u32_of_le(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

bool add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a > UINT64_MAX - b) return false;
    *out = a + b;
    return true;
}

bool mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b && a > UINT64_MAX / b) return false;
    *out = a * b;
    return true;
}

bool align_u64(uint64_t a, uint64_t alignment, uint64_t *out)
{
    uint64_t sum;
    if (!add_u64(a, alignment - 1, &sum)) return false;
    *out = sum & ~(alignment - 1);
    return true;
}

bool size_of_u64(uint64_t a, size_t *out)
{
#if SIZE_MAX < UINT64_MAX
    if (a > SIZE_MAX) return false;
#endif
    *out = (size_t)a;
    return true;
}

/* --- half floats ------------------------------------------------------------------------------------ */

static uint32_t bits_of(float f)
{
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    return b;
}

static float float_of(uint32_t b)
{
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

float f32_of_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 0x3ffu;
    if (exponent == 31) return float_of(sign | 0x7f800000u | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    const float magnitude = (float)mantissa * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

uint16_t f16_of_f32(float f)
{
    const uint32_t b = bits_of(f), sign = b >> 16 & 0x8000u, rest = b & 0x7fffffffu;
    if (rest > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (rest >> 13 & 0x3ffu)); /* NaN */
    if (rest >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);                        /* rounds to infinity */
    if (rest < 0x38800000u) { /* subnormal half: add a power of two that leaves its bits at the bottom */
        const float shifted = float_of(rest) + 0.5f;
        return (uint16_t)(sign | (bits_of(shifted) - 0x3f000000u));
    }
    const uint32_t rounded = rest + 0xfffu + (rest >> 13 & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

float f32_of_bf16(uint16_t h) { return float_of((uint32_t)h << 16); }

uint16_t bf16_of_f32(float f)
{
    const uint32_t b = bits_of(f);
    if ((b & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(b >> 16 | 0x40u);
    return (uint16_t)((b + 0x7fffu + (b >> 16 & 1u)) >> 16);
}
