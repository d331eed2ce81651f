/* SPDX-License-Identifier: MIT
 *
 * Sources (stamp.h).
 */
#include "l1/stamp.h"

#include <assert.h>
#include <stdlib.h>

#include "strata/status.h"

int sta_stamp_init(struct sta_stamp *stamp, uint32_t sources)
{
    assert(sources <= UINT16_MAX);
    if (sources == 0)
        return STRATA_OK;
    stamp->sources = calloc(sources + 1, sizeof *stamp->sources);
    if (stamp->sources == NULL)
        return STRATA_ERR_NOMEM;
    for (uint32_t i = 0; i <= sources; i++)
        atomic_init(&stamp->sources[i].until_ms, STA_NEVER);
    stamp->count = sources;
    return STRATA_OK;
}

void sta_stamp_fini(struct sta_stamp *stamp)
{
    free(stamp->sources);
    stamp->sources = NULL;
}

/* Two that doubt one source at a time must not put the older moment behind the newer. */
void sta_stamp_doubt(struct sta_stamp *stamp, uint16_t source)
{
    assert(source != 0 && source <= stamp->count);
    _Atomic uint64_t *since = &stamp->sources[source].since;
    uint64_t moment = atomic_fetch_add_explicit(&stamp->moment, 1, memory_order_seq_cst) + 1;
    uint64_t known = atomic_load_explicit(since, memory_order_relaxed);
    while (known < moment &&
           !atomic_compare_exchange_weak_explicit(since, &known, moment, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

void sta_stamp_trust(struct sta_stamp *stamp, uint16_t source, uint64_t until_ms)
{
    assert(source != 0 && source <= stamp->count);
    atomic_store_explicit(&stamp->sources[source].until_ms, until_ms, memory_order_release);
}
