/* fuzz_markdown: any bytes as a growing message: parsed, laid out, hit by a point. */
#include <stdint.h>
#include <stdlib.h>

#include "app/window/layout.h"
#include "window_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct measure measure = rig_measure();
    const struct layout_style style = {&measure, 15};
    struct markdown m = {0};
    struct layout l = {0};
    const char *text = (const char *)data;
    const size_t half = n / 2;
    (void)markdown_update(&m, text, half, 0);
    (void)layout_update(&l, &m, &style, 200);
    (void)markdown_update(&m, text, n, half);
    (void)layout_update(&l, &m, &style, 200);
    (void)layout_at(&l, &m, &measure, 50, 50);
    for (size_t i = 0; i < l.n; i++)
        for (size_t k = 0; k < l.segments[i].n_pieces; k++) {
            const struct piece *p = &l.segments[i].pieces[k];
            if ((size_t)p->offset + p->n > m.segments[i].n_text) abort();
        }
    layout_fini(&l);
    markdown_fini(&m);
    return 0;
}
