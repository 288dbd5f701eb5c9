/* Schedules as Harbor writes them: six fields of cron, seconds first, in UTC. Pure. */
#ifndef RULE_CRON_H
#define RULE_CRON_H

#include "base/clock.h"

struct cron {
    uint64_t seconds, minutes, hours, days, months, weekdays; /* bit n: the value n */
    bool any_day, any_weekday;                                /* the field was "*" or "?" */
};

/*
 * "seconds minutes hours day-of-month month day-of-week", separated by blanks. A field is "*" or
 * "?", a value, a range a-b, any of these with a step "/n", or a comma list of them; months are
 * 1-12 or JAN-DEC, weekdays 0-6 (7 is Sunday too) or SUN-SAT, in any case. As in cron a day counts
 * when either its day of the month or its weekday is named, if both fields are. As in Harbor the
 * seconds must be a single "0". NULL when the text is good, else what is wrong with it, in words.
 */
const char *cron_parse(struct str text, struct cron *out);
/* The first moment after `t` that the schedule names; 0 when there is none within five years. */
struct timestamp cron_next(const struct cron *c, struct timestamp t);

#endif
