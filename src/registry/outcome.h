/* How a pull was served; stands in the access log and in the metrics. */
#ifndef REGISTRY_OUTCOME_H
#define REGISTRY_OUTCOME_H

#define OUTCOME_LIST(X)                                                                            \
    X(LOCAL, "")  /* not a proxy project */                                                        \
    X(HIT, "hit") /* from the cache, nobody asked */                                               \
    X(REVALIDATED, "revalidated")                                                                  \
    X(MISS, "miss")                                                                                \
    X(STALE, "stale")                                                                              \
    X(COALESCED, "coalesced") /* joined a fetch under way */                                       \
    X(REFUSED, "refused")

enum outcome {
#define X(name, text) OUTCOME_##name,
    OUTCOME_LIST(X)
#undef X
        OUTCOME_COUNT
};
const char *outcome_text(enum outcome o);

#endif
