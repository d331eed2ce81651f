/* SPDX-License-Identifier: MIT
 *
 * See sim_owed.h.
 */
#include "sim/sim_owed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/clock.h"
#include "sim/sim_oracle.h"
#include "strata/status.h"

/* So long after nothing was owed any more the journal has that, if it can be written. */
#define RECORDED_NS (1500 * STA_NS_MS)

/* Of a TTL a journal has whole milliseconds, and when that was. */
#define ROUNDED_NS (2 * STA_NS_MS)

enum progress { BEGUN, ACCEPTED, ACKED, STRAY, REFUSED };

struct write {
    uint64_t serial; /* 0: a delete */
    uint64_t expires_ns;
    bool late;     /* it has waited for room, and its time counts from some time later */
    bool replayed; /* or would have been */
    uint64_t accepted_ns;
    enum progress progress;
    unsigned state; /* of the history, when it came first; 0: it did not */
};

/* Numbers count from 1; 0: none. */
struct key {
    struct write *writes;
    unsigned count, cap;
    unsigned newest; /* that the queue of this process has taken, or one before has acknowledged */
    unsigned done;   /* the highest that came */
    unsigned last;   /* the last that came */
    unsigned coming; /* is being carried out */
    bool astray;     /*   and counts as if others had done it */
    bool back;       /* what is there came back over a newer delete */
    bool disturbed;  /* others have changed the key since */
    bool foreign;    /* what is there was set by others; */
    unsigned barred; /*   no number up to this one goes over it */
    uint64_t serial; /* of what is there */
    uint64_t clear_ns; /* since when nothing is owed, as far as was seen; 0: something was */
    bool was_clear;    /* for long, when its process died */
    unsigned orphans;  /* up to this one they are of processes that have left no journal */
};

struct sim_owed {
    struct sim *sim;
    struct sim_oracle *oracle;
    struct sim_owed_config config;
    struct sim_owed_events events;
    struct key keys[SIM_KEYS_MOST];
};

static const char *name_of(const struct sim_owed *owed, unsigned key)
{
    return sim_oracle_key(owed->oracle, key).data;
}

static struct write *write_at(const struct key *key, unsigned number)
{
    return &key->writes[number - 1];
}

static bool is_gone(const struct write *write, uint64_t now_ns)
{
    return write->serial == 0 || write->expires_ns <= now_ns;
}

unsigned sim_owed_writer(const struct sim_owed *owed, unsigned key)
{
    return key % owed->config.caches;
}

static struct sim_owed_queued queued(const struct sim_owed *owed, unsigned key)
{
    return owed->events.queued(owed->events.arg, sim_owed_writer(owed, key), key);
}

/* ---- what its cache does ---- */

unsigned sim_owed_begin(struct sim_owed *owed, unsigned index, uint64_t serial, uint64_t expires_ns)
{
    struct key *key = &owed->keys[index];
    if (key->count == key->cap) {
        key->cap = key->cap == 0 ? 32 : 2 * key->cap;
        key->writes = realloc(key->writes, key->cap * sizeof *key->writes);
        assert(key->writes != NULL);
    }
    key->writes[key->count++] = (struct write){.serial = serial, .expires_ns = expires_ns};
    return key->count;
}

void sim_owed_accepted(struct sim_owed *owed, unsigned index, unsigned number)
{
    struct key *key = &owed->keys[index];
    struct write *write = write_at(key, number);
    write->progress = ACCEPTED;
    write->accepted_ns = sim_now_ns(owed->sim);
    key->newest = number > key->newest ? number : key->newest;
    key->clear_ns = 0;
}

void sim_owed_ended(struct sim_owed *owed, unsigned index, unsigned number, bool through,
                    int status)
{
    struct write *write = write_at(&owed->keys[index], number);
    bool taken = write->progress == ACCEPTED || status >= 0 ||
                 (status == STRATA_ERR_TIMEOUT && !through); /* it waited for more than room */
    if (!taken) {
        write->progress = through ? STRAY : REFUSED;
        return;
    }
    if (write->progress == BEGUN) {
        sim_owed_accepted(owed, index, number);
        write->late = write->expires_ns != STA_NEVER;
    }
    if (status >= 0)
        write->progress = ACKED;
}

/* What cannot be relied upon any more, and may come or not. */
static void demote(struct key *key, uint64_t kept_ns, bool lax)
{
    key->newest = 0;
    if (kept_ns == 0)
        key->orphans = key->count;
    if (lax) /* what Redis had may be looked at anew */
        key->barred = 0;
    for (unsigned number = 1; number <= key->count; number++) {
        struct write *write = write_at(key, number);
        write->replayed = true;
        if (write->progress == BEGUN)
            write->progress = STRAY;
        if (write->progress == ACKED && write->accepted_ns >= kept_ns && number > key->last)
            write->progress = ACCEPTED;
        if (write->progress == ACKED)
            key->newest = number;
    }
}

void sim_owed_died(struct sim_owed *owed, unsigned writer, uint64_t kept_ns)
{
    uint64_t now_ns = sim_now_ns(owed->sim);
    for (unsigned i = 0; i < owed->config.keys; i++) {
        struct key *key = &owed->keys[i];
        if (sim_owed_writer(owed, i) != writer)
            continue;
        struct sim_owed_queued at = queued(owed, i);
        key->was_clear =
            !at.owed && at.whole && key->clear_ns != 0 && key->clear_ns + RECORDED_NS < now_ns;
        demote(key, kept_ns, owed->config.guard == STA_BEHIND_GUARD_LAX);
    }
}

void sim_owed_reborn(struct sim_owed *owed, unsigned writer)
{
    for (unsigned i = 0; i < owed->config.keys; i++) {
        struct key *key = &owed->keys[i];
        if (sim_owed_writer(owed, i) == writer && key->was_clear && queued(owed, i).owed)
            sim_fail(owed->sim,
                     "cache %u: %s is written once more, though Redis has had it for long", writer,
                     name_of(owed, i));
    }
}

/* ---- what Redis does ---- */

static bool is_stray(const struct key *key, unsigned number)
{
    return number <= key->orphans || write_at(key, number)->progress == STRAY;
}

static unsigned find(const struct key *key, uint64_t serial)
{
    unsigned number = key->count;
    while (number > 0 && write_at(key, number)->serial != serial)
        number--;
    return number;
}

/* A delete has no serial: it is the newest that it may be. */
static unsigned find_delete(const struct sim_owed *owed, const struct key *key, bool stray)
{
    uint64_t now_ns = sim_now_ns(owed->sim);
    unsigned number = key->count;
    while (number > 0 &&
           (write_at(key, number)->progress == REFUSED || is_stray(key, number) != stray ||
            !is_gone(write_at(key, number), now_ns)))
        number--;
    return number;
}

/* Which of our writes it is that comes; 0: none. */
static unsigned which(const struct sim_owed *owed, unsigned index, uint64_t serial)
{
    const struct key *key = &owed->keys[index];
    if (serial != 0)
        return find(key, serial);
    unsigned number = find_delete(owed, key, false);
    unsigned stray = find_delete(owed, key, true);
    bool over = number <= key->done && !queued(owed, index).owed;
    return number == 0 || (stray != 0 && over) ? stray : number;
}

void sim_owed_comes(struct sim_owed *owed, unsigned reader, unsigned index, uint64_t serial)
{
    struct key *key = &owed->keys[index];
    unsigned number = reader == sim_owed_writer(owed, index) ? which(owed, index, serial) : 0;
    if (number == 0) {
        sim_fail(owed->sim, "cache %u writes %s to Redis, and nobody asked for that", reader,
                 name_of(owed, index));
        return;
    }
    sim_log(owed->sim, "c%u: number %u of %s comes", reader, number, name_of(owed, index));
    bool late = number < key->done && !queued(owed, index).owed;
    bool known = serial != 0 || find_delete(owed, key, true) == 0; /* whose write it is */
    if (known && !owed->events.saved(owed->events.arg, reader, index, serial))
        sim_fail(owed->sim, "cache %u: number %u of %s comes before its journal has it", reader,
                 number, name_of(owed, index));
    /* What was based on none finds none again after a newer delete, and what was based on that
     * follows it: the guard does not promise otherwise. */
    bool back =
        late && owed->config.guard != STA_BEHIND_UNGUARDED && (key->serial == 0 || key->back);
    key->coming = number;
    key->astray = is_stray(key, number) || back;
    key->back = back;
    if (key->astray)
        return;
    if (key->foreign && number <= key->barred)
        sim_fail(owed->sim, "cache %u: number %u of %s is put over what others wrote after it",
                 reader, number, name_of(owed, index));
    if (late)
        sim_fail(owed->sim, "cache %u: number %u of %s comes after number %u, and that is all",
                 reader, number, name_of(owed, index), key->done);
}

void sim_owed_came(struct sim_owed *owed, unsigned reader, unsigned index)
{
    struct key *key = &owed->keys[index];
    unsigned number = key->coming;
    key->coming = 0;
    if (reader != sim_owed_writer(owed, index) || number == 0)
        return;
    struct write *write = write_at(key, number);
    key->disturbed = key->astray;
    if (key->astray)
        return;
    if (write->state == 0)
        write->state = sim_oracle_state(owed->oracle, index);
    key->last = number;
    key->done = number > key->done ? number : key->done;
}

/* The highest number that may not go over what others set now. */
static unsigned barred(const struct sim_owed *owed, unsigned index)
{
    const struct key *key = &owed->keys[index];
    struct sim_owed_queued at = queued(owed, index);
    unsigned number = key->count;
    bool lax = owed->config.guard == STA_BEHIND_GUARD_LAX;
    if (owed->config.guard == STA_BEHIND_UNGUARDED || (lax && at.owed && !at.based))
        return 0;
    while (number > 0 && write_at(key, number)->progress != ACKED)
        number--;
    return number;
}

void sim_owed_changed(struct sim_owed *owed, unsigned index, uint64_t serial)
{
    struct key *key = &owed->keys[index];
    bool same = serial == key->serial;
    key->serial = serial;
    if (key->coming != 0) {
        key->foreign = false;
        return;
    }
    if (same)
        return; /* its TTL has changed */
    key->disturbed = true;
    key->back = false;
    key->foreign = serial != 0;
    key->barred = key->foreign ? barred(owed, index) : 0;
}

/* ---- the verdict ---- */

bool sim_owed_is_owed(struct sim_owed *owed, unsigned reader, unsigned index)
{
    struct key *key = &owed->keys[index];
    if (reader != sim_owed_writer(owed, index))
        return false;
    bool is_owed = queued(owed, index).owed;
    if (is_owed)
        key->clear_ns = 0;
    else if (key->clear_ns == 0)
        key->clear_ns = sim_now_ns(owed->sim);
    return is_owed;
}

unsigned sim_owed_state(const struct sim_owed *owed, unsigned index)
{
    const struct key *key = &owed->keys[index];
    for (unsigned number = key->newest; number > 0; number--)
        if (write_at(key, number)->state != 0)
            return write_at(key, number)->state;
    return 0;
}

void sim_owed_answered(struct sim_owed *owed, unsigned index, uint64_t serial)
{
    const struct key *key = &owed->keys[index];
    uint64_t now_ns = sim_now_ns(owed->sim);
    for (unsigned number = key->newest > 0 ? key->newest : 1; number <= key->count; number++) {
        const struct write *write = write_at(key, number);
        bool is_there = serial == write->serial && (write->late || !is_gone(write, now_ns));
        uint64_t soon_ns = now_ns + (write->replayed ? ROUNDED_NS : 0);
        if (is_there || (serial == 0 && is_gone(write, soon_ns)))
            return;
    }
    sim_fail(owed->sim,
             "cache %u: %s answered with %" PRIu64 ", though number %u, which it owes, is another",
             sim_owed_writer(owed, index), name_of(owed, index), serial, key->newest);
}

static void key_must_be_empty(struct sim_owed *owed, unsigned index)
{
    const struct key *key = &owed->keys[index];
    unsigned safe = key->count;
    bool guarded = owed->config.guard != STA_BEHIND_UNGUARDED;
    while (safe > 0 && write_at(key, safe)->progress != ACKED)
        safe--;
    if (queued(owed, index).owed)
        sim_fail(owed->sim, "cache %u: %s is owed, though all has been calm for long",
                 sim_owed_writer(owed, index), name_of(owed, index));
    else if (key->last < safe && !(guarded && key->disturbed))
        sim_fail(owed->sim,
                 "cache %u: number %u of %s was acknowledged, and the last that came was %u",
                 sim_owed_writer(owed, index), safe, name_of(owed, index), key->last);
}

void sim_owed_must_be_empty(struct sim_owed *owed)
{
    for (unsigned i = 0; i < owed->config.keys; i++)
        key_must_be_empty(owed, i);
}

/* ---- life ---- */

struct sim_owed *sim_owed_create(struct sim_oracle *oracle, const struct sim_owed_config *config,
                                 const struct sim_owed_events *events)
{
    struct sim_owed *owed = calloc(1, sizeof *owed);
    assert(owed != NULL);
    owed->sim = sim_current();
    owed->oracle = oracle;
    owed->config = *config;
    owed->events = *events;
    return owed;
}

void sim_owed_destroy(struct sim_owed **at)
{
    struct sim_owed *owed = *at;
    *at = NULL;
    if (owed == NULL)
        return;
    for (unsigned i = 0; i < SIM_KEYS_MOST; i++)
        free(owed->keys[i].writes);
    free(owed);
}
