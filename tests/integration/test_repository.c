/* SPDX-License-Identifier: MIT
 *
 * Repositories before a real database and a real Redis: what comes back, what is answered from the
 * cache, and what falls when rows change. The same cases for each kind of database.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "repository/driver.h"
#include "support/wait.h"

static struct repository_user user;
static const char *url;

static int open_user(void **state)
{
    (void)cache_rig_flush(state);
    url = repository_rig_fresh();
    repository_user_open(&user, url, (struct strata_options){0});
    return 0;
}

static int close_user(void **state)
{
    (void)state;
    repository_user_close(&user);
    return 0;
}

/* Cached reads from now on that the database was asked for. */
static uint64_t asked(void)
{
    return repository_numbers(&user).statements;
}

static void assert_machine(const struct machine *got, const struct machine *expected)
{
    assert_string_equal(got->name, expected->name);
    assert_string_equal(got->provider, expected->provider);
    assert_true(got->cost == expected->cost);
    assert_int_equal(got->context_is_null, expected->context_is_null);
    assert_int_equal(got->context, expected->context);
    assert_int_equal(got->notes == NULL, expected->notes == NULL);
    if (expected->notes != NULL)
        assert_string_equal(got->notes, expected->notes);
    assert_int_equal(got->logo.data == NULL, expected->logo.data == NULL);
    assert_int_equal(got->logo.len, expected->logo.len);
    if (expected->logo.len > 0)
        assert_memory_equal(got->logo.data, expected->logo.data, expected->logo.len);
    assert_int_equal(got->enabled, expected->enabled);
    assert_int_equal(got->made, expected->made);
}

/* Through create, from the database, into the cache, and from there. */
static void assert_goes_round(struct machine machine)
{
    struct strata_rows rows = {0};
    assert_int_equal(strata_repository_create(user.machines, NULL, &machine, &rows, &user.error),
                     STRATA_OK);
    int64_t id = ((const struct machine *)rows.rows)->id;
    assert_true(id > 0);
    assert_machine(rows.rows, &machine);
    strata_rows_release(&rows);
    uint64_t before = asked();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(strata_repository_find_cached(user.machines, strata_field_integer(id),
                                                       &rows, &user.error),
                         STRATA_OK);
        assert_machine(rows.rows, &machine);
        strata_rows_release(&rows);
    }
    assert_int_equal(asked(), before + 1);
    assert_int_equal(
        strata_repository_find(user.machines, NULL, strata_field_integer(id), &rows, &user.error),
        STRATA_OK);
    assert_machine(rows.rows, &machine);
    strata_rows_release(&rows);
}

static void a_row_comes_back_as_it_was_made(void **state)
{
    (void)state;
    struct machine bare = machine_of("bare", "", -0.0);
    bare.context = 0;
    bare.context_is_null = true;
    bare.notes = NULL;
    bare.logo = strata_bytes(NULL, 0);
    bare.enabled = false;
    bare.made = -1;
    struct machine empty = machine_of("empty", "\xc3\xa9", 1e300);
    empty.context = INT64_MIN;
    empty.notes = "";
    empty.logo = strata_bytes("", 0);
    assert_goes_round(machine_of("gpt-4", "openai", 0.00003));
    assert_goes_round(bare);
    assert_goes_round(empty);
}

/* Written past the repository, in the database's own words. */
static void assert_end_of_time(int64_t id, const char *word, int64_t made)
{
    char sql[256];
    struct strata_rows rows = {0};
    const struct strata_match by = {.column = "made", .field = strata_field_timestamp(made)};
    const struct strata_query query = {.where = &by, .where_count = 1};
    uint64_t count = 0;
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO machines (id, name, provider, cost, enabled, made) "
                   "VALUES (%d, '%s', 'a', 1, true, '%s')",
                   (int)id, word, word);
    repository_rig_sql(url, sql);
    assert_int_equal(
        strata_repository_find(user.machines, NULL, strata_field_integer(id), &rows, &user.error),
        STRATA_OK);
    assert_int_equal(((const struct machine *)rows.rows)->made, made);
    assert_int_equal(strata_repository_update(user.machines, NULL, rows.rows, NULL, &user.error),
                     STRATA_OK);
    strata_rows_release(&rows);
    (void)snprintf(sql, sizeof sql, "UPDATE machines SET cost = 2 WHERE made = '%s'", word);
    repository_rig_sql(url, sql);
    assert_true(machine_cost(&user, id) == 2);
    assert_int_equal(strata_repository_count(user.machines, NULL, &query, &count, &user.error),
                     STRATA_OK);
    assert_int_equal(count, 1);
}

static void the_ends_of_time_go_round(void **state)
{
    (void)state;
    bool words = strcmp(repository_rig_driver()->name, "PostgreSQL") == 0;
    assert_end_of_time(1, words ? "infinity" : "9223372036854775807", INT64_MAX);
    assert_end_of_time(2, words ? "-infinity" : "-9223372036854775808", INT64_MIN);
}

static void what_was_found_once_is_answered_from_the_cache(void **state)
{
    (void)state;
    int64_t id = machine_create(&user, "gpt-4", "openai", 3);
    for (int i = 0; i < 4; i++) {
        assert_true(machine_cost(&user, id) == 3);
        assert_true(machine_cost_by_name(&user, "gpt-4") == 3);
        assert_int_equal(machine_listed(&user, NULL), 1);
        assert_int_equal(machine_listed(&user, "openai"), 1);
        assert_int_equal(machine_counted(&user, "openai"), 1);
    }
    assert_int_equal(asked(), 5);
    assert_int_equal(repository_numbers(&user).hits, 15);
}

static void what_is_not_there_is_remembered_until_it_is_created(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(machine_cost(&user, 1) == -1);
        assert_true(machine_cost_by_name(&user, "gpt-4") == -1);
        assert_int_equal(machine_listed(&user, "openai"), 0);
        assert_int_equal(machine_counted(&user, NULL), 0);
    }
    assert_int_equal(asked(), 4);
    assert_int_equal(machine_create(&user, "gpt-4", "openai", 3), 1);
    assert_true(machine_cost(&user, 1) == 3);
    assert_true(machine_cost_by_name(&user, "gpt-4") == 3);
    assert_int_equal(machine_listed(&user, "openai"), 1);
    assert_int_equal(machine_counted(&user, NULL), 1);
}

static void a_change_reaches_whatever_named_the_row_before_or_names_it_after(void **state)
{
    (void)state;
    struct machine machine = machine_of("gpt-4", "openai", 3);
    machine.id = machine_create(&user, "gpt-4", "openai", 3);
    assert_true(machine_cost_by_name(&user, "gpt-4") == 3);
    assert_true(machine_cost_by_name(&user, "claude") == -1);
    assert_int_equal(machine_listed(&user, "openai"), 1);
    assert_int_equal(machine_listed(&user, "anthropic"), 0);
    assert_int_equal(machine_counted(&user, "openai"), 1);

    machine.name = "claude";
    machine.provider = "anthropic";
    machine.cost = 4;
    assert_int_equal(strata_repository_update(user.machines, NULL, &machine, NULL, &user.error),
                     STRATA_OK);
    assert_true(machine_cost(&user, machine.id) == 4);
    assert_true(machine_cost_by_name(&user, "gpt-4") == -1);
    assert_true(machine_cost_by_name(&user, "claude") == 4);
    assert_int_equal(machine_listed(&user, "openai"), 0);
    assert_int_equal(machine_listed(&user, "anthropic"), 1);
    assert_int_equal(machine_counted(&user, "openai"), 0);

    assert_int_equal(strata_repository_delete(user.machines, NULL, strata_field_integer(machine.id),
                                              &user.error),
                     STRATA_OK);
    assert_true(machine_cost(&user, machine.id) == -1);
    assert_true(machine_cost_by_name(&user, "claude") == -1);
    assert_int_equal(machine_listed(&user, "anthropic"), 0);
    assert_int_equal(machine_listed(&user, NULL), 0);
}

static void a_change_leaves_what_others_rows_answer(void **state)
{
    (void)state;
    int64_t one = machine_create(&user, "one", "a", 1);
    int64_t other = machine_create(&user, "other", "b", 2);
    assert_true(machine_cost(&user, one) == 1);
    assert_true(machine_cost_by_name(&user, "one") == 1);
    assert_int_equal(machine_listed(&user, "a"), 1);
    uint64_t before = asked();
    assert_int_equal(machine_set_cost(&user, NULL, other, 5), STRATA_OK);
    assert_true(machine_cost(&user, one) == 1);
    assert_true(machine_cost_by_name(&user, "one") == 1);
    assert_int_equal(machine_listed(&user, "a"), 1);
    assert_int_equal(asked(), before);
}

static void a_column_that_is_null_is_found_and_falls(void **state)
{
    (void)state;
    const struct strata_match null = {.column = "context", .field = strata_field_null()};
    const struct strata_query query = {.where = &null, .where_count = 1};
    int64_t id = machine_create(&user, "one", "a", 1);
    const struct strata_change change = {"context", strata_field_null()};
    uint64_t count = 7;
    assert_int_equal(strata_repository_count_cached(user.machines, &query, &count, &user.error),
                     STRATA_OK);
    assert_int_equal(count, 0);
    assert_int_equal(strata_repository_update_columns(user.machines, NULL, strata_field_integer(id),
                                                      &change, 1, NULL, &user.error),
                     STRATA_OK);
    assert_int_equal(strata_repository_count_cached(user.machines, &query, &count, &user.error),
                     STRATA_OK);
    assert_int_equal(count, 1);
}

/* The names that a query lists, through the cache and past it, one after the other. */
static void assert_names(const struct strata_query *query, const char *expected)
{
    struct strata_rows rows = {0};
    for (int i = 0; i < 2; i++) {
        char names[128] = "";
        int status = i == 0
                         ? strata_repository_list_cached(user.machines, query, &rows, &user.error)
                         : strata_repository_list(user.machines, NULL, query, &rows, &user.error);
        assert_int_equal(status, STRATA_OK);
        for (size_t row = 0; row < rows.count; row++)
            strcat(names, ((const struct machine *)rows.rows)[row].name);
        strata_rows_release(&rows);
        assert_string_equal(names, expected);
    }
}

static void lists_are_filtered_ordered_and_cut(void **state)
{
    (void)state;
    const struct machine machines[] = {machine_of("a", "x", 5), machine_of("b", "y", 4),
                                       machine_of("c", "x", 3), machine_of("d", "y", 3)};
    struct strata_rows made = {0};
    assert_int_equal(
        strata_repository_create_many(user.machines, NULL, machines, 4, &made, &user.error),
        STRATA_OK);
    assert_int_equal(made.count, 4);
    strata_rows_release(&made);
    struct strata_match where[2] = {{.column = "provider", .field = strata_field_text("x")},
                                    {"cost", STRATA_AT_LEAST, strata_field_real(4)}};
    assert_names(NULL, "abcd");
    assert_names(&(struct strata_query){.where = where, .where_count = 1}, "ac");
    assert_names(&(struct strata_query){.where = where, .where_count = 2}, "a");
    assert_names(&(struct strata_query){.order_by = "cost"}, "cdba");
    assert_names(&(struct strata_query){.order_by = "cost", .descending = true}, "abdc");
    assert_names(&(struct strata_query){.order_by = "cost", .limit = 2, .offset = 1}, "db");
    assert_names(&(struct strata_query){.offset = 3}, "d");
    where[1].is = STRATA_LESS;
    assert_names(&(struct strata_query){.where = where + 1, .where_count = 1}, "cd");
    where[1].is = STRATA_NOT_EQUAL;
    where[1].field = strata_field_real(3);
    assert_names(&(struct strata_query){.where = where + 1, .where_count = 1}, "ab");
    where[1] = (struct strata_match){"notes", STRATA_NOT_EQUAL, strata_field_null()};
    assert_names(&(struct strata_query){.where = where + 1, .where_count = 1}, "abcd");
    where[1] = (struct strata_match){"notes", STRATA_EQUAL, strata_field_text("' OR ''='")};
    assert_names(&(struct strata_query){.where = where + 1, .where_count = 1}, "");
}

static void several_columns_name_a_row(void **state)
{
    (void)state;
    (void)machine_create(&user, "a", "x", 1);
    int64_t id = machine_create(&user, "b", "x", 2);
    struct strata_rows rows = {0};
    const struct strata_match by[] = {{.column = "provider", .field = strata_field_text("x")},
                                      {.column = "name", .field = strata_field_text("b")}};
    for (int cost = 2; cost < 4; cost++) {
        assert_int_equal(
            strata_repository_find_one_by_cached(user.machines, by, 2, &rows, &user.error),
            STRATA_OK);
        assert_true(((const struct machine *)rows.rows)->cost == cost);
        strata_rows_release(&rows);
        assert_int_equal(machine_set_cost(&user, NULL, id, cost + 1), STRATA_OK);
    }
}

static void many_rows_are_changed_and_found_together(void **state)
{
    (void)state;
    struct machine machines[40];
    struct strata_field keys[41];
    struct strata_rows found[41];
    int statuses[41];
    size_t deleted = 0;
    char names[40][8];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        machines[i] = machine_of(names[i], "x", i);
        machines[i].id = i + 1;
        keys[i] = strata_field_integer(i + 1);
    }
    keys[40] = strata_field_integer(99);
    assert_int_equal(
        strata_repository_create_many(user.machines, NULL, machines, 40, NULL, &user.error),
        STRATA_OK);
    for (int round = 0; round < 3; round++) {
        uint64_t before = asked();
        assert_int_equal(strata_repository_find_many_cached(user.machines, keys, 41, found,
                                                            statuses, &user.error),
                         STRATA_OK);
        assert_int_equal(asked() - before, round == 1 ? 0 : 1);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(statuses[i], STRATA_OK);
            assert_true(((const struct machine *)found[i].rows)->cost == i + round / 2);
            strata_rows_release(&found[i]);
            machines[i].cost = i + 1;
        }
        assert_int_equal(statuses[40], STRATA_MISS);
        if (round == 1)
            assert_int_equal(
                strata_repository_update_many(user.machines, NULL, machines, 40, NULL, &user.error),
                STRATA_OK);
    }
    assert_int_equal(
        strata_repository_delete_many(user.machines, NULL, keys, 41, &deleted, &user.error),
        STRATA_OK);
    assert_int_equal(deleted, 40);
    assert_int_equal(machine_counted(&user, NULL), 0);
}

/* How often Redis has read from a socket. */
static long redis_reads(void)
{
    redisContext *foreign = cache_rig_foreign();
    redisReply *reply = redisCommand(foreign, "INFO stats");
    assert_non_null(reply);
    const char *at = strstr(reply->str, "total_reads_processed:");
    assert_non_null(at);
    long reads = strtol(strchr(at, ':') + 1, NULL, 10);
    freeReplyObject(reply);
    return reads;
}

/* Whatever stands behind an integer in its field: it is not the length of a text. */
static void many_integer_keys_are_looked_for_together(void **state)
{
    (void)state;
    enum { KEYS = 320 };
    static struct strata_field keys[KEYS];
    static struct strata_rows found[KEYS];
    static int statuses[KEYS];
    struct repository_user other;
    for (int i = 0; i < KEYS; i++) {
        memset(&keys[i], 0xff, sizeof keys[i]);
        keys[i].type = STRATA_TYPE_INTEGER;
        keys[i].of.integer = i + 1;
    }
    assert_int_equal(
        strata_repository_find_many_cached(user.machines, keys, KEYS, found, statuses, &user.error),
        STRATA_OK);
    repository_user_open(&other, url, (struct strata_options){0});
    long before = redis_reads();
    assert_int_equal(strata_repository_find_many_cached(other.machines, keys, KEYS, found, statuses,
                                                        &other.error),
                     STRATA_OK);
    assert_true(redis_reads() - before < KEYS / 2);
    assert_int_equal(repository_numbers(&other).hits, KEYS);
    repository_user_close(&other);
}

static void a_rollback_changes_nothing_and_a_commit_all(void **state)
{
    (void)state;
    struct strata_transaction *transaction = NULL;
    struct strata_rows rows = {0};
    int64_t one = machine_create(&user, "one", "a", 1);
    int64_t two = machine_create(&user, "two", "a", 1);
    assert_true(machine_cost(&user, one) == 1);
    assert_true(machine_cost(&user, two) == 1);
    uint64_t before = asked();
    for (int round = 0; round < 2; round++) {
        assert_int_equal(strata_transaction_begin(&transaction, user.database, &user.error),
                         STRATA_OK);
        assert_int_equal(machine_set_cost(&user, transaction, one, 2), STRATA_OK);
        assert_int_equal(machine_set_cost(&user, transaction, two, 2), STRATA_OK);
        assert_true(machine_cost(&user, one) == 1); /* committed is what others see */
        assert_int_equal(asked() - before, 2 * round);
        assert_int_equal(strata_repository_find(user.machines, transaction,
                                                strata_field_integer(one), &rows, &user.error),
                         STRATA_OK);
        assert_true(((const struct machine *)rows.rows)->cost == 2);
        strata_rows_release(&rows);
        if (round == 0)
            strata_transaction_rollback(&transaction);
        else
            assert_int_equal(strata_transaction_commit(&transaction, &user.error), STRATA_OK);
        assert_null(transaction);
        before = round == 0 ? asked() - 2 : before;
        assert_true(machine_cost(&user, one) == round + 1);
        assert_true(machine_cost(&user, two) == round + 1);
    }
}

static void a_failed_change_leaves_nothing_but_the_rollback(void **state)
{
    (void)state;
    struct strata_transaction *transaction = NULL;
    struct machine twin = machine_of("one", "b", 2);
    int64_t one = machine_create(&user, "one", "a", 1);
    assert_int_equal(strata_repository_create(user.machines, NULL, &twin, NULL, &user.error),
                     STRATA_ERR_CONFLICT);
    assert_non_null(strstr(user.error.text, "name"));
    assert_int_equal(strata_transaction_begin(&transaction, user.database, &user.error), STRATA_OK);
    assert_int_equal(machine_set_cost(&user, transaction, one, 2), STRATA_OK);
    assert_int_equal(strata_repository_create(user.machines, transaction, &twin, NULL, &user.error),
                     STRATA_ERR_CONFLICT);
    assert_int_equal(machine_set_cost(&user, transaction, one, 3), STRATA_ERR_INVALID);
    assert_int_equal(strata_transaction_commit(&transaction, &user.error), STRATA_ERR_INVALID);
    assert_true(machine_cost(&user, one) == 1);
    assert_int_equal(machine_counted(&user, NULL), 1);
}

static void what_is_not_there_cannot_be_changed(void **state)
{
    (void)state;
    struct machine machine = machine_of("one", "a", 1);
    machine.id = 7;
    assert_int_equal(strata_repository_update(user.machines, NULL, &machine, NULL, &user.error),
                     STRATA_MISS);
    assert_int_equal(machine_set_cost(&user, NULL, 7, 1), STRATA_MISS);
    assert_int_equal(
        strata_repository_delete(user.machines, NULL, strata_field_integer(7), &user.error),
        STRATA_MISS);
}

static void many_updates_of_which_one_finds_nothing_change_none(void **state)
{
    (void)state;
    struct strata_transaction *transaction = NULL;
    int64_t one = machine_create(&user, "one", "a", 1);
    int64_t two = machine_create(&user, "two", "a", 1);
    struct machine machines[2] = {machine_of("one", "a", 2), machine_of("none", "a", 2)};
    machines[0].id = one;
    machines[1].id = two + 1;
    assert_int_equal(
        strata_repository_update_many(user.machines, NULL, machines, 2, NULL, &user.error),
        STRATA_MISS);
    assert_true(machine_cost(&user, one) == 1);

    /* Nothing has changed, wherever the one stands that is not there, and the transaction goes
     * on. */
    assert_int_equal(strata_transaction_begin(&transaction, user.database, &user.error), STRATA_OK);
    assert_int_equal(
        strata_repository_update_many(user.machines, transaction, machines, 2, NULL, &user.error),
        STRATA_MISS);
    assert_int_equal(machine_set_cost(&user, transaction, two, 3), STRATA_OK);
    assert_int_equal(strata_transaction_commit(&transaction, &user.error), STRATA_OK);
    assert_true(machine_cost(&user, one) == 1);
    assert_true(machine_cost(&user, two) == 3);
}

/* ---- several users ---- */

struct expectation {
    struct repository_user *user;
    int64_t id;
    double cost;
};

static bool cost_is(void *arg)
{
    struct expectation *expected = arg;
    return machine_cost(expected->user, expected->id) == expected->cost &&
           machine_cost_by_name(expected->user, "one") == expected->cost &&
           machine_listed(expected->user, "a") == (expected->cost == -1 ? 0 : 1);
}

static void what_another_user_changes_is_seen(void **state)
{
    (void)state;
    struct repository_user other;
    repository_user_open(&other, url, (struct strata_options){0});
    struct expectation expected = {&other, 1, -1};
    assert_true(cost_is(&expected));
    assert_int_equal(machine_create(&user, "one", "a", 1), 1);
    for (int cost = 1; cost < 6; cost++) {
        assert_int_equal(machine_set_cost(&user, NULL, 1, cost), STRATA_OK);
        expected.cost = cost;
        assert_true(wait_until(cost_is, &expected, 20000));
    }
    assert_true(repository_numbers(&other).outdated > 0);
    repository_user_close(&other);
}

static void *change_with_patience(void *arg)
{
    struct repository_user *patient = arg;
    static int status;
    status = machine_set_cost(patient, NULL, 1, 3);
    return &status;
}

static void the_longest_timeout_is_waited_for(void **state)
{
    (void)state;
    struct repository_user patient;
    struct strata_transaction *transaction = NULL;
    pthread_t thread;
    void *status;
    assert_int_equal(machine_create(&user, "one", "a", 1), 1);
    repository_user_open_as(&patient, url, (struct strata_options){0},
                            (struct strata_database_options){.timeout_ms = INT32_MAX},
                            repository_rig_driver());
    assert_int_equal(strata_transaction_begin(&transaction, user.database, &user.error), STRATA_OK);
    assert_int_equal(machine_set_cost(&user, transaction, 1, 2), STRATA_OK);
    assert_int_equal(pthread_create(&thread, NULL, change_with_patience, &patient), 0);
    (void)usleep(100000); /* it comes to wait, most likely */
    assert_int_equal(strata_transaction_commit(&transaction, &user.error), STRATA_OK);
    (void)pthread_join(thread, &status);
    assert_int_equal(*(const int *)status, STRATA_OK);
    assert_true(machine_cost(&patient, 1) == 3);
    repository_user_close(&patient);
}

static void an_answer_is_shared_by_all_users(void **state)
{
    (void)state;
    struct repository_user other;
    repository_user_open(&other, url, (struct strata_options){0});
    int64_t id = machine_create(&user, "one", "a", 1);
    assert_true(machine_cost(&user, id) == 1);
    assert_true(machine_cost(&other, id) == 1);
    assert_int_equal(repository_numbers(&other).statements, 0);
    assert_int_equal(repository_numbers(&other).hits, 1);
    repository_user_close(&other);
}

/* ---- what lies in the cache ---- */

static void what_another_schema_has_stored_is_not_read(void **state)
{
    (void)state;
    struct strata_column columns[16];
    struct strata_model wider = machine_model;
    struct strata_rows found = {0};
    memcpy(columns, machine_model.columns, machine_model.column_count * sizeof columns[0]);
    columns[5].type = STRATA_TYPE_BLOB; /* notes, where a logo goes */
    columns[5].offset = offsetof(struct machine, logo);
    wider.columns = columns;
    int64_t id = machine_create(&user, "one", "a", 1);
    assert_true(machine_cost(&user, id) == 1);

    strata_repository_close(&user.machines);
    assert_int_equal(strata_repository_open(&user.machines, user.database, &wider, &user.error),
                     STRATA_OK);
    repository_user_settle(&user);
    (void)strata_repository_find_cached(user.machines, strata_field_integer(id), &found,
                                        &user.error);
    strata_rows_release(&found);
    assert_int_equal(repository_numbers(&user).unreadable, 1);
    assert_int_equal(repository_numbers(&user).statements, 1);
}

static void damaged_entries_are_read_anew(void **state)
{
    (void)state;
    int64_t id = machine_create(&user, "one", "a", 1);
    uint8_t bytes[256];
    size_t len = 0;
    assert_true(machine_cost(&user, id) == 1);
    assert_int_equal(
        strata_get_copy(user.cache, strata_text("machines:id:1"), bytes, sizeof bytes, &len),
        STRATA_OK);
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(
            strata_set(user.cache, strata_text("machines:id:1"), strata_bytes(bytes, cut), 0),
            STRATA_OK);
        assert_true(machine_cost(&user, id) == 1);
    }
    assert_int_equal(repository_numbers(&user).unreadable, len);
    assert_int_equal(set_text(user.cache, "machines@v", "no version", 0), STRATA_OK);
    assert_int_equal(machine_listed(&user, NULL), 1);
}

static void without_redis_the_database_answers(void **state)
{
    (void)state;
    struct repository_user alone;
    repository_user_open(&alone, url, (struct strata_options){.redis_url = "unix:///nowhere.sock"});
    int64_t id = machine_create(&alone, "one", "a", 1);
    assert_true(machine_cost(&alone, id) == 1);
    assert_int_equal(machine_set_cost(&alone, NULL, id, 2), STRATA_OK);
    assert_true(machine_cost(&alone, id) == 2);
    assert_int_equal(machine_listed(&alone, "a"), 1);
    assert_true(repository_numbers(&alone).untold >= 2);
    assert_true(repository_numbers(&alone).bypassed > 0);
    repository_user_close(&alone);
}

static void l1_alone_serves_one_process(void **state)
{
    (void)state;
    struct repository_user alone;
    repository_user_open(&alone, url, (struct strata_options){.l2_enabled = STRATA_OFF});
    int64_t id = machine_create(&alone, "one", "a", 1);
    for (int cost = 1; cost < 4; cost++) {
        assert_int_equal(machine_set_cost(&alone, NULL, id, cost), STRATA_OK);
        assert_true(machine_cost(&alone, id) == cost);
        assert_true(machine_cost(&alone, id) == cost);
    }
    assert_int_equal(repository_numbers(&alone).hits, 3);
    repository_user_close(&alone);
}

/* ---- what is refused ---- */

static int opened_with(struct strata_options options)
{
    struct strata_database *database = NULL;
    const struct strata_database_options database_options = {.url = url};
    struct strata *cache = cache_rig_open(options);
    int status = strata_database_open(&database, cache, repository_rig_driver(), &database_options,
                                      &user.error);
    strata_database_close(&database);
    strata_close(&cache);
    return status;
}

static void a_cache_whose_writes_may_not_be_in_redis_is_refused(void **state)
{
    (void)state;
    const struct strata_options behind = {.write_through = STRATA_OFF, .write_behind = STRATA_ON};
    assert_int_equal(opened_with(behind), STRATA_ERR_UNSUPPORTED);
    assert_non_null(strstr(user.error.text, "write_through"));
    assert_int_equal(opened_with((struct strata_options){.write_through = STRATA_OFF}),
                     STRATA_ERR_UNSUPPORTED);
    assert_int_equal(
        opened_with((struct strata_options){.write_through = STRATA_OFF, .l2_enabled = STRATA_OFF}),
        STRATA_OK);
    assert_int_equal(opened_with((struct strata_options){.l1_enabled = STRATA_OFF}), STRATA_OK);
}

static void assert_refused_model(struct strata_column column, const char *why)
{
    struct strata_repository *none = NULL;
    struct strata_column columns[2] = {
        {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, 0, 0},
        column,
    };
    const struct strata_model model = {
        .table = "t", .columns = columns, .column_count = 2, .size = 64};
    assert_int_equal(strata_repository_open(&none, user.database, &model, &user.error),
                     STRATA_ERR_INVALID);
    assert_null(none);
    if (strstr(user.error.text, why) == NULL)
        fail_msg("'%s' does not say '%s'", user.error.text, why);
}

static void models_are_checked(void **state)
{
    (void)state;
    assert_refused_model((struct strata_column){"a b", STRATA_TYPE_TEXT, 0, 8, 0}, "name");
    assert_refused_model((struct strata_column){"a\"", STRATA_TYPE_TEXT, 0, 8, 0}, "name");
    assert_refused_model((struct strata_column){"9", STRATA_TYPE_TEXT, 0, 8, 0}, "name");
    assert_refused_model((struct strata_column){"id", STRATA_TYPE_TEXT, 0, 8, 0}, "two");
    assert_refused_model((struct strata_column){"a", (enum strata_type)9, 0, 8, 0}, "type");
    assert_refused_model((struct strata_column){"a", STRATA_TYPE_TEXT, 0, 57, 0}, "outside");
    assert_refused_model((struct strata_column){"a", STRATA_TYPE_TEXT, 64, 8, 0}, "flag");
    assert_refused_model((struct strata_column){"a", STRATA_TYPE_REAL, STRATA_COLUMN_KEY, 8, 0},
                         "key");
    assert_refused_model((struct strata_column){"a", STRATA_TYPE_TEXT, STRATA_COLUMN_KEY, 8, 0},
                         "2 key");
    assert_refused_model(
        (struct strata_column){"a", STRATA_TYPE_REAL, STRATA_COLUMN_NULLABLE, 8, 64}, "null");
}

static void assert_refused_match(struct strata_match match, bool lookup)
{
    struct strata_rows none = {0};
    const struct strata_query query = {.where = &match, .where_count = 1};
    assert_int_equal(
        lookup ? strata_repository_find_one_by_cached(user.machines, &match, 1, &none, &user.error)
               : strata_repository_list_cached(user.machines, &query, &none, &user.error),
        STRATA_ERR_INVALID);
}

static void questions_are_checked(void **state)
{
    (void)state;
    struct machine machine = machine_of(NULL, "a", 1);
    assert_refused_match((struct strata_match){"nothing", STRATA_EQUAL, strata_field_text("")},
                         false);
    assert_refused_match((struct strata_match){"cost", STRATA_EQUAL, strata_field_text("1")},
                         false);
    assert_refused_match((struct strata_match){"notes", STRATA_LESS, strata_field_null()}, false);
    assert_refused_match((struct strata_match){"notes", STRATA_EQUAL, strata_field_text("")}, true);
    assert_refused_match((struct strata_match){"name", STRATA_LESS, strata_field_text("")}, true);
    assert_int_equal(strata_repository_create(user.machines, NULL, &machine, NULL, &user.error),
                     STRATA_ERR_INVALID);
    assert_int_equal(machine_counted(&user, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_comes_back_as_it_was_made, open_user, close_user),
        cmocka_unit_test_setup_teardown(the_ends_of_time_go_round, open_user, close_user),
        cmocka_unit_test_setup_teardown(what_was_found_once_is_answered_from_the_cache, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_remembered_until_it_is_created,
                                        open_user, close_user),
        cmocka_unit_test_setup_teardown(
            a_change_reaches_whatever_named_the_row_before_or_names_it_after, open_user,
            close_user),
        cmocka_unit_test_setup_teardown(a_change_leaves_what_others_rows_answer, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(a_column_that_is_null_is_found_and_falls, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(lists_are_filtered_ordered_and_cut, open_user, close_user),
        cmocka_unit_test_setup_teardown(several_columns_name_a_row, open_user, close_user),
        cmocka_unit_test_setup_teardown(many_rows_are_changed_and_found_together, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(many_integer_keys_are_looked_for_together, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(a_rollback_changes_nothing_and_a_commit_all, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(a_failed_change_leaves_nothing_but_the_rollback, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(what_is_not_there_cannot_be_changed, open_user, close_user),
        cmocka_unit_test_setup_teardown(many_updates_of_which_one_finds_nothing_change_none,
                                        open_user, close_user),
        cmocka_unit_test_setup_teardown(what_another_user_changes_is_seen, open_user, close_user),
        cmocka_unit_test_setup_teardown(the_longest_timeout_is_waited_for, open_user, close_user),
        cmocka_unit_test_setup_teardown(an_answer_is_shared_by_all_users, open_user, close_user),
        cmocka_unit_test_setup_teardown(what_another_schema_has_stored_is_not_read, open_user,
                                        close_user),
        cmocka_unit_test_setup_teardown(damaged_entries_are_read_anew, open_user, close_user),
        cmocka_unit_test_setup_teardown(without_redis_the_database_answers, open_user, close_user),
        cmocka_unit_test_setup_teardown(l1_alone_serves_one_process, open_user, close_user),
        cmocka_unit_test_setup_teardown(a_cache_whose_writes_may_not_be_in_redis_is_refused,
                                        open_user, close_user),
        cmocka_unit_test_setup_teardown(models_are_checked, open_user, close_user),
        cmocka_unit_test_setup_teardown(questions_are_checked, open_user, close_user),
    };
    return cmocka_run_group_tests(tests, repository_rig_start, repository_rig_stop);
}
