/* Failed logins slow down: per (name, address) from the 6th on, per address from the 51st on; each
   doubles up to a minute and is forgotten after 15 quiet minutes. Memory is fixed. */
#ifndef API_BACKOFF_H
#define API_BACKOFF_H

#include "base/str.h"

#define BACKOFF_PAIR_FREE 5
#define BACKOFF_ADDRESS_FREE 50
#define BACKOFF_MAX_S 60

/* Seconds to wait before another try may be looked at; 0 = now. */
int64_t backoff_wait(struct str name, struct str address, int64_t now_ms);
void backoff_failed(struct str name, struct str address, int64_t now_ms);
/* Counts for the pair alone, not for the address. */
void backoff_failed_pair(struct str name, struct str address, int64_t now_ms);
void backoff_succeeded(struct str name, struct str address);

#endif
