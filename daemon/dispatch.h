/* SPDX-License-Identifier: MIT
 *
 * What is to be done with a command: answered here, read through L1, sent on one of the lanes,
 * or refused. A function of the command's words, the client's protocol and the server's command
 * table; no I/O.
 *
 * Three lanes lead to Redis (lane.h). Commands whose replies have one shape in RESP2 and RESP3
 * share the lane that reads through L1, whatever their client speaks; the others go on a plain
 * lane of their client's protocol, so that a client gets what Redis would have sent it.
 */
#ifndef STA_DISPATCH_H
#define STA_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resp/command_table.h"
#include "strata/bytes.h"

struct sta_slot_plan;

enum sta_lane_kind {
    STA_LANE_SHARED, /* RESP3; cacheable reads and what converts by the rules of types */
    STA_LANE_PLAIN2, /* RESP2 */
    STA_LANE_PLAIN3, /* RESP3 */
    STA_LANE_COUNT,  /* so many a worker has */
    STA_LANE_OWN = STA_LANE_COUNT /* the client's own (own_lane.h) */
};

enum sta_dispatch_kind {
    STA_DISPATCH_LOCAL,       /* answered by stratad itself; see sta_local_command */
    STA_DISPATCH_GET,         /* GET key: through L1 */
    STA_DISPATCH_MGET,        /* MGET key...: through L1 */
    STA_DISPATCH_SET,         /* SET key value options: a write that may leave its value in L1 */
    STA_DISPATCH_FORWARD,     /* a command with the keys that the route tells */
    STA_DISPATCH_CLEAR,       /* changes the keyspace as a whole: L1 is emptied */
    STA_DISPATCH_TRANSACTION, /* MULTI, EXEC, DISCARD */
    STA_DISPATCH_OWN,         /* needs a connection of the client's own; see sta_own_command */
    STA_DISPATCH_REFUSED      /* not for clients of a sidecar */
};

enum sta_own_command {
    STA_OWN_NONE,
    STA_OWN_BLOCKING, /* waits for what others do */
    STA_OWN_MONITOR,
    STA_OWN_SUBSCRIPTION, /* SUBSCRIBE, UNSUBSCRIBE and their kin */
    STA_OWN_UNWATCH,
    STA_OWN_WAIT, /* WAIT, WAITAOF */
    STA_OWN_WATCH
};

enum sta_local_command {
    STA_LOCAL_NONE,
    STA_LOCAL_AUTH,
    STA_LOCAL_CLIENT,
    STA_LOCAL_ECHO,
    STA_LOCAL_HELLO,
    STA_LOCAL_HTTP, /* "POST" or "Host:": a browser was led here; the connection is closed */
    STA_LOCAL_PING,
    STA_LOCAL_QUIT,
    STA_LOCAL_RESET,
    STA_LOCAL_SELECT,
    STA_LOCAL_STRATA
};

enum sta_refusal {
    STA_REFUSAL_NONE,
    STA_REFUSAL_CONNECTION,   /* it would change a connection that others use as well */
    STA_REFUSAL_EACH_NODE,    /* MONITOR before a cluster: of which node? */
    STA_REFUSAL_WRITES,       /* WAIT before a cluster: the writes went by many connections */
    STA_REFUSAL_NOT_PASSED_ON /* SHUTDOWN: would reach a server that others use */
};

/* Where the keys stand among the arguments, as in COMMAND; first 0: there are none. */
struct sta_key_range {
    int8_t first, last, step;
};

struct sta_route {
    enum sta_dispatch_kind kind;
    enum sta_local_command local; /* LOCAL */
    enum sta_own_command own;     /* OWN */
    enum sta_refusal refusal;     /* REFUSED */
    enum sta_lane_kind lane;      /* the others: where it goes */
    bool writes;                  /* its keys are dropped from L1, before and after */
    bool keys_known;              /* `keys` tells; else ask `command` */
    struct sta_key_range keys;
    const struct sta_known_command
        *command;    /* the server's description; NULL: every argument is a key */
    bool repeatable; /* it changes nothing that is in Redis */
    const struct sta_slot_plan
        *plan; /* before a cluster, of who serves it (slot_plan.h); else NULL */
};

/* `table` may be NULL (not loaded yet). argc >= 1. */
struct sta_route sta_dispatch(const struct sta_command_table *table, int protocol,
                              const struct strata_bytes *argv, size_t argc);

/* Whether a command for lane `wanted` may be sent while `in_flight` commands of the same client
 * are unanswered on lane `current`: replies of one lane come in order, those of two do not. */
bool sta_dispatch_may_send(enum sta_lane_kind current, unsigned in_flight,
                           enum sta_lane_kind wanted);

/* Calls visit(arg, index) for the argv index of each key that the route knows of. */
void sta_dispatch_keys(const struct sta_route *route, const struct strata_bytes *argv, size_t argc,
                       void (*visit)(void *arg, size_t index), void *arg);

/* XREAD and XREADGROUP: where BLOCK stands, among the options before STREAMS; 0: it does not. */
size_t sta_dispatch_block_at(const struct strata_bytes *argv, size_t argc);

/* Whether `word` is `name` (lower case), in any case. */
bool sta_dispatch_word_is(struct strata_bytes word, const char *name);

/* The command's name for people, as Redis prints it: lower case, cut, nothing unprintable. */
void sta_dispatch_name(struct strata_bytes word, char *name, size_t cap);

/* The table's own invariant, for tests: sorted, without doubles. */
bool sta_dispatch_valid(void);

#endif
