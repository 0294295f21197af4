/* unicode: see unicode.h. The tables are searched by bisection; ASCII never gets that far. */
#include "unicode.h"

#include <string.h>

#include "unicode_tables.h"

struct unicode_mark {
    uint32_t cp;
    uint8_t ccc;
};

/* --- UTF-8 ------------------------------------------------------------------------------------------------ */

size_t unicode_subpart(const char *s, size_t n, bool *complete)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t length;
    *complete = false;
    if (u[0] < 0x80) length = 1;
    else if (u[0] >= 0xC2 && u[0] <= 0xDF) length = 2;
    else if (u[0] >= 0xE0 && u[0] <= 0xEF) length = 3;
    else if (u[0] >= 0xF0 && u[0] <= 0xF4) length = 4;
    else return 1;
    if (u[0] == 0xE0) low = 0xA0;  /* overlong */
    if (u[0] == 0xED) high = 0x9F; /* surrogates */
    if (u[0] == 0xF0) low = 0x90;
    if (u[0] == 0xF4) high = 0x8F; /* beyond U+10FFFF */
    for (size_t i = 1; i < length; i++) {
        if (i >= n || u[i] < low || u[i] > high) return i;
        low = 0x80;
        high = 0xBF;
    }
    *complete = true;
    return length;
}

uint32_t unicode_decode(const char *s, size_t n, size_t *used)
{
    const unsigned char *u = (const unsigned char *)s;
    bool complete;
    *used = 1;
    if (u[0] < 0x80) return u[0];
    size_t length = unicode_subpart(s, n, &complete);
    if (!complete) return UNICODE_INVALID + u[0];
    *used = length;
    uint32_t cp = u[0] & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) cp = cp << 6 | (u[i] & 0x3Fu);
    return cp;
}

size_t unicode_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80 || cp >= UNICODE_INVALID) {
        out[0] = (char)(cp & 0xFF);
        return 1;
    }
    size_t length = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (cp & 0x3F));
        cp >>= 6;
    }
    out[0] = (char)((0xF00u >> length & 0xF0) | cp);
    return length;
}

/* --- classes ---------------------------------------------------------------------------------------------- */

const char *unicode_version(void) { return UNICODE_VERSION; }

enum unicode_class unicode_class(uint32_t cp)
{
    if (cp < 0x80) {
        uint32_t letter = (cp | 0x20) - 'a';
        if (letter < 26) return UNICODE_LETTER;
        if (cp > ' ') return cp - '0' < 10 ? UNICODE_NUMBER : UNICODE_OTHER;
        if (cp == ' ') return UNICODE_SPACE;
    }
    size_t low = 0, high = COUNT_OF(class_ranges);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cp > class_ranges[middle].last) low = middle + 1;
        else high = middle;
    }
    if (low == COUNT_OF(class_ranges) || cp < class_ranges[low].first) return UNICODE_OTHER;
    return (enum unicode_class)class_ranges[low].class;
}

/* --- NFC -------------------------------------------------------------------------------------------------- */

enum { /* Hangul syllables are arithmetic: Unicode Standard 3.12 */
    S_BASE = 0xAC00, L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11A7,
    L_COUNT = 19, V_COUNT = 21, T_COUNT = 28, S_COUNT = L_COUNT * V_COUNT * T_COUNT
};

static const struct unstable_range *find_unstable(uint32_t cp)
{
    if (cp < unstable_ranges[0].first) return NULL;
    size_t low = 0, high = COUNT_OF(unstable_ranges);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cp > unstable_ranges[middle].last) low = middle + 1;
        else high = middle;
    }
    return low < COUNT_OF(unstable_ranges) && cp >= unstable_ranges[low].first ? &unstable_ranges[low] : NULL;
}

static const struct decomposition *find_decomposition(uint32_t cp)
{
    size_t low = 0, high = COUNT_OF(decompositions);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cp > decompositions[middle].cp) low = middle + 1;
        else high = middle;
    }
    return low < COUNT_OF(decompositions) && decompositions[low].cp == cp ? &decompositions[low] : NULL;
}

/* The primary composite of a and b, or 0. */
static uint32_t compose(uint32_t a, uint32_t b)
{
    if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a - S_BASE < S_COUNT && (a - S_BASE) % T_COUNT == 0 && b - T_BASE - 1 < T_COUNT - 1) return a + (b - T_BASE);
    size_t low = 0, high = COUNT_OF(compositions);
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct composition *c = &compositions[middle];
        if (a > c->first || (a == c->first && b > c->second)) low = middle + 1;
        else high = middle;
    }
    if (low == COUNT_OF(compositions) || compositions[low].first != a || compositions[low].second != b) return 0;
    return compositions[low].composed;
}

/* Makes room for n elements of `bytes` each in *data, doubling. */
static bool reserve(void **data, size_t *capacity, size_t n, size_t bytes)
{
    if (n <= *capacity) return true;
    size_t wanted = MAX(n, *capacity < SIZE_MAX / 2 ? *capacity * 2 : n);
    void *grown = mem_realloc(*data, wanted, bytes);
    if (!grown) return false;
    *data = grown;
    *capacity = wanted;
    return true;
}

static bool reserve_marks(struct unicode_mark **marks, size_t *capacity, size_t n)
{
    void *data = *marks;
    bool ok = reserve(&data, capacity, n, sizeof **marks);
    *marks = data;
    return ok;
}

static bool put_bytes(struct unicode_scratch *s, const char *bytes, size_t n)
{
    void *data = s->text;
    bool ok = reserve(&data, &s->text_capacity, s->n_text + n, 1);
    s->text = data;
    if (!ok) return false;
    if (n) memcpy(s->text + s->n_text, bytes, n);
    s->n_text += n;
    return true;
}

static bool put_mark(struct unicode_scratch *s, uint32_t cp)
{
    if (!reserve_marks(&s->marks, &s->marks_capacity, s->n_marks + 1)) return false;
    const struct unstable_range *unstable = find_unstable(cp);
    s->marks[s->n_marks++] = (struct unicode_mark){cp, unstable ? unstable->ccc : 0};
    return true;
}

static bool put_decomposed(struct unicode_scratch *s, uint32_t cp)
{
    if (cp - S_BASE < S_COUNT) {
        uint32_t i = cp - S_BASE, t = i % T_COUNT;
        return put_mark(s, L_BASE + i / (V_COUNT * T_COUNT)) &&
               put_mark(s, V_BASE + i % (V_COUNT * T_COUNT) / T_COUNT) && (t == 0 || put_mark(s, T_BASE + t));
    }
    const struct decomposition *d = find_decomposition(cp);
    if (!d) return put_mark(s, cp);
    for (size_t i = 0; i < d->n; i++)
        if (!put_mark(s, decomposition_pool[d->start + i])) return false;
    return true;
}

/* Stable sort of marks[n] by combining class: insertion for the usual few, counting for hostile rows of marks. */
static bool sort_marks(struct unicode_scratch *s, struct unicode_mark *marks, size_t n)
{
    if (n < 2) return true;
    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            struct unicode_mark mark = marks[i];
            size_t j = i;
            for (; j > 0 && marks[j - 1].ccc > mark.ccc; j--) marks[j] = marks[j - 1];
            marks[j] = mark;
        }
        return true;
    }
    if (!reserve_marks(&s->sorted, &s->sorted_capacity, n)) return false;
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++) start[marks[i].ccc + 1]++;
    for (size_t c = 1; c < 257; c++) start[c] += start[c - 1];
    for (size_t i = 0; i < n; i++) s->sorted[start[marks[i].ccc]++] = marks[i];
    memcpy(marks, s->sorted, n * sizeof *marks);
    return true;
}

/* Canonical ordering, then canonical composition, of the collected stretch; appends it to the text. */
static bool flush_marks(struct unicode_scratch *s)
{
    struct unicode_mark *m = s->marks;
    for (size_t i = 0; i < s->n_marks;) {
        size_t end = i;
        while (end < s->n_marks && m[end].ccc) end++;
        if (!sort_marks(s, m + i, end - i)) return false;
        i = end + 1;
    }
    size_t n = 0, starter = SIZE_MAX;
    for (size_t i = 0; i < s->n_marks; i++) {
        /* blocked: something with ccc 0 or >= ours stands between the starter and us */
        bool open = starter != SIZE_MAX && (starter == n - 1 || (m[n - 1].ccc != 0 && m[n - 1].ccc < m[i].ccc));
        uint32_t composed = open ? compose(m[starter].cp, m[i].cp) : 0;
        if (composed) {
            m[starter].cp = composed;
            continue;
        }
        if (m[i].ccc == 0) starter = n;
        m[n++] = m[i];
    }
    s->n_marks = 0;
    for (size_t i = 0; i < n; i++) {
        char bytes[4];
        size_t length = unicode_encode(m[i].cp, bytes);
        if (!put_bytes(s, bytes, length)) return false;
    }
    return true;
}

void unicode_scratch_fini(struct unicode_scratch *s)
{
    mem_free(s->text);
    mem_free(s->marks);
    mem_free(s->sorted);
    *s = (struct unicode_scratch){0};
}

enum pumice_status unicode_nfc(struct str text, struct unicode_scratch *s, struct str *out)
{
    size_t stable = 0; /* start of the last character before which text can be cut */
    bool plain = true; /* nothing unstable in text[stable ..] so far */
    s->n_text = s->n_marks = 0;
    *out = text;
    size_t written = 0; /* text before this is in s->text */
    for (size_t i = 0; i <= text.n;) {
        size_t used = 1;
        uint32_t cp = i < text.n ? unicode_decode(text.data + i, text.n - i, &used) : UNICODE_INVALID;
        if (find_unstable(cp)) {
            plain = false;
        } else { /* a boundary: the stretch text[stable .. i) is complete */
            if (!plain) {
                if (!put_bytes(s, text.data + written, stable - written)) goto fail;
                for (size_t k = stable, length; k < i; k += length) {
                    uint32_t part = unicode_decode(text.data + k, i - k, &length);
                    if (!put_decomposed(s, part)) goto fail;
                }
                if (!flush_marks(s)) goto fail;
                written = i;
                plain = true;
            }
            stable = i;
        }
        i += used;
    }
    if (written == 0) return PUMICE_OK;
    if (!put_bytes(s, text.data + written, text.n - written)) goto fail;
    *out = (struct str){s->text, s->n_text};
    return PUMICE_OK;
fail:
    return err_memory("normalised text", text.n);
}
