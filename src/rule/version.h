/* The order of tags as people read it: numbers in them count as numbers. Pure. */
#ifndef RULE_VERSION_H
#define RULE_VERSION_H

#include "base/str.h"

/*
 * Which of two tags stands first in a list, the newest first: words ("latest") before versions,
 * words by alphabet, versions from the highest down. 1.10 is higher than 1.9, 1.27.3 than 1.27, a
 * leading v does not count. Negative: a first. 0 only for the same text, so any sort is stable.
 */
int version_cmp(struct str a, struct str b);

#endif
