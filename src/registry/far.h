/*
 * A Range far ahead of a flight: a fetch of its own from the Range's start, through a small ring
 * and into no file. Before a client gets the last bytes of the blob, the flight's digest must be
 * proven and the bytes that were passed on must equal the flight's.
 */
#ifndef REGISTRY_FAR_H
#define REGISTRY_FAR_H

#include "registry/flight_inside.h"

/* base: the flight's own reader at `from`, owned by the new source from now on (also on errors).
   size: of the blob, known. */
enum err far_source(struct ctx *c, struct flight *f, const struct place *at, int64_t from,
                    int64_t size, struct source *base, struct source **out);

#endif
