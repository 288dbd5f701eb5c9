/*
 * The quota ledger: what upstreams say of their pull limits, per endpoint and credential. Kept in
 * memory, written to the database at most every few seconds, shown in metrics and by `cove quota`.
 */
#ifndef REGISTRY_LEDGER_H
#define REGISTRY_LEDGER_H

#include "base/buf.h"
#include "peer/oci.h"

/* Takes in what an answer said; cheap when it said nothing. Writes what is due; no tx open. */
void ledger_note(struct ctx *c, const struct endpoint *e, const struct oci_status *st);
/* Writes everything that is not written yet: every few seconds and at shutdown. */
enum err ledger_flush(struct ctx *c);
/* What the last runs knew; once at start. */
enum err ledger_load(struct ctx *c);

struct ledger_line {
    int64_t endpoint_id;
    struct str endpoint, credential, source; /* in c->mem */
    int64_t limit, remaining, window_s;      /* -1 = not known */
    struct timestamp seen_at;
};
/* All lines, sorted by endpoint. */
enum err ledger_list(struct ctx *c, struct ledger_line **out, size_t *count);
/* May work that nobody waits for (prefetch, refresh) take a pull, or does the rest belong to
   people (proxy.quota_floor)? */
bool ledger_spare(struct ctx *c, const struct endpoint *e);

void ledger_metric(struct buf *out, void *unused);

#endif
