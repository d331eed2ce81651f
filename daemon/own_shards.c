/* SPDX-License-Identifier: MIT
 *
 * See own_shards.h. Every name stands between the slot of its hash and the next free one behind
 * that, so what is removed leaves no mark: who stands behind it moves up.
 */
#include "daemon/own_shards.h"

#include <stdlib.h>
#include <string.h>

#include "core/key.h"
#include "resp/resp.h"
#include "strata/status.h"

#define SLOTS_LEAST 8u

struct sta_own_shard {
    uint64_t hash;
    bool ended;
    size_t len;
    char name[];
};

static struct strata_bytes name_of(const struct sta_own_shard *shard)
{
    return strata_bytes(shard->name, shard->len);
}

static bool is_named(const struct sta_own_shard *shard, const struct sta_key *key)
{
    return shard->hash == key->hash && shard->len == key->bytes.len &&
           memcmp(shard->name, key->bytes.data, shard->len) == 0;
}

/* Where it stands, or the free one where it would. There are slots. */
static struct sta_own_shard **slot_of(const struct sta_own_shards *shards,
                                      const struct sta_key *key)
{
    size_t at = key->hash & (shards->slot_count - 1);
    while (shards->slots[at] != NULL && !is_named(shards->slots[at], key))
        at = (at + 1) & (shards->slot_count - 1);
    return &shards->slots[at];
}

/* NULL: it is not there. */
static struct sta_own_shard **slot_find(const struct sta_own_shards *shards,
                                        struct strata_bytes name)
{
    const struct sta_key key = sta_key_make(name, shards->seed);
    struct sta_own_shard **slot = shards->count > 0 ? slot_of(shards, &key) : NULL;
    return slot != NULL && *slot != NULL ? slot : NULL;
}

static void set_ended(struct sta_own_shards *shards, struct sta_own_shard *shard, bool ended)
{
    shards->ended += (size_t)ended - (size_t)shard->ended;
    shard->ended = ended;
}

/* Room for one more. */
static int shards_grow(struct sta_own_shards *shards)
{
    struct sta_own_shards grown = *shards;
    if (2 * (shards->count + 1) <= shards->slot_count)
        return STRATA_OK;
    grown.slot_count = shards->slot_count > 0 ? 2 * shards->slot_count : SLOTS_LEAST;
    grown.slots = calloc(grown.slot_count, sizeof *grown.slots);
    if (grown.slots == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < shards->slot_count; i++) {
        struct sta_own_shard *shard = shards->slots[i];
        if (shard == NULL)
            continue;
        const struct sta_key key = {.bytes = name_of(shard), .hash = shard->hash};
        *slot_of(&grown, &key) = shard;
    }
    free(shards->slots);
    *shards = grown;
    return STRATA_OK;
}

void sta_own_shards_init(struct sta_own_shards *shards, uint64_t seed)
{
    *shards = (struct sta_own_shards){.seed = seed};
}

void sta_own_shards_clear(struct sta_own_shards *shards)
{
    for (size_t i = 0; i < shards->slot_count; i++)
        free(shards->slots[i]);
    free(shards->slots);
    sta_own_shards_init(shards, shards->seed);
}

void sta_own_shards_fini(struct sta_own_shards *shards)
{
    sta_own_shards_clear(shards);
}

int sta_own_shards_add(struct sta_own_shards *shards, struct strata_bytes name)
{
    struct sta_own_shard **slot = slot_find(shards, name);
    if (slot != NULL) {
        set_ended(shards, *slot, false);
        return STRATA_OK;
    }
    struct sta_own_shard *shard = malloc(sizeof *shard + name.len);
    if (shard == NULL || shards_grow(shards) < 0) {
        free(shard);
        return STRATA_ERR_NOMEM;
    }
    const struct sta_key key = sta_key_make(name, shards->seed);
    *shard = (struct sta_own_shard){.hash = key.hash, .len = name.len};
    if (name.len > 0)
        memcpy(shard->name, name.data, name.len);
    *slot_of(shards, &key) = shard;
    shards->count++;
    return STRATA_OK;
}

/* Who stands behind the hole `at` moves into it, unless his place is behind it. */
static void close_up(struct sta_own_shards *shards, size_t at)
{
    const size_t mask = shards->slot_count - 1;
    for (size_t next = (at + 1) & mask; shards->slots[next] != NULL; next = (next + 1) & mask) {
        size_t place = shards->slots[next]->hash & mask;
        if (((next - place) & mask) < ((next - at) & mask))
            continue;
        shards->slots[at] = shards->slots[next];
        shards->slots[next] = NULL;
        at = next;
    }
}

void sta_own_shards_remove(struct sta_own_shards *shards, struct strata_bytes name)
{
    struct sta_own_shard **slot = slot_find(shards, name);
    if (slot == NULL)
        return;
    set_ended(shards, *slot, false);
    free(*slot);
    *slot = NULL;
    close_up(shards, (size_t)(slot - shards->slots));
    if (--shards->count == 0)
        sta_own_shards_clear(shards);
}

void sta_own_shards_end(struct sta_own_shards *shards, struct strata_bytes name)
{
    struct sta_own_shard **slot = slot_find(shards, name);
    if (slot != NULL)
        set_ended(shards, *slot, true);
}

void sta_own_shards_end_all(struct sta_own_shards *shards)
{
    for (size_t i = 0; i < shards->slot_count; i++)
        if (shards->slots[i] != NULL)
            set_ended(shards, shards->slots[i], true);
}

int sta_own_shards_each(const struct sta_own_shards *shards,
                        int (*visit)(void *arg, struct strata_bytes name), void *arg)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < shards->slot_count && status >= 0; i++)
        if (shards->slots[i] != NULL)
            status = visit(arg, name_of(shards->slots[i]));
    return status;
}

struct words {
    struct strata_bytes *argv;
    size_t argc;
};

static int take_word(void *arg, struct strata_bytes name)
{
    struct words *words = arg;
    words->argv[words->argc++] = name;
    return STRATA_OK;
}

int sta_own_shards_write(const struct sta_own_shards *shards, struct sta_buffer *wire)
{
    struct words words = {calloc(shards->count + 1, sizeof *words.argv), 0};
    if (words.argv == NULL)
        return STRATA_ERR_NOMEM;
    (void)take_word(&words, strata_bytes("SSUBSCRIBE", 10));
    (void)sta_own_shards_each(shards, take_word, &words);
    int status = sta_resp_write_command(wire, words.argv, words.argc);
    free(words.argv);
    return status;
}
