/* SPDX-License-Identifier: MIT
 *
 * SHA-1 beside the examples of its standard, and around the ends of blocks beside what others say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sha1.h"

static void assert_digest(struct strata_bytes bytes, const char *expected)
{
    uint8_t digest[STA_SHA1_LEN];
    char text[2 * STA_SHA1_LEN + 1];
    sta_sha1(bytes, digest);
    for (size_t i = 0; i < STA_SHA1_LEN; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

static void examples_of_the_standard(void **state)
{
    (void)state;
    assert_digest(strata_bytes(NULL, 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_digest(strata_text("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_digest(strata_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    assert_digest(strata_bytes(million, 1000000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(million);
}

static void the_ends_of_blocks(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *digest;
    } known[] = {
        {55, "cef734ba81a024479e09eb5a75b6ddae62e6abf1"},
        {56, "901305367c259952f4e7af8323f480d59f81335b"},
        {63, "0ddc4e0cccd9a12850deb5abb0853a4425559fec"},
        {64, "bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163"},
        {65, "78c741ddc482e4cdf8c474a0876347a0905b6233"},
        {119, "4300320394f7ee239bcdce7d3b8bcee173a0cd5c"},
        {120, "ceb2821639c4b6dcb10bce0e522ca2e608ce056d"},
        {128, "150fa3fbdc899bd0b8f95a9fb6027f564d953762"},
    };
    char bytes[128];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_digest(strata_bytes(bytes, known[i].len), known[i].digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standard),
        cmocka_unit_test(the_ends_of_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
