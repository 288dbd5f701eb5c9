/* What is told of artifacts beside Harbor's words, in parts and all together. */
#ifndef API_ARTIFACT_VIEWS_H
#define API_ARTIFACT_VIEWS_H

#include "api/call.h"
#include "meta/artifact.h"

struct artifact_row {
    int64_t id, size, pulls, tag_count, child_count;
    struct str digest, media_type, artifact_type, type;
    struct timestamp push_time, pull_time;
    bool is_signed;
    struct strs platforms;
    struct list tags, attached;
    struct i64s pulls_30d;
};

struct graph {
    struct str digest;
    bool truncated;
    struct list nodes, edges;
};

struct layers_view {
    struct str digest;
    int64_t size, shared, artifacts, repositories;
    bool history;        /* the configuration is here and was read */
    struct str platform; /* as it says */
    struct list layers, with;
    /* not shown */
    struct str media_type, payload;
    struct list blobs; /* of kin_layer */
};

struct why_kept {
    struct str verdict;
    struct list reasons;
    struct timestamp last_used;
    int64_t storage_limit, storage_used, gc_grace_s;
    struct str free_floor;
};

extern const struct field artifact_row_view[], graph_fields[], layers_view_fields[],
    why_kept_fields[], artifact_overview_fields[], comparison_fields[];

/* Inside a read transaction, for all n at once. */
enum err artifact_rows_fill(struct ctx *c, const struct artifact *a, size_t n,
                            struct artifact_row *rows);

#endif
