/* SPDX-License-Identifier: MIT
 *
 * Counters of writes under way, by key hash; see write_window.h.
 *
 * Memory order: begin() is followed by l1's invalidation, whose release of the key's generation
 * carries the raised count to every reader that takes a token from then on. end() releases; it
 * pairs with the acquire in admits_*(), so that who sees the lowered count also sees the
 * generation that was advanced before it. doubt_begin() and doubt_end() advance the epoch before
 * the count falls, in the same way.
 */
#include "daemon/write_window.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "strata/status.h"

#define COUNTERS 32768u

struct sta_write_window {
    _Atomic uint64_t epoch; /* advances when a doubt begins or ends */
    _Atomic uint32_t doubts;
    _Atomic uint32_t writes[COUNTERS];
};

int sta_write_window_create(struct sta_write_window **out)
{
    struct sta_write_window *window = calloc(1, sizeof *window);
    if (window == NULL)
        return STRATA_ERR_NOMEM;
    *out = window;
    return STRATA_OK;
}

void sta_write_window_destroy(struct sta_write_window **window)
{
    free(*window);
    *window = NULL;
}

static size_t counter_of(uint64_t hash)
{
    return (size_t)(hash >> 32) % COUNTERS;
}

void sta_write_window_begin(struct sta_write_window *window, uint64_t hash)
{
    atomic_fetch_add_explicit(&window->writes[counter_of(hash)], 1, memory_order_acq_rel);
}

void sta_write_window_end(struct sta_write_window *window, uint64_t hash)
{
    atomic_fetch_sub_explicit(&window->writes[counter_of(hash)], 1, memory_order_release);
}

void sta_write_window_doubt_begin(struct sta_write_window *window)
{
    atomic_fetch_add_explicit(&window->doubts, 1, memory_order_acq_rel);
    atomic_fetch_add_explicit(&window->epoch, 1, memory_order_acq_rel);
}

void sta_write_window_doubt_end(struct sta_write_window *window)
{
    atomic_fetch_add_explicit(&window->epoch, 1, memory_order_acq_rel);
    atomic_fetch_sub_explicit(&window->doubts, 1, memory_order_release);
}

uint64_t sta_write_window_epoch(const struct sta_write_window *window)
{
    return atomic_load_explicit(&window->epoch, memory_order_acquire);
}

/* No doubt now, and none began or ended since `epoch` was read. The doubts are looked at first:
 * who finds none finds the epoch of the last one that ended. */
static bool certain_since(const struct sta_write_window *window, uint64_t epoch)
{
    return atomic_load_explicit(&window->doubts, memory_order_acquire) == 0 &&
           atomic_load_explicit(&window->epoch, memory_order_acquire) == epoch;
}

bool sta_write_window_admits_fill(const struct sta_write_window *window, uint64_t hash,
                                  uint64_t epoch)
{
    return certain_since(window, epoch) &&
           atomic_load_explicit(&window->writes[counter_of(hash)], memory_order_acquire) == 0;
}

bool sta_write_window_admits_publish(const struct sta_write_window *window, uint64_t hash,
                                     uint64_t epoch)
{
    return certain_since(window, epoch) &&
           atomic_load_explicit(&window->writes[counter_of(hash)], memory_order_acquire) == 1;
}
