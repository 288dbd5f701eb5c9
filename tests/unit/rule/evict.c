/* What a full cache gives up, and what it keeps. */
#include "rule/evict.h"

#include "check.h"

#include <string.h>

#define NOW (1000 * INT64_C(1000000))
#define AGO(s) (NOW - (s)*INT64_C(1000000))

static void choices(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        int64_t need;
        struct evict_unit units[4];
        const char *went; /* ids in their order */
    } rows[] = {
        {"the oldest", 1, {{1, AGO(10), 5}, {2, AGO(30), 5}, {3, AGO(20), 5}}, "2"},
        {"as many as needed", 6, {{1, AGO(10), 5}, {2, AGO(30), 5}, {3, AGO(20), 5}}, "23"},
        {"just enough", 10, {{1, AGO(10), 5}, {2, AGO(30), 5}, {3, AGO(20), 5}}, "23"},
        {"all, and it is not enough", 99, {{1, AGO(10), 5}, {2, AGO(30), 5}}, "21"},
        {"nothing is needed", 0, {{1, AGO(10), 5}}, ""},
        {"the same time: the lower id", 1, {{2, AGO(9), 5}, {1, AGO(9), 5}}, "1"},
        {"pins stay", 9, {{1, AGO(30), 5, .pinned = true}, {2, AGO(20), 5}}, "2"},
        {"nothing but pins", 9, {{1, AGO(30), 5, .pinned = true}}, ""},
        {"in the air", 9, {{1, AGO(90), 5, .flying = true}, {2, AGO(20), 5}}, "2"},
        {"the newest, being pulled",
         9,
         {{1, AGO(30), 5}, {2, AGO(2), 5, .incomplete = true, .newest = true}},
         "1"},
        {"the newest, given up by its client",
         9,
         {{1, AGO(90), 5}, {2, AGO(61), 5, .incomplete = true, .newest = true}},
         "12"},
        {"the newest, complete", 9, {{1, AGO(30), 5}, {2, AGO(2), 5, .newest = true}}, "12"},
        {"incomplete, but not the newest", 1, {{1, AGO(3), 5, .incomplete = true}}, "1"},
        {"sizes that overflow", INT64_MAX, {{1, 1, INT64_MAX}, {2, 2, INT64_MAX}, {3, 3, 1}}, "1"},
        {"a size of nothing is no end", 5, {{1, 1, 0}, {2, 2, -7}, {3, 3, 5}, {4, 4, 5}}, "123"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct evict_unit units[4];
        size_t chosen[4], n = 0;
        char went[5] = "";
        while (n < 4 && rows[i].units[n].id)
            n++;
        memcpy(units, rows[i].units, sizeof units);
        size_t count = evict_choose(units, n, rows[i].need, NOW, chosen);
        for (size_t k = 0; k < count; k++)
            went[k] = (char)('0' + units[chosen[k]].id);
        check(strcmp(went, rows[i].went) == 0, "%s: %s", rows[i].why, went);
    }
}

static void pins(void **state)
{
    (void)state;
    static const struct {
        const char *pins, *repository, *tags;
        bool want;
    } rows[] = {
        {"", "library/nginx", "1", false},
        {"library/**", "library/nginx", "", true},
        {"library/*", "library/nginx", "1", true},
        {"library/*", "team/library/nginx", "1", false},
        {"library/nginx:1.27", "library/nginx", "1.26 1.27", true},
        {"library/nginx:1.27", "library/nginx", "1.27.1", false},
        {"library/nginx:1.*", "library/nginx", "latest 1.9", true},
        {"library/nginx:*", "library/nginx", "", false},
        {"**:stable", "a/b/c", "stable", true},
        {"team/* library/{redis,nginx}", "library/redis", "7", true},
        {"  team/*   ", "team/x", "7", true},
        {"[", "[", "", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check(evict_pinned(str_of(rows[i].pins), str_of(rows[i].repository),
                           str_of(rows[i].tags)) == rows[i].want,
              "row %zu", i);
    assert_null(evict_pins_check(S("")));
    assert_null(evict_pins_check(S("a/** b:{1,2}")));
    assert_non_null(evict_pins_check(S("a/** [")));
}

static void floors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* -1 = refused */
    } rows[] = {
        {"", 0},
        {"0", 0},
        {"4096", 4096},
        {"20GiB", INT64_C(20) << 30},
        {"1 MiB", 1 << 20},
        {"10%", 100},
        {"0%", 0},
        {" 99 % ", 990},
        {"100%", -1},
        {"-1", -1},
        {"-1%", -1},
        {"x", -1},
        {"GiB", -1},
        {"%", -1},
        {"9999999999TiB", -1},
        {"10GB", -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t n = -1;
        bool ok = evict_floor(str_of(rows[i].text), 1000, &n);
        check(ok == (rows[i].want >= 0) && (!ok || n == rows[i].want), "%s", rows[i].text);
    }
}

static void reserves(void **state)
{
    (void)state;
    const int64_t gib = INT64_C(1) << 30;
    const struct {
        const char *text;
        int64_t total, want;
    } rows[] = {
        {"auto", 100 * gib, 2 * gib},
        {"auto", 20 * gib, gib},
        {"auto", 8 * gib, gib / 2}, /* a sixteenth */
        {" auto ", 64 << 20, 4 << 20},
        {"", gib, 0},
        {"0", gib, 0},
        {"10%", 1000, 100},
        {"20GiB", gib, 20 * gib},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t n = -1;
        check(evict_reserve(str_of(rows[i].text), rows[i].total, &n) && n == rows[i].want,
              "row %zu: %lld", i, (long long)n);
    }
    int64_t n;
    assert_false(evict_reserve(S("automatic"), gib, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices),
        cmocka_unit_test(pins),
        cmocka_unit_test(reserves),
        cmocka_unit_test(floors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
