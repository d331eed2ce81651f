/* SPDX-License-Identifier: MIT
 *
 * See single_flight.h.
 */
#include "repository/single_flight.h"

#include <stdlib.h>
#include <string.h>

struct sta_answer *sta_single_flight_answer(struct sta_buffer *bytes)
{
    struct sta_answer *answer = malloc(sizeof *answer);
    if (answer == NULL)
        return NULL;
    atomic_init(&answer->refs, 1);
    answer->bytes = *bytes;
    sta_buffer_init(bytes, bytes->limit);
    return answer;
}

void sta_single_flight_unref(struct sta_answer *answer)
{
    /* Release what was read by this holder, acquire what was read by all others. */
    if (answer == NULL || atomic_fetch_sub_explicit(&answer->refs, 1, memory_order_acq_rel) != 1)
        return;
    sta_buffer_fini(&answer->bytes);
    free(answer);
}

void sta_single_flight_init(struct sta_flights *flights)
{
    (void)pthread_mutex_init(&flights->lock, NULL);
    (void)pthread_cond_init(&flights->landed, NULL);
    sta_list_init(&flights->under_way);
}

void sta_single_flight_fini(struct sta_flights *flights)
{
    (void)pthread_cond_destroy(&flights->landed);
    (void)pthread_mutex_destroy(&flights->lock);
}

static struct sta_flight *single_flight_find(struct sta_flights *flights,
                                             const struct sta_flight *mine)
{
    for (struct sta_list *at = flights->under_way.next; at != &flights->under_way; at = at->next) {
        struct sta_flight *flight = STA_CONTAINER(at, struct sta_flight, link);
        if (flight->version == mine->version && flight->key.len == mine->key.len &&
            memcmp(flight->key.data, mine->key.data, mine->key.len) == 0)
            return flight;
    }
    return NULL;
}

static void single_flight_lead(struct sta_flights *flights, struct sta_flight *mine)
{
    mine->followers = 0;
    mine->has_landed = false;
    sta_list_push_back(&flights->under_way, &mine->link);
}

bool sta_single_flight_try(struct sta_flights *flights, struct sta_flight *mine)
{
    (void)pthread_mutex_lock(&flights->lock);
    bool leads = single_flight_find(flights, mine) == NULL;
    if (leads)
        single_flight_lead(flights, mine);
    (void)pthread_mutex_unlock(&flights->lock);
    return leads;
}

bool sta_single_flight_begin(struct sta_flights *flights, struct sta_flight *mine, int *status,
                             struct sta_answer **answer, struct strata_error *error)
{
    (void)pthread_mutex_lock(&flights->lock);
    struct sta_flight *flight = single_flight_find(flights, mine);
    if (flight == NULL) {
        single_flight_lead(flights, mine);
        (void)pthread_mutex_unlock(&flights->lock);
        return true;
    }
    flight->followers++;
    while (!flight->has_landed)
        (void)pthread_cond_wait(&flights->landed, &flights->lock);
    *status = flight->status;
    if (flight->status == STRATA_OK) {
        atomic_fetch_add_explicit(&flight->answer->refs, 1, memory_order_relaxed);
        *answer = flight->answer;
    } else if (error != NULL) {
        *error = flight->error;
    }
    if (--flight->followers == 0)
        (void)pthread_cond_broadcast(&flights->landed);
    (void)pthread_mutex_unlock(&flights->lock);
    return false;
}

void sta_single_flight_land(struct sta_flights *flights, struct sta_flight *mine, int status,
                            struct sta_answer *answer, const struct strata_error *error)
{
    (void)pthread_mutex_lock(&flights->lock);
    sta_list_remove(&mine->link);
    mine->status = status;
    mine->answer = answer;
    if (error != NULL)
        mine->error = *error;
    mine->has_landed = true;
    if (mine->followers > 0)
        (void)pthread_cond_broadcast(&flights->landed);
    while (mine->followers > 0)
        (void)pthread_cond_wait(&flights->landed, &flights->lock);
    (void)pthread_mutex_unlock(&flights->lock);
}
