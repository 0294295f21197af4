/* highlight: a table of language families and a lexer without memory. */
#include "app/window/highlight.h"

#include <string.h>

enum { HASH = 1, SLASHES = 2, STARS = 4, DASHES = 8, SINGLE = 16, BACKTICK = 32, TRIPLE = 64, ANY_CASE = 128 };

struct family {
    const char *names; /* space before and after each */
    unsigned marks;
    const char *words;
};

static const struct family families[] = {
    {" python py ", HASH | SINGLE | TRIPLE,
     " and as assert async await break class continue def del elif else except False finally for from global if import "
     "in is lambda None nonlocal not or pass raise return True try while with yield self match case "},
    {" c h cpp c++ cc hpp java cs csharp glsl ", SLASHES | STARS | SINGLE,
     " auto bool break case catch char class const continue default delete do double else enum extern false final float "
     "for goto if import inline int long namespace new null nullptr override package private protected public register "
     "return short signed sizeof static struct super switch template this throw true try typedef union unsigned using "
     "virtual void volatile while size_t String NULL uint32_t int32_t uint8_t uint64_t "},
    {" js javascript ts typescript jsx tsx json ", SLASHES | STARS | SINGLE | BACKTICK,
     " async await break case catch class const continue default delete do else enum export extends false finally for "
     "from function if implements import in instanceof interface let new null of return static super switch this throw "
     "true try type typeof undefined var void while yield "},
    {" rust rs go golang kotlin swift scala zig ", SLASHES | STARS | BACKTICK,
     " as async await break chan const continue crate defer else enum extern false fallthrough fn for func fun go goto "
     "if impl import in interface let loop map match mod move mut nil None package pub range ref return select self "
     "Self Some static struct super switch trait true type unsafe use val var where while bool string int error "},
    {" sh bash shell zsh console ruby rb perl yaml yml toml make makefile dockerfile cmake ini ", HASH | SINGLE | BACKTICK,
     " case cd do done echo elif else end esac exit export false fi for function if in local return set then true until "
     "while def class module require begin rescue nil sudo apt git cmake make install "},
    {" sql lua haskell hs ", DASHES | SINGLE | ANY_CASE,
     " select from where insert into update delete create table drop alter join left right inner outer on group by order "
     "having limit as and or not null primary key values set distinct union in is like between local function end then "
     "if else for while do return nil true false let module import data type case of "},
};

static const struct family *family_of(struct str lang)
{
    char name[24];
    if (lang.n == 0 || lang.n + 3 > sizeof name) return NULL;
    name[0] = ' ';
    for (size_t i = 0; i < lang.n; i++)
        name[i + 1] = (char)(lang.data[i] >= 'A' && lang.data[i] <= 'Z' ? lang.data[i] + 32 : lang.data[i]);
    name[lang.n + 1] = ' ';
    name[lang.n + 2] = 0;
    for (size_t i = 0; i < COUNT_OF(families); i++)
        if (strstr(families[i].names, name) != NULL) return &families[i];
    return NULL;
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool keyword(const struct family *f, const char *text, size_t n)
{
    char word[24];
    if (n + 3 > sizeof word) return false;
    word[0] = ' ';
    for (size_t i = 0; i < n; i++)
        word[i + 1] = (char)((f->marks & ANY_CASE) && text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    word[n + 1] = ' ';
    word[n + 2] = 0;
    return strstr(f->words, word) != NULL;
}

static size_t to_line_end(const char *text, size_t n, size_t i)
{
    const char *newline = memchr(text + i, '\n', n - i);
    return newline != NULL ? (size_t)(newline - text) : n;
}

static bool starts(const char *text, size_t n, size_t i, const char *with)
{
    const size_t k = strlen(with);
    return n - i >= k && memcmp(text + i, with, k) == 0;
}

/* The end of what is opened at i by `close`, n when it is not closed. */
static size_t to_close(const char *text, size_t n, size_t i, const char *close)
{
    const size_t k = strlen(close);
    for (i += k; i + k <= n; i++)
        if (memcmp(text + i, close, k) == 0) return i + k;
    return n;
}

static size_t string_end(const char *text, size_t n, size_t i, bool lines)
{
    const char quote = text[i];
    for (i++; i < n && (lines || text[i] != '\n'); i++) {
        if (text[i] == '\\' && i + 1 < n && text[i + 1] != '\n')
            i++;
        else if (text[i] == quote)
            return i + 1;
    }
    return i;
}

size_t highlight_next(struct str lang, const char *text, size_t n, size_t i, enum color *color)
{
    const struct family *f = family_of(lang);
    *color = COLOR_TEXT;
    if (f == NULL) return i < n && text[i] == '\n' ? i + 1 : to_line_end(text, n, i);
    const unsigned marks = f->marks;
    if (((marks & HASH) && text[i] == '#') || ((marks & SLASHES) && starts(text, n, i, "//")) ||
        ((marks & DASHES) && starts(text, n, i, "--"))) {
        *color = COLOR_COMMENT;
        return to_line_end(text, n, i);
    }
    if ((marks & STARS) && starts(text, n, i, "/*")) {
        *color = COLOR_COMMENT;
        return to_close(text, n, i, "*/");
    }
    if ((marks & TRIPLE) && (starts(text, n, i, "\"\"\"") || starts(text, n, i, "'''"))) {
        *color = COLOR_STRING;
        return to_close(text, n, i, text[i] == '"' ? "\"\"\"" : "'''");
    }
    if (text[i] == '"' || ((marks & SINGLE) && text[i] == '\'') || ((marks & BACKTICK) && text[i] == '`')) {
        *color = COLOR_STRING;
        return string_end(text, n, i, text[i] == '`');
    }
    size_t end = i;
    if (letter(text[i])) {
        while (end < n && (letter(text[end]) || digit(text[end]))) end++;
        if (keyword(f, text + i, end - i)) *color = COLOR_KEYWORD;
        return end;
    }
    if (digit(text[i])) {
        while (end < n && (digit(text[end]) || letter(text[end]) || text[end] == '.')) end++;
        *color = COLOR_NUMBER;
        return end;
    }
    if (text[i] == '\n') return i + 1;
    while (end < n && text[end] != '\n' && !letter(text[end]) && !digit(text[end]) && strchr("\"'`#/-", text[end]) == NULL)
        end++;
    return MAX(end, i + 1);
}
