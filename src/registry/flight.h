/*
 * The flight: one upstream fetch per digest, however many clients wait for it. The leader writes to
 * the store and hashes; each reader follows the growing file at its own offset. The last 64 KiB
 * are held back until the digest is proven; on a mismatch every reader is cut and nothing is kept.
 */
#ifndef REGISTRY_FLIGHT_H
#define REGISTRY_FLIGHT_H

#include "base/digest.h"
#include "registry/condition.h"
#include "registry/pull.h"

struct flights;
struct flight;

#define FLIGHT_TAIL (INT64_C(64) << 10) /* held back until the digest is proven */
#define FLIGHT_FAR (INT64_C(32) << 20)  /* a Range farther ahead gets a fetch of its own */

/* sv must live as long as the flights do; sv->flights is set by the caller. */
struct flights *flights_new(struct services *sv);
void flights_stop(struct flights *fs); /* nobody waits for a pace or tries again from here on */
/* Ends what is under way (partial files stay, the next reader adopts them), waits, frees. */
void flights_free(struct flights *fs);
struct conditions *flights_conditions(struct flights *fs);
struct asks *flights_asks(struct flights *fs); /* registry/ask.h */

struct flight_want {
    const struct place *at; /* copied; every repository that joins is linked at the end */
    const struct digest *digest;
    int64_t size;  /* from a descriptor; -1 = not known */
    int64_t limit; /* bytes per second from upstream; 0 = none */
    int64_t most;  /* flights of the project at a time; 0 = no such limit */
};

/* Bytes that the store had. fd is the caller's to close, and stays good when they are evicted; -1:
   there are none, a fetch is to be followed. */
struct flight_stored {
    int fd;
    int64_t size;
};

/*
 * Joins the fetch of the digest under way or begins one, and waits for its first answer. On E_OK
 * *out holds a reference for flight_release, or *out is NULL and *stored has the bytes, which are
 * linked by now. *led: this call began the fetch. Errors are the upstream's
 * (E_BLOB_UNKNOWN, E_TOO_MANY, E_UPSTREAM, ...), E_UNAVAILABLE when no leader is free in 30 s,
 * E_TOO_MANY when the project had `most` flights for 30 s: who wants one more stands in a line.
 */
enum err flight_join(struct ctx *c, const struct flight_want *w, struct flight **out,
                     struct flight_stored *stored, bool *led);
void flight_release(struct flight *f); /* NULL is fine */
int64_t flight_size(struct flight *f); /* -1 = not known yet */
int64_t flight_have(struct flight *f); /* bytes that are here */
/* Waits until the digest is proven; the flight's error otherwise. */
enum err flight_settle(struct ctx *c, struct flight *f);
/* A reader at `from`, for net/http.h's body; it holds a reference of its own. E_UNAVAILABLE when
   the flight goes on without a file and the bytes at `from` are gone. */
enum err flight_source(struct ctx *c, struct flight *f, int64_t from, struct source **out);
/* Is the digest of a source of flight_source's proven? When it is not yet, its wake is called once,
   later. The flight's error. */
enum err source_settled(struct source *s, bool *settled);
/* Waits for the proof behind a source. */
enum err source_settle(struct ctx *c, struct source *s);
/* Is a fetch of that digest under way? For tests and status. */
bool flight_flying(struct flights *fs, const struct digest *d);

/* The digests of all fetches under way, into a, and the bytes that are still to be written. */
void flights_under_way(struct flights *fs, struct arena *a, struct strs *digests, int64_t *to_come);

/* Fetches from that endpoint that are under way or wait for a leader, those of far ranges too. */
int64_t flights_count(struct flights *fs, int64_t endpoint_id);

/* A fetch under way as people see it; texts in the arena. */
struct flight_view {
    int64_t project_id;
    struct str upstream, project, repository, digest;
    int64_t have, total; /* bytes; total -1 = not known yet */
    int64_t rate;        /* bytes a second, lately */
    int64_t clients;     /* that read from it now */
    int64_t seconds;     /* since it began */
};
/* All of them, those that began first at the front: items are struct flight_view. */
enum err flights_list(struct ctx *c, struct flights *fs, struct list *out);

#endif
