/* SPDX-License-Identifier: MIT
 *
 * Random numbers, the hash of keys that is seeded with them, and the saturating clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/clock.h"
#include "core/key.h"
#include "core/random.h"

/* The first outputs of SplitMix64 from the state 0, from its authors' description. */
static void the_generator_is_splitmix64(void **state)
{
    (void)state;
    uint64_t seed = 0;
    assert_true(sta_random_next(&seed) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(sta_random_next(&seed) == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(sta_random_next(&seed) == UINT64_C(0x06c45d188009454f));
}

static void numbers_below_a_bound_reach_all_of_it_and_no_more(void **state)
{
    (void)state;
    uint64_t seed = 1;
    int seen[7] = {0};
    for (int i = 0; i < 1000; i++)
        seen[sta_random_below(&seed, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 100, 190); /* 143 on average; deviation 11 */
    assert_true(sta_random_below(&seed, 0) == 0);
    assert_true(sta_random_below(&seed, 1) == 0);
}

static void seeds_differ(void **state)
{
    (void)state;
    assert_true(sta_random_seed() != sta_random_seed());
}

static void a_key_keeps_its_bytes_and_hashes_by_content_and_seed(void **state)
{
    (void)state;
    char same[] = "key";
    struct sta_key one = sta_key_make(strata_text("key"), 1);
    struct sta_key two = sta_key_make(strata_text(same), 1);
    assert_true(one.hash == two.hash);
    assert_ptr_equal(two.bytes.data, same);
    assert_int_equal(two.bytes.len, 3);
    assert_true(one.hash != sta_key_make(strata_text("key"), 2).hash);
    assert_true(one.hash != sta_key_make(strata_text("kez"), 1).hash);
    assert_true(one.hash != sta_key_make(strata_bytes("key", 4), 1).hash);
}

/* Some lengths are hashed in line (key.h): nobody can tell. */
static void keys_of_all_lengths_hash_as_xxh3_does(void **state)
{
    (void)state;
    uint8_t bytes[300];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)sta_random_next(&random);
    for (size_t len = 0; len < sizeof bytes - 8; len++) {
        for (size_t from = 0; from < 8; from++) {
            uint64_t seed = from == 0 ? 0 : sta_random_next(&random);
            struct sta_key key = sta_key_make(strata_bytes(bytes + from, len), seed);
            assert_true(key.hash == XXH3_64bits_withSeed(bytes + from, len, seed));
        }
    }
}

static void a_deadline_beyond_all_time_is_never(void **state)
{
    (void)state;
    assert_true(sta_clock_after(10, 5) == 15);
    assert_true(sta_clock_after(10, STA_NEVER) == STA_NEVER);
    assert_true(sta_clock_after(10, STA_NEVER - 10) == STA_NEVER);
    assert_true(sta_clock_after(10, STA_NEVER - 11) == STA_NEVER - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_splitmix64),
        cmocka_unit_test(numbers_below_a_bound_reach_all_of_it_and_no_more),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(a_key_keeps_its_bytes_and_hashes_by_content_and_seed),
        cmocka_unit_test(keys_of_all_lengths_hash_as_xxh3_does),
        cmocka_unit_test(a_deadline_beyond_all_time_is_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
