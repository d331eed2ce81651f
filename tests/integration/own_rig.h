/* SPDX-License-Identifier: MIT
 *
 * What the tests of connections of clients' own share: plain sockets, and what Redis and stratad
 * say of themselves. Failures fail the running test.
 */
#ifndef TEST_OWN_RIG_H
#define TEST_OWN_RIG_H

#include <stdbool.h>

#include "integration/stratad_rig.h"

#define OWN_RIG_PATIENCE_MS 20000u

/* A client of the program's Redis itself. */
redisContext *direct_client(void);

/* Sends the lines with CR before each LF. */
void say(int fd, const char *lines);

/* The next bytes are these, CR before each LF. */
void expect(int fd, const char *lines);

/* Reads to the end of what ends so, byte by byte: what comes behind stays. */
void expect_until(int fd, const char *end);

/* Nothing more comes but the end; closes. */
void expect_closed(int fd);

/* What STRATA STATS has of own_connections under this name. */
long long own_number(redisContext *client, const char *name);

/* The client is Redis', and waits until so many clients are blocked, or subscribed. */
void wait_for_blocked(redisContext *direct, long clients);
void wait_for_subscribers(redisContext *direct, const char *channel, long clients);

/* For wait_until(). */
struct fact {
    redisContext *client;
    const char *name;
    long wanted;
};

bool own_is(void *fact);        /* own_number() of that name is as wanted */
bool answers_ok(void *context); /* a SET through stratad is carried out */

#endif
