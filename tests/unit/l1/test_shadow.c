/* SPDX-License-Identifier: MIT
 *
 * A shadow plays its rule, and no other (l1/shadow.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/random.h"
#include "l1/shadow.h"

#define CAP 100u

struct rig {
    struct sta_shadow shadow;
    void *memory;
};

static void rig_init(struct rig *rig, struct sta_rule rule, uint32_t cap)
{
    uint32_t bytes = sta_shadow_bytes(&rule, cap);
    assert_int_equal(bytes % 16, 0);
    rig->memory = malloc(bytes); /* not cleared, and watched by the sanitizer */
    assert_non_null(rig->memory);
    sta_shadow_init(&rig->shadow, &rule, cap, rig->memory);
}

static void rig_fini(struct rig *rig)
{
    free(rig->memory);
}

/* Keys from..to once each; how many hit. */
static unsigned see(struct rig *rig, uint32_t from, uint32_t to)
{
    unsigned hits = 0;
    for (uint32_t key = from; key < to; key++)
        hits += sta_shadow_see(&rig->shadow, key);
    return hits;
}

static uint32_t held(const struct rig *rig)
{
    return rig->shadow.fifos[STA_SHADOW_SMALL].count + rig->shadow.fifos[STA_SHADOW_MAIN].count;
}

static void it_holds_as_many_as_it_may_and_no_more(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, (struct sta_rule){10, 2, 5, 0}, CAP);
    assert_int_equal(see(&rig, 0, CAP), 0);
    assert_int_equal(see(&rig, 0, CAP), CAP);
    see(&rig, CAP, 50 * CAP);
    assert_int_equal(held(&rig), CAP);
    rig_fini(&rig);
}

/* Visited `visits` times, then a scan of keys that are never seen again: does it survive? */
static bool survives(struct sta_rule rule, unsigned visits)
{
    struct rig rig;
    rig_init(&rig, rule, CAP);
    for (unsigned i = 0; i <= visits; i++)
        (void)see(&rig, 1, 2);
    (void)see(&rig, 1000, 1000 + CAP + CAP / 2);
    bool survived = sta_shadow_see(&rig.shadow, 1);
    rig_fini(&rig);
    return survived;
}

static void who_is_visited_often_enough_is_promoted(void **state)
{
    (void)state;
    for (uint8_t promote = 1; promote <= 3; promote++) {
        for (unsigned visits = 0; visits <= 3; visits++)
            assert_int_equal(survives((struct sta_rule){10, promote, 0, 0}, visits),
                             visits >= promote);
    }
}

/* Gone from the small queue; back when `apart` others have gone since. Then in the main queue? */
static bool is_remembered(uint8_t tenths, uint32_t apart)
{
    struct rig rig;
    rig_init(&rig, (struct sta_rule){10, 2, tenths, 0}, CAP);
    (void)see(&rig, 1, 2);
    (void)see(&rig, 1000, 1000 + CAP + apart);
    assert_false(sta_shadow_see(&rig.shadow, 1));
    bool remembered = rig.shadow.fifos[STA_SHADOW_MAIN].count == 1;
    rig_fini(&rig);
    return remembered;
}

static void ghosts_are_remembered_for_as_long_as_the_rule_says(void **state)
{
    (void)state;
    assert_true(is_remembered(5, CAP / 2 - 2));
    assert_false(is_remembered(5, CAP / 2 + 2));
    assert_true(is_remembered(20, 2 * CAP - 2));
    assert_false(is_remembered(20, 2 * CAP + 2));
    assert_false(is_remembered(0, 2));
}

static void the_small_queue_has_its_share(void **state)
{
    (void)state;
    static const uint8_t shares[] = {5, 10, 30, 50, 70};
    for (size_t i = 0; i < sizeof shares; i++) {
        struct rig rig;
        uint64_t random = 7;
        rig_init(&rig, (struct sta_rule){shares[i], 1, 10, 0}, CAP);
        for (unsigned k = 0; k < 20000; k++)
            (void)sta_shadow_see(&rig.shadow, (uint32_t)sta_random_below(&random, 3 * CAP));
        assert_in_range(rig.shadow.fifos[STA_SHADOW_SMALL].count, shares[i] - 2u, shares[i] + 2u);
        rig_fini(&rig);
    }
}

static void any_size_takes_any_load(void **state)
{
    (void)state;
    for (uint32_t cap = 1; cap <= STA_SHADOW_CAP_MOST; cap = cap * 2 + 1) {
        for (uint8_t promote = 0; promote <= 3; promote++) {
            struct rig rig;
            uint64_t random = cap;
            rig_init(&rig, (struct sta_rule){50, promote, STA_RULE_GHOST_TENTHS_MOST, 0}, cap);
            for (unsigned k = 0; k < 20000; k++)
                (void)sta_shadow_see(&rig.shadow, (uint32_t)sta_random_below(&random, 4 * cap));
            assert_int_equal(held(&rig), cap);
            rig_fini(&rig);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_as_many_as_it_may_and_no_more),
        cmocka_unit_test(who_is_visited_often_enough_is_promoted),
        cmocka_unit_test(ghosts_are_remembered_for_as_long_as_the_rule_says),
        cmocka_unit_test(the_small_queue_has_its_share),
        cmocka_unit_test(any_size_takes_any_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
