/*
 * Projects. Harbor's metadata are columns, one per known key; a text without pointer is unset.
 * project_access is statement (2) of a manifest GET: the project, its endpoint and the roles of one
 * principal in it, in one row.
 */
#ifndef META_PROJECT_H
#define META_PROJECT_H

#include "meta/endpoint.h"
#include "meta/principal.h"

/* Harbor's keys, then Cove's own: freshness window in seconds, budget in milliseconds, longest
   staleness in seconds (unset = no limit), upstream hosts served for ?ns= (comma list), how
   long a moved tag is held back (rule/hold.h), patterns of what is never evicted (rule/evict.h). */
/* clang-format off */
#define PROJECT_METADATA(X)                                                                        \
    X(enable_content_trust) X(enable_content_trust_cosign) X(prevent_vul) X(severity)              \
    X(auto_scan) X(auto_sbom_generation) X(reuse_sys_cve_allowlist) X(retention_id)                \
    X(proxy_speed_kb) X(max_upstream_conn) X(proxy_cache_local_on_not_found)                       \
    X(proxy_referrer_api) X(proxy_cache_filter_pattern) X(proxy_cache_filter_kind)                 \
    X(proxy_window_s) X(proxy_budget_ms) X(proxy_max_stale_s) X(proxy_ns)                          \
    X(public_with_credentials) X(proxy_hold_hours) X(proxy_hold_except) X(proxy_hold_new)          \
    X(proxy_pins)
/* clang-format on */

struct project {
    int64_t project_id;
    struct str name;
    int64_t owner_id;
    struct str owner_name; /* as repo_count */
    int64_t registry_id;   /* endpoint of a proxy project; 0 = ordinary */
    bool is_public;
    bool declared;                       /* from cove.yml */
    int64_t storage_limit, storage_used; /* bytes; limit -1 = none */
    int64_t repo_count;                  /* filled by lists and by project_by_* */
    struct timestamp creation_time, update_time;
#define X(name) struct str name;
    PROJECT_METADATA(X)
#undef X
};
extern const struct field project_row_fields[];

struct project_access {
    struct project project;
    struct endpoint endpoint; /* id 0 when the project has none */
    struct i64s roles;        /* enum role, of the principal, by membership */
};

/* By name, or by id when by_id is not 0. E_NOT_FOUND. */
enum err project_access_for(struct ctx *c, struct str name, int64_t by_id,
                            const struct principal *p, struct project_access *out);
/* The proxy project that serves an upstream host (?ns=, mirror); E_NOT_FOUND. */
enum err project_access_for_ns(struct ctx *c, struct str host, const struct principal *p,
                               struct project_access *out);

enum err project_insert(struct ctx *c, struct project *p); /* E_CONFLICT: the name is taken */
enum err project_by_id(struct ctx *c, int64_t id, struct project *out);
enum err project_by_name(struct ctx *c, struct str name, struct project *out);
/* Those that the principal sees; NULL terms are ignored. */
struct project_filter {
    const struct principal *principal; /* sysadmin: all */
    struct str name;                   /* part of the name */
    struct str owner;
    int is_public; /* -1 = both */
};
enum err project_list(struct ctx *c, const struct project_filter *f, const struct list_query *q,
                      struct list *out, int64_t *total);
enum err project_update(struct ctx *c, const struct project *p);
enum err project_delete(struct ctx *c, int64_t id); /* E_PRECONDITION while it has repositories */
/* Adds to storage_used under the row's lock; E_DENIED in Harbor's words when it would exceed the
   limit and enforce is set. */
enum err project_charge(struct ctx *c, int64_t id, int64_t bytes, bool enforce);

#endif
