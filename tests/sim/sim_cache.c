/* SPDX-License-Identifier: MIT
 *
 * See sim_cache.h. Beside what the oracle checks there is one rule that has to do with L1 alone:
 * from the moment that an own write of a key begins, L1 does not answer with what it had before;
 * with what was read or written later it may.
 */
#include "sim/sim_cache.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/behind_inside.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "core/random.h"
#include "l2/redis_url.h"
#include "sim/sim_disk.h"
#include "sim/sim_net.h"
#include "sim/sim_purge.h"
#include "sim/sim_redis.h"
#include "strata/status.h"

#define L1_BYTES   (UINT64_C(8) << 20)
#define SHOWN_MOST 20 /* of a value, in the log */

/* What a journal is not told to sync at once is in its file so much later. */
#define JOURNAL_LATE_NS (10 * STA_NS_MS)

/* Since the last own write of the key began (calls are numbered). */
struct doubt {
    uint64_t since;
    bool over; /* a call that began later has ended well */
};

struct sim_cache {
    struct sim *sim;
    struct sim_oracle *oracle;
    unsigned reader;
    struct sim_cache_config config;
    struct sta_cache *cache;
    struct sta_log log;
    struct sta_redis_url url;
    char name[3];
    bool dead; /* what is told of its calls now is told nobody */
    struct sta_list calls, purges;
    uint64_t call_count;
    struct doubt doubts[SIM_NAMES_MOST];
    bool pending[SIM_NAMES_MOST]; /* a write of it is not for the queue, or not in it yet */
    struct sim_cache_numbers numbers;
};

/* More of a set with tags. */
struct tagged {
    struct call *call;
    struct strata_bytes names[SIM_TAGS_MOST];
    struct sta_tags_set set;
};

struct call {
    struct sta_list link;
    struct sim_cache *owner;
    uint64_t number;
    uint64_t from_ns;
    bool strict;
    size_t count;
    unsigned keys[SIM_BATCH_MOST];
    unsigned floors[SIM_BATCH_MOST];
    struct sim_told told;
    bool hits[SIM_BATCH_MOST]; /* were answered where they stood */
    bool owed[SIM_BATCH_MOST]; /* the cache owed them when it was asked */
    uint64_t known;            /* barriers, when it began */
    struct strata_bytes names[SIM_BATCH_MOST];
    struct strata_value values[SIM_BATCH_MOST];
    struct strata_item item;
    uint64_t serial;
    int statuses[SIM_BATCH_MOST];
    struct sta_read read;
    struct sta_write write;
    struct tagged *tagged; /* owned; NULL: it is none */
    struct sim_deleted deleted;
    unsigned owed_number; /* write-behind; 0: it is not for its queue */
};

/* Barriers that are in force in there. */
static uint64_t known_barriers(const struct sim_cache *cache)
{
    struct sim_barriers *barriers = sim_oracle_barriers(cache->oracle);
    uint64_t known = 0;
    for (unsigned n = 0; n < sim_barriers_count(barriers); n++) {
        if (sta_veil_find(&cache->cache->barriers.veil, sim_barriers_id(barriers, n)) == NULL)
            continue;
        known |= UINT64_C(1) << n;
        sim_barriers_known(barriers, n, cache->reader);
    }
    return known;
}

/* Write-behind: whether the reader owes this key. If not, it has heard of what it wrote there. */
static bool is_owed(const struct sim_cache *cache, unsigned key)
{
    struct sim_owed *owed = sim_oracle_owed(cache->oracle);
    if (owed == NULL || sim_owed_writer(owed, key) != cache->reader)
        return false;
    bool is_owed = sim_owed_is_owed(owed, cache->reader, key);
    if (!is_owed)
        sim_oracle_raise(cache->oracle, cache->reader, key, sim_owed_state(owed, key));
    return is_owed;
}

static struct call *call_create(struct sim_cache *cache, const unsigned *keys, size_t count)
{
    struct call *call = calloc(1, sizeof *call);
    assert(call != NULL && count <= SIM_BATCH_MOST);
    call->owner = cache;
    call->number = ++cache->call_count;
    call->from_ns = sim_now_ns(cache->sim);
    call->known = known_barriers(cache);
    call->told = sim_tags_told(sim_oracle_tags(cache->oracle), cache->reader);
    call->count = count;
    for (size_t i = 0; i < count; i++) {
        call->keys[i] = keys[i];
        call->owed[i] = is_owed(cache, keys[i]);
        call->floors[i] = sim_oracle_floor(cache->oracle, cache->reader, keys[i]);
        call->names[i] = sim_oracle_key(cache->oracle, keys[i]);
    }
    sta_list_push_back(&cache->calls, &call->link);
    return call;
}

static void call_destroy(struct call *call)
{
    sta_list_remove(&call->link);
    free((void *)call->item.value.data);
    free(call->tagged);
    free(call);
}

/* ---- reads ---- */

static void check_failure(const struct call *call, size_t i)
{
    call->owner->numbers.failed++;
    if (call->strict)
        sim_fail(call->owner->sim, "cache %u: %s cannot be read, though nothing is amiss: %s",
                 call->owner->reader, (const char *)call->names[i].data,
                 strata_status_text(call->statuses[i]));
}

/* Another call may have brought it: L1 has its answer before it ends, while others of its batch, or
 * what barriers there are, are waited for. */
static bool is_being_read(const struct call *by, unsigned key, uint64_t since)
{
    const struct sta_list *all = &by->owner->calls;
    for (const struct sta_list *at = all->next; at != all; at = at->next) {
        const struct call *call = STA_CONTAINER(at, const struct call, link);
        for (size_t i = 0; call != by && call->number > since && i < call->count; i++)
            if (call->keys[i] == key)
                return true;
    }
    return false;
}

/* L1 has what was set before the call ends: it waits until it is known what barriers there are. */
static bool is_being_set(const struct sim_cache *cache, unsigned key, struct strata_bytes value)
{
    for (struct sta_list *at = cache->calls.next; at != &cache->calls; at = at->next) {
        const struct call *call = STA_CONTAINER(at, struct call, link);
        struct strata_bytes set = call->item.value;
        if (call->keys[0] == key && set.len > 0 && set.len == value.len &&
            memcmp(set.data, value.data, set.len) == 0)
            return true;
    }
    return false;
}

static int shown(struct strata_bytes value)
{
    return value.len < SHOWN_MOST ? (int)value.len : SHOWN_MOST;
}

/* `hit`: it was answered where it stood. */
static void check_key(const struct call *call, size_t i, bool hit)
{
    struct sim_cache *cache = call->owner;
    struct doubt *doubt = &cache->doubts[call->keys[i]];
    const struct sim_answer answer = {
        .reader = cache->reader,
        .key = call->keys[i],
        .from_ns = call->from_ns,
        .floor = call->floors[i],
        .told = call->told,
        .known = call->known | (call->hits[i] ? 0 : known_barriers(cache)),
        .hit = hit,
        .value = call->values[i].bytes,
        .absent = call->statuses[i] == STRATA_MISS,
        .newest = call->strict,
    };
    sim_log(cache->sim, "c%u read %s: %.*s%s", cache->reader, (const char *)call->names[i].data,
            answer.absent ? 8 : shown(answer.value),
            answer.absent ? "(absent)" : (const char *)answer.value.data, hit ? " (L1)" : "");
    bool hidden = answer.absent && answer.known != 0;
    if (hit && !hidden && !doubt->over && !is_being_read(call, call->keys[i], doubt->since) &&
        !is_being_set(cache, call->keys[i], answer.value))
        sim_fail(cache->sim, "cache %u: %s answered from before an own write that is under way",
                 cache->reader, (const char *)call->names[i].data);
    doubt->over |= call->number > doubt->since;
    sim_oracle_answered(cache->oracle, &answer);
}

/* What is owed is answered where it stands. */
static void check_owed(const struct call *call, size_t i)
{
    const struct sim_cache *cache = call->owner;
    struct strata_bytes value = call->values[i].bytes;
    bool absent = call->statuses[i] == STRATA_MISS;
    sim_log(cache->sim, "c%u read %s: %.*s (owed)", cache->reader,
            (const char *)call->names[i].data, absent ? 8 : shown(value),
            absent ? "(absent)" : (const char *)value.data);
    if (call->statuses[i] != STRATA_OK && !absent)
        sim_fail(cache->sim, "cache %u: %s is owed, and not answered: %s", cache->reader,
                 (const char *)call->names[i].data, strata_status_text(call->statuses[i]));
    else
        sim_owed_answered(sim_oracle_owed(cache->oracle), call->keys[i],
                          absent ? 0 : sim_oracle_serial(cache->oracle, call->keys[i], value));
}

static void read_check(struct call *call, bool hit)
{
    struct sim_cache *cache = call->owner;
    for (size_t i = 0; i < call->count; i++) {
        cache->numbers.reads++;
        cache->numbers.hits += hit;
        if (call->owed[i]) {
            sta_value_release(&call->values[i]);
            continue;
        }
        if (call->statuses[i] < 0)
            check_failure(call, i);
        else
            check_key(call, i, hit);
        sta_value_release(&call->values[i]);
    }
    call_destroy(call);
}

static void on_read(struct sta_read *read)
{
    read_check(STA_CONTAINER(read, struct call, read), false);
}

void sim_cache_read(struct sim_cache *cache, const unsigned *keys, size_t count, bool strict)
{
    struct call *call = call_create(cache, keys, count);
    call->strict = strict;
    call->read = (struct sta_read){
        .cache = cache->cache,
        .keys = call->names,
        .count = count,
        .values = call->values,
        .statuses = call->statuses,
        .done = on_read,
    };
    bool over = sta_read_begin(&call->read, call->from_ns) != STRATA_MORE;
    for (size_t i = 0; i < count; i++) {
        call->hits[i] = call->statuses[i] != STRATA_MORE;
        if (call->owed[i])
            check_owed(call, i);
    }
    if (over)
        read_check(call, true);
    else
        sta_read_send(&call->read);
}

/* ---- writes ---- */

/* Write-behind has it, or will when there is room; what goes through is as other writes are. */
static void owed_begun(struct call *call)
{
    struct sim_cache *cache = call->owner;
    struct sim_owed *owed = sim_oracle_owed(cache->oracle);
    bool through = call->write.behind.through > 0;
    if (call->owed_number == 0)
        return;
    cache->pending[call->keys[0]] = through || call->write.behind.next == 0;
    cache->doubts[call->keys[0]].over |= !through;
    if (!through && call->statuses[0] == STRATA_OK)
        sim_owed_accepted(owed, call->keys[0], call->owed_number);
}

/* True: that is all; what Redis made of it is heard of later. */
static bool owed_ended(const struct call *call)
{
    struct sim_cache *cache = call->owner;
    bool through = call->write.behind.through > 0;
    if (call->owed_number == 0)
        return false;
    cache->pending[call->keys[0]] = false;
    sim_owed_ended(sim_oracle_owed(cache->oracle), call->keys[0], call->owed_number, through,
                   call->statuses[0]);
    return !through;
}

static void check_write(const struct call *call, enum sta_write_kind kind)
{
    struct sim_cache *cache = call->owner;
    if (call->strict && call->statuses[0] < 0)
        sim_fail(cache->sim, "cache %u: %s cannot be written, though nothing is amiss: %s",
                 cache->reader, (const char *)call->names[0].data,
                 strata_status_text(call->statuses[0]));
    else if (call->statuses[0] >= 0 && kind == STA_WRITE_SET)
        sim_oracle_wrote(cache->oracle, cache->reader, call->keys[0], call->serial);
    else if (call->statuses[0] >= 0)
        sim_oracle_deleted(cache->oracle, cache->reader, call->keys[0], call->from_ns);
}

static void write_over(struct call *call, enum sta_write_kind kind)
{
    struct sim_cache *cache = call->owner;
    struct doubt *doubt = &cache->doubts[call->keys[0]];
    int status = call->statuses[0];
    if (cache->dead) {
        call_destroy(call);
        return;
    }
    sim_log(cache->sim, "c%u wrote %s: %s", cache->reader, (const char *)call->names[0].data,
            strata_status_text(status));
    if (status >= 0) {
        cache->numbers.acknowledged++;
        doubt->over |= call->number >= doubt->since;
    }
    if (!owed_ended(call))
        check_write(call, kind);
    struct sim_deleted deleted = call->deleted;
    unsigned key = call->keys[0];
    call_destroy(call);
    if (deleted.run != NULL)
        deleted.run(deleted.arg, key, status);
}

static void on_write(struct sta_write *write)
{
    write_over(STA_CONTAINER(write, struct call, write), write->kind);
}

static void write_begin(struct call *call, enum sta_write_kind kind)
{
    struct sim_cache *cache = call->owner;
    cache->numbers.writes++;
    cache->doubts[call->keys[0]] = (struct doubt){.since = call->number};
    call->write = (struct sta_write){
        .cache = cache->cache,
        .kind = kind,
        .items = &call->item,
        .count = 1,
        .statuses = call->statuses,
        .done = on_write,
    };
    bool over = sta_write_begin(&call->write, call->from_ns) != STRATA_MORE;
    owed_begun(call);
    if (over)
        on_write(&call->write);
    else
        sta_write_send(&call->write);
}

/* One that waits for room, or has gone through, is waited for: which of two is the later one nobody
 * could say. */
static bool may_write(const struct sim_cache *cache, unsigned key)
{
    const struct sim_owed *owed = sim_oracle_owed(cache->oracle);
    return !cache->pending[key] && (owed == NULL || sim_owed_writer(owed, key) == cache->reader);
}

static void owed_begin(struct call *call)
{
    struct sim_owed *owed = sim_oracle_owed(call->owner->oracle);
    uint64_t ttl_ns = call->item.ttl_ms * STA_NS_MS;
    if (owed != NULL)
        call->owed_number =
            sim_owed_begin(owed, call->keys[0], call->serial,
                           ttl_ns == 0 ? STA_NEVER : sta_clock_after(call->from_ns, ttl_ns));
}

void sim_cache_set(struct sim_cache *cache, unsigned key, size_t len, uint64_t ttl_ms)
{
    if (!may_write(cache, key))
        return;
    struct call *call = call_create(cache, &key, 1);
    call->item.key = call->names[0];
    call->item.ttl_ms = ttl_ms;
    call->item.value = sim_oracle_value(cache->oracle, key, len, &call->serial);
    sim_log(cache->sim, "c%u set %.*s, %zu bytes", cache->reader, shown(call->item.value),
            (const char *)call->item.value.data, call->item.value.len);
    owed_begin(call);
    write_begin(call, STA_WRITE_SET);
}

static void tagged_go_on(struct call *call, int status)
{
    if (status == STRATA_MORE) {
        sta_tags_set_send(&call->tagged->set);
        return;
    }
    call->statuses[0] = status;
    /* Since when its SET was under way nobody has told us. */
    call->owner->doubts[call->keys[0]].over |= status >= 0;
    write_over(call, STA_WRITE_SET);
}

static void on_stepped(struct sta_tags_set *set)
{
    tagged_go_on(STA_CONTAINER(set, struct tagged, set)->call, sta_tags_set_step(set));
}

static void tagged_create(struct call *call, unsigned tags)
{
    struct sim_cache *cache = call->owner;
    struct tagged *tagged = calloc(1, sizeof *tagged);
    assert(tagged != NULL);
    call->tagged = tagged;
    tagged->call = call;
    for (unsigned i = 0; i < SIM_TAGS_MOST; i++)
        if ((tags >> i & 1) != 0)
            tagged->names[tagged->set.count++] = sim_oracle_tag(cache->oracle, i);
    tagged->set.cache = cache->cache;
    tagged->set.item = call->item;
    tagged->set.tags = tagged->names;
    tagged->set.stepped = on_stepped;
}

void sim_cache_set_tagged(struct sim_cache *cache, unsigned key, const struct sim_tagged *tagged)
{
    struct call *call = call_create(cache, &key, 1);
    call->strict = tagged->strict;
    call->item.key = call->names[0];
    call->item.ttl_ms = tagged->ttl_ms;
    call->item.value = sim_oracle_value(cache->oracle, key, tagged->len, &call->serial);
    sim_log(cache->sim, "c%u set %.*s, %zu bytes, tags %x", cache->reader, shown(call->item.value),
            (const char *)call->item.value.data, call->item.value.len, tagged->tags);
    cache->numbers.writes++;
    tagged_create(call, tagged->tags);
    tagged_go_on(call, sta_tags_set_begin(&call->tagged->set, call->from_ns));
}

static void delete_begin(struct call *call)
{
    struct sim_cache *cache = call->owner;
    call->item.key = call->names[0];
    sim_log(cache->sim, "c%u delete %s", cache->reader, (const char *)call->names[0].data);
    owed_begin(call);
    write_begin(call, STA_WRITE_DELETE);
}

void sim_cache_fell(struct sim_cache *cache, unsigned tag, bool strict)
{
    unsigned name = SIM_KEYS_MOST + tag;
    struct call *call = call_create(cache, &name, 1);
    call->strict = strict;
    delete_begin(call);
}

void sim_cache_delete(struct sim_cache *cache, unsigned key, struct sim_deleted deleted)
{
    if (!may_write(cache, key))
        return;
    struct call *call = call_create(cache, &key, 1);
    call->deleted = deleted;
    delete_begin(call);
}

/* ---- life ---- */

static void on_line(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct sim_cache *cache = arg;
    (void)level;
    sim_log(cache->sim, "c%u %s: %s", cache->reader, room, line);
}

static void plan_connection(struct sim_cache *cache, const char *name, struct sta_cache_config *out)
{
    const struct sim_cache_config *config = &cache->config;
    struct sta_connection_config *connection = &out->l2.router.node.connection;
    cache->url.endpoint =
        (struct sta_endpoint){.kind = STA_ENDPOINT_TCP, .port = SIM_PORT, .address = "127.0.0.1"};
    connection->url = &cache->url;
    connection->protocol = 3;
    connection->name = name;
    connection->jitter_seed = sta_random_seed();
    connection->connect_timeout_ns = config->budget_ms * STA_NS_MS;
    out->l2.router.node.max_connections = config->max_connections;
    out->l2.router.cluster = config->cluster;
}

static void cache_open(struct sim_cache *cache)
{
    const struct sim_cache_config *config = &cache->config;
    struct sta_cache_config wanted = {
        .l1_enabled = true,
        .l1 = {.max_bytes = L1_BYTES, .hash_seed = sta_random_seed()},
        .l1_ttl_ms = config->l1_ttl_ms,
        .cleanup_interval_ms = STA_NEVER,
        .l2_enabled = true,
        .l2_ttl_ms = STA_NEVER,
        .key_prefix = config->prefix,
        .budget_ms = config->budget_ms,
        .tracking = config->tracking,
        .max_staleness_ms = config->max_staleness_ms,
        .repair_rate = config->repair_rate,
        .write_through = !config->writes_behind,
        .write_behind = config->writes_behind,
        .behind = config->behind,
        .read_through = true,
        .null_values = config->null_values,
        .null_ttl_ms = config->l1_ttl_ms,
    };
    for (unsigned i = 0; i < SIM_NAMES_MOST; i++)
        cache->doubts[i].over = true;
    wanted.behind.journal = config->journals ? cache->name : NULL;
    plan_connection(cache, cache->name, &wanted);
    int status = sta_cache_create(&cache->cache, &wanted, &cache->log, NULL);
    assert(status == STRATA_OK);
    (void)status;
}

static void cache_close(struct sim_cache *cache)
{
    sta_cache_destroy(&cache->cache);
    assert(sta_list_empty(&cache->calls));
    while (!sta_list_empty(&cache->purges))
        sim_purge_abandon(cache->purges.next);
}

struct sim_cache *sim_cache_create(struct sim *sim, struct sim_oracle *oracle, unsigned reader,
                                   const struct sim_cache_config *config)
{
    struct sim_cache *cache = calloc(1, sizeof *cache);
    assert(cache != NULL);
    cache->sim = sim;
    cache->oracle = oracle;
    cache->reader = reader;
    cache->config = *config;
    cache->name[0] = 'c';
    cache->name[1] = (char)('0' + reader);
    sta_list_init(&cache->calls);
    sta_list_init(&cache->purges);
    sta_log_init(&cache->log, sim_is_heard(sim) ? on_line : NULL, cache, STRATA_LOG_DEBUG);
    cache_open(cache);
    return cache;
}

void sim_cache_destroy(struct sim_cache **at)
{
    struct sim_cache *cache = *at;
    *at = NULL;
    cache_close(cache);
    free(cache);
}

/* What was accepted before then is in its journal. */
static uint64_t kept_ns(const struct sim_cache *cache)
{
    if (!cache->config.journals)
        return 0;
    return cache->config.behind.sync == STA_JOURNAL_ALWAYS
               ? STA_NEVER
               : sim_now_ns(cache->sim) - JOURNAL_LATE_NS;
}

void sim_cache_restart(struct sim_cache *cache)
{
    struct sim_owed *owed = sim_oracle_owed(cache->oracle);
    sim_log(cache->sim, "c%u dies", cache->reader);
    if (owed != NULL)
        sim_owed_died(owed, cache->reader, kept_ns(cache));
    if (cache->config.journals)
        sim_disk_kill(sim_disk_current(), cache->name);
    cache->dead = true;
    cache_close(cache);
    cache->dead = false;
    memset(cache->pending, 0, sizeof cache->pending);
    sim_oracle_forget(cache->oracle, cache->reader);
    cache_open(cache);
    if (owed != NULL)
        sim_owed_reborn(owed, cache->reader);
}

void sim_cache_fill_disk(struct sim_cache *cache, uint64_t until_ns)
{
    sim_disk_fill(sim_disk_current(), cache->name, until_ns);
}

static const struct sta_behind_entry *owed_entry(const struct sim_cache *cache, unsigned key)
{
    const struct sta_behind *behind = cache->cache->behind;
    struct sta_key hashed = sta_behind_key(behind, sim_oracle_key(cache->oracle, key));
    return sta_behind_queue_find(behind->queue, &hashed);
}

struct sim_owed_queued sim_cache_queued(const struct sim_cache *cache, unsigned key)
{
    const struct sta_behind *behind = cache->cache->behind;
    const struct sta_behind_entry *entry = owed_entry(cache, key);
    return (struct sim_owed_queued){
        .owed = entry != NULL,
        .whole = behind->journal == NULL || sta_journal_is_whole(behind->journal),
        .based = entry != NULL && entry->guard != NULL && entry->guard->basis.count > 0,
    };
}

/* Values are told apart by their serials, deletes by their versions. */
static bool is_record_of(const struct sim_cache *cache, const struct sta_journal_record *record,
                         const struct sta_behind_entry *entry, unsigned key)
{
    struct strata_bytes name = sim_oracle_key(cache->oracle, key);
    if (!entry->is_delete)
        return record->type == STA_JOURNAL_SET &&
               sim_oracle_serial(cache->oracle, key, record->value) ==
                   sim_oracle_serial(cache->oracle, key, sta_behind_entry_value(entry));
    return record->type == STA_JOURNAL_DELETE && record->version == entry->version &&
           record->key.len == name.len && memcmp(record->key.data, name.data, name.len) == 0;
}

static bool is_on_disk(const struct sim_cache *cache, const struct sta_behind_entry *entry,
                       unsigned key)
{
    const struct sim_directory *directory = sim_disk_directory(sim_disk_current(), cache->name);
    for (size_t i = directory->count; i > 0; i--) {
        struct sta_journal_record record;
        struct strata_bytes rest = sta_buffer_bytes(&directory->segments[i - 1].bytes);
        rest = strata_bytes((const uint8_t *)rest.data + STA_JOURNAL_HEAD_LEN,
                            rest.len - STA_JOURNAL_HEAD_LEN);
        while (sta_journal_record_next(&rest, &record) == STRATA_OK) {
            if (is_record_of(cache, &record, entry, key))
                return true;
        }
    }
    return false;
}

/* Whether it is what the entry owes that comes, and nothing else that looks like it: one delete is
 * as another, so where an older one may be on its way still, nobody knows. */
static bool is_what_is_owed(const struct sim_cache *cache, const struct sta_behind_entry *entry,
                            unsigned key, uint64_t serial)
{
    if (serial != 0)
        return !entry->is_delete &&
               sim_oracle_serial(cache->oracle, key, sta_behind_entry_value(entry)) == serial;
    return entry->is_delete && entry->state == STA_BEHIND_FLYING &&
           entry->sent_version == entry->version && !entry->unsure;
}

/* The record of what is owed is not trimmed. */
bool sim_cache_saved(const struct sim_cache *cache, unsigned key, uint64_t serial)
{
    const struct sta_behind_entry *entry = owed_entry(cache, key);
    bool promised = cache->config.journals;
    return !promised || entry == NULL || !is_what_is_owed(cache, entry, key, serial) ||
           is_on_disk(cache, entry, key);
}

struct sim_cache_inside sim_cache_inside(struct sim_cache *cache)
{
    return (struct sim_cache_inside){cache->sim, cache->oracle, cache->cache, &cache->purges,
                                     cache->reader};
}

void sim_cache_deafen(struct sim_cache *cache, uint16_t port, uint64_t until_ns)
{
    sim_net_freeze(sim_net_current(), sta_cache_loop(cache->cache), port, SIM_TO_CLIENT, until_ns);
}

void sim_cache_mute(struct sim_cache *cache, uint16_t port, uint64_t until_ns)
{
    sim_net_freeze(sim_net_current(), sta_cache_loop(cache->cache), port, SIM_TO_SERVER, until_ns);
}

void sim_cache_stall(struct sim_cache *cache, uint64_t until_ns)
{
    sim_loop_stall(sta_cache_loop(cache->cache), until_ns);
}

const struct sim_cache_numbers *sim_cache_numbers(const struct sim_cache *cache)
{
    return &cache->numbers;
}
