/* SPDX-License-Identifier: MIT
 *
 * Doubting many entries at once. Whoever fills the tier has sources (a connection, a slot of a
 * cluster): an entry that came from one carries its number and the moment at which its fill
 * began. To doubt a source is to write down the present moment: what was born before it is
 * suspect from then on, at once and without a look at any entry. A source may also be trusted
 * until a point in time only, which its owner moves on as long as it has proof.
 *
 *     moments   1 ........ 7 ........ 9
 *     source 3      born 5 | doubted    born 8: fine
 *
 * Source 0 is nobody's: such entries carry no stamp and are never suspect.
 * Threads: any. doubt() is sequentially consistent with itself and with birth(): a fill that began
 * before it is older than it. A hit that looks at the same time may be on either side.
 * Memory: 16 bytes for each source, one allocation.
 */
#ifndef STA_STAMP_H
#define STA_STAMP_H

#include <stdbool.h>

#include "l1/item.h"

struct sta_stamp_source {
    _Atomic uint64_t since;    /* what was born before is suspect */
    _Atomic uint64_t until_ms; /* suspect after this; STA_NEVER: trusted for good */
};

struct sta_stamp {
    _Atomic uint64_t moment;
    uint32_t count; /* sources 1 .. count */
    struct sta_stamp_source *sources;
};

/* STRATA_ERR_NOMEM. Zeroed is a stamp without sources. */
int sta_stamp_init(struct sta_stamp *stamp, uint32_t sources);
void sta_stamp_fini(struct sta_stamp *stamp);

static inline uint64_t sta_stamp_bytes(const struct sta_stamp *stamp)
{
    return stamp->sources == NULL ? 0 : (stamp->count + 1) * sizeof *stamp->sources;
}

/* The stamp of what a question to `source` will bring that is asked from now on. */
static inline struct sta_item_stamp sta_stamp_birth(const struct sta_stamp *stamp, uint16_t source)
{
    return (struct sta_item_stamp){source,
                                   atomic_load_explicit(&stamp->moment, memory_order_seq_cst)};
}

void sta_stamp_doubt(struct sta_stamp *stamp, uint16_t source);
void sta_stamp_trust(struct sta_stamp *stamp, uint16_t source, uint64_t until_ms);

static inline bool sta_stamp_suspect(const struct sta_stamp *stamp, struct sta_item_stamp birth,
                                     uint64_t now_ms)
{
    if (birth.source == 0)
        return false;
    if (birth.source > stamp->count)
        return true; /* garbage that a racing copy read */
    const struct sta_stamp_source *source = &stamp->sources[birth.source];
    return birth.born < atomic_load_explicit(&source->since, memory_order_acquire) ||
           now_ms > atomic_load_explicit(&source->until_ms, memory_order_acquire);
}

#endif
