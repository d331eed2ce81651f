/* SPDX-License-Identifier: MIT
 *
 * What stands in a segment of write-behind's journal: a head, and records one after another. Pure:
 * bytes in memory. All numbers are little-endian.
 *
 *   head     "STRATAJ1", or "STRATAJ2" where records with a basis may follow
 *   record   u32 CRC-32C of all that follows in it
 *            u32 length of all that follows
 *            u8  type: 1 set, 2 delete, 3 done, 4 basis; and 128 where there is a basis
 *            u64 version of the write
 *            u64 TTL in ms; all ones: none          (set)
 *            u64 wall clock in ms when it came      (set)
 *            u16 length of the key
 *            the key
 *            u8  length of the basis, the basis     (where there is one)
 *            the value as Redis gets it             (set)
 *
 * A basis is what Redis may have of the key so that the write still goes there (cache/guard.h); of
 * a write without one it is not known. BASIS says that it is known now, or has changed.
 * DONE says that nothing is owed for this key any more: Redis has acknowledged its newest write.
 */
#ifndef STA_JOURNAL_RECORD_H
#define STA_JOURNAL_RECORD_H

#include <stdint.h>

#include "core/buffer.h"

#define STA_JOURNAL_HEAD         "STRATAJ1"
#define STA_JOURNAL_HEAD_GUARDED "STRATAJ2"
#define STA_JOURNAL_HEAD_LEN     8u

#define STA_JOURNAL_BASIS_MOST 255u

enum sta_journal_type {
    STA_JOURNAL_SET = 1,
    STA_JOURNAL_DELETE = 2,
    STA_JOURNAL_DONE = 3,
    STA_JOURNAL_BASIS = 4
};

struct sta_journal_record {
    enum sta_journal_type type;
    uint64_t version;
    uint64_t ttl_ms;  /* STA_NEVER: none */
    uint64_t wall_ms; /* since 1970 */
    struct strata_bytes key;
    struct strata_bytes value;
    struct strata_bytes basis; /* as encoded by who records it, STA_JOURNAL_BASIS_MOST at most */
};

/* What it takes in a segment. */
size_t sta_journal_record_len(const struct sta_journal_record *record);

/* STRATA_OK, STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG; on failure the buffer is as it was. */
int sta_journal_record_append(struct sta_buffer *out, const struct sta_journal_record *record);

/* Takes the next record from the front of `rest`; its bytes are those of `rest`. STRATA_OK;
 * STRATA_MISS: there are no more; STRATA_ERR_PROTOCOL: what follows is torn or not ours, and `rest`
 * is as it was. */
int sta_journal_record_next(struct strata_bytes *rest, struct sta_journal_record *record);

/* How much of the TTL is left at `wall_ms`. A clock that was set back gives no more than the
 * whole. */
uint64_t sta_journal_record_left_ms(const struct sta_journal_record *record, uint64_t wall_ms);

#endif
