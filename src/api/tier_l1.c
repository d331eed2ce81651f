/* SPDX-License-Identifier: MIT
 *
 * The in-memory tier alone: a cache whose L2 is switched off. What only this tier can do goes to it
 * directly.
 */
#include <stdlib.h>

#include "api/handle.h"
#include "cache/value.h"
#include "core/clock.h"
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
        .l1_quotas = given.quotas,
        .l1_quota_count = given.quota_count,
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

static uint64_t now(void)
{
    return sta_clock_now_ns() / STA_NS_MS;
}

int strata_l1_peek(struct strata_l1 *l1, struct strata_bytes key, struct strata_value *value)
{
    struct sta_l1 *tier = sta_cache_l1(l1->both.cache);
    struct sta_l1_lease lease;
    int status = sta_cache_check_key(key);
    if (status < 0)
        return status;
    struct sta_key hashed = sta_l1_key(tier, key);
    status = sta_l1_peek(tier, &hashed, now(), &lease);
    if (status == STRATA_OK)
        sta_value_from_lease(value, tier, &lease);
    return status;
}

int strata_l1_expire(struct strata_l1 *l1, struct strata_bytes key, uint64_t ttl_ms)
{
    struct sta_l1 *tier = sta_cache_l1(l1->both.cache);
    uint64_t now_ms = now();
    int status = sta_cache_check_key(key);
    if (status < 0)
        return status;
    struct sta_key hashed = sta_l1_key(tier, key);
    return sta_l1_set_deadline(tier, &hashed, sta_cache_l1_deadline(l1->both.cache, ttl_ms, now_ms),
                               now_ms);
}

/* ---- scan ---- */

#define NAMES_MOST ((size_t)64 << 20) /* of one step: some dozens of keys, however long */

struct strata_l1_scan {
    struct sta_l1 *tier;
    struct sta_glob match;
    bool all;
    bool over;
    uint64_t cursor;
    struct sta_buffer names; /* of the last step */
    struct strata_bytes rest;
};

int strata_l1_scan_open(struct strata_l1 *l1, struct strata_bytes match,
                        struct strata_l1_scan **out)
{
    struct strata_l1_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL)
        return STRATA_ERR_NOMEM;
    scan->tier = sta_cache_l1(l1->both.cache);
    scan->all = match.len == 0;
    int status = sta_glob_init(&scan->match, match);
    if (status < 0) {
        free(scan);
        return status;
    }
    sta_buffer_init(&scan->names, NAMES_MOST);
    *out = scan;
    return STRATA_OK;
}

int strata_l1_scan_next(struct strata_l1_scan *scan, struct strata_bytes *key)
{
    while (!sta_l1_scan_next(&scan->rest, key)) {
        if (scan->over)
            return STRATA_MISS;
        sta_buffer_clear(&scan->names);
        scan->rest = strata_bytes(NULL, 0);
        int status = sta_l1_scan(scan->tier, &scan->cursor, scan->all ? NULL : &scan->match, now(),
                                 &scan->names);
        if (status < 0)
            return status;
        scan->over = scan->cursor == 0;
        scan->rest = sta_buffer_bytes(&scan->names);
    }
    return STRATA_OK;
}

void strata_l1_scan_close(struct strata_l1_scan **scan)
{
    if (scan == NULL || *scan == NULL)
        return;
    sta_glob_fini(&(*scan)->match);
    sta_buffer_fini(&(*scan)->names);
    free(*scan);
    *scan = NULL;
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
