/*
 * Deleting is writing: a database on a file system without a free page can neither forget an image
 * nor evict one, and the disk stays full for ever. So DATA/reserve holds room that nobody else can
 * take. When the disk is full it is emptied, which is what the database then lives on; until there
 * is room for it again, pushes and caches are refused what it gave away.
 *
 * It is no promise to pushes, and it is not durable: a power cut may take the file, the next look
 * makes it again.
 */
#include "blob/reserve.h"

#include "base/fd.h"
#include "base/log.h"
#include "rule/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE ((int64_t)64 << 20)
#define SHARE 16 /* of a small file system; and of the reserve, what counts as nothing left */

static atomic_bool given; /* away: the file is empty */

struct room {
    int64_t free, reserve;
};

static bool look(const char *data, struct room *out)
{
    struct statvfs v;
    if (statvfs(data, &v) != 0)
        return false;
    int64_t total = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
    out->free = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    out->reserve = i64_min(RESERVE, total / SHARE) & ~INT64_C(4095);
    return true;
}

/* Empties the file, or fills it without writing; a file system that cannot do that has no reserve.
 */
static bool resize(const char *path, int64_t size)
{
    CLEANUP(fd_done) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    return size ? fallocate(fd, 0, 0, size) == 0 : ftruncate(fd, 0) == 0;
}

enum err reserve_tend(struct ctx *c)
{
    const struct settings *s = c->sv->settings;
    const char *data = str_c(&c->mem, s->data);
    const char *path = str_c(&c->mem, str_fmt(&c->mem, "%s/reserve", data));
    struct room r;
    struct stat st = {0};
    if (s->database.n || !look(data, &r))
        return E_OK;
    bool held = stat(path, &st) == 0 && st.st_size > 0;
    if (held && r.free < r.reserve / SHARE) {
        if (!resize(path, 0))
            return fail_errno(c, E_UNAVAILABLE, errno, "cannot give the reserve away");
        held = false;
        log_warn("blob",
                 "the disk is full: %lld bytes of reserve are for the database now, pushes "
                 "are refused until there is room",
                 (long long)r.reserve);
    } else if (!held && r.free >= 2 * r.reserve) {
        held = resize(path, r.reserve);
        if (!held && errno != EOPNOTSUPP && errno != ENOSPC)
            return fail_errno(c, E_UNAVAILABLE, errno, "cannot take the reserve");
    }
    atomic_store(&given, !held);
    return E_OK;
}

bool reserve_short(struct ctx *c)
{
    struct room r;
    return atomic_load_explicit(&given, memory_order_relaxed) &&
           look(str_c(&c->mem, c->sv->settings->data), &r) && r.free < r.reserve;
}
