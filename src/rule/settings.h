/*
 * The one list of configuration keys: it serves cove.yml, the COVE_* environment, --help, the docs
 * and systeminfo. A key a.b_c is `a:` with `b_c:` in the file and COVE_A_B_C in the environment;
 * the environment wins. config.c fills it; rooms read it and never change it.
 */
#ifndef RULE_SETTINGS_H
#define RULE_SETTINGS_H

#include "base/str.h"

/* kind, member, key, default, help. Kinds: STR, I64, BOOL, LIST (comma-separated in the
   environment, a sequence in the file). */
#define SETTINGS_LIST(X)                                                                           \
    X(STR, listen, "listen", "127.0.0.1:5000", "address and port of the registry and the API")     \
    X(STR, data, "data", "cove-data", "directory of blobs, SQLite database and key")               \
    X(STR, database, "database", "", "postgres://... ; empty = SQLite in the data directory")      \
    X(STR, external_url, "external_url", "", "URL that clients use; empty = the request's host")   \
    X(STR, admin_password, "admin_password", "", "password of admin at first start")               \
    X(STR, admin_password_file, "admin_password_file", "", "file that holds it")                   \
    X(STR, key_file, "key_file", "", "key that seals secrets at rest; empty = DATA/key")           \
    X(STR, tls_cert, "tls.cert", "", "PEM certificate chain; empty = plain HTTP")                  \
    X(STR, tls_key, "tls.key", "", "PEM private key")                                              \
    X(STR, mirror_listen, "mirror.listen", "", "address of the Docker Hub mirror; empty = off")    \
    X(LIST, mirror_hosts, "mirror.hosts", "", "host names that are a Docker Hub mirror as well")   \
    X(LIST, mirror_allow, "mirror.allow", "127.0.0.0/8,::1/128", "who may pull from the mirror")   \
    X(LIST, forwarded_from, "forwarded.from", "", "addresses whose X-Forwarded-* are believed")    \
    X(LIST, outbound_allow, "outbound.allow", "", "private addresses that API targets may have")   \
    X(STR, outbound_proxy, "outbound.proxy", "", "HTTP proxy for upstream requests")               \
    X(LIST, outbound_no_proxy, "outbound.no_proxy", "", "hosts reached without the proxy")         \
    X(STR, outbound_ca_file, "outbound.ca_file", "", "PEM bundle trusted beside the system's")     \
    X(STR, registry_compat, "registry.compat", "oci", "oci or harbor, where Harbor differs")       \
    X(BOOL, proxy_offline, "proxy.offline", "false", "serve the cache, ask nobody")                \
    X(STR, proxy_range, "proxy.range", "serve", "serve or wait: a Range on a blob still filling")  \
    X(I64, proxy_window_s, "proxy.window_s", "0",                                                  \
      "seconds in which a checked tag counts as fresh")                                            \
    X(I64, proxy_budget_ms, "proxy.budget_ms", "900",                                              \
      "wait for upstream before serving the cache")                                                \
    X(I64, proxy_stall_s, "proxy.stall_s", "30",                                                   \
      "give up a blob's connection below 1 KiB/s for so long, and resume")                         \
    X(STR, proxy_free_floor, "proxy.free_floor", "",                                               \
      "bytes or percent of the file system that proxy caches leave free")                          \
    X(LIST, proxy_quota_floor, "proxy.quota_floor", "10%",                                         \
      "part of a pull limit kept for people: 10%, 20, or registry=25%")                            \
    X(STR, proxy_refresh, "proxy.refresh", "", "when cached tags are looked at: six-field cron")   \
    X(I64, proxy_refresh_days, "proxy.refresh_days", "7",                                          \
      "those that were pulled in so many days")                                                    \
    X(I64, server_threads, "server.threads", "4096", "most requests being answered at once")       \
    X(I64, server_connections, "server.connections", "12000", "most open client connections")      \
    X(I64, gc_grace_s, "gc.grace_s", "86400", "age before an unused blob may be deleted")          \
    X(I64, gc_interval_s, "gc.interval_s", "600", "pause between garbage collections; 0 = never")  \
    X(I64, gc_lease_s, "gc.lease_s", "86400", "time that a pushed blob waits for its manifest")    \
    X(STR, store_reserve, "store.reserve", "auto",                                                 \
      "free space that pushes and caches leave: bytes, percent or auto")                           \
    X(I64, scrub_rate, "scrub.rate", "20", "MiB a second that scrub reads; 0 = no limit")          \
    X(I64, scrub_interval_s, "scrub.interval_s", "2592000",                                        \
      "age of a blob's last proof at which it is hashed again; 0 = never")                         \
    X(I64, upload_expiry_s, "upload.expiry_s", "86400", "life of an unfinished upload")            \
    X(I64, token_expiry_s, "token.expiry_s", "1800", "life of a registry token")                   \
    X(I64, session_timeout_s, "session.timeout_s", "3600", "life of an idle browser session")      \
    X(STR, project_creation, "project_creation", "everyone", "everyone or adminonly")              \
    X(BOOL, self_registration, "self_registration", "false", "may strangers create a user")        \
    X(STR, robot_prefix, "robot_prefix", "robot$", "prefix of robot names")                        \
    X(I64, storage_per_project, "storage_per_project", "-1", "default quota in bytes; -1 = none")  \
    X(STR, log_level, "log.level", "info", "error, warn, info or debug")                           \
    X(BOOL, log_access, "log.access", "true", "a JSON line per request on stdout")

/* An entry of proxies: in cove.yml. */
struct proxy_setting {
    struct str project, upstream, type, username, password_file, password_env, ca_file;
    struct strs ns; /* upstream host names that ?ns= and the mirror map to this project */
    bool is_public, public_with_credentials;
};

#define SETTING_TYPE_STR struct str
#define SETTING_TYPE_I64 int64_t
#define SETTING_TYPE_BOOL bool
#define SETTING_TYPE_LIST struct strs

enum setting {
#define X(kind, member, key, value, help) SETTING_##member,
    SETTINGS_LIST(X)
#undef X
        SETTING_COUNT
};

struct settings {
    struct str from[SETTING_COUNT]; /* "default", "cove.yml:12" or "COVE_LISTEN" */
#define X(kind, member, key, value, help) SETTING_TYPE_##kind member;
    SETTINGS_LIST(X)
#undef X
    struct proxy_setting *proxies;
    size_t proxy_count;
    struct str file; /* where it came from, for messages; empty without a file */
};

#endif
