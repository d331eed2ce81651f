/* SPDX-License-Identifier: MIT
 *
 * Pushes, doubt and canaries of one worker; see tracked_lane.h.
 *
 * Cost: an answer reads two words more; a hit costs what the stamp of its entry does (l1/stamp.h).
 * A lane whose answers are kept costs Redis a GET and a SET every third of max_staleness.
 */
#include "daemon/tracked_lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "daemon/lane.h"
#include "daemon/session.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "daemon/write_path.h"
#include "l2/invalidation.h"
#include "l2/redirect.h"
#include "l2/tracking.h"
#include "resp/resp.h"
#include "strata/status.h"

#define ROUNDS        3u /* of a canary within max_staleness */
#define CANARY_TTL_MS 1u /* it is written to be heard of; nobody shall find it among his keys */

/* A larger value is not read back after its SET: the next read brings it. */
#define READ_BACK_MOST ((size_t)16 << 10)

static struct sta_worker *worker_of(const struct sta_tracked_lane *tracked)
{
    return tracked->lane->worker;
}

static bool is_on(const struct sta_tracked_lane *tracked)
{
    return tracked->source != 0;
}

static void set_state(struct sta_tracked_lane *tracked, enum sta_stats_tracking state)
{
    atomic_store_explicit(&tracked->stats.state, (int)state, memory_order_relaxed);
}

static void trust(struct sta_tracked_lane *tracked)
{
    const struct sta_stratad *stratad = worker_of(tracked)->stratad;
    const struct sta_canary *canary = &tracked->canary;
    uint64_t until_ns =
        canary->tracked ? sta_clock_after(canary->proven_ns, stratad->max_staleness_ns) : STA_NEVER;
    sta_l1_trust(stratad->l1, tracked->source,
                 until_ns == STA_NEVER ? STA_NEVER : until_ns / STA_NS_MS);
}

/* ---- canaries ---- */

static void canary_send(void *arg, bool write, struct sta_request *request)
{
    struct sta_tracked_lane *tracked = arg;
    (void)write; /* nothing is NOLOOP here */
    sta_connection_submit(tracked->lane->connection, request);
}

/* Once, and again after a worker's own went well: else L1 would end to answer, and nobody knew why.
 * Any worker's tells it: only those whose answers are kept have one under way. */
static void canary_failed(void *arg, int status, struct strata_bytes replies)
{
    struct sta_tracked_lane *tracked = arg;
    struct sta_worker *worker = worker_of(tracked);
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value error;
    if (status != STRATA_OK || tracked->canary.complained || !sta_redirect_is_error(replies) ||
        sta_resp_next(&walk, &error) != STRATA_OK)
        return;
    tracked->canary.complained = true;
    if (!atomic_exchange_explicit(&worker->stratad->canary_told, true, memory_order_relaxed))
        sta_log_write(worker->stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                      "a canary cannot be read and written, so what is cached is not served for "
                      "long: %.*s",
                      (int)error.bytes.len, (const char *)error.bytes.data);
}

static const struct sta_canary_way canary_way = {.send = canary_send, .failed = canary_failed};

static void begin_round(struct sta_tracked_lane *tracked)
{
    struct sta_loop *loop = worker_of(tracked)->loop;
    if (sta_canary_is_due(&tracked->canary))
        sta_canary_begin(
            &tracked->canary, loop, &canary_way, tracked,
            sta_clock_after(sta_loop_now_ns(loop), worker_of(tracked)->stratad->max_staleness_ns));
}

static void on_timer(struct sta_timer *timer)
{
    struct sta_tracked_lane *tracked = STA_CONTAINER(timer, struct sta_tracked_lane, timer);
    struct sta_loop *loop = worker_of(tracked)->loop;
    uint64_t staleness_ns = worker_of(tracked)->stratad->max_staleness_ns;
    uint64_t now_ns = sta_loop_now_ns(loop);
    if (sta_canary_is_missing(&tracked->canary, now_ns, staleness_ns)) {
        sta_stats_add(&tracked->stats.canaries_lost, 1);
        sta_connection_renew(tracked->lane->connection, STRATA_ERR_PROTOCOL,
                             "its invalidations do not come through");
    } else {
        begin_round(tracked);
    }
    sta_timer_start(loop, timer, sta_clock_after(now_ns, staleness_ns / ROUNDS));
}

static int name_canary(struct sta_tracked_lane *tracked)
{
    char name[64];
    (void)snprintf(name, sizeof name, "strata:canary:%016" PRIx64 ":%u", sta_random_seed(),
                   (unsigned)tracked->source);
    return sta_canary_name(&tracked->canary, strata_text(name), 0, CANARY_TTL_MS);
}

/* ---- news ---- */

void sta_tracked_lane_named(struct sta_tracked_lane *tracked, struct strata_bytes name,
                            struct sta_exchange *answering)
{
    struct sta_worker *worker = worker_of(tracked);
    struct sta_key key = sta_l1_key(worker->stratad->l1, name);
    struct sta_l1_token token =
        sta_l1_invalidate(worker->stratad->l1, &key, sta_worker_tick_ms(worker), NULL);
    sta_write_path_named(answering, &key, token);
}

static void forget(void *arg, struct strata_bytes name)
{
    struct sta_tracked_lane *tracked = arg;
    struct sta_worker *worker = worker_of(tracked);
    if (sta_canary_is_proven(&tracked->canary, name)) {
        sta_stats_add(&tracked->stats.canaries, 1);
        tracked->canary.complained = false;
        atomic_store_explicit(&worker->stratad->canary_told, false, memory_order_relaxed);
        tracked->canary.proven_ns = tracked->canary.read_ns;
        trust(tracked);
        return;
    }
    sta_stats_add(&tracked->stats.invalidations, 1);
    sta_tracked_lane_named(
        tracked, name,
        sta_session_exchange_of(sta_connection_answering(tracked->lane->connection)));
}

void sta_tracked_lane_pushed(struct sta_tracked_lane *tracked, struct strata_bytes frame)
{
    if (!is_on(tracked) || sta_invalidation_read(frame, forget, tracked) != STA_INVALIDATION_ALL)
        return;
    sta_stats_add(&tracked->stats.invalidations_of_all, 1);
    if (tracked->canary.state == STA_CANARY_LISTENING)
        tracked->canary.state = STA_CANARY_IDLE; /* it was forgotten as well */
    sta_l1_doubt(worker_of(tracked)->stratad->l1, tracked->source);
}

static void tell(struct sta_tracked_lane *tracked)
{
    struct sta_worker *worker = worker_of(tracked);
    if (tracked->canary.tracked)
        return;
    sta_log_write(&worker->log.log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                  "redis does not track reads, so what is cached is only as good as its TTL: %s",
                  sta_connection_untracked_reason(tracked->lane->connection));
}

void sta_tracked_lane_changed(struct sta_tracked_lane *tracked, enum sta_connection_state state)
{
    struct sta_canary *canary = &tracked->canary;
    if (!is_on(tracked))
        return;
    if (canary->up) {
        sta_l1_doubt(worker_of(tracked)->stratad->l1, tracked->source);
        sta_stats_add(&tracked->stats.invalidations_of_all, 1);
    }
    canary->up = false;
    canary->used = false;
    canary->complained = false;
    canary->state = STA_CANARY_IDLE;
    set_state(tracked, STA_STATS_TRACKING_UNKNOWN);
    if (state != STA_CONNECTION_READY)
        return;
    canary->up = true;
    canary->tracked = sta_connection_is_tracked(tracked->lane->connection);
    /* What is read from now on is as good as the first canary will be. */
    canary->proven_ns = sta_loop_now_ns(worker_of(tracked)->loop);
    set_state(tracked, canary->tracked ? STA_STATS_TRACKING_IN_FORCE : STA_STATS_TRACKING_REFUSED);
    trust(tracked);
    tell(tracked);
}

bool sta_tracked_lane_is_silent(const struct sta_tracked_lane *tracked)
{
    const struct sta_worker *worker = worker_of(tracked);
    const struct sta_canary *canary = &tracked->canary;
    return is_on(tracked) && canary->up && canary->tracked && canary->used && !canary->complained &&
           sta_loop_now_ns(worker->loop) >
               sta_clock_after(canary->proven_ns, worker->stratad->max_staleness_ns);
}

/* ---- what is kept ---- */

bool sta_tracked_lane_stamp(struct sta_tracked_lane *tracked, const struct sta_operation *operation,
                            const struct sta_key *key, struct sta_l1_token *token)
{
    struct sta_worker *worker = worker_of(tracked);
    int source = operation->aside ? STA_TRACKING_NOBODY : tracked->source;
    if (worker->router != NULL)
        source = sta_tracking_source(operation);
    if (source == STA_TRACKING_NOBODY)
        return false;
    if (!is_on(tracked))
        return true;
    token->stamp = sta_l1_token_from(worker->stratad->l1, key, (uint16_t)source).stamp;
    if (worker->router != NULL || tracked->canary.used)
        return true;
    tracked->canary.used = true;
    begin_round(tracked);
    return true;
}

/* By broadcast every worker is told of the write, at the end of Redis' turn, and so behind what a
 * read in the same turn brings: the value would go as soon as it came. */
enum sta_tracked_set sta_tracked_lane_set(const struct sta_tracked_lane *tracked,
                                          struct strata_bytes value)
{
    if (!is_on(tracked) || (tracked->canary.up && !tracked->canary.tracked))
        return STA_TRACKED_SET_ANY;
    if (worker_of(tracked)->stratad->tracking != STA_TRACKING_READS || value.len > READ_BACK_MOST)
        return STA_TRACKED_SET_NONE;
    return STA_TRACKED_SET_READ;
}

/* ---- life ---- */

struct sta_greeting_tracking sta_tracked_lane_greeting(const struct sta_stratad *stratad)
{
    return (struct sta_greeting_tracking){.mode = stratad->tracking, .prefix = strata_bytes("", 0)};
}

void sta_tracked_lane_init(struct sta_tracked_lane *tracked, struct sta_lane *lane)
{
    const struct sta_worker *worker = lane->worker;
    *tracked = (struct sta_tracked_lane){.lane = lane};
    sta_timer_init(&tracked->timer, on_timer);
    if (worker->stratad->tracking == STA_TRACKING_OFF)
        return;
    tracked->source = (uint16_t)(worker->index * worker->stratad->sources_each + 1);
    set_state(tracked, STA_STATS_TRACKING_UNKNOWN);
}

int sta_tracked_lane_start(struct sta_tracked_lane *tracked)
{
    if (!is_on(tracked) || worker_of(tracked)->router != NULL)
        return STRATA_OK;
    sta_timer_start(worker_of(tracked)->loop, &tracked->timer,
                    sta_loop_now_ns(worker_of(tracked)->loop));
    return name_canary(tracked);
}

void sta_tracked_lane_stop(struct sta_tracked_lane *tracked)
{
    if (!is_on(tracked))
        return;
    sta_timer_stop(worker_of(tracked)->loop, &tracked->timer);
    sta_canary_fini(&tracked->canary);
}
