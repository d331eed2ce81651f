/* SPDX-License-Identifier: MIT
 *
 * Memory per entry beyond its key and value: what the process has more after a cache was created
 * and filled than before, less the bytes of the keys and values that are in it. Each contender
 * is filled in a child of its own, so that none gets what another has freed.
 */
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/l1/own.h"
#include "bench/l1/pages.h"
#include "bench/l1/workload.h"

struct weight {
    uint64_t entries; /* that are really there */
    uint64_t payload; /* their keys and values */
    uint64_t resident;
    uint64_t accounted; /* 0: it does not count */
    double huge;
    bool right;
};

static const struct report_column columns[] = {
    {"resident_bytes", "resident", 1},
    {"accounted_bytes", "counted", 1},
    {"entries", "entries", 0},
    {"huge_pages", "huge", 2},
    {NULL, NULL, 0},
};

static uint64_t payload_of(uint64_t entries)
{
    uint64_t payload = 0;
    uint8_t key[PEER_KEY_MOST];
    for (uint64_t id = 0; id < entries; id++)
        payload += stream_key(id, key) + PEER_VALUE_MOST;
    return payload;
}

static struct weight weigh(const struct contender *who, uint64_t count)
{
    struct weight weight = {0};
    struct pages before = pages_now();
    void *cache = who->peer.create(count);
    if (cache == NULL)
        return weight;
    contender_fill(who, cache, count);
    weight.resident = pages_now().resident - before.resident;
    weight.huge = pages_huge_since(&before);
    weight.right = contender_check(who, cache, count, 1, &weight.entries);
    /* Some evict a little early: lengths are even, so the mean does. */
    weight.payload = (uint64_t)((double)payload_of(count) / (double)count * (double)weight.entries);
    if (who->peer.create == own_strata.create)
        weight.accounted = own_strata_accounted(cache);
    return weight;
}

static bool weigh_in_child(const struct contender *who, uint64_t count, struct weight *out)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct weight weight = weigh(who, count);
        bool told = write(ends[1], &weight, sizeof weight) == (ssize_t)sizeof weight;
        _exit(told && weight.right ? 0 : 1);
    }
    close(ends[1]);
    int status = 1;
    bool told = child > 0 && read(ends[0], out, sizeof *out) == (ssize_t)sizeof *out;
    close(ends[0]);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 && told;
}

bool footprint_run(struct bench *bench, const struct workload *workload)
{
    bool right = true;
    report_begin(&bench->report, workload->name, 1, columns);
    for (uint32_t i = 0; i < bench->contenders.count; i++) {
        const struct contender *who = &bench->contenders.list[i];
        struct weight weight;
        if (i == CONTENDER_FLOOR)
            continue;
        if (!weigh_in_child(who, workload->keys, &weight)) {
            fprintf(stderr, "bench_l1: %s: no figure for %s\n", who->peer.name, workload->name);
            right = false;
            continue;
        }
        double entries = (double)weight.entries;
        double values[] = {((double)weight.resident - (double)weight.payload) / entries,
                           weight.accounted == 0
                               ? NAN
                               : ((double)weight.accounted - (double)weight.payload) / entries,
                           entries, weight.huge};
        report_row(&bench->report, who->peer.name, values);
    }
    return right;
}
