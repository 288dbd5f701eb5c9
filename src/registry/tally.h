/*
 * Pulls, counted without a write in the request: a bounded table in memory, emptied by one
 * transaction a second and at shutdown. kill -9 loses at most the last second.
 */
#ifndef REGISTRY_TALLY_H
#define REGISTRY_TALLY_H

#include "base/ctx.h"

/* Any thread; never blocks on the database. tag_id 0 = pulled by digest. When the table is full
   the pull is not counted (and that is counted). */
void tally_pull(int64_t repository_id, int64_t artifact_id, int64_t tag_id);
/* Writes what was gathered. On an error it stays for the next time. */
enum err tally_flush(struct ctx *c);

#endif
