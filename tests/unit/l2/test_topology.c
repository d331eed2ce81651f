/* SPDX-License-Identifier: MIT
 *
 * What nodes say of their cluster: replies of real clusters (fuzz/corpus/fuzz_topology), and by
 * hand what those did not show. A map is told in one line per node:
 *
 *     id address:port flags<-primary epoch slots...
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l2/topology.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

static const struct sta_endpoint asked = {
    .kind = STA_ENDPOINT_TCP, .port = 7000, .address = "asked.example"};
static const struct sta_topology_query plain = {.asked = &asked, .tls = false};
static const struct sta_topology_query tls = {.asked = &asked, .tls = true};

typedef int parse_fn(struct sta_slot_map **, struct strata_bytes, const struct sta_topology_query *,
                     const char **);

/* ---- telling a map ---- */

struct text {
    char bytes[16384];
    size_t len;
};

static void tell(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->bytes + text->len, sizeof text->bytes - text->len, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < sizeof text->bytes - text->len);
    text->len += (size_t)len;
}

static void tell_flags(struct text *text, const struct sta_slot_map *map,
                       const struct sta_slot_node *node)
{
    static const char letters[] = "rmpflhng"; /* in the order of the bits */
    tell(text, " ");
    for (unsigned bit = 0; bit < 8; bit++) {
        if ((node->flags >> bit & 1) != 0)
            tell(text, "%c", letters[bit]);
    }
    if (node->flags == 0)
        tell(text, "-");
    if (node->primary != STA_SLOT_MAP_NONE)
        tell(text, "<-%.4s", map->nodes[node->primary].id);
}

static void tell_slots(struct text *text, const struct sta_slot_map *map, unsigned index)
{
    for (unsigned first = 0; first < STA_SLOT_COUNT; first++) {
        unsigned last = first;
        if (map->owner[first] != index)
            continue;
        while (last + 1 < STA_SLOT_COUNT && map->owner[last + 1] == index)
            last++;
        tell(text, first == last ? " %u" : " %u-%u", first, last);
        first = last;
    }
}

static void tell_map(struct text *text, const struct sta_slot_map *map)
{
    for (unsigned i = 0; i < map->node_count; i++) {
        const struct sta_slot_node *node = &map->nodes[i];
        tell(text, "%.4s %s:%u", node->id, node->endpoint.address, (unsigned)node->endpoint.port);
        tell_flags(text, map, node);
        tell(text, " %llu", (unsigned long long)node->config_epoch);
        tell_slots(text, map, i);
        if (node->migrating + node->importing > 0)
            tell(text, " out%u in%u", (unsigned)node->migrating, (unsigned)node->importing);
        tell(text, "\n");
    }
}

static void expect(parse_fn *parse, struct strata_bytes reply,
                   const struct sta_topology_query *query, const char *wanted)
{
    struct sta_slot_map *map = NULL;
    struct text text = {.len = 0};
    const char *reason = NULL;
    int status = parse(&map, reply, query, &reason);
    if (status != STRATA_OK)
        fail_msg("status %d: %s", status, reason);
    assert_true(sta_slot_map_valid(map));
    tell_map(&text, map);
    assert_string_equal(text.bytes, wanted);
    sta_slot_map_destroy(&map);
}

static void refuse(parse_fn *parse, const char *reply, int status, const char *part)
{
    struct sta_slot_map *map = NULL;
    const char *reason = "";
    int found = parse(&map, strata_text(reply), &plain, &reason);
    if (found != status || strstr(reason, part) == NULL)
        fail_msg("\"%s\": status %d, \"%s\"", reply, found, reason);
    assert_null(map);
    assert_int_equal(parse(&map, strata_text(reply), &plain, NULL), status);
}

/* ---- replies of real clusters ---- */

static struct strata_bytes reply_of(const char *name, char *room, size_t cap)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TEST_REPLIES, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    size_t len = fread(room, 1, cap, file);
    fclose(file);
    assert_true(len > 0 && len < cap);
    return strata_bytes(room, len);
}

#define SIX_SLOTS                                                                                  \
    "8327 127.0.0.1:7201 - 0 0-5460\n"                                                             \
    "82e7 127.0.0.1:7206 r<-8327 0\n"                                                              \
    "d6a8 127.0.0.1:7202 - 0 5461-10922\n"                                                         \
    "6c0a 127.0.0.1:7204 r<-d6a8 0\n"                                                              \
    "0a37 127.0.0.1:7203 - 0 10923-16383\n"                                                        \
    "4ebb 127.0.0.1:7205 r<-0a37 0\n"
#define SIX_NAMED                                                                                  \
    "8327 node1.example.net:7201 - 0 0-5460\n"                                                     \
    "82e7 127.0.0.1:7206 r<-8327 0\n" /* "?", with its IP */                                       \
    "d6a8 node2.example.net:7202 - 0 5461-10922\n"                                                 \
    "6c0a node4.example.net:7204 r<-d6a8 0\n"                                                      \
    "0a37 node3.example.net:7203 - 0 10923-16383\n"                                                \
    "4ebb node5.example.net:7205 r<-0a37 0\n"
#define SIX_UNKNOWN                                                                                \
    "8327 asked.example:7201 - 0 0-5460\n"                                                         \
    "82e7 asked.example:7206 r<-8327 0\n"                                                          \
    "d6a8 asked.example:7202 - 0 5461-10922\n"                                                     \
    "6c0a asked.example:7204 r<-d6a8 0\n"                                                          \
    "0a37 asked.example:7203 - 0 10923-16383\n"                                                    \
    "4ebb asked.example:7205 r<-0a37 0\n"
#define NODES_AFTER(b, d)                                                                          \
    "4ebb 127.0.0.1:7205 - 7 10923-16383\n"                                                        \
    "8327 127.0.0.1:7201 m 1 0-5460\n"                                                             \
    "0a37 127.0.0.1:7203 f 3\n"                                                                    \
    "d6a8 127.0.0.1:7202 " b " 2 5461-10922\n"                                                     \
    "6c0a 127.0.0.1:7204 " d "<-d6a8 2\n"                                                          \
    "82e7 127.0.0.1:7206 rf<-8327 1\n"

static void replies_of_real_clusters_make_their_maps(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *map;
    } rows[] = {
        {"slots_normal_2", SIX_SLOTS},
        {"slots_hostname_2", SIX_NAMED},
        {"slots_hostname_3", SIX_NAMED},
        {"slots_unknown_2", SIX_UNKNOWN},
        {"slots_unknown_3", SIX_UNKNOWN},
        /* replicas that failed are left out by Redis, primaries are not */
        {"slots_failover_2", "8327 127.0.0.1:7201 - 0 0-5460\n"
                             "d6a8 127.0.0.1:7202 - 0 5461-10922\n"
                             "6c0a 127.0.0.1:7204 r<-d6a8 0\n"
                             "4ebb 127.0.0.1:7205 - 0 10923-16383\n"},
        {"slots_down_3", "8327 127.0.0.1:7201 - 0 0-5460\n"
                         "d6a8 127.0.0.1:7202 - 0 5461-10922\n"
                         "4ebb 127.0.0.1:7205 - 0 10923-16383\n"},
        {"slots_fresh_2", ""},
        {"slots_single_2", "29cf asked.example:7211 - 0 0-2 5 9 16383\n"},
        {"slots_tls_3", "c6f8 ::1:7221 - 0 0-8000\n027b ::1:7222 - 0 8001-16383\n"},
        {"shards_normal_2", "8327 127.0.0.1:7201 - 0 0-5460\n"
                            "82e7 127.0.0.1:7206 r<-8327 0\n"
                            "0a37 127.0.0.1:7203 - 0 10923-16383\n"
                            "4ebb 127.0.0.1:7205 r<-0a37 0\n"
                            "d6a8 127.0.0.1:7202 - 0 5461-10922\n"
                            "6c0a 127.0.0.1:7204 r<-d6a8 0\n"},
        {"shards_failover_2", "4ebb 127.0.0.1:7205 - 0 10923-16383\n"
                              "8327 127.0.0.1:7201 - 0 0-5460\n"
                              "82e7 127.0.0.1:7206 rf<-8327 0\n"
                              "0a37 127.0.0.1:7203 f 0\n"
                              "d6a8 127.0.0.1:7202 - 0 5461-10922\n"
                              "6c0a 127.0.0.1:7204 r<-d6a8 0\n"},
        {"shards_fresh_2", "29cf asked.example:7211 - 0\n"},
        {"shards_single_2", "29cf asked.example:7211 - 0 0-2 5 9 16383\n"},
        {"shards_tls_2", "c6f8 ::1:7221 - 0 0-8000\n027b ::1:7222 - 0 8001-16383\n"},
        {"nodes_normal_3", "4ebb 127.0.0.1:7205 r<-0a37 3\n"
                           "8327 127.0.0.1:7201 m 1 0-5460\n"
                           "0a37 127.0.0.1:7203 - 3 10923-16383\n"
                           "d6a8 127.0.0.1:7202 - 2 5461-10922\n"
                           "6c0a 127.0.0.1:7204 r<-d6a8 2\n"
                           "82e7 127.0.0.1:7206 r<-8327 1\n"},
        {"nodes_migrating_3", "4ebb 127.0.0.1:7205 r<-0a37 3\n"
                              "8327 127.0.0.1:7201 m 1 0-5460 out2 in0\n"
                              "0a37 127.0.0.1:7203 - 3 10923-16383\n"
                              "d6a8 127.0.0.1:7202 - 2 5461-10922\n"
                              "6c0a 127.0.0.1:7204 r<-d6a8 2\n"
                              "82e7 127.0.0.1:7206 r<-8327 1\n"},
        {"nodes_failover_2", NODES_AFTER("-", "r")},
        {"nodes_down_2", NODES_AFTER("f", "rf")},
        {"nodes_down_3", NODES_AFTER("f", "rf")},
        {"nodes_fresh_2", "29cf asked.example:7211 m 0\n"},
        {"nodes_single_2", "29cf asked.example:7211 m 0 0-2 5 9 16383\n"},
        {"nodes_tls_2", "c6f8 ::1:7221 m 0 0-8000\n027b ::1:7222 - 1 8001-16383\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[8192];
        parse_fn *parse = rows[i].file[0] == 'n'   ? sta_topology_parse_nodes
                          : rows[i].file[1] == 'l' ? sta_topology_parse_slots
                                                   : sta_topology_parse_shards;
        expect(parse, reply_of(rows[i].file, room, sizeof room), &plain, rows[i].map);
    }
}

static void the_same_reply_in_both_protocols_makes_the_same_map(void **state)
{
    (void)state;
    static const struct {
        parse_fn *parse;
        const char *name;
    } rows[] = {
        {sta_topology_parse_shards, "shards_hostname"}, {sta_topology_parse_shards, "shards_down"},
        {sta_topology_parse_shards, "shards_unknown"},  {sta_topology_parse_slots, "slots_tls"},
        {sta_topology_parse_nodes, "nodes_hostname"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text text = {.len = 0};
        char name[64], room[8192];
        struct sta_slot_map *map = NULL;
        snprintf(name, sizeof name, "%s_2", rows[i].name);
        assert_int_equal(rows[i].parse(&map, reply_of(name, room, sizeof room), &plain, NULL), 0);
        tell_map(&text, map);
        sta_slot_map_destroy(&map);
        snprintf(name, sizeof name, "%s_3", rows[i].name);
        expect(rows[i].parse, reply_of(name, room, sizeof room), &plain, text.bytes);
    }
}

static void shards_give_the_port_of_our_kind_of_connection(void **state)
{
    (void)state;
    char room[8192];
    struct strata_bytes reply = reply_of("shards_tls_3", room, sizeof room);
    expect(sta_topology_parse_shards, reply, &tls,
           "c6f8 ::1:7231 - 0 0-8000\n027b ::1:7232 - 0 8001-16383\n");
    reply = reply_of("shards_normal_2", room, sizeof room); /* without any: the one that is there */
    struct sta_slot_map *map = NULL;
    assert_int_equal(sta_topology_parse_shards(&map, reply, &tls, NULL), STRATA_OK);
    assert_int_equal(map->nodes[0].endpoint.port, 7201);
    sta_slot_map_destroy(&map);
}

/* ---- SLOTS by hand ---- */

/* A range and its primary alone: host and id as values, "_\r\n" for instance. */
#define RANGE(first, last, host, port, id)                                                         \
    "*3\r\n:" first "\r\n:" last "\r\n*3\r\n" host ":" port "\r\n" id
#define RANGE_OF_A(first, last) RANGE(first, last, "+h\r\n", "1", "+a\r\n")

static void slots_of_every_age_are_understood(void **state)
{
    (void)state;
    /* Redis 3: no ids; nodes are told apart by their addresses. */
    static const char old[] = "*2\r\n*4\r\n:0\r\n:1\r\n*2\r\n+a\r\n:1\r\n*2\r\n+b\r\n:1\r\n"
                              "*3\r\n:5\r\n:5\r\n*2\r\n+a\r\n:1\r\n";
    /* A later one: an attribute before it all, and more behind what is known. */
    static const char later[] =
        "|1\r\n+ttl\r\n*1\r\n:1\r\n*1\r\n*3\r\n:0\r\n:1\r\n*6\r\n$1\r\na\r\n"
        ":1\r\n$1\r\ni\r\n%2\r\n+new\r\n*1\r\n+x\r\n+ip\r\n+1.2.3.4\r\n"
        "*2\r\n:1\r\n:2\r\n:3\r\n";
    expect(sta_topology_parse_slots, strata_text(old), &plain, " a:1 - 0 0-1 5\n b:1 r<- 0\n");
    expect(sta_topology_parse_slots, strata_text(later), &plain, "i a:1 - 0 0-1\n");
}

static void addresses_that_cannot_be_connected_to_are_none(void **state)
{
    (void)state;
    static const struct sta_endpoint socket = {.kind = STA_ENDPOINT_UNIX, .address = "/r.sock"};
    static const struct sta_topology_query by_socket = {.asked = &socket};
    static const char *const replies[] = {
        "*1\r\n" RANGE("0", "0", "+?\r\n", "1", "+a\r\n"),
        "*1\r\n" RANGE("0", "0", "+h\r\n", "0", "+a\r\n"),
        "*1\r\n" RANGE("0", "0", "+h\r\n", "-1", "+a\r\n"),
        "*1\r\n" RANGE("0", "0", "+h\r\n", "65536", "+a\r\n"),
        "*1\r\n" RANGE("0", "0", "+a b\r\n", "1", "+a\r\n"),
        "*1\r\n" RANGE("0", "0", "+1.2.3.400\r\n", "1", "+a\r\n"),
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
        expect(sta_topology_parse_slots, strata_text(replies[i]), &plain, "a :0 n 0 0\n");
    /* Asked through a unix socket, a node that does not know its address has none. */
    static const char unknown[] = "*1\r\n" RANGE("0", "0", "_\r\n", "1", "+a\r\n");
    expect(sta_topology_parse_slots, strata_text(unknown), &by_socket, "a :0 n 0 0\n");
}

static void a_node_that_is_once_a_primary_is_one(void **state)
{
    (void)state;
    static const char reply[] =
        "*2\r\n*4\r\n:0\r\n:0\r\n*3\r\n+h\r\n:1\r\n+a\r\n*3\r\n+h\r\n:2\r\n+b\r\n"
        "*4\r\n:1\r\n:1\r\n*3\r\n+h\r\n:2\r\n+b\r\n*3\r\n+h\r\n:1\r\n+a\r\n";
    expect(sta_topology_parse_slots, strata_text(reply), &plain, "a h:1 - 0 0\nb h:2 - 0 1\n");
}

static void what_is_no_slots_reply_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        int status;
        const char *part;
    } rows[] = {
        {"-ERR This instance has cluster support disabled\r\n", STRATA_ERR_SERVER, "error"},
        {"-NOPERM no\r\n", STRATA_ERR_DENIED, "error"},
        {"!11\r\nNOAUTH what\r\n", STRATA_ERR_DENIED, "error"},
        {"", STRATA_ERR_PROTOCOL, "early"},
        {"$-1\r\n", STRATA_ERR_PROTOCOL, "no list"},
        {"+OK\r\n", STRATA_ERR_PROTOCOL, "no list"},
        {"%0\r\n", STRATA_ERR_PROTOCOL, "no list"},
        {"*1\r\n", STRATA_ERR_PROTOCOL, "early"},
        {"*1\r\n:1\r\n", STRATA_ERR_PROTOCOL, "list is none"},
        {"*1\r\n*2\r\n:0\r\n:1\r\n", STRATA_ERR_PROTOCOL, "list is none"},
        {"*1\r\n*3\r\n+0\r\n:1\r\n"
         "*2\r\n_\r\n:1\r\n",
         STRATA_ERR_PROTOCOL, "number"},
        {"*1\r\n*3\r\n:0\r\n_\r\n"
         "*2\r\n_\r\n:1\r\n",
         STRATA_ERR_PROTOCOL, "number"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n+h\r\n", STRATA_ERR_PROTOCOL, "list is none"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n+h\r\n+1\r\n", STRATA_ERR_PROTOCOL, "number"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*4\r\n+h\r\n:1\r\n+i\r\n:1\r\n", STRATA_ERR_PROTOCOL, "fields"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*4\r\n+h\r\n:1\r\n+i\r\n*1\r\n:1\r\n", STRATA_ERR_PROTOCOL,
         "fields"},
        {"*1\r\n" RANGE_OF_A("-1", "1"), STRATA_ERR_PROTOCOL, "range"},
        {"*1\r\n" RANGE_OF_A("0", "16384"), STRATA_ERR_PROTOCOL, "range"},
        {"*1\r\n" RANGE_OF_A("2", "1"), STRATA_ERR_PROTOCOL, "range"},
        {"*2\r\n" RANGE_OF_A("0", "2") RANGE_OF_A("2", "3"), STRATA_ERR_PROTOCOL, "two owners"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n+h\r\n:1\r\n"
         "+123456789012345678901234567890123456789012345678\r\n",
         STRATA_ERR_PROTOCOL, "id"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n+h\r\n:1\r\n$1\r\n\0\r\n", STRATA_ERR_PROTOCOL, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refuse(sta_topology_parse_slots, rows[i].reply, rows[i].status, rows[i].part);
    struct sta_slot_map *map = NULL;
    const char zero[] = "*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n+h\r\n:1\r\n$1\r\n\0\r\n";
    assert_int_equal(
        sta_topology_parse_slots(&map, strata_bytes(zero, sizeof zero - 1), &plain, NULL),
        STRATA_ERR_PROTOCOL);
}

/* ---- SHARDS by hand ---- */

#define SHARD_NODE(id, role, health)                                                               \
    "%5\r\n+health\r\n+" health "\r\n+role\r\n+" role "\r\n+port\r\n:1\r\n+endpoint\r\n+h" id      \
    "\r\n+id\r\n+" id "\r\n"

static void the_primary_that_has_not_failed_owns_a_shard(void **state)
{
    (void)state;
    static const char after_a_failover[] =
        "*1\r\n%2\r\n+nodes\r\n*4\r\n" SHARD_NODE("a", "master", "fail")
            SHARD_NODE("b", "replica", "loading") SHARD_NODE("c", "master", "online")
                SHARD_NODE("d", "replica", "online") "+slots\r\n*2\r\n:0\r\n:9\r\n";
    static const char the_only_one[] =
        "*1\r\n%2\r\n+nodes\r\n*2\r\n" SHARD_NODE("b", "replica", "online")
            SHARD_NODE("a", "master", "failed") "+slots\r\n*2\r\n:0\r\n:9\r\n";
    static const char nobody[] = "*1\r\n%2\r\n+nodes\r\n*1\r\n" SHARD_NODE(
        "b", "replica", "online") "+slots\r\n*2\r\n:0\r\n:9\r\n";
    expect(sta_topology_parse_shards, strata_text(after_a_failover), &plain,
           "a ha:1 f 0\nb hb:1 rl<-c 0\nc hc:1 - 0 0-9\nd hd:1 r<-c 0\n");
    expect(sta_topology_parse_shards, strata_text(the_only_one), &plain,
           "b hb:1 r<-a 0\na ha:1 f 0 0-9\n");
    expect(sta_topology_parse_shards, strata_text(nobody), &plain, "b hb:1 r 0\n");
}

static void fields_of_later_versions_are_passed_over(void **state)
{
    (void)state;
    expect(sta_topology_parse_shards,
           strata_text("*2\r\n*6\r\n+new\r\n*1\r\n*0\r\n+slots\r\n*0\r\n+id\r\n+x\r\n"
                       "%2\r\n+slots\r\n*2\r\n:1\r\n:1\r\n+nodes\r\n"
                       "*1\r\n*6\r\n+id\r\n+a\r\n*1\r\n+odd\r\n%1\r\n+y\r\n+z\r\n+port\r\n:5\r\n"),
           &plain, "a asked.example:5 - 0 1\n");
}

static void what_is_no_shards_reply_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        int status;
        const char *part;
    } rows[] = {
        {"-ERR unknown subcommand 'shards'\r\n", STRATA_ERR_SERVER, "error"},
        {"$2\r\nhi\r\n", STRATA_ERR_PROTOCOL, "no list"},
        {"*1\r\n+a\r\n", STRATA_ERR_PROTOCOL, "fields"},
        {"*1\r\n*3\r\n+slots\r\n*0\r\n+nodes\r\n", STRATA_ERR_PROTOCOL, "fields"},
        {"*1\r\n%1\r\n+nodes\r\n+x\r\n", STRATA_ERR_PROTOCOL, "list is none"},
        {"*1\r\n%1\r\n+nodes\r\n*1\r\n+x\r\n", STRATA_ERR_PROTOCOL, "fields"},
        {"*1\r\n%1\r\n+slots\r\n*1\r\n:1\r\n", STRATA_ERR_PROTOCOL, "range"},
        {"*1\r\n%1\r\n+slots\r\n*2\r\n:1\r\n+1\r\n", STRATA_ERR_PROTOCOL, "number"},
        {"*1\r\n%1\r\n+slots\r\n*2\r\n:2\r\n:1\r\n", STRATA_ERR_PROTOCOL, "range"},
        {"*1\r\n%1\r\n+slots\r\n_\r\n", STRATA_ERR_PROTOCOL, "list is none"},
        {"*1\r\n%2\r\n+slots\r\n*0\r\n+nodes\r\n", STRATA_ERR_PROTOCOL, "early"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refuse(sta_topology_parse_shards, rows[i].reply, rows[i].status, rows[i].part);
}

static void more_than_is_followed_is_too_big(void **state)
{
    (void)state;
    size_t cap = 256 * 1024, len = 0;
    char *reply = malloc(cap);
    len = (size_t)snprintf(reply, cap, "*1\r\n*%u\r\n:0\r\n:1\r\n", STA_SLOT_MAP_NODES_MAX + 3);
    for (unsigned i = 0; i <= STA_SLOT_MAP_NODES_MAX; i++)
        len += (size_t)snprintf(reply + len, cap - len, "*3\r\n+h\r\n:1\r\n$4\r\n%04u\r\n", i);
    refuse(sta_topology_parse_slots, reply, STRATA_ERR_TOO_BIG, "nodes");
    len =
        (size_t)snprintf(reply, cap, "*1\r\n%%1\r\n+nodes\r\n*%u\r\n", STA_SLOT_MAP_NODES_MAX + 1);
    for (unsigned i = 0; i <= STA_SLOT_MAP_NODES_MAX; i++)
        len += (size_t)snprintf(reply + len, cap - len, "%%0\r\n");
    refuse(sta_topology_parse_shards, reply, STRATA_ERR_TOO_BIG, "nodes");
    len = (size_t)snprintf(reply, cap, "*16385\r\n");
    for (unsigned i = 0; i < 16385; i++)
        len += (size_t)snprintf(reply + len, cap - len, "*0\r\n");
    refuse(sta_topology_parse_slots, reply, STRATA_ERR_TOO_BIG, "ranges");
    free(reply);
}

/* ---- NODES by hand ---- */

static void expect_nodes(const char *lines, const char *map)
{
    char reply[2048];
    snprintf(reply, sizeof reply, "$%zu\r\n%s\r\n", strlen(lines), lines);
    expect(sta_topology_parse_nodes, strata_text(reply), &plain, map);
}

static void lines_of_every_age_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        const char *map;
    } rows[] = {
        {"a 10.0.0.1:1 master - 0 0 1 connected 0-5 7", "a 10.0.0.1:1 - 1 0-5 7\n"}, /* 3.0 */
        {"a 10.0.0.1:1@2 master - 0 0 1 connected", "a 10.0.0.1:1 - 1\n"},
        {"a 10.0.0.1:1@2,host master - 0 0 1 connected", "a 10.0.0.1:1 - 1\n"},
        {"a :1@2,host master - 0 0 1 connected", "a host:1 - 1\n"},
        {"a :1@2,,shard-id=x master - 0 0 1 connected", "a asked.example:1 - 1\n"},
        {"a :1@2,shard-id=x master - 0 0 1 connected", "a asked.example:1 - 1\n"},
        {"a 2001:db8::1:6379@16379 master - 0 0 1 connected", "a 2001:db8::1:6379 - 1\n"},
        {"a :0@0 slave,noaddr b 0 0 1 disconnected", "a :0 rn 1\n"},
        {"a 10.0.0.1:0@2 master - 0 0 1 connected", "a :0 n 1\n"},
        {"a h:1@2 master,fail? - 5 0 1 connected", "a h:1 p 1\n"},
        {"a h:1@2 master,fail,nofailover,new - 5 0 1 connected", "a h:1 f 1\n"},
        {"a h:1@2 handshake - 5 0 0 disconnected", "a h:1 h 0\n"},
        {"a h:1@2 noflags - 5 0 0 disconnected", "a h:1 - 0\n"},
        {"a h:1@2 slave b 0 0 1 connected\nb h:2@3 myself,master - 0 0 1 connected\n",
         "a h:1 r<-b 1\nb h:2 m 1\n"},
        {"b h:2@3 master - 0 0 1 connected\r\na h:1@2 slave b 0 0 1 connected\r\n",
         "b h:2 - 1\na h:1 r<-b 1\n"},
        {"a h:1@2 slave c 0 0 1 connected", "a h:1 r 1\n"},
        {"a h:1@2 myself,master - 0 0 18446744073709551615 connected 3 [1->-b] [2-<-b] [4-<-b] [ "
         "[5->b] [6-]",
         "a h:1 m 18446744073709551615 3 out1 in2\n"},
        {"a h:1@2 master - 0 0 1 connected  0-1  ", "a h:1 - 1 0-1\n"},
        {"\n\n", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_nodes(rows[i].lines, rows[i].map);
}

static void what_are_no_lines_of_nodes_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        const char *part;
    } rows[] = {
        {"a", "address"},
        {"hello world", "address"},
        {"a h master - 0 0 1 connected", "address"},
        {"a h:x@1 master - 0 0 1 connected", "address"},
        {"a h:65536@1 master - 0 0 1 connected", "address"},
        {" h:1@1 master - 0 0 1 connected", "address"},
        {"a h:1@2 master - 0 0", "epoch"},
        {"a h:1@2 master - 0 0 x connected", "epoch"},
        {"a h:1@2 master - 0 0 1 connected x", "range"},
        {"a h:1@2 master - 0 0 1 connected 5-x", "range"},
        {"a h:1@2 master - 0 0 1 connected 6-5", "range"},
        {"a h:1@2 master - 0 0 1 connected 16384", "range"},
        {"a h:1@2 master - 0 0 1 connected 1-2 2", "two owners"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reply[256];
        snprintf(reply, sizeof reply, "$%zu\r\n%s\r\n", strlen(rows[i].lines), rows[i].lines);
        refuse(sta_topology_parse_nodes, reply, STRATA_ERR_PROTOCOL, rows[i].part);
    }
    refuse(sta_topology_parse_nodes, "*0\r\n", STRATA_ERR_PROTOCOL, "no text");
    refuse(sta_topology_parse_nodes, "_\r\n", STRATA_ERR_PROTOCOL, "no text");
    refuse(sta_topology_parse_nodes, "-NOPERM x\r\n", STRATA_ERR_DENIED, "error");
}

/* ---- INFO ---- */

static void the_numbers_of_a_cluster_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        struct sta_topology_info info;
    } rows[] = {
        {"info_normal_2", {STA_TOPOLOGY_OK, 16384, 16384, 0, 0, 6, 3, 6, 1}},
        {"info_normal_3", {STA_TOPOLOGY_OK, 16384, 16384, 0, 0, 6, 3, 6, 1}},
        {"info_down_3", {STA_TOPOLOGY_FAIL, 16384, 10922, 0, 5462, 6, 3, 7, 1}},
        {"info_fresh_2", {STA_TOPOLOGY_FAIL, 0, 0, 0, 0, 1, 0, 0, 0}},
        {"info_single_2", {STA_TOPOLOGY_FAIL, 6, 6, 0, 0, 1, 1, 0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[8192];
        struct sta_topology_info info;
        struct strata_bytes reply = reply_of(rows[i].file, room, sizeof room);
        memset(&info, 0xa5, sizeof info);
        assert_int_equal(sta_topology_parse_info(&info, reply, NULL), STRATA_OK);
        assert_memory_equal(&info, &rows[i].info, sizeof info);
    }
}

static void numbers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"cluster_state:new\r\n", STRATA_OK},
        {"anything\r\n\r\n:\r\n", STRATA_OK},
        {"", STRATA_OK},
        {"cluster_slots_ok:16384", STRATA_OK},
        {"cluster_slots_ok:16385", STRATA_ERR_PROTOCOL},
        {"cluster_slots_fail:-1", STRATA_ERR_PROTOCOL},
        {"cluster_size:", STRATA_ERR_PROTOCOL},
        {"cluster_size", STRATA_ERR_PROTOCOL},
        {"cluster_current_epoch:18446744073709551615", STRATA_OK},
        {"cluster_current_epoch:18446744073709551616", STRATA_ERR_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reply[256];
        const char *reason = NULL;
        struct sta_topology_info info = {.size = 77};
        snprintf(reply, sizeof reply, "=%zu\r\ntxt:%s\r\n", strlen(rows[i].text) + 4, rows[i].text);
        int status = sta_topology_parse_info(&info, strata_text(reply), &reason);
        assert_int_equal(status, rows[i].status);
        assert_int_equal(info.size, status == STRATA_OK ? 0 : 77);
        assert_int_equal(reason != NULL, status != STRATA_OK);
    }
    struct sta_topology_info info;
    assert_int_equal(sta_topology_parse_info(&info, strata_text("*0\r\n"), NULL),
                     STRATA_ERR_PROTOCOL);
    assert_int_equal(sta_topology_parse_info(&info, strata_text("-ERR no\r\n"), NULL),
                     STRATA_ERR_SERVER);
}

/* ---- memory, and replies that are cut ---- */

static void out_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    static const struct {
        parse_fn *parse;
        const char *file;
    } rows[] = {
        {sta_topology_parse_slots, "slots_normal_2"},
        {sta_topology_parse_shards, "shards_normal_2"},
        {sta_topology_parse_nodes, "nodes_normal_2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[8192];
        struct strata_bytes reply = reply_of(rows[i].file, room, sizeof room);
        for (uint64_t n = 1;; n++) {
            struct sta_slot_map *map = NULL;
            const char *reason = "";
            fail_alloc_at(n);
            int status = rows[i].parse(&map, reply, &plain, &reason);
            if (!fail_alloc_end()) {
                assert_int_equal(status, STRATA_OK);
                assert_int_equal(n, 3); /* the map and its nodes */
                sta_slot_map_destroy(&map);
                break;
            }
            assert_int_equal(status, STRATA_ERR_NOMEM);
            assert_string_equal(reason, "out of memory");
            assert_null(map);
        }
    }
}

static void replies_that_are_cut_are_refused_or_told_short(void **state)
{
    (void)state;
    static const struct {
        parse_fn *parse;
        const char *file;
    } rows[] = {
        {sta_topology_parse_slots, "slots_hostname_3"},
        {sta_topology_parse_shards, "shards_hostname_2"},
        {sta_topology_parse_nodes, "nodes_hostname_3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[8192];
        struct strata_bytes reply = reply_of(rows[i].file, room, sizeof room);
        for (size_t len = 0; len < reply.len; len++) {
            struct sta_slot_map *map = NULL;
            uint8_t *cut = malloc(len + 1);
            memcpy(cut, room, len);
            assert_int_equal(rows[i].parse(&map, strata_bytes(cut, len), &plain, NULL),
                             STRATA_ERR_PROTOCOL);
            assert_null(map);
            free(cut);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_of_real_clusters_make_their_maps),
        cmocka_unit_test(the_same_reply_in_both_protocols_makes_the_same_map),
        cmocka_unit_test(shards_give_the_port_of_our_kind_of_connection),
        cmocka_unit_test(slots_of_every_age_are_understood),
        cmocka_unit_test(addresses_that_cannot_be_connected_to_are_none),
        cmocka_unit_test(a_node_that_is_once_a_primary_is_one),
        cmocka_unit_test(what_is_no_slots_reply_is_refused),
        cmocka_unit_test(the_primary_that_has_not_failed_owns_a_shard),
        cmocka_unit_test(fields_of_later_versions_are_passed_over),
        cmocka_unit_test(what_is_no_shards_reply_is_refused),
        cmocka_unit_test(more_than_is_followed_is_too_big),
        cmocka_unit_test(lines_of_every_age_are_understood),
        cmocka_unit_test(what_are_no_lines_of_nodes_is_refused),
        cmocka_unit_test(the_numbers_of_a_cluster_are_read),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(out_of_memory_leaves_nothing_behind),
        cmocka_unit_test(replies_that_are_cut_are_refused_or_told_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
