/* SPDX-License-Identifier: MIT
 *
 * See barrier_watch.h.
 */
#include "daemon/barrier_watch.h"

#include "core/clock.h"
#include "daemon/exchange.h"
#include "daemon/session.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "l2/l2.h"
#include "strata/status.h"

#define PENDING_BYTES ((size_t)1 << 20)

/* What is put into L1 is another router's: here a source stands for a hash, and no two hashes share
 * one, for a source that two nodes answer for in turn is doubted in turn. */
#define FIRST_SOURCE 1u

/* Slots that move are told of by MOVED: the map can wait. */
#define ASK_NS (500 * STA_NS_MS)

/* ---- hearing ---- */

static void on_forget(void *arg, struct strata_bytes key, const struct sta_operation *answering)
{
    struct sta_barrier_watch *watch = arg;
    (void)answering;
    for (size_t i = 0; i < watch->space_count; i++)
        if (sta_barriers_is_name(&watch->spaces[i], key))
            sta_barriers_named(&watch->spaces[i]);
}

static void on_doubt(void *arg, uint16_t source)
{
    struct sta_barrier_watch *watch = arg;
    (void)source;
    for (size_t i = 0; i < watch->space_count; i++)
        sta_barriers_named(&watch->spaces[i]);
}

/* A hash is read anew before it could be too old. */
static void on_trust(void *arg, uint16_t source, uint64_t until_ns)
{
    (void)arg;
    (void)source;
    (void)until_ns;
}

static const struct sta_tracking_sink sink = {
    .forget = on_forget, .doubt = on_doubt, .trust = on_trust};

static void on_veiled(void *arg)
{
    const struct sta_barrier_watch *watch = arg;
    uint64_t from_ms = STA_NEVER;
    for (size_t i = 0; i < watch->space_count; i++)
        if (watch->spaces[i].veiled_ms < from_ms)
            from_ms = watch->spaces[i].veiled_ms;
    if (watch->l1 != NULL)
        sta_l1_veil(watch->l1, from_ms);
}

static bool veils(void *arg, struct strata_bytes key, uint64_t now_ms)
{
    struct sta_barrier_watch *watch = arg;
    for (size_t i = 0; i < watch->space_count; i++)
        if (sta_barriers_veils(&watch->spaces[i], key, now_ms))
            return true;
    return false;
}

struct sta_l1_veil sta_barrier_watch_veil(struct sta_barrier_watch *watch)
{
    return (struct sta_l1_veil){.hides = veils, .arg = watch};
}

/* ---- what is hidden ---- */

static bool knows_any(const struct sta_barrier_watch *watch)
{
    for (size_t i = 0; i < watch->space_count; i++)
        if (sta_barriers_knows_any(&watch->spaces[i]))
            return true;
    return false;
}

/* Too early is safe: but who has seen his own write acknowledged has to have asked after it. */
uint64_t sta_barrier_watch_asked_ns(const struct sta_stratad *stratad, uint64_t now_ms)
{
    return knows_any(&stratad->watch) ? sta_clock_now_ns() : now_ms * STA_NS_MS;
}

bool sta_barrier_watch_hides(struct sta_stratad *stratad, struct strata_bytes key,
                             uint64_t asked_ns)
{
    struct sta_barrier_watch *watch = &stratad->watch;
    for (size_t i = 0; i < watch->space_count; i++)
        if (sta_barriers_hides(&watch->spaces[i], key, asked_ns))
            return true;
    return false;
}

/* ---- own writes ---- */

static bool has_written(const struct sta_exchange *write, uint64_t hash)
{
    for (size_t i = 0; i < write->key_count; i++)
        if (write->keys[i].key.hash == hash)
            return true;
    return false;
}

/* What the client has asked for behind its write, on the same connection, is answered by that or by
 * something newer, though it was asked for before the write was acknowledged. */
static void renew_questions_behind(const struct sta_exchange *write, uint64_t now_ns)
{
    const struct sta_list *queue = &write->session->queue;
    for (struct sta_list *node = write->link.next; node != queue; node = node->next) {
        struct sta_exchange *read = STA_CONTAINER(node, struct sta_exchange, link);
        for (size_t i = 0; read->sent && i < read->key_count; i++)
            if (has_written(write, read->keys[i].key.hash))
                read->keys[i].asked_ns = now_ns;
    }
}

void sta_barrier_watch_wrote(struct sta_exchange *exchange)
{
    struct sta_barrier_watch *watch = &exchange->worker->stratad->watch;
    if (!knows_any(watch))
        return;
    uint64_t now_ns = sta_clock_now_ns();
    for (size_t i = 0; i < exchange->key_count; i++)
        for (size_t space = 0; space < watch->space_count; space++)
            sta_barriers_exempt(&watch->spaces[space], exchange->keys[i].key.bytes, now_ns);
    /* Before a cluster nobody follows another on the same key. */
    if (exchange->session != NULL && exchange->worker->router == NULL)
        renew_questions_behind(exchange, now_ns);
}

/* ---- waiting ---- */

static struct sta_exchange *exchange_of(struct sta_barrier_wait *wait)
{
    return STA_CONTAINER(wait, struct sta_exchange, wait);
}

static void conclude(struct sta_barrier_wait *wait)
{
    sta_list_remove(&wait->link);
    sta_session_conclude(exchange_of(wait), STRATA_OK, sta_buffer_bytes(&wait->replies));
}

static void on_back(struct sta_task *task)
{
    conclude(STA_CONTAINER(task, struct sta_barrier_wait, task));
}

/* On the first worker's loop: one namespace after the other. */
static void ask_next(struct sta_barrier_wait *wait)
{
    struct sta_worker *worker = exchange_of(wait)->worker;
    struct sta_barrier_watch *watch = &worker->stratad->watch;
    while (wait->next < watch->space_count)
        if (sta_barriers_defer(&watch->spaces[wait->next++], &wait->known))
            return;
    wait->task.run = on_back;
    sta_loop_post(worker->loop, &wait->task);
}

static void on_known(struct sta_barriers_waiter *known)
{
    ask_next(STA_CONTAINER(known, struct sta_barrier_wait, known));
}

static void on_ask(struct sta_task *task)
{
    ask_next(STA_CONTAINER(task, struct sta_barrier_wait, task));
}

static bool is_late(const struct sta_barrier_watch *watch)
{
    uint64_t now_ms = sta_clock_now_ms();
    for (size_t i = 0; i < watch->space_count; i++)
        if (sta_barriers_is_late(&watch->spaces[i], now_ms))
            return true;
    return false;
}

bool sta_barrier_watch_defers(struct sta_exchange *exchange, struct strata_bytes replies)
{
    struct sta_worker *worker = exchange->worker;
    struct sta_stratad *stratad = worker->stratad;
    struct sta_barrier_wait *wait = &exchange->wait;
    if (!exchange->heeds_barriers || !is_late(&stratad->watch) ||
        sta_buffer_append(&wait->replies, replies) < 0)
        return false;
    sta_exchange_stamp(exchange);
    wait->known.deadline_ns = exchange->operation.request.deadline_ns;
    wait->known.known = on_known;
    wait->next = 0;
    wait->task.run = on_ask;
    sta_list_push_back(&worker->waiting, &wait->link);
    sta_loop_post(stratad->workers[0]->loop, &wait->task);
    return true;
}

/* ---- life ---- */

static int open_l2(struct sta_barrier_watch *watch, const struct sta_stratad *stratad,
                   struct sta_loop *loop)
{
    const struct sta_l2_config config = {
        .router =
            {
                .node = {.connection = {.url = &stratad->url,
                                        .tls = stratad->tls,
                                        .protocol = 3,
                                        .or_protocol_2 = true,
                                        .name = "stratad",
                                        .max_pending_bytes = PENDING_BYTES},
                         .max_connections = 1},
                .cluster = stratad->seeds != NULL,
                .seeds = stratad->seeds,
                .seed_count = stratad->options.cache.cluster_node_count,
                .refresh.floor_ns = ASK_NS,
                .tracking = {.mode = STA_TRACKING_READS,
                             .prefix = strata_bytes("", 0),
                             .max_staleness_ns = stratad->max_staleness_ns,
                             .first_source = FIRST_SOURCE,
                             .sources = stratad->seeds != NULL ? STA_SLOT_COUNT : 1,
                             .sink = &sink,
                             .arg = watch},
            },
    };
    return sta_l2_create(&watch->l2, loop, &config,
                         NULL); /* the lanes tell what there is to tell */
}

static int open_space(struct sta_barrier_watch *watch, const struct sta_stratad *stratad,
                      struct sta_loop *loop, const char *prefix)
{
    const struct sta_barriers_owner owner = {
        .loop = loop,
        .l1 = watch->l1,
        .l2 = watch->l2,
        .log = stratad->log,
        .prefix = strata_text(prefix),
        .whole_keys = true,
        .hears = watch->l2 != NULL,
        .closes = watch->l2 != NULL,
        .staleness_ns = stratad->max_staleness_ns,
        .budget_ns = sta_stratad_live(&stratad->live.timeout_ms) * STA_NS_MS,
        .veiled = on_veiled,
        .arg = watch,
    };
    return sta_barriers_init(&watch->spaces[watch->space_count++], &owner);
}

int sta_barrier_watch_open(struct sta_stratad *stratad)
{
    struct sta_barrier_watch *watch = &stratad->watch;
    struct sta_loop *loop = stratad->workers[0]->loop;
    const char *prefix = stratad->options.cache.l2_key_prefix;
    int status = STRATA_OK;
    if (stratad->tracking == STA_TRACKING_OFF)
        return STRATA_OK;
    watch->l1 = stratad->l1;
    status = open_l2(watch, stratad, loop);
    if (status == STRATA_OK)
        status = open_space(watch, stratad, loop, "");
    if (status == STRATA_OK && prefix != NULL && prefix[0] != '\0')
        status = open_space(watch, stratad, loop, prefix);
    return status;
}

void sta_barrier_watch_close(struct sta_worker *worker)
{
    struct sta_barrier_watch *watch = &worker->stratad->watch;
    if (worker->index == 0) {
        sta_l2_destroy(&watch->l2); /* whoever waits for it has been told then */
        for (size_t i = 0; i < watch->space_count; i++)
            sta_barriers_fini(&watch->spaces[i]);
    }
    while (!sta_list_empty(&worker->waiting))
        conclude(STA_CONTAINER(worker->waiting.next, struct sta_barrier_wait, link));
}

void sta_barrier_watch_adjust(struct sta_barrier_watch *watch, uint64_t budget_ns)
{
    for (size_t i = 0; i < watch->space_count; i++)
        sta_barriers_adjust(&watch->spaces[i], budget_ns);
}
