/* Short reads, short writes and EINTR end here. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void fd_done(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

bool fd_write_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

bool fd_pwrite_all(int fd, const void *p, size_t n, int64_t offset)
{
    const char *at = p;
    while (n) {
        ssize_t k = pwrite(fd, at, n, offset);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        at += k;
        n -= (size_t)k;
        offset += k;
    }
    return true;
}

int64_t fd_pread_all(int fd, void *p, size_t n, int64_t offset)
{
    char *at = p;
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(fd, at + got, n - got, offset + (int64_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        if (k == 0)
            break;
        got += (size_t)k;
    }
    return (int64_t)got;
}

enum err fd_read_file(struct ctx *c, struct str path, size_t max, struct str *out)
{
    CLEANUP(fd_done) int fd = open(str_c(&c->mem, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(c, errno == ENOENT ? E_NOT_FOUND : E_INTERNAL, errno, "cannot read %.*s",
                          STR(path));
    char *p = arena_try(&c->mem, max + 1);
    if (!p)
        return fail(c, E_TOO_LARGE, "%.*s is too large", STR(path));
    int64_t n = fd_pread_all(fd, p, max + 1, 0);
    if (n < 0)
        return fail_errno(c, E_INTERNAL, errno, "cannot read %.*s", STR(path));
    if ((size_t)n > max)
        return fail(c, E_TOO_LARGE, "%.*s is larger than %zu bytes", STR(path), max);
    p[n] = 0;
    *out = (struct str){p, (size_t)n};
    return E_OK;
}

enum err fd_sync_dir(struct ctx *c, struct str path)
{
    CLEANUP(fd_done) int fd = open(str_c(&c->mem, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return fail_errno(c, E_INTERNAL, errno, "cannot sync the directory %.*s", STR(path));
    return E_OK;
}
