/* SPDX-License-Identifier: MIT
 *
 * The tier beside a simple reference, over hundreds of thousands of random calls. The reference
 * is one slot per key and one generation per key; where the tier has room it must answer alike,
 * where it has not it may miss, but never answer with anything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l1/l1.h"
#include "strata/status.h"

#define KEYS      400
#define VALUE_MAX 5000

#ifdef __SANITIZE_THREAD__
#define STEPS 5000 /* one thread: nothing for it to find, and it is slow here */
#else
#define STEPS 100000
#endif

struct slot {
    bool there;
    uint32_t seed; /* gives the value's bytes */
    uint32_t len;
    uint8_t flags;
    uint64_t deadline_ms;
    struct sta_l1_token token; /* some token that was read earlier */
    bool token_current;
};

struct world {
    struct sta_l1 *l1;
    struct slot slots[KEYS];
    uint64_t random;
    uint64_t now_ms;
    uint32_t next_seed;
    bool roomy; /* nothing is ever evicted */
    uint64_t max_bytes;
    uint64_t max_entries;
    uint8_t value[VALUE_MAX];
};

static uint32_t pick(struct world *world, uint32_t bound)
{
    return (uint32_t)sta_random_below(&world->random, bound);
}

static void value_make(uint8_t *bytes, uint32_t seed, uint32_t len)
{
    uint64_t state = seed;
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)sta_random_next(&state);
}

static struct sta_key key_at(struct world *world, uint32_t index, char name[32])
{
    /* lengths vary, and some keys are prefixes of others */
    int len = snprintf(name, 32, "%.*s%u", (int)(index % 20), "abcdefghijklmnopqrst", index);
    return sta_l1_key(world->l1, strata_bytes(name, (size_t)len));
}

/* Whatever advances a generation may advance that of a key that shares it; the model follows the
 * tier's token to know. */
static void tokens_follow(struct world *world)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        char name[32];
        struct sta_key key = key_at(world, i, name);
        struct slot *slot = &world->slots[i];
        slot->token_current = sta_l1_token(world->l1, &key).generation == slot->token.generation;
    }
}

static struct sta_l1_entry random_entry(struct world *world, struct slot *as)
{
    as->seed = ++world->next_seed;
    as->len = pick(world, 8) == 0 ? pick(world, VALUE_MAX) : pick(world, 150);
    as->flags = (uint8_t)pick(world, 256);
    as->deadline_ms = pick(world, 3) == 0 ? STA_NEVER : world->now_ms + pick(world, 300);
    as->there = as->deadline_ms > world->now_ms;
    value_make(world->value, as->seed, as->len);
    return (struct sta_l1_entry){
        .value = strata_bytes(world->value, as->len),
        .deadline_ms = as->deadline_ms,
        .flags = as->flags,
    };
}

static void take(struct slot *slot, const struct slot *from)
{
    slot->there = from->there;
    slot->seed = from->seed;
    slot->len = from->len;
    slot->flags = from->flags;
    slot->deadline_ms = from->deadline_ms;
}

static bool live(const struct world *world, const struct slot *slot)
{
    return slot->there && slot->deadline_ms > world->now_ms;
}

static void step_get(struct world *world, const struct sta_key *key, struct slot *slot)
{
    struct sta_l1_lease lease = {0};
    int status = sta_l1_get(world->l1, key, world->now_ms, &lease);
    if (status == STRATA_MISS) {
        assert_false(world->roomy && live(world, slot));
        return;
    }
    assert_int_equal(status, STRATA_OK);
    assert_true(live(world, slot));
    assert_int_equal(lease.value.len, slot->len);
    assert_int_equal(lease.flags, slot->flags);
    assert_int_equal(lease.deadline_ms, slot->deadline_ms);
    value_make(world->value, slot->seed, slot->len);
    assert_memory_equal(lease.value.data, world->value, slot->len);
    sta_l1_release(world->l1, &lease);
}

static void step_copy(struct world *world, const struct sta_key *key, struct slot *slot)
{
    uint8_t bytes[VALUE_MAX];
    struct sta_l1_copy copy = {.buffer = bytes, .cap = pick(world, 2) == 0 ? VALUE_MAX : 20};
    if (sta_l1_copy(world->l1, key, world->now_ms, &copy) == STRATA_MISS) {
        assert_false(world->roomy && live(world, slot));
        return;
    }
    assert_true(live(world, slot));
    assert_int_equal(copy.len, slot->len);
    assert_int_equal(copy.flags, slot->flags);
    assert_int_equal(copy.deadline_ms, slot->deadline_ms);
    value_make(world->value, slot->seed, slot->len);
    assert_memory_equal(bytes, world->value, copy.len < copy.cap ? copy.len : copy.cap);
}

static void step_fill(struct world *world, const struct sta_key *key, struct slot *slot)
{
    struct slot as;
    struct sta_l1_entry entry = random_entry(world, &as);
    int status = sta_l1_fill(world->l1, key, &entry, slot->token, world->now_ms);
    if (status == STRATA_OK) {
        assert_true(slot->token_current && as.there);
        take(slot, &as);
        return;
    }
    assert_int_equal(status, STRATA_SKIPPED);
    assert_false(world->roomy && slot->token_current && as.there);
}

static void step_publish(struct world *world, const struct sta_key *key, struct slot *slot)
{
    struct slot as;
    bool removed;
    struct sta_l1_token token = sta_l1_invalidate(world->l1, key, world->now_ms, &removed);
    assert_true(!removed || live(world, slot));
    assert_true(!world->roomy || removed == live(world, slot));
    bool overtaken = pick(world, 3) == 0;
    if (overtaken)
        sta_l1_invalidate(world->l1, key, world->now_ms, NULL);
    struct sta_l1_entry entry = random_entry(world, &as);
    int status = sta_l1_publish(world->l1, key, &entry, token, world->now_ms);
    slot->there = false;
    if (status == STRATA_OK) {
        assert_true(!overtaken && as.there);
        take(slot, &as);
    } else {
        assert_false(world->roomy && !overtaken && as.there);
    }
    assert_true(sta_l1_token(world->l1, key).generation > token.generation);
}

static void step_set(struct world *world, const struct sta_key *key, struct slot *slot)
{
    struct slot as;
    struct sta_l1_entry entry = random_entry(world, &as);
    int status = sta_l1_set(world->l1, key, &entry, world->now_ms);
    slot->there = false;
    if (status == STRATA_OK)
        take(slot, &as);
    else
        assert_false(world->roomy && as.there);
}

static void step_all(struct world *world)
{
    switch (pick(world, 40)) {
    case 0:
        sta_l1_clear(world->l1);
        for (uint32_t i = 0; i < KEYS; i++)
            world->slots[i].there = false;
        return;
    case 1:
        if (world->roomy)
            return;
        world->max_bytes = 2000 + pick(world, 200000);
        world->max_entries = pick(world, 2) == 0 ? 0 : 1 + pick(world, 300);
        assert_int_equal(sta_l1_resize(world->l1, world->max_bytes, world->max_entries), STRATA_OK);
        return;
    case 2:
    case 3:
    case 4:
        sta_l1_sweep(world->l1, world->now_ms, pick(world, 200));
        return;
    default:
        world->now_ms += pick(world, 20);
        return;
    }
}

static void step(struct world *world)
{
    char name[32];
    uint32_t index = pick(world, KEYS);
    struct slot *slot = &world->slots[index];
    struct sta_key key = key_at(world, index, name);
    uint32_t what = pick(world, 100);
    slot->token_current = sta_l1_token(world->l1, &key).generation == slot->token.generation;
    if (what < 25)
        step_get(world, &key, slot);
    else if (what < 45)
        step_copy(world, &key, slot);
    else if (what < 60)
        step_fill(world, &key, slot);
    else if (what < 70)
        slot->token = sta_l1_token(world->l1, &key);
    else if (what < 80)
        step_set(world, &key, slot);
    else if (what < 87)
        step_publish(world, &key, slot);
    else if (what < 94) {
        sta_l1_invalidate(world->l1, &key, world->now_ms, NULL);
        slot->there = false;
    } else {
        step_all(world);
    }
}

static void check(struct world *world)
{
    struct sta_l1_statistics now;
    sta_l1_statistics(world->l1, &now);
    assert_true(now.entries == 0 || now.memory_bytes <= world->max_bytes);
    assert_true(world->max_entries == 0 || now.entries <= world->max_entries);
    assert_true(sta_l1_valid(world->l1));
}

static void run(struct world *world, int steps)
{
    struct sta_l1_config config = {.max_bytes = world->max_bytes,
                                   .max_entries = world->max_entries,
                                   .hash_seed = world->random};
    world->now_ms = 1;
    assert_int_equal(sta_l1_create(&world->l1, &config), STRATA_OK);
    tokens_follow(world);
    for (int i = 0; i < steps; i++) {
        step(world);
        if (i % 256 == 0)
            check(world);
    }
    check(world);
    sta_l1_destroy(&world->l1);
}

static void a_roomy_tier_answers_like_the_reference(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world *world = calloc(1, sizeof *world);
        world->random = seed;
        world->roomy = true;
        world->max_bytes = 64 << 20;
        print_message("seed %u\n", (unsigned)seed);
        run(world, STEPS);
        free(world);
    }
}

static void a_tight_tier_never_answers_with_anything_else(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed <= 16; seed++) {
        struct world *world = calloc(1, sizeof *world);
        world->random = seed;
        world->max_bytes = 5000 + 20000 * (seed - 11);
        world->max_entries = seed % 2 == 0 ? 0 : 50;
        print_message("seed %u\n", (unsigned)seed);
        run(world, STEPS);
        free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_roomy_tier_answers_like_the_reference),
        cmocka_unit_test(a_tight_tier_never_answers_with_anything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
