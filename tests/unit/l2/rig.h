/* SPDX-License-Identifier: MIT
 *
 * What the tests of connections share: a connection to a server that is played by the test, a
 * unix listener and the socket that it accepted. The loop runs on the test's own thread until
 * what is waited for is true.
 */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "core/buffer.h"
#include "l2/connection.h"

#define RIG_ASKS 256

#define HELLO3 "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
#define PING   "*1\r\n$4\r\nPING\r\n"
#define WELCOME3                                                                                   \
    "%1\r\n$5\r\nproto\r\n:3\r\n"                                                                  \
    "+PONG\r\n"

struct rig;

struct ask {
    struct sta_request request;
    struct rig *rig;
    unsigned done;
    int status;
    char replies[512];
    void (*then)(struct ask *ask); /* called by done(); may be NULL */
};

struct rig {
    struct sta_loop *loop;
    struct sta_connection *connection;
    struct sta_redis_url url;
    struct sta_connection_config config;
    struct sta_log log;
    unsigned lines[STRATA_LOG_DEBUG + 1]; /* of the log, by level */
    char logged[8192];                    /* all of them */

    /* The server. */
    char folder[64];
    int listener;
    int peer; /* -1: not accepted */
    struct sta_buffer got;
    const char *wanted; /* until `got` holds this and nothing else */
    size_t wanted_len;

    struct sta_timer poll;
    bool (*until)(struct rig *rig);
    uint64_t give_up_ns;
    bool gave_up;
    unsigned ticks;

    struct ask asks[RIG_ASKS];
    unsigned asked;
    char events[1024];             /* "ready;", "backoff;", "push <frame>;", "silent;" */
    void (*then)(struct rig *rig); /* called by state() and push(); may be NULL */
};

/* Fields of rig->config and rig->url may be changed between init and open. */
void rig_init(struct rig *rig);
void rig_open(struct rig *rig);
void rig_fini(struct rig *rig); /* asserts that every ask was done exactly once */

/* init, open, accept, greet: READY. */
void rig_init_ready(struct rig *rig);

void rig_run_until(struct rig *rig, bool (*until)(struct rig *rig));
void rig_run_some_ticks(struct rig *rig);
void rig_run_ms(struct rig *rig, unsigned ms);
bool rig_is_ready(struct rig *rig);
bool rig_is_in_backoff(struct rig *rig);
bool rig_is_gone(struct rig *rig);
bool rig_all_done(struct rig *rig);

/* The server's part: each runs the loop until it has happened. */
void rig_accept(struct rig *rig);
void rig_expect(struct rig *rig, const char *wire);
void rig_say(struct rig *rig, const char *bytes); /* only writes */
void rig_greet(struct rig *rig);                  /* accept, expect, answer, until READY */
void rig_hang_up(struct rig *rig);

/* Submits one request; the deadline is `timeout_ns` from now. */
struct ask *rig_ask(struct rig *rig, const char *wire, unsigned commands, uint64_t timeout_ns);
struct sta_connection_statistics rig_statistics(const struct rig *rig);

#endif
