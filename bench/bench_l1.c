/* SPDX-License-Identifier: MIT
 *
 * bench_l1 [--json] [--rounds N] [--slice MS] [--peer PATH.so]... [--no-peers] [WORKLOAD...]
 *
 * What the first tier costs beside the floor (l1/floor.h) and beside other caches (peer.h), on the
 * same keys and values, in one run. Keys have 16 to 24 bytes and values 100; they come from a
 * prepared stream. Rows and what they mean: l1/workload.h. Ends with 1 where a contender answered
 * wrongly or a row could not be measured.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/l1/workload.h"

#define SLICE_MOST_MS 10000u

static const struct workload workloads[] = {
    {"memory-1m", "bytes per entry beyond key and value", footprint_run, .keys = 1000000},
    {"memory-10m", "the same with 10 M entries", footprint_run, .keys = 10000000},
    {"get-1m-zipf",
     "get and copy, 1 M keys, Zipf 0.99; 16 threads show a collapse",
     timed_run,
     TIMED_GET,
     true,
     1000000,
     0,
     {1, 2, 16}},
    {"get-1m-uniform",
     "get and copy, 1 M keys, all alike",
     timed_run,
     TIMED_GET,
     false,
     1000000,
     0,
     {1, 2}},
    {"get-10k-zipf",
     "get and copy, 10 k keys: fits the processor's caches",
     timed_run,
     TIMED_GET,
     true,
     10000,
     0,
     {1, 2}},
    {"batch32-1m-uniform",
     "32 keys at once beside single gets",
     timed_run,
     TIMED_BATCH,
     false,
     1000000,
     0,
     {1, 2}},
    {"mix-1m-zipf",
     "95 % get, 5 % set, a miss sets; room for 10 % of the keys",
     timed_run,
     TIMED_MIX,
     true,
     1000000,
     100000,
     {1, 2}},
    {"insert-1m",
     "new keys into a full cache of 1 M entries",
     timed_run,
     TIMED_INSERT,
     false,
     1000000,
     1000000,
     {1, 2}},
    {"pause-insert", "longest gets while 1 and 2 others insert, or only use the processor",
     pause_run_inserts, .capacity = 100000},
    {"pause-resize",
     "longest gets and sets while a tier shrinks to an eighth and grows; the clock beside",
     pause_run_resizes, .keys = 1000000},
    {"scan-10m", "hit ratio of hot keys before, during and after 10 M cold ones", scan_run,
     .capacity = 100000},
};

#define WORKLOADS (sizeof workloads / sizeof workloads[0])

static int usage(FILE *out)
{
    fprintf(out,
            "usage: bench_l1 [--json] [--rounds 1..%u] [--slice MILLISECONDS] [--no-peers]\n"
            "                [--peer PATH.so]... [WORKLOAD...]\n\n"
            "  --rounds    of which medians are taken (7)\n"
            "  --slice     that each contender is measured for in a round (100)\n"
            "  --peer      one more cache, behind the six functions of bench/peer.h\n"
            "  --no-peers  only the floor, the first tier and what --peer names\n\n"
            "Workloads, all where none is named:\n",
            ROUNDS_MOST);
    for (size_t i = 0; i < WORKLOADS; i++)
        fprintf(out, "  %-20s %s\n", workloads[i].name, workloads[i].about);
    return out == stdout ? 0 : 2;
}

static bool parse_number(const char *text, uint32_t most, uint32_t *out)
{
    char *end;
    unsigned long number = text == NULL ? 0 : strtoul(text, &end, 10);
    if (number == 0 || number > most || *end != 0)
        return false;
    *out = (uint32_t)number;
    return true;
}

static const struct workload *find_workload(const char *name)
{
    for (size_t i = 0; i < WORKLOADS; i++) {
        if (strcmp(workloads[i].name, name) == 0)
            return &workloads[i];
    }
    return NULL;
}

struct arguments {
    const char *peers[CONTENDERS_MOST];
    uint32_t peer_count;
    bool no_peers;
    bool wanted[WORKLOADS];
};

static bool parse(int argc, char **argv, struct bench *bench, struct arguments *arguments)
{
    bool some = false;
    for (int i = 1; i < argc; i++) {
        const struct workload *workload = find_workload(argv[i]);
        if (workload != NULL) {
            arguments->wanted[workload - workloads] = some = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            bench->report.json = true;
        } else if (strcmp(argv[i], "--no-peers") == 0) {
            arguments->no_peers = true;
        } else if (strcmp(argv[i], "--rounds") == 0) {
            if (!parse_number(argv[++i], ROUNDS_MOST, &bench->rounds))
                return false;
        } else if (strcmp(argv[i], "--slice") == 0) {
            if (!parse_number(argv[++i], SLICE_MOST_MS, &bench->slice_ms))
                return false;
        } else if (strcmp(argv[i], "--peer") == 0 && i + 1 < argc &&
                   arguments->peer_count < CONTENDERS_MOST) {
            arguments->peers[arguments->peer_count++] = argv[++i];
        } else {
            return false;
        }
    }
    for (size_t i = 0; i < WORKLOADS && !some; i++)
        arguments->wanted[i] = true;
    return true;
}

int main(int argc, char **argv)
{
    struct bench bench = {.rounds = 7, .slice_ms = 100};
    struct arguments arguments = {0};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (!parse(argc, argv, &bench, &arguments))
        return usage(stderr);
    contenders_init(&bench.contenders, !arguments.no_peers, stderr);
    bool right = true;
    for (uint32_t i = 0; i < arguments.peer_count; i++)
        right = contenders_load(&bench.contenders, arguments.peers[i]) && right;
    for (size_t i = 0; i < WORKLOADS && right; i++) {
        if (arguments.wanted[i])
            right = workloads[i].run(&bench, &workloads[i]);
    }
    contenders_fini(&bench.contenders);
    return right ? 0 : 1;
}
