/*
 * Preloaded into the server by allocsweep.py: from main on it counts malloc, calloc and realloc
 * over all threads, the libraries' too, and from the N-th one on a given number of them return
 * NULL. What called the one that failed is written to the control page, a file that both sides map.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

enum { FRAMES = 24, NAME = 64 };

/* The order is known to allocsweep.py. */
struct control {
    _Atomic int64_t at, run, count, fired; /* at: 0 = nothing fails */
    struct {
        char object[NAME];
        int64_t offset;
    } frames[FRAMES]; /* of the first that failed since it was armed */
};

static struct control *control;
static atomic_bool counting;
static __thread bool inside;
static int (*own_main)(int, char **, char **);

/* Where it died, to the log. */
static void died(int sig)
{
    void *at[FRAMES];
    backtrace_symbols_fd(at, backtrace(at, FRAMES), 2);
    signal(sig, SIG_DFL);
    raise(sig);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("COVE_SHIM");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *first[1];
    backtrace(first, 1); /* loads what it needs now */
    if (fd < 0)
        return;
    signal(SIGSEGV, died);
    signal(SIGABRT, died);
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    control = at == MAP_FAILED ? NULL : at;
}

static void note(void)
{
    void *at[FRAMES + 2];
    int n = backtrace(at, FRAMES + 2);
    for (int i = 2; i < n; i++) {
        Dl_info info;
        if (!dladdr(at[i], &info) || !info.dli_fname)
            continue;
        const char *name = strrchr(info.dli_fname, '/');
        strncpy(control->frames[i - 2].object, name ? name + 1 : info.dli_fname, NAME - 1);
        control->frames[i - 2].offset = (char *)at[i] - (char *)info.dli_fbase;
    }
}

static bool fails(void)
{
    if (!control || inside || !atomic_load_explicit(&counting, memory_order_relaxed))
        return false;
    int64_t n = atomic_fetch_add(&control->count, 1) + 1, at = control->at;
    if (at == 0 || n < at || n >= at + control->run)
        return false;
    inside = true;
    if (atomic_fetch_add(&control->fired, 1) == 0)
        note();
    inside = false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
    return fails() ? NULL : __libc_calloc(n, each);
}

void *realloc(void *p, size_t n)
{
    return n && fails() ? NULL : __libc_realloc(p, n);
}

/* Libraries' constructors run before main: what they make of no memory is not Cove's to answer. */
static int counted_main(int argc, char **argv, char **env)
{
    atomic_store(&counting, true);
    return own_main(argc, argv, env);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack)
{
    int (*next)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                void (*)(void), void *) = dlsym(RTLD_NEXT, "__libc_start_main");
    own_main = main;
    return next(counted_main, argc, argv, init, fini, rtld_fini, stack);
}
