/* tokenize: `pumice tokenize`, text to ids and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/ids_text.h"
#include "app/json.h"
#include "app/llm.h"
#include "app/term.h"

static enum pumice_status encode(const struct llm *llm, const struct options *o, const char *text, size_t n,
                                 struct ids *out)
{
    return tokenizer_encode_text(llm->vocab.tokenizer, (struct str){text, n}, !o->plain, out);
}

/* One line of --jsonl: *out is what to print. */
static enum pumice_status encode_line(const struct llm *llm, const struct options *o, const char *line,
                                      size_t n, cJSON **out)
{
    size_t where = 0;
    struct ids ids = {0};
    cJSON *value = json_read(line, n, &where);
    enum pumice_status st = PUMICE_OK;
    if (value == NULL)
        st = err_set(PUMICE_ARGUMENT, "not JSON (byte %zu)", where + 1);
    else if (!cJSON_IsString(value))
        st = err_set(PUMICE_ARGUMENT, "not a JSON string");
    else
        st = encode(llm, o, value->valuestring, json_string_bytes(line, n), &ids);
    if (st == PUMICE_OK) {
        *out = ids.n <= INT32_MAX ? cJSON_CreateIntArray(ids.n > 0 ? ids.data : &(int){0}, (int)ids.n) : NULL;
        if (*out == NULL) st = err_memory("token ids", ids.n * sizeof *ids.data);
    }
    ids_fini(&ids);
    cJSON_Delete(value);
    return st;
}

static enum pumice_status decode_line(const struct llm *llm, const char *line, size_t n, cJSON **out)
{
    size_t where = 0, bytes = 0;
    struct ids ids = {0};
    char *text = NULL;
    cJSON *value = json_read(line, n, &where);
    enum pumice_status st = PUMICE_OK;
    if (value == NULL) TRY(err_set(PUMICE_ARGUMENT, "not JSON (byte %zu)", where + 1));
    if (!cJSON_IsArray(value)) TRY(err_set(PUMICE_ARGUMENT, "not a JSON array"));
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        const size_t n_vocab = tokenizer_n_tokens(llm->vocab.tokenizer);
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble >= (double)n_vocab ||
            (double)item->valueint != item->valuedouble)
            TRY(err_set(PUMICE_ARGUMENT, "an entry is not a token id (0 to %zu)", n_vocab - 1));
        TRY(ids_append(&ids, item->valueint));
    }
    TRY(tokenizer_decode(llm->vocab.tokenizer, ids.data, ids.n, false, &text, &bytes));
    *out = json_text(text, bytes);
    if (*out == NULL) st = err_memory("a text", bytes);
fail:
    mem_free(text);
    ids_fini(&ids);
    cJSON_Delete(value);
    return st;
}

/* A bad line gives an object with its number and the fault; the rest go on. */
static int jsonl(const struct llm *llm, const struct options *o)
{
    char *line = NULL;
    size_t capacity = 0, n = 0, number = 0, n_bad = 0;
    enum pumice_status st = PUMICE_OK;
    enum term_line got;
    while (st == PUMICE_OK && (got = term_read_line(&line, &capacity, &n)) == TERM_LINE) {
        cJSON *out = NULL;
        number++;
        st = o->decode ? decode_line(llm, line, n, &out) : encode_line(llm, o, line, n, &out);
        if (st == PUMICE_ARGUMENT) {
            out = json_line_error(number);
            n_bad++;
            st = PUMICE_OK;
        }
        if (st == PUMICE_OK) st = json_print_line(out);
    }
    free(line);
    if (st != PUMICE_OK) return command_fail(st);
    if (got == TERM_FAIL) return command_fail(PUMICE_IO);
    if (n_bad > 0)
        term_error("%zu of %zu lines are bad; see the \"error\" objects in the output", n_bad, number);
    return n_bad > 0 ? EXIT_CODE_FAILURE : EXIT_CODE_OK;
}

static enum pumice_status one_text(const struct llm *llm, const struct options *o)
{
    char *text = NULL, *decoded = NULL;
    size_t n = 0, bytes = 0;
    struct ids ids = {0};
    enum pumice_status st = PUMICE_OK;
    TRY(llm_read_text(o, &text, &n));
    if (o->decode) {
        TRY(ids_of_text(text, &ids));
        TRY(tokenizer_decode(llm->vocab.tokenizer, ids.data, ids.n, false, &decoded, &bytes));
        if (!term_answer(decoded, bytes)) st = err_set(PUMICE_IO, "standard output cannot be written");
        if (term_out()) putchar('\n');
    } else {
        TRY(encode(llm, o, text, n, &ids));
        for (size_t i = 0; i < ids.n; i++) printf(i == 0 ? "%d" : ",%d", ids.data[i]);
        putchar('\n');
    }
fail:
    mem_free(text);
    mem_free(decoded);
    ids_fini(&ids);
    return st;
}

int command_tokenize(const struct options *given)
{
    struct llm llm;
    struct options own = *given;
    const struct options *o = &own;
    const int n_texts = (o->prompt != NULL) + (o->file != NULL) + o->jsonl;
    if (n_texts > 1) return command_usage("tokenize wants only one of -p TEXT, -f FILE and --jsonl");
    if (n_texts == 0) own.file = "-";
    enum pumice_status st = llm_open(o, LLM_VOCAB, &llm);
    int code = EXIT_CODE_OK;
    if (st == PUMICE_OK && o->jsonl)
        code = jsonl(&llm, o);
    else if (st == PUMICE_OK)
        st = one_text(&llm, o);
    if (st != PUMICE_OK) code = command_fail(st);
    llm_close(&llm);
    return code;
}
