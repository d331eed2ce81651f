/* SPDX-License-Identifier: MIT
 *
 * Hearing of barriers: reading the hash, what follows from it, and sweeping L1; see barriers.h.
 */
#include "cache/barriers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/flight.h"
#include "core/mutant.h"
#include "core/random.h"
#include "strata/status.h"

#define ROUNDS      3u /* of reading within max_staleness */
#define ID_LEN      16u
#define SWEEP_STEPS 256u /* of L1's scan, a dozen entries each, before the loop turns */

/* ---- L1 ---- */

bool sta_barriers_veils(void *arg, struct strata_bytes key, uint64_t now_ms)
{
    struct sta_barriers *barriers = arg;
    return sta_barriers_is_late(barriers, now_ms) ||
           /* what L1 has of a key since this process has set it is not older than that */
           sta_barriers_hides(barriers, key, now_ms * STA_NS_MS + (STA_NS_MS - 1));
}

/* From when on L1 has to ask. */
static void set_veil(struct sta_barriers *barriers)
{
    const struct sta_barriers_owner *owner = &barriers->owner;
    barriers->veiled_ms = sta_list_empty(&barriers->veil.patterns)
                              ? atomic_load_explicit(&barriers->until_ms, memory_order_relaxed)
                              : 0;
    if (owner->veiled != NULL)
        owner->veiled(owner->arg);
    else if (owner->l1 != NULL)
        sta_l1_veil(owner->l1, barriers->veiled_ms);
}

static void set_until(struct sta_barriers *barriers, uint64_t until_ns)
{
    barriers->until_ns = until_ns;
    bool open = until_ns == STA_NEVER || !barriers->owner.closes || STA_MUTANT(VEIL_CLOSED);
    atomic_store_explicit(&barriers->until_ms, open ? STA_NEVER : until_ns / STA_NS_MS,
                          memory_order_relaxed);
    set_veil(barriers);
}

/* ---- patterns ---- */

struct sta_veil_pattern *sta_barriers_add(struct sta_barriers *barriers, uint64_t id,
                                          struct strata_bytes pattern, bool own)
{
    const struct sta_barriers_owner *owner = &barriers->owner;
    struct sta_veil_pattern *made = sta_veil_add(&barriers->veil, id, pattern);
    if (made == NULL)
        return NULL;
    /* Who raises deletes from L1 himself, and counts. */
    made->own = own;
    made->swept = own || owner->l1 == NULL || STA_MUTANT(VEIL_SWEEP);
    set_veil(barriers);
    if (owner->l1 != NULL && !STA_MUTANT(VEIL_FILL))
        sta_l1_overtake(owner->l1);
    if (owner->l1 == NULL)
        sta_flight_overtake_all(owner->flights);
    if (!made->swept)
        sta_timer_start(owner->loop, &barriers->sweep, sta_loop_now_ns(owner->loop));
    return made;
}

void sta_barriers_review(struct sta_barriers *barriers, struct sta_veil_pattern *pattern)
{
    if (pattern->own || pattern->there || !pattern->swept)
        return;
    sta_veil_leave(&barriers->veil, pattern, sta_loop_now_ns(barriers->owner.loop));
    set_veil(barriers);
}

static void review_all(struct sta_barriers *barriers)
{
    struct sta_list *all = &barriers->veil.patterns;
    for (struct sta_list *node = all->next, *next; node != all; node = next) {
        struct sta_veil_pattern *pattern = STA_CONTAINER(node, struct sta_veil_pattern, link);
        next = node->next;
        sta_barriers_review(barriers, pattern);
    }
}

/* ---- sweeping ---- */

/* Some steps: true where L1 has been gone through. Without memory it begins where it stands,
 * later. */
static bool sweep_some(struct sta_barriers *barriers, struct sta_veil_pattern *pattern)
{
    struct sta_l1 *l1 = barriers->owner.l1;
    uint64_t now_ms = sta_loop_now_ns(barriers->owner.loop) / STA_NS_MS;
    struct sta_buffer names;
    struct strata_bytes rest, name;
    int status = STRATA_OK;
    sta_buffer_init(&names, SIZE_MAX);
    for (unsigned i = 0; i < SWEEP_STEPS && status == STRATA_OK; i++) {
        status = sta_l1_scan(l1, &pattern->cursor, &pattern->glob, now_ms, &names);
        if (pattern->cursor == 0)
            break;
    }
    rest = sta_buffer_bytes(&names);
    while (sta_l1_scan_next(&rest, &name)) {
        struct sta_key key = sta_l1_key(l1, name);
        (void)sta_l1_invalidate(l1, &key, now_ms, NULL);
    }
    sta_buffer_fini(&names);
    return status == STRATA_OK && pattern->cursor == 0;
}

static void on_sweep(struct sta_timer *timer)
{
    struct sta_barriers *barriers = STA_CONTAINER(timer, struct sta_barriers, sweep);
    struct sta_loop *loop = barriers->owner.loop;
    struct sta_list *all = &barriers->veil.patterns;
    for (struct sta_list *node = all->next; node != all; node = node->next) {
        struct sta_veil_pattern *pattern = STA_CONTAINER(node, struct sta_veil_pattern, link);
        if (pattern->swept)
            continue;
        pattern->swept = sweep_some(barriers, pattern);
        sta_timer_start(loop, timer, sta_clock_after(sta_loop_now_ns(loop), STA_NS_MS));
        if (pattern->swept)
            sta_barriers_review(barriers, pattern);
        return;
    }
}

/* ---- what the hash holds ---- */

int sta_barriers_error(struct strata_bytes text)
{
    static const char *const passing[] = {"LOADING",  "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",
                                          "READONLY", "MOVED",      "ASK",         "BUSY"};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        size_t len = strlen(passing[i]);
        if (text.len >= len && memcmp(text.data, passing[i], len) == 0)
            return STRATA_ERR_UNAVAILABLE;
    }
    return text.len >= 6 && memcmp(text.data, "NOPERM", 6) == 0 ? STRATA_ERR_DENIED
                                                                : STRATA_ERR_SERVER;
}

static bool read_id(struct strata_bytes text, uint64_t *id)
{
    char digits[ID_LEN + 1] = "", *end;
    if (text.len != ID_LEN)
        return false;
    memcpy(digits, text.data, ID_LEN);
    *id = strtoull(digits, &end, 16);
    return end == digits + ID_LEN;
}

/* One field. What nobody of us has written is passed over. */
static int apply_field(struct sta_barriers *barriers, struct strata_bytes field,
                       struct strata_bytes value)
{
    uint64_t id;
    const uint8_t *space = value.len > 0 ? memchr(value.data, ' ', value.len) : NULL;
    if (space == NULL || !read_id(field, &id))
        return STRATA_OK;
    size_t len = value.len - (size_t)(space + 1 - (const uint8_t *)value.data);
    if (len > STA_GLOB_MAX)
        return STRATA_OK;
    struct sta_veil_pattern *pattern = sta_veil_find(&barriers->veil, id);
    if (pattern == NULL)
        pattern = sta_barriers_add(barriers, id, strata_bytes(space + 1, len), false);
    if (pattern == NULL)
        return STRATA_ERR_NOMEM;
    pattern->seen = true;
    return STRATA_OK;
}

static void forget_seen(struct sta_barriers *barriers)
{
    struct sta_list *all = &barriers->veil.patterns;
    for (struct sta_list *node = all->next; node != all; node = node->next)
        STA_CONTAINER(node, struct sta_veil_pattern, link)->seen = false;
}

static void take_seen(struct sta_barriers *barriers)
{
    struct sta_list *all = &barriers->veil.patterns;
    for (struct sta_list *node = all->next; node != all; node = node->next) {
        struct sta_veil_pattern *pattern = STA_CONTAINER(node, struct sta_veil_pattern, link);
        pattern->there = pattern->seen;
    }
}

int sta_barriers_apply(struct sta_barriers *barriers, struct strata_bytes reply, uint64_t asked_ns)
{
    struct sta_resp_walk walk = sta_resp_walk(reply);
    struct sta_resp_value head, field, value;
    if (sta_resp_next(&walk, &head) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (head.type == STA_RESP_ERROR || head.type == STA_RESP_BULK_ERROR)
        return sta_barriers_error(head.bytes);
    if (head.type != STA_RESP_MAP && head.type != STA_RESP_ARRAY)
        return STRATA_ERR_PROTOCOL;
    if (asked_ns < barriers->applied_ns)
        return STRATA_OK; /* a younger one was faster */
    uint64_t pairs = head.type == STA_RESP_MAP ? head.count : head.count / 2;
    if (pairs > STA_BARRIERS_READ_MOST)
        return STRATA_ERR_SERVER;
    forget_seen(barriers);
    for (uint64_t i = 0; i < pairs; i++) {
        if (sta_resp_next(&walk, &field) != STRATA_OK || sta_resp_next(&walk, &value) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
        int status = apply_field(barriers, field.bytes, value.bytes);
        if (status < 0)
            return status;
    }
    take_seen(barriers);
    review_all(barriers);
    barriers->applied_ns = asked_ns;
    return STRATA_OK;
}

/* ---- reading it ---- */

static struct sta_barriers_waiter *waiter_at(struct sta_list *node)
{
    return STA_CONTAINER(node, struct sta_barriers_waiter, link);
}

static void release_waiting(struct sta_barriers *barriers)
{
    struct sta_list *node;
    struct sta_list waiting;
    sta_list_init(&waiting);
    sta_list_splice_back(&waiting, &barriers->waiting);
    while ((node = sta_list_pop_front(&waiting)) != NULL) {
        struct sta_barriers_waiter *waiter = waiter_at(node);
        waiter->known(waiter);
    }
}

/* Whose time is over first comes first: as a rule that is the order in which they come. */
static void wait_in_line(struct sta_barriers *barriers, struct sta_barriers_waiter *waiter)
{
    struct sta_list *before = barriers->waiting.prev;
    while (before != &barriers->waiting && waiter_at(before)->deadline_ns > waiter->deadline_ns)
        before = before->prev;
    sta_list_push_front(before, &waiter->link);
    if (barriers->waiting.next == &waiter->link)
        sta_timer_start(barriers->owner.loop, &barriers->patience, waiter->deadline_ns);
}

/* Whoever has waited as long as he may goes on with what is known. */
static void on_patience(struct sta_timer *timer)
{
    struct sta_barriers *barriers = STA_CONTAINER(timer, struct sta_barriers, patience);
    uint64_t now_ns = sta_loop_now_ns(barriers->owner.loop);
    while (!sta_list_empty(&barriers->waiting)) {
        struct sta_barriers_waiter *first = waiter_at(barriers->waiting.next);
        if (first->deadline_ns > now_ns) {
            sta_timer_start(barriers->owner.loop, timer, first->deadline_ns);
            return;
        }
        sta_list_remove(&first->link);
        first->known(first);
    }
}

static void complain(struct sta_barriers *barriers, int status)
{
    if (!barriers->complained)
        sta_log_write(
            barriers->owner.log, STRATA_LOG_WARNING, STA_ROOM_CACHE,
            "barriers cannot be read from %.*s (%s), so what others invalidate by pattern "
            "there is answered until it is deleted",
            (int)barriers->name.len, (const char *)barriers->name.data, strata_status_text(status));
    barriers->complained = true;
}

/* A refusal is an answer, too, and as long good. Without tracking L1 is as good as its TTLs in any
 * case, as long as that is so. */
static void take(struct sta_barriers *barriers, int status)
{
    const struct sta_barriers_owner *owner = &barriers->owner;
    barriers->failed = status < 0;
    barriers->refused = status == STRATA_ERR_DENIED || status == STRATA_ERR_SERVER;
    if (barriers->refused)
        complain(barriers, status);
    else if (status == STRATA_OK)
        barriers->complained = false;
    else if (barriers->until_ns != STA_NEVER)
        return;
    set_until(barriers, sta_l2_is_tracked(owner->l2)
                            ? sta_clock_after(barriers->asked_ns, owner->staleness_ns)
                            : STA_NEVER);
}

static void read_begin(struct sta_barriers *barriers);

static void on_read(struct sta_command *command, int status, struct strata_bytes replies)
{
    struct sta_barriers *barriers = STA_CONTAINER(command, struct sta_barriers, read);
    bool again = barriers->again && status != STRATA_ERR_CLOSED;
    barriers->reading = barriers->again = false;
    if (status == STRATA_OK)
        status = sta_barriers_apply(barriers, replies, barriers->asked_ns);
    take(barriers, status);
    if (again)
        read_begin(barriers);
    release_waiting(barriers);
}

/* Given up where the last one ends to count, so that by then it is known that there is none. */
static void read_begin(struct sta_barriers *barriers)
{
    const struct sta_barriers_owner *owner = &barriers->owner;
    const struct strata_bytes words[] = {strata_text("HGETALL"), barriers->name};
    barriers->reading = true;
    barriers->asked_ns = sta_loop_now_ns(owner->loop);
    sta_command_fini(&barriers->read);
    sta_command_init(&barriers->read, owner->l2, on_read);
    int status = sta_command_add(&barriers->read, words, 2);
    if (status == STRATA_OK)
        sta_command_start(&barriers->read, barriers->name,
                          sta_clock_after(barriers->asked_ns,
                                          barriers->owner.staleness_ns * (ROUNDS - 1) / ROUNDS));
    else
        on_read(&barriers->read, status, strata_bytes(NULL, 0));
}

bool sta_barriers_defer(struct sta_barriers *barriers, struct sta_barriers_waiter *waiter)
{
    const struct sta_barriers_owner *owner = &barriers->owner;
    if (barriers->owner.hears && !barriers->used)
        sta_barriers_look(barriers,
                          sta_clock_after(sta_loop_now_ns(owner->loop), barriers->every_ns));
    barriers->used = barriers->owner.hears;
    if (!barriers->owner.hears || sta_loop_now_ns(owner->loop) < barriers->until_ns)
        return false;
    /* Other nodes of a cluster are not to wait for the one that hangs. */
    if (barriers->refused || (barriers->failed && sta_l2_is_cluster(owner->l2)))
        return false;
    wait_in_line(barriers, waiter);
    if (!barriers->reading)
        read_begin(barriers);
    return true;
}

/* ---- time ---- */

void sta_barriers_look(struct sta_barriers *barriers, uint64_t at_ns)
{
    if (at_ns >= barriers->look_ns)
        return;
    barriers->look_ns = at_ns;
    sta_timer_start(barriers->owner.loop, &barriers->timer, at_ns);
}

static void on_timer(struct sta_timer *timer)
{
    struct sta_barriers *barriers = STA_CONTAINER(timer, struct sta_barriers, timer);
    uint64_t now_ns = sta_loop_now_ns(barriers->owner.loop);
    bool soon = barriers->soon;
    barriers->soon = false;
    barriers->look_ns = STA_NEVER;
    sta_veil_prune(&barriers->veil, now_ns);
    if (barriers->owner.hears && barriers->reading)
        barriers->again |= soon;
    else if (barriers->owner.hears && (soon || barriers->used))
        read_begin(barriers);
    sta_barriers_renew_all(barriers, now_ns);
    if (barriers->used || !sta_list_empty(&barriers->raised) || barriers->veil.left_count > 0)
        sta_barriers_look(barriers, sta_clock_after(now_ns, barriers->every_ns));
}

void sta_barriers_named(struct sta_barriers *barriers)
{
    if (!barriers->owner.hears || barriers->soon || STA_MUTANT(VEIL_NAMED))
        return;
    barriers->soon = true;
    sta_barriers_look(barriers, sta_loop_now_ns(barriers->owner.loop));
}

/* ---- life ---- */

static int make_name(struct sta_barriers *barriers)
{
    struct strata_bytes prefix = barriers->owner.prefix;
    size_t len = prefix.len + sizeof STA_BARRIERS_NAME - 1;
    uint8_t *name = malloc(len);
    if (name == NULL)
        return STRATA_ERR_NOMEM;
    if (prefix.len > 0)
        memcpy(name, prefix.data, prefix.len);
    memcpy(name + prefix.len, STA_BARRIERS_NAME, sizeof STA_BARRIERS_NAME - 1);
    barriers->name = strata_bytes(name, len);
    return STRATA_OK;
}

/* Of a call that was answered when its time was over, and then waited for a reading. */
static uint64_t oldest_question_ns(uint64_t budget_ns)
{
    return 2 * budget_ns;
}

int sta_barriers_init(struct sta_barriers *barriers, const struct sta_barriers_owner *owner)
{
    barriers->owner = *owner;
    barriers->every_ns = STA_BARRIERS_RENEW_NS;
    if (owner->hears && owner->staleness_ns / ROUNDS < barriers->every_ns)
        barriers->every_ns = owner->staleness_ns / ROUNDS;
    barriers->look_ns = STA_NEVER;
    sta_timer_init(&barriers->timer, on_timer);
    sta_timer_init(&barriers->sweep, on_sweep);
    sta_timer_init(&barriers->patience, on_patience);
    sta_list_init(&barriers->waiting);
    sta_list_init(&barriers->raised);
    int status = make_name(barriers);
    size_t before = status == STRATA_OK && owner->whole_keys ? owner->prefix.len : 0;
    sta_veil_init(&barriers->veil, sta_random_seed(), oldest_question_ns(owner->budget_ns),
                  strata_bytes(barriers->name.data, before));
    atomic_store_explicit(&barriers->budget_ns, owner->budget_ns, memory_order_relaxed);
    set_until(barriers, owner->hears ? 0 : STA_NEVER);
    return status;
}

void sta_barriers_adjust(struct sta_barriers *barriers, uint64_t budget_ns)
{
    if (barriers->owner.loop == NULL)
        return;
    atomic_store_explicit(&barriers->budget_ns, budget_ns, memory_order_relaxed);
    sta_veil_linger(&barriers->veil, oldest_question_ns(budget_ns));
}

bool sta_barriers_is_name(const struct sta_barriers *barriers, struct strata_bytes key)
{
    return key.len == barriers->name.len && memcmp(key.data, barriers->name.data, key.len) == 0;
}

void sta_barriers_fini(struct sta_barriers *barriers)
{
    if (barriers->owner.loop == NULL)
        return;
    sta_timer_stop(barriers->owner.loop, &barriers->timer);
    sta_timer_stop(barriers->owner.loop, &barriers->sweep);
    sta_timer_stop(barriers->owner.loop, &barriers->patience);
    sta_command_fini(&barriers->read);
    sta_veil_fini(&barriers->veil);
    free((void *)barriers->name.data);
}
