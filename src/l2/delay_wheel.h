/* SPDX-License-Identifier: MIT
 *
 * Requests that wait a little before they are sent again: a wheel of buckets, each for a grain of
 * time. Adding and taking out are O(1), however many wait; a wait is at most a grain longer than
 * asked for, and never longer than STA_DELAY_WHEEL_SPAN_NS.
 * Those of one bucket leave in the order in which they came.
 * Pure: `now` is an argument. Memory: none beyond the struct; requests are linked.
 */
#ifndef STA_DELAY_WHEEL_H
#define STA_DELAY_WHEEL_H

#include <stdint.h>

#include "core/clock.h"
#include "l2/request.h"

#define STA_DELAY_WHEEL_BUCKETS  256u
#define STA_DELAY_WHEEL_GRAIN_NS (4 * STA_NS_MS)
#define STA_DELAY_WHEEL_SPAN_NS  ((STA_DELAY_WHEEL_BUCKETS - 1) * STA_DELAY_WHEEL_GRAIN_NS)

struct sta_delay_wheel {
    struct sta_list buckets[STA_DELAY_WHEEL_BUCKETS];
    uint64_t turned; /* grains since time began; all buckets up to and with it have been emptied */
    unsigned count;
};

void sta_delay_wheel_init(struct sta_delay_wheel *wheel, uint64_t now_ns);

/* Adds by the request's link. It comes out at `due_ns`, at the latest a span from now. */
void sta_delay_wheel_add(struct sta_delay_wheel *wheel, struct sta_request *request,
                         uint64_t due_ns, uint64_t now_ns);

/* Moves those that are due to the end of `out`, earliest first. */
void sta_delay_wheel_take_due(struct sta_delay_wheel *wheel, uint64_t now_ns, struct sta_list *out);

/* Moves all of them. */
void sta_delay_wheel_take_all(struct sta_delay_wheel *wheel, struct sta_list *out);

/* When something is due next; STA_NEVER where nothing waits. */
uint64_t sta_delay_wheel_next_ns(const struct sta_delay_wheel *wheel);

#endif
