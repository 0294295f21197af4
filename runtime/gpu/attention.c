/* attention: the recorder of attention, and the windows in which kernels see a layer's caches. */
#include "recorders.h"

enum pumice_status gpu_kv_window(const struct gpu_backend *g, const struct op *op, struct kv_window *w)
{
    const uint64_t head_bytes = op->kv.C * kv_row_bytes(op->kv.type, op->E), most = g->device.physical.limits.max_storage_range;
    if (head_bytes > most)
        return err_set(PUMICE_UNSUPPORTED, "%s binds at most %.0f MiB, and one head of %u positions takes %.0f MiB; use a smaller "
                       "context (-c)", g->device.physical.info.name, (double)most / 1048576.0, op->kv.C,
                       (double)head_bytes / 1048576.0);
    w->n_g = (uint32_t)MIN(op->G - w->g0, most / head_bytes);
    w->k = (struct binding){.buf = op->kv.k, .at = w->g0 * head_bytes, .bytes = w->n_g * head_bytes};
    w->v = (struct binding){.buf = op->kv.v, .at = w->g0 * head_bytes, .bytes = w->n_g * head_bytes};
    return PUMICE_OK;
}

/* What the kernels have in common; bindings 0 .. 4. */
static struct dispatch dispatch_of(const struct op *op, const struct kv_window *w)
{
    return (struct dispatch){.bindings = {{.buf = op->x}, w->k, w->v, {.buf = op->step}, {.buf = op->y, .write = true}}};
}

static struct attention_push push_of(const struct op *op, const struct kv_window *w)
{
    return (struct attention_push){.H = op->H, .G = op->G, .T = op->T, .g0 = w->g0, .C = op->kv.C, .scale = op->scale};
}

/* Where a driver ends a kernel's loops after so many turns, all loops of it together, wherever they are, a kernel that would need more
 * for a full cache computes nonsense. Counted from above: a compiler may unroll. */
enum { LOOP_TURNS = 65000 };

static bool too_deep(const struct gpu_backend *g, uint64_t turns)
{
    return g->device.physical.limits.ends_loops && turns > LOOP_TURNS;
}

/* --- plain: a workgroup a head and token ------------------------------------------------------------------------------- */

static enum pumice_status plain(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct kv_window *w)
{
    enum pumice_status st = PUMICE_OK;
    const struct attention_push push = push_of(op, w);
    const uint32_t spec[] = {g->tuning.attention_lanes, op->E};
    struct dispatch d = dispatch_of(op, w);
    char name[64];
    const uint32_t lanes = spec[0], turns = op->E / 4 + (op->E + 31) / 32 + 1 + groups(op->E / 4, lanes) * lanes;
    if (too_deep(g, (uint64_t)groups(op->kv.C, lanes) * turns))
        return err_set(PUMICE_UNSUPPORTED, "%s runs attention to heads of %u elements over at most %u positions; use a smaller context (-c), "
                       "or --device cpu", g->device.physical.info.name, op->E, LOOP_TURNS / turns * lanes);
    d.push = &push;
    d.groups[0] = w->n_g * (op->H / op->G), d.groups[1] = op->T, d.groups[2] = 1;
    snprintf(name, sizeof name, "attention_%s%s", pumice_kv_name(op->kv.type), g->tuning.shared_reduce ? "_shared" : "");
    TRY(pipeline_get(&g->pipelines, name, 5, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

/* --- the shape of tiles ------------------------------------------------------------------------------------------------- */

struct tile_shape {
    uint32_t rows, positions; /* BR, BC */
};

/* A lane owns 4 elements of the output. */
static uint32_t tile_lanes(const struct gpu_backend *g, uint32_t E)
{
    uint32_t lanes = g->tuning.tile_lanes;
    while (lanes < E / 4) lanes *= 2;
    return lanes;
}

/* As attention_tile.comp declares it. */
static uint32_t tile_shared_bytes(uint32_t E, uint32_t lanes, struct tile_shape s)
{
    return s.rows * E * 4 + s.positions * (E + 4) * 4 + 2 * s.rows * s.positions * 4 + s.rows * 4 + lanes * 4;
}

/* The largest that fits; the last always does: E <= 256 takes 12.8 KiB, and every device has 16. */
static struct tile_shape tile_shape(const struct gpu_backend *g, uint32_t E)
{
    static const struct tile_shape all[] = {{32, 32}, {32, 16}, {16, 16}, {16, 8}, {8, 8}, {8, 4}};
    const uint32_t most = MIN(g->device.physical.limits.shared_bytes, g->tuning.tile_shared_bytes);
    size_t i = 0;
    while (i + 1 < COUNT_OF(all) && tile_shared_bytes(E, tile_lanes(g, E), all[i]) > most) i++;
    return all[i];
}

static bool tile_too_deep(const struct gpu_backend *g, const struct op *op)
{
    const struct tile_shape s = tile_shape(g, op->E);
    const uint32_t lanes = tile_lanes(g, op->E), loads = groups(s.positions * (op->E / 8), lanes);
    const uint32_t turns = 2 * loads + op->E / 4 + s.positions + groups(s.positions, lanes / s.rows) + s.positions / 4 + 1;
    return too_deep(g, (uint64_t)groups(op->kv.C, s.positions) * turns);
}

/* --- split: few tokens, the length shared by workgroups ------------------------------------------------------------------- */

enum { SPLIT_ROWS = 8 };

/* A lane owns 8 elements of a value. */
static uint32_t split_lanes(const struct gpu_backend *g, uint32_t E)
{
    uint32_t lanes = g->tuning.split_lanes;
    while (lanes < E / 8) lanes *= 2;
    return lanes;
}

/* As attention_split.comp declares it. */
static uint32_t split_shared_bytes(uint32_t E, uint32_t lanes, uint32_t rows)
{
    const uint32_t chunk = lanes / 2;
    return rows * E * 4 + MAX(rows * chunk, 2 * lanes) * 16 + rows * chunk * 4 + rows * 4 + 4;
}

/* Query rows a workgroup: 1, 2, 4 or 8, no more than there are and shared memory holds. */
static uint32_t split_rows(const struct gpu_backend *g, const struct op *op)
{
    uint32_t rows = SPLIT_ROWS;
    while (rows > 1 && (rows / 2 >= op->T * (op->H / op->G) ||
                        split_shared_bytes(op->E, split_lanes(g, op->E), rows) > g->device.physical.limits.shared_bytes))
        rows /= 2;
    return rows;
}

/* Prompts, too, are split where the caches are too long for attention_tile. */
static bool split_prompts(const struct gpu_backend *g, const struct op *op)
{
    return op->E % 32 == 0 && g->tuning.split_slices && tile_too_deep(g, op);
}

/* Bytes of the parts that one slice leaves. The same for any T of a session: device memory does not grow. */
static uint64_t slice_bytes(const struct gpu_backend *g, const struct op *op)
{
    const uint32_t tokens = split_prompts(g, op) ? MAX(GPU_SOFTWARE_CHUNK, op->T) : GPU_SPLIT_TOKENS;
    return (uint64_t)tokens * op->H * (op->E + 4) * 4;
}

static uint32_t split_slices(const struct gpu_backend *g, const struct op *op)
{
    const uint32_t lanes = split_lanes(g, op->E), chunk = lanes / 2, turns = groups(SPLIT_ROWS * chunk, lanes) + chunk + 1;
    const uint64_t bound = MAX(g->device.physical.limits.max_storage_range / slice_bytes(g, op), 1); /* the parts are one binding */
    uint32_t wanted = g->tuning.split_slices;
    while (wanted < chunk && too_deep(g, (uint64_t)groups(groups(op->kv.C, wanted), chunk) * turns)) wanted++;
    return (uint32_t)MIN(bound, (uint64_t)MIN(MIN(wanted, chunk), (op->kv.C + chunk - 1) / chunk));
}

/* A buffer for the parts, and the counters, which are 0 between dispatches. One that is too small stays for the plans that use
 * it. */
static enum pumice_status split_buffers(struct gpu_backend *g, const struct op *op, struct buf *parts)
{
    enum pumice_status st = PUMICE_OK;
    const uint64_t bytes = slice_bytes(g, op) * split_slices(g, op);
    TRY(gpu_counters(g));
    for (uint32_t i = 0; i < g->n_parts; i++)
        if (g->parts[i].bytes >= bytes) {
            *parts = g->parts[i];
            return PUMICE_OK;
        }
    if (g->n_parts == GPU_MAX_PARTS) return err_set(PUMICE_UNSUPPORTED, "too many shapes of attention on one device; open it again");
    TRY(memory_create(&g->memory, MEM_SCRATCH, bytes, "attention parts", &g->parts[g->n_parts]));
    *parts = g->parts[g->n_parts++];
fail:
    return st;
}

static enum pumice_status join(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct kv_window *w,
                               struct buf parts, uint32_t slices)
{
    enum pumice_status st = PUMICE_OK;
    const struct attention_push push = push_of(op, w);
    const uint32_t spec[] = {64, op->E, slices, split_lanes(g, op->E) / 2};
    struct dispatch d = {.bindings = {{.buf = op->step}, {.buf = op->y, .write = true}, {.buf = parts}}, .push = &push,
                         .groups = {w->n_g * (op->H / op->G), op->T, 1}};
    TRY(pipeline_get(&g->pipelines, "attention_join", 3, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

static enum pumice_status split(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct kv_window *w,
                                struct buf parts)
{
    enum pumice_status st = PUMICE_OK;
    const struct gpu_tuning *t = &g->tuning;
    const uint32_t rows = split_rows(g, op), lanes = split_lanes(g, op->E), slices = split_slices(g, op);
    const struct attention_push push = push_of(op, w);
    const uint32_t spec[] = {lanes, op->E, rows, slices, t->split_join};
    struct dispatch d = dispatch_of(op, w);
    char name[64];
    d.bindings[5] = (struct binding){.buf = parts, .write = true};
    d.bindings[6] = (struct binding){.buf = g->counters, .write = true};
    d.push = &push;
    d.groups[0] = slices, d.groups[1] = w->n_g, d.groups[2] = (op->T * (op->H / op->G) + rows - 1) / rows;
    snprintf(name, sizeof name, "attention_split_%s", pumice_kv_name(op->kv.type));
    TRY(pipeline_get(&g->pipelines, name, 7, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
    if (!t->split_join) TRY(join(g, r, op, w, parts, slices));
fail:
    return st;
}

/* --- with RoPE: one token, on software drivers ------------------------------------------------------------------------------ */

enum { ROPE_QUERIES = 1024 /* elements of a KV head's queries that its workgroup may own */ };

bool gpu_rope_attention_suits(const struct gpu_backend *g, const struct op *op)
{
    const uint64_t most = g->device.physical.limits.max_storage_range;
    const uint32_t queries = op->H / op->G, chunk = 8 * SLICES_LANES; /* as rope_attention.comp goes through the positions */
    if (too_deep(g, (uint64_t)groups(op->kv.C, chunk) * (8 + 8 * queries + chunk / 4 + 1))) return false;
    return op->E % 32 == 0 && op->H / op->G * op->E <= ROPE_QUERIES && op->kv.k.bytes <= most &&
           op->kv.v.bytes <= most;
}

enum pumice_status gpu_rope_attention(struct gpu_backend *g, struct recorder *r, const struct op *rope, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const bool norm = rope->kind == OP_QK_NORM_ROPE_KV, bias = !norm && rope->w;
    const uint32_t spec[] = {SLICES_LANES, op->E, op->H / op->G, rope->rope.neighbours, norm, bias,
                             g->device.physical.limits.loads_vectors};
    struct buf turns = {0};
    char name[64];
    TRY(gpu_rope_table(g, op->E, &rope->rope, &turns));
    struct rope_attention_push push = {.q = address_of(g, rope->x), .k = address_of(g, rope->y), .v = address_of(g, rope->z),
                                       .turns = address_of(g, turns), .keys = address_of(g, op->kv.k), .values = address_of(g, op->kv.v),
                                       .y = address_of(g, op->y), .C = op->kv.C, .eps = rope->eps, .scale = op->scale};
    if (norm || bias) push.q_weight = address_of(g, rope->w->parts[0].buf), push.k_weight = address_of(g, rope->w2->parts[0].buf);
    if (bias) push.v_weight = address_of(g, rope->w3->parts[0].buf);
    struct dispatch d = {.bindings = {in(op->step), in(rope->x), in(rope->y), in(rope->z), out(op->kv.k), out(op->kv.v), out(op->y)},
                         .push = &push, .groups = {op->G, 1, 1}}; /* all but the first are bound for their barriers alone */
    kernel_name(name, sizeof name, "rope_attention", pumice_kv_name(op->kv.type), "");
    TRY(pipeline_get(&g->pipelines, name, 7, sizeof push, spec, COUNT_OF(spec), &d.pipeline));
    TRY(recorder_dispatch(r, &d));
fail:
    return st;
}

/* --- tile: many tokens, K and V streamed through shared memory ------------------------------------------------------------ */

#define ATTENTION_MAX_PARTS 64.0

/* Blocks of rows are a dispatch, or several that are submitted apart where the device, at the pace it has shown, would take too long
 * for all of a full cache. The blocks are the same, and so is what they compute. */
static enum pumice_status blocks(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct kv_window *w,
                                 struct dispatch *d, uint32_t n)
{
    enum pumice_status st = PUMICE_OK;
    const struct work work = work_of(op);
    const double share = (double)w->n_g / op->G; /* of the op, in this window */
    const double ns = (work.base + work.a_past * op->kv.C) * share * g->device.pace;
    const uint32_t parts = (uint32_t)MAX(1.0, MIN(MIN((double)n, ATTENTION_MAX_PARTS), ns / PACE_PIECE_NS)), each = groups(n, parts);
    struct attention_push push = push_of(op, w);
    d->push = &push;
    d->groups[1] = w->n_g, d->groups[2] = 1;
    for (uint32_t at = 0; at < n; at += each) {
        push.block0 = at;
        d->groups[0] = MIN(each, n - at);
        d->beside = at > 0;
        TRY(recorder_dispatch(r, d));
        if (at + each < n) TRY(recorder_op_part(r, op, share * each / n));
    }
fail:
    return st;
}

static enum pumice_status tile(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct kv_window *w)
{
    enum pumice_status st = PUMICE_OK;
    const struct tile_shape s = tile_shape(g, op->E);
    const uint32_t spec[] = {tile_lanes(g, op->E), op->E, s.rows, s.positions};
    struct dispatch d = dispatch_of(op, w);
    char name[64];
    snprintf(name, sizeof name, "attention_tile_%s", pumice_kv_name(op->kv.type));
    TRY(pipeline_get(&g->pipelines, name, 5, sizeof(struct attention_push), spec, COUNT_OF(spec), &d.pipeline));
    TRY(blocks(g, r, op, w, &d, groups(op->T * (op->H / op->G), s.rows)));
fail:
    return st;
}

/* --- matrix: the same by cooperative matrices ------------------------------------------------------------------------------ */

struct matrix_shape {
    uint32_t rows, sub, parts, lanes; /* BR, SM, PARTS, WG */
};

enum { MATRIX_POSITIONS = 32, MATRIX_SUMS = 64 /* of values a lane, so that they stay in registers */ };

/* As attention_matrix.comp declares it. */
static uint32_t matrix_shared_bytes(uint32_t E, uint32_t rows)
{
    const uint32_t positions = MATRIX_POSITIONS;
    return (rows + positions) * (2 * E + 16) + rows * (2 * positions + 16) + positions * (rows + 4) * 4 +
           rows * (positions / 8 + 2) * 4 + 4;
}

/* How a workgroup of that many rows is cut for its subgroups. Two parts: each half of a tile is loaded by half as many. */
static struct matrix_shape matrix_cut(const struct device_features *f, uint32_t E, uint32_t rows)
{
    const uint32_t columns = 2 * f->matrix.n;
    struct matrix_shape s = {.rows = rows, .sub = 1, .parts = E % columns == 0 && MATRIX_POSITIONS % columns == 0 ? 2 : 1};
    while (rows % (2 * s.sub * f->matrix.m) == 0 && 2 * s.sub * f->matrix.m * (E / s.parts) <= MATRIX_SUMS * f->subgroup_pinned)
        s.sub *= 2;
    s.lanes = rows / (s.sub * f->matrix.m) * s.parts * f->subgroup_pinned;
    return s;
}

/* The most rows that fit; .rows = 0: none do. */
static struct matrix_shape matrix_shape(const struct gpu_backend *g, uint32_t E, uint32_t T)
{
    static const uint32_t rows[] = {64, 32, 16};
    const struct device_limits *l = &g->device.physical.limits;
    const struct device_features *f = &l->features;
    const struct matrix_shape none = {0};
    if (!g->tuning.attention_matrix || !g->tuning.tile_from || T < g->tuning.tile_from || !f->matrix.m) return none;
    /* a matrix of V begins at a whole word of 8 halves; features.c took care of rows and positions */
    if (E % 32 || f->matrix.n % 8 || E % f->matrix.n || E % f->matrix.k) return none;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct matrix_shape s = matrix_cut(f, E, rows[i]);
        if (matrix_shared_bytes(E, s.rows) <= MIN(l->shared_bytes, g->tuning.tile_shared_bytes) && s.lanes <= l->max_lanes) return s;
    }
    return none;
}

bool gpu_attention_by_matrix(const struct gpu_backend *g, uint32_t E, uint32_t T) { return matrix_shape(g, E, T).rows != 0; }

static enum pumice_status matrix(struct gpu_backend *g, struct recorder *r, const struct op *op, const struct kv_window *w)
{
    enum pumice_status st = PUMICE_OK;
    const struct device_features *f = &g->device.physical.limits.features;
    const struct matrix_shape s = matrix_shape(g, op->E, op->T);
    const uint32_t spec[] = {s.lanes, op->E, s.rows, MATRIX_POSITIONS, s.sub, f->matrix.m, f->matrix.n, f->matrix.k, s.parts};
    struct dispatch d = dispatch_of(op, w);
    char name[64];
    snprintf(name, sizeof name, "attention_matrix_%s", pumice_kv_name(op->kv.type));
    TRY(pipeline_get_pinned(&g->pipelines, name, 5, sizeof(struct attention_push), spec, COUNT_OF(spec), f->subgroup_pinned, &d.pipeline));
    TRY(blocks(g, r, op, w, &d, groups(op->T * (op->H / op->G), s.rows)));
fail:
    return st;
}

enum pumice_status gpu_record_attention(struct gpu_backend *g, struct recorder *r, const struct op *op)
{
    enum pumice_status st = PUMICE_OK;
    const struct gpu_tuning *t = &g->tuning;
    const bool wide = op->E % 32 == 0, deep = split_prompts(g, op);
    const bool many = t->tile_from && op->T >= t->tile_from && !deep;
    const bool by_matrix = gpu_attention_by_matrix(g, op->E, op->T);
    struct buf parts = {0};
    if (op->E % 4)
        return err_set(PUMICE_UNSUPPORTED, "heads of %u dimensions: a multiple of 4 is needed on Vulkan; use --device cpu", op->E);
    if (wide && t->split_slices) TRY(split_buffers(g, op, &parts)); /* also where later plans only want it: memory does not grow */
    for (struct kv_window w = {0}; w.g0 < op->G; w.g0 += w.n_g) {
        TRY(gpu_kv_window(g, op, &w));
        if (by_matrix) TRY(matrix(g, r, op, &w));
        else if (wide && many) TRY(tile(g, r, op, &w));
        else if (wide && t->split_slices && (op->T <= GPU_SPLIT_TOKENS || deep)) TRY(split(g, r, op, &w, parts));
        else TRY(plain(g, r, op, &w));
    }
fail:
    return st;
}
