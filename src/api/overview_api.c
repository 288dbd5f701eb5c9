/* Long lists for people: a page is one request and one query, and the next begins behind the last
   row of this one (cursor=), so the end of a list costs what its start does. */
#include "api/cove.h"

#include "meta/overview.h"
#include "meta/repository.h"

enum err list_project_overviews(struct call *r)
{
    struct list rows;
    int64_t total;
    TRY(overview_projects(r->c, &r->principal, &r->query, &rows, &total));
    return reply_list(r, project_overview_fields, &rows, sizeof(struct project_overview), total);
}

enum err list_repository_overviews(struct call *r)
{
    struct list rows;
    int64_t total;
    TRY(overview_repositories(r->c, r->access.project.project_id, &r->query, &rows, &total));
    return reply_list(r, repository_overview_fields, &rows, sizeof(struct repository_overview),
                      total);
}

enum err list_tag_overviews(struct call *r)
{
    struct repository repo;
    struct list rows;
    int64_t total;
    const struct project *p = &r->access.project;
    enum err e = repository_by_name(r->c, p->project_id, r->place.repository, &repo);
    if (e == E_NOT_FOUND)
        return fail(r->c, e, "repository %.*s/%.*s not found", STR(p->name),
                    STR(r->place.repository));
    TRY(e);
    TRY(overview_tags(r->c, repo.id, &r->query, &rows, &total));
    return reply_list(r, tag_overview_fields, &rows, sizeof(struct tag_overview), total);
}
