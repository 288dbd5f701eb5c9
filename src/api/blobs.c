/*
 * /v2/<name>/blobs/<digest> (OCI Distribution Spec 1.1, "Pulling blobs", "Deleting Blobs"), with
 * one Range. A 206 of a blob that is still filling, and that does not hold its last byte, says so
 * (Cove-Verified: no); with proxy.range: wait it waits for the proof instead.
 */
#include "api/dispatch.h"
#include "api/registry.h"
#include "registry/delete.h"
#include "registry/proxy.h"
#include "rule/settings.h"

#include <unistd.h>

static void drop_body(struct body *b)
{
    if (b->kind == BODY_FILE && b->fd >= 0)
        close(b->fd);
    if (b->kind == BODY_SOURCE && b->source)
        b->source->release(b->source);
    *b = (struct body){.kind = BODY_NONE, .fd = -1};
}

/* Range, unless If-Range names other bytes (a digest is a strong validator; dates never match). */
static struct byte_range wanted(struct call *r, struct str digest)
{
    struct str condition = str_trim(http_header(r->http, "If-Range"));
    if (r->http->method != HTTP_GET || http_header_count(r->http, "Range") != 1)
        return (struct byte_range){0};
    if (condition.n && !str_eq(condition, str_fmt(&r->c->mem, "\"%.*s\"", STR(digest))))
        return (struct byte_range){0};
    return range_parse(http_header(r->http, "Range"));
}

static enum err unsatisfiable(struct call *r, struct pulled_blob *b)
{
    int64_t size = b->size;
    drop_body(&b->body);
    r->reply.header_count = 0;
    call_header(r, "Content-Range", "bytes */%lld", (long long)size);
    return fail(r->c, E_RANGE, "the range is outside of the blob's %lld bytes", (long long)size);
}

static enum err narrow(struct call *r, struct pulled_blob *b, const struct byte_range *range)
{
    int64_t from, end;
    if (!range_fit(range, b->size, &from, &end))
        return unsatisfiable(r, b);
    bool wait = str_eq(api_config(r->api)->proxy_range, S("wait"));
    if (b->filling && end < b->size && wait) {
        enum err e = proxy_blob_settle(r->c, b);
        if (e != E_OK) {
            drop_body(&b->body);
            return e;
        }
    } else if (b->filling && end < b->size) {
        reply_header(&r->reply, S("Cove-Verified"), S("no"));
    }
    b->body.offset = from;
    b->body.end = end;
    call_header(r, "Content-Range", "bytes %lld-%lld/%lld", (long long)from, (long long)end - 1,
                (long long)b->size);
    r->reply.body = b->body;
    return reply_now(r, 206);
}

enum err blob_get(struct call *r)
{
    struct digest d;
    struct pulled_blob b = {.body = {.fd = -1}};
    bool head = r->http->method == HTTP_HEAD;
    TRY(digest_parse(r->c, call_param(r, "digest"), &d));
    if (registry_not_modified(r, digest_str(&d)))
        head = true; /* the bytes are not needed, but the right to know is */
    struct byte_range range = wanted(r, digest_str(&d));
    enum err e = pull_blob(r->c, &r->place, &d, head, range.from > 0 ? range.from : 0, &b);
    r->outcome = e == E_OK                       ? b.outcome
                 : r->access.project.registry_id ? OUTCOME_REFUSED
                                                 : OUTCOME_LOCAL;
    TRY(e);
    registry_digest_headers(r, str_dup(&r->c->mem, digest_str(&d)));
    reply_header(&r->reply, S("Content-Type"), S("application/octet-stream"));
    reply_header(&r->reply, S("Accept-Ranges"), S("bytes"));
    if (head) {
        bool same = registry_not_modified(r, digest_str(&d));
        r->reply.has_length = b.size >= 0;
        r->reply.length = b.size;
        return reply_empty(r, same ? 304 : 200);
    }
    if (range.given && b.size >= 0)
        return narrow(r, &b, &range);
    r->reply.body = b.body;
    return reply_now(r, 200);
}

enum err blob_delete(struct call *r)
{
    struct digest d;
    TRY(digest_parse(r->c, call_param(r, "digest"), &d));
    TRY(delete_blob(r->c, &r->place, &d));
    return reply_empty(r, 202);
}
