/* SPDX-License-Identifier: MIT
 *
 * What stands in a saved hot set: a head, and records, the hottest first. Pure: bytes in memory.
 * All numbers are little-endian.
 *
 *   head     "STRATAHS", u32 version (1), u32 what the records have (bit 0: values)
 *            u64 wall clock in ms when it was saved
 *            u64 number of records
 *            u32 CRC-32C of the head up to here
 *   record   u32 CRC-32C of all that follows in it
 *            u32 length of all that follows
 *            u8  heat (l1/l1.h)
 *            u64 TTL in ms that was left; all ones: none
 *            u16 length of the key
 *            the key, the value
 *
 * Without values, a record has the key alone.
 */
#ifndef STA_HOT_RECORD_H
#define STA_HOT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "strata/status.h"

#define STA_HOT_HEAD_LEN  36u
#define STA_HOT_FRAME_LEN 8u /* CRC and length of a record */

struct sta_hot_head {
    bool values;
    uint64_t wall_ms; /* since 1970 */
    uint64_t count;
};

struct sta_hot_record {
    uint8_t heat;
    uint64_t ttl_ms; /* STA_NEVER: none */
    struct strata_bytes key;
    struct strata_bytes value;
};

void sta_hot_head_write(const struct sta_hot_head *head, uint8_t out[STA_HOT_HEAD_LEN]);

/* `bytes`: the head, or less where the file is shorter. STRATA_ERR_INVALID: not a saved hot set, or
 * a damaged one; STRATA_ERR_UNSUPPORTED: of another version. `error` says which. */
int sta_hot_head_read(struct strata_bytes bytes, struct sta_hot_head *head,
                      struct strata_error *error);

/* STRATA_OK, STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG; on failure the buffer is as it was. */
int sta_hot_record_append(struct sta_buffer *out, const struct sta_hot_record *record);

/* How many bytes follow a record's frame; 0: what stands there is none. */
size_t sta_hot_record_body_len(const uint8_t frame[STA_HOT_FRAME_LEN]);

/* A whole record, frame and all; its bytes are those of `bytes`. STRATA_OK; STRATA_ERR_PROTOCOL:
 * torn, damaged, or not as `head` has it. */
int sta_hot_record_read(const struct sta_hot_head *head, struct strata_bytes bytes,
                        struct sta_hot_record *record);

/* How much of the TTL is left at `wall_ms`. A clock that was set back gives no more than the
 * whole. */
uint64_t sta_hot_record_left_ms(const struct sta_hot_head *head,
                                const struct sta_hot_record *record, uint64_t wall_ms);

#endif
