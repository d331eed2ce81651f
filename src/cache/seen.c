/* SPDX-License-Identifier: MIT
 *
 * A set of fingerprints; see seen.h.
 */
#include "cache/seen.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "strata/status.h"

#define CAP_FIRST 1024u

void sta_seen_init(struct sta_seen *seen, uint64_t seed, uint64_t max_bytes)
{
    *seen = (struct sta_seen){.seed = seed, .max_bytes = max_bytes};
}

void sta_seen_fini(struct sta_seen *seen)
{
    free(seen->marks);
    *seen = (struct sta_seen){0};
}

static bool is_free(const struct sta_seen_mark *mark)
{
    return mark->low == 0 && mark->high == 0;
}

/* Where it is, or where it would be. */
static struct sta_seen_mark *find(struct sta_seen_mark *marks, uint64_t cap,
                                  struct sta_seen_mark wanted)
{
    for (uint64_t at = wanted.low & (cap - 1);; at = (at + 1) & (cap - 1)) {
        struct sta_seen_mark *mark = &marks[at];
        if (is_free(mark) || (mark->low == wanted.low && mark->high == wanted.high))
            return mark;
    }
}

static int grow(struct sta_seen *seen)
{
    uint64_t cap = seen->cap == 0 ? CAP_FIRST : 2 * seen->cap;
    if ((cap + seen->cap) * sizeof *seen->marks > seen->max_bytes)
        return STRATA_ERR_TOO_BIG;
    struct sta_seen_mark *marks = calloc(cap, sizeof *marks);
    if (marks == NULL)
        return STRATA_ERR_NOMEM;
    for (uint64_t i = 0; i < seen->cap; i++)
        if (!is_free(&seen->marks[i]))
            *find(marks, cap, seen->marks[i]) = seen->marks[i];
    free(seen->marks);
    seen->marks = marks;
    seen->cap = cap;
    return STRATA_OK;
}

int sta_seen_add(struct sta_seen *seen, struct strata_bytes key)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(key.data, key.len, seen->seed);
    struct sta_seen_mark wanted = {.low = hash.low64, .high = hash.high64};
    if (is_free(&wanted))
        wanted.high = 1;
    if (seen->cap > 0 && !is_free(find(seen->marks, seen->cap, wanted)))
        return STRATA_SKIPPED;
    if (2 * (seen->count + 1) > seen->cap) {
        int status = grow(seen);
        if (status < 0)
            return status;
    }
    *find(seen->marks, seen->cap, wanted) = wanted;
    seen->count++;
    return STRATA_OK;
}
