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
 * Threads: any. No call holds the lock while it runs anything of others.
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

struct sta_flight;

struct sta_flights {
    pthread_mutex_t lock;
    struct sta_list buckets[STA_FLIGHTS_BUCKETS]; /* guarded by lock: what may be joined */
    struct sta_list under_way;                    /* guarded by lock: all that have not ended */
};

void sta_flight_init(struct sta_flights *flights);

/* Nothing is under way and nobody waits any more. */
void sta_flight_fini(struct sta_flights *flights);

/* `generation`: the key's, read just now. STRATA_OK: the caller runs the load, as `thread`, and
 * calls end(). STRATA_MORE: he calls wait(), once. STRATA_ERR_DEADLOCK; STRATA_ERR_NOMEM. */
int sta_flight_join(struct sta_flights *flights, const struct sta_key *key, uint64_t generation,
                    pthread_t thread, struct sta_flight **flight);

/* As join(), but nobody waits: STRATA_OK, the caller or who he hands it to runs it; STRATA_SKIPPED:
 * somebody loads it already; STRATA_ERR_NOMEM. */
int sta_flight_begin(struct sta_flights *flights, const struct sta_key *key, uint64_t generation,
                     struct sta_flight **flight);

/* By who runs it: he does not, and wait()s for it as others do; who does says so by run_on(). */
void sta_flight_hand_over(struct sta_flights *flights, struct sta_flight *flight);

/* The same undone, where nobody took it. */
void sta_flight_take_back(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread);

/* The thread that runs it from here on. */
void sta_flight_run_on(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread);

/* Whether `thread` runs any, and so must not wait for what nobody runs yet. */
bool sta_flight_is_runner(struct sta_flights *flights, pthread_t thread);

/* How many run a load or wait for one; for tests. */
unsigned sta_flight_holders(struct sta_flights *flights);

/* Waits for the end of a flight that was joined, as `thread`, until `deadline_ns` at the latest:
 * its status (STRATA_MORE where that was it: nobody loads it any more, join anew), with a value to
 * release where that is STRATA_OK or STALE, and with STALE its `failure`; STRATA_ERR_TIMEOUT. No
 * cancellation point. */
int sta_flight_wait(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread,
                    uint64_t deadline_ns, int *failure, struct strata_value *value);

/* Nobody joins a flight of this key from here on that began before. */
void sta_flight_overtake(struct sta_flights *flights, const struct sta_key *key);

/* By who runs it. `generation`: the key's, read just now. */
bool sta_flight_is_current(struct sta_flights *flights, const struct sta_flight *flight,
                           uint64_t generation);

/* By who runs it, before he has begun to load: what made the key doubtful until `generation` was
 * read does not concern him. */
void sta_flight_renew(struct sta_flights *flights, struct sta_flight *flight, uint64_t generation);

/* By who runs it, once: hands status and value to all that wait, and leaves the caller with
 * his share of `value`. `failure`: with STRATA_STALE, what is to be answered by who does not want what
 * is stale; 0: nobody was asked. */
void sta_flight_end(struct sta_flights *flights, struct sta_flight *flight, int status, int failure,
                    struct strata_value *value);

#endif
