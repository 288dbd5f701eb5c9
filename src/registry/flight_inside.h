/* What registry/flight.c (table, readers) and registry/flight_lead.c (the leader) share. */
#ifndef REGISTRY_FLIGHT_INSIDE_H
#define REGISTRY_FLIGHT_INSIDE_H

#include "base/map.h"
#include "blob/store.h"
#include "registry/crew.h"
#include "registry/flight.h"
#include "registry/pace.h"
#include "registry/place.h"

#include <pthread.h>
#include <stdatomic.h>

#define FLIGHT_RING ((size_t)4 << 20) /* memory of a flight that has no file */
#define FLIGHT_PLACES_MAX 64          /* repositories that one flight links */

struct flights {
    struct services *sv;
    struct conditions *conditions;
    struct asks *asks;
    struct crew *crew;
    struct paces *paces;
    pthread_mutex_t lock;
    pthread_cond_t left; /* a flight left the table */
    struct line *line;   /* who waits to begin one, in the order of coming */
    struct map table;    /* digest -> struct flight that may be joined */
    atomic_bool stopping;
};

enum flight_state {
    FLIGHT_STARTING, /* no answer from upstream yet */
    FLIGHT_FLOWING,
    FLIGHT_PROVEN, /* all bytes are here and the digest is right */
    FLIGHT_HERE,   /* nothing was fetched: the store had it, it is linked and open */
    FLIGHT_FAILED,
};

struct reader;

struct flight {
    struct flights *fs;
    struct digest digest;
    struct arena mem;
    struct endpoint endpoint; /* whom the leader asks */
    struct str repository;    /* its name there */
    int64_t limit;            /* bytes per second */

    /* under fs->lock */
    struct place *places[FLIGHT_PLACES_MAX]; /* to be linked; [0] is the leader's */
    size_t place_count;

    pthread_mutex_t lock;
    pthread_cond_t moved; /* readers wait: more bytes, another state */
    pthread_cond_t room;  /* the leader waits: the ring has space */
    enum flight_state state;
    bool begun; /* a leader has it */
    int refs, waiters;
    bool open;   /* some bytes were released */
    int pending; /* joined, no reader yet: they hold the ring's start */
    int64_t have, total, announced, announced_ms;
    int64_t awaited; /* bytes that have room on the disk; -1 = not yet asked for */
    int64_t begun_ms, rate, rated, rated_ms; /* rate: bytes a second, since rated_ms */
    struct reader *readers;
    enum err err; /* of FAILED */
    int status;
    int64_t retry_after;
    char msg[256];

    /* the file; set by the leader before the first byte, closed with the last reference */
    struct store_file *file; /* NULL: no file at all */
    int64_t file_end; /* bytes from here on are in the ring; INT64_MAX while all is in file */
    char *ring;       /* NULL until needed */

    struct flight_stored stored; /* of HERE; closed with the last reference */

    /* the leader's own */
    struct str key, upload_id; /* in the leader's memory; empty = none */
    int64_t extended_ms;       /* when the row's life was set last */
    struct hasher *hasher;
    int64_t skip; /* bytes of this answer that are here already (Range was ignored) */
};

struct reader {
    struct source source; /* first: the sender sees this */
    struct flight *flight;
    struct reader *next;
    int64_t at;   /* everything before it is sent */
    bool lost;    /* too slow for the ring */
    bool waiting; /* is to be woken; one of the flight's waiters */
};

/* Runs a flight to its end, on a thread of the crew; drops the leader's reference. */
void flight_lead(void *flight);

void flight_unref(struct flight *f);
/* Wakes all who wait for more bytes or another state. Under f->lock. */
void flight_announce(struct flight *f);
/* Bytes that readers may have. Under f->lock. */
int64_t flight_released(const struct flight *f);
/* Takes f out of the table unless another flight has its place. Under fs->lock. */
void flight_leave_table(struct flight *f);
/* The lowest offset that a reader still needs from the ring. Under f->lock. */
int64_t flight_slowest(const struct flight *f);

#endif
