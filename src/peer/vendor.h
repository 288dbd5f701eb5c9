/* One row per kind of registry: where its data is, what it is called, what it needs. */
#ifndef PEER_VENDOR_H
#define PEER_VENDOR_H

#include "base/str.h"

struct vendor {
    const char *type; /* Harbor's name: "docker-hub" */
    const char *label;
    const char *fixed_url; /* endpoint that the UI offers; NULL = free */
    const char
        *data_url;  /* where /v2/ is when the URL is fixed_url ("https://registry-1.docker.io") */
    const char *ns; /* host names that clients write: "docker.io,index.docker.io,..." */
    const char *pinned_realm; /* host that may be given credentials beside its own domain; NULL */
    const char *quota_probe;  /* a repository whose HEAD tells what is left of a pull limit; NULL */
    bool library;             /* "x" and "library/x" are one repository */
    bool proxy;               /* may stand behind a proxy project */
    bool listed;              /* behaviour is known here; others come with replication */
};
extern const struct vendor vendors[];
extern const size_t vendor_count;
const struct vendor *vendor_by_type(struct str type);          /* NULL when unknown */
bool vendor_has_host(const struct vendor *v, struct str host); /* is it among v->ns? */
/* Where /v2/ is for an endpoint of that vendor (v may be NULL): data_url for the vendor's own host
   names and for an empty URL, else the URL itself. */
struct str vendor_data_url(const struct vendor *v, struct str endpoint_url);

#endif
