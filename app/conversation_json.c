/* conversation_json: the store's own form of a conversation, as JSON, with the whole tree:
 *
 *     {"pumice":1,"id":"20261124-093015-1b2c3d4e","title":null,"created_ms":1795512615000,"updated_ms":1795512700000,
 *      "system":0,"head":2,"messages":[
 *     {"role":"system","parent":null,"time_ms":1795512615000,"content":"Be brief."},
 *     {"role":"user","parent":null,"time_ms":1795512615000,"content":"Hello"},
 *     {"role":"assistant","parent":1,"time_ms":1795512620000,"end":"eos","content":"Hi","vocab":"00c0ffee00c0ffee","ids":[13048],
 *      "extra":{}}
 *     ]}
 *
 * "system", "head" and "parent" are places in "messages", or null; a parent comes before its message.
 * "title", "end", "vocab", "ids" and "extra" may be missing. Other members are ignored, and lost when the
 * conversation is saved: a form whose further members matter gets a higher number in "pumice", and older
 * programs leave it alone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/buffer.h"
#include "app/store.h"

enum { FORM = 1 };
#define LAST_TIME INT64_C(253402300799999) /* the end of the year 9999 */

bool conversation_id_valid(struct str id)
{
    static const char characters[] = "-0123456789abcdefghijklmnopqrstuvwxyz";
    if (id.n == 0 || id.n >= sizeof((struct conversation *)NULL)->id || id.data[0] == '-') return false;
    for (size_t i = 0; i < id.n; i++)
        if (memchr(characters, id.data[i], sizeof characters - 1) == NULL) return false;
    return true;
}

/* --- writing
 * ------------------------------------------------------------------------------------------------------ */

static void put_place(struct buffer *b, const char *name, uint32_t place)
{
    if (place == NO_MESSAGE)
        buffer_printf(b, ",\"%s\":null", name);
    else
        buffer_printf(b, ",\"%s\":%" PRIu32, name, place);
}

static void put_time(struct buffer *b, const char *name, int64_t t)
{
    buffer_printf(b, ",\"%s\":%" PRId64, name, MAX(MIN(t, LAST_TIME), INT64_C(0)));
}

static void put_message(struct buffer *b, const struct message *m)
{
    buffer_printf(b, "{\"role\":\"%s\"", role_name(m->role));
    put_place(b, "parent", m->parent);
    put_time(b, "time_ms", m->time_ms);
    if (m->end != END_NONE) buffer_printf(b, ",\"end\":\"%s\"", answer_end_name(m->end));
    buffer_addz(b, ",\"content\":");
    buffer_json_text(b, (struct str){m->text, m->n_text});
    if (m->vocab != 0) buffer_printf(b, ",\"vocab\":\"%016" PRIx64 "\"", m->vocab);
    if (m->ids.n > 0) {
        buffer_addz(b, ",\"ids\":[");
        for (size_t i = 0; i < m->ids.n; i++)
            buffer_printf(b, i > 0 ? ",%" PRId32 : "%" PRId32, m->ids.data[i]);
        buffer_addz(b, "]");
    }
    if (m->extra != NULL) {
        buffer_addz(b, ",\"extra\":");
        buffer_addz(b, m->extra);
    }
    buffer_addz(b, "}");
}

enum pumice_status conversation_to_json(const struct conversation *c, char **text, size_t *n)
{
    struct buffer b = {0};
    buffer_printf(&b, "{\"pumice\":%d,\"id\":\"%s\",\"title\":", FORM, c->id);
    if (c->title != NULL)
        buffer_json_text(&b, str_of(c->title));
    else
        buffer_addz(&b, "null");
    put_time(&b, "created_ms", c->created_ms);
    put_time(&b, "updated_ms", c->updated_ms);
    put_place(&b, "system", c->state.system);
    put_place(&b, "head", c->state.head);
    buffer_addz(&b, ",\"messages\":[");
    for (uint32_t i = 0; i < c->n_messages; i++) {
        buffer_addz(&b, i > 0 ? ",\n" : "\n");
        put_message(&b, &c->messages[i]);
    }
    buffer_addz(&b, "\n]}\n");
    return buffer_take(&b, "the conversation as JSON", text, n);
}

/* --- reading
 * ------------------------------------------------------------------------------------------------------ */

#define DAMAGED "; the file is damaged"

/* The member, which must be there and of that kind. */
static enum pumice_status get(const struct json *object, const char *name, enum json_kind kind,
                              const struct json **out)
{
    static const char *const kinds[] = {"null",     "true or false", "a whole number", "a number",
                                        "a number", "a string",      "an array",       "an object"};
    *out = json_find(object, name);
    if (*out == NULL) return err_set(PUMICE_FORMAT, "\"%s\" is missing" DAMAGED, name);
    if ((*out)->kind != kind) return err_set(PUMICE_FORMAT, "\"%s\" is not %s" DAMAGED, name, kinds[kind]);
    return PUMICE_OK;
}

/* A member that may be missing or null: *out is then NULL. */
static enum pumice_status get_optional(const struct json *object, const char *name, enum json_kind kind,
                                       const struct json **out)
{
    *out = json_find(object, name);
    if (*out == NULL || (*out)->kind != JSON_NULL)
        return *out == NULL ? PUMICE_OK : get(object, name, kind, out);
    *out = NULL;
    return PUMICE_OK;
}

static enum pumice_status get_time(const struct json *object, const char *name, int64_t *out)
{
    const struct json *value = NULL;
    const enum pumice_status st = get(object, name, JSON_INT, &value);
    if (st != PUMICE_OK) return st;
    if (value->integer < 0 || value->integer > LAST_TIME)
        return err_set(PUMICE_FORMAT, "\"%s\" is no time" DAMAGED, name);
    *out = value->integer;
    return PUMICE_OK;
}

/* null, or the place of one of the first n messages. */
static enum pumice_status get_place(const struct json *object, const char *name, uint32_t n, uint32_t *out)
{
    const struct json *value = json_find(object, name);
    *out = NO_MESSAGE;
    if (value != NULL && value->kind == JSON_NULL) return PUMICE_OK;
    const enum pumice_status st = get(object, name, JSON_INT, &value);
    if (st != PUMICE_OK) return st;
    if (value->integer < 0 || value->integer >= n)
        return err_set(PUMICE_FORMAT,
                       "\"%s\" is %" PRId64 ", which is none of the messages before it" DAMAGED, name,
                       value->integer);
    *out = (uint32_t)value->integer;
    return PUMICE_OK;
}

static enum pumice_status get_ids(const struct json *object, struct ids *out)
{
    const struct json *list = NULL;
    enum pumice_status st = get_optional(object, "ids", JSON_ARRAY, &list);
    for (size_t i = 0; st == PUMICE_OK && list != NULL && i < list->n; i++) {
        const struct json *id = &list->items[i];
        if (id->kind != JSON_INT || id->integer < 0 || id->integer > INT32_MAX)
            st = err_set(PUMICE_FORMAT, "\"ids\" holds what is no token id" DAMAGED);
        else
            st = ids_append(out, (int32_t)id->integer);
    }
    return st;
}

static enum pumice_status get_vocab(const struct json *object, uint64_t *out)
{
    const struct json *value = NULL;
    char digits[17] = "", *end = digits;
    const enum pumice_status st = get_optional(object, "vocab", JSON_STRING, &value);
    if (st != PUMICE_OK || value == NULL) return st;
    if (value->text.n == 16) memcpy(digits, value->text.data, 16);
    *out = strtoull(digits, &end, 16);
    return end == digits + 16 && strspn(digits, "0123456789abcdef") == 16
               ? PUMICE_OK
               : err_set(PUMICE_FORMAT, "\"vocab\" is not sixteen hexadecimal digits" DAMAGED);
}

static enum pumice_status get_end(const struct json *object, enum answer_end *out)
{
    const struct json *value = NULL;
    const enum pumice_status st = get_optional(object, "end", JSON_STRING, &value);
    if (st != PUMICE_OK || value == NULL) return st;
    for (*out = END_NONE; *out < N_ENDS; ++*out)
        if (str_eqz(value->text, answer_end_name(*out))) return PUMICE_OK;
    return err_set(PUMICE_FORMAT, "\"end\" is none of the reasons for which an answer ends" DAMAGED);
}

/* The tree's own rule on top: system messages stand alone, so that none is ever in the path. */
static enum pumice_status read_message(const struct json *object, struct conversation *c)
{
    enum pumice_status st = PUMICE_OK;
    struct message m = {0};
    const struct json *role = NULL, *content = NULL, *extra = NULL;
    struct buffer b = {0};
    size_t n_extra = 0;
    uint32_t index = 0;
    if (object->kind != JSON_OBJECT) return err_set(PUMICE_FORMAT, "it is no object" DAMAGED);
    TRY(get(object, "role", JSON_STRING, &role));
    if (!role_find(role->text, &m.role)) TRY(err_set(PUMICE_FORMAT, "its \"role\" is unknown" DAMAGED));
    TRY(get_place(object, "parent", c->n_messages, &m.parent));
    if (m.parent != NO_MESSAGE && (m.role == ROLE_SYSTEM || c->messages[m.parent].role == ROLE_SYSTEM))
        TRY(err_set(PUMICE_FORMAT, "a system message has a parent or is one" DAMAGED));
    TRY(get_time(object, "time_ms", &m.time_ms));
    TRY(get_end(object, &m.end));
    TRY(get(object, "content", JSON_STRING, &content));
    TRY(get_vocab(object, &m.vocab));
    TRY(get_optional(object, "extra", JSON_OBJECT, &extra));
    TRY(get_ids(object, &m.ids));
    if (extra != NULL) {
        buffer_json(&b, extra);
        TRY(buffer_take(&b, "a message", &m.extra, &n_extra));
    }
    m.text = (char *)(uintptr_t)content->text.data; /* conversation_put copies it */
    m.n_text = content->text.n;
    TRY(conversation_put(c, &m, &index));
fail:
    mem_free(m.extra);
    ids_fini(&m.ids);
    return st;
}

static enum pumice_status read_title(const struct json *root, struct conversation *c)
{
    const struct json *title = NULL;
    struct buffer b = {0};
    char *text = NULL;
    size_t n = 0;
    enum pumice_status st = get_optional(root, "title", JSON_STRING, &title);
    if (st != PUMICE_OK || title == NULL) return st;
    buffer_add(&b, title->text.data, title->text.n);
    st = buffer_take(&b, "the title", &text, &n);
    if (st == PUMICE_OK) st = conversation_rename(c, text);
    mem_free(text);
    return st;
}

static enum pumice_status read_conversation(const struct json *root, struct conversation *c)
{
    enum pumice_status st = PUMICE_OK;
    const struct json *version = NULL, *id = NULL, *messages = NULL;
    struct conversation_state state = {.head = NO_MESSAGE, .system = NO_MESSAGE};
    int64_t updated = 0;
    if (root->kind != JSON_OBJECT)
        return err_set(PUMICE_FORMAT, "it is no conversation, but another JSON value" DAMAGED);
    TRY(get(root, "pumice", JSON_INT, &version));
    if (version->integer > FORM)
        return err_set(PUMICE_UNSUPPORTED,
                       "it was written by a newer pumice (form %" PRId64
                       "; this one reads form %d); update pumice",
                       version->integer, FORM);
    if (version->integer < 1) return err_set(PUMICE_FORMAT, "\"pumice\" is not the number of a form" DAMAGED);
    TRY(get(root, "id", JSON_STRING, &id));
    if (id->text.n > 0 && !conversation_id_valid(id->text))
        TRY(err_set(PUMICE_FORMAT, "\"id\" is no id" DAMAGED));
    TRY(read_title(root, c));
    TRY(get_time(root, "created_ms", &c->created_ms));
    TRY(get_time(root, "updated_ms", &updated));
    TRY(get(root, "messages", JSON_ARRAY, &messages));
    if (messages->n >= NO_MESSAGE / 4) TRY(err_set(PUMICE_FORMAT, "it has too many messages" DAMAGED));
    for (size_t i = 0; i < messages->n; i++) {
        st = read_message(&messages->items[i], c);
        if (st != PUMICE_OK) return err_wrap(st, "message %zu", i + 1);
    }
    TRY(get_place(root, "system", c->n_messages, &state.system));
    TRY(get_place(root, "head", c->n_messages, &state.head));
    st = conversation_set_state(c, state);
    if (st != PUMICE_OK) return err_set(st, "%s" DAMAGED, pumice_error());
    memcpy(c->id, id->text.data, id->text.n);
    c->id[id->text.n] = 0;
    c->updated_ms = updated;
fail:
    return st;
}

enum pumice_status conversation_of_json_in(struct arena *arena, const char *text, size_t n,
                                           struct conversation *out)
{
    enum pumice_status st = PUMICE_OK;
    struct json root;
    conversation_init(out);
    if (n > CONVERSATION_MAX_BYTES)
        return err_set(PUMICE_FORMAT, "a conversation of more than %d MiB is not read; shorten it",
                       (int)(CONVERSATION_MAX_BYTES >> 20));
    arena_reset(arena);
    TRY(json_parse((struct str){text, n}, "the conversation", arena, &root));
    TRY(read_conversation(&root, out));
    return PUMICE_OK;
fail:
    conversation_fini(out);
    return st;
}

enum pumice_status conversation_of_json(const char *text, size_t n, struct conversation *out)
{
    struct arena arena = {0};
    const enum pumice_status st = conversation_of_json_in(&arena, text, n, out);
    arena_fini(&arena);
    return st;
}
