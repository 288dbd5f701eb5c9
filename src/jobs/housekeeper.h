/* One thread for what the process does for itself: counts of pulls every second, sweeps every
   minute, garbage collection every gc.interval_s. */
#ifndef JOBS_HOUSEKEEPER_H
#define JOBS_HOUSEKEEPER_H

#include "base/ctx.h"

struct housekeeper;

/* sv is used until housekeeper_stop. */
enum err housekeeper_start(struct ctx *c, struct services *sv, struct housekeeper **out);
/* Waits for what is under way; nothing new begins. NULL is fine. */
void housekeeper_halt(struct housekeeper *h);
/* The same, then writes the last counts. NULL is fine. */
void housekeeper_stop(struct housekeeper *h);

#endif
