/* SPDX-License-Identifier: MIT
 *
 * Two looks at a cluster, and what is told of the difference. Events are written down as
 * "kind node<from slots;" with the last digit of ports for nodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l2/cluster_view.h"
#include "strata/status.h"

#define A STA_CLUSTER_VIEW_ANSWERS
#define S STA_CLUSTER_VIEW_SILENT
#define U STA_CLUSTER_VIEW_UNHEARD

struct events {
    char text[2048];
};

static const char *digit(const char *address)
{
    return address[0] == '\0' ? "-" : address + strlen(address) - 1;
}

static void note(void *arg, const struct strata_cluster_event *event)
{
    struct events *events = arg;
    size_t len = strlen(events->text);
    bool slots =
        event->kind == STRATA_CLUSTER_SLOTS_MOVED || event->kind == STRATA_CLUSTER_FAILOVER;
    assert_true(event->node != NULL && event->node_id != NULL && event->from != NULL &&
                event->from_id != NULL && event->cluster_state != NULL);
    static const char *const names[] = {"down",  "up",       "added", "removed",
                                        "moved", "failover", "state"};
    if (slots)
        snprintf(events->text + len, sizeof events->text - len, "%s %s<%s %u;", names[event->kind],
                 digit(event->node), digit(event->from), event->slots);
    else if (event->kind == STRATA_CLUSTER_STATE)
        snprintf(events->text + len, sizeof events->text - len, "%s;", event->cluster_state);
    else
        snprintf(events->text + len, sizeof events->text - len, "%s %s;", names[event->kind],
                 digit(event->node));
}

/* Three primaries 1, 2, 3 with a replica each, 4, 5, 6; all answer. */
static struct sta_cluster_view six(void)
{
    struct sta_cluster_view view = {.kind = STA_CLUSTER_VIEW_CLUSTER,
                                    .info = {.state = STA_TOPOLOGY_OK}};
    assert_int_equal(sta_slot_map_create(&view.map), STRATA_OK);
    for (uint16_t i = 0; i < 6; i++) {
        struct sta_slot_node node = {.primary = STA_SLOT_MAP_NONE};
        uint16_t index;
        node.endpoint.port = (uint16_t)(7001 + i);
        snprintf(node.endpoint.address, sizeof node.endpoint.address, "h");
        snprintf(node.id, sizeof node.id, "id%u", i + 1u);
        if (i >= 3) {
            node.flags = STA_SLOT_MAP_REPLICA;
            node.primary = (uint16_t)(i - 3);
        }
        assert_int_equal(sta_slot_map_add(view.map, &node, &index), STRATA_OK);
        view.answers[i] = A;
    }
    sta_slot_map_assign(view.map, 0, 5460, 0);
    sta_slot_map_assign(view.map, 5461, 10922, 1);
    sta_slot_map_assign(view.map, 10923, 16383, 2);
    return view;
}

static void expect(const struct sta_cluster_view *before, struct sta_cluster_view *now,
                   const char *wanted)
{
    struct events events = {""};
    assert_true(sta_slot_map_valid(now->map));
    sta_cluster_view_compare(before, now, note, &events);
    assert_string_equal(events.text, wanted);
    sta_cluster_view_fini(now);
}

static void nothing_is_told_where_nothing_happened(void **state)
{
    (void)state;
    struct sta_cluster_view before = six(), now = six(), nothing = {0};
    struct events events = {""};
    expect(&before, &now, "");
    sta_cluster_view_compare(&before, &before, note, &events);
    sta_cluster_view_compare(&before, &nothing, note, &events);
    sta_cluster_view_compare(&nothing, &nothing, note, &events);
    assert_string_equal(events.text, "");
    sta_cluster_view_fini(&before);
}

static void of_the_first_look_only_nodes_that_are_down_are_told(void **state)
{
    (void)state;
    struct sta_cluster_view nothing = {0}, now = six();
    now.answers[1] = S;
    now.answers[2] = U;
    now.map->nodes[4].flags |= STA_SLOT_MAP_FAIL;
    expect(&nothing, &now, "down 2;down 5;");
}

static void nodes_go_down_and_come_up_once(void **state)
{
    (void)state;
    static const struct {
        uint8_t before, now;
        uint32_t before_flags, now_flags;
        const char *wanted;
    } rows[] = {
        {A, S, 0, 0, "down 1;"},
        {U, S, 0, 0, "down 1;"},
        {S, S, 0, 0, ""},
        {S, A, 0, 0, "up 1;"},
        {S, U, 0, 0, ""}, /* not heard yet: it is not up */
        {U, A, 0, 0, ""},
        {A, U, 0, 0, ""},
        {A, A, 0, STA_SLOT_MAP_FAIL, "down 1;"},
        {A, A, STA_SLOT_MAP_FAIL, 0, "up 1;"},
        {S, S, STA_SLOT_MAP_FAIL, 0, ""},
        {S, A, STA_SLOT_MAP_FAIL, STA_SLOT_MAP_FAIL, ""},
        {A, A, 0, STA_SLOT_MAP_PFAIL, ""}, /* one other's opinion */
        {S, A, STA_SLOT_MAP_PFAIL, STA_SLOT_MAP_PFAIL, "up 1;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_cluster_view before = six(), now = six();
        before.answers[0] = rows[i].before;
        now.answers[0] = rows[i].now;
        before.map->nodes[0].flags |= rows[i].before_flags;
        now.map->nodes[0].flags |= rows[i].now_flags;
        expect(&before, &now, rows[i].wanted);
        sta_cluster_view_fini(&before);
    }
}

static void a_replica_that_takes_over_is_a_failover(void **state)
{
    (void)state;
    struct sta_cluster_view before = six(), now = six();
    now.map->nodes[3].flags = 0;
    now.map->nodes[3].primary = STA_SLOT_MAP_NONE;
    now.map->nodes[0].flags = STA_SLOT_MAP_FAIL;
    sta_slot_map_assign(now.map, 0, 5460, 3);
    expect(&before, &now, "failover 4<1 5461;down 1;");
    sta_cluster_view_fini(&before);
}

static void slots_are_told_by_pairs_of_owners(void **state)
{
    (void)state;
    struct sta_cluster_view before = six(), now = six();
    sta_slot_map_assign(now.map, 0, 9, 1);
    sta_slot_map_assign(now.map, 20, 29, 1);
    sta_slot_map_assign(now.map, 5461, 5461, 2);
    sta_slot_map_assign(now.map, 16383, 16383, STA_SLOT_MAP_NONE);
    now.info.state = STA_TOPOLOGY_FAIL;
    expect(&before, &now, "moved 2<1 20;moved 3<2 1;moved -<3 1;fail;");
    now = six();
    sta_slot_map_assign(before.map, 0, 5460, STA_SLOT_MAP_NONE);
    expect(&before, &now, "moved 1<- 5461;");
    sta_cluster_view_fini(&before);
}

/* A hundred nodes hand two slots each to the next: more pairs than are told. */
static void many_pairs_of_owners_are_told_together_from_the_sixty_fifth_on(void **state)
{
    (void)state;
    struct sta_cluster_view views[2];
    struct events *events = calloc(1, sizeof *events);
    for (unsigned v = 0; v < 2; v++) {
        views[v] = (struct sta_cluster_view){.kind = STA_CLUSTER_VIEW_CLUSTER};
        assert_int_equal(sta_slot_map_create(&views[v].map), STRATA_OK);
        for (unsigned i = 0; i < 100; i++) {
            struct sta_slot_node node = {.primary = STA_SLOT_MAP_NONE};
            uint16_t index;
            node.endpoint.port = (uint16_t)(1 + i);
            snprintf(node.endpoint.address, sizeof node.endpoint.address, "h");
            snprintf(node.id, sizeof node.id, "id%u", i);
            assert_int_equal(sta_slot_map_add(views[v].map, &node, &index), STRATA_OK);
        }
        for (unsigned i = 0; i < 100; i++)
            sta_slot_map_assign(views[v].map, 2 * i, 2 * i + 1, (uint16_t)((i + v) % 100));
    }
    sta_cluster_view_compare(&views[0], &views[1], note, events);
    unsigned pairs = 0;
    for (const char *at = events->text; (at = strchr(at, ';')) != NULL; at++)
        pairs++;
    assert_int_equal(pairs, 65);
    assert_non_null(strstr(events->text, "moved -<- 72;")); /* (100 - 64) * 2 */
    sta_cluster_view_fini(&views[0]);
    sta_cluster_view_fini(&views[1]);
    free(events);
}

static void members_come_and_go(void **state)
{
    (void)state;
    struct sta_cluster_view before = six(), now = six();
    snprintf(now.map->nodes[5].id, sizeof now.map->nodes[5].id, "new");
    now.map->nodes[5].endpoint.port = 7008;
    expect(&before, &now, "removed 6;added 8;");
    now = six();
    now.map->nodes[5].endpoint.port = 7009; /* the same, elsewhere */
    expect(&before, &now, "");
    sta_cluster_view_fini(&before);
}

static void the_state_is_told_when_it_changes(void **state)
{
    (void)state;
    struct sta_cluster_view before = six(), now = six();
    now.info.state = STA_TOPOLOGY_FAIL;
    expect(&before, &now, "fail;");
    now = six();
    now.info.state = STA_TOPOLOGY_UNKNOWN;
    expect(&before, &now, "unknown;");
    now = six();
    now.kind = STA_CLUSTER_VIEW_SINGLE;
    expect(&before, &now, "standalone;");
    sta_cluster_view_fini(&before);
}

static void a_node_has_the_worst_state_that_is_known_of_it(void **state)
{
    (void)state;
    static const struct {
        uint8_t answers;
        uint32_t flags;
        enum strata_node_state state;
        bool healthy;
    } rows[] = {
        {A, 0, STRATA_NODE_UP, true},
        {A, STA_SLOT_MAP_PFAIL, STRATA_NODE_SUSPECT, true},
        {A, STA_SLOT_MAP_FAIL, STRATA_NODE_FAILED, false},
        {S, STA_SLOT_MAP_FAIL, STRATA_NODE_FAILED, false},
        {U, STA_SLOT_MAP_FAIL, STRATA_NODE_FAILED, false},
        {S, 0, STRATA_NODE_DOWN, false},
        {S, STA_SLOT_MAP_PFAIL, STRATA_NODE_DOWN, false},
        {U, 0, STRATA_NODE_UNKNOWN, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_cluster_view view = six();
        view.answers[2] = rows[i].answers;
        view.map->nodes[2].flags = rows[i].flags;
        assert_int_equal(sta_cluster_view_node_state(&view, 2), rows[i].state);
        assert_int_equal(sta_cluster_view_is_healthy(&view, 2), rows[i].healthy);
        assert_int_equal(sta_cluster_view_is_settled(&view), rows[i].answers != U);
        sta_cluster_view_fini(&view);
    }
}

static void a_node_without_an_address_is_not_waited_for(void **state)
{
    (void)state;
    struct sta_cluster_view view = six(), nothing = {0};
    view.answers[5] = U;
    view.map->nodes[5].flags |= STA_SLOT_MAP_NOADDR;
    view.map->nodes[5].endpoint.address[0] = '\0';
    assert_true(sta_cluster_view_is_settled(&view));
    assert_false(sta_cluster_view_is_settled(&nothing));
    assert_string_equal(sta_cluster_view_state(&nothing), "unknown");
    sta_cluster_view_fini(&view);
}

static void addresses_are_taken_over_by_id(void **state)
{
    (void)state;
    struct sta_cluster_view nodes = six(), slots = six();
    slots.map->nodes[0].endpoint.port = 9001;
    slots.map->nodes[1].endpoint.address[0] = '\0';
    slots.map->nodes[1].flags |= STA_SLOT_MAP_NOADDR;
    slots.map->nodes[2].id[0] = '\0'; /* an old Redis: nobody's */
    slots.map->nodes[2].endpoint.port = 9003;
    snprintf(slots.map->nodes[3].id, sizeof slots.map->nodes[3].id, "other");
    slots.map->nodes[3].endpoint.port = 9004;
    nodes.map->nodes[4].flags |= STA_SLOT_MAP_NOADDR;
    nodes.map->nodes[4].endpoint.address[0] = '\0';
    sta_cluster_view_address(nodes.map, slots.map);
    assert_true(sta_slot_map_valid(nodes.map));
    assert_int_equal(nodes.map->nodes[0].endpoint.port, 9001);
    assert_string_equal(nodes.map->nodes[1].endpoint.address, "");
    assert_int_equal(nodes.map->nodes[2].endpoint.port, 7003);
    assert_int_equal(nodes.map->nodes[3].endpoint.port, 7004);
    assert_string_equal(nodes.map->nodes[4].endpoint.address, "h");
    assert_int_equal(nodes.map->nodes[4].flags, STA_SLOT_MAP_REPLICA);
    sta_cluster_view_fini(&nodes);
    sta_cluster_view_fini(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_told_where_nothing_happened),
        cmocka_unit_test(of_the_first_look_only_nodes_that_are_down_are_told),
        cmocka_unit_test(nodes_go_down_and_come_up_once),
        cmocka_unit_test(a_replica_that_takes_over_is_a_failover),
        cmocka_unit_test(slots_are_told_by_pairs_of_owners),
        cmocka_unit_test(many_pairs_of_owners_are_told_together_from_the_sixty_fifth_on),
        cmocka_unit_test(members_come_and_go),
        cmocka_unit_test(the_state_is_told_when_it_changes),
        cmocka_unit_test(a_node_has_the_worst_state_that_is_known_of_it),
        cmocka_unit_test(a_node_without_an_address_is_not_waited_for),
        cmocka_unit_test(addresses_are_taken_over_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
