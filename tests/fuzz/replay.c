// Runs a fuzz target over the files named, or over every file of the folders named, as an ordinary test: what
// a fuzzer once found stays found.
#include "tests/fuzz/target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    static uint8_t bytes[1 << 20];
    size_t count = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    uint8_t *exact = malloc(count ? count : 1); // a read past the end is then seen by the sanitizer
    if (!exact)
        return 1;
    for (size_t i = 0; i < count; i++)
        exact[i] = bytes[i];
    (void)LLVMFuzzerTestOneInput(exact, count);
    free(exact);
    return 0;
}

static int run_folder(const char *path, unsigned *ret_count)
{
    DIR *folder = opendir(path);
    if (!folder) {
        perror(path);
        return 1;
    }
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char file[4096];
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        struct stat st;
        if (entry->d_name[0] == '.' || stat(file, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        failed |= run_file(file);
        (*ret_count)++;
    }
    (void)closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            failed |= run_folder(argv[i], &count);
        } else {
            failed |= run_file(argv[i]);
            count++;
        }
    }
    (void)printf("%u inputs replayed\n", count);
    return failed || !count;
}
