/*
 * Bytes by key, through a driver (fs now, S3 with its issue). A key is used once and never by
 * digest: "data/<2 hex>/<ULID>". An intent row stands before the first byte; what is on disk
 * without a row is garbage and never visible.
 */
#ifndef BLOB_STORE_H
#define BLOB_STORE_H

#include "base/digest.h"
#include "meta/blob.h"

struct store;
struct store_file; /* an object being written */

struct store_options {
    struct str data; /* directory; locked with flock by the process that opens it */
    int *lock;       /* what store_lock gave, taken over; NULL: store_open locks itself */
};

/* Creates DATA when it is missing and locks it; before the database is opened, so that two
   processes never migrate one store. E_CONFLICT names the other process. */
enum err store_lock(struct ctx *c, struct str data, int *fd_out);
/* Locks DATA (E_CONFLICT names the other process), checks that store id and database agree. */
enum err store_open(struct ctx *c, const struct store_options *o, struct store **out);
void store_free(struct store *s);

/* A fresh key from the pool of 64 whose intents are committed already. Not inside a transaction. */
enum err store_key(struct ctx *c, struct str *key_out);
/* A key is handed out at most this long after its intent was committed; younger intents are not
   swept. */
#define STORE_KEY_LIFE_S 3600

/* Creates the object (O_EXCL) and starts the directory's fsync. */
enum err store_create(struct ctx *c, struct str key, struct store_file **out);
/* Opens a partial object to go on writing; *size_out is what it holds. E_NOT_FOUND. */
enum err store_reopen(struct ctx *c, struct str key, struct store_file **out, int64_t *size_out);
enum err store_append(struct ctx *c, struct store_file *f, const void *p,
                      size_t n); /* E_NO_SPACE */
/* Forgets the bytes; the object is written again from its beginning. */
enum err store_empty(struct ctx *c, struct store_file *f);
int64_t store_size(const struct store_file *f);
/* The descriptor, for readers of a growing file; owned by f. */
int store_fd(const struct store_file *f);
/* Bytes and directory entry durable. Never retried: after an error the object is lost. */
enum err store_sync(struct ctx *c, struct store_file *f);
void store_close(struct store_file *f); /* NULL is fine */

/*
 * Are bytes of an object begun at that time (of the database's clock) to be doubted, unless they
 * were synced? After a power cut a file may be longer than what reached the disk, with zeros at
 * its end; so what was begun in another life of the machine is begun again.
 */
bool store_doubts(const struct store *s, struct timestamp begun);
/* Opens for reading; the caller owns *fd_out. E_UNAVAILABLE when the object of a row is missing.
   size_out may be NULL. */
enum err store_read(struct ctx *c, struct str key, int *fd_out, int64_t *size_out);
enum err store_delete(struct ctx *c, struct str key); /* missing = done */
/* Makes earlier deletes durable. Before the last row that knows a key is dropped: a power cut must
   not bring back an object that nobody remembers. */
enum err store_delete_sync(struct ctx *c);
enum err store_has(struct ctx *c, struct str key, bool *out);
/* Free bytes of the file system, for limits and /readyz. */
enum err store_space(struct ctx *c, int64_t *free_out, int64_t *total_out);
/* E_NO_SPACE when n more bytes would leave less than store.reserve. */
enum err store_room(struct ctx *c, int64_t n);
/* Calls back with every key on disk, for fsck. */
typedef enum err store_each(struct ctx *c, struct str key, int64_t size, void *arg);
enum err store_walk(struct ctx *c, store_each *each, void *arg);
/* Hashes the first n bytes of an open file. */
enum err store_hash(struct ctx *c, int fd, int64_t n, enum digest_alg alg, struct hasher **out);

#endif
