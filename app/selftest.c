/* selftest: `pumice selftest`, every kernel row on the chosen device against the reference. */
#include <stdio.h>

#include "app/commands.h"
#include "app/json.h"
#include "app/term.h"

struct report {
    cJSON *rows; /* NULL: text */
};

static void on_row(void *user, const struct pumice_selftest_row *row)
{
    struct report *report = user;
    if (report->rows == NULL) {
        printf("%-5s %-72s nmse %.2e (limit %.0e)  max %.2e%s%s\n", row->ok ? "ok" : "WRONG", row->name,
               row->nmse, row->nmse_limit, row->max_abs, row->note[0] ? "  " : "", row->note);
        fflush(stdout);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    (void)json_add_text(o, "name", row->name, str_of(row->name).n);
    cJSON_AddBoolToObject(o, "ok", row->ok);
    cJSON_AddNumberToObject(o, "nmse", row->nmse);
    cJSON_AddNumberToObject(o, "nmse_limit", row->nmse_limit);
    cJSON_AddNumberToObject(o, "max_abs", row->max_abs);
    (void)json_add_text(o, "note", row->note, str_of(row->note).n);
    cJSON_AddItemToArray(report->rows, o);
}

int command_selftest(const struct options *o)
{
    const struct pumice_engine_params params = {
        .device = o->device, .validate = o->validate, .n_threads = (uint32_t)o->threads};
    struct report report = {o->json ? cJSON_CreateArray() : NULL};
    size_t n_rows = 0, n_wrong = 0;
    enum pumice_status st = pumice_selftest(&params, o->only, o->seed, on_row, &report, &n_rows, &n_wrong);
    if (st == PUMICE_OK && n_rows == 0)
        st = err_set(PUMICE_ARGUMENT, "no kernel row has '%s' in its name", o->only != NULL ? o->only : "");
    if (st != PUMICE_OK) {
        cJSON_Delete(report.rows);
        return command_fail(st);
    }
    if (o->json) {
        cJSON *all = cJSON_CreateObject();
        cJSON_AddNumberToObject(all, "rows", (double)n_rows);
        cJSON_AddNumberToObject(all, "wrong", (double)n_wrong);
        cJSON_AddItemToObject(all, "results", report.rows);
        st = json_print_line(all);
        if (st != PUMICE_OK) return command_fail(st);
    } else {
        printf("%zu rows, %zu wrong\n", n_rows, n_wrong);
    }
    if (n_wrong == 0) return EXIT_CODE_OK;
    fflush(stdout);
    term_error(
        "%zu of %zu kernel rows are wrong on this device; try another (--device cpu), or a newer driver",
        n_wrong, n_rows);
    return EXIT_CODE_FAILURE;
}
