/* libcurl, loaded at the first request to a stranger. */
#ifndef NET_CURL_H
#define NET_CURL_H

#include "base/late.h"

#include <curl/curl.h>

#define CURL_CALLS(X)                                                                              \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_cleanup)                                                                                \
    X(easy_reset)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(easy_strerror)                                                                               \
    X(multi_init)                                                                                  \
    X(multi_cleanup)                                                                               \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_info_read)                                                                             \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(version_info)

struct curl_calls {
#define X(name) __typeof__(curl_##name) *name;
    CURL_CALLS(X)
#undef X
};
extern struct curl_calls curl; /* to be called after curl_ready */

/* Loads and starts it, once; E_INTERNAL when that cannot be done. */
enum err curl_ready(struct ctx *c);

#endif
