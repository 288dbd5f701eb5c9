/*
 * An endpoint as seen by one call, and what its answers mean. Nothing a stranger says goes on
 * unfiltered: reasons are shortened and made printable before they reach a message.
 */
#include "peer/asker.h"

#include "base/clock.h"
#include "base/json.h"
#include "peer/asked.h"
#include "peer/ratelimit.h"

#define REASON_MAX ((size_t)200)

enum err asker_init(struct ctx *c, const struct endpoint *e, int64_t budget_ms, struct asker *out)
{
    struct asker a = {.endpoint = e, .vendor = vendor_by_type(e->type)};
    a.target = (struct client_target){
        .endpoint_id = e->id,
        .epoch = e->epoch,
        .base_url = vendor_data_url(a.vendor, e->url),
        .insecure = e->insecure,
        .ca_pem = e->ca_certificate,
        .declared = e->declared,
    };
    TRY(url_parse(c, a.target.base_url, &a.base));
    a.deadline = budget_ms > 0 ? clock_mono_ms() + budget_ms : 0;
    *out = a;
    return E_OK;
}

enum err asker_do(struct ctx *c, const struct asker *a, struct client_call *call,
                  struct client_answer *out)
{
    call->target = &a->target;
    if (a->deadline) {
        int64_t left = a->deadline - clock_mono_ms();
        if (left <= 0)
            return fail(c, E_UPSTREAM_TIMEOUT, "%.*s: the time for this request is over",
                        STR(a->base.host));
        call->total_ms = call->total_ms > 0 ? i64_min(call->total_ms, left) : left;
    }
    int64_t begun = clock_mono_us();
    enum err e = client_do(c, c->sv->client, call, out);
    asked_note(a->endpoint->id, e, e == E_OK ? out->status : 0, clock_mono_us() - begun,
               call->sink != NULL);
    if (e == E_OK)
        asked_bytes(a->endpoint->id, (int64_t)out->body.n);
    return e;
}

void oci_status_clear(struct oci_status *st)
{
    *st = (struct oci_status){.limit = -1, .remaining = -1, .window_s = -1};
}

struct str printable(struct ctx *c, struct str text)
{
    char *out = arena_alloc(&c->mem, REASON_MAX + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n && n < REASON_MAX; i++) {
        char ch = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : ' ';
        if (ch != ' ' || (n && out[n - 1] != ' '))
            out[n++] = ch;
    }
    return str_trim((struct str){out, n});
}

/* {"errors":[{"code","message"}]}, {"message"}, {"details"}, or the text itself. */
static struct str reason_of(struct ctx *c, struct str body)
{
    CLEANUP(json_done) json_t *root = NULL;
    struct str text;
    body = str_trim(body);
    if (body.n == 0 || body.p[0] == '<')
        return NO_STR;
    if (body.p[0] != '{' || json_parse(c, body, &root) != E_OK)
        return printable(c, body);
    const json_t *first = json_array_get(json_object_get(root, "errors"), 0);
    if ((json_get_str(first, "message", &text) && text.n) ||
        (json_get_str(first, "code", &text) && text.n) || json_get_str(root, "message", &text) ||
        json_get_str(root, "details", &text))
        return printable(c, text);
    return NO_STR;
}

void oci_status_note(struct ctx *c, const struct client_answer *answer, bool manifest,
                     struct oci_status *st)
{
    int64_t window;
    oci_status_clear(st);
    st->http = answer->status;
    struct str limit = answer_header(answer, "ratelimit-limit");
    struct str remaining = answer_header(answer, "ratelimit-remaining");
    if (limit.n && !ratelimit_parse(limit, &st->limit, &st->window_s))
        st->limit = st->window_s = -1;
    if (remaining.n && ratelimit_parse(remaining, &st->remaining, &window))
        st->window_s = st->window_s < 0 ? window : st->window_s;
    st->source = printable(c, answer_header(answer, "docker-ratelimit-source"));
    struct str retry = answer_header(answer, "retry-after");
    if (retry.n && !retry_after_parse(retry, clock_now(), &st->retry_after_s))
        st->retry_after_s = 0;
    if (answer->status >= 400)
        st->reason = reason_of(c, answer->body);
    st->pull_limit =
        answer->status == 429 && ratelimit_is_pull_limit(manifest, answer->body, st->remaining);
}

enum err oci_status_error(struct ctx *c, const struct asker *a, const struct oci_status *st,
                          enum err not_found)
{
    struct str name = a->endpoint->name.n ? a->endpoint->name : a->base.host;
    const char *colon = st->reason.n ? ": " : "";
    enum err e = E_UPSTREAM;
    if (st->http == 404)
        e = not_found;
    if (st->http == 401 || st->http == 403)
        e = E_DENIED;
    if (st->http == 429)
        e = E_TOO_MANY;
    if (st->http == 429 || st->http == 503)
        c->retry_after = st->retry_after_s;
    return fail(c, e, "upstream %.*s answers %d%s%.*s", STR(name), st->http, colon,
                STR(st->reason));
}
