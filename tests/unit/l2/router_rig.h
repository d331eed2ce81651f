/* SPDX-License-Identifier: MIT
 *
 * What the tests of the router share: a router, and Redis servers that the test plays on loopback
 * ports. They greet by themselves and answer by a script; what is not in it stays unanswered, with
 * all that follows it on that connection, until the test speaks. All of it runs on the test's own
 * thread, in the router's loop, until what is waited for is true.
 */
#ifndef TEST_ROUTER_RIG_H
#define TEST_ROUTER_RIG_H

#include "core/buffer.h"
#include "l2/router.h"

#define FAKES_MAX  6
#define PEERS_MAX  16
#define SCRIPT_MAX 128
#define ASKS_MAX   512

#define TOPOLOGIES_MAX 8

struct rig;

struct peer {
    int fd; /* -1: none */
    struct sta_buffer in;
    bool stuck; /* it has left a command unanswered, and so leaves all that follow */
};

struct fake {
    struct rig *rig;
    int listener; /* -1: nobody is at home */
    int port;
    struct peer peers[PEERS_MAX];
    unsigned accepted;
    bool silent;             /* takes commands and answers nothing at all */
    const char *greets_with; /* the reply to PING; NULL: +PONG */
    const char *tracks_with; /* the reply to CLIENT TRACKING; NULL: +OK */
    bool canaries;           /* are read and written, and never heard of again */
    const char *topology;    /* the reply to CLUSTER SLOTS; NULL: none comes */
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
    int source; /* of the answer, as sta_tracking_source() says */
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
    char topologies[TOPOLOGIES_MAX][1024];
    unsigned topology_count;
    unsigned changed_slots; /* told by the router, all in all */

    struct sta_timer pump;
    bool (*until)(struct rig *rig);
    uint64_t give_up_ns;
    bool gave_up;
    unsigned ticks;
};

/* What CLUSTER SLOTS says: fake `i` serves the slots from[i] .. from[i+1]-1; the last up to 16383.
 * A fake with no slots stands between two equal numbers. In memory of the rig's, of which there are
 * TOPOLOGIES_MAX. */
const char *rig_topology(struct rig *rig, const unsigned *from);

/* Fakes listen; fields of rig->config may be changed before open. */
void rig_init(struct rig *rig, unsigned fakes);
void rig_open(struct rig *rig);
void rig_fini(struct rig *rig); /* asserts that every ask was done exactly once */

void rig_run_until(struct rig *rig, bool (*until)(struct rig *rig));
void rig_run_ms(struct rig *rig, unsigned ms);
bool rig_all_done(struct rig *rig);

/* From now on, after what was scripted before: `times` such commands are answered so. */
void fake_answers(struct fake *fake, const char *command, const char *reply, unsigned times);
/* To all who are connected; then the script goes on. */
void fake_says(struct fake *fake, const char *text);

/* Nobody is at home any more; and somebody is, at the same port. */
void fake_leaves(struct fake *fake);
void fake_returns(struct fake *fake);
void fake_hangs_up(struct fake *fake); /* on all who are connected */

/* Submits "GET a" (several commands with ';' between them), with 20 s to go. */
struct ask *rig_ask(struct rig *rig, unsigned slot, bool repeatable, const char *commands);
struct ask *rig_ask_within(struct rig *rig, unsigned slot, bool repeatable, const char *commands,
                           uint64_t timeout_ns);

#endif
