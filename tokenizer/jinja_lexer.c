/* jinja_lexer: a template's text as tokens; see jinja_syntax.h. Follows Jinja 3.1's lexer rule by rule. */
#include "jinja_syntax.h"
#include "jinja_unicode.h"
#include "unicode.h"

#include <stdio.h>
#include <string.h>

struct lexer {
    struct str source; /* newlines normalised, the last one dropped */
    size_t at;
    uint32_t line;
    bool line_starting;
    struct arena *arena;
    struct jinja_token *tokens;
    size_t n, capacity;
    char open[JINJA_MAX_NESTING]; /* brackets, by what closes them */
    unsigned n_open;
};

enum pumice_status jinja_error(enum pumice_status status, uint32_t line, const char *where, const char *format, ...)
{
    char what[512], shown[600];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set(status, "chat template, line %u, %s: %s; use another template", (unsigned)line, where,
                   str_escape(str_of(what), shown, sizeof shown));
}

static enum pumice_status push(struct lexer *l, int type, struct str text)
{
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity ? l->capacity * 2 : 256;
        struct jinja_token *tokens = arena_alloc(l->arena, capacity, sizeof *tokens);
        if (!tokens) return err_memory("tokens of the chat template", capacity * sizeof *tokens);
        if (l->n) memcpy(tokens, l->tokens, l->n * sizeof *tokens);
        l->tokens = tokens;
        l->capacity = capacity;
    }
    l->tokens[l->n++] = (struct jinja_token){type, l->line, text};
    return PUMICE_OK;
}

static bool looking_at(const struct lexer *l, size_t at, const char *z)
{
    const size_t n = strlen(z);
    return at <= l->source.n && l->source.n - at >= n && memcmp(l->source.data + at, z, n) == 0;
}

/* Moves to `to`, counting lines. */
static void advance(struct lexer *l, size_t to)
{
    for (; l->at < to; l->at++) l->line += l->source.data[l->at] == '\n';
}

static size_t after_space(const struct lexer *l, size_t at)
{
    size_t used;
    while (at < l->source.n && jinja_is_space(unicode_decode(l->source.data + at, l->source.n - at, &used)))
        at += used;
    return at;
}

static size_t before_space(const char *s, size_t from, size_t to)
{
    while (to > from) {
        size_t start = to - 1, used;
        while (start > from && ((unsigned char)s[start] & 0xc0) == 0x80 && to - start < 4) start--;
        if (!jinja_is_space(unicode_decode(s + start, to - start, &used)) || start + used != to) break;
        to = start;
    }
    return to;
}

/* End of the template text [from, to) before a tag with this sign; Jinja's lstrip_blocks. */
static size_t strip_text(const struct lexer *l, size_t from, size_t to, char sign, bool variable, bool line_starting)
{
    if (sign == '-') return before_space(l->source.data, from, to);
    if (sign == '+' || variable) return to;
    size_t line = to;
    while (line > from && l->source.data[line - 1] != '\n') line--;
    if (line == from && !line_starting) return to;
    return before_space(l->source.data, line, to) == line ? line : to;
}

/* The end of a tag at `at`: length past it with the whitespace it takes along, 0 if there is none. */
static size_t tag_end(const struct lexer *l, size_t at, const char *close, bool block)
{
    if (looking_at(l, at, "-") && looking_at(l, at + 1, close)) return after_space(l, at + 3);
    if (block && looking_at(l, at, "+") && looking_at(l, at + 1, close)) return at + 3;
    if (!looking_at(l, at, close)) return 0;
    return at + 2 + (block && looking_at(l, at + 2, "\n"));
}

static enum pumice_status fail_at(const struct lexer *l, const char *where, const char *what)
{
    return jinja_error(PUMICE_FORMAT, l->line, where, "%s", what);
}

static size_t digits(const struct lexer *l, size_t at) /* \d(_?\d)* */
{
    size_t to = at;
    for (;;) {
        size_t next = to + (to > at && looking_at(l, to, "_") ? 1 : 0);
        if (next >= l->source.n || l->source.data[next] < '0' || l->source.data[next] > '9') return to;
        to = next + 1;
    }
}

static enum pumice_status lex_number(struct lexer *l)
{
    enum pumice_status st;
    const char *s = l->source.data;
    size_t to = digits(l, l->at), fraction = to;
    int type = TOKEN_INTEGER;
    if (looking_at(l, to, ".") && digits(l, to + 1) > to + 1 && !(l->at && s[l->at - 1] == '.')) {
        fraction = digits(l, to + 1);
        type = TOKEN_FLOAT;
    }
    size_t e = fraction;
    if ((looking_at(l, e, "e") || looking_at(l, e, "E")) && !(l->at && s[l->at - 1] == '.')) {
        e += looking_at(l, e + 1, "+") || looking_at(l, e + 1, "-") ? 2 : 1;
        if (digits(l, e) > e) {
            fraction = digits(l, e);
            type = TOKEN_FLOAT;
        }
    }
    if (type == TOKEN_FLOAT) to = fraction;
    else if (s[l->at] == '0' && to - l->at == 1 && to < l->source.n && strchr("xXoObB", s[to]))
        return fail_at(l, "number", "only decimal numbers are supported");
    else if (s[l->at] == '0' && to - l->at > 1) return fail_at(l, "number", "a number begins with 0");
    char *text = arena_alloc(l->arena, to - l->at, 1);
    if (!text) return err_memory("chat template", to - l->at);
    size_t n = 0;
    for (size_t i = l->at; i < to; i++)
        if (s[i] != '_') text[n++] = s[i];
    TRY(push(l, type, (struct str){text, n}));
    advance(l, to);
    return PUMICE_OK;
fail:
    return st;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One escape of Python's string literals, s[i] after the backslash; returns the characters used, 0 for a bad one. */
static size_t unescape(struct str s, size_t i, char *to, size_t *n_to)
{
    static const char from[] = "\\'\"abfnrtv", plain[] = "\\'\"\a\b\f\n\r\t\v";
    const char c = s.data[i], *p = c ? strchr(from, c) : NULL;
    uint32_t code = 0;
    *n_to = 0;
    if (p) {
        to[(*n_to)++] = plain[p - from];
        return 1;
    }
    if (c == '\n') return 1;
    if (c >= '0' && c <= '7') {
        size_t used = 0;
        for (; used < 3 && i + used < s.n && s.data[i + used] >= '0' && s.data[i + used] <= '7'; used++)
            code = code * 8 + (uint32_t)(s.data[i + used] - '0');
        *n_to = unicode_encode(code, to);
        return used;
    }
    const size_t want = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == 'N') return 0;
    if (!want) { /* unknown: the backslash stays, and so does the character, later */
        to[(*n_to)++] = '\\';
        return SIZE_MAX;
    }
    if (s.n - i - 1 < want) return 0;
    for (size_t k = 1; k <= want; k++) {
        const int digit = hex_digit(s.data[i + k]);
        if (digit < 0) return 0;
        code = code << 4 | (uint32_t)digit;
    }
    if (code > 0x10ffff) return 0;
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    *n_to = unicode_encode(code, to);
    return 1 + want;
}

static enum pumice_status lex_string(struct lexer *l)
{
    enum pumice_status st;
    const char *s = l->source.data, quote = s[l->at];
    size_t to = l->at + 1;
    while (to < l->source.n && s[to] != quote) to += s[to] == '\\' ? 2 : 1;
    if (to >= l->source.n) return fail_at(l, "string", "it does not end");
    const struct str raw = {s + l->at + 1, to - l->at - 1};
    char *text = arena_alloc(l->arena, raw.n + 1, 1); /* no escape grows but an unknown one at the very end */
    size_t n = 0;
    if (!text) return err_memory("chat template", raw.n);
    for (size_t i = 0; i < raw.n;) {
        size_t n_to = 1, used;
        if (raw.data[i] != '\\') {
            text[n++] = raw.data[i++];
            continue;
        }
        used = unescape(raw, i + 1, text + n, &n_to);
        if (!used) return fail_at(l, "string", "a bad escape");
        n += n_to;
        i += used == SIZE_MAX ? 1 : 1 + used;
    }
    TRY(push(l, TOKEN_STRING, (struct str){text, n}));
    advance(l, to + 1);
    return PUMICE_OK;
fail:
    return st;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static enum pumice_status lex_operator(struct lexer *l)
{
    static const struct {
        const char *text;
        int type;
    } doubled[] = {{"//", TOKEN_FLOORDIV}, {"**", TOKEN_POW}, {"==", TOKEN_EQ},
                   {"!=", TOKEN_NE},       {">=", TOKEN_GE},  {"<=", TOKEN_LE}};
    const char c = l->source.data[l->at];
    char message[40];
    size_t n = 1;
    int type = c;
    for (size_t i = 0; i < COUNT_OF(doubled); i++)
        if (looking_at(l, l->at, doubled[i].text)) {
            type = doubled[i].type;
            n = 2;
        }
    if (n == 1 && (!c || !strchr("+-/*%~[](){}><=.:|,;", c))) {
        char shown[16];
        snprintf(message, sizeof message, "unexpected character '%s'",
                 str_escape((struct str){l->source.data + l->at, 1}, shown, sizeof shown));
        return fail_at(l, "tag", message);
    }
    if (c == '(' || c == '[' || c == '{') {
        if (l->n_open == JINJA_MAX_NESTING) return fail_at(l, "bracket", "nesting deeper than 64");
        l->open[l->n_open++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (l->n_open == 0 || l->open[--l->n_open] != c) {
            snprintf(message, sizeof message, "unexpected '%c'", c);
            return fail_at(l, "bracket", message);
        }
    }
    const enum pumice_status st = push(l, type, (struct str){l->source.data + l->at, n});
    l->at += n;
    return st;
}

/* Inside {{ }} or {% %}, up to and with its end. */
static enum pumice_status lex_tag(struct lexer *l, bool block)
{
    enum pumice_status st;
    const char *close = block ? "%}" : "}}", *s = l->source.data;
    const uint32_t begun = l->line;
    l->n_open = 0;
    for (;;) {
        size_t end = l->n_open ? 0 : tag_end(l, l->at, close, block);
        if (end) {
            TRY(push(l, block ? TOKEN_BLOCK_END : TOKEN_VARIABLE_END, (struct str){s + l->at, 2}));
            advance(l, end);
            return PUMICE_OK;
        }
        const size_t next = after_space(l, l->at);
        if (next > l->at) {
            advance(l, next);
            continue;
        }
        if (l->at >= l->source.n)
            return jinja_error(PUMICE_FORMAT, begun, block ? "{%" : "{{", "it does not end with %s", close);
        const char c = s[l->at];
        if (c >= '0' && c <= '9') TRY(lex_number(l));
        else if (c == '"' || c == '\'') TRY(lex_string(l));
        else if (is_word(c)) {
            size_t to = l->at;
            while (to < l->source.n && is_word(s[to])) to++;
            TRY(push(l, TOKEN_NAME, (struct str){s + l->at, to - l->at}));
            l->at = to;
        } else TRY(lex_operator(l));
    }
fail:
    return st;
}

static enum pumice_status lex_comment(struct lexer *l)
{
    for (size_t at = l->at; at + 1 < l->source.n; at++) {
        const size_t end = tag_end(l, at, "#}", true);
        if (!end) continue;
        advance(l, end);
        return PUMICE_OK;
    }
    return fail_at(l, "{#", "the comment does not end");
}

/* {% WORD %} at `at` with optional signs; *sign is the first one. Returns the offset of what follows WORD, else 0. */
static size_t word_tag(const struct lexer *l, size_t at, const char *text, char *sign)
{
    *sign = 0;
    if (!looking_at(l, at, "{%")) return 0;
    at += 2;
    if (looking_at(l, at, "-") || looking_at(l, at, "+")) *sign = l->source.data[at++];
    at = after_space(l, at);
    if (!looking_at(l, at, text)) return 0;
    return after_space(l, at + strlen(text));
}

/* After {% raw %}: the text up to {% endraw %}. */
static enum pumice_status lex_raw(struct lexer *l)
{
    enum pumice_status st;
    for (size_t at = l->at; at < l->source.n; at++) {
        char sign;
        const size_t inner = word_tag(l, at, "endraw", &sign), end = inner ? tag_end(l, inner, "%}", true) : 0;
        if (!end) continue;
        const size_t to = strip_text(l, l->at, at, sign, false, l->line_starting);
        if (to > l->at) TRY(push(l, TOKEN_DATA, (struct str){l->source.data + l->at, to - l->at}));
        advance(l, end);
        return PUMICE_OK;
    }
    return fail_at(l, "{% raw %}", "it does not end with {% endraw %}");
fail:
    return st;
}

static enum pumice_status lex_template(struct lexer *l)
{
    enum pumice_status st;
    const char *s = l->source.data;
    l->line_starting = true;
    while (l->at < l->source.n) {
        size_t tag = l->at;
        while (tag < l->source.n &&
               !(s[tag] == '{' && tag + 1 < l->source.n && strchr("{%#", s[tag + 1]) && s[tag + 1]))
            tag++;
        char sign = 0;
        size_t raw = 0, text_to = tag;
        const char kind = tag < l->source.n ? s[tag + 1] : 0;
        if (kind) {
            raw = word_tag(l, tag, "raw", &sign);
            if (raw)
                raw = looking_at(l, raw, "-%}") ? after_space(l, raw + 3) : looking_at(l, raw, "%}") ? raw + 2 : 0;
            sign = looking_at(l, tag + 2, "-") ? '-' : looking_at(l, tag + 2, "+") ? '+' : 0;
            text_to = strip_text(l, l->at, tag, sign, kind == '{', l->line_starting);
        }
        if (text_to > l->at) TRY(push(l, TOKEN_DATA, (struct str){s + l->at, text_to - l->at}));
        advance(l, tag);
        if (!kind) break;
        if (raw) {
            advance(l, raw);
            l->line_starting = s[l->at - 1] == '\n';
            TRY(lex_raw(l));
        } else if (kind == '#') {
            advance(l, tag + (sign ? 3 : 2));
            TRY(lex_comment(l));
        } else {
            TRY(push(l, kind == '%' ? TOKEN_BLOCK_BEGIN : TOKEN_VARIABLE_BEGIN, (struct str){s + tag, 2}));
            advance(l, tag + (sign ? 3 : 2));
            TRY(lex_tag(l, kind == '%'));
        }
        l->line_starting = s[l->at - 1] == '\n';
    }
    return push(l, TOKEN_EOF, STR(""));
fail:
    return st;
}

enum pumice_status jinja_lex(struct str source, struct arena *arena, struct jinja_token **tokens, size_t *n_tokens)
{
    struct lexer l = {.line = 1, .arena = arena};
    *tokens = NULL;
    *n_tokens = 0;
    if (source.n > JINJA_MAX_SOURCE_BYTES)
        return err_set(PUMICE_FORMAT, "chat template: %zu bytes, at most 1 MiB is read; use another template",
                       source.n);
    char *text = arena_alloc(arena, source.n + 1, 1);
    if (!text) return err_memory("chat template", source.n);
    size_t n = 0;
    for (size_t i = 0; i < source.n; i++) {
        if (source.data[i] == '\r' && i + 1 < source.n && source.data[i + 1] == '\n') continue;
        text[n++] = source.data[i] == '\r' ? '\n' : source.data[i];
    }
    if (n && text[n - 1] == '\n') n--;
    l.source = (struct str){text, n};
    const enum pumice_status st = lex_template(&l);
    *tokens = l.tokens;
    *n_tokens = l.n;
    return st;
}
