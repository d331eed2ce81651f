/* SPDX-License-Identifier: MIT
 *
 * Turns of reads that ask Redis for what L1 has in doubt, at a rate that several loops may share:
 * of the library's calls (repair.h), and of stratad's clients.
 *
 *     ask() --rate has room, nobody waits--> STRATA_OK: sent
 *       |---its turn would come too late---> STRATA_ERR_BUSY, at once
 *       '--> STRATA_MORE: waits --its turn--> take(): proven meanwhile? answered, for nothing
 *               '--its time is over--> refuse()        '--still in doubt: spend(), and sent
 *
 * That take() asks L1 again merges all that wait for one key into one question; so when a turn will
 * come is reckoned by keys, of which those with one mark count as one (a guess that is too early at
 * the worst). Each loop has a queue of its own, in the order of coming; whose loop looks first gets
 * what there is of the rate. Threads: a pace any; turns their loop's. Memory: nothing but the
 * turns' own.
 */
#ifndef STA_TURNS_H
#define STA_TURNS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"
#include "core/rate.h"
#include "net/loop.h"

#define STA_TURNS_MARKS 16384u

struct sta_turns;

/* What those share that keep to one rate together. */
struct sta_pace {
    pthread_mutex_t lock;
    struct sta_rate rate;
    uint32_t marks[STA_TURNS_MARKS]; /* how many keys in doubt wait of those, by hash */
    uint64_t marked;                 /* marks that are not 0 */

    _Atomic uint64_t keys, delayed, refused; /* relaxed; not the lock's */
};

/* A read; its owner's until it waits, and again once it was taken or refused. */
struct sta_turn {
    struct sta_list link;
    size_t keys;     /* to ask doubts() for */
    uint64_t end_ns; /* of its time */
};

struct sta_turns_owner {
    /* Whether key i of the read is one in doubt, and its hash. The same for as long as it waits. */
    bool (*doubts)(const struct sta_turn *turn, size_t i, uint64_t *hash);
    /* Its turn has come. Answers it by L1, or spends what is in doubt and sends it. */
    void (*take)(struct sta_turns *turns, struct sta_turn *turn, uint64_t now_ns);
    /* Its time is over. */
    void (*refuse)(struct sta_turns *turns, struct sta_turn *turn);
};

struct sta_turns {
    struct sta_pace *pace;
    struct sta_loop *loop;
    const struct sta_turns_owner *owner;
    struct sta_list waiting;
    struct sta_timer timer;
};

/* `per_second`: keys; 0: any. */
void sta_turns_pace_init(struct sta_pace *pace, uint64_t per_second);
void sta_turns_pace_fini(struct sta_pace *pace);

/* Another rate from now on; who is the first of his queue waits for his turn by the old one. */
void sta_turns_pace_adjust(struct sta_pace *pace, uint64_t per_second, uint64_t now_ns);

/* So many keys in doubt are sent for. */
void sta_turns_pace_spend(struct sta_pace *pace, uint64_t keys, uint64_t now_ns);

/* Keys that were spent were not asked for after all: Redis is away. So while it is, nobody waits
 * for a turn only to be told so. */
void sta_turns_pace_give_back(struct sta_pace *pace, uint64_t keys);

void sta_turns_init(struct sta_turns *turns, struct sta_pace *pace, struct sta_loop *loop,
                    const struct sta_turns_owner *owner);

/* A read with `suspects` keys in doubt, its turn set but for the link. */
int sta_turns_ask(struct sta_turns *turns, struct sta_turn *turn, size_t suspects, uint64_t now_ns);

/* One that waits does so no longer. */
void sta_turns_remove(struct sta_turns *turns, struct sta_turn *turn);

/* The one that waits longest, which does so no longer; NULL: none. For the end. */
struct sta_turn *sta_turns_pop(struct sta_turns *turns);

/* No more are taken. */
void sta_turns_stop(struct sta_turns *turns);

#endif
