/* SPDX-License-Identifier: MIT
 *
 * What a scan does to the keys that are hot. Half the cache's capacity of hot keys, all alike, are
 * asked for without end, and stored where they are missing. Then each such request is followed by
 * four keys that nobody asks for again, up to ten million of them: between two requests for a hot
 * key lie two and a half capacities of others, too many for LRU. Then the scan is over.
 */
#include <math.h>

#include "bench/l1/stream.h"
#include "bench/l1/workload.h"
#include "core/random.h"

#define COLD_KEYS    10000000u
#define COLD_PER_HOT 4u
#define COLD_FROM    (UINT64_C(1) << 40)
#define HOT_PART     2u
#define WARM_ROUNDS  10u

struct scan {
    const struct contender *who;
    void *cache;
    uint64_t random;
    uint64_t hot_keys;
    uint64_t cold_id;
    bool right;
};

/* A get that fills on a miss. */
static bool ask(struct scan *scan, uint64_t id)
{
    uint8_t key[PEER_KEY_MOST];
    uint8_t value[PEER_VALUE_MOST];
    uint32_t len = stream_key(id, key);
    int got = scan->who->peer.get(scan->cache, key, len, value);
    if (got < 0)
        contender_set(scan->who, scan->cache, id);
    else
        scan->right = scan->right && stream_is_value(id, value, got);
    return got >= 0;
}

/* Hit ratio of `count` requests for hot keys, each followed by `cold` others. */
static double ask_hot(struct scan *scan, uint64_t count, uint32_t cold)
{
    uint64_t hits = 0;
    for (uint64_t i = 0; i < count; i++) {
        hits += ask(scan, sta_random_below(&scan->random, scan->hot_keys));
        for (uint32_t k = 0; k < cold; k++)
            ask(scan, scan->cold_id++);
    }
    return (double)hits / (double)count;
}

static const struct report_column columns[] = {
    {"before", "before", 4},
    {"during", "during", 4},
    {"after", "after", 4},
    {NULL, NULL, 0},
};

bool scan_run(struct bench *bench, const struct workload *workload)
{
    bool right = true;
    report_begin(&bench->report, workload->name, 1, columns);
    for (uint32_t i = 0; i < bench->contenders.count; i++) {
        const struct contender *who = &bench->contenders.list[i];
        struct scan scan = {.who = who,
                            .random = 7,
                            .hot_keys = workload->capacity / HOT_PART,
                            .cold_id = COLD_FROM,
                            .right = true};
        if (!(who->peer.flags & PEER_EVICTS))
            continue;
        scan.cache = who->peer.create(workload->capacity);
        if (scan.cache == NULL)
            return false;
        ask_hot(&scan, WARM_ROUNDS * scan.hot_keys, 0);
        double values[3];
        values[0] = ask_hot(&scan, scan.hot_keys, 0);
        values[1] = ask_hot(&scan, COLD_KEYS / COLD_PER_HOT, COLD_PER_HOT);
        values[2] = ask_hot(&scan, scan.hot_keys, 0);
        who->peer.destroy(scan.cache);
        if (!scan.right)
            fprintf(stderr, "bench_l1: %s: a value is not its key's\n", who->peer.name);
        right = right && scan.right;
        report_row(&bench->report, who->peer.name, values);
    }
    return right;
}
