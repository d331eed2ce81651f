/* SPDX-License-Identifier: MIT
 *
 * What the files of a connection share: connection.c, its states, connection_requests.c, what
 * becomes of requests, and connection_watch.c, whether the peer is still there. Loop thread only.
 */
#ifndef STA_CONNECTION_INSIDE_H
#define STA_CONNECTION_INSIDE_H

#include "l2/backoff.h"
#include "l2/connection.h"
#include "l2/greeting.h"
#include "l2/pipeline.h"
#include "net/stream.h"
#include "net/tls.h"

#define STA_CONNECTION_REASON_CAP  STA_TLS_REASON_CAP /* the longest that there are */
#define STA_CONNECTION_ADDRESS_CAP 288

struct sta_connection {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_log *log;
    struct sta_connection_config config; /* with the defaults filled in */
    struct sta_connection_events events;
    void *arg;
    char address[STA_CONNECTION_ADDRESS_CAP];

    enum sta_connection_state state;
    bool hopeful;     /* no attempt has failed since open or READY: requests may wait */
    unsigned entered; /* frames of ours below which callbacks run */
    struct sta_stream *stream;
    struct sta_tls_ticket *ticket; /* TLS: what the server gave us to come back with */
    uint64_t written;              /* to this stream, ever */
    uint64_t attempt_began_ns;
    uint64_t attempt_ends_ns; /* connecting and greeting */
    struct sta_timer timer;   /* of the state: end of the greeting's time or of the backoff */
    struct sta_backoff backoff;
    char reason[STA_CONNECTION_REASON_CAP]; /* of the latest failure */
    int failure;                            /* its status; STRATA_OK since READY */

    struct sta_greeting greeting;
    struct sta_greeting plain;       /* in protocol 2, for where the other is refused */
    const struct sta_greeting *said; /* that of the two which is being answered, or was */
    bool turned_away;                /* the rest of its answers say nothing */
    bool tracked;                    /* the server agreed, this time */
    struct sta_request greetings[STA_GREETING_STEPS];

    struct sta_list waiting;
    unsigned waiting_count;
    size_t waiting_bytes;
    struct sta_pipeline pipeline;
    struct sta_timer expiry;
    uint64_t expired_ns; /* when deadlines were last looked at */

    /* READY: how it is watched. */
    struct sta_timer watch;
    uint64_t watched_ns;    /* when the watch looked last, */
    uint64_t watched_sent;  /*   what had been sent by then, */
    size_t watched_backlog; /*   and what the socket would not take */
    size_t partial_bytes;   /* of replies that have come in part */
    uint64_t heard_ns;      /* when something came, or began to be owed, or our loop slept */
    bool silent;
    bool pinged;
    struct sta_request ping;

    const char *drained_for; /* READY: it is to end when nothing is under way; NULL: it is not */

    struct sta_connection_statistics counts; /* those that are not the pipeline's */
};

/* Around whatever may call the caller back: the struct stays until the outermost leave(). */
void sta_connection_enter(struct sta_connection *connection);
void sta_connection_leave(struct sta_connection *connection);

/* Writes the commands of a request and remembers who waits for the replies: both or neither. The
 * stream is open. STRATA_ERR_NOMEM, STRATA_ERR_BUSY, STRATA_ERR_TOO_BIG. */
int sta_connection_send(struct sta_connection *connection, struct sta_request *request);

/* READY: sends what waits, as long as it stays READY. */
void sta_connection_send_waiting(struct sta_connection *connection);

/* Takes the stream away and ends all requests: those of which a byte was sent with `sent`, the
 * others with `unsent`. The state has been changed before. */
void sta_connection_drop(struct sta_connection *connection, int sent, int unsent);

/* connection_watch.c. READY begins and ends; something has been received. */
void sta_connection_watch_start(struct sta_connection *connection);
void sta_connection_watch_stop(struct sta_connection *connection);
void sta_connection_watch_heard(struct sta_connection *connection);

/* Of the timer `watch`. */
void sta_connection_watch_look(struct sta_timer *timer);

/* The connection is of no use any more: as if it had been lost. */
void sta_connection_fail(struct sta_connection *connection, int status, const char *reason);

/* Of the timer `expiry`: ends what has waited long enough. */
void sta_connection_expire(struct sta_timer *timer);

#endif
