/* SPDX-License-Identifier: MIT
 *
 * One cursor for all primaries of a cluster.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "daemon/scan_cursor.h"
#include "strata/status.h"

/* Three primaries; the second has the first slots. */
static int make_map(void **state)
{
    struct sta_slot_map *map;
    if (sta_slot_map_create(&map) != STRATA_OK)
        return -1;
    for (unsigned i = 0; i < 3; i++) {
        struct sta_slot_node node = {.primary = STA_SLOT_MAP_NONE};
        uint16_t index;
        (void)snprintf(node.id, sizeof node.id, "node-%u", i);
        if (sta_slot_map_add(map, &node, &index) != STRATA_OK)
            return -1;
    }
    sta_slot_map_assign(map, 0, 999, 1);
    sta_slot_map_assign(map, 1000, 9999, 0);
    sta_slot_map_assign(map, 10000, 16383, 2);
    *state = map;
    return 0;
}

static int drop_map(void **state)
{
    sta_slot_map_destroy((struct sta_slot_map **)state);
    return 0;
}

static int read_cursor(struct sta_scan_cursor *cursor, const struct sta_slot_map *map,
                       uint64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    return sta_scan_cursor_read(cursor, map, strata_text(text));
}

static void all_primaries_are_walked_in_the_order_of_their_slots(void **state)
{
    static const uint16_t slots[] = {0, 1000, 10000};
    static const uint64_t pages[] = {17, (UINT64_C(1) << 35) - 1, 0};
    const struct sta_slot_map *map = *state;
    uint64_t number = 0;
    for (unsigned primary = 0; primary < 3; primary++) {
        for (unsigned page = 0; page < 3; page++) {
            struct sta_scan_cursor cursor;
            assert_int_equal(read_cursor(&cursor, map, number), STRATA_OK);
            assert_int_equal(cursor.slot, slots[primary]);
            assert_true(cursor.own == (page == 0 ? 0 : pages[page - 1]));
            assert_int_equal(sta_scan_cursor_next(&cursor, map, pages[page], &number), STRATA_OK);
            assert_true(number < UINT64_C(1) << 53);
        }
    }
    assert_true(number == 0);
}

static void another_owner_ends_it(void **state)
{
    struct sta_slot_map *map = *state;
    struct sta_scan_cursor cursor;
    uint64_t number = 0;
    assert_int_equal(read_cursor(&cursor, map, 0), STRATA_OK);
    assert_int_equal(sta_scan_cursor_next(&cursor, map, 5, &number), STRATA_OK);
    sta_slot_map_assign(map, 500, 500, 2);
    struct sta_scan_cursor other;
    assert_int_equal(read_cursor(&other, map, number), STRATA_ERR_UNAVAILABLE);
    assert_int_equal(sta_scan_cursor_next(&cursor, map, 0, &number), STRATA_ERR_UNAVAILABLE);
    sta_slot_map_assign(map, 500, 500, 1);
    assert_int_equal(read_cursor(&other, map, number), STRATA_OK);
    assert_true(other.own == 5);
}

static void slots_without_an_owner_cannot_be_walked(void **state)
{
    struct sta_slot_map *map = *state;
    struct sta_scan_cursor cursor;
    uint64_t digest;
    sta_slot_map_assign(map, 3, 3, STA_SLOT_MAP_NONE);
    assert_int_equal(read_cursor(&cursor, map, 0), STRATA_ERR_UNAVAILABLE);
    assert_false(sta_scan_cursor_digest(map, &digest));
    sta_slot_map_assign(map, 3, 3, 1);
}

static void what_is_no_cursor_is_refused(void **state)
{
    static const char *const texts[] = {
        "", "x", "-1", "1x", "18446744073709551616", "100000000000000000000000"};
    struct sta_scan_cursor cursor;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(sta_scan_cursor_read(&cursor, *state, strata_text(texts[i])),
                         STRATA_ERR_INVALID);
    assert_int_equal(read_cursor(&cursor, *state, UINT64_MAX), STRATA_ERR_UNAVAILABLE);
}

static void a_cursor_that_there_is_no_room_for_is_told(void **state)
{
    struct sta_scan_cursor cursor;
    uint64_t next = 7;
    assert_int_equal(read_cursor(&cursor, *state, 0), STRATA_OK);
    assert_int_equal(sta_scan_cursor_next(&cursor, *state, UINT64_C(1) << 35, &next),
                     STRATA_ERR_TOO_BIG);
    assert_true(next == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_primaries_are_walked_in_the_order_of_their_slots),
        cmocka_unit_test(another_owner_ends_it),
        cmocka_unit_test(slots_without_an_owner_cannot_be_walked),
        cmocka_unit_test(what_is_no_cursor_is_refused),
        cmocka_unit_test(a_cursor_that_there_is_no_room_for_is_told),
    };
    return cmocka_run_group_tests(tests, make_map, drop_map);
}
