/* layout: a document's segments as pieces of text and decorations at places, for one width. Pure.
 *
 * Only segments that were parsed again, or all when width or font change, are laid out anew. Coordinates are pixels
 * from the layout's own corner. A position in the text is {segment, byte offset into its text}. */
#ifndef PUMICE_WINDOW_LAYOUT_H
#define PUMICE_WINDOW_LAYOUT_H

#include "app/window/draw.h"
#include "app/window/markdown.h"

struct piece { /* a stretch of one line in one style */
    int x, y, w, h;
    struct font font;
    enum color color;
    bool underline, strike, ground; /* ground: code inside a line */
    uint32_t offset, n;
    uint16_t link;                  /* index + 1 into the segment's links; 0: none */
};
enum deco_kind { DECO_CODE, DECO_QUOTE, DECO_RULE, DECO_HEAD, DECO_GRID };
struct deco {
    enum deco_kind kind;
    struct rect r;
    uint32_t offset, n;           /* of DECO_CODE: its text */
    uint32_t lang, n_lang;        /* and its language, into link_text */
};
struct segment_layout {
    uint64_t version; /* of the segment it was made from */
    struct piece *pieces;
    struct deco *decos;
    size_t n_pieces, n_decos, pieces_capacity, decos_capacity;
    int y, w, h;
};
struct layout {
    struct segment_layout *segments;
    size_t n, capacity;
    int width, px; /* what it was made for */
    int w, h;      /* what it takes */
};
struct layout_style {
    const struct measure *measure;
    int px; /* size of plain text */
};

/* Brings the layout up to date. Fails MEMORY; then some text is missing. */
enum pumice_status layout_update(struct layout *l, const struct markdown *m, const struct layout_style *style,
                                 int width);
void layout_fini(struct layout *l);

struct position {
    uint32_t segment, offset;
};
int position_compare(struct position a, struct position b);
/* The place in the text nearest to a point. */
struct position layout_at(const struct layout *l, const struct markdown *m, const struct measure *measure, int x, int y);
/* The link under a point, or NULL; its address is segment->link_text + link->offset. */
const struct link *layout_link(const struct layout *l, const struct markdown *m, int x, int y, size_t *segment);

#endif
