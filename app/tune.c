/* tune: `pumice tune`, which numbers make the kernels fastest on this device; kept for every later run. */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/term.h"

static bool on_row(void *user, const struct pumice_tune_row *row)
{
    (void)user;
    term_progress_end();
    printf("%-16s %4u %12.1f us%s\n", row->knob, row->value, row->ns / 1e3, row->chosen ? "  *" : "");
    return fflush(stdout) == 0 && term_interrupts() == 0;
}

int command_tune(const struct options *o)
{
    enum pumice_status st = PUMICE_OK;
    int code = EXIT_CODE_OK;
    struct pumice_model *model = NULL;
    const struct pumice_engine_params params = {.device = o->device};
    const bool soft = term_interrupt_soft(true);
    if (o->model != NULL) TRY(pumice_model_open(o->model, &model));
    term_progress("measuring", 0);
    TRY(pumice_tune(&params, model, on_row, NULL));
    term_note("kept; `pumice devices -v` shows it");
fail:
    (void)term_interrupt_soft(soft);
    term_progress_end();
    if (st != PUMICE_OK) code = command_fail(st);
    pumice_model_close(model);
    return code;
}
