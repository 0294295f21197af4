/* prompt: renders a chat template and makes ids of it. */
#include "app/prompt.h"

#include <string.h>
#include <time.h>

#include "app/embedded.h"
#include "app/json.h"
#include "runtime/platform.h"

#define TEMPLATE_MAX_BYTES ((uint64_t)4 << 20)

/* --- the template ------------------------------------------------------------------------------------------------ */

static enum pumice_status use(struct prompt_format *f, struct str source, const char *name)
{
    enum pumice_status st = PUMICE_OK;
    f->name = mem_strdup(name);
    if (f->name == NULL) return err_memory("the chat template", strlen(name));
    st = template_compile(source, &f->compiled);
    return st == PUMICE_OK ? st
                           : err_wrap(st, "%s chat template (--template official uses pumice's, --template FILE another)",
                                      name);
}

static enum pumice_status use_official(struct prompt_format *f)
{
    const void *data = NULL;
    size_t n = 0;
    official_get(&data, &n);
    return use(f, (struct str){data, n}, "official");
}

enum pumice_status prompt_format_open(const struct pumice_model *model, const struct vocab *vocab,
                                      const char *choice, struct prompt_format *out)
{
    struct str source = {NULL, 0};
    memset(out, 0, sizeof *out);
    out->vocab = vocab;
    if (choice != NULL && strcmp(choice, "official") == 0) return use_official(out);
    if (choice == NULL || strcmp(choice, "gguf") == 0) {
        if (model != NULL && pumice_meta_string(model, "tokenizer.chat_template", &source.data, &source.n))
            return use(out, source, "the model's");
        if (choice != NULL)
            return err_set(PUMICE_ARGUMENT, "the model file has no chat template; leave --template away, or use "
                                            "--template official or --template FILE");
        out->missing = true;
        return use_official(out);
    }
    char *text = NULL;
    enum pumice_status st = platform_read(choice, TEMPLATE_MAX_BYTES, &text, &source.n);
    if (st != PUMICE_OK) return err_wrap(st, "--template is gguf, official or a file");
    st = use(out, (struct str){text, source.n}, choice);
    mem_free(text);
    return st;
}

void prompt_format_close(struct prompt_format *f)
{
    template_destroy(f->compiled);
    mem_free(f->name);
    memset(f, 0, sizeof *f);
}

/* --- the request --------------------------------------------------------------------------------------------------- */

/* The messages' shape, and whose the last one is. */
static enum pumice_status check_messages(const struct prompt_request *request, size_t *n_messages)
{
    enum pumice_status st = PUMICE_OK;
    size_t where = 0, n = 0;
    const char *last = "";
    cJSON *list = json_read(request->messages_json.data, request->messages_json.n, &where);
    if (list == NULL) TRY(err_set(PUMICE_ARGUMENT, "the messages are not JSON (byte %zu)", where + 1));
    if (!cJSON_IsArray(list) || list->child == NULL)
        TRY(err_set(PUMICE_ARGUMENT, "\"messages\" is not an array with at least one message"));
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(item, "role");
        n++;
        if (!cJSON_IsObject(item)) TRY(err_set(PUMICE_ARGUMENT, "message %zu is not an object", n));
        if (!cJSON_IsString(role))
            TRY(err_set(PUMICE_ARGUMENT, "message %zu has no \"role\" (system, user, assistant or tool)", n));
        last = role->valuestring;
    }
    const bool asks = strcmp(last, "user") == 0 || strcmp(last, "tool") == 0;
    if (request->answer_next && !asks) {
        char shown[64];
        TRY(err_set(PUMICE_ARGUMENT,
                    "the last message is the %s's; for an answer it must be the user's or a tool's",
                    str_escape(str_of(last), shown, sizeof shown)));
    }
    *n_messages = n;
fail:
    cJSON_Delete(list);
    return st;
}

/* --- ids ------------------------------------------------------------------------------------------------------------- */

/* The text of generated ids, with the places between two of them: [n_places] rising offsets, where place k is before
 * token of[k]. Only places between whole characters count. */
struct kept_text {
    char *text;
    size_t n;
    size_t *offsets, *of, n_places;
};

static void kept_text_fini(struct kept_text *k)
{
    mem_free(k->text);
    mem_free(k->offsets);
    mem_free(k->of);
    memset(k, 0, sizeof *k);
}

static enum pumice_status kept_text_make(const struct tokenizer *t, const struct prompt_kept *kept,
                                         struct kept_text *out)
{
    struct decoder decoder = {{0}, 0};
    size_t capacity = 16;
    for (size_t i = 0; i < kept->n; i++) capacity += 3 * tokenizer_token_bytes(t, kept->ids[i]).n + 12;
    memset(out, 0, sizeof *out);
    out->text = mem_alloc(capacity);
    out->offsets = mem_calloc(kept->n + 1, sizeof *out->offsets);
    out->of = mem_calloc(kept->n + 1, sizeof *out->of);
    if (out->text == NULL || out->offsets == NULL || out->of == NULL) {
        kept_text_fini(out);
        return err_memory("the ids of an answer", capacity);
    }
    for (size_t i = 0; i <= kept->n; i++) {
        if (decoder.n_pending == 0) {
            out->offsets[out->n_places] = out->n;
            out->of[out->n_places++] = i;
        }
        if (i < kept->n && !tokenizer_is_control(t, kept->ids[i]))
            out->n += decoder_feed(&decoder, tokenizer_token_bytes(t, kept->ids[i]), out->text + out->n);
    }
    if (decoder.n_pending > 0) { /* the answer was cut inside a character */
        out->n += decoder_finish(&decoder, out->text + out->n);
        out->offsets[out->n_places] = out->n;
        out->of[out->n_places++] = kept->n;
    }
    return PUMICE_OK;
}

/* Finds a stretch of the ids whose text is s. Tokens without text at its borders belong to it. */
static bool kept_text_find(const struct kept_text *k, struct str s, size_t *first, size_t *end)
{
    for (size_t a = 0; a < k->n_places && s.n > 0; a++) {
        const size_t at = k->offsets[a];
        if (at + s.n > k->n) return false;
        if ((a > 0 && k->offsets[a - 1] == at) || memcmp(k->text + at, s.data, s.n) != 0) continue;
        for (size_t b = k->n_places; b-- > a;)
            if (k->offsets[b] == at + s.n) {
                *first = k->of[a];
                *end = k->of[b];
                return true;
            }
    }
    return false;
}

static const struct prompt_kept *find_kept(const struct prompt_request *request, int32_t origin)
{
    size_t low = 0, high = request->n_kept;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (request->kept[middle].message < (size_t)origin)
            low = middle + 1;
        else
            high = middle;
    }
    return low < request->n_kept && request->kept[low].message == (size_t)origin ? &request->kept[low] : NULL;
}

/* Whether what message s[i].origin says goes on after s[i]. */
static bool goes_on(const struct segment *s, size_t n, size_t i)
{
    size_t later = i + 1;
    while (later < n && s[later].origin < 0) later++;
    return later < n && s[later].origin == s[i].origin;
}

/* The ids of the segments. Where the template shows text of a message with kept ids, those are taken; the role, which
 * is of the message as well, stands before its content. */
static enum pumice_status encode(const struct prompt_format *f, const struct prompt_request *request,
                                 struct prompt *p)
{
    enum pumice_status st = PUMICE_OK;
    const struct tokenizer *t = f->vocab->tokenizer;
    const struct segment *s = p->segments;
    const struct prompt_kept *kept = NULL;
    struct kept_text text = {0};
    size_t pending = 0;
    for (size_t i = 0; i < p->n_segments; i++) {
        const struct prompt_kept *mine = s[i].origin >= 0 ? find_kept(request, s[i].origin) : NULL;
        size_t from = 0, to = 0;
        if (mine == NULL) continue;
        const bool first = mine != kept;
        if (first) {
            kept_text_fini(&text);
            TRY(kept_text_make(t, mine, &text));
            kept = mine;
        }
        if (first && str_eqz(s[i].text, "assistant") && goes_on(s, p->n_segments, i)) continue;
        if (!kept_text_find(&text, s[i].text, &from, &to)) continue;
        TRY(tokenizer_encode(t, s + pending, i - pending, &p->ids));
        TRY(ids_append_all(&p->ids, mine->ids + from, to - from));
        pending = i + 1;
    }
    TRY(tokenizer_encode(t, s + pending, p->n_segments - pending, &p->ids));
fail:
    kept_text_fini(&text);
    return st;
}

/* bos where the model wants it and the template did not write it. */
static enum pumice_status add_bos(const struct tokenizer *t, struct ids *ids)
{
    const int32_t bos = tokenizer_bos(t);
    if (bos < 0 || (ids->n > 0 && ids->data[0] == bos)) return PUMICE_OK;
    const enum pumice_status st = ids_append(ids, bos);
    if (st != PUMICE_OK) return st;
    memmove(ids->data + 1, ids->data, (ids->n - 1) * sizeof *ids->data);
    ids->data[0] = bos;
    return PUMICE_OK;
}

enum pumice_status prompt_make(const struct prompt_format *f, const struct prompt_request *request,
                               struct prompt *out)
{
    enum pumice_status st = PUMICE_OK;
    size_t n_messages = 0;
    memset(out, 0, sizeof *out);
    struct template_input in = {.messages_json = request->messages_json,
                                .tools_json = request->tools_json,
                                .extra_json = request->extra_json,
                                .add_generation_prompt = !request->open_ended && request->answer_next,
                                .now = (int64_t)time(NULL)};
    if (in.extra_json.n == 0 && f->no_thinking) in.extra_json = STR("{\"enable_thinking\":false}");
    if (f->vocab != NULL) {
        in.bos_token = vocab_token(f->vocab, f->vocab->v.bos);
        in.eos_token = vocab_token(f->vocab, f->vocab->v.eos);
    }
    if (!request->any_order) TRY(check_messages(request, &n_messages));
    TRY(template_render(f->compiled, &in, &out->arena, &out->segments, &out->n_segments));
    while (request->open_ended && out->n_segments > 0 &&
           out->segments[out->n_segments - 1].origin != (int32_t)(n_messages - 1))
        out->n_segments--;
    for (size_t i = 0; i < out->n_segments; i++)
        out->segments[i].special = out->segments[i].special || f->trust_special;
    if (f->vocab == NULL) return PUMICE_OK;
    const uint64_t span = pumice_trace_begin();
    TRY(encode(f, request, out));
    pumice_trace_end("tokenise", span);
    TRY(add_bos(f->vocab->tokenizer, &out->ids));
    return PUMICE_OK;
fail:
    prompt_fini(out);
    return st;
}

void prompt_fini(struct prompt *p)
{
    ids_fini(&p->ids);
    arena_fini(&p->arena);
    memset(p, 0, sizeof *p);
}
