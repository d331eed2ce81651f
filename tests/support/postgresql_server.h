/* SPDX-License-Identifier: MIT
 *
 * A private PostgreSQL for a test: Debian's, with its data and its only socket in a temporary
 * folder. It refuses to run as root, so there it runs as the user postgres. It dies with the test.
 */
#ifndef TEST_POSTGRESQL_SERVER_H
#define TEST_POSTGRESQL_SERVER_H

struct postgresql_server;

/* Makes a cluster of databases and starts it; it answers when this returns. 0, or -1 with the
 * reason on stderr. */
int postgresql_server_start(struct postgresql_server **out);

/* Ends it and removes its folder. NULL is fine. */
void postgresql_server_stop(struct postgresql_server **server);

const char *postgresql_server_url(const struct postgresql_server *server);

/* Kills it and all its processes as a crash would. What was committed is there after restart(). */
void postgresql_server_kill9(struct postgresql_server *server);
int postgresql_server_restart(struct postgresql_server *server);

/* Stops all its processes where they stand, and lets them go on. */
void postgresql_server_freeze(struct postgresql_server *server);
void postgresql_server_thaw(struct postgresql_server *server);

#endif
