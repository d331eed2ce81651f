/* SPDX-License-Identifier: MIT
 *
 * How often a repository waits for PostgreSQL: round trips, counted where they are asked for. What
 * libpq is told to send alone is one, and so is a pipeline's sync. The linker leads these calls
 * through here (--wrap); those of the thread that looks for intents do not count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdio.h>

static _Thread_local unsigned trips;

static void sent(const PGconn *handle)
{
    trips += PQpipelineStatus(handle) == PQ_PIPELINE_OFF;
}

/* What the linker calls them. */
int __real_PQsendQuery(PGconn *, const char *);
int __real_PQsendQueryParams(PGconn *, const char *, int, const Oid *, const char *const *,
                             const int *, const int *, int);
int __real_PQsendPrepare(PGconn *, const char *, const char *, int, const Oid *);
int __real_PQsendQueryPrepared(PGconn *, const char *, int, const char *const *, const int *,
                               const int *, int);
int __real_PQpipelineSync(PGconn *);
int __wrap_PQsendQuery(PGconn *, const char *);
int __wrap_PQsendQueryParams(PGconn *, const char *, int, const Oid *, const char *const *,
                             const int *, const int *, int);
int __wrap_PQsendPrepare(PGconn *, const char *, const char *, int, const Oid *);
int __wrap_PQsendQueryPrepared(PGconn *, const char *, int, const char *const *, const int *,
                               const int *, int);
int __wrap_PQpipelineSync(PGconn *);

int __wrap_PQsendQuery(PGconn *handle, const char *text)
{
    sent(handle);
    return __real_PQsendQuery(handle, text);
}

int __wrap_PQsendQueryParams(PGconn *handle, const char *text, int count, const Oid *types,
                             const char *const *values, const int *lengths, const int *formats,
                             int format)
{
    sent(handle);
    return __real_PQsendQueryParams(handle, text, count, types, values, lengths, formats, format);
}

int __wrap_PQsendPrepare(PGconn *handle, const char *name, const char *text, int count,
                         const Oid *types)
{
    sent(handle);
    return __real_PQsendPrepare(handle, name, text, count, types);
}

int __wrap_PQsendQueryPrepared(PGconn *handle, const char *name, int count,
                               const char *const *values, const int *lengths, const int *formats,
                               int format)
{
    sent(handle);
    return __real_PQsendQueryPrepared(handle, name, count, values, lengths, formats, format);
}

int __wrap_PQpipelineSync(PGconn *handle)
{
    trips++;
    return __real_PQpipelineSync(handle);
}

/* ---- */

static struct repository_user user;
static struct strata_transaction *transaction; /* NULL: none is open */

/* One connection, so that what is prepared once is prepared. */
static int open_user(void **state)
{
    static const struct strata_database_options one = {.connections = 1};
    (void)state;
    repository_user_open_as(&user, repository_rig_fresh(), (struct strata_options){0}, one,
                            repository_rig_driver());
    return 0;
}

static int close_user(void **state)
{
    (void)state;
    if (transaction != NULL) /* a case that failed: closing would wait for its connection */
        strata_transaction_rollback(&transaction);
    repository_user_close(&user);
    return 0;
}

static void must(int status)
{
    if (status != STRATA_OK)
        fail_msg("%s: %s", strata_status_name(status), user.error.text);
}

/* Round trips since the last look. */
static unsigned look(void)
{
    unsigned seen = trips;
    trips = 0;
    return seen;
}

static void remove_machine(int64_t id)
{
    must(strata_repository_delete(user.machines, NULL, strata_field_integer(id), &user.error));
}

static void each_change_is_two_round_trips(void **state)
{
    (void)state;
    struct machine machine = machine_of("second", "p", 1);
    for (int time = 0; time < 2; time++) { /* the first prepares */
        (void)look();
        int64_t id = machine_create(&user, "first", "p", 1);
        unsigned creating = look();
        must(machine_set_cost(&user, NULL, id, 2));
        unsigned setting = look();
        machine.id = id;
        must(strata_repository_update(user.machines, NULL, &machine, NULL, &user.error));
        unsigned updating = look();
        remove_machine(id);
        unsigned removing = look();
        if (time == 0)
            continue;
        assert_int_equal(creating, 2);
        assert_int_equal(setting, 2);
        assert_int_equal(updating, 2);
        assert_int_equal(removing, 2);
    }
}

static void changes_of_a_transaction_are_one_each_and_one_for_the_commit(void **state)
{
    (void)state;
    struct strata_rows found = {0};
    int64_t id = machine_create(&user, "first", "p", 1);
    must(machine_set_cost(&user, NULL, id, 2)); /* it is prepared */
    must(
        strata_repository_find(user.machines, NULL, strata_field_integer(id), &found, &user.error));
    strata_rows_release(&found);
    (void)look();
    must(strata_transaction_begin(&transaction, user.database, &user.error));
    assert_int_equal(look(), 0);
    must(strata_repository_find(user.machines, transaction, strata_field_integer(id), &found,
                                &user.error));
    strata_rows_release(&found);
    assert_int_equal(look(), 1);
    must(machine_set_cost(&user, transaction, id, 3));
    must(machine_set_cost(&user, transaction, id, 4));
    assert_int_equal(look(), 2);
    must(strata_transaction_commit(&transaction, &user.error));
    assert_int_equal(look(), 1);
    assert_true(machine_cost(&user, id) == 4);

    /* One that asks nothing asks nothing. */
    (void)look();
    must(strata_transaction_begin(&transaction, user.database, &user.error));
    must(strata_transaction_commit(&transaction, &user.error));
    must(strata_transaction_begin(&transaction, user.database, &user.error));
    strata_transaction_rollback(&transaction);
    assert_int_equal(look(), 0);
}

static void many_rows_are_as_few_as_one(void **state)
{
    (void)state;
    enum { ROWS = 100 };
    static char names[ROWS][16];
    static struct machine machines[ROWS];
    struct strata_rows made = {0};
    struct strata_field keys[ROWS];
    size_t removed = 0;
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        machines[i] = machine_of(names[i], "p", 1);
    }
    for (int time = 0; time < 2; time++) {
        (void)look();
        must(
            strata_repository_create_many(user.machines, NULL, machines, ROWS, &made, &user.error));
        unsigned creating = look();
        must(
            strata_repository_update_many(user.machines, NULL, made.rows, ROWS, NULL, &user.error));
        unsigned updating = look();
        for (int i = 0; i < ROWS; i++)
            keys[i] = strata_field_integer(((const struct machine *)made.rows)[i].id);
        must(strata_repository_delete_many(user.machines, NULL, keys, ROWS, &removed, &user.error));
        unsigned removing = look();
        strata_rows_release(&made);
        assert_int_equal(removed, ROWS);
        if (time == 0)
            continue;
        assert_int_equal(creating, 2);
        assert_int_equal(updating, 3); /* all are there before any is changed */
        assert_int_equal(removing, 2);
    }
}

/* The SELECT of an update does not see it, its UPDATE does: what it was, and who has cached it, is
 * not known. */
static void a_row_that_comes_within_an_update_is_a_conflict(void **state)
{
    (void)state;
    const char *url = repository_rig_fresh();
    struct repository_user two;
    repository_user_open(&two, url, (struct strata_options){0});
    int64_t id = machine_create(&two, "first", "p", 1);
    repository_rig_sql(url,
                       "CREATE SEQUENCE looks; ALTER TABLE machines RENAME TO base;"
                       "CREATE VIEW machines AS SELECT * FROM base WHERE nextval('looks') % 2 = 0");
    assert_int_equal(machine_set_cost(&two, NULL, id, 2), STRATA_ERR_CONFLICT);
    repository_rig_sql(url, "DROP VIEW machines; ALTER TABLE base RENAME TO machines");
    assert_true(machine_cost(&two, id) == 1);
    repository_user_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_change_is_two_round_trips, open_user, close_user),
        cmocka_unit_test_setup_teardown(
            changes_of_a_transaction_are_one_each_and_one_for_the_commit, open_user, close_user),
        cmocka_unit_test_setup_teardown(many_rows_are_as_few_as_one, open_user, close_user),
        cmocka_unit_test(a_row_that_comes_within_an_update_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, repository_rig_start, repository_rig_stop);
}
