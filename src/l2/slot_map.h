/* SPDX-License-Identifier: MIT
 *
 * Who serves which slot: a table of 16384 node indexes, and the nodes. Pure: no I/O, no clock.
 *
 *     owner[slot] --> nodes[index] { id, endpoint, role, flags }
 *
 * A map is built whole from one reply (l2/topology.h) and replaced whole; nothing is merged
 * into it. The exception is a MOVED: it is patched into the map in place, by the thread that owns
 * it. A copy for each patch would be 32 KiB and an allocation that may fail, thousands of times
 * while a cluster is being resharded, for a change of two bytes; and since each loop owns its
 * map, nobody else looks on. Who wants to look from another thread takes a copy on the owner's.
 *
 * Indexes are stable for a map's life, and a patch only ever appends a node; pointers to nodes die
 * with the next add or patch.
 * Memory: 32 KiB and 352 bytes per node. Threads: one owner; several may read one that nobody
 * changes.
 */
#ifndef STA_SLOT_MAP_H
#define STA_SLOT_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/slot.h"
#include "net/endpoint.h"

/* Redis advises at most 1000. */
#define STA_SLOT_MAP_NODES_MAX 1000u
/* No node: the slot is not served, the primary of a replica is not known. */
#define STA_SLOT_MAP_NONE UINT16_MAX
/* Longest node id; Redis' have 40. */
#define STA_SLOT_MAP_ID_MAX 47u

enum sta_slot_map_flag {
    STA_SLOT_MAP_REPLICA = 1u << 0,   /* else a primary, with or without slots */
    STA_SLOT_MAP_MYSELF = 1u << 1,    /* the node that answered */
    STA_SLOT_MAP_PFAIL = 1u << 2,     /* suspected by the node that answered */
    STA_SLOT_MAP_FAIL = 1u << 3,      /* agreed upon to have failed */
    STA_SLOT_MAP_LOADING = 1u << 4,   /* not in step yet (CLUSTER SHARDS) */
    STA_SLOT_MAP_HANDSHAKE = 1u << 5, /* not yet a member */
    STA_SLOT_MAP_NOADDR = 1u << 6,    /* the address is not known: it cannot be connected to */
    STA_SLOT_MAP_GUESSED = 1u << 7    /* only a redirect has told of it: no id */
};

struct sta_slot_node {
    struct sta_endpoint endpoint;     /* as the client shall connect; address "" with NOADDR */
    char id[STA_SLOT_MAP_ID_MAX + 1]; /* zero-terminated; "" where it is not known */
    uint64_t config_epoch;            /* CLUSTER NODES; else 0 */
    uint32_t flags;                   /* of enum sta_slot_map_flag */
    uint16_t primary;                 /* index, of a replica; NONE for primaries */
    uint16_t slots;                   /* how many it owns; kept by the map */
    uint16_t migrating;               /* slots on their way out and in: CLUSTER NODES tells them */
    uint16_t importing;               /*   of the node that answered only */
};

struct sta_slot_map {
    struct sta_slot_node *nodes;
    uint16_t node_count;
    uint16_t node_cap;
    uint16_t covered;    /* slots that have an owner */
    uint32_t generation; /* 0 when built; each patch that changed it adds one */
    uint16_t owner[STA_SLOT_COUNT];
};

/* A map without nodes; STRATA_ERR_NOMEM. */
int sta_slot_map_create(struct sta_slot_map **out);
int sta_slot_map_copy(struct sta_slot_map **out, const struct sta_slot_map *map);
void sta_slot_map_destroy(struct sta_slot_map **map);

/* ---- building ---- */

/* Appends a node; `slots` in it is ignored. Nobody looks whether it is there already. STRATA_OK
 * with its index, STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG (NODES_MAX); the map is then unchanged. */
int sta_slot_map_add(struct sta_slot_map *map, const struct sta_slot_node *node, uint16_t *index);

/* Gives first..last (< STA_SLOT_COUNT) to the node, or to nobody (NONE). */
void sta_slot_map_assign(struct sta_slot_map *map, unsigned first, unsigned last, uint16_t index);

/* ---- looking up ---- */

static inline uint16_t sta_slot_map_owner(const struct sta_slot_map *map, unsigned slot)
{
    return map->owner[slot];
}

/* The index of the first node with this endpoint, or id, which is not ""; NONE. Linear. */
uint16_t sta_slot_map_find(const struct sta_slot_map *map, const struct sta_endpoint *endpoint);
uint16_t sta_slot_map_find_id(const struct sta_slot_map *map, const char *id);

/* ---- changing ---- */

/* What a MOVED says: `slot` is served at `endpoint`. A node that is not known is added, with
 * GUESSED; a replica has become a primary, and one that serves has not failed. *index (may be
 * NULL) is the owner. STRATA_OK: the owner is another one now; STRATA_SKIPPED: it was so already;
 * STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG: the map is unchanged (the request can be sent to the
 * endpoint all the same). */
int sta_slot_map_patch(struct sta_slot_map *map, unsigned slot, const struct sta_endpoint *endpoint,
                       uint16_t *index);

/* ---- comparing ---- */

/* By id where both have one, else by endpoint. A node that comes back under another address is
 * the same; one that was reset is another at the same address. */
bool sta_slot_map_same_node(const struct sta_slot_node *one, const struct sta_slot_node *other);

/* The slots whose owner differs: *changed (may be NULL) is set to them; how many they are. What
 * somebody remembers of such a slot's keys belongs to an owner of the past. `before` may be
 * NULL: every slot that has an owner now. */
unsigned sta_slot_map_changes(const struct sta_slot_map *before, const struct sta_slot_map *now,
                              struct sta_slot_set *changed);

/* Derives again what the map keeps, for tests: counts, indexes, flags. */
bool sta_slot_map_valid(const struct sta_slot_map *map);

#endif
