/* reply: splitting an answer at its markers. */
#include "app/reply.h"

#include <string.h>

static const char *find(struct str in, const char *what)
{
    const size_t n = strlen(what);
    for (size_t i = 0; i + n <= in.n; i++)
        if (in.data[i] == what[0] && memcmp(in.data + i, what, n) == 0) return in.data + i;
    return NULL;
}

static struct str from(struct str s, const char *at)
{
    return (struct str){at, (size_t)(s.data + s.n - at)};
}

static struct str trim(struct str s)
{
    while (s.n > 0 && strchr(" \r\n\t", s.data[0]) != NULL && s.data[0] != 0) s.data++, s.n--;
    while (s.n > 0 && strchr(" \r\n\t", s.data[s.n - 1]) != NULL && s.data[s.n - 1] != 0) s.n--;
    return s;
}

struct reply reply_split(struct str answer)
{
    struct reply r = {.content = answer};
    const struct str open = STR("<think>"), close = STR("</think>");
    const struct str text = trim(answer);
    const char *end = find(answer, close.data);
    const bool opens = str_startsz(text, open.data);
    if (opens || end != NULL) {
        const char *begin = opens ? text.data + open.n : answer.data;
        const char *stop = end != NULL ? end : answer.data + answer.n;
        r.reasoning = trim((struct str){begin, (size_t)(stop - begin)});
        r.content = trim(end != NULL ? from(answer, end + close.n) : (struct str){stop, 0});
    }
    const char *call = find(r.content, "<tool_call>");
    if (call != NULL) {
        r.calls = from(r.content, call);
        r.content = trim((struct str){r.content.data, (size_t)(call - r.content.data)});
    }
    return r;
}

static cJSON *call_json(struct str call)
{
    size_t where = 0;
    cJSON *value = json_read(call.data, call.n, &where), *out = NULL;
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(value, "name");
    const cJSON *arguments = cJSON_GetObjectItemCaseSensitive(value, "arguments");
    char *text = cJSON_IsString(name) && arguments != NULL ? cJSON_PrintUnformatted(arguments) : NULL;
    if (text != NULL) out = cJSON_CreateObject();
    if (out != NULL) {
        cJSON_AddStringToObject(out, "type", "function");
        cJSON *function = cJSON_AddObjectToObject(out, "function");
        cJSON_AddStringToObject(function, "name", name->valuestring);
        cJSON_AddStringToObject(function, "arguments", cJSON_IsString(arguments) ? arguments->valuestring : text);
    }
    cJSON_free(text);
    cJSON_Delete(value);
    return out;
}

bool reply_add_json(cJSON *object, struct str answer)
{
    const struct reply r = reply_split(answer);
    struct str rest = r.calls;
    cJSON *calls = NULL;
    if (r.reasoning.data != NULL && !json_add_text(object, "reasoning_content", r.reasoning.data, r.reasoning.n))
        return false;
    while (rest.data != NULL) {
        const struct str open = STR("<tool_call>"), close = STR("</tool_call>");
        const char *begin = find(rest, open.data);
        const char *end = begin != NULL ? find(from(rest, begin), close.data) : NULL;
        if (end == NULL) break;
        cJSON *call = call_json(trim((struct str){begin + open.n, (size_t)(end - begin) - open.n}));
        if (call != NULL && calls == NULL) calls = cJSON_AddArrayToObject(object, "tool_calls");
        if (call != NULL && !cJSON_AddItemToArray(calls, call)) cJSON_Delete(call);
        rest = from(rest, end + close.n);
    }
    return true;
}
