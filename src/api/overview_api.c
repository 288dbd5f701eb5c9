/* Long lists for people: a page is one request and one query, and the next begins behind the last
   row of this one (cursor=), so the end of a list costs what its start does. */
#include "api/cove.h"

#include "api/harbor.h"
#include "meta/overview.h"
#include "meta/repository.h"

#include <string.h>

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

/* ---- by digest ------------------------------------------------------------------------------ */

#define FOUND_MAX 20
#define HEX_MIN 4 /* fewer digits would find a part of everything */

const struct field digest_query_fields[] = {FIELD(struct digest_query, digest, F_REQ, 140),
                                            FIELDS_END};

/* "sha256:4bf7" as it is, "4bf7" as the start of a SHA-256. */
static enum err read_digest(struct call *r, struct str given, struct str *out)
{
    size_t at = (size_t)(str_find(given, ':') + 1);
    struct str algorithm = {given.p, at};
    bool known = !at || str_eq(algorithm, S("sha256:")) || str_eq(algorithm, S("sha512:"));
    bool hex = given.n - at >= HEX_MIN && given.n - at <= 128;
    for (size_t i = at; i < given.n && hex; i++)
        hex = memchr("0123456789abcdef", given.p[i], 16) != NULL;
    if (!known || !hex)
        return fail(r->c, E_BAD_REQUEST,
                    "digest is %d or more lower case hexadecimal digits, or sha256: and those",
                    HEX_MIN);
    *out = str_fmt(&r->c->mem, "%s%.*s", at ? "" : "sha256:", STR(given));
    return E_OK;
}

enum err search_artifacts(struct call *r)
{
    struct digest_query q = {0};
    struct list rows;
    struct str from;
    TRY(query_decode(r, &q));
    TRY(read_digest(r, q.digest, &from));
    TRY(overview_by_digest(r->c, &r->principal, from, FOUND_MAX, &rows));
    return reply_list(r, found_artifact_fields, &rows, sizeof(struct found_artifact),
                      (int64_t)rows.count);
}
