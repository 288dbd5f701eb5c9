/* Blob rows: digest -> physical key; membership in repositories; leases; GC's states. */
#ifndef META_BLOB_H
#define META_BLOB_H

#include "meta/artifact.h"

struct blob {
    int64_t id;
    struct str digest;
    int64_t size;
    int64_t state;       /* enum object_state */
    struct str phys_key; /* empty while EXPECTED */
    struct timestamp condemned_at, verified_at;
};
extern const struct field blob_fields[];

/* The living row (not DELETING) of a digest; E_NOT_FOUND. */
enum err blob_by_digest(struct ctx *c, struct str digest, struct blob *out);
/* Any living state (EXPECTED too) and linked to the repository; E_NOT_FOUND. For the proxy. */
enum err blob_known(struct ctx *c, int64_t project_id, struct str repository, struct str digest,
                    struct blob *out);
/* ACTIVE and linked to the repository; E_NOT_FOUND. For GET and HEAD. */
enum err blob_in_repository(struct ctx *c, int64_t project_id, struct str repository,
                            struct str digest, struct blob *out);
/*
 * The commit of arrived bytes: takes the intent of phys_key, revives the row that blob_expect has
 * locked in this transaction (EXPECTED -> ACTIVE, CONDEMNED -> ACTIVE), links it to the repository
 * with a lease (lease_s 0 = none). *b is brought up to date. *key_used false: another copy exists,
 * the caller's object stays an intent and is swept.
 */
enum err blob_commit(struct ctx *c, int64_t repository_id, struct str phys_key, int64_t size,
                     int64_t lease_s, struct blob *b, bool *key_used);
/* An EXPECTED row for a digest that a proxied manifest names, or the existing one; locked. */
enum err blob_expect(struct ctx *c, struct str digest, int64_t size, struct blob *out);
enum err blob_link(struct ctx *c, int64_t repository_id, int64_t blob_id, int64_t lease_s);
enum err blob_unlink(struct ctx *c, int64_t repository_id, int64_t blob_id); /* makes a candidate */
/* Locks in id order the blobs that a manifest names; E_MANIFEST_BLOB_UNKNOWN names the first that
   is not ACTIVE and linked (unless expect is set: proxy); CONDEMNED ones are revived. */
struct blob_need {
    struct str digest;
    int64_t size;
    int64_t id;  /* out */
    bool linked; /* out: by this call */
};
enum err blob_require(struct ctx *c, int64_t repository_id, struct blob_need *needs, size_t count,
                      bool expect);
/* E_NOT_FOUND when the blob is not ACTIVE and linked any more: then there is no blob to promise. */
enum err blob_extend_lease(struct ctx *c, int64_t repository_id, int64_t blob_id, int64_t lease_s);
enum err blob_quarantine(struct ctx *c, int64_t blob_id);

/* Intents: every object on disk is a blob's or stands here. */
enum err intent_add(struct ctx *c, const struct str *keys, size_t count);
enum err intent_drop(struct ctx *c, struct str key);
/*
 * The sweep: claims intents made before a time that no upload uses, in a write transaction. After
 * its commit blob_commit refuses these keys (E_UNAVAILABLE), so the objects may be deleted, and
 * then dropped with intent_drop. Claimed ones are listed again until they are dropped.
 */
enum err intent_list(struct ctx *c, struct timestamp before, int64_t n, struct strs *out);
/* For fsck: is there an intent for this key? */
enum err intent_exists(struct ctx *c, struct str key, bool *out);

/* Garbage collection, in the order of its steps; each in a transaction of its own. */
struct gc_blob {
    int64_t id, size;
    struct str digest, phys_key;
};
/* Blobs that may be needed by nobody from now on; their rows are locked. */
enum err gc_candidates_add(struct ctx *c, const struct i64s *blobs);
/* Those that were due at that time and had been candidates for min_age_s then; of gc_blob. */
enum err gc_candidates(struct ctx *c, struct timestamp at, int64_t min_age_s, int64_t n,
                       struct list *out);
/* Locks, looks: *out are those that nothing keeps, condemned now. Others are taken off the list, or
   wait there for the end of their lease. */
enum err gc_condemn(struct ctx *c, const struct i64s *ids, struct i64s *out);
enum err gc_condemned(struct ctx *c, struct timestamp at, int64_t min_age_s, int64_t n,
                      struct list *out);
/* Locks, looks again: *out are DELETING now, the others live again. */
enum err gc_tombstone(struct ctx *c, const struct i64s *ids, struct i64s *out);
enum err gc_deleting(struct ctx *c, int64_t n, struct list *out);
enum err gc_dead(struct ctx *c, int64_t blob_id, struct gc_blob *out); /* DELETING; E_NOT_FOUND */
enum err gc_forget(struct ctx *c, const struct i64s *ids);

/* For scrub: blobs with bytes whose last proof is older than a time, the oldest first; and the note
   that they have been proven now. */
enum err blob_unproven(struct ctx *c, struct timestamp before, int64_t n, struct list *out);
enum err blob_verified(struct ctx *c, const struct i64s *ids);

/* For fsck: pages of all rows in id order. */
enum err blob_page(struct ctx *c, int64_t after_id, int64_t n, struct list *out);

#endif
