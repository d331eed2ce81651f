/* SPDX-License-Identifier: MIT
 *
 * See lease.h.
 */
#include "cache/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/tiers.h"
#include "core/clock.h"
#include "core/random.h"
#include "l2/command.h"
#include "l2/slot.h"
#include "net/waiter.h"
#include "strata/status.h"

#define TRIES_MOST 300000u /* 16384 slots: one in 10^8 keys of the odd kind finds no name */

/* ---- who waits ---- */

void sta_lease_table_init(struct sta_leases *leases, uint64_t seed)
{
    pthread_mutex_init(&leases->lock, NULL);
    sta_list_init(&leases->watching);
    atomic_init(&leases->count, 0);
    leases->random = seed;
}

void sta_lease_table_fini(struct sta_leases *leases)
{
    pthread_mutex_destroy(&leases->lock);
}

static bool same(struct strata_bytes a, struct strata_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* `key` without data: all. */
static void wake(struct sta_leases *leases, struct strata_bytes key)
{
    /* Who begins to watch while we look asks Redis afterwards, and needs no word of this. */
    if (atomic_load(&leases->count) == 0)
        return;
    pthread_mutex_lock(&leases->lock);
    for (struct sta_list *node = leases->watching.next; node != &leases->watching;
         node = node->next) {
        struct sta_lease *lease = STA_CONTAINER(node, struct sta_lease, link);
        if (key.data != NULL && !same(key, lease->key) && !same(key, lease->name))
            continue;
        lease->woken = true;
        pthread_cond_signal(&lease->changed);
    }
    pthread_mutex_unlock(&leases->lock);
}

void sta_lease_forget(struct sta_leases *leases, struct strata_bytes key)
{
    wake(leases, key);
}

void sta_lease_doubt(struct sta_leases *leases)
{
    wake(leases, strata_bytes(NULL, 0));
}

/* ---- names ---- */

/* prefix open key close suffix */
static int write_name(struct sta_buffer *out, struct strata_bytes prefix, const char *open,
                      struct strata_bytes key, const char *close)
{
    const struct strata_bytes parts[] = {prefix, strata_text(open), key, strata_text(close),
                                         strata_text(STA_LEASE_SUFFIX)};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int status = sta_buffer_append(out, parts[i]);
        if (status != STRATA_OK)
            return status;
    }
    return STRATA_OK;
}

/* One try: true where it has the slot, or cannot be written; else nothing was appended. */
static bool try_name(struct sta_buffer *out, uint16_t slot, int *status)
{
    struct strata_bytes name = sta_buffer_bytes(out);
    if (*status != STRATA_OK || sta_slot_of(name) == slot)
        return true;
    sta_buffer_clear(out);
    return false;
}

/* A key with a tag keeps it; one without is the tag, prefix and all; where braces stand in the
 * way of that, a number is looked for whose slot is the right one. */
static int find_name(struct sta_buffer *out, struct strata_bytes prefix, struct strata_bytes key,
                     struct strata_bytes whole)
{
    uint16_t slot = sta_slot_of(whole);
    char open[32];
    int status = write_name(out, prefix, "", key, "");
    if (try_name(out, slot, &status))
        return status;
    status = write_name(out, prefix, "{", whole, "}");
    if (try_name(out, slot, &status))
        return status;
    for (unsigned i = 0; i < TRIES_MOST; i++) {
        (void)snprintf(open, sizeof open, "{%u}", i);
        status = write_name(out, prefix, open, key, "");
        if (try_name(out, slot, &status))
            return status;
    }
    return STRATA_ERR_INVALID;
}

int sta_lease_name(struct sta_buffer *out, struct strata_bytes prefix, struct strata_bytes key,
                   bool cluster)
{
    struct sta_buffer whole, name;
    if (!cluster)
        return write_name(out, prefix, "", key, "");
    sta_buffer_init(&whole, SIZE_MAX);
    sta_buffer_init(&name, SIZE_MAX);
    int status = sta_buffer_append(&whole, prefix);
    if (status == STRATA_OK)
        status = sta_buffer_append(&whole, key);
    if (status == STRATA_OK)
        status = find_name(&name, prefix, key, sta_buffer_bytes(&whole));
    if (status == STRATA_OK)
        status = sta_buffer_append(out, sta_buffer_bytes(&name));
    sta_buffer_fini(&whole);
    sta_buffer_fini(&name);
    return status;
}

bool sta_lease_is_name(struct strata_bytes key)
{
    struct strata_bytes suffix = strata_text(STA_LEASE_SUFFIX);
    return key.len > suffix.len &&
           memcmp((const uint8_t *)key.data + key.len - suffix.len, suffix.data, suffix.len) == 0;
}

/* ---- a lease ---- */

static void choose_word(struct sta_lease *lease)
{
    struct sta_leases *leases = &lease->cache->leases;
    pthread_mutex_lock(&leases->lock);
    uint64_t high = sta_random_next(&leases->random), low = sta_random_next(&leases->random);
    pthread_mutex_unlock(&leases->lock);
    (void)snprintf(lease->word, sizeof lease->word, "%016" PRIx64 "%016" PRIx64, high, low);
}

int sta_lease_init(struct sta_lease *lease, struct sta_cache *cache, struct strata_bytes key)
{
    *lease = (struct sta_lease){.cache = cache};
    sta_list_init(&lease->link);
    sta_buffer_init(&lease->names, SIZE_MAX);
    int status = sta_buffer_append(&lease->names, cache->prefix);
    if (status == STRATA_OK)
        status = sta_buffer_append(&lease->names, key);
    size_t key_len = sta_buffer_len(&lease->names);
    if (status == STRATA_OK)
        status = sta_lease_name(&lease->names, cache->prefix, key, sta_l2_is_cluster(cache->l2));
    if (status != STRATA_OK) {
        sta_buffer_fini(&lease->names);
        return status;
    }
    struct strata_bytes names = sta_buffer_bytes(&lease->names);
    lease->key = strata_bytes(names.data, key_len);
    lease->name = strata_bytes((const uint8_t *)names.data + key_len, names.len - key_len);
    choose_word(lease);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&lease->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return STRATA_OK;
}

void sta_lease_watch(struct sta_lease *lease)
{
    struct sta_leases *leases = &lease->cache->leases;
    pthread_mutex_lock(&leases->lock);
    if (!lease->watching) {
        lease->watching = true;
        sta_list_push_back(&leases->watching, &lease->link);
        atomic_fetch_add(&leases->count, 1);
    }
    lease->woken = false;
    pthread_mutex_unlock(&leases->lock);
}

static void unwatch(struct sta_lease *lease)
{
    struct sta_leases *leases = &lease->cache->leases;
    if (!lease->watching)
        return;
    pthread_mutex_lock(&leases->lock);
    sta_list_remove(&lease->link);
    atomic_fetch_sub(&leases->count, 1);
    pthread_mutex_unlock(&leases->lock);
}

void sta_lease_wait(struct sta_lease *lease, uint64_t deadline_ns)
{
    struct sta_leases *leases = &lease->cache->leases;
    uint64_t until_ns = lease->over_ns;
    if (!lease->tracked) {
        uint64_t poll_ms = (uint64_t)STA_LEASE_POLL_MS << (lease->polls < 8 ? lease->polls : 8);
        poll_ms = poll_ms < STA_LEASE_POLL_MOST_MS ? poll_ms : STA_LEASE_POLL_MOST_MS;
        uint64_t poll_ns = sta_clock_after(sta_clock_now_ns(), poll_ms * STA_NS_MS);
        until_ns = until_ns < poll_ns ? until_ns : poll_ns;
        lease->polls++;
    }
    until_ns = until_ns < deadline_ns ? until_ns : deadline_ns;
    struct timespec until = {.tv_sec = (time_t)(until_ns / STA_NS_SEC),
                             .tv_nsec = (long)(until_ns % STA_NS_SEC)};
    int waited = 0;
    pthread_mutex_lock(&leases->lock);
    while (!lease->woken && waited == 0)
        waited = pthread_cond_timedwait(&lease->changed, &leases->lock, &until);
    pthread_mutex_unlock(&leases->lock);
}

/* ---- asking Redis ---- */

struct asking {
    struct sta_command command;
    struct sta_waiter waiter;
    int status;
    int64_t integers[2]; /* the first two replies; no integer: -3 */
    bool tracked;
};

static void on_answered(struct sta_command *command, int status, struct strata_bytes replies)
{
    struct asking *asking = STA_CONTAINER(command, struct asking, command);
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    asking->status = status;
    asking->tracked = command->source > 0;
    for (size_t i = 0; i < 2 && sta_resp_next(&walk, &value) == STRATA_OK; i++) {
        if (value.type == STA_RESP_ERROR || value.type == STA_RESP_BULK_ERROR)
            asking->status = STRATA_ERR_SERVER;
        if (value.type == STA_RESP_INTEGER)
            asking->integers[i] = value.integer;
        if (i == 0 && value.type == STA_RESP_SIMPLE)
            asking->integers[0] = 1;
    }
    sta_waiter_signal(&asking->waiter);
}

static void ask(struct sta_lease *lease, struct asking *asking)
{
    struct sta_loop *loop = lease->cache->loop;
    sta_waiter_init(&asking->waiter, loop);
    sta_command_submit(
        &asking->command, lease->key,
        sta_clock_after(sta_clock_now_ns(), sta_live(&lease->cache->live.budget_ns)));
    sta_waiter_wait(&asking->waiter);
}

int sta_lease_take(struct sta_lease *lease, uint64_t ttl_ms)
{
    struct asking asking = {.integers = {-3, -3}};
    char ttl[24];
    (void)snprintf(ttl, sizeof ttl, "%" PRIu64, ttl_ms);
    const struct strata_bytes set[] = {strata_text("SET"),       lease->name,
                                       strata_text(lease->word), strata_text("NX"),
                                       strata_text("PX"),        strata_text(ttl)};
    const struct strata_bytes pttl[] = {strata_text("PTTL"), lease->name};
    sta_command_init(&asking.command, lease->cache->l2, on_answered);
    asking.status = sta_command_add(&asking.command, set, 6);
    if (asking.status == STRATA_OK)
        asking.status = sta_command_add(&asking.command, pttl, 2);
    if (asking.status == STRATA_OK)
        ask(lease, &asking);
    sta_command_fini(&asking.command);
    lease->doubtful |= asking.status == STRATA_ERR_TIMEOUT || asking.status == STRATA_ERR_LOST;
    if (asking.status != STRATA_OK)
        return asking.status;
    lease->held = asking.integers[0] == 1;
    lease->tracked = asking.tracked;
    /* Without a TTL it is nobody's of us: somebody has to delete it, or we look again. */
    uint64_t left_ms = asking.integers[1] >= 0 ? (uint64_t)asking.integers[1] + 1 : 1000;
    left_ms = asking.integers[1] == -2 ? 0 : left_ms;
    lease->over_ns = sta_clock_after(sta_clock_now_ns(), left_ms * STA_NS_MS);
    return lease->held ? STRATA_OK : STRATA_SKIPPED;
}

/* Where it is ours. Nobody is told where this fails: it ends by itself. */
static void drop(struct sta_lease *lease)
{
    static const char script[] =
        "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
    struct asking asking = {.integers = {-3, -3}};
    const struct strata_bytes eval[] = {strata_text("EVAL"), strata_text(script), strata_text("1"),
                                        lease->name, strata_text(lease->word)};
    sta_command_init(&asking.command, lease->cache->l2, on_answered);
    if (sta_command_add(&asking.command, eval, 5) == STRATA_OK)
        ask(lease, &asking);
    sta_command_fini(&asking.command);
    lease->held = false;
}

void sta_lease_fini(struct sta_lease *lease)
{
    unwatch(lease);
    if (lease->held || lease->doubtful)
        drop(lease);
    pthread_cond_destroy(&lease->changed);
    sta_buffer_fini(&lease->names);
}
