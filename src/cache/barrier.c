/* SPDX-License-Identifier: MIT
 *
 * Barriers of this process: put up, renewed, dropped; see barriers.h.
 *
 * One script does all three, so that it may be sent again when nobody knows what became of it. It
 * looks at the time of the server that has the hash, and at no other. Behind it the hash is read,
 * and so known to this cache when the answer is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/barriers.h"
#include "core/mutant.h"
#include "core/random.h"
#include "strata/status.h"

/* KEYS[1]: the hash; ARGV: id, TTL in ms ('': drop), the most there may be, pattern. 1: done; 0:
 * too many. When one is dropped, what is left of the hash ends no later than the last of the
 * others. */
static const char script[] =
    "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000) "
    "local all=redis.call('HGETALL',KEYS[1]) local others=0 local last=0 "
    "for i=1,#all,2 do if all[i]~=ARGV[1] then "
    "local ends=tonumber(string.match(all[i+1],'^%d+')) or 0 "
    "if ends<now then redis.call('HDEL',KEYS[1],all[i]) "
    "else others=others+1 if ends>last then last=ends end end end end "
    "if ARGV[2]=='' then redis.call('HDEL',KEYS[1],ARGV[1]) "
    "if redis.call('PTTL',KEYS[1])>last-now and last>0 then "
    "redis.call('PEXPIRE',KEYS[1],string.format('%.0f',last-now)) end return 1 end "
    "if others>=tonumber(ARGV[3]) then return 0 end "
    "redis.call('HSET',KEYS[1],ARGV[1],string.format('%.0f',now+ARGV[2])..' '..ARGV[4]) "
    "redis.call('PEXPIRE',KEYS[1],ARGV[2]) return 1";

static void on_sent(struct sta_command *command, int status, struct strata_bytes replies);

static int encode(struct sta_barrier *barrier, bool drop)
{
    struct sta_barriers *barriers = barrier->barriers;
    char ttl[24] = "", most[16];
    if (!drop)
        (void)snprintf(ttl, sizeof ttl, "%" PRIu64, STA_BARRIERS_TTL_MS);
    (void)snprintf(most, sizeof most, "%u", STA_BARRIERS_MOST);
    const struct strata_bytes eval[] = {
        strata_text("EVAL"),
        strata_text(script),
        strata_text("1"),
        barriers->name,
        strata_text(barrier->id_text),
        strata_text(ttl),
        strata_text(most),
        drop ? strata_text("") : barrier->pattern,
    };
    const struct strata_bytes read[] = {strata_text("HGETALL"), barriers->name};
    int status = sta_command_add(&barrier->command, eval, sizeof eval / sizeof eval[0]);
    return status == STRATA_OK ? sta_command_add(&barrier->command, read, 2) : status;
}

static void send(struct sta_barrier *barrier)
{
    struct sta_barriers *barriers = barrier->barriers;
    uint64_t now_ns = sta_loop_now_ns(barriers->owner.loop);
    uint64_t budget_ns = atomic_load_explicit(&barriers->budget_ns, memory_order_relaxed);
    barrier->busy = true;
    barrier->asked_ns = now_ns;
    sta_command_fini(&barrier->command);
    sta_command_init(&barrier->command, barriers->owner.l2, on_sent);
    int status = encode(barrier, barrier->state == STA_BARRIER_DROPPING);
    if (status == STRATA_OK)
        sta_command_start(&barrier->command, barriers->name, sta_clock_after(now_ns, budget_ns));
    else
        on_sent(&barrier->command, status, strata_bytes(NULL, 0));
}

static void finish(struct sta_barrier *barrier, enum sta_barrier_state state, int status)
{
    barrier->state = state;
    barrier->done(barrier, status);
}

/* What the script said, and what the hash holds since. */
static int read_replies(struct sta_barrier *barrier, struct strata_bytes replies)
{
    struct sta_barriers *barriers = barrier->barriers;
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value said;
    if (sta_resp_next(&walk, &said) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (said.type == STA_RESP_ERROR || said.type == STA_RESP_BULK_ERROR)
        return sta_barriers_error(said.bytes);
    if (barriers->owner.hears)
        (void)sta_barriers_apply(barriers, walk.rest, barrier->asked_ns);
    return said.type == STA_RESP_INTEGER && said.integer == 1 ? STRATA_OK : STRATA_ERR_BUSY;
}

static void on_sent(struct sta_command *command, int status, struct strata_bytes replies)
{
    struct sta_barrier *barrier = STA_CONTAINER(command, struct sta_barrier, command);
    struct sta_barriers *barriers = barrier->barriers;
    bool renews = barrier->renewed_ns != 0;
    barrier->busy = false;
    if (status == STRATA_OK)
        status = read_replies(barrier, replies);
    switch (barrier->state) {
    case STA_BARRIER_RAISING:
        if (status == STRATA_OK) {
            barrier->renewed_ns = barrier->asked_ns;
            sta_list_push_back(&barriers->raised, &barrier->link);
            sta_barriers_look(barriers, barrier->asked_ns);
        }
        finish(barrier, status == STRATA_OK ? STA_BARRIER_UP : STA_BARRIER_DOWN, status);
        break;
    case STA_BARRIER_DROPPING:
        if (renews) { /* it was a renewal that was answered */
            barrier->renewed_ns = 0;
            send(barrier);
        } else {
            finish(barrier, STA_BARRIER_DOWN, status);
        }
        break;
    case STA_BARRIER_UP:
    case STA_BARRIER_DOWN:
        break; /* what was not renewed is so with the next turn */
    }
}

void sta_barriers_renew_all(struct sta_barriers *barriers, uint64_t now_ns)
{
    struct sta_list *all = &barriers->raised;
    for (struct sta_list *node = all->next; node != all; node = node->next) {
        struct sta_barrier *barrier = STA_CONTAINER(node, struct sta_barrier, link);
        if (barrier->busy || now_ns - barrier->renewed_ns < STA_BARRIERS_RENEW_NS ||
            STA_MUTANT(VEIL_RENEWED))
            continue;
        barrier->renewed_ns = now_ns;
        send(barrier);
    }
}

/* ---- raising and dropping ---- */

static bool hide_here(struct sta_barrier *barrier)
{
    struct sta_barriers *barriers = barrier->barriers;
    if (barrier->id != 0)
        return true; /* raised once before */
    uint64_t id = sta_random_seed() | 1;
    if (sta_barriers_add(barriers, id, barrier->pattern, true) == NULL)
        return false;
    barrier->id = id;
    (void)snprintf(barrier->id_text, sizeof barrier->id_text, "%016" PRIx64, id);
    return true;
}

void sta_barrier_raise_start(struct sta_barrier *barrier)
{
    barrier->renewed_ns = 0;
    if (!hide_here(barrier)) {
        finish(barrier, STA_BARRIER_DOWN, STRATA_ERR_NOMEM);
    } else if (barrier->barriers->owner.l2 == NULL) {
        finish(barrier, STA_BARRIER_UP, STRATA_OK);
    } else {
        barrier->state = STA_BARRIER_RAISING;
        send(barrier);
    }
}

static void show_here(struct sta_barrier *barrier)
{
    struct sta_barriers *barriers = barrier->barriers;
    struct sta_veil_pattern *pattern = sta_veil_find(&barriers->veil, barrier->id);
    if (pattern == NULL)
        return;
    pattern->own = false;
    sta_barriers_review(barriers, pattern);
    sta_barriers_look(barriers, sta_clock_after(sta_loop_now_ns(barrier->barriers->owner.loop),
                                                barriers->every_ns));
}

void sta_barrier_drop_start(struct sta_barrier *barrier)
{
    bool up = barrier->state == STA_BARRIER_UP && barrier->renewed_ns != 0;
    if (up)
        sta_list_remove(&barrier->link);
    barrier->state = STA_BARRIER_DROPPING;
    if (barrier->id != 0)
        show_here(barrier);
    if (barrier->id == 0 || barrier->barriers->owner.l2 == NULL) {
        finish(barrier, STA_BARRIER_DOWN, STRATA_OK);
    } else if (!barrier->busy) {
        barrier->renewed_ns = 0;
        send(barrier);
    }
}

/* ---- waiting for it ---- */

static void on_done(struct sta_barrier *barrier, int status)
{
    barrier->status = status;
    sta_waiter_signal(&barrier->waiter);
}

static void on_raise(struct sta_task *task)
{
    sta_barrier_raise_start(STA_CONTAINER(task, struct sta_barrier, task));
}

static void on_drop(struct sta_task *task)
{
    sta_barrier_drop_start(STA_CONTAINER(task, struct sta_barrier, task));
}

static int run(struct sta_barrier *barrier, void (*what)(struct sta_task *task))
{
    barrier->done = on_done;
    barrier->task.run = what;
    sta_waiter_init(&barrier->waiter, barrier->barriers->owner.loop);
    sta_loop_post(barrier->barriers->owner.loop, &barrier->task);
    sta_waiter_wait(&barrier->waiter);
    return barrier->status;
}

int sta_barrier_raise(struct sta_barrier *barrier)
{
    return run(barrier, on_raise);
}

int sta_barrier_drop(struct sta_barrier *barrier)
{
    int status = run(barrier, on_drop);
    sta_command_fini(&barrier->command);
    return status;
}
