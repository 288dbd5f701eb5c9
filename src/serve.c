/*
 * Start: settings -> lock -> seal key -> database -> store -> admin -> declared proxies -> client,
 * upstreams, flights -> API -> server -> housekeeper. Each step's failure is one line on stderr and
 * exit 1; what was started is stopped again. One thread waits for signals: SIGTERM and SIGINT drain
 * and end with 0, SIGHUP reads the settings that may change and the certificate again.
 */
#include "serve.h"

#include "api/accesslog.h"
#include "api/auth.h"
#include "api/control.h"
#include "api/dispatch.h"
#include "base/crypt.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/metric.h"
#include "blob/reserve.h"
#include "blob/store.h"
#include "config.h"
#include "jobs/housekeeper.h"
#include "jobs/worker.h"
#include "meta/store.h"
#include "meta/user.h"
#include "net/client.h"
#include "net/server.h"
#include "peer/oci.h"
#include "registry/burn.h"
#include "registry/condition.h"
#include "registry/declared.h"
#include "registry/flight.h"
#include "registry/ledger.h"
#include "registry/readonly.h"
#include "rule/name.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADMIN_ID 1

struct life {
    struct ctx c;
    struct arena mem; /* settings */
    struct settings settings;
    struct services sv;
    int lock;
    struct api *api;
    struct server *server;
    bool admin_made;           /* the password was made up and stands in a file */
    struct str admin_password; /* to be set; empty when the database has one */
    struct str new_key;        /* the key file that was made; empty when it was there */
    pthread_t admin;
    bool admin_running;
    atomic_bool failed;
    pthread_t signals;
    struct housekeeper *keeper;
    struct worker *worker;
    struct control *control;
    struct str config;
};

/* ---- the first administrator -------------------------------------------------------------- */

static enum err write_secret(struct ctx *c, struct str path, struct str text)
{
    CLEANUP(fd_done)
    int fd =
        open(str_c(&c->mem, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !fd_write_all(fd, text.p, text.n) || !fd_write_all(fd, "\n", 1) || fsync(fd) != 0)
        return fail_errno(c, E_INTERNAL, errno, "%.*s", STR(path));
    int64_t slash = str_rfind(path, '/');
    return fd_sync_dir(c, str_sub(path, 0, (size_t)slash));
}

static enum err given_password(struct life *l, struct str *out)
{
    const struct settings *s = &l->settings;
    *out = s->admin_password;
    if (s->admin_password_file.n) {
        TRY(fd_read_file(&l->c, s->admin_password_file, 4096, out));
        while (out->n && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
            out->n--;
    }
    if (!out->n)
        return E_OK;
    if (str_eq(*out, S("Harbor12345")))
        return fail(&l->c, E_BAD_REQUEST,
                    "the administrator's password must not be Harbor's well-known one");
    enum err e = password_acceptable(&l->c, *out);
    if (e != E_OK) {
        struct str why = str_dup(&l->c.mem, str_of(l->c.msg));
        return fail(&l->c, e, "admin_password: %.*s", STR(why));
    }
    return E_OK;
}

/* Its 20 ms are not waited for: from the first answer on, logins do that (auth_hold). So nobody can
   change anything before all that a first start makes is durable. */
static enum err set_admin(struct ctx *c, struct str new_key, struct str password)
{
    struct str hash;
    TRY(password_hash(c, password, &hash));
    if (new_key.n)
        TRY(seal_key_settle(c, new_key));
    TRY(db_settle(c));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(user_set_password(c, ADMIN_ID, hash));
    return tx_commit(&tx);
}

static void *admin_thread(void *arg)
{
    struct life *l = arg;
    CLEANUP(ctx_release) struct ctx c = {.sv = &l->sv, .actor = S("cove")};
    if (set_admin(&c, l->new_key, l->admin_password) != E_OK) {
        log_error("serve", "the administrator's password cannot be set, stopping: %s", c.msg);
        atomic_store(&l->failed, true);
        kill(getpid(), SIGTERM);
    }
    auth_go_on();
    return NULL;
}

static enum err first_admin(struct life *l)
{
    struct ctx *c = &l->c;
    struct user admin = {0};
    struct str password;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(user_by_id(c, ADMIN_ID, &admin));
    }
    if (admin.password_hash.n)
        return l->new_key.n ? seal_key_settle(c, l->new_key) : E_OK;
    TRY(given_password(l, &password));
    if (!password.n && l->settings.database.n)
        return fail(c, E_BAD_REQUEST,
                    "the first start on PostgreSQL needs COVE_ADMIN_PASSWORD or _FILE");
    if (!password.n) {
        password = random_text(&c->mem, 24);
        TRY(write_secret(c, str_fmt(&c->mem, "%.*s/admin-password", STR(l->settings.data)),
                         password));
        l->admin_made = true;
    }
    l->admin_password = password;
    auth_hold();
    if (l->admin_made)
        fprintf(stderr,
                "cove: first start: user admin, password %.*s (also in %.*s/admin-password)\n",
                STR(password), STR(l->settings.data));
    return E_OK;
}

/* ---- start -------------------------------------------------------------------------------- */

static enum err load_key(struct life *l)
{
    static struct seal_key key;
    const struct settings *s = &l->settings;
    if (s->database.n && !s->key_file.n)
        return fail(&l->c, E_BAD_REQUEST,
                    "on PostgreSQL key_file (COVE_KEY_FILE) must be given: all nodes share it");
    struct str path = s->key_file.n ? s->key_file : str_fmt(&l->c.mem, "%.*s/key", STR(s->data));
    TRY(seal_key_load(&l->c, path, !s->key_file.n, &key));
    if (key.made)
        l->new_key = path;
    meta_set_seal_key(&key);
    return E_OK;
}

static enum err open_data(struct life *l)
{
    struct ctx *c = &l->c;
    TRY(store_lock(c, l->settings.data, &l->lock));
    TRY(reserve_tend(c));
    TRY(load_key(l));
    TRY(db_open(c, &(struct db_options){.url = l->settings.database, .data = l->settings.data},
                &l->sv.db));
    TRY(store_open(c, &(struct store_options){.data = l->settings.data, .lock = &l->lock},
                   &l->sv.store));
    return first_admin(l);
}

static enum err open_outside(struct life *l)
{
    const struct settings *s = &l->settings;
    struct client_options o = {.allow = s->outbound_allow,
                               .proxy = s->outbound_proxy,
                               .no_proxy = s->outbound_no_proxy,
                               .ca_file = s->outbound_ca_file};
    TRY(client_new(&l->c, &o, &l->sv.client));
    l->sv.upstreams = upstreams_new();
    l->sv.flights = flights_new(&l->sv);
    if (!l->sv.upstreams || !l->sv.flights)
        return fail(&l->c, E_INTERNAL, "out of memory");
    TRY(ledger_load(&l->c));
    TRY(read_only_read(&l->c));
    metric_collect(ledger_metric, NULL);
    metric_collect(burn_metric, NULL);
    metric_collect(conditions_metric, flights_conditions(l->sv.flights));
    return E_OK;
}

static enum err open_server(struct life *l)
{
    const struct settings *s = &l->settings;
    struct server_listener listeners[2] = {
        {.address = s->listen, .tls = s->tls_cert.n > 0, .id = LISTENER_MAIN},
        {.address = s->mirror_listen, .tls = false, .id = LISTENER_MIRROR},
    };
    struct server_options o = {.listeners = listeners,
                               .listener_count = s->mirror_listen.n ? 2 : 1,
                               .tls_cert = s->tls_cert,
                               .tls_key = s->tls_key,
                               .forwarded_from = s->forwarded_from,
                               .max_threads = s->server_threads,
                               .max_connections = s->server_connections,
                               .handle = api_handle,
                               .arg = l->api};
    return server_new(&l->c, &o, &l->server);
}

static void settle_log(const struct settings *s)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq(s->log_level, str_of(names[i])))
            log_set_level((enum log_level)i);
    accesslog_on(s->log_access);
}

static enum err start(struct life *l)
{
    TRY(config_load(&l->c, &l->mem, l->config, &l->settings));
    l->sv.settings = &l->settings;
    l->c.sv = &l->sv;
    settle_log(&l->settings);
    TRY(crypt_begin(&l->c));
    TRY(log_start(&l->c));
    TRY(open_data(l));
    TRY(declared_reconcile(&l->c));
    TRY(open_outside(l));
    TRY(api_new(&l->c, &l->sv, &l->api));
    return open_server(l);
}

/* ---- while it runs ------------------------------------------------------------------------ */

static void reload(struct life *l)
{
    CLEANUP(ctx_release) struct ctx c = {.sv = &l->sv, .actor = S("cove")};
    struct settings *fresh = arena_alloc(&l->mem, sizeof *fresh);
    enum err e = config_load(&c, &l->mem, l->config, fresh);
    if (e != E_OK) {
        log_error("serve", "reload refused, the old settings stay: %s", c.msg);
        return;
    }
    config_keep(l->sv.settings, fresh);
    l->sv.settings = fresh; /* whoever reads the old one may go on: it is never freed */
    settle_log(fresh);
    if (declared_reconcile(&c) != E_OK)
        log_error("serve", "proxies: %s", c.msg);
    if (fresh->tls_cert.n && server_reload_tls(&c, l->server) != E_OK)
        log_error("serve", "the old certificate stays: %s", c.msg);
    log_info("serve", "settings read again");
}

static void *wait_for_signals(void *arg)
{
    struct life *l = arg;
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    while (sigwait(&set, &got) == 0) {
        if (got == SIGHUP) {
            reload(l);
            continue;
        }
        break;
    }
    log_info("serve", "draining");
    api_set_ready(l->api, false);
    server_drain(l->server);
    return NULL;
}

/* glibc gives threads up to eight arenas a core, each of which keeps what was freed in it. Two a
   core leave less memory behind and cost no more CPU; one a core costs 5 % of a small request. */
static void bound_arenas(void)
{
#ifdef M_ARENA_MAX
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    (void)mallopt(M_ARENA_MAX, (int)i64_max(2, 2 * cores));
#endif
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk */
}

/* What waits for an upstream waits no longer. */
static void abandon(void *arg)
{
    struct life *l = arg;
    client_stop(l->sv.client);
    flights_stop(l->sv.flights);
}

static void stop(struct life *l)
{
    if (l->admin_running)
        pthread_join(l->admin, NULL);
    control_stop(l->control);
    server_free(l->server);
    housekeeper_halt(l->keeper); /* it looks at the flights */
    flights_free(l->sv.flights);
    housekeeper_stop(l->keeper); /* writes the last counts */
    api_free(l->api);
    upstreams_free(l->sv.upstreams);
    client_free(l->sv.client);
    store_free(l->sv.store);
    db_free(l->sv.db);
    log_stop();
    fd_done(&l->lock);
    arena_release(&l->mem);
    ctx_release(&l->c);
}

static void say_ready(const struct life *l, int64_t since_ms)
{
    const struct settings *s = &l->settings;
    struct str host = s->listen;
    host.n = (size_t)str_rfind(host, ':');
    fprintf(stderr, "cove " COVE_VERSION ": ready on %s://%.*s:%d in %lld ms, %s, data in %.*s\n",
            s->tls_cert.n ? "https" : "http", STR(host), server_port(l->server, 0),
            (long long)(clock_mono_ms() - since_ms), s->database.n ? "PostgreSQL" : "SQLite",
            STR(s->data));
    if (s->mirror_listen.n) {
        host = s->mirror_listen;
        host.n = (size_t)str_rfind(host, ':');
        fprintf(stderr, "cove: Docker Hub mirror on http://%.*s:%d\n", STR(host),
                server_port(l->server, 1));
    }
}

int serve(struct str config)
{
    int64_t since = clock_mono_ms();
    struct life l = {.lock = -1, .config = config, .c = {.actor = S("cove")}};
    bound_arenas();
    block_signals();
    if (start(&l) != E_OK) {
        fprintf(stderr, "cove: %s\n", l.c.msg);
        stop(&l);
        return 1;
    }
    if (pthread_create(&l.signals, NULL, wait_for_signals, &l) != 0 ||
        housekeeper_start(&l.c, &l.sv, &l.keeper) != E_OK ||
        worker_start(&l.c, &l.sv, &l.worker) != E_OK ||
        control_start(&l.c, &l.sv, l.settings.data, &l.control) != E_OK) {
        fprintf(stderr, "cove: %s\n", l.c.msg[0] ? l.c.msg : "no thread could be started");
        return 1;
    }
    if (l.admin_password.n)
        l.admin_running = pthread_create(&l.admin, NULL, admin_thread, &l) == 0;
    if (l.admin_password.n && !l.admin_running) {
        fprintf(stderr, "cove: no thread could be started\n");
        return 1;
    }
    api_set_ready(l.api, true);
    say_ready(&l, since);
    bool ended = server_run(l.server, abandon, &l);
    abandon(&l);
    pthread_join(l.signals, NULL);
    ended = worker_stop(l.worker) && ended;
    if (!ended) {
        log_warn("serve", "requests or fetches still ran after the drain; leaving them");
        housekeeper_stop(l.keeper);
        log_stop();
        _exit(atomic_load(&l.failed) ? 1 : 0);
    }
    stop(&l);
    return atomic_load(&l.failed) ? 1 : 0;
}
