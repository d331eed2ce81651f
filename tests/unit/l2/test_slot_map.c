/* SPDX-License-Identifier: MIT
 *
 * The slot map: built, patched, compared, and out of memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "l2/slot_map.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

static struct sta_endpoint at(const char *host, unsigned port)
{
    struct sta_endpoint endpoint = {.kind = STA_ENDPOINT_TCP, .port = (uint16_t)port};
    snprintf(endpoint.address, sizeof endpoint.address, "%s", host);
    return endpoint;
}

static uint16_t add(struct sta_slot_map *map, const char *id, unsigned port, uint32_t flags,
                    uint16_t primary)
{
    struct sta_slot_node node = {
        .endpoint = at("10.0.0.1", port), .flags = flags, .primary = primary};
    uint16_t index = STA_SLOT_MAP_NONE;
    snprintf(node.id, sizeof node.id, "%s", id);
    assert_int_equal(sta_slot_map_add(map, &node, &index), STRATA_OK);
    return index;
}

/* Three primaries, a (port 1), b (2), c (3), with a third of the slots each; d (4) follows a. */
static struct sta_slot_map *three(void)
{
    struct sta_slot_map *map = NULL;
    assert_int_equal(sta_slot_map_create(&map), STRATA_OK);
    assert_int_equal(add(map, "a", 1, 0, STA_SLOT_MAP_NONE), 0);
    assert_int_equal(add(map, "b", 2, 0, STA_SLOT_MAP_NONE), 1);
    assert_int_equal(add(map, "c", 3, 0, STA_SLOT_MAP_NONE), 2);
    assert_int_equal(add(map, "d", 4, STA_SLOT_MAP_REPLICA | STA_SLOT_MAP_PFAIL, 0), 3);
    sta_slot_map_assign(map, 0, 5460, 0);
    sta_slot_map_assign(map, 5461, 10922, 1);
    sta_slot_map_assign(map, 10923, 16383, 2);
    assert_true(sta_slot_map_valid(map));
    return map;
}

static void an_empty_map_serves_nothing(void **state)
{
    (void)state;
    struct sta_slot_map *map = NULL, *copy = NULL;
    assert_int_equal(sta_slot_map_create(&map), STRATA_OK);
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        assert_int_equal(sta_slot_map_owner(map, slot), STA_SLOT_MAP_NONE);
    assert_true(sta_slot_map_valid(map));
    assert_int_equal(sta_slot_map_changes(NULL, map, NULL), 0);
    assert_int_equal(sta_slot_map_copy(&copy, map), STRATA_OK);
    assert_true(sta_slot_map_valid(copy));
    sta_slot_map_destroy(&copy);
    sta_slot_map_destroy(&map);
    assert_null(map);
    sta_slot_map_destroy(&map);
}

static void slots_are_counted_with_their_owner(void **state)
{
    (void)state;
    struct sta_slot_map *map = three();
    assert_int_equal(map->covered, 16384);
    assert_int_equal(map->nodes[0].slots, 5461);
    assert_int_equal(map->nodes[3].slots, 0);
    sta_slot_map_assign(map, 5460, 5461, 2); /* over the edge of two owners */
    assert_int_equal(map->nodes[0].slots, 5460);
    assert_int_equal(map->nodes[1].slots, 5461);
    assert_int_equal(map->nodes[2].slots, 5463);
    sta_slot_map_assign(map, 0, 16383, STA_SLOT_MAP_NONE);
    assert_int_equal(map->covered, 0);
    assert_true(sta_slot_map_valid(map));
    sta_slot_map_destroy(&map);
}

static void nodes_are_found_by_endpoint_and_by_id(void **state)
{
    (void)state;
    struct sta_slot_map *map = three();
    struct sta_endpoint known = at("10.0.0.1", 3), unknown = at("10.0.0.2", 3);
    assert_int_equal(sta_slot_map_find(map, &known), 2);
    assert_int_equal(sta_slot_map_find(map, &unknown), STA_SLOT_MAP_NONE);
    assert_int_equal(sta_slot_map_find_id(map, "d"), 3);
    assert_int_equal(sta_slot_map_find_id(map, "e"), STA_SLOT_MAP_NONE);
    sta_slot_map_destroy(&map);
}

static void a_patch_moves_one_slot(void **state)
{
    (void)state;
    struct sta_slot_map *map = three();
    struct sta_endpoint b = at("10.0.0.1", 2);
    uint16_t index = STA_SLOT_MAP_NONE;
    assert_int_equal(sta_slot_map_patch(map, 7, &b, &index), STRATA_OK);
    assert_int_equal(index, 1);
    assert_int_equal(sta_slot_map_owner(map, 7), 1);
    assert_int_equal(sta_slot_map_owner(map, 8), 0);
    assert_int_equal(map->generation, 1);
    assert_int_equal(sta_slot_map_patch(map, 7, &b, NULL), STRATA_SKIPPED);
    assert_int_equal(map->generation, 1);
    assert_true(sta_slot_map_valid(map));
    sta_slot_map_destroy(&map);
}

static void a_patch_to_a_replica_has_made_it_a_primary(void **state)
{
    (void)state;
    struct sta_slot_map *map = three();
    struct sta_endpoint d = at("10.0.0.1", 4);
    assert_int_equal(sta_slot_map_patch(map, 0, &d, NULL), STRATA_OK);
    assert_int_equal(map->nodes[3].flags, 0);
    assert_int_equal(map->nodes[3].primary, STA_SLOT_MAP_NONE);
    assert_true(sta_slot_map_valid(map));
    sta_slot_map_destroy(&map);
}

static void a_patch_to_an_unknown_node_adds_it_once(void **state)
{
    (void)state;
    struct sta_slot_map *map = three();
    struct sta_endpoint e = at("new.example", 7000);
    uint16_t index = 0;
    assert_int_equal(sta_slot_map_patch(map, 16383, &e, &index), STRATA_OK);
    assert_int_equal(index, 4);
    assert_int_equal(sta_slot_map_patch(map, 16382, &e, &index), STRATA_OK);
    assert_int_equal(index, 4);
    assert_int_equal(map->node_count, 5);
    assert_int_equal(map->nodes[4].flags, STA_SLOT_MAP_GUESSED);
    assert_int_equal(map->nodes[4].slots, 2);
    assert_true(sta_slot_map_valid(map));
    sta_slot_map_destroy(&map);
}

static void nodes_are_bounded(void **state)
{
    (void)state;
    struct sta_slot_map *map = NULL;
    assert_int_equal(sta_slot_map_create(&map), STRATA_OK);
    for (unsigned i = 0; i < STA_SLOT_MAP_NODES_MAX; i++)
        add(map, "", i + 1, 0, STA_SLOT_MAP_NONE);
    struct sta_endpoint more = at("10.0.0.2", 1);
    assert_int_equal(sta_slot_map_patch(map, 0, &more, NULL), STRATA_ERR_TOO_BIG);
    assert_int_equal(map->node_count, STA_SLOT_MAP_NODES_MAX);
    assert_true(sta_slot_map_valid(map));
    sta_slot_map_destroy(&map);
}

static void a_copy_lives_by_itself(void **state)
{
    (void)state;
    struct sta_slot_map *map = three(), *copy = NULL;
    assert_int_equal(sta_slot_map_copy(&copy, map), STRATA_OK);
    struct sta_endpoint e = at("new.example", 7000);
    assert_int_equal(sta_slot_map_patch(map, 0, &e, NULL), STRATA_OK);
    assert_int_equal(copy->node_count, 4);
    assert_int_equal(sta_slot_map_owner(copy, 0), 0);
    assert_int_equal(sta_slot_map_changes(copy, map, NULL), 1);
    assert_int_equal(sta_slot_map_patch(copy, 1, &e, NULL), STRATA_OK);
    sta_slot_map_destroy(&map);
    assert_true(sta_slot_map_valid(copy));
    sta_slot_map_destroy(&copy);
}

static void sameness_goes_by_id_and_only_without_one_by_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *one_id;
        unsigned one_port;
        const char *other_id;
        unsigned other_port;
        bool same;
    } rows[] = {
        {"a", 1, "a", 1, true}, {"a", 1, "a", 2, true}, {"a", 1, "b", 1, false},
        {"", 1, "a", 1, true},  {"a", 1, "", 1, true},  {"", 1, "", 1, true},
        {"", 1, "a", 2, false}, {"", 1, "", 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_slot_node one = {.endpoint = at("h", rows[i].one_port)};
        struct sta_slot_node other = {.endpoint = at("h", rows[i].other_port)};
        snprintf(one.id, sizeof one.id, "%s", rows[i].one_id);
        snprintf(other.id, sizeof other.id, "%s", rows[i].other_id);
        assert_int_equal(sta_slot_map_same_node(&one, &other), rows[i].same);
    }
}

static void slots_with_another_owner_are_told(void **state)
{
    (void)state;
    struct sta_slot_map *before = three(), *now = NULL;
    struct sta_slot_set changed;
    assert_int_equal(sta_slot_map_changes(NULL, before, &changed), 16384);
    assert_int_equal(sta_slot_map_changes(before, before, &changed), 0);

    /* The same nodes in another order, a failover from a to d, slot 6000 from b to c, 16383 to
     * nobody. */
    assert_int_equal(sta_slot_map_create(&now), STRATA_OK);
    add(now, "d", 4, 0, STA_SLOT_MAP_NONE);
    add(now, "c", 33, 0, STA_SLOT_MAP_NONE); /* another address, but c */
    add(now, "b", 2, 0, STA_SLOT_MAP_NONE);
    sta_slot_map_assign(now, 0, 5460, 0);
    sta_slot_map_assign(now, 5461, 10922, 2);
    sta_slot_map_assign(now, 6000, 6000, 1);
    sta_slot_map_assign(now, 10923, 16382, 1);
    assert_int_equal(sta_slot_map_changes(before, now, &changed), 5461 + 2);
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        bool wanted = slot <= 5460 || slot == 6000 || slot == 16383;
        assert_int_equal(sta_slot_set_has(&changed, slot), wanted);
    }
    assert_int_equal(sta_slot_map_changes(now, before, NULL), 5461 + 2);
    sta_slot_map_destroy(&before);
    sta_slot_map_destroy(&now);
}

static void out_of_memory_leaves_the_map_as_it_was(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct sta_slot_map *map = NULL, *copy = NULL;
        struct sta_endpoint far = at("h", 9);
        fail_alloc_at(n);
        int status = sta_slot_map_create(&map);
        for (unsigned i = 0; status == STRATA_OK && i < 9; i++) {
            struct sta_slot_node node = {.endpoint = at("h", i + 100),
                                         .primary = STA_SLOT_MAP_NONE};
            uint16_t index;
            status = sta_slot_map_add(map, &node, &index);
        }
        for (unsigned i = 0; status == STRATA_OK && i < 8; i++) {
            far.port++;
            status = sta_slot_map_patch(map, i, &far, NULL);
        }
        if (status == STRATA_OK)
            status = sta_slot_map_copy(&copy, map);
        bool failed = fail_alloc_end();
        assert_true(map == NULL || sta_slot_map_valid(map));
        sta_slot_map_destroy(&map);
        sta_slot_map_destroy(&copy);
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        if (!failed)
            break;
        assert_true(n < 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_serves_nothing),
        cmocka_unit_test(slots_are_counted_with_their_owner),
        cmocka_unit_test(nodes_are_found_by_endpoint_and_by_id),
        cmocka_unit_test(a_patch_moves_one_slot),
        cmocka_unit_test(a_patch_to_a_replica_has_made_it_a_primary),
        cmocka_unit_test(a_patch_to_an_unknown_node_adds_it_once),
        cmocka_unit_test(nodes_are_bounded),
        cmocka_unit_test(a_copy_lives_by_itself),
        cmocka_unit_test(sameness_goes_by_id_and_only_without_one_by_endpoint),
        cmocka_unit_test(slots_with_another_owner_are_told),
        cmocka_unit_test(out_of_memory_leaves_the_map_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
