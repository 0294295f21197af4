/* fit: `pumice fit`, what a model takes on each device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"

static void show(const struct pumice_fit *f)
{
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {{"weights", f->weight_bytes}, {"context", f->kv_bytes}, {"work", f->work_bytes},
                {"together", f->weight_bytes + f->kv_bytes + f->work_bytes}, {"free", f->available_bytes}};
    printf("%s %u  %s (%s)\n    ", f->device.chosen ? "*" : " ", f->device.index, f->device.name, report_kind(f->device.kind));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char size[32];
        report_bytes(rows[i].bytes, size, sizeof size);
        printf(" %s %s%s", rows[i].name, size, i + 1 < COUNT_OF(rows) ? "," : "\n");
    }
    if (f->fits)
        printf("     fits with a context of %u tokens; at most %u would\n", f->n_ctx, f->max_ctx);
    else if (f->max_ctx > 0)
        printf("     does not fit with a context of %u tokens; -c %u does\n", f->n_ctx, f->max_ctx);
    else
        printf("     does not fit; use a smaller model or another device\n");
}

static cJSON *fit_json(const struct pumice_fit *f)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "index", f->device.index);
    (void)json_add_text(o, "name", f->device.name, strlen(f->device.name));
    cJSON_AddStringToObject(o, "kind", report_kind(f->device.kind));
    cJSON_AddNumberToObject(o, "weight_bytes", (double)f->weight_bytes);
    cJSON_AddNumberToObject(o, "kv_bytes", (double)f->kv_bytes);
    cJSON_AddNumberToObject(o, "work_bytes", (double)f->work_bytes);
    cJSON_AddNumberToObject(o, "available_bytes", (double)f->available_bytes);
    cJSON_AddNumberToObject(o, "n_ctx", f->n_ctx);
    cJSON_AddNumberToObject(o, "max_ctx", f->max_ctx);
    cJSON_AddBoolToObject(o, "fits", f->fits);
    cJSON_AddBoolToObject(o, "chosen", f->device.chosen);
    return o;
}

/* Software Vulkan is taken only where there is no GPU; so it is `chosen`, or not at all. */
static bool would_take(const struct pumice_device_info *devices, size_t i)
{
    return devices[i].chosen || devices[i].kind != PUMICE_DEVICE_SOFTWARE;
}

int command_fit(const struct options *o)
{
    struct llm llm;
    struct pumice_device_info devices[32];
    size_t n = COUNT_OF(devices), n_shown = 0, n_fit = 0;
    int code = EXIT_CODE_OK;
    cJSON *list = NULL;
    enum pumice_status st = llm_open(o, 0, &llm);
    if (st != PUMICE_OK) goto fail;
    TRY(pumice_devices(o->device, devices, &n));
    list = cJSON_CreateArray();
    for (size_t i = 0; i < MIN(n, COUNT_OF(devices)); i++) {
        struct pumice_fit fit;
        char which[16];
        if (!devices[i].usable || (o->device != NULL && !devices[i].chosen)) continue;
        snprintf(which, sizeof which, "%u", devices[i].index);
        const struct pumice_engine_params params = {.device = devices[i].kind == PUMICE_DEVICE_CPU ? "cpu" : which,
                                                    .n_ctx = (uint32_t)o->ctx, .kv = o->kv};
        n_shown++;
        st = pumice_fit(llm.model, &params, &fit);
        if ((st == PUMICE_DEVICE || st == PUMICE_UNSUPPORTED) && o->device == NULL) { /* the others are of interest still */
            term_error("%u  %s: %s", devices[i].index, devices[i].name, pumice_error());
            st = PUMICE_OK;
            continue;
        }
        TRY(st);
        fit.device.chosen = o->device != NULL || (fit.fits && n_fit == 0 && would_take(devices, i));
        fit.device.index = devices[i].index;
        n_fit += fit.fits;
        if (o->json)
            cJSON_AddItemToArray(list, fit_json(&fit));
        else
            show(&fit);
    }
    if (n_shown == 0) TRY(err_set(PUMICE_ARGUMENT, "there is no such device; pumice devices lists them"));
    if (o->json) {
        TRY(json_print_line(list));
        list = NULL;
    }
    code = n_fit > 0 ? EXIT_CODE_OK : EXIT_CODE_FAILURE;
fail:
    if (st != PUMICE_OK) code = command_fail(st);
    cJSON_Delete(list);
    llm_close(&llm);
    return code;
}
