/* SPDX-License-Identifier: MIT
 *
 * For tests of the tier: small calls with texts for keys and values, and numbered keys with values
 * that describe themselves. The clock stands at RIG_NOW where it is not given.
 */
#ifndef TEST_TIER_RIG_H
#define TEST_TIER_RIG_H

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l1/l1.h"
#include "strata/status.h"

#define RIG_NOW UINT64_C(1000000)

/* Runs of many threads, and of many stores, are shorter by this: the thread sanitizer is slow, and
 * needs no long ones. */
#ifdef __SANITIZE_THREAD__
#define RIG_SHORTER 10
#else
#define RIG_SHORTER 1
#endif

static inline struct sta_l1 *rig_create(struct sta_l1_config config)
{
    struct sta_l1 *l1 = NULL;
    if (config.hash_seed == 0)
        config.hash_seed = 7;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    return l1;
}

/* Valid to the end. */
static inline void rig_destroy(struct sta_l1 *l1)
{
    assert_true(sta_l1_valid(l1));
    sta_l1_destroy(&l1);
}

static inline struct sta_l1_statistics rig_numbers(const struct sta_l1 *l1)
{
    struct sta_l1_statistics now;
    sta_l1_statistics(l1, &now);
    return now;
}

static inline int rig_set_until(struct sta_l1 *l1, const char *key, const char *value,
                                uint64_t deadline_ms)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_entry entry = {.value = strata_text(value), .deadline_ms = deadline_ms};
    return sta_l1_set(l1, &k, &entry, RIG_NOW);
}

static inline int rig_set(struct sta_l1 *l1, const char *key, const char *value)
{
    return rig_set_until(l1, key, value, STA_NEVER);
}

static inline int rig_set_len(struct sta_l1 *l1, const char *key, size_t len)
{
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    memset(bytes, 'x', len);
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_entry entry = {.value = strata_bytes(bytes, len), .deadline_ms = STA_NEVER};
    int status = sta_l1_set(l1, &k, &entry, RIG_NOW);
    free(bytes);
    return status;
}

/* Whether a get hits, or a peek. */
static inline bool rig_has_at(struct sta_l1 *l1, const char *key, uint64_t now_ms)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_lease lease = {0};
    bool hit = sta_l1_get(l1, &k, now_ms, &lease) == STRATA_OK;
    sta_l1_release(l1, &lease);
    return hit;
}

static inline bool rig_has(struct sta_l1 *l1, const char *key)
{
    return rig_has_at(l1, key, RIG_NOW);
}

static inline bool rig_copies(struct sta_l1 *l1, const char *key)
{
    char buffer[64];
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_copy copy = {.buffer = buffer, .cap = sizeof buffer};
    return sta_l1_copy(l1, &k, RIG_NOW, &copy) == STRATA_OK;
}

enum rig_peek { RIG_NONE, RIG_FINE, RIG_SUSPECT };

static inline enum rig_peek rig_peek_at(struct sta_l1 *l1, const char *key, uint64_t now_ms)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_lease lease = {0};
    if (sta_l1_peek(l1, &k, now_ms, &lease) != STRATA_OK)
        return RIG_NONE;
    bool suspect = lease.suspect;
    sta_l1_release(l1, &lease);
    return suspect ? RIG_SUSPECT : RIG_FINE;
}

static inline enum rig_peek rig_peek(struct sta_l1 *l1, const char *key)
{
    return rig_peek_at(l1, key, RIG_NOW);
}

static inline void rig_invalidate(struct sta_l1 *l1, const char *key)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    sta_l1_invalidate(l1, &k, RIG_NOW, NULL);
}

static inline int rig_set_deadline(struct sta_l1 *l1, const char *key, uint64_t deadline_ms,
                                   uint64_t now_ms)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    return sta_l1_set_deadline(l1, &k, deadline_ms, now_ms);
}

/* ---- values that describe themselves ---- */

struct rig_value {
    uint64_t key;
    uint64_t version;
    uint64_t len;
    uint64_t sum;
};

static inline void rig_value_make(uint8_t *bytes, uint64_t key, uint64_t version, uint64_t len)
{
    struct rig_value head = {key, version, len, key ^ version ^ len};
    memcpy(bytes, &head, sizeof head);
    memset(bytes + sizeof head, (int)(version & 0xff), len - sizeof head);
}

/* False where it is torn, or another key's. */
static inline bool rig_value_read(struct strata_bytes bytes, uint64_t key, uint64_t *version)
{
    struct rig_value head;
    if (bytes.len < sizeof head)
        return false;
    memcpy(&head, bytes.data, sizeof head);
    if (head.key != key || head.len != bytes.len || head.sum != (key ^ head.version ^ head.len))
        return false;
    const uint8_t *body = bytes.data;
    for (size_t i = sizeof head; i < bytes.len; i++) {
        if (body[i] != (uint8_t)head.version)
            return false;
    }
    *version = head.version;
    return true;
}

#endif
