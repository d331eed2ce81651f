/* SPDX-License-Identifier: MIT
 *
 * See regular_file.h.
 */
#include "core/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *kind_refuses(mode_t mode)
{
    if (S_ISREG(mode))
        return NULL;
    return S_ISDIR(mode) ? strerror(EISDIR) : "Not a regular file";
}

/* /dev/null: who names it means no file, and it has an end. */
static bool is_null_device(const struct stat *found)
{
    return S_ISCHR(found->st_mode) && found->st_rdev == makedev(1, 3);
}

FILE *sta_regular_file_open(const char *path, const char **reason)
{
    struct stat found;
    FILE *file = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        *reason = errno == ENXIO ? kind_refuses(S_IFSOCK) : strerror(errno);
        return NULL;
    }
    if (fstat(fd, &found) != 0)
        *reason = strerror(errno);
    else
        *reason = is_null_device(&found) ? NULL : kind_refuses(found.st_mode);
    if (*reason == NULL && (file = fdopen(fd, "rb")) == NULL)
        *reason = strerror(errno);
    if (file == NULL)
        (void)close(fd);
    return file;
}

const char *sta_regular_file_refuses(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 ? kind_refuses(found.st_mode) : NULL;
}
