/* SPDX-License-Identifier: MIT
 *
 * Our two sides (own.h). Both hash the key within the call, as every peer does.
 */
#include "bench/l1/own.h"

#include <stdlib.h>

#include "bench/l1/floor.h"
#include "core/clock.h"
#include "l1/l1.h"
#include "strata/status.h"

#define NOW_MS      1u
#define ENTRY_BYTES 256u /* more than an entry takes */
#define BYTES_LEAST (UINT64_C(64) << 20)

/* Read anew with each key: it is the same for all, and no compiler may know it. */
static const volatile uint64_t seed = 42;

/* ---- the floor ---- */

static void *floor_create(uint64_t capacity)
{
    struct floor *floor = calloc(1, sizeof *floor);
    if (floor != NULL && floor_init(floor, (uint32_t)capacity))
        return floor;
    if (floor != NULL)
        floor_fini(floor);
    free(floor);
    return NULL;
}

static void floor_destroy(void *cache)
{
    floor_fini(cache);
    free(cache);
}

static int floor_get_key(void *cache, const void *key, size_t key_len, void *out)
{
    struct sta_key hashed = sta_key_make(strata_bytes(key, key_len), seed);
    return floor_get(cache, &hashed, out);
}

static void floor_set(void *cache, const void *key, size_t key_len, const void *value,
                      size_t value_len)
{
    struct sta_key hashed = sta_key_make(strata_bytes(key, key_len), seed);
    floor_add(cache, &hashed, strata_bytes(value, value_len));
}

const struct peer own_floor = {.name = "floor",
                               .flags = PEER_THREADS,
                               .create = floor_create,
                               .get = floor_get_key,
                               .set = floor_set,
                               .destroy = floor_destroy};

/* ---- the first tier ---- */

static void *strata_create(uint64_t capacity)
{
    struct sta_l1 *l1 = NULL;
    uint64_t bytes = capacity * ENTRY_BYTES;
    struct sta_l1_config config = {.max_bytes = bytes > BYTES_LEAST ? bytes : BYTES_LEAST,
                                   .max_entries = capacity,
                                   .hash_seed = seed};
    return sta_l1_create(&l1, &config) == STRATA_OK ? l1 : NULL;
}

static void strata_destroy(void *cache)
{
    struct sta_l1 *l1 = cache;
    sta_l1_destroy(&l1);
}

static int strata_get_key(void *cache, const void *key, size_t key_len, void *out)
{
    struct sta_key hashed = sta_key_make(strata_bytes(key, key_len), seed);
    struct sta_l1_copy copy = {.buffer = out, .cap = PEER_VALUE_MOST};
    return sta_l1_copy(cache, &hashed, NOW_MS, &copy) == STRATA_OK ? (int)copy.len : -1;
}

static void strata_set_key(void *cache, const void *key, size_t key_len, const void *value,
                           size_t value_len)
{
    struct sta_key hashed = sta_key_make(strata_bytes(key, key_len), seed);
    struct sta_l1_entry entry = {.value = strata_bytes(value, value_len), .deadline_ms = STA_NEVER};
    sta_l1_set(cache, &hashed, &entry, NOW_MS);
}

const struct peer own_strata = {.name = "strata",
                                .flags = PEER_THREADS | PEER_EVICTS,
                                .create = strata_create,
                                .get = strata_get_key,
                                .set = strata_set_key,
                                .destroy = strata_destroy};

uint32_t own_strata_get_batch(void *cache, const struct request *requests, void *out)
{
    struct sta_key keys[OWN_BATCH];
    uint32_t hits = 0;
    for (uint32_t i = 0; i < OWN_BATCH; i++)
        keys[i] = sta_key_make(strata_bytes(requests[i].key, requests[i].len), seed);
    sta_l1_prefetch(cache, keys, OWN_BATCH);
    for (uint32_t i = 0; i < OWN_BATCH; i++) {
        struct sta_l1_copy copy = {.buffer = out, .cap = PEER_VALUE_MOST};
        hits += sta_l1_copy(cache, &keys[i], NOW_MS, &copy) == STRATA_OK;
    }
    return hits;
}

int own_strata_lease(void *cache, const void *key, size_t key_len)
{
    struct sta_key hashed = sta_key_make(strata_bytes(key, key_len), seed);
    struct sta_l1_lease lease;
    if (sta_l1_get(cache, &hashed, NOW_MS, &lease) != STRATA_OK)
        return -1;
    int len = (int)lease.value.len;
    sta_l1_release(cache, &lease);
    return len;
}

void own_strata_fill(void *cache, const void *key, size_t key_len, const void *value,
                     size_t value_len)
{
    struct sta_key hashed = sta_key_make(strata_bytes(key, key_len), seed);
    struct sta_l1_entry entry = {.value = strata_bytes(value, value_len), .deadline_ms = STA_NEVER};
    sta_l1_fill(cache, &hashed, &entry, sta_l1_token(cache, &hashed), NOW_MS);
}

uint64_t own_strata_accounted(void *cache)
{
    struct sta_l1_statistics numbers;
    sta_l1_statistics(cache, &numbers);
    return numbers.memory_bytes;
}

int own_strata_resize(void *cache, uint64_t max_bytes)
{
    return sta_l1_resize(cache, max_bytes, 0);
}
