/* SPDX-License-Identifier: MIT
 *
 * See delay_wheel.h. A bucket stands for all grains that have its number modulo their count; since
 * nothing is added further ahead than a span, it never holds those of two turns.
 */
#include "l2/delay_wheel.h"

static uint64_t grain_after(uint64_t ns)
{
    return ns / STA_DELAY_WHEEL_GRAIN_NS + 1;
}

static struct sta_list *wheel_bucket(struct sta_delay_wheel *wheel, uint64_t grain)
{
    return &wheel->buckets[grain % STA_DELAY_WHEEL_BUCKETS];
}

void sta_delay_wheel_init(struct sta_delay_wheel *wheel, uint64_t now_ns)
{
    for (unsigned i = 0; i < STA_DELAY_WHEEL_BUCKETS; i++)
        sta_list_init(&wheel->buckets[i]);
    wheel->turned = now_ns / STA_DELAY_WHEEL_GRAIN_NS;
    wheel->count = 0;
}

void sta_delay_wheel_add(struct sta_delay_wheel *wheel, struct sta_request *request,
                         uint64_t due_ns, uint64_t now_ns)
{
    if (wheel->count == 0)
        wheel->turned = now_ns / STA_DELAY_WHEEL_GRAIN_NS; /* nobody turned it meanwhile */
    uint64_t grain = grain_after(due_ns == STA_NEVER ? due_ns - 1 : due_ns);
    uint64_t last = wheel->turned + STA_DELAY_WHEEL_BUCKETS - 1;
    if (grain <= wheel->turned)
        grain = wheel->turned + 1;
    if (grain > last)
        grain = last;
    sta_list_push_back(wheel_bucket(wheel, grain), &request->link);
    wheel->count++;
}

static void wheel_empty(struct sta_delay_wheel *wheel, struct sta_list *bucket,
                        struct sta_list *out)
{
    struct sta_list *node;
    while ((node = sta_list_pop_front(bucket)) != NULL) {
        sta_list_push_back(out, node);
        wheel->count--;
    }
}

void sta_delay_wheel_take_due(struct sta_delay_wheel *wheel, uint64_t now_ns, struct sta_list *out)
{
    uint64_t now = now_ns / STA_DELAY_WHEEL_GRAIN_NS;
    while (wheel->turned < now && wheel->count > 0)
        wheel_empty(wheel, wheel_bucket(wheel, ++wheel->turned), out);
    if (wheel->turned < now)
        wheel->turned = now;
}

void sta_delay_wheel_take_all(struct sta_delay_wheel *wheel, struct sta_list *out)
{
    for (unsigned i = 1; i <= STA_DELAY_WHEEL_BUCKETS && wheel->count > 0; i++)
        wheel_empty(wheel, wheel_bucket(wheel, wheel->turned + i), out);
}

uint64_t sta_delay_wheel_next_ns(const struct sta_delay_wheel *wheel)
{
    if (wheel->count == 0)
        return STA_NEVER;
    uint64_t grain = wheel->turned + 1;
    while (sta_list_empty(&wheel->buckets[grain % STA_DELAY_WHEEL_BUCKETS]))
        grain++;
    return grain * STA_DELAY_WHEEL_GRAIN_NS;
}
