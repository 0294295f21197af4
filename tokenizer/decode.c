/* decode: tokens back to text, whole or as they come; see tokenizer.h. */
#include <string.h>

#include "vocabulary.h"

static size_t put_replacement(char *out)
{
    memcpy(out, "\xEF\xBF\xBD", 3);
    return 3;
}

size_t decoder_feed(struct decoder *d, struct str bytes, char *out)
{
    size_t n_out = 0, at = 0;
    bool complete;
    while (d->n_pending && at < bytes.n) { /* finish what was held back, byte by byte */
        d->pending[d->n_pending++] = bytes.data[at++];
        size_t n = unicode_subpart(d->pending, d->n_pending, &complete);
        if (complete) {
            memcpy(out + n_out, d->pending, n);
            n_out += n;
            d->n_pending = 0;
        } else if (n < d->n_pending) { /* the new byte does not carry on: it starts afresh */
            n_out += put_replacement(out + n_out);
            d->n_pending = 0;
            at--;
        }
    }
    while (at < bytes.n) {
        size_t n = unicode_subpart(bytes.data + at, bytes.n - at, &complete);
        unsigned char lead = (unsigned char)bytes.data[at];
        if (complete) {
            memcpy(out + n_out, bytes.data + at, n);
            n_out += n;
        } else if (at + n == bytes.n && lead >= 0xC2 && lead <= 0xF4) { /* more may come */
            memcpy(d->pending, bytes.data + at, n);
            d->n_pending = (uint8_t)n;
        } else {
            n_out += put_replacement(out + n_out);
        }
        at += n;
    }
    return n_out;
}

size_t decoder_finish(struct decoder *d, char *out)
{
    size_t n = d->n_pending ? put_replacement(out) : 0;
    d->n_pending = 0;
    return n;
}

enum pumice_status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_control,
                                    char **text, size_t *bytes)
{
    uint64_t total = 0, capacity = 0;
    bool fits = true;
    for (size_t i = 0; i < n; i++) fits = fits && add_u64(total, tokenizer_token_bytes(t, ids[i]).n, &total);
    fits = fits && mul_u64(total, 3, &capacity) && add_u64(capacity, 16, &capacity) && capacity <= SIZE_MAX;
    *text = fits ? mem_alloc((size_t)capacity) : NULL;
    *bytes = 0;
    if (!*text) return err_memory("decoded text", total);
    struct decoder d = {0};
    bool first = true; /* of its run: its space was put there by encoding */
    for (size_t i = 0; i < n; i++) {
        struct str piece = tokenizer_token_bytes(t, ids[i]);
        const bool added = ids[i] >= 0 && (size_t)ids[i] < t->vocab.n_tokens && token_is_added(&t->vocab, (size_t)ids[i]);
        if (t->spm && t->vocab.add_space_prefix && first && !added && piece.n && piece.data[0] == ' ')
            piece = (struct str){piece.data + 1, piece.n - 1};
        first = added;
        if (!skip_control || !tokenizer_is_control(t, ids[i])) *bytes += decoder_feed(&d, piece, *text + *bytes);
    }
    *bytes += decoder_finish(&d, *text + *bytes);
    (*text)[*bytes] = '\0';
    char *shrunk = mem_realloc(*text, *bytes + 1, 1);
    if (shrunk) *text = shrunk;
    return PUMICE_OK;
}
