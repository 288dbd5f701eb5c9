/*
 * Held-back tags: whether a digest that upstream newly names for a tag may be served yet. Pure; the
 * times are our own clock's, since nobody can be trusted to say when an image was made.
 */
#ifndef RULE_HOLD_H
#define RULE_HOLD_H

#include "base/str.h"

#define HOLD_HOURS_MAX 2160 /* 90 days */

/* What became of a digest; the words stand in the journal. */
enum hold_verdict {
    HOLD_NONE,     /* the project holds nothing back */
    HOLD_WAIT,     /* too young: what was served before goes on being served */
    HOLD_RELEASED, /* old enough */
    HOLD_EXCEPTED, /* the tag is an exception */
    HOLD_NEW,      /* the first digest of a tag, and new tags pass */
};

struct hold_question {
    int64_t hold_us; /* of the project; 0 = nothing is held */
    bool excepted;   /* see hold_excepted() */
    bool known;      /* the tag is served already, with another digest */
    bool new_waits;  /* proxy_hold_new is "wait" */
    int64_t seen_us; /* when upstream first named this digest for the tag, as we saw it */
    int64_t now_us;
};

enum hold_verdict hold_decide(const struct hold_question *q);
bool hold_passes(enum hold_verdict v);
/* "held", "released", "excepted", "passed"; empty for NONE. */
const char *hold_text(enum hold_verdict v);

/* "24", "0.5": hours with at most six decimals, up to HOLD_HOURS_MAX, as microseconds. */
bool hold_hours(struct str text, int64_t *us_out);
/* Patterns (rule/glob.h) separated by blanks: without a colon one takes every
   tag of the repositories that it matches, with one (library/nginx:1.*) the tags behind it. */
bool hold_excepted(struct str patterns, struct str repository, struct str tag);
bool hold_patterns_good(struct str patterns);

#endif
