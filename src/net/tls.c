/*
 * A context is immutable once built; reload builds another and swaps the pointer. Sessions hold a
 * reference to the context they were made from, so the old one lives until its last connection
 * ends. No session cache and no tickets: registry clients keep their connections instead, and a
 * ticket would outlive the certificate it was issued under.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* 128 bits first, as Go's servers and clients have it: ten rounds instead of fourteen. Who puts
   ChaCha20 first has no AES in hardware and gets it. */
static const char suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

struct tls {
    pthread_mutex_t lock;
    SSL_CTX *context;
    char *cert_path, *key_path;
};

static void context_done(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

static enum err tls_fail(struct ctx *c, const char *what, const char *path)
{
    char why[256] = "unknown";
    unsigned long code = ERR_peek_last_error();
    if (code)
        ERR_error_string_n(code, why, sizeof why);
    ERR_clear_error();
    return fail(c, E_BAD_REQUEST, "TLS: %s %s: %s", what, path, why);
}

static enum err build(struct ctx *c, const char *cert_path, const char *key_path, SSL_CTX **out)
{
    CLEANUP(context_done) SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return tls_fail(c, "cannot start", "");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_ciphersuites(context, suites);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, cert_path) != 1)
        return tls_fail(c, "cannot use the certificate", cert_path);
    if (SSL_CTX_use_PrivateKey_file(context, key_path, SSL_FILETYPE_PEM) != 1)
        return tls_fail(c, "cannot use the key", key_path);
    if (SSL_CTX_check_private_key(context) != 1)
        return tls_fail(c, "the key does not belong to the certificate:", key_path);
    *out = TAKE(context);
    return E_OK;
}

enum err tls_new(struct ctx *c, struct str cert_path, struct str key_path, struct tls **out)
{
    const char *cert = str_c(&c->mem, cert_path), *key = str_c(&c->mem, key_path);
    SSL_CTX *context;
    TRY(build(c, cert, key, &context));
    struct tls *t = calloc(1, sizeof *t);
    if (!t || !(t->cert_path = strdup(cert)) || !(t->key_path = strdup(key))) {
        free(t ? t->cert_path : NULL);
        free(t);
        SSL_CTX_free(context);
        return fail_errno(c, E_INTERNAL, ENOMEM, "the certificate");
    }
    pthread_mutex_init(&t->lock, NULL);
    t->context = context;
    *out = t;
    return E_OK;
}

enum err tls_reload(struct ctx *c, struct tls *t)
{
    SSL_CTX *fresh;
    TRY(build(c, t->cert_path, t->key_path, &fresh));
    pthread_mutex_lock(&t->lock);
    SSL_CTX *old = t->context;
    t->context = fresh;
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    return E_OK;
}

SSL *tls_session(struct tls *t, int fd)
{
    pthread_mutex_lock(&t->lock);
    SSL *ssl = SSL_new(t->context);
    pthread_mutex_unlock(&t->lock);
    if (ssl && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->context);
    pthread_mutex_destroy(&t->lock);
    free(t->cert_path);
    free(t->key_path);
    free(t);
}
