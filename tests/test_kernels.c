/* test_kernels: the rows of the kernel table on the software Vulkan driver (or PUMICE_TEST_DEVICE), with the validation layers
 * on where they are installed: all in the automatic variant, a third of them in each of the others, the thirds in turn (what
 * takes the time is the driver's compiler); with a name, or with -a, all in all. Prints what fails; -v prints all rows.
 * -p N of 2 runs the variants with even (0) or odd (1) numbers, so that two processors can share them.
 * usage: test_kernels [-v] [-a | -p N] [part of a name [seed]] */
#include "ops.h"

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
    struct kernel_filter filter = {.stride = 3, .parts = 1};
    struct backend *b = NULL;
    if (arg < argc && strcmp(argv[arg], "-v") == 0) verbose = true, arg++;
    if (arg < argc && strcmp(argv[arg], "-a") == 0) filter.stride = 1, arg++;
    if (arg + 1 < argc && strcmp(argv[arg], "-p") == 0) {
        filter.part = (uint32_t)strtoul(argv[arg + 1], NULL, 10) % 2;
        filter.parts = 2;
        arg += 2;
    }
    if (arg < argc) filter.only = argv[arg++], filter.stride = 1;
    const char *device = getenv("PUMICE_TEST_DEVICE");
    const uint64_t seed = arg < argc ? strtoull(argv[arg], NULL, 10) : 1;
    size_t n_rows = 0, n_wrong = 0;
#ifdef PUMICE_VALIDATE_DEFAULT
    const bool validate = true;
#else
    const bool validate = false;
#endif
    const struct backend_options options = {.device = device ? device : "software", .validate = validate};
    pumice_log_to(on_log, NULL);
    enum pumice_status st = gpu_backend_create(&options, &b);
    if (st == PUMICE_OK) st = kernel_table_run(b, &filter, seed, on_row, NULL, &n_rows, &n_wrong);
    if (b) b->calls->destroy(b);
    if (st != PUMICE_OK) {
        printf("FAIL: %s\n", pumice_error());
        return 1;
    }
    printf("seed %llu: %zu rows, %zu wrong\n", (unsigned long long)seed, n_rows, n_wrong);
    return n_wrong || n_rows == 0 ? 1 : 0;
}
