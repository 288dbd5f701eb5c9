/* The program's words. */
#include "api/command.h"
#include "api/describe.h"
#include "base/log.h"
#include "config.h"
#include "serve.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "cove " COVE_VERSION ": an OCI registry and pull-through proxy cache (Harbor-compatible)\n\n"
    "  cove serve [-c FILE]                  run the registry\n"
    "  cove routes [--who ROLE] [--json]     every operation, who may use it\n"
    "  cove schema --json                    every model of the API, its fields\n"
    "  cove openapi                          Cove's own operations as an OpenAPI document\n"
    "  cove --version | --help\n";

static int print(struct buf *b)
{
    size_t n = fwrite(b->p, 1, b->n, stdout);
    int status = n == b->n && fflush(stdout) == 0 ? 0 : 1;
    buf_release(b);
    return status;
}

static int misuse(const char *why, const char *word)
{
    fprintf(stderr, "cove: %s%s; cove --help lists what there is\n", why, word);
    return 2;
}

static int help(void)
{
    struct buf b = {0};
    buf_str(&b, str_of(usage));
    buf_str(&b, S("\nOn a store, by the server that runs or without one (-c FILE as above):\n\n"));
    command_help(&b);
    buf_str(&b, S("\nKeys of the file, and their twins in the environment [default]:\n\n"));
    config_help(&b);
    return print(&b);
}

static int word_serve(int argc, char **argv)
{
    struct str config = NO_STR;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "-c") != 0 && strcmp(argv[i], "--config") != 0)
            return misuse("serve takes -c FILE, not ", argv[i]);
        if (++i == argc)
            return misuse("-c needs a file", "");
        config = str_of(argv[i]);
    }
    return serve(config);
}

static int word_routes(int argc, char **argv)
{
    struct ctx c = {0};
    struct buf b = {0};
    struct str who = NO_STR;
    bool json = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--who") == 0 && i + 1 < argc)
            who = str_of(argv[++i]);
        else
            return misuse("routes takes --who ROLE and --json, not ", argv[i]);
    }
    int status = 2;
    if (routes_print(&c, who, json, &b) == E_OK)
        status = print(&b);
    else
        fprintf(stderr, "cove: %s\n", c.msg);
    ctx_release(&c);
    return status;
}

static int word_openapi(int argc, char **argv)
{
    struct ctx c = {0};
    struct buf b = {0};
    if (argc)
        return misuse("openapi takes no words, not ", argv[0]);
    int status = openapi_print(&c, &b) == E_OK ? print(&b) : 1;
    ctx_release(&c);
    return status;
}

static int word_schema(int argc, char **argv)
{
    struct ctx c = {0};
    struct buf b = {0};
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--json") != 0)
            return misuse("schema takes --json, not ", argv[i]);
    int status = schema_print(&c, &b) == E_OK ? print(&b) : 1;
    ctx_release(&c);
    return status;
}

/* Commands that touch the store: -c FILE says which one, as for serve. */
static int word_command(int argc, char **argv)
{
    struct ctx c = {0};
    struct arena mem = {0};
    struct settings settings = {0};
    struct str config = NO_STR;
    int words = 0, status = 1;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
            config = str_of(argv[++i]);
        else
            argv[words++] = argv[i];
    }
    if (config_load(&c, &mem, config, &settings) == E_OK)
        status = command_main(words, argv, &settings);
    else
        fprintf(stderr, "cove: %s\n", c.msg);
    arena_release(&mem);
    ctx_release(&c);
    return status;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help();
    if (strcmp(word, "--version") == 0) {
        puts("cove " COVE_VERSION);
        return 0;
    }
    if (strcmp(word, "serve") == 0)
        return word_serve(argc - 2, argv + 2);
    if (strcmp(word, "routes") == 0)
        return word_routes(argc - 2, argv + 2);
    if (strcmp(word, "openapi") == 0)
        return word_openapi(argc - 2, argv + 2);
    if (strcmp(word, "schema") == 0)
        return word_schema(argc - 2, argv + 2);
    if (command_known(argc, argv))
        return word_command(argc, argv);
    return misuse("there is no word ", word);
}
