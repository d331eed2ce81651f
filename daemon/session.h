/* SPDX-License-Identifier: MIT
 *
 * A client: its protocol state, its unanswered commands in order, and when it is read from.
 *
 *             +--------- what it waited for has come ---------+
 *             v                                               |
 *   OPEN: READING --another lane--> REPLIES                   |
 *            |---read has no turn-> TURN   -------------------+
 *            |-----queue is full--> ROOM   -------------------+
 *            '-----slow reader----> OUTPUT
 *   OPEN --QUIT, protocol error, drain, client shuts its side--> FINISHING: replies leave
 *   FINISHING --all replies are in the kernel--> LINGERING: our side is shut, input is dropped
 *   FINISHING, LINGERING --done, and the client's side is shut too--> gone
 *   LINGERING --a second is over--> gone
 *   any --socket error, no memory, output limit--> gone
 *
 * Lingering is what makes the last replies arrive: closing a socket that has unread input resets
 * the connection, and a reset may overtake them.
 *
 * Order: replies leave in the order of the commands. A command is answered at once where nothing
 * is unanswered before it, else it takes a place in the queue (exchange.h). All that is under way
 * at one time is on one lane; a command for another waits, unread, until everything is answered.
 * Before a cluster what is under way has each key once at most.
 *
 * Bounds: unanswered commands (pipeline_limit), the bytes of their requests and of the replies that
 * wait behind them (no command is looked at beyond 4 MiB), bytes that wait for the client
 * (paused at STA_SESSION_OUTPUT_PAUSE, closed at output_limit), bytes of a request (query_limit).
 *
 * Threads: the worker's loop.
 */
#ifndef STA_SESSION_H
#define STA_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "daemon/dispatch.h"
#include "daemon/key_filter.h"
#include "net/loop.h"
#include "net/stream.h"
#include "resp/resp.h"

struct sta_exchange;
struct sta_operation;
struct sta_own_lane;
struct sta_request;
struct sta_transaction;
struct sta_worker;

enum sta_session_state { STA_SESSION_OPEN, STA_SESSION_FINISHING, STA_SESSION_LINGERING };

/* The connection on which keys were watched has ended. */
enum sta_watch_lost {
    STA_WATCH_KEPT,
    STA_WATCH_LOST,      /* and the client does not know: EXEC says so */
    STA_WATCH_LOST_TOLD, /* a command of it ended with an error: WATCH begins anew */
};

enum sta_session_wait {
    STA_SESSION_READING, /* waits for nothing but the client */
    STA_SESSION_REPLIES, /* all that is under way is on another lane */
    STA_SESSION_TURN,    /* a read of it may not go to Redis yet */
    STA_SESSION_ROOM,    /* the queue */
    STA_SESSION_OUTPUT   /* the client does not read */
};

struct sta_session {
    struct sta_list link; /* among the worker's */
    struct sta_worker *worker;
    struct sta_stream *stream;
    struct sta_buffer *out; /* the stream's */
    int fd;                 /* the stream's; to shut our side */
    uint64_t id;
    bool own; /* no client's, but stratad's: it is none of those that are counted */

    enum sta_session_state state;
    enum sta_session_wait wait;
    bool peer_ended; /* it sends no more */
    bool inside;     /* its input is being looked at: what ends it has to wait for that */
    bool doomed;     /* to be destroyed as soon as that is over */

    int protocol;
    bool authenticated;
    char *name;                          /* CLIENT SETNAME; NULL: none */
    struct sta_transaction *transaction; /* between MULTI and EXEC; else NULL */
    struct sta_own_lane *own_lane;       /* leased; else NULL */
    enum sta_watch_lost watch_lost;

    struct sta_resp_request_framer framer;
    struct sta_list queue; /* exchanges: the oldest command first */
    unsigned queue_len;
    unsigned in_flight; /* of them, how many were sent and are unanswered, */
    size_t in_flight_bytes;
    size_t reply_bytes;      /* of replies in the queue, behind what is unanswered */
    enum sta_lane_kind lane; /*   all on this lane */
    struct sta_key_filter filter;
    struct sta_exchange
        *turn; /* the last of the queue, where that waits for its turn (read_turn.h) */
    struct sta_timer linger;
};

/* Takes over the socket; closes it on failure. */
int sta_session_create(struct sta_worker *worker, int fd, bool own);

/* At once. What is under way is concluded later, without a client. */
void sta_session_destroy(struct sta_session **session);

/* No more commands; ends when what is under way is answered. */
void sta_session_finish(struct sta_session *session);

/* The daemon ends: as finish(), and what waits for others is not waited for. */
void sta_session_drain(struct sta_session *session);

/* Something that the client has not asked for: a message. May destroy the session. */
void sta_session_tell(struct sta_session *session, struct strata_bytes frame);

/* Where the reply of the command that is being served goes. NULL: out of memory. */
struct sta_buffer *sta_session_reply(struct sta_session *session);

/* A simple string, or an error, as that reply. STRATA_ERR_NOMEM; as sta_resp_write_simple(). */
int sta_session_say(struct sta_session *session, const char *text);
int sta_session_say_error(struct sta_session *session, const char *text);

/* Whether a command may be sent on `lane` now; if not, it is served again later. */
bool sta_session_may_send(const struct sta_session *session, enum sta_lane_kind lane);

/* Whether the exchange, with its keys, may go out while others of the client are under way. Before
 * a cluster those may be with other nodes, or sent once more, so nobody follows another on the same
 * key; if not, it is served again when everything is answered. */
bool sta_session_may_follow(struct sta_session *session, const struct sta_exchange *exchange);

/* The same of a read of this key, before anything is counted for it. */
bool sta_session_may_ask(struct sta_session *session, uint64_t hash);

/* Puts the exchange, with its wire and conclude() set, into the queue and sends it: `commands`
 * commands. conclude() may run before this returns. */
void sta_session_send(struct sta_session *session, struct sta_exchange *exchange,
                      enum sta_lane_kind lane, unsigned commands);

/* The two halves of that: its place, under way from then on; and on the lane, at once or later. */
void sta_session_enter(struct sta_session *session, struct sta_exchange *exchange,
                       enum sta_lane_kind lane, unsigned commands);
void sta_session_submit(struct sta_exchange *exchange);

/* What had entered goes out now; what waits behind it is looked at. */
void sta_session_go_on(struct sta_exchange *exchange);

/* What was sent is answered, or failed: as operation.done(). */
void sta_session_conclude(struct sta_exchange *exchange, int status, struct strata_bytes replies);

/* The exchange that this is the request, or the operation, of; NULL: it is none's. */
struct sta_exchange *sta_session_exchange_of(const struct sta_request *request);
struct sta_exchange *sta_session_exchange_operated(const struct sta_operation *operation);

#endif
