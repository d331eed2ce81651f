/* SPDX-License-Identifier: MIT
 *
 * What its owner hides of a tier, and from when on he is asked.
 */
#include "unit/l1/tier_rig.h"

#include <string.h>

struct owner {
    unsigned asked;
    const char *hidden;
};

static bool hides(void *arg, struct strata_bytes key, uint64_t now_ms)
{
    struct owner *owner = arg;
    assert_true(now_ms >= RIG_NOW);
    owner->asked++;
    return key.len == strlen(owner->hidden) && memcmp(key.data, owner->hidden, key.len) == 0;
}

static int copy(struct sta_l1 *l1, const char *key, uint64_t now_ms)
{
    char buffer[8];
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_copy to = {.buffer = buffer, .cap = sizeof buffer};
    return sta_l1_copy(l1, &k, now_ms, &to);
}

static int get(struct sta_l1 *l1, const char *key, uint64_t now_ms)
{
    struct sta_l1_lease lease = {0};
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    int status = sta_l1_get(l1, &k, now_ms, &lease);
    sta_l1_release(l1, &lease);
    return status;
}

static void what_is_hidden_is_missed_and_stays_where_it_is(void **state)
{
    (void)state;
    struct owner owner = {.hidden = "a"};
    struct sta_l1 *l1 = rig_create(
        (struct sta_l1_config){.max_bytes = 1 << 20, .veil = {.hides = hides, .arg = &owner}});
    rig_set_until(l1, "a", "1", STA_NEVER);
    rig_set_until(l1, "b", "2", STA_NEVER);
    assert_int_equal(copy(l1, "a", RIG_NOW), STRATA_OK);
    assert_int_equal(owner.asked, 0);
    sta_l1_veil(l1, RIG_NOW);
    assert_int_equal(copy(l1, "a", RIG_NOW), STRATA_MISS);
    assert_int_equal(get(l1, "a", RIG_NOW), STRATA_MISS);
    assert_int_equal(copy(l1, "b", RIG_NOW), STRATA_OK);
    assert_int_equal(get(l1, "b", RIG_NOW), STRATA_OK);
    assert_int_equal(rig_numbers(l1).misses_suspect, 2);
    struct sta_l1_lease lease = {0};
    struct sta_key key = sta_l1_key(l1, strata_text("a"));
    assert_int_equal(sta_l1_peek(l1, &key, RIG_NOW, &lease), STRATA_OK);
    assert_true(lease.suspect);
    sta_l1_release(l1, &lease);
    sta_l1_veil(l1, STA_NEVER);
    assert_int_equal(get(l1, "a", RIG_NOW), STRATA_OK);
    rig_destroy(l1);
}

static void nobody_is_asked_before_the_time(void **state)
{
    (void)state;
    struct owner owner = {.hidden = "a"};
    struct sta_l1 *l1 = rig_create(
        (struct sta_l1_config){.max_bytes = 1 << 20, .veil = {.hides = hides, .arg = &owner}});
    rig_set_until(l1, "a", "1", STA_NEVER);
    sta_l1_veil(l1, RIG_NOW + 10);
    assert_int_equal(copy(l1, "a", RIG_NOW + 9), STRATA_OK);
    assert_int_equal(owner.asked, 0);
    assert_int_equal(copy(l1, "a", RIG_NOW + 10), STRATA_MISS);
    rig_destroy(l1);
}

static void no_token_of_before_is_current_once_all_are_overtaken(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 1 << 20});
    struct sta_key key = sta_l1_key(l1, strata_text("a"));
    struct sta_l1_entry entry = {.value = strata_text("1"), .deadline_ms = STA_NEVER};
    struct sta_l1_token token = sta_l1_token(l1, &key);
    sta_l1_overtake(l1);
    assert_int_equal(sta_l1_fill(l1, &key, &entry, token, RIG_NOW), STRATA_SKIPPED);
    token = sta_l1_token(l1, &key);
    assert_int_equal(sta_l1_fill(l1, &key, &entry, token, RIG_NOW), STRATA_OK);
    rig_destroy(l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_hidden_is_missed_and_stays_where_it_is),
        cmocka_unit_test(nobody_is_asked_before_the_time),
        cmocka_unit_test(no_token_of_before_is_current_once_all_are_overtaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
