/*
 * Project metadata: Harbor's map of texts, one column per known key. This file holds what a value
 * may be, who may set it, and the five operations on single keys.
 *
 * Two keys are for system admins alone: proxy_ns, because it decides which upstream host the
 * mirror serves from which project, and public_with_credentials, because it opens to everybody
 * what the endpoint's credential can read. retention_id is the server's.
 */
#include "api/harbor.h"

#include "registry/projects.h"
#include "rule/evict.h"
#include "rule/glob.h"
#include "rule/hold.h"
#include "rule/regex.h"

#include <inttypes.h>

enum value_kind {
    V_TEXT,
    V_BOOL,
    V_COUNT,
    V_LIMIT,
    V_SEVERITY,
    V_FILTER_KIND,
    V_HOURS,
    V_PATTERNS,
    V_NEW,
    V_PINS,
    V_SERVER
};

struct key_rule {
    const char *key;
    enum value_kind kind;
    bool proxy;    /* for proxy projects alone */
    bool local;    /* for ordinary projects alone */
    bool sysadmin; /* system admins alone set it */
    bool declared; /* comes from cove.yml for a declared project */
};

static const struct key_rule key_rules[] = {
    {"public", V_BOOL, .declared = true},
    {"enable_content_trust", V_BOOL, .local = true},
    {"enable_content_trust_cosign", V_BOOL},
    {"prevent_vul", V_BOOL},
    {"severity", V_SEVERITY},
    {"auto_scan", V_BOOL},
    {"auto_sbom_generation", V_BOOL},
    {"reuse_sys_cve_allowlist", V_BOOL},
    {"retention_id", V_SERVER},
    {"proxy_speed_kb", V_LIMIT, .proxy = true},
    {"max_upstream_conn", V_LIMIT, .proxy = true},
    {"proxy_cache_local_on_not_found", V_BOOL, .proxy = true},
    {"proxy_referrer_api", V_BOOL, .proxy = true},
    {"proxy_cache_filter_pattern", V_TEXT, .proxy = true},
    {"proxy_cache_filter_kind", V_FILTER_KIND, .proxy = true},
    {"proxy_window_s", V_COUNT, .proxy = true},
    {"proxy_budget_ms", V_COUNT, .proxy = true},
    {"proxy_max_stale_s", V_COUNT, .proxy = true},
    {"proxy_pins", V_PINS, .proxy = true},
    {"proxy_ns", V_TEXT, .proxy = true, .sysadmin = true, .declared = true},
    {"proxy_hold_hours", V_HOURS, .proxy = true},
    {"proxy_hold_except", V_PATTERNS, .proxy = true},
    {"proxy_hold_new", V_NEW, .proxy = true},
    {"public_with_credentials", V_BOOL, .proxy = true, .sysadmin = true, .declared = true},
};

const struct field metadata_fields[] = {
    FIELD(struct metadata, public, F_OMIT, 16),
#define X(name) FIELD(struct metadata, name, F_OMIT, 1024),
    PROJECT_METADATA(X)
#undef X
        FIELDS_END,
};

struct str *metadata_slot(struct metadata *m, struct str key)
{
    const struct field *f = field_by_name(metadata_fields, key);
    return f ? (struct str *)(void *)((char *)m + f->off) : NULL;
}

void metadata_of(const struct project *p, struct metadata *out)
{
    out->public = p->is_public ? S("true") : S("false");
#define X(name) out->name = p->name;
    PROJECT_METADATA(X)
#undef X
}

static bool one_of(struct str v, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(v, str_of(*words)))
            return true;
    return false;
}

static enum err check_value(struct ctx *c, const struct key_rule *rule, struct str v)
{
    static const char *const severities[] = {"none", "low", "medium", "high", "critical", NULL};
    static const char *const filters[] = {"doublestar", "regex", NULL};
    static const char *const fresh[] = {"pass", "wait", NULL};
    int64_t n;
    bool b, ok = true;
    switch (rule->kind) {
    case V_BOOL: ok = str_to_bool(v, &b); break;
    case V_COUNT: ok = str_to_i64(v, &n) && n >= 0; break;
    case V_LIMIT: ok = str_to_i64(v, &n) && n >= -1; break;
    case V_SEVERITY: ok = one_of(v, severities); break;
    case V_FILTER_KIND: ok = one_of(v, filters); break;
    case V_HOURS: ok = hold_hours(v, &n); break;
    case V_PATTERNS: ok = hold_patterns_good(v); break;
    case V_NEW: ok = one_of(v, fresh); break;
    case V_PINS: ok = !evict_pins_check(v); break;
    case V_TEXT:
    case V_SERVER: break;
    }
    return ok ? E_OK : fail(c, E_BAD_REQUEST, "invalid value of %s: %.*s", rule->key, STR(v));
}

static enum err apply_key(struct call *r, const struct key_rule *rule, struct str v, struct str old,
                          struct str *slot)
{
    struct ctx *c = r->c;
    if (str_eq(v, old))
        return E_OK;
    if (v.n)
        TRY(check_value(c, rule, v));
    if (rule->sysadmin && !r->principal.sysadmin)
        return fail(c, E_FORBIDDEN, "only system admins may set %s", rule->key);
    *slot = v.n ? v : NO_STR;
    return E_OK;
}

/* The pattern and its kind come one by one, so they are looked at together. */
static enum err check_filter(struct ctx *c, const struct metadata *m)
{
    bool regex = str_eq(m->proxy_cache_filter_kind, S("regex"));
    struct str pattern = m->proxy_cache_filter_pattern;
    const char *wrong = regex ? regex_check(pattern) : glob_check(pattern);
    return wrong ? fail(c, E_BAD_REQUEST, "invalid value of proxy_cache_filter_pattern: %s", wrong)
                 : E_OK;
}

enum err metadata_apply(struct call *r, const struct metadata *m, struct project *p)
{
    struct ctx *c = r->c;
    struct metadata wanted = *m, now;
    metadata_of(p, &now);
    for (size_t i = 0; i < COUNT(key_rules); i++) {
        const struct key_rule *rule = &key_rules[i];
        struct str v = *metadata_slot(&wanted, str_of(rule->key));
        struct str *slot = metadata_slot(&now, str_of(rule->key));
        bool fits = p->registry_id ? !rule->local : !rule->proxy;
        if (!v.p || !fits || rule->kind == V_SERVER)
            continue;
        if (p->declared && rule->declared && !str_eq(v, *slot))
            return fail(c, E_CONFLICT, "project %.*s is declared in cove.yml: change %s there",
                        STR(p->name), rule->key);
        TRY(apply_key(r, rule, v, *slot, slot));
    }
    if (m->proxy_cache_filter_pattern.p || m->proxy_cache_filter_kind.p)
        TRY(check_filter(c, &now));
    p->is_public = str_eq(now.public, S("true"));
#define X(name) p->name = now.name;
    PROJECT_METADATA(X)
#undef X
    return E_OK;
}

/* ---- the five operations -------------------------------------------------------------------- */

static enum err reply_metadata(struct call *r, const struct metadata *m)
{
    return reply_json(r, 200, metadata_fields, m);
}

enum err list_project_metadatas(struct call *r)
{
    struct metadata m;
    metadata_of(&r->access.project, &m);
    return reply_metadata(r, &m);
}

enum err get_project_metadata(struct call *r)
{
    struct str key = call_param(r, "meta_name");
    struct metadata m, one = {0};
    metadata_of(&r->access.project, &m);
    struct str *v = metadata_slot(&m, key);
    if (!v || !v->p)
        return fail(r->c, E_NOT_FOUND, "metadata %.*s is not set", STR(key));
    *metadata_slot(&one, key) = *v;
    return reply_metadata(r, &one);
}

/* The one key of a body; Harbor takes one at a time. */
static enum err single_key(struct call *r, const struct metadata *body, struct str *key)
{
    size_t given = 0;
    struct metadata m = *body;
    for (const struct field *f = metadata_fields; f->name; f++)
        if (metadata_slot(&m, str_of(f->name))->p) {
            given++;
            *key = str_of(f->name);
        }
    if (given != 1)
        return fail(r->c, E_BAD_REQUEST, "expected exactly one known metadata key");
    return E_OK;
}

static enum err change_key(struct call *r, const struct metadata *body, struct str key, bool add)
{
    struct ctx *c = r->c;
    struct project p;
    struct endpoint e = {0};
    struct metadata now;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(project_by_id(c, r->access.project.project_id, &p));
    metadata_of(&p, &now);
    if (str_eq(key, S("retention_id")))
        return fail(c, E_BAD_REQUEST, "retention_id is set by the server");
    if (add && metadata_slot(&now, key)->p)
        return fail(c, E_CONFLICT, "metadata %.*s is set already", STR(key));
    TRY(metadata_apply(r, body, &p));
    if (p.registry_id)
        TRY(endpoint_by_id(c, p.registry_id, &e));
    TRY(project_check_exposure(c, &p, &e));
    TRY(project_update(c, &p));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

enum err add_project_metadatas(struct call *r)
{
    const struct metadata *body = r->body;
    struct str key = NO_STR;
    TRY(single_key(r, body, &key));
    return change_key(r, body, key, true);
}

enum err update_project_metadata(struct call *r)
{
    const struct metadata *body = r->body;
    struct str name = call_param(r, "meta_name"), key = NO_STR;
    TRY(single_key(r, body, &key));
    if (!str_eq(name, key))
        return fail(r->c, E_BAD_REQUEST, "the body must hold the key %.*s", STR(name));
    return change_key(r, body, key, false);
}

enum err delete_project_metadata(struct call *r)
{
    struct ctx *c = r->c;
    struct str key = call_param(r, "meta_name");
    struct metadata now, wanted = {0};
    metadata_of(&r->access.project, &now);
    struct str *v = metadata_slot(&now, key);
    if (!v || !v->p)
        return fail(c, E_NOT_FOUND, "metadata %.*s is not set", STR(key));
    if (str_eq(key, S("public")))
        return fail(c, E_BAD_REQUEST, "public can be changed, not deleted");
    *metadata_slot(&wanted, key) = S(""); /* empty, not absent: unsets it */
    return change_key(r, &wanted, key, false);
}
