/* SPDX-License-Identifier: MIT
 *
 * GLib: what C programs put together by hand. A GHashTable of nodes, a GQueue in the order of
 * use, one mutex around both; exact LRU. The key's hash is XXH3, as ours.
 */
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <xxhash.h>

#include "bench/peers/export.h"

struct cache {
    GMutex lock;
    GHashTable *table; /* of nodes, which are their own keys */
    GQueue recent;     /* the newest first */
    uint64_t capacity;
};

struct node {
    GList link; /* data: the node */
    const void *key;
    uint32_t key_len;
    uint32_t value_len;
    uint8_t bytes[]; /* key, value; a node that only asks has none */
};

static guint hash(gconstpointer at)
{
    const struct node *node = at;
    return (guint)XXH3_64bits(node->key, node->key_len);
}

static gboolean equal(gconstpointer a, gconstpointer b)
{
    const struct node *x = a;
    const struct node *y = b;
    return x->key_len == y->key_len && memcmp(x->key, y->key, x->key_len) == 0;
}

uint32_t peer_flags(void)
{
    return PEER_THREADS | PEER_EVICTS;
}

const char *peer_name(void)
{
    return "glib-lru";
}

void *peer_create(uint64_t capacity)
{
    struct cache *cache = g_new0(struct cache, 1);
    g_mutex_init(&cache->lock);
    g_queue_init(&cache->recent);
    cache->table = g_hash_table_new_full(hash, equal, NULL, g_free);
    cache->capacity = capacity;
    return cache;
}

void peer_destroy(void *at)
{
    struct cache *cache = at;
    g_hash_table_destroy(cache->table);
    g_mutex_clear(&cache->lock);
    g_free(cache);
}

int peer_get(void *at, const void *key, size_t key_len, void *out)
{
    struct cache *cache = at;
    struct node asked = {.key = key, .key_len = (uint32_t)key_len};
    int len = -1;
    g_mutex_lock(&cache->lock);
    struct node *node = g_hash_table_lookup(cache->table, &asked);
    if (node != NULL) {
        g_queue_unlink(&cache->recent, &node->link);
        g_queue_push_head_link(&cache->recent, &node->link);
        memcpy(out, node->bytes + node->key_len, node->value_len);
        len = (int)node->value_len;
    }
    g_mutex_unlock(&cache->lock);
    return len;
}

static void drop_locked(struct cache *cache, struct node *node)
{
    g_queue_unlink(&cache->recent, &node->link);
    g_hash_table_remove(cache->table, node); /* frees it */
}

void peer_set(void *at, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct cache *cache = at;
    struct node *node = g_malloc(sizeof *node + key_len + value_len);
    *node = (struct node){
        .key = node->bytes, .key_len = (uint32_t)key_len, .value_len = (uint32_t)value_len};
    node->link.data = node;
    memcpy(node->bytes, key, key_len);
    memcpy(node->bytes + key_len, value, value_len);
    g_mutex_lock(&cache->lock);
    struct node *old = g_hash_table_lookup(cache->table, node);
    if (old == NULL && cache->recent.length >= cache->capacity)
        old = cache->recent.tail->data;
    if (old != NULL)
        drop_locked(cache, old);
    g_hash_table_add(cache->table, node);
    g_queue_push_head_link(&cache->recent, &node->link);
    g_mutex_unlock(&cache->lock);
}
