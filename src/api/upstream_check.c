/*
 * A look at an upstream, saved or not yet: can it be reached, does it take the account, what is
 * left of its pull limit. It asks what costs no pull: GET /v2/ with the credential, then, of a
 * vendor that has a pull limit, the HEAD of a manifest. What goes wrong upstream is the answer (200
 * with the cause), not a failure of this call.
 */
#include "api/cove.h"

#include "api/harbor.h"
#include "net/url.h"
#include "peer/oci.h"
#include "peer/vendor.h"
#include "registry/condition.h"
#include "registry/flight.h"
#include "registry/ledger.h"

#define CHECK_MS 10000

struct check {
    struct str host, account, cause, reason;
    bool reached, tls, verified, signed_in, needs_account;
    int64_t ms, status; /* of the upstream's answer; 0 = none */
    int64_t limit, remaining, window_s;
};

const struct field upstream_check_fields[] = {
    FIELD(struct check, host, 0, 0),
    FIELD(struct check, reached, 0, 0),
    FIELD(struct check, ms, 0, 0),
    FIELD(struct check, status, 0, 0),
    FIELD(struct check, tls, 0, 0),
    FIELD(struct check, verified, 0, 0),
    FIELD(struct check, account, F_OMIT, 0),
    FIELD(struct check, signed_in, 0, 0),
    FIELD(struct check, needs_account, 0, 0),
    FIELD(struct check, limit, 0, 0),
    FIELD(struct check, remaining, 0, 0),
    FIELD(struct check, window_s, 0, 0),
    FIELD(struct check, cause, F_OMIT, 0),
    FIELD(struct check, reason, F_OMIT, 0),
    FIELDS_END,
};

static struct str cause_of(enum err e, const struct oci_status *st)
{
    if (e == E_DENIED && !st->http)
        return S("policy");
    if (e == E_DENIED)
        return S("credential");
    if (e == E_UPSTREAM_TIMEOUT)
        return S("timeout");
    if (e == E_TOO_MANY)
        return S("limited");
    return st->http ? S("answer") : S("unreachable");
}

/* What the pull limit's headers say, where the vendor has one. Their absence is no trouble. */
static void ask_quota(struct ctx *c, const struct endpoint *e, struct oci_status *st)
{
    const struct vendor *v = vendor_by_type(e->type);
    struct oci_manifest ignored;
    if (v && v->quota_probe)
        (void)oci_head_manifest(c, e, str_of(v->quota_probe), S("latest"), CHECK_MS, &ignored, st);
    c->msg[0] = 0;
    c->status = 0;
    c->retry_after = 0;
}

static enum err look(struct ctx *c, const struct endpoint *e, bool stored, struct check *out)
{
    struct oci_status st = {0}, quota = {.limit = -1, .remaining = -1, .window_s = -1};
    struct url url;
    struct str address = vendor_data_url(vendor_by_type(e->type), e->url);
    TRY(url_parse(c, address, &url));
    int64_t begun = clock_mono_ms();
    enum err err = oci_ping(c, e, &st);
    bool anonymous = !e->access_key.n && !e->access_secret.n;
    *out = (struct check){
        .host = url_authority(&c->mem, &url),
        .account = e->access_key,
        .reached = st.http != 0,
        .ms = clock_mono_ms() - begun,
        .status = st.http,
        .tls = url.https,
        .verified = url.https && !e->insecure && st.http,
        .signed_in = !anonymous && err == E_OK,
        .needs_account = anonymous && (st.http == 401 || st.http == 403),
    };
    if (err != E_OK && !out->needs_account) {
        out->cause = cause_of(err, &st);
        out->reason = str_dup(&c->mem, str_of(c->msg));
    } else {
        ask_quota(c, e, &quota);
    }
    if (stored) {
        condition_note(flights_conditions(c->sv->flights), e, err, &st);
        ledger_note(c, e, &quota);
    }
    out->limit = quota.limit;
    out->remaining = quota.remaining;
    out->window_s = quota.window_s;
    c->status = 0;
    c->retry_after = 0;
    return E_OK;
}

enum err check_upstream(struct call *r)
{
    struct endpoint e;
    struct check check;
    bool stored;
    TRY(registry_of_ping(r, &e, &stored));
    TRY(look(r->c, &e, stored, &check));
    return reply_json(r, 200, upstream_check_fields, &check);
}
