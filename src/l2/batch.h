/* SPDX-License-Identifier: MIT
 *
 * Cache operations on many keys: encoding on the caller's thread, sending and decoding on the
 * loop's. Every key is an operation of its own (l2/operation.h): each finds its node by itself, is
 * answered by itself and fails by itself, so that a sick node or a bad key leaves the others alone.
 *
 *   get        GET key, PTTL key   in this order: a deadline must never come from an older
 *                                  incarnation of the key than its value
 *   get_value  GET key             for who keeps no value, and so needs no TTL
 *   set        SET key value [PX ttl]
 *   set_read   SET key value [PX ttl], GET key, PTTL key   for who keeps the value: a SET alone
 *                                  makes no server track its key. What the GET brings is what it
 *                                  tracks; another may have changed value or TTL before it
 *   add        SET key value NX [PX ttl], EXISTS key   where nobody has set it meanwhile. What
 *                                  servers push because of the SET comes before the second reply,
 *                                  and so before answered()
 *   delete     UNLINK key
 *   script     EVAL script 1 key args [, GET key, PTTL key]   a script that answers OK or a string;
 *                                  what is read back as in set_read
 *
 *   caller:  init --> get, get, ... --> submit
 *   loop:                                 '--> answered, answered, ... --> ended
 *
 * A reply that its command cannot have ends the node's connections: what follows might belong to
 * other questions. It is told as STRATA_ERR_PROTOCOL.
 *
 * One kind of operation per batch. Of a large batch STA_BATCH_WINDOW are under way at a time, so
 * that it leaves room for others in what bounds the requests of a connection.
 * The struct stays in place from submit() until ended() is called, which happens exactly once;
 * init() and fini() enclose both.
 * Memory: a batch of one key allocates nothing but its wire.
 */
#ifndef STA_BATCH_H
#define STA_BATCH_H

#include <stdint.h>

#include "core/buffer.h"
#include "l2/l2.h"
#include "resp/resp.h"

/* Bytes that one batch may be on the wire. */
#define STA_BATCH_WIRE_MAX ((size_t)128 << 20)

/* Operations of one batch that are under way at a time. */
#define STA_BATCH_WINDOW 1024u

enum sta_batch_kind {
    STA_BATCH_GET,
    STA_BATCH_GET_VALUE,
    STA_BATCH_SET,
    STA_BATCH_ADD,
    STA_BATCH_DELETE,
    STA_BATCH_SCRIPT
};

struct sta_batch_script {
    struct strata_bytes text;
    struct strata_bytes key;
    const struct strata_bytes *args;
    size_t count;
    bool reads; /* and GET key, PTTL key */
};

/* An operation that was appended. */
struct sta_batch_mark {
    uint32_t wire_end; /* where it ends in the wire, and the next begins */
    uint32_t tag;      /* the caller's */
    uint16_t slot;
    uint8_t commands;
    bool hurried;
};

/* An operation that is under way. */
struct sta_batch_flight {
    struct sta_operation operation;
    struct sta_batch *batch;
    uint32_t tag;
    bool flying;
    bool feeding; /* it is being sent; done() comes from within where it is refused at once */
};

struct sta_batch {
    /* Fixed by init(). */
    struct sta_l2 *l2;
    struct strata_bytes prefix; /* borrowed; goes before every key */

    /* On the loop's thread. Status and replies of the operation that was appended with `tag`, as
     * in l2/request.h; in any order. */
    void (*answered)(struct sta_batch *batch, uint32_t tag, int status,
                     struct strata_bytes replies);
    /* The same: all are answered. May free the batch. */
    void (*ended)(struct sta_batch *batch);

    /* May be set before a key is added, and counts for it and what follows: see sta_operation. */
    bool hurried;

    /* In answered(), where the status is STRATA_OK: what sta_tracking_source() says; and the
     * replies' memory, as in l2/request.h. */
    int source;
    struct sta_buffer *memory;

    /* The room's own; on the caller's thread until submit(), on the loop's after it. */
    struct sta_buffer wire;
    struct sta_batch_mark first_mark;
    struct sta_batch_mark *marks; /* of the second and further ones */
    uint32_t mark_cap;
    uint32_t count;
    uint32_t expected;
    enum sta_batch_kind kind;
    uint64_t deadline_ns;
    struct sta_task task;
    uint32_t next; /* to be sent */
    uint32_t unanswered;
    bool starting;
    struct sta_batch_flight first_flight;
    struct sta_batch_flight *flights; /* NULL: there is only the first */
};

void sta_batch_init(struct sta_batch *batch, struct sta_l2 *l2, struct strata_bytes prefix,
                    void (*answered)(struct sta_batch *, uint32_t, int, struct strata_bytes),
                    void (*ended)(struct sta_batch *));
void sta_batch_fini(struct sta_batch *batch);

/* So many operations will be appended at most, much alike: memory is made for them once (for a
 * window of them, where they are more), and not again and again as it grows. */
void sta_batch_expect(struct sta_batch *batch, size_t count);

/* Each appends one operation: STRATA_OK, STRATA_ERR_NOMEM or STRATA_ERR_TOO_BIG, and on failure
 * the batch is as it was. `ttl_ms` beyond what Redis can add to its clock, as UINT64_MAX: without
 * expiry. */
int sta_batch_get(struct sta_batch *batch, uint32_t tag, struct strata_bytes key);
int sta_batch_get_value(struct sta_batch *batch, uint32_t tag, struct strata_bytes key);
int sta_batch_set(struct sta_batch *batch, uint32_t tag, struct strata_bytes key,
                  struct strata_bytes value, uint64_t ttl_ms);
int sta_batch_set_read(struct sta_batch *batch, uint32_t tag, struct strata_bytes key,
                       struct strata_bytes value, uint64_t ttl_ms);
int sta_batch_add(struct sta_batch *batch, uint32_t tag, struct strata_bytes key,
                  struct strata_bytes value, uint64_t ttl_ms);
int sta_batch_delete(struct sta_batch *batch, uint32_t tag, struct strata_bytes key);
int sta_batch_script(struct sta_batch *batch, uint32_t tag, const struct sta_batch_script *script);

/* Sends what was appended, at least one operation. */
void sta_batch_submit(struct sta_batch *batch, uint64_t deadline_ns);

/* The same by who leads the loop, at once: ended() may be called before this returns. */
void sta_batch_start(struct sta_batch *batch, uint64_t deadline_ns);

/* ---- what the replies to an operation say ----
 *
 * STRATA_ERR_DENIED, STRATA_ERR_UNAVAILABLE (Redis is not ready: loading, without its master, read
 * only), STRATA_ERR_SERVER (it answered with another error, WRONGTYPE for one),
 * STRATA_ERR_PROTOCOL, or: */

/* STRATA_OK with the value (readable as long as the replies) and its remaining TTL in
 * milliseconds (UINT64_MAX: none); STRATA_MISS. A key that went away between its value and its TTL
 * has ttl 0, and so has every key of get_value(). */
int sta_batch_read_get(struct strata_bytes replies, struct strata_bytes *value, uint64_t *ttl_ms);
/* STRATA_OK. */
int sta_batch_read_set(struct strata_bytes replies);
/* STRATA_OK; STRATA_SKIPPED: a string, in `text` (readable as long as the replies). */
int sta_batch_read_script(struct strata_bytes replies, struct strata_bytes *text);
/* Whether what set_read(), or a script, read back is `value`, with its TTL as of
 * sta_batch_read_get(). */
bool sta_batch_read_set_kept(struct strata_bytes replies, struct strata_bytes value,
                             uint64_t *ttl_ms);
/* STRATA_OK; STRATA_SKIPPED: there was one already. */
int sta_batch_read_add(struct strata_bytes replies);
/* STRATA_OK, STRATA_MISS. */
int sta_batch_read_delete(struct strata_bytes replies);

#endif
