/* SPDX-License-Identifier: MIT
 *
 * The proof that a server's invalidations reach us: a key of our own that is read on the tracked
 * connection, then written, and whose invalidation must come back on it.
 *
 *             due                answered              its push
 *     IDLE ---------> READING ------------> LISTENING ---------> IDLE, proven since `read_ns`
 *       ^                |                      |
 *       '--- failed -----'                      '-- nothing `patience` after the write was
 *                                                   acknowledged: pushes get lost
 *
 * What is proven: a stream keeps its order, so with the push everything has come that the server
 * sent before it. The server made it after it had carried out our read, whatever made it do so (our
 * write, or a full tracking table). So all writes of others are known here that were acknowledged
 * before the read was sent. That moment, on our own clock, is what the proof is worth; no PONG says
 * the same, for it proves replies and not pushes.
 * How its commands reach the server is its owner's matter, and so is whose canary it is: a node's
 * (l2/tracking.h), or a connection's of stratad (daemon/tracked_lane.h).
 * Threads: the owner's loop. Memory: its wire.
 */
#ifndef STA_CANARY_H
#define STA_CANARY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "l2/request.h"
#include "net/loop.h"

/* What it asks of its owner; `arg` as given to sta_canary_begin(). */
struct sta_canary_way {
    /* Sends it: the read on the tracked connection, the write on any that is not NOLOOP itself. */
    void (*send)(void *arg, bool write, struct sta_request *request);
    /* One of the two was not carried out: a failure, or an error reply. */
    void (*failed)(void *arg, int status, struct strata_bytes replies);
};

enum sta_canary_state { STA_CANARY_IDLE, STA_CANARY_READING, STA_CANARY_LISTENING };

struct sta_canary {
    enum sta_canary_state state;
    uint64_t read_ns;    /* READING, LISTENING: when the read was sent */
    uint64_t written_ns; /* LISTENING: when the write was acknowledged; 0: it is not */
    bool writing;        /* the write is under way; it may outlast its round */
    struct sta_request read, write;
    const struct sta_canary_way *way; /* of the round */
    void *arg;
    struct sta_loop *loop;

    /* The key. */
    struct sta_buffer wire; /* the read's command, then the write's: it is set and deleted */
    size_t read_len;
    size_t key_begin, key_len;
    uint16_t slot;

    /* What it is for. */
    bool up;            /* the main connection is READY */
    bool tracked;       /*   and the server tracks reads on it */
    bool complained;    /* somebody was told that it cannot be written */
    bool used;          /* something was kept that came on it */
    uint64_t proven_ns; /* when it was READY, or a proof's read was sent */
    uint64_t until_ns;  /* what came on it may be served until then */
};

/* Writes the commands anew for a key. STRATA_ERR_NOMEM: there is none then. */
int sta_canary_name(struct sta_canary *canary, struct strata_bytes key, uint16_t slot,
                    uint64_t ttl_ms);
void sta_canary_fini(struct sta_canary *canary);

static inline bool sta_canary_has_name(const struct sta_canary *canary)
{
    return canary->key_len > 0;
}

/* A round may begin. */
static inline bool sta_canary_is_due(const struct sta_canary *canary)
{
    return canary->state == STA_CANARY_IDLE && !canary->writing && canary->up && canary->tracked &&
           canary->used;
}

/* Begins a round that is due, of a canary with a name. Both commands have until `deadline_ns`. */
void sta_canary_begin(struct sta_canary *canary, struct sta_loop *loop,
                      const struct sta_canary_way *way, void *arg, uint64_t deadline_ns);

/* Whether this invalidation of `key` is the proof; then the round is over. */
bool sta_canary_is_proven(struct sta_canary *canary, struct strata_bytes key);

/* Whether its push should have come long ago. */
bool sta_canary_is_missing(const struct sta_canary *canary, uint64_t now_ns, uint64_t patience_ns);

#endif
