/* SPDX-License-Identifier: MIT
 *
 * What is hidden, from whom, and for how long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "cache/veil.h"

#define LINGER 1000u

static struct sta_veil veil;

static int set_up(void **state)
{
    (void)state;
    sta_veil_init(&veil, 7, LINGER, strata_text(""));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sta_veil_fini(&veil);
    return 0;
}

static bool hides(const char *key, uint64_t asked_ns)
{
    return sta_veil_hides(&veil, strata_text(key), asked_ns);
}

static struct sta_veil_pattern *add(uint64_t id, const char *pattern)
{
    struct sta_veil_pattern *made = sta_veil_add(&veil, id, strata_text(pattern));
    assert_non_null(made);
    return made;
}

static void what_matches_is_hidden_while_it_is_in_force(void **state)
{
    (void)state;
    assert_false(hides("a:1", 10));
    add(1, "a:*");
    add(2, "*:[0-3]");
    assert_true(hides("a:7", 10));
    assert_true(hides("b:2", 10));
    assert_false(hides("b:7", 10));
    assert_ptr_equal(sta_veil_find(&veil, 2)->link.prev, &sta_veil_find(&veil, 1)->link);
    assert_null(sta_veil_find(&veil, 3));
}

/* Where keys come with their prefix, it stands for itself, and others are nobody's. */
static void patterns_are_of_what_stands_behind_the_prefix(void **state)
{
    (void)state;
    struct sta_veil whole;
    sta_veil_init(&whole, 7, LINGER, strata_text("p*:"));
    assert_non_null(sta_veil_add(&whole, 1, strata_text("*a")));
    assert_true(sta_veil_hides(&whole, strata_text("p*:a"), 10));
    assert_true(sta_veil_hides(&whole, strata_text("p*:bba"), 10));
    assert_false(sta_veil_hides(&whole, strata_text("p*:b"), 10));
    assert_false(sta_veil_hides(&whole, strata_text("pp:a"), 10));
    assert_false(sta_veil_hides(&whole, strata_text("a"), 10));
    assert_false(sta_veil_hides(&whole, strata_text("p*:strata:tag:a"), 10));
    assert_true(sta_veil_hides(&whole, strata_text("p*:p*:strata:tag:a"), 10));
    sta_veil_exempt(&whole, strata_text("p*:a"), 20);
    sta_veil_exempt(&whole, strata_text("ba"), 20);
    assert_false(sta_veil_hides(&whole, strata_text("p*:a"), 30));
    assert_true(sta_veil_hides(&whole, strata_text("p*:ba"), 30));
    sta_veil_fini(&whole);
}

static void names_of_tags_are_never_hidden(void **state)
{
    (void)state;
    add(1, "*");
    assert_false(hides("strata:tag:T", 10));
    assert_true(hides("strata:other", 10));
}

/* An answer that was asked for before it left may be older. */
static void who_asked_before_it_left_is_answered_as_under_it(void **state)
{
    (void)state;
    struct sta_veil_pattern *pattern = add(1, "a:*");
    sta_veil_leave(&veil, pattern, 100);
    assert_true(hides("a:1", 99));
    assert_true(hides("a:1", 100));
    assert_false(hides("a:1", 101));
    assert_null(sta_veil_find(&veil, 1));
    sta_veil_prune(&veil, 100 + LINGER);
    assert_true(hides("a:1", 99));
    sta_veil_prune(&veil, 101 + LINGER);
    assert_false(hides("a:1", 99));
    assert_int_equal(atomic_load(&veil.count), 0);
}

static void what_was_set_since_is_seen_by_who_asks_afterwards(void **state)
{
    (void)state;
    add(1, "a:*");
    sta_veil_exempt(&veil, strata_text("a:1"), 50);
    assert_true(hides("a:1", 49));
    assert_false(hides("a:1", 50));
    assert_true(hides("a:2", 50));
    add(2, "a:*"); /* which is newer than the set */
    assert_true(hides("a:1", 60));
}

static void more_keys_than_can_be_exempt_stay_hidden(void **state)
{
    (void)state;
    char key[32];
    unsigned hidden = 0;
    add(1, "a:*");
    for (unsigned i = 0; i < STA_VEIL_EXEMPT_MOST + 100; i++) {
        (void)snprintf(key, sizeof key, "a:%u", i);
        sta_veil_exempt(&veil, strata_text(key), 50);
        sta_veil_exempt(&veil, strata_text(key), 60); /* once more changes nothing */
    }
    for (unsigned i = 0; i < STA_VEIL_EXEMPT_MOST + 100; i++) {
        (void)snprintf(key, sizeof key, "a:%u", i);
        hidden += hides(key, 50);
    }
    assert_int_equal(hidden, 100);
}

/* Where questions may get older, what has left is remembered for longer; never for less. */
static void older_questions_are_answered_under_what_left(void **state)
{
    (void)state;
    sta_veil_leave(&veil, add(1, "a:*"), 100);
    sta_veil_linger(&veil, 2 * LINGER);
    sta_veil_linger(&veil, LINGER);
    sta_veil_prune(&veil, 100 + 2 * LINGER);
    assert_true(hides("a:1", 99));
    sta_veil_prune(&veil, 101 + 2 * LINGER);
    assert_false(hides("a:1", 99));
}

/* Of whom nobody remembers which patterns have left gets nothing. */
static void who_asked_before_what_is_forgotten_finds_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STA_VEIL_LEFT_MOST + 5; i++)
        sta_veil_leave(&veil, add(i + 1, "a:*"), 100 + i);
    assert_true(hides("other", 104));
    assert_false(hides("other", 105));
    assert_true(hides("a:1", 105));
    assert_int_equal(atomic_load(&veil.count), STA_VEIL_LEFT_MOST);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_matches_is_hidden_while_it_is_in_force),
        cmocka_unit_test(patterns_are_of_what_stands_behind_the_prefix),
        CASE(names_of_tags_are_never_hidden),
        CASE(who_asked_before_it_left_is_answered_as_under_it),
        CASE(what_was_set_since_is_seen_by_who_asks_afterwards),
        CASE(more_keys_than_can_be_exempt_stay_hidden),
        CASE(older_questions_are_answered_under_what_left),
        CASE(who_asked_before_what_is_forgotten_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
