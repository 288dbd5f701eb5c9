/* What registries say about their limits: ratelimit-* headers, Retry-After, Docker Hub's 429s. */
#ifndef PEER_RATELIMIT_H
#define PEER_RATELIMIT_H

#include "base/clock.h"

/* "100;w=21600" or "100": number and window; *window_out -1 when not given. Further parameters and
   further quotas behind a comma are skipped. */
bool ratelimit_parse(struct str value, int64_t *n_out, int64_t *window_out);
/* Retry-After in seconds or as an HTTP date (RFC 9110, section 10.2.3); 0 for the past, at most a
   day. False when it is neither. */
bool retry_after_parse(struct str value, struct timestamp now, int64_t *seconds_out);
/*
 * Docker Hub answers 429 for two reasons. The pull limit is meant when a manifest was asked for and
 * the body speaks of the pull rate limit or links to its increase, or nothing remains; everything
 * else is the abuse limit.
 */
bool ratelimit_is_pull_limit(bool manifest, struct str body, int64_t remaining);

#endif
