/* SPDX-License-Identifier: MIT
 *
 * Out of memory in loops and streams is a code, and leaks nothing: each run fails the n-th
 * allocation, n = 1, 2, 3, ...
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
#include "end.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

static void every_allocation_of_a_loop_may_fail(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct sta_loop *loop = NULL;
        fail_alloc_at(n);
        int status = sta_loop_create(&loop);
        failed = fail_alloc_end();
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        assert_int_equal(loop == NULL, failed);
        sta_loop_destroy(&loop);
    }
}

static void every_allocation_of_adopting_may_fail(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        int fds[2];
        struct end end;
        end_init(&end);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        end.peer = fds[1];
        fail_alloc_at(n);
        int status = sta_stream_adopt(&end.stream, end.loop, fds[0], &end_roomy, &end_events, &end);
        failed = fail_alloc_end();
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        if (failed) { /* the socket was closed all the same */
            char byte;
            assert_null(end.stream);
            assert_int_equal(recv(end.peer, &byte, 1, 0), 0);
        }
        end_fini(&end);
    }
}

static void every_allocation_of_connecting_may_fail(void **state)
{
    (void)state;
    const struct sta_endpoint nowhere = {.kind = STA_ENDPOINT_UNIX, .address = "/nowhere"};
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct end end;
        end_init(&end);
        fail_alloc_at(n);
        int status = sta_stream_connect(&end.stream, end.loop, &nowhere, STA_NEVER, &end_roomy,
                                        &end_events, &end);
        failed = fail_alloc_end();
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        assert_int_equal(end.stream == NULL, failed);
        end_fini(&end);
    }
}

/* What is kept needs memory: without it the stream ends. */
static void a_stream_that_cannot_keep_its_input_ends(void **state)
{
    (void)state;
    for (uint64_t kept = 0; kept <= 1; kept++) {
        struct end end;
        static const char bytes[2000];
        end_init_pair(&end, &end_roomy);
        end.least = SIZE_MAX;
        if (kept) {
            end_peer_write(&end, bytes, 10);
            end.wanted = 10;
            end_run_until(&end, end_saw_wanted);
        }
        end_peer_write(&end, bytes, sizeof bytes);
        fail_alloc_at(1);
        end_run_until(&end, end_has_closed);
        assert_true(fail_alloc_end());
        assert_int_equal(end.status, STRATA_ERR_NOMEM);
        end_fini(&end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_loop_may_fail),
        cmocka_unit_test(every_allocation_of_adopting_may_fail),
        cmocka_unit_test(every_allocation_of_connecting_may_fail),
        cmocka_unit_test(a_stream_that_cannot_keep_its_input_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
