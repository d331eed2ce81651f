/* SPDX-License-Identifier: MIT
 *
 * Every allocation of every call fails once: the call says so, nothing is lost, and nothing has
 * changed that was not said to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <stdio.h>

#include "support/fail_alloc.h"

static struct repository_user user;
static const struct strata_options alone = {.l2_enabled = STRATA_OFF};

static int open_user(void **state)
{
    (void)state;
    repository_user_open(&user, repository_rig_fresh(), alone);
    return 0;
}

static int close_user(void **state)
{
    (void)state;
    repository_user_close(&user);
    return 0;
}

/* Fails the 1st, 2nd, ... allocation of call(arg) until it makes no more; what it answers then. A
 * call may do without some: then it answers as ever. */
static int climb(int (*call)(void *arg), void *arg)
{
    for (uint64_t n = 1;; n++) {
        fail_alloc_at(n);
        int status = call(arg);
        if (!fail_alloc_end())
            return status;
        if (status < 0)
            assert_int_equal(status, STRATA_ERR_NOMEM);
    }
}

static int open_all(void *arg)
{
    struct repository_user opened = {.cache = arg};
    const struct strata_database_options options = {.url = ":memory:"};
    struct strata_error error;
    int status =
        strata_database_open(&opened.database, opened.cache, strata_sqlite(), &options, &error);
    if (status == STRATA_OK)
        status = strata_repository_open(&opened.machines, opened.database, &machine_model, &error);
    if (status == STRATA_OK)
        status = strata_repository_create_table(opened.machines, &error);
    strata_repository_close(&opened.machines);
    strata_database_close(&opened.database);
    return status;
}

static void opening(void **state)
{
    (void)state;
    assert_int_equal(climb(open_all, user.cache), STRATA_OK);
}

/* Where it answers with an error there is none; each has another name. */
static void creating(void **state)
{
    (void)state;
    uint64_t created = 0;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct strata_rows made = {0};
        char name[16];
        (void)snprintf(name, sizeof name, "m%u", (unsigned)n);
        struct machine machine = machine_of(name, "a", 1);
        fail_alloc_at(n);
        int status = strata_repository_create(user.machines, NULL, &machine, &made, &user.error);
        failed = fail_alloc_end();
        strata_rows_release(&made);
        assert_true(status == STRATA_OK || (failed && status == STRATA_ERR_NOMEM));
        created += status == STRATA_OK;
        assert_int_equal(machine_counted(&user, NULL), created);
    }
}

static int find_it(void *arg)
{
    struct strata_rows found = {0};
    (void)arg;
    int status =
        strata_repository_find_cached(user.machines, strata_field_integer(1), &found, &user.error);
    strata_rows_release(&found);
    return status;
}

static int list_them(void *arg)
{
    struct strata_rows found = {0};
    (void)arg;
    int status = strata_repository_list_cached(user.machines, NULL, &found, &user.error);
    strata_rows_release(&found);
    return status;
}

static int find_many(void *arg)
{
    const struct strata_field keys[] = {strata_field_integer(1), strata_field_integer(2)};
    struct strata_rows found[2];
    int statuses[2];
    (void)arg;
    int status =
        strata_repository_find_many_cached(user.machines, keys, 2, found, statuses, &user.error);
    assert_int_equal(status, statuses[0] < 0 ? statuses[0] : statuses[1] < 0 ? statuses[1] : 0);
    strata_rows_release(&found[0]);
    strata_rows_release(&found[1]);
    return status;
}

static void reading(void **state)
{
    (void)state;
    (void)machine_create(&user, "one", "a", 1);
    for (int warm = 0; warm < 2; warm++) {
        assert_int_equal(climb(find_it, NULL), STRATA_OK);
        assert_int_equal(climb(list_them, NULL), STRATA_OK);
        assert_int_equal(climb(find_many, NULL), STRATA_OK);
    }
}

static int set_cost(void *arg)
{
    return machine_set_cost(&user, NULL, 1, *(const double *)arg);
}

/* The change may stand although its caches could not fall at once: then nobody reads them. */
static void changing(void **state)
{
    (void)state;
    double cost = 2;
    (void)machine_create(&user, "one", "a", 1);
    assert_true(machine_cost(&user, 1) == 1);
    for (uint64_t n = 1;; n++) {
        fail_alloc_at(n);
        int status = set_cost(&cost);
        if (!fail_alloc_end())
            break;
        assert_true(status == STRATA_OK || status == STRATA_ERR_NOMEM);
        double expected = status == STRATA_OK ? cost : cost - 1;
        assert_true(machine_cost(&user, 1) == expected);
        cost = expected + 1;
    }
    assert_true(machine_cost(&user, 1) == cost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opening, open_user, close_user),
        cmocka_unit_test_setup_teardown(creating, open_user, close_user),
        cmocka_unit_test_setup_teardown(reading, open_user, close_user),
        cmocka_unit_test_setup_teardown(changing, open_user, close_user),
    };
    return cmocka_run_group_tests(tests, repository_rig_start, repository_rig_stop);
}
