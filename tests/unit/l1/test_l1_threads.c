/* SPDX-License-Identifier: MIT
 *
 * The tier under many threads. Values describe themselves (key, version, checksum), so a torn
 * or misplaced one shows; each key's "L2" is an atomic version, which must never be read behind
 * what an earlier acknowledged write made visible to the same thread.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l1/l1.h"
#include "strata/status.h"
#include "tier_rig.h"

#define THREADS 8
#define KEYS    300
#define ROUNDS  40000
#define VALUE   512
#define LARGE   8000 /* takes a while to copy, and still lies in a segment */

struct value {
    uint64_t key;
    uint64_t version;
    uint64_t len;
    uint64_t sum;
};

struct world {
    struct sta_l1 *l1;
    _Atomic uint64_t l2[KEYS];    /* the version that L2 holds */
    _Atomic uint64_t acked[KEYS]; /* the newest version whose write was acknowledged */
    _Atomic uint64_t wrong;
    _Atomic uint64_t hits;
    pthread_mutex_t write_lock[KEYS]; /* one writer of a key at a time: its order is L2's */
};

struct actor {
    struct world *world;
    uint64_t random;
    pthread_t thread;
};

static struct sta_key key_at(struct world *world, uint64_t index, char name[24])
{
    int len = snprintf(name, 24, "key:%u", (unsigned)index);
    return sta_l1_key(world->l1, strata_bytes(name, (size_t)len));
}

static void value_make(uint8_t *bytes, uint64_t key, uint64_t version, uint64_t len)
{
    struct value head = {.key = key, .version = version, .len = len, .sum = key ^ version ^ len};
    memcpy(bytes, &head, sizeof head);
    memset(bytes + sizeof head, (int)(version & 0xff), len - sizeof head);
}

static bool value_read(struct strata_bytes bytes, uint64_t key, uint64_t *version)
{
    struct value head;
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

static struct sta_l1_entry entry_make(struct actor *actor, uint8_t *bytes, uint64_t index,
                                      uint64_t version)
{
    uint64_t len =
        sizeof(struct value) + sta_random_below(&actor->random, VALUE - sizeof(struct value));
    value_make(bytes, index, version, len);
    return (struct sta_l1_entry){.value = strata_bytes(bytes, len), .deadline_ms = STA_NEVER};
}

/* L1 first; else L2, and fill. The answer must not be older than what was acknowledged before. */
static void act_read(struct actor *actor, uint64_t index)
{
    struct world *world = actor->world;
    char name[24];
    uint8_t bytes[VALUE];
    struct sta_key key = key_at(world, index, name);
    struct sta_l1_lease lease = {0};
    uint64_t floor = atomic_load(&world->acked[index]);
    if (sta_l1_get(world->l1, &key, 1, &lease) == STRATA_OK) {
        uint64_t version = 0;
        if (!value_read(lease.value, index, &version) || version < floor)
            atomic_fetch_add(&world->wrong, 1);
        atomic_fetch_add(&world->hits, 1);
        sta_l1_release(world->l1, &lease);
        return;
    }
    struct sta_l1_token token = sta_l1_token(world->l1, &key);
    struct sta_l1_entry entry = entry_make(actor, bytes, index, atomic_load(&world->l2[index]));
    int status = sta_l1_fill(world->l1, &key, &entry, token, 1);
    if (status != STRATA_OK && status != STRATA_SKIPPED)
        atomic_fetch_add(&world->wrong, 1);
}

/* As act_read() where it hits, by copy. */
static void act_copy(struct actor *actor, uint64_t index)
{
    struct world *world = actor->world;
    char name[24];
    uint8_t bytes[VALUE];
    struct sta_key key = key_at(world, index, name);
    struct sta_l1_copy copy = {.buffer = bytes, .cap = sizeof bytes};
    uint64_t floor = atomic_load(&world->acked[index]);
    if (sta_l1_copy(world->l1, &key, 1, &copy) != STRATA_OK)
        return;
    uint64_t version = 0;
    if (!value_read(strata_bytes(bytes, copy.len), index, &version) || version < floor)
        atomic_fetch_add(&world->wrong, 1);
    atomic_fetch_add(&world->hits, 1);
}

static void act_write(struct actor *actor, uint64_t index, bool own)
{
    struct world *world = actor->world;
    char name[24];
    uint8_t bytes[VALUE];
    struct sta_key key = key_at(world, index, name);
    pthread_mutex_lock(&world->write_lock[index]);
    struct sta_l1_token token = sta_l1_invalidate(world->l1, &key, 1, NULL);
    uint64_t version = atomic_fetch_add(&world->l2[index], 1) + 1;
    if (own) {
        struct sta_l1_entry entry = entry_make(actor, bytes, index, version);
        int status = sta_l1_publish(world->l1, &key, &entry, token, 1);
        if (status != STRATA_OK && status != STRATA_SKIPPED)
            atomic_fetch_add(&world->wrong, 1);
    } else {
        sta_l1_invalidate(world->l1, &key, 1, NULL);
    }
    atomic_store(&world->acked[index], version);
    pthread_mutex_unlock(&world->write_lock[index]);
}

static void act_upkeep(struct actor *actor)
{
    struct world *world = actor->world;
    struct sta_l1_statistics numbers;
    switch (sta_random_below(&actor->random, 40)) {
    case 0:
        sta_l1_clear(world->l1);
        break;
    case 1:
        sta_l1_resize(world->l1, 20000 + sta_random_below(&actor->random, 200000), 0);
        break;
    case 2:
        if (!sta_l1_valid(world->l1))
            atomic_fetch_add(&world->wrong, 1);
        break;
    case 3:
        sta_l1_statistics(world->l1, &numbers);
        break;
    default:
        sta_l1_sweep(world->l1, 1, 50);
        break;
    }
}

static void *act(void *arg)
{
    struct actor *actor = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t index = sta_random_below(&actor->random, KEYS);
        uint64_t what = sta_random_below(&actor->random, 1000);
        if (what < 400)
            act_read(actor, index);
        else if (what < 800)
            act_copy(actor, index);
        else if (what < 990)
            act_write(actor, index, what % 2 == 0);
        else
            act_upkeep(actor);
    }
    return NULL;
}

static void run(uint64_t max_bytes, uint64_t max_entries)
{
    struct world *world = calloc(1, sizeof *world);
    struct sta_l1_config config = {
        .max_bytes = max_bytes, .max_entries = max_entries, .hash_seed = 5};
    assert_int_equal(sta_l1_create(&world->l1, &config), STRATA_OK);
    for (int i = 0; i < KEYS; i++)
        pthread_mutex_init(&world->write_lock[i], NULL);
    struct actor actors[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        actors[i] = (struct actor){.world = world, .random = i + 1};
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(actors[i].thread, NULL);
    assert_int_equal(atomic_load(&world->wrong), 0);
    assert_true(atomic_load(&world->hits) > 0);
    assert_true(sta_l1_valid(world->l1));
    for (int i = 0; i < KEYS; i++)
        pthread_mutex_destroy(&world->write_lock[i]);
    sta_l1_destroy(&world->l1);
    free(world);
}

static void threads_never_see_a_torn_or_an_overtaken_value(void **state)
{
    (void)state;
    run(8 << 20, 0);
}

static void nor_do_they_where_the_tier_is_too_small_for_all(void **state)
{
    (void)state;
    run(60000, 100);
}

/* Copies and leases while memory is used again all the time: few keys, fewer places, and every
 * value is new. */
static void *churn(void *arg)
{
    struct actor *actor = arg;
    struct world *world = actor->world;
    uint8_t bytes[LARGE];
    char name[24];
    for (int i = 0; i < ROUNDS / 4; i++) {
        uint64_t index = sta_random_below(&actor->random, 16);
        struct sta_key key = key_at(world, index, name);
        struct sta_l1_copy copy = {.buffer = bytes, .cap = sizeof bytes};
        struct sta_l1_lease lease;
        uint64_t version;
        if (i % 4 != 0 && sta_l1_copy(world->l1, &key, 1, &copy) == STRATA_OK) {
            if (!value_read(strata_bytes(bytes, copy.len), index, &version))
                atomic_fetch_add(&world->wrong, 1);
        } else if (sta_l1_get(world->l1, &key, 1, &lease) == STRATA_OK) {
            if (!value_read(lease.value, index, &version))
                atomic_fetch_add(&world->wrong, 1);
            sta_l1_release(world->l1, &lease);
        }
        index = sta_random_below(&actor->random, 16);
        key = key_at(world, index, name);
        value_make(bytes, index, sta_random_next(&actor->random), LARGE);
        struct sta_l1_entry entry = {.value = strata_bytes(bytes, LARGE), .deadline_ms = STA_NEVER};
        sta_l1_set(world->l1, &key, &entry, 1);
    }
    return NULL;
}

static void memory_that_is_used_again_is_never_seen_in_an_answer(void **state)
{
    (void)state;
    struct world *world = calloc(1, sizeof *world);
    struct sta_l1_config config = {.max_bytes = 6 << 20, .max_entries = 8, .hash_seed = 5};
    assert_int_equal(sta_l1_create(&world->l1, &config), STRATA_OK);
    struct actor actors[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        actors[i] = (struct actor){.world = world, .random = i + 1};
        assert_int_equal(pthread_create(&actors[i].thread, NULL, churn, &actors[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(actors[i].thread, NULL);
    assert_int_equal(atomic_load(&world->wrong), 0);
    assert_true(sta_l1_valid(world->l1));
    sta_l1_destroy(&world->l1);
    free(world);
}

/* Many threads over bounds that hold at every moment that one of them looks. */
static void *fill_and_look(void *arg)
{
    struct actor *actor = arg;
    struct sta_l1 *l1 = actor->world->l1;
    uint8_t bytes[VALUE];
    char name[24];
    for (int i = 0; i < ROUNDS / 4; i++) {
        uint64_t index = sta_random_next(&actor->random) % 100000;
        struct sta_key key = key_at(actor->world, index, name);
        struct sta_l1_entry entry = entry_make(actor, bytes, index, 1);
        struct sta_l1_statistics numbers;
        sta_l1_set(l1, &key, &entry, 1);
        sta_l1_statistics(l1, &numbers);
        if (numbers.entries > 5000 || numbers.memory_bytes > 5 << 20)
            atomic_fetch_add(&actor->world->wrong, 1);
    }
    return NULL;
}

static void the_bounds_hold_while_many_threads_store(void **state)
{
    (void)state;
    struct world *world = calloc(1, sizeof *world);
    struct sta_l1_config config = {.max_bytes = 5 << 20, .max_entries = 5000, .hash_seed = 5};
    assert_int_equal(sta_l1_create(&world->l1, &config), STRATA_OK);
    struct actor actors[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        actors[i] = (struct actor){.world = world, .random = i + 1};
        assert_int_equal(pthread_create(&actors[i].thread, NULL, fill_and_look, &actors[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(actors[i].thread, NULL);
    assert_int_equal(atomic_load(&world->wrong), 0);
    assert_true(sta_l1_valid(world->l1));
    sta_l1_destroy(&world->l1);
    free(world);
}

/* Sets a key and takes it away again: what the lane's owner adds, others subtract. */
static void *come_and_go(void *arg)
{
    struct actor *actor = arg;
    uint8_t bytes[VALUE];
    char name[24];
    while (atomic_load(&actor->world->hits) == 0) {
        uint64_t index = sta_random_next(&actor->random) % 4;
        struct sta_key key = key_at(actor->world, index, name);
        struct sta_l1_entry entry = entry_make(actor, bytes, index, 1);
        sta_l1_set(actor->world->l1, &key, &entry, 1);
        sta_l1_invalidate(actor->world->l1, &key, 1, NULL);
    }
    return NULL;
}

static void sums_of_a_tier_that_is_nearly_empty_are_never_less_than_nothing(void **state)
{
    (void)state;
    struct world *world = calloc(1, sizeof *world);
    struct sta_l1_config config = {.max_bytes = 5 << 20, .hash_seed = 5};
    assert_int_equal(sta_l1_create(&world->l1, &config), STRATA_OK);
    struct actor actors[2];
    for (uint64_t i = 0; i < 2; i++) {
        actors[i] = (struct actor){.world = world, .random = i + 1};
        assert_int_equal(pthread_create(&actors[i].thread, NULL, come_and_go, &actors[i]), 0);
    }
    uint64_t wrong = 0;
    for (int i = 0; i < 5 * ROUNDS; i++) {
        struct sta_l1_statistics numbers;
        sta_l1_statistics(world->l1, &numbers);
        wrong += numbers.entries_small > UINT32_MAX || numbers.entry_bytes > UINT32_MAX;
    }
    atomic_store(&world->hits, 1); /* over */
    for (int i = 0; i < 2; i++)
        pthread_join(actors[i].thread, NULL);
    assert_int_equal(wrong, 0);
    assert_true(sta_l1_valid(world->l1));
    sta_l1_destroy(&world->l1);
    free(world);
}

/* A resize goes down in pieces, and whoever looks in between finds bounds that are still ahead. */
static void *resize_up_and_down(void *arg)
{
    struct actor *actor = arg;
    struct sta_l1 *l1 = actor->world->l1;
    uint8_t bytes[VALUE];
    char name[24];
    for (int i = 0; i < 20 / RIG_SHORTER; i++) {
        sta_l1_resize(l1, 4 << 20, 0);
        for (uint64_t index = 0; index < 10000; index++) {
            struct sta_key key = key_at(actor->world, index, name);
            struct sta_l1_entry entry = entry_make(actor, bytes, index, 1);
            sta_l1_set(l1, &key, &entry, 1);
        }
        sta_l1_resize(l1, 64 << 10, 0);
    }
    atomic_store(&actor->world->hits, 1); /* over */
    return NULL;
}

static void a_tier_is_valid_in_the_middle_of_a_resize(void **state)
{
    (void)state;
    struct world *world = calloc(1, sizeof *world);
    struct sta_l1_config config = {.max_bytes = 4 << 20, .hash_seed = 5};
    assert_int_equal(sta_l1_create(&world->l1, &config), STRATA_OK);
    struct actor actor = {.world = world, .random = 1};
    assert_int_equal(pthread_create(&actor.thread, NULL, resize_up_and_down, &actor), 0);
    uint64_t invalid = 0;
    const struct timespec pause = {.tv_nsec =
                                       1000000}; /* a check has all locks: others want them, too */
    while (atomic_load(&world->hits) == 0) {
        invalid += !sta_l1_valid(world->l1);
        (void)nanosleep(&pause, NULL);
    }
    pthread_join(actor.thread, NULL);
    assert_int_equal(invalid, 0);
    sta_l1_destroy(&world->l1);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_never_see_a_torn_or_an_overtaken_value),
        cmocka_unit_test(nor_do_they_where_the_tier_is_too_small_for_all),
        cmocka_unit_test(memory_that_is_used_again_is_never_seen_in_an_answer),
        cmocka_unit_test(the_bounds_hold_while_many_threads_store),
        cmocka_unit_test(sums_of_a_tier_that_is_nearly_empty_are_never_less_than_nothing),
        cmocka_unit_test(a_tier_is_valid_in_the_middle_of_a_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
