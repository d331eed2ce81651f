/* SPDX-License-Identifier: MIT
 *
 * What the version guard (guard.h) adds to the queue: of which state of Redis the next write of a
 * key may take the place, and what it means that another was found there.
 *
 * What is under way is hashed only where it has to be known: when a newer push takes its place in
 * the entry, when its answer was lost, and when something is owed on top of it; and not here where
 * the push brought its digest.
 */
#include "cache/behind_queue_inside.h"

#include <assert.h>
#include <string.h>

static bool is_writing(const struct sta_behind_entry *entry)
{
    return entry->guard != NULL && entry->state == STA_BEHIND_FLYING && !entry->guard->looking;
}

/* Of the value that the entry has. */
static struct sta_guard_state own_state(const struct sta_behind_entry *entry)
{
    struct sta_guard_state state = {.expires_ns = entry->expires_ns, .kind = STA_GUARD_VALUE};
    if (!entry->guard->digested)
        return sta_guard_value(sta_behind_entry_value(entry), entry->expires_ns);
    memcpy(state.digest, entry->guard->digest, STA_SHA1_LEN);
    return state;
}

/* Of a write that is, or was just now, under way. */
static struct sta_guard_state sent_state(const struct sta_behind_entry *entry)
{
    if (entry->guard->kept)
        return entry->guard->sent;
    return entry->guard->sent_gone ? sta_guard_none() : own_state(entry);
}

void sta_behind_guard_keep(struct sta_behind_entry *entry)
{
    if (!is_writing(entry) || entry->guard->kept)
        return;
    entry->guard->sent = sent_state(entry);
    entry->guard->kept = true;
}

/* As long as an older write may yet be carried out it may take the place of this one: where their
 * values come again, their conditions do, too. */
void sta_behind_guard_written(struct sta_behind_entry *entry)
{
    if (entry->guard == NULL)
        return;
    const struct sta_guard_state sent = sent_state(entry);
    if (entry->unsure)
        sta_guard_add(&entry->guard->basis, &sent);
    else
        sta_guard_set(&entry->guard->basis, &sent);
    entry->guard->written = entry->sent_version;
}

void sta_behind_guard_lost(struct sta_behind_entry *entry)
{
    if (entry->guard == NULL)
        return;
    const struct sta_guard_state sent = sent_state(entry);
    sta_guard_add(&entry->guard->basis, &sent);
}

void sta_behind_queue_basis(struct sta_behind_entry *entry, const struct sta_behind_push *push,
                            struct sta_guard_basis *out)
{
    out->count = 0;
    if (entry == NULL && push->basis != NULL)
        *out = *push->basis;
    if (entry == NULL || entry->guard == NULL)
        return;
    sta_behind_guard_keep(entry);
    *out = entry->guard->basis;
    if (is_writing(entry))
        sta_guard_add(out, &entry->guard->sent);
}

void sta_behind_queue_rebase(struct sta_behind_entry *entry, const struct sta_guard_basis *basis)
{
    if (entry->guard == NULL)
        return;
    entry->guard->basis = *basis;
    if (basis->count == 0)
        return;
    const struct sta_guard_state own = entry->is_delete ? sta_guard_none() : own_state(entry);
    sta_guard_add(&entry->guard->basis, &own);
}

/* When the next attempt is due. */
static uint64_t due_after(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                          const struct sta_guard_state *seen, uint64_t now_ns)
{
    struct sta_behind_guard *guard = entry->guard;
    if (!guard->looking) { /* what it was based on has expired since it was sent */
        sta_guard_add(&guard->basis, seen);
        return now_ns;
    }
    if (!sta_behind_queue_settles(queue, entry, now_ns)) /* it may yet be another */
        return entry->settled_ns;
    sta_guard_set(&guard->basis, seen);
    bool at_once = queue->hurry || sta_behind_queue_is_pressed(queue) || guard->due_ns < now_ns;
    return at_once ? now_ns : guard->due_ns;
}

bool sta_behind_queue_settle_seen(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                                  const struct sta_guard_state *seen, uint64_t now_ns)
{
    const struct sta_guard_basis *basis = &entry->guard->basis;
    assert(entry->state == STA_BEHIND_FLYING);
    queue->numbers.flying--;
    queue->failures = 0;
    queue->quiet_ns = 0;
    entry->failures = 0;
    entry->refusals = 0;
    if (basis->count == 0 || sta_guard_holds(basis, seen, now_ns)) {
        sta_behind_queue_wait(queue, entry, due_after(queue, entry, seen, now_ns));
        return false;
    }
    sta_behind_queue_forget(queue, entry);
    /* What Redis has had, and was only repeated to be sure, has come and gone. */
    if (entry->guard->written != entry->version)
        queue->numbers.overtaken++;
    return true;
}
