/* SPDX-License-Identifier: MIT
 *
 * See flight.h. One lock for all: it is taken by calls that miss L1 and go on to Redis or to a
 * loader, which cost a thousand times as much.
 */
#include "cache/flight.h"

#include <stdlib.h>
#include <string.h>

#include "cache/value.h"
#include "core/clock.h"
#include "strata/status.h"

#define NOBODY ((pthread_t)0)

struct sta_flight {
    /* Fixed at creation. */
    uint64_t hash;
    size_t key_len;

    /* Guarded by the table's lock. */
    pthread_t runner; /* 0: nobody yet */
    bool queued;      /* and it waits for a thread of the pool */
    uint64_t generation;
    struct sta_list link;         /* in its bucket; in no list once it is overtaken */
    struct sta_list link_running; /* in under_way, until it ends */
    struct sta_flight *waits_for; /* its runner waits for that one */
    unsigned holders;             /* the runner until it ends, and who waits or listens */
    struct sta_list listeners;
    bool ended;
    int status, failure;
    struct strata_value value; /* shared */
    pthread_cond_t over;

    uint8_t key[];
};

void sta_flight_init(struct sta_flights *flights)
{
    pthread_mutex_init(&flights->lock, NULL);
    memset(flights->runs, 0, sizeof flights->runs);
    flights->looks = 0;
    for (unsigned i = 0; i < STA_FLIGHTS_BUCKETS; i++) {
        sta_list_init(&flights->buckets[i]);
        sta_list_init(&flights->under_way[i]);
    }
}

void sta_flight_fini(struct sta_flights *flights)
{
    pthread_mutex_destroy(&flights->lock);
}

static struct sta_list *bucket_of(struct sta_flights *flights, uint64_t hash)
{
    return &flights->buckets[hash % STA_FLIGHTS_BUCKETS];
}

static bool is_of(const struct sta_flight *flight, const struct sta_key *key)
{
    return flight->hash == key->hash && flight->key_len == key->bytes.len &&
           memcmp(flight->key, key->bytes.data, key->bytes.len) == 0;
}

static struct sta_flight *find_locked(struct sta_flights *flights, const struct sta_key *key)
{
    struct sta_list *bucket = bucket_of(flights, key->hash);
    for (struct sta_list *node = bucket->next; node != bucket; node = node->next) {
        struct sta_flight *flight = STA_CONTAINER(node, struct sta_flight, link);
        flights->looks++;
        if (is_of(flight, key))
            return flight;
    }
    return NULL;
}

/* ---- who runs what ---- */

static size_t *runs_of(struct sta_flights *flights, pthread_t thread)
{
    return &flights->runs[((uint64_t)thread * UINT64_C(0x9e3779b97f4a7c15) >> 32) %
                          STA_FLIGHTS_RUNNERS];
}

static void set_runner_locked(struct sta_flights *flights, struct sta_flight *flight,
                              pthread_t thread)
{
    if (flight->runner != NOBODY)
        --*runs_of(flights, flight->runner);
    if (thread != NOBODY)
        ++*runs_of(flights, thread);
    flight->runner = thread;
}

/* Whether `thread` runs a load of this key, overtaken or not. */
static bool runs_locked(struct sta_flights *flights, const struct sta_key *key, pthread_t thread)
{
    if (thread == NOBODY || *runs_of(flights, thread) == 0)
        return false;
    struct sta_list *all = &flights->under_way[key->hash % STA_FLIGHTS_BUCKETS];
    for (struct sta_list *node = all->next; node != all; node = node->next) {
        struct sta_flight *flight = STA_CONTAINER(node, struct sta_flight, link_running);
        flights->looks++;
        if (is_of(flight, key) && pthread_equal(flight->runner, thread))
            return true;
    }
    return false;
}

static struct sta_flight *create_locked(struct sta_flights *flights, const struct sta_key *key,
                                        uint64_t generation, pthread_t thread)
{
    struct sta_flight *flight = calloc(1, sizeof *flight + key->bytes.len);
    if (flight == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&flight->over, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sta_list_init(&flight->listeners);
    set_runner_locked(flights, flight, thread);
    flight->hash = key->hash;
    flight->generation = generation;
    flight->holders = 1;
    flight->key_len = key->bytes.len;
    memcpy(flight->key, key->bytes.data, key->bytes.len);
    sta_list_push_back(bucket_of(flights, key->hash), &flight->link);
    sta_list_push_back(&flights->under_way[key->hash % STA_FLIGHTS_BUCKETS], &flight->link_running);
    return flight;
}

/* Whether `thread` runs a load that this one waits for, or this one itself. */
static bool is_circle_locked(const struct sta_flight *flight, pthread_t thread)
{
    for (; flight != NULL && thread != NOBODY; flight = flight->waits_for) {
        if (pthread_equal(flight->runner, thread))
            return true;
    }
    return false;
}

int sta_flight_join(struct sta_flights *flights, const struct sta_key *key, uint64_t generation,
                    pthread_t thread, struct sta_flight **out)
{
    int status = STRATA_OK;
    pthread_mutex_lock(&flights->lock);
    struct sta_flight *flight = find_locked(flights, key);
    if (is_circle_locked(flight, thread) || runs_locked(flights, key, thread)) {
        status = STRATA_ERR_DEADLOCK;
    } else if (flight != NULL && flight->generation >= generation) {
        flight->holders++;
        status = STRATA_MORE;
    } else {
        if (flight != NULL)
            sta_list_remove(&flight->link);
        flight = create_locked(flights, key, generation, thread);
        status = flight != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
    }
    pthread_mutex_unlock(&flights->lock);
    if (status >= 0)
        *out = flight;
    return status;
}

int sta_flight_begin(struct sta_flights *flights, const struct sta_key *key, uint64_t generation,
                     struct sta_flight **out)
{
    int status = STRATA_SKIPPED;
    pthread_mutex_lock(&flights->lock);
    if (find_locked(flights, key) == NULL) {
        struct sta_flight *flight = create_locked(flights, key, generation, NOBODY);
        status = flight != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
        if (flight != NULL)
            *out = flight;
    }
    pthread_mutex_unlock(&flights->lock);
    return status;
}

void sta_flight_hand_over(struct sta_flights *flights, struct sta_flight *flight)
{
    pthread_mutex_lock(&flights->lock);
    set_runner_locked(flights, flight, NOBODY);
    flight->holders++;
    pthread_mutex_unlock(&flights->lock);
}

void sta_flight_take_back(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread)
{
    pthread_mutex_lock(&flights->lock);
    set_runner_locked(flights, flight, thread);
    flight->holders--;
    pthread_mutex_unlock(&flights->lock);
}

void sta_flight_queued(struct sta_flights *flights, struct sta_flight *flight)
{
    pthread_mutex_lock(&flights->lock);
    if (flight->runner == NOBODY && !flight->ended) {
        flight->queued = true;
        pthread_cond_broadcast(&flight->over);
    }
    pthread_mutex_unlock(&flights->lock);
}

void sta_flight_run_on(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread)
{
    pthread_mutex_lock(&flights->lock);
    set_runner_locked(flights, flight, thread);
    flight->queued = false;
    pthread_cond_broadcast(&flight->over);
    pthread_mutex_unlock(&flights->lock);
}

unsigned sta_flight_holders(struct sta_flights *flights)
{
    unsigned holders = 0;
    pthread_mutex_lock(&flights->lock);
    for (unsigned i = 0; i < STA_FLIGHTS_BUCKETS; i++) {
        struct sta_list *all = &flights->under_way[i];
        for (struct sta_list *node = all->next; node != all; node = node->next)
            holders += STA_CONTAINER(node, struct sta_flight, link_running)->holders;
    }
    pthread_mutex_unlock(&flights->lock);
    return holders;
}

static void let_go(struct sta_flights *flights, struct sta_flight *flight, unsigned holders)
{
    pthread_mutex_lock(&flights->lock);
    flight->holders -= holders;
    bool last = flight->holders == 0;
    pthread_mutex_unlock(&flights->lock);
    if (!last)
        return;
    sta_value_release(&flight->value);
    pthread_cond_destroy(&flight->over);
    free(flight);
}

void sta_flight_leave(struct sta_flights *flights, struct sta_flight *flight)
{
    let_go(flights, flight, 1);
}

/* All loads that `thread` runs stand still until `flight` ends; NULL: they go on. False: it runs
 * none. */
static bool note_locked(struct sta_flights *flights, pthread_t thread, struct sta_flight *flight)
{
    bool runs = false;
    for (unsigned i = 0; i<STA_FLIGHTS_BUCKETS && * runs_of(flights, thread)> 0; i++) {
        struct sta_list *all = &flights->under_way[i];
        for (struct sta_list *node = all->next; node != all; node = node->next) {
            struct sta_flight *running = STA_CONTAINER(node, struct sta_flight, link_running);
            flights->looks++;
            if (!pthread_equal(running->runner, thread))
                continue;
            running->waits_for = flight;
            runs = true;
        }
    }
    return runs;
}

/* For a turn of what is waited for; false: it is `deadline_ns`. */
static bool sleep_locked(struct sta_flights *flights, struct sta_flight *flight,
                         uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / STA_NS_SEC),
                             .tv_nsec = (long)(deadline_ns % STA_NS_SEC)};
    if (deadline_ns == STA_NEVER)
        return pthread_cond_wait(&flight->over, &flights->lock) == 0;
    return pthread_cond_timedwait(&flight->over, &flights->lock, &until) == 0;
}

static bool wait_begun_locked(struct sta_flights *flights, struct sta_flight *flight,
                              pthread_t thread, uint64_t deadline_ns)
{
    if (!note_locked(flights, thread, flight))
        return false;
    while (!flight->ended && !flight->queued && flight->runner == NOBODY &&
           sleep_locked(flights, flight, deadline_ns))
        continue;
    (void)note_locked(flights, thread, NULL);
    return flight->queued;
}

bool sta_flight_wait_begun(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread,
                           uint64_t deadline_ns)
{
    int cancelling;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    pthread_mutex_lock(&flights->lock);
    bool queued = wait_begun_locked(flights, flight, thread, deadline_ns);
    pthread_mutex_unlock(&flights->lock);
    (void)pthread_setcancelstate(cancelling, NULL);
    return queued;
}

/* What it ended with; a value is shared. */
static int result_locked(struct sta_flight *flight, int *failure, struct strata_value *value)
{
    *failure = flight->failure;
    if (flight->value.owner[1] != NULL)
        *value = sta_value_share(&flight->value);
    return flight->status;
}

static int wait_locked(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread,
                       uint64_t deadline_ns, int *failure, struct strata_value *value)
{
    /* Another may have begun to wait for us since we joined. */
    if (!flight->ended && is_circle_locked(flight, thread))
        return STRATA_ERR_DEADLOCK;
    (void)note_locked(flights, thread, flight);
    while (!flight->ended && sleep_locked(flights, flight, deadline_ns))
        continue;
    (void)note_locked(flights, thread, NULL);
    return flight->ended ? result_locked(flight, failure, value) : STRATA_ERR_TIMEOUT;
}

int sta_flight_wait(struct sta_flights *flights, struct sta_flight *flight, pthread_t thread,
                    uint64_t deadline_ns, int *failure, struct strata_value *value)
{
    int cancelling;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    pthread_mutex_lock(&flights->lock);
    int status = wait_locked(flights, flight, thread, deadline_ns, failure, value);
    pthread_mutex_unlock(&flights->lock);
    (void)pthread_setcancelstate(cancelling, NULL);
    let_go(flights, flight, 1);
    return status;
}

bool sta_flight_listen(struct sta_flights *flights, struct sta_flight *flight,
                       struct sta_flight_listener *listener)
{
    listener->value = (struct strata_value){0};
    pthread_mutex_lock(&flights->lock);
    bool ended = flight->ended;
    listener->listens = !ended;
    if (ended)
        listener->status = result_locked(flight, &listener->failure, &listener->value);
    else
        sta_list_push_back(&flight->listeners, &listener->link);
    pthread_mutex_unlock(&flights->lock);
    if (ended)
        let_go(flights, flight, 1);
    return !ended;
}

bool sta_flight_unlisten(struct sta_flights *flights, struct sta_flight *flight,
                         struct sta_flight_listener *listener)
{
    pthread_mutex_lock(&flights->lock);
    bool listens = listener->listens;
    if (listens)
        sta_list_remove(&listener->link);
    listener->listens = false;
    pthread_mutex_unlock(&flights->lock);
    if (listens)
        let_go(flights, flight, 1);
    return listens;
}

void sta_flight_overtake(struct sta_flights *flights, const struct sta_key *key)
{
    pthread_mutex_lock(&flights->lock);
    struct sta_flight *flight = find_locked(flights, key);
    if (flight != NULL)
        sta_list_remove(&flight->link);
    pthread_mutex_unlock(&flights->lock);
}

void sta_flight_overtake_all(struct sta_flights *flights)
{
    pthread_mutex_lock(&flights->lock);
    for (size_t i = 0; i < STA_FLIGHTS_BUCKETS; i++)
        while (sta_list_pop_front(&flights->buckets[i]) != NULL)
            ;
    pthread_mutex_unlock(&flights->lock);
}

bool sta_flight_is_current(struct sta_flights *flights, const struct sta_flight *flight,
                           uint64_t generation)
{
    pthread_mutex_lock(&flights->lock);
    bool current = !sta_list_empty(&flight->link) && flight->generation == generation;
    pthread_mutex_unlock(&flights->lock);
    return current;
}

void sta_flight_renew(struct sta_flights *flights, struct sta_flight *flight, uint64_t generation)
{
    pthread_mutex_lock(&flights->lock);
    flight->generation = generation;
    pthread_mutex_unlock(&flights->lock);
}

/* Gives each that listens what it is to be told. */
static unsigned give_locked(struct sta_flight *flight, struct sta_list *told)
{
    unsigned count = 0;
    struct sta_list *node;
    while ((node = sta_list_pop_front(&flight->listeners)) != NULL) {
        struct sta_flight_listener *listener =
            STA_CONTAINER(node, struct sta_flight_listener, link);
        listener->status = result_locked(flight, &listener->failure, &listener->value);
        listener->listens = false;
        sta_list_push_back(told, node);
        count++;
    }
    return count;
}

static void tell(struct sta_list *told)
{
    struct sta_list *node;
    while ((node = sta_list_pop_front(told)) != NULL) {
        struct sta_flight_listener *listener =
            STA_CONTAINER(node, struct sta_flight_listener, link);
        listener->over(listener);
    }
}

void sta_flight_end(struct sta_flights *flights, struct sta_flight *flight, int status, int failure,
                    struct strata_value *value)
{
    bool answered = status == STRATA_OK || status == STRATA_STALE;
    struct sta_list told;
    sta_list_init(&told);
    pthread_mutex_lock(&flights->lock);
    sta_list_remove(&flight->link);
    sta_list_remove(&flight->link_running);
    set_runner_locked(flights, flight, NOBODY);
    flight->status = status;
    flight->failure = failure;
    if (answered && flight->holders > 1) {
        if (sta_value_make_shared(value) == STRATA_OK)
            flight->value = sta_value_share(value);
        else
            flight->status = STRATA_ERR_NOMEM;
    }
    flight->ended = true;
    flight->queued = false;
    pthread_cond_broadcast(&flight->over);
    unsigned listeners = give_locked(flight, &told);
    pthread_mutex_unlock(&flights->lock);
    let_go(flights, flight, listeners + 1);
    tell(&told);
}
