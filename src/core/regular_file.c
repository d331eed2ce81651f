/* SPDX-License-Identifier: MIT
 *
 * See regular_file.h.
 */
#include "core/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_refuses(mode_t mode)
{
    if (S_ISREG(mode))
        return NULL;
    return S_ISDIR(mode) ? strerror(EISDIR) : "Not a regular file";
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
    *reason = fstat(fd, &found) == 0 ? kind_refuses(found.st_mode) : strerror(errno);
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
