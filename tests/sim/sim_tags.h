/* SPDX-License-Identifier: MIT
 *
 * The oracle's part about tags (cache/tags.h). A value that was set with tags is there for as long
 * as each of them has the version in Redis that stands in the value's head: it falls with the first
 * that has not, whoever took it away, and does not come back. Its key has a state more then, that
 * it is absent, and all that the oracle says of states holds of this one, but for who is told: a
 * cache that was told of a tag (by a push, or as it invalidated the tag itself) answers no value
 * any more that has a version of before, and may answer what has no tags.
 *
 * Two things more may be: that a value is missed, for as long as a reader need not have heard of
 * its tag's new version; and that it is missed because it fell when it had been replaced already.
 */
#ifndef SIM_TAGS_H
#define SIM_TAGS_H

#include "cache/envelope.h"
#include "sim/sim.h"

#define SIM_TAGS_MOST 3u

struct sim_tags;
struct sim_oracle;

/* What the head of a value says. */
struct sim_tagging {
    unsigned tags;                    /* a bit for each */
    unsigned versions[SIM_TAGS_MOST]; /* their numbers */
    uint64_t fell_ns; /* the first of them was gone by then; STA_NEVER: all are there */
    unsigned fell;    /* which */
};

struct sim_tags *sim_tags_create(struct sim_oracle *oracle, unsigned keys);
void sim_tags_destroy(struct sim_tags **tags);

/* ---- the history ---- */

/* The tag's key holds this now. */
void sim_tags_changed(struct sim_tags *tags, unsigned tag, struct strata_bytes stored);

struct sim_tagging sim_tags_of(struct sim_tags *tags, const struct sta_envelope *envelope);

/* How many versions of the tag are gone: the first ones. */
unsigned sim_tags_gone(const struct sim_tags *tags, unsigned tag);

/* Of a value with these versions. */
enum sim_age {
    SIM_YOUNG, /* one of them came to be then, or later: who has not heard of it misses the value */
    SIM_FALLEN,
    SIM_IN_FORCE
};
enum sim_age sim_tags_age(const struct sim_tags *tags, const struct sim_tagging *tagging,
                          uint64_t young_ns);

/* ---- readers ---- */

/* Of each tag, how many versions it has been told are gone. */
struct sim_told {
    unsigned gone[SIM_TAGS_MOST];
};

void sim_tags_tell(struct sim_tags *tags, unsigned reader, unsigned tag, unsigned gone);
struct sim_told sim_tags_told(const struct sim_tags *tags, unsigned reader);
bool sim_told_of(const struct sim_told *told, const struct sim_tagging *tagging);

/* A new process has taken the reader's place. */
void sim_tags_forget(struct sim_tags *tags, unsigned reader);

#endif
