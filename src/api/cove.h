/* The handlers of /api/cove/v1 and their tables. Rows in cove.c. */
#ifndef API_COVE_H
#define API_COVE_H

#include "api/call.h"

/* ---- the journal of tags: journal.c ------------------------------------------------------- */

struct moves_query {
    struct str tag, project;
    struct timestamp at, since;
    bool upstream;
    int64_t cursor, page_size;
};
extern const struct field moves_query_fields[], all_moves_query_fields[], resolve_query_fields[];

struct point {
    struct str digest, reason, expect;
};
extern const struct field point_fields[], release_query_fields[];

handler list_moves, list_all_moves, resolve_tag, point, release;

/* ---- pull limits and who uses them: upstreams.c ------------------------------------------- */

struct use_query {
    struct timestamp from, to;
    struct str credential;
    int64_t window;
};
extern const struct field series_query_fields[], consumers_query_fields[];

handler list_upstreams, upstream_quota_series, list_consumers, start_refresh;

#endif
