/* SPDX-License-Identifier: MIT
 *
 * A cache under test: the real one, with calls that are made and checked for it.
 */
#ifndef SIM_CACHE_H
#define SIM_CACHE_H

#include "cache/cache.h"
#include "sim/sim_oracle.h"

#define SIM_BATCH_MOST 4u

struct sim_cache;

struct sim_cache_config {
    const char *prefix;
    unsigned keys;
    bool cluster;
    enum sta_tracking_mode tracking;
    uint64_t max_staleness_ms;
    uint64_t repair_rate; /* 0: any */
    uint64_t budget_ms;
    uint64_t l1_ttl_ms;
    uint64_t max_connections; /* 1: no lane aside */
    bool null_values;
    bool writes_behind;
    bool journals; /* to a directory of its own */
    struct sta_behind_config behind;
};

struct sim_cache *sim_cache_create(struct sim *sim, struct sim_oracle *oracle, unsigned reader,
                                   const struct sim_cache_config *config);

/* What is under way ends. */
void sim_cache_destroy(struct sim_cache **cache);

/* Its process dies, and another takes its place. */
void sim_cache_restart(struct sim_cache *cache);

/* A read of `count` keys. `strict`: it must be answered, and with nothing but the newest. */
void sim_cache_read(struct sim_cache *cache, const unsigned *keys, size_t count, bool strict);

/* A set of a new value of `len` bytes. ttl_ms 0: none is asked for. */
void sim_cache_set(struct sim_cache *cache, unsigned key, size_t len, uint64_t ttl_ms);

/* The same with these tags (a bit for each). `strict`: it must go well. */
struct sim_tagged {
    unsigned tags;
    size_t len;
    uint64_t ttl_ms;
    bool strict;
};
void sim_cache_set_tagged(struct sim_cache *cache, unsigned key, const struct sim_tagged *tagged);

/* Who wants to know what became of a delete; run NULL: nobody. */
struct sim_deleted {
    void (*run)(void *arg, unsigned key, int status);
    void *arg;
};
void sim_cache_delete(struct sim_cache *cache, unsigned key, struct sim_deleted deleted);

/* As strata_invalidate_tag() does it. `strict`: as above. */
void sim_cache_fell(struct sim_cache *cache, unsigned tag, bool strict);

/* How far its queue is with a key. */
struct sim_owed_queued sim_cache_queued(const struct sim_cache *cache, unsigned key);

/* As sim_owed_events.saved(). */
bool sim_cache_saved(const struct sim_cache *cache, unsigned key, uint64_t serial);

/* For who drives what is inside (sim_purge.c). */
struct sim_cache_inside {
    struct sim *sim;
    struct sim_oracle *oracle;
    struct sta_cache *cache;
    struct sta_list *purges; /* that it has under way */
    unsigned reader;
};
struct sim_cache_inside sim_cache_inside(struct sim_cache *cache);

/* Its journal finds no room until then. */
void sim_cache_fill_disk(struct sim_cache *cache, uint64_t until_ns);

/* What a server at this port says comes to it no sooner than then. */
void sim_cache_deafen(struct sim_cache *cache, uint16_t port, uint64_t until_ns);

/* What it says to that server comes there no sooner than then, or than it has died and the server
 * has heard of it. */
void sim_cache_mute(struct sim_cache *cache, uint16_t port, uint64_t until_ns);

/* Its thread of the loop does not run until then. */
void sim_cache_stall(struct sim_cache *cache, uint64_t until_ns);

/* Answers out of L1, and all. */
struct sim_cache_numbers {
    uint64_t reads, hits, failed, writes, acknowledged;
};
const struct sim_cache_numbers *sim_cache_numbers(const struct sim_cache *cache);

#endif
