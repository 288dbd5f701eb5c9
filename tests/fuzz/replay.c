/* Runs a fuzz target over its corpus where the fuzzer is not built in: a directory or files. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t ran;

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    char *data = malloc((size_t)1 << 20);
    size_t n = fread(data, 1, (size_t)1 << 20, f);
    fclose(f);
    /* an exact copy, so that a read past the end is seen */
    uint8_t *exact = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++)
        exact[i] = (uint8_t)data[i];
    free(data);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    ran++;
}

static void run_path(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        run_file(path);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        char full[4096];
        struct stat st;
        snprintf(full, sizeof full, "%s/%s", path, e->d_name);
        if (stat(full, &st) == 0 && S_ISREG(st.st_mode))
            run_file(full);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("%zu inputs\n", ran);
    return ran ? 0 : 1;
}
