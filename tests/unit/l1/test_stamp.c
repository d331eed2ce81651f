/* SPDX-License-Identifier: MIT
 *
 * Doubt and trust (l1/stamp.h), as the tier's callers see them.
 */
#include <pthread.h>
#include <sched.h>

#include "unit/l1/tier_rig.h"

#define SOURCES 5u
#define LARGE   200000u /* in a block */

static struct sta_l1 *tier(void)
{
    return rig_create((struct sta_l1_config){.max_bytes = 16 << 20, .sources = SOURCES});
}

static struct sta_l1_token token_from(struct sta_l1 *l1, const char *key, uint16_t source)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    return sta_l1_token_from(l1, &k, source);
}

static int fill_until(struct sta_l1 *l1, const char *key, struct sta_l1_token token,
                      uint64_t deadline_ms)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_entry entry = {.value = strata_text("value"), .deadline_ms = deadline_ms};
    return sta_l1_fill(l1, &k, &entry, token, RIG_NOW);
}

static void fill(struct sta_l1 *l1, const char *key, struct sta_l1_token token)
{
    assert_int_equal(fill_until(l1, key, token, STA_NEVER), STRATA_OK);
}

static void fill_large(struct sta_l1 *l1, const char *key, struct sta_l1_token token)
{
    static uint8_t bytes[LARGE];
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_entry entry = {.value = strata_bytes(bytes, LARGE), .deadline_ms = STA_NEVER};
    assert_int_equal(sta_l1_fill(l1, &k, &entry, token, RIG_NOW), STRATA_OK);
}

/* Every way to read agrees. */
static bool fine(struct sta_l1 *l1, const char *key)
{
    bool is = rig_has(l1, key);
    assert_int_equal(rig_copies(l1, key), is);
    assert_int_equal(rig_peek(l1, key), is ? RIG_FINE : RIG_SUSPECT);
    return is;
}

static void doubt_makes_exactly_the_entries_of_its_source_suspect(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    char name[32];
    for (unsigned i = 0; i < 500; i++) {
        uint16_t source = (uint16_t)(1 + i % SOURCES);
        snprintf(name, sizeof name, "k%u", i);
        /* with a deadline and without: the stamp lies elsewhere */
        fill_until(l1, name, token_from(l1, name, source), i % 2 == 0 ? STA_NEVER : RIG_NOW + 1000);
    }
    fill_large(l1, "large3", token_from(l1, "large3", 3));
    fill_large(l1, "large4", token_from(l1, "large4", 4));
    rig_set(l1, "nobody's", "value");
    sta_l1_doubt(l1, 3);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "k%u", i);
        assert_int_equal(fine(l1, name), 1 + i % SOURCES != 3);
    }
    assert_false(fine(l1, "large3"));
    assert_true(fine(l1, "large4"));
    assert_true(fine(l1, "nobody's"));
    assert_int_equal(rig_numbers(l1).entries, 503); /* they stay where they are */
    rig_destroy(l1);
}

static void what_is_born_after_the_doubt_is_fine(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    fill(l1, "before", token_from(l1, "before", 1));
    sta_l1_doubt(l1, 1);
    fill(l1, "after", token_from(l1, "after", 1));
    assert_false(fine(l1, "before"));
    assert_true(fine(l1, "after"));
    fill(l1, "before", token_from(l1, "before", 1)); /* asked anew */
    assert_true(fine(l1, "before"));
    sta_l1_doubt(l1, 1);
    assert_false(fine(l1, "before"));
    assert_false(fine(l1, "after"));
    rig_destroy(l1);
}

static void a_fill_that_began_before_the_doubt_is_suspect_when_it_ends(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    struct sta_l1_token small = token_from(l1, "k", 2);
    struct sta_l1_token large = token_from(l1, "large", 2);
    struct sta_l1_token other = token_from(l1, "other", 1);
    sta_l1_doubt(l1, 2);
    fill(l1, "k", small);
    fill_large(l1, "large", large);
    fill(l1, "other", other);
    assert_false(fine(l1, "k"));
    assert_false(fine(l1, "large"));
    assert_true(fine(l1, "other"));
    rig_destroy(l1);
}

static void a_doubt_of_one_source_does_not_age_the_others(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    sta_l1_doubt(l1, 1);
    fill(l1, "two", token_from(l1, "two", 2));
    sta_l1_doubt(l1, 1);
    sta_l1_doubt(l1, 3);
    assert_true(fine(l1, "two"));
    rig_destroy(l1);
}

static void trust_ends_after_its_time_and_can_be_moved_on(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    fill(l1, "k", token_from(l1, "k", 1));
    fill(l1, "other", token_from(l1, "other", 2));
    assert_true(rig_has_at(l1, "k", STA_NEVER - 1)); /* for good, at first */
    sta_l1_trust(l1, 1, RIG_NOW + 10);
    assert_true(rig_has_at(l1, "k", RIG_NOW + 10));
    assert_false(rig_has_at(l1, "k", RIG_NOW + 11));
    assert_int_equal(rig_peek_at(l1, "k", RIG_NOW + 11), RIG_SUSPECT);
    assert_true(rig_has_at(l1, "other", RIG_NOW + 11));
    sta_l1_trust(l1, 1, RIG_NOW + 20);
    assert_true(rig_has_at(l1, "k", RIG_NOW + 11));
    assert_false(rig_has_at(l1, "k", RIG_NOW + 21));
    sta_l1_trust(l1, 1, STA_NEVER);
    assert_true(rig_has_at(l1, "k", RIG_NOW + 21));
    sta_l1_doubt(l1, 1);
    assert_false(rig_has_at(l1, "k", RIG_NOW)); /* trust does not take a doubt back */
    rig_destroy(l1);
}

static void a_new_deadline_leaves_the_stamp_as_it_is(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    fill(l1, "k", token_from(l1, "k", 1));
    fill_large(l1, "large", token_from(l1, "large", 1));
    fill(l1, "later", token_from(l1, "later", 2));
    for (unsigned i = 0; i < 3; i++) { /* with, without, with */
        uint64_t deadline_ms = i % 2 == 0 ? RIG_NOW + 100 : STA_NEVER;
        assert_int_equal(rig_set_deadline(l1, "k", deadline_ms, RIG_NOW), STRATA_OK);
        assert_int_equal(rig_set_deadline(l1, "large", deadline_ms, RIG_NOW), STRATA_OK);
        assert_int_equal(rig_set_deadline(l1, "later", deadline_ms, RIG_NOW), STRATA_OK);
        assert_true(fine(l1, "k"));
    }
    sta_l1_doubt(l1, 1);
    assert_int_equal(rig_set_deadline(l1, "k", RIG_NOW + 200, RIG_NOW), STRATA_OK);
    assert_false(fine(l1, "k"));
    assert_false(fine(l1, "large"));
    assert_true(fine(l1, "later"));
    rig_destroy(l1);
}

static void a_suspect_miss_is_counted_as_that_and_removes_nothing(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    fill(l1, "k", token_from(l1, "k", 1));
    sta_l1_doubt(l1, 1);
    for (int i = 0; i < 3; i++)
        assert_false(rig_has(l1, "k"));
    assert_false(rig_copies(l1, "k"));
    assert_int_equal(rig_numbers(l1).misses_suspect, 4);
    assert_int_equal(rig_numbers(l1).misses, 4);
    assert_int_equal(rig_numbers(l1).hits, 0);
    assert_int_equal(rig_peek(l1, "k"), RIG_SUSPECT);
    rig_destroy(l1);
}

static void a_peek_leaves_no_trace(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    fill_until(l1, "k", token_from(l1, "k", 1), RIG_NOW + 5);
    fill_large(l1, "large", token_from(l1, "large", 1));
    struct sta_l1_statistics before = rig_numbers(l1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rig_peek(l1, "k"), RIG_FINE);
        assert_int_equal(rig_peek(l1, "large"), RIG_FINE);
        assert_int_equal(rig_peek(l1, "nothing"), RIG_NONE);
        assert_int_equal(rig_peek_at(l1, "k", RIG_NOW + 5), RIG_NONE); /* expired */
    }
    struct sta_l1_statistics after = rig_numbers(l1);
    assert_memory_equal(&before, &after, sizeof before);
    rig_destroy(l1);
}

/* What is only peeked at goes like what is never read; what is read stays. */
static void a_peek_is_no_visit(void **state)
{
    (void)state;
    enum { WATCHED = 50 };
    struct sta_l1 *l1 =
        rig_create((struct sta_l1_config){.max_bytes = 8 << 20, .max_entries = 500});
    char name[32];
    unsigned read = 0;
    unsigned peeked = 0;
    for (unsigned i = 0; i < WATCHED; i++) {
        snprintf(name, sizeof name, "read%u", i);
        rig_set(l1, name, "v");
        snprintf(name, sizeof name, "peeked%u", i);
        rig_set(l1, name, "v");
    }
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "read%u", i % WATCHED);
        rig_has(l1, name);
        snprintf(name, sizeof name, "peeked%u", i % WATCHED);
        rig_peek(l1, name);
        snprintf(name, sizeof name, "new%u", i);
        rig_set(l1, name, "v");
    }
    for (unsigned i = 0; i < WATCHED; i++) {
        snprintf(name, sizeof name, "read%u", i);
        read += rig_peek(l1, name) == RIG_FINE;
        snprintf(name, sizeof name, "peeked%u", i);
        peeked += rig_peek(l1, name) == RIG_FINE;
    }
    assert_true(read >= WATCHED - 5);
    assert_int_equal(peeked, 0);
    rig_destroy(l1);
}

static void creation_refuses_more_sources_than_there_are_numbers(void **state)
{
    (void)state;
    struct sta_l1 *l1 = NULL;
    struct sta_l1_config config = {.max_bytes = 16 << 20, .sources = STA_L1_SOURCES_MOST + 1};
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_ERR_INVALID);
    config.sources = STA_L1_SOURCES_MOST;
    l1 = rig_create(config);
    assert_true(rig_numbers(l1).fixed_bytes >= STA_L1_SOURCES_MOST * 16);
    fill(l1, "k", token_from(l1, "k", STA_L1_SOURCES_MOST));
    sta_l1_doubt(l1, STA_L1_SOURCES_MOST - 1);
    assert_true(fine(l1, "k"));
    sta_l1_doubt(l1, STA_L1_SOURCES_MOST);
    assert_false(fine(l1, "k"));
    rig_destroy(l1);
}

/* ---- threads ---- */

/* A doubt that is over before a get begins, of an entry that was there before the doubt, is seen by
 * that get: whoever fills writes down the number of doubts that he knew of when he began. */
struct race {
    struct sta_l1 *l1;
    _Atomic uint64_t doubts; /* that are over */
    _Atomic uint64_t wrong;
    _Atomic uint64_t hits;
    _Atomic int stop;
};

static void *doubt_on(void *arg)
{
    struct race *race = arg;
    /* On a busy machine the others may not have run yet. */
    for (int i = 0; i < 20000 / RIG_SHORTER || atomic_load(&race->hits) == 0; i++) {
        sta_l1_doubt(race->l1, 1);
        atomic_fetch_add(&race->doubts, 1);
        if (i % 1024 == 0)
            sched_yield();
    }
    atomic_store(&race->stop, 1);
    return NULL;
}

static void race_read(struct race *race, const struct sta_key *key, bool copies)
{
    uint64_t born = 0;
    struct sta_l1_copy copy = {.buffer = &born, .cap = sizeof born};
    struct sta_l1_lease lease = {0};
    uint64_t over = atomic_load(&race->doubts);
    if (copies) {
        if (sta_l1_copy(race->l1, key, RIG_NOW, &copy) != STRATA_OK)
            return;
    } else {
        if (sta_l1_get(race->l1, key, RIG_NOW, &lease) != STRATA_OK)
            return;
        memcpy(&born, lease.value.data, sizeof born);
        sta_l1_release(race->l1, &lease);
    }
    atomic_fetch_add(&race->hits, 1);
    if (born < over)
        atomic_fetch_add(&race->wrong, 1);
}

static void *fill_and_read(void *arg)
{
    struct race *race = arg;
    char name[8];
    for (unsigned i = 0; atomic_load(&race->stop) == 0; i++) {
        int len = snprintf(name, sizeof name, "k%u", i % 7);
        struct sta_key key = sta_l1_key(race->l1, strata_bytes(name, (size_t)len));
        race_read(race, &key, i % 2 == 0);
        /* the token first: what the value may know of doubts, the stamp must know, too */
        struct sta_l1_token token = sta_l1_token_from(race->l1, &key, 1);
        uint64_t born = atomic_load(&race->doubts) + 1; /* one may be between its two steps */
        struct sta_l1_entry entry = {.value = strata_bytes(&born, sizeof born),
                                     .deadline_ms = STA_NEVER};
        sta_l1_fill(race->l1, &key, &entry, token, RIG_NOW);
        race_read(race, &key, i % 2 != 0);
    }
    return NULL;
}

static void no_get_that_begins_after_a_doubt_hits_what_is_older(void **state)
{
    (void)state;
    enum { FILLERS = 3 };
    struct race race = {.l1 = tier()};
    pthread_t threads[FILLERS + 1];
    for (int i = 0; i < FILLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fill_and_read, &race), 0);
    assert_int_equal(pthread_create(&threads[FILLERS], NULL, doubt_on, &race), 0);
    for (int i = 0; i <= FILLERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    assert_true(atomic_load(&race.hits) > 0);
    rig_destroy(race.l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubt_makes_exactly_the_entries_of_its_source_suspect),
        cmocka_unit_test(what_is_born_after_the_doubt_is_fine),
        cmocka_unit_test(a_fill_that_began_before_the_doubt_is_suspect_when_it_ends),
        cmocka_unit_test(a_doubt_of_one_source_does_not_age_the_others),
        cmocka_unit_test(trust_ends_after_its_time_and_can_be_moved_on),
        cmocka_unit_test(a_new_deadline_leaves_the_stamp_as_it_is),
        cmocka_unit_test(a_suspect_miss_is_counted_as_that_and_removes_nothing),
        cmocka_unit_test(a_peek_leaves_no_trace),
        cmocka_unit_test(a_peek_is_no_visit),
        cmocka_unit_test(creation_refuses_more_sources_than_there_are_numbers),
        cmocka_unit_test(no_get_that_begins_after_a_doubt_hits_what_is_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
