/* SPDX-License-Identifier: MIT
 *
 * Key slots, as tables. That a real server agrees: tests/integration/test_server_cluster.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"
#include "l2/slot.h"

/* By the definition, bit by bit. */
static uint16_t crc16_by_bits(const uint8_t *data, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)data[i] << 8;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return (uint16_t)crc;
}

static void the_check_value_is_that_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(sta_slot_crc16(strata_text("123456789")), 0x31c3);
    assert_int_equal(sta_slot_crc16(strata_text("")), 0);
    assert_int_equal(sta_slot_crc16(strata_bytes(NULL, 0)), 0);
}

static void the_table_follows_the_polynomial(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(sta_slot_crc16(strata_bytes(&byte, 1)), crc16_by_bits(&byte, 1));
    }
    for (unsigned round = 0; round < 10000; round++) {
        uint8_t bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)sta_random_next(&random);
        size_t len = sta_random_below(&random, sizeof bytes + 1);
        assert_int_equal(sta_slot_crc16(strata_bytes(bytes, len)), crc16_by_bits(bytes, len));
    }
}

static void only_a_tag_that_is_not_empty_is_hashed_instead_of_the_key(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *hashed;
    } rows[] = {
        {"foo", "foo"},
        {"", ""},
        {"{user1000}.following", "user1000"},
        {"{user1000}.followers", "user1000"},
        {"a{b}c", "b"},
        {"foo{}{bar}", "foo{}{bar}"}, /* the first is empty: the whole key */
        {"foo{{bar}}zap", "{bar"},
        {"foo{bar}{zap}", "bar"},
        {"foo}{bar}", "bar"}, /* a '}' before is no end */
        {"foo{bar", "foo{bar"},
        {"foo}bar", "foo}bar"},
        {"{}", "{}"},
        {"{", "{"},
        {"}", "}"},
        {"{a", "{a"},
        {"{}a}", "{}a}"},
        {"{a}", "a"},
        {"tail{a}", "a"},
        {"tail{", "tail{"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct strata_bytes hashed = strata_text(rows[i].hashed);
        unsigned wanted = crc16_by_bits(hashed.data, hashed.len) % 16384u;
        if (sta_slot_of(strata_text(rows[i].key)) != wanted)
            fail_msg("\"%s\" is not hashed by \"%s\"", rows[i].key, rows[i].hashed);
    }
    assert_int_equal(sta_slot_of(strata_text("foo")), 12182); /* as redis-cli says */
    assert_int_equal(sta_slot_of(strata_bytes("{\0}x", 4)), 0);
}

static void a_set_holds_what_was_added(void **state)
{
    (void)state;
    static const unsigned added[] = {0, 63, 64, 8191, 16383};
    struct sta_slot_set set = {{0}};
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++)
        sta_slot_set_add(&set, added[i]);
    unsigned found = 0;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        found += sta_slot_set_has(&set, slot);
    assert_int_equal(found, 5);
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++)
        assert_true(sta_slot_set_has(&set, added[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_value_is_that_of_the_specification),
        cmocka_unit_test(the_table_follows_the_polynomial),
        cmocka_unit_test(only_a_tag_that_is_not_empty_is_hashed_instead_of_the_key),
        cmocka_unit_test(a_set_holds_what_was_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
