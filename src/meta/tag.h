/* Tags are rows; each move is kept in a journal that holds no reference. */
#ifndef META_TAG_H
#define META_TAG_H

#include "meta/list.h"
#include "meta/principal.h"

struct tag {
    int64_t id, repository_id, artifact_id;
    struct str name;
    bool immutable;
    int64_t version;
    struct timestamp push_time, pull_time, checked_at;
    bool pinned; /* pointed by hand in a proxy project: upstream does not move it */
};
extern const struct field tag_fields[];

/* Points the tag at the artifact; journals a change (who = c->actor). upstream marks moves seen at
   an upstream, and sets checked_at to tx.now; a pinned tag stays where it is then. */
enum err tag_put(struct ctx *c, int64_t repository_id, struct str name, int64_t artifact_id,
                 bool upstream);
enum err tag_checked(struct ctx *c, int64_t repository_id, struct str name); /* checked_at = now */
enum err tag_by_name(struct ctx *c, int64_t repository_id, struct str name, struct tag *out);
/* Those of the names that are tags; out: which were, of struct tag. */
enum err tag_delete(struct ctx *c, int64_t repository_id, const struct strs *names,
                    struct list *out);
/* All tags that still point at one of the artifacts when their rows are locked. */
enum err tag_delete_of(struct ctx *c, const struct i64s *artifacts);
enum err tag_list(struct ctx *c, int64_t repository_id, int64_t artifact_id /* 0 = all */,
                  const struct list_query *q, struct list *out, int64_t *total);
/* Names after `last`, sorted bytewise, at most n (OCI "Listing Tags"). */
enum err tag_names(struct ctx *c, int64_t repository_id, struct str last, int64_t n,
                   struct strs *out);

/*
 * Points the tag by hand from the digest that the caller saw (expect; empty = no such tag) to an
 * artifact, and pins it there or not. E_PRECONDITION when the tag is somewhere else meanwhile: the
 * message says where. tag_unpin gives the tag back to upstream; E_NOT_FOUND when it is not pinned.
 */
enum err tag_point(struct ctx *c, int64_t repository_id, struct str name, int64_t artifact_id,
                   struct str expect, bool pin, struct str reason);
enum err tag_unpin(struct ctx *c, int64_t repository_id, struct str name, struct str reason);

/* The journal. Of kind "move" and "point" are changes of the tag; the others tell of decisions:
   "unpin", and of held-back tags those of rule/hold.h. */
struct tag_move {
    int64_t id, repository_id;
    struct str name, old_digest, new_digest, actor; /* no digest: the tag was or is not there */
    bool upstream;
    struct timestamp at;
    struct str kind, reason;
    struct str project_name, repository_name; /* where lists go across repositories */
};
extern const struct field tag_move_fields[];

enum err tag_note(struct ctx *c, const struct tag_move *m); /* at = tx.now */
/* Newest first, at most n, with ids below `before` (0 = all) and not later than `until` (0 = all).
   name: one tag, or all when it is empty. */
enum err tag_moves(struct ctx *c, int64_t repository_id, struct str name, int64_t before,
                   struct timestamp until, int64_t n, struct list *out);
/* The change that was in force at a time; E_NOT_FOUND before the tag's first. */
enum err tag_move_at(struct ctx *c, int64_t repository_id, struct str name, struct timestamp at,
                     struct tag_move *out);
/* Of the repositories of all projects that the principal sees (NULL = all). */
struct tag_moves_filter {
    const struct principal *principal;
    int64_t project_id; /* 0 = all */
    struct timestamp since;
    bool upstream; /* those seen at upstreams alone */
    int64_t before, n;
};
enum err tag_moves_of_all(struct ctx *c, const struct tag_moves_filter *f, struct list *out);

/* What upstream named last for a tag of a project that holds tags back. */
struct tag_seen {
    int64_t repository_id;
    struct str name, digest, decision; /* decision: hold_text() of rule/hold.h, or empty */
    struct timestamp first_seen;
};
enum err tag_seen_get(struct ctx *c, int64_t repository_id, struct str name, struct tag_seen *out);
enum err tag_seen_put(struct ctx *c, const struct tag_seen *s);
enum err tag_seen_sweep(struct ctx *c); /* rows of half a year ago */

/* Tags of proxy projects that somebody pulled since then, by name or by the digest that they have
   (as containerd does), in the order of their ids. */
struct tag_pulled {
    int64_t id, project_id;
    struct str name, repository_name, project_name;
};
enum err tag_pulled_since(struct ctx *c, struct timestamp since, int64_t after_id, int64_t n,
                          struct list *out);

#endif
