/* markdown: the text of a message as flat arrays of blocks and spans, parsed again only where it grew.
 *
 * A document is a list of segments. A segment ends at an empty line after which nothing can belong to what stood
 * before it, so that its blocks never change again when text is appended: only the last segment is parsed anew. How
 * a text falls into segments depends on the text alone, not on the steps in which it came.
 * Raw HTML is text. Untrusted input: whatever the bytes, the result is finite and its texts are valid UTF-8. */
#ifndef PUMICE_WINDOW_MARKDOWN_H
#define PUMICE_WINDOW_MARKDOWN_H

#include "runtime/base.h"

enum span_style {
    STYLE_BOLD = 1,
    STYLE_ITALIC = 2,
    STYLE_CODE = 4,
    STYLE_STRIKE = 8,
    STYLE_LINK = 16
};
struct span {
    uint32_t offset, n; /* into the segment's text; a newline in it is a line break */
    uint16_t style;     /* enum span_style */
    uint16_t link;      /* index into the segment's links when STYLE_LINK */
};
struct link {
    uint32_t offset, n; /* the address, into the segment's link_text */
};
enum block_kind { BLOCK_TEXT, BLOCK_HEADING, BLOCK_CODE, BLOCK_RULE, BLOCK_TABLE };
enum cell_align { CELL_LEFT, CELL_CENTER, CELL_RIGHT };
struct cell {
    uint32_t span, n_spans;
    uint8_t align; /* enum cell_align */
    bool head;
};
struct block {
    enum block_kind kind;
    uint8_t level;  /* of a heading: 1 to 6 */
    uint8_t quote;  /* depth of quotes around it */
    uint8_t indent; /* depth of lists around it */
    bool tight;     /* no space before it */
    uint32_t marker, n_marker; /* bullet or number of a list item, into the text; 0 bytes: none */
    uint32_t span, n_spans;
    uint32_t lang, n_lang; /* of code, into link_text */
    uint32_t cell, n_cells, n_columns; /* of a table, row by row */
};
struct segment {
    size_t source, n_source; /* the bytes of the document it was made from */
    uint64_t version;        /* another one whenever it was parsed */
    char *text;              /* all texts in reading order, ready to be copied */
    char *link_text;
    struct block *blocks;
    struct span *spans;
    struct cell *cells;
    struct link *links;
    size_t n_text, n_link_text, n_blocks, n_spans, n_cells, n_links;
    size_t text_capacity, link_text_capacity, blocks_capacity, spans_capacity, cells_capacity, links_capacity;
};
struct markdown {
    struct segment *segments;
    size_t n_segments, capacity;
    uint64_t version;
};

/* Makes the document equal to source[n]. Segments whose bytes are as before (`same` of the first bytes are known to
 * be) are kept. Fails MEMORY; the document then shows what it could. */
enum pumice_status markdown_update(struct markdown *m, const char *source, size_t n, size_t same);
/* The text as it is, without any marks: what a person wrote. */
enum pumice_status markdown_plain(struct markdown *m, const char *source, size_t n);
void markdown_fini(struct markdown *m);

/* The end of the segment that begins at `from`: n for the last. Pure. */
size_t markdown_segment_end(const char *source, size_t n, size_t from);

#endif
