/* Listening sockets. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "base/ctx.h"

/* Binds and listens on "127.0.0.1:5000", "[::1]:5000", "localhost:80" or ":80" (all addresses);
   port 0 takes a free one. E_CONFLICT: the address is in use; E_BAD_REQUEST: it is none. */
enum err listen_on(struct ctx *c, struct str address, int *fd_out, int *port_out);

#endif
