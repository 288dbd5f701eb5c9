/*
 * /v2/<name>/referrers/<digest> (OCI Distribution Spec 1.1, "Listing Referrers"): an image index of
 * the manifests whose subject is the digest, at most 4 MiB of it. A subject that is not here has
 * an empty list, because referrers may come first.
 */
#include "api/registry.h"
#include "meta/artifact.h"
#include "meta/repository.h"
#include "registry/proxy.h"
#include "rule/manifest.h"

static void put_referrer(struct json_out *j, const struct artifact *a)
{
    put_open(j, '{');
    put_key(j, S("mediaType"));
    put_str(j, a->media_type);
    put_key(j, S("size"));
    put_i64(j, (int64_t)a->payload.n);
    put_key(j, S("digest"));
    put_str(j, a->digest);
    if (a->artifact_type.n) {
        put_key(j, S("artifactType"));
        put_str(j, a->artifact_type);
    }
    if (a->annotations.text.n) {
        put_key(j, S("annotations"));
        put_raw(j, a->annotations.text);
    }
    put_close(j, '}');
}

static enum err local_referrers(struct call *r, struct str digest, struct str type, struct buf *b)
{
    int64_t repo = 0;
    struct list found = {0};
    enum err e = repository_id(r->c, r->access.project.project_id, r->place.repository, &repo);
    if (e == E_OK)
        e = artifact_referrers(r->c, repo, digest, type, &found);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    const struct artifact *items = found.items;
    struct json_out j = {.out = b};
    put_open(&j, '{');
    put_key(&j, S("schemaVersion"));
    put_i64(&j, 2);
    put_key(&j, S("mediaType"));
    put_str(&j, S(MEDIA_OCI_INDEX));
    put_key(&j, S("manifests"));
    put_open(&j, '[');
    for (size_t i = 0; i < found.count; i++)
        put_referrer(&j, &items[i]);
    put_close(&j, ']');
    put_close(&j, '}');
    if (b->full)
        return fail(r->c, E_INTERNAL, "the referrers of %.*s fill more than 4 MiB", STR(digest));
    return E_OK;
}

/* The upstream's answer when it gives one, else ours; with an empty index for neither. */
static enum err proxied(struct call *r, struct str digest, struct str type, struct buf *b)
{
    struct str index = NO_STR;
    bool found = false;
    tx_end(&r->tx); /* the upstream is asked */
    TRY(proxy_referrers(r->c, &r->place, digest, type, &index, &found));
    if (found) {
        buf_str(b, index);
        return E_OK;
    }
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    return local_referrers(r, digest, type, b);
}

enum err referrers_get(struct call *r)
{
    struct digest d;
    struct str type;
    CLEANUP(buf_release) struct buf b = {.max = MANIFEST_MAX};
    TRY(digest_parse(r->c, call_param(r, "digest"), &d));
    TRY(call_query(r, "artifactType", &type));
    if (r->access.project.registry_id)
        TRY(proxied(r, digest_str(&d), type, &b));
    else
        TRY(local_referrers(r, digest_str(&d), type, &b));
    if (type.n)
        reply_header(&r->reply, S("OCI-Filters-Applied"), S("artifactType"));
    return reply_text(r, 200, S(MEDIA_OCI_INDEX), buf_view(&b));
}
