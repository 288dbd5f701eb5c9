/*
 * What a place for bytes must be able to do: one table of functions per kind (fs.c; S3 with its
 * issue). store.c owns the keys and calls through the table; nothing else includes this.
 */
#ifndef BLOB_DRIVER_H
#define BLOB_DRIVER_H

#include "blob/store.h"

#include <pthread.h>

/* An object being written. A driver's own struct begins with it. */
struct store_file {
    const struct driver *driver;
    char key[48]; /* "data/<2 hex>/<ULID>" */
    int fd;
    int64_t size; /* bytes that were appended; the next append goes there */
    bool broken;  /* a write or a sync failed: this object is lost, and nothing else */
};

struct driver {
    const char *name;
    enum err (*create)(struct ctx *c, void *place, struct str key, struct store_file **out);
    enum err (*reopen)(struct ctx *c, void *place, struct str key, struct store_file **out);
    enum err (*append)(struct ctx *c, struct store_file *f, const void *p, size_t n);
    enum err (*empty)(struct ctx *c, struct store_file *f);
    enum err (*sync)(struct ctx *c, struct store_file *f);
    void (*close)(struct store_file *f);
    enum err (*read)(struct ctx *c, void *place, struct str key, int *fd_out, int64_t *size_out);
    enum err (*has)(struct ctx *c, void *place, struct str key, bool *out);
    enum err (*remove)(struct ctx *c, void *place, struct str key);
    enum err (*remove_sync)(struct ctx *c, void *place);
    enum err (*space)(struct ctx *c, void *place, int64_t *free_out, int64_t *total_out);
    enum err (*walk)(struct ctx *c, void *place, store_each *each, void *arg);
    void (*free)(void *place);
};

/* A directory as a place; starts the thread that makes directory entries durable. */
enum err fs_open(struct ctx *c, int dir_fd, void **place_out);
extern const struct driver fs_driver;

struct upload_table; /* blob/upload.c: the sessions that this process knows */
struct upload_table *upload_table_new(void);
void upload_table_free(struct upload_table *t);
struct upload_table *store_uploads(struct store *s);

#endif
