/* SPDX-License-Identifier: MIT
 *
 * See sim_oracle.h.
 */
#include "sim/sim_oracle.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/envelope.h"
#include "cache/tags.h"
#include "core/clock.h"

#define ABSENT      UINT64_C(0) /* as a serial */
#define NONE        UINT32_MAX  /* as a state */
#define DELETES_CAP 64u         /* of which somebody may still be waiting to hear */
#define PERIOD      23u         /* of what fills a value */

/* Times of ours are cut to milliseconds in L1. */
#define GRAIN_NS STA_NS_MS

struct state {
    uint64_t serial;
    uint64_t since_ns;
    uint64_t until_ns; /* STA_NEVER: it is there now */
    uint64_t expire_ms;
    struct sim_tagging tagging;
};

struct deletion {
    uint64_t at_ns;
    unsigned state;
};

struct reader_key {
    unsigned floor;
    unsigned deletions;
    struct deletion deleted[DELETES_CAP]; /* in a ring */
};

struct key {
    char name[SIM_KEY_CAP];
    struct state *states;
    unsigned count, cap;
    unsigned own; /* the last of what was done to the key itself */
    struct reader_key readers[SIM_READERS_MOST];
};

struct sim_oracle {
    struct sim *sim;
    struct sim_oracle_config config;
    uint64_t serials;
    struct sim_barriers *barriers;
    struct sim_owed *owed;
    struct sim_tags *tags;
    struct key keys[SIM_NAMES_MOST]; /* of tags names and deletions alone */
};

/* ---- names and values ---- */

struct strata_bytes sim_oracle_key(const struct sim_oracle *oracle, unsigned key)
{
    return strata_text(oracle->keys[key].name);
}

struct strata_bytes sim_oracle_tag(const struct sim_oracle *oracle, unsigned tag)
{
    return strata_text(oracle->keys[SIM_KEYS_MOST + tag].name + sizeof STA_TAGS_PREFIX - 1);
}

/* What stands behind the head: some letters, over and over, beginning with another one each
 * time. */
static void fill(uint8_t *rest, size_t len, uint64_t serial)
{
    for (size_t i = 0; i < len && i < PERIOD; i++)
        rest[i] = (uint8_t)('a' + (serial + i) % PERIOD);
    for (size_t done = PERIOD; done < len; done *= 2)
        memcpy(rest + done, rest, done < len - done ? done : len - done);
}

static bool is_filled(const uint8_t *rest, size_t len, uint64_t serial)
{
    uint8_t first[PERIOD] = {0};
    size_t period = len < PERIOD ? len : PERIOD;
    fill(first, period, serial);
    return memcmp(rest, first, period) == 0 && memcmp(rest, rest + period, len - period) == 0;
}

static size_t write_head(const struct key *key, uint64_t serial, char *text, size_t cap)
{
    return (size_t)snprintf(text, cap, "%s=%" PRIu64 ";", key->name, serial);
}

struct strata_bytes sim_oracle_value(struct sim_oracle *oracle, unsigned key, size_t len,
                                     uint64_t *serial)
{
    char head[48];
    *serial = ++oracle->serials;
    size_t head_len = write_head(&oracle->keys[key], *serial, head, sizeof head);
    size_t total = len > head_len ? len : head_len;
    uint8_t *value = malloc(total);
    assert(value != NULL);
    memcpy(value, head, head_len);
    fill(value + head_len, total - head_len, *serial);
    return strata_bytes(value, total);
}

/* The serial of a value that is whole and of this key; ABSENT: it is not. */
static uint64_t read_value(const struct key *key, struct strata_bytes value)
{
    const uint8_t *bytes = value.data;
    char head[48];
    uint64_t serial = 0;
    size_t at = strlen(key->name) + 1;
    if (value.len <= at || memcmp(bytes, key->name, at - 1) != 0 || bytes[at - 1] != '=')
        return ABSENT;
    for (; at < value.len && bytes[at] >= '0' && bytes[at] <= '9'; at++)
        serial = 10 * serial + (uint64_t)(bytes[at] - '0');
    size_t head_len = write_head(key, serial, head, sizeof head);
    bool whole = value.len >= head_len && memcmp(bytes, head, head_len) == 0 &&
                 is_filled(bytes + head_len, value.len - head_len, serial);
    return whole ? serial : ABSENT;
}

uint64_t sim_oracle_serial(const struct sim_oracle *oracle, unsigned key, struct strata_bytes value)
{
    return read_value(&oracle->keys[key], value);
}

/* ---- the history ---- */

static void key_append(struct key *key, struct state state)
{
    if (key->count == key->cap) {
        key->cap = key->cap == 0 ? 32 : 2 * key->cap;
        key->states = realloc(key->states, key->cap * sizeof *key->states);
        assert(key->states != NULL);
    }
    if (key->count > 0)
        key->states[key->count - 1].until_ns = state.since_ns;
    key->own = key->count;
    key->states[key->count++] = state;
}

/* What has run out is gone, whenever Redis notices. */
static void key_settle(struct sim_oracle *oracle, struct key *key)
{
    const struct state *last = &key->states[key->count - 1];
    if (last->expire_ms == SIM_NO_TTL || last->expire_ms >= sim_now_ms(oracle->sim))
        return;
    key_append(key, (struct state){.since_ns = (last->expire_ms + 1) * STA_NS_MS,
                                   .until_ns = STA_NEVER,
                                   .expire_ms = SIM_NO_TTL});
}

/* What is stored behind a head is the value that it has. */
static struct sta_envelope open_stored(struct strata_bytes stored)
{
    struct sta_envelope envelope = {.value = stored};
    if (stored.data != NULL && sta_envelope_begins(stored))
        (void)sta_envelope_read(stored, &envelope);
    return envelope;
}

static void key_fell(struct sim_oracle *oracle, unsigned index, unsigned tag, uint64_t fell_ns)
{
    struct key *key = &oracle->keys[index];
    unsigned own = key->own;
    key_append(key, (struct state){.since_ns = sim_now_ns(oracle->sim),
                                   .until_ns = STA_NEVER,
                                   .expire_ms = SIM_NO_TTL});
    key->own = own;
    key->states[key->count - 2].until_ns = fell_ns;
    sim_log(oracle->sim, "%s is %u: fallen with tag %u", key->name, key->count - 1, tag);
}

void sim_oracle_changed(struct sim_oracle *oracle, unsigned index, struct strata_bytes stored,
                        uint64_t expire_ms)
{
    struct key *key = &oracle->keys[index];
    if (index >= SIM_KEYS_MOST) {
        sim_tags_changed(oracle->tags, index - SIM_KEYS_MOST, stored);
        return;
    }
    key_settle(oracle, key);
    const struct sta_envelope opened = open_stored(stored);
    uint64_t serial = stored.data != NULL ? read_value(key, opened.value) : ABSENT;
    if (oracle->owed != NULL)
        sim_owed_changed(oracle->owed, index, serial);
    key->own = key->count - 1;
    if (serial == ABSENT && key->states[key->count - 1].serial == ABSENT)
        return;
    const struct sim_tagging tagging = sim_tags_of(oracle->tags, &opened);
    key_append(key, (struct state){serial, sim_now_ns(oracle->sim), STA_NEVER, expire_ms, tagging});
    sim_log(oracle->sim, "%s is %u: %" PRIu64 "%s", key->name, key->count - 1, serial,
            serial == ABSENT ? " (absent)" : "");
    if (tagging.fell_ns != STA_NEVER) /* whoever wrote it had not heard */
        key_fell(oracle, index, tagging.fell, tagging.fell_ns);
}

void sim_oracle_fell(struct sim_oracle *oracle, unsigned index, unsigned tag)
{
    struct key *key = &oracle->keys[index];
    key_settle(oracle, key);
    if (key->states[key->count - 1].serial != ABSENT)
        key_fell(oracle, index, tag, sim_now_ns(oracle->sim));
}

const struct sim_tagging *sim_oracle_tagging(const struct sim_oracle *oracle, unsigned key)
{
    return &oracle->keys[key].states[oracle->keys[key].count - 1].tagging;
}

void sim_oracle_comes(struct sim_oracle *oracle, unsigned reader, unsigned key,
                      struct strata_bytes value)
{
    uint64_t serial = value.data != NULL ? sim_oracle_serial(oracle, key, value) : ABSENT;
    if (oracle->owed != NULL)
        sim_owed_comes(oracle->owed, reader, key, serial);
}

void sim_oracle_came(struct sim_oracle *oracle, unsigned reader, unsigned key)
{
    if (oracle->owed != NULL)
        sim_owed_came(oracle->owed, reader, key);
}

unsigned sim_oracle_state(struct sim_oracle *oracle, unsigned index)
{
    struct key *key = &oracle->keys[index];
    if (index >= SIM_KEYS_MOST)
        return sim_tags_gone(oracle->tags, index - SIM_KEYS_MOST);
    key_settle(oracle, key);
    return key->own;
}

/* ---- readers ---- */

unsigned sim_oracle_floor(const struct sim_oracle *oracle, unsigned reader, unsigned key)
{
    return oracle->keys[key].readers[reader].floor;
}

void sim_oracle_raise(struct sim_oracle *oracle, unsigned reader, unsigned key, unsigned state)
{
    unsigned *floor = &oracle->keys[key].readers[reader].floor;
    if (key >= SIM_KEYS_MOST) {
        sim_tags_tell(oracle->tags, reader, key - SIM_KEYS_MOST, state);
        return;
    }
    *floor = state > *floor ? state : *floor;
}

void sim_oracle_forget(struct sim_oracle *oracle, unsigned reader)
{
    for (unsigned i = 0; i < oracle->config.keys; i++)
        oracle->keys[i].readers[reader].floor = 0;
    sim_barriers_forget(oracle->barriers, reader);
    sim_tags_forget(oracle->tags, reader);
}

void sim_oracle_wrote(struct sim_oracle *oracle, unsigned reader, unsigned index, uint64_t serial)
{
    struct key *key = &oracle->keys[index];
    for (unsigned i = 0; i < key->count; i++) {
        if (key->states[i].serial == serial) {
            sim_oracle_raise(oracle, reader, index, i);
            sim_barriers_exempt(oracle->barriers, reader, index, i);
            return;
        }
    }
    sim_fail(oracle->sim, "cache %u: a set of %s to %" PRIu64 " was acknowledged, and never done",
             reader, key->name, serial);
}

void sim_oracle_unlinked(struct sim_oracle *oracle, unsigned reader, unsigned index)
{
    struct reader_key *at = &oracle->keys[index].readers[reader];
    at->deleted[at->deletions++ % DELETES_CAP] =
        (struct deletion){sim_now_ns(oracle->sim), sim_oracle_state(oracle, index)};
}

/* Of several under way at once it may have been any: what the first did is certain. */
void sim_oracle_deleted(struct sim_oracle *oracle, unsigned reader, unsigned index,
                        uint64_t since_ns)
{
    const struct reader_key *at = &oracle->keys[index].readers[reader];
    unsigned first = at->deletions > DELETES_CAP ? at->deletions - DELETES_CAP : 0;
    for (unsigned i = first; i < at->deletions; i++) {
        if (at->deleted[i % DELETES_CAP].at_ns >= since_ns) {
            sim_oracle_raise(oracle, reader, index, at->deleted[i % DELETES_CAP].state);
            return;
        }
    }
    sim_fail(oracle->sim, "cache %u: a delete of %s was acknowledged, and never done", reader,
             oracle->keys[index].name);
}

/* ---- the verdict ---- */

/* Past its TTL. What was replaced before that is old, which has a bound of its own: a read asks for
 * the value and then for the TTL, and where the invalidation between the two is lost, it takes the
 * TTL of what came next for the value's. */
static bool has_run_out(const struct state *state, uint64_t from_ns)
{
    bool past = state->expire_ms != SIM_NO_TTL && state->expire_ms < from_ns / STA_NS_MS;
    bool replaced = state->until_ns / STA_NS_MS <= state->expire_ms;
    return past && !replaced;
}

/* Why a read may not have answered this state; NULL: it may. */
static const char *objection(const struct sim_oracle *oracle, const struct sim_answer *answer,
                             unsigned number)
{
    const struct key *key = &oracle->keys[answer->key];
    const struct state *state = &key->states[number];
    if (number < answer->floor)
        return "it went back: the cache had been told of, read, or written something newer";
    if (sim_told_of(&answer->told, &state->tagging))
        return "it has a tag that fell, as the cache had been told";
    if (has_run_out(state, answer->from_ns))
        return "it is past its TTL";
    if (state->until_ns != STA_NEVER &&
        state->until_ns + oracle->config.bound_ns + GRAIN_NS < answer->from_ns)
        return "it was replaced longer ago than the bound";
    if (answer->newest && state->until_ns != STA_NEVER)
        return "it is not the newest, though nothing has been amiss for long";
    if (state->serial != ABSENT)
        return sim_barriers_object(oracle->barriers, answer, number, state->since_ns);
    return NULL;
}

static void fail(struct sim_oracle *oracle, const struct sim_answer *answer, uint64_t serial,
                 unsigned number, const char *why)
{
    const struct key *key = &oracle->keys[answer->key];
    const struct state *state = &key->states[number];
    uint64_t now_ns = sim_now_ns(oracle->sim);
    uint64_t replaced_ns = state->until_ns == STA_NEVER ? now_ns : state->until_ns;
    sim_fail(oracle->sim,
             "cache %u: %s answered with %" PRIu64 " (state %u of %u, floor %u, replaced %" PRIu64
             " us before it was answered): %s",
             answer->reader, key->name, serial, number, key->count - 1, answer->floor,
             (now_ns - replaced_ns) / 1000, why);
}

/* Where the same has been there more than once, the earliest that may be, but for `most` at the
 * most. */
static void judge(struct sim_oracle *oracle, const struct sim_answer *answer, uint64_t serial,
                  unsigned most)
{
    struct key *key = &oracle->keys[answer->key];
    const char *why = "nobody wrote this";
    unsigned number = 0;
    for (unsigned i = 0; i < key->count && i < most && why != NULL; i++) {
        if (key->states[i].serial == serial) {
            why = objection(oracle, answer, i);
            number = i;
        }
    }
    if (why != NULL && most == NONE)
        fail(oracle, answer, serial, number, why);
    else
        sim_oracle_raise(oracle, answer->reader, answer->key, why == NULL ? number : most);
}

/* What a reader that was answered nothing has seen at the least. Who reads a value and has not
 * heard of its tag, that it fell and has a new version, takes the value for one of before: that is
 * a miss too many, which is no harm, and says nothing (0). Who reads one that has been replaced and
 * then sees it fall has seen what is behind it. NONE: neither. */
static unsigned least_missed(const struct sim_oracle *oracle, const struct sim_answer *answer)
{
    const struct key *key = &oracle->keys[answer->key];
    uint64_t bound_ns = oracle->config.bound_ns + GRAIN_NS;
    uint64_t young_ns = answer->from_ns > bound_ns ? answer->from_ns - bound_ns : 0;
    unsigned least = NONE;
    for (unsigned i = answer->floor; i < key->count; i++) {
        const struct sim_tagging *tagging = &key->states[i].tagging;
        if (tagging->tags == 0 || objection(oracle, answer, i) != NULL)
            continue;
        enum sim_age age = sim_tags_age(oracle->tags, tagging, young_ns);
        if (age == SIM_YOUNG)
            return 0;
        if (age == SIM_FALLEN && least == NONE)
            least = i + 1;
    }
    return least;
}

void sim_oracle_answered(struct sim_oracle *oracle, const struct sim_answer *answer)
{
    struct key *key = &oracle->keys[answer->key];
    uint64_t serial = answer->absent ? ABSENT : read_value(key, answer->value);
    unsigned most = NONE;
    key_settle(oracle, key);
    if (answer->absent && !answer->newest)
        most =
            sim_barriers_may_hide(oracle->barriers, answer->key) ? 0 : least_missed(oracle, answer);
    if (!answer->absent && serial == ABSENT)
        sim_fail(oracle->sim, "cache %u: %s answered with bytes that are no value of it",
                 answer->reader, key->name);
    else if (most > 0)
        judge(oracle, answer, serial, most);
}

/* ---- life ---- */

struct sim_barriers *sim_oracle_barriers(const struct sim_oracle *oracle)
{
    return oracle->barriers;
}

struct sim_tags *sim_oracle_tags(const struct sim_oracle *oracle)
{
    return oracle->tags;
}

void sim_oracle_owes(struct sim_oracle *oracle, struct sim_owed *owed)
{
    oracle->owed = owed;
}

struct sim_owed *sim_oracle_owed(const struct sim_oracle *oracle)
{
    return oracle->owed;
}

struct sim_oracle *sim_oracle_create(struct sim *sim, const struct sim_oracle_config *config)
{
    struct sim_oracle *oracle = calloc(1, sizeof *oracle);
    assert(oracle != NULL && config->keys <= SIM_KEYS_MOST);
    oracle->sim = sim;
    oracle->config = *config;
    for (unsigned i = 0; i < config->keys; i++) {
        (void)snprintf(oracle->keys[i].name, sizeof oracle->keys[i].name, "key%u", i);
        key_append(&oracle->keys[i],
                   (struct state){.until_ns = STA_NEVER, .expire_ms = SIM_NO_TTL});
    }
    for (unsigned i = 0; i < SIM_TAGS_MOST; i++)
        (void)snprintf(oracle->keys[SIM_KEYS_MOST + i].name, SIM_KEY_CAP, STA_TAGS_PREFIX "%u", i);
    oracle->tags = sim_tags_create(oracle, config->keys);
    oracle->barriers = sim_barriers_create(oracle, config->bound_ns, config->prompt_ns);
    return oracle;
}

void sim_oracle_destroy(struct sim_oracle **at)
{
    struct sim_oracle *oracle = *at;
    *at = NULL;
    for (unsigned i = 0; i < oracle->config.keys; i++)
        free(oracle->keys[i].states);
    sim_barriers_destroy(&oracle->barriers);
    sim_tags_destroy(&oracle->tags);
    free(oracle);
}
