/*
 * /v2/<name>/blobs/<digest> (OCI Distribution Spec 1.1, "Pulling blobs", "Deleting Blobs"), with
 * one Range. A 206 of a blob that is still filling, and that does not hold its last byte, says so
 * (Cove-Verified: no); with proxy.range: wait it waits for the proof instead.
 */
#include "api/dispatch.h"
#include "api/registry.h"
#include "net/range.h"
#include "registry/delete.h"
#include "registry/figures.h"
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

/* Range, unless If-Range names other bytes. */
static enum range_answer wanted(struct call *r, struct str digest, struct range_spec *out)
{
    struct str condition = http_header(r->http, "If-Range");
    if (r->http->method != HTTP_GET || http_header_count(r->http, "Range") != 1)
        return RANGE_WHOLE;
    if (!if_range_matches(condition, str_fmt(&r->c->mem, "\"%.*s\"", STR(digest))))
        return RANGE_WHOLE;
    return range_spec_parse(http_header(r->http, "Range"), out);
}

static enum err unsatisfiable(struct call *r, struct pulled_blob *b)
{
    int64_t size = b->size;
    drop_body(&b->body);
    r->reply.header_count = 0;
    reply_header(&r->reply, S("Content-Range"), content_range_unsatisfied(&r->c->mem, size));
    return fail(r->c, E_RANGE, "the range is outside of the blob's %lld bytes", (long long)size);
}

static enum err narrow(struct call *r, struct pulled_blob *b, struct range_spec spec)
{
    int64_t from, end;
    if (range_resolve(spec, b->size, &from, &end) != RANGE_PART)
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
    b->body.bytes = str_sub(b->body.bytes, (size_t)from, (size_t)(end - from));
    b->body.offset = from;
    b->body.end = end;
    reply_header(&r->reply, S("Content-Range"), content_range(&r->c->mem, from, end, b->size));
    r->reply.body = b->body;
    figures_sent(&r->place, b->outcome, end - from);
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
    struct range_spec spec = {0};
    enum range_answer range = wanted(r, digest_str(&d), &spec);
    int64_t from = range == RANGE_PART && spec.first > 0 ? spec.first : 0;
    enum err e = pull_blob(r->c, &r->place, &d, head, from, &b);
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
    if (range == RANGE_UNSATISFIABLE)
        return unsatisfiable(r, &b);
    if (range == RANGE_PART && b.size >= 0)
        return narrow(r, &b, spec);
    r->reply.body = b.body;
    figures_sent(&r->place, b.outcome, b.size);
    return reply_now(r, 200);
}

enum err blob_delete(struct call *r)
{
    struct digest d;
    TRY(digest_parse(r->c, call_param(r, "digest"), &d));
    TRY(delete_blob(r->c, &r->place, &d));
    return reply_empty(r, 202);
}
