/*
 * Nothing of libcurl runs before the first handle is asked for. It is never shut down: handles may
 * be in use until the process ends.
 */
#include "net/curl.h"

#include <pthread.h>
#include <stdatomic.h>

struct curl_calls curl;

static const char *const names[] = {
#define X(name) "curl_" #name,
    CURL_CALLS(X)
#undef X
};

enum err curl_ready(struct ctx *c)
{
    static atomic_bool ready;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    enum err e = E_OK;
    _Static_assert(sizeof curl == sizeof(void *) * COUNT(names), "one pointer for each name");
    if (atomic_load(&ready))
        return E_OK;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&ready)) {
        e = late_load(c, "libcurl.so.4", names, COUNT(names), (void **)&curl);
        if (e == E_OK && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
            e = fail(c, E_INTERNAL, "libcurl does not start");
        atomic_store(&ready, e == E_OK);
    }
    pthread_mutex_unlock(&lock);
    return e;
}
