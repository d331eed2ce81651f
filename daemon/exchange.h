/* SPDX-License-Identifier: MIT
 *
 * One command of a client on its way: the request to Redis, what L1 has to learn from the reply,
 * and the reply's place in the client's queue.
 *
 *   create -> prepared by a path (read, write, forward) -> sent on a lane -> concluded -> destroyed
 *       \--> answered at once (a hit or a local reply behind others that still wait) --^
 *
 * conclude() runs exactly once for what was sent, also where the client has gone meanwhile: then
 * `out` is NULL and only L1 is served. Its work on L1 is finished before a byte of the reply is
 * given to the client, so whoever sees an acknowledgement reads what was written.
 *
 * Memory: exchanges and their small buffers go back to their worker's pool; a miss or a write of
 * ordinary size allocates nothing once the pool is warm.
 * Threads: the worker's loop.
 */
#ifndef STA_EXCHANGE_H
#define STA_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/turns.h"
#include "core/buffer.h"
#include "core/key.h"
#include "core/list.h"
#include "daemon/barrier_watch.h"
#include "daemon/dispatch.h"
#include "daemon/scan_cursor.h"
#include "l1/l1.h"
#include "l2/operation.h"

struct sta_exchange;
struct sta_session;
struct sta_spread;
struct sta_worker;

/* Keys that live in the exchange itself; more take memory of their own. */
#define STA_EXCHANGE_KEYS_INLINE 2u

struct sta_exchange_key {
    struct sta_key key; /* its bytes are in the exchange's wire */
    struct sta_l1_token token;
    bool nobodys;      /* once stamped: its answer came from no source, and may not be kept */
    bool hidden;       /* by a barrier: the answer is none */
    bool suspect;      /* of a read: L1 has an entry that is in doubt */
    uint64_t asked_ns; /* of a read, for barriers */
};

/* Appends the client's reply to `out` (NULL: there is no client any more) and ends what was begun
 * in L1. `status` and `replies` as in sta_operation.done. Returns what the append returned. */
typedef int sta_exchange_conclude(struct sta_exchange *exchange, int status,
                                  struct strata_bytes replies, struct sta_buffer *out);

struct sta_exchange {
    struct sta_list link;        /* in its session's queue, or in the pool */
    struct sta_worker *worker;   /* fixed at creation */
    struct sta_session *session; /* NULL: the client has gone */

    struct sta_operation operation; /* before a single Redis its request alone */
    struct sta_spread *spread;      /* parts of it for several nodes; NULL: it goes as it is */
    sta_exchange_conclude *conclude;
    enum sta_lane_kind lane;
    bool sent; /* under way on `lane` */
    uint64_t sent_ns;
    bool keys_unknown;        /* may touch keys that are not in `keys` */
    bool heeds_barriers;      /* not concluded before it is known what barriers there are */
    bool stamped;             /* the keys' tokens are; a spread's parts have done it */
    bool by_size;             /* before a cluster: by any connection of the node (l2/node.h) */
    bool replaces;            /* +OK or :1 means that the keys hold what the command says */
    uint8_t timed_as;         /* enum sta_timing_operation and one; 0: not at all */
    uint8_t own;              /* enum sta_own_kind, and of CONFIRMS: */
    uint8_t own_word;         /*   the word, */
    size_t own_left;          /*   and how many are missing; 0: until nothing of the kind is left */
    uint64_t own_deadline_ns; /* of BLOCKS; 0: as of any other */
    int protocol;             /* of the client, when it asked */
    struct sta_buffer wire;   /* what is sent */
    struct sta_buffer reply;  /* the client's reply, while others before it wait */
    size_t reply_counted;     /* bytes of it that the session has counted */

    struct sta_exchange_key *keys; /* inline_keys, or allocated */
    size_t key_count;
    size_t key_cap;
    struct sta_exchange_key inline_keys[STA_EXCHANGE_KEYS_INLINE];

    /* For conclude(). */
    uint64_t asked_ms;         /* when it was sent; deadlines count from here */
    uint64_t epoch;            /* of the write window */
    uint64_t ttl_ms;           /* SET: of the value, STA_NEVER without */
    struct strata_bytes value; /* SET: in the wire */
    struct sta_buffer parts;   /* MGET: what L1 had, see read_path.c */
    size_t part_count;
    struct sta_scan_cursor scan; /* SCAN before a cluster: where it is */
    struct sta_barrier_wait wait;
    struct sta_turn turn; /* of a read of what is in doubt (read_turn.h) */
};

/* NULL: out of memory. Belongs to `session` but is not in its queue yet. */
struct sta_exchange *sta_exchange_create(struct sta_worker *worker, struct sta_session *session);

/* Back to the pool. Must not be under way. */
void sta_exchange_destroy(struct sta_exchange **exchange);

/* Frees a worker's pool. */
void sta_exchange_free_pool(struct sta_worker *worker);

/* Appends a command to the wire. */
int sta_exchange_write(struct sta_exchange *exchange, const struct strata_bytes *argv, size_t argc);

/* Points argv at the copy of its bytes in the wire, whose first command it is, so that it stays
 * readable as long as the exchange lives. The wire must not grow any more. */
int sta_exchange_rebase(const struct sta_exchange *exchange, struct strata_bytes *argv,
                        size_t argc);

/* When its answer has come: the keys' tokens get the stamp of where it came from, once. */
void sta_exchange_stamp(struct sta_exchange *exchange);

/* Adds a key. STRATA_ERR_NOMEM. */
int sta_exchange_add_key(struct sta_exchange *exchange, const struct sta_key *key);

#endif
