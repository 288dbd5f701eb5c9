/*
 * Who the client is behind reverse proxies: X-Forwarded-For and X-Forwarded-Proto, of believed
 * peers only. Pure.
 */
#ifndef NET_FORWARDED_H
#define NET_FORWARDED_H

#include "net/address.h"
#include "net/http.h"

/*
 * peer is the address of the other end of the socket. When it is believed, *client becomes the
 * rightmost address of X-Forwarded-For that is not believed itself (the leftmost when all are;
 * what is left of a broken entry is not looked at), and *https what the last X-Forwarded-Proto
 * says. Otherwise *client is peer and *https stays. Views of the headers or of peer.
 */
void forwarded_apply(const struct cidrs *believed, struct str peer, const struct header *headers,
                     size_t count, struct str *client, bool *https);

#endif
