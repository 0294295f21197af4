/* jinja_unicode: see jinja_unicode.h. */
#include "jinja_unicode.h"
#include "jinja_unicode_tables.h"

static bool in_ranges(const struct code_range *ranges, size_t n, uint32_t cp)
{
    size_t low = 0;
    while (low < n) {
        const size_t middle = low + (n - low) / 2;
        if (cp < ranges[middle].first) n = middle;
        else if (cp > ranges[middle].last) low = middle + 1;
        else return true;
    }
    return false;
}
#define IN(table, cp) in_ranges(table, COUNT_OF(table), cp)

bool jinja_is_space(uint32_t cp)
{
    if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x1f);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 ||
           cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool jinja_is_printable(uint32_t cp)
{
    if (cp < 0x80) return cp >= 0x20 && cp < 0x7f;
    return !IN(unprintable, cp);
}

static const struct case_run *find_run(const struct case_run *runs, size_t n, uint32_t cp)
{
    size_t low = 0;
    while (low < n) { /* runs of step 2 may interleave, so look at a few neighbours */
        const size_t middle = low + (n - low) / 2;
        if (cp < runs[middle].first) n = middle;
        else low = middle + 1;
    }
    for (size_t back = 0; back < 3 && back < low; back++) {
        const struct case_run *run = &runs[low - 1 - back];
        if (cp <= run->last && (cp - run->first) % (uint32_t)run->step == 0) return run;
    }
    return NULL;
}

size_t jinja_map_case(uint32_t cp, enum jinja_case to, uint32_t out[3])
{
    static const struct {
        const struct case_run *runs;
        size_t n_runs;
        const struct case_special *special;
        size_t n_special;
    } maps[] = {{lower, COUNT_OF(lower), lower_special, COUNT_OF(lower_special)},
                {upper, COUNT_OF(upper), upper_special, COUNT_OF(upper_special)},
                {title, COUNT_OF(title), title_special, COUNT_OF(title_special)}};
    out[0] = cp;
    if (cp < 0x80) {
        if (to == JINJA_LOWER && cp >= 'A' && cp <= 'Z') out[0] = cp + 32;
        if (to != JINJA_LOWER && cp >= 'a' && cp <= 'z') out[0] = cp - 32;
        return 1;
    }
    for (size_t i = 0; i < maps[to].n_special; i++) {
        const struct case_special *s = &maps[to].special[i];
        if (s->cp != cp) continue;
        size_t n = 0;
        for (; n < 3 && s->to[n]; n++) out[n] = s->to[n];
        return n;
    }
    const struct case_run *run = find_run(maps[to].runs, maps[to].n_runs, cp);
    if (run) out[0] = (uint32_t)((int32_t)cp + run->delta);
    return 1;
}

bool jinja_is_cased(uint32_t cp) { return IN(cased, cp); }
bool jinja_is_case_ignorable(uint32_t cp) { return IN(case_ignorable, cp); }
bool jinja_is_upper(uint32_t cp) { return IN(uppercase, cp); }
bool jinja_is_lower(uint32_t cp) { return IN(lowercase, cp); }
