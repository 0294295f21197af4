/* markdown: md4c's events into arrays. */
#include "app/window/markdown.h"

#include <md4c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/window/draw.h"

/* --- where segments end ----------------------------------------------------------------------------------------- */

struct fence {
    char sign; /* 0: none is open */
    size_t n;
};

/* A line that opens or closes a fenced code block. */
static void look_at_fence(struct fence *fence, const char *line, size_t n)
{
    size_t i = 0, count = 0;
    while (i < n && line[i] == ' ' && i < 4) i++;
    if (i == 4 || i >= n || (line[i] != '`' && line[i] != '~')) return;
    const char sign = line[i];
    while (i < n && line[i] == sign) i++, count++;
    if (count < 3) return;
    if (fence->sign == 0) {
        if (sign == '`' && memchr(line + i, '`', n - i) != NULL) return; /* code in a line of text */
        fence->sign = sign;
        fence->n = count;
    } else if (fence->sign == sign && count >= fence->n) {
        while (i < n && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r')) i++;
        if (i == n) fence->sign = 0;
    }
}

static bool blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
    return true;
}

/* May the line after an empty one belong to what stood before it? Indented lines and list items may. */
static bool may_continue(const char *line, size_t n)
{
    if (n == 0 || line[0] == ' ' || line[0] == '\t') return true;
    if (line[0] == '-' || line[0] == '*' || line[0] == '+') return n < 2 || line[1] == ' ' || line[1] == '\t';
    size_t i = 0;
    while (i < n && i < 9 && line[i] >= '0' && line[i] <= '9') i++;
    return i > 0 && (i == n || line[i] == '.' || line[i] == ')');
}

size_t markdown_segment_end(const char *source, size_t n, size_t from)
{
    struct fence fence = {0};
    bool any = false, gap = false;
    for (size_t at = from; at < n;) {
        const char *newline = memchr(source + at, '\n', n - at);
        const size_t length = newline != NULL ? (size_t)(newline - (source + at)) : n - at;
        const char *line = source + at;
        if (fence.sign == 0 && blank(line, length)) {
            gap = any;
        } else {
            /* the last line may grow: "1" to "1.", so that only a whole line, or a letter, decides */
            if (gap && fence.sign == 0 && !may_continue(line, length)) return at;
            look_at_fence(&fence, line, length);
            any = true;
            gap = false;
        }
        at += length + (newline != NULL ? 1 : 0);
    }
    return n;
}

/* --- building a segment ------------------------------------------------------------------------------------------ */

enum { LISTS_MAX = 16 };

struct builder {
    struct segment *s;
    const char *source;
    size_t n_source;
    uint16_t style;
    uint16_t link;
    uint8_t quote, n_lists;
    struct {
        bool ordered, tight;
        unsigned next;
    } lists[LISTS_MAX];
    char marker[16];  /* of the list item that has begun and shown nothing so far */
    bool in_block;    /* a leaf block takes text */
    int bold, italic, strike, code;
    bool failed;
};

static bool put(struct builder *b, const char *text, size_t n)
{
    struct segment *s = b->s;
    if (s->n_text + n > UINT32_MAX || !grow(&s->text, &s->text_capacity, s->n_text + n + 1, 1)) {
        b->failed = true;
        return false;
    }
    memcpy(s->text + s->n_text, text, n);
    s->n_text += n;
    s->text[s->n_text] = 0;
    return true;
}

/* Text from outside: tabs become spaces, other control characters, those that turn the writing direction among them,
 * are dropped, and what is no UTF-8 becomes U+FFFD. */
static bool put_clean(struct builder *b, const char *text, size_t n)
{
    size_t from = 0, i = 0;
    while (i < n) {
        uint32_t code = 0;
        const size_t bytes = utf8_decode(text + i, n - i, &code);
        const bool turns = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
        const bool control = (code < 0x20 && code != '\n') || (code >= 0x7f && code < 0xa0);
        if (bytes > 0 && !turns && !control) {
            i += bytes;
            continue;
        }
        if (!put(b, text + from, i - from)) return false;
        if (bytes == 0 && !put(b, "\xef\xbf\xbd", 3)) return false;
        if (bytes > 0 && code == '\t' && !put(b, "    ", 4)) return false;
        i += MAX(bytes, 1);
        from = i;
    }
    return put(b, text + from, n - from);
}

static uint32_t put_link_text(struct builder *b, const char *text, size_t n)
{
    struct segment *s = b->s;
    const size_t at = s->n_link_text;
    if (!grow(&s->link_text, &s->link_text_capacity, at + n + 1, 1)) {
        b->failed = true;
        return 0;
    }
    if (n > 0) memcpy(s->link_text + at, text, n);
    s->n_link_text += n;
    return (uint32_t)at;
}

static struct block *last_block(struct builder *b)
{
    return b->s->n_blocks > 0 ? &b->s->blocks[b->s->n_blocks - 1] : NULL;
}

static struct block *begin_block(struct builder *b, enum block_kind kind)
{
    struct segment *s = b->s;
    if (s->n_blocks > 0 && !put(b, "\n", 1)) return NULL;
    if (!grow(&s->blocks, &s->blocks_capacity, s->n_blocks + 1, sizeof *s->blocks)) {
        b->failed = true;
        return NULL;
    }
    struct block *block = &s->blocks[s->n_blocks++];
    *block = (struct block){.kind = kind,
                            .quote = b->quote,
                            .indent = b->n_lists,
                            .tight = b->n_lists > 0 && b->lists[b->n_lists - 1].tight && s->n_blocks > 1 &&
                                     s->blocks[s->n_blocks - 2].indent > 0,
                            .span = (uint32_t)s->n_spans,
                            .cell = (uint32_t)s->n_cells};
    if (s->n_blocks > 1 && !block->tight && !put(b, "\n", 1)) return NULL;
    if (b->marker[0] != 0) {
        block->marker = (uint32_t)s->n_text;
        block->n_marker = (uint32_t)strlen(b->marker);
        const bool fine = put(b, b->marker, block->n_marker) && put(b, " ", 1);
        b->marker[0] = 0;
        if (!fine) return NULL;
    }
    b->in_block = true;
    return block;
}

/* Text in the current style: goes on with the last span where it can. */
static bool put_span(struct builder *b, const char *text, size_t n)
{
    struct segment *s = b->s;
    if (!b->in_block && begin_block(b, BLOCK_TEXT) == NULL) return false;
    const uint32_t at = (uint32_t)s->n_text;
    if (!put_clean(b, text, n)) return false;
    n = s->n_text - at;
    struct block *block = last_block(b);
    uint32_t *count = &block->n_spans;
    if (block->kind == BLOCK_TABLE) {
        if (s->n_cells == block->cell) return true;
        count = &s->cells[s->n_cells - 1].n_spans;
    }
    if (*count > 0) {
        struct span *last = &s->spans[s->n_spans - 1];
        if (last->style == b->style && last->link == b->link && last->offset + last->n == at) {
            last->n += (uint32_t)n;
            return true;
        }
    }
    if (!grow(&s->spans, &s->spans_capacity, s->n_spans + 1, sizeof *s->spans)) {
        b->failed = true;
        return false;
    }
    s->spans[s->n_spans++] = (struct span){at, (uint32_t)n, b->style, b->link};
    (*count)++;
    return true;
}

static int enter_item(struct builder *b, const MD_BLOCK_LI_DETAIL *d)
{
    const size_t i = b->n_lists > 0 ? b->n_lists - 1u : 0;
    b->in_block = false;
    if (d->is_task)
        snprintf(b->marker, sizeof b->marker, "%s", d->task_mark == ' ' ? "\xe2\x98\x90" : "\xe2\x98\x91");
    else if (b->lists[i].ordered)
        snprintf(b->marker, sizeof b->marker, "%u.", b->lists[i].next++);
    else
        snprintf(b->marker, sizeof b->marker, "%s", b->n_lists % 2 == 1 ? "\xe2\x80\xa2" : "\xe2\x97\xa6");
    return 0;
}

static void enter_list(struct builder *b, bool ordered, bool tight, unsigned start)
{
    b->in_block = false;
    if (b->n_lists < LISTS_MAX) b->n_lists++;
    b->lists[b->n_lists - 1].ordered = ordered;
    b->lists[b->n_lists - 1].tight = tight;
    b->lists[b->n_lists - 1].next = start;
}

static int enter_cell(struct builder *b, bool head, const MD_BLOCK_TD_DETAIL *d)
{
    struct segment *s = b->s;
    struct block *block = last_block(b);
    if (block == NULL || block->kind != BLOCK_TABLE) return 0;
    if (block->n_cells > 0 && !put(b, block->n_cells % block->n_columns == 0 ? "\n" : "\t", 1)) return -1;
    if (!grow(&s->cells, &s->cells_capacity, s->n_cells + 1, sizeof *s->cells)) {
        b->failed = true;
        return -1;
    }
    s->cells[s->n_cells++] = (struct cell){
        .span = (uint32_t)s->n_spans,
        .align = d->align == MD_ALIGN_CENTER ? CELL_CENTER : (d->align == MD_ALIGN_RIGHT ? CELL_RIGHT : CELL_LEFT),
        .head = head};
    block->n_cells++;
    return 0;
}

static int on_enter_block(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct builder *b = user;
    struct block *block = NULL;
    switch (type) {
    case MD_BLOCK_QUOTE:
        if (b->quote < 8) b->quote++;
        b->in_block = false;
        return 0;
    case MD_BLOCK_UL:
        enter_list(b, false, ((const MD_BLOCK_UL_DETAIL *)detail)->is_tight != 0, 0);
        return 0;
    case MD_BLOCK_OL:
        enter_list(b, true, ((const MD_BLOCK_OL_DETAIL *)detail)->is_tight != 0,
                   ((const MD_BLOCK_OL_DETAIL *)detail)->start);
        return 0;
    case MD_BLOCK_LI:
        return enter_item(b, detail);
    case MD_BLOCK_HR:
        block = begin_block(b, BLOCK_RULE);
        b->in_block = false;
        break;
    case MD_BLOCK_H:
        block = begin_block(b, BLOCK_HEADING);
        if (block != NULL) block->level = (uint8_t)((const MD_BLOCK_H_DETAIL *)detail)->level;
        break;
    case MD_BLOCK_CODE:
        block = begin_block(b, BLOCK_CODE);
        if (block != NULL) {
            const MD_BLOCK_CODE_DETAIL *d = detail;
            block->lang = put_link_text(b, d->lang.text, d->lang.size);
            block->n_lang = (uint32_t)d->lang.size;
        }
        break;
    case MD_BLOCK_P:
        block = begin_block(b, BLOCK_TEXT);
        break;
    case MD_BLOCK_TABLE:
        block = begin_block(b, BLOCK_TABLE);
        if (block != NULL) block->n_columns = MAX(((const MD_BLOCK_TABLE_DETAIL *)detail)->col_count, 1);
        break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
        return enter_cell(b, type == MD_BLOCK_TH, detail);
    default: /* the document, parts of tables; raw HTML is switched off */
        return 0;
    }
    return block != NULL ? 0 : -1;
}

static int on_leave_block(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct builder *b = user;
    (void)detail;
    if (type == MD_BLOCK_QUOTE && b->quote > 0) b->quote--;
    if ((type == MD_BLOCK_UL || type == MD_BLOCK_OL) && b->n_lists > 0) b->n_lists--;
    if (type == MD_BLOCK_LI && b->marker[0] != 0 && begin_block(b, BLOCK_TEXT) == NULL) return -1;
    if (type == MD_BLOCK_CODE) {
        struct block *block = last_block(b); /* without the last newline */
        if (block != NULL && block->n_spans > 0) {
            struct span *last = &b->s->spans[b->s->n_spans - 1];
            if (last->n > 0 && b->s->text[last->offset + last->n - 1] == '\n') {
                last->n--;
                b->s->n_text--;
            }
        }
    }
    if (type != MD_BLOCK_TH && type != MD_BLOCK_TD && type != MD_BLOCK_TR && type != MD_BLOCK_THEAD &&
        type != MD_BLOCK_TBODY)
        b->in_block = false;
    return 0;
}

static void set_style(struct builder *b)
{
    b->style = (uint16_t)((b->bold > 0 ? STYLE_BOLD : 0) | (b->italic > 0 ? STYLE_ITALIC : 0) |
                          (b->code > 0 ? STYLE_CODE : 0) | (b->strike > 0 ? STYLE_STRIKE : 0) |
                          (b->style & STYLE_LINK));
}

static int *style_counter(struct builder *b, MD_SPANTYPE type)
{
    switch (type) {
    case MD_SPAN_EM:
        return &b->italic;
    case MD_SPAN_STRONG:
        return &b->bold;
    case MD_SPAN_CODE:
        return &b->code;
    case MD_SPAN_DEL:
        return &b->strike;
    default:
        return NULL;
    }
}

static int on_enter_span(MD_SPANTYPE type, void *detail, void *user)
{
    struct builder *b = user;
    struct segment *s = b->s;
    int *counter = style_counter(b, type);
    if (counter != NULL) (*counter)++;
    if ((type == MD_SPAN_A || type == MD_SPAN_IMG) && s->n_links < UINT16_MAX) {
        const MD_ATTRIBUTE *a =
            type == MD_SPAN_A ? &((const MD_SPAN_A_DETAIL *)detail)->href : &((const MD_SPAN_IMG_DETAIL *)detail)->src;
        if (!grow(&s->links, &s->links_capacity, s->n_links + 1, sizeof *s->links)) return -1;
        s->links[s->n_links] = (struct link){put_link_text(b, a->text, a->size), (uint32_t)a->size};
        b->link = (uint16_t)s->n_links++;
        b->style |= STYLE_LINK;
    }
    set_style(b);
    return 0;
}

static int on_leave_span(MD_SPANTYPE type, void *detail, void *user)
{
    struct builder *b = user;
    (void)detail;
    int *counter = style_counter(b, type);
    if (counter != NULL) (*counter)--;
    if (type == MD_SPAN_A || type == MD_SPAN_IMG) b->style &= (uint16_t)~STYLE_LINK;
    set_style(b);
    return 0;
}

/* The few named entities that models write, and the numbers. */
static int put_entity(struct builder *b, const char *text, size_t n)
{
    static const struct {
        const char *name, *value;
    } names[] = {{"&amp;", "&"},   {"&lt;", "<"},   {"&gt;", ">"},
                 {"&quot;", "\""}, {"&apos;", "'"}, {"&nbsp;", "\xc2\xa0"}, {"&copy;", "\xc2\xa9"}};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eqz((struct str){text, n}, names[i].name))
            return put_span(b, names[i].value, strlen(names[i].value)) ? 0 : -1;
    if (n > 3 && n < 12 && text[1] == '#') {
        char digits[12], utf8[4];
        memcpy(digits, text, n);
        digits[n] = 0;
        const bool hex = digits[2] == 'x' || digits[2] == 'X';
        const unsigned long code = strtoul(digits + (hex ? 3 : 2), NULL, hex ? 16 : 10);
        if (code >= 0x20 && code < 0x80) {
            utf8[0] = (char)code;
            return put_span(b, utf8, 1) ? 0 : -1;
        }
        if (code >= 0xa0 && code < 0x10000 && (code < 0xd800 || code > 0xdfff)) {
            const bool two = code < 0x800;
            if (!two) utf8[0] = (char)(0xe0 | code >> 12);
            utf8[two ? 0 : 1] = (char)(two ? 0xc0 | code >> 6 : 0x80 | (code >> 6 & 63));
            utf8[two ? 1 : 2] = (char)(0x80 | (code & 63));
            return put_span(b, utf8, two ? 2 : 3) ? 0 : -1;
        }
    }
    return put_span(b, text, n) ? 0 : -1;
}

/* md4c 0.4.8 looks at the byte after the end, and may then give a text that lies outside (a link at the very end,
 * followed by other bytes). It parses a copy that ends in newlines, and what is outside is dropped all the same. Short
 * texts elsewhere are its own: newlines, spaces. */
static bool inside(const struct builder *b, const char *text, size_t n)
{
    const uintptr_t at = (uintptr_t)text, from = (uintptr_t)b->source;
    if (at < from || at > from + b->n_source) return n <= 16;
    return n <= b->n_source - (at - from);
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE n, void *user)
{
    struct builder *b = user;
    if (!inside(b, text, n)) return 0;
    switch (type) {
    case MD_TEXT_NULLCHAR:
        return put_span(b, "\xef\xbf\xbd", 3) ? 0 : -1;
    case MD_TEXT_BR:
    case MD_TEXT_SOFTBR: /* people and models mean the lines they write */
        return put_span(b, "\n", 1) ? 0 : -1;
    case MD_TEXT_ENTITY:
        return put_entity(b, text, n);
    default:
        return put_span(b, text, n) ? 0 : -1;
    }
}

static void segment_clear(struct segment *s)
{
    s->n_text = s->n_link_text = s->n_blocks = s->n_spans = s->n_cells = s->n_links = 0;
}

static void segment_fini(struct segment *s)
{
    mem_free(s->text);
    mem_free(s->link_text);
    mem_free(s->blocks);
    mem_free(s->spans);
    mem_free(s->cells);
    mem_free(s->links);
    memset(s, 0, sizeof *s);
}

static enum pumice_status parse(struct segment *s, const char *source, size_t n)
{
    static const MD_PARSER parser = {.abi_version = 0,
                                     .flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
                                              MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_NOHTMLBLOCKS |
                                              MD_FLAG_NOHTMLSPANS | MD_FLAG_NOINDENTEDCODEBLOCKS,
                                     .enter_block = on_enter_block,
                                     .leave_block = on_leave_block,
                                     .enter_span = on_enter_span,
                                     .leave_span = on_leave_span,
                                     .text = on_text};
    segment_clear(s);
    if (n > UINT32_MAX / 4) return err_set(PUMICE_ARGUMENT, "a message is longer than 1 GiB");
    char *copy = mem_alloc(n + 3);
    if (copy == NULL) return err_memory("a message", n);
    if (n > 0) memcpy(copy, source, n);
    memcpy(copy + n, "\n\n", 3);
    struct builder b = {.s = s, .source = copy, .n_source = n + 1};
    const int rc = md_parse(copy, (MD_SIZE)n + 1, &parser, &b);
    mem_free(copy);
    return rc == 0 && !b.failed ? PUMICE_OK : err_memory("a message", n);
}

static struct segment *segment_at(struct markdown *m, size_t i)
{
    const size_t had = m->capacity;
    if (!grow(&m->segments, &m->capacity, i + 1, sizeof *m->segments)) return NULL;
    if (m->capacity > had) memset(m->segments + had, 0, (m->capacity - had) * sizeof *m->segments);
    return &m->segments[i];
}

enum pumice_status markdown_update(struct markdown *m, const char *source, size_t n, size_t same)
{
    enum pumice_status st = PUMICE_OK;
    size_t i = 0, at = 0;
    /* a segment stays when the one after it has begun with bytes that did not change: then its end is certain */
    while (i + 1 < m->n_segments && m->segments[i + 1].source + m->segments[i + 1].n_source <= same) {
        at = m->segments[i].source + m->segments[i].n_source;
        i++;
    }
    for (; at < n || (n == 0 && i == 0); i++) {
        const size_t end = markdown_segment_end(source, n, at);
        struct segment *s = segment_at(m, i);
        if (s == NULL) return err_memory("a message", n);
        s->source = at;
        s->n_source = end - at;
        s->version = ++m->version;
        const enum pumice_status this = parse(s, source + at, end - at);
        if (this != PUMICE_OK) st = this;
        at = end;
        if (n == 0) break;
    }
    m->n_segments = n == 0 ? 0 : i;
    return st;
}

enum pumice_status markdown_plain(struct markdown *m, const char *source, size_t n)
{
    struct segment *s = segment_at(m, 0);
    if (s == NULL) return err_memory("a message", n);
    struct builder b = {.s = s};
    segment_clear(s);
    s->source = 0;
    s->n_source = n;
    s->version = ++m->version;
    m->n_segments = 1;
    return begin_block(&b, BLOCK_TEXT) != NULL && put_span(&b, source, n) ? PUMICE_OK : err_memory("a message", n);
}

void markdown_fini(struct markdown *m)
{
    for (size_t i = 0; i < m->capacity; i++) segment_fini(&m->segments[i]);
    mem_free(m->segments);
    memset(m, 0, sizeof *m);
}
