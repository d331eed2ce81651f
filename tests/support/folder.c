/* SPDX-License-Identifier: MIT
 *
 * See folder.h.
 */
#include "support/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

int folder_make(char path[FOLDER_CAP], const char *name)
{
    int len = snprintf(path, FOLDER_CAP, "/tmp/%s.XXXXXX", name);
    if (len > 0 && (unsigned)len < FOLDER_CAP && mkdtemp(path) != NULL)
        return 0;
    path[0] = '\0';
    return -1;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)found;
    (void)kind;
    (void)where;
    return remove(path);
}

int folder_remove(const char *path)
{
    if (path[0] == '\0')
        return 0;
    return nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}
