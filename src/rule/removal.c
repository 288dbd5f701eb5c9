/*
 * The largest set that may go: everything is taken to go at first, and what must stay is taken out
 * until nothing changes. So a circle of strangers' making ends, and an index in an index is no
 * case of its own.
 */
#include "rule/removal.h"

static bool going(const struct removal_node *n)
{
    return n->fate == REMOVAL_GOES || n->fate == REMOVAL_CHILD || n->fate == REMOVAL_ATTACHED;
}

/* Has a parent that stays, or any at all? */
static void parents(const struct removal_node *nodes, const struct removal_edge *edges,
                    size_t edge_count, bool *held, bool *contained)
{
    for (size_t i = 0; i < edge_count; i++) {
        const struct removal_edge *e = &edges[i];
        contained[e->child] = true;
        if (e->parent == REMOVAL_NONE || !going(&nodes[e->parent]))
            held[e->child] = true;
    }
}

/* One look at a node that is still taken to go. */
static enum removal_fate judge(const struct removal_node *nodes, size_t i, bool held,
                               bool contained)
{
    const struct removal_node *n = &nodes[i];
    bool subject_goes = n->subject != REMOVAL_NONE && going(&nodes[n->subject]);
    if (n->immutable)
        return n->asked ? REMOVAL_IMMUTABLE : REMOVAL_STAYS;
    if (held)
        return n->asked ? REMOVAL_CONTAINED : REMOVAL_STAYS;
    if (n->asked)
        return REMOVAL_GOES;
    if (n->tagged)
        return REMOVAL_STAYS;
    if (contained)
        return REMOVAL_CHILD;
    return subject_goes ? REMOVAL_ATTACHED : REMOVAL_STAYS;
}

static bool look(struct removal_node *nodes, size_t n, const struct removal_edge *edges,
                 size_t edge_count, bool *held, bool *contained)
{
    bool changed = false;
    for (size_t i = 0; i < n; i++)
        held[i] = contained[i] = false;
    parents(nodes, edges, edge_count, held, contained);
    for (size_t i = 0; i < n; i++) {
        if (!going(&nodes[i]))
            continue;
        enum removal_fate fate = judge(nodes, i, held[i], contained[i]);
        changed = changed || fate != nodes[i].fate;
        nodes[i].fate = fate;
    }
    return changed;
}

/* May it be deleted now: are its parents and its subject done, of those that go at all? */
static bool ready(const struct removal_node *nodes, size_t i, const bool *blocked, const bool *done)
{
    size_t s = nodes[i].subject;
    bool waits = s != REMOVAL_NONE && going(&nodes[s]) && !done[s];
    return !blocked[i] && !waits;
}

static size_t put_in_order(const struct removal_node *nodes, size_t n,
                           const struct removal_edge *edges, size_t edge_count, bool *blocked,
                           bool *done, size_t *order)
{
    size_t count = 0;
    bool moved = true, forced = false;
    for (size_t i = 0; i < n; i++)
        done[i] = !going(&nodes[i]);
    while (moved || !forced) { /* a circle of subjects is cut anywhere */
        forced = !moved;
        moved = false;
        for (size_t i = 0; i < n; i++)
            blocked[i] = false;
        for (size_t i = 0; i < edge_count; i++)
            if (edges[i].parent != REMOVAL_NONE && !done[edges[i].parent])
                blocked[edges[i].child] = true;
        for (size_t i = 0; i < n; i++) {
            if (done[i] || (!forced && !ready(nodes, i, blocked, done)))
                continue;
            done[i] = moved = true;
            if (nodes[i].fate != REMOVAL_CHILD)
                order[count++] = i;
        }
    }
    return count;
}

size_t removal_plan(struct arena *mem, struct removal_node *nodes, size_t n,
                    const struct removal_edge *edges, size_t edge_count, size_t *order)
{
    bool *held = arena_alloc(mem, n + 1), *contained = arena_alloc(mem, n + 1);
    for (size_t i = 0; i < n; i++)
        nodes[i].fate = nodes[i].asked    ? REMOVAL_GOES
                        : nodes[i].tagged ? REMOVAL_STAYS
                                          : REMOVAL_ATTACHED;
    while (look(nodes, n, edges, edge_count, held, contained))
        ;
    return put_in_order(nodes, n, edges, edge_count, held, contained, order);
}
