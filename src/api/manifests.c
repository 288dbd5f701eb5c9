/* /v2/<name>/manifests/<reference> (OCI Distribution Spec 1.1, "Pulling manifests", "Pushing
   Manifests", "Deleting tags", "Deleting Manifests"). The bytes are served as they were stored. */
#include "api/dispatch.h"
#include "api/registry.h"
#include "base/codec.h"
#include "registry/delete.h"
#include "registry/figures.h"
#include "registry/push.h"
#include "rule/manifest.h"
#include "rule/name.h"
#include "rule/settings.h"

#define TAGS_MAX 32

static enum err reference_of(struct call *r, struct str *out)
{
    *out = call_param(r, "reference");
    if (str_find(*out, ':') >= 0) {
        struct digest d;
        return digest_parse(r->c, *out, &d);
    }
    if (!name_is_tag(*out))
        return fail(r->c, E_MANIFEST_INVALID, "invalid tag");
    return E_OK;
}

enum err manifest_get(struct call *r)
{
    struct pulled_manifest m = {0};
    struct str ref;
    bool head = r->http->method == HTTP_HEAD;
    TRY(reference_of(r, &ref));
    enum err e = pull_manifest(r->c, &r->place, ref, head, &m);
    r->outcome = e == E_OK                       ? m.outcome
                 : r->access.project.registry_id ? OUTCOME_REFUSED
                                                 : OUTCOME_LOCAL;
    TRY(e);
    if (!head)
        figures_recent(&r->place, ref, m.digest, r->http->client, m.outcome);
    registry_digest_headers(r, m.digest);
    if (m.stale)
        reply_header(&r->reply, S("Warning"), S("110 - \"Response is Stale\""));
    bool same = registry_not_modified(r, m.digest);
    if (head || same) {
        r->reply.has_length = true;
        r->reply.length = m.size;
        if (!same)
            reply_header(&r->reply, S("Content-Type"), m.media_type);
        return reply_empty(r, same ? 304 : 200);
    }
    figures_sent(&r->place, m.outcome, m.size);
    return reply_text(r, 200, m.media_type, m.payload);
}

/* Further tags of a push by digest: tag= may come several times. */
static enum err query_tags(struct call *r, struct str *tags, size_t *count)
{
    struct str query = r->http->query;
    *count = 0;
    while (query.n) {
        struct str value = str_cut(&query, '&');
        if (!str_eq(str_cut(&value, '='), S("tag")))
            continue;
        if (*count == TAGS_MAX)
            return fail(r->c, E_BAD_REQUEST, "more than %d tags", TAGS_MAX);
        if (!percent_decode(&r->c->mem, value, true, &tags[*count]) || !name_is_tag(tags[*count]))
            return fail(r->c, E_MANIFEST_INVALID, "invalid tag in the query");
        (*count)++;
    }
    return E_OK;
}

enum err manifest_put(struct call *r)
{
    struct str ref, payload, tags[TAGS_MAX];
    size_t tag_count = 0;
    struct pushed_manifest m = {0};
    TRY(reference_of(r, &ref));
    TRY(registry_push_gate(r));
    if (str_find(ref, ':') >= 0)
        TRY(query_tags(r, tags, &tag_count));
    if (r->http->content_length > (int64_t)MANIFEST_MAX)
        return fail(r->c, E_TOO_LARGE, "a manifest is at most 4 MiB");
    TRY(http_body_all(r->c, r->http, MANIFEST_MAX, &payload));
    TRY(push_manifest(r->c, &r->place, ORIGIN_USER, ref, http_header(r->http, "Content-Type"),
                      payload, &m));
    for (size_t i = 0; i < tag_count; i++) {
        TRY(push_tag(r->c, &r->place, m.digest, tags[i]));
        reply_header(&r->reply, S("OCI-Tag"), tags[i]);
    }
    registry_location(r, "/v2/%.*s/manifests/%.*s", STR(r->full_name), STR(m.digest));
    reply_header(&r->reply, S("Docker-Content-Digest"), m.digest);
    if (m.subject_digest.n)
        reply_header(&r->reply, S("OCI-Subject"), m.subject_digest);
    return reply_empty(r, 201);
}

enum err manifest_delete(struct call *r)
{
    struct str ref;
    TRY(reference_of(r, &ref));
    if (str_find(ref, ':') >= 0)
        TRY(delete_manifest(r->c, &r->place, ref));
    else if (str_eq(api_config(r->api)->registry_compat, S("harbor")))
        return fail(r->c, E_UNSUPPORTED, "delete by tag is not supported; delete by digest");
    else
        TRY(delete_tag(r->c, &r->place, ref));
    return reply_empty(r, 202);
}
