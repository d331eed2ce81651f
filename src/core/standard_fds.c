/* SPDX-License-Identifier: MIT
 *
 * The lowest free descriptor is the next to be given, so each open() fills the lowest gap.
 */
#include "core/standard_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "strata/status.h"

int sta_standard_fds_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/", O_PATH) != fd)
            return STRATA_ERR_SYSTEM;
    }
    return STRATA_OK;
}
