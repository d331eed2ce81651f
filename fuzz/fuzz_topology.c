/* SPDX-License-Identifier: MIT
 *
 * What a node may say of its cluster: the input is one reply.
 *
 * Facts: a map is made exactly where the status is OK, and keeps its invariants; memory is
 * within the map's own and 128 times the reply, and below 1 MB; a map differs from itself in no
 * slot, and from nothing in all that it serves.
 */
#include "fuzz/arrival.h"
#include "l2/topology.h"
#include "strata/status.h"

typedef int parse_fn(struct sta_slot_map **, struct strata_bytes, const struct sta_topology_query *,
                     const char **);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_map(const struct sta_slot_map *map)
{
    struct sta_slot_set changed;
    unsigned told = 0;
    CHECK(sta_slot_map_valid(map));
    CHECK(sta_slot_map_changes(map, map, NULL) == 0);
    CHECK(sta_slot_map_changes(NULL, map, &changed) == map->covered);
    for (size_t i = 0; i < sizeof changed.words / sizeof changed.words[0]; i++)
        told += (unsigned)__builtin_popcountll(changed.words[i]);
    CHECK(told == map->covered);
}

static void check_reply(parse_fn *parse, struct strata_bytes reply, bool tls)
{
    static const struct sta_endpoint asked = {
        .kind = STA_ENDPOINT_TCP, .port = 7000, .address = "10.0.0.1"};
    const struct sta_topology_query query = {.asked = &asked, .tls = tls};
    struct sta_slot_map *map = NULL;
    const char *reason = NULL;
    heap_meter_start();
    int status = parse(&map, reply, &query, &reason);
    size_t held = heap_meter_stop();
    CHECK(held <= sizeof *map + 8 * sizeof(struct sta_slot_node) + 128 * reply.len);
    CHECK(held <= 1000000);
    CHECK((status == STRATA_OK) == (map != NULL));
    CHECK((status == STRATA_OK) == (reason == NULL));
    if (map != NULL)
        check_map(map);
    sta_slot_map_destroy(&map);
}

static void check_info(struct strata_bytes reply)
{
    struct sta_topology_info info = {.size = 1};
    if (sta_topology_parse_info(&info, reply, NULL) != STRATA_OK)
        return;
    CHECK(info.slots_assigned <= STA_SLOT_COUNT && info.slots_ok <= STA_SLOT_COUNT);
    CHECK(info.slots_pfail <= STA_SLOT_COUNT && info.slots_fail <= STA_SLOT_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arrival arrival;
    arrival_init(&arrival, data, size, 0);
    arrival_all(&arrival);
    struct strata_bytes reply = arrival_bytes(&arrival);
    bool text = size > 0 && (data[0] == '$' || data[0] == '=');
    bool list = size > 0 && data[0] == '*';
    if (!text) { /* each parser refuses the other kind at its first byte: no need to try all */
        check_reply(sta_topology_parse_slots, reply, false);
        check_reply(sta_topology_parse_shards, reply, (size & 1) != 0);
    }
    if (!list) {
        check_reply(sta_topology_parse_nodes, reply, false);
        check_info(reply);
    }
    arrival_fini(&arrival);
    return 0;
}
