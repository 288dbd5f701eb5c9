/*
 * Declared proxy projects.
 *
 * An entry names a project and describes its endpoint; the endpoint's row has the project's name.
 * A row is written only when something differs, so a restart bumps no epoch and drops no cached
 * token. Each entry is one transaction.
 */
#include "registry/declared.h"

#include "base/fd.h"
#include "base/log.h"
#include "meta/store.h"
#include "peer/vendor.h"
#include "registry/mirror.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <stdlib.h>

#define SECRET_MAX ((size_t)64 << 10)
#define CA_MAX ((size_t)1 << 20)

static enum err blame(struct ctx *c, const struct proxy_setting *s, const char *what)
{
    return fail(c, E_BAD_REQUEST, "proxies: %.*s: %s", STR(s->project), what);
}

static enum err read_secret(struct ctx *c, const struct proxy_setting *s, struct str *out)
{
    *out = NO_STR;
    if (s->password_file.n) {
        struct str text;
        TRY(fd_read_file(c, s->password_file, SECRET_MAX, &text));
        while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
            text.n--;
        *out = text;
        return E_OK;
    }
    if (!s->password_env.n)
        return E_OK;
    const char *value = getenv(str_c(&c->mem, s->password_env));
    if (!value)
        return blame(c, s, "the environment variable of password_env is not set");
    *out = str_dup(&c->mem, str_of(value));
    return E_OK;
}

/* The endpoint that the entry describes; id and epoch are the row's business. */
static enum err describe(struct ctx *c, const struct proxy_setting *s, struct endpoint *e)
{
    struct str type = s->type.n ? s->type : S("docker-registry");
    const struct vendor *v = vendor_by_type(type);
    if (!name_is_project(s->project))
        return blame(c, s, "project is not a project name");
    if (!v || !v->proxy)
        return blame(c, s, "type is not one that can stand behind a proxy project");
    if (!s->upstream.n && !v->fixed_url)
        return blame(c, s, "upstream is missing");
    if (s->username.n && !s->password_file.n && !s->password_env.n)
        return blame(c, s, "username without password_file or password_env");
    *e = (struct endpoint){
        .name = s->project,
        .type = type,
        .url = s->upstream.n ? s->upstream : str_of(v->fixed_url),
        .status = S("healthy"),
        .declared = true,
    };
    while (str_ends(e->url, S("/")))
        e->url.n--;
    if (!str_starts(e->url, S("http://")) && !str_starts(e->url, S("https://")))
        e->url = str_fmt(&c->mem, "https://%.*s", STR(e->url));
    if (s->ca_file.n)
        TRY(fd_read_file(c, s->ca_file, CA_MAX, &e->ca_certificate));
    TRY(read_secret(c, s, &e->access_secret));
    if (e->access_secret.n) {
        e->credential_type = S("basic");
        e->access_key = s->username;
    }
    if (s->is_public && e->access_secret.n && !s->public_with_credentials)
        return blame(c, s, "public with a credential needs public_with_credentials: true");
    return E_OK;
}

/* Upstream hosts that lead to the project: those of the entry, the vendor's, or the upstream's. */
static struct str hosts_of(struct ctx *c, const struct proxy_setting *s, const struct endpoint *e)
{
    struct str list = NO_STR;
    for (size_t i = 0; i < s->ns.count; i++) {
        struct str host = mirror_host(&c->mem, s->ns.items[i]);
        list = list.n ? str_fmt(&c->mem, "%.*s,%.*s", STR(list), STR(host)) : host;
    }
    if (list.n)
        return list;
    const struct vendor *v = vendor_by_type(e->type);
    if (v && v->ns) {
        struct str rest = str_of(v->ns);
        return mirror_host(&c->mem, str_cut(&rest, ','));
    }
    struct str host = e->url;
    (void)str_cut(&host, '/');
    (void)str_cut(&host, '/');
    return mirror_host(&c->mem, str_cut(&host, '/'));
}

static bool endpoint_differs(const struct endpoint *a, const struct endpoint *b)
{
    return !str_eq(a->type, b->type) || !str_eq(a->url, b->url) ||
           !str_eq(a->ca_certificate, b->ca_certificate) || !str_eq(a->access_key, b->access_key) ||
           !str_eq(a->access_secret, b->access_secret) || a->insecure != b->insecure ||
           a->declared != b->declared;
}

/* The endpoint's row: of the project's when there is one, else of that name. */
static enum err put_endpoint(struct ctx *c, int64_t known_id, struct endpoint *want)
{
    struct endpoint now;
    enum err err =
        known_id ? endpoint_by_id(c, known_id, &now) : endpoint_by_name(c, want->name, &now);
    if (err == E_NOT_FOUND)
        return endpoint_insert(c, want);
    TRY(err);
    want->id = now.id;
    want->name = now.name;
    want->description = now.description;
    want->credential_type = want->access_secret.n ? want->credential_type : now.credential_type;
    want->status = now.status;
    want->epoch = now.epoch;
    want->creation_time = now.creation_time;
    return endpoint_differs(&now, want) ? endpoint_update(c, want) : E_OK;
}

enum err declared_retention(struct ctx *c, struct project *p)
{
    int64_t id;
    struct str policy = str_fmt(
        &c->mem,
        "{\"algorithm\":\"or\",\"rules\":[{\"disabled\":false,\"action\":\"retain\","
        "\"template\":\"nDaysSinceLastPull\",\"params\":{\"nDaysSinceLastPull\":7},"
        "\"tag_selectors\":[{\"kind\":\"doublestar\",\"decoration\":\"matches\","
        "\"pattern\":\"**\"}],\"scope_selectors\":{\"repository\":[{\"kind\":\"doublestar\","
        "\"decoration\":\"repoMatches\",\"pattern\":\"**\"}]}}],"
        "\"trigger\":{\"kind\":\"Schedule\",\"settings\":{\"cron\":\"0 0 0 * * *\"}},"
        "\"scope\":{\"level\":\"project\",\"ref\":%lld}}",
        (long long)p->project_id);
    TRY(retention_insert(c, p->project_id, policy, &id));
    p->retention_id = str_fmt(&c->mem, "%lld", (long long)id);
    return project_update(c, p);
}

static enum err insert_project(struct ctx *c, const struct proxy_setting *s, int64_t endpoint_id,
                               struct str hosts)
{
    struct project p = {
        .name = s->project,
        .owner_id = 1,
        .registry_id = endpoint_id,
        .is_public = s->is_public,
        .declared = true,
        .storage_limit = -1,
        .proxy_ns = hosts,
        .public_with_credentials = s->public_with_credentials ? S("true") : NO_STR,
    };
    TRY(project_insert(c, &p));
    log_info("proxies", "project %.*s is made as cove.yml says", STR(p.name));
    return declared_retention(c, &p);
}

static enum err update_project(struct ctx *c, const struct proxy_setting *s, struct project *p,
                               struct str hosts)
{
    struct str with = s->public_with_credentials ? S("true") : NO_STR;
    if (p->declared && p->is_public == s->is_public && str_eq(p->proxy_ns, hosts) &&
        str_eq(p->public_with_credentials, with))
        return E_OK;
    p->declared = true;
    p->is_public = s->is_public;
    p->proxy_ns = hosts;
    p->public_with_credentials = with;
    return project_update(c, p);
}

static enum err reconcile(struct ctx *c, const struct proxy_setting *s)
{
    struct endpoint want;
    struct project p = {0};
    TRY(describe(c, s, &want));
    struct str hosts = hosts_of(c, s, &want);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    enum err err = project_by_name(c, s->project, &p);
    bool exists = err == E_OK;
    if (err != E_OK && err != E_NOT_FOUND)
        return err;
    if (exists && !p.registry_id)
        return blame(c, s, "there is a project of that name, and it is no proxy");
    TRY(put_endpoint(c, p.registry_id, &want));
    if (exists)
        TRY(update_project(c, s, &p, hosts));
    else
        TRY(insert_project(c, s, want.id, hosts));
    return tx_commit(&tx);
}

static bool is_declared(const struct settings *settings, struct str project)
{
    for (size_t i = 0; i < settings->proxy_count; i++)
        if (str_eq(settings->proxies[i].project, project))
            return true;
    return false;
}

/* One page of projects: those whose entry is gone become ordinary, with their endpoints. */
static enum err release_page(struct ctx *c, int64_t page, int64_t *total)
{
    struct principal all = {.kind = PRINCIPAL_USER, .sysadmin = true};
    struct project_filter filter = {.principal = &all, .is_public = -1};
    struct list_query q = {.page = page, .page_size = 100};
    struct list list;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(project_list(c, &filter, &q, &list, total));
    struct project *p = list.items;
    for (size_t i = 0; i < list.count; i++) {
        if (!p[i].declared || is_declared(c->sv->settings, p[i].name))
            continue;
        struct endpoint e;
        p[i].declared = false;
        TRY(project_update(c, &p[i]));
        if (endpoint_by_id(c, p[i].registry_id, &e) == E_OK && e.declared) {
            e.declared = false;
            TRY(endpoint_update(c, &e));
        }
        log_info("proxies", "project %.*s is no longer in cove.yml; it stays as an ordinary one",
                 STR(p[i].name));
    }
    return tx_commit(&tx);
}

enum err declared_reconcile(struct ctx *c)
{
    const struct settings *s = c->sv->settings;
    for (size_t i = 0; i < s->proxy_count; i++)
        TRY(reconcile(c, &s->proxies[i]));
    int64_t total = 1;
    for (int64_t page = 1; (page - 1) * 100 < total; page++)
        TRY(release_page(c, page, &total));
    return E_OK;
}
