/* pool: persistent threads that share one loop. The caller works too. A worker spins for about 0.1 ms before it sleeps:
 * the next loop of a forward pass follows within microseconds, and to be woken takes as long as a whole loop. */
#include "cpu.h"
#include "platform.h"

#include <stdatomic.h>

enum { SPINS = 3000 };

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

struct pool_thread {
    struct pool *pool;
    struct platform_thread *thread;
    uint32_t i;
};

struct pool {
    uint32_t n_threads; /* with the caller */
    struct pool_thread *threads;
    struct platform_mutex *mutex;
    struct platform_cond *go, *done;
    atomic_uint round;   /* a new one starts a loop */
    atomic_uint working; /* workers that have not finished this round */
    atomic_bool quit;
    atomic_uint_least64_t next;
    uint64_t n, grain;
    void (*run)(void *user, uint32_t thread, uint64_t begin, uint64_t end);
    void *user;
};

static void work(struct pool *p, uint32_t thread)
{
    for (;;) {
        const uint64_t begin = atomic_fetch_add(&p->next, p->grain);
        if (begin >= p->n) return;
        p->run(p->user, thread, begin, MIN(begin + p->grain, p->n));
    }
}

static void worker(void *user)
{
    struct pool_thread *t = user;
    struct pool *p = t->pool;
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&p->round) == seen; i++) relax();
        if (atomic_load(&p->round) == seen) {
            platform_mutex_lock(p->mutex);
            while (atomic_load(&p->round) == seen) platform_cond_wait(p->go, p->mutex);
            platform_mutex_unlock(p->mutex);
        }
        seen++;
        if (atomic_load(&p->quit)) return;
        work(p, t->i);
        if (atomic_fetch_sub(&p->working, 1) == 1) {
            platform_mutex_lock(p->mutex);
            platform_cond_broadcast(p->done);
            platform_mutex_unlock(p->mutex);
        }
    }
}

static void start_round(struct pool *p)
{
    platform_mutex_lock(p->mutex);
    atomic_fetch_add(&p->round, 1);
    platform_cond_broadcast(p->go);
    platform_mutex_unlock(p->mutex);
}

void pool_run(struct pool *p, uint64_t n, uint64_t grain,
              void (*run)(void *user, uint32_t thread, uint64_t begin, uint64_t end), void *user)
{
    if (p->n_threads == 1 || n <= grain) {
        for (uint64_t i = 0; i < n; i += grain) run(user, 0, i, MIN(i + grain, n));
        return;
    }
    p->n = n;
    p->grain = grain;
    p->run = run;
    p->user = user;
    atomic_store(&p->next, 0);
    atomic_store(&p->working, p->n_threads - 1);
    start_round(p);
    work(p, 0);
    for (int i = 0; i < SPINS && atomic_load(&p->working); i++) relax();
    if (!atomic_load(&p->working)) return;
    platform_mutex_lock(p->mutex);
    while (atomic_load(&p->working)) platform_cond_wait(p->done, p->mutex);
    platform_mutex_unlock(p->mutex);
}

uint32_t pool_size(const struct pool *p) { return p->n_threads; }

enum pumice_status pool_create(uint32_t n_threads, struct pool **out)
{
    enum pumice_status st = PUMICE_OK;
    if (n_threads == 0) n_threads = platform_cpu_count();
    n_threads = MIN(n_threads, (uint32_t)CPU_MAX_THREADS);
    *out = NULL;
    struct pool *p = mem_calloc(1, sizeof *p);
    if (!p) return err_memory("the thread pool", sizeof *p);
    p->n_threads = 1;
    TRY(platform_mutex_create(&p->mutex));
    TRY(platform_cond_create(&p->go));
    TRY(platform_cond_create(&p->done));
    p->threads = mem_calloc(n_threads, sizeof *p->threads);
    if (!p->threads) TRY(err_memory("the thread pool", n_threads * sizeof *p->threads));
    for (uint32_t i = 1; i < n_threads; i++) {
        struct pool_thread *t = &p->threads[i];
        *t = (struct pool_thread){.pool = p, .i = i};
        TRY(platform_thread_create(worker, t, &t->thread));
        p->n_threads++;
    }
    *out = p;
    return PUMICE_OK;
fail:
    pool_destroy(p);
    return st;
}

void pool_destroy(struct pool *p)
{
    if (!p) return;
    if (p->n_threads > 1) {
        atomic_store(&p->quit, true);
        start_round(p);
    }
    for (uint32_t i = 1; i < p->n_threads; i++) platform_thread_join(p->threads[i].thread);
    mem_free(p->threads);
    platform_cond_destroy(p->done);
    platform_cond_destroy(p->go);
    platform_mutex_destroy(p->mutex);
    mem_free(p);
}
