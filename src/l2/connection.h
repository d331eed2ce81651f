/* SPDX-License-Identifier: MIT
 *
 * One pipelined connection to one Redis, owned by one loop. It connects by itself, greets
 * (HELLO with AUTH and SETNAME, SELECT), and after a loss connects again after a backoff with
 * full jitter.
 *
 *   CLOSED --open--> CONNECTING --> GREETING --> READY
 *                        ^   \          \          |
 *                        |    '----------'---------'  lost, refused, time over
 *                        '-- timer -- BACKOFF <-----'
 *
 * With `or_protocol_2`, a server that refuses HELLO is greeted anew in RESP2, and nothing is
 * tracked there; each connection begins with HELLO again.
 * Until the first attempt after open or READY has failed, requests wait (bounded) for READY; after
 * that they fail at once with STRATA_ERR_UNAVAILABLE. On a loss, requests that were sent end with
 * STRATA_ERR_LOST, others with STRATA_ERR_UNAVAILABLE.
 * A link on which nothing is under way is pinged from time to time; one that owes answers, a ping's
 * included, and says nothing for `silence_ns` is silent, of which the owner hears, and after
 * `dead_ns` it is lost. Time in which our own loop did not run does not count.
 * Replies are matched to requests in order. A request that timed out keeps its place until its
 * replies have come and are dropped, so no reply can reach the wrong request.
 * Threads: the loop's only.
 */
#ifndef STA_CONNECTION_H
#define STA_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/log.h"
#include "l2/greeting.h"
#include "l2/redis_url.h"
#include "l2/request.h"
#include "net/loop.h"

struct sta_connection;
struct sta_tls;

struct sta_connection_config {
    const struct sta_redis_url *url; /* borrowed for the connection's life */
    const struct sta_tls *tls;       /* likewise; NULL: plain, and then url->tls is false. Where the
                                        server is and how it proves itself are separate things: a
                                        cluster's nodes share this, each with a url of its own */
    int protocol;                    /* 2 or 3 */
    bool or_protocol_2;              /* where 3 is refused */
    const char *name;                /* CLIENT SETNAME; NULL: none */
    struct sta_greeting_tracking tracking; /* with protocol 3; the prefix is copied by open() */
    uint64_t connect_timeout_ns;           /* connect and greeting together; default 1 s */
    uint64_t backoff_min_ns;               /* default 10 ms */
    uint64_t backoff_max_ns;               /* default 2 s */
    uint64_t jitter_seed;                  /* 0: from the kernel */
    size_t max_pending_bytes;              /* unsent request bytes; more is BUSY; default 64 MiB */
    unsigned max_pending_requests;         /* queued and in flight; more is BUSY; default 65536 */
    size_t max_reply_bytes;                /* of one request; more ends the connection; 512 MiB + */
    uint64_t ping_ns;                      /* a link that is quiet for so long is pinged; 750 ms */
    uint64_t silence_ns;                   /* it owes answers and says nothing: silent; 1 s */
    uint64_t dead_ns; /* silent for so long: given up, and connected anew; 6 s */
};

enum sta_connection_state {
    STA_CONNECTION_CLOSED,
    STA_CONNECTION_CONNECTING,
    STA_CONNECTION_GREETING,
    STA_CONNECTION_READY,
    STA_CONNECTION_BACKOFF
};

struct sta_connection_statistics {
    enum sta_connection_state state;
    uint64_t requests; /* accepted */
    uint64_t replies;  /* matched to a request that still waited */
    uint64_t late;     /* replies to requests that had timed out */
    uint64_t timeouts;
    uint64_t lost;
    uint64_t refused;    /* UNAVAILABLE and BUSY */
    uint64_t connects;   /* times READY was reached */
    uint64_t reconnects; /* of these, all but each connection's first */
    uint64_t failures;   /* connects that failed */
    uint64_t pushes;
    uint64_t bytes_out;
    uint64_t bytes_in;
    unsigned in_flight; /* now, with those that wait for READY */
    int last_failure;   /* why it is not READY: STRATA_ERR_DENIED, ...; STRATA_OK: it is, or has
                           only begun */
};

struct sta_connection_events {
    /* READY was reached, or BACKOFF: a loss, or another attempt that failed. `reason` is text for
     * people. May be NULL. */
    void (*state)(void *arg, enum sta_connection_state state, const char *reason);
    /* READY: it owes answers and has been silent for `silence_ns`; or it speaks again. May be
     * NULL. */
    void (*silent)(void *arg, bool silent);
    /* A RESP3 push, in order with the replies; the frame is readable until return. May be NULL. */
    void (*push)(void *arg, struct strata_bytes frame);
};

/* Zero fields of `config` mean their defaults. Begins to connect. STRATA_ERR_NOMEM;
 * STRATA_ERR_UNSUPPORTED for a rediss:// URL without tls. */
int sta_connection_open(struct sta_connection **out, struct sta_loop *loop, struct sta_log *log,
                        const struct sta_connection_config *config,
                        const struct sta_connection_events *events, void *arg);

/* Every request that still waits is done with STRATA_ERR_CLOSED before this returns. */
void sta_connection_close(struct sta_connection **connection);

/* done() may be called before this returns only where the request is refused at once. */
void sta_connection_submit(struct sta_connection *connection, struct sta_request *request);

/* In BACKOFF: tries to connect now, and requests may wait for that attempt. Else nothing. */
void sta_connection_try_now(struct sta_connection *connection);

/* READY: ends it as a loss for this reason, and connects anew, looking the name up again. Else
 * nothing. */
void sta_connection_renew(struct sta_connection *connection, int status, const char *reason);

/* The same when all that is under way has been answered; what is new waits. `reason` is static. */
void sta_connection_renew_gently(struct sta_connection *connection, const char *reason);

/* Whether a request would be sent now, or wait for READY; else it is refused at once. */
bool sta_connection_is_open(const struct sta_connection *connection);

/* READY, and the server has said that it tracks what is read on this connection. */
bool sta_connection_is_tracked(const struct sta_connection *connection);

/* READY: 2 or 3. */
int sta_connection_protocol(const struct sta_connection *connection);

/* Why it is not, where that was asked for: text for people, until the next event. */
const char *sta_connection_untracked_reason(const struct sta_connection *connection);

/* The request whose replies come next, or have come in part: a push stands before or between them.
 * NULL: there is none, or it has timed out. */
const struct sta_request *sta_connection_answering(const struct sta_connection *connection);

/* A large reply is coming in: what follows waits behind it. NULL is none. */
bool sta_connection_is_clogged(const struct sta_connection *connection);

enum sta_connection_state sta_connection_state(const struct sta_connection *connection);
void sta_connection_statistics(const struct sta_connection *connection,
                               struct sta_connection_statistics *out);

/* Sums of all but state and last_failure, which stay. */
void sta_connection_statistics_add(struct sta_connection_statistics *sum,
                                   const struct sta_connection_statistics *one);

#endif
