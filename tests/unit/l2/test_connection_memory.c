/* SPDX-License-Identifier: MIT
 *
 * Out of memory anywhere in the life of a connection is a code for somebody, never a crash, a
 * leak or a request that nobody ends: each run fails the n-th allocation, n = 1, 2, 3, ...
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "l2/l2.h"
#include "rig.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

#define ASKS 100 /* more than the first ring of slots takes */
#define LONG (20 * STA_NS_SEC)

/* To whoever may have hung up by now. */
static void say(struct rig *rig, const char *bytes)
{
    (void)send(rig->peer, bytes, strlen(bytes), MSG_NOSIGNAL);
}

/* Welcomes whoever connects, without looking at what he says: looking would allocate. */
static bool is_ready_with_a_kind_server(struct rig *rig)
{
    int peer = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer >= 0) {
        if (rig->peer >= 0)
            close(rig->peer);
        rig->peer = peer;
        say(rig, WELCOME3);
    }
    return rig_is_ready(rig);
}

static bool was_sent_or_done(struct rig *rig)
{
    struct sta_connection_statistics statistics = rig_statistics(rig);
    return statistics.bytes_out >= strlen(HELLO3 PING) || rig_all_done(rig);
}

/* One life: open, greet, ask, be answered, close. Returns whether an allocation failed. */
static bool live_with_a_failure_at(uint64_t n)
{
    struct rig rig;
    const struct sta_connection_events events = {.state = NULL};
    unsigned answered = 0;
    rig_init(&rig);
    rig.config.backoff_min_ns = STA_NS_MS;
    rig.config.backoff_max_ns = STA_NS_MS;
    fail_alloc_at(n);
    int status =
        sta_connection_open(&rig.connection, rig.loop, &rig.log, &rig.config, &events, &rig);
    if (status < 0) {
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_null(rig.connection);
    } else {
        rig_run_until(&rig, is_ready_with_a_kind_server);
        for (unsigned i = 0; i < ASKS; i++)
            (void)rig_ask(&rig, "X\r\nY\r\n", 2, LONG);
        rig_run_until(&rig, was_sent_or_done);
        for (unsigned i = 0; i < ASKS && rig_is_ready(&rig); i++)
            say(&rig, rig.asks[i].done ? "" : "+x\r\n>1\r\n_\r\n+y\r\n");
        rig_run_until(&rig, rig_all_done);
        for (unsigned i = 0; i < ASKS; i++) {
            status = rig.asks[i].status;
            answered += status == STRATA_OK;
            assert_true(status == STRATA_OK || status == STRATA_ERR_NOMEM ||
                        status == STRATA_ERR_LOST || status == STRATA_ERR_UNAVAILABLE);
        }
    }
    bool failed = fail_alloc_end();
    assert_true(failed || answered == ASKS);
    rig_fini(&rig);
    return failed;
}

static void every_allocation_of_a_connection_may_fail(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (live_with_a_failure_at(n))
        n++;
    assert_true(n > 10);
}

static void every_allocation_of_an_engine_may_fail(void **state)
{
    (void)state;
    struct rig rig;
    bool failed = true;
    rig_init(&rig);
    rig.config.name = "me";
    const struct sta_l2_config config = {.router.node.connection = rig.config};
    for (uint64_t n = 1; failed; n++) {
        struct sta_l2 *l2 = NULL;
        fail_alloc_at(n);
        int status = sta_l2_create(&l2, rig.loop, &config, NULL);
        failed = fail_alloc_end();
        assert_true(status == STRATA_OK || (failed && status == STRATA_ERR_NOMEM));
        assert_int_equal(l2 == NULL, status != STRATA_OK);
        sta_l2_destroy(&l2);
    }
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_connection_may_fail),
        cmocka_unit_test(every_allocation_of_an_engine_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
