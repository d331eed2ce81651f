/* SPDX-License-Identifier: MIT
 *
 * Reads of many rows by their keys, past the cache and through it. The same cases for each kind of
 * database.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repository/driver.h"
#include "support/wait.h"

#define PATIENT_MS 30000
#define ROWS       150

static const char *url;
static struct repository_user user;
static struct repository_user other;

/* ---- a database whose statements can be held, or followed by something ---- */

static struct strata_driver watched;
static atomic_uint held;         /* statements that are waited in */
static atomic_uint hold;         /* that many of those to come are to wait */
static atomic_bool let_go;       /* they may end */
static void (*afterwards)(void); /* once, behind a statement */

static bool may_go(void *arg)
{
    (void)arg;
    return atomic_load(&let_go);
}

static int run_watched(struct sta_connection *connection, const struct sta_sql *sql,
                       struct strata_error *error)
{
    int status = repository_rig_driver()->run(connection, sql, error);
    void (*now)(void) = afterwards;
    if (sql->column_count != machine_model.column_count)
        return status; /* the sweep's */
    if (now != NULL) {
        afterwards = NULL;
        now();
    }
    if (atomic_load(&hold) > 0) {
        (void)atomic_fetch_sub(&hold, 1);
        (void)atomic_fetch_add(&held, 1);
        assert_true(wait_until(may_go, NULL, PATIENT_MS));
    }
    return status;
}

/* ---- fixtures ---- */

static int open_users(void **state)
{
    const struct strata_database_options calm = {.sweep_ms = 3600000};
    (void)cache_rig_flush(state);
    url = repository_rig_fresh();
    watched = *repository_rig_driver();
    watched.run = run_watched;
    atomic_store(&held, 0);
    atomic_store(&hold, 0);
    atomic_store(&let_go, false);
    afterwards = NULL;
    repository_user_open_as(&user, url, (struct strata_options){0}, calm, &watched);
    repository_user_open(&other, url, (struct strata_options){0});
    return 0;
}

static int close_users(void **state)
{
    (void)state;
    repository_user_close(&other);
    repository_user_close(&user);
    return 0;
}

/* Machines with the keys 1 to ROWS that cost what their key is. */
static void create_all(void)
{
    static struct machine machines[ROWS];
    static char names[ROWS][8];
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i + 1);
        machines[i] = machine_of(names[i], "a", i + 1);
        machines[i].id = i + 1;
    }
    if (strata_repository_create_many(user.machines, NULL, machines, ROWS, NULL, &user.error) !=
        STRATA_OK)
        fail_msg("%s", user.error.text);
}

static uint64_t asked(void)
{
    return repository_numbers(&user).statements;
}

struct reading {
    struct strata_transaction *transaction;
    bool cached;
    size_t count;
    struct strata_field keys[2 * ROWS];
    struct strata_rows found[2 * ROWS];
    int statuses[2 * ROWS];
    struct strata_error error;
};

static int read_many(struct reading *reading)
{
    return reading->cached
               ? strata_repository_find_many_cached(user.machines, reading->keys, reading->count,
                                                    reading->found, reading->statuses,
                                                    &reading->error)
               : strata_repository_find_many(user.machines, reading->transaction, reading->keys,
                                             reading->count, reading->found, reading->statuses,
                                             &reading->error);
}

/* Each is of its key, and costs what that is; beyond ROWS there are none. */
static void assert_answered(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        int64_t id = reading->keys[i].of.integer;
        assert_int_equal(reading->statuses[i], id <= ROWS ? STRATA_OK : STRATA_MISS);
        assert_int_equal(reading->found[i].count, id <= ROWS ? 1 : 0);
        if (id <= ROWS) {
            assert_int_equal(((const struct machine *)reading->found[i].rows)->id, id);
            assert_true(((const struct machine *)reading->found[i].rows)->cost == (double)id);
        }
        strata_rows_release(&reading->found[i]);
    }
}

static void want(struct reading *reading, int64_t first, int64_t last)
{
    int64_t step = first <= last ? 1 : -1;
    for (int64_t id = first;; id += step) {
        reading->keys[reading->count++] = strata_field_integer(id);
        if (id == last)
            break;
    }
}

/* ---- past the cache ---- */

static void rows_come_in_the_order_of_their_keys(void **state)
{
    (void)state;
    static struct reading reading;
    create_all();
    for (int cached = 0; cached < 2; cached++) {
        uint64_t before = asked();
        reading = (struct reading){.cached = cached};
        want(&reading, ROWS + 2, 1); /* two that are not there */
        want(&reading, 7, 9);        /* and three again */
        assert_int_equal(read_many(&reading), STRATA_OK);
        assert_answered(&reading);
        assert_int_equal(asked() - before, 3); /* 155 keys */
    }
    reading = (struct reading){0};
    assert_int_equal(read_many(&reading), STRATA_OK);
}

static void a_transaction_sees_what_it_has_changed(void **state)
{
    (void)state;
    static struct reading reading;
    create_all();
    reading = (struct reading){0};
    assert_int_equal(strata_transaction_begin(&reading.transaction, user.database, &user.error),
                     STRATA_OK);
    assert_int_equal(machine_set_cost(&user, reading.transaction, 2, 77), STRATA_OK);
    want(&reading, 1, 3);
    assert_int_equal(read_many(&reading), STRATA_OK);
    assert_true(((const struct machine *)reading.found[1].rows)->cost == 77);
    for (size_t i = 0; i < 3; i++)
        strata_rows_release(&reading.found[i]);
    strata_transaction_rollback(&reading.transaction);
    assert_int_equal(read_many(&reading), STRATA_OK);
    assert_answered(&reading);
}

static void what_is_no_key_is_an_error_of_its_own(void **state)
{
    (void)state;
    static struct reading reading;
    create_all();
    for (int cached = 0; cached < 2; cached++) {
        reading = (struct reading){.cached = cached};
        want(&reading, 1, 3);
        reading.keys[1] = strata_field_text("2");
        assert_int_equal(read_many(&reading), STRATA_ERR_INVALID);
        assert_int_equal(reading.error.status, STRATA_ERR_INVALID);
        assert_int_equal(reading.statuses[0], STRATA_OK);
        assert_int_equal(reading.statuses[1], STRATA_ERR_INVALID);
        assert_int_equal(reading.statuses[2], STRATA_OK);
        for (size_t i = 0; i < 3; i++)
            strata_rows_release(&reading.found[i]);
    }
}

static void a_statement_that_fails_is_the_answer_to_all_of_its_keys(void **state)
{
    (void)state;
    static struct reading reading;
    repository_rig_sql(url, "DROP TABLE machines");
    for (int cached = 0; cached < 2; cached++) {
        reading = (struct reading){.cached = cached};
        want(&reading, 1, 3);
        assert_int_equal(read_many(&reading), STRATA_ERR_DATABASE);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(reading.statuses[i], STRATA_ERR_DATABASE);
            assert_null(reading.found[i].rows);
        }
        assert_non_null(strstr(reading.error.text, "machines"));
    }
}

/* ---- keys that are texts ---- */

struct label {
    const char *name;
    int64_t number;
};

static const struct strata_column label_columns[] = {
    {"name", STRATA_TYPE_TEXT, STRATA_COLUMN_KEY, offsetof(struct label, name), 0},
    {"number", STRATA_TYPE_INTEGER, 0, offsetof(struct label, number), 0},
};

static const struct strata_model label_model = {
    .table = "labels", .columns = label_columns, .column_count = 2, .size = sizeof(struct label)};

static void texts_are_keys_too(void **state)
{
    (void)state;
    static char long_name[2000];
    struct strata_repository *labels = NULL;
    const struct label made[] = {{"", 0}, {"it's", 1}, {"IT'S", 2}, {long_name, 3}};
    struct strata_rows found[6];
    int statuses[6];
    memset(long_name, 'x', sizeof long_name - 1);
    assert_int_equal(strata_repository_open(&labels, user.database, &label_model, &user.error),
                     STRATA_OK);
    assert_int_equal(strata_repository_create_table(labels, &user.error), STRATA_OK);
    assert_int_equal(strata_repository_create_many(labels, NULL, made, 4, NULL, &user.error),
                     STRATA_OK);
    const struct strata_field keys[] = {strata_field_text(long_name), strata_field_text("IT'S"),
                                        strata_field_text("it's"),    strata_field_text(""),
                                        strata_field_text("It's"),    strata_field_text("it's")};
    static const int numbers[] = {3, 2, 1, 0, -1, 1};
    for (int round = 0; round < 3; round++) {
        int status =
            round == 0
                ? strata_repository_find_many(labels, NULL, keys, 6, found, statuses, &user.error)
                : strata_repository_find_many_cached(labels, keys, 6, found, statuses, &user.error);
        assert_int_equal(status, STRATA_OK);
        for (size_t i = 0; i < 6; i++) {
            assert_int_equal(statuses[i], numbers[i] < 0 ? STRATA_MISS : STRATA_OK);
            if (numbers[i] >= 0)
                assert_int_equal(((const struct label *)found[i].rows)->number, numbers[i]);
            strata_rows_release(&found[i]);
        }
    }
    strata_repository_close(&labels);
}

/* ---- several at a time ---- */

static void *read_on_a_thread(void *reading)
{
    return read_many(reading) == STRATA_OK ? reading : NULL;
}

static bool is_held(void *arg)
{
    (void)arg;
    return atomic_load(&held) == 1;
}

static bool has_asked(void *count)
{
    return asked() >= *(uint64_t *)count;
}

/* The second asks for what the first does not, and waits for the rest. */
static void a_row_that_another_call_asks_for_is_not_asked_for_again(void **state)
{
    (void)state;
    static struct reading one, two;
    pthread_t first, second;
    void *done;
    create_all();
    one = (struct reading){.cached = true};
    two = (struct reading){.cached = true};
    want(&one, 1, 20);
    want(&two, 40, 1);
    /* Their versions are there, or each would make its own. */
    assert_int_equal(read_many(&two), STRATA_OK);
    assert_answered(&two);
    for (int64_t id = 1; id <= 40; id++) {
        char key[32];
        (void)snprintf(key, sizeof key, "machines:id:%d", (int)id);
        assert_int_equal(strata_delete(user.cache, strata_text(key)), STRATA_OK);
    }
    struct strata_repository_statistics before = repository_numbers(&user), after;
    uint64_t both = before.statements + 2;
    atomic_store(&hold, 1);
    assert_int_equal(pthread_create(&first, NULL, read_on_a_thread, &one), 0);
    assert_true(wait_until(is_held, NULL, PATIENT_MS));
    assert_int_equal(pthread_create(&second, NULL, read_on_a_thread, &two), 0);
    assert_true(wait_until(has_asked, &both, PATIENT_MS));
    atomic_store(&let_go, true);
    (void)pthread_join(first, &done);
    assert_ptr_equal(done, &one);
    (void)pthread_join(second, &done);
    assert_ptr_equal(done, &two);
    assert_answered(&one);
    assert_answered(&two);
    after = repository_numbers(&user);
    assert_int_equal(after.statements, both);
    assert_int_equal(after.joined + after.hits, before.joined + before.hits + 20);
}

static void *read_again_and_again(void *reading)
{
    for (int i = 0; i < 100; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "machines:id:%d", i % 40 + 1);
        if (read_many(reading) != STRATA_OK)
            return NULL;
        assert_answered(reading);
        (void)strata_delete(user.cache, strata_text(key));
    }
    return reading;
}

static void calls_that_want_the_same_in_another_order_end(void **state)
{
    (void)state;
    static struct reading readings[4];
    pthread_t threads[4];
    void *done;
    create_all();
    for (int i = 0; i < 4; i++) {
        readings[i] = (struct reading){.cached = true};
        want(&readings[i], i % 2 == 0 ? 1 : 40, i % 2 == 0 ? 40 : 1);
        assert_int_equal(pthread_create(&threads[i], NULL, read_again_and_again, &readings[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], &done);
        assert_ptr_equal(done, &readings[i]);
    }
}

/* ---- what changes meanwhile ---- */

static void change_the_second(void)
{
    assert_int_equal(machine_set_cost(&other, NULL, 2, 77), STRATA_OK);
}

static bool second_costs_77(void *arg)
{
    (void)arg;
    return machine_cost(&user, 2) == 77;
}

static void what_changes_behind_the_statement_is_not_kept_as_it_was(void **state)
{
    (void)state;
    static struct reading reading;
    create_all();
    reading = (struct reading){.cached = true};
    want(&reading, 1, 3);
    afterwards = change_the_second;
    assert_int_equal(read_many(&reading), STRATA_OK);
    assert_answered(&reading); /* it was so when it was asked */
    assert_true(wait_until(second_costs_77, NULL, PATIENT_MS));
    assert_true(machine_cost(&user, 1) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_come_in_the_order_of_their_keys, open_users,
                                        close_users),
        cmocka_unit_test_setup_teardown(a_transaction_sees_what_it_has_changed, open_users,
                                        close_users),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_an_error_of_its_own, open_users,
                                        close_users),
        cmocka_unit_test_setup_teardown(a_statement_that_fails_is_the_answer_to_all_of_its_keys,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(texts_are_keys_too, open_users, close_users),
        cmocka_unit_test_setup_teardown(a_row_that_another_call_asks_for_is_not_asked_for_again,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(calls_that_want_the_same_in_another_order_end, open_users,
                                        close_users),
        cmocka_unit_test_setup_teardown(what_changes_behind_the_statement_is_not_kept_as_it_was,
                                        open_users, close_users),
    };
    return cmocka_run_group_tests(tests, repository_rig_start, repository_rig_stop);
}
