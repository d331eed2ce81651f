/* SPDX-License-Identifier: MIT
 *
 * See sim_barriers.h.
 */
#include "sim/sim_barriers.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "core/clock.h"
#include "sim/sim_oracle.h"

#define GRAIN_NS  STA_NS_MS /* times are cut to milliseconds in L1 */
#define NO_STATE  UINT32_MAX
#define NEVER_YET UINT64_MAX

struct reader {
    uint64_t knew_ns; /* since when it has known of it, for certain */
    unsigned exempt[SIM_KEYS_MOST];
};

struct barrier {
    uint64_t id;
    uint64_t raised_ns;
    uint64_t there_ns; /* in Redis since then; NEVER_YET: it is not */
    bool ended, deleted;
    bool lost; /* Redis had it and had it no more, though it had not ended */
    bool matches[SIM_KEYS_MOST];
    struct reader readers[SIM_READERS_MOST];
};

struct sim_barriers {
    struct sim *sim;
    struct sim_oracle *oracle;
    uint64_t bound_ns, prompt_ns;
    unsigned count;
    struct barrier all[SIM_BARRIERS_MOST];
};

/* ---- what becomes of them ---- */

bool sim_barriers_have_room(const struct sim_barriers *barriers)
{
    return barriers->count < SIM_BARRIERS_MOST;
}

static void reader_forget(struct reader *reader)
{
    reader->knew_ns = NEVER_YET;
    for (unsigned key = 0; key < SIM_KEYS_MOST; key++)
        reader->exempt[key] = NO_STATE;
}

void sim_barriers_raised(struct sim_barriers *barriers, uint64_t id, const char *pattern)
{
    assert(sim_barriers_have_room(barriers));
    struct barrier *made = &barriers->all[barriers->count++];
    made->id = id;
    made->raised_ns = sim_now_ns(barriers->sim);
    made->there_ns = NEVER_YET;
    for (unsigned key = 0; key < SIM_KEYS_MOST; key++) {
        const char *name = sim_oracle_key(barriers->oracle, key).data;
        made->matches[key] = name[0] != 0 && fnmatch(pattern, name, 0) == 0;
    }
    for (unsigned i = 0; i < SIM_READERS_MOST; i++)
        reader_forget(&made->readers[i]);
}

void sim_barriers_ended(struct sim_barriers *barriers, uint64_t id, bool deleted)
{
    for (unsigned n = 0; n < barriers->count; n++) {
        struct barrier *barrier = &barriers->all[n];
        if (barrier->id != id)
            continue;
        barrier->ended = true;
        barrier->deleted = deleted;
    }
}

unsigned sim_barriers_count(const struct sim_barriers *barriers)
{
    return barriers->count;
}

uint64_t sim_barriers_id(const struct sim_barriers *barriers, unsigned n)
{
    return barriers->all[n].id;
}

void sim_barriers_stored(struct sim_barriers *barriers, unsigned n, bool there)
{
    struct barrier *barrier = &barriers->all[n];
    bool was = barrier->there_ns != NEVER_YET;
    if (there == was)
        return;
    barrier->lost |= was && !barrier->ended;
    barrier->there_ns = there ? sim_now_ns(barriers->sim) : NEVER_YET;
    if (barrier->lost && barriers->prompt_ns != 0)
        sim_fail(barriers->sim, "barrier %u is lost, though nothing is amiss", n);
    sim_log(barriers->sim, "barrier %u is %s", n,
            there            ? "in Redis"
            : barrier->ended ? "gone"
                             : "lost");
}

/* ---- readers ---- */

void sim_barriers_known(struct sim_barriers *barriers, unsigned n, unsigned reader)
{
    struct reader *at = &barriers->all[n].readers[reader];
    if (at->knew_ns == NEVER_YET)
        at->knew_ns = sim_now_ns(barriers->sim);
}

/* The first counts: what came later is newer still. */
void sim_barriers_exempt(struct sim_barriers *barriers, unsigned reader, unsigned key,
                         unsigned state)
{
    for (unsigned n = 0; n < barriers->count; n++) {
        unsigned *exempt = &barriers->all[n].readers[reader].exempt[key];
        *exempt = state < *exempt ? state : *exempt;
    }
}

void sim_barriers_forget(struct sim_barriers *barriers, unsigned reader)
{
    for (unsigned n = 0; n < barriers->count; n++)
        reader_forget(&barriers->all[n].readers[reader]);
}

/* ---- the verdict ---- */

static const char *why_not(const struct sim_barriers *barriers, const struct barrier *barrier,
                           const struct sim_answer *answer, bool known)
{
    bool is_there = barrier->there_ns != NEVER_YET;
    if (known)
        return "it is behind a barrier that the cache knows";
    if (answer->hit && is_there &&
        barrier->there_ns + barriers->bound_ns + GRAIN_NS < answer->from_ns)
        return "it has been behind a barrier for longer than the bound, and is in L1";
    if (barriers->prompt_ns != 0 && is_there &&
        barrier->there_ns + barriers->prompt_ns < answer->from_ns)
        return "it is behind a barrier, and the cache has not been told, though nothing is amiss";
    if (barrier->deleted && !barrier->lost &&
        barrier->readers[answer->reader].knew_ns <= answer->from_ns)
        return "it was deleted behind a barrier that the cache has known";
    return NULL;
}

const char *sim_barriers_object(const struct sim_barriers *barriers,
                                const struct sim_answer *answer, unsigned state, uint64_t since_ns)
{
    const char *why = NULL;
    for (unsigned n = 0; n < barriers->count && why == NULL; n++) {
        const struct barrier *barrier = &barriers->all[n];
        bool old = since_ns < barrier->raised_ns &&
                   state < barrier->readers[answer->reader].exempt[answer->key];
        if (barrier->matches[answer->key] && old)
            why = why_not(barriers, barrier, answer, (answer->known >> n & 1) != 0);
    }
    return why;
}

bool sim_barriers_may_hide(const struct sim_barriers *barriers, unsigned key)
{
    for (unsigned n = 0; n < barriers->count; n++)
        if (barriers->all[n].matches[key])
            return true;
    return false;
}

/* ---- life ---- */

struct sim_barriers *sim_barriers_create(struct sim_oracle *oracle, uint64_t bound_ns,
                                         uint64_t prompt_ns)
{
    struct sim_barriers *barriers = calloc(1, sizeof *barriers);
    assert(barriers != NULL);
    barriers->sim = sim_current();
    barriers->oracle = oracle;
    barriers->bound_ns = bound_ns;
    barriers->prompt_ns = prompt_ns;
    return barriers;
}

void sim_barriers_destroy(struct sim_barriers **at)
{
    free(*at);
    *at = NULL;
}
