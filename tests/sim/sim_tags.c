/* SPDX-License-Identifier: MIT
 *
 * See sim_tags.h.
 */
#include "sim/sim_tags.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/tags.h"
#include "core/clock.h"
#include "sim/sim_oracle.h"

#define VERSIONS_MOST 512u /* of a tag in one run */

struct version {
    uint64_t word;
    uint64_t since_ns, until_ns; /* STA_NEVER: it is there now */
};

struct tag {
    struct version versions[VERSIONS_MOST];
    unsigned version_count;
};

struct sim_tags {
    struct sim_oracle *oracle;
    unsigned keys;
    struct tag all[SIM_TAGS_MOST];
    struct sim_told readers[SIM_READERS_MOST];
};

/* ---- the history ---- */

static bool is_there(const struct tag *tag)
{
    return tag->version_count > 0 && tag->versions[tag->version_count - 1].until_ns == STA_NEVER;
}

static void take_down(struct sim_tags *tags, unsigned number, unsigned version)
{
    for (unsigned key = 0; key < tags->keys; key++) {
        const struct sim_tagging *has = sim_oracle_tagging(tags->oracle, key);
        if ((has->tags >> number & 1) != 0 && has->versions[number] == version)
            sim_oracle_fell(tags->oracle, key, number);
    }
}

void sim_tags_changed(struct sim_tags *tags, unsigned number, struct strata_bytes stored)
{
    struct tag *tag = &tags->all[number];
    uint64_t now_ns = sim_now_ns(sim_current());
    uint64_t word = 0;
    bool was = is_there(tag);
    bool comes = stored.data != NULL && sta_tags_read(stored, &word);
    unsigned last = tag->version_count - 1;
    if ((!was && !comes) || (was && comes && tag->versions[last].word == word))
        return;
    if (was) {
        tag->versions[last].until_ns = now_ns;
        take_down(tags, number, last);
    }
    if (!comes)
        return;
    assert(tag->version_count < VERSIONS_MOST);
    tag->versions[tag->version_count++] = (struct version){word, now_ns, STA_NEVER};
}

/* Whoever names one that it has never been has made it up. */
static unsigned number_of(const struct tag *tag, uint64_t word)
{
    unsigned number = 0;
    while (number < tag->version_count && tag->versions[number].word != word)
        number++;
    if (number == tag->version_count)
        sim_fail(sim_current(), "a value was set under a version that its tag has never had");
    return number;
}

struct sim_tagging sim_tags_of(struct sim_tags *tags, const struct sta_envelope *envelope)
{
    struct sim_tagging of = {.fell_ns = STA_NEVER};
    for (size_t i = 0; i < envelope->tag_count; i++) {
        unsigned number = (unsigned)(((const char *)envelope->tags[i].name.data)[0] - '0');
        const struct tag *tag = &tags->all[number];
        unsigned version = number_of(tag, envelope->tags[i].version);
        of.tags |= 1u << number;
        of.versions[number] = version;
        if (version < tag->version_count && tag->versions[version].until_ns < of.fell_ns) {
            of.fell_ns = tag->versions[version].until_ns;
            of.fell = number;
        }
    }
    return of;
}

unsigned sim_tags_gone(const struct sim_tags *tags, unsigned number)
{
    const struct tag *tag = &tags->all[number];
    return tag->version_count - is_there(tag);
}

enum sim_age sim_tags_age(const struct sim_tags *tags, const struct sim_tagging *tagging,
                          uint64_t young_ns)
{
    enum sim_age age = SIM_IN_FORCE;
    for (unsigned i = 0; i < SIM_TAGS_MOST; i++) {
        if ((tagging->tags >> i & 1) == 0)
            continue;
        const struct version *version = &tags->all[i].versions[tagging->versions[i]];
        if (version->since_ns >= young_ns)
            return SIM_YOUNG;
        if (version->until_ns != STA_NEVER)
            age = SIM_FALLEN;
    }
    return age;
}

/* ---- readers ---- */

void sim_tags_tell(struct sim_tags *tags, unsigned reader, unsigned number, unsigned gone)
{
    unsigned *told = &tags->readers[reader].gone[number];
    *told = gone > *told ? gone : *told;
}

struct sim_told sim_tags_told(const struct sim_tags *tags, unsigned reader)
{
    return tags->readers[reader];
}

bool sim_told_of(const struct sim_told *told, const struct sim_tagging *tagging)
{
    for (unsigned i = 0; i < SIM_TAGS_MOST; i++)
        if ((tagging->tags >> i & 1) != 0 && tagging->versions[i] < told->gone[i])
            return true;
    return false;
}

void sim_tags_forget(struct sim_tags *tags, unsigned reader)
{
    tags->readers[reader] = (struct sim_told){{0}};
}

/* ---- life ---- */

struct sim_tags *sim_tags_create(struct sim_oracle *oracle, unsigned keys)
{
    struct sim_tags *tags = calloc(1, sizeof *tags);
    assert(tags != NULL);
    tags->oracle = oracle;
    tags->keys = keys;
    return tags;
}

void sim_tags_destroy(struct sim_tags **at)
{
    free(*at);
    *at = NULL;
}
