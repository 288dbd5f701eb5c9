/*
 * The control socket, DATA/cove.sock (mode 0600): commands that touch the store are done by the
 * process that holds it. A connection carries one command: a line of words (each percent-encoded,
 * one blank between them), then lines of progress back, and "exit N" as the last.
 */
#ifndef API_CONTROL_H
#define API_CONTROL_H

#include "base/ctx.h"

struct control;

struct command_call {
    struct strs words; /* what follows the name */
    struct str secret; /* a line that was typed or piped in, for commands that ask for one */
    void (*say)(void *arg, struct str line);
    bool (*gone)(void *arg); /* has whoever asked hung up? NULL: never */
    void *arg;
};

/* One row per command. run gets its own ctx, outside any transaction; what it returns is the
   program's exit status: 0 good. After an error it has said why. */
struct command {
    const char *name; /* one or two words: "gc", "user passwd" */
    const char *usage, *help;
    const char *asks; /* prompt for the secret line; NULL = none */
    int (*run)(struct ctx *c, struct command_call *k);
};
extern const struct command commands[]; /* ends with a NULL name */

/* The command that the words begin with, and what is left; NULL when there is none. */
const struct command *command_find(struct strs words, struct strs *rest);
void command_say(struct command_call *k, const char *fmt, ...) PRINTF(2, 3);
/* Says the reason of an error; returns 2. */
int command_failed(struct ctx *c, struct command_call *k, enum err e);
/* Takes "--name VALUE" or "--name=VALUE" or (value NULL) "--name" out of the words. False when it
 * is not there. */
bool command_option(struct command_call *k, const char *name, struct str *value);

/* Listens; sv is used until control_stop. */
enum err control_start(struct ctx *c, struct services *sv, struct str data, struct control **out);
/* Ends what is under way at its next step, waits for it, removes the socket. NULL is fine. */
void control_stop(struct control *k);

/* The client's side. E_NOT_FOUND when nobody listens; else *exit_out is the command's status. */
enum err control_ask(struct ctx *c, struct str data, struct strs words, struct str secret,
                     void (*say)(void *arg, struct str line), void *arg, int *exit_out);

#endif
