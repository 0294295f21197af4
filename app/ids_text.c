/* ids_text: token ids as people write them. */
#include "app/ids_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/vocab.h"

/* Blanks with at most one comma among them. */
static const char *skip_separator(const char *at)
{
    static const char blanks[] = " \t\r\n";
    at += strspn(at, blanks);
    if (*at == ',') at += 1 + strspn(at + 1, blanks);
    return at;
}

enum pumice_status ids_of_text(const char *text, struct ids *out)
{
    const char *at = text + strspn(text, " \t\r\n");
    while (*at != 0) {
        char *end = NULL;
        errno = 0;
        const long id = strtol(at, &end, 10);
        if (*at < '0' || *at > '9' || errno != 0 || id > INT32_MAX ||
            (*end != 0 && strchr(", \t\r\n", *end) == NULL))
            return err_set(PUMICE_ARGUMENT, "'%.*s' is not a token id; write ids as 1,2,3",
                           (int)MIN(strcspn(at, " \t\r\n"), (size_t)40), at);
        const enum pumice_status st = ids_append(out, (int32_t)id);
        if (st != PUMICE_OK) return st;
        at = skip_separator(end);
    }
    return out->n > 0 ? PUMICE_OK : err_set(PUMICE_ARGUMENT, "there are no token ids; write ids as 1,2,3");
}
