/* base: what every module stands on: status + error text, log, host memory, arenas, checked arithmetic.
 *
 * Owns the calling thread's error text and the process-wide log callback. Never prints, never exits.
 * Invariant: a function that returns a status other than PUMICE_OK has set the error text exactly once. */
#ifndef PUMICE_BASE_H
#define PUMICE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pumice.h"

#if defined(__GNUC__) || defined(__clang__)
#define PRINTF_LIKE(fmt_i, arg_i) __attribute__((format(printf, fmt_i, arg_i)))
#else
#define PRINTF_LIKE(fmt_i, arg_i)
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))

/* --- errors ------------------------------------------------------------------------------------- */

/* Sets this thread's error text (what is wrong, then what the person can do) and returns `status`, so
 * that a failure reads `return err_set(PUMICE_FORMAT, "...");`. Longer texts are cut at 1023 bytes. */
enum pumice_status err_set(enum pumice_status status, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts `context: ` in front of this thread's error text; returns `status` unchanged. */
enum pumice_status err_wrap(enum pumice_status status, const char *format, ...) PRINTF_LIKE(2, 3);

/* The error text of an allocation of `bytes` for `what` that failed; returns PUMICE_MEMORY. */
enum pumice_status err_memory(const char *what, uint64_t bytes);

/* Needs a local `enum pumice_status st` and a label `fail`. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        st = (expr);                                                                                         \
        if (st != PUMICE_OK) goto fail;                                                                      \
    } while (0)

/* --- log ---------------------------------------------------------------------------------------- */

/* Sends one line (no newline) to the callback that pumice_log_to() set; dropped when there is none. */
void log_line(enum pumice_log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* --- host memory -------------------------------------------------------------------------------- */

/* The C allocator behind one door, so that tests can make the n-th call fail and debug builds can
 * assert that a decode step allocates nothing. All return NULL on failure and on overflow; the error
 * text is the caller's to set (err_memory). mem_free(NULL) is fine. Thread-safe. */
void *mem_alloc(size_t bytes);                        /* not cleared */
void *mem_calloc(size_t n, size_t bytes);             /* cleared */
void *mem_realloc(void *old, size_t n, size_t bytes); /* n * bytes; on failure `old` stays valid */
void mem_free(void *p);
char *mem_strdup(const char *s);

/* Test hooks: the k-th allocation from now (1 = the next) and all after it fail; 0 switches it off. */
void mem_fail_at(uint64_t k);
uint64_t mem_count(void);       /* allocations made by this process so far */
void mem_forbid(bool forbidden); /* this thread: debug builds assert on any allocation while set */

/* --- arenas ------------------------------------------------------------------------------------- */

/* Bump allocator with one lifetime. Zero-initialised is a valid empty arena. Not thread-safe. */
struct arena {
    struct arena_chunk *first, *current;
    size_t used_bytes; /* over all chunks */
};
void *arena_alloc(struct arena *a, size_t n, size_t bytes); /* n * bytes, cleared, 16-byte aligned; NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
void arena_reset(struct arena *a); /* keeps the chunks */
void arena_fini(struct arena *a);  /* frees everything; the arena is empty again */

/* --- strings and checked arithmetic --------------------------------------------------------------- */

/* A byte string that is not owned and need not end in NUL. */
struct str {
    const char *data;
    size_t n;
};
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
struct str str_of(const char *z);
bool str_eq(struct str a, struct str b);
bool str_eqz(struct str a, const char *z);
bool str_startsz(struct str a, const char *z);
/* Writes s into out (NUL-terminated, cut to fit with "..."): printable UTF-8 as it is, everything else, such as
 * control, bidirectional and invalid bytes, as \xNN; so that bytes of a file can be shown. Returns out. */
char *str_escape(struct str s, char *out, size_t out_bytes);
/* Writes to text + n, n < size, cut to fit the size bytes with the NUL. Returns the new length, below size. */
size_t str_append(char *text, size_t size, size_t n, const char *format, ...) PRINTF_LIKE(4, 5);
bool str_printable(struct str s); /* str_escape would change nothing */
/* Bytes of the UTF-8 sequence at s[0..n) and its code point; 0 when it is not well-formed. */
size_t utf8_decode(const char *s, size_t n, uint32_t *code);
uint64_t hash_bytes(const void *data, size_t n, uint64_t seed); /* FNV-1a, 64 bits; seed 0 = the standard basis */

uint64_t mix_u64(uint64_t z); /* splitmix64's finaliser, a bijection. Source: Steele, Lea, Flood 2014 */
uint32_t u32_of_le(const uint8_t *bytes); /* four bytes, the lowest first */

/* Each returns false and leaves *out alone when the result does not fit. */
bool add_u64(uint64_t a, uint64_t b, uint64_t *out);
bool mul_u64(uint64_t a, uint64_t b, uint64_t *out);
bool align_u64(uint64_t a, uint64_t alignment, uint64_t *out); /* up; alignment a power of two */
bool size_of_u64(uint64_t a, size_t *out);

/* IEEE half <-> float by bits; round to nearest even; NaN stays NaN. */
float f32_of_f16(uint16_t h);
uint16_t f16_of_f32(float f);
float f32_of_bf16(uint16_t h);
uint16_t bf16_of_f32(float f);

#endif
