/*
 * Threads that talk to upstreams on behalf of requests and outlive them. A lane is an endpoint: no
 * lane takes more than its share, so one dead upstream cannot use up the threads of the others.
 */
#ifndef REGISTRY_CREW_H
#define REGISTRY_CREW_H

#include "base/def.h"

struct crew;

/* At most `each` jobs of one lane and `all` together run at a time; the rest waits in line. */
struct crew *crew_new(int each, int all); /* NULL when out of memory */
/* Runs fn(arg) once, on a thread of the crew. False when the line is full or no thread starts. */
bool crew_run(struct crew *w, int64_t lane, void (*fn)(void *arg), void *arg);
/* Jobs of that lane that run or wait in line. */
int64_t crew_count(struct crew *w, int64_t lane);
/* Waits for every job, those in line too; they end early when their owner tells them. */
void crew_free(struct crew *w);

#endif
