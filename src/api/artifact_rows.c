/*
 * The list of a repository as a person looks at it: digests with their tags, platforms, what is
 * attached, pulls by days; all of a page in one reply, by a handful of statements however long the
 * page is.
 *
 * sort=version orders by the best tag, as people count (rule/version.h). No column has that order,
 * so the names of the repository are sorted here, up to NAMES_MAX of them; beyond that the caller
 * has to choose a column. Its cursor is the last row's best tag and id.
 */
#include "api/artifact_views.h"

#include "api/cove.h"
#include "api/harbor.h"

#include "base/codec.h"
#include "meta/kin.h"
#include "meta/store.h"
#include "rule/image.h"
#include "rule/version.h"

#include <stdlib.h>

#define NAMES_MAX 20000

struct row_tag {
    struct str name;
    struct timestamp push_time, pull_time, checked_at;
    bool pinned;
};

struct row_attached {
    struct str digest, type, artifact_type;
    int64_t size;
    struct timestamp push_time;
};

static const struct field row_tag_fields[] = {
    FIELD(struct row_tag, name, 0, 0),           FIELD(struct row_tag, push_time, 0, 0),
    FIELD(struct row_tag, pull_time, F_NULL, 0), FIELD(struct row_tag, checked_at, F_OMIT, 0),
    FIELD(struct row_tag, pinned, F_OMIT, 0),    FIELDS_END,
};

static const struct field row_attached_fields[] = {
    FIELD(struct row_attached, digest, 0, 0),
    FIELD(struct row_attached, type, 0, 0),
    FIELD(struct row_attached, artifact_type, F_OMIT, 0),
    FIELD(struct row_attached, size, 0, 0),
    FIELD(struct row_attached, push_time, 0, 0),
    FIELDS_END,
};

const struct field artifact_row_view[] = {
    FIELD(struct artifact_row, id, 0, 0),
    FIELD(struct artifact_row, digest, 0, 0),
    FIELD(struct artifact_row, media_type, 0, 0),
    FIELD(struct artifact_row, artifact_type, F_OMIT, 0),
    FIELD(struct artifact_row, type, 0, 0),
    FIELD(struct artifact_row, size, 0, 0),
    FIELD(struct artifact_row, push_time, 0, 0),
    FIELD(struct artifact_row, pull_time, F_NULL, 0),
    FIELD(struct artifact_row, pulls, 0, 0),
    FIELD(struct artifact_row, pulls_30d, 0, 0),
    FIELD_AS(struct artifact_row, is_signed, "signed", 0, 0),
    FIELD(struct artifact_row, platforms, 0, 0),
    FIELD(struct artifact_row, child_count, 0, 0),
    FIELD(struct artifact_row, tag_count, 0, 0),
    FIELD_LIST(struct artifact_row, tags, 0, struct row_tag, row_tag_fields),
    FIELD_LIST(struct artifact_row, attached, 0, struct row_attached, row_attached_fields),
    FIELDS_END,
};

const struct field rows_query_fields[] = {
    FIELD(struct rows_query, tag, 0, 128),
    FIELDS_END,
};

/* ---- which rows ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct kin_name *x = a, *y = b;
    if (!x->name.n != !y->name.n) /* those without a tag are last, as they came */
        return x->name.n ? -1 : 1;
    int order = x->name.n ? version_cmp(x->name, y->name) : 0;
    return order ? order : (x->id < y->id) - (x->id > y->id);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* All artifacts with their best tag, in that order, each once. */
static enum err order_by_version(struct call *r, int64_t repository_id, struct str tag,
                                 struct kin_name **out, size_t *count)
{
    struct ctx *c = r->c;
    struct list names;
    TRY(kin_names(c, repository_id, tag, NAMES_MAX + 1, &names));
    if (names.count > NAMES_MAX)
        return fail(c, E_UNPROCESSABLE, "more than %d tags: sort by push_time", NAMES_MAX);
    struct kin_name *n = names.items;
    qsort(n, names.count, sizeof *n, by_name);
    int64_t *seen = arena_alloc(&c->mem, (names.count + 1) * sizeof *seen);
    for (size_t i = 0; i < names.count; i++)
        seen[i] = n[i].id;
    qsort(seen, names.count, sizeof *seen, by_id);
    size_t distinct = 0;
    for (size_t i = 0; i < names.count; i++)
        if (!i || seen[i] != seen[i - 1])
            seen[distinct++] = seen[i];
    bool *taken = arena_alloc(&c->mem, distinct + 1);
    *count = 0;
    for (size_t i = 0; i < names.count; i++) {
        const int64_t *at = bsearch(&n[i].id, seen, distinct, sizeof *seen, by_id);
        if (!at || taken[at - seen])
            continue;
        taken[at - seen] = true;
        n[(*count)++] = n[i];
    }
    *out = n;
    return E_OK;
}

static void reverse(struct kin_name *n, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct kin_name first = n[i];
        n[i] = n[count - 1 - i];
        n[count - 1 - i] = first;
    }
}

/* Where the page begins: behind the cursor's row, or after the pages before. */
static enum err version_start(struct call *r, const struct kin_name *all, size_t count, bool down,
                              size_t *out)
{
    struct ctx *c = r->c;
    struct str rest = r->query.cursor;
    struct kin_name at = {0};
    if (!r->query.by_cursor || !rest.n) {
        int64_t from;
        *out = count;
        if (!__builtin_mul_overflow(r->query.page - 1, r->query.page_size, &from) &&
            i64_to_size(from, out))
            *out = size_min(*out, count);
        return E_OK;
    }
    if (!percent_decode(&c->mem, str_cut(&rest, ','), false, &at.name) || !str_to_i64(rest, &at.id))
        return fail(c, E_BAD_REQUEST, "cursor: not one of this list and sort");
    size_t i = 0;
    while (i < count && (down ? by_name(&at, &all[i]) <= 0 : by_name(&all[i], &at) <= 0))
        i++;
    *out = i;
    return E_OK;
}

static enum err page_by_version(struct call *r, int64_t repository_id, struct str tag, bool down,
                                struct list *out, int64_t *total)
{
    struct ctx *c = r->c;
    struct kin_name *all;
    struct list found;
    size_t many, start;
    if (r->query.term_count)
        return fail(c, E_BAD_REQUEST, "q: not with sort=version");
    TRY(order_by_version(r, repository_id, tag, &all, &many));
    if (down)
        reverse(all, many);
    TRY(version_start(r, all, many, down, &start));
    size_t n = size_min(many - start, (size_t)r->query.page_size), count = 0;
    int64_t *ids = arena_alloc(&c->mem, (n + 1) * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = all[start + i].id;
    TRY(kin_artifacts(c, ids, n, &found));
    struct artifact *rows = arena_alloc(&c->mem, (n + 1) * sizeof *rows);
    const struct artifact *f = found.items;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < found.count; k++)
            if (f[k].id == ids[i])
                rows[count++] = f[k];
    *out = (struct list){rows, count};
    *total = r->query.cursor.n ? -1 : (int64_t)many;
    if (r->query.by_cursor && start + n < many)
        r->next_cursor =
            str_fmt(&c->mem, "%.*s,%lld", STR(percent_encode(&c->mem, all[start + n - 1].name, "")),
                    (long long)ids[n - 1]);
    return E_OK;
}

static enum err find_rows(struct call *r, struct list *out, int64_t *total)
{
    struct ctx *c = r->c;
    struct rows_query q = {0};
    struct repository repo;
    TRY(query_decode(r, &q));
    TRY(repository_here(r, &repo));
    struct str sort = r->query.sort_count ? r->query.sort[0] : NO_STR;
    if (str_eq(sort, S("version")) || str_eq(sort, S("-version")))
        return page_by_version(r, repo.id, q.tag, str_starts(sort, S("-")), out, total);
    return artifact_list_tagged(c, repo.id, q.tag, &r->query, out, total);
}

/* ---- what they show ------------------------------------------------------------------------- */

static struct artifact_row *row_of(struct artifact_row *rows, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

static int by_tag(const void *a, const void *b)
{
    return version_cmp(((const struct row_tag *)a)->name, ((const struct row_tag *)b)->name);
}

static enum err add_tags(struct ctx *c, struct artifact_row *rows, size_t n, const int64_t *ids)
{
    struct list tags;
    TRY(kin_tags(c, ids, n, &tags));
    const struct kin_tag *t = tags.items;
    struct row_tag *views = arena_alloc(&c->mem, (tags.count + 1) * sizeof *views);
    for (size_t i = 0; i < tags.count; i++) { /* they come artifact by artifact */
        struct artifact_row *row = row_of(rows, n, t[i].artifact_id);
        if (!row)
            continue;
        views[i] = (struct row_tag){t[i].name, t[i].push_time, t[i].pull_time, t[i].checked_at,
                                    t[i].pinned};
        if (!row->tags.count++)
            row->tags.items = &views[i];
        row->tag_count = t[i].many;
    }
    for (size_t i = 0; i < n; i++)
        if (rows[i].tags.count)
            qsort(rows[i].tags.items, rows[i].tags.count, sizeof *views, by_tag);
    return E_OK;
}

static enum err add_children(struct ctx *c, struct artifact_row *rows, size_t n, const int64_t *ids)
{
    struct list children;
    TRY(kin_children(c, ids, n, &children));
    const struct kin_child *k = children.items;
    struct str *texts = arena_alloc(&c->mem, (children.count + 1) * sizeof *texts);
    for (size_t i = 0; i < children.count; i++) {
        struct artifact_row *row = row_of(rows, n, k[i].parent_id);
        struct str text = image_platform_text(c, k[i].platform);
        if (!row)
            continue;
        if (!row->child_count++)
            row->platforms.items = &texts[i];
        bool twice = !text.n || str_starts(text, S("unknown/"));
        for (size_t j = 0; j < row->platforms.count; j++)
            twice = twice || str_eq(row->platforms.items[j], text);
        if (!twice)
            row->platforms.items[row->platforms.count++] = text;
    }
    return E_OK;
}

static void add_attached_to(struct artifact_row *row, const struct list *found,
                            struct row_attached *views)
{
    const struct kin_node *k = found->items;
    row->attached.items = views;
    for (size_t i = 0; i < found->count; i++) {
        if (!str_eq(k[i].subject_digest, row->digest))
            continue;
        struct str type = accessory_kind(k[i].artifact_type);
        views[row->attached.count++] =
            (struct row_attached){k[i].digest, type, k[i].artifact_type, k[i].size, k[i].push_time};
        row->is_signed = row->is_signed || str_starts(type, S("signature."));
    }
}

/* Each of them has one subject, so they fit into one array. */
static enum err add_attached(struct ctx *c, struct artifact_row *rows, size_t n, const int64_t *ids)
{
    struct list found;
    TRY(kin_attached(c, ids, n, &found));
    struct row_attached *views = arena_alloc(&c->mem, (found.count + 1) * sizeof *views);
    for (size_t i = 0; i < n; i++) {
        add_attached_to(&rows[i], &found, views);
        views += rows[i].attached.count;
    }
    return E_OK;
}

/* Thirty numbers each, today's the last. */
static enum err add_days(struct ctx *c, struct artifact_row *rows, size_t n, const int64_t *ids)
{
    struct list days;
    int64_t first = c->tx->now.us / DAY_US - PULL_DAYS + 1;
    TRY(kin_days(c, ids, n, first, &days));
    for (size_t i = 0; i < n; i++) {
        int64_t *each = arena_alloc(&c->mem, PULL_DAYS * sizeof *each);
        rows[i].pulls_30d = (struct i64s){each, PULL_DAYS};
    }
    const struct kin_day *d = days.items;
    for (size_t i = 0; i < days.count; i++) {
        struct artifact_row *row = row_of(rows, n, d[i].artifact_id);
        int64_t at = d[i].day - first;
        if (row && at >= 0 && at < PULL_DAYS)
            row->pulls_30d.items[at] = d[i].pulls;
    }
    return E_OK;
}

enum err artifact_rows_fill(struct ctx *c, const struct artifact *a, size_t n,
                            struct artifact_row *rows)
{
    int64_t *ids = arena_alloc(&c->mem, (n + 1) * sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        ids[i] = a[i].id;
        rows[i] = (struct artifact_row){.id = a[i].id,
                                        .digest = a[i].digest,
                                        .media_type = a[i].media_type,
                                        .artifact_type = a[i].artifact_type,
                                        .type = a[i].type,
                                        .size = a[i].size,
                                        .pulls = a[i].pull_count,
                                        .push_time = a[i].push_time,
                                        .pull_time = a[i].pull_time};
    }
    TRY(add_tags(c, rows, n, ids));
    TRY(add_children(c, rows, n, ids));
    TRY(add_attached(c, rows, n, ids));
    return add_days(c, rows, n, ids);
}

enum err list_artifact_rows(struct call *r)
{
    struct ctx *c = r->c;
    struct list found;
    int64_t total;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(find_rows(r, &found, &total));
    struct artifact_row *rows = arena_alloc(&c->mem, (found.count + 1) * sizeof *rows);
    TRY(artifact_rows_fill(c, found.items, found.count, rows));
    tx_end(&tx);
    struct list out = {rows, found.count};
    return reply_list(r, artifact_row_view, &out, sizeof *rows, total);
}
