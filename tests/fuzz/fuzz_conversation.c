/* fuzz_conversation: any text as a stored conversation and as a file to import. What is read can be written and read
 * again and is then the same bytes; what is exported comes back with the same messages. */
#include "app/store.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_failed(enum pumice_status st, const struct conversation *c)
{
    if (st == PUMICE_MEMORY || c->n_messages != 0 || c->id[0] != 0 || !str_printable(str_of(pumice_error()))) abort();
}

static void check_json(const struct conversation *c)
{
    struct conversation again;
    char *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    if (conversation_to_json(c, &first, &n_first) != PUMICE_OK) abort();
    if (conversation_of_json(first, n_first, &again) != PUMICE_OK) abort();
    if (conversation_to_json(&again, &second, &n_second) != PUMICE_OK) abort();
    if (n_first != n_second || memcmp(first, second, n_first) != 0) abort();
    conversation_fini(&again);
    mem_free(first);
    mem_free(second);
}

/* Messages with `extra` may say there what their content is, or be too deep: they need not come back. */
static void check_export(const struct conversation *c, enum export_format format)
{
    struct conversation again;
    char *text = NULL;
    size_t n = 0;
    bool plain = c->n_path + (c->state.system != NO_MESSAGE) > 0;
    for (uint32_t i = 0; i < c->n_messages; i++) plain = plain && c->messages[i].extra == NULL;
    if (conversation_export(c, format, &text, &n) != PUMICE_OK) abort();
    const enum pumice_status st = conversation_import(text, n, &again);
    if (plain && (st != PUMICE_OK || again.n_path != c->n_path)) abort();
    for (uint32_t i = 0; plain && i < c->n_path; i++) {
        const struct message *a = &c->messages[c->path[i]], *b = &again.messages[again.path[i]];
        if (a->role != b->role || a->n_text != b->n_text || memcmp(a->text, b->text, a->n_text) != 0) abort();
    }
    conversation_fini(&again);
    mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conversation c;
    for (int i = 0; i < 2; i++) {
        const enum pumice_status st = i == 0 ? conversation_of_json((const char *)data, size, &c)
                                             : conversation_import((const char *)data, size, &c);
        if (st == PUMICE_OK) {
            char title[100];
            conversation_title(&c, title, sizeof title);
            if (!str_printable(str_of(title))) abort();
            check_json(&c);
            for (enum export_format f = EXPORT_MARKDOWN; f < N_EXPORTS; f++) check_export(&c, f);
        } else {
            check_failed(st, &c);
        }
        conversation_fini(&c);
    }
    return 0;
}
