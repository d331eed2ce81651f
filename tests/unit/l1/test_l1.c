/* SPDX-License-Identifier: MIT
 *
 * The tier's promises, one by one (l1/l1.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "l1/l1.h"
#include "strata/status.h"

#define NOW UINT64_C(1000000)

static struct sta_l1 *tier(uint64_t max_bytes, uint64_t max_entries)
{
    struct sta_l1 *l1 = NULL;
    struct sta_l1_config config = {
        .max_bytes = max_bytes, .max_entries = max_entries, .hash_seed = 7};
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    assert_non_null(l1);
    return l1;
}

static struct sta_key key_of(const struct sta_l1 *l1, const char *text)
{
    return sta_l1_key(l1, strata_text(text));
}

static struct sta_l1_entry entry_of(const char *text)
{
    return (struct sta_l1_entry){.value = strata_text(text), .deadline_ms = STA_NEVER};
}

static int set_text(struct sta_l1 *l1, const char *key, const char *value, uint64_t deadline_ms)
{
    struct sta_key k = key_of(l1, key);
    struct sta_l1_entry entry = entry_of(value);
    entry.deadline_ms = deadline_ms;
    return sta_l1_set(l1, &k, &entry, NOW);
}

static int fill_text(struct sta_l1 *l1, const char *key, const char *value,
                     struct sta_l1_token token)
{
    struct sta_key k = key_of(l1, key);
    struct sta_l1_entry entry = entry_of(value);
    return sta_l1_fill(l1, &k, &entry, token, NOW);
}

static bool has_at(struct sta_l1 *l1, const char *key, const char *value, uint64_t now_ms)
{
    struct sta_key k = key_of(l1, key);
    struct sta_l1_lease lease = {0};
    if (sta_l1_get(l1, &k, now_ms, &lease) != STRATA_OK) {
        assert_null(lease.pin);
        return false;
    }
    bool same =
        lease.value.len == strlen(value) && memcmp(lease.value.data, value, lease.value.len) == 0;
    sta_l1_release(l1, &lease);
    assert_null(lease.pin);
    assert_true(same);
    return same;
}

static bool has(struct sta_l1 *l1, const char *key, const char *value)
{
    return has_at(l1, key, value, NOW);
}

static struct sta_l1_token token_of(struct sta_l1 *l1, const char *key)
{
    struct sta_key k = key_of(l1, key);
    return sta_l1_token(l1, &k);
}

static struct sta_l1_token invalidate(struct sta_l1 *l1, const char *key)
{
    struct sta_key k = key_of(l1, key);
    return sta_l1_invalidate(l1, &k, NOW, NULL);
}

static struct sta_l1_statistics numbers(const struct sta_l1 *l1)
{
    struct sta_l1_statistics now;
    sta_l1_statistics(l1, &now);
    return now;
}

static void done(struct sta_l1 *l1)
{
    assert_true(sta_l1_valid(l1));
    sta_l1_destroy(&l1);
    assert_null(l1);
}

static void creation_refuses_a_bound_of_no_bytes(void **state)
{
    (void)state;
    struct sta_l1 *l1 = NULL;
    struct sta_l1_config config = {.max_bytes = 0};
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_ERR_INVALID);
    assert_null(l1);
    sta_l1_destroy(&l1);
    sta_l1_destroy(NULL);
}

static void a_tier_may_be_as_good_as_unbounded(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(UINT64_MAX, UINT64_MAX);
    assert_int_equal(set_text(l1, "k", "v", STA_NEVER), STRATA_OK);
    assert_true(has(l1, "k", "v"));
    assert_int_equal(sta_l1_resize(l1, UINT64_MAX, 1), STRATA_OK);
    assert_true(has(l1, "k", "v"));
    done(l1);
}

static void what_was_set_is_there_with_its_flags_and_deadline(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key key = key_of(l1, "k");
    struct sta_l1_entry entry = {
        .value = strata_text("value"), .deadline_ms = NOW + 5, .flags = 0xa5};
    assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_OK);
    struct sta_l1_lease lease = {0};
    assert_int_equal(sta_l1_get(l1, &key, NOW, &lease), STRATA_OK);
    assert_int_equal(lease.value.len, 5);
    assert_memory_equal(lease.value.data, "value", 5);
    assert_int_equal(lease.deadline_ms, NOW + 5);
    assert_int_equal(lease.flags, 0xa5);
    sta_l1_release(l1, &lease);
    assert_false(has(l1, "other", ""));
    done(l1);
}

static void keys_and_values_may_be_empty_or_hold_any_byte(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    uint8_t bytes[256];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct sta_key key = sta_l1_key(l1, strata_bytes(bytes, len));
        struct sta_l1_entry entry = {.value = strata_bytes(bytes + len, sizeof bytes - len),
                                     .deadline_ms = STA_NEVER};
        assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_OK);
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct sta_key key = sta_l1_key(l1, strata_bytes(bytes, len));
        struct sta_l1_lease lease = {0};
        assert_int_equal(sta_l1_get(l1, &key, NOW, &lease), STRATA_OK);
        assert_int_equal(lease.value.len, sizeof bytes - len);
        if (lease.value.len > 0)
            assert_memory_equal(lease.value.data, bytes + len, lease.value.len);
        sta_l1_release(l1, &lease);
    }
    done(l1);
}

static void the_longest_key_is_taken_and_a_longer_one_is_not(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(8 << 20, 0);
    char *bytes = calloc(1, STA_KEY_MAX + 1);
    struct sta_key key = sta_l1_key(l1, strata_bytes(bytes, STA_KEY_MAX));
    struct sta_key longer = sta_l1_key(l1, strata_bytes(bytes, STA_KEY_MAX + 1));
    struct sta_l1_entry entry = entry_of("v");
    struct sta_l1_lease lease = {0};
    assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_OK);
    assert_int_equal(sta_l1_set(l1, &longer, &entry, NOW), STRATA_SKIPPED);
    assert_int_equal(sta_l1_get(l1, &key, NOW, &lease), STRATA_OK);
    sta_l1_release(l1, &lease);
    assert_int_equal(sta_l1_get(l1, &longer, NOW, &lease), STRATA_MISS);
    free(bytes);
    done(l1);
}

static void a_value_is_replaced_whole(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    set_text(l1, "k", "a longer first value", STA_NEVER);
    set_text(l1, "k", "second", STA_NEVER);
    assert_true(has(l1, "k", "second"));
    assert_int_equal(numbers(l1).entries, 1);
    done(l1);
}

static void an_entry_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    set_text(l1, "k", "v", NOW + 10);
    assert_true(has_at(l1, "k", "v", NOW + 9));
    assert_false(has_at(l1, "k", "v", NOW + 10));
    assert_int_equal(numbers(l1).expirations, 1);
    assert_int_equal(numbers(l1).misses_expired, 1);
    assert_int_equal(numbers(l1).entries, 0);
    set_text(l1, "never", "v", STA_NEVER);
    assert_true(has_at(l1, "never", "v", STA_NEVER - 1));
    done(l1);
}

static void what_is_past_its_deadline_is_not_stored(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key key = key_of(l1, "k");
    struct sta_l1_entry entry = entry_of("new");
    entry.deadline_ms = NOW;
    assert_int_equal(set_text(l1, "k", "old", STA_NEVER), STRATA_OK);
    assert_int_equal(sta_l1_fill(l1, &key, &entry, sta_l1_token(l1, &key), NOW), STRATA_SKIPPED);
    assert_true(has(l1, "k", "old"));
    assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_SKIPPED);
    assert_false(has(l1, "k", "old"));
    done(l1);
}

static void a_fill_with_a_current_token_is_stored(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_l1_token token = token_of(l1, "k");
    assert_int_equal(fill_text(l1, "k", "v", token), STRATA_OK);
    assert_int_equal(fill_text(l1, "k", "w", token), STRATA_OK);
    assert_true(has(l1, "k", "w"));
    done(l1);
}

static void a_fill_that_an_invalidation_overtook_is_refused(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_l1_token token = token_of(l1, "k");
    invalidate(l1, "k");
    assert_int_equal(fill_text(l1, "k", "stale", token), STRATA_SKIPPED);
    assert_false(has(l1, "k", "stale"));
    assert_int_equal(numbers(l1).fills_refused, 1);
    assert_int_equal(fill_text(l1, "k", "fresh", token_of(l1, "k")), STRATA_OK);
    assert_true(has(l1, "k", "fresh"));
    done(l1);
}

static void invalidation_says_whether_there_was_a_live_entry(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key key = key_of(l1, "k");
    bool removed = true;
    sta_l1_invalidate(l1, &key, NOW, &removed);
    assert_false(removed);
    set_text(l1, "k", "v", NOW + 5);
    struct sta_l1_token token = sta_l1_invalidate(l1, &key, NOW, &removed);
    assert_true(removed);
    assert_int_equal(token.generation, sta_l1_token(l1, &key).generation);
    set_text(l1, "k", "v", NOW + 5);
    sta_l1_invalidate(l1, &key, NOW + 5, &removed);
    assert_false(removed);
    assert_int_equal(numbers(l1).invalidations, 3);
    assert_int_equal(numbers(l1).entries, 0);
    done(l1);
}

static void a_published_write_is_there_and_reads_that_began_before_it_are_refused(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key key = key_of(l1, "k");
    struct sta_l1_entry entry = entry_of("written");
    struct sta_l1_token token = invalidate(l1, "k");
    struct sta_l1_token during = token_of(l1, "k");
    assert_int_equal(sta_l1_publish(l1, &key, &entry, token, NOW), STRATA_OK);
    assert_true(has(l1, "k", "written"));
    assert_int_equal(fill_text(l1, "k", "stale", during), STRATA_SKIPPED);
    assert_int_equal(fill_text(l1, "k", "stale", token), STRATA_SKIPPED);
    assert_true(has(l1, "k", "written"));
    done(l1);
}

static void an_overtaken_publish_leaves_nothing_and_still_advances(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key key = key_of(l1, "k");
    struct sta_l1_entry entry = entry_of("written");
    struct sta_l1_token token = invalidate(l1, "k");
    invalidate(l1, "k"); /* somebody else's */
    struct sta_l1_token read = token_of(l1, "k");
    assert_int_equal(fill_text(l1, "k", "read", read), STRATA_OK);
    assert_int_equal(sta_l1_publish(l1, &key, &entry, token, NOW), STRATA_SKIPPED);
    assert_false(has(l1, "k", ""));
    assert_int_equal(fill_text(l1, "k", "read", read), STRATA_SKIPPED);
    done(l1);
}

static int deliver_text(struct sta_l1 *l1, const char *key, const char *value,
                        struct sta_l1_token token)
{
    struct sta_key k = key_of(l1, key);
    struct sta_l1_entry entry = entry_of(value);
    return sta_l1_deliver(l1, &k, &entry, token, NOW);
}

static void a_delivered_read_is_there_and_refuses_those_that_began_before_it(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_l1_token token = token_of(l1, "k");
    assert_int_equal(deliver_text(l1, "k", "new", token), STRATA_OK);
    assert_true(has(l1, "k", "new"));
    assert_int_equal(fill_text(l1, "k", "old", token), STRATA_SKIPPED);
    assert_true(has(l1, "k", "new"));
    done(l1);
}

static void an_overtaken_delivery_removes_what_differs_and_refuses_what_began_before_it(
    void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(16 << 20, 0);
    static char large[200000];
    memset(large, 'x', sizeof large - 1);
    const char *const others[] = {"old", "neW", "", large};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct sta_l1_token before = token_of(l1, "k");
        set_text(l1, "k", others[i], STA_NEVER);
        struct sta_l1_token between = token_of(l1, "k");
        assert_int_equal(deliver_text(l1, "k", "new", before), STRATA_SKIPPED);
        assert_false(has(l1, "k", "new"));
        assert_int_equal(fill_text(l1, "k", "old", between), STRATA_SKIPPED);
    }
    done(l1);
}

/* Else many who read one key at a time would empty it for each other. */
static void an_overtaken_delivery_leaves_its_equal_and_refuses_what_began_before_it(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(16 << 20, 0);
    static char large[200000];
    memset(large, 'x', sizeof large - 1);
    const char *const values[] = {"same", "", large};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct sta_l1_token before = token_of(l1, "k");
        assert_int_equal(deliver_text(l1, "k", values[i], before), STRATA_OK);
        struct sta_l1_token between = token_of(l1, "k");
        assert_int_equal(deliver_text(l1, "k", values[i], before), STRATA_SKIPPED);
        assert_true(has(l1, "k", values[i]));
        assert_int_equal(fill_text(l1, "k", "old", between), STRATA_SKIPPED);
        assert_true(has(l1, "k", values[i]));
    }
    done(l1);
}

static void a_set_refuses_the_reads_that_began_before_it(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_l1_token before = token_of(l1, "k");
    set_text(l1, "k", "set", STA_NEVER);
    assert_int_equal(fill_text(l1, "k", "stale", before), STRATA_SKIPPED);
    assert_true(has(l1, "k", "set"));
    done(l1);
}

static void a_clear_removes_everything_and_refuses_every_earlier_token(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(16 << 20, 0);
    struct sta_l1_token tokens[500];
    char name[16];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "v", STA_NEVER);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "k%d", i);
        tokens[i] = token_of(l1, name);
    }
    sta_l1_clear(l1);
    assert_int_equal(numbers(l1).entries, 0);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_false(has(l1, name, "v"));
        assert_int_equal(fill_text(l1, name, "v", tokens[i]), STRATA_SKIPPED);
        assert_int_equal(fill_text(l1, name, "w", token_of(l1, name)), STRATA_OK);
        assert_true(has(l1, name, "w"));
    }
    done(l1);
}

static void a_lease_outlives_replacement_eviction_and_clear(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 100);
    struct sta_l1_lease lease[3] = {0};
    struct sta_key key = key_of(l1, "leased");
    set_text(l1, "leased", "first", STA_NEVER);
    assert_int_equal(sta_l1_get(l1, &key, NOW, &lease[0]), STRATA_OK);
    set_text(l1, "leased", "second", STA_NEVER);
    assert_int_equal(sta_l1_get(l1, &key, NOW, &lease[1]), STRATA_OK);
    char name[16];
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "some other value, to walk through all memory", STA_NEVER);
    }
    assert_int_equal(sta_l1_resize(l1, 1 << 20, 1), STRATA_OK); /* however often it was read */
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "v", STA_NEVER);
    }
    assert_int_equal(sta_l1_get(l1, &key, NOW, &lease[2]), STRATA_MISS);
    assert_int_equal(sta_l1_resize(l1, 1 << 20, 100), STRATA_OK);
    set_text(l1, "leased", "third", STA_NEVER);
    assert_int_equal(sta_l1_get(l1, &key, NOW, &lease[2]), STRATA_OK);
    sta_l1_clear(l1);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "again some value, to walk through all memory", STA_NEVER);
    }
    assert_memory_equal(lease[0].value.data, "first", 5);
    assert_memory_equal(lease[1].value.data, "second", 6);
    assert_memory_equal(lease[2].value.data, "third", 5);
    assert_true(sta_l1_valid(l1));
    for (int i = 0; i < 3; i++)
        sta_l1_release(l1, &lease[i]);
    sta_l1_release(l1, &lease[0]); /* a zeroed one is fine */
    done(l1);
}

static void the_bound_of_entries_is_exact(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 7, 100, 1000, 5000};
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        struct sta_l1 *l1 = tier(64 << 20, bounds[b]);
        char name[16];
        for (uint64_t i = 0; i < 3 * bounds[b]; i++) {
            snprintf(name, sizeof name, "k%d", (int)i);
            assert_int_equal(set_text(l1, name, "v", STA_NEVER), STRATA_OK);
            assert_true(has(l1, name, "v"));
            uint64_t want = i + 1 < bounds[b] ? i + 1 : bounds[b];
            assert_int_equal(numbers(l1).entries, want);
        }
        assert_int_equal(numbers(l1).evictions, 2 * bounds[b]);
        done(l1);
    }
}

static void the_bound_of_bytes_holds_after_every_store(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 100, 1000, 4096, 65536, 1000003, 6 << 20};
    static char value[3000];
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        struct sta_l1 *l1 = tier(bounds[b], 0);
        char name[16];
        for (int i = 0; i < 10000; i++) {
            snprintf(name, sizeof name, "k%d", i);
            struct sta_key key = key_of(l1, name);
            struct sta_l1_entry entry = {
                .value = strata_bytes(value, (size_t)(i * 7919) % sizeof value),
                .deadline_ms = STA_NEVER,
            };
            int status = sta_l1_set(l1, &key, &entry, NOW);
            assert_true(status == STRATA_OK || status == STRATA_SKIPPED);
            struct sta_l1_statistics now = numbers(l1);
            assert_true(now.entries == 0 || now.memory_bytes <= bounds[b]);
        }
        if (bounds[b] >= 65536)
            assert_true(numbers(l1).memory_bytes > bounds[b] / 2); /* it is used, too */
        done(l1);
    }
}

static void what_is_larger_than_the_tier_is_skipped_and_counted(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key key = key_of(l1, "k");
    char *bytes = calloc(1, 2 << 20);
    struct sta_l1_entry entry = {.value = strata_bytes(bytes, 2 << 20), .deadline_ms = STA_NEVER};
    set_text(l1, "k", "old", STA_NEVER);
    set_text(l1, "other", "stays", STA_NEVER);
    assert_int_equal(sta_l1_fill(l1, &key, &entry, sta_l1_token(l1, &key), NOW), STRATA_SKIPPED);
    assert_true(has(l1, "k", "old"));
    assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_SKIPPED);
    assert_false(has(l1, "k", "old"));
    assert_true(has(l1, "other", "stays"));
    assert_int_equal(numbers(l1).fills_too_big, 2);
    free(bytes);
    done(l1);
}

static void what_is_read_often_survives_a_stream_of_new_keys(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(8 << 20, 1000);
    char name[16];
    int kept = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "hot%d", i);
        set_text(l1, name, "v", STA_NEVER);
    }
    for (int i = 0; i < 50000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "v", STA_NEVER);
        snprintf(name, sizeof name, "hot%d", i % 100);
        has(l1, name, "v");
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "hot%d", i);
        kept += has(l1, name, "v");
    }
    assert_true(kept >= 95);
    done(l1);
}

static void a_sweep_removes_what_has_expired_within_its_budget(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(8 << 20, 0);
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "v", i % 2 == 0 ? NOW + 10 : NOW + 1000);
    }
    assert_int_equal(sta_l1_sweep(l1, NOW + 9, UINT64_MAX), 0);
    assert_int_equal(sta_l1_sweep(l1, NOW + 10, 0), 0);
    uint64_t removed = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t now_removed = sta_l1_sweep(l1, NOW + 10, 10);
        assert_true(now_removed <= 10);
        removed += now_removed;
    }
    assert_int_equal(removed, 500);
    assert_int_equal(numbers(l1).entries, 500);
    assert_int_equal(numbers(l1).expirations, 500);
    assert_int_equal(sta_l1_sweep(l1, NOW + 1000, UINT64_MAX), 500);
    assert_int_equal(numbers(l1).entries, 0);
    done(l1);
}

static void a_resize_evicts_down_at_once_and_lets_grow_again(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(8 << 20, 0);
    char name[16];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "v", STA_NEVER);
    }
    assert_int_equal(numbers(l1).entries, 10000);
    assert_int_equal(sta_l1_resize(l1, 0, 5), STRATA_ERR_INVALID);
    assert_int_equal(sta_l1_resize(l1, 8 << 20, 100), STRATA_OK);
    assert_int_equal(numbers(l1).entries, 100);
    assert_int_equal(numbers(l1).max_entries, 100);
    assert_true(sta_l1_valid(l1));
    assert_int_equal(sta_l1_resize(l1, 100000, 0), STRATA_OK);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "v", STA_NEVER);
        assert_true(numbers(l1).memory_bytes <= 100000);
    }
    assert_true(sta_l1_valid(l1));
    assert_int_equal(sta_l1_resize(l1, 16 << 20, 0), STRATA_OK);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, "v", STA_NEVER);
    }
    assert_int_equal(numbers(l1).entries, 20000);
    assert_true(has(l1, "k0", "v"));
    assert_true(sta_l1_valid(l1));
    for (uint64_t bytes = 16 << 20; bytes > 0; bytes /= 3) {
        assert_int_equal(sta_l1_resize(l1, bytes, 0), STRATA_OK);
        assert_true(numbers(l1).entries == 0 || numbers(l1).memory_bytes <= bytes);
        assert_true(sta_l1_valid(l1));
    }
    done(l1);
}

static void the_numbers_tell_what_happened(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 50);
    set_text(l1, "k", "v", STA_NEVER);
    has(l1, "k", "v");
    has(l1, "k", "v");
    has(l1, "nothing", "");
    invalidate(l1, "k");
    has(l1, "k", "v");
    struct sta_l1_statistics now = numbers(l1);
    assert_int_equal(now.hits, 2);
    assert_int_equal(now.misses, 2);
    assert_int_equal(now.misses_expired, 0);
    assert_int_equal(now.fills, 1);
    assert_int_equal(now.fills_refused, 0);
    assert_int_equal(now.evictions, 0);
    assert_int_equal(now.invalidations, 1);
    assert_int_equal(now.entries, 0);
    assert_int_equal(now.max_bytes, 1 << 20);
    assert_int_equal(now.max_entries, 50);
    done(l1);
}

static void a_copy_answers_like_a_lease_and_says_the_whole_length(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key key = key_of(l1, "k");
    struct sta_l1_entry entry = {
        .value = strata_text("0123456789"), .deadline_ms = NOW + 5, .flags = 9};
    char buffer[16] = "................";
    struct sta_l1_copy copy = {.buffer = buffer, .cap = sizeof buffer, .len = 99};
    assert_int_equal(sta_l1_copy(l1, &key, NOW, &copy), STRATA_MISS);
    assert_int_equal(copy.len, 99);
    sta_l1_set(l1, &key, &entry, NOW);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(sta_l1_copy(l1, &key, NOW, &copy), STRATA_OK);
        assert_int_equal(copy.len, 10);
        assert_int_equal(copy.deadline_ms, NOW + 5);
        assert_int_equal(copy.flags, 9);
        assert_memory_equal(buffer, "0123456789......", 16);
    }
    copy.cap = 3;
    memset(buffer, '.', sizeof buffer);
    assert_int_equal(sta_l1_copy(l1, &key, NOW, &copy), STRATA_OK);
    assert_int_equal(copy.len, 10);
    assert_memory_equal(buffer, "012.............", 16);
    assert_int_equal(numbers(l1).hits, 0); /* with flags: it is the caller's to say what it was */
    assert_int_equal(numbers(l1).misses, 1);
    sta_l1_count(l1, STA_L1_hits);
    sta_l1_count(l1, STA_L1_misses_suspect);
    assert_int_equal(numbers(l1).hits, 1);
    assert_int_equal(numbers(l1).misses_suspect, 1);
    assert_int_equal(numbers(l1).misses, 2);
    assert_int_equal(sta_l1_copy(l1, &key, NOW + 5, &copy), STRATA_MISS);
    assert_int_equal(numbers(l1).misses_expired, 1);
    assert_int_equal(numbers(l1).entries, 0);
    done(l1);
}

static void large_values_are_kept_and_leased_and_copied(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(16 << 20, 0);
    uint8_t *bytes = malloc(3 << 20);
    uint8_t *copied = malloc(3 << 20);
    static const size_t sizes[] = {10000, 40000, 65535, 70000, 300000, 3 << 20};
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct sta_key key = sta_l1_key(l1, strata_bytes(&i, sizeof i));
            memset(bytes, (int)i + round, sizes[i]);
            struct sta_l1_entry entry = {.value = strata_bytes(bytes, sizes[i]),
                                         .deadline_ms = STA_NEVER};
            struct sta_l1_lease lease = {0};
            struct sta_l1_copy copy = {.buffer = copied, .cap = sizes[i]};
            assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_OK);
            assert_int_equal(sta_l1_get(l1, &key, NOW, &lease), STRATA_OK);
            assert_int_equal(sta_l1_copy(l1, &key, NOW, &copy), STRATA_OK);
            sta_l1_invalidate(l1, &key, NOW, NULL);
            assert_int_equal(lease.value.len, sizes[i]);
            assert_memory_equal(lease.value.data, bytes, sizes[i]);
            assert_int_equal(copy.len, sizes[i]);
            assert_memory_equal(copied, bytes, sizes[i]);
            sta_l1_release(l1, &lease);
            sta_l1_set(l1, &key, &entry, NOW);
            assert_true(numbers(l1).memory_bytes <= 16 << 20);
        }
        assert_true(sta_l1_valid(l1));
    }
    free(bytes);
    free(copied);
    done(l1);
}

/* More than there are pins of a thread, or of all threads. */
static void any_number_of_leases_can_be_held(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct sta_l1 *l1 = tier(8 << 20, 0);
    static struct sta_l1_lease leases[COUNT];
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set_text(l1, name, name, STA_NEVER);
        struct sta_key key = key_of(l1, name);
        assert_int_equal(sta_l1_get(l1, &key, NOW, &leases[i]), STRATA_OK);
    }
    sta_l1_clear(l1);
    assert_true(numbers(l1).held_bytes > 0);
    assert_true(numbers(l1).held_bytes < 1 << 20); /* the leases' segments, not the tier */
    while (numbers(l1).held_ms == 0) {
        /* a millisecond passes */
    }
    for (int i = 0; i < 100000; i++) {
        char other[16];
        snprintf(other, sizeof other, "o%d", i);
        assert_int_equal(set_text(l1, other, "a value that writes over what is free", STA_NEVER),
                         STRATA_OK);
    }
    assert_true(sta_l1_valid(l1));
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(leases[i].value.len, strlen(name));
        assert_memory_equal(leases[i].value.data, name, strlen(name));
        sta_l1_release(l1, &leases[i]);
    }
    assert_int_equal(numbers(l1).hits, COUNT);
    assert_int_equal(numbers(l1).held_ms, 0); /* though they are not used again yet */
    assert_true(numbers(l1).held_bytes > 0);
    for (int i = 0; i < 200000 && numbers(l1).held_bytes > 0; i++) {
        snprintf(name, sizeof name, "n%d", i);
        set_text(l1, name, "a value that writes over what was held", STA_NEVER);
    }
    assert_int_equal(numbers(l1).held_bytes, 0);
    done(l1);
}

static void a_prefetch_changes_nothing(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier(1 << 20, 0);
    struct sta_key keys[100];
    for (int i = 0; i < 100; i++)
        keys[i] = key_of(l1, i % 2 == 0 ? "k" : "nothing");
    set_text(l1, "k", "v", STA_NEVER);
    struct sta_l1_statistics before = numbers(l1);
    sta_l1_prefetch(l1, keys, 0);
    sta_l1_prefetch(l1, keys, 100);
    struct sta_l1_statistics after = numbers(l1);
    assert_memory_equal(&before, &after, sizeof before);
    done(l1);
}

static void two_tiers_share_nothing(void **state)
{
    (void)state;
    struct sta_l1 *one = tier(1 << 20, 0);
    struct sta_l1 *two = tier(1 << 20, 0);
    struct sta_l1_token token = token_of(two, "k");
    set_text(one, "k", "v", STA_NEVER);
    assert_false(has(two, "k", "v"));
    assert_int_equal(fill_text(two, "k", "w", token), STRATA_OK);
    sta_l1_clear(one);
    assert_true(has(two, "k", "w"));
    assert_int_equal(numbers(one).misses, 0);
    done(one);
    done(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_refuses_a_bound_of_no_bytes),
        cmocka_unit_test(a_tier_may_be_as_good_as_unbounded),
        cmocka_unit_test(what_was_set_is_there_with_its_flags_and_deadline),
        cmocka_unit_test(keys_and_values_may_be_empty_or_hold_any_byte),
        cmocka_unit_test(the_longest_key_is_taken_and_a_longer_one_is_not),
        cmocka_unit_test(a_value_is_replaced_whole),
        cmocka_unit_test(an_entry_ends_at_its_deadline_and_not_before),
        cmocka_unit_test(what_is_past_its_deadline_is_not_stored),
        cmocka_unit_test(a_fill_with_a_current_token_is_stored),
        cmocka_unit_test(a_fill_that_an_invalidation_overtook_is_refused),
        cmocka_unit_test(invalidation_says_whether_there_was_a_live_entry),
        cmocka_unit_test(a_published_write_is_there_and_reads_that_began_before_it_are_refused),
        cmocka_unit_test(an_overtaken_publish_leaves_nothing_and_still_advances),
        cmocka_unit_test(a_delivered_read_is_there_and_refuses_those_that_began_before_it),
        cmocka_unit_test(
            an_overtaken_delivery_removes_what_differs_and_refuses_what_began_before_it),
        cmocka_unit_test(an_overtaken_delivery_leaves_its_equal_and_refuses_what_began_before_it),
        cmocka_unit_test(a_set_refuses_the_reads_that_began_before_it),
        cmocka_unit_test(a_clear_removes_everything_and_refuses_every_earlier_token),
        cmocka_unit_test(a_lease_outlives_replacement_eviction_and_clear),
        cmocka_unit_test(the_bound_of_entries_is_exact),
        cmocka_unit_test(the_bound_of_bytes_holds_after_every_store),
        cmocka_unit_test(what_is_larger_than_the_tier_is_skipped_and_counted),
        cmocka_unit_test(what_is_read_often_survives_a_stream_of_new_keys),
        cmocka_unit_test(a_sweep_removes_what_has_expired_within_its_budget),
        cmocka_unit_test(a_resize_evicts_down_at_once_and_lets_grow_again),
        cmocka_unit_test(the_numbers_tell_what_happened),
        cmocka_unit_test(a_copy_answers_like_a_lease_and_says_the_whole_length),
        cmocka_unit_test(large_values_are_kept_and_leased_and_copied),
        cmocka_unit_test(any_number_of_leases_can_be_held),
        cmocka_unit_test(a_prefetch_changes_nothing),
        cmocka_unit_test(two_tiers_share_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
