/* pumice-gguf: look into GGUF files, check them, make them. Exit codes: 0 ok, 1 failure, 2 usage. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

static const char help_text[] =
    "usage: pumice-gguf COMMAND [OPTION...]\n"
    "\n"
    "  info FILE    what the file says about itself: shapes, types, tokenizer, metadata, tensors\n"
    "  check FILE   read everything once and report damage: structure, NaN and infinities\n"
    "  make         write a model with random weights and real shapes, for tests and measurements\n"
    "\n"
    "  -h, --help   this text; after a command, that command's own\n"
    "  --version    the version\n"
    "\n"
    "Exit codes: 0 ok, 1 failure, 2 the command line makes no sense.\n";

/* --- shared helpers ----------------------------------------------------------------------------- */

int fail(void)
{
    fprintf(stderr, "pumice-gguf: %s\n", pumice_error());
    return TOOL_FAILURE;
}

int usage(const char *format, ...)
{
    va_list args;
    fputs("pumice-gguf: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; see pumice-gguf --help\n", stderr);
    return TOOL_USAGE;
}

int finish_stdout(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "pumice-gguf: standard output cannot be written\n");
    return code ? code : TOOL_FAILURE;
}

static bool parse_number(const char *s, uint64_t least, uint64_t most, uint64_t *out)
{
    uint64_t v = 0;
    if (!*s) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || !mul_u64(v, 10, &v) || !add_u64(v, (uint64_t)(*s - '0'), &v)) return false;
    }
    *out = v;
    return v >= least && v <= most;
}

static const struct option *find_option(const struct option *options, size_t n, const char *word, size_t name_bytes)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(options[i].name) == name_bytes && memcmp(options[i].name, word, name_bytes) == 0) return &options[i];
    return NULL;
}

int options_read(int argc, char **argv, const struct option *options, size_t n_options, const char **files,
                 size_t n_files, const char *help, bool *done)
{
    size_t n = 0;
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
        if (only_files || word[0] != '-' || !word[1]) {
            if (n == n_files) return usage("%s: one file too many: %s", argv[0], word);
            files[n++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_files = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            fputs(help, stdout);
            *done = true;
            return TOOL_OK;
        }
        const struct option *o = find_option(options, n_options, word, equals ? (size_t)(equals - word) : strlen(word));
        if (!o) return usage("%s: unknown option %s", argv[0], word);
        if (o->flag) {
            if (equals) return usage("%s: %s takes no value", argv[0], o->name);
            *o->flag = true;
            continue;
        }
        if (!equals && i + 1 == argc) return usage("%s: %s needs a value", argv[0], o->name);
        const char *value = equals ? equals + 1 : argv[++i];
        if (o->text) *o->text = value;
        else if (!parse_number(value, o->least, o->most, o->number))
            return usage("%s: %s is %s, must be a whole number from %llu to %llu", argv[0], o->name, value,
                         (unsigned long long)o->least, (unsigned long long)o->most);
    }
    return TOOL_OK;
}

static const char *human(uint64_t v, const char *const *units, size_t n_units, char *out, size_t out_bytes)
{
    double d = (double)v;
    size_t unit = 0;
    while (d >= 999.5 && unit + 1 < n_units) d /= 1000, unit++;
    snprintf(out, out_bytes, "%.*f%s", unit == 0 ? 0 : d < 9.995 ? 2 : d < 99.95 ? 1 : 0, d, units[unit]);
    return out;
}

const char *human_bytes(uint64_t bytes, char *out, size_t out_bytes)
{
    static const char *const units[] = {" bytes", " kB", " MB", " GB", " TB"};
    return human(bytes, units, COUNT_OF(units), out, out_bytes);
}

const char *human_count(uint64_t n, char *out, size_t out_bytes)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    return human(n, units, COUNT_OF(units), out, out_bytes);
}

const char *value_type_name(enum gguf_value_type type)
{
    static const char *const names[GGUF_N_VALUE_TYPES] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool",
                                                          "string", "array", "u64", "i64", "f64"};
    return (unsigned)type < GGUF_N_VALUE_TYPES ? names[type] : "?";
}

/* --- main --------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"info", command_info}, {"check", command_check}, {"make", command_make}};
    if (argc < 2) return usage("a command is missing: info, check or make");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        fputs(help_text, stdout);
        return finish_stdout(TOOL_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("pumice-gguf %s\n", pumice_version());
        return finish_stdout(TOOL_OK);
    }
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0) return finish_stdout(commands[i].run(argc - 1, argv + 1));
    return usage("unknown command %s", argv[1]);
}
