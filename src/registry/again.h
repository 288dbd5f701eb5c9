/* Transactions that met another one and are made again. */
#ifndef REGISTRY_AGAIN_H
#define REGISTRY_AGAIN_H

#include "base/clock.h"
#include "base/err.h"

/*
 * Is a transaction that failed with e after `tries` tries since began_ms (monotonic) to be made
 * again? Two that met (E_CONFLICT) yes; one that the database undid (E_UNAVAILABLE: a deadlock, a
 * broken connection) as well, unless it has waited long already. A try whose COMMIT got no answer
 * may have succeeded: what is made again must be so written that it may be.
 */
bool again(enum err e, int tries, int64_t began_ms);

#endif
