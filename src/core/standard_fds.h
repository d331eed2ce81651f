/* SPDX-License-Identifier: MIT
 *
 * For programs: descriptors 0, 1 and 2 are never a socket. Where a program is started with one of
 * them closed, the next socket would get that number, and what is printed would go to a server as
 * commands.
 */
#ifndef STA_STANDARD_FDS_H
#define STA_STANDARD_FDS_H

/* Opens those that are closed on a file where reading and writing fail, so that the loss of
 * output is still an error. To be called first. STRATA_OK or STRATA_ERR_SYSTEM. */
int sta_standard_fds_open(void);

#endif
