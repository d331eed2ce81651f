/* SPDX-License-Identifier: MIT
 *
 * What the script of the version guard (cache/guard.c) does in the modelled Redis. As for the hash
 * of barriers: its reading is tracked for who sent it, its writing is told him behind its reply,
 * once, and to BCAST it is nobody's own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"
#include "core/sha1.h"
#include "resp/resp.h"
#include "sim/sim_redis_inside.h"

#define STATE_CAP (2u * STA_SHA1_LEN + 1u)

static bool is_text(struct strata_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

bool sim_guard_is_it(const struct strata_bytes *argv)
{
    return is_text(argv[4], "set") || is_text(argv[4], "del");
}

static void state_of(const struct sim_entry *entry, char text[STATE_CAP])
{
    uint8_t digest[STA_SHA1_LEN];
    if (entry->value.data == NULL || entry->is_hash) {
        (void)snprintf(text, STATE_CAP, "%s", entry->value.data == NULL ? "none" : "other");
        return;
    }
    sta_sha1(entry->value, digest);
    for (size_t i = 0; i < STA_SHA1_LEN; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static void write_seen(struct sim_conn *conn, const struct sim_entry *entry, const char *state)
{
    char text[STATE_CAP + 24];
    int64_t left_ms = entry->value.data == NULL ? -2
                      : entry->expire_ms == SIM_NO_TTL
                          ? -1
                          : (int64_t)(entry->expire_ms - sim_now_ms(entry->redis->sim));
    (void)snprintf(text, sizeof text, "%s %" PRId64, state, left_ms);
    sta_resp_write_bulk(&conn->out, strata_text(text));
}

void sim_guard_script(struct sim_conn *conn, const struct strata_bytes *argv, unsigned argc)
{
    struct sim_redis *redis = conn->node->redis;
    unsigned index = sim_entry_of(redis, argv[3]);
    uint64_t ttl_ms = SIM_NO_TTL;
    char state[STATE_CAP];
    if (!sim_cluster_serves(conn, index))
        return;
    sim_tracking_read(conn, index);
    state_of(sim_entry_look(redis, index), state);
    unsigned i = 7;
    while (i < argc && !is_text(argv[i], state))
        i++;
    if (i == argc) {
        write_seen(conn, &redis->entries[index], state);
        return;
    }
    if (argv[6].len > 0)
        (void)sta_number_parse(argv[6], INT64_MAX, &ttl_ms);
    if (is_text(argv[4], "del"))
        (void)sim_entry_remove_for(conn, index);
    else
        sim_entry_set_for(conn, index, argv[5], ttl_ms);
    conn->node->changed_by[index] = NULL;
    sta_resp_write_simple(&conn->out, "OK");
}
