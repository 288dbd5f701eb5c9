/* TLS of the server side: one certificate, replaceable while connections live. OpenSSL 3. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/ctx.h"

#include <openssl/ssl.h>

struct tls;

/* Reads a certificate chain and its key, PEM files. E_BAD_REQUEST with OpenSSL's reason. */
enum err tls_new(struct ctx *c, struct str cert_path, struct str key_path, struct tls **out);
/* Reads both files again. Sessions that exist keep what they have; on error nothing changes. */
enum err tls_reload(struct ctx *c, struct tls *t);
/* A server session on a socket; NULL when out of memory. Freed with SSL_free. Any thread. */
SSL *tls_session(struct tls *t, int fd);
void tls_free(struct tls *t);

#endif
