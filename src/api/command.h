/* The command line's side of the commands in api/commands.c. */
#ifndef API_COMMAND_H
#define API_COMMAND_H

#include "base/buf.h"
#include "rule/settings.h"

/* Is argv[1] (and argv[2]) one of them? */
bool command_known(int argc, char **argv);
/*
 * Runs argv[1..] with these settings (-c FILE is taken out by the caller): asks the server that
 * holds the store, or opens the store itself when nobody does. Returns the exit status.
 */
int command_main(int argc, char **argv, const struct settings *settings);
/* A line per command, for --help. */
void command_help(struct buf *out);

#endif
