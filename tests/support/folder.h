/* SPDX-License-Identifier: MIT
 *
 * A folder of a test's own, for a journal or other files.
 */
#ifndef TEST_FOLDER_H
#define TEST_FOLDER_H

#define FOLDER_CAP 64u

/* Makes /tmp/NAME.XXXXXX with other letters. 0, or -1. */
int folder_make(char path[FOLDER_CAP], const char *name);

/* With all that is in it. 0, or -1 where something is left; a path of no bytes is no folder. */
int folder_remove(const char *path);

#endif
