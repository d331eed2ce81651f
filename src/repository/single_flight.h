/* SPDX-License-Identifier: MIT
 *
 * One statement for all that ask the same at the same time. "The same" is the key in the cache and
 * the version under which the answer will be kept: who knows of a newer version does not join a
 * statement that began under an older one.
 *
 * (strata_get_or_load() joins loads, too, but by key alone, and it leaves what is there under the
 * key where it is; here what is there is replaced when its version no longer holds.)
 *
 * Threads: any. A follower waits as long as its leader's statement takes.
 */
#ifndef STA_SINGLE_FLIGHT_H
#define STA_SINGLE_FLIGHT_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/buffer.h"
#include "core/list.h"
#include "strata/status.h"

/* Encoded rows that several hold. */
struct sta_answer {
    _Atomic unsigned refs;
    struct sta_buffer bytes;
};

/* Takes the buffer's content over; NULL: out of memory, and the buffer is as it was. One
 * reference. */
struct sta_answer *sta_single_flight_answer(struct sta_buffer *bytes);
void sta_single_flight_unref(struct sta_answer *answer);

struct sta_flights {
    pthread_mutex_t lock;
    pthread_cond_t landed;
    struct sta_list under_way; /* guarded by lock */
};

/* Lives on its leader's stack, and is left by its last follower before it ends. */
struct sta_flight {
    /* fixed while it is under way */
    struct strata_bytes key;
    uint64_t version;
    /* guarded by lock */
    struct sta_list link;
    unsigned followers; /* that have not read what landed */
    bool has_landed;
    int status;
    struct sta_answer *answer; /* borrowed from the leader */
    struct strata_error error;
};

void sta_single_flight_init(struct sta_flights *flights);
void sta_single_flight_fini(struct sta_flights *flights);

/* True: `mine` leads and must land. False: another led; *status, and where that is STRATA_OK a
 * reference in *answer. */
bool sta_single_flight_begin(struct sta_flights *flights, struct sta_flight *mine, int *status,
                             struct sta_answer **answer, struct strata_error *error);

/* The same without waiting: false: another leads, and nothing has been done. */
bool sta_single_flight_try(struct sta_flights *flights, struct sta_flight *mine);

/* Hands the outcome to all followers and returns when the last one has it. `error` may be NULL. */
void sta_single_flight_land(struct sta_flights *flights, struct sta_flight *mine, int status,
                            struct sta_answer *answer, const struct strata_error *error);

#endif
