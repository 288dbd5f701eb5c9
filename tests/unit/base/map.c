/* The map against the simplest thing that could be one: an array over a small set of keys. */
#include "base/map.h"

#include "check.h"

#define KEYS 200

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static struct str key_of(struct arena *a, size_t i)
{
    return i == 0 ? NO_STR
                  : str_fmt(a, "key-%zu%s", i % 50,
                            i < 50    ? ""
                            : i < 100 ? "x"
                                      : "yyyyyyyy");
}

static void against_model(void **state)
{
    (void)state;
    struct arena mem = {0};
    struct map m = {0};
    static char values[64];
    void *model[KEYS] = {0};
    struct str keys[KEYS];
    uint32_t seed = 7;
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = i < 150 ? key_of(&mem, i) : str_fmt(&mem, "%zu", i);
    for (int step = 0; step < 20000; step++) {
        size_t k = next(&seed) % KEYS;
        void *value = &values[next(&seed) % sizeof values];
        switch (next(&seed) % 3) {
        case 0:
            assert_true(map_set(&m, keys[k], value));
            count += model[k] == NULL;
            model[k] = value;
            break;
        case 1:
            assert_ptr_equal(map_remove(&m, keys[k]), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
            break;
        default: assert_ptr_equal(map_get(&m, keys[k]), model[k]);
        }
        assert_int_equal(m.count, count);
    }
    size_t walked = 0;
    struct map_entry *e;
    for (size_t at = 0; (e = map_next(&m, &at)); walked++)
        assert_ptr_equal(map_get(&m, (struct str){e->key, e->key_n}), e->value);
    assert_int_equal(walked, count);
    for (size_t i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&m, keys[i]), model[i]);
    map_release(&m);
    assert_null(map_get(&m, S("a")));
    assert_null(map_remove(&m, S("a")));
    arena_release(&mem);
}

static void bytes(void **state)
{
    (void)state;
    struct map m = {0};
    int one, two;
    assert_null(map_get(&m, S("a")));
    assert_true(map_set(&m, (struct str){"a\0b", 3}, &one));
    assert_true(map_set(&m, S("a"), &two));
    assert_ptr_equal(map_get(&m, (struct str){"a\0b", 3}), &one);
    assert_ptr_equal(map_get(&m, S("a")), &two);
    assert_null(map_get(&m, NO_STR));
    map_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_model),
        cmocka_unit_test(bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
