/*
 * Manifests and indexes as rows: payload byte for byte, its references as rows. EXPECTED is a
 * child that an index names and that is not here (proxy projects, sparse indexes): no payload.
 */
#ifndef META_ARTIFACT_H
#define META_ARTIFACT_H

#include "meta/list.h"

enum object_state { /* of artifacts and blobs */
                    STATE_EXPECTED = 1,
                    STATE_ACTIVE,
                    STATE_CONDEMNED,
                    STATE_DELETING,
                    STATE_QUARANTINED,
};

struct artifact {
    int64_t id, repository_id, project_id;
    struct str repository_name; /* "project/path" */
    struct str digest, media_type, artifact_type, config_media_type, subject_digest;
    struct str type; /* IMAGE, CHART, ... */
    int64_t state;
    int64_t size;       /* payload and what it references, bytes */
    struct str payload; /* only where a function says so */
    struct raw_json annotations, extra_attrs;
    int64_t parents; /* how many indexes reference it */
    struct timestamp push_time, pull_time;
    int64_t pull_count; /* "pulls": by tag and by digest, since they are counted */
};
extern const struct field artifact_row_fields[];

/* SQL over an artifact a: what a list shows when children of indexes and accessories are hidden. */
#define ARTIFACT_BASE                                                                              \
    "a.state = 2 AND a.subject_digest = '' AND (NOT EXISTS (SELECT 1 FROM artifact_child k WHERE " \
    "k.child_id = a.id) OR EXISTS (SELECT 1 FROM tag t WHERE t.artifact_id = a.id))"

/* The same with a tag that holds the text in argument n; an empty one asks for nothing. */
#define ARTIFACT_TAGGED(n)                                                                         \
    "(" n " = '' OR EXISTS (SELECT 1 FROM tag t WHERE t.artifact_id = a.id AND replace(t.name, " n \
    ", '') <> t.name))"

/* Statement (3) of a manifest GET: tag or digest -> artifact with payload and freshness. */
struct manifest_row {
    int64_t repository_id, artifact_id, tag_id;
    struct str digest, media_type, payload, subject_digest, artifact_type;
    int64_t state;
    struct timestamp checked_at; /* proxy: last time upstream confirmed the tag; 0 = never */
    struct timestamp pushed_at;  /* of the tag */
    bool pinned;                 /* the tag stays here whatever upstream says */
};
enum err manifest_by_tag(struct ctx *c, int64_t project_id, struct str repository, struct str tag,
                         struct manifest_row *out);
enum err manifest_by_digest(struct ctx *c, int64_t project_id, struct str repository,
                            struct str digest, struct manifest_row *out);
/* The newest manifest of the repository that names the blob of this digest. */
enum err manifest_by_blob(struct ctx *c, int64_t project_id, struct str repository,
                          struct str digest, struct manifest_row *out);

/* What a manifest names, parsed by rule/manifest.c, as rows to be. */
struct artifact_child {
    struct str digest, media_type;
    int64_t size;
    struct raw_json platform, annotations;
    struct strs urls;
};
/* Inserts or, for an EXPECTED row, fills. Blob references by id; children by digest (a missing
   child becomes EXPECTED). *created tells whether it was new. */
enum err artifact_put(struct ctx *c, struct artifact *a, const int64_t *blob_ids, size_t blob_count,
                      const struct artifact_child *children, size_t child_count, bool *created);

enum err artifact_by_reference(struct ctx *c, int64_t repository_id, struct str tag_or_digest,
                               struct artifact *out);
/* base_only: children of indexes and accessories hidden, as Harbor's list does. */
enum err artifact_list(struct ctx *c, int64_t repository_id, bool base_only,
                       const struct list_query *q, struct list *out, int64_t *total);
/* Those of such a list that have a tag with this text in it (empty = all): without what is not in
   the row itself. */
enum err artifact_list_tagged(struct ctx *c, int64_t repository_id, struct str part,
                              const struct list_query *q, struct list *out, int64_t *total);
enum err artifact_children(struct ctx *c, int64_t artifact_id, struct list *out /* artifact_ref */);
struct artifact_ref { /* Harbor's Reference */
    int64_t parent_id, child_id;
    struct str child_digest;
    struct raw_json platform, annotations;
    struct strs urls;
    struct timestamp pull_time; /* of the child */
};
extern const struct field artifact_ref_fields[];
/* Referrers of a subject, with payload, oldest first (OCI Distribution Spec, "Listing Referrers").
 */
enum err artifact_referrers(struct ctx *c, int64_t repository_id, struct str subject_digest,
                            struct str artifact_type, struct list *out /* artifact */);
/* A manifest of the repository that names the blob, the newest, and a tag of it or of the index
   above it (may be empty). E_NOT_FOUND. */
struct blob_user {
    struct str digest, media_type, payload, tag;
};
enum err artifact_user_of_blob(struct ctx *c, int64_t project_id, struct str repository,
                               struct str blob_digest, struct blob_user *out);

#endif
