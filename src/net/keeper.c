/* SPDX-License-Identifier: MIT
 *
 * The loop's own thread. It keeps the loop going where nobody calls synchronously, and looks after
 * it between two synchronous calls, without standing in their way.
 *
 *     LEADING --a caller comes--> PARKED <--callers lead-- WATCHING
 *        ^                          |                       ^    |
 *        |                          '--1 ms without them----'    |
 *        '--- replies are expected (sta_loop_expect), or --------'
 *             nobody called for KEEPER_PATIENCE turns
 *
 *   LEADING   it has the lead and waits in libuv, as a loop of one thread does.
 *   PARKED    callers lead, one after another. It sleeps a millisecond at a time: what no caller
 *             looks after (a push, a timer between two calls) waits no longer than that.
 *   WATCHING  nobody has the lead. It waits for anything to happen on the descriptors of libuv
 *             (uv_backend_fd), without the lead: a caller that comes may take it at once and need
 *             not wake anybody. When something happens it leads for a tick.
 *
 * A caller's reply wakes a watching keeper, too, if only inside the kernel. A caller alone is worth
 * that; the second in a row relieves it, and then it parks.
 *
 * `rest` says which of the two it is in. Who wants something sets `rest` to what is wanted and
 * writes to `bell`, a descriptor for the keeper alone: what wakes libuv may be consumed by another
 * leader before our poll() has seen it. The keeper sets `rest`, then looks at everything it might
 * be called for; those who call do so in the other order, all of it sequentially consistent, so
 * nobody's call is missed. A bell that is heard twice costs one look in vain.
 *
 * Tasks for this thread alone (sta_loop_post_own) run here, with the lead or without it.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "core/clock.h"
#include "net/loop_inside.h"

#define KEEPER_PARK_MS  1
#define KEEPER_PATIENCE 64u

enum {
    KEEPER_UP, /* at work, or on its way to rest and about to look around once more */
    KEEPER_PARKED,
    KEEPER_WATCHING,
    KEEPER_CALLED,  /* from its rest: lead, if you can */
    KEEPER_RELIEVED /* from its watch: callers lead */
};

/* ---- other threads ---- */

static bool keeper_wake(struct sta_loop *loop, uint32_t from, uint32_t to)
{
    if (!atomic_compare_exchange_strong(&loop->rest, &from, to))
        return false;
    (void)eventfd_write(loop->bell, 1);
    return true;
}

bool sta_keeper_call(struct sta_loop *loop)
{
    return keeper_wake(loop, KEEPER_PARKED, KEEPER_CALLED) ||
           keeper_wake(loop, KEEPER_WATCHING, KEEPER_CALLED);
}

bool sta_keeper_is_watching(struct sta_loop *loop)
{
    /* relaxed: if it begins at this moment, it sees that a caller has led, and parks. */
    return atomic_load_explicit(&loop->rest, memory_order_relaxed) == KEEPER_WATCHING;
}

void sta_keeper_end_watch(struct sta_loop *loop, bool work)
{
    (void)keeper_wake(loop, KEEPER_WATCHING, work ? KEEPER_CALLED : KEEPER_RELIEVED);
}

/* ---- at rest ---- */

static bool keeper_is_wanted(struct sta_loop *loop)
{
    if (atomic_load(&loop->owed) != NULL)
        return true;
    return (atomic_load(&loop->posted) != NULL || atomic_load(&loop->stopping)) &&
           atomic_load(&loop->leader) == STA_LEADER_NOBODY;
}

/* Until called or relieved, which it returns, or the time is over or, where it watches, something
 * has happened; then UP. An error of poll() is an end of the rest like any other. */
static uint32_t keeper_rest(struct sta_loop *loop, uint32_t how, uint32_t led, int timeout_ms)
{
    eventfd_t rung;
    struct pollfd fds[] = {{.fd = loop->bell, .events = POLLIN},
                           {.fd = uv_backend_fd(&loop->uv), .events = POLLIN}};
    atomic_store(&loop->rest, how);
    uint32_t unless = keeper_is_wanted(loop) ? KEEPER_CALLED : KEEPER_UP;
    if (unless == KEEPER_UP && how == KEEPER_WATCHING && atomic_load(&loop->led) != led)
        unless = KEEPER_RELIEVED; /* what it knows of the loop is no longer true */
    if (unless == KEEPER_UP && poll(fds, how == KEEPER_WATCHING ? 2 : 1, timeout_ms) > 0 &&
        fds[0].revents != 0)
        (void)eventfd_read(loop->bell, &rung);
    uint32_t wanted = atomic_exchange(&loop->rest, KEEPER_UP);
    return wanted != how ? wanted : unless;
}

/* ---- with the lead ---- */

/* Not as a caller, and even where the loop is to stop. */
static bool keeper_try(struct sta_loop *loop)
{
    pthread_t nobody = STA_LEADER_NOBODY;
    /* seq_cst, partner: the store in sta_leader_leave(). */
    if (!atomic_compare_exchange_strong(&loop->leader, &nobody, pthread_self()))
        return false;
    loop->now_ns = 0;
    return true;
}

/* A tick that does not wait. Returns how long there is nothing to do, in ms; -1: for ever. libuv
 * counts what it was told and carries out only with its next poll as something to do. */
static int keeper_turn(struct sta_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    sta_timer_set_alarm(loop);
    int timeout_ms = sta_list_empty(&loop->flushes) ? uv_backend_timeout(&loop->uv) : 0;
    loop->watched_until_ns =
        timeout_ms < 0 ? STA_NEVER : sta_loop_now_ns(loop) + (uint64_t)timeout_ms * STA_NS_MS;
    return timeout_ms;
}

static bool keeper_is_to_lead(struct sta_loop *loop, unsigned alone)
{
    /* relaxed: where it comes a moment too late, the next turn sees it. */
    return alone > KEEPER_PATIENCE || atomic_load(&loop->stopping) ||
           atomic_load_explicit(&loop->expected, memory_order_relaxed) > 0;
}

/* PARKED and WATCHING. Returns with the lead. */
static void keeper_share(struct sta_loop *loop)
{
    uint32_t led = atomic_load(&loop->led);
    uint32_t how = KEEPER_PARKED;
    int timeout_ms = KEEPER_PARK_MS;
    unsigned alone = 0;
    for (;;) {
        uint32_t wanted = keeper_rest(loop, how, led, timeout_ms);
        sta_loop_run_owed(loop);
        uint32_t led_before = led;
        led = atomic_load(&loop->led);
        alone = led == led_before ? alone + 1 : 0;
        how = KEEPER_PARKED;
        timeout_ms = KEEPER_PARK_MS;
        bool callers = wanted == KEEPER_RELIEVED || (alone == 0 && wanted != KEEPER_CALLED);
        if (callers || !keeper_try(loop))
            continue;
        if (keeper_is_to_lead(loop, alone))
            return;
        how = KEEPER_WATCHING;
        timeout_ms = keeper_turn(loop);
        loop->watched_led = led;
        sta_leader_leave(loop);
    }
}

/* The lead stays taken when the loop has stopped: nobody runs it any more. */
void sta_keeper_run(struct sta_loop *loop)
{
    do {
        loop->yields = true;
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* until a caller comes, or stop() */
        loop->yields = false;
        sta_leader_leave(loop);
        keeper_share(loop);
    } while (!atomic_load(&loop->stopping));
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* what was posted before stop() */
    sta_gate_tell(loop, sta_gate_take_noted(loop));
}
