/* The handlers of /api/cove/v1 and their tables. Rows in cove.c. */
#ifndef API_COVE_H
#define API_COVE_H

#include "api/call.h"

/* ---- the journal of tags: journal.c ------------------------------------------------------- */

struct moves_query {
    struct str tag, project;
    struct timestamp at, since;
    bool upstream;
    int64_t cursor, page_size;
};
extern const struct field moves_query_fields[], all_moves_query_fields[], resolve_query_fields[];

struct point {
    struct str digest, reason, expect;
};
extern const struct field point_fields[], release_query_fields[], move_fields[], tag_state_fields[];

handler list_moves, list_all_moves, resolve_tag, point, release;

/* ---- pull limits and who uses them: upstreams.c ------------------------------------------- */

struct use_query {
    struct timestamp from, to;
    struct str credential;
    int64_t window;
};
extern const struct field series_query_fields[], consumers_query_fields[];

struct pause_req {
    bool drain;
    struct str reason;
};
extern const struct field pause_fields[], upstream_view_fields[], series_view_fields[],
    consumer_fields[], upstream_check_fields[], summary_fields[], download_fields[];

handler list_upstreams, upstream_quota_series, list_consumers, start_refresh, pause_upstream,
    resume_upstream;

/* ---- long lists: overview_api.c ------------------------------------------------------------ */

handler list_project_overviews, list_repository_overviews, list_tag_overviews, search_artifacts;
struct digest_query {
    struct str digest;
};
extern const struct field digest_query_fields[];

/* ---- jobs and storage: job_api.c, storage_api.c -------------------------------------------- */

struct job_query {
    struct str kind;
    bool live;
    int64_t cursor, page_size;
};
extern const struct field job_query_fields[];

project_finder job_of_path;
handler get_settings, list_jobs, list_project_jobs, get_job, stop_job, get_storage, start_gc;

extern const struct field job_line_fields[], job_view_fields[], storage_view_fields[],
    setting_fields[];

struct job;
/* Queues a job (meta/job.h) of the one who asks. E_CONFLICT: another one has its lock_key. */
enum err queue_job(struct call *r, struct job *job);
/* The job as the API shows it, with 202 and where it is: for whoever queues one. */
enum err reply_job(struct call *r, const struct job *job);

/* ---- artifacts with what belongs to them: artifact_rows.c, artifact_views.c, compare.c ---- */

struct rows_query {
    struct str tag;
};
struct compare_query {
    struct str a, b;
};
extern const struct field rows_query_fields[], compare_query_fields[];

handler list_artifact_rows, artifact_overview, artifact_graph, artifact_layers, artifact_why_kept,
    compare_artifacts;

/* ---- upstreams as they are: upstreams.c ---------------------------------------------------- */

struct quota_view {
    struct str credential, source;
    int64_t limit, remaining, window_s, floor;
    struct timestamp seen_at;
};
extern const struct field quota_view_fields[];

struct upstream_view {
    int64_t id;
    struct str name, type, url, account, state, reason;
    int64_t status; /* of its last bad answer while it is not open; 0 = none, or no answer */
    int64_t retry_after_s;
    struct timestamp since; /* not open since then */
    struct str paused_by;   /* while it is paused; reason is theirs then */
    int64_t transfers;      /* blobs on their way from it to this process */
    struct list quota;      /* of quota_view */
};
/* All upstreams as they are now, by name. */
enum err upstream_views(struct ctx *c, struct list *out);

/* ---- a look at an upstream before it is saved: upstream_check.c ---------------------------- */

handler check_upstream;

/* ---- the cache in figures: cache_figures.c; what goes on now: cache_now.c ------------------ */

struct range_query {
    struct str range;
};
struct pulls_query {
    struct str project;
    struct timestamp since;
    int64_t limit;
};
extern const struct field range_query_fields[], pulls_query_fields[];

handler get_cache_summary, list_downloads, list_pulls;
project_finder project_of_query;

/* ---- many at once: bulk.c ------------------------------------------------------------------ */

struct bulk_filter;
struct bulk_req {
    struct strs digests, tags, repositories;
    struct bulk_filter *query;
    bool dry_run;
};
struct bulk_projects_req {
    struct strs projects;
    struct str q; /* as the list of projects takes it; instead of projects */
    bool dry_run, contents, public;
    int64_t storage_limit;
};
extern const struct field bulk_delete_fields[], bulk_untag_fields[], bulk_repositories_fields[],
    preview_fields[], projects_preview_fields[], bulk_delete_projects_fields[], bulk_quota_fields[],
    bulk_visibility_fields[];

handler bulk_delete, bulk_untag, bulk_delete_repositories, bulk_delete_projects, bulk_quota,
    bulk_visibility;

/* ---- our own description of all this: openapi.c --------------------------------------------- */

handler get_openapi;

#endif
