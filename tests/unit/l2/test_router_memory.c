/* SPDX-License-Identifier: MIT
 *
 * Memory that runs out while a router finds a cluster, follows redirects and replaces its map: each
 * operation still ends exactly once, and nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/clock.h"
#include "router_rig.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

/* The rig's own reading allocates too, so its buffers are grown first: what fails is ours. */
static bool run_once(uint64_t n)
{
    static const unsigned before[] = {0, 5000, 10000};
    static const unsigned after[] = {0, 5000, 12000};
    static struct rig rig;
    char moved[64];
    char ask[64];
    struct sta_router_events events = {.state = NULL};
    rig_init(&rig, 3);
    rig.config.cluster = true;
    rig.config.refresh.floor_ns = STA_NS_MS;
    rig.config.refresh.backoff_ns = STA_NS_MS;
    rig.config.node.connection.backoff_max_ns = STA_NS_MS;
    rig.config.node.connection.name = "me";
    const char *topology = rig_topology(&rig, before);
    for (unsigned i = 0; i < 3; i++) {
        rig.fakes[i].topology = topology;
        for (unsigned p = 0; p < PEERS_MAX; p++)
            (void)sta_buffer_reserve(&rig.fakes[i].peers[p].in, 65536);
    }
    (void)snprintf(moved, sizeof moved, "-MOVED 1 127.0.0.1:%d\r\n", rig.fakes[1].port);
    (void)snprintf(ask, sizeof ask, "-ASK 2 127.0.0.1:%d\r\n", rig.fakes[2].port);
    fake_answers(&rig.fakes[0], "GET moved", moved, 100);
    fake_answers(&rig.fakes[0], "GET asked", ask, 100);
    fake_answers(&rig.fakes[1], "GET moved", "+1\r\n", 100);
    fake_answers(&rig.fakes[2], "GET asked", "+2\r\n", 100);
    fail_alloc_at(n);
    int status = sta_router_create(&rig.router, rig.loop, &rig.log, &rig.config, &events, &rig);
    if (status == STRATA_OK) {
        (void)rig_ask_within(&rig, 1, true, "GET moved", 300 * STA_NS_MS);
        (void)rig_ask_within(&rig, 2, true, "GET asked", 300 * STA_NS_MS);
        rig_run_ms(&rig, 12);
        const char *changed = rig_topology(&rig, after);
        for (unsigned i = 0; i < 3; i++)
            rig.fakes[i].topology = changed;
        (void)rig_ask_within(&rig, 1, true, "GET moved", 300 * STA_NS_MS);
        (void)rig_ask_within(&rig, 2, true, "GET asked", 300 * STA_NS_MS);
        rig_run_until(&rig, rig_all_done);
    }
    bool failed = fail_alloc_end();
    assert_true(status == STRATA_OK || (failed && status == STRATA_ERR_NOMEM));
    rig_fini(&rig);
    return failed;
}

static void every_allocation_may_fail_once(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (run_once(n))
        n++;
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
