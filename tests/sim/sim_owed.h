/* SPDX-License-Identifier: MIT
 *
 * The oracle's part about write-behind (cache/behind.h). Of the caches one alone writes a key; its
 * writes are numbered in the order in which its queue takes them:
 *
 *     BEGUN --taken--> ACCEPTED --told to the caller--> ACKED
 *       |---turned away --> REFUSED: it does not come
 *       '---went to Redis at once, and nobody knows --> STRAY: it may come, as if by others
 *
 * What is checked:
 *   - while a key is owed its cache answers the newest number, and nothing else;
 *   - no number that is owed comes to Redis before its journal has it;
 *   - Redis never ends a key's numbers with an older one: one that comes after a newer one is
 *   mended;
 *   - with a version guard no number is put over what others set after it was acknowledged;
 *   - what a process that died had acknowledged comes to Redis by the next one, where its journal
 *     has it, and what Redis has had for long does not come once more;
 *   - when all is calm nothing is owed, and the last number that was acknowledged was the last to
 *     come, unless others have changed the key meanwhile and the guard has dropped it.
 */
#ifndef SIM_OWED_H
#define SIM_OWED_H

#include "cache/cache.h"
#include "sim/sim.h"

struct sim_oracle;
struct sim_owed;

struct sim_owed_config {
    unsigned caches, keys;
    enum sta_behind_guarding guard;
};

/* How far a cache is with a key. */
struct sim_owed_queued {
    bool owed;
    bool based; /* and it is known what Redis has of it */
    bool whole; /* its journal, if there is one, has all that was done */
};

struct sim_owed_events {
    struct sim_owed_queued (*queued)(void *arg, unsigned writer, unsigned key);
    /* Whether its journal has a record of this write on disk (serial 0: of a delete); true where it
     * need not: it is not what is owed, or there is no journal. */
    bool (*saved)(void *arg, unsigned writer, unsigned key, uint64_t serial);
    void *arg;
};

struct sim_owed *sim_owed_create(struct sim_oracle *oracle, const struct sim_owed_config *config,
                                 const struct sim_owed_events *events);
void sim_owed_destroy(struct sim_owed **owed);

/* Who writes it. */
unsigned sim_owed_writer(const struct sim_owed *owed, unsigned key);

/* ---- what its cache does ---- */

/* A write begins: its number. serial 0: a delete. expires_ns: STA_NEVER, it does not. */
unsigned sim_owed_begin(struct sim_owed *owed, unsigned key, uint64_t serial, uint64_t expires_ns);
void sim_owed_accepted(struct sim_owed *owed, unsigned key, unsigned number);
/* The caller is told. `through`: it was not for the queue. */
void sim_owed_ended(struct sim_owed *owed, unsigned key, unsigned number, bool through, int status);

/* The process is dead; of what was accepted since `kept_ns` nothing need be left. And: the next one
 * has taken its place. */
void sim_owed_died(struct sim_owed *owed, unsigned writer, uint64_t kept_ns);
void sim_owed_reborn(struct sim_owed *owed, unsigned writer);

/* ---- what Redis does ---- */

/* A write of this reader is about to be carried out, and was. */
void sim_owed_comes(struct sim_owed *owed, unsigned reader, unsigned key, uint64_t serial);
void sim_owed_came(struct sim_owed *owed, unsigned reader, unsigned key);

/* The key has changed, whoever did it. */
void sim_owed_changed(struct sim_owed *owed, unsigned key, uint64_t serial);

/* ---- the verdict ---- */

/* The reader is about to be asked for the key; true: it is its own, and owed. */
bool sim_owed_is_owed(struct sim_owed *owed, unsigned reader, unsigned key);

/* The state of the history that the newest number has made which came; 0: none did. */
unsigned sim_owed_state(const struct sim_owed *owed, unsigned key);

/* It answered this, and the key is owed. serial 0: there is none. */
void sim_owed_answered(struct sim_owed *owed, unsigned key, uint64_t serial);

/* All has been calm for long. */
void sim_owed_must_be_empty(struct sim_owed *owed);

#endif
