/*
 * Browser sessions: /c/login, /c/log_out, /c/userExists (harbor's routes outside of /api/v2.0).
 * The id is new at each login, so that a planted cookie is worth nothing; cookie, CSRF token and
 * back-off are the business of api/auth.
 */
#include "api/harbor.h"

#include "api/auth.h"
#include "base/codec.h"
#include "rule/settings.h"

#define FORM_MAX 8192

bool form_field(struct arena *a, struct str form, struct str name, struct str *out)
{
    while (form.n) {
        struct str value = str_cut(&form, '&');
        struct str key = str_cut(&value, '=');
        struct str plain;
        if (percent_decode(a, key, true, &plain) && str_eq(plain, name))
            return percent_decode(a, value, true, out);
    }
    return false;
}

static enum err read_form(struct call *r, struct str *form)
{
    struct str type = http_header(r->http, "Content-Type");
    struct str kind = str_trim(str_cut(&type, ';'));
    if (kind.n && !str_eq_nocase(kind, S("application/x-www-form-urlencoded")))
        return fail(r->c, E_BAD_REQUEST, "expected application/x-www-form-urlencoded");
    return http_body_all(r->c, r->http, FORM_MAX, form);
}

enum err session_login(struct call *r)
{
    struct ctx *c = r->c;
    struct str form, name, password;
    struct principal who;
    TRY(read_form(r, &form));
    if (!form_field(&c->mem, form, S("principal"), &name) ||
        !form_field(&c->mem, form, S("password"), &password))
        return fail(c, E_BAD_REQUEST, "principal and password are required");
    TRY(auth_login(r, name, password, &who));
    if (who.kind != PRINCIPAL_USER)
        return fail(c, E_UNAUTHORIZED, "robots can not open a session");
    TRY(auth_session_start(r, &who));
    return reply_empty(r, 200);
}

enum err session_logout(struct call *r)
{
    TRY(auth_session_end(r));
    return reply_empty(r, 200);
}

/* The sign-up form asks whether a name or an address is taken. Only where strangers may sign up,
   or for those who may see users anyway: else it would answer who has an account. */
enum err user_exists(struct call *r)
{
    struct ctx *c = r->c;
    struct str form, target, value;
    if (!c->sv->settings->self_registration)
        TRY(call_require(r, RES_USER, ACT_LIST));
    TRY(read_form(r, &form));
    if (!form_field(&c->mem, form, S("target"), &target) ||
        !form_field(&c->mem, form, S("value"), &value))
        return fail(c, E_BAD_REQUEST, "target and value are required");
    if (!str_eq(target, S("username")) && !str_eq(target, S("email")))
        return fail(c, E_BAD_REQUEST, "target: expected username or email");
    struct str *values = arena_alloc(&c->mem, sizeof *values);
    values[0] = value;
    struct list_query q = {.term_count = 1, .page = 1, .page_size = 1};
    q.terms[0] = (struct query_term){.key = target, .op = Q_EQ, .values = {values, 1}};
    struct list users;
    int64_t total;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(user_list(c, &q, &users, &total));
    tx_end(&tx);
    return reply_text(r, 200, S("application/json"), total ? S("true") : S("false"));
}
