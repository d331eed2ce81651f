/* SPDX-License-Identifier: MIT
 *
 * Cache operations on many keys as one request: encoding on the caller's thread, decoding on
 * the loop's. Every key is answered by itself, so one bad key leaves the others alone.
 *
 *   get     GET key, PTTL key   in this order: a deadline must never come from an older
 *                               incarnation of the key than its value
 *   set     SET key value [PX ttl]
 *   delete  UNLINK key
 *
 * One kind of operation per batch. The struct stays in place from submit() until done() is
 * called, which happens exactly once; init() and fini() enclose both.
 */
#ifndef STA_BATCH_H
#define STA_BATCH_H

#include <stdint.h>

#include "core/buffer.h"
#include "l2/l2.h"
#include "resp/resp.h"

/* Bytes that one batch may be on the wire. */
#define STA_BATCH_WIRE_MAX ((size_t)128 << 20)

struct sta_batch {
    struct sta_request request;
    struct sta_buffer wire;
    struct strata_bytes prefix; /* borrowed; goes before every key */

    /* On the loop's thread: status and replies as in l2/request.h. */
    void (*done)(struct sta_batch *batch, int status, struct strata_bytes replies);
};

void sta_batch_init(struct sta_batch *batch, struct strata_bytes prefix,
                    void (*done)(struct sta_batch *, int, struct strata_bytes));
void sta_batch_fini(struct sta_batch *batch);

/* Each appends one operation: STRATA_OK, STRATA_ERR_NOMEM or STRATA_ERR_TOO_BIG, and on failure
 * the batch is as it was. `ttl_ms` beyond what Redis can add to its clock, as UINT64_MAX: without
 * expiry. */
int sta_batch_get(struct sta_batch *batch, struct strata_bytes key);
int sta_batch_set(struct sta_batch *batch, struct strata_bytes key, struct strata_bytes value,
                  uint64_t ttl_ms);
int sta_batch_delete(struct sta_batch *batch, struct strata_bytes key);

/* Sends what was appended, at least one operation. */
void sta_batch_submit(struct sta_batch *batch, struct sta_l2 *l2, uint64_t deadline_ns);

/* ---- answers, one operation after another, in the order of appending ---- */

/* STRATA_OK with the value (readable as long as the replies) and its remaining TTL in
 * milliseconds (UINT64_MAX: none); STRATA_MISS; STRATA_ERR_DENIED, STRATA_ERR_SERVER (Redis
 * answered with an error, WRONGTYPE for one), STRATA_ERR_PROTOCOL. A key that went away between
 * its value and its TTL has ttl 0. */
int sta_batch_next_get(struct sta_resp_walk *replies, struct strata_bytes *value, uint64_t *ttl_ms);
/* STRATA_OK or an error as above. */
int sta_batch_next_set(struct sta_resp_walk *replies);
/* STRATA_OK, STRATA_MISS or an error as above. */
int sta_batch_next_delete(struct sta_resp_walk *replies);

#endif
