/* SPDX-License-Identifier: MIT
 *
 * See question_meter.h.
 */
#include "integration/question_meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"

#define WINDOW_NS (5 * STA_NS_SEC)
#define ASKERS    8 /* at most; each may put a question where the time begins and where it ends */

static uint64_t questions(const struct redis_cluster *cluster)
{
    return redis_cluster_calls(cluster, "cluster|slots:") +
           redis_cluster_calls(cluster, "cluster|shards:");
}

/* Windows overlap by as long as it takes to ask all nodes: none is taken for shorter than it
 * was. */
void question_meter_start(struct question_meter *meter, const struct redis_cluster *cluster)
{
    uint64_t now_ns = sta_clock_now_ns();
    uint64_t now = questions(cluster);
    *meter = (struct question_meter){cluster, now, now_ns, now, now_ns, 0};
}

void question_meter_look(struct question_meter *meter)
{
    uint64_t now_ns = sta_clock_now_ns();
    if (now_ns < meter->window_ns + WINDOW_NS)
        return;
    uint64_t now = questions(meter->cluster);
    double seconds = (double)(sta_clock_now_ns() - meter->window_ns) / 1e9;
    double rate = (double)(now - meter->window) / seconds;
    meter->most = rate > meter->most ? rate : meter->most;
    meter->window = now;
    meter->window_ns = now_ns;
}

uint64_t question_meter_assert(struct question_meter *meter, double most_per_second)
{
    uint64_t asked = questions(meter->cluster) - meter->first;
    double seconds = (double)(sta_clock_now_ns() - meter->first_ns) / 1e9;
    double rate = (double)asked / seconds;
    print_message(
        "# %llu questions for the map in %.1f s: %.1f per second, %.1f in the busiest 5 s\n",
        (unsigned long long)asked, seconds, rate, meter->most);
    assert_true((double)asked <= most_per_second * seconds + ASKERS);
    assert_true(meter->most <= most_per_second);
    return asked;
}
