/* platform: see platform.h. The POSIX twin. */
#define _GNU_SOURCE
#include "platform.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- files -------------------------------------------------------------------------------------- */

static enum pumice_status open_regular(const char *path, int flags, int *fd, uint64_t *bytes)
{
    struct stat s;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags); /* a pipe must not make us wait; files ignore it */
    if (*fd < 0 && (flags & O_NOFOLLOW) && errno == ELOOP)
        return err_set(PUMICE_IO, "%s is a symbolic link, which is not followed here; put the file itself there", path);
    if (*fd < 0) return err_set(PUMICE_IO, "cannot open %s: %s; check the path", path, strerror(errno));
    enum pumice_status st = PUMICE_OK;
    if (fstat(*fd, &s) != 0) st = err_set(PUMICE_IO, "cannot read %s: %s", path, strerror(errno));
    else if (S_ISDIR(s.st_mode)) st = err_set(PUMICE_FORMAT, "%s is a directory; name the file inside it", path);
    else if (!S_ISREG(s.st_mode)) st = err_set(PUMICE_FORMAT, "%s is not a regular file", path);
    else if (s.st_size == 0) st = err_set(PUMICE_FORMAT, "%s is empty; get it again, or remove it", path);
    else *bytes = (uint64_t)s.st_size;
    if (st != PUMICE_OK) {
        close(*fd);
        *fd = -1;
    }
    return st;
}

enum pumice_status platform_map(const char *path, struct mapping *out)
{
    enum pumice_status st = PUMICE_OK;
    int fd = -1;
    size_t bytes = 0;
    memset(out, 0, sizeof *out);
    TRY(open_regular(path, 0, &fd, &out->bytes));
    if (!size_of_u64(out->bytes, &bytes)) {
        st = err_set(PUMICE_UNSUPPORTED, "%s is too large for this machine's address space", path);
        goto fail;
    }
    void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        st = err_set(PUMICE_IO, "cannot map %s: %s", path, strerror(errno));
        goto fail;
    }
    out->data = p;
    close(fd); /* the mapping keeps the file open */
    return PUMICE_OK;
fail:
    if (fd >= 0) close(fd);
    memset(out, 0, sizeof *out);
    return st;
}

void platform_unmap(struct mapping *m)
{
    if (!m || !m->data) return;
    munmap((void *)(uintptr_t)m->data, (size_t)m->bytes);
    memset(m, 0, sizeof *m);
}

static void advise(const struct mapping *m, uint64_t offset, uint64_t bytes, int advice)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (!m || !m->data || offset >= m->bytes) return;
    const uint64_t begin = offset / page * page, end = MIN(m->bytes, offset + bytes);
    (void)madvise((void *)(uintptr_t)(m->data + begin), (size_t)(end - begin), advice); /* only a hint */
}

void platform_map_want(const struct mapping *m, uint64_t offset, uint64_t bytes) { advise(m, offset, bytes, MADV_WILLNEED); }
void platform_map_drop(const struct mapping *m, uint64_t offset, uint64_t bytes) { advise(m, offset, bytes, MADV_DONTNEED); }

void platform_large_pages(void *data, uint64_t bytes)
{
    const uintptr_t size = (uintptr_t)2 << 20, begin = ((uintptr_t)data + size - 1) / size * size;
    const uintptr_t end = ((uintptr_t)data + (uintptr_t)bytes) / size * size;
#ifdef MADV_HUGEPAGE
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
}

static enum pumice_status read_file(const char *path, int flags, uint64_t max_bytes, char **data, size_t *bytes)
{
    enum pumice_status st = PUMICE_OK;
    int fd = -1;
    uint64_t size = 0;
    *data = NULL;
    *bytes = 0;
    TRY(open_regular(path, flags, &fd, &size));
    if (size > max_bytes) {
        st = err_set(PUMICE_FORMAT, "%s is larger than %llu bytes: not a file of this kind", path, (unsigned long long)max_bytes);
        goto fail;
    }
    *data = mem_alloc((size_t)size + 1);
    if (!*data) {
        st = err_memory(path, size);
        goto fail;
    }
    while (*bytes < size) {
        const ssize_t n = read(fd, *data + *bytes, (size_t)size - *bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            st = err_set(PUMICE_IO, "cannot read %s: %s", path, n < 0 ? strerror(errno) : "it became shorter");
            goto fail;
        }
        *bytes += (size_t)n;
    }
    (*data)[*bytes] = '\0';
    close(fd);
    return PUMICE_OK;
fail:
    if (fd >= 0) close(fd);
    mem_free(*data);
    *data = NULL;
    *bytes = 0;
    return st;
}

enum pumice_status platform_read(const char *path, uint64_t max_bytes, char **data, size_t *bytes)
{
    return read_file(path, 0, max_bytes, data, bytes);
}

enum pumice_status platform_read_own(const char *path, uint64_t max_bytes, char **data, size_t *bytes)
{
    return read_file(path, O_NOFOLLOW, max_bytes, data, bytes);
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes) {
        const ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

struct platform_writer {
    int fd;
    char *path, *temporary;
};

static void writer_free(struct platform_writer *w)
{
    mem_free(w->path);
    mem_free(w->temporary);
    mem_free(w);
}

static enum pumice_status err_write(const char *path, int why)
{
    return err_set(PUMICE_IO, "cannot write %s: %s; %s", path, strerror(why),
                   why == ENOSPC || why == EDQUOT || why == EFBIG ? "free some space or choose another disk"
                                                                  : "choose another place");
}

static enum pumice_status writer_create(const char *path, mode_t mode, struct platform_writer **out)
{
    enum { TRIES = 100 };
    const size_t n = strlen(path) + 32;
    struct platform_writer *w = mem_calloc(1, sizeof *w);
    *out = NULL;
    if (!w) return err_memory("a file writer", sizeof *w);
    w->fd = -1;
    w->path = mem_strdup(path);
    w->temporary = mem_alloc(n);
    if (!w->path || !w->temporary) {
        writer_free(w);
        return err_memory("a file name", n);
    }
    for (int i = 0; i < TRIES && w->fd < 0; i++) {
        snprintf(w->temporary, n, "%s.%ld-%d.part", path, (long)getpid(), i);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (w->fd < 0 && errno != EEXIST) break;
    }
    if (w->fd < 0) {
        const enum pumice_status st = err_write(path, errno);
        writer_free(w);
        return st;
    }
    *out = w;
    return PUMICE_OK;
}

enum pumice_status platform_writer_create(const char *path, struct platform_writer **out)
{
    return writer_create(path, 0666, out);
}

enum pumice_status platform_writer_put(struct platform_writer *w, const void *data, size_t bytes)
{
    return write_all(w->fd, data, bytes) ? PUMICE_OK : err_write(w->path, errno);
}

static void sync_directory_of(const char *path)
{
    char *directory = mem_strdup(path);
    if (!directory) return;
    char *slash = strrchr(directory, '/');
    if (slash) slash[slash == directory] = '\0';
    const int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems cannot; the rename is done all the same */
        close(fd);
    }
    mem_free(directory);
}

enum pumice_status platform_writer_commit(struct platform_writer *w)
{
    int why = fsync(w->fd) == 0 ? 0 : errno;
    if (close(w->fd) != 0 && !why) why = errno;
    w->fd = -1;
    if (!why && rename(w->temporary, w->path) != 0) why = errno;
    if (why) {
        const enum pumice_status st = err_write(w->path, why);
        platform_writer_abort(w);
        return st;
    }
    sync_directory_of(w->path);
    writer_free(w);
    return PUMICE_OK;
}

void platform_writer_abort(struct platform_writer *w)
{
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    unlink(w->temporary);
    writer_free(w);
}

enum pumice_status platform_write_atomic(const char *path, const void *data, size_t bytes)
{
    struct platform_writer *w = NULL;
    enum pumice_status st;
    TRY(writer_create(path, 0600, &w));
    (void)fchmod(w->fd, 0600); /* a umask can only have taken from it */
    TRY(platform_writer_put(w, data, bytes));
    return platform_writer_commit(w);
fail:
    platform_writer_abort(w);
    return st;
}

bool platform_exists(const char *path) { return access(path, F_OK) == 0; }

enum pumice_status platform_remove(const char *path)
{
    if (unlink(path) == 0 || errno == ENOENT) return PUMICE_OK;
    return err_set(PUMICE_IO, "cannot remove %s: %s; remove it yourself", path, strerror(errno));
}

struct platform_lock {
    int fd;
    char *path;
};

static void lock_free(struct platform_lock *lock)
{
    if (lock->fd >= 0) close(lock->fd);
    mem_free(lock->path);
    mem_free(lock);
}

/* Whether the locked file is still the one at its path: who had the lock before may have removed it. */
static bool is_at(int fd, const char *path)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

/* One attempt; *again: another one may succeed. */
static enum pumice_status lock_try(struct platform_lock *lock, long *holder, bool *again)
{
    char text[24] = "";
    *again = false;
    *holder = -1;
    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (lock->fd < 0) return err_write(lock->path, errno);
    (void)fchmod(lock->fd, 0600);
    if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        const int why = errno;
        if (why == EWOULDBLOCK) {
            const ssize_t n = pread(lock->fd, text, sizeof text - 1, 0);
            *holder = n > 0 ? MAX(strtol(text, NULL, 10), 0L) : 0;
            *again = true;
            return err_set(PUMICE_IO, "%s is locked by another program (process %ld); close it there", lock->path, *holder);
        }
        if (why != ENOLCK && why != EOPNOTSUPP && why != ENOSYS) return err_write(lock->path, why);
        log_line(PUMICE_LOG_WARN, "%s: this file system knows no locks; going on without", lock->path);
    } else if (!is_at(lock->fd, lock->path)) {
        *again = true;
        return err_set(PUMICE_IO, "%s: another program opens and closes it all the time; try again", lock->path);
    }
    snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(lock->fd, 0) == 0) (void)!write(lock->fd, text, strlen(text)); /* only says who has it */
    return PUMICE_OK;
}

enum pumice_status platform_lock_take(const char *path, uint32_t wait_ms, struct platform_lock **out, long *holder)
{
    enum { PAUSE_MS = 5 };
    const struct timespec pause = {0, PAUSE_MS * 1000000L};
    struct platform_lock *lock = mem_calloc(1, sizeof *lock);
    enum pumice_status st = PUMICE_OK;
    *out = NULL;
    *holder = -1;
    if (!lock) return err_memory("a lock", sizeof *lock);
    lock->fd = -1;
    lock->path = mem_strdup(path);
    if (!lock->path) st = err_memory("a lock", strlen(path));
    for (uint32_t waited = 0; lock->path; waited += PAUSE_MS) {
        bool again;
        st = lock_try(lock, holder, &again);
        if (st == PUMICE_OK || !again || waited >= wait_ms) break;
        close(lock->fd);
        lock->fd = -1;
        (void)nanosleep(&pause, NULL);
    }
    if (st != PUMICE_OK) lock_free(lock);
    else *out = lock;
    return st;
}

void platform_lock_give(struct platform_lock *lock)
{
    if (!lock) return;
    if (is_at(lock->fd, lock->path)) unlink(lock->path); /* before the lock ends: then it is another's */
    lock_free(lock);
}

/* --- directories -------------------------------------------------------------------------------- */

/* Makes the parts of `path` that are missing; puts it back as it was. */
static enum pumice_status make_directories(char *path)
{
    struct stat s;
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/') continue;
        const char was = *p;
        *p = '\0';
        if (mkdir(path, 0700) == 0) (void)chmod(path, 0700); /* a umask can only have taken from it */
        else if (errno != EEXIST || stat(path, &s) != 0 || !S_ISDIR(s.st_mode)) {
            const enum pumice_status st = err_set(PUMICE_IO, "cannot make the directory %s: %s", path,
                                                  errno == EEXIST ? "there is a file of that name" : strerror(errno));
            *p = was;
            return st;
        }
        *p = was;
        if (!was) return PUMICE_OK;
    }
}

enum pumice_status platform_make_dir(const char *path)
{
    char *copy = mem_strdup(path);
    if (!copy) return err_memory("a directory's name", strlen(path));
    const enum pumice_status st = make_directories(copy);
    mem_free(copy);
    return st;
}

enum pumice_status platform_list_dir(const char *path, struct arena *arena, const char ***names, size_t *n)
{
    size_t capacity = 0;
    const struct dirent *entry;
    enum pumice_status st = PUMICE_OK;
    *names = NULL;
    *n = 0;
    DIR *dir = opendir(path);
    if (!dir) return err_set(PUMICE_IO, "cannot read the directory %s: %s; check the path", path, strerror(errno));
    for (errno = 0; st == PUMICE_OK && (entry = readdir(dir)) != NULL; errno = 0) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (*n == capacity) {
            const char **more = arena_alloc(arena, capacity = MAX(capacity * 2, (size_t)64), sizeof *more);
            if (more && *n) memcpy(more, *names, *n * sizeof *more);
            *names = more;
        }
        char *copy = *names ? arena_strndup(arena, name, strlen(name)) : NULL;
        if (copy) (*names)[(*n)++] = copy;
        else st = err_memory("a directory", capacity * sizeof **names);
    }
    if (st == PUMICE_OK && errno != 0) st = err_set(PUMICE_IO, "cannot read the directory %s: %s", path, strerror(errno));
    closedir(dir);
    return st;
}

enum pumice_status platform_dir(enum platform_dir which, char *out, size_t out_bytes)
{
    static const char *const variables[] = {"XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"};
    static const char *const defaults[] = {".cache", ".local/share", ".config"};
    const char *base = getenv(variables[which]), *home = getenv("HOME");
    int n = -1;
    if (base && base[0] == '/') n = snprintf(out, out_bytes, "%s/pumice", base);
    else if (home && home[0] == '/') n = snprintf(out, out_bytes, "%s/%s/pumice", home, defaults[which]);
    else return err_set(PUMICE_IO, "neither %s nor HOME is set to an absolute path; set one", variables[which]);
    if (n < 0 || (size_t)n >= out_bytes) return err_set(PUMICE_IO, "the path of %s is too long", variables[which]);
    return make_directories(out);
}

/* --- threads and clock ---------------------------------------------------------------------------- */

struct platform_thread {
    pthread_t handle;
    void (*run)(void *);
    void *user;
};
struct platform_mutex {
    pthread_mutex_t handle;
};
struct platform_cond {
    pthread_cond_t handle;
};

static void *thread_main(void *p)
{
    struct platform_thread *t = p;
    t->run(t->user);
    return NULL;
}

enum pumice_status platform_thread_create(void (*run)(void *), void *user, struct platform_thread **out)
{
    struct platform_thread *t = mem_alloc(sizeof *t);
    *out = NULL;
    if (!t) return err_memory("a thread", sizeof *t);
    t->run = run;
    t->user = user;
    const int why = pthread_create(&t->handle, NULL, thread_main, t);
    if (why != 0) {
        mem_free(t);
        return err_set(PUMICE_MEMORY, "cannot start a thread: %s", strerror(why));
    }
    *out = t;
    return PUMICE_OK;
}

void platform_thread_join(struct platform_thread *t)
{
    if (!t) return;
    pthread_join(t->handle, NULL);
    mem_free(t);
}

enum pumice_status platform_mutex_create(struct platform_mutex **out)
{
    struct platform_mutex *m = mem_alloc(sizeof *m);
    *out = m;
    if (!m) return err_memory("a mutex", sizeof *m);
    pthread_mutex_init(&m->handle, NULL);
    return PUMICE_OK;
}

void platform_mutex_destroy(struct platform_mutex *m)
{
    if (!m) return;
    pthread_mutex_destroy(&m->handle);
    mem_free(m);
}

void platform_mutex_lock(struct platform_mutex *m) { pthread_mutex_lock(&m->handle); }
void platform_mutex_unlock(struct platform_mutex *m) { pthread_mutex_unlock(&m->handle); }

enum pumice_status platform_cond_create(struct platform_cond **out)
{
    struct platform_cond *c = mem_alloc(sizeof *c);
    *out = c;
    if (!c) return err_memory("a condition", sizeof *c);
    pthread_cond_init(&c->handle, NULL);
    return PUMICE_OK;
}

void platform_cond_destroy(struct platform_cond *c)
{
    if (!c) return;
    pthread_cond_destroy(&c->handle);
    mem_free(c);
}

void platform_cond_wait(struct platform_cond *c, struct platform_mutex *m) { pthread_cond_wait(&c->handle, &m->handle); }
void platform_cond_broadcast(struct platform_cond *c) { pthread_cond_broadcast(&c->handle); }

uint32_t platform_cpu_count(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (uint32_t)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

uint64_t platform_memory_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

uint64_t platform_memory_available(void)
{
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "r"); /* Linux; elsewhere it is not there */
    char line[128];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (f) fclose(f);
    return kib ? (uint64_t)kib * 1024 : platform_memory_bytes();
}

uint64_t platform_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t platform_random(void)
{
    static _Thread_local uint64_t n_calls;
    uint64_t x = 0;
    if (getentropy(&x, sizeof x) != 0) { /* a very old kernel */
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        x = mix_u64((uint64_t)t.tv_sec << 30 ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 44) + mix_u64(++n_calls);
    }
    return x;
}

/* --- shared libraries ----------------------------------------------------------------------------- */

void *platform_library_open(const char *name, char *why, size_t why_bytes)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library && why) {
        const char *text = dlerror();
        snprintf(why, why_bytes, "%s", text ? text : "unknown reason");
    }
    return library;
}

void *platform_library_symbol(void *library, const char *name) { return dlsym(library, name); }

void platform_library_close(void *library)
{
    if (library) dlclose(library);
}
