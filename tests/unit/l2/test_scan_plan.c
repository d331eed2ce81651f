/* SPDX-License-Identifier: MIT
 *
 * The plan of a scan: step by step, out of memory, and in a modelled cluster where slots move key
 * by key and primaries are replaced in the middle of it: every key that was there throughout
 * is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "l2/scan_plan.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

#define SERVING  3 /* primaries at a time */
#define NODES    8 /* in all, with those that take over */
#define TAGS     12
#define KEYS     240
#define RANKS    1024 /* cursors of a node */
#define PAGE     64
#define CHURNING 400 /* steps with changes */
#define SEEDS    30

struct world {
    uint64_t random;
    uint64_t epoch;
    uint64_t epochs[NODES];
    unsigned acting[SERVING]; /* nodes; the rest are dead, or not born */
    unsigned born;
    unsigned owner[TAGS]; /* index into acting */
    unsigned target[TAGS];
    unsigned where[KEYS]; /* index into acting */
    bool taken[KEYS];
};

static struct strata_bytes key_text(unsigned key, char text[static 32])
{
    int length = snprintf(text, 32, "{t%u}%u", key % TAGS, key);
    return (struct strata_bytes){.data = text, .len = (size_t)length};
}

static unsigned slot_of_tag(unsigned tag)
{
    char text[32];
    return sta_slot_of(key_text(tag, text));
}

static unsigned some(struct world *world, unsigned bound)
{
    return (unsigned)sta_random_below(&world->random, bound);
}

/* As the nodes tell it now. */
static struct sta_slot_map *look(const struct world *world)
{
    struct sta_slot_map *map = NULL;
    assert_int_equal(sta_slot_map_create(&map), STRATA_OK);
    for (unsigned i = 0; i < SERVING; i++) {
        unsigned id = world->acting[i];
        struct sta_slot_node node = {.endpoint = {.kind = STA_ENDPOINT_TCP, .port = 1},
                                     .config_epoch = world->epochs[id],
                                     .primary = STA_SLOT_MAP_NONE};
        uint16_t index;
        node.endpoint.port = (uint16_t)(7000 + id);
        snprintf(node.endpoint.address, sizeof node.endpoint.address, "10.0.0.1");
        snprintf(node.id, sizeof node.id, "%u", id);
        for (unsigned tag = 0; tag < TAGS; tag++)
            if (world->owner[tag] == i && world->target[tag] != i)
                node.migrating++;
        assert_int_equal(sta_slot_map_add(map, &node, &index), STRATA_OK);
    }
    sta_slot_map_assign(map, 0, 5460, 0);
    sta_slot_map_assign(map, 5461, 10922, 1);
    sta_slot_map_assign(map, 10923, 16383, 2);
    for (unsigned tag = 0; tag < TAGS; tag++) {
        unsigned slot = slot_of_tag(tag);
        sta_slot_map_assign(map, slot, slot, (uint16_t)world->owner[tag]);
    }
    return map;
}

static void settle(struct world *world, unsigned tag)
{
    world->owner[tag] = world->target[tag];
    world->epochs[world->acting[world->owner[tag]]] = ++world->epoch;
}

/* Moves one key of a slot that is on its way; the slot follows its last. */
static void move_one(struct world *world, unsigned tag)
{
    for (unsigned key = tag; key < KEYS; key += TAGS) {
        if (world->where[key] == world->target[tag])
            continue;
        world->where[key] = world->target[tag];
        return;
    }
    settle(world, tag);
}

static void change(struct world *world)
{
    unsigned tag = some(world, TAGS);
    for (unsigned i = 0; i < TAGS; i++)
        if (world->owner[i] != world->target[i])
            move_one(world, i);
    if (some(world, 20) == 0 && world->owner[tag] == world->target[tag])
        world->target[tag] = some(world, SERVING);
    if (some(world, 100) == 0 && world->born < NODES) {
        unsigned place = some(world, SERVING);
        world->acting[place] = world->born++;
        world->epochs[world->acting[place]] = ++world->epoch;
    }
}

static void build(struct world *world, uint64_t seed)
{
    *world = (struct world){.random = seed, .born = SERVING, .epoch = SERVING};
    for (unsigned i = 0; i < SERVING; i++) {
        world->acting[i] = i;
        world->epochs[i] = i + 1;
    }
    for (unsigned tag = 0; tag < TAGS; tag++) {
        unsigned slot = slot_of_tag(tag);
        world->owner[tag] = world->target[tag] = slot <= 5460 ? 0 : slot <= 10922 ? 1 : 2;
    }
    for (unsigned key = 0; key < KEYS; key++)
        world->where[key] = world->owner[key % TAGS];
}

/* Each process has an order of its own. */
static unsigned rank(unsigned key, unsigned id)
{
    uint64_t state = (uint64_t)key * NODES + id;
    return (unsigned)sta_random_below(&state, RANKS);
}

/* The acting node of a lane; SERVING where it is dead. */
static unsigned place_of(const struct world *world, const struct sta_scan_lane *lane)
{
    for (unsigned i = 0; i < SERVING; i++)
        if (world->acting[i] == (unsigned)strtoul(lane->node.id, NULL, 10))
            return i;
    return SERVING;
}

static void page(struct world *world, struct sta_scan_plan *plan, unsigned index)
{
    const struct sta_scan_lane *lane = &plan->lanes[index];
    unsigned place = place_of(world, lane);
    if (place == SERVING || some(world, 50) == 0) {
        sta_scan_plan_failed(plan, index);
        return;
    }
    for (unsigned key = 0; key < KEYS; key++) {
        char text[32];
        uint64_t at = rank(key, world->acting[place]);
        if (world->where[key] == place && at >= lane->cursor && at < lane->cursor + PAGE &&
            sta_scan_plan_takes(plan, index, key_text(key, text)))
            world->taken[key] = true;
    }
    uint64_t next = lane->cursor + PAGE;
    sta_scan_plan_answered(plan, index, next < RANKS ? next : 0);
}

static void confirm(struct world *world, struct sta_scan_plan *plan, unsigned index)
{
    if (place_of(world, &plan->lanes[index]) == SERVING) {
        sta_scan_plan_failed(plan, index);
        return;
    }
    struct sta_slot_map *told = look(world);
    (void)sta_scan_plan_confirm(plan, index, told);
    sta_slot_map_destroy(&told);
}

/* Something happens to a lane, if one waits for that. */
static void serve(struct world *world, struct sta_scan_plan *plan)
{
    if (plan->lane_count == 0)
        return;
    unsigned index = some(world, plan->lane_count);
    if (plan->lanes[index].state == STA_SCAN_ASKED)
        page(world, plan, index);
    else if (plan->lanes[index].state == STA_SCAN_ENDED)
        confirm(world, plan, index);
}

static void scan(struct world *world, struct sta_scan_plan *plan)
{
    struct sta_slot_map *map = look(world);
    for (unsigned step = 0; !sta_scan_plan_done(plan); step++) {
        unsigned lane;
        assert_true(step < 100 * CHURNING);
        if (step < CHURNING)
            change(world);
        else
            for (unsigned tag = 0; tag < TAGS; tag++)
                while (world->owner[tag] != world->target[tag])
                    move_one(world, tag);
        if (some(world, 10) == 0) {
            sta_slot_map_destroy(&map);
            map = look(world);
            sta_scan_plan_adopt(plan, map);
        }
        assert_true(sta_scan_plan_next(plan, map, &lane) >= 0);
        serve(world, plan);
        if (step % 16 == 0)
            assert_true(sta_scan_plan_valid(plan));
    }
    sta_slot_map_destroy(&map);
}

static void nothing_is_missed_while_slots_move_and_primaries_fail(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world world;
        struct sta_scan_plan plan;
        build(&world, seed);
        sta_scan_plan_init(&plan);
        scan(&world, &plan);
        for (unsigned key = 0; key < KEYS; key++)
            if (!world.taken[key])
                fail_msg("seed %u: key %u was missed", (unsigned)seed, key);
        sta_scan_plan_fini(&plan);
    }
}

/* Begins walks of all three nodes, and asks all. */
static void begin(struct world *world, struct sta_scan_plan *plan, struct sta_slot_map **map)
{
    unsigned lane;
    build(world, 1);
    *map = look(world);
    sta_scan_plan_init(plan);
    for (unsigned i = 0; i < SERVING; i++) {
        assert_int_equal(sta_scan_plan_next(plan, *map, &lane), STRATA_OK);
        assert_int_equal(lane, i);
    }
    assert_int_equal(sta_scan_plan_next(plan, *map, &lane), STRATA_MISS);
    assert_int_equal(plan->waiting, 0);
}

static void all_primaries_are_walked_at_once_and_each_once(void **state)
{
    (void)state;
    struct world world;
    struct sta_scan_plan plan;
    struct sta_slot_map *map;
    unsigned lane;
    begin(&world, &plan, &map);
    for (unsigned i = 0; i < SERVING; i++) {
        sta_scan_plan_answered(&plan, i, 77);
        assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_OK);
        assert_int_equal(lane, i);
        assert_int_equal(plan.lanes[i].cursor, 77);
        sta_scan_plan_answered(&plan, i, 0);
        assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_MISS);
        assert_false(sta_scan_plan_done(&plan));
        assert_int_equal(sta_scan_plan_confirm(&plan, i, map), STRATA_OK);
        assert_true(sta_scan_plan_valid(&plan));
    }
    assert_true(sta_scan_plan_done(&plan));
    assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_MISS);
    sta_slot_map_destroy(&map);
    sta_scan_plan_fini(&plan);
}

static void a_page_of_a_node_that_lost_its_slots_begins_no_walk(void **state)
{
    (void)state;
    struct world world;
    struct sta_scan_plan plan;
    struct sta_slot_map *map, *later = NULL;
    unsigned lane;
    begin(&world, &plan, &map);
    assert_int_equal(sta_slot_map_copy(&later, map), STRATA_OK);
    sta_slot_map_assign(later, 0, STA_SLOT_COUNT - 1, 1);
    sta_scan_plan_adopt(&plan, later);
    assert_int_equal(plan.lanes[0].slots, 0);
    /* They come back before the page does: its cursor is of the walk that was. */
    assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_MISS);
    sta_scan_plan_answered(&plan, 0, 77);
    assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_OK);
    assert_int_equal(plan.lanes[lane].cursor, 0);
    assert_true(sta_scan_plan_valid(&plan));
    sta_slot_map_destroy(&map);
    sta_slot_map_destroy(&later);
    sta_scan_plan_fini(&plan);
}

static void a_lost_page_begins_the_walk_again(void **state)
{
    (void)state;
    struct world world;
    struct sta_scan_plan plan;
    struct sta_slot_map *map;
    unsigned lane;
    begin(&world, &plan, &map);
    sta_scan_plan_answered(&plan, 2, 77);
    assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_OK);
    sta_scan_plan_failed(&plan, 2);
    assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_OK);
    assert_int_equal(lane, 2);
    assert_int_equal(plan.lanes[2].cursor, 0);
    sta_slot_map_destroy(&map);
    sta_scan_plan_fini(&plan);
}

static void an_end_is_not_believed_while_slots_are_on_their_way_or_came_back(void **state)
{
    (void)state;
    struct world world;
    struct sta_scan_plan plan;
    struct sta_slot_map *map;
    unsigned lane;
    begin(&world, &plan, &map);
    for (unsigned round = 0; round < 3; round++) {
        map->nodes[0].migrating = round == 0;
        map->nodes[0].config_epoch += round == 1;
        sta_scan_plan_answered(&plan, 0, 0);
        assert_int_equal(sta_scan_plan_confirm(&plan, 0, map),
                         round < 2 ? STRATA_SKIPPED : STRATA_OK);
        assert_int_equal(sta_scan_plan_next(&plan, map, &lane),
                         round < 2 ? STRATA_OK : STRATA_MISS);
    }
    assert_int_equal(plan.done, map->nodes[0].slots);
    sta_slot_map_destroy(&map);
    sta_scan_plan_fini(&plan);
}

/* CLUSTER SLOTS tells no epochs, so the map that is routed by has none. */
static void the_epoch_at_the_begin_is_what_its_node_says(void **state)
{
    (void)state;
    for (unsigned told = 0; told < 2; told++) {
        struct world world;
        struct sta_scan_plan plan;
        struct sta_slot_map *map;
        begin(&world, &plan, &map);
        for (unsigned i = 0; i < plan.lane_count; i++)
            plan.lanes[i].node.config_epoch = 0;
        if (told == 1)
            sta_scan_plan_begun(&plan, 0, map);
        map->nodes[0].config_epoch++;
        sta_scan_plan_answered(&plan, 0, 0);
        assert_int_equal(sta_scan_plan_confirm(&plan, 0, map),
                         told == 1 ? STRATA_SKIPPED : STRATA_OK);
        sta_slot_map_destroy(&map);
        sta_scan_plan_fini(&plan);
    }
}

/* Its node is being asked for its word, and the answer may come late. */
static void an_ended_lane_that_all_slots_have_left_begins_no_walk_of_another(void **state)
{
    (void)state;
    struct world world;
    struct sta_scan_plan plan;
    struct sta_slot_map *map, *later = NULL;
    unsigned lane;
    begin(&world, &plan, &map);
    sta_scan_plan_answered(&plan, 0, 0);
    assert_int_equal(sta_slot_map_copy(&later, map), STRATA_OK);
    sta_slot_map_assign(later, 0, STA_SLOT_COUNT - 1, 1);
    sta_scan_plan_adopt(&plan, later);
    assert_int_equal(plan.lanes[0].slots, 0);
    assert_int_equal(plan.lanes[0].state, STA_SCAN_ENDED);
    sta_scan_plan_answered(&plan, 1, 0);
    assert_int_equal(sta_scan_plan_confirm(&plan, 1, later), STRATA_OK);
    assert_int_equal(sta_scan_plan_next(&plan, later, &lane), STRATA_OK);
    assert_int_equal(lane, 1);
    assert_true(sta_scan_plan_valid(&plan));
    assert_int_equal(sta_scan_plan_confirm(&plan, 0, later), STRATA_OK);
    assert_int_equal(plan.lanes[0].state, STA_SCAN_IDLE);
    sta_slot_map_destroy(&map);
    sta_slot_map_destroy(&later);
    sta_scan_plan_fini(&plan);
}

/* The map was stale: what arrives behind the cursor would be taken for walked over. */
static void a_slot_that_the_node_does_not_own_at_the_begin_waits(void **state)
{
    (void)state;
    struct world world;
    struct sta_scan_plan plan;
    struct sta_slot_map *map, *told = NULL;
    begin(&world, &plan, &map);
    unsigned slots = plan.lanes[0].slots;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT && told == NULL; slot++) {
        if (plan.lane[slot] != 0)
            continue;
        assert_int_equal(sta_slot_map_copy(&told, map), STRATA_OK);
        sta_slot_map_assign(told, slot, slot, 1);
    }
    sta_scan_plan_begun(&plan, 0, told);
    assert_int_equal(plan.lanes[0].slots, slots - 1);
    sta_scan_plan_answered(&plan, 0, 0); /* it has come back: `map` */
    assert_int_equal(sta_scan_plan_confirm(&plan, 0, map), STRATA_OK);
    assert_int_equal(plan.waiting, 1);
    assert_int_equal(plan.done, slots - 1);
    assert_true(sta_scan_plan_valid(&plan));
    sta_slot_map_destroy(&map);
    sta_slot_map_destroy(&told);
    sta_scan_plan_fini(&plan);
}

static void out_of_memory_leaves_the_plan_as_it_was(void **state)
{
    (void)state;
    struct world world;
    struct sta_scan_plan plan;
    build(&world, 1);
    struct sta_slot_map *map = look(&world);
    unsigned lane = 99;
    sta_scan_plan_init(&plan);
    fail_alloc_at(1);
    int status = sta_scan_plan_next(&plan, map, &lane);
    assert_true(fail_alloc_end());
    assert_int_equal(status, STRATA_ERR_NOMEM);
    assert_int_equal(lane, 99);
    assert_int_equal(plan.waiting, STA_SLOT_COUNT);
    assert_true(sta_scan_plan_valid(&plan));
    assert_int_equal(sta_scan_plan_next(&plan, map, &lane), STRATA_OK);
    sta_slot_map_destroy(&map);
    sta_scan_plan_fini(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_primaries_are_walked_at_once_and_each_once),
        cmocka_unit_test(a_page_of_a_node_that_lost_its_slots_begins_no_walk),
        cmocka_unit_test(a_lost_page_begins_the_walk_again),
        cmocka_unit_test(an_end_is_not_believed_while_slots_are_on_their_way_or_came_back),
        cmocka_unit_test(the_epoch_at_the_begin_is_what_its_node_says),
        cmocka_unit_test(an_ended_lane_that_all_slots_have_left_begins_no_walk_of_another),
        cmocka_unit_test(a_slot_that_the_node_does_not_own_at_the_begin_waits),
        cmocka_unit_test(out_of_memory_leaves_the_plan_as_it_was),
        cmocka_unit_test(nothing_is_missed_while_slots_move_and_primaries_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
