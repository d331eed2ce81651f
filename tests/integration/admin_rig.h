/* SPDX-License-Identifier: MIT
 *
 * What the tests of stratad's administration share: a stratad that has one, and HTTP byte by byte.
 */
#ifndef TEST_ADMIN_RIG_H
#define TEST_ADMIN_RIG_H

#include "integration/stratad_rig.h"

struct admin_daemon {
    struct stratad_process *stratad;
    int port; /* of its administration, on 127.0.0.1 */
};

/* With two workers, detailed metrics and 1.2 s for a command; `l1_enabled`: "true" or "false". */
void admin_rig_start_with(struct admin_daemon *daemon, const char *redis_url,
                          const char *l1_enabled);
void admin_rig_start(struct admin_daemon *daemon, const char *redis_url);

/* Connects and sends; the socket, which waits 30 s for what comes, or -1 where nobody listens. */
int admin_rig_ask(int port, const char *bytes, size_t len);
/* All that comes until the peer closes; to be freed. Closes the socket. */
char *admin_rig_read_all(int fd);
char *admin_rig_exchange(int port, const char *request);

/* The status of an answer, 0 where it is none; and of that to a request. */
int admin_rig_status_of(const char *answer);
int admin_rig_status(int port, const char *request);

/* The body of the page, which must come with this status; to be freed. */
char *admin_rig_page(int port, const char *path, int expected);
void admin_rig_assert_page_has(int port, const char *path, int expected, const char *text);

#endif
