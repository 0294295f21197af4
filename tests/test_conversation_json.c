/* test_conversation_json: conversations as text: the store's own form to the bit, exports and their way back, hostile
 * text, failing memory. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "app/store.h"
#include "runtime/platform.h"

static uint64_t rng = 7;
static uint32_t below(uint32_t n)
{
    rng += 0x9e3779b97f4a7c15u;
    return (uint32_t)(mix_u64(rng) % n);
}

/* --- random trees ------------------------------------------------------------------------------------------------- */

static const struct str pieces[] = {STR("Hello"), STR(" "), STR("\n"), STR("\0"), STR("\"\\/"), STR("caf\xc3\xa9"),
                                    STR("\xf0\x9f\xa6\x80"), STR("\xff\xc3"), STR("\xed\xa0\x80"), STR("\x1b[31m\x7f"),
                                    STR("## User\n"), STR("\n\\## Tool"), STR("<|im_end|>"), STR("\xe2\x80\xae"),
                                    STR("\t\r\n"), STR("\\u0000")};

static size_t random_text(char out[400])
{
    size_t n = 0;
    for (uint32_t k = below(12); k > 0; k--) {
        const struct str piece = pieces[below(COUNT_OF(pieces))];
        memcpy(out + n, piece.data, piece.n);
        n += piece.n;
    }
    return n;
}

static void random_tree(struct conversation *c, bool with_extra)
{
    static char extra[] = "{\"tool_calls\":[{\"id\":\"x\\u0000\",\"n\":[1,-2.5,1e+300,123456789012345678901,true,null]}],\"name\":\"\xc3\xa9\"}";
    struct conversation_state state = {.head = NO_MESSAGE, .system = NO_MESSAGE};
    conversation_init(c);
    for (uint32_t n = below(30); n > 0; n--) {
        char text[400];
        int32_t ids[20];
        uint32_t index;
        struct message m = {.role = (enum role)below(N_ROLES), .end = (enum answer_end)below(N_ENDS), .parent = NO_MESSAGE};
        m.text = text;
        m.n_text = random_text(text);
        m.time_ms = below(2) ? 0 : (int64_t)below(UINT32_MAX) * 59;
        m.ids = (struct ids){ids, below(20), 20};
        for (size_t i = 0; i < m.ids.n; i++) ids[i] = below(9) ? (int32_t)below(151936) : INT32_MAX;
        m.vocab = m.ids.n ? mix_u64(rng) : 0;
        if (with_extra && below(4) == 0) m.extra = extra;
        if (m.role != ROLE_SYSTEM && state.head != NO_MESSAGE && below(5)) m.parent = below(3) ? state.head : below(c->n_messages);
        if (m.parent != NO_MESSAGE && c->messages[m.parent].role == ROLE_SYSTEM) m.parent = NO_MESSAGE;
        CHECK(conversation_put(c, &m, &index) == PUMICE_OK, "%s", pumice_error());
        if (m.role == ROLE_SYSTEM) state.system = index;
        else if (below(4)) state.head = index;
    }
    CHECK(conversation_set_state(c, state) == PUMICE_OK, "%s", pumice_error());
    if (below(2)) CHECK(conversation_rename(c, below(2) ? "A \"title\"\n\xff" : "") == PUMICE_OK, "%s", pumice_error());
    c->created_ms = below(1000000);
    c->updated_ms = below(1000000);
    snprintf(c->id, sizeof c->id, "%s", below(2) ? "20261124-093015-1b2c3d4e" : "");
}

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static bool same_message(const struct message *a, const struct message *b)
{
    return a->role == b->role && a->end == b->end && a->parent == b->parent && a->n_text == b->n_text &&
           memcmp(a->text, b->text, a->n_text) == 0 && b->text[b->n_text] == 0 && same_text(a->extra, b->extra) &&
           a->ids.n == b->ids.n && (a->ids.n == 0 || memcmp(a->ids.data, b->ids.data, a->ids.n * sizeof(int32_t)) == 0) &&
           a->vocab == b->vocab && a->time_ms == b->time_ms;
}

static bool same(const struct conversation *a, const struct conversation *b)
{
    bool ok = strcmp(a->id, b->id) == 0 && same_text(a->title, b->title) && a->created_ms == b->created_ms &&
              a->updated_ms == b->updated_ms && a->n_messages == b->n_messages && a->state.head == b->state.head &&
              a->state.system == b->state.system && a->n_path == b->n_path &&
              (a->n_path == 0 || memcmp(a->path, b->path, a->n_path * sizeof *a->path) == 0);
    for (uint32_t i = 0; ok && i < a->n_messages; i++) ok = same_message(&a->messages[i], &b->messages[i]);
    return ok;
}

static bool is_empty(const struct conversation *c)
{
    return c->n_messages == 0 && c->title == NULL && c->id[0] == 0 && c->state.head == NO_MESSAGE && c->n_path == 0;
}

static void test_round_trip(void)
{
    for (int i = 0; i < 400; i++) {
        struct conversation a, b;
        char *text = NULL, *again = NULL;
        size_t n = 0, n_again = 0;
        random_tree(&a, true);
        REQUIRE(conversation_to_json(&a, &text, &n) == PUMICE_OK, "%s", pumice_error());
        CHECK(strlen(text) == n, "a NUL in the JSON");
        CHECK(conversation_of_json(text, n, &b) == PUMICE_OK, "%s\n%s", pumice_error(), text);
        CHECK(same(&a, &b), "tree %d is another one:\n%s", i, text);
        REQUIRE(conversation_to_json(&b, &again, &n_again) == PUMICE_OK, "%s", pumice_error());
        CHECK(n == n_again && memcmp(text, again, n) == 0, "tree %d: other bytes", i);
        mem_free(text);
        mem_free(again);
        conversation_fini(&a);
        conversation_fini(&b);
    }
}

/* --- export and import -------------------------------------------------------------------------------------------- */

/* System message and path of a against those of b. */
static bool same_path(const struct conversation *a, const struct conversation *b)
{
    bool ok = a->n_path == b->n_path && (a->state.system == NO_MESSAGE) == (b->state.system == NO_MESSAGE);
    for (uint32_t i = 0; ok && i <= a->n_path; i++) {
        if (i == a->n_path && a->state.system == NO_MESSAGE) break;
        const struct message *x = &a->messages[i < a->n_path ? a->path[i] : a->state.system];
        const struct message *y = &b->messages[i < b->n_path ? b->path[i] : b->state.system];
        ok = x->role == y->role && x->n_text == y->n_text && memcmp(x->text, y->text, x->n_text) == 0 &&
             same_text(x->extra, y->extra);
    }
    return ok;
}

static void test_exports_come_back(void)
{
    for (int i = 0; i < 600; i++) {
        struct conversation a, b;
        char *text = NULL;
        size_t n = 0;
        const enum export_format format = (enum export_format)(i % N_EXPORTS);
        random_tree(&a, format != EXPORT_MARKDOWN);
        REQUIRE(conversation_export(&a, format, &text, &n) == PUMICE_OK, "%s", pumice_error());
        const enum pumice_status st = conversation_import(text, n, &b);
        if (a.n_path == 0 && a.state.system == NO_MESSAGE)
            CHECK(st == PUMICE_FORMAT && strstr(pumice_error(), "no message") && is_empty(&b), "%s", pumice_error());
        else
            CHECK(st == PUMICE_OK && same_path(&a, &b) && b.id[0] == 0, "export %d: %s\n%s", i, pumice_error(), text);
        mem_free(text);
        conversation_fini(&a);
        conversation_fini(&b);
    }
}

static void check_import(const char *text, const char *want)
{
    struct conversation c;
    char *got = NULL;
    size_t n = 0;
    if (CHECK(conversation_import(text, strlen(text), &c) == PUMICE_OK, "%s: %s", text, pumice_error()) &&
        CHECK(conversation_export(&c, EXPORT_JSONL, &got, &n) == PUMICE_OK, "%s", pumice_error()))
        CHECK(strcmp(got, want) == 0, "%s\n  became %s\n  not %s", text, got, want);
    mem_free(got);
    conversation_fini(&c);
}

static void check_refused(const char *text, const char *why)
{
    struct conversation c;
    CHECK(conversation_import(text, strlen(text), &c) == PUMICE_FORMAT && strstr(pumice_error(), why), "%s: %s", text, pumice_error());
    CHECK(is_empty(&c), "%s: not empty", text);
    conversation_fini(&c);
}

#define USER_A "{\"role\":\"user\",\"content\":\"a\"}\n"
static void test_imports(void)
{
    check_import("[{\"role\":\"user\",\"content\":\"a\"}]", USER_A);
    check_import("\xef\xbb\xbf {\"model\":\"m\",\"messages\":[{\"content\":\"a\",\"role\":\"user\"}]}\n", USER_A);
    check_import("{\"role\":\"user\",\"content\":\"a\"}", USER_A);
    check_import(USER_A "\n \r\n" USER_A, USER_A USER_A);
    check_import("## User\na\n## Assistant\n\nb\n\n\\## Tool\n\\\\## Tool\n\\# x",
                 USER_A "{\"role\":\"assistant\",\"content\":\"b\\n\\n## Tool\\n\\\\## Tool\\n\\\\# x\"}\n");
    check_import("\xef\xbb\xbf# t\r\n\r\n## User\r\n\r\na\r\n\r\n## Assistant\r\n\r\nb\r\n\r\nc\rd\r\n",
                 USER_A "{\"role\":\"assistant\",\"content\":\"b\\n\\nc\\rd\"}\n"); /* an editor's line ends, not the texts' */
    check_import("## User\n\nb\r\nc\n", "{\"role\":\"user\",\"content\":\"b\\r\\nc\"}\n");
    check_import("## User\r", "{\"role\":\"user\",\"content\":\"\"}\n");
    check_import("[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":1}]},"
                 "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":[{\"type\":\"text\",\"text\":\"p\"},{\"type\":\"x\"}]},"
                 "{\"role\":\"assistant\",\"tool_calls\":[]}]",
                 "{\"role\":\"system\",\"content\":\"s\"}\n"
                 "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":1}]}\n"
                 "{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"p\"},{\"type\":\"x\"}],\"tool_call_id\":\"1\"}\n"
                 "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[]}\n");
    check_import("[{\"role\":\"user\",\"content\":\"a\\u0000\\ud83e\\udd80\\ud800\",\"role\":\"user\"}]",
                 "{\"role\":\"user\",\"content\":\"a\\u0000\xf0\x9f\xa6\x80\xef\xbf\xbd\"}\n");
    check_import("[{\"role\":\"user\",\"content\":\"\xff\",\"n\xff\":[\"\xff\"]}]",
                 "{\"role\":\"user\",\"content\":\"\xef\xbf\xbd\",\"n\xef\xbf\xbd\":[\"\xef\xbf\xbd\"]}\n");
    check_refused("", "no message");
    check_refused("Hello", "no message");
    check_refused("# Title\n\ntext", "no message");
    check_refused("[]", "no message");
    check_refused("{\"a\":1}", "\"messages\"");
    check_refused("{\"messages\":{}}", "\"messages\"");
    check_refused("[1]", "message 1: it is no object");
    check_refused("[{\"role\":\"user\"}]", "message 1: it has no \"content\"");
    check_refused("[{\"role\":\"user\",\"content\":1}]", "\"content\" is no string");
    check_refused("[{\"role\":\"ro\\nle\",\"content\":\"\"}]", "'ro\\x0ale'");
    check_refused("[{\"role\":1,\"content\":\"\"}]", "\"role\"");
    check_refused(USER_A "{\"role\":\"user\"}\n", "line 2: it has no");
    check_refused(USER_A "\n{\"role\":\"user\",", "line 3: ");
    check_refused("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\",\"content\":\"a\"}]", "message 2: it is a system message");
    check_refused("{\"messages\":[]}\n{\"messages\":[]}", "several conversations");
}

static void test_import_depth(void)
{
    char text[400];
    for (int depth = 1; depth < 63; depth++) { /* what is read can be written and read again */
        struct conversation a, b;
        char *json = NULL;
        size_t n = 0;
        snprintf(text, sizeof text, "[{\"role\":\"user\",\"content\":\"\",\"x\":%.*s%.*s}]", depth,
                 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", depth,
                 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
        const enum pumice_status st = conversation_import(text, strlen(text), &a);
        CHECK(st == (depth < 48 ? PUMICE_OK : PUMICE_FORMAT), "depth %d: %s", depth, pumice_error());
        REQUIRE(conversation_to_json(&a, &json, &n) == PUMICE_OK, "%s", pumice_error());
        CHECK(conversation_of_json(json, n, &b) == PUMICE_OK && b.n_messages == a.n_messages, "%s", pumice_error());
        mem_free(json);
        conversation_fini(&a);
        conversation_fini(&b);
    }
}

static void test_formats(void)
{
    enum export_format f;
    CHECK(export_format_of("a/b.MD", &f) == PUMICE_OK && f == EXPORT_MARKDOWN, "md");
    CHECK(export_format_of(".json", &f) == PUMICE_OK && f == EXPORT_JSON, "json");
    CHECK(export_format_of("x.json.Jsonl", &f) == PUMICE_OK && f == EXPORT_JSONL, "jsonl");
    CHECK(export_format_of("md", &f) == PUMICE_ARGUMENT && export_format_of("a.txt", &f) == PUMICE_ARGUMENT &&
              export_format_of("a\x0emd", &f) == PUMICE_ARGUMENT && strstr(pumice_error(), ".jsonl"), "%s", pumice_error());
}

/* --- hostile text ------------------------------------------------------------------------------------------------- */

#define HEAD "{\"pumice\":1,\"id\":\"a-1\",\"title\":\"t\",\"created_ms\":5,\"updated_ms\":6,\"system\":0,\"head\":2,\"messages\":["
#define SYSTEM "{\"role\":\"system\",\"parent\":null,\"time_ms\":0,\"content\":\"s\"},"
#define QUESTION "{\"role\":\"user\",\"parent\":null,\"time_ms\":1,\"content\":\"q\",\"extra\":{\"a\":[1]}},"
#define ANSWER "{\"role\":\"assistant\",\"parent\":1,\"time_ms\":2,\"end\":\"eos\",\"content\":\"a\",\"vocab\":\"00000000000000ff\",\"ids\":[1,2]}"
static const char small[] = HEAD SYSTEM QUESTION ANSWER "]}";

/* A title of signs that are escaped fills its 255 bytes; the heading after it stays one. */
static void test_long_title(void)
{
    struct conversation c, back;
    char question[60 * 4 + 8] = "", *text = NULL;
    size_t n = 0;
    conversation_init(&c);
    for (int i = 0; i < 60; i++) strcat(question, "\xef\xbb\xbf"); /* shown as \xef\xbb\xbf, 12 bytes */
    CHECK(conversation_add(&c, ROLE_USER, question, strlen(question)) == PUMICE_OK, "%s", pumice_error());
    CHECK(conversation_export(&c, EXPORT_MARKDOWN, &text, &n) == PUMICE_OK, "%s", pumice_error());
    CHECK(strstr(text, "\n\n## User\n\n") != NULL, "%s", text);
    CHECK(conversation_import(text, n, &back) == PUMICE_OK && back.n_path == 1, "%s", pumice_error());
    mem_free(text);
    conversation_fini(&c);
    conversation_fini(&back);
}

static void test_truncated(void)
{
    struct conversation c;
    const size_t n = strlen(small);
    CHECK(conversation_of_json(small, n, &c) == PUMICE_OK && c.n_messages == 3 && c.n_path == 2 && c.updated_ms == 6 &&
              c.messages[2].vocab == 255 && c.messages[2].ids.n == 2, "%s", pumice_error());
    conversation_fini(&c);
    for (size_t k = 0; k < n; k++) {
        char *exact = malloc(k + 1); /* so that the sanitizer sees a byte read behind it */
        memcpy(exact, small, k);
        exact = realloc(exact, k ? k : 1);
        CHECK(conversation_of_json(exact, k, &c) == PUMICE_FORMAT && is_empty(&c), "cut at %zu: %s", k, pumice_error());
        free(exact);
    }
}

/* The text with `from` replaced by `to`. */
static enum pumice_status read_replaced(const char *from, const char *to, struct conversation *c)
{
    char text[2000];
    const char *at = strstr(small, from);
    if (!CHECK(at != NULL, "%s", from)) at = small;
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - small), small, to, at + strlen(from));
    return conversation_of_json(text, strlen(text), c);
}

static void test_wrong_values(void)
{
    static const char *const values[] = {"null", "true", "1", "-1", "1.5", "1e999", "99999999999999999999", "\"x\"", "[]",
                                         "{}", "\"\"", "[[]]", "[-1]", "[2147483648]", "4294967295"};
    static const struct {
        const char *member, *value, *fine; /* which of the values are accepted, as '1' */
    } rows[] = {
        {"\"pumice\":", "1", "001000000000000"},      {"\"id\":", "\"a-1\"", "000000010010000"},
        {"\"title\":", "\"t\"", "100000010010000"},   {"\"created_ms\":", "5", "001000000000001"},
        {"\"updated_ms\":", "6", "001000000000001"},     {"\"system\":", "0", "100000000000000"},
        {"\"head\":", "2", "101000000000000"},        {"\"time_ms\":", "1", "001000000000001"},
        {"\"parent\":", "1", "101000000000000"},      {"\"role\":", "\"assistant\"", "000000000000000"},
        {"\"content\":", "\"a\"", "000000010010000"}, {"\"end\":", "\"eos\"", "100000000000000"},
        {"\"vocab\":", "\"00000000000000ff\"", "100000000000000"},
        {"\"ids\":", "[1,2]", "100000001000000"},     {"\"extra\":", "{\"a\":[1]}", "100000000100000"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t k = 0; k < COUNT_OF(values); k++) {
            struct conversation c;
            char from[80], to[80];
            snprintf(from, sizeof from, "%s%s", rows[i].member, rows[i].value);
            snprintf(to, sizeof to, "%s%s", rows[i].member, values[k]);
            const enum pumice_status st = read_replaced(from, to, &c), want = rows[i].fine[k] == '1' ? PUMICE_OK : PUMICE_FORMAT;
            const bool newer = i == 0 && k == COUNT_OF(values) - 1;
            CHECK(st == (newer ? PUMICE_UNSUPPORTED : want) && (st == PUMICE_OK || is_empty(&c)), "%s: %s", to, pumice_error());
            CHECK(st == PUMICE_OK || newer || strstr(pumice_error(), "damaged"), "%s: %s", to, pumice_error());
            conversation_fini(&c);
        }
}

static void test_wrong_trees(void)
{
    static const struct {
        const char *from, *to, *why;
    } rows[] = {
        {"\"parent\":1", "\"parent\":2", "message 3: \"parent\" is 2"},
        {"\"parent\":1", "\"parent\":3", "message 3: \"parent\" is 3"},
        {"\"parent\":1", "\"parent\":0", "message 3: a system message"},
        {"\"role\":\"assistant\"", "\"role\":\"system\"", "message 3: a system message"},
        {"\"head\":2", "\"head\":0", "last message"},
        {"\"head\":2", "\"head\":3", "\"head\" is 3"},
        {"\"system\":0", "\"system\":1", "system message"},
        {"\"id\":\"a-1\"", "\"id\":\"../a\"", "no id"},
        {"\"id\":\"a-1\"", "\"id\":\"0123456789012345678901234567890123456789\"", "no id"},
        {"\"updated_ms\":6", "\"updated_ms\":253402300800000", "no time"},
        {"\"vocab\":\"00000000000000ff\"", "\"vocab\":\"+0000000000000ff\"", "hexadecimal"},
        {"\"parent\":null,", "", "message 1: \"parent\" is missing"},
        {"\"pumice\":1", "\"pumice\":1,\"pumice\":0", "number of a form"},
        {"\"pumice\":1,", "", "\"pumice\" is missing"},
        {"\"pumice\":1", "\"pumice\":1,\"messages\":7,\"x\":\"\\ud800", "\"x\""},
    };
    struct conversation c;
    for (size_t i = 0; i + 1 < COUNT_OF(rows); i++)
        CHECK(read_replaced(rows[i].from, rows[i].to, &c) == PUMICE_FORMAT && strstr(pumice_error(), rows[i].why) && is_empty(&c),
              "%s: %s", rows[i].to, pumice_error());
    CHECK(read_replaced("\"pumice\":1", "\"pumice\":2,\"messages\":{}", &c) == PUMICE_UNSUPPORTED &&
              strstr(pumice_error(), "update pumice"), "%s", pumice_error());
    CHECK(read_replaced("\"title\":\"t\"", "\"title\":\"u\",\"further\":[{}],\"title\":\"v\\u0000w\"", &c) == PUMICE_OK &&
              strcmp(c.title, "v") == 0, "%s", pumice_error());
    conversation_fini(&c);
}

/* `front`, n times `part`, `back`; read, and how long that took. */
static enum pumice_status read_repeated(const char *front, const char *part, size_t n, const char *back, struct conversation *c)
{
    const size_t n_front = strlen(front), n_part = strlen(part), bytes = n_front + n * n_part + strlen(back);
    char *text = malloc(bytes + 1);
    memcpy(text, front, n_front);
    for (size_t i = 0; i < n; i++) memcpy(text + n_front + i * n_part, part, n_part);
    memcpy(text + n_front + n * n_part, back, strlen(back) + 1);
    const uint64_t begin = platform_now_ns();
    const enum pumice_status st = conversation_import(text, bytes, c);
    const double seconds = (double)(platform_now_ns() - begin) * 1e-9;
    CHECK(seconds < 10, "%.1f s for %zu times %s", seconds, n, part);
    free(text);
    return st;
}

static void test_large(void)
{
    enum { MANY = 100000 };
    struct conversation c, again;
    char *text = NULL;
    size_t n = 0;
    CHECK(read_repeated(HEAD, SYSTEM, MANY, SYSTEM QUESTION "{}]}", &c) == PUMICE_FORMAT, "%s", pumice_error());
    CHECK(strstr(pumice_error(), "message 100003"), "%s", pumice_error());
    CHECK(read_repeated("", "[", MANY, "", &c) == PUMICE_FORMAT && is_empty(&c), "%s", pumice_error());
    CHECK(read_repeated("", "{\"messages\":", MANY, "", &c) == PUMICE_FORMAT && is_empty(&c), "%s", pumice_error());
    CHECK(read_repeated(HEAD SYSTEM QUESTION "{\"ids\":[", "1,", MANY, "", &c) == PUMICE_FORMAT, "%s", pumice_error());
    CHECK(read_repeated("", "## User\n", MANY, "", &c) == PUMICE_OK && c.n_path == MANY, "%s", pumice_error());
    conversation_fini(&c);
    CHECK(read_repeated("", USER_A, MANY, "", &c) == PUMICE_OK && c.n_path == MANY, "%s", pumice_error());
    REQUIRE(conversation_to_json(&c, &text, &n) == PUMICE_OK, "%s", pumice_error());
    CHECK(conversation_of_json(text, n, &again) == PUMICE_OK && same(&c, &again), "%s", pumice_error());
    mem_free(text);
    conversation_fini(&c);
    conversation_fini(&again);
    text = calloc(CONVERSATION_MAX_BYTES + 1, 1);
    CHECK(conversation_of_json(text, CONVERSATION_MAX_BYTES + 1, &c) == PUMICE_FORMAT && strstr(pumice_error(), "64 MiB"), "%s", pumice_error());
    CHECK(conversation_import(text, CONVERSATION_MAX_BYTES + 1, &c) == PUMICE_FORMAT && strstr(pumice_error(), "64 MiB"), "%s", pumice_error());
    free(text);
}

/* --- failing memory ----------------------------------------------------------------------------------------------- */

static const char chat[] = "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\\u0000\",\"name\":\"x\\n\"},"
                           "{\"role\":\"assistant\",\"content\":[{\"text\":\"b\xff\"}]}]";

/* One of the ways a conversation goes, with the k-th allocation failing; true when none failed. */
static bool fails_well(int way, uint64_t k)
{
    struct conversation c, from;
    char *text = NULL;
    size_t n = 0;
    enum pumice_status st;
    CHECK(conversation_import(chat, strlen(chat), &from) == PUMICE_OK && conversation_rename(&from, "t") == PUMICE_OK, "%s", pumice_error());
    conversation_init(&c);
    mem_fail_at(k);
    switch (way) {
    case 0: st = conversation_of_json(small, strlen(small), &c); break;
    case 1: st = conversation_import(chat, strlen(chat), &c); break;
    case 2: st = conversation_import(USER_A USER_A, 2 * strlen(USER_A), &c); break;
    case 3: st = conversation_import("# t\n## User\n\nx\n\n## Tool\n\ny\n", 28, &c); break;
    case 4: st = conversation_import(small, strlen(small), &c); break;
    case 5: st = conversation_to_json(&from, &text, &n); break;
    default: st = conversation_export(&from, (enum export_format)(way - 6), &text, &n); break;
    }
    mem_fail_at(0);
    if (st != PUMICE_OK)
        CHECK(st == PUMICE_MEMORY && is_empty(&c) && text == NULL && n == 0, "way %d, allocation %d: %s", way, (int)k, pumice_error());
    mem_free(text);
    conversation_fini(&c);
    conversation_fini(&from);
    return st == PUMICE_OK;
}

static void test_memory(void)
{
    for (int way = 0; way < 6 + N_EXPORTS; way++) {
        uint64_t k = 1;
        while (k < 1000 && !fails_well(way, k)) k++;
        CHECK(k > 1 && k < 1000, "way %d: %d allocations", way, (int)k - 1);
    }
}

int main(void)
{
    test_round_trip();
    test_exports_come_back();
    test_imports();
    test_import_depth();
    test_formats();
    test_long_title();
    test_truncated();
    test_wrong_values();
    test_wrong_trees();
    test_large();
    test_memory();
    return check_summary("test_conversation_json");
}
