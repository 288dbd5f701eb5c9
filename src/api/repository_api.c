/*
 * Repositories: Harbor's repository operations, search, and statistics over what one may see. In
 * this API a repository's name carries its project ("library/nginx"); in the rows it does not.
 */
#include "api/harbor.h"

#include "meta/repository.h"
#include "registry/delete.h"

#include <inttypes.h>

const struct field repository_view_fields[] = {
    FIELD(struct repository_view, id, F_RO, 0),
    FIELD(struct repository_view, project_id, F_RO, 0),
    FIELD(struct repository_view, name, F_RO, 0),
    FIELD(struct repository_view, description, 0, 8192),
    FIELD(struct repository_view, artifact_count, F_RO, 0),
    FIELD(struct repository_view, pull_count, F_RO, 0),
    FIELD(struct repository_view, creation_time, F_RO, 0),
    FIELD(struct repository_view, update_time, F_RO, 0),
    FIELDS_END,
};

const struct field repository_req_fields[] = {
    FIELD(struct repository_view, description, 0, 8192),
    FIELDS_END,
};

const struct field search_query_fields[] = {
    FIELD(struct search_query, q, F_REQ, 255),
    FIELDS_END,
};

struct found_repository {
    int64_t project_id, pull_count, artifact_count;
    struct str project_name, repository_name;
    bool project_public;
};

const struct field search_repository_fields[] = {
    FIELD(struct found_repository, project_id, 0, 0),
    FIELD(struct found_repository, project_name, 0, 0),
    FIELD(struct found_repository, project_public, 0, 0),
    FIELD(struct found_repository, repository_name, 0, 0),
    FIELD(struct found_repository, pull_count, 0, 0),
    FIELD(struct found_repository, artifact_count, 0, 0),
    FIELDS_END,
};

struct search_answer {
    struct list project, repository;
};

const struct field search_fields[] = {
    FIELD_LIST(struct search_answer, project, 0, struct project_view, project_view_fields),
    FIELD_LIST(struct search_answer, repository, 0, struct found_repository,
               search_repository_fields),
    FIELDS_END,
};

struct statistic {
    int64_t private_project_count, private_repo_count, public_project_count, public_repo_count,
        total_project_count, total_repo_count, total_storage_consumption;
};

const struct field statistic_fields[] = {
    FIELD(struct statistic, private_project_count, 0, 0),
    FIELD(struct statistic, private_repo_count, 0, 0),
    FIELD(struct statistic, public_project_count, 0, 0),
    FIELD(struct statistic, public_repo_count, 0, 0),
    FIELD(struct statistic, total_project_count, 0, 0),
    FIELD(struct statistic, total_repo_count, 0, 0),
    FIELD(struct statistic, total_storage_consumption, 0, 0),
    FIELDS_END,
};

void repository_view_of(struct arena *a, const struct repository *row, struct repository_view *out)
{
    *out = (struct repository_view){
        .id = row->id,
        .project_id = row->project_id,
        .artifact_count = row->artifact_count,
        .pull_count = row->pull_count,
        .name = str_fmt(a, "%.*s/%.*s", STR(row->project_name), STR(row->name)),
        .description = row->description,
        .creation_time = row->creation_time,
        .update_time = row->update_time,
    };
}

static enum err list_in(struct call *r, int64_t project_id)
{
    struct ctx *c = r->c;
    struct list rows;
    int64_t total;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(repository_list(c, project_id, &r->principal, &r->query, &rows, &total));
    tx_end(&tx);
    struct repository_view *views = arena_array(&c->mem, rows.count + 1, sizeof *views);
    for (size_t i = 0; i < rows.count; i++)
        repository_view_of(&c->mem, (const struct repository *)rows.items + i, &views[i]);
    struct list out = {views, rows.count};
    return reply_list(r, repository_view_fields, &out, sizeof *views, total);
}

enum err list_all_repositories(struct call *r)
{
    return list_in(r, 0);
}

enum err list_repositories(struct call *r)
{
    return list_in(r, r->access.project.project_id);
}

static enum err repository_of_path(struct call *r, struct repository *out)
{
    enum err e = repository_by_name(r->c, r->access.project.project_id, r->place.repository, out);
    if (e == E_NOT_FOUND)
        return fail(r->c, e, "repository %.*s/%.*s not found", STR(r->access.project.name),
                    STR(r->place.repository));
    return e;
}

enum err get_repository(struct call *r)
{
    struct repository row;
    struct repository_view view;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(repository_of_path(r, &row));
    tx_end(&tx);
    repository_view_of(&r->c->mem, &row, &view);
    return reply_json(r, 200, repository_view_fields, &view);
}

enum err update_repository(struct call *r)
{
    struct ctx *c = r->c;
    const struct repository_view *body = r->body;
    struct repository row;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(repository_of_path(r, &row));
    if (field_seen(repository_req_fields, "description", r->seen))
        row.description = body->description;
    TRY(repository_update(c, &row));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

enum err delete_repository_by_api(struct call *r)
{
    struct repository row;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(repository_of_path(r, &row));
    tx_end(&tx);
    TRY(delete_repository(r->c, &r->place));
    return reply_empty(r, 200);
}

/* ---- search and statistics ------------------------------------------------------------------ */

#define SEARCH_MAX 100

static enum err found_repositories(struct call *r, const struct list *rows, struct list *out)
{
    struct ctx *c = r->c;
    struct found_repository *found = arena_array(&c->mem, rows->count + 1, sizeof *found);
    struct project p = {0};
    for (size_t i = 0; i < rows->count; i++) {
        const struct repository *row = (const struct repository *)rows->items + i;
        if (p.project_id != row->project_id)
            TRY(project_by_id(c, row->project_id, &p));
        found[i] = (struct found_repository){
            .project_id = row->project_id,
            .pull_count = row->pull_count,
            .artifact_count = row->artifact_count,
            .project_name = row->project_name,
            .repository_name =
                str_fmt(&c->mem, "%.*s/%.*s", STR(row->project_name), STR(row->name)),
            .project_public = p.is_public,
        };
    }
    *out = (struct list){found, rows->count};
    return E_OK;
}

/* The first hundred of each kind whose name holds the text. */
enum err search(struct call *r)
{
    struct ctx *c = r->c;
    struct search_query q = {0};
    struct search_answer answer;
    struct list projects, repositories;
    int64_t total;
    TRY(query_decode(r, &q));
    struct project_filter f = {.principal = &r->principal, .name = q.q, .is_public = -1};
    struct list_query page = {.page = 1, .page_size = SEARCH_MAX}, named = page;
    named.terms[0] =
        (struct query_term){.key = S("name"), .op = Q_FUZZY, .values = {&q.q, q.q.n ? 1 : 0}};
    named.term_count = q.q.n ? 1 : 0;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(project_list(c, &f, &page, &projects, &total));
    TRY(repository_list(c, 0, &r->principal, &named, &repositories, &total));
    struct project_view *views = arena_array(&c->mem, projects.count + 1, sizeof *views);
    for (size_t i = 0; i < projects.count; i++)
        project_view_of(r, (const struct project *)projects.items + i, NULL, &views[i]);
    answer.project = (struct list){views, projects.count};
    TRY(found_repositories(r, &repositories, &answer.repository));
    tx_end(&tx);
    return reply_json(r, 200, search_fields, &answer);
}

/* Sums over the projects that the principal sees; the totals are for system admins. */
enum err get_statistic(struct call *r)
{
    struct ctx *c = r->c;
    struct statistic s = {0};
    struct project_filter f = {.principal = &r->principal, .is_public = -1};
    struct list_query q = {.page = 1, .page_size = 100};
    int64_t total = 0;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    do {
        struct list page;
        TRY(project_list(c, &f, &q, &page, &total));
        for (size_t i = 0; i < page.count; i++) {
            const struct project *p = (const struct project *)page.items + i;
            *(p->is_public ? &s.public_project_count : &s.private_project_count) += 1;
            *(p->is_public ? &s.public_repo_count : &s.private_repo_count) += p->repo_count;
            s.total_storage_consumption += p->storage_used;
        }
    } while (q.page++ * 100 < total);
    tx_end(&tx);
    if (r->principal.sysadmin) {
        s.total_project_count = s.public_project_count + s.private_project_count;
        s.total_repo_count = s.public_repo_count + s.private_repo_count;
    } else {
        s.total_storage_consumption = 0;
    }
    return reply_json(r, 200, statistic_fields, &s);
}
