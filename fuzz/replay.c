/* SPDX-License-Identifier: MIT
 * replay.c: feeds every file of the folders given to a fuzz target, so that `make test` runs the stored corpora with any compiler.
 * A folder that is missing or empty is a failure. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Number of files, -1 if the folder cannot be read. */
static int replay(const char *folder)
{
    struct dirent **list;
    const int n = scandir(folder, &list, NULL, alphasort);
    int files = 0;
    for (int i = 0; i < n; i++) {
        char path[1024];
        ecg_bytes b;
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (ecg_is_file(path) && !ecg_file_read(&b, path, NULL)) {
            printf("%s\n", path);
            fflush(stdout); /* the last line names the input that ended the program */
            uint8_t *exact = malloc(b.len ? b.len : 1); /* so that a sanitizer sees a byte read too far */
            if (!exact)
                abort();
            for (size_t k = 0; k < b.len; k++)
                exact[k] = b.at[k];
            LLVMFuzzerTestOneInput(exact, b.len);
            free(exact);
            ecg_bytes_free(&b);
            files++;
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return n < 0 ? -1 : files;
}

int main(int argc, char **argv)
{
    int bad = argc < 2;
    for (int a = 1; a < argc; a++) {
        const int files = replay(argv[a]);
        if (files <= 0) {
            printf("%s: %s\n", argv[a], files < 0 ? "no such folder" : "no file in it");
            bad = 1;
        }
    }
    return bad;
}
