/* SPDX-License-Identifier: MIT
 *
 * See stall.h.
 */
#include "support/stall.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define MS_NS    UINT64_C(1000000)
#define PAUSE_NS MS_NS
#define STALL_NS UINT64_C(5000000) /* shorter ones are what a busy machine does all the time */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t lost_ns;
static _Atomic uint64_t slept_at_ns; /* when the pause began that is under way */

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t excess_ns(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns + STALL_NS ? to_ns - from_ns - PAUSE_NS : 0;
}

static void *watch(void *arg)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (;;) {
        (void)nanosleep(&pause, NULL);
        uint64_t now = now_ns();
        atomic_fetch_add(&lost_ns, excess_ns(atomic_load(&slept_at_ns), now));
        atomic_store(&slept_at_ns, now);
    }
    return arg;
}

static void begin(void)
{
    pthread_t thread;
    atomic_store(&slept_at_ns, now_ns());
    if (pthread_create(&thread, NULL, watch, NULL) != 0)
        abort();
    (void)pthread_detach(thread);
}

/* With what is known of a stall by now that the watch has not woken from: who asks may have. Read
 * before the sum, it may be counted twice, never not at all. */
struct stall_mark stall_mark(void)
{
    (void)pthread_once(&once, begin);
    uint64_t slept = atomic_load(&slept_at_ns);
    uint64_t now = now_ns();
    return (struct stall_mark){now, atomic_load(&lost_ns) + excess_ns(slept, now)};
}

uint64_t stall_lost_ns(struct stall_mark since)
{
    uint64_t lost = stall_mark().lost_ns;
    return lost > since.lost_ns ? lost - since.lost_ns : 0;
}

uint64_t stall_took_ns(struct stall_mark since)
{
    struct stall_mark now = stall_mark();
    uint64_t lost = now.lost_ns > since.lost_ns ? now.lost_ns - since.lost_ns : 0;
    uint64_t took = now.at_ns - since.at_ns;
    return took > lost ? took - lost : 0;
}

void stall_assert_took_ms(struct stall_mark since, uint64_t least_ms, uint64_t most_ms)
{
    uint64_t took_ms = stall_took_ns(since) / MS_NS;
    uint64_t passed_ms = (now_ns() - since.at_ns) / MS_NS;
    if (passed_ms < least_ms || took_ms > most_ms)
        fail_msg("it took %llu ms, and %llu of %llu are what the machine did not take away",
                 (unsigned long long)passed_ms, (unsigned long long)took_ms,
                 (unsigned long long)most_ms);
}
