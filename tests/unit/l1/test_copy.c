/* SPDX-License-Identifier: MIT
 *
 * Copies of values of every length under keys of every length: a hit compares and copies small ones
 * by words of its own (l1/racing.h), and long ones another way.
 */
#include "tier_rig.h"

#define KEYS   140u /* beyond what is small, as VALUES is */
#define VALUES 300u
#define AROUND 16u

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + 1);
}

/* The first `cap` bytes of a value of `len`, and nothing before or behind them. */
static void copy_is_exact(struct sta_l1 *l1, const struct sta_key *key, size_t len, size_t cap)
{
    uint8_t buffer[AROUND + VALUES + AROUND];
    memset(buffer, 0xee, sizeof buffer);
    struct sta_l1_copy copy = {.buffer = buffer + AROUND, .cap = cap};
    assert_int_equal(sta_l1_copy(l1, key, RIG_NOW, &copy), STRATA_OK);
    assert_int_equal(copy.len, len);
    size_t copied = len < cap ? len : cap;
    for (size_t i = 0; i < sizeof buffer; i++) {
        bool inside = i >= AROUND && i < AROUND + copied;
        assert_int_equal(buffer[i], inside ? byte_at(i - AROUND) : 0xee);
    }
}

static void values_of_every_length_are_copied_whole_and_no_further(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 1 << 20});
    struct sta_key key = sta_l1_key(l1, strata_text("key"));
    uint8_t value[VALUES];
    for (size_t i = 0; i < VALUES; i++)
        value[i] = byte_at(i);
    for (size_t len = 0; len <= VALUES; len++) {
        struct sta_l1_entry entry = {.value = strata_bytes(value, len), .deadline_ms = STA_NEVER};
        assert_int_equal(sta_l1_set(l1, &key, &entry, RIG_NOW), STRATA_OK);
        for (size_t cap = 0; cap <= VALUES; cap += cap < 40 ? 1 : 13)
            copy_is_exact(l1, &key, len, cap);
        copy_is_exact(l1, &key, len, VALUES);
    }
    assert_int_equal(rig_numbers(l1).misses, 0);
    rig_destroy(l1);
}

/* Of a key that differs in one byte and would lie in the same slot: its hash is made to be. */
static void keys_that_differ_in_any_byte_are_others(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 1 << 20});
    uint8_t name[KEYS], other[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        name[i] = byte_at(i);
    for (size_t len = 1; len <= KEYS; len++) {
        struct sta_key key = sta_l1_key(l1, strata_bytes(name, len));
        struct sta_l1_entry entry = {.value = strata_text(""), .deadline_ms = STA_NEVER};
        assert_int_equal(sta_l1_set(l1, &key, &entry, RIG_NOW), STRATA_OK);
        copy_is_exact(l1, &key, 0, VALUES);
        struct sta_key like = {.bytes = strata_bytes(other, len), .hash = key.hash};
        struct sta_l1_copy copy = {0};
        for (size_t i = 0; i < len; i++) {
            memcpy(other, name, len);
            other[i] ^= (uint8_t)(1u << i % 8);
            assert_int_equal(sta_l1_copy(l1, &like, RIG_NOW, &copy), STRATA_MISS);
        }
        memcpy(other, name, len);
        assert_int_equal(sta_l1_copy(l1, &like, RIG_NOW, &copy), STRATA_OK);
        like.bytes.len--;
        assert_int_equal(sta_l1_copy(l1, &like, RIG_NOW, &copy), STRATA_MISS);
    }
    rig_destroy(l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_length_are_copied_whole_and_no_further),
        cmocka_unit_test(keys_that_differ_in_any_byte_are_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
