/*
 * `cove gc`, `cove fsck`, `cove user ...`: the process that holds the store does the work. When the
 * socket is dead the lock decides: whoever gets it opens the store and runs the same code, and a
 * server that starts meanwhile is told who holds it.
 */
#include "api/command.h"

#include "api/control.h"
#include "base/fd.h"
#include "base/log.h"
#include "blob/store.h"
#include "meta/store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static void print_line(void *arg, struct str line)
{
    (void)arg;
    printf("%.*s\n", STR(line));
    fflush(stdout);
}

static struct strs words_of(struct ctx *c, int argc, char **argv)
{
    struct strs words = {.count = argc > 1 ? (size_t)argc - 1 : 0};
    words.items = arena_alloc(&c->mem, (words.count + 1) * sizeof *words.items);
    for (size_t i = 0; i < words.count; i++)
        words.items[i] = str_of(argv[i + 1]);
    /* The server has another working directory: the file of "-f FILE" goes by its whole path. */
    for (size_t i = 0; i + 1 < words.count; i++) {
        char path[PATH_MAX];
        if (str_eq(words.items[i], S("-f")) && realpath(argv[i + 2], path))
            words.items[i + 1] = str_dup(&c->mem, str_of(path));
    }
    return words;
}

/* A line from a terminal without echo, or from a pipe. */
static enum err read_secret(struct ctx *c, const char *prompt, struct str *out)
{
    char line[512];
    struct termios before, quiet;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "%s", prompt);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool got = fgets(line, sizeof line, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    if (!got)
        return fail(c, E_BAD_REQUEST, "nothing was typed");
    struct str s = str_of(line);
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    *out = str_dup(&c->mem, s);
    explicit_bzero(line, sizeof line);
    return E_OK;
}

struct opened {
    struct services sv;
    int lock;
    struct seal_key key;
};

static void opened_release(struct opened *o)
{
    store_free(o->sv.store);
    db_free(o->sv.db);
    fd_done(&o->lock);
    explicit_bzero(&o->key, sizeof o->key);
}

/* The store opened by this process: lock, key, database, objects. */
static enum err open_store(struct ctx *c, const struct settings *s, struct opened *o)
{
    struct str key_file = s->key_file.n ? s->key_file : str_fmt(&c->mem, "%.*s/key", STR(s->data));
    TRY(store_lock(c, s->data, &o->lock));
    TRY(seal_key_load(c, key_file, false, &o->key));
    meta_set_seal_key(&o->key);
    struct db_options db = {.url = s->database, .data = s->data};
    TRY(db_open(c, &db, &o->sv.db));
    c->sv = &o->sv;
    struct store_options store = {.data = s->data, .lock = &o->lock};
    return store_open(c, &store, &o->sv.store);
}

static int run_here(struct ctx *c, const struct settings *s, struct strs words, struct str secret)
{
    CLEANUP(opened_release) struct opened o = {.sv = {.settings = s}, .lock = -1};
    struct command_call k = {.secret = secret, .say = print_line};
    const struct command *cmd = command_find(words, &k.words);
    enum err e = access(str_c(&c->mem, s->data), F_OK) == 0
                     ? open_store(c, s, &o)
                     : fail(c, E_NOT_FOUND, "there is no store in %.*s", STR(s->data));
    if (e != E_OK) {
        fprintf(stderr, "cove: %s\n", c->msg);
        return 2;
    }
    return cmd->run(c, &k);
}

bool command_known(int argc, char **argv)
{
    struct ctx c = {0};
    struct strs rest;
    bool known = command_find(words_of(&c, argc, argv), &rest) != NULL;
    ctx_release(&c);
    return known;
}

int command_main(int argc, char **argv, const struct settings *settings)
{
    struct ctx c = {.actor = S("admin")};
    struct strs words = words_of(&c, argc, argv), rest;
    struct str secret = NO_STR;
    int code = 2;
    const struct command *cmd = command_find(words, &rest);
    enum err e = cmd ? E_OK : fail(&c, E_BAD_REQUEST, "unknown command");
    if (e == E_OK && cmd->asks)
        e = read_secret(&c, cmd->asks, &secret);
    if (e == E_OK)
        e = control_ask(&c, settings->data, words, secret, print_line, NULL, &code);
    if (e == E_NOT_FOUND)
        code = run_here(&c, settings, words, secret);
    else if (e != E_OK)
        fprintf(stderr, "cove: %s\n", c.msg);
    ctx_release(&c);
    return code;
}

void command_help(struct buf *out)
{
    for (const struct command *cmd = commands; cmd->name; cmd++)
        buf_fmt(out, "  %-28s %s\n", cmd->usage, cmd->help);
}
