/*
 * Error in, envelope out: {"errors":[{"code","message"}]} for Harbor's API,
 * {"errors":[{"code","message","detail"}]} with the codes of the OCI Distribution Spec on /v2.
 * What went wrong inside (E_INTERNAL) goes to the log with the request id, not to the client.
 */
#include "api/error.h"

#include "api/authorize.h"
#include "api/dispatch.h"
#include "base/log.h"

static const char *default_text(enum err e)
{
    switch (err_status(e)) {
    case 401: return "unauthorized";
    case 403: return "forbidden";
    case 404: return "not found";
    case 409: return "conflict";
    case 503: return "service unavailable";
    default: return "the request failed";
    }
}

static struct str message_of(struct call *r, enum err e)
{
    struct ctx *c = r->c;
    if (e == E_INTERNAL) {
        log_error("api", "%.*s: %.*s %.*s: %s", STR(c->request_id), STR(r->http->method_text),
                  STR(str_sub(r->http->path, 0, 200)), c->msg);
        return S("internal server error");
    }
    return c->msg[0] ? str_of(c->msg) : str_of(default_text(e));
}

static void error_headers(struct call *r, enum err e, int status)
{
    if (status == 401 && r->challenge)
        reply_header(&r->reply, S("WWW-Authenticate"), authorize_challenge(r));
    if (r->c->retry_after > 0)
        call_header(r, "Retry-After", "%lld", (long long)r->c->retry_after);
    else if (status == 503 || status == 507)
        reply_header(&r->reply, S("Retry-After"), S("5"));
    if (status == 405) {
        struct str allow = api_allowed(r);
        if (allow.n)
            reply_header(&r->reply, S("Allow"), allow);
    }
    if (e == E_CLOSED || e == E_TIMEOUT)
        r->reply.close = true;
}

void error_reply(struct call *r, enum err e)
{
    int status = r->c->status ? r->c->status : err_status(e);
    bool oci = r->realm == REALM_REGISTRY;
    CLEANUP(buf_release) struct buf b = {.max = 16384};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_key(&j, S("errors"));
    put_open(&j, '[');
    put_open(&j, '{');
    put_key(&j, S("code"));
    put_str(&j, str_of(oci ? err_oci_code(e) : err_code(e)));
    put_key(&j, S("message"));
    put_str(&j, message_of(r, e));
    if (oci) {
        put_key(&j, S("detail"));
        put_null(&j);
    }
    put_close(&j, '}');
    put_close(&j, ']');
    put_close(&j, '}');
    buf_char(&b, '\n');
    error_headers(r, e, status);
    if (reply_json_text(r, status, buf_view(&b)) != E_OK)
        log_error("api", "an error reply failed"); /* cannot be: reply_now returns E_OK */
}
