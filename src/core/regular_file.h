/* SPDX-License-Identifier: MIT
 *
 * Files whose whole content is wanted, by a name that somebody gave: a FIFO that nobody writes
 * would hold up who opens it, and a device may have no end. Symbolic links are followed. /dev/null
 * is read as an empty file, and never replaced.
 */
#ifndef STA_REGULAR_FILE_H
#define STA_REGULAR_FILE_H

#include <stdio.h>

/* For reading; never waits. NULL: the reason is in `reason`, a constant, or strerror()'s. */
FILE *sta_regular_file_open(const char *path, const char **reason);

/* Whether a file may be put in this place: there is none, or a regular one, or nobody may know.
 * Else, as above, why not. */
const char *sta_regular_file_refuses(const char *path);

#endif
