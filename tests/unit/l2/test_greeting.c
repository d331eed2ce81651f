/* SPDX-License-Identifier: MIT
 *
 * What is said to a Redis first, byte for byte, and how its answers are judged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "l2/greeting.h"
#include "strata/status.h"

#define PING "*1\r\n$4\r\nPING\r\n"

static void the_greeting_says_what_the_url_asks_for(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int protocol;
        const char *name;
        unsigned steps;
        const char *wire;
    } rows[] = {
        {"redis://h", 3, NULL, 2, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n" PING},
        {"redis://h/12", 3, "me", 3,
         "*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n"
         "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n" PING},
        {"redis://:pw@h", 3, NULL, 2,
         "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n" PING},
        {"redis://u:pw@h/1", 3, "me", 3,
         "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\npw\r\n"
         "$7\r\nSETNAME\r\n$2\r\nme\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n" PING},
        {"redis://h", 2, NULL, 1, PING},
        {"redis://:pw@h", 2, NULL, 2, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n" PING},
        {"redis://u:pw@h/2", 2, "me", 4,
         "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\npw\r\n"
         "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n"
         "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n" PING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_redis_url url;
        struct sta_greeting greeting;
        size_t at = 0;
        assert_int_equal(sta_redis_url_parse(rows[i].url, &url, NULL), STRATA_OK);
        assert_int_equal(sta_greeting_init(&greeting, &url, rows[i].protocol, rows[i].name), 0);
        assert_int_equal(greeting.count, rows[i].steps);
        for (unsigned step = 0; step < greeting.count; step++) {
            struct strata_bytes wire = sta_greeting_wire(&greeting, step);
            assert_memory_equal(wire.data, rows[i].wire + at, wire.len);
            at += wire.len;
        }
        assert_int_equal(at, strlen(rows[i].wire));
        assert_int_equal(greeting.steps[greeting.count - 1].kind, STA_GREETING_PING);
        sta_greeting_fini(&greeting);
    }
}

static void tracking_is_asked_for_last(void **state)
{
    (void)state;
    static const struct {
        struct sta_greeting_tracking tracking;
        const char *wire;
    } rows[] = {
        {{STA_TRACKING_READS, {NULL, 0}, false},
         "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n"},
        {{STA_TRACKING_BCAST, {"p:", 2}, true},
         "*7\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n$5\r\nBCAST\r\n"
         "$6\r\nPREFIX\r\n$2\r\np:\r\n$6\r\nNOLOOP\r\n"},
        {{STA_TRACKING_OFF, {NULL, 0}, false}, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_redis_url url;
        struct sta_greeting greeting;
        assert_int_equal(sta_redis_url_parse("redis://h", &url, NULL), STRATA_OK);
        assert_int_equal(sta_greeting_init(&greeting, &url, 3, NULL), 0);
        unsigned before = greeting.count;
        assert_int_equal(sta_greeting_track(&greeting, &rows[i].tracking), 0);
        assert_int_equal(greeting.count, before + (rows[i].wire != NULL));
        if (rows[i].wire != NULL) {
            struct strata_bytes wire = sta_greeting_wire(&greeting, before);
            assert_int_equal(wire.len, strlen(rows[i].wire));
            assert_memory_equal(wire.data, rows[i].wire, wire.len);
        }
        sta_greeting_fini(&greeting);
    }
}

static void answers_are_judged(void **state)
{
    (void)state;
    static const struct {
        enum sta_greeting_kind kind;
        const char *frame;
        int status;
        const char *reason;
    } rows[] = {
        {STA_GREETING_HELLO, "%1\r\n$5\r\nproto\r\n:3\r\n", STRATA_OK, NULL},
        {STA_GREETING_AUTH, "+OK\r\n", STRATA_OK, NULL},
        {STA_GREETING_SELECT, "+OK\r\n", STRATA_OK, NULL},
        {STA_GREETING_PING, "+PONG\r\n", STRATA_OK, NULL},
        {STA_GREETING_PING, "-NOPERM no\r\n", STRATA_OK, NULL},
        {STA_GREETING_TRACKING, "+OK\r\n", STRATA_OK, NULL},
        {STA_GREETING_TRACKING, "-NOPERM no\r\n", STRATA_SKIPPED, "NOPERM no"},
        {STA_GREETING_SETNAME, "-NOPERM no\r\n", STRATA_OK, NULL},
        {STA_GREETING_HELLO, "-NOPERM no\r\n", STRATA_ERR_DENIED, "NOPERM no"},
        {STA_GREETING_HELLO, "-NOAUTH HELLO must\r\n", STRATA_ERR_DENIED, "NOAUTH HELLO must"},
        {STA_GREETING_AUTH, "-WRONGPASS x\r\n", STRATA_ERR_DENIED, "WRONGPASS x"},
        {STA_GREETING_AUTH, "!11\r\nWRONGPASS y\r\n", STRATA_ERR_DENIED, "WRONGPASS y"},
        {STA_GREETING_AUTH, "-ERR invalid password\r\n", STRATA_ERR_DENIED, "ERR invalid password"},
        {STA_GREETING_AUTH, "-ERR AUTH <password> called without\r\n", STRATA_ERR_DENIED,
         "ERR AUTH <password> called without"},
        {STA_GREETING_PING, "-LOADING Redis is loading\r\n", STRATA_ERR_UNAVAILABLE,
         "LOADING Redis is loading"},
        {STA_GREETING_PING, "-MASTERDOWN x\r\n", STRATA_ERR_UNAVAILABLE, "MASTERDOWN x"},
        {STA_GREETING_HELLO, "-ERR max number of clients reached\r\n", STRATA_ERR_UNAVAILABLE,
         "ERR max number of clients reached"},
        {STA_GREETING_HELLO, "-NOPROTO sorry\r\n", STRATA_ERR_UNSUPPORTED, "NOPROTO sorry"},
        {STA_GREETING_HELLO,
         "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `u`, `pw`, \r\n",
         STRATA_ERR_UNSUPPORTED, "ERR unknown command `HELLO`"},
        {STA_GREETING_SELECT, "-ERR DB index is out of range\r\n", STRATA_ERR_SERVER,
         "ERR DB index is out of range"},
        {STA_GREETING_HELLO, "+OK\r\n", STRATA_ERR_PROTOCOL,
         "the answer to the greeting is not what Redis says"},
        {STA_GREETING_PING, ":1\r\n", STRATA_ERR_PROTOCOL,
         "the answer to the greeting is not what Redis says"},
        {STA_GREETING_PING, "?", STRATA_ERR_PROTOCOL, "the answer to the greeting is no RESP"},
        {STA_GREETING_PING, "-E\tx\x01\x7f\r\n", STRATA_ERR_SERVER, "E?x??"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[160] = "untouched";
        struct strata_bytes frame = strata_text(rows[i].frame);
        int status = sta_greeting_judge(rows[i].kind, frame, reason, sizeof reason);
        assert_int_equal(status, rows[i].status);
        assert_string_equal(reason, rows[i].reason != NULL ? rows[i].reason : "untouched");
    }
}

static void a_long_answer_is_cut(void **state)
{
    (void)state;
    char reason[8];
    assert_int_equal(sta_greeting_judge(STA_GREETING_PING, strata_text("-ERR 0123456789\r\n"),
                                        reason, sizeof reason),
                     STRATA_ERR_SERVER);
    assert_string_equal(reason, "ERR 012");
}

static void a_name_without_end_is_refused(void **state)
{
    (void)state;
    static char name[8192];
    struct sta_redis_url url;
    struct sta_greeting greeting;
    memset(name, 'n', sizeof name - 1);
    assert_int_equal(sta_redis_url_parse("redis://h", &url, NULL), STRATA_OK);
    assert_int_equal(sta_greeting_init(&greeting, &url, 3, name), STRATA_ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_says_what_the_url_asks_for),
        cmocka_unit_test(tracking_is_asked_for_last),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(a_long_answer_is_cut),
        cmocka_unit_test(a_name_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
