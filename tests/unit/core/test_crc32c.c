/* SPDX-License-Identifier: MIT
 *
 * CRC-32C by the table and by whatever the processor has, beside its definition, bit by bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crc32c.h"
#include "core/random.h"

#define MOST 300u

/* RFC 3720, appendix B.4, reflected. */
static uint32_t bit_by_bit(uint32_t crc, const uint8_t *at, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void both_ways_are_the_definition(void **state)
{
    (void)state;
    uint8_t bytes[MOST + 8];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)sta_random_next(&random);
    for (size_t len = 0; len <= MOST; len++) {
        for (size_t from = 0; from < 8; from++) {
            uint32_t begun = from % 2 == 0 ? 0 : (uint32_t)sta_random_next(&random);
            uint32_t expected = bit_by_bit(begun, bytes + from, len);
            struct strata_bytes all = strata_bytes(bytes + from, len);
            assert_int_equal(sta_crc32c(begun, all), expected);
            assert_int_equal(sta_crc32c_by_table(begun, all), expected);
        }
    }
}

static void it_goes_on_where_it_ended(void **state)
{
    (void)state;
    const struct strata_bytes whole = strata_text("what is summed up in two pieces");
    for (size_t cut = 0; cut <= whole.len; cut++) {
        uint32_t first = sta_crc32c(0, strata_bytes(whole.data, cut));
        struct strata_bytes rest = strata_bytes((const uint8_t *)whole.data + cut, whole.len - cut);
        assert_int_equal(sta_crc32c(first, rest), sta_crc32c(0, whole));
        assert_int_equal(sta_crc32c_by_table(first, rest), sta_crc32c(0, whole));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_are_the_definition),
        cmocka_unit_test(it_goes_on_where_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
