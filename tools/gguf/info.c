/* info: what a file says about itself, for people and as JSON. Every string of the file is untrusted: what could move
 * a terminal's cursor is escaped in both forms. */
#include "tool.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

static const char help_text[] =
    "usage: pumice-gguf info [--tensors] [-o text|json] FILE\n"
    "\n"
    "  --tensors          list every tensor (the JSON form always does)\n"
    "  -o, --output FORM  text (the default) or json; long arrays are cut to their first elements in both\n";

enum { SHOWN_TEXT_BYTES = 100, SHOWN_ELEMENTS = 6, JSON_ELEMENTS = 16 };

/* --- values ------------------------------------------------------------------------------------- */

/* Integers as integers, floats with as many digits as tell them apart. */
static void format_number(struct gguf_reader r, char *out, size_t out_bytes)
{
    struct gguf_reader whole = r;
    int64_t i;
    double d;
    if (gguf_next_i64(&whole, &i)) {
        if (r.element == GGUF_BOOL) snprintf(out, out_bytes, "%s", i ? "true" : "false");
        else snprintf(out, out_bytes, "%lld", (long long)i);
    } else if (gguf_next_f64(&r, &d)) {
        snprintf(out, out_bytes, "%.7g", d);
        float back = 0;
        if (r.element == GGUF_U64) { /* above the largest i64 */
            uint64_t v = 0;
            for (int byte = 0; byte < 8; byte++) v |= (uint64_t)whole.at[byte] << 8 * byte;
            snprintf(out, out_bytes, "%llu", (unsigned long long)v);
        } else if (r.element == GGUF_F64 || sscanf(out, "%f", &back) != 1 || back != (float)d) {
            snprintf(out, out_bytes, r.element == GGUF_F64 ? "%.17g" : "%.9g", d);
        }
    } else {
        snprintf(out, out_bytes, "?");
    }
}

static struct gguf_reader reader_of(const struct gguf_value *v)
{
    return (struct gguf_reader){v->data, v->data + v->data_bytes, v->type == GGUF_ARRAY ? v->element : v->type, v->n};
}

static void skip_one(struct gguf_reader *r)
{
    double d;
    (void)gguf_next_f64(r, &d);
}

static void print_value(const struct gguf_value *v)
{
    char text[SHOWN_TEXT_BYTES + 8];
    struct gguf_reader r = reader_of(v);
    if (v->type == GGUF_STRING) {
        printf("\"%s\"", str_escape((struct str){(const char *)v->data, (size_t)v->n}, text, sizeof text));
        return;
    }
    if (v->type != GGUF_ARRAY) {
        format_number(r, text, sizeof text);
        printf("%s", text);
        return;
    }
    printf("%s[%llu]", value_type_name(v->element), (unsigned long long)v->n);
    if (v->element == GGUF_ARRAY) return;
    for (int i = 0; i < SHOWN_ELEMENTS && r.left; i++) {
        struct str s;
        if (v->element == GGUF_STRING) {
            if (!gguf_next_string(&r, &s)) break;
            printf(" \"%s\"", str_escape(s, text, 40));
        } else {
            format_number(r, text, sizeof text);
            printf(" %s", text);
            skip_one(&r);
        }
    }
    if (r.left) printf(" ...");
}

/* --- what both forms need ----------------------------------------------------------------------- */

struct summary {
    uint64_t n_params, weight_bytes;
    uint64_t type_tensors[GGUF_N_TENSOR_TYPES], type_bytes[GGUF_N_TENSOR_TYPES];
    struct str name, architecture;
};

static void summarise(const struct gguf *g, struct summary *s)
{
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        s->n_params += t->n_elements; /* the bytes fit in the file, so the sum cannot overflow */
        s->weight_bytes += t->bytes;
        s->type_tensors[t->type]++;
        s->type_bytes[t->type] += t->bytes;
    }
    (void)gguf_string(g, "general.name", &s->name);
    (void)gguf_string(g, "general.architecture", &s->architecture);
}

static uint64_t array_length(const struct gguf *g, const char *key)
{
    struct gguf_reader r;
    return gguf_array(g, key, &r) ? r.left : 0;
}

/* Keys "<architecture>.*" of at most 127 bytes are the hyper-parameters. */
static bool is_hyper_parameter(const struct summary *s, const struct gguf_value *v)
{
    return s->architecture.n && v->key.n > s->architecture.n + 1 &&
           memcmp(v->key.data, s->architecture.data, s->architecture.n) == 0 && v->key.data[s->architecture.n] == '.';
}

/* --- text --------------------------------------------------------------------------------------- */

static void print_tensors(const struct gguf *g)
{
    char name[128], dims[96];
    printf("tensors:\n");
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        size_t at = 0;
        for (uint32_t d = 0; d < t->n_dims; d++)
            at = str_append(dims, sizeof dims, at, "%s%llu", d ? ", " : "", (unsigned long long)t->dims[d]);
        printf("  %-32s %-8s [%s]  %s at %llu\n", str_escape(t->name, name, sizeof name), gguf_type(t->type)->name, dims,
               HUMAN_BYTES(t->bytes), (unsigned long long)t->offset);
    }
}

static void print_text(const struct gguf *g, const struct summary *s, bool tensors)
{
    char text[128];
    printf("name:          %s\n", s->name.n ? str_escape(s->name, text, sizeof text) : "(none)");
    printf("architecture:  %s\n", s->architecture.n ? str_escape(s->architecture, text, sizeof text) : "(none)");
    printf("file:          %s, GGUF version %u, alignment %u\n", HUMAN_BYTES(g->file_bytes), g->version, g->alignment);
    printf("parameters:    %s in %zu tensors, %s\n", HUMAN_COUNT(s->n_params), g->n_tensors, HUMAN_BYTES(s->weight_bytes));
    printf("types:        ");
    for (uint32_t i = 0; i < GGUF_N_TENSOR_TYPES; i++)
        if (s->type_tensors[i])
            printf(" %s x %llu (%s)", gguf_type(i)->name, (unsigned long long)s->type_tensors[i], HUMAN_BYTES(s->type_bytes[i]));
    printf("\ntokenizer:     ");
    struct str model = {0}, pre = {0}, chat = {0};
    if (gguf_string(g, "tokenizer.ggml.model", &model)) {
        printf("%s", str_escape(model, text, sizeof text));
        if (gguf_string(g, "tokenizer.ggml.pre", &pre)) printf(" / %s", str_escape(pre, text, sizeof text));
        printf(", %llu tokens, %llu merges, %s\n", (unsigned long long)array_length(g, "tokenizer.ggml.tokens"),
               (unsigned long long)array_length(g, "tokenizer.ggml.merges"),
               gguf_string(g, "tokenizer.chat_template", &chat) ? "chat template" : "no chat template");
    } else {
        printf("(none)\n");
    }
    for (int pass = 0; pass < 2; pass++) {
        printf(pass == 0 ? "hyper-parameters:\n" : "metadata:\n");
        for (size_t i = 0; i < g->n_values; i++) {
            if (is_hyper_parameter(s, &g->values[i]) != (pass == 0)) continue;
            printf("  %-40s ", str_escape(g->values[i].key, text, sizeof text));
            print_value(&g->values[i]);
            printf("\n");
        }
    }
    if (tensors) print_tensors(g);
}

/* --- JSON --------------------------------------------------------------------------------------- */

/* A JSON string of bytes that may hold NULs, controls and invalid UTF-8 (which becomes U+FFFD). */
static cJSON *json_string(struct str s)
{
    struct bytes b = {0};
    char unit[16];
    bytes_put(&b, "\"", 1);
    for (size_t i = 0; i < s.n;) {
        uint32_t c = 0;
        size_t n = utf8_decode(s.data + i, s.n - i, &c);
        if (n == 0) {
            bytes_put(&b, "\\ufffd", 6);
            n = 1;
        } else if (c == '"' || c == '\\') {
            unit[0] = '\\';
            unit[1] = (char)c;
            bytes_put(&b, unit, 2);
        } else if (!str_printable((struct str){s.data + i, n})) {
            if (c >= 0x10000) snprintf(unit, sizeof unit, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
            else snprintf(unit, sizeof unit, "\\u%04x", c);
            bytes_put(&b, unit, strlen(unit));
        } else {
            bytes_put(&b, s.data + i, n);
        }
        i += n;
    }
    bytes_put(&b, "\"", 2); /* with the NUL */
    cJSON *item = b.failed ? NULL : cJSON_CreateRaw((const char *)b.data);
    bytes_fini(&b);
    return item;
}

static cJSON *json_u64(uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return cJSON_CreateRaw(text);
}

static cJSON *json_number(struct gguf_reader r)
{
    char text[64];
    struct gguf_reader copy = r;
    double d = 0;
    if (gguf_next_f64(&copy, &d) && !isfinite(d)) return cJSON_CreateNull(); /* JSON has no infinities */
    format_number(r, text, sizeof text);
    return cJSON_CreateRaw(text);
}

static cJSON *json_value(const struct gguf_value *v)
{
    struct gguf_reader r = reader_of(v);
    if (v->type == GGUF_STRING) return json_string((struct str){(const char *)v->data, (size_t)v->n});
    if (v->type != GGUF_ARRAY) return json_number(r);
    cJSON *o = cJSON_CreateObject(), *first = cJSON_CreateArray();
    cJSON_AddStringToObject(o, "array_of", value_type_name(v->element));
    cJSON_AddItemToObject(o, "n", json_u64(v->n));
    for (int i = 0; i < JSON_ELEMENTS && r.left && v->element != GGUF_ARRAY; i++) {
        struct str s;
        if (v->element == GGUF_STRING) {
            if (!gguf_next_string(&r, &s)) break;
            cJSON_AddItemToArray(first, json_string(s));
        } else {
            cJSON_AddItemToArray(first, json_number(r));
            skip_one(&r);
        }
    }
    cJSON_AddItemToObject(o, "first", first);
    return o;
}

/* cJSON copies a key up to its NUL; keys are printable UTF-8, so they have none inside. */
static void add_key(cJSON *o, struct str key, cJSON *item, struct arena *scratch)
{
    const char *z = arena_strndup(scratch, key.data, key.n);
    if (z) cJSON_AddItemToObject(o, z, item);
    else cJSON_Delete(item);
    arena_reset(scratch);
}

static cJSON *json_tensors(const struct gguf *g)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        cJSON *o = cJSON_CreateObject(), *dims = cJSON_CreateArray();
        cJSON_AddItemToObject(o, "name", json_string(t->name));
        cJSON_AddStringToObject(o, "type", gguf_type(t->type)->name);
        for (uint32_t d = 0; d < t->n_dims; d++) cJSON_AddItemToArray(dims, json_u64(t->dims[d]));
        cJSON_AddItemToObject(o, "dims", dims);
        cJSON_AddItemToObject(o, "bytes", json_u64(t->bytes));
        cJSON_AddItemToObject(o, "offset", json_u64(t->offset));
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

static int print_json(const struct gguf *g, const struct summary *s)
{
    struct arena scratch = {0};
    cJSON *root = cJSON_CreateObject(), *types = cJSON_AddObjectToObject(root, "types");
    cJSON_AddItemToObject(root, "name", json_string(s->name));
    cJSON_AddItemToObject(root, "architecture", json_string(s->architecture));
    cJSON_AddItemToObject(root, "version", json_u64(g->version));
    cJSON_AddItemToObject(root, "alignment", json_u64(g->alignment));
    cJSON_AddItemToObject(root, "file_bytes", json_u64(g->file_bytes));
    cJSON_AddItemToObject(root, "weight_bytes", json_u64(s->weight_bytes));
    cJSON_AddItemToObject(root, "parameters", json_u64(s->n_params));
    for (uint32_t i = 0; i < GGUF_N_TENSOR_TYPES; i++) {
        if (!s->type_tensors[i]) continue;
        cJSON *o = cJSON_AddObjectToObject(types, gguf_type(i)->name);
        cJSON_AddItemToObject(o, "tensors", json_u64(s->type_tensors[i]));
        cJSON_AddItemToObject(o, "bytes", json_u64(s->type_bytes[i]));
    }
    cJSON *metadata = cJSON_AddObjectToObject(root, "metadata");
    for (size_t i = 0; i < g->n_values; i++) add_key(metadata, g->values[i].key, json_value(&g->values[i]), &scratch);
    cJSON_AddItemToObject(root, "tensors", json_tensors(g));
    arena_fini(&scratch);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        (void)err_memory("the JSON text", 0);
        return fail();
    }
    puts(text);
    cJSON_free(text);
    return TOOL_OK;
}

int command_info(int argc, char **argv)
{
    const char *path = NULL, *form = "text";
    bool done = false, tensors = false;
    const struct option options[] = {{.name = "--tensors", .flag = &tensors},
                                     {.name = "-o", .text = &form},
                                     {.name = "--output", .text = &form}};
    struct mapping map = {0};
    struct gguf g;
    struct summary s;
    int code = options_read(argc, argv, options, COUNT_OF(options), &path, 1, help_text, &done);
    if (code != TOOL_OK || done) return code;
    if (strcmp(form, "text") != 0 && strcmp(form, "json") != 0) return usage("info: -o is %s, must be text or json", form);
    if (!path) return usage("info: a file is missing");
    if (platform_map(path, &map) != PUMICE_OK) return fail();
    if (gguf_open(map.data, map.bytes, &g) != PUMICE_OK) {
        (void)err_wrap(PUMICE_FORMAT, "%s", path);
        code = fail();
    } else {
        summarise(&g, &s);
        if (strcmp(form, "json") == 0) code = print_json(&g, &s);
        else print_text(&g, &s, tensors);
        gguf_close(&g);
    }
    platform_unmap(&map);
    return code;
}
