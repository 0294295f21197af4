/* check: what every test program stands on. A test is a plain main() that prints each failure and ends with
 *     return check_summary("test_base");
 * which is 0 when every CHECK held, else 1. CHECK does not stop the test; REQUIRE returns from a void function. */
#ifndef PUMICE_CHECK_H
#define PUMICE_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned long check_n_done, check_n_failed;

#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 4, 5), unused))
#endif
static bool check_failed(const char *file, int line, const char *what, const char *format, ...)
{
    if (++check_n_failed > 50) return false; /* the first fifty say enough */
    va_list args;
    fprintf(stderr, "%s:%d: %s: ", file, line, what);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    return false;
}

#if defined(__GNUC__) || defined(__clang__)
__attribute__((unused))
#endif
static int check_summary(const char *name)
{
    printf("%s: %lu checks, %lu failed\n", name, check_n_done, check_n_failed);
    return check_n_failed != 0;
}

/* CHECK(a == b, "a is %d", a): the text says what was found. */
/* The arguments are evaluated after the condition, so that they may ask what went wrong: pumice_error(). */
#define CHECK(cond, ...) (check_n_done++, (cond) ? true : check_failed(__FILE__, __LINE__, #cond, __VA_ARGS__))
#define REQUIRE(cond, ...)                   \
    do {                                     \
        if (!CHECK(cond, __VA_ARGS__)) return; \
    } while (0)

#endif
