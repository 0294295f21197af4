/* engine: a model on a device: weights, activations, device list. See pumice.h. */
#include "engine.h"

#include "quant.h"

#include <stdio.h>
#include <string.h>

enum { DEVICES_TRIED = 16 };

enum pumice_status engine_check(const struct pumice_engine *e)
{
    return e->lost[0] ? err_set(PUMICE_DEVICE, "the device failed earlier: %s; open the model again", e->lost) : PUMICE_OK;
}

enum pumice_status engine_note(struct pumice_engine *e, enum pumice_status st)
{
    if (st == PUMICE_DEVICE && !e->lost[0]) snprintf(e->lost, sizeof e->lost, "%s", pumice_error());
    return st;
}

enum pumice_status engine_check_context(const struct pumice_model *m, uint32_t n_ctx)
{
    if (n_ctx <= m->h.n_context) return PUMICE_OK;
    return err_set(PUMICE_ARGUMENT, "a context of %u tokens is more than the model's %u; ask for less", n_ctx, m->h.n_context);
}

enum pumice_status engine_check_kv(const struct pumice_model *m, enum pumice_kv kv)
{
    if (!pumice_kv_name(kv)) return err_set(PUMICE_ARGUMENT, "there is no type %d of a KV cache; see enum pumice_kv", (int)kv);
    if (kv != PUMICE_KV_Q8_0 || m->h.E % KV_BLOCK == 0) return PUMICE_OK;
    return err_set(PUMICE_UNSUPPORTED, "a KV cache of q8_0 needs heads of a multiple of %d elements, this model's have %u; use f16 "
                   "(--kv f16)", KV_BLOCK, m->h.E);
}

/* --- loading ------------------------------------------------------------------------------------------------------------- */

struct loader {
    struct pumice_engine *engine;
    const struct pumice_engine_params *params;
    uint64_t done_bytes, total_bytes;
};

static enum pumice_status report(const struct loader *l)
{
    if (!l->params->progress) return PUMICE_OK;
    const float fraction = (float)((double)l->done_bytes / (double)l->total_bytes);
    if (l->params->progress(l->params->user, "load", fraction)) return PUMICE_OK;
    return err_set(PUMICE_CANCELLED, "loading was cancelled");
}

/* A vector is f32 on every device, whatever the file has. */
static enum pumice_status as_floats(struct arena *a, const struct gguf_tensor *t, struct weight_source *src)
{
    float *x = arena_alloc(a, src->k, sizeof *x);
    if (!x) return err_memory(src->name, src->k * sizeof *x);
    quant_dequantize_row(t->type, t->data, x, src->k);
    src->data = x;
    src->type = GGUF_T_F32;
    return PUMICE_OK;
}

static enum pumice_status load(struct loader *l, const struct gguf_tensor *t, bool vector, struct weight *out)
{
    enum pumice_status st = PUMICE_OK;
    struct pumice_engine *e = l->engine;
    const struct mapping *map = &e->model->map;
    struct weight_source src = {.name = arena_strndup(&e->arena, t->name.data, t->name.n), .type = t->type,
                                .n = (uint32_t)t->dims[1], .k = (uint32_t)t->dims[0], .vector = vector,
                                .lookup = t == e->model->embed && t != e->model->output, .data = t->data};
    if (!src.name) return err_memory("tensor names", t->name.n);
    if (map->data) platform_map_want(map, t->offset, t->bytes);
    if (src.vector) TRY(as_floats(&e->arena, t, &src));
    TRY(e->backend->calls->weight_create(e->backend, &src, out));
    if (map->data && !out->in_place) platform_map_drop(map, t->offset, t->bytes);
    l->done_bytes += t->bytes;
    TRY(report(l));
fail:
    return st;
}

static enum pumice_status load_layer(struct loader *l, const struct layer_tensors *t, struct layer_weights *w)
{
    enum pumice_status st = PUMICE_OK;
    const struct {
        const struct gguf_tensor *from; /* NULL: the architecture has none */
        struct weight *to;
        bool vector;
    } all[] = {{t->attn_norm, &w->attn_norm, true}, {t->q, &w->q, false},           {t->k, &w->k, false},
               {t->v, &w->v, false},                {t->q_norm, &w->q_norm, true},  {t->k_norm, &w->k_norm, true},
               {t->q_bias, &w->q_bias, true},       {t->k_bias, &w->k_bias, true},  {t->v_bias, &w->v_bias, true},
               {t->o, &w->o, false},                {t->ffn_norm, &w->ffn_norm, true}, {t->gate, &w->gate, false},
               {t->up, &w->up, false},              {t->down, &w->down, false}};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i].from) TRY(load(l, all[i].from, all[i].vector, all[i].to));
fail:
    return st;
}

static enum pumice_status label_layer(struct arena *a, uint32_t i, struct layer_labels *l)
{
    const struct {
        const char **out;
        const char *text;
    } all[] = {{&l->qkv, "attn.qkv"}, {&l->rope, "attn.rope"},     {&l->attention, "attn"},
               {&l->o, "attn.o"},     {&l->gate_up, "ffn.gate_up"}, {&l->down, "ffn.down"}};
    for (size_t j = 0; j < COUNT_OF(all); j++) {
        *all[j].out = arena_printf(a, "L%02u %s", i, all[j].text);
        if (!*all[j].out) return err_memory("op labels", 32);
    }
    return PUMICE_OK;
}

static enum pumice_status load_weights(struct pumice_engine *e, const struct pumice_engine_params *params)
{
    enum pumice_status st = PUMICE_OK;
    const struct pumice_model *m = e->model;
    struct model_weights *w = &e->weights;
    struct loader l = {.engine = e, .params = params, .total_bytes = MAX(m->weight_bytes, (uint64_t)1)};
    w->layers = arena_alloc(&e->arena, m->h.n_layers, sizeof *w->layers);
    w->labels = arena_alloc(&e->arena, m->h.n_layers, sizeof *w->labels);
    if (e->backend->calls->weights_expect) e->backend->calls->weights_expect(e->backend, e->weight_bytes);
    if (!w->layers || !w->labels) TRY(err_memory("the layers", m->h.n_layers * sizeof *w->layers));
    TRY(report(&l));
    TRY(load(&l, m->embed, false, &w->embed));
    for (uint32_t i = 0; i < m->h.n_layers; i++) {
        TRY(load_layer(&l, &m->layers[i], &w->layers[i]));
        TRY(label_layer(&e->arena, i, &w->labels[i]));
    }
    TRY(load(&l, m->output_norm, true, &w->output_norm));
    if (m->output == m->embed) w->output = w->embed;
    else TRY(load(&l, m->output, false, &w->output));
    TRY(e->backend->calls->weights_done(e->backend));
    l.done_bytes = l.total_bytes;
    TRY(report(&l));
fail:
    return st;
}

size_t activations_of(const struct hparams *h, uint64_t T, struct activations *a, struct activation *list)
{
    const uint64_t f = sizeof(float), HE = (uint64_t)h->H * h->E, GE = (uint64_t)h->G * h->E;
    const struct activation all[] = {{&a->step, sizeof(struct step) + T * 4, MEM_STEP, "step"},
                                     {&a->x, T * h->D * f, MEM_SCRATCH, "x"},
                                     {&a->normed, T * h->D * f, MEM_SCRATCH, "normed"},
                                     {&a->q, T * HE * f, MEM_SCRATCH, "q"},
                                     {&a->attention, T * HE * f, MEM_SCRATCH, "attention"},
                                     {&a->k, T * GE * f, MEM_SCRATCH, "k"},
                                     {&a->v, T * GE * f, MEM_SCRATCH, "v"},
                                     {&a->gate, T * h->F * f, MEM_SCRATCH, "gate"},
                                     {&a->up, T * h->F * f, MEM_SCRATCH, "up"},
                                     {&a->logits, h->V * f, MEM_SCRATCH, "logits"},
                                     {&a->candidates, sample_scratch_bytes(h->V), MEM_SCRATCH, "candidates"},
                                     {&a->draws, sizeof(struct draws), MEM_STEP, "draws"}};
    memcpy(list, all, sizeof all);
    return COUNT_OF(all);
}

static enum pumice_status make_activations(struct pumice_engine *e)
{
    enum pumice_status st = PUMICE_OK;
    struct activation all[ENGINE_MAX_ACTIVATIONS];
    const size_t n = activations_of(&e->model->h, e->chunk, &e->activations, all);
    for (size_t i = 0; i < n; i++)
        TRY(e->backend->calls->buffer_create(e->backend, all[i].use, all[i].bytes, all[i].name, all[i].out));
fail:
    return st;
}

static double gib(uint64_t bytes) { return (double)bytes / 1073741824.0; }

/* Refuses what cannot fit, and chooses the context of sessions that ask for none. */
static enum pumice_status check_fit(struct pumice_engine *e, const struct pumice_engine_params *params)
{
    struct pumice_fit fit;
    char smaller[64] = "";
    const enum pumice_status st = engine_check_context(e->model, params->n_ctx);
    if (st != PUMICE_OK) return st;
    engine_fit(e->model, e->backend, params->n_ctx, params->kv, &fit);
    e->n_ctx = fit.n_ctx;
    e->n_ctx_cut = !params->n_ctx && fit.n_ctx < MIN((uint32_t)FIT_DEFAULT_CONTEXT, e->model->h.n_context);
    e->weight_bytes = fit.weight_bytes;
    if (fit.fits) return PUMICE_OK;
    if (fit.max_ctx) snprintf(smaller, sizeof smaller, "a smaller context (-c %u fits), ", fit.max_ctx);
    if (fit.weight_bytes + fit.kv_bytes + fit.work_bytes <= fit.available_bytes)
        return err_set(PUMICE_MEMORY, "the keys of a layer for a context of %u tokens are more than %.80s allows in one buffer; use "
                       "%sanother --device, or --device cpu", fit.n_ctx, fit.device.name, smaller);
    return err_set(PUMICE_MEMORY, "%.2f GiB would be needed (weights %.2f, a context of %u tokens %.2f, work %.2f), but %.80s has %.2f "
                   "GiB free; use %sa smaller model, or another --device (pumice fit shows all)",
                   gib(fit.weight_bytes + fit.kv_bytes + fit.work_bytes), gib(fit.weight_bytes), fit.n_ctx, gib(fit.kv_bytes),
                   gib(fit.work_bytes), fit.device.name, gib(fit.available_bytes), smaller);
}

/* The back end on `device`, if the model fits. */
static enum pumice_status open_on(struct pumice_engine *e, const struct pumice_engine_params *params, const char *device)
{
    enum pumice_status st = PUMICE_OK;
    TRY(backend_create(&(struct backend_options){.device = device, .validate = params->validate, .perf = params->perf,
                                                 .n_threads = params->n_threads}, &e->backend));
    e->chunk = engine_chunk(&e->model->h, e->backend);
    TRY(check_fit(e, params));
    return PUMICE_OK;
fail:
    if (e->backend) e->backend->calls->destroy(e->backend);
    e->backend = NULL;
    return st;
}

/* The device that was asked for; or the best one that works and that the model fits: the other GPUs after the first, then the
 * processor. */
static enum pumice_status open_backend(struct pumice_engine *e, const struct pumice_engine_params *params)
{
    const enum pumice_status st = open_on(e, params, params->device);
    const bool may_go_on = st == PUMICE_MEMORY || st == PUMICE_DEVICE || st == PUMICE_UNSUPPORTED;
    if (!may_go_on || !device_automatic(params->device) || params->validate) return st;
    struct pumice_device_info list[DEVICES_TRIED];
    size_t n = COUNT_OF(list);
    char why[384];
    snprintf(why, sizeof why, "%s", pumice_error());
    if (pumice_devices(NULL, list, &n) != PUMICE_OK) n = 0;
    for (size_t i = 0; i < MIN(n, COUNT_OF(list)); i++) {
        const bool cpu = list[i].kind == PUMICE_DEVICE_CPU;
        if (list[i].chosen || !list[i].usable || list[i].kind == PUMICE_DEVICE_SOFTWARE) continue;
        snprintf(e->instead, sizeof e->instead, cpu ? "cpu" : "%u", list[i].index);
        if (open_on(e, params, e->instead) != PUMICE_OK) continue;
        snprintf(e->warning, sizeof e->warning, "going on with %.100s: %s", list[i].name, why);
        return PUMICE_OK;
    }
    return err_set(st, "%s", why);
}

enum pumice_status pumice_engine_open(struct pumice_model *model, const struct pumice_engine_params *params,
                                      struct pumice_engine **out)
{
    enum pumice_status st = PUMICE_OK;
    static const struct pumice_engine_params defaults;
    const uint64_t start = platform_now_ns();
    struct pumice_engine_params on;
    *out = NULL;
    if (!params) params = &defaults;
    struct pumice_engine *e = mem_calloc(1, sizeof *e);
    if (!e) return err_memory("the engine", sizeof *e);
    e->model = model;
    e->kv = params->kv;
    TRY(model_bind(model));
    TRY(engine_check_kv(model, params->kv));
    TRY(open_backend(e, params));
    on = *params;
    if (e->instead[0]) on.device = e->instead;
    if (!on.trusted) TRY(engine_first_use(e, &on));
    e->chunk = engine_chunk(&model->h, e->backend);
    TRY(check_fit(e, &on)); /* other kernels may want other layouts, and other steps */
    TRY(load_weights(e, &on));
    TRY(make_activations(e));
    e->load_ns = platform_now_ns() - start;
    *out = e;
    return PUMICE_OK;
fail:
    pumice_engine_close(e);
    return st;
}

void pumice_engine_close(struct pumice_engine *e)
{
    if (!e) return;
    if (e->backend) e->backend->calls->destroy(e->backend);
    arena_fini(&e->arena);
    mem_free(e);
}

void pumice_engine_get_info(const struct pumice_engine *e, struct pumice_engine_info *out)
{
    *out = (struct pumice_engine_info){.load_ns = e->load_ns, .n_ctx_cut = e->n_ctx_cut, .device_bytes = e->backend->calls->device_bytes(e->backend)};
    e->backend->calls->info(e->backend, &out->device);
    memcpy(out->warning, e->warning, sizeof out->warning);
}

void pumice_engine_perf(const struct pumice_engine *e, struct pumice_perf_row *rows, size_t *n)
{
    e->backend->calls->perf(e->backend, rows, n);
}

/* --- devices ------------------------------------------------------------------------------------------------------------------ */

enum pumice_status pumice_devices(const char *wanted, struct pumice_device_info *out, size_t *n)
{
    enum pumice_status st = PUMICE_OK;
    struct backend *cpu = NULL;
    const size_t capacity = *n;
    const bool by_name = wanted && (strcmp(wanted, "cpu") == 0 || strcmp(wanted, "reference") == 0);
    const bool automatic = device_automatic(wanted);
    bool taken = false;
    TRY(gpu_devices(wanted, out, n));
    for (size_t i = 0; i < MIN(*n, capacity); i++) {
        if (by_name) out[i].chosen = false;
        taken = taken || out[i].chosen;
    }
    if (*n < capacity) {
        struct pumice_device_info *own = &out[*n];
        TRY(cpu_backend_create(&(struct backend_options){.device = by_name ? wanted : "cpu"}, &cpu));
        cpu->calls->info(cpu, own);
        own->index = (uint32_t)*n;
        own->chosen = by_name || (automatic && !taken);
        snprintf(own->reason, sizeof own->reason, "%s",
                 by_name ? "asked for" : own->chosen ? "no usable Vulkan device" : "--device cpu takes it");
    }
    ++*n;
fail:
    if (cpu) cpu->calls->destroy(cpu);
    return st;
}
