/* The steps of a schema as one script for a database that is new. */
#ifndef META_FOLD_H
#define META_FOLD_H

#include "base/buf.h"

/*
 * Adds a step to *all: its columns (ALTER TABLE t ADD COLUMN c) go into the CREATE TABLE t that
 * *all has already, everything else behind. False: out of memory, or a column of a table that is
 * not there.
 */
bool fold_step(struct buf *all, struct str step);

#endif
