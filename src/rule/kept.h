/* Why an artifact is still here, and what would take it away. Pure. */
#ifndef RULE_KEPT_H
#define RULE_KEPT_H

#include "base/def.h"

struct kept_facts {
    bool proxy;       /* of a proxy cache: upstream has it too */
    bool contained;   /* an index has it */
    bool pinned;      /* a tag of it was pointed by hand */
    bool pin_pattern; /* the project's proxy_pins say so */
    bool immutable;   /* a tag of it may not go */
    bool bounded;     /* the cache has a size, or the disk a floor */
};

enum kept {
    KEPT_UNTIL_DELETED, /* somebody must delete it */
    KEPT_IMMUTABLE,     /* and may not */
    KEPT_WITH_INDEX,    /* as long as the index that contains it */
    KEPT_PINNED,        /* the cache never evicts it */
    KEPT_UNTIL_FULL,    /* it goes when the cache is full and it was not pulled for longest */
};

enum kept kept_verdict(const struct kept_facts *f);
const char *kept_text(enum kept k); /* "until_deleted", ... */

#endif
