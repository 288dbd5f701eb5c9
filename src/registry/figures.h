/*
 * The cache in figures, counted without a write in the request: what the metrics have as totals of
 * this process is kept here per minute, upstream and project, and emptied into the database once a
 * second and at shutdown. Metrics, figures and the access log are counted at the same place, so
 * they add up. kill -9 loses at most the last second.
 */
#ifndef REGISTRY_FIGURES_H
#define REGISTRY_FIGURES_H

#include "meta/figure.h"
#include "registry/pull.h"

/* A pull through a proxy project that has got its answer after us; manifest: one that an upstream
   would count, had it been asked (a GET). Any thread; never blocks on the database. */
void figures_pull(const struct place *at, enum outcome outcome, bool manifest, int64_t us);
/* Bytes on their way to a client: what did not come from upstream for it is saved. */
void figures_sent(const struct place *at, enum outcome outcome, int64_t bytes);
/* A manifest GET that upstream counts. */
void figures_counted(const struct place *at);

/* Remembers who pulled what last (any project), for recent_pull. client: its address. */
void figures_recent(const struct place *at, struct str reference, struct str digest,
                    struct str client, enum outcome outcome);

/* Writes what was gathered: after it everything that was counted before it can be read. On an error
   it stays for the next time. */
enum err figures_flush(struct ctx *c);

#endif
