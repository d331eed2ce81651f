/* SPDX-License-Identifier: MIT
 *
 * What is said to a Redis before the first request, and what its answers mean. Sent as one
 * pipeline; each step is answered by one reply.
 *
 *   protocol 3: HELLO 3 [AUTH user password] [SETNAME name], [SELECT db], PING
 *   protocol 2: [AUTH [user] password], [CLIENT SETNAME name], [SELECT db], PING
 *   where reads are to be tracked (protocol 3), last of all: CLIENT TRACKING ON ...
 *
 * A server that does not take HELLO (older than Redis 6, a proxy, a user without the right) may be
 * greeted anew in protocol 2 on the same connection, once it has answered all of the first
 * greeting.
 *
 * PING comes last because HELLO and SELECT are answered even by a server that is still loading
 * its data, and PING is not. Pure: no I/O.
 */
#ifndef STA_GREETING_H
#define STA_GREETING_H

#include <stdbool.h>

#include "core/buffer.h"
#include "l2/redis_url.h"

enum sta_greeting_kind {
    STA_GREETING_HELLO,
    STA_GREETING_AUTH,
    STA_GREETING_SETNAME,
    STA_GREETING_SELECT,
    STA_GREETING_PING,
    STA_GREETING_TRACKING
};

/* Of which keys the server shall tell us that they have changed. */
enum sta_tracking_mode {
    STA_TRACKING_OFF,
    STA_TRACKING_READS, /* of those that were read on the connection */
    STA_TRACKING_BCAST  /* of all that begin with a prefix */
};

struct sta_greeting_tracking {
    enum sta_tracking_mode mode;
    struct strata_bytes prefix; /* BCAST */
    bool noloop;                /* not of what the connection itself writes */
};

#define STA_GREETING_STEPS 4

struct sta_greeting {
    struct sta_buffer wire; /* all steps, one after another */
    unsigned count;
    struct {
        enum sta_greeting_kind kind;
        size_t end; /* in wire */
    } steps[STA_GREETING_STEPS];
};

/* `name` may be NULL. STRATA_ERR_NOMEM. */
int sta_greeting_init(struct sta_greeting *greeting, const struct sta_redis_url *url, int protocol,
                      const char *name);
void sta_greeting_fini(struct sta_greeting *greeting);

/* One step more, of a greeting in protocol 3. STRATA_ERR_NOMEM; OFF adds nothing. */
int sta_greeting_track(struct sta_greeting *greeting, const struct sta_greeting_tracking *tracking);

/* The commands of step `i`. */
struct strata_bytes sta_greeting_wire(const struct sta_greeting *greeting, unsigned i);

/* Judges the reply to a step: STRATA_OK to go on, or what is wrong, with a text for people that
 * holds no secret (Redis before 6 repeats the arguments of commands it does not know):
 *   STRATA_ERR_DENIED       user or password refused
 *   STRATA_ERR_UNSUPPORTED  the server does not speak this protocol
 *   STRATA_ERR_UNAVAILABLE  loading, busy, full: try again
 *   STRATA_ERR_SERVER, STRATA_ERR_PROTOCOL  anything else
 * STRATA_SKIPPED, with the text: to go on without tracking, which the server refuses. */
int sta_greeting_judge(enum sta_greeting_kind kind, struct strata_bytes frame, char *reason,
                       size_t cap);

#endif
