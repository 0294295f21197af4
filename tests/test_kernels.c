/* test_kernels: every row of the kernel table in every variant, on the software Vulkan driver (or PUMICE_TEST_DEVICE),
 * with the validation layers on where they are installed. Prints what fails; `-v` prints all rows.
 * usage: test_kernels [-v] [part of a name [seed]] */
#include "pumice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool verbose;

static void on_log(void *user, enum pumice_log_level level, const char *line)
{
    (void)user;
    if (level <= PUMICE_LOG_WARN) printf("%s\n", line);
}

static void on_row(void *user, const struct pumice_selftest_row *row)
{
    (void)user;
    if (!row->ok || verbose)
        printf("%s %s: nmse %.2g (limit %.0g), max %.3g%s%s\n", row->ok ? "ok  " : "FAIL", row->name, row->nmse,
               row->nmse_limit, row->max_abs, row->note[0] ? ": " : "", row->note);
}

int main(int argc, char **argv)
{
    int arg = 1;
    if (arg < argc && strcmp(argv[arg], "-v") == 0) verbose = true, arg++;
    const char *only = arg < argc ? argv[arg++] : NULL;
    const char *device = getenv("PUMICE_TEST_DEVICE");
    const uint64_t seed = arg < argc ? strtoull(argv[arg], NULL, 10) : 1;
    size_t n_rows = 0, n_wrong = 0;
#ifdef PUMICE_VALIDATE_DEFAULT
    const bool validate = true;
#else
    const bool validate = false;
#endif
    const struct pumice_engine_params params = {.device = device ? device : "software", .validate = validate};
    pumice_log_to(on_log, NULL);
    const enum pumice_status st = pumice_selftest(&params, only, seed, on_row, NULL, &n_rows, &n_wrong);
    if (st != PUMICE_OK) {
        printf("FAIL: %s\n", pumice_error());
        return 1;
    }
    printf("seed %llu: %zu rows, %zu wrong\n", (unsigned long long)seed, n_rows, n_wrong);
    return n_wrong || n_rows == 0 ? 1 : 0;
}
