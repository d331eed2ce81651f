/* SPDX-License-Identifier: MIT
 *
 * A worker's life, its lanes' news, and draining; the drawing is in worker.h.
 */
#include "daemon/worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "daemon/barrier_watch.h"
#include "daemon/exchange.h"
#include "daemon/own_lane.h"
#include "daemon/read_turn.h"
#include "daemon/session.h"
#include "daemon/stratad.h"
#include "l2/router.h"
#include "resp/resp.h"
#include "strata/status.h"

#define TICK_NS   STA_NS_SEC
#define ARGV_KEEP 1024u /* arguments; a larger array is given back */

/* What a server is asked first. Without an argument HELLO changes nothing. */
static const char boot_wire[] = "*1\r\n$5\r\nHELLO\r\n*1\r\n$7\r\nCOMMAND\r\n";

static void worker_boot(struct sta_worker *worker);

uint64_t sta_worker_tick_ms(struct sta_worker *worker)
{
    return sta_loop_now_ns(worker->loop) / STA_NS_MS;
}

uint64_t sta_worker_deadline_ns(struct sta_worker *worker)
{
    return sta_clock_after(sta_loop_now_ns(worker->loop),
                           sta_stratad_live(&worker->stratad->live.timeout_ms) * STA_NS_MS);
}

struct strata_bytes *sta_worker_argv(struct sta_worker *worker, size_t argc)
{
    if (argc <= worker->argv_cap && (worker->argv_cap <= ARGV_KEEP || argc > ARGV_KEEP))
        return worker->argv;
    size_t cap = argc > ARGV_KEEP ? argc : ARGV_KEEP;
    struct strata_bytes *argv = malloc(cap * sizeof *argv);
    if (argv == NULL)
        return NULL;
    free(worker->argv);
    worker->argv = argv;
    worker->argv_cap = cap;
    return argv;
}

uint8_t *sta_worker_scratch(struct sta_worker *worker, size_t len)
{
    sta_buffer_consume(&worker->scratch, sta_buffer_len(&worker->scratch));
    return sta_buffer_reserve(&worker->scratch, len) == STRATA_OK ? sta_buffer_end(&worker->scratch)
                                                                  : NULL;
}

/* ---- what Redis says about itself ---- */

/* HELLO's map: "version" -> bulk. */
static void read_version(struct sta_worker *worker, struct strata_bytes hello)
{
    struct sta_resp_walk walk = sta_resp_walk(hello);
    struct sta_resp_value value;
    while (sta_resp_next(&walk, &value) == STRATA_OK) {
        if (value.type != STA_RESP_BULK || value.bytes.len != 7 ||
            memcmp(value.bytes.data, "version", 7) != 0)
            continue;
        if (sta_resp_next(&walk, &value) == STRATA_OK && value.type == STA_RESP_BULK)
            (void)snprintf(worker->upstream_version, sizeof worker->upstream_version, "%.*s",
                           (int)value.bytes.len, (const char *)value.bytes.data);
        return;
    }
}

static void tell_main(struct sta_worker *worker, struct sta_task *task, bool *told)
{
    if (*told)
        return;
    *told = true;
    sta_loop_post(worker->stratad->loop, task);
}

static int boot_read(struct sta_worker *worker, struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct strata_bytes hello, commands;
    struct sta_command_table *table;
    if (sta_resp_skip(&walk, &hello) != STRATA_OK || sta_resp_skip(&walk, &commands) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    read_version(worker, hello);
    int status = sta_command_table_create(&table, commands);
    if (status < 0)
        return status;
    sta_command_table_destroy(&worker->table);
    worker->table = table;
    return STRATA_OK;
}

/* A server that does not tell its commands (an ACL may forbid it) is served all the same, at the
 * price of L1 entries. One that does not answer in time is asked again with the next tick. */
static void boot_done(struct sta_worker *worker, int status, struct strata_bytes replies)
{
    worker->boot_sent = false;
    if (status < 0)
        return;
    worker->booted = true;
    if (!worker->upstream_up) /* a cluster: the first that is heard of it */
        sta_worker_redis_is_up(worker);
    if (boot_read(worker, replies) < 0)
        sta_log_write(&worker->log.log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                      "redis does not tell its commands; every argument of commands unknown to "
                      "stratad is taken for a key");
    tell_main(worker, &worker->ready_task, &worker->told_ready);
}

static void boot_answered(struct sta_request *request, int status, struct strata_bytes replies)
{
    boot_done(STA_CONTAINER(request, struct sta_worker, boot.request), status, replies);
}

static void boot_operated(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    boot_done(STA_CONTAINER(operation, struct sta_worker, boot), status, replies);
}

static void worker_boot(struct sta_worker *worker)
{
    struct sta_lane *lane = &worker->lanes[STA_LANE_SHARED];
    if (worker->booted || worker->boot_sent || (!worker->upstream_up && worker->router == NULL))
        return;
    worker->boot_sent = true;
    worker->boot = (struct sta_operation){
        .request = {.wire = strata_bytes(boot_wire, sizeof boot_wire - 1),
                    .commands = 2,
                    .deadline_ns = sta_worker_deadline_ns(worker),
                    .done = boot_answered},
        .slot = STA_OPERATION_ANY_NODE,
        .repeatable = true,
        .way = (uint8_t)sta_lane_way(lane->kind),
        .done = boot_operated,
    };
    if (worker->router != NULL)
        sta_router_submit(worker->router, &worker->boot);
    else
        sta_lane_submit(lane, &worker->boot.request);
}

static void store_lane(struct sta_worker *worker, const struct sta_lane *lane)
{
    struct sta_connection_statistics seen;
    if (lane->connection == NULL)
        return;
    sta_connection_statistics(lane->connection, &seen);
    sta_stats_lane_store(&worker->lane_stats[lane->kind], &seen);
    sta_stats_lane_store_latency(&worker->lane_stats[lane->kind], &lane->health,
                                 sta_loop_now_ns(worker->loop));
}

void sta_worker_redis_is_up(struct sta_worker *worker)
{
    worker->upstream_up = true;
    if (worker->told_ready)
        sta_log_write(&worker->log.log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                      "redis is reachable again");
    worker_boot(worker);
}

void sta_worker_redis_is_down(struct sta_worker *worker)
{
    const struct sta_lane *lane = &worker->lanes[STA_LANE_SHARED];
    bool was_up = worker->upstream_up;
    worker->upstream_up = false;
    worker->booted = false; /* another server may answer next, with other commands */
    if (was_up)
        sta_log_write(&worker->log.log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                      "redis cannot be reached: %s", lane->reason);
    if (worker->told_ready || worker->told_refused)
        return;
    (void)snprintf(worker->refused_reason, sizeof worker->refused_reason, "%s", lane->reason);
    tell_main(worker, &worker->refused_task, &worker->told_refused);
}

void sta_worker_lane_changed(struct sta_worker *worker, struct sta_lane *lane,
                             enum sta_connection_state state)
{
    store_lane(worker, lane);
    if (lane->kind != STA_LANE_SHARED)
        return;
    if (state == STA_CONNECTION_READY)
        sta_worker_redis_is_up(worker);
    else
        sta_worker_redis_is_down(worker);
}

static void on_tick(struct sta_timer *timer)
{
    struct sta_worker *worker = STA_CONTAINER(timer, struct sta_worker, tick);
    for (unsigned i = 0; i < STA_LANE_COUNT; i++) {
        store_lane(worker, &worker->lanes[i]);
        if (worker->lanes[i].connection != NULL || worker->router != NULL)
            sta_lane_tick(&worker->lanes[i]);
    }
    if (worker->router != NULL)
        sta_cluster_way_tick(worker);
    sta_own_lane_tick(worker);
    worker_boot(worker);
    sta_timer_start(worker->loop, timer, sta_loop_now_ns(worker->loop) + TICK_NS);
}

/* ---- clients ---- */

struct adoption {
    struct sta_task task;
    struct sta_worker *worker;
    int fd;
    bool own;
};

static void refuse_client(struct sta_worker *worker, int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    ssize_t sent = send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* who is turned away may miss why */
    (void)close(fd);
    sta_stats_add(&worker->stats.sessions_refused, 1);
}

static void on_adopt(struct sta_task *task)
{
    struct adoption *adoption = STA_CONTAINER(task, struct adoption, task);
    struct sta_worker *worker = adoption->worker;
    int fd = adoption->fd;
    bool own = adoption->own;
    free(adoption);
    if (worker->state != STA_WORKER_RUNNING) {
        (void)close(fd);
        return;
    }
    if (own) {
        (void)sta_session_create(worker, fd, own);
        return;
    }
    _Atomic uint64_t *sessions = &worker->stratad->sessions;
    uint64_t most = sta_stratad_live(&worker->stratad->live.clients_max);
    uint64_t before = atomic_fetch_add_explicit(sessions, 1, memory_order_relaxed);
    if (before < most && sta_session_create(worker, fd, own) == 0)
        return;
    atomic_fetch_sub_explicit(sessions, 1, memory_order_relaxed);
    if (before >= most)
        refuse_client(worker, fd);
}

static void adopt(struct sta_worker *worker, int fd, bool own)
{
    struct adoption *adoption = malloc(sizeof *adoption);
    if (adoption == NULL) {
        (void)close(fd);
        return;
    }
    *adoption =
        (struct adoption){.task = {.run = on_adopt}, .worker = worker, .fd = fd, .own = own};
    sta_loop_post(worker->loop, &adoption->task);
}

void sta_worker_adopt(struct sta_worker *worker, int fd)
{
    adopt(worker, fd, false);
}

void sta_worker_adopt_own(struct sta_worker *worker, int fd)
{
    adopt(worker, fd, true);
}

/* ---- the end ---- */

/* Its loop goes on until join(): answers of others may wait for what the first worker's hears. */
static void worker_end(struct sta_worker *worker)
{
    worker->state = STA_WORKER_ENDED;
    sta_timer_stop(worker->loop, &worker->deadline);
    sta_timer_stop(worker->loop, &worker->tick);
    sta_turns_stop(&worker->turns);
    sta_loop_post(worker->stratad->loop, &worker->ended_task);
}

void sta_worker_session_gone(struct sta_worker *worker, bool own)
{
    atomic_fetch_sub_explicit(&worker->stratad->sessions, own ? 0 : 1, memory_order_relaxed);
    if (worker->state == STA_WORKER_DRAINING && sta_list_empty(&worker->sessions))
        worker_end(worker);
}

static void close_sessions(struct sta_worker *worker)
{
    while (!sta_list_empty(&worker->sessions)) {
        struct sta_session *session =
            STA_CONTAINER(worker->sessions.next, struct sta_session, link);
        sta_session_destroy(&session);
    }
}

static void on_deadline(struct sta_timer *timer)
{
    close_sessions(STA_CONTAINER(timer, struct sta_worker, deadline));
}

/* Finishing a session may destroy it, and only it: the next one is remembered. Destroying the last
 * one ends the worker, so that has to be the last thing that happens here. */
static void on_drain(struct sta_task *task)
{
    struct sta_worker *worker = STA_CONTAINER(task, struct sta_worker, drain_task);
    uint64_t timeout_ns = sta_stratad_live(&worker->stratad->live.drain_timeout_ms) * STA_NS_MS;
    worker->state = STA_WORKER_DRAINING;
    sta_timer_start(worker->loop, &worker->deadline,
                    sta_clock_after(sta_loop_now_ns(worker->loop), timeout_ns));
    if (sta_list_empty(&worker->sessions)) {
        worker_end(worker);
        return;
    }
    struct sta_list *node = worker->sessions.next;
    while (node != &worker->sessions) {
        struct sta_list *next = node->next;
        sta_session_drain(STA_CONTAINER(node, struct sta_session, link));
        node = next;
    }
}

void sta_worker_drain(struct sta_worker *worker)
{
    sta_loop_post(worker->loop, &worker->drain_task);
}

/* ---- life ---- */

static void on_ready(struct sta_task *task)
{
    sta_stratad_worker_ready(STA_CONTAINER(task, struct sta_worker, ready_task)->stratad);
}

static void on_refused(struct sta_task *task)
{
    struct sta_worker *worker = STA_CONTAINER(task, struct sta_worker, refused_task);
    sta_stratad_worker_refused(worker->stratad, worker->refused_reason);
}

static void on_ended(struct sta_task *task)
{
    sta_stratad_worker_ended(STA_CONTAINER(task, struct sta_worker, ended_task)->stratad);
}

static void worker_init(struct sta_worker *worker, struct sta_stratad *stratad, unsigned index)
{
    worker->stratad = stratad;
    worker->index = index;
    sta_node_board_init(&worker->board);
    sta_list_init(&worker->sessions);
    sta_list_init(&worker->waiting);
    sta_list_init(&worker->pool);
    sta_list_init(&worker->idle_own);
    sta_buffer_init(&worker->scratch, SIZE_MAX);
    sta_buffer_init(&worker->parts, stratad->options.output_limit);
    sta_timer_init(&worker->tick, on_tick);
    sta_timer_init(&worker->deadline, on_deadline);
    for (unsigned i = 0; i < STA_LANE_COUNT; i++)
        sta_lane_init(&worker->lanes[i], worker, (enum sta_lane_kind)i);
    sta_tracked_lane_init(&worker->tracked, &worker->lanes[STA_LANE_SHARED]);
    (void)snprintf(worker->upstream_version, sizeof worker->upstream_version, "0.0.0");
    worker->drain_task.run = on_drain;
    worker->ready_task.run = on_ready;
    worker->refused_task.run = on_refused;
    worker->ended_task.run = on_ended;
}

int sta_worker_create(struct sta_worker **out, struct sta_stratad *stratad, unsigned index)
{
    struct sta_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return STRATA_ERR_NOMEM;
    worker_init(worker, stratad, index);
    int status = sta_loop_create(&worker->loop);
    sta_paced_log_init(&worker->log, index == 0 ? stratad->log : NULL, STA_ROOM_DAEMON,
                       worker->loop);
    sta_read_turn_init(worker);
    if (status == STRATA_OK && stratad->seeds != NULL)
        status = sta_cluster_way_open(worker);
    if (status == STRATA_OK)
        status = sta_tracked_lane_start(&worker->tracked);
    if (status == STRATA_OK && worker->router == NULL)
        status = sta_lane_open(&worker->lanes[STA_LANE_SHARED]);
    if (status < 0) {
        sta_worker_destroy(&worker);
        return status;
    }
    if (worker->router != NULL)
        worker_boot(worker); /* it waits for the map */
    sta_timer_start(worker->loop, &worker->tick, sta_loop_now_ns(worker->loop) + TICK_NS);
    *out = worker;
    return STRATA_OK;
}

int sta_worker_start(struct sta_worker *worker)
{
    char name[16];
    (void)snprintf(name, sizeof name, "worker-%u", worker->index);
    return sta_loop_start(worker->loop, name);
}

void sta_worker_join(struct sta_worker *worker)
{
    sta_loop_stop(worker->loop);
    sta_loop_join(worker->loop);
}

/* Clients first: then what the lanes still have under way ends without them. */
void sta_worker_destroy(struct sta_worker **pointer)
{
    struct sta_worker *worker = *pointer;
    if (worker == NULL)
        return;
    *pointer = NULL;
    worker->state = STA_WORKER_ENDED;
    close_sessions(worker);
    sta_own_lane_close_idle(worker);
    sta_cluster_way_close(worker);
    for (unsigned i = 0; i < STA_LANE_COUNT; i++)
        sta_lane_close(&worker->lanes[i]);
    sta_tracked_lane_stop(&worker->tracked);
    sta_barrier_watch_close(worker);
    sta_exchange_free_pool(worker);
    sta_paced_log_fini(&worker->log);
    sta_node_board_fini(&worker->board);
    sta_loop_destroy(&worker->loop);
    sta_command_table_destroy(&worker->table);
    sta_buffer_fini(&worker->scratch);
    sta_buffer_fini(&worker->parts);
    free(worker->argv);
    free(worker);
}
