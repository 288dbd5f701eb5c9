/*
 * A robust line through the last hour.
 *
 * The median of pairwise slopes (Theil and Sen) is moved neither by one burst nor by a pause. A
 * rise means that the upstream gave pulls back: pairs over it say nothing about the use. Upstreams
 * do not tell when that happens, so the next time is guessed from the last one plus the window,
 * and without one it is within a window from now.
 */
#include "rule/forecast.h"

#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;
    if (low + 1 >= n)
        return sorted[n - 1];
    return sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low]);
}

/* Pulls a second between the pairs of a stretch without a rise. */
static size_t slopes_of(const struct quota_sample *s, size_t n, double *out)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n && s[k].remaining <= s[k - 1].remaining; k++)
            if (s[k].at_s > s[i].at_s)
                out[count++] =
                    (double)(s[i].remaining - s[k].remaining) / (double)(s[k].at_s - s[i].at_s);
    return count;
}

static int64_t empty_at(int64_t now_s, int64_t remaining, double rate)
{
    if (remaining <= 0)
        return now_s;
    if (rate <= 0 || (double)remaining / rate > 365.0 * 86400)
        return 0;
    return now_s + (int64_t)((double)remaining / rate);
}

static void find_refill(const struct quota_sample *s, size_t n, int64_t now_s, int64_t window_s,
                        struct forecast *out)
{
    if (window_s <= 0)
        return;
    out->refill_s = now_s + window_s;
    for (size_t i = n; i-- > 1;)
        if (s[i].remaining > s[i - 1].remaining) {
            int64_t next = s[i].at_s + window_s;
            if (next > now_s) {
                out->refill_s = next;
                out->refill_seen = true;
            }
            return;
        }
}

static enum forecast_sure how_sure(int64_t observations, double low, double mid, double high)
{
    bool narrow = mid > 0 ? high - low <= mid : high <= 0;
    if (observations >= 30 && narrow)
        return FORECAST_HIGH;
    return observations >= 10 ? FORECAST_MEDIUM : FORECAST_LOW;
}

void forecast_window(const struct quota_sample *samples, size_t n, int64_t now_s, int64_t window_s,
                     struct forecast *out)
{
    static const size_t pairs_max = (size_t)FORECAST_SAMPLES_MAX * (FORECAST_SAMPLES_MAX - 1) / 2;
    *out = (struct forecast){0};
    find_refill(samples, n, now_s, window_s, out);
    size_t first = 0;
    while (first < n && (samples[first].at_s < now_s - FORECAST_SPAN_S ||
                         n - first > (size_t)FORECAST_SAMPLES_MAX))
        first++;
    out->observations = (int64_t)(n - first);
    if (out->observations < FORECAST_LEAST)
        return;
    double *slopes = malloc(pairs_max * sizeof *slopes);
    size_t count = slopes ? slopes_of(samples + first, n - first, slopes) : 0;
    if (count) {
        qsort(slopes, count, sizeof *slopes, by_size);
        double low = quantile(slopes, count, 0.1), mid = quantile(slopes, count, 0.5);
        double high = quantile(slopes, count, 0.9);
        int64_t left = samples[n - 1].remaining;
        out->per_hour = mid * 3600;
        out->empty_low_s = empty_at(now_s, left, high);
        out->empty_mid_s = empty_at(now_s, left, mid);
        out->empty_high_s = empty_at(now_s, left, low);
        out->sure = how_sure(out->observations, low, mid, high);
    }
    free(slopes);
}

const char *forecast_sure_text(enum forecast_sure s)
{
    static const char *const text[] = {"not", "low", "medium", "high"};
    return text[s];
}
