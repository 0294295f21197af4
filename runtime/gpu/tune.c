/* tune: the numbers of struct gpu_tuning that change speed alone, and the choice that was measured to be best on a device.
 *
 * A new number is a line of `knobs`. The choice is kept in the cache directory, under a name made of device, driver and
 * kernels; a file that is damaged, or has a value that is not offered, is ignored as a whole. */
#include "gpu.h"
#include "spirv.h"

#include "../platform.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { TUNE_FILE_BYTES = 2048 };
static const char head[] = "pumice tuning 1\n";

enum { SHARE = 1, LANE_ROWS = 2, SLICED = 4, ALL = SHARE | LANE_ROWS | SLICED }; /* how products of most weights are computed */

/* T: tokens at which the number shows. */
static const struct {
    const char *name;
    size_t at;
    enum op_kind kind;
    uint32_t T, ways, n, values[8];
} knobs[] = {
#define AT(field) offsetof(struct gpu_tuning, field)
    {"dot_one", AT(dot_one), OP_MATMUL, 1, SHARE, 2, {0, 1}},
    {"lanes", AT(lanes), OP_MATMUL, 1, SHARE | LANE_ROWS, 6, {4, 8, 16, 32, 64, 128}},
    {"rows", AT(rows), OP_MATMUL, 1, SHARE | LANE_ROWS, 4, {1, 2, 4, 8}},
    {"fill", AT(fill), OP_MATMUL, 1, SHARE, 6, {256, 512, 1024, 2048, 4096, 8192}},
    {"max_cols", AT(max_cols), OP_MATMUL, 8, ALL, 3, {4, 6, 8}},
    {"family", AT(family), OP_MATMUL, 256, SHARE, 4, {MATMUL_TILED, MATMUL_HALF, MATMUL_DOT, MATMUL_MATRIX}},
    {"matmul_from", AT(matmul_from), OP_MATMUL, 12, SHARE, 2, {9, 17}},
    {"norm_lanes", AT(norm_lanes), OP_RMS_NORM, 1, ALL, 6, {8, 16, 32, 64, 128, 256}},
    {"head_lanes", AT(head_lanes), OP_QK_NORM_ROPE_KV, 1, ALL, 4, {8, 16, 32, 64}},
    {"split_slices", AT(split_slices), OP_ATTENTION, 1, SHARE, 4, {16, 32, 64, 128}},
    {"split_lanes", AT(split_lanes), OP_ATTENTION, 1, SHARE, 3, {64, 128, 256}},
    {"attention_matrix", AT(attention_matrix), OP_ATTENTION, 256, SHARE, 2, {0, 1}},
    {"tile_lanes", AT(tile_lanes), OP_ATTENTION, 256, SHARE, 3, {64, 128, 256}},
#undef AT
};
_Static_assert(sizeof(enum matmul_family) == sizeof(uint32_t), "a family is a number, too");

static uint32_t way_of(const struct gpu_tuning *t) { return t->sliced ? SLICED : t->lane_rows ? LANE_ROWS : SHARE; }

static uint32_t *number(struct gpu_tuning *t, size_t i) { return (uint32_t *)(void *)((char *)t + knobs[i].at); }

static bool offered(const struct device_limits *l, const struct gpu_tuning *t, size_t i, uint32_t value)
{
    const bool lanes = strstr(knobs[i].name, "lanes") != NULL;
    const struct device_features *f = &l->features;
    if (!(knobs[i].ways & way_of(t))) return false;
    if (knobs[i].at == offsetof(struct gpu_tuning, family) && !tuning_family_suits(l, (enum matmul_family)value)) return false;
    if (knobs[i].at == offsetof(struct gpu_tuning, dot_one) && value && !f->dot) return false;
    if (knobs[i].at == offsetof(struct gpu_tuning, attention_matrix) && value && !f->matrix.m) return false;
    /* lanes that share a row, or an op: at least a subgroup, or most of it has nothing to do */
    if (lanes && (value > l->max_lanes || (!l->software && value < l->subgroup_size))) return false;
    if (knobs[i].at == offsetof(struct gpu_tuning, lanes) && t->lane_rows && value % t->layout.rows) return false;
    for (uint32_t j = 0; j < knobs[i].n; j++)
        if (knobs[i].values[j] == value) return true;
    return false;
}

bool tune_knob_of(const struct gpu_backend *g, uint32_t i, struct tune_knob *out)
{
    struct gpu_tuning t = g->tuning;
    if (i >= COUNT_OF(knobs)) return false;
    *out = (struct tune_knob){.name = knobs[i].name, .kind = knobs[i].kind, .T = knobs[i].T, .now = *number(&t, i)};
    for (uint32_t j = 0; j < knobs[i].n; j++)
        if (offered(&g->device.physical.limits, &t, i, knobs[i].values[j])) out->values[out->n++] = knobs[i].values[j];
    return true;
}

void tune_set_knob(struct gpu_backend *g, uint32_t i, uint32_t value) { *number(&g->tuning, i) = value; }

uint64_t physical_identity(const struct physical *p)
{
    uint64_t h = hash_bytes(p->uuid, sizeof p->uuid, 0);
    h = hash_bytes(p->driver_uuid, sizeof p->driver_uuid, h);
    h = hash_bytes(p->info.driver, strlen(p->info.driver), h);
    h = hash_bytes(p->info.features, strlen(p->info.features), h); /* older validation layers hide some */
    h = hash_bytes(&p->properties.driverVersion, sizeof p->properties.driverVersion, h);
    for (size_t i = 0; i < spirv_n_kernels; i++) h = hash_bytes(spirv_kernels[i].words, spirv_kernels[i].bytes, h);
    return h;
}

static bool file_name(const struct physical *p, char *out, size_t n)
{
    char dir[1024];
    if (platform_dir(PLATFORM_CACHE, dir, sizeof dir) != PUMICE_OK) return false;
    return snprintf(out, n, "%s/tuned-%016" PRIx64 ".txt", dir, physical_identity(p)) < (int)n;
}

/* One number a line, "name value". Returns the length. */
static size_t text_of(const struct gpu_tuning *tuning, const char *between, char *out, size_t n)
{
    struct gpu_tuning t = *tuning;
    size_t used = 0;
    for (size_t i = 0; i < COUNT_OF(knobs); i++)
        if (knobs[i].ways & way_of(&t))
            used = str_append(out, n, used, "%s %u%s", knobs[i].name, *number(&t, i), between);
    return used;
}

enum pumice_status tune_write(const struct gpu_backend *g)
{
    char path[1200], text[TUNE_FILE_BYTES];
    if (!file_name(&g->device.physical, path, sizeof path)) return err_set(PUMICE_IO, "there is no cache directory; %s", pumice_error());
    size_t n = str_append(text, sizeof text, 0, "%s", head);
    n += text_of(&g->tuning, "\n", text + n, sizeof text - n);
    n = str_append(text, sizeof text, n, "hash %016" PRIx64 "\n", hash_bytes(text, n, 0));
    return platform_write_atomic(path, text, n);
}

/* All lines, or none. */
static bool parse(const struct device_limits *l, char *text, size_t n, struct gpu_tuning *t)
{
    char *hash = n > sizeof head ? strstr(text, "hash ") : NULL;
    uint64_t wanted = 0;
    struct gpu_tuning read = *t;
    if (!hash || strncmp(text, head, sizeof head - 1) || sscanf(hash, "hash %16" SCNx64, &wanted) != 1) return false;
    if (wanted != hash_bytes(text, (size_t)(hash - text), 0)) return false;
    for (char *line = text + sizeof head - 1; line < hash; line = strchr(line, '\n') + 1) {
        char name[32];
        uint32_t value = 0;
        size_t i = 0;
        if (sscanf(line, "%31s %" SCNu32, name, &value) != 2) return false;
        while (i < COUNT_OF(knobs) && strcmp(knobs[i].name, name) != 0) i++;
        if (i == COUNT_OF(knobs) || (*number(&read, i) != value && !offered(l, &read, i, value))) return false;
        *number(&read, i) = value;
    }
    *t = read;
    return true;
}

bool tune_read(const struct physical *p, struct gpu_tuning *t)
{
    char path[1200], *text = NULL;
    size_t n = 0;
    bool ok = false;
    if (!file_name(p, path, sizeof path) || !platform_exists(path)) return false;
    if (platform_read_own(path, TUNE_FILE_BYTES, &text, &n) == PUMICE_OK) ok = parse(&p->limits, text, n, t);
    mem_free(text);
    if (!ok) log_line(PUMICE_LOG_INFO, "the tuning in %s does not fit and is ignored", path);
    return ok;
}

void tune_describe(const struct gpu_tuning *t, bool tuned, char *out, size_t n)
{
    char text[TUNE_FILE_BYTES];
    const size_t used = text_of(t, ", ", text, sizeof text);
    if (used >= 2) text[used - 2] = 0;
    snprintf(out, n, "%s: %s", tuned ? "tuned" : "built in", text);
}
