/* SPDX-License-Identifier: MIT
 *
 * The way of reads that end with a loader, of one key or of many:
 *
 *     hit     L1 ---hit--> done
 *              '--miss--> FLIGHT --another loads it--> wait for it --> done
 *                            '---ours: L1 again -> L2 -> LOADER -> FILL --> done, for all that wait
 *
 * What a call asks for is a sta_load_call; each key that L1 did not answer is a strata_load, which
 * carries its state and, in the end, its answer. The flights that are a call's to run go this way
 * together (load_fly.c): one round trip to L2, one call of the loader for all that are missing
 * then, one round trip to keep what it brought. Each ends as soon as its answer is known. Who runs
 * them:
 *
 *     load.c             the calling thread, which waits for the flights of others after its own
 *     load_background.c  a thread of the pool: what is early, and calls with time-outs
 *     load_async.c       the loop asks L2, a thread of the pool does the rest; nobody waits
 *
 * So nobody who waits for a flight has one of his own that is not on its way, but for calls from
 * within a loader, and for these cache/flight.h knows of circles.
 *
 * Where the loader fails, each of those that wait and ask for it gets what was there before, as
 * long as it may be served (STRATA_STALE): what Redis has behind an envelope, or what L1 has, where
 * Redis is away; the others get the failure. A failed load of what is still in its time answers all
 * of them with that.
 *
 * No lock is held and nothing is led while the loader runs.
 */
#ifndef STA_LOAD_H
#define STA_LOAD_H

#include "cache/cache.h"
#include "cache/fill.h"
#include "cache/lease.h"
#include "strata/load.h"

/* What was there before, and is past its time. */
struct sta_load_previous {
    bool there;
    struct strata_bytes value;
    struct strata_value held; /* it, or the envelope that it is in; to be released */
    uint64_t fresh_until_ms;  /* until then it is still in its time: it is loaded early */
    uint64_t until_ms;        /* until then it may be served */
    uint64_t throttled_until_ms;
};

/* That a hit is to be loaded anew before its time is over. */
struct sta_load_early {
    bool due;
    uint64_t fresh_until_ms;
    struct strata_bytes key;
};

/* What is asked for, the same for all keys of a call. */
struct sta_load_call {
    /* The caller's. */
    struct sta_cache *cache;
    strata_loader loader;           /* of one key; NULL: */
    strata_loader_many loader_many; /* of several */
    void *arg;
    const struct strata_load_options *options;

    /* The room's own. */
    bool early; /* the values' time is not over: nobody waits for this load */
    uint64_t begun_ns;
    uint64_t deadline_ns; /* of waiting for others: by hard_timeout_ms, else patience_ns */
    uint64_t patience_ns; /* by wait_ms */
};

enum sta_load_answer { STA_LOAD_NOTHING, STA_LOAD_VALUE, STA_LOAD_NONE, STA_LOAD_ERROR };

/* One key. */
struct strata_load {
    const struct sta_load_call *call;
    struct strata_bytes key;

    /* STRATA_MORE: not known yet. STRATA_OK, STRATA_STALE: `value` is the answer. */
    int status;
    struct strata_value value;

    /* The loader's answer; a value is in `value`. */
    enum sta_load_answer answer;
    int error;
    uint64_t ttl_ms; /* 0: as the options say */

    /* The room's own. */
    uint64_t fresh_until_ms; /* early: for so long L1 has it */
    uint64_t load_us;        /* what the loader took */
    int there;               /* what L2 answered */
    bool gave_up;            /* its time is over, and nothing was loaded; or nothing can be */
    int failure;             /* what went wrong, as sta_flight_end() has it */
    bool own;                /* its flight is ours to run */
    bool leased;             /* `lease` is initialised */
    struct sta_load_previous previous;
    struct sta_read_found found;
    struct sta_fill fill; /* key, token and flight, from the start */
    struct sta_lease lease;
};

/* ---- the calls ---- */

/* One key from L1 alone. STRATA_OK with a value to release; STRATA_STALE likewise: it is past its
 * time, and a load has just failed; STRATA_MISS: a loader said that there is none; STRATA_MORE:
 * sta_load_run() has to find out; or why the key is refused. `options` may be NULL. `early` is set
 * where the hit is due for a load. */
int sta_load_hit(struct sta_cache *cache, struct strata_bytes key,
                 const struct strata_load_options *options, uint64_t now_ns,
                 struct strata_value *value, struct sta_load_early *early);

/* The same for many, whose memory is fetched together: each status is set; values of others than
 * hits stay as they are. What is due is loaded in the background. */
void sta_load_hits(const struct sta_load_call *call, const struct strata_bytes *keys, size_t count,
                   uint64_t now_ns, struct strata_value *values, int *statuses);

/* After hits that are due: loads them in the background, together, but for those that are under
 * way; or not at all, where there is too much to do. Keys and options are copied. */
void sta_load_refresh(const struct sta_load_call *call, const struct sta_load_early *early,
                      size_t count);

/* After STRATA_MORE, in each of the loads, by who may wait: each has its answer then. Of different
 * keys; the pointers are in another order afterwards. */
void sta_load_run(struct sta_load_call *call, struct strata_load **loads, size_t count);

/* The same for the keys of a batch whose status sta_load_hits() left at STRATA_MORE. */
void sta_load_run_many(struct sta_load_call *call, const struct strata_bytes *keys, size_t count,
                       struct strata_value *values, int *statuses);

/* What strata/load.h says. */
int sta_load_set(struct strata_load *load, struct strata_bytes value, uint64_t ttl_ms);
void sta_load_set_none(struct strata_load *load, uint64_t ttl_ms);
int sta_load_set_unchanged(struct strata_load *load, uint64_t ttl_ms);
int sta_load_set_error(struct strata_load *load, int error);

/* A write without L1: who asks from here on does not share a load that has begun. */
void sta_load_overtake(struct sta_cache *cache, struct strata_bytes key);

/* ---- the room's own ---- */

/* L1 once more, for who was told that it is not there: it is one get all the same. */
int sta_load_ask_l1_again(struct sta_cache *cache, const struct sta_key *key,
                          const struct strata_load_options *options, struct strata_value *value);

/* Begins the call's time. */
void sta_load_begin(struct sta_load_call *call);
bool sta_load_has_timeouts(const struct sta_load_call *call);
/* Until when it waits for a flight, its own or another's; and where there is an old value for who
 * asks for it (soft_timeout_ms). */
uint64_t sta_load_until_ns(const struct sta_load_call *call, bool own);
uint64_t sta_load_soft_ns(const struct sta_load_call *call);

/* Joins the key's flight as `thread` (0: as nobody; flight.h): STRATA_OK, it is ours to run;
 * STRATA_MORE, it is another's; or an error. */
int sta_load_join(struct strata_load *load, pthread_t thread);

/* By who runs the flights of these, and may wait: the whole way. Every flight has ended then. */
void sta_load_fly(struct strata_load **loads, size_t count);

/* The same in steps. Those that are open, which open() and settle() tell, come first of the
 * pointers afterwards.
 *   open     L1, once more
 *   asks_l2  whether there is an L2 to ask; where not, it answers STRATA_MISS
 *   judge    what L2's answer (load->there) settles
 *   go_on    all that is left; waits
 *   settle   ends the flights whose answer is known */
size_t sta_load_open(struct strata_load **loads, size_t count);
bool sta_load_asks_l2(const struct sta_cache *cache);
void sta_load_judge(struct strata_load *load);
void sta_load_go_on(struct strata_load **loads, size_t count);
size_t sta_load_settle(struct strata_load **loads, size_t count);

/* Ends the flights of all: who waits may try for himself, but for who cannot wait and is told why
 * by the load's `failure`; with STRATA_ERR_CLOSED all get that. */
void sta_load_abandon(struct strata_load **loads, size_t count, int error);

/* The loader, for all of them: each has its status. */
void sta_load_ask_loader(struct strata_load **loads, size_t count);

/* What was there before: in L2, or in L1; given back by forget(). */
void sta_load_find_in_l2(struct strata_load *load);
void sta_load_find_in_l1(struct strata_load *load);
void sta_load_forget_previous(struct strata_load *load);
/* Redis does not answer, a load has failed just now, and who runs this one takes the old value. */
bool sta_load_is_throttled(const struct strata_load *load);
/* The load has failed: for a while, nobody of this process tries it again where there is another
 * answer. */
void sta_load_throttle(struct strata_load *load);
/* What was there before becomes the answer, for who wants it instead of the `failure`; else
 * that. */
void sta_load_offer_previous(struct strata_load *load, int failure);
/* What this call answers: of what is stale, each decides for himself. */
void sta_load_choose(struct strata_load *load);

/* Lets a thread of the pool run flights that are ours: STRATA_OK, they will be ended, and are to be
 * waited for or left; else they are still ours. */
int sta_load_hand_over(const struct sta_load_call *call, struct strata_load **loads, size_t count);

/* From within a loader: this flight waits for a thread of the pool. Where there is none it is run
 * here. Threads that all wait for what waits for them would do so for good. */
void sta_load_run_waiting(struct sta_cache *cache, const struct sta_flight *flight);

#endif
