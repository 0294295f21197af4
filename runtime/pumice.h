/* pumice: run GGUF language models on any Vulkan device, or on the processor.
 *
 *     struct pumice_model *model;  struct pumice_engine *engine;  struct pumice_session *session;
 *     if (pumice_model_open("model.gguf", &model) != PUMICE_OK ||
 *         pumice_engine_open(model, NULL, &engine) != PUMICE_OK ||
 *         pumice_session_open(engine, NULL, &session) != PUMICE_OK ||
 *         pumice_session_sync(session, prompt, n_prompt, NULL) != PUMICE_OK)
 *         fprintf(stderr, "%s\n", pumice_error());
 *     struct pumice_generate_params p = {.sampling = pumice_model_sampling(model), .max_tokens = 100, ...};
 *     pumice_session_generate(session, &p, &result);
 *
 * A model is an opened file (metadata and tensor directory, mapped). An engine is a model on a device. A
 * session is one timeline: its tokens and their KV cache. Text <-> tokens is the tokenizer's work, not ours.
 * Close in reverse order of opening. Every *_close(NULL) is fine.
 *
 * Threads: one engine and its sessions belong to one thread at a time; pumice_session_cancel may be called
 * from any thread. Models are read-only and may be shared. */
#ifndef PUMICE_H
#define PUMICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- status --------------------------------------------------------------------------------------- */

enum pumice_status {
    PUMICE_OK = 0,
    PUMICE_ARGUMENT,    /* the caller asked for something that makes no sense */
    PUMICE_IO,          /* the operating system refused a file */
    PUMICE_FORMAT,      /* a file is malformed or of another kind */
    PUMICE_UNSUPPORTED, /* well-formed, but pumice or the device cannot do it */
    PUMICE_MEMORY,      /* host or device memory ran out */
    PUMICE_DEVICE,      /* the device failed or was lost */
    PUMICE_CONTEXT,     /* the context is full */
    PUMICE_CANCELLED    /* pumice_session_cancel, or a callback said stop */
};
const char *pumice_status_name(enum pumice_status status); /* "ok", "io", "format", ... */

/* The text of the last failure in the calling thread: what is wrong and what can be done. Never NULL. */
const char *pumice_error(void);

const char *pumice_version(void); /* "0.1.0" */

enum pumice_log_level { PUMICE_LOG_ERROR, PUMICE_LOG_WARN, PUMICE_LOG_INFO, PUMICE_LOG_DEBUG };
/* Lines without newline; NULL (the default) drops them. The callback may be called from any thread. */
void pumice_log_to(void (*callback)(void *user, enum pumice_log_level level, const char *line), void *user);

/* --- models --------------------------------------------------------------------------------------- */

struct pumice_model;

/* Maps the file and checks header, metadata and tensor directory. Fails IO, FORMAT, UNSUPPORTED, MEMORY. */
enum pumice_status pumice_model_open(const char *path, struct pumice_model **out);
/* The same over bytes in memory, which must outlive the model. */
enum pumice_status pumice_model_open_memory(const void *data, size_t bytes, struct pumice_model **out);
void pumice_model_close(struct pumice_model *model);

struct pumice_sampling {
    float temperature; /* 0 = greedy, lowest id wins ties; then the rest is ignored */
    uint32_t top_k;    /* 0 = off */
    float top_p;       /* 1 = off */
    float min_p;       /* 0 = off */
    uint64_t seed;
};
/* The file's general.sampling.* where present, else Qwen3-2507's 0.7 / 20 / 0.8 / 0. seed = 0. */
struct pumice_sampling pumice_model_sampling(const struct pumice_model *model);

struct pumice_model_info {
    const char *name;         /* general.name, or "" */
    const char *architecture; /* "qwen3", "qwen2", "llama", or one that cannot run */
    const char *type;         /* the type most weights have: "Q4_K" */
    uint64_t n_params, file_bytes, weight_bytes;
    uint64_t token_bytes; /* of the weights that generating one token reads: without an embedding table of its own */
    uint32_t n_vocab, n_context, n_layers, n_embd;
};
void pumice_model_get_info(const struct pumice_model *model, struct pumice_model_info *out);

/* Metadata. Each returns false when the key is missing or of another type. Pointers live as long as the
 * model; strings need not end in NUL. Numbers of every width (and bool) convert. */
bool pumice_meta_string(const struct pumice_model *model, const char *key, const char **data, size_t *n);
bool pumice_meta_u64(const struct pumice_model *model, const char *key, uint64_t *out);
bool pumice_meta_f64(const struct pumice_model *model, const char *key, double *out);
bool pumice_meta_bool(const struct pumice_model *model, const char *key, bool *out);
bool pumice_meta_array(const struct pumice_model *model, const char *key, size_t *n); /* element count */
/* Fills strings[n] / lengths[n] (or values[n]) with the first n elements of an array. */
bool pumice_meta_array_strings(const struct pumice_model *model, const char *key, const char **strings,
                               size_t *lengths, size_t n);
bool pumice_meta_array_i64(const struct pumice_model *model, const char *key, int64_t *values, size_t n);
bool pumice_meta_array_f64(const struct pumice_model *model, const char *key, double *values, size_t n);

/* --- devices -------------------------------------------------------------------------------------- */

enum pumice_device_kind {
    PUMICE_DEVICE_DISCRETE,
    PUMICE_DEVICE_INTEGRATED,
    PUMICE_DEVICE_VIRTUAL,
    PUMICE_DEVICE_SOFTWARE, /* a Vulkan driver that runs on the processor */
    PUMICE_DEVICE_CPU       /* pumice's own processor back end, no Vulkan */
};
struct pumice_device_info {
    uint32_t index;       /* what --device takes */
    char name[256];
    char driver[256];     /* name and version */
    char uuid[33];        /* hex */
    enum pumice_device_kind kind;
    char api[32];         /* Vulkan version, "" for the CPU */
    uint64_t memory_bytes; /* device-local heap, or physical memory */
    uint64_t max_allocation_bytes, max_storage_range_bytes;
    uint32_t subgroup_size, shared_memory_bytes;
    char tuning[256];     /* numbers that the kernels use, built in or tuned; "" where there are none; from pumice_devices */
    bool usable, chosen;
    char reason[256];     /* why it was chosen, or not, or cannot be used */
    char features[128];   /* "16-bit floats, 8-bit dot products, cooperative matrices 16x16x16": what prefill may use; "": nothing */
};
/* Lists every device, best first, the CPU back end last. `wanted` as in pumice_engine_params.device. *n in:
 * capacity of out, out: number of devices. A missing Vulkan loader is not an error. */
enum pumice_status pumice_devices(const char *wanted, struct pumice_device_info *out, size_t *n);

/* --- engines -------------------------------------------------------------------------------------- */

struct pumice_engine;
/* What the keys and values of past tokens are rounded to. */
enum pumice_kv {
    PUMICE_KV_F16,
    PUMICE_KV_Q8_0 /* 8 bits and a scale for 32 elements: 17/32 of the memory; heads of a multiple of 32 elements only */
};
const char *pumice_kv_name(enum pumice_kv type); /* "f16", "q8_0"; NULL past the last */
struct pumice_engine_params {
    uint32_t n_ctx; /* what sessions will ask for, so that what cannot fit is refused before it is loaded; 0 = they choose */
    /* NULL or "auto": the best GPU that works and that the model fits, or the CPU where there is no such; without any GPU software
     * Vulkan, else the CPU. Otherwise an index, part of a name
     * (any case), a UUID, "cpu" (pumice's own back end), "reference" (the same in double precision, slow) or "software". */
    const char *device;
    bool validate; /* Vulkan validation layers on; their errors become PUMICE_DEVICE */
    bool perf;     /* collect time per op */
    bool trusted;  /* no self-test when device and driver are seen for the first time */
    bool no_tune;  /* nor is a GPU's choice of kernel numbers measured then */
    uint32_t n_threads; /* CPU back end; 0 = all processors */
    enum pumice_kv kv;  /* of the sessions' caches */
    /* stage "check" (only where device and driver are seen for the first time), then "load"; fraction 0..1; return false to
     * cancel. "tune" likewise, on GPUs. */
    bool (*progress)(void *user, const char *stage, float fraction);
    void *user;
};
/* Checks the model's shapes, opens the device and puts the weights there. NULL params: all defaults. The
 * model must outlive the engine. */
enum pumice_status pumice_engine_open(struct pumice_model *model, const struct pumice_engine_params *params,
                                      struct pumice_engine **out);
void pumice_engine_close(struct pumice_engine *engine);
struct pumice_engine_info {
    struct pumice_device_info device;
    uint64_t device_bytes; /* everything allocated on the device now */
    uint64_t load_ns;
    bool n_ctx_cut;        /* sessions that ask for no context get less than 8192 tokens for want of memory */
    char warning[512]; /* what the person should know about the device, or "" */
};
/* The plan before loading: what a model takes on a device, and what that has to give. */
struct pumice_fit {
    struct pumice_device_info device;
    uint64_t weight_bytes, kv_bytes, work_bytes; /* work: activations, staging, and what is kept free for the driver */
    uint64_t available_bytes;
    uint32_t n_ctx;   /* as asked for, or chosen */
    uint32_t max_ctx; /* the largest that fits; 0 = none */
    bool fits;
};
/* Of params, device, n_ctx and kv count. Opens the device, allocates nothing on it. Fails as pumice_engine_open does before it
 * loads; not fitting is no failure. */
enum pumice_status pumice_fit(struct pumice_model *model, const struct pumice_engine_params *params, struct pumice_fit *out);

void pumice_engine_get_info(const struct pumice_engine *engine, struct pumice_engine_info *out);

/* --- sessions ------------------------------------------------------------------------------------- */

struct pumice_session;
struct pumice_session_params {
    uint32_t n_ctx; /* capacity in tokens; 0 = 8192, or less, down to 2048, where the model or the device's memory says so */
};
enum pumice_status pumice_session_open(struct pumice_engine *engine, const struct pumice_session_params *params,
                                       struct pumice_session **out);
void pumice_session_close(struct pumice_session *session);
uint32_t pumice_session_capacity(const struct pumice_session *session);

/* The tokens whose KV is held, oldest first. */
const int32_t *pumice_session_tokens(const struct pumice_session *session, size_t *n);

/* progress of a sync: `done` of `total` new tokens; return false to stop (then CANCELLED). */
struct pumice_sync_callbacks {
    bool (*progress)(void *user, size_t done, size_t total);
    void *user;
};
/* Makes the timeline equal to tokens[n] (n >= 1): keeps the KV of the longest common prefix, computes the rest
 * in chunks, and leaves the logits of the last token ready. Fails ARGUMENT for an id outside the vocabulary,
 * CONTEXT when n exceeds the capacity (nothing changed), CANCELLED (what was done is kept), DEVICE. */
enum pumice_status pumice_session_sync(struct pumice_session *session, const int32_t *tokens, size_t n,
                                       const struct pumice_sync_callbacks *callbacks);
/* Forgets all but the first n tokens. The logits are then not ready until the next sync. */
enum pumice_status pumice_session_rewind(struct pumice_session *session, size_t n);
/* Logits [n_vocab] after the last token, f32; NULL when not ready. Valid until the next call that computes. */
const float *pumice_session_logits(const struct pumice_session *session);
/* Hash of the bits of the logits computed last: after generate those its last token was drawn from. 0 if none, within on_token,
 * and if a step was cancelled. */
uint64_t pumice_session_logits_hash(const struct pumice_session *session);

enum pumice_stop { PUMICE_STOP_EOS, PUMICE_STOP_LENGTH, PUMICE_STOP_CONTEXT, PUMICE_STOP_CANCELLED };
const char *pumice_stop_name(enum pumice_stop stop); /* "eos", "length", "context", "cancelled" */

struct pumice_generate_params {
    struct pumice_sampling sampling;
    uint32_t max_tokens;       /* 0 = as many as the context holds */
    const int32_t *stop_tokens; /* ends the answer; not passed to on_token; not appended to the timeline */
    size_t n_stop_tokens;
    /* Each new token; false stops; may be NULL. On a fast device several come at once, each 16 ms or so. It must not compute with
     * the same engine: the device may be at tokens that follow. */
    bool (*on_token)(void *user, int32_t token);
    void *user;
};
struct pumice_generate_result {
    enum pumice_stop stop;
    int32_t stop_token; /* the stop token for EOS, else -1 */
    uint32_t n_tokens;  /* passed to on_token */
    uint64_t elapsed_ns;
};
/* Continues the timeline from ready logits (sync first). Stopping by any of the four reasons is OK; failures are
 * DEVICE, MEMORY and ARGUMENT (logits not ready). Each token passed to on_token is in pumice_session_tokens
 * afterwards, except that the KV of the very last one may not be computed yet: sync takes care of it. */
enum pumice_status pumice_session_generate(struct pumice_session *session,
                                           const struct pumice_generate_params *params,
                                           struct pumice_generate_result *result);
/* Asks a running sync or generate to stop soon: within about 200 ms, also inside a step of the model. Thread-safe, also from a signal handler. Lasts until that call
 * returns; without one running it cancels the next. */
void pumice_session_cancel(struct pumice_session *session);

struct pumice_session_stats {
    uint64_t prefill_tokens, prefill_ns; /* of the last sync: tokens really computed */
    uint64_t decode_tokens, decode_ns;   /* of the last generate */
    uint64_t kv_bytes;
};
void pumice_session_get_stats(const struct pumice_session *session, struct pumice_session_stats *out);

/* Tokens and KV as bytes, to be restored into a session of the same model file and the same enum pumice_kv. *bytes in: capacity, out: needed;
 * data NULL only asks for the size. Restore checks everything and fails FORMAT, CONTEXT when it is too long for the session, DEVICE. */
enum pumice_status pumice_session_save(struct pumice_session *session, void *data, size_t *bytes);
enum pumice_status pumice_session_restore(struct pumice_session *session, const void *data, size_t bytes);

/* Picks a token from logits[n_vocab] as generate does. `draw` counts the draws of this answer (0, 1, ...): the
 * random number depends only on (seed, draw). scratch: n_vocab * 8 bytes. Pure. */
int32_t pumice_sample(const struct pumice_sampling *sampling, const float *logits, uint32_t n_vocab, uint64_t draw,
                      void *scratch);

/* --- measuring and checking ------------------------------------------------------------------------ */

struct pumice_perf_row {
    const char *op; /* "matmul", "attention", ... */
    uint64_t calls, ns, bytes; /* bytes read and written, computed from the shapes */
};
/* Sums since the engine was opened with .perf; *n in: capacity, out: rows. */
void pumice_engine_perf(const struct pumice_engine *engine, struct pumice_perf_row *rows, size_t *n);

/* A trace of the whole process: what the host and the device do when, on one time axis. Between start and write spans are
 * kept, half a million at most. Ops are among them for engines opened with .perf. Start fails MEMORY, ARGUMENT (already
 * started); write ends the trace, waits for no one, and fails IO with nothing left behind. The file is a Chrome trace (JSON). */
enum pumice_status pumice_trace_start(void);
uint64_t pumice_trace_begin(void); /* a span of the calling thread; 0 without a trace */
void pumice_trace_end(const char *name, uint64_t begin);
enum pumice_status pumice_trace_write(const char *path);

/* What a device can do at most, measured: bytes read and written by a copy; operations in f32, with pairs of halves, with dot
 * products of four 8-bit integers, with cooperative matrices of halves. 0 = the device has none, or (CPU) not measured. */
struct pumice_ceilings {
    struct pumice_device_info device; /* of which */
    double bytes_per_s, f32_flops_per_s, f16_flops_per_s, int8_ops_per_s, matrix_flops_per_s;
};
/* Takes about a second, and 100 to 300 MB of the device's memory. Fails as an engine does on opening, MEMORY, DEVICE. */
enum pumice_status pumice_measure_ceilings(const struct pumice_engine_params *params, struct pumice_ceilings *out);

struct pumice_kernel_row {
    char name[96];        /* "matmul Q4_K T=1 N=4096 K=2560" */
    const char *op, *type; /* static; type of the weight, or "" */
    uint32_t n_tokens, n_past;
    uint64_t bytes;       /* read and written, once */
    double flops;
    double median_ns, spread_ns; /* spread: half the distance between the quartiles */
    double share;         /* of the ceiling that binds: 1 = no faster is possible */
    const char *bound;    /* static: which one that is: "memory", "f32", "f16", "int8" or "matrix" */
    double nmse;          /* against the reference; NaN: wrong beyond measure */
};
/* Measures the device's ceilings, then every kernel at the shapes of `model`, or (NULL) of a name: "qwen3-4b",
 * "qwen3-0.6b" (NULL: the one that suits the device). Only rows whose name contains `only` (NULL = all). The ceilings are
 * there before the first report. Fails as an engine does on opening, ARGUMENT, MEMORY, DEVICE. */
enum pumice_status pumice_bench_kernels(const struct pumice_engine_params *params, struct pumice_model *model, const char *shapes,
                                        const char *only, void (*report)(void *user, const struct pumice_kernel_row *row),
                                        void *user, struct pumice_ceilings *ceilings);

/* One value tried for a number. */
struct pumice_tune_row {
    const char *knob; /* static */
    uint32_t value;
    double ns;        /* of the kernels whose speed it changes, at the model's shapes */
    bool chosen;
};
/* Measures which numbers (lanes, rows, ...) make the device's kernels fastest at the shapes of `model` (NULL: qwen3-4b's, or
 * 0.6b's on software devices) and keeps them for this device and driver; what is opened afterwards uses them. A value must
 * win by a twentieth. report: after each number's values are known, false cancels. Fails as an engine does on opening,
 * UNSUPPORTED (nothing to tune), IO, CANCELLED. */
enum pumice_status pumice_tune(const struct pumice_engine_params *params, struct pumice_model *model,
                               bool (*report)(void *user, const struct pumice_tune_row *row), void *user);

struct pumice_selftest_row {
    char name[96];     /* op, dims and types */
    bool ok;
    double nmse, max_abs, nmse_limit;
    char note[128];    /* what went wrong */
};
/* Runs every row of the kernel table whose name contains `only` (NULL = all) on a device against the reference.
 * Fails DEVICE/ARGUMENT if it cannot run; rows that are wrong are reported through the callback and counted. */
enum pumice_status pumice_selftest(const struct pumice_engine_params *params, const char *only, uint64_t seed,
                                   void (*report)(void *user, const struct pumice_selftest_row *row), void *user,
                                   size_t *n_rows, size_t *n_wrong);

#ifdef __cplusplus
}
#endif
#endif
