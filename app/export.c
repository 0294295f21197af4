/* export: conversations in the forms of others: Markdown for people, OpenAI's JSON and JSONL for programs;
 * and back.
 *
 * Markdown is "# title", then for each message "## User" (System, Assistant, Tool), an empty line, the text
 * and another empty line. A line of a text that looks like such a heading gets a backslash in front, so that
 * import finds the same texts again, to the byte. Where the first heading ends in CR LF, an editor wrote all lines so, and
 * they are read with LF. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/buffer.h"
#include "app/store.h"

enum {
    EXTRA_MAX_DEPTH = 48
}; /* so that it can be read again inside the store's form, which may be 64 deep */
static const char *const headings[N_ROLES] = {"## System", "## User", "## Assistant", "## Tool"};

enum pumice_status export_format_of(const char *path, enum export_format *out)
{
    static const char *const endings[N_EXPORTS] = {".md", ".json", ".jsonl"};
    char shown[200];
    const size_t n = strlen(path);
    for (*out = EXPORT_MARKDOWN; *out < N_EXPORTS; ++*out) {
        const char *ending = endings[*out];
        size_t k = strlen(ending), i = 0;
        if (n < k) continue;
        while (i < k && (path[n - k + i] | (i > 0 ? 32 : 0)) == ending[i]) i++;
        if (i == k) return PUMICE_OK;
    }
    return err_set(PUMICE_ARGUMENT,
                   "'%s' does not say which form it is to have; let it end in .md (Markdown), .json "
                   "(OpenAI's messages) or .jsonl (one message a line)",
                   str_escape(str_of(path), shown, sizeof shown));
}

/* --- Markdown
 * ----------------------------------------------------------------------------------------------------- */

static struct str line_at(struct str text, size_t at)
{
    const char *end = at < text.n ? memchr(text.data + at, '\n', text.n - at) : NULL;
    return (struct str){text.data + at, end != NULL ? (size_t)(end - text.data) - at : text.n - at};
}

static bool is_heading(struct str line, enum role *role)
{
    while (line.n > 0 && (line.data[line.n - 1] == ' ' || line.data[line.n - 1] == '\r')) line.n--;
    for (*role = ROLE_SYSTEM; *role < N_ROLES; ++*role)
        if (str_eqz(line, headings[*role])) return true;
    return false;
}

/* A heading behind backslashes, or none. */
static bool is_like_heading(struct str line)
{
    enum role role;
    while (line.n > 0 && line.data[0] == '\\') line.data++, line.n--;
    return is_heading(line, &role);
}

static void put_markdown(struct buffer *b, const struct message *m, bool last)
{
    const struct str text = {m->text, m->n_text};
    buffer_printf(b, "%s\n\n", headings[m->role]);
    for (size_t at = 0; at < text.n;) {
        const struct str line = line_at(text, at);
        if (is_like_heading(line)) buffer_addz(b, "\\");
        at += line.n + 1;
        buffer_add(b, line.data, MIN(line.n + 1, (size_t)(text.data + text.n - line.data)));
    }
    if (m->extra != NULL) {
        buffer_printf(b, "%s```json\n", m->n_text > 0 ? "\n\n" : "");
        buffer_addz(b, m->extra);
        buffer_addz(b, "\n```");
    }
    buffer_addz(b, last ? "\n" : "\n\n");
}

/* --- OpenAI's messages
 * -------------------------------------------------------------------------------------------- */

enum pumice_status message_to_json(const struct message *m, struct buffer *b)
{
    struct arena arena = {0};
    struct json extra = {.kind = JSON_OBJECT};
    const enum pumice_status st =
        m->extra != NULL ? json_parse(str_of(m->extra), "the members of a message", &arena, &extra)
                         : PUMICE_OK;
    const struct json *content = json_find(&extra, "content");
    buffer_printf(b, "{\"role\":\"%s\",\"content\":", role_name(m->role));
    if (content != NULL)
        buffer_json(b, content);
    else
        buffer_json_text(b, (struct str){m->text, m->n_text});
    for (size_t i = 0; extra.kind == JSON_OBJECT && i < extra.n; i++) {
        if (str_eqz(extra.keys[i], "content") || str_eqz(extra.keys[i], "role")) continue;
        buffer_addz(b, ",");
        buffer_json_text(b, extra.keys[i]);
        buffer_addz(b, ":");
        buffer_json(b, &extra.items[i]);
    }
    buffer_addz(b, "}");
    arena_fini(&arena);
    return st;
}

enum pumice_status conversation_export(const struct conversation *c, enum export_format format, char **text,
                                       size_t *n)
{
    enum pumice_status st = PUMICE_OK;
    struct buffer b = {0};
    char title[256];
    *text = NULL;
    *n = 0;
    conversation_title(c, title, sizeof title);
    if (format == EXPORT_MARKDOWN && title[0] != 0) { /* too long for buffer_printf */
        buffer_addz(&b, "# ");
        buffer_addz(&b, title);
        buffer_addz(&b, "\n\n");
    }
    if (format == EXPORT_JSON) buffer_addz(&b, "{\"messages\":[\n");
    const uint32_t n_system = c->state.system != NO_MESSAGE, n_all = c->n_path + n_system;
    for (uint32_t i = 0; i < n_all; i++) {
        const struct message *m = &c->messages[i < n_system ? c->state.system : c->path[i - n_system]];
        const bool last = i + 1 == n_all;
        if (format == EXPORT_MARKDOWN)
            put_markdown(&b, m, last);
        else
            TRY(message_to_json(m, &b));
        if (format != EXPORT_MARKDOWN) buffer_addz(&b, format == EXPORT_JSON && !last ? ",\n" : "\n");
    }
    if (format == EXPORT_JSON) buffer_addz(&b, "]}\n");
    return buffer_take(&b, "the exported conversation", text, n);
fail:
    buffer_fini(&b);
    return st;
}

/* --- import
 * ------------------------------------------------------------------------------------------------------- */

/* Appends a message after the last one; the first may be the system message. */
static enum pumice_status append(struct conversation *c, struct message *m)
{
    uint32_t index = 0;
    if (m->role == ROLE_SYSTEM && c->n_messages > 0)
        return err_set(PUMICE_FORMAT,
                       "it is a system message, which only the first may be; join it to that, or make it "
                       "the user's");
    m->parent = c->state.head;
    m->time_ms = c->created_ms;
    const enum pumice_status st = conversation_put(c, m, &index);
    if (st == PUMICE_OK && m->role == ROLE_SYSTEM) c->state.system = index;
    if (st == PUMICE_OK && m->role != ROLE_SYSTEM) c->state.head = index;
    return st;
}

static unsigned depth_of(const struct json *value)
{
    unsigned deepest = 0;
    for (size_t i = 0; i < value->n; i++) {
        const unsigned depth = depth_of(&value->items[i]);
        deepest = MAX(deepest, depth);
    }
    return deepest + (value->kind == JSON_ARRAY || value->kind == JSON_OBJECT);
}

static enum pumice_status get_role(const struct json *o, enum role *role)
{
    char shown[40];
    const struct json *value = json_find(o, "role");
    if (value == NULL || value->kind != JSON_STRING)
        return err_set(PUMICE_FORMAT, "it has no \"role\" that is a string");
    if (str_eqz(value->text, "developer"))
        *role = ROLE_SYSTEM; /* its newer name */
    else if (!role_find(value->text, role))
        return err_set(PUMICE_FORMAT,
                       "its role is '%s'; it may be system, developer, user, assistant or tool",
                       str_escape(value->text, shown, sizeof shown));
    return PUMICE_OK;
}

/* The text of a content: a string, the texts of its parts, or none. */
static enum pumice_status get_text(const struct json *o, struct buffer *text)
{
    const struct json *content = json_find(o, "content");
    const bool calls = json_find(o, "tool_calls") != NULL || json_find(o, "function_call") != NULL;
    if (content == NULL && !calls) return err_set(PUMICE_FORMAT, "it has no \"content\"");
    if (content == NULL || content->kind == JSON_NULL) return PUMICE_OK;
    if (content->kind == JSON_STRING)
        buffer_add(text, content->text.data, content->text.n);
    else if (content->kind != JSON_ARRAY)
        return err_set(PUMICE_FORMAT, "its \"content\" is no string, no list of parts and not null");
    for (size_t i = 0; content->kind == JSON_ARRAY && i < content->n; i++) {
        const struct json *part = json_find(&content->items[i], "text");
        if (part != NULL && part->kind == JSON_STRING) buffer_add(text, part->text.data, part->text.n);
    }
    return PUMICE_OK;
}

/* All members but the role and a content that is a string; NULL when there are none. */
static enum pumice_status get_extra(const struct json *o, char **extra)
{
    struct buffer b = {0};
    size_t n = 0;
    buffer_addz(&b, "{");
    for (size_t i = 0; i < o->n; i++) {
        const struct json *value = &o->items[i];
        if (str_eqz(o->keys[i], "role") || (str_eqz(o->keys[i], "content") && value->kind == JSON_STRING))
            continue;
        if (b.n > 1) buffer_addz(&b, ",");
        buffer_json_text(&b, o->keys[i]);
        buffer_addz(&b, ":");
        buffer_json(&b, value);
    }
    buffer_addz(&b, "}");
    if (b.n == 2 && !b.failed) {
        buffer_fini(&b);
        return PUMICE_OK;
    }
    return buffer_take(&b, "a message", extra, &n);
}

static enum pumice_status import_message(const struct json *o, struct conversation *c)
{
    enum pumice_status st = PUMICE_OK;
    struct message m = {0};
    struct buffer text = {0};
    if (o->kind != JSON_OBJECT) return err_set(PUMICE_FORMAT, "it is no object");
    if (depth_of(o) > EXTRA_MAX_DEPTH)
        return err_set(PUMICE_FORMAT, "its members are nested deeper than %d", EXTRA_MAX_DEPTH);
    TRY(get_role(o, &m.role));
    TRY(get_text(o, &text));
    TRY(buffer_take(&text, "a message", &m.text, &m.n_text));
    TRY(get_extra(o, &m.extra));
    TRY(append(c, &m));
fail:
    buffer_fini(&text);
    mem_free(m.text);
    mem_free(m.extra);
    return st;
}

static enum pumice_status import_list(const struct json *list, struct conversation *c)
{
    for (size_t i = 0; i < list->n; i++) {
        const enum pumice_status st = import_message(&list->items[i], c);
        if (st != PUMICE_OK) return err_wrap(st, "message %zu", i + 1);
    }
    return PUMICE_OK;
}

static enum pumice_status import_lines(struct str text, struct conversation *c)
{
    enum pumice_status st = PUMICE_OK;
    struct arena arena = {0};
    size_t number = 1;
    for (size_t at = 0; at < text.n && st == PUMICE_OK; number++) {
        const struct str line = line_at(text, at);
        struct json value;
        at += line.n + 1;
        size_t blank = 0;
        while (blank < line.n && (unsigned char)line.data[blank] <= ' ') blank++;
        if (blank == line.n) continue;
        arena_reset(&arena);
        st = json_parse(line, "a message", &arena, &value);
        if (st == PUMICE_OK) st = import_message(&value, c);
        if (st != PUMICE_OK) (void)err_wrap(st, "line %zu", number);
    }
    arena_fini(&arena);
    return st;
}

static enum pumice_status import_json(struct str text, struct conversation *c)
{
    enum pumice_status st = PUMICE_OK;
    struct arena arena = {0};
    struct json root = {0};
    const struct json *messages = NULL;
    const struct str first = line_at(text, 0);
    size_t rest = first.n;
    while (rest < text.n && (unsigned char)text.data[rest] <= ' ') rest++;
    if (rest < text.n && json_parse(first, "the file", &arena, &root) == PUMICE_OK &&
        root.kind == JSON_OBJECT) {
        st = json_find(&root, "messages") == NULL
                 ? import_lines(text, c)
                 : err_set(PUMICE_FORMAT, "the file holds several conversations; put one a file");
        goto fail;
    }
    arena_reset(&arena);
    TRY(json_parse(text, "the file", &arena, &root));
    messages = root.kind == JSON_ARRAY ? &root : json_find(&root, "messages");
    if (json_find(&root, "pumice") != NULL) {
        st = conversation_of_json(text.data, text.n, c);
        c->id[0] = 0; /* it becomes another one */
    } else if (messages != NULL && messages->kind == JSON_ARRAY)
        st = import_list(messages, c);
    else if (json_find(&root, "role") != NULL)
        st = import_message(&root, c);
    else
        st = err_set(PUMICE_FORMAT,
                     "there is no \"messages\" list in the file; import reads OpenAI's messages, a message a "
                     "line, Markdown and pumice's own form");
fail:
    arena_fini(&arena);
    return st;
}

/* The text of a message in Markdown: what put_markdown wrote for it. */
static enum pumice_status import_text(struct str text, enum role role, bool last, struct conversation *c)
{
    enum pumice_status st = PUMICE_OK;
    struct message m = {.role = role};
    struct buffer b = {0};
    if (text.n > 0 && text.data[0] == '\n') text.data++, text.n--;
    if (text.n > 0 && text.data[text.n - 1] == '\n') text.n--;
    if (!last && text.n > 0 && text.data[text.n - 1] == '\n') text.n--;
    for (size_t at = 0; at < text.n;) {
        struct str line = line_at(text, at);
        at += line.n + 1;
        line.n = MIN(line.n + 1, (size_t)(text.data + text.n - line.data)); /* with its end */
        const bool escaped = line.data[0] == '\\' && is_like_heading(line_at(line, 0));
        buffer_add(&b, line.data + escaped, line.n - escaped);
    }
    TRY(buffer_take(&b, "a message", &m.text, &m.n_text));
    st = append(c, &m);
    mem_free(m.text);
fail:
    return st;
}

static enum pumice_status import_markdown(struct str text, struct conversation *c);

static enum pumice_status import_crlf(struct str text, struct conversation *c)
{
    char *copy = mem_alloc(text.n);
    if (copy == NULL) return err_memory("the file", text.n);
    memcpy(copy, text.data, text.n);
    const enum pumice_status st = import_markdown((struct str){copy, text_unix(copy, text.n)}, c);
    mem_free(copy);
    return st;
}

static enum pumice_status import_markdown(struct str text, struct conversation *c)
{
    enum role role = N_ROLES, next = N_ROLES; /* of the message that began at `begin`; none yet */
    size_t begin = 0;
    char title[256];
    for (size_t at = 0;;) {
        const struct str line = line_at(text, at);
        const size_t after = MIN(at + line.n + 1, text.n);
        const bool end = at == text.n;
        enum pumice_status st = PUMICE_OK;
        if (end || is_heading(line, &next)) {
            if (role == N_ROLES && line.n > 0 && line.data[line.n - 1] == '\r' && after > at + line.n) return import_crlf(text, c);
            if (role < N_ROLES) st = import_text((struct str){text.data + begin, at - begin}, role, end, c);
            role = next;
            begin = after;
        } else if (role == N_ROLES && str_startsz(line, "# ")) {
            (void)snprintf(title, sizeof title, "%.*s", (int)MIN(line.n - 2, sizeof title - 1),
                           line.data + 2);
            st = conversation_rename(c, title);
        }
        if (end || st != PUMICE_OK) return st;
        at = after;
    }
}

enum pumice_status conversation_import(const char *text, size_t n, struct conversation *out)
{
    enum pumice_status st = PUMICE_OK;
    struct str s = {text, n};
    conversation_init(out);
    if (n > CONVERSATION_MAX_BYTES)
        return err_set(PUMICE_FORMAT, "a conversation of more than %d MiB is not read; shorten it",
                       (int)(CONVERSATION_MAX_BYTES >> 20));
    if (str_startsz(s, "\xef\xbb\xbf")) s.data += 3, s.n -= 3;
    while (s.n > 0 && (unsigned char)s.data[0] <= ' ') s.data++, s.n--;
    TRY(s.n > 0 && (s.data[0] == '{' || s.data[0] == '[') ? import_json(s, out) : import_markdown(s, out));
    if (out->n_messages == 0)
        TRY(err_set(PUMICE_FORMAT,
                    "there is no message in the file; import reads OpenAI's messages, a message a line, "
                    "Markdown with headings as ## User, and pumice's own form"));
    TRY(conversation_set_state(out, out->state));
    return PUMICE_OK;
fail:
    conversation_fini(out);
    return st;
}
