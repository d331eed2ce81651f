/* SPDX-License-Identifier: MIT
 *
 * When L1 may take in what a read or a write brought: case by case, and in a model where readers
 * and writers of one key meet in every order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "core/random.h"
#include "daemon/write_window.h"
#include "l1/l1.h"
#include "strata/status.h"

#define HASH UINT64_C(0x123456789abcdef0)

static int make_window(void **state)
{
    return sta_write_window_create((struct sta_write_window **)state);
}

static int drop_window(void **state)
{
    sta_write_window_destroy((struct sta_write_window **)state);
    return 0;
}

static void without_writes_fills_are_admitted(void **state)
{
    uint64_t epoch = sta_write_window_epoch(*state);
    assert_true(sta_write_window_admits_fill(*state, HASH, epoch));
}

static void during_a_write_of_the_key_nothing_is_filled(void **state)
{
    uint64_t epoch = sta_write_window_epoch(*state);
    sta_write_window_begin(*state, HASH);
    assert_false(sta_write_window_admits_fill(*state, HASH, epoch));
    assert_true(sta_write_window_admits_fill(*state, ~HASH, epoch));
    sta_write_window_begin(*state, HASH);
    sta_write_window_end(*state, HASH);
    assert_false(sta_write_window_admits_fill(*state, HASH, epoch));
    sta_write_window_end(*state, HASH);
    assert_true(sta_write_window_admits_fill(*state, HASH, epoch));
}

static void only_a_write_that_is_alone_may_publish(void **state)
{
    uint64_t epoch = sta_write_window_epoch(*state);
    sta_write_window_begin(*state, HASH);
    assert_true(sta_write_window_admits_publish(*state, HASH, epoch));
    sta_write_window_begin(*state, HASH);
    assert_false(sta_write_window_admits_publish(*state, HASH, epoch));
    sta_write_window_end(*state, HASH);
    sta_write_window_end(*state, HASH);
}

static void in_doubt_nothing_is_admitted(void **state)
{
    uint64_t before = sta_write_window_epoch(*state);
    sta_write_window_begin(*state, HASH);
    sta_write_window_doubt_begin(*state);
    uint64_t during = sta_write_window_epoch(*state);
    assert_false(sta_write_window_admits_fill(*state, ~HASH, before));
    assert_false(sta_write_window_admits_fill(*state, ~HASH, during));
    assert_false(sta_write_window_admits_publish(*state, HASH, during));
    sta_write_window_doubt_begin(*state);
    sta_write_window_doubt_end(*state);
    assert_false(sta_write_window_admits_fill(*state, ~HASH, during));
    sta_write_window_doubt_end(*state);
    sta_write_window_end(*state, HASH);
}

static void what_began_before_or_in_a_doubt_is_never_admitted(void **state)
{
    uint64_t before = sta_write_window_epoch(*state);
    sta_write_window_doubt_begin(*state);
    uint64_t during = sta_write_window_epoch(*state);
    sta_write_window_doubt_end(*state);
    assert_false(sta_write_window_admits_fill(*state, HASH, before));
    assert_false(sta_write_window_admits_fill(*state, HASH, during));
    assert_true(sta_write_window_admits_fill(*state, HASH, sta_write_window_epoch(*state)));
}

static void destroy_takes_nothing(void **state)
{
    (void)state;
    struct sta_write_window *window = NULL;
    sta_write_window_destroy(&window);
    assert_null(window);
}

/* ---- a model ----
 *
 * One key whose value in "Redis" only grows. Writers follow the rule of writes, readers that of
 * reads, one step at a time: asked, executed, answered. Each remembers the highest value it has
 * been given, and must never be given a lower one. */
#define ACTORS 4

struct model {
    struct sta_write_window *window;
    struct sta_l1 *l1;
    struct sta_key key;
    _Atomic uint64_t redis;
    _Atomic bool backwards;
};

enum phase { IDLE, READ_ASKED, READ_EXECUTED, WRITE_ASKED, WRITE_EXECUTED };

struct actor {
    struct model *model;
    pthread_t thread;
    uint64_t random;
    uint64_t seen;
    enum phase phase;
    struct sta_l1_token token;
    uint64_t epoch;
    uint64_t value;
};

static void see(struct actor *actor, uint64_t value)
{
    if (value < actor->seen)
        atomic_store(&actor->model->backwards, true);
    actor->seen = value;
}

static struct sta_l1_entry entry_of(const uint64_t *value)
{
    return (struct sta_l1_entry){.value = strata_bytes(value, sizeof *value), .deadline_ms = 1000};
}

static enum phase begin_read(struct actor *actor)
{
    struct model *model = actor->model;
    struct sta_l1_lease lease = {0};
    uint64_t value;
    if (sta_l1_get(model->l1, &model->key, 1, &lease) == STRATA_OK) {
        memcpy(&value, lease.value.data, sizeof value);
        sta_l1_release(model->l1, &lease);
        see(actor, value);
        return IDLE;
    }
    actor->epoch = sta_write_window_epoch(model->window);
    actor->token = sta_l1_token(model->l1, &model->key);
    return READ_ASKED;
}

static enum phase end_read(struct actor *actor)
{
    struct model *model = actor->model;
    struct sta_l1_entry entry = entry_of(&actor->value);
    if (sta_write_window_admits_fill(model->window, model->key.hash, actor->epoch))
        (void)sta_l1_fill(model->l1, &model->key, &entry, actor->token, 1);
    see(actor, actor->value);
    return IDLE;
}

static enum phase begin_write(struct actor *actor)
{
    struct model *model = actor->model;
    actor->epoch = sta_write_window_epoch(model->window);
    sta_write_window_begin(model->window, model->key.hash);
    actor->token = sta_l1_invalidate(model->l1, &model->key, 1, NULL);
    return WRITE_ASKED;
}

static enum phase end_write(struct actor *actor)
{
    struct model *model = actor->model;
    struct sta_l1_entry entry = entry_of(&actor->value);
    if (sta_write_window_admits_publish(model->window, model->key.hash, actor->epoch))
        (void)sta_l1_publish(model->l1, &model->key, &entry, actor->token, 1);
    else
        (void)sta_l1_invalidate(model->l1, &model->key, 1, NULL);
    sta_write_window_end(model->window, model->key.hash);
    see(actor, actor->value);
    return IDLE;
}

static void step(struct actor *actor)
{
    struct model *model = actor->model;
    switch (actor->phase) {
    case IDLE:
        actor->phase =
            sta_random_below(&actor->random, 8) == 0 ? begin_write(actor) : begin_read(actor);
        return;
    case READ_ASKED:
        actor->value = atomic_load(&model->redis);
        actor->phase = READ_EXECUTED;
        return;
    case READ_EXECUTED:
        actor->phase = end_read(actor);
        return;
    case WRITE_ASKED:
        actor->value = atomic_fetch_add(&model->redis, 1) + 1;
        actor->phase = WRITE_EXECUTED;
        return;
    case WRITE_EXECUTED:
        actor->phase = end_write(actor);
        return;
    }
}

static void model_init(struct model *model, struct actor actors[ACTORS], void **state)
{
    const struct sta_l1_config config = {.max_bytes = (uint64_t)1 << 20, .hash_seed = 7};
    *model = (struct model){.window = *state};
    assert_int_equal(sta_l1_create(&model->l1, &config), STRATA_OK);
    model->key = sta_l1_key(model->l1, strata_text("k"));
    for (unsigned i = 0; i < ACTORS; i++)
        actors[i] = (struct actor){.model = model, .random = i};
}

/* Ends what is under way, so that the window is free again. */
static void model_fini(struct model *model, struct actor actors[ACTORS])
{
    struct sta_l1_statistics statistics;
    for (unsigned i = 0; i < ACTORS; i++)
        while (actors[i].phase != IDLE)
            step(&actors[i]);
    assert_false(atomic_load(&model->backwards));
    sta_l1_statistics(model->l1, &statistics);
    assert_true(statistics.hits > 0);
    assert_true(statistics.fills > 0);
    sta_l1_destroy(&model->l1);
}

static void in_no_order_of_steps_do_values_run_backwards(void **state)
{
    struct model model;
    struct actor actors[ACTORS];
    uint64_t random = 1;
    model_init(&model, actors, state);
    for (unsigned i = 0; i < 500000; i++)
        step(&actors[sta_random_below(&random, ACTORS)]);
    model_fini(&model, actors);
}

static void *act(void *arg)
{
    for (unsigned i = 0; i < 100000; i++)
        step(arg);
    return NULL;
}

static void nor_on_threads(void **state)
{
    struct model model;
    struct actor actors[ACTORS];
    model_init(&model, actors, state);
    for (unsigned i = 0; i < ACTORS; i++)
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    for (unsigned i = 0; i < ACTORS; i++)
        assert_int_equal(pthread_join(actors[i].thread, NULL), 0);
    model_fini(&model, actors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_writes_fills_are_admitted),
        cmocka_unit_test(during_a_write_of_the_key_nothing_is_filled),
        cmocka_unit_test(only_a_write_that_is_alone_may_publish),
        cmocka_unit_test(in_doubt_nothing_is_admitted),
        cmocka_unit_test(what_began_before_or_in_a_doubt_is_never_admitted),
        cmocka_unit_test(destroy_takes_nothing),
        cmocka_unit_test(in_no_order_of_steps_do_values_run_backwards),
        cmocka_unit_test(nor_on_threads),
    };
    return cmocka_run_group_tests(tests, make_window, drop_window);
}
