/* SPDX-License-Identifier: MIT
 *
 * What the modelled Redis holds. The oracle hears of each change of a key that it knows.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l2/slot.h"
#include "sim/sim_redis_inside.h"

static unsigned known_key(const struct sim_redis *redis, struct strata_bytes name)
{
    size_t prefix = strlen(redis->config.prefix);
    if (name.len < prefix || memcmp(name.data, redis->config.prefix, prefix) != 0)
        return SIM_NOBODY;
    for (unsigned i = 0; i < SIM_NAMES_MOST; i++) {
        struct strata_bytes key = sim_oracle_key(redis->oracle, i);
        if (key.len > 0 && key.len == name.len - prefix &&
            memcmp((const char *)name.data + prefix, key.data, key.len) == 0)
            return i;
    }
    return SIM_NOBODY;
}

unsigned sim_entry_of(struct sim_redis *redis, struct strata_bytes name)
{
    for (unsigned i = 0; i < redis->entry_count; i++)
        if (redis->entries[i].name_len == name.len &&
            memcmp(redis->entries[i].name, name.data, name.len) == 0)
            return i;
    assert(redis->entry_count < SIM_ENTRIES_MOST && name.len < SIM_NAME_CAP);
    struct sim_entry *entry = &redis->entries[redis->entry_count];
    memcpy(entry->name, name.data, name.len);
    entry->name_len = name.len;
    entry->slot = sta_slot_of(name);
    entry->key = known_key(redis, name);
    entry->expire_ms = SIM_NO_TTL;
    entry->redis = redis;
    return redis->entry_count++;
}

unsigned sim_entry_of_key(struct sim_redis *redis, unsigned key)
{
    char name[SIM_NAME_CAP];
    struct strata_bytes bare = sim_oracle_key(redis->oracle, key);
    size_t prefix = strlen(redis->config.prefix);
    memcpy(name, redis->config.prefix, prefix);
    memcpy(name + prefix, bare.data, bare.len);
    return sim_entry_of(redis, strata_bytes(name, prefix + bare.len));
}

static void oracle_tell(const struct sim_entry *entry)
{
    if (entry->key != SIM_NOBODY)
        sim_oracle_changed(entry->redis->oracle, entry->key, entry->value, entry->expire_ms);
    else if (entry->is_hash)
        sim_hash_tell(entry);
}

static void entry_tell(struct sim_redis *redis, unsigned index)
{
    oracle_tell(&redis->entries[index]);
    sim_tracking_changed(redis, index);
}

static void entry_drop(struct sim_entry *entry)
{
    free((void *)entry->value.data);
    entry->value = strata_bytes(NULL, 0);
    entry->expire_ms = SIM_NO_TTL;
}

struct sim_entry *sim_entry_look(struct sim_redis *redis, unsigned index)
{
    struct sim_entry *entry = &redis->entries[index];
    if (entry->value.data != NULL && entry->expire_ms < sim_now_ms(redis->sim)) {
        entry_drop(entry);
        entry_tell(redis, index);
    }
    return entry;
}

/* ---- expiry that nobody asks for ---- */

static void on_expiry(void *arg)
{
    struct sim_entry *entry = arg;
    struct sim_redis *redis = entry->redis;
    unsigned index = (unsigned)(entry - redis->entries);
    struct sim_node *node = sim_redis_owner(redis, index);
    if (!sim_node_is_up(node))
        return;
    (void)sim_entry_look(redis, index);
    sim_node_send(node);
}

static void entry_plan_expiry(struct sim_redis *redis, unsigned index)
{
    uint64_t late_ns = sim_below(redis->sim, redis->config.expiry_most_ns + 1);
    struct sim_entry *entry = &redis->entries[index];
    sim_at(redis->sim, (entry->expire_ms + 1) * STA_NS_MS + late_ns, on_expiry, entry);
}

void sim_entry_set(struct sim_redis *redis, unsigned index, struct strata_bytes value,
                   uint64_t ttl_ms)
{
    struct sim_entry *entry = sim_entry_look(redis, index);
    uint8_t *copy = malloc(value.len + 1);
    assert(copy != NULL);
    memcpy(copy, value.data, value.len);
    entry_drop(entry);
    entry->value = strata_bytes(copy, value.len);
    entry->expire_ms = ttl_ms == SIM_NO_TTL ? ttl_ms : sim_now_ms(redis->sim) + ttl_ms;
    entry_tell(redis, index);
    if (ttl_ms != SIM_NO_TTL)
        entry_plan_expiry(redis, index);
}

bool sim_entry_remove(struct sim_redis *redis, unsigned index)
{
    struct sim_entry *entry = sim_entry_look(redis, index);
    bool was = entry->value.data != NULL;
    entry_drop(entry);
    if (was)
        entry_tell(redis, index);
    return was;
}

static bool is_of_reader(const struct sim_conn *conn, unsigned index)
{
    return conn->reader != SIM_NOBODY && conn->node->redis->entries[index].key != SIM_NOBODY;
}

void sim_entry_set_for(struct sim_conn *conn, unsigned index, struct strata_bytes value,
                       uint64_t ttl_ms)
{
    struct sim_redis *redis = conn->node->redis;
    unsigned key = redis->entries[index].key;
    if (!is_of_reader(conn, index)) {
        sim_entry_set(redis, index, value, ttl_ms);
        return;
    }
    sim_oracle_comes(redis->oracle, conn->reader, key, value);
    sim_entry_set(redis, index, value, ttl_ms);
    sim_oracle_came(redis->oracle, conn->reader, key);
}

bool sim_entry_remove_for(struct sim_conn *conn, unsigned index)
{
    struct sim_redis *redis = conn->node->redis;
    unsigned key = redis->entries[index].key;
    if (!is_of_reader(conn, index))
        return sim_entry_remove(redis, index);
    sim_oracle_comes(redis->oracle, conn->reader, key, strata_bytes(NULL, 0));
    bool removed = sim_entry_remove(redis, index);
    sim_oracle_came(redis->oracle, conn->reader, key);
    sim_oracle_unlinked(redis->oracle, conn->reader, key);
    return removed;
}

void sim_entry_lose(struct sim_redis *redis, unsigned index)
{
    struct sim_entry *entry = sim_entry_look(redis, index);
    if (entry->value.data == NULL)
        return;
    entry_drop(entry);
    oracle_tell(entry);
}

void sim_keys_flush(struct sim_node *node)
{
    struct sim_redis *redis = node->redis;
    for (unsigned i = 0; i < redis->entry_count; i++)
        if (sim_redis_owner(redis, i) == node)
            sim_entry_lose(redis, i);
}
