/* SPDX-License-Identifier: MIT
 *
 * Loads of many keys at once: those that L1 has not, each once, however often it is asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "cache/load.h"
#include "cache/value.h"
#include "strata/status.h"

/* A key that L1 has not. */
struct wanted {
    struct strata_load load;
    size_t index;        /* of the caller's keys */
    struct wanted *twin; /* the first one that is of the same key; NULL: this is it */
};

static int compare(const void *a, const void *b)
{
    const struct wanted *one = *(struct wanted *const *)a, *two = *(struct wanted *const *)b;
    struct strata_bytes x = one->load.key, y = two->load.key;
    if (x.len != y.len)
        return x.len < y.len ? -1 : 1;
    int order = memcmp(x.data, y.data, x.len);
    return order != 0 ? order : one->index < two->index ? -1 : 1;
}

static bool same(struct strata_bytes a, struct strata_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* `sorted` has room for the pointers. */
static void find_twins(struct wanted *wanted, size_t count, struct wanted **sorted)
{
    for (size_t i = 0; i < count; i++)
        sorted[i] = &wanted[i];
    qsort(sorted, count, sizeof(struct wanted *), compare);
    for (size_t i = 1; i < count; i++) {
        struct wanted *before = sorted[i - 1]->twin != NULL ? sorted[i - 1]->twin : sorted[i - 1];
        if (same(before->load.key, sorted[i]->load.key))
            sorted[i]->twin = before;
    }
}

/* To the caller. The first of twins gives its value away last of all, for it comes first. */
static void hand_out(struct wanted *wanted, struct strata_value *values, int *statuses)
{
    struct wanted *from = wanted->twin != NULL ? wanted->twin : wanted;
    struct strata_value *value = &from->load.value;
    int status = from->load.status;
    bool answered = status == STRATA_OK || status == STRATA_STALE;
    if (answered && wanted->twin == NULL) {
        values[wanted->index] = *value;
    } else if (answered && sta_value_make_shared(value) == STRATA_OK) {
        values[wanted->index] = sta_value_share(value);
    } else if (answered) {
        status = STRATA_ERR_NOMEM;
    }
    statuses[wanted->index] = status;
}

static void run(struct sta_load_call *call, struct wanted *wanted, size_t count,
                struct strata_value *values, int *statuses)
{
    struct strata_load **loads = (void *)(wanted + count);
    size_t different = 0;
    find_twins(wanted, count, (void *)loads);
    for (size_t i = 0; i < count; i++)
        if (wanted[i].twin == NULL)
            loads[different++] = &wanted[i].load;
    sta_load_run(call, loads, different);
    for (size_t i = count; i-- > 0;)
        hand_out(&wanted[i], values, statuses);
}

void sta_load_run_many(struct sta_load_call *call, const struct strata_bytes *keys, size_t count,
                       struct strata_value *values, int *statuses)
{
    size_t missing = 0, next = 0;
    for (size_t i = 0; i < count; i++)
        missing += statuses[i] == STRATA_MORE;
    if (missing == 0)
        return;
    struct wanted *wanted = calloc(missing, sizeof *wanted + sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        if (statuses[i] != STRATA_MORE)
            continue;
        if (wanted == NULL) {
            statuses[i] = STRATA_ERR_NOMEM;
            continue;
        }
        wanted[next].index = i;
        wanted[next].load.call = call;
        wanted[next].load.key = keys[i];
        wanted[next++].load.status = STRATA_MORE;
    }
    if (wanted != NULL)
        run(call, wanted, missing, values, statuses);
    free(wanted);
}
