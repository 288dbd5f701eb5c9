/* File descriptors that close themselves, and whole reads and writes. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include "base/ctx.h"

void fd_done(int *fd);                              /* for CLEANUP; a negative fd is none */
int fd_take(int *fd);                               /* gives the descriptor away, leaves -1 */
bool fd_write_all(int fd, const void *p, size_t n); /* errno tells why not */
bool fd_pwrite_all(int fd, const void *p, size_t n, int64_t at);
/* Reads n bytes at an offset; fewer only at the end of the file. -1 on error. */
int64_t fd_pread_all(int fd, void *p, size_t n, int64_t at);
/* A whole small file into c->mem; E_NOT_FOUND, E_TOO_LARGE over max, E_INTERNAL. */
enum err fd_read_file(struct ctx *c, struct str path, size_t max, struct str *out);
/* fsync of a directory by path. */
enum err fd_sync_dir(struct ctx *c, struct str path);

#endif
