/*
 * /v2/<name>/blobs/uploads (OCI Distribution Spec 1.1, "Pushing blobs", "Mounting a blob from
 * another repository"). Bytes go from the socket to the session through one buffer; whatever
 * breaks, the session keeps the bytes that came, and the client asks where to go on.
 */
#include "api/authorize.h"
#include "api/registry.h"
#include "blob/store.h"
#include "blob/upload.h"
#include "meta/repository.h"
#include "net/range.h"
#include "registry/access.h"
#include "registry/push.h"
#include "rule/name.h"

#define CHUNK ((size_t)256 << 10)
#define ROOM_STEP (INT64_C(8) << 20) /* bytes between looks at the disk */

/* Looked up beside the rights, in the dispatcher's read transaction, which ends here: bodies, files
   and commits come next. 0 = there is none yet. */
static enum err find_repository(struct call *r, int64_t *id)
{
    enum err e = repository_id(r->c, r->access.project.project_id, r->place.repository, id);
    tx_end(&r->tx);
    if (e == E_NOT_FOUND)
        *id = 0;
    return e == E_NOT_FOUND ? E_OK : e;
}

static enum err make_repository(struct call *r, int64_t *id)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(r->c, &tx));
    TRY(repository_ensure(r->c, r->access.project.project_id, r->place.repository, id));
    return tx_commit(&tx);
}

/* No session without a repository. */
static enum err repository_of(struct call *r, int64_t *id)
{
    TRY(find_repository(r, id));
    return *id ? E_OK : fail(r->c, E_UPLOAD_UNKNOWN, "upload unknown");
}

static enum err session_of(struct call *r, struct upload_session **out)
{
    int64_t id;
    TRY(repository_of(r, &id));
    return upload_open(r->c, call_param(r, "id"), id, out);
}

/* Where the session stands: Location, Range, Docker-Upload-UUID. */
static void session_headers(struct call *r, struct str id, int64_t offset)
{
    registry_location(r, "/v2/%.*s/blobs/uploads/%.*s", STR(r->full_name), STR(id));
    reply_header(&r->reply, S("Range"), upload_range(&r->c->mem, offset));
    reply_header(&r->reply, S("Docker-Upload-UUID"), id);
}

static enum err created(struct call *r, struct str digest)
{
    registry_location(r, "/v2/%.*s/blobs/%.*s", STR(r->full_name), STR(digest));
    reply_header(&r->reply, S("Docker-Content-Digest"), digest);
    return reply_empty(r, 201);
}

/* Bytes of the body until there are cap of them, it ends (*ended) or cannot be read on. Those that
   came before an error are the caller's too. */
static enum err fill(struct call *r, char *p, size_t cap, size_t *n_out, bool *ended)
{
    size_t n = 0, some = 1;
    enum err e = E_OK;
    while (e == E_OK && some && n < cap) {
        e = http_body_read(r->c, r->http, p + n, cap - n, &some);
        n += e == E_OK ? some : 0;
    }
    *n_out = n;
    *ended = some == 0 || cap == 0;
    return e;
}

/* What is too large for the disk is told before its first byte, and one of unknown length where it
   becomes so. Whole pieces are written at their own multiples: the page cache takes them in large
   folios, which is a tenth of a push. */
static enum err copy_body(struct call *r, struct upload_session *s)
{
    int64_t length = r->http->content_length, since = 0;
    size_t room = length < 0 ? CHUNK : (size_t)i64_min(length, (int64_t)CHUNK);
    char *p = arena_try(&r->c->mem, room);
    if (!p)
        return fail(r->c, E_UNAVAILABLE, "no memory for the body");
    if (length)
        TRY(store_room(r->c, i64_max(0, length)));
    for (;;) {
        size_t n, to_next = CHUNK - (size_t)(upload_offset(s) % (int64_t)CHUNK);
        bool ended;
        enum err e = fill(r, p, size_min(room, to_next), &n, &ended);
        since += (int64_t)n;
        if (length < 0 && since >= ROOM_STEP) {
            TRY(store_room(r->c, since));
            since = 0;
        }
        if (n)
            TRY(upload_write(r->c, s, p, n));
        TRY(e);
        if (ended)
            return E_OK;
    }
}

/* A chunk says where it begins; it must be where we are. Without Content-Range it simply goes on.
 */
static enum err check_chunk(struct call *r, int64_t offset, struct str id)
{
    struct str header = http_header(r->http, "Content-Range");
    int64_t from, end, length = r->http->content_length;
    if (!header.n)
        return E_OK;
    if (!upload_range_parse(header, &from, &end))
        return fail(r->c, E_UPLOAD_INVALID, "malformed Content-Range");
    if (from != offset) {
        session_headers(r, id, offset);
        return fail(r->c, E_RANGE, "the upload stands at %lld, the chunk begins at %lld",
                    (long long)offset, (long long)from);
    }
    if (length >= 0 && length != end - from)
        return fail(r->c, E_SIZE_INVALID, "Content-Range and Content-Length differ");
    return E_OK;
}

static enum err finish(struct call *r, struct upload_session *s, const struct digest *d)
{
    struct str key;
    int64_t size;
    TRY(upload_finish(r->c, s, d, &key, &size));
    TRY(push_blob(r->c, &r->place, ORIGIN_USER, key, d, size));
    return created(r, str_dup(&r->c->mem, digest_str(d)));
}

/* ---- POST --------------------------------------------------------------------------------- */

/* E_BLOB_UNKNOWN in every case in which an ordinary upload follows. */
static enum err mount(struct call *r, struct str digest, struct str from)
{
    struct ctx *c = r->c;
    struct project_access source = {0};
    struct str project, path;
    struct digest d;
    TRY(digest_parse(c, digest, &d));
    if (!name_is_repository(from) || name_split(c, from, &project, &path) != E_OK)
        return E_BLOB_UNKNOWN;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        enum err e = project_access_for(c, project, 0, &r->principal, &source);
        if (e == E_NOT_FOUND)
            return E_BLOB_UNKNOWN;
        TRY(e);
    }
    if (!access_may(&r->principal, &source, RES_REPOSITORY, ACT_PULL))
        return E_BLOB_UNKNOWN;
    if (!authorize_repository(r, &source, from, ACT_PULL)) {
        /* the right is there, the token is too narrow: the challenge names both repositories */
        r->scope_error = true;
        return fail(c, E_UNAUTHORIZED, "the token does not allow to mount from %.*s", STR(from));
    }
    TRY(push_mount(c, &r->place, &d, source.project.project_id, path));
    return created(r, str_dup(&c->mem, digest_str(&d)));
}

/* The whole blob in the request that begins the upload. */
static enum err monolithic(struct call *r, struct str id, int64_t repo, struct str digest)
{
    struct digest d;
    struct upload_session *s;
    enum err e = digest_parse(r->c, digest, &d);
    TRY(e);
    TRY(upload_open(r->c, id, repo, &s));
    e = copy_body(r, s);
    if (e != E_OK) {
        upload_park(r->c, s);
        return e;
    }
    return finish(r, s, &d);
}

enum err uploads_post(struct call *r)
{
    struct str digest, source, from, id;
    struct digest d;
    int64_t repo;
    TRY(registry_push_gate(r));
    TRY(call_query(r, "mount", &source));
    TRY(call_query(r, "from", &from));
    TRY(call_query(r, "digest", &digest));
    TRY(find_repository(r, &repo));
    if (source.n && from.n) {
        enum err e = mount(r, source, from);
        if (e != E_BLOB_UNKNOWN)
            return e;
    }
    if (digest.n)
        TRY(digest_parse(r->c, digest, &d)); /* before there is a session */
    if (!repo)
        TRY(make_repository(r, &repo));
    TRY(upload_begin(r->c, repo, &id));
    if (digest.n)
        return monolithic(r, id, repo, digest);
    session_headers(r, id, 0);
    return reply_empty(r, 202);
}

/* ---- the session -------------------------------------------------------------------------- */

enum err uploads_patch(struct call *r)
{
    struct upload_session *s;
    struct str id = call_param(r, "id");
    TRY(registry_push_gate(r));
    TRY(session_of(r, &s));
    enum err e = check_chunk(r, upload_offset(s), id);
    if (e == E_OK)
        e = copy_body(r, s);
    int64_t offset = upload_offset(s);
    upload_park(r->c, s);
    TRY(e);
    session_headers(r, id, offset);
    return reply_empty(r, 202);
}

enum err uploads_put(struct call *r)
{
    struct upload_session *s;
    struct str text;
    struct digest d;
    TRY(registry_push_gate(r));
    TRY(call_query(r, "digest", &text));
    if (!text.n)
        return fail(r->c, E_DIGEST_INVALID, "digest is missing");
    TRY(digest_parse(r->c, text, &d));
    TRY(session_of(r, &s));
    enum err e = check_chunk(r, upload_offset(s), call_param(r, "id"));
    if (e == E_OK)
        e = copy_body(r, s);
    if (e != E_OK) {
        upload_park(r->c, s);
        return e;
    }
    return finish(r, s, &d);
}

enum err uploads_status(struct call *r)
{
    struct upload_session *s;
    TRY(session_of(r, &s));
    int64_t offset = upload_offset(s);
    upload_park(r->c, s);
    session_headers(r, call_param(r, "id"), offset);
    return reply_empty(r, 204);
}

enum err uploads_delete(struct call *r)
{
    int64_t id;
    TRY(repository_of(r, &id));
    TRY(upload_cancel(r->c, call_param(r, "id"), id));
    return reply_empty(r, 204);
}
