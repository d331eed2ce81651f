/* SPDX-License-Identifier: MIT
 *
 * The door of cache: where the two tiers become one. Reads and writes of one or many keys are
 * operations with a struct of their own, which the caller provides and which carries everything
 * that the operation needs; L1 hits finish on the spot, the rest goes to Redis and ends on the
 * loop's thread.
 *
 *   a read   L1 --all there--> answered at once
 *             '--some missing--> L2 -> FILL (under the token, on the loop) -> done()
 *   a write  INVALIDATE -> L2 -> PUBLISH or INVALIDATE (on the loop) -> done()
 *            with write-behind: queue and L1 -> done at once; L2 later (cache/behind.h)
 *
 * Either tier may be switched off; then its step answers nothing and costs nothing.
 * Threads: create and destroy by one; the rest from any thread.
 */
#ifndef STA_CACHE_H
#define STA_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/journal.h"
#include "cache/turns.h"
#include "core/log.h"
#include "core/sha1.h"
#include "l1/l1.h"
#include "l2/batch.h"
#include "strata/cache.h"
#include "strata/options.h"

struct sta_cache;
struct sta_prefixes;
struct sta_prefixes_config;
struct sta_timing;

/* The largest value that is written, bytes. */
#define STA_CACHE_VALUE_MAX ((size_t)64 << 20)

/* What becomes of a write that finds no room in the queue of write-behind. */
enum sta_behind_full { STA_BEHIND_BLOCK, STA_BEHIND_THROUGH, STA_BEHIND_REJECT };

/* The version guard (cache/guard.h). ON: a write is done when it is known what Redis has of its
 * key. */
enum sta_behind_guarding { STA_BEHIND_UNGUARDED, STA_BEHIND_GUARD_LAX, STA_BEHIND_GUARD_ON };

struct sta_behind_config {
    uint64_t interval_ms; /* from the first write of a key until it goes to Redis */
    uint64_t max_entries;
    uint64_t max_bytes;
    uint64_t rate; /* writes a second; 0: any */
    size_t batch;  /* keys that go together */
    uint64_t drain_ms;
    enum sta_behind_full full;
    enum sta_behind_guarding guard;
    const char *journal; /* a directory; NULL: none */
    enum sta_journal_sync sync;
};

struct sta_cache_config {
    bool l1_enabled;
    struct sta_l1_config l1;      /* hash_seed 0: from the kernel; the quotas are copied */
    uint64_t l1_ttl_ms;           /* STRATA_UNLIMITED: none */
    uint64_t cleanup_interval_ms; /* STRATA_UNLIMITED: no sweeps */

    bool l2_enabled;
    struct sta_l2_config l2;
    uint64_t l2_ttl_ms;
    const char *key_prefix; /* copied */
    uint64_t budget_ms;     /* of one call */

    enum sta_tracking_mode tracking; /* how L1 hears of what others write; OFF: by its TTL */
    uint64_t max_staleness_ms;
    uint64_t repair_rate; /* entries in doubt that are read again, a second; 0: any */
    enum strata_serve_stale serve_stale; /* ON, ERROR; anything else is OFF */

    bool write_through;
    bool write_behind; /* not with write_through, nor without l2 */
    struct sta_behind_config behind;
    bool read_through;
    bool null_values;
    uint64_t null_ttl_ms;

    bool invalidation; /* queued and by pattern; off: it is refused */
    uint64_t invalidation_batch_size;
    uint64_t invalidation_timeout_ms;

    /* While it is destroyed: the writes of so many keys are neither in Redis nor in a journal. May
     * be NULL. */
    void (*on_lost)(void *arg, uint64_t keys);
    void *on_lost_arg;

    bool timed; /* how long operations take is recorded (cache/timing.h) */
    const struct sta_prefixes_config *prefixes; /* NULL: not counted by prefix (cache/prefixes.h) */
};

/* STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM, STRATA_ERR_INVALID; STRATA_ERR_BUSY: another process has the
 * journal. `error` (may be NULL) is filled where there is more to say than the status does. `log`
 * may be NULL; outlives it. */
int sta_cache_create(struct sta_cache **out, const struct sta_cache_config *config,
                     struct sta_log *log, struct strata_error *error);

/* With write-behind: first waits for what is owed to Redis, no longer than drain_ms. Operations
 * under way end with STRATA_ERR_CLOSED, their done() called before this returns. */
void sta_cache_destroy(struct sta_cache **cache);

/* The loop on which done() is called. */
struct sta_loop *sta_cache_loop(struct sta_cache *cache);

/* Any thread but the loop's own. Waits until what was written before is in Redis, or overwritten
 * since: STRATA_OK, or STRATA_ERR_TIMEOUT. Without write-behind it always is. */
int sta_cache_flush(struct sta_cache *cache, uint64_t deadline_ns);

void sta_cache_statistics(struct sta_cache *cache, struct strata_statistics *out);

/* Takes from `config` what may change while the cache runs: l1.max_bytes and max_entries (where
 * these are lower, L1 has come down to them when this returns), l1_ttl_ms, cleanup_interval_ms,
 * l2_ttl_ms, budget_ms, serve_stale, repair_rate, null_values, null_ttl_ms, invalidation and its
 * batch_size and timeout_ms, and of `behind` all but batch, guard, journal and sync. Each holds for
 * what begins when this has returned. Any thread, one at a time. */
void sta_cache_adjust(struct sta_cache *cache, const struct sta_cache_config *config);

/* As sta_l1_set_quotas(); without L1 it is fine. */
int sta_cache_set_quotas(struct sta_cache *cache, const struct sta_l1_quota *quotas, size_t count);

/* As they are now. */
uint64_t sta_cache_budget_ns(const struct sta_cache *cache);
enum strata_serve_stale sta_cache_serve_stale(const struct sta_cache *cache);

/* As it was created, but for what belongs to the caller. What adjust() changes is not to be read
 * here. */
const struct sta_cache_config *sta_cache_config(const struct sta_cache *cache);

/* NULL where nothing is timed. */
const struct sta_timing *sta_cache_timing(const struct sta_cache *cache);

/* NULL where nothing is counted by prefix. */
struct sta_prefixes *sta_cache_prefixes(const struct sta_cache *cache);

/* NULL where it is switched off. */
struct sta_l2 *sta_cache_l2(struct sta_cache *cache);

/* NULL where it is switched off. */
struct sta_l1 *sta_cache_l1(struct sta_cache *cache);

/* Until when L1 keeps what has this TTL; 0: the default. */
uint64_t sta_cache_l1_deadline(const struct sta_cache *cache, uint64_t ttl_ms, uint64_t now_ms);

/* Removes everything from L1 (L2 is untouched). */
void sta_cache_clear_l1(struct sta_cache *cache);

/* STRATA_OK, or STRATA_ERR_INVALID / STRATA_ERR_TOO_BIG for what no cache takes. Reads and writes
 * ask this of each key and value themselves: one that is refused leaves the others alone. */
int sta_cache_check_key(struct strata_bytes key);
int sta_cache_check_value(struct strata_bytes value);

/* Whether invalidation is switched on. */
bool sta_cache_invalidates(const struct sta_cache *cache);

/* What strata_invalidate() says. */
int sta_cache_invalidate(struct sta_cache *cache, struct strata_bytes key, uint64_t now_ns);

/* What Redis has of a key, for who replaces it: as it is stored, head and all. */
struct sta_read_found {
    struct strata_value stored; /* to be released; nothing where Redis has none */
    uint64_t ttl_ms;            /* that is left of it; UINT64_MAX: no end */
    bool hidden;                /* by a barrier: it is to be replaced, and not to be used */
    bool aged;                  /* what is kept in L1 is to know its age (cache/aged.h) */
};

/* Who waits until what is known of barriers is young enough (cache/barriers.h). */
struct sta_barriers_waiter {
    struct sta_list link;
    uint64_t deadline_ns; /* and no longer than this */
    void (*known)(struct sta_barriers_waiter *waiter);
};

/* A read of `count` keys. Fill the first part, call begin(), and send() where it asks for it. */
struct sta_read {
    struct sta_cache *cache;
    const struct strata_bytes *keys; /* readable until the end */
    size_t count;
    struct strata_value *values;  /* count of them; to be released where STRATA_OK or STALE */
    int *statuses;                /* count of them */
    bool l1_asked;                /* sta_read_copy() did, just now: L1 is not asked again */
    struct sta_read_found *found; /* NULL, or count of them, which are filled */
    void (*done)(struct sta_read *read);

    /* the room's own */
    struct sta_batch batch;
    struct sta_read_missing *missing;
    size_t missing_count;
    size_t tagged; /* of these */
    struct sta_read_version *versions;
    void (*versions_over)(struct sta_batch *batch);
    struct sta_barriers_waiter known;
    uint64_t begun_ns;
    uint64_t answered_ns;   /* the tick in which Redis answered last; */
    uint64_t answered;      /*   how many keys in it, */
    uint64_t answered_hits; /*   and how many of these with a value: not counted yet */
    size_t suspects;        /* of the missing: L1 has an entry that is in doubt */
    struct sta_turn turn;   /* with some: in repair.h's queue, or on its way there */
    struct sta_task task;
};

/* STRATA_OK: every status is set, the read is over. STRATA_MORE: some keys need L2; call send(),
 * after which done() is called, once, on the loop (perhaps before send() returns). */
int sta_read_begin(struct sta_read *read, uint64_t now_ns);
void sta_read_send(struct sta_read *read);

/* One key, from L1 alone, to the copy's buffer: nothing is leased. STRATA_OK; STRATA_MISS: L1 knows
 * that there is none; STRATA_MORE: a read (l1_asked) has to find out; or why the key is refused.
 * Only STRATA_OK changes anything but the buffer's bytes. */
int sta_read_copy(struct sta_cache *cache, struct strata_bytes key, uint64_t now_ns,
                  struct sta_l1_copy *copy);

enum sta_write_kind {
    STA_WRITE_SET,
    STA_WRITE_DELETE /* `value` and `ttl_ms` of the items are not looked at */
};

/* Of a write that write-behind takes. */
struct sta_write_behind {
    size_t next;          /* the first item that has not been dealt with */
    uint64_t saved_at;    /* position in the journal that it waits for; 0: none */
    bool looks;           /* it waits until it is known what Redis has of its keys */
    size_t first_through; /* of these, the first */
    size_t through; /* items that go to Redis at once: their status is STRATA_MORE until then */
    uint8_t (*digests)[STA_SHA1_LEN]; /* of large values, count of them; NULL: none */
    struct sta_list link;
    struct sta_task task;
};

/* A write of `count` items. Fill the first part, call begin(), and send() where it asks for it. */
struct sta_write {
    struct sta_cache *cache;
    enum sta_write_kind kind;
    const struct strata_item *items; /* readable until the end */
    size_t count;
    uint8_t flags; /* L1's; not 0: the values are as they are to be stored */
    int *statuses; /* count of them */
    void (*done)(struct sta_write *write);

    /* the room's own */
    uint64_t l2_ttl_ms; /* of items that name none */
    struct sta_batch batch;
    struct sta_write_doubt *doubts;
    struct sta_write_behind behind;
    struct sta_barriers_waiter known;
    uint64_t begun_ns;
};

/* As sta_read_begin() and sta_read_send(). A write that began must be sent. */
int sta_write_begin(struct sta_write *write, uint64_t now_ns);
void sta_write_send(struct sta_write *write);

#endif
