/* Steps folded into one script: small cases, and the real steps both ways. */
#include "meta/engine.h"

#include "meta/driver.h"
#include "meta/fold.h"

#include <sqlite3.h>

static void cases(void **state)
{
    (void)state;
    static const struct {
        const char *why, *steps[3], *want;
    } rows[] = {
        {"a statement is kept", {"CREATE TABLE a(b TEXT);"}, "CREATE TABLE a(b TEXT);"},
        {"a column goes to the end",
         {"CREATE TABLE a(b TEXT);", "ALTER TABLE a ADD COLUMN c BIGINT DEFAULT (1);"},
         "CREATE TABLE a(b TEXT, c BIGINT DEFAULT (1));"},
        {"but before a constraint",
         {"CREATE TABLE a(b TEXT REFERENCES x(y), UNIQUE(b)) WITHOUT ROWID;CREATE INDEX i ON a(b);",
          "ALTER TABLE a ADD COLUMN c TEXT;", "ALTER TABLE a ADD COLUMN d TEXT;"},
         "CREATE TABLE a(b TEXT REFERENCES x(y), c TEXT, d TEXT, UNIQUE(b)) WITHOUT ROWID;"
         "CREATE INDEX i ON a(b);"},
        {"of the right table",
         {"CREATE TABLE ab(b TEXT);CREATE TABLE a(b TEXT);", "ALTER TABLE a ADD COLUMN c TEXT;"},
         "CREATE TABLE ab(b TEXT);CREATE TABLE a(b TEXT, c TEXT);"},
        {"of none", {"CREATE TABLE ab(b TEXT);", "ALTER TABLE a ADD COLUMN c TEXT;"}, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf all = {0};
        bool ok = true;
        for (size_t k = 0; k < COUNT(rows[i].steps) && rows[i].steps[k]; k++)
            ok = fold_step(&all, str_of(rows[i].steps[k])) && ok;
        if (ok != (rows[i].want != NULL) || (ok && !str_eq(buf_view(&all), str_of(rows[i].want)))) {
            print_error("%s: %.*s\n", rows[i].why, STR(buf_view(&all)));
            fail();
        }
        buf_release(&all);
    }
}

static const char facts[] =
    "SELECT group_concat(x, char(10)) FROM (SELECT m.name || '|' || p.cid || '|' || p.name || '|' "
    "|| "
    "p.type || '|' || p.\"notnull\" || '|' || coalesce(p.dflt_value, '') || '|' || p.pk AS x FROM "
    "sqlite_schema m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' UNION ALL SELECT "
    "m.name "
    "|| '|' || i.name || '|' || i.\"unique\" || '|' || i.origin || '|' || i.partial FROM "
    "sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' UNION ALL SELECT "
    "m.name "
    "|| '|' || f.\"table\" || '|' || f.\"from\" || '|' || f.on_delete FROM sqlite_schema m JOIN "
    "pragma_foreign_key_list(m.name) f WHERE m.type = 'table' UNION ALL SELECT m.name || m.sql "
    "FROM "
    "sqlite_schema m WHERE m.type = 'index' AND m.sql IS NOT NULL ORDER BY 1)";

static char *facts_of(sqlite3 *db)
{
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, facts, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    char *text = strdup((const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return text;
}

static void the_same_schema(void **state)
{
    (void)state;
    sqlite3 *steps, *folded;
    struct buf all = {0};
    assert_int_equal(sqlite3_open(":memory:", &steps), SQLITE_OK);
    assert_int_equal(sqlite3_open(":memory:", &folded), SQLITE_OK);
    for (size_t i = 0; migrations[i].sqlite; i++) {
        assert_int_equal(sqlite3_exec(steps, migrations[i].sqlite, NULL, NULL, NULL), SQLITE_OK);
        assert_true(fold_step(&all, str_of(migrations[i].sqlite)));
    }
    assert_true(buf_char(&all, 0));
    assert_int_equal(sqlite3_exec(folded, all.p, NULL, NULL, NULL), SQLITE_OK);
    char *one = facts_of(steps), *two = facts_of(folded);
    assert_true(strlen(one) > 1000);
    assert_string_equal(one, two);
    free(one);
    free(two);
    buf_release(&all);
    sqlite3_close(steps);
    sqlite3_close(folded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases),
        cmocka_unit_test(the_same_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
