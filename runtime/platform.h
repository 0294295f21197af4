/* platform: all that the operating system gives: mapped files, whole files, threads, clock, directories,
 * shared libraries. The only module of runtime/ that includes operating-system headers; a Windows twin
 * implements the same header. Paths are UTF-8. */
#ifndef PUMICE_PLATFORM_H
#define PUMICE_PLATFORM_H

#include "base.h"

/* --- files -------------------------------------------------------------------------------------- */

/* A whole file mapped read-only. Pages are read when touched. */
struct mapping {
    const uint8_t *data;
    uint64_t bytes;
    void *handle; /* the platform's own */
};
/* Fails IO with the path and the system's reason, FORMAT for a directory or an empty file. */
enum pumice_status platform_map(const char *path, struct mapping *out);
void platform_unmap(struct mapping *m); /* NULL or zeroed is fine */
/* Hints: the range will be read soon / is no longer needed (its pages may be dropped from memory). */
void platform_map_want(const struct mapping *m, uint64_t offset, uint64_t bytes);
void platform_map_drop(const struct mapping *m, uint64_t offset, uint64_t bytes);

/* Hint: whole large pages inside the range, which is not written yet, may come as such. */
void platform_large_pages(void *data, uint64_t bytes);

/* Reads a whole file into mem_alloc'ed memory with one NUL byte after it; refuses more than max_bytes. */
enum pumice_status platform_read(const char *path, uint64_t max_bytes, char **data, size_t *bytes);
/* The same for a file that this program wrote: a symbolic link in its place is not followed, but IO. */
enum pumice_status platform_read_own(const char *path, uint64_t max_bytes, char **data, size_t *bytes);
/* Writes a temporary file in the same directory (`path`.<process>-<number>.part, mode 0600 whatever the umask, never one
 * that is there already), fsyncs and renames it over `path`: afterwards `path` holds the old or the new bytes, never a
 * part. Only a program that is killed leaves the temporary file behind. */
enum pumice_status platform_write_atomic(const char *path, const void *data, size_t bytes);

/* The same for what is too large to hold in memory: bytes are put one after the other into a temporary file beside
 * `path`, and commit renames it. Mode 0666 less the umask. put and commit fail IO (a full disk says so); after a
 * failure, abort. Both commit and abort free the writer, whatever they return; abort(NULL) is fine. */
struct platform_writer;
enum pumice_status platform_writer_create(const char *path, struct platform_writer **out);
enum pumice_status platform_writer_put(struct platform_writer *w, const void *data, size_t bytes);
enum pumice_status platform_writer_commit(struct platform_writer *w);
void platform_writer_abort(struct platform_writer *w); /* removes the part */

bool platform_exists(const char *path);
enum pumice_status platform_remove(const char *path); /* a file; one that is not there is fine. Fails IO */

/* An advisory lock between processes on a file of its own, which is made (0600) and removed with the lock. It ends with
 * its process at the latest. Tries again for wait_ms: others may hold it for a moment. Fails IO; *holder is then the id of the process that has the lock (0: it did not say which
 * it is), and otherwise -1. Where the file system knows no locks it succeeds without any, and logs that. */
struct platform_lock;
enum pumice_status platform_lock_take(const char *path, uint32_t wait_ms, struct platform_lock **out, long *holder);
void platform_lock_give(struct platform_lock *lock); /* NULL is fine */

/* --- directories -------------------------------------------------------------------------------- */

enum platform_dir { PLATFORM_CACHE, PLATFORM_DATA, PLATFORM_CONFIG };
/* `<dir>/pumice` by the XDG rules (XDG_CACHE_HOME ... else ~/.cache ...), created with mode 0700 on demand.
 * `out` receives the path without a trailing slash. Fails IO when it cannot be made. */
enum pumice_status platform_dir(enum platform_dir which, char *out, size_t out_bytes);
/* Makes the directory, and those above it, with mode 0700 whatever the umask. One that is there is fine. Fails IO. */
enum pumice_status platform_make_dir(const char *path);
/* The names of what is in a directory, in no order, without "." and "..". Fails IO, MEMORY. */
enum pumice_status platform_list_dir(const char *path, struct arena *arena, const char ***names, size_t *n);

/* --- threads and clock ---------------------------------------------------------------------------- */

struct platform_thread;
struct platform_mutex;
struct platform_cond;
enum pumice_status platform_thread_create(void (*run)(void *), void *user, struct platform_thread **out);
void platform_thread_join(struct platform_thread *t); /* waits and frees; NULL is fine */
enum pumice_status platform_mutex_create(struct platform_mutex **out);
void platform_mutex_destroy(struct platform_mutex *m);
void platform_mutex_lock(struct platform_mutex *m);
void platform_mutex_unlock(struct platform_mutex *m);
enum pumice_status platform_cond_create(struct platform_cond **out);
void platform_cond_destroy(struct platform_cond *c);
void platform_cond_wait(struct platform_cond *c, struct platform_mutex *m);
void platform_cond_broadcast(struct platform_cond *c);
uint32_t platform_cpu_count(void); /* processors this process may use, at least 1 */
uint64_t platform_memory_bytes(void); /* physical memory, 0 if unknown */
uint64_t platform_memory_available(void); /* what can be had without pushing others out; physical memory if unknown */

uint64_t platform_now_ns(void); /* monotonic */
uint64_t platform_random(void); /* from the system's source */

/* --- shared libraries ----------------------------------------------------------------------------- */

/* NULL when it cannot be loaded; `why` (if not NULL) then gets the system's reason. */
void *platform_library_open(const char *name, char *why, size_t why_bytes);
void *platform_library_symbol(void *library, const char *name);
void platform_library_close(void *library);

#endif
