/*
 * A configuration is a blob like any other, small and asked for seldom: it is read when somebody
 * looks at the image, and not kept in rows. What a stranger put into it is no error of ours, so
 * one that cannot be read is one that is not there.
 */
#include "registry/config.h"

#include "base/fd.h"
#include "blob/store.h"
#include "meta/artifact.h"

static enum err find_key(struct ctx *c, int64_t project_id, struct str repository,
                         struct str digest, struct str *key, int64_t *size)
{
    struct blob blob;
    *key = NO_STR;
    enum err e = blob_in_repository(c, project_id, repository, digest, &blob);
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    *key = blob.phys_key;
    *size = blob.size;
    return E_OK;
}

/* *text empty: there is nothing, or more than max. */
static enum err read_text(struct ctx *c, struct str key, int64_t size, size_t max, struct str *text)
{
    int64_t on_disk;
    size_t n;
    *text = NO_STR;
    if (!key.n || !i64_to_size(size, &n) || n > max)
        return E_OK;
    CLEANUP(fd_done) int fd = -1;
    TRY(store_read(c, key, &fd, &on_disk));
    char *p = arena_try(&c->mem, n + 1);
    if (!p || on_disk != size || fd_pread_all(fd, p, n, 0) != size)
        return fail(c, E_UNAVAILABLE, "the image's configuration cannot be read");
    *text = (struct str){p, n};
    return E_OK;
}

enum err image_config_read(struct ctx *c, int64_t project_id, struct str repository,
                           const struct manifest *m, struct image_config *out, bool *here)
{
    struct str key, text;
    int64_t size = 0;
    *here = false;
    *out = (struct image_config){0};
    if (!m->config.digest.n)
        return E_OK;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(find_key(c, project_id, repository, m->config.digest, &key, &size));
    }
    TRY(read_text(c, key, size, IMAGE_CONFIG_MAX, &text));
    *here = text.n && image_config_parse(c, text, out) == E_OK;
    return E_OK;
}

static bool is_image(struct str config_type)
{
    return str_eq(config_type, S("application/vnd.oci.image.config.v1+json")) ||
           str_eq(config_type, S("application/vnd.docker.container.image.v1+json"));
}

enum err config_attrs_read(struct ctx *c, int64_t project_id, struct str repository,
                           struct str digest, struct raw_json *out)
{
    struct manifest_row row = {0};
    struct manifest m;
    struct str key, text;
    int64_t size = 0;
    *out = (struct raw_json){S("{}")};
    enum err e = manifest_by_digest(c, project_id, repository, digest, &row);
    if (e == E_NOT_FOUND) /* evicted since it was listed */
        return E_OK;
    TRY(e);
    if (!row.payload.n || media_is_index(row.media_type) ||
        manifest_parse(c, row.payload, row.media_type, &m) != E_OK || !m.config.digest.n ||
        str_eq(m.config.media_type, S("application/vnd.oci.empty.v1+json")))
        return E_OK;
    TRY(find_key(c, project_id, repository, m.config.digest, &key, &size));
    if (read_text(c, key, size, IMAGE_ATTRS_MAX, &text) == E_OK && text.n)
        (void)image_attrs(c, text, is_image(m.config.media_type), out); /* else as if it had none */
    return E_OK;
}
