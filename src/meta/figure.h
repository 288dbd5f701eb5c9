/*
 * The cache in figures: one row per minute and upstream (for a day), and one per hour, upstream and
 * project (for 90 days), of what was counted in that time. Rows of project 0 hold what belongs to
 * no single project. A row is there only where something happened.
 */
#ifndef META_FIGURE_H
#define META_FIGURE_H

#include "meta/db.h"
#include "rule/latency.h"

/* Columns and their places among the parameters of the statement that adds. Pulls by outcome; what
   they spared; what upstreams were asked, and how they failed; times to the answer, as histograms
   (rule/latency.h): of pulls that were served, and of upstreams. */
/* clang-format off */
#define FIGURE_LIST(X)                                                                            \
    X(hits, "5") X(revalidated, "6") X(misses, "7") X(stale, "8") X(coalesced, "9")               \
    X(refused, "10") X(bytes_saved, "11") X(pulls_saved, "12") X(pulls_counted, "13")             \
    X(upstream_requests, "14") X(upstream_bytes, "15") X(unreachable, "16") X(timeouts, "17")     \
    X(broken, "18") X(limited, "19") X(answer_0, "20") X(answer_1, "21") X(answer_2, "22")        \
    X(answer_3, "23") X(answer_4, "24") X(answer_5, "25") X(answer_6, "26") X(answer_7, "27")     \
    X(answer_8, "28") X(answer_9, "29") X(answer_10, "30") X(answer_11, "31")                     \
    X(answer_12, "32") X(answer_13, "33") X(upstream_0, "34") X(upstream_1, "35")                 \
    X(upstream_2, "36") X(upstream_3, "37") X(upstream_4, "38") X(upstream_5, "39")               \
    X(upstream_6, "40") X(upstream_7, "41") X(upstream_8, "42") X(upstream_9, "43")               \
    X(upstream_10, "44") X(upstream_11, "45") X(upstream_12, "46") X(upstream_13, "47")
/* clang-format on */

enum figure {
#define X(name, param) FIGURE_##name,
    FIGURE_LIST(X)
#undef X
        FIGURES
};

struct figure_row {
    int64_t endpoint_id, project_id;
    struct timestamp at; /* the beginning of the minute, hour or slot */
    int64_t n[FIGURES];
};
extern const struct field figure_row_fields[];

/* Adds to the upstream's minute and to the project's hour of `at`. */
enum err figure_add(struct ctx *c, const struct figure_row *f);
/* Sums by upstream and slot of slot_s seconds, from <= at < to, oldest first; from minutes or from
   hours. Projects are added up. */
enum err figure_slots(struct ctx *c, bool hours, struct timestamp from, struct timestamp to,
                      int64_t slot_s, struct list *out);
/* The same in one sum of all upstreams; zero when there is nothing. */
enum err figure_sum(struct ctx *c, bool hours, struct timestamp from, struct timestamp to,
                    struct figure_row *out);
/* The oldest hour that is kept; 0 = none. */
enum err figure_since(struct ctx *c, struct timestamp *out);
enum err figure_sweep(struct ctx *c); /* what is older than its time */

/* The last pull of a digest by a principal from an address. The RECENT_MAX newest are kept. */
#define RECENT_MAX 1000
struct recent_pull {
    int64_t id, project_id;
    struct str repository, reference, digest, principal, client, outcome;
    struct timestamp at;
    struct str project, tag; /* in lists: of the digest, when the reference is none */
};
extern const struct field recent_pull_fields[];
enum err recent_pull_add(struct ctx *c, const struct recent_pull *p);
enum err recent_pull_trim(struct ctx *c);
/* Newest first, at most n, later than `since`; project_id 0 = of all. */
enum err recent_pull_list(struct ctx *c, int64_t project_id, struct timestamp since, int64_t n,
                          struct list *out);

#endif
