/*
 * In which state each upstream is: breaker, back-off, pull limit; and which names it lately and
 * repeatedly did not have. In memory, per endpoint and credential epoch, for this process.
 */
#ifndef REGISTRY_CONDITION_H
#define REGISTRY_CONDITION_H

#include "base/buf.h"
#include "peer/oci.h"
#include "rule/fresh.h"

struct conditions;
struct conditions *conditions_new(void); /* NULL when out of memory */
void conditions_free(struct conditions *cs);

struct condition {
    enum fresh_endpoint state;
    int64_t retry_after_s;  /* when asking may help again; 0 = not known */
    int status;             /* the upstream's last bad answer as ours (429, 502, 503, 504) */
    int answered;           /* the same as the upstream gave it; 0 = it gave none */
    char reason[160];       /* the upstream's words, or ours; may be empty */
    struct timestamp since; /* not OPEN since then; 0 = not known */
};

enum condition_use {
    USE_HEAD,    /* a manifest HEAD: may be the minute's probe while the pull limit holds */
    USE_GET,     /* a manifest GET: counts against the pull limit */
    USE_CONTENT, /* blobs, tags, referrers: do not count */
};

#define PAUSED_RETRY_S 60 /* what clients of a paused upstream are told to wait */
/*
 * Upstreams that operators have paused or drain, as the database had them last (registry/halt.h):
 * items are struct endpoint. condition_cut: must transfers from it end now? Cheap; for each chunk.
 * What a request does is told by its own endpoint row, not by this.
 */
void conditions_set_halted(struct conditions *cs, const struct list *halted);
bool condition_cut(struct conditions *cs, int64_t endpoint_id);

/* May the endpoint be asked now? Grants at most one half-open try and one probe a minute, so ask
   only when the request will follow, and note its end with condition_note. */
void condition_look(struct conditions *cs, const struct endpoint *e, enum condition_use use,
                    struct condition *out);
/* The same for people who look: grants nothing, and a breaker counts as open until a request has
   gone well, also when the next one may be tried. */
void condition_peek(struct conditions *cs, const struct endpoint *e, struct condition *out);
/* What came of a request: err and st as peer/oci.h gave them. E_TOO_MANY without an answer is our
   own bulkhead and says nothing of the upstream. */
void condition_note(struct conditions *cs, const struct endpoint *e, enum err err,
                    const struct oci_status *st);
/* The status that a client gets for an upstream's answer: 429, 502, 503 or 504. */
int condition_status(enum err err, const struct oci_status *st);

/*
 * Names that are not there. A first absence is never remembered: a tag may be pushed in the next
 * moment. From the third within ten seconds on, the answer stands for five; a denied repository is
 * not asked for again for thirty. E_OK: ask.
 */
enum err condition_absent(struct conditions *cs, const struct endpoint *e, struct str repo,
                          struct str ref);
void condition_absent_note(struct conditions *cs, const struct endpoint *e, struct str repo,
                           struct str ref, enum err err);

/* "cove_upstream_paused{" and "cove_upstream_condition{endpoint="hub"} 0" lines: the number is enum
 * fresh_endpoint. */
void conditions_metric(struct buf *out, void *conditions);

#endif
