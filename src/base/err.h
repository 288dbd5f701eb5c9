/*
 * The one list of errors: name, HTTP status, the code in Harbor's envelope, the code on /v2
 * (OCI Distribution Spec 1.1, "Error Codes"). A function that can fail returns enum err; the
 * reason in words is in ctx (see fail() in base/ctx.h).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/def.h"

#define ERR_LIST(X)                                                                                \
    X(OK, 200, "OK", "OK")                                                                         \
    X(BAD_REQUEST, 400, "BAD_REQUEST", "UNSUPPORTED")                                              \
    X(UNSUPPORTED, 400, "BAD_REQUEST", "UNSUPPORTED")                                              \
    X(NAME_INVALID, 400, "BAD_REQUEST", "NAME_INVALID")                                            \
    X(DIGEST_INVALID, 400, "DIGEST_INVALID", "DIGEST_INVALID")                                     \
    X(SIZE_INVALID, 400, "BAD_REQUEST", "SIZE_INVALID")                                            \
    X(MANIFEST_INVALID, 400, "MANIFEST_INVALID", "MANIFEST_INVALID")                               \
    X(MANIFEST_BLOB_UNKNOWN, 400, "MANIFEST_INVALID", "MANIFEST_BLOB_UNKNOWN")                     \
    X(UPLOAD_INVALID, 400, "BAD_REQUEST", "BLOB_UPLOAD_INVALID")                                   \
    X(UNAUTHORIZED, 401, "UNAUTHORIZED", "UNAUTHORIZED")                                           \
    X(FORBIDDEN, 403, "FORBIDDEN", "DENIED")                                                       \
    X(DENIED, 403, "DENIED", "DENIED")                                                             \
    X(NOT_FOUND, 404, "NOT_FOUND", "NAME_UNKNOWN")                                                 \
    X(NAME_UNKNOWN, 404, "NOT_FOUND", "NAME_UNKNOWN")                                              \
    X(BLOB_UNKNOWN, 404, "NOT_FOUND", "BLOB_UNKNOWN")                                              \
    X(MANIFEST_UNKNOWN, 404, "NOT_FOUND", "MANIFEST_UNKNOWN")                                      \
    X(UPLOAD_UNKNOWN, 404, "NOT_FOUND", "BLOB_UPLOAD_UNKNOWN")                                     \
    X(METHOD_NOT_ALLOWED, 405, "METHOD_NOT_ALLOWED", "UNSUPPORTED")                                \
    X(TIMEOUT, 408, "REQUEST_TIMEOUT", "BLOB_UPLOAD_INVALID")                                      \
    X(CONFLICT, 409, "CONFLICT", "BLOB_UPLOAD_INVALID")                                            \
    X(PRECONDITION, 412, "PRECONDITION", "DENIED")                                                 \
    X(TOO_LARGE, 413, "REQUEST_ENTITY_TOO_LARGE", "SIZE_INVALID")                                  \
    X(RANGE, 416, "BAD_REQUEST", "BLOB_UPLOAD_INVALID")                                            \
    X(UNPROCESSABLE, 422, "UNPROCESSABLE_ENTITY", "UNSUPPORTED")                                   \
    X(TOO_MANY, 429, "TOO_MANY_REQUEST", "TOOMANYREQUESTS")                                        \
    X(HEAD_TOO_LARGE, 431, "BAD_REQUEST", "UNSUPPORTED")                                           \
    X(INTERNAL, 500, "UNKNOWN", "UNKNOWN")                                                         \
    X(NOT_IMPLEMENTED, 501, "NOT_IMPLEMENTED", "UNSUPPORTED")                                      \
    X(UPSTREAM, 502, "BAD_GATEWAY", "UNKNOWN") /* the upstream broke its word */                   \
    X(UNAVAILABLE, 503, "UNAVAILABLE", "UNAVAILABLE")                                              \
    X(UPSTREAM_TIMEOUT, 504, "GATEWAY_TIMEOUT", "UNKNOWN")                                         \
    X(NO_SPACE, 507, "INSUFFICIENT_STORAGE", "UNAVAILABLE")                                        \
    X(CLOSED, 499, "CLIENT_CLOSED", "UNKNOWN") /* the other side of a socket went away */

enum NODISCARD err {
#define X(name, http, harbor, oci) E_##name,
    ERR_LIST(X)
#undef X
        E_COUNT
};

int err_status(enum err e);           /* HTTP status */
const char *err_code(enum err e);     /* the code in Harbor's error envelope */
const char *err_oci_code(enum err e); /* the code on /v2 */
const char *err_name(enum err e);     /* "MANIFEST_INVALID", for logs and tests */

/* The only macro that returns. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum err try_e = (expr);                                                                   \
        if (try_e != E_OK)                                                                         \
            return try_e;                                                                          \
    } while (0)

#endif
