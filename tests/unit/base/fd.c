/* Whole reads and writes, and small files read with a cap. */
#include "base/fd.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void files(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    char dir[] = "/tmp/cove-unit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct str path = str_fmt(&c.mem, "%s/file", dir), got;
    int fd = open(path.p, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd_write_all(fd, "0123456789", 10));
    assert_true(fd_pwrite_all(fd, "ab", 2, 4));
    char part[8];
    assert_int_equal(fd_pread_all(fd, part, 4, 3), 4);
    assert_memory_equal(part, "3ab6", 4);
    assert_int_equal(fd_pread_all(fd, part, 8, 7), 3); /* fewer at the end */
    assert_int_equal(fd_pread_all(fd, part, 8, 99), 0);
    assert_int_equal(fd_read_file(&c, path, 10, &got), E_OK);
    check_str(got, "0123ab6789");
    assert_int_equal(fd_read_file(&c, path, 9, &got), E_TOO_LARGE);
    assert_int_equal(fd_read_file(&c, str_fmt(&c.mem, "%s/none", dir), 9, &got), E_NOT_FOUND);
    assert_int_equal(fd_read_file(&c, str_of(dir), 9, &got), E_INTERNAL);
    assert_int_equal(fd_sync_dir(&c, str_of(dir)), E_OK);
    assert_int_equal(fd_sync_dir(&c, path), E_INTERNAL);
    assert_int_equal(fd_take(&fd) >= 0, 1);
    assert_int_equal(fd, -1);
    fd_done(&fd);
    unlink(path.p);
    rmdir(dir);
}

static void no_reader(void **state)
{
    (void)state;
    int closed = -1;
    char byte;
    assert_false(fd_write_all(closed, "x", 1));
    assert_int_equal(errno, EBADF);
    assert_true(fd_write_all(closed, "", 0));
    assert_int_equal(fd_pread_all(closed, &byte, 1, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(no_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
