/* SPDX-License-Identifier: MIT
 *
 * Who loads a key, and who waits for it: of all that want a key at the same time one runs its
 * load, and the others share what it brings.
 *
 *     join --nobody loads it---------> STRATA_OK: run it, then end() ------.
 *      |---somebody loads it---------> STRATA_MORE: wait() <--status, value-'
 *      '---somebody, but overtaken---> STRATA_OK: a new load; the old one goes on for who waits
 *                                      for it, and for nobody else
 *
 * A load is overtaken where the key became doubtful since it began (l1/l1.h: its generation moved
 * on), so that who asks after an invalidation never gets what was loaded before it.
 * A load that needs, through whatever chain of other loads, the end of itself would never end; who
 * closes such a circle is told instead of waiting (STRATA_ERR_DEADLOCK).
 * Who waits is a thread, in wait(), or a listener, which is told when it is over and blocks nobody.
 * Threads: any; one that is 0 is nobody's. No call holds the lock while it runs anything of others.
 * Memory: one block for each load, which lives until the last who waits has left.
 */
#ifndef STA_FLIGHT_H
#define STA_FLIGHT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/key.h"
#include "core/list.h"
#include "strata/cache.h"

#define STA_FLIGHTS_BUCKETS 256u
#define STA_FLIGHTS_RUNNERS 64u

struct sta_flight;

/* Who is to be told: the caller's memory, from listen() until over(), or until unlisten() answered
 * true. */
struct sta_flight_listener {
    /* By whoever ends the flight. It must not block, and the listener may be gone when it
     * returns. */
    void (*over)(struct sta_flight_listener *listener);

    /* What end() was told; a value is to be released. STRATA_ERR_NOMEM: it could not be shared. */
    int status, failure;
    struct strata_value value;

    /* the table's, guarded by its lock */
    bool listens;
    struct sta_list link;
};

struct sta_flights {
    pthread_mutex_t lock;
    /* guarded by lock, by the key's hash: what may be joined, and all that have not ended */
    struct sta_list buckets[STA_FLIGHTS_BUCKETS];
    struct sta_list under_way[STA_FLIGHTS_BUCKETS];
    /* guarded by lock: of those, how many the threads run that share a number; a thread without any
     * is not looked for */
    size_t runs[STA_FLIGHTS_RUNNERS];
    uint64_t looks; /* guarded by lock: flights that were looked at; for tests */
};

void sta_flight_init(struct sta_flights *flights);

/* Nothing is under way and nobody waits any more. */
void sta_flight_fini(struct sta_flights *flights);

/* `generation`: the key's, read just now. STRATA_OK: the caller runs the load, as `thread`, and
 * calls end(). STRATA_MORE: he calls wait() or listen(), once. STRATA_ERR_DEADLOCK (not for
 * nobody); STRATA_ERR_NOMEM. */
int sta_flight_join(struct sta_flights *flights, const struct sta_key *key, uint64_t generation,
                    pthread_t thread, struct sta_flight **flight);

/* As join(), but nobody waits: STRATA_OK, the caller or who he hands it to runs it; STRATA_SKIPPED:
 * somebody loads it already; STRATA_ERR_NOMEM. */
int sta_flight_begin(struct sta_flights *flights, const struct sta_key *key, uint64_t generation,
                     struct sta_flight **flight);

/* By who runs it: he does not, and wait()s for it as others do, or listen()s, or leaves; who does
 * says so by run_on(). */
void sta_flight_hand_over(struct sta_flights *flights, struct sta_flight *flight);

/* The same undone, where nobody took it. */
void sta_flight_take_back(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread);

/* It waits for a thread of the pool, unless that has begun. Before the caller waits, listens or
 * leaves. */
void sta_flight_queued(struct sta_flights *flights, struct sta_flight *flight);

/* The thread that runs it from here on. */
void sta_flight_run_on(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread);

/* By who waits: he does not. */
void sta_flight_leave(struct sta_flights *flights, struct sta_flight *flight);

/* Before wait(). For a `thread` that runs another flight, waits until this one has begun or ended,
 * or waits for a thread of the pool, or until `deadline_ns`. True: it waits for a thread; who runs
 * others must not just wait for that, for all threads might. No cancellation point. */
bool sta_flight_wait_begun(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread,
                           uint64_t deadline_ns);

/* How many run a load or wait for one; for tests. */
unsigned sta_flight_holders(struct sta_flights *flights);

/* Waits for the end of a flight that was joined, as `thread`, until `deadline_ns` at the latest:
 * its status (STRATA_MORE where that was it: nobody loads it any more, join anew), with a value to
 * release where that is STRATA_OK or STALE, and with STALE its `failure`; STRATA_ERR_TIMEOUT. No
 * cancellation point. */
int sta_flight_wait(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread,
                    uint64_t deadline_ns, int *failure, struct strata_value *value);

/* In the place of wait(), and does not: true, over() will be called, unless unlisten() comes
 * before; false: it is over, and the listener has what came of it. */
bool sta_flight_listen(struct sta_flights *flights, struct sta_flight *flight,
                       struct sta_flight_listener *listener);
/* True: over() will not be called any more, and was not. */
bool sta_flight_unlisten(struct sta_flights *flights, struct sta_flight *flight,
                         struct sta_flight_listener *listener);

/* Nobody joins a flight of this key from here on that began before. */
void sta_flight_overtake(struct sta_flights *flights, const struct sta_key *key);

/* The same of all keys. */
void sta_flight_overtake_all(struct sta_flights *flights);

/* By who runs it. `generation`: the key's, read just now. */
bool sta_flight_is_current(struct sta_flights *flights, const struct sta_flight *flight,
                           uint64_t generation);

/* By who runs it, before he has begun to load: what made the key doubtful until `generation` was
 * read does not concern him. */
void sta_flight_renew(struct sta_flights *flights, struct sta_flight *flight, uint64_t generation);

/* By who runs it, once: hands status and value to all that wait, tells all that listen, and leaves
 * the caller with his share of `value`. `failure`: with STRATA_STALE, what is to be answered by who
 * does not want what is stale; 0: nobody was asked. With STRATA_MORE, what is to be answered by who
 * listens; 0: he joins anew. */
void sta_flight_end(struct sta_flights *flights, struct sta_flight *flight, int status, int failure,
                    struct strata_value *value);

#endif
