/*
 * The commands that touch the store, one row each. They run in the server, or in the command's own
 * process when no server holds the store; they cannot tell which.
 */
#include "api/control.h"
#include "api/gc_command.h"
#include "api/proxy_commands.h"
#include "base/crypt.h"
#include "meta/user.h"
#include "registry/fsck.h"
#include "registry/scrub.h"
#include "rule/name.h"
#include "rule/settings.h"

static int too_many(struct command_call *k, const char *usage)
{
    command_say(k, "usage: cove %s", usage);
    return 2;
}

static int run_fsck(struct ctx *c, struct command_call *k)
{
    struct fsck_report report;
    bool full = command_option(k, "--full", NULL);
    if (k->words.count)
        return too_many(k, "fsck [--full]");
    enum err e = fsck_run(c, full, k->say, k->arg, &report);
    return e == E_OK ? report.exit_code : command_failed(c, k, e);
}

static int run_scrub(struct ctx *c, struct command_call *k)
{
    const struct scrub_watch watch = {.say = k->say, .arg = k->arg};
    struct scrub_report report;
    struct str text;
    int64_t rate = c->sv->settings->scrub_rate, age = 0;
    bool ok = !command_option(k, "--rate", &text) || (str_to_i64(text, &rate) && rate >= 0);
    ok = ok && (!command_option(k, "--older-than", &text) || (str_to_i64(text, &age) && age >= 0));
    if (!ok || k->words.count)
        return too_many(k, "scrub [--rate MIB] [--older-than SECONDS]");
    enum err e = scrub_run(c, age, rate, &watch, &report);
    if (e != E_OK)
        return command_failed(c, k, e);
    return report.broken ? 2 : 0;
}

static enum err set_password(struct ctx *c, struct str name, struct str password)
{
    struct str hash;
    struct user user;
    TRY(password_acceptable(c, password));
    TRY(password_hash(c, password, &hash));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    enum err e = user_by_name(c, name, &user);
    if (e == E_NOT_FOUND)
        return fail(c, e, "there is no user %.*s", STR(name));
    TRY(e);
    TRY(user_set_password(c, user.user_id, hash));
    return tx_commit(&tx);
}

static int run_passwd(struct ctx *c, struct command_call *k)
{
    if (k->words.count != 1)
        return too_many(k, "user passwd NAME");
    enum err e = set_password(c, k->words.items[0], k->secret);
    if (e != E_OK)
        return command_failed(c, k, e);
    command_say(k, "the password of %.*s is set; earlier logins are void", STR(k->words.items[0]));
    return 0;
}

static enum err list_users(struct ctx *c, struct command_call *k)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    struct list_query q = {.page = 1, .page_size = 100};
    int64_t total = 1;
    for (int64_t seen = 0; seen < total; q.page++) {
        struct list users;
        TRY(user_list(c, &q, &users, &total));
        const struct user *u = users.items;
        for (size_t i = 0; i < users.count; i++)
            command_say(k, "%lld\t%.*s\t%s", (long long)u[i].user_id, STR(u[i].username),
                        u[i].sysadmin_flag ? "admin" : "user");
        if (!users.count)
            break;
        seen += (int64_t)users.count;
    }
    return E_OK;
}

static int run_users(struct ctx *c, struct command_call *k)
{
    if (k->words.count)
        return too_many(k, "user list");
    enum err e = list_users(c, k);
    return e == E_OK ? 0 : command_failed(c, k, e);
}

const struct command commands[] = {
    {"gc", "gc [--grace SECONDS]",
     "delete blobs that nothing references: exit 0 done, 1 some wait, 3 another one runs", NULL,
     run_gc},
    {"fsck", "fsck [--full]", "check the store: exit 0 clean, 1 repaired, 2 needs you, 3 data lost",
     NULL, run_fsck},
    {"scrub", "scrub [--rate MIB] [--older-than SECONDS]",
     "hash blobs again: exit 0 all whole, 2 some are broken and quarantined", NULL, run_scrub},
    {"user passwd", "user passwd NAME", "set a user's password (asked for, or piped in)",
     "New password: ", run_passwd},
    {"user list", "user list", "name the users", NULL, run_users},
    {"pull", "pull NAME... [-f LIST] [--wait]",
     "fetch images into their proxy project (--platform OS/ARCH)", NULL, run_pull},
    {"proxy refresh", "proxy refresh PROJECT[/REPO] [--wait]",
     "check cached tags, fetch what has moved", NULL, run_proxy_refresh},
    {"proxy purge", "proxy purge PROJECT[/REPO]", "throw cached repositories away", NULL,
     run_proxy_purge},
    {"quota", "quota", "what upstreams said of their pull limits", NULL, run_quota},
    {"mirror-config", "mirror-config CLIENT", "configuration for containerd, docker, podman, ...",
     NULL, run_mirror_config},
    {NULL, NULL, NULL, NULL, NULL},
};
