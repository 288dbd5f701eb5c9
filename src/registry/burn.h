/* Who uses up upstreams' pull limits: counted in memory, flushed with the quota ledger. */
#ifndef REGISTRY_BURN_H
#define REGISTRY_BURN_H

#include "base/buf.h"
#include "registry/pull.h"

/* A GET of a manifest was answered by the upstream. Any thread; never blocks on the database. */
void burn_note(const struct place *at);
/* Writes what was gathered. On an error it stays for the next time. */
enum err burn_flush(struct ctx *c);

/* "cove_upstream_pulls_total{endpoint="hub"} 3" lines. */
void burn_metric(struct buf *out, void *unused);

#endif
