/* SPDX-License-Identifier: MIT
 *
 * Redirects and other errors, as tables: what a text means, and what is done about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "l2/redirect.h"
#include "strata/status.h"

static const struct sta_endpoint node = {
    .kind = STA_ENDPOINT_TCP, .port = 7001, .address = "10.0.0.1"};

static void texts_are_told_by_their_first_word(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sta_redirect_kind kind;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", STA_REDIRECT_MOVED},
        {"ASK 3999 127.0.0.1:6381", STA_REDIRECT_ASKED},
        {"TRYAGAIN Multiple keys request during rehashing of slot", STA_REDIRECT_TRYAGAIN},
        {"CLUSTERDOWN The cluster is down", STA_REDIRECT_CLUSTERDOWN},
        {"CLUSTERDOWN Hash slot not served", STA_REDIRECT_CLUSTERDOWN},
        {"LOADING Redis is loading the dataset in memory", STA_REDIRECT_LOADING},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
         STA_REDIRECT_MASTERDOWN},
        {"READONLY You can't write against a read only replica.", STA_REDIRECT_READONLY},
        {"CROSSSLOT Keys in request don't hash to the same slot", STA_REDIRECT_CROSSSLOT},
        {"NOAUTH Authentication required.", STA_REDIRECT_DENIED},
        {"NOPERM this user has no permissions to run the 'get' command", STA_REDIRECT_DENIED},
        {"WRONGPASS invalid username-password pair or user is disabled.", STA_REDIRECT_DENIED},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", STA_REDIRECT_OTHER},
        {"ERR unknown command", STA_REDIRECT_OTHER},
        {"MOVEDX 1 a:1", STA_REDIRECT_OTHER},
        {"moved 1 a:1", STA_REDIRECT_OTHER},
        {" MOVED 1 a:1", STA_REDIRECT_OTHER},
        {"MOVE", STA_REDIRECT_OTHER},
        {"LOADING", STA_REDIRECT_LOADING},
        {"", STA_REDIRECT_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_redirect redirect;
        sta_redirect_parse(&redirect, strata_text(rows[i].text), &node);
        if (redirect.kind != rows[i].kind)
            fail_msg("\"%s\" is kind %d", rows[i].text, (int)redirect.kind);
    }
}

static void a_redirect_names_a_slot_and_an_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned slot;
        const char *address;
        unsigned port;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", 3999, "127.0.0.1", 6381},
        {"MOVED 0 a:1", 0, "a", 1},
        {"MOVED 16383 redis-1.example.net:65535", 16383, "redis-1.example.net", 65535},
        {"ASK 1 ::1:6381", 1, "::1", 6381},
        {"MOVED 1 2001:db8::8a2e:370:7334:6381", 1, "2001:db8::8a2e:370:7334", 6381},
        {"MOVED 1 [2001:db8::1]:6381", 1, "2001:db8::1", 6381},
        {"MOVED 1 ::ffff:10.0.0.1:6381", 1, "::ffff:10.0.0.1", 6381},
        {"MOVED 1 :6381", 1, "10.0.0.1", 6381}, /* the node that answered */
        {"ASK 1 :6381", 1, "10.0.0.1", 6381},
        {"MOVED 1 ?:6381", 1, "", 6381}, /* a node that has no address yet */
        {"MOVED 1 a:6381 more of a later version", 1, "a", 6381},
        {"MOVED 1 a:6381 ", 1, "a", 6381},
        {"MOVED 00001 a:1", 1, "a", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_redirect redirect;
        sta_redirect_parse(&redirect, strata_text(rows[i].text), &node);
        assert_true(redirect.kind == STA_REDIRECT_MOVED || redirect.kind == STA_REDIRECT_ASKED);
        assert_int_equal(redirect.slot, rows[i].slot);
        assert_string_equal(redirect.endpoint.address, rows[i].address);
        assert_int_equal(redirect.endpoint.port, rows[i].port);
        assert_int_equal(redirect.endpoint.kind, STA_ENDPOINT_TCP);
    }
}

static void a_redirect_that_cannot_be_followed_is_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "MOVED",
        "MOVED ",
        "MOVED 3999",
        "MOVED 3999 ",
        "MOVED  3999 a:1", /* an empty slot */
        "MOVED 3999  a:1", /* an empty endpoint */
        "MOVED 16384 a:1",
        "MOVED 65536 a:1",
        "MOVED 18446744073709551616 a:1",
        "MOVED -1 a:1",
        "MOVED +1 a:1",
        "MOVED 1x a:1",
        "MOVED a:1 3999",
        "MOVED 1 a",
        "MOVED 1 a:",
        "MOVED 1 a:0",
        "MOVED 1 :0",
        "MOVED 1 ?:0",
        "MOVED 1 ::",
        "MOVED 1 :",
        "MOVED 1 a:65536",
        "MOVED 1 a:-1",
        "MOVED 1 a:1x",
        "MOVED 1 a b:1",
        "MOVED 1 a_host!:1",
        "MOVED 1 999.0.0.1:1",
        "MOVED 1 1::2::3:1",
        "MOVED 1 [::1:1",
        "MOVED 1 []:1",
        "MOVED 1 a\t:1",
        "ASK",
        "ASK 1 a",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sta_redirect redirect;
        sta_redirect_parse(&redirect, strata_text(texts[i]), &node);
        if (redirect.kind != STA_REDIRECT_MALFORMED)
            fail_msg("\"%s\" is kind %d", texts[i], (int)redirect.kind);
    }
    char text[400] = "MOVED 1 ";
    struct sta_redirect redirect;
    memset(text + 8, 'a', 300);
    memcpy(text + 308, ":1", 3);
    sta_redirect_parse(&redirect, strata_text(text), &node);
    assert_int_equal(redirect.kind, STA_REDIRECT_MALFORMED);
    sta_redirect_parse(&redirect, strata_bytes("MOVED 1 a\0b:1", 13), &node);
    assert_int_equal(redirect.kind, STA_REDIRECT_MALFORMED);
}

static void without_a_host_behind_a_unix_socket_the_node_has_no_address(void **state)
{
    (void)state;
    const struct sta_endpoint socket = {.kind = STA_ENDPOINT_UNIX, .address = "/run/redis.sock"};
    struct sta_redirect redirect;
    sta_redirect_parse(&redirect, strata_text("MOVED 1 :6381"), &socket);
    assert_int_equal(redirect.kind, STA_REDIRECT_MOVED);
    assert_string_equal(redirect.endpoint.address, "");
}

/* ---- decisions ---- */

#define NOW      (1000 * STA_NS_MS)
#define DEADLINE (6000 * STA_NS_MS)

static struct sta_redirect_decision decide(const char *text, unsigned attempts, bool splittable,
                                           uint64_t deadline_ns)
{
    struct sta_redirect redirect;
    struct sta_redirect_call call = {
        .deadline_ns = deadline_ns, .attempts = attempts, .splittable = splittable};
    uint64_t random = 42;
    sta_redirect_parse(&redirect, strata_text(text), &node);
    return sta_redirect_decide(&redirect, &call, NOW, &random);
}

enum wait { AT_ONCE, LATER };

#define PATCH     1u
#define REFRESH   2u
#define RECONNECT 4u

static void each_error_has_its_decision(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned attempts;
        bool splittable;
        enum sta_redirect_action action;
        int status;
        enum wait wait;
        unsigned also;
    } rows[] = {
        {"MOVED 1 a:1", 1, false, STA_REDIRECT_GO, 0, AT_ONCE, PATCH | REFRESH},
        {"MOVED 1 a:1", 4, true, STA_REDIRECT_GO, 0, AT_ONCE, PATCH | REFRESH},
        {"MOVED 1 a:1", 5, false, STA_REDIRECT_GO, 0, LATER, PATCH | REFRESH},
        {"MOVED 1 ?:1", 1, false, STA_REDIRECT_RETRY, 0, LATER, REFRESH},
        {"ASK 1 a:1", 1, false, STA_REDIRECT_ASK, 0, AT_ONCE, 0},
        {"ASK 1 a:1", 4, true, STA_REDIRECT_ASK, 0, AT_ONCE, 0},
        {"ASK 1 a:1", 5, false, STA_REDIRECT_ASK, 0, LATER, 0},
        {"ASK 1 ?:1", 1, false, STA_REDIRECT_RETRY, 0, LATER, REFRESH},
        {"TRYAGAIN", 1, true, STA_REDIRECT_RETRY, 0, LATER, 0},
        {"TRYAGAIN", 2, true, STA_REDIRECT_RETRY, 0, LATER, 0},
        {"TRYAGAIN", 3, true, STA_REDIRECT_SPLIT, 0, AT_ONCE, 0},
        {"TRYAGAIN", 3, false, STA_REDIRECT_RETRY, 0, LATER, 0},
        {"CLUSTERDOWN", 1, false, STA_REDIRECT_RETRY, 0, LATER, REFRESH},
        {"LOADING", 1, false, STA_REDIRECT_RETRY, 0, LATER, REFRESH},
        {"MASTERDOWN", 1, false, STA_REDIRECT_RETRY, 0, LATER, REFRESH},
        {"READONLY", 1, false, STA_REDIRECT_RETRY, 0, LATER, REFRESH | RECONNECT},
        {"CROSSSLOT", 1, true, STA_REDIRECT_SPLIT, 0, AT_ONCE, 0},
        {"CROSSSLOT", 1, false, STA_REDIRECT_GIVE_UP, STRATA_ERR_SERVER, AT_ONCE, 0},
        {"NOAUTH", 1, true, STA_REDIRECT_GIVE_UP, STRATA_ERR_DENIED, AT_ONCE, 0},
        {"WRONGTYPE", 1, true, STA_REDIRECT_GIVE_UP, STRATA_ERR_SERVER, AT_ONCE, 0},
        {"MOVED 1 a", 1, true, STA_REDIRECT_GIVE_UP, STRATA_ERR_PROTOCOL, AT_ONCE, 0},
        /* the last attempt */
        {"MOVED 1 a:1", 63, false, STA_REDIRECT_GO, 0, LATER, PATCH | REFRESH},
        {"MOVED 1 a:1", 64, false, STA_REDIRECT_GIVE_UP, STRATA_ERR_UNAVAILABLE, AT_ONCE,
         PATCH | REFRESH},
        {"LOADING", 64, false, STA_REDIRECT_GIVE_UP, STRATA_ERR_UNAVAILABLE, AT_ONCE, REFRESH},
        {"TRYAGAIN", 64, true, STA_REDIRECT_GIVE_UP, STRATA_ERR_UNAVAILABLE, AT_ONCE, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_redirect_decision decision =
            decide(rows[i].text, rows[i].attempts, rows[i].splittable, DEADLINE);
        unsigned also = (decision.patch ? PATCH : 0) | (decision.refresh ? REFRESH : 0) |
                        (decision.reconnect ? RECONNECT : 0);
        if (decision.action != rows[i].action || decision.status != rows[i].status ||
            also != rows[i].also)
            fail_msg("row %zu: action %d, status %d, also %u", i, (int)decision.action,
                     decision.status, also);
        if (decision.action == STA_REDIRECT_GIVE_UP)
            continue;
        if (rows[i].wait == AT_ONCE)
            assert_int_equal(decision.at_ns, NOW);
        else
            assert_in_range(decision.at_ns, NOW + 5 * STA_NS_MS, NOW + 500 * STA_NS_MS);
    }
}

static void what_cannot_be_sent_before_the_deadline_is_given_up(void **state)
{
    (void)state;
    static const char *const texts[] = {"MOVED 1 a:1", "ASK 1 a:1", "TRYAGAIN",
                                        "LOADING",     "READONLY",  "CROSSSLOT"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sta_redirect_decision decision = decide(texts[i], 1, true, NOW);
        assert_int_equal(decision.action, STA_REDIRECT_GIVE_UP);
        assert_int_equal(decision.status, STRATA_ERR_UNAVAILABLE);
        decision = decide(texts[i], 1, true, NOW - 1);
        assert_int_equal(decision.action, STA_REDIRECT_GIVE_UP);
    }
    assert_int_equal(decide("LOADING", 1, false, NOW + 5 * STA_NS_MS).action,
                     STA_REDIRECT_GIVE_UP); /* the wait is longer */
    assert_int_equal(decide("MOVED 1 a:1", 1, false, NOW + 1).action, STA_REDIRECT_GO);
    assert_true(decide("MOVED 1 a:1", 1, false, NOW).patch); /* the next call profits */
}

/* Two nodes that name each other for ever, for a call of 5 s and one without a deadline. */
static void a_loop_of_redirects_ends(void **state)
{
    (void)state;
    static const uint64_t deadlines[] = {NOW + 5000 * STA_NS_MS, STA_NEVER};
    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
        struct sta_redirect redirect;
        struct sta_redirect_call call = {.deadline_ns = deadlines[i], .attempts = 0};
        uint64_t now_ns = NOW, random = 7;
        sta_redirect_parse(&redirect, strata_text("MOVED 1 a:1"), &node);
        for (;;) {
            call.attempts++;
            struct sta_redirect_decision decision =
                sta_redirect_decide(&redirect, &call, now_ns, &random);
            if (decision.action == STA_REDIRECT_GIVE_UP)
                break;
            assert_true(decision.at_ns >= now_ns && decision.at_ns < call.deadline_ns);
            now_ns = decision.at_ns;
        }
        assert_in_range(call.attempts, 12, STA_REDIRECT_ATTEMPTS_MAX);
        assert_true(now_ns - NOW <= 64 * 500 * STA_NS_MS);
        assert_true(deadlines[i] == STA_NEVER || now_ns - NOW >= 4000 * STA_NS_MS);
    }
}

static void waits_grow_and_are_spread_over_the_upper_half(void **state)
{
    (void)state;
    static const uint64_t ceilings_ms[] = {10, 20, 40, 80, 160, 320, 500, 500, 500};
    struct sta_redirect redirect = {.kind = STA_REDIRECT_LOADING};
    uint64_t random = 3;
    for (unsigned i = 0; i < sizeof ceilings_ms / sizeof ceilings_ms[0]; i++) {
        struct sta_redirect_call call = {.deadline_ns = STA_NEVER, .attempts = i + 1};
        uint64_t ceiling_ns = ceilings_ms[i] * STA_NS_MS, least = UINT64_MAX, most = 0;
        for (unsigned draw = 0; draw < 1000; draw++) {
            uint64_t wait_ns = sta_redirect_decide(&redirect, &call, 0, &random).at_ns;
            least = wait_ns < least ? wait_ns : least;
            most = wait_ns > most ? wait_ns : most;
        }
        assert_in_range(least, ceiling_ns / 2, ceiling_ns * 55 / 100);
        assert_in_range(most, ceiling_ns * 95 / 100, ceiling_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_told_by_their_first_word),
        cmocka_unit_test(a_redirect_names_a_slot_and_an_endpoint),
        cmocka_unit_test(a_redirect_that_cannot_be_followed_is_malformed),
        cmocka_unit_test(without_a_host_behind_a_unix_socket_the_node_has_no_address),
        cmocka_unit_test(each_error_has_its_decision),
        cmocka_unit_test(what_cannot_be_sent_before_the_deadline_is_given_up),
        cmocka_unit_test(a_loop_of_redirects_ends),
        cmocka_unit_test(waits_grow_and_are_spread_over_the_upper_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
