/*
 * The rows of /v2, and what its handlers share. Paths are relative to /v2; {name...} is
 * "project/path" (on a mirror: the upstream's own name). Pulls run in the dispatcher's read
 * transaction, uploads find their repository in it.
 */
#include "api/registry.h"

#include "api/dispatch.h"
#include "base/codec.h"
#include "meta/repository.h"
#include "net/range.h"
#include "rule/settings.h"

#define PAGE_MAX 10000

const struct route registry_routes[] = {
    {HTTP_GET, "/", "registryBase", REGISTRY(NONE), NO_BODY, registry_base, 0},
    {HTTP_GET,
     "/_catalog",
     "registryCatalog",
     {GUARD_REGISTRY, RES_CATALOG, ACT_READ, NULL, NULL},
     NO_BODY,
     catalog_get,
     ROUTE_READ},
    {HTTP_GET, "/{name...}/tags/list", "registryTags", REGISTRY(PULL), NO_BODY, tags_get,
     ROUTE_READ},
    {HTTP_GET, "/{name...}/referrers/{digest}", "registryReferrers", REGISTRY(PULL), NO_BODY,
     referrers_get, ROUTE_READ},
    {HTTP_GET, "/{name...}/manifests/{reference}", "registryGetManifest", REGISTRY(PULL), NO_BODY,
     manifest_get, ROUTE_READ},
    {HTTP_PUT, "/{name...}/manifests/{reference}", "registryPutManifest", REGISTRY(PUSH), NO_BODY,
     manifest_put, 0},
    {HTTP_DELETE, "/{name...}/manifests/{reference}", "registryDeleteManifest", REGISTRY(DELETE),
     NO_BODY, manifest_delete, 0},
    {HTTP_GET, "/{name...}/blobs/{digest}", "registryGetBlob", REGISTRY(PULL), NO_BODY, blob_get,
     ROUTE_READ},
    {HTTP_DELETE, "/{name...}/blobs/{digest}", "registryDeleteBlob", REGISTRY(DELETE), NO_BODY,
     blob_delete, 0},
    {HTTP_POST, "/{name...}/blobs/uploads", "registryPostUpload", REGISTRY(PUSH), NO_BODY,
     uploads_post, ROUTE_READ},
    {HTTP_GET, "/{name...}/blobs/uploads/{id}", "registryGetUpload", REGISTRY(PUSH), NO_BODY,
     uploads_status, ROUTE_READ},
    {HTTP_PATCH, "/{name...}/blobs/uploads/{id}", "registryPatchUpload", REGISTRY(PUSH), NO_BODY,
     uploads_patch, ROUTE_READ},
    {HTTP_PUT, "/{name...}/blobs/uploads/{id}", "registryPutUpload", REGISTRY(PUSH), NO_BODY,
     uploads_put, ROUTE_READ},
    {HTTP_DELETE, "/{name...}/blobs/uploads/{id}", "registryDeleteUpload", REGISTRY(PUSH), NO_BODY,
     uploads_delete, ROUTE_READ},
    {0},
};

void registry_location(struct call *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str path = str_vfmt(&r->c->mem, fmt, ap);
    va_end(ap);
    if (api_config(r->api)->external_url.n)
        path = str_fmt(&r->c->mem, "%.*s%.*s", STR(call_base_url(r)), STR(path));
    reply_header(&r->reply, S("Location"), path);
}

enum err registry_push_gate(struct call *r)
{
    if (r->access.project.registry_id)
        return fail(r->c, E_DENIED, "can not push artifact to a proxy project: %.*s",
                    STR(r->access.project.name));
    return E_OK;
}

bool registry_not_modified(struct call *r, struct str digest)
{
    struct str listed = http_header(r->http, "If-None-Match");
    return listed.n && etag_listed(listed, str_fmt(&r->c->mem, "\"%.*s\"", STR(digest)));
}

void registry_digest_headers(struct call *r, struct str digest)
{
    reply_header(&r->reply, S("Docker-Content-Digest"), digest);
    call_header(r, "Etag", "\"%.*s\"", STR(digest));
}

/* ---- pages -------------------------------------------------------------------------------- */

enum err registry_page(struct call *r, int64_t *n, struct str *last, bool *none)
{
    struct str text;
    TRY(call_query(r, "n", &text));
    TRY(call_query(r, "last", last));
    *n = PAGE_MAX;
    *none = false;
    if (!text.n)
        return E_OK;
    if (!str_to_i64(text, n) || *n < 0)
        return fail(r->c, E_BAD_REQUEST, "n must be a number, 0 or greater");
    *none = *n == 0;
    *n = i64_min(*n, PAGE_MAX);
    return E_OK;
}

void registry_next(struct call *r, int64_t n, struct str last)
{
    struct str path = percent_encode(&r->c->mem, r->http->path, "/");
    call_header(r, "Link", "<%.*s?last=%.*s&n=%lld>; rel=\"next\"", STR(path),
                STR(percent_encode(&r->c->mem, last, "/")), (long long)n);
}

static enum err reply_names(struct call *r, const char *key, struct strs names)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_key(&j, str_of(key));
    put_open(&j, '[');
    for (size_t i = 0; i < names.count; i++)
        put_str(&j, names.items[i]);
    put_close(&j, ']');
    put_close(&j, '}');
    return reply_json_text(r, 200, buf_view(&b));
}

enum err catalog_get(struct call *r)
{
    int64_t n;
    struct str last;
    struct strs names = {0};
    bool none;
    TRY(registry_page(r, &n, &last, &none));
    if (!none)
        TRY(repository_catalog(r->c, &r->principal, last, n + 1, &names));
    if (names.count > (size_t)n) {
        names.count = (size_t)n;
        registry_next(r, n, names.items[n - 1]);
    }
    return reply_names(r, "repositories", names);
}

enum err registry_base(struct call *r)
{
    return reply_json_text(r, 200, S("{}"));
}
