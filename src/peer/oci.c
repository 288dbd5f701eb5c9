/*
 * The registry protocol from the asking side (OCI Distribution Spec 1.1, "Pull", "Content
 * Discovery", "Listing Referrers"). Each call is: ask, answer a challenge at most twice, read what
 * the answer says about limits, check what can be checked.
 *
 * A body is believed only as far as its digest: a manifest asked for by digest must hash to it, a
 * manifest asked for by tag must hash to the header that came with it. Blobs are hashed by whoever
 * stores them; here only the offset of a resumed stream is proven.
 */
#include "peer/oci.h"

#include "base/codec.h"
#include "base/json.h"
#include "net/range.h"
#include "peer/asked.h"
#include "peer/linkheader.h"
#include "peer/token.h"
#include "rule/manifest.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <stdlib.h>
#include <string.h>

#define ACCEPT_MANIFESTS                                                                           \
    MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_LIST ", " MEDIA_DOCKER_MANIFEST
#define TAGS_A_PAGE 10000
#define TAG_PAGES 100
#define REFERRER_PAGES 20
#define TRIES 3

struct upstreams {
    struct tokens *tokens;
};

struct upstreams *upstreams_new(void)
{
    struct upstreams *u = calloc(1, sizeof *u);
    if (u && !(u->tokens = tokens_new())) {
        free(u);
        return NULL;
    }
    return u;
}

void upstreams_free(struct upstreams *u)
{
    if (!u)
        return;
    tokens_free(u->tokens);
    free(u);
}

/* asking */

struct question {
    const struct asker *asker;
    enum http_method method;
    struct str repo; /* scope of the token; empty for /v2/ itself */
    struct str url;
    struct str accept, range;
    bool manifest, existence; /* existence: that the registry redirects is answer enough */
    size_t max_body;
    int64_t first_byte_ms, stall_s;
    const struct client_sink *sink;
};

static enum err ask_once(struct ctx *c, const struct question *q, const struct authorization *auth,
                         struct client_answer *out)
{
    struct header headers[3];
    size_t n = 0;
    if (q->accept.n)
        headers[n++] = (struct header){S("Accept"), q->accept};
    if (q->range.n)
        headers[n++] = (struct header){S("Range"), q->range};
    if (auth->value.n)
        headers[n++] = (struct header){S("Authorization"), auth->value};
    struct client_call call = {
        .method = q->method,
        .url = q->url,
        .headers = headers,
        .header_count = n,
        .max_body = q->max_body,
        .first_byte_ms = q->first_byte_ms,
        .stall_s = q->stall_s,
        .sink = q->sink,
    };
    return asker_do(c, q->asker, &call, out);
}

/* The registry redirected and another host refused: a signature may have run out. That another host
   lacks a blob's bytes is no word of the registry's either: a replica may lag. (A registry may send
   all its questions to another host; there a 404 to a HEAD or for a manifest is the answer.) */
static bool refused_elsewhere(struct ctx *c, const struct question *q,
                              const struct client_answer *answer)
{
    struct url last;
    bool refused = answer->status == 401 || answer->status == 403;
    return (refused || (answer->status == 404 && q->sink)) &&
           url_parse(c, answer->final_url, &last) == E_OK && !url_same_host(&last, &q->asker->base);
}

static enum err ask_all(struct ctx *c, const struct question *q, struct client_answer *out,
                        struct oci_status *st)
{
    struct tokens *tokens = c->sv->upstreams->tokens;
    struct authorization auth;
    TRY(token_for(c, tokens, q->asker, q->repo, &auth, st));
    for (int try = 1;; try++) {
        TRY(ask_once(c, q, &auth, out));
        oci_status_note(c, out, q->manifest, st);
        if (refused_elsewhere(c, q, out)) {
            if (q->existence)
                return E_OK;
            if (try == 1)
                continue;
            return fail(c, E_UPSTREAM, "%.*s redirects to a host that answers %d",
                        STR(q->asker->base.host), out->status);
        }
        struct authorization next;
        /* some registries say 403 to a token that has run out */
        if (out->status == 403 && auth.kind == TOKEN_CACHED && try < TRIES &&
            token_renewed(c, tokens, q->asker, q->repo, &auth, &next, st) == E_OK) {
            auth = next;
            continue;
        }
        if (out->status != 401 || try == TRIES || auth.kind == TOKEN_FRESH)
            return E_OK;
        TRY(token_challenged(c, tokens, q->asker, q->repo, out, &auth, &next, st));
        auth = next;
    }
}

/* E_OK whatever the status, except for a 401 that cannot be answered. */
static enum err ask(struct ctx *c, const struct question *q, struct client_answer *out,
                    struct oci_status *st)
{
    oci_status_clear(st);
    enum err e = ask_all(c, q, out, st);
    if (e != E_OK && st->reason.n == 0)
        st->reason = printable(c, str_of(c->msg));
    return e;
}

static struct str url_of(struct ctx *c, const struct asker *a, const char *kind, struct str repo,
                         struct str ref)
{
    const struct url *b = &a->base;
    struct str prefix = url_prefix(b), host = url_authority(&c->mem, b);
    repo = percent_encode(&c->mem, repo, "/");
    ref = percent_encode(&c->mem, ref, ":");
    return str_fmt(&c->mem, "%s://%.*s%.*s/v2/%.*s/%s/%.*s", b->https ? "https" : "http", STR(host),
                   STR(prefix), STR(repo), kind, STR(ref));
}

/* manifests */

static struct str media_type_of(const struct client_answer *answer)
{
    struct str value = answer_header(answer, "content-type");
    return str_trim(str_cut(&value, ';'));
}

/* Does the body look like a manifest of any kind? Portals, parked hosts and broken front servers
   say 200 to everything. */
static bool is_manifest(struct ctx *c, struct str payload)
{
    CLEANUP(json_done) json_t *root = NULL;
    int64_t version;
    struct str type;
    return json_parse(c, payload, &root) == E_OK && json_is_object(root) &&
           (json_get_i64(root, "schemaVersion", &version) ||
            json_get_str(root, "mediaType", &type));
}

/* What the manifest says of itself is covered by its digest; the header is only the fallback. */
static struct str sniff_media_type(struct ctx *c, struct str given, struct str payload)
{
    CLEANUP(json_done) json_t *root = NULL;
    struct str inner;
    if (json_parse(c, payload, &root) != E_OK || !json_get_str(root, "mediaType", &inner) ||
        !media_is_manifest(inner))
        return given;
    return str_dup(&c->mem, inner);
}

/* The digest of a manifest's bytes, checked against what was asked and what the header says. Where
   nobody named one, the bytes must at least be a manifest. */
static enum err prove(struct ctx *c, struct str ref, const struct client_answer *answer,
                      struct str *digest_out)
{
    struct digest want, have;
    bool by_digest = str_find(ref, ':') >= 0;
    struct str said = answer_header(answer, "docker-content-digest");
    struct str text = by_digest ? ref : said;
    bool wanted = text.n && digest_parse(c, text, &want) == E_OK;
    if (by_digest && !wanted)
        return fail(c, E_DIGEST_INVALID, "not a digest: %.*s", STR(ref));
    if (!digest_of(wanted ? want.alg : DIGEST_SHA256, answer->body, &have))
        return fail(c, E_INTERNAL, "hashing failed");
    if (wanted && !digest_eq(&want, &have))
        return fail(c, E_UPSTREAM, "upstream sends a manifest that is %s instead of %s", have.text,
                    want.text);
    if (!wanted && !is_manifest(c, answer->body))
        return fail(c, E_UPSTREAM, "upstream sends something that is no manifest");
    *digest_out = str_dup(&c->mem, digest_str(&have));
    return E_OK;
}

static enum err get_manifest(struct ctx *c, const struct asker *a, struct str repo, struct str ref,
                             struct oci_manifest *out, struct oci_status *st)
{
    struct client_answer answer;
    const struct question q = {
        .asker = a,
        .method = HTTP_GET,
        .repo = repo,
        .url = url_of(c, a, "manifests", repo, ref),
        .accept = S(ACCEPT_MANIFESTS),
        .manifest = true,
        .max_body = MANIFEST_MAX,
    };
    TRY(ask(c, &q, &answer, st));
    if (answer.status != 200)
        return oci_status_error(c, a, st, E_MANIFEST_UNKNOWN);
    struct str digest;
    TRY(prove(c, ref, &answer, &digest));
    *out = (struct oci_manifest){
        .digest = digest,
        .media_type = sniff_media_type(c, media_type_of(&answer), answer.body),
        .size = (int64_t)answer.body.n,
        .payload = answer.body,
    };
    return E_OK;
}

enum err oci_get_manifest(struct ctx *c, const struct endpoint *e, struct str repo, struct str ref,
                          struct oci_manifest *out, struct oci_status *st)
{
    struct asker a;
    oci_status_clear(st);
    TRY(asker_init(c, e, 0, &a));
    return get_manifest(c, &a, repo, ref, out, st);
}

enum err oci_head_manifest(struct ctx *c, const struct endpoint *e, struct str repo, struct str ref,
                           int64_t budget_ms, struct oci_manifest *out, struct oci_status *st)
{
    struct asker a;
    struct client_answer answer;
    oci_status_clear(st);
    TRY(asker_init(c, e, budget_ms, &a));
    const struct question q = {
        .asker = &a,
        .method = HTTP_HEAD,
        .repo = repo,
        .url = url_of(c, &a, "manifests", repo, ref),
        .accept = S(ACCEPT_MANIFESTS),
        .manifest = true,
        .first_byte_ms = 5000,
    };
    TRY(ask(c, &q, &answer, st));
    struct str digest = answer_header(&answer, "docker-content-digest");
    bool unsupported = answer.status == 405 || answer.status == 501;
    if (unsupported || (answer.status == 200 && !digest_valid(digest)))
        return get_manifest(c, &a, repo, ref, out, st);
    if (answer.status != 200)
        return oci_status_error(c, &a, st, E_MANIFEST_UNKNOWN);
    if (str_find(ref, ':') >= 0 && !str_eq(ref, digest))
        return fail(c, E_UPSTREAM, "upstream answers for %.*s instead of %.*s", STR(digest),
                    STR(ref));
    int64_t size;
    if (!str_to_i64(answer_header(&answer, "content-length"), &size) || size < 0)
        size = -1;
    *out = (struct oci_manifest){digest, media_type_of(&answer), size, NO_STR};
    return E_OK;
}

/* blobs */

enum err oci_head_blob(struct ctx *c, const struct endpoint *e, struct str repo,
                       const struct digest *d, int64_t *size_out, struct oci_status *st)
{
    struct asker a;
    struct client_answer answer;
    oci_status_clear(st);
    TRY(asker_init(c, e, 0, &a));
    const struct question q = {
        .asker = &a,
        .method = HTTP_HEAD,
        .repo = repo,
        .url = url_of(c, &a, "blobs", repo, digest_str(d)),
        .existence = true,
        .first_byte_ms = 5000,
    };
    TRY(ask(c, &q, &answer, st));
    if (refused_elsewhere(c, &q, &answer)) { /* its link was signed for a GET */
        *size_out = -1;
        return E_OK;
    }
    if (answer.status != 200)
        return oci_status_error(c, &a, st, E_BLOB_UNKNOWN);
    /* servers exist that say 0 to every HEAD */
    if (!str_to_i64(answer_header(&answer, "content-length"), size_out) || *size_out <= 0)
        *size_out = -1;
    return E_OK;
}

struct resume { /* between the client and the caller's sink */
    struct ctx *c;
    const struct client_sink *to;
    int64_t endpoint_id, offset, skip; /* bytes still to be left out */
};

static struct str header_of(const struct header *headers, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(headers[i].name, name))
            return headers[i].value;
    return NO_STR;
}

/* The whole blob came although a part was asked for: told to the sink as that part. */
static enum err head_of_rest(struct resume *r, const struct header *headers, size_t count)
{
    int64_t whole;
    struct header said[2];
    size_t n = 0;
    r->skip = r->offset;
    if (str_to_i64(header_of(headers, count, S("content-length")), &whole)) {
        if (whole < r->offset)
            return fail(r->c, E_UPSTREAM, "the upstream's blob is shorter than before");
        said[n++] = (struct header){S("Content-Length"),
                                    str_fmt(&r->c->mem, "%lld", (long long)(whole - r->offset))};
        said[n++] = (struct header){
            S("Content-Range"), str_fmt(&r->c->mem, "bytes %lld-%lld/%lld", (long long)r->offset,
                                        (long long)(whole - 1), (long long)whole)};
    }
    return r->to->head(r->to->arg, 206, said, n);
}

static enum err on_head(void *arg, int status, const struct header *headers, size_t count)
{
    struct resume *r = arg;
    int64_t start, end, size;
    if (status == 206) {
        struct str range = header_of(headers, count, S("content-range"));
        if (!content_range_of(range, &start, &end, &size) || start != r->offset)
            return fail(r->c, E_UPSTREAM, "the upstream's range does not begin where it was asked");
    } else if (status != 200) {
        return fail(r->c, E_UPSTREAM, "the upstream answers a blob request with %d", status);
    } else if (r->offset > 0) {
        return head_of_rest(r, headers, count);
    }
    return r->to->head(r->to->arg, status, headers, count);
}

static enum err on_data(void *arg, const void *bytes, size_t n)
{
    struct resume *r = arg;
    const char *p = bytes;
    asked_bytes(r->endpoint_id, (int64_t)n);
    size_t skip = (size_t)i64_min(r->skip, (int64_t)n);
    r->skip -= (int64_t)skip;
    return skip == n && n ? E_OK : r->to->data(r->to->arg, p + skip, n - skip);
}

enum err oci_get_blob(struct ctx *c, const struct endpoint *e, struct str repo,
                      const struct digest *d, int64_t offset, const struct client_sink *sink,
                      struct oci_status *st)
{
    struct asker a;
    struct client_answer answer;
    struct resume r = {.c = c, .to = sink, .endpoint_id = e->id, .offset = offset};
    const struct client_sink mine = {on_head, on_data, &r};
    oci_status_clear(st);
    TRY(asker_init(c, e, 0, &a));
    const struct question q = {
        .asker = &a,
        .method = HTTP_GET,
        .repo = repo,
        .url = url_of(c, &a, "blobs", repo, digest_str(d)),
        .range = offset > 0 ? str_fmt(&c->mem, "bytes=%lld-", (long long)offset) : NO_STR,
        .stall_s = c->sv->settings ? c->sv->settings->proxy_stall_s : 0,
        .sink = &mine,
    };
    TRY(ask(c, &q, &answer, st));
    if (answer.status >= 300)
        return oci_status_error(c, &a, st, E_BLOB_UNKNOWN);
    if (r.skip > 0)
        return fail(c, E_UPSTREAM, "the upstream's blob is shorter than before");
    return E_OK;
}

/* lists */

struct names { /* grows by doubling inside the arena */
    struct strs list;
    size_t cap;
};

static enum err too_many(struct ctx *c)
{
    return fail(c, E_UPSTREAM, "the upstream's tag list is too long");
}

static enum err add_name(struct ctx *c, struct names *names, struct str name)
{
    if (names->list.count == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 256;
        struct str *items = arena_array(&c->mem, cap, sizeof *items);
        if (!items)
            return too_many(c);
        if (names->list.count)
            memcpy(items, names->list.items, names->list.count * sizeof *items);
        names->list.items = items;
        names->cap = cap;
    }
    char *copy = arena_try(&c->mem, name.n + 1);
    if (!copy)
        return too_many(c);
    if (name.n)
        memcpy(copy, name.p, name.n);
    names->list.items[names->list.count++] = (struct str){copy, name.n};
    return E_OK;
}

static enum err add_page(struct ctx *c, struct str body, struct names *names)
{
    CLEANUP(json_done) json_t *root = NULL;
    if (json_parse(c, body, &root) != E_OK || !json_is_object(root))
        return fail(c, E_UPSTREAM, "the upstream's tag list is not JSON");
    const json_t *tags = json_object_get(root, "tags");
    if (!json_is_array(tags))
        return E_OK; /* null: none */
    if (json_array_size(tags) > TAGS_A_PAGE)
        return too_many(c);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *tag = json_array_get(tags, i);
        struct str text = {json_string_value(tag), json_string_length(tag)};
        if (json_is_string(tag) && name_is_tag(text)) /* else none that we could ask for */
            TRY(add_name(c, names, text));
    }
    return E_OK;
}

/* The next page's URL; empty at the end. It must be on the same registry. */
static enum err next_page(struct ctx *c, const struct asker *a, struct str url,
                          const struct client_answer *answer, struct str *out)
{
    struct url here, next;
    struct str target;
    *out = NO_STR;
    if (!link_next(answer_header(answer, "link"), &target))
        return E_OK;
    TRY(url_parse(c, url, &here));
    if (url_join(c, &here, target, &next) != E_OK || !url_same_host(&next, &a->base) ||
        next.https != a->base.https)
        return fail(c, E_UPSTREAM, "the upstream's next page is on another host");
    *out = url_text(&c->mem, &next);
    return E_OK;
}

/* Each page's own memory goes before the next one comes; names and the URL are kept. */
static enum err tag_page(struct ctx *c, const struct asker *a, struct str repo, struct str url,
                         struct names *names, struct str *next_out, struct oci_status *st)
{
    CLEANUP(ctx_release) struct ctx page = {.sv = c->sv, .request_id = c->request_id};
    struct client_answer answer;
    struct str next;
    const struct question q = {
        .asker = a,
        .method = HTTP_GET,
        .repo = repo,
        .url = url,
        .accept = S("application/json"),
        .max_body = (size_t)2 << 20,
    };
    enum err e = ask(&page, &q, &answer, st);
    if (e == E_OK && answer.status != 200)
        e = oci_status_error(&page, a, st, E_NAME_UNKNOWN);
    if (e == E_OK)
        e = next_page(&page, a, url, &answer, &next);
    st->source = str_dup(&c->mem, st->source);
    st->reason = str_dup(&c->mem, st->reason);
    c->retry_after = page.retry_after;
    if (e != E_OK)
        return fail(c, e, "%s", page.msg);
    *next_out = str_dup(&c->mem, next);
    return add_page(c, answer.body, names);
}

enum err oci_tags(struct ctx *c, const struct endpoint *e, struct str repo, struct strs *out,
                  struct oci_status *st)
{
    struct asker a;
    struct names names = {0};
    oci_status_clear(st);
    TRY(asker_init(c, e, 0, &a));
    struct str url = url_of(c, &a, "tags", repo, S("list"));
    url = str_fmt(&c->mem, "%.*s?n=1000", STR(url));
    for (int pages = 0; url.n; pages++) {
        if (pages == TAG_PAGES)
            return too_many(c);
        TRY(tag_page(c, &a, repo, url, &names, &url, st));
    }
    *out = names.list;
    return E_OK;
}

/* Takes out what is of another type: an upstream need not do it (OCI Distribution Spec, "Listing
   Referrers"), but who asks us is told that it was done. */
static void only_of_type(json_t *list, struct str type)
{
    for (size_t i = json_array_size(list); type.n && i-- > 0;) {
        struct str mine;
        if (!json_get_str(json_array_get(list, i), "artifactType", &mine) || !str_eq(mine, type))
            json_array_remove(list, i);
    }
}

/* Appends the list of one page; the first page is the whole so far. */
static enum err add_referrers(struct ctx *c, struct str body, struct str type, json_t **all)
{
    CLEANUP(json_done) json_t *page = NULL;
    json_t *list = NULL;
    if (json_parse(c, body, &page) == E_OK && json_is_object(page))
        list = json_object_get(page, "manifests");
    if (!json_is_array(list))
        return fail(c, E_UPSTREAM, "the upstream's list of referrers is not an index");
    only_of_type(list, type);
    if (!*all)
        *all = json_incref(page);
    else if (json_array_extend(json_object_get(*all, "manifests"), list) != 0)
        return fail(c, E_UNAVAILABLE, "out of memory");
    return E_OK;
}

static enum err referrer_page(struct ctx *c, const struct asker *a, struct str repo, struct str url,
                              struct client_answer *answer, struct str *next_out,
                              struct oci_status *st)
{
    const struct question q = {
        .asker = a,
        .method = HTTP_GET,
        .repo = repo,
        .url = url,
        .accept = S(MEDIA_OCI_INDEX),
        .max_body = MANIFEST_MAX,
    };
    TRY(ask(c, &q, answer, st));
    if (answer->status != 200)
        return oci_status_error(c, a, st, E_NOT_FOUND);
    return next_page(c, a, url, answer, next_out);
}

enum err oci_referrers(struct ctx *c, const struct endpoint *e, struct str repo, struct str digest,
                       struct str artifact_type, struct str *index_out, struct oci_status *st)
{
    struct asker a;
    struct client_answer answer;
    CLEANUP(json_done) json_t *all = NULL;
    size_t bytes = 0;
    oci_status_clear(st);
    TRY(asker_init(c, e, 0, &a));
    struct str url = url_of(c, &a, "referrers", repo, digest);
    if (artifact_type.n)
        url = str_fmt(&c->mem, "%.*s?artifactType=%.*s", STR(url),
                      STR(percent_encode(&c->mem, artifact_type, "/")));
    for (int pages = 0; url.n; pages++) {
        TRY(referrer_page(c, &a, repo, url, &answer, &url, st));
        bytes += answer.body.n;
        if (pages == REFERRER_PAGES || bytes > MANIFEST_MAX)
            return fail(c, E_UPSTREAM, "the upstream's list of referrers is too long");
        TRY(add_referrers(c, answer.body, artifact_type, &all));
        if (!pages && !url.n && !artifact_type.n) { /* one page, as it came */
            *index_out = answer.body;
            return E_OK;
        }
    }
    return json_text(c, all, index_out);
}

enum err oci_ping(struct ctx *c, const struct endpoint *e, struct oci_status *st)
{
    struct asker a;
    struct client_answer answer;
    oci_status_clear(st);
    TRY(asker_init(c, e, 15000, &a));
    struct str prefix = url_prefix(&a.base), host = url_authority(&c->mem, &a.base);
    const struct question q = {
        .asker = &a,
        .method = HTTP_GET,
        .url = str_fmt(&c->mem, "%s://%.*s%.*s/v2/", a.base.https ? "https" : "http", STR(host),
                       STR(prefix)),
    };
    enum err err = ask(c, &q, &answer, st);
    if (err == E_OK && answer.status != 200)
        err = oci_status_error(c, &a, st, E_UPSTREAM);
    /* without a credential there is nothing that could be refused: the registry is there */
    if (err == E_DENIED && e->access_key.n == 0 && (st->http == 401 || st->http == 403))
        return E_OK;
    return err;
}
