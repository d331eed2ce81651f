/* SPDX-License-Identifier: MIT
 *
 * Userspace RCU's lock-free hash table: reads take no lock; what is replaced is freed after a
 * grace period. No eviction.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <urcu.h>
#include <urcu/rculfhash.h>
#include <xxhash.h>

#include "bench/peers/export.h"

struct cache {
    struct cds_lfht *table;
    pthread_key_t reader; /* its destructor says goodbye for a thread that ends */
};

struct node {
    struct cds_lfht_node link;
    struct rcu_head rcu;
    uint32_t key_len;
    uint32_t value_len;
    uint8_t bytes[]; /* key, value */
};

struct asked {
    const void *key;
    size_t key_len;
};

static __thread int registered;

static void leave(void *arg)
{
    (void)arg;
    registered = 0;
    rcu_unregister_thread();
}

static inline void enter(struct cache *cache)
{
    if (registered)
        return;
    rcu_register_thread();
    pthread_setspecific(cache->reader, cache);
    registered = 1;
}

uint32_t peer_flags(void)
{
    return PEER_THREADS;
}

const char *peer_name(void)
{
    return "urcu-lfht";
}

void *peer_create(uint64_t capacity)
{
    struct cache *cache = calloc(1, sizeof *cache);
    uint64_t buckets = 64;
    while (buckets < capacity)
        buckets *= 2;
    if (cache == NULL || pthread_key_create(&cache->reader, leave) != 0)
        abort();
    /* Without the accounting it grows at every long chain, and without end. */
    cache->table = cds_lfht_new(buckets, 64, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
    return cache;
}

static void free_node(struct rcu_head *rcu)
{
    free(caa_container_of(rcu, struct node, rcu));
}

void peer_destroy(void *at)
{
    struct cache *cache = at;
    struct cds_lfht_iter iter;
    struct node *node;
    enter(cache);
    cds_lfht_for_each_entry(cache->table, &iter, node, link)
    {
        rcu_read_lock();
        cds_lfht_del(cache->table, &node->link);
        rcu_read_unlock();
        call_rcu(&node->rcu, free_node);
    }
    rcu_barrier();
    cds_lfht_destroy(cache->table, NULL);
    leave(NULL);
    pthread_key_delete(cache->reader);
    free(cache);
}

static int matches(struct cds_lfht_node *at, const void *arg)
{
    const struct node *node = caa_container_of(at, struct node, link);
    const struct asked *asked = arg;
    return node->key_len == asked->key_len && memcmp(node->bytes, asked->key, asked->key_len) == 0;
}

int peer_get(void *at, const void *key, size_t key_len, void *out)
{
    struct cache *cache = at;
    struct asked asked = {key, key_len};
    struct cds_lfht_iter iter;
    int len = -1;
    enter(cache);
    rcu_read_lock();
    cds_lfht_lookup(cache->table, XXH3_64bits(key, key_len), matches, &asked, &iter);
    struct cds_lfht_node *found = cds_lfht_iter_get_node(&iter);
    if (found != NULL) {
        const struct node *node = caa_container_of(found, struct node, link);
        memcpy(out, node->bytes + node->key_len, node->value_len);
        len = (int)node->value_len;
    }
    rcu_read_unlock();
    return len;
}

void peer_set(void *at, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct cache *cache = at;
    struct asked asked = {key, key_len};
    struct node *node = malloc(sizeof *node + key_len + value_len);
    if (node == NULL)
        abort();
    node->key_len = (uint32_t)key_len;
    node->value_len = (uint32_t)value_len;
    memcpy(node->bytes, key, key_len);
    memcpy(node->bytes + key_len, value, value_len);
    enter(cache);
    rcu_read_lock();
    struct cds_lfht_node *old =
        cds_lfht_add_replace(cache->table, XXH3_64bits(key, key_len), matches, &asked, &node->link);
    rcu_read_unlock();
    if (old != NULL)
        call_rcu(&caa_container_of(old, struct node, link)->rcu, free_node);
}
