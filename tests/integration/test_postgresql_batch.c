/* SPDX-License-Identifier: MIT
 *
 * Batches of statements before a real PostgreSQL: that they go out together, and what is known of a
 * connection when one of them fails, takes too long, or is the last that the server hears. And
 * commits, which go out with a statement: what is known of the transaction then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "repository/driver.h"
#include "strata/postgresql.h"
#include "support/postgresql_server.h"

#define PATIENT_MS 60000

static struct postgresql_server *server;
static const struct strata_driver *driver;
static struct sta_connection *connection;
static struct strata_error error;

/* ---- a batch: each statement has its number as its parameter and answers with it ---- */

struct batch {
    size_t count;
    const char *text;       /* of the statements */
    size_t odd;             /* the one whose text is `odd_text`; count: none */
    const char *odd_text;   /* NULL: it cannot be made */
    size_t refused;         /* the one whose row is refused */
    size_t freeze;          /* when this is made the server stands still */
    size_t made;            /* how many were asked for */
    size_t made_before;     /* before the first row came */
    size_t rows;            /* in their order */
    struct strata_field is; /* the parameter */
};

static struct batch batch_of(size_t count, const char *text)
{
    return (struct batch){
        .count = count, .text = text, .odd = count, .refused = count, .freeze = count};
}

static int take_row(void *arg, const struct strata_field *fields)
{
    struct batch *batch = arg;
    assert_int_equal(fields[0].type, STRATA_TYPE_INTEGER);
    assert_int_equal(fields[0].of.integer, batch->rows);
    if (batch->rows == 0)
        batch->made_before = batch->made;
    return batch->rows++ == batch->refused ? STRATA_ERR_TOO_BIG : STRATA_OK;
}

static int make(void *arg, size_t i, struct sta_sql *sql, struct strata_error *why)
{
    static const enum strata_type types[] = {STRATA_TYPE_INTEGER};
    struct batch *batch = arg;
    if (i == batch->freeze)
        postgresql_server_freeze(server);
    if (i == batch->odd && batch->odd_text == NULL) {
        (void)strcpy(why->text, "not this one");
        return STRATA_ERR_INVALID;
    }
    batch->made = i + 1;
    batch->is = strata_field_integer((int64_t)i);
    *sql = (struct sta_sql){.text = strata_text(i == batch->odd ? batch->odd_text : batch->text),
                            .params = &batch->is,
                            .param_count = 1,
                            .types = types,
                            .column_count = 1,
                            .row = take_row,
                            .arg = batch};
    return STRATA_OK;
}

static int run(struct batch *batch)
{
    const struct sta_batch statements = {batch->count, make, batch};
    return driver->run_many(connection, &statements, &error);
}

#define ECHO "SELECT $1::int8"

/* The connection speaks, and in its turn. */
static void assert_good(void)
{
    struct batch batch = batch_of(3, ECHO);
    assert_int_equal(run(&batch), STRATA_OK);
    assert_int_equal(batch.rows, 3);
    assert_true(driver->usable(connection));
}

/* ---- fixtures ---- */

static int start_server(void **state)
{
    (void)state;
    driver = strata_postgresql();
    return postgresql_server_start(&server);
}

static int stop_server(void **state)
{
    (void)state;
    postgresql_server_stop(&server);
    return 0;
}

static void connect_with(uint64_t timeout_ms)
{
    if (driver->open(&connection, postgresql_server_url(server), timeout_ms, &error) != STRATA_OK)
        fail_msg("%s", error.text);
}

static int disconnect(void **state)
{
    (void)state;
    driver->close(connection);
    return 0;
}

/* ---- what goes well ---- */

static void all_go_out_before_an_answer_is_read(void **state)
{
    (void)state;
    struct batch batch = batch_of(100, ECHO);
    connect_with(PATIENT_MS);
    assert_int_equal(run(&batch), STRATA_OK);
    assert_int_equal(batch.made_before, 100);
    assert_int_equal(batch.rows, 100);
    assert_good();
}

static void more_than_a_group_come_back_in_order(void **state)
{
    (void)state;
    struct batch batch = batch_of(1000, ECHO);
    struct batch none = batch_of(0, ECHO);
    connect_with(PATIENT_MS);
    assert_int_equal(run(&none), STRATA_OK);
    assert_int_equal(run(&batch), STRATA_OK);
    assert_true(batch.made_before < 1000);
    assert_int_equal(batch.rows, 1000);
    assert_good();
}

static void what_is_not_prepared_is_prepared_on_the_way(void **state)
{
    (void)state;
    struct batch batch = batch_of(100, ECHO);
    connect_with(PATIENT_MS);
    batch.odd = 50;
    batch.odd_text = "SELECT $1::int8 + 0";
    assert_int_equal(run(&batch), STRATA_OK);
    assert_int_equal(batch.rows, 100);
    /* More texts than are kept: some must go for others. */
    for (int i = 0; i < 200; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "SELECT $1::int8 + %d - %d", i, i);
        batch = batch_of(4, ECHO);
        batch.odd = 2;
        batch.odd_text = text;
        assert_int_equal(run(&batch), STRATA_OK);
        assert_int_equal(batch.rows, 4);
    }
    assert_good();
}

static int make_large(void *arg, size_t i, struct sta_sql *sql, struct strata_error *why)
{
    static char text[2001];
    static const struct strata_field param = {STRATA_TYPE_TEXT, {.bytes = {text, 2000}}};
    int status = make(arg, i, sql, why);
    memset(text, 'x', sizeof text - 1);
    sql->params = &param;
    return status;
}

static int count_large(void *arg, const struct strata_field *fields)
{
    struct batch *batch = arg;
    assert_int_equal(fields[0].of.bytes.len, 400000);
    batch->rows++;
    return STRATA_OK;
}

static int make_very_large(void *arg, size_t i, struct sta_sql *sql, struct strata_error *why)
{
    static const enum strata_type types[] = {STRATA_TYPE_TEXT};
    int status = make_large(arg, i, sql, why);
    sql->types = types;
    sql->row = count_large;
    return status;
}

/* We have more to send than the socket holds while the server has, too. */
static void answers_that_are_larger_than_all_buffers_do_not_block(void **state)
{
    (void)state;
    struct batch batch = batch_of(120, "SELECT repeat($1::text, 200)");
    const struct sta_batch statements = {batch.count, make_very_large, &batch};
    connect_with(PATIENT_MS);
    assert_int_equal(driver->run_many(connection, &statements, &error), STRATA_OK);
    assert_int_equal(batch.rows, 120);
    assert_good();
}

/* ---- what fails ---- */

static void the_first_that_fails_is_the_answer(void **state)
{
    (void)state;
    struct batch batch = batch_of(300, ECHO);
    connect_with(PATIENT_MS);
    assert_int_equal(driver->begin(connection, &error), STRATA_OK);
    batch.odd = 200;
    batch.odd_text = "SELECT 1 / ($1::int8 - 200)";
    assert_int_equal(run(&batch), STRATA_ERR_DATABASE);
    assert_non_null(strstr(error.text, "division by zero"));
    assert_int_equal(batch.rows, 200);
    driver->rollback(connection);
    assert_good();

    /* It cannot be prepared. */
    batch = batch_of(300, ECHO);
    batch.odd = 40;
    batch.odd_text = "SELECT nothing_of_that_name, $1";
    assert_int_equal(run(&batch), STRATA_ERR_DATABASE);
    assert_non_null(strstr(error.text, "nothing_of_that_name"));
    assert_int_equal(batch.rows, 40);
    assert_good();
}

static void what_cannot_be_made_ends_the_batch_behind_those_before_it(void **state)
{
    (void)state;
    struct batch batch = batch_of(100, ECHO);
    connect_with(PATIENT_MS);
    batch.odd = 30;
    assert_int_equal(run(&batch), STRATA_ERR_INVALID);
    assert_string_equal(error.text, "not this one");
    assert_int_equal(batch.rows, 30);
    assert_good();

    /* One before it failed: that came first. */
    batch = batch_of(100, "SELECT 5 / (5 - $1::int8) * 0 + $1::int8");
    batch.odd = 30;
    assert_int_equal(run(&batch), STRATA_ERR_DATABASE);
    assert_non_null(strstr(error.text, "division by zero"));
    assert_int_equal(batch.rows, 5);
    assert_good();
}

static void a_row_that_is_refused_leaves_a_good_connection(void **state)
{
    (void)state;
    struct batch batch = batch_of(100, ECHO);
    connect_with(PATIENT_MS);
    batch.refused = 10;
    assert_int_equal(run(&batch), STRATA_ERR_TOO_BIG);
    assert_int_equal(batch.rows, 11);
    assert_good();
}

/* The last has more than a socket holds beside its number. */
static int make_slow(void *arg, size_t i, struct sta_sql *sql, struct strata_error *why)
{
    static char text[4 << 20];
    static struct strata_field params[2];
    int status = make(arg, i, sql, why);
    memset(text, 'x', sizeof text);
    params[0] = sql->params[0];
    params[1] = strata_field_text("");
    if (i == 4)
        params[1].of.bytes = strata_bytes(text, sizeof text);
    sql->params = params;
    sql->param_count = 2;
    return status;
}

/* All of them take longer than one may, and so does it until all have left. */
static void each_has_its_own_time(void **state)
{
    (void)state;
    struct batch batch = batch_of(5, "SELECT CASE WHEN pg_sleep(0.8) IS NOT NULL AND "
                                     "$2::text IS NOT NULL THEN $1::int8 END");
    const struct sta_batch statements = {batch.count, make_slow, &batch};
    connect_with(2000);
    assert_int_equal(driver->run_many(connection, &statements, &error), STRATA_OK);
    assert_int_equal(batch.rows, 5);
    assert_good();
}

static void one_that_takes_too_long_is_ended_by_the_server(void **state)
{
    (void)state;
    struct batch batch = batch_of(100, ECHO);
    connect_with(2000);
    batch.odd = 20;
    batch.odd_text = "SELECT CASE WHEN pg_sleep(600) IS NOT NULL THEN $1::int8 ELSE -1 END";
    assert_int_equal(run(&batch), STRATA_ERR_TIMEOUT);
    assert_int_equal(batch.rows, 20);
    assert_good();
}

static void a_connection_that_is_lost_on_the_way_is_not_used_again(void **state)
{
    (void)state;
    struct batch batch = batch_of(300, ECHO);
    connect_with(PATIENT_MS);
    batch.odd = 150;
    batch.odd_text = "SELECT CASE WHEN pg_terminate_backend(pg_backend_pid()) THEN $1::int8 END";
    assert_int_equal(run(&batch), STRATA_ERR_DATABASE);
    assert_int_equal(batch.rows, 150);
    assert_false(driver->usable(connection));
    driver->rollback(connection);
}

static void a_server_that_stands_still_is_not_waited_for(void **state)
{
    (void)state;
    struct batch batch = batch_of(100, ECHO);
    connect_with(2000);
    assert_good(); /* it is prepared */
    batch.freeze = 50;
    int status = run(&batch);
    postgresql_server_thaw(server);
    assert_int_equal(status, STRATA_ERR_TIMEOUT);
    assert_false(driver->usable(connection));
    driver->rollback(connection);
}

/* ---- commits ---- */

static int do_sql(const char *text)
{
    const struct sta_sql sql = {.text = strata_text(text)};
    return driver->run(connection, &sql, &error);
}

/* A transaction that adds a row `id` and is committed with `last`. */
static int commit_with(const char *id, const char *last)
{
    char text[64];
    const struct sta_sql sql = {.text = strata_text(last)};
    (void)snprintf(text, sizeof text, "INSERT INTO t VALUES (%s)", id);
    assert_int_equal(driver->begin(connection, &error), STRATA_OK);
    assert_int_equal(do_sql(text), STRATA_OK);
    return driver->commit(connection, &sql, &error);
}

static int take_count(void *arg, const struct strata_field *fields)
{
    *(int64_t *)arg = fields[0].of.integer;
    return STRATA_OK;
}

static int64_t count_rows(void)
{
    static const enum strata_type types[] = {STRATA_TYPE_INTEGER};
    int64_t count = -1;
    const struct sta_sql sql = {.text = strata_text("SELECT count(*)::int8 FROM t"),
                                .types = types,
                                .column_count = 1,
                                .row = take_count,
                                .arg = &count};
    assert_int_equal(driver->run(connection, &sql, &error), STRATA_OK);
    return count;
}

/* A table whose row 7 is refused at the commit, and whose row 8 is the server's last. */
static void make_table(void)
{
    assert_int_equal(do_sql("DROP TABLE IF EXISTS t"), STRATA_OK);
    assert_int_equal(do_sql("CREATE TABLE t (id int PRIMARY KEY)"), STRATA_OK);
    assert_int_equal(do_sql("CREATE OR REPLACE FUNCTION late() RETURNS trigger AS $$ BEGIN "
                            "IF new.id = 7 THEN RAISE EXCEPTION 'not 7'; END IF; "
                            "IF new.id = 8 THEN PERFORM pg_terminate_backend(pg_backend_pid()); "
                            "PERFORM pg_sleep(0.001); END IF; "
                            "RETURN NULL; END $$ LANGUAGE plpgsql"),
                     STRATA_OK);
    assert_int_equal(do_sql("CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE "
                            "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()"),
                     STRATA_OK);
}

static void a_commit_goes_with_a_statement_or_neither_does(void **state)
{
    (void)state;
    connect_with(PATIENT_MS);
    make_table();
    assert_int_equal(commit_with("1", "INSERT INTO t VALUES (101)"), STRATA_OK);
    assert_int_equal(count_rows(), 2);

    /* The statement fails: it cannot be prepared, it cannot be carried out. */
    assert_int_equal(commit_with("2", "INSERT INTO nowhere VALUES (1)"), STRATA_ERR_DATABASE);
    driver->rollback(connection);
    assert_int_equal(count_rows(), 2);
    assert_int_equal(commit_with("2", "INSERT INTO t VALUES (101)"), STRATA_ERR_CONFLICT);
    assert_false(driver->usable(connection));
    driver->rollback(connection);
    assert_int_equal(count_rows(), 2);

    /* The commit fails. */
    assert_int_equal(commit_with("7", "INSERT INTO t VALUES (107)"), STRATA_ERR_DATABASE);
    assert_non_null(strstr(error.text, "not 7"));
    driver->rollback(connection);
    assert_int_equal(count_rows(), 2);

    /* Something failed before, and nobody has said so. */
    assert_int_equal(driver->begin(connection, &error), STRATA_OK);
    assert_int_equal(do_sql("INSERT INTO t VALUES (1)"), STRATA_ERR_CONFLICT);
    assert_int_equal(driver->commit(connection, NULL, &error), STRATA_ERR_DATABASE);
    assert_non_null(strstr(error.text, "rolled back"));
    driver->rollback(connection);
    assert_int_equal(count_rows(), 2);
    assert_good();
}

/* It went before the COMMIT, and has said so: nothing was committed. */
static void a_server_that_goes_before_the_commit_has_not_committed(void **state)
{
    (void)state;
    connect_with(PATIENT_MS);
    make_table();
    assert_int_equal(commit_with("1", "SELECT pg_terminate_backend(pg_backend_pid())"),
                     STRATA_ERR_DATABASE);
    assert_false(driver->usable(connection));
    driver->rollback(connection);
    driver->close(connection);
    connect_with(PATIENT_MS);
    assert_int_equal(count_rows(), 0);
}

static void a_server_that_goes_or_stands_still_within_the_commit_leaves_it_unknown(void **state)
{
    (void)state;
    connect_with(PATIENT_MS);
    make_table();
    assert_int_equal(commit_with("8", "INSERT INTO t VALUES (108)"), STRATA_ERR_LOST);
    assert_int_equal(error.status, STRATA_ERR_LOST);
    assert_false(driver->usable(connection));
    driver->rollback(connection);
    driver->close(connection);

    connect_with(2000);
    assert_int_equal(commit_with("1", "SELECT 1"), STRATA_OK); /* it is prepared */
    const struct sta_sql last = {.text = strata_text("SELECT 1")};
    assert_int_equal(driver->begin(connection, &error), STRATA_OK);
    assert_int_equal(do_sql("INSERT INTO t VALUES (2)"), STRATA_OK);
    postgresql_server_freeze(server);
    int status = driver->commit(connection, &last, &error);
    postgresql_server_thaw(server);
    assert_int_equal(status, STRATA_ERR_LOST);
    assert_int_equal(error.status, STRATA_ERR_LOST);
    assert_false(driver->usable(connection));
    driver->rollback(connection);
}

static void a_transaction_that_asks_nothing_is_none(void **state)
{
    (void)state;
    connect_with(PATIENT_MS);
    assert_int_equal(driver->begin(connection, &error), STRATA_OK);
    assert_false(driver->usable(connection));
    assert_int_equal(driver->commit(connection, NULL, &error), STRATA_OK);
    assert_good();
    assert_int_equal(driver->begin(connection, &error), STRATA_OK);
    driver->rollback(connection);
    assert_good();

    /* A batch that cannot be made has begun one all the same. */
    struct batch batch = batch_of(3, ECHO);
    batch.odd = 0;
    assert_int_equal(driver->begin(connection, &error), STRATA_OK);
    assert_int_equal(run(&batch), STRATA_ERR_INVALID);
    driver->rollback(connection);
    assert_good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_go_out_before_an_answer_is_read, disconnect),
        cmocka_unit_test_teardown(more_than_a_group_come_back_in_order, disconnect),
        cmocka_unit_test_teardown(what_is_not_prepared_is_prepared_on_the_way, disconnect),
        cmocka_unit_test_teardown(answers_that_are_larger_than_all_buffers_do_not_block,
                                  disconnect),
        cmocka_unit_test_teardown(the_first_that_fails_is_the_answer, disconnect),
        cmocka_unit_test_teardown(what_cannot_be_made_ends_the_batch_behind_those_before_it,
                                  disconnect),
        cmocka_unit_test_teardown(a_row_that_is_refused_leaves_a_good_connection, disconnect),
        cmocka_unit_test_teardown(each_has_its_own_time, disconnect),
        cmocka_unit_test_teardown(one_that_takes_too_long_is_ended_by_the_server, disconnect),
        cmocka_unit_test_teardown(a_connection_that_is_lost_on_the_way_is_not_used_again,
                                  disconnect),
        cmocka_unit_test_teardown(a_server_that_stands_still_is_not_waited_for, disconnect),
        cmocka_unit_test_teardown(a_commit_goes_with_a_statement_or_neither_does, disconnect),
        cmocka_unit_test_teardown(a_server_that_goes_before_the_commit_has_not_committed,
                                  disconnect),
        cmocka_unit_test_teardown(
            a_server_that_goes_or_stands_still_within_the_commit_leaves_it_unknown, disconnect),
        cmocka_unit_test_teardown(a_transaction_that_asks_nothing_is_none, disconnect),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
