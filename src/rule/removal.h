/*
 * What goes when artifacts are deleted together: what was asked for, unless it may not; children
 * that nothing else holds; what is attached to any of these. Pure: rows and edges in, fates out.
 */
#ifndef RULE_REMOVAL_H
#define RULE_REMOVAL_H

#include "base/arena.h"

enum removal_fate {
    REMOVAL_STAYS,     /* not asked for, and something else holds it */
    REMOVAL_GOES,      /* asked for */
    REMOVAL_CHILD,     /* goes with the index that contains it */
    REMOVAL_ATTACHED,  /* refers to something that goes */
    REMOVAL_CONTAINED, /* asked for, but an index that stays contains it */
    REMOVAL_IMMUTABLE, /* asked for, but a tag of it may not go */
};

struct removal_node {
    int64_t id;
    bool asked, tagged, immutable;
    size_t subject;         /* place of the node that it refers to; REMOVAL_NONE */
    enum removal_fate fate; /* out */
};

struct removal_edge { /* places of nodes; a parent outside of them is REMOVAL_NONE and stays */
    size_t parent, child;
};

#define REMOVAL_NONE SIZE_MAX

/*
 * Sets the fate of every node, and fills order (room for n) with the places of those that are to
 * be deleted one by one: what contains before what is contained, subjects before what refers to
 * them. Children that go by themselves with their index are not among them. Returns how many.
 */
size_t removal_plan(struct arena *mem, struct removal_node *nodes, size_t n,
                    const struct removal_edge *edges, size_t edge_count, size_t *order);

#endif
