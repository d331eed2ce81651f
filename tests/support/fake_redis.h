/* SPDX-License-Identifier: MIT
 *
 * A server that plays a script, for what a real Redis does rarely or never: each command that it
 * receives is looked up in a list of rules, and answered as the first one says that fits and is
 * not used up. Without a rule it answers as an empty Redis that belongs to no cluster would:
 * HELLO, AUTH, SELECT, CLIENT, PING, ASKING, READONLY, GET, PTTL, MGET, SET, DEL, UNLINK; CLUSTER
 * SLOTS and INFO as it was told to; an error to all else.
 *
 * It runs on a thread of its own. A rule is in force for commands that are read after the call
 * has returned. Calls fail the process where the system fails.
 *
 * Threads: any.
 */
#ifndef TEST_FAKE_REDIS_H
#define TEST_FAKE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_redis;

enum fake_deed {
    FAKE_GO_ON,
    FAKE_CLOSE, /* FIN; the connection's other commands get no answer */
    FAKE_RESET, /* RST */
    FAKE_HANG   /* reads no more on this connection, and keeps it open */
};

struct fake_rule {
    const char *pattern; /* fnmatch(3) against the command's words, with a blank between: "GET *",
                            "CLUSTER SLOTS"; case does not matter */
    unsigned skip;       /* so many that fit go by first */
    unsigned times;      /* then it is used so often; 0: for ever */
    const char *reply;   /* RESP, as it is; NULL: none */
    size_t reply_len;    /* 0: up to the zero byte */
    unsigned cut_after;  /* not 0: only so many of its bytes are sent */
    enum fake_deed deed; /* after that */
};

/* Listens on "host:port" with a numeric host; NULL: 127.0.0.1 and a free port. */
struct fake_redis *fake_redis_start(const char *listen);

/* NULL is fine. */
void fake_redis_stop(struct fake_redis **fake);

const char *fake_redis_address(const struct fake_redis *fake); /* "host:port" */
int fake_redis_port(const struct fake_redis *fake);

/* Adds a rule behind the others; strings are copied. */
void fake_redis_rule(struct fake_redis *fake, const struct fake_rule *rule);

/* The plain case: `times` such commands are answered so. */
void fake_redis_say(struct fake_redis *fake, const char *pattern, unsigned times,
                    const char *reply);

/* Forgets all rules. */
void fake_redis_forget(struct fake_redis *fake);

/* What CLUSTER SLOTS says: ranges of slots, each with a primary and no replicas. */
struct fake_range {
    unsigned first;
    unsigned last;
    const char *host; /* NULL: a null, which means "where you asked" */
    int port;
};

void fake_redis_set_slots(struct fake_redis *fake, const struct fake_range *ranges, size_t count);

/* Sends bytes on every open connection now, asked or not. */
void fake_redis_push(struct fake_redis *fake, const char *bytes);

/* Ends all open connections; `reset` by RST. */
void fake_redis_drop(struct fake_redis *fake, bool reset);

/* How many commands have come that fit the pattern, and how many connections. */
uint64_t fake_redis_seen(struct fake_redis *fake, const char *pattern);
uint64_t fake_redis_connections(struct fake_redis *fake);

/* The n-th command of all (from 0), as words with blanks between, cut at `cap`; the number of its
 * connection (from 0), or -1 where there is none yet. */
int fake_redis_command(struct fake_redis *fake, size_t n, char *text, size_t cap);

#endif
