/* SPDX-License-Identifier: MIT
 *
 * The oracle's part about barriers (cache/barriers.h). What is old to a barrier is what a matching
 * key held before the barrier was raised, unless the reader has set the key itself since. It is not
 * answered by
 *   - a reader that knows the barrier, or knew it when it asked;
 *   - L1 of any reader, once the barrier has been in Redis for max_staleness;
 *   - any reader at all, a moment after it came to be in Redis, where no faults are;
 *   - a reader that has known it, ever again, where all was deleted behind it and Redis had it
 *   throughout.
 * That a hidden key is not there is right whatever it holds, until all has been calm for long.
 */
#ifndef SIM_BARRIERS_H
#define SIM_BARRIERS_H

#include "sim/sim.h"

#define SIM_PATTERN_CAP   16u
#define SIM_BARRIERS_MOST 32u /* in one run */

struct sim_barriers;
struct sim_answer;
struct sim_oracle;

/* `prompt_ns` 0: there are faults. */
struct sim_barriers *sim_barriers_create(struct sim_oracle *oracle, uint64_t bound_ns,
                                         uint64_t prompt_ns);
void sim_barriers_destroy(struct sim_barriers **barriers);

/* ---- what becomes of them ---- */

/* Whether one more can be looked after. */
bool sim_barriers_have_room(const struct sim_barriers *barriers);

/* Its owner hides what matches from now on. */
void sim_barriers_raised(struct sim_barriers *barriers, uint64_t id, const char *pattern);

/* Its owner is about to drop it, and has deleted all that matched, or not. */
void sim_barriers_ended(struct sim_barriers *barriers, uint64_t id, bool deleted);

unsigned sim_barriers_count(const struct sim_barriers *barriers);
uint64_t sim_barriers_id(const struct sim_barriers *barriers, unsigned n);

/* Redis has it, or has it not. */
void sim_barriers_stored(struct sim_barriers *barriers, unsigned n, bool there);

/* ---- readers ---- */

/* The reader knows it now. */
void sim_barriers_known(struct sim_barriers *barriers, unsigned n, unsigned reader);

/* A set of the reader was acknowledged: from this state on the key is no secret to it. */
void sim_barriers_exempt(struct sim_barriers *barriers, unsigned reader, unsigned key,
                         unsigned state);

/* A new process has taken the reader's place. */
void sim_barriers_forget(struct sim_barriers *barriers, unsigned reader);

/* ---- the verdict ---- */

/* Why the answer may not be this state of the key, which began then; NULL: it may. */
const char *sim_barriers_object(const struct sim_barriers *barriers,
                                const struct sim_answer *answer, unsigned state, uint64_t since_ns);

/* Whether there has been one that hides the key. */
bool sim_barriers_may_hide(const struct sim_barriers *barriers, unsigned key);

#endif
