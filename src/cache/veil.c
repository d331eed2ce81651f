/* SPDX-License-Identifier: MIT
 *
 * See veil.h. Exempt keys are in a table of their hashes, with linear probing: 64 bits, seeded, so
 * that nobody outside can choose two that are the same.
 */
#include "cache/veil.h"

#include <stdlib.h>
#include <string.h>

#include "cache/tags.h"
#include "core/key.h"

#define TABLE_SIZE ((size_t)2 * STA_VEIL_EXEMPT_MOST)

struct sta_veil_exempt {
    uint64_t hash; /* 0: free */
    uint64_t since_ns;
};

void sta_veil_init(struct sta_veil *veil, uint64_t seed, uint64_t linger_ns,
                   struct strata_bytes before)
{
    *veil = (struct sta_veil){.seed = seed, .linger_ns = linger_ns, .before = before};
    pthread_rwlock_init(&veil->lock, NULL);
    sta_list_init(&veil->patterns);
    sta_list_init(&veil->left);
}

static void forget(struct sta_veil *veil, struct sta_veil_pattern *pattern)
{
    sta_list_remove(&pattern->link);
    atomic_fetch_sub_explicit(&veil->count, 1, memory_order_relaxed);
    sta_glob_fini(&pattern->glob);
    free(pattern->exempt);
    free(pattern);
}

static void forget_all(struct sta_veil *veil, struct sta_list *patterns)
{
    while (!sta_list_empty(patterns))
        forget(veil, STA_CONTAINER(patterns->next, struct sta_veil_pattern, link));
}

void sta_veil_fini(struct sta_veil *veil)
{
    forget_all(veil, &veil->patterns);
    forget_all(veil, &veil->left);
    pthread_rwlock_destroy(&veil->lock);
}

/* ---- the one thread ---- */

struct sta_veil_pattern *sta_veil_find(struct sta_veil *veil, uint64_t id)
{
    for (struct sta_list *node = veil->patterns.next; node != &veil->patterns; node = node->next) {
        struct sta_veil_pattern *pattern = STA_CONTAINER(node, struct sta_veil_pattern, link);
        if (pattern->id == id)
            return pattern;
    }
    return NULL;
}

struct sta_veil_pattern *sta_veil_add(struct sta_veil *veil, uint64_t id,
                                      struct strata_bytes pattern)
{
    struct sta_veil_pattern *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->id = id;
    if (sta_glob_init_behind(&made->glob, veil->before, pattern) < 0) {
        free(made);
        return NULL;
    }
    pthread_rwlock_wrlock(&veil->lock);
    sta_list_push_back(&veil->patterns, &made->link);
    atomic_fetch_add_explicit(&veil->count, 1, memory_order_relaxed);
    pthread_rwlock_unlock(&veil->lock);
    return made;
}

void sta_veil_linger(struct sta_veil *veil, uint64_t linger_ns)
{
    pthread_rwlock_wrlock(&veil->lock);
    if (veil->linger_ns < linger_ns)
        veil->linger_ns = linger_ns;
    pthread_rwlock_unlock(&veil->lock);
}

static void prune_locked(struct sta_veil *veil, uint64_t now_ns)
{
    while (!sta_list_empty(&veil->left)) {
        struct sta_veil_pattern *eldest =
            STA_CONTAINER(veil->left.next, struct sta_veil_pattern, link);
        bool over = now_ns - eldest->left_ns > veil->linger_ns;
        if (!over && veil->left_count <= STA_VEIL_LEFT_MOST)
            break;
        if (!over)
            veil->forgot_ns = eldest->left_ns;
        veil->left_count--;
        forget(veil, eldest);
    }
}

void sta_veil_leave(struct sta_veil *veil, struct sta_veil_pattern *pattern, uint64_t now_ns)
{
    pthread_rwlock_wrlock(&veil->lock);
    sta_list_remove(&pattern->link);
    sta_list_push_back(&veil->left, &pattern->link);
    pattern->left_ns = now_ns;
    veil->left_count++;
    prune_locked(veil, now_ns);
    pthread_rwlock_unlock(&veil->lock);
}

void sta_veil_prune(struct sta_veil *veil, uint64_t now_ns)
{
    if (veil->left_count == 0)
        return;
    pthread_rwlock_wrlock(&veil->lock);
    prune_locked(veil, now_ns);
    pthread_rwlock_unlock(&veil->lock);
}

/* ---- any thread ---- */

static bool begins(struct strata_bytes text, struct strata_bytes with)
{
    return text.len >= with.len && (with.len == 0 || memcmp(text.data, with.data, with.len) == 0);
}

static bool is_own_name(const struct sta_veil *veil, struct strata_bytes key)
{
    size_t len = veil->before.len;
    return sta_tags_is_key(strata_bytes((const uint8_t *)key.data + len, key.len - len));
}

/* Its place, or the free one where it belongs. */
static struct sta_veil_exempt *place_of(struct sta_veil_exempt *table, uint64_t hash)
{
    size_t at = hash % TABLE_SIZE;
    while (table[at].hash != 0 && table[at].hash != hash)
        at = (at + 1) % TABLE_SIZE;
    return &table[at];
}

static uint64_t hash_of(const struct sta_veil *veil, struct strata_bytes key)
{
    return sta_key_make(key, veil->seed).hash | 1;
}

static bool is_exempt(const struct sta_veil *veil, const struct sta_veil_pattern *pattern,
                      struct strata_bytes key, uint64_t asked_ns)
{
    if (pattern->exempt == NULL)
        return false;
    const struct sta_veil_exempt *place = place_of(pattern->exempt, hash_of(veil, key));
    return place->hash != 0 && asked_ns >= place->since_ns;
}

static bool any_hides(const struct sta_veil *veil, const struct sta_list *patterns,
                      struct strata_bytes key, uint64_t asked_ns)
{
    for (const struct sta_list *node = patterns->next; node != patterns; node = node->next) {
        const struct sta_veil_pattern *pattern =
            STA_CONTAINER(node, const struct sta_veil_pattern, link);
        if ((pattern->left_ns == 0 || asked_ns <= pattern->left_ns) &&
            sta_glob_match(&pattern->glob, key) && !is_exempt(veil, pattern, key, asked_ns))
            return true;
    }
    return false;
}

bool sta_veil_hides_slow(struct sta_veil *veil, struct strata_bytes key, uint64_t asked_ns)
{
    if (!begins(key, veil->before) || is_own_name(veil, key))
        return false;
    pthread_rwlock_rdlock(&veil->lock);
    bool hides = (veil->forgot_ns != 0 && asked_ns <= veil->forgot_ns) ||
                 any_hides(veil, &veil->patterns, key, asked_ns) ||
                 any_hides(veil, &veil->left, key, asked_ns);
    pthread_rwlock_unlock(&veil->lock);
    return hides;
}

static void exempt_locked(const struct sta_veil *veil, struct sta_veil_pattern *pattern,
                          struct strata_bytes key, uint64_t now_ns)
{
    if (pattern->exempt == NULL)
        pattern->exempt = calloc(TABLE_SIZE, sizeof *pattern->exempt);
    if (pattern->exempt == NULL)
        return; /* it stays hidden */
    uint64_t hash = hash_of(veil, key);
    struct sta_veil_exempt *place = place_of(pattern->exempt, hash);
    if (place->hash != 0 || pattern->exempt_count == STA_VEIL_EXEMPT_MOST)
        return; /* known since before, or full */
    *place = (struct sta_veil_exempt){hash, now_ns};
    pattern->exempt_count++;
}

void sta_veil_exempt_slow(struct sta_veil *veil, struct strata_bytes key, uint64_t now_ns)
{
    pthread_rwlock_wrlock(&veil->lock);
    for (struct sta_list *node = veil->patterns.next; node != &veil->patterns; node = node->next) {
        struct sta_veil_pattern *pattern = STA_CONTAINER(node, struct sta_veil_pattern, link);
        if (sta_glob_match(&pattern->glob, key))
            exempt_locked(veil, pattern, key, now_ns);
    }
    pthread_rwlock_unlock(&veil->lock);
}
