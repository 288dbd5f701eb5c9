/* `cove pull`, `cove proxy ...`, `cove quota` and `cove mirror-config`: words in, lines out. */
#include "api/proxy_commands.h"

#include "base/fd.h"
#include "registry/mirror.h"
#include "registry/prefetch.h"
#include "rule/settings.h"

#define LIST_MAX ((size_t)1 << 20)

static int usage(struct command_call *k, const char *text)
{
    command_say(k, "usage: cove %s", text);
    return 2;
}

struct waiter {
    struct command_call *k;
    bool said;
};

static bool still_waits(void *arg, const char *why)
{
    struct waiter *w = arg;
    if (!w->said)
        command_say(w->k, "waits: %s", why);
    w->said = true;
    return !w->k->gone || !w->k->gone(w->k->arg);
}

/* One image a line; "#" begins a comment. */
static void pull_list(struct ctx *c, struct command_call *k, struct str text, struct str platform,
                      const struct prefetch_patience *patience, struct prefetch_report *report)
{
    while (text.n) {
        struct str rest = str_cut(&text, '\n');
        struct str name = str_trim(str_cut(&rest, '#'));
        if (name.n && name.p[name.n - 1] == '\r')
            name.n--;
        if (name.n && prefetch_image(c, name, platform, patience, k->say, k->arg, report) != E_OK)
            c->msg[0] = 0; /* said already, counted in report->failed */
    }
}

int run_pull(struct ctx *c, struct command_call *k)
{
    static const char text[] = "pull NAME... [--platform OS/ARCH[/VARIANT]] [-f LIST] [--wait]";
    CLEANUP(prefetch_done) struct prefetch p = {0};
    struct prefetch_report report = {0};
    struct str platform = NO_STR, file = NO_STR, list = NO_STR;
    (void)command_option(k, "--platform", &platform);
    (void)command_option(k, "-f", &file);
    struct waiter w = {.k = k};
    struct prefetch_patience patience = {still_waits, &w};
    bool wait = command_option(k, "--wait", NULL);
    if (!k->words.count && !file.n)
        return usage(k, text);
    enum err e = prefetch_begin(c, &p);
    if (e == E_OK && file.n)
        e = fd_read_file(c, file, LIST_MAX, &list);
    if (e != E_OK)
        return command_failed(c, k, e);
    for (size_t i = 0; i < k->words.count; i++)
        pull_list(c, k, k->words.items[i], platform, wait ? &patience : NULL, &report);
    pull_list(c, k, list, platform, wait ? &patience : NULL, &report);
    if (report.images > 1)
        command_say(k, "%lld images, %lld failed, %lld blobs, %.1f MiB", (long long)report.images,
                    (long long)report.failed, (long long)report.blobs,
                    (double)report.bytes / 1048576.0);
    return report.failed ? 1 : 0;
}

static int on_cache(struct ctx *c, struct command_call *k, const char *text,
                    enum err (*run)(struct ctx *c, struct str name,
                                    const struct prefetch_patience *patience, progress_fn *say,
                                    void *arg, struct prefetch_report *out))
{
    struct waiter w = {.k = k};
    struct prefetch_patience patience = {still_waits, &w};
    bool wait = command_option(k, "--wait", NULL);
    CLEANUP(prefetch_done) struct prefetch p = {0};
    struct prefetch_report report = {0};
    if (k->words.count != 1)
        return usage(k, text);
    enum err e = prefetch_begin(c, &p);
    if (e == E_OK)
        e = run(c, k->words.items[0], wait ? &patience : NULL, k->say, k->arg, &report);
    if (e != E_OK)
        return command_failed(c, k, e);
    return report.failed ? 1 : 0;
}

int run_proxy_refresh(struct ctx *c, struct command_call *k)
{
    return on_cache(c, k, "proxy refresh PROJECT[/REPOSITORY] [--wait]", prefetch_refresh);
}

int run_proxy_purge(struct ctx *c, struct command_call *k)
{
    return on_cache(c, k, "proxy purge PROJECT[/REPOSITORY]", prefetch_purge);
}

int run_quota(struct ctx *c, struct command_call *k)
{
    CLEANUP(prefetch_done) struct prefetch p = {0};
    if (k->words.count)
        return usage(k, "quota");
    enum err e = prefetch_begin(c, &p);
    if (e == E_OK)
        e = prefetch_quota(c, k->say, k->arg);
    return e == E_OK ? 0 : command_failed(c, k, e);
}

/* "http://host:port" of a listener, for people who set no external_url. */
static struct str url_of(struct ctx *c, struct str listen, bool tls)
{
    return listen.n ? str_fmt(&c->mem, "%s://%.*s", tls ? "https" : "http", STR(listen)) : listen;
}

int run_mirror_config(struct ctx *c, struct command_call *k)
{
    const struct settings *s = c->sv->settings;
    CLEANUP(buf_release) struct buf b = {.max = 1 << 20};
    struct mirror_route *routes;
    struct mirror_params p = {
        .url = s->external_url.n ? s->external_url : url_of(c, s->listen, s->tls_cert.n > 0),
        .mirror_url = url_of(c, s->mirror_listen, false),
    };
    struct str projects = NO_STR;
    (void)command_option(k, "--url", &p.url);
    (void)command_option(k, "--mirror-url", &p.mirror_url);
    (void)command_option(k, "--projects", &projects);
    p.login = command_option(k, "--login", NULL);
    if (k->words.count != 1)
        return usage(k, "mirror-config CLIENT [--projects LIST] [--login] [--url URL] "
                        "[--mirror-url URL] (CLIENT: " MIRROR_CLIENTS ")");
    enum err e = mirror_routes(c, NULL, &routes, &p.count);
    if (e == E_OK)
        p.count = mirror_keep(routes, p.count, projects);
    p.routes = routes;
    if (e == E_OK)
        e = mirror_config(c, k->words.items[0], &p, &b);
    if (e != E_OK)
        return command_failed(c, k, e);
    for (struct str text = buf_view(&b); text.n;)
        k->say(k->arg, str_cut(&text, '\n'));
    return 0;
}
