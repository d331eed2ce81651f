/* SPDX-License-Identifier: MIT
 *
 * The door of l1: the in-memory tier. Keys and values are bytes; an entry has a deadline on the
 * monotonic clock and a byte of flags that belong to the caller. Bounded in bytes and in entries.
 *
 * Coherence. Each key hashes to one of a fixed number of 64-bit generations. A token is a
 * generation as it was read at one moment. Whatever makes a key doubtful advances its
 * generation, and a value is stored only under a token that is still current; the check and the
 * store are one step. Two keys that share a generation cost each other a miss, never a stale
 * value.
 *
 *   a read     token() -> ask L2 -> fill(token)            refused if anything overtook it, or
 *                                   deliver(token)         where answers come by several ways
 *   a write    invalidate() -> send to L2 -> publish(token) on acknowledgement, or
 *                                            invalidate() where it failed or is unknown
 *   a push     invalidate()
 *
 * Threads: every call is safe from any thread at any time, except create and destroy.
 * Memory: values are copied in. A lease keeps its bytes readable until it is released, even
 * where the entry is replaced, evicted or the tier cleared meanwhile.
 * Time: `now_ms` is passed in (core/clock.h); deadlines are absolute, STA_NEVER means none.
 */
#ifndef STA_L1_H
#define STA_L1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/glob.h"
#include "core/key.h"
#include "l1/counters.h"
#include "l1/item.h"

struct sta_l1;

/* Bounds of its own for the keys with a prefix (the longest that fits counts). Such a namespace
 * never has more, and evicts among its own entries where it would. */
struct sta_l1_quota {
    struct strata_bytes prefix; /* at least a byte; copied */
    uint64_t max_bytes;         /* keys, values and headers of its entries; 0: no bound */
    uint64_t max_entries;       /* 0: no bound */
};

/* What of an entry that is there is not to be answered with for the time being; see
 * sta_l1_veil(). */
struct sta_l1_veil {
    /* Any thread, without a lock of the tier's. `key` is the one that is asked for. */
    bool (*hides)(void *arg, struct strata_bytes key, uint64_t now_ms);
    void *arg;
};

#define STA_L1_QUOTAS_MOST  64u
#define STA_L1_SOURCES_MOST 65535u

struct sta_l1_config {
    uint64_t max_bytes;   /* > 0; index, entries and headers together */
    uint64_t max_entries; /* 0: no bound but the bytes */
    uint64_t hash_seed;   /* of the keys that come in; see sta_l1_key() */
    const struct sta_l1_quota *quotas;
    size_t quota_count;
    uint32_t sources;        /* from which entries may come; see sta_l1_token_from() */
    struct sta_l1_veil veil; /* hides() NULL: there is none */
};

/* Under what a value may be stored: what was current when its reading began. */
struct sta_l1_token {
    uint64_t
        generation; /* 0: nothing has been set, published, delivered or invalidated under it yet */
    struct sta_item_stamp stamp;
};

/* What a hit hands out: borrowed until release(). Zeroed is "nothing leased". */
struct sta_l1_lease {
    struct strata_bytes value;
    uint64_t deadline_ms;
    uint8_t flags;
    bool suspect;                /* doubted or veiled; only peek() hands such out */
    struct sta_item_stamp stamp; /* under which it was stored: for who stores the same value anew */
    void *pin;                   /* l1's own */
};

/* What goes in. */
struct sta_l1_entry {
    struct strata_bytes value;
    uint64_t deadline_ms; /* at or before now: not stored */
    uint8_t flags;        /* the caller's; handed out again with a hit */
};

/* counters.h has what each counts; the misses are one of them each. */
struct sta_l1_statistics {
#define STA_L1_COUNTER_FIELD(name, help) uint64_t name;
    STA_L1_COUNTERS(STA_L1_COUNTER_FIELD)
#undef STA_L1_COUNTER_FIELD
    uint64_t misses;    /* their sum */
    uint64_t evictions; /* likewise */
    /* now: */
    uint64_t entries;
    uint64_t entries_small; /* of these: in small queues */
    uint64_t memory_bytes;  /* as bounded by max_bytes: the sum of the next six */
    uint64_t segment_bytes; /* keys, values, headers, and what became free among them */
    uint64_t block_bytes;   /* values that are too large for segments */
    uint64_t index_bytes;
    uint64_t policy_bytes;  /* ghosts and shadows */
    uint64_t fixed_bytes;   /* marks of what departed, sources */
    uint64_t claimed_bytes; /* kept ready by lanes */
    uint64_t entry_bytes;   /* of segments and blocks: what entries take */
    uint64_t held_bytes;    /* of segments: without an entry, kept only by leases and readers */
    uint64_t held_segments;
    uint64_t held_ms; /* for how long the oldest of them has been kept by one that keeps it still */
    uint64_t max_bytes;
    uint64_t max_entries;
};

/* STRATA_ERR_NOMEM or STRATA_ERR_INVALID: max_bytes is 0, a prefix is empty or there twice, or
 * there are more quotas or sources than the most. */
int sta_l1_create(struct sta_l1 **out, const struct sta_l1_config *config);

/* fork(): a child must not call anything on a tier of its parent, except nothing: other threads
 * may have held its locks. It may create its own. */

/* Takes NULL and handles that are NULL. No lease may be outstanding. */
void sta_l1_destroy(struct sta_l1 **l1);

/* A key hashed with this tier's seed. */
struct sta_key sta_l1_key(const struct sta_l1 *l1, struct strata_bytes bytes);

/* STRATA_OK with a lease that must be released, or STRATA_MISS with `lease` untouched. What is
 * found counts as a hit; with flags it does not, for L1 knows not what they mean: then the caller
 * says with count() what it was. */
int sta_l1_get(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
               struct sta_l1_lease *lease);
void sta_l1_release(struct sta_l1 *l1, struct sta_l1_lease *lease);

/* As get(), but leaves no trace: no count, no visit, and what has expired stays where it is. Sees
 * what is suspect, and says so in the lease. */
int sta_l1_peek(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                struct sta_l1_lease *lease);

/* Whether get() would answer; leaves no trace. */
bool sta_l1_has(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms);

/* A hit by copy: up to `cap` bytes of the value go to `buffer`. */
struct sta_l1_copy {
    void *buffer;
    size_t cap;
    size_t len; /* of the whole value; more than cap: only the first cap bytes were copied */
    uint64_t deadline_ms;
    uint8_t flags;
};

/* As get(), counts too, without a lease; the fastest way to a small value. STRATA_OK, or
 * STRATA_MISS: then `buffer`, len, deadline_ms and flags may have been written to, and say
 * nothing. */
int sta_l1_copy(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                struct sta_l1_copy *copy);

/* Of a get or copy that found an entry with flags: it was a hit, or one of the misses. */
void sta_l1_count(struct sta_l1 *l1, enum sta_l1_counter what);

/* Brings what a get of these keys would wait for into the processor's cache, all at once: a
 * batch of gets right after it takes a fraction of the time. Changes nothing. Keys beyond the
 * first STA_L1_PREFETCH_MOST are not looked at. */
#define STA_L1_PREFETCH_MOST 64u
void sta_l1_prefetch(const struct sta_l1 *l1, const struct sta_key *keys, size_t count);

/* The token under which a value that is read from L2 from now on may be filled. */
struct sta_l1_token sta_l1_token(const struct sta_l1 *l1, const struct sta_key *key);

/* The same for a value that comes from `source` (1 .. config.sources): its entry can be doubted
 * with all others of that source, and is suspect from then on: get() and copy() miss, peek() sees
 * it. */
struct sta_l1_token sta_l1_token_from(const struct sta_l1 *l1, const struct sta_key *key,
                                      uint16_t source);

/* Makes everything suspect that has come from the source, and that will come by a token that was
 * taken before; what comes by later ones is fine. Costs the same for any number of entries. */
void sta_l1_doubt(struct sta_l1 *l1, uint16_t source);

/* What came from the source is suspect after `until_ms`, unless the time is moved on before;
 * STA_NEVER (as at first): there is no such time. */
void sta_l1_trust(struct sta_l1 *l1, uint16_t source, uint64_t until_ms);

/* From `from_ms` on, gets and copies ask the veil, and miss what it hides; STA_NEVER (as at first):
 * they do not. Who asks at the same time may be on either side. */
void sta_l1_veil(struct sta_l1 *l1, uint64_t from_ms);

/* No token that was taken before is current any more, whatever its key. A fixed cost. */
void sta_l1_overtake(struct sta_l1 *l1);

/* Whether a key and value of so many bytes together may find room; what is larger is never
 * stored. */
bool sta_l1_takes(const struct sta_l1 *l1, size_t bytes);

/* Stores what a read brought, where `token` is still current. STRATA_OK; STRATA_SKIPPED where
 * it was overtaken, is past its deadline or too large; STRATA_ERR_NOMEM. Where the value is not
 * stored, what was there stays. */
int sta_l1_fill(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                struct sta_l1_token token, uint64_t now_ms);

/* As fill(), for who reads over several connections: advances the generation in any case, and where
 * the value is not stored, an entry with another value is removed. So nothing older than what is
 * being delivered is answered from here any more, by an entry or by a fill that is under way. */
int sta_l1_deliver(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                   struct sta_l1_token token, uint64_t now_ms);

/* Removes the entry and advances the generation, as one step; returns the new token. `removed`
 * (may be NULL) says whether there was a live entry. */
struct sta_l1_token sta_l1_invalidate(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                                      bool *removed);

/* Ends an own write that began with invalidate() = token and is acknowledged: advances the
 * generation in any case (reads that began during the write must not fill), and stores `entry`
 * where `token` was current until now, else removes what is there. Answers as fill(). */
int sta_l1_publish(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                   struct sta_l1_token token, uint64_t now_ms);

/* Stores without a condition and advances the generation: for a tier that is used alone.
 * STRATA_OK, STRATA_SKIPPED or STRATA_ERR_NOMEM; where the value is not stored, what was there
 * is removed. */
int sta_l1_set(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
               uint64_t now_ms);

/* Gives the key's entry another deadline; its value stays. STRATA_OK; STRATA_MISS: there is none;
 * STRATA_SKIPPED: no room for writing it anew, and it is gone. At or before now: it is gone. */
int sta_l1_set_deadline(struct sta_l1 *l1, const struct sta_key *key, uint64_t deadline_ms,
                        uint64_t now_ms);

/* Removes everything that was stored before the call, and advances every generation. Stores of
 * others go on meanwhile. */
void sta_l1_clear(struct sta_l1 *l1);

/* Appends keys of live entries to `names`: one step of an iteration that begins and ends with
 * *cursor 0. A key that is there from the first step to the last is named at least once, twice
 * only where the tier grew or shrank meanwhile. `match` (may be NULL) chooses among them. Each is
 * two bytes of length in the machine's order and the key; sta_l1_scan_next() takes them apart.
 * STRATA_OK, or STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG (the buffer's limit) with everything as it
 * was. A step looks at about a dozen entries. */
int sta_l1_scan(struct sta_l1 *l1, uint64_t *cursor, const struct sta_glob *match, uint64_t now_ms,
                struct sta_buffer *names);

/* The next name of `rest`, which goes on behind it; false at the end. */
bool sta_l1_scan_next(struct strata_bytes *rest, struct strata_bytes *name);

/* As sta_l1_scan() for all keys; and for each name a byte is appended to `heats`: how hot its entry
 * is, 0 to STA_L1_HEATS - 1, by how often it was read since it came to its place (three times
 * count), and of as often read ones by whether it has been promoted. */
#define STA_L1_HEATS 8u
int sta_l1_scan_heat(struct sta_l1 *l1, uint64_t *cursor, uint64_t now_ms, struct sta_buffer *names,
                     struct sta_buffer *heats);

/* Whether `entries` more, of `bytes` of keys and values in all, would be stored without an
 * eviction: in the tier, and where `key` is not NULL within the quota of its namespace. A hint:
 * others store, too. */
bool sta_l1_has_room(const struct sta_l1 *l1, const struct sta_key *key, uint64_t entries,
                     uint64_t bytes);

/* Removes expired entries, looking at up to `budget` entries from where the last sweep stopped;
 * returns how many it removed. */
uint64_t sta_l1_sweep(struct sta_l1 *l1, uint64_t now_ms, uint64_t budget);

/* New bounds; evicts down to them before it returns. STRATA_ERR_INVALID where max_bytes is 0. A
 * tier works best between a sixteenth and sixteen times the max_bytes it was created with, and
 * uses no more than the latter. */
int sta_l1_resize(struct sta_l1 *l1, uint64_t max_bytes, uint64_t max_entries);

/* New bounds for namespaces: the prefixes are those of the creation, each once, in any order; they
 * evict down to them before it returns. STRATA_ERR_INVALID, and nothing has changed, where they are
 * others. By one thread at a time. */
int sta_l1_set_quotas(struct sta_l1 *l1, const struct sta_l1_quota *quotas, size_t count);

void sta_l1_statistics(const struct sta_l1 *l1, struct sta_l1_statistics *out);

/* Re-derives every invariant of the structure; for tests and debug builds. Slow. */
bool sta_l1_valid(const struct sta_l1 *l1);

#endif
