/* Registrable domains by the Public Suffix List (libpsl). */
#ifndef NET_DOMAIN_H
#define NET_DOMAIN_H

#include "base/ctx.h"

/*
 * Do both hosts belong to one owner: the same host, or names below the same registrable domain
 * ("registry.example.co.uk" and "auth.example.co.uk")? IP addresses and names without a registrable
 * domain ("localhost", "github.io") match only themselves. Lower-case hosts.
 */
bool domain_same_site(struct ctx *c, struct str a, struct str b);

#endif
