/* The thread of the scheduled refresh (proxy.refresh, proxy.refresh_days; registry/refresh.h). */
#ifndef JOBS_REFRESHER_H
#define JOBS_REFRESHER_H

#include "base/ctx.h"

struct refresher;

/* sv is used until refresher_stop says true. It waits ten seconds for the tag that is being
   fetched; false: it still is, and the process should end without taking down what the thread uses.
 */
enum err refresher_start(struct ctx *c, struct services *sv, struct refresher **out);
bool refresher_stop(struct refresher *r);

#endif
