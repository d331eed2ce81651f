/* SPDX-License-Identifier: MIT
 *
 * The hash of barriers (cache/barriers.h), and what the script of cache/barrier.c does with it. Its
 * fields lie in the value of its entry, one behind the other. As measured on Redis 7.0.15: a
 * script's reading is tracked for who sent it, its writing is told him behind its reply, once; to
 * BCAST it is nobody's own.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "resp/resp.h"
#include "sim/sim_redis_inside.h"
#include "strata/status.h"

#define ID_LEN     16u
#define FIELDS_CAP 65u

struct field {
    uint64_t deadline_ms;
    char id[ID_LEN + 1];
    char pattern[SIM_PATTERN_CAP];
};

struct hash {
    struct field fields[FIELDS_CAP];
    size_t count;
};

static struct hash hash_of(const struct sim_entry *entry)
{
    struct hash hash = {.count = entry->value.len / sizeof hash.fields[0]};
    if (hash.count > 0)
        memcpy(hash.fields, entry->value.data, entry->value.len);
    return hash;
}

static void put_text(char *out, size_t cap, struct strata_bytes text)
{
    assert(text.len < cap);
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
}

void sim_hash_tell(const struct sim_entry *entry)
{
    const struct hash hash = hash_of(entry);
    struct sim_barriers *barriers = sim_oracle_barriers(entry->redis->oracle);
    for (unsigned n = 0; n < sim_barriers_count(barriers); n++) {
        bool there = false;
        for (size_t i = 0; i < hash.count; i++)
            there |= strtoull(hash.fields[i].id, NULL, 16) == sim_barriers_id(barriers, n);
        sim_barriers_stored(barriers, n, there);
    }
}

void sim_hash_read(struct sim_conn *conn, struct strata_bytes name)
{
    struct sim_redis *redis = conn->node->redis;
    unsigned index = sim_entry_of(redis, name);
    if (!sim_cluster_serves(conn, index))
        return;
    const struct hash hash = hash_of(sim_entry_look(redis, index));
    sim_tracking_read(conn, index);
    sta_resp_write_header(&conn->out, STA_RESP_MAP, hash.count, 3);
    for (size_t i = 0; i < hash.count; i++) {
        const struct field *field = &hash.fields[i];
        char text[SIM_PATTERN_CAP + 24];
        (void)snprintf(text, sizeof text, "%" PRIu64 " %s", field->deadline_ms, field->pattern);
        sta_resp_write_bulk(&conn->out, strata_text(field->id));
        sta_resp_write_bulk(&conn->out, strata_text(text));
    }
}

/* Takes out its own field, and those of others whose deadline is over. */
static size_t take_out(struct hash *hash, struct strata_bytes id, uint64_t now_ms)
{
    size_t left = 0;
    for (size_t i = 0; i < hash->count; i++) {
        const struct field *field = &hash->fields[i];
        bool own = id.len == ID_LEN && memcmp(field->id, id.data, ID_LEN) == 0;
        if (!own && field->deadline_ms >= now_ms)
            hash->fields[left++] = *field;
    }
    size_t out = hash->count - left;
    hash->count = left;
    return out;
}

/* How long until the last one ends, but no longer than until now. */
static uint64_t left_ms(const struct sim_entry *entry, const struct hash *hash, uint64_t now_ms)
{
    uint64_t last_ms = now_ms;
    for (size_t i = 0; i < hash->count; i++)
        if (hash->fields[i].deadline_ms > last_ms)
            last_ms = hash->fields[i].deadline_ms;
    return (last_ms < entry->expire_ms ? last_ms : entry->expire_ms) - now_ms;
}

static void put_in(struct hash *hash, struct strata_bytes id, struct strata_bytes pattern,
                   uint64_t deadline_ms)
{
    struct field *field = &hash->fields[hash->count++];
    field->deadline_ms = deadline_ms;
    put_text(field->id, sizeof field->id, id);
    put_text(field->pattern, sizeof field->pattern, pattern);
}

static void store(struct sim_redis *redis, unsigned index, const struct hash *hash, uint64_t ttl_ms)
{
    redis->entries[index].is_hash = true;
    if (hash->count == 0)
        (void)sim_entry_remove(redis, index);
    else
        sim_entry_set(redis, index,
                      strata_bytes(hash->fields, hash->count * sizeof hash->fields[0]), ttl_ms);
}

void sim_hash_script(struct sim_conn *conn, const struct strata_bytes *argv)
{
    struct sim_redis *redis = conn->node->redis;
    unsigned index = sim_entry_of(redis, argv[3]);
    uint64_t ttl_ms = 0, most = 0, now_ms = sim_now_ms(redis->sim);
    if (!sim_cluster_serves(conn, index))
        return;
    const struct sim_entry *entry = sim_entry_look(redis, index);
    struct hash hash = hash_of(entry);
    bool drops = sta_number_parse(argv[5], INT64_MAX, &ttl_ms) != STRATA_OK;
    (void)sta_number_parse(argv[6], FIELDS_CAP - 1, &most);
    sim_tracking_read(conn, index);
    bool changed = take_out(&hash, argv[4], now_ms) > 0;
    bool full = !drops && hash.count >= most;
    if (!drops && !full)
        put_in(&hash, argv[4], argv[7], now_ms + ttl_ms);
    if (changed || (!drops && !full))
        store(redis, index, &hash, drops || full ? left_ms(entry, &hash, now_ms) : ttl_ms);
    conn->node->changed_by[index] = NULL;
    sta_resp_write_integer(&conn->out, !full);
}
