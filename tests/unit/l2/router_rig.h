/* SPDX-License-Identifier: MIT
 *
 * What the tests of the router share: a router, and Redis servers that the test plays on loopback
 * ports. They greet by themselves and answer by a script; what is not in it stays unanswered. All
 * of it runs on the test's own thread, in the router's loop, until what is waited for is true.
 */
#ifndef TEST_ROUTER_RIG_H
#define TEST_ROUTER_RIG_H

#include "core/buffer.h"
#include "l2/router.h"

#define FAKES_MAX  6
#define PEERS_MAX  16
#define SCRIPT_MAX 64
#define ASKS_MAX   512

struct rig;

struct peer {
    int fd; /* -1: none */
    struct sta_buffer in;
};

struct fake {
    struct rig *rig;
    int listener; /* -1: nobody is at home */
    int port;
    struct peer peers[PEERS_MAX];
    unsigned accepted;
    bool silent;             /* takes commands and answers nothing at all */
    const char *greets_with; /* the reply to PING; NULL: +PONG */
    const char *topology;    /* the reply to CLUSTER SLOTS or SHARDS; NULL: none comes */
    unsigned topologies;     /* how often it was asked for */
    struct {
        const char *command; /* "GET a" */
        const char *reply;   /* with its line ends; NULL: the peer is cut off instead */
        unsigned times;      /* left */
    } script[SCRIPT_MAX];
    unsigned scripted;
    char heard[4096]; /* "GET a;SET b 1;", without greetings and topologies */
};

struct ask {
    struct sta_operation operation;
    struct rig *rig;
    char wire[256];
    unsigned done;
    int status;
    char replies[512];
};

struct rig {
    struct sta_loop *loop;
    struct sta_router *router;
    struct sta_redis_url url; /* of the first fake */
    struct sta_router_config config;
    struct sta_log log;
    char logged[8192];
    struct fake fakes[FAKES_MAX];
    unsigned fake_count;
    struct ask asks[ASKS_MAX];
    unsigned asked;

    struct sta_timer pump;
    bool (*until)(struct rig *rig);
    uint64_t give_up_ns;
    bool gave_up;
    unsigned ticks;
};

/* Fakes listen; fields of rig->config may be changed before open. */
void rig_init(struct rig *rig, unsigned fakes);
void rig_open(struct rig *rig);
void rig_fini(struct rig *rig); /* asserts that every ask was done exactly once */

void rig_run_until(struct rig *rig, bool (*until)(struct rig *rig));
void rig_run_ms(struct rig *rig, unsigned ms);
bool rig_all_done(struct rig *rig);

/* From now on, after what was scripted before: `times` such commands are answered so. */
void fake_answers(struct fake *fake, const char *command, const char *reply, unsigned times);
/* Nobody is at home any more; and somebody is, at the same port. */
void fake_leaves(struct fake *fake);
void fake_returns(struct fake *fake);
void fake_hangs_up(struct fake *fake); /* on all who are connected */

/* Submits "GET a" (several commands with ';' between them), with 20 s to go. */
struct ask *rig_ask(struct rig *rig, unsigned slot, bool repeatable, const char *commands);
struct ask *rig_ask_within(struct rig *rig, unsigned slot, bool repeatable, const char *commands,
                           uint64_t timeout_ns);

#endif
