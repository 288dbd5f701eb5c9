/*
 * Room for the database on a disk that is full: a file that only takes room (64 MiB, of a small
 * file system a sixteenth) and is emptied when nothing else is left.
 */
#ifndef BLOB_RESERVE_H
#define BLOB_RESERVE_H

#include "base/ctx.h"

/* Once a second and before the database is opened: gives the reserve away, or takes it back when
   there is room for it twice. Nothing to do when the database is elsewhere. */
enum err reserve_tend(struct ctx *c);
/* Is there no room for bytes of blobs, since what is free is for the database? */
bool reserve_short(struct ctx *c);

#endif
