/* SPDX-License-Identifier: MIT
 *
 * What is stored in Redis where a value has more to it than its bytes. Most values have not: they
 * are stored as they are, and any Redis client reads and writes them. One that has is stored behind
 * a head:
 *
 *     0                8         9             11
 *     | F5 "strata" 00 | version | fields_len  | fields ... | value ...
 *                                                 |
 *                        | type (1) | len (2) | payload |
 *
 *     type  payload
 *      01   stale_ms, 8 bytes      at most once
 *      02   load_us, 8 bytes       at most once
 *      03   a tag: its version, 8 bytes, and its name, 1 to STA_ENVELOPE_TAG_MAX bytes
 *      8x   may be left out of account by who does not know it; others may not
 *
 * Numbers are little-endian. The magic is no text in any encoding that begins with UTF-8; a plain
 * value that does begin with it is stored behind a head without fields, so that every value of ours
 * comes back as it was. One that others store so, and that is no envelope, is told as one that
 * cannot be read: whoever asked gets a miss.
 *
 * Lifetimes are told by what is left of the key's TTL in Redis, never by a clock's reading:
 * `stale_ms` is the last part of it in which the value may only be served as a stale one. Nobody
 * needs to know what time it is where the value was written. A key without a TTL is fresh for good.
 *
 *     SET key ... PX fresh + stale        PTTL > stale_ms: fresh      PTTL <= stale_ms: stale
 *
 * Pure: no state, any thread. Memory: what is read points into what was stored.
 */
#ifndef STA_ENVELOPE_H
#define STA_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "strata/bytes.h"

#define STA_ENVELOPE_MAGIC     "\xF5strata" /* and a zero byte: 8 in all */
#define STA_ENVELOPE_MAGIC_LEN 8u
#define STA_ENVELOPE_HEAD      11u /* bytes before the fields */
#define STA_ENVELOPE_TAGS_MOST 16u
#define STA_ENVELOPE_TAG_MAX   255u /* bytes of a tag's name */

struct sta_envelope_tag {
    struct strata_bytes name;
    uint64_t version; /* of the tag when the value was written */
};

struct sta_envelope {
    uint64_t stale_ms; /* 0: never stale */
    uint64_t load_us;  /* what it took to make the value; 0: not known */
    size_t tag_count;
    struct sta_envelope_tag tags[STA_ENVELOPE_TAGS_MOST];
    struct strata_bytes value;
};

/* Whether these bytes begin as an envelope does: if so, a plain value must be put into one. */
bool sta_envelope_begins(struct strata_bytes bytes);

/* Appends head and value, whole or not at all. STRATA_ERR_INVALID (too many tags, or a name that is
 * empty), STRATA_ERR_TOO_BIG (a name, or the buffer's limit), STRATA_ERR_NOMEM. */
int sta_envelope_write(struct sta_buffer *out, const struct sta_envelope *envelope);

/* STRATA_OK; a plain value is an envelope without fields. STRATA_ERR_UNSUPPORTED: by a newer
 * version; STRATA_ERR_PROTOCOL: it only begins as one. `out` is untouched on failure. */
int sta_envelope_read(struct strata_bytes stored, struct sta_envelope *out);

/* As read() of a plain value, but that nothing of `tags` is set: to clear them takes longer than
 * all the rest. */
static inline void sta_envelope_plain(struct sta_envelope *out, struct strata_bytes value)
{
    out->stale_ms = 0;
    out->load_us = 0;
    out->tag_count = 0;
    out->value = value;
}

/* How much longer a value is fresh of whose TTL so much is left (UINT64_MAX: it has none). */
static inline uint64_t sta_envelope_fresh_ms(const struct sta_envelope *envelope, uint64_t ttl_ms)
{
    if (ttl_ms == UINT64_MAX)
        return UINT64_MAX;
    return ttl_ms > envelope->stale_ms ? ttl_ms - envelope->stale_ms : 0;
}

#endif
