/* SPDX-License-Identifier: MIT
 *
 * The in-memory tier alone: a cache whose L2 is switched off.
 */
#include <stdlib.h>

#include "api/handle.h"
#include "core/error.h"
#include "strata/l1.h"

int strata_l1_open(struct strata_l1 **out, const struct strata_l1_options *options,
                   struct strata_error *error)
{
    struct strata_l1_options given = {0};
    if (options != NULL)
        given = *options;
    struct strata_options both = {
        .l2_enabled = STRATA_OFF,
        .l1_max_size = given.max_size,
        .l1_max_bytes = given.max_bytes,
        .l1_ttl_ms = given.default_ttl_ms,
        .l1_cleanup_interval_ms = given.cleanup_interval_ms,
    };
    struct strata_l1 *l1 = calloc(1, sizeof *l1);
    if (l1 == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    int status = sta_handle_open(&l1->both, &both, error);
    if (status < 0) {
        free(l1);
        return status;
    }
    *out = l1;
    return STRATA_OK;
}

void strata_l1_close(struct strata_l1 **l1)
{
    if (l1 == NULL || *l1 == NULL)
        return;
    sta_handle_close(&(*l1)->both);
    free(*l1);
    *l1 = NULL;
}

int strata_l1_get(struct strata_l1 *l1, struct strata_bytes key, struct strata_value *value)
{
    return strata_get(&l1->both, key, value);
}

int strata_l1_set(struct strata_l1 *l1, struct strata_bytes key, struct strata_bytes value,
                  uint64_t ttl_ms)
{
    return strata_set(&l1->both, key, value, ttl_ms);
}

int strata_l1_delete(struct strata_l1 *l1, struct strata_bytes key)
{
    return strata_delete(&l1->both, key);
}

void strata_l1_clear(struct strata_l1 *l1)
{
    sta_cache_clear_l1(l1->both.cache);
}

void strata_l1_statistics(struct strata_l1 *l1, struct strata_l1_statistics *out)
{
    struct strata_statistics both;
    sta_cache_statistics(l1->both.cache, &both);
    *out = (struct strata_l1_statistics){
        .hits = both.l1.hits,
        .misses = both.l1.misses,
        .entries = both.l1_entries,
        .memory_bytes = both.l1_memory_bytes,
        .evictions = both.l1_evictions,
        .expirations = both.l1_expirations,
    };
}
