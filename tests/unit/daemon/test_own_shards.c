/* SPDX-License-Identifier: MIT
 *
 * Names of shard channels: many of them, twice the same, unknown ones, and which have ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/own_shards.h"
#include "resp/resp.h"
#include "strata/status.h"

#define MANY 10000u

static struct strata_bytes name_at(unsigned i, char text[32])
{
    return strata_bytes(text, (size_t)snprintf(text, 32, "{s}channel:%u", i));
}

static void add_all(struct sta_own_shards *shards)
{
    char text[32];
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(sta_own_shards_add(shards, name_at(i, text)), STRATA_OK);
}

/* How often each number was named, and that nothing else was. */
static int tally(void *arg, struct strata_bytes name)
{
    static const char prefix[] = "{s}channel:";
    unsigned *seen = arg;
    char text[32] = "";
    assert_in_range(name.len, sizeof prefix, sizeof text - 1);
    assert_memory_equal(name.data, prefix, sizeof prefix - 1);
    memcpy(text, name.data, name.len);
    unsigned long i = strtoul(text + sizeof prefix - 1, NULL, 10);
    assert_true(i < MANY);
    seen[i]++;
    return STRATA_OK;
}

static void assert_named_once(const struct sta_own_shards *shards, unsigned step)
{
    static unsigned seen[MANY];
    memset(seen, 0, sizeof seen);
    assert_int_equal(sta_own_shards_each(shards, tally, seen), STRATA_OK);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(seen[i], i % step == 0);
}

static void ten_thousand_names_come_and_go(void **state)
{
    (void)state;
    struct sta_own_shards shards;
    char text[32];
    sta_own_shards_init(&shards, 1);
    add_all(&shards);
    assert_int_equal(shards.count, MANY);
    assert_named_once(&shards, 1);
    for (unsigned i = 0; i < MANY; i++)
        if (i % 3 != 0)
            sta_own_shards_remove(&shards, name_at(i, text));
    assert_int_equal(shards.count, (MANY + 2) / 3);
    assert_named_once(&shards, 3);
    add_all(&shards);
    assert_named_once(&shards, 1);
    for (unsigned i = MANY; i-- > 0;)
        sta_own_shards_remove(&shards, name_at(i, text));
    assert_int_equal(shards.count, 0);
    assert_null(shards.slots);
    sta_own_shards_fini(&shards);
}

static void the_same_name_counts_once_and_an_unknown_one_not_at_all(void **state)
{
    (void)state;
    struct sta_own_shards shards;
    const struct strata_bytes a = strata_text("a"), b = strata_text("b"), none = strata_text("");
    sta_own_shards_init(&shards, 2);
    sta_own_shards_remove(&shards, a);
    sta_own_shards_end(&shards, a);
    assert_int_equal(sta_own_shards_add(&shards, a), STRATA_OK);
    assert_int_equal(sta_own_shards_add(&shards, a), STRATA_OK);
    assert_int_equal(sta_own_shards_add(&shards, none), STRATA_OK);
    sta_own_shards_remove(&shards, b);
    sta_own_shards_end(&shards, b);
    assert_int_equal(shards.count, 2);
    assert_int_equal(shards.ended, 0);
    sta_own_shards_remove(&shards, a);
    sta_own_shards_remove(&shards, a);
    assert_int_equal(shards.count, 1);
    sta_own_shards_remove(&shards, none);
    assert_int_equal(shards.count, 0);
    sta_own_shards_fini(&shards);
}

/* Each counts once, however often it is said, and not once it is removed or there again. */
static void what_has_ended_is_counted(void **state)
{
    (void)state;
    struct sta_own_shards shards;
    char text[32];
    sta_own_shards_init(&shards, 3);
    assert_false(sta_own_shards_have_ended(&shards));
    add_all(&shards);
    sta_own_shards_end(&shards, name_at(5, text));
    sta_own_shards_end(&shards, name_at(5, text));
    sta_own_shards_end(&shards, name_at(6, text));
    assert_int_equal(shards.ended, 2);
    sta_own_shards_remove(&shards, name_at(5, text));
    assert_int_equal(shards.ended, 1);
    sta_own_shards_end_all(&shards);
    assert_true(sta_own_shards_have_ended(&shards));
    assert_int_equal(shards.ended, MANY - 1);
    assert_int_equal(sta_own_shards_add(&shards, name_at(6, text)), STRATA_OK);
    assert_false(sta_own_shards_have_ended(&shards));
    add_all(&shards);
    assert_int_equal(shards.ended, 0);
    assert_int_equal(shards.count, MANY);
    sta_own_shards_fini(&shards);
}

static void all_are_subscribed_to_by_one_command(void **state)
{
    (void)state;
    struct sta_own_shards shards;
    struct sta_buffer wire;
    size_t argc = 0;
    sta_own_shards_init(&shards, 4);
    sta_buffer_init(&wire, SIZE_MAX);
    add_all(&shards);
    assert_int_equal(sta_own_shards_write(&shards, &wire), STRATA_OK);
    assert_int_equal(sta_resp_request_count(sta_buffer_bytes(&wire), &argc), STRATA_OK);
    assert_int_equal(argc, MANY + 1);
    struct strata_bytes *argv = calloc(argc, sizeof *argv);
    assert_non_null(argv);
    assert_int_equal(sta_resp_request_args(sta_buffer_bytes(&wire), argv, argc, NULL), STRATA_OK);
    assert_int_equal(argv[0].len, 10);
    assert_memory_equal(argv[0].data, "SSUBSCRIBE", 10);
    for (size_t i = 1; i < argc; i++)
        sta_own_shards_remove(&shards, argv[i]);
    assert_int_equal(shards.count, 0);
    free(argv);
    sta_buffer_fini(&wire);
    sta_own_shards_fini(&shards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_names_come_and_go),
        cmocka_unit_test(the_same_name_counts_once_and_an_unknown_one_not_at_all),
        cmocka_unit_test(what_has_ended_is_counted),
        cmocka_unit_test(all_are_subscribed_to_by_one_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
