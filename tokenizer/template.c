/* template: the outside of the engine: compile, input as values, output as segments. See template.h. */
#include "template.h"

#include <string.h>

#include "jinja_run.h"
#include "json.h"

struct template
{
    struct arena arena;
    struct jinja_node *root;
};

enum { DEFAULT_STEPS = 1000000 };
#define DEFAULT_OUTPUT_BYTES ((size_t)64 << 20)
#define DEFAULT_MEMORY_BYTES ((size_t)512 << 20)
#define DEFAULT_NOW          INT64_C(1721952000) /* 26 July 2024, the date that Llama 3's template falls back to */

enum pumice_status template_compile(struct str source, struct template **out)
{
    enum pumice_status st;
    *out = NULL;
    struct template *t = mem_calloc(1, sizeof *t);
    if (!t) return err_memory("chat template", sizeof *t);
    TRY(jinja_parse(source, &t->arena, &t->root));
    *out = t;
    return PUMICE_OK;
fail:
    template_destroy(t);
    return st;
}

void template_destroy(struct template *t)
{
    if (!t) return;
    arena_fini(&t->arena);
    mem_free(t);
}

/* --- input ----------------------------------------------------------- */

static struct jinja_value value_of(struct jinja *r, const struct json *json, int32_t origin)
{
    struct jinja_value v = jinja_none();
    switch (json->kind) {
    case JSON_NULL: break;
    case JSON_BOOL: v = jinja_bool(json->truth); break;
    case JSON_INT: v = jinja_int(json->integer); break;
    case JSON_FLOAT: v = jinja_float(json->number); break;
    case JSON_BIG:
    case JSON_STRING:
        v = jinja_string_of(r, json->text, origin);
        if (jinja_ok(r) && json->kind == JSON_BIG) v.kind = JINJA_BIG;
        break;
    case JSON_ARRAY:
        v = jinja_list_new(r, json->n, FLAVOUR_LIST);
        for (size_t i = 0; i < json->n && jinja_ok(r); i++)
            jinja_list_add(r, v.list, value_of(r, &json->items[i], origin));
        break;
    case JSON_OBJECT: /* keys are unlike already */
        v = jinja_dict_new(r, json->n);
        for (size_t i = 0; i < json->n && jinja_ok(r); i++) {
            v.dict->keys[i] = jinja_string_of(r, json->keys[i], origin);
            v.dict->values[i] = value_of(r, &json->items[i], origin);
            v.dict->n = i + 1;
        }
        break;
    }
    v.origin = origin;
    return v;
}

static void set_global(struct jinja *r, struct str name, struct jinja_value v)
{
    if (jinja_ok(r)) jinja_set_variable(r, r->frame, name, hash_bytes(name.data, name.n, 0), v);
}

static enum pumice_status read_messages(struct jinja *r, struct str text)
{
    enum pumice_status st;
    struct json json;
    TRY(json_parse(text, "messages", r->arena, &json));
    if (json.kind != JSON_ARRAY)
        return err_set(PUMICE_FORMAT, "messages: an array is needed; write [{\"role\": ...}]");
    struct jinja_value list = jinja_list_new(r, json.n, FLAVOUR_LIST);
    for (size_t i = 0; i < json.n && jinja_ok(r); i++) {
        if (json.items[i].kind != JSON_OBJECT)
            return err_set(PUMICE_FORMAT,
                           "messages: message %zu is no object; write {\"role\": ..., \"content\": ...}", i);
        jinja_list_add(r, list.list, value_of(r, &json.items[i], (int32_t)i));
    }
    set_global(r, STR("messages"), list);
    return r->st;
fail:
    return st;
}

static enum pumice_status read_tools(struct jinja *r, struct str text)
{
    enum pumice_status st;
    struct json json;
    struct jinja_value tools = jinja_none();
    if (text.n) {
        TRY(json_parse(text, "tools", r->arena, &json));
        if (json.kind != JSON_ARRAY && json.kind != JSON_NULL)
            return err_set(PUMICE_FORMAT, "tools: an array is needed; write [{\"type\": \"function\", ...}]");
        tools = value_of(r, &json, TEMPLATE_ORIGIN_TOOLS);
    }
    set_global(r, STR("tools"), tools);
    return r->st;
fail:
    return st;
}

static enum pumice_status read_extra(struct jinja *r, struct str text)
{
    enum pumice_status st;
    struct json json;
    if (!text.n) return PUMICE_OK;
    TRY(json_parse(text, "template variables", r->arena, &json));
    if (json.kind != JSON_OBJECT)
        return err_set(PUMICE_FORMAT, "template variables: an object is needed; write {\"name\": value}");
    for (size_t i = 0; i < json.n; i++)
        set_global(r, json.keys[i], value_of(r, &json.items[i], TEMPLATE_ORIGIN_EXTRA));
    return r->st;
fail:
    return st;
}

static enum pumice_status read_input(struct jinja *r, const struct template_input *in)
{
    enum pumice_status st;
    struct jinja_frame *frame = jinja_alloc(r, 2, sizeof *frame);
    if (!frame) return r->st;
    r->frame = frame;
    set_global(r, STR("documents"), jinja_none());
    if (in->bos_token.data) set_global(r, STR("bos_token"), jinja_string_of(r, in->bos_token, TEMPLATE_ORIGIN));
    if (in->eos_token.data) set_global(r, STR("eos_token"), jinja_string_of(r, in->eos_token, TEMPLATE_ORIGIN));
    TRY(read_extra(r, in->extra_json));
    TRY(read_messages(r, in->messages_json));
    TRY(read_tools(r, in->tools_json));
    set_global(r, STR("add_generation_prompt"), jinja_bool(in->add_generation_prompt));
    frame[1].outer = frame; /* what the template sets lies above what it is given */
    r->frame = frame + 1;
    return r->st;
fail:
    return st;
}

/* --- output ----------------------------------------------------------- */

static enum pumice_status write_segments(const struct jinja_text *text, struct arena *arena,
                                         struct segment **segments, size_t *n_segments)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < text->n_pieces; i++) n += i == 0 || text->pieces[i].origin != text->pieces[i - 1].origin;
    char *bytes = arena_alloc(arena, text->bytes + 1, 1);
    struct segment *out = bytes ? arena_alloc(arena, n, sizeof *out) : NULL;
    if (!out) return err_memory("rendered conversation", text->bytes);
    n = 0;
    for (size_t i = 0; i < text->n_pieces; i++) {
        const struct jinja_piece *piece = &text->pieces[i];
        if (i == 0 || piece->origin != piece[-1].origin)
            out[n++] = (struct segment){{bytes + at, 0}, piece->origin == TEMPLATE_ORIGIN, piece->origin};
        memcpy(bytes + at, piece->data, piece->n);
        out[n - 1].text.n += piece->n;
        at += piece->n;
    }
    *segments = out;
    *n_segments = n;
    return PUMICE_OK;
}

enum pumice_status template_render(const struct template *t, const struct template_input *in, struct arena *arena,
                                   struct segment **segments, size_t *n_segments)
{
    enum pumice_status st;
    struct arena values = {0};
    struct jinja_text text = {0};
    struct jinja r = {.arena = &values, .message = -1, .out = &text};
    r.max_steps = in->max_steps ? in->max_steps : DEFAULT_STEPS;
    r.max_output = in->max_output_bytes ? in->max_output_bytes : DEFAULT_OUTPUT_BYTES;
    r.max_memory = in->max_memory_bytes ? in->max_memory_bytes : DEFAULT_MEMORY_BYTES;
    r.now = in->now ? in->now : DEFAULT_NOW;
    *segments = NULL;
    *n_segments = 0;
    TRY(read_input(&r, in));
    jinja_exec(&r, t->root);
    TRY(r.st);
    TRY(write_segments(&text, arena, segments, n_segments));
fail:
    arena_fini(&values);
    return st;
}
