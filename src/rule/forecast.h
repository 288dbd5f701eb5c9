/* When a pull limit's window empties, as far as the last hour tells. Pure. */
#ifndef RULE_FORECAST_H
#define RULE_FORECAST_H

#include "base/str.h"

#define FORECAST_SPAN_S 3600 /* what is looked at */
#define FORECAST_LEAST 5     /* observations without which nothing is said */
#define FORECAST_SAMPLES_MAX 128

struct quota_sample {
    int64_t at_s, remaining;
};

enum forecast_sure { FORECAST_NOT, FORECAST_LOW, FORECAST_MEDIUM, FORECAST_HIGH };

struct forecast {
    enum forecast_sure sure; /* NOT: nothing else is meant */
    int64_t observations;
    double per_hour;                  /* pulls, the median; 0 = not shrinking */
    int64_t empty_low_s, empty_mid_s; /* when it is empty: earliest (90 %), median, */
    int64_t empty_high_s;             /* latest (10 %); 0 = never, at that rate */
    int64_t refill_s;                 /* when the window gives pulls back; 0 = not known */
    bool refill_seen;                 /* derived from a jump that was observed, else "within" */
};

/*
 * Samples in the order of time, of one credential; those older than the span count for the refill
 * alone. The rate is the median of the slopes between all pairs of samples between which nothing
 * was given back, with the 10 and 90 % quantiles as its band. More than FORECAST_SAMPLES_MAX in the
 * span: the newest.
 */
void forecast_window(const struct quota_sample *samples, size_t n, int64_t now_s, int64_t window_s,
                     struct forecast *out);
const char *forecast_sure_text(enum forecast_sure s);

#endif
