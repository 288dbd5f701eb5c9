/*
 * A configuration is a blob like any other, small and asked for seldom: it is read when somebody
 * looks at the image, and not kept in rows. What a stranger put into it is no error of ours, so
 * one that cannot be read is one that is not there.
 */
#include "registry/config.h"

#include "base/fd.h"
#include "blob/store.h"

static enum err find_key(struct ctx *c, int64_t project_id, struct str repository,
                         struct str digest, struct str *key, int64_t *size)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob blob;
    *key = NO_STR;
    TRY(tx_read(c, &tx));
    enum err e = blob_in_repository(c, project_id, repository, digest, &blob);
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    *key = blob.phys_key;
    *size = blob.size;
    return E_OK;
}

enum err image_config_read(struct ctx *c, int64_t project_id, struct str repository,
                           const struct manifest *m, struct image_config *out, bool *here)
{
    struct str key;
    int64_t size = 0, on_disk;
    size_t n;
    *here = false;
    *out = (struct image_config){0};
    if (!m->config.digest.n)
        return E_OK;
    TRY(find_key(c, project_id, repository, m->config.digest, &key, &size));
    if (!key.n || !i64_to_size(size, &n) || n > IMAGE_CONFIG_MAX)
        return E_OK;
    CLEANUP(fd_done) int fd = -1;
    TRY(store_read(c, key, &fd, &on_disk));
    char *text = arena_try(&c->mem, n + 1);
    if (!text || on_disk != size || fd_pread_all(fd, text, n, 0) != size)
        return fail(c, E_UNAVAILABLE, "the image's configuration cannot be read");
    *here = image_config_parse(c, (struct str){text, n}, out) == E_OK;
    return E_OK;
}
