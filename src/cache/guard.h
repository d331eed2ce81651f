/* SPDX-License-Identifier: MIT
 *
 * The version guard of write-behind: what Redis may have of a key so that a flush of ours still
 * overwrites it. Writers need not know of it; a value is its own version.
 *
 *   state   what Redis has of a key: none, a value (by its digest), or something that is no value
 *   basis   the states that are ours: what was there when our write was accepted, and what those
 *           writes of ours may have left whose answers were lost
 *
 *     look    EVAL, no states           -> what is there
 *     flush   EVAL, the basis' states   -> written, or what is there instead
 *
 * What has expired is not what somebody has deleted: each state has the earliest time by which it
 * may have expired, and from shortly before on "none" belongs to the basis as well.
 *
 * Pure: no I/O. Threads: any.
 */
#ifndef STA_GUARD_H
#define STA_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/sha1.h"
#include "l2/batch.h"

enum sta_guard_kind { STA_GUARD_NONE, STA_GUARD_VALUE, STA_GUARD_OTHER };

struct sta_guard_state {
    uint64_t expires_ns; /* not before; STA_NEVER: it does not */
    enum sta_guard_kind kind;
    uint8_t digest[STA_SHA1_LEN]; /* of a VALUE */
};

/* So many states go with a flush. */
#define STA_GUARD_MOST 4u
/* One more by an answer that was lost, and one by a replay, which does not know whether it was
 * sent. */
#define STA_GUARD_ROOM (STA_GUARD_MOST + 2u)

struct sta_guard_basis {
    uint32_t count; /* 0: not known yet */
    struct sta_guard_state states[STA_GUARD_ROOM];
};

struct sta_guard_state sta_guard_none(void);
struct sta_guard_state sta_guard_value(struct strata_bytes stored, uint64_t expires_ns);

/* The basis is this state alone; or this one, too. */
void sta_guard_set(struct sta_guard_basis *basis, const struct sta_guard_state *state);
void sta_guard_add(struct sta_guard_basis *basis, const struct sta_guard_state *state);

/* Whether what is there is to be looked at before the next write: nothing is known of it, or it may
 * be any of too many. */
bool sta_guard_must_look(const struct sta_guard_basis *basis);

/* Whether what is there is no work of others. */
bool sta_guard_holds(const struct sta_guard_basis *basis, const struct sta_guard_state *seen,
                     uint64_t now_ns);

/* ---- in journals: times as what is left of them ---- */

#define STA_GUARD_STATE_LEN  (1u + STA_SHA1_LEN + 8u)
#define STA_GUARD_BYTES_MOST (STA_GUARD_ROOM * STA_GUARD_STATE_LEN)

/* To `out`, which has room for the most; returns how many bytes. */
size_t sta_guard_encode(const struct sta_guard_basis *basis, uint64_t now_ns, uint8_t *out);
/* Of what was encoded `passed_ms` ago. Bytes that are none are a basis that is not known. */
void sta_guard_decode(struct strata_bytes bytes, uint64_t passed_ms, uint64_t now_ns,
                      struct sta_guard_basis *out);

/* ---- to Redis and back ---- */

struct sta_guard_write {
    struct strata_bytes key;
    struct strata_bytes value;
    uint64_t ttl_ms; /* as of sta_batch_set() */
    bool is_delete;
    bool reads;                          /* back, as sta_batch_set_read() */
    const struct sta_guard_basis *basis; /* NULL: a look, and no write */
};

/* As the appenders of l2/batch.h. */
int sta_guard_append(struct sta_batch *batch, uint32_t tag, const struct sta_guard_write *write,
                     uint64_t now_ns);

/* Of what sta_batch_read_script() gave: STRATA_OK, STRATA_ERR_PROTOCOL. `sent_ns`: when it was
 * asked. */
int sta_guard_read(struct strata_bytes text, uint64_t sent_ns, struct sta_guard_state *out);

#endif
