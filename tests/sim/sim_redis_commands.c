/* SPDX-License-Identifier: MIT
 *
 * The commands that the modelled Redis knows.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cache/tags.h"
#include "core/number.h"
#include "resp/resp.h"
#include "sim/sim_redis_inside.h"

#define FALLING 500u /* per mille of tags that might */

struct call {
    struct sim_conn *conn;
    const struct strata_bytes *argv;
    unsigned argc;
};

static bool is_word(struct strata_bytes bytes, const char *word)
{
    return bytes.len == strlen(word) && strncasecmp(bytes.data, word, bytes.len) == 0;
}

static struct sim_redis *redis_of(const struct call *call)
{
    return call->conn->node->redis;
}

/* ---- the connection's ---- */

/* A reader calls itself by one letter and its number. */
static void note_name(struct sim_conn *conn, struct strata_bytes name)
{
    const char *text = name.data;
    if (name.len == 2 && text[0] == 'c' && text[1] >= '0' && text[1] < '0' + (int)SIM_READERS_MOST)
        conn->reader = (unsigned)(text[1] - '0');
}

static void run_hello(const struct call *call)
{
    for (unsigned i = 2; i + 1 < call->argc; i++)
        if (is_word(call->argv[i], "SETNAME"))
            note_name(call->conn, call->argv[i + 1]);
    sta_resp_write_header(&call->conn->out, STA_RESP_MAP, 1, 3);
    sta_resp_write_bulk(&call->conn->out, strata_text("proto"));
    sta_resp_write_integer(&call->conn->out, 3);
}

static void run_ping(const struct call *call)
{
    sta_resp_write_simple(&call->conn->out, "PONG");
}

static void run_client(const struct call *call)
{
    struct sim_conn *conn = call->conn;
    bool tracking = call->argc >= 3 && is_word(call->argv[1], "TRACKING");
    for (unsigned i = 3; tracking && i < call->argc; i++) {
        conn->bcast |= is_word(call->argv[i], "BCAST");
        conn->noloop |= is_word(call->argv[i], "NOLOOP");
        if (is_word(call->argv[i], "PREFIX") && i + 1 < call->argc) {
            assert(call->argv[i + 1].len < sizeof conn->prefix);
            memcpy(conn->prefix, call->argv[i + 1].data, call->argv[i + 1].len);
        }
    }
    conn->tracking |= tracking;
    sta_resp_write_simple(&conn->out, "OK");
}

static void run_asking(const struct call *call)
{
    sta_resp_write_simple(&call->conn->out, "OK");
}

static void run_cluster(const struct call *call)
{
    if (is_word(call->argv[1], "SLOTS"))
        sim_cluster_slots(call->conn);
    else
        sim_cluster_info(call->conn);
}

/* ---- keys ---- */

static void run_get(const struct call *call)
{
    unsigned index = sim_entry_of(redis_of(call), call->argv[1]);
    if (!sim_cluster_serves(call->conn, index))
        return;
    const struct sim_entry *entry = sim_entry_look(redis_of(call), index);
    sim_tracking_read(call->conn, index);
    if (entry->value.data != NULL)
        sta_resp_write_bulk(&call->conn->out, entry->value);
    else
        sta_resp_write_null(&call->conn->out, 3);
}

static void run_pttl(const struct call *call)
{
    unsigned index = sim_entry_of(redis_of(call), call->argv[1]);
    if (!sim_cluster_serves(call->conn, index))
        return;
    const struct sim_entry *entry = sim_entry_look(redis_of(call), index);
    int64_t left = -2;
    sim_tracking_read(call->conn, index);
    if (entry->value.data != NULL && entry->expire_ms == SIM_NO_TTL)
        left = -1;
    else if (entry->value.data != NULL)
        left = (int64_t)(entry->expire_ms - sim_now_ms(redis_of(call)->sim));
    sta_resp_write_integer(&call->conn->out, left);
}

static void run_set(const struct call *call)
{
    uint64_t ttl_ms = SIM_NO_TTL;
    bool only_new = call->argc > 3 && is_word(call->argv[3], "NX");
    unsigned options = only_new ? 4 : 3;
    if (call->argc == options + 2 && is_word(call->argv[options], "PX"))
        (void)sta_number_parse(call->argv[options + 1], INT64_MAX, &ttl_ms);
    unsigned entry = sim_entry_of(redis_of(call), call->argv[1]);
    if (!sim_cluster_serves(call->conn, entry))
        return;
    if (only_new && sim_entry_look(redis_of(call), entry)->value.data != NULL) {
        sta_resp_write_null(&call->conn->out, 3);
        return;
    }
    sim_entry_set_for(call->conn, entry, call->argv[2], ttl_ms);
    sta_resp_write_simple(&call->conn->out, "OK");
}

static void run_unlink(const struct call *call)
{
    struct sim_redis *redis = redis_of(call);
    unsigned entry = sim_entry_of(redis, call->argv[1]);
    if (!sim_cluster_serves(call->conn, entry))
        return;
    sta_resp_write_integer(&call->conn->out, sim_entry_remove_for(call->conn, entry));
}

static void run_exists(const struct call *call)
{
    unsigned entry = sim_entry_of(redis_of(call), call->argv[1]);
    if (!sim_cluster_serves(call->conn, entry))
        return;
    sim_tracking_read(call->conn, entry);
    sta_resp_write_integer(&call->conn->out,
                           sim_entry_look(redis_of(call), entry)->value.data != NULL);
}

static void run_persist(const struct call *call)
{
    struct sim_redis *redis = redis_of(call);
    unsigned index = sim_entry_of(redis, call->argv[1]);
    if (!sim_cluster_serves(call->conn, index))
        return;
    const struct sim_entry *entry = sim_entry_look(redis, index);
    bool ends = entry->value.data != NULL && entry->expire_ms != SIM_NO_TTL;
    if (ends)
        sim_entry_set(redis, index, entry->value, SIM_NO_TTL);
    sta_resp_write_integer(&call->conn->out, ends);
}

static void run_pexpire(const struct call *call)
{
    struct sim_redis *redis = redis_of(call);
    uint64_t ttl_ms = 0;
    unsigned index = sim_entry_of(redis, call->argv[1]);
    if (!sim_cluster_serves(call->conn, index))
        return;
    const struct sim_entry *entry = sim_entry_look(redis, index);
    bool is_there = entry->value.data != NULL;
    (void)sta_number_parse(call->argv[2], INT64_MAX, &ttl_ms);
    if (is_there)
        sim_entry_set(redis, index, entry->value, ttl_ms);
    sta_resp_write_integer(&call->conn->out, is_there);
}

static void run_hgetall(const struct call *call)
{
    sim_hash_read(call->conn, call->argv[1]);
}

static void run_eval(const struct call *call)
{
    if (sim_guard_is_it(call->argv))
        sim_guard_script(call->conn, call->argv, call->argc);
    else
        sim_hash_script(call->conn, call->argv);
}

/* ---- which ---- */

static const struct {
    const char *word;
    unsigned argc_least;
    void (*run)(const struct call *call);
} commands[] = {
    {"GET", 2, run_get},         {"PTTL", 2, run_pttl},       {"SET", 3, run_set},
    {"UNLINK", 2, run_unlink},   {"DEL", 2, run_unlink},      {"PING", 1, run_ping},
    {"HELLO", 2, run_hello},     {"CLIENT", 2, run_client},   {"ASKING", 1, run_asking},
    {"CLUSTER", 2, run_cluster}, {"HGETALL", 2, run_hgetall}, {"EVAL", 7, run_eval},
    {"EXISTS", 2, run_exists},   {"PERSIST", 2, run_persist}, {"PEXPIRE", 3, run_pexpire},
};

/* Who invalidates a tag may be about to set something with it. */
static void meet_falling(struct sim_redis *redis, unsigned tag)
{
    char version[STA_TAGS_VERSION_LEN + 1];
    sim_redis_delete(redis, tag);
    if (sim_chance(redis->sim, 500))
        return;
    (void)snprintf(version, sizeof version, "%016" PRIx64, sim_below(redis->sim, UINT64_MAX));
    sim_entry_set(redis, sim_entry_of_key(redis, tag), strata_text(version), STA_TAGS_TTL_MS);
}

static void meet_changed(struct sim_redis *redis, unsigned key)
{
    uint64_t ttl_ms = sim_between(redis->sim, 1, 50);
    if (sim_chance(redis->sim, 500))
        sim_redis_expire(redis, key, ttl_ms);
    else
        sim_redis_set(redis, key, 0, sim_chance(redis->sim, 500) ? ttl_ms : SIM_NO_TTL);
}

/* Between two commands that a cache sent together. */
static void meet_another(struct sim_redis *redis, struct strata_bytes name)
{
    unsigned key = redis->entries[sim_entry_of(redis, name)].key;
    bool awaited = key == redis->awaited && redis->awaited_in > 0 && --redis->awaited_in == 0;
    if (key == SIM_NOBODY || !(awaited || sim_chance(redis->sim, redis->config.met)))
        return;
    if (key < SIM_KEYS_MOST)
        meet_changed(redis, key);
    else if (awaited || sim_chance(redis->sim, FALLING))
        meet_falling(redis, key);
}

void sim_command_run(struct sim_conn *conn, const struct strata_bytes *argv, unsigned argc)
{
    const struct call call = {conn, argv, argc};
    struct sim_redis *redis = conn->node->redis;
    if (is_word(argv[0], "GET") || is_word(argv[0], "PTTL"))
        meet_another(redis, argv[1]);
    conn->node->working_for = conn;
    sim_tracking_make_room(conn->node);
    size_t i = 0;
    while (i < sizeof commands / sizeof commands[0] &&
           !(is_word(argv[0], commands[i].word) && argc >= commands[i].argc_least))
        i++;
    if (i < sizeof commands / sizeof commands[0])
        commands[i].run(&call);
    else
        sta_resp_write_error(&conn->out, "ERR unknown command");
    conn->asking = is_word(argv[0], "ASKING");
    sim_tracking_after_command(conn);
    conn->node->working_for = NULL;
}
