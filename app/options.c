/* options: the table, the parser and the help text made from the table. */
#include "app/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, UINT, REAL, OUTPUT, KV };

#define C(name) (1u << COMMAND_##name)
#define ALL     ((1u << N_COMMANDS) - 1)
#define ANSWER  (C(CHAT) | C(RUN))
#define TALK    (ANSWER | C(WINDOW)) /* the window has the rest in its settings */
#define COMPUTE (ANSWER | C(LOGITS))
#define MODEL   (COMPUTE | C(TOKENIZE) | C(TEMPLATE) | C(BENCH))
#define PROMPT  (ANSWER | C(TEMPLATE))
#define DEVICE  (COMPUTE | C(SELFTEST) | C(BENCH))
#define JSON    (C(FIT) | C(RUN) | C(LOGITS) | C(DEVICES) | C(SELFTEST))

static const struct row {
    enum option_id id;
    char letter;
    const char *name;
    enum kind kind;
    size_t offset; /* of the value in struct options */
    double min, max;
    const char *value; /* its name in the help */
    uint32_t commands;
    const char *help;
} rows[] = {
#define AT(field) offsetof(struct options, field)
    {OPTION_MODEL, 'm', "model", TEXT, AT(model), 0, 0, "FILE", MODEL | C(FIT) | C(WINDOW) | C(TUNE),
     "the model, a GGUF file (default: the built-in toy; for tune and bench --kernels shapes of Qwen3)"},
    {OPTION_PROMPT, 'p', "prompt", TEXT, AT(prompt), 0, 0, "TEXT", C(RUN) | C(TOKENIZE) | C(TEMPLATE) | C(LOGITS), "the text"},
    {OPTION_FILE, 'f', "file", TEXT, AT(file), 0, 0, "FILE", C(RUN) | C(TOKENIZE) | C(TEMPLATE) | C(LOGITS),
     "the text is in FILE; - is standard input"},
    {OPTION_BATCH, 0, "jsonl", TEXT, AT(batch), 0, 0, "FILE", C(RUN),
     "answer many: one request a line, {\"id\", \"prompt\"} or {\"id\", \"messages\": [{\"role\", \"content\"}]}; "
     "- is standard input"},
    {OPTION_BATCH_OUT, 'o', "output", TEXT, AT(batch_out), 0, 0, "FILE", C(RUN),
     "with --jsonl: the answers go to FILE, after those that are there already; else text or json"},
    {OPTION_TEMPLATE, 0, "template", TEXT, AT(chat_template), 0, 0, "T", PROMPT,
     "the chat template: gguf (the model file's), official (Qwen3-2507's ChatML), or a file (default: gguf, or official "
     "if the file has none)"},
    {OPTION_TRUST_SPECIAL, 0, "trust-special", FLAG, AT(trust_special), 0, 0, NULL, PROMPT,
     "recognise control tokens such as <|im_end|> in messages, too; only for text that you trust"},
    {OPTION_NO_THINKING, 0, "no-thinking", FLAG, AT(no_thinking), 0, 0, NULL, PROMPT,
     "tell models that can think first not to (enable_thinking = false)"},
    {OPTION_JSONL, 0, "jsonl", FLAG, AT(jsonl), 0, 0, NULL, C(TEMPLATE),
     "standard input (or -f FILE) has one {\"messages\", \"tools\", \"add_generation_prompt\", ...} a line; print one JSON "
     "string a line"},
    {OPTION_SHOW_TOKENS, 0, "tokens", FLAG, AT(show_tokens), 0, 0, NULL, C(TEMPLATE),
     "show the token ids as well, and who wrote them: the template or a message"},
    {OPTION_OPEN, 0, "open", TEXT, AT(open), 0, 0, "WHICH", C(CHAT),
     "go on with a kept conversation: last, a number of /list, or an id"},
    {OPTION_NO_HISTORY, 0, "no-history", FLAG, AT(no_history), 0, 0, NULL, C(CHAT), "keep no file of the conversation"},
    {OPTION_MAX_HISTORY, 0, "max-history", UINT, AT(max_history), 0, 1 << 24, "N", C(CHAT),
     "the model sees at most N exchanges before the last one (default 0: as many as fit)"},
    {OPTION_RAW, 0, "raw", FLAG, AT(raw), 0, 0, NULL, C(RUN),
     "feed the text as it is, without ChatML around it; special tokens are recognised"},
    {OPTION_TOKENS, 0, "tokens", TEXT, AT(tokens), 0, 0, "1,2,3", C(LOGITS), "the prompt as token ids"},
    {OPTION_GREEDY, 0, "greedy", UINT, AT(greedy), 1, 1 << 24, "N", C(LOGITS),
     "go N tokens on, always with the likeliest (default 1)"},
    {OPTION_TOP, 0, "top", UINT, AT(top), 1, 1 << 24, "K", C(LOGITS),
     "the K likeliest tokens a position (default 20)"},
    {OPTION_JSONL, 0, "jsonl", FLAG, AT(jsonl), 0, 0, NULL, C(TOKENIZE),
     "standard input has one JSON string a line; print one JSON array of ids a line"},
    {OPTION_DECODE, 0, "decode", FLAG, AT(decode), 0, 0, NULL, C(TOKENIZE),
     "the other way: ids in, text out"},
    {OPTION_PLAIN, 0, "plain", FLAG, AT(plain), 0, 0, NULL, C(TOKENIZE),
     "do not recognise special tokens, as in the text of a chat message"},
    {OPTION_ONLY, 0, "only", TEXT, AT(only), 0, 0, "TEXT", C(SELFTEST) | C(BENCH),
     "(bench: with --kernels) only the rows whose name contains TEXT"},
    {OPTION_N_PROMPT, 'p', "n-prompt", TEXT, AT(n_prompt), 0, 0, "N,...", C(BENCH),
     "prompt tokens (default 512; 0 = no such test; 16-256*2 = 16,32,64,128,256)"},
    {OPTION_N_GEN, 'n', "n-gen", TEXT, AT(n_gen), 0, 0, "N,...", C(BENCH), "generated tokens (default 128; 0 = no such test)"},
    {OPTION_N_DEPTH, 'd', "n-depth", TEXT, AT(n_depth), 0, 0, "N,...", C(BENCH),
     "tokens that are in the context already (default 0)"},
    {OPTION_REPETITIONS, 'r', "repetitions", UINT, AT(repetitions), 1, 1000, "N", C(BENCH),
     "how often each test is run (default 5, and once more to warm up)"},
    {OPTION_FORM, 'o', "output", TEXT, AT(batch_out), 0, 0, "FORM", C(BENCH), "md (default), csv, json or jsonl"},
    {OPTION_KERNELS, 0, "kernels", FLAG, AT(kernels), 0, 0, NULL, C(BENCH),
     "measure every kernel at a model's shapes instead: time, GB/s, GFLOP/s, share of what the device can, error"},
    {OPTION_SHAPES, 0, "shapes", TEXT, AT(shapes), 0, 0, "NAME", C(BENCH),
     "with --kernels: qwen3-4b or qwen3-0.6b (default: the one that suits the device; -m takes a file's)"},
    {OPTION_PLOT, 0, "plot", TEXT, AT(plot), 0, 0, "FILE", C(BENCH), "with --kernels: a roofline as SVG"},
    {OPTION_COMPARE, 0, "compare", TEXT, AT(compare), 0, 0, "OLD.json", C(BENCH),
     "with --kernels: say what got slower than in an earlier JSON output"},
    {OPTION_SYSTEM, 0, "system", TEXT, AT(system), 0, 0, "TEXT", PROMPT | C(WINDOW), "the system prompt (default: none)"},
    {OPTION_MAX_TOKENS, 'n', "max-tokens", UINT, AT(max_tokens), 0, 1 << 24, "N", TALK,
     "at most N tokens an answer (default 0: as many as the context holds)"},
    {OPTION_CTX, 'c', "ctx", UINT, AT(ctx), 1, 1 << 24, "N", COMPUTE | C(FIT) | C(WINDOW),
     "context size in tokens (default: 8192, or what the model has or the memory allows)"},
    {OPTION_KV, 0, "kv", KV, AT(kv), 0, 0, "TYPE", COMPUTE | C(FIT) | C(WINDOW) | C(BENCH),
     "what keys and values of the context are kept in: f16, or q8_0 in about half of the memory (default: f16)"},
    {OPTION_TEMP, 0, "temp", REAL, AT(temp), 0, 100, "X", TALK,
     "temperature; 0 = always the likeliest token (default: the model file's, else 0.7)"},
    {OPTION_TOP_K, 0, "top-k", UINT, AT(top_k), 0, 1 << 24, "N", ANSWER,
     "choose among the N likeliest; 0 = off (default: the model file's, else 20)"},
    {OPTION_TOP_P, 0, "top-p", REAL, AT(top_p), 0, 1, "X", ANSWER,
     "choose among the likeliest that make up X; 1 = off (default: the model file's, else 0.8)"},
    {OPTION_MIN_P, 0, "min-p", REAL, AT(min_p), 0, 1, "X", ANSWER,
     "drop tokens less likely than X times the likeliest; 0 = off (default: the model file's, else 0)"},
    {OPTION_SEED, 0, "seed", UINT, AT(seed), 0, 18446744073709551615.0, "N", ANSWER | C(SELFTEST),
     "random seed (default: another one every time, shown by --stats and --json; 0 for --jsonl and "
     "selftest)"},
    {OPTION_DEVICE, 0, "device", TEXT, AT(device), 0, 0, "D", DEVICE | C(DEVICES) | C(FIT) | C(WINDOW) | C(TUNE),
     "auto, cpu, software, an index of `pumice devices`, part of a name, or a UUID"},
    {OPTION_THREADS, 't', "threads", UINT, AT(threads), 0, 4096, "N", DEVICE,
     "threads for --device cpu (default: all)"},
    {OPTION_JSON, 0, "json", FLAG, AT(json), 0, 0, NULL, JSON, "print JSON"},
    {OPTION_OUTPUT, 'o', "output", OUTPUT, AT(json), 0, 0, "json", JSON & ~C(RUN),
     "text or json; `-o json` is the same as --json"},
    {OPTION_STATS, 0, "stats", FLAG, AT(stats), 0, 0, NULL, ANSWER,
     "after each answer: tokens a second, device memory, a hash of the last logits"},
    {OPTION_PERF, 0, "perf", FLAG, AT(perf), 0, 0, NULL, COMPUTE | C(BENCH),
     "at the end: time and bandwidth of each operation"},
    {OPTION_TRACE, 0, "trace", TEXT, AT(trace), 0, 0, "FILE", ANSWER | C(BENCH),
     "write what host and device did when to FILE, a Chrome trace (opens in Perfetto); ops are then timed one by one"},
    {OPTION_NO_TUNE, 0, "no-tune", FLAG, AT(no_tune), 0, 0, NULL, COMPUTE | C(BENCH),
     "do not measure which kernel numbers suit a GPU that is used for the first time"},
    {OPTION_VALIDATE, 0, "validate", FLAG, AT(validate), 0, 0, NULL, DEVICE,
     "with Vulkan's validation layers"},
    {OPTION_VERBOSE, 'v', "verbose", FLAG, AT(verbose), 0, 0, NULL, ALL, "log lines on standard error"},
    {OPTION_QUIET, 'q', "quiet", FLAG, AT(quiet), 0, 0, NULL, ALL, "only errors on standard error"},
    {OPTION_HELP, 'h', "help", FLAG, AT(help), 0, 0, NULL, ALL, "this text"},
    {OPTION_VERSION, 'V', "version", FLAG, AT(version), 0, 0, NULL, ALL, "the version"},
#undef AT
};

static const struct {
    const char *name, *usage, *summary, *help;
} commands[N_COMMANDS] = {
    {"chat", "[-m FILE] [options]", "talk with the model, in a terminal or through a pipe",
     "Talk with the model. Ctrl-C stops an answer, not the program; /help lists the commands, /quit or "
     "Ctrl-D ends. Reads lines from a pipe as well: each line is a message, each answer goes to standard "
     "output; a line that begins with / is a command there, too, and //text sends /text."},
    {"window", "[-m FILE] [options]", "talk with the model, in a window",
     "Open the chat window. What is given here is remembered like what is changed in the window: model, device, context, "
     "maximum length, temperature, system prompt (<config>/pumice/window.conf). Plain `pumice` opens it as well where there "
     "is a display and it was started from a desktop, or in a terminal that is not redirected; then `pumice chat` talks in "
     "the terminal. F1 shows the keys."},
    {"run", "[-m FILE] (-p TEXT | -f FILE | --jsonl FILE) [options]",
     "answer once, or once for each line of a file",
     "Answer once, or once for each line of a file. The text is sent as one user message unless --raw is "
     "given; one newline at the end of FILE does not belong to the message, and CR LF counts as LF. With --jsonl, each line may have "
     "\"system\", \"tools\", \"enable_thinking\", \"max_tokens\", \"temperature\", \"top_k\", \"top_p\", \"min_p\" and \"seed\" "
     "of its own; a line that fails gives {\"line\", \"error\"}, the others go on, and the exit code is 1. With --output "
     "FILE as well, an interrupted run goes on where FILE ends; errors that stand in FILE are not tried again, and count."},
    {"template", "[-m FILE] [--template T] [-p TEXT | -f FILE | --jsonl] [options]",
     "show what the model sees: messages through the chat template",
     "Show what the model sees: one user message (or, with --jsonl, whole conversations) as the chat template renders "
     "it. Without -p and -f it is read from standard input. With --tokens each token is shown with its id and with "
     "who wrote it; on a terminal what the template wrote is coloured, and control tokens are bold."},
    {"tokenize", "[-m FILE] [-p TEXT | -f FILE | --jsonl] [options]", "text to token ids, and back",
     "Turn text into token ids (or back, with --decode); without -p and -f it is read from standard input. Special tokens such as <|im_end|> are recognised "
     "unless --plain is given."},
    {"logits", "[-m FILE] (--tokens 1,2,3 | -p TEXT | -f FILE) [options]",
     "what the model expects next, as log probabilities",
     "Show what the model expects next: natural-log probabilities after the prompt, and after each greedy "
     "step. The text is taken as it is; special tokens are recognised."},
    {"bench", "[-m FILE] [-p N,...] [-n N,...] [-d N,...] [-r N] [-o FORM] [options]",
     "tokens a second, as llama-bench counts them",
     "Measure prompt processing (pp) and generation (tg) in tokens a second: mean and deviation over the repetitions. "
     "The JSON has llama-bench's field names. With --kernels: each kernel by itself, against the device's measured ceilings; -p, "
     "-n, -d, -r, --perf and --no-tune have no place there."},
    {"devices", "[options]", "list the devices, and why each was chosen or not",
     "List every device: memory, limits, and why it was chosen or not."},
    {"fit", "[-m FILE] [-c N] [options]", "what a model takes on each device, and whether it fits",
     "Plan the memory: weights, context and work on every device (or on --device) against what is free there. Exit code 1 "
     "if the model fits nowhere."},
    {"selftest", "[options]", "check every kernel on the device against the reference",
     "Run every kernel on the chosen device and compare it with the reference. Exit code 1 if one is "
     "wrong."},
    {"tune", "[-m FILE] [options]", "measure which kernel numbers suit the device, and keep them",
     "Measure which numbers (lanes, rows, columns) make the kernels fastest on the device, at the shapes of -m FILE or of "
     "Qwen3-4B (software drivers: 0.6B), and keep them for device and driver: later runs use them. GPUs are tuned by themselves when they are used for "
     "the first time (--no-tune: not), software drivers only here."},
};

static const char exit_codes[] =
    "Exit codes: 0 all went well; 1 something failed; 2 the command line makes no sense; "
    "130 interrupted by Ctrl-C.\nErrors and notes go to standard error, answers to "
    "standard output.\n";

bool options_given(const struct options *o, enum option_id id)
{
    return (o->given >> id) & 1;
}

size_t edit_distance(const char *a, const char *b)
{
    size_t row[32];
    const size_t n = MIN(strlen(b), COUNT_OF(row) - 1);
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i] != 0 && i < COUNT_OF(row); i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const size_t change = corner + (a[i] != b[j]);
            corner = row[j + 1];
            row[j + 1] = MIN(change, MIN(row[j], corner) + 1);
        }
    }
    return row[n];
}

static enum pumice_status unknown_command(const char *word)
{
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const size_t distance = edit_distance(word, commands[i].name);
        if (distance < best_distance) {
            best = commands[i].name;
            best_distance = distance;
        }
    }
    if (best != NULL)
        return err_set(PUMICE_ARGUMENT,
                       "there is no command '%s'; did you mean '%s'? (pumice --help lists them)", word, best);
    return err_set(PUMICE_ARGUMENT, "there is no command '%s'; pumice --help lists them", word);
}

static enum pumice_status unknown_option(const char *word, size_t n, enum command command)
{
    const char *best = NULL;
    char name[32];
    size_t best_distance = 4;
    snprintf(name, sizeof name, "%.*s", (int)MIN(n, sizeof name), word);
    for (size_t i = 0; name[0] == '-' && name[1] == '-' && i < COUNT_OF(rows); i++) {
        const size_t n_name = strlen(rows[i].name), n_shared = MIN(n_name, strlen(name + 2));
        const bool begins = n_shared >= 3 && memcmp(name + 2, rows[i].name, n_shared) == 0;
        const size_t distance = begins ? 1 : edit_distance(name + 2, rows[i].name);
        if ((rows[i].commands & (1u << command)) && distance < best_distance && distance < n_name) {
            best = rows[i].name;
            best_distance = distance;
        }
    }
    if (best != NULL)
        return err_set(PUMICE_ARGUMENT, "unknown option %s; did you mean --%s? (pumice %s --help lists them)",
                       name, best, commands[command].name);
    return err_set(PUMICE_ARGUMENT, "unknown option %s; pumice %s --help lists them", name,
                   commands[command].name);
}

/* The command's own option comes before one of that name of another command. */
static const struct row *find_long(const char *name, size_t n, enum command command)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0 &&
            (found == NULL || (rows[i].commands & (1u << command))))
            found = &rows[i];
    return found;
}

static const struct row *find_short(char letter, enum command command)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (letter != 0 && rows[i].letter == letter && (found == NULL || (rows[i].commands & (1u << command))))
            found = &rows[i];
    return found;
}

static enum pumice_status set_number(const struct row *r, const char *shown, const char *value, void *at)
{
    char *end = NULL;
    const bool unbounded = r->max > 1e19;
    errno = 0;
    if (r->kind == UINT) {
        const bool digit = value[0] >= '0' && value[0] <= '9';
        const unsigned long long n = strtoull(value, &end, 10);
        if (digit && *end == 0 && errno == 0 && (double)n >= r->min && (unbounded || (double)n <= r->max)) {
            *(uint64_t *)at = n;
            return PUMICE_OK;
        }
        if (unbounded)
            return err_set(PUMICE_ARGUMENT,
                           "%s wants a whole number from 0 to 18446744073709551615, not '%s'", shown, value);
        return err_set(PUMICE_ARGUMENT, "%s wants a whole number from %.0f to %.0f, not '%s'", shown, r->min,
                       r->max, value);
    }
    const double x = strtod(value, &end);
    if (end == value || *end != 0 || !isfinite(x) || x < r->min || x > r->max)
        return err_set(PUMICE_ARGUMENT, "%s wants a number from %g to %g, not '%s'", shown, r->min, r->max,
                       value);
    *(double *)at = x;
    return PUMICE_OK;
}

static enum pumice_status set_value(const struct row *r, const char *shown, const char *value,
                                    struct options *o)
{
    void *at = (char *)o + r->offset;
    switch (r->kind) {
    case FLAG:
        *(bool *)at = true;
        break;
    case TEXT:
        *(const char **)at = value;
        break;
    case OUTPUT:
        if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
            return err_set(PUMICE_ARGUMENT, "%s is text or json, not '%s'", shown, value);
        *(bool *)at = strcmp(value, "json") == 0;
        break;
    case KV: {
        int i = 0;
        while (pumice_kv_name((enum pumice_kv)i) != NULL && strcmp(pumice_kv_name((enum pumice_kv)i), value) != 0) i++;
        if (pumice_kv_name((enum pumice_kv)i) == NULL)
            return err_set(PUMICE_ARGUMENT, "%s is f16 or q8_0, not '%s'", shown, value);
        *(enum pumice_kv *)at = (enum pumice_kv)i;
        break;
    }
    case UINT:
    case REAL: {
        const enum pumice_status st = set_number(r, shown, value, at);
        if (st != PUMICE_OK) return st;
    }
    }
    o->given |= (uint64_t)1 << r->id;
    return PUMICE_OK;
}

/* One option at argv[*i]; steps *i past a value that stands alone. */
static enum pumice_status parse_one(int argc, char **argv, int *i, struct options *o)
{
    char *word = argv[*i], shown[40];
    const char *value = NULL;
    const struct row *r = NULL;
    size_t n = strcspn(word, "=");
    if (word[1] == '-') {
        r = find_long(word + 2, n - 2, o->command);
        if (word[n] == '=') value = word + n + 1;
    } else {
        r = find_short(word[1], o->command);
        n = 2;
        if (r != NULL && word[2] != 0) value = word + 2 + (word[2] == '=');
        if (r != NULL && r->kind == FLAG && word[2] != 0) r = NULL;
        if (r == NULL) n = strlen(word);
    }
    if (r == NULL) return unknown_option(word, n, o->command);
    snprintf(shown, sizeof shown, "%.*s", (int)n, word);
    if (!(r->commands & (1u << o->command)))
        return err_set(PUMICE_ARGUMENT, "%s is not an option of pumice %s; pumice %s --help lists them",
                       shown, commands[o->command].name, commands[o->command].name);
    if (r->kind == FLAG && value != NULL)
        return err_set(PUMICE_ARGUMENT, "%s takes no value, but was given '%s'", shown, value);
    if (r->kind != FLAG && value == NULL) {
        const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
        if (next == NULL) return err_set(PUMICE_ARGUMENT, "%s wants a value: %s %s", shown, shown, r->value);
        if (next[0] == '-' && next[1] == '-' && find_long(next + 2, strcspn(next + 2, "="), o->command) != NULL)
            return err_set(PUMICE_ARGUMENT,
                           "%s wants a value, but %s follows; if that is the value, write --%s=%s", shown,
                           next, r->name, next);
        value = next;
        (*i)++;
    }
    return set_value(r, shown, value, o);
}

enum pumice_status options_parse(int argc, char **argv, struct options *out)
{
    int i = 1;
    *out = (struct options){.command = COMMAND_CHAT, .greedy = 1, .top = 20};
    if (i < argc && argv[i][0] != '-') {
        size_t c = 0;
        if (strcmp(argv[i], "help") == 0) {
            out->help = true;
            if (++i == argc) return PUMICE_OK;
        }
        while (c < N_COMMANDS && strcmp(argv[i], commands[c].name) != 0) c++;
        if (c == N_COMMANDS) return unknown_command(argv[i]);
        out->command = (enum command)c;
        out->named = true;
        i++;
    }
    for (; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == 0)
            return err_set(PUMICE_ARGUMENT,
                           "'%s' stands where an option should be (a text goes after -p, a model after -m); "
                           "pumice %s --help lists them",
                           argv[i], commands[out->command].name);
        const enum pumice_status st = parse_one(argc, argv, &i, out);
        if (st != PUMICE_OK) return st;
    }
    return PUMICE_OK;
}

/* Words from `column` on, in lines of at most 100; further lines start at `indent`. Ends the line. */
static void print_wrapped(FILE *to, const char *text, size_t column, size_t indent)
{
    bool first = true;
    while (*text != 0) {
        const size_t n = strcspn(text, " ");
        if (!first && column + 1 + n > 100) {
            fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        fprintf(to, first ? "%.*s" : " %.*s", (int)n, text);
        column += n + !first;
        first = false;
        text += n + strspn(text + n, " ");
    }
    fputc('\n', to);
}

void options_help(FILE *to, enum command command)
{
    fprintf(to, "usage: pumice %s %s\n\n", commands[command].name, commands[command].usage);
    print_wrapped(to, commands[command].help, 0, 0);
    fputc('\n', to);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        char left[64];
        if (!(r->commands & (1u << command))) continue;
        const char letter[5] = {'-', r->letter, ',', ' ', 0};
        snprintf(left, sizeof left, "%s--%s%s%s", r->letter ? letter : "    ", r->name, r->value ? " " : "",
                 r->value ? r->value : "");
        fprintf(to, "  %-24s ", left);
        print_wrapped(to, r->help, 27, 27);
    }
    fprintf(to, "\n%s", exit_codes);
}

void options_help_all(FILE *to)
{
    fprintf(to,
            "pumice %s: language models in GGUF files on any Vulkan device, or on the processor\n\n"
            "usage: pumice [COMMAND] [options]      (without a command: chat; plain `pumice` with a display: window)\n\n",
            pumice_version());
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to,
            "\nWithout -m the built-in starter model is used, a toy. For real answers:\n"
            "  pumice -m Qwen3-4B-Instruct-2507-Q4_K_M.gguf\n\n"
            "pumice COMMAND --help lists the options of a command. --version prints the version.\n\n%s",
            exit_codes);
}
