/* Commands on proxy projects; rows of api/commands.c. */
#ifndef API_PROXY_COMMANDS_H
#define API_PROXY_COMMANDS_H

#include "api/control.h"

int run_pull(struct ctx *c, struct command_call *k);
int run_proxy_refresh(struct ctx *c, struct command_call *k);
int run_proxy_purge(struct ctx *c, struct command_call *k);
int run_quota(struct ctx *c, struct command_call *k);
int run_mirror_config(struct ctx *c, struct command_call *k);

#endif
