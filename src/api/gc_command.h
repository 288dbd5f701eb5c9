/* `cove gc`; a row of api/commands.c. */
#ifndef API_GC_COMMAND_H
#define API_GC_COMMAND_H

#include "api/control.h"

/* Exit status: 0 done, 1 some blobs wait for the next run, 2 it failed, 3 another one runs. */
int run_gc(struct ctx *c, struct command_call *k);

#endif
