/* tool: what the subcommands of pumice-gguf share: command-line options, output, and building a GGUF file. */
#ifndef PUMICE_TOOL_H
#define PUMICE_TOOL_H

#include <stdio.h>

#include "gguf.h"
#include "platform.h"

enum { TOOL_OK = 0, TOOL_FAILURE = 1, TOOL_USAGE = 2 };

int command_info(int argc, char **argv); /* argv[0] is the subcommand's name */
int command_check(int argc, char **argv);
int command_make(int argc, char **argv);

/* --- options ------------------------------------------------------------------------------------ */

/* One option: where its value goes says its kind. `flag` takes none. */
struct option {
    const char *name; /* "--seed", "-o" */
    const char **text;
    uint64_t *number;
    bool *flag;
    uint64_t least, most; /* of a number */
};
/* Reads argv[1..]; at most n_files words that are no options go to files[]. Prints the usage error itself. `--help`
 * and -h print `help` and set *done. Returns TOOL_OK or TOOL_USAGE. */
int options_read(int argc, char **argv, const struct option *options, size_t n_options, const char **files,
                 size_t n_files, const char *help, bool *done);
/* `pumice-gguf: TEXT` on stderr; returns the exit code. */
int fail(void);                                               /* the last error's text */
int usage(const char *format, ...) PRINTF_LIKE(1, 2);         /* TOOL_USAGE */
int finish_stdout(int code);                                  /* a full disk or closed pipe is a failure too */

/* "1.23 GB", "4.02 G": decimal, three digits. */
const char *human_bytes(uint64_t bytes, char *out, size_t out_bytes);
const char *human_count(uint64_t n, char *out, size_t out_bytes);
#define HUMAN_BYTES(v) human_bytes((v), (char[32]){0}, 32)
#define HUMAN_COUNT(v) human_count((v), (char[32]){0}, 32)

const char *value_type_name(enum gguf_value_type type);

/* --- a vocabulary (vocab.c) --------------------------------------------------------------------- */

enum token_type {
    TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_USER_DEFINED = 4, TOKEN_UNUSED = 5, TOKEN_BYTE = 6
};

struct vocab {
    size_t n, n_merges;
    const char **tokens; /* [n] */
    int32_t *types;      /* [n] */
    const char **merges; /* [n_merges] "left right" */
    float *scores;       /* [n] of SentencePiece's kind, else NULL */
    int64_t eos, bos;    /* -1: none */
    struct arena arena;
};
/* From a Hugging Face tokenizer.json (path NULL: made up, 256 bytes and special tokens; spm: of SentencePiece's kind, with
 * letters and a few pieces), padded with unused entries to n_vocab (0: the file's own size, or 512). Fails FORMAT, ARGUMENT
 * when n_vocab is too small. */
enum pumice_status vocab_open(const char *path, uint64_t n_vocab, bool spm, struct vocab *out);
void vocab_close(struct vocab *v);

/* --- a GGUF file's bytes (build.c) -------------------------------------------------------------- */

/* Grows; once an allocation has failed everything is dropped and `failed` stays set. */
struct bytes {
    uint8_t *data;
    size_t n, capacity;
    bool failed;
};
void bytes_put(struct bytes *b, const void *data, size_t n);
void bytes_u32(struct bytes *b, uint32_t v);
void bytes_u64(struct bytes *b, uint64_t v);
void bytes_str(struct bytes *b, const char *s);
void bytes_fini(struct bytes *b);
/* One metadata entry. */
void key_str(struct bytes *b, const char *key, const char *v);
void key_u32(struct bytes *b, const char *key, uint32_t v);
void key_f32(struct bytes *b, const char *key, float v);
void key_bool(struct bytes *b, const char *key, bool v);
void key_strs(struct bytes *b, const char *key, const char *const *v, size_t n);
void key_i32s(struct bytes *b, const char *key, const int32_t *v, size_t n);
void key_f32s(struct bytes *b, const char *key, const float *v, size_t n);

/* --- random weights (weights.c) ----------------------------------------------------------------- */

struct weights {
    char name[GGUF_MAX_NAME + 1];
    uint32_t type;
    uint64_t n, k;      /* rows, row length; a vector has n = 1 */
    bool is_vector;     /* one dimension in the directory */
    float mean, sigma;
    bool random_sign;   /* half of them negated */
    uint64_t bytes, offset; /* offset within the data section */
};
/* Rows [first, first + n_rows) into out; the same bytes for the same (seed, name) however the rows are divided. */
void weights_fill(const struct weights *w, uint64_t seed, uint64_t first, uint64_t n_rows, float *row, uint8_t *out);

#endif
