/*
 * Upload sessions (OCI Distribution Spec, "Pushing blobs"): socket -> hash -> file. The running
 * hash lives in memory; after a restart the file is hashed again from disk.
 */
#ifndef BLOB_UPLOAD_H
#define BLOB_UPLOAD_H

#include "blob/store.h"
#include "meta/upload.h"

struct upload_session; /* open, locked to one request at a time */

/* One durable row; the file comes with the first byte. None of these inside a transaction. */
enum err upload_begin(struct ctx *c, int64_t repository_id, struct str *id_out);
/* E_UPLOAD_UNKNOWN; E_CONFLICT while another request holds it. Checks repository and actor. */
enum err upload_open(struct ctx *c, struct str id, int64_t repository_id,
                     struct upload_session **out);
int64_t upload_offset(const struct upload_session *s);
enum err upload_write(struct ctx *c, struct upload_session *s, const void *p, size_t n);
/* The session may go on in a later request. Extends its life. NULL is fine. */
void upload_park(struct ctx *c, struct upload_session *s);
/* Checks the digest and makes the bytes durable; the key is then ready for push_blob, which
   must follow. On E_DIGEST_INVALID the session is gone. Frees s in any case. */
enum err upload_finish(struct ctx *c, struct upload_session *s, const struct digest *want,
                       struct str *key_out, int64_t *size_out);
/* Inside the transaction that commits a finished upload's key: its row goes with it. */
enum err upload_settle(struct ctx *c, struct str key);
/* After that transaction, whatever became of it. push_blob calls both. */
void upload_settled(struct ctx *c, struct str key);
enum err upload_cancel(struct ctx *c, struct str id, int64_t repository_id);
enum err upload_sweep(struct ctx *c); /* expired sessions and old intents */

#endif
