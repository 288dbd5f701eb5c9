/*
 * Who is asking: Basic (users and robots), registry tokens, browser sessions. Verified passwords
 * are kept 60 s under a key of this process; failed logins slow down per (name, address) and per
 * address (429 with Retry-After), in tables of fixed size.
 */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/call.h"

#define SESSION_COOKIE "sid"
#define CSRF_HEADER "X-Harbor-CSRF-Token"
#define CSRF_COOKIE "_cove_csrf"

/*
 * Fills principal, scheme, token, by_session of the call. Wants an open read transaction (c->tx);
 * may end it and begin another while a password is hashed. No credential = anonymous. Errors:
 * E_UNAUTHORIZED (any credential that does not verify), E_TOO_MANY, E_UNAVAILABLE.
 * On a mirror a bad credential is nobody, silently.
 */
enum err auth_authenticate(struct call *r);
/* CSRF: E_FORBIDDEN when the call needs the header and it does not match. Adds the header and,
   without a session, the cookie to the reply. */
enum err auth_csrf(struct call *r);

/* For /c/login: name and password with back-off; no transaction may be open. */
enum err auth_login(struct call *r, struct str name, struct str password, struct principal *out);
/* Makes a session row and sets the cookie and the CSRF header of the reply. */
enum err auth_session_start(struct call *r, const struct principal *p);
/* Deletes the session of the call, if any, and clears the cookie. */
enum err auth_session_end(struct call *r);

/* The user name and password of an Authorization: Basic value. False when malformed. Texts are in
   a. (RFC 7617) */
bool auth_parse_basic(struct arena *a, struct str header, struct str *name, struct str *password);
/* "admin", "robot$ci", "anonymous": for logs and journals. */
struct str auth_principal_text(struct arena *a, const struct settings *s,
                               const struct principal *p);

/* Between the two every request with a credential waits: the first administrator's password is
   being made, and before it is durable no login may succeed or be refused. */
void auth_hold(void);
void auth_go_on(void);
/* Waits for auth_go_on; outside of transactions. */
void auth_wait(void);

#endif
