/* test_spm: vocabularies of SentencePiece's kind: against SentencePiece's own ids (vectors/tokenizer/make_spm_vectors.py), and
 * the rules with a vocabulary made by hand. usage: test_spm VECTORS_DIR */
#include "tokenizer_rig.h"

#define MARK "\xE2\x96\x81" /* a space, in the vocabulary */

/* --- a vocabulary made by hand: <unk> <s> </s>, the bytes, then these ------------------------------------------------- */

enum { BYTE = 3, FIRST = BYTE + 256, N_MADE = 19 };
enum { SPACE = FIRST, A, B, AB, BA, ABAB, SP_A, QX, H, E, HE, SP_HE, E_ACUTE, MADE_S, IM, IM_END, THINK, UNUSED, SPACED };
struct made {
    struct tokenizer_vocab vocab;
    struct str tokens[FIRST + N_MADE];
    int32_t types[FIRST + N_MADE];
    float scores[FIRST + N_MADE];
    char bytes[256][8];
};

static void made_make(struct made *v)
{
    static const struct {
        const char *text;
        float score;
        int32_t type;
    } more[N_MADE] = {{MARK, -9, 1}, {"a", -9, 1}, {"b", -9, 1}, {"ab", -2, 1}, {"ba", -2, 1}, {"abab", -1, 1},
                      {MARK "a", -3, 1}, {"qx", -1, 1}, {"h", -9, 1}, {"e", -9, 1}, {"he", -4, 1}, {MARK "he", -5, 1},
                      {"\xC3\xA9", -9, 1}, {"<s>he", -1, 1}, {"<|im", 0, 3}, {"<|im_end|>", 0, 3}, {"<think>", 0, 4},
                      {"hh", 0, 5}, {"b b", 0, 1}};
    static const char *const first[BYTE] = {"<unk>", "<s>", "</s>"};
    memset(v, 0, sizeof *v);
    for (size_t i = 0; i < FIRST + N_MADE; i++) {
        const size_t b = i - BYTE, m = i - FIRST;
        if (i >= BYTE && i < FIRST) snprintf(v->bytes[b], sizeof v->bytes[b], "<0x%02X>", (unsigned)b);
        v->tokens[i] = str_of(i < BYTE ? first[i] : i < FIRST ? v->bytes[b] : more[m].text);
        v->types[i] = i == 0 ? 2 : i < BYTE ? 3 : i < FIRST ? 6 : more[m].type;
        v->scores[i] = i < FIRST ? 0 : more[m].score;
    }
    v->vocab = (struct tokenizer_vocab){.model = STR("llama"), .n_tokens = FIRST + N_MADE, .tokens = v->tokens, .types = v->types,
                                        .bos = 1, .eos = 2, .eot = -1, .pad = -1, .add_bos = true, .scores = v->scores,
                                        .add_space_prefix = true};
}

static struct tokenizer *made_open(struct made *v, bool prefix)
{
    struct tokenizer *t;
    made_make(v);
    v->vocab.add_space_prefix = prefix;
    CHECK(tokenizer_create(&v->vocab, &t) == PUMICE_OK, "%s", pumice_error());
    return must(t);
}

static void check_decoded(const struct tokenizer *t, const int32_t *ids, size_t n, const char *want, int line)
{
    char *text;
    size_t bytes;
    CHECK(tokenizer_decode(t, ids, n, false, &text, &bytes) == PUMICE_OK, "%s", pumice_error());
    CHECK(str_eqz((struct str){text, bytes}, want), "line %d: want %s, got %s", line, shown(str_of(want)),
          shown((struct str){text, bytes}));
    mem_free(text);
}
#define DECODED(t, want, ...) \
    check_decoded(t, (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4, want, __LINE__)
#define BYTE_OF(c) (BYTE + (c))

static void test_made(void)
{
    struct made v;
    struct tokenizer *t = made_open(&v, false);
    IDS(t, "abab", true, ABAB);
    IDS(t, "aba", true, AB, A);                     /* ab and ba score the same: leftmost first */
    IDS(t, "bab", true, BA, B);
    IDS(t, " a", true, SP_A);
    IDS(t, "  a", true, SPACE, SP_A);
    IDS(t, MARK "a", true, SP_A);                   /* a mark in the text is a space */
    IDS(t, " he", true, SP_HE);
    IDS(t, "qx", true, QX);                         /* q and x are no tokens of their own, but together they are */
    IDS(t, "qqx", true, BYTE_OF('q'), QX);
    IDS(t, "xq", true, BYTE_OF('x'), BYTE_OF('q'));
    IDS(t, "\xC3\xA9\xE4\xB8\xAD", true, E_ACUTE, BYTE_OF(0xE4), BYTE_OF(0xB8), BYTE_OF(0xAD));
    IDS(t, "\xC3" "a", true, BYTE_OF(0xC3), A);
    IDS(t, "e\xCC\x81", true, E, BYTE_OF(0xCC), BYTE_OF(0x81)); /* no NFC */
    IDS(t, "<0x41>", false, BYTE_OF('<'), BYTE_OF('0'), BYTE_OF('x'), BYTE_OF('4'), BYTE_OF('1'), BYTE_OF('>'));
    IDS(t, "hh", true, H, H);                       /* unused tokens are not made */
    IDS(t, "b b", true, B, SPACE, B);
    /* tokens that are no ordinary ones: only in special stretches */
    IDS(t, "<s>he<|im_end|><think>", true, 1, HE, IM_END, THINK);
    IDS(t, "<s>he", false, BYTE_OF('<'), BYTE_OF('s'), BYTE_OF('>'), HE);
    IDS(t, "<unk>", true, 0);
    IDS(t, "<think>", false, BYTE_OF('<'), BYTE_OF('t'), H, BYTE_OF('i'), BYTE_OF('n'), BYTE_OF('k'), BYTE_OF('>'));
    check_segments(t, SEGMENTS(S("<|im"), U("ab"), S("ab<s>")), WANT(IM, ABAB, 1));
    DECODED(t, " a he", SP_A, SP_HE);
    tokenizer_destroy(t);

    t = made_open(&v, true); /* a space in front of each run */
    IDS(t, "a", true, SP_A);
    IDS(t, " a", true, SPACE, SP_A);
    IDS(t, "\n", true, SPACE, BYTE_OF('\n'));
    IDS(t, "<s>a<|im_end|><think>he", true, 1, SP_A, IM_END, THINK, SP_HE);
    check_segments(t, SEGMENTS(S("<|im"), U("he"), S("ab<|im_end|>")), WANT(IM, SP_HE, AB, IM_END));
    check_segments(t, SEGMENTS(S("<|im"), U(""), S("<|im_end|>")), WANT(IM, IM_END));
    DECODED(t, "a he", SP_A, SP_HE);
    DECODED(t, " a", SPACE, SP_A);
    DECODED(t, "<s>a<|im_end|>he a", 1, SP_A, IM_END, SP_HE, SP_A);
    DECODED(t, "\xE4\xB8\xAD", SPACE, BYTE_OF(0xE4), BYTE_OF(0xB8), BYTE_OF(0xAD));
    DECODED(t, "\xEF\xBF\xBD" "a", BYTE_OF(0xE4), A);
    CHECK(str_eqz(tokenizer_token_bytes(t, SP_A), " a"), "a token alone keeps its space");
    CHECK(str_eqz(tokenizer_token_bytes(t, IM), "<|im") && tokenizer_token_bytes(t, BYTE).n == 1, "bytes");
    CHECK(tokenizer_is_control(t, 0) && tokenizer_is_control(t, 1) && !tokenizer_is_control(t, THINK) &&
              !tokenizer_is_control(t, BYTE) && !tokenizer_is_control(t, A), "control");
    CHECK(tokenizer_bos(t) == 1 && tokenizer_find(t, STR("<think>")) == THINK && tokenizer_find(t, STR("he")) == -1, "find");
    test_hostile_text(t, "made by hand");
    tokenizer_destroy(t);
}

/* Against the definition, done slowly on texts: of all neighbours whose texts together are a token the best score. */
static void test_definition(void)
{
    struct made v;
    struct tokenizer *t = made_open(&v, false);
    uint32_t state = 1;
    for (size_t round = 0; round < 3000; round++) {
        char text[300];
        size_t n = 1 + round % 120, length = 0, n_parts = 0, n_want = 0;
        struct str parts[120];
        int32_t want[300];
        static const char *const units[] = {"a", "b", "a", "b", "q", "x", " ", "h", "e", "\xC3\xA9"};
        for (size_t i = 0; i < n; i++) {
            const char *unit = units[next(&state, COUNT_OF(units))];
            parts[n_parts++] = (struct str){text + length, strlen(unit)};
            length += strlen(strcpy(text + length, unit));
        }
        for (;;) {
            size_t best = SIZE_MAX;
            float score = -100;
            for (size_t i = 0; i + 1 < n_parts; i++)
                for (int32_t id = FIRST; id < MADE_S; id++) {
                    const struct str both = {parts[i].data, parts[i].n + parts[i + 1].n};
                    if (!str_eq(tokenizer_token_bytes(t, id), both) || v.scores[id] <= score) continue;
                    best = i;
                    score = v.scores[id];
                }
            if (best == SIZE_MAX) break;
            parts[best].n += parts[best + 1].n;
            n_parts--;
            memmove(parts + best + 1, parts + best + 2, (n_parts - best - 1) * sizeof *parts);
        }
        for (size_t i = 0; i < n_parts; i++) {
            int32_t id = FIRST;
            while (id < MADE_S && !str_eq(tokenizer_token_bytes(t, id), parts[i])) id++;
            for (size_t b = 0; b < (id < MADE_S ? 1 : parts[i].n); b++)
                want[n_want++] = id < MADE_S ? id : BYTE_OF((unsigned char)parts[i].data[b]);
        }
        check_ids(t, (struct str){text, length}, false, want, n_want, __LINE__);
    }
    tokenizer_destroy(t);
}

/* --- hostile vocabularies ------------------------------------------------------------------------------------------------ */

static void check_refused(struct made *v, const char *says, int line)
{
    struct tokenizer *t = NULL;
    const enum pumice_status st = tokenizer_create(&v->vocab, &t);
    CHECK(st == PUMICE_FORMAT && !t && strstr(pumice_error(), says), "line %d: %s: \"%s\" does not say \"%s\"", line,
          pumice_status_name(st), pumice_error(), says);
    tokenizer_destroy(t);
}
#define REFUSED(says, ...)                  \
    do {                                    \
        made_make(&v);                      \
        __VA_ARGS__;                        \
        check_refused(&v, says, __LINE__);  \
    } while (0)

static void test_hostile_vocab(void)
{
    struct made v;
    static char big[300];
    memset(big, 'a', sizeof big);
    REFUSED("without tokenizer.ggml.scores", v.vocab.scores = NULL);
    REFUSED("token 5: its score is", v.scores[5] = (float)strtod("nan", NULL));
    REFUSED("token 5: its score is", v.scores[5] = (float)strtod("-inf", NULL));
    REFUSED("token 260: 300 bytes", v.tokens[260] = (struct str){big, sizeof big});
    REFUSED("byte 0x41 (<0x41>)", v.tokens[BYTE_OF('A')] = STR("<0x4a>"));
    REFUSED("byte 0x41 (<0x41>)", v.types[BYTE_OF('A')] = 1);
    REFUSED("token 7: type 9", v.types[7] = 9);
    REFUSED("0 tokens", v.vocab.n_tokens = 0);
    REFUSED("bos token", v.vocab.bos = FIRST + N_MADE);
    REFUSED("without a bos", v.vocab.bos = -1);
    /* odd, but fine: equal tokens (the first counts), empty ones, broken UTF-8, the mark cut in two */
    struct tokenizer *t;
    made_make(&v);
    v.tokens[BA] = STR("ab");
    v.tokens[QX] = STR("");
    v.tokens[H] = STR("\xE2\x96");
    v.tokens[E_ACUTE] = STR("\xFF" "a\xE2");
    CHECK(tokenizer_create(&v.vocab, &t) == PUMICE_OK, "%s", pumice_error());
    IDS(t, "ba", true, SPACE, B, A);
    IDS(t, "\xFF" "a\xE2", true, SPACE, BYTE_OF(0xFF), A, BYTE_OF(0xE2)); /* no token for any two of the three */
    IDS(t, "\xE2\x96", true, SPACE, H);
    tokenizer_destroy(t);
}

/* 16,384 tokens of which each prefix is a token: more pairs than any real vocabulary has, still quick. */
static void test_many_pairs(void)
{
    enum { N = BYTE + 256 + (1 << 14) };
    struct made v;
    made_make(&v);
    struct str *tokens = must(calloc(N, sizeof *tokens));
    int32_t *types = must(calloc(N, sizeof *types));
    float *scores = must(calloc(N, sizeof *scores));
    char (*texts)[16] = must(calloc(1 << 14, sizeof *texts));
    memcpy(tokens, v.tokens, FIRST * sizeof *tokens);
    memcpy(types, v.types, FIRST * sizeof *types);
    for (uint32_t i = 0; i < 1 << 14; i++) { /* every string of a and b up to 13 letters: the bits below the highest one */
        uint32_t n = 0;
        while ((i + 2) >> (n + 1)) n++;
        for (uint32_t b = 0; b < n; b++) texts[i][b] = (i + 2) >> b & 1 ? 'b' : 'a';
        tokens[FIRST + i] = (struct str){texts[i], n};
        types[FIRST + i] = 1;
        scores[FIRST + i] = -(float)(i % 97);
    }
    v.vocab.n_tokens = N;
    v.vocab.tokens = tokens;
    v.vocab.types = types;
    v.vocab.scores = scores;
    struct tokenizer *t;
    const double start = seconds();
    CHECK(tokenizer_create(&v.vocab, &t) == PUMICE_OK, "%s", pumice_error());
    CHECK(seconds() - start < 1.0 * SLOWER, "%.2f s", seconds() - start);
    test_hostile_text(t, "many pairs");
    tokenizer_destroy(t);
    free(texts);
    free(scores);
    free(types);
    free(tokens);
}

/* The k-th allocation and all after it fail, for every k until all goes well. */
static void test_out_of_memory(void)
{
    struct made v;
    char word[100];
    bool done = false;
    made_make(&v);
    memset(word, 'q', sizeof word); /* long, and every letter becomes bytes */
    for (uint64_t k = 1; !done && k < 100; k++) {
        struct tokenizer *t = NULL;
        struct ids ids = {0};
        const struct segment segments[] = {S("<|im"), U("he \xE4\xB8\xAD"), {{word, sizeof word}, false, 0}};
        mem_fail_at(k);
        enum pumice_status st = tokenizer_create(&v.vocab, &t);
        if (st == PUMICE_OK) st = tokenizer_encode(t, segments, COUNT_OF(segments), &ids);
        mem_fail_at(0);
        done = st == PUMICE_OK;
        CHECK(done || (st == PUMICE_MEMORY && ids.n == 0), "allocation %d: %s", (int)k, pumice_error());
        if (done) CHECK(k > 12, "only %d allocations were seen to fail", (int)k);
        ids_fini(&ids);
        tokenizer_destroy(t);
    }
    CHECK(done, "never succeeded");
}

/* --- SentencePiece's own ids --------------------------------------------------------------------------------------------- */

struct trained {
    cJSON *lines[4096];
    size_t n;
    struct str tokens[4096];
    int32_t types[4096];
    float scores[4096];
};

static bool trained_read(struct trained *v, const char *data, const char *end_of_data)
{
    for (const char *line = data, *end; line < end_of_data; line = end + 1) {
        end = memchr(line, '\n', (size_t)(end_of_data - line));
        if (!end) end = end_of_data;
        if (*line != '[') continue;
        cJSON *json = cJSON_ParseWithLength(line, (size_t)(end - line));
        const cJSON *score = json && json->child ? json->child->next : NULL;
        if (!score || !score->next || v->n == COUNT_OF(v->tokens)) return false;
        v->lines[v->n] = json;
        v->tokens[v->n] = str_of(json->child->valuestring);
        v->scores[v->n] = (float)score->valuedouble;
        v->types[v->n++] = score->next->valueint;
    }
    return v->n > 1000;
}

static void test_trained(const char *vectors)
{
    static struct trained v;
    static struct pools pools;
    static const char *const names[4] = {"pools.json", "spm_vocab.jsonl", "spm_natural.jsonl", "spm_random.txt"};
    size_t sizes[4];
    char *files[4];
    bool complete = true;
    struct tokenizer *t = NULL;
    for (size_t i = 0; i < 4; i++) {
        files[i] = read_file(vectors, names[i], &sizes[i]);
        complete = CHECK(files[i], "%s/%s cannot be read", vectors, names[i]) && complete;
    }
    if (complete && CHECK(trained_read(&v, files[1], files[1] + sizes[1]) && pools_make(&pools, files[0], sizes[0]), "vectors")) {
        const struct tokenizer_vocab vocab = {.model = STR("llama"), .n_tokens = v.n, .tokens = v.tokens, .types = v.types,
                                              .bos = 1, .eos = 2, .eot = -1, .pad = -1, .scores = v.scores,
                                              .add_space_prefix = true};
        CHECK(tokenizer_create(&vocab, &t) == PUMICE_OK, "%s", pumice_error());
    }
    if (t) {
        test_natural(t, files[2], files[2] + sizes[2], false);
        test_random(t, &pools, files[3], 8, false);
        test_hostile_text(t, "trained");
    }
    tokenizer_destroy(t);
    for (size_t i = 0; i < v.n; i++) cJSON_Delete(v.lines[i]);
    for (size_t i = 0; i < 4; i++) free(files[i]);
    cJSON_Delete(pools.json);
    free(pools.assigned);
    free(pools.marks);
}

int main(int argc, char **argv)
{
    test_made();
    test_definition();
    test_hostile_vocab();
    test_many_pairs();
    test_out_of_memory();
    if (argc > 1) test_trained(argv[1]);
    return check_summary("test_spm");
}
