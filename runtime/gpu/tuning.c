/* tuning: how kernels map to a device, by its class, and the other ways to compute the same. */
#include "gpu.h"

static bool can_dot(const struct device_limits *l) { return l->features.dot && l->max_lanes >= MATMUL_DOT_SIDE * MATMUL_DOT_SIDE; }

bool tuning_family_suits(const struct device_limits *l, enum matmul_family family)
{
    return family == MATMUL_HALF ? l->features.half : family == MATMUL_DOT ? can_dot(l) : family != MATMUL_MATRIX || l->features.matrix.m;
}

/* What lanes.glsl and addresses of weights want of a device. */
static bool can_slice(const struct device_limits *l)
{
    return l->buffer_address && l->subgroup_arithmetic && l->subgroup_shuffle && l->subgroup_size >= SLICES_LANES;
}

/* SPEED.md has the measurements behind these. */
static struct gpu_tuning tuning_for(const struct device_limits *l)
{
    const uint32_t subgroup = MAX(4u, MIN(l->subgroup_size, 128u));
    const uint32_t lanes = subgroup < 8 ? 4 : subgroup < 16 ? 8 : 16; /* of software: one vector register */
    const bool slices = lanes == SLICES_LANES && can_slice(l);
    const struct gpu_tuning software = {.name = "lane per row", .layout = {.rows = lanes, .vec = 2}, .lane_rows = true, .sliced = slices,
                                        .pairs = slices, .lanes = lanes, .rows = 4, .max_cols = slices ? 8 : 6, .norm_lanes = lanes, .head_lanes = lanes,
                                        .attention_lanes = lanes, .sample_lanes = 64, .sample_items = 16,
                                        .shared_reduce = !l->subgroup_arithmetic, .split_slices = 4, .split_lanes = 16,
                                        .split_join = true, .tile_from = GPU_SPLIT_TOKENS + 1, .tile_lanes = 32,
                                        .tile_shared_bytes = 48 << 10};
    const struct gpu_tuning gpu = {.name = "lanes share a row", .layout = {.rows = 1, .vec = 4}, .lanes = MAX(32u, subgroup), .rows = 4,
                                   .fill = 2048, .max_cols = 8, .matmul_from = 9, .fold_norm = true, .fuse_gate = true, .norm_lanes = 128, .head_lanes = 64,
                                   .attention_lanes = 64, .shared_reduce = !l->subgroup_arithmetic,
                                   .split_slices = 64, .split_lanes = 128, .split_join = l->joins,
                                   .tile_from = GPU_SPLIT_TOKENS + 1, .tile_lanes = 128, .tile_shared_bytes = 48 << 10,
                                   .attention_matrix = l->features.matrix.m != 0, .sample_lanes = 256, .sample_items = 8,
                                   .family = l->features.matrix.m ? MATMUL_MATRIX
                                             : l->features.dot_accelerated && can_dot(l) ? MATMUL_DOT
                                             : l->features.half                          ? MATMUL_HALF : MATMUL_TILED};
    return l->software ? software : gpu;
}

static bool chosen(const struct device_limits *l, uint32_t i, struct gpu_tuning *t)
{
    enum { HALVES = 8, DOTS = 10, MATRICES = 12 }; /* those that need a feature; without it the next ones move up */
    const struct gpu_tuning automatic = tuning_for(l);
    /* one kernel, or those of one way, are given up before all */
    if (i > 0 && automatic.pairs && i-- == 1) {
        *t = automatic;
        t->name = "single ops";
        t->pairs = false;
        return true;
    }
    if (i > 0 && automatic.sliced && i-- == 1) {
        *t = automatic;
        t->name = "lane per row, not sliced";
        t->pairs = t->sliced = false;
        return true;
    }
    if (i > 0 && automatic.attention_matrix && i-- == 1) {
        *t = automatic;
        t->name = "attention tiles";
        t->attention_matrix = false;
        return true;
    }
    if (i > 0 && automatic.family != MATMUL_TILED && i-- == 1) {
        *t = automatic;
        t->name = "f32 tiles";
        t->family = MATMUL_TILED;
        return true;
    }
    if (i >= HALVES && !l->features.half) i += DOTS - HALVES;
    if (i >= DOTS && !can_dot(l)) i += MATRICES - DOTS;
    if (i >= MATRICES && !l->features.matrix.m) return false;
    const struct gpu_tuning share = {.name = "share", .layout = {.rows = 1, .vec = 4}, .lanes = 32, .rows = 2, .max_cols = 8, .norm_lanes = 128,
                                     .head_lanes = 64, .attention_lanes = 64, .split_slices = 64, .split_lanes = 128,
                                     .split_join = true, .tile_from = GPU_SPLIT_TOKENS + 1, .tile_lanes = 128,
                                     .tile_shared_bytes = 48 << 10, .sample_lanes = 256, .sample_items = 8,
                                     .shared_reduce = !l->subgroup_arithmetic};
    *t = share;
    switch (i) {
    case 0: *t = automatic; return true;
    case 1: t->fold_norm = t->fuse_gate = true; return true;
    case 2: t->name = "share+shared"; t->shared_reduce = true; t->lanes = 24; t->rows = 4; t->fill = 64; t->attention_lanes = 32; t->fold_norm = true;
            t->sample_lanes = 128; t->sample_items = 8; t->split_lanes = 64; t->split_slices = 7; t->split_join = false;
            t->tile_from = 3; t->tile_lanes = 64; t->tile_shared_bytes = 16 << 10; return true;
    case 3: t->name = "tiled"; t->matmul_from = t->tile_from = 1; t->max_rows = TILE_LARGEST; t->tile_shared_bytes = 16 << 10; return true;
    case 4: t->name = "lane rows 8x2"; t->lane_rows = true; t->layout = (struct layout){.rows = 8, .vec = 2}; t->lanes = 8;
            t->split_slices = t->tile_from = 0; return true;
    case 5: t->name = "lane rows 16x4"; t->lane_rows = true; t->layout = (struct layout){.rows = 16, .vec = 4}; t->lanes = 32; t->max_cols = 4;
            t->shared_reduce = true; t->norm_lanes = 24; t->head_lanes = 20; t->attention_lanes = 12;
            t->sample_lanes = 24; t->sample_items = 43; t->split_slices = t->tile_from = 0; return true;
    case 6: t->name = "lane rows 4x1 address"; t->rows = 3; t->lane_rows = true; t->split_join = false; t->tile_from = 0;
            t->layout = (struct layout){.rows = 4, .vec = 1}; t->lanes = 8;
            t->by_address = l->buffer_address; t->shared_reduce = !l->subgroup_arithmetic; return true;
    case 7: t->name = "tiled address"; t->matmul_from = 2; t->by_address = l->buffer_address; t->layout = (struct layout){.rows = 8, .vec = 2}; t->max_rows = 16;
            t->shared_reduce = !l->subgroup_arithmetic; return true;
    case 8: t->name = "half"; t->matmul_from = 2; t->family = MATMUL_HALF; t->max_rows = TILE_LARGEST; return true;
    case 9: t->name = "half 16 rows"; t->matmul_from = 2; t->family = MATMUL_HALF; t->max_rows = 16; t->layout = (struct layout){.rows = 8, .vec = 2};
            t->norm_lanes = 24; t->shared_reduce = true; return true;
    case 10: t->name = "dot"; t->matmul_from = 2; t->fold_norm = t->fuse_gate = true; t->dot_one = 1; t->max_rows = TILE_LARGEST; t->family = MATMUL_DOT; t->shared_reduce = !l->subgroup_arithmetic; return true;
    case 11: t->name = "dot 16 rows"; t->matmul_from = 1; t->family = MATMUL_DOT; t->max_rows = 16; t->layout = (struct layout){.rows = 8, .vec = 2};
            t->norm_lanes = 24; t->shared_reduce = !l->subgroup_arithmetic; return true;
    case 12: t->name = "matrix"; t->matmul_from = 2; t->max_rows = TILE_LARGEST; t->family = MATMUL_MATRIX; t->attention_matrix = true; t->shared_reduce = !l->subgroup_arithmetic; return true;
    case 13: t->name = "matrix 16 rows"; t->matmul_from = 1; t->family = MATMUL_MATRIX; t->max_rows = 16; t->layout = (struct layout){.rows = 8, .vec = 2};
            t->attention_matrix = true; t->tile_from = 1; t->tile_shared_bytes = 20 << 10; t->shared_reduce = true; return true;
    default: return false;
    }
}

/* Cuts what a device may not have down to its limits. */
static struct gpu_tuning within(const struct device_limits *l, struct gpu_tuning t)
{
    uint32_t *const lanes[] = {&t.lanes, &t.norm_lanes, &t.head_lanes, &t.attention_lanes, &t.sample_lanes, &t.split_lanes,
                               &t.tile_lanes};
    const uint32_t slice = t.sample_lanes * t.sample_items;
    for (size_t i = 0; i < COUNT_OF(lanes); i++) *lanes[i] = MIN(*lanes[i], MAX(l->max_lanes, 1u));
    t.sample_items = (slice + t.sample_lanes - 1) / t.sample_lanes;
    t.shared_reduce |= !l->subgroup_arithmetic;
    t.by_address &= l->buffer_address;
    return t;
}

bool tuning_variant(const struct device_limits *l, uint32_t i, struct gpu_tuning *t)
{
    if (!chosen(l, i, t)) return false;
    *t = within(l, *t);
    return true;
}
