/* Words for clients. Rows in cove.c. */
#ifndef API_CACHE_API_H
#define API_CACHE_API_H

#include "api/call.h"

handler get_client_config;
extern const struct field client_query_fields[], client_config_fields[];
struct client_query {
    struct str project, ns; /* project: a comma list */
    bool login;
};

#endif
