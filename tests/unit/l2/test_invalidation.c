/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "l2/invalidation.h"

struct names {
    char text[64];
};

static void note(void *arg, struct strata_bytes key)
{
    struct names *names = arg;
    strncat(names->text, key.data, key.len);
    strcat(names->text, " ");
}

static void expect(const char *frame, enum sta_invalidation kind, const char *keys)
{
    struct names names = {""};
    assert_int_equal(sta_invalidation_read(strata_text(frame), note, &names), kind);
    assert_string_equal(names.text, keys);
}

static void keys_are_named_in_order(void **state)
{
    (void)state;
    expect(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n", STA_INVALIDATION_KEYS, "a ");
    expect(">2\r\n$10\r\ninvalidate\r\n*3\r\n$1\r\nb\r\n$0\r\n\r\n$2\r\ncc\r\n",
           STA_INVALIDATION_KEYS, "b  cc ");
}

static void null_means_all(void **state)
{
    (void)state;
    expect(">2\r\n$10\r\ninvalidate\r\n_\r\n", STA_INVALIDATION_ALL, "");
}

/* Whoever says that something has changed, and not what, must be taken at his word. */
static void an_invalidation_that_cannot_be_understood_means_all(void **state)
{
    (void)state;
    expect(">2\r\n$10\r\ninvalidate\r\n*0\r\n", STA_INVALIDATION_ALL, "");
    expect(">2\r\n$10\r\ninvalidate\r\n:7\r\n", STA_INVALIDATION_ALL, "");
    expect(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n", STA_INVALIDATION_ALL, "a ");
    expect(">2\r\n$10\r\ninvalidate\r\n", STA_INVALIDATION_ALL, "");
}

static void other_pushes_are_not_for_us(void **state)
{
    (void)state;
    expect(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n", STA_INVALIDATION_NONE, "");
    expect(">2\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n", STA_INVALIDATION_NONE, "");
    expect(">2\r\n$10\r\ninvalidatX\r\n_\r\n", STA_INVALIDATION_NONE, "");
    expect(">1\r\n$10\r\ninvalidate\r\n", STA_INVALIDATION_NONE, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_named_in_order),
        cmocka_unit_test(null_means_all),
        cmocka_unit_test(an_invalidation_that_cannot_be_understood_means_all),
        cmocka_unit_test(other_pushes_are_not_for_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
