/* Our own operations, below /api/cove/v1: what Harbor's API has no words for. */
#include "api/cove.h"

#include "api/artifact_views.h"
#include "api/cache_api.h"
#include "api/harbor.h"
#include "meta/overview.h"
#include "registry/gc.h"
#include "registry/ledger.h"

static const struct field ledger_fields[] = {
    FIELD(struct ledger_line, endpoint_id, 0, 0),
    FIELD(struct ledger_line, endpoint, 0, 0),
    FIELD(struct ledger_line, credential, 0, 0),
    FIELD(struct ledger_line, source, F_OMIT, 0),
    FIELD(struct ledger_line, limit, 0, 0),
    FIELD(struct ledger_line, remaining, 0, 0),
    FIELD(struct ledger_line, window_s, 0, 0),
    FIELD(struct ledger_line, seen_at, F_NULL, 0),
    FIELDS_END,
};

/* What upstreams said last of their pull limits, per endpoint and credential. */
static enum err list_quota(struct call *r)
{
    struct ledger_line *lines = NULL;
    size_t count = 0;
    TRY(ledger_list(r->c, &lines, &count));
    struct list list = {lines, count};
    return reply_list(r, ledger_fields, &list, sizeof *lines, (int64_t)count);
}

const struct route cove_routes[] = {
    {HTTP_GET, "/openapi.json", "getOpenApi", ANYONE, NO_BODY, get_openapi, 0},
    {HTTP_GET, "/cache/summary", "getCacheSummary", LOGIN, NO_BODY, get_cache_summary, 0,
     QUERY(struct range_query, range_query_fields)},
    {HTTP_GET, "/cache/downloads", "listCacheDownloads", LOGIN, NO_BODY, list_downloads, 0},
    {HTTP_GET, "/pulls", "listRecentPulls", FOUND(LOG, LIST, project_of_query), NO_BODY, list_pulls,
     0, QUERY(struct pulls_query, pulls_query_fields)},
    {HTTP_GET, "/clients/{kind}", "getClientConfig", LOGIN, NO_BODY, get_client_config, 0,
     QUERY(struct client_query, client_query_fields)},
    {HTTP_GET, "/quota", "listUpstreamQuota", SYSTEM(REGISTRY, LIST), NO_BODY, list_quota, 0,
     .reply = GIVES_LIST(ledger_fields)},
    {HTTP_GET, "/upstreams", "listUpstreams", SYSTEM(REGISTRY, LIST), NO_BODY, list_upstreams, 0,
     .reply = GIVES_LIST(upstream_view_fields)},
    {HTTP_POST, "/upstreams/{id}/pause", "pauseUpstream", SYSTEM(REGISTRY, UPDATE),
     BODY(struct pause_req, pause_fields), pause_upstream, ROUTE_ANYTIME,
     .reply = GIVES(upstream_view_fields)},
    {HTTP_DELETE, "/upstreams/{id}/pause", "resumeUpstream", SYSTEM(REGISTRY, UPDATE), NO_BODY,
     resume_upstream, ROUTE_ANYTIME, .reply = GIVES(upstream_view_fields)},
    {HTTP_POST, "/upstreams/check", "checkUpstream", SYSTEM(REGISTRY, READ),
     BODY(struct registry_req, registry_ping_fields), check_upstream, ROUTE_ANYTIME},
    {HTTP_GET, "/upstreams/{id}/quota", "getUpstreamQuota", SYSTEM(REGISTRY, READ), NO_BODY,
     upstream_quota_series, 0, QUERY(struct use_query, series_query_fields)},
    {HTTP_GET, "/upstreams/{id}/consumers", "listUpstreamConsumers", SYSTEM(REGISTRY, READ),
     NO_BODY, list_consumers, 0, QUERY(struct use_query, consumers_query_fields)},
    {HTTP_POST, "/refresh", "startRefresh", SYSTEM(REGISTRY, UPDATE), NO_BODY, start_refresh, 0,
     .reply = GIVES(job_view_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/artifacts", "listArtifactRows",
     IN_PROJECT(ARTIFACT, LIST), NO_BODY, list_artifact_rows, ROUTE_LIST,
     QUERY(struct rows_query, rows_query_fields), .reply = GIVES_LIST(artifact_row_view)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/artifacts/{digest}",
     "getArtifactOverview", IN_PROJECT(ARTIFACT, READ), NO_BODY, artifact_overview, 0,
     .reply = GIVES(artifact_overview_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/artifacts/{digest}/graph",
     "getArtifactGraph", IN_PROJECT(ARTIFACT, READ), NO_BODY, artifact_graph, 0,
     .reply = GIVES(graph_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/artifacts/{digest}/shared-layers",
     "getSharedLayers", IN_PROJECT(ARTIFACT, READ), NO_BODY, artifact_layers, 0,
     .reply = GIVES(layers_view_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/artifacts/{digest}/why-kept",
     "getWhyKept", IN_PROJECT(ARTIFACT, READ), NO_BODY, artifact_why_kept, 0,
     .reply = GIVES(why_kept_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/compare", "compareArtifacts",
     IN_PROJECT(ARTIFACT, READ), NO_BODY, compare_artifacts, 0,
     QUERY(struct compare_query, compare_query_fields), .reply = GIVES(comparison_fields)},
    {HTTP_POST, "/projects/{project}/repositories/{repository}/bulk/delete", "deleteArtifacts",
     IN_PROJECT(ARTIFACT, DELETE), BODY(struct bulk_req, bulk_delete_fields), bulk_delete, 0},
    {HTTP_POST, "/projects/{project}/repositories/{repository}/bulk/untag", "untagArtifacts",
     IN_PROJECT(TAG, DELETE), BODY(struct bulk_req, bulk_untag_fields), bulk_untag, 0},
    {HTTP_POST, "/projects/{project}/bulk/delete", "deleteRepositories",
     IN_PROJECT(REPOSITORY, DELETE), BODY(struct bulk_req, bulk_repositories_fields),
     bulk_delete_repositories, 0},
    {HTTP_POST, "/bulk/delete", "deleteProjects", LOGIN,
     BODY(struct bulk_projects_req, bulk_delete_projects_fields), bulk_delete_projects, 0},
    {HTTP_POST, "/bulk/visibility", "changeVisibility", LOGIN,
     BODY(struct bulk_projects_req, bulk_visibility_fields), bulk_visibility, 0},
    {HTTP_POST, "/bulk/quota", "changeQuotas", SYSTEM(QUOTA, UPDATE),
     BODY(struct bulk_projects_req, bulk_quota_fields), bulk_quota, 0},
    {HTTP_GET, "/moves", "listTagMovesEverywhere", LOGIN, NO_BODY, list_all_moves, ROUTE_READ,
     QUERY(struct moves_query, all_moves_query_fields), .reply = GIVES_LIST(move_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/moves", "listTagMoves",
     IN_PROJECT(TAG, LIST), NO_BODY, list_moves, ROUTE_READ,
     QUERY(struct moves_query, moves_query_fields), .reply = GIVES_LIST(move_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/tags/{tag}", "resolveTag",
     IN_PROJECT(TAG, LIST), NO_BODY, resolve_tag, ROUTE_READ,
     QUERY(struct moves_query, resolve_query_fields), .reply = GIVES(tag_state_fields)},
    {HTTP_POST, "/projects/{project}/repositories/{repository}/tags/{tag}/point", "pointTag",
     IN_PROJECT(TAG, DELETE), BODY(struct point, point_fields), point, 0,
     .reply = GIVES(tag_state_fields)},
    {HTTP_DELETE, "/projects/{project}/repositories/{repository}/tags/{tag}/point", "releaseTag",
     IN_PROJECT(TAG, DELETE), NO_BODY, release, 0, QUERY(struct point, release_query_fields)},
    {HTTP_GET, "/projects", "listProjectOverviews", LOGIN, NO_BODY, list_project_overviews,
     ROUTE_LIST | ROUTE_READ, .reply = GIVES_LIST(project_overview_fields)},
    {HTTP_GET, "/projects/{project}/repositories", "listRepositoryOverviews",
     IN_PROJECT(REPOSITORY, LIST), NO_BODY, list_repository_overviews, ROUTE_LIST | ROUTE_READ,
     .reply = GIVES_LIST(repository_overview_fields)},
    {HTTP_GET, "/projects/{project}/repositories/{repository}/tags", "listTagOverviews",
     IN_PROJECT(TAG, LIST), NO_BODY, list_tag_overviews, ROUTE_LIST | ROUTE_READ,
     .reply = GIVES_LIST(tag_overview_fields)},
    {HTTP_GET, "/storage", "getStorage", SYSTEM(SYSTEM_VOLUMES, READ), NO_BODY, get_storage, 0,
     .reply = GIVES(storage_view_fields)},
    {HTTP_POST, "/storage/gc", "startGarbageCollection", SYSTEM(GARBAGE_COLLECTION, CREATE),
     BODY(struct gc_params, gc_params_fields), start_gc, 0, .reply = GIVES(job_view_fields)},
    {HTTP_GET, "/settings", "listSettings", SYSTEM(CONFIGURATION, READ), NO_BODY, get_settings, 0,
     .reply = GIVES_LIST(setting_fields)},
    {HTTP_GET, "/jobs", "listJobs", SYSTEM(JOBSERVICE_MONITOR, LIST), NO_BODY, list_jobs, 0,
     QUERY(struct job_query, job_query_fields), .reply = GIVES_LIST(job_line_fields)},
    {HTTP_GET, "/projects/{project}/jobs", "listProjectJobs", IN_PROJECT(REPOSITORY, UPDATE),
     NO_BODY, list_project_jobs, 0, QUERY(struct job_query, job_query_fields),
     .reply = GIVES_LIST(job_line_fields)},
    {HTTP_GET, "/jobs/{id}", "getJob", FOUND(REPOSITORY, UPDATE, job_of_path), NO_BODY, get_job, 0,
     .reply = GIVES(job_view_fields)},
    {HTTP_POST, "/jobs/{id}/stop", "stopJob", FOUND(ARTIFACT, DELETE, job_of_path), NO_BODY,
     stop_job, 0},
    {0},
};
