/* The headers are a draft's ("RateLimit Header Fields for HTTP", draft 03 as Docker Hub uses it).
 */
#include "peer/ratelimit.h"

#define RETRY_MAX_S 86400

bool ratelimit_parse(struct str value, int64_t *n_out, int64_t *window_out)
{
    struct str rest = str_cut(&value, ',');
    struct str number = str_trim(str_cut(&rest, ';'));
    int64_t n, window = -1;
    if (number.n > 12 || !str_to_i64(number, &n) || n < 0)
        return false;
    while (rest.n) {
        struct str text = str_trim(str_cut(&rest, ';'));
        struct str name = str_trim(str_cut(&text, '='));
        text = str_trim(text);
        if (str_eq_nocase(name, S("w")) &&
            (text.n > 12 || !str_to_i64(text, &window) || window < 0))
            return false;
    }
    *n_out = n;
    *window_out = window;
    return true;
}

bool retry_after_parse(struct str value, struct timestamp now, int64_t *seconds_out)
{
    int64_t seconds;
    struct timestamp at;
    value = str_trim(value);
    if (value.n && value.p[0] >= '0' && value.p[0] <= '9') {
        /* more digits than fit are as good as the most we wait */
        if (!str_to_i64(value, &seconds)) {
            for (size_t i = 0; i < value.n; i++)
                if (value.p[i] < '0' || value.p[i] > '9')
                    return false;
            seconds = RETRY_MAX_S;
        }
    } else if (time_parse_http(value, &at)) {
        seconds = at.us > now.us ? (at.us - now.us + SECOND_US - 1) / SECOND_US : 0;
    } else {
        return false;
    }
    *seconds_out = i64_min(seconds, RETRY_MAX_S);
    return true;
}

bool ratelimit_is_pull_limit(bool manifest, struct str body, int64_t remaining)
{
    if (!manifest)
        return false;
    return remaining == 0 || str_contains(body, S("increase-rate-limit")) ||
           str_contains(body, S("pull rate limit"));
}
