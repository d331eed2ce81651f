/* SPDX-License-Identifier: MIT
 *
 * Repositories while something breaks: processes that die around their commit, a database that is
 * killed, a Redis that hangs. The same cases for each kind of database.
 *
 * The program starts itself, with a role, where a process has to die.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "repository/database.h"
#include "repository/driver.h"
#include "repository/intent.h"
#include "support/child.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENCE_MS 30000

static struct redis_server *redis;
static const char *url;
static struct repository_user user;
static struct repository_user other;

/* ---- processes that die ---- */

/* What happens at the commits of one thread; those of the sweep go as ever. */
enum fate { LIVE, DIE_BEFORE, DIE_AFTER, LOSE };

static struct strata_driver fateful;
static pthread_t fated;
static enum fate fate; /* the thread's own */

static int commit_as_fated(struct sta_connection *connection, const struct sta_sql *last,
                           struct strata_error *error)
{
    enum fate mine = pthread_equal(fated, pthread_self()) ? fate : LIVE;
    if (mine == DIE_BEFORE)
        return raise(SIGKILL);
    int status = repository_rig_driver()->commit(connection, last, error);
    if (status == STRATA_OK && mine == DIE_AFTER)
        return raise(SIGKILL);
    return status == STRATA_OK && mine == LOSE ? STRATA_ERR_LOST : status;
}

static void open_fated(struct repository_user *opened, struct strata_options with)
{
    const struct strata_database_options calm = {.sweep_ms = 3600000};
    fated = pthread_self();
    fate = LIVE;
    fateful = *repository_rig_driver();
    fateful.commit = commit_as_fated;
    repository_user_open_as(opened, url, with, calm, &fateful);
}

/* The role: argv is program, role, database, Redis, key. Sets the cost to 2 and dies at the
 * commit. */
static int play(char **argv)
{
    struct repository_user mortal;
    url = argv[2];
    open_fated(&mortal, (struct strata_options){.redis_url = argv[3]});
    fate = strcmp(argv[1], "before") == 0 ? DIE_BEFORE : DIE_AFTER;
    (void)machine_set_cost(&mortal, NULL, atoll(argv[4]), 2);
    return 1;
}

static void die_at_commit(const char *role, int64_t id)
{
    char key[24];
    struct child child;
    (void)snprintf(key, sizeof key, "%lld", (long long)id);
    const char *const argv[] = {"/proc/self/exe", role, url, redis_server_url(redis), key, NULL};
    assert_int_equal(child_start(&child, argv, "/dev/null"), 0);
    assert_int_equal(child_wait(&child, PATIENCE_MS), 0);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGKILL);
}

/* ---- fixtures ---- */

static struct strata_options options(void)
{
    return (struct strata_options){.redis_url = redis_server_url(redis), .socket_timeout_ms = 500};
}

static int open_users(void **state)
{
    (void)state;
    url = repository_rig_fresh();
    assert_int_equal(redis_server_start(&redis, NULL), 0);
    repository_user_open(&user, url, options());
    repository_user_open(&other, url, options());
    return 0;
}

static int close_users(void **state)
{
    (void)state;
    repository_user_close(&other);
    repository_user_close(&user);
    redis_server_stop(&redis);
    return 0;
}

struct expectation {
    struct repository_user *who;
    int64_t id;
    double cost;
};

static bool cost_is(void *arg)
{
    struct expectation *expected = arg;
    struct strata_rows found = {0};
    const struct strata_field key = strata_field_integer(expected->id);
    if (strata_repository_find_cached(expected->who->machines, key, &found,
                                      &expected->who->error) != STRATA_OK)
        return false;
    bool is = ((const struct machine *)found.rows)->cost == expected->cost;
    strata_rows_release(&found);
    return is;
}

static void assert_will_see(struct repository_user *who, int64_t id, double cost)
{
    struct expectation expected = {who, id, cost};
    assert_true(wait_until(cost_is, &expected, PATIENCE_MS));
}

/* A machine that costs 1, in everybody's cache. */
static int64_t known_machine(void)
{
    int64_t id = machine_create(&user, "one", "a", 1);
    assert_will_see(&user, id, 1);
    assert_will_see(&other, id, 1);
    assert_true(machine_cost_by_name(&other, "one") == 1);
    return id;
}

/* Cached reads are answered from the cache again: the doubt is over. */
static bool is_cached_again(void *arg)
{
    struct expectation *expected = arg;
    uint64_t hits = repository_numbers(expected->who).hits;
    return cost_is(arg) && repository_numbers(expected->who).hits == hits + 1;
}

static void assert_cached_again(struct repository_user *who, int64_t id, double cost)
{
    struct expectation expected = {who, id, cost};
    assert_true(wait_until(is_cached_again, &expected, PATIENCE_MS));
}

static int count_intent(void *arg, int64_t id, struct strata_bytes tags)
{
    (void)id;
    (void)tags;
    ++*(int *)arg;
    return STRATA_OK;
}

static bool are_no_intents(void *arg)
{
    (void)arg;
    int count = 0;
    struct sta_connection *connection;
    const struct sta_intent_sink sink = {count_intent, &count};
    assert_int_equal(sta_pool_acquire(&user.database->pool, &connection, NULL), STRATA_OK);
    int status = sta_intent_list(repository_rig_driver(), connection, 0, 100, &sink);
    sta_pool_release(&user.database->pool, connection);
    return status == STRATA_OK && count == 0;
}

/* ---- processes that die ---- */

static void a_process_that_dies_before_its_commit_has_changed_nothing(void **state)
{
    (void)state;
    int64_t id = known_machine();
    /* Who opens the database carries out what stands there, which costs others misses. */
    assert_true(wait_until(are_no_intents, NULL, PATIENCE_MS));
    assert_true(machine_cost(&other, id) == 1);
    uint64_t asked = repository_numbers(&other).statements;
    die_at_commit("before", id);
    assert_true(machine_cost(&other, id) == 1);
    assert_int_equal(repository_numbers(&other).statements, asked);
    assert_int_equal(machine_set_cost(&user, NULL, id, 3), STRATA_OK);
    assert_will_see(&other, id, 3);
}

static bool somebody_swept(void *arg)
{
    (void)arg;
    return repository_numbers(&user).swept + repository_numbers(&other).swept >= 1;
}

static void what_a_process_left_that_died_after_its_commit_is_seen(void **state)
{
    (void)state;
    int64_t id = known_machine();
    die_at_commit("after", id);
    assert_will_see(&user, id, 2);
    assert_will_see(&other, id, 2);
    assert_true(machine_cost_by_name(&other, "one") == 2);
    assert_cached_again(&other, id, 2);
    assert_true(wait_until(somebody_swept, NULL, PATIENCE_MS));
}

static void what_was_left_is_found_when_the_database_is_opened(void **state)
{
    (void)state;
    int64_t id = known_machine();
    repository_user_close(&user);
    repository_user_close(&other);
    die_at_commit("after", id);
    repository_user_open(&user, url, options());
    repository_user_open(&other, url, options());
    assert_will_see(&user, id, 2);
    assert_will_see(&other, id, 2);
}

/* Young intents, too: how old one is says nothing about whether who wrote it lives. */
static void the_first_reads_after_a_crash_are_not_of_before(void **state)
{
    (void)state;
    struct repository_user late = {.cache = cache_rig_open(options())};
    const struct strata_database_options database_options = {.url = url};
    struct strata_value value = {0};
    int64_t id = known_machine();
    repository_user_close(&user);
    repository_user_close(&other);
    (void)strata_get(late.cache, strata_text("machines@v"), &value); /* Redis is reached */
    strata_release(&value);
    die_at_commit("after", id);
    assert_int_equal(strata_database_open(&late.database, late.cache, repository_rig_driver(),
                                          &database_options, &late.error),
                     STRATA_OK);
    assert_int_equal(
        strata_repository_open(&late.machines, late.database, &machine_model, &late.error),
        STRATA_OK);
    for (int reads = 0; reads < 2000; reads++) {
        assert_true(machine_cost(&late, id) == 2);
        assert_true(machine_cost_by_name(&late, "one") == 2);
    }
    assert_cached_again(&late, id, 2);
    repository_user_close(&late);
}

struct plan {
    const char *expected;
    bool found;
};

static int look_at_plan(void *arg, const struct strata_field *fields)
{
    struct plan *plan = arg;
    char text[512];
    struct strata_bytes bytes = fields[3].of.bytes;
    (void)snprintf(text, sizeof text, "%.*s", (int)bytes.len, (const char *)bytes.data);
    plan->found = plan->found || strstr(text, plan->expected) != NULL;
    return STRATA_OK;
}

/* SQLite tells how it would search, in its fourth column; PostgreSQL, which reads small tables
 * whole, which indexes there are. */
static void intents_are_found_by_age_with_an_index(void **state)
{
    (void)state;
    static const enum strata_type types[] = {STRATA_TYPE_INTEGER, STRATA_TYPE_INTEGER,
                                             STRATA_TYPE_INTEGER, STRATA_TYPE_TEXT};
    bool is_sqlite = strcmp(repository_rig_driver()->name, "SQLite") == 0;
    struct plan plan = {.expected = is_sqlite ? "USING INDEX" : "(created_ms, id)"};
    const struct sta_sql sql = {
        .text = strata_text(is_sqlite ? "EXPLAIN QUERY PLAN SELECT id, tags FROM strata_intents "
                                        "WHERE created_ms <= 5 ORDER BY created_ms LIMIT 10"
                                      : "SELECT 1::int8, 1::int8, 1::int8, indexdef FROM "
                                        "pg_indexes WHERE tablename = 'strata_intents'"),
        .types = types,
        .column_count = 4,
        .row = look_at_plan,
        .arg = &plan,
    };
    struct sta_connection *connection;
    assert_int_equal(sta_pool_acquire(&user.database->pool, &connection, NULL), STRATA_OK);
    assert_int_equal(repository_rig_driver()->run(connection, &sql, NULL), STRATA_OK);
    sta_pool_release(&user.database->pool, connection);
    assert_true(plan.found);
}

/* A row and its intent, written past the repository as a process would have whose database's clock
 * was ahead, and which died. */
static void what_a_clock_that_was_ahead_has_dated_is_carried_out_at_the_opening(void **state)
{
    (void)state;
    char sql[256];
    bool hex = strcmp(repository_rig_driver()->name, "PostgreSQL") == 0;
    int64_t id = known_machine();
    assert_int_equal(machine_listed(&other, NULL), 1);
    repository_user_close(&user);
    repository_user_close(&other);
    (void)snprintf(sql, sizeof sql, "DELETE FROM machines WHERE id = %d", (int)id);
    repository_rig_sql(url, sql);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO strata_intents (id, created_ms, tags) "
                   "VALUES (1, 9000000000000000, %s0a6d616368696e65734076')",
                   hex ? "'\\x" : "X'"); /* a set of one tag, machines@v */
    repository_rig_sql(url, sql);
    repository_user_open(&user, url, options());
    assert_int_equal(machine_listed(&user, NULL), 0);
    assert_true(repository_numbers(&user).swept >= 1);
}

static bool has_swept(void *arg)
{
    return repository_numbers(arg).swept >= 1;
}

static void transactions_that_have_all_connections_do_not_keep_the_sweep_out(void **state)
{
    (void)state;
    struct repository_user busy;
    struct strata_transaction *transaction = NULL;
    int64_t id = known_machine();
    assert_true(wait_until(are_no_intents, NULL, PATIENCE_MS));
    repository_user_open_as(&busy, url, options(),
                            (struct strata_database_options){.connections = 1, .grace_ms = 3000},
                            repository_rig_driver());
    assert_true(machine_cost(&busy, id) == 1);
    repository_user_close(&user);
    repository_user_close(&other);
    die_at_commit("after", id);
    assert_int_equal(strata_transaction_begin(&transaction, busy.database, &busy.error), STRATA_OK);
    assert_true(wait_until(has_swept, &busy, PATIENCE_MS));
    strata_transaction_rollback(&transaction);
    assert_true(machine_cost(&busy, id) == 2);
    assert_cached_again(&busy, id, 2);
    repository_user_close(&busy);
}

static void a_commit_whose_outcome_is_unknown_is_seen_if_it_happened(void **state)
{
    (void)state;
    struct repository_user unlucky;
    int64_t id = known_machine();
    open_fated(&unlucky, options());
    fate = LOSE;
    assert_int_equal(machine_set_cost(&unlucky, NULL, id, 2), STRATA_ERR_LOST);
    fate = LIVE;
    assert_will_see(&unlucky, id, 2);
    assert_will_see(&other, id, 2);
    repository_user_close(&unlucky);
}

/* ---- a Redis that hangs ---- */

static void a_change_while_redis_hangs_is_seen_by_all_and_stays_seen(void **state)
{
    (void)state;
    int64_t id = known_machine();
    redis_server_freeze(redis);
    assert_int_equal(machine_set_cost(&user, NULL, id, 2), STRATA_OK);
    assert_true(machine_cost(&user, id) == 2);
    assert_true(repository_numbers(&user).untold >= 1);
    assert_will_see(&other, id, 2);
    redis_server_thaw(redis);
    /* What lies in Redis is old until the change was told: nobody answers with it. */
    struct expectation both[] = {{&user, id, 2}, {&other, id, 2}};
    for (int reads = 0; reads < 300; reads++) {
        assert_true(machine_cost(&user, id) == 2);
        assert_true(machine_cost(&other, id) == 2);
        (void)usleep(1000);
    }
    assert_true(wait_until(is_cached_again, &both[0], PATIENCE_MS));
    assert_true(wait_until(is_cached_again, &both[1], PATIENCE_MS));
    assert_true(machine_cost_by_name(&other, "one") == 2);
}

static void a_change_while_there_is_no_redis_is_told_when_there_is_one(void **state)
{
    (void)state;
    int64_t id = known_machine();
    redis_server_kill9(redis);
    assert_int_equal(machine_set_cost(&user, NULL, id, 2), STRATA_OK);
    assert_true(machine_cost(&user, id) == 2);
    assert_will_see(&other, id, 2);
    assert_int_equal(redis_server_restart(redis), 0);
    assert_cached_again(&user, id, 2);
    assert_cached_again(&other, id, 2);
}

/* ---- a database that is killed ---- */

static void a_transaction_that_the_database_did_not_survive_has_changed_nothing(void **state)
{
    (void)state;
    struct strata_transaction *transaction = NULL;
    int64_t id = known_machine();
    assert_int_equal(strata_transaction_begin(&transaction, user.database, &user.error), STRATA_OK);
    assert_int_equal(machine_set_cost(&user, transaction, id, 2), STRATA_OK);
    bool crashed = repository_rig_crash();
    if (crashed)
        assert_true(strata_transaction_commit(&transaction, &user.error) < 0);
    else
        strata_transaction_rollback(&transaction);
    assert_null(transaction);
    assert_will_see(&user, id, 1);
    assert_will_see(&other, id, 1);
    assert_int_equal(machine_set_cost(&user, NULL, id, 3), STRATA_OK);
    assert_will_see(&other, id, 3);
}

static void what_breaks_together_heals_together(void **state)
{
    (void)state;
    int64_t id = known_machine();
    redis_server_freeze(redis);
    assert_int_equal(machine_set_cost(&user, NULL, id, 2), STRATA_OK);
    (void)repository_rig_crash();
    redis_server_thaw(redis);
    assert_will_see(&user, id, 2);
    assert_will_see(&other, id, 2);
    assert_int_equal(machine_set_cost(&other, NULL, id, 3), STRATA_OK);
    assert_will_see(&user, id, 3);
    assert_cached_again(&user, id, 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_process_that_dies_before_its_commit_has_changed_nothing,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(what_a_process_left_that_died_after_its_commit_is_seen,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(what_was_left_is_found_when_the_database_is_opened,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(the_first_reads_after_a_crash_are_not_of_before, open_users,
                                        close_users),
        cmocka_unit_test_setup_teardown(
            what_a_clock_that_was_ahead_has_dated_is_carried_out_at_the_opening, open_users,
            close_users),
        cmocka_unit_test_setup_teardown(intents_are_found_by_age_with_an_index, open_users,
                                        close_users),
        cmocka_unit_test_setup_teardown(
            transactions_that_have_all_connections_do_not_keep_the_sweep_out, open_users,
            close_users),
        cmocka_unit_test_setup_teardown(a_commit_whose_outcome_is_unknown_is_seen_if_it_happened,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(a_change_while_redis_hangs_is_seen_by_all_and_stays_seen,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(a_change_while_there_is_no_redis_is_told_when_there_is_one,
                                        open_users, close_users),
        cmocka_unit_test_setup_teardown(
            a_transaction_that_the_database_did_not_survive_has_changed_nothing, open_users,
            close_users),
        cmocka_unit_test_setup_teardown(what_breaks_together_heals_together, open_users,
                                        close_users),
    };
    if (argc == 5)
        return play(argv);
    return cmocka_run_group_tests(tests, repository_rig_start, repository_rig_stop);
}
