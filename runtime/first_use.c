/* first_use: a device and driver that were not seen before have to show that they compute right.
 *
 * Drivers have had wrong code for kernels that are right everywhere else, and then a model talks gibberish. So before a model
 * is loaded, the rows of the kernel table that it needs are run against the reference, on a back end of their own. When one
 * is wrong, the other ways to compute the same are tried in turn, and the person is told. The result is kept in the cache
 * directory, under a name made of device, driver, kernels and needs. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

enum { MAX_VARIANTS = 32 };

static void need_tensor(struct kernel_needs *n, const struct gguf_tensor *t)
{
    if (t && t->n_dims > 1 && (size_t)t->type < COUNT_OF(n->types)) n->types[t->type] = true;
}

static struct kernel_needs needs_of(const struct pumice_model *m, enum pumice_kv kv)
{
    struct kernel_needs n = {.rope = m->layers[0].q_norm ? OP_QK_NORM_ROPE_KV : OP_BIAS_ROPE_KV, .kv = kv};
    need_tensor(&n, m->embed);
    need_tensor(&n, m->output);
    for (uint32_t i = 0; i < m->h.n_layers; i++) {
        const struct gguf_tensor *all[LAYER_MATRICES];
        layer_matrices(&m->layers[i], all);
        for (size_t j = 0; j < COUNT_OF(all); j++) need_tensor(&n, all[j]);
    }
    return n;
}

static bool cache_name(const struct backend *b, const struct kernel_needs *n, char *out, size_t out_bytes)
{
    char dir[1024];
    if (platform_dir(PLATFORM_CACHE, dir, sizeof dir) != PUMICE_OK) return false;
    uint64_t h = b->calls->identity(b);
    h = hash_bytes(n->types, sizeof n->types, h);
    h = hash_bytes(&n->rope, sizeof n->rope, h);
    h = hash_bytes(&n->kv, sizeof n->kv, h);
    h = hash_bytes(pumice_version(), strlen(pumice_version()), h);
    return snprintf(out, out_bytes, "%s/checked-%016llx.txt", dir, (unsigned long long)h) < (int)out_bytes;
}

/* The number of the variant that was right, and the name of the kernel that was wrong before it, if any. */
static bool cache_read(const char *path, uint32_t *variant, char *wrong, size_t wrong_bytes)
{
    char *text = NULL;
    size_t n = 0;
    unsigned v = MAX_VARIANTS;
    int at = 0;
    if (!platform_exists(path) || platform_read(path, 4096, &text, &n) != PUMICE_OK) return false;
    const bool ok = sscanf(text, "%u %n", &v, &at) == 1 && v < MAX_VARIANTS && at > 0;
    if (ok) {
        *variant = v;
        snprintf(wrong, wrong_bytes, "%s", text + at);
        wrong[strcspn(wrong, "\n")] = 0;
    }
    mem_free(text);
    return ok;
}

/* Tries the variants in turn on a back end of its own. */
static enum pumice_status find_right(const struct pumice_engine_params *params, const struct kernel_needs *needs, uint32_t *variant,
                                     char *wrong, size_t wrong_bytes)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = NULL;
    struct pumice_device_info info;
    TRY(backend_create(&(struct backend_options){.device = params->device, .validate = params->validate, .n_threads = params->n_threads}, &b));
    b->calls->info(b, &info);
    for (uint32_t v = 0; v < MAX_VARIANTS; v++) {
        const uint64_t begin = platform_now_ns();
        size_t n_rows = 0, n_wrong = 0;
        char name[96] = "";
        const char *of = b->calls->variant(b, v);
        if (!of) break;
        TRY(kernel_table_check(b, needs, params, &n_rows, &n_wrong, name, sizeof name));
        log_line(PUMICE_LOG_INFO, "self-test of %zu kernels (%s): %zu wrong, %.0f ms", n_rows, of, n_wrong,
                 (double)(platform_now_ns() - begin) / 1e6);
        if (n_wrong == 0) {
            *variant = v;
            goto fail;
        }
        if (!wrong[0]) snprintf(wrong, wrong_bytes, "%s", name);
    }
    st = err_set(PUMICE_DEVICE, "%.100s computes wrong results (%s); update its driver, or use --device cpu or another device",
                 info.name, wrong);
fail:
    if (b) b->calls->destroy(b);
    return st;
}

static bool on_tuned(void *user, const struct pumice_tune_row *row)
{
    const struct pumice_engine_params *params = user;
    log_line(PUMICE_LOG_INFO, "tuning: %s %u: %.1f us%s", row->knob, row->value, row->ns / 1e3, row->chosen ? ", chosen" : "");
    return !params->progress || params->progress(params->user, "tune", 0);
}

/* A GPU that was not tuned before is tuned now. That it failed (but for a cancel) is no reason not to go on. */
static enum pumice_status tune(struct pumice_engine *e, const struct pumice_engine_params *params)
{
    struct backend *b = e->backend;
    struct pumice_device_info info;
    b->calls->info(b, &info);
    if (params->no_tune || !b->calls->tuned || b->calls->tuned(b) || info.kind == PUMICE_DEVICE_SOFTWARE) return PUMICE_OK;
    const uint64_t begin = platform_now_ns();
    const enum pumice_status st = pumice_tune(params, e->model, on_tuned, (void *)(uintptr_t)params);
    if (st == PUMICE_CANCELLED) return st;
    log_line(PUMICE_LOG_INFO, "tuned in %.1f s%s%s", (double)(platform_now_ns() - begin) / 1e9, st == PUMICE_OK ? "" : ", in vain: ",
             st == PUMICE_OK ? "" : pumice_error());
    if (st != PUMICE_OK) (void)b->calls->tune_keep(b); /* what is built in, so that it is not tried at every start */
    (void)b->calls->variant(b, 0);                    /* what is kept now */
    return PUMICE_OK;
}

enum pumice_status engine_first_use(struct pumice_engine *e, const struct pumice_engine_params *params)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *b = e->backend;
    char path[1200], wrong[96] = "", line[128];
    uint32_t variant = 0;
    if (!b->calls->identity) return PUMICE_OK;
    TRY(tune(e, params));
    const struct kernel_needs needs = needs_of(e->model, e->kv);
    const bool named = cache_name(b, &needs, path, sizeof path);
    if (!named || !cache_read(path, &variant, wrong, sizeof wrong)) {
        TRY(find_right(params, &needs, &variant, wrong, sizeof wrong));
        const int n = snprintf(line, sizeof line, "%u %s\n", variant, wrong);
        if (named && platform_write_atomic(path, line, (size_t)n) != PUMICE_OK)
            log_line(PUMICE_LOG_INFO, "the self-test's result is not kept: %s", pumice_error());
    }
    if (variant == 0) return PUMICE_OK;
    const char *name = b->calls->variant(b, variant);
    const size_t n = strlen(e->warning); /* that another device was passed over */
    snprintf(e->warning + n, sizeof e->warning - n, "%sthis device's driver computes %s wrong; going on with other kernels (%s)", n ? "; " : "", wrong,
             name ? name : "?");
fail:
    return st;
}
