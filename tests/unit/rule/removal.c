/* What goes when artifacts are deleted together, and in which order. */
#include "rule/removal.h"

#include "check.h"

#define NODES 6
#define NONE REMOVAL_NONE

/* Nodes by letter: a, b, ... asked: capital, tagged: '+', immutable: '!'. Edges "ab": a contains b,
   "-b": an index outside contains it, "a<b": b refers to a. */
static const struct {
    const char *nodes, *edges, *fates, *order, *why;
} rows[] = {
    {"A", "", "g", "a", "one image"},
    {"A b c", "ab ac", "gcc", "a", "an index takes its children"},
    {"A b+ c", "ab ac", "gsc", "a", "but not one with a tag of its own"},
    {"A b c", "ab ac -c", "gcs", "a", "nor one of another index"},
    {"A", "-a", "x", "", "what an index contains stays"},
    {"A B", "ab", "gg", "ab", "unless the index goes too, first"},
    {"B A", "ba", "gg", "ba", "whatever the order of asking"},
    {"A b", "a<b", "ga", "ab", "a signature goes with its subject, after it"},
    {"A b+", "a<b", "gs", "a", "unless it has a tag"},
    {"A b c", "ab b<c", "gca", "ac", "the signature of a child"},
    {"a B", "a<b", "sg", "b", "a signature alone"},
    {"A!", "", "i", "", "a tag that may not go"},
    {"A! b", "a<b", "is", "", "what is attached to it stays"},
    {"A! b", "ab", "is", "", "and what it contains"},
    {"A! B", "ab", "ix", "", "also when it was asked for"},
    {"A b c", "ab bc", "gcc", "a", "an index in an index"},
    {"A b", "a<b b<a", "ga", "ab", "a circle ends"},
    {"A b c", "a<b b<c", "gaa", "abc", "a signature of a signature"},
};

static size_t place(char letter)
{
    return letter == '-' ? NONE : (size_t)((letter | 0x20) - 'a');
}

static size_t read_nodes(const char *text, struct removal_node *nodes)
{
    size_t n = 0;
    for (; *text; text++) {
        if (*text == ' ')
            continue;
        if (*text == '+' || *text == '!') {
            *(*text == '+' ? &nodes[n - 1].tagged : &nodes[n - 1].immutable) = true;
            continue;
        }
        nodes[n++] = (struct removal_node){.asked = *text < 'a', .subject = NONE};
    }
    return n;
}

static size_t read_edges(const char *text, struct removal_node *nodes, struct removal_edge *edges)
{
    size_t n = 0;
    while (*text) {
        if (text[1] == '<') {
            nodes[place(text[2])].subject = place(text[0]);
            text += 3;
        } else {
            edges[n++] = (struct removal_edge){place(text[0]), place(text[1])};
            text += 2;
        }
        text += *text == ' ';
    }
    return n;
}

static void the_plan(void **unused)
{
    (void)unused;
    static const char letters[] = "sgcaxi"; /* of enum removal_fate */
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(arena_release) struct arena mem = {0};
        struct removal_node nodes[NODES] = {0};
        struct removal_edge edges[NODES];
        size_t order[NODES], n = read_nodes(rows[i].nodes, nodes);
        size_t e = read_edges(rows[i].edges, nodes, edges);
        char fates[NODES + 1] = {0}, places[NODES + 1] = {0};
        size_t count = removal_plan(&mem, nodes, n, edges, e, order);
        for (size_t k = 0; k < n; k++)
            fates[k] = letters[nodes[k].fate];
        for (size_t k = 0; k < count; k++)
            places[k] = (char)('a' + (char)order[k]);
        check(strcmp(fates, rows[i].fates) == 0, "%s: %s, not %s", rows[i].why, fates,
              rows[i].fates);
        check(strcmp(places, rows[i].order) == 0, "%s: order %s, not %s", rows[i].why, places,
              rows[i].order);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_plan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
