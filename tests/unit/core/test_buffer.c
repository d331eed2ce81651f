/* SPDX-License-Identifier: MIT
 *
 * The growable buffer: content, ceiling, and what it holds on to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/random.h"
#include "strata/status.h"

static void assert_content(const struct sta_buffer *buffer, const char *text)
{
    assert_int_equal(sta_buffer_len(buffer), strlen(text));
    assert_memory_equal(sta_buffer_bytes(buffer).data, text, strlen(text));
}

static void a_new_buffer_holds_no_memory(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, 100);
    assert_null(buffer.data);
    assert_int_equal(sta_buffer_len(&buffer), 0);
    sta_buffer_fini(&buffer);
}

static void appended_bytes_are_consumed_in_order(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, 1000);
    assert_int_equal(sta_buffer_append(&buffer, strata_text("hello ")), STRATA_OK);
    assert_int_equal(sta_buffer_append(&buffer, strata_text("world")), STRATA_OK);
    assert_content(&buffer, "hello world");
    sta_buffer_consume(&buffer, 6);
    assert_content(&buffer, "world");
    assert_int_equal(sta_buffer_append(&buffer, strata_text("!")), STRATA_OK);
    assert_content(&buffer, "world!");
    sta_buffer_fini(&buffer);
}

static void nothing_passes_the_limit_and_a_refusal_changes_nothing(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, 5);
    assert_int_equal(sta_buffer_append(&buffer, strata_text("abc")), STRATA_OK);
    assert_int_equal(sta_buffer_append(&buffer, strata_text("def")), STRATA_ERR_TOO_BIG);
    assert_content(&buffer, "abc");
    assert_int_equal(sta_buffer_reserve(&buffer, SIZE_MAX), STRATA_ERR_TOO_BIG);
    assert_content(&buffer, "abc");
    assert_int_equal(sta_buffer_append(&buffer, strata_text("de")), STRATA_OK);
    assert_content(&buffer, "abcde");
    assert_true(buffer.cap <= 5);
    sta_buffer_fini(&buffer);
}

static void consumed_room_is_used_again_within_the_limit(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, 8);
    assert_int_equal(sta_buffer_append(&buffer, strata_text("abcdefgh")), STRATA_OK);
    sta_buffer_consume(&buffer, 1); /* more than half remains: it has to be copied */
    assert_int_equal(sta_buffer_append(&buffer, strata_text("i")), STRATA_OK);
    assert_content(&buffer, "bcdefghi");
    sta_buffer_consume(&buffer, 6); /* less than half: it is moved down */
    assert_int_equal(sta_buffer_append(&buffer, strata_text("jklmno")), STRATA_OK);
    assert_content(&buffer, "hijklmno");
    sta_buffer_fini(&buffer);
}

static void little_memory_is_kept_when_empty_and_much_is_given_back(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, SIZE_MAX);
    assert_int_equal(sta_buffer_reserve(&buffer, 100), STRATA_OK);
    sta_buffer_advance(&buffer, 100);
    sta_buffer_consume(&buffer, 100);
    assert_non_null(buffer.data);
    assert_int_equal(sta_buffer_reserve(&buffer, STA_BUFFER_KEEP + 1), STRATA_OK);
    sta_buffer_advance(&buffer, 1);
    sta_buffer_consume(&buffer, 1);
    assert_null(buffer.data);
    assert_true(buffer.limit == SIZE_MAX);
    sta_buffer_fini(&buffer);
}

static void memory_that_was_taken_outlives_the_buffer(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, 100);
    assert_null(sta_buffer_take(&buffer));
    assert_int_equal(sta_buffer_append(&buffer, strata_text("abc")), STRATA_OK);
    char *taken = sta_buffer_take(&buffer);
    assert_int_equal(sta_buffer_len(&buffer), 0);
    assert_int_equal(sta_buffer_append(&buffer, strata_text("def")), STRATA_OK);
    assert_int_equal(sta_buffer_reserve(&buffer, 98), STRATA_ERR_TOO_BIG);
    sta_buffer_fini(&buffer);
    assert_memory_equal(taken, "abc", 3);
    free(taken);
}

static void memory_stays_near_what_was_asked_for(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, SIZE_MAX);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(sta_buffer_append(&buffer, strata_text("0123456789")), STRATA_OK);
    assert_true(buffer.cap <= 1500000);
    sta_buffer_clear(&buffer);
    assert_null(buffer.data);
    sta_buffer_fini(&buffer);
}

/* Against a model: a sliding window over the endless text 0, 1, 2, ..., 250, 0, ... */
static void any_mix_of_appending_and_consuming_keeps_the_content(void **state)
{
    (void)state;
    enum { LIMIT = 700, PERIOD = 251 };
    uint8_t pattern[PERIOD + LIMIT];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i % PERIOD);
    uint64_t seed = 1;
    size_t head = 0, len = 0;
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, LIMIT);
    for (int i = 0; i < 20000; i++) {
        size_t more = sta_random_below(&seed, 200);
        const uint8_t *bytes = pattern + (head + len) % PERIOD;
        int status = sta_buffer_append(&buffer, strata_bytes(bytes, more));
        assert_int_equal(status, len + more > LIMIT ? STRATA_ERR_TOO_BIG : STRATA_OK);
        len += status == STRATA_OK ? more : 0;
        size_t fewer = sta_random_below(&seed, len + 1);
        sta_buffer_consume(&buffer, fewer);
        head += fewer;
        len -= fewer;
        assert_int_equal(sta_buffer_len(&buffer), len);
        if (len > 0)
            assert_memory_equal(sta_buffer_bytes(&buffer).data, pattern + head % PERIOD, len);
        assert_true(buffer.head <= buffer.tail && buffer.tail <= buffer.cap);
        assert_true(buffer.cap <= LIMIT);
    }
    sta_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_buffer_holds_no_memory),
        cmocka_unit_test(appended_bytes_are_consumed_in_order),
        cmocka_unit_test(nothing_passes_the_limit_and_a_refusal_changes_nothing),
        cmocka_unit_test(consumed_room_is_used_again_within_the_limit),
        cmocka_unit_test(little_memory_is_kept_when_empty_and_much_is_given_back),
        cmocka_unit_test(memory_that_was_taken_outlives_the_buffer),
        cmocka_unit_test(memory_stays_near_what_was_asked_for),
        cmocka_unit_test(any_mix_of_appending_and_consuming_keeps_the_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
