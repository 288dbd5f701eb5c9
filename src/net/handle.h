/*
 * libcurl handles, kept per (endpoint, credential epoch) with the connections they hold, and the
 * bulkhead: how many transfers one endpoint may have at once. Nothing is shared across endpoints
 * or epochs, so no connection can carry another's credential.
 */
#ifndef NET_HANDLE_H
#define NET_HANDLE_H

#include "net/client.h"
#include "net/curl.h"

#define STREAMS_PER_ENDPOINT 64 /* bodies that go to a sink */
#define CALLS_PER_ENDPOINT 32   /* everything short; so that streams never starve a HEAD */
#define SLOT_WAIT_MS 2000
#define CA_FILE_MAX ((size_t)8 << 20)

struct handles;

struct handle {
    CURL *easy;
    CURLM *multi; /* holds the connections of this handle alone */
    int64_t endpoint_id, epoch;
    bool insecure, declared, stream;
    char *ca; /* PEM: system store, global file and the target's own; NULL = the system's */
    size_t ca_n;
    int64_t idle_since;
    struct handle *next;
};

/* ca_text: PEM trusted beside the system's store, copied; may be empty. */
struct handles *handles_new(struct str ca_text);
void handles_free(struct handles *hs); /* no handle may be out */

/*
 * A handle for that target, waiting at most SLOT_WAIT_MS for a slot of its endpoint. E_TOO_MANY
 * with c->retry_after set when there is none; E_INTERNAL without memory. Endpoint 0 (targets that
 * are not stored) never gets a used handle.
 */
enum err handle_acquire(struct ctx *c, struct handles *hs, const struct client_target *target,
                        bool stream, struct handle **out);
void handle_release(struct handles *hs, struct handle *h);

#endif
