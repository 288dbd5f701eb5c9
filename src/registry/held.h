/*
 * Held-back tags: upstream's new digest of a tag waits until this store has known of it for the
 * project's proxy_hold_hours. rule/hold.h decides; here stand the rows and the journal's lines.
 */
#ifndef REGISTRY_HELD_H
#define REGISTRY_HELD_H

#include "registry/pull.h"

/*
 * Must the tag stay where it is, although upstream now names digest? *until: when the digest may be
 * served. Notes when it was first seen, and each change of the decision in the tag's journal.
 * keep_time: upstream was asked just now (meta/tag.h, tag_checked). What cannot be noted is held.
 * No transaction may be open.
 */
bool held_back(struct ctx *c, const struct place *at, struct str tag, struct str digest,
               bool keep_time, struct timestamp *until);

#endif
