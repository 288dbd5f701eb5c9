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

#endif
