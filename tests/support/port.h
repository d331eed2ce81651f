/* SPDX-License-Identifier: MIT
 *
 * Free ports for servers that tests start.
 */
#ifndef TEST_PORT_H
#define TEST_PORT_H

/* A TCP port that nothing listens on at `host`, a numeric IPv4 or IPv6 address; -1 where there is
 * none. Another process may take it before its server does: then start again with another. */
int port_choose(const char *host);

#endif
