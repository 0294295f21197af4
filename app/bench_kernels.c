/* bench_kernels: `pumice bench --kernels`, every kernel at a model's shapes; as a table, a roofline plot, a comparison. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"
#include "runtime/platform.h"

enum { OLD_MAX_BYTES = 64 << 20 };

struct bench {
    const struct options *o;
    const char *form; /* "md", "csv" or "json" */
    struct pumice_ceilings ceilings;
    struct pumice_kernel_row *rows;
    size_t n, capacity;
    char day[16];
    enum pumice_status status;
};

/* The ceilings of arithmetic, by the name that a row's bound has. */
static const struct {
    const char *name, *unit, *column;
    size_t at;
} rates[] = {{"f32", "GFLOP", "f32_gflop_per_s", offsetof(struct pumice_ceilings, f32_flops_per_s)},
             {"f16", "GFLOP", "f16_gflop_per_s", offsetof(struct pumice_ceilings, f16_flops_per_s)},
             {"int8", "GOP", "int8_gop_per_s", offsetof(struct pumice_ceilings, int8_ops_per_s)},
             {"matrix", "GFLOP", "matrix_gflop_per_s", offsetof(struct pumice_ceilings, matrix_flops_per_s)}};

static const double *rate_of(const struct bench *b, size_t i)
{
    return (const double *)(const void *)((const char *)&b->ceilings + rates[i].at);
}

static double gb_per_s(const struct pumice_kernel_row *r)
{
    return (double)r->bytes / r->median_ns;
}

static double gflops(const struct pumice_kernel_row *r)
{
    return r->flops / r->median_ns;
}

/* --- table ----------------------------------------------------------------------------------------------------------- */

static void print_head(const struct bench *b)
{
    printf("%s (%s), driver %s, Vulkan %s; pumice %s, %s\n", b->ceilings.device.name, report_kind(b->ceilings.device.kind), b->ceilings.device.driver,
           b->ceilings.device.api[0] != 0 ? b->ceilings.device.api : "none", pumice_version(), b->day);
    printf("ceilings: copy %.1f GB/s", b->ceilings.bytes_per_s / 1e9);
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        if (*rate_of(b, i) > 0) printf(", %s %.1f %s/s", rates[i].name, *rate_of(b, i) / 1e9, rates[i].unit);
        else if (b->ceilings.device.kind != PUMICE_DEVICE_CPU) printf(", %s: not there", rates[i].name);
    }
    printf("\n\n| %-42s | %21s | %8s | %9s | %14s | %8s |\n", "kernel", "us", "GB/s", "GFLOP/s", "of the ceiling", "NMSE");
    printf("| %.42s | ---: | ---: | ---: | ---: | ---: |\n", "------------------------------------------");
}

static void print_md(const struct pumice_kernel_row *r)
{
    printf("| %-42s | %10.1f ± %8.1f | %8.2f | %9.2f | %5.1f %% %-6s | %8.1e |\n", r->name, r->median_ns / 1e3, r->spread_ns / 1e3,
           gb_per_s(r), gflops(r), 100 * r->share, r->bound, r->nmse);
}

static cJSON *row_json(const struct pumice_kernel_row *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kernel", r->name);
    cJSON_AddStringToObject(o, "op", r->op);
    cJSON_AddStringToObject(o, "type", r->type);
    cJSON_AddNumberToObject(o, "n_tokens", r->n_tokens);
    cJSON_AddNumberToObject(o, "n_past", r->n_past);
    cJSON_AddNumberToObject(o, "median_us", r->median_ns / 1e3);
    cJSON_AddNumberToObject(o, "spread_us", r->spread_ns / 1e3);
    cJSON_AddNumberToObject(o, "bytes", (double)r->bytes);
    cJSON_AddNumberToObject(o, "flops", r->flops);
    cJSON_AddNumberToObject(o, "gb_per_s", gb_per_s(r));
    cJSON_AddNumberToObject(o, "gflop_per_s", gflops(r));
    cJSON_AddNumberToObject(o, "share", r->share);
    cJSON_AddStringToObject(o, "bound", r->bound);
    cJSON_AddNumberToObject(o, "nmse", r->nmse); /* NaN is printed as null */
    return o;
}

static enum pumice_status print_json(const struct bench *b)
{
    cJSON *o = cJSON_CreateObject();
    (void)json_add_text(o, "device", b->ceilings.device.name, strlen(b->ceilings.device.name));
    (void)json_add_text(o, "driver", b->ceilings.device.driver, strlen(b->ceilings.device.driver));
    cJSON_AddStringToObject(o, "vulkan", b->ceilings.device.api);
    cJSON_AddStringToObject(o, "pumice", pumice_version());
    cJSON_AddStringToObject(o, "date", b->day);
    cJSON_AddNumberToObject(o, "copy_gb_per_s", b->ceilings.bytes_per_s / 1e9);
    for (size_t i = 0; i < COUNT_OF(rates); i++) cJSON_AddNumberToObject(o, rates[i].column, *rate_of(b, i) / 1e9); /* 0: not there */
    cJSON *rows = cJSON_AddArrayToObject(o, "kernels");
    for (size_t i = 0; i < b->n; i++) cJSON_AddItemToArray(rows, row_json(&b->rows[i]));
    return json_print_line(o);
}

static void print_csv(const struct bench *b)
{
    printf("device,driver,vulkan,pumice,date,copy_gb_per_s,f32_gflop_per_s,f16_gflop_per_s,int8_gop_per_s,matrix_gflop_per_s,kernel,op,type,n_tokens,n_past,median_us,spread_us,bytes,"
           "flops,gb_per_s,gflop_per_s,share,bound,nmse\n");
    for (size_t i = 0; i < b->n; i++) {
        const struct pumice_kernel_row *r = &b->rows[i];
        printf("\"%s\",\"%s\",%s,%s,%s,%.3f,%.3f,%.3f,%.3f,%.3f,%s,%s,%s,%u,%u,%.3f,%.3f,%llu,%.0f,%.3f,%.3f,%.4f,%s,%.3e\n", b->ceilings.device.name,
               b->ceilings.device.driver, b->ceilings.device.api, pumice_version(), b->day, b->ceilings.bytes_per_s / 1e9,
               *rate_of(b, 0) / 1e9, *rate_of(b, 1) / 1e9, *rate_of(b, 2) / 1e9, *rate_of(b, 3) / 1e9, r->name, r->op, r->type, r->n_tokens, r->n_past, r->median_ns / 1e3,
               r->spread_ns / 1e3, (unsigned long long)r->bytes, r->flops, gb_per_s(r), gflops(r), r->share,
               r->bound, r->nmse);
    }
}

static void on_row(void *user, const struct pumice_kernel_row *row)
{
    struct bench *b = user;
    if (b->n == b->capacity) {
        const size_t capacity = MAX(b->capacity * 2, (size_t)64);
        struct pumice_kernel_row *rows = mem_realloc(b->rows, capacity, sizeof *rows);
        if (rows == NULL) {
            b->status = err_memory("the results", capacity * sizeof *rows);
            return;
        }
        b->rows = rows;
        b->capacity = capacity;
    }
    b->rows[b->n++] = *row;
    if (strcmp(b->form, "md") == 0) {
        term_progress_end();
        if (b->n == 1) print_head(b);
        print_md(row);
        fflush(stdout);
    } else {
        term_note("%s: %.1f us", row->name, row->median_ns / 1e3);
    }
}

/* --- plot ------------------------------------------------------------------------------------------------------------- */

enum { PLOT_W = 900, PLOT_H = 560, PLOT_LEFT = 70, PLOT_RIGHT = 190, PLOT_TOP = 50, PLOT_BOTTOM = 60 };

struct axes {
    double x0, x1, y0, y1; /* decades: log10 of FLOP a byte, of GFLOP/s */
};

static double plot_x(const struct axes *a, double intensity)
{
    return PLOT_LEFT + (log10(intensity) - a->x0) / (a->x1 - a->x0) * (PLOT_W - PLOT_LEFT - PLOT_RIGHT);
}

static double plot_y(const struct axes *a, double rate)
{
    return PLOT_H - PLOT_BOTTOM - (log10(rate) - a->y0) / (a->y1 - a->y0) * (PLOT_H - PLOT_TOP - PLOT_BOTTOM);
}

/* Kernels that compute nothing worth counting are not on a roofline. */
static bool on_plot(const struct pumice_kernel_row *r)
{
    return r->flops > 0 && r->median_ns > 0;
}

static struct axes plot_axes(const struct bench *b)
{
    struct axes a = {0, 2, 0, 2};
    for (size_t i = 0; i < COUNT_OF(rates); i++)
        if (*rate_of(b, i) > 0) a.y1 = fmax(a.y1, ceil(log10(*rate_of(b, i) / 1e9)));
    for (size_t i = 0; i < b->n; i++) {
        const struct pumice_kernel_row *r = &b->rows[i];
        if (!on_plot(r)) continue;
        const double x = log10(r->flops / (double)r->bytes), y = log10(gflops(r));
        a.x0 = fmin(a.x0, floor(x));
        a.x1 = fmax(a.x1, ceil(x));
        a.y0 = fmin(a.y0, floor(y));
        a.y1 = fmax(a.y1, ceil(y));
    }
    return a;
}

static void plot_grid(FILE *f, const struct axes *a)
{
    for (double d = a->x0; d <= a->x1; d++) {
        const double x = plot_x(a, pow(10, d));
        fprintf(f, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' class='grid'/><text x='%.1f' y='%d' text-anchor='middle'>%g</text>\n", x,
                PLOT_TOP, x, PLOT_H - PLOT_BOTTOM, x, PLOT_H - PLOT_BOTTOM + 18, pow(10, d));
    }
    for (double d = a->y0; d <= a->y1; d++) {
        const double y = plot_y(a, pow(10, d));
        fprintf(f, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' class='grid'/><text x='%d' y='%.1f' text-anchor='end'>%g</text>\n",
                PLOT_LEFT, y, PLOT_W - PLOT_RIGHT, y, PLOT_LEFT - 8, y + 4, pow(10, d));
    }
    fprintf(f, "<text x='%d' y='%d' text-anchor='middle'>FLOP a byte</text>\n", (PLOT_LEFT + PLOT_W - PLOT_RIGHT) / 2, PLOT_H - 20);
    fprintf(f, "<text transform='translate(20 %d) rotate(-90)' text-anchor='middle'>GFLOP/s</text>\n", PLOT_H / 2);
}

/* min(bandwidth x intensity, peak) over the plot's width, for one kind of arithmetic (peak 0: bandwidth alone). */
static void plot_roof(FILE *f, const struct bench *b, const struct axes *a, double peak, const char *name)
{
    const double slope = b->ceilings.bytes_per_s / 1e9, top = peak / 1e9;
    fputs("<polyline class='roof' points='", f);
    for (int i = 0; i <= 200; i++) {
        const double x = pow(10, a->x0 + (a->x1 - a->x0) * i / 200);
        double y = slope * x;
        if (top > 0) y = fmin(y, top);
        if (log10(y) >= a->y0 && log10(y) <= a->y1) fprintf(f, "%.1f,%.1f ", plot_x(a, x), plot_y(a, y));
    }
    fputs("'/>\n", f);
    if (top > 0)
        fprintf(f, "<text x='%d' y='%.1f' text-anchor='end'>%s</text>\n", PLOT_W - PLOT_RIGHT - 4, plot_y(a, top) - 4, name);
}

static const char *const plot_colours[] = {"#1b6ca8", "#c0392b", "#27865a", "#8e44ad", "#b8860b", "#555555"};

static size_t plot_group(const struct pumice_kernel_row *r)
{
    return strcmp(r->op, "attention") == 0 ? 4 : r->n_tokens == 1 ? 0 : r->n_tokens <= 4 ? 1 : r->n_tokens <= 16 ? 2 : 3;
}

static enum pumice_status write_plot(const struct bench *b, const char *path)
{
    static const char *const names[] = {"matmul, 1 token", "matmul, 2 to 4", "matmul, 5 to 16", "matmul, more", "attention"};
    const struct axes a = plot_axes(b);
    char title[512], name[300];
    FILE *f = fopen(path, "w");
    if (f == NULL) return err_set(PUMICE_IO, "%s cannot be written: %s; name another file", path, strerror(errno));
    str_escape(str_of(b->ceilings.device.name), name, sizeof name);
    for (char *c = name; *c != 0; c++)
        if (*c == '<' || *c == '&') *c = ' ';
    snprintf(title, sizeof title, "%s, pumice %s, %s", name, pumice_version(), b->day);
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' font-size='12'>\n"
            "<style>.grid{stroke:#ddd}.roof{fill:none;stroke:#222;stroke-width:2}text{fill:#222}</style>\n"
            "<rect width='100%%' height='100%%' fill='white'/><text x='%d' y='28' font-size='15'>%s</text>\n",
            PLOT_W, PLOT_H, PLOT_LEFT, title);
    plot_grid(f, &a);
    plot_roof(f, b, &a, *rate_of(b, 0), rates[0].name);
    for (size_t i = 1; i < COUNT_OF(rates); i++)
        if (*rate_of(b, i) > 0) plot_roof(f, b, &a, *rate_of(b, i), rates[i].name);
    for (size_t i = 0; i < b->n; i++) {
        const struct pumice_kernel_row *r = &b->rows[i];
        if (!on_plot(r)) continue;
        fprintf(f, "<circle cx='%.1f' cy='%.1f' r='4.5' fill='%s' fill-opacity='.75'><title>%s: %.1f us, %.2f GFLOP/s, %.1f %%</title></circle>\n",
                plot_x(&a, r->flops / (double)r->bytes), plot_y(&a, gflops(r)), plot_colours[plot_group(r)], r->name,
                r->median_ns / 1e3, gflops(r), 100 * r->share);
    }
    for (size_t g = 0; g < COUNT_OF(names); g++)
        fprintf(f, "<circle cx='%d' cy='%zu' r='4.5' fill='%s'/><text x='%d' y='%zu'>%s</text>\n", PLOT_W - PLOT_RIGHT + 20,
                PLOT_TOP + 10 + 20 * g, plot_colours[g], PLOT_W - PLOT_RIGHT + 32, PLOT_TOP + 14 + 20 * g, names[g]);
    fputs("</svg>\n", f);
    const bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed) return err_set(PUMICE_IO, "%s cannot be written; is the disk full?", path);
    term_note("roofline written to %s", path);
    return PUMICE_OK;
}

/* --- comparison --------------------------------------------------------------------------------------------------------- */

/* What got slower than in an earlier JSON output, by more than both spreads and a twentieth. */
static enum pumice_status compare(const struct bench *b, const char *path)
{
    enum pumice_status st = PUMICE_OK;
    char *text = NULL;
    size_t n = 0, where = 0, n_slower = 0, n_same = 0;
    cJSON *old = NULL;
    TRY(platform_read(path, OLD_MAX_BYTES, &text, &n));
    old = json_read(text, n, &where);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(old, "kernels"), *device = cJSON_GetObjectItemCaseSensitive(old, "device");
    if (!cJSON_IsArray(rows)) TRY(err_set(PUMICE_FORMAT, "%s is no output of pumice bench --kernels -o json", path));
    if (!cJSON_IsString(device) || strcmp(device->valuestring, b->ceilings.device.name) != 0)
        term_note("note: %s was measured on another device", path);
    for (size_t i = 0; i < b->n; i++) {
        const struct pumice_kernel_row *r = &b->rows[i];
        const cJSON *match = NULL, *row = NULL;
        cJSON_ArrayForEach(row, rows)
        {
            const cJSON *name = cJSON_GetObjectItemCaseSensitive(row, "kernel");
            if (cJSON_IsString(name) && strcmp(name->valuestring, r->name) == 0) match = row;
        }
        const cJSON *us = cJSON_GetObjectItemCaseSensitive(match, "median_us");
        const cJSON *spread = cJSON_GetObjectItemCaseSensitive(match, "spread_us");
        if (!cJSON_IsNumber(us) || !cJSON_IsNumber(spread)) continue;
        n_same++;
        const double before = us->valuedouble, now = r->median_ns / 1e3;
        if (now - before <= spread->valuedouble + r->spread_ns / 1e3 || now <= before * 1.05) continue;
        n_slower++;
        term_say("slower: %s: %.1f us, was %.1f (%+.0f %%)", r->name, now, before, 100 * (now / before - 1));
    }
    term_say("%zu of %zu kernels got slower than in %s", n_slower, n_same, path);
fail:
    cJSON_Delete(old);
    mem_free(text);
    return st;
}

/* Options of bench that would do nothing here. */
static const struct {
    enum option_id id;
    const char *name;
} elsewhere[] = {{OPTION_N_PROMPT, "-p"},     {OPTION_N_GEN, "-n"},  {OPTION_N_DEPTH, "-d"},
                 {OPTION_REPETITIONS, "-r"}, {OPTION_PERF, "--perf"}, {OPTION_NO_TUNE, "--no-tune"}};

int command_bench_kernels(const struct options *o)
{
    struct bench b = {.o = o, .form = o->batch_out != NULL ? o->batch_out : "md"};
    struct pumice_model *model = NULL;
    int code = EXIT_CODE_OK;
    enum pumice_status st = PUMICE_OK;
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    if (utc != NULL) strftime(b.day, sizeof b.day, "%Y-%m-%d", utc);
    for (size_t i = 0; i < COUNT_OF(elsewhere); i++)
        if (options_given(o, elsewhere[i].id))
            return command_usage("%s has no place with --kernels, which measures each kernel in its own way", elsewhere[i].name);
    if (strcmp(b.form, "md") != 0 && strcmp(b.form, "csv") != 0 && strcmp(b.form, "json") != 0)
        return command_usage("--output is md, csv or json with --kernels, not '%s'", b.form);
    if (o->model != NULL && o->shapes != NULL) return command_usage("the shapes come from -m or from --shapes, not both");
    if (o->model != NULL) TRY(pumice_model_open(o->model, &model));
    const struct pumice_engine_params params = {.device = o->device, .validate = o->validate, .n_threads = (uint32_t)o->threads, .kv = o->kv};
    term_progress("measuring the ceilings", 0);
    TRY(pumice_bench_kernels(&params, model, o->shapes, o->only, on_row, &b, &b.ceilings));
    TRY(b.status);
    if (b.n == 0) TRY(err_set(PUMICE_ARGUMENT, "no kernel's name contains '%s'", o->only != NULL ? o->only : ""));
    if (strcmp(b.form, "csv") == 0) print_csv(&b);
    if (strcmp(b.form, "json") == 0) TRY(print_json(&b));
    if (o->plot != NULL) TRY(write_plot(&b, o->plot));
    if (o->compare != NULL) TRY(compare(&b, o->compare));
fail:
    term_progress_end();
    if (st != PUMICE_OK) code = command_fail(st);
    mem_free(b.rows);
    pumice_model_close(model);
    return code;
}
