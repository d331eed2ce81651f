/* SPDX-License-Identifier: MIT
 *
 * What a read may answer. The modelled Redis tells of each change as it carries it out; so there is
 * one true history of each key, and each state of it has a number:
 *
 *     1: absent   2: v17   3: v18 until 250   4: absent (expired)   5: v21 ...
 *
 * A reader (a cache) has a floor for each key: it must not see a lower number any more. What raises
 * it:
 *   - a push of the key has been dealt with: the state that caused it;
 *   - a read has answered: what it answered (monotonic);
 *   - an own write was acknowledged: what it wrote (read your writes).
 * A read from t0 to t1 may answer a state that is not below the reader's floor at t0, that began
 * before t1, that was not replaced earlier than the bound before t0, and is not past its TTL at t0.
 * Values carry the name of their key and a number of their own, so nothing can be mistaken.
 *
 * Tags are names as keys are, of which sim_tags.h has the history.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "sim/sim.h"
#include "sim/sim_barriers.h"
#include "sim/sim_owed.h"
#include "sim/sim_tags.h"
#include "strata/bytes.h"

#define SIM_KEYS_MOST    12u
#define SIM_NAMES_MOST   (SIM_KEYS_MOST + SIM_TAGS_MOST) /* tags' keys are numbered behind them */
#define SIM_READERS_MOST 4u
#define SIM_KEY_CAP      16u
#define SIM_VALUE_MOST   ((size_t)200 << 10)
#define SIM_NO_TTL       UINT64_MAX

struct sim_oracle;

struct sim_oracle_config {
    unsigned keys;
    uint64_t bound_ns;  /* on how old an answer may be */
    uint64_t prompt_ns; /* within this everybody hears of a barrier; 0: there are faults */
};

struct sim_oracle *sim_oracle_create(struct sim *sim, const struct sim_oracle_config *config);
void sim_oracle_destroy(struct sim_oracle **oracle);

struct sim_barriers *sim_oracle_barriers(const struct sim_oracle *oracle);
struct sim_tags *sim_oracle_tags(const struct sim_oracle *oracle);

/* The part about write-behind; NULL, and to begin with: there is none. */
void sim_oracle_owes(struct sim_oracle *oracle, struct sim_owed *owed);
struct sim_owed *sim_oracle_owed(const struct sim_oracle *oracle);

/* ---- names and values ---- */

struct strata_bytes sim_oracle_key(const struct sim_oracle *oracle, unsigned key);
struct strata_bytes sim_oracle_tag(const struct sim_oracle *oracle, unsigned tag);

/* A value that was never written before; to be freed by the caller. Larger than `len` where it
 * must. */
struct strata_bytes sim_oracle_value(struct sim_oracle *oracle, unsigned key, size_t len,
                                     uint64_t *serial);

/* The serial of a value that is whole and of this key; 0: it is not. */
uint64_t sim_oracle_serial(const struct sim_oracle *oracle, unsigned key,
                           struct strata_bytes value);

/* ---- the history ---- */

/* The key holds this now, as it is stored; value.data NULL: it is absent. `expire_ms`: the last
 * millisecond in which it is there, or SIM_NO_TTL. */
void sim_oracle_changed(struct sim_oracle *oracle, unsigned key, struct strata_bytes value,
                        uint64_t expire_ms);

/* A reader's write is about to be carried out, and was. value.data NULL: a delete. */
void sim_oracle_comes(struct sim_oracle *oracle, unsigned reader, unsigned key,
                      struct strata_bytes value);
void sim_oracle_came(struct sim_oracle *oracle, unsigned reader, unsigned key);

/* The value of the key has fallen with a tag: it is there no more. */
void sim_oracle_fell(struct sim_oracle *oracle, unsigned key, unsigned tag);

/* Of what the key has last held. */
const struct sim_tagging *sim_oracle_tagging(const struct sim_oracle *oracle, unsigned key);

/* The number of what is there now, but for what has befallen it since it was written there. Of a
 * tag: how many versions of it are gone. */
unsigned sim_oracle_state(struct sim_oracle *oracle, unsigned key);

/* ---- readers ---- */

unsigned sim_oracle_floor(const struct sim_oracle *oracle, unsigned reader, unsigned key);
/* Of a tag: it has been told that so many versions are gone. */
void sim_oracle_raise(struct sim_oracle *oracle, unsigned reader, unsigned key, unsigned state);

/* A new process has taken the reader's place. */
void sim_oracle_forget(struct sim_oracle *oracle, unsigned reader);

/* An own SET of `serial` was acknowledged. */
void sim_oracle_wrote(struct sim_oracle *oracle, unsigned reader, unsigned key, uint64_t serial);

/* A reader's UNLINK was carried out (here), and acknowledged; it was sent at `since_ns`. */
void sim_oracle_unlinked(struct sim_oracle *oracle, unsigned reader, unsigned key);
void sim_oracle_deleted(struct sim_oracle *oracle, unsigned reader, unsigned key,
                        uint64_t since_ns);

struct sim_answer {
    unsigned reader, key;
    uint64_t from_ns; /* when it was asked; it is answered now */
    unsigned floor;   /* as of then */
    struct sim_told told;
    uint64_t known; /* barriers that the reader knows now, or knew then: a bit for each */
    bool hit;       /* it came out of L1 */
    struct strata_bytes value;
    bool absent;
    bool newest; /* nothing but what is there now is right */
};

/* Checks, and raises the reader's floor. */
void sim_oracle_answered(struct sim_oracle *oracle, const struct sim_answer *answer);

#endif
