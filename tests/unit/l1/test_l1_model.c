/* SPDX-License-Identifier: MIT
 *
 * The tier beside a simple reference, over hundreds of thousands of random calls. The reference
 * is one slot per key and one generation per key; where the tier has room it must answer alike,
 * where it has not it may miss, but never answer with anything else.
 *
 * Long form (STRATA_LONG=1): twenty times as many, millions of calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l1/tier.h"
#include "strata/status.h"
#include "support/long_form.h"

#define KEYS      400
#define VALUE_MAX 5000
#define SOURCES   4u
#define LONGER    20

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
    uint16_t source;
    uint64_t born;
    struct sta_l1_token token; /* some token that was read earlier */
    bool token_current;
    uint64_t token_born;
};

struct source {
    uint64_t since; /* what was born before is suspect */
    uint64_t until_ms;
};

struct world {
    struct sta_l1 *l1;
    struct slot slots[KEYS];
    uint64_t random;
    uint64_t now_ms;
    uint32_t next_seed;
    uint64_t moment; /* doubts so far */
    struct source sources[SOURCES + 1];
    bool roomy; /* nothing is ever evicted */
    const struct sta_l1_quota *quotas;
    size_t quota_count;
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
    as->source = 0;
    as->born = 0;
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
    slot->source = from->source;
    slot->born = from->born;
}

static bool live(const struct world *world, const struct slot *slot)
{
    return slot->there && slot->deadline_ms > world->now_ms;
}

static bool suspect(const struct world *world, const struct slot *slot)
{
    const struct source *source = &world->sources[slot->source];
    return slot->source != 0 && (slot->born < source->since || world->now_ms > source->until_ms);
}

/* A miss that nothing but eviction could explain, or that has another reason than it should. */
static void assert_miss(struct world *world, const struct slot *slot,
                        const struct sta_l1_statistics *before)
{
    struct sta_l1_statistics now;
    sta_l1_statistics(world->l1, &now);
    assert_int_equal(now.hits, before->hits);
    assert_int_equal(now.misses, before->misses + 1);
    assert_false(world->roomy && live(world, slot) && !suspect(world, slot));
    bool counted_suspect = now.misses_suspect > before->misses_suspect;
    assert_true(!counted_suspect || (live(world, slot) && suspect(world, slot)));
    assert_true(!world->roomy || counted_suspect == live(world, slot));
}

static void assert_slot(struct world *world, const struct slot *slot,
                        const struct sta_l1_lease *lease)
{
    assert_int_equal(lease->value.len, slot->len);
    assert_int_equal(lease->flags, slot->flags);
    assert_int_equal(lease->deadline_ms, slot->deadline_ms);
    value_make(world->value, slot->seed, slot->len);
    assert_memory_equal(lease->value.data, world->value, slot->len);
}

static void step_get(struct world *world, const struct sta_key *key, struct slot *slot)
{
    struct sta_l1_lease lease = {0};
    struct sta_l1_statistics before;
    sta_l1_statistics(world->l1, &before);
    int status = sta_l1_get(world->l1, key, world->now_ms, &lease);
    if (status == STRATA_MISS) {
        assert_miss(world, slot, &before);
        return;
    }
    assert_int_equal(status, STRATA_OK);
    assert_true(live(world, slot) && !suspect(world, slot));
    assert_false(lease.suspect);
    assert_slot(world, slot, &lease);
    sta_l1_release(world->l1, &lease);
}

static void step_peek(struct world *world, const struct sta_key *key, struct slot *slot)
{
    struct sta_l1_lease lease = {0};
    struct sta_l1_statistics before;
    struct sta_l1_statistics after;
    sta_l1_statistics(world->l1, &before);
    int status = sta_l1_peek(world->l1, key, world->now_ms, &lease);
    sta_l1_statistics(world->l1, &after);
    assert_memory_equal(&before, &after, sizeof before);
    if (status == STRATA_MISS) {
        assert_false(world->roomy && live(world, slot));
        return;
    }
    assert_true(live(world, slot));
    assert_int_equal(lease.suspect, suspect(world, slot));
    assert_slot(world, slot, &lease);
    sta_l1_release(world->l1, &lease);
}

static void step_set_deadline(struct world *world, const struct sta_key *key, struct slot *slot)
{
    uint64_t deadline_ms = world->now_ms + pick(world, 400);
    if (pick(world, 3) == 0)
        deadline_ms = pick(world, 2) == 0 ? STA_NEVER : STA_NEVER - 1;
    else if (pick(world, 5) == 0)
        deadline_ms = world->now_ms - pick(world, 2);
    bool was_live = live(world, slot);
    int status = sta_l1_set_deadline(world->l1, key, deadline_ms, world->now_ms);
    assert_true(status == STRATA_OK || status == STRATA_MISS || status == STRATA_SKIPPED);
    assert_true(status != STRATA_OK || was_live);
    assert_true(!world->roomy || (status == STRATA_OK) == was_live);
    slot->there = status == STRATA_OK && deadline_ms > world->now_ms;
    slot->deadline_ms = deadline_ms;
}

static void step_copy(struct world *world, const struct sta_key *key, struct slot *slot)
{
    uint8_t bytes[VALUE_MAX];
    struct sta_l1_copy copy = {.buffer = bytes, .cap = pick(world, 2) == 0 ? VALUE_MAX : 20};
    struct sta_l1_statistics before;
    sta_l1_statistics(world->l1, &before);
    if (sta_l1_copy(world->l1, key, world->now_ms, &copy) == STRATA_MISS) {
        assert_miss(world, slot, &before);
        return;
    }
    assert_true(live(world, slot) && !suspect(world, slot));
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
        as.source = slot->token.stamp.source;
        as.born = slot->token_born;
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

/* Every live key that matches, once. Where nothing is evicted, all of them. */
static void step_scan(struct world *world)
{
    static const char *const patterns[] = {"*", "a*", "*[1-4]", "abc?*", "nothing"};
    static bool named[KEYS];
    struct sta_glob glob;
    struct sta_buffer names;
    uint64_t cursor = 0;
    memset(named, 0, sizeof named);
    assert_int_equal(sta_glob_init(&glob, strata_text(patterns[pick(world, 5)])), STRATA_OK);
    sta_buffer_init(&names, 1 << 20);
    do {
        assert_int_equal(sta_l1_scan(world->l1, &cursor, &glob, world->now_ms, &names), STRATA_OK);
    } while (cursor != 0);
    struct strata_bytes rest = sta_buffer_bytes(&names);
    struct strata_bytes name;
    while (sta_l1_scan_next(&rest, &name)) {
        size_t letters = 0;
        while (letters < name.len && ((const char *)name.data)[letters] >= 'a')
            letters++;
        char digits[32] = {0};
        memcpy(digits, (const char *)name.data + letters, name.len - letters);
        unsigned long index = strtoul(digits, NULL, 10);
        assert_true(index < KEYS && !named[index] && live(world, &world->slots[index]));
        assert_true(sta_glob_match(&glob, name));
        named[index] = true;
    }
    for (uint32_t i = 0; i < KEYS && world->roomy; i++) {
        char text[32];
        struct sta_key key = key_at(world, i, text);
        assert_int_equal(named[i],
                         live(world, &world->slots[i]) && sta_glob_match(&glob, key.bytes));
    }
    sta_buffer_fini(&names);
    sta_glob_fini(&glob);
}

static void step_source(struct world *world)
{
    uint16_t number = (uint16_t)(1 + pick(world, SOURCES));
    struct source *source = &world->sources[number];
    if (pick(world, 2) == 0) {
        sta_l1_doubt(world->l1, number);
        source->since = ++world->moment;
    } else {
        source->until_ms = pick(world, 2) == 0 ? STA_NEVER : world->now_ms + pick(world, 100);
        sta_l1_trust(world->l1, number, source->until_ms);
    }
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
    case 5:
        step_scan(world);
        return;
    case 6:
    case 7:
    case 8:
        step_source(world);
        return;
    case 9: /* the clock jumps: from a suspend, for instance */
        if (pick(world, 10) == 0)
            world->now_ms += UINT64_C(1) << pick(world, 44);
        return;
    default:
        world->now_ms += pick(world, 20);
        return;
    }
}

static void step_token(struct world *world, const struct sta_key *key, struct slot *slot)
{
    uint16_t source = (uint16_t)pick(world, SOURCES + 1);
    slot->token =
        source == 0 ? sta_l1_token(world->l1, key) : sta_l1_token_from(world->l1, key, source);
    slot->token_born = world->moment;
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
    else if (what < 40)
        step_copy(world, &key, slot);
    else if (what < 45)
        step_peek(world, &key, slot);
    else if (what < 58)
        step_fill(world, &key, slot);
    else if (what < 68)
        step_token(world, &key, slot);
    else if (what < 73)
        step_set_deadline(world, &key, slot);
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
    for (size_t i = 0; i < world->quota_count; i++) {
        const struct sta_lane *lane = &world->l1->lanes[world->l1->thread_lanes + i];
        const struct sta_l1_quota *quota = &world->quotas[i];
        assert_true(quota->max_bytes == 0 || sta_lane_bytes(lane) <= quota->max_bytes);
        assert_true(quota->max_entries == 0 || sta_lane_entries(lane) <= quota->max_entries);
    }
    assert_true(sta_l1_valid(world->l1));
}

static void run(struct world *world, int steps, int check_every)
{
    struct sta_l1_config config = {.max_bytes = world->max_bytes,
                                   .max_entries = world->max_entries,
                                   .hash_seed = world->random,
                                   .quotas = world->quotas,
                                   .quota_count = world->quota_count,
                                   .sources = SOURCES};
    world->now_ms = 1;
    for (uint32_t i = 0; i <= SOURCES; i++)
        world->sources[i].until_ms = STA_NEVER;
    assert_int_equal(sta_l1_create(&world->l1, &config), STRATA_OK);
    tokens_follow(world);
    for (int i = 0; i < steps; i++) {
        step(world);
        if (i % check_every == 0)
            check(world);
    }
    check(world);
    sta_l1_destroy(&world->l1);
}

static int steps_wanted(void)
{
    return is_long_form() ? LONGER * STEPS : STEPS;
}

static struct world *world_of(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->random = seed;
    print_message("seed %u\n", (unsigned)seed);
    return world;
}

static struct world *roomy_world(uint64_t seed)
{
    struct world *world = world_of(seed);
    world->roomy = true;
    world->max_bytes = 64 << 20;
    return world;
}

/* Every other one with namespaces. */
static struct world *tight_world(uint64_t seed)
{
    static struct sta_l1_quota quotas[3];
    quotas[0] = (struct sta_l1_quota){strata_text("abc"), 0, 30};
    quotas[1] = (struct sta_l1_quota){strata_text("abcdefgh"), 6000, 0};
    quotas[2] = (struct sta_l1_quota){strata_text("a"), 9000, 50};
    struct world *world = world_of(seed);
    world->max_bytes = 5000 + 20000 * (seed % 6);
    world->max_entries = seed % 2 == 0 ? 0 : 50;
    world->quotas = quotas;
    world->quota_count = seed % 4 < 2 ? 3 : 0;
    return world;
}

static void a_roomy_tier_answers_like_the_reference(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world *world = roomy_world(seed);
        run(world, steps_wanted(), 256);
        free(world);
    }
}

static void a_tight_tier_never_answers_with_anything_else(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed <= 16; seed++) {
        struct world *world = tight_world(seed);
        run(world, steps_wanted(), 256);
        free(world);
    }
}

static void every_single_step_leaves_a_valid_tier(void **state)
{
    (void)state;
    for (uint64_t seed = 21; seed <= 26; seed++) {
        struct world *world = seed % 3 == 0 ? roomy_world(seed) : tight_world(seed);
        run(world, steps_wanted() / 20, 1);
        free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_roomy_tier_answers_like_the_reference),
        cmocka_unit_test(a_tight_tier_never_answers_with_anything_else),
        cmocka_unit_test(every_single_step_leaves_a_valid_tier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
