/* devices: `pumice devices`, every device with its limits and why it was chosen or not. */
#include <stdio.h>

#include "app/commands.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"

/* A double would round large numbers. */
static void add_number(cJSON *object, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    cJSON_AddRawToObject(object, name, digits);
}

static cJSON *device_json(const struct pumice_device_info *d)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "index", d->index);
    (void)json_add_text(o, "name", d->name, str_of(d->name).n);
    (void)json_add_text(o, "driver", d->driver, str_of(d->driver).n);
    cJSON_AddStringToObject(o, "uuid", d->uuid);
    cJSON_AddStringToObject(o, "kind", report_kind(d->kind));
    cJSON_AddStringToObject(o, "api", d->api);
    add_number(o, "memory_bytes", d->memory_bytes);
    add_number(o, "max_allocation_bytes", d->max_allocation_bytes);
    add_number(o, "max_storage_range_bytes", d->max_storage_range_bytes);
    cJSON_AddNumberToObject(o, "subgroup_size", d->subgroup_size);
    cJSON_AddNumberToObject(o, "shared_memory_bytes", d->shared_memory_bytes);
    cJSON_AddStringToObject(o, "features", d->features);
    cJSON_AddStringToObject(o, "tuning", d->tuning);
    cJSON_AddBoolToObject(o, "usable", d->usable);
    cJSON_AddBoolToObject(o, "chosen", d->chosen);
    (void)json_add_text(o, "reason", d->reason, str_of(d->reason).n);
    return o;
}

static void device_text(const struct pumice_device_info *d, bool verbose)
{
    char memory[32], allocation[32], range[32], shared[32];
    report_bytes(d->memory_bytes, memory, sizeof memory);
    report_bytes(d->max_allocation_bytes, allocation, sizeof allocation);
    report_bytes(d->max_storage_range_bytes, range, sizeof range);
    report_bytes(d->shared_memory_bytes, shared, sizeof shared);
    printf("%s %u  %s (%s)\n", d->chosen ? "*" : " ", d->index, d->name, report_kind(d->kind));
    printf("     %s: %s\n", d->chosen ? "chosen" : d->usable ? "not chosen" : "cannot be used", d->reason);
    if (d->kind == PUMICE_DEVICE_CPU) { /* no limits but the memory */
        printf("     memory %s\n", memory);
        return;
    }
    printf("     memory %s, largest allocation %s, storage buffer range %s, subgroup %u, shared memory %s\n",
           memory, allocation, range, d->subgroup_size, shared);
    if (d->features[0] != 0) printf("     %s\n", d->features);
    printf("     Vulkan %s, driver %s, UUID %s\n", d->api, d->driver, d->uuid);
    if (verbose) printf("     kernels %s\n", d->tuning);
}

int command_devices(const struct options *o)
{
    struct pumice_device_info *devices = NULL;
    size_t capacity = 16, n = 0;
    int code = EXIT_CODE_OK;
    for (;;) {
        struct pumice_device_info *more = mem_realloc(devices, capacity, sizeof *devices);
        enum pumice_status st =
            more != NULL ? PUMICE_OK : err_memory("the list of devices", capacity * sizeof *more);
        if (more != NULL) devices = more;
        n = capacity;
        if (st == PUMICE_OK) st = pumice_devices(o->device, devices, &n);
        if (st != PUMICE_OK) {
            mem_free(devices);
            return command_fail(st);
        }
        if (n <= capacity) break;
        capacity = n;
    }
    if (o->json) {
        cJSON *list = cJSON_CreateArray();
        for (size_t i = 0; i < n; i++) cJSON_AddItemToArray(list, device_json(&devices[i]));
        const enum pumice_status st = json_print_line(list);
        if (st != PUMICE_OK) code = command_fail(st);
    } else {
        for (size_t i = 0; i < n; i++) device_text(&devices[i], o->verbose);
    }
    bool chosen = false;
    for (size_t i = 0; i < n; i++) chosen = chosen || devices[i].chosen;
    if (!chosen && code == EXIT_CODE_OK) {
        fflush(stdout);
        term_error("no device that can be used is '%s'; the list tells what there is",
                   o->device != NULL ? o->device : "auto");
        code = EXIT_CODE_FAILURE;
    }
    mem_free(devices);
    return code;
}
