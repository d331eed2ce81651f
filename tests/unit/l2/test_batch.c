/* SPDX-License-Identifier: MIT
 *
 * Encoding of cache operations and decoding of their answers, without a connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "l2/batch.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

/* Encoding asks the engine only whether it is a cluster, which NULL is not. */
static void batch_begin(struct sta_batch *batch, const char *prefix)
{
    sta_batch_init(batch, NULL, strata_text(prefix), NULL, NULL);
}

static void assert_wire(const struct sta_batch *batch, const char *expected)
{
    struct strata_bytes wire = sta_buffer_bytes(&batch->wire);
    assert_int_equal(wire.len, strlen(expected));
    assert_memory_equal(wire.data, expected, wire.len);
}

static void a_get_asks_for_the_value_first_and_then_for_its_ttl(void **state)
{
    (void)state;
    struct sta_batch batch;
    batch_begin(&batch, "p:");
    assert_int_equal(sta_batch_get(&batch, 7, strata_text("key")), STRATA_OK);
    assert_wire(&batch, "*2\r\n$3\r\nGET\r\n$5\r\np:key\r\n"
                        "*2\r\n$4\r\nPTTL\r\n$5\r\np:key\r\n");
    assert_int_equal(batch.kind, STA_BATCH_GET);
    sta_batch_fini(&batch);
}

static void a_get_for_who_keeps_nothing_asks_for_the_value_alone(void **state)
{
    (void)state;
    struct sta_batch batch;
    struct strata_bytes value;
    uint64_t ttl_ms = 1;
    batch_begin(&batch, "p:");
    assert_int_equal(sta_batch_get_value(&batch, 7, strata_text("key")), STRATA_OK);
    assert_wire(&batch, "*2\r\n$3\r\nGET\r\n$5\r\np:key\r\n");
    assert_int_equal(batch.kind, STA_BATCH_GET_VALUE);
    sta_batch_fini(&batch);
    assert_int_equal(sta_batch_read_get(strata_text("$2\r\nhi\r\n"), &value, &ttl_ms), STRATA_OK);
    assert_int_equal(value.len, 2);
    assert_int_equal(ttl_ms, 0);
    assert_int_equal(sta_batch_read_get(strata_text("_\r\n"), &value, &ttl_ms), STRATA_MISS);
}

static void a_set_carries_its_ttl_in_milliseconds_or_none(void **state)
{
    (void)state;
    struct sta_batch batch;
    batch_begin(&batch, "");
    sta_batch_set(&batch, 7, strata_text("k"), strata_text("v"), 1500);
    sta_batch_set(&batch, 7, strata_text("k"), strata_bytes(NULL, 0), UINT64_MAX);
    assert_wire(&batch, "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$4\r\n1500\r\n"
                        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.kind, STA_BATCH_SET);
    sta_batch_fini(&batch);
}

static void a_set_that_is_read_back_ends_with_value_and_ttl(void **state)
{
    (void)state;
    struct sta_batch batch;
    batch_begin(&batch, "p:");
    sta_batch_set_read(&batch, 7, strata_text("k"), strata_text("v"), 1500);
    assert_wire(&batch, "*5\r\n$3\r\nSET\r\n$3\r\np:k\r\n$1\r\nv\r\n$2\r\nPX\r\n$4\r\n1500\r\n"
                        "*2\r\n$3\r\nGET\r\n$3\r\np:k\r\n*2\r\n$4\r\nPTTL\r\n$3\r\np:k\r\n");
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.first_mark.commands, 3);
    sta_batch_fini(&batch);
}

static void what_is_read_back_is_kept_as_long_as_redis_says(void **state)
{
    (void)state;
    static const struct {
        const char *replies;
        uint64_t ttl_ms; /* 0: it is not kept */
    } cases[] = {
        {"+OK\r\n$2\r\nhi\r\n:70\r\n", 70},
        {"+OK\r\n$2\r\nhi\r\n:-1\r\n", UINT64_MAX},
        {"+OK\r\n$2\r\nhi\r\n:-2\r\n", 0}, /* gone meanwhile */
        {"+OK\r\n$2\r\nhi\r\n:0\r\n", 0},
        {"+OK\r\n$2\r\nhi\r\n-NOPERM no\r\n", 0},
        {"+OK\r\n$2\r\nho\r\n:70\r\n", 0},
        {"+OK\r\n$3\r\nhi!\r\n:70\r\n", 0},
        {"+OK\r\n_\r\n:-2\r\n", 0},
        {"-OOM no\r\n$2\r\nhi\r\n:70\r\n", 0},
        {"+OK\r\n", 0}, /* a set that was not read back */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ttl_ms = 0;
        bool kept =
            sta_batch_read_set_kept(strata_text(cases[i].replies), strata_text("hi"), &ttl_ms);
        assert_int_equal(kept, cases[i].ttl_ms != 0);
        assert_int_equal(kept ? ttl_ms : 0, cases[i].ttl_ms);
    }
}

static void an_add_sets_what_is_not_there_and_ends_with_a_read(void **state)
{
    (void)state;
    struct sta_batch batch;
    batch_begin(&batch, "p:");
    sta_batch_add(&batch, 7, strata_text("k"), strata_text("v"), 1500);
    sta_batch_add(&batch, 8, strata_text("k"), strata_text("v"), UINT64_MAX);
    assert_wire(&batch, "*6\r\n$3\r\nSET\r\n$3\r\np:k\r\n$1\r\nv\r\n$2\r\nNX\r\n"
                        "$2\r\nPX\r\n$4\r\n1500\r\n*2\r\n$6\r\nEXISTS\r\n$3\r\np:k\r\n"
                        "*4\r\n$3\r\nSET\r\n$3\r\np:k\r\n$1\r\nv\r\n$2\r\nNX\r\n"
                        "*2\r\n$6\r\nEXISTS\r\n$3\r\np:k\r\n");
    assert_int_equal(batch.first_mark.commands, 2);
    sta_batch_fini(&batch);
}

static void a_ttl_that_redis_could_not_add_to_its_clock_is_none(void **state)
{
    (void)state;
    struct sta_batch batch;
    batch_begin(&batch, "");
    sta_batch_set(&batch, 7, strata_text("k"), strata_text("v"), UINT64_MAX - 1);
    assert_wire(&batch, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    sta_batch_fini(&batch);
}

static void a_delete_unlinks(void **state)
{
    (void)state;
    struct sta_batch batch;
    batch_begin(&batch, "p:");
    sta_batch_delete(&batch, 7, strata_text("k"));
    assert_wire(&batch, "*2\r\n$6\r\nUNLINK\r\n$3\r\np:k\r\n");
    sta_batch_fini(&batch);
}

static void an_operation_that_does_not_fit_leaves_the_batch_as_it_was(void **state)
{
    (void)state;
    struct sta_batch batch;
    batch_begin(&batch, "");
    sta_batch_delete(&batch, 7, strata_text("k"));
    struct strata_bytes huge = strata_bytes("x", STA_BATCH_WIRE_MAX);
    assert_int_equal(sta_batch_set(&batch, 7, strata_text("k"), huge, 1), STRATA_ERR_TOO_BIG);
    assert_wire(&batch, "*2\r\n$6\r\nUNLINK\r\n$1\r\nk\r\n");
    assert_int_equal(batch.count, 1);
    sta_batch_fini(&batch);
}

struct get_case {
    const char *replies;
    int status;
    const char *value;
    uint64_t ttl_ms;
};

/* ---- memory ---- */

#define MANY 100u

static int append_many(struct sta_batch *batch, size_t expected)
{
    int status = STRATA_OK;
    batch_begin(batch, "p:");
    sta_batch_expect(batch, expected);
    for (unsigned i = 0; i < MANY && status == STRATA_OK; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key:%u", i);
        status = sta_batch_get_value(batch, i, strata_text(key));
    }
    return status;
}

/* How often memory is asked for; where there is none, a wish is not granted, and a need fails. */
static unsigned allocations(size_t expected)
{
    for (unsigned n = 1;; n++) {
        struct sta_batch batch;
        fail_alloc_at(n);
        int status = append_many(&batch, expected);
        bool failed = fail_alloc_end();
        assert_true(status == STRATA_OK || (failed && status == STRATA_ERR_NOMEM));
        assert_true(status != STRATA_OK || batch.count == MANY);
        sta_batch_fini(&batch);
        if (!failed)
            return n - 1;
    }
}

static void what_is_expected_has_memory_made_once(void **state)
{
    (void)state;
    assert_in_range(allocations(MANY), 1, 3);
    assert_true(allocations(0) > 6);
    assert_true(allocations(2) > 6); /* more come than were expected */
}

static void answers_of_a_get_become_statuses_values_and_ttls(void **state)
{
    (void)state;
    static const struct get_case cases[] = {
        {"$1\r\nv\r\n:5000\r\n", STRATA_OK, "v", 5000},
        {"$0\r\n\r\n:-1\r\n", STRATA_OK, "", UINT64_MAX},
        {"$1\r\nv\r\n:-2\r\n", STRATA_OK, "v", 0}, /* expired between the two */
        {"$1\r\nv\r\n-NOPERM no pttl\r\n", STRATA_OK, "v", 0},
        {"_\r\n:-2\r\n", STRATA_MISS, NULL, 0},
        {"$-1\r\n:-2\r\n", STRATA_MISS, NULL, 0},
        {"-WRONGTYPE no string\r\n:-1\r\n", STRATA_ERR_SERVER, NULL, 0},
        {"-NOPERM no get\r\n:-1\r\n", STRATA_ERR_DENIED, NULL, 0},
        {"-LOADING later\r\n-LOADING later\r\n", STRATA_ERR_UNAVAILABLE, NULL, 0},
        {"-MASTERDOWN later\r\n-MASTERDOWN later\r\n", STRATA_ERR_UNAVAILABLE, NULL, 0},
        {"-CLUSTERDOWN later\r\n-CLUSTERDOWN later\r\n", STRATA_ERR_UNAVAILABLE, NULL, 0},
        {"$1\r\nv\r\n-MOVED 1 a:1\r\n", STRATA_OK, "v", 0},
        {":1\r\n:-1\r\n", STRATA_ERR_PROTOCOL, NULL, 0},
        {"", STRATA_ERR_PROTOCOL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct strata_bytes value = strata_bytes(NULL, 0);
        uint64_t ttl_ms = 0;
        struct strata_bytes replies = strata_text(cases[i].replies);
        assert_int_equal(sta_batch_read_get(replies, &value, &ttl_ms), cases[i].status);
        if (cases[i].value == NULL)
            continue;
        assert_int_equal(value.len, strlen(cases[i].value));
        assert_int_equal(ttl_ms, cases[i].ttl_ms);
    }
}

static void assert_read(int (*read)(struct strata_bytes), const char *reply, int status)
{
    assert_int_equal(read(strata_text(reply)), status);
}

static void answers_of_writes_become_statuses(void **state)
{
    (void)state;
    assert_read(sta_batch_read_set, "+OK\r\n", STRATA_OK);
    assert_read(sta_batch_read_set, "-OOM no memory\r\n", STRATA_ERR_SERVER);
    assert_read(sta_batch_read_set, "-READONLY a replica\r\n", STRATA_ERR_UNAVAILABLE);
    assert_read(sta_batch_read_set, "-NOAUTH who\r\n", STRATA_ERR_DENIED);
    assert_read(sta_batch_read_set, "$2\r\nOK\r\n", STRATA_ERR_PROTOCOL);
    assert_read(sta_batch_read_set, "", STRATA_ERR_PROTOCOL);
    assert_read(sta_batch_read_add, "+OK\r\n:1\r\n", STRATA_OK);
    assert_read(sta_batch_read_add, "_\r\n:1\r\n", STRATA_SKIPPED);
    assert_read(sta_batch_read_add, "-OOM no memory\r\n:0\r\n", STRATA_ERR_SERVER);
    assert_read(sta_batch_read_add, ":1\r\n:1\r\n", STRATA_ERR_PROTOCOL);
    assert_read(sta_batch_read_delete, ":1\r\n", STRATA_OK);
    assert_read(sta_batch_read_delete, ":0\r\n", STRATA_MISS);
    assert_read(sta_batch_read_delete, "+OK\r\n", STRATA_ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_asks_for_the_value_first_and_then_for_its_ttl),
        cmocka_unit_test(a_get_for_who_keeps_nothing_asks_for_the_value_alone),
        cmocka_unit_test(a_set_carries_its_ttl_in_milliseconds_or_none),
        cmocka_unit_test(a_set_that_is_read_back_ends_with_value_and_ttl),
        cmocka_unit_test(what_is_read_back_is_kept_as_long_as_redis_says),
        cmocka_unit_test(an_add_sets_what_is_not_there_and_ends_with_a_read),
        cmocka_unit_test(a_ttl_that_redis_could_not_add_to_its_clock_is_none),
        cmocka_unit_test(a_delete_unlinks),
        cmocka_unit_test(an_operation_that_does_not_fit_leaves_the_batch_as_it_was),
        cmocka_unit_test(what_is_expected_has_memory_made_once),
        cmocka_unit_test(answers_of_a_get_become_statuses_values_and_ttls),
        cmocka_unit_test(answers_of_writes_become_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
